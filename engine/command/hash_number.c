/* SPDX-License-Identifier: MIT
 *
 * command/hash_number.c - fields that are numbers: HINCRBY, HINCRBYFLOAT. A field keeps its time to
 * live.
 */
#include "base/assert.h"
#include "command/collection.h"
#include "command/effect.h"
#include "command/extended.h"

/* Sets a field to `value`, in the place of `old` if it was there. */
static shoal_err set_number(shoal_call *call, shoal_edit *edit, bool found,
                            const shoal_table_entry *old, shoal_element value)
{
    SHOAL_DEBUG_ASSERT(call->argc == 4);
    shoal_table_entry entry = shoal_entry_of(call->argv[2]);
    entry.value = value;
    if (found) entry.deadline_ms = old->deadline_ms;
    bool added;
    return shoal_draft_put(&edit->draft, &entry, &added);
}

/* What HINCRBY makes of the field. False after writing an error. */
static bool sum_of(shoal_call *call, const shoal_element *value, int64_t delta, int64_t *sum)
{
    SHOAL_DEBUG_ASSERT(value->kind != SHOAL_ELEMENT_DOUBLE);
    if (value->kind != SHOAL_ELEMENT_INTEGER) {
        shoal_reply_error(&call->reply, "ERR hash value is not an integer");
        return false;
    }
    if (__builtin_add_overflow(value->integer, delta, sum)) {
        shoal_reply_error(&call->reply, "ERR increment or decrement would overflow");
        return false;
    }
    return true;
}

void shoal_command__hincrby(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    int64_t delta, sum = 0;
    if (!shoal_call__integer(call, 3, &delta)) return;
    shoal_edit edit;
    if (!shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit)) return;
    shoal_element name = shoal_element_of(call->argv[2]);
    shoal_table_entry old;
    bool found = shoal_edit__find(call, &edit, &name, &old);
    shoal_element value = found ? old.value : shoal_element_of_integer(0);
    if (!sum_of(call, &value, delta, &sum)) {
        (void)!shoal_edit__end(call, &edit);
        return;
    }
    shoal_err err = set_number(call, &edit, found, &old, shoal_element_of_integer(sum));
    if (shoal_edit__finish(call, &edit, err)) shoal_reply_integer(&call->reply, sum);
}

/* Puts `sum` as text and replies with it. */
static void put_float(shoal_call *call, shoal_edit *edit, bool found, const shoal_table_entry *old,
                      shoal_extended sum)
{
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    shoal_extended__append(sum, &text);
    shoal_slice digits = shoal_buffer_slice(&text);
    SHOAL_ASSERT(text.failed || digits.size > 0);
    shoal_err err = SHOAL_ERR_NO_MEMORY;
    if (!text.failed) err = set_number(call, edit, found, old, shoal_element_of(digits));
    int64_t at_ms = found ? old->deadline_ms : -1;
    if (shoal_edit__finish(call, edit, err)) {
        shoal_slice argv[4] = {shoal_text("HSET"), call->keys[0].name, call->argv[2], digits};
        shoal_effect_tell(call, argv, 4);
        if (at_ms >= 0) shoal_effect__date_field(call, call->argv[2], at_ms);
        shoal_reply_bulk(&call->reply, digits);
    }
    shoal_buffer_free(&text);
}

void shoal_command__hincrbyfloat(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    shoal_extended value = {0}, delta, sum;
    if (!shoal_extended__parse(call->argv[3], &delta)) {
        shoal_reply_error(&call->reply, "ERR value is not a valid float");
        return;
    }
    if (delta.infinite) {
        shoal_reply_error(&call->reply, "ERR value is NaN or Infinity");
        return;
    }
    shoal_edit edit;
    if (!shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit)) return;
    shoal_element name = shoal_element_of(call->argv[2]);
    shoal_table_entry old;
    bool found = shoal_edit__find(call, &edit, &name, &old);
    char scratch[32];
    const char *error = NULL;
    if (found && !shoal_extended__parse(shoal_element_text(&old.value, scratch), &value)) {
        error = "ERR hash value is not a float";
    } else if (!shoal_extended__add(value, delta, &sum)) {
        error = "ERR increment would produce NaN or Infinity";
    }
    if (error == NULL) {
        put_float(call, &edit, found, &old, sum);
        return;
    }
    shoal_reply_error(&call->reply, error);
    (void)!shoal_edit__end(call, &edit);
}
