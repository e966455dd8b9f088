/* SPDX-License-Identifier: MIT
 *
 * sim/net.h - virtual TCP between hosts (nodes, clients, the operator): connections of two ordered
 * byte streams with latency, jitter, bandwidth, deliveries split at random places, cuts that hold
 * bytes until a retransmission gets through, stalls, resets, refusals and time-outs. It knows
 * ends, not what they mean: the owner of an end learns of it through the functions of its kind.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_NET_H
#define SHOAL_SIM_NET_H

#include <shoal/host.h>
#include <shoal/types.h>

#include "base/prng.h"
#include "sim/schedule.h"

typedef struct shoal_world shoal_world;

/* More queued than this makes a sender FULL; ROOM comes below a quarter of it. */
#define SHOAL_NET_FULL_BYTES (1u << 20)

/* Who owns an end. */
typedef enum shoal_end_kind {
    SHOAL_END_NONE = 0,
    SHOAL_END_LINK,    /* a node's link: of its bus, or of a replica to its master */
    SHOAL_END_SESSION, /* a node's client connection */
    SHOAL_END_CLIENT,  /* a virtual client's connection */
    SHOAL_END_OPERATOR,
    SHOAL_END_KINDS
} shoal_end_kind;

/* What one end of a connection believes of it. */
typedef enum shoal_end_state {
    SHOAL_END_CLOSED = 0,
    SHOAL_END_CONNECTING,
    SHOAL_END_OPEN
} shoal_end_state;

/* Bytes in flight: one send, or what is left of it. */
typedef struct shoal_block {
    struct shoal_block *next;
    int64_t arrives_us; /* INT64_MAX while held */
    int64_t sent_us;
    uint64_t number; /* of the block in its direction: keys its draws */
    uint32_t size;
    uint32_t taken;       /* delivered already */
    uint32_t class_index; /* of the pool */
    bool fin;             /* the end of the stream */
    shoal_parcel *parcel; /* the frame that these bytes would be; NULL: they are in `bytes` */
    char bytes[];
} shoal_block;

/* One direction, kept at the end that receives: what each delivery needs, in one line of the
 * cache. */
typedef struct shoal_pipe {
    shoal_block *head, *tail;
    uint64_t blocks;         /* sent so far */
    size_t queued;           /* bytes not delivered */
    int64_t arrival_last_us; /* nothing may arrive before what was sent earlier */
    int64_t held_since_us;   /* -1: not held */
    uint64_t frame_left;     /* bus bytes until the next frame begins (for MESSAGE records) */
    bool armed;              /* a DELIVER is in the heap */
    bool stranded;           /* what is sent never arrives, whatever becomes of the way */
    bool full;               /* the sender was told FULL */
} shoal_pipe;

/* The rest of a direction, which only sends need. */
typedef struct shoal_flow {
    shoal_prng stream;     /* draws of this direction, numbered by block */
    int64_t busy_until_us; /* the sender's line is taken till then (rate) */
} shoal_flow;

/* One end of a connection. */
typedef struct shoal_end {
    shoal_end_kind kind : 8;
    uint8_t state : 2;    /* shoal_end_state */
    uint8_t attempts : 4; /* of who opens it: SYNs that were lost */
    bool reading : 1;     /* the owner takes bytes now */
    bool silent : 1;      /* closed without telling the peer (power lost) */
    uint16_t port;
    uint32_t host;
    uint32_t tag;         /* CLIENT: theirs. SESSION: upper half of the handle of this end */
    uint32_t port_handle; /* SESSION: lower half of it */
    void *owner;          /* SESSION: the session. CLIENT, OPERATOR: theirs */
} shoal_end;

/* A connection. ends[0] opened it; pipes[s] carries bytes to ends[s]. Its parts begin at lines of
 * the cache: an event is about another connection than the one before, and waits for each line. */
typedef struct shoal_connection {
    uint32_t index;
    uint32_t generation;
    int64_t opened_us;
    shoal_end ends[2];
    shoal_pipe pipes[2];
    shoal_flow flows[2];
} shoal_connection;

/* A named end: what the functions below and the owners' functions speak of. */
typedef struct shoal_port {
    shoal_connection *connection;
    uint32_t side;
} shoal_port;

/* The way from one host to another. */
typedef struct shoal_way {
    uint8_t cut;
    uint8_t quality; /* index of a shoal_quality */
    uint8_t refused; /* shoal_refusal of connects that go this way */
    uint32_t opens;  /* connections so far: keys their streams */
    int64_t stalled_until_us;
} shoal_way;

/* What becomes of connects. */
typedef enum shoal_refusal {
    SHOAL_REFUSAL_NONE = 0,
    SHOAL_REFUSAL_AT_ONCE,
    SHOAL_REFUSAL_TIMEOUT
} shoal_refusal;

/* Bus frames of one kind that are taken off the line: the flags say on which ways, by host. */
typedef struct shoal_drop {
    uint32_t type; /* shoal_frame_type */
    bool *from, *to;
    uint64_t skip; /* so many pass before */
    uint64_t left; /* so many are dropped then */
} shoal_drop;

/* Limits of a net: different qualities of ways, size classes of its pools. */
#define SHOAL_NET_QUALITIES_MAX 256u
#define SHOAL_NET_POOLS 12u
/* Connections that are made at once, side by side: a power of two. */
#define SHOAL_NET_GROUP 256u

/* The network of a world: the ways between hosts, the connections on them. */
typedef struct shoal_net {
    uint32_t hosts;
    shoal_way *ways; /* [from * hosts + to] */
    bool *dark;      /* hosts without power */
    uint8_t *moved;  /* how often a host got a new address */
    bool hindered;   /* some way was cut or stalled, or some host dark, at some time of the run */
    shoal_drop *drops;
    uint32_t drop_count, drop_capacity;
    shoal_quality qualities[SHOAL_NET_QUALITIES_MAX];
    uint32_t quality_count;
    shoal_connection **groups; /* of SHOAL_NET_GROUP connections, in the order of their indices */
    uint32_t group_capacity;
    uint32_t connection_count;
    uint32_t *free_list; /* indices of dead connections, last in first out */
    uint32_t free_count;
    uint32_t free_capacity;
    shoal_block *pools[SHOAL_NET_POOLS]; /* blocks of 128 << i bytes to use again */
} shoal_net;

/* The connection of an index. */
static inline shoal_connection *shoal_net__connection(const shoal_net *net, uint32_t index)
{
    return &net->groups[index / SHOAL_NET_GROUP][index % SHOAL_NET_GROUP];
}

/* What an owner learns. NULL entries are not told. */
typedef struct shoal_end_class {
    void (*up)(shoal_world *world, shoal_port port);
    void (*data)(shoal_world *world, shoal_port port, shoal_slice bytes, int64_t sent_us);
    void (*level)(shoal_world *world, shoal_port port, bool full);
    /* The end is gone for this reason: it is closed already. */
    void (*down)(shoal_world *world, shoal_port port, shoal_err error);
    /* A whole frame, for owners that are sent any. */
    void (*parcel)(shoal_world *world, shoal_port port, const shoal_parcel *parcel);
} shoal_end_class;

/* Makes a net of so many hosts, all ways open; gives back what one took. */
void shoal_net__make(shoal_net *net, uint32_t hosts);
void shoal_net__free(shoal_net *net);

/* ---- connections ---- */

/* Starts to connect `from` to `to_port` of `to` (UINT32_MAX: an address that nobody has). */
shoal_port shoal_net__open(shoal_world *world, uint32_t from, uint32_t to, uint16_t to_port);
/* Queues bytes to the other end. Dropped when this end is not open. */
void shoal_net__send(shoal_world *world, shoal_port from, shoal_slice bytes);
/* The same for the bytes of a frame of the bus, which it may never be turned into. */
void shoal_net__hand(shoal_world *world, shoal_port from, shoal_parcel *take);
/* Closes this end; the peer learns of it behind the bytes sent before. The end's owner is not
 * told. */
void shoal_net__close(shoal_world *world, shoal_port port);
/* Says whether the owner takes bytes now. */
void shoal_net__reading(shoal_world *world, shoal_port port, bool reading);
/* Bytes that wait to be delivered to the other end. */
size_t shoal_net__backlog(shoal_port port);
/* Whether it leads to a bus, not to a port of clients: replicas connect to their masters as clients
 * do. */
bool shoal_net__is_bus(const shoal_connection *connection);

/* A name for an end that stays right: 0 is none, dead ends find nothing. */
uint64_t shoal_net__handle(shoal_port port);
bool shoal_net__find(const shoal_net *net, uint64_t handle, shoal_port *out);

/* ---- faults ---- */

/* Whether nothing passes from one host to another now; and what faults and net lines do to one
 * direction. */
bool shoal_net__blocked(const shoal_world *world, uint32_t from, uint32_t to);
void shoal_net__set_quality(shoal_world *world, uint32_t from, uint32_t to,
                            const shoal_quality *change);
void shoal_net__cut(shoal_world *world, uint32_t from, uint32_t to);
/* Ends cut and stall of one direction; held bytes arrive with the next retransmission. */
void shoal_net__heal(shoal_world *world, uint32_t from, uint32_t to);
void shoal_net__stall(shoal_world *world, uint32_t from, uint32_t to, int64_t until_us);
void shoal_net__unstall(shoal_world *world, uint32_t from, uint32_t to);
/* Resets every connection between two hosts at both ends. */
void shoal_net__reset(shoal_world *world, uint32_t a, uint32_t b);
/* The same at the ends of `b` only: those of `a` are half-open, and told when they send. */
void shoal_net__reset_one(shoal_world *world, uint32_t a, uint32_t b);
/* What becomes of connects from now on; those that are under way too. */
void shoal_net__refuse(shoal_world *world, uint32_t from, uint32_t to, shoal_refusal refusal);
/* Connections of now pass nothing any more in this direction. */
void shoal_net__strand(shoal_world *world, uint32_t from, uint32_t to);
/* The host has a new address. What was open is stranded both ways. */
void shoal_net__move(shoal_world *world, uint32_t host);
/* Takes a drop over, with its arrays. All of them end with shoal_net__drop_nothing. */
void shoal_net__drop(shoal_world *world, const shoal_drop *take);
void shoal_net__drop_nothing(shoal_net *net);
/* The bytes of a send without the frames that are dropped: `bytes` itself when nothing is, or what
 * `*copy` holds, which the caller frees. */
shoal_slice shoal_net__sift(shoal_world *world, shoal_port from, shoal_slice bytes, char **copy);
/* A process ended: all its ends close and the peers are told. Its owners are not. */
void shoal_net__process_died(shoal_world *world, uint32_t host);
/* A host lost its power: its ends are gone and nobody is told. */
void shoal_net__power_lost(shoal_world *world, uint32_t host);
/* It has power again: bytes that were on their way to it get through and meet no connection. */
void shoal_net__power_back(shoal_world *world, uint32_t host);

#endif
