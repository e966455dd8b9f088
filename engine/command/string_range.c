/* SPDX-License-Identifier: MIT
 *
 * command/string_range.c - parts of strings: APPEND, GETRANGE, SETRANGE.
 */
#include "command/string.h"

#include "base/assert.h"

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
    const shoal_patch patch = {offset, part};
    SHOAL_ASSERT(call->key_count == 1);
    return shoal_call__stored(call,
                              shoal_store_patch_locked(call->thread, &call->keys[0], item, &patch));
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
