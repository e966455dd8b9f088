/* SPDX-License-Identifier: MIT
 *
 * node/server.h - a node with its host around it: control thread, lanes, listeners. What main
 * makes of a command line, it hands over here.
 *
 * The main thread, which becomes the control thread in run.
 */
#ifndef SHOAL_NODE_SERVER_H
#define SHOAL_NODE_SERVER_H

#include "log.h"
#include "options.h"

typedef struct shoal_server shoal_server;

/* Configures a fresh node; returns what shoal_node_configure returned. */
typedef shoal_err (*shoal_configure)(void *context, shoal_node *node);

/* How to make one. */
typedef struct shoal_server_setup {
    shoal_log *log;                      /* lives as long as the server */
    const shoal_server_options *options; /* read out of a node that `configure` configured */
    shoal_configure configure;           /* does it again, to the node that will run */
    void *configure_context;
    const char *config_file; /* absolute path, NULL without one */
    /* Called once, when clients can connect and before anything is loaded: who reads in the log
     * that the process is there may connect at once. */
    void (*listens)(shoal_log *log, const shoal_server_options *options);
} shoal_server_setup;

/* Makes the node, opens the listeners and starts the lanes. What fails is logged. 0 or the
 * error. Signals must be blocked already. */
SHOAL_MUST_USE shoal_err shoal_server__start(const shoal_server_setup *setup, shoal_server **out);

/* Serves until a signal or SHUTDOWN ends it. Returns the exit code of the process. */
int shoal_server__run(shoal_server *server);

/* Closes everything and waits for what is being written. */
void shoal_server__stop(shoal_server *server);

#endif
