/* SPDX-License-Identifier: MIT
 *
 * base/heap.c - the pairing heap of base/heap.h. Nothing here recurses: a heap of a million nodes
 * in a row is walked in loops.
 */
#include "base/heap.h"

#include "base/assert.h"

/* Makes one tree of two roots; either may be NULL. */
static shoal_heap_node *merge(shoal_heap_node *a, shoal_heap_node *b)
{
    if (a == NULL) return b;
    if (b == NULL) return a;
    SHOAL_DEBUG_ASSERT(a != b);
    shoal_heap_node *top = b->key < a->key ? b : a;
    shoal_heap_node *below = top == a ? b : a;
    below->next = top->child;
    below->previous = top;
    if (top->child != NULL) top->child->previous = below;
    top->child = below;
    top->next = top->previous = NULL;
    return top;
}

/* Makes one tree of a row of siblings: pairs from the left, then all pairs from the right. */
static shoal_heap_node *merge_row(shoal_heap_node *row)
{
    shoal_heap_node *pairs = NULL;
    while (row != NULL) {
        shoal_heap_node *second = row->next;
        shoal_heap_node *rest = second != NULL ? second->next : NULL;
        shoal_heap_node *pair = merge(row, second);
        pair->next = pairs;
        pairs = pair;
        row = rest;
    }
    shoal_heap_node *all = NULL;
    while (pairs != NULL) {
        shoal_heap_node *rest = pairs->next;
        pairs->next = NULL;
        all = merge(all, pairs);
        pairs = rest;
    }
    SHOAL_DEBUG_ASSERT(all == NULL || all->next == NULL);
    return all;
}

void shoal_heap_push(shoal_heap *heap, shoal_heap_node *node)
{
    SHOAL_ASSERT(!node->inside);
    node->child = node->next = node->previous = NULL;
    node->inside = true;
    heap->first = merge(heap->first, node);
}

void shoal_heap_remove(shoal_heap *heap, shoal_heap_node *node)
{
    SHOAL_ASSERT(node->inside && heap->first != NULL);
    shoal_heap_node *below = merge_row(node->child);
    if (below != NULL) below->previous = NULL;
    if (heap->first == node) {
        heap->first = below;
    } else {
        SHOAL_ASSERT(node->previous != NULL);
        *(node->previous->child == node ? &node->previous->child : &node->previous->next) =
            node->next;
        if (node->next != NULL) node->next->previous = node->previous;
        heap->first = merge(heap->first, below);
    }
    node->child = node->next = node->previous = NULL;
    node->inside = false;
}
