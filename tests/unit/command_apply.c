/* SPDX-License-Identifier: MIT
 *
 * Effects that are applied: as they are, in transactions, behind gates that others hold, and when
 * every deadline in them is over.
 */
#include <string.h>

#include "base/atomic.h"
#include "base/text.h"
#include "command/apply.h"
#include "store/places.h"
#include "support/command_box.h"
#include "support/test.h"

/* A box with an applier on the test's own thread of the store. */
typedef struct desk {
    command_box box;
    command_client client;
    shoal_applier *applier;
    uint32_t overs; /* calls of `over` */
} desk;

static void count_over(void *context)
{
    ((desk *)context)->overs++;
}

static void open_desk(desk *at)
{
    *at = (desk){.overs = 0};
    command_box_open(&at->box, 1, false);
    command_box_log(&at->box);
    client_open(&at->client, &at->box, 0);
    shoal_applier_options options = {.env = &at->box.env,
                                     .thread = shoal_store_thread(at->box.env.store, 1),
                                     .over = count_over,
                                     .context = at};
    assert_int_equal(shoal_applier_open(&options, &at->applier), 0);
}

static void close_desk(desk *at)
{
    command_box_told(&at->box, "");
    shoal_applier_close(at->applier);
    client_close(&at->client);
    command_box_close(&at->box);
}

/* Applies words with blanks between them. */
static shoal_applied give(desk *at, const char *line)
{
    shoal_slice argv[16];
    uint32_t argc = 0;
    for (const char *word = line; *word != '\0' && argc < 16;) {
        size_t size = strcspn(word, " ");
        argv[argc++] = (shoal_slice){word, size};
        word += size + (word[size] == ' ');
    }
    return shoal_apply(at->applier, &(shoal_apply_command){argv, argc});
}

/* The same in a batch of its own, and it must be done. */
static void apply(desk *at, const char *line)
{
    shoal_thread *thread = shoal_store_thread(at->box.env.store, 1);
    shoal_thread_enter(thread, at->box.now);
    assert_int_equal(give(at, line), SHOAL_APPLY_DONE);
    shoal_thread_leave(thread);
}

static void refuses(desk *at, const char *line, const char *error)
{
    shoal_thread *thread = shoal_store_thread(at->box.env.store, 1);
    shoal_thread_enter(thread, at->box.now);
    assert_int_equal(give(at, line), SHOAL_APPLY_FAILED);
    shoal_slice said = shoal_applier_error(at->applier);
    if (!shoal_text_equal(said, shoal_text(error)))
        print_error("%.*s\n", (int)said.size, said.data);
    assert_true(shoal_text_equal(said, shoal_text(error)));
    shoal_thread_leave(thread);
}

static void commands_change_the_database_that_was_selected_and_leave_no_effects(void **state)
{
    (void)state;
    desk at;
    open_desk(&at);
    apply(&at, "SET a 1");
    apply(&at, "SELECT 2");
    apply(&at, "RPUSH l x y");
    apply(&at, "COPY l m DB 1");
    apply(&at, "MOVE l 3");
    apply(&at, "PING");
    apply(&at, "REPLCONF GETACK *");
    client_asks(&at.client, "GET a~SELECT 1~LRANGE m 0 -1~SELECT 3~LLEN l~",
                "$1~1~+OK~*2~$1~x~$1~y~+OK~:2~");
    assert_int_equal(shoal_applier_db(at.applier), 2);
    close_desk(&at);
}

static void a_command_whose_key_is_known_changes_the_same_as_one_whose_key_is_looked_up(
    void **state)
{
    (void)state;
    desk at;
    open_desk(&at);
    shoal_thread *thread = shoal_store_thread(at.box.env.store, 1);
    const shoal_command *row = shoal_command_row(SHOAL_COMMAND_APPEND);
    const shoal_slice argv[] = {shoal_text("append"), shoal_text("a"), shoal_text("xy")};
    const shoal_apply_command command = {argv, 3};
    const shoal_key key = shoal_key_make(at.box.env.store, 2, argv[1]);
    apply(&at, "SELECT 2");
    apply(&at, "APPEND a w");
    shoal_thread_enter(thread, at.box.now);
    assert_int_equal(shoal_apply_keyed(at.applier, &command, row, &key), SHOAL_APPLY_DONE);
    shoal_thread_leave(thread);
    apply(&at, "LPUSH l 1");
    const shoal_slice wrong[] = {argv[0], shoal_text("l"), argv[2]};
    const shoal_key list = shoal_key_make(at.box.env.store, 2, wrong[1]);
    shoal_thread_enter(thread, at.box.now);
    assert_int_equal(shoal_apply_keyed(at.applier, &(shoal_apply_command){wrong, 3}, row, &list),
                     SHOAL_APPLY_FAILED);
    shoal_thread_leave(thread);
    client_asks(&at.client, "SELECT 2~GET a~LLEN l~", "+OK~$3~wxy~:1~");
    close_desk(&at);
}

static void a_transaction_happens_at_its_end_or_not_at_all(void **state)
{
    (void)state;
    desk at;
    open_desk(&at);
    apply(&at, "MULTI");
    apply(&at, "SET a 1");
    apply(&at, "SELECT 1");
    apply(&at, "INCRBY b 5");
    assert_true(shoal_applier_in_transaction(at.applier));
    client_asks(&at.client, "GET a~", "$-1~");
    apply(&at, "EXEC");
    client_asks(&at.client, "GET a~SELECT 1~GET b~", "$1~1~+OK~$1~5~");
    apply(&at, "MULTI");
    apply(&at, "SET b 7");
    apply(&at, "DISCARD");
    client_asks(&at.client, "GET b~", "$1~5~");
    apply(&at, "MULTI");
    apply(&at, "SET b 8");
    close_desk(&at);
}

static void what_is_no_effect_is_refused_by_name(void **state)
{
    (void)state;
    desk at;
    open_desk(&at);
    refuses(&at, "FUNCTION LOAD x", "ERR unknown command 'FUNCTION'");
    refuses(&at, "CONFIG SET a b", "ERR this is no effect of a write: 'CONFIG'");
    refuses(&at, "SET a", "ERR wrong number of arguments for 'SET'");
    refuses(&at, "SELECT 99", "ERR DB index is out of range");
    refuses(&at, "EXEC", "ERR EXEC without MULTI");
    apply(&at, "SET a x");
    refuses(&at, "LPUSH a y", "WRONGTYPE Operation against a key holding the wrong kind of value");
    apply(&at, "SET a y");
    close_desk(&at);
}

static void nobody_s_time_is_over_while_it_is_applied(void **state)
{
    (void)state;
    desk at;
    open_desk(&at);
    apply(&at, "SET a 5 PXAT 1000");
    apply(&at, "INCR a");
    apply(&at, "SET b 5");
    apply(&at, "PEXPIREAT b 1000");
    apply(&at, "APPEND b 6");
    apply(&at, "HSET h f 1");
    apply(&at, "HPEXPIREAT h 1000 FIELDS 1 f");
    apply(&at, "HINCRBY h f 1");
    assert_int_equal(shoal_store_count(at.box.env.store, 0), 3);
    shoal_store_keep_expired(at.box.env.store, true);
    shoal_store_relaxed(&at.box.env.mirrors, true);
    client_asks(&at.client, "GET a~GET b~HGET h f~", "$-1~$-1~$-1~");
    assert_int_equal(shoal_store_count(at.box.env.store, 0), 3);
    apply(&at, "DEL a b");
    assert_int_equal(shoal_store_count(at.box.env.store, 0), 1);
    close_desk(&at);
}

static void databases_are_flushed_and_exchanged(void **state)
{
    (void)state;
    desk at;
    open_desk(&at);
    apply(&at, "SET a 1");
    apply(&at, "SWAPDB 0 3");
    client_asks(&at.client, "GET a~SELECT 3~GET a~", "$-1~+OK~$1~1~");
    apply(&at, "SET b 1");
    apply(&at, "FLUSHDB");
    client_asks(&at.client, "DBSIZE~SELECT 0~DBSIZE~", ":1~+OK~:0~");
    apply(&at, "FLUSHALL");
    client_asks(&at.client, "SELECT 3~DBSIZE~", "+OK~:0~");
    apply(&at, "FLUSHALL ASYNC");
    close_desk(&at);
}

/* Under the gate of "k", held by the client's worker: what is given waits. */
typedef struct held {
    shoal_gate_op gate;
    desk *at;
} held;

static void while_held(shoal_op *op, void *runner)
{
    desk *at = ((held *)op)->at;
    shoal_thread *thread = shoal_store_thread(at->box.env.store, 1);
    (void)runner;
    shoal_thread_enter(thread, at->box.now);
    assert_int_equal(give(at, "SET k 2"), SHOAL_APPLY_PENDING);
    assert_int_equal(shoal_apply_poll(at->applier), SHOAL_APPLY_PENDING);
    shoal_thread_leave(thread);
}

static void a_command_whose_gate_is_held_runs_when_it_is_let_go(void **state)
{
    (void)state;
    desk at;
    open_desk(&at);
    shoal_thread *thread = shoal_store_thread(at.box.env.store, 0);
    uint32_t place = shoal_key_slot(shoal_text("k"));
    held holding = {{.op = {.run = while_held}, .places = &place, .count = 1}, &at};
    shoal_thread_enter(thread, at.box.now);
    assert_true(shoal_gate_try(thread, &holding.gate));
    shoal_thread_leave(thread);
    assert_int_equal(at.overs, 1);
    assert_int_equal(shoal_apply_poll(at.applier), SHOAL_APPLY_DONE);
    client_asks(&at.client, "GET k~", "$1~2~");
    close_desk(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_change_the_database_that_was_selected_and_leave_no_effects),
        cmocka_unit_test(
            a_command_whose_key_is_known_changes_the_same_as_one_whose_key_is_looked_up),
        cmocka_unit_test(a_transaction_happens_at_its_end_or_not_at_all),
        cmocka_unit_test(what_is_no_effect_is_refused_by_name),
        cmocka_unit_test(nobody_s_time_is_over_while_it_is_applied),
        cmocka_unit_test(databases_are_flushed_and_exchanged),
        cmocka_unit_test(a_command_whose_gate_is_held_runs_when_it_is_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
