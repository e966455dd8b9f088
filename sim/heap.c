/* SPDX-License-Identifier: MIT
 *
 * A heap with four children a node: two levels of it fit the hundred or so occurrences of a small
 * cluster, and moves touch one cache line of children at a time.
 */
#include "sim/heap.h"

#include "base/assert.h"
#include "sim/memory.h"

#define ARITY 4u

static bool before(const shoal_occurrence *a, const shoal_occurrence *b)
{
    if (a->time_us != b->time_us) return a->time_us < b->time_us;
    return a->sequence < b->sequence;
}

/* Adds an occurrence that has its number. */
static void add(shoal_heap *heap, shoal_occurrence occurrence)
{
    heap->items =
        shoal_sim__grow(heap->items, &heap->capacity, heap->count + 1, sizeof(*heap->items));
    uint32_t at = heap->count++;
    while (at > 0) {
        uint32_t parent = (at - 1) / ARITY;
        if (!before(&occurrence, &heap->items[parent])) break;
        heap->items[at] = heap->items[parent];
        at = parent;
    }
    heap->items[at] = occurrence;
}

void shoal_heap__push(shoal_heap *heap, shoal_occurrence occurrence)
{
    occurrence.sequence = heap->sequence++;
    add(heap, occurrence);
}

void shoal_heap__reserve(shoal_heap *heap, uint64_t count)
{
    heap->early = heap->sequence;
    heap->sequence += count;
    heap->early_end = heap->sequence;
}

void shoal_heap__push_early(shoal_heap *heap, shoal_occurrence occurrence)
{
    SHOAL_ASSERT(heap->early < heap->early_end);
    occurrence.sequence = heap->early++;
    add(heap, occurrence);
}

const shoal_occurrence *shoal_heap__first(const shoal_heap *heap)
{
    return heap->count > 0 ? &heap->items[0] : NULL;
}

/* The earliest child of `at`, or `count` when it has none. */
static uint32_t earliest_child(const shoal_heap *heap, uint32_t at)
{
    uint32_t first = at * ARITY + 1;
    uint32_t last = first + ARITY < heap->count ? first + ARITY : heap->count;
    uint32_t best = first < heap->count ? first : heap->count;
    for (uint32_t i = first + 1; i < last; i++) {
        if (before(&heap->items[i], &heap->items[best])) best = i;
    }
    return best;
}

shoal_occurrence shoal_heap__pop(shoal_heap *heap)
{
    SHOAL_ASSERT(heap->count > 0);
    shoal_occurrence top = heap->items[0];
    shoal_occurrence last = heap->items[--heap->count];
    uint32_t at = 0;
    while (heap->count > 0) {
        uint32_t child = earliest_child(heap, at);
        if (child >= heap->count || !before(&heap->items[child], &last)) break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    if (heap->count > 0) heap->items[at] = last;
    return top;
}

void shoal_heap__free(shoal_heap *heap)
{
    shoal_sim__free(heap->items);
    *heap = (shoal_heap){0};
}
