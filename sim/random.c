/* SPDX-License-Identifier: MIT
 *
 * Distributions without floating point: quantile tables with linear interpolation for jitter,
 * fixed-point powers for Zipf's weights.
 */
#include "sim/random.h"

#include "base/assert.h"
#include "sim/memory.h"

/* Quantiles at i/64, ends cut at 1/512, in units of 1/65536: inverse distribution functions of the
 * standard normal, of the exponential with mean 1, and exp of the normal. */
#define KNOTS 64
static const int32_t quantiles[SHOAL_SHAPE_COUNT][KNOTS + 1] = {
    [SHOAL_SHAPE_NORMAL] = {-189113, -141156, -122076, -109834, -100540, -92917, -86377, -80600,
                            -75389,  -70616,  -66191,  -62048,  -58140,  -54428, -50884, -47482,
                            -44203,  -41032,  -37954,  -34958,  -32032,  -29170, -26362, -23601,
                            -20882,  -18199,  -15545,  -12917,  -10310,  -7718,  -5139,  -2567,
                            0,       2567,    5139,    7718,    10310,   12917,  15545,  18199,
                            20882,   23601,   26362,   29170,   32032,   34958,  37954,  41032,
                            44203,   47482,   50884,   54428,   58140,   62048,  66191,  70616,
                            75389,   80600,   86377,   92917,   100540,  109834, 122076, 141156,
                            189113},
    [SHOAL_SHAPE_EXPONENTIAL] = {128,    1032,   2081,   3146,   4230,   5331,   6451,   7591,
                                 8751,   9932,   11135,  12360,  13608,  14880,  16178,  17502,
                                 18854,  20233,  21643,  23083,  24556,  26063,  27605,  29184,
                                 30802,  32461,  34164,  35911,  37707,  39553,  41453,  43409,
                                 45426,  47507,  49656,  51877,  54177,  56561,  59034,  61604,
                                 64280,  67069,  69982,  73031,  76228,  79590,  83133,  86879,
                                 90852,  95082,  99603,  104460, 109706, 115408, 121654, 128559,
                                 136278, 145029, 155132, 167080, 181704, 200558, 227130, 272557,
                                 408835},
    [SHOAL_SHAPE_LOGNORMAL] = {3658,   7604,   10174,  12264,  14133,  15876,  17542,  19158,
                               20744,  22311,  23870,  25427,  26990,  28562,  30150,  31756,
                               33385,  35040,  36725,  38444,  40198,  41993,  43831,  45717,
                               47654,  49646,  51697,  53812,  55996,  58255,  60593,  63018,
                               65536,  68154,  70882,  73727,  76701,  79814,  83080,  86513,
                               90129,  93947,  97988,  102278, 106845, 111722, 116948, 122572,
                               128649, 135249, 142454, 150372, 159134, 168913, 179934, 192504,
                               207048, 224182, 244841, 270534, 303907, 350212, 422138, 564801,
                               1174073},
};

int64_t shoal_random__jitter(shoal_shape shape, int64_t scale_us, uint64_t bits)
{
    int64_t fraction = (int64_t)(bits >> 48); /* 16 bits */
    int64_t value;
    if (scale_us == 0) return 0;
    if (shape == SHOAL_SHAPE_UNIFORM) {
        value = fraction * 2 - 65536;
    } else {
        int64_t at = fraction * KNOTS;
        const int32_t *knot = &quantiles[shape][at >> 16];
        value = knot[0] + (((knot[1] - knot[0]) * (at & 65535)) >> 16);
    }
    return (int64_t)(((__int128)value * scale_us) >> 16);
}

/* ---- Zipf ---- */

/* log2(x) for x >= 1 in units of 2^-32: the integer part from the highest bit, the rest by
 * squaring, one bit each time. */
static uint64_t log2_fixed(uint64_t x)
{
    uint64_t whole = 63u - (uint64_t)__builtin_clzll(x);
    uint64_t mantissa = x << (63 - whole); /* 1.63 fixed point in [1, 2) */
    uint64_t result = whole << 32;
    for (int bit = 31; bit >= 0; bit--) {
        unsigned __int128 square = (unsigned __int128)mantissa * mantissa; /* 2.126 */
        bool two = (uint64_t)(square >> 127) != 0;
        mantissa = (uint64_t)(square >> (two ? 64 : 63));
        if (two) result |= UINT64_C(1) << bit;
    }
    return result;
}

/* 2^(-1/2), 2^(-1/4), ... in 0.63 fixed point, by repeated square roots. */
static void fill_roots(uint64_t roots[32])
{
    uint64_t value = UINT64_C(1) << 62; /* one half */
    for (int i = 0; i < 32; i++) {
        uint64_t low = 0, high = UINT64_C(1) << 63;
        while (high - low > 1) {
            uint64_t middle = low + (high - low) / 2;
            if (((unsigned __int128)middle * middle) >> 63 <= value)
                low = middle;
            else
                high = middle;
        }
        roots[i] = value = low;
    }
}

/* 2^-x for x in units of 2^-32, in 0.40 fixed point, at least 1 so that no key is impossible. */
static uint64_t exp2_fixed(uint64_t x, const uint64_t roots[32])
{
    uint64_t whole = x >> 32;
    uint64_t value = UINT64_C(1) << 63;
    for (int i = 0; i < 32; i++) {
        if (!(x & (UINT64_C(1) << (31 - i)))) continue;
        value = (uint64_t)(((unsigned __int128)value * roots[i]) >> 63);
    }
    value = whole < 40 ? value >> (23 + whole) : 0;
    return value > 0 ? value : 1;
}

void shoal_zipf__make(shoal_zipf *zipf, uint32_t count, uint32_t exponent_milli)
{
    uint64_t roots[32];
    uint64_t sum = 0;
    SHOAL_ASSERT(count > 0);
    fill_roots(roots);
    zipf->count = count;
    zipf->sums = exponent_milli ? shoal_sim__allocate(count * sizeof(*zipf->sums)) : NULL;
    for (uint32_t i = 0; exponent_milli && i < count; i++) {
        unsigned __int128 power = (unsigned __int128)log2_fixed(i + 1) * exponent_milli / 1000;
        sum += exp2_fixed((uint64_t)power, roots);
        zipf->sums[i] = sum;
    }
}

void shoal_zipf__free(shoal_zipf *zipf)
{
    shoal_sim__free(zipf->sums);
    *zipf = (shoal_zipf){0};
}

uint32_t shoal_zipf__pick(const shoal_zipf *zipf, shoal_prng *stream)
{
    if (zipf->sums == NULL) return (uint32_t)shoal_prng_below(stream, zipf->count);
    uint64_t aim = shoal_prng_below(stream, zipf->sums[zipf->count - 1]);
    uint32_t low = 0, high = zipf->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zipf->sums[middle] > aim)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
