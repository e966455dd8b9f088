/* SPDX-License-Identifier: MIT
 *
 * command/string_number.c - strings that are numbers: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.
 */
#include "base/assert.h"
#include "command/effect.h"
#include "command/extended.h"
#include "command/handlers.h"

/* What the command adds. False after writing an error. */
static bool delta_of(shoal_call *call, int64_t *delta)
{
    SHOAL_DEBUG_ASSERT(call->argc == 2 || call->argc == 3);
    shoal_command_id id = call->command->id;
    if (id == SHOAL_COMMAND_INCR || id == SHOAL_COMMAND_DECR) {
        *delta = id == SHOAL_COMMAND_INCR ? 1 : -1;
        return true;
    }
    if (!shoal_call__integer(call, 2, delta)) return false;
    if (id == SHOAL_COMMAND_INCRBY) return true;
    if (*delta == INT64_MIN) {
        shoal_reply_error(&call->reply, "ERR decrement would overflow");
        return false;
    }
    *delta = -*delta;
    return true;
}

/* The integer that a string is: kept as one, or spelled by bytes that were edited. */
static bool integer_of(const shoal_item *item, int64_t *value)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) == SHOAL_TYPE_STRING);
    if (shoal_item_integer(item, value)) return true;
    char scratch[SHOAL_INT_TEXT_SIZE];
    return shoal_text_to_i64(shoal_item_string(item, scratch), value);
}

void shoal_command__incr(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count == 1);
    int64_t delta, value = 0, sum;
    if (!delta_of(call, &delta)) return;
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    if (item != NULL && !integer_of(item, &value)) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__INTEGER);
        return;
    }
    if (__builtin_add_overflow(value, delta, &sum)) {
        shoal_reply_error(&call->reply, "ERR increment or decrement would overflow");
        return;
    }
    int64_t at_ms = item == NULL ? -1 : shoal_item_expires_ms(item);
    shoal_err err = shoal_store_put_integer_locked(call->thread, &call->keys[0], sum, at_ms);
    if (shoal_call__stored(call, err)) shoal_reply_integer(&call->reply, sum);
}

/* Puts `sum` as text and replies with it. */
static void put_float(shoal_call *call, shoal_extended sum, int64_t at_ms)
{
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    shoal_extended__append(sum, &text);
    shoal_slice digits = shoal_buffer_slice(&text);
    shoal_err err = SHOAL_ERR_NO_MEMORY;
    if (!text.failed)
        err = shoal_store_put_text_locked(call->thread, &call->keys[0], digits, at_ms);
    if (shoal_call__stored(call, err)) {
        shoal_slice argv[4] = {shoal_text("SET"), call->keys[0].name, digits,
                               shoal_text("KEEPTTL")};
        shoal_effect_tell(call, argv, 4);
        shoal_reply_bulk(&call->reply, digits);
    }
    shoal_buffer_free(&text);
}

void shoal_command__incrbyfloat(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    shoal_extended value = {0}, delta, sum;
    const shoal_item *item;
    if (!shoal_call__find_string(call, 0, &item)) return;
    char scratch[SHOAL_INT_TEXT_SIZE];
    bool valid = shoal_extended__parse(call->argv[2], &delta);
    if (item != NULL)
        valid = valid && shoal_extended__parse(shoal_item_string(item, scratch), &value);
    if (!valid) {
        shoal_reply_error(&call->reply, "ERR value is not a valid float");
    } else if (!shoal_extended__add(value, delta, &sum)) {
        shoal_reply_error(&call->reply, "ERR increment would produce NaN or Infinity");
    } else {
        put_float(call, sum, item == NULL ? -1 : shoal_item_expires_ms(item));
    }
}
