/* SPDX-License-Identifier: MIT
 *
 * value/edited.h - long strings that are edited in place: APPEND, SETRANGE, SETBIT, BITFIELD. Other
 * strings stand in their items and never change; one that is long and edited again and again would
 * be copied as a whole each time, so it becomes an object: bytes in one piece with room behind
 * them. An edit costs what it writes. Where the room is used up the piece is made larger: one of
 * 256 KiB and more without copying what it holds, if the allocator can do that (resize of
 * shoal_allocator); else by a fifth, so that a byte which is appended is copied some five times on
 * average, whatever the length, and that step takes as long as copying the string.
 *
 * Threads: as any object, under the gate of its key only, for readers too.
 */
#ifndef SHOAL_VALUE_EDITED_H
#define SHOAL_VALUE_EDITED_H

#include "value/value.h"

/* A string that is edited in place. */
typedef struct shoal_edited {
    shoal_object object;
    char *bytes;
    size_t size; /* of the string */
    size_t room; /* of the piece, at least `size`, at least 1 */
    bool zero;   /* what lies behind the string in the piece is zero */
} shoal_edited;

/* What shoal_value_ops_of answers for STRING: of those alone that are objects. */
extern const shoal_value_ops shoal_edited__ops;

/* Makes a string with room for `room` > 0 bytes, and none in it. NULL without memory. */
shoal_edited *shoal_edited_make(shoal_account *account, size_t room);
/* The string behind an object of type STRING. */
shoal_edited *shoal_edited_of(shoal_object *object);
/* The bytes, borrowed until the next edit. */
shoal_slice shoal_edited_bytes(const shoal_object *object);
/* Bytes that a piece gets at least for a string which has grown to `size`: a fifth more, or a
 * sixteenth where it can grow without being copied. */
size_t shoal_edited_room(const shoal_account *account, size_t size);
/* Makes room for at least `size` bytes, and for more to come where that is more than there is.
 * False without memory; then nothing has changed. */
bool shoal_edited_reserve(shoal_edited *edited, shoal_account *account, size_t size);
/* Puts `part`, which lies elsewhere, over what there is from `offset` on, with zeros before it
 * where the string ends earlier. There is room for both. */
void shoal_edited_write(shoal_edited *edited, size_t offset, shoal_slice part);

#endif
