/* SPDX-License-Identifier: MIT
 *
 * core/route.c - carries the cluster's opinion to the data path: which slots the store owns, and
 * who serves the others. A gained slot is marked owned before the new route is out, a lost one
 * loses its mark after it, so that a worker that finds a slot foreign finds somebody else in the
 * route it then reads, or this node if the slot was gained meanwhile.
 */
#include "core/node.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "command/block.h"
#include "command/pubsub.h"
#include "command/purge.h"

static bool owned(const shoal_node *node, uint32_t slot)
{
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    return (node->owned[slot >> 3] >> (slot & 7) & 1) != 0;
}

static void set_owned(shoal_node *node, uint32_t slot, bool own)
{
    SHOAL_ASSERT(owned(node, slot) != own);
    uint8_t bit = (uint8_t)(1u << (slot & 7));

    if (own)
        node->owned[slot >> 3] |= bit;
    else
        node->owned[slot >> 3] &= (uint8_t)~bit;
    shoal_store_set_owned(node->thread, slot, own);
}

/* Marks the slots that the map gives to this node (`gain`), or takes from it. True when there are
 * some. */
static bool mark(shoal_node *node, const shoal_slotmap *own, bool gain)
{
    bool any = false;
    SHOAL_ASSERT(node->cluster != NULL);
    SHOAL_ASSERT(own != NULL);
    for (uint32_t base = 0; base < SHOAL_SLOTS; base += 64) {
        uint64_t wanted = shoal_bytes_get_le64(&own->bits[base >> 3]);
        uint64_t marked = shoal_bytes_get_le64(&node->owned[base >> 3]);
        uint64_t changed = gain ? wanted & ~marked : marked & ~wanted;
        any = any || changed != 0;
        for (; changed != 0; changed &= changed - 1) {
            set_owned(node, base + (uint32_t)__builtin_ctzll(changed), gain);
        }
    }
    return any;
}

/* What others have taken from this node goes, once nobody is served from it any more. */
static void purge_lost(shoal_node *node)
{
    SHOAL_ASSERT(node->cluster != NULL);
    shoal_slotmap lost;
    if (!shoal_tape_take_lost(node->tape, node->cluster, &lost)) return;
    if (shoal_slots_purge(&node->env, &lost)) return;
    shoal_node__log(node, SHOAL_LEVEL_WARNING, "No memory to delete the keys of lost slots");
}

void shoal_node__publish_route(shoal_node *node)
{
    SHOAL_ASSERT(node->thread != NULL);
    uint64_t version = node->cluster != NULL ? shoal_cluster_version(node->cluster) : 0;
    shoal_route_move *moves;
    shoal_route *route;

    if (node->cluster == NULL || node->phase < SHOAL_PHASE_SAVING) return;
    /* Who is not a master in all things yet sends clients where it sent them before. */
    if (node->replication.rises) return;
    if (version == node->route_version && shoal_store_route(node->store)->cluster) return;
    route = shoal_route_make_moving(node->store, shoal_cluster_route_size(node->cluster),
                                    shoal_cluster_route_moves(node->cluster), &moves);
    /* Without memory the former route stays; the next step tries again. */
    if (route == NULL) return;
    if (!shoal_thread_reserve(node->thread)) {
        shoal_route_drop(node->store, route);
        return;
    }
    shoal_cluster_fill_route(node->cluster, route, moves);
    SHOAL_ASSERT(route->cluster);
    shoal_slotmap own;
    shoal_cluster_own_slots(node->cluster, &own);
    bool was_up = shoal_store_route(node->store)->up, is_up = route->up;
    (void)mark(node, &own, true);
    shoal_store_publish_route(node->thread, route);
    bool lost = mark(node, &own, false);
    if (lost || (was_up && !is_up)) shoal_block_look_again(&node->env);
    node->route_version = version;
    shoal_pubsub_route_changed(&node->env);
    purge_lost(node);
}
