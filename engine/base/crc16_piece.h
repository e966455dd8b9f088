/* SPDX-License-Identifier: MIT
 *
 * base/crc16_piece.h - the checksum of base/crc16.h by multiplication without carries, a piece of
 * sixteen bytes at a time: what crc16_fold.c and name.c share, and nobody else. Pure, any thread.
 *
 *   the name is a number N in base 2 without carries, its first byte the highest. Its checksum is
 *   N * x^16 modulo the polynomial P. Bytes of zero in front do not change it, so the first piece
 *   of sixteen bytes may be filled up with them
 *   a piece (high, low) moved forward by 128 bits is  high * x^192 + low * x^128
 *   the last piece is brought down to 79 bits:        high * x^80 + low * x^16
 *   and those are reduced as Barrett does it: the quotient by P is that of the upper 63 bits,
 *   multiplied by x^79 / P
 */
#ifndef SHOAL_BASE_CRC16_PIECE_H
#define SHOAL_BASE_CRC16_PIECE_H

#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

/* A function that multiplies so: only where shoal_fold_can. */
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

/* Eight bytes as they stand. */
static inline uint64_t shoal_piece__load(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return bytes;
}

/* A piece of a number: its higher half stands above. */
static inline __m128i shoal_piece__make(uint64_t high, uint64_t low)
{
    return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

/* The number of a name of eight to sixteen bytes, whose ends are `first` and `last`. */
static inline __m128i shoal_piece__only(uint64_t first, uint64_t last, size_t size)
{
    SHOAL_DEBUG_ASSERT(size >= HALF && size <= PIECE);
    /* What both have is taken off the first: all of it where they are the same. */
    uint32_t half = (uint32_t)(4 * (PIECE - size));
    return shoal_piece__make(__builtin_bswap64(first) >> half >> half, __builtin_bswap64(last));
}

/* Whether one of the sixteen bytes of a piece is a '{'. */
static inline bool shoal_piece__has_brace(__m128i bytes)
{
    return _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('{'))) != 0;
}

/* The sum of both halves, each multiplied by its power. */
FOLDS static inline __m128i shoal_piece__multiply(__m128i halves, __m128i powers)
{
    return _mm_xor_si128(_mm_clmulepi64_si128(halves, powers, 0x00),
                         _mm_clmulepi64_si128(halves, powers, 0x11));
}

/* The checksum of the number that a piece is. */
FOLDS static inline uint32_t shoal_piece__reduce(__m128i number)
{
    __m128i sum = shoal_piece__multiply(number, shoal_piece__make(POWER_80, POWER_16));
    __m128i quotient =
        _mm_clmulepi64_si128(_mm_srli_si128(sum, 2), shoal_piece__make(0, QUOTIENT_79), 0x00);
    /* Of x^63 times the quotient, the bits from 63 on; P is x^16 + x^12 + x^5 + 1. */
    uint32_t q = (uint32_t)_mm_cvtsi128_si32(_mm_srli_si128(quotient, 7)) >> 7;
    return ((uint32_t)_mm_cvtsi128_si32(sum) ^ q ^ q << 5 ^ q << 12) & 0xffff;
}

#endif

#endif
