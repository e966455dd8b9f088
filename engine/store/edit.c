/* SPDX-License-Identifier: MIT
 *
 * store/edit.c - strings edited in part. A short one is made anew with one copy, so that its
 * readers stay free of the gate. A long one becomes an object (value/edited.h) with its first edit
 * and is edited in place from then on; readers then take the gate, as for any object, until the
 * string is put as a whole again.
 */
#include "base/memory.h"
#include "store/internal.h"
#include "value/edited.h"

/* Strings from this size on are edited in place. Copying a shorter one takes no longer than the
 * rest of a command does (a microsecond; derived from 16 bytes a nanosecond). */
#define EDIT_SIZE_MIN ((size_t)16 << 10)

/* Sees to it that there is room for so many bytes more. */
static bool room_for(shoal_thread *thread, size_t more)
{
    shoal_amounts need = {{(int64_t)more, 0}};
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(more <= 2 * (size_t)SHOAL_VALUE_SIZE_MAX);
    if (more == 0 || thread->follows) return true;
    return shoal_limits__fit(thread, &need) || shoal_limits__room(thread, need);
}

/* The string made anew, out of what stays of the old one and the part. */
static shoal_err put_anew(shoal_thread *thread, const shoal_key *key, const shoal_item *item,
                          const shoal_patch *patch)
{
    static const char zeros[EDIT_SIZE_MIN] = {0};
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_slice old = {"", 0}, part = patch->part;
    if (item != NULL) old = shoal_item_string(item, scratch);
    size_t offset = patch->offset, end = offset + part.size;
    SHOAL_ASSERT(end >= offset && end <= SHOAL_VALUE_SIZE_MAX);
    SHOAL_DEBUG_ASSERT(thread->account.bytes == 0);
    shoal_slice gap = {zeros, offset > old.size ? offset - old.size : 0};
    void *long_gap = NULL;
    if (gap.size > sizeof zeros) {
        long_gap = shoal_memory_take_zeroed(&thread->store->allocator, gap.size, SHOAL_ALIGN_PLAIN);
        if (long_gap == NULL) return SHOAL_ERR_NO_MEMORY;
        gap.data = long_gap;
    }
    const shoal_slice parts[] = {
        {old.data, offset < old.size ? offset : old.size},
        gap,
        part,
        {old.data + (end < old.size ? end : old.size), end < old.size ? old.size - end : 0},
    };
    int64_t expires_ms = item == NULL ? -1 : shoal_item_expires_ms(item);
    shoal_err error =
        shoal_store_put_raw_parts_locked(thread, key, (shoal_gather){parts, 4}, expires_ms);
    shoal_memory_give(&thread->store->allocator, long_gap, gap.size, SHOAL_ALIGN_PLAIN);
    return error;
}

/* The first edit of a long string. One that is new has no more room than it needs: its size may
 * have been chosen. */
static shoal_err put_object(shoal_thread *thread, const shoal_key *key, const shoal_item *item,
                            const shoal_patch *patch)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_slice old = {"", 0};
    if (item != NULL) old = shoal_item_string(item, scratch);
    size_t end = patch->offset + patch->part.size;
    size_t room = end <= old.size ? old.size
                  : item == NULL  ? end
                                  : shoal_edited_room(&thread->account, end);
    SHOAL_ASSERT(thread->account.bytes == 0);
    SHOAL_ASSERT(room >= EDIT_SIZE_MIN);
    size_t gone = item == NULL ? 0 : shoal_item_memory(thread->store, item);
    if (!room_for(thread, room > gone ? room - gone : 0)) return SHOAL_ERR_NO_MEMORY;
    shoal_edited *edited = shoal_edited_make(&thread->account, room);
    if (edited == NULL) return SHOAL_ERR_NO_MEMORY;
    shoal_edited_write(edited, 0, old);
    shoal_edited_write(edited, patch->offset, patch->part);
    int64_t expires_ms = item == NULL ? -1 : shoal_item_expires_ms(item);
    shoal_err error = shoal_store_put_object_locked(thread, key, &edited->object, expires_ms);
    if (error != SHOAL_ERR_OK) shoal_object_free(&edited->object, &thread->account);
    return error;
}

static shoal_err edit_object(shoal_thread *thread, const shoal_key *key, shoal_object *object,
                             const shoal_patch *patch)
{
    shoal_edited *edited = shoal_edited_of(object);
    size_t end = patch->offset + patch->part.size;
    SHOAL_ASSERT(thread->account.bytes == 0);
    SHOAL_ASSERT(object->bytes > 0);
    if (end > edited->room) {
        size_t room = shoal_edited_room(&thread->account, end);
        if (!room_for(thread, room - edited->room)) return SHOAL_ERR_NO_MEMORY;
        if (!shoal_edited_reserve(edited, &thread->account, end)) return SHOAL_ERR_NO_MEMORY;
    }
    shoal_edited_write(edited, patch->offset, patch->part);
    shoal_store_changed_locked(thread, key, object);
    return SHOAL_ERR_OK;
}

shoal_err shoal_store_patch_locked(shoal_thread *thread, const shoal_key *key,
                                   const shoal_item *item, const shoal_patch *patch)
{
    SHOAL_ASSERT(item == NULL || shoal_item_type(item) == SHOAL_TYPE_STRING);
    size_t end = patch->offset + patch->part.size;
    SHOAL_ASSERT(end >= patch->offset && end <= SHOAL_VALUE_SIZE_MAX);
    shoal_object *object = item == NULL ? NULL : shoal_item__object(item);
    if (object != NULL) return edit_object(thread, key, object, patch);
    size_t size = item == NULL ? 0 : shoal_item_string_size(item);
    if (end > size) size = end;
    return thread->store->edits && size >= EDIT_SIZE_MIN ? put_object(thread, key, item, patch)
                                                         : put_anew(thread, key, item, patch);
}
