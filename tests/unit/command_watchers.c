/* SPDX-License-Identifier: MIT
 *
 * What watches commands: the clock that a host lends, with the slow log, latency events and
 * histograms made of it; MONITOR; CLIENT PAUSE. The clock of these tests moves by a millisecond
 * whenever it is read, so that durations count readings.
 */
#include <string.h>

#include "base/atomic.h"
#include "command/worker.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client a, b;
static int64_t readings;

static int64_t clock_ns(void *context)
{
    (void)context;
    return ++readings * 1000000;
}

static int open_box(void **state)
{
    (void)state;
    readings = 0;
    command_box_open(&box, 2, false);
    box.host.clock_ns = clock_ns;
    box.settings.timed = box.settings.latency_tracking = true;
    box.settings.slow_us = -1;
    box.settings.slow_max = 4;
    client_open(&a, &box, 0);
    client_open(&b, &box, 1);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    client_close(&a);
    client_close(&b);
    command_box_settle(&box);
    assert_int_equal(shoal_load_relaxed(&box.env.monitors), 0);
    assert_int_equal(shoal_load_relaxed(&box.env.blocked), 0);
    command_box_close(&box);
    return 0;
}

static uint64_t took_ns(shoal_command_id id)
{
    return shoal_command_count_get(&box.env, id).took_ns;
}

/* ---- the clock ---- */

static void a_command_takes_the_time_between_two_readings(void **state)
{
    (void)state;
    client_asks(&a, "GET k~", "$-1~");
    assert_int_equal(took_ns(SHOAL_COMMAND_GET), 1000000);
    client_asks(&a, "LRANGE k 0 1~", "*0~");
    assert_int_equal(took_ns(SHOAL_COMMAND_LRANGE), 1000000);
}

static void brief_commands_of_a_pipeline_share_two_readings(void **state)
{
    (void)state;
    client_asks(&a, "GET k~GET k~PING~GET k~", "$-1~$-1~+PONG~$-1~");
    assert_int_equal(readings, 2);
    assert_int_equal(took_ns(SHOAL_COMMAND_GET), 750000);
    assert_int_equal(took_ns(SHOAL_COMMAND_PING), 250000);
}

static void shares_add_up_to_the_whole(void **state)
{
    (void)state;
    client_asks(&a, "SET k v~", "+OK~");
    readings = 0;
    client_asks(&a, "GET k~GET k~STRLEN k~GET k~STRLEN k~PING~PING~",
                "$1~v~$1~v~:1~$1~v~:1~+PONG~+PONG~");
    assert_int_equal(readings, 2);
    /* 142,857 each; one is left, and the last has it. */
    assert_int_equal(took_ns(SHOAL_COMMAND_GET), 3 * 142857);
    assert_int_equal(took_ns(SHOAL_COMMAND_STRLEN), 2 * 142857);
    assert_int_equal(took_ns(SHOAL_COMMAND_PING), 2 * 142857 + 1);
    uint64_t counts[SHOAL_TIMING__BUCKETS];
    assert_int_equal(shoal_timing_counts(&box.env, SHOAL_COMMAND_PING, counts), 2);
}

static void others_follow_one_another_on_the_clock(void **state)
{
    (void)state;
    client_asks(&a, "LRANGE k 0 1~LRANGE k 0 1~GET k~LRANGE k 0 1~", "*0~*0~$-1~*0~");
    assert_int_equal(readings, 5);
    assert_int_equal(took_ns(SHOAL_COMMAND_LRANGE), 3000000);
    assert_int_equal(took_ns(SHOAL_COMMAND_GET), 1000000);
}

static void every_command_is_read_alone_for_a_slow_log_of_short_times(void **state)
{
    (void)state;
    box.settings.slow_us = 999;
    client_asks(&a, "GET k~GET k~", "$-1~$-1~");
    assert_int_equal(readings, 3);
    assert_int_equal(took_ns(SHOAL_COMMAND_GET), 2000000);
}

static void nothing_is_read_when_nobody_wants_to_know(void **state)
{
    (void)state;
    box.settings.timed = false;
    client_asks(&a, "GET k~MULTI~GET k~EXEC~", "$-1~+OK~+QUEUED~*1~$-1~");
    assert_int_equal(readings, 0);
    assert_int_equal(took_ns(SHOAL_COMMAND_GET), 0);
}

static void commands_of_a_transaction_are_measured_and_so_is_all_of_it(void **state)
{
    (void)state;
    client_asks(&a, "MULTI~SET k v~GET k~EXEC~", "+OK~+QUEUED~+QUEUED~*2~+OK~$1~v~");
    assert_int_equal(took_ns(SHOAL_COMMAND_SET), 1000000);
    assert_int_equal(took_ns(SHOAL_COMMAND_GET), 1000000);
    assert_true(took_ns(SHOAL_COMMAND_EXEC) >= 2000000);
}

static void ask_while_held(void *context)
{
    (void)context;
    client_asks(&a, "SET k v~", "");
}

static void what_ran_under_somebody_elses_gate_is_counted_when_it_is_home(void **state)
{
    (void)state;
    command_box_hold(&box, "k", ask_while_held, NULL);
    client_got(&a, "");
    command_box_settle(&box);
    client_got(&a, "+OK~");
    assert_int_equal(took_ns(SHOAL_COMMAND_SET), 1000000);
}

/* ---- SLOWLOG ---- */

static void the_slow_log_names_who_when_and_what(void **state)
{
    (void)state;
    box.settings.slow_us = 1000;
    client_asks(&a, "CLIENT SETNAME me~LRANGE k 0 1~", "+OK~*0~");
    client_asks(
        &b, "SLOWLOG GET 1~",
        "*1~*6~:1~:1700000000~:1000~*4~$6~LRANGE~$1~k~$1~0~$1~1~$15~127.0.0.1:50000~$2~me~");
    client_asks(&b, "SLOWLOG GET -2~", "-ERR count should be greater than or equal to -1~");
    client_asks(&b, "SLOWLOG GET x~", "-ERR value is not an integer or out of range~");
}

static void the_youngest_of_all_workers_are_the_slow_log(void **state)
{
    (void)state;
    box.settings.slow_us = 1000;
    for (int i = 0; i < 3; i++) {
        client_asks(&a, "LRANGE k 0 1~", "*0~");
        client_asks(&b, "LINDEX k 0~", "$-1~");
    }
    box.settings.slow_us = -1;
    client_asks(&a, "SLOWLOG LEN~", ":4~");
    client_asks(&a, "SLOWLOG GET 0~", "*0~");
    client_asks(&a, "SLOWLOG GET 2~",
                "*2~*6~:5~:1700000000~:1000~*3~$6~LINDEX~$1~k~$1~0~$15~127.0.0.1:50000~$0~~"
                "*6~:4~:1700000000~:1000~*4~$6~LRANGE~$1~k~$1~0~$1~1~$15~127.0.0.1:50000~$0~~");
    client_asks(&b, "SLOWLOG RESET~SLOWLOG LEN~", "+OK~:0~");
}

static void passwords_are_not_in_the_slow_log(void **state)
{
    (void)state;
    box.settings.slow_us = 0;
    client_asks(&a, "HELLO 2 AUTH me secret~AUTH other~",
                "-WRONGPASS invalid username-password pair or user is disabled.~-ERR AUTH "
                "<password> called without any password configured for the default user. Are you "
                "sure your configuration is correct?~");
    box.settings.slow_us = -1;
    client_asks(&b, "SLOWLOG GET~",
                "*2~*6~:1~:1700000000~:1000~*2~$4~AUTH~$10~(redacted)~$15~127.0.0.1:50000~$0~~"
                "*6~:0~:1700000000~:1000~*5~$5~HELLO~$1~2~$4~AUTH~$10~(redacted)~$10~(redacted)~"
                "$15~127.0.0.1:50000~$0~~");
}

/* ---- LATENCY ---- */

static void samples_of_one_second_are_one(void **state)
{
    (void)state;
    box.settings.late_ms = 1;
    client_asks(&a, "LATENCY LATEST~", "*0~");
    client_asks(&a, "LRANGE k 0 1~LRANGE k 0 1~", "*0~*0~");
    command_box_sleep(&box, 1000);
    client_asks(&b, "LRANGE k 0 1~", "*0~");
    box.settings.late_ms = 0;
    client_asks(&a, "LATENCY HISTORY command~", "*2~*2~:1700000000~:2~*2~:1700000001~:1~");
    client_asks(&b, "LATENCY LATEST~", "*1~*4~$7~command~:1700000001~:1~:2~");
    client_asks(&a, "LATENCY RESET nothing~LATENCY RESET~LATENCY LATEST~", ":0~:1~*0~");
}

static void a_histogram_counts_what_was_over_within_each_bound(void **state)
{
    (void)state;
    client_asks(&a, "LRANGE k 0 1~", "*0~");
    client_asks(&b, "LRANGE k 0 1~", "*0~");
    client_asks(&a, "LATENCY HISTOGRAM lrange nothing~",
                "*2~$6~lrange~*4~$5~calls~:2~$14~histogram_usec~*2~:1056~:2~");
}

/* ---- MONITOR ---- */

static void monitors_see_commands_of_all_workers_in_order(void **state)
{
    (void)state;
    client_asks(&b, "MONITOR~", "+OK~");
    client_asks(&a, "SET k \"a\\n\\\"b\\x01\"~", "+OK~");
    client_got(&b, "+1700000000.000000 [0 127.0.0.1:50000] \"SET\" \"k\" \"a\\n\\\"b\\x01\"~");
    client_asks(&a, "MULTI~GET x~EXEC~", "+OK~+QUEUED~*1~$-1~");
    client_got(&b, "+1700000000.000000 [0 127.0.0.1:50000] \"MULTI\"~+1700000000.000000 [0 "
                   "127.0.0.1:50000] \"GET\" \"x\"~"
                   "+1700000000.000000 [0 127.0.0.1:50000] \"EXEC\"~");
    client_asks(&a, "AUTH x~",
                "-ERR AUTH <password> called without any password configured for "
                "the default user. Are you sure your configuration is correct?~");
    client_got(&b, "+1700000000.000000 [0 127.0.0.1:50000] \"AUTH\" \"(redacted)\"~");
    client_asks(&a, "CLIENT LIST ID 0~", "-ERR Invalid client ID~");
    client_asks(&b, "RESET~", "+RESET~");
    client_asks(&a, "PING~", "+PONG~");
    client_got(&b, "");
}

/* ---- CLIENT PAUSE ---- */

static void writes_wait_for_the_end_of_a_pause(void **state)
{
    (void)state;
    client_asks(&a, "CLIENT PAUSE 100 WRITE~", "+OK~");
    client_asks(&b, "GET k~SET k v~GET k~", "$-1~");
    assert_int_equal(b.feed, SHOAL_FEED_BLOCKED);
    assert_int_equal(shoal_load_relaxed(&box.env.blocked), 1);
    client_asks(&b, "PING~", "");
    command_box_sleep(&box, 99);
    command_box_settle(&box);
    client_got(&b, "");
    command_box_sleep(&box, 1);
    command_box_settle(&box);
    client_got(&b, "+OK~$1~v~+PONG~");
    assert_int_equal(shoal_load_relaxed(&box.env.blocked), 0);
}

/* Another thread's pause, which comes when a key changes. */
static void pause_writes(shoal_interest *interest, shoal_thread *thread, shoal_change change)
{
    (void)thread;
    (void)interest;
    assert_int_equal(change, SHOAL_CHANGE_VALUE);
    shoal_store_relaxed(&box.env.pause_writes_until_us, box.now.mono_us + 100000);
    shoal_store_relaxed(&box.env.paused, true);
}

typedef struct interesting {
    shoal_gate_op gate; /* first */
    shoal_interest interest;
    bool removes;
} interesting;

static void run_interesting(shoal_op *op, void *thread)
{
    interesting *this = (interesting *)op;
    if (this->removes) {
        shoal_store_interest_remove_locked(thread, &this->interest);
    } else {
        shoal_store_interest_add_locked(thread, &this->interest);
    }
}

static void be_interested(interesting *this, bool no_more)
{
    shoal_thread *thread = shoal_store_thread(box.env.store, box.env.worker_count);
    this->gate = (shoal_gate_op){.op = {.run = run_interesting},
                                 .places = &this->interest.key.place,
                                 .count = 1};
    this->removes = no_more;
    shoal_thread_enter(thread, box.now);
    assert_true(shoal_gate_try(thread, &this->gate));
    shoal_thread_leave(thread);
}

static void a_pause_comes_between_two_writes_of_a_pipeline(void **state)
{
    interesting wish = {.interest = {.notify = pause_writes}};
    (void)state;
    wish.interest.key = shoal_key_make(box.env.store, 0, shoal_slice_of("k"));
    be_interested(&wish, false);
    client_asks(&b, "SET j v~SET k v~SET l v~GET l~", "+OK~+OK~");
    assert_int_equal(b.feed, SHOAL_FEED_BLOCKED);
    command_box_sleep(&box, 100);
    command_box_settle(&box);
    client_got(&b, "+OK~$1~v~");
    be_interested(&wish, true);
}

static void all_commands_wait_in_a_pause_of_all(void **state)
{
    (void)state;
    client_asks(&a, "CLIENT PAUSE 50~", "+OK~");
    client_asks(&b, "PING~", "");
    client_asks(&a, "SET k~", "-ERR wrong number of arguments for 'set' command~");
    command_box_sleep(&box, 50);
    command_box_settle(&box);
    client_got(&b, "+PONG~");
}

static void unpausing_lets_everybody_go_on_and_closing_forgets(void **state)
{
    (void)state;
    client_asks(&a, "CLIENT PAUSE 100000 WRITE~", "+OK~");
    client_asks(&b, "MULTI~SET k v~EXEC~", "+OK~+QUEUED~");
    client_asks(&a, "CLIENT UNPAUSE~", "+OK~");
    client_got(&b, "*1~+OK~");
    client_asks(&a, "CLIENT PAUSE 100000 WRITE~", "+OK~");
    client_asks(&b, "SET k w~", "");
    client_close(&b);
    client_asks(&a, "GET k~CLIENT UNPAUSE~", "$1~v~+OK~");
}

static void keys_do_not_expire_by_themselves_in_a_pause(void **state)
{
    (void)state;
    client_asks(&a, "SET k v PX 10~CLIENT PAUSE 50 WRITE~", "+OK~+OK~");
    command_box_sleep(&box, 20);
    client_asks(&b, "GET k~DBSIZE~", "$-1~:1~");
    command_box_sleep(&box, 30);
    client_asks(&b, "GET k~", "$-1~");
    command_box_settle(&box);
    client_asks(&b, "DBSIZE~", ":0~");
}

static void the_mode_of_a_pause_is_looked_at(void **state)
{
    (void)state;
    client_asks(&a, "CLIENT PAUSE 1 x~", "-ERR CLIENT PAUSE mode must be WRITE or ALL~");
    client_asks(&a, "CLIENT PAUSE x~", "-ERR timeout is not an integer or out of range~");
    client_asks(&a, "CLIENT PAUSE -1~", "-ERR timeout is negative~");
}

#define FACT(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(a_command_takes_the_time_between_two_readings),
        FACT(brief_commands_of_a_pipeline_share_two_readings),
        FACT(shares_add_up_to_the_whole),
        FACT(others_follow_one_another_on_the_clock),
        FACT(every_command_is_read_alone_for_a_slow_log_of_short_times),
        FACT(nothing_is_read_when_nobody_wants_to_know),
        FACT(commands_of_a_transaction_are_measured_and_so_is_all_of_it),
        FACT(what_ran_under_somebody_elses_gate_is_counted_when_it_is_home),
        FACT(the_slow_log_names_who_when_and_what),
        FACT(the_youngest_of_all_workers_are_the_slow_log),
        FACT(passwords_are_not_in_the_slow_log),
        FACT(samples_of_one_second_are_one),
        FACT(a_histogram_counts_what_was_over_within_each_bound),
        FACT(monitors_see_commands_of_all_workers_in_order),
        FACT(writes_wait_for_the_end_of_a_pause),
        FACT(a_pause_comes_between_two_writes_of_a_pipeline),
        FACT(all_commands_wait_in_a_pause_of_all),
        FACT(unpausing_lets_everybody_go_on_and_closing_forgets),
        FACT(keys_do_not_expire_by_themselves_in_a_pause),
        FACT(the_mode_of_a_pause_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
