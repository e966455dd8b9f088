/* SPDX-License-Identifier: MIT
 *
 * node/acceptor.h - one listening socket in the control actor's epoll. Accepts in bounded
 * batches; when the process has no descriptor left it pauses, instead of being told of the same
 * connection for ever.
 *
 * Control thread.
 */
#ifndef SHOAL_NODE_ACCEPTOR_H
#define SHOAL_NODE_ACCEPTOR_H

#include "control.h"
#include "log.h"

/* One listener. Zero with `descriptor` -1 is none. */
typedef struct shoal_acceptor {
    shoal_watch watch; /* first */
    shoal_control *control;
    const shoal_log *log;
    int descriptor;
    int64_t resume_at; /* paused until then; 0 when listening */
    /* Takes an accepted socket over. */
    void (*take)(void *context, struct shoal_acceptor *acceptor, int descriptor);
    void *context;
    bool unix_socket;
} shoal_acceptor;

/* Starts to accept on the filled-in acceptor. */
void shoal_acceptor__start(shoal_acceptor *acceptor);

/* Goes on after a pause that is over. Returns when it wants to be called again, or INT64_MAX. */
int64_t shoal_acceptor__chores(shoal_acceptor *acceptor, int64_t mono_us);

/* Stops accepting and closes the socket. */
void shoal_acceptor__stop(shoal_acceptor *acceptor);

#endif
