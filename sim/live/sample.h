/* SPDX-License-Identifier: MIT
 *
 * sim/live/sample.h - samples of a measured value from live and from simulated runs, what they have
 * in common, and how far they are apart.
 *
 * Plain data; integers only.
 */
#ifndef SHOAL_SIM_LIVE_SAMPLE_H
#define SHOAL_SIM_LIVE_SAMPLE_H

#include <shoal/types.h>

/* Values of one measure, one for each run in which it came. */
typedef struct shoal_sample {
    int64_t *values; /* sorted by shoal_sample__close */
    uint32_t count, capacity;
    uint32_t missing; /* runs in which it did not come */
} shoal_sample;

/* Adds the value of a run; a negative one is missing. */
void shoal_sample__add(shoal_sample *sample, int64_t value);
/* All values are there: sorts them. */
void shoal_sample__close(shoal_sample *sample);
void shoal_sample__free(shoal_sample *sample);
/* The value below which `permille` of a thousand lie; 0: the least, 1000: the most. There must be
 * values. Between two of them it is interpolated. */
int64_t shoal_sample__at(const shoal_sample *sample, uint32_t permille);

/* What two samples say about each other. */
typedef struct shoal_contrast {
    bool possible;     /* both have values */
    uint32_t distance; /* of Kolmogorov and Smirnov, in thousandths */
    uint32_t critical; /* the distance that samples of one distribution exceed in a twentieth of all
                          cases, in thousandths; above 1000: too few values to say anything */
    bool differs;      /* distance > critical */
    bool overlap;      /* of their ranges from least to most */
} shoal_contrast;
shoal_contrast shoal_sample__contrast(const shoal_sample *a, const shoal_sample *b);

#endif
