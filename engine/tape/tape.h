/* SPDX-License-Identifier: MIT
 *
 * tape/tape.h - the recorder, as core uses it: it stands between core and the state machine of the
 * cluster and writes down what passes in either direction. Core calls the functions below in place
 * of those of the cluster that change something; with a NULL tape they are these functions and
 * nothing else. What can only be asked of the cluster changes nothing and is not recorded: it
 * follows from the rest.
 *
 * The recorder decides nothing, draws nothing and reads no clock: a node that is recorded does what
 * it would have done.
 *
 * Threads: the control actor.
 */
#ifndef SHOAL_TAPE_TAPE_H
#define SHOAL_TAPE_TAPE_H

#include <shoal/tape.h>

#include "cluster/cluster.h"

typedef struct shoal_tape shoal_tape;

/* What a recorder needs of its node. */
typedef struct shoal_tape_start {
    shoal_allocator allocator;         /* copied */
    const shoal_host *host;            /* the node's; borrowed, outlives the tape */
    const shoal_tape_options *options; /* copied, its texts too */
    uint64_t seed[2];
    uint32_t workers;
    uint16_t port, bus_port;
    shoal_time created;
} shoal_tape_start;

/* Makes one and writes the head. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_tape_open(const shoal_tape_start *start, shoal_tape **out);
/* Writes the last item: why, and whether the node is gone; from now on everything only passes. */
void shoal_tape_end(shoal_tape *tape, bool gone, shoal_slice why);
/* Gives away what has been gathered, wherever it stands; from now on everything only passes. */
void shoal_tape_flush(shoal_tape *tape);
/* Frees it; NULL does nothing. Hosts of it are dead then. */
void shoal_tape_free(shoal_tape *tape);

/* `host` with the recorder between: for the cluster, whose operations are written down, and for
 * rooms of which trace records are. With a NULL tape, `host` itself. */
const shoal_host *shoal_tape_watched(const shoal_tape *tape, const shoal_host *host);
const shoal_host *shoal_tape_noting(const shoal_tape *tape, const shoal_host *host);

/* A step begins. */
void shoal_tape_step(shoal_tape *tape, const shoal_event *event);
/* And ends; `cluster` may be NULL. */
void shoal_tape_step_end(shoal_tape *tape, const shoal_cluster *cluster);
/* Another room than the cluster's has written a trace record. */
void shoal_tape_note(shoal_tape *tape, const shoal_trace_record *record);

/* ---- the functions of cluster/cluster.h and cluster/facts.h that change something ---- */

/* Each does what the function with shoal_cluster_ for shoal_tape_ does, with the same arguments and
 * the same result. The host in the options of create is the node's. */
SHOAL_MUST_USE shoal_err shoal_tape_create(shoal_tape *tape, const shoal_cluster_options *options,
                                           shoal_cluster **out);
void shoal_tape_init_new(shoal_tape *tape, shoal_cluster *cluster, shoal_time now);
SHOAL_MUST_USE shoal_err shoal_tape_load(shoal_tape *tape, shoal_cluster *cluster, shoal_slice text,
                                         shoal_buffer *complaint);
void shoal_tape_set(shoal_tape *tape, shoal_cluster *cluster,
                    const shoal_cluster_settings *settings, shoal_time now);
/* The event is the one of the present step. */
void shoal_tape_event(shoal_tape *tape, shoal_cluster *cluster, const shoal_event *event);
void shoal_tape_tick(shoal_tape *tape, shoal_cluster *cluster, shoal_time now);
void shoal_tape_command(shoal_tape *tape, shoal_cluster *cluster, shoal_cluster_call *call);
void shoal_tape_set_replication(shoal_tape *tape, shoal_cluster *cluster,
                                const shoal_cluster_replication *facts, shoal_time now);
/* A message that a client published. */
typedef struct shoal_tape_message {
    bool sharded;
    shoal_slice channel, text;
} shoal_tape_message;
void shoal_tape_publish(shoal_tape *tape, shoal_cluster *cluster,
                        const shoal_tape_message *message);
void shoal_tape_tell(shoal_tape *tape, shoal_cluster *cluster, shoal_cluster_reason reason,
                     shoal_slice detail, shoal_time now);
bool shoal_tape_take_lost(shoal_tape *tape, shoal_cluster *cluster, shoal_slotmap *slots);
bool shoal_tape_handover_begin(shoal_tape *tape, shoal_cluster *cluster, shoal_time now);

#endif
