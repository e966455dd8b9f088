/* SPDX-License-Identifier: MIT
 *
 * command/string_range.c - parts of strings: APPEND, GETRANGE, SETRANGE.
 */
#include "command/string.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

/* Gaps up to this size need no memory of their own; longer ones are rare. Chosen. */
#define ZEROS_SIZE 4096u

bool shoal_string__check_size(shoal_call *call, uint64_t size)
{
    uint64_t max = shoal_call__settings(call)->bulk_size_max;
    if (max > SHOAL_VALUE_SIZE_MAX) max = SHOAL_VALUE_SIZE_MAX;
    if (size <= max) return true;
    shoal_reply_error(&call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

bool shoal_string__patch(shoal_call *call, const shoal_item *item, size_t offset, shoal_slice part)
{
    static const char zeros[ZEROS_SIZE] = {0};
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_slice old = {"", 0};
    if (item != NULL) old = shoal_item_string(item, scratch);
    size_t end = offset + part.size;
    SHOAL_ASSERT(end >= offset && end <= SHOAL_VALUE_SIZE_MAX);

    const shoal_allocator *allocator = &call->env->allocator;
    shoal_slice gap = {zeros, offset > old.size ? offset - old.size : 0};
    void *long_gap = NULL;
    if (gap.size > ZEROS_SIZE) {
        long_gap = shoal_memory_take_zeroed(allocator, gap.size, SHOAL_ALIGN_PLAIN);
        if (long_gap == NULL) {
            shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
            return false;
        }
        gap.data = long_gap;
    }
    const shoal_slice parts[] = {
        {old.data, offset < old.size ? offset : old.size},
        gap,
        part,
        {old.data + (end < old.size ? end : old.size), end < old.size ? old.size - end : 0},
    };
    int64_t at_ms = item == NULL ? -1 : shoal_item_expires_ms(item);
    shoal_err err = shoal_store_put_raw_parts_locked(call->thread, &call->keys[0],
                                                     (shoal_gather){parts, 4}, at_ms);
    shoal_memory_give(allocator, long_gap, gap.size, SHOAL_ALIGN_PLAIN);
    return shoal_call__stored(call, err);
}

void shoal_command__append(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    size_t size = item == NULL ? 0 : shoal_item_string_size(item);
    shoal_slice more = call->argv[2];
    if (!shoal_string__check_size(call, size + more.size)) return;
    if (item == NULL) {
        shoal_err err = shoal_store_put_locked(call->thread, &call->keys[0], more, -1);
        if (shoal_call__stored(call, err)) shoal_reply_integer(&call->reply, (int64_t)more.size);
        return;
    }
    if (shoal_string__patch(call, item, size, more))
        shoal_reply_integer(&call->reply, (int64_t)(size + more.size));
}

void shoal_command__setrange(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    int64_t offset;
    if (!shoal_call__integer(call, 2, &offset)) return;
    if (offset < 0) {
        shoal_reply_error(&call->reply, "ERR offset is out of range");
        return;
    }
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    shoal_slice part = call->argv[3];
    size_t size = item == NULL ? 0 : shoal_item_string_size(item);
    if (part.size != 0) {
        if (!shoal_string__check_size(call, (uint64_t)offset + part.size)) return;
        if (!shoal_string__patch(call, item, (size_t)offset, part)) return;
        if (size < (size_t)offset + part.size) size = (size_t)offset + part.size;
    }
    shoal_reply_integer(&call->reply, (int64_t)size);
}

void shoal_command__getrange(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->argc == 4);
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    int64_t first, last;
    if (!shoal_call__integer(call, 2, &first) || !shoal_call__integer(call, 3, &last)) return;
    const shoal_item *item;
    if (!shoal_call__look_string(call, 0, &item)) return;
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_slice text = {"", 0};
    if (item != NULL) text = shoal_item_string(item, scratch);

    int64_t size = (int64_t)text.size;
    bool crossed = first < 0 && last < 0 && first > last;
    if (first < 0) first = first + size < 0 ? 0 : first + size;
    if (last < 0) last = last + size < 0 ? 0 : last + size;
    if (last >= size) last = size - 1;
    if (crossed || first > last || size == 0) {
        shoal_reply_bulk(&call->reply, (shoal_slice){"", 0});
        return;
    }
    shoal_slice part = {text.data + first, (size_t)(last - first + 1)};
    shoal_reply_bulk(&call->reply, part);
}
