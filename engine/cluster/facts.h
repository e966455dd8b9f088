/* SPDX-License-Identifier: MIT
 *
 * cluster/facts.h - what the cluster room and the rooms beside it must know of each other, as plain
 * values that core carries: replication tells how far the data are, the cluster tells whose copy
 * they shall be; manual failover stops the writes of clients and is told when they have stopped;
 * messages of PUBLISH come and go. Included by cluster/cluster.h; the same rules hold: control
 * actor only.
 */
#ifndef SHOAL_CLUSTER_FACTS_H
#define SHOAL_CLUSTER_FACTS_H

#include <shoal/host.h>
#include <shoal/types.h>

typedef struct shoal_cluster shoal_cluster;

/* ---- replication: facts in ---- */

/* How far this node's data are. All zero is right for a replica that has not reached its master. */
typedef struct shoal_cluster_replication {
    /* Of a master: bytes of effects that it has produced. Of a replica: how many of its master's
     * it has carried out. The numbers of one master's replicas can be compared. */
    uint64_t offset;
    /* Replica: the stream from the master that shoal_cluster_role names is up and in sync. */
    bool link_up;
    /* Replica: when the data were last known to be the master's, monotonic microseconds: the last
     * byte from it while the stream is up, the end of the stream after it; 0: never. */
    int64_t heard_us;
    /* Data are being loaded or replaced: this node must not become a master now. */
    bool loading;
    /* Nothing that a client asks can change the data any more: the pause that shoal_cluster_pause
     * asked for is in effect, on every worker, and `offset` will not grow. */
    bool paused;
} shoal_cluster_replication;

/* Tells how far the data are. Core calls it whenever something in it changes, and at the start of
 * each step in which an offset moved; that is cheap when nothing waits for it. Before the first
 * call the offset counts as 0, the data as fresh and writes as paused when a pause is asked for:
 * a node without a stream of data. */
void shoal_cluster_set_replication(shoal_cluster *cluster, const shoal_cluster_replication *facts,
                                   shoal_time now);

/* ---- what rooms beside the cluster's did not do, for people: facts in ---- */

/* Reasons: the WHY_TOLD rows of cluster/reasons.def. */
typedef enum shoal_cluster_reason {
#define SHOAL_WHY_TOLD(name, value, text) SHOAL_WHY_##name = (value),
#include "cluster/reasons.def"
} shoal_cluster_reason;

/* Keeps a refusal for CLUSTER WHY and writes it to the trace. False, and nothing happens, when
 * `reason` is not one of those: a recording may hold any number. */
SHOAL_MUST_USE bool shoal_cluster_tell(shoal_cluster *cluster, uint32_t reason, shoal_slice detail,
                                       shoal_time now);
/* The reason in words; lives for ever. */
const char *shoal_cluster_reason_words(shoal_cluster_reason reason);

/* ---- replication: facts out ---- */

/* What this node shall be. */
typedef struct shoal_cluster_role {
    bool is_replica;
    char master_name[SHOAL_NODE_NAME_LEN + 1]; /* of a replica; "" while it has no master */
    /* Where the master takes clients and replicas; ip "" while that is not known. With the same
     * name and another address, the stream goes on from the other address. */
    shoal_address master;
} shoal_cluster_role;

/* Fills the present role and returns its version, which rises whenever one of the fields changes.
 * A node that stops being a replica keeps its data and goes on as a master from where its stream
 * stood (a second replication id for its former siblings); one that becomes a replica asks the new
 * master to go on from its own offset. */
uint64_t shoal_cluster_role_get(const shoal_cluster *cluster, shoal_cluster_role *role);

/* ---- manual failover: fact out ---- */

/* Until when writes of clients (and expiry and eviction) must not change data, monotonic
 * microseconds; 0: no pause. The master side of a manual failover asks for it; it ends early when
 * the failover ends, whichever way. Core answers with `paused` above. */
int64_t shoal_cluster_pause(const shoal_cluster *cluster);

/* ---- leaving: the master hands over before it ends ---- */

/* Where a handover stands. */
typedef enum shoal_cluster_handover {
    SHOAL_HANDOVER_NONE = 0, /* none was begun, or the last one came to nothing */
    SHOAL_HANDOVER_RUNNING,
    SHOAL_HANDOVER_DONE /* another node serves what this one served */
} shoal_cluster_handover;

/* SIGTERM or SHUTDOWN came: begins to hand over to the replica with the most data, if
 * cluster-shutdown-handover says so and there is one. True when it runs; then the node goes on
 * until shoal_cluster_handover_state says another word, which it does within 5 seconds. Replicas
 * that are not Shoal nodes do not understand the offer: those masters are replaced after they have
 * gone, as in Redis. */
bool shoal_cluster_handover_begin(shoal_cluster *cluster, shoal_time now);
/* Where it stands. */
shoal_cluster_handover shoal_cluster_handover_state(const shoal_cluster *cluster);

/* ---- publish/subscribe over the bus ---- */

/* Who takes messages that other nodes publish. The slices are borrowed for the call. */
typedef struct shoal_cluster_sink {
    void *context;
    /* `sharded`: SPUBLISH. Called inside shoal_cluster_event; must not call into the cluster. */
    void (*message)(void *context, bool sharded, shoal_slice channel, shoal_slice message);
} shoal_cluster_sink;

/* Sets who takes messages. Without one (`message` NULL) they are counted and dropped. */
void shoal_cluster_set_sink(shoal_cluster *cluster, const shoal_cluster_sink *sink);

/* A client published: tells every node, or (`sharded`) the nodes that serve this node's slots:
 * its replicas, or its master and its siblings. */
void shoal_cluster_publish(shoal_cluster *cluster, bool sharded, shoal_slice channel,
                           shoal_slice message);

#endif
