/* SPDX-License-Identifier: MIT
 *
 * node/control.h - the thread that runs a node's control actor: one epoll with the bus links,
 * the listeners and whatever else its owner watches, the file thread's results, nudges and the
 * deadline. It implements the door (shoal/host.h) for one node; the node itself is a function,
 * which is how tests/host puts the rules of the door to the test without an engine.
 *
 * Threads: run, watch and the operations of the host belong to one thread; nudge, wake and stop
 * may be called from any.
 */
#ifndef SHOAL_NODE_CONTROL_H
#define SHOAL_NODE_CONTROL_H

#include <shoal/host.h>

#include "busy.h"
#include "links.h"

typedef struct shoal_control shoal_control;

/* How to make one. Pointers to functions may be NULL where a comment says so. */
typedef struct shoal_control_options {
    const shoal_allocator *allocator; /* outlives it */
    /* The node: shoal_node_step with its node, or a stand-in. */
    int64_t (*step)(void *step_context, const shoal_event *event);
    void *step_context;
    const char *directory;               /* where named files are; NULL: where the process is */
    const char *files[SHOAL_FILE_COUNT]; /* path of each role, NULL for none; copied */
    const char *source;                  /* address to connect from, or ""; copied */
    void *owner;                         /* first argument of the functions below */
    /* Runs once per turn of the loop, between steps; returns when it wants to run again at the
     * latest (monotonic, microseconds). May be NULL. */
    int64_t (*chores)(void *owner, shoal_time now);
    /* A nudge of worker `index`. Any thread. May be NULL when there are no workers. */
    void (*nudge_worker)(void *owner, uint32_t index);
    /* A trace record of the node. Any thread. May be NULL. */
    void (*trace)(void *owner, const shoal_trace_record *record);
} shoal_control_options;

/* Makes one, with its file thread running. 0, SHOAL_ERR_NO_MEMORY or SHOAL_ERR_IO. */
SHOAL_MUST_USE shoal_err shoal_control__create(const shoal_control_options *options,
                                               shoal_control **out);

/* Ends it: waits for queued file operations when `drain`, drops them otherwise. Not while run
 * is running. */
void shoal_control__destroy(shoal_control *control, bool drain);

/* The operations of the door, for the node. Valid as long as `control`. */
shoal_host shoal_control__host(shoal_control *control);

/* Delivers START and then every event, until stopped. */
void shoal_control__run(shoal_control *control);

/* Makes run return after the present step. Any thread. */
void shoal_control__stop(shoal_control *control);

/* Makes the loop turn once, chores included, without an event for the node. Any thread. */
void shoal_control__wake(shoal_control *control);

/* The node's busy times (the door's `busy`), which its lanes keep too. Valid as long as `control`;
 * over with stop. */
shoal_busy *shoal_control__busy(shoal_control *control);

/* What is readable at `descriptor` ends a busy time: signals. -1, as at first: nothing does. */
void shoal_control__hurry_at(shoal_control *control, int descriptor);

/* Watches `descriptor` for bytes (or connections) while `on`, and no longer when not. */
void shoal_control__watch(shoal_control *control, int descriptor, shoal_watch *watch, bool on);

/* Gives a connection that came in on the bus port to the node. On the control thread. */
void shoal_control__accept_link(shoal_control *control, int descriptor);

#endif
