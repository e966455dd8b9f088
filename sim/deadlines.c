/* SPDX-License-Identifier: MIT
 *
 * Values with a time to live. A deadline is a time on the wall clock of the node that took the
 * write, known between when the client sent it and when the node answered; whoever serves the key
 * holds it against his own wall clock. Where a clock was changed in between, nothing is known.
 */
#include "base/assert.h"
#include "sim/internal.h"

/* Deadlines are whole milliseconds. */
#define GRAIN_US 1000

/* The wall clock of a node at a moment that may be past; false when it was changed since. */
static bool wall_at(const shoal_world *world, uint32_t node, int64_t at_us, int64_t *wall_us)
{
    const shoal_clock *clock = &world->nodes[node].clock;
    if (clock->anchor_us > at_us) return false;
    *wall_us = shoal_clock__read(clock, at_us).wall_us;
    return true;
}

void shoal_deadline__begin(shoal_world *world, shoal_write *write, uint32_t node, int64_t ttl_us)
{
    shoal_history *history = &world->history;
    int64_t wall_us = 0;
    if (write->deadline == 0) {
        history->deadlines =
            shoal_sim__grow(history->deadlines, &history->deadline_capacity,
                            history->deadline_count + 1, sizeof(*history->deadlines));
        write->deadline = ++history->deadline_count;
    }
    bool known = wall_at(world, node, world->now_us, &wall_us);
    SHOAL_ASSERT(known);
    history->deadlines[write->deadline - 1] =
        (shoal_deadline){wall_us + ttl_us - GRAIN_US, wall_us + ttl_us};
}

void shoal_deadline__end(shoal_world *world, const shoal_write *write, int64_t served_us)
{
    shoal_deadline *deadline = &world->history.deadlines[write->deadline - 1];
    const shoal_clock *clock = &world->nodes[write->node].clock;
    int64_t served_wall_us = 0;
    bool known = clock->anchor_us <= write->began_us &&
                 wall_at(world, write->node, served_us, &served_wall_us);
    if (!known) {
        *deadline = (shoal_deadline){INT64_MIN, INT64_MAX};
        return;
    }
    /* It was taken while the answer was under way, at the latest when it left. */
    int64_t began_wall_us = shoal_clock__read(clock, write->began_us).wall_us;
    deadline->until_us += served_wall_us - began_wall_us;
}

int64_t shoal_deadline__passed(const shoal_world *world, const shoal_write *write,
                               const shoal_reading *reading)
{
    const shoal_deadline *deadline = &world->history.deadlines[write->deadline - 1];
    int64_t here_us = 0, there_us = 0;
    bool known = wall_at(world, reading->node, reading->served_us, &here_us) &&
                 wall_at(world, write->node, reading->served_us, &there_us) &&
                 deadline->from_us != INT64_MIN;
    if (!known) return INT64_MAX;
    bool open = write->state != SHOAL_WRITE_ACKNOWLEDGED;
    if (open && world->nodes[write->node].clock.anchor_us > write->began_us) return INT64_MAX;
    /* Clocks that were changed since may have come to the deadline at any time until now. */
    bool changed = world->nodes[reading->node].clock.anchor_us > write->began_us ||
                   world->nodes[write->node].clock.anchor_us > write->began_us;
    if (changed) return reading->served_us;
    if (here_us < deadline->from_us && there_us < deadline->from_us) return -1;
    if (open || here_us < deadline->until_us) return reading->served_us;
    const shoal_clock *clock = &world->nodes[reading->node].clock;
    return reading->served_us - shoal_clock__took(clock, here_us - deadline->until_us);
}

/* A value was found: was it over for the node that served it, even when the read began? */
static void judge_found(shoal_world *world, const shoal_reading *reading)
{
    const shoal_write *write = &world->history.writes[reading->serial - 1];
    int64_t wall_us = 0;
    if (write->deadline == 0 || write->state != SHOAL_WRITE_ACKNOWLEDGED) return;
    const shoal_deadline *deadline = &world->history.deadlines[write->deadline - 1];
    if (deadline->until_us == INT64_MAX) return;
    if (!wall_at(world, reading->node, reading->began_us, &wall_us)) return;
    shoal_judge__made(world, SHOAL_CHECK_NOT_EXPIRED);
    if (wall_us <= deadline->until_us + GRAIN_US) return;
    shoal_anomaly__count(world, SHOAL_ANOMALY_SERVED_AFTER_TTL, SHOAL_CAUSE_ALIVE);
    shoal_judge__fault_of(world, SHOAL_CHECK_NOT_EXPIRED, reading->node,
                          "served a value that by its clock had expired");
}

void shoal_deadline__judge(shoal_world *world, const shoal_reading *reading,
                           shoal_read_verdict verdict, shoal_cause cause)
{
    const shoal_history *history = &world->history;
    if (world->judge.views[reading->node].replica) return;
    if (reading->serial != 0) {
        judge_found(world, reading);
        return;
    }
    if (verdict != SHOAL_READ_STALE || cause != SHOAL_CAUSE_ALIVE) return;
    uint64_t at = shoal_history__newest(history, reading->key);
    while (at != 0 && history->writes[at - 1].ended_us >= reading->began_us)
        at = history->writes[at - 1].before;
    if (at != 0 && history->writes[at - 1].deadline != 0)
        shoal_anomaly__count(world, SHOAL_ANOMALY_EARLY_EXPIRY, cause);
}
