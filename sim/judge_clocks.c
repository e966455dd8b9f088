/* SPDX-License-Identifier: MIT
 *
 * The wall clocks of nodes, held against each other. Between two changes they go straight, so what
 * they were around the changes says how far apart they can have been at any time.
 */
#include "sim/judge.h"

#include "base/assert.h"
#include "sim/internal.h"
#include "sim/memory.h"

/* How far a wall clock is from the world's time now. */
static int64_t ahead_now(const shoal_world *world, uint32_t node)
{
    SHOAL_ASSERT(node < world->node_count);
    return shoal_clock__read(&world->nodes[node].clock, world->now_us).wall_us - world->now_us;
}

void shoal_judge__clocks(shoal_world *world)
{
    shoal_judge *judge = &world->judge;
    judge->walls = shoal_sim__grow(judge->walls, &judge->wall_capacity, judge->wall_count + 1,
                                   sizeof(*judge->walls));
    shoal_walls *walls = &judge->walls[judge->wall_count++];
    SHOAL_ASSERT(judge->wall_count < 2 || walls[-1].at_us <= world->now_us);
    walls->at_us = world->now_us;
    walls->ahead_us = shoal_sim__allocate(world->node_count * sizeof(*walls->ahead_us));
    for (uint32_t i = 0; i < world->node_count; i++) walls->ahead_us[i] = ahead_now(world, i);
}

/* The same of two nodes. */
static int64_t behind_one(const shoal_world *world, uint32_t node, uint32_t other, int64_t from_us)
{
    const shoal_judge *judge = &world->judge;
    int64_t most_us = ahead_now(world, other) - ahead_now(world, node);
    for (uint32_t i = judge->wall_count; i-- > 0;) {
        const shoal_walls *walls = &judge->walls[i];
        int64_t behind_us = walls->ahead_us[other] - walls->ahead_us[node];
        if (behind_us > most_us) most_us = behind_us;
        if (walls->at_us < from_us) break;
    }
    return most_us;
}

int64_t shoal_judge__behind(const shoal_world *world, uint32_t node, int64_t from_us)
{
    const shoal_judge *judge = &world->judge;
    int64_t most_us = 0;
    SHOAL_ASSERT(node < world->node_count && from_us >= 0);
    for (uint32_t i = 0; judge->wall_count > 0 && i < world->node_count; i++) {
        int64_t since_us = judge->apart_since_us[(size_t)node * world->node_count + i];
        if (i == node || (since_us >= 0 && since_us <= from_us)) continue;
        int64_t behind_us = behind_one(world, node, i, from_us);
        if (behind_us > most_us) most_us = behind_us;
    }
    return most_us;
}
