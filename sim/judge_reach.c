/* SPDX-License-Identifier: MIT
 *
 * Who reaches whom, and since when not.
 */
#include "sim/judge.h"

#include "base/assert.h"
#include "sim/internal.h"

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

/* Gives every node the number of the island that it is on: those that reach each other, if only
 * through others, since what one hears of a node it tells the rest. */
static void find_islands(shoal_world *world)
{
    uint32_t *island = world->judge.island, *queue = world->judge.queue;
    for (uint32_t i = 0; i < world->node_count; i++) island[i] = UINT32_MAX;
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (island[i] != UINT32_MAX) continue;
        uint32_t first = 0, last = 0;
        island[i] = i;
        queue[last++] = i;
        while (first < last) {
            uint32_t at = queue[first++];
            for (uint32_t j = 0; j < world->node_count; j++) {
                if (island[j] != UINT32_MAX || !shoal_judge__together(world, at, j)) continue;
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
    find_islands(world);
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
    if (!world->judge.any_apart || *apart(world, node, other) < 0) return;
    for (uint32_t i = 0; i < world->node_count; i++) {
        int64_t *since = apart(world, i, other);
        if (world->judge.island[i] == world->judge.island[node] && *since >= 0)
            *since = world->now_us;
    }
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
