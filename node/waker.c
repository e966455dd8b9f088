/* SPDX-License-Identifier: MIT
 *
 * The waker of node/waker.h: one atomic word and one eventfd. The eventfd is edge-triggered and
 * never read: each write is a new edge, and the counter has room for 2^64 of them.
 */
#include "waker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { RUNNING = 0, NUDGED = 1, ASLEEP = 2 };

shoal_err shoal_waker__open(shoal_waker *waker, int epoll, void *mark)
{
    shoal_store_relaxed(&waker->state, RUNNING);
    waker->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (waker->eventfd < 0) return SHOAL_ERR_IO;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = mark};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, waker->eventfd, &event) == 0) return SHOAL_ERR_OK;
    close(waker->eventfd);
    waker->eventfd = -1;
    return SHOAL_ERR_IO;
}

void shoal_waker__close(shoal_waker *waker)
{
    if (waker->eventfd >= 0) close(waker->eventfd);
    waker->eventfd = -1;
}

void shoal_waker__nudge(shoal_waker *waker)
{
    /* pair: waker.nudge - the sleeper's exchange in wake. */
    if (shoal_exchange_acq_rel(&waker->state, NUDGED) != ASLEEP) return;
    uint64_t one = 1;
    ssize_t written = write(waker->eventfd, &one, sizeof one);
    (void)written; /* A full counter is readable too. */
}

bool shoal_waker__sleep(shoal_waker *waker)
{
    uint32_t expected = RUNNING;
    return shoal_cas_acq_rel(&waker->state, &expected, ASLEEP);
}

bool shoal_waker__wake(shoal_waker *waker)
{
    /* pair: waker.nudge - what the nudger wrote is read by the round that follows. */
    return shoal_exchange_acq_rel(&waker->state, RUNNING) == NUDGED;
}
