/* SPDX-License-Identifier: MIT
 *
 * Commands on hashes as a client sees them, byte by byte. Words and numbers were read off
 * redis-server 7.0.15.
 */
#include <stdio.h>
#include <stdlib.h>
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

static void fields_are_set_and_read(void **state)
{
    (void)state;
    client_asks(&c,
                "HSET h a 1 b two~HSET h a 3 c 4~HGET h a~HGET h nofield~HGET nokey a~"
                "HMGET h a nofield c~HMGET nokey a b~HGETALL h~HKEYS h~HVALS h~HLEN h~"
                "HSTRLEN h b~HSTRLEN h nofield~HSTRLEN nokey f~HEXISTS h a~"
                "HEXISTS h nofield~HLEN nokey~HGETALL nokey~HKEYS nokey~",
                ":2~:1~$1~3~$-1~$-1~*3~$1~3~$-1~$1~4~*2~$-1~$-1~*6~$1~a~$1~3~$1~b~$3~"
                "two~$1~c~$1~4~*3~$1~a~$1~b~$1~c~*3~$1~3~$3~two~$1~4~:3~:3~:0~:0~:1~:0~"
                ":0~*0~*0~");
    client_asks(&c, "FLUSHALL~HMSET h a 1 d 5~HSETNX h a 9~HSETNX h e 6~HGET h a~HGETALL h~",
                "+OK~+OK~:0~:1~$1~1~*6~$1~a~$1~1~$1~d~$1~5~$1~e~$1~6~");
}

static void wrong_arguments_and_types_are_named(void **state)
{
    (void)state;
    client_asks(&c,
                "HSET h a~HSET h a 1 b~HMSET h a 1 b~HGET h~SET s x~HGET s a~"
                "HSET s a b~HLEN s~HGETALL s~HDEL s a~HSCAN s 0~HRANDFIELD s~"
                "HINCRBY s a 1~",
                "-ERR wrong number of arguments for 'hset' command~"
                "-ERR wrong number of arguments for 'hset' command~"
                "-ERR wrong number of arguments for 'hmset' command~"
                "-ERR wrong number of arguments for 'hget' command~+OK~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~");
}

static void fields_are_removed_and_the_hash_with_its_last(void **state)
{
    (void)state;
    client_asks(&c,
                "HSET h a 1 b 2 c 3~HDEL h a nofield~HDEL h b b~HDEL h c d~EXISTS h~"
                "HDEL h a~",
                ":3~:1~:1~:1~:0~:0~");
}

static void integers_in_fields_count(void **state)
{
    (void)state;
    client_asks(&c,
                "HINCRBY h n 5~HINCRBY h n -7~HSET h s text~HINCRBY h s 1~"
                "HINCRBY h n x~HSET h n 9223372036854775807~HINCRBY h n 1~"
                "HSET h n \" 12\"~HINCRBY h n 1~",
                ":5~:-2~:1~-ERR hash value is not an integer~"
                "-ERR value is not an integer or out of range~:0~"
                "-ERR increment or decrement would overflow~:0~"
                "-ERR hash value is not an integer~");
    client_asks(&c,
                "FLUSHALL~HINCRBYFLOAT h f 10.5~HINCRBYFLOAT h f 0.1~"
                "HINCRBYFLOAT h f -10.6~HINCRBYFLOAT h f 5.0e3~HGET h f~HSET h s text~"
                "HINCRBYFLOAT h s 1~HINCRBYFLOAT h f abc~HINCRBYFLOAT h f inf~"
                "HINCRBYFLOAT h f nan~HSET h big 1.7e308~HINCRBYFLOAT h i 3.0~HGET h i~",
                "+OK~$4~10.5~$4~10.6~$1~0~$4~5000~$4~5000~:1~"
                "-ERR hash value is not a float~-ERR value is not a valid float~"
                "-ERR value is NaN or Infinity~-ERR value is not a valid float~:1~$1~3~"
                "$1~3~");
}

static void fields_are_chosen_at_random(void **state)
{
    (void)state;
    client_asks(&c,
                "HSET one f v~HRANDFIELD one~HRANDFIELD one 5~"
                "HRANDFIELD one 5 WITHVALUES~HRANDFIELD one -3~"
                "HRANDFIELD one -2 WITHVALUES~HRANDFIELD one 0~HRANDFIELD nokey~"
                "HRANDFIELD nokey 3~HRANDFIELD nokey -3 WITHVALUES~HRANDFIELD one x~"
                "HRANDFIELD one 1 foo~HRANDFIELD one 1 WITHVALUES x~"
                "HRANDFIELD one 9223372036854775807 WITHVALUES~"
                "HRANDFIELD one -9223372036854775808~",
                ":1~$1~f~*1~$1~f~*2~$1~f~$1~v~*3~$1~f~$1~f~$1~f~*4~$1~f~$1~v~$1~f~$1~v~"
                "*0~$-1~*0~*0~-ERR value is not an integer or out of range~"
                "-ERR syntax error~-ERR syntax error~-ERR value is out of range~"
                "-ERR value is out of range, value must between -9223372036854775807 an"
                "d 9223372036854775807~");
}

static void a_small_hash_is_scanned_in_one_go(void **state)
{
    (void)state;
    client_asks(&c,
                "HSET h a 1 b 2 ab 3~HSCAN h 0~HSCAN h 0 MATCH a*~"
                "HSCAN h 0 COUNT 1 MATCH *~HSCAN nokey 0~HSCAN nokey 0 nonsense~"
                "HSCAN h x~HSCAN h 0 COUNT 0~HSCAN h 0 COUNT x~HSCAN h 0 MATCH~"
                "HSCAN h 0 TYPE hash~HSCAN h 18446744073709551616~",
                ":3~*2~$1~0~*6~$1~a~$1~1~$1~b~$1~2~$2~ab~$1~3~*2~$1~0~*4~$1~a~$1~1~$2~"
                "ab~$1~3~*2~$1~0~*6~$1~a~$1~1~$1~b~$1~2~$2~ab~$1~3~*2~$1~0~*0~*2~$1~0~"
                "*0~-ERR invalid cursor~-ERR syntax error~"
                "-ERR value is not an integer or out of range~-ERR syntax error~"
                "-ERR syntax error~-ERR invalid cursor~");
}

static void the_encoding_is_what_redis_says(void **state)
{
    (void)state;
    client_asks(&c,
                "HSET h a 1~OBJECT ENCODING h~"
                "HSET h a aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                "aaaa~OBJECT ENCODING h~HSET h a 1~OBJECT ENCODING h~HDEL h a~"
                "HSET h a 1~OBJECT ENCODING h~"
                "HSET h aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                "aa 1~OBJECT ENCODING h~COPY h copy~OBJECT ENCODING copy~"
                "RENAME copy other~HGET other a~",
                ":1~$8~listpack~:0~$9~hashtable~:0~$9~hashtable~:1~:1~$8~listpack~:1~"
                "$9~hashtable~:1~$9~hashtable~+OK~$1~1~");
}

static void maps_are_maps_in_resp3(void **state)
{
    (void)state;
    client_asks(&c,
                "HELLO 3~HSET h a 1~HGETALL h~HGETALL nokey~HRANDFIELD h 1 WITHVALUES~"
                "HRANDFIELD h -2 WITHVALUES~HRANDFIELD h 1~HGET h nofield~",
                "%7~$6~server~$5~redis~$7~version~$6~7.0.15~$5~proto~:3~$2~id~:1~$4~"
                "mode~$10~standalone~$4~role~$6~master~$7~modules~*0~:1~%1~$1~a~$1~1~"
                "%0~*1~*2~$1~a~$1~1~*2~*2~$1~a~$1~1~*2~$1~a~$1~1~*1~$1~a~_~");
}

/* ---- large hashes ---- */

/* Sends a command for each of `count` numbers, which take the place of the two %u in `format`. */
static void send_many(const char *format, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char line[200];
        int size = snprintf(line, sizeof(line), format, i, i);
        client_send(&c, (shoal_slice){line, (size_t)size});
    }
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
}

static void a_large_hash_answers_as_a_small_one(void **state)
{
    (void)state;
    send_many("HSET h f%u v%u\r\n", 0, 512);
    client_asks(&c, "HLEN h~OBJECT ENCODING h~HGET h f77~HGET h f512~HEXISTS h f511~",
                ":512~$8~listpack~$3~v77~$-1~:1~");
    client_asks(&c, "HSET h f512 v~OBJECT ENCODING h~HDEL h f512~OBJECT ENCODING h~",
                ":1~$9~hashtable~:1~$9~hashtable~");
    client_asks(&c, "HMGET h f1 nofield f2~HSTRLEN h f100~HINCRBY h n 4~HINCRBY h n 5~HDEL h n~",
                "*3~$2~v1~$-1~$2~v2~:4~:4~:9~:1~");
    client_asks(&c, "EXPIRE h 100~HSET h f1 other~TTL h~HGET h f1~", ":1~:0~:100~$5~other~");
    client_asks(&c, "COPY h copy~HDEL h f1 f2~HLEN h~HLEN copy~HGET copy f1~TTL copy~",
                ":1~:2~:510~:512~$5~other~:100~");
    client_asks(&c, "RENAME copy moved~HGET moved f2~DEL moved~EXISTS moved~", "+OK~$2~v2~:1~:0~");
    send_many("HDEL h f%u g%u\r\n", 0, 512);
    client_asks(&c, "EXISTS h~HLEN h~", ":0~:0~");
}

/* Elements of the array that is the second of the reply in `c.out`, after its cursor. */
static unsigned scanned(char *cursor, size_t room)
{
    shoal_slice reply = shoal_buffer_slice(&c.out);
    shoal_answer answer;
    assert_int_equal(shoal_answer_next(reply, &answer), 0);
    assert_int_equal(answer.integer, 2);
    reply.data += answer.size;
    reply.size -= answer.size;
    assert_int_equal(shoal_answer_next(reply, &answer), 0);
    assert_true(answer.text.size < room);
    memcpy(cursor, answer.text.data, answer.text.size);
    cursor[answer.text.size] = '\0';
    reply.data += answer.size;
    reply.size -= answer.size;
    assert_int_equal(shoal_answer_next(reply, &answer), 0);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    return (unsigned)answer.integer;
}

static void a_large_hash_is_scanned_in_steps(void **state)
{
    (void)state;
    send_many("HSET h f%u v%u\r\n", 0, 2000);
    char cursor[32] = "0";
    unsigned fields = 0, calls = 0, most = 0;
    do {
        char line[64];
        int size = snprintf(line, sizeof(line), "HSCAN h %s COUNT 50\r\n", cursor);
        client_send(&c, (shoal_slice){line, (size_t)size});
        unsigned found = scanned(cursor, sizeof(cursor)) / 2;
        if (found > most) most = found;
        fields += found;
        calls++;
    } while (strcmp(cursor, "0") != 0);
    assert_int_equal(fields, 2000);
    assert_true(calls >= 20 && calls <= 40);
    assert_true(most < 150);
}

static void a_lower_threshold_holds_for_what_comes(void **state)
{
    (void)state;
    client_asks(&c, "HSET h a 1 b 2 c 3~OBJECT ENCODING h~", ":3~$8~listpack~");
    box.settings.hash_entries_max = 2;
    client_asks(&c, "HSET h a 1~OBJECT ENCODING h~HSET h d 4~OBJECT ENCODING h~",
                ":0~$8~listpack~:1~$9~hashtable~");
    box.settings.hash_value_size_max = 3;
    client_asks(&c, "HSET k a 123~OBJECT ENCODING k~HSET k a 1234~OBJECT ENCODING k~",
                ":1~$8~listpack~:0~$9~hashtable~");
    client_asks(&c, "HSET i long 1~OBJECT ENCODING i~HGETALL i~",
                ":1~$9~hashtable~*2~$4~long~$1~1~");
}

static void without_memory_a_hash_stays_as_it_is(void **state)
{
    (void)state;
    send_many("HSET h f%u v%u\r\n", 0, 200);
    /* Longer than what a thread keeps at hand. */
    size_t value = 1 << 20, room = value + 100;
    char *line = malloc(room);
    assert_non_null(line);
    int size = snprintf(line, room, "*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$2\r\nf1\r\n$%zu\r\n%0*u\r\n",
                        value, (int)value, 7u);
    box.heap.fail_after = box.heap.calls + 1;
    client_send(&c, (shoal_slice){line, (size_t)size});
    box.heap.fail_after = 0;
    client_got(&c, "-OOM no memory left for this command~");
    client_asks(&c, "HGET h f1~HLEN h~", "$2~v1~:200~");
    client_send(&c, (shoal_slice){line, (size_t)size});
    client_asks(&c, "HSTRLEN h f1~HLEN h~", ":0~:1048576~:200~");
    free(line);
}

int main(void)
{
#define BOX_TEST(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        BOX_TEST(fields_are_set_and_read),
        BOX_TEST(wrong_arguments_and_types_are_named),
        BOX_TEST(fields_are_removed_and_the_hash_with_its_last),
        BOX_TEST(integers_in_fields_count),
        BOX_TEST(fields_are_chosen_at_random),
        BOX_TEST(a_small_hash_is_scanned_in_one_go),
        BOX_TEST(the_encoding_is_what_redis_says),
        BOX_TEST(maps_are_maps_in_resp3),
        BOX_TEST(a_large_hash_answers_as_a_small_one),
        BOX_TEST(a_large_hash_is_scanned_in_steps),
        BOX_TEST(a_lower_threshold_holds_for_what_comes),
        BOX_TEST(without_memory_a_hash_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
