/* SPDX-License-Identifier: MIT
 *
 * persist/spans.h: blocks of spans, split when they are full and freed when they are empty.
 */
#include "persist/spans.h"

#include <string.h>

#include "base/assert.h"

/* Spans of a block: with their head, some 3 KiB. Chosen: a walk over one takes less than what it
 * takes to keep some elements. */
#define BLOCK_SPANS 64u
/* Spans that one change adds at most. */
#define GROWTH_MAX 3u
/* Blocks that there is room for at first. */
#define BLOCKS_FIRST 8u

typedef struct shoal_span_block {
    uint32_t used;
    shoal_span spans[BLOCK_SPANS];
} shoal_span_block;

/* A span, and the element of the list that it begins with. */
typedef struct spot {
    uint32_t block, at;
    uint64_t index;
} spot;

/* ---- blocks ---- */

static shoal_span *span_at(const shoal_spans *spans, const spot *where)
{
    SHOAL_DEBUG_ASSERT(where->block < spans->used);
    SHOAL_DEBUG_ASSERT(where->at < spans->blocks[where->block]->used);
    return &spans->blocks[where->block]->spans[where->at];
}

/* Room for one block more. False without memory. */
static bool reserve_block(shoal_spans *spans, shoal_account *account)
{
    SHOAL_DEBUG_ASSERT(spans->used <= spans->capacity);
    SHOAL_ASSERT(spans->capacity <= UINT32_MAX / 2);
    if (spans->used < spans->capacity) return true;
    uint32_t more = spans->capacity == 0 ? BLOCKS_FIRST : spans->capacity * 2;
    shoal_span_block **blocks = shoal_account_take(account, more * sizeof(blocks[0]));
    uint64_t *counts = shoal_account_take(account, more * sizeof(counts[0]));
    if (blocks == NULL || counts == NULL) {
        shoal_account_give(account, blocks, more * sizeof(blocks[0]));
        shoal_account_give(account, counts, more * sizeof(counts[0]));
        return false;
    }
    if (spans->used > 0) {
        memcpy(blocks, spans->blocks, spans->used * sizeof(blocks[0]));
        memcpy(counts, spans->counts, spans->used * sizeof(counts[0]));
    }
    shoal_account_give(account, spans->blocks, spans->capacity * sizeof(blocks[0]));
    shoal_account_give(account, spans->counts, spans->capacity * sizeof(counts[0]));
    spans->blocks = blocks;
    spans->counts = counts;
    spans->capacity = more;
    return true;
}

/* An empty block at `at`, or NULL without memory. */
static shoal_span_block *add_block(shoal_spans *spans, shoal_account *account, uint32_t at)
{
    SHOAL_ASSERT(at <= spans->used);
    if (!reserve_block(spans, account)) return NULL;
    shoal_span_block *block = shoal_account_take(account, sizeof(*block));
    if (block == NULL) return NULL;
    block->used = 0;
    uint32_t behind = spans->used - at;
    memmove(&spans->blocks[at + 1], &spans->blocks[at], behind * sizeof(spans->blocks[0]));
    memmove(&spans->counts[at + 1], &spans->counts[at], behind * sizeof(spans->counts[0]));
    spans->blocks[at] = block;
    spans->counts[at] = 0;
    spans->used++;
    return block;
}

static void drop_block(shoal_spans *spans, shoal_account *account, uint32_t at)
{
    SHOAL_ASSERT(at < spans->used);
    SHOAL_ASSERT(spans->blocks[at]->used == 0 && spans->counts[at] == 0);
    shoal_account_give(account, spans->blocks[at], sizeof(*spans->blocks[at]));
    spans->used--;
    uint32_t behind = spans->used - at;
    memmove(&spans->blocks[at], &spans->blocks[at + 1], behind * sizeof(spans->blocks[0]));
    memmove(&spans->counts[at], &spans->counts[at + 1], behind * sizeof(spans->counts[0]));
}

/* Makes room for some spans more in the block of a spot, which may lie elsewhere afterwards. False
 * without memory. */
static bool reserve_spans(shoal_spans *spans, shoal_account *account, spot *where)
{
    shoal_span_block *left = spans->blocks[where->block];
    SHOAL_DEBUG_ASSERT(where->at < left->used);
    if (left->used + GROWTH_MAX <= BLOCK_SPANS) return true;
    shoal_span_block *right = add_block(spans, account, where->block + 1);
    if (right == NULL) return false;
    uint32_t keep = left->used / 2;
    right->used = left->used - keep;
    memcpy(right->spans, &left->spans[keep], right->used * sizeof(right->spans[0]));
    left->used = keep;
    uint64_t moved = 0;
    for (uint32_t i = 0; i < right->used; i++) moved += right->spans[i].count;
    SHOAL_ASSERT(moved <= spans->counts[where->block]);
    spans->counts[where->block] -= moved;
    spans->counts[where->block + 1] = moved;
    if (where->at >= keep) {
        where->at -= keep;
        where->block++;
    }
    return true;
}

static void insert_span(shoal_spans *spans, const spot *where, const shoal_span *span)
{
    shoal_span_block *block = spans->blocks[where->block];
    SHOAL_ASSERT(block->used < BLOCK_SPANS);
    SHOAL_ASSERT(where->at <= block->used);
    shoal_span *at = &block->spans[where->at];
    memmove(at + 1, at, (block->used - where->at) * sizeof(*at));
    *at = *span;
    block->used++;
    spans->counts[where->block] += span->count;
}

/* Takes out a span without elements of the list. */
static void remove_span(shoal_spans *spans, shoal_account *account, const spot *where)
{
    shoal_span_block *block = spans->blocks[where->block];
    shoal_span *gone = span_at(spans, where);
    SHOAL_ASSERT(gone->count == 0);
    if (gone->kind == SHOAL_SPAN_KEPT) {
        SHOAL_ASSERT(spans->kept_bytes >= gone->kept.size);
        spans->kept_bytes -= gone->kept.size;
        shoal_account_give(account, (void *)(uintptr_t)gone->kept.data, gone->kept.size);
    }
    block->used--;
    memmove(gone, gone + 1, (block->used - where->at) * sizeof(*gone));
    if (block->used == 0) drop_block(spans, account, where->block);
}

/* ---- finding ---- */

/* The span that has element `index` of the list. False when it is passed, or behind the end. */
static bool locate(const shoal_spans *spans, uint64_t index, spot *out)
{
    *out = (spot){.index = spans->passed};
    if (index < spans->passed) return false;
    while (out->block < spans->used && index - out->index >= spans->counts[out->block])
        out->index += spans->counts[out->block++];
    if (out->block == spans->used) return false;
    while (index - out->index >= span_at(spans, out)->count) {
        out->index += span_at(spans, out)->count;
        out->at++;
    }
    SHOAL_DEBUG_ASSERT(span_at(spans, out)->kind != SHOAL_SPAN_KEPT);
    return true;
}

bool shoal_spans_find_old(const shoal_spans *spans, uint64_t index, uint64_t end, uint64_t *from,
                          uint64_t *to)
{
    spot where;
    SHOAL_ASSERT(index <= end);
    if (index < spans->passed) index = spans->passed;
    while (index < end && locate(spans, index, &where)) {
        const shoal_span *span = span_at(spans, &where);
        SHOAL_DEBUG_ASSERT(span->count > 0);
        *from = where.index;
        *to = where.index + span->count;
        if (span->kind == SHOAL_SPAN_OLD) return true;
        index = *to;
    }
    return false;
}

/* ---- the walk ---- */

bool shoal_spans_begin(shoal_spans *spans, shoal_account *account, uint64_t count)
{
    SHOAL_ASSERT(spans->blocks == NULL && spans->used == 0);
    SHOAL_ASSERT(count > 0);
    if (add_block(spans, account, 0) == NULL) {
        shoal_spans_end(spans, account);
        return false;
    }
    insert_span(spans, &(spot){.block = 0}, &(shoal_span){SHOAL_SPAN_OLD, count, {NULL, 0}});
    return true;
}

void shoal_spans_end(shoal_spans *spans, shoal_account *account)
{
    SHOAL_ASSERT(spans->used <= spans->capacity);
    for (uint32_t b = 0; b < spans->used; b++) {
        shoal_span_block *block = spans->blocks[b];
        for (uint32_t i = 0; i < block->used; i++) {
            const shoal_span *span = &block->spans[i];
            SHOAL_DEBUG_ASSERT((span->kind == SHOAL_SPAN_KEPT) == (span->count == 0));
            if (span->kind == SHOAL_SPAN_KEPT)
                shoal_account_give(account, (void *)(uintptr_t)span->kept.data, span->kept.size);
        }
        shoal_account_give(account, block, sizeof(*block));
    }
    shoal_account_give(account, spans->blocks, spans->capacity * sizeof(spans->blocks[0]));
    shoal_account_give(account, spans->counts, spans->capacity * sizeof(spans->counts[0]));
    *spans = (shoal_spans){.used = 0};
}

bool shoal_spans_first(const shoal_spans *spans, shoal_span *out)
{
    if (spans->used == 0) return false;
    SHOAL_ASSERT(spans->blocks[0]->used > 0);
    *out = spans->blocks[0]->spans[0];
    SHOAL_DEBUG_ASSERT((out->kind == SHOAL_SPAN_KEPT) == (out->count == 0));
    return true;
}

void shoal_spans_pass(shoal_spans *spans, shoal_account *account, uint64_t count)
{
    const spot front = {.index = spans->passed};
    shoal_span *first = span_at(spans, &front);
    SHOAL_ASSERT(count <= first->count);
    SHOAL_ASSERT(count > 0 || first->kind == SHOAL_SPAN_KEPT);
    first->count -= count;
    spans->counts[0] -= count;
    spans->passed += count;
    if (first->count == 0) remove_span(spans, account, &front);
}

/* ---- changes ---- */

bool shoal_spans_keep(shoal_spans *spans, shoal_account *account, uint64_t from, uint64_t to,
                      shoal_slice bytes)
{
    spot where;
    SHOAL_ASSERT(from < to && bytes.size > 0);
    bool found = locate(spans, from, &where);
    SHOAL_ASSERT(found);
    if (!reserve_spans(spans, account, &where)) return false;
    char *copy = shoal_account_take(account, bytes.size);
    if (copy == NULL) return false;
    memcpy(copy, bytes.data, bytes.size);
    shoal_span *old = span_at(spans, &where);
    SHOAL_ASSERT(old->kind == SHOAL_SPAN_OLD && to <= where.index + old->count);
    uint64_t before = from - where.index, behind = where.index + old->count - to;
    /* It becomes what is behind, if there is any, and the others are put in front of it. */
    spans->counts[where.block] -= old->count - behind;
    old->count = behind;
    const shoal_span parts[] = {{SHOAL_SPAN_NEW, to - from, {NULL, 0}},
                                {SHOAL_SPAN_KEPT, 0, {copy, bytes.size}},
                                {SHOAL_SPAN_OLD, before, {NULL, 0}}};
    if (behind == 0) {
        spans->counts[where.block] += parts[0].count;
        *old = parts[0];
    } else {
        insert_span(spans, &where, &parts[0]);
    }
    insert_span(spans, &where, &parts[1]);
    if (before > 0) insert_span(spans, &where, &parts[2]);
    spans->kept_bytes += bytes.size;
    return true;
}

bool shoal_spans_add(shoal_spans *spans, shoal_account *account, uint64_t index, uint64_t count)
{
    spot where;
    SHOAL_ASSERT(count > 0);
    if (index <= spans->passed || spans->used == 0) {
        spans->passed += count;
        return true;
    }
    bool found = locate(spans, index - 1, &where);
    SHOAL_ASSERT(found);
    if (span_at(spans, &where)->kind == SHOAL_SPAN_OLD) {
        SHOAL_ASSERT(where.index + span_at(spans, &where)->count == index);
        if (!reserve_spans(spans, account, &where)) return false;
        /* Of what stands between the two elements, in any order. */
        const shoal_span_block *block = spans->blocks[where.block];
        where.at++;
        while (where.at < block->used && block->spans[where.at].kind == SHOAL_SPAN_KEPT) where.at++;
        if (where.at == block->used || block->spans[where.at].kind != SHOAL_SPAN_NEW) {
            insert_span(spans, &where, &(shoal_span){SHOAL_SPAN_NEW, count, {NULL, 0}});
            return true;
        }
    }
    span_at(spans, &where)->count += count;
    spans->counts[where.block] += count;
    return true;
}

void shoal_spans_remove(shoal_spans *spans, shoal_account *account, uint64_t index, uint64_t count)
{
    if (index < spans->passed) {
        uint64_t passed = spans->passed - index;
        if (passed > count) passed = count;
        spans->passed -= passed;
        count -= passed;
    }
    while (count > 0) {
        spot where;
        bool found = locate(spans, index, &where);
        SHOAL_ASSERT(found);
        shoal_span *span = span_at(spans, &where);
        SHOAL_ASSERT(span->kind == SHOAL_SPAN_NEW);
        uint64_t here = where.index + span->count - index;
        if (here > count) here = count;
        span->count -= here;
        spans->counts[where.block] -= here;
        count -= here;
        if (span->count == 0) remove_span(spans, account, &where);
    }
}
