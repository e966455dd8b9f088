/* SPDX-License-Identifier: MIT
 *
 * sim/trigger.h - crashes that wait: for the N-th thing that a node does, or the N-th record of a
 * kind that it writes. They happen between two occurrences, as a process dies between two steps.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_TRIGGER_H
#define SHOAL_SIM_TRIGGER_H

#include "sim/schedule.h"

typedef struct shoal_world shoal_world;

/* One crash that waits. It stays when the node dies otherwise, for its next life. */
typedef struct shoal_trigger {
    uint32_t node;
    const shoal_line *line;
    uint64_t left; /* so many events or records until it happens; 0: now */
} shoal_trigger;

/* Arms a crash line for a node. */
void shoal_trigger__arm(shoal_world *world, uint32_t node, const shoal_line *line);
/* Calls off what is armed. */
void shoal_trigger__disarm(shoal_world *world);
/* A node has written a record of this kind. */
void shoal_trigger__hear(shoal_world *world, uint32_t node, uint32_t kind);
/* An occurrence is over; `process` is the node that took part in it, or UINT32_MAX. Crashes whom
 * it is time for. */
void shoal_trigger__settle(shoal_world *world, uint32_t process);

#endif
