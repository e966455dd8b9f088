/* SPDX-License-Identifier: MIT
 *
 * node/waker.h - how one thread makes another run soon, with a system call only when the other
 * sleeps (or is about to). One word says what the sleeper does:
 *
 *     RUNNING --nudge--> NUDGED --wake--> RUNNING      no system call
 *     RUNNING --sleep--> ASLEEP --nudge--> NUDGED      writes the eventfd
 *
 * Claims:
 *   1  A nudge is never lost: sleep fails when one came since the last wake, and the nudge that
 *      finds ASLEEP writes the eventfd, which ends the sleeper's epoll_wait.
 *   2  What the nudger wrote before its nudge is visible after the wake that reports it.
 *   3  At most one eventfd write happens per sleep.
 */
#ifndef SHOAL_NODE_WAKER_H
#define SHOAL_NODE_WAKER_H

#include <shoal/types.h>

#include "base/atomic.h"

/* One sleeper. Lives as long as anybody may nudge it. */
typedef struct shoal_waker {
    int eventfd;
    _Atomic uint32_t state; /* writers: any, acq_rel. pair: waker.nudge */
} shoal_waker;

/* Makes the eventfd and adds it, edge-triggered, to `epoll` with `mark` as its data. 0 or
 * SHOAL_ERR_IO. */
SHOAL_MUST_USE shoal_err shoal_waker__open(shoal_waker *waker, int epoll, void *mark);

/* Closes the eventfd; nobody may nudge any more. */
void shoal_waker__close(shoal_waker *waker);

/* Makes the sleeper run soon. Any thread. */
void shoal_waker__nudge(shoal_waker *waker);

/* True when the sleeper may block in epoll_wait; false when it has been nudged. */
bool shoal_waker__sleep(shoal_waker *waker);

/* To be called after each epoll_wait; true when it was nudged since the last call. */
bool shoal_waker__wake(shoal_waker *waker);

#endif
