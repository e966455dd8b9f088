/* SPDX-License-Identifier: MIT
 *
 * sim/live/proxy_room.h - what the files of the proxy share: connections of two legs, and pipes in
 * which bytes wait on their way from one leg to the other. Nobody else includes it.
 */
#ifndef SHOAL_SIM_LIVE_PROXY_ROOM_H
#define SHOAL_SIM_LIVE_PROXY_ROOM_H

#include "base/prng.h"
#include "sim/live/proxy.h"

/* Some bytes that arrive together, or the end of the connection. */
typedef struct shoal_bundle {
    struct shoal_bundle *next;
    int64_t due_us;
    size_t size, taken;
    bool fin;
    char bytes[];
} shoal_bundle;

/* One direction of a connection. */
typedef struct shoal_passage_way {
    shoal_timer timer;
    shoal_bundle *head, *tail;
    size_t queued;
    int64_t due_last_us;
    int64_t held_us; /* since when its first bytes are held; -1: nothing is */
    shoal_prng draws;
} shoal_passage_way;

/* One socket of a connection. */
typedef struct shoal_leg {
    shoal_watch watch;
    bool connecting;
    bool dark;    /* nobody is there any more, and the other end has not been told */
    bool pausing; /* not read: too much waits for the other leg */
} shoal_leg;

/* A connection that passes through the proxy: leg 0 is that of the host that opened it. Bytes of
 * pipe i leave through leg i. */
typedef struct shoal_passed {
    struct shoal_passed *next, *previous;
    shoal_proxy *proxy;
    uint32_t hosts[2];
    shoal_leg legs[2];
    shoal_passage_way pipes[2];
    bool stranded;
    bool unheard; /* it was opened while the way was blocked */
    bool orphan;  /* its dark end is back and knows nothing of it */
} shoal_passed;

/* The way from one host to another. */
typedef struct shoal_live_way {
    shoal_quality quality;
    bool cut;
    int64_t stalled_until_us;
} shoal_live_way;

/* Who takes connections for one port of a node. */
typedef struct shoal_door_keeper {
    shoal_watch watch;
    shoal_proxy *proxy;
    uint32_t node;
    bool bus;
    int fillers[2]; /* sockets that keep a dark node's queue full; -1: none */
} shoal_door_keeper;

/* See proxy.h. */
struct shoal_proxy {
    shoal_loop *loop;
    shoal_places places;
    uint32_t nodes, hosts;
    uint64_t seed[2];
    uint32_t opened; /* connections so far */
    shoal_live_way *ways;
    shoal_door_keeper *doors; /* two for each node: clients, bus */
    shoal_passed *first;
    shoal_timer stalls; /* the next end of a stall */
};

/* ---- proxy_pipe.c ---- */

/* Begins a connection that was accepted from `from` for a node. */
void shoal_passed__begin(shoal_proxy *proxy, int descriptor, uint32_t from,
                         const shoal_door_keeper *door);
/* Ends it; with `reset`, those that are told are told by a reset. */
void shoal_passed__end(shoal_passed *passed, bool reset);
/* Moves on what may move on towards a leg. */
void shoal_passed__pump(shoal_passed *passed, uint32_t side);
/* The way towards a leg is free again: at once, or with the next retransmission. */
void shoal_passed__release(shoal_passed *passed, uint32_t side, bool at_once);
/* A leg's host is gone and nobody is told. */
void shoal_passed__darken(shoal_passed *passed, uint32_t side);
/* The host of a dark leg is back: what the other leg has sent, or sends, is answered by a reset. */
void shoal_passed__orphan(shoal_passed *passed);

#endif
