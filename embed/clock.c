/* SPDX-License-Identifier: MIT
 *
 * The clocks of the machine for embedders that bring none. It stands outside the engine's rooms
 * because those may not ask for the time. It keeps no state, so any number of threads may use it.
 */
#include <shoal/types.h>

#include <time.h>

/* Microseconds on one of the system's clocks. */
static int64_t read_clock(clockid_t clock)
{
    struct timespec at;
    if (clock_gettime(clock, &at) != 0) return 0;
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

shoal_time shoal_time_now(void)
{
    return (shoal_time){
        .mono_us = read_clock(CLOCK_MONOTONIC),
        .wall_us = read_clock(CLOCK_REALTIME),
    };
}
