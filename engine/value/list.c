/* SPDX-License-Identifier: MIT
 *
 * value/list.c - changing lists that are objects: which chunk an element goes to, and what becomes
 * of the tree.
 */
#include "value/list.h"

#include <string.h>

#include "value/list_tree.h"

/* Nodes of this many chunks belong to a list that goes on growing: its new chunks are as long as
 * they may be at once. */
#define EAGER_CHUNKS 4u

/* Elements that begin with so many equal bytes are worth a stem. */
#define STEM_COMMON_MIN 4u

/* Up to so many elements are popped one by one. */
#define POP_MAX 8u

/* ---- forms ---- */

shoal_list_limits shoal_list_limits_of(int64_t setting)
{
    static const uint32_t sizes[] = {4096, 8192, 16384, 32768, SHOAL_LIST__CHUNK_MAX};
    shoal_list_limits limits = {.bytes_max = sizes[1], .count_max = UINT32_MAX};
    if (setting < 0) {
        limits.bytes_max = sizes[setting < -5 ? 4 : -setting - 1];
    } else if (setting < UINT32_MAX) {
        limits.count_max = setting == 0 ? 1 : (uint32_t)setting;
    }
    SHOAL_DEBUG_ASSERT(limits.bytes_max <= SHOAL_LIST__CHUNK_MAX);
    return limits;
}

bool shoal_list_fits_pack(shoal_list_limits limits, size_t bytes, uint64_t count)
{
    SHOAL_DEBUG_ASSERT(limits.count_max > 0);
    return bytes <= SHOAL_LIST_PACK_BYTES && count <= SHOAL_LIST_PACK_COUNT &&
           count <= limits.count_max;
}

uint64_t shoal_list_count(const shoal_compound *value)
{
    SHOAL_DEBUG_ASSERT(value->object == NULL || value->pack.data == NULL);
    if (value->object != NULL) return shoal_list_of(value->object)->count;
    return value->pack.data != NULL ? shoal_pack_count(value->pack) : 0;
}

shoal_list *shoal_list_make(shoal_account *account)
{
    shoal_list *list = shoal_account_take(account, sizeof(*list));
    if (list != NULL) *list = (shoal_list){.object = {.type = SHOAL_TYPE_LIST}};
    SHOAL_DEBUG_ASSERT(list == NULL || list->count == 0);
    return list;
}

shoal_list *shoal_list_of(shoal_object *object)
{
    SHOAL_ASSERT(object->type == SHOAL_TYPE_LIST);
    return (shoal_list *)object;
}

shoal_object *shoal_list_object(shoal_list *list)
{
    return &list->object;
}

/* Tells who watches the list what is about to happen. */
static void tell(const shoal_list *list, uint64_t index, uint64_t removed, uint64_t added)
{
    shoal_watch *watch = list->object.watch;
    SHOAL_DEBUG_ASSERT(index + removed <= list->count);
    SHOAL_DEBUG_ASSERT(watch == NULL || watch->before_range != NULL);
    if (__builtin_expect(watch != NULL, 0) && removed + added > 0)
        watch->before_range(watch, index, removed, added);
}

/* Tells that what was to be added at `index` is not. */
static void take_back(const shoal_list *list, uint64_t index)
{
    shoal_watch *watch = list->object.watch;
    SHOAL_DEBUG_ASSERT(index <= list->count);
    SHOAL_DEBUG_ASSERT(watch == NULL || watch->before_range != NULL);
    if (watch != NULL) watch->before_range(watch, index, 1, 0);
}

/* ---- the ends ---- */

static bool is_eager(const shoal_list *list)
{
    return list->root != NULL && (list->root->level > 0 || list->root->used >= EAGER_CHUNKS);
}

/* A stem for a new chunk that begins with `element` next to another chunk, where its neighbour
 * there begins like it. */
static shoal_slice stem_beside(const shoal_list__chunk *chunk, shoal_list_end end,
                               const shoal_element *element)
{
    shoal_slice none = {.data = NULL};
    if (chunk == NULL || element->kind != SHOAL_ELEMENT_BYTES) return none;
    shoal_list_cursor cursor;
    cursor.run = shoal_list__run(chunk);
    cursor.stem = shoal_list__stem(chunk);
    shoal_element other;
    uint32_t index = end == SHOAL_LIST_HEAD ? 0 : chunk->count - 1;
    shoal_list__read(&cursor, shoal_list__chunk_at(chunk, index), &other);
    if (other.kind != SHOAL_ELEMENT_BYTES) return none;
    shoal_slice stem = element->bytes;
    if (stem.size > SHOAL_LIST__STEM_MAX) stem.size = SHOAL_LIST__STEM_MAX;
    SHOAL_DEBUG_ASSERT(chunk->count > 0);
    return shoal_list__common(stem, other.bytes, stem.size) < STEM_COMMON_MIN ? none : stem;
}

/* What a chunk is made for at once that begins with an element of `need` bytes, in a list that is
 * long: all the bytes it may have, unless the count of its elements will end it before. */
static size_t eager_size(const shoal_list_limits *limits, size_t need)
{
    SHOAL_DEBUG_ASSERT(limits->count_max > 0);
    uint64_t alike = (uint64_t)need * limits->count_max;
    return alike < limits->bytes_max ? (size_t)alike : limits->bytes_max;
}

/* A chunk with one element, or NULL without memory; with room at `end` where it is not long. */
static shoal_list__chunk *chunk_with(const shoal_list_edit *edit, shoal_list_end end,
                                     const shoal_element *element, shoal_slice stem)
{
    size_t need = shoal_list__chunk_need(element, stem);
    uint32_t bytes_max = edit->limits.bytes_max;
    size_t size = need;
    if (need * 2 < bytes_max)
        size = is_eager(edit->list) ? eager_size(&edit->limits, need) : need * 2;
    shoal_list__chunk *chunk = shoal_list__chunk_make(edit->account, size, stem);
    if (chunk == NULL) return NULL;
    shoal_list__chunk_first(chunk, size == need ? SHOAL_LIST_TAIL : end, element);
    return chunk;
}

/* Puts an element into a chunk of its own beside the one at the path. */
static shoal_err add_alone(const shoal_list_edit *edit, shoal_list_path *path, shoal_list_end end,
                           const shoal_element *element)
{
    const shoal_list__chunk *beside = path->depth > 0 ? shoal_list__chunk_of(path) : NULL;
    shoal_slice stem = stem_beside(beside, end, element);
    shoal_list__chunk *chunk = chunk_with(edit, end, element, stem);
    if (chunk == NULL) return SHOAL_ERR_NO_MEMORY;
    SHOAL_DEBUG_ASSERT(chunk->count == 1);
    shoal_err err = shoal_list__add_chunk(edit, path, chunk, end == SHOAL_LIST_TAIL);
    if (err != 0) shoal_list__chunk_free(edit->account, chunk);
    return err;
}

/* Puts an element into the chunk at the path, at one of its ends. */
static shoal_list__outcome push_into(const shoal_list_edit *edit, const shoal_list_path *path,
                                     shoal_list_end end, const shoal_element *element)
{
    shoal_list__chunk *chunk = shoal_list__chunk_of(path);
    shoal_list__outcome outcome =
        shoal_list__chunk_push(edit, &chunk, end, element, is_eager(edit->list));
    SHOAL_DEBUG_ASSERT(chunk->count > 0);
    shoal_list__moved(path, chunk);
    if (outcome == SHOAL_LIST__DONE) shoal_list__recount(edit->list, path, 1);
    return outcome;
}

static shoal_err push(const shoal_list_edit *edit, shoal_list_end end, const shoal_element *element)
{
    SHOAL_DEBUG_ASSERT(edit->limits.count_max > 0);
    shoal_list_path path;
    if (shoal_list__locate_end(edit->list, end, &path) != NULL) {
        shoal_list__outcome outcome = push_into(edit, &path, end, element);
        if (outcome == SHOAL_LIST__DONE) return 0;
        if (outcome == SHOAL_LIST__NO_MEMORY) return SHOAL_ERR_NO_MEMORY;
    }
    return add_alone(edit, &path, end, element);
}

shoal_err shoal_list_push(const shoal_list_edit *edit, shoal_list_end end,
                          const shoal_element *element)
{
    uint64_t index = end == SHOAL_LIST_HEAD ? 0 : edit->list->count;
    tell(edit->list, index, 0, 1);
    shoal_err err = push(edit, end, element);
    if (err != 0) take_back(edit->list, index);
    SHOAL_DEBUG_ASSERT(err != 0 || edit->list->count > 0);
    return err;
}

shoal_err shoal_list_append_pack(const shoal_list_edit *edit, shoal_slice pack)
{
    SHOAL_ASSERT(pack.size >= SHOAL_PACK_HEAD);
    const char *end = shoal_pack_end(pack);
    for (const char *at = shoal_pack_first(pack); at < end;) {
        shoal_element element;
        at = shoal_pack_read(at, end, &element);
        shoal_err err = shoal_list_push(edit, SHOAL_LIST_TAIL, &element);
        if (err != 0) return err;
    }
    return 0;
}

/* After elements were taken from the chunk at the path: a short list keeps little room. */
static void tidy(const shoal_list_edit *edit, const shoal_list_path *path)
{
    shoal_list__chunk *chunk = shoal_list__chunk_of(path);
    SHOAL_DEBUG_ASSERT(chunk->count > 0);
    shoal_list__chunk_shrink(edit->account, &chunk);
    shoal_list__moved(path, chunk);
}

/* Takes elements from the chunk at the path, up to its end or all of it. Returns how many; the path
 * is dead afterwards. */
static uint32_t take_out(const shoal_list_edit *edit, shoal_list_path *path, uint64_t count)
{
    shoal_list__chunk *chunk = shoal_list__chunk_of(path);
    uint32_t here = chunk->count - path->within;
    if (here > count) here = (uint32_t)count;
    SHOAL_ASSERT(here > 0);
    if (here == chunk->count) {
        shoal_list__drop_chunk(edit, path);
        return here;
    }
    shoal_list__splice splice = {.index = path->within, .removed = here};
    shoal_list__outcome outcome = shoal_list__chunk_splice(edit, &chunk, &splice);
    SHOAL_ASSERT(outcome == SHOAL_LIST__DONE);
    shoal_list__recount(edit->list, path, -(int64_t)here);
    tidy(edit, path);
    return here;
}

void shoal_list_drop(const shoal_list_edit *edit, shoal_list_end end, uint64_t count)
{
    SHOAL_ASSERT(count <= edit->list->count);
    tell(edit->list, end == SHOAL_LIST_HEAD ? 0 : edit->list->count - count, count, 0);
    while (count > 0) {
        shoal_list_path path;
        shoal_list__chunk *chunk = shoal_list__locate_end(edit->list, end, &path);
        uint32_t here = chunk->count < count ? chunk->count : (uint32_t)count;
        if (here == chunk->count || here > POP_MAX) {
            path.within = end == SHOAL_LIST_HEAD ? 0 : chunk->count - here;
            take_out(edit, &path, here);
        } else {
            for (uint32_t i = 0; i < here; i++) shoal_list__chunk_pop(chunk, end);
            shoal_list__recount(edit->list, &path, -(int64_t)here);
            if (!is_eager(edit->list)) tidy(edit, &path);
        }
        count -= here;
    }
}

/* ---- anywhere ---- */

void shoal_list_remove(const shoal_list_edit *edit, uint64_t index, uint64_t count)
{
    SHOAL_ASSERT(index <= edit->list->count && count <= edit->list->count - index);
    if (index == 0 || index + count == edit->list->count) {
        shoal_list_drop(edit, index == 0 ? SHOAL_LIST_HEAD : SHOAL_LIST_TAIL, count);
        return;
    }
    tell(edit->list, index, count, 0);
    while (count > 0) {
        shoal_list_path path;
        shoal_list__locate(edit->list, index, &path);
        count -= take_out(edit, &path, count);
    }
}

/* Cuts the chunk that holds element `index` (not as its first) in two before it. */
static shoal_err split(const shoal_list_edit *edit, uint64_t index, shoal_list_path *path)
{
    shoal_list__chunk *chunk = shoal_list__chunk_of(path);
    uint32_t moved = chunk->count - path->within;
    SHOAL_ASSERT(path->within > 0 && moved > 0);
    shoal_list__splice splice = {.index = path->within, .removed = moved};
    shoal_list__chunk *right = shoal_list__chunk_copy(edit->account, chunk, path->within, moved);
    if (right == NULL) return SHOAL_ERR_NO_MEMORY;
    shoal_err err = shoal_list__add_chunk(edit, path, right, true);
    if (err != 0) {
        shoal_list__chunk_free(edit->account, right);
        return err;
    }
    /* For a moment the elements are there twice. */
    chunk = shoal_list__locate(edit->list, index - 1, path);
    shoal_list__outcome outcome = shoal_list__chunk_splice(edit, &chunk, &splice);
    SHOAL_ASSERT(outcome == SHOAL_LIST__DONE);
    shoal_list__recount(edit->list, path, -(int64_t)moved);
    return 0;
}

/* Puts an element between two chunks, the second of which begins with element `index`. */
static shoal_err insert_between(const shoal_list_edit *edit, uint64_t index,
                                const shoal_element *element)
{
    SHOAL_DEBUG_ASSERT(index > 0 && index < edit->list->count);
    shoal_list_path path;
    shoal_list__locate(edit->list, index - 1, &path);
    shoal_list__outcome outcome = push_into(edit, &path, SHOAL_LIST_TAIL, element);
    if (outcome == SHOAL_LIST__FULL) {
        shoal_list__locate(edit->list, index, &path);
        outcome = push_into(edit, &path, SHOAL_LIST_HEAD, element);
    }
    if (outcome == SHOAL_LIST__FULL) return add_alone(edit, &path, SHOAL_LIST_HEAD, element);
    return outcome == SHOAL_LIST__DONE ? 0 : SHOAL_ERR_NO_MEMORY;
}

static shoal_err insert(const shoal_list_edit *edit, uint64_t index, const shoal_element *element)
{
    SHOAL_DEBUG_ASSERT(index > 0 && index < edit->list->count);
    shoal_list_path path;
    shoal_list__chunk *chunk = shoal_list__locate(edit->list, index, &path);
    if (path.within == 0) return insert_between(edit, index, element);

    shoal_list__splice splice = {.index = path.within, .added = element};
    shoal_list__outcome outcome = shoal_list__chunk_splice(edit, &chunk, &splice);
    shoal_list__moved(&path, chunk);
    if (outcome == SHOAL_LIST__NO_MEMORY) return SHOAL_ERR_NO_MEMORY;
    if (outcome == SHOAL_LIST__DONE) {
        shoal_list__recount(edit->list, &path, 1);
        return 0;
    }
    shoal_err err = split(edit, index, &path);
    return err != 0 ? err : insert_between(edit, index, element);
}

shoal_err shoal_list_insert(const shoal_list_edit *edit, uint64_t index,
                            const shoal_element *element)
{
    SHOAL_ASSERT(index <= edit->list->count);
    if (index == edit->list->count) return shoal_list_push(edit, SHOAL_LIST_TAIL, element);
    if (index == 0) return shoal_list_push(edit, SHOAL_LIST_HEAD, element);
    tell(edit->list, index, 0, 1);
    shoal_err err = insert(edit, index, element);
    if (err != 0) take_back(edit->list, index);
    return err;
}

shoal_err shoal_list_set(const shoal_list_edit *edit, uint64_t index, const shoal_element *element)
{
    shoal_list_path path;
    tell(edit->list, index, 1, 1);
    shoal_list__chunk *chunk = shoal_list__locate(edit->list, index, &path);
    shoal_list__splice splice = {.index = path.within, .removed = 1, .added = element};
    shoal_list__outcome outcome = shoal_list__chunk_splice(edit, &chunk, &splice);
    SHOAL_DEBUG_ASSERT(chunk->count > 0);
    shoal_list__moved(&path, chunk);
    if (outcome == SHOAL_LIST__NO_MEMORY) return SHOAL_ERR_NO_MEMORY;
    if (outcome == SHOAL_LIST__DONE) {
        tidy(edit, &path);
        return 0;
    }
    shoal_err err = shoal_list_insert(edit, index, element);
    if (err == 0) shoal_list_remove(edit, index + 1, 1);
    return err;
}

/* What is to be removed from the `count` elements from `index` on. */
typedef struct hunt {
    const shoal_element *probe;
    uint64_t limit;
    bool backward;
    uint64_t index;
    uint32_t count;
} hunt;

/* Tells who watches the list which elements are about to be removed: first what they are, while all
 * stand where they did, then that they go, the last of them first. */
static void tell_equal(const shoal_list *list, const hunt *what)
{
    shoal_list_cursor cursor;
    const shoal_compound value = {.object = (shoal_object *)(uintptr_t)&list->object};
    uint64_t at = 0, last = 0, equal = 0, left = what->count;
    SHOAL_ASSERT(what->count > 0);
    if (list->object.watch == NULL) return;
    shoal_list_seek(&cursor, &value, what->backward ? what->index + left - 1 : what->index,
                    what->backward);
    while (equal < what->limit && left > 0 && shoal_list_find(&cursor, what->probe, left, &at)) {
        tell(list, at, 1, 1);
        left = what->backward ? at - what->index : what->index + what->count - at - 1;
        if (equal++ == 0 || at > last) last = at;
    }
    if (equal == 0) return;
    shoal_list_seek(&cursor, &value, last, true);
    for (; equal > 0; equal--) {
        bool found = shoal_list_find(&cursor, what->probe, what->count, &at);
        SHOAL_ASSERT(found && at >= what->index);
        tell(list, at, 1, 0);
    }
}

/* Removes equal elements from the chunk at the path. Returns how many; the path is dead if any. */
static uint32_t remove_here(const shoal_list_edit *edit, shoal_list_path *path, const hunt *what)
{
    shoal_list__chunk *chunk = shoal_list__chunk_of(path);
    tell_equal(edit->list, what);
    uint32_t removed =
        shoal_list__chunk_remove_equal(chunk, what->probe, what->limit, what->backward);
    SHOAL_DEBUG_ASSERT(removed <= what->limit);
    if (removed == 0) return 0;
    shoal_list__recount(edit->list, path, -(int64_t)removed);
    if (chunk->count == 0) {
        shoal_list__drop_chunk(edit, path);
    } else {
        tidy(edit, path);
    }
    return removed;
}

uint64_t shoal_list_remove_equal(const shoal_list_edit *edit, const shoal_element *probe,
                                 uint64_t limit, bool backward)
{
    SHOAL_DEBUG_ASSERT(limit > 0);
    uint64_t removed = 0;
    /* Elements before those that are still to be looked at; backward: behind the last of them. */
    uint64_t index = backward ? edit->list->count : 0;
    while (removed < limit && (backward ? index > 0 : index < edit->list->count)) {
        shoal_list_path path;
        const shoal_list__chunk *chunk =
            shoal_list__locate(edit->list, backward ? index - 1 : index, &path);
        uint32_t count = chunk->count;
        const hunt what = {probe, limit - removed, backward, backward ? index - count : index,
                           count};
        uint32_t here = remove_here(edit, &path, &what);
        removed += here;
        index = backward ? index - count : index + count - here;
    }
    return removed;
}
