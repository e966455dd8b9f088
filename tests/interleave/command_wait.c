/* SPDX-License-Identifier: MIT
 *
 * Small interleavings of whole workers, all of them: waiting for keys against pushes, timeouts and
 * disconnects; transactions against readers, writers and watchers. The engine up to the command
 * room is compiled with a hook before every access to a shared word (support/explorer.h).
 *
 * The letters are the claims of command/block.c, multi.h and watch.h.
 */
#include "support/explorer.h"

#include <string.h>

#include "base/text.h"
#include "support/command_box.h"

/* Clients a and c are of worker 0, b of worker 1, d of worker 2. k1 and k2 are in two slots. */
static command_box box;
static command_client a, b, c, d;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 3, false);
    client_open(&a, &box, 0);
    client_open(&b, &box, 1);
    client_open(&c, &box, 0);
    client_open(&d, &box, 2);
    assert_int_not_equal(shoal_key_slot(shoal_text("k1")), shoal_key_slot(shoal_text("k2")));
    return 0;
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

static void send(command_client *client, const char *text)
{
    client_send(client, shoal_text(text));
}

/* What the client has got since the last look is `text`, written as in client_got. */
static bool got(command_client *client, const char *text)
{
    shoal_slice slice = shoal_buffer_slice(&client->out);
    size_t at = 0;
    for (; *text != '\0'; text++) {
        size_t size = *text == '~' ? 2 : 1;
        if (at + size > slice.size) return false;
        if (memcmp(slice.data + at, *text == '~' ? "\r\n" : text, size) != 0) return false;
        at += size;
    }
    return at == slice.size;
}

static void forget(command_client *client)
{
    shoal_buffer_consume(&client->out, shoal_buffer_size(&client->out));
}

static void settle(void)
{
    command_box_settle(&box);
    assert_int_equal(shoal_load_relaxed(&box.env.blocked), 0);
}

static void start_empty(void)
{
    send(&b, "UNLINK k1 k2\r\n");
    command_box_settle(&box);
    forget(&b);
}

/* ---- waiting ---- */

static void block_or_push(uint32_t script)
{
    if (script == 0) send(&a, "BLPOP k1 k2 0\r\n");
    if (script == 1) send(&b, "RPUSH k1 x\r\n");
    if (script == 2) send(&d, "RPUSH k2 y\r\n");
}

static void one_is_taken(void)
{
    settle();
    bool first = got(&a, "*2~$2~k1~$1~x~");
    assert_true(first || got(&a, "*2~$2~k2~$1~y~"));
    forget(&a);
    client_got(&b, ":1~");
    client_got(&d, ":1~");
    client_asks(&b, "EXISTS k1 k2~", ":1~");
    client_asks(&b, first ? "LLEN k2~" : "LLEN k1~", ":1~");
}

/* B3: whenever the push comes, the one who begins to wait gets it. */
static void a_push_is_not_missed_by_one_who_begins_to_wait(void **state)
{
    (void)state;
    explore((exploration){3, 2, 1000}, block_or_push, start_empty, one_is_taken);
}

static void start_blocked(void)
{
    start_empty();
    client_asks(&a, "BLPOP k1 k2 1~", "");
}

static void push_both(uint32_t script)
{
    if (script == 0) send(&b, "RPUSH k1 x\r\n");
    if (script == 1) send(&d, "RPUSH k2 y\r\n");
}

/* B2, B3 */
static void of_two_pushes_one_is_taken(void **state)
{
    (void)state;
    explore((exploration){2, 2, 1000}, push_both, start_blocked, one_is_taken);
}

static void start_late(void)
{
    start_blocked();
    command_box_sleep(&box, 1000);
}

static void time_out_or_push(uint32_t script)
{
    if (script == 0) command_box_round(&box, 0);
    if (script == 1) send(&b, "RPUSH k1 x\r\n");
    if (script == 2) send(&d, "RPUSH k2 y\r\n");
}

static void at_most_one_is_taken(void)
{
    settle();
    bool late = got(&a, "*-1~");
    assert_true(late || got(&a, "*2~$2~k1~$1~x~") || got(&a, "*2~$2~k2~$1~y~"));
    forget(&a);
    client_got(&b, ":1~");
    client_got(&d, ":1~");
    client_asks(&b, "EXISTS k1 k2~", late ? ":2~" : ":1~");
}

/* B4 */
static void a_timeout_and_pushes_give_one_answer_and_lose_nothing(void **state)
{
    (void)state;
    explore((exploration){3, 2, 1000}, time_out_or_push, start_late, at_most_one_is_taken);
}

/* Where b holds the gate, it runs what a handed over, by a clock that is behind that of a's
 * worker. */
static void block_late_or_hold(uint32_t script)
{
    if (script == 1) send(&b, "UNLINK k1\r\n");
    if (script == 0) {
        send(&a, "BLPOP k1 0.001\r\n");
        command_box_sleep(&box, 2);
        command_box_round(&box, 0);
    }
}

static void it_gave_up(void)
{
    settle();
    client_got(&a, "*-1~");
    client_got(&b, ":0~");
}

/* B4: whose time is over before its first run has ended does not wait for good. */
static void a_timeout_during_the_first_run_is_not_lost(void **state)
{
    (void)state;
    explore((exploration){2, 3, 1000}, block_late_or_hold, start_empty, it_gave_up);
}

static void unblock_or_push(uint32_t script)
{
    if (script == 0) send(&c, "CLIENT UNBLOCK 1\r\n");
    if (script == 1) send(&b, "RPUSH k1 x\r\n");
    if (script == 2) send(&d, "RPUSH k2 y\r\n");
}

static void at_most_one_is_taken_behind_unblock(void)
{
    settle();
    /* Told while it was just being served, it has been served. */
    if (!got(&c, ":1~")) assert_true(got(&c, ":0~"));
    forget(&c);
    at_most_one_is_taken();
}

/* B4 */
static void unblocking_and_pushes_give_one_answer_and_lose_nothing(void **state)
{
    (void)state;
    explore((exploration){3, 2, 1000}, unblock_or_push, start_blocked,
            at_most_one_is_taken_behind_unblock);
}

static void start_crowd(void)
{
    start_empty();
    client_open(&a, &box, 0);
    client_asks(&a, "BLPOP k1 k2 0~", "");
    client_asks(&c, "BLPOP k2 k1 0~", "");
}

static void go_or_push(uint32_t script)
{
    if (script == 0) client_close(&a);
    if (script == 1) send(&b, "RPUSH k1 x\r\n");
}

static void the_next_is_served(void)
{
    command_box_settle(&box);
    client_got(&b, ":1~");
    /* The first was served before it went, or the next one is. */
    if (got(&c, "*2~$2~k1~$1~x~")) {
        forget(&c);
    } else {
        client_asks(&b, "RPUSH k1 y~", ":1~");
        client_got(&c, "*2~$2~k1~$1~y~");
    }
    assert_int_equal(shoal_load_relaxed(&box.env.blocked), 0);
    client_asks(&b, "EXISTS k1 k2~", ":0~");
}

/* B4, B6: who goes passes on what it was woken for. */
static void who_goes_leaves_the_element_to_the_next(void **state)
{
    (void)state;
    client_close(&a);
    explore((exploration){2, 3, 1000}, go_or_push, start_crowd, the_next_is_served);
    client_open(&a, &box, 0);
}

static void start_queue(void)
{
    start_empty();
    client_asks(&a, "BLPOP k1 k2 0~", "");
    client_asks(&c, "BLPOP k1 k2 0~", "");
}

static void two_are_taken_in_order(void)
{
    settle();
    bool first = got(&a, "*2~$2~k1~$1~x~");
    assert_true(first || got(&a, "*2~$2~k2~$1~y~"));
    assert_true(got(&c, first ? "*2~$2~k2~$1~y~" : "*2~$2~k1~$1~x~"));
    forget(&a);
    forget(&c);
    client_got(&b, ":1~");
    client_got(&d, ":1~");
    client_asks(&b, "EXISTS k1 k2~", ":0~");
}

/* B5, B6 */
static void two_who_wait_take_one_each(void **state)
{
    (void)state;
    explore((exploration){2, 2, 1000}, push_both, start_queue, two_are_taken_in_order);
}

/* ---- transactions ---- */

static void start_pair(void)
{
    client_asks(&b, "MSET k1 1 k2 1~", "+OK~");
    client_asks(&a, "MULTI~SET k2 2~SET k1 2~EXEC~", "+OK~+QUEUED~+QUEUED~*2~+OK~+OK~");
    client_asks(&b, "MSET k1 1 k2 1~", "+OK~");
    client_asks(&a, "MULTI~SET k2 2~SET k1 2~", "+OK~+QUEUED~+QUEUED~");
}

static void exec_or_read(uint32_t script)
{
    if (script == 0) send(&a, "EXEC\r\n");
    if (script == 1) send(&b, "GET k1\r\nGET k2\r\nGET k1\r\n");
}

static void nothing_is_seen_by_halves(void)
{
    settle();
    client_got(&a, "*2~+OK~+OK~");
    /* The reads are three moments; what a later one sees is not older. */
    assert_true(got(&b, "$1~1~$1~1~$1~1~") || got(&b, "$1~1~$1~1~$1~2~") ||
                got(&b, "$1~1~$1~2~$1~2~") || got(&b, "$1~2~$1~2~$1~2~"));
    forget(&b);
}

/* M1 */
static void a_reader_sees_all_of_a_transaction_or_nothing(void **state)
{
    (void)state;
    explore((exploration){2, 3, 1000}, exec_or_read, start_pair, nothing_is_seen_by_halves);
}

static void start_sums(void)
{
    client_asks(&b, "MSET k1 5 k2 5~", "+OK~");
    client_asks(&a, "MULTI~DECR k1~INCR k2~MGET k1 k2~", "+OK~+QUEUED~+QUEUED~+QUEUED~");
    client_asks(&b, "MULTI~DECR k2~INCR k1~MGET k1 k2~", "+OK~+QUEUED~+QUEUED~+QUEUED~");
}

static void two_execs(uint32_t script)
{
    if (script == 0) send(&a, "EXEC\r\n");
    if (script == 1) send(&b, "EXEC\r\n");
    if (script == 2) send(&d, "MGET k1 k2\r\n");
}

static void sums_hold(void)
{
    settle();
    assert_true(got(&a, "*3~:4~:6~*2~$1~4~$1~6~") || got(&a, "*3~:5~:5~*2~$1~5~$1~5~"));
    assert_true(got(&b, "*3~:4~:6~*2~$1~6~$1~4~") || got(&b, "*3~:5~:5~*2~$1~5~$1~5~"));
    assert_true(got(&d, "*2~$1~5~$1~5~") || got(&d, "*2~$1~4~$1~6~") || got(&d, "*2~$1~6~$1~4~"));
    forget(&a);
    forget(&b);
    forget(&d);
    client_asks(&b, "MGET k1 k2~", "*2~$1~5~$1~5~");
}

/* M1, M3 */
static void transactions_exclude_each_other(void **state)
{
    (void)state;
    explore((exploration){3, 2, 1000}, two_execs, start_sums, sums_hold);
}

static void start_watching(void)
{
    client_asks(&b, "MSET k1 1 k2 1~", "+OK~");
    client_asks(&a, "WATCH k1 k2~MULTI~INCR k1~", "+OK~+OK~+QUEUED~");
}

static void exec_or_write(uint32_t script)
{
    if (script == 0) send(&a, "EXEC\r\n");
    if (script == 1) send(&b, "INCRBY k1 10\r\n");
    if (script == 2) send(&d, "SET k2 2\r\n");
}

static void watched_means_unchanged(void)
{
    settle();
    bool ran = got(&a, "*1~:2~");
    assert_true(ran || got(&a, "*-1~"));
    assert_true(got(&b, ran ? ":12~" : ":11~"));
    forget(&a);
    forget(&b);
    client_got(&d, "+OK~");
    client_asks(&b, "GET k1~", ran ? "$2~12~" : "$2~11~");
}

/* W1 */
static void a_change_of_a_watched_key_comes_after_exec_or_prevents_it(void **state)
{
    (void)state;
    explore((exploration){3, 2, 1000}, exec_or_write, start_watching, watched_means_unchanged);
}

static void start_going(void)
{
    client_open(&a, &box, 0);
    start_watching();
}

static void close_or_write(uint32_t script)
{
    if (script == 0) client_close(&a);
    if (script == 1) send(&b, "INCRBY k1 10\r\n");
    if (script == 2) send(&d, "SET k2 2\r\n");
}

static void nobody_watches(void)
{
    settle();
    client_got(&b, ":11~");
    client_got(&d, "+OK~");
}

/* W2 */
static void a_watcher_may_go_while_its_keys_change(void **state)
{
    (void)state;
    client_close(&a);
    explore((exploration){3, 2, 1000}, close_or_write, start_going, nobody_watches);
    client_open(&a, &box, 0);
}

/* ---- values that become objects ---- */

static char grow[700];

static void start_small(void)
{
    static const char push[] = "RPUSH k1 ";
    start_empty();
    client_asks(&b, "RPUSH k1 x~", ":1~");
    memset(grow, 'y', sizeof grow - 1);
    memcpy(grow, push, sizeof push - 1);
    memcpy(grow + sizeof grow - 3, "\r\n", 2);
}

static void grow_or_read(uint32_t script)
{
    if (script == 0) send(&a, grow);
    if (script == 1) send(&b, "DUMP k1\r\nMEMORY USAGE k1\r\nLLEN k1\r\nSORT_RO k1 ALPHA\r\n");
    if (script == 2) send(&d, "OBJECT ENCODING k1\r\n");
}

static void all_is_answered(void)
{
    settle();
    client_got(&a, ":2~");
    client_got(&d, "$9~quicklist~");
    assert_int_equal(shoal_buffer_slice(&b.out).data[0], '$');
    forget(&b);
}

/* What was a pack at one look may be an object at the next, which is its gate's holder's alone. */
static void who_meets_an_object_holds_its_gate(void **state)
{
    (void)state;
    explore((exploration){3, 2, 1000}, grow_or_read, start_small, all_is_answered);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(a_push_is_not_missed_by_one_who_begins_to_wait),
        FACT(of_two_pushes_one_is_taken),
        FACT(a_timeout_and_pushes_give_one_answer_and_lose_nothing),
        FACT(a_timeout_during_the_first_run_is_not_lost),
        FACT(unblocking_and_pushes_give_one_answer_and_lose_nothing),
        FACT(who_goes_leaves_the_element_to_the_next),
        FACT(two_who_wait_take_one_each),
        FACT(a_reader_sees_all_of_a_transaction_or_nothing),
        FACT(transactions_exclude_each_other),
        FACT(a_change_of_a_watched_key_comes_after_exec_or_prevents_it),
        FACT(who_meets_an_object_holds_its_gate),
        FACT(a_watcher_may_go_while_its_keys_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
