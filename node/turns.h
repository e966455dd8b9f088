/* SPDX-License-Identifier: MIT
 *
 * node/turns.h - how a thread that has much to do lets others go first: values to free, a command
 * in steps, a snapshot. Who waits for its processor would otherwise wait for the kernel's next
 * tick, 4 ms, and our clients on this machine with them. Where nobody waits it costs a system call.
 *
 * Threads: each for itself.
 */
#ifndef SHOAL_NODE_TURNS_H
#define SHOAL_NODE_TURNS_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"

/* After so long others go first. Chosen: a client waits for it once or twice, and a system call in
 * this time is nothing. */
#define SHOAL_TURN_US 100

/* Called between two things to do, at the time `now_us`: lets others go first when the thread
 * `goes_on` without waiting for anything, and has done so for a turn. `*rested_us` is the thread's,
 * 0 at first. To sleep for some microseconds instead would also stop it where nobody waits, and a
 * shorter slice of the kernel's took a fourth off what a lane served on a busy machine. */
static inline void shoal_turns__pass(int64_t *rested_us, int64_t now_us, bool goes_on)
{
    SHOAL_DEBUG_ASSERT(now_us >= *rested_us);
    bool long_turn = now_us - *rested_us >= SHOAL_TURN_US;
    if (goes_on && long_turn) (void)sched_yield();
    if (!goes_on || long_turn) *rested_us = now_us;
}

/* The slice of a thread that stands back: the longest that the system takes. */
#define SHOAL_TURN_LONG_NS 100000000

/* For a thread that serves nobody and is long in the kernel: it has ordinary priority, even when
 * its process has a higher one (a lower one it keeps), does not take a processor away from others
 * when it wakes, and gives its own to whoever wakes and has a shorter slice (as all others have),
 * also in the middle of a call. Its part of the time stays. Where the system refuses, it is a
 * thread like any. */
static inline void shoal_turns__stand_back(void)
{
    int nice_now = getpriority(PRIO_PROCESS, 0);
    /* What sched_setattr takes, in its first form; not all C libraries have it. */
    const struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t slice_ns, deadline_ns, period_ns;
    } attributes = {.size = sizeof attributes,
                    .policy = SCHED_BATCH,
                    .nice = nice_now > 0 ? nice_now : 0,
                    .slice_ns = SHOAL_TURN_LONG_NS};
    _Static_assert(sizeof attributes == 48, "what the system takes");
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0u);
}

#endif
