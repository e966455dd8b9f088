/* SPDX-License-Identifier: MIT
 *
 * Quicksort with the median of three as pivot; a part that is short is sorted by insertion, one
 * that splits badly too often by heap. The choice depends on positions only, never on addresses.
 */
#include "base/sort.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

/* Longest element: what fits the swap space. */
#define ELEMENT_SIZE_MAX 256

/* Parts up to this are sorted by insertion. Chosen: usual, and never critical. */
#define INSERTION_MAX 12

/* The array and how to compare, passed along. */
typedef struct sorter {
    char *data;
    size_t size;
    shoal_sort_compare compare;
    void *context;
} sorter;

static char *at(const sorter *s, size_t index)
{
    return s->data + index * s->size;
}

static bool before(const sorter *s, size_t a, size_t b)
{
    return s->compare(at(s, a), at(s, b), s->context) < 0;
}

static void swap(const sorter *s, size_t a, size_t b)
{
    char held[ELEMENT_SIZE_MAX];
    if (a == b) return;
    memcpy(held, at(s, a), s->size);
    memcpy(at(s, a), at(s, b), s->size);
    memcpy(at(s, b), held, s->size);
}

/* Sorts [low, high). */
static void insertion_sort(const sorter *s, size_t low, size_t high)
{
    SHOAL_DEBUG_ASSERT(low <= high);
    char held[ELEMENT_SIZE_MAX];
    for (size_t i = low + 1; i < high; i++) {
        size_t gap = i;
        memcpy(held, at(s, i), s->size);
        while (gap > low && s->compare(held, at(s, gap - 1), s->context) < 0) {
            memcpy(at(s, gap), at(s, gap - 1), s->size);
            gap--;
        }
        memcpy(at(s, gap), held, s->size);
    }
}

/* Lets the element at `root` of the heap over [low, low + count) sink to its place. */
static void sink(const sorter *s, size_t low, size_t root, size_t count)
{
    SHOAL_DEBUG_ASSERT(root < count);
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) return;
        if (child + 1 < count && before(s, low + child, low + child + 1)) child++;
        if (!before(s, low + root, low + child)) return;
        swap(s, low + root, low + child);
        root = child;
    }
}

/* Sorts [low, high) in O(n log n) whatever the order. */
static void heap_sort(const sorter *s, size_t low, size_t high)
{
    SHOAL_ASSERT(low < high);
    size_t count = high - low;
    for (size_t root = count / 2; root-- > 0;) sink(s, low, root, count);
    for (size_t last = count; last-- > 1;) {
        swap(s, low, low + last);
        sink(s, low, 0, last);
    }
}

/* Puts the median of the first, middle and last element of [low, high) at `low`. */
static void place_pivot(const sorter *s, size_t low, size_t high)
{
    SHOAL_DEBUG_ASSERT(high - low >= 3);
    size_t middle = low + (high - low) / 2, last = high - 1;
    if (before(s, middle, low)) swap(s, middle, low);
    if (before(s, last, middle)) swap(s, last, middle);
    if (before(s, middle, low)) swap(s, middle, low);
    swap(s, low, middle);
}

/* Splits [low, high) around its pivot: returns where that ended; nothing before it is larger,
 * nothing behind it smaller. Both scans stop at equal elements, so that equal runs split evenly. */
static size_t split(const sorter *s, size_t low, size_t high)
{
    place_pivot(s, low, high);
    size_t i = low, j = high;
    for (;;) {
        do i++;
        while (i < high && before(s, i, low));
        do j--;
        while (before(s, low, j));
        if (i >= j) break;
        swap(s, i, j);
    }
    swap(s, low, j);
    SHOAL_ASSERT(j >= low && j < high);
    return j;
}

/* Sorts [low, high); `depth` bad splits remain before the heap takes over. */
static void sort_part(const sorter *s, size_t low, size_t high, unsigned depth)
{
    SHOAL_DEBUG_ASSERT(low <= high);
    while (high - low > INSERTION_MAX) {
        if (depth-- == 0) {
            heap_sort(s, low, high);
            return;
        }
        size_t pivot = split(s, low, high);
        /* The shorter side by recursion, the longer one here: the stack stays logarithmic. */
        if (pivot - low < high - pivot) {
            sort_part(s, low, pivot, depth);
            low = pivot + 1;
        } else {
            sort_part(s, pivot + 1, high, depth);
            high = pivot;
        }
    }
    insertion_sort(s, low, high);
}

void shoal_sort(shoal_sort_array array, shoal_sort_compare compare, void *context)
{
    SHOAL_ASSERT(array.size > 0 && array.size <= ELEMENT_SIZE_MAX);
    SHOAL_ASSERT(array.data != NULL || array.count == 0);
    SHOAL_ASSERT(array.count <= PTRDIFF_MAX / array.size);
    SHOAL_ASSERT(compare != NULL);
    if (array.count < 2) return;
    sorter s = {array.data, array.size, compare, context};
    unsigned depth = 2;
    for (size_t n = array.count; n > 1; n /= 2) depth += 2;
    sort_part(&s, 0, array.count, depth);
}
