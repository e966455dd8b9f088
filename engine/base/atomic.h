/* SPDX-License-Identifier: MIT
 *
 * base/atomic.h - C11 atomics with the order in the name, so that no access to a shared word has
 * a default order. There are no fences here: ThreadSanitizer cannot see them, and nothing in
 * the engine needs one. Every release and acquire in the code names its pair in a comment.
 *
 * The names are macros because they take words of any atomic type. A build with SHOAL_INTERLEAVE
 * calls shoal_interleave_point before each access, which lets a test decide which of its threads
 * goes next; see tests/interleave.
 */
#ifndef SHOAL_BASE_ATOMIC_H
#define SHOAL_BASE_ATOMIC_H

#include <stdatomic.h>

/* Bytes that two cores may pass back and forth as one: a pair of lines, because x86 prefetches
 * the neighbour of a line. Words of different writers keep this distance. */
#define SHOAL_SHARING_SIZE 128

#ifdef SHOAL_INTERLEAVE
/* Called before every access to a shared word; the test that defines SHOAL_INTERLEAVE has it. */
void shoal_interleave_point(void);
#define SHOAL_ATOMIC_POINT() shoal_interleave_point()
#else
#define SHOAL_ATOMIC_POINT() ((void)0)
#endif

/* Reads the word. */
#define shoal_load_relaxed(word) \
    (SHOAL_ATOMIC_POINT(), atomic_load_explicit((word), memory_order_relaxed))
#define shoal_load_acquire(word) \
    (SHOAL_ATOMIC_POINT(), atomic_load_explicit((word), memory_order_acquire))

/* Writes the word. */
#define shoal_store_relaxed(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_store_explicit((word), (value), memory_order_relaxed))
#define shoal_store_release(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_store_explicit((word), (value), memory_order_release))

/* Writes the word and returns what it was. */
#define shoal_exchange_acquire(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_exchange_explicit((word), (value), memory_order_acquire))
#define shoal_exchange_acq_rel(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_exchange_explicit((word), (value), memory_order_acq_rel))

/* Writes `value` if the word is `*expected`: true. Otherwise reads it into `*expected`, relaxed
 * (cas_acquire: acquire): false. Never fails spuriously. */
#define shoal_cas_relaxed(word, expected, value)                                                \
    (SHOAL_ATOMIC_POINT(),                                                                      \
     atomic_compare_exchange_strong_explicit((word), (expected), (value), memory_order_relaxed, \
                                             memory_order_relaxed))
#define shoal_cas_acquire(word, expected, value)                                                \
    (SHOAL_ATOMIC_POINT(),                                                                      \
     atomic_compare_exchange_strong_explicit((word), (expected), (value), memory_order_acquire, \
                                             memory_order_acquire))
#define shoal_cas_release(word, expected, value)                                                \
    (SHOAL_ATOMIC_POINT(),                                                                      \
     atomic_compare_exchange_strong_explicit((word), (expected), (value), memory_order_release, \
                                             memory_order_relaxed))
#define shoal_cas_acq_rel(word, expected, value)                                                \
    (SHOAL_ATOMIC_POINT(),                                                                      \
     atomic_compare_exchange_strong_explicit((word), (expected), (value), memory_order_acq_rel, \
                                             memory_order_acquire))

/* Changes the word and returns what it was before. */
#define shoal_add_relaxed(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_fetch_add_explicit((word), (value), memory_order_relaxed))
#define shoal_add_acq_rel(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_fetch_add_explicit((word), (value), memory_order_acq_rel))
#define shoal_sub_relaxed(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_fetch_sub_explicit((word), (value), memory_order_relaxed))
#define shoal_sub_release(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_fetch_sub_explicit((word), (value), memory_order_release))
#define shoal_or_relaxed(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_fetch_or_explicit((word), (value), memory_order_relaxed))
#define shoal_and_relaxed(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_fetch_and_explicit((word), (value), memory_order_relaxed))
#define shoal_or_acq_rel(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_fetch_or_explicit((word), (value), memory_order_acq_rel))
#define shoal_and_acq_rel(word, value) \
    (SHOAL_ATOMIC_POINT(), atomic_fetch_and_explicit((word), (value), memory_order_acq_rel))

/* Adds to a counter that only the calling thread (or the holder of its gate) writes and others
 * read: a load and a store, no locked instruction. */
#define shoal_bump_relaxed(word, value) \
    shoal_store_relaxed((word), atomic_load_explicit((word), memory_order_relaxed) + (value))

#endif
