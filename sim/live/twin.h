/* SPDX-License-Identifier: MIT
 *
 * sim/live/twin.h - the simulated twin of a live run: the same schedule in a world, measured in the
 * same way, from its trace.
 *
 * One thread.
 */
#ifndef SHOAL_SIM_LIVE_TWIN_H
#define SHOAL_SIM_LIVE_TWIN_H

#include "sim/live/measure.h"

/* One simulated run. */
typedef struct shoal_twin {
    const shoal_schedule *schedule;
    uint64_t seed;
    uint32_t profile;
} shoal_twin;

/* Runs it to its end. `*violated`: an expectation or a check of the simulator did not hold. */
void shoal_twin__run(const shoal_twin *twin, shoal_measure *measure, bool *violated);

#endif
