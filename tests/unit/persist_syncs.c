/* SPDX-License-Identifier: MIT
 *
 * appendfsync always with a host that tells of the end of a sync at once: what follows from it
 * without the control actor, and what that makes of it later. Each test decides when the appender
 * is told, and when FILE_DONE comes.
 */
#include "support/test.h"

#include "support/core_world.h"

#include <string.h>

#include "command/hold.h"
#include "core/node.h"
#include "persist/aof_state.h"

typedef struct scene {
    core_world world; /* first: it is the context of its operations */
    const shoal_sync_watch *watch;
    uint64_t tag; /* of the last sync that was asked for in this way, */
    uint32_t asked;
} scene;

static void sync_watched(void *context, shoal_file file, uint64_t tag,
                         const shoal_sync_watch *watch)
{
    scene *of = context;
    of->watch = watch;
    of->tag = tag;
    of->asked++;
    of->world.node->host.file_sync(context, file, tag);
}

static void open_scene(scene *of)
{
    *of = (scene){0};
    core_world_open(&of->world, 1, "save \"\"\nappendonly yes\nappendfsync always\n");
    of->world.node->host.file_sync_watched = sync_watched;
    core_world_start(&of->world);
    assert_true(shoal_node_ready(of->world.node));
    of->world.hold_files = true;
}

static shoal_aof *aof_of(const scene *of)
{
    return of->world.node->appending.aof;
}

static uint64_t released(const scene *of)
{
    return shoal_hold_released(&of->world.node->env);
}

static uint64_t end(const scene *of)
{
    return shoal_log_end(of->world.node->log);
}

/* Runs a SET, and appends it at once, as a host has its workers do. */
static void set(scene *of, const char *line)
{
    core_world *world = &of->world;
    assert_string_equal(core_world_ask(world, 0, line), "+OK\r\n");
    shoal_worker *worker = shoal_node_worker(world->node, 0);
    shoal_worker_begin(worker, world->now);
    shoal_worker_commit(worker);
    (void)shoal_worker_end(worker);
}

/* The sync with this tag has ended, and the appender is told. */
static bool tell(const scene *of, uint64_t tag, shoal_err error)
{
    return of->watch->ended(of->watch->context, tag, error, of->world.now);
}

static uint32_t waiting(const scene *of, shoal_file_op op)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < of->world.pending_count; i++)
        count += of->world.pending[i].event.op == op;
    return count;
}

/* The first operation of this kind is told to the control actor. */
static void deliver(scene *of, shoal_file_op op)
{
    core_world *world = &of->world;
    uint32_t i = 0;
    while (i < world->pending_count && world->pending[i].event.op != op) i++;
    assert_true(i < world->pending_count);
    shoal_event event = world->pending[i].event;
    world->pending_count--;
    memmove(world->pending + i, world->pending + i + 1,
            (world->pending_count - i) * sizeof(core_pending));
    event.now = world->now;
    world->deadline_us = shoal_node_step(world->node, &event);
    core_world_settle(world);
}

static void let_all_end(scene *of)
{
    of->world.hold_files = false;
    core_world_sleep(&of->world, 8000000);
}

static void replies_go_and_the_next_sync_is_asked_for_when_one_has_ended(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    set(&of, "SET a 1");
    uint64_t first = end(&of), tag = of.tag;
    assert_int_equal(of.asked, 1);
    set(&of, "SET b 2");
    assert_int_equal(of.asked, 1);
    assert_true(released(&of) < first);
    assert_true(tell(&of, tag, SHOAL_ERR_OK));
    assert_int_equal(released(&of), first);
    assert_int_equal(of.asked, 2);
    assert_true(of.tag != tag);
    core_world_close(&of.world);
}

static void the_control_actor_must_run_when_no_sync_follows(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    set(&of, "SET a 1");
    assert_false(tell(&of, of.tag, SHOAL_ERR_OK));
    assert_int_equal(released(&of), end(&of));
    assert_true(shoal_aof_synced(aof_of(&of)) < end(&of));
    deliver(&of, SHOAL_FILE_SYNC);
    assert_int_equal(shoal_aof_synced(aof_of(&of)), end(&of));
    assert_int_equal(waiting(&of, SHOAL_FILE_SYNC), 0);
    set(&of, "SET b 2");
    assert_int_equal(of.asked, 2);
    core_world_close(&of.world);
}

static void the_control_actor_learns_of_each_sync_however_late(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    for (int i = 0; i < 200; i++) {
        set(&of, "SET a 1");
        bool follows = tell(&of, of.tag, SHOAL_ERR_OK);
        assert_int_equal(released(&of), end(&of));
        assert_false(follows);
        if (i % 3 == 2)
            while (waiting(&of, SHOAL_FILE_SYNC) > 0) deliver(&of, SHOAL_FILE_SYNC);
    }
    while (waiting(&of, SHOAL_FILE_SYNC) > 0) deliver(&of, SHOAL_FILE_SYNC);
    assert_int_equal(shoal_aof_synced(aof_of(&of)), end(&of));
    assert_int_equal(of.asked, 200);
    core_world_close(&of.world);
}

static void nothing_goes_when_a_sync_or_an_append_before_it_has_failed(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    uint64_t before = released(&of);
    of.world.fail_op = SHOAL_FILE_SYNC;
    set(&of, "SET a 1");
    of.world.fail_op = 0;
    assert_false(tell(&of, of.tag, SHOAL_ERR_IO));
    assert_int_equal(released(&of), before);
    deliver(&of, SHOAL_FILE_SYNC);
    assert_int_equal(shoal_aof_trouble(aof_of(&of)), SHOAL_ERR_IO);
    assert_int_equal(released(&of), before);
    let_all_end(&of);
    assert_int_equal(shoal_aof_trouble(aof_of(&of)), SHOAL_ERR_OK);
    assert_int_equal(released(&of), end(&of));
    core_world_close(&of.world);
}

static void what_was_acknowledged_is_not_cut_by_a_repair(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    set(&of, "SET a 1");
    uint64_t first = end(&of);
    (void)tell(&of, of.tag, SHOAL_ERR_OK);
    assert_int_equal(released(&of), first);
    /* The control actor hears of a failed append before it hears of that sync. */
    of.world.fail_op = SHOAL_FILE_APPEND;
    set(&of, "SET b 2");
    of.world.fail_op = 0;
    deliver(&of, SHOAL_FILE_APPEND);
    assert_int_equal(shoal_aof_trouble(aof_of(&of)), SHOAL_ERR_IO);
    assert_int_equal(waiting(&of, SHOAL_FILE_TRUNCATE), 0);
    assert_int_equal(waiting(&of, SHOAL_FILE_SYNC), 2);
    deliver(&of, SHOAL_FILE_SYNC);
    assert_int_equal(aof_of(&of)->sync.safe.at, first);
    deliver(&of, SHOAL_FILE_SYNC);
    assert_int_equal(waiting(&of, SHOAL_FILE_TRUNCATE), 1);
    assert_int_equal(aof_of(&of)->sync.safe.at, first);
    let_all_end(&of);
    assert_int_equal(shoal_aof_trouble(aof_of(&of)), SHOAL_ERR_OK);
    assert_int_equal(released(&of), end(&of));
    core_world_close(&of.world);
}

static void a_sync_that_takes_long_is_counted_and_is_the_control_actors(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    uint64_t before = released(&of);
    set(&of, "SET a 1");
    core_world_sleep(&of.world, 5000000);
    assert_non_null(
        strstr(core_world_ask(&of.world, 0, "INFO persistence"), "aof_delayed_fsync:1\r\n"));
    assert_false(tell(&of, of.tag, SHOAL_ERR_OK));
    assert_int_equal(released(&of), before);
    deliver(&of, SHOAL_FILE_SYNC);
    assert_int_equal(released(&of), end(&of));
    core_world_close(&of.world);
}

static void an_end_from_before_appending_began_again_lets_nothing_go(void **state)
{
    scene of;
    (void)state;
    open_scene(&of);
    set(&of, "SET a 1");
    uint64_t tag = of.tag;
    assert_string_equal(core_world_ask(&of.world, 0, "CONFIG SET appendonly no"), "+OK\r\n");
    assert_int_equal(released(&of), SHOAL_RELEASED_ALL);
    let_all_end(&of);
    assert_string_equal(core_world_ask(&of.world, 0, "CONFIG SET appendonly yes"), "+OK\r\n");
    let_all_end(&of);
    of.world.hold_files = true;
    set(&of, "SET b 2");
    uint64_t before = released(&of);
    assert_true(of.tag != tag && before < end(&of));
    (void)tell(&of, tag, SHOAL_ERR_OK);
    assert_int_equal(released(&of), before);
    let_all_end(&of);
    assert_int_equal(released(&of), end(&of));
    core_world_close(&of.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_go_and_the_next_sync_is_asked_for_when_one_has_ended),
        cmocka_unit_test(the_control_actor_must_run_when_no_sync_follows),
        cmocka_unit_test(the_control_actor_learns_of_each_sync_however_late),
        cmocka_unit_test(nothing_goes_when_a_sync_or_an_append_before_it_has_failed),
        cmocka_unit_test(what_was_acknowledged_is_not_cut_by_a_repair),
        cmocka_unit_test(a_sync_that_takes_long_is_counted_and_is_the_control_actors),
        cmocka_unit_test(an_end_from_before_appending_began_again_lets_nothing_go),
    };
    return cmocka_run_group_tests_name("persist_syncs", tests, NULL, NULL);
}
