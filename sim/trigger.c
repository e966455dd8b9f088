/* SPDX-License-Identifier: MIT
 *
 * Crashes at an event.
 */
#include "sim/trigger.h"

#include "base/assert.h"
#include "sim/internal.h"

void shoal_trigger__arm(shoal_world *world, uint32_t node, const shoal_line *line)
{
    SHOAL_ASSERT(line->trigger != SHOAL_TRIGGER_NONE && line->which > 0);
    world->triggers = shoal_sim__grow(world->triggers, &world->trigger_capacity,
                                      world->trigger_count + 1, sizeof(*world->triggers));
    world->triggers[world->trigger_count++] = (shoal_trigger){node, line, line->which};
}

void shoal_trigger__disarm(shoal_world *world)
{
    SHOAL_ASSERT(world->trigger_count <= world->trigger_capacity);
    world->trigger_count = 0;
}

void shoal_trigger__hear(shoal_world *world, uint32_t node, uint32_t kind)
{
    for (uint32_t i = 0; i < world->trigger_count; i++) {
        shoal_trigger *trigger = &world->triggers[i];
        const shoal_line *line = trigger->line;
        if (line->trigger != SHOAL_TRIGGER_RECORD || trigger->node != node) continue;
        if (line->kind_wanted == kind && trigger->left > 0) trigger->left--;
    }
}

void shoal_trigger__settle(shoal_world *world, uint32_t process)
{
    uint32_t kept = 0, count = world->trigger_count;
    for (uint32_t i = 0; i < count; i++) {
        shoal_trigger trigger = world->triggers[i];
        bool event = trigger.line->trigger == SHOAL_TRIGGER_EVENT && trigger.node == process;
        if (event) trigger.left--;
        if (trigger.left > 0) {
            world->triggers[kept++] = trigger;
            continue;
        }
        shoal_vnode__crash(world, trigger.node, trigger.line->power, trigger.line->fate);
        world->judge.version++;
    }
    SHOAL_ASSERT(world->trigger_count == count);
    world->trigger_count = kept;
    if (kept < count) shoal_judge__reachability(world);
}
