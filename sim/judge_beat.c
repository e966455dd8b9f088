/* SPDX-License-Identifier: MIT
 *
 * What must come true in time: once a second of the world the judge looks whether anything keeps
 * the nodes from agreeing, and if nothing has for long enough, whether they do. Nothing is arranged
 * for that: the look comes with whatever happens next.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"

/* How often it looks. Chosen: far below every bound, and nothing beside what a second brings. */
#define BEAT_US INT64_C(1000000)

/* ---- is it calm? ---- */

static bool is_hindered(const shoal_world *world, const shoal_vnode *vnode)
{
    const shoal_burden *burden = &vnode->burden;
    if (!vnode->running) return false;
    return vnode->paused || !vnode->ready || burden->factor > 0 ||
           burden->busy_until_us > world->now_us || vnode->disk.mode != SHOAL_DISK_OK ||
           vnode->clock.mono_frozen;
}

static bool drops_frames(const shoal_net *net)
{
    for (uint32_t i = 0; i < net->drop_count; i++) {
        if (net->drops[i].left > 0) return true;
    }
    return false;
}

/* Nothing that a schedule can do to nodes is in force; some may be dead. */
static bool is_calm(const shoal_world *world)
{
    if (!world->judge.ways_open || world->operator_.forming > 0) return false;
    if (shoal_judge__lost(world)) return false;
    if (drops_frames(&world->net)) return false;
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (is_hindered(world, &world->nodes[i])) return false;
    }
    return true;
}

void shoal_judge__disturbed(shoal_world *world, const shoal_line *line)
{
    switch (line->kind) {
    case SHOAL_LINE_SAY:
    case SHOAL_LINE_EXPECT:
    case SHOAL_LINE_CLIENT:
    case SHOAL_LINE_STOP:
    case SHOAL_LINE_END: return;
    default: world->judge.disturbed_us = world->now_us;
    }
    if (line->kind != SHOAL_LINE_OPERATE) return;
    bool drops = strstr(line->text, "DELSLOTS") || strstr(line->text, "FLUSHSLOTS");
    world->judge.unmapped = world->judge.unmapped || drops;
}

/* ---- colliding epochs ---- */

/* What the rule of collisions takes. The lesser one gives way when it hears of the other; each
 * hears from each within a timeout, and of several that collide one gives way after the other. Time
 * for links that are opened anew comes on top. */
static int64_t collision_bound_us(const shoal_world *world)
{
    return 4 * world->schedule->node_timeout_us + INT64_C(10000000);
}

/* A master that knows its epoch, and may be told of another's. */
static bool claims_epoch(const shoal_world *world, uint32_t node)
{
    const shoal_view *view = &world->judge.views[node];
    return world->nodes[node].running && world->nodes[node].ready && !view->replica &&
           view->epoch_config > 0 && view->self != UINT32_MAX;
}

/* Do they know each other? */
static bool acquainted(const shoal_world *world, uint32_t a, uint32_t b)
{
    const shoal_view *views = world->judge.views;
    return shoal_judge__opinion(world, a, views[b].self)->known &&
           shoal_judge__opinion(world, b, views[a].self)->known;
}

static bool collide(const shoal_world *world, uint32_t a, uint32_t b)
{
    const shoal_view *views = world->judge.views;
    return views[a].epoch_config == views[b].epoch_config && claims_epoch(world, b) &&
           acquainted(world, a, b);
}

static void judge_collision(shoal_world *world, uint32_t node)
{
    shoal_judge *judge = &world->judge;
    shoal_collision *seen = &judge->collisions[node];
    uint32_t with = 0;
    if (!claims_epoch(world, node)) {
        seen->with = 0;
        return;
    }
    shoal_judge__made(world, SHOAL_CHECK_COLLISIONS);
    for (uint32_t i = node + 1; i < world->node_count && with == 0; i++) {
        if (collide(world, node, i)) with = i + 1;
    }
    uint64_t epoch = judge->views[node].epoch_config;
    bool same = with != 0 && seen->with == with && seen->epoch == epoch;
    if (!same) *seen = (shoal_collision){with, epoch, world->now_us, seen->differed};
    if (seen->since_us < judge->disturbed_us) seen->since_us = judge->disturbed_us;
    if (with == 0 || world->now_us - seen->since_us < collision_bound_us(world)) return;
    seen->since_us = world->now_us;
    shoal_judge__fault_of(world, SHOAL_CHECK_COLLISIONS, node,
                          "goes on with the configEpoch of another master");
}

/* ---- agreement ---- */

/* What agreement takes, as a sweep has it: a failure is seen within 1.5 timeouts and forgiven
 * within two, an election takes two and is repeated after four; and a snapshot waits for five
 * seconds. */
static int64_t agreement_bound_us(const shoal_world *world)
{
    return 12 * world->schedule->node_timeout_us + INT64_C(25000000);
}

/* Does it hold a node that runs for failed, or suspect it? */
static bool mistrusts(const shoal_world *world, uint32_t node)
{
    const shoal_judge *judge = &world->judge;
    const shoal_view *view = &judge->views[node];
    if (view->suspected + view->failed == 0) return false;
    for (uint32_t i = 0; i < view->capacity && i < judge->subject_count; i++) {
        uint32_t about = judge->subjects[i].node;
        bool present = judge->views[about].self == i && world->nodes[about].running;
        if (present && (view->of[i].pfail || view->of[i].fail)) return true;
    }
    return false;
}

/* In a cluster that lost no node, a slot that has an owner has one that runs. */
static bool maps_to_dead(const shoal_world *world, uint32_t node)
{
    const shoal_judge *judge = &world->judge;
    const shoal_view *view = &judge->views[node];
    for (uint32_t i = 0; i < view->capacity && i < judge->subject_count; i++) {
        if (view->of[i].slots > 0 && judge->views[judge->subjects[i].node].self != i) return true;
    }
    return false;
}

/* Does it know every node that runs, and is it known? Who was told to forget one cannot have its
 * slots in his map, until somebody introduces them again. */
static bool knows_all(const shoal_world *world, uint32_t node)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        bool there = i != node && world->nodes[i].running;
        if (there && world->judge.views[i].self == UINT32_MAX) return false;
        if (there && !acquainted(world, node, i)) return false;
    }
    return true;
}

static void judge_agreement(shoal_world *world)
{
    const shoal_judge *judge = &world->judge;
    uint32_t first = UINT32_MAX, running = 0;
    for (uint32_t i = 0; i < world->node_count; i++) running += world->nodes[i].running;
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (!world->nodes[i].running || judge->views[i].self == UINT32_MAX) continue;
        if (first == UINT32_MAX) first = i;
        if (i != first && !acquainted(world, first, i)) continue;
        shoal_judge__made(world, SHOAL_CHECK_AGREEMENT);
        const char *wrong = NULL;
        if (mistrusts(world, i)) wrong = "suspects a node that everybody reaches";
        bool differs = judge->views[i].map != judge->views[first].map;
        if (differs && !judge->unmapped && knows_all(world, i) && knows_all(world, first))
            wrong = "has another map of the slots";
        if (running == world->node_count && knows_all(world, i) && maps_to_dead(world, i))
            wrong = "maps slots to a node that is gone";
        bool stayed = wrong != NULL && world->judge.collisions[i].differed;
        world->judge.collisions[i].differed = wrong != NULL;
        if (stayed) shoal_judge__fault_of(world, SHOAL_CHECK_AGREEMENT, i, wrong);
    }
}

/* ---- the beat ---- */

void shoal_judge__beat(shoal_world *world)
{
    shoal_judge *judge = &world->judge;
    judge->beat_us = world->now_us - world->now_us % BEAT_US + BEAT_US;
    if (world->vacant) return;
    if (!is_calm(world)) judge->disturbed_us = world->now_us;
    for (uint32_t i = 0; i < world->node_count; i++) judge_collision(world, i);
    shoal_logbook__beat(world);
    shoal_judge__limits(world);
    if (world->now_us - judge->disturbed_us >= agreement_bound_us(world)) judge_agreement(world);
}
