/* SPDX-License-Identifier: MIT
 *
 * sim/client.h - virtual clients: real RESP bytes over virtual TCP. A client knows the nodes'
 * addresses, learns the slot map with CLUSTER SLOTS, follows MOVED and ASK, tries again on
 * TRYAGAIN and CLUSTERDOWN until its time is over, and never repeats a write of which it does not
 * know whether it happened. The auditor is a client too: it reads every written key once.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_CLIENT_H
#define SHOAL_SIM_CLIENT_H

#include <shoal/types.h>

#include "base/prng.h"
#include "sim/heap.h"
#include "sim/net.h"
#include "sim/random.h"
#include "sim/schedule.h"

typedef struct shoal_world shoal_world;

/* A client gives an operation at most so many redirections. */
#define SHOAL_CLIENT_REDIRECTIONS_MAX 16u

/* Where an operation of a client is. */
typedef enum shoal_operation_state {
    SHOAL_OPERATION_FREE = 0,
    SHOAL_OPERATION_WAITING, /* for a retry */
    SHOAL_OPERATION_SENT     /* given to a connection */
} shoal_operation_state;

/* One operation of a client, from its first try to its end. */
typedef struct shoal_operation {
    uint8_t state;
    uint8_t trouble; /* shoal_outcome of the last refusal */
    uint8_t action;  /* shoal_action */
    bool write;      /* it is not GET */
    bool asking;
    uint32_t generation;
    uint32_t key;
    uint32_t node; /* asked last */
    uint32_t redirections;
    uint32_t older, newer; /* order of beginnings; index + 1, 0: none */
    uint64_t serial;       /* of the write */
    int64_t began_us;
} shoal_operation;

/* What the next reply on a connection answers. */
typedef struct shoal_pending {
    uint8_t kind; /* in client.c */
    uint32_t operation;
    uint32_t generation;
} shoal_pending;

/* A client's connection to one node. */
typedef struct shoal_client_link {
    uint64_t handle; /* 0: none */
    bool up;
    shoal_buffer in;        /* the beginning of a reply */
    shoal_buffer out;       /* requests that wait for the connection */
    shoal_pending *pending; /* ring */
    uint32_t pending_first, pending_count, pending_capacity;
    int64_t served_us; /* when the node sent the bytes that came last */
    int64_t wrote_us;  /* the same of those that answered a write */
} shoal_client_link;

/* One virtual client: its load, its connections, what it believes of the slots. */
typedef struct shoal_client {
    uint32_t index;
    uint32_t host;
    char label[12];
    bool auditor;
    bool active;
    uint32_t serial; /* of CLIENT_ISSUE occurrences that count */
    shoal_load load;
    shoal_zipf zipf;
    shoal_prng keys, mix, gaps, ways;
    uint16_t *map;     /* slot -> node + 1 */
    uint16_t *readers; /* slot -> node + 1 of the replica that this client reads; 0: none */
    bool map_wanted, map_asked;
    shoal_client_link *links; /* per node */
    shoal_operation *operations;
    uint32_t operation_count, operation_capacity;
    uint32_t free_list;                                 /* index + 1, by `newer` */
    uint32_t oldest, newest;                            /* index + 1 */
    uint64_t done, errors, redirections;                /* whole run */
    uint64_t tick_done, tick_errors, tick_redirections; /* since the last CLIENT_LOAD */
    bool ticking;
    uint32_t audit_next; /* auditor: the next key */
    bool audit_over;
} shoal_client;

/* Makes and ends client `index` of the world. */
void shoal_client__make(shoal_world *world, uint32_t index);
void shoal_client__free(shoal_world *world, uint32_t index);
/* Begins, or changes, the load of a client. */
void shoal_client__start(shoal_world *world, uint32_t index, const shoal_load *load);
void shoal_client__stop(shoal_world *world, uint32_t index);
/* Makes the auditor read every written key; shoal_expect__audited is called behind the last. */
void shoal_client__audit(shoal_world *world);

/* ---- operations; sim/operation.c ---- */

/* The slot of a key, or of a counter with SHOAL_KEY_COUNTER. */
uint32_t shoal_operation__slot(uint32_t key);
/* Makes and sends a new operation, a shoal_action. */
void shoal_operation__begin(shoal_world *world, shoal_client *client, uint32_t key,
                            uint32_t action);
/* Sends it (again) to where the map says, or to `node` when that is not UINT32_MAX. */
void shoal_operation__send(shoal_world *world, shoal_client *client, uint32_t index, uint32_t node);
/* It could not be done now: again after a pause. */
void shoal_operation__retry(shoal_world *world, shoal_client *client, uint32_t index,
                            uint32_t trouble);
/* Ends it. */
void shoal_operation__finish(shoal_world *world, shoal_client *client, uint32_t index,
                             uint32_t outcome);
/* Its reply has come. */
void shoal_operation__answered(shoal_world *world, shoal_client *client, uint32_t index,
                               shoal_slice reply);

/* ---- connections; sim/client_link.c ---- */

/* What a request on its way is for. */
enum { SHOAL_PENDING_OPERATION = 1, SHOAL_PENDING_SLOTS, SHOAL_PENDING_IGNORED };

/* Sends a request to a node, connecting first if need be. */
void shoal_client__request(shoal_world *world, shoal_client *client, uint32_t node,
                           shoal_slice request, shoal_pending pending);
/* Closes the connection to a node; what was sent on it is BROKEN. */
void shoal_client__hang_up(shoal_world *world, shoal_client *client, uint32_t node);
/* Asks some node for the slot map, unless that is under way. */
void shoal_client__refresh(shoal_world *world, shoal_client *client);

/* What a client does with what its connections bring. */
extern const shoal_end_class shoal_client__class;

#endif
