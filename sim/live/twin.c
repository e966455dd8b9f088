/* SPDX-License-Identifier: MIT
 *
 * sim/live/twin.h.
 */
#include "sim/live/twin.h"

#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "sim/memory.h"
#include "sim/world.h"

/* What hears a world. */
typedef struct listener {
    const shoal_schedule *schedule;
    shoal_roster roster;
    shoal_measure *measure;
} listener;

static void hear_name(listener *ear, uint32_t node, shoal_slice name)
{
    shoal_member *member = &ear->roster.members[node];
    member->running = true;
    if (name.size >= SHOAL_NODE_NAME_LEN) memcpy(member->name, name.data, SHOAL_NODE_NAME_LEN);
}

/* A record of a node about itself? */
static bool about_itself(const listener *ear, const shoal_trace_entry *entry)
{
    return shoal_roster__named(&ear->roster, entry->record.text) == entry->node;
}

static void hear_role(listener *ear, const shoal_trace_entry *entry)
{
    shoal_member *member = &ear->roster.members[entry->node];
    shoal_slice text = entry->record.text;
    size_t from = SHOAL_NODE_NAME_LEN + 1;
    if (!about_itself(ear, entry)) return;
    bool was_replica = member->replica;
    member->replica = entry->record.a != 0;
    memset(member->master, 0, sizeof(member->master));
    if (member->replica && text.size >= from + SHOAL_NODE_NAME_LEN)
        memcpy(member->master, text.data + from, SHOAL_NODE_NAME_LEN);
    if (was_replica && !member->replica)
        shoal_measure__master(ear->measure, entry->node, entry->time_us);
}

static void hear_slots(listener *ear, const shoal_trace_entry *entry)
{
    shoal_slice text = entry->record.text;
    if (!about_itself(ear, entry)) return;
    shoal_member *member = &ear->roster.members[entry->node];
    member->epoch = entry->record.b;
    shoal_member__claim(member, (shoal_slice){text.data + SHOAL_NODE_NAME_LEN,
                                              text.size - SHOAL_NODE_NAME_LEN});
}

static void hear_operation(listener *ear, const shoal_trace_entry *entry)
{
    static const char set[] = " set";
    shoal_slice text = entry->record.text;
    size_t size = sizeof(set) - 1;
    bool write = text.size > size && memcmp(text.data + text.size - size, set, size) == 0;
    if (write && entry->record.b == SHOAL_OUTCOME_OK)
        shoal_measure__write(ear->measure, entry->node, (uint32_t)entry->record.a, entry->time_us);
}

static void hear_line(listener *ear, const shoal_trace_entry *entry)
{
    for (uint32_t i = 0; i < ear->schedule->count; i++) {
        const shoal_line *line = &ear->schedule->lines[i];
        if (line->number != entry->record.a) continue;
        shoal_measure__line(ear->measure, &ear->roster, line, entry->time_us);
        return;
    }
}

static void hear_node(listener *ear, const shoal_trace_entry *entry)
{
    uint32_t about;
    switch (entry->record.kind) {
    case SHOAL_TRACE_READY: hear_name(ear, entry->node, entry->record.text); return;
    case SHOAL_TRACE_ROLE: hear_role(ear, entry); return;
    case SHOAL_TRACE_SLOTS: hear_slots(ear, entry); return;
    case SHOAL_TRACE_CLIENT_OP: hear_operation(ear, entry); return;
    case SHOAL_TRACE_NODE_CRASHED: shoal_member__forget(&ear->roster.members[entry->node]); return;
    case SHOAL_TRACE_FAIL:
        about = shoal_roster__named(&ear->roster, entry->record.text);
        if (about != UINT32_MAX)
            shoal_measure__failed(ear->measure, entry->node, about, entry->time_us);
        return;
    default: return;
    }
}

static void hear(void *context, const shoal_trace_entry *entry)
{
    listener *ear = context;
    if (entry->node < ear->roster.nodes)
        hear_node(ear, entry);
    else if (entry->record.kind == SHOAL_TRACE_FAULT)
        hear_line(ear, entry);
}

/* Acknowledged writes that are gone, for any cause; -1 when nobody looked. */
static int64_t lost(const shoal_world_result *result)
{
    uint64_t sum = 0;
    if (result->totals.audited + result->totals.unread == 0) return -1;
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) sum += result->totals.lost[i].count;
    return (int64_t)sum;
}

/* The schedule with all that happens later than its start put off by a time of chance, at most the
 * node timeout. Processes start and form a cluster in times of their own, so a real fault meets
 * nodes at any point of their rounds; here it would meet them at the same one in every run. Texts
 * stay with the original. */
static shoal_schedule put_off(const shoal_twin *twin)
{
    shoal_schedule schedule = *twin->schedule;
    uint64_t seed[2] = {twin->seed, shoal_prng_mix(twin->seed)};
    shoal_prng stream = shoal_prng_make(seed, 0, 0);
    int64_t by_us = (int64_t)shoal_prng_below(&stream, (uint64_t)schedule.node_timeout_us);
    schedule.lines = shoal_sim__allocate(schedule.count * sizeof(*schedule.lines));
    for (uint32_t i = 0; i < schedule.count; i++) {
        shoal_line *line = &schedule.lines[i];
        *line = twin->schedule->lines[i];
        if (line->at_us > 0) line->at_us += by_us;
        if (line->expect.has_since) line->expect.since_us += by_us;
    }
    return schedule;
}

void shoal_twin__run(const shoal_twin *twin, shoal_measure *measure, bool *violated)
{
    shoal_world_options options = shoal_world_options_default();
    shoal_world_result result;
    shoal_world *world = NULL;
    shoal_schedule schedule = put_off(twin);
    listener ear = {.schedule = &schedule, .measure = measure};
    shoal_roster__make(&ear.roster, &schedule);
    shoal_measure__make(measure, &schedule);
    options.schedule = &schedule;
    options.seed = twin->seed;
    options.has_seed = true;
    options.profile = twin->profile;
    options.tracer = hear;
    options.tracer_context = &ear;
    shoal_err error = shoal_world_create(&options, &world);
    SHOAL_ASSERT(error == SHOAL_ERR_OK);
    shoal_world_run(world);
    shoal_world_result_get(world, &result);
    measure->lost = lost(&result);
    *violated = result.violated;
    shoal_world_destroy(world);
    shoal_roster__free(&ear.roster);
    shoal_sim__free(schedule.lines);
}
