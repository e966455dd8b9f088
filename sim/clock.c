/* SPDX-License-Identifier: MIT
 *
 * Clocks of virtual nodes.
 */
#include "sim/clock.h"

#include "base/assert.h"

#define MILLION INT64_C(1000000)

/* What a clock with this drift has gone since the anchor. */
static int64_t gone(const shoal_clock *clock, int64_t now_us, int32_t drift_ppm)
{
    int64_t elapsed = now_us - clock->anchor_us;
    SHOAL_ASSERT(elapsed >= 0);
    if (drift_ppm == 0) return elapsed;
    return (int64_t)((__int128)elapsed * (MILLION + drift_ppm) / MILLION);
}

void shoal_clock__start(shoal_clock *clock, int64_t now_us, int64_t mono_us)
{
    *clock = (shoal_clock){.anchor_us = now_us,
                           .mono_base_us = mono_us,
                           .wall_base_us = SHOAL_CLOCK_EPOCH_US + now_us};
}

shoal_time shoal_clock__read(const shoal_clock *clock, int64_t now_us)
{
    int64_t mono = clock->mono_frozen ? 0 : gone(clock, now_us, clock->drift_ppm);
    int64_t wall = clock->frozen ? 0 : gone(clock, now_us, clock->wall_drift_ppm);
    return (shoal_time){.mono_us = clock->mono_base_us + mono,
                        .wall_us = clock->wall_base_us + wall};
}

int64_t shoal_clock__took(const shoal_clock *clock, int64_t wall_us)
{
    int64_t speed = MILLION + clock->wall_drift_ppm;
    SHOAL_ASSERT(wall_us >= 0 && speed > 0);
    return clock->frozen ? 0 : (int64_t)((__int128)wall_us * MILLION / speed);
}

int64_t shoal_clock__when(const shoal_clock *clock, int64_t mono_us)
{
    int64_t wait = mono_us - clock->mono_base_us;
    if (mono_us == INT64_MAX) return INT64_MAX;
    if (wait <= 0) return clock->anchor_us;
    if (clock->mono_frozen) return INT64_MAX;
    int64_t speed = MILLION + clock->drift_ppm;
    __int128 when = clock->anchor_us + ((__int128)wait * MILLION + speed - 1) / speed;
    /* A deadline may be so far that no world gets there. */
    return when < INT64_MAX ? (int64_t)when : INT64_MAX;
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
    clock->drift_ppm = clock->wall_drift_ppm = ppm;
}

void shoal_clock__freeze(shoal_clock *clock, int64_t now_us, bool frozen)
{
    rebase(clock, now_us);
    clock->frozen = frozen;
}

static void change_wall(shoal_clock *clock, int64_t now_us, const shoal_line *line)
{
    switch ((shoal_clock_change)line->choice) {
    case SHOAL_CLOCK_STEP: shoal_clock__step(clock, now_us, line->amount); break;
    case SHOAL_CLOCK_DRIFT: clock->wall_drift_ppm = (int32_t)line->amount; break;
    case SHOAL_CLOCK_FREEZE: clock->frozen = true; break;
    case SHOAL_CLOCK_RUN: clock->frozen = false; break;
    }
}

static void change_mono(shoal_clock *clock, const shoal_line *line)
{
    switch ((shoal_clock_change)line->choice) {
    case SHOAL_CLOCK_STEP:
        SHOAL_ASSERT(line->amount >= 0);
        clock->mono_base_us += line->amount;
        break;
    case SHOAL_CLOCK_DRIFT: clock->drift_ppm = (int32_t)line->amount; break;
    case SHOAL_CLOCK_FREEZE: clock->mono_frozen = true; break;
    case SHOAL_CLOCK_RUN: clock->mono_frozen = false; break;
    }
}

void shoal_clock__change(shoal_clock *clock, int64_t now_us, const shoal_line *line)
{
    SHOAL_ASSERT(line->clock != SHOAL_CLOCK_USUAL);
    rebase(clock, now_us);
    if (line->clock == SHOAL_CLOCK_WALL)
        change_wall(clock, now_us, line);
    else
        change_mono(clock, line);
}
