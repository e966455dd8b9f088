/* SPDX-License-Identifier: MIT
 *
 * sim/burden.h - what work costs a node: normally nothing, because no time passes inside a step. A
 * node that is busy does nothing until a moment; for a slow one each occurrence takes time. What
 * comes meanwhile waits in the order in which it came.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_BURDEN_H
#define SHOAL_SIM_BURDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/heap.h"

typedef struct shoal_world shoal_world;

/* What an occurrence takes a slow node, for each unit of its factor. Chosen: a step of the control
 * actor, or a round with a few commands, on a machine of today. */
#define SHOAL_BURDEN_COST_US 10

/* What a node has to bear. Zero is nothing. */
typedef struct shoal_burden {
    int64_t busy_until_us;
    uint32_t factor; /* 0: work takes no time */
    bool blocked;    /* by a long command, not by being slow */
    bool armed;      /* a WAKE is arranged */
    shoal_occurrence *waiting;
    uint32_t first, count, capacity; /* waiting[first .. count) */
} shoal_burden;

/* The node does nothing until `until_us`. */
void shoal_burden__busy(shoal_world *world, uint32_t node, int64_t until_us);
/* Each occurrence takes it so often SHOAL_BURDEN_COST_US from now on; 0: nothing. */
void shoal_burden__slow(shoal_world *world, uint32_t node, uint32_t factor);
/* Must this occurrence of a node wait, for others or for its own cost? Then it is kept. */
bool shoal_burden__takes(shoal_world *world, uint32_t node, const shoal_occurrence *occurrence);
/* The process is gone, and with it what it had to do; its connections go on to their end. */
void shoal_burden__end(shoal_world *world, uint32_t node);
void shoal_burden__free(shoal_burden *burden);

#endif
