/* SPDX-License-Identifier: MIT
 *
 * command/monitor.h - MONITOR: connections that are told of every command. A line is made by the
 * worker of the command's session, and posted to each worker that has monitors; there it waits in
 * their sessions until the host comes for it. Without monitors a command costs one load.
 */
#ifndef SHOAL_COMMAND_MONITOR_H
#define SHOAL_COMMAND_MONITOR_H

#include "command/worker.h"

/* Bytes that may wait for a monitor; one that reads too slowly is closed. Chosen. */
#define SHOAL_MONITOR__BYTES_MAX (64u << 20)

/* Whose command it is. */
typedef struct shoal_monitor_origin {
    const shoal_address *address; /* borrowed for the call */
    bool unix_socket;
    int64_t wall_us;
    uint32_t db; /* that is selected */
} shoal_monitor_origin;

/* Tells the monitors of a command that no session has sent, if there are any. Any thread. */
void shoal_monitor_tell(shoal_env *env, const shoal_monitor_origin *origin,
                        const shoal_timing_brief *what);
/* Tells the monitors of a command of `session`, if there are any. */
void shoal_monitor__feed(shoal_session *session, const shoal_timing_brief *what, uint32_t db);
/* Appends what waits for a session that watches. */
void shoal_monitor__deliver(shoal_session *session, shoal_buffer *out);
/* The session watches no longer. */
void shoal_monitor__leave(shoal_session *session);

#endif
