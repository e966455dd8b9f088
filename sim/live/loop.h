/* SPDX-License-Identifier: MIT
 *
 * sim/live/loop.h - the real clock and real sockets for live runs: descriptors that are watched and
 * timers, served one after the other in one thread. Times are microseconds since the loop was
 * made, on a clock that no one sets.
 */
#ifndef SHOAL_SIM_LIVE_LOOP_H
#define SHOAL_SIM_LIVE_LOOP_H

#include <shoal/types.h>

#include "base/heap.h"

/* A moment at which something is called. Zero is not armed. Lives in what it is about. */
typedef struct shoal_timer {
    shoal_heap_node node;
    void (*fire)(void *context);
    void *context;
} shoal_timer;

/* A descriptor that is watched. Lives in what it is about. Zero is none. */
typedef struct shoal_watch {
    int descriptor;
    bool open;
    void (*ready)(void *context, bool readable, bool writable);
    void *context;
} shoal_watch;

/* What one live run waits for. */
typedef struct shoal_loop {
    int poller;
    int64_t began_ns;
    shoal_heap timers;
    int64_t late_us;        /* by how much a timer came too late at most: the machine was busy */
    shoal_allocator memory; /* for buffers of what it serves */
} shoal_loop;

/* Makes and ends a loop. False when the system gives none. */
bool shoal_loop__make(shoal_loop *loop);
void shoal_loop__free(shoal_loop *loop);

/* Microseconds since it was made. */
int64_t shoal_loop__now(const shoal_loop *loop);
/* Sets a timer to a moment, or to another one; takes it back. */
void shoal_loop__arm(shoal_loop *loop, shoal_timer *timer, int64_t at_us);
void shoal_loop__disarm(shoal_loop *loop, shoal_timer *timer);

/* Begins to watch a descriptor, changes what for, and ends it and closes the descriptor. */
void shoal_loop__watch(shoal_loop *loop, shoal_watch *watch, int descriptor);
void shoal_loop__want(shoal_loop *loop, shoal_watch *watch, bool reading, bool writing);
void shoal_loop__close(shoal_loop *loop, shoal_watch *watch);

/* Serves everything until `done(context)` is true after something was served, or until the moment
 * `until_us`, or until a signal has asked the program to end. True when `done` was. */
bool shoal_loop__run(shoal_loop *loop, int64_t until_us, bool (*done)(void *context),
                     void *context);

#endif
