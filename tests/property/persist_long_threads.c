/* SPDX-License-Identifier: MIT
 *
 * Long strings in snapshots while two real threads change them: each counts up numbers all over an
 * edited string, first in the left one of a pair and then in the right one, and puts a string as a
 * whole, first a left and then a right one. A snapshot is one moment: what it shows on the right is
 * as on the left, or one behind. For ThreadSanitizer and AddressSanitizer as well.
 */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/prng.h"
#include "persist/snapshot.h"
#include "support/rdb_box.h"

#define WRITERS 2u
/* Numbers of an edited string, and bytes from one to the next. */
#define NUMBERS 300u
#define STRIDE 1100u
#define EDITED_SIZE ((size_t)NUMBERS * STRIDE)
/* Bytes of a string that is put: it begins and ends with its number. */
#define WHOLE_SIZE ((size_t)150000)
#ifdef SHOAL_TSAN
#define SNAPSHOTS 6u
#else
#define SNAPSHOTS 20u
#endif

/* cmocka's checks jump out of a test and do not work beside threads: these stop the process. */
#define CHECK(condition) SHOAL_ASSERT(condition)

typedef struct shared {
    store_box box;
    _Atomic bool over;
} shared;

typedef struct writer {
    shared *world;
    shoal_thread *thread;
    pthread_t id;
    uint32_t index;
    uint64_t whole; /* number of the strings that were put */
    uint64_t counts[NUMBERS];
    shoal_prng prng;
    char bytes[WHOLE_SIZE];
} writer;

typedef struct string_op {
    shoal_gate_op gate;
    const shoal_key *key;
    shoal_patch patch;
    bool puts;
} string_op;

static void run_string(shoal_op *operation, void *runner)
{
    string_op *op = (string_op *)operation;
    if (op->puts) {
        CHECK(shoal_store_put_locked(runner, op->key, op->patch.part, -1) == SHOAL_ERR_OK);
        return;
    }
    const shoal_item *item = shoal_store_get_locked(runner, op->key);
    CHECK(shoal_store_patch_locked(runner, op->key, item, &op->patch) == SHOAL_ERR_OK);
}

/* Edits or puts a string, however long its gate is held by others. */
static void run(shared *world, shoal_thread *thread, const char *name, string_op *op)
{
    shoal_key key = shoal_key_make(world->box.store, 0, text_slice(name));
    op->key = &key;
    op->gate = (shoal_gate_op){.op = {.run = run_string}, .places = &key.place, .count = 1};
    while (!shoal_gate_try(thread, &op->gate)) {
        shoal_thread_leave(thread);
        sched_yield();
        shoal_thread_enter(thread, world->box.now);
    }
}

static void write_number(writer *me, const char *name, uint32_t i)
{
    string_op op = {.patch = {(size_t)i * STRIDE, {(const char *)&me->counts[i], 8}}};
    run(me->world, me->thread, name, &op);
}

static void put_whole(writer *me, const char *side)
{
    char name[16];
    snprintf(name, sizeof name, "%s-%u", side, me->index);
    memcpy(me->bytes, &me->whole, 8);
    memcpy(me->bytes + WHOLE_SIZE - 8, &me->whole, 8);
    string_op op = {.patch = {0, {me->bytes, WHOLE_SIZE}}, .puts = true};
    run(me->world, me->thread, name, &op);
}

static void *work(void *argument)
{
    writer *me = argument;
    while (!shoal_load_relaxed(&me->world->over)) {
        shoal_thread_enter(me->thread, me->world->box.now);
        for (uint32_t n = 0; n < 8; n++) {
            uint32_t i =
                (uint32_t)shoal_prng_below(&me->prng, NUMBERS / WRITERS) * WRITERS + me->index;
            me->counts[i]++;
            write_number(me, "left", i);
            write_number(me, "right", i);
        }
        me->whole++;
        put_whole(me, "left");
        put_whole(me, "right");
        (void)shoal_store_maintain(me->thread, 20);
        shoal_thread_leave(me->thread);
    }
    return NULL;
}

/* ---- what a file shows ---- */

static const char *bytes_of(store_box *box, const char *name, size_t size)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    const shoal_item *item = box_get(box, name);
    CHECK(item != NULL);
    shoal_slice bytes = shoal_item_string(item, scratch);
    CHECK(bytes.size == size);
    return bytes.data;
}

static uint64_t number_at(const char *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

static void check_file(shoal_slice file)
{
    store_box box;
    rdb_box_open(&box, file, file.size, BOX_START_MS);
    const char *left = bytes_of(&box, "left", EDITED_SIZE);
    const char *right = bytes_of(&box, "right", EDITED_SIZE);
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t behind = number_at(left + i * STRIDE) - number_at(right + i * STRIDE);
        CHECK(behind <= 1);
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        char names[2][16];
        snprintf(names[0], sizeof names[0], "left-%u", i);
        snprintf(names[1], sizeof names[1], "right-%u", i);
        left = bytes_of(&box, names[0], WHOLE_SIZE);
        right = bytes_of(&box, names[1], WHOLE_SIZE);
        CHECK(number_at(left) - number_at(right) <= 1);
        CHECK(number_at(left) == number_at(left + WHOLE_SIZE - 8));
        CHECK(number_at(right) == number_at(right + WHOLE_SIZE - 8));
    }
    box_close(&box);
}

static void take(void *context, shoal_slice bytes)
{
    shoal_buffer_append(context, bytes);
}

static void take_snapshot(shared *world, uint32_t number)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_thread *thread = world->box.thread;
    shoal_buffer file = shoal_buffer_make(&allocator);
    const shoal_snapshot_options options = {.allocator = allocator,
                                            .databases = 2,
                                            .threads = WRITERS + 1,
                                            .style = {.compress = number % 2 == 0,
                                                      .list = shoal_list_limits_of(-2),
                                                      .now_ms = BOX_START_MS},
                                            .checksum = true,
                                            .taker = {take, &file}};
    shoal_snapshot_writer *taken = NULL;
    CHECK(shoal_snapshot_begin(thread, &options, &taken) == SHOAL_ERR_OK);
    shoal_snapshot_state state = SHOAL_SNAPSHOT_MORE;
    while (state == SHOAL_SNAPSHOT_MORE) {
        state = shoal_snapshot_step(taken, thread, number % 3 == 0 ? 30 : 300);
        shoal_thread_leave(thread);
        if (number % 4 == 0) sched_yield();
        shoal_thread_enter(thread, world->box.now);
    }
    CHECK(state == SHOAL_SNAPSHOT_DONE);
    CHECK(shoal_snapshot_end(taken, thread));
    check_file(shoal_buffer_slice(&file));
    shoal_buffer_free(&file);
    CHECK(heap.blocks == 0);
}

/* Strings that are there from the beginning, the edited ones as objects. */
static void prepare(shared *world, writer *me)
{
    static const char *const names[] = {"left", "right"};
    for (uint32_t n = 0; n < 2; n++) {
        string_op op = {.patch = {EDITED_SIZE - 1, {"", 1}}};
        run(world, world->box.thread, names[n], &op);
    }
    me->thread = world->box.thread;
    for (me->index = 0; me->index < WRITERS; me->index++) {
        put_whole(me, "left");
        put_whole(me, "right");
    }
}

static void a_snapshot_shows_one_moment_of_long_strings_that_two_threads_change(void **state)
{
    (void)state;
    static shared world;
    static writer writers[WRITERS], first;
    box_open(&world.box, WRITERS + 1);
    first.world = &world;
    prepare(&world, &first);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writer *me = &writers[i];
        *me = (writer){.world = &world, .index = i};
        me->thread = shoal_store_thread(world.box.store, i + 1);
        me->prng = shoal_prng_make((uint64_t[2]){13, 7}, i, 0);
        assert_int_equal(pthread_create(&me->id, NULL, work, me), 0);
    }
    for (uint32_t n = 0; n < SNAPSHOTS; n++) take_snapshot(&world, n);
    shoal_store_relaxed(&world.over, true);
    for (uint32_t i = 0; i < WRITERS; i++) pthread_join(writers[i].id, NULL);
    box_close(&world.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_shows_one_moment_of_long_strings_that_two_threads_change),
    };
    return cmocka_run_group_tests_name("persist_long_threads", tests, NULL, NULL);
}
