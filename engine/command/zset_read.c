/* SPDX-License-Identifier: MIT
 *
 * command/zset_read.c - what sorted sets tell about single members and about numbers of them, and
 * ZSCAN.
 */
#include "base/assert.h"
#include "command/collection.h"
#include "command/zset.h"

void shoal_command__zcard(shoal_call *call)
{
    shoal_compound set;
    SHOAL_ASSERT(call->argc == 2);
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    shoal_reply_integer(&call->reply, (int64_t)shoal_zset_count(&set));
}

static void reply_score(shoal_call *call, const shoal_compound *set, shoal_slice member)
{
    double score;
    if (shoal_zset_score(set, member, &score)) {
        SHOAL_DEBUG_ASSERT(score == score);
        shoal_reply_double(&call->reply, score);
    } else {
        shoal_reply_null(&call->reply);
    }
}

void shoal_command__zscore(shoal_call *call)
{
    shoal_compound set;
    SHOAL_ASSERT(call->argc == 3);
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    reply_score(call, &set, call->argv[2]);
}

void shoal_command__zmscore(shoal_call *call)
{
    shoal_compound set;
    SHOAL_ASSERT(call->argc >= 3);
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    shoal_reply_array(&call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) reply_score(call, &set, call->argv[i]);
}

/* ZRANK and ZREVRANK. */
void shoal_command__zrank(shoal_call *call)
{
    shoal_compound set;
    uint64_t rank;
    SHOAL_ASSERT(call->argc == 3);
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    if (!shoal_zset_rank(&set, call->argv[2], &rank)) {
        shoal_reply_null(&call->reply);
        return;
    }
    if (call->command->id == SHOAL_COMMAND_ZREVRANK) rank = shoal_zset_count(&set) - 1 - rank;
    shoal_reply_integer(&call->reply, (int64_t)rank);
}

/* ZCOUNT and ZLEXCOUNT. */
void shoal_command__zcount(shoal_call *call)
{
    shoal_zset_bound low, high;
    shoal_compound set;
    SHOAL_ASSERT(call->argc == 4);
    bool valid =
        call->command->id == SHOAL_COMMAND_ZCOUNT
            ? shoal_call__score_bound(call, 2, &low) && shoal_call__score_bound(call, 3, &high)
            : shoal_call__member_bound(call, 2, &low) && shoal_call__member_bound(call, 3, &high);
    if (!valid || !shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    shoal_zset_ranks ranks = shoal_zset_between(&set, &low, &high);
    shoal_reply_integer(&call->reply, (int64_t)(ranks.to - ranks.from));
}

/* ---- ZSCAN ---- */

/* A walk on its way. */
typedef struct walk {
    shoal_reply reply; /* the elements */
    shoal_scan_options options;
    size_t found;  /* elements of the reply */
    bool listpack; /* whole scores are answered with all their digits, as they are in one */
} walk;

static void visit(void *context, const shoal_zset_entry *entry)
{
    walk *wanted = context;
    char text[32];
    SHOAL_DEBUG_ASSERT(wanted->options.count > 0);
    if (wanted->options.matching && !shoal_text_glob(wanted->options.pattern, entry->member, false))
        return;
    shoal_reply_bulk(&wanted->reply, entry->member);
    /* A bulk string in RESP3 too. */
    shoal_element score = {.kind = SHOAL_ELEMENT_DOUBLE, .number = entry->score};
    if (wanted->listpack) score = shoal_element_of_double(entry->score);
    shoal_reply_bulk(&wanted->reply, shoal_element_text(&score, text));
    wanted->found += 2;
}

void shoal_command__zscan(shoal_call *call)
{
    uint64_t cursor;
    shoal_compound set;
    SHOAL_ASSERT(call->argc >= 3);
    if (!shoal_scan__cursor(call, 2, &cursor)) return;
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    shoal_buffer elements = shoal_buffer_make(&call->env->allocator);
    walk wanted = {.reply = {&elements, call->reply.protocol},
                   .listpack = shoal_zset_is_listpack(&set)};
    if (set.object == NULL && set.pack.data == NULL) {
        /* Redis looks at the options of keys only that are there. */
        shoal_scan__reply(call, 0, &elements, 0);
        return;
    }
    if (!shoal_scan__options(call, 3, &wanted.options)) return;
    shoal_zset_scan(&set, &cursor, wanted.options.count, visit, &wanted);
    shoal_scan__reply(call, cursor, &elements, wanted.found);
}
