/* SPDX-License-Identifier: MIT
 *
 * cluster/internal.h - what the files of this room share: the node table, links, the state of a
 * save, and the functions by which the files call each other. Everything runs on the control
 * actor, so nothing here is shared between threads.
 *
 * How a step goes: a public function of cluster.h sets `now`, does its work, which only marks what
 * has to follow (`todo`), and ends with shoal_bus__finish, which updates the cluster state, writes
 * the trace records that sum up changes, and starts a save.
 *
 * Moments are stored in microseconds of the monotonic clock; 0 means never. What the wire and
 * CLUSTER NODES show as wall-clock time is computed from them when it is shown, so that a step of
 * the wall clock changes no decision.
 */
#ifndef SHOAL_CLUSTER_INTERNAL_H
#define SHOAL_CLUSTER_INTERNAL_H

#include <string.h>

#include "base/prng.h"
#include "cluster/cluster.h"

/* ---- limits and times; where not said otherwise, as Redis 7.0 has them ---- */

#define BUS_NODES_MAX 16384u              /* a cluster has at most one master per slot */
#define BUS_LINKS_MAX 65536u              /* chosen: four links a node */
#define BUS_STRANGER_FRAME_MAX (1u << 20) /* chosen: a MEET with 10,000 gossip entries */
#define BUS_HELD_MAX 16                   /* chosen: votes are at least two timeouts apart */
#define BUS_FORGOTTEN_MAX 1024            /* chosen; beyond it the oldest entry makes room */
#define BUS_CRON_US 100000
#define BUS_CRON_SAMPLE_EVERY 10 /* crons between two pings of a sampled node */
#define BUS_CRON_SAMPLE 5        /* nodes looked at for that ping */
#define BUS_HANDSHAKE_MS_MIN 1000
#define BUS_REPORT_TIMEOUTS 2 /* a failure report is valid this many node timeouts */
#define BUS_FAIL_UNDO_TIMEOUTS 2
#define BUS_VOTE_TIMEOUTS 2 /* between votes for replicas of one master */
#define BUS_REJOIN_MS_MIN 500
#define BUS_REJOIN_MS_MAX 5000
#define BUS_WRITABLE_DELAY_MS 2000
#define BUS_PONG_AHEAD_US 500000  /* gossip may be this far ahead of our wall clock */
#define BUS_FORGOTTEN_MS 60000    /* FORGET keeps a node away this long */
#define BUS_SAVE_RETRY_US 1000000 /* chosen: a full disk is asked again each second */
#define BUS_PORT_OFFSET 10000
#define BUS_HOSTNAME_SIZE 256

/* Index of a node that is none. Owners of slots and masters of replicas are kept as indexes. */
#define BUS_NONE UINT16_MAX

/* Purposes of random streams. */
enum {
    BUS_RANDOM_NAME = 0xC1000001u, /* this node's name */
    BUS_RANDOM_HANDSHAKE,          /* temporary names */
    BUS_RANDOM_GOSSIP,             /* whom a ping tells of */
    BUS_RANDOM_SAMPLE,             /* who is pinged each second */
    BUS_RANDOM_PHASE,              /* when the first cron runs */
    BUS_RANDOM_INDEX               /* hash of the name index */
};

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
    BUS_TODO_STATE = 1, /* the cluster state may be another */
    BUS_TODO_SAVE = 2,  /* nodes.conf is out of date */
    BUS_TODO_ROUTE = 4  /* owners, endpoints or the state changed for clients */
};

/* ---- a hash index from a 64-bit hash to a pointer; the owner of the pointers compares ---- */

typedef struct bus_index_cell {
    uint64_t hash;
    void *value; /* NULL: free */
} bus_index_cell;

typedef struct bus_index {
    bus_index_cell *cells;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
} bus_index;

typedef bool (*bus_index_match)(const void *value, const void *key);

/* ---- nodes ---- */

typedef struct bus_link bus_link;

/* Who said when that a node has failed: a moment per reporter's index. */
typedef struct bus_reports {
    int64_t *moments; /* NULL until the first report */
    uint32_t capacity;
    uint32_t count;    /* moments that are not 0 */
    int64_t oldest_us; /* not later than any of them */
} bus_reports;

/* One node as this node sees it. The first lines are what the cron reads. */
typedef struct bus_node {
    uint16_t index;      /* in cluster.nodes; constant while the node is known */
    uint16_t flags;      /* SHOAL_NODE_* */
    uint16_t replica_of; /* index, or BUS_NONE */
    uint16_t replica_count;
    uint32_t slot_count;  /* only masters have slots */
    uint32_t live_at;     /* position in cluster.live */
    bus_link *link;       /* opened by us; NULL when disconnected */
    bus_link *inbound;    /* opened by the node and used by it; NULL when there is none */
    int64_t ping_sent_us; /* of the ping that waits for its pong; 0: none waits */
    int64_t pong_received_us;
    int64_t data_received_us;
    int64_t created_us;
    int64_t fail_us;  /* when it became FAIL */
    int64_t voted_us; /* when a replica of it had our vote */
    uint64_t config_epoch;
    uint64_t offset;      /* of replication, as its last frame said */
    uint64_t told_in;     /* number of the last gossip section that tells of it */
    shoal_slotmap *slots; /* NULL while slot_count is 0 */
    bus_reports reports;
    bool slots_changed; /* a SLOTS record is due */
    uint16_t port, bus_port, tls_port;
    char ip[46]; /* zero padded; "" unknown */
    char name[SHOAL_NODE_NAME_LEN + 1];
    char *hostname; /* terminated, BUS_HOSTNAME_SIZE bytes; NULL: none */
} bus_node;

/* ---- links ---- */

/* One connection of the bus. */
struct bus_link {
    shoal_link id;
    bus_node *node; /* whose; NULL while an inbound link has not said it */
    bool inbound;
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
    shoal_link link;
    shoal_buffer frame;
} bus_held;

/* The one save in flight. `generation` grows with each change that must be durable. */
typedef struct bus_save {
    enum { BUS_SAVE_IDLE, BUS_SAVE_WRITING, BUS_SAVE_RENAMING } phase;
    uint64_t generation; /* of the opinion */
    uint64_t in_flight;  /* of the text being written */
    uint64_t durable;    /* of the text on disk */
    uint32_t waiting;    /* operations not answered yet */
    shoal_err error;     /* the first that failed */
    uint64_t tag;        /* of the save in flight */
    int64_t retry_us;    /* not before; 0: at once */
    size_t size;
} bus_save;

struct shoal_cluster {
    shoal_allocator allocator;
    const shoal_host *host;
    shoal_cluster_settings settings;
    shoal_time now;
    int64_t cron_us; /* next cron */
    uint64_t cron_count;

    bus_node *myself;       /* NULL before load or init_new */
    bus_node **nodes;       /* by index; NULL: free */
    bus_node **live;        /* all nodes in the order they became known */
    uint32_t node_capacity; /* of both arrays */
    uint32_t node_count;
    bus_index names;
    bus_index links;
    uint64_t index_key;

    uint16_t owners[SHOAL_SLOTS]; /* index of the owner, or BUS_NONE */
    uint32_t slots_assigned;
    uint32_t voters;   /* masters with slots */
    uint32_t suspects; /* nodes that were PFAIL at the last cron */

    uint64_t current_epoch;
    uint64_t last_vote_epoch;
    uint64_t traced_epochs[2]; /* current and own config epoch of the last EPOCH record */
    bool up;
    uint32_t state_reason;  /* BUS_STATE_* */
    uint32_t state_why;     /* last WHY_NOT about the state; 0 none */
    int64_t first_state_us; /* first look at the state */
    int64_t minority_us;    /* last look that saw a minority */
    uint32_t todo;          /* BUS_TODO_* */
    uint64_t version;

    uint64_t gossip_round;
    shoal_gossip *gossip; /* scratch of one frame */
    uint32_t gossip_capacity;
    shoal_buffer frame; /* scratch of one frame */
    shoal_buffer text;  /* scratch of one trace text */

    bus_save save;
    bus_held held[BUS_HELD_MAX];
    uint32_t held_count;
    bus_forgotten *forgotten; /* BUS_FORGOTTEN_MAX, allocated at the first FORGET */
    uint32_t forgotten_count;

    uint64_t sent[SHOAL_FRAME_TYPE_COUNT];
    uint64_t received[SHOAL_FRAME_TYPE_COUNT];
    uint64_t refused;
    uint64_t dropped_full; /* frames not sent because their link was full */

    shoal_prng random_name, random_handshake, random_gossip, random_sample;
};

/* ---- small things ---- */

/* The present moment as it is stored: never 0. */
static inline int64_t shoal_bus__stamp(const shoal_cluster *c)
{
    return c->now.mono_us > 0 ? c->now.mono_us : 1;
}

/* Microseconds since a stored moment; the longest time when it never was. */
static inline int64_t shoal_bus__since(const shoal_cluster *c, int64_t moment_us)
{
    return moment_us == 0 ? INT64_MAX : c->now.mono_us - moment_us;
}

static inline int64_t shoal_bus__timeout_us(const shoal_cluster *c)
{
    return c->settings.node_timeout_ms * 1000;
}

/* A stored moment on the wall clock, in milliseconds; 0 for never. */
int64_t shoal_bus__wall_ms(const shoal_cluster *c, int64_t moment_us);

static inline bool shoal_bus__is(const bus_node *node, uint16_t flag)
{
    return (node->flags & flag) != 0;
}

/* ---- address.c ---- */

/* Copies text, cut to `size` - 1 bytes, and fills the rest with zeros. */
void shoal_bus__copy_text(char *to, size_t size, shoal_slice text);
/* A slice over a field that is zero padded but may lack a terminator. */
shoal_slice shoal_bus__field(const char *field, size_t size);
/* Whether the text is an IPv4 or IPv6 address. */
bool shoal_bus__is_ip(shoal_slice text);
/* Whether these can be a node's name (small letters and digits) or host name (letters, digits, dots
 * and dashes, or nothing): nodes.conf could not hold others. */
bool shoal_bus__is_name(const char name[SHOAL_NODE_NAME_LEN]);
bool shoal_bus__is_hostname(shoal_slice text);

/* ---- index.c ---- */

/* The value that matches, or NULL. */
void *shoal_bus__index_find(const bus_index *index, uint64_t hash, bus_index_match match,
                            const void *key);
/* Adds a value that is not in yet. False without memory. */
bool shoal_bus__index_add(bus_index *index, const shoal_allocator *allocator, uint64_t hash,
                          void *value);
/* Removes a value that is in. */
void shoal_bus__index_remove(bus_index *index, uint64_t hash, const void *value);
void shoal_bus__index_free(bus_index *index, const shoal_allocator *allocator);

/* ---- note.c: trace records ---- */

void shoal_bus__note(shoal_cluster *c, shoal_trace_kind kind, const uint64_t numbers[3],
                     shoal_slice text);
/* A record whose text is a node's name. */
void shoal_bus__note_node(shoal_cluster *c, shoal_trace_kind kind, const bus_node *node);
void shoal_bus__log(shoal_cluster *c, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* WHY_NOT, with a detail for people. */
void shoal_bus__why_not(shoal_cluster *c, uint32_t reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* FRAME_REFUSED, counted. */
void shoal_bus__refuse(shoal_cluster *c, uint32_t reason, const bus_link *link, size_t size,
                       const char *detail);
/* NODE_KNOWN: a node entered the table, or its address or role is another. */
void shoal_bus__note_known(shoal_cluster *c, const bus_node *node);
/* SLOTS for every node whose slots changed in this step, EPOCH if an epoch did. */
void shoal_bus__note_changes(shoal_cluster *c);

/* ---- nodes.c ---- */

/* A random name of 40 hexadecimal digits. */
void shoal_bus__random_name(shoal_prng *random, char name[SHOAL_NODE_NAME_LEN + 1]);
bus_node *shoal_bus__node_find(const shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN]);
/* Finds by a name of any length, as a client sends it. */
bus_node *shoal_bus__node_find_text(const shoal_cluster *c, shoal_slice name);
/* Adds a node that is not known; NULL (and a WHY_NOT) when the table is full. `name` NULL takes a
 * random one. No NODE_KNOWN yet: the caller fills in the address first. */
bus_node *shoal_bus__node_add(shoal_cluster *c, const char *name, uint16_t flags);
/* Removes a node, its links, slots, and what it reported. Not myself. */
void shoal_bus__node_remove(shoal_cluster *c, bus_node *node, uint32_t reason);
void shoal_bus__node_rename(shoal_cluster *c, bus_node *node, const char name[SHOAL_NODE_NAME_LEN]);
/* The node is a master from now on. */
void shoal_bus__node_make_master(shoal_cluster *c, bus_node *node);
/* The node is a replica of `master` (BUS_NONE: of one that is not known). Its slots go. */
void shoal_bus__node_make_replica(shoal_cluster *c, bus_node *node, uint16_t master);
/* The node whose slots `node` speaks for: itself or its master; NULL when that is not known. */
bus_node *shoal_bus__node_speaks_for(const shoal_cluster *c, const bus_node *node);
/* The node's host name, maybe empty / gives it another. */
static inline shoal_slice shoal_bus__hostname(const bus_node *node)
{
    return node->hostname ? shoal_bus__field(node->hostname, BUS_HOSTNAME_SIZE)
                          : (shoal_slice){NULL, 0};
}
void shoal_bus__set_hostname(shoal_cluster *c, bus_node *node, shoal_slice hostname);
/* Frees the whole table. */
void shoal_bus__nodes_free(shoal_cluster *c);
/* A handshake with this address is under way. */
bool shoal_bus__handshake_in_progress(const shoal_cluster *c, const shoal_address *address,
                                      uint16_t bus_port);
/* Starts a handshake from CLUSTER MEET: false when the address is no address. */
bool shoal_bus__handshake_start(shoal_cluster *c, const shoal_address *address, uint16_t bus_port);
/* Keeps a name away for a while / tells whether it is kept away. */
void shoal_bus__forget(shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN]);
bool shoal_bus__is_forgotten(const shoal_cluster *c, const char name[SHOAL_NODE_NAME_LEN]);
/* Takes this node's own address from the settings (and keeps a learned ip). */
void shoal_bus__adopt_settings(shoal_cluster *c);

/* ---- slots.c ---- */

/* The owner of a slot, or NULL. */
static inline bus_node *shoal_bus__owner(const shoal_cluster *c, uint32_t slot)
{
    uint16_t index = c->owners[slot];
    return index == BUS_NONE ? NULL : c->nodes[index];
}
/* Gives the slot to `node` (a master), or to nobody (NULL). False without memory. */
bool shoal_bus__slot_set(shoal_cluster *c, uint32_t slot, bus_node *node);
/* Takes all slots of a node away. */
void shoal_bus__slots_clear(shoal_cluster *c, bus_node *node);
/* A node's slots for the wire; all zero when it has none. Borrowed. */
const shoal_slotmap *shoal_bus__slots_of(const bus_node *node);
/* The first slot of the map from `slot` on, or SHOAL_SLOTS. */
uint32_t shoal_bus__slot_next(const shoal_slotmap *map, uint32_t slot);
/* `sender`, a master, claims `slots` with `epoch`. */
void shoal_bus__slots_claim(shoal_cluster *c, bus_node *sender, uint64_t epoch,
                            const shoal_slotmap *slots);
/* Tells `sender` of a newer owner of a slot it claims, if there is one. */
void shoal_bus__slots_correct(shoal_cluster *c, bus_node *sender, uint64_t epoch,
                              const shoal_slotmap *slots);
/* Two masters with one configuration epoch: the smaller name takes a new one. */
void shoal_bus__epoch_collision(shoal_cluster *c, const bus_node *sender);
/* Takes a new greatest epoch without asking anybody; false when it has the greatest already. */
bool shoal_bus__epoch_bump(shoal_cluster *c);

/* ---- links.c ---- */

/* Opens the outgoing link of a node. */
void shoal_bus__link_open(shoal_cluster *c, bus_node *node);
/* Drops a link: closes it at the host and lets its node know. Frees it, or after reading. */
void shoal_bus__link_drop(shoal_cluster *c, bus_link *link);
bus_link *shoal_bus__link_find(const shoal_cluster *c, shoal_link id);
/* An inbound link is now known to be of `node`; one it had before is dropped. */
void shoal_bus__link_assign(shoal_cluster *c, bus_link *link, bus_node *node);
void shoal_bus__link_event(shoal_cluster *c, const shoal_event *event);
void shoal_bus__links_free(shoal_cluster *c);

/* ---- send.c ---- */

/* PING, PONG or MEET with a gossip section. A PING that nobody can carry still counts as sent for
 * failure detection: silence must be noticed on links that never come up. */
void shoal_bus__send_ping(shoal_cluster *c, bus_link *link, uint16_t type);
/* FAIL about `node` to every node that has a link. */
void shoal_bus__send_fail(shoal_cluster *c, const bus_node *node);
/* UPDATE: how `owner` is configured, to the node of `link`. */
void shoal_bus__send_update(shoal_cluster *c, bus_link *link, const bus_node *owner);
/* Encodes the vote for the node of `link` into `out`; it leaves by shoal_bus__send_bytes. */
void shoal_bus__encode_ack(shoal_cluster *c, shoal_buffer *out);
/* Sends one encoded frame. */
void shoal_bus__send_bytes(shoal_cluster *c, bus_link *link, uint16_t type, shoal_slice frame);

/* ---- gossip.c ---- */

/* Fills cluster.gossip for a frame to `receiver` (NULL: not known yet); returns the count. */
uint16_t shoal_bus__gossip_choose(shoal_cluster *c, const bus_node *receiver);
/* What `sender` tells of others. */
void shoal_bus__gossip_read(shoal_cluster *c, bus_node *sender, const shoal_frame *frame);

/* ---- receive.c ---- */

/* One whole frame came. The link may be dead afterwards (link->dead). */
void shoal_bus__receive(shoal_cluster *c, bus_link *link, shoal_slice bytes);

/* ---- failure.c ---- */

/* `reporter`, a voter, holds `node` for failing. True when that is news. */
bool shoal_bus__report_add(shoal_cluster *c, bus_node *node, const bus_node *reporter);
bool shoal_bus__report_remove(bus_node *node, const bus_node *reporter);
/* Valid reports about `node`; forgets the others. */
uint32_t shoal_bus__report_count(const shoal_cluster *c, bus_node *node);
void shoal_bus__reports_free(shoal_cluster *c, bus_node *node);
/* PFAIL becomes FAIL when enough masters agree. */
void shoal_bus__fail_if_agreed(shoal_cluster *c, bus_node *node);
/* The node has answered: PFAIL ends, FAIL ends if the rules allow. */
void shoal_bus__answered(shoal_cluster *c, bus_node *node);
/* Sets a flag with its record. */
void shoal_bus__set_suspect(shoal_cluster *c, bus_node *node);
void shoal_bus__set_failed(shoal_cluster *c, bus_node *node, uint32_t reports);
/* A voter: a master that serves slots. */
static inline bool shoal_bus__votes(const bus_node *node)
{
    return shoal_bus__is(node, SHOAL_NODE_MASTER) && node->slot_count > 0;
}
/* How many voters make a majority. */
static inline uint32_t shoal_bus__quorum(const shoal_cluster *c)
{
    return c->voters / 2 + 1;
}

/* ---- election.c ---- */

/* A replica asks for a vote. */
void shoal_bus__vote(shoal_cluster *c, bus_node *sender, const shoal_frame *request);
/* Sends the frames that waited for what is durable now. */
void shoal_bus__held_release(shoal_cluster *c);

/* ---- state.c, cron.c, save.c, load.c ---- */

void shoal_bus__state_update(shoal_cluster *c);
void shoal_bus__cron(shoal_cluster *c);
/* Starts a save if one is due and none is in flight. */
void shoal_bus__save_start(shoal_cluster *c);
void shoal_bus__save_event(shoal_cluster *c, const shoal_event *event);
/* Ends a step: see the top of this file. */
void shoal_bus__finish(shoal_cluster *c);

/* ---- admin*.c ---- */

/* Appends a node's line of CLUSTER NODES and nodes.conf, without newline. */
void shoal_bus__node_line(const shoal_cluster *c, const bus_node *node, shoal_buffer *out);
/* Appends " 0-5 7" for the slots of a node. */
void shoal_bus__slot_ranges(const bus_node *node, shoal_buffer *out);
/* What clients should connect to, by the preference of the settings. */
const char *shoal_bus__endpoint(const shoal_cluster *c, const bus_node *node);
void shoal_bus__command_info(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_nodes(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_replicas(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_slots(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_shards(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_links(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_addslots(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_delslots(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_addslotsrange(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_delslotsrange(shoal_cluster *c, shoal_cluster_call *call);
void shoal_bus__command_flushslots(shoal_cluster *c, shoal_cluster_call *call);
/* The arity the table of commands cannot express: as Redis answers it. */
void shoal_bus__reply_arity(shoal_cluster_call *call);

#endif
