/* SPDX-License-Identifier: MIT
 *
 * value/table_walk.c - going through a table: all of it, page by page with a cursor, or to one
 * entry at random; and a table as a whole, as an object.
 *
 * The bits of a hash in reverse order are a position between 0 and 2^64. The page that is told by
 * some low bits of the hash holds one stretch of positions, a divided page two stretches one behind
 * the other. So the end of the page that was visited last says what has been visited, whatever the
 * pages are by now. A cursor is a position with its bits reversed once more: a small number.
 */
#include "base/assert.h"
#include "value/deadlines.h"
#include "value/table_grow.h"

/* Places tried for a random entry before the choice becomes a little uneven: even a table that was
 * full and shrank fails them all once in a million times. */
#define RANDOM_TRIES 256u
/* Pages between asking for one and freeing it: they lie cold. */
#define FREE_AHEAD 8u

static bool has_pairs(const shoal_table *table)
{
    SHOAL_DEBUG_ASSERT(table->object.type == SHOAL_TYPE_SET ||
                       table->object.type == SHOAL_TYPE_HASH);
    return table->object.type == SHOAL_TYPE_HASH;
}

bool shoal_table_next(const shoal_table *table, shoal_table_place *place, shoal_table_entry *out)
{
    SHOAL_DEBUG_ASSERT(place->page <= table->pages);
    for (; place->page < table->pages; place->page++, place->index = 0) {
        const shoal_page *page = *shoal_table__page_at(table, place->page);
        if (page == NULL || place->index >= page->count) continue;
        shoal_cell__read(shoal_page__slice(page, place->index++), has_pairs(table), out);
        return true;
    }
    return false;
}

/* The bits in reverse order. Its own inverse. */
static uint64_t reverse(uint64_t bits)
{
    bits = (bits >> 1 & 0x5555555555555555u) | (bits & 0x5555555555555555u) << 1;
    bits = (bits >> 2 & 0x3333333333333333u) | (bits & 0x3333333333333333u) << 2;
    bits = (bits >> 4 & 0x0f0f0f0f0f0f0f0fu) | (bits & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(bits);
}

void shoal_table_scan(const shoal_table *table, uint64_t *cursor, shoal_table_visit visit,
                      void *context)
{
    uint64_t position = reverse(*cursor);
    uint32_t index = shoal_table__index(table->pages, *cursor);
    uint32_t bits = shoal_table__bits(table->pages, index);
    /* The stretch: all of them when there is one page, and the end of the last is 0. */
    uint64_t size = bits == 0 ? 0 : (uint64_t)1 << (64 - bits);
    uint64_t base = bits == 0 ? 0 : position & ~(size - 1);
    const shoal_page *page = *shoal_table__page_at(table, index);
    SHOAL_ASSERT(bits < 64);
    for (uint32_t i = 0; page != NULL && i < page->count; i++) {
        shoal_table_entry entry;
        shoal_cell__read(shoal_page__slice(page, i), has_pairs(table), &entry);
        /* A stretch that was joined since the last call has been visited in part. */
        if (position > base && reverse(shoal_table__hash(table, &entry.name)) < position) continue;
        visit(context, &entry);
    }
    *cursor = reverse(base + size);
}

bool shoal_table_is_passed(const shoal_table *table, uint64_t cursor, const shoal_element *name)
{
    SHOAL_DEBUG_ASSERT(cursor != 0);
    return reverse(shoal_table__hash(table, name)) < reverse(cursor);
}

uint64_t shoal_table_random(const shoal_table *table, shoal_prng *prng, shoal_table_entry *out)
{
    SHOAL_ASSERT(table->count > 0 && table->crowd > 0);
    /* Each pair of a page and a place in it is as likely as any other; most pages have something at
     * most places. */
    for (uint32_t i = 0; i < RANDOM_TRIES; i++) {
        uint64_t bits = shoal_prng_next(prng);
        uint32_t at = (uint32_t)((bits >> 32) * table->pages >> 32);
        uint32_t place = (uint32_t)((bits & UINT32_MAX) * table->crowd >> 32);
        const shoal_page *page = *shoal_table__page_at(table, at);
        if (page == NULL || place >= page->count) continue;
        shoal_cell__read(shoal_page__slice(page, place), has_pairs(table), out);
        return (uint64_t)at << 32 | place;
    }
    uint32_t at = (uint32_t)shoal_prng_below(prng, table->pages);
    while (*shoal_table__page_at(table, at) == NULL) at = (at + 1) % table->pages;
    const shoal_page *page = *shoal_table__page_at(table, at);
    uint32_t place = (uint32_t)shoal_prng_below(prng, page->count);
    shoal_cell__read(shoal_page__slice(page, place), has_pairs(table), out);
    return (uint64_t)at << 32 | place;
}

/* ---- freeing ---- */

/* Frees what the cells of a page refer to, from the last on. False when the budget ends first. */
static bool free_cells(shoal_account *account, shoal_page *page, uint32_t *budget)
{
    SHOAL_DEBUG_ASSERT(page->count <= page->room);
    for (; page->count > 0; page->count--) {
        shoal_remote *remote = shoal_cell__remote(shoal_page__slice(page, page->count - 1u));
        if (remote == NULL) continue;
        if (*budget == 0) return false;
        shoal_account_give(account, remote, sizeof(*remote) + remote->size);
        --*budget;
    }
    return true;
}

bool shoal_table_free_some(shoal_object *object, shoal_account *account, uint32_t *budget)
{
    shoal_table *table = (shoal_table *)object;
    SHOAL_ASSERT(*budget > 0);
    if (!shoal_deadlines_free_some(table->deadlines, account, budget)) return false;
    table->deadlines = NULL;
    for (; table->pages > 0; shoal_table__drop_place(table, account)) {
        if (*budget == 0) return false;
        if (table->pages > FREE_AHEAD)
            __builtin_prefetch(*shoal_table__page_at(table, table->pages - 1 - FREE_AHEAD), 1);
        shoal_page *page = *shoal_table__page_at(table, table->pages - 1);
        if (page == NULL) continue;
        if (!free_cells(account, page, budget)) return false;
        shoal_page__free(account, page);
        if (*budget > 0) --*budget;
        *shoal_table__page_at(table, table->pages - 1) = NULL;
    }
    shoal_account_give(account, (void *)table->directory.flat, shoal_table__directory_size(table));
    shoal_account_give(account, table, sizeof(*table));
    return true;
}

/* ---- copying ---- */

/* A copy of a page with copies of what its cells refer to, or NULL without memory. */
static shoal_page *copy_page(shoal_account *account, const shoal_page *page)
{
    shoal_page *copy = shoal_account_take(account, shoal_page__size(page));
    if (copy == NULL) return NULL;
    size_t cells = (size_t)(shoal_page__cell(page, page->count) - (const char *)page);
    SHOAL_ASSERT(cells <= shoal_page__size(page));
    memcpy(copy, page, cells);
    for (uint32_t i = 0; i < page->count; i++) {
        const shoal_remote *remote = shoal_cell__remote(shoal_page__slice(page, i));
        if (remote == NULL) continue;
        shoal_remote *own = shoal_account_take(account, sizeof(*remote) + remote->size);
        if (own == NULL) {
            /* The cells behind are still those of the original. */
            copy->count = (uint16_t)i;
            uint32_t budget = UINT32_MAX;
            (void)free_cells(account, copy, &budget);
            shoal_page__free(account, copy);
            return NULL;
        }
        memcpy(own, remote, sizeof(*remote) + remote->size);
        memcpy(shoal_page__cell(copy, i) + 1, &own, sizeof(own));
    }
    return copy;
}

/* Copies pages and deadlines. False without memory. */
static bool copy_content(shoal_table *to, const shoal_table *from, shoal_account *account)
{
    SHOAL_ASSERT(to->count == 0);
    for (uint32_t i = 0; i < from->pages; i++) {
        if (i > 0 && !shoal_table__add_place(to, account)) return false;
        const shoal_page *page = *shoal_table__page_at(from, i);
        if (page == NULL) continue;
        shoal_page *copy = copy_page(account, page);
        if (copy == NULL) return false;
        *shoal_table__page_at(to, i) = copy;
    }
    to->count = from->count;
    to->crowd = from->crowd;
    if (from->deadlines == NULL) return true;
    to->deadlines = shoal_deadlines_copy(from->deadlines, account);
    return to->deadlines != NULL;
}

shoal_object *shoal_table_copy(const shoal_object *object, shoal_account *account)
{
    const shoal_table *table = (const shoal_table *)object;
    SHOAL_ASSERT(table->pages > 0);
    shoal_table *copy =
        shoal_table_make(account, (shoal_value_type)table->object.type, table->seed);
    if (copy == NULL) return NULL;
    copy->object.encoding = table->object.encoding;
    if (copy_content(copy, table, account)) return &copy->object;
    uint32_t budget = UINT32_MAX;
    (void)shoal_table_free_some(&copy->object, account, &budget);
    return NULL;
}

/* ---- moving ---- */

/* A move on its way. */
typedef struct way {
    shoal_account *account;
    const shoal_value_mover *mover;
} way;

/* The piece, or a copy in its place. */
static void *move_piece(const way *how, void *piece, size_t size)
{
    SHOAL_DEBUG_ASSERT(piece != NULL);
    if (!how->mover->is_sparse(how->mover->context, piece, size)) return piece;
    void *copy = shoal_account_take(how->account, size);
    if (copy == NULL) return piece;
    memcpy(copy, piece, size);
    shoal_account_give(how->account, piece, size);
    return copy;
}

/* Moves a page and what its cells refer to. Returns how many pieces that are. */
static uint32_t move_page(const way *how, shoal_page **home)
{
    if (*home == NULL) return 1;
    *home = move_piece(how, *home, shoal_page__size(*home));
    uint32_t pieces = 1;
    for (uint32_t i = 0; i < (*home)->count; i++) {
        shoal_remote *remote = shoal_cell__remote(shoal_page__slice(*home, i));
        if (remote == NULL) continue;
        remote = move_piece(how, remote, sizeof(*remote) + remote->size);
        memcpy(shoal_page__cell(*home, i) + 1, &remote, sizeof(remote));
        pieces++;
    }
    SHOAL_DEBUG_ASSERT(pieces > 0);
    return pieces;
}

/* Moves the part of the directory that page `index` begins. */
static void move_directory(const way *how, shoal_table *table, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < table->pages);
    if (index == 0)
        table->directory.flat =
            move_piece(how, (void *)table->directory.flat, shoal_table__directory_size(table));
    if (table->pages <= SHOAL_TABLE__SEGMENT || index % SHOAL_TABLE__SEGMENT != 0) return;
    shoal_page ***segment = &table->directory.spine[index >> SHOAL_TABLE__SEGMENT_BITS];
    *segment = move_piece(how, (void *)*segment, SHOAL_TABLE__SEGMENT * sizeof(shoal_page *));
}

void shoal_table_move(shoal_object *object, shoal_account *account, uint64_t *cursor,
                      uint32_t *budget, const shoal_value_mover *mover)
{
    shoal_table *table = (shoal_table *)object;
    const way how = {account, mover};
    SHOAL_ASSERT(mover->is_sparse != NULL);
    for (; *cursor < table->pages; ++*cursor) {
        if (*budget == 0) return;
        uint32_t index = (uint32_t)*cursor;
        move_directory(&how, table, index);
        uint32_t pieces = move_page(&how, shoal_table__page_at(table, index));
        *budget -= pieces < *budget ? pieces : *budget;
    }
    *cursor = 0;
}
