/* SPDX-License-Identifier: MIT
 *
 * node/lane.h: the loop. What happens on a connection is node/connection.c.
 */
#include "lane.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "clock.h"
#include "connection.h"
#include "turns.h"
#include "waker.h"

/* Connections served in one turn; more wait for the next. Chosen: a turn of 512 requests takes
 * some 3 ms at pipeline 1, and memory is reclaimed between turns. */
#define EVENTS_MAX 512

#define AHEAD_BYTES (SHOAL_AHEAD_MAX * SHOAL_AHEAD_STRIDE)

struct shoal_lane {
    shoal_desk desk;
    shoal_waker waker;
    _Atomic bool stopping; /* relaxed: the nudge that follows orders it */
    int64_t deadline;      /* of the worker: when it wants its next round */
    int64_t rested;        /* of turns.h */
    pthread_t thread;
    uint32_t index;
    struct epoll_event events[EVENTS_MAX];
};

/* One round of the worker over the first `count` events. */
static void serve(shoal_lane *lane, int count)
{
    shoal_desk *desk = &lane->desk;
    shoal_time now = shoal_clock_now();
    lane->desk.began = now.mono_us;
    shoal_worker_begin(desk->worker, now);
    for (shoal_session *session; (session = shoal_worker_ready(desk->worker)) != NULL;) {
        shoal_connection__resume(shoal_session_owner(session));
    }
    shoal_connection__flush(desk);
    for (int i = 0; i < count; i += SHOAL_AHEAD_MAX) {
        int group = count - i < SHOAL_AHEAD_MAX ? count - i : SHOAL_AHEAD_MAX;
        shoal_connection__ready(desk, lane->events + i, group);
    }
    lane->deadline = shoal_worker_end(desk->worker);
    shoal_connection__bury(desk);
}

/* Waits for events as long as the worker has nothing to do. The clock of the last round will do: it
 * is never late by more than that round took, and saves reading a clock. */
static int wait_for_events(shoal_lane *lane)
{
    int timeout = shoal_clock_timeout(lane->deadline, lane->desk.began);
    shoal_turns__pass(&lane->rested, lane->desk.began, timeout == 0);
    if (timeout != 0 && !shoal_waker__sleep(&lane->waker)) timeout = 0;
    return epoll_wait(lane->desk.epoll, lane->events, EVENTS_MAX, timeout);
}

static void close_all(shoal_lane *lane)
{
    shoal_worker_begin(lane->desk.worker, shoal_clock_now());
    shoal_connection__close_all(&lane->desk);
    (void)shoal_worker_end(lane->desk.worker);
    shoal_connection__bury(&lane->desk);
}

static void *run(void *argument)
{
    shoal_lane *lane = argument;
    char name[16];
    snprintf(name, sizeof name, "shoal-worker-%u", (unsigned)lane->index % 100);
    pthread_setname_np(pthread_self(), name);
    while (!shoal_load_relaxed(&lane->stopping)) {
        int count = wait_for_events(lane);
        SHOAL_ASSERT(count >= 0 || errno == EINTR);
        shoal_connection__stand_still(&lane->desk);
        (void)shoal_waker__wake(&lane->waker);
        serve(lane, count);
    }
    close_all(lane);
    return NULL;
}

/* What is allocated or opened; on an error the rest is left for shoal_lane__free. */
static shoal_err open_parts(shoal_lane *lane, const shoal_lane_options *options)
{
    shoal_desk *desk = &lane->desk;
    const shoal_allocator *allocator = options->allocator;
    desk->allocator = allocator;
    desk->worker = options->worker;
    desk->output = shoal_buffer_make(allocator);
    desk->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (desk->epoll < 0) return SHOAL_ERR_IO;
    desk->input = allocator->allocate(allocator->context, SHOAL_INPUT_SIZE, 64);
    if (desk->input == NULL) return SHOAL_ERR_NO_MEMORY;
    desk->ahead = allocator->allocate(allocator->context, AHEAD_BYTES, 64);
    if (desk->ahead == NULL) return SHOAL_ERR_NO_MEMORY;
    return shoal_waker__open(&lane->waker, desk->epoll, NULL);
}

shoal_err shoal_lane__start(const shoal_lane_options *options, shoal_lane **out)
{
    const shoal_allocator *allocator = options->allocator;
    shoal_lane *lane = allocator->allocate_zeroed(allocator->context, sizeof *lane, 64);
    if (lane == NULL) return SHOAL_ERR_NO_MEMORY;
    lane->waker.eventfd = -1;
    lane->index = options->index;
    lane->desk.busy = options->busy;
    lane->deadline = 0; /* the first round is due at once */
    shoal_err error = open_parts(lane, options);
    if (error == SHOAL_ERR_OK && pthread_create(&lane->thread, NULL, run, lane) != 0) {
        error = SHOAL_ERR_IO;
    }
    if (error != SHOAL_ERR_OK) {
        shoal_lane__free(lane);
        return error;
    }
    *out = lane;
    return SHOAL_ERR_OK;
}

void shoal_lane__stop(shoal_lane *lane)
{
    shoal_store_relaxed(&lane->stopping, true);
    shoal_waker__nudge(&lane->waker);
    pthread_join(lane->thread, NULL);
}

void shoal_lane__free(shoal_lane *lane)
{
    const shoal_allocator *allocator = lane->desk.allocator;
    shoal_waker__close(&lane->waker);
    if (lane->desk.epoll >= 0) close(lane->desk.epoll);
    if (lane->desk.input) {
        allocator->release(allocator->context, lane->desk.input, SHOAL_INPUT_SIZE, 64);
    }
    if (lane->desk.ahead) {
        allocator->release(allocator->context, lane->desk.ahead, AHEAD_BYTES, 64);
    }
    shoal_buffer_free(&lane->desk.output);
    allocator->release(allocator->context, lane, sizeof *lane, 64);
}

void shoal_lane__nudge(shoal_lane *lane)
{
    shoal_waker__nudge(&lane->waker);
}

bool shoal_lane__adopt(shoal_lane *lane, int descriptor, bool unix_socket)
{
    return shoal_connection__make(&lane->desk, descriptor, unix_socket) != NULL;
}

uint32_t shoal_lane__load(const shoal_lane *lane)
{
    return shoal_load_relaxed(&lane->desk.load);
}
