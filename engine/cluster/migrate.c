/* SPDX-License-Identifier: MIT
 *
 * Replicas that move to a master which has lost its own: of the masters with the most replicas,
 * the replica with the smallest name goes, if its master keeps enough, and after a while, because
 * a replica that only restarts comes back.
 */
#include "cluster/internal.h"

#include "base/assert.h"

/* Counts for each master its replicas without these flags. */
static void count_working(shoal_cluster *c, uint16_t trouble)
{
    SHOAL_ASSERT(trouble != 0);
    SHOAL_ASSERT(c->node_count > 0);
    for (uint32_t i = 0; i < c->node_count; i++) c->live[i]->working = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (node->replica_of == BUS_NONE || shoal_bus__is(node, trouble)) continue;
        c->nodes[node->replica_of]->working++;
    }
}

bool shoal_bus__has_orphans(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count > 0);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        bool working = false;
        SHOAL_ASSERT(node);
        for (uint32_t j = 0; j < c->node_count && !working; j++) {
            working = c->live[j]->replica_of == node->index &&
                      !shoal_bus__is(c->live[j], SHOAL_NODE_FAIL);
        }
        bool wants = shoal_bus__is(node, SHOAL_NODE_MIGRATE_TO) &&
                     shoal_bus__is(node, SHOAL_NODE_MASTER) &&
                     !shoal_bus__is(node, SHOAL_NODE_FAIL);
        if (wants && !working) return true;
    }
    return false;
}

static bool is_orphan(const bus_node *node)
{
    SHOAL_ASSERT(node);
    return node->working == 0 && shoal_bus__is(node, SHOAL_NODE_MASTER) &&
           shoal_bus__is(node, SHOAL_NODE_MIGRATE_TO) && !shoal_bus__is(node, SHOAL_NODE_FAIL);
}

/* Notes since when masters are orphans; the first of those with slots, and the greatest number of
 * replicas that a master has. */
static bus_node *find_orphan(shoal_cluster *c, uint32_t *most)
{
    SHOAL_ASSERT(most);
    bus_node *orphan = NULL;
    *most = 0;
    c->no_orphans = true;
    for (uint32_t i = 0; i < c->node_count; i++) {
        bus_node *node = c->live[i];
        bool fine = !shoal_bus__is(node, SHOAL_NODE_FAIL | SHOAL_NODE_REPLICA);
        if (fine && node->working > *most) *most = node->working;
        if (!is_orphan(node)) {
            node->orphaned_us = 0;
            continue;
        }
        c->no_orphans = false;
        if (node->orphaned_us == 0) node->orphaned_us = shoal_bus__stamp(c);
        if (!orphan && node->slot_count > 0) orphan = node;
    }
    return orphan;
}

/* This node is the one that goes: no replica of a master with as many has a smaller name. */
static bool is_my_turn(const shoal_cluster *c, uint32_t most)
{
    SHOAL_ASSERT(most > 0);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (node == c->myself || node->replica_of == BUS_NONE) continue;
        if (memcmp(node->name, c->myself->name, SHOAL_NODE_NAME_LEN) > 0) continue;
        if (c->nodes[node->replica_of]->working == most) return false;
    }
    return true;
}

void shoal_bus__migrate(shoal_cluster *c)
{
    const bus_node *master = shoal_bus__my_master(c);
    uint32_t most;
    if (!master || c->no_orphans) return;
    count_working(c, SHOAL_NODE_FAIL);
    bus_node *orphan = find_orphan(c, &most);
    if (!orphan || orphan == master || most < 2 || !c->settings.allow_replica_migration) return;
    if (master->working != most || !c->up) return;
    if (shoal_bus__since(c, orphan->orphaned_us) <= BUS_MIGRATION_MS * 1000) return;
    if (!is_my_turn(c, most)) return;
    SHOAL_ASSERT(orphan != c->myself);
    count_working(c, SHOAL_NODE_FAIL | SHOAL_NODE_PFAIL);
    if (master->working > (uint64_t)c->settings.migration_barrier) {
        c->failover.barrier_told = false;
        shoal_bus__log(c, BUS_NOTICE, "Migrating to orphaned master %s", orphan->name);
        shoal_bus__move_to(c, orphan);
    } else if (!c->failover.barrier_told) {
        c->failover.barrier_told = true;
        shoal_bus__why_not(c, BUS_WHY_BARRIER, "%s has %u working replicas", master->name,
                           master->working);
    }
}
