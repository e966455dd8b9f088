/* SPDX-License-Identifier: MIT
 *
 * wire/resp_reply.c - writes replies, RESP2 and RESP3. Every function reserves room once and
 * fills it. When the buffer finds no memory it remembers that (`failed`), and nothing here has to:
 * the owner closes the connection.
 */
#include "wire/resp.h"

#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/number.h"

/* Longest header: type, 20 characters, CRLF. */
#define HEADER_MAX 23u
_Static_assert(HEADER_MAX >= 1 + SHOAL_TEXT_INTEGER_SIZE + 2, "any length fits in a header");

/* "00" to "99": two digits at a time. */
static const char digit_pairs[201] = "00010203040506070809"
                                     "10111213141516171819"
                                     "20212223242526272829"
                                     "30313233343536373839"
                                     "40414243444546474849"
                                     "50515253545556575859"
                                     "60616263646566676869"
                                     "70717273747576777879"
                                     "80818283848586878889"
                                     "90919293949596979899";

/* Room for `size` bytes at the end of the replies, or NULL. */
static inline char *room(shoal_reply *reply, size_t size)
{
    shoal_buffer *out = reply->out;
    SHOAL_DEBUG_ASSERT(out->start <= out->end);
    SHOAL_DEBUG_ASSERT(out->end <= out->capacity);
    if (__builtin_expect(out->capacity - out->end >= size, 1)) return out->data + out->end;
    return shoal_buffer_reserve(out, size);
}

/* Everything before `behind` is written. */
static inline void commit(shoal_reply *reply, const char *behind)
{
    SHOAL_DEBUG_ASSERT(behind >= reply->out->data + reply->out->end);
    SHOAL_DEBUG_ASSERT(behind <= reply->out->data + reply->out->capacity);
    reply->out->end = (size_t)(behind - reply->out->data);
}

static inline char *put_crlf(char *at)
{
    memcpy(at, "\r\n", 2);
    return at + 2;
}

static inline char *put_bytes(char *at, const char *bytes, size_t size)
{
    SHOAL_DEBUG_ASSERT(bytes != NULL || size == 0);
    if (size) memcpy(at, bytes, size);
    return at + size;
}

/* Writes digits; small numbers, which most lengths are, without a division. */
static inline char *put_number(char *at, uint64_t value)
{
    if (value < 10) {
        *at = (char)('0' + value);
        return at + 1;
    }
    if (value < 100) {
        memcpy(at, digit_pairs + 2 * value, 2);
        return at + 2;
    }
    return at + shoal_text_from_u64(at, value);
}

/* Writes "*3\r\n": at most HEADER_MAX bytes. */
static inline char *put_header(char *at, char type, uint64_t value)
{
    *at = type;
    return put_crlf(put_number(at + 1, value));
}

static void write_header(shoal_reply *reply, char type, uint64_t value)
{
    char *at = room(reply, HEADER_MAX);
    if (at) commit(reply, put_header(at, type, value));
}

/* Writes text that is a whole reply, with its CRLF. */
static void write_raw(shoal_reply *reply, const char *text, size_t size)
{
    SHOAL_DEBUG_ASSERT(size >= 3 && memcmp(text + size - 2, "\r\n", 2) == 0);
    char *at = room(reply, size);
    if (at) commit(reply, put_bytes(at, text, size));
}

/* No line end inside. */
static bool is_one_line(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\r' || text[i] == '\n') return false;
    }
    return true;
}

/* Writes a type byte, text and CRLF. */
static void write_line(shoal_reply *reply, char type, const char *text, size_t size)
{
    SHOAL_DEBUG_ASSERT(is_one_line(text, size));
    char *at = room(reply, size + 3);
    if (!at) return;
    *at = type;
    commit(reply, put_crlf(put_bytes(at + 1, text, size)));
}

/* A bulk of another type: "$", "=". */
static void write_bulk(shoal_reply *reply, char type, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(type == '$' || type == '=');
    char *at = room(reply, HEADER_MAX + bytes.size + 2);
    if (!at) return;
    at = put_header(at, type, bytes.size);
    commit(reply, put_crlf(put_bytes(at, bytes.data, bytes.size)));
}

static bool is_resp3(const shoal_reply *reply)
{
    SHOAL_DEBUG_ASSERT(reply->protocol == 2 || reply->protocol == 3);
    return reply->protocol == 3;
}

void shoal_reply_status(shoal_reply *reply, const char *text)
{
    write_line(reply, '+', text, strlen(text));
}

void shoal_reply_ok(shoal_reply *reply)
{
    write_raw(reply, "+OK\r\n", 5);
}

/* Makes one line of the text from index `begin` of the buffer's memory on: line ends at its end
 * are dropped, others become blanks, as in Redis. */
static void make_one_line(shoal_buffer *out, size_t begin)
{
    SHOAL_ASSERT(begin <= out->end);
    while (out->end > begin && (out->data[out->end - 1] == '\r' || out->data[out->end - 1] == '\n'))
        out->end--;
    for (size_t i = begin; i < out->end; i++) {
        if (out->data[i] == '\r' || out->data[i] == '\n') out->data[i] = ' ';
    }
}

void shoal_reply_error(shoal_reply *reply, const char *text)
{
    shoal_reply_errorf(reply, "%s", text);
}

void shoal_reply_errorf(shoal_reply *reply, const char *format, ...)
{
    shoal_buffer *out = reply->out;
    size_t before = shoal_buffer_size(out);
    va_list arguments;
    va_start(arguments, format);
    shoal_buffer_append(out, (shoal_slice){"-", 1});
    shoal_text_vappendf(out, format, arguments);
    va_end(arguments);
    if (out->failed) return;
    make_one_line(out, out->start + before);
    SHOAL_DEBUG_ASSERT(out->data[out->start + before] == '-');
    shoal_buffer_append(out, (shoal_slice){"\r\n", 2});
}

void shoal_reply_complaint(shoal_reply *reply, const shoal_request *request)
{
    SHOAL_ASSERT(request->complaint != NULL);
    shoal_slice text = shoal_text(request->complaint);
    size_t at = shoal_text_find(text, shoal_text("%c"));
    if (at == SHOAL_TEXT_NONE) {
        shoal_reply_errorf(reply, "ERR %s", request->complaint);
        return;
    }
    shoal_reply_errorf(reply, "ERR %.*s%c%s", (int)at, text.data, request->complaint_char,
                       text.data + at + 2);
}

void shoal_reply_integer(shoal_reply *reply, int64_t value)
{
    char *at = room(reply, HEADER_MAX);
    if (!at) return;
    *at++ = ':';
    if (value < 0) *at++ = '-';
    at = put_number(at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    commit(reply, put_crlf(at));
}

void shoal_reply_bulk(shoal_reply *reply, shoal_slice bytes)
{
    write_bulk(reply, '$', bytes);
}

void shoal_reply_text(shoal_reply *reply, const char *text)
{
    write_bulk(reply, '$', shoal_text(text));
}

void shoal_reply_bulk_integer(shoal_reply *reply, int64_t value)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    write_bulk(reply, '$', (shoal_slice){digits, shoal_text_from_i64(digits, value)});
}

void shoal_reply_verbatim(shoal_reply *reply, const char kind[3], shoal_slice bytes)
{
    if (!is_resp3(reply)) {
        write_bulk(reply, '$', bytes);
        return;
    }
    char *at = room(reply, HEADER_MAX + 4 + bytes.size + 2);
    if (!at) return;
    at = put_header(at, '=', bytes.size + 4);
    at = put_bytes(at, kind, 3);
    *at++ = ':';
    commit(reply, put_crlf(put_bytes(at, bytes.data, bytes.size)));
}

void shoal_reply_null(shoal_reply *reply)
{
    if (is_resp3(reply))
        write_raw(reply, "_\r\n", 3);
    else
        write_raw(reply, "$-1\r\n", 5);
}

void shoal_reply_null_array(shoal_reply *reply)
{
    if (is_resp3(reply))
        write_raw(reply, "_\r\n", 3);
    else
        write_raw(reply, "*-1\r\n", 5);
}

void shoal_reply_boolean(shoal_reply *reply, bool value)
{
    if (is_resp3(reply))
        write_raw(reply, value ? "#t\r\n" : "#f\r\n", 4);
    else
        write_raw(reply, value ? ":1\r\n" : ":0\r\n", 4);
}

void shoal_reply_double(shoal_reply *reply, double value)
{
    char text[SHOAL_NUMBER_DOUBLE_MAX];
    size_t size = shoal_number_from_double(value, text);
    SHOAL_DEBUG_ASSERT(size <= sizeof(text));
    if (is_resp3(reply))
        write_line(reply, ',', text, size);
    else
        write_bulk(reply, '$', (shoal_slice){text, size});
}

/* ---- aggregates ---- */

/* What the header of an aggregate says in this protocol. */
typedef struct aggregate {
    char type;
    uint64_t count;
} aggregate;

static aggregate aggregate_map(const shoal_reply *reply, size_t pairs)
{
    SHOAL_DEBUG_ASSERT(pairs <= SIZE_MAX / 2);
    if (is_resp3(reply)) return (aggregate){'%', pairs};
    return (aggregate){'*', (uint64_t)pairs * 2};
}

static aggregate aggregate_set(const shoal_reply *reply, size_t count)
{
    return (aggregate){is_resp3(reply) ? '~' : '*', count};
}

void shoal_reply_array(shoal_reply *reply, size_t count)
{
    write_header(reply, '*', count);
}

void shoal_reply_map(shoal_reply *reply, size_t pairs)
{
    aggregate header = aggregate_map(reply, pairs);
    write_header(reply, header.type, header.count);
}

void shoal_reply_set(shoal_reply *reply, size_t count)
{
    aggregate header = aggregate_set(reply, count);
    write_header(reply, header.type, header.count);
}

void shoal_reply_push(shoal_reply *reply, size_t count)
{
    write_header(reply, is_resp3(reply) ? '>' : '*', count);
}

/* The header of one digit that begin leaves room for. */
#define DEFERRED_SIZE 4u

shoal_reply_mark shoal_reply_begin(shoal_reply *reply)
{
    /* Counted from the start of the content, which growing may move. */
    shoal_reply_mark mark = shoal_buffer_size(reply->out);
    write_raw(reply, "*0\r\n", DEFERRED_SIZE);
    SHOAL_ASSERT(reply->out->failed || shoal_buffer_size(reply->out) == mark + DEFERRED_SIZE);
    return mark;
}

/* Puts the header at the mark, and moves what follows when the header is longer than its room. */
static void end_deferred(shoal_reply *reply, shoal_reply_mark mark, aggregate with)
{
    shoal_buffer *out = reply->out;
    if (out->failed) return;
    SHOAL_ASSERT(mark + DEFERRED_SIZE <= shoal_buffer_size(out));
    char header[HEADER_MAX];
    size_t size = (size_t)(put_header(header, with.type, with.count) - header);
    SHOAL_ASSERT(size >= DEFERRED_SIZE);
    size_t more = size - DEFERRED_SIZE;
    if (more) {
        if (!shoal_buffer_reserve(out, more)) return;
        char *content = out->data + out->start + mark + DEFERRED_SIZE;
        memmove(content + more, content, (size_t)(out->data + out->end - content));
        shoal_buffer_commit(out, more);
    }
    memcpy(out->data + out->start + mark, header, size);
}

void shoal_reply_end_array(shoal_reply *reply, shoal_reply_mark mark, size_t count)
{
    end_deferred(reply, mark, (aggregate){'*', count});
}

void shoal_reply_end_map(shoal_reply *reply, shoal_reply_mark mark, size_t pairs)
{
    end_deferred(reply, mark, aggregate_map(reply, pairs));
}

void shoal_reply_end_set(shoal_reply *reply, shoal_reply_mark mark, size_t count)
{
    end_deferred(reply, mark, aggregate_set(reply, count));
}
