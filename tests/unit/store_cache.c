/* SPDX-License-Identifier: MIT
 *
 * The cache as an embedder meets it: only the public headers, the default allocator and threads
 * of one's own.
 */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <shoal/cache.h>

static shoal_slice text(const char *string)
{
    return (shoal_slice){string, strlen(string)};
}

/* A moment, `ms` milliseconds into the test. */
static shoal_time at(int64_t ms)
{
    return (shoal_time){.mono_us = ms * 1000, .wall_us = (1700000000000 + ms) * 1000};
}

static int64_t wall_ms(int64_t ms)
{
    return shoal_time_wall_ms(at(ms));
}

static shoal_cache *open_cache(uint32_t threads)
{
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = shoal_allocator_default();
    options.threads = threads;
    options.seed = 7;
    shoal_cache *cache = NULL;
    assert_int_equal(shoal_cache_open(&options, &cache), 0);
    return cache;
}

static void what_is_put_is_found_until_it_is_removed(void **state)
{
    (void)state;
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_value value;
    shoal_cache_enter(me, at(0));
    assert_int_equal(shoal_cache_get(me, text("k"), &value), SHOAL_ERR_NOT_FOUND);
    assert_null(value.bytes.data);
    assert_int_equal(shoal_cache_put(me, text("k"), text("hello"), SHOAL_CACHE_FOREVER), 0);
    assert_int_equal(shoal_cache_get(me, text("k"), &value), 0);
    test_slice_is(value.bytes, "hello");
    assert_int_equal(value.expires_ms, SHOAL_CACHE_FOREVER);
    assert_int_equal(shoal_cache_put(me, text("k"), text(""), SHOAL_CACHE_FOREVER), 0);
    assert_int_equal(shoal_cache_get(me, text("k"), &value), 0);
    assert_non_null(value.bytes.data);
    assert_int_equal(value.bytes.size, 0);
    assert_int_equal(shoal_cache_remove(me, text("k")), 0);
    assert_int_equal(shoal_cache_remove(me, text("k")), SHOAL_ERR_NOT_FOUND);
    assert_int_equal(shoal_cache_get(me, text("k"), &value), SHOAL_ERR_NOT_FOUND);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

static void what_was_read_stays_readable_until_the_leave(void **state)
{
    (void)state;
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_value value;
    shoal_cache_enter(me, at(0));
    assert_int_equal(shoal_cache_put(me, text("k"), text("first"), SHOAL_CACHE_FOREVER), 0);
    assert_int_equal(shoal_cache_get(me, text("k"), &value), 0);
    assert_int_equal(shoal_cache_put(me, text("k"), text("second"), SHOAL_CACHE_FOREVER), 0);
    assert_int_equal(shoal_cache_remove(me, text("k")), 0);
    test_slice_is(value.bytes, "first");
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

static void a_copy_tells_how_much_room_it_needs(void **state)
{
    (void)state;
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    char room[8];
    size_t size = 99;
    shoal_cache_enter(me, at(0));
    assert_int_equal(shoal_cache_copy(me, text("k"), room, 8, &size), SHOAL_ERR_NOT_FOUND);
    assert_int_equal(shoal_cache_put(me, text("k"), text("12345678x"), SHOAL_CACHE_FOREVER), 0);
    assert_int_equal(shoal_cache_copy(me, text("k"), room, 8, &size), SHOAL_ERR_TOO_LARGE);
    assert_int_equal(size, 9);
    assert_int_equal(shoal_cache_put(me, text("k"), text("-1234567"), SHOAL_CACHE_FOREVER), 0);
    assert_int_equal(shoal_cache_copy(me, text("k"), room, 8, &size), 0);
    assert_memory_equal(room, "-1234567", 8);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

static void an_expired_key_is_absent_and_its_memory_comes_back(void **state)
{
    (void)state;
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_value value;
    shoal_cache_stats stats;
    shoal_cache_enter(me, at(0));
    assert_int_equal(shoal_cache_put(me, text("k"), text("v"), wall_ms(100)), 0);
    assert_int_equal(shoal_cache_get(me, text("k"), &value), 0);
    assert_int_equal(value.expires_ms, wall_ms(100));
    int64_t wait_us = shoal_cache_maintain(me, 50);
    assert_true(wait_us > 0 && wait_us <= 100000);
    shoal_cache_leave(me);
    shoal_cache_enter(me, at(100));
    assert_int_equal(shoal_cache_get(me, text("k"), &value), SHOAL_ERR_NOT_FOUND);
    for (int64_t ms = 101; shoal_cache_maintain(me, 50) != SHOAL_CACHE_NEVER; ms++) {
        assert_true(ms < 1000);
        shoal_cache_leave(me);
        shoal_cache_enter(me, at(ms));
    }
    shoal_cache_leave(me);
    shoal_cache_stats_get(cache, &stats);
    assert_int_equal(stats.keys, 0);
    assert_int_equal(stats.bytes, 0);
    assert_int_equal(stats.expired, 1);
    assert_int_equal(stats.hits, 1);
    assert_int_equal(stats.misses, 1);
    shoal_cache_close(cache);
}

static void expire_changes_the_ttl_and_nothing_else(void **state)
{
    (void)state;
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_value value;
    shoal_cache_enter(me, at(0));
    assert_int_equal(shoal_cache_expire(me, text("k"), wall_ms(5)), SHOAL_ERR_NOT_FOUND);
    assert_int_equal(shoal_cache_put(me, text("k"), text("v"), wall_ms(5)), 0);
    assert_int_equal(shoal_cache_expire(me, text("k"), wall_ms(50)), 0);
    shoal_cache_leave(me);
    shoal_cache_enter(me, at(49));
    assert_int_equal(shoal_cache_get(me, text("k"), &value), 0);
    test_slice_is(value.bytes, "v");
    assert_int_equal(value.expires_ms, wall_ms(50));
    assert_int_equal(shoal_cache_expire(me, text("k"), SHOAL_CACHE_FOREVER), 0);
    shoal_cache_leave(me);
    shoal_cache_enter(me, at(5000));
    assert_int_equal(shoal_cache_get(me, text("k"), &value), 0);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

static void increments_count_and_refuse_what_is_no_integer(void **state)
{
    (void)state;
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_value value;
    int64_t sum = 0;
    shoal_cache_enter(me, at(0));
    assert_int_equal(shoal_cache_increment(me, text("n"), 5, &sum), 0);
    assert_int_equal(sum, 5);
    assert_int_equal(shoal_cache_increment(me, text("n"), -7, &sum), 0);
    assert_int_equal(sum, -2);
    assert_int_equal(shoal_cache_get(me, text("n"), &value), 0);
    test_slice_is(value.bytes, "-2");
    assert_int_equal(shoal_cache_put(me, text("n"), text("9223372036854775807"), wall_ms(9)), 0);
    assert_int_equal(shoal_cache_increment(me, text("n"), 1, &sum), SHOAL_ERR_OVERFLOW);
    assert_int_equal(shoal_cache_increment(me, text("n"), -1, &sum), 0);
    assert_int_equal(shoal_cache_get(me, text("n"), &value), 0);
    assert_int_equal(value.expires_ms, wall_ms(9));
    assert_int_equal(shoal_cache_put(me, text("n"), text("07"), SHOAL_CACHE_FOREVER), 0);
    assert_int_equal(shoal_cache_increment(me, text("n"), 1, &sum), SHOAL_ERR_NOT_INTEGER);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

#define MANY 1000

/* Key number `i`, as text in `room`. */
static shoal_slice numbered(int i, char room[16])
{
    int size = snprintf(room, 16, "key:%d", i);
    return (shoal_slice){room, (size_t)size};
}

static void get_many_finds_what_get_finds(void **state)
{
    (void)state;
    static char rooms[MANY][16];
    static shoal_slice keys[MANY];
    static shoal_cache_value values[MANY];
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_enter(me, at(0));
    for (int i = 0; i < MANY; i++) {
        keys[i] = numbered(i, rooms[i]);
        if (i % 3 != 0) assert_int_equal(shoal_cache_put(me, keys[i], keys[i], -1), 0);
    }
    assert_int_equal(shoal_cache_get_many(me, keys, MANY, values), MANY - (MANY + 2) / 3);
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 0) {
            assert_null(values[i].bytes.data);
        } else {
            test_slice_is(values[i].bytes, rooms[i]);
        }
    }
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

static void count_visit(void *context, shoal_slice key, const shoal_cache_value *value)
{
    assert_int_equal(key.size, value->bytes.size);
    assert_memory_equal(key.data, value->bytes.data, key.size);
    ++*(int *)context;
}

static void a_scan_visits_each_key_once(void **state)
{
    (void)state;
    char room[16];
    int visits = 0;
    uint64_t cursor = 0;
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_enter(me, at(0));
    for (int i = 0; i < MANY; i++) {
        shoal_slice key = numbered(i, room);
        assert_int_equal(shoal_cache_put(me, key, key, SHOAL_CACHE_FOREVER), 0);
    }
    do {
        shoal_cache_scan(me, &cursor, 10, count_visit, &visits);
    } while (cursor != 0);
    assert_int_equal(visits, MANY);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    shoal_cache *cache = open_cache(1);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_slice huge = {"x", ((size_t)512 << 20) + 1};
    shoal_cache_enter(me, at(0));
    assert_int_equal(shoal_cache_put(me, huge, text("v"), -1), SHOAL_ERR_TOO_LARGE);
    assert_int_equal(shoal_cache_put(me, text("k"), huge, -1), SHOAL_ERR_TOO_LARGE);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

static void options_out_of_range_are_invalid(void **state)
{
    (void)state;
    shoal_cache *cache = NULL;
    shoal_cache_options options = shoal_cache_options_default();
    assert_int_equal(shoal_cache_open(&options, &cache), SHOAL_ERR_INVALID);
    options.allocator = shoal_allocator_default();
    options.threads = 0;
    assert_int_equal(shoal_cache_open(&options, &cache), SHOAL_ERR_INVALID);
    options.threads = 131;
    assert_int_equal(shoal_cache_open(&options, &cache), SHOAL_ERR_INVALID);
    shoal_cache_close(NULL);
}

static void open_without_cookie(void *argument)
{
    shoal_cache *cache = NULL;
    assert_int_equal(shoal_cache_open(argument, &cache), 0);
}

static void options_without_a_cookie_stop_the_program(void **state)
{
    (void)state;
    shoal_cache_options options = {.threads = 1};
    test_aborts(open_without_cookie, &options);
}

/* ---- threads ---- */

#define THREADS 2
#define ADDITIONS 20000

static void *add(void *argument)
{
    shoal_cache_thread *me = argument;
    for (int i = 0; i < ADDITIONS; i++) {
        int64_t sum;
        shoal_err error;
        do {
            shoal_cache_enter(me, at(i));
            error = shoal_cache_increment(me, text("shared"), 1, &sum);
            shoal_cache_leave(me);
            if (error == SHOAL_ERR_BUSY) sched_yield();
        } while (error == SHOAL_ERR_BUSY);
        if (error != 0) return argument;
    }
    return NULL;
}

static void increments_of_two_threads_all_count(void **state)
{
    (void)state;
    shoal_cache *cache = open_cache(THREADS);
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add, shoal_cache_thread_at(cache, i)),
                         0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    int64_t sum = 0;
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_enter(me, at(0));
    assert_int_equal(shoal_cache_increment(me, text("shared"), 0, &sum), 0);
    assert_int_equal(sum, THREADS * ADDITIONS);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_found_until_it_is_removed),
        cmocka_unit_test(what_was_read_stays_readable_until_the_leave),
        cmocka_unit_test(a_copy_tells_how_much_room_it_needs),
        cmocka_unit_test(an_expired_key_is_absent_and_its_memory_comes_back),
        cmocka_unit_test(expire_changes_the_ttl_and_nothing_else),
        cmocka_unit_test(increments_count_and_refuse_what_is_no_integer),
        cmocka_unit_test(get_many_finds_what_get_finds),
        cmocka_unit_test(a_scan_visits_each_key_once),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(options_out_of_range_are_invalid),
        cmocka_unit_test(options_without_a_cookie_stop_the_program),
        cmocka_unit_test(increments_of_two_threads_all_count),
    };
    return cmocka_run_group_tests_name("store_cache", tests, NULL, NULL);
}
