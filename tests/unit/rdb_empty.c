/* SPDX-License-Identifier: MIT
 *
 * Keys of RDB files that hold nothing, which some versions of Redis have written: they are told and
 * passed over, also where values are to be told unread. And what is said of names that stand twice.
 */
#include "support/test.h"

#include <string.h>

#include "rdb/file.h"
#include "support/allocator.h"

static test_heap heap;
static shoal_allocator allocator;
static shoal_prng prng;
static shoal_rdb_decoder decoder;

static int open_decoder(void **state)
{
    (void)state;
    heap = (test_heap){0};
    allocator = test_allocator(&heap);
    prng = shoal_prng_make((const uint64_t[2]){1, 2}, 0, 0);
    shoal_rdb_decoder_open(&decoder, &allocator, &allocator, &prng);
    decoder.loader.limits = (shoal_rdb_limits){.set = {.entries = 512},
                                               .hash = {.entries = 128, .value_size = 64},
                                               .zset = {.entries = 128, .member_size = 64},
                                               .list = {.bytes_max = 8192, .count_max = 100}};
    return 0;
}

static int close_decoder(void **state)
{
    (void)state;
    shoal_rdb_decoder_close(&decoder);
    assert_int_equal(heap.blocks, 0);
    return 0;
}

/* A file whose keys a, b, ... hold nothing, each in another encoding. The last key is a string. */
#define EMPTY_KEYS 9
static const char empty_keys[] =
    "REDIS0009"
    "\x01\x01"
    "a\x00" /* list */
    "\x02\x01"
    "b\x00" /* set */
    "\x04\x01"
    "c\x00" /* hash */
    "\x05\x01"
    "d\x00" /* sorted set */
    "\x0a\x01"
    "e\x0b\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff" /* ziplist: list */
    "\x0c\x01"
    "f\x0b\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff" /* sorted set */
    "\x0d\x01"
    "g\x0b\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff" /* hash */
    "\x0e\x01"
    "h\x01\x0b\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff" /* quicklist */
    "\x11\x01"
    "i\x07\x07\x00\x00\x00\x00\x00\xff" /* listpack */
    "\x00\x01"
    "x\x01"
    "1\xff\x00\x00\x00\x00\x00\x00\x00\x00";

static void check_empty_keys(void)
{
    const shoal_slice file = {empty_keys, sizeof empty_keys - 1};
    shoal_rdb_decoder_feed(&decoder, file);
    for (char name = 'a'; name < 'a' + EMPTY_KEYS; name++) {
        assert_int_equal(shoal_rdb_decoder_next(&decoder), SHOAL_RDB_EVENT_EMPTY);
        assert_int_equal(decoder.name.size, 1);
        assert_int_equal(decoder.name.data[0], name);
    }
    shoal_rdb_event kept = decoder.records ? SHOAL_RDB_EVENT_RECORD : SHOAL_RDB_EVENT_KEY;
    assert_int_equal(shoal_rdb_decoder_next(&decoder), kept);
    assert_int_equal(decoder.name.data[0], 'x');
    assert_int_equal(shoal_rdb_decoder_next(&decoder), SHOAL_RDB_EVENT_END);
}

static void a_key_that_holds_nothing_is_told_and_passed_over(void **state)
{
    (void)state;
    check_empty_keys();
}

static void so_it_is_where_values_are_told_unread(void **state)
{
    (void)state;
    decoder.records = true;
    check_empty_keys();
}

/* What is said of a file with one key of these bytes. */
static const char *damage_of(const char *value, size_t size)
{
    char file[256] = "REDIS0009";
    memcpy(file + 9, value, size);
    shoal_rdb_decoder_feed(&decoder, (shoal_slice){file, 9 + size});
    assert_int_equal(shoal_rdb_decoder_next(&decoder), SHOAL_RDB_EVENT_FAILED);
    assert_int_equal(decoder.status, SHOAL_RDB_BAD);
    return decoder.reason;
}

#define DAMAGE_OF(text) damage_of(text, sizeof(text) - 1)

static void a_field_twice_in_a_ziplist_is_told_as_redis_tells_it(void **state)
{
    (void)state;
    const char *said = DAMAGE_OF("\x0d\x01k\x1b\x1b\x00\x00\x00\x16\x00\x00\x00\x04\x00\x00\x02"
                                 "a\x00\x04\x02"
                                 "b\x00\x04\x02"
                                 "a\x00\x04\x02"
                                 "d\x00\xff");
    assert_non_null(strstr(said, "Hash ziplist integrity check failed"));
}

static void a_field_twice_in_a_listpack_is_told_as_redis_tells_it(void **state)
{
    (void)state;
    const char *said = DAMAGE_OF("\x10\x01k\x17\x17\x00\x00\x00\x04\x00\x82"
                                 "a\x00\x03\x82"
                                 "b\x00\x03\x82"
                                 "a\x00\x03\x82"
                                 "d\x00\x03\xff");
    assert_non_null(strstr(said, "listpack with dup elements"));
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_decoder, close_decoder)
    const struct CMUnitTest tests[] = {
        FACT(a_key_that_holds_nothing_is_told_and_passed_over),
        FACT(so_it_is_where_values_are_told_unread),
        FACT(a_field_twice_in_a_ziplist_is_told_as_redis_tells_it),
        FACT(a_field_twice_in_a_listpack_is_told_as_redis_tells_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
