/* SPDX-License-Identifier: MIT
 *
 * command/plain.h - the GETs and SETs of a pipeline that nothing stands in the way of: node and
 * session are in the state in which they nearly always are, a GET finds a string that any reader
 * may have, a SET has a key and a value and nothing else, and its gate is free. What admission asks
 * of node and session is asked once for all that follow one another, and each costs its look-up or
 * change and its reply. Whatever else there is about a command, a missing key too, is dispatch.c's:
 * nothing of it has happened here.
 */
#ifndef SHOAL_COMMAND_PLAIN_H
#define SHOAL_COMMAND_PLAIN_H

#include "command/worker.h"

/* Is the request a GET, or a SET of a key and a value? */
static inline bool shoal_plain__is(const shoal_entry *entry)
{
    if (entry->fault != SHOAL_FAULT__NONE) return false;
    return entry->command->id == SHOAL_COMMAND_GET ||
           (entry->command->id == SHOAL_COMMAND_SET && entry->request->argc == 3);
}

/* Serves the requests of the batch from `from` on, the first of which is such a one, as far as they
 * are and nothing stands in their way, and up to the end of what one feed may write. Returns how
 * many. */
uint32_t shoal_plain__serve(shoal_session *session, uint32_t from, shoal_buffer *out);

#endif
