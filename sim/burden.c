/* SPDX-License-Identifier: MIT
 *
 * Busy and slow nodes.
 */
#include "sim/burden.h"

#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"

/* Sees that the first of what waits gets its turn. */
static void arm(shoal_world *world, uint32_t node)
{
    shoal_burden *burden = &world->nodes[node].burden;
    if (burden->armed || burden->first == burden->count) return;
    int64_t at = burden->busy_until_us > world->now_us ? burden->busy_until_us : world->now_us;
    burden->armed = true;
    shoal_world__arrange(world, at, SHOAL_OCCURRENCE_NODE_WAKE, shoal_vnode__reference(world, node),
                         0);
}

void shoal_burden__busy(shoal_world *world, uint32_t node, int64_t until_us)
{
    shoal_burden *burden = &world->nodes[node].burden;
    if (!world->nodes[node].running) return;
    world->burdened = true;
    burden->blocked = true;
    if (until_us > burden->busy_until_us) burden->busy_until_us = until_us;
}

void shoal_burden__slow(shoal_world *world, uint32_t node, uint32_t factor)
{
    world->burdened = true;
    world->nodes[node].burden.factor = factor;
}

/* What a slow node begins with now takes it this long, and shows its effect at the end. */
static void charge(const shoal_world *world, shoal_burden *burden)
{
    if (burden->factor == 0) return;
    burden->busy_until_us = world->now_us + (int64_t)burden->factor * SHOAL_BURDEN_COST_US;
}

bool shoal_burden__takes(shoal_world *world, uint32_t node, const shoal_occurrence *occurrence)
{
    shoal_burden *burden = &world->nodes[node].burden;
    if (occurrence->kind == SHOAL_OCCURRENCE_NODE_WAKE) return false;
    bool idle = burden->first == burden->count && burden->busy_until_us <= world->now_us;
    if (idle && burden->factor == 0) return false;
    if (idle) charge(world, burden);
    burden->waiting = shoal_sim__grow(burden->waiting, &burden->capacity, burden->count + 1,
                                      sizeof(*burden->waiting));
    burden->waiting[burden->count++] = *occurrence;
    arm(world, node);
    return true;
}

/* Takes the first of what waits; room in front is used again when it is more than what waits. */
static shoal_occurrence take(shoal_burden *burden)
{
    shoal_occurrence next = burden->waiting[burden->first++];
    uint32_t left = burden->count - burden->first;
    if (burden->first > left) {
        memcpy(burden->waiting, burden->waiting + burden->first, left * sizeof(*burden->waiting));
        burden->first = 0;
        burden->count = left;
    }
    return next;
}

void shoal_burden__occur_wake(shoal_world *world, const shoal_occurrence *occurrence)
{
    uint32_t node = shoal_vnode__referred(occurrence->subject);
    shoal_burden *burden = &world->nodes[node].burden;
    burden->armed = false;
    SHOAL_ASSERT(burden->first < burden->count);
    /* It was made busy, or busier, meanwhile. */
    if (burden->busy_until_us > world->now_us) {
        arm(world, node);
        return;
    }
    if (burden->blocked) shoal_judge__woke(world, node);
    burden->blocked = false;
    shoal_occurrence next = take(burden);
    if (burden->first < burden->count) charge(world, burden);
    shoal_world__occur(world, &next);
    arm(world, node);
}

void shoal_burden__occur_busy(shoal_world *world, const shoal_occurrence *occurrence)
{
    SHOAL_ASSERT(occurrence->kind == SHOAL_OCCURRENCE_NODE_BUSY);
    shoal_burden__busy(world, shoal_vnode__referred(occurrence->subject),
                       (int64_t)occurrence->detail);
}

/* Is this about the process itself, and not about one of its connections? */
static bool about_process(uint32_t kind)
{
    return (kind >= SHOAL_OCCURRENCE_NODE_START && kind <= SHOAL_OCCURRENCE_DISK) ||
           kind == SHOAL_OCCURRENCE_NODE_BUSY;
}

void shoal_burden__end(shoal_world *world, uint32_t node)
{
    shoal_burden *burden = &world->nodes[node].burden;
    for (uint32_t i = burden->first; i < burden->count; i++) {
        const shoal_occurrence *late = &burden->waiting[i];
        if (about_process(late->kind)) continue;
        shoal_world__arrange(world, world->now_us, late->kind, late->subject, late->detail);
    }
    burden->first = burden->count = 0;
    burden->busy_until_us = 0;
    burden->armed = burden->blocked = false;
}

void shoal_burden__free(shoal_burden *burden)
{
    shoal_sim__free(burden->waiting);
    *burden = (shoal_burden){0};
}
