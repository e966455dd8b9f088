/* SPDX-License-Identifier: MIT
 *
 * command/bit_count.c - BITCOUNT and BITPOS: how many bits of a string, or of a range of it, are
 * one, and where the first one or zero is. Both go eight bytes at a time.
 */
#include "base/assert.h"
#include "command/bit.h"

#include <string.h>

/* ---- words ---- */

/* Words whose counts, at most 8 in each byte, fit into the bytes of one. */
#define WORDS_A_SUM 31u

static uint64_t load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The bits of each byte of a word, counted in that byte. */
static inline uint64_t count_bytes(uint64_t word)
{
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    return (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
}

/* The sum of the bytes of a word. */
static inline uint64_t sum_bytes(uint64_t word)
{
    word = (word & 0x00ff00ff00ff00ffu) + (word >> 8 & 0x00ff00ff00ff00ffu);
    return word * 0x0001000100010001u >> 48;
}

uint64_t shoal_bit__count(shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    const char *at = bytes.data;
    size_t words = bytes.size / 8, tail = bytes.size % 8;
    uint64_t count = 0;
    while (words > 0) {
        size_t batch = words < WORDS_A_SUM ? words : WORDS_A_SUM;
        uint64_t sum = 0;
        for (size_t i = 0; i < batch; i++) sum += count_bytes(load(at + 8 * i));
        count += sum_bytes(sum);
        at += 8 * batch;
        words -= batch;
    }
    uint64_t last = 0;
    if (tail > 0) memcpy(&last, at, tail);
    return count + sum_bytes(count_bytes(last));
}

uint64_t shoal_bit__find(shoal_slice bytes, bool wanted)
{
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    uint64_t dull = wanted ? 0 : UINT64_MAX;
    size_t at = 0;
    while (at + 8 <= bytes.size && load(bytes.data + at) == dull) at += 8;
    while (at < bytes.size && (uint8_t)bytes.data[at] == (uint8_t)dull) at++;
    if (at == bytes.size) return (uint64_t)bytes.size * 8;
    unsigned byte = (uint8_t)bytes.data[at] ^ (unsigned)(uint8_t)dull;
    return (uint64_t)at * 8 + (unsigned)__builtin_clz(byte) - 24;
}

/* ---- ranges ---- */

/* A range of bits: from `first` to `last`, both in it. */
typedef struct bit_range {
    int64_t first, last;
    bool bits;     /* given in bits, else in bytes */
    bool has_last; /* the client has said where it ends */
} bit_range;

/* Reads where the range begins, argument `index`, if that is there. False after writing an
 * error. */
static bool parse_first(shoal_call *call, uint32_t index, bit_range *range)
{
    SHOAL_ASSERT(index > 0);
    *range = (bit_range){.last = -1};
    return index >= call->argc || shoal_call__integer(call, index, &range->first);
}

/* Reads where it ends, the same. */
static bool parse_last(shoal_call *call, uint32_t index, bit_range *range)
{
    SHOAL_ASSERT(index > 0);
    range->has_last = index < call->argc;
    return !range->has_last || shoal_call__integer(call, index, &range->last);
}

/* Reads the unit, argument `index`, if there is one. False after writing an error. */
static bool parse_unit(shoal_call *call, uint32_t index, bit_range *range)
{
    SHOAL_ASSERT(index > 0);
    if (index >= call->argc) return true;
    range->bits = shoal_call__word(call, index, "bit");
    if (range->bits || shoal_call__word(call, index, "byte")) return true;
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

/* Counts what is given from the end from the start, and takes bytes for bits. False when nothing
 * of `bytes` is in the range. */
static bool resolve(bit_range *range, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(bytes.size <= SHOAL_VALUE_SIZE_MAX);
    int64_t total = (int64_t)bytes.size * (range->bits ? 8 : 1);
    if (range->first < 0) range->first += total;
    if (range->last < 0) range->last += total;
    if (range->first < 0) range->first = 0;
    if (range->last < 0) range->last = 0;
    if (range->last >= total) range->last = total - 1;
    if (range->first > range->last) return false;
    if (!range->bits) {
        range->first *= 8;
        range->last = range->last * 8 + 7;
    }
    return true;
}

/* ---- BITCOUNT ---- */

/* The ones in a range that lies within `bytes`. */
static uint64_t count_range(shoal_slice bytes, const bit_range *range)
{
    size_t first = (size_t)range->first / 8, last = (size_t)range->last / 8;
    SHOAL_ASSERT(first <= last && last < bytes.size);
    uint64_t count = shoal_bit__count((shoal_slice){bytes.data + first, last - first + 1});
    unsigned before = (unsigned)(uint8_t)bytes.data[first] >> (8 - range->first % 8);
    unsigned behind = (uint8_t)bytes.data[last] & ((1u << (7 - range->last % 8)) - 1);
    return count - (unsigned)__builtin_popcount(before) - (unsigned)__builtin_popcount(behind);
}

void shoal_command__bitcount(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    const shoal_item *item;
    if (!shoal_call__look_string(call, 0, &item)) return;
    if (item == NULL) {
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    if (call->argc == 3 || call->argc > 5) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    bit_range range;
    if (!parse_first(call, 2, &range) || !parse_last(call, 3, &range)) return;
    /* Both from the end, and the wrong way round: as Redis, before the unit is looked at. */
    if (range.first < 0 && range.last < 0 && range.first > range.last) {
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    if (!parse_unit(call, 4, &range)) return;
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_slice bytes = shoal_item_string(item, scratch);
    bool some = resolve(&range, bytes);
    shoal_reply_integer(&call->reply, some ? (int64_t)count_range(bytes, &range) : 0);
}

/* ---- BITPOS ---- */

/* The first bit of the range that is `wanted`, or -1. Behind a string of ones, a zero is found
 * unless the client has said where the range ends. */
static int64_t find_in(shoal_slice bytes, const bit_range *range, bool wanted)
{
    size_t first = (size_t)range->first / 8, last = (size_t)range->last / 8;
    SHOAL_ASSERT(first <= last && last < bytes.size);
    /* The bits of the first byte before the range are made such that they are not found. */
    char head = bytes.data[first];
    unsigned mask = 0xffu >> range->first % 8;
    head = (char)(wanted ? (uint8_t)head & mask : (uint8_t)head | (~mask & 0xffu));
    int64_t at = (int64_t)shoal_bit__find((shoal_slice){&head, 1}, wanted);
    if (at == 8)
        at += (int64_t)shoal_bit__find((shoal_slice){bytes.data + first + 1, last - first}, wanted);
    at += (int64_t)first * 8;
    if (at <= range->last) return at;
    return wanted || range->has_last ? -1 : range->last + 1;
}

void shoal_command__bitpos(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    int64_t wanted;
    if (!shoal_call__integer(call, 2, &wanted)) return;
    if (wanted != 0 && wanted != 1) {
        shoal_reply_error(&call->reply, "ERR The bit argument must be 1 or 0.");
        return;
    }
    const shoal_item *item;
    if (!shoal_call__look_string(call, 0, &item)) return;
    if (item == NULL) {
        shoal_reply_integer(&call->reply, wanted ? -1 : 0);
        return;
    }
    if (call->argc > 6) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    bit_range range;
    if (!parse_first(call, 3, &range) || !parse_unit(call, 5, &range)) return;
    if (!parse_last(call, 4, &range)) return;
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_slice bytes = shoal_item_string(item, scratch);
    bool some = resolve(&range, bytes);
    shoal_reply_integer(&call->reply, some ? find_in(bytes, &range, wanted != 0) : -1);
}
