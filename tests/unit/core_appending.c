/* SPDX-License-Identifier: MIT
 *
 * The append-only file of a node as clients see it: what becomes of a log that has lost something,
 * DEBUG LOADAOF, and bases that are commands.
 */
#include "support/test.h"

#include "support/core_world.h"

#include <stdio.h>
#include <string.h>

#include "command/hold.h"
#include "core/node.h"

static void answers(core_world *world, const char *line, const char *expected)
{
    assert_string_equal(core_world_ask(world, 0, line), expected);
}

static void contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) fail_msg("'%s' is not in: %s", part, text);
}

static void open_started(core_world *world, const char *conf)
{
    core_world_open(world, 1, conf);
    core_world_start(world);
    assert_true(shoal_node_ready(world->node));
}

/* DEBUG LOADAOF, which takes some steps. */
static void load_again(core_world *world)
{
    answers(world, "DEBUG LOADAOF", "");
    core_world_sleep(world, 1000000);
    contains(core_world_log(world), "Append Only File loaded by DEBUG LOADAOF");
    contains(core_world_ask(world, 0, "PING"), "+PONG\r\n");
}

/* What the named file of this world holds that has this name; nothing: there is none. */
static shoal_slice content(const core_world *world, const char *name)
{
    for (int i = SHOAL_FILE_COUNT; i < CORE_FILES_MAX; i++) {
        if (strcmp(world->names[i], name) == 0 && world->files[i].exists)
            return shoal_buffer_slice(&world->files[i].content);
    }
    return (shoal_slice){0};
}

static bool holds(shoal_slice bytes, const char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i + size <= bytes.size; i++) {
        if (memcmp(bytes.data + i, text, size) == 0) return true;
    }
    return false;
}

static void a_log_that_has_lost_an_effect_starts_a_rewrite_and_refuses_writes_until_then(void **s)
{
    static const char *const policies[] = {"always", "everysec", "no"};
    (void)s;
    for (int i = 0; i < 3; i++) {
        core_world world;
        char conf[100];
        snprintf(conf, sizeof conf, "save \"\"\nappendonly yes\nappendfsync %s\n", policies[i]);
        open_started(&world, conf);
        answers(&world, "SET a 1", "+OK\r\n");
        shoal_log_tear(world.node->log);
        core_world_sleep(&world, 4000000);
        contains(core_world_log(&world), "lacks a write");
        contains(core_world_log(&world), "Background AOF rewrite finished successfully");
        assert_false(shoal_log_torn(world.node->log));
        assert_true(content(&world, "appendonlydir/appendonly.aof.2.base.rdb").size > 0);
        answers(&world, "SET b 2", "+OK\r\n");
        core_world_sleep(&world, 2000000);
        assert_true(holds(content(&world, "appendonlydir/appendonly.aof.2.incr.aof"), "SET"));
        core_world_close(&world);
    }
}

static void writes_are_refused_while_the_log_cannot_be_mended(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "save \"\"\nappendonly yes\n");
    answers(&world, "SET a 1", "+OK\r\n");
    world.hold_files = true;
    shoal_log_tear(world.node->log);
    answers(&world, "DBSIZE", ":1\r\n");
    core_world_sleep(&world, 2000000);
    contains(core_world_ask(&world, 0, "SET b 2"), "-MISCONF Errors writing to the AOF file: ");
    answers(&world, "GET a", "$1\r\n1\r\n");
    world.hold_files = false;
    core_world_sleep(&world, 4000000);
    answers(&world, "SET b 2", "+OK\r\n");
    core_world_close(&world);
}

static void debug_loadaof_brings_back_what_the_file_holds(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "save \"\"\nappendonly yes\nenable-debug-command yes\n");
    answers(&world, "MSET a 1 b 2", "+OK\r\n");
    answers(&world, "RPUSH list x y z", ":3\r\n");
    load_again(&world);
    answers(&world, "DBSIZE", ":3\r\n");
    answers(&world, "LRANGE list 1 1", "*1\r\n$1\r\ny\r\n");
    contains(core_world_ask(&world, 0, "INFO persistence"), "loading:0\r\n");
    /* And it goes on. */
    answers(&world, "SET c 3", "+OK\r\n");
    load_again(&world);
    answers(&world, "GET c", "$1\r\n3\r\n");
    core_world_close(&world);
}

static void debug_loadaof_without_a_file_leaves_nothing(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "save \"\"\nenable-debug-command yes\n");
    answers(&world, "SET a 1", "+OK\r\n");
    load_again(&world);
    answers(&world, "DBSIZE", ":0\r\n");
    contains(core_world_ask(&world, 0, "INFO persistence"), "aof_enabled:0\r\n");
    core_world_close(&world);
}

static void a_base_may_be_commands(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "save \"\"\nappendonly yes\naof-use-rdb-preamble no\n"
                         "aof-timestamp-enabled yes\nenable-debug-command yes\n");
    answers(&world, "SET a 1", "+OK\r\n");
    answers(&world, "SET b 2 PXAT 99999999999999", "+OK\r\n");
    answers(&world, "RPUSH list x y z", ":3\r\n");
    answers(&world, "PEXPIREAT list 99999999999999", ":1\r\n");
    answers(&world, "BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    core_world_sleep(&world, 3000000);
    shoal_slice base = content(&world, "appendonlydir/appendonly.aof.2.base.aof");
    assert_true(base.size > 4);
    assert_memory_equal(base.data, "#TS:", 4);
    assert_true(holds(base, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"));
    assert_true(holds(base, "$4\r\nPXAT\r\n$14\r\n99999999999999\r\n"));
    load_again(&world);
    answers(&world, "PEXPIRETIME b", ":99999999999999\r\n");
    answers(&world, "PEXPIRETIME list", ":99999999999999\r\n");
    answers(&world, "LRANGE list 1 1", "*1\r\n$1\r\ny\r\n");
    core_world_close(&world);
}

static void commit(core_world *world)
{
    shoal_worker *worker = shoal_node_worker(world->node, 0);
    shoal_worker_begin(worker, world->now);
    shoal_worker_commit(worker);
    (void)shoal_worker_end(worker);
}

static void with_always_a_commit_asks_for_its_sync_before_the_control_actor_runs(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "save \"\"\nappendonly yes\nappendfsync always\n");
    answers(&world, "SET a 1", "+OK\r\n");
    const shoal_env *env = &world.node->env;
    uint64_t safe = shoal_hold_released(env);
    assert_int_equal(world.pending_count, 0);
    core_world_send(&world, 0, "SET a 2");
    commit(&world);
    assert_int_equal(world.pending_count, 1);
    assert_int_equal(world.pending[0].event.op, SHOAL_FILE_SYNC);
    assert_true(shoal_hold_released(env) == safe);
    /* Another one does not ask again while that is under way. */
    core_world_send(&world, 0, "SET a 3");
    commit(&world);
    assert_int_equal(world.pending_count, 1);
    core_world_settle(&world);
    assert_true(shoal_hold_released(env) == shoal_log_end(world.node->log));
    /* One that fails releases nothing, and refuses writes. */
    safe = shoal_hold_released(env);
    world.fail_op = SHOAL_FILE_SYNC;
    core_world_send(&world, 0, "SET a 4");
    commit(&world);
    assert_int_equal(world.pending_count, 1);
    core_world_settle(&world);
    assert_true(shoal_hold_released(env) == safe);
    assert_true(shoal_load_relaxed(&env->misconf) != 0);
    world.fail_op = 0;
    core_world_sleep(&world, 3000000);
    assert_true(shoal_hold_released(env) == shoal_log_end(world.node->log));
    core_world_close(&world);
}

/* Whether a reply to what has been written last may go. */
static bool may_reply(const core_world *world)
{
    return shoal_hold_released(&world->node->env) >= shoal_log_end(world->node->log);
}

/* All data are replaced, as by a master's. */
static void replace_data(core_world *world)
{
    shoal_node__appending_hold(world->node, true);
    shoal_node__appending_hold(world->node, false);
}

static void open_always(core_world *world)
{
    open_started(world, "save \"\"\nappendonly yes\nappendfsync always\n");
    answers(world, "SET a 1", "+OK\r\n");
    commit(world);
    core_world_settle(world);
    assert_true(may_reply(world));
}

static void with_always_replies_wait_for_the_files_of_data_that_were_replaced(void **state)
{
    core_world world;
    (void)state;
    open_always(&world);
    replace_data(&world);
    world.hold_files = true;
    core_world_send(&world, 0, "SET a 2");
    commit(&world);
    core_world_settle(&world);
    assert_false(may_reply(&world));
    world.hold_files = false;
    core_world_sleep(&world, 1000000);
    contains(core_world_log(&world), "Background AOF rewrite finished successfully");
    assert_true(may_reply(&world));
    (void)core_world_reply(&world, 0);
    answers(&world, "SET a 3", "+OK\r\n");
    commit(&world);
    core_world_settle(&world);
    assert_true(may_reply(&world));
    core_world_close(&world);
}

static void an_increment_that_no_manifest_names_releases_nothing(void **state)
{
    core_world world;
    (void)state;
    open_always(&world);
    replace_data(&world);
    const shoal_aof *aof = world.node->appending.aof;
    while (shoal_aof_stats_get(aof, world.now).state != SHOAL_AOF_ON) {
        core_world_send(&world, 0, "SET a 2");
        commit(&world);
        assert_false(may_reply(&world));
        core_world_sleep(&world, 100);
    }
    core_world_sleep(&world, 1000000);
    assert_true(may_reply(&world));
    core_world_close(&world);
}

static void with_always_writes_are_refused_while_such_files_cannot_be_made(void **state)
{
    core_world world;
    (void)state;
    open_always(&world);
    replace_data(&world);
    world.fail_op = SHOAL_FILE_RENAME;
    core_world_sleep(&world, 2000000);
    contains(core_world_ask(&world, 0, "SET a 2"), "-MISCONF");
    /* It is tried again and again, however often it fails. */
    core_world_sleep(&world, 20000000);
    contains(core_world_ask(&world, 0, "SET a 2"), "-MISCONF");
    world.fail_op = 0;
    core_world_sleep(&world, 3000000);
    answers(&world, "SET a 2", "+OK\r\n");
    commit(&world);
    core_world_settle(&world);
    assert_true(may_reply(&world));
    core_world_close(&world);
}

static void another_policy_releases_what_waits_for_such_files(void **state)
{
    core_world world;
    (void)state;
    open_always(&world);
    replace_data(&world);
    world.fail_op = SHOAL_FILE_RENAME;
    core_world_send(&world, 0, "SET a 2");
    commit(&world);
    core_world_sleep(&world, 2000000);
    assert_false(may_reply(&world));
    (void)core_world_reply(&world, 0);
    answers(&world, "CONFIG SET appendonly no", "+OK\r\n");
    assert_true(may_reply(&world));
    core_world_close(&world);
}

static void a_rewrite_waits_for_the_end_of_a_moment_that_others_have(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "save \"\"\nappendonly yes\n");
    shoal_node *node = world.node;
    bool come = false;
    for (int i = 0; i < 100 && !come; i++) {
        shoal_thread_enter(node->thread, world.now);
        come = shoal_node__moment_wish(node);
        shoal_thread_leave(node->thread);
    }
    assert_true(come);
    (void)core_world_ask(&world, 0, "BGREWRITEAOF");
    core_world_sleep(&world, 10000);
    assert_null(strstr(core_world_log(&world), "rewrite finished successfully"));
    shoal_thread_enter(node->thread, world.now);
    shoal_node__moment_end(node);
    shoal_thread_leave(node->thread);
    core_world_sleep(&world, 1000000);
    contains(core_world_log(&world), "rewrite finished successfully");
    core_world_close(&world);
}

static void nudge_control(core_world *world)
{
    shoal_event event = {.kind = SHOAL_EVENT_NUDGED, .now = world->now};
    world->deadline_us = shoal_node_step(world->node, &event);
}

static void who_becomes_a_replica_tells_what_it_has_taken_before_it_asks_for_a_stream(void **state)
{
    static const char connects[] = "Connecting to MASTER 10.0.0.1:7000";
    core_world world;
    (void)state;
    core_world_open(&world, 2, "save \"\"\n");
    core_world_start(&world);
    const shoal_env *env = &world.node->env;
    /* This one may have taken a write, and not begun with it. */
    shoal_worker *late = shoal_node_worker(world.node, 1);
    shoal_worker_begin(late, world.now);
    core_world_send(&world, 0, "REPLICAOF 10.0.0.1 7000");
    for (int i = 0; i < 20; i++) {
        world.now.mono_us += 100000;
        world.now.wall_us += 100000;
        nudge_control(&world);
        assert_false(shoal_load_relaxed(&env->mirrors));
    }
    assert_null(strstr(core_world_log(&world), connects));
    (void)shoal_worker_end(late);
    core_world_sleep(&world, 2000000);
    assert_true(shoal_load_relaxed(&env->mirrors));
    contains(core_world_log(&world), connects);
    core_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_log_that_has_lost_an_effect_starts_a_rewrite_and_refuses_writes_until_then),
        cmocka_unit_test(writes_are_refused_while_the_log_cannot_be_mended),
        cmocka_unit_test(debug_loadaof_brings_back_what_the_file_holds),
        cmocka_unit_test(debug_loadaof_without_a_file_leaves_nothing),
        cmocka_unit_test(a_base_may_be_commands),
        cmocka_unit_test(with_always_a_commit_asks_for_its_sync_before_the_control_actor_runs),
        cmocka_unit_test(with_always_replies_wait_for_the_files_of_data_that_were_replaced),
        cmocka_unit_test(an_increment_that_no_manifest_names_releases_nothing),
        cmocka_unit_test(with_always_writes_are_refused_while_such_files_cannot_be_made),
        cmocka_unit_test(another_policy_releases_what_waits_for_such_files),
        cmocka_unit_test(a_rewrite_waits_for_the_end_of_a_moment_that_others_have),
        cmocka_unit_test(who_becomes_a_replica_tells_what_it_has_taken_before_it_asks_for_a_stream),
    };
    return cmocka_run_group_tests_name("core_appending", tests, NULL, NULL);
}
