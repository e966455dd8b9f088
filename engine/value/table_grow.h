/* SPDX-License-Identifier: MIT
 *
 * value/table_grow.h - the directory of a table's pages, shared by this room's files only. Which
 * page a name belongs to is said by the low bits of its hash: as many as it takes to number the
 * pages, and one less where that number is not yet in use. So the pages are made one by one, each
 * by dividing one that is there.
 *
 *   up to 512 pages   directory.flat:  an array of pages
 *   more              directory.spine: an array of segments of 512
 *
 * Threads: as the table.
 */
#ifndef SHOAL_VALUE_TABLE_GROW_H
#define SHOAL_VALUE_TABLE_GROW_H

#include "base/hash.h"
#include "value/table_page.h"

/* Pages of a segment: four kilobytes of the directory. */
#define SHOAL_TABLE__SEGMENT_BITS 9u
#define SHOAL_TABLE__SEGMENT (1u << SHOAL_TABLE__SEGMENT_BITS)

/* The tag of a hash: bits that say nothing about the page. */
static inline uint8_t shoal_table__tag(uint64_t hash)
{
    return (uint8_t)(hash >> 56);
}

/* The hash of a name. */
static inline uint64_t shoal_table__hash(const shoal_table *table, const shoal_element *name)
{
    if (name->kind == SHOAL_ELEMENT_INTEGER)
        return shoal_prng_mix((uint64_t)name->integer ^ table->seed);
    return shoal_hash(name->bytes, table->seed);
}

/* The number of bits by which page `index` is told from the others. */
static inline uint32_t shoal_table__bits(uint32_t pages, uint32_t index)
{
    if (pages == 1) return 0;
    uint32_t bits = 32u - (uint32_t)__builtin_clz(pages - 1);
    /* Both halves of a divided page have all of them; the undivided have one less. */
    uint32_t half = 1u << (bits - 1);
    return (index & (half - 1)) + half < pages ? bits : bits - 1;
}

/* The page for a hash. */
static inline uint32_t shoal_table__index(uint32_t pages, uint64_t hash)
{
    if (pages == 1) return 0;
    uint32_t mask = UINT32_MAX >> __builtin_clz(pages - 1);
    uint32_t index = (uint32_t)hash & mask;
    return index < pages ? index : index & mask >> 1;
}

/* Where page `index` (< pages) hangs. */
static inline shoal_page **shoal_table__page_at(const shoal_table *table, uint32_t index)
{
    if (table->pages <= SHOAL_TABLE__SEGMENT) return &table->directory.flat[index];
    return &table->directory
                .spine[index >> SHOAL_TABLE__SEGMENT_BITS][index & (SHOAL_TABLE__SEGMENT - 1)];
}

/* Adds an empty page's place to the directory. False without memory. */
bool shoal_table__add_place(shoal_table *table, shoal_account *account);
/* Takes away the last place, whose page has been moved; a segment that is empty then is given back.
 * Allocates nothing. */
void shoal_table__drop_place(shoal_table *table, shoal_account *account);
/* Bytes of the array that `directory` points to. */
size_t shoal_table__directory_size(const shoal_table *table);
/* Divides a page when the table is full, if memory allows. */
void shoal_table__grow(shoal_table *table, shoal_account *account);
/* Joins two pages when the table is nearly empty, if memory allows. */
void shoal_table__shrink(shoal_table *table, shoal_account *account);
/* Notes that a page has so many entries. */
static inline void shoal_table__crowd(shoal_table *table, const shoal_page *page)
{
    if (page->count > table->crowd) table->crowd = page->count;
}

#endif
