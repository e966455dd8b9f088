/* SPDX-License-Identifier: MIT
 *
 * What holds between any two steps. Builds with the expensive assertions run it at the end of
 * every step; a release build never calls it. Read it to learn how the parts of the model fit
 * together.
 */
#include "cluster/internal.h"

#include "base/assert.h"

/* Limits that other limits rest on. */
_Static_assert(BUS_NODES_MAX < BUS_NONE, "every index fits beside the value for none");
_Static_assert(BUS_NODES_MAX <= SHOAL_SLOTS, "a master for each slot is the most that makes sense");
_Static_assert(BUS_LINKS_MAX >= 2 * BUS_NODES_MAX, "every node may have both its links");
_Static_assert(BUS_STRANGER_FRAME_MAX < SHOAL_FRAME_SIZE_MAX, "strangers may send less");
_Static_assert(BUS_STRANGER_FRAME_MAX > SHOAL_FRAME_HEADER_SIZE, "but a MEET at least");
_Static_assert(BUS_REJOIN_MS_MIN < BUS_REJOIN_MS_MAX, "the delay has a range");
_Static_assert(BUS_CRON_US *BUS_CRON_SAMPLE_EVERY == 1000000, "one sampled ping a second");
_Static_assert(sizeof(shoal_slotmap) * 8 == SHOAL_SLOTS, "a bit for each slot");
_Static_assert(SHOAL_NODE_NAME_LEN % 8 == 0, "names are hashed in words");
_Static_assert(sizeof(((bus_node *)0)->ip) == sizeof(((shoal_address *)0)->ip),
               "addresses are copied whole");
_Static_assert(sizeof(((bus_node *)0)->ip) == sizeof(((shoal_gossip *)0)->ip),
               "and into gossip too");
_Static_assert(sizeof(((bus_node *)0)->ip) == sizeof(((shoal_frame *)0)->ip), "and into frames");
_Static_assert(offsetof(bus_node, name) == BUS_NODE_ALIGNMENT, "parcels need one line");
_Static_assert(offsetof(bus_node, ip) == 2 * BUS_NODE_ALIGNMENT, "rounds need the second");
_Static_assert(offsetof(bus_node, reports) == 3 * BUS_NODE_ALIGNMENT,
               "and frames, and gossip in bytes, the third");
_Static_assert(BUS_HOSTNAME_SIZE == sizeof(((shoal_cluster_settings *)0)->announce_hostname),
               "a name that is announced can be kept");

/* ---- nodes ---- */

static void check_role(const shoal_cluster *c, const bus_node *node)
{
    bool master = shoal_bus__is(node, SHOAL_NODE_MASTER);
    bool replica = shoal_bus__is(node, SHOAL_NODE_REPLICA);
    SHOAL_ASSERT(!(master && replica));
    SHOAL_ASSERT(master || replica || shoal_bus__is(node, SHOAL_NODE_HANDSHAKE));
    SHOAL_ASSERT(shoal_bus__is(node, SHOAL_NODE_MYSELF) == (node == c->myself));
    SHOAL_ASSERT(node->slot_count == 0 || master);
    SHOAL_ASSERT(node->replica_of == BUS_NONE || replica);
    if (node->replica_of == BUS_NONE) return;
    SHOAL_ASSERT(c->nodes[node->replica_of]);
    SHOAL_ASSERT(node->replica_of != node->index);
    SHOAL_ASSERT(c->nodes[node->replica_of]->replica_count > 0);
}

static void check_reports(const shoal_cluster *c, const bus_node *node)
{
    const bus_reports *reports = &node->reports;
    uint32_t count = 0;
    SHOAL_ASSERT(reports->capacity <= c->node_capacity);
    SHOAL_ASSERT((reports->moments == NULL) == (reports->capacity == 0));
    for (uint32_t i = 0; i < reports->capacity; i++) {
        if (reports->moments[i] == 0) continue;
        SHOAL_ASSERT(c->nodes[i]);
        SHOAL_ASSERT(reports->moments[i] >= reports->oldest_us);
        SHOAL_ASSERT(c->nodes[i] != node);
        count++;
    }
    SHOAL_ASSERT(count == node->report_count);
}

static void check_links_of(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(!node->link || node->link->node == node);
    SHOAL_ASSERT(!node->link || !node->link->inbound);
    SHOAL_ASSERT(!node->link || !node->link->dead);
    SHOAL_ASSERT(!node->link || shoal_bus__link_find(c, node->link->id) == node->link);
    SHOAL_ASSERT(!node->inbound || node->inbound->node == node);
    SHOAL_ASSERT(!node->inbound || node->inbound->inbound);
    SHOAL_ASSERT(!node->inbound || !node->inbound->dead);
    SHOAL_ASSERT(!node->inbound || shoal_bus__link_find(c, node->inbound->id) == node->inbound);
}

/* What was asked of the exchange is still so. */
static void check_numbers(const shoal_cluster *c, const bus_node *node)
{
    const shoal_exchange *exchange = c->host->exchange;
    SHOAL_ASSERT(exchange || (node->who == 0 && node->where == 0));
    if (node->who > 0) {
        const char *name = shoal_exchange__name(exchange, node->who);
        SHOAL_ASSERT(memcmp(name, node->name, SHOAL_NODE_NAME_LEN) == 0);
        SHOAL_ASSERT(c->by_who[node->who] == node->live_at + 1);
    }
    if (node->where == 0) return;
    const bus_place *place = shoal_exchange__place(exchange, node->where);
    SHOAL_ASSERT(memcmp(place->ip, node->ip, sizeof(place->ip)) == 0);
    SHOAL_ASSERT(place->port == node->port && place->bus_port == node->bus_port);
    SHOAL_ASSERT(place->tls_port == node->tls_port);
}

/* What is kept by place is what the node says. */
static void check_glance(const shoal_cluster *c, const bus_node *node)
{
    const bus_glance *glance = shoal_bus__glance(c, node);
    SHOAL_ASSERT(glance->pong_received_us >= 0);
    SHOAL_ASSERT(!node->slots_changed);
    SHOAL_ASSERT(!glance->unfit || !glance->plain);
    if (glance->unfit) {
        SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_MYSELF | SHOAL_NODE_PFAIL));
        SHOAL_ASSERT(!shoal_bus__worth_telling(node));
    }
    if (!glance->plain) return;
    SHOAL_ASSERT(shoal_bus__is_plain(node));
    SHOAL_ASSERT(glance->who == node->who && glance->where == node->where);
    SHOAL_ASSERT(glance->flags == node->flags);
    SHOAL_ASSERT(glance->owns == (node->slot_count > 0));
}

static void check_node(const shoal_cluster *c, uint32_t at)
{
    const bus_node *node = c->live[at];
    SHOAL_ASSERT(node);
    SHOAL_ASSERT(node->live_at == at);
    SHOAL_ASSERT(c->quiet_us[at] <= shoal_bus__quiet_until(c, node));
    SHOAL_ASSERT(c->quiet_least_us[at / BUS_QUIET_GROUP] <= c->quiet_us[at]);
    SHOAL_ASSERT(node->index < c->node_capacity);
    SHOAL_ASSERT(c->nodes[node->index] == node);
    SHOAL_ASSERT(shoal_bus__is_name(node->name));
    SHOAL_ASSERT(node->name[SHOAL_NODE_NAME_LEN] == 0);
    SHOAL_ASSERT(shoal_bus__node_find(c, node->name) == node);
    SHOAL_ASSERT(node->ip[sizeof(node->ip) - 1] == 0);
    SHOAL_ASSERT(!node->ip[0] || shoal_bus__is_ip(shoal_bus__field(node->ip, sizeof(node->ip))));
    SHOAL_ASSERT(shoal_bus__is_hostname(shoal_bus__hostname(node)));
    SHOAL_ASSERT(node->ping_sent_us <= shoal_bus__stamp(c));
    SHOAL_ASSERT(node->data_received_us <= shoal_bus__stamp(c));
    SHOAL_ASSERT(node->created_us > 0);
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_FAIL) || node->fail_us > 0);
    check_glance(c, node);
    check_role(c, node);
    check_numbers(c, node);
    check_reports(c, node);
    check_links_of(c, node);
}

/* ---- slots ---- */

/* The slots of a node within its bounds. */
static uint32_t count_between(const shoal_cluster *c, const bus_node *node)
{
    uint32_t count = 0;
    for (uint32_t slot = node->slot_least; slot <= node->slot_most; slot++) {
        count += c->owners[slot] == node->index;
    }
    return count;
}

static void check_slots(const shoal_cluster *c)
{
    uint32_t assigned = 0, owned = 0, voters = 0;
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        const bus_node *owner = shoal_bus__owner(c, slot);
        if (!owner) continue;
        SHOAL_ASSERT(owner->slot_least <= slot && slot <= owner->slot_most);
        assigned++;
    }
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        owned += node->slot_count;
        voters += node->slot_count > 0;
        if (node->slot_count == 0) continue;
        SHOAL_ASSERT(node->slot_most < SHOAL_SLOTS);
        SHOAL_ASSERT(c->owners[node->slot_least] == node->index);
        SHOAL_ASSERT(c->owners[node->slot_most] == node->index);
        SHOAL_ASSERT(count_between(c, node) == node->slot_count);
    }
    SHOAL_ASSERT(assigned == c->slots_assigned);
    SHOAL_ASSERT(owned == assigned);
    SHOAL_ASSERT(voters == c->voters);
}

static void check_moves(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->move_count <= c->move_capacity);
    SHOAL_ASSERT(!c->slots_changed);
    SHOAL_ASSERT(!c->no_orphans || !shoal_bus__has_orphans(c));
    SHOAL_ASSERT(c->any_lost == (shoal_bus__slot_next(&c->lost, 0) < SHOAL_SLOTS));
    for (uint32_t i = 0; i < c->move_count; i++) {
        const bus_move *move = &c->moves[i], *before = move - 1;
        SHOAL_ASSERT(move->slot < SHOAL_SLOTS && move->way <= BUS_MOVE_IN);
        SHOAL_ASSERT(c->nodes[move->node]);
        if (i == 0) continue;
        SHOAL_ASSERT(before->slot <= move->slot);
        SHOAL_ASSERT(before->slot < move->slot || before->way < move->way);
    }
}

/* ---- the rest ---- */

static void check_save(const shoal_cluster *c)
{
    const bus_save *save = &c->save;
    SHOAL_ASSERT(save->durable <= save->in_flight);
    SHOAL_ASSERT(save->in_flight <= save->generation);
    SHOAL_ASSERT(save->urgent <= save->generation);
    SHOAL_ASSERT(save->phase == BUS_SAVE_IDLE || save->waiting > 0);
    SHOAL_ASSERT(save->phase == BUS_SAVE_IDLE || save->in_flight > save->durable);
    SHOAL_ASSERT(c->held_count <= BUS_HELD_MAX);
    for (uint32_t i = 0; i < c->held_count; i++) {
        SHOAL_ASSERT(c->held[i].generation > save->durable);
        SHOAL_ASSERT(c->held[i].generation <= save->urgent);
    }
}

static void check_failover(const shoal_cluster *c)
{
    const bus_failover *f = &c->failover;
    bool replica = shoal_bus__is(c->myself, SHOAL_NODE_REPLICA);
    SHOAL_ASSERT(replica == f->role.is_replica);
    SHOAL_ASSERT(f->candidacy.epoch <= c->current_epoch);
    SHOAL_ASSERT(f->candidacy.generation <= c->save.generation);
    SHOAL_ASSERT(f->candidacy.votes <= c->node_count);
    SHOAL_ASSERT(f->claim.generation <= c->save.generation);
    SHOAL_ASSERT(f->claim.generation == 0 || !replica);
    SHOAL_ASSERT(f->manual.pause_us == 0 || (!replica && f->manual.end_us > 0));
    SHOAL_ASSERT(!f->manual.can_start || replica);
    SHOAL_ASSERT(f->wake_us > c->now.mono_us);
}

bool shoal_bus__check(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->node_count >= 1);
    SHOAL_ASSERT(c->node_count <= c->node_capacity);
    SHOAL_ASSERT(c->node_count == c->names.count);
    SHOAL_ASSERT(c->links.count <= BUS_LINKS_MAX + BUS_NODES_MAX);
    SHOAL_ASSERT(c->last_vote_epoch <= c->current_epoch);
    SHOAL_ASSERT(c->forgotten_count <= BUS_FORGOTTEN_MAX);
    SHOAL_ASSERT(!shoal_bus__is(c->myself, SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL));
    SHOAL_ASSERT(!c->myself->link && !c->myself->inbound);
    for (uint32_t i = 0; i < c->node_count; i++) check_node(c, i);
    check_slots(c);
    check_moves(c);
    check_save(c);
    check_failover(c);
    return true;
}
