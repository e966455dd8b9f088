/* SPDX-License-Identifier: MIT
 *
 * command/string_set.c - SET and GETEX with their options, SETEX and PSETEX.
 */
#include "base/assert.h"
#include "command/condition.h"
#include "command/deadline.h"
#include "command/effect.h"
#include "command/handlers.h"

/* The options of SET and GETEX. Zero: none. */
typedef struct set_options {
    bool if_absent, if_present; /* NX, XX */
    bool get;
    bool keep_ttl;
    bool persist;
    uint32_t ttl_index; /* argument with the time to live, 0: none */
    shoal_condition condition;
    uint32_t operand_index; /* argument that the condition compares with */
    shoal_deadline_unit unit;
} set_options;

/* Takes EX, PX, EXAT or PXAT and its number. One that is repeated counts as it was last; two
 * different ones make no sense. */
static bool take_ttl(const shoal_call *call, uint32_t *index, set_options *options)
{
    SHOAL_DEBUG_ASSERT(*index < call->argc);
    shoal_deadline_unit unit;
    if (*index + 1 == call->argc || !shoal_deadline__word(call->argv[*index], &unit)) return false;
    bool same = unit.seconds == options->unit.seconds && unit.absolute == options->unit.absolute;
    if (options->ttl_index != 0 && !same) return false;
    options->unit = unit;
    options->ttl_index = ++*index;
    return true;
}

/* ---- SET ---- */

/* Takes IFEQ or one of its kin, and its operand. */
static bool take_condition(const shoal_call *call, uint32_t *index, set_options *options)
{
    SHOAL_DEBUG_ASSERT(*index < call->argc);
    if (options->condition != SHOAL_CONDITION__NONE || *index + 1 == call->argc) return false;
    options->condition = shoal_condition__word(call->argv[*index]);
    options->operand_index = ++*index;
    return !options->if_absent && !options->if_present;
}

/* Takes option `*index`, and its argument. False when it makes no sense. */
static bool take_set_option(const shoal_call *call, uint32_t *index, set_options *options)
{
    SHOAL_DEBUG_ASSERT(*index < call->argc);
    if (shoal_call__word(call, *index, "nx")) {
        options->if_absent = true;
        return !options->if_present && options->condition == SHOAL_CONDITION__NONE;
    }
    if (shoal_call__word(call, *index, "xx")) {
        options->if_present = true;
        return !options->if_absent && options->condition == SHOAL_CONDITION__NONE;
    }
    if (shoal_call__word(call, *index, "get")) {
        options->get = true;
        return true;
    }
    if (shoal_call__word(call, *index, "keepttl")) {
        options->keep_ttl = true;
        return options->ttl_index == 0;
    }
    if (shoal_condition__word(call->argv[*index]) != SHOAL_CONDITION__NONE)
        return take_condition(call, index, options);
    return !options->keep_ttl && take_ttl(call, index, options);
}

static bool parse_set(shoal_call *call, set_options *options)
{
    SHOAL_DEBUG_ASSERT(call->argc > 3);
    for (uint32_t i = 3; i < call->argc; i++) {
        if (take_set_option(call, &i, options)) continue;
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    return true;
}

/* Puts `value` and tells it; a deadline that has passed leaves no key. */
static shoal_err put_until(shoal_call *call, shoal_slice value, int64_t at_ms)
{
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    if (at_ms >= 0 && shoal_deadline__past(call, at_ms)) {
        if (shoal_store_remove_locked(call->thread, &call->keys[0]))
            shoal_effect__del(call, 0, false);
        return 0;
    }
    shoal_err err = shoal_store_put_locked(call->thread, &call->keys[0], value, at_ms);
    if (err == 0 && at_ms >= 0) shoal_effect__set(call, 0, value, at_ms);
    return err;
}

/* Tells a SET without a deadline of its own as Redis does: without GET. A condition that Redis does
 * not know has been met. */
static void tell_set(shoal_call *call, const set_options *options)
{
    SHOAL_ASSERT(options->ttl_index == 0);
    if (!options->get && options->condition == SHOAL_CONDITION__NONE) return;
    shoal_slice argv[6] = {call->argv[0], call->argv[1], call->argv[2]};
    uint32_t argc = 3;
    if (options->if_absent) argv[argc++] = shoal_text("nx");
    if (options->if_present) argv[argc++] = shoal_text("xx");
    if (options->keep_ttl) argv[argc++] = shoal_text("keepttl");
    shoal_effect_tell(call, argv, argc);
}

/* As put_until, for a SET that is allowed. */
static shoal_err put_with(shoal_call *call, const set_options *options, int64_t at_ms,
                          const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(call->argc > 3);
    if (options->ttl_index != 0) return put_until(call, call->argv[2], at_ms);
    if (options->keep_ttl && item != NULL) at_ms = shoal_item_expires_ms(item);
    shoal_err err = shoal_store_put_locked(call->thread, &call->keys[0], call->argv[2], at_ms);
    if (err == 0) tell_set(call, options);
    return err;
}

static void set_with(shoal_call *call, const set_options *options)
{
    SHOAL_ASSERT(!(options->if_absent && options->if_present));
    SHOAL_ASSERT(options->ttl_index < call->argc);
    SHOAL_ASSERT(options->ttl_index == 0 || !options->keep_ttl);
    int64_t at_ms = -1;
    if (options->ttl_index != 0 &&
        !shoal_deadline__argument(call, options->ttl_index, options->unit, &at_ms))
        return;

    const shoal_item *item;
    if (options->get || options->condition != SHOAL_CONDITION__NONE) {
        if (!shoal_call__find_string(call, 0, &item)) return;
        if (options->get) shoal_call__met(call, 0, item != NULL);
    } else {
        item = shoal_call__find(call, 0);
    }
    bool allowed = item == NULL ? !options->if_present : !options->if_absent;
    if (options->condition != SHOAL_CONDITION__NONE &&
        !shoal_condition__check(call, item, options->condition, call->argv[options->operand_index],
                                &allowed))
        return;
    if (allowed && !shoal_call__stored(call, put_with(call, options, at_ms, item))) return;
    if (options->get) {
        shoal_call__reply_string(call, item);
    } else if (allowed) {
        shoal_reply_ok(&call->reply);
    } else {
        shoal_reply_null(&call->reply);
    }
}

void shoal_command__set(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->argc >= 3);
    if (call->argc == 3) {
        shoal_err err = shoal_store_put_locked(call->thread, &call->keys[0], call->argv[2], -1);
        if (shoal_call__stored(call, err)) shoal_reply_ok(&call->reply);
        return;
    }
    set_options options = {0};
    if (parse_set(call, &options)) set_with(call, &options);
}

void shoal_command__setex(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    shoal_deadline_unit unit = {.seconds = call->command->id == SHOAL_COMMAND_SETEX};
    int64_t at_ms;
    if (!shoal_deadline__argument(call, 2, unit, &at_ms)) return;
    if (shoal_call__stored(call, put_until(call, call->argv[3], at_ms)))
        shoal_reply_ok(&call->reply);
}

/* ---- GETEX ---- */

static bool parse_getex(shoal_call *call, set_options *options)
{
    SHOAL_ASSERT(call->argc >= 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        if (shoal_call__word(call, i, "persist") && options->ttl_index == 0) {
            options->persist = true;
        } else if (options->persist || !take_ttl(call, &i, options)) {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return false;
        }
    }
    return true;
}

void shoal_command__getex(shoal_call *call)
{
    set_options options = {0};
    SHOAL_ASSERT(!options.persist || options.ttl_index == 0);
    if (!parse_getex(call, &options)) return;
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    shoal_call__met(call, 0, item != NULL);
    if (item == NULL) {
        shoal_reply_null(&call->reply);
        return;
    }
    int64_t at_ms = -1;
    if (options.ttl_index != 0 &&
        !shoal_deadline__argument(call, options.ttl_index, options.unit, &at_ms))
        return;

    if (at_ms >= 0 && shoal_deadline__past(call, at_ms)) {
        shoal_store_remove_locked(call->thread, &call->keys[0]);
        shoal_effect__del(call, 0, shoal_call__settings(call)->lazy_expire);
    } else if (at_ms >= 0 || (options.persist && shoal_item_expires_ms(item) >= 0)) {
        shoal_err err = shoal_store_expire_locked(call->thread, &call->keys[0], at_ms);
        if (!shoal_call__stored(call, err)) return;
        if (at_ms >= 0) {
            shoal_effect__expire(call, at_ms, (shoal_effect_rest){0, 0});
        } else {
            shoal_effect_tell(call, (shoal_slice[]){shoal_text("PERSIST"), call->keys[0].name}, 2);
        }
    }
    shoal_call__reply_string(call, item);
}
