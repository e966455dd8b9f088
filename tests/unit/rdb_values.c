/* SPDX-License-Identifier: MIT
 *
 * Values in the encodings of the RDB format, old ones included, byte by byte; what is damaged is
 * refused. What stands here as bytes was read off redis-server, or made after the format's
 * descriptions.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "rdb/crc64.h"
#include "rdb/file.h"
#include "rdb/lzf.h"
#include "support/allocator.h"

#define NOW_MS 1000

static test_heap heap;
static shoal_allocator allocator;
static shoal_prng prng;
static shoal_rdb_loader loader;
static char text[4096];
static size_t text_size;

static int open_loader(void **state)
{
    (void)state;
    heap = (test_heap){0};
    allocator = test_allocator(&heap);
    prng = shoal_prng_make((const uint64_t[2]){1, 2}, 0, 0);
    shoal_rdb_loader_open(&loader, &allocator, &allocator, &prng);
    loader.limits = (shoal_rdb_limits){.set = {.entries = 512},
                                       .hash = {.entries = 128, .value_size = 64},
                                       .zset = {.entries = 128, .member_size = 64},
                                       .list = {.bytes_max = 8192, .count_max = UINT32_MAX}};
    return 0;
}

static int close_loader(void **state)
{
    (void)state;
    shoal_rdb_loader_close(&loader);
    assert_int_equal(heap.blocks, 0);
    return 0;
}

/* ---- help ---- */

static shoal_rdb_status load(const char *bytes, size_t size)
{
    char payload[4096] = {0};
    assert_true(size + 10 <= sizeof(payload));
    memcpy(payload, bytes, size);
    payload[size] = 10;
    /* A block of its own, so that a sanitizer sees what is read behind it. */
    char *block = malloc(size + 10);
    memcpy(block, payload, size + 10);
    shoal_rdb_status status = shoal_rdb_read_payload(&loader, (shoal_slice){block, size + 10});
    if (status == SHOAL_RDB_OK && loader.type == SHOAL_TYPE_STRING) {
        memcpy(text, loader.string.data, loader.string.size);
        text_size = loader.string.size;
    }
    free(block);
    return status;
}

static void add(void *context, shoal_slice part)
{
    (void)context;
    memcpy(text + text_size, part.data, part.size);
    text_size += part.size;
    text[text_size++] = ' ';
}

static void add_element(const shoal_element *element)
{
    char scratch[32];
    add(NULL, shoal_element_text(element, scratch));
}

static void add_members(const shoal_compound *value, shoal_value_type type)
{
    shoal_members members = shoal_members_of(value, type, NOW_MS);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (shoal_members_next(&members, &place, &entry)) {
        add_element(&entry.name);
        if (type == SHOAL_TYPE_HASH) add_element(&entry.value);
    }
}

/* The content as text: elements with blanks behind them. */
static const char *shown(void)
{
    shoal_rdb_value value = shoal_rdb_loader_value(&loader);
    if (value.type == SHOAL_TYPE_STRING) {
        text[text_size] = '\0';
        return text;
    }
    text_size = 0;
    if (value.type == SHOAL_TYPE_LIST) {
        shoal_list_cursor cursor;
        shoal_element element;
        shoal_list_seek(&cursor, &value.compound, 0, false);
        while (shoal_list_next(&cursor, &element)) add_element(&element);
    } else if (value.type == SHOAL_TYPE_ZSET) {
        shoal_zset_cursor cursor;
        shoal_zset_entry entry;
        shoal_zset_seek(&cursor, &value.compound, (shoal_zset_ranks){0, UINT64_MAX}, false);
        while (shoal_zset_next(&cursor, &entry)) {
            add(NULL, entry.member);
            shoal_element score = shoal_element_of_double(entry.score);
            add_element(&score);
        }
    } else {
        add_members(&value.compound, value.type);
    }
    text[text_size] = '\0';
    return text;
}

/* The bytes hold this, and every shorter piece of them is refused. */
static void holds(const char *bytes, size_t size, const char *content)
{
    assert_int_equal(load(bytes, size), SHOAL_RDB_OK);
    assert_string_equal(shown(), content);
    for (size_t cut = 0; cut < size; cut++) assert_int_not_equal(load(bytes, cut), SHOAL_RDB_OK);
}
#define HOLDS(bytes, content) holds(bytes, sizeof(bytes) - 1, content)
#define IS_BAD(bytes) assert_int_equal(load(bytes, sizeof(bytes) - 1), SHOAL_RDB_BAD)

/* ---- facts ---- */

static void the_checksum_is_that_of_redis(void **state)
{
    (void)state;
    const char *digits = "123456789";
    assert_true(shoal_crc64(0, (shoal_slice){digits, 9}) == 0xe9c6d914c4b8d9ca);
    uint64_t crc = 0;
    for (int i = 0; i < 9; i++) crc = shoal_crc64(crc, (shoal_slice){digits + i, 1});
    assert_true(crc == 0xe9c6d914c4b8d9ca);
}

/* By tables alone, folded, and byte by byte; pieces of every size up to some folds, from addresses
 * that are aligned to nothing. */
static void the_checksum_is_the_same_however_it_is_computed(void **state)
{
    (void)state;
    static char bytes[1500];
    shoal_crc64_tables folding, tables;
    shoal_crc64_prepare(&folding);
    tables = folding;
    tables.folds = false;
    uint64_t bits = 1;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (char)(bits >> 56);
    }
    for (size_t size = 0; size < sizeof(bytes) - 8; size++) {
        shoal_slice piece = {bytes + size % 8, size};
        uint64_t wanted = shoal_crc64(size, piece);
        assert_true(shoal_crc64_by(&tables, size, piece) == wanted);
        assert_true(shoal_crc64_by(&folding, size, piece) == wanted);
    }
}

static void strings_are_read_in_all_forms(void **state)
{
    (void)state;
    HOLDS("\x00\x03"
          "abc",
          "abc");
    HOLDS("\x00\x40\x03"
          "abc",
          "abc");
    HOLDS("\x00\x80\x00\x00\x00\x03"
          "abc",
          "abc");
    HOLDS("\x00\x81\x00\x00\x00\x00\x00\x00\x00\x03"
          "abc",
          "abc");
    HOLDS("\x00\xc0\xfe", "-2");
    HOLDS("\x00\xc1\x39\x30", "12345");
    HOLDS("\x00\xc2\x00\x00\x00\x80", "-2147483648");
    HOLDS("\x00\xc3\x05\x0a\x00"
          "a\xe0\x00\x00",
          "aaaaaaaaaa");
    HOLDS("\x00\x00", "");
}

static void damaged_strings_are_refused(void **state)
{
    (void)state;
    IS_BAD("\x00\xc4\x01");
    IS_BAD("\x00\x81\xff\xff\xff\xff\xff\xff\xff\xf7");
    IS_BAD("\x00\xc3\x05\x0b\x00"
           "a\xe0\x00\x00");
    IS_BAD("\x00\xc3\x05\x0a\x00"
           "a\xe0\x00\x01");
    IS_BAD("\x00\xc3\x00\x0a");
    IS_BAD("\x00\xc3\x01\x81\x00\x00\x00\x00\x10\x00\x00\x00\x00");
    IS_BAD("\x00\x03"
           "abcd");
    IS_BAD("");
}

static void plain_collections_are_read(void **state)
{
    (void)state;
    HOLDS("\x01\x02\x01"
          "a\xc0\x07",
          "a 7 ");
    HOLDS("\x02\x02\xc0\x02\xc0\x07", "2 7 ");
    HOLDS("\x04\x01\x01"
          "f\x01"
          "v",
          "f v ");
    HOLDS("\x03\x03\x01"
          "a\x03"
          "1.5\x01"
          "b\xfe\x01"
          "c\xff",
          "c -inf a 1.5 b inf ");
    HOLDS("\x05\x01\x01"
          "a\x00\x00\x00\x00\x00\x00\xf8\x3f",
          "a 1.5 ");
    IS_BAD("\x03\x01\x01"
           "a\xfd");
    IS_BAD("\x05\x01\x01"
           "a\x00\x00\x00\x00\x00\x00\xf8\x7f");
    IS_BAD("\x02\x02\x01"
           "a\x01"
           "a");
    IS_BAD("\x04\x02\x01"
           "f\x01"
           "v\x01"
           "f\x01"
           "w");
    assert_int_equal(load("\x01\x00", 2), SHOAL_RDB_EMPTY);
    assert_int_equal(load("\x05\x00", 2), SHOAL_RDB_EMPTY);
}

static void ziplists_are_read_and_checked(void **state)
{
    (void)state;
    static const char list[] = "\x0a\x16\x16\x00\x00\x00\x13\x00\x00\x00\x04\x00"
                               "\x00\x01\x61\x03\x01\x62\x03\xfe\xf6\x03\xf3\xff";
    HOLDS("\x0a\x16\x16\x00\x00\x00\x13\x00\x00\x00\x04\x00\x00\x01\x61\x03\x01\x62\x03\xfe\xf6\x03"
          "\xf3\xff",
          "a b -10 2 ");
    HOLDS("\x0d\x16\x16\x00\x00\x00\x13\x00\x00\x00\x04\x00\x00\x01\x61\x03\x01\x62\x03\xfe\xf6\x03"
          "\xf3\xff",
          "a b -10 2 ");
    HOLDS("\x0e\x01\x16\x16\x00\x00\x00\x13\x00\x00\x00\x04\x00\x00\x01\x61\x03\x01\x62\x03\xfe\xf6"
          "\x03\xf3\xff",
          "a b -10 2 ");
    HOLDS("\x0c\x12\x12\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01\x61\x03\xc0\x10\x27\xff"
          "",
          "a 10000 ");
    /* Every byte but the letters matters. */
    for (size_t at = 2; at < sizeof(list) - 1; at++) {
        char bytes[sizeof(list) - 1];
        memcpy(bytes, list, sizeof(bytes));
        bytes[at] ^= 0x40;
        bool content = at == 14 || at == 17 || at == 20;
        shoal_rdb_status status = load(bytes, sizeof(bytes));
        if (!content) assert_int_equal(status, SHOAL_RDB_BAD);
    }
}

static void zipmaps_and_integer_sets_are_read(void **state)
{
    (void)state;
    HOLDS("\x09\x0e\x02\x01"
          "a\x01\x00"
          "b\x01"
          "c\x02\x01"
          "de \xff",
          "a b c de ");
    HOLDS("\x0b\x0e\x02\x00\x00\x00\x03\x00\x00\x00\xfe\xff\x01\x00\x2c\x01", "-2 1 300 ");
    IS_BAD("\x0b\x0e\x02\x00\x00\x00\x03\x00\x00\x00\x02\x00\x01\x00\x2c\x01");
    IS_BAD("\x0b\x0e\x03\x00\x00\x00\x03\x00\x00\x00\xfe\xff\x01\x00\x2c\x01");
    IS_BAD("\x0b\x0e\x02\x00\x00\x00\x04\x00\x00\x00\xfe\xff\x01\x00\x2c\x01");
    IS_BAD("\x09\x02\x00\xfe");
    IS_BAD("\x09\x02\x00\xff");
    IS_BAD("\x09\x0a\x01\xfe\x01\x00\x00\x00"
           "a\x00\x00\xff");
    IS_BAD("\x09\x02\x01\xff");
}

static void listpacks_are_read_and_checked(void **state)
{
    (void)state;
#define PACK "\x11\x11\x00\x00\x00\x04\x00\x81\x61\x02\x01\x01\x81\x62\x02\x02\x01\xff"
    HOLDS("\x10" PACK, "a 1 b 2 ");
    HOLDS("\x11" PACK, "a 1 b 2 ");
    HOLDS("\x14" PACK, "a 1 b 2 ");
    HOLDS("\x12\x02\x02" PACK "\x01\x03"
          "xyz",
          "a 1 b 2 xyz ");
    static const char hash[] = "\x10" PACK;
    for (size_t at = 2; at < sizeof(hash) - 1; at++) {
        char bytes[sizeof(hash) - 1];
        memcpy(bytes, hash, sizeof(bytes));
        bytes[at] ^= 0x40;
        /* A string of one byte becomes a number of two. */
        bool content = at == 8 || at == 9 || at == 11 || at == 13 || at == 14 || at == 16;
        shoal_rdb_status status = load(bytes, sizeof(bytes));
        if (!content) assert_int_equal(status, SHOAL_RDB_BAD);
    }
    IS_BAD("\x12\x01\x03" PACK);
    IS_BAD("\x11\x0b\x0b\x00\x00\x00\x02\x00\x81\x61\x02\x81\xff");
}

static void fields_keep_their_deadlines(void **state)
{
    (void)state;
    HOLDS("\x18\xd0\x07\x00\x00\x00\x00\x00\x00\x02\x01\x01"
          "a\x01"
          "b\x00\x01"
          "c\x01"
          "d",
          "a b c d ");
    assert_int_equal(load("\x18\xd0\x07\x00\x00\x00\x00\x00\x00\x01\x06\x01"
                          "a\x01"
                          "b",
                          15),
                     SHOAL_RDB_OK);
    shoal_rdb_value value = shoal_rdb_loader_value(&loader);
    assert_int_equal(shoal_hash_deadline(value.compound.object), 2005);
    assert_int_equal(shoal_rdb_kind_of(&value, NOW_MS), SHOAL_RDB_HASH_FIELDS);
    assert_true(shoal_rdb_is_empty(&value, 2005));
}

static void streams_and_modules_are_named(void **state)
{
    (void)state;
    assert_int_equal(load("\x0f\x00", 2), SHOAL_RDB_UNKNOWN);
    assert_non_null(strstr(loader.reason, "stream"));
    assert_int_equal(load("\x13\x00", 2), SHOAL_RDB_UNKNOWN);
    assert_int_equal(load("\x07\x00", 2), SHOAL_RDB_UNKNOWN);
    assert_non_null(strstr(loader.reason, "module"));
    IS_BAD("\x08\x00");
    IS_BAD("\x1a\x00");
    IS_BAD("\xff\x00");
}

static void what_is_compressed_expands_to_itself(void **state)
{
    (void)state;
    static char from[20000], packed[20000], to[20000];
    for (uint32_t round = 0; round < 300; round++) {
        size_t size = 1 + shoal_prng_below(&prng, round < 250 ? 300 : sizeof(from));
        uint64_t letters = 1 + shoal_prng_below(&prng, round % 3 == 0 ? 256 : 3);
        for (size_t i = 0; i < size; i++) from[i] = (char)shoal_prng_below(&prng, letters);
        size_t used = shoal_lzf_compress((shoal_slice){from, size}, packed, size);
        if (used == 0) continue;
        assert_true(used <= size);
        assert_true(shoal_lzf_expand((shoal_slice){packed, used}, to, size));
        assert_memory_equal(from, to, size);
        assert_false(shoal_lzf_expand((shoal_slice){packed, used}, to, size - 1));
        assert_false(shoal_lzf_expand((shoal_slice){packed, used - 1}, to, size));
    }
}

static void only_strings_that_stand_as_they_are_are_plain(void **state)
{
    (void)state;
    static char mid[2 + 100] = "\x40\x64", wide[5 + 3] = "\x80\0\0\0\3abc";
    const struct {
        const char *bytes;
        size_t size, head;
        bool plain;
    } cases[] = {
        {"\3abc", 4, 1, true},        {"\0", 1, 1, true},        {mid, sizeof mid, 2, true},
        {wide, sizeof wide, 5, true}, {"", 0, 0, false},         {"\3ab", 3, 0, false},
        {"\3abcd", 5, 0, false},      {"\x40", 1, 0, false},     {wide, 4, 0, false},
        {"\xc0\5", 2, 0, false},      {"\xc1\5\0", 3, 0, false}, {"\xc3\2\3ab", 5, 0, false},
        {"\x82", 1, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shoal_slice bytes = {cases[i].bytes, cases[i].size}, string = {NULL, 0};
        assert_int_equal(shoal_rdb_is_plain(bytes, &string), cases[i].plain);
        if (!cases[i].plain) continue;
        assert_ptr_equal(string.data, bytes.data + cases[i].head);
        assert_int_equal(string.size, bytes.size - cases[i].head);
    }
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_loader, close_loader)
    const struct CMUnitTest tests[] = {
        FACT(the_checksum_is_that_of_redis),
        FACT(the_checksum_is_the_same_however_it_is_computed),
        FACT(strings_are_read_in_all_forms),
        FACT(damaged_strings_are_refused),
        FACT(only_strings_that_stand_as_they_are_are_plain),
        FACT(plain_collections_are_read),
        FACT(ziplists_are_read_and_checked),
        FACT(zipmaps_and_integer_sets_are_read),
        FACT(listpacks_are_read_and_checked),
        FACT(fields_keep_their_deadlines),
        FACT(streams_and_modules_are_named),
        FACT(what_is_compressed_expands_to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
