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

uint16_t shoal_cluster_route_size(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->voters <= BUS_NODES_MAX);
    SHOAL_ASSERT(c->voters <= c->node_count);
    return (uint16_t)c->voters;
}

void shoal_cluster_fill_route(const shoal_cluster *c, shoal_route *route)
{
    SHOAL_ASSERT(route->node_count == 0 || route->node_count == c->voters);
    SHOAL_ASSERT(c->myself);
    uint32_t count = 0;
    route->cluster = true;
    route->up = c->up;
    route->reads_when_down = c->settings.allow_reads_when_down;
    /* One entry for each node with slots, and its number under each of its slots. */
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (node->slot_count == 0) continue;
        struct shoal_route_node *entry = &route->nodes[count++];
        memcpy(entry->name, node->name, sizeof(entry->name));
        shoal_bus__copy_text(entry->endpoint, sizeof(entry->endpoint),
                             shoal_text(shoal_bus__endpoint(c, node)));
        entry->port = node->port;
        entry->myself = node == c->myself;
        for (uint32_t slot = shoal_bus__slot_next(node->slots, 0); slot < SHOAL_SLOTS;
             slot = shoal_bus__slot_next(node->slots, slot + 1)) {
            route->owner[slot] = (uint16_t)count;
        }
    }
    SHOAL_ASSERT(count == c->voters);
    route->node_count = (uint16_t)count;
}
