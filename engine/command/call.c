/* SPDX-License-Identifier: MIT
 *
 * command/call.c - what many handlers share: reading arguments, looking up values, and errors.
 */
#include "base/assert.h"
#include "base/atomic.h"
#include "command/events.h"
#include "command/handlers.h"

/* Room for the longest full name, "cluster|count-failure-reports", and more. */
#define FULL_NAME_SIZE 64

bool shoal_call__integer(shoal_call *call, uint32_t index, int64_t *value)
{
    SHOAL_ASSERT(index < call->argc);
    if (shoal_text_to_i64(call->argv[index], value)) return true;
    shoal_reply_error(&call->reply, SHOAL_ERROR__INTEGER);
    return false;
}

static size_t put_name(const char *name, char *out, size_t at, size_t size)
{
    SHOAL_ASSERT(at < size);
    for (; *name != '\0' && at + 1 < size; name++) out[at++] = *name;
    out[at] = '\0';
    return at;
}

void shoal_command__full_name(const shoal_command *command, char *out, size_t size)
{
    SHOAL_ASSERT(size > 0);
    size_t at = 0;
    if (command->parent != SHOAL_COMMAND_NONE) {
        at = put_name(shoal_command_row(command->parent)->name, out, at, size);
        at = put_name("|", out, at, size);
    }
    put_name(command->name, out, at, size);
}

void shoal_reply__arity(shoal_reply *reply, const shoal_command *command)
{
    SHOAL_ASSERT(command != NULL);
    char name[FULL_NAME_SIZE];
    shoal_command__full_name(command, name, sizeof(name));
    shoal_reply_errorf(reply, "ERR wrong number of arguments for '%s' command", name);
}

void shoal_call__arity(shoal_call *call)
{
    SHOAL_ASSERT(call->argc > 0);
    shoal_reply__arity(&call->reply, call->command);
}

const shoal_settings *shoal_call__settings(const shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->env != NULL);
    /* pair: env.settings */
    return shoal_load_acquire(&call->env->settings);
}

/* ---- values ---- */

static bool check_string(shoal_call *call, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(call->key_count > 0);
    if (item == NULL || shoal_item_type(item) == SHOAL_TYPE_STRING) return true;
    shoal_reply_error(&call->reply, SHOAL_ERROR__TYPE);
    return false;
}

/* The item of key `index` for a reader; what it finds expired goes, as with Redis. */
static const shoal_item *read_key(shoal_call *call, uint32_t index)
{
    SHOAL_ASSERT(index < call->key_count);
    const shoal_key *key = &call->keys[index];
    if (call->gated) return shoal_store_get_locked(call->thread, key);
    const shoal_item *item = shoal_store_get(call->thread, key);
    if (item == NULL && !shoal_load_relaxed(&call->env->paused))
        shoal_store_reap(call->thread, key);
    return item;
}

/* Is it an object of this type, and the gate not held? Then the call is run again with it. */
static bool wants_gate(shoal_call *call, const shoal_item *item, shoal_value_type type)
{
    if (item == NULL || !shoal_item_is_object(item) || shoal_item_type(item) != type) return false;
    if (call->gated) return false;
    SHOAL_ASSERT(call->command->executor == SHOAL_RUN_READ);
    call->wants_gates = true;
    return true;
}

const shoal_item *shoal_call__peek(shoal_call *call, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(call->store != NULL);
    shoal_thread_set_quiet(call->thread, true);
    const shoal_item *item = shoal_call__look(call, index);
    shoal_thread_set_quiet(call->thread, false);
    return item;
}

void shoal_call__met(const shoal_call *call, uint32_t index, bool found)
{
    SHOAL_DEBUG_ASSERT(index < call->key_count);
    shoal_thread_count_lookup(call->thread, found);
    if (!found && shoal_events__wanted(call->env)) shoal_events__miss(call, index);
}

const shoal_item *shoal_call__look(shoal_call *call, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(call->store != NULL);
    const shoal_item *item = read_key(call, index);
    shoal_call__met(call, index, item != NULL);
    return item;
}

bool shoal_call__look_text(shoal_call *call, uint32_t index, const shoal_item **item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    *item = read_key(call, index);
    if (__builtin_expect(wants_gate(call, *item, SHOAL_TYPE_STRING), 0)) return false;
    shoal_call__met(call, index, *item != NULL);
    return true;
}

bool shoal_call__look_string(shoal_call *call, uint32_t index, const shoal_item **item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    return shoal_call__look_text(call, index, item) && check_string(call, *item);
}

const shoal_item *shoal_call__find(shoal_call *call, uint32_t index)
{
    SHOAL_ASSERT(index < call->key_count);
    return shoal_store_get_locked(call->thread, &call->keys[index]);
}

bool shoal_call__find_string(shoal_call *call, uint32_t index, const shoal_item **item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    *item = shoal_call__find(call, index);
    return check_string(call, *item);
}

bool shoal_call__look_compound(shoal_call *call, uint32_t index, shoal_value_type type,
                               shoal_compound *value)
{
    SHOAL_ASSERT(index < call->key_count);
    *value = (shoal_compound){.object = NULL};
    const shoal_item *item = read_key(call, index);
    if (wants_gate(call, item, type)) return false;
    shoal_call__met(call, index, item != NULL);
    if (item == NULL) return true;
    if (shoal_item_type(item) != type) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__TYPE);
        return false;
    }
    *value = shoal_item_compound(item);
    return true;
}

bool shoal_call__find_compound(shoal_call *call, uint32_t index, shoal_value_type type,
                               const shoal_item **item, shoal_compound *value)
{
    SHOAL_ASSERT(call->gated);
    *value = (shoal_compound){.object = NULL};
    *item = shoal_call__find(call, index);
    if (*item == NULL) return true;
    if (shoal_item_type(*item) != type) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__TYPE);
        return false;
    }
    *value = shoal_item_compound(*item);
    return true;
}

void shoal_call__reply_string(shoal_call *call, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(item == NULL || shoal_item_type(item) == SHOAL_TYPE_STRING);
    if (item == NULL) {
        shoal_reply_null(&call->reply);
        return;
    }
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_reply_bulk(&call->reply, shoal_item_string(item, scratch));
}

bool shoal_call__stored(shoal_call *call, shoal_err err)
{
    if (err == 0) return true;
    SHOAL_ASSERT(err == SHOAL_ERR_NO_MEMORY);
    shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    return false;
}

bool shoal_call__ready(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->gated);
    if ((call->command->flags & SHOAL_FLAG_WRITE) == 0 || shoal_thread_reserve(call->thread))
        return true;
    shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    return false;
}
