/* SPDX-License-Identifier: MIT
 *
 * Commands that cannot run where they were read: gates that another thread holds, the control
 * actor, tours over all workers. The session parks, replies keep their order, and closing is safe
 * at every moment.
 */
#include <string.h>

#include "base/atomic.h"
#include "base/text.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c, d;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 3, false);
    client_open(&c, &box, 0);
    client_open(&d, &box, 1);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    client_close(&c);
    client_close(&d);
    command_box_close(&box);
    return 0;
}

/* ---- gates ---- */

static void write_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("SET other 1\r\nSET k 1\r\nGET k\r\nINCR k\r\nPING\r\n"));
    /* What needs no gate is answered; what waits, and all behind it, is not. */
    client_got(&c, "+OK~");
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
    client_send(&c, shoal_text("GET other\r\n"));
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
    client_got(&c, "");
}

static void a_write_waits_for_the_gate_and_replies_keep_their_order(void **state)
{
    (void)state;
    command_box_hold(&box, "k", write_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "+OK~$1~1~:2~+PONG~$1~1~");
    assert_int_equal(c.feed, SHOAL_FEED_MORE);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_PARKED), 1);
}

static void read_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("GET k\r\nEXISTS k\r\n"));
    client_got(&c, "$1~1~:1~");
    client_send(&d, shoal_text("MGET k other\r\n"));
    client_got(&d, "");
}

static void reads_of_one_key_need_no_gate(void **state)
{
    (void)state;
    client_asks(&c, "SET k 1~", "+OK~");
    command_box_hold(&box, "k", read_while_held, NULL);
    command_box_settle(&box);
    client_got(&d, "*2~$1~1~$-1~");
}

static void two_write_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("APPEND k a\r\n"));
    client_send(&d, shoal_text("MSET k b z 1\r\n"));
    client_got(&c, "");
    client_got(&d, "");
}

static void handed_over_writes_run_in_the_order_of_arrival(void **state)
{
    (void)state;
    command_box_hold(&box, "k", two_write_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, ":1~");
    client_got(&d, "+OK~");
    client_asks(&c, "GET k~", "$1~b~");
}

static void close_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("SET k 1\r\nSET l 1\r\n"));
    client_close(&c);
}

static void a_session_may_close_while_its_write_waits(void **state)
{
    (void)state;
    command_box_hold(&box, "k", close_while_held, NULL);
    command_box_settle(&box);
    /* The write that was on its way is carried out, those behind it are not. */
    client_asks(&d, "GET k~GET l~", "$1~1~$-1~");
}

static void a_session_may_close_between_answer_and_feed(void **state)
{
    (void)state;
    command_box_hold(&box, "k", write_while_held, NULL);
    shoal_worker_begin(box.workers[0], box.now);
    shoal_session_close(c.session);
    c.session = NULL;
    assert_null(shoal_worker_ready(box.workers[0]));
    shoal_worker_end(box.workers[0]);
}

static void flush_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("FLUSHALL\r\nDBSIZE\r\n"));
    client_got(&c, "");
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
}

static void a_flush_waits_for_a_held_slot_and_no_other(void **state)
{
    (void)state;
    client_asks(&c, "MSET a 1 b 2 k 3 z 4~", "+OK~");
    command_box_hold(&box, "k", flush_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "+OK~:0~");
}

static void round_while_held(void *context)
{
    (void)context;
    command_box_settle(&box);
    client_got(&c, "");
}

static void a_flush_may_meet_several_held_slots(void **state)
{
    (void)state;
    client_asks(&c, "MSET a 1 b 2 k 3 z 4~", "+OK~");
    command_box_hold(&box, "b", flush_while_held, NULL);
    command_box_hold(&box, "k", round_while_held, NULL);
    command_box_hold(&box, "z", round_while_held, NULL);
    command_box_hold(&box, "a", round_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "+OK~:0~");
}

static void silent_write_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("CLIENT REPLY SKIP\r\nSET k 1\r\nGET k\r\n"));
}

static void a_skipped_reply_is_skipped_after_parking_too(void **state)
{
    (void)state;
    command_box_hold(&box, "k", silent_write_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "$1~1~");
}

/* ---- the control actor ---- */

static shoal_errand *take_errand(void)
{
    assert_true(box.nudged & 1);
    box.nudged &= ~1u;
    shoal_op *op = shoal_inbox_take(&box.control);
    assert_non_null(op);
    assert_null(op->next);
    return (shoal_errand *)op;
}

static void answer(shoal_errand *errand, const char *text)
{
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    shoal_reply_text(&reply, text);
    shoal_errand_finish(errand);
}

static void control_commands_carry_their_arguments_and_wait(void **state)
{
    (void)state;
    client_send(&c, shoal_text("PING\r\nCONFIG GET max* port\r\nPING\r\n"));
    client_got(&c, "+PONG~");
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
    shoal_errand *errand = take_errand();
    assert_int_equal(errand->command->id, SHOAL_COMMAND_CONFIG_GET);
    assert_int_equal(errand->argc, 4);
    test_slice_is(errand->argv[1], "GET");
    test_slice_is(errand->argv[2], "max*");
    test_slice_is(errand->argv[3], "port");
    assert_string_equal(errand->local.ip, "127.0.0.1");
    assert_int_equal(errand->client_id, 1);
    answer(errand, "x");
    command_box_settle(&box);
    client_got(&c, "$1~x~+PONG~");
}

static void control_may_close_behind_its_reply(void **state)
{
    (void)state;
    client_send(&c, shoal_text("SHUTDOWN\r\nPING\r\n"));
    shoal_errand *errand = take_errand();
    errand->close_after = true;
    shoal_errand_finish(errand);
    command_box_settle(&box);
    client_got(&c, "");
    assert_null(c.session);
}

static void a_session_may_close_while_control_has_its_errand(void **state)
{
    (void)state;
    client_send(&c, shoal_text("INFO\r\n"));
    shoal_errand *errand = take_errand();
    client_close(&c);
    answer(errand, "nobody reads this");
    command_box_settle(&box);
}

static void errors_of_control_are_counted(void **state)
{
    (void)state;
    client_send(&c, shoal_text("CONFIG SET a b\r\n"));
    shoal_errand *errand = take_errand();
    shoal_reply reply = {.out = &errand->reply, .protocol = 2};
    shoal_reply_error(&reply, "ERR no");
    shoal_errand_finish(errand);
    command_box_settle(&box);
    client_got(&c, "-ERR no~");
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_CONFIG_SET).failed, 1);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_ERROR_ERR), 1);
}

/* ---- tours ---- */

static size_t count_lines(shoal_slice text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text.size; i++) lines += text.data[i] == '\n';
    return lines;
}

static void client_list_shows_the_clients_of_every_worker(void **state)
{
    (void)state;
    command_client e;
    client_open(&e, &box, 2);
    client_send(&c, shoal_text("CLIENT LIST\r\n"));
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
    command_box_settle(&box);
    shoal_slice got = shoal_buffer_slice(&c.out);
    /* Header, three lines, and the end of the bulk. */
    assert_int_equal(count_lines(got), 5);
    for (int i = 1; i <= 3; i++) {
        char id[] = "id=0 addr=127.0.0.1:50000 ";
        id[3] = (char)('0' + i);
        assert_true(shoal_text_find(got, shoal_text(id)) != SHOAL_TEXT_NONE);
    }
    shoal_buffer_consume(&c.out, got.size);
    client_asks(&c, "CLIENT LIST TYPE replica~CLIENT LIST ID 77~CLIENT LIST ID 0~",
                "$0~~$0~~-ERR Invalid client ID~");
    client_asks(&c, "CLIENT LIST TYPE foo~CLIENT LIST foo~CLIENT LIST ID~",
                "-ERR Unknown client type 'foo'~-ERR syntax error~-ERR syntax error~");
    client_send(&c, shoal_text("CLIENT LIST ID 2 3\r\n"));
    command_box_settle(&box);
    assert_int_equal(count_lines(shoal_buffer_slice(&c.out)), 4);
    client_close(&e);
}

static void client_kill_reaches_every_worker(void **state)
{
    (void)state;
    client_asks(&c, "CLIENT KILL ID 2~", ":1~");
    assert_null(d.session);
    client_asks(&c, "CLIENT KILL ID 2~CLIENT KILL 1.1.1.1:1~CLIENT KILL TYPE normal~",
                ":0~-ERR No such client~:0~");
    client_asks(&c, "CLIENT KILL ID x~CLIENT KILL foo bar~CLIENT KILL USER x~CLIENT KILL ID 1 x~",
                "-ERR client-id should be greater than 0~-ERR syntax error~"
                "-ERR No such user 'x'~-ERR syntax error~");
    client_asks(&c, "CLIENT KILL 127.0.0.1:50000~PING~", "+OK~");
    assert_null(c.session);
}

static void killed_while_held(void *context)
{
    (void)context;
    client_send(&d, shoal_text("SET k 1\r\nPING\r\n"));
    assert_int_equal(d.feed, SHOAL_FEED_PARKED);
    client_asks(&c, "CLIENT KILL ID 2~", ":1~");
    assert_null(d.session);
}

static void a_parked_client_can_be_killed(void **state)
{
    (void)state;
    command_box_hold(&box, "k", killed_while_held, NULL);
    client_asks(&c, "GET k~", "$1~1~");
    client_got(&d, "");
}

static void a_session_may_close_while_its_tour_is_on_the_way(void **state)
{
    (void)state;
    client_send(&c, shoal_text("CLIENT LIST\r\n"));
    client_close(&c);
    command_box_settle(&box);
}

/* ---- background work ---- */

static void a_sleeping_worker_is_woken_to_reap(void **state)
{
    (void)state;
    char line[] = "SET key00 1 PX 20\r\n";
    for (int i = 0; i < 100; i++) {
        line[7] = (char)('0' + i / 10), line[8] = (char)('0' + i % 10);
        client_send(&c, shoal_text(line));
    }
    for (int round = 0; round < 500 && shoal_store_count(box.env.store, 0) != 0; round++) {
        command_box_sleep(&box, 1);
        for (uint32_t i = 0; i < 3; i++) {
            bool due = box.deadlines[i] <= box.now.mono_us || box.nudged >> (1 + i) & 1;
            if (due) command_box_round(&box, i);
        }
    }
    assert_int_equal(shoal_store_count(box.env.store, 0), 0);
}

static void put_late_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("SET k 1 PX 20\r\n"));
    client_got(&c, "");
    /* The background work that the write asked for comes and goes before the write runs. */
    for (int i = 0; i < 20; i++) {
        command_box_sleep(&box, 1);
        if (box.deadlines[0] <= box.now.mono_us) command_box_round(&box, 0);
    }
    assert_true(box.deadlines[0] == SHOAL_NEVER);
}

static void a_write_that_ran_late_is_reaped_in_time(void **state)
{
    (void)state;
    command_box_hold(&box, "k", put_late_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "+OK~");
    for (int i = 0; i < 500 && shoal_store_count(box.env.store, 0) != 0; i++) {
        command_box_sleep(&box, 1);
        if (box.deadlines[0] <= box.now.mono_us) command_box_round(&box, 0);
    }
    assert_int_equal(shoal_store_count(box.env.store, 0), 0);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(a_write_waits_for_the_gate_and_replies_keep_their_order),
        FACT(reads_of_one_key_need_no_gate),
        FACT(handed_over_writes_run_in_the_order_of_arrival),
        FACT(a_session_may_close_while_its_write_waits),
        FACT(a_session_may_close_between_answer_and_feed),
        FACT(a_flush_waits_for_a_held_slot_and_no_other),
        FACT(a_flush_may_meet_several_held_slots),
        FACT(a_skipped_reply_is_skipped_after_parking_too),
        FACT(control_commands_carry_their_arguments_and_wait),
        FACT(control_may_close_behind_its_reply),
        FACT(a_session_may_close_while_control_has_its_errand),
        FACT(errors_of_control_are_counted),
        FACT(client_list_shows_the_clients_of_every_worker),
        FACT(client_kill_reaches_every_worker),
        FACT(a_parked_client_can_be_killed),
        FACT(a_session_may_close_while_its_tour_is_on_the_way),
        FACT(a_sleeping_worker_is_woken_to_reap),
        FACT(a_write_that_ran_late_is_reaped_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
