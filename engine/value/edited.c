/* SPDX-License-Identifier: MIT
 *
 * value/edited.c - see value/edited.h. Two pieces: the object, and the bytes.
 */
#include "value/edited.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

/* Room that a string which grows is given beyond its size: this share of it, and what the allocator
 * has to give with that. Its classes of large sizes lie a quarter apart, so a fifth never skips
 * one. */
#define ROOM_SHARE 5u
/* Where a piece can grow without being copied, less will do: a string is resized once while it
 * grows by a sixteenth. */
#define ROOM_SHARE_RESIZABLE 16u
/* What freeing a string counts for: two pieces. */
#define PIECES 2u

/* ---- pieces of bytes ---- */

static bool is_resizable(const shoal_account *account, size_t size)
{
    SHOAL_DEBUG_ASSERT(size > 0);
    return size >= SHOAL_RESIZABLE_MIN && account->allocator->resize != NULL;
}

static size_t alignment_of(const shoal_account *account, size_t size)
{
    SHOAL_DEBUG_ASSERT(size > 0);
    return is_resizable(account, size) ? SHOAL_ALIGN_PAGE : SHOAL_OBJECT_ALIGNMENT;
}

/* What a piece of `size` bytes takes all the same: a size that stays what it is. */
static size_t whole(const shoal_account *account, size_t size)
{
    size_t usable = shoal_memory_usable(account->allocator, size, alignment_of(account, size));
    SHOAL_DEBUG_ASSERT(usable >= size);
    if (is_resizable(account, usable) == is_resizable(account, size)) return usable;
    return shoal_memory_usable(account->allocator, usable, SHOAL_ALIGN_PAGE);
}

static char *take(shoal_account *account, size_t room)
{
    SHOAL_ASSERT(room == whole(account, room));
    char *bytes = shoal_memory_take(account->allocator, room, alignment_of(account, room));
    if (bytes != NULL) account->bytes += (int64_t)room;
    return bytes;
}

static void give(shoal_account *account, char *bytes, size_t room)
{
    SHOAL_ASSERT(bytes != NULL && room > 0);
    shoal_memory_give(account->allocator, bytes, room, alignment_of(account, room));
    account->bytes -= (int64_t)room;
}

/* ---- strings ---- */

size_t shoal_edited_room(const shoal_account *account, size_t size)
{
    SHOAL_ASSERT(size > 0);
    return size + size / (is_resizable(account, size) ? ROOM_SHARE_RESIZABLE : ROOM_SHARE);
}

shoal_edited *shoal_edited_of(shoal_object *object)
{
    SHOAL_ASSERT(object->type == SHOAL_TYPE_STRING);
    return (shoal_edited *)(void *)object;
}

shoal_slice shoal_edited_bytes(const shoal_object *object)
{
    const shoal_edited *edited = (const shoal_edited *)(const void *)object;
    SHOAL_ASSERT(object->type == SHOAL_TYPE_STRING);
    SHOAL_DEBUG_ASSERT(edited->size <= edited->room);
    return (shoal_slice){edited->bytes, edited->size};
}

shoal_edited *shoal_edited_make(shoal_account *account, size_t room)
{
    SHOAL_ASSERT(room > 0);
    room = whole(account, room);
    shoal_edited *edited = shoal_account_take(account, sizeof *edited);
    if (edited == NULL) return NULL;
    char *bytes = take(account, room);
    if (bytes == NULL) {
        shoal_account_give(account, edited, sizeof *edited);
        return NULL;
    }
    *edited = (shoal_edited){.object = {.type = SHOAL_TYPE_STRING}, .bytes = bytes, .room = room};
    edited->zero = is_resizable(account, room);
    return edited;
}

/* Gives the piece another size without copying. False where that cannot be done. */
static bool resize(shoal_edited *edited, shoal_account *account, size_t room)
{
    if (!is_resizable(account, edited->room) || !is_resizable(account, room)) return false;
    char *bytes = shoal_memory_resize(account->allocator, edited->bytes, edited->room, room);
    if (bytes == NULL) return false;
    SHOAL_ASSERT(room == whole(account, room));
    account->bytes += (int64_t)room - (int64_t)edited->room;
    edited->bytes = bytes;
    edited->room = room;
    return true;
}

bool shoal_edited_reserve(shoal_edited *edited, shoal_account *account, size_t size)
{
    SHOAL_ASSERT(edited->object.type == SHOAL_TYPE_STRING);
    if (size <= edited->room) return true;
    size_t room = whole(account, shoal_edited_room(account, size));
    if (resize(edited, account, room)) return true;
    char *bytes = take(account, room);
    if (bytes == NULL) return false;
    memcpy(bytes, edited->bytes, edited->size);
    give(account, edited->bytes, edited->room);
    edited->bytes = bytes;
    edited->room = room;
    edited->zero = is_resizable(account, room);
    return true;
}

void shoal_edited_write(shoal_edited *edited, size_t offset, shoal_slice part)
{
    size_t end = offset + part.size;
    SHOAL_ASSERT(end >= offset && end <= edited->room);
    SHOAL_ASSERT(edited->size <= edited->room);
    shoal_watch *watch = edited->object.watch;
    if (__builtin_expect(watch != NULL, 0)) watch->before_bytes(watch, offset, part.size);
    if (offset > edited->size && !edited->zero)
        memset(edited->bytes + edited->size, 0, offset - edited->size);
    if (part.size > 0) memcpy(edited->bytes + offset, part.data, part.size);
    if (end > edited->size) edited->size = end;
}

/* ---- as a type of values ---- */

static bool free_some(shoal_object *object, shoal_account *account, uint32_t *budget)
{
    shoal_edited *edited = shoal_edited_of(object);
    SHOAL_ASSERT(*budget > 0);
    give(account, edited->bytes, edited->room);
    shoal_account_give(account, edited, sizeof *edited);
    *budget = *budget > PIECES ? *budget - PIECES : 0;
    return true;
}

static const char *encoding(const shoal_compound *value)
{
    SHOAL_ASSERT(value->object != NULL && value->object->type == SHOAL_TYPE_STRING);
    return "raw";
}

static uint64_t count(const shoal_compound *value)
{
    SHOAL_ASSERT(value->object != NULL && value->object->type == SHOAL_TYPE_STRING);
    return 1;
}

static shoal_object *copy(const shoal_object *object, shoal_account *account)
{
    shoal_slice bytes = shoal_edited_bytes(object);
    SHOAL_DEBUG_ASSERT(bytes.size > 0);
    shoal_edited *made = shoal_edited_make(account, bytes.size);
    if (made == NULL) return NULL;
    shoal_edited_write(made, 0, bytes);
    return &made->object;
}

static void visit(const shoal_compound *value, shoal_value_visit visit_part, void *context)
{
    SHOAL_ASSERT(value->object != NULL);
    visit_part(context, shoal_edited_bytes(value->object));
}

/* The bytes alone: a large piece has pages of its own, and moving it frees nothing. */
const shoal_value_ops shoal_edited__ops = {
    .name = "string",
    .free_some = free_some,
    .encoding = encoding,
    .count = count,
    .copy = copy,
    .visit = visit,
};
