/* SPDX-License-Identifier: MIT
 *
 * command/string.c - strings as a whole: reading them and putting them, one key at a time. SET
 * with its options stands in string_set.c, parts of strings in string_range.c, numbers in
 * string_number.c, several keys in string_many.c.
 */
#include "base/assert.h"
#include "command/effect.h"
#include "command/handlers.h"

void shoal_command__get(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    const shoal_item *item;
    if (shoal_call__look_string(call, 0, &item)) shoal_call__reply_string(call, item);
}

void shoal_command__strlen(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    const shoal_item *item;
    if (!shoal_call__look_string(call, 0, &item)) return;
    size_t size = item == NULL ? 0 : shoal_item_string_size(item);
    shoal_reply_integer(&call->reply, (int64_t)size);
}

void shoal_command__setnx(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    bool free_name = shoal_call__find(call, 0) == NULL;
    if (free_name) {
        shoal_err err = shoal_store_put_locked(call->thread, &call->keys[0], call->argv[2], -1);
        if (!shoal_call__stored(call, err)) return;
    }
    shoal_reply_integer(&call->reply, free_name);
}

void shoal_command__getset(shoal_call *call)
{
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    shoal_call__met(call, 0, item != NULL);
    /* The old item stays readable until the batch ends, so the reply may come second. */
    shoal_err err = shoal_store_put_locked(call->thread, &call->keys[0], call->argv[2], -1);
    SHOAL_ASSERT(call->argc == 3);
    if (!shoal_call__stored(call, err)) return;
    shoal_effect__set(call, 0, call->argv[2], -1);
    shoal_call__reply_string(call, item);
}

void shoal_command__getdel(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    shoal_call__met(call, 0, item != NULL);
    shoal_call__reply_string(call, item);
    if (item != NULL && shoal_store_remove_locked(call->thread, &call->keys[0]))
        shoal_effect__del(call, 0, shoal_call__settings(call)->lazy_user_del);
}
