/* SPDX-License-Identifier: MIT
 *
 * The opinion as the data path needs it: who serves each slot, under which endpoint.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

const char *shoal_bus__endpoint(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(c->settings.preferred_endpoint >= 0);
    switch (c->settings.preferred_endpoint) {
    case 1: return shoal_bus__hostname(node).size > 0 ? node->hostname : "?";
    case 2: return "";
    default: return node->ip;
    }
}

/* Does the data path have to know the node: does it serve slots, or is it to be asked for some? */
static bool is_wanted(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    if (node->slot_count > 0) return true;
    for (uint32_t i = 0; i < c->move_count; i++) {
        if (c->moves[i].node == node->index && c->moves[i].way == BUS_MOVE_OUT) return true;
    }
    return false;
}

uint16_t shoal_cluster_route_size(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->voters <= BUS_NODES_MAX);
    SHOAL_ASSERT(c->voters <= c->node_count);
    uint32_t count = 0;
    if (c->move_count == 0) return (uint16_t)c->voters; /* those that have slots */
    for (uint32_t i = 0; i < c->node_count; i++) count += is_wanted(c, c->live[i]);
    return (uint16_t)count;
}

uint16_t shoal_cluster_route_moves(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->move_count <= c->move_capacity);
    SHOAL_ASSERT(c->move_count <= UINT16_MAX);
    return (uint16_t)c->move_count;
}

void shoal_cluster_own_slots(const shoal_cluster *c, shoal_slotmap *out)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->myself->slot_count <= c->slots_assigned);
    shoal_bus__slots_get(c, c->myself, out);
}

/* Writes the number of a node to its slots, a run of neighbours at a time. */
static void fill_owner(const shoal_cluster *c, shoal_route *route, const bus_node *node,
                       uint16_t number)
{
    SHOAL_ASSERT(number > 0);
    SHOAL_ASSERT(route->node_count == 0 || number <= route->node_count);
    uint32_t left = node->slot_count, last;
    for (uint32_t from = 0; left > 0; from = last + 1) {
        uint32_t first = shoal_bus__slot_run(c, node, from, &last);
        SHOAL_ASSERT(first < SHOAL_SLOTS);
        for (uint32_t slot = first; slot <= last; slot++) route->owner[slot] = number;
        left -= last + 1 - first;
    }
}

static void fill_node(const shoal_cluster *c, const bus_node *node, struct shoal_route_node *entry)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(entry->name[0] == 0);
    memcpy(entry->name, node->name, sizeof(entry->name));
    shoal_bus__copy_text(entry->endpoint, sizeof(entry->endpoint),
                         shoal_text(shoal_bus__endpoint(c, node)));
    entry->port = node->port;
    entry->myself = node == c->myself;
}

void shoal_cluster_fill_route(const shoal_cluster *c, shoal_route *route, shoal_route_move *moves)
{
    SHOAL_ASSERT(route->node_count == 0 || route->node_count == shoal_cluster_route_size(c));
    SHOAL_ASSERT(route->move_count == c->move_count);
    SHOAL_ASSERT(c->myself);
    uint32_t count = 0;
    route->cluster = true;
    route->up = c->up;
    route->reads_when_down = c->settings.allow_reads_when_down;
    route->channels_when_down = c->settings.allow_channels_when_down;
    for (uint32_t i = 0; i < c->move_count; i++) moves[i].slot = c->moves[i].slot;
    /* One entry for each node that clients are sent to, and its number under what they look up. */
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (c->move_count == 0 && c->glances[i].plain && !c->glances[i].owns) continue;
        shoal_bus__expect_live(c, i + BUS_EXPECT_AHEAD);
        if (!is_wanted(c, node)) continue;
        fill_node(c, node, &route->nodes[count++]);
        if (c->myself->replica_of == node->index) route->master = (uint16_t)count;
        for (uint32_t move = 0; move < c->move_count; move++) {
            const bus_move *of = &c->moves[move];
            if (of->way == BUS_MOVE_OUT && of->node == node->index)
                moves[move].target = (uint16_t)count;
        }
        fill_owner(c, route, node, (uint16_t)count);
    }
    route->node_count = (uint16_t)count;
}
