/* SPDX-License-Identifier: MIT
 *
 * command/zset_pop.c - taking the lowest or highest elements: ZPOPMIN, ZPOPMAX, ZMPOP, and those
 * that wait until there is one.
 */
#include "base/assert.h"
#include "command/block.h"
#include "command/effect.h"
#include "command/zset.h"

/* How many, from which end, and how they are answered. */
typedef struct pop_plan {
    uint64_t count;
    bool highest;
    bool named; /* the key comes first */
    bool one;   /* then member and score, in the same array */
    shoal_zset_style style;
} pop_plan;

static void reply_popped(shoal_call *call, const shoal_zset_change *change, const pop_plan *plan,
                         shoal_zset_ranks ranks)
{
    SHOAL_ASSERT(ranks.from < ranks.to);
    if (!plan->named) {
        shoal_reply__ranks(&call->reply, &change->before, ranks, plan->style, plan->highest);
        return;
    }
    shoal_reply_array(&call->reply, plan->one ? 3 : 2);
    shoal_reply_bulk(&call->reply, call->keys[change->key].name);
    if (!plan->one) {
        shoal_reply__ranks(&call->reply, &change->before, ranks, plan->style, plan->highest);
        return;
    }
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_zset_seek(&cursor, &change->before, ranks, plan->highest);
    if (shoal_zset_next(&cursor, &entry)) shoal_reply__scored(&call->reply, &entry, plan->style);
}

/* Takes and answers elements of a set that has some. */
static void pop(shoal_call *call, shoal_zset_change *change, const pop_plan *plan)
{
    uint64_t size = shoal_zset_count(&change->before), count = plan->count;
    SHOAL_ASSERT(size > 0 && count > 0);
    if (count > size) count = size;
    shoal_zset_ranks ranks = {plan->highest ? size - count : 0, plan->highest ? size : count};
    /* Elements of an object are answered before they go; nothing can fail behind that. Those of a
     * pack when it is known that what is left could be stored. */
    bool in_place = change->before.object != NULL;
    if (in_place) reply_popped(call, change, plan, ranks);
    shoal_zset_edit_take_ranks(&change->edit, ranks);
    change->changed = true;
    bool stored = shoal_zset_change__finish(call, change, 0);
    SHOAL_ASSERT(stored || !in_place);
    if (stored && !in_place) reply_popped(call, change, plan, ranks);
    if (stored && plan->named)
        shoal_effect__pop(call, plan->highest ? "ZPOPMAX" : "ZPOPMIN", change->key,
                          plan->one ? 0 : count);
}

/* ZPOPMIN and ZPOPMAX. */
void shoal_command__zpop(shoal_call *call)
{
    int64_t count = 1;
    shoal_zset_change change;
    SHOAL_ASSERT(call->argc >= 2);
    if (call->argc > 3) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    if (call->argc == 3 && (!shoal_text_to_i64(call->argv[2], &count) || count < 0)) {
        shoal_reply_error(&call->reply, "ERR value is out of range, must be positive");
        return;
    }
    if (!shoal_zset_change__begin(call, 0, &change)) return;
    if (!change.existed || count == 0) {
        shoal_zset_edit_drop(&change.edit);
        shoal_reply_array(&call->reply, 0);
        return;
    }
    pop_plan plan = {.count = (uint64_t)count,
                     .highest = call->command->id == SHOAL_COMMAND_ZPOPMAX,
                     .style = {.scores = true, .flat = call->argc == 2}};
    pop(call, &change, &plan);
}

/* Pops from key `index` if it has something: true when it is answered, with an error too. */
static bool pop_from(shoal_call *call, uint32_t index, const pop_plan *plan)
{
    shoal_zset_change change;
    SHOAL_ASSERT(index < call->key_count);
    if (!shoal_zset_change__begin(call, index, &change)) return true;
    if (change.existed) {
        pop(call, &change, plan);
    } else {
        shoal_zset_edit_drop(&change.edit);
    }
    return change.existed;
}

/* Pops from the first key that has something, or waits. */
static void pop_or_wait(shoal_call *call, const pop_plan *plan, int64_t deadline_us)
{
    uint32_t turn = 0, key;
    SHOAL_ASSERT(call->key_count > 0);
    while (shoal_call__next_key(call, &turn, &key)) {
        if (pop_from(call, key, plan)) return;
    }
    shoal_call__block(call, (shoal_wish){SHOAL_TYPE_ZSET, call->key_count, deadline_us});
}

/* BZPOPMIN and BZPOPMAX. */
void shoal_command__bzpop(shoal_call *call)
{
    int64_t deadline_us;
    SHOAL_ASSERT(call->argc >= 3);
    if (!shoal_call__timeout(call, call->argc - 1, &deadline_us)) return;
    pop_plan plan = {.count = 1,
                     .highest = call->command->id == SHOAL_COMMAND_BZPOPMAX,
                     .named = true,
                     .one = true,
                     .style = {.scores = true, .flat = true}};
    pop_or_wait(call, &plan, deadline_us);
}

/* ---- ZMPOP and BZMPOP ---- */

/* COUNT and its number behind MIN or MAX. */
static bool parse_count(shoal_call *call, uint32_t index, pop_plan *plan)
{
    int64_t count = 1;
    SHOAL_DEBUG_ASSERT(index <= call->argc);
    if (index == call->argc) return true;
    if (index + 1 >= call->argc || !shoal_call__word(call, index, "count")) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    if (!shoal_text_to_i64(call->argv[index + 1], &count) || count < 1) {
        shoal_reply_error(&call->reply, "ERR count should be greater than 0");
        return false;
    }
    plan->count = (uint64_t)count;
    if (index + 2 == call->argc) return true;
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

/* The number of keys in argument `first`, the keys, MIN or MAX, and the rest. */
static bool parse_mpop(shoal_call *call, uint32_t first, pop_plan *plan)
{
    int64_t keys;
    SHOAL_ASSERT(first < call->argc);
    if (!shoal_text_to_i64(call->argv[first], &keys) || keys < 1) {
        shoal_reply_error(&call->reply, "ERR numkeys should be greater than 0");
        return false;
    }
    bool valid = keys < (int64_t)call->argc - first - 1;
    uint32_t end = valid ? first + 1 + (uint32_t)keys : 0;
    if (valid) {
        plan->highest = shoal_call__word(call, end, "max");
        valid = plan->highest || shoal_call__word(call, end, "min");
    }
    if (!valid) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    return parse_count(call, end + 1, plan);
}

void shoal_command__zmpop(shoal_call *call)
{
    pop_plan plan = {.count = 1, .named = true, .style = {.scores = true, .nested = true}};
    if (!parse_mpop(call, 1, &plan)) return;
    SHOAL_ASSERT(call->key_count > 0);
    for (uint32_t i = 0; i < call->key_count; i++) {
        if (pop_from(call, i, &plan)) return;
    }
    shoal_reply_null_array(&call->reply);
}

void shoal_command__bzmpop(shoal_call *call)
{
    pop_plan plan = {.count = 1, .named = true, .style = {.scores = true, .nested = true}};
    int64_t deadline_us;
    if (!parse_mpop(call, 2, &plan)) return;
    if (!shoal_call__timeout(call, 1, &deadline_us)) return;
    SHOAL_ASSERT(call->key_count > 0);
    pop_or_wait(call, &plan, deadline_us);
}
