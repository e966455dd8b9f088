/* SPDX-License-Identifier: MIT
 *
 * The log of effects, by one thread: offsets, databases, segments, readers, and what is lost.
 */
#include <string.h>

#include "log/log.h"
#include "support/allocator.h"
#include "support/test.h"

static test_heap heap;
static shoal_log *l;

static void make(uint32_t writers, uint64_t start)
{
    shoal_log_options options = {.allocator = test_allocator(&heap),
                                 .writers = writers,
                                 .segment_bits = 12,
                                 .start = start};
    assert_int_equal(shoal_log_create(&options, &l), SHOAL_ERR_OK);
}

static int begin(void **state)
{
    (void)state;
    memset(&heap, 0, sizeof heap);
    make(2, 100);
    shoal_log_want(l, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    shoal_log_destroy(l);
    assert_int_equal(heap.bytes, 0);
    return 0;
}

static uint64_t append(uint32_t db, const char *text)
{
    shoal_slice piece = {text, strlen(text)};
    return shoal_log_append(l, 0, db, &piece, 1);
}

/* All that a reader finds up to what is committed must be `text`. */
static void reads(shoal_log_reader *reader, const char *text)
{
    size_t expected = strlen(text), got = 0;
    for (;;) {
        shoal_slice bytes = shoal_log_peek(l, reader, shoal_log_committed(l));
        if (bytes.size == 0) break;
        assert_true(got + bytes.size <= expected);
        assert_memory_equal(bytes.data, text + got, bytes.size);
        got += bytes.size;
        shoal_log_skip(reader, bytes.size);
    }
    assert_int_equal(got, expected);
}

#define SELECT_0 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define SELECT_12 "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n"

static void a_select_stands_where_the_database_changes(void **state)
{
    (void)state;
    shoal_log_reader reader = {0};
    assert_true(shoal_log_reader_open(l, &reader, 100));
    assert_int_equal(append(0, "one"), 100 + strlen(SELECT_0) + 3);
    append(0, "two");
    append(12, "three");
    append(12, "four");
    reads(&reader, SELECT_0 "onetwo" SELECT_12 "threefour");
    shoal_log_forget_database(l);
    append(12, "five");
    reads(&reader, SELECT_12 "five");
    shoal_log_append_raw(l, 1, (shoal_slice){"raw", 3});
    append(12, "six");
    reads(&reader, "raw" SELECT_12 "six");
    shoal_log_reader_close(l, &reader);
}

static void a_piece_may_be_longer_than_segments(void **state)
{
    (void)state;
    shoal_log_reader reader = {0};
    assert_true(shoal_log_reader_open(l, &reader, 100));
    static char large[40000];
    for (size_t i = 0; i < sizeof large - 1; i++) large[i] = (char)('a' + i % 23);
    append(0, large);
    shoal_log_skip(&reader, strlen(SELECT_0));
    reads(&reader, large);
    uint64_t before = shoal_log_memory(l);
    assert_true(shoal_log_trim(l, 0) < before);
    assert_true(shoal_log_first(l) > 30000);
    append(0, "more");
    reads(&reader, "more");
    shoal_log_reader_close(l, &reader);
}

static void trimming_keeps_the_backlog_and_what_readers_need(void **state)
{
    (void)state;
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = '\0';
    shoal_log_reader reader = {0};
    assert_true(shoal_log_reader_open(l, &reader, 100));
    for (int i = 0; i < 20; i++) append(0, text);
    (void)shoal_log_trim(l, 0);
    assert_int_equal(shoal_log_first(l), 100);
    shoal_log_reader_close(l, &reader);
    (void)shoal_log_trim(l, 9000);
    assert_true(shoal_log_first(l) <= shoal_log_end(l) - 9000);
    assert_true(shoal_log_first(l) > shoal_log_end(l) - 9000 - 4096);
    assert_false(shoal_log_reader_open(l, &reader, 100));
    assert_false(shoal_log_reader_open(l, &reader, shoal_log_end(l) + 1));
    assert_true(shoal_log_reader_open(l, &reader, shoal_log_first(l)));
    assert_true(shoal_log_peek(l, &reader, shoal_log_end(l)).size > 0);
    shoal_log_reader_close(l, &reader);
}

static void without_memory_the_log_is_torn_until_it_begins_again(void **state)
{
    (void)state;
    static char large[10000];
    memset(large, 'y', sizeof large - 1);
    append(0, "first");
    heap.fail_after = heap.calls + 1;
    assert_int_equal(append(0, large), 0);
    assert_true(shoal_log_torn(l));
    heap.fail_after = 0;
    assert_int_equal(append(0, "lost too"), 0);
    uint64_t offset = shoal_log_end(l);
    shoal_log_restart(l, offset, true);
    assert_false(shoal_log_torn(l));
    shoal_log_reader reader = {0};
    assert_true(shoal_log_reader_open(l, &reader, offset));
    append(0, "again");
    reads(&reader, SELECT_0 "again");
    shoal_log_reader_close(l, &reader);
}

static void it_begins_again_at_any_offset(void **state)
{
    (void)state;
    shoal_log_reader reader = {0};
    append(0, "old");
    assert_true(shoal_log_reader_open(l, &reader, shoal_log_end(l)));
    for (uint64_t offset = 1; offset < SHOAL_LOG_OFFSET_END / 64; offset = offset * 37 + 11) {
        shoal_log_restart(l, offset, false);
        assert_int_equal(shoal_log_first(l), offset);
        assert_int_equal(shoal_log_at(&reader), offset);
        append(0, "new");
        reads(&reader, SELECT_0 "new");
    }
    assert_true(shoal_log_memory(l) < 300000);
    shoal_log_reader_close(l, &reader);
}

static void what_nobody_reads_does_not_pile_up(void **state)
{
    (void)state;
    shoal_log_reader reader = {0};
    for (int i = 0; i < 100000; i++) {
        append((uint32_t)i % 2, "0123456789012345678901234567890123456789");
        if (i % 64 == 0) (void)shoal_log_trim(l, 8192);
    }
    assert_true(shoal_log_memory(l) < 300000);
    assert_true(shoal_log_reader_open(l, &reader, shoal_log_first(l)));
    shoal_log_reader_close(l, &reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_select_stands_where_the_database_changes, begin, end),
        cmocka_unit_test_setup_teardown(a_piece_may_be_longer_than_segments, begin, end),
        cmocka_unit_test_setup_teardown(trimming_keeps_the_backlog_and_what_readers_need, begin,
                                        end),
        cmocka_unit_test_setup_teardown(without_memory_the_log_is_torn_until_it_begins_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(it_begins_again_at_any_offset, begin, end),
        cmocka_unit_test_setup_teardown(what_nobody_reads_does_not_pile_up, begin, end),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
