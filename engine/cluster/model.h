/* SPDX-License-Identifier: MIT
 *
 * cluster/model.h - the opinion as data: limits, nodes, links, the state of a save, and the struct
 * that holds them all. Everything runs on the control actor, so nothing here is shared between
 * threads.
 *
 * Moments are stored in microseconds of the monotonic clock; 0 means never. What the wire and
 * CLUSTER NODES show as wall-clock time is computed from them when it is shown, so that a step of
 * the wall clock changes no decision.
 */
#ifndef SHOAL_CLUSTER_MODEL_H
#define SHOAL_CLUSTER_MODEL_H

#include <string.h>

#include "base/prng.h"
#include "cluster/cluster.h"
#include "cluster/failover.h"
#include "cluster/parcel.h"

/* ---- limits and times; where not said otherwise, as Redis 7.0 has them ---- */

#define BUS_NODES_MAX 16384u              /* a cluster has at most one master per slot */
#define BUS_LINKS_MAX 65536u              /* chosen: four links a node */
#define BUS_STRANGER_FRAME_MAX (1u << 20) /* chosen: a MEET with 10,000 gossip entries */
#define BUS_HELD_MAX 16                   /* chosen: votes are at least two timeouts apart */
#define BUS_FORGOTTEN_MAX 1024            /* chosen; beyond it the oldest entry makes room */
#define BUS_CRON_US 100000
#define BUS_CRON_SAMPLE_EVERY 10 /* crons between two pings of a sampled node */
#define BUS_CRON_SAMPLE 5        /* nodes looked at for that ping */
#define BUS_RETRY_US_MIN 500000  /* pause between tries of a failed node, profile shoal; chosen */
#define BUS_HANDSHAKE_MS_MIN 1000
#define BUS_TIMEOUT_MS_MAX (1ll << 40) /* chosen: 34 years, so that sums cannot overflow */
#define BUS_REPORT_TIMEOUTS 2          /* a failure report is valid this many node timeouts */
#define BUS_FAIL_UNDO_TIMEOUTS 2
/* Chosen: a ping that waits so many node timeouts behind messages is no lost one on lines that a
 * cluster can live with. */
#define BUS_DEAF_TIMEOUTS 4
#define BUS_VOTE_TIMEOUTS 2 /* between votes for replicas of one master */
#define BUS_REJOIN_MS_MIN 500
#define BUS_REJOIN_MS_MAX 5000
#define BUS_WRITABLE_DELAY_MS 2000
#define BUS_PONG_AHEAD_US 500000  /* gossip may be this far ahead of our wall clock */
#define BUS_FORGOTTEN_MS 60000    /* FORGET keeps a node away this long */
#define BUS_SAVE_RETRY_US 1000000 /* chosen: a full disk is asked again each second */
#define BUS_SAVE_AT_ONCE 64       /* chosen: so few nodes are written whenever one changes */
#define BUS_ROUTE_AT_ONCE 64      /* chosen: so few nodes are told of whenever one gets slots */
#define BUS_ROUTE_PAUSE_US 100000 /* chosen: of more, so long after the last time at least */
#define BUS_SAVE_PAUSE_US 2000    /* chosen: of more, for each: then writing takes little time */
#define BUS_PORT_OFFSET 10000
#define BUS_HOSTNAME_SIZE 256
#define BUS_SEEDS_SIZE 1024 /* of the directive's text */
#define BUS_SEED_US 1000000 /* chosen: a seed is asked each second, and has as long to answer */

/* Places whose quiet moments are summed up in one: two lines of the cache. */
#define BUS_QUIET_GROUP 16u

/* Index of a node that is none. Owners of slots and masters of replicas are kept as indexes. */
#define BUS_NONE UINT16_MAX

/* Purposes of random streams. */
enum {
    BUS_RANDOM_NAME = 0xC1000001u, /* this node's name */
    BUS_RANDOM_HANDSHAKE,          /* temporary names */
    BUS_RANDOM_GOSSIP,             /* whom a ping tells of */
    BUS_RANDOM_SAMPLE,             /* who is pinged each second */
    BUS_RANDOM_PHASE,              /* when the first cron runs */
    BUS_RANDOM_INDEX,              /* hash of the name index */
    BUS_RANDOM_ELECTION            /* how long a candidate waits */
};

/* The reasons of cluster/reasons.def, by kind. */
enum {
#define SHOAL_REFUSED(name, value, text) BUS_REFUSED_##name = (value),
#include "cluster/reasons.def"
};
enum {
#define SHOAL_WHY_NOT(name, value, text) BUS_WHY_##name = (value),
#include "cluster/reasons.def"
};
enum {
#define SHOAL_FORGOTTEN(name, value, text) BUS_FORGOTTEN_##name = (value),
#include "cluster/reasons.def"
};
enum {
#define SHOAL_STATE(name, value, text) BUS_STATE_##name = (value),
#include "cluster/reasons.def"
};

/* Levels of LOG records. */
enum { BUS_DEBUG = 0, BUS_VERBOSE = 1, BUS_NOTICE = 2, BUS_WARNING = 3 };

/* What must follow a change, at the end of the step. */
enum {
    BUS_DUE_STATE = 1, /* the cluster state may be another */
    BUS_DUE_SAVE = 2,  /* nodes.conf is out of date */
    BUS_DUE_ROUTE = 4, /* owners, endpoints or the state changed for clients */
    BUS_DUE_LATER = 8, /* nodes.conf is out of date in what others would tell again */
    BUS_DUE_MAP = 16 /* slots of others changed hands: the route may wait, see BUS_ROUTE_AT_ONCE */
};

/* ---- a hash index from a 64-bit hash to a pointer; the owner of the pointers compares ---- */

/* One place of an index. */
typedef struct bus_index_cell {
    uint64_t hash;
    void *value; /* NULL: free */
} bus_index_cell;

/* Open addressing; zero is an empty index. */
typedef struct bus_index {
    bus_index_cell *cells;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
} bus_index;

/* Whether the value is what the key says. */
typedef bool (*bus_index_match)(const void *value, const void *key);

/* ---- nodes ---- */

typedef struct bus_link bus_link;

/* Who said when that a node has failed: a moment per reporter's index. */
typedef struct bus_reports {
    int64_t *moments; /* NULL until the first report */
    uint32_t capacity;
    int64_t oldest_us; /* not later than any of them */
} bus_reports;

/* What gossip in parcels and walks over all nodes need of a node, if it is plain: side by side, by
 * place in `live`, so that a thousand of them take a few pages. Plain is who answers, is worth
 * telling of and is held for failing by nobody: while `plain` is true, so is what
 * shoal_bus__is_plain says, and the rest is what the node says. Whoever changes something of that
 * calls shoal_bus__blur; who looks the next time looks at the node itself, and brings this up to
 * date. */
typedef struct bus_glance {
    int64_t pong_received_us; /* kept here only, plain or not */
    uint32_t who, where;
    uint16_t flags;
    bool owns : 1;  /* it has slots */
    bool unfit : 1; /* while true: it is neither worth telling of nor suspected */
    bool plain : 1;
    uint32_t told_s; /* the newest second of a pong that gossip told of it; kept here only */
} bus_glance;

/* One node as this node sees it, aligned to BUS_NODE_ALIGNMENT. Gossip picks nodes at random out
 * of many, so what it reads and tells in parcels of those that are not plain stands in the first
 * line, what it reads and tells in bytes in the next two. */
typedef struct bus_node {
    uint16_t index;      /* in cluster.nodes; constant while the node is known */
    uint16_t flags;      /* SHOAL_NODE_* */
    uint16_t replica_of; /* index, or BUS_NONE */
    uint16_t replica_count;
    uint32_t slot_count;   /* only masters have slots */
    uint32_t live_at;      /* position in cluster.live */
    uint32_t who;          /* number of its name in the exchange; 0: not asked for yet */
    uint32_t where;        /* and of its address */
    uint32_t report_count; /* how many reports there are */
    uint16_t slot_least;   /* while it has slots: the first of them */
    uint16_t slot_most;    /* and the last */
    bus_link *link;        /* opened by us; NULL when disconnected */
    bus_link *inbound;     /* opened by the node and used by it; NULL when there is none */
    int64_t ping_sent_us;  /* of the ping that waits for its pong; 0: none waits */
    int64_t data_received_us;
    /* The second line: who it is, and what rounds and frames look at. */
    char name[SHOAL_NODE_NAME_LEN + 1];
    bool slots_changed; /* a SLOTS record is due */
    uint16_t port, bus_port, tls_port;
    uint64_t seen_epoch; /* the greatest current epoch of its frames */
    int64_t refused_us;  /* since when connections to it are refused; 0: they are not */
    /* The third: the rest of what frames say. */
    char ip[46];      /* zero padded; "" unknown */
    uint16_t working; /* scratch of migrate.c: its working replicas */
    uint64_t config_epoch;
    uint64_t offset; /* of replication, as its last frame said */
    bus_reports reports;
    int64_t created_us;
    int64_t fail_us;      /* when it became FAIL */
    uint64_t fail_epoch;  /* its configEpoch then */
    int64_t voted_us;     /* when a replica of it had our vote */
    int64_t orphaned_us;  /* since when it has no working replica; 0: it has, or never had */
    int64_t opened_us;    /* when a connection to it was last tried */
    uint64_t acked_epoch; /* of the last vote that it gave this node */
    char *hostname;       /* terminated, BUS_HOSTNAME_SIZE bytes; NULL: none */
} bus_node;

/* A line of the cache. */
#define BUS_NODE_ALIGNMENT 64u

/* ---- links ---- */

/* One connection of the bus. */
struct bus_link {
    shoal_link id;
    bus_node *node; /* whose; NULL while an inbound link has not said it */
    bool inbound;
    bool seed; /* to an address of cluster-seeds: outgoing, of nobody in particular */
    bool up;
    bool full;    /* between LINK_FULL and LINK_ROOM */
    bool reading; /* its bytes are being read: it must not be freed */
    bool dead;    /* dropped while reading */
    int64_t created_us;
    shoal_address peer;
    shoal_address local;
    shoal_buffer input; /* the beginning of a frame that is not complete */
};

/* A name that may not come back before `until_us`. */
typedef struct bus_forgotten {
    char name[SHOAL_NODE_NAME_LEN];
    int64_t until_us;
} bus_forgotten;

/* A frame that waits until the opinion it rests on is durable. */
typedef struct bus_held {
    uint64_t generation;
    shoal_link link; /* 0: to every node */
    uint16_t type;
    shoal_buffer frame;
} bus_held;

/* Ways that a slot can go; in nodes.conf and replies OUT stands before IN. */
enum { BUS_MOVE_OUT, BUS_MOVE_IN };

/* A slot on its way to (OUT) or from (IN) the node of this index. */
typedef struct bus_move {
    uint16_t slot, node, way;
} bus_move;

/* The one save in flight. `generation` grows with each change that must be durable. */
typedef struct bus_save {
    enum { BUS_SAVE_IDLE, BUS_SAVE_WRITING, BUS_SAVE_RENAMING } phase;
    uint64_t generation; /* of the opinion */
    uint64_t urgent;     /* the last generation with something that cannot wait */
    int64_t started_us;  /* when the last save began */
    uint64_t in_flight;  /* of the text being written */
    uint64_t durable;    /* of the text on disk */
    uint64_t failed;     /* of the last text that could not be written, and why */
    shoal_err failure;
    uint32_t waiting; /* operations not answered yet */
    shoal_err error;  /* the first that failed */
    uint64_t tag;     /* of the save in flight */
    int64_t retry_us; /* not before; 0: at once */
    size_t size;
    uint64_t vote; /* lastVoteEpoch in the text being written */
} bus_save;

/* The whole opinion. */
struct shoal_cluster {
    shoal_allocator allocator;
    const shoal_host *host;
    shoal_cluster_settings settings;
    shoal_time now;
    int64_t loaded_us; /* when the file of a former run was read; 0: there was none */
    int64_t cron_us;   /* next cron */
    uint64_t cron_count;

    bus_node *myself;        /* NULL before load or init_new */
    bus_node **nodes;        /* by index; NULL: free */
    bus_node **live;         /* all nodes in the order they became known */
    int64_t *quiet_us;       /* by place in live: the cron has nothing to do for it till then */
    int64_t *quiet_least_us; /* the least of each group of BUS_QUIET_GROUP places, or less */
    bus_glance *glances;     /* by place in live */
    uint32_t node_capacity;  /* of these arrays, which are one block */
    uint32_t node_count;
    bus_index names;
    bus_index links;
    uint64_t index_key;

    uint16_t owners[SHOAL_SLOTS]; /* index of the owner, or BUS_NONE */
    uint32_t slots_assigned;
    struct bus_seed {
        bus_link *link; /* to the one that is asked now, or NULL */
        uint32_t at;    /* the next */
        int64_t asked_us;
        bool complained;
    } seed;
    bus_move *moves; /* ordered by slot, then way; see moves.c */
    uint32_t move_count, move_capacity;
    shoal_slotmap lost; /* slots that others took from this node, until core asks */
    bool any_lost;
    shoal_slotmap unclaimed; /* slots whose owner says that it has them no more */
    uint32_t unclaimed_count;
    bool slots_changed; /* of some node, whose place is between these two */
    uint32_t changed_least, changed_most;
    uint32_t voters;       /* masters with slots */
    uint32_t voters_whole; /* how many there were when each slot had an owner last; 0: never */
    uint32_t suspects;     /* nodes that are always told of, since the last cron */
    bool no_orphans; /* when roles and failures were last looked at; they are the same since */

    uint64_t current_epoch;
    uint64_t last_vote_epoch;
    uint64_t traced_epochs[2]; /* current and own config epoch of the last EPOCH record */
    bool up;
    bool elected;           /* since its start a majority has voted for it */
    uint32_t state_reason;  /* BUS_STATE_* */
    uint32_t state_why;     /* last WHY_NOT about the state; 0 none */
    int64_t first_state_us; /* first look at the state */
    int64_t minority_us;    /* last look that saw a minority */
    uint32_t due;           /* BUS_DUE_* */
    uint64_t version;
    int64_t version_us; /* when it rose last */
    bool map_due;       /* it has to rise, but may wait */

    uint64_t gossip_round;
    uint64_t *told; /* scratch of one section: a bit for each place in live that it tells of */
    /* By the exchange's number of its name, from 1 on: its place in live, plus one; 0: not found
     * yet. */
    uint16_t *by_who;
    uint32_t by_who_capacity;
    const shoal_parcel *parcel; /* while one is read */
    bus_node *told_of[16];      /* scratch of reading: whom the next entries are about */
    shoal_gossip *gossip;       /* scratch of one frame */
    uint32_t gossip_capacity;
    shoal_buffer frame; /* scratch of one frame */
    shoal_buffer text;  /* scratch of one trace text */

    bus_failover failover; /* see failover.h */
    bus_save save;
    bus_held held[BUS_HELD_MAX];
    uint32_t held_count;
    bus_forgotten *forgotten; /* BUS_FORGOTTEN_MAX, allocated at the first FORGET */
    uint32_t forgotten_count;

    uint64_t sent[SHOAL_FRAME_TYPE_COUNT];
    uint64_t received[SHOAL_FRAME_TYPE_COUNT];
    uint32_t ignored_type; /* frames of this type, plus one, are not read; 0: none */
    uint64_t refused;
    uint64_t dropped_full;     /* frames not sent because their link was full */
    uint64_t links_overflowed; /* links ended because too much waited on them */

    shoal_prng random_name, random_handshake, random_gossip, random_sample, random_election;
};

#endif
