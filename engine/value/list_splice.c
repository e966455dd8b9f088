/* SPDX-License-Identifier: MIT
 *
 * value/list_splice.c - changes in the middle of a chunk, copies of a part of it, and giving back
 * what it does not need. What stands behind an edit is moved, and all marks are written anew: some
 * KiB at most.
 */
#include <string.h>

#include "value/list_chunk.h"

/* Chunks up to this are not worth shrinking. */
#define SHRINK_MIN 256u

static uint32_t offset_of(const shoal_list__chunk *chunk, const char *at)
{
    SHOAL_DEBUG_ASSERT(at >= (const char *)chunk + chunk->begin);
    return (uint32_t)(at - (const char *)chunk);
}

/* Makes `size` bytes of what is between two offsets; returns where they begin now. The chunk has
 * room for that and the marks of `count` elements. */
static char *resize_gap(shoal_list__chunk *chunk, shoal_slice gap, size_t size, uint32_t count)
{
    uint32_t from = offset_of(chunk, gap.data);
    size_t marks = 2 * (size_t)shoal_list__groups(0, count);
    if (chunk->end - gap.size + size + marks > chunk->size) {
        uint32_t begin = shoal_list__content_at(chunk);
        from -= chunk->begin - begin;
        shoal_list__slide(chunk, begin);
    }
    char *at = (char *)chunk + from;
    size_t behind = chunk->end - from - gap.size;
    memmove(at + size, at + gap.size, behind);
    chunk->end = from + (uint32_t)(size + behind);
    SHOAL_ASSERT(chunk->end + marks <= chunk->size);
    return at;
}

/* An edit that fits. */
static void apply(shoal_list__chunk *chunk, const shoal_list__splice *splice,
                  const shoal_list__code *code)
{
    SHOAL_DEBUG_ASSERT(splice->index + splice->removed <= chunk->count);
    const char *from = shoal_list__chunk_at(chunk, splice->index);
    const char *to = from;
    const char *end = (const char *)chunk + chunk->end;
    if (splice->removed <= SHOAL_LIST__GROUP) {
        for (uint32_t i = 0; i < splice->removed; i++)
            to = shoal_list__skip(to, end, chunk->stem_size != 0);
    } else {
        to = shoal_list__chunk_at(chunk, splice->index + splice->removed);
    }
    uint32_t count = chunk->count - splice->removed + (splice->added != NULL ? 1 : 0);
    size_t size = splice->added != NULL ? shoal_list__code_size(code) : 0;
    char *at = resize_gap(chunk, (shoal_slice){from, (size_t)(to - from)}, size, count);
    if (splice->added != NULL) shoal_list__write(at, code);
    chunk->count = count;
    shoal_list__mark_all(chunk);
}

shoal_list__outcome shoal_list__chunk_splice(const shoal_list_edit *edit, shoal_list__chunk **chunk,
                                             const shoal_list__splice *splice)
{
    SHOAL_ASSERT(splice->index + splice->removed <= (*chunk)->count);
    shoal_list__code code;
    if (splice->added == NULL) {
        apply(*chunk, splice, NULL);
        return SHOAL_LIST__DONE;
    }
    uint32_t count = (*chunk)->count - splice->removed + 1;
    if (count > edit->limits.count_max && splice->removed == 0) return SHOAL_LIST__FULL;
    if ((*chunk)->size > SHOAL_LIST__CHUNK_MAX && count > 1) return SHOAL_LIST__FULL;
    while (true) {
        shoal_list__encode(shoal_list__stem(*chunk), splice->added, &code);
        size_t content = (*chunk)->end - (*chunk)->begin + shoal_list__code_size(&code);
        if (splice->removed > 0) {
            const char *from = shoal_list__chunk_at(*chunk, splice->index);
            const char *to = shoal_list__chunk_at(*chunk, splice->index + splice->removed);
            content -= (size_t)(to - from);
        }
        size_t need = shoal_list__need(*chunk, content, shoal_list__groups(0, count) + 1);
        if (need <= (*chunk)->size) break;
        shoal_list__outcome outcome = shoal_list__grow(edit, chunk, SHOAL_LIST_TAIL, need, false);
        if (outcome != SHOAL_LIST__DONE) return outcome;
    }
    apply(*chunk, splice, &code);
    return SHOAL_LIST__DONE;
}

/* How many elements are written as `code`. */
static uint32_t count_equal(const shoal_list__chunk *chunk, const shoal_list__code *code)
{
    SHOAL_DEBUG_ASSERT(code->front_size > 0);
    const char *end = (const char *)chunk + chunk->end;
    uint32_t count = 0;
    for (const char *at = (const char *)chunk + chunk->begin; at < end;) {
        if (shoal_list__is(at, end, code)) count++;
        at = shoal_list__skip(at, end, chunk->stem_size != 0);
    }
    return count;
}

uint32_t shoal_list__chunk_remove_equal(shoal_list__chunk *chunk, const shoal_element *probe,
                                        uint64_t limit, bool backward)
{
    shoal_list__code code;
    shoal_list__encode(shoal_list__stem(chunk), probe, &code);
    uint32_t equal = count_equal(chunk, &code);
    SHOAL_DEBUG_ASSERT(equal <= chunk->count);
    if (equal == 0) return 0;
    uint32_t remove = equal < limit ? equal : (uint32_t)limit;
    uint32_t pass = backward ? equal - remove : 0;

    const char *end = (const char *)chunk + chunk->end;
    const char *kept = (const char *)chunk + chunk->begin; /* not yet moved from here on */
    char *out = (char *)chunk + chunk->begin;
    uint32_t removed = 0;
    for (const char *at = kept; at < end && removed < remove;) {
        const char *next = shoal_list__skip(at, end, chunk->stem_size != 0);
        if (shoal_list__is(at, end, &code)) {
            if (pass > 0) {
                pass--;
            } else {
                memmove(out, kept, (size_t)(at - kept));
                out += at - kept;
                kept = next;
                removed++;
            }
        }
        at = next;
    }
    memmove(out, kept, (size_t)(end - kept));
    chunk->end = offset_of(chunk, out + (end - kept));
    chunk->count -= removed;
    shoal_list__mark_all(chunk);
    return removed;
}

shoal_list__chunk *shoal_list__chunk_copy(shoal_account *account, const shoal_list__chunk *chunk,
                                          uint32_t index, uint32_t count)
{
    SHOAL_ASSERT(index + count <= chunk->count);
    const char *from = shoal_list__chunk_at(chunk, index);
    size_t content = (size_t)(shoal_list__chunk_at(chunk, index + count) - from);
    size_t need = shoal_list__need(chunk, content, shoal_list__groups(0, count));
    shoal_list__chunk *copy = shoal_list__chunk_make(account, need, shoal_list__stem(chunk));
    if (copy == NULL) return NULL;
    memcpy((char *)copy + copy->begin, from, content);
    copy->end = copy->begin + (uint32_t)content;
    copy->count = count;
    shoal_list__mark_all(copy);
    return copy;
}

void shoal_list__chunk_shrink(shoal_account *account, shoal_list__chunk **chunk)
{
    SHOAL_DEBUG_ASSERT((*chunk)->count > 0);
    const shoal_list__chunk *old = *chunk;
    if (old->size <= SHRINK_MIN) return;
    uint32_t groups = shoal_list__groups(old->lead, old->count);
    size_t need = shoal_list__need(old, old->end - old->begin, groups + 1);
    if (need * 4 > old->size) return;
    shoal_list__chunk *smaller =
        shoal_list__chunk_resize(account, old, need + need / 4, SHOAL_LIST_TAIL);
    if (smaller == NULL) return;
    shoal_list__chunk_free(account, *chunk);
    *chunk = smaller;
}
