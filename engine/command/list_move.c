/* SPDX-License-Identifier: MIT
 *
 * command/list_move.c - commands on several lists: LMOVE and RPOPLPUSH, LMPOP, and those that wait
 * until one of them has something.
 */
#include <string.h>

#include "base/assert.h"
#include "command/block.h"
#include "command/effect.h"
#include "command/list.h"

/* An element that goes around in one list is copied aside; up to so many bytes on the stack. */
#define ASIDE_MAX 512u

/* ---- LMOVE and its like ---- */

/* From which end to which. */
typedef struct direction {
    shoal_list_end from, to;
} direction;

static void element_at(const shoal_lists__target *target, shoal_list_end end,
                       shoal_list_cursor *cursor, shoal_element *element)
{
    SHOAL_ASSERT(target->count > 0);
    shoal_list_seek(cursor, &target->value, end == SHOAL_LIST_TAIL ? target->count - 1 : 0, false);
    shoal_list_next(cursor, element);
}

/* Takes the outermost element from one end of an object to its other end. */
static bool turn_object(shoal_call *call, const shoal_lists__target *target, direction way,
                        shoal_element element)
{
    char small[ASIDE_MAX];
    char *aside = small;
    shoal_account *account = shoal_thread_account(call->thread);
    size_t size = element.kind == SHOAL_ELEMENT_BYTES ? element.bytes.size : 0;
    SHOAL_ASSERT(way.from != way.to);
    if (size > sizeof(small)) aside = shoal_account_take(account, size);
    if (aside == NULL) return shoal_call__stored(call, SHOAL_ERR_NO_MEMORY);
    if (size > 0) {
        memcpy(aside, element.bytes.data, size);
        element.bytes.data = aside;
    }
    shoal_list_edit edit = shoal_lists__edit(call, target);
    shoal_err err = shoal_list_push(&edit, way.to, &element);
    if (err == 0) {
        shoal_lists__reply_element(&call->reply, &element);
        shoal_list_drop(&edit, way.from, 1);
    }
    if (aside != small) shoal_account_give(account, aside, size);
    shoal_store_changed_locked(call->thread, target->key, target->value.object);
    return shoal_call__stored(call, err);
}

/* The same in a pack. */
static void turn_pack(shoal_call *call, const shoal_lists__target *target, direction way,
                      const shoal_element *element)
{
    shoal_slice pack = target->value.pack;
    const char *first = shoal_pack_first(pack);
    const char *end = shoal_pack_end(pack);
    const char *cut = way.from == SHOAL_LIST_HEAD
                          ? shoal_pack_skip(first, end)
                          : shoal_pack_at(pack, (uint32_t)target->count - 1);
    SHOAL_ASSERT(way.from != way.to && cut > first && cut <= end);
    shoal_slice parts[3] = {{pack.data, SHOAL_PACK_HEAD},
                            {cut, (size_t)(end - cut)},
                            {first, (size_t)(cut - first)}};
    shoal_err err = shoal_store_put_pack_locked(call->thread, target->key, SHOAL_TYPE_LIST,
                                                (shoal_gather){parts, 3}, target->expires_ms);
    if (shoal_call__stored(call, err)) shoal_lists__reply_element(&call->reply, element);
}

/* From an end of a list to an end of the same list. */
static void turn(shoal_call *call, const shoal_lists__target *target, direction way)
{
    SHOAL_ASSERT(target->count > 0);
    shoal_list_cursor cursor;
    shoal_element element;
    element_at(target, way.from, &cursor, &element);
    if (way.from == way.to || target->count == 1) {
        shoal_lists__reply_element(&call->reply, &element);
    } else if (target->value.object == NULL) {
        turn_pack(call, target, way, &element);
    } else {
        (void)turn_object(call, target, way, element);
    }
}

/* Takes back what was pushed to the list of key `index`. Without memory for that, the element is in
 * both lists: none is lost. */
static void take_back(shoal_call *call, uint32_t index, shoal_list_end end)
{
    shoal_lists__target target;
    shoal_buffer none = shoal_buffer_make(&call->env->allocator);
    shoal_reply reply = call->reply;
    call->reply.out = &none;
    if (shoal_lists__find(call, index, &target) && target.count > 0 &&
        shoal_lists__begin_pop(call, &target, end, 1))
        shoal_lists__end_pop(call, &target, end, 1);
    call->reply = reply;
    shoal_buffer_free(&none);
    SHOAL_DEBUG_ASSERT(call->reply.out != &none);
}

/* From key 0, which has elements, to key 1. */
static void move(shoal_call *call, shoal_lists__target *from, direction way)
{
    SHOAL_ASSERT(call->key_count == 2);
    if (call->keys[0].place == call->keys[1].place &&
        shoal_text_equal(call->keys[0].name, call->keys[1].name)) {
        turn(call, from, way);
        return;
    }
    shoal_lists__target to;
    if (!shoal_lists__find(call, 1, &to)) return;
    shoal_list_cursor cursor;
    shoal_element element;
    element_at(from, way.from, &cursor, &element);
    shoal_lists__push push = {.element = &element, .count = 1, .end = way.to};
    if (!shoal_lists__add(call, &to, &push)) return;
    if (!shoal_lists__begin_pop(call, from, way.from, 1)) {
        take_back(call, 1, way.to);
        return;
    }
    shoal_lists__reply_element(&call->reply, &element);
    shoal_lists__end_pop(call, from, way.from, 1);
}

/* Reads the two ends. False after writing an error. */
static bool parse_ends(shoal_call *call, direction *way)
{
    SHOAL_ASSERT(call->argc >= 5);
    if (shoal_lists__end_word(call, 3, &way->from) && shoal_lists__end_word(call, 4, &way->to))
        return true;
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

static void move_now(shoal_call *call, direction way)
{
    shoal_lists__target from;
    SHOAL_DEBUG_ASSERT(call->gated);
    if (!shoal_lists__find(call, 0, &from)) return;
    if (from.count == 0) {
        shoal_reply_null(&call->reply);
    } else {
        move(call, &from, way);
    }
}

/* Moves, and tells it as a command that does not wait. */
static void move_and_tell(shoal_call *call, shoal_lists__target *from, direction way)
{
    shoal_slice argv[5] = {shoal_text("RPOPLPUSH"), call->argv[1], call->argv[2]};
    uint64_t before = shoal_thread_changes(call->thread);
    bool ends = call->command->id == SHOAL_COMMAND_BLMOVE;
    SHOAL_ASSERT(ends || call->command->id == SHOAL_COMMAND_BRPOPLPUSH);
    if (ends) {
        argv[0] = shoal_text("LMOVE");
        argv[3] = call->argv[3];
        argv[4] = call->argv[4];
    }
    move(call, from, way);
    if (shoal_thread_changes(call->thread) != before) shoal_effect_tell(call, argv, ends ? 5 : 3);
}

/* With a time to wait at argument `index`. */
static void move_or_wait(shoal_call *call, direction way, uint32_t index)
{
    int64_t deadline_us;
    if (!shoal_call__timeout(call, index, &deadline_us)) return;
    uint32_t turn = 0, key;
    SHOAL_ASSERT(call->key_count == 2);
    if (shoal_call__next_key(call, &turn, &key) && key == 0) {
        shoal_lists__target from;
        if (!shoal_lists__find(call, 0, &from)) return;
        if (from.count > 0) {
            move_and_tell(call, &from, way);
            return;
        }
    }
    if (shoal_call__may_block(call)) {
        shoal_call__block(call, (shoal_wish){SHOAL_TYPE_LIST, 1, deadline_us});
    } else {
        shoal_reply_null(&call->reply);
    }
}

void shoal_command__lmove(shoal_call *call)
{
    direction way;
    SHOAL_ASSERT(call->argc == 5);
    if (parse_ends(call, &way)) move_now(call, way);
}

void shoal_command__rpoplpush(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    move_now(call, (direction){SHOAL_LIST_TAIL, SHOAL_LIST_HEAD});
}

void shoal_command__blmove(shoal_call *call)
{
    direction way;
    SHOAL_ASSERT(call->argc == 6);
    if (parse_ends(call, &way)) move_or_wait(call, way, 5);
}

void shoal_command__brpoplpush(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    move_or_wait(call, (direction){SHOAL_LIST_TAIL, SHOAL_LIST_HEAD}, 3);
}

/* ---- BLPOP, BRPOP ---- */

static void pop_or_wait(shoal_call *call, shoal_list_end end)
{
    int64_t deadline_us;
    SHOAL_ASSERT(call->argc >= 3);
    if (!shoal_call__timeout(call, call->argc - 1, &deadline_us)) return;
    uint32_t turn = 0, key;
    while (shoal_call__next_key(call, &turn, &key)) {
        shoal_lists__target target;
        if (!shoal_lists__find(call, key, &target)) return;
        if (target.count == 0) continue;
        if (!shoal_lists__begin_pop(call, &target, end, 1)) return;
        shoal_reply_array(&call->reply, 2);
        shoal_reply_bulk(&call->reply, target.key->name);
        shoal_lists__tell(call, &target, end, 1);
        shoal_lists__end_pop(call, &target, end, 1);
        shoal_effect__pop(call, end == SHOAL_LIST_HEAD ? "LPOP" : "RPOP", key, 0);
        return;
    }
    shoal_call__block(call, (shoal_wish){SHOAL_TYPE_LIST, call->key_count, deadline_us});
}

void shoal_command__blpop(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count + 2 == call->argc);
    pop_or_wait(call, SHOAL_LIST_HEAD);
}

void shoal_command__brpop(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->key_count + 2 == call->argc);
    pop_or_wait(call, SHOAL_LIST_TAIL);
}

/* ---- LMPOP, BLMPOP ---- */

/* What they ask for. */
typedef struct pop_options {
    shoal_list_end end;
    uint64_t count;
} pop_options;

/* Reads a number of at least 1. False after writing `error`. */
static bool parse_positive(shoal_call *call, uint32_t index, const char *error, int64_t *value)
{
    SHOAL_DEBUG_ASSERT(error != NULL);
    if (shoal_text_to_i64(call->argv[index], value) && *value > 0) return true;
    shoal_reply_error(&call->reply, error);
    return false;
}

/* Reads the number of keys at argument `index` and what follows the keys. False after writing an
 * error. */
static bool parse_many(shoal_call *call, uint32_t index, pop_options *out)
{
    int64_t keys, count = 1;
    SHOAL_ASSERT(index + 2 < call->argc);
    if (!parse_positive(call, index, "ERR numkeys should be greater than 0", &keys)) return false;
    bool fits = keys < (int64_t)(call->argc - index - 1) && (uint64_t)keys == call->key_count;
    uint32_t at = index + 1 + call->key_count;
    if (!fits || !shoal_lists__end_word(call, at, &out->end)) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    if (at + 1 < call->argc) {
        if (at + 3 != call->argc || !shoal_call__word(call, at + 1, "count")) {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return false;
        }
        if (!parse_positive(call, at + 2, "ERR count should be greater than 0", &count))
            return false;
    }
    out->count = (uint64_t)count;
    return true;
}

/* Pops from the list of key `key`. False when there is none; true also after an error. */
static bool pop_many(shoal_call *call, uint32_t key, const pop_options *many)
{
    shoal_lists__target target;
    SHOAL_ASSERT(many->count > 0);
    if (!shoal_lists__find(call, key, &target)) return true;
    if (target.count == 0) return false;
    uint64_t here = many->count < target.count ? many->count : target.count;
    if (!shoal_lists__begin_pop(call, &target, many->end, here)) return true;
    shoal_reply_array(&call->reply, 2);
    shoal_reply_bulk(&call->reply, target.key->name);
    shoal_reply_array(&call->reply, here);
    shoal_lists__tell(call, &target, many->end, here);
    shoal_lists__end_pop(call, &target, many->end, here);
    shoal_effect__pop(call, many->end == SHOAL_LIST_HEAD ? "LPOP" : "RPOP", key, here);
    return true;
}

void shoal_command__lmpop(shoal_call *call)
{
    pop_options many;
    SHOAL_ASSERT(call->argc >= 4);
    if (!parse_many(call, 1, &many)) return;
    for (uint32_t key = 0; key < call->key_count; key++) {
        if (pop_many(call, key, &many)) return;
    }
    shoal_reply_null_array(&call->reply);
}

void shoal_command__blmpop(shoal_call *call)
{
    pop_options many;
    int64_t deadline_us;
    SHOAL_ASSERT(call->argc >= 5);
    if (!parse_many(call, 2, &many)) return;
    if (!shoal_call__timeout(call, 1, &deadline_us)) return;
    uint32_t turn = 0, key;
    while (shoal_call__next_key(call, &turn, &key)) {
        if (pop_many(call, key, &many)) return;
    }
    shoal_call__block(call, (shoal_wish){SHOAL_TYPE_LIST, call->key_count, deadline_us});
}
