/* SPDX-License-Identifier: MIT
 *
 * Who reaches whom, and since when not.
 */
#include "sim/judge.h"

#include "base/assert.h"
#include "sim/internal.h"
#include "sim/memory.h"

bool shoal_judge__together(const shoal_world *world, uint32_t a, uint32_t b)
{
    const shoal_vnode *va = &world->nodes[a], *vb = &world->nodes[b];
    return va->running && vb->running && !va->paused && !vb->paused &&
           !shoal_net__blocked(world, a, b) && !shoal_net__blocked(world, b, a);
}

static int64_t *apart(const shoal_world *world, uint32_t node, uint32_t other)
{
    return &world->judge.apart_since_us[(size_t)node * world->node_count + other];
}

/* Is there a way from one node to another? */
typedef bool (*linked)(const shoal_world *world, uint32_t a, uint32_t b);

/* Gives every node the number of the island that it is on: those that reach each other, if only
 * through others, since what one hears of a node it tells the rest. */
static void find_islands(const shoal_world *world, linked is_linked, uint32_t *island)
{
    uint32_t *queue = world->judge.queue;
    for (uint32_t i = 0; i < world->node_count; i++) island[i] = UINT32_MAX;
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (island[i] != UINT32_MAX) continue;
        uint32_t first = 0, last = 0;
        island[i] = i;
        queue[last++] = i;
        while (first < last) {
            uint32_t at = queue[first++];
            for (uint32_t j = 0; j < world->node_count; j++) {
                if (island[j] != UINT32_MAX || !is_linked(world, at, j)) continue;
                island[j] = i;
                queue[last++] = j;
            }
        }
    }
}

/* Is a way between two running nodes shut, if only for new connections? */
static bool is_shut(const shoal_world *world, uint32_t from, uint32_t to)
{
    if (from == to || !world->nodes[from].running || !world->nodes[to].running) return false;
    const shoal_net *net = &world->net;
    return shoal_net__blocked(world, from, to) || net->ways[(size_t)from * net->hosts + to].refused;
}

void shoal_judge__reachability(shoal_world *world)
{
    find_islands(world, shoal_judge__together, world->judge.island);
    world->judge.ways_open = true;
    for (uint32_t i = 0; i < world->node_count; i++) {
        for (uint32_t j = 0; j < world->node_count; j++) {
            int64_t *since = apart(world, i, j);
            if (is_shut(world, i, j)) world->judge.ways_open = false;
            if (world->judge.island[i] == world->judge.island[j]) {
                *since = -1;
            } else if (*since < 0) {
                *since = world->now_us;
                world->judge.any_apart = true;
            }
        }
    }
}

void shoal_judge__contact(shoal_world *world, uint32_t node, uint32_t other)
{
    shoal_judge *judge = &world->judge;
    uint32_t nodes = world->node_count;
    if (judge->met_us) {
        judge->met_us[(size_t)node * nodes + other] = world->now_us;
        judge->met_us[(size_t)other * nodes + node] = world->now_us;
    }
    if (!judge->any_apart || *apart(world, node, other) < 0) return;
    for (uint32_t i = 0; i < nodes; i++) {
        int64_t *since = apart(world, i, other);
        if (judge->island[i] == judge->island[node] && *since >= 0) *since = world->now_us;
    }
}

/* ---- addresses ---- */

void shoal_judge__moved(shoal_world *world, uint32_t node)
{
    shoal_judge *judge = &world->judge;
    size_t nodes = world->node_count;
    SHOAL_ASSERT(node < nodes);
    if (judge->moved_us == NULL) {
        judge->moved_us = shoal_sim__allocate(nodes * sizeof(*judge->moved_us));
        judge->met_us = shoal_sim__allocate(nodes * nodes * sizeof(*judge->met_us));
        judge->found = shoal_sim__allocate(nodes * sizeof(*judge->found));
    }
    judge->moved_us[node] = world->now_us;
}

/* Does one of them know where the other is? */
static bool can_find(const shoal_world *world, uint32_t a, uint32_t b)
{
    const shoal_judge *judge = &world->judge;
    int64_t met_us = judge->met_us[(size_t)a * world->node_count + b];
    bool run = world->nodes[a].running && world->nodes[b].running;
    return run && (judge->moved_us[a] <= met_us || judge->moved_us[b] <= met_us);
}

bool shoal_judge__lost(const shoal_world *world)
{
    uint32_t first = UINT32_MAX;
    const uint32_t *found = world->judge.found;
    if (found == NULL) return false;
    find_islands(world, can_find, world->judge.found);
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (!world->nodes[i].running) continue;
        if (first == UINT32_MAX) first = i;
        if (found[i] != found[first]) return true;
    }
    return false;
}

void shoal_judge__forgot(shoal_world *world, uint32_t node)
{
    world->judge.promises[node] = (shoal_promise){0};
    shoal_logbook__forget(world, node);
}

void shoal_judge__woke(shoal_world *world, uint32_t node)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        int64_t *since = apart(world, node, i);
        if (*since >= 0) *since = world->now_us;
    }
}
