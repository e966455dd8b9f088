/* SPDX-License-Identifier: MIT
 *
 * node/lane.h - the threads of the data path. A lane is one thread, one epoll and one worker of
 * the node; it owns the client connections that were handed to it. One turn:
 *
 *     epoll_wait -> worker_begin -> sessions that are ready -> each readable connection:
 *     recv, session_feed, send -> worker_end
 *
 * so that a batch of requests costs one epoll_wait, and each connection in it one recv and one
 * send. Nothing in a turn blocks.
 *
 * Threads: start, stop and adopt by the control thread; nudge by any.
 */
#ifndef SHOAL_NODE_LANE_H
#define SHOAL_NODE_LANE_H

#include <shoal/node.h>

#include "busy.h"

typedef struct shoal_lane shoal_lane;

/* How to make one. */
typedef struct shoal_lane_options {
    const shoal_allocator *allocator; /* outlives the lane */
    shoal_worker *worker;             /* driven by this lane alone */
    shoal_busy *busy;                 /* the node's; outlives the lane */
    uint32_t index;                   /* for the thread's name */
} shoal_lane_options;

/* Starts the thread. 0, SHOAL_ERR_NO_MEMORY or SHOAL_ERR_IO. */
SHOAL_MUST_USE shoal_err shoal_lane__start(const shoal_lane_options *options, shoal_lane **out);

/* Closes every connection of the lane and ends its thread; the lane can still be nudged. */
void shoal_lane__stop(shoal_lane *lane);

/* Gives a stopped lane back. */
void shoal_lane__free(shoal_lane *lane);

/* Makes the lane do a turn soon. */
void shoal_lane__nudge(shoal_lane *lane);

/* Hands an accepted client socket to the lane. False when it cannot take it: then the caller
 * still owns the socket. */
bool shoal_lane__adopt(shoal_lane *lane, int descriptor, bool unix_socket);

/* Connections of the lane, for choosing the least busy one. */
uint32_t shoal_lane__load(const shoal_lane *lane);

#endif
