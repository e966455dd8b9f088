/* SPDX-License-Identifier: MIT
 *
 * command/zset_combine.c - unions, intersections and differences of sorted sets and plain sets,
 * whose members count as having the score 1. The result is a sorted set of its own, which is
 * answered, or stored.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/sort.h"
#include "command/collection.h"
#include "command/zset.h"

/* Inputs that need no memory of their own. */
#define INPUTS_SMALL 16u

typedef enum operation { UNION, INTERSECTION, DIFFERENCE } operation;
typedef enum aggregate { SUM, MIN, MAX } aggregate;

/* One of the sets that are combined. */
typedef struct input {
    shoal_compound sorted; /* of a sorted set */
    shoal_members members; /* of a plain set */
    bool plain;
    uint32_t place; /* among the keys */
    uint64_t count;
    double weight;
} input;

/* A command as it was asked for. */
typedef struct combination {
    operation operation;
    aggregate aggregate;
    uint32_t first; /* argument with the number of keys */
    uint32_t key;   /* the first input among the keys of the call */
    bool storing;   /* key 0 gets the result */
    bool counting;  /* only the number of elements is wanted, */
    uint64_t limit; /* up to this; 0: all */
    bool scores;
    uint32_t count; /* of inputs */
    input *inputs;
} combination;

static combination combination_of(shoal_command_id id)
{
    combination c = {.operation = UNION, .first = 1};
    switch (id) {
    case SHOAL_COMMAND_ZUNION: break;
    case SHOAL_COMMAND_ZINTER: c.operation = INTERSECTION; break;
    case SHOAL_COMMAND_ZDIFF: c.operation = DIFFERENCE; break;
    case SHOAL_COMMAND_ZINTERCARD:
        c.operation = INTERSECTION;
        c.counting = true;
        break;
    case SHOAL_COMMAND_ZUNIONSTORE: c.storing = true; break;
    case SHOAL_COMMAND_ZINTERSTORE:
        c.operation = INTERSECTION;
        c.storing = true;
        break;
    case SHOAL_COMMAND_ZDIFFSTORE:
        c.operation = DIFFERENCE;
        c.storing = true;
        break;
    default: SHOAL_UNREACHABLE();
    }
    c.first += c.storing;
    c.key = c.storing;
    return c;
}

/* ---- arguments ---- */

/* Reads the number of keys. */
static bool parse_count(shoal_call *call, combination *c)
{
    int64_t count;
    SHOAL_ASSERT(c->first < call->argc);
    if (!shoal_call__integer(call, c->first, &count)) return false;
    if (count < 1) {
        shoal_reply_errorf(&call->reply, "ERR at least 1 input key is needed for '%s' command",
                           call->command->name);
        return false;
    }
    if (count > (int64_t)call->argc - c->first - 1) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    c->count = (uint32_t)count;
    return true;
}

static bool parse_weights(shoal_call *call, uint32_t index, combination *c)
{
    SHOAL_ASSERT(index + c->count < call->argc);
    for (uint32_t i = 0; i < c->count; i++) {
        if (!shoal_call__score(call, index + 1 + i, &c->inputs[i].weight,
                               "ERR weight value is not a float"))
            return false;
    }
    return true;
}

static bool parse_aggregate(const shoal_call *call, uint32_t index, combination *c)
{
    SHOAL_DEBUG_ASSERT(index < call->argc);
    if (shoal_call__word(call, index, "sum")) {
        c->aggregate = SUM;
    } else if (shoal_call__word(call, index, "min")) {
        c->aggregate = MIN;
    } else if (shoal_call__word(call, index, "max")) {
        c->aggregate = MAX;
    } else {
        return false;
    }
    return true;
}

static bool parse_limit(shoal_call *call, uint32_t index, combination *c)
{
    int64_t limit;
    SHOAL_DEBUG_ASSERT(c->counting);
    if (shoal_text_to_i64(call->argv[index], &limit) && limit >= 0) {
        c->limit = (uint64_t)limit;
        return true;
    }
    shoal_reply_error(&call->reply, "ERR LIMIT can't be negative");
    return false;
}

/* Takes option `*index` and its arguments; `*wrong` when it makes no sense. False after writing an
 * error. */
static bool take_option(shoal_call *call, uint32_t *index, combination *c, bool *wrong)
{
    SHOAL_DEBUG_ASSERT(*index < call->argc);
    uint32_t left = call->argc - *index - 1;
    bool scoring = c->operation != DIFFERENCE && !c->counting;
    if (scoring && left >= c->count && shoal_call__word(call, *index, "weights")) {
        if (!parse_weights(call, *index, c)) return false;
        *index += c->count;
    } else if (scoring && left >= 1 && shoal_call__word(call, *index, "aggregate")) {
        *wrong = !parse_aggregate(call, ++*index, c);
    } else if (!c->storing && !c->counting && shoal_call__word(call, *index, "withscores")) {
        c->scores = true;
    } else if (c->counting && left >= 1 && shoal_call__word(call, *index, "limit")) {
        return parse_limit(call, ++*index, c);
    } else {
        *wrong = true;
    }
    return true;
}

static bool parse_options(shoal_call *call, combination *c)
{
    SHOAL_ASSERT(c->count > 0);
    for (uint32_t i = c->first + 1 + c->count; i < call->argc; i++) {
        bool wrong = false;
        if (!take_option(call, &i, c, &wrong)) return false;
        if (!wrong) continue;
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    return true;
}

/* ---- inputs ---- */

/* Looks up one input. False, and the handler returns at once, after writing an error because it is
 * another type, or when gates are needed. */
static bool look_input(shoal_call *call, uint32_t key, input *in)
{
    SHOAL_ASSERT(key < call->key_count);
    const shoal_item *item = shoal_store_get(call->thread, &call->keys[key]);
    in->plain = item != NULL && shoal_item_type(item) == SHOAL_TYPE_SET;
    in->weight = 1;
    if (in->plain) {
        if (!shoal_call__look_members(call, key, SHOAL_TYPE_SET, &in->members)) return false;
        in->count = in->members.count;
        return true;
    }
    if (!shoal_call__look_compound(call, key, SHOAL_TYPE_ZSET, &in->sorted)) return false;
    in->count = shoal_zset_count(&in->sorted);
    return true;
}

/* True when the input has `member`; its score. */
static bool has(const input *in, shoal_slice member, double *score)
{
    SHOAL_DEBUG_ASSERT(score != NULL);
    if (!in->plain) return shoal_zset_score(&in->sorted, member, score);
    shoal_element element = shoal_element_of(member);
    *score = 1;
    return shoal_members_find(&in->members, &element, NULL);
}

/* A walk through an input. */
typedef struct input_walk {
    const input *in;
    shoal_zset_cursor cursor;
    shoal_members_place place;
    char scratch[32];
} input_walk;

static void walk_begin(input_walk *walk, const input *in)
{
    walk->in = in;
    SHOAL_DEBUG_ASSERT(in->weight == in->weight);
    if (in->plain) {
        walk->place = (shoal_members_place){0};
    } else {
        shoal_zset_seek(&walk->cursor, &in->sorted, (shoal_zset_ranks){0, in->count}, false);
    }
}

static bool walk_next(input_walk *walk, shoal_zset_entry *entry)
{
    SHOAL_DEBUG_ASSERT(walk->in != NULL);
    if (!walk->in->plain) return shoal_zset_next(&walk->cursor, entry);
    shoal_table_entry found;
    if (!shoal_members_next(&walk->in->members, &walk->place, &found)) return false;
    entry->member = shoal_element_text(&found.name, walk->scratch);
    entry->score = 1;
    return true;
}

/* ---- the operations ---- */

/* Infinities that cancel out, and infinite times nothing, are 0, as in Redis. */
static double number_or_zero(double value)
{
    return value == value ? value : 0;
}

static double weighted(const input *in, double score)
{
    SHOAL_DEBUG_ASSERT(score == score);
    return in->weight == 1 ? score : number_or_zero(in->weight * score);
}

/* Of what is equal, 0 and -0, the first stays, as in Redis; so it does where `b` is no number. */
static double joined(aggregate how, double a, double b)
{
    SHOAL_DEBUG_ASSERT(a == a);
    switch (how) {
    case SUM: return number_or_zero(a + b);
    case MIN: return b < a ? b : a;
    case MAX: return b > a ? b : a;
    }
    SHOAL_UNREACHABLE();
    return 0;
}

static shoal_err unite(const combination *c, shoal_zset_edit *edit)
{
    input_walk walk;
    shoal_zset_entry entry;
    SHOAL_ASSERT(c->operation == UNION);
    for (uint32_t i = 0; i < c->count; i++) {
        walk_begin(&walk, &c->inputs[i]);
        while (walk_next(&walk, &entry)) {
            shoal_zset_spot spot;
            double score = weighted(&c->inputs[i], entry.score);
            shoal_zset_edit_find(edit, entry.member, &spot);
            if (spot.found) score = joined(c->aggregate, spot.score, score);
            if (spot.found && score == spot.score && score != 0) continue;
            shoal_err err = shoal_zset_edit_put(edit, entry.member, &spot, score);
            if (err != 0) return err;
        }
    }
    return 0;
}

/* Is an element of the first input in all others? Its score there. */
static bool in_all(const combination *c, const shoal_zset_entry *entry, double *score)
{
    *score = weighted(&c->inputs[0], entry->score);
    SHOAL_DEBUG_ASSERT(c->count > 0);
    for (uint32_t i = 1; i < c->count; i++) {
        double other;
        if (!has(&c->inputs[i], entry->member, &other)) return false;
        /* Unlike the first score, and unlike in a union, Redis does not make a product that is no
         * number 0 here: it makes the sum 0. */
        *score = joined(c->aggregate, *score, c->inputs[i].weight * other);
    }
    return true;
}

static bool in_others(const combination *c, shoal_slice member)
{
    double ignored;
    SHOAL_DEBUG_ASSERT(c->operation == DIFFERENCE);
    for (uint32_t i = 1; i < c->count; i++) {
        if (has(&c->inputs[i], member, &ignored)) return true;
    }
    return false;
}

/* Elements of the first input that are in all of the others, or in none. `*count` counts them, up
 * to the limit; they are put into `edit` unless that is NULL. */
static shoal_err select_first(const combination *c, shoal_zset_edit *edit, uint64_t *count)
{
    input_walk walk;
    shoal_zset_entry entry;
    SHOAL_ASSERT(c->operation != UNION);
    *count = 0;
    walk_begin(&walk, &c->inputs[0]);
    while (walk_next(&walk, &entry)) {
        double score = entry.score;
        bool chosen =
            c->operation == DIFFERENCE ? !in_others(c, entry.member) : in_all(c, &entry, &score);
        if (!chosen) continue;
        if (++*count == c->limit) return 0;
        if (edit == NULL) continue;
        shoal_err err = shoal_zset_edit_set(edit, entry.member, score);
        if (err != 0) return err;
    }
    return 0;
}

static shoal_err combine(const combination *c, shoal_zset_edit *edit)
{
    uint64_t ignored;
    SHOAL_DEBUG_ASSERT(!c->counting);
    return c->operation == UNION ? unite(c, edit) : select_first(c, edit, &ignored);
}

/* ---- the commands ---- */

/* Small inputs first: in that order Redis adds scores. */
static int compare_inputs(const void *a, const void *b, void *context)
{
    const input *x = a, *y = b;
    (void)context;
    if (x->count != y->count) return x->count < y->count ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static void store_result(shoal_call *call, const combination *c)
{
    shoal_zset_change change;
    SHOAL_ASSERT(c->storing);
    shoal_zset_change__begin_empty(call, 0, &change);
    change.edit.scratch = true;
    shoal_err err = combine(c, &change.edit);
    shoal_zset_edit_settle(&change.edit);
    change.changed = err == 0;
    shoal_compound result = shoal_zset_edit_view(&change.edit);
    uint64_t count = shoal_zset_count(&result);
    if (shoal_zset_change__finish(call, &change, err))
        shoal_reply_integer(&call->reply, (int64_t)count);
}

static void answer_result(shoal_call *call, const combination *c)
{
    shoal_zset_edit edit;
    SHOAL_ASSERT(!c->storing);
    shoal_zset_edit__scratch(call, &edit);
    edit.scratch = true;
    shoal_err err = combine(c, &edit);
    if (shoal_call__stored(call, err)) {
        shoal_compound result = shoal_zset_edit_view(&edit);
        shoal_zset_ranks all = {0, shoal_zset_count(&result)};
        shoal_zset_style style = {.scores = c->scores};
        shoal_reply__ranks(&call->reply, &result, all, style, false);
    }
    shoal_zset_edit_drop(&edit);
}

/* With room for the inputs. */
static void run(shoal_call *call, combination *c)
{
    SHOAL_ASSERT(c->key + c->count == call->key_count);
    for (uint32_t i = 0; i < c->count; i++) {
        c->inputs[i].place = i;
        if (!look_input(call, c->key + i, &c->inputs[i])) return;
    }
    if (!parse_options(call, c)) return;
    if (c->operation != DIFFERENCE)
        shoal_sort((shoal_sort_array){c->inputs, c->count, sizeof(input)}, compare_inputs, NULL);
    if (c->counting) {
        uint64_t count;
        (void)select_first(c, NULL, &count);
        shoal_reply_integer(&call->reply, (int64_t)count);
    } else if (c->storing) {
        store_result(call, c);
    } else {
        answer_result(call, c);
    }
}

/* ZUNION, ZINTER, ZDIFF, ZINTERCARD, ZUNIONSTORE, ZINTERSTORE, ZDIFFSTORE. */
void shoal_command__zcombine(shoal_call *call)
{
    combination c = combination_of(call->command->id);
    input small[INPUTS_SMALL];
    SHOAL_ASSERT(call->argc >= 3);
    if (!parse_count(call, &c)) return;
    c.inputs = small;
    const shoal_allocator *allocator = &call->env->allocator;
    size_t size = c.count * sizeof(input);
    if (c.count > INPUTS_SMALL) c.inputs = shoal_memory_take(allocator, size, SHOAL_ALIGN_PLAIN);
    if (c.inputs == NULL) {
        (void)shoal_call__stored(call, SHOAL_ERR_NO_MEMORY);
        return;
    }
    run(call, &c);
    if (c.inputs != small) shoal_memory_give(allocator, c.inputs, size, SHOAL_ALIGN_PLAIN);
}
