/* SPDX-License-Identifier: MIT
 *
 * base/memory.h - short names for the functions of a shoal_allocator. Each is as thread-safe as
 * the allocator behind it.
 */
#ifndef SHOAL_BASE_MEMORY_H
#define SHOAL_BASE_MEMORY_H

#include <shoal/types.h>

/* Alignment that suits every plain type. */
#define SHOAL_ALIGN_PLAIN 16
/* One cache line, the size of a bucket. */
#define SHOAL_ALIGN_LINE 64

/* Alignment and least size of blocks whose size can be changed; see shoal_allocator. */
#define SHOAL_ALIGN_PAGE 4096
#define SHOAL_RESIZABLE_MIN ((size_t)256 << 10)

/* Takes `size` > 0 bytes with unknown content, or NULL. */
static inline void *shoal_memory_take(const shoal_allocator *allocator, size_t size,
                                      size_t alignment)
{
    return allocator->allocate(allocator->context, size, alignment);
}

/* Takes `size` > 0 bytes of zeros, or NULL. */
static inline void *shoal_memory_take_zeroed(const shoal_allocator *allocator, size_t size,
                                             size_t alignment)
{
    return allocator->allocate_zeroed(allocator->context, size, alignment);
}

/* Gives back what was taken with the same size and alignment. NULL does nothing. */
static inline void shoal_memory_give(const shoal_allocator *allocator, void *memory, size_t size,
                                     size_t alignment)
{
    if (memory != NULL) allocator->release(allocator->context, memory, size, alignment);
}

/* Gives such a block another size; NULL where that cannot be done. */
static inline void *shoal_memory_resize(const shoal_allocator *allocator, void *memory, size_t size,
                                        size_t size_new)
{
    if (allocator->resize == NULL) return NULL;
    return allocator->resize(allocator->context, memory, size, size_new);
}

/* The bytes that such a request really takes. */
static inline size_t shoal_memory_usable(const shoal_allocator *allocator, size_t size,
                                         size_t alignment)
{
    return allocator->usable_size(allocator->context, size, alignment);
}

#endif
