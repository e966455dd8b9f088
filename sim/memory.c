/* SPDX-License-Identifier: MIT
 *
 * Memory of the simulator and of the nodes in it.
 */
#include "sim/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* What malloc aligns to on the platforms that Shoal is built for. */
#define MALLOC_ALIGNMENT 16u

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
