/* SPDX-License-Identifier: MIT
 *
 * cluster/parcel.h - frames as values, for nodes that live in one process and one thread: what
 * shoal/host.h calls a parcel, and the exchange that parcels come from. An exchange numbers the
 * names and the addresses of nodes, so that an entry of a gossip section is twenty bytes that
 * every node of the process can read without a look-up of its name.
 *
 * Nothing here is seen by peers: a parcel says what the bytes of its frame would say, and can be
 * turned into them. One thread at a time.
 */
#ifndef SHOAL_CLUSTER_PARCEL_H
#define SHOAL_CLUSTER_PARCEL_H

#include <shoal/host.h>
#include <shoal/types.h>

#include "wire/bus.h"

/* Where a node is reached, as gossip tells it. */
typedef struct bus_place {
    char ip[46]; /* zero padded */
    uint16_t port, bus_port, tls_port;
} bus_place;

/* An entry of a gossip section: what shoal_gossip says, with numbers of the exchange. */
typedef struct bus_rumor {
    uint32_t who;   /* a name */
    uint32_t where; /* a place */
    uint32_t ping_sent_s, pong_received_s;
    uint16_t flags;
} bus_rumor;

/* One frame. It does not change once it was sent. */
struct shoal_parcel {
    shoal_exchange *exchange;
    shoal_parcel *next; /* while it waits to be used again */
    uint32_t references;
    uint32_t capacity;              /* rumors that it has room for */
    uint16_t slot_least, slot_most; /* where frame.slots is NULL: the run that they are */
    uint16_t slot_count;            /* of the run; 0: no slots */
    uint32_t sender, master;        /* numbers of frame.sender and frame.replica_of; 0: of none */
    shoal_frame frame;              /* without `gossip` */
    shoal_slotmap slots;            /* where they are no run: frame.slots points here */
    bus_rumor rumors[];
};

/* An empty parcel of one reference with room for so many rumors; NULL without memory. All of it is
 * to be filled in, but for the exchange and the number of references. */
shoal_parcel *shoal_parcel__make(shoal_exchange *exchange, uint32_t rumors);

/* The number of a name or of a place, from 1 on; 0 without memory. A number stays what it is for as
 * long as the exchange lives. */
uint32_t shoal_exchange__who(shoal_exchange *exchange, const char name[SHOAL_NODE_NAME_LEN]);
uint32_t shoal_exchange__where(shoal_exchange *exchange, const bus_place *place);
/* What has the number. Borrowed until a number is given the next time. */
const char *shoal_exchange__name(const shoal_exchange *exchange, uint32_t who);
const bus_place *shoal_exchange__place(const shoal_exchange *exchange, uint32_t where);

/* An entry with everything that the bytes of the frame would say. */
void shoal_parcel__gossip(const shoal_parcel *parcel, uint32_t index, shoal_gossip *out);

#endif
