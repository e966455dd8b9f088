/* SPDX-License-Identifier: MIT
 *
 * Slots on their way from one node to another, as CLUSTER SETSLOT says: this node lets go of one
 * (OUT, "migrating") or takes one in (IN, "importing"). Few slots move at a time, so they stand in
 * a list in the order of their numbers; a slot has at most one entry each way.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

#define CAPACITY_MIN 16u

/* Position of the first entry that does not stand before this slot and way. */
static uint32_t position_of(const shoal_cluster *c, uint32_t slot, uint32_t way)
{
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    SHOAL_ASSERT(way == BUS_MOVE_OUT || way == BUS_MOVE_IN);
    uint32_t low = 0, high = c->move_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const bus_move *entry = &c->moves[middle];
        if (entry->slot < slot || (entry->slot == slot && entry->way < way)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool stands_at(const shoal_cluster *c, uint32_t at, uint32_t slot, uint32_t way)
{
    SHOAL_ASSERT(at <= c->move_count);
    return at < c->move_count && c->moves[at].slot == slot && c->moves[at].way == way;
}

bus_node *shoal_bus__move(const shoal_cluster *c, uint32_t slot, uint32_t way)
{
    SHOAL_ASSERT(c->move_count <= c->move_capacity);
    uint32_t at = position_of(c, slot, way);
    return stands_at(c, at, slot, way) ? c->nodes[c->moves[at].node] : NULL;
}

static bool make_room(shoal_cluster *c)
{
    SHOAL_ASSERT(c->move_count <= c->move_capacity);
    if (c->move_count < c->move_capacity) return true;
    const shoal_allocator *a = &c->allocator;
    uint32_t capacity = c->move_capacity ? 2 * c->move_capacity : CAPACITY_MIN;
    bus_move *moves = a->allocate_zeroed(a->context, capacity * sizeof(bus_move), 8);
    if (!moves) return false;
    if (c->moves) {
        memcpy(moves, c->moves, c->move_count * sizeof(bus_move));
        a->release(a->context, c->moves, c->move_capacity * sizeof(bus_move), 8);
    }
    c->moves = moves;
    c->move_capacity = capacity;
    return true;
}

static void remove_at(shoal_cluster *c, uint32_t at)
{
    SHOAL_ASSERT(at < c->move_count);
    c->move_count--;
    memmove(&c->moves[at], &c->moves[at + 1], (c->move_count - at) * sizeof(bus_move));
    c->due |= BUS_DUE_SAVE | BUS_DUE_ROUTE;
}

bool shoal_bus__move_set(shoal_cluster *c, uint32_t slot, uint32_t way, const bus_node *node)
{
    SHOAL_ASSERT(!node || shoal_bus__knows(c, node));
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    uint32_t at = position_of(c, slot, way);
    bool known = stands_at(c, at, slot, way);
    if (!node) {
        if (known) remove_at(c, at);
        return true;
    }
    if (!known) {
        if (!make_room(c)) return false;
        memmove(&c->moves[at + 1], &c->moves[at], (c->move_count - at) * sizeof(bus_move));
        c->move_count++;
    }
    c->moves[at] = (bus_move){(uint16_t)slot, node->index, (uint16_t)way};
    c->due |= BUS_DUE_SAVE | BUS_DUE_ROUTE;
    return true;
}

void shoal_bus__moves_forget(shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(node);
    SHOAL_ASSERT(c->move_count <= c->move_capacity);
    for (uint32_t at = c->move_count; at-- > 0;) {
        if (c->moves[at].node == node->index) remove_at(c, at);
    }
}

void shoal_bus__moves_clear(shoal_cluster *c)
{
    SHOAL_ASSERT(c->move_count <= c->move_capacity);
    if (c->move_count == 0) return;
    c->move_count = 0;
    c->due |= BUS_DUE_SAVE | BUS_DUE_ROUTE;
}

void shoal_bus__moves_free(shoal_cluster *c)
{
    SHOAL_ASSERT((c->moves == NULL) == (c->move_capacity == 0));
    const shoal_allocator *a = &c->allocator;
    if (c->moves) a->release(a->context, c->moves, c->move_capacity * sizeof(bus_move), 8);
    c->moves = NULL;
    c->move_count = c->move_capacity = 0;
}

void shoal_bus__moves_text(const shoal_cluster *c, shoal_buffer *out)
{
    SHOAL_ASSERT(out);
    SHOAL_ASSERT(c->move_count <= c->move_capacity);
    for (uint32_t at = 0; at < c->move_count; at++) {
        const bus_move *entry = &c->moves[at];
        SHOAL_ASSERT(c->nodes[entry->node]);
        shoal_text_appendf(out, " [%u-%s-%s]", (unsigned)entry->slot,
                           entry->way == BUS_MOVE_OUT ? ">" : "<", c->nodes[entry->node]->name);
    }
}
