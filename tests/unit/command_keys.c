/* SPDX-License-Identifier: MIT
 *
 * Commands about keys as a client sees them: existence, lives, names, walks and flushes. Words and
 * numbers were read off redis-server 7.0.15.
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

static void keys_exist_until_they_are_removed(void **state)
{
    (void)state;
    client_asks(&c, "MSET a 1 b 2 c 3~EXISTS a b x a~TOUCH a x~DEL a x a~UNLINK b c~DBSIZE~",
                "+OK~:3~:1~:1~:2~:0~");
    client_asks(&c, "SET a 1~TYPE a~TYPE b~", "+OK~+string~+none~");
}

static void lives_end_when_they_should(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1~EXPIRE a 10~TTL a~PTTL a~TTL b~PEXPIRE b 5~",
                "+OK~:1~:10~:10000~:-2~:0~");
    client_asks(&c, "EXPIRETIME a~PEXPIRETIME a~PERSIST a~PERSIST a~TTL a~EXPIRETIME a~",
                ":1700000010~:1700000010000~:1~:0~:-1~:-1~");
    client_asks(&c,
                "PEXPIRE a 1500~TTL a~EXPIREAT a 1700000005~PTTL a~PEXPIREAT a 1700000005001~"
                "PTTL a~",
                ":1~:2~:1~:5000~:1~:5001~");
    command_box_sleep(&box, 5000);
    client_asks(&c, "GET a~", "$1~1~");
    command_box_sleep(&box, 1);
    client_asks(&c, "GET a~TTL a~EXPIRE a 5~", "$-1~:-2~:0~");
    client_asks(&c, "SET a 1~EXPIRE a -1~EXISTS a~SET a 1~EXPIREAT a 1~EXISTS a~",
                "+OK~:1~:0~+OK~:1~:0~");
}

static void conditions_of_expire_compare_with_the_present_life(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1~EXPIRE a 10 XX~EXPIRE a 10 GT~EXPIRE a 10 LT~EXPIRE a 20 LT~TTL a~",
                "+OK~:0~:0~:1~:0~:10~");
    client_asks(&c, "EXPIRE a 20 GT~EXPIRE a 5 GT~EXPIRE a 30 NX~EXPIRE a 30 XX GT~TTL a~",
                ":1~:0~:0~:1~:30~");
    client_asks(&c, "EXPIRE a 10 NX XX~EXPIRE a 10 GT LT~EXPIRE a 10 foo~EXPIRE a x~",
                "-ERR NX and XX, GT or LT options at the same time are not compatible~"
                "-ERR GT and LT options at the same time are not compatible~"
                "-ERR Unsupported option foo~"
                "-ERR value is not an integer or out of range~");
    client_asks(&c, "EXPIRE a 9223372036854775807~PEXPIRE a 9223372036854775807~",
                "-ERR invalid expire time in 'expire' command~"
                "-ERR invalid expire time in 'pexpire' command~");
}

static void an_idle_worker_still_reaps_what_expired(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1 PX 50~SET b 2 PX 50~SET c 3~DBSIZE~", "+OK~+OK~+OK~:3~");
    for (int round = 0; round < 200 && shoal_store_count(box.env.store, 0) != 1; round++) {
        assert_int_not_equal(box.deadlines[0], SHOAL_NEVER);
        int64_t wait = box.deadlines[0] - box.now.mono_us;
        command_box_sleep(&box, wait > 0 ? (wait + 999) / 1000 : 1);
        command_box_round(&box, 0);
    }
    assert_int_equal(shoal_store_count(box.env.store, 0), 1);
}

static void a_name_can_be_changed(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1 EX 9~RENAME a b~GET b~TTL b~EXISTS a~RENAME a b~",
                "+OK~+OK~$1~1~:9~:0~-ERR no such key~");
    client_asks(&c, "RENAME b b~RENAMENX b b~SET c 3~RENAMENX b c~RENAMENX b d~GET d~",
                "+OK~:0~+OK~:0~:1~$1~1~");
    client_asks(&c, "COPY d e~GET e~COPY d e~COPY c e REPLACE~GET e~COPY none x~",
                ":1~$1~1~:0~:1~$1~3~:0~");
    client_asks(&c, "COPY d d~COPY d d DB 1~COPY d d DB 1~SELECT 1~GET d~TTL d~",
                "-ERR source and destination objects are the same~:1~:0~+OK~$1~1~:9~");
    client_asks(&c, "COPY a b DB x~COPY a b DB 99~COPY a b foo~COPY a b DB~",
                "-ERR value is not an integer or out of range~-ERR DB index is out of range~"
                "-ERR syntax error~-ERR syntax error~");
}

static void objects_tell_how_they_are_kept(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1~SET b x~OBJECT ENCODING a~OBJECT ENCODING b~OBJECT REFCOUNT a~",
                "+OK~+OK~$3~int~$6~embstr~:2147483647~");
    client_asks(&c, "SET a 9999~OBJECT REFCOUNT a~INCR a~OBJECT REFCOUNT a~OBJECT REFCOUNT b~",
                "+OK~:2147483647~:10000~:1~:1~");
    client_asks(&c, "OBJECT ENCODING none~OBJECT REFCOUNT none~OBJECT foo a~OBJECT~",
                "$-1~$-1~-ERR unknown subcommand 'foo'. Try OBJECT HELP.~"
                "-ERR wrong number of arguments for 'object' command~");
    client_asks(&c, "MEMORY USAGE none~MEMORY USAGE a SAMPLES -1~MEMORY USAGE a foo~",
                "$-1~-ERR syntax error~-ERR syntax error~");
    client_send(&c, shoal_text("MEMORY USAGE b SAMPLES 0\r\n"));
    assert_int_equal(shoal_buffer_slice(&c.out).data[0], ':');
}

static void fill(int count)
{
    for (int i = 0; i < count; i++) {
        char line[64];
        int size = snprintf(line, sizeof(line), "SET key:%d %d\r\n", i, i);
        client_send(&c, (shoal_slice){line, (size_t)size});
    }
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
}

/* Marks the names key:N in an array of bulks; returns how many there were. */
static int mark_names(shoal_slice *rest, int *seen, int room)
{
    shoal_answer answer;
    assert_int_equal(shoal_answer_next(*rest, &answer), 0);
    assert_int_equal(answer.type, '*');
    int count = (int)answer.integer;
    for (int i = -1; i < count; i++) {
        if (i >= 0) {
            assert_int_equal(shoal_answer_next(*rest, &answer), 0);
            uint64_t number;
            shoal_slice digits = {answer.text.data + 4, answer.text.size - 4};
            assert_true(shoal_text_to_u64(digits, &number) && number < (uint64_t)room);
            seen[number]++;
        }
        rest->data += answer.size;
        rest->size -= answer.size;
    }
    return count;
}

static void move_takes_a_value_to_another_database(void **state)
{
    (void)state;
    client_asks(&c, "MOVE m 1~SET m v EX 100~MOVE m 1~GET m~MOVE m 1~SELECT 1~GET m~TTL m~",
                ":0~+OK~:1~$-1~:0~+OK~$1~v~:100~");
    client_asks(&c, "SELECT 0~SET m w~MOVE m 1~GET m~", "+OK~+OK~:0~$1~w~");
    client_asks(&c, "MOVE m 0~MOVE m 99~MOVE m -1~MOVE m x~",
                "-ERR source and destination objects are the same~-ERR DB index is out of range~"
                "-ERR DB index is out of range~-ERR value is not an integer or out of range~");
}

static void scan_visits_every_key_once(void **state)
{
    (void)state;
    int seen[500] = {0}, calls = 0;
    char cursor[SHOAL_TEXT_INTEGER_SIZE + 1] = "0";
    fill(500);
    do {
        char line[64];
        int size = snprintf(line, sizeof(line), "SCAN %s COUNT 20\r\n", cursor);
        client_send(&c, (shoal_slice){line, (size_t)size});
        shoal_slice rest = shoal_buffer_slice(&c.out);
        shoal_answer answer;
        assert_int_equal(shoal_answer_next(rest, &answer), 0);
        assert_int_equal(answer.integer, 2);
        rest.data += answer.size, rest.size -= answer.size;
        assert_int_equal(shoal_answer_next(rest, &answer), 0);
        snprintf(cursor, sizeof(cursor), "%.*s", (int)answer.text.size, answer.text.data);
        rest.data += answer.size, rest.size -= answer.size;
        mark_names(&rest, seen, 500);
        assert_int_equal(rest.size, 0);
        shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
        calls++;
    } while (strcmp(cursor, "0") != 0);
    for (int i = 0; i < 500; i++) assert_int_equal(seen[i], 1);
    assert_in_range(calls, 5, 26);
}

static void keys_lists_what_matches(void **state)
{
    (void)state;
    int seen[100] = {0};
    fill(100);
    client_send(&c, shoal_text("KEYS *\r\n"));
    shoal_slice rest = shoal_buffer_slice(&c.out);
    assert_int_equal(mark_names(&rest, seen, 100), 100);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_send(&c, shoal_text("KEYS key:?5\r\n"));
    rest = shoal_buffer_slice(&c.out);
    assert_int_equal(mark_names(&rest, seen, 100), 9);
    shoal_buffer_consume(&c.out, shoal_buffer_size(&c.out));
    client_asks(&c, "KEYS no*~KEYS key:42~", "*0~*1~$6~key:42~");
}

static void scan_filters_and_complains(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1~SCAN 0 COUNT 100000~SCAN 0 MATCH b* COUNT 100000~",
                "+OK~*2~$1~0~*1~$1~a~*2~$1~0~*0~");
    client_asks(&c, "SCAN 0 TYPE string COUNT 100000~SCAN 0 TYPE list COUNT 100000~",
                "*2~$1~0~*1~$1~a~*2~$1~0~*0~");
    client_asks(&c, "SCAN x~SCAN 0 COUNT 0~SCAN 0 COUNT x~SCAN 0 foo~SCAN 0 MATCH~SCAN 0 foo bar~",
                "-ERR invalid cursor~-ERR syntax error~"
                "-ERR value is not an integer or out of range~-ERR syntax error~"
                "-ERR syntax error~-ERR syntax error~");
}

static void randomkey_finds_a_key(void **state)
{
    (void)state;
    client_asks(&c, "RANDOMKEY~SET only 1~RANDOMKEY~", "$-1~+OK~$4~only~");
}

static void a_flush_empties_one_database_or_all(void **state)
{
    (void)state;
    fill(300);
    client_asks(&c, "SELECT 2~SET a 1~DBSIZE~FLUSHDB~DBSIZE~SET b 1~SELECT 0~DBSIZE~",
                "+OK~+OK~:1~+OK~:0~+OK~+OK~:300~");
    /* More slots than one step clears: the session parks and what follows waits its turn. */
    client_send(&c, shoal_text("FLUSHALL ASYNC\r\nDBSIZE\r\n"));
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
    command_box_settle(&box);
    client_got(&c, "+OK~:0~");
    client_asks(&c, "SELECT 2~DBSIZE~FLUSHALL~FLUSHALL SYNC~FLUSHALL foo~FLUSHDB a b~",
                "+OK~:0~+OK~+OK~-ERR syntax error~-ERR syntax error~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(keys_exist_until_they_are_removed),
        FACT(lives_end_when_they_should),
        FACT(conditions_of_expire_compare_with_the_present_life),
        FACT(an_idle_worker_still_reaps_what_expired),
        FACT(a_name_can_be_changed),
        FACT(objects_tell_how_they_are_kept),
        FACT(move_takes_a_value_to_another_database),
        FACT(scan_visits_every_key_once),
        FACT(keys_lists_what_matches),
        FACT(scan_filters_and_complains),
        FACT(randomkey_finds_a_key),
        FACT(a_flush_empties_one_database_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
