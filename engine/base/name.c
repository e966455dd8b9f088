/* SPDX-License-Identifier: MIT
 *
 * base/name.c - slot and hash of a name at once. Names of nine to sixteen bytes are two words that
 * may overlap, which is what both numbers are made of; xxhash is compiled in as in hash.c.
 */
#include "base/name.h"

#include "base/assert.h"
#include "base/crc16.h"
#include "base/crc16_piece.h"
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

shoal_name_sums shoal_name_sum(shoal_slice name, uint64_t seed)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    return (shoal_name_sums){shoal_hash(name, seed), shoal_crc16_slot(name)};
}

#if defined(__x86_64__)

/* Names that are not two words, and those with a brace. */
static __attribute__((noinline)) shoal_name_sums sum_other(shoal_slice name, uint64_t seed)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    return (shoal_name_sums){shoal_hash(name, seed), shoal_crc16_slot_folded(name)};
}

FOLDS shoal_name_sums shoal_name_sum_folded(shoal_slice name, uint64_t seed)
{
    SHOAL_ASSERT(name.data != NULL || name.size == 0);
    if (__builtin_expect(name.size - HALF - 1 >= HALF, 0)) return sum_other(name, seed);
    uint64_t first = shoal_piece__load(name.data);
    uint64_t last = shoal_piece__load(name.data + name.size - HALF);
    __m128i number = shoal_piece__only(first, last, name.size);
    if (__builtin_expect(shoal_piece__has_brace(number), 0)) return sum_other(name, seed);
    uint64_t hash = XXH3_64bits_withSeed(name.data, name.size, seed);
    return (shoal_name_sums){hash, shoal_piece__reduce(number) & (SHOAL_SLOTS - 1u)};
}

#else

shoal_name_sums shoal_name_sum_folded(shoal_slice name, uint64_t seed)
{
    (void)name;
    (void)seed;
    SHOAL_UNREACHABLE();
}

#endif
