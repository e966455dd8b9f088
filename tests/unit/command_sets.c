/* SPDX-License-Identifier: MIT
 *
 * Commands on sets as a client sees them, byte by byte. Words and numbers were read off
 * redis-server 7.0.15.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
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

static void members_are_added_and_found(void **state)
{
    (void)state;
    client_asks(&c,
                "SADD s 1 2 3~SADD s 3 4 4~SCARD s~SMEMBERS s~SISMEMBER s 1~"
                "SISMEMBER s 9~SMISMEMBER s 1 9 4~SMISMEMBER nokey 1 2~SCARD nokey~"
                "SMEMBERS nokey~SISMEMBER nokey a~SADD s abc~SISMEMBER s abc~"
                "SISMEMBER s 2~SISMEMBER s 02~",
                ":3~:1~:4~*4~$1~1~$1~2~$1~3~$1~4~:1~:0~*3~:1~:0~:1~*2~:0~:0~:0~*0~:0~"
                ":1~:1~:1~:0~");
}

static void members_are_removed_and_the_set_with_its_last(void **state)
{
    (void)state;
    client_asks(&c,
                "SADD s a b c 1~SREM s a nomember~SREM s b b c~SREM s 1 2 3~EXISTS s~"
                "SREM s a~",
                ":4~:1~:2~:1~:0~:0~");
}

static void wrong_arguments_and_types_are_named(void **state)
{
    (void)state;
    client_asks(&c,
                "SET k x~SADD k a~SREM k a~SISMEMBER k a~SMISMEMBER k a~SCARD k~"
                "SMEMBERS k~SPOP k~SRANDMEMBER k~SSCAN k 0~SINTER k~SINTER nokey k~"
                "SUNION k nokey~SDIFF nokey k~SINTERCARD 1 k~SINTERSTORE d k~"
                "SMOVE k d a~SADD s a~SMOVE s k a~SMOVE s k nomember~SMOVE nokey k a~"
                "SADD s~SISMEMBER s~SINTER~SINTERSTORE d~",
                "+OK~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~:1~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~:0~"
                "-ERR wrong number of arguments for 'sadd' command~"
                "-ERR wrong number of arguments for 'sismember' command~"
                "-ERR wrong number of arguments for 'sinter' command~"
                "-ERR wrong number of arguments for 'sinterstore' command~");
}

static void sets_are_combined(void **state)
{
    (void)state;
    client_asks(&c,
                "SADD a 1 2 3 4~SADD b 3 4 5~SADD c 4 5 6~SINTER a b~SINTER a b c~"
                "SINTER a nokey~SINTER a~SUNION a b c~SUNION a nokey~SUNION nokey~"
                "SDIFF a b~SDIFF a b c~SDIFF a nokey~SDIFF a a~SDIFF nokey a~"
                "SINTERCARD 2 a b~SINTERCARD 3 a b c~SINTERCARD 2 a b LIMIT 1~"
                "SINTERCARD 2 a b LIMIT 0~SINTERCARD 2 a nokey~SINTERCARD 1 a LIMIT 3~",
                ":4~:3~:3~*2~$1~3~$1~4~*1~$1~4~*0~*4~$1~1~$1~2~$1~3~$1~4~*6~$1~1~$1~2~"
                "$1~3~$1~4~$1~5~$1~6~*4~$1~1~$1~2~$1~3~$1~4~*0~*2~$1~1~$1~2~*2~$1~1~$1~"
                "2~*4~$1~1~$1~2~$1~3~$1~4~*0~*0~:2~:1~:1~:2~:0~:3~");
}

static void what_is_combined_is_kept(void **state)
{
    (void)state;
    client_asks(&c,
                "SADD a 1 2 3 4~SADD b 3 4 5~SET d text EX 100~SINTERSTORE d a b~"
                "SMEMBERS d~TTL d~SUNIONSTORE d a b~SMEMBERS d~SDIFFSTORE d a b~"
                "SMEMBERS d~SDIFFSTORE a a b~SMEMBERS a~SUNIONSTORE b b b~SMEMBERS b~"
                "SINTERSTORE b nokey a~EXISTS b~SDIFFSTORE d d d~EXISTS d~"
                "SUNIONSTORE d nokey~SADD w x y~SUNIONSTORE d a w~OBJECT ENCODING d~"
                "OBJECT ENCODING a~SINTERSTORE d a a~OBJECT ENCODING d~",
                ":4~:3~+OK~:2~*2~$1~3~$1~4~:-1~:5~*5~$1~1~$1~2~$1~3~$1~4~$1~5~:2~*2~$1~"
                "1~$1~2~:2~*2~$1~1~$1~2~:3~*3~$1~3~$1~4~$1~5~:0~:0~:0~:0~:0~:2~:4~$9~"
                "hashtable~$6~intset~:2~$6~intset~");
}

static void wrong_counts_of_sintercard_are_named(void **state)
{
    (void)state;
    client_asks(&c,
                "SINTERCARD 0 a~SINTERCARD -1 a~SINTERCARD x a~SINTERCARD 2 a~"
                "SINTERCARD 1 a LIMIT -1~SINTERCARD 1 a LIMIT x~SINTERCARD 1 a LIMIT~"
                "SINTERCARD 1 a other 1~SINTERCARD 1~",
                "-ERR numkeys should be greater than 0~"
                "-ERR numkeys should be greater than 0~"
                "-ERR numkeys should be greater than 0~"
                "-ERR Number of keys can't be greater than number of args~"
                "-ERR LIMIT can't be negative~-ERR LIMIT can't be negative~"
                "-ERR syntax error~-ERR syntax error~"
                "-ERR wrong number of arguments for 'sintercard' command~");
}

static void a_member_moves_from_one_set_to_another(void **state)
{
    (void)state;
    client_asks(&c,
                "SADD a 1 2 x~SADD b 3~SMOVE a b x~SMISMEMBER a 1 2 x~SISMEMBER b x~"
                "OBJECT ENCODING b~SMOVE a b 9~SMOVE a a 1~SMOVE a a 9~SMOVE nokey b 1~"
                "SMOVE a new 1~SMOVE a new 2~EXISTS a~SMEMBERS new~",
                ":3~:1~:1~*3~:1~:1~:0~:1~$9~hashtable~:0~:1~:0~:0~:1~:1~:0~*2~$1~1~$1~"
                "2~");
}

static void members_are_taken_at_random(void **state)
{
    (void)state;
    client_asks(&c,
                "SADD s a~SRANDMEMBER s~SRANDMEMBER s 0~SRANDMEMBER s 5~"
                "SRANDMEMBER s -3~SRANDMEMBER nokey~SRANDMEMBER nokey 2~"
                "SRANDMEMBER nokey -2~SRANDMEMBER s x~SRANDMEMBER s 1 2~"
                "SRANDMEMBER s -9223372036854775808~SPOP s 0~SPOP s~EXISTS s~SPOP s~"
                "SPOP s 2~SPOP s -1~SPOP s x~SPOP s 1 2~SADD s 1 2 3~SPOP s 3~EXISTS s~"
                "SADD s 1 2 3~SPOP s 9~EXISTS s~",
                ":1~$1~a~*0~*1~$1~a~*3~$1~a~$1~a~$1~a~$-1~*0~*0~"
                "-ERR value is not an integer or out of range~-ERR syntax error~"
                "-ERR value is out of range, value must between -9223372036854775807 an"
                "d 9223372036854775807~*0~$1~a~:0~$-1~*0~"
                "-ERR value is out of range, must be positive~"
                "-ERR value is out of range, must be positive~-ERR syntax error~:3~*3~"
                "$1~1~$1~2~$1~3~:0~:3~*3~$1~1~$1~2~$1~3~:0~");
}

static void a_small_set_is_scanned_in_one_go(void **state)
{
    (void)state;
    client_asks(&c,
                "SADD s 1 2 12~SSCAN s 0~SSCAN s 0 MATCH 1*~SSCAN s 0 COUNT 1~"
                "SSCAN nokey 0~SSCAN nokey 0 nonsense~SSCAN s x~SSCAN s 0 COUNT 0~"
                "SSCAN s 0 TYPE set~",
                ":3~*2~$1~0~*3~$1~1~$1~2~$2~12~*2~$1~0~*2~$1~1~$2~12~*2~$1~0~*3~$1~1~"
                "$1~2~$2~12~*2~$1~0~*0~*2~$1~0~*0~-ERR invalid cursor~"
                "-ERR syntax error~-ERR syntax error~");
}

static void the_encoding_is_what_redis_says(void **state)
{
    (void)state;
    client_asks(&c,
                "SADD s 1 2 9223372036854775807~OBJECT ENCODING s~"
                "SADD s 9223372036854775808~OBJECT ENCODING s~"
                "SREM s 9223372036854775808~OBJECT ENCODING s~COPY s copy~"
                "OBJECT ENCODING copy~SMISMEMBER copy 1 2 9223372036854775807 3~",
                ":3~$6~intset~:1~$9~hashtable~:1~$9~hashtable~:1~$9~hashtable~*4~:1~:1~"
                ":1~:0~");
}

static void sets_are_sets_in_resp3(void **state)
{
    (void)state;
    client_asks(&c,
                "HELLO 3~SADD s 1 2~SMEMBERS s~SMEMBERS nokey~SINTER s s~SUNION s s~"
                "SDIFF s nokey~SPOP s 5~SPOP s 5~SPOP s~SRANDMEMBER s~SRANDMEMBER s 3~",
                "%7~$6~server~$5~redis~$7~version~$6~7.0.15~$5~proto~:3~$2~id~:1~$4~"
                "mode~$10~standalone~$4~role~$6~master~$7~modules~*0~:2~^2~$1~1~$1~2~"
                "^0~^2~$1~1~$1~2~^2~$1~1~$1~2~^2~$1~1~$1~2~^2~$1~1~$1~2~^0~_~_~*0~");
}

/* ---- large sets ---- */

/* Sends a command for each of `count` numbers, which take the place of the %u in `format`. */
static void send_many(const char *format, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char line[200];
        int size = snprintf(line, sizeof(line), format, i);
        client_send(&c, (shoal_slice){line, (size_t)size});
    }
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
}

static void a_large_set_answers_as_a_small_one(void **state)
{
    (void)state;
    send_many("SADD s %u\r\n", 0, 512);
    client_asks(&c, "SCARD s~OBJECT ENCODING s~SISMEMBER s 77~SISMEMBER s 512~",
                ":512~$6~intset~:1~:0~");
    client_asks(&c, "SADD s 512~OBJECT ENCODING s~SREM s 512 513~OBJECT ENCODING s~",
                ":1~$9~hashtable~:1~$9~hashtable~");
    send_many("SADD t member:%u\r\n", 0, 1000);
    client_asks(&c, "SCARD t~SMISMEMBER t member:0 member:999 member:1000~", ":1000~*3~:1~:1~:0~");
    client_asks(&c, "SUNIONSTORE u s t~SINTERSTORE i u s~SDIFFSTORE d u t~SINTERCARD 3 i d s~",
                ":1512~:512~:512~:512~");
    client_asks(&c, "OBJECT ENCODING u~OBJECT ENCODING i~SDIFF i d~", "$9~hashtable~$6~intset~*0~");
    client_asks(&c, "SMOVE t s member:5~SCARD t~SCARD s~SISMEMBER s member:5~", ":1~:999~:513~:1~");
    send_many("SREM t member:%u\r\n", 0, 1000);
    client_asks(&c, "EXISTS t~SPOP u 2000 x~SCARD u~DEL u i d s~",
                ":0~-ERR syntax error~:1512~:4~");
}

static void pops_take_each_member_once(void **state)
{
    (void)state;
    send_many("SADD s member:%u\r\n", 0, 1000);
    send_many("SADD s %u\r\n", 0, 1000);
    for (unsigned left = 2000; left > 100; left -= 100) {
        client_send(&c, shoal_text("SUNIONSTORE before s\r\nSPOP s 100\r\n"));
        shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
        char answer[32];
        snprintf(answer, sizeof(answer), ":%u~:%u~", left - 100, left - 100);
        client_asks(&c, "SCARD s~SINTERCARD 2 s before~", answer);
    }
    client_send(&c, shoal_text("SPOP s 100\r\n"));
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_asks(&c, "EXISTS s~", ":0~");
}

static void many_sets_are_combined_with_memory_of_their_own(void **state)
{
    (void)state;
    char line[1000] = "SINTERSTORE d", *end = line + strlen(line);
    for (unsigned i = 0; i < 40; i++) {
        char add[64];
        snprintf(add, sizeof(add), "SADD key%u 1 2 3 %u~", i, i + 10);
        client_asks(&c, add, ":4~");
        end += snprintf(end, (size_t)(line + sizeof(line) - end), " key%u", i);
    }
    strcpy(end, "~SMEMBERS d~");
    client_asks(&c, line, ":3~*3~$1~1~$1~2~$1~3~");
    client_asks(&c, "SET key39 text~", "+OK~");
    client_asks(&c, line,
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "*3~$1~1~$1~2~$1~3~");
}

static void a_lower_threshold_holds_for_what_comes(void **state)
{
    (void)state;
    box.settings.set_entries_max = 2;
    client_asks(&c, "SADD s 1 2~OBJECT ENCODING s~SADD s 2~OBJECT ENCODING s~SADD s 3~",
                ":2~$6~intset~:0~$6~intset~:1~");
    client_asks(&c, "OBJECT ENCODING s~SREM s 3~OBJECT ENCODING s~SISMEMBER s 2~",
                "$9~hashtable~:1~$9~hashtable~:1~");
    box.settings.set_entries_max = 0;
    client_asks(&c, "SADD t 1~OBJECT ENCODING t~", ":1~$9~hashtable~");
}

/* Asks for the size of a large set while somebody else holds its gate: the answer comes later. */
static void ask_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("SISMEMBER s 5\r\nSISMEMBER small 1\r\n"));
    client_got(&c, "");
}

static void a_large_set_is_read_behind_its_gate(void **state)
{
    (void)state;
    send_many("SADD s %u\r\n", 0, 600);
    client_asks(&c, "SADD small 1~", ":1~");
    command_box_hold(&box, "s", ask_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, ":1~:1~");
}

static void a_union_begins_as_a_copy_of_the_largest_set_and_leaves_that_as_it_was(void **state)
{
    (void)state;
    send_many("SADD s %u\r\n", 0, 900);
    send_many("SADD t %u\r\n", 600, 1200);
    client_asks(
        &c,
        "SADD w x y 5~SUNIONSTORE d w s t~SCARD d~SCARD s~SMISMEMBER d x 0 899 900 1799 1800~"
        "OBJECT ENCODING d~SDIFFSTORE e d s t~SUNIONSTORE s s w~SADD s 5000~SCARD d~SCARD s~"
        "DEL d s t w e~",
        ":3~:1802~:1802~:900~*6~:1~:1~:1~:1~:1~:0~$9~hashtable~:2~:902~:1~:1802~:903~:5~");
}

int main(void)
{
#define BOX_TEST(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        BOX_TEST(members_are_added_and_found),
        BOX_TEST(members_are_removed_and_the_set_with_its_last),
        BOX_TEST(wrong_arguments_and_types_are_named),
        BOX_TEST(sets_are_combined),
        BOX_TEST(what_is_combined_is_kept),
        BOX_TEST(wrong_counts_of_sintercard_are_named),
        BOX_TEST(a_member_moves_from_one_set_to_another),
        BOX_TEST(members_are_taken_at_random),
        BOX_TEST(a_small_set_is_scanned_in_one_go),
        BOX_TEST(the_encoding_is_what_redis_says),
        BOX_TEST(sets_are_sets_in_resp3),
        BOX_TEST(a_large_set_answers_as_a_small_one),
        BOX_TEST(pops_take_each_member_once),
        BOX_TEST(many_sets_are_combined_with_memory_of_their_own),
        BOX_TEST(a_lower_threshold_holds_for_what_comes),
        BOX_TEST(a_large_set_is_read_behind_its_gate),
        BOX_TEST(a_union_begins_as_a_copy_of_the_largest_set_and_leaves_that_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
