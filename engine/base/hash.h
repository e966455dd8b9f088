/* SPDX-License-Identifier: MIT
 *
 * base/hash.h - the 64-bit hash of byte strings: XXH3 with a seed. The same bytes and seed give
 * the same hash on every machine. Not for secrets. Pure functions, any thread.
 */
#ifndef SHOAL_BASE_HASH_H
#define SHOAL_BASE_HASH_H

#include <stdint.h>

#include <shoal/types.h>

/* The hash of `bytes` under `seed`. All 64 bits are equally good. */
uint64_t shoal_hash(shoal_slice bytes, uint64_t seed);

#endif
