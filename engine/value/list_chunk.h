/* SPDX-License-Identifier: MIT
 *
 * value/list_chunk.h - the pieces that a list is made of: elements one behind the other in one
 * allocation, with room in front of them and behind.
 *
 *   | head | stem | room | element | element | ... | room | mark n-1 | ... | mark 1 |
 *                        begin                     end                          size
 *
 * Elements are written as in packs, but for one form: in a chunk with a stem, a string whose first
 * `shared` bytes are those of the stem is kept as
 *
 *   10xxxxxx shared bytes         the stem's first `shared` bytes, then 0..63 more
 *
 * Every string of that form has the byte, so equal elements of one chunk are equal bytes.
 *
 * Elements have no way back to the one before. Instead they are counted in groups of 16, and a mark
 * (two bytes, the offset from the chunk's address) stands for the start of each group but the
 * first, which begins at `begin` and lacks `lead` elements: so pushing at the front renumbers
 * nothing.
 *
 * Threads: as value/list.h.
 */
#ifndef SHOAL_VALUE_LIST_CHUNK_H
#define SHOAL_VALUE_LIST_CHUNK_H

#include "value/list.h"

/* Elements between two marks. */
#define SHOAL_LIST__GROUP 16u
/* Longest stem, and longest remainder of a string that shares some of it. */
#define SHOAL_LIST__STEM_MAX 63u
/* Longest chunk with more than one element: marks have 16 bits. */
#define SHOAL_LIST__CHUNK_MAX 65536u

_Static_assert(SHOAL_LIST__STEM_MAX + 63 <= SHOAL_LIST_SCRATCH, "a string in two pieces");

/* A chunk. */
typedef struct shoal_list__chunk {
    uint32_t size;       /* bytes taken */
    uint32_t begin, end; /* of the elements, from the chunk's address */
    uint32_t count;      /* elements */
    uint8_t lead;        /* elements that the first group lacks, 0..15 */
    uint8_t stem_size;
    char stem[];
} shoal_list__chunk;

/* How an element is written in one chunk. */
typedef struct shoal_list__code {
    char front[SHOAL_PACK_OVERHEAD_MAX];
    uint8_t front_size;
    shoal_slice rest; /* borrowed from the element */
} shoal_list__code;

/* What became of an attempt. */
typedef enum shoal_list__outcome {
    SHOAL_LIST__DONE,
    SHOAL_LIST__FULL,     /* not within the limits of one chunk */
    SHOAL_LIST__NO_MEMORY /* nothing has changed */
} shoal_list__outcome;

/* The stem's bytes. */
static inline shoal_slice shoal_list__stem(const shoal_list__chunk *chunk)
{
    return (shoal_slice){chunk->stem, chunk->stem_size};
}

/* All elements' bytes. */
static inline shoal_slice shoal_list__run(const shoal_list__chunk *chunk)
{
    return (shoal_slice){(const char *)chunk + chunk->begin, chunk->end - chunk->begin};
}

/* What follows the element at `at` in a run whose elements have a stem, or not. */
static inline const char *shoal_list__skip(const char *at, const char *end, bool stemmed)
{
    uint32_t first = (unsigned char)*at;
    if (first < 0x80 || first >= 0xc0) return shoal_pack_skip(at, end);
    at += 1 + (first & 0x3f) + (stemmed ? 1 : 0);
    SHOAL_ASSERT(at <= end);
    return at;
}

/* Reads the element at `at`; a string with a stem is put together in `scratch`. Returns what
 * follows. */
const char *shoal_list__read(shoal_list_cursor *cursor, const char *at, shoal_element *element);
/* How `element` is written beside a stem (empty: none). */
void shoal_list__encode(shoal_slice stem, const shoal_element *element, shoal_list__code *code);
/* Bytes that both begin with, at most `max`. */
size_t shoal_list__common(shoal_slice a, shoal_slice b, size_t max);
/* Is what stands at `at` written as `code`? */
bool shoal_list__is(const char *at, const char *end, const shoal_list__code *code);
/* Where element `index` of a chunk is; the end at `index` == count. */
const char *shoal_list__chunk_at(const shoal_list__chunk *chunk, uint32_t index);

/* A chunk without elements, of `size` bytes or what the allocator makes of them. NULL without
 * memory. */
shoal_list__chunk *shoal_list__chunk_make(shoal_account *account, size_t size, shoal_slice stem);
/* Gives it back. */
void shoal_list__chunk_free(shoal_account *account, shoal_list__chunk *chunk);
/* Smallest chunk for one element and a stem. */
size_t shoal_list__chunk_need(const shoal_element *element, shoal_slice stem);

/* Adds an element at an end. The chunk may move: `*chunk` is where it is. It grows by a part at
 * a time, or at once to the longest that is allowed where `eager`. */
shoal_list__outcome shoal_list__chunk_push(const shoal_list_edit *edit, shoal_list__chunk **chunk,
                                           shoal_list_end end, const shoal_element *element,
                                           bool eager);
/* Puts the first element into a chunk that has room for it, so that the rest of the room is at the
 * side of `end`. */
void shoal_list__chunk_first(shoal_list__chunk *chunk, shoal_list_end end,
                             const shoal_element *element);
/* Removes the first or last element; the chunk has one. */
void shoal_list__chunk_pop(shoal_list__chunk *chunk, shoal_list_end end);

/* An edit of elements: `removed` of them from `index` on make place for `added` (may be NULL). */
typedef struct shoal_list__splice {
    uint32_t index;
    uint32_t removed;
    const shoal_element *added;
} shoal_list__splice;
/* Does it. The chunk may move. Never FULL nor NO_MEMORY where nothing is added. */
shoal_list__outcome shoal_list__chunk_splice(const shoal_list_edit *edit, shoal_list__chunk **chunk,
                                             const shoal_list__splice *splice);
/* Removes elements that equal `probe`: the first `limit` of them, or the last. Returns how many. */
uint32_t shoal_list__chunk_remove_equal(shoal_list__chunk *chunk, const shoal_element *probe,
                                        uint64_t limit, bool backward);
/* A chunk of `count` elements from `index` on, with a little room, or NULL without memory. */
shoal_list__chunk *shoal_list__chunk_copy(shoal_account *account, const shoal_list__chunk *chunk,
                                          uint32_t index, uint32_t count);
/* Gives memory back when most of it is room; `*chunk` is where it is then. */
void shoal_list__chunk_shrink(shoal_account *account, shoal_list__chunk **chunk);
/* Every mark and count is right: an assertion. */
void shoal_list__chunk_check(const shoal_list__chunk *chunk);

/* ---- shared by list_chunk.c and list_splice.c ---- */

/* Groups of so many elements. */
uint32_t shoal_list__groups(uint32_t lead, uint32_t count);
/* Offset of the first byte that may hold elements. */
uint32_t shoal_list__content_at(const shoal_list__chunk *chunk);
/* Bytes that a chunk takes with `content` bytes of so many groups of elements. */
size_t shoal_list__need(const shoal_list__chunk *chunk, size_t content, uint32_t groups);
/* Writes every mark anew, with a full first group. */
void shoal_list__mark_all(shoal_list__chunk *chunk);
/* Moves the elements so that they begin at offset `begin`. */
void shoal_list__slide(shoal_list__chunk *chunk, uint32_t begin);
/* The same elements in a new chunk of `size` bytes, which suffice, with room at the side of `end`,
 * or NULL without memory. */
shoal_list__chunk *shoal_list__chunk_resize(shoal_account *account, const shoal_list__chunk *chunk,
                                            size_t size, shoal_list_end end);
/* Makes the chunk longer, to at least `need`; it may get a stem. */
shoal_list__outcome shoal_list__grow(const shoal_list_edit *edit, shoal_list__chunk **chunk,
                                     shoal_list_end end, size_t need, bool eager);
/* Bytes of an element as written. */
static inline size_t shoal_list__code_size(const shoal_list__code *code)
{
    return code->front_size + code->rest.size;
}
/* Writes it at `at`, which has room. */
void shoal_list__write(char *at, const shoal_list__code *code);

#endif
