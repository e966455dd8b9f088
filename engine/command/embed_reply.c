/* SPDX-License-Identifier: MIT
 *
 * command/embed_reply.c - walking through replies, for shoal/command.h: the elements that wire/
 * finds, in words that need no knowledge of the protocol.
 */
#include <shoal/command.h>

#include "base/assert.h"
#include "base/number.h"
#include "wire/resp.h"

shoal_reply_reader shoal_reply_read(const shoal_buffer *replies)
{
    SHOAL_ASSERT(replies != NULL);
    return (shoal_reply_reader){shoal_buffer_slice(replies)};
}

/* Takes bytes off the front. */
static void advance(shoal_reply_reader *reader, size_t size)
{
    SHOAL_ASSERT(size <= reader->rest.size);
    reader->rest.data += size;
    reader->rest.size -= size;
}

/* A container of so many elements, or null. */
static void take_container(shoal_reply_part *part, shoal_reply_kind kind, int64_t count)
{
    SHOAL_DEBUG_ASSERT(kind >= SHOAL_REPLY_ARRAY);
    if (count < 0) return;
    part->kind = kind;
    part->count = (size_t)count;
}

/* A number that may be written as text. */
static void take_double(shoal_reply_part *part, shoal_slice text)
{
    SHOAL_DEBUG_ASSERT(part->kind == SHOAL_REPLY_NULL);
    part->kind = SHOAL_REPLY_DOUBLE;
    part->text = text;
    (void)shoal_number_to_double(text, &part->number);
}

/* True unless the element only describes another one. */
static bool describe(const shoal_answer *answer, shoal_reply_part *part)
{
    SHOAL_DEBUG_ASSERT(answer->size > 0);
    *part = (shoal_reply_part){.text = answer->text};
    switch (answer->type) {
    case '+': part->kind = SHOAL_REPLY_STATUS; break;
    case '-':
    case '!': part->kind = SHOAL_REPLY_ERROR; break;
    case '$': part->kind = answer->integer < 0 ? SHOAL_REPLY_NULL : SHOAL_REPLY_STRING; break;
    case '=':
        /* "txt:" in front of the bytes. */
        part->kind = SHOAL_REPLY_STRING;
        if (part->text.size >= 4) part->text.data += 4, part->text.size -= 4;
        break;
    case '(': part->kind = SHOAL_REPLY_STRING; break;
    case ':': part->kind = SHOAL_REPLY_INTEGER, part->integer = answer->integer; break;
    case '#': part->kind = SHOAL_REPLY_BOOLEAN, part->integer = answer->integer; break;
    case ',': take_double(part, answer->text); break;
    case '*':
    case '>': take_container(part, SHOAL_REPLY_ARRAY, answer->integer); break;
    case '~': take_container(part, SHOAL_REPLY_SET, answer->integer); break;
    case '%': take_container(part, SHOAL_REPLY_MAP, answer->integer); break;
    default: break;
    }
    return answer->type != '|';
}

bool shoal_reply_next(shoal_reply_reader *reader, shoal_reply_part *part)
{
    SHOAL_ASSERT(reader != NULL);
    SHOAL_ASSERT(part != NULL);
    shoal_answer answer;
    if (reader->rest.size == 0) return false;
    if (shoal_answer_next(reader->rest, &answer) != SHOAL_ERR_OK) return false;
    bool whole = describe(&answer, part);
    advance(reader, answer.size);
    if (whole) return true;
    for (int64_t i = 0; i < answer.integer; i++) {
        if (!shoal_reply_skip(reader)) return false;
    }
    return shoal_reply_next(reader, part);
}

bool shoal_reply_skip(shoal_reply_reader *reader)
{
    SHOAL_ASSERT(reader != NULL);
    size_t size;
    if (reader->rest.size == 0) return false;
    if (shoal_answer_size(reader->rest, &size) != SHOAL_ERR_OK) return false;
    advance(reader, size);
    return true;
}
