/* SPDX-License-Identifier: MIT
 *
 * value/list_cursor.c - going over a list's elements, whichever form it has: a pack is one run of
 * elements, an object a run for each chunk.
 */
#include "value/list_tree.h"

static bool is_stemmed(const shoal_list_cursor *cursor)
{
    return cursor->stem.size != 0;
}

/* Makes a chunk the present run, standing before its element `position`. */
static void enter_chunk(shoal_list_cursor *cursor, const shoal_list__chunk *chunk,
                        uint32_t position)
{
    SHOAL_DEBUG_ASSERT(position <= chunk->count);
    cursor->run = shoal_list__run(chunk);
    cursor->stem = shoal_list__stem(chunk);
    cursor->count = chunk->count;
    cursor->position = position;
    cursor->starts_from = position;
    cursor->at = cursor->backward ? NULL : shoal_list__chunk_at(chunk, position);
}

static void enter_pack(shoal_list_cursor *cursor, shoal_slice pack, uint32_t position)
{
    cursor->run = (shoal_slice){shoal_pack_first(pack), pack.size - SHOAL_PACK_HEAD};
    cursor->stem = (shoal_slice){.data = NULL};
    cursor->count = shoal_pack_count(pack);
    cursor->position = position;
    cursor->starts_from = position;
    SHOAL_DEBUG_ASSERT(position <= cursor->count);
    cursor->at = cursor->backward ? NULL : shoal_pack_at(pack, position);
}

void shoal_list_seek(shoal_list_cursor *cursor, const shoal_compound *value, uint64_t index,
                     bool backward)
{
    uint64_t count = shoal_list_count(value);
    SHOAL_ASSERT(index < count);
    cursor->index = index;
    cursor->left = backward ? index + 1 : count - index;
    cursor->backward = backward;
    /* Backward, the position is behind the next element. */
    uint32_t behind = backward ? 1 : 0;
    if (value->object == NULL) {
        cursor->list = NULL;
        enter_pack(cursor, value->pack, (uint32_t)index + behind);
        return;
    }
    cursor->list = shoal_list_of(value->object);
    const shoal_list__chunk *chunk = shoal_list__locate(cursor->list, index, &cursor->path);
    enter_chunk(cursor, chunk, cursor->path.within + behind);
}

/* Goes on to the next run, at the end of this one. */
static void next_run(shoal_list_cursor *cursor)
{
    SHOAL_ASSERT(cursor->list != NULL);
    const shoal_list__chunk *chunk = shoal_list__step(&cursor->path, cursor->backward);
    SHOAL_ASSERT(chunk != NULL);
    enter_chunk(cursor, chunk, cursor->backward ? chunk->count : 0);
}

/* Notes where the elements before `position` begin, as many as fit. */
static void find_starts(shoal_list_cursor *cursor)
{
    SHOAL_DEBUG_ASSERT(cursor->position > 0);
    uint32_t to = cursor->position;
    uint32_t from = to > SHOAL_LIST_STARTS ? to - SHOAL_LIST_STARTS : 0;
    const char *at = cursor->run.data;
    const char *end = cursor->run.data + cursor->run.size;
    if (cursor->list != NULL) {
        at = shoal_list__chunk_at(shoal_list__chunk_of(&cursor->path), from);
    } else {
        for (uint32_t i = 0; i < from; i++) at = shoal_pack_skip(at, end);
    }
    for (uint32_t i = from; i < to; i++) {
        cursor->starts[i - from] = (uint16_t)(at - cursor->run.data);
        at = shoal_list__skip(at, end, is_stemmed(cursor));
    }
    cursor->starts_from = from;
}

static void next_backward(shoal_list_cursor *cursor, shoal_element *element)
{
    if (cursor->position == 0) next_run(cursor);
    if (cursor->position == cursor->starts_from) find_starts(cursor);
    SHOAL_DEBUG_ASSERT(cursor->position > cursor->starts_from);
    cursor->position--;
    const char *at = cursor->run.data + cursor->starts[cursor->position - cursor->starts_from];
    shoal_list__read(cursor, at, element);
    cursor->index--;
}

bool shoal_list_next(shoal_list_cursor *cursor, shoal_element *element)
{
    if (cursor->left == 0) return false;
    cursor->left--;
    if (cursor->backward) {
        next_backward(cursor, element);
        return true;
    }
    if (cursor->position == cursor->count) next_run(cursor);
    SHOAL_DEBUG_ASSERT(cursor->position < cursor->count);
    cursor->at = shoal_list__read(cursor, cursor->at, element);
    cursor->position++;
    cursor->index++;
    return true;
}

static bool find_backward(shoal_list_cursor *cursor, const shoal_element *probe, uint64_t limit,
                          uint64_t *index)
{
    SHOAL_DEBUG_ASSERT(cursor->backward);
    shoal_element element;
    for (; limit > 0; limit--) {
        *index = cursor->index;
        if (!shoal_list_next(cursor, &element)) return false;
        if (shoal_element_equals(&element, probe)) return true;
    }
    return false;
}

bool shoal_list_find(shoal_list_cursor *cursor, const shoal_element *probe, uint64_t limit,
                     uint64_t *index)
{
    if (cursor->backward) return find_backward(cursor, probe, limit, index);
    if (limit > cursor->left) limit = cursor->left;
    while (limit > 0) {
        if (cursor->position == cursor->count) next_run(cursor);
        shoal_list__code code;
        shoal_list__encode(cursor->stem, probe, &code);
        const char *at = cursor->at;
        const char *end = cursor->run.data + cursor->run.size;
        uint32_t from = cursor->position;
        uint32_t to = cursor->count - from < limit ? cursor->count : from + (uint32_t)limit;
        SHOAL_DEBUG_ASSERT(to > from);
        bool found = false;
        while (!found && cursor->position < to) {
            found = shoal_list__is(at, end, &code);
            at = shoal_list__skip(at, end, is_stemmed(cursor));
            cursor->position++;
        }
        cursor->at = at;
        uint32_t looked = cursor->position - from;
        cursor->index += looked;
        cursor->left -= looked;
        limit -= looked;
        if (found) {
            *index = cursor->index - 1;
            return true;
        }
    }
    return false;
}
