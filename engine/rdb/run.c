/* SPDX-License-Identifier: MIT
 *
 * rdb/run.c - walks over what Redis packs into one string: listpacks, the older ziplists and
 * zipmaps, and sets of integers. Every length is held to the bytes that are there, and the whole
 * to its frame.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/sort.h"
#include "rdb/internal.h"

#define ZIPLIST_HEAD 10u
#define ZIPLIST_LONG 0xfeu /* a length of the element before in four bytes follows */
#define ZIPMAP_LONG 0xfeu  /* the same, of a string */
#define ZIPMAP_END 0xffu
#define INTSET_HEAD 8u

static shoal_element of_integer(int64_t value)
{
    SHOAL_DEBUG_ASSERT(sizeof(value) == 8);
    return shoal_element_of_integer(value);
}

/* A signed number of `size` bytes, little end first. */
static int64_t get_number(const char *bytes, uint32_t size)
{
    uint64_t value = 0;
    SHOAL_ASSERT(size >= 1 && size <= 8);
    for (uint32_t i = 0; i < size; i++) value |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    uint32_t shift = 64 - 8 * size;
    return (int64_t)(value << shift) >> shift;
}

/* Bytes left in the walk. */
static size_t left_of(const shoal_rdb__run *run)
{
    SHOAL_DEBUG_ASSERT(run->at <= run->end);
    return (size_t)(run->end - run->at);
}

/* ---- listpacks ---- */

size_t shoal_rdb__write_back(unsigned char out[SHOAL_RDB__BACK_MAX], size_t size)
{
    uint32_t bytes = 1;
    SHOAL_ASSERT(size > 0 && size <= UINT32_MAX);
    /* Each group of seven bits but the first begins one early, as Redis has it. */
    if (size > 127) bytes = size < 16383 ? 2 : size < 2097151 ? 3 : size < 268435455 ? 4 : 5;
    for (uint32_t i = 0; i < bytes; i++) {
        unsigned char group = (unsigned char)(size >> (7 * (bytes - 1 - i)) & 127);
        out[i] = i == 0 ? group : group | 128;
    }
    return bytes;
}

static bool open_listpack(shoal_rdb__run *run, shoal_slice bytes)
{
    if (bytes.size < SHOAL_RDB__LISTPACK_HEAD + 1) return false;
    if (shoal_bytes_get_le32(bytes.data) != bytes.size) return false;
    run->end = bytes.data + bytes.size - 1;
    run->at = bytes.data + SHOAL_RDB__LISTPACK_HEAD;
    SHOAL_DEBUG_ASSERT(run->at <= run->end);
    uint16_t told = shoal_bytes_get_le16(bytes.data + 4);
    run->told = told == UINT16_MAX ? SHOAL_RDB__UNTOLD : told;
    return (unsigned char)*run->end == SHOAL_RDB__LISTPACK_END;
}

/* What the first byte of an element says: bytes of its head, of its string (with `*integer` 0), or
 * of its number. False for one that does not exist, or is not there. */
static bool listpack_head(const shoal_rdb__run *run, uint32_t *head, size_t *size,
                          uint32_t *integer)
{
    const unsigned char *at = (const unsigned char *)run->at;
    size_t left = left_of(run);
    SHOAL_DEBUG_ASSERT(left > 0);
    *head = 1;
    *integer = 0;
    *size = 0;
    if (at[0] < 0x80) return true;
    if (at[0] < 0xc0) {
        *size = at[0] & 0x3f;
    } else if (at[0] < 0xe0) {
        *head = 2;
    } else if (at[0] < 0xf0) {
        if (left < 2) return false;
        *head = 2;
        *size = (size_t)(at[0] & 0x0f) << 8 | at[1];
    } else if (at[0] == 0xf0) {
        if (left < 5) return false;
        *head = 5;
        *size = shoal_bytes_get_le32(at + 1);
    } else if (at[0] <= 0xf4) {
        static const uint8_t sizes[] = {2, 3, 4, 8};
        *integer = sizes[at[0] - 0xf1];
        *size = *integer;
    } else {
        return false;
    }
    return *head <= left && *size <= left - *head;
}

static bool next_in_listpack(shoal_rdb__run *run, shoal_element *out)
{
    const unsigned char *at = (const unsigned char *)run->at;
    uint32_t head, integer;
    size_t size;
    if (!listpack_head(run, &head, &size, &integer)) return false;
    const char *content = run->at + head;
    if (at[0] < 0x80) {
        *out = of_integer(at[0]);
    } else if (at[0] >= 0xc0 && at[0] < 0xe0) {
        uint32_t bits = (uint32_t)(at[0] & 0x1f) << 8 | at[1];
        *out = of_integer(bits >= 1u << 12 ? (int64_t)bits - (1 << 13) : (int64_t)bits);
    } else if (integer != 0) {
        *out = of_integer(get_number(content, integer));
    } else {
        *out = shoal_element_of((shoal_slice){content, size});
    }
    unsigned char back[SHOAL_RDB__BACK_MAX];
    size_t whole = head + size, behind = shoal_rdb__write_back(back, whole);
    SHOAL_DEBUG_ASSERT(whole <= left_of(run));
    if (behind > left_of(run) - whole || memcmp(run->at + whole, back, behind) != 0) return false;
    run->at += whole + behind;
    return true;
}

/* ---- ziplists ---- */

static bool open_ziplist(shoal_rdb__run *run, shoal_slice bytes)
{
    if (bytes.size < ZIPLIST_HEAD + 1) return false;
    if (shoal_bytes_get_le32(bytes.data) != bytes.size) return false;
    size_t tail = shoal_bytes_get_le32(bytes.data + 4);
    if (tail > bytes.size - 1) return false;
    run->end = bytes.data + bytes.size - 1;
    run->at = bytes.data + ZIPLIST_HEAD;
    run->tail = bytes.data + tail;
    SHOAL_DEBUG_ASSERT(run->at <= run->end);
    uint16_t told = shoal_bytes_get_le16(bytes.data + 8);
    run->told = told == UINT16_MAX ? SHOAL_RDB__UNTOLD : told;
    return (unsigned char)*run->end == SHOAL_RDB__LISTPACK_END;
}

/* Goes over the length of the element before, which must be right. */
static bool skip_before(shoal_rdb__run *run)
{
    if (left_of(run) < 2) return false;
    uint32_t before = (unsigned char)*run->at++;
    SHOAL_DEBUG_ASSERT(before <= 0xff);
    if (before > ZIPLIST_LONG) return false;
    if (before == ZIPLIST_LONG) {
        if (left_of(run) < 5) return false;
        before = shoal_bytes_get_le32(run->at);
        run->at += 4;
    }
    return before == run->before;
}

/* What stands behind that: a string with a head of `*head` bytes, or a number of `*integer` bytes
 * (0 with size 0: it is part of the head). */
static bool ziplist_head(const shoal_rdb__run *run, uint32_t *head, size_t *size, uint32_t *integer)
{
    const unsigned char *at = (const unsigned char *)run->at;
    size_t left = left_of(run);
    SHOAL_DEBUG_ASSERT(left > 0);
    *head = 1;
    *integer = 0;
    if (at[0] < 0x40) {
        *size = at[0];
    } else if (at[0] < 0x80) {
        if (left < 2) return false;
        *head = 2;
        *size = (size_t)(at[0] & 0x3f) << 8 | at[1];
    } else if (at[0] == 0x80) {
        if (left < 5) return false;
        *head = 5;
        *size = shoal_bytes_get_be32(at + 1);
    } else {
        switch (at[0]) {
        case 0xc0: *integer = 2; break;
        case 0xd0: *integer = 4; break;
        case 0xe0: *integer = 8; break;
        case 0xf0: *integer = 3; break;
        case 0xfe: *integer = 1; break;
        default: *integer = 0;
        }
        *size = *integer;
        if (*integer == 0 && (at[0] < 0xf1 || at[0] > 0xfd)) return false;
    }
    return *size <= left - *head;
}

static bool next_in_ziplist(shoal_rdb__run *run, shoal_element *out)
{
    const char *begin = run->at;
    uint32_t head, integer;
    size_t size;
    if (!skip_before(run) || !ziplist_head(run, &head, &size, &integer)) return false;
    unsigned char first = (unsigned char)*run->at;
    const char *content = run->at + head;
    if (first < 0xc0) {
        *out = shoal_element_of((shoal_slice){content, size});
    } else if (integer != 0) {
        *out = of_integer(get_number(content, integer));
    } else {
        *out = of_integer((first & 15) - 1);
    }
    run->at = content + size;
    SHOAL_DEBUG_ASSERT(run->at <= run->end);
    run->before = (uint32_t)(run->at - begin);
    return run->at < run->end || begin == run->tail;
}

/* ---- zipmaps ---- */

static bool open_zipmap(shoal_rdb__run *run, shoal_slice bytes)
{
    if (bytes.size < 2) return false;
    run->end = bytes.data + bytes.size - 1;
    run->at = bytes.data + 1;
    uint32_t told = (unsigned char)bytes.data[0];
    SHOAL_DEBUG_ASSERT(run->at <= run->end);
    run->told = told < ZIPMAP_LONG ? told * 2 : SHOAL_RDB__UNTOLD;
    /* There never was one without fields. */
    return run->at < run->end && (unsigned char)*run->end == ZIPMAP_END;
}

static bool next_in_zipmap(shoal_rdb__run *run, shoal_element *out)
{
    bool value = run->count % 2 == 1;
    SHOAL_DEBUG_ASSERT(left_of(run) > 0);
    size_t size = (unsigned char)*run->at++, unused = 0;
    if (size > ZIPMAP_LONG) return false;
    if (size == ZIPMAP_LONG) {
        if (left_of(run) < 4) return false;
        size = shoal_bytes_get_le32(run->at);
        run->at += 4;
        if (size < ZIPMAP_LONG) return false;
    }
    if (value) {
        if (left_of(run) < 1) return false;
        unused = (unsigned char)*run->at++;
    }
    if (size > left_of(run) || unused > left_of(run) - size) return false;
    *out = shoal_element_of((shoal_slice){run->at, size});
    run->at += size + unused;
    return value || run->at < run->end;
}

/* ---- sets of integers ---- */

static bool open_intset(shoal_rdb__run *run, shoal_slice bytes)
{
    if (bytes.size < INTSET_HEAD) return false;
    uint32_t width = shoal_bytes_get_le32(bytes.data);
    if (width != 2 && width != 4 && width != 8) return false;
    run->told = shoal_bytes_get_le32(bytes.data + 4);
    run->before = width;
    run->at = bytes.data + INTSET_HEAD;
    run->end = bytes.data + bytes.size;
    SHOAL_DEBUG_ASSERT(run->at <= run->end);
    return run->told != SHOAL_RDB__UNTOLD && left_of(run) == (uint64_t)run->told * width;
}

static bool next_in_intset(shoal_rdb__run *run, shoal_element *out)
{
    SHOAL_ASSERT(left_of(run) >= run->before);
    int64_t value = get_number(run->at, run->before);
    bool in_order = run->count == 0 || value > run->last;
    run->last = value;
    run->at += run->before;
    *out = of_integer(value);
    return in_order;
}

static int compare_integers(const void *a, const void *b, void *context)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    SHOAL_DEBUG_ASSERT(context == NULL);
    (void)context;
    return x < y ? -1 : x > y;
}

void shoal_rdb__make_intset(shoal_buffer *out, const shoal_members *set)
{
    SHOAL_ASSERT(shoal_buffer_size(out) == 0 && set->count <= UINT32_MAX);
    size_t size = set->count * sizeof(int64_t);
    char *head = shoal_buffer_reserve(out, INTSET_HEAD + size);
    if (head == NULL) return;
    int64_t *numbers = (int64_t *)(void *)(head + INTSET_HEAD);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    uint64_t count = 0, wide = 0;
    while (shoal_members_next(set, &place, &entry)) {
        int64_t value = entry.name.integer;
        SHOAL_ASSERT(entry.name.kind == SHOAL_ELEMENT_INTEGER && count < set->count);
        numbers[count++] = value;
        wide |= (uint64_t)(value < 0 ? ~value : value);
    }
    shoal_sort((shoal_sort_array){numbers, count, sizeof(*numbers)}, compare_integers, NULL);
    uint32_t width = wide > INT32_MAX ? 8 : wide > INT16_MAX ? 4 : 2;
    shoal_bytes_put_le32(head, width);
    shoal_bytes_put_le32(head + 4, (uint32_t)count);
    for (uint64_t i = 0; i < count; i++) {
        /* Never ahead of what is still to be read. */
        uint64_t bits = (uint64_t)numbers[i];
        char *to = head + INTSET_HEAD + i * width;
        for (uint32_t byte = 0; byte < width; byte++) to[byte] = (char)(bits >> (8 * byte));
    }
    shoal_buffer_commit(out, INTSET_HEAD + count * width);
}

/* ---- all of them ---- */

bool shoal_rdb__run_open(shoal_rdb__run *run, shoal_rdb__form form, shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.data != NULL || bytes.size == 0);
    *run = (shoal_rdb__run){.form = form, .first = bytes.data};
    switch (form) {
    case SHOAL_RDB__LISTPACK: return open_listpack(run, bytes);
    case SHOAL_RDB__ZIPLIST: return open_ziplist(run, bytes);
    case SHOAL_RDB__ZIPMAP: return open_zipmap(run, bytes);
    default: return open_intset(run, bytes);
    }
}

shoal_rdb_status shoal_rdb__run_next(shoal_rdb__run *run, shoal_element *out)
{
    SHOAL_DEBUG_ASSERT(run->at <= run->end);
    if (run->at == run->end) {
        bool right = run->told == SHOAL_RDB__UNTOLD || run->told == run->count;
        /* An empty ziplist ends where its last element would be. */
        if (run->form == SHOAL_RDB__ZIPLIST && run->count == 0) right &= run->tail == run->end;
        return right ? SHOAL_RDB_EMPTY : SHOAL_RDB_BAD;
    }
    bool right;
    switch (run->form) {
    case SHOAL_RDB__LISTPACK: right = next_in_listpack(run, out); break;
    case SHOAL_RDB__ZIPLIST: right = next_in_ziplist(run, out); break;
    case SHOAL_RDB__ZIPMAP: right = next_in_zipmap(run, out); break;
    default: right = next_in_intset(run, out);
    }
    run->count++;
    return right ? SHOAL_RDB_OK : SHOAL_RDB_BAD;
}
