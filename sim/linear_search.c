/* SPDX-License-Identifier: MIT
 *
 * The search for an order of the operations of one key. Beginnings and ends stand in a list in the
 * order of time. An operation that begins before the first end can be the next one; it is tried,
 * taken off the list, and put back when what follows leads nowhere. A set of operations that was
 * taken before with the same value behind it is not tried again.
 */
#include "sim/linear.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "sim/memory.h"

/* A beginning or an end. Index 0 is the head of the list, and behind its last. */
typedef struct entry {
    int64_t at_us;
    uint32_t op;
    bool ends;
    uint32_t twin; /* of a beginning: the end; 0: it has none */
    uint32_t next, previous;
} entry;

/* A set of operations and the value behind it, as two hashes. */
typedef struct state {
    uint64_t a, b;
} state;

/* A step that was taken. */
typedef struct step {
    uint32_t entry;
    uint32_t value; /* before it */
} step;

/* One search. */
typedef struct search {
    const shoal_linear_op *ops;
    entry *entries;
    uint32_t entry_count;
    step *steps;
    uint32_t step_count;
    state *table; /* a power of two; zero: free */
    uint32_t table_size, state_count, states_max;
    state taken; /* the hashes of the operations that were taken */
    uint32_t ends_left;
    uint32_t value;
} search;

static int by_time(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->at_us != y->at_us) return x->at_us < y->at_us ? -1 : 1;
    /* What begins when another ends overlaps it. */
    if (x->ends != y->ends) return x->ends ? 1 : -1;
    return x->op < y->op ? -1 : x->op > y->op;
}

static void link_all(search *all, uint32_t count)
{
    uint32_t *ends = shoal_sim__allocate(count * sizeof(*ends));
    uint32_t entries = all->entry_count;
    if (entries > 1) qsort(all->entries + 1, entries - 1, sizeof(entry), by_time);
    for (uint32_t i = 0; i < entries; i++) {
        all->entries[i].next = i + 1 < entries ? i + 1 : 0;
        all->entries[i].previous = i > 0 ? i - 1 : entries - 1;
        if (i > 0 && all->entries[i].ends) ends[all->entries[i].op] = i;
    }
    for (uint32_t i = 1; i < entries; i++) {
        if (!all->entries[i].ends) all->entries[i].twin = ends[all->entries[i].op];
    }
    shoal_sim__free(ends);
}

static void make(search *all, uint32_t count)
{
    all->entries = shoal_sim__allocate((2 * (size_t)count + 1) * sizeof(entry));
    all->entry_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        const shoal_linear_op *op = &all->ops[i];
        all->entries[all->entry_count++] = (entry){.at_us = op->began_us, .op = i};
        if (op->ended_us == INT64_MAX) continue;
        all->entries[all->entry_count++] = (entry){.at_us = op->ended_us, .op = i, .ends = true};
        all->ends_left++;
    }
    link_all(all, count);
    all->steps = shoal_sim__allocate(count * sizeof(step));
    all->table_size = 1024;
    while (all->table_size < all->states_max * 2) all->table_size *= 2;
    all->table = shoal_sim__allocate(all->table_size * sizeof(state));
}

/* ---- the list ---- */

static void unlink_one(search *all, uint32_t at)
{
    const entry *of = &all->entries[at];
    all->entries[of->previous].next = of->next;
    all->entries[of->next].previous = of->previous;
}

static void link_again(search *all, uint32_t at)
{
    const entry *of = &all->entries[at];
    all->entries[of->previous].next = at;
    all->entries[of->next].previous = at;
}

static void toggle(search *all, uint32_t op)
{
    all->taken.a ^= shoal_prng_mix(op + 1);
    all->taken.b ^= shoal_prng_mix(~(uint64_t)op);
}

static void lift(search *all, uint32_t at)
{
    uint32_t twin = all->entries[at].twin;
    unlink_one(all, at);
    if (twin) unlink_one(all, twin);
    all->ends_left -= twin != 0;
    toggle(all, all->entries[at].op);
}

static void put_back(search *all, uint32_t at)
{
    uint32_t twin = all->entries[at].twin;
    if (twin) link_again(all, twin);
    link_again(all, at);
    all->ends_left += twin != 0;
    toggle(all, all->entries[at].op);
}

/* ---- states ---- */

/* Notes the set that was taken with one more, and the value behind it; false when it was there. */
static bool is_new(search *all, uint32_t op, uint32_t value)
{
    state with = {all->taken.a ^ shoal_prng_mix(op + 1),
                  all->taken.b ^ shoal_prng_mix(~(uint64_t)op)};
    with.a = shoal_prng_mix(with.a + value) | 1;
    with.b = shoal_prng_mix(with.b ^ value);
    uint32_t at = (uint32_t)(with.a >> 32) & (all->table_size - 1);
    while (all->table[at].a != 0) {
        if (all->table[at].a == with.a && all->table[at].b == with.b) return false;
        at = (at + 1) & (all->table_size - 1);
    }
    all->table[at] = with;
    all->state_count++;
    return true;
}

/* Can an operation come next? `*value` is what it leaves. */
static bool can_be_next(const search *all, uint32_t op, uint32_t *value)
{
    const shoal_linear_op *of = &all->ops[op];
    SHOAL_ASSERT(of->kind != SHOAL_LINEAR_ADD && of->kind != SHOAL_LINEAR_FADE);
    *value = of->value;
    return of->kind != SHOAL_LINEAR_READ || of->value == all->value;
}

/* ---- the search ---- */

static shoal_linear_verdict go(search *all)
{
    uint32_t at = all->entries[0].next;
    while (all->ends_left > 0) {
        uint32_t value = 0;
        SHOAL_ASSERT(at != 0);
        entry *here = &all->entries[at];
        if (all->state_count >= all->states_max) return SHOAL_LINEAR_UNKNOWN;
        if (here->ends) {
            if (all->step_count == 0) return SHOAL_LINEAR_BROKEN;
            const step *last = &all->steps[--all->step_count];
            all->value = last->value;
            put_back(all, last->entry);
            at = all->entries[last->entry].next;
        } else if (can_be_next(all, here->op, &value) && is_new(all, here->op, value)) {
            all->steps[all->step_count++] = (step){at, all->value};
            all->value = value;
            lift(all, at);
            at = all->entries[0].next;
        } else {
            at = here->next;
        }
    }
    return SHOAL_LINEAR_HOLDS;
}

shoal_linear_verdict shoal_linear__search(const shoal_linear_op *ops, uint32_t count,
                                          uint32_t states_max)
{
    search all = {.ops = ops, .states_max = states_max};
    SHOAL_ASSERT(states_max > 0);
    make(&all, count);
    shoal_linear_verdict verdict = go(&all);
    shoal_sim__free(all.entries);
    shoal_sim__free(all.steps);
    shoal_sim__free(all.table);
    return verdict;
}
