/* SPDX-License-Identifier: MIT
 *
 * value/table_page.c - pages of a table: cells are added at the end and taken out wherever they
 * are; a page that is full, or nearly empty, is copied into an allocation that fits.
 */
#include "value/table_page.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"

/* Room for cells that a page of many is made with at least: tags are looked at in eights, which may
 * reach behind them, but not behind the page. */
#define ROOM_MIN 4u
/* What each cell takes besides its bytes: a tag and an end. */
#define CELL_OVERHEAD 3u
/* A page is made smaller when less than half of it is in use, and grows by an eighth: what it is
 * copied for then has been paid by the cells that came since. */
#define TRIM_PART 2u
#define GROW_PART 8u

#define ALIGNMENT 8u

/* ---- pages ---- */

shoal_page *shoal_page__make(shoal_account *account, uint32_t count, size_t used)
{
    SHOAL_ASSERT(count > 0);
    size_t room = count < ROOM_MIN ? ROOM_MIN : (count + 1u) & ~1u;
    if (used > SHOAL_PAGE__USED_MAX || room > UINT16_MAX) return NULL;
    size_t size = sizeof(shoal_page) + room * CELL_OVERHEAD + used;
    size = shoal_memory_usable(account->allocator, (size + 7) & ~(size_t)7, ALIGNMENT) & ~7u;
    if (size / 8 > UINT16_MAX) return NULL;
    shoal_page *page = shoal_account_take(account, size);
    if (page == NULL) return NULL;
    /* What the allocator rounds up is for further cells like these. */
    size_t spare = size - sizeof(shoal_page) - room * CELL_OVERHEAD - used;
    room += spare / (used / count + CELL_OVERHEAD) & ~(size_t)1;
    *page = (shoal_page){.room = (uint16_t)(room < UINT16_MAX ? room : UINT16_MAX - 1),
                         .units = (uint16_t)(size / 8)};
    return page;
}

void shoal_page__free(shoal_account *account, shoal_page *page)
{
    if (page == NULL) return;
    SHOAL_DEBUG_ASSERT(page->units > 0);
    shoal_account_give(account, page, shoal_page__size(page));
}

/* Bytes of cells that the page has room for. */
static size_t capacity(const shoal_page *page)
{
    SHOAL_DEBUG_ASSERT(page->units > 0);
    size_t size = shoal_page__size(page) - sizeof(*page) - (size_t)page->room * CELL_OVERHEAD;
    return size < SHOAL_PAGE__USED_MAX ? size : SHOAL_PAGE__USED_MAX;
}

/* Copies all cells of a page into an empty one that has room for them. */
static void copy_cells(shoal_page *to, const shoal_page *from)
{
    SHOAL_ASSERT(to->count == 0 && to->room >= from->count);
    SHOAL_ASSERT(capacity(to) >= from->used);
    to->count = from->count;
    to->used = from->used;
    memcpy(to->bytes, from->bytes, from->count);
    memcpy(shoal_page__ends(to), shoal_page__ends(from), from->count * sizeof(uint16_t));
    memcpy(shoal_page__cell(to, 0), shoal_page__cell(from, 0), from->used);
}

shoal_page *shoal_page__fit(shoal_account *account, shoal_page *page, size_t size)
{
    SHOAL_DEBUG_ASSERT(size > 0);
    if (page == NULL) return shoal_page__make(account, 1, size);
    if (page->count < page->room && page->used + size <= capacity(page)) return page;
    uint32_t count = page->count + 1u + page->count / GROW_PART;
    size_t used = page->used + size;
    shoal_page *larger = shoal_page__make(account, count, used + used / GROW_PART);
    if (larger == NULL) larger = shoal_page__make(account, page->count + 1u, used);
    if (larger == NULL) return NULL;
    copy_cells(larger, page);
    shoal_page__free(account, page);
    return larger;
}

shoal_page *shoal_page__trim(shoal_account *account, shoal_page *page)
{
    SHOAL_DEBUG_ASSERT(page->count <= page->room);
    if (page->count == 0) {
        shoal_page__free(account, page);
        return NULL;
    }
    size_t wanted = sizeof(*page) + page->count * CELL_OVERHEAD + page->used;
    if (wanted * TRIM_PART >= shoal_page__size(page)) return page;
    shoal_page *smaller = shoal_page__make(account, page->count, page->used);
    if (smaller == NULL) return page;
    copy_cells(smaller, page);
    shoal_page__free(account, page);
    return smaller;
}

char *shoal_page__append(shoal_page *page, uint8_t tag, size_t size)
{
    SHOAL_ASSERT(page->count < page->room);
    SHOAL_ASSERT(page->used + size <= capacity(page));
    char *at = shoal_page__cell(page, page->count);
    page->used = (uint16_t)(page->used + size);
    page->bytes[page->count] = tag;
    shoal_page__ends(page)[page->count++] = page->used;
    return at;
}

void shoal_page__remove(shoal_page *page, uint32_t index)
{
    SHOAL_ASSERT(index < page->count);
    shoal_slice cell = shoal_page__slice(page, index);
    char *at = shoal_page__cell(page, index);
    const char *end = shoal_page__cell(page, page->count);
    memmove(at, at + cell.size, (size_t)(end - at) - cell.size);
    uint32_t behind = page->count - index - 1u;
    memmove(page->bytes + index, page->bytes + index + 1, behind);
    uint16_t *ends = shoal_page__ends(page);
    for (uint32_t i = index; i < index + behind; i++) ends[i] = (uint16_t)(ends[i + 1] - cell.size);
    page->count--;
    page->used = (uint16_t)(page->used - cell.size);
}

uint32_t shoal_page__next(const shoal_page *page, uint32_t from, uint8_t tag)
{
    const uint64_t ones = 0x0101010101010101u;
    SHOAL_DEBUG_ASSERT(page->room >= ROOM_MIN && page->room % 2 == 0);
    uint64_t wanted = ones * tag;
    for (uint32_t i = from & ~7u; i < page->count; i += 8) {
        uint64_t differs = shoal_bytes_get_le64(page->bytes + i) ^ wanted;
        /* The high bit of each byte that is zero; a byte above such a one may be marked wrongly, so
         * the tag is looked at once more. */
        uint64_t zeros = (differs - ones) & ~differs & (ones << 7);
        for (; zeros != 0; zeros &= zeros - 1) {
            uint32_t at = i + (uint32_t)__builtin_ctzll(zeros) / 8;
            if (at >= page->count) return page->count;
            if (at >= from && page->bytes[at] == tag) return at;
        }
    }
    return page->count;
}

/* ---- cells ---- */

size_t shoal_cell__size(const shoal_table_entry *entry, bool pairs)
{
    SHOAL_DEBUG_ASSERT(entry->deadline_ms < 0 || pairs);
    size_t size = shoal_pack_size_of(&entry->name);
    if (pairs) size += shoal_pack_size_of(&entry->value);
    return entry->deadline_ms < 0 ? size : size + SHOAL_CELL__DEADLINE_SIZE;
}

void shoal_cell__write(char *at, const shoal_table_entry *entry, bool pairs)
{
    SHOAL_DEBUG_ASSERT(entry->deadline_ms >> 48 <= 0);
    if (entry->deadline_ms >= 0) {
        *at = (char)SHOAL_CELL__DEADLINE;
        shoal_bytes_put_le32(at + 1, (uint32_t)entry->deadline_ms);
        shoal_bytes_put_le16(at + 5, (uint16_t)(entry->deadline_ms >> 32));
        at += SHOAL_CELL__DEADLINE_SIZE;
    }
    at = shoal_pack_write(at, &entry->name);
    if (pairs) (void)shoal_pack_write(at, &entry->value);
}

shoal_remote *shoal_cell__remote(shoal_slice cell)
{
    SHOAL_DEBUG_ASSERT(cell.size > 0);
    if ((unsigned char)cell.data[0] != SHOAL_CELL__REMOTE) return NULL;
    shoal_remote *remote;
    SHOAL_ASSERT(cell.size == SHOAL_CELL__REMOTE_SIZE);
    memcpy(&remote, cell.data + 1, sizeof(remote));
    return remote;
}

void shoal_cell__read(shoal_slice cell, bool pairs, shoal_table_entry *out)
{
    SHOAL_ASSERT(cell.size > 0);
    unsigned first = (unsigned char)cell.data[0];
    if (first == SHOAL_CELL__REMOTE) {
        const shoal_remote *remote = shoal_cell__remote(cell);
        cell = (shoal_slice){remote->cell, remote->size};
        first = (unsigned char)cell.data[0];
    }
    const char *at = cell.data, *end = cell.data + cell.size;
    out->bytes = cell;
    out->deadline_ms = -1;
    if (first == SHOAL_CELL__DEADLINE) {
        out->deadline_ms =
            (int64_t)(shoal_bytes_get_le32(at + 1) | (uint64_t)shoal_bytes_get_le16(at + 5) << 32);
        at += SHOAL_CELL__DEADLINE_SIZE;
    }
    at = shoal_pack_read(at, end, &out->name);
    if (pairs) at = shoal_pack_read(at, end, &out->value);
    SHOAL_DEBUG_ASSERT(at == end);
}
