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

#include "store/store.h"
#include "wire/bus.h"
#include "wire/resp.h"

typedef struct shoal_cluster shoal_cluster;

/* Settings, from config.def; may be changed at run time with shoal_cluster_set. */
typedef struct shoal_cluster_settings {
    uint16_t port;     /* of clients */
    uint16_t bus_port; /* cluster-port, or port + 10000 */
    int64_t node_timeout_ms;
    bool require_full_coverage;
    bool allow_reads_when_down;
    char announce_ip[46];                      /* "" : learn it from the first MEET */
    uint16_t announce_port, announce_bus_port; /* 0: as bound */
    char announce_hostname[256];
    int preferred_endpoint; /* 0 ip, 1 hostname, 2 unknown-endpoint */
} shoal_cluster_settings;

typedef struct shoal_cluster_options {
    shoal_allocator allocator;
    const shoal_host *host;
    uint64_t seed[2];
    shoal_cluster_settings settings;
    shoal_time now;
} shoal_cluster_options;

SHOAL_MUST_USE shoal_err shoal_cluster_create(const shoal_cluster_options *options,
                                              shoal_cluster **out);
void shoal_cluster_destroy(shoal_cluster *cluster);
void shoal_cluster_set(shoal_cluster *cluster, const shoal_cluster_settings *settings,
                       shoal_time now);

/* Takes the content of nodes.conf at start. On an error nothing is taken over and `complaint` says
 * line and reason. SHOAL_ERR_NOT_FOUND for an empty file, which is as good as none (Redis creates
 * it before it writes it): call shoal_cluster_init_new then. SHOAL_ERR_UNSUPPORTED when the file
 * says that this node is a replica. */
SHOAL_MUST_USE shoal_err shoal_cluster_load(shoal_cluster *cluster, shoal_slice text,
                                            shoal_buffer *complaint);
/* No nodes.conf: takes a name from the seed and saves. */
void shoal_cluster_init_new(shoal_cluster *cluster, shoal_time now);

/* Events of the door: LINK_* and FILE_DONE of the NODES files. */
void shoal_cluster_event(shoal_cluster *cluster, const shoal_event *event);
/* Timers that are due at `now` run (the 100 ms cron). */
void shoal_cluster_tick(shoal_cluster *cluster, shoal_time now);
/* The earliest stored deadline, monotonic microseconds. */
int64_t shoal_cluster_deadline(const shoal_cluster *cluster);

/* One CLUSTER subcommand that belongs to this room (all but KEYSLOT, COUNTKEYSINSLOT,
 * GETKEYSINSLOT, HELP). Writes the reply. `local` is the asking client's local address. */
typedef struct shoal_cluster_call {
    uint32_t argc;
    const shoal_slice *argv; /* argv[0] "CLUSTER", argv[1] the subcommand */
    shoal_address local;
    uint64_t keys; /* keys in the store now: FLUSHSLOTS and RESET refuse if any */
    shoal_time now;
    shoal_reply reply;
} shoal_cluster_call;
void shoal_cluster_command(shoal_cluster *cluster, shoal_cluster_call *call);

/* Raised whenever owners, endpoints or the state changed; core then publishes a new route. */
uint64_t shoal_cluster_version(const shoal_cluster *cluster);
/* Nodes that a route of the present map needs room for. */
uint16_t shoal_cluster_route_size(const shoal_cluster *cluster);
/* Fills a zeroed route made with that size. */
void shoal_cluster_fill_route(const shoal_cluster *cluster, shoal_route *route);

const char *shoal_cluster_name(const shoal_cluster *cluster);
bool shoal_cluster_up(const shoal_cluster *cluster);
/* True while epochs, votes or slots are not yet durable. */
bool shoal_cluster_saving(const shoal_cluster *cluster);
/* The text that nodes.conf would hold now. */
void shoal_cluster_save_text(const shoal_cluster *cluster, shoal_buffer *out);
/* Mixes the whole opinion into a digest, independent of addresses in memory. */
uint64_t shoal_cluster_digest(const shoal_cluster *cluster);

#endif
