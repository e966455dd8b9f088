/* SPDX-License-Identifier: MIT
 *
 * base/sha1.h: five words are stirred with each block of 64 bytes. The last block, or the last two,
 * are the rest of the bytes, a mark, and the number of bits.
 */
#include "base/sha1.h"

#include <string.h>

#include "base/assert.h"

#define BLOCK 64u
#define ROUNDS 80u

static uint32_t turn(uint32_t word, unsigned bits)
{
    SHOAL_DEBUG_ASSERT(bits > 0 && bits < 32);
    return word << bits | word >> (32 - bits);
}

static uint32_t get_be32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_be32(unsigned char *at, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++) at[i] = (unsigned char)(word >> (24 - 8 * i));
}

/* What round `i` makes of three of the words, with the constant of its twenty. */
static uint32_t choose(unsigned i, const uint32_t w[5])
{
    uint32_t b = w[1], c = w[2], d = w[3];
    SHOAL_DEBUG_ASSERT(i < ROUNDS);
    if (i < 20) return ((b & c) | (~b & d)) + 0x5a827999u;
    if (i < 40) return (b ^ c ^ d) + 0x6ed9eba1u;
    if (i < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
    return (b ^ c ^ d) + 0xca62c1d6u;
}

static void stir(uint32_t state[5], const unsigned char block[BLOCK])
{
    uint32_t schedule[ROUNDS], w[5];
    for (unsigned i = 0; i < 16; i++) schedule[i] = get_be32(block + 4 * (size_t)i);
    for (unsigned i = 16; i < ROUNDS; i++)
        schedule[i] =
            turn(schedule[i - 3] ^ schedule[i - 8] ^ schedule[i - 14] ^ schedule[i - 16], 1);
    memcpy(w, state, sizeof(w));
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t next = turn(w[0], 5) + choose(i, w) + w[4] + schedule[i];
        w[4] = w[3];
        w[3] = w[2];
        w[2] = turn(w[1], 30);
        w[1] = w[0];
        w[0] = next;
    }
    for (unsigned i = 0; i < 5; i++) state[i] += w[i];
}

void shoal_sha1(shoal_slice bytes, unsigned char out[SHOAL_SHA1_SIZE])
{
    uint32_t state[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    const unsigned char *at = (const unsigned char *)bytes.data;
    size_t left = bytes.size;
    SHOAL_ASSERT(at != NULL || left == 0);
    for (; left >= BLOCK; left -= BLOCK, at += BLOCK) stir(state, at);
    unsigned char last[2 * BLOCK] = {0};
    if (left > 0) memcpy(last, at, left);
    last[left] = 0x80;
    size_t size = left + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    uint64_t bits = (uint64_t)bytes.size * 8;
    put_be32(last + size - 8, (uint32_t)(bits >> 32));
    put_be32(last + size - 4, (uint32_t)bits);
    for (size_t done = 0; done < size; done += BLOCK) stir(state, last + done);
    for (unsigned i = 0; i < 5; i++) put_be32(out + 4 * (size_t)i, state[i]);
}
