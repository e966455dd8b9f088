/* SPDX-License-Identifier: MIT
 *
 * Commands that are not over when their handler returns: walks, flushes, SWAPDB, DEBUG, and replies
 * that wait for freed memory. The box's time stands still unless a test lets it pass.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc16.h"
#include "base/text.h"
#include "store/snapshot.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 2, false);
    box.settings.debug = true;
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

/* Sends text, settles, and returns what came, which is dropped. */
static shoal_slice ask(const char *text)
{
    static char kept[1 << 20];
    client_send(&c, shoal_text(text));
    command_box_settle(&box);
    shoal_slice got = shoal_buffer_slice(&c.out);
    assert_true(got.size < sizeof(kept));
    memcpy(kept, got.data, got.size);
    shoal_buffer_consume(&c.out, got.size);
    return (shoal_slice){kept, got.size};
}

/* ---- walks ---- */

static void keys_and_scan_go_through_everything_in_steps(void **state)
{
    (void)state;
    client_asks(&c, "DEBUG POPULATE 20000~DBSIZE~", "+OK~:20000~");
    assert_memory_equal(ask("KEYS *\r\n").data, "*20000\r\n", 8);
    assert_memory_equal(ask("SCAN 0 COUNT 1000000000000\r\n").data, "*2\r\n$1\r\n0\r\n*20000\r\n",
                        19);
    assert_memory_equal(ask("SCAN 0 COUNT 1000000 TYPE list\r\n").data, "*2\r\n$1\r\n0\r\n*0\r\n",
                        15);
    client_asks(&c, "RPUSH key:l x~SCAN 0 COUNT 100000 TYPE LIST MATCH k*~KEYS *:19999~",
                ":1~*2~$1~0~*1~$5~key:l~*1~$9~key:19999~");
    client_asks(&c, "SCAN 0 TYPE none COUNT 100000~SCAN x~SCAN 0 COUNT 0~SCAN 0 COUNT~",
                "*2~$1~0~*0~-ERR invalid cursor~-ERR syntax error~-ERR syntax error~");
}

static void others_are_served_between_the_steps_of_a_walk(void **state)
{
    (void)state;
    client_asks(&c, "DEBUG POPULATE 5000~", "+OK~");
    command_client other;
    client_open(&other, &box, 0);
    client_send(&c, shoal_text("KEYS nothing\r\n"));
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
    client_send(&other, shoal_text("GET key:1\r\n"));
    client_got(&other, "$7~value:1~");
    client_got(&c, "");
    command_box_settle(&box);
    client_got(&c, "*0~");
    client_close(&other);
}

/* ---- DEBUG ---- */

static void populate_leaves_what_is_there(void **state)
{
    (void)state;
    client_asks(
        &c, "SET p:1 mine~DEBUG POPULATE 3 p 9~GET p:1~STRLEN p:2~GETRANGE p:2 0 6~GETBIT p:2 71~",
        "+OK~+OK~$4~mine~:9~$7~value:2~:0~");
    client_asks(&c, "DEBUG POPULATE 2 q 4~GET q:1~DEBUG POPULATE -1~",
                "+OK~$4~valu~-ERR value is out of range, must be positive~");
}

static void digests_depend_on_the_data_alone(void **state)
{
    (void)state;
    client_asks(&c, "DEBUG DIGEST~", "+0000000000000000000000000000000000000000~");
    char first[64];
    client_asks(&c, "SET a 1~RPUSH l x y~SADD s 1 2 3~", "+OK~:2~:3~");
    shoal_slice got = ask("DEBUG DIGEST\r\n");
    assert_int_equal(got.size, 43);
    memcpy(first, got.data, 43);
    client_asks(&c, "DEL a l s~SADD s 3 2 1~RPUSH l y~LPUSH l x~SET a 2~DECR a~",
                ":3~:3~:1~:2~+OK~:1~");
    assert_memory_equal(ask("DEBUG DIGEST\r\n").data, first, 43);
    client_asks(&c, "COPY l m~", ":1~");
    got = ask("DEBUG DIGEST-VALUE l m none\r\n");
    assert_int_equal(got.size, 4 + 3 * 43);
    assert_memory_equal(got.data + 4, got.data + 4 + 43, 43);
    assert_memory_equal(got.data + 4 + 2 * 43, "+0000000000000000000000000000000000000000\r\n", 43);
}

static void debug_sleep_answers_later_and_holds_up_nobody(void **state)
{
    (void)state;
    command_client other;
    client_open(&other, &box, 0);
    client_send(&c, shoal_text("DEBUG SLEEP 0.5\r\nPING\r\n"));
    command_box_settle(&box);
    client_got(&c, "");
    client_asks(&other, "PING~", "+PONG~");
    command_box_sleep(&box, 499);
    command_box_settle(&box);
    client_got(&c, "");
    assert_true(box.deadlines[0] <= box.now.mono_us + 1000);
    command_box_sleep(&box, 1);
    command_box_settle(&box);
    client_got(&c, "+OK~+PONG~");
    client_asks(&c, "DEBUG SLEEP -1~DEBUG SLEEP x~", "+OK~+OK~");
    client_close(&other);
}

static int64_t busy_until_us;

static void note_busy(void *context, int64_t until_us)
{
    assert_ptr_equal(context, &box);
    busy_until_us = until_us;
}

static void debug_sleep_makes_the_node_busy_where_its_world_can(void **state)
{
    (void)state;
    box.host.busy = note_busy;
    busy_until_us = 0;
    client_asks(&c, "DEBUG SLEEP 0~", "+OK~");
    assert_int_equal(busy_until_us, 0);
    client_send(&c, shoal_text("DEBUG SLEEP 0.25\r\n"));
    command_box_settle(&box);
    client_got(&c, "");
    assert_int_equal(busy_until_us, box.now.mono_us + 250000);
    assert_int_equal(shoal_load_relaxed(&box.env.sleep_until_us), 0);
    command_box_sleep(&box, 250);
    command_box_settle(&box);
    client_got(&c, "+OK~");
}

static void a_worker_may_end_while_somebody_sleeps(void **state)
{
    (void)state;
    client_send(&c, shoal_text("DEBUG SLEEP 1000\r\n"));
    command_box_settle(&box);
    client_got(&c, "");
}

static void debug_says_what_it_does_not_know(void **state)
{
    (void)state;
    client_asks(&c, "DEBUG FOO~DEBUG OBJECT~DEBUG OBJECT none~DEBUG ERROR \"MINE is this\"~",
                "-ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP.~"
                "-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG "
                "HELP.~-ERR no such key~-MINE is this~");
    client_asks(&c, "DEBUG QUICKLIST-PACKED-THRESHOLD 100b~DEBUG QUICKLIST-PACKED-THRESHOLD 5gb~",
                "+OK~-ERR argument must be a memory value bigger than 1 and smaller than 4gb~");
    client_asks(&c, "DEBUG HTSTATS 99~DEBUG HTSTATS-KEY none~SET a 1~DEBUG HTSTATS-KEY a~",
                "-ERR Out of range database~-ERR no such key~+OK~"
                "-ERR The value stored at the specified key is not represented using an hash "
                "table~");
}

static void debug_object_shows_what_is_kept_beyond_its_time(void **state)
{
    (void)state;
    /* As on a replica. */
    shoal_store_set_active_expire(box.env.store, false);
    shoal_store_keep_expired(box.env.store, true);
    client_asks(&c, "SET a 1 PX 10~", "+OK~");
    command_box_sleep(&box, 20);
    client_asks(&c, "EXISTS a~DEBUG DIGEST-VALUE a~DBSIZE~",
                ":0~*1~+0000000000000000000000000000000000000000~:1~");
    shoal_slice got = ask("DEBUG OBJECT a\r\n");
    assert_int_equal(shoal_text_find(got, shoal_text("+Value at:")), 0);
    shoal_store_keep_expired(box.env.store, false);
    client_asks(&c, "EXISTS a~DBSIZE~DEBUG OBJECT a~", ":0~:0~-ERR no such key~");
}

/* ---- SWAPDB ---- */

static void databases_change_places_with_all_that_they_hold(void **state)
{
    (void)state;
    client_asks(&c, "MSET a 1 b 2~SET t 1 EX 100~SELECT 1~RPUSH l 1 2~SWAPDB 0 1~",
                "+OK~+OK~+OK~:2~+OK~");
    client_asks(&c, "DBSIZE~MGET a b~TTL t~TYPE l~SELECT 0~DBSIZE~LRANGE l 0 -1~EXISTS a~",
                ":3~*2~$1~1~$1~2~:100~+none~+OK~:1~*2~$1~1~$1~2~:0~");
    client_asks(&c, "SWAPDB 1 0~DBSIZE~SWAPDB 0 0~SWAPDB 0 9~SWAPDB x 0~SWAPDB 0 x~",
                "+OK~:3~+OK~-ERR DB index is out of range~-ERR invalid first DB index~"
                "-ERR invalid second DB index~");
}

static void what_expires_after_a_swap_is_reaped(void **state)
{
    (void)state;
    client_asks(&c, "SET t 1 PX 500~SWAPDB 0 2~SELECT 2~DBSIZE~", "+OK~+OK~+OK~:1~");
    for (int i = 0; i < 40; i++) {
        command_box_sleep(&box, 50);
        command_box_settle(&box);
    }
    client_asks(&c, "DBSIZE~", ":0~");
}

static void a_swap_touches_the_keys_that_it_moves(void **state)
{
    (void)state;
    client_asks(&c, "SET a 1~WATCH a~SWAPDB 0 1~MULTI~PING~EXEC~", "+OK~+OK~+OK~+OK~+QUEUED~*-1~");
    client_asks(&c, "WATCH none~SWAPDB 0 1~MULTI~PING~EXEC~", "+OK~+OK~+OK~+QUEUED~*1~+PONG~");
}

static void swap_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("SWAPDB 0 1\r\nGET k\r\n"));
    command_box_settle(&box);
    client_got(&c, "");
}

static void a_swap_waits_for_a_held_slot(void **state)
{
    (void)state;
    client_asks(&c, "SET k 1~", "+OK~");
    command_box_hold(&box, "k", swap_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "+OK~$-1~");
}

static void take_nothing(void *context, shoal_thread *thread, shoal_snapshot_part *part)
{
    (void)context;
    (void)thread;
    part->done = true;
}

static void swap_beside_a_held_slot(void *context)
{
    command_client *other = context;
    client_send(&c, shoal_text("SWAPDB 0 1\r\n"));
    command_box_settle(&box);
    client_got(&c, "");
    /* A slot before the held one, so a swap that waits for all gates has taken its gate. */
    client_asks(other, "SET bar 1~", "+OK~");
}

static void a_swap_that_waits_for_a_snapshot_holds_no_gates(void **state)
{
    (void)state;
    assert_true(shoal_crc16_slot(shoal_text("bar")) < shoal_crc16_slot(shoal_text("k")));
    command_client other;
    client_open(&other, &box, 1);
    client_asks(&c, "SET k 1~", "+OK~");
    shoal_thread *thread = shoal_store_thread(box.env.store, box.env.worker_count);
    const shoal_cut_options options = {.sink = {take_nothing, NULL}};
    shoal_cut *cut = NULL;
    shoal_thread_enter(thread, box.now);
    assert_int_equal(shoal_cut_begin(thread, &options, &cut), SHOAL_ERR_OK);
    shoal_thread_leave(thread);
    command_box_hold(&box, "k", swap_beside_a_held_slot, &other);
    for (bool over = false; !over;) {
        command_box_settle(&box);
        shoal_thread_enter(thread, box.now);
        over = shoal_cut_step(cut, thread, 1000);
        if (over) assert_true(shoal_cut_end(cut, thread));
        shoal_thread_leave(thread);
    }
    command_box_sleep(&box, 100);
    command_box_settle(&box);
    client_got(&c, "+OK~");
    client_asks(&c, "DBSIZE~SELECT 1~DBSIZE~", ":0~+OK~:2~");
    client_close(&other);
}

/* ---- freed memory ---- */

static uint64_t lazy_freed(void)
{
    shoal_store_stats stats;
    shoal_store_stats_get(box.env.store, &stats);
    return stats.lazy_freed;
}

/* Puts a set of `count` numbers under "big". */
static void make_big(int count)
{
    char text[32 << 10];
    for (int done = 0; done < count;) {
        char *at = text + sprintf(text, "SADD big");
        for (int i = 0; i < 4000 && done < count; i++) at += sprintf(at, " %d", done++);
        sprintf(at, "\r\n");
        (void)ask(text);
    }
}

static void del_of_something_large_answers_when_it_is_free(void **state)
{
    (void)state;
    make_big(50000);
    client_send(&c, shoal_text("DEL big\r\n"));
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
    client_got(&c, "");
    command_box_settle(&box);
    client_got(&c, ":1~");
    assert_int_equal(lazy_freed(), 1);
}

static void unlink_and_a_lazy_del_answer_at_once(void **state)
{
    (void)state;
    make_big(50000);
    client_send(&c, shoal_text("UNLINK big\r\n"));
    client_got(&c, ":1~");
    make_big(50000);
    box.settings.lazy_user_del = true;
    client_send(&c, shoal_text("DEL big\r\n"));
    client_got(&c, ":1~");
}

static void small_values_are_not_waited_for_or_counted(void **state)
{
    (void)state;
    make_big(64);
    client_send(&c, shoal_text("DEL big\r\n"));
    client_got(&c, ":1~");
    command_box_settle(&box);
    assert_int_equal(lazy_freed(), 0);
}

static void a_synchronous_flush_answers_when_everything_is_free(void **state)
{
    (void)state;
    client_asks(&c, "DEBUG POPULATE 3000~", "+OK~");
    make_big(50000);
    client_asks(&c, "FLUSHALL~", "+OK~");
    assert_int_equal(lazy_freed(), 3001);
    shoal_store_stats stats;
    shoal_store_stats_get(box.env.store, &stats);
    assert_int_equal(stats.lazy_pending, 0);
    assert_int_equal(stats.bytes_limbo, 0);
    client_asks(&c, "FLUSHALL ASYNC~FLUSHDB SYNC~FLUSHDB foo~", "+OK~+OK~-ERR syntax error~");
}

static void a_transaction_does_not_wait_for_freed_memory(void **state)
{
    (void)state;
    make_big(50000);
    client_asks(&c, "MULTI~DEL big~EXISTS big~EXEC~", "+OK~+QUEUED~+QUEUED~*2~:1~:0~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(keys_and_scan_go_through_everything_in_steps),
        FACT(others_are_served_between_the_steps_of_a_walk),
        FACT(populate_leaves_what_is_there),
        FACT(digests_depend_on_the_data_alone),
        FACT(debug_sleep_answers_later_and_holds_up_nobody),
        FACT(debug_sleep_makes_the_node_busy_where_its_world_can),
        FACT(a_worker_may_end_while_somebody_sleeps),
        FACT(debug_says_what_it_does_not_know),
        FACT(debug_object_shows_what_is_kept_beyond_its_time),
        FACT(databases_change_places_with_all_that_they_hold),
        FACT(what_expires_after_a_swap_is_reaped),
        FACT(a_swap_touches_the_keys_that_it_moves),
        FACT(a_swap_waits_for_a_held_slot),
        FACT(a_swap_that_waits_for_a_snapshot_holds_no_gates),
        FACT(del_of_something_large_answers_when_it_is_free),
        FACT(unlink_and_a_lazy_del_answer_at_once),
        FACT(small_values_are_not_waited_for_or_counted),
        FACT(a_synchronous_flush_answers_when_everything_is_free),
        FACT(a_transaction_does_not_wait_for_freed_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
