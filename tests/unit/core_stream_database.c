/* SPDX-License-Identifier: MIT
 *
 * The stream of a master as a node carries it out: what has a place in the log, and what a copy or
 * a file that begins there has to know.
 */
#include "support/test.h"

#include "support/core_world.h"

#include <string.h>

#include "base/text.h"
#include "core/node.h"

static void open_started(core_world *world)
{
    core_world_open(world, 1, "save \"\"\nappendonly yes\n");
    core_world_start(world);
    assert_true(shoal_node_ready(world->node));
}

/* Some bytes of the stream come. */
static void take(core_world *world, const char *text)
{
    shoal_thread *thread = world->node->thread;
    shoal_thread_enter(thread, world->now);
    shoal_node__apply_bytes(world->node, shoal_text(text));
    shoal_thread_leave(thread);
    core_world_settle(world);
}

/* The link is given up: the next one goes on where the log ends. */
static void cut(core_world *world)
{
    shoal_thread *thread = world->node->thread;
    shoal_thread_enter(thread, world->now);
    assert_true(shoal_node__apply_reset(world->node));
    shoal_thread_leave(thread);
}

#define IN_ONE "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define HALF_IN_TWO "*1\r\n$5\r\nMULTI\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"

static void the_database_of_a_stream_is_that_where_the_log_ends(void **state)
{
    core_world world;
    (void)state;
    open_started(&world);
    take(&world, IN_ONE);
    uint64_t end = shoal_log_end(world.node->log);
    assert_int_equal(shoal_node__apply_db(world.node), 1);
    take(&world, HALF_IN_TWO SET_B);
    assert_int_equal(shoal_log_end(world.node->log), end);
    assert_int_equal(shoal_node__apply_db(world.node), 1);
    take(&world, "*1\r\n$4\r\nEXEC\r\n");
    assert_true(shoal_log_end(world.node->log) > end);
    assert_int_equal(shoal_node__apply_db(world.node), 2);
    core_world_close(&world);
}

static void a_stream_that_was_cut_in_a_transaction_goes_on_in_the_database_before_it(void **state)
{
    core_world world;
    (void)state;
    open_started(&world);
    take(&world, IN_ONE HALF_IN_TWO);
    cut(&world);
    take(&world, SET_B);
    assert_string_equal(core_world_ask(&world, 0, "EXISTS b"), ":0\r\n");
    assert_string_equal(core_world_ask(&world, 0, "SELECT 2"), "+OK\r\n");
    assert_string_equal(core_world_ask(&world, 0, "EXISTS b"), ":0\r\n");
    assert_string_equal(core_world_ask(&world, 0, "SELECT 1"), "+OK\r\n");
    assert_string_equal(core_world_ask(&world, 0, "EXISTS a b"), ":2\r\n");
    core_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_database_of_a_stream_is_that_where_the_log_ends),
        cmocka_unit_test(a_stream_that_was_cut_in_a_transaction_goes_on_in_the_database_before_it),
    };
    return cmocka_run_group_tests_name("core_stream_database", tests, NULL, NULL);
}
