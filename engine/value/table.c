/* SPDX-License-Identifier: MIT
 *
 * value/table.c - entries of a table: found by the tag of their hash, written as one cell, and kept
 * beside their deadlines. A cell is written to a place of its own before anything changes, so that
 * an entry may come from the table that it goes to.
 */
#include "value/table.h"

#include "base/assert.h"
#include "value/deadlines.h"
#include "value/table_grow.h"

/* Lines of a page that are asked for at once: the ends, and the cells of a page of short names. */
#define PREFETCH_LINES 8u

static bool has_pairs(const shoal_table *table)
{
    SHOAL_DEBUG_ASSERT(table->pages > 0);
    return table->object.type == SHOAL_TYPE_HASH;
}

shoal_table *shoal_table_make(shoal_account *account, shoal_value_type type, uint64_t seed)
{
    SHOAL_ASSERT(type == SHOAL_TYPE_SET || type == SHOAL_TYPE_HASH);
    shoal_table *table = shoal_account_take(account, sizeof(*table));
    if (table == NULL) return NULL;
    *table = (shoal_table){.object = {.type = (uint8_t)type}, .seed = seed, .pages = 1};
    table->directory.flat = shoal_account_take(account, shoal_table__directory_size(table));
    if (table->directory.flat == NULL) {
        shoal_account_give(account, table, sizeof(*table));
        return NULL;
    }
    table->directory.flat[0] = NULL;
    return table;
}

/* ---- finding ---- */

/* Where an entry is, or would be. */
typedef struct spot {
    uint64_t hash;
    uint32_t page, index;
} spot;

/* Asks for the lines of a page behind its first, which would otherwise be waited for one after the
 * other: tags, then ends, then the cell. */
static void prefetch_page(const shoal_page *page)
{
    SHOAL_DEBUG_ASSERT(page != NULL);
    for (uint32_t line = 1; line <= PREFETCH_LINES; line++)
        __builtin_prefetch((const char *)page + line * 64);
}

/* Finds the entry of a name: `out` is it. */
static bool locate(const shoal_table *table, const shoal_element *name, spot *at,
                   shoal_table_entry *out)
{
    SHOAL_DEBUG_ASSERT(name->kind != SHOAL_ELEMENT_DOUBLE);
    at->hash = shoal_table__hash(table, name);
    at->page = shoal_table__index(table->pages, at->hash);
    const shoal_page *page = *shoal_table__page_at(table, at->page);
    if (page == NULL) return false;
    prefetch_page(page);
    uint8_t tag = shoal_table__tag(at->hash);
    for (uint32_t i = shoal_page__next(page, 0, tag); i < page->count;
         i = shoal_page__next(page, i + 1, tag)) {
        shoal_cell__read(shoal_page__slice(page, i), has_pairs(table), out);
        if (!shoal_element_equals(&out->name, name)) continue;
        at->index = i;
        return true;
    }
    return false;
}

bool shoal_table_find(const shoal_table *table, const shoal_element *name, shoal_table_entry *out)
{
    SHOAL_DEBUG_ASSERT(table->pages > 0);
    spot at;
    shoal_table_entry entry;
    return locate(table, name, &at, out == NULL ? &entry : out);
}

/* Tells who watches the table that an entry is about to change. */
static void tell(const shoal_table *table, const shoal_element *name)
{
    shoal_watch *watch = table->object.watch;
    SHOAL_DEBUG_ASSERT(watch == NULL || watch->before != NULL);
    if (__builtin_expect(watch != NULL, 0)) watch->before(watch, name);
}

/* ---- putting ---- */

/* A cell as it will stand in a page. */
typedef struct stored {
    shoal_remote *remote; /* or NULL */
    size_t size;
    char bytes[SHOAL_PAGE__CELL_MAX];
} stored;

static size_t remote_size(size_t cell)
{
    SHOAL_DEBUG_ASSERT(cell > SHOAL_PAGE__CELL_MAX);
    return sizeof(shoal_remote) + cell;
}

static void free_remote(shoal_account *account, shoal_remote *remote)
{
    if (remote == NULL) return;
    SHOAL_ASSERT(remote->size > SHOAL_PAGE__CELL_MAX);
    shoal_account_give(account, remote, remote_size(remote->size));
}

/* Writes the cell of an entry. False without memory. */
static bool store_cell(shoal_account *account, const shoal_table_entry *entry, bool pairs,
                       stored *out)
{
    size_t size = shoal_cell__size(entry, pairs);
    SHOAL_ASSERT(size > 0);
    out->remote = NULL;
    out->size = size;
    if (size <= SHOAL_PAGE__CELL_MAX) {
        shoal_cell__write(out->bytes, entry, pairs);
        return true;
    }
    out->remote = shoal_account_take(account, remote_size(size));
    if (out->remote == NULL) return false;
    out->remote->size = size;
    shoal_cell__write(out->remote->cell, entry, pairs);
    out->bytes[0] = (char)SHOAL_CELL__REMOTE;
    memcpy(out->bytes + 1, &out->remote, sizeof(out->remote));
    out->size = SHOAL_CELL__REMOTE_SIZE;
    return true;
}

/* Puts a cell into the page of `at`, in the place of the one there if `found`. False without
 * memory. */
static bool place_cell(shoal_table *table, shoal_account *account, const spot *at, bool found,
                       const stored *cell)
{
    shoal_page **home = shoal_table__page_at(table, at->page);
    shoal_page *page = *home;
    shoal_slice old = {.size = 0};
    if (found) old = shoal_page__slice(page, at->index);
    if (found && old.size == cell->size) {
        free_remote(account, shoal_cell__remote(old));
        memcpy(shoal_page__cell(page, at->index), cell->bytes, cell->size);
        return true;
    }
    page = shoal_page__fit(account, page, cell->size);
    if (page == NULL) return false;
    SHOAL_ASSERT(!found || at->index < page->count);
    if (found) {
        free_remote(account, shoal_cell__remote(shoal_page__slice(page, at->index)));
        shoal_page__remove(page, at->index);
    }
    char *to = shoal_page__append(page, shoal_table__tag(at->hash), cell->size);
    memcpy(to, cell->bytes, cell->size);
    shoal_table__crowd(table, page);
    *home = page;
    return true;
}

/* Adds a deadline to the order; there may be none yet. False without memory. */
static bool add_deadline(shoal_table *table, shoal_account *account, shoal_deadline deadline)
{
    SHOAL_ASSERT(has_pairs(table));
    if (table->deadlines == NULL) table->deadlines = shoal_deadlines_make(account);
    return table->deadlines != NULL && shoal_deadlines_add(table->deadlines, account, deadline);
}

shoal_err shoal_table_put(shoal_table *table, shoal_account *account,
                          const shoal_table_entry *entry, bool *added)
{
    SHOAL_ASSERT(entry->deadline_ms <= SHOAL_TABLE_DEADLINE_MAX);
    spot at;
    shoal_table_entry old = {.deadline_ms = -1};
    bool found = locate(table, &entry->name, &at, &old);
    int64_t before = found ? old.deadline_ms : -1, after = entry->deadline_ms;
    if (after < 0) after = -1;
    *added = !found;
    if (found && !has_pairs(table)) return SHOAL_ERR_OK;
    tell(table, &entry->name);
    stored cell;
    if (!store_cell(account, entry, has_pairs(table), &cell)) return SHOAL_ERR_NO_MEMORY;
    bool dated = after >= 0 && after != before;
    shoal_deadline deadline = {after, at.hash};
    if (dated && !add_deadline(table, account, deadline)) {
        free_remote(account, cell.remote);
        return SHOAL_ERR_NO_MEMORY;
    }
    if (!place_cell(table, account, &at, found, &cell)) {
        if (dated) shoal_deadlines_remove(table->deadlines, account, deadline);
        free_remote(account, cell.remote);
        return SHOAL_ERR_NO_MEMORY;
    }
    if (before >= 0 && before != after)
        shoal_deadlines_remove(table->deadlines, account, (shoal_deadline){before, at.hash});
    if (!found) {
        table->count++;
        shoal_table__grow(table, account);
    }
    return SHOAL_ERR_OK;
}

/* ---- removing ---- */

/* Takes out the entry at `at`, whose deadline is known. */
static void remove_at(shoal_table *table, shoal_account *account, const spot *at,
                      int64_t deadline_ms)
{
    SHOAL_ASSERT(table->count > 0);
    shoal_page **home = shoal_table__page_at(table, at->page);
    free_remote(account, shoal_cell__remote(shoal_page__slice(*home, at->index)));
    shoal_page__remove(*home, at->index);
    *home = shoal_page__trim(account, *home);
    if (deadline_ms >= 0)
        shoal_deadlines_remove(table->deadlines, account, (shoal_deadline){deadline_ms, at->hash});
    table->count--;
    shoal_table__shrink(table, account);
}

bool shoal_table_remove(shoal_table *table, shoal_account *account, const shoal_element *name)
{
    spot at;
    shoal_table_entry entry;
    SHOAL_DEBUG_ASSERT(account != NULL);
    if (!locate(table, name, &at, &entry)) return false;
    tell(table, name);
    remove_at(table, account, &at, entry.deadline_ms);
    return true;
}

/* ---- deadlines ---- */

uint64_t shoal_table_expired(const shoal_table *table, int64_t now_ms)
{
    uint64_t expired = shoal_deadlines_due(table->deadlines, now_ms);
    SHOAL_ASSERT(expired <= table->count);
    return expired;
}

int64_t shoal_table_deadline(const shoal_table *table)
{
    shoal_deadline first;
    SHOAL_DEBUG_ASSERT(table->deadlines == NULL || has_pairs(table));
    return shoal_deadlines_first(table->deadlines, &first) ? first.at_ms : -1;
}

/* Where the entry is that a deadline belongs to, and the entry. */
static spot locate_deadline(const shoal_table *table, shoal_deadline deadline,
                            shoal_table_entry *entry)
{
    spot at = {.hash = deadline.hash, .page = shoal_table__index(table->pages, deadline.hash)};
    const shoal_page *page = *shoal_table__page_at(table, at.page);
    SHOAL_ASSERT(page != NULL);
    uint8_t tag = shoal_table__tag(deadline.hash);
    for (at.index = shoal_page__next(page, 0, tag); at.index < page->count;
         at.index = shoal_page__next(page, at.index + 1, tag)) {
        shoal_cell__read(shoal_page__slice(page, at.index), true, entry);
        if (entry->deadline_ms == deadline.at_ms &&
            shoal_table__hash(table, &entry->name) == deadline.hash)
            break;
    }
    SHOAL_ASSERT(at.index < page->count);
    return at;
}

bool shoal_table_due(const shoal_table *table, int64_t now_ms, shoal_table_entry *entry)
{
    shoal_deadline first;
    SHOAL_DEBUG_ASSERT(table->pages > 0);
    if (!shoal_deadlines_first(table->deadlines, &first) || first.at_ms > now_ms) return false;
    (void)locate_deadline(table, first, entry);
    return true;
}

uint64_t shoal_table_expire_some(shoal_table *table, shoal_account *account, int64_t now_ms,
                                 uint32_t *budget)
{
    uint64_t dropped = 0;
    shoal_deadline first;
    SHOAL_DEBUG_ASSERT(table->pages > 0);
    while (*budget > 0 && shoal_deadlines_first(table->deadlines, &first) &&
           first.at_ms <= now_ms) {
        shoal_table_entry entry;
        spot at = locate_deadline(table, first, &entry);
        tell(table, &entry.name);
        remove_at(table, account, &at, first.at_ms);
        dropped++;
        --*budget;
    }
    return dropped;
}
