/* SPDX-License-Identifier: MIT
 *
 * The run in which the reactions of a generator take part: lines that they write are laid into the
 * running world as if the schedule had had them from the start. Whether that is so is checked: the
 * schedule with these lines is run again without Lua, and both runs must tell the same.
 */
#include <stdio.h>

#include "base/assert.h"
#include "sim/lua.h"
#include "sim/memory.h"
#include "sim/world.h"

/* What listens to a run with reactions. */
typedef struct listener {
    shoal_generator *generator;
    bool failed;
} listener;

/* Absorbs what a run tells, but for the schedule itself: its text, the numbers of its lines, and
 * the order in which expectations are judged that come true at one moment. */
static void absorb(uint64_t *told, const shoal_trace_entry *entry)
{
    shoal_trace_entry plain = *entry;
    switch (entry->record.kind) {
    case SHOAL_TRACE_RUN_START:
    case SHOAL_TRACE_RUN_END:
    case SHOAL_TRACE_EXPECT: return;
    case SHOAL_TRACE_SAY:
    case SHOAL_TRACE_FAULT: plain.record.a = 0; break;
    default: break;
    }
    shoal_trace_hash(told, &plain);
}

static void hear(void *context, const shoal_trace_entry *entry)
{
    listener *all = context;
    absorb(&all->generator->told, entry);
    if (!all->failed) all->failed = !shoal_lua__hear(all->generator, entry);
}

/* Lays what was written since `*laid` into the world. */
static void lay_lines(shoal_world *world, shoal_generator *generator, uint32_t *laid)
{
    for (; *laid < generator->late_count; (*laid)++) {
        shoal_world_arrange_line(world, generator->late[*laid]);
    }
}

bool shoal_lua__react(shoal_generator *generator)
{
    shoal_world_options options = shoal_world_options_default();
    shoal_world *world = NULL;
    listener all = {.generator = generator};
    uint32_t laid = 0;
    options.schedule = generator->schedule;
    options.profile = generator->options.profile;
    options.tracer = hear;
    options.tracer_context = &all;
    if (shoal_world_create(&options, &world) != SHOAL_ERR_OK) {
        snprintf(generator->error, sizeof(generator->error), "%s: no world for this schedule",
                 generator->options.path);
        return false;
    }
    while (shoal_world_step(world) && !all.failed) lay_lines(world, generator, &laid);
    shoal_world_destroy(world);
    /* What was written when the run had ended never happens. */
    for (uint32_t i = laid; i < generator->late_count; i++) {
        shoal_line_free(generator->late[i]);
        shoal_sim__free(generator->late[i]);
    }
    generator->late_count = laid;
    return !all.failed;
}

static void hear_again(void *context, const shoal_trace_entry *entry)
{
    absorb(context, entry);
}

bool shoal_lua__confirm(shoal_generator *generator, const shoal_schedule *schedule)
{
    shoal_world_options options = shoal_world_options_default();
    shoal_world *world = NULL;
    uint64_t told = 0;
    options.schedule = schedule;
    options.profile = generator->options.profile;
    options.tracer = hear_again;
    options.tracer_context = &told;
    shoal_err error = shoal_world_create(&options, &world);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    shoal_world_run(world);
    shoal_world_destroy(world);
    if (told == generator->told) return true;
    snprintf(generator->error, sizeof(generator->error),
             "%s: the schedule with the reactions does not run as the reactions did",
             generator->options.path);
    return false;
}
