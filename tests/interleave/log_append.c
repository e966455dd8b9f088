/* SPDX-License-Identifier: MIT
 *
 * Small interleavings of the log, all of them: two writers and one who reads what is committed and
 * lets go of it. Claims L1, L3, L4 and L6 of log/log.c.
 */
#define SHOAL_INTERLEAVE 1
#include "support/explorer.h"

#include <string.h>

#include "log/log.c"

#include "support/allocator.h"

/* So long that a few of them reach into the next segment: while one writer is about to reserve a
 * place, the other's pieces take the log there, and the segment of that place is let go of. */
#define PIECE 1500u
#define PIECES 2u
#define START 2500u
#define LONGEST (2 * PIECES * (PIECE + 23))

static struct world {
    test_heap heap;
    shoal_log *log;
    shoal_log_reader reader;
    char got[LONGEST];
    size_t got_size;
} world;

static void begin(void)
{
    memset(&world, 0, sizeof world);
    shoal_log_options options = {.allocator = test_allocator(&world.heap),
                                 .writers = 2,
                                 .segment_bits = 12,
                                 .start = START};
    assert_int_equal(shoal_log_create(&options, &world.log), SHOAL_ERR_OK);
    shoal_log_want(world.log, 1);
    assert_true(shoal_log_reader_open(world.log, &world.reader, START));
}

static void read_some(void)
{
    uint64_t committed = shoal_log_committed(world.log);
    for (;;) {
        shoal_slice bytes = shoal_log_peek(world.log, &world.reader, committed);
        if (bytes.size == 0) break;
        assert_true(world.got_size + bytes.size <= LONGEST);
        memcpy(world.got + world.got_size, bytes.data, bytes.size);
        world.got_size += bytes.size;
        shoal_log_skip(&world.reader, bytes.size);
    }
}

/* What was read consists of whole pieces, and SELECTs between those of different databases. */
static void check(size_t pieces)
{
    size_t at = 0, found = 0;
    char last = 0;
    while (at < world.got_size) {
        if (world.got[at] == '*') {
            char db = world.got[at + 20];
            assert_int_not_equal(db, last);
            last = db;
            at += 23;
            assert_true(at < world.got_size);
            continue;
        }
        assert_true(at + PIECE <= world.got_size);
        assert_int_equal(world.got[at] - 'a', last - '0');
        for (size_t i = 1; i < PIECE; i++) assert_int_equal(world.got[at + i], world.got[at]);
        at += PIECE;
        found++;
    }
    assert_true(found == pieces || (pieces == SIZE_MAX && found <= 2 * PIECES));
}

static void write_or_read(uint32_t script)
{
    if (script == 2) {
        for (int i = 0; i < 2; i++) {
            read_some();
            check(SIZE_MAX);
            (void)shoal_log_trim(world.log, 0);
        }
        return;
    }
    char piece[PIECE];
    memset(piece, 'a' + (int)script, sizeof piece);
    shoal_slice slices[2] = {{piece, 1000}, {piece + 1000, PIECE - 1000}};
    for (uint32_t i = 0; i < PIECES; i++)
        assert_int_not_equal(shoal_log_append(world.log, script, script, slices, 2), 0);
}

static void end(void)
{
    read_some();
    check(2 * PIECES);
    assert_int_equal(shoal_log_committed(world.log), shoal_log_end(world.log));
    shoal_log_reader_close(world.log, &world.reader);
    shoal_log_destroy(world.log);
    assert_int_equal(world.heap.bytes, 0);
}

static void what_is_committed_is_whole_and_in_order(void **state)
{
    (void)state;
    explore((exploration){3, 2, 1000}, write_or_read, begin, end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_committed_is_whole_and_in_order)};
    return cmocka_run_group_tests_name("log_append", tests, NULL, NULL);
}
