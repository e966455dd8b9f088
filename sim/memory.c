/* SPDX-License-Identifier: MIT
 *
 * Memory of the simulator and of the nodes in it.
 */
#include "sim/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/poison.h"

/* What malloc aligns to on the platforms that Shoal is built for. */
#define MALLOC_ALIGNMENT 16u
/* A line of the cache. */
#define LINE 64u
/* A pool takes so much at once. Chosen: a page and more of each kind of piece. */
#define CHUNK 65536u
#define PAGE 4096u

static void *checked(void *memory)
{
    if (memory) return memory;
    fputs("shoal-sim: out of memory\n", stderr);
    exit(2);
}

void *shoal_sim__allocate(size_t size)
{
    return checked(calloc(1, size > 0 ? size : 1));
}

void *shoal_sim__allocate_lines(size_t size)
{
    void *memory = NULL;
    if (posix_memalign(&memory, LINE, size) != 0) memory = NULL;
    return memset(checked(memory), 0, size);
}

void *shoal_sim__grow(void *array, uint32_t *capacity, uint32_t count, size_t element)
{
    if (count <= *capacity) return array;
    uint32_t wanted = *capacity ? *capacity : 16;
    while (wanted < count) wanted *= 2;
    char *grown = checked(realloc(array, wanted * element));
    memset(grown + *capacity * element, 0, (wanted - *capacity) * element);
    *capacity = wanted;
    return grown;
}

void shoal_sim__free(void *memory)
{
    free(memory);
}

static void *take(size_t size, size_t alignment)
{
    void *memory = NULL;
    if (alignment <= MALLOC_ALIGNMENT) return checked(malloc(size));
    if (posix_memalign(&memory, alignment, size) != 0) memory = NULL;
    return checked(memory);
}

static void count(shoal_sim_heap *heap, size_t size)
{
    heap->bytes += size;
    heap->blocks++;
    heap->taken++;
    if (heap->bytes > heap->most) heap->most = heap->bytes;
}

static void *heap_allocate(void *context, size_t size, size_t alignment)
{
    shoal_sim_heap *heap = context;
    void *memory = take(size, alignment);
    if (heap->poison >= 0) memset(memory, heap->poison, size);
    count(heap, size);
    return memory;
}

static void *heap_allocate_zeroed(void *context, size_t size, size_t alignment)
{
    void *memory = NULL;
    if (alignment <= MALLOC_ALIGNMENT) {
        memory = checked(calloc(1, size));
    } else {
        memory = take(size, alignment);
        memset(memory, 0, size);
    }
    count(context, size);
    return memory;
}

static void heap_release(void *context, void *memory, size_t size, size_t alignment)
{
    shoal_sim_heap *heap = context;
    (void)alignment;
    SHOAL_ASSERT(heap->bytes >= size && heap->blocks > 0);
    if (heap->poison >= 0) memset(memory, heap->poison ^ 0xFF, size);
    heap->bytes -= size;
    heap->blocks--;
    free(memory);
}

/* A pure function of the request, so that memory accounts are the same in every run. */
static size_t heap_usable_size(void *context, size_t size, size_t alignment)
{
    (void)context;
    (void)alignment;
    return (size + 15) & ~(size_t)15;
}

shoal_allocator shoal_sim__allocator(shoal_sim_heap *heap)
{
    return (shoal_allocator){.context = heap,
                             .allocate = heap_allocate,
                             .allocate_zeroed = heap_allocate_zeroed,
                             .release = heap_release,
                             .usable_size = heap_usable_size};
}

/* ---- pools ---- */

/* Whether a pool has pieces of this kind. The sanitizer finds more in memory that is not
 * divided. */
static bool is_small(size_t size, size_t alignment)
{
    return !SHOAL_POISONS && size > 0 && size <= SHOAL_SIM_POOL_MAX && alignment <= LINE;
}

/* The list that such pieces go back to; their true size. */
static void **pieces_of(shoal_sim_pool *pool, size_t size, size_t alignment, size_t *whole)
{
    bool lines = alignment > MALLOC_ALIGNMENT;
    size_t unit = lines ? LINE : MALLOC_ALIGNMENT;
    *whole = (size + unit - 1) & ~(unit - 1);
    SHOAL_ASSERT(*whole <= SHOAL_SIM_POOL_MAX);
    return &pool->pieces[lines][*whole / MALLOC_ALIGNMENT];
}

/* A piece that was never given out. */
static void *cut_piece(shoal_sim_pool *pool, size_t whole, size_t alignment)
{
    size_t unit = alignment > MALLOC_ALIGNMENT ? LINE : MALLOC_ALIGNMENT;
    size_t skipped = (size_t)(-(uintptr_t)pool->fresh & (unit - 1));
    if (pool->fresh == NULL || skipped + whole > (size_t)(pool->end - pool->fresh)) {
        void **chunk = take(CHUNK, PAGE);
        *chunk = pool->chunks;
        pool->chunks = chunk;
        pool->fresh = (char *)chunk + LINE;
        pool->end = (char *)chunk + CHUNK;
        skipped = 0;
    }
    void *piece = pool->fresh + skipped;
    pool->fresh += skipped + whole;
    return piece;
}

static void *pool_take(shoal_sim_pool *pool, size_t size, size_t alignment)
{
    size_t whole;
    void **list = pieces_of(pool, size, alignment, &whole);
    void *piece = *list;
    count(pool->heap, size);
    if (piece == NULL) return cut_piece(pool, whole, alignment);
    memcpy(list, piece, sizeof(*list));
    return piece;
}

static void *pool_allocate(void *context, size_t size, size_t alignment)
{
    shoal_sim_pool *pool = context;
    if (!is_small(size, alignment)) return heap_allocate(pool->heap, size, alignment);
    void *memory = pool_take(pool, size, alignment);
    if (pool->heap->poison >= 0) memset(memory, pool->heap->poison, size);
    return memory;
}

static void *pool_allocate_zeroed(void *context, size_t size, size_t alignment)
{
    shoal_sim_pool *pool = context;
    if (!is_small(size, alignment)) return heap_allocate_zeroed(pool->heap, size, alignment);
    return memset(pool_take(pool, size, alignment), 0, size);
}

static void pool_release(void *context, void *memory, size_t size, size_t alignment)
{
    shoal_sim_pool *pool = context;
    shoal_sim_heap *heap = pool->heap;
    if (!is_small(size, alignment)) {
        heap_release(heap, memory, size, alignment);
        return;
    }
    SHOAL_ASSERT(memory != NULL && heap->bytes >= size && heap->blocks > 0);
    if (heap->poison >= 0) memset(memory, heap->poison ^ 0xFF, size);
    heap->bytes -= size;
    heap->blocks--;
    size_t whole;
    void **list = pieces_of(pool, size, alignment, &whole);
    memcpy(memory, list, sizeof(*list));
    *list = memory;
}

shoal_allocator shoal_sim__pool_allocator(shoal_sim_pool *pool)
{
    return (shoal_allocator){.context = pool,
                             .allocate = pool_allocate,
                             .allocate_zeroed = pool_allocate_zeroed,
                             .release = pool_release,
                             .usable_size = heap_usable_size};
}

void shoal_sim__pool_free(shoal_sim_pool *pool)
{
    while (pool->chunks != NULL) {
        void **chunk = pool->chunks;
        pool->chunks = *chunk;
        free(chunk);
    }
    *pool = (shoal_sim_pool){.heap = pool->heap};
}
