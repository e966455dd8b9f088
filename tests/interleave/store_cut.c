/* SPDX-License-Identifier: MIT
 *
 * Small interleavings of a cut and of who changes a place that the steps come to, all of them.
 * Claims C2 and C3 of store/cut.c. Orders of memory are not tried here: the argument is there.
 */
#define SHOAL_INTERLEAVE 1
#include "support/explorer.h"

#include <stdio.h>
#include <string.h>

#include <shoal/command.h>

#include "store/cut.c"

#include "support/allocator.h"

#define ELEMENTS 500u
/* Calls of the sink that the object takes. */
#define PIECES 4u
/* The key lies in one of the first places, so that the steps come to it at once. */
#define PLACES 16u

static struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_cache *cache;
    shoal_cache_thread *threads[2];
    shoal_commands *commands;
    shoal_buffer reply;
    char name[16];
    shoal_key key;
    int64_t ms;
    shoal_cut *cut;
    uint32_t calls, done; /* of the sink */
    bool clears;          /* the place goes, not the key */
} world;

static void enter(uint32_t thread)
{
    shoal_cache_enter(world.threads[thread],
                      (shoal_time){.mono_us = world.ms * 1000, .wall_us = world.ms * 1000});
}

static void turn(void)
{
    world.ms++;
    for (uint32_t i = 0; i < 2; i++) {
        enter(i);
        (void)shoal_cache_maintain(world.threads[i], 50);
        shoal_cache_leave(world.threads[i]);
    }
}

static void run(const char *verb, const char *arguments)
{
    char line[100];
    snprintf(line, sizeof line, "%s %s %s", verb, world.name, arguments);
    shoal_buffer_consume(&world.reply, shoal_buffer_size(&world.reply));
    assert_int_equal(shoal_command_line(world.commands, world.threads[0], line, &world.reply), 0);
}

static void open_world(bool clears)
{
    memset(&world, 0, sizeof world);
    world.clears = clears;
    world.ms = 1700000000000;
    world.allocator = test_allocator(&world.heap);
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = world.allocator;
    options.threads = 2;
    assert_int_equal(shoal_cache_open(&options, &world.cache), 0);
    shoal_commands_options more = shoal_commands_options_default();
    more.allocator = world.allocator;
    assert_int_equal(shoal_commands_open(world.cache, &more, &world.commands), 0);
    world.reply = shoal_buffer_make(&world.allocator);
    for (uint32_t i = 0; i < 2; i++) world.threads[i] = shoal_cache_thread_at(world.cache, i);
    for (uint32_t i = 0; world.key.name.size == 0 || world.key.place >= PLACES; i++) {
        snprintf(world.name, sizeof world.name, "k%u", i);
        world.key = shoal_key_make(shoal_thread_store(world.threads[0]), 0,
                                   (shoal_slice){world.name, strlen(world.name)});
    }
}

static void close_world(void)
{
    shoal_buffer_free(&world.reply);
    shoal_commands_close(world.commands);
    shoal_cache_close(world.cache);
    assert_int_equal(world.heap.blocks, 0);
}

/* Takes the object in PIECES. */
static void take_piece(void *context, shoal_thread *thread, shoal_snapshot_part *part)
{
    (void)context;
    (void)thread;
    assert_non_null(part->object);
    assert_int_equal(world.done, 0);
    world.calls++;
    part->done = ++part->cursor == PIECES || part->budget == UINT32_MAX;
    world.done += part->done;
}

/* A large object that is alone in its slot, and a cut that is ready to be handed out. */
static void begin(void)
{
    world.calls = world.done = 0;
    enter(0);
    for (uint32_t i = 0; i < ELEMENTS; i++) run("RPUSH", "an-element-of-a-long-list");
    const shoal_cut_options options = {.sink = {take_piece, NULL}};
    assert_int_equal(shoal_cut_begin(world.threads[0], &options, &world.cut), 0);
    shoal_cache_leave(world.threads[0]);
    while (!shoal_epoch_passed(&world.cut->store->epoch, world.cut->stamp)) {
        shoal_epoch_advance(&world.cut->store->epoch);
        turn();
    }
    enter(0);
    enter(1);
}

/* Where the gate is held, there is nothing to be seen: the writer would wait. */
static void change(shoal_thread *thread)
{
    if (!shoal_gate__take(thread, world.key.place)) return;
    if (world.clears) {
        assert_int_equal(shoal_store_clear_locked(thread, world.key.place), 1);
    } else {
        assert_true(shoal_store_remove_locked(thread, &world.key));
    }
    shoal_gate__release(thread, world.key.place);
}

static void step_or_change(uint32_t script)
{
    if (script == 0) {
        (void)shoal_cut_step(world.cut, world.threads[0], 2);
    } else {
        change(world.threads[1]);
    }
    shoal_cache_leave(world.threads[script]);
}

static void end(void)
{
    bool over = false;
    while (!over) {
        turn();
        enter(0);
        over = shoal_cut_step(world.cut, world.threads[0], 100);
        shoal_cache_leave(world.threads[0]);
    }
    assert_int_equal(world.done, 1);
    enter(0);
    assert_true(shoal_cut_end(world.cut, world.threads[0]));
    run("DEL", "");
    shoal_cache_leave(world.threads[0]);
    turn();
}

static void an_object_alone_in_its_slot_is_handed_out_though_it_is_removed(void **state)
{
    (void)state;
    open_world(false);
    explore((exploration){2, 2, 30}, step_or_change, begin, end);
    close_world();
}

static void what_a_slot_held_is_handed_out_though_it_is_cleared(void **state)
{
    (void)state;
    open_world(true);
    explore((exploration){2, 2, 30}, step_or_change, begin, end);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_alone_in_its_slot_is_handed_out_though_it_is_removed),
        cmocka_unit_test(what_a_slot_held_is_handed_out_though_it_is_cleared),
    };
    return cmocka_run_group_tests_name("store_cut", tests, NULL, NULL);
}
