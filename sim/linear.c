/* SPDX-License-Identifier: MIT
 *
 * Zones of registers, values of counters, and which operations of a world belong to a key.
 */
#include "sim/linear.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/internal.h"

/* ---- registers ---- */

/* The operations of one value: the write and those that read it. The first of them ends at
 * `first_end`, the last begins at `last_begin`. Where all overlap it can be anywhere between the
 * two; otherwise the register has the value from the first end to the last beginning. */
typedef struct zone {
    int64_t first_end_us, last_begin_us;
} zone;

static bool lasts(const zone *of)
{
    return of->first_end_us < of->last_begin_us;
}

static int by_value(const void *a, const void *b)
{
    const shoal_linear_op *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    if (x->began_us != y->began_us) return x->began_us < y->began_us ? -1 : 1;
    return x->ended_us < y->ended_us ? -1 : x->ended_us > y->ended_us;
}

static int by_first_end(const void *a, const void *b)
{
    const zone *x = a, *y = b;
    if (x->first_end_us != y->first_end_us) return x->first_end_us < y->first_end_us ? -1 : 1;
    return x->last_begin_us < y->last_begin_us ? -1 : x->last_begin_us > y->last_begin_us;
}

/* The zone of ops[0 .. count), which are of one value, the write first; `*right` is false when one
 * of them read it before it was written. Nothing is written by nobody, before all else. */
static zone zone_of(const shoal_linear_op *ops, uint32_t count, bool *right)
{
    zone of = {INT64_MAX, INT64_MIN};
    int64_t written_us = ops[0].began_us;
    if (ops[0].value == 0) {
        of.first_end_us = -1;
        written_us = -2;
    } else if (ops[0].kind != SHOAL_LINEAR_WRITE) {
        *right = false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].ended_us < of.first_end_us) of.first_end_us = ops[i].ended_us;
        if (ops[i].began_us > of.last_begin_us) of.last_begin_us = ops[i].began_us;
        if (ops[i].ended_us < written_us) *right = false;
    }
    return of;
}

/* Do the zones that last, in order, leave room for each other and for one that does not last? */
static bool fits(const zone *lasting, uint32_t count, const zone *other)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (lasting[middle].first_end_us < other->last_begin_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 || lasting[low - 1].last_begin_us <= other->first_end_us;
}

/* Puts zones that last in front, in order; how many. */
static uint32_t part(zone *zones, uint32_t count)
{
    uint32_t lasting = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!lasts(&zones[i])) continue;
        zone moved = zones[i];
        zones[i] = zones[lasting];
        zones[lasting++] = moved;
    }
    if (lasting > 0) qsort(zones, lasting, sizeof(*zones), by_first_end);
    return lasting;
}

static bool have_room(zone *zones, uint32_t count)
{
    uint32_t lasting = part(zones, count);
    for (uint32_t i = 1; i < lasting; i++) {
        if (zones[i].first_end_us < zones[i - 1].last_begin_us) return false;
    }
    for (uint32_t i = lasting; i < count; i++) {
        if (!fits(zones, lasting, &zones[i])) return false;
    }
    return true;
}

static shoal_linear_verdict judge_register(shoal_linear_op *ops, uint32_t count)
{
    zone *zones = shoal_sim__allocate(count * sizeof(*zones));
    uint32_t zone_count = 0;
    bool right = true;
    qsort(ops, count, sizeof(*ops), by_value);
    for (uint32_t from = 0, next; from < count; from = next) {
        for (next = from + 1; next < count && ops[next].value == ops[from].value;) next++;
        /* A write without an answer that nobody has read may never have happened. */
        if (next == from + 1 && ops[from].ended_us == INT64_MAX) continue;
        zones[zone_count++] = zone_of(ops + from, next - from, &right);
    }
    right = right && have_room(zones, zone_count);
    shoal_sim__free(zones);
    return right ? SHOAL_LINEAR_HOLDS : SHOAL_LINEAR_BROKEN;
}

/* ---- counters ---- */

/* Each answer is one more than the one before it in the order, or more where additions without an
 * answer come in between: there must be enough of them. */
static shoal_linear_verdict judge_counter(shoal_linear_op *ops, uint32_t count)
{
    uint32_t open = 0;
    uint64_t before = 0;
    int64_t latest_us = INT64_MIN;
    qsort(ops, count, sizeof(*ops), by_value);
    while (open < count && ops[open].value == 0) open++;
    for (uint32_t i = open; i < count; i++) {
        uint64_t gap = ops[i].value - before - 1;
        if (ops[i].value == before || gap > open) return SHOAL_LINEAR_BROKEN;
        if (ops[i].ended_us < latest_us) return SHOAL_LINEAR_BROKEN;
        if (ops[i].began_us > latest_us) latest_us = ops[i].began_us;
        open -= (uint32_t)gap;
        before = ops[i].value;
    }
    return SHOAL_LINEAR_HOLDS;
}

/* ---- one key ---- */

shoal_linear_verdict shoal_linear__judge(shoal_linear_op *ops, uint32_t count)
{
    bool deletes = false;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].kind == SHOAL_LINEAR_FADE) return SHOAL_LINEAR_UNKNOWN;
        if (ops[i].kind == SHOAL_LINEAR_ADD) return judge_counter(ops, count);
        deletes = deletes || ops[i].kind == SHOAL_LINEAR_DEL;
    }
    if (deletes) return shoal_linear__search(ops, count, SHOAL_LINEAR_STATES_MAX);
    return count > 0 ? judge_register(ops, count) : SHOAL_LINEAR_HOLDS;
}

/* ---- a world ---- */

static int by_key(const void *a, const void *b)
{
    const shoal_linear_op *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return by_value(a, b);
}

static bool within(shoal_key_range keys, uint32_t key)
{
    uint32_t number = key & ~SHOAL_KEY_COUNTER;
    return number >= keys.first && number <= keys.last;
}

static uint32_t kind_of(const shoal_write *write)
{
    switch (write->action) {
    case SHOAL_ACTION_DEL: return SHOAL_LINEAR_DEL;
    case SHOAL_ACTION_INCR: return SHOAL_LINEAR_ADD;
    case SHOAL_ACTION_PX: return SHOAL_LINEAR_FADE;
    default: return SHOAL_LINEAR_WRITE;
    }
}

/* Writes of a register, and additions that have no answer: the others are kept with the reads,
 * because they were told something. */
static uint32_t collect_writes(const shoal_history *history, shoal_key_range keys,
                               shoal_linear_op *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < history->write_count; i++) {
        const shoal_write *write = &history->writes[i];
        uint32_t kind = kind_of(write);
        bool told = kind == SHOAL_LINEAR_ADD && write->state == SHOAL_WRITE_ACKNOWLEDGED;
        if (write->state == SHOAL_WRITE_REFUSED || told || !within(keys, write->key)) continue;
        bool valued = kind == SHOAL_LINEAR_WRITE || kind == SHOAL_LINEAR_FADE;
        out[count++] = (shoal_linear_op){write->began_us, write->ended_us, write->key,
                                         valued ? i + 1 : 0, kind};
    }
    return count;
}

static uint32_t collect(const shoal_history *history, shoal_key_range keys, shoal_linear_op *out)
{
    uint32_t count = collect_writes(history, keys, out);
    for (uint32_t i = 0; i < history->read_count; i++) {
        const shoal_read *read = &history->reads[i];
        bool adds = (read->key & SHOAL_KEY_COUNTER) != 0;
        if (!within(keys, read->key)) continue;
        out[count++] = (shoal_linear_op){read->began_us, read->ended_us, read->key, read->serial,
                                         adds ? SHOAL_LINEAR_ADD : SHOAL_LINEAR_READ};
    }
    if (count > 0) qsort(out, count, sizeof(*out), by_key);
    return count;
}

bool shoal_linear__holds(const shoal_world *world, shoal_key_range keys, char words[160])
{
    const shoal_history *history = &world->history;
    SHOAL_ASSERT(history->keeps_reads);
    size_t most = (size_t)history->write_count + history->read_count;
    shoal_linear_op *ops = shoal_sim__allocate(most * sizeof(*ops));
    uint32_t count = collect(history, keys, ops);
    shoal_linear_verdict verdict = SHOAL_LINEAR_HOLDS;
    for (uint32_t from = 0, next; from < count && verdict == SHOAL_LINEAR_HOLDS; from = next) {
        uint32_t key = ops[from].key;
        for (next = from + 1; next < count && ops[next].key == key;) next++;
        verdict = shoal_linear__judge(ops + from, next - from);
        snprintf(words, 160, "%s:%u %s", key & SHOAL_KEY_COUNTER ? "ctr" : "key",
                 key & ~SHOAL_KEY_COUNTER,
                 verdict == SHOAL_LINEAR_BROKEN ? "has a history that no order explains"
                                                : "has a history of which that is unknown");
    }
    shoal_sim__free(ops);
    return verdict == SHOAL_LINEAR_HOLDS;
}
