/* SPDX-License-Identifier: MIT
 *
 * What is judged of each read: whether it found what somebody wrote, missed what it had to find, or
 * found what was gone already; and the count of what clients find that they should not.
 */
#include "base/assert.h"
#include "sim/internal.h"

void shoal_anomaly__count(shoal_world *world, shoal_anomaly anomaly, shoal_cause cause)
{
    shoal_anomaly_count *count = &world->judge.totals.anomalies[anomaly][cause];
    SHOAL_ASSERT(anomaly < SHOAL_ANOMALY_COUNT && cause < SHOAL_CAUSE_COUNT);
    if (count->count++ == 0) count->first_us = world->now_us;
    count->last_us = world->now_us;
}

/* Why a read at a node may be behind: the cause that its write tells, unless the node is one that
 * is behind by itself. */
static shoal_cause excuse(const shoal_world *world, const shoal_reading *reading, shoal_cause cause)
{
    uint32_t slot = shoal_operation__slot(reading->key);
    if (world->judge.views[reading->node].replica) return SHOAL_CAUSE_REPLICA;
    if (shoal_copies__deposed(world, reading->node, slot, reading->served_us))
        return SHOAL_CAUSE_PARTITION;
    return cause;
}

/* Two writes of which the earlier one was found behind the later: what that says of the sessions of
 * those who wrote. */
static void judge_order(shoal_world *world, uint64_t earlier, uint64_t later, shoal_cause cause)
{
    const shoal_write *first = &world->history.writes[earlier - 1];
    const shoal_write *second = &world->history.writes[later - 1];
    if (first->client == second->client)
        shoal_anomaly__count(world, SHOAL_ANOMALY_MONOTONIC_WRITES, cause);
    if (second->after == earlier)
        shoal_anomaly__count(world, SHOAL_ANOMALY_WRITES_FOLLOW_READS, cause);
}

/* Did a read before find this overwritten, or nothing? */
static void judge_return(shoal_world *world, const shoal_reading *reading, const shoal_seen *seen)
{
    const shoal_history *history = &world->history;
    const shoal_write *found = &history->writes[reading->serial - 1];
    bool gone = seen->gone_us > found->ended_us && seen->gone_end_us < reading->began_us;
    bool over = false;
    if (seen->serial != 0 && seen->at_us < reading->began_us)
        over = history->writes[seen->serial - 1].began_us > found->ended_us;
    if (!gone && !over) return;
    uint64_t why = over ? seen->serial : reading->serial;
    shoal_cause cause = shoal_copies__cause(world, why, reading->served_us);
    cause = excuse(world, reading, cause);
    shoal_anomaly__count(world, SHOAL_ANOMALY_RESURRECTED, cause);
    if (over) judge_order(world, reading->serial, seen->serial, cause);
}

/* Keeps what a read found that missed nothing. That a node which may be behind found nothing says
 * little: what is there now may not have come to it yet, and a removal that nobody knows the end of
 * need not have happened. */
static void keep(shoal_world *world, const shoal_reading *reading, shoal_seen *seen)
{
    const shoal_history *history = &world->history;
    if (reading->serial == 0) {
        if (excuse(world, reading, SHOAL_CAUSE_ALIVE) != SHOAL_CAUSE_ALIVE) return;
        if (reading->began_us < seen->gone_us) return;
        seen->gone_us = reading->began_us;
        seen->gone_end_us = world->now_us;
        return;
    }
    int64_t began_us = history->writes[reading->serial - 1].began_us;
    if (seen->serial != 0 && history->writes[seen->serial - 1].began_us >= began_us) return;
    seen->serial = (uint32_t)reading->serial;
    seen->at_us = world->now_us;
}

static void judge_seen(shoal_world *world, const shoal_reading *reading, shoal_read_verdict verdict)
{
    shoal_history *history = &world->history;
    if (history->seen == NULL)
        history->seen = shoal_sim__allocate(history->key_count * sizeof(*history->seen));
    shoal_seen *seen = &history->seen[reading->key];
    if (reading->serial != 0) judge_return(world, reading, seen);
    if (verdict == SHOAL_READ_FRESH) keep(world, reading, seen);
}

/* A value that nobody wrote to this key; perhaps to another. */
static void count_phantom(shoal_world *world, const shoal_reading *reading)
{
    const shoal_history *history = &world->history;
    bool other = reading->serial <= history->write_count &&
                 history->writes[reading->serial - 1].key != reading->key;
    shoal_anomaly__count(world, SHOAL_ANOMALY_PHANTOM, SHOAL_CAUSE_ALIVE);
    if (other) shoal_anomaly__count(world, SHOAL_ANOMALY_CROSS_REPLY, SHOAL_CAUSE_ALIVE);
}

void shoal_reading__keep(shoal_world *world, const shoal_reading *reading)
{
    shoal_history *history = &world->history;
    if (!history->keeps_reads) return;
    history->reads = shoal_sim__grow(history->reads, &history->read_capacity,
                                     history->read_count + 1, sizeof(*history->reads));
    history->reads[history->read_count++] =
        (shoal_read){reading->began_us, world->now_us, reading->key, (uint32_t)reading->serial};
}

static void judge_value(shoal_world *world, const shoal_client *client,
                        const shoal_reading *reading)
{
    shoal_cause cause = SHOAL_CAUSE_ALIVE;
    shoal_read_verdict verdict = shoal_history__read(world, reading, &cause);
    shoal_judge__read(world, reading->key, verdict == SHOAL_READ_PHANTOM);
    if (verdict == SHOAL_READ_PHANTOM) {
        count_phantom(world, reading);
        return;
    }
    shoal_copies__found(world, reading);
    cause = excuse(world, reading, cause);
    shoal_deadline__judge(world, reading, verdict, cause);
    judge_seen(world, reading, verdict);
    shoal_reading__keep(world, reading);
    if (client->auditor) {
        shoal_history__audit(world, reading);
        return;
    }
    shoal_sessions__read(world, client->index, reading, cause);
    if (verdict == SHOAL_READ_FRESH) return;
    world->judge.totals.reads_stale[cause]++;
    shoal_anomaly__count(world, SHOAL_ANOMALY_STALE, cause);
}

void shoal_reading__judge(shoal_world *world, const shoal_client *client,
                          const shoal_reading *reading)
{
    if ((reading->key & SHOAL_KEY_COUNTER) == 0)
        judge_value(world, client, reading);
    else if (client->auditor)
        shoal_history__audit(world, reading);
}
