/* SPDX-License-Identifier: MIT
 *
 * command/list.c - pushing to lists, popping from them, and reading them.
 */
#include "command/list.h"

#include "base/assert.h"

void shoal_lists__reply_element(shoal_reply *reply, const shoal_element *element)
{
    SHOAL_DEBUG_ASSERT(element->kind != SHOAL_ELEMENT_DOUBLE);
    if (element->kind == SHOAL_ELEMENT_BYTES) {
        shoal_reply_bulk(reply, element->bytes);
    } else {
        shoal_reply_bulk_integer(reply, element->integer);
    }
}

bool shoal_lists__end_word(const shoal_call *call, uint32_t index, shoal_list_end *end)
{
    SHOAL_ASSERT(index < call->argc);
    *end = SHOAL_LIST_HEAD;
    if (shoal_call__word(call, index, "left")) return true;
    *end = SHOAL_LIST_TAIL;
    return shoal_call__word(call, index, "right");
}

/* ---- LPUSH, RPUSH, LPUSHX, RPUSHX ---- */

static void push(shoal_call *call, shoal_list_end end, bool if_present)
{
    SHOAL_ASSERT(call->argc >= 3);
    shoal_lists__target target;
    if (!shoal_lists__find(call, 0, &target)) return;
    if (if_present && target.count == 0) {
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    shoal_lists__push elements = {.texts = call->argv + 2, .count = call->argc - 2, .end = end};
    if (!shoal_lists__add(call, &target, &elements)) return;
    shoal_reply_integer(&call->reply, (int64_t)(target.count + elements.count));
}

void shoal_command__lpush(shoal_call *call)
{
    push(call, SHOAL_LIST_HEAD, call->command->id == SHOAL_COMMAND_LPUSHX);
}

void shoal_command__rpush(shoal_call *call)
{
    push(call, SHOAL_LIST_TAIL, call->command->id == SHOAL_COMMAND_RPUSHX);
}

/* ---- LPOP, RPOP ---- */

/* Reads how many to pop. False after writing an error. */
static bool parse_count(shoal_call *call, int64_t *count)
{
    SHOAL_ASSERT(call->argc == 3);
    if (shoal_text_to_i64(call->argv[2], count) && *count >= 0) return true;
    shoal_reply_error(&call->reply, "ERR value is out of range, must be positive");
    return false;
}

static void pop(shoal_call *call, shoal_list_end end)
{
    int64_t count = 1;
    bool several = call->argc == 3;
    if (call->argc > 3) {
        shoal_call__arity(call);
        return;
    }
    if (several && !parse_count(call, &count)) return;
    shoal_lists__target target;
    if (!shoal_lists__find(call, 0, &target)) return;
    if (target.count == 0) {
        several ? shoal_reply_null_array(&call->reply) : shoal_reply_null(&call->reply);
        return;
    }
    if (count == 0) {
        shoal_reply_array(&call->reply, 0);
        return;
    }
    uint64_t here = (uint64_t)count < target.count ? (uint64_t)count : target.count;
    if (!shoal_lists__begin_pop(call, &target, end, here)) return;
    if (several) shoal_reply_array(&call->reply, here);
    shoal_lists__tell(call, &target, end, here);
    shoal_lists__end_pop(call, &target, end, here);
}

void shoal_command__lpop(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->argc >= 2);
    pop(call, SHOAL_LIST_HEAD);
}

void shoal_command__rpop(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->argc >= 2);
    pop(call, SHOAL_LIST_TAIL);
}

/* ---- LLEN, LRANGE, LINDEX ---- */

void shoal_command__llen(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    shoal_compound value;
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_LIST, &value)) return;
    shoal_reply_integer(&call->reply, (int64_t)shoal_list_count(&value));
}

void shoal_command__lrange(shoal_call *call)
{
    int64_t start, end;
    SHOAL_ASSERT(call->argc == 4);
    if (!shoal_call__integer(call, 2, &start) || !shoal_call__integer(call, 3, &end)) return;
    shoal_compound value;
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_LIST, &value)) return;
    int64_t count = (int64_t)shoal_list_count(&value);
    if (start < 0) start += count;
    if (end < 0) end += count;
    if (start < 0) start = 0;
    if (end >= count) end = count - 1;
    if (start > end) {
        shoal_reply_array(&call->reply, 0);
        return;
    }
    shoal_list_cursor cursor;
    shoal_list_seek(&cursor, &value, (uint64_t)start, false);
    uint64_t left = (uint64_t)(end - start) + 1;
    shoal_reply_array(&call->reply, left);
    shoal_element element;
    for (; left > 0 && shoal_list_next(&cursor, &element); left--)
        shoal_lists__reply_element(&call->reply, &element);
}

void shoal_command__lindex(shoal_call *call)
{
    shoal_compound value;
    SHOAL_ASSERT(call->argc == 3);
    if (!shoal_call__look_compound(call, 0, SHOAL_TYPE_LIST, &value)) return;
    int64_t count = (int64_t)shoal_list_count(&value);
    if (count == 0) {
        shoal_reply_null(&call->reply);
        return;
    }
    int64_t index;
    if (!shoal_call__integer(call, 2, &index)) return;
    if (index < 0) index += count;
    if (index < 0 || index >= count) {
        shoal_reply_null(&call->reply);
        return;
    }
    shoal_list_cursor cursor;
    shoal_element element;
    shoal_list_seek(&cursor, &value, (uint64_t)index, false);
    if (shoal_list_next(&cursor, &element)) shoal_lists__reply_element(&call->reply, &element);
}
