/* SPDX-License-Identifier: MIT
 *
 * command/string_many.c - several keys at once: MGET, MSET, MSETNX. They run with the gates of all
 * their keys held, and readers of those slots queue meanwhile, so nobody sees half of an MSET.
 */
#include "base/assert.h"
#include "command/handlers.h"

void shoal_command__mget(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count == call->argc - 1);
    shoal_reply_array(&call->reply, call->key_count);
    for (uint32_t i = 0; i < call->key_count; i++) {
        const shoal_item *item = shoal_call__look(call, i);
        bool is_string = item != NULL && shoal_item_type(item) == SHOAL_TYPE_STRING;
        shoal_call__reply_string(call, is_string ? item : NULL);
    }
}

/* Puts all pairs or none. False after writing an error. */
static bool put_all(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 1 + 2 * call->key_count);
    const shoal_put_many pairs = {.keys = call->keys,
                                  .values = call->argv + 2,
                                  .count = call->key_count,
                                  .value_step = 2,
                                  .expires_ms = -1};
    return shoal_call__stored(call, shoal_store_put_many_locked(call->thread, &pairs));
}

/* How many of the keys exist. */
static uint32_t count_existing(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count > 0);
    uint32_t found = 0;
    for (uint32_t i = 0; i < call->key_count; i++) found += shoal_call__find(call, i) != NULL;
    return found;
}

void shoal_command__mset(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count > 0);
    if (call->argc % 2 == 0) {
        shoal_call__arity(call);
        return;
    }
    if (put_all(call)) shoal_reply_ok(&call->reply);
}

void shoal_command__msetnx(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count > 0);
    if (call->argc % 2 == 0) {
        shoal_call__arity(call);
        return;
    }
    if (count_existing(call) != 0) {
        shoal_reply_integer(&call->reply, 0);
    } else if (put_all(call)) {
        shoal_reply_integer(&call->reply, 1);
    }
}
