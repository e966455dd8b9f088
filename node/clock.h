/* SPDX-License-Identifier: MIT
 *
 * The two clocks of this machine as the engine wants them. The only place that reads them.
 */
#ifndef SHOAL_NODE_CLOCK_H
#define SHOAL_NODE_CLOCK_H

#include <time.h>

#include <shoal/types.h>

/* One clock in microseconds. */
static inline int64_t shoal_clock_read(clockid_t clock)
{
    struct timespec moment;
    clock_gettime(clock, &moment);
    return (int64_t)moment.tv_sec * 1000000 + moment.tv_nsec / 1000;
}

/* Both clocks, now. Any thread. */
static inline shoal_time shoal_clock_now(void)
{
    return (shoal_time){.mono_us = shoal_clock_read(CLOCK_MONOTONIC),
                        .wall_us = shoal_clock_read(CLOCK_REALTIME)};
}

/* How long epoll_wait may sleep, in its milliseconds, so as not to wake before `deadline` nor
 * (by more than the rounding) after it. -1 when there is no deadline. */
static inline int shoal_clock_timeout(int64_t deadline, int64_t mono_us)
{
    if (deadline == INT64_MAX) return -1;
    if (deadline <= mono_us) return 0;
    int64_t milliseconds = (deadline - mono_us + 999) / 1000;
    return milliseconds > 60000 ? 60000 : (int)milliseconds;
}

#endif
