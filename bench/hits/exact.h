/* SPDX-License-Identifier: MIT
 *
 * bench/hits/exact.h - textbook caches to compare the engine with: exact LRU, S3-FIFO as published
 * (Yang et al., SOSP 2023: a small queue of a tenth, a main queue with reinsertion, a ghost queue
 * of nine tenths), and Belady's, which knows the future. Each replays a whole trace and counts
 * misses.
 */
#ifndef SHOAL_BENCH_HITS_EXACT_H
#define SHOAL_BENCH_HITS_EXACT_H

#include <stddef.h>
#include <stdint.h>

/* A trace: ids are dense, from 0 in the order of first use. */
typedef struct hits_trace {
    uint32_t *ids;
    uint32_t *sizes; /* of the object, at each request */
    size_t count;
    uint32_t keys; /* distinct ids */
} hits_trace;

/* What a cache may hold: every object costs `each` and, where `by_size` is 1, its size as well. */
typedef struct hits_capacity {
    uint64_t total;
    uint64_t each;
    uint64_t by_size;
} hits_capacity;

/* Misses of the whole trace. */
uint64_t exact_lru(const hits_trace *trace, hits_capacity capacity);
uint64_t exact_s3fifo(const hits_trace *trace, hits_capacity capacity);
uint64_t exact_belady(const hits_trace *trace, hits_capacity capacity);

#endif
