/* SPDX-License-Identifier: MIT
 *
 * command/zset_random.c - ZRANDMEMBER: elements by random ranks.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/sort.h"
#include "command/collection.h"
#include "command/zset.h"

/* Of fewer elements than this times the number wanted, every one is looked at and chosen or not;
 * of more, ranks are drawn. */
#define WALK_FACTOR 8u

static void reply_rank(shoal_call *call, const shoal_compound *set, uint64_t rank,
                       shoal_zset_style style)
{
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_zset_seek(&cursor, set, (shoal_zset_ranks){rank, rank + 1}, false);
    bool found = shoal_zset_next(&cursor, &entry);
    SHOAL_ASSERT(found);
    shoal_reply__scored(&call->reply, &entry, style);
}

/* One element, or a null. */
static void choose_one(shoal_call *call)
{
    shoal_compound set;
    SHOAL_ASSERT(call->argc == 2);
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    uint64_t count = shoal_zset_count(&set);
    if (count == 0) {
        shoal_reply_null(&call->reply);
        return;
    }
    uint64_t rank = shoal_prng_below(shoal_thread_prng(call->thread), count);
    reply_rank(call, &set, rank, (shoal_zset_style){.scores = false});
}

static void reply_header(shoal_call *call, uint64_t count, shoal_zset_style style)
{
    SHOAL_ASSERT(count <= UINT64_MAX / 2);
    bool flat = style.scores && call->reply.protocol == 2;
    shoal_reply_array(&call->reply, flat ? 2 * count : count);
}

/* `wanted` elements, every one drawn from all. */
static void choose_with_repetition(shoal_call *call, const shoal_compound *set, uint64_t wanted,
                                   shoal_zset_style style)
{
    uint64_t count = shoal_zset_count(set);
    SHOAL_ASSERT(count > 0);
    reply_header(call, wanted, style);
    for (uint64_t i = 0; i < wanted && !call->reply.out->failed; i++)
        reply_rank(call, set, shoal_prng_below(shoal_thread_prng(call->thread), count), style);
}

/* Looks at every element, and takes each with the chance that the rest of the choice has. */
static void choose_walking(shoal_call *call, const shoal_compound *set, uint64_t wanted,
                           shoal_zset_style style)
{
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    uint64_t left = shoal_zset_count(set);
    SHOAL_ASSERT(wanted <= left);
    shoal_zset_seek(&cursor, set, (shoal_zset_ranks){0, left}, false);
    for (; wanted > 0 && shoal_zset_next(&cursor, &entry); left--) {
        if (shoal_prng_below(shoal_thread_prng(call->thread), left) >= wanted) continue;
        shoal_reply__scored(&call->reply, &entry, style);
        wanted--;
    }
}

static int compare_ranks(const void *a, const void *b, void *context)
{
    (void)context;
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Fills `ranks` with different numbers below `count`. */
static void draw_ranks(shoal_prng *prng, uint64_t *ranks, uint64_t wanted, uint64_t count)
{
    uint64_t have = 0;
    SHOAL_ASSERT(wanted * WALK_FACTOR <= count);
    while (have < wanted) {
        for (uint64_t i = have; i < wanted; i++) ranks[i] = shoal_prng_below(prng, count);
        shoal_sort((shoal_sort_array){ranks, wanted, sizeof(*ranks)}, compare_ranks, NULL);
        have = 1;
        for (uint64_t i = 1; i < wanted; i++) {
            if (ranks[i] != ranks[have - 1]) ranks[have++] = ranks[i];
        }
    }
}

/* `wanted` different elements, fewer than there are. */
static void choose_different(shoal_call *call, const shoal_compound *set, uint64_t wanted,
                             shoal_zset_style style)
{
    uint64_t count = shoal_zset_count(set);
    SHOAL_ASSERT(wanted > 0 && wanted < count);
    const shoal_allocator *allocator = &call->env->allocator;
    uint64_t *ranks = NULL;
    size_t size = wanted * sizeof(*ranks);
    bool walk = wanted > count / WALK_FACTOR;
    if (!walk) ranks = shoal_memory_take(allocator, size, SHOAL_ALIGN_PLAIN);
    if (!walk && ranks == NULL) {
        (void)shoal_call__stored(call, SHOAL_ERR_NO_MEMORY);
        return;
    }
    reply_header(call, wanted, style);
    if (walk) {
        choose_walking(call, set, wanted, style);
        return;
    }
    draw_ranks(shoal_thread_prng(call->thread), ranks, wanted, count);
    for (uint64_t i = 0; i < wanted; i++) reply_rank(call, set, ranks[i], style);
    shoal_memory_give(allocator, ranks, size, SHOAL_ALIGN_PLAIN);
}

void shoal_command__zrandmember(shoal_call *call)
{
    if (call->argc == 2) {
        choose_one(call);
        return;
    }
    int64_t wanted;
    shoal_compound set;
    bool scores = call->argc == 4 && shoal_call__word(call, 3, "withscores");
    SHOAL_ASSERT(call->argc > 2);
    if (!shoal_call__choice(call, 2, false, &wanted)) return;
    if (call->argc > 3 && !scores) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    if (scores && !shoal_call__choice(call, 2, true, &wanted)) return;
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    uint64_t count = shoal_zset_count(&set);
    shoal_zset_style style = {.scores = scores};
    if (count == 0 || wanted == 0) {
        shoal_reply_array(&call->reply, 0);
    } else if (wanted < 0) {
        choose_with_repetition(call, &set, (uint64_t)-wanted, style);
    } else if ((uint64_t)wanted >= count) {
        shoal_reply__ranks(&call->reply, &set, (shoal_zset_ranks){0, count}, style, false);
    } else {
        choose_different(call, &set, (uint64_t)wanted, style);
    }
}
