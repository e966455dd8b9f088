/* SPDX-License-Identifier: MIT
 *
 * command/zset_add.c - ZADD with its options, ZINCRBY and ZREM.
 */
#include "base/assert.h"
#include "command/zset.h"

/* Scores that are kept from the check of the arguments to their use; others are read again. */
#define SCORES_KEPT 32u

/* The options of ZADD, and what has been done. */
typedef struct add_options {
    bool if_absent, if_present; /* NX, XX */
    bool if_greater, if_less;   /* GT, LT */
    bool count_changed;         /* CH */
    bool increment;             /* INCR */
    uint32_t first;             /* argument with the first score */
    uint32_t pairs;
} add_options;

/* What came of the pairs. */
typedef struct add_result {
    int64_t added, updated;
    bool done;    /* the last pair was not left out because of an option */
    bool invalid; /* its score would be not-a-number */
    double score; /* that it has now */
} add_result;

static bool take_option(const shoal_call *call, uint32_t index, add_options *options)
{
    SHOAL_DEBUG_ASSERT(index < call->argc);
    /* Most calls have none: a score begins with none of these letters. */
    if (call->argv[index].size != 2 && call->argv[index].size != 4) return false;
    if (shoal_call__word(call, index, "nx")) {
        options->if_absent = true;
    } else if (shoal_call__word(call, index, "xx")) {
        options->if_present = true;
    } else if (shoal_call__word(call, index, "ch")) {
        options->count_changed = true;
    } else if (shoal_call__word(call, index, "incr")) {
        options->increment = true;
    } else if (shoal_call__word(call, index, "gt")) {
        options->if_greater = true;
    } else if (shoal_call__word(call, index, "lt")) {
        options->if_less = true;
    } else {
        return false;
    }
    return true;
}

/* What is wrong with the options together, or NULL. */
static const char *wrong_options(const add_options *options)
{
    SHOAL_DEBUG_ASSERT(options->first >= 2);
    if (options->pairs == 0) return SHOAL_ERROR__SYNTAX;
    if (options->if_absent && options->if_present)
        return "ERR XX and NX options at the same time are not compatible";
    if (options->if_greater + options->if_less + options->if_absent > 1)
        return "ERR GT, LT, and/or NX options at the same time are not compatible";
    if (options->increment && options->pairs > 1)
        return "ERR INCR option supports a single increment-element pair";
    return NULL;
}

static bool parse_add(shoal_call *call, add_options *options)
{
    SHOAL_ASSERT(call->argc >= 4);
    uint32_t index = 2;
    while (index < call->argc && take_option(call, index, options)) index++;
    uint32_t left = call->argc - index;
    options->first = index;
    options->pairs = left % 2 == 0 ? left / 2 : 0;
    const char *error = wrong_options(options);
    if (error != NULL) shoal_reply_error(&call->reply, error);
    return error == NULL;
}

/* May the score of a member go from `old` to `score`? */
static bool may_update(const add_options *options, double old, double score)
{
    SHOAL_DEBUG_ASSERT(!(options->if_greater && options->if_less));
    if (options->if_greater) return score > old;
    return !options->if_less || score < old;
}

/* Adds or updates one pair. */
static shoal_err add_pair(shoal_zset_change *change, const add_options *options,
                          const shoal_zset_entry *pair, add_result *result)
{
    shoal_zset_spot spot;
    double score = pair->score;
    shoal_zset_edit_find(&change->edit, pair->member, &spot);
    result->done = spot.found ? !options->if_absent : !options->if_present;
    if (!result->done) return 0;
    if (spot.found) {
        if (options->increment) score += spot.score;
        result->invalid = score != score;
        result->done = !result->invalid && may_update(options, spot.score, score);
        result->score = score;
        if (!result->done || score == spot.score) return 0;
    }
    SHOAL_DEBUG_ASSERT(score == score);
    result->score = score;
    shoal_err err = shoal_zset_edit_put(&change->edit, pair->member, &spot, score);
    if (err != 0) return err;
    change->changed = true;
    result->added += !spot.found;
    result->updated += spot.found;
    return 0;
}

/* Reads all scores, of which the first few are kept. */
static bool read_scores(shoal_call *call, const add_options *options, double *scores)
{
    SHOAL_ASSERT(options->pairs > 0);
    for (uint32_t i = 0; i < options->pairs; i++) {
        double ignored;
        double *score = i < SCORES_KEPT ? &scores[i] : &ignored;
        if (!shoal_call__score(call, options->first + 2 * i, score, SHOAL_ERROR__FLOAT))
            return false;
    }
    return true;
}

static void reply_add(shoal_call *call, const add_options *options, const add_result *result)
{
    SHOAL_DEBUG_ASSERT(!result->invalid);
    if (!options->increment) {
        shoal_reply_integer(&call->reply,
                            result->added + (options->count_changed ? result->updated : 0));
    } else if (result->done) {
        shoal_reply_double(&call->reply, result->score);
    } else {
        shoal_reply_null(&call->reply);
    }
}

static void add_all(shoal_call *call, const add_options *options)
{
    double scores[SCORES_KEPT];
    shoal_zset_change change;
    SHOAL_ASSERT(options->first + 2 * options->pairs == call->argc);
    if (!read_scores(call, options, scores)) return;
    if (!shoal_zset_change__begin(call, 0, &change)) return;
    add_result result = {.done = false};
    shoal_err err = 0;
    /* Nothing can come of XX without a key. */
    uint32_t pairs = !change.existed && options->if_present ? 0 : options->pairs;
    for (uint32_t i = 0; i < pairs && err == 0; i++) {
        uint32_t at = options->first + 2 * i;
        shoal_zset_entry pair = {.member = call->argv[at + 1]};
        if (i < SCORES_KEPT) {
            pair.score = scores[i];
        } else {
            (void)shoal_call__score(call, at, &pair.score, SHOAL_ERROR__FLOAT);
        }
        err = add_pair(&change, options, &pair, &result);
    }
    if (!shoal_zset_change__finish(call, &change, err)) return;
    if (result.invalid) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__NAN);
    } else {
        reply_add(call, options, &result);
    }
}

void shoal_command__zadd(shoal_call *call)
{
    add_options options = {.pairs = 0};
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    if (parse_add(call, &options)) add_all(call, &options);
}

void shoal_command__zincrby(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    add_options options = {.increment = true, .first = 2, .pairs = 1};
    add_all(call, &options);
}

void shoal_command__zrem(shoal_call *call)
{
    shoal_zset_change change;
    SHOAL_ASSERT(call->argc >= 3);
    if (!shoal_zset_change__begin(call, 0, &change)) return;
    int64_t removed = 0;
    for (uint32_t i = 2; i < call->argc && change.existed; i++) {
        shoal_zset_spot spot;
        shoal_zset_edit_find(&change.edit, call->argv[i], &spot);
        if (!spot.found) continue;
        shoal_zset_edit_take(&change.edit, &spot);
        change.changed = true;
        removed++;
    }
    if (shoal_zset_change__finish(call, &change, 0)) shoal_reply_integer(&call->reply, removed);
}
