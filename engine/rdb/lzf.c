/* SPDX-License-Identifier: MIT
 *
 * rdb/lzf.c - see lzf.h. The compressor remembers where each beginning of three bytes was seen
 * last, in a table as large as the text makes worth while, and takes the first repetition that it
 * meets. Where nothing repeats itself it looks at fewer and fewer places.
 */
#include "rdb/lzf.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define LITERAL_MAX 32u
#define COPY_MIN 3u
#define COPY_MAX 264u
#define DISTANCE_MAX 8192u
#define TABLE_BITS_MAX 13u
#define TABLE_BITS_MIN 6u
/* After so many misses (2 to that power) every other place is looked at, then every third ... */
#define PATIENCE_BITS 4u

/* What is being compressed. */
typedef struct squeeze {
    const unsigned char *text;
    uint32_t size;
    unsigned char *out;
    size_t used, room;
} squeeze;

/* Writes the text from `from` to `to` as it is. False without room. */
static bool put_literals(squeeze *work, uint32_t from, uint32_t to)
{
    SHOAL_ASSERT(from <= to && to <= work->size);
    while (from < to) {
        uint32_t count = to - from < LITERAL_MAX ? to - from : LITERAL_MAX;
        if (work->room - work->used < count + 1) return false;
        work->out[work->used++] = (unsigned char)(count - 1);
        memcpy(work->out + work->used, work->text + from, count);
        work->used += count;
        from += count;
    }
    return true;
}

static bool put_copy(squeeze *work, uint32_t distance, uint32_t count)
{
    SHOAL_ASSERT(distance >= 1 && distance <= DISTANCE_MAX);
    SHOAL_ASSERT(count >= COPY_MIN && count <= COPY_MAX);
    if (work->room - work->used < 3) return false;
    uint32_t back = distance - 1, extra = count - 2;
    unsigned char *at = work->out + work->used;
    if (extra < 7) {
        *at++ = (unsigned char)(extra << 5 | back >> 8);
    } else {
        *at++ = (unsigned char)(7u << 5 | back >> 8);
        *at++ = (unsigned char)(extra - 7);
    }
    *at++ = (unsigned char)back;
    work->used = (size_t)(at - work->out);
    return true;
}

/* Bytes from `at` on that equal those from `earlier` on, at most COPY_MAX. */
static uint32_t equal_bytes(const squeeze *work, uint32_t earlier, uint32_t at)
{
    uint32_t most = work->size - at < COPY_MAX ? work->size - at : COPY_MAX, count = 0;
    SHOAL_DEBUG_ASSERT(earlier < at);
    while (count < most && work->text[earlier + count] == work->text[at + count]) count++;
    return count;
}

/* The three bytes from `at` on as a number. */
static uint32_t three_at(const squeeze *work, uint32_t at)
{
    const unsigned char *text = work->text + at;
    SHOAL_DEBUG_ASSERT(at + COPY_MIN <= work->size);
    if (at + 4 <= work->size) return shoal_bytes_get_le32(text) & 0xffffff;
    return (uint32_t)text[0] | (uint32_t)text[1] << 8 | (uint32_t)text[2] << 16;
}

/* Looks for a repetition from `at` on, and moves `*at` to it. Returns its beginning, or UINT32_MAX
 * when there is none. The longer none was found, the fewer places are looked at. */
static uint32_t find_copy(const squeeze *work, uint16_t *table, uint32_t bits, uint32_t *at)
{
    uint32_t misses = 0;
    SHOAL_DEBUG_ASSERT(bits >= TABLE_BITS_MIN && bits <= TABLE_BITS_MAX);
    while (*at + COPY_MIN <= work->size) {
        uint32_t three = three_at(work, *at);
        uint16_t *seen = &table[three * 2654435761u >> (32 - bits)];
        /* Positions are kept to 16 bits, which is more than the distance that can be told. */
        uint32_t distance = (uint16_t)(*at - *seen);
        *seen = (uint16_t)*at;
        if (distance - 1u < DISTANCE_MAX && distance <= *at &&
            three_at(work, *at - distance) == three)
            return *at - distance;
        *at += 1 + (misses++ >> PATIENCE_BITS);
    }
    return UINT32_MAX;
}

size_t shoal_lzf_compress(shoal_slice bytes, char *out, size_t room)
{
    SHOAL_ASSERT(bytes.size < UINT32_MAX - LITERAL_MAX);
    /* Where the beginnings were; what was never written says position 0. */
    uint16_t table[1u << TABLE_BITS_MAX];
    uint32_t bits = TABLE_BITS_MIN;
    while (bits < TABLE_BITS_MAX && 1ull << bits < bytes.size) bits++;
    memset(table, 0, sizeof(table[0]) << bits);
    squeeze work = {.text = (const unsigned char *)bytes.data,
                    .size = (uint32_t)bytes.size,
                    .out = (unsigned char *)out,
                    .room = room};
    uint32_t told = 0;
    for (uint32_t at = 0;;) {
        uint32_t earlier = find_copy(&work, table, bits, &at);
        if (earlier == UINT32_MAX) break;
        uint32_t count = equal_bytes(&work, earlier, at);
        if (!put_literals(&work, told, at) || !put_copy(&work, at - earlier, count)) return 0;
        told = at += count;
    }
    /* Nothing repeats itself: it would get longer. */
    if (told == 0 && room < bytes.size) return 0;
    return put_literals(&work, told, work.size) ? work.used : 0;
}

bool shoal_lzf_expand(shoal_slice bytes, char *out, size_t size)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    const unsigned char *at = (const unsigned char *)bytes.data, *end = at + bytes.size;
    size_t done = 0;
    while (at < end) {
        size_t first = *at++, count = first >> 5;
        if (count == 0) {
            count = first + 1;
            if (count > (size_t)(end - at) || count > size - done) return false;
            memcpy(out + done, at, count);
            at += count;
            done += count;
            continue;
        }
        if (count == 7) {
            if (at == end) return false;
            count += *at++;
        }
        if (at == end) return false;
        size_t back = ((first & 31) << 8 | *at++) + 1;
        count += 2;
        if (back > done || count > size - done) return false;
        for (; count > 0; count--, done++) out[done] = out[done - back];
    }
    SHOAL_ASSERT(done <= size);
    return done == size;
}
