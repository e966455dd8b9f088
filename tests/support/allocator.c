/* SPDX-License-Identifier: MIT
 *
 * See allocator.h. Each block is preceded by a header that remembers the request, so that a
 * release with the wrong size or alignment is caught where it happens.
 */
#include "support/allocator.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What fresh memory is filled with: an unlikely pointer, size and character. */
#define FILL_BYTE 0xA5

/* Sits directly before the block that the caller sees. */
typedef struct heap_header {
    size_t size;
    size_t alignment;
} heap_header;

static size_t header_room(size_t alignment)
{
    return alignment > sizeof(heap_header) ? alignment : sizeof(heap_header);
}

static void *test_allocate(void *context, size_t size, size_t alignment)
{
    test_heap *heap = context;
    int64_t call = atomic_fetch_add_explicit(&heap->calls, 1, memory_order_relaxed) + 1;
    if (heap->fail_after > 0 && call >= heap->fail_after) return NULL;
    size_t room = header_room(alignment);
    void *memory = NULL;
    if (size > SIZE_MAX - room) return NULL;
    if (posix_memalign(&memory, room, room + size) != 0) return NULL;
    char *block = (char *)memory + room;
    memcpy(block - sizeof(heap_header), &(heap_header){size, alignment}, sizeof(heap_header));
    memset(block, FILL_BYTE, size);
    atomic_fetch_add_explicit(&heap->blocks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&heap->bytes, (int64_t)size, memory_order_relaxed);
    return block;
}

static void *test_allocate_zeroed(void *context, size_t size, size_t alignment)
{
    void *block = test_allocate(context, size, alignment);
    if (block) memset(block, 0, size);
    return block;
}

static void test_release(void *context, void *memory, size_t size, size_t alignment)
{
    test_heap *heap = context;
    heap_header header;
    memcpy(&header, (char *)memory - sizeof(header), sizeof(header));
    if (header.size != size || header.alignment != alignment) {
        fprintf(stderr, "release of %zu/%zu bytes, but %zu/%zu were allocated\n", size, alignment,
                header.size, header.alignment);
        abort();
    }
    memset(memory, FILL_BYTE, size);
    free((char *)memory - header_room(alignment));
    atomic_fetch_sub_explicit(&heap->blocks, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&heap->bytes, (int64_t)size, memory_order_relaxed);
}

static size_t test_usable_size(void *context, size_t size, size_t alignment)
{
    (void)context;
    (void)alignment;
    return size;
}

shoal_allocator test_allocator(test_heap *heap)
{
    return (shoal_allocator){
        .context = heap,
        .allocate = test_allocate,
        .allocate_zeroed = test_allocate_zeroed,
        .release = test_release,
        .usable_size = test_usable_size,
    };
}
