/* SPDX-License-Identifier: MIT
 *
 * Large values in snapshots while two real threads change them. Each writer counts up fields of a
 * hash, elements of a sorted set and elements of a list, each first in the left one and then in the
 * right one of a pair of keys. A snapshot is one moment: what it shows on the right is as on the
 * left, or one behind. Meanwhile the writers add and remove members of a set, and the first lets
 * numbers go through a list, which a snapshot shows without a gap, and renames a set, which has one
 * of its names.
 */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <shoal/command.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/prng.h"
#include "persist/snapshot.h"
#include "support/rdb_box.h"
#include "value/members.h"
#include "value/zset.h"

#define WRITERS 2u
#define FIELDS 3000u
/* Elements of a list: long enough to be large. */
#define ELEMENTS (2 * FIELDS)
/* Numbers in lists are so much more, that they take some bytes. */
#define BASE 4000000000000000000
#ifdef SHOAL_TSAN
#define SNAPSHOTS 4u
#else
#define SNAPSHOTS 10u
#endif

/* cmocka's checks jump out of a test and do not work beside threads: these stop the process. */
#define CHECK(condition) SHOAL_ASSERT(condition)

typedef struct shared {
    test_heap heap;
    shoal_allocator allocator;
    shoal_cache *cache;
    shoal_commands *commands;
    _Atomic bool over;
} shared;

typedef struct writer {
    shared *world;
    shoal_cache_thread *thread;
    pthread_t id;
    uint32_t index;
    shoal_prng prng;
    uint32_t counts[FIELDS];
    uint32_t next; /* number for the list */
    bool bag;      /* which name the bag has */
    shoal_buffer reply;
} writer;

static const shoal_time now = {.mono_us = 1000000, .wall_us = BOX_START_MS * 1000};

/* Runs a command, however long the gates are held by others. */
static void run(shared *world, shoal_cache_thread *thread, shoal_buffer *reply, const char *line)
{
    for (;;) {
        shoal_buffer_consume(reply, shoal_buffer_size(reply));
        shoal_err error = shoal_command_line(world->commands, thread, line, reply);
        if (error == SHOAL_ERR_OK) return;
        CHECK(error == SHOAL_ERR_BUSY);
        shoal_cache_leave(thread);
        sched_yield();
        shoal_cache_enter(thread, now);
    }
}

static void write_some(writer *me)
{
    char line[80];
    uint32_t i = (uint32_t)shoal_prng_below(&me->prng, FIELDS / WRITERS) * WRITERS + me->index;
    me->counts[i]++;
    for (uint32_t n = 0; n < 6; n++) {
        const char *side = n % 2 == 0 ? "left" : "right";
        if (n < 2)
            snprintf(line, sizeof line, "HSET %s field-%u %u", side, i, me->counts[i]);
        else if (n < 4)
            snprintf(line, sizeof line, "ZADD z%s %u member-%u", side, me->counts[i], i);
        else
            snprintf(line, sizeof line, "LSET l%s %u %lld", side, 2 * i,
                     (long long)(BASE + me->counts[i]));
        run(me->world, me->thread, &me->reply, line);
    }
    snprintf(line, sizeof line, "%s set member-%u", me->counts[i] % 2 == 0 ? "SADD" : "SREM",
             (unsigned)shoal_prng_below(&me->prng, 2 * FIELDS));
    run(me->world, me->thread, &me->reply, line);
    if (me->index != 0) return;
    snprintf(line, sizeof line, "RPUSH numbers %lld", (long long)(BASE + me->next++));
    run(me->world, me->thread, &me->reply, line);
    run(me->world, me->thread, &me->reply, "LPOP numbers");
    me->bag = !me->bag;
    run(me->world, me->thread, &me->reply, me->bag ? "RENAME bag-0 bag-1" : "RENAME bag-1 bag-0");
}

static void *work(void *argument)
{
    writer *me = argument;
    while (!shoal_load_relaxed(&me->world->over)) {
        shoal_cache_enter(me->thread, now);
        for (uint32_t n = 0; n < 8; n++) write_some(me);
        (void)shoal_cache_maintain(me->thread, 20);
        shoal_cache_leave(me->thread);
    }
    shoal_buffer_free(&me->reply);
    return NULL;
}

/* ---- what a file shows ---- */

static int64_t field_of(store_box *box, const char *key, const char *text)
{
    shoal_compound value = shoal_item_compound(box_get(box, key));
    shoal_members members = shoal_members_of(&value, SHOAL_TYPE_HASH, BOX_START_MS);
    shoal_element name = shoal_element_of(text_slice(text));
    shoal_table_entry entry;
    CHECK(shoal_members_find(&members, &name, &entry));
    CHECK(entry.value.kind == SHOAL_ELEMENT_INTEGER);
    return entry.value.integer;
}

static int64_t score_of(store_box *box, const char *key, const char *member)
{
    shoal_compound value = shoal_item_compound(box_get(box, key));
    double score;
    CHECK(shoal_zset_score(&value, text_slice(member), &score));
    return (int64_t)score;
}

/* All of a list's numbers; that of a queue may have one more, and no gap. */
static void numbers_of(store_box *box, const char *key, int64_t all[ELEMENTS + 1], bool queue)
{
    shoal_compound value = shoal_item_compound(box_get(box, key));
    shoal_list_cursor cursor;
    shoal_element element;
    uint64_t count = shoal_list_count(&value);
    CHECK(count == ELEMENTS || (queue && count == ELEMENTS + 1));
    shoal_list_seek(&cursor, &value, 0, false);
    for (uint32_t i = 0; shoal_list_next(&cursor, &element); i++) {
        CHECK(element.kind == SHOAL_ELEMENT_INTEGER);
        all[i] = element.integer;
        CHECK(!queue || i == 0 || all[i] == all[i - 1] + 1);
    }
}

static void check_lists(store_box *box)
{
    static int64_t left[ELEMENTS + 1], right[ELEMENTS + 1], numbers[ELEMENTS + 1];
    numbers_of(box, "lleft", left, false);
    numbers_of(box, "lright", right, false);
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        int64_t behind = left[i] - right[i];
        CHECK(behind == 0 || behind == 1);
    }
    numbers_of(box, "numbers", numbers, true);
    CHECK((box_get(box, "bag-0") != NULL) != (box_get(box, "bag-1") != NULL));
    shoal_compound bag =
        shoal_item_compound(box_get(box, box_get(box, "bag-0") != NULL ? "bag-0" : "bag-1"));
    CHECK(shoal_members_of(&bag, SHOAL_TYPE_SET, BOX_START_MS).count == FIELDS);
}

static void check_file(shoal_slice file)
{
    store_box box;
    rdb_box_open(&box, file, file.size, BOX_START_MS);
    for (uint32_t i = 0; i < FIELDS; i++) {
        char field[32], member[32];
        snprintf(field, sizeof field, "field-%u", i);
        snprintf(member, sizeof member, "member-%u", i);
        int64_t behind = field_of(&box, "left", field) - field_of(&box, "right", field);
        CHECK(behind == 0 || behind == 1);
        behind = score_of(&box, "zleft", member) - score_of(&box, "zright", member);
        CHECK(behind == 0 || behind == 1);
    }
    check_lists(&box);
    box_close(&box);
}

static void take(void *context, shoal_slice bytes)
{
    shoal_buffer_append(context, bytes);
}

static void take_snapshots(shared *world, shoal_cache_thread *thread)
{
    for (uint32_t n = 0; n < SNAPSHOTS; n++) {
        shoal_buffer file = shoal_buffer_make(&world->allocator);
        const shoal_snapshot_options options = {.allocator = world->allocator,
                                                .databases = 1,
                                                .threads = WRITERS + 1,
                                                .style = {.list = shoal_list_limits_of(-2),
                                                          .now_ms = BOX_START_MS},
                                                .checksum = true,
                                                .taker = {take, &file}};
        shoal_snapshot_writer *taken = NULL;
        shoal_cache_enter(thread, now);
        CHECK(shoal_snapshot_begin(thread, &options, &taken) == SHOAL_ERR_OK);
        shoal_snapshot_state state = SHOAL_SNAPSHOT_MORE;
        while (state == SHOAL_SNAPSHOT_MORE) {
            state = shoal_snapshot_step(taken, thread, n % 2 == 0 ? 30 : 300);
            shoal_cache_leave(thread);
            if (n % 3 == 0) sched_yield();
            shoal_cache_enter(thread, now);
        }
        CHECK(state == SHOAL_SNAPSHOT_DONE);
        CHECK(shoal_snapshot_end(taken, thread));
        shoal_cache_leave(thread);
        check_file(shoal_buffer_slice(&file));
        shoal_buffer_free(&file);
    }
}

static void fill(writer *me)
{
    static const char *const forms[] = {"HSET left field-%u 0", "HSET right field-%u 0",
                                        "ZADD zleft 0 member-%u", "ZADD zright 0 member-%u"};
    char line[160];
    for (uint32_t i = 0; i < FIELDS; i++) {
        for (uint32_t n = 0; n < 4; n++) {
            snprintf(line, sizeof line, forms[n], i);
            run(me->world, me->thread, &me->reply, line);
        }
        snprintf(line, sizeof line, "SADD bag-0 member-of-the-bag-%u", i);
        run(me->world, me->thread, &me->reply, line);
    }
    static const char *const lists[] = {"lleft", "lright", "numbers"};
    for (uint32_t i = 0; i < 3 * ELEMENTS; i++) {
        int64_t number = BASE + (i % 3 == 2 ? i / 3 : 0);
        snprintf(line, sizeof line, "RPUSH %s %lld", lists[i % 3], (long long)number);
        run(me->world, me->thread, &me->reply, line);
    }
    me->next = ELEMENTS;
}

static void a_snapshot_shows_one_moment_of_large_values_that_two_threads_change(void **state)
{
    (void)state;
    static shared world;
    static writer writers[WRITERS];
    world.allocator = test_allocator(&world.heap);
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = world.allocator;
    options.threads = WRITERS + 1;
    assert_int_equal(shoal_cache_open(&options, &world.cache), 0);
    shoal_commands_options more = shoal_commands_options_default();
    more.allocator = world.allocator;
    assert_int_equal(shoal_commands_open(world.cache, &more, &world.commands), 0);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writer *me = &writers[i];
        *me = (writer){.world = &world, .index = i};
        me->thread = shoal_cache_thread_at(world.cache, i);
        me->reply = shoal_buffer_make(&world.allocator);
        me->prng = shoal_prng_make((uint64_t[2]){13, 7}, i, 0);
    }
    shoal_cache_enter(writers[0].thread, now);
    fill(&writers[0]);
    shoal_cache_leave(writers[0].thread);
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i].id, NULL, work, &writers[i]), 0);
    take_snapshots(&world, shoal_cache_thread_at(world.cache, WRITERS));
    shoal_store_relaxed(&world.over, true);
    for (uint32_t i = 0; i < WRITERS; i++) pthread_join(writers[i].id, NULL);
    shoal_commands_close(world.commands);
    shoal_cache_close(world.cache);
    assert_int_equal(world.heap.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_shows_one_moment_of_large_values_that_two_threads_change),
    };
    return cmocka_run_group_tests_name("persist_large_threads", tests, NULL, NULL);
}
