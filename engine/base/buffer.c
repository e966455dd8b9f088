/* SPDX-License-Identifier: MIT
 *
 * Growable bytes: filled at the end, consumed at the front. Knows an allocator and nothing else.
 */
#include <shoal/types.h>

#include <string.h>

#include "base/assert.h"

/* Smallest allocation: one reply or one short request fits. Chosen. */
#define CAPACITY_MIN 256

/* Every capacity is a multiple of this. */
#define BUFFER_ALIGNMENT 8

static void check(const shoal_buffer *buffer)
{
    SHOAL_ASSERT(buffer->allocator != NULL);
    SHOAL_ASSERT(buffer->start <= buffer->end && buffer->end <= buffer->capacity);
}

/* The next capacity that holds `need` bytes: half as much again, so that n appends cost O(n)
 * copies while at most a third stands empty. 0 when it cannot be represented. */
static size_t grown_capacity(size_t capacity, size_t need)
{
    if (need > PTRDIFF_MAX / 2) return 0;
    size_t grown = capacity + capacity / 2;
    if (grown < need) grown = need;
    if (grown < CAPACITY_MIN) grown = CAPACITY_MIN;
    return (grown + BUFFER_ALIGNMENT - 1) & ~(size_t)(BUFFER_ALIGNMENT - 1);
}

/* Moves the content to the front, where consumed bytes are. */
static void compact(shoal_buffer *buffer)
{
    SHOAL_ASSERT(buffer->start > 0);
    size_t size = shoal_buffer_size(buffer);
    memmove(buffer->data, buffer->data + buffer->start, size);
    buffer->start = 0;
    buffer->end = size;
}

/* Moves the content to a larger block. False without memory. */
static bool grow(shoal_buffer *buffer, size_t need)
{
    const shoal_allocator *allocator = buffer->allocator;
    size_t capacity = grown_capacity(buffer->capacity, need);
    if (capacity == 0) return false;
    char *data = allocator->allocate(allocator->context, capacity, BUFFER_ALIGNMENT);
    if (data == NULL) return false;
    size_t size = shoal_buffer_size(buffer);
    if (buffer->data) {
        memcpy(data, buffer->data + buffer->start, size);
        allocator->release(allocator->context, buffer->data, buffer->capacity, BUFFER_ALIGNMENT);
    }
    SHOAL_ASSERT(size <= need && need <= capacity);
    buffer->data = data;
    buffer->start = 0;
    buffer->end = size;
    buffer->capacity = capacity;
    return true;
}

shoal_buffer shoal_buffer_make(const shoal_allocator *allocator)
{
    SHOAL_ASSERT(allocator != NULL);
    return (shoal_buffer){.allocator = allocator};
}

void shoal_buffer_free(shoal_buffer *buffer)
{
    SHOAL_ASSERT(buffer != NULL);
    if (buffer->data) {
        check(buffer);
        const shoal_allocator *allocator = buffer->allocator;
        allocator->release(allocator->context, buffer->data, buffer->capacity, BUFFER_ALIGNMENT);
    }
    *buffer = (shoal_buffer){.allocator = buffer->allocator};
}

char *shoal_buffer_reserve(shoal_buffer *buffer, size_t size)
{
    check(buffer);
    if (buffer->capacity - buffer->end < size || buffer->data == NULL) {
        size_t content = shoal_buffer_size(buffer);
        /* Compacting pays when at least half of the block is consumed: each byte then moves at
         * most once for every byte that was consumed. */
        bool compactable =
            buffer->data && buffer->start >= content && buffer->capacity - content >= size;
        if (compactable) {
            compact(buffer);
        } else if (size > PTRDIFF_MAX / 2 || !grow(buffer, content + size)) {
            buffer->failed = true;
            return NULL;
        }
    }
    SHOAL_ASSERT(buffer->capacity - buffer->end >= size);
    return buffer->data + buffer->end;
}

void shoal_buffer_append(shoal_buffer *buffer, shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    if (bytes.size == 0) return;
    char *room = shoal_buffer_reserve(buffer, bytes.size);
    if (room == NULL) return;
    memcpy(room, bytes.data, bytes.size);
    shoal_buffer_commit(buffer, bytes.size);
}
