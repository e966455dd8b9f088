/* SPDX-License-Identifier: MIT
 *
 * Large values in snapshots: hashes, sets, sorted sets and lists are edited, grown, shrunk,
 * renamed, removed and cleared, and their fields expire, while a snapshot hands them out in pieces.
 * The file that comes of it, of values or of commands, read into another store, has the digest of
 * the moment at which it began. Random operations with fixed seeds.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include <shoal/command.h>

#include "base/prng.h"
#include "persist/aof_reader.h"
#include "persist/snapshot.h"
#include "store/snapshot.h"
#include "support/rdb_box.h"

#define KEYS 20u
/* Elements of the largest values, and numbers that their names are made of. */
#define ELEMENTS 6000u
#define NAMES 9000u
#ifdef SHOAL_SANITIZED
#define SEEDS 3u
#else
#define SEEDS 10u
#endif

typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_cache *cache;
    shoal_cache_thread *me;
    shoal_commands *commands;
    shoal_buffer reply, file;
    shoal_prng prng;
    int64_t ms;
    bool plain; /* files are commands */
} world;

static shoal_time at(int64_t ms)
{
    return (shoal_time){.mono_us = ms * 1000, .wall_us = (BOX_START_MS + ms) * 1000};
}

static void turn(world *w, int64_t ms)
{
    shoal_cache_leave(w->me);
    w->ms += ms;
    shoal_cache_enter(w->me, at(w->ms));
    (void)shoal_cache_maintain(w->me, 50);
}

static void world_open(world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->allocator = test_allocator(&w->heap);
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = w->allocator;
    assert_int_equal(shoal_cache_open(&options, &w->cache), 0);
    shoal_commands_options more = shoal_commands_options_default();
    more.allocator = w->allocator;
    assert_int_equal(shoal_commands_open(w->cache, &more, &w->commands), 0);
    w->reply = shoal_buffer_make(&w->allocator);
    w->file = shoal_buffer_make(&w->allocator);
    w->prng = shoal_prng_make((uint64_t[2]){seed, 11}, 0, 0);
    w->me = shoal_cache_thread_at(w->cache, 0);
    shoal_cache_enter(w->me, at(0));
}

static void world_close(world *w)
{
    shoal_cache_leave(w->me);
    shoal_buffer_free(&w->reply);
    shoal_buffer_free(&w->file);
    shoal_commands_close(w->commands);
    shoal_cache_close(w->cache);
    assert_int_equal(w->heap.blocks, 0);
}

static uint32_t below(world *w, uint32_t limit)
{
    return (uint32_t)shoal_prng_below(&w->prng, limit);
}

static void run(world *w, const char *line)
{
    shoal_buffer_consume(&w->reply, shoal_buffer_size(&w->reply));
    assert_int_equal(shoal_command_line(w->commands, w->me, line, &w->reply), 0);
}

/* Fills key `i`, whose type goes by its number, with about `count` elements. */
static void fill(world *w, uint32_t i, uint32_t count)
{
    static const char *const begins[] = {"HSET k%u", "SADD k%u", "HSET k%u", "ZADD k%u",
                                         "RPUSH k%u"};
    bool pairs = i % 5 == 0 || i % 5 == 2;
    char line[16000];
    snprintf(line, sizeof line, "DEL k%u", i);
    run(w, line);
    while (count > 0) {
        int size = snprintf(line, sizeof line, begins[i % 5], i);
        for (; count > 0 && size < 12000; count--) {
            size_t room = sizeof line - (size_t)size;
            if (i % 5 == 3) size += snprintf(line + size, room, " %u", below(w, 1000));
            room = sizeof line - (size_t)size;
            size += snprintf(line + size, room, " m%u-and-some-more", below(w, NAMES));
            room = sizeof line - (size_t)size;
            if (pairs) size += snprintf(line + size, room, " %u", below(w, 1000));
        }
        run(w, line);
    }
    if (i % 5 != 2) return;
    for (uint32_t n = 0; n < 200; n++) {
        snprintf(line, sizeof line, "HPEXPIRE k%u %u FIELDS 1 m%u-and-some-more", i,
                 20 + below(w, 300), below(w, NAMES));
        run(w, line);
    }
}

/* One random change of a key that is a list, at an end or in the middle. */
static void change_list(world *w, uint32_t i)
{
    char line[200];
    uint32_t name = below(w, NAMES), number = below(w, 1000);
    int at = (int)below(w, 2 * ELEMENTS) - (int)ELEMENTS;
    switch (below(w, 12)) {
    case 0: snprintf(line, sizeof line, "LPUSH k%u a%u b%u", i, name, number); break;
    case 1: snprintf(line, sizeof line, "RPUSH k%u a%u b%u", i, name, number); break;
    case 2: snprintf(line, sizeof line, "LPOP k%u %u", i, 1 + number / 50); break;
    case 3: snprintf(line, sizeof line, "RPOP k%u %u", i, 1 + number / 50); break;
    case 4: snprintf(line, sizeof line, "LSET k%u %d new%u", i, at, number); break;
    case 5: snprintf(line, sizeof line, "LREM k%u %d m%u-and-some-more", i, at % 3, name); break;
    case 6:
        snprintf(line, sizeof line, "LINSERT k%u BEFORE m%u-and-some-more %u", i, name, number);
        break;
    case 7: snprintf(line, sizeof line, "LINSERT k%u AFTER m%u-and-some-more x", i, name); break;
    case 8: snprintf(line, sizeof line, "LMOVE k%u k%u RIGHT LEFT", i, below(w, 3) * 5 + 4); break;
    case 9: snprintf(line, sizeof line, "RPOPLPUSH k%u k%u", i, i); break;
    case 10:
        snprintf(line, sizeof line, "LTRIM k%u %u -%u", i, number / 30, 1 + number / 40);
        break;
    default: snprintf(line, sizeof line, "LSET k%u %d %u", i, at, number); break;
    }
    run(w, line);
}

/* One random change of a key, mostly in place. */
static void change(world *w)
{
    char line[200];
    uint32_t i = below(w, KEYS), name = below(w, NAMES), number = below(w, 1000);
    switch (below(w, 40)) {
    case 13:
    case 14: snprintf(line, sizeof line, "RENAME k%u k%u", i, below(w, KEYS)); break;
    case 0: snprintf(line, sizeof line, "DEL k%u", i); break;
    case 1: snprintf(line, sizeof line, "RENAME k%u k%u", i, below(w, KEYS)); break;
    case 2: snprintf(line, sizeof line, "COPY k%u k%u REPLACE", i, below(w, KEYS)); break;
    case 3: snprintf(line, sizeof line, "SET k%u %u", i, number); break;
    case 4: snprintf(line, sizeof line, "SPOP k%u %u", i, number); break;
    case 5: snprintf(line, sizeof line, "ZPOPMIN k%u %u", i, number); break;
    case 6: snprintf(line, sizeof line, "SUNIONSTORE k%u k%u", i, below(w, KEYS)); break;
    case 7: snprintf(line, sizeof line, "HPERSIST k%u FIELDS 1 m%u-and-some-more", i, name); break;
    case 8:
        snprintf(line, sizeof line, "HPEXPIRE k%u %u FIELDS 1 m%u-and-some-more", i, 1 + number,
                 name);
        break;
    case 9:
    case 10:
    case 11:
    case 12: change_list(w, i / 5 * 5 + 4); return;
    default: {
        static const char *const forms[] = {"HSET k%u m%u-and-some-more %u",
                                            "HDEL k%u m%u-and-some-more",
                                            "HSET k%u new%u %u",
                                            "HINCRBY k%u m%u-and-some-more 1",
                                            "SADD k%u m%u-and-some-more",
                                            "SREM k%u m%u-and-some-more",
                                            "SADD k%u new%u",
                                            "ZREM k%u m%u-and-some-more",
                                            "ZINCRBY k%u %u m7-and-some-more"};
        switch (below(w, 9)) {
        case 0: snprintf(line, sizeof line, forms[0], i, name, number); break;
        case 1: snprintf(line, sizeof line, forms[1], i, name); break;
        case 2: snprintf(line, sizeof line, forms[2], i, name, number); break;
        case 3: snprintf(line, sizeof line, forms[3], i, name); break;
        case 4: snprintf(line, sizeof line, forms[4], i, name); break;
        case 5: snprintf(line, sizeof line, forms[5], i, name); break;
        case 6: snprintf(line, sizeof line, forms[6], i, name); break;
        case 7: snprintf(line, sizeof line, forms[7], i, name); break;
        default: snprintf(line, sizeof line, forms[8], i, number); break;
        }
    }
    }
    run(w, line);
}

static void take(void *context, shoal_slice bytes)
{
    shoal_buffer_append(context, bytes);
}

static shoal_snapshot_writer *begin(world *w)
{
    shoal_buffer_consume(&w->file, shoal_buffer_size(&w->file));
    const shoal_snapshot_options options = {.allocator = w->allocator,
                                            .databases = 1,
                                            .threads = 1,
                                            .style = {.compress = true,
                                                      .list = shoal_list_limits_of(-2),
                                                      .now_ms = BOX_START_MS + w->ms},
                                            .checksum = !w->plain,
                                            .plain = w->plain,
                                            .taker = {take, &w->file}};
    shoal_snapshot_writer *writer = NULL;
    assert_int_equal(shoal_snapshot_begin(w->me, &options, &writer), SHOAL_ERR_OK);
    return writer;
}

/* Runs all commands of the file in a cache of its own, at that moment. */
static uint64_t replayed(world *w, int64_t now_ms)
{
    static world other;
    world_open(&other, 1);
    turn(&other, now_ms - BOX_START_MS);
    shoal_aof_reader reader = shoal_aof_reader_make(&other.allocator, 0);
    shoal_aof_reader_feed(&reader, shoal_buffer_slice(&w->file));
    while (shoal_aof_reader_next(&reader) == SHOAL_AOF_COMMAND) {
        /* No command has more than some elements: that is what bounds the steps of who reads. */
        assert_true(reader.argc <= 130);
        if (reader.argc == 2) continue; /* SELECT */
        shoal_buffer_consume(&other.reply, shoal_buffer_size(&other.reply));
        assert_int_equal(shoal_command_run(other.commands, other.me, reader.argc, reader.argv,
                                           &other.reply),
                         0);
        assert_int_not_equal(shoal_buffer_slice(&other.reply).data[0], '-');
    }
    assert_int_equal(reader.whole_at, shoal_buffer_size(&w->file));
    uint64_t digest = shoal_store_digest(shoal_thread_store(other.me));
    shoal_aof_reader_free(&reader);
    world_close(&other);
    return digest;
}

static uint64_t digest_of(world *w, int64_t now_ms)
{
    if (w->plain) return replayed(w, now_ms);
    shoal_slice file = shoal_buffer_slice(&w->file);
    return rdb_box_digest(file, file.size, now_ms);
}

static void end(world *w, shoal_snapshot_writer *writer)
{
    assert_true(shoal_snapshot_end(writer, w->me));
    turn(w, 0);
}

static void a_file_shows_large_values_as_they_were_while_they_change(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        world_open(&w, seed);
        w.plain = seed % 3 == 0;
        for (uint32_t i = 0; i < KEYS; i++) fill(&w, i, below(&w, i < 15 ? ELEMENTS : 40));
        uint64_t then = shoal_store_digest(shoal_thread_store(w.me));
        int64_t now_ms = BOX_START_MS + w.ms;
        shoal_snapshot_writer *writer = begin(&w);
        shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
        while (now == SHOAL_SNAPSHOT_MORE) {
            for (uint32_t n = below(&w, 20); n > 0; n--) change(&w);
            if (below(&w, 300) == 0) run(&w, "FLUSHALL");
            now = shoal_snapshot_step(writer, w.me, below(&w, seed % 2 == 0 ? 200 : 40));
            turn(&w, 1);
        }
        assert_int_equal(now, SHOAL_SNAPSHOT_DONE);
        end(&w, writer);
        assert_false(w.file.failed);
        assert_int_equal(digest_of(&w, now_ms), then);
        world_close(&w);
    }
}

static void change_large_values(bool plain)
{
    static world w;
    world_open(&w, 100);
    w.plain = plain;
    for (uint32_t i = 0; i < 5; i++) fill(&w, i, 4 * ELEMENTS);
    uint64_t then = shoal_store_digest(shoal_thread_store(w.me));
    shoal_snapshot_writer *writer = begin(&w);
    /* Until all threads have begun a new batch, steps do nothing. */
    turn(&w, 0);
    run(&w, "HSET k0 new 1");
    run(&w, "SADD k1 new");
    run(&w, "ZADD k3 5 new");
    run(&w, "ZPOPMAX k3 20");
    run(&w, "HPEXPIRE k2 5 FIELDS 1 m1-and-some-more");
    run(&w, "LPUSH k4 new");
    run(&w, "LPOP k4 20");
    run(&w, "RPOP k4 20");
    run(&w, "LSET k4 9000 new");
    run(&w, "LTRIM k4 5 -5");
    for (uint32_t i = 0; i < 100; i++) {
        char line[64];
        snprintf(line, sizeof line, "HDEL k0 m%u-and-some-more", i);
        run(&w, line);
    }
    /* No value has filled a chunk, which is 64 KiB; the list keeps some elements. */
    assert_in_range(shoal_snapshot_pending(writer), 1, 8192);
    shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
    while (now == SHOAL_SNAPSHOT_MORE) now = shoal_snapshot_step(writer, w.me, 100);
    assert_int_equal(now, SHOAL_SNAPSHOT_DONE);
    assert_int_equal(shoal_snapshot_keys(writer), 5);
    end(&w, writer);
    assert_int_equal(digest_of(&w, BOX_START_MS), then);
    world_close(&w);
}

static void a_change_of_a_large_value_does_not_write_all_of_it(void **state)
{
    (void)state;
    change_large_values(false);
    change_large_values(true);
}

static void a_renamed_value_goes_on_in_pieces_from_where_it_is(void **state)
{
    (void)state;
    static world w;
    char line[64];
    for (uint64_t seed = 400; seed < 412; seed++) {
        world_open(&w, seed);
        w.plain = seed % 4 == 0;
        for (uint32_t i = 0; i < 5; i++) fill(&w, i, 4 * ELEMENTS);
        uint64_t then = shoal_store_digest(shoal_thread_store(w.me));
        shoal_snapshot_writer *writer = begin(&w);
        turn(&w, 0);
        shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
        uint64_t most = 0;
        for (uint32_t n = 0; now == SHOAL_SNAPSHOT_MORE; n++) {
            uint64_t before = shoal_snapshot_pending(writer);
            uint32_t i = below(&w, 5);
            if (n % 3 == 0 || n < 10) {
                /* To places before the steps and behind them, and back. */
                snprintf(line, sizeof line, "RENAME k%u moved%u", i, below(&w, 100) * 5 + i);
                if (n % 2 == 0) snprintf(line, sizeof line, "RENAME k%u k%u", i, i + 5);
                run(&w, line);
                snprintf(line, sizeof line, "RENAME k%u k%u", i + 5, i);
                run(&w, line);
                snprintf(line, sizeof line, "HSET k%u new%u 1", i, n);
                if (i % 5 == 0) run(&w, line);
            }
            uint64_t more = shoal_snapshot_pending(writer) - before;
            if (more > most) most = more;
            now = shoal_snapshot_step(writer, w.me, 60);
            turn(&w, 1);
        }
        assert_int_equal(now, SHOAL_SNAPSHOT_DONE);
        assert_int_equal(shoal_snapshot_keys(writer), 5);
        /* No more than what fills a chunk; each value takes some times that. */
        assert_true(most < 65536 + 8192);
        end(&w, writer);
        assert_int_equal(digest_of(&w, BOX_START_MS), then);
        world_close(&w);
    }
}

static void step_through_large_values(bool plain)
{
    static world w;
    world_open(&w, 200);
    w.plain = plain;
    fill(&w, 3, 2 * ELEMENTS);
    fill(&w, 0, 2 * ELEMENTS);
    fill(&w, 4, 2 * ELEMENTS);
    uint64_t then = shoal_store_digest(shoal_thread_store(w.me));
    shoal_snapshot_writer *writer = begin(&w);
    shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
    size_t before = shoal_buffer_size(&w.file), most = 0;
    uint32_t steps = 0;
    for (; now == SHOAL_SNAPSHOT_MORE; steps++) {
        now = shoal_snapshot_step(writer, w.me, 50);
        size_t size = shoal_buffer_size(&w.file);
        if (size - before > most) most = size - before;
        before = size;
    }
    assert_int_equal(now, SHOAL_SNAPSHOT_DONE);
    /* Some 24,000 elements in steps of 50; a chunk of 64 KiB at a time. */
    assert_true(steps > 350);
    assert_true(most < 2 * 65536 + 4096);
    end(&w, writer);
    assert_int_equal(digest_of(&w, BOX_START_MS), then);
    world_close(&w);
}

static void a_step_writes_a_large_value_no_further_than_its_budget(void **state)
{
    (void)state;
    step_through_large_values(false);
    step_through_large_values(true);
}

static void a_snapshot_that_is_given_up_in_a_large_value_lets_go_of_everything(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 300; seed < 304; seed++) {
        world_open(&w, seed);
        w.plain = seed % 2 == 0;
        for (uint32_t i = 0; i < 8; i++) fill(&w, i, ELEMENTS);
        shoal_snapshot_writer *writer = begin(&w);
        for (int i = 0; i < 30; i++) {
            assert_int_equal(shoal_snapshot_step(writer, w.me, 40), SHOAL_SNAPSHOT_MORE);
            for (int n = 0; n < 10; n++) change(&w);
            turn(&w, 1);
        }
        shoal_snapshot_abort(writer);
        for (int n = 0; n < 50; n++) change(&w);
        shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
        while (now == SHOAL_SNAPSHOT_MORE) now = shoal_snapshot_step(writer, w.me, 1000);
        assert_int_equal(now, SHOAL_SNAPSHOT_FAILED);
        end(&w, writer);
        for (int n = 0; n < 200; n++) change(&w);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_shows_large_values_as_they_were_while_they_change),
        cmocka_unit_test(a_change_of_a_large_value_does_not_write_all_of_it),
        cmocka_unit_test(a_renamed_value_goes_on_in_pieces_from_where_it_is),
        cmocka_unit_test(a_step_writes_a_large_value_no_further_than_its_budget),
        cmocka_unit_test(a_snapshot_that_is_given_up_in_a_large_value_lets_go_of_everything),
    };
    return cmocka_run_group_tests_name("persist_large", tests, NULL, NULL);
}
