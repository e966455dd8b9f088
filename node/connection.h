/* SPDX-License-Identifier: MIT
 *
 * node/connection.h - one client connection on its lane: reads, feeds the session, sends, keeps
 * what the socket did not take, and knows when not to read. Inside a round of the lane's worker
 * only, on the lane's thread.
 */
#ifndef SHOAL_NODE_CONNECTION_H
#define SHOAL_NODE_CONNECTION_H

#include <sys/epoll.h>

#include <shoal/node.h>

#include "busy.h"

/* Bytes read from one connection at once. Measured nowhere else than by what fits: 64 pipelined
 * SETs of 1 KiB, and in half of the smallest second-level cache still in use. */
#define SHOAL_INPUT_SIZE ((size_t)64 << 10)

/* Connections that are read before the first of them is served, and how much of each: their
 * requests' memory is then fetched together. The stride keeps them off each other's cache sets. */
#define SHOAL_AHEAD_MAX 32
#define SHOAL_AHEAD_SIZE ((size_t)16 << 10)
#define SHOAL_AHEAD_STRIDE (SHOAL_AHEAD_SIZE + 192)

/* Connections whose replies are gathered before they are sent: what they acknowledge is then put
 * into the append-only file with one write. */
#define SHOAL_TRAY_MAX 64

typedef struct shoal_connection shoal_connection;

/* What a connection was told, as bytes of the desk's output. */
typedef struct shoal_tray_entry {
    shoal_connection *connection;
    size_t from, to; /* from the start of the output's content */
} shoal_tray_entry;

/* What the connections of a lane share. */
typedef struct shoal_desk {
    const shoal_allocator *allocator;
    shoal_worker *worker;
    shoal_busy *busy; /* the node's */
    int64_t began;    /* clock of the last turn; 0 at first */
    int epoll;
    char *input;         /* SHOAL_INPUT_SIZE bytes */
    char *ahead;         /* SHOAL_AHEAD_MAX times SHOAL_AHEAD_STRIDE bytes */
    shoal_buffer output; /* replies of the connections in the tray */
    uint32_t tray_count;
    shoal_tray_entry tray[SHOAL_TRAY_MAX];
    shoal_connection *open; /* all connections that had their first turn */
    shoal_connection *dead; /* closed in this round, freed at its end */
    _Atomic uint32_t load;  /* connections; writers: the lane, and the thread that hands
                                   sockets to it; relaxed */
} shoal_desk;

/* Makes a connection and adds it to the desk's epoll, from any thread; its first event comes at
 * once. NULL when there is no memory, or epoll refuses. */
shoal_connection *shoal_connection__make(shoal_desk *desk, int descriptor, bool unix_socket);

/* Waits for the end of a busy time of the node, if it is in one. */
static inline void shoal_connection__stand_still(const shoal_desk *desk)
{
    if (shoal_busy__is(desk->busy, desk->began)) (void)shoal_busy__wait(desk->busy, -1);
}

/* Serves what epoll said of up to SHOAL_AHEAD_MAX connections, none twice; events without a
 * connection are passed over. */
void shoal_connection__ready(shoal_desk *desk, const struct epoll_event *events, int count);

/* Serves a session that shoal_worker_ready returned. Its replies wait in the tray. */
void shoal_connection__resume(shoal_connection *connection);

/* Sends what is in the tray. */
void shoal_connection__flush(shoal_desk *desk);

/* Closes every open connection. */
void shoal_connection__close_all(shoal_desk *desk);

/* Frees the connections that were closed since the last call. */
void shoal_connection__bury(shoal_desk *desk);

#endif
