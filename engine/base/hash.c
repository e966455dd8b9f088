/* SPDX-License-Identifier: MIT
 *
 * base/hash.c - the only file that sees xxhash. It is compiled in, so that short keys cost no
 * second call.
 */
#include "base/hash.h"

#include "base/assert.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t shoal_hash(shoal_slice bytes, uint64_t seed)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}
