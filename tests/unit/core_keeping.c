/* SPDX-License-Identifier: MIT
 *
 * CLUSTER commands that change what nodes.conf keeps: when they are answered, what waits for them
 * and what does not, and what is said when the file cannot be written.
 */
#include "support/test.h"

#include "support/core_world.h"

#include <string.h>

static core_world world;

static int begin(void **state)
{
    (void)state;
    core_world_open(&world, 2, "cluster-enabled yes\n");
    core_world_start(&world);
    assert_true(shoal_node_ready(world.node));
    return 0;
}

static int end(void **state)
{
    (void)state;
    world.hold_files = false;
    core_world_settle(&world);
    core_world_close(&world);
    return 0;
}

/* The answer is `expected`, but only when the operations of the files have ended. */
static void answers_when_kept(const char *line, const char *expected)
{
    world.hold_files = true;
    assert_string_equal(core_world_ask(&world, 0, line), "");
    world.hold_files = false;
    core_world_settle(&world);
    assert_string_equal(core_world_reply(&world, 0), expected);
}

static void a_change_is_answered_when_its_file_is_durable(void **state)
{
    (void)state;
    answers_when_kept("CLUSTER ADDSLOTS 1 2", "+OK\r\n");
    assert_non_null(strstr(core_world_file(&world, SHOAL_FILE_NODES), "connected 1-2\n"));
    answers_when_kept("CLUSTER DELSLOTS 2", "+OK\r\n");
    answers_when_kept("CLUSTER ADDSLOTSRANGE 10 20", "+OK\r\n");
    answers_when_kept("CLUSTER DELSLOTSRANGE 10 11", "+OK\r\n");
    answers_when_kept("CLUSTER BUMPEPOCH", "+BUMPED 1\r\n");
    answers_when_kept("CLUSTER FLUSHSLOTS", "+OK\r\n");
    answers_when_kept("CLUSTER SAVECONFIG", "+OK\r\n");
    answers_when_kept("CLUSTER RESET HARD", "+OK\r\n");
    answers_when_kept("CLUSTER SET-CONFIG-EPOCH 5", "+OK\r\n");
}

#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* A node that knows another master, which has slots 10 to 20. */
static void know_another(void)
{
    static const char nodes[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 127.0.0.1:7001@17001 myself,master - 0 0 1 "
        "connected 0-9\n" OTHER " 127.0.0.1:7002@17002 master - 0 0 2 connected 10-20\n"
        "vars currentEpoch 2 lastVoteEpoch 0\n";
    end(NULL);
    core_world_open(&world, 2, "cluster-enabled yes\n");
    core_world_put_file(&world, SHOAL_FILE_NODES, nodes);
    core_world_start(&world);
    assert_true(shoal_node_ready(world.node));
}

static void every_setslot_is_answered_when_its_file_is_durable(void **state)
{
    (void)state;
    know_another();
    answers_when_kept("CLUSTER SETSLOT 1 MIGRATING " OTHER, "+OK\r\n");
    assert_non_null(strstr(core_world_file(&world, SHOAL_FILE_NODES), "[1->-" OTHER "]"));
    answers_when_kept("CLUSTER SETSLOT 11 IMPORTING " OTHER, "+OK\r\n");
    answers_when_kept("CLUSTER SETSLOT 1 NODE " OTHER, "+OK\r\n");
    assert_non_null(strstr(core_world_file(&world, SHOAL_FILE_NODES), "connected 1 10-20\n"));
    answers_when_kept("CLUSTER SETSLOT 11 NODE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                      "+OK\r\n");
    /* The second slot needs no new epoch, and waits all the same. */
    answers_when_kept("CLUSTER SETSLOT 12 IMPORTING " OTHER, "+OK\r\n");
    answers_when_kept("CLUSTER SETSLOT 12 NODE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                      "+OK\r\n");
    assert_non_null(strstr(core_world_file(&world, SHOAL_FILE_NODES), "connected 0 2-9 11-12\n"));
    answers_when_kept("CLUSTER SETSLOT 13 IMPORTING " OTHER, "+OK\r\n");
    answers_when_kept("CLUSTER SETSLOT 13 STABLE", "+OK\r\n");
    assert_null(strstr(core_world_file(&world, SHOAL_FILE_NODES), "["));
}

static void a_setslot_that_was_done_before_waits_only_while_that_is_saved(void **state)
{
    (void)state;
    know_another();
    world.hold_files = true;
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER SETSLOT 1 NODE " OTHER), "");
    assert_string_equal(core_world_ask(&world, 1, "CLUSTER SETSLOT 1 NODE " OTHER), "");
    world.hold_files = false;
    core_world_settle(&world);
    assert_string_equal(core_world_reply(&world, 0), "+OK\r\n");
    assert_string_equal(core_world_reply(&world, 1), "+OK\r\n");
    world.hold_files = true;
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER SETSLOT 1 NODE " OTHER), "+OK\r\n");
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER SETSLOT 1 STABLE"), "+OK\r\n");
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER SETSLOT 1 NODE nobody"),
                        "-ERR Unknown node nobody\r\n");
}

static void what_changes_nothing_does_not_wait(void **state)
{
    (void)state;
    answers_when_kept("CLUSTER BUMPEPOCH", "+BUMPED 1\r\n");
    world.hold_files = true;
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER BUMPEPOCH"), "+STILL 1\r\n");
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER ADDSLOTS 99999"),
                        "-ERR Invalid or out of range slot\r\n");
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER MEET 127.0.0.1 7001"), "+OK\r\n");
}

static void only_the_asking_connection_waits(void **state)
{
    (void)state;
    world.hold_files = true;
    core_world_send(&world, 0, "CLUSTER ADDSLOTS 1");
    core_world_send(&world, 0, "PING");
    core_world_settle(&world);
    assert_string_equal(core_world_reply(&world, 0), "");
    assert_string_equal(core_world_ask(&world, 1, "CLUSTER COUNTKEYSINSLOT 1"), ":0\r\n");
    assert_non_null(strstr(core_world_ask(&world, 1, "CLUSTER NODES"), "connected 1\n"));
    world.hold_files = false;
    core_world_settle(&world);
    assert_string_equal(core_world_reply(&world, 0), "+OK\r\n+PONG\r\n");
}

static void a_transaction_of_changes_answers_in_its_order(void **state)
{
    (void)state;
    core_world_ask(&world, 0, "MULTI");
    core_world_ask(&world, 0, "CLUSTER ADDSLOTS 1");
    core_world_ask(&world, 0, "CLUSTER ADDSLOTS 1");
    core_world_ask(&world, 0, "CLUSTER BUMPEPOCH");
    core_world_ask(&world, 0, "PING");
    world.hold_files = true;
    assert_string_equal(core_world_ask(&world, 0, "EXEC"), "*4\r\n");
    world.hold_files = false;
    core_world_settle(&world);
    assert_string_equal(core_world_reply(&world, 0),
                        "+OK\r\n-ERR Slot 1 is already busy\r\n+BUMPED 1\r\n+PONG\r\n");
}

static void two_changes_share_what_is_saved_behind_the_first(void **state)
{
    (void)state;
    world.hold_files = true;
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER ADDSLOTS 1"), "");
    assert_string_equal(core_world_ask(&world, 1, "CLUSTER ADDSLOTS 2"), "");
    world.hold_files = false;
    core_world_settle(&world);
    assert_string_equal(core_world_reply(&world, 0), "+OK\r\n");
    assert_string_equal(core_world_reply(&world, 1), "+OK\r\n");
    assert_non_null(strstr(core_world_file(&world, SHOAL_FILE_NODES), "connected 1-2\n"));
}

static void a_failing_disk_is_said_and_the_change_is_saved_later(void **state)
{
    static const shoal_file_op ops[] = {SHOAL_FILE_APPEND, SHOAL_FILE_SYNC, SHOAL_FILE_RENAME};
    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        end(NULL);
        begin(NULL);
        world.fail_op = ops[i];
        const char *error = core_world_ask(&world, 0, "CLUSTER ADDSLOTS 7");
        assert_non_null(strstr(error, "-ERR error saving the cluster node config: "));
        assert_non_null(strstr(core_world_ask(&world, 0, "CLUSTER NODES"), "connected 7\n"));
        assert_null(strstr(core_world_file(&world, SHOAL_FILE_NODES), "connected 7\n"));
        world.fail_op = 0;
        core_world_sleep(&world, 2000000);
        assert_non_null(strstr(core_world_file(&world, SHOAL_FILE_NODES), "connected 7\n"));
        assert_string_equal(core_world_ask(&world, 0, "CLUSTER ADDSLOTS 8"), "+OK\r\n");
    }
}

static void who_still_waits_is_answered_when_the_node_ends(void **state)
{
    (void)state;
    world.hold_files = true;
    assert_string_equal(core_world_ask(&world, 0, "CLUSTER ADDSLOTS 1"), "");
    /* Memory that was not given back would be missed here. */
    core_world_close(&world);
    begin(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_change_is_answered_when_its_file_is_durable, begin, end),
        cmocka_unit_test_setup_teardown(every_setslot_is_answered_when_its_file_is_durable, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            a_setslot_that_was_done_before_waits_only_while_that_is_saved, begin, end),
        cmocka_unit_test_setup_teardown(what_changes_nothing_does_not_wait, begin, end),
        cmocka_unit_test_setup_teardown(only_the_asking_connection_waits, begin, end),
        cmocka_unit_test_setup_teardown(a_transaction_of_changes_answers_in_its_order, begin, end),
        cmocka_unit_test_setup_teardown(two_changes_share_what_is_saved_behind_the_first, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_failing_disk_is_said_and_the_change_is_saved_later, begin,
                                        end),
        cmocka_unit_test_setup_teardown(who_still_waits_is_answered_when_the_node_ends, begin, end),
    };
    return cmocka_run_group_tests_name("core_keeping", tests, NULL, NULL);
}
