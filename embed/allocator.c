/* SPDX-License-Identifier: MIT
 *
 * The allocator for embedders that bring none: the C library's malloc family behind the
 * shoal_allocator interface. It stands outside the engine's rooms because those may not call
 * malloc. It keeps no state, so any number of threads may use it.
 */
#include <shoal/types.h>

#include <stdlib.h>
#include <string.h>

/* What malloc aligns every block to on the platforms that Shoal is built for. */
#define MALLOC_ALIGNMENT 16

/* glibc keeps one word before each block and rounds the sum up to its alignment, and never
 * hands out less than 24 usable bytes. */
#define MALLOC_HEADER 8
#define MALLOC_USABLE_MIN 24

static void *heap_allocate(void *context, size_t size, size_t alignment)
{
    (void)context;
    if (alignment <= MALLOC_ALIGNMENT) return malloc(size);
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, size) != 0) return NULL;
    return memory;
}

static void *heap_allocate_zeroed(void *context, size_t size, size_t alignment)
{
    if (alignment <= MALLOC_ALIGNMENT) return calloc(1, size);
    void *memory = heap_allocate(context, size, alignment);
    if (memory) memset(memory, 0, size);
    return memory;
}

static void heap_release(void *context, void *memory, size_t size, size_t alignment)
{
    (void)context;
    (void)size;
    (void)alignment;
    free(memory);
}

/* Computed rather than asked for, because it must be a pure function of the request. */
static size_t heap_usable_size(void *context, size_t size, size_t alignment)
{
    (void)context;
    (void)alignment;
    if (size <= MALLOC_USABLE_MIN) return MALLOC_USABLE_MIN;
    if (size > SIZE_MAX - MALLOC_HEADER - MALLOC_ALIGNMENT) return size;
    size_t block = (size + MALLOC_HEADER + MALLOC_ALIGNMENT - 1) & ~(size_t)(MALLOC_ALIGNMENT - 1);
    return block - MALLOC_HEADER;
}

shoal_allocator shoal_allocator_default(void)
{
    return (shoal_allocator){
        .context = NULL,
        .allocate = heap_allocate,
        .allocate_zeroed = heap_allocate_zeroed,
        .release = heap_release,
        .usable_size = heap_usable_size,
    };
}
