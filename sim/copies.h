/* SPDX-License-Identifier: MIT
 *
 * sim/copies.h - the judges of data that are kept more than once: whether a replica that is in step
 * has what its master has, why a write that was acknowledged is gone, and whether a node takes back
 * what it showed before. Nodes are asked what they say of their copies (shoal_node_copy), and what
 * they have is compared by digests.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_COPIES_H
#define SHOAL_SIM_COPIES_H

#include <shoal/node.h>

#include "sim/history.h"
#include "sim/schedule.h"
#include "wire/bus.h"

typedef struct shoal_world shoal_world;

/* What a node was last seen to have of a key. */
typedef struct shoal_sight {
    uint64_t serial; /* of the write; 0: nothing was read yet */
    int64_t served_us;
    int64_t ended_us; /* when the reader had it */
} shoal_sight;

/* Who had which slot when: the claim with the highest epoch counts. */
typedef struct shoal_tenancy {
    uint64_t epoch;
    uint32_t owner; /* node + 1, 0: nobody yet */
    uint32_t pass;  /* how it came to the owner from another: which, plus 1; 0: it never passed */
} shoal_tenancy;

/* A slot passed from one node to another. */
typedef struct shoal_pass {
    int64_t at_us;
    uint32_t former; /* who had it until then: node + 1 */
    uint32_t before; /* how it came to that one, as in shoal_tenancy */
} shoal_pass;

/* What the judges of copies remember. */
typedef struct shoal_copies {
    shoal_tenancy *slots; /* SHOAL_SLOTS of them */
    shoal_pass *passes;   /* all of the run */
    uint32_t pass_count, pass_capacity;
    shoal_sight **sights;  /* per node, then per key; NULL: nothing was read there */
    int64_t *replaced_us;  /* per node: when all its data were last replaced by a master's, -1 */
    char (*histories)[41]; /* per node: whose its data were when it was last looked at */
    uint64_t *offsets;     /* and up to where */
} shoal_copies;

/* Makes what a world needs, and gives it back. */
void shoal_copies__make(shoal_world *world);
void shoal_copies__free(shoal_world *world);

/* A node claims these slots with this epoch. */
void shoal_copies__claimed(shoal_world *world, uint32_t node, const shoal_slotmap *claims,
                           uint64_t epoch);
/* Looks whether the data of a node are another master's now, or from an earlier place. */
void shoal_copies__loaded(shoal_world *world, uint32_t node);

/* Why the write `serial`, which was acknowledged, was not there for an answer that a node gave at
 * `at_us`: what came later is no reason. */
shoal_cause shoal_copies__cause(const shoal_world *world, uint64_t serial, int64_t at_us);

/* Had somebody else the slot at `at_us`, whatever this node believed? */
bool shoal_copies__deposed(const shoal_world *world, uint32_t node, uint32_t slot, int64_t at_us);

/* Checks that the node does not show something older than it showed to a reader before. */
void shoal_copies__found(shoal_world *world, const shoal_reading *finding);

/* How a replica stands to its master. */
typedef enum shoal_likeness {
    SHOAL_LIKENESS_UNKNOWN = 0, /* no replica, not in step, or bytes are on their way */
    SHOAL_LIKENESS_EQUAL,
    SHOAL_LIKENESS_DIFFERENT
} shoal_likeness;
/* Compares a running node with its master; slow where it comes to digests. `why` is a constant text
 * for UNKNOWN. */
shoal_likeness shoal_copies__compare(const shoal_world *world, uint32_t node, const char **why);
/* The run is over: what is in step must be equal. */
void shoal_copies__end(shoal_world *world);

#endif
