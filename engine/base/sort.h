/* SPDX-License-Identifier: MIT
 *
 * base/sort.h - sorting in place, without memory, the same everywhere: equal inputs give equal
 * outputs whatever the machine, also where elements compare as equal (but their former order is
 * not kept).
 *
 * Threads: pure but for the array.
 */
#ifndef SHOAL_BASE_SORT_H
#define SHOAL_BASE_SORT_H

#include <stddef.h>

/* Negative, zero or positive as `a` goes before, with or after `b`. */
typedef int (*shoal_sort_compare)(const void *a, const void *b, void *context);

/* An array: `count` elements of `size` bytes each (1..256) from `data` on. */
typedef struct shoal_sort_array {
    void *data;
    size_t count;
    size_t size;
} shoal_sort_array;

/* Sorts `array` by `compare`, which gets `context`. At most about 3 n log2 n comparisons. */
void shoal_sort(shoal_sort_array array, shoal_sort_compare compare, void *context);

#endif
