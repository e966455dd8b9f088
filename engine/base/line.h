/* SPDX-License-Identifier: MIT
 *
 * base/line.h - a look at the words of one line at once: which of them have certain upper bits. A
 * word that somebody writes meanwhile is seen as it was or as it is, or a part of it as it was:
 * what the look says is a hint, and who follows it reads the word itself and checks it. Any thread.
 */
#ifndef SHOAL_BASE_LINE_H
#define SHOAL_BASE_LINE_H

#include <stdint.h>

#include "base/assert.h"
#include "base/atomic.h"

/* Words of a line. */
#define SHOAL_LINE_WORDS 8u
/* Their bits from here on are compared. */
#define SHOAL_LINE_SHIFT 45u

/* ThreadSanitizer and the interleaving tests see every access, so there are eight of them. */
#if defined(__SANITIZE_THREAD__) || defined(SHOAL_INTERLEAVE) || !defined(__SSE2__)
#define SHOAL_LINE_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHOAL_LINE_PLAIN 1
#endif
#endif

#if defined(SHOAL_LINE_PLAIN)

/* A bit for each word of the line at `words`, a multiple of 64, whose bits from SHOAL_LINE_SHIFT on
 * are `upper`, of those that `asked` has a bit for: the others may be no words at all. */
static inline uint32_t shoal_line_match(const _Atomic uint64_t *words, uint32_t upper,
                                        uint32_t asked)
{
    uint32_t matches = 0;
    SHOAL_DEBUG_ASSERT((uintptr_t)words % (SHOAL_LINE_WORDS * sizeof *words) == 0);
    for (uint32_t i = 0; i < SHOAL_LINE_WORDS; i++) {
        if ((asked >> i & 1) == 0) continue;
        matches |= (uint32_t)(shoal_load_relaxed(&words[i]) >> SHOAL_LINE_SHIFT == upper) << i;
    }
    return matches;
}

#else

#include <immintrin.h>

/* The upper halves of the four words at `words`. */
static inline __m128i shoal_line__upper_halves(const _Atomic uint64_t *words)
{
    const __m128i *at = (const __m128i *)(uintptr_t)words;
    SHOAL_DEBUG_ASSERT((uintptr_t)at % sizeof *at == 0);
    __m128 first, second;
    /* Read by the processor alone: to the compiler, plain reads of shared words are a mistake. */
    __asm__("movaps %1, %0" : "=x"(first) : "m"(at[0]));
    __asm__("movaps %1, %0" : "=x"(second) : "m"(at[1]));
    return _mm_castps_si128(_mm_shuffle_ps(first, second, 0xdd));
}

/* A bit for each word of the line at `words`, a multiple of 64, whose bits from SHOAL_LINE_SHIFT on
 * are `upper`, of those that `asked` has a bit for: the others may be no words at all. */
static inline uint32_t shoal_line_match(const _Atomic uint64_t *words, uint32_t upper,
                                        uint32_t asked)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)words % (SHOAL_LINE_WORDS * sizeof *words) == 0);
    __m128i wanted = _mm_set1_epi32((int32_t)upper);
    __m128i first = _mm_srli_epi32(shoal_line__upper_halves(words), SHOAL_LINE_SHIFT - 32);
    __m128i second = _mm_srli_epi32(shoal_line__upper_halves(words + 4), SHOAL_LINE_SHIFT - 32);
    __m128i matches =
        _mm_packs_epi32(_mm_cmpeq_epi32(first, wanted), _mm_cmpeq_epi32(second, wanted));
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(matches, matches)) & asked & 0xff;
}

#endif

#endif
