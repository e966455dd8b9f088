/* SPDX-License-Identifier: MIT
 *
 * value/list_chunk.c - reading a chunk, pushing and popping at its ends. What changes its middle is
 * in value/list_splice.c.
 */
#include "value/list_chunk.h"

#include <string.h>

#include "base/memory.h"

/* As shoal_account_take aligns. */
#define CHUNK_ALIGNMENT 8

/* The smallest chunk worth an allocation. */
#define CHUNK_MIN 128u

/* Up to here chunks grow by an eighth at a time, then by a quarter. */
#define SMALL_STEPS_MAX 2048u

/* A stem is taken on when it spares so many bytes of each string that is looked at. */
#define STEM_GAIN_MIN 3u
/* Strings to look at before that, and the least number of elements. */
#define STEM_SAMPLES 16u
#define STEM_COUNT_MIN 8u

/* The form of strings that may share a stem, and the mask of its size. */
#define TINY_STRING 0x80u
#define TINY_STRING_END 0xc0u
#define TINY_STRING_MAX 63u

/* ---- elements ---- */

size_t shoal_list__common(shoal_slice a, shoal_slice b, size_t max)
{
    if (max > a.size) max = a.size;
    if (max > b.size) max = b.size;
    size_t common = 0;
    for (; common + 8 <= max; common += 8) {
        uint64_t differ =
            shoal_bytes_get_le64(a.data + common) ^ shoal_bytes_get_le64(b.data + common);
        if (differ != 0) return common + (size_t)__builtin_ctzll(differ) / 8;
    }
    while (common < max && a.data[common] == b.data[common]) common++;
    SHOAL_DEBUG_ASSERT(common <= max);
    return common;
}

void shoal_list__encode(shoal_slice stem, const shoal_element *element, shoal_list__code *code)
{
    SHOAL_DEBUG_ASSERT(stem.size <= SHOAL_LIST__STEM_MAX);
    code->rest = (shoal_slice){.data = NULL};
    if (element->kind == SHOAL_ELEMENT_BYTES) {
        code->rest = element->bytes;
        if (stem.size != 0 && element->bytes.size <= stem.size + TINY_STRING_MAX) {
            size_t shared = shoal_list__common(stem, element->bytes, stem.size);
            size_t rest = element->bytes.size - shared;
            if (rest <= TINY_STRING_MAX) {
                code->front[0] = (char)(TINY_STRING | rest);
                code->front[1] = (char)shared;
                code->front_size = 2;
                code->rest = (shoal_slice){element->bytes.data + shared, rest};
                return;
            }
        }
    }
    code->front_size = (uint8_t)(shoal_pack_write_front(code->front, element) - code->front);
}

void shoal_list__write(char *at, const shoal_list__code *code)
{
    SHOAL_DEBUG_ASSERT(code->front_size > 0);
    memcpy(at, code->front, code->front_size);
    if (code->rest.size != 0) memcpy(at + code->front_size, code->rest.data, code->rest.size);
}

bool shoal_list__is(const char *at, const char *end, const shoal_list__code *code)
{
    SHOAL_DEBUG_ASSERT(at < end);
    return *at == code->front[0] && (size_t)(end - at) >= shoal_list__code_size(code) &&
           memcmp(at, code->front, code->front_size) == 0 &&
           (code->rest.size == 0 ||
            memcmp(at + code->front_size, code->rest.data, code->rest.size) == 0);
}

const char *shoal_list__read(shoal_list_cursor *cursor, const char *at, shoal_element *element)
{
    const char *end = cursor->run.data + cursor->run.size;
    SHOAL_DEBUG_ASSERT(at < end);
    uint32_t first = (unsigned char)*at;
    if (cursor->stem.size == 0 || first < TINY_STRING || first >= TINY_STRING_END)
        return shoal_pack_read(at, end, element);
    size_t rest = first & TINY_STRING_MAX;
    size_t shared = (unsigned char)at[1];
    at += 2;
    SHOAL_ASSERT(rest <= (size_t)(end - at) && shared <= cursor->stem.size);
    element->kind = SHOAL_ELEMENT_BYTES;
    element->bytes = (shoal_slice){at, rest};
    if (shared != 0) {
        memcpy(cursor->scratch, cursor->stem.data, shared);
        memcpy(cursor->scratch + shared, at, rest);
        element->bytes = (shoal_slice){cursor->scratch, shared + rest};
    }
    return at + rest;
}

/* ---- marks ---- */

/* Where mark `group` (from 1 on) stands. */
static char *mark_of(const shoal_list__chunk *chunk, uint32_t group)
{
    SHOAL_DEBUG_ASSERT(group > 0);
    return (char *)(uintptr_t)((const char *)chunk + chunk->size - 2 * (size_t)group);
}

uint32_t shoal_list__groups(uint32_t lead, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(lead < SHOAL_LIST__GROUP);
    return (lead + count + SHOAL_LIST__GROUP - 1) / SHOAL_LIST__GROUP;
}

void shoal_list__mark_all(shoal_list__chunk *chunk)
{
    chunk->lead = 0;
    if (chunk->count <= SHOAL_LIST__GROUP) return;
    const char *at = (const char *)chunk + chunk->begin;
    const char *end = (const char *)chunk + chunk->end;
    bool stemmed = chunk->stem_size != 0;
    for (uint32_t i = 0; i < chunk->count; i++) {
        if (i % SHOAL_LIST__GROUP == 0 && i != 0)
            shoal_bytes_put_le16(mark_of(chunk, i / SHOAL_LIST__GROUP),
                                 (uint16_t)(at - (const char *)chunk));
        at = shoal_list__skip(at, end, stemmed);
    }
    SHOAL_ASSERT(at == end);
}

/* Where a group begins. */
static const char *group_at(const shoal_list__chunk *chunk, uint32_t group)
{
    SHOAL_DEBUG_ASSERT(group < shoal_list__groups(chunk->lead, chunk->count));
    if (group == 0) return (const char *)chunk + chunk->begin;
    return (const char *)chunk + shoal_bytes_get_le16(mark_of(chunk, group));
}

const char *shoal_list__chunk_at(const shoal_list__chunk *chunk, uint32_t index)
{
    SHOAL_ASSERT(index <= chunk->count);
    const char *end = (const char *)chunk + chunk->end;
    if (index == chunk->count) return end;
    uint32_t place = chunk->lead + index;
    uint32_t group = place / SHOAL_LIST__GROUP;
    uint32_t steps = place % SHOAL_LIST__GROUP - (group == 0 ? chunk->lead : 0u);
    const char *at = group_at(chunk, group);
    bool stemmed = chunk->stem_size != 0;
    for (; steps > 0; steps--) at = shoal_list__skip(at, end, stemmed);
    return at;
}

/* ---- chunks ---- */

uint32_t shoal_list__content_at(const shoal_list__chunk *chunk)
{
    SHOAL_DEBUG_ASSERT(chunk->stem_size <= SHOAL_LIST__STEM_MAX);
    return (uint32_t)offsetof(shoal_list__chunk, stem) + chunk->stem_size;
}

size_t shoal_list__need(const shoal_list__chunk *chunk, size_t content, uint32_t groups)
{
    SHOAL_DEBUG_ASSERT(groups > 0);
    return shoal_list__content_at(chunk) + content + 2 * (size_t)groups;
}

size_t shoal_list__chunk_need(const shoal_element *element, shoal_slice stem)
{
    SHOAL_DEBUG_ASSERT(stem.size <= SHOAL_LIST__STEM_MAX);
    shoal_list__code code;
    shoal_list__encode(stem, element, &code);
    return offsetof(shoal_list__chunk, stem) + stem.size + shoal_list__code_size(&code) + 2;
}

shoal_list__chunk *shoal_list__chunk_make(shoal_account *account, size_t size, shoal_slice stem)
{
    SHOAL_ASSERT(stem.size <= SHOAL_LIST__STEM_MAX);
    if (size < CHUNK_MIN) size = CHUNK_MIN;
    bool marked = size <= SHOAL_LIST__CHUNK_MAX;
    size = shoal_memory_usable(account->allocator, size, CHUNK_ALIGNMENT);
    /* What is beyond the reach of marks would be of no use. */
    if (marked && size > SHOAL_LIST__CHUNK_MAX) size = SHOAL_LIST__CHUNK_MAX;
    SHOAL_ASSERT(size <= UINT32_MAX);
    shoal_list__chunk *chunk = shoal_account_take(account, size);
    if (chunk == NULL) return NULL;
    *chunk = (shoal_list__chunk){.size = (uint32_t)size, .stem_size = (uint8_t)stem.size};
    if (stem.size != 0) memcpy(chunk->stem, stem.data, stem.size);
    chunk->begin = chunk->end = shoal_list__content_at(chunk);
    return chunk;
}

/* Of `room` bytes that elements like those of the chunk, and one of `bytes`, are going to fill:
 * what the marks will need. */
static uint32_t marks_share(const shoal_list__chunk *chunk, size_t bytes, uint32_t room)
{
    size_t average = (chunk->end - chunk->begin + bytes) / (chunk->count + (bytes != 0 ? 1u : 0u));
    SHOAL_DEBUG_ASSERT(average > 0);
    size_t share = room / (average * SHOAL_LIST__GROUP / 2 + 1) + 2;
    return share < room ? (uint32_t)share : room;
}

void shoal_list__chunk_free(shoal_account *account, shoal_list__chunk *chunk)
{
    SHOAL_ASSERT(chunk != NULL);
    shoal_account_give(account, chunk, chunk->size);
}

void shoal_list__slide(shoal_list__chunk *chunk, uint32_t begin)
{
    SHOAL_DEBUG_ASSERT(begin >= shoal_list__content_at(chunk));
    uint32_t delta = begin - chunk->begin; /* modulo 2^32, as is the sum below */
    if (delta == 0) return;
    memmove((char *)chunk + begin, (const char *)chunk + chunk->begin, chunk->end - chunk->begin);
    chunk->begin = begin;
    chunk->end += delta;
    for (uint32_t g = shoal_list__groups(chunk->lead, chunk->count); g-- > 1;) {
        char *mark = mark_of(chunk, g);
        shoal_bytes_put_le16(mark, (uint16_t)(shoal_bytes_get_le16(mark) + delta));
    }
}

shoal_list__chunk *shoal_list__chunk_resize(shoal_account *account, const shoal_list__chunk *chunk,
                                            size_t size, shoal_list_end end)
{
    shoal_list__chunk *larger = shoal_list__chunk_make(account, size, shoal_list__stem(chunk));
    if (larger == NULL) return NULL;
    uint32_t content = chunk->end - chunk->begin;
    uint32_t groups = shoal_list__groups(chunk->lead, chunk->count);
    size_t need = shoal_list__need(chunk, content, groups + 1);
    SHOAL_ASSERT(need <= larger->size);
    uint32_t room = larger->size - (uint32_t)need;
    /* All room goes to the side that asks for it, but for some that the marks may need. */
    if (end == SHOAL_LIST_HEAD) larger->begin += room - marks_share(chunk, 0, room);
    larger->end = larger->begin + content;
    larger->count = chunk->count;
    larger->lead = chunk->lead;
    memcpy((char *)larger + larger->begin, (const char *)chunk + chunk->begin, content);
    uint32_t delta = larger->begin - chunk->begin;
    for (uint32_t g = 1; g < groups; g++) {
        uint32_t mark = shoal_bytes_get_le16(mark_of(chunk, g));
        shoal_bytes_put_le16(mark_of(larger, g), (uint16_t)(mark + delta));
    }
    return larger;
}

/* ---- stems ---- */

/* What sharing the stem spares of the strings of a sample of a chunk's elements: bytes, less those
 * that telling it takes. */
static int64_t stem_gain(const shoal_list__chunk *chunk, shoal_slice stem, uint32_t *looked)
{
    int64_t gain = 0;
    uint32_t step = chunk->count / STEM_SAMPLES + 1;
    *looked = 0;
    for (uint32_t i = 0; i < chunk->count; i += step) {
        shoal_element element;
        const char *at = shoal_list__chunk_at(chunk, i);
        shoal_pack_read(at, (const char *)chunk + chunk->end, &element);
        ++*looked;
        if (element.kind != SHOAL_ELEMENT_BYTES) continue;
        gain += (int64_t)shoal_list__common(stem, element.bytes, stem.size) - 1;
    }
    SHOAL_DEBUG_ASSERT(*looked <= STEM_SAMPLES);
    return gain;
}

/* A stem for a chunk that has none: the element in its middle, if that spares enough. */
static shoal_slice stem_for(const shoal_list__chunk *chunk)
{
    SHOAL_DEBUG_ASSERT(chunk->stem_size == 0);
    shoal_slice none = {.data = NULL};
    if (chunk->count < STEM_COUNT_MIN) return none;
    shoal_element element;
    const char *at = shoal_list__chunk_at(chunk, chunk->count / 2);
    shoal_pack_read(at, (const char *)chunk + chunk->end, &element);
    if (element.kind != SHOAL_ELEMENT_BYTES) return none;
    shoal_slice stem = element.bytes;
    if (stem.size > SHOAL_LIST__STEM_MAX) stem.size = SHOAL_LIST__STEM_MAX;
    uint32_t looked;
    int64_t gain = stem_gain(chunk, stem, &looked);
    return gain >= (int64_t)(STEM_GAIN_MIN * looked) ? stem : none;
}

/* The same elements beside a stem, in a chunk of their own with a quarter of room, or NULL without
 * memory. */
static shoal_list__chunk *restem(const shoal_list_edit *edit, const shoal_list__chunk *chunk,
                                 shoal_slice stem, size_t extra)
{
    SHOAL_DEBUG_ASSERT(chunk->stem_size == 0 && stem.size != 0);
    const char *end = (const char *)chunk + chunk->end;
    size_t content = 0;
    shoal_element element;
    shoal_list__code code;
    for (const char *at = (const char *)chunk + chunk->begin; at < end;) {
        at = shoal_pack_read(at, end, &element);
        shoal_list__encode(stem, &element, &code);
        content += shoal_list__code_size(&code);
    }
    size_t need = offsetof(shoal_list__chunk, stem) + stem.size + content + extra;
    need += 2 * (size_t)(chunk->count / SHOAL_LIST__GROUP + 2);
    size_t size = need + need / 4;
    if (size > edit->limits.bytes_max && need <= edit->limits.bytes_max)
        size = edit->limits.bytes_max;
    shoal_list__chunk *out = shoal_list__chunk_make(edit->account, size, stem);
    if (out == NULL) return NULL;
    for (const char *at = (const char *)chunk + chunk->begin; at < end;) {
        at = shoal_pack_read(at, end, &element);
        shoal_list__encode(stem, &element, &code);
        shoal_list__write((char *)out + out->end, &code);
        out->end += (uint32_t)shoal_list__code_size(&code);
    }
    out->count = chunk->count;
    SHOAL_ASSERT(out->end <= out->size);
    shoal_list__mark_all(out);
    return out;
}

/* ---- the ends ---- */

/* True when `bytes` fit at an end, and one mark more. */
static bool has_room(const shoal_list__chunk *chunk, shoal_list_end end, size_t bytes)
{
    SHOAL_DEBUG_ASSERT(chunk->begin <= chunk->end && chunk->end <= chunk->size);
    size_t marks = 2 * (size_t)shoal_list__groups(chunk->lead, chunk->count);
    size_t tail = end == SHOAL_LIST_TAIL ? bytes : 0;
    if (chunk->end + tail + marks > chunk->size) return false;
    return end == SHOAL_LIST_TAIL || chunk->begin >= shoal_list__content_at(chunk) + bytes;
}

/* Slides the elements so that most of the room is at one end. */
static void make_room(shoal_list__chunk *chunk, shoal_list_end end, size_t bytes)
{
    uint32_t groups = shoal_list__groups(chunk->lead, chunk->count) + 1;
    size_t need = shoal_list__need(chunk, chunk->end - chunk->begin + bytes, groups);
    SHOAL_ASSERT(need <= chunk->size);
    uint32_t room = chunk->size - (uint32_t)need;
    uint32_t front = room / 8;
    if (end == SHOAL_LIST_HEAD) front = (uint32_t)bytes + room - marks_share(chunk, bytes, room);
    shoal_list__slide(chunk, shoal_list__content_at(chunk) + front);
    SHOAL_DEBUG_ASSERT(has_room(chunk, end, bytes));
}

shoal_list__outcome shoal_list__grow(const shoal_list_edit *edit, shoal_list__chunk **chunk,
                                     shoal_list_end end, size_t need, bool eager)
{
    shoal_list__chunk *old = *chunk;
    uint32_t bytes_max = edit->limits.bytes_max;
    SHOAL_ASSERT(bytes_max <= SHOAL_LIST__CHUNK_MAX);
    if (need > bytes_max || old->size >= bytes_max) return SHOAL_LIST__FULL;
    size_t size = old->size + (size_t)old->size / (old->size < SMALL_STEPS_MAX ? 8 : 4);
    if (size < need) size = need;
    /* Where elements are counted, a chunk has been made for as many as it may have. */
    if ((eager && edit->limits.count_max == UINT32_MAX) || size > bytes_max) size = bytes_max;

    shoal_list__chunk *larger = NULL;
    if (old->stem_size == 0 && old->count > 0) {
        shoal_slice stem = stem_for(old);
        if (stem.size != 0) {
            size_t content = old->end - old->begin;
            larger = restem(edit, old, stem, need - content);
        }
    }
    if (larger == NULL) larger = shoal_list__chunk_resize(edit->account, old, size, end);
    if (larger == NULL) return SHOAL_LIST__NO_MEMORY;
    shoal_list__chunk_free(edit->account, old);
    *chunk = larger;
    return SHOAL_LIST__DONE;
}

/* Room for `bytes` at an end, by sliding where a good part of the chunk is room, else by growing.
 * With less room than that, sliding again and again would cost more than another chunk. */
static shoal_list__outcome ensure_room(const shoal_list_edit *edit, shoal_list__chunk **chunk,
                                       shoal_list_end end, size_t bytes, bool eager)
{
    if (has_room(*chunk, end, bytes)) return SHOAL_LIST__DONE;
    uint32_t groups = shoal_list__groups((*chunk)->lead, (*chunk)->count) + 1;
    size_t need = shoal_list__need(*chunk, (*chunk)->end - (*chunk)->begin + bytes, groups);
    SHOAL_DEBUG_ASSERT(need > bytes);
    if (need + (*chunk)->size / 4 > (*chunk)->size) {
        shoal_list__outcome outcome = shoal_list__grow(edit, chunk, end, need, eager);
        if (outcome != SHOAL_LIST__DONE || has_room(*chunk, end, bytes)) return outcome;
    }
    make_room(*chunk, end, bytes);
    return SHOAL_LIST__DONE;
}

static void add_front(shoal_list__chunk *chunk, const shoal_list__code *code)
{
    uint32_t groups = shoal_list__groups(chunk->lead, chunk->count);
    if (chunk->lead > 0) {
        chunk->lead--;
    } else {
        chunk->lead = SHOAL_LIST__GROUP - 1;
        if (chunk->count == 0) {
            chunk->lead = 0;
        } else {
            /* What was the first group is the second now and needs a mark. */
            char *last = mark_of(chunk, groups);
            memmove(last, last + 2, 2 * (size_t)(groups - 1));
            shoal_bytes_put_le16(mark_of(chunk, 1), (uint16_t)chunk->begin);
        }
    }
    chunk->begin -= (uint32_t)shoal_list__code_size(code);
    SHOAL_DEBUG_ASSERT(chunk->begin >= shoal_list__content_at(chunk));
    shoal_list__write((char *)chunk + chunk->begin, code);
    chunk->count++;
}

static void add_back(shoal_list__chunk *chunk, const shoal_list__code *code)
{
    uint32_t place = chunk->lead + chunk->count;
    if (place % SHOAL_LIST__GROUP == 0 && place != 0)
        shoal_bytes_put_le16(mark_of(chunk, place / SHOAL_LIST__GROUP), (uint16_t)chunk->end);
    shoal_list__write((char *)chunk + chunk->end, code);
    chunk->end += (uint32_t)shoal_list__code_size(code);
    chunk->count++;
    SHOAL_DEBUG_ASSERT(chunk->end <= chunk->size);
}

shoal_list__outcome shoal_list__chunk_push(const shoal_list_edit *edit, shoal_list__chunk **chunk,
                                           shoal_list_end end, const shoal_element *element,
                                           bool eager)
{
    SHOAL_DEBUG_ASSERT(edit->limits.count_max > 0);
    if ((*chunk)->count >= edit->limits.count_max) return SHOAL_LIST__FULL;
    if ((*chunk)->size > SHOAL_LIST__CHUNK_MAX && (*chunk)->count > 0) return SHOAL_LIST__FULL;
    shoal_list__code code;
    shoal_list__encode(shoal_list__stem(*chunk), element, &code);
    if (!has_room(*chunk, end, shoal_list__code_size(&code))) {
        const shoal_list__chunk *before = *chunk;
        shoal_list__outcome outcome =
            ensure_room(edit, chunk, end, shoal_list__code_size(&code), eager);
        if (outcome != SHOAL_LIST__DONE) return outcome;
        /* It may have got a stem. */
        if (*chunk != before) shoal_list__encode(shoal_list__stem(*chunk), element, &code);
        SHOAL_ASSERT(has_room(*chunk, end, shoal_list__code_size(&code)));
    }
    if (end == SHOAL_LIST_HEAD) {
        add_front(*chunk, &code);
    } else {
        add_back(*chunk, &code);
    }
    return SHOAL_LIST__DONE;
}

void shoal_list__chunk_first(shoal_list__chunk *chunk, shoal_list_end end,
                             const shoal_element *element)
{
    SHOAL_ASSERT(chunk->count == 0);
    shoal_list__code code;
    shoal_list__encode(shoal_list__stem(chunk), element, &code);
    if (end == SHOAL_LIST_HEAD) {
        make_room(chunk, end, shoal_list__code_size(&code));
        add_front(chunk, &code);
    } else {
        SHOAL_ASSERT(has_room(chunk, end, shoal_list__code_size(&code)));
        add_back(chunk, &code);
    }
}

static void pop_front(shoal_list__chunk *chunk)
{
    SHOAL_DEBUG_ASSERT(chunk->count > 0);
    const char *at = (const char *)chunk + chunk->begin;
    at = shoal_list__skip(at, (const char *)chunk + chunk->end, chunk->stem_size != 0);
    uint32_t groups = shoal_list__groups(chunk->lead, chunk->count);
    chunk->begin = (uint32_t)(at - (const char *)chunk);
    chunk->count--;
    if (++chunk->lead < SHOAL_LIST__GROUP) return;
    chunk->lead = 0;
    if (groups > 2) {
        char *last = mark_of(chunk, groups - 1);
        memmove(last + 2, last, 2 * (size_t)(groups - 2));
    }
}

void shoal_list__chunk_pop(shoal_list__chunk *chunk, shoal_list_end end)
{
    SHOAL_ASSERT(chunk->count > 0);
    if (end == SHOAL_LIST_HEAD) {
        pop_front(chunk);
    } else {
        const char *at = shoal_list__chunk_at(chunk, chunk->count - 1);
        chunk->end = (uint32_t)(at - (const char *)chunk);
        chunk->count--;
    }
    if (chunk->count == 0) chunk->lead = 0;
}

void shoal_list__chunk_check(const shoal_list__chunk *chunk)
{
    uint32_t groups = shoal_list__groups(chunk->lead, chunk->count);
    SHOAL_ASSERT(chunk->begin >= shoal_list__content_at(chunk));
    SHOAL_ASSERT(chunk->end >= chunk->begin);
    SHOAL_ASSERT(chunk->end + 2 * (size_t)(groups > 1 ? groups - 1 : 0) <= chunk->size);
    const char *at = (const char *)chunk + chunk->begin;
    const char *end = (const char *)chunk + chunk->end;
    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t place = chunk->lead + i;
        if (i != 0 && place % SHOAL_LIST__GROUP == 0)
            SHOAL_ASSERT(group_at(chunk, place / SHOAL_LIST__GROUP) == at);
        at = shoal_list__skip(at, end, chunk->stem_size != 0);
    }
    SHOAL_ASSERT(at == end);
}
