/* SPDX-License-Identifier: MIT
 *
 * sim/live/loop.h with epoll. One event is fetched at a time, so that what a handler closes cannot
 * be among events that were fetched before it.
 */
#define _GNU_SOURCE /* ppoll */
#include "sim/live/loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/live/signals.h"

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool shoal_loop__make(shoal_loop *loop)
{
    *loop = (shoal_loop){.poller = epoll_create1(EPOLL_CLOEXEC),
                         .began_ns = clock_ns(),
                         .memory = shoal_allocator_default()};
    return loop->poller >= 0;
}

void shoal_loop__free(shoal_loop *loop)
{
    if (loop->poller >= 0) close(loop->poller);
    loop->poller = -1;
}

int64_t shoal_loop__now(const shoal_loop *loop)
{
    return (clock_ns() - loop->began_ns) / 1000;
}

void shoal_loop__arm(shoal_loop *loop, shoal_timer *timer, int64_t at_us)
{
    SHOAL_ASSERT(timer->fire != NULL);
    if (timer->node.inside) shoal_heap_remove(&loop->timers, &timer->node);
    timer->node.key = at_us;
    shoal_heap_push(&loop->timers, &timer->node);
}

void shoal_loop__disarm(shoal_loop *loop, shoal_timer *timer)
{
    if (timer->node.inside) shoal_heap_remove(&loop->timers, &timer->node);
}

/* ---- descriptors ---- */

void shoal_loop__watch(shoal_loop *loop, shoal_watch *watch, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    SHOAL_ASSERT(!watch->open && watch->ready != NULL && descriptor >= 0);
    watch->descriptor = descriptor;
    watch->open = epoll_ctl(loop->poller, EPOLL_CTL_ADD, descriptor, &event) == 0;
    SHOAL_ASSERT(watch->open);
}

void shoal_loop__want(shoal_loop *loop, shoal_watch *watch, bool reading, bool writing)
{
    struct epoll_event event = {.events = (reading ? EPOLLIN : 0u) | (writing ? EPOLLOUT : 0u),
                                .data.ptr = watch};
    SHOAL_ASSERT(watch->open);
    int result = epoll_ctl(loop->poller, EPOLL_CTL_MOD, watch->descriptor, &event);
    SHOAL_ASSERT(result == 0);
}

void shoal_loop__close(shoal_loop *loop, shoal_watch *watch)
{
    if (!watch->open) return;
    epoll_ctl(loop->poller, EPOLL_CTL_DEL, watch->descriptor, NULL);
    close(watch->descriptor);
    watch->open = false;
}

/* ---- serving ---- */

/* Serves one descriptor that is ready now; false when none is. */
static bool serve_one(shoal_loop *loop)
{
    struct epoll_event event;
    if (epoll_wait(loop->poller, &event, 1, 0) != 1) return false;
    shoal_watch *watch = event.data.ptr;
    bool over = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
    watch->ready(watch->context, over || (event.events & EPOLLIN), event.events & EPOLLOUT);
    return true;
}

/* Waits until a descriptor is ready or the moment has come. */
static void wait_until(shoal_loop *loop, int64_t at_us)
{
    struct pollfd poller = {.fd = loop->poller, .events = POLLIN};
    int64_t left_ns = (at_us * 1000 + loop->began_ns) - clock_ns();
    if (left_ns <= 0) return;
    struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    (void)ppoll(&poller, 1, &left, NULL);
}

/* Serves the first timer if its moment has come. */
static bool fire_one(shoal_loop *loop)
{
    shoal_heap_node *first = loop->timers.first;
    if (first == NULL || first->key > shoal_loop__now(loop)) return false;
    int64_t late_us = shoal_loop__now(loop) - first->key;
    if (late_us > loop->late_us) loop->late_us = late_us;
    shoal_heap_remove(&loop->timers, first);
    shoal_timer *timer = (shoal_timer *)(void *)first; /* its first member */
    timer->fire(timer->context);
    return true;
}

bool shoal_loop__run(shoal_loop *loop, int64_t until_us, bool (*done)(void *context), void *context)
{
    _Static_assert(offsetof(shoal_timer, node) == 0, "a timer begins with its node");
    for (;;) {
        if (shoal_signals__pending()) return false;
        bool served = fire_one(loop);
        served = serve_one(loop) || served;
        if (done && done(context)) return true;
        if (served) continue;
        int64_t next = loop->timers.first ? loop->timers.first->key : until_us;
        if (shoal_loop__now(loop) >= until_us) return false;
        wait_until(loop, next < until_us ? next : until_us);
    }
}
