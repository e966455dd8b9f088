/* SPDX-License-Identifier: MIT
 *
 * store/route.h - for cluster mode: which slots this node owns, and the table of who serves what.
 * The control actor writes both while workers read.
 */
#ifndef SHOAL_STORE_ROUTE_H
#define SHOAL_STORE_ROUTE_H

#include "store/store.h"

/* True when this node owns the slot: one acquire load of the slot's word. */
bool shoal_store_owns(const shoal_store *store, uint32_t slot);
/* Marks a slot (of database 0) owned or not; its keys stay. Control actor only. */
void shoal_store_set_owned(shoal_thread *thread, uint32_t slot, bool owned);

/* A slot that is on its way. */
typedef struct shoal_route_move {
    uint16_t slot;
    uint16_t target; /* index + 1 into nodes: where clients ask for keys that are not here any more;
                        0: the slot comes to this node */
} shoal_route_move;

/* Who serves what: immutable once published. */
typedef struct shoal_route {
    bool cluster;                /* false: no redirections at all */
    bool up;                     /* cluster state */
    bool reads_when_down;        /* cluster-allow-reads-when-down */
    bool channels_when_down;     /* cluster-allow-pubsubshard-when-down */
    uint16_t owner[SHOAL_SLOTS]; /* index + 1 into nodes; 0: nobody serves it */
    uint16_t master;             /* index + 1 of the node that this one is a replica of; 0: none */
    uint16_t move_count;
    const shoal_route_move *moves; /* by slot; one that goes stands before one that comes */
    uint16_t node_count;
    struct shoal_route_node {
        char name[SHOAL_NODE_NAME_LEN + 1];
        char endpoint[256]; /* as clients should be told: ip or host name, may be "" */
        uint16_t port;
        bool myself;
    } nodes[];
} shoal_route;

/* Allocates a route with room for `nodes`, all zero but node_count. NULL without memory. */
shoal_route *shoal_route_make(shoal_store *store, uint16_t nodes);
/* The same with room for slots on their way, which are filled in through
 * `out`. */
shoal_route *shoal_route_make_moving(shoal_store *store, uint16_t nodes, uint16_t moves,
                                     shoal_route_move **out);
/* The entry of a slot that goes (or comes, by `comes`), or NULL. */
const shoal_route_move *shoal_route_find_move(const shoal_route *route, uint32_t slot, bool comes);
/* Gives back a route that was not handed over. NULL does nothing. */
void shoal_route_drop(shoal_store *store, shoal_route *route);
/* Hands `route` over to the store, which retires the one before: shoal_thread_reserve comes first.
 * Control actor only. */
void shoal_store_publish_route(shoal_thread *thread, shoal_route *route);
/* The present route, never NULL: before the first one, a route that is all zero. Valid inside
 * the batch. */
const shoal_route *shoal_store_route(const shoal_store *store);

/* Tells that a database is about to get some `keys` keys, evenly in the slots of this node: tables
 * that grow do so at once to what is expected, instead of step by step. Wrong numbers cost
 * memory, 16 KiB a slot with several keys at most. 0: nothing more is expected. Control actor
 * only. */
void shoal_store_expect(shoal_store *store, uint64_t keys);

#endif
