/* SPDX-License-Identifier: MIT
 *
 * Counter-based random numbers: two keyed rounds of a 64-bit mixer over the counter. For one key
 * that is one to one, so a stream repeats nothing in 2^64 draws.
 */
#include "base/prng.h"

#include "base/assert.h"

/* Odd constants with no structure: digits of the golden ratio and of sqrt(3). */
#define GOLDEN 0x9E3779B97F4A7C15ull
#define ROOT3 0xBB67AE8584CAA73Bull

/* A million: what chance_ppm counts in. */
#define PPM 1000000u

shoal_prng shoal_prng_make(const uint64_t seed[2], uint32_t node, uint32_t purpose)
{
    SHOAL_ASSERT(seed != NULL);
    uint64_t who = (uint64_t)node << 32 | purpose;
    uint64_t first = shoal_prng_mix(seed[0] + GOLDEN);
    uint64_t second = shoal_prng_mix(seed[1] ^ first);
    first = shoal_prng_mix(first + shoal_prng_mix(who ^ ROOT3));
    second = shoal_prng_mix(second ^ (first + who));
    return (shoal_prng){.key = {first, second | 1}};
}

uint64_t shoal_prng_at(const shoal_prng *prng, uint64_t counter)
{
    SHOAL_DEBUG_ASSERT((prng->key[1] & 1) == 1);
    uint64_t x = shoal_prng_mix(counter * GOLDEN + prng->key[0]);
    return shoal_prng_mix((x ^ prng->key[0]) * prng->key[1]);
}

uint64_t shoal_prng_next(shoal_prng *prng)
{
    return shoal_prng_at(prng, prng->counter++);
}

uint64_t shoal_prng_below(shoal_prng *prng, uint64_t n)
{
    SHOAL_ASSERT(n > 0);
    uint64_t value = shoal_prng_next(prng);
    unsigned __int128 product = (unsigned __int128)value * n;
    /* The lowest (2^64 mod n) products would be too likely; a refused value is mixed again, not
     * drawn again, so that the counter moves by one whatever happens. That remainder is below n,
     * so the division is rarely needed. */
    if ((uint64_t)product < n) {
        uint64_t excess = (0 - n) % n;
        while ((uint64_t)product < excess) {
            value = shoal_prng_mix(value + prng->key[1]);
            product = (unsigned __int128)value * n;
        }
    }
    SHOAL_ASSERT((uint64_t)(product >> 64) < n);
    return (uint64_t)(product >> 64);
}

int64_t shoal_prng_between(shoal_prng *prng, int64_t low, int64_t high)
{
    SHOAL_ASSERT(low <= high);
    uint64_t span = (uint64_t)high - (uint64_t)low;
    uint64_t offset = span == UINT64_MAX ? shoal_prng_next(prng) : shoal_prng_below(prng, span + 1);
    SHOAL_ASSERT(offset <= span);
    return (int64_t)((uint64_t)low + offset);
}

bool shoal_prng_chance_ppm(shoal_prng *prng, uint32_t parts)
{
    SHOAL_ASSERT(parts <= PPM);
    return shoal_prng_below(prng, PPM) < parts;
}

void shoal_prng_fill(shoal_prng *prng, void *bytes, size_t size)
{
    SHOAL_ASSERT(bytes != NULL || size == 0);
    unsigned char *to = bytes;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) value = shoal_prng_next(prng);
        to[i] = (unsigned char)(value >> (8 * (i % 8)));
    }
}
