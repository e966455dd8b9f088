/* SPDX-License-Identifier: MIT
 *
 * wire/resp_answer.c - reads replies, for the virtual clients of the simulator, for tests and for
 * visualisers. A cursor without state: each call looks at one element and trusts no length.
 */
#include "wire/resp.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"

/* Longest line of + - , ( and longest line of a length; chosen, far above what servers send. */
#define TEXT_LINE_MAX (1u << 20)
#define NUMBER_LINE_MAX 32u
/* Most bytes of a bulk and most elements of an aggregate; chosen. */
#define BULK_MAX (INT64_C(1) << 40)
#define ELEMENTS_MAX (INT64_C(1) << 32)

/* Finds the line behind the type byte: its text without CRLF. */
static shoal_err read_line(shoal_slice bytes, size_t limit, shoal_slice *line)
{
    SHOAL_DEBUG_ASSERT(bytes.size > 0);
    size_t at = 1;
    while (at < bytes.size && at <= limit && bytes.data[at] != '\r' && bytes.data[at] != '\n') at++;
    if (at > limit) return SHOAL_ERR_MALFORMED;
    if (at == bytes.size) return SHOAL_ERR_TRUNCATED;
    if (bytes.data[at] != '\r') return SHOAL_ERR_MALFORMED;
    if (at + 1 == bytes.size) return SHOAL_ERR_TRUNCATED;
    if (bytes.data[at + 1] != '\n') return SHOAL_ERR_MALFORMED;
    SHOAL_DEBUG_ASSERT(at + 2 <= bytes.size);
    *line = (shoal_slice){bytes.data + 1, at - 1};
    return SHOAL_ERR_OK;
}

/* "+OK", "-ERR ...", ",1.5", "(123". */
static shoal_err read_text(shoal_slice bytes, shoal_answer *answer)
{
    shoal_slice line;
    shoal_err error = read_line(bytes, TEXT_LINE_MAX, &line);
    if (error) return error;
    answer->text = line;
    answer->size = line.size + 3;
    SHOAL_DEBUG_ASSERT(answer->size <= bytes.size);
    return SHOAL_ERR_OK;
}

/* A number behind the type byte. */
static shoal_err read_number(shoal_slice bytes, shoal_answer *answer)
{
    shoal_slice line;
    shoal_err error = read_line(bytes, NUMBER_LINE_MAX, &line);
    if (error) return error;
    if (!shoal_text_to_i64(line, &answer->integer)) return SHOAL_ERR_MALFORMED;
    answer->size = line.size + 3;
    SHOAL_DEBUG_ASSERT(answer->size <= bytes.size);
    return SHOAL_ERR_OK;
}

/* "_" and "#t": *text is the one word that may follow. */
static shoal_err read_word(shoal_slice bytes, shoal_answer *answer)
{
    shoal_slice line;
    shoal_err error = read_line(bytes, NUMBER_LINE_MAX, &line);
    if (error) return error;
    answer->size = line.size + 3;
    SHOAL_DEBUG_ASSERT(answer->type == '_' || answer->type == '#');
    if (answer->type == '_') {
        answer->integer = -1;
        return line.size == 0 ? SHOAL_ERR_OK : SHOAL_ERR_MALFORMED;
    }
    if (line.size != 1 || (line.data[0] != 't' && line.data[0] != 'f')) return SHOAL_ERR_MALFORMED;
    answer->integer = line.data[0] == 't';
    return SHOAL_ERR_OK;
}

/* "$3", "=7", "!5" and their bytes. */
static shoal_err read_bulk(shoal_slice bytes, shoal_answer *answer)
{
    shoal_err error = read_number(bytes, answer);
    if (error) return error;
    if (answer->integer == -1 && answer->type == '$') return SHOAL_ERR_OK;
    if (answer->integer < 0 || answer->integer > BULK_MAX) return SHOAL_ERR_MALFORMED;
    size_t size = (size_t)answer->integer;
    SHOAL_DEBUG_ASSERT(answer->size <= bytes.size);
    size_t left = bytes.size - answer->size;
    const char *body = bytes.data + answer->size;
    if (left < size + 2) return SHOAL_ERR_TRUNCATED;
    if (memcmp(body + size, "\r\n", 2) != 0) return SHOAL_ERR_MALFORMED;
    answer->text = (shoal_slice){body, size};
    answer->size += size + 2;
    SHOAL_DEBUG_ASSERT(answer->size <= bytes.size);
    return SHOAL_ERR_OK;
}

/* "*2", "%1" and so on: the header alone. */
static shoal_err read_aggregate(shoal_slice bytes, shoal_answer *answer)
{
    shoal_err error = read_number(bytes, answer);
    if (error) return error;
    if (answer->integer == -1 && answer->type == '*') return SHOAL_ERR_OK;
    if (answer->integer < 0 || answer->integer > ELEMENTS_MAX) return SHOAL_ERR_MALFORMED;
    if (answer->type == '%' || answer->type == '|') answer->integer *= 2;
    return SHOAL_ERR_OK;
}

shoal_err shoal_answer_next(shoal_slice bytes, shoal_answer *answer)
{
    *answer = (shoal_answer){0};
    if (bytes.size == 0) return SHOAL_ERR_TRUNCATED;
    answer->type = bytes.data[0];
    switch (answer->type) {
    case '+':
    case '-':
    case ',':
    case '(': return read_text(bytes, answer);
    case ':': return read_number(bytes, answer);
    case '_':
    case '#': return read_word(bytes, answer);
    case '$':
    case '=':
    case '!': return read_bulk(bytes, answer);
    case '*':
    case '~':
    case '>':
    case '%':
    case '|': return read_aggregate(bytes, answer);
    default: return SHOAL_ERR_MALFORMED;
    }
}

/* Elements that must follow this one before the reply is whole. */
static uint64_t elements_behind(const shoal_answer *answer)
{
    switch (answer->type) {
    case '*':
    case '~':
    case '>':
    case '%': return answer->integer > 0 ? (uint64_t)answer->integer : 0;
    /* An attribute is no reply itself; the reply that it describes comes behind its pairs. */
    case '|': return (uint64_t)answer->integer + 1;
    default: return 0;
    }
}

shoal_err shoal_answer_size(shoal_slice bytes, size_t *size)
{
    size_t used = 0;
    uint64_t pending = 1;
    while (pending) {
        shoal_answer answer;
        shoal_slice rest = {bytes.data + used, bytes.size - used};
        shoal_err error = shoal_answer_next(rest, &answer);
        if (error) return error;
        SHOAL_ASSERT(answer.size > 0 && answer.size <= rest.size);
        used += answer.size;
        /* Each step adds at most 2^33, and there are fewer steps than bytes: no overflow. */
        pending += elements_behind(&answer) - 1;
        SHOAL_DEBUG_ASSERT(pending <= used * (2 * (uint64_t)ELEMENTS_MAX + 1));
    }
    SHOAL_ASSERT(used <= bytes.size);
    *size = used;
    return SHOAL_ERR_OK;
}
