/* SPDX-License-Identifier: MIT
 *
 * command/string_many.c - several keys at once: MGET, MSET, MSETNX, MSETEX. They run with the gates
 * of all their keys held, and readers of those slots queue meanwhile, so nobody sees half of an
 * MSET.
 */
#include "base/assert.h"
#include "command/deadline.h"
#include "command/effect.h"
#include "store/places.h"

void shoal_command__mget(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count == call->argc - 1);
    for (uint32_t i = 0; i < call->key_count; i++) {
        const shoal_item *item;
        /* With several keys the gates are held. */
        if (!shoal_call__look_text(call, i, &item)) return;
        if (i == 0) shoal_reply_array(&call->reply, call->key_count);
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

/* ---- MSETEX ---- */

/* The options behind the pairs. Zero: none. */
typedef struct many_options {
    bool if_absent, if_present, keep_ttl;
    uint32_t ttl_index; /* argument with the time to live, 0: none */
    shoal_deadline_unit unit;
} many_options;

/* Takes option `*index`, and its argument. False when it makes no sense. */
static bool take_option(const shoal_call *call, uint32_t *index, many_options *options)
{
    SHOAL_ASSERT(*index < call->argc);
    if (shoal_call__word(call, *index, "nx")) {
        options->if_absent = true;
        return !options->if_present;
    }
    if (shoal_call__word(call, *index, "xx")) {
        options->if_present = true;
        return !options->if_absent;
    }
    if (options->keep_ttl || options->ttl_index != 0) return false;
    if (shoal_call__word(call, *index, "keepttl")) {
        options->keep_ttl = true;
        return true;
    }
    if (*index + 1 == call->argc || !shoal_deadline__word(call->argv[*index], &options->unit))
        return false;
    options->ttl_index = ++*index;
    return true;
}

/* Reads the number of pairs and the options. False after writing an error. */
static bool parse_msetex(shoal_call *call, many_options *options)
{
    int64_t count;
    SHOAL_ASSERT(call->argc >= 4);
    if (!shoal_text_to_i64(call->argv[1], &count) || count < 1 || count > INT32_MAX) {
        shoal_reply_error(&call->reply, "ERR invalid numkeys value");
        return false;
    }
    if (call->key_count != count) {
        shoal_reply_error(&call->reply, "ERR wrong number of key-value pairs");
        return false;
    }
    for (uint32_t i = 2 + 2 * call->key_count; i < call->argc; i++) {
        if (take_option(call, &i, options)) continue;
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    return true;
}

/* Removes all keys: they are set, and their time has come already. */
static void remove_all(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count > 0);
    call->effect = SHOAL_EFFECT__NONE;
    for (uint32_t i = 0; i < call->key_count; i++) {
        if (shoal_store_remove_locked(call->thread, &call->keys[i]))
            shoal_effect__del(call, i, false);
    }
}

/* Tells an MSETEX in words that Redis knows. */
static void tell_all(shoal_call *call, const many_options *options, int64_t at_ms)
{
    SHOAL_ASSERT(!(options->keep_ttl && at_ms >= 0));
    for (uint32_t i = 0; i < call->key_count; i++) {
        shoal_slice value = call->argv[3 + 2 * i];
        shoal_slice argv[4] = {shoal_text("SET"), call->keys[i].name, value, shoal_text("KEEPTTL")};
        if (options->keep_ttl) {
            shoal_effect_tell(call, argv, 4);
        } else {
            shoal_effect__set(call, i, value, at_ms);
        }
    }
}

void shoal_command__msetex(shoal_call *call)
{
    many_options options = {0};
    int64_t at_ms = -1;
    if (!parse_msetex(call, &options)) return;
    if (options.ttl_index != 0 &&
        !shoal_deadline__argument(call, options.ttl_index, options.unit, &at_ms))
        return;
    SHOAL_ASSERT(!(options.keep_ttl && at_ms >= 0));
    uint32_t existing = options.if_absent || options.if_present ? count_existing(call) : 0;
    if ((options.if_absent && existing != 0) ||
        (options.if_present && existing != call->key_count)) {
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    const shoal_put_many pairs = {.keys = call->keys,
                                  .values = call->argv + 3,
                                  .count = call->key_count,
                                  .value_step = 2,
                                  .expires_ms = at_ms,
                                  .keep_ttl = options.keep_ttl};
    if (at_ms >= 0 && shoal_deadline__past(call, at_ms)) {
        remove_all(call);
    } else if (!shoal_call__stored(call, shoal_store_put_many_locked(call->thread, &pairs))) {
        return;
    } else {
        tell_all(call, &options, at_ms);
    }
    shoal_reply_integer(&call->reply, 1);
}
