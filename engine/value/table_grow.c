/* SPDX-License-Identifier: MIT
 *
 * value/table_grow.c - one more page, or one less. A table that finds no memory to grow stays as it
 * is: its pages are longer then, and nothing else.
 */
#include "value/table_grow.h"

#include "base/assert.h"

/* Entries a page on average, when the table grows and when it shrinks. */
#define FILL_MAX 20u
#define FILL_MIN 5u

/* ---- the directory ---- */

size_t shoal_table__directory_size(const shoal_table *table)
{
    SHOAL_DEBUG_ASSERT(table->directory_bits < 32);
    return sizeof(void *) << table->directory_bits;
}

/* Gives the array another room. False without memory. */
static bool resize(shoal_table *table, shoal_account *account, uint8_t bits)
{
    SHOAL_ASSERT(bits < 32);
    void *array = shoal_account_resize(account, (void *)table->directory.flat,
                                       shoal_table__directory_size(table), sizeof(void *) << bits);
    if (array == NULL) return false;
    table->directory.flat = array;
    table->directory_bits = bits;
    return true;
}

/* Adds a segment: the first one that is added makes a segment of the array before it. */
static bool add_segment(shoal_table *table, shoal_account *account)
{
    uint32_t segments = table->pages >> SHOAL_TABLE__SEGMENT_BITS;
    SHOAL_ASSERT(segments > 0 && table->pages % SHOAL_TABLE__SEGMENT == 0);
    size_t size = SHOAL_TABLE__SEGMENT * sizeof(shoal_page *);
    shoal_page **segment = shoal_account_take(account, size);
    if (segment == NULL) return false;
    if (segments == 1) {
        shoal_page ***spine = shoal_account_take(account, 2 * sizeof(shoal_page **));
        if (spine != NULL) {
            SHOAL_ASSERT(table->directory_bits == SHOAL_TABLE__SEGMENT_BITS);
            spine[0] = table->directory.flat;
            spine[1] = segment;
            table->directory.spine = spine;
            table->directory_bits = 1;
            return true;
        }
    } else if (segments < 1u << table->directory_bits ||
               resize(table, account, (uint8_t)(table->directory_bits + 1))) {
        table->directory.spine[segments] = segment;
        return true;
    }
    shoal_account_give(account, (void *)segment, size);
    return false;
}

bool shoal_table__add_place(shoal_table *table, shoal_account *account)
{
    SHOAL_ASSERT(table->pages < UINT32_MAX / 2);
    if (table->pages < SHOAL_TABLE__SEGMENT) {
        if (table->pages == 1u << table->directory_bits &&
            !resize(table, account, (uint8_t)(table->directory_bits + 1)))
            return false;
    } else if (table->pages % SHOAL_TABLE__SEGMENT == 0 && !add_segment(table, account)) {
        return false;
    }
    table->pages++;
    *shoal_table__page_at(table, table->pages - 1) = NULL;
    return true;
}

void shoal_table__drop_place(shoal_table *table, shoal_account *account)
{
    SHOAL_ASSERT(table->pages > 0);
    table->pages--;
    if (table->pages < SHOAL_TABLE__SEGMENT || table->pages % SHOAL_TABLE__SEGMENT != 0) return;
    size_t size = SHOAL_TABLE__SEGMENT * sizeof(shoal_page *);
    shoal_page ***spine = table->directory.spine;
    uint32_t segment = table->pages >> SHOAL_TABLE__SEGMENT_BITS;
    shoal_account_give(account, (void *)spine[segment], size);
    if (segment > 1) return;
    shoal_page **first = spine[0];
    shoal_account_give(account, (void *)spine, shoal_table__directory_size(table));
    table->directory.flat = first;
    table->directory_bits = SHOAL_TABLE__SEGMENT_BITS;
}

/* Halves the array when a quarter would do, if memory allows. */
static void trim_directory(shoal_table *table, shoal_account *account)
{
    uint32_t places = table->pages;
    SHOAL_ASSERT(places > 0);
    if (places > SHOAL_TABLE__SEGMENT) places = ((places - 1) >> SHOAL_TABLE__SEGMENT_BITS) + 1;
    if (table->directory_bits > 0 && places <= (1u << table->directory_bits) / 4)
        (void)resize(table, account, (uint8_t)(table->directory_bits - 1));
}

/* ---- dividing ---- */

/* Which cells of a page go, one bit each. */
typedef struct division {
    uint32_t count;
    size_t used;
    uint64_t goes[UINT16_MAX / 64 + 1];
} division;

/* Finds the cells whose hash has `bit`. */
static void divide(const shoal_table *table, const shoal_page *page, uint32_t bit, division *out)
{
    SHOAL_ASSERT((bit & (bit - 1)) == 0);
    bool pairs = table->object.type == SHOAL_TYPE_HASH;
    out->count = 0;
    out->used = 0;
    memset(out->goes, 0, ((size_t)page->count / 64 + 1) * sizeof(out->goes[0]));
    for (uint32_t i = 0; i < page->count; i++) {
        shoal_slice cell = shoal_page__slice(page, i);
        shoal_table_entry entry;
        shoal_cell__read(cell, pairs, &entry);
        if ((shoal_table__hash(table, &entry.name) & bit) == 0) continue;
        out->goes[i / 64] |= (uint64_t)1 << i % 64;
        out->count++;
        out->used += cell.size;
    }
}

/* Copies to `to` the cells that go, or those that stay. */
static void copy_part(const shoal_page *from, const division *parts, bool going, shoal_page *to)
{
    SHOAL_DEBUG_ASSERT(from != to);
    for (uint32_t i = 0; i < from->count; i++) {
        if ((parts->goes[i / 64] >> i % 64 & 1) != going) continue;
        shoal_slice cell = shoal_page__slice(from, i);
        memcpy(shoal_page__append(to, from->bytes[i], cell.size), cell.data, cell.size);
    }
}

/* Divides `page` (may be NULL) by `bit`. False without memory. */
static bool make_halves(shoal_table *table, shoal_account *account, shoal_page *page, uint32_t bit,
                        shoal_page *halves[2])
{
    halves[0] = page;
    halves[1] = NULL;
    if (page == NULL) return true;
    division parts;
    divide(table, page, bit, &parts);
    SHOAL_ASSERT(parts.count <= page->count);
    if (parts.count == 0) return true;
    if (parts.count == page->count) {
        halves[0] = NULL;
        halves[1] = page;
        return true;
    }
    halves[1] = shoal_page__make(account, parts.count, parts.used);
    if (halves[1] == NULL) return false;
    halves[0] = shoal_page__make(account, page->count - parts.count, page->used - parts.used);
    if (halves[0] == NULL) {
        shoal_page__free(account, halves[1]);
        return false;
    }
    copy_part(page, &parts, true, halves[1]);
    copy_part(page, &parts, false, halves[0]);
    return true;
}

void shoal_table__grow(shoal_table *table, shoal_account *account)
{
    if (table->count <= (uint64_t)table->pages * FILL_MAX) return;
    uint32_t bit = 1u << (31 - __builtin_clz(table->pages));
    uint32_t source = table->pages - bit;
    shoal_page *page = *shoal_table__page_at(table, source);
    shoal_page *halves[2];
    if (!make_halves(table, account, page, bit, halves)) return;
    bool divided = halves[0] != NULL && halves[1] != NULL;
    if (!shoal_table__add_place(table, account)) {
        if (!divided) return;
        shoal_page__free(account, halves[0]);
        shoal_page__free(account, halves[1]);
        return;
    }
    SHOAL_ASSERT(table->pages == source + bit + 1);
    if (divided) shoal_page__free(account, page);
    *shoal_table__page_at(table, source) = halves[0];
    *shoal_table__page_at(table, table->pages - 1) = halves[1];
}

/* ---- joining ---- */

/* A page with all cells of two, neither NULL, which are given. NULL without memory. */
static shoal_page *join(shoal_account *account, shoal_page *a, shoal_page *b)
{
    SHOAL_ASSERT(a != b);
    shoal_page *page =
        shoal_page__make(account, (uint32_t)a->count + b->count, (size_t)a->used + b->used);
    if (page == NULL) return NULL;
    const shoal_page *parts[2] = {a, b};
    for (uint32_t p = 0; p < 2; p++) {
        for (uint32_t i = 0; i < parts[p]->count; i++) {
            shoal_slice cell = shoal_page__slice(parts[p], i);
            memcpy(shoal_page__append(page, parts[p]->bytes[i], cell.size), cell.data, cell.size);
        }
    }
    shoal_page__free(account, a);
    shoal_page__free(account, b);
    return page;
}

void shoal_table__shrink(shoal_table *table, shoal_account *account)
{
    if (table->pages == 1 || table->count >= (uint64_t)table->pages * FILL_MIN) return;
    uint32_t last = table->pages - 1;
    shoal_page **home = shoal_table__page_at(table, last - (1u << (31 - __builtin_clz(last))));
    shoal_page *page = *shoal_table__page_at(table, last);
    if (page != NULL && *home != NULL) {
        page = join(account, *home, page);
        if (page == NULL) return;
        shoal_table__crowd(table, page);
        *home = page;
    } else if (page != NULL) {
        *home = page;
    }
    shoal_table__drop_place(table, account);
    SHOAL_ASSERT(table->pages == last);
    trim_directory(table, account);
    page = *shoal_table__page_at(table, 0);
    if (table->pages == 1) table->crowd = page == NULL ? 0 : page->count;
}
