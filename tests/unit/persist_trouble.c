/* SPDX-License-Identifier: MIT
 *
 * An append-only file in trouble, when the disk answers late and something else is asked for
 * meanwhile. Each test decides which operation ends next.
 */
#include "support/test.h"

#include "support/core_world.h"

#include <stdio.h>
#include <string.h>

#include "core/node.h"
#include "persist/aof_state.h"

/* Another thread of the node that has the turn of the appender. */
#define HOLDER 1u

static void open_started(core_world *world, const char *more)
{
    char conf[200];
    snprintf(conf, sizeof conf, "save \"\"\nappendonly yes\n%s", more);
    core_world_open(world, 1, conf);
    core_world_start(world);
    assert_true(shoal_node_ready(world->node));
    world->hold_files = true;
}

/* The first failure of the appender, or else of what was asked for by the control actor the first
 * operation, ends now. False: there is none. */
static bool deliver(core_world *world, bool failure)
{
    uint32_t i = 0;
    while (i < world->pending_count && (world->pending[i].event.tag == 0) != failure) i++;
    if (i == world->pending_count) return false;
    shoal_event event = world->pending[i].event;
    world->pending_count--;
    memmove(world->pending + i, world->pending + i + 1,
            (world->pending_count - i) * sizeof(core_pending));
    event.now = world->now;
    world->deadline_us = shoal_node_step(world->node, &event);
    core_world_settle(world);
    return true;
}

static uint32_t waiting(const core_world *world, shoal_file_op op)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->pending_count; i++) count += world->pending[i].event.op == op;
    return count;
}

/* Runs a SET, and appends it at once, as a host has its workers do. */
static void set(core_world *world, const char *line)
{
    assert_string_equal(core_world_ask(world, 0, line), "+OK\r\n");
    shoal_worker *worker = shoal_node_worker(world->node, 0);
    shoal_worker_begin(worker, world->now);
    shoal_worker_commit(worker);
    (void)shoal_worker_end(worker);
}

/* Two appends that fail; of the first the node knows, and has begun to cut the file. */
static void begin_repair(core_world *world)
{
    world->fail_op = SHOAL_FILE_APPEND;
    set(world, "SET a 1");
    set(world, "SET b 2");
    world->fail_op = 0;
    assert_true(deliver(world, true));
    assert_int_equal(waiting(world, SHOAL_FILE_APPEND), 1);
    assert_int_equal(waiting(world, SHOAL_FILE_TRUNCATE), 1);
}

/* How often the file of this name holds the text. */
static int times(const core_world *world, const char *name, const char *text)
{
    int found = 0;
    size_t size = strlen(text);
    for (int i = SHOAL_FILE_COUNT; i < CORE_FILES_MAX; i++) {
        if (strcmp(world->names[i], name) != 0 || !world->files[i].exists) continue;
        shoal_slice bytes = shoal_buffer_slice(&world->files[i].content);
        for (size_t at = 0; at + size <= bytes.size; at++)
            found += memcmp(bytes.data + at, text, size) == 0;
    }
    return found;
}

static void let_all_end(core_world *world)
{
    world->hold_files = false;
    core_world_sleep(world, 8000000);
}

static void a_repair_that_was_given_up_ends_before_the_next_one_begins(void **state)
{
    static const char incr[] = "appendonlydir/appendonly.aof.1.incr.aof";
    core_world world;
    (void)state;
    open_started(&world, "");
    begin_repair(&world);
    /* The second failure. */
    assert_true(deliver(&world, true));
    core_world_sleep(&world, 5000000);
    assert_int_equal(waiting(&world, SHOAL_FILE_TRUNCATE), 1);
    let_all_end(&world);
    set(&world, "SET c 3");
    core_world_sleep(&world, 2000000);
    assert_int_equal(times(&world, incr, "$1\r\na\r\n$1\r\n1\r\n"), 1);
    assert_int_equal(times(&world, incr, "$1\r\nb\r\n$1\r\n2\r\n"), 1);
    assert_int_equal(times(&world, incr, "$1\r\nc\r\n$1\r\n3\r\n"), 1);
    core_world_close(&world);
}

static void appending_begins_again_when_the_repair_of_before_is_over(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "");
    begin_repair(&world);
    assert_true(deliver(&world, true));
    assert_string_equal(core_world_ask(&world, 0, "CONFIG SET appendonly no"), "+OK\r\n");
    assert_string_equal(core_world_ask(&world, 0, "CONFIG SET appendonly yes"), "+OK\r\n");
    core_world_sleep(&world, 5000000);
    /* Its number must not be bound to another name while it is used. */
    assert_int_equal(world.pending_count, 1);
    let_all_end(&world);
    assert_non_null(strstr(core_world_ask(&world, 0, "INFO persistence"), "aof_enabled:1\r\n"));
    set(&world, "SET c 3");
    core_world_sleep(&world, 2000000);
    assert_int_equal(shoal_aof_trouble(world.node->appending.aof), SHOAL_ERR_OK);
    core_world_close(&world);
}

/* The node hears of a failure while the appender is asked to go over to the file of a rewrite. */
static void go_over_with_a_failure(core_world *world)
{
    shoal_aof *aof = world->node->appending.aof;
    (void)shoal_add_acq_rel(&aof->appender.comers, HOLDER); /* pair: appender.turn */
    while (aof->rewrite.phase < SHOAL_REWRITE__MOMENT) assert_true(deliver(world, false));
    core_world_sleep(world, 1000);
    assert_true(aof->sync.switched);
    assert_true(deliver(world, true));
    assert_int_equal(shoal_aof_trouble(aof), SHOAL_ERR_IO);
    core_world_sleep(world, 1000);
    assert_true(aof->sync.switched);
    /* The holder sees what he was asked for, and goes. */
    shoal_store_relaxed(&aof->appender.comers, 0u);
    shoal_aof_commit(aof, world->now);
}

static void a_failure_while_the_appender_is_asked_to_go_over_is_mended(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "enable-debug-command yes\n");
    shoal_aof *aof = world.node->appending.aof;
    world.fail_op = SHOAL_FILE_APPEND;
    set(&world, "SET a 1");
    world.fail_op = 0;
    (void)core_world_ask(&world, 0, "BGREWRITEAOF");
    go_over_with_a_failure(&world);
    let_all_end(&world);
    assert_int_equal(shoal_aof_trouble(aof), SHOAL_ERR_OK);
    set(&world, "SET c 3");
    assert_string_equal(core_world_ask(&world, 0, "DEBUG LOADAOF"), "");
    core_world_sleep(&world, 2000000);
    assert_non_null(strstr(core_world_ask(&world, 0, "MGET a c"), "*2\r\n$1\r\n1\r\n$1\r\n3\r\n"));
    core_world_close(&world);
}

/* What a file that begins in the middle of a stream lacks is the database that was named before. */
static void what_is_repaired_over_two_files_keeps_its_database(void **state)
{
    core_world world;
    (void)state;
    /* The base takes its time: until it is there both files count. */
    open_started(&world, "enable-debug-command yes\nrdb-key-save-delay 100000000\n");
    shoal_aof *aof = world.node->appending.aof;
    world.hold_files = false;
    assert_string_equal(core_world_ask(&world, 0, "SELECT 5"), "+OK\r\n");
    set(&world, "SET before 1");
    /* No sync is due behind this, which would hear of nothing before the failure is told. */
    while (aof->sync.safe.at < shoal_log_end(world.node->log)) core_world_sleep(&world, 1000);
    world.hold_files = true;
    world.fail_op = SHOAL_FILE_APPEND;
    set(&world, "SET a 1");
    world.fail_op = 0;
    (void)core_world_ask(&world, 0, "BGREWRITEAOF");
    go_over_with_a_failure(&world);
    let_all_end(&world);
    assert_int_equal(shoal_aof_trouble(aof), SHOAL_ERR_OK);
    set(&world, "SET c 3");
    core_world_sleep(&world, 3000000);
    assert_int_equal(aof->sync.safe.at, shoal_log_end(world.node->log));
    assert_int_equal(times(&world, "appendonlydir/appendonly.aof.1.incr.aof", "SET"), 2);
    assert_int_equal(times(&world, "appendonlydir/appendonly.aof.2.incr.aof", "SET"), 1);
    assert_string_equal(core_world_ask(&world, 0, "DEBUG LOADAOF"), "");
    core_world_sleep(&world, 2000000);
    assert_non_null(strstr(core_world_ask(&world, 0, "MGET before a c"),
                           "*3\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n3\r\n"));
    (void)core_world_ask(&world, 0, "SELECT 0");
    assert_non_null(strstr(core_world_ask(&world, 0, "DBSIZE"), ":0\r\n"));
    core_world_close(&world);
}

/* Bytes of the file of this name. */
static size_t size_of(const core_world *world, const char *name)
{
    for (int i = SHOAL_FILE_COUNT; i < CORE_FILES_MAX; i++)
        if (strcmp(world->names[i], name) == 0) return shoal_buffer_size(&world->files[i].content);
    return 0;
}

static void two_files_whose_syncs_fail_are_repaired_and_counted_once(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "enable-debug-command yes\nrdb-key-save-delay 100000000\n");
    shoal_aof *aof = world.node->appending.aof;
    assert_string_equal(core_world_ask(&world, 0, "SELECT 5"), "+OK\r\n");
    set(&world, "SET a 1");
    (void)core_world_ask(&world, 0, "BGREWRITEAOF");
    while (aof->rewrite.phase < SHOAL_REWRITE__MOMENT) assert_true(deliver(&world, false));
    world.fail_op = SHOAL_FILE_SYNC;
    core_world_sleep(&world, 1000);
    assert_int_equal(aof->rewrite.phase, SHOAL_REWRITE__BASE);
    while (shoal_aof_trouble(aof) == SHOAL_ERR_OK) assert_true(deliver(&world, false));
    assert_true(shoal_aof__has_left(aof));
    assert_true(aof->left_seen);
    world.fail_op = 0;
    let_all_end(&world);
    assert_int_equal(shoal_aof_trouble(aof), SHOAL_ERR_OK);
    assert_false(shoal_aof__has_left(aof));
    set(&world, "SET c 3");
    core_world_sleep(&world, 3000000);
    assert_int_equal(shoal_aof_stats_get(aof, world.now).size,
                     size_of(&world, "appendonlydir/appendonly.aof.1.base.rdb") +
                         size_of(&world, "appendonlydir/appendonly.aof.1.incr.aof") +
                         size_of(&world, "appendonlydir/appendonly.aof.2.incr.aof"));
    assert_string_equal(core_world_ask(&world, 0, "DEBUG LOADAOF"), "");
    core_world_sleep(&world, 2000000);
    assert_non_null(strstr(core_world_ask(&world, 0, "MGET a c"), "*2\r\n$1\r\n1\r\n$1\r\n3\r\n"));
    core_world_close(&world);
}

/* Some bytes of a master's stream come, and are appended at once. */
static void take(core_world *world, const char *text)
{
    shoal_thread *thread = world->node->thread;
    shoal_thread_enter(thread, world->now);
    shoal_node__apply_bytes(world->node, (shoal_slice){text, strlen(text)});
    shoal_thread_leave(thread);
    core_world_settle(world);
    shoal_aof_commit(world->node->appending.aof, world->now);
}

#define IN_FIVE "*2\r\n$6\r\nSELECT\r\n$1\r\n5\r\n"
#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"

static void a_file_that_is_cut_to_nothing_begins_with_its_database_again(void **state)
{
    static const char incr[] = "appendonlydir/appendonly.aof.1.incr.aof";
    core_world world;
    (void)state;
    core_world_open(&world, 1, "save \"\"\nappendonly no\nreplicaof 127.0.0.1 1\n");
    core_world_start(&world);
    assert_true(shoal_node_ready(world.node));
    shoal_aof *aof = world.node->appending.aof;
    take(&world, IN_FIVE SET_A);
    assert_string_equal(core_world_ask(&world, 0, "CONFIG SET appendonly yes"), "+OK\r\n");
    let_all_end(&world);
    assert_int_equal(shoal_aof_state_get(aof), SHOAL_AOF_ON);
    assert_int_equal(times(&world, incr, IN_FIVE), 1);
    assert_int_equal(aof->sync.safe.size, 0);
    world.hold_files = true;
    world.fail_op = SHOAL_FILE_APPEND;
    take(&world, SET_B);
    world.fail_op = 0;
    assert_true(deliver(&world, true));
    assert_int_equal(shoal_aof_trouble(aof), SHOAL_ERR_IO);
    let_all_end(&world);
    assert_int_equal(shoal_aof_trouble(aof), SHOAL_ERR_OK);
    assert_int_equal(aof->sync.safe.at, shoal_log_end(world.node->log));
    assert_int_equal(times(&world, incr, IN_FIVE SET_B), 1);
    assert_int_equal(times(&world, incr, "SELECT"), 1);
    core_world_close(&world);
}

static void a_mark_under_way_is_waited_for_when_syncs_are_asked_for_meanwhile(void **state)
{
    core_world world;
    (void)state;
    open_started(&world, "appendfsync no\n");
    shoal_aof *aof = world.node->appending.aof;
    set(&world, "SET a 1");
    while (deliver(&world, true)) continue;
    core_world_sleep(&world, 1500000);
    assert_true(aof->sync.marking);
    assert_string_equal(core_world_ask(&world, 0, "CONFIG SET appendfsync always"), "+OK\r\n");
    assert_true(shoal_appender_written(&aof->appender) > aof->sync.safe.at);
    assert_true(aof->sync.marking);
    /* The end of the mark is an event: a moment that is past would have the node step for ever. */
    assert_true(shoal_aof_deadline(aof) > world.now.mono_us);
    core_world_sleep(&world, 1500000);
    assert_true(aof->sync.marking);
    let_all_end(&world);
    assert_false(aof->sync.marking);
    assert_int_equal(shoal_appender_written(&aof->appender), aof->sync.safe.at);
    core_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repair_that_was_given_up_ends_before_the_next_one_begins),
        cmocka_unit_test(appending_begins_again_when_the_repair_of_before_is_over),
        cmocka_unit_test(a_failure_while_the_appender_is_asked_to_go_over_is_mended),
        cmocka_unit_test(what_is_repaired_over_two_files_keeps_its_database),
        cmocka_unit_test(two_files_whose_syncs_fail_are_repaired_and_counted_once),
        cmocka_unit_test(a_file_that_is_cut_to_nothing_begins_with_its_database_again),
        cmocka_unit_test(a_mark_under_way_is_waited_for_when_syncs_are_asked_for_meanwhile),
    };
    return cmocka_run_group_tests_name("persist_trouble", tests, NULL, NULL);
}
