/* SPDX-License-Identifier: MIT
 *
 * String commands as a client sees them, byte by byte. Words and numbers were read off
 * redis-server 7.0.15.
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

static void get_tells_what_set_put(void **state)
{
    (void)state;
    client_asks(&c, "GET a~SET a hello~GET a~SET a 12~GET a~STRLEN a~STRLEN b~",
                "$-1~+OK~$5~hello~+OK~$2~12~:2~:0~");
    client_asks(&c, "HELLO 3~",
                "%7~$6~server~$5~redis~$7~version~$6~7.0.15~$5~proto~:3~$2~id~:1~"
                "$4~mode~$10~standalone~$4~role~$6~master~$7~modules~*0~");
    client_asks(&c, "GET nothing~GET a~", "_~$2~12~");
}

static void set_obeys_its_conditions(void **state)
{
    (void)state;
    client_asks(&c, "SET k 1 XX~SET k 1 NX~SET k 2 NX~SET k 3 XX~GET k~", "$-1~+OK~$-1~+OK~$1~3~");
    client_asks(&c, "SET k 4 GET~SET n 1 GET~SET n 2 NX GET~GET n~SET m 1 XX GET~EXISTS m~",
                "$1~3~$-1~$1~1~$1~1~$-1~:0~");
}

static void set_keeps_and_limits_lives(void **state)
{
    (void)state;
    client_asks(&c, "SET k v EX 100~TTL k~SET k w KEEPTTL~TTL k~SET k x~TTL k~",
                "+OK~:100~+OK~:100~+OK~:-1~");
    client_asks(&c, "SET k v PX 1500~PTTL k~", "+OK~:1500~");
    client_asks(&c, "SET k v EXAT 1700000100~TTL k~SET k v PXAT 1700000100500~PTTL k~",
                "+OK~:100~+OK~:100500~");
    client_asks(&c, "SET k v PXAT 1699999999999~GET k~", "+OK~$-1~");
    client_asks(&c, "SETEX k 7 v~TTL k~PSETEX k 7000 w~PTTL k~GET k~", "+OK~:7~+OK~:7000~$1~w~");
}

static void wrong_options_of_set_are_named(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1 EX 0~SET a 1 EX a~SET a 1 PX 9223372036854775807~SET a 1 foo~",
                "-ERR invalid expire time in 'set' command~"
                "-ERR value is not an integer or out of range~"
                "-ERR invalid expire time in 'set' command~"
                "-ERR syntax error~");
    client_asks(&c, "SET a 1 NX XX~SET a 1 EX 10 KEEPTTL~SET a 1 EX~SET a 1 EX 1 PX 1~",
                "-ERR syntax error~-ERR syntax error~-ERR syntax error~-ERR syntax error~");
    client_asks(&c, "SETEX a 0 b~SETEX a x b~PSETEX a -1 b~",
                "-ERR invalid expire time in 'setex' command~"
                "-ERR value is not an integer or out of range~"
                "-ERR invalid expire time in 'psetex' command~");
    client_asks(&c, "EXISTS a~", ":0~");
}

static void the_get_family_reads_and_changes(void **state)
{
    (void)state;
    client_asks(&c, "SETNX k a~SETNX k b~GETSET k c~GETDEL k~GETDEL k~GETSET k d~",
                ":1~:0~$1~a~$1~c~$-1~$-1~");
    client_asks(&c, "GETEX k EX 50~TTL k~GETEX k~TTL k~GETEX k PERSIST~TTL k~",
                "$1~d~:50~$1~d~:50~$1~d~:-1~");
    client_asks(&c, "GETEX k PXAT 1~EXISTS k~GETEX k EX 0~GETEX k foo~",
                "$1~d~:0~$-1~-ERR syntax error~");
    client_asks(&c, "SET k v~GETEX k EX 0~GET k~",
                "+OK~-ERR invalid expire time in 'getex' command~$1~v~");
}

static void numbers_count(void **state)
{
    (void)state;
    client_asks(&c, "INCR n~INCR n~INCRBY n 40~DECR n~DECRBY n 1~GET n~OBJECT ENCODING n~",
                ":1~:2~:42~:41~:40~$2~40~$3~int~");
    client_asks(&c, "SET n 9223372036854775807~INCR n~DECRBY n -9223372036854775808~INCRBY n x~",
                "+OK~-ERR increment or decrement would overflow~"
                "-ERR decrement would overflow~"
                "-ERR value is not an integer or out of range~");
    client_asks(&c, "SET s abc~INCR s~SET t 5 EX 9~INCR t~TTL t~",
                "+OK~-ERR value is not an integer or out of range~+OK~:6~:9~");
}

static void fractions_add_up_as_in_long_doubles(void **state)
{
    (void)state;
    client_asks(&c, "SET f 10.50~INCRBYFLOAT f 0.1~INCRBYFLOAT f -5~INCRBYFLOAT f 5.0e3~GET f~",
                "+OK~$4~10.6~$3~5.6~$22~5005.60000000000000009~$22~5005.60000000000000009~");
    client_asks(&c, "SET f 0.1 EX 9~INCRBYFLOAT f 0.2~TTL f~INCRBYFLOAT n 3~INCRBYFLOAT n -3~",
                "+OK~$3~0.3~:9~$1~3~$1~0~");
    client_asks(&c, "SET f 1e20~INCRBYFLOAT f 1~SET f 1e300~INCRBYFLOAT f 1e-30~STRLEN f~",
                "+OK~$21~100000000000000000000~+OK~$301~"
                "10000000000000000000089973240795591938705239442732907479382600823212656465961809"
                "35755849152083750497190350372508614274835903592556184672983913096260520748646287"
                "32713564184365329408425510760601678972665293237003055138294762099454029477278188"
                "9620606179267611627097410650567187386105690089424915104006144~:301~");
    client_asks(&c, "INCRBYFLOAT x abc~INCRBYFLOAT x 1e5000~INCRBYFLOAT x inf~INCRBYFLOAT x nan~",
                "-ERR value is not a valid float~-ERR value is not a valid float~"
                "-ERR increment would produce NaN or Infinity~-ERR value is not a valid float~");
    client_asks(&c, "SET s abc~INCRBYFLOAT s 1~INCRBYFLOAT s \" 1\"~EXISTS x~",
                "+OK~-ERR value is not a valid float~-ERR value is not a valid float~:0~");
}

static void parts_of_strings_are_read_and_written(void **state)
{
    (void)state;
    client_asks(&c, "APPEND k Hello~APPEND k \" World\"~GET k~APPEND k \"\"~",
                ":5~:11~$11~Hello World~:11~");
    client_asks(&c, "GETRANGE k 0 4~GETRANGE k -5 -1~GETRANGE k 4 2~SUBSTR k 0 -1~GETRANGE k 6 99~",
                "$5~Hello~$5~World~$0~~$11~Hello World~$5~World~");
    client_asks(&c, "GETRANGE none 0 1~GETRANGE k x 1~GETRANGE k -1 -5~",
                "$0~~-ERR value is not an integer or out of range~$0~~");
    client_asks(&c, "SETRANGE k 6 Shoal~GET k~SETRANGE z 0 \"\"~EXISTS z~SETRANGE k -1 x~",
                ":11~$11~Hello Shoal~:0~:0~-ERR offset is out of range~");
    client_asks(&c, "SETRANGE k 536870912 x~",
                "-ERR string exceeds maximum allowed size (proto-max-bulk-len)~");
    client_asks(&c, "SET n 12~APPEND n 3~INCR n~SETRANGE n 0 9~GET n~", "+OK~:3~:124~:3~$3~924~");
}

static void a_gap_before_setrange_is_zeros(void **state)
{
    (void)state;
    client_asks(&c, "SETRANGE k 3 x~STRLEN k~GETRANGE k 3 3~", ":4~:4~$1~x~");
    client_send(&c, (shoal_slice){"GET k\r\n", 7});
    shoal_slice got = shoal_buffer_slice(&c.out);
    assert_int_equal(got.size, 10);
    assert_memory_equal(got.data, "$4\r\n\0\0\0x\r\n", 10);
}

static void many_keys_go_together(void **state)
{
    (void)state;
    client_asks(&c, "MSET a 1 b 2 c 3~MGET a b x c a~", "+OK~*5~$1~1~$1~2~$-1~$1~3~$1~1~");
    client_asks(&c, "MSETNX d 1 a 2~EXISTS d~MSETNX d 1 e 2~MGET d e~", ":0~:0~:1~*2~$1~1~$1~2~");
    client_asks(&c, "MSET a 1 b~MSETNX a~MGET~",
                "-ERR wrong number of arguments for 'mset' command~"
                "-ERR wrong number of arguments for 'msetnx' command~"
                "-ERR wrong number of arguments for 'mget' command~");
    client_asks(&c, "MSET a 1 a 2~GET a~", "+OK~$1~2~");
}

static void lookups_are_counted_as_hits_and_misses(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1~GET a~GET b~MGET a b~EXISTS a~INCR a~",
                "+OK~$1~1~$-1~*2~$1~1~$-1~:1~:2~");
    shoal_store_stats stats;
    shoal_store_stats_get(box.env.store, &stats);
    assert_int_equal(stats.hits, 3);
    assert_int_equal(stats.misses, 2);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1~", "+OK~");
    box.heap.fail_after = box.heap.calls;
    /* Too large for what slabs have left. */
    client_asks(&c, "SETRANGE a 9000 x~", "-OOM no memory left for this command~");
    box.heap.fail_after = 0;
    client_asks(&c, "GET a~", "$1~1~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(get_tells_what_set_put),
        FACT(set_obeys_its_conditions),
        FACT(set_keeps_and_limits_lives),
        FACT(wrong_options_of_set_are_named),
        FACT(the_get_family_reads_and_changes),
        FACT(numbers_count),
        FACT(fractions_add_up_as_in_long_doubles),
        FACT(parts_of_strings_are_read_and_written),
        FACT(a_gap_before_setrange_is_zeros),
        FACT(many_keys_go_together),
        FACT(lookups_are_counted_as_hits_and_misses),
        FACT(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
