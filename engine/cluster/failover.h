/* SPDX-License-Identifier: MIT
 *
 * cluster/failover.h - replicas and how they become masters: the part of the opinion that only
 * this concerns, and the functions for it. Included by cluster/internal.h and cluster/model.h.
 *
 * Files: role.c (who is whose replica), election.c (votes given), candidate.c (votes asked for),
 * manual.c (failover by command and at the end of a master), migrate.c (replicas that move to a
 * master without any), profile.c (the rules of timing), why.c (the last refusals, for people).
 */
#ifndef SHOAL_CLUSTER_FAILOVER_H
#define SHOAL_CLUSTER_FAILOVER_H

#include "cluster/cluster.h"

struct bus_node;

/* How CLUSTER FAILOVER goes about it. */
typedef enum bus_failover_way {
    BUS_FAILOVER_PLAIN,   /* the master stops writes and tells its offset first */
    BUS_FAILOVER_FORCE,   /* at once, with votes */
    BUS_FAILOVER_TAKEOVER /* at once, without anybody's consent */
} bus_failover_way;

/* This node becomes a replica of `master`, a master other than itself: CLUSTER REPLICATE, after
 * its checks (no slots unless they go with it, no keys), and the rules for lost slots. Slots that
 * this node still has are nobody's then; a manual failover ends; the role's version rises. */
void shoal_bus__set_master(shoal_cluster *c, struct bus_node *master);

/* This node becomes a master without slots: CLUSTER RESET of a replica. */
void shoal_bus__become_master(shoal_cluster *c);

/* CLUSTER FAILOVER, after its checks: this node is a replica and knows its master; PLAIN: the
 * master is linked and not FAIL. */
void shoal_bus__failover_start(shoal_cluster *c, bus_failover_way way);

/* CLUSTER WHY: appends the last refusals as lines, the newest last:
 * "<wall ms> <times> <role> <epoch> <reason in words>: <detail>". `count` 0: all that are kept. */
void shoal_bus__why_append(const shoal_cluster *c, uint32_t count, shoal_buffer *out);

#endif
