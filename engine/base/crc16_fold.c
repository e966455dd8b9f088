/* SPDX-License-Identifier: MIT
 *
 * base/crc16_fold.c - the slot of a key by multiplication without carries, sixteen bytes a step: a
 * third of the instructions that tables take for a name of sixteen bytes.
 *
 *   the name is a number N in base 2 without carries, its first byte the highest. Its checksum is
 *   N * x^16 modulo the polynomial P. Bytes of zero in front do not change it, so the first piece
 *   of sixteen bytes may be filled up with them
 *   a piece (high, low) moved forward by 128 bits is  high * x^192 + low * x^128
 *   the last piece is brought down to 79 bits:        high * x^80 + low * x^16
 *   and those are reduced as Barrett does it: the quotient by P is that of the upper 63 bits,
 *   multiplied by x^79 / P
 */
#include "base/crc16.h"
#include "base/fold.h"

#include <string.h>

#include "base/assert.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define FOLDS __attribute__((target("pclmul")))
/* Bytes of a piece. */
#define PIECE ((size_t)16)
#define HALF (PIECE / 2)

/* Powers of x modulo the polynomial. */
#define POWER_16 0x1021
#define POWER_80 0xeb23
#define POWER_128 0xaefc
#define POWER_192 0x650b
/* x^79 divided by the polynomial. */
#define QUOTIENT_79 0x88981a38d020d9a1u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bytes are turned around");

static uint64_t load(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return bytes;
}

/* Whether one of sixteen bytes is a '{'. */
static bool has_brace(uint64_t first, uint64_t second)
{
    __m128i bytes = _mm_set_epi64x((int64_t)second, (int64_t)first);
    return _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('{'))) != 0;
}

/* A piece of a number: its higher half stands above. */
static __m128i piece(uint64_t high, uint64_t low)
{
    return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

/* The sum of both halves, each multiplied by its power. */
FOLDS static __m128i multiply(__m128i halves, __m128i powers)
{
    return _mm_xor_si128(_mm_clmulepi64_si128(halves, powers, 0x00),
                         _mm_clmulepi64_si128(halves, powers, 0x11));
}

/* The checksum of the number that a piece is. */
FOLDS static uint32_t reduce(__m128i number)
{
    __m128i sum = multiply(number, piece(POWER_80, POWER_16));
    __m128i quotient = _mm_clmulepi64_si128(_mm_srli_si128(sum, 2), piece(0, QUOTIENT_79), 0x00);
    /* Of x^63 times the quotient, the bits from 63 on; P is x^16 + x^12 + x^5 + 1. */
    uint32_t q = (uint32_t)_mm_cvtsi128_si32(_mm_srli_si128(quotient, 7)) >> 7;
    return ((uint32_t)_mm_cvtsi128_si32(sum) ^ q ^ q << 5 ^ q << 12) & 0xffff;
}

/* The first piece of a name of at least sixteen bytes: what is behind it is a multiple of that.
 * `*taken` are the bytes of the name that it has. */
static inline __m128i first_of_many(shoal_slice name, size_t *taken)
{
    SHOAL_DEBUG_ASSERT(name.size >= PIECE);
    size_t spare = (0 - name.size) % PIECE;
    unsigned __int128 number = (unsigned __int128)__builtin_bswap64(load(name.data)) << 64 |
                               __builtin_bswap64(load(name.data + HALF));
    number >>= 8 * spare;
    *taken = PIECE - spare;
    return piece((uint64_t)(number >> 64), (uint64_t)number);
}

/* The number of a name of eight to sixteen bytes, whose ends are `first` and `last`. */
static inline __m128i only_one(uint64_t first, uint64_t last, size_t size)
{
    SHOAL_DEBUG_ASSERT(size >= HALF && size <= PIECE);
    /* What both have is taken off the first: all of it where they are the same. */
    uint32_t half = (uint32_t)(4 * (PIECE - size));
    return piece(__builtin_bswap64(first) >> half >> half, __builtin_bswap64(last));
}

/* The slot of a name of more than sixteen bytes. */
FOLDS static __attribute__((noinline)) uint32_t slot_of_many(shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.size > PIECE);
    if (has_brace(load(name.data), load(name.data + HALF))) return shoal_crc16_slot(name);
    size_t at;
    __m128i number = first_of_many(name, &at);
    for (; at < name.size; at += PIECE) {
        uint64_t high = load(name.data + at), low = load(name.data + at + HALF);
        if (has_brace(high, low)) return shoal_crc16_slot(name);
        number = _mm_xor_si128(multiply(number, piece(POWER_192, POWER_128)),
                               piece(__builtin_bswap64(high), __builtin_bswap64(low)));
    }
    return reduce(number) & (SHOAL_SLOTS - 1u);
}

FOLDS uint32_t shoal_crc16_slot_folded(shoal_slice name)
{
    SHOAL_ASSERT(name.data != NULL || name.size == 0);
    if (name.size < HALF) return shoal_crc16_slot(name);
    if (name.size > PIECE) return slot_of_many(name);
    uint64_t first = load(name.data), last = load(name.data + name.size - HALF);
    if (has_brace(first, last)) return shoal_crc16_slot(name);
    return reduce(only_one(first, last, name.size)) & (SHOAL_SLOTS - 1u);
}

#else

uint32_t shoal_crc16_slot_folded(shoal_slice name)
{
    (void)name;
    SHOAL_UNREACHABLE();
}

#endif
