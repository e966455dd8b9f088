/* SPDX-License-Identifier: MIT
 *
 * base/prng.h - random streams keyed by (seed, node, purpose, counter). A draw is a pure function
 * of the four, so that one more draw for one purpose shifts nothing for any other, and a value can
 * be had again without its predecessors. Not for secrets.
 *
 * Threads: a stream belongs to one thread at a time; shoal_prng_at is pure.
 */
#ifndef SHOAL_BASE_PRNG_H
#define SHOAL_BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One stream. Plain data: a copy continues from the same place. */
typedef struct shoal_prng {
    uint64_t key[2];
    uint64_t counter; /* draws so far */
} shoal_prng;

/* A strong mix of 64 bits: one to one, every input bit reaches every output bit. */
static inline uint64_t shoal_prng_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xE9846AF9B1A615DDull;
    x ^= x >> 32;
    x *= 0xE9846AF9B1A615DDull;
    x ^= x >> 28;
    return x;
}

/* The stream for `purpose` (any number that names a use) of `node` in the run with `seed`. */
shoal_prng shoal_prng_make(const uint64_t seed[2], uint32_t node, uint32_t purpose);

/* Draw number `counter` of the stream, without moving it. */
uint64_t shoal_prng_at(const shoal_prng *prng, uint64_t counter);

/* The next 64 random bits. */
uint64_t shoal_prng_next(shoal_prng *prng);

/* Uniform in 0 .. n-1, without bias; n > 0. Always exactly one draw. */
uint64_t shoal_prng_below(shoal_prng *prng, uint64_t n);

/* Uniform in low .. high, both included. One draw. */
int64_t shoal_prng_between(shoal_prng *prng, int64_t low, int64_t high);

/* True with probability parts / 1,000,000. One draw. */
bool shoal_prng_chance_ppm(shoal_prng *prng, uint32_t parts);

/* Fills `size` bytes; one draw for every eight begun. The same on any byte order. */
void shoal_prng_fill(shoal_prng *prng, void *bytes, size_t size);

#endif
