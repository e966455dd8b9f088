/* SPDX-License-Identifier: MIT
 *
 * Small interleavings of moments between operations, all of them: two threads that write and one
 * that wishes for a moment. Claims M1, M2, M4 and M5 of store/moment.c.
 */
#define SHOAL_INTERLEAVE 1
#include "support/explorer.h"

#include <string.h>

#include "store/gate.c"
#include "store/moment.c"
#include "store/store.c"

#include "support/store_box.h"

#define OPS 4u

static const uint32_t places[] = {5, 9};

static struct world {
    store_box box;
    shoal_thread *threads[SCRIPTS_MAX];
    shoal_gate_op ops[OPS]; /* they may outlive the script that pushed them */
    uint32_t inside, ran, moments;
    bool still; /* a moment is there */
} world;

static void run_op(shoal_op *op, void *thread)
{
    (void)op;
    (void)thread;
    assert_false(world.still);
    world.inside++;
    shoal_interleave_point();
    world.inside--;
    world.ran++;
}

static void begin(void)
{
    memset(world.ops, 0, sizeof world.ops);
    world.inside = world.ran = world.moments = 0;
    world.still = false;
}

/* The threads carry on what they have been given. */
static void end(void)
{
    for (uint32_t i = 0; i < 2 * SCRIPTS_MAX; i++) {
        shoal_thread_enter(world.threads[i % SCRIPTS_MAX], world.box.now);
        shoal_thread_leave(world.threads[i % SCRIPTS_MAX]);
    }
    assert_int_equal(world.ran, OPS);
    for (uint32_t i = 0; i < 2; i++)
        assert_true(shoal_load_relaxed(&shoal_store__hot(world.box.store, places[i])->gate) ==
                    GATE_IDLE);
}

static void push(uint32_t script, uint32_t number)
{
    shoal_gate_op *op = &world.ops[number];
    bool both = number == 1;
    *op = (shoal_gate_op){.op = {.run = run_op},
                          .places = places + (both ? 0 : script),
                          .count = both ? 2 : 1};
    if (number % 2 == 0 && shoal_gate_try(world.threads[script], op)) return;
    (void)shoal_gate_push(world.threads[script], op);
}

static void wish(uint32_t script)
{
    shoal_thread *thread = world.threads[script];
    if (!shoal_moment_wish(thread)) fail_msg("the threads were ready before");
    for (uint32_t i = 0; i < 3; i++) {
        if (!shoal_moment_has_come(thread)) continue;
        assert_int_equal(world.inside, 0);
        world.still = true;
        shoal_interleave_point();
        world.still = false;
        world.moments++;
        break;
    }
    shoal_moment_end(thread);
}

static void write_or_wish(uint32_t script)
{
    shoal_thread_enter(world.threads[script], world.box.now);
    if (script == 2) {
        wish(script);
    } else {
        push(script, script * 2);
        push(script, script * 2 + 1);
    }
    shoal_thread_leave(world.threads[script]);
}

static void nobody_writes_in_a_moment_and_no_write_is_lost(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    box_open(&world.box, SCRIPTS_MAX);
    shoal_moment_prepare(world.box.thread, 1);
    shoal_thread_leave(world.box.thread);
    for (uint32_t i = 0; i < SCRIPTS_MAX; i++)
        world.threads[i] = shoal_store_thread(world.box.store, i);
    /* Until a wish is accepted. */
    for (bool ready = false; !ready;) {
        shoal_thread_enter(world.threads[2], world.box.now);
        ready = shoal_moment_wish(world.threads[2]);
        if (ready) shoal_moment_end(world.threads[2]);
        shoal_thread_leave(world.threads[2]);
    }
    explore((exploration){3, 2, 1000}, write_or_wish, begin, end);
    shoal_thread_enter(world.box.thread, world.box.now);
    shoal_moment_prepare(world.box.thread, -1);
    box_close(&world.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_writes_in_a_moment_and_no_write_is_lost),
    };
    return cmocka_run_group_tests_name("store_moment", tests, NULL, NULL);
}
