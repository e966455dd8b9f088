/* SPDX-License-Identifier: MIT
 *
 * command/sort_answer.c - the order that SORT gives to its elements, and what becomes of them: a
 * reply, or a list. Elements of equal score go by their bytes; those that BY gives equal texts, or
 * none, stay in the order in which the value had them.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/sort.h"
#include "command/effect.h"
#include "command/list.h"
#include "command/sort.h"

/* ---- order ---- */

/* The number that a text is, as C's strtod takes it, all of it: also none for no text. */
static bool score_of(shoal_slice text, double *score)
{
    SHOAL_DEBUG_ASSERT(text.data != NULL || text.size == 0);
    *score = 0;
    if (text.size == 0) return true;
    while (text.size > 0 && (text.data[0] == ' ' || (text.data[0] >= '\t' && text.data[0] <= '\r')))
        text.data++, text.size--;
    return shoal_number_to_double(text, score) == SHOAL_NUMBER_READ;
}

/* Gives the entries what they are compared by. False when a score is none. */
static bool weigh(shoal_sorting *sorting)
{
    SHOAL_ASSERT(!sorting->unsorted);
    bool valid = true;
    for (uint64_t i = 0; i < sorting->count && !sorting->failed; i++) {
        shoal_sort_entry *entry = &sorting->entries[i];
        char scratch[32];
        shoal_slice by = entry->text;
        if (sorting->by_pattern) {
            by = shoal_sort__find(sorting, &sorting->by, entry->text, scratch);
            if (by.data == NULL) continue;
        }
        if (!sorting->alpha) {
            valid = score_of(by, &entry->score) && valid;
        } else if (sorting->by_pattern) {
            entry->by = by.data == scratch ? shoal_sort__keep(sorting, by) : by;
        }
    }
    return valid;
}

static int compare_by(const shoal_sorting *sorting, const shoal_sort_entry *a,
                      const shoal_sort_entry *b)
{
    if (!sorting->alpha) return a->score < b->score ? -1 : a->score > b->score;
    if (!sorting->by_pattern) return 0;
    SHOAL_DEBUG_ASSERT(sorting->by.kind != SHOAL_SORT__SELF);
    if (a->by.data == NULL || b->by.data == NULL)
        return (a->by.data != NULL) - (b->by.data != NULL);
    return shoal_text_compare(a->by, b->by);
}

static int compare(const void *a, const void *b, void *context)
{
    const shoal_sorting *sorting = context;
    const shoal_sort_entry *x = a, *y = b;
    int order = compare_by(sorting, x, y);
    if (order == 0 && !(sorting->alpha && sorting->by_pattern))
        order = shoal_text_compare(x->text, y->text);
    if (order == 0) return x->index < y->index ? -1 : x->index > y->index;
    return sorting->descending ? -order : order;
}

/* ---- the answer ---- */

static uint64_t count_results(const shoal_sorting *sorting)
{
    SHOAL_ASSERT(sorting->first <= sorting->end);
    uint64_t each = sorting->get_count > 0 ? sorting->get_count : 1;
    return (sorting->end - sorting->first) * each;
}

static void reply(shoal_sorting *sorting)
{
    shoal_reply *out = &sorting->call->reply;
    shoal_reply_array(out, count_results(sorting));
    SHOAL_ASSERT(sorting->end <= sorting->count);
    for (uint64_t i = sorting->first; i < sorting->end; i++) {
        shoal_slice text = sorting->entries[i].text;
        if (sorting->get_count == 0) shoal_reply_bulk(out, text);
        for (uint32_t j = 0; j < sorting->get_count; j++) {
            char scratch[32];
            shoal_slice found = shoal_sort__find(sorting, &sorting->gets[j], text, scratch);
            if (found.data == NULL) {
                shoal_reply_null(out);
            } else {
                shoal_reply_bulk(out, found);
            }
        }
    }
    if (sorting->failed) out->out->failed = true;
}

/* Fills `results`; what is not found becomes an empty string. */
static void gather(shoal_sorting *sorting, shoal_slice *results)
{
    SHOAL_ASSERT(results != NULL);
    uint64_t at = 0;
    for (uint64_t i = sorting->first; i < sorting->end; i++) {
        shoal_slice text = sorting->entries[i].text;
        if (sorting->get_count == 0) results[at++] = text;
        for (uint32_t j = 0; j < sorting->get_count; j++) {
            char scratch[32];
            shoal_slice found = shoal_sort__find(sorting, &sorting->gets[j], text, scratch);
            if (found.data == scratch) found = shoal_sort__keep(sorting, found);
            results[at++] = found.data == NULL ? (shoal_slice){"", 0} : found;
        }
    }
    SHOAL_ASSERT(at == count_results(sorting));
}

/* Puts the results into the key of STORE, as a list. */
static void store(shoal_sorting *sorting)
{
    shoal_call *call = sorting->call;
    SHOAL_ASSERT(call->gated && call->key_count == 2);
    uint64_t count = count_results(sorting);
    if (count == 0) {
        shoal_store_remove_locked(call->thread, &call->keys[1]);
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    const shoal_allocator *allocator = &call->env->allocator;
    size_t size = count * sizeof(shoal_slice);
    shoal_slice *results = NULL;
    if (count <= UINT32_MAX) results = shoal_memory_take(allocator, size, SHOAL_ALIGN_PLAIN);
    if (results != NULL) gather(sorting, results);
    if (results == NULL || sorting->failed) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else {
        const shoal_lists__target target = {
            .key = &call->keys[1],
            .expires_ms = -1,
            .limits = shoal_list_limits_of(shoal_call__settings(call)->list_node_max),
        };
        const shoal_lists__push push = {.texts = results,
                                        .count = (uint32_t)count,
                                        .end = SHOAL_LIST_TAIL};
        if (shoal_lists__add(call, &target, &push))
            shoal_reply_integer(&call->reply, (int64_t)count);
    }
    shoal_memory_give(allocator, results, size, SHOAL_ALIGN_PLAIN);
}

void shoal_sort__answer(shoal_sorting *sorting)
{
    SHOAL_ASSERT(sorting->failed || sorting->end <= sorting->count);
    bool valid = true;
    if (!sorting->unsorted && sorting->count > 0 && !sorting->failed) {
        valid = weigh(sorting);
        shoal_sort((shoal_sort_array){sorting->entries, sorting->count, sizeof(shoal_sort_entry)},
                   compare, sorting);
    }
    if (sorting->failed) {
        shoal_reply_error(&sorting->call->reply, SHOAL_ERROR__MEMORY);
    } else if (!valid) {
        shoal_reply_error(&sorting->call->reply,
                          "ERR One or more scores can't be converted into double");
    } else if (sorting->stores) {
        store(sorting);
    } else {
        reply(sorting);
    }
}
