/* SPDX-License-Identifier: MIT
 *
 * persist/long.c - see persist/long.h.
 */
#include "persist/long.h"

#include <string.h>

#include "base/assert.h"
#include "rdb/lzf.h"
#include "value/edited.h"

/* Bytes that are compressed, or written, at once. A repetition is told over 8 KiB, so pieces lose
 * next to nothing. */
#define PIECE_BYTES ((size_t)64 << 10)
/* What is kept when a byte of it is about to change: what a process that forks would copy. */
#define PAGE_BYTES ((size_t)4096)
/* The compressed form must be shorter by so much. */
#define GAIN_MIN 4u

/* ---- pages ---- */

static size_t page_count(const shoal_long *text)
{
    SHOAL_DEBUG_ASSERT(text->passed <= text->size);
    return (text->size + PAGE_BYTES - 1) / PAGE_BYTES;
}

/* Bytes of a page: the last has fewer. */
static size_t page_size(const shoal_long *text, size_t page)
{
    SHOAL_DEBUG_ASSERT(page < page_count(text));
    size_t left = text->size - page * PAGE_BYTES;
    return left < PAGE_BYTES ? left : PAGE_BYTES;
}

static void drop_page(shoal_long *text, shoal_account *account, size_t page)
{
    SHOAL_ASSERT(text->pages != NULL);
    if (text->pages[page] == NULL) return;
    SHOAL_ASSERT(text->kept >= page_size(text, page));
    text->kept -= page_size(text, page);
    shoal_account_give(account, text->pages[page], page_size(text, page));
    text->pages[page] = NULL;
}

static void drop_pages(shoal_long *text, shoal_account *account)
{
    SHOAL_DEBUG_ASSERT(text->pages != NULL || text->kept == 0);
    if (text->pages == NULL) return;
    for (size_t page = 0; page < page_count(text) && text->kept > 0; page++)
        drop_page(text, account, page);
    SHOAL_ASSERT(text->kept == 0);
    shoal_account_give(account, text->pages, page_count(text) * sizeof(text->pages[0]));
    text->pages = NULL;
}

static shoal_slice bytes_now(const shoal_long *text)
{
    shoal_slice all = text->edited != NULL ? shoal_edited_bytes(text->edited) : text->fixed;
    SHOAL_ASSERT(all.size >= text->size);
    SHOAL_DEBUG_ASSERT(text->edited != NULL || text->pages == NULL);
    return all;
}

/* Claim G1: copies bytes as they were. */
static void copy_out(const shoal_long *text, size_t from, size_t count, char *out)
{
    shoal_slice now = bytes_now(text);
    SHOAL_ASSERT(count <= text->size - from);
    if (text->kept == 0) {
        memcpy(out, now.data + from, count);
        return;
    }
    while (count > 0) {
        size_t page = from / PAGE_BYTES, within = from % PAGE_BYTES;
        size_t here = PAGE_BYTES - within < count ? PAGE_BYTES - within : count;
        const char *kept = text->pages[page];
        memcpy(out, kept != NULL ? kept + within : now.data + from, here);
        out += here;
        from += here;
        count -= here;
    }
}

bool shoal_long_keep(shoal_long *text, shoal_account *account, size_t offset, size_t size)
{
    SHOAL_ASSERT(text->edited != NULL);
    SHOAL_ASSERT(offset + size >= offset);
    size_t from = offset, to = offset + size < text->size ? offset + size : text->size;
    /* What lies behind the end is going to be zero up to where the change begins. */
    if (!text->squeezing) {
        if (text->squeezed != NULL) return true;
        if (from < text->passed) from = text->passed;
    }
    if (from >= to) return true;
    if (text->pages == NULL) {
        size_t room = page_count(text) * sizeof(text->pages[0]);
        text->pages = shoal_account_take(account, room);
        if (text->pages == NULL) return false;
        memset(text->pages, 0, room);
    }
    const char *now = bytes_now(text).data;
    for (size_t page = from / PAGE_BYTES; page <= (to - 1) / PAGE_BYTES; page++) {
        if (text->pages[page] != NULL) continue;
        char *copy = shoal_account_take(account, page_size(text, page));
        if (copy == NULL) return false;
        memcpy(copy, now + page * PAGE_BYTES, page_size(text, page));
        text->pages[page] = copy;
        text->kept += page_size(text, page);
    }
    return true;
}

/* ---- pieces ---- */

/* Bytes of the next piece, of those that are left: what the budget allows. */
static size_t piece_of(size_t left, uint32_t budget, uint32_t cost)
{
    SHOAL_ASSERT(left > 0 && budget > 0);
    SHOAL_DEBUG_ASSERT(cost > 0);
    size_t most = PIECE_BYTES;
    if (budget < most / SHOAL_LONG_UNIT_BYTES * cost)
        most = (size_t)budget * SHOAL_LONG_UNIT_BYTES / cost;
    return left < most ? left : most;
}

static void spend(uint32_t *budget, size_t bytes, uint32_t cost)
{
    SHOAL_DEBUG_ASSERT(*budget > 0);
    SHOAL_DEBUG_ASSERT(bytes <= PIECE_BYTES);
    if (*budget == UINT32_MAX) return;
    size_t units = bytes * cost / SHOAL_LONG_UNIT_BYTES + 1;
    *budget = units < *budget ? *budget - (uint32_t)units : 0;
}

/* It is, or is going to be, written as it is. */
static void begin_plain(shoal_long *text, shoal_account *account)
{
    SHOAL_ASSERT(text->given == 0);
    shoal_account_give(account, text->squeezed, text->size);
    shoal_account_give(account, text->gathered, PIECE_BYTES);
    SHOAL_DEBUG_ASSERT(text->form != SHOAL_LONG_BARE || text->squeezed == NULL);
    text->squeezed = text->gathered = NULL;
    text->squeezing = false;
    text->got = text->passed = 0;
}

/* Sees to it that there is room for what compressing makes. False without memory. */
static bool may_squeeze(shoal_long *text, shoal_account *account)
{
    SHOAL_ASSERT(text->squeezing && text->size <= SHOAL_LONG_SQUEEZE_MAX);
    SHOAL_DEBUG_ASSERT(text->squeezed != NULL || text->got == 0);
    if (text->squeezed == NULL) text->squeezed = shoal_account_take(account, text->size);
    if (text->edited != NULL && text->gathered == NULL)
        text->gathered = shoal_account_take(account, PIECE_BYTES);
    return text->squeezed != NULL && (text->edited == NULL || text->gathered != NULL);
}

/* Compresses a piece. */
static void squeeze(shoal_long *text, shoal_account *account, uint32_t *budget)
{
    if (!may_squeeze(text, account)) {
        begin_plain(text, account);
        return;
    }
    size_t piece = piece_of(text->size - text->passed, *budget, SHOAL_LONG_SQUEEZE_COST);
    SHOAL_ASSERT(text->squeezing && text->got <= text->passed);
    shoal_slice bytes = {text->fixed.data + text->passed, piece};
    if (text->edited != NULL) {
        copy_out(text, text->passed, piece, text->gathered);
        bytes.data = text->gathered;
    }
    spend(budget, piece, SHOAL_LONG_SQUEEZE_COST);
    size_t most = text->passed + piece - text->got;
    size_t size = most > GAIN_MIN
                      ? shoal_lzf_compress(bytes, text->squeezed + text->got, most - GAIN_MIN)
                      : 0;
    if (size == 0) {
        begin_plain(text, account);
        return;
    }
    text->got += size;
    text->passed += piece;
    SHOAL_ASSERT(text->got + GAIN_MIN <= text->passed);
    if (text->passed < text->size) return;
    text->squeezing = false;
    drop_pages(text, account);
}

/* Writes a piece of what has been compressed. */
static void write_squeezed(shoal_long *text, shoal_buffer *out, uint32_t *budget)
{
    SHOAL_ASSERT(!text->squeezing && text->squeezed != NULL);
    SHOAL_ASSERT(text->given < text->got);
    if (text->given == 0) shoal_rdb_write_squeezed_head(out, text->got, text->size);
    size_t piece = piece_of(text->got - text->given, *budget, 1);
    shoal_buffer_append(out, (shoal_slice){text->squeezed + text->given, piece});
    text->given += piece;
    spend(budget, piece, 1);
}

/* Writes a piece as it is. */
static void write_plain(shoal_long *text, shoal_account *account, shoal_buffer *out,
                        uint32_t *budget)
{
    SHOAL_ASSERT(!text->squeezing && text->squeezed == NULL);
    SHOAL_ASSERT(text->passed < text->size);
    if (text->passed == 0 && text->form != SHOAL_LONG_BARE) shoal_rdb_write_length(out, text->size);
    size_t piece = piece_of(text->size - text->passed, *budget, 1);
    char *at = shoal_buffer_reserve(out, piece);
    if (at == NULL) return;
    copy_out(text, text->passed, piece, at);
    shoal_buffer_commit(out, piece);
    spend(budget, piece, 1);
    size_t before = text->passed / PAGE_BYTES;
    text->passed += piece;
    size_t behind = text->passed == text->size ? page_count(text) : text->passed / PAGE_BYTES;
    for (size_t page = before; text->pages != NULL && page < behind; page++)
        drop_page(text, account, page);
}

static bool is_over(const shoal_long *text)
{
    SHOAL_DEBUG_ASSERT(text->passed <= text->size);
    SHOAL_DEBUG_ASSERT(text->given <= text->got);
    if (text->squeezing || text->passed < text->size) return false;
    return text->squeezed == NULL || text->given == text->got;
}

bool shoal_long_write(shoal_long *text, shoal_account *account, shoal_buffer *out, uint32_t *budget)
{
    SHOAL_ASSERT(*budget > 0);
    SHOAL_DEBUG_ASSERT(account->allocator != NULL);
    while (!is_over(text) && *budget > 0 && !out->failed) {
        if (text->squeezing)
            squeeze(text, account, budget);
        else if (text->squeezed != NULL)
            write_squeezed(text, out, budget);
        else
            write_plain(text, account, out, budget);
    }
    return is_over(text) || out->failed;
}

/* ---- life ---- */

void shoal_long_begin(shoal_long *text, const shoal_rdb_value *value, shoal_long_form form)
{
    SHOAL_ASSERT(value->type == SHOAL_TYPE_STRING);
    *text = (shoal_long){.edited = value->compound.object,
                         .fixed = value->string,
                         .form = form,
                         .size = value->string.size};
    SHOAL_ASSERT(text->size > 0);
    text->squeezing = form == SHOAL_LONG_SQUEEZED && text->size <= SHOAL_LONG_SQUEEZE_MAX;
}

size_t shoal_long_kept(const shoal_long *text)
{
    SHOAL_DEBUG_ASSERT(text->kept <= text->size);
    SHOAL_DEBUG_ASSERT(text->given <= text->got);
    return text->kept;
}

void shoal_long_end(shoal_long *text, shoal_account *account)
{
    SHOAL_DEBUG_ASSERT(account->allocator != NULL);
    SHOAL_DEBUG_ASSERT(text->given <= text->got);
    drop_pages(text, account);
    shoal_account_give(account, text->squeezed, text->size);
    shoal_account_give(account, text->gathered, PIECE_BYTES);
    *text = (shoal_long){.size = 0};
}
