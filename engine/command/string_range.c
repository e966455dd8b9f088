/* SPDX-License-Identifier: MIT
 *
 * command/string_range.c - parts of strings: APPEND, GETRANGE, SETRANGE.
 */
#include <string.h>

#include "base/assert.h"
#include "command/handlers.h"

/* Results of this size are built on the stack. Chosen. */
#define BUILD_SMALL 512u

/* False after writing an error: the result would be longer than a string may be. */
static bool check_size(shoal_call *call, uint64_t size)
{
    uint64_t max = shoal_call__settings(call)->bulk_size_max;
    if (max > SHOAL_VALUE_SIZE_MAX) max = SHOAL_VALUE_SIZE_MAX;
    if (size <= max) return true;
    shoal_reply_error(&call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

/* Puts a string of `size` bytes in place of `item`: `old`, zeros where it has nothing, and over
 * that `part` from `offset` on. Keeps the time to live. Replies with the size. */
static void put_patched(shoal_call *call, const shoal_item *item, size_t offset, shoal_slice part)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_slice old = {NULL, 0};
    if (item != NULL) old = shoal_item_string(item, scratch);
    size_t size = offset + part.size > old.size ? offset + part.size : old.size;
    SHOAL_ASSERT(size > 0);

    char small[BUILD_SMALL];
    const shoal_allocator *allocator = &call->env->allocator;
    char *built = small;
    if (size > sizeof(small)) built = allocator->allocate(allocator->context, size, 8);
    if (built == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    if (old.size != 0) memcpy(built, old.data, old.size);
    if (offset > old.size) memset(built + old.size, 0, offset - old.size);
    memcpy(built + offset, part.data, part.size);
    int64_t at_ms = item == NULL ? -1 : shoal_item_expires_ms(item);
    shoal_err err =
        shoal_store_put_raw_locked(call->thread, &call->keys[0], (shoal_slice){built, size}, at_ms);
    if (built != small) allocator->release(allocator->context, built, size, 8);
    if (shoal_call__stored(call, err)) shoal_reply_integer(&call->reply, (int64_t)size);
}

void shoal_command__append(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    size_t size = item == NULL ? 0 : shoal_item_string_size(item);
    shoal_slice more = call->argv[2];
    if (!check_size(call, size + more.size)) return;
    if (item == NULL) {
        shoal_err err = shoal_store_put_locked(call->thread, &call->keys[0], more, -1);
        if (shoal_call__stored(call, err)) shoal_reply_integer(&call->reply, (int64_t)more.size);
        return;
    }
    put_patched(call, item, size, more);
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
    if (part.size == 0) {
        size_t size = item == NULL ? 0 : shoal_item_string_size(item);
        shoal_reply_integer(&call->reply, (int64_t)size);
        return;
    }
    if (check_size(call, (uint64_t)offset + part.size))
        put_patched(call, item, (size_t)offset, part);
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
