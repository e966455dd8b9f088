/* SPDX-License-Identifier: MIT
 *
 * Waiting for keys: who is served, in which order and by what; timeouts, unblocking, disconnects;
 * gates that others hold meanwhile; slots that go away. The letters are the claims of
 * command/block.c.
 */
#include "command/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/text.h"
#include "store/route.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client a, b, c, d;

static int open_with(uint32_t workers, bool cluster)
{
    command_box_open(&box, workers, cluster);
    client_open(&a, &box, 0);
    client_open(&b, &box, workers - 1);
    client_open(&c, &box, 0);
    client_open(&d, &box, workers - 1);
    return 0;
}

static int open_box(void **state)
{
    (void)state;
    return open_with(2, false);
}

static int open_cluster(void **state)
{
    (void)state;
    return open_with(1, true);
}

static int close_box(void **state)
{
    (void)state;
    client_close(&a);
    client_close(&b);
    client_close(&c);
    client_close(&d);
    command_box_settle(&box);
    assert_int_equal(shoal_load_relaxed(&box.env.blocked), 0);
    command_box_close(&box);
    return 0;
}

static uint32_t blocked(void)
{
    return shoal_load_relaxed(&box.env.blocked);
}

/* Lets time pass and runs the workers whose time has come. */
static void pass(int64_t milliseconds)
{
    command_box_sleep(&box, milliseconds);
    command_box_settle(&box);
}

/* ---- being served ---- */

static void who_waits_is_served_by_the_next_push(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 0~PING~", "");
    assert_int_equal(a.feed, SHOAL_FEED_BLOCKED);
    assert_int_equal(blocked(), 1);
    client_asks(&d, "RPUSH k x y~", ":2~");
    client_got(&a, "*2~$1~k~$1~x~+PONG~");
    assert_int_equal(blocked(), 0);
    client_asks(&d, "LRANGE k 0 -1~", "*1~$1~y~");
}

static void what_is_there_is_taken_at_once(void **state)
{
    (void)state;
    client_asks(&d, "RPUSH l x~", ":1~");
    client_asks(&a, "BLPOP k l 0~", "*2~$1~l~$1~x~");
    assert_int_equal(blocked(), 0);
}

/* B5 */
static void waiters_are_served_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    client_asks(&b, "BRPOP k 0~", "");
    client_asks(&a, "BLPOP j k 0~", "");
    client_asks(&c, "BLPOP k 0~", "");
    client_asks(&d, "RPUSH k 1 2~", ":2~");
    client_got(&b, "*2~$1~k~$1~2~");
    client_got(&a, "*2~$1~k~$1~1~");
    client_got(&c, "");
    client_asks(&d, "RPUSH k 3~", ":1~");
    client_got(&c, "*2~$1~k~$1~3~");
}

/* B5: who waits for several keys keeps its place at each. */
static void a_place_in_the_order_is_kept_through_vain_runs(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 0~", "");
    client_asks(&b, "BLPOP k 0~", "");
    client_asks(&d, "MULTI~RPUSH k x~DEL k~EXEC~", "+OK~+QUEUED~+QUEUED~*2~:1~:1~");
    client_asks(&d, "MULTI~RPUSH k x~SET k x~EXEC~DEL k~", "+OK~+QUEUED~+QUEUED~*2~:1~+OK~:1~");
    assert_int_equal(blocked(), 2);
    client_asks(&d, "RPUSH k 1 2~", ":2~");
    client_got(&a, "*2~$1~k~$1~1~");
    client_got(&b, "*2~$1~k~$1~2~");
}

static void the_key_that_came_first_serves(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k1 k2 k3 0~", "");
    client_asks(&d, "MULTI~RPUSH k2 2~RPUSH k1 1~EXEC~", "+OK~+QUEUED~+QUEUED~*2~:1~:1~");
    client_got(&a, "*2~$2~k2~$1~2~");
    client_asks(&d, "LLEN k1~", ":1~");
}

static void a_key_named_twice_is_waited_for_once(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k k l k 0~", "");
    client_asks(&d, "RPUSH k 1 2~", ":2~");
    client_got(&a, "*2~$1~k~$1~1~");
    client_asks(&d, "LRANGE k 0 -1~", "*1~$1~2~");
}

static void keys_of_another_type_are_waited_through(void **state)
{
    (void)state;
    client_asks(&a, "SET k x~BLPOP k 0~BLPOP j k 0~DEL k~",
                "+OK~-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~:1~");
    client_asks(&a, "BLPOP k j 0~", "");
    client_asks(&d, "SET k x~RPUSH j y~", "+OK~:1~");
    client_got(&a, "*2~$1~j~$1~y~");
}

static void what_is_moved_serves_who_waits_for_it(void **state)
{
    (void)state;
    client_asks(&a, "BLMOVE k l LEFT RIGHT 0~", "");
    client_asks(&b, "BLMOVE l m LEFT RIGHT 0~", "");
    client_asks(&c, "BLPOP m 0~", "");
    client_asks(&d, "RPUSH k x~", ":1~");
    client_got(&a, "$1~x~");
    client_got(&b, "$1~x~");
    client_got(&c, "*2~$1~m~$1~x~");
    client_asks(&d, "EXISTS k l m~", ":0~");
}

static void a_new_name_serves_too(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 0~", "");
    client_asks(&d, "RPUSH l x~RENAME l k~", ":1~+OK~");
    client_got(&a, "*2~$1~k~$1~x~");
    client_asks(&a, "BLPOP k 0~", "");
    client_asks(&d, "RPUSH l y~COPY l k~", ":1~:1~");
    client_got(&a, "*2~$1~k~$1~y~");
}

static void inside_a_transaction_nobody_waits(void **state)
{
    (void)state;
    client_asks(&a, "MULTI~BLPOP k 0~BLMOVE k l LEFT LEFT 0~RPUSH k x~BLPOP k 0~EXEC~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*4~*-1~$-1~:1~*2~$1~k~$1~x~");
}

/* B6: a thousand waiters, one handler for each element. */
static void a_push_runs_one_of_a_thousand_waiters(void **state)
{
    (void)state;
    enum { WAITERS = 1000 };
    box.settings.clients_max = WAITERS + 10;
    command_client *crowd = calloc(WAITERS, sizeof(*crowd));
    for (int i = 0; i < WAITERS; i++) {
        client_open(&crowd[i], &box, (uint32_t)i % 2);
        client_send(&crowd[i], shoal_text("BLPOP k 0\r\n"));
    }
    command_box_settle(&box);
    assert_int_equal(blocked(), WAITERS);
    shoal_store_stats before, after;
    shoal_store_stats_get(box.env.store, &before);
    client_asks(&d, "RPUSH k 1 2 3~", ":3~");
    shoal_store_stats_get(box.env.store, &after);
    assert_int_equal(blocked(), WAITERS - 3);
    /* Each that runs is handed over to the gate once. */
    assert_in_range(after.handed_over - before.handed_over, 3, 6);
    for (int i = 0; i < 3; i++) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "*2~$1~k~$1~%d~", i + 1);
        client_got(&crowd[i], wanted);
    }
    for (int i = 0; i < WAITERS; i++) client_close(&crowd[i]);
    free(crowd);
}

/* ---- not being served ---- */

static void a_timeout_answers_null_and_nobody_waits_any_longer(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 1.5~PING~", "");
    assert_true(box.deadlines[0] <= box.now.mono_us + 1500000);
    client_asks(&b, "BLMOVE k l LEFT LEFT 0.001~", "");
    pass(1);
    client_got(&b, "*-1~");
    pass(1498);
    client_got(&a, "");
    pass(1);
    client_got(&a, "*-1~+PONG~");
    client_asks(&d, "RPUSH k x~LLEN k~", ":1~:1~");
    assert_int_equal(blocked(), 0);
}

static void timeouts_come_in_their_order(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 3~", "");
    client_asks(&c, "BLPOP k 1~", "");
    client_asks(&b, "BLPOP k 2~", "");
    assert_true(box.deadlines[0] <= box.now.mono_us + 1000000);
    pass(1000);
    client_got(&c, "*-1~");
    pass(1000);
    client_got(&b, "*-1~");
    client_asks(&d, "RPUSH k x~", ":1~");
    client_got(&a, "*2~$1~k~$1~x~");
}

static void timeouts_must_be_numbers_that_can_be(void **state)
{
    (void)state;
    client_asks(
        &a, "BLPOP k x~BLPOP k -1~BLPOP k nan~BLPOP k 1e30~BLPOP k inf~BLPOP k 0x7FFFFFFFFFFFFFFF~",
        "-ERR timeout is not a float or out of range~-ERR timeout is negative~"
        "-ERR timeout is not a float or out of range~-ERR timeout is out of range~"
        "-ERR timeout is out of range~-ERR timeout is out of range~");
    client_asks(&a, "BLPOP k 0x1~", "");
    pass(1000);
    client_got(&a, "*-1~");
    client_asks(&a, "BLPOP k 0.0001~", "");
    pass(1);
    client_got(&a, "*-1~");
    client_asks(&a, "HELLO 3~",
                "%7~$6~server~$5~redis~$7~version~$6~7.0.15~$5~proto~:3~$2~id~:1~"
                "$4~mode~$10~standalone~$4~role~$6~master~$7~modules~*0~");
    client_asks(&a, "BLPOP k 0.001~", "");
    pass(1);
    client_got(&a, "_~");
}

static void clients_can_be_unblocked_by_others(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 0~", "");
    client_asks(&b, "BLPOP k 0~", "");
    client_asks(&d, "CLIENT UNBLOCK 1~CLIENT UNBLOCK 2 ERROR~CLIENT UNBLOCK 1~CLIENT UNBLOCK 3~",
                ":1~:1~:0~:0~");
    client_got(&a, "*-1~");
    client_got(&b, "-UNBLOCKED client unblocked via CLIENT UNBLOCK~");
    client_asks(&d, "CLIENT UNBLOCK x~CLIENT UNBLOCK 1 foo~CLIENT UNBLOCK 99 TIMEOUT~",
                "-ERR value is not an integer or out of range~"
                "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR~:0~");
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_BLPOP).failed, 1);
}

static void who_is_gone_takes_nothing(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 0~", "");
    client_asks(&b, "BLPOP k 0~", "");
    client_close(&a);
    client_asks(&d, "CLIENT KILL ID 2~", ":1~");
    assert_null(b.session);
    assert_int_equal(blocked(), 0);
    client_asks(&d, "RPUSH k x~LLEN k~", ":1~:1~");
}

static void what_is_sent_while_waiting_is_kept(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 0~", "");
    client_asks(&a, "PING~ECHO ", "");
    assert_int_equal(a.feed, SHOAL_FEED_BLOCKED);
    client_asks(&a, "x~", "");
    client_asks(&d, "RPUSH k y~", ":1~");
    client_got(&a, "*2~$1~k~$1~y~+PONG~$1~x~");
}

static void the_client_list_shows_who_waits(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 0~", "");
    client_send(&d, shoal_text("CLIENT LIST ID 1\r\n"));
    command_box_settle(&box);
    shoal_slice got = shoal_buffer_slice(&d.out);
    assert_true(shoal_text_find(got, shoal_text(" flags=b ")) != SHOAL_TEXT_NONE);
    assert_true(shoal_text_find(got, shoal_text(" cmd=blpop ")) != SHOAL_TEXT_NONE);
}

static void without_memory_nobody_waits(void **state)
{
    (void)state;
    for (int64_t after = 1; after < 5; after++) {
        box.heap.fail_after = box.heap.calls + after;
        client_send(&a, shoal_text("BLPOP k l m 0\r\n"));
        box.heap.fail_after = 0;
        command_box_settle(&box);
        shoal_slice got = shoal_buffer_slice(&a.out);
        if (got.size == 0) break; /* there was enough */
        assert_true(shoal_text_find(got, shoal_text("-OOM")) == 0);
        shoal_buffer_consume(&a.out, got.size);
        assert_int_equal(blocked(), 0);
    }
}

/* ---- gates that others hold ---- */

static void block_while_held(void *context)
{
    (void)context;
    client_asks(&a, "BLPOP k 1~PING~", "");
    assert_int_equal(a.feed, SHOAL_FEED_PARKED);
    assert_int_equal(blocked(), 0);
}

static void one_may_begin_to_wait_on_another_thread(void **state)
{
    (void)state;
    command_box_hold(&box, "k", block_while_held, NULL);
    assert_int_equal(blocked(), 1);
    command_box_settle(&box);
    assert_int_equal(a.feed, SHOAL_FEED_BLOCKED);
    pass(1000);
    client_got(&a, "*-1~+PONG~");
    command_box_hold(&box, "k", block_while_held, NULL);
    command_box_settle(&box);
    client_asks(&d, "RPUSH k x~", ":1~");
    client_got(&a, "*2~$1~k~$1~x~+PONG~");
}

static void end_while_held(void *context)
{
    client_asks(&a, "BLPOP k 1~PING~", "");
    if (context == NULL) client_close(&a);
}

/* B4: gone before its first run, it runs, but does not wait. */
static void one_may_be_gone_before_it_waits(void **state)
{
    (void)state;
    command_box_hold(&box, "k", end_while_held, NULL);
    command_box_settle(&box);
    assert_int_equal(blocked(), 0);
}

static void time_runs_out_while_held(void *context)
{
    (void)context;
    client_asks(&d, "RPUSH k x~", "");
    pass(1000);
    client_got(&a, "");
}

/* B4: the element and the timeout are under way at once; one of them is the answer. */
static void a_late_push_and_a_timeout_give_one_answer(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 1~PING~", "");
    command_box_hold(&box, "k", time_runs_out_while_held, NULL);
    command_box_settle(&box);
    client_got(&a, "*-1~+PONG~");
    client_got(&d, ":1~");
    client_asks(&d, "LLEN k~", ":1~");
}

static void unblock_while_held(void *context)
{
    (void)context;
    client_asks(&d, "CLIENT UNBLOCK 1~CLIENT UNBLOCK 1~", ":1~:0~");
    client_got(&a, "");
    client_close(&a);
}

static void one_may_be_unblocked_and_gone_while_the_gate_is_held(void **state)
{
    (void)state;
    client_asks(&a, "BLPOP k 1~PING~", "");
    client_asks(&b, "BLPOP k 0~", "");
    command_box_hold(&box, "k", unblock_while_held, NULL);
    command_box_settle(&box);
    client_asks(&d, "RPUSH k x~", ":1~");
    client_got(&b, "*2~$1~k~$1~x~");
}

static void push_both_while_held(void *context)
{
    (void)context;
    /* b waits at the gate of k2 with that of k1 in its hands. */
    client_asks(&d, "RPUSH k1 x~", ":1~");
    client_got(&b, "");
}

/* B5: who has been woken for another key does not overtake. */
static void nobody_is_overtaken_by_way_of_another_key(void **state)
{
    (void)state;
    assert_true(shoal_key_slot(shoal_text("k1")) < shoal_key_slot(shoal_text("k2")) ||
                shoal_key_slot(shoal_text("k1")) > shoal_key_slot(shoal_text("k2")));
    client_asks(&b, "BLPOP k1 k2 0~", "");
    client_asks(&a, "BLPOP k1 k3 0~", "");
    command_box_hold(&box, "k2", push_both_while_held, NULL);
    command_box_settle(&box);
    client_got(&b, "*2~$2~k1~$1~x~");
    client_asks(&d, "RPUSH k3 y~", ":1~");
    client_got(&a, "*2~$2~k3~$1~y~");
}

/* ---- in a cluster ---- */

static void serve(const char *key, bool ours)
{
    shoal_thread *thread = shoal_store_thread(box.env.store, box.env.worker_count);
    uint32_t slot = shoal_key_slot(shoal_text(key));
    shoal_thread_enter(thread, box.now);
    shoal_route *route = shoal_route_make(box.env.store, 2);
    route->cluster = route->up = true;
    route->nodes[0].myself = true;
    memcpy(route->nodes[1].endpoint, "10.0.0.2", 9);
    route->nodes[1].port = 7001;
    route->owner[slot] = ours ? 1 : 2;
    shoal_store_set_owned(thread, slot, ours);
    shoal_store_publish_route(thread, route);
    shoal_thread_leave(thread);
}

static void who_waits_in_a_slot_that_goes_away_is_redirected(void **state)
{
    (void)state;
    serve("k", true);
    client_asks(&a, "BLPOP k 0~PING~", "");
    client_asks(&b, "BLPOP {k}x k 0~", "");
    serve("k", false);
    shoal_block_look_again(&box.env);
    command_box_settle(&box);
    client_got(&a, "-MOVED 7629 10.0.0.2:7001~+PONG~");
    client_got(&b, "-MOVED 7629 10.0.0.2:7001~");
    assert_int_equal(blocked(), 0);
}

static void who_waits_elsewhere_waits_on_when_a_slot_goes_away(void **state)
{
    (void)state;
    serve("k", true);
    client_asks(&a, "BLPOP k 0~", "");
    shoal_block_look_again(&box.env);
    command_box_settle(&box);
    client_got(&a, "");
    assert_int_equal(blocked(), 1);
    client_asks(&b, "RPUSH k v~", ":1~");
    client_got(&a, "*2~$1~k~$1~v~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(who_waits_is_served_by_the_next_push),
        FACT(what_is_there_is_taken_at_once),
        FACT(waiters_are_served_in_the_order_in_which_they_came),
        FACT(a_place_in_the_order_is_kept_through_vain_runs),
        FACT(the_key_that_came_first_serves),
        FACT(a_key_named_twice_is_waited_for_once),
        FACT(keys_of_another_type_are_waited_through),
        FACT(what_is_moved_serves_who_waits_for_it),
        FACT(a_new_name_serves_too),
        FACT(inside_a_transaction_nobody_waits),
        FACT(a_push_runs_one_of_a_thousand_waiters),
        FACT(a_timeout_answers_null_and_nobody_waits_any_longer),
        FACT(timeouts_come_in_their_order),
        FACT(timeouts_must_be_numbers_that_can_be),
        FACT(clients_can_be_unblocked_by_others),
        FACT(who_is_gone_takes_nothing),
        FACT(what_is_sent_while_waiting_is_kept),
        FACT(the_client_list_shows_who_waits),
        FACT(without_memory_nobody_waits),
        FACT(one_may_begin_to_wait_on_another_thread),
        FACT(one_may_be_gone_before_it_waits),
        FACT(a_late_push_and_a_timeout_give_one_answer),
        FACT(one_may_be_unblocked_and_gone_while_the_gate_is_held),
        FACT(nobody_is_overtaken_by_way_of_another_key),
        cmocka_unit_test_setup_teardown(who_waits_in_a_slot_that_goes_away_is_redirected,
                                        open_cluster, close_box),
        cmocka_unit_test_setup_teardown(who_waits_elsewhere_waits_on_when_a_slot_goes_away,
                                        open_cluster, close_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
