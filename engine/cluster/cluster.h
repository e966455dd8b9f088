/* SPDX-License-Identifier: MIT
 *
 * cluster/cluster.h - one node's opinion of the cluster: who is in it, who owns which slot, who
 * has failed; and the bus conversation that spreads opinions. A state machine: it is told of
 * links, bytes, finished file operations and the time; it asks for the same through the host's
 * operations. It knows no client, no store content and no configuration file; core carries the
 * facts across. Used by the control actor only.
 *
 * Facts of protocol: the Redis Cluster specification; constants and order of checks as Redis 7.0
 * shows them on the wire.
 */
#ifndef SHOAL_CLUSTER_CLUSTER_H
#define SHOAL_CLUSTER_CLUSTER_H

#include <shoal/host.h>
#include <shoal/types.h>

#include "cluster/facts.h"
#include "store/route.h"
#include "wire/bus.h"
#include "wire/resp.h"

/* cluster-timing-profile: whose rules of timing. */
enum { SHOAL_PROFILE_REDIS_7 = 0, SHOAL_PROFILE_SHOAL = 1 };

/* cluster-shutdown-handover: whether a master hands over before it ends. */
enum { SHOAL_HANDOVER_BY_PROFILE = 0, SHOAL_HANDOVER_NO = 1, SHOAL_HANDOVER_YES = 2 };

/* Settings, from config.def; may be changed at run time with shoal_cluster_set. */
typedef struct shoal_cluster_settings {
    uint16_t port;     /* of clients */
    uint16_t bus_port; /* cluster-port, or port + 10000 */
    int64_t node_timeout_ms;
    uint64_t link_queue_max; /* bytes that may wait on a link; 0: any */
    bool require_full_coverage;
    bool allow_reads_when_down;
    bool allow_channels_when_down;
    char announce_ip[46];                      /* "" : learn it from the first MEET */
    uint16_t announce_port, announce_bus_port; /* 0: as bound */
    char announce_hostname[256];
    int preferred_endpoint; /* 0 ip, 1 hostname, 2 unknown-endpoint */
    /* Where to look for known nodes that are not where they were: "host:port[@bus] ..."; a host
     * is an address, or a name of at most 45 characters that the host can resolve. */
    char seeds[1024];
    /* Failover. All zero: data are never too old, nothing migrates, Redis's timing and voters. */
    int64_t replica_validity_factor; /* node timeouts; 0: data are never too old */
    int64_t repl_ping_period_ms;     /* how often a master says something to its replicas */
    int64_t migration_barrier;       /* replicas that a master keeps */
    bool allow_replica_migration;
    bool replica_no_failover;
    bool voters_all;       /* every node votes, not only masters with slots */
    int profile;           /* SHOAL_PROFILE_* */
    int shutdown_handover; /* SHOAL_HANDOVER_* */
} shoal_cluster_settings;

/* What a cluster is made with. */
typedef struct shoal_cluster_options {
    shoal_allocator allocator;       /* copied */
    const shoal_host *host;          /* borrowed; outlives the cluster */
    uint64_t seed[2];                /* of the name and of every random choice */
    shoal_cluster_settings settings; /* copied */
    shoal_time now;
} shoal_cluster_options;

/* Makes an opinion that knows nobody yet, not even this node: shoal_cluster_load or
 * shoal_cluster_init_new comes next. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_cluster_create(const shoal_cluster_options *options,
                                              shoal_cluster **out);

/* Frees it. Its links stay open at the host. */
void shoal_cluster_destroy(shoal_cluster *cluster);

/* Takes other settings. */
void shoal_cluster_set(shoal_cluster *cluster, const shoal_cluster_settings *settings,
                       shoal_time now);

/* Takes the content of nodes.conf at start and saves it again. On an error nothing is taken over
 * and `complaint` says line and reason: SHOAL_ERR_MALFORMED; SHOAL_ERR_NO_MEMORY;
 * SHOAL_ERR_NOT_FOUND for an empty file, which is as good as none (Redis makes it before it writes
 * it): call shoal_cluster_init_new. */
SHOAL_MUST_USE shoal_err shoal_cluster_load(shoal_cluster *cluster, shoal_slice text,
                                            shoal_buffer *complaint);

/* No nodes.conf: takes a name from the seed and saves. */
void shoal_cluster_init_new(shoal_cluster *cluster, shoal_time now);

/* Events of the door: LINK_* and FILE_DONE of the NODES files. Links that come up before the node
 * has a name are closed. */
void shoal_cluster_event(shoal_cluster *cluster, const shoal_event *event);

/* Timers that are due at `now` run (the 100 ms cron). */
void shoal_cluster_tick(shoal_cluster *cluster, shoal_time now);

/* The earliest stored deadline, monotonic microseconds. */
int64_t shoal_cluster_deadline(const shoal_cluster *cluster);

/* One call of a CLUSTER subcommand. */
typedef struct shoal_cluster_call {
    uint32_t argc;
    const shoal_slice *argv; /* argv[0] "CLUSTER", argv[1] the subcommand */
    shoal_address local;     /* the asking client's local address */
    uint64_t keys;           /* keys in the store now: FLUSHSLOTS and RESET refuse if any */
    uint64_t keys_in_slot;   /* of the slot that SETSLOT names, if argv[2] is one */
    shoal_time now;
    shoal_reply reply;
    uint64_t change; /* out: what shoal_cluster_kept is asked about; 0: nothing is to be kept */
} shoal_cluster_call;

/* Runs a subcommand that belongs to this room (all but KEYSLOT, COUNTKEYSINSLOT, GETKEYSINSLOT,
 * HELP) and writes the reply. What it changes may not be durable yet at the return: the reply is
 * for when it is, see call->change. */
void shoal_cluster_command(shoal_cluster *cluster, shoal_cluster_call *call);

/* Slots that other nodes took from this one since the last call: what the store has of them is to
 * be deleted. False when there are none. */
bool shoal_cluster_take_lost(shoal_cluster *cluster, shoal_slotmap *slots);

/* Raised whenever owners, endpoints or the state changed; core then publishes a new route. */
uint64_t shoal_cluster_version(const shoal_cluster *cluster);

/* Rises with the version, and with that of the role. */
uint64_t shoal_cluster_news(const shoal_cluster *cluster);

/* Nothing is under way in which core takes part: no failover, no suspicion, no save. Without news
 * core has nothing to do for the cluster then, until its deadline. */
bool shoal_cluster_is_calm(const shoal_cluster *cluster);

/* Nodes and slots on their way that a route of the present map needs room for. */
uint16_t shoal_cluster_route_size(const shoal_cluster *cluster);
uint16_t shoal_cluster_route_moves(const shoal_cluster *cluster);

/* Fills a zeroed route made with these sizes, and its moves. */
void shoal_cluster_fill_route(const shoal_cluster *cluster, shoal_route *route,
                              shoal_route_move *moves);

/* The slots that such a route gives to this node. */
void shoal_cluster_own_slots(const shoal_cluster *cluster, shoal_slotmap *out);

/* This node's name of 40 characters; "" before load and init_new. */
const char *shoal_cluster_name(const shoal_cluster *cluster);

/* The cluster state is ok, as this node sees it. */
bool shoal_cluster_up(const shoal_cluster *cluster);

/* Whether it is known what has become of a command's change: the file that has it is durable (then
 * `error` is SHOAL_ERR_OK), or could not be written. What could not is tried again by itself. */
bool shoal_cluster_kept(const shoal_cluster *cluster, uint64_t change, shoal_err *error);

/* True while epochs, votes or slots are not yet durable. */
bool shoal_cluster_saving(const shoal_cluster *cluster);

/* Appends the text that nodes.conf would hold now. */
void shoal_cluster_save_text(const shoal_cluster *cluster, shoal_buffer *out);

/* Mixes the whole opinion into a digest, independent of addresses in memory. */
uint64_t shoal_cluster_digest(const shoal_cluster *cluster);

#endif
