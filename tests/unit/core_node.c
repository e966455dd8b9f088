/* SPDX-License-Identifier: MIT
 *
 * One node in a world of its own: how it starts, answers, is changed at run time and ends.
 */
#include "support/core_world.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "core/node.h"

/* The answer to `line` is `expected`. */
static void answers(core_world *world, const char *line, const char *expected)
{
    assert_string_equal(core_world_ask(world, 0, line), expected);
}

/* `text` contains `part`. */
static void contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) fail_msg("'%s' is not in: %s", part, text);
}

/* A standalone node that has started. */
static void open_started(core_world *world, const char *conf)
{
    core_world_open(world, 1, conf);
    core_world_start(world);
    assert_true(shoal_node_ready(world->node));
}

/* ---- starting ---- */

static void a_standalone_node_is_ready_at_once(void **state)
{
    (void)state;
    core_world world;
    core_world_open(&world, 1, "");
    assert_false(shoal_node_ready(world.node));
    assert_string_equal(shoal_node_name(world.node), "");
    core_world_start(&world);
    assert_true(shoal_node_ready(world.node));
    assert_int_equal(world.ready_records, 1);
    contains(core_world_log(&world), "Ready to accept connections\n");
    assert_int_equal(strlen(shoal_node_name(world.node)), SHOAL_NODE_NAME_LEN);
    answers(&world, "PING", "+PONG\r\n");
    answers(&world, "SET a 1", "+OK\r\n");
    answers(&world, "GET a", "$1\r\n1\r\n");
    core_world_close(&world);
}

static void a_new_member_saves_its_name_before_it_is_ready(void **state)
{
    (void)state;
    core_world world;
    core_world_open(&world, 1, "cluster-enabled yes\nport 7000\n");
    world.hold_files = true;
    core_world_start(&world);
    assert_false(shoal_node_ready(world.node));
    answers(&world, "DBSIZE", "-LOADING Redis is loading the dataset in memory\r\n");
    world.hold_files = false;
    core_world_settle(&world);
    assert_true(shoal_node_ready(world.node));
    assert_int_equal(world.ready_records, 1);
    contains(core_world_file(&world, SHOAL_FILE_NODES), shoal_node_name(world.node));
    contains(core_world_log(&world), "No cluster configuration found, I'm ");
    core_world_close(&world);
}

static void a_member_finds_itself_again(void **state)
{
    (void)state;
    core_world world;
    core_world_open(&world, 1, "cluster-enabled yes\nport 7000\n");
    core_world_put_file(&world, SHOAL_FILE_NODES,
                        "0123456789012345678901234567890123456789 127.0.0.1:7000@17000 "
                        "myself,master - 0 0 3 connected 0-5460\n"
                        "vars currentEpoch 3 lastVoteEpoch 0\n");
    core_world_start(&world);
    assert_true(shoal_node_ready(world.node));
    assert_string_equal(shoal_node_name(world.node), "0123456789012345678901234567890123456789");
    core_world_close(&world);
}

static void a_damaged_cluster_file_ends_the_node(void **state)
{
    (void)state;
    core_world world;
    core_world_open(&world, 1, "cluster-enabled yes\n");
    core_world_put_file(&world, SHOAL_FILE_NODES, "this is no cluster file\n");
    core_world_start(&world);
    assert_false(shoal_node_ready(world.node));
    assert_int_equal(shoal_node_wanted(world.node), SHOAL_WISH_FATAL);
    contains(core_world_log(&world), "Unrecoverable error: corrupted cluster config file");
    core_world_close(&world);
}

static void an_unreadable_cluster_file_ends_the_node(void **state)
{
    (void)state;
    core_world world;
    core_world_open(&world, 1, "cluster-enabled yes\n");
    world.fail_op = SHOAL_FILE_READ;
    core_world_start(&world);
    assert_int_equal(shoal_node_wanted(world.node), SHOAL_WISH_FATAL);
    contains(core_world_log(&world), "the device reported an error");
    core_world_close(&world);
}

static void given_directives_without_effect_are_logged(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "io-threads 2\nsave \"\"\nport 7000\n");
    contains(core_world_log(&world),
             "Directives that have no effect in this version: io-threads\n");
    core_world_close(&world);
}

static void a_started_node_takes_no_more_text(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    shoal_buffer complaint = shoal_buffer_make(&world.allocator);
    shoal_slice text = {"port 1\n", 7};
    assert_int_equal(shoal_node_configure(world.node, text, "late", &complaint), SHOAL_ERR_INVALID);
    core_world_close(&world);
}

static void the_same_seed_gives_the_same_node(void **state)
{
    (void)state;
    core_world a, b;
    core_world_open(&a, 1, "cluster-enabled yes\n");
    core_world_open(&b, 1, "cluster-enabled yes\n");
    core_world_start(&a);
    core_world_start(&b);
    assert_string_equal(shoal_node_name(a.node), shoal_node_name(b.node));
    assert_true(shoal_node_digest(a.node) == shoal_node_digest(b.node));
    answers(&b, "CONFIG SET timeout 7", "+OK\r\n");
    assert_true(shoal_node_digest(a.node) != shoal_node_digest(b.node));
    core_world_close(&a);
    core_world_close(&b);
}

/* ---- control commands ---- */

static void every_control_command_has_a_handler(void **state)
{
    (void)state;
    bool container[SHOAL_COMMAND_COUNT] = {false};
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++)
        container[shoal_command_row(id)->parent] = true;
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        const shoal_command *row = shoal_command_row(id);
        if (row->executor != SHOAL_RUN_CONTROL || container[id]) continue;
        if (!shoal_node__handles(id)) fail_msg("no handler for %s", row->name);
    }
}

static void errands_of_several_workers_are_answered(void **state)
{
    (void)state;
    core_world world;
    core_world_open(&world, 4, "");
    core_world_start(&world);
    for (uint32_t i = 0; i < 4; i++) core_world_send(&world, i, "CONFIG GET hz");
    core_world_settle(&world);
    for (uint32_t i = 0; i < 4; i++)
        assert_string_equal(core_world_reply(&world, i), "*2\r\n$2\r\nhz\r\n$2\r\n10\r\n");
    core_world_close(&world);
}

static void pipelined_commands_keep_their_order_around_an_errand(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "PING\r\nCONFIG GET hz\r\nPING x",
            "+PONG\r\n*2\r\n$2\r\nhz\r\n$2\r\n10\r\n"
            "$1\r\nx\r\n");
    core_world_close(&world);
}

static void a_session_may_close_before_its_answer_comes(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    core_world_send(&world, 0, "CONFIG GET *");
    core_world_close(&world);
}

static void cluster_commands_are_refused_when_standalone(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "CLUSTER INFO", "-ERR This instance has cluster support disabled\r\n");
    core_world_close(&world);
}

static void slots_that_are_added_are_served(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "cluster-enabled yes\ncluster-require-full-coverage no\n");
    contains(core_world_ask(&world, 0, "GET a"), "-CLUSTERDOWN Hash slot not served");
    answers(&world, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK\r\n");
    core_world_sleep(&world, 3000000);
    contains(core_world_ask(&world, 0, "CLUSTER INFO"), "cluster_state:ok");
    answers(&world, "SET a 1", "+OK\r\n");
    answers(&world, "CLUSTER DELSLOTS 15495", "+OK\r\n");
    contains(core_world_ask(&world, 0, "GET a"), "-CLUSTERDOWN");
    answers(&world, "GET b", "$-1\r\n");
    core_world_close(&world);
}

/* ---- CONFIG ---- */

static void config_get_takes_patterns_and_aliases(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "CONFIG GET h? HZ nosuch", "*2\r\n$2\r\nhz\r\n$2\r\n10\r\n");
    answers(&world, "CONFIG GET slave-priority", "*2\r\n$14\r\nslave-priority\r\n$3\r\n100\r\n");
    answers(&world, "CONFIG GET nosuch", "*0\r\n");
    answers(&world, "CONFIG GET key-load-delay", "*2\r\n$14\r\nkey-load-delay\r\n$1\r\n0\r\n");
    answers(&world, "CONFIG GET key-load-d*", "*0\r\n");
    core_world_close(&world);
}

static void config_set_changes_all_or_nothing(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "CONFIG SET hz 20 maxmemory 10mb", "+OK\r\n");
    answers(&world, "CONFIG GET hz maxmemory",
            "*4\r\n$2\r\nhz\r\n$2\r\n20\r\n$9\r\nmaxmemory\r\n$8\r\n10485760\r\n");
    answers(&world, "CONFIG SET hz 30 timeout abc",
            "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't "
            "be parsed into an integer\r\n");
    answers(&world, "CONFIG GET hz", "*2\r\n$2\r\nhz\r\n$2\r\n20\r\n");
    core_world_close(&world);
}

static void config_set_says_what_is_wrong(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "CONFIG SET hz 5 nosuch 6",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n");
    answers(&world, "CONFIG SET hz", "-ERR wrong number of arguments for 'config|set' command\r\n");
    answers(&world, "CONFIG SET hz 1 timeout",
            "-ERR wrong number of arguments for 'config|set' command\r\n");
    answers(&world, "CONFIG SET hz 5 hz 6",
            "-ERR CONFIG SET failed (possibly related to argument 'hz') - duplicate parameter\r\n");
    answers(&world, "CONFIG SET daemonize yes",
            "-ERR CONFIG SET failed (possibly related to argument 'daemonize') - can't set "
            "immutable config\r\n");
    answers(&world, "CONFIG SET bind 127.0.0.1",
            "-ERR CONFIG SET failed (possibly related to argument 'bind') - this version can't "
            "change it while it runs\r\n");
    answers(&world, "CONFIG SET dir /tmp",
            "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected "
            "config\r\n");
    core_world_close(&world);
}

static void a_fixed_directive_may_be_set_to_the_value_it_has(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "bind 127.0.0.1 -::1\nport 7001\n");
    answers(&world, "CONFIG SET port 7001", "+OK\r\n");
    answers(&world, "CONFIG SET bind \"127.0.0.1  -::1\"", "+OK\r\n");
    answers(&world, "CONFIG SET port 7002",
            "-ERR CONFIG SET failed (possibly related to argument 'port') - this version can't "
            "change it while it runs\r\n");
    answers(&world, "CONFIG GET port", "*2\r\n$4\r\nport\r\n$4\r\n7001\r\n");
    core_world_close(&world);
}

static void protected_directives_change_when_permitted(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "enable-protected-configs local\n");
    answers(&world, "CONFIG SET dbfilename x.rdb", "+OK\r\n");
    core_world_close(&world);
}

static void a_new_password_binds_new_sessions(void **state)
{
    (void)state;
    core_world world;
    core_world_open(&world, 2, "");
    core_world_start(&world);
    uint64_t version = shoal_node_config_version(world.node);
    answers(&world, "CONFIG SET requirepass secret", "+OK\r\n");
    assert_true(shoal_node_config_version(world.node) > version);
    assert_string_equal(core_world_ask(&world, 1, "GET a"), "-NOAUTH Authentication required.\r\n");
    assert_string_equal(core_world_ask(&world, 1, "AUTH secret"), "+OK\r\n");
    assert_string_equal(core_world_ask(&world, 1, "GET a"), "$-1\r\n");
    core_world_close(&world);
}

static void toggled_settings_take_no_more_memory(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "CONFIG SET timeout 1", "+OK\r\n");
    answers(&world, "CONFIG SET timeout 0", "+OK\r\n");
    int64_t blocks = world.heap.blocks;
    for (int i = 0; i < 100; i++) {
        answers(&world, "CONFIG SET timeout 1", "+OK\r\n");
        answers(&world, "CONFIG SET timeout 0", "+OK\r\n");
    }
    assert_int_equal(world.heap.blocks, blocks);
    core_world_close(&world);
}

static void resetstat_zeroes_counters(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "GET a", "$-1\r\n");
    contains(core_world_ask(&world, 0, "INFO stats"), "keyspace_misses:1\r\n");
    answers(&world, "CONFIG RESETSTAT", "+OK\r\n");
    contains(core_world_ask(&world, 0, "INFO stats"), "keyspace_misses:0\r\n");
    core_world_close(&world);
}

/* ---- CONFIG REWRITE ---- */

static void rewrite_without_a_file_is_refused(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "CONFIG REWRITE", "-ERR The server is running without a config file\r\n");
    core_world_close(&world);
}

static void rewrite_keeps_comments_and_order(void **state)
{
    (void)state;
    const char *conf = "# mine\nport 7000\n   Maxmemory 100mb\nsave 900 1\n\n"
                       "slave-priority 50\nhz 20\nhz 30\nrequirepass \"a b\"\n# tail\n";
    core_world world;
    open_started(&world, conf);
    core_world_put_file(&world, SHOAL_FILE_CONFIG, conf);
    answers(&world, "AUTH \"a b\"", "+OK\r\n");
    answers(&world,
            "CONFIG SET maxmemory 2gb save '60 5 1 2' slave-priority 60 masterauth 'q\"x' "
            "client-output-buffer-limit 'replica 5mb 1024 3'",
            "+OK\r\n");
    answers(&world, "CONFIG REWRITE", "+OK\r\n");
    assert_string_equal(core_world_file(&world, SHOAL_FILE_CONFIG),
                        "# mine\nport 7000\nmaxmemory 2gb\nsave 60 5\nsave 1 2\n\n"
                        "replica-priority 60\nhz 30\nrequirepass \"a b\"\n# tail\n"
                        "\n# Generated by CONFIG REWRITE\n"
                        "client-output-buffer-limit normal 0 0 0\n"
                        "client-output-buffer-limit slave 5mb 1kb 3\n"
                        "client-output-buffer-limit pubsub 32mb 8mb 60\n"
                        "masterauth \"q\\\"x\"\n");
    assert_string_equal(core_world_file(&world, SHOAL_FILE_CONFIG_NEW), "");
    contains(core_world_log(&world), "CONFIG REWRITE executed with success.");
    core_world_close(&world);
}

static void a_rewritten_file_gives_the_same_configuration(void **state)
{
    (void)state;
    core_world a, b;
    open_started(&a, "");
    core_world_put_file(&a, SHOAL_FILE_CONFIG, "");
    answers(&a,
            "CONFIG SET hz 77 save '' notify-keyspace-events KEA maxmemory-clients 5% "
            "latency-tracking-info-percentiles '' proc-title-template '{title} \\x01'",
            "+OK\r\n");
    answers(&a, "CONFIG REWRITE", "+OK\r\n");
    open_started(&b, core_world_file(&a, SHOAL_FILE_CONFIG));
    assert_true(shoal_node_digest(a.node) == shoal_node_digest(b.node));
    core_world_close(&a);
    core_world_close(&b);
}

static void a_failed_rewrite_leaves_the_file_as_it_was(void **state)
{
    (void)state;
    static const shoal_file_op ops[] = {SHOAL_FILE_READ, SHOAL_FILE_APPEND, SHOAL_FILE_SYNC,
                                        SHOAL_FILE_RENAME};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        core_world world;
        open_started(&world, "hz 20\n");
        core_world_put_file(&world, SHOAL_FILE_CONFIG, "hz 20\n");
        answers(&world, "CONFIG SET hz 30", "+OK\r\n");
        world.fail_op = ops[i];
        answers(&world, "CONFIG REWRITE",
                "-ERR Rewriting config file: the device reported an error\r\n");
        assert_string_equal(core_world_file(&world, SHOAL_FILE_CONFIG), "hz 20\n");
        world.fail_op = 0;
        answers(&world, "CONFIG REWRITE", "+OK\r\n");
        assert_string_equal(core_world_file(&world, SHOAL_FILE_CONFIG), "hz 30\n");
        core_world_close(&world);
    }
}

static void rewrites_of_several_clients_queue(void **state)
{
    (void)state;
    core_world world;
    core_world_open(&world, 3, "");
    core_world_put_file(&world, SHOAL_FILE_CONFIG, "");
    core_world_start(&world);
    for (uint32_t i = 0; i < 3; i++) core_world_send(&world, i, "CONFIG REWRITE");
    core_world_settle(&world);
    for (uint32_t i = 0; i < 3; i++) assert_string_equal(core_world_reply(&world, i), "+OK\r\n");
    core_world_close(&world);
}

static void a_node_may_end_during_a_rewrite(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    world.hold_files = true;
    core_world_send(&world, 0, "CONFIG REWRITE");
    core_world_settle(&world);
    core_world_close(&world);
}

/* ---- SHUTDOWN ---- */

static void shutdown_asks_the_host_to_end(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "SHUTDOWN NOSAVE", "");
    assert_int_equal(shoal_node_wanted(world.node), SHOAL_WISH_EXIT);
    assert_true(world.closed[0]);
    contains(core_world_log(&world), "User requested shutdown...");
    core_world_close(&world);
}

static void shutdown_words_must_go_together(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    answers(&world, "SHUTDOWN NOSAVE SAVE", "-ERR syntax error\r\n");
    answers(&world, "SHUTDOWN NOW ABORT", "-ERR syntax error\r\n");
    answers(&world, "SHUTDOWN what", "-ERR syntax error\r\n");
    answers(&world, "SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n");
    world.fail_op = SHOAL_FILE_APPEND;
    answers(&world, "SHUTDOWN SAVE", "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    assert_int_equal(shoal_node_wanted(world.node), SHOAL_WISH_NONE);
    core_world_close(&world);
}

static void shutdown_waits_until_the_cluster_state_is_durable(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "cluster-enabled yes\n");
    world.hold_files = true;
    core_world_send(&world, 0, "CLUSTER ADDSLOTS 1 2 3");
    core_world_settle(&world);
    core_world_send(&world, 0, "SHUTDOWN");
    core_world_settle(&world);
    assert_int_equal(shoal_node_wanted(world.node), SHOAL_WISH_NONE);
    world.hold_files = false;
    core_world_settle(&world);
    assert_int_equal(shoal_node_wanted(world.node), SHOAL_WISH_EXIT);
    contains(core_world_file(&world, SHOAL_FILE_NODES), " 1-3\n");
    core_world_close(&world);
}

static void no_argument_may_be_longer_than_the_store_takes(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "proto-max-bulk-len 1gb\n");
    answers(&world, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870913",
            "-ERR Protocol error: invalid bulk length\r\n");
    core_world_close(&world);
}

static void expired_keys_go_without_waiting_for_the_control_actor(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "");
    char line[64];
    for (int i = 0; i < 3000; i++) {
        snprintf(line, sizeof(line), "SET {a}%d x PX 1500", i);
        answers(&world, line, "+OK\r\n");
    }
    core_world_sleep(&world, 3000000);
    /* The worker alone, whenever it wants, for a second. */
    shoal_worker *worker = shoal_node_worker(world.node, 0);
    int64_t end_us = world.now.mono_us + 1000000;
    int64_t deadline_us = world.now.mono_us;
    while (deadline_us < end_us) {
        int64_t wait_us = deadline_us - world.now.mono_us;
        if (wait_us > 0) world.now.mono_us += wait_us, world.now.wall_us += wait_us;
        shoal_worker_begin(worker, world.now);
        deadline_us = shoal_worker_end(worker);
    }
    answers(&world, "DBSIZE", ":0\r\n");
    core_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_standalone_node_is_ready_at_once),
        cmocka_unit_test(a_new_member_saves_its_name_before_it_is_ready),
        cmocka_unit_test(a_member_finds_itself_again),
        cmocka_unit_test(a_damaged_cluster_file_ends_the_node),
        cmocka_unit_test(an_unreadable_cluster_file_ends_the_node),
        cmocka_unit_test(given_directives_without_effect_are_logged),
        cmocka_unit_test(a_started_node_takes_no_more_text),
        cmocka_unit_test(the_same_seed_gives_the_same_node),
        cmocka_unit_test(every_control_command_has_a_handler),
        cmocka_unit_test(errands_of_several_workers_are_answered),
        cmocka_unit_test(pipelined_commands_keep_their_order_around_an_errand),
        cmocka_unit_test(a_session_may_close_before_its_answer_comes),
        cmocka_unit_test(cluster_commands_are_refused_when_standalone),
        cmocka_unit_test(slots_that_are_added_are_served),
        cmocka_unit_test(config_get_takes_patterns_and_aliases),
        cmocka_unit_test(config_set_changes_all_or_nothing),
        cmocka_unit_test(config_set_says_what_is_wrong),
        cmocka_unit_test(a_fixed_directive_may_be_set_to_the_value_it_has),
        cmocka_unit_test(protected_directives_change_when_permitted),
        cmocka_unit_test(a_new_password_binds_new_sessions),
        cmocka_unit_test(toggled_settings_take_no_more_memory),
        cmocka_unit_test(resetstat_zeroes_counters),
        cmocka_unit_test(rewrite_without_a_file_is_refused),
        cmocka_unit_test(rewrite_keeps_comments_and_order),
        cmocka_unit_test(a_rewritten_file_gives_the_same_configuration),
        cmocka_unit_test(a_failed_rewrite_leaves_the_file_as_it_was),
        cmocka_unit_test(rewrites_of_several_clients_queue),
        cmocka_unit_test(a_node_may_end_during_a_rewrite),
        cmocka_unit_test(shutdown_asks_the_host_to_end),
        cmocka_unit_test(shutdown_words_must_go_together),
        cmocka_unit_test(shutdown_waits_until_the_cluster_state_is_durable),
        cmocka_unit_test(no_argument_may_be_longer_than_the_store_takes),
        cmocka_unit_test(expired_keys_go_without_waiting_for_the_control_actor),
    };
    return cmocka_run_group_tests_name("core_node", tests, NULL, NULL);
}
