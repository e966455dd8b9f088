/* SPDX-License-Identifier: MIT
 *
 * base/hash.c - what sees xxhash, and name.c beside it. It is compiled in, so that short keys cost
 * no second call.
 */
#include "base/hash.h"

#include "base/assert.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Of a short string, which takes no loop. */
#define SHORT_SIZE_MAX 16u

/* Longer ones apart: what they need to be saved would cost the short ones as much as hashing. */
static __attribute__((noinline)) uint64_t hash_longer(shoal_slice bytes, uint64_t seed)
{
    SHOAL_DEBUG_ASSERT(bytes.size > SHORT_SIZE_MAX);
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

uint64_t shoal_hash(shoal_slice bytes, uint64_t seed)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    if (bytes.size > SHORT_SIZE_MAX) return hash_longer(bytes, seed);
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}
