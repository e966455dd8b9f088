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

/* Bytes read from one connection at once. Measured nowhere else than by what fits: 64 pipelined
 * SETs of 1 KiB, and in half of the smallest second-level cache still in use. */
#define SHOAL_INPUT_SIZE ((size_t)64 << 10)

/* Connections that are read before the first of them is served, and how much of each: their
 * requests' memory is then fetched together. The stride keeps them off each other's cache sets. */
#define SHOAL_AHEAD_MAX 32
#define SHOAL_AHEAD_SIZE ((size_t)16 << 10)
#define SHOAL_AHEAD_STRIDE (SHOAL_AHEAD_SIZE + 192)

typedef struct shoal_connection shoal_connection;

/* What the connections of a lane share. */
typedef struct shoal_desk {
    const shoal_allocator *allocator;
    shoal_worker *worker;
    int epoll;
    char *input;            /* SHOAL_INPUT_SIZE bytes */
    char *ahead;            /* SHOAL_AHEAD_MAX times SHOAL_AHEAD_STRIDE bytes */
    shoal_buffer output;    /* replies of the connection that is being served */
    shoal_connection *open; /* all connections that had their first turn */
    shoal_connection *dead; /* closed in this round, freed at its end */
    _Atomic uint32_t load;  /* connections; writers: the lane, and the thread that hands
                                   sockets to it; relaxed */
} shoal_desk;

/* Makes a connection and adds it to the desk's epoll, from any thread; its first event comes at
 * once. NULL when there is no memory, or epoll refuses. */
shoal_connection *shoal_connection__make(shoal_desk *desk, int descriptor, bool unix_socket);

/* Serves what epoll said of up to SHOAL_AHEAD_MAX connections, none twice; events without a
 * connection are passed over. */
void shoal_connection__ready(shoal_desk *desk, const struct epoll_event *events, int count);

/* Serves a session that shoal_worker_ready returned. */
void shoal_connection__resume(shoal_connection *connection);

/* Closes every open connection. */
void shoal_connection__close_all(shoal_desk *desk);

/* Frees the connections that were closed since the last call. */
void shoal_connection__bury(shoal_desk *desk);

#endif
