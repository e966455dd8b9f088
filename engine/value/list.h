/* SPDX-License-Identifier: MIT
 *
 * value/list.h - lists: a pack while they are small, then an object: a tree of chunks, each some
 * KiB of elements with room at both ends. Any position is found in a few dozen steps, whatever the
 * length; pushing and popping at the ends moves nothing but now and then a chunk's content; no
 * allocation is longer than a chunk, but for an element that is longer itself.
 *
 * Strings that begin alike are kept without their common beginning, see value/list_chunk.h.
 *
 * Threads: an object under the gate of its key only; a pack anywhere.
 */
#ifndef SHOAL_VALUE_LIST_H
#define SHOAL_VALUE_LIST_H

#include "value/pack.h"
#include "value/value.h"

/* A list as an object. */
typedef struct shoal_list shoal_list;

/* The ends. */
typedef enum shoal_list_end { SHOAL_LIST_HEAD, SHOAL_LIST_TAIL } shoal_list_end;

/* Most bytes and elements of a chunk. */
typedef struct shoal_list_limits {
    uint32_t bytes_max; /* an element that is longer has a chunk of its own */
    uint32_t count_max; /* at least 1 */
} shoal_list_limits;

/* What `list-max-listpack-size` asks for: positive, so many elements (and 8 KiB); -1 to -5, 4 to
 * 64 KiB; 0 and what is below mean 1 and -5. */
shoal_list_limits shoal_list_limits_of(int64_t setting);

/* Most bytes and elements of a list that is kept as a pack. Each push and pop writes it anew, and a
 * pop at the tail walks it: longer ones cost a queue more than an object does (measured). */
#define SHOAL_LIST_PACK_BYTES 512u
#define SHOAL_LIST_PACK_COUNT 64u
/* A list that has become as small as this is worth making a pack again. */
#define SHOAL_LIST_SMALL_COUNT 16u
#define SHOAL_LIST_SMALL_BYTES 256u

/* True when a list of so many elements, `bytes` as a pack, is to be kept as a pack. */
bool shoal_list_fits_pack(shoal_list_limits limits, size_t bytes, uint64_t count);

/* ---- reading, packs and objects ---- */

/* Room for any string that is not kept in one piece. */
#define SHOAL_LIST_SCRATCH 128u
/* Deepest tree: each level but the lowest has taken 32 splits of a full node below. */
#define SHOAL_LIST_DEPTH_MAX 12u
/* Elements that a cursor going backward finds at a time. */
#define SHOAL_LIST_STARTS 64u

/* A place in an object: a chunk by the way to it, and an element of it. The list's own. */
typedef struct shoal_list_path {
    struct shoal_list__node *nodes[SHOAL_LIST_DEPTH_MAX]; /* by level, 0: has chunks */
    uint16_t at[SHOAL_LIST_DEPTH_MAX];
    uint32_t depth;
    uint32_t within; /* index in the chunk */
} shoal_list_path;

/* Goes over the elements in one direction. To be made by seek; dead when the list changes. */
typedef struct shoal_list_cursor {
    uint64_t index; /* of the element that next returns, from the head; meaningless at the end */
    uint64_t left;  /* elements that next will return */
    bool backward;
    /* The present run, a pack or a chunk: the cursor's own. */
    const shoal_list *list; /* NULL: a pack */
    shoal_list_path path;
    shoal_slice run; /* the elements */
    shoal_slice stem;
    const char *at;       /* forward: the next element */
    uint32_t position;    /* elements of the run before the next one (backward: and itself) */
    uint32_t count;       /* elements of the run */
    uint32_t starts_from; /* backward: `starts` holds positions from here on to `position` */
    uint16_t starts[SHOAL_LIST_STARTS];
    char scratch[SHOAL_LIST_SCRATCH];
} shoal_list_cursor;

/* Elements of a list; 0 for an empty compound. */
uint64_t shoal_list_count(const shoal_compound *value);
/* Puts the cursor at element `index` (< count), to go on towards the tail, or the head. */
void shoal_list_seek(shoal_list_cursor *cursor, const shoal_compound *value, uint64_t index,
                     bool backward);
/* The next element, borrowed from the list or the cursor until the next call. False at the end. */
bool shoal_list_next(shoal_list_cursor *cursor, shoal_element *element);
/* Goes on until an element equals `probe` or `limit` have been looked at. True when found: it is
 * the one before cursor->index (backward: behind it), `*index` is its own. */
bool shoal_list_find(shoal_list_cursor *cursor, const shoal_element *probe, uint64_t limit,
                     uint64_t *index);

/* ---- changing objects ---- */

/* What every change needs. */
typedef struct shoal_list_edit {
    shoal_list *list;
    shoal_account *account;
    shoal_list_limits limits;
} shoal_list_edit;

/* An empty list, or NULL without memory. It begins with its shoal_object. */
shoal_list *shoal_list_make(shoal_account *account);
/* The list that an object of type LIST is. */
shoal_list *shoal_list_of(shoal_object *object);
shoal_object *shoal_list_object(shoal_list *list);

/* Adds an element at an end. Its bytes may lie in another list, not in this one. 0 or
 * SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_list_push(const shoal_list_edit *edit, shoal_list_end end,
                                         const shoal_element *element);
/* Adds all elements of a pack at the tail. 0 or SHOAL_ERR_NO_MEMORY; then some may be there. */
SHOAL_MUST_USE shoal_err shoal_list_append_pack(const shoal_list_edit *edit, shoal_slice pack);
/* Removes `count` elements, which are there, at an end. */
void shoal_list_drop(const shoal_list_edit *edit, shoal_list_end end, uint64_t count);
/* Removes `count` elements, which are there, from `index` on. */
void shoal_list_remove(const shoal_list_edit *edit, uint64_t index, uint64_t count);
/* Puts an element before element `index`, or behind the last where `index` is the count. 0 or
 * SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_list_insert(const shoal_list_edit *edit, uint64_t index,
                                           const shoal_element *element);
/* Replaces element `index` (< count). 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed. */
SHOAL_MUST_USE shoal_err shoal_list_set(const shoal_list_edit *edit, uint64_t index,
                                        const shoal_element *element);
/* Removes elements that equal `probe`, at most `limit` of them, from the head on or from the tail.
 * Returns how many. */
uint64_t shoal_list_remove_equal(const shoal_list_edit *edit, const shoal_element *probe,
                                 uint64_t limit, bool backward);
/* A list of `count` elements from `index` on (which are there), or NULL without memory. */
shoal_list *shoal_list_copy(const shoal_list *list, shoal_account *account, uint64_t index,
                            uint64_t count);
/* Writes a list of at most SHOAL_LIST_PACK_COUNT elements as a pack of at most `size` bytes;
 * returns its bytes, or 0 when it is longer. */
size_t shoal_list_write_pack(const shoal_list *list, char *pack, size_t size);
/* Every count in the tree is right and every chunk is sound: for tests. */
void shoal_list_check(const shoal_list *list);

/* The table of the type. */
extern const shoal_value_ops shoal_list__ops;

#endif
