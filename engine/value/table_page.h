/* SPDX-License-Identifier: MIT
 *
 * value/table_page.h - the pages of a table, shared by this room's files only: some twenty cells in
 * one allocation, with a byte of each name's hash in front, so that a look at one line of memory
 * says which cells may be meant.
 *
 *   | count room used units | tags: 1 byte each | ends: 2 bytes each | cells ... | free |
 *
 * A cell is a name and, in tables of pairs, its value, as elements of a pack; in front of them the
 * time at which the pair dies, if it has one. A cell that is long stands in memory of its own, and
 * the page holds where:
 *
 *   [ 0xf7, deadline: 6 bytes ] name [ value ]
 *   0xf6, address: 8 bytes
 *
 * Threads: as the table.
 */
#ifndef SHOAL_VALUE_TABLE_PAGE_H
#define SHOAL_VALUE_TABLE_PAGE_H

#include "value/table.h"

/* Longest cell inside a page, in bytes: longer ones would make growing pages dear to copy. */
#define SHOAL_PAGE__CELL_MAX 128u
/* Most bytes of cells in a page: what an end can say. */
#define SHOAL_PAGE__USED_MAX UINT16_MAX

/* First bytes of cells that no element begins with. */
#define SHOAL_CELL__REMOTE 0xf6u
#define SHOAL_CELL__DEADLINE 0xf7u
/* Bytes that a deadline takes, and a cell that stands elsewhere. */
#define SHOAL_CELL__DEADLINE_SIZE 7u
#define SHOAL_CELL__REMOTE_SIZE 9u

/* One page. */
struct shoal_page {
    uint16_t count; /* cells */
    uint16_t room;  /* tags and ends there is room for, even */
    uint16_t used;  /* bytes of cells */
    uint16_t units; /* eighths of the allocation */
    uint8_t bytes[];
};

/* A cell in memory of its own. */
typedef struct shoal_remote {
    uint64_t size; /* of `cell` */
    char cell[];
} shoal_remote;

/* Where a page's ends are: the end of each cell, counted from the first. */
static inline uint16_t *shoal_page__ends(const shoal_page *page)
{
    return (uint16_t *)(void *)(uintptr_t)(page->bytes + page->room);
}

/* Where cell `index` begins; at `count`, where the next one would. */
static inline char *shoal_page__cell(const shoal_page *page, uint32_t index)
{
    char *cells = (char *)(uintptr_t)(page->bytes + (size_t)page->room * 3);
    return index == 0 ? cells : cells + shoal_page__ends(page)[index - 1];
}

/* The bytes of cell `index` (< count) as they stand in the page. */
static inline shoal_slice shoal_page__slice(const shoal_page *page, uint32_t index)
{
    const char *cell = shoal_page__cell(page, index);
    return (shoal_slice){cell, (size_t)(shoal_page__cell(page, index + 1) - cell)};
}

/* Bytes of the page's allocation. */
static inline size_t shoal_page__size(const shoal_page *page)
{
    return (size_t)page->units * 8;
}

/* An empty page with room for at least `count` cells of `used` bytes together, in all that the
 * allocator gives for it. NULL without memory, or when that is too much for a page. */
shoal_page *shoal_page__make(shoal_account *account, uint32_t count, size_t used);
/* Gives the page back, not what its cells refer to. NULL does nothing. */
void shoal_page__free(shoal_account *account, shoal_page *page);
/* `page` (may be NULL) with room for one more cell of `size` bytes: itself, or a larger copy in its
 * place, which it is given for. NULL without memory or room; then nothing has changed. */
shoal_page *shoal_page__fit(shoal_account *account, shoal_page *page, size_t size);
/* The page, or a smaller copy in its place, when much of it is free; NULL when it was empty. */
shoal_page *shoal_page__trim(shoal_account *account, shoal_page *page);
/* Adds a cell of `size` bytes, which there is room for: returns where they are to be written. */
char *shoal_page__append(shoal_page *page, uint8_t tag, size_t size);
/* Takes a cell out; those behind it move up. */
void shoal_page__remove(shoal_page *page, uint32_t index);
/* The first cell from `from` on whose tag is `tag`; `count` when there is none. */
uint32_t shoal_page__next(const shoal_page *page, uint32_t from, uint8_t tag);

/* ---- cells ---- */

/* Bytes of a cell. */
size_t shoal_cell__size(const shoal_table_entry *entry, bool pairs);
/* Writes a cell at `at`, which has room. */
void shoal_cell__write(char *at, const shoal_table_entry *entry, bool pairs);
/* Reads the cell that stands in a page as `cell`. */
void shoal_cell__read(shoal_slice cell, bool pairs, shoal_table_entry *out);
/* What it refers to, or NULL when it stands in the page itself. */
shoal_remote *shoal_cell__remote(shoal_slice cell);

#endif
