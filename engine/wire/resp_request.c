/* SPDX-License-Identifier: MIT
 *
 * wire/resp_request.c - finds requests in the bytes of a client, in place. The way of a small
 * pipelined request is straight (alike.h): each of its length lines is read in one go, and its
 * arguments go to an array inside the parser; where it begins as one before, that is not read
 * again. Longer lengths are read by header_digits. Whatever is unusual (a line that is not
 * complete, a length of ten digits, an error) takes header_slow, which follows the rules of
 * redis-server 7.0 to the letter and to the word.
 *
 * How pieces are joined: after MORE, `partial` says where the next length line begins and how
 * much of it has been searched, and the arguments found so far stay in argv. They point into the
 * input, so when the caller has moved it they are moved along.
 */
#include "wire/resp.h"

#include <string.h>

#include "wire/alike.h"
#include "wire/line.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/text.h"

/* Facts of redis-server 7.0. */
#define ARGUMENTS_MAX 2147483647
#define ARGUMENTS_MAX_UNAUTHENTICATED 10
#define BULK_SIZE_MAX (512u << 20)
#define INLINE_SIZE_MAX (64u << 10)

shoal_request_limits shoal_request_limits_default(void)
{
    return (shoal_request_limits){.bulk_size_max = BULK_SIZE_MAX,
                                  .arguments_max = ARGUMENTS_MAX,
                                  .inline_size_max = INLINE_SIZE_MAX,
                                  .authenticated = true};
}

/* Ends the request, and the connection, with words for the client. */
static shoal_parse refuse(shoal_request *request, const char *complaint)
{
    SHOAL_ASSERT(complaint != NULL);
    request->argc = 0;
    request->complaint = complaint;
    shoal_request_reset(request);
    return SHOAL_PARSE_ERROR;
}

/* The request is complete and takes `size` bytes. */
static shoal_parse accept(shoal_request *request, size_t size)
{
    SHOAL_ASSERT(size > 0);
    request->size = size;
    shoal_request_reset(request);
    return SHOAL_PARSE_REQUEST;
}

static void release_argv_large(shoal_request *request)
{
    SHOAL_ASSERT((request->argv_large == NULL) == (request->argv_capacity == 0));
    if (!request->argv_large) return;
    request->allocator->release(request->allocator->context, request->argv_large,
                                request->argv_capacity * sizeof(shoal_slice),
                                _Alignof(shoal_slice));
    request->argv_large = NULL;
    request->argv_capacity = 0;
}

/* Makes room for more arguments than argv holds: four times as many, because each is there. */
static bool grow_argv(shoal_request *request)
{
    SHOAL_ASSERT(request->argc == shoal_request__room(request));
    uint64_t capacity = (uint64_t)shoal_request__room(request) * 4;
    if (request->argv == request->argv_small && request->argv_capacity >= capacity) {
        memcpy(request->argv_large, request->argv_small, sizeof(request->argv_small));
        request->argv = request->argv_large;
        return true;
    }
    if (capacity > UINT32_MAX) return false;
    const shoal_allocator *allocator = request->allocator;
    shoal_slice *argv = allocator->allocate(allocator->context, capacity * sizeof(shoal_slice),
                                            _Alignof(shoal_slice));
    if (!argv) return false;
    memcpy(argv, request->argv, request->argc * sizeof(shoal_slice));
    release_argv_large(request);
    request->argv = request->argv_large = argv;
    request->argv_capacity = (uint32_t)capacity;
    return true;
}

/* Adds an argument, growing argv where needed. */
static bool add_argument(shoal_request *request, shoal_slice argument)
{
    if (request->argc == shoal_request__room(request) && !grow_argv(request)) return false;
    SHOAL_DEBUG_ASSERT(request->argc < shoal_request__room(request));
    request->argv[request->argc++] = argument;
    return true;
}

/* ---- inline requests ---- */

/* Unquotes the arguments of `line` into argv. */
static shoal_parse split_inline(shoal_request *request, shoal_slice line, size_t size)
{
    shoal_buffer *unquoted = &request->unquoted;
    unquoted->allocator = request->allocator;
    unquoted->start = unquoted->end = 0;
    char *room = line.size ? shoal_buffer_reserve(unquoted, line.size) : NULL;
    if (line.size && !room) return refuse(request, "out of memory");

    shoal_line__walk walk = {line.data, line.data + line.size, room};
    shoal_slice argument;
    int found;
    while ((found = shoal_line__next(&walk, &argument)) == 1) {
        if (!add_argument(request, argument)) return refuse(request, "out of memory");
    }
    if (found < 0) return refuse(request, "Protocol error: unbalanced quotes in request");
    SHOAL_ASSERT((size_t)(walk.out - room) <= line.size);
    if (room) shoal_buffer_commit(unquoted, (size_t)(walk.out - room));
    return accept(request, size);
}

/* A request that does not begin with '*': one line, ended by LF or CRLF. */
static shoal_parse parse_inline(shoal_request *request, shoal_slice bytes)
{
    size_t limit = request->limits.inline_size_max;
    size_t at = request->partial.scanned;
    while (at < bytes.size && at <= limit && bytes.data[at] != '\n') at++;
    request->partial.scanned = at;
    if (at > limit) return refuse(request, "Protocol error: too big inline request");
    if (at == bytes.size) return SHOAL_PARSE_MORE;
    SHOAL_DEBUG_ASSERT(bytes.data[at] == '\n');

    size_t size = at;
    if (size && bytes.data[size - 1] == '\r') size--;
    return split_inline(request, (shoal_slice){bytes.data, size}, at + 1);
}

/* ---- length lines ---- */

/* Reads the length line at `at`, digit by digit, when it is complete and has one to nine of them,
 * not beginning with 0. Returns what is behind it, or NULL: then header_slow has to look. */
static const char *header_digits(const char *at, const char *end, uint64_t *value)
{
    SHOAL_DEBUG_ASSERT(at < end);
    const char *p = at + 1;
    const char *stop = end - p > 9 ? p + 9 : end;
    if (p >= stop || *p == '0') return NULL;
    uint32_t number = 0;
    while (p < stop && (uint8_t)(*p - '0') <= 9) number = number * 10 + (uint8_t)(*p++ - '0');
    if (end - p < 2 || *p != '\r' || p == at + 1) return NULL;
    SHOAL_DEBUG_ASSERT(number > 0 && p + 2 <= end);
    *value = number;
    return p + 2;
}

/* Finds the CR that ends the length line at partial.offset, and whatever byte comes after it.
 * REQUEST with *line_size, MORE, or ERROR when the line is too long. */
static shoal_parse header_slow(shoal_request *request, shoal_slice bytes, size_t *line_size)
{
    SHOAL_ASSERT(request->partial.offset <= bytes.size);
    const char *line = bytes.data + request->partial.offset;
    size_t size = bytes.size - request->partial.offset;
    size_t limit = request->limits.inline_size_max;
    size_t at = request->partial.scanned;
    while (at < size && at <= limit && line[at] != '\r') at++;
    request->partial.scanned = at;
    if (at > limit) {
        return refuse(request, request->partial.argc
                                   ? "Protocol error: too big bulk count string"
                                   : "Protocol error: too big mbulk count string");
    }
    if (size - at < 2) return SHOAL_PARSE_MORE;
    SHOAL_DEBUG_ASSERT(line[at] == '\r');
    *line_size = at;
    return SHOAL_PARSE_REQUEST;
}

/* Reads the first line, "*3". REQUEST means that the whole request is empty; MORE, unless it is
 * followed by a positive partial.argc, that it is not there yet. */
static shoal_parse read_count(shoal_request *request, shoal_slice bytes)
{
    SHOAL_ASSERT(request->partial.argc == 0 && request->partial.offset == 0);
    size_t size;
    shoal_parse found = header_slow(request, bytes, &size);
    if (found != SHOAL_PARSE_REQUEST) return found;

    int64_t count;
    shoal_slice digits = {bytes.data + 1, size - 1};
    if (!shoal_text_to_i64(digits, &count) || count > ARGUMENTS_MAX)
        return refuse(request, "Protocol error: invalid multibulk length");
    if (!request->limits.authenticated && count > ARGUMENTS_MAX_UNAUTHENTICATED)
        return refuse(request, "Protocol error: unauthenticated multibulk length");
    if (count > (int64_t)request->limits.arguments_max)
        return refuse(request, "Protocol error: invalid multibulk length");
    if (count <= 0) return accept(request, size + 2);

    request->partial.argc = (uint32_t)count;
    request->partial.offset = size + 2;
    request->partial.scanned = 0;
    return SHOAL_PARSE_MORE;
}

/* Reads the line of a bulk, "$5", with all that may be wrong with it. REQUEST: *value and *body are
 * set. */
static shoal_parse read_bulk_size(shoal_request *request, shoal_slice bytes, const char **body,
                                  uint64_t *value)
{
    size_t size;
    shoal_parse found = header_slow(request, bytes, &size);
    if (found != SHOAL_PARSE_REQUEST) return found;

    const char *line = bytes.data + request->partial.offset;
    if (line[0] != '$') {
        char got = line[0];
        request->complaint_char = got == '\r' || got == '\n' || got == '\0' ? ' ' : got;
        return refuse(request, "Protocol error: expected '$', got '%c'");
    }
    int64_t length;
    if (!shoal_text_to_i64((shoal_slice){line + 1, size - 1}, &length) || length < 0 ||
        (uint64_t)length > request->limits.bulk_size_max)
        return refuse(request, "Protocol error: invalid bulk length");
    if (!request->limits.authenticated && length > SHOAL_REQUEST__STRANGER_BULK_MAX)
        return refuse(request, "Protocol error: unauthenticated bulk length");
    *value = (uint64_t)length;
    *body = line + size + 2;
    SHOAL_ASSERT(*body <= bytes.data + bytes.size);
    return SHOAL_PARSE_REQUEST;
}

/* ---- multibulk requests ---- */

/* Moves the arguments found so far to where the input is now. */
static void follow_input(shoal_request *request, const char *data)
{
    uintptr_t distance = (uintptr_t)data - request->partial.base;
    if (distance == 0) return;
    SHOAL_ASSERT(data != NULL);
    for (uint32_t i = 0; i < request->argc; i++)
        request->argv[i].data = (const char *)((uintptr_t)request->argv[i].data + distance);
}

/* Takes the bulk at `*at`, which is where partial.offset says, however it is written, and leaves
 * there what is behind it; argv grows where it must. MORE when it is not all here. */
static shoal_parse read_bulk(shoal_request *request, shoal_slice bytes, const char **at)
{
    const char *body = NULL, *end = bytes.data + bytes.size;
    uint64_t size = 0;
    if (*at < end && **at == '$') body = header_digits(*at, end, &size);
    if (!body || size > shoal_request__plain_max(&request->limits)) {
        shoal_parse found = read_bulk_size(request, bytes, &body, &size);
        if (found != SHOAL_PARSE_REQUEST) return found;
    }
    /* Compared so that no sum can overflow: `body` is at most `end`. */
    if ((uint64_t)(end - body) < 2 || (uint64_t)(end - body) - 2 < size) {
        request->wanted = (uint64_t)(body - bytes.data) + size + 2;
        return SHOAL_PARSE_MORE;
    }
    if (!add_argument(request, (shoal_slice){body, size})) return refuse(request, "out of memory");
    *at = body + size + 2;
    SHOAL_DEBUG_ASSERT(*at <= end);
    return SHOAL_PARSE_REQUEST;
}

/* Reads bulks from partial.offset on until all announced arguments are there. */
static shoal_parse read_bulks(shoal_request *request, shoal_slice bytes)
{
    uint32_t announced = request->partial.argc;
    const char *at = bytes.data + request->partial.offset;
    SHOAL_ASSERT(announced > 0);
    for (;;) {
        uint32_t room = shoal_request__room(request);
        at = shoal_request__take_bulks(request, at, bytes.data + bytes.size,
                                       announced < room ? announced : room);
        size_t offset = (size_t)(at - bytes.data);
        if (request->argc == announced) return accept(request, offset);
        if (offset != request->partial.offset) request->partial.scanned = 0;
        request->partial.offset = offset;
        shoal_parse found = read_bulk(request, bytes, &at);
        if (found != SHOAL_PARSE_REQUEST) return found;
    }
}

/* A request that begins with '*'. */
static shoal_parse parse_multibulk(shoal_request *request, shoal_slice bytes)
{
    if (request->partial.argc == 0) {
        uint64_t count;
        const char *behind =
            shoal_request__glance(bytes.data, bytes.data + bytes.size, '*', &count);
        if (behind && count > 0 && count <= ARGUMENTS_MAX_UNAUTHENTICATED &&
            count <= request->limits.arguments_max) {
            request->partial.argc = (uint32_t)count;
            request->partial.offset = (size_t)(behind - bytes.data);
            request->partial.scanned = 0;
        } else {
            shoal_parse found = read_count(request, bytes);
            if (request->partial.argc == 0) return found;
        }
    }
    return read_bulks(request, bytes);
}

void shoal_request__trim(shoal_request *request)
{
    SHOAL_ASSERT(request->partial.base == 0);
    if (request->argv_capacity > SHOAL_REQUEST__ARGV_KEPT_MAX) release_argv_large(request);
    if (request->unquoted.capacity > SHOAL_REQUEST__UNQUOTED_KEPT_MAX)
        shoal_buffer_free(&request->unquoted);
}

shoal_parse shoal_request_parse(shoal_request *request, shoal_slice bytes)
{
    SHOAL_ASSERT(request->allocator != NULL);
    SHOAL_ASSERT(bytes.size >= request->partial.offset + request->partial.scanned);
    if (request->partial.base == 0) {
        shoal_request__begin(request);
    } else {
        follow_input(request, bytes.data);
        request->wanted = 0;
    }
    SHOAL_DEBUG_ASSERT(request->size == 0 && request->wanted == 0);
    if (bytes.size == 0) return SHOAL_PARSE_MORE;
    request->partial.base = (uintptr_t)bytes.data;
    request->text = NULL;
    if (bytes.data[0] != '*') return parse_inline(request, bytes);
    request->text = bytes.data;
    return parse_multibulk(request, bytes);
}

/* ---- requests that begin alike ---- */

shoal_request_head shoal_request_head_of(const shoal_request *request)
{
    const char *text = request->text;
    SHOAL_ASSERT(request->size > 0);
    if (!text || request->argc == 0 || request->argc > ARGUMENTS_MAX_UNAUTHENTICATED)
        return (shoal_request_head){0};
    shoal_slice name = request->argv[0];
    size_t name_at = (size_t)(name.data - text), size = name_at + name.size + 2;
    /* Ten bytes at the least: two lines of four, and the end of a line. */
    SHOAL_ASSERT(size >= 8 && size <= request->size);
    if (size > sizeof(((shoal_request_head *)0)->words)) return (shoal_request_head){0};
    uint8_t last = (uint8_t)(size - 8), middle = last < 8 ? last : 8;
    return (shoal_request_head){.words = {shoal_bytes_get_le64(text),
                                          shoal_bytes_get_le64(text + middle),
                                          shoal_bytes_get_le64(text + last)},
                                .middle = middle,
                                .last = last,
                                .size = (uint8_t)size,
                                .argc = (uint8_t)request->argc,
                                .name_at = (uint8_t)name_at,
                                .name_size = (uint8_t)name.size};
}

shoal_parse shoal_request__go_on(shoal_request *request, shoal_slice bytes, size_t offset,
                                 uint32_t argc)
{
    SHOAL_DEBUG_ASSERT(argc > request->argc && offset <= bytes.size);
    request->partial.base = (uintptr_t)bytes.data;
    request->partial.argc = argc;
    request->partial.offset = offset;
    return read_bulks(request, bytes);
}

void shoal_request_reset(shoal_request *request)
{
    SHOAL_ASSERT(request != NULL);
    memset(&request->partial, 0, sizeof(request->partial));
}

void shoal_request_free(shoal_request *request)
{
    release_argv_large(request);
    SHOAL_ASSERT(request->argv_capacity == 0);
    if (request->unquoted.allocator) shoal_buffer_free(&request->unquoted);
    request->argv = NULL;
    request->argc = 0;
    shoal_request_reset(request);
}
