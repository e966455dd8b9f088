/* SPDX-License-Identifier: MIT
 *
 * node/process.h - what a server does as a process: going to the background, its pid file, the
 * limit of open files, telling a supervisor. Knows nothing of nodes.
 *
 * The main thread.
 */
#ifndef SHOAL_NODE_PROCESS_H
#define SHOAL_NODE_PROCESS_H

#include "log.h"

/* Goes on in a child without a terminal; the parent exits. Before any thread is made. */
void shoal_process__daemonize(void);

/* Writes the process id to `path`; one that cannot be written is only logged. */
void shoal_process__write_pid(const shoal_log *log, const char *path);

/* Raises the limit of open files so that `clients` fit beside what the server itself needs.
 * Returns how many clients really fit. */
uint32_t shoal_process__fit_clients(const shoal_log *log, uint32_t clients);

/* Processors that this process may use. At least 1. */
uint32_t shoal_process__processors(void);

/* Warns when the system's limit of a listen queue is below `backlog`. */
void shoal_process__check_backlog(const shoal_log *log, int backlog);

/* True when a supervisor of the kind that `supervised` names waits for a message. */
bool shoal_process__supervised(const char *supervised);

/* Sends `message` ("READY=1") to the supervisor. */
void shoal_process__notify(const shoal_log *log, const char *message);

#endif
