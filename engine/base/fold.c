/* SPDX-License-Identifier: MIT
 *
 * base/fold.h, with the PCLMULQDQ of x86-64; elsewhere nothing can be folded.
 */
#include "base/fold.h"

#include "base/assert.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define FOLDS __attribute__((target("pclmul")))
/* The leaf of cpuid that has the bit, in ecx. */
#define LEAF 1u
#define BIT_PCLMUL (1u << 1)

bool shoal_fold_can(void)
{
    uint32_t a = LEAF, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (c & BIT_PCLMUL) != 0;
}

static __m128i load(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* Moves a piece forward, onto `to`. */
FOLDS static __m128i move(__m128i piece, __m128i powers, __m128i to)
{
    __m128i first = _mm_clmulepi64_si128(piece, powers, 0x00);
    __m128i second = _mm_clmulepi64_si128(piece, powers, 0x11);
    return _mm_xor_si128(to, _mm_xor_si128(first, second));
}

FOLDS void shoal_fold(const shoal_fold_powers *powers, uint64_t crc, shoal_slice bytes,
                      char rest[SHOAL_FOLD_REST])
{
    SHOAL_ASSERT(bytes.size > 0 && bytes.size % SHOAL_FOLD_BYTES == 0);
    SHOAL_DEBUG_ASSERT(powers->near_first != 0 && powers->far_first != 0);
    __m128i far = _mm_set_epi64x((int64_t)powers->far_second, (int64_t)powers->far_first);
    __m128i near = _mm_set_epi64x((int64_t)powers->near_second, (int64_t)powers->near_first);
    const char *at = bytes.data, *end = at + bytes.size;
    __m128i a = _mm_xor_si128(load(at), _mm_set_epi64x(0, (int64_t)crc));
    __m128i b = load(at + 16), c = load(at + 32), d = load(at + 48);
    for (at += SHOAL_FOLD_BYTES; at < end; at += SHOAL_FOLD_BYTES) {
        a = move(a, far, load(at));
        b = move(b, far, load(at + 16));
        c = move(c, far, load(at + 32));
        d = move(d, far, load(at + 48));
    }
    d = move(move(move(a, near, b), near, c), near, d);
    _mm_storeu_si128((__m128i *)(void *)rest, d);
}

#else

bool shoal_fold_can(void)
{
    return false;
}

void shoal_fold(const shoal_fold_powers *powers, uint64_t crc, shoal_slice bytes,
                char rest[SHOAL_FOLD_REST])
{
    (void)powers, (void)crc, (void)bytes, (void)rest;
    SHOAL_UNREACHABLE();
}

#endif
