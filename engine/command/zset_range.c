/* SPDX-License-Identifier: MIT
 *
 * command/zset_range.c - ranges of sorted sets: ZRANGE and its older kin, which are the same with
 * some options fixed, ZRANGESTORE, and removal by range. Every range becomes a range of ranks.
 */
#include "base/assert.h"
#include "command/zset.h"

/* What a range is given by. */
typedef enum range_kind { BY_ANY = 0, BY_RANK, BY_SCORE, BY_MEMBER } range_kind;

/* A range as asked for. */
typedef struct range {
    range_kind kind; /* ANY: an option may say; without one it is by rank */
    bool reverse;
    bool any_direction; /* REV may say */
    bool storing;       /* WITHSCORES makes no sense */
    bool scores;
    uint32_t low;              /* argument with the lower end; the upper one is `high` */
    uint32_t high;             /* the other way round where it is reversed by score or member */
    int64_t offset, limit;     /* limit < 0: none */
    int64_t start, stop;       /* by rank, as given */
    shoal_zset_bound from, to; /* by score or member */
} range;

/* The options that a command fixes. */
static range range_of(shoal_command_id id)
{
    range r = {.kind = BY_ANY, .any_direction = true, .low = 2, .high = 3, .limit = -1};
    switch (id) {
    case SHOAL_COMMAND_ZRANGE: return r;
    case SHOAL_COMMAND_ZRANGESTORE:
        r.storing = true;
        r.low = 3, r.high = 4;
        return r;
    case SHOAL_COMMAND_ZREVRANGE:
    case SHOAL_COMMAND_ZREMRANGEBYRANK: r.kind = BY_RANK; break;
    case SHOAL_COMMAND_ZRANGEBYSCORE:
    case SHOAL_COMMAND_ZREVRANGEBYSCORE:
    case SHOAL_COMMAND_ZREMRANGEBYSCORE: r.kind = BY_SCORE; break;
    case SHOAL_COMMAND_ZRANGEBYLEX:
    case SHOAL_COMMAND_ZREVRANGEBYLEX:
    case SHOAL_COMMAND_ZREMRANGEBYLEX: r.kind = BY_MEMBER; break;
    default: SHOAL_UNREACHABLE();
    }
    r.any_direction = false;
    r.reverse = id == SHOAL_COMMAND_ZREVRANGE || id == SHOAL_COMMAND_ZREVRANGEBYSCORE ||
                id == SHOAL_COMMAND_ZREVRANGEBYLEX;
    return r;
}

/* Takes option `*index` and its arguments; `*wrong` when it makes no sense. False after writing an
 * error about a number. */
static bool take_option(shoal_call *call, uint32_t *index, range *r, bool *wrong)
{
    SHOAL_DEBUG_ASSERT(*index < call->argc);
    uint32_t left = call->argc - *index - 1;
    if (!r->storing && shoal_call__word(call, *index, "withscores")) {
        r->scores = true;
    } else if (left >= 2 && shoal_call__word(call, *index, "limit")) {
        if (!shoal_call__integer(call, *index + 1, &r->offset)) return false;
        if (!shoal_call__integer(call, *index + 2, &r->limit)) return false;
        *index += 2;
    } else if (r->any_direction && !r->reverse && shoal_call__word(call, *index, "rev")) {
        r->reverse = true;
    } else if (r->kind == BY_ANY && shoal_call__word(call, *index, "bylex")) {
        r->kind = BY_MEMBER;
    } else if (r->kind == BY_ANY && shoal_call__word(call, *index, "byscore")) {
        r->kind = BY_SCORE;
    } else {
        *wrong = true;
    }
    return true;
}

/* What is wrong with the options together, or NULL. */
static const char *wrong_options(const range *r)
{
    SHOAL_DEBUG_ASSERT(r->kind != BY_ANY);
    if (r->limit != -1 && r->kind == BY_RANK)
        return "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
               "BYLEX";
    if (r->scores && r->kind == BY_MEMBER)
        return "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    return NULL;
}

/* Reads the two ends. */
static bool parse_ends(shoal_call *call, range *r)
{
    SHOAL_DEBUG_ASSERT(r->kind != BY_ANY);
    if (r->kind == BY_RANK)
        return shoal_call__integer(call, r->low, &r->start) &&
               shoal_call__integer(call, r->high, &r->stop);
    if (r->reverse) {
        uint32_t low = r->low;
        r->low = r->high;
        r->high = low;
    }
    if (r->kind == BY_SCORE)
        return shoal_call__score_bound(call, r->low, &r->from) &&
               shoal_call__score_bound(call, r->high, &r->to);
    return shoal_call__member_bound(call, r->low, &r->from) &&
           shoal_call__member_bound(call, r->high, &r->to);
}

static bool parse_range(shoal_call *call, range *r)
{
    SHOAL_ASSERT(r->high < call->argc);
    for (uint32_t i = r->high + 1; i < call->argc; i++) {
        bool wrong = false;
        if (!take_option(call, &i, r, &wrong)) return false;
        if (!wrong) continue;
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    if (r->kind == BY_ANY) r->kind = BY_RANK;
    const char *error = wrong_options(r);
    if (error == NULL) return parse_ends(call, r);
    shoal_reply_error(&call->reply, error);
    return false;
}

/* Ranks as they are given: negative ones count from the end, and with `reverse` all from there. */
static shoal_zset_ranks by_rank(const range *r, uint64_t count)
{
    int64_t size = (int64_t)count;
    int64_t start = r->start < 0 ? r->start + size : r->start;
    int64_t stop = r->stop < 0 ? r->stop + size : r->stop;
    SHOAL_ASSERT(size >= 0);
    if (start < 0) start = 0;
    if (stop >= size) stop = size - 1;
    if (start > stop) return (shoal_zset_ranks){0, 0};
    if (!r->reverse) return (shoal_zset_ranks){(uint64_t)start, (uint64_t)stop + 1};
    return (shoal_zset_ranks){(uint64_t)(size - 1 - stop), (uint64_t)(size - start)};
}

/* Leaves out what the limit does, on the side where the walk begins and on the other. */
static shoal_zset_ranks limited(const range *r, shoal_zset_ranks ranks)
{
    uint64_t count = ranks.to - ranks.from;
    SHOAL_ASSERT(ranks.from <= ranks.to);
    if (r->offset < 0 || (uint64_t)r->offset >= count) return (shoal_zset_ranks){0, 0};
    count -= (uint64_t)r->offset;
    if (r->limit >= 0 && (uint64_t)r->limit < count) count = (uint64_t)r->limit;
    if (r->reverse) {
        ranks.to -= (uint64_t)r->offset;
        ranks.from = ranks.to - count;
    } else {
        ranks.from += (uint64_t)r->offset;
        ranks.to = ranks.from + count;
    }
    return ranks;
}

static shoal_zset_ranks find_range(const range *r, const shoal_compound *set)
{
    SHOAL_DEBUG_ASSERT(r->kind != BY_ANY);
    if (r->kind == BY_RANK) return by_rank(r, shoal_zset_count(set));
    return limited(r, shoal_zset_between(set, &r->from, &r->to));
}

/* ZRANGE, ZREVRANGE, ZRANGEBYSCORE, ZREVRANGEBYSCORE, ZRANGEBYLEX, ZREVRANGEBYLEX. */
void shoal_command__zrange(shoal_call *call)
{
    range r = range_of(call->command->id);
    shoal_compound set;
    SHOAL_ASSERT(!r.storing);
    if (!parse_range(call, &r)) return;
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_ZSET, &set)) return;
    shoal_reply__ranks(&call->reply, &set, find_range(&r, &set),
                       (shoal_zset_style){.scores = r.scores}, r.reverse);
}

void shoal_command__zrangestore(shoal_call *call)
{
    range r = range_of(call->command->id);
    shoal_compound set;
    const shoal_item *item;
    SHOAL_ASSERT(call->key_count == 2);
    if (!parse_range(call, &r)) return;
    if (!shoal_call__find_compound(call, 1, SHOAL_TYPE_ZSET, &item, &set)) return;
    shoal_zset_ranks ranks = find_range(&r, &set);
    shoal_zset_change change;
    shoal_zset_change__begin_empty(call, 0, &change);
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_err err = 0;
    /* In the order of the set, in which additions are cheapest. */
    shoal_zset_seek(&cursor, &set, ranks, false);
    while (err == 0 && shoal_zset_next(&cursor, &entry))
        err = shoal_zset_edit_set(&change.edit, entry.member, entry.score);
    change.changed = err == 0;
    if (shoal_zset_change__finish(call, &change, err))
        shoal_reply_integer(&call->reply, (int64_t)(ranks.to - ranks.from));
}

/* ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX. */
void shoal_command__zremrange(shoal_call *call)
{
    range r = range_of(call->command->id);
    shoal_zset_change change;
    SHOAL_ASSERT(call->argc == 4);
    if (!parse_range(call, &r)) return;
    if (!shoal_zset_change__begin(call, 0, &change)) return;
    shoal_compound set = shoal_zset_edit_view(&change.edit);
    shoal_zset_ranks ranks = find_range(&r, &set);
    if (ranks.from < ranks.to) {
        shoal_zset_edit_take_ranks(&change.edit, ranks);
        change.changed = true;
    }
    if (shoal_zset_change__finish(call, &change, 0))
        shoal_reply_integer(&call->reply, (int64_t)(ranks.to - ranks.from));
}
