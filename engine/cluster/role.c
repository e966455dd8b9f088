/* SPDX-License-Identifier: MIT
 *
 * Whose replica this node is. It becomes one by command, when its last slot was taken over, when
 * its master became a replica itself, and when it moves to a master that has none; it becomes a
 * master when it takes over. What core must know of that is one value with a version.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

bus_node *shoal_bus__my_master(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    uint16_t index = c->myself->replica_of;
    SHOAL_ASSERT(index == BUS_NONE || c->nodes[index]);
    return index == BUS_NONE ? NULL : c->nodes[index];
}

bool shoal_bus__is_foreign(const shoal_cluster *c)
{
    const bus_failover *f = &c->failover;
    SHOAL_ASSERT(f->foreign <= BUS_FOREIGN_YES);
    return f->timing.eager && f->told && f->foreign != BUS_FOREIGN_NO;
}

uint64_t shoal_bus__own_offset(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->failover.told || c->failover.facts.offset == 0);
    /* Offsets of two histories cannot be compared. Redis 7.0 compares them. */
    return shoal_bus__is_foreign(c) ? 0 : c->failover.facts.offset;
}

/* ---- becoming a replica ---- */

void shoal_bus__set_master(shoal_cluster *c, bus_node *master)
{
    SHOAL_ASSERT(shoal_bus__knows(c, master));
    SHOAL_ASSERT(master != c->myself);
    SHOAL_ASSERT(shoal_bus__is(master, SHOAL_NODE_MASTER));
    bus_node *me = c->myself;
    shoal_bus__manual_reset(c);
    shoal_bus__moves_clear(c);
    shoal_bus__node_make_replica(c, me, master->index);
    /* Whatever keys are left here are replaced by the master's. */
    c->lost = (shoal_slotmap){{0}};
    c->any_lost = false;
    c->failover.foreign = BUS_FOREIGN_NO;
    c->failover.claim = (bus_claim){0};
    c->failover.candidacy.start_us = 0;
    c->failover.candidacy.epoch = 0;
    c->due |= BUS_DUE_STATE | BUS_DUE_SAVE | BUS_DUE_ROUTE;
    SHOAL_ASSERT(me->slot_count == 0);
}

void shoal_bus__move_to(shoal_cluster *c, bus_node *master)
{
    SHOAL_ASSERT(master != c->myself);
    bool again = shoal_bus__my_master(c) == master && c->failover.foreign == BUS_FOREIGN_NO;
    shoal_bus__set_master(c, master);
    if (again) return;
    bool up = c->failover.told && c->failover.facts.link_up;
    c->failover.foreign = up ? BUS_FOREIGN_LEAVING : BUS_FOREIGN_YES;
    SHOAL_ASSERT(shoal_bus__my_master(c) == master);
}

/* The stream of the former master ends, the one of the present begins. */
static void notice_stream(shoal_cluster *c, bool up)
{
    uint8_t *foreign = &c->failover.foreign;
    SHOAL_ASSERT(*foreign <= BUS_FOREIGN_YES);
    if (*foreign == BUS_FOREIGN_LEAVING && !up)
        *foreign = BUS_FOREIGN_YES;
    else if (*foreign == BUS_FOREIGN_YES && up)
        *foreign = BUS_FOREIGN_NO;
}

void shoal_bus__follow_master(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    const bus_node *master = shoal_bus__my_master(c);
    if (!master || master->replica_of == BUS_NONE) return;
    bus_node *next = c->nodes[master->replica_of];
    SHOAL_ASSERT(next != master);
    /* A circle, or a chain that is not known yet, is left for the next frame. */
    if (next == c->myself || !shoal_bus__is(next, SHOAL_NODE_MASTER)) return;
    shoal_bus__log(c, BUS_NOTICE, "I'm a sub-replica! Reconfiguring myself from %s to %s",
                   master->name, next->name);
    shoal_bus__set_master(c, next);
}

/* ---- becoming a master ---- */

void shoal_bus__become_master(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    shoal_bus__manual_reset(c);
    c->failover.foreign = BUS_FOREIGN_NO;
    if (shoal_bus__is(c->myself, SHOAL_NODE_MASTER)) return;
    shoal_bus__node_make_master(c, c->myself);
    SHOAL_ASSERT(c->myself->slot_count == 0);
}

void shoal_bus__take_over(shoal_cluster *c)
{
    SHOAL_ASSERT(shoal_bus__is(c->myself, SHOAL_NODE_REPLICA));
    bus_node *me = c->myself, *old = shoal_bus__my_master(c);
    if (!old) return;
    SHOAL_ASSERT(old != me);
    bus_claim *claim = &c->failover.claim;
    claim->epoch = old->config_epoch;
    memcpy(claim->master, old->name, SHOAL_NODE_NAME_LEN);
    shoal_bus__become_master(c);
    for (uint32_t slot = 0; slot < SHOAL_SLOTS && old->slot_count > 0; slot++) {
        if (c->owners[slot] != old->index) continue;
        shoal_bus__slot_set(c, slot, me);
    }
    /* Nothing of it is said before it is durable: see shoal_bus__claim_release. */
    claim->generation = ++c->save.generation;
    c->failover.candidacy = (bus_candidacy){0};
    c->due |= BUS_DUE_STATE | BUS_DUE_SAVE | BUS_DUE_ROUTE;
}

void shoal_bus__claim_release(shoal_cluster *c)
{
    bus_claim *claim = &c->failover.claim;
    SHOAL_ASSERT(claim->generation <= c->save.generation);
    if (claim->generation == 0 || claim->generation > c->save.durable) return;
    *claim = (bus_claim){0};
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (!node->link || shoal_bus__is(node, SHOAL_NODE_HANDSHAKE)) continue;
        shoal_bus__send_ping(c, node->link, SHOAL_FRAME_PONG);
    }
    SHOAL_ASSERT(claim->generation == 0);
}

/* ---- what core knows ---- */

void shoal_cluster_set_sink(shoal_cluster *c, const shoal_cluster_sink *sink)
{
    SHOAL_ASSERT(sink);
    SHOAL_ASSERT(c);
    c->failover.sink = *sink;
}

void shoal_bus__role_update(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    shoal_cluster_role role;
    memset(&role, 0, sizeof(role));
    role.is_replica = shoal_bus__is(c->myself, SHOAL_NODE_REPLICA);
    const bus_node *master = shoal_bus__my_master(c);
    SHOAL_ASSERT(!master || role.is_replica);
    if (master) {
        memcpy(role.master_name, master->name, sizeof(role.master_name));
        memcpy(role.master.ip, master->ip, sizeof(role.master.ip));
        role.master.port = master->port;
    }
    if (memcmp(&role, &c->failover.role, sizeof(role)) == 0) return;
    c->failover.role = role;
    c->failover.role_version++;
}

uint64_t shoal_cluster_role_get(const shoal_cluster *c, shoal_cluster_role *role)
{
    SHOAL_ASSERT(role);
    SHOAL_ASSERT(c->failover.role.is_replica || !c->failover.role.master_name[0]);
    *role = c->failover.role;
    return c->failover.role_version;
}

void shoal_cluster_set_replication(shoal_cluster *c, const shoal_cluster_replication *facts,
                                   shoal_time now)
{
    SHOAL_ASSERT(facts);
    SHOAL_ASSERT(facts->heard_us >= 0);
    SHOAL_ASSERT(now.mono_us >= c->now.mono_us);
    c->now = now;
    c->failover.facts = *facts;
    c->failover.told = true;
    notice_stream(c, facts->link_up);
    if (!c->myself) return;
    c->myself->offset = shoal_bus__own_offset(c);
    shoal_bus__finish(c);
}
