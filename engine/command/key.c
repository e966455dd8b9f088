/* SPDX-License-Identifier: MIT
 *
 * command/key.c - keys whatever their value: existence, removal, names, kinds and sizes.
 */
#include "base/assert.h"
#include "command/freed.h"
#include "command/handlers.h"

/* Is freeing the value under key `index` worth waiting for? */
static bool is_large(shoal_call *call, uint32_t index)
{
    const shoal_item *item = shoal_call__find(call, index);
    SHOAL_DEBUG_ASSERT(call->gated);
    if (item == NULL || !shoal_item_is_object(item)) return false;
    shoal_compound value = shoal_item_compound(item);
    return shoal_value_ops_of(shoal_item_type(item))->count(&value) > SHOAL_LAZY_ELEMENTS;
}

/* DEL and UNLINK. With lazyfree-lazy-user-del off, the reply to a DEL of something large waits
 * until its memory is free. */
void shoal_command__del(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count > 0);
    bool may_wait = call->command->id == SHOAL_COMMAND_DEL && !call->whole &&
                    !shoal_call__settings(call)->lazy_user_del;
    bool waits = false;
    int64_t removed = 0;
    for (uint32_t i = 0; i < call->key_count; i++) {
        waits = waits || (may_wait && is_large(call, i));
        removed += shoal_store_remove_locked(call->thread, &call->keys[i]);
    }
    shoal_reply_integer(&call->reply, removed);
    if (!waits) return;
    shoal_freed *freed = shoal_freed__make(call->env);
    /* Without memory for the waiting it does not wait. */
    if (freed == NULL) return;
    shoal_freed__add_own(freed, call);
    freed->job.answered = true;
    call->job = &freed->job;
}

/* EXISTS and TOUCH: a key that is named twice counts twice. Only TOUCH is a use. */
void shoal_command__exists(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count > 0);
    int64_t found = 0;
    bool touches = call->command->id == SHOAL_COMMAND_TOUCH;
    for (uint32_t i = 0; i < call->key_count; i++)
        found += (touches ? shoal_call__look(call, i) : shoal_call__peek(call, i)) != NULL;
    shoal_reply_integer(&call->reply, found);
}

void shoal_command__type(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    const shoal_item *item = shoal_call__peek(call, 0);
    shoal_value_type type = item == NULL ? SHOAL_TYPE_NONE : shoal_item_type(item);
    shoal_reply_status(&call->reply, shoal_value_type_name(type));
}

/* ---- another name ---- */

static bool same_key(const shoal_key *a, const shoal_key *b)
{
    return a->place == b->place && shoal_text_equal(a->name, b->name);
}

void shoal_command__rename(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 2);
    bool only_if_free = call->command->id == SHOAL_COMMAND_RENAMENX;
    const shoal_item *item = shoal_call__find(call, 0);
    if (item == NULL) {
        shoal_reply_error(&call->reply, "ERR no such key");
        return;
    }
    bool same = same_key(&call->keys[0], &call->keys[1]);
    if (only_if_free && (same || shoal_call__find(call, 1) != NULL)) {
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    if (!same) {
        shoal_err err = shoal_store_rename_locked(call->thread, &call->keys[0], &call->keys[1]);
        if (!shoal_call__stored(call, err)) return;
    }
    if (only_if_free) {
        shoal_reply_integer(&call->reply, 1);
    } else {
        shoal_reply_ok(&call->reply);
    }
}

/* Checks the database that COPY or MOVE names; the second key was made for it when the request was
 * looked up. */
static bool check_other_db(shoal_call *call, uint32_t index)
{
    SHOAL_ASSERT(index < call->argc);
    int64_t db;
    if (!shoal_call__integer(call, index, &db)) return false;
    const shoal_settings *settings = shoal_call__settings(call);
    if (db < 0 || db >= settings->databases || (settings->cluster && db != 0)) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__NO_DATABASE);
        return false;
    }
    return true;
}

void shoal_command__copy(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 2);
    bool replace = false, placed = false;
    for (uint32_t i = 3; i < call->argc; i++) {
        if (shoal_call__word(call, i, "replace")) {
            replace = true;
        } else if (!placed && i + 1 < call->argc && shoal_call__word(call, i, "db")) {
            if (!check_other_db(call, ++i)) return;
            placed = true;
        } else {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return;
        }
    }
    if (same_key(&call->keys[0], &call->keys[1])) {
        shoal_reply_error(&call->reply, "ERR source and destination objects are the same");
        return;
    }
    const shoal_item *item = shoal_call__find(call, 0);
    bool possible = item != NULL && (replace || shoal_call__find(call, 1) == NULL);
    if (possible) {
        shoal_err err = shoal_store_copy_locked(call->thread, item, &call->keys[1],
                                                shoal_item_expires_ms(item));
        if (!shoal_call__stored(call, err)) return;
    }
    shoal_reply_integer(&call->reply, possible);
}

void shoal_command__move(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 2);
    if (shoal_call__settings(call)->cluster) {
        shoal_reply_error(&call->reply, "ERR MOVE is not allowed in cluster mode");
        return;
    }
    if (!check_other_db(call, 2)) return;
    if (same_key(&call->keys[0], &call->keys[1])) {
        shoal_reply_error(&call->reply, "ERR source and destination objects are the same");
        return;
    }
    const shoal_item *item = shoal_call__find(call, 0);
    bool possible = item != NULL && shoal_call__find(call, 1) == NULL;
    if (possible) {
        shoal_err err = shoal_store_rename_locked(call->thread, &call->keys[0], &call->keys[1]);
        if (!shoal_call__stored(call, err)) return;
    }
    shoal_reply_integer(&call->reply, possible);
}

/* ---- how a value is kept ---- */

void shoal_command__object_encoding(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    const shoal_item *item = shoal_store_peek(call->thread, &call->keys[0]);
    if (item == NULL) {
        shoal_reply_null(&call->reply);
        return;
    }
    shoal_value_type type = shoal_item_type(item);
    if (type == SHOAL_TYPE_STRING) {
        shoal_reply_text(&call->reply, shoal_item_encoding(item));
        return;
    }
    if (shoal_item_is_object(item) && !call->gated) {
        call->wants_gates = true;
        return;
    }
    shoal_compound value = shoal_item_compound(item);
    shoal_reply_text(&call->reply, shoal_value_ops_of(type)->encoding(&value));
}

/* Clients know the integers from 0 on that Redis keeps once for all keys by this many owners. */
#define SHARED_INTEGERS 10000
#define SHARED_COUNT INT32_MAX

void shoal_command__object_refcount(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    const shoal_item *item = shoal_store_peek(call->thread, &call->keys[0]);
    if (item == NULL) {
        shoal_reply_null(&call->reply);
    } else {
        int64_t value;
        bool shared = shoal_call__settings(call)->integers_shared &&
                      shoal_item_integer(item, &value) && value >= 0 && value < SHARED_INTEGERS;
        shoal_reply_integer(&call->reply, shared ? SHARED_COUNT : 1);
    }
}

void shoal_command__memory_usage(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    for (uint32_t i = 3; i < call->argc; i++) {
        int64_t samples;
        if (i + 1 == call->argc || !shoal_call__word(call, i, "samples")) {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return;
        }
        if (!shoal_call__integer(call, ++i, &samples)) return;
        if (samples < 0) {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return;
        }
    }
    const shoal_item *item = shoal_store_get(call->thread, &call->keys[0]);
    if (item == NULL) {
        shoal_reply_null(&call->reply);
        return;
    }
    int64_t bytes = (int64_t)shoal_item_memory(call->store, item);
    if (shoal_item_is_object(item)) {
        if (!call->gated) {
            call->wants_gates = true;
            return;
        }
        bytes += shoal_item_compound(item).object->bytes;
    }
    shoal_reply_integer(&call->reply, bytes);
}
