/* SPDX-License-Identifier: MIT
 *
 * The history of keys. Writes of a key are linked from the newest to the oldest in the order in
 * which they began, so that the walks below end early.
 */
#include "sim/history.h"

#include "base/assert.h"
#include "sim/internal.h"

void shoal_history__make(shoal_history *history, uint32_t keys)
{
    *history = (shoal_history){.key_count = keys};
    history->heads = shoal_sim__allocate(keys * sizeof(*history->heads));
}

void shoal_history__free(shoal_history *history)
{
    shoal_sim__free(history->writes);
    shoal_sim__free(history->heads);
    *history = (shoal_history){0};
}

uint64_t shoal_history__begin(shoal_history *history, uint32_t key, int64_t now_us)
{
    SHOAL_ASSERT(key < history->key_count);
    history->writes = shoal_sim__grow(history->writes, &history->write_capacity,
                                      history->write_count + 1, sizeof(*history->writes));
    history->writes[history->write_count++] = (shoal_write){.began_us = now_us,
                                                            .ended_us = INT64_MAX,
                                                            .before = history->heads[key],
                                                            .key = key};
    history->heads[key] = history->write_count;
    return history->write_count;
}

void shoal_history__end(shoal_world *world, uint64_t serial, shoal_write_state state, uint32_t node,
                        int64_t served_us)
{
    shoal_write *write = &world->history.writes[serial - 1];
    SHOAL_ASSERT(write->state == SHOAL_WRITE_OPEN);
    write->state = (uint8_t)state;
    write->node = node;
    if (state != SHOAL_WRITE_ACKNOWLEDGED) return;
    write->ended_us = world->now_us;
    /* The process may have died while its answer was on the way. */
    const shoal_vnode *vnode = &world->nodes[node];
    write->incarnation =
        vnode->incarnation - (vnode->incarnation > 0 && served_us <= vnode->died_us);
}

/* When the write that a read found ended: before everything for "nothing there". */
static int64_t end_of(const shoal_history *history, uint64_t serial)
{
    return serial == 0 ? -1 : history->writes[serial - 1].ended_us;
}

shoal_read_verdict shoal_history__read(const shoal_world *world, uint32_t key, uint64_t serial,
                                       int64_t began_us, shoal_cause *cause)
{
    const shoal_history *history = &world->history;
    if (serial > history->write_count) return SHOAL_READ_PHANTOM;
    if (serial > 0) {
        const shoal_write *found = &history->writes[serial - 1];
        if (found->key != key || found->state == SHOAL_WRITE_REFUSED) return SHOAL_READ_PHANTOM;
    }
    int64_t end = end_of(history, serial);
    for (uint64_t at = history->heads[key]; at != 0; at = history->writes[at - 1].before) {
        const shoal_write *write = &history->writes[at - 1];
        if (write->began_us <= end) break;
        if (write->ended_us >= began_us) continue;
        *cause = shoal_copies__cause(world, at);
        return SHOAL_READ_STALE;
    }
    return SHOAL_READ_FRESH;
}

/* Counts a write by why it is gone, and widens the time in which such writes were acknowledged. */
static void count_lost(shoal_world *world, uint64_t serial)
{
    shoal_losses *losses = &world->judge.totals.lost[shoal_copies__cause(world, serial)];
    int64_t ended_us = world->history.writes[serial - 1].ended_us;
    SHOAL_ASSERT(ended_us >= 0 && ended_us < INT64_MAX);
    if (losses->count == 0 || ended_us < losses->from_us) losses->from_us = ended_us;
    if (losses->count == 0 || ended_us > losses->until_us) losses->until_us = ended_us;
    losses->count++;
}

void shoal_history__audit(shoal_world *world, uint32_t key, uint64_t serial, int64_t began_us)
{
    shoal_history *history = &world->history;
    int64_t end = end_of(history, serial);
    for (uint64_t at = history->heads[key]; at != 0; at = history->writes[at - 1].before) {
        shoal_write *write = &history->writes[at - 1];
        if (write->began_us <= end) break;
        if (write->ended_us >= began_us || write->lost) continue;
        write->lost = true;
        count_lost(world, at);
    }
}
