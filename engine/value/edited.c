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
/* What freeing a string counts for: two pieces. */
#define PIECES 2u

size_t shoal_edited_room(size_t size)
{
    SHOAL_ASSERT(size > 0);
    return size + size / ROOM_SHARE;
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

/* What a piece of `size` bytes takes all the same. */
static size_t whole(const shoal_account *account, size_t size)
{
    size_t usable = shoal_memory_usable(account->allocator, size, SHOAL_OBJECT_ALIGNMENT);
    SHOAL_DEBUG_ASSERT(usable >= size);
    return usable;
}

shoal_edited *shoal_edited_make(shoal_account *account, size_t room)
{
    SHOAL_ASSERT(room > 0);
    room = whole(account, room);
    shoal_edited *edited = shoal_account_take(account, sizeof *edited);
    if (edited == NULL) return NULL;
    char *bytes = shoal_account_take(account, room);
    if (bytes == NULL) {
        shoal_account_give(account, edited, sizeof *edited);
        return NULL;
    }
    *edited = (shoal_edited){.object = {.type = SHOAL_TYPE_STRING}, .bytes = bytes, .room = room};
    return edited;
}

bool shoal_edited_reserve(shoal_edited *edited, shoal_account *account, size_t size)
{
    SHOAL_ASSERT(edited->object.type == SHOAL_TYPE_STRING);
    if (size <= edited->room) return true;
    size_t room = whole(account, shoal_edited_room(size));
    char *bytes = shoal_account_take(account, room);
    if (bytes == NULL) return false;
    memcpy(bytes, edited->bytes, edited->size);
    shoal_account_give(account, edited->bytes, edited->room);
    edited->bytes = bytes;
    edited->room = room;
    return true;
}

void shoal_edited_write(shoal_edited *edited, size_t offset, shoal_slice part)
{
    size_t end = offset + part.size;
    SHOAL_ASSERT(end >= offset && end <= edited->room);
    SHOAL_ASSERT(edited->size <= edited->room);
    if (offset > edited->size) memset(edited->bytes + edited->size, 0, offset - edited->size);
    if (part.size > 0) memcpy(edited->bytes + offset, part.data, part.size);
    if (end > edited->size) edited->size = end;
}

/* ---- as a type of values ---- */

static bool free_some(shoal_object *object, shoal_account *account, uint32_t *budget)
{
    shoal_edited *edited = shoal_edited_of(object);
    SHOAL_ASSERT(*budget > 0);
    shoal_account_give(account, edited->bytes, edited->room);
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
