/* SPDX-License-Identifier: MIT
 *
 * Transactions: what is queued and what is refused, EXEC as one piece, the pieces around commands
 * of other actors, WATCH to the key and to the moment, and gates that others hold meanwhile.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/route.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c, d;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 2, false);
    client_open(&c, &box, 0);
    client_open(&d, &box, 1);
    return 0;
}

static int open_cluster(void **state)
{
    (void)state;
    command_box_open(&box, 1, true);
    client_open(&c, &box, 0);
    client_open(&d, &box, 0);
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

/* ---- queueing ---- */

static void commands_wait_for_exec_and_answer_in_order(void **state)
{
    (void)state;
    client_asks(&c, "MULTI~SET a 1~INCR a~GET b~MGET a b~EXEC~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*4~+OK~:2~$-1~*2~$1~2~$-1~");
    client_asks(&c, "MULTI~EXEC~", "+OK~*0~");
}

static void nothing_runs_before_exec_nor_after_discard(void **state)
{
    (void)state;
    client_asks(&c, "MULTI~SET a 1~", "+OK~+QUEUED~");
    client_asks(&d, "GET a~", "$-1~");
    client_asks(&c, "DISCARD~GET a~EXEC~DISCARD~",
                "+OK~$-1~-ERR EXEC without MULTI~-ERR DISCARD without MULTI~");
}

static void a_command_that_cannot_be_queued_aborts(void **state)
{
    (void)state;
    const char *aborted = "-EXECABORT Transaction discarded because of previous errors.~";
    char wanted[300];
    snprintf(wanted, sizeof(wanted),
             "+OK~-ERR wrong number of arguments for 'get' command~+QUEUED~%s", aborted);
    client_asks(&c, "MULTI~GET~SET a 1~EXEC~", wanted);
    snprintf(wanted, sizeof(wanted),
             "+OK~-ERR unknown command 'nope', with args beginning with: ~%s", aborted);
    client_asks(&c, "MULTI~nope~EXEC~", wanted);
    client_asks(
        &c, "MULTI~SET a 1~EXEC x~EXEC~",
        "+OK~+QUEUED~-EXECABORT Transaction discarded because of: wrong number of arguments "
        "for 'exec' command~-ERR EXEC without MULTI~");
    client_asks(&c, "GET a~", "$-1~");
}

static void nesting_and_watching_inside_are_refused_without_harm(void **state)
{
    (void)state;
    client_asks(&c, "MULTI~MULTI~WATCH a~PING~EXEC~",
                "+OK~-ERR MULTI calls can not be nested~-ERR WATCH inside MULTI is not allowed~"
                "+QUEUED~*1~+PONG~");
}

static void an_error_inside_stops_nothing(void **state)
{
    (void)state;
    client_asks(&c, "SET a x~MULTI~INCR a~SET b 1~EXEC~",
                "+OK~+OK~+QUEUED~+QUEUED~*2~-ERR value is not an integer or out of range~+OK~");
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_INCR).failed, 1);
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_INCR).calls, 1);
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_EXEC).failed, 0);
    assert_int_equal(shoal_stat_sum(&box.env, SHOAL_STAT_ERROR_ERR), 1);
}

static void reset_and_quit_run_at_once(void **state)
{
    (void)state;
    client_asks(&c, "WATCH a~MULTI~SET a 1~RESET~EXEC~",
                "+OK~+OK~+QUEUED~+RESET~-ERR EXEC without MULTI~");
    client_asks(&c, "MULTI~QUIT~", "+OK~+OK~");
    assert_null(c.session);
}

static void select_inside_holds_for_what_follows(void **state)
{
    (void)state;
    client_asks(&c, "MULTI~SET a 0~SELECT 1~SET a 1~SELECT 9~SELECT x~GET a~SELECT 0~GET a~EXEC~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~"
                "*8~+OK~+OK~+OK~-ERR DB index is out of range~"
                "-ERR value is not an integer or out of range~$1~1~+OK~$1~0~");
    client_asks(&c, "MULTI~SELECT 1~EXEC~GET a~", "+OK~+QUEUED~*1~+OK~$1~1~");
}

static void a_silent_client_hears_nothing_of_its_transaction(void **state)
{
    (void)state;
    client_asks(&c, "CLIENT REPLY OFF~MULTI~SET a 1~FLUSHALL~SET a 2~EXEC~CLIENT REPLY ON~GET a~",
                "+OK~$1~2~");
}

static void the_client_list_shows_transactions(void **state)
{
    (void)state;
    client_asks(&d, "WATCH k~", "+OK~");
    client_asks(&c, "SET k 1~MULTI~PING~PING~", "+OK~+OK~+QUEUED~+QUEUED~");
    client_asks(&d, "PING~", "+PONG~");
    client_send(&d, shoal_text("CLIENT LIST\r\n"));
    command_box_settle(&box);
    shoal_slice got = shoal_buffer_slice(&d.out);
    assert_true(shoal_text_find(got, shoal_text(" flags=x ")) != SHOAL_TEXT_NONE);
    assert_true(shoal_text_find(got, shoal_text(" flags=d ")) != SHOAL_TEXT_NONE);
    assert_true(shoal_text_find(got, shoal_text(" multi=2 ")) != SHOAL_TEXT_NONE);
    assert_true(shoal_text_find(got, shoal_text(" multi=-1 ")) != SHOAL_TEXT_NONE);
}

static void a_queue_has_a_limit(void **state)
{
    (void)state;
    box.settings.query_size_max = 1000;
    client_asks(&c, "MULTI~", "+OK~");
    for (int i = 0; i < 100 && box.heap.blocks > 0; i++) client_send(&c, shoal_text("GET a\r\n"));
    shoal_slice got = shoal_buffer_slice(&c.out);
    assert_true(shoal_text_find(got, shoal_text("-OOM")) != SHOAL_TEXT_NONE);
    shoal_buffer_consume(&c.out, got.size);
    client_asks(&c, "EXEC~", "-EXECABORT Transaction discarded because of previous errors.~");
}

/* ---- other actors ---- */

static void flushes_take_their_turn(void **state)
{
    (void)state;
    client_asks(&c, "MULTI~SET a 1~FLUSHALL~DBSIZE~SET a 2~EXEC~GET a~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*4~+OK~+OK~:0~+OK~$1~2~");
}

static void answer(const char *text)
{
    shoal_op *op = shoal_inbox_take(&box.control);
    assert_non_null(op);
    shoal_errand *errand = (shoal_errand *)op;
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    if (text[0] == '-') {
        shoal_reply_error(&reply, text + 1);
    } else {
        shoal_reply_text(&reply, text);
    }
    shoal_errand_finish(errand);
    command_box_settle(&box);
}

static void the_control_actor_takes_its_turn(void **state)
{
    (void)state;
    client_asks(&c, "MULTI~SET a 1~INFO~GET a~CONFIG SET x y~CLIENT LIST ID 77~EXEC~GET b~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*5~+OK~");
    client_asks(&d, "GET a~SET a 2~", "$1~1~+OK~");
    answer("facts");
    client_got(&c, "$5~facts~$1~2~");
    answer("-ERR no");
    client_got(&c, "-ERR no~$0~~$-1~");
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_CONFIG_SET).failed, 1);
}

static void a_session_may_close_while_its_transaction_waits(void **state)
{
    (void)state;
    client_asks(&c, "MULTI~SET a 1~INFO~SET a 2~EXEC~", "+OK~+QUEUED~+QUEUED~+QUEUED~*3~+OK~");
    client_close(&c);
    answer("nobody reads this");
    client_asks(&d, "GET a~", "$1~1~");
}

static void killing_oneself_ends_the_transaction(void **state)
{
    (void)state;
    client_asks(&c, "MULTI~SET a 1~CLIENT KILL ID 1 SKIPME no~SET a 2~EXEC~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~*3~+OK~:1~");
    assert_null(c.session);
    client_asks(&d, "GET a~", "$1~1~");
}

/* ---- gates ---- */

static void exec_while_held(void *context)
{
    (void)context;
    client_asks(&c, "MULTI~SET k 1~PING~SELECT 1~GET k~CLIENT ID~EXEC~GET k~",
                "+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~");
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
}

static void a_transaction_waits_for_a_gate_and_keeps_its_order(void **state)
{
    (void)state;
    command_box_hold(&box, "k", exec_while_held, NULL);
    command_box_settle(&box);
    client_got(&c, "*5~+OK~+PONG~+OK~$-1~:1~$-1~");
    client_asks(&c, "SELECT 0~GET k~", "+OK~$1~1~");
    assert_int_equal(shoal_command_count_get(&box.env, SHOAL_COMMAND_SET).calls, 1);
}

static void close_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("WATCH w\r\nMULTI\r\nSET k 1\r\nEXEC\r\n"));
    client_close(&c);
}

static void a_session_may_close_while_its_piece_is_handed_over(void **state)
{
    (void)state;
    command_box_hold(&box, "k", close_while_held, NULL);
    client_asks(&d, "GET k~", "$1~1~");
}

static void watch_while_held(void *context)
{
    (void)context;
    client_send(&c, shoal_text("WATCH k\r\n"));
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
    client_close(&c);
    client_asks(&d, "WATCH k~", "");
}

static void a_watch_may_be_handed_over_and_its_session_close(void **state)
{
    (void)state;
    command_box_hold(&box, "k", watch_while_held, NULL);
    command_box_settle(&box);
    client_got(&d, "+OK~");
    client_asks(&d, "SET k 1~MULTI~EXEC~", "+OK~+OK~*-1~");
}

/* ---- WATCH ---- */

static void a_watched_key_that_changes_makes_exec_null(void **state)
{
    (void)state;
    client_asks(&c, "WATCH a b~", "+OK~");
    client_asks(&d, "SET other 1~GET a~DEL a~", "+OK~$-1~:0~");
    client_asks(&c, "MULTI~PING~EXEC~WATCH a b~", "+OK~+QUEUED~*1~+PONG~+OK~");
    client_asks(&d, "SET b 1~", "+OK~");
    client_asks(&c, "MULTI~SET a 1~EXEC~GET a~", "+OK~+QUEUED~*-1~$-1~");
    client_asks(&c, "HELLO 3~",
                "%7~$6~server~$5~redis~$7~version~$6~7.0.15~$5~proto~:3~$2~id~:1~"
                "$4~mode~$10~standalone~$4~role~$6~master~$7~modules~*0~");
    client_asks(&c, "WATCH a~SET a 2~MULTI~PING~EXEC~", "+OK~+OK~+OK~+QUEUED~_~");
}

static void every_kind_of_change_counts(void **state)
{
    (void)state;
    static const char *const changes[] = {"SET k 2~",       "APPEND k x~",      "DEL k~",
                                          "UNLINK k~",      "EXPIRE k 100~",    "RENAME k m~",
                                          "GETDEL k~",      "INCR k~",          "FLUSHALL ASYNC~",
                                          "FLUSHDB ASYNC~", "SETEX k 9 x~",     "SETRANGE k 0 y~",
                                          "MOVE k 1~",      "GETSET k 7~",      "GETEX k EX 10~",
                                          "MSET z 1 k 1~",  "COPY z k REPLACE~"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        client_asks(&c, "FLUSHALL ASYNC~SET z 1~SET k 1~WATCH k~", "+OK~+OK~+OK~+OK~");
        client_send(&d, shoal_text("PING\r\n"));
        char line[64];
        snprintf(line, sizeof(line), "%.*s\r\n", (int)strlen(changes[i]) - 1, changes[i]);
        client_send(&d, shoal_text(line));
        command_box_settle(&box);
        shoal_buffer_consume(&d.out, shoal_buffer_size(&d.out));
        client_asks(&c, "MULTI~PING~EXEC~", "+OK~+QUEUED~*-1~");
    }
}

static void what_leaves_the_key_as_it_was_does_not_count(void **state)
{
    (void)state;
    client_asks(&c, "SET k 1~WATCH k none~", "+OK~+OK~");
    client_asks(&d, "GET k~TYPE k~PERSIST k~SETNX k 2~DEL none~TTL k~EXISTS k none~TOUCH k~",
                "$1~1~+string~:0~:0~:0~:-1~:1~:1~");
    client_asks(&c, "MULTI~PING~EXEC~", "+OK~+QUEUED~*1~+PONG~");
}

static void keys_of_other_databases_are_others(void **state)
{
    (void)state;
    client_asks(&c, "SELECT 1~SET x 1~WATCH x~SELECT 0~SET x 2~MULTI~PING~EXEC~",
                "+OK~+OK~+OK~+OK~+OK~+OK~+QUEUED~*1~+PONG~");
    client_asks(&c, "SELECT 1~WATCH x~SELECT 0~WATCH x~", "+OK~+OK~+OK~+OK~");
    client_asks(&d, "SELECT 1~SET x 3~", "+OK~+OK~");
    client_asks(&c, "MULTI~PING~EXEC~", "+OK~+QUEUED~*-1~");
}

static void a_flush_does_not_touch_what_was_not_there(void **state)
{
    (void)state;
    client_asks(&c, "SET k 1~WATCH none~FLUSHALL~MULTI~PING~EXEC~",
                "+OK~+OK~+OK~+OK~+QUEUED~*1~+PONG~");
    client_asks(&c, "SET k 1~WATCH k~FLUSHDB~MULTI~PING~EXEC~", "+OK~+OK~+OK~+OK~+QUEUED~*-1~");
}

static void a_watched_key_that_expires_makes_exec_null(void **state)
{
    (void)state;
    client_asks(&c, "SET k 1 PX 10~WATCH k~", "+OK~+OK~");
    command_box_sleep(&box, 20);
    client_asks(&c, "MULTI~PING~EXEC~", "+OK~+QUEUED~*-1~");
    client_asks(&c, "SET k 1 PX 10~", "+OK~");
    command_box_sleep(&box, 20);
    /* One whose time had come before is as good as absent. */
    client_asks(&c, "WATCH k~DEL k~MULTI~PING~EXEC~", "+OK~:0~+OK~+QUEUED~*1~+PONG~");
}

static void unwatch_discard_and_reset_forget(void **state)
{
    (void)state;
    client_asks(&c, "WATCH k~SET k 1~UNWATCH~MULTI~PING~EXEC~",
                "+OK~+OK~+OK~+OK~+QUEUED~*1~+PONG~");
    client_asks(&c, "WATCH k~SET k 1~MULTI~DISCARD~MULTI~PING~EXEC~",
                "+OK~+OK~+OK~+OK~+OK~+QUEUED~*1~+PONG~");
    client_asks(&c, "WATCH k~SET k 1~RESET~MULTI~PING~EXEC~",
                "+OK~+OK~+RESET~+OK~+QUEUED~*1~+PONG~");
    client_asks(&c, "WATCH k~MULTI~UNWATCH~EXEC~UNWATCH~", "+OK~+OK~+QUEUED~*1~+OK~+OK~");
}

static void keys_may_be_watched_many_times(void **state)
{
    (void)state;
    client_asks(&c, "WATCH k k k l k~WATCH l k m~UNWATCH~WATCH k k~", "+OK~+OK~+OK~+OK~");
    client_asks(&d, "WATCH k l~SET k 1~MULTI~EXEC~", "+OK~+OK~+OK~*-1~");
    client_asks(&c, "WATCH l~MULTI~EXEC~", "+OK~+OK~*-1~");
}

static void without_memory_a_watch_is_refused_whole(void **state)
{
    (void)state;
    client_asks(&c, "WATCH k~", "+OK~");
    box.heap.fail_after = box.heap.calls + 1;
    client_asks(&c, "WATCH l m n~", "-OOM no memory left for this command~");
    box.heap.fail_after = 0;
    client_asks(&c, "MULTI~PING~EXEC~", "+OK~+QUEUED~*1~+PONG~");
}

/* ---- in a cluster ---- */

/* This node serves the slots of two keys and no other. */
static void serve(const char *one, const char *other)
{
    shoal_thread *thread = shoal_store_thread(box.env.store, box.env.worker_count);
    uint32_t slots[2] = {shoal_key_slot(shoal_text(one)), shoal_key_slot(shoal_text(other))};
    shoal_thread_enter(thread, box.now);
    shoal_route *route = shoal_route_make(box.env.store, 1);
    route->cluster = route->up = true;
    route->nodes[0].myself = true;
    for (int i = 0; i < 2; i++) {
        route->owner[slots[i]] = 1;
        shoal_store_set_owned(thread, slots[i], true);
    }
    shoal_store_publish_route(thread, route);
    shoal_thread_leave(thread);
}

static void keys_of_a_transaction_must_share_a_slot(void **state)
{
    (void)state;
    serve("a", "b");
    client_asks(&c, "MULTI~SET a 1~SET {a}b 2~EXEC~", "+OK~+QUEUED~+QUEUED~*2~+OK~+OK~");
    client_asks(&c, "MULTI~SET a 1~SET b 2~EXEC~EXEC~",
                "+OK~+QUEUED~+QUEUED~-CROSSSLOT Keys in request don't hash to the same slot~"
                "-ERR EXEC without MULTI~");
    client_asks(&c, "MULTI~SET a 1~SET c 2~EXEC~",
                "+OK~+QUEUED~-CLUSTERDOWN Hash slot not served~"
                "-EXECABORT Transaction discarded because of previous errors.~");
    client_asks(&c, "WATCH a b~WATCH a~WATCH b~SET b 1~MULTI~EXEC~",
                "-CROSSSLOT Keys in request don't hash to the same slot~+OK~+OK~+OK~+OK~*-1~");
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(commands_wait_for_exec_and_answer_in_order),
        FACT(nothing_runs_before_exec_nor_after_discard),
        FACT(a_command_that_cannot_be_queued_aborts),
        FACT(nesting_and_watching_inside_are_refused_without_harm),
        FACT(an_error_inside_stops_nothing),
        FACT(reset_and_quit_run_at_once),
        FACT(select_inside_holds_for_what_follows),
        FACT(a_silent_client_hears_nothing_of_its_transaction),
        FACT(the_client_list_shows_transactions),
        FACT(a_queue_has_a_limit),
        FACT(flushes_take_their_turn),
        FACT(the_control_actor_takes_its_turn),
        FACT(a_session_may_close_while_its_transaction_waits),
        FACT(killing_oneself_ends_the_transaction),
        FACT(a_transaction_waits_for_a_gate_and_keeps_its_order),
        FACT(a_session_may_close_while_its_piece_is_handed_over),
        FACT(a_watch_may_be_handed_over_and_its_session_close),
        FACT(a_watched_key_that_changes_makes_exec_null),
        FACT(every_kind_of_change_counts),
        FACT(what_leaves_the_key_as_it_was_does_not_count),
        FACT(keys_of_other_databases_are_others),
        FACT(a_flush_does_not_touch_what_was_not_there),
        FACT(a_watched_key_that_expires_makes_exec_null),
        FACT(unwatch_discard_and_reset_forget),
        FACT(keys_may_be_watched_many_times),
        FACT(without_memory_a_watch_is_refused_whole),
        cmocka_unit_test_setup_teardown(keys_of_a_transaction_must_share_a_slot, open_cluster,
                                        close_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
