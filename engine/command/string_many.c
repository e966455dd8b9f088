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

/* False after writing an error. Without memory the keys before the one that found none are set:
 * the error says so. */
static bool put_all(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 1 + 2 * call->key_count);
    for (uint32_t i = 0; i < call->key_count; i++) {
        shoal_err err =
            shoal_store_put_locked(call->thread, &call->keys[i], call->argv[2 + 2 * i], -1);
        if (err == 0) continue;
        shoal_reply_errorf(&call->reply, "OOM no memory left; only the first %u keys are set", i);
        return false;
    }
    return true;
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
    for (uint32_t i = 0; i < call->key_count; i++) {
        if (shoal_call__find(call, i) == NULL) continue;
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    if (put_all(call)) shoal_reply_integer(&call->reply, 1);
}
