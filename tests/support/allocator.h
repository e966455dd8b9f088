/* SPDX-License-Identifier: MIT
 *
 * An allocator for tests: the default one, but it counts what is outstanding, can be told to
 * fail, and fills fresh memory with a pattern so that nobody lives on accidental zeros.
 *
 * Threads: the counts are atomic; the knobs are set before threads start.
 */
#ifndef SHOAL_TEST_ALLOCATOR_H
#define SHOAL_TEST_ALLOCATOR_H

#include <shoal/types.h>

/* Counts and knobs of one test allocator. Zero is a valid start. */
typedef struct test_heap {
    _Atomic int64_t blocks; /* allocated and not released */
    _Atomic int64_t bytes;  /* requested sizes of those blocks */
    _Atomic int64_t calls;  /* allocations so far */
    int64_t fail_after;     /* allocations from this one on fail; 0 for never */
} test_heap;

/* An allocator that counts in `heap`, which must outlive it. Releasing with another size than
 * was asked for stops the test. */
shoal_allocator test_allocator(test_heap *heap);

#endif
