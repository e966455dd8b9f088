/* SPDX-License-Identifier: MIT
 *
 * sim/clock.h - the two clocks of a virtual node as functions of the world's time. The monotonic
 * clock starts at its own value and may drift; the wall clock may also be stepped and stand still.
 *
 * Pure but for the clock passed in.
 */
#ifndef SHOAL_SIM_CLOCK_H
#define SHOAL_SIM_CLOCK_H

#include <shoal/types.h>

#include "sim/schedule.h"

/* 2023-11-14 22:13:20 UTC: the wall clock at the world's time 0. Chosen: a round number. */
#define SHOAL_CLOCK_EPOCH_US (INT64_C(1700000000) * 1000000)

/* The two clocks of a node, as functions of the world's time. */
typedef struct shoal_clock {
    int64_t anchor_us; /* world time at which the bases below were true */
    int64_t mono_base_us;
    int64_t wall_base_us;
    int32_t drift_ppm;      /* the monotonic clock runs so much faster */
    int32_t wall_drift_ppm; /* the wall clock */
    bool frozen;            /* the wall clock stands at wall_base_us */
    bool mono_frozen;       /* the monotonic one at mono_base_us */
} shoal_clock;

/* Clocks that read `mono_us` and the epoch plus `now_us` at the world's time `now_us`. */
void shoal_clock__start(shoal_clock *clock, int64_t now_us, int64_t mono_us);
/* Both clocks at the world's time `now_us`, which never goes back. */
shoal_time shoal_clock__read(const shoal_clock *clock, int64_t now_us);
/* The first moment of the world's time at which the monotonic clock reads at least `mono_us`. */
int64_t shoal_clock__when(const shoal_clock *clock, int64_t mono_us);
/* How long, in the world's time, the wall clock took for the last `wall_us` that it has gone, if it
 * was not changed since; 0 for one that stands. */
int64_t shoal_clock__took(const shoal_clock *clock, int64_t wall_us);

/* Changes from `now_us` on: a step and a freeze of the wall clock, a drift of both. */
void shoal_clock__step(shoal_clock *clock, int64_t now_us, int64_t by_us);
void shoal_clock__drift(shoal_clock *clock, int64_t now_us, int32_t ppm);
void shoal_clock__freeze(shoal_clock *clock, int64_t now_us, bool frozen);
/* What a line says about one of the two clocks; a monotonic one is stepped forward only. */
void shoal_clock__change(shoal_clock *clock, int64_t now_us, const shoal_line *line);

#endif
