/* SPDX-License-Identifier: MIT
 *
 * rdb/write.c - values as bytes: lengths, strings, and each type in the encoding that Redis 7.0 has
 * for it. The elements of our packs are those of listpacks but for the length behind each of them.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/text.h"
#include "rdb/crc64.h"
#include "rdb/internal.h"
#include "rdb/lzf.h"

/* Strings of at most so many bytes are not worth compressing, as Redis has it. */
#define PLAIN_MAX 20u
/* Strings of at most so many bytes may be integers. */
#define INTEGER_MAX 11u
/* The compressed form must be shorter by so much. */
#define GAIN_MIN 4u

/* ---- lengths and strings ---- */

void shoal_rdb_write_length(shoal_buffer *out, uint64_t length)
{
    unsigned char bytes[9];
    size_t size;
    if (length < 1u << 6) {
        bytes[0] = (unsigned char)length;
        size = 1;
    } else if (length < 1u << 14) {
        shoal_bytes_put_be16(bytes, (uint16_t)(length | 1u << 14));
        size = 2;
    } else if (length <= UINT32_MAX) {
        bytes[0] = SHOAL_RDB__LENGTH_32;
        shoal_bytes_put_be32(bytes + 1, (uint32_t)length);
        size = 5;
    } else {
        bytes[0] = SHOAL_RDB__LENGTH_64;
        shoal_bytes_put_be64(bytes + 1, length);
        size = 9;
    }
    SHOAL_DEBUG_ASSERT(size <= sizeof(bytes));
    shoal_buffer_append(out, (shoal_slice){(const char *)bytes, size});
}

/* Appends the string as an integer of at most 4 bytes. False where it is none. */
static bool write_integer(shoal_buffer *out, shoal_slice text)
{
    int64_t value;
    if (text.size > INTEGER_MAX || !shoal_text_to_i64(text, &value)) return false;
    if (value < INT32_MIN || value > INT32_MAX) return false;
    char bytes[5];
    size_t size;
    if (value >= INT8_MIN && value <= INT8_MAX) {
        bytes[0] = (char)SHOAL_RDB__STRING_8;
        bytes[1] = (char)value;
        size = 2;
    } else if (value >= INT16_MIN && value <= INT16_MAX) {
        bytes[0] = (char)SHOAL_RDB__STRING_16;
        shoal_bytes_put_le16(bytes + 1, (uint16_t)value);
        size = 3;
    } else {
        bytes[0] = (char)SHOAL_RDB__STRING_32;
        shoal_bytes_put_le32(bytes + 1, (uint32_t)value);
        size = 5;
    }
    SHOAL_DEBUG_ASSERT(size <= sizeof(bytes));
    shoal_buffer_append(out, (shoal_slice){bytes, size});
    return true;
}

void shoal_rdb_write_squeezed_head(shoal_buffer *out, uint64_t squeezed, uint64_t size)
{
    char mark = (char)SHOAL_RDB__STRING_LZF;
    SHOAL_ASSERT(squeezed < size);
    SHOAL_DEBUG_ASSERT(squeezed > 0);
    shoal_buffer_append(out, (shoal_slice){&mark, 1});
    shoal_rdb_write_length(out, squeezed);
    shoal_rdb_write_length(out, size);
}

/* Appends the string compressed. False where that gains nothing. */
static bool write_compressed(shoal_buffer *out, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(bytes.size > PLAIN_MAX);
    size_t room = bytes.size - GAIN_MIN;
    /* In front of it: a byte, and two lengths of at most 9 bytes each. Written behind the place
     * where it will stand, because its length comes first. */
    size_t front = 19;
    char *at = shoal_buffer_reserve(out, front + room);
    if (at == NULL) return true;
    size_t size = shoal_lzf_compress(bytes, at + front, room);
    if (size == 0) return false;
    size_t before = shoal_buffer_size(out);
    shoal_rdb_write_squeezed_head(out, size, bytes.size);
    size_t used = shoal_buffer_size(out) - before;
    SHOAL_ASSERT(used <= front);
    memmove(at + used, at + front, size);
    shoal_buffer_commit(out, size);
    return true;
}

void shoal_rdb_write_string(shoal_buffer *out, shoal_slice bytes, bool compress)
{
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    if (write_integer(out, bytes)) return;
    if (compress && bytes.size > PLAIN_MAX && write_compressed(out, bytes)) return;
    shoal_rdb_write_length(out, bytes.size);
    shoal_buffer_append(out, bytes);
}

static void write_element(shoal_buffer *out, const shoal_element *element, bool compress)
{
    char scratch[32];
    SHOAL_DEBUG_ASSERT(element->kind != SHOAL_ELEMENT_DOUBLE);
    shoal_rdb_write_string(out, shoal_element_text(element, scratch), compress);
}

static void write_le64(shoal_buffer *out, uint64_t value)
{
    char bytes[8];
    SHOAL_DEBUG_ASSERT(out->allocator != NULL);
    shoal_bytes_put_le64(bytes, value);
    shoal_buffer_append(out, (shoal_slice){bytes, sizeof(bytes)});
}

/* ---- listpacks ---- */

/* A listpack that is being written to a buffer of its own. */
typedef struct listpack {
    shoal_buffer bytes;
    uint32_t count;
} listpack;

static void listpack_begin(listpack *pack, const shoal_allocator *allocator)
{
    pack->bytes = shoal_buffer_make(allocator);
    pack->count = 0;
    shoal_buffer_append(&pack->bytes, (shoal_slice){"\0\0\0\0\0", SHOAL_RDB__LISTPACK_HEAD});
    SHOAL_DEBUG_ASSERT(pack->bytes.start == 0);
}

/* An element that is no double. */
static void listpack_add(listpack *pack, const shoal_element *element)
{
    SHOAL_ASSERT(element->kind != SHOAL_ELEMENT_DOUBLE);
    size_t size = shoal_pack_size_of(element);
    char *at = shoal_buffer_reserve(&pack->bytes, size + SHOAL_RDB__BACK_MAX);
    if (at == NULL) return;
    (void)shoal_pack_write(at, element);
    size_t back = shoal_rdb__write_back((unsigned char *)at + size, size);
    shoal_buffer_commit(&pack->bytes, size + back);
    pack->count++;
}

/* Writes it as a string, and is done with it. */
static void listpack_end(listpack *pack, shoal_buffer *out, bool compress)
{
    char end = (char)SHOAL_RDB__LISTPACK_END;
    shoal_buffer_append(&pack->bytes, (shoal_slice){&end, 1});
    size_t size = shoal_buffer_size(&pack->bytes);
    SHOAL_ASSERT(size <= UINT32_MAX);
    if (pack->bytes.failed) {
        out->failed = true;
    } else {
        shoal_bytes_put_le32(pack->bytes.data, (uint32_t)size);
        shoal_bytes_put_le16(pack->bytes.data + 4,
                             pack->count < UINT16_MAX ? (uint16_t)pack->count : UINT16_MAX);
        shoal_rdb_write_string(out, shoal_buffer_slice(&pack->bytes), compress);
    }
    shoal_buffer_free(&pack->bytes);
}

/* ---- lists ---- */

/* Takes elements into a node until it is full. True when some are left, the first of them in
 * `*element`. */
static bool fill_node(listpack *node, shoal_list_cursor *cursor, shoal_element *element,
                      shoal_list_limits limits)
{
    bool left = true;
    SHOAL_DEBUG_ASSERT(limits.count_max > 0);
    do {
        listpack_add(node, element);
        left = shoal_list_next(cursor, element);
    } while (left && node->count < limits.count_max &&
             shoal_buffer_size(&node->bytes) + shoal_pack_size_of(element) <= limits.bytes_max);
    return left;
}

/* The nodes of a list, whose number stands in front of them: they are cut twice. */
static uint64_t count_nodes(const shoal_compound *value, shoal_list_limits limits)
{
    shoal_list_cursor cursor;
    shoal_element element;
    uint64_t nodes = 0;
    uint32_t count = 0;
    size_t size = 0;
    shoal_list_seek(&cursor, value, 0, false);
    while (shoal_list_next(&cursor, &element)) {
        size_t more = shoal_pack_size_of(&element);
        if (nodes == 0 || count >= limits.count_max || size + more > limits.bytes_max) {
            nodes++;
            count = 0;
            size = SHOAL_RDB__LISTPACK_HEAD;
        }
        count++;
        unsigned char back[SHOAL_RDB__BACK_MAX];
        size += more + shoal_rdb__write_back(back, more);
    }
    SHOAL_ASSERT(nodes > 0);
    return nodes;
}

static void write_list(shoal_buffer *out, const shoal_compound *value, const shoal_rdb_style *style)
{
    uint64_t nodes = count_nodes(value, style->list), written = 0;
    shoal_rdb_write_length(out, nodes);
    shoal_list_cursor cursor;
    shoal_element element;
    shoal_list_seek(&cursor, value, 0, false);
    bool left = shoal_list_next(&cursor, &element);
    for (; left && !out->failed; written++) {
        listpack node;
        listpack_begin(&node, out->allocator);
        left = fill_node(&node, &cursor, &element, style->list);
        shoal_rdb_write_length(out, SHOAL_RDB__NODE_PACKED);
        listpack_end(&node, out, style->compress);
    }
    SHOAL_ASSERT(written == nodes || out->failed);
}

/* ---- sets and hashes ---- */

static void write_intset(shoal_buffer *out, const shoal_members *set, bool compress)
{
    shoal_buffer bytes = shoal_buffer_make(out->allocator);
    shoal_rdb__make_intset(&bytes, set);
    SHOAL_DEBUG_ASSERT(set->count > 0);
    if (bytes.failed) {
        out->failed = true;
    } else {
        shoal_rdb_write_string(out, shoal_buffer_slice(&bytes), compress);
    }
    shoal_buffer_free(&bytes);
}

bool shoal_rdb_is_of_elements(shoal_rdb_kind kind)
{
    return kind == SHOAL_RDB_SET || kind == SHOAL_RDB_HASH || kind == SHOAL_RDB_HASH_FIELDS ||
           kind == SHOAL_RDB_ZSET_2 || kind == SHOAL_RDB_LIST;
}

void shoal_rdb_elements_begin(shoal_rdb_elements *elements, shoal_buffer *out,
                              const shoal_rdb_value *value, shoal_rdb_kind kind,
                              const shoal_rdb_style *style)
{
    SHOAL_ASSERT(shoal_rdb_is_of_elements(kind));
    *elements = (shoal_rdb_elements){.compress = style->compress};
    if (kind == SHOAL_RDB_ZSET_2) {
        elements->left = shoal_zset_count(&value->compound);
    } else if (kind == SHOAL_RDB_LIST) {
        elements->left = shoal_list_count(&value->compound);
    } else {
        shoal_members members = shoal_members_of(&value->compound, value->type, style->now_ms);
        elements->left = members.count;
        elements->pairs = members.pairs;
        elements->dated = kind == SHOAL_RDB_HASH_FIELDS;
        if (elements->dated) {
            elements->earliest_ms = shoal_table_deadline(members.table);
            SHOAL_ASSERT(elements->earliest_ms >= 0);
            write_le64(out, (uint64_t)elements->earliest_ms);
        }
    }
    shoal_rdb_write_length(out, elements->left);
}

void shoal_rdb_elements_add(shoal_rdb_elements *elements, shoal_buffer *out,
                            const shoal_table_entry *entry)
{
    SHOAL_ASSERT(elements->left > 0);
    elements->left--;
    if (elements->dated) {
        int64_t after = entry->deadline_ms - elements->earliest_ms;
        SHOAL_ASSERT(entry->deadline_ms < 0 || after >= 0);
        shoal_rdb_write_length(out, entry->deadline_ms >= 0 ? (uint64_t)after + 1 : 0);
    }
    write_element(out, &entry->name, elements->compress);
    if (elements->pairs) write_element(out, &entry->value, elements->compress);
}

void shoal_rdb_elements_add_element(shoal_rdb_elements *elements, shoal_buffer *out,
                                    const shoal_element *element)
{
    SHOAL_ASSERT(elements->left > 0);
    SHOAL_DEBUG_ASSERT(!elements->pairs && !elements->dated);
    elements->left--;
    write_element(out, element, elements->compress);
}

void shoal_rdb_elements_add_scored(shoal_rdb_elements *elements, shoal_buffer *out,
                                   const shoal_zset_entry *entry)
{
    uint64_t bits;
    SHOAL_ASSERT(elements->left > 0);
    SHOAL_ASSERT(entry->score == entry->score);
    elements->left--;
    shoal_rdb_write_string(out, entry->member, elements->compress);
    memcpy(&bits, &entry->score, sizeof(bits));
    write_le64(out, bits);
}

/* Names alone, or with values, or with deadlines too. */
static void write_entries(shoal_buffer *out, const shoal_rdb_value *value, shoal_rdb_kind kind,
                          const shoal_rdb_style *style)
{
    shoal_rdb_elements elements;
    shoal_members members = shoal_members_of(&value->compound, value->type, style->now_ms);
    shoal_rdb_elements_begin(&elements, out, value, kind, style);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (!out->failed && shoal_members_next(&members, &place, &entry))
        shoal_rdb_elements_add(&elements, out, &entry);
    SHOAL_ASSERT(out->failed || elements.left == 0);
}

static void write_packed_hash(shoal_buffer *out, const shoal_members *hash, bool compress)
{
    listpack pack;
    SHOAL_ASSERT(hash->pairs);
    listpack_begin(&pack, out->allocator);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (shoal_members_next(hash, &place, &entry)) {
        listpack_add(&pack, &entry.name);
        listpack_add(&pack, &entry.value);
    }
    listpack_end(&pack, out, compress);
}

/* ---- sorted sets ---- */

/* From the highest element down, as Redis, which so fills a skiplist at its head. */
static void write_skiplist(shoal_buffer *out, const shoal_rdb_value *value,
                           const shoal_rdb_style *style)
{
    shoal_rdb_elements elements;
    shoal_rdb_elements_begin(&elements, out, value, SHOAL_RDB_ZSET_2, style);
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_zset_seek(&cursor, &value->compound, (shoal_zset_ranks){0, elements.left}, true);
    while (!out->failed && shoal_zset_next(&cursor, &entry))
        shoal_rdb_elements_add_scored(&elements, out, &entry);
    SHOAL_ASSERT(out->failed || elements.left == 0);
}

/* A score as an element of a listpack: an integer, or its text. */
static shoal_element score_element(double score, char scratch[32])
{
    shoal_element element = shoal_element_of_double(score);
    SHOAL_DEBUG_ASSERT(element.kind != SHOAL_ELEMENT_BYTES);
    if (element.kind == SHOAL_ELEMENT_INTEGER) return element;
    return shoal_element_of(shoal_element_text(&element, scratch));
}

static void write_packed_zset(shoal_buffer *out, const shoal_compound *value, bool compress)
{
    listpack pack;
    listpack_begin(&pack, out->allocator);
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    uint64_t count = shoal_zset_count(value);
    shoal_zset_seek(&cursor, value, (shoal_zset_ranks){0, count}, false);
    while (shoal_zset_next(&cursor, &entry)) {
        char scratch[32];
        shoal_element member = shoal_element_of(entry.member);
        shoal_element score = score_element(entry.score, scratch);
        listpack_add(&pack, &member);
        listpack_add(&pack, &score);
    }
    SHOAL_DEBUG_ASSERT(pack.bytes.failed || pack.count == 2 * count);
    listpack_end(&pack, out, compress);
}

/* ---- values ---- */

/* All fields that have not expired, which are all once there are none with a deadline. */
static bool has_deadlines(const shoal_members *hash)
{
    SHOAL_DEBUG_ASSERT(hash->pairs);
    return hash->table != NULL && shoal_table_deadline(hash->table) >= 0;
}

bool shoal_rdb_is_empty(const shoal_rdb_value *value, int64_t now_ms)
{
    SHOAL_ASSERT(value->type != SHOAL_TYPE_NONE);
    if (value->type != SHOAL_TYPE_HASH) return false;
    return shoal_members_of(&value->compound, SHOAL_TYPE_HASH, now_ms).count == 0;
}

shoal_rdb_kind shoal_rdb_kind_of(const shoal_rdb_value *value, int64_t now_ms)
{
    shoal_members members;
    SHOAL_ASSERT(value->type != SHOAL_TYPE_NONE && value->type != SHOAL_TYPE_STREAM);
    switch (value->type) {
    case SHOAL_TYPE_LIST: return SHOAL_RDB_LIST_QUICKLIST_2;
    case SHOAL_TYPE_ZSET:
        return shoal_zset_is_listpack(&value->compound) ? SHOAL_RDB_ZSET_LISTPACK
                                                        : SHOAL_RDB_ZSET_2;
    case SHOAL_TYPE_SET:
        members = shoal_members_of(&value->compound, SHOAL_TYPE_SET, now_ms);
        return members.wide ? SHOAL_RDB_SET : SHOAL_RDB_SET_INTSET;
    case SHOAL_TYPE_HASH:
        members = shoal_members_of(&value->compound, SHOAL_TYPE_HASH, now_ms);
        if (has_deadlines(&members)) return SHOAL_RDB_HASH_FIELDS;
        return members.wide ? SHOAL_RDB_HASH : SHOAL_RDB_HASH_LISTPACK;
    default: return SHOAL_RDB_STRING;
    }
}

void shoal_rdb_write_value(shoal_buffer *out, const shoal_rdb_value *value, shoal_rdb_kind kind,
                           const shoal_rdb_style *style)
{
    const shoal_compound *compound = &value->compound;
    shoal_members members = {.table = NULL};
    if (value->type == SHOAL_TYPE_SET || value->type == SHOAL_TYPE_HASH)
        members = shoal_members_of(compound, value->type, style->now_ms);
    switch (kind) {
    case SHOAL_RDB_STRING: shoal_rdb_write_string(out, value->string, style->compress); break;
    case SHOAL_RDB_LIST_QUICKLIST_2: write_list(out, compound, style); break;
    case SHOAL_RDB_SET_INTSET: write_intset(out, &members, style->compress); break;
    case SHOAL_RDB_HASH_LISTPACK: write_packed_hash(out, &members, style->compress); break;
    case SHOAL_RDB_ZSET_LISTPACK: write_packed_zset(out, compound, style->compress); break;
    case SHOAL_RDB_ZSET_2: write_skiplist(out, value, style); break;
    default:
        SHOAL_ASSERT(kind == SHOAL_RDB_SET || kind == SHOAL_RDB_HASH ||
                     kind == SHOAL_RDB_HASH_FIELDS);
        write_entries(out, value, kind, style);
    }
}

void shoal_rdb_write_payload(shoal_buffer *out, const shoal_rdb_value *value,
                             const shoal_rdb_style *style)
{
    size_t before = shoal_buffer_size(out);
    shoal_rdb_kind kind = shoal_rdb_kind_of(value, style->now_ms);
    char mark = (char)kind, version[2];
    shoal_buffer_append(out, (shoal_slice){&mark, 1});
    shoal_rdb_write_value(out, value, kind, style);
    bool fields = kind == SHOAL_RDB_HASH_FIELDS;
    shoal_bytes_put_le16(version, fields ? SHOAL_RDB_VERSION_FIELDS : SHOAL_RDB_VERSION);
    shoal_buffer_append(out, (shoal_slice){version, sizeof(version)});
    if (out->failed) return;
    shoal_slice all = shoal_buffer_slice(out);
    SHOAL_ASSERT(all.size >= before + SHOAL_RDB__FOOT_SIZE - 8);
    write_le64(out, shoal_crc64(0, (shoal_slice){all.data + before, all.size - before}));
}
