/* SPDX-License-Identifier: MIT
 *
 * sim/heap.h - what is going to happen, ordered by (time, sequence). The sequence number is given
 * at the push, so that things of the same moment happen in the order in which they were
 * arranged: the order of a run does not depend on how the heap is built.
 *
 * One thread at a time.
 */
#ifndef SHOAL_SIM_HEAP_H
#define SHOAL_SIM_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* One thing that will happen. `kind` says what `subject` and `detail` mean. */
typedef struct shoal_occurrence {
    int64_t time_us;
    uint64_t sequence;
    uint32_t kind;
    uint32_t subject;
    uint64_t detail;
} shoal_occurrence;

/* Zero is an empty heap. */
typedef struct shoal_heap {
    shoal_occurrence *items;
    uint32_t count;
    uint32_t capacity;
    uint64_t sequence;
    uint64_t early, early_end; /* numbers that are kept free for shoal_heap__push_early */
} shoal_heap;

/* Adds an occurrence; its sequence number is set here. */
void shoal_heap__push(shoal_heap *heap, shoal_occurrence occurrence);
/* Keeps `count` numbers free, behind what was pushed so far and before what comes. */
void shoal_heap__reserve(shoal_heap *heap, uint64_t count);
/* Adds an occurrence with the next of these numbers: at its moment it is the turn of this one
 * before those that were pushed after the reservation. */
void shoal_heap__push_early(shoal_heap *heap, shoal_occurrence occurrence);
/* The earliest one, or NULL when there is none. Valid until the next call. */
const shoal_occurrence *shoal_heap__first(const shoal_heap *heap);
/* Takes the earliest one; there must be one. */
shoal_occurrence shoal_heap__pop(shoal_heap *heap);
void shoal_heap__free(shoal_heap *heap);

#endif
