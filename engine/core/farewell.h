/* SPDX-License-Identifier: MIT
 *
 * core/farewell.h - what a node does before it ends, when SHUTDOWN or a signal asks for that: a
 * master of a cluster hands over to a replica where the configuration says so; then writes wait
 * until replicas have everything, at most for shutdown-timeout; then comes the last snapshot, if
 * there shall be one (core/saving.h), and the node leaves.
 *
 * Threads: the control actor.
 */
#ifndef SHOAL_CORE_FAREWELL_H
#define SHOAL_CORE_FAREWELL_H

#include "command/command.h"

typedef struct shoal_node shoal_node;

/* What is waited for. */
typedef enum shoal_farewell_stage {
    SHOAL_FAREWELL_NONE,
    SHOAL_FAREWELL_HANDOVER, /* another node of the cluster takes the slots over */
    SHOAL_FAREWELL_REPLICAS  /* replicas get the rest of the stream */
} shoal_farewell_stage;

/* Zero is a start. */
typedef struct shoal_farewell {
    shoal_farewell_stage stage;
    bool save;         /* a snapshot comes last */
    bool asked;        /* replicas have been, how far they are */
    int64_t until_us;  /* REPLICAS: no longer than this, monotonic */
    shoal_op *errands; /* SHUTDOWNs that wait */
} shoal_farewell;

/* Begins; `errand` (NULL: a signal) waits for it, or is finished by the caller with the connection
 * closed: false. `at_once`: nothing is waited for. */
bool shoal_node__farewell(shoal_node *node, shoal_errand *errand, bool save, bool at_once);
/* SHUTDOWN ABORT: true when something was waited for; the node stays. */
bool shoal_node__farewell_abort(shoal_node *node);
/* Goes on. */
void shoal_node__farewell_step(shoal_node *node);
/* When it wants to at the latest. */
int64_t shoal_node__farewell_deadline(const shoal_node *node);
/* Milliseconds until it goes without the replicas; -1: nothing is waited for. */
int64_t shoal_node__farewell_ms(const shoal_node *node);
/* Writes of clients wait: until when at most, monotonic; 0: they do not. */
int64_t shoal_node__farewell_pause(const shoal_node *node);
/* The node ends first: who waits is answered. */
void shoal_node__farewell_abandon(shoal_node *node);

#endif
