/* SPDX-License-Identifier: MIT
 *
 * The reader of append-only files: commands come out whole, whatever the chunks; a transaction
 * only with its EXEC; and a torn end is told from damage.
 */
#include "support/test.h"

#include <string.h>

#include "persist/aof_reader.h"
#include "support/allocator.h"

static test_heap heap;
static shoal_allocator allocator;
static shoal_buffer said; /* what came out, a command in brackets */

static int begin(void **state)
{
    (void)state;
    heap = (test_heap){0};
    allocator = test_allocator(&heap);
    said = shoal_buffer_make(&allocator);
    return 0;
}

static int end(void **state)
{
    (void)state;
    shoal_buffer_free(&said);
    assert_int_equal(heap.blocks, 0);
    return 0;
}

static shoal_aof_found drain(shoal_aof_reader *reader)
{
    shoal_aof_found found;
    while ((found = shoal_aof_reader_next(reader)) == SHOAL_AOF_COMMAND ||
           found == SHOAL_AOF_REMARK) {
        shoal_buffer_append(&said, shoal_slice_of(found == SHOAL_AOF_REMARK ? "#" : "["));
        for (uint32_t i = 0; i < reader->argc; i++) {
            if (i > 0) shoal_buffer_append(&said, shoal_slice_of(" "));
            shoal_buffer_append(&said, reader->argv[i]);
        }
        shoal_buffer_append(&said, shoal_slice_of(found == SHOAL_AOF_REMARK ? "#" : "]"));
    }
    return found;
}

/* Reads `text` in chunks of `step` bytes. */
static shoal_aof_found read_by(shoal_aof_reader *reader, const char *text, size_t step)
{
    size_t size = strlen(text);
    shoal_aof_found found = drain(reader);
    for (size_t at = 0; at < size && found == SHOAL_AOF_MORE; at += step) {
        shoal_aof_reader_feed(reader,
                              (shoal_slice){text + at, size - at < step ? size - at : step});
        found = drain(reader);
    }
    return found;
}

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"
#define SELECT "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"

static void commands_come_out_whole_whatever_the_chunks(void **state)
{
    (void)state;
    const char *text = SELECT "#TS:17\r\n" SET_A MULTI SET_A SET_A EXEC SELECT;
    for (size_t step = 1; step <= strlen(text); step++) {
        shoal_aof_reader reader = shoal_aof_reader_make(&allocator, 0);
        shoal_buffer_consume(&said, shoal_buffer_size(&said));
        assert_int_equal(read_by(&reader, text, step), SHOAL_AOF_MORE);
        assert_false(shoal_aof_reader_is_torn(&reader));
        assert_int_equal(reader.whole_at, strlen(text));
        test_slice_is(shoal_buffer_slice(&said),
                      "[SELECT 0]#TS:17#[SET a \r\n][SET a \r\n][SET a \r\n][SELECT 0]");
        shoal_aof_reader_free(&reader);
    }
}

static void a_torn_end_is_cut_behind_the_last_whole_command(void **state)
{
    (void)state;
    const char *whole = SELECT SET_A;
    for (size_t left = 1; left < strlen(SET_A); left++) {
        char text[256] = SELECT SET_A;
        memcpy(text + strlen(text), SET_A, left);
        shoal_aof_reader reader = shoal_aof_reader_make(&allocator, 100);
        assert_int_equal(read_by(&reader, text, sizeof text), SHOAL_AOF_MORE);
        assert_true(shoal_aof_reader_is_torn(&reader));
        assert_false(shoal_aof_reader_lacks_exec(&reader));
        assert_int_equal(reader.whole_at, 100 + strlen(whole));
        shoal_aof_reader_free(&reader);
    }
}

static void a_transaction_without_exec_changes_nothing(void **state)
{
    (void)state;
    const char *text = SELECT MULTI SET_A SET_A;
    shoal_aof_reader reader = shoal_aof_reader_make(&allocator, 0);
    assert_int_equal(read_by(&reader, text, 7), SHOAL_AOF_MORE);
    test_slice_is(shoal_buffer_slice(&said), "[SELECT 0]");
    assert_true(shoal_aof_reader_is_torn(&reader));
    assert_true(shoal_aof_reader_lacks_exec(&reader));
    assert_int_equal(reader.whole_at, strlen(SELECT));
    shoal_aof_reader_free(&reader);
}

static void damage_is_told_with_its_place(void **state)
{
    (void)state;
    static const char *const texts[] = {
        SELECT "*1\n$4\r\nPING\r\n",
        SELECT "PING\r\n",
        SELECT "*0\r\n",
        SELECT "*-1\r\n",
        SELECT "*1\r\n+OK\r\n",
        SELECT "*9999999999\r\n",
        SELECT "*1\r\n$9999999999\r\n",
        SELECT "*1\r\n$1\r\nabcd",
        SELECT EXEC,
        SELECT MULTI MULTI EXEC,
        SELECT "\0",
    };
    for (size_t i = 0; i + 1 < sizeof texts / sizeof texts[0]; i++) {
        shoal_aof_reader reader = shoal_aof_reader_make(&allocator, 0);
        assert_int_equal(read_by(&reader, texts[i], 5), SHOAL_AOF_BAD);
        assert_in_range(reader.bad_at, strlen(SELECT), strlen(texts[i]) - 1);
        assert_non_null(reader.reason);
        assert_int_equal(reader.whole_at, strlen(SELECT));
        shoal_aof_reader_free(&reader);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_slice argv[2] = {shoal_slice_of("GET"), {"\0\r\n", 3}};
    shoal_aof_write_timestamp(&out, 1628217470);
    shoal_aof_write_command(&out, argv, 2);
    shoal_aof_reader reader = shoal_aof_reader_make(&allocator, 0);
    shoal_aof_reader_feed(&reader, shoal_buffer_slice(&out));
    assert_int_equal(shoal_aof_reader_next(&reader), SHOAL_AOF_REMARK);
    test_slice_is(reader.argv[0], "TS:1628217470");
    assert_int_equal(shoal_aof_reader_next(&reader), SHOAL_AOF_COMMAND);
    assert_int_equal(reader.argv[1].size, 3);
    assert_memory_equal(reader.argv[1].data, "\0\r\n", 3);
    assert_int_equal(shoal_aof_reader_next(&reader), SHOAL_AOF_MORE);
    shoal_aof_reader_free(&reader);
    shoal_buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commands_come_out_whole_whatever_the_chunks, begin, end),
        cmocka_unit_test_setup_teardown(a_torn_end_is_cut_behind_the_last_whole_command, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_transaction_without_exec_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(damage_is_told_with_its_place, begin, end),
        cmocka_unit_test_setup_teardown(what_is_written_is_read, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
