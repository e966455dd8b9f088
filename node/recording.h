/* SPDX-License-Identifier: MIT
 *
 * node/recording.h - the file of the flight recorder (shoal/tape.h): what the node gives is handed
 * to a thread of its own, which writes it, so that a slow disk holds up nothing. Where the disk is
 * full, too slow, or the file as large as it may be, the recording ends and the node goes on.
 *
 * A file that is there already is kept: it is moved to FILE.1, and that to FILE.2, up to FILE.9.
 *
 * Threads: the control thread, but for the one inside.
 */
#ifndef SHOAL_NODE_RECORDING_H
#define SHOAL_NODE_RECORDING_H

#include <shoal/node.h>

#include "log.h"

typedef struct shoal_recording shoal_recording;

/* What to record, and where. */
typedef struct shoal_recording_options {
    const shoal_log *log; /* lives as long */
    const char *path;     /* copied */
    uint64_t limit;       /* bytes of the file at most; 0: any */
    const char *place;    /* where the node runs, for people */
} shoal_recording_options;

/* Records `node`, which nothing but its configuration has been done to. NULL after a line in the
 * log when that cannot be. */
shoal_recording *shoal_recording__start(const shoal_recording_options *options, shoal_node *node);

/* Ends the recording where it cannot go on, with a line in the log. Between steps; cheap. */
void shoal_recording__look(shoal_recording *recording);

/* Ends it: `why` is its last entry. Waits until everything is written, and frees it. The node ends
 * too. NULL does nothing. */
void shoal_recording__close(shoal_recording *recording, const char *why);

#endif
