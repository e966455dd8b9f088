/* SPDX-License-Identifier: MIT
 *
 * Clocks of virtual nodes.
 */
#include "sim/clock.h"

#include "base/assert.h"

#define MILLION INT64_C(1000000)

/* What both clocks have gone since the anchor. */
static int64_t gone(const shoal_clock *clock, int64_t now_us)
{
    int64_t elapsed = now_us - clock->anchor_us;
    SHOAL_ASSERT(elapsed >= 0);
    if (clock->drift_ppm == 0) return elapsed;
    return (int64_t)((__int128)elapsed * (MILLION + clock->drift_ppm) / MILLION);
}

void shoal_clock__start(shoal_clock *clock, int64_t now_us, int64_t mono_us)
{
    *clock = (shoal_clock){.anchor_us = now_us,
                           .mono_base_us = mono_us,
                           .wall_base_us = SHOAL_CLOCK_EPOCH_US + now_us};
}

shoal_time shoal_clock__read(const shoal_clock *clock, int64_t now_us)
{
    int64_t elapsed = gone(clock, now_us);
    return (shoal_time){.mono_us = clock->mono_base_us + elapsed,
                        .wall_us = clock->wall_base_us + (clock->frozen ? 0 : elapsed)};
}

int64_t shoal_clock__when(const shoal_clock *clock, int64_t mono_us)
{
    int64_t wait = mono_us - clock->mono_base_us;
    if (mono_us == INT64_MAX) return INT64_MAX;
    if (wait <= 0) return clock->anchor_us;
    if (clock->drift_ppm == 0) return clock->anchor_us + wait;
    int64_t speed = MILLION + clock->drift_ppm;
    return clock->anchor_us + (int64_t)(((__int128)wait * MILLION + speed - 1) / speed);
}

/* Makes the bases true now, so that a change concerns only what comes. */
static void rebase(shoal_clock *clock, int64_t now_us)
{
    shoal_time now = shoal_clock__read(clock, now_us);
    clock->anchor_us = now_us;
    clock->mono_base_us = now.mono_us;
    clock->wall_base_us = now.wall_us;
}

void shoal_clock__step(shoal_clock *clock, int64_t now_us, int64_t by_us)
{
    rebase(clock, now_us);
    clock->wall_base_us += by_us;
    if (clock->wall_base_us < 0) clock->wall_base_us = 0;
}

void shoal_clock__drift(shoal_clock *clock, int64_t now_us, int32_t ppm)
{
    rebase(clock, now_us);
    clock->drift_ppm = ppm;
}

void shoal_clock__freeze(shoal_clock *clock, int64_t now_us, bool frozen)
{
    rebase(clock, now_us);
    clock->frozen = frozen;
}
