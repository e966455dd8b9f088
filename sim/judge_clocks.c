/* SPDX-License-Identifier: MIT
 *
 * The clocks of nodes, held against each other and against the world's time. Between two changes
 * they go straight, so what they were around the changes says what they were at any time.
 */
#include "sim/judge.h"

#include "base/assert.h"
#include "sim/internal.h"
#include "sim/memory.h"

static shoal_time read_now(const shoal_world *world, uint32_t node)
{
    SHOAL_ASSERT(node < world->node_count);
    return shoal_clock__read(&world->nodes[node].clock, world->now_us);
}

void shoal_judge__clocks(shoal_world *world)
{
    shoal_judge *judge = &world->judge;
    judge->glimpses = shoal_sim__grow(judge->glimpses, &judge->glimpse_capacity,
                                      judge->glimpse_count + 1, sizeof(*judge->glimpses));
    shoal_glimpse *glimpse = &judge->glimpses[judge->glimpse_count++];
    SHOAL_ASSERT(judge->glimpse_count < 2 || glimpse[-1].at_us <= world->now_us);
    glimpse->at_us = world->now_us;
    glimpse->clocks = shoal_sim__allocate(world->node_count * sizeof(*glimpse->clocks));
    for (uint32_t i = 0; i < world->node_count; i++) glimpse->clocks[i] = read_now(world, i);
}

/* What a clock was `left_us` before its last reading, if it went straight for `gone_us`. */
static int64_t between(int64_t first, int64_t last, int64_t gone_us, int64_t left_us)
{
    SHOAL_ASSERT(gone_us > 0 && left_us >= 0 && left_us <= gone_us);
    return last - (int64_t)((__int128)(last - first) * left_us / gone_us);
}

/* The clocks of a node at a time that is over, or now. Before the first change they were right. */
static shoal_time clocks_at(const shoal_world *world, uint32_t node, int64_t at_us)
{
    const shoal_judge *judge = &world->judge;
    uint32_t next = 0;
    SHOAL_ASSERT(at_us <= world->now_us);
    while (next < judge->glimpse_count && judge->glimpses[next].at_us <= at_us) next++;
    bool last = next == judge->glimpse_count;
    int64_t end_us = last ? world->now_us : judge->glimpses[next].at_us;
    shoal_time end = last ? read_now(world, node) : judge->glimpses[next].clocks[node];
    int64_t left_us = end_us - at_us;
    if (left_us == 0) return end;
    if (next == 0) return (shoal_time){end.mono_us - left_us, end.wall_us - left_us};
    const shoal_glimpse *before = &judge->glimpses[next - 1];
    const shoal_time *start = &before->clocks[node];
    int64_t gone_us = end_us - before->at_us;
    return (shoal_time){.mono_us = between(start->mono_us, end.mono_us, gone_us, left_us),
                        .wall_us = between(start->wall_us, end.wall_us, gone_us, left_us)};
}

int64_t shoal_judge__stood(const shoal_world *world, uint32_t node, int64_t from_us,
                           int64_t until_us)
{
    SHOAL_ASSERT(from_us >= 0 && from_us <= until_us);
    if (world->judge.glimpse_count == 0) return 0;
    int64_t gone_us =
        clocks_at(world, node, until_us).mono_us - clocks_at(world, node, from_us).mono_us;
    int64_t less_us = until_us - from_us - gone_us;
    return less_us > 0 ? less_us : 0;
}

/* Two nodes, and the time in which their clocks are held against each other. */
typedef struct pair {
    uint32_t node, other;
    int64_t from_us, until_us;
} pair;

/* By how much the wall clock of a node was behind another's in that time, at most. */
static int64_t behind_us(const shoal_world *world, const pair *of)
{
    const shoal_judge *judge = &world->judge;
    int64_t most_us = clocks_at(world, of->other, of->until_us).wall_us -
                      clocks_at(world, of->node, of->until_us).wall_us;
    for (uint32_t i = judge->glimpse_count; i-- > 0;) {
        if (judge->glimpses[i].at_us > of->until_us) continue;
        const shoal_time *clocks = judge->glimpses[i].clocks;
        int64_t then_us = clocks[of->other].wall_us - clocks[of->node].wall_us;
        if (then_us > most_us) most_us = then_us;
        if (judge->glimpses[i].at_us < of->from_us) break;
    }
    return most_us > 0 ? most_us : 0;
}

int64_t shoal_judge__misled(const shoal_world *world, uint32_t node, int64_t from_us,
                            int64_t until_us)
{
    const shoal_judge *judge = &world->judge;
    int64_t most_us = 0;
    SHOAL_ASSERT(node < world->node_count && from_us >= 0);
    for (uint32_t i = 0; judge->glimpse_count > 0 && i < world->node_count; i++) {
        int64_t since_us = judge->apart_since_us[(size_t)node * world->node_count + i];
        if (i == node || (since_us >= 0 && since_us <= from_us)) continue;
        int64_t by_us = behind_us(world, &(pair){node, i, from_us, until_us}) +
                        shoal_judge__stood(world, i, from_us, until_us);
        if (by_us > most_us) most_us = by_us;
    }
    return most_us;
}
