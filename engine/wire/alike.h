/* SPDX-License-Identifier: MIT
 *
 * wire/alike.h - the way of plain requests through the parser of resp.h, and a shorter one for
 * those that begin as one before, as most of a pipeline do: inline, because at that length a call
 * counts. Whatever is not plain goes back to resp_request.c. Pure, as resp.h is.
 */
#ifndef SHOAL_WIRE_ALIKE_H
#define SHOAL_WIRE_ALIKE_H

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/resp.h"

/* Largest bulk of a client that has not authenticated; a fact of redis-server 7.0. */
#define SHOAL_REQUEST__STRANGER_BULK_MAX 16384

/* Memory that a parser keeps for its next request; chosen. More is given back. */
#define SHOAL_REQUEST__ARGV_KEPT_MAX 1024u
#define SHOAL_REQUEST__UNQUOTED_KEPT_MAX 4096u

/* Elements of the array inside the parser. */
#define SHOAL_REQUEST__ARGV_SMALL (sizeof(((shoal_request *)0)->argv_small) / sizeof(shoal_slice))

/* ---- plain requests ---- */

/* A length line with '0' for its one digit or its two, as a word shows it. Where another line of
 * that form differs is in the low half of the digits' bytes, and there by nine at the most: with
 * six more, too, that half holds it. */
#define SHOAL_REQUEST__ONE_DIGIT(mark) ((uint64_t)(mark) | 0x0A0D3000u)
#define SHOAL_REQUEST__ONE_SIXES 0x600u
#define SHOAL_REQUEST__ONE_SAME 0xFFFFF0FFu
#define SHOAL_REQUEST__TWO_DIGITS(mark) ((uint64_t)(mark) | 0x0A0D303000u)
#define SHOAL_REQUEST__TWO_SIXES 0x60600u
#define SHOAL_REQUEST__TWO_SAME 0xFFFFF0F0FFu

/* Reads the length line at `at` in one go when it begins with `mark` and has one digit, or two of
 * which the first is not 0. Returns what is behind it, or NULL: it needs a closer look. */
static inline const char *shoal_request__glance(const char *at, const char *end, char mark,
                                                uint64_t *value)
{
    SHOAL_DEBUG_ASSERT(at <= end);
    if (end - at < 8) return NULL;
    uint64_t word = shoal_bytes_get_le64(at);
    uint64_t differs = word ^ SHOAL_REQUEST__ONE_DIGIT(mark);
    if (((differs | (differs + SHOAL_REQUEST__ONE_SIXES)) & SHOAL_REQUEST__ONE_SAME) == 0) {
        *value = differs >> 8 & 0xF;
        return at + 4;
    }
    differs = word ^ SHOAL_REQUEST__TWO_DIGITS(mark);
    if (((differs | (differs + SHOAL_REQUEST__TWO_SIXES)) & SHOAL_REQUEST__TWO_SAME) != 0)
        return NULL;
    *value = (differs >> 8 & 0xF) * 10 + (differs >> 16 & 0xF);
    return *value >= 10 ? at + 5 : NULL;
}

/* Elements that argv has room for now. */
static inline uint32_t shoal_request__room(const shoal_request *request)
{
    SHOAL_DEBUG_ASSERT(request->argv == request->argv_small ||
                       request->argv == request->argv_large);
    return request->argv == request->argv_small ? (uint32_t)SHOAL_REQUEST__ARGV_SMALL
                                                : request->argv_capacity;
}

/* The largest bulk that needs no look at the limits. */
static inline uint64_t shoal_request__plain_max(const shoal_request_limits *limits)
{
    uint64_t size_max = limits->bulk_size_max;
    if (limits->authenticated || size_max <= SHOAL_REQUEST__STRANGER_BULK_MAX) return size_max;
    return SHOAL_REQUEST__STRANGER_BULK_MAX;
}

/* Takes the bulks from `at` on that are here and have length lines of one or two digits, until
 * there are `argc` arguments, for which argv has room. Returns what is behind them. */
static inline const char *shoal_request__take_bulks(shoal_request *request, const char *at,
                                                    const char *end, uint32_t argc)
{
    uint64_t size_max = shoal_request__plain_max(&request->limits);
    uint32_t taken = request->argc;
    shoal_slice *argv = request->argv;
    SHOAL_DEBUG_ASSERT(taken <= argc && argc <= shoal_request__room(request));
    while (taken < argc) {
        uint64_t size;
        const char *body = shoal_request__glance(at, end, '$', &size);
        if (!body || size > size_max || size + 2 > (uint64_t)(end - body)) break;
        argv[taken].data = body;
        argv[taken].size = size;
        taken++;
        at = body + size + 2;
    }
    SHOAL_DEBUG_ASSERT(at <= end);
    request->argc = taken;
    return at;
}

/* Gives back the memory of an unusual request. */
void shoal_request__trim(shoal_request *request);

/* Forgets what was found before. */
static inline void shoal_request__begin(shoal_request *request)
{
    SHOAL_DEBUG_ASSERT(request->partial.base == 0);
    if (__builtin_expect(request->argv_capacity > SHOAL_REQUEST__ARGV_KEPT_MAX ||
                             request->unquoted.capacity > SHOAL_REQUEST__UNQUOTED_KEPT_MAX,
                         0))
        shoal_request__trim(request);
    request->argv = request->argv_small;
    request->argc = 0;
    request->size = 0;
    request->wanted = 0;
    request->complaint = NULL;
    request->complaint_char = 0;
}

/* ---- requests that begin alike ---- */

/* How a request begins, up to the end of its first argument: what the requests of a pipeline mostly
 * have in common. Zero is none. Its fields are the parser's own, but for argc. */
typedef struct shoal_request_head {
    uint64_t words[3];    /* its bytes at 0, `middle` and `last`: all of them, some twice */
    uint8_t middle, last; /* offsets */
    uint8_t size;         /* bytes; 0: none */
    uint8_t argc;
    uint8_t name_at, name_size; /* the first argument */
} shoal_request_head;

/* The head of a request that was just found. None for one that is inline or empty, has more than
 * ten arguments, or whose head has more than 24 bytes. */
shoal_request_head shoal_request_head_of(const shoal_request *request);

/* Do the bytes begin with those of the head? */
static inline bool shoal_request_is_alike(shoal_slice bytes, const shoal_request_head *head)
{
    return head->size != 0 && bytes.size >= head->size &&
           shoal_bytes_get_le64(bytes.data) == head->words[0] &&
           shoal_bytes_get_le64(bytes.data + head->middle) == head->words[1] &&
           shoal_bytes_get_le64(bytes.data + head->last) == head->words[2];
}

/* Goes the long way for the arguments of a request from `offset` on. */
shoal_parse shoal_request__go_on(shoal_request *request, shoal_slice bytes, size_t offset,
                                 uint32_t argc);

/* As shoal_request_parse, in fewer steps, for bytes that begin with those of a head. No request may
 * be under way, and the limits must allow what is in the head: those do with which it was found. */
static inline shoal_parse shoal_request_parse_alike(shoal_request *request, shoal_slice bytes,
                                                    const shoal_request_head *head)
{
    SHOAL_DEBUG_ASSERT(request->partial.base == 0 && shoal_request_is_alike(bytes, head));
    SHOAL_DEBUG_ASSERT(head->argc <= request->limits.arguments_max);
    SHOAL_DEBUG_ASSERT(head->name_size <= shoal_request__plain_max(&request->limits));
    shoal_request__begin(request);
    request->text = bytes.data;
    request->argv_small[0].data = bytes.data + head->name_at;
    request->argv_small[0].size = head->name_size;
    request->argc = 1;
    const char *at = bytes.data + head->size, *end = bytes.data + bytes.size;
    at = shoal_request__take_bulks(request, at, end, head->argc);
    size_t size = (size_t)(at - bytes.data);
    if (__builtin_expect(request->argc != head->argc, 0))
        return shoal_request__go_on(request, bytes, size, head->argc);
    request->size = size;
    return SHOAL_PARSE_REQUEST;
}

#endif
