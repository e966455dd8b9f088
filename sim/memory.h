/* SPDX-License-Identifier: MIT
 *
 * sim/memory.h - memory of the simulator itself, and the allocator that virtual nodes get: the
 * C library's, with a poison byte in fresh memory, so that a value read before it was written
 * differs between two runs that should be equal.
 *
 * A thousand nodes in one process ask for small memory in turn. What one of them needs at once
 * would lie on as many pages as there are pieces of it, and each page costs more than the piece
 * does: so each node has pages of its own for it.
 *
 * A shoal_sim_heap belongs to one world and one thread. The functions without a heap may be
 * called by anybody.
 */
#ifndef SHOAL_SIM_MEMORY_H
#define SHOAL_SIM_MEMORY_H

#include <shoal/types.h>

/* `size` bytes, all zero, or the process ends: a simulator without memory has no answer. */
void *shoal_sim__allocate(size_t size);
/* The same where a line of the cache begins. */
void *shoal_sim__allocate_lines(size_t size);
/* Makes an array of `*capacity` elements hold at least `count`; new bytes are zero. */
void *shoal_sim__grow(void *array, uint32_t *capacity, uint32_t count, size_t element);
void shoal_sim__free(void *memory);

/* What nodes take their memory from. */
typedef struct shoal_sim_heap {
    int poison;      /* byte that fills fresh memory, or -1 for none */
    uint64_t bytes;  /* in use */
    uint64_t blocks; /* in use */
    uint64_t most;   /* bytes that were in use at once */
    uint64_t taken;  /* blocks that were ever taken */
} shoal_sim_heap;

/* The allocator over `heap`, which must stay where it is. */
shoal_allocator shoal_sim__allocator(shoal_sim_heap *heap);

/* Sizes that pools keep are multiples of 16 up to this one. */
#define SHOAL_SIM_POOL_MAX 2048u

/* The small memory of one node; zero but for the heap is an empty one. */
typedef struct shoal_sim_pool {
    shoal_sim_heap *heap;                         /* counts it, and has what is larger */
    void *pieces[2][SHOAL_SIM_POOL_MAX / 16 + 1]; /* given back: plain ones, whole lines */
    char *fresh;                                  /* never given out yet, up to `end` */
    char *end;
    void *chunks; /* all memory that it has taken */
} shoal_sim_pool;

/* The allocator over a pool, which must stay where it is. */
shoal_allocator shoal_sim__pool_allocator(shoal_sim_pool *pool);
/* Gives back what the pool has taken; nobody has any of it any more. */
void shoal_sim__pool_free(shoal_sim_pool *pool);

#endif
