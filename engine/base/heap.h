/* SPDX-License-Identifier: MIT
 *
 * base/heap.h - who is next: a heap of deadlines whose nodes live inside the structs that wait, so
 * that adding one takes no memory and cannot fail. A pairing heap: adding and looking are a few
 * instructions, taking one out is logarithmic on average. The order of equal deadlines follows
 * from the order of the calls, never from addresses.
 *
 * Threads: a heap and its nodes belong to one thread.
 */
#ifndef SHOAL_BASE_HEAP_H
#define SHOAL_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a waiting struct contains. Zero is in no heap. */
typedef struct shoal_heap_node {
    int64_t key; /* set before the push, then left alone until the node is out again */
    struct shoal_heap_node *child, *next; /* first of those below; next sibling */
    struct shoal_heap_node *previous;     /* sibling before, or the parent of a first child */
    bool inside;
} shoal_heap_node;

/* Zero is empty. */
typedef struct shoal_heap {
    shoal_heap_node *first; /* the one with the least key, or NULL */
} shoal_heap;

/* Adds a node that is in no heap. */
void shoal_heap_push(shoal_heap *heap, shoal_heap_node *node);

/* Takes a node out of the heap that it is in. */
void shoal_heap_remove(shoal_heap *heap, shoal_heap_node *node);

#endif
