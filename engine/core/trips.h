/* SPDX-License-Identifier: MIT
 *
 * core/trips.h - connections to other nodes over which trips go (command/trip.h). A connection is
 * kept for some seconds behind a trip, for the next one to the same node. Control actor.
 */
#ifndef SHOAL_CORE_TRIPS_H
#define SHOAL_CORE_TRIPS_H

#include "command/trip.h"

typedef struct shoal_node shoal_node;
struct shoal_trip_route;

/* All of them. Zero is a start. */
typedef struct shoal_trips {
    struct shoal_trip_route *first;
    uint32_t count;
    bool over; /* nothing goes on its way any more */
} shoal_trips;

/* Takes a trip on its way: what shoal_env.carry is. */
void shoal_node__trips_carry(shoal_op *trip, void *node);
/* True when the event was about one of these connections. */
bool shoal_node__trips_event(shoal_node *node, const shoal_event *event);
/* Timers, in every step; and when they want the next one, or SHOAL_NEVER. */
void shoal_node__trips_step(shoal_node *node);
int64_t shoal_node__trips_deadline(const shoal_node *node);
/* Ends all trips, as failed: the node ends. */
void shoal_node__trips_abandon(shoal_node *node);
/* How many connections there are. */
uint32_t shoal_node__trips_count(const shoal_node *node);

#endif
