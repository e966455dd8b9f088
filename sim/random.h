/* SPDX-License-Identifier: MIT
 *
 * sim/random.h - what chance is used for in a world, each use a stream of its own (base/prng.h),
 * and distributions in integers: the same on every compiler and machine.
 *
 * Pure but for the values passed in.
 */
#ifndef SHOAL_SIM_RANDOM_H
#define SHOAL_SIM_RANDOM_H

#include "base/prng.h"
#include "sim/schedule.h"

/* Purposes of streams. Never renumber: every seed would mean another run. */
enum {
    SHOAL_PURPOSE_NODE_SEED = 1,  /* entropy of a node's start */
    SHOAL_PURPOSE_CLOCK = 2,      /* where its clocks start */
    SHOAL_PURPOSE_WAY = 3,        /* latency and splits of one direction of one connection */
    SHOAL_PURPOSE_DISK = 4,       /* latency of a node's disk */
    SHOAL_PURPOSE_TORN = 5,       /* what survives a crash */
    SHOAL_PURPOSE_CLIENT_KEY = 6, /* keys of a client */
    SHOAL_PURPOSE_CLIENT_MIX = 7, /* its commands */
    SHOAL_PURPOSE_CLIENT_GAP = 8, /* its pauses between operations */
    SHOAL_PURPOSE_CLIENT_WAY = 9, /* which node it asks when it knows none */
    SHOAL_PURPOSE_SWIZZLE = 10    /* which hosts are clogged, and when */
};

/* Jitter of `scale_us` for 64 random bits: added to the latency. Uniform and normal go both ways
 * (within, and with a standard deviation of, the scale), exponential has the scale for its mean,
 * lognormal for its median with a sigma of 1. Tails end at quantile 511/512. */
int64_t shoal_random__jitter(shoal_shape shape, int64_t scale_us, uint64_t bits);

/* Picks 0 .. n-1 with weights 1/(i+1)^s. */
typedef struct shoal_zipf {
    uint64_t *sums; /* running sums of the weights */
    uint32_t count;
} shoal_zipf;

/* Weights are computed in fixed point. `exponent_milli` is s in thousandths; 0 is uniform. */
void shoal_zipf__make(shoal_zipf *zipf, uint32_t count, uint32_t exponent_milli);
void shoal_zipf__free(shoal_zipf *zipf);
/* The pick for one draw of `stream`. */
uint32_t shoal_zipf__pick(const shoal_zipf *zipf, shoal_prng *stream);

#endif
