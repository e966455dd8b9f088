/* SPDX-License-Identifier: MIT
 *
 * persist/spans.h - which elements of a list a snapshot has still to write, while the list changes
 * at any place. Elements have no names, and their numbers change; so the list is seen as spans, in
 * the order of the file:
 *
 *   passed | old 700 | kept 32 | new 32 | old 5000 | new 1 | ...
 *
 *   old   so many elements of the list, which are still as they were
 *   kept  elements as they were, ready to be written: the list has others in their place, or none
 *   new   so many elements of the list that are not the snapshot's, or are in a kept span
 *
 * and in front of them what the snapshot has passed. Spans stand in blocks of some dozen, which an
 * array leads to with the elements of the list in each: a place is found by a walk over that and
 * over one block. It does not know what an element is.
 *
 * Threads: as persist/large.h.
 */
#ifndef SHOAL_PERSIST_SPANS_H
#define SHOAL_PERSIST_SPANS_H

#include "value/value.h"

/* Kinds of spans. */
typedef enum shoal_span_kind { SHOAL_SPAN_OLD, SHOAL_SPAN_KEPT, SHOAL_SPAN_NEW } shoal_span_kind;

/* One of them. */
typedef struct shoal_span {
    shoal_span_kind kind;
    uint64_t count;   /* elements of the list; of a kept one 0 */
    shoal_slice kept; /* of a kept one; the spans' memory */
} shoal_span;

/* All of them. All zero is an empty one without memory. */
typedef struct shoal_spans {
    struct shoal_span_block **blocks; /* none is empty */
    uint64_t *counts;                 /* elements of the list, by block */
    uint32_t used, capacity;
    uint64_t passed;
    uint64_t kept_bytes; /* of kept spans */
} shoal_spans;

/* One old span of `count` > 0 elements. False without memory; then they are empty. */
SHOAL_MUST_USE bool shoal_spans_begin(shoal_spans *spans, shoal_account *account, uint64_t count);
/* Frees them. */
void shoal_spans_end(shoal_spans *spans, shoal_account *account);

/* The first span, which begins with element `spans->passed` of the list. False when there is none.
 * What is kept is borrowed until the next change. */
bool shoal_spans_first(const shoal_spans *spans, shoal_span *out);
/* The first span, or `count` elements of it, have been passed; a kept one is passed as a whole. */
void shoal_spans_pass(shoal_spans *spans, shoal_account *account, uint64_t count);

/* Finds the first element at or behind `index` that is of an old span: true when there is one
 * before `end`. `*from` and `*to` are where its span begins and ends in the list. */
bool shoal_spans_find_old(const shoal_spans *spans, uint64_t index, uint64_t end, uint64_t *from,
                          uint64_t *to);
/* Elements `from` to `to` of the list, which are of one old span, are kept as `bytes`, which are
 * copied. False without memory; then nothing has changed. */
SHOAL_MUST_USE bool shoal_spans_keep(shoal_spans *spans, shoal_account *account, uint64_t from,
                                     uint64_t to, shoal_slice bytes);
/* `count` elements are put before element `index`; where that is within an old span, its elements
 * are kept first. False without memory; then nothing has changed. */
SHOAL_MUST_USE bool shoal_spans_add(shoal_spans *spans, shoal_account *account, uint64_t index,
                                    uint64_t count);
/* `count` elements from `index` on, none of which is of an old span, are taken out. */
void shoal_spans_remove(shoal_spans *spans, shoal_account *account, uint64_t index, uint64_t count);

#endif
