/* SPDX-License-Identifier: MIT
 *
 * The history of keys. Writes of a key are linked from the newest to the oldest in the order in
 * which they began, so that the walks below end early.
 */
#include "sim/history.h"

#include "base/assert.h"
#include "sim/internal.h"

/* Where keys vanish, so many writes are looked at for what a read without a value can mean: beyond,
 * everything may have happened. Chosen: far above the writes of a key that overlap. */
#define WALK_MAX 256u

void shoal_history__make(shoal_history *history, const shoal_schedule *schedule)
{
    *history = (shoal_history){.key_count = 1};
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (line->kind == SHOAL_LINE_EXPECT)
            history->keeps_reads |= line->expect.contract == SHOAL_CONTRACT_LINEARIZABLE;
        if (line->kind != SHOAL_LINE_CLIENT) continue;
        if (line->load.keys > history->key_count) history->key_count = line->load.keys;
        history->counts |= line->load.incr_weight > 0;
        history->vanishes |= line->load.del_weight > 0 || line->load.px_weight > 0;
    }
    history->heads = shoal_sim__allocate(shoal_history__places(history) * sizeof(*history->heads));
    if (!history->counts) return;
    history->counters = shoal_sim__allocate(history->key_count * sizeof(*history->counters));
}

void shoal_history__free(shoal_history *history)
{
    shoal_sim__free(history->writes);
    shoal_sim__free(history->heads);
    shoal_sim__free(history->seen);
    shoal_sim__free(history->counters);
    shoal_sim__free(history->deadlines);
    shoal_sim__free(history->reads);
    *history = (shoal_history){0};
}

/* ---- keys ---- */

uint32_t shoal_history__places(const shoal_history *history)
{
    return history->counts ? 2 * history->key_count : history->key_count;
}

uint32_t shoal_history__key_at(const shoal_history *history, uint32_t place)
{
    SHOAL_ASSERT(place < shoal_history__places(history));
    if (place < history->key_count) return place;
    return (place - history->key_count) | SHOAL_KEY_COUNTER;
}

static uint32_t place_of(const shoal_history *history, uint32_t key)
{
    uint32_t number = key & ~SHOAL_KEY_COUNTER;
    SHOAL_ASSERT(number < history->key_count);
    SHOAL_ASSERT(number == key || history->counts);
    return number == key ? number : history->key_count + number;
}

uint64_t shoal_history__newest(const shoal_history *history, uint32_t key)
{
    return history->heads[place_of(history, key)];
}

static shoal_counter *counter_of(const shoal_history *history, uint32_t key)
{
    SHOAL_ASSERT((key & SHOAL_KEY_COUNTER) != 0 && history->counts);
    return &history->counters[key & ~SHOAL_KEY_COUNTER];
}

/* ---- writes ---- */

uint64_t shoal_history__begin(shoal_history *history, const shoal_intent *intent)
{
    uint32_t place = place_of(history, intent->key);
    history->writes = shoal_sim__grow(history->writes, &history->write_capacity,
                                      history->write_count + 1, sizeof(*history->writes));
    history->writes[history->write_count++] = (shoal_write){.began_us = intent->now_us,
                                                            .ended_us = INT64_MAX,
                                                            .before = history->heads[place],
                                                            .after = intent->after,
                                                            .key = intent->key,
                                                            .size = intent->size,
                                                            .client = (uint16_t)intent->client,
                                                            .action = (uint8_t)intent->action};
    history->heads[place] = history->write_count;
    if (intent->action == SHOAL_ACTION_INCR) counter_of(history, intent->key)->begun++;
    return history->write_count;
}

void shoal_history__sent(shoal_world *world, uint64_t serial, uint32_t node, int64_t ttl_us)
{
    shoal_write *write = &world->history.writes[serial - 1];
    write->node = (uint16_t)node;
    write->incarnation = world->nodes[node].incarnation;
    write->synced_us = 0;
    if (write->action == SHOAL_ACTION_PX) shoal_deadline__begin(world, write, node, ttl_us);
}

void shoal_history__end(shoal_world *world, uint64_t serial, shoal_write_state state, uint32_t node,
                        int64_t served_us)
{
    shoal_write *write = &world->history.writes[serial - 1];
    SHOAL_ASSERT(write->state == SHOAL_WRITE_OPEN);
    bool counts = write->action == SHOAL_ACTION_INCR;
    write->state = (uint8_t)state;
    write->node = (uint16_t)node;
    if (state == SHOAL_WRITE_REFUSED && counts) counter_of(&world->history, write->key)->refused++;
    if (state != SHOAL_WRITE_ACKNOWLEDGED) return;
    if (counts) counter_of(&world->history, write->key)->acknowledged++;
    write->ended_us = world->now_us;
    /* The process may have died while its answer was on the way. */
    const shoal_vnode *vnode = &world->nodes[node];
    write->incarnation =
        vnode->incarnation - (vnode->incarnation > 0 && served_us <= vnode->died_us);
    if (write->deadline != 0) shoal_deadline__end(world, write, served_us);
}

/* ---- counters ---- */

/* More than everybody can have added together. */
static bool is_too_much(const shoal_counter *counter, uint64_t value)
{
    return value > counter->begun - counter->refused;
}

void shoal_history__counted(shoal_world *world, uint64_t serial, uint64_t value, int64_t served_us)
{
    const shoal_write *write = &world->history.writes[serial - 1];
    shoal_counter *counter = counter_of(&world->history, write->key);
    shoal_cause cause = shoal_copies__cause(world, serial, served_us);
    shoal_reading answer = {write->node, write->key, value, write->began_us, served_us};
    shoal_reading__keep(world, &answer);
    if (is_too_much(counter, value)) shoal_anomaly__count(world, SHOAL_ANOMALY_DOUBLE_APPLY, cause);
    /* Who began behind an answer finds what it told, and adds to it. */
    bool fell =
        counter->top_serial != 0 && counter->top_us < write->began_us && value <= counter->top;
    if (fell) {
        /* What it found is old because what was told is gone, or because it has lost the slot. */
        uint32_t slot = shoal_operation__slot(write->key);
        bool deposed = shoal_copies__deposed(world, write->node, slot, served_us);
        cause = deposed ? SHOAL_CAUSE_PARTITION
                        : shoal_copies__cause(world, counter->top_serial, served_us);
        shoal_anomaly__count(world, SHOAL_ANOMALY_STALE, cause);
        world->judge.totals.reads_stale[cause]++;
    }
    if (value <= counter->top && !fell) return;
    counter->top = value;
    counter->top_us = world->now_us;
    counter->top_serial = (uint32_t)serial;
}

/* ---- reads ---- */

/* Nothing was found: the end of the last thing that can have removed the key. */
static int64_t end_of_nothing(const shoal_world *world, const shoal_reading *reading)
{
    const shoal_history *history = &world->history;
    int64_t end = -1;
    uint32_t steps = 0;
    if (!history->vanishes) return end;
    uint64_t at = shoal_history__newest(history, reading->key);
    for (; at != 0; at = history->writes[at - 1].before) {
        const shoal_write *write = &history->writes[at - 1];
        int64_t gone = -1;
        if (++steps > WALK_MAX) return INT64_MAX;
        if (write->state == SHOAL_WRITE_REFUSED) continue;
        if (write->action == SHOAL_ACTION_DEL) gone = write->ended_us;
        if (write->deadline != 0) gone = shoal_deadline__passed(world, write, reading);
        if (gone > end) end = gone;
        if (end == INT64_MAX) return end;
    }
    return end;
}

int64_t shoal_history__end_of(const shoal_world *world, const shoal_reading *reading)
{
    if (reading->serial == 0) return end_of_nothing(world, reading);
    SHOAL_ASSERT(reading->serial <= world->history.write_count);
    return world->history.writes[reading->serial - 1].ended_us;
}

/* Nobody wrote that to the key. */
static bool is_phantom(const shoal_history *history, const shoal_reading *reading)
{
    if (reading->serial == 0) return false;
    if (reading->serial > history->write_count) return true;
    const shoal_write *found = &history->writes[reading->serial - 1];
    return found->key != reading->key || found->state == SHOAL_WRITE_REFUSED ||
           found->action == SHOAL_ACTION_DEL;
}

shoal_read_verdict shoal_history__read(const shoal_world *world, const shoal_reading *reading,
                                       shoal_cause *cause)
{
    const shoal_history *history = &world->history;
    if (is_phantom(history, reading)) return SHOAL_READ_PHANTOM;
    int64_t end = shoal_history__end_of(world, reading);
    uint64_t at = shoal_history__newest(history, reading->key);
    for (; at != 0; at = history->writes[at - 1].before) {
        const shoal_write *write = &history->writes[at - 1];
        if (write->began_us <= end) break;
        if (write->ended_us >= reading->began_us) continue;
        *cause = shoal_copies__cause(world, at, reading->served_us);
        return SHOAL_READ_STALE;
    }
    return SHOAL_READ_FRESH;
}

/* ---- the audit ---- */

/* Counts so many writes by why they are gone, and widens the time in which such writes were
 * acknowledged. */
static void count_lost(shoal_world *world, uint64_t serial, uint64_t count, shoal_cause cause)
{
    shoal_losses *losses = &world->judge.totals.lost[cause];
    int64_t ended_us = world->history.writes[serial - 1].ended_us;
    SHOAL_ASSERT(ended_us >= 0 && ended_us < INT64_MAX);
    if (losses->count == 0 || ended_us < losses->from_us) losses->from_us = ended_us;
    if (losses->count == 0 || ended_us > losses->until_us) losses->until_us = ended_us;
    losses->count += count;
}

/* Puts `lost` additions to a counter that was read down to the newest that can have been lost for
 * such a reason: by a crash, or by another. Returns how many are left. */
static uint64_t put_down(shoal_world *world, const shoal_reading *reading, uint64_t lost,
                         bool by_crash)
{
    const shoal_history *history = &world->history;
    uint64_t at = shoal_history__newest(history, reading->key);
    for (; at != 0 && lost > 0; at = history->writes[at - 1].before) {
        if (history->writes[at - 1].state != SHOAL_WRITE_ACKNOWLEDGED) continue;
        shoal_cause cause = shoal_copies__cause(world, at, reading->served_us);
        if (cause == SHOAL_CAUSE_ALIVE || (cause == SHOAL_CAUSE_CRASH) != by_crash) continue;
        count_lost(world, at, 1, cause);
        lost--;
    }
    return lost;
}

/* Of a counter: what was added and is not there. Which of the additions that is nobody can say: it
 * is put down to those whose nodes have lost the slot since, then to those whose nodes have died,
 * whose disks may have kept them, and what is left to the last that an answer told of. */
static void audit_counter(shoal_world *world, const shoal_reading *reading)
{
    const shoal_history *history = &world->history;
    const shoal_counter *counter = counter_of(history, reading->key);
    uint64_t value = reading->serial;
    if (counter->top_serial == 0) return;
    shoal_cause cause = shoal_copies__cause(world, counter->top_serial, reading->served_us);
    if (is_too_much(counter, value)) shoal_anomaly__count(world, SHOAL_ANOMALY_DOUBLE_APPLY, cause);
    if (value >= counter->acknowledged) return;
    uint64_t lost = counter->acknowledged - value;
    lost = put_down(world, reading, lost, false);
    lost = put_down(world, reading, lost, true);
    if (lost > 0) count_lost(world, counter->top_serial, lost, cause);
}

void shoal_history__audit(shoal_world *world, const shoal_reading *reading)
{
    shoal_history *history = &world->history;
    if (reading->key & SHOAL_KEY_COUNTER) {
        audit_counter(world, reading);
        return;
    }
    int64_t end = shoal_history__end_of(world, reading);
    uint64_t at = shoal_history__newest(history, reading->key);
    for (; at != 0; at = history->writes[at - 1].before) {
        shoal_write *write = &history->writes[at - 1];
        if (write->began_us <= end) break;
        if (write->ended_us >= reading->began_us || write->lost) continue;
        write->lost = true;
        count_lost(world, at, 1, shoal_copies__cause(world, at, reading->served_us));
    }
}
