/* SPDX-License-Identifier: MIT
 *
 * node/connection.h - one client connection on its lane: reads, feeds the session, sends, keeps
 * what the socket did not take, and knows when not to read. Inside a round of the lane's worker
 * only, on the lane's thread.
 */
#ifndef SHOAL_NODE_CONNECTION_H
#define SHOAL_NODE_CONNECTION_H

#include <shoal/node.h>

/* Bytes read from one connection at once. Measured nowhere else than by what fits: 64 pipelined
 * SETs of 1 KiB, and in half of the smallest second-level cache still in use. */
#define SHOAL_INPUT_SIZE ((size_t)64 << 10)

typedef struct shoal_connection shoal_connection;

/* What the connections of a lane share. */
typedef struct shoal_desk {
    const shoal_allocator *allocator;
    shoal_worker *worker;
    int epoll;
    char *input;            /* SHOAL_INPUT_SIZE bytes */
    shoal_buffer output;    /* replies of the connection that is being served */
    shoal_connection *open; /* all connections that had their first turn */
    shoal_connection *dead; /* closed in this round, freed at its end */
    _Atomic uint32_t load;  /* connections; writers: the lane, and the thread that hands
                                   sockets to it; relaxed */
} shoal_desk;

/* Makes a connection and adds it to the desk's epoll, from any thread; its first event comes at
 * once. NULL when there is no memory, or epoll refuses. */
shoal_connection *shoal_connection__make(shoal_desk *desk, int descriptor, bool unix_socket);

/* Serves what epoll said. */
void shoal_connection__ready(shoal_connection *connection, uint32_t events);

/* Serves a session that shoal_worker_ready returned. */
void shoal_connection__resume(shoal_connection *connection);

/* Closes every open connection. */
void shoal_connection__close_all(shoal_desk *desk);

/* Frees the connections that were closed since the last call. */
void shoal_connection__bury(shoal_desk *desk);

#endif
