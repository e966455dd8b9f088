/* SPDX-License-Identifier: MIT
 *
 * command/list_change.c - how a list is changed, whichever form it has: a pack is written anew, of
 * the old one's bytes and the new ones; an object is edited in place. One that outgrows its pack
 * becomes an object, one that has shrunk far below that a pack again.
 */
#include <string.h>

#include "base/assert.h"
#include "command/list.h"

/* ---- finding ---- */

bool shoal_lists__find(shoal_call *call, uint32_t index, shoal_lists__target *target)
{
    const shoal_item *item;
    target->key = &call->keys[index];
    target->popped = NULL;
    if (!shoal_call__find_compound(call, index, SHOAL_TYPE_LIST, &item, &target->value))
        return false;
    target->count = shoal_list_count(&target->value);
    SHOAL_ASSERT((item == NULL) == (target->count == 0));
    target->expires_ms = item != NULL ? shoal_item_expires_ms(item) : -1;
    target->limits = shoal_list_limits_of(shoal_call__settings(call)->list_node_max);
    return true;
}

shoal_list_edit shoal_lists__edit(const shoal_call *call, const shoal_lists__target *target)
{
    SHOAL_DEBUG_ASSERT(target->value.object != NULL);
    return (shoal_list_edit){.list = shoal_list_of(target->value.object),
                             .account = shoal_thread_account(call->thread),
                             .limits = target->limits};
}

/* ---- storing ---- */

/* The elements of a pack, without its head. */
static shoal_slice body_of(const shoal_lists__target *target)
{
    SHOAL_DEBUG_ASSERT(target->value.object == NULL);
    shoal_slice pack = target->value.pack;
    if (pack.data == NULL) return pack;
    return (shoal_slice){shoal_pack_first(pack), pack.size - SHOAL_PACK_HEAD};
}

/* Stores a pack of `count` elements made of a head and `parts`, of which the first is left free
 * for the head. */
static bool put_pack(shoal_call *call, const shoal_lists__target *target, shoal_gather parts,
                     uint64_t count)
{
    char head[SHOAL_PACK_HEAD];
    SHOAL_ASSERT(count > 0 && count < UINT16_MAX && parts.count <= 4);
    shoal_slice all[5] = {{head, sizeof(head)}};
    uint32_t used = 1;
    for (uint32_t i = 0; i < parts.count; i++) {
        if (parts.parts[i].size != 0) all[used++] = parts.parts[i];
    }
    shoal_pack_write_head(head, (uint32_t)count);
    shoal_err err = shoal_store_put_pack_locked(call->thread, target->key, SHOAL_TYPE_LIST,
                                                (shoal_gather){all, used}, target->expires_ms);
    return shoal_call__stored(call, err);
}

/* Makes an object of a list that is a pack, or not there. NULL after writing an error. */
static shoal_list *unpack(shoal_call *call, const shoal_lists__target *target)
{
    SHOAL_ASSERT(target->value.object == NULL);
    shoal_account *account = shoal_thread_account(call->thread);
    shoal_list *list = shoal_list_make(account);
    if (list == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return NULL;
    }
    if (target->value.pack.data == NULL) return list;
    shoal_list_edit edit = {.list = list, .account = account, .limits = target->limits};
    shoal_err err = shoal_list_append_pack(&edit, target->value.pack);
    if (shoal_call__stored(call, err)) return list;
    shoal_object_free(shoal_list_object(list), account);
    return NULL;
}

/* Stores a new object, or frees it after writing an error. */
static bool put_object(shoal_call *call, const shoal_lists__target *target, shoal_list *list)
{
    SHOAL_ASSERT(target->value.object == NULL);
    shoal_object *object = shoal_list_object(list);
    shoal_err err =
        shoal_store_put_object_locked(call->thread, target->key, object, target->expires_ms);
    if (shoal_call__stored(call, err)) return true;
    shoal_object_free(object, shoal_thread_account(call->thread));
    return false;
}

/* ---- adding ---- */

/* Element `index` of those to push. */
static shoal_element pushed(const shoal_lists__push *push, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < push->count);
    return push->element != NULL ? *push->element : shoal_element_of(push->texts[index]);
}

/* Writes the elements to push as they will stand, to at most `size` bytes. Returns the bytes, 0
 * when they are more. */
static size_t write_pushed(const shoal_lists__push *push, char *out, size_t size)
{
    char *at = out;
    SHOAL_ASSERT(push->count > 0);
    for (uint32_t i = 0; i < push->count; i++) {
        bool reverse = push->end == SHOAL_LIST_HEAD;
        shoal_element element = pushed(push, reverse ? push->count - 1 - i : i);
        if (shoal_pack_size_of(&element) > size - (size_t)(at - out)) return 0;
        at = shoal_pack_write(at, &element);
    }
    return (size_t)(at - out);
}

/* Adds to an object. False after writing an error; then nothing has changed. */
static bool push_all(shoal_call *call, const shoal_list_edit *edit, const shoal_lists__push *push)
{
    SHOAL_DEBUG_ASSERT(push->count > 0);
    for (uint32_t i = 0; i < push->count; i++) {
        shoal_element element = pushed(push, i);
        shoal_err err = shoal_list_push(edit, push->end, &element);
        if (err == 0) continue;
        shoal_list_drop(edit, push->end, i);
        return shoal_call__stored(call, err);
    }
    return true;
}

bool shoal_lists__add(shoal_call *call, const shoal_lists__target *target,
                      const shoal_lists__push *push)
{
    SHOAL_DEBUG_ASSERT(call->gated);
    if (target->value.object != NULL) {
        shoal_list_edit edit = shoal_lists__edit(call, target);
        bool done = push_all(call, &edit, push);
        shoal_store_changed_locked(call->thread, target->key, target->value.object);
        return done;
    }
    char bytes[SHOAL_LIST_PACK_BYTES];
    shoal_slice body = body_of(target);
    uint64_t count = target->count + push->count;
    if (shoal_list_fits_pack(target->limits, SHOAL_PACK_HEAD + body.size, count)) {
        size_t size = write_pushed(push, bytes, sizeof(bytes) - SHOAL_PACK_HEAD - body.size);
        if (size != 0) {
            shoal_slice parts[2] = {body, {bytes, size}};
            if (push->end == SHOAL_LIST_HEAD) {
                parts[0] = parts[1];
                parts[1] = body;
            }
            return put_pack(call, target, (shoal_gather){parts, 2}, count);
        }
    }
    shoal_list *list = unpack(call, target);
    if (list == NULL) return false;
    shoal_list_edit edit = {.list = list,
                            .account = shoal_thread_account(call->thread),
                            .limits = target->limits};
    if (push_all(call, &edit, push)) return put_object(call, target, list);
    shoal_object_free(shoal_list_object(list), edit.account);
    return false;
}

/* ---- replacing ---- */

/* Edits an object that nothing else reaches yet, or one of the store. */
static bool replace_in(shoal_call *call, const shoal_list_edit *edit, uint64_t index,
                       uint64_t removed, const shoal_element *added)
{
    shoal_err err = 0;
    SHOAL_DEBUG_ASSERT(added != NULL || removed > 0);
    if (added == NULL) {
        shoal_list_remove(edit, index, removed);
    } else if (removed == 0) {
        err = shoal_list_insert(edit, index, added);
    } else {
        SHOAL_ASSERT(removed == 1);
        err = shoal_list_set(edit, index, added);
    }
    return shoal_call__stored(call, err);
}

/* Edits a pack. False, and nothing is written, when it would be longer than packs are. */
static bool replace_packed(shoal_call *call, const shoal_lists__target *target,
                           const shoal_lists__push *change, uint64_t index, bool *done)
{
    shoal_slice pack = target->value.pack;
    uint32_t removed = change->count;
    size_t size = change->element != NULL ? shoal_pack_size_of(change->element) : 0;
    uint64_t count = target->count - removed + (size != 0 ? 1 : 0);
    SHOAL_ASSERT(index + removed <= target->count);
    const char *from = shoal_pack_at(pack, (uint32_t)index);
    const char *end = shoal_pack_end(pack);
    const char *to = from;
    for (uint32_t i = 0; i < removed; i++) to = shoal_pack_skip(to, end);
    const char *first = shoal_pack_first(pack);
    if (!shoal_list_fits_pack(target->limits, pack.size - (size_t)(to - from) + size, count))
        return false;
    char bytes[SHOAL_LIST_PACK_BYTES];
    if (size != 0) shoal_pack_write(bytes, change->element);
    shoal_slice parts[3] = {{first, (size_t)(from - first)},
                            {bytes, size},
                            {to, (size_t)(end - to)}};
    *done = put_pack(call, target, (shoal_gather){parts, 3}, count);
    return true;
}

bool shoal_lists__replace(shoal_call *call, const shoal_lists__target *target, uint64_t index,
                          uint64_t removed, const shoal_element *added)
{
    SHOAL_ASSERT(index + removed <= target->count);
    if (added == NULL && removed == target->count) {
        shoal_store_remove_locked(call->thread, target->key);
        return true;
    }
    if (target->value.object != NULL) {
        shoal_list_edit edit = shoal_lists__edit(call, target);
        bool done = replace_in(call, &edit, index, removed, added);
        shoal_lists__shrunk(call, target);
        return done;
    }
    bool done;
    shoal_lists__push change = {.element = added, .count = (uint32_t)removed};
    if (replace_packed(call, target, &change, index, &done)) return done;

    shoal_list *list = unpack(call, target);
    if (list == NULL) return false;
    shoal_list_edit edit = {.list = list,
                            .account = shoal_thread_account(call->thread),
                            .limits = target->limits};
    if (replace_in(call, &edit, index, removed, added)) return put_object(call, target, list);
    shoal_object_free(shoal_list_object(list), edit.account);
    return false;
}

/* ---- removing ---- */

void shoal_lists__shrunk(shoal_call *call, const shoal_lists__target *target)
{
    shoal_object *object = target->value.object;
    SHOAL_ASSERT(object != NULL);
    uint64_t count = shoal_list_count(&target->value);
    shoal_store_changed_locked(call->thread, target->key, object);
    if (count == 0) {
        shoal_store_remove_locked(call->thread, target->key);
        return;
    }
    if (count > SHOAL_LIST_SMALL_COUNT || count > target->limits.count_max) return;
    char pack[SHOAL_LIST_SMALL_BYTES];
    size_t size = shoal_list_write_pack(shoal_list_of(object), pack, sizeof(pack));
    if (size == 0) return;
    shoal_slice part = {pack, size};
    /* Without memory it stays an object. */
    shoal_err err = shoal_store_put_pack_locked(call->thread, target->key, SHOAL_TYPE_LIST,
                                                (shoal_gather){&part, 1}, target->expires_ms);
    SHOAL_ASSERT(err == 0 || err == SHOAL_ERR_NO_MEMORY);
}

bool shoal_lists__begin_pop(shoal_call *call, shoal_lists__target *target, shoal_list_end end,
                            uint64_t count)
{
    SHOAL_ASSERT(count > 0 && count <= target->count);
    if (target->value.object != NULL) return true;
    /* Where the kept part and the popped part meet is looked for once: it may be a long walk. */
    shoal_slice body = body_of(target);
    uint64_t before = end == SHOAL_LIST_HEAD ? count : target->count - count;
    const char *meet = shoal_pack_at(target->value.pack, (uint32_t)before);
    shoal_slice left = {body.data, (size_t)(meet - body.data)};
    shoal_slice right = {meet, body.size - left.size};
    if (count == 1) target->popped = end == SHOAL_LIST_HEAD ? left.data : right.data;
    if (count < target->count) {
        shoal_slice kept = end == SHOAL_LIST_HEAD ? right : left;
        return put_pack(call, target, (shoal_gather){&kept, 1}, target->count - count);
    }
    shoal_store_remove_locked(call->thread, target->key);
    return true;
}

void shoal_lists__tell(shoal_call *call, const shoal_lists__target *target, shoal_list_end end,
                       uint64_t count)
{
    SHOAL_ASSERT(count > 0 && count <= target->count);
    shoal_element element;
    if (target->popped != NULL) {
        shoal_pack_read(target->popped, shoal_pack_end(target->value.pack), &element);
        shoal_lists__reply_element(&call->reply, &element);
        return;
    }
    shoal_list_cursor cursor;
    bool backward = end == SHOAL_LIST_TAIL && count > 1;
    uint64_t first = end == SHOAL_LIST_TAIL ? target->count - 1 : 0;
    shoal_list_seek(&cursor, &target->value, first, backward);
    for (; count > 0 && shoal_list_next(&cursor, &element); count--)
        shoal_lists__reply_element(&call->reply, &element);
}

void shoal_lists__end_pop(shoal_call *call, const shoal_lists__target *target, shoal_list_end end,
                          uint64_t count)
{
    SHOAL_DEBUG_ASSERT(count > 0);
    if (target->value.object == NULL) return;
    if (count == target->count) {
        shoal_store_remove_locked(call->thread, target->key);
        return;
    }
    shoal_list_edit edit = shoal_lists__edit(call, target);
    shoal_list_drop(&edit, end, count);
    shoal_lists__shrunk(call, target);
}
