/* SPDX-License-Identifier: MIT
 *
 * sim/live/sample.h.
 */
#include "sim/live/sample.h"

#include "base/assert.h"
#include "sim/memory.h"

void shoal_sample__add(shoal_sample *sample, int64_t value)
{
    if (value < 0) {
        sample->missing++;
        return;
    }
    sample->values = shoal_sim__grow(sample->values, &sample->capacity, sample->count + 1,
                                     sizeof(*sample->values));
    sample->values[sample->count++] = value;
}

void shoal_sample__close(shoal_sample *sample)
{
    for (uint32_t i = 1; i < sample->count; i++) {
        int64_t value = sample->values[i];
        uint32_t at = i;
        for (; at > 0 && sample->values[at - 1] > value; at--)
            sample->values[at] = sample->values[at - 1];
        sample->values[at] = value;
    }
}

void shoal_sample__free(shoal_sample *sample)
{
    shoal_sim__free(sample->values);
    *sample = (shoal_sample){0};
}

int64_t shoal_sample__at(const shoal_sample *sample, uint32_t permille)
{
    SHOAL_ASSERT(sample->count > 0 && permille <= 1000);
    uint64_t place = (uint64_t)(sample->count - 1) * permille;
    uint32_t below = (uint32_t)(place / 1000), rest = (uint32_t)(place % 1000);
    int64_t low = sample->values[below];
    if (rest == 0) return low;
    return low + (sample->values[below + 1] - low) * (int64_t)rest / 1000;
}

/* The root of a number, rounded down. */
static uint64_t root(uint64_t number)
{
    uint64_t low = 0, high = UINT64_C(1) << 32;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (middle * middle <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The greatest distance of the two stairs that count values up to each place. */
static uint32_t distance(const shoal_sample *a, const shoal_sample *b)
{
    uint32_t i = 0, j = 0;
    int64_t most = 0;
    while (i < a->count && j < b->count) {
        int64_t at = a->values[i] < b->values[j] ? a->values[i] : b->values[j];
        while (i < a->count && a->values[i] == at) i++;
        while (j < b->count && b->values[j] == at) j++;
        int64_t apart = (int64_t)i * b->count - (int64_t)j * a->count;
        if (apart < 0) apart = -apart;
        if (apart > most) most = apart;
    }
    return (uint32_t)(most * 1000 / ((int64_t)a->count * b->count));
}

shoal_contrast shoal_sample__contrast(const shoal_sample *a, const shoal_sample *b)
{
    shoal_contrast contrast = {.possible = a->count > 0 && b->count > 0};
    if (!contrast.possible) return contrast;
    uint64_t n = a->count, m = b->count;
    contrast.distance = distance(a, b);
    /* 1.358 times the root of (n + m) / (n m), the approximation for a level of 5 %. */
    contrast.critical = (uint32_t)root(UINT64_C(1844164) * (n + m) / (n * m));
    contrast.differs = contrast.distance > contrast.critical;
    contrast.overlap = a->values[0] <= b->values[m - 1] && b->values[0] <= a->values[n - 1];
    return contrast;
}
