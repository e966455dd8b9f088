/* SPDX-License-Identifier: MIT
 *
 * tape/internal.h - the inside of the recorder, shared by tape.c and tape_host.c only.
 */
#ifndef SHOAL_TAPE_INTERNAL_H
#define SHOAL_TAPE_INTERNAL_H

#include "tape/code.h"
#include "tape/tape.h"

/* A host between a room and the world. */
typedef struct tape_door {
    shoal_tape *tape;
    bool watched; /* its operations are written down; else its trace records */
} tape_door;

/* A recorder. */
struct shoal_tape {
    shoal_allocator allocator;
    shoal_tape_options options; /* the texts are not kept */
    const shoal_host *world;
    tape_door watched_door, noting_door;
    shoal_host watched, noting;
    shoal_buffer frame;              /* with room for its head at the start */
    shoal_tape_coder coder;          /* writes to it */
    int64_t began_us;                /* of its first step, monotonic */
    uint32_t number;                 /* of the frame */
    shoal_time last;                 /* of the last step written */
    shoal_cluster_replication facts; /* the last ones */
    bool told;                       /* there are some */
    uint32_t result;                 /* the last one */
    uint32_t steps;                  /* since the last digest */
    bool on;
    bool in_input; /* an input of the cluster is under way */
};

/* Fills the two hosts from the world's. */
void shoal_tape__doors(shoal_tape *tape);
/* Writes an operation that the cluster asked for. */
void shoal_tape__op(shoal_tape *tape, const tape_op *op);

#endif
