/* SPDX-License-Identifier: MIT
 *
 * command/set_combine.c - several sets together: SINTER, SUNION, SDIFF, the same kept at a key, and
 * SINTERCARD. All sets are looked up first; then a result is written as it is found, or gathered in
 * a draft.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/sort.h"
#include "command/collection.h"

/* Sets that need no memory of their own. */
#define SETS_SMALL 16u

/* The sets that a command names. */
typedef struct sources {
    shoal_members *sets;
    uint32_t count;
    bool missing; /* one of them is empty */
    shoal_members small[SETS_SMALL];
} sources;

/* Where members of a result go. */
typedef struct result {
    shoal_reply *reply;  /* written, */
    shoal_draft *draft;  /* or gathered, */
    uint64_t count, max; /* or counted */
    shoal_err err;
} result;

/* Takes a member into the result. False when that is enough, or failed. */
static bool take(result *into, const shoal_element *name)
{
    SHOAL_DEBUG_ASSERT(into->err == SHOAL_ERR_OK);
    into->count++;
    if (into->reply != NULL) shoal_reply__element(into->reply, name);
    if (into->draft != NULL) {
        shoal_table_entry entry = {.name = *name, .deadline_ms = -1};
        bool added;
        into->err = shoal_draft_put(into->draft, &entry, &added);
    }
    return into->count < into->max && into->err == SHOAL_ERR_OK;
}

/* ---- sources ---- */

static void drop_sources(shoal_call *call, sources *from)
{
    SHOAL_ASSERT(from->sets != NULL);
    if (from->sets == from->small) return;
    shoal_memory_give(&call->env->allocator, from->sets, from->count * sizeof(*from->sets),
                      SHOAL_ALIGN_PLAIN);
}

/* Looks the sets of all keys from `first` on up. False, and nothing to drop, after an error, or
 * because the gates are wanted first. */
static bool look_up(shoal_call *call, uint32_t first, sources *from)
{
    SHOAL_ASSERT(first < call->key_count);
    from->count = call->key_count - first;
    from->missing = false;
    from->sets = from->small;
    if (from->count > SETS_SMALL)
        from->sets = shoal_memory_take(&call->env->allocator, from->count * sizeof(*from->sets),
                                       SHOAL_ALIGN_PLAIN);
    if (from->sets == NULL) return shoal_call__stored(call, SHOAL_ERR_NO_MEMORY);
    for (uint32_t i = 0; i < from->count; i++) {
        shoal_members *set = &from->sets[i];
        bool typed = shoal_call__look_members(call, first + i, SHOAL_TYPE_SET, set);
        if (!typed) {
            drop_sources(call, from);
            return false;
        }
        if (set->count == 0) from->missing = true;
    }
    return true;
}

/* ---- combining ---- */

/* The member is in every set (`all`), or in none, of those from `first` on. */
static bool agree(const sources *from, uint32_t first, const shoal_element *name, bool all)
{
    SHOAL_DEBUG_ASSERT(first <= from->count);
    for (uint32_t i = first; i < from->count; i++) {
        if (shoal_members_find(&from->sets[i], name, NULL) != all) return false;
    }
    return true;
}

/* Takes the members of the first set that all (`all`) or none of the others have. */
static void filter_first(const sources *from, bool all, result *into)
{
    SHOAL_ASSERT(from->count > 0);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (shoal_members_next(&from->sets[0], &place, &entry)) {
        if (agree(from, 1, &entry.name, all) && !take(into, &entry.name)) return;
    }
}

static int compare_sizes(const void *a, const void *b, void *context)
{
    (void)context;
    uint64_t x = ((const shoal_members *)a)->count, y = ((const shoal_members *)b)->count;
    return x < y ? -1 : x > y;
}

static int compare_sizes_down(const void *a, const void *b, void *context)
{
    return compare_sizes(b, a, context);
}

static void intersect(sources *from, result *into)
{
    if (from->missing) return;
    SHOAL_ASSERT(from->count > 0);
    /* The members of the smallest set, looked for in the next larger ones first. */
    shoal_sort((shoal_sort_array){from->sets, from->count, sizeof(*from->sets)}, compare_sizes,
               NULL);
    filter_first(from, true, into);
}

static void subtract(sources *from, result *into)
{
    SHOAL_ASSERT(from->count > 0);
    if (from->sets[0].count == 0) return;
    /* The larger a set, the likelier it has a member that then need not be looked for in others. */
    shoal_sort((shoal_sort_array){from->sets + 1, from->count - 1, sizeof(*from->sets)},
               compare_sizes_down, NULL);
    filter_first(from, false, into);
}

/* The first of the largest sets, if it is an object that cannot be compact: the result begins as a
 * copy of it, page by page, which takes a third of the time of adding its members. */
static uint32_t fill(const sources *from, result *into)
{
    uint32_t largest = 0;
    SHOAL_ASSERT(from->count > 0);
    for (uint32_t i = 1; i < from->count; i++) {
        if (from->sets[i].count > from->sets[largest].count) largest = i;
    }
    const shoal_members *set = &from->sets[largest];
    if (set->table == NULL || set->count <= into->draft->options.limits.entries) return UINT32_MAX;
    into->err = shoal_draft_fill(into->draft, &set->table->object);
    return largest;
}

/* Only for results that are gathered, where members of several sets meet. */
static void unite(sources *from, result *into)
{
    SHOAL_ASSERT(into->draft != NULL);
    uint32_t done = fill(from, into);
    for (uint32_t i = 0; i < from->count && into->err == SHOAL_ERR_OK; i++) {
        if (i == done) continue;
        shoal_members_place place = {0};
        shoal_table_entry entry;
        while (shoal_members_next(&from->sets[i], &place, &entry)) {
            if (!take(into, &entry.name)) return;
        }
    }
}

/* ---- commands ---- */

/* SINTER and SDIFF: members are written as they are found. */
static void combine(shoal_call *call, void (*how)(sources *, result *))
{
    sources from;
    SHOAL_ASSERT(call->key_count > 0);
    if (!look_up(call, 0, &from)) return;
    result into = {.reply = &call->reply, .max = UINT64_MAX};
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    how(&from, &into);
    shoal_reply_end_set(&call->reply, mark, into.count);
    drop_sources(call, &from);
}

void shoal_command__sinter(shoal_call *call)
{
    SHOAL_ASSERT(call->command->id == SHOAL_COMMAND_SINTER);
    combine(call, intersect);
}

void shoal_command__sdiff(shoal_call *call)
{
    SHOAL_ASSERT(call->command->id == SHOAL_COMMAND_SDIFF);
    combine(call, subtract);
}

/* Writes the members of a draft. */
static void write_draft(shoal_call *call, shoal_draft *draft)
{
    shoal_compound value = shoal_draft_value(draft);
    shoal_members set = shoal_members_of(&value, SHOAL_TYPE_SET, 0);
    SHOAL_ASSERT(set.count == shoal_draft_count(draft));
    shoal_reply_set(&call->reply, set.count);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (shoal_members_next(&set, &place, &entry))
        shoal_reply__element(&call->reply, &entry.name);
}

void shoal_command__sunion(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count > 0);
    sources from;
    if (!look_up(call, 0, &from)) return;
    /* Memory of the reply, not of the store. */
    shoal_account account = {.allocator = &call->env->allocator};
    shoal_draft_options options = {.type = SHOAL_TYPE_SET,
                                   .limits = {.entries = SHOAL_DRAFT_PACK_MAX},
                                   .account = &account,
                                   .prng = shoal_thread_prng(call->thread)};
    shoal_draft draft;
    shoal_draft_begin(&draft, &options, &(shoal_compound){.object = NULL});
    result into = {.draft = &draft, .max = UINT64_MAX};
    unite(&from, &into);
    if (shoal_call__stored(call, into.err)) write_draft(call, &draft);
    shoal_draft_drop(&draft);
    drop_sources(call, &from);
}

/* SINTERSTORE, SUNIONSTORE, SDIFFSTORE. */
void shoal_command__sstore(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count >= 2);
    sources from;
    if (!look_up(call, 1, &from)) return;
    shoal_edit edit;
    shoal_edit__begin_empty(call, 0, SHOAL_TYPE_SET, &edit);
    result into = {.draft = &edit.draft, .max = UINT64_MAX};
    switch (call->command->id) {
    case SHOAL_COMMAND_SINTERSTORE: intersect(&from, &into); break;
    case SHOAL_COMMAND_SUNIONSTORE: unite(&from, &into); break;
    default: SHOAL_ASSERT(call->command->id == SHOAL_COMMAND_SDIFFSTORE); subtract(&from, &into);
    }
    drop_sources(call, &from);
    int64_t count = (int64_t)shoal_draft_count(&edit.draft);
    if (into.err != SHOAL_ERR_OK) {
        shoal_draft_drop(&edit.draft);
        (void)shoal_call__stored(call, into.err);
    } else if (shoal_edit__finish(call, &edit, SHOAL_ERR_OK)) {
        shoal_reply_integer(&call->reply, count);
    }
}

/* ---- SINTERCARD ---- */

/* Checks the number of keys and reads LIMIT. False after writing an error. */
static bool parse_card(shoal_call *call, int64_t *limit)
{
    int64_t keys;
    SHOAL_ASSERT(call->argc >= 3);
    if (!shoal_text_to_i64(call->argv[1], &keys) || keys <= 0) {
        shoal_reply_error(&call->reply, "ERR numkeys should be greater than 0");
        return false;
    }
    if (keys > (int64_t)call->argc - 2) {
        shoal_reply_error(&call->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    for (uint32_t i = (uint32_t)keys + 2; i < call->argc; i += 2) {
        if (i + 1 == call->argc || !shoal_call__word(call, i, "limit")) {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return false;
        }
        if (!shoal_text_to_i64(call->argv[i + 1], limit) || *limit < 0) {
            shoal_reply_error(&call->reply, "ERR LIMIT can't be negative");
            return false;
        }
    }
    return true;
}

void shoal_command__sintercard(shoal_call *call)
{
    int64_t limit = 0;
    SHOAL_ASSERT(call->command->id == SHOAL_COMMAND_SINTERCARD);
    if (!parse_card(call, &limit)) return;
    sources from;
    if (!look_up(call, 0, &from)) return;
    result into = {.max = limit == 0 ? UINT64_MAX : (uint64_t)limit};
    intersect(&from, &into);
    drop_sources(call, &from);
    shoal_reply_integer(&call->reply, (int64_t)into.count);
}
