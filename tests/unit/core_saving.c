/* SPDX-License-Identifier: MIT
 *
 * Snapshots of a node as clients see them: SAVE, BGSAVE, save points, what a failing disk does, and
 * the dump at the next start.
 */
#include "support/test.h"

#include "support/core_world.h"

#include <stdio.h>
#include <string.h>

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

/* The named file of this world that has this name, or NULL. */
static const core_file *find(const core_world *world, const char *name)
{
    for (int i = SHOAL_FILE_COUNT; i < CORE_FILES_MAX; i++) {
        if (strcmp(world->names[i], name) == 0 && world->files[i].exists) return &world->files[i];
    }
    return NULL;
}

static void save_writes_a_dump_and_leaves_nothing_else(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "save \"\"\n");
    answers(&world, "SET a 1", "+OK\r\n");
    answers(&world, "SAVE", "+OK\r\n");
    const core_file *dump = find(&world, "dump.rdb");
    assert_non_null(dump);
    assert_memory_equal(shoal_buffer_slice(&dump->content).data, "REDIS0010", 9);
    assert_null(find(&world, "temp-1.rdb"));
    contains(core_world_ask(&world, 0, "INFO persistence"), "rdb_changes_since_last_save:0\r\n");
    core_world_close(&world);
}

static void a_failing_disk_keeps_the_former_dump_and_refuses_writes(void **state)
{
    static const shoal_file_op ops[] = {SHOAL_FILE_APPEND, SHOAL_FILE_SYNC, SHOAL_FILE_RENAME};
    (void)state;
    for (int i = 0; i < 3; i++) {
        core_world world;
        open_started(&world, "save 3600 1\n");
        answers(&world, "SET a 1", "+OK\r\n");
        answers(&world, "SAVE", "+OK\r\n");
        size_t size = shoal_buffer_size(&find(&world, "dump.rdb")->content);
        answers(&world, "MSET b 22222222222222222222222 c 3", "+OK\r\n");
        world.fail_op = ops[i];
        answers(&world, "SAVE", "-ERR\r\n");
        assert_int_equal(shoal_buffer_size(&find(&world, "dump.rdb")->content), size);
        contains(core_world_ask(&world, 0, "SET d 4"),
                 "-MISCONF Redis is configured to save RDB snapshots");
        contains(core_world_ask(&world, 0, "PING"), "-MISCONF ");
        answers(&world, "GET a", "$1\r\n1\r\n");
        contains(core_world_ask(&world, 0, "INFO persistence"), "rdb_last_bgsave_status:err\r\n");
        world.fail_op = 0;
        answers(&world, "SAVE", "+OK\r\n");
        answers(&world, "SET d 4", "+OK\r\n");
        core_world_close(&world);
    }
}

static void save_points_begin_a_snapshot_when_they_are_due(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "save 10 2\n");
    answers(&world, "SET a 1", "+OK\r\n");
    core_world_sleep(&world, 30000000);
    assert_null(find(&world, "dump.rdb"));
    answers(&world, "SET b 1", "+OK\r\n");
    core_world_sleep(&world, 3000000);
    assert_non_null(find(&world, "dump.rdb"));
    contains(core_world_log(&world), "2 changes in 10 seconds. Saving...");
    core_world_close(&world);
}

static void background_saves_do_not_overlap(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "save \"\"\n");
    answers(&world, "SET a 1", "+OK\r\n");
    answers(&world, "BGSAVE what", "-ERR syntax error\r\n");
    world.hold_files = true;
    answers(&world, "BGSAVE", "+Background saving started\r\n");
    answers(&world, "BGSAVE", "-ERR Background save already in progress\r\n");
    answers(&world, "SAVE", "-ERR Background save already in progress\r\n");
    world.hold_files = false;
    core_world_settle(&world);
    contains(core_world_ask(&world, 0, "INFO persistence"), "rdb_saves:1\r\n");
    core_world_close(&world);
}

static void shutdown_saves_where_there_are_save_points(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "save 3600 1\n");
    answers(&world, "SET a 1", "+OK\r\n");
    core_world_send(&world, 0, "SHUTDOWN");
    core_world_settle(&world);
    assert_int_equal(shoal_node_wanted(world.node), SHOAL_WISH_EXIT);
    assert_non_null(find(&world, "dump.rdb"));
    core_world_close(&world);
}

static void a_node_may_end_in_the_middle_of_a_snapshot(void **state)
{
    (void)state;
    core_world world;
    open_started(&world, "save \"\"\n");
    for (int i = 0; i < 2000; i++) {
        char line[64];
        snprintf(line, sizeof line, "SET key:%d %d", i, i);
        answers(&world, line, "+OK\r\n");
    }
    world.hold_files = true;
    core_world_send(&world, 0, "SAVE");
    core_world_settle(&world);
    core_world_close(&world);
}

/* The control actor is nudged so often, behind a BGSAVE, while a worker that it waits for is in the
 * middle of a batch; and then the process dies. A replica has its stream kept, so that a snapshot
 * begins between two operations. */
static void a_node_may_end_at_any_step_of_the_way_to_a_snapshot(void **state)
{
    (void)state;
    for (int steps = 1; steps < 6; steps++) {
        core_world world;
        core_world_open(&world, 2, "save \"\"\nrepl-diskless-sync-delay 0\n");
        core_world_start(&world);
        core_world_send(&world, 1, "PSYNC ? -1");
        core_world_sleep(&world, 2000000);
        core_world_send(&world, 0, "BGSAVE");
        shoal_worker *worker = shoal_node_worker(world.node, 0);
        shoal_worker_begin(worker, world.now);
        for (int i = 0; i < steps; i++) {
            shoal_event nudged = {.kind = SHOAL_EVENT_NUDGED, .now = world.now};
            (void)shoal_node_step(world.node, &nudged);
        }
        (void)shoal_worker_end(worker);
        core_world_close(&world);
    }
}

/* Overwrites ten values of 4 MiB while nothing of the snapshot `command` reaches the disk. */
static void overwrite_while_the_disk_stands_still(const char *conf, const char *command)
{
    core_world world;
    char line[64];
    core_world_open(&world, 1, conf);
    core_world_start(&world);
    for (int i = 0; i < 12; i++) {
        snprintf(line, sizeof line, "SETRANGE k:%d 4194303 x", i);
        assert_string_equal(core_world_ask(&world, 0, line), ":4194304\r\n");
    }
    core_world_sleep(&world, 3000000);
    assert_memory_equal(core_world_ask(&world, 0, command), "+Background", 11);
    core_world_sleep(&world, 20000);
    world.hold_files = true;
    for (int i = 0; i < 12; i++) {
        snprintf(line, sizeof line, "SET k:%d y", i);
        assert_string_equal(core_world_ask(&world, 0, line), "+OK\r\n");
        if (shoal_rdb_save_waiting(&world.node->saving.save) +
                shoal_aof_rewrite_waiting(world.node->appending.aof) >
            33u << 20)
            break;
    }
    core_world_sleep(&world, 20000);
    assert_true(world.node->saving.restrains);
    assert_string_equal(core_world_ask(&world, 0, "SET other 1"), "");
    core_world_sleep(&world, 5000000);
    assert_string_equal(core_world_reply(&world, 0), "");
    /* A failover held writes too, and lets go of them. */
    world.node->replication.pause = SHOAL_PAUSE_WHOLE;
    core_world_sleep(&world, 200000);
    assert_int_equal(world.node->replication.pause, SHOAL_PAUSE_NONE);
    assert_string_equal(core_world_reply(&world, 0), "");
    world.hold_files = false;
    /* The steps write what they hold, one value each half second here. */
    core_world_sleep(&world, 5000000);
    assert_string_equal(core_world_reply(&world, 0), "+OK\r\n");
    assert_false(world.node->saving.restrains);
    assert_string_equal(core_world_ask(&world, 0, "GET other"), "$1\r\n1\r\n");
    core_world_close(&world);
}

static void writes_wait_while_a_disk_stands_still_that_a_snapshot_is_written_to(void **state)
{
    (void)state;
    overwrite_while_the_disk_stands_still("save \"\"\nrdbcompression no\n"
                                          "rdb-key-save-delay 500000\n",
                                          "BGSAVE");
}

static void writes_wait_while_a_disk_stands_still_that_a_rewrite_is_written_to(void **state)
{
    (void)state;
    overwrite_while_the_disk_stands_still("save \"\"\nrdbcompression no\nappendonly yes\n"
                                          "rdb-key-save-delay 500000\n",
                                          "BGREWRITEAOF");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(save_writes_a_dump_and_leaves_nothing_else),
        cmocka_unit_test(a_failing_disk_keeps_the_former_dump_and_refuses_writes),
        cmocka_unit_test(save_points_begin_a_snapshot_when_they_are_due),
        cmocka_unit_test(background_saves_do_not_overlap),
        cmocka_unit_test(shutdown_saves_where_there_are_save_points),
        cmocka_unit_test(a_node_may_end_in_the_middle_of_a_snapshot),
        cmocka_unit_test(a_node_may_end_at_any_step_of_the_way_to_a_snapshot),
        cmocka_unit_test(writes_wait_while_a_disk_stands_still_that_a_snapshot_is_written_to),
        cmocka_unit_test(writes_wait_while_a_disk_stands_still_that_a_rewrite_is_written_to),
    };
    return cmocka_run_group_tests_name("core_saving", tests, NULL, NULL);
}
