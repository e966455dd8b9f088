/* SPDX-License-Identifier: MIT
 *
 * Bits of strings as a client sees them. Words and numbers were read off redis-server 7.0.15.
 */
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 1, false);
    client_open(&c, &box, 0);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    client_close(&c);
    command_box_close(&box);
    return 0;
}

static void a_bit_is_set_and_read(void **state)
{
    (void)state;
    client_asks(&c, "SETBIT k 7 1~SETBIT k 7 0~GETBIT k 7~SETBIT k 1 1~GETBIT k 1~GET k~",
                ":0~:1~:0~:0~:1~$1~@~");
    client_asks(&c, "SETBIT k 17 1~STRLEN k~GETBIT k 17~GETBIT k 400~GETBIT none 3~",
                ":0~:3~:1~:0~:0~");
    client_asks(&c, "SET n 1~SETBIT n 6 1~GET n~OBJECT ENCODING n~", "+OK~:0~$1~3~$3~raw~");
}

static void an_edited_string_keeps_its_time_to_live(void **state)
{
    (void)state;
    client_asks(&c, "SET k a EX 50~SETBIT k 0 1~TTL k~BITFIELD k SET u8 8 65~TTL k~STRLEN k~",
                "+OK~:0~:50~*1~:0~:50~:2~");
}

static void wrong_bits_are_named(void **state)
{
    (void)state;
    client_asks(&c, "SETBIT k -1 1~SETBIT k x 1~SETBIT k 4294967296 1~GETBIT k -1~",
                "-ERR bit offset is not an integer or out of range~"
                "-ERR bit offset is not an integer or out of range~"
                "-ERR bit offset is not an integer or out of range~"
                "-ERR bit offset is not an integer or out of range~");
    client_asks(&c, "SETBIT k 1 2~SETBIT k 1 x~EXISTS k~",
                "-ERR bit is not an integer or out of range~"
                "-ERR bit is not an integer or out of range~:0~");
    client_asks(&c, "RPUSH l a~SETBIT l 0 1~BITCOUNT l~BITPOS l 1~BITFIELD l GET u8 0~",
                ":1~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~");
}

static void ones_are_counted_by_bytes_and_bits(void **state)
{
    (void)state;
    client_asks(&c, "SET k foobar~BITCOUNT k~BITCOUNT k 0 0~BITCOUNT k 1 1~BITCOUNT k -1 -2~",
                "+OK~:26~:4~:6~:0~");
    client_asks(&c, "BITCOUNT k 1 1 BYTE~BITCOUNT k 5 30 BIT~BITCOUNT k 0 -1 bit~BITCOUNT k 9 8~",
                ":6~:17~:26~:0~");
    client_asks(&c, "BITCOUNT k 1~BITCOUNT k 0 1 foo~BITCOUNT k a 1~BITCOUNT none 0 1 foo~",
                "-ERR syntax error~-ERR syntax error~"
                "-ERR value is not an integer or out of range~:0~");
}

static void the_first_one_or_zero_is_found(void **state)
{
    (void)state;
    client_asks(&c, "BITFIELD k SET u8 0 255 SET u8 8 240 SET u8 16 0~", "*3~:0~:0~:0~");
    client_asks(&c, "BITPOS k 0~BITPOS k 1~BITPOS k 1 2~BITPOS k 1 1 1~BITPOS k 0 0 0~",
                ":12~:0~:-1~:8~:-1~");
    client_asks(&c, "BITPOS k 1 9 10 BIT~BITPOS k 0 9 10 BIT~BITPOS k 0 9 13 BIT~", ":9~:-1~:12~");
    client_asks(&c, "SET a xx~SETRANGE a 0 \"\\xff\\xff\"~BITPOS a 0~BITPOS a 0 0~BITPOS a 0 0 -1~",
                "+OK~:2~:16~:16~:-1~");
    client_asks(&c, "BITPOS none 0~BITPOS none 1~BITPOS k 2~BITPOS k x~",
                ":0~:-1~-ERR The bit argument must be 1 or 0.~"
                "-ERR value is not an integer or out of range~");
}

static void strings_are_combined_and_the_shorter_filled_up(void **state)
{
    (void)state;
    client_asks(&c, "MSET a \"\\xf0\\xff\" b \"\\x0f\"~BITOP AND d a b~BITOP OR e a b~",
                "+OK~:2~:2~");
    client_asks(&c, "BITFIELD d GET u16 0~BITFIELD e GET u16 0~", "*1~:0~*1~:65535~");
    client_asks(&c, "BITOP XOR x a a~BITFIELD x GET u16 0~BITOP NOT n b~BITFIELD n GET u8 0~",
                ":2~*1~:0~:1~*1~:240~");
    client_asks(&c,
                "BITOP AND d none~EXISTS d~BITOP NOT x a b~BITOP NAND x a~RPUSH l 1~BITOP OR x l~",
                ":0~:0~-ERR BITOP NOT must be called with a single source key.~"
                "-ERR syntax error~:1~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~");
    client_asks(&c, "SET t 1 EX 100~BITOP OR t a~TTL t~OBJECT ENCODING t~", "+OK~:2~:-1~$3~raw~");
}

static void numbers_of_any_width_overflow_as_asked(void **state)
{
    (void)state;
    client_asks(&c, "BITFIELD k SET i8 0 127 INCRBY i8 0 1 GET i8 0~", "*3~:0~:-128~:-128~");
    client_asks(&c, "BITFIELD k OVERFLOW SAT INCRBY u2 8 9 INCRBY u2 8 -9 GET u2 8~",
                "*3~:3~:0~:0~");
    client_asks(&c, "BITFIELD k OVERFLOW FAIL INCRBY u2 8 9 OVERFLOW WRAP INCRBY u2 8 9~",
                "*2~$-1~:1~");
    client_asks(&c, "BITFIELD k SET i64 #1 -1 GET i64 #1 GET u63 #1 GET i5 64~",
                "*4~:0~:-1~:4611686018427387903~:-1~");
    client_asks(&c, "BITFIELD k OVERFLOW SAT SET u4 0 99 SET i4 4 -99 GET u4 0 GET i4 4~",
                "*4~:8~:0~:15~:-8~");
    client_asks(&c, "BITFIELD_RO k GET u4 0~BITFIELD_RO none GET u8 5~BITFIELD k~",
                "*1~:15~*1~:0~*0~");
}

static void wrong_operations_on_fields_leave_everything(void **state)
{
    (void)state;
    client_asks(&c, "BITFIELD k SET u8 0 1 GET u64 0~EXISTS k~BITFIELD k GET x8 0~",
                "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                "supported but i64 is.~:0~"
                "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                "supported but i64 is.~");
    client_asks(&c, "BITFIELD k SET u8 0~BITFIELD k OVERFLOW foo~BITFIELD k GET u8 -1~",
                "-ERR syntax error~-ERR Invalid OVERFLOW type specified~"
                "-ERR bit offset is not an integer or out of range~");
    client_asks(&c, "BITFIELD k SET u8 0 x~BITFIELD_RO k SET u8 0 1~EXISTS k~",
                "-ERR value is not an integer or out of range~"
                "-ERR BITFIELD_RO only supports the GET subcommand~:0~");
}

static void what_changes_nothing_is_no_change(void **state)
{
    (void)state;
    shoal_store_stats before, after;
    client_asks(&c, "SETBIT k 0 0~BITFIELD f SET i5 0 0~", ":0~*1~:0~");
    shoal_store_stats_get(box.env.store, &before);
    client_asks(&c, "SETBIT k 0 0~BITFIELD f SET i5 0 0~GETBIT k 0~", ":0~*1~:0~:0~");
    shoal_store_stats_get(box.env.store, &after);
    assert_int_equal(after.changes, before.changes);
    client_asks(&c, "SETBIT k 90 0~BITFIELD f SET i5 90 0 INCRBY i5 0 0~", ":0~*2~:0~:0~");
    shoal_store_stats_get(box.env.store, &after);
    assert_int_equal(after.changes, before.changes + 2);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(a_bit_is_set_and_read),
        FACT(an_edited_string_keeps_its_time_to_live),
        FACT(wrong_bits_are_named),
        FACT(ones_are_counted_by_bytes_and_bits),
        FACT(the_first_one_or_zero_is_found),
        FACT(strings_are_combined_and_the_shorter_filled_up),
        FACT(numbers_of_any_width_overflow_as_asked),
        FACT(wrong_operations_on_fields_leave_everything),
        FACT(what_changes_nothing_is_no_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
