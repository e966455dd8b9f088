/* SPDX-License-Identifier: MIT
 *
 * rdb/lzf.c - see lzf.h. The compressor remembers where each beginning of three bytes was seen
 * last, in a table as large as the text makes worth while, and takes the first repetition that it
 * meets.
 */
#include "rdb/lzf.h"

#include <string.h>

#include "base/assert.h"

#define LITERAL_MAX 32u
#define COPY_MIN 3u
#define COPY_MAX 264u
#define DISTANCE_MAX 8192u
#define TABLE_BITS_MAX 13u
#define TABLE_BITS_MIN 6u

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

static uint32_t hash_at(const squeeze *work, uint32_t at, uint32_t bits)
{
    const unsigned char *text = work->text + at;
    uint32_t three = (uint32_t)text[0] << 16 | (uint32_t)text[1] << 8 | text[2];
    SHOAL_DEBUG_ASSERT(bits >= TABLE_BITS_MIN && bits <= TABLE_BITS_MAX);
    return three * 2654435761u >> (32 - bits);
}

size_t shoal_lzf_compress(shoal_slice bytes, char *out, size_t room)
{
    SHOAL_ASSERT(bytes.size < UINT32_MAX);
    /* Positions plus one; 0 is nowhere. */
    uint32_t table[1u << TABLE_BITS_MAX];
    uint32_t bits = TABLE_BITS_MIN;
    while (bits < TABLE_BITS_MAX && 1ull << bits < bytes.size) bits++;
    memset(table, 0, sizeof(table[0]) << bits);
    squeeze work = {.text = (const unsigned char *)bytes.data,
                    .size = (uint32_t)bytes.size,
                    .out = (unsigned char *)out,
                    .room = room};
    uint32_t at = 0, told = 0;
    while (at + COPY_MIN <= work.size) {
        uint32_t *seen = &table[hash_at(&work, at, bits)], last = *seen;
        *seen = at + 1;
        uint32_t count = 0;
        if (last != 0 && at - (last - 1) <= DISTANCE_MAX) count = equal_bytes(&work, last - 1, at);
        if (count < COPY_MIN) {
            at++;
            continue;
        }
        if (!put_literals(&work, told, at) || !put_copy(&work, at - (last - 1), count)) return 0;
        told = at += count;
    }
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
