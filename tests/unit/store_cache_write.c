/* SPDX-License-Identifier: MIT
 *
 * The writes of shoal/cache.h beyond a plain put: conditions, many at once, handing over, take,
 * append, pins, filters, and being told what goes. Only public headers, and an allocator that sees
 * that every byte comes back.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shoal/cache.h>

#include "support/allocator.h"

/* What a cache has told of what goes, and who else may try something meanwhile. */
typedef struct witness {
    uint32_t expired, evicted;
    char last[64]; /* "key=value" of the last one */
    shoal_cache_thread *other;
    void (*meanwhile)(struct witness *witness);
    uint32_t done; /* puts that were handed over */
    shoal_err error;
} witness;

static shoal_slice text(const char *string)
{
    return shoal_slice_of(string);
}

static shoal_time at(int64_t ms)
{
    return (shoal_time){.mono_us = ms * 1000, .wall_us = (1700000000000 + ms) * 1000};
}

static int64_t wall_ms(int64_t ms)
{
    return shoal_time_wall_ms(at(ms));
}

static void see(void *context, shoal_slice key, const shoal_cache_value *value,
                shoal_cache_reason reason)
{
    witness *seen = context;
    if (reason == SHOAL_CACHE_EXPIRED) seen->expired++;
    if (reason == SHOAL_CACHE_EVICTED) seen->evicted++;
    snprintf(seen->last, sizeof seen->last, "%.*s=%.*s", (int)key.size, key.data,
             (int)value->bytes.size, value->bytes.data ? value->bytes.data : "");
    if (seen->meanwhile != NULL) seen->meanwhile(seen);
}

/* A cache on a counting heap, with its first thread in a batch. */
typedef struct box {
    test_heap heap;
    witness seen;
    shoal_cache *cache;
    shoal_cache_thread *me;
} box;

static void open_box(box *b, uint32_t threads)
{
    *b = (box){0};
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = test_allocator(&b->heap);
    options.threads = threads;
    options.gone = see;
    options.gone_context = &b->seen;
    assert_int_equal(shoal_cache_open(&options, &b->cache), 0);
    b->me = shoal_cache_thread_at(b->cache, 0);
    shoal_cache_enter(b->me, at(0));
}

static void close_box(box *b)
{
    shoal_cache_leave(b->me);
    shoal_cache_close(b->cache);
    assert_int_equal(b->heap.blocks, 0);
}

static void turn(box *b, int64_t ms)
{
    shoal_cache_leave(b->me);
    shoal_cache_enter(b->me, at(ms));
}

static void holds(box *b, const char *key, const char *want)
{
    shoal_cache_value value;
    shoal_err error = shoal_cache_get(b->me, text(key), &value);
    assert_int_equal(error, want == NULL ? SHOAL_ERR_NOT_FOUND : 0);
    if (want != NULL) test_slice_is(value.bytes, want);
}

static void a_put_takes_place_on_its_condition_only(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    shoal_cache_put_options how = shoal_cache_put_options_default();
    how.when = SHOAL_CACHE_IF_PRESENT;
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("1"), &how), SHOAL_ERR_NOT_FOUND);
    how.when = SHOAL_CACHE_IF_EQUAL;
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("1"), &how), SHOAL_ERR_NOT_FOUND);
    how.when = SHOAL_CACHE_IF_ABSENT;
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("1"), &how), 0);
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("2"), &how), SHOAL_ERR_EXISTS);
    holds(&b, "k", "1");
    how.when = SHOAL_CACHE_IF_EQUAL;
    how.expected = text("2");
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("3"), &how), SHOAL_ERR_EXISTS);
    how.expected = text("1");
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("3"), &how), 0);
    holds(&b, "k", "3");
    how.when = SHOAL_CACHE_IF_PRESENT;
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("4"), &how), 0);
    holds(&b, "k", "4");
    close_box(&b);
}

static void a_put_can_keep_the_time_to_live(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    shoal_cache_value value;
    shoal_cache_put_options how = shoal_cache_put_options_default();
    how.expires_ms = wall_ms(100);
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("1"), &how), 0);
    how.keep_expiry = true;
    how.expires_ms = wall_ms(7);
    assert_int_equal(shoal_cache_put_with(b.me, text("k"), text("2"), &how), 0);
    assert_int_equal(shoal_cache_put_with(b.me, text("new"), text("2"), &how), 0);
    assert_int_equal(shoal_cache_get(b.me, text("k"), &value), 0);
    assert_int_equal(value.expires_ms, wall_ms(100));
    assert_int_equal(shoal_cache_get(b.me, text("new"), &value), 0);
    assert_int_equal(value.expires_ms, SHOAL_CACHE_FOREVER);
    assert_int_equal(shoal_cache_persist(b.me, text("k")), 0);
    assert_int_equal(shoal_cache_get(b.me, text("k"), &value), 0);
    assert_int_equal(value.expires_ms, SHOAL_CACHE_FOREVER);
    assert_int_equal(shoal_cache_persist(b.me, text("none")), SHOAL_ERR_NOT_FOUND);
    close_box(&b);
}

static void take_gives_a_value_to_one_and_removes_it(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    shoal_cache_value value;
    assert_int_equal(shoal_cache_take(b.me, text("k"), &value), SHOAL_ERR_NOT_FOUND);
    assert_int_equal(value.type, SHOAL_CACHE_NONE);
    assert_int_equal(shoal_cache_put(b.me, text("k"), text("v"), wall_ms(9)), 0);
    assert_int_equal(shoal_cache_take(b.me, text("k"), &value), 0);
    test_slice_is(value.bytes, "v");
    assert_int_equal(value.expires_ms, wall_ms(9));
    assert_int_equal(shoal_cache_take(b.me, text("k"), &value), SHOAL_ERR_NOT_FOUND);
    holds(&b, "k", NULL);
    close_box(&b);
}

static void append_adds_at_the_end_and_keeps_the_time_to_live(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    size_t size = 0;
    int64_t sum = 0;
    shoal_cache_value value;
    assert_int_equal(shoal_cache_append(b.me, text("k"), text("1"), &size), 0);
    assert_int_equal(shoal_cache_append(b.me, text("k"), text("2"), &size), 0);
    assert_int_equal(size, 2);
    assert_int_equal(shoal_cache_increment(b.me, text("k"), 1, &sum), 0);
    assert_int_equal(sum, 13);
    assert_int_equal(shoal_cache_expire(b.me, text("k"), wall_ms(50)), 0);
    assert_int_equal(shoal_cache_append(b.me, text("k"), text(" and more than a number"), &size),
                     0);
    assert_int_equal(size, 25);
    assert_int_equal(shoal_cache_get(b.me, text("k"), &value), 0);
    test_slice_is(value.bytes, "13 and more than a number");
    assert_int_equal(value.expires_ms, wall_ms(50));
    assert_int_equal(shoal_cache_append(b.me, text("k"), text(""), &size), 0);
    assert_int_equal(size, 25);
    close_box(&b);
}

#define MANY 100

static void many_puts_are_puts(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    static char names[MANY][16];
    shoal_cache_entry entries[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        entries[i] = (shoal_cache_entry){text(names[i]), text(names[i]), SHOAL_CACHE_FOREVER, -99};
    }
    entries[7].value.size = ((size_t)512 << 20) + 1;
    assert_int_equal(shoal_cache_put_many(b.me, entries, MANY), MANY - 1);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(entries[i].error, i == 7 ? SHOAL_ERR_TOO_LARGE : 0);
        holds(&b, names[i], i == 7 ? NULL : names[i]);
    }
    assert_int_equal(shoal_cache_put_many(b.me, NULL, 0), 0);
    close_box(&b);
}

static void clear_removes_everything_and_says_nothing(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    char name[16];
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(shoal_cache_put(b.me, text(name), text("v"), -1), 0);
    }
    assert_int_equal(shoal_cache_clear(b.me), 0);
    holds(&b, "k1", NULL);
    shoal_cache_stats stats;
    shoal_cache_stats_get(b.cache, &stats);
    assert_int_equal(stats.keys, 0);
    assert_int_equal(b.seen.expired + b.seen.evicted, 0);
    close_box(&b);
}

static void a_cache_without_memory_ends_and_gives_all_back(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    char name[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(shoal_cache_put(b.me, text(name), text("v"), -1), 0);
    }
    b.heap.fail_after = 1;
    close_box(&b);
}

/* ---- what goes ---- */

static void what_expires_is_shown_once_whoever_meets_it(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    assert_int_equal(shoal_cache_put(b.me, text("a"), text("1"), wall_ms(10)), 0);
    assert_int_equal(shoal_cache_put(b.me, text("b"), text("2"), wall_ms(10)), 0);
    assert_int_equal(shoal_cache_put(b.me, text("c"), text("3"), wall_ms(10)), 0);
    assert_int_equal(shoal_cache_put(b.me, text("d"), text("4"), -1), 0);
    turn(&b, 10);
    holds(&b, "a", NULL);
    assert_int_equal(b.seen.expired, 0);
    /* Replaced, met by a write, and found by the background. */
    assert_int_equal(shoal_cache_put(b.me, text("a"), text("new"), -1), 0);
    assert_int_equal(b.seen.expired, 1);
    assert_string_equal(b.seen.last, "a=1");
    assert_int_equal(shoal_cache_remove(b.me, text("b")), SHOAL_ERR_NOT_FOUND);
    assert_int_equal(b.seen.expired, 2);
    assert_string_equal(b.seen.last, "b=2");
    for (int64_t ms = 11; shoal_cache_maintain(b.me, 50) != SHOAL_CACHE_NEVER; ms++) turn(&b, ms);
    assert_int_equal(b.seen.expired, 3);
    assert_string_equal(b.seen.last, "c=3");
    assert_int_equal(shoal_cache_remove(b.me, text("d")), 0);
    assert_int_equal(b.seen.expired, 3);
    assert_int_equal(b.seen.evicted, 0);
    close_box(&b);
}

/* ---- handing over ---- */

static void count_done(void *context, shoal_err error)
{
    witness *seen = context;
    seen->done++;
    seen->error = error;
}

/* The slot of `k` is being written to by the first handle. What the second one does here, another
 * thread could do at this moment: it hands its puts over. */
static void put_meanwhile(witness *seen)
{
    shoal_cache_entry entry = {text("{k}late"), text("1"), SHOAL_CACHE_FOREVER, 0};
    assert_int_equal(shoal_cache_put(seen->other, entry.key, entry.value, -1), SHOAL_ERR_BUSY);
    assert_int_equal(shoal_cache_put_later(seen->other, &entry, count_done, seen), 0);
    entry.value = text("2");
    assert_int_equal(shoal_cache_put_later(seen->other, &entry, count_done, seen), 0);
    assert_int_equal(shoal_cache_put_later(seen->other, &entry, NULL, NULL), 0);
    assert_int_equal(seen->done, 1);
}

static void a_put_that_meets_another_writer_is_carried_out_by_it(void **state)
{
    (void)state;
    box b;
    open_box(&b, 2);
    shoal_cache_entry entry = {text("k"), text("v"), wall_ms(5), 0};
    assert_int_equal(shoal_cache_put_later(b.me, &entry, count_done, &b.seen), 0);
    assert_int_equal(b.seen.done, 1);
    b.seen.other = shoal_cache_thread_at(b.cache, 1);
    b.seen.meanwhile = put_meanwhile;
    shoal_cache_enter(b.seen.other, at(0));
    turn(&b, 5);
    assert_int_equal(shoal_cache_put(b.me, text("k"), text("w"), -1), 0);
    assert_int_equal(b.seen.expired, 1);
    assert_int_equal(b.seen.done, 3);
    assert_int_equal(b.seen.error, 0);
    shoal_cache_leave(b.seen.other);
    holds(&b, "{k}late", "2");
    shoal_cache_stats stats;
    shoal_cache_stats_get(b.cache, &stats);
    assert_int_equal(stats.handed_over, 3);
    close_box(&b);
}

static void without_memory_a_put_is_not_handed_over(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    char *large = calloc(1, 100000);
    assert_non_null(large);
    shoal_cache_entry entry = {text("k"), {large, 100000}, -1, 0};
    b.heap.fail_after = 1;
    assert_int_equal(shoal_cache_put_later(b.me, &entry, count_done, &b.seen), SHOAL_ERR_NO_MEMORY);
    entry.value.size = ((size_t)512 << 20) + 1;
    assert_int_equal(shoal_cache_put_later(b.me, &entry, count_done, &b.seen), SHOAL_ERR_TOO_LARGE);
    b.heap.fail_after = 0;
    assert_int_equal(b.seen.done, 0);
    free(large);
    close_box(&b);
}

/* ---- pins ---- */

#define LARGE 100000

static void a_pinned_value_outlives_its_key_and_the_batch(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    shoal_cache_pin small, large, again;
    char *bytes = malloc(LARGE);
    assert_non_null(bytes);
    memset(bytes, 'x', LARGE);
    assert_int_equal(shoal_cache_pin_get(b.me, text("k"), &small), SHOAL_ERR_NOT_FOUND);
    assert_int_equal(shoal_cache_put(b.me, text("small"), text("41"), wall_ms(9)), 0);
    assert_int_equal(shoal_cache_put(b.me, text("large"), (shoal_slice){bytes, LARGE}, -1), 0);
    assert_int_equal(shoal_cache_pin_get(b.me, text("small"), &small), 0);
    assert_int_equal(shoal_cache_pin_get(b.me, text("large"), &large), 0);
    assert_int_equal(shoal_cache_pin_get(b.me, text("large"), &again), 0);
    assert_ptr_equal(large.bytes.data, again.bytes.data);
    assert_int_equal(small.expires_ms, wall_ms(9));
    assert_int_equal(shoal_cache_clear(b.me), 0);
    for (int64_t ms = 10; ms < 20; ms++) {
        turn(&b, ms);
        (void)shoal_cache_maintain(b.me, 1000);
    }
    test_slice_is(small.bytes, "41");
    assert_int_equal(large.bytes.size, LARGE);
    assert_memory_equal(large.bytes.data, bytes, LARGE);
    shoal_cache_stats stats;
    shoal_cache_stats_get(b.cache, &stats);
    assert_true(stats.bytes_limbo >= LARGE);
    shoal_cache_unpin(b.me, &large);
    assert_memory_equal(again.bytes.data, bytes, LARGE);
    shoal_cache_leave(b.me);
    shoal_cache_unpin(b.me, &again);
    shoal_cache_unpin(b.me, &small);
    shoal_cache_stats_get(b.cache, &stats);
    assert_int_equal(stats.bytes, 0);
    assert_int_equal(stats.bytes_limbo, 0);
    shoal_cache_enter(b.me, at(20));
    free(bytes);
    close_box(&b);
}

static void with_all_pins_taken_values_are_copied(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    static shoal_cache_pin pins[200];
    char *bytes = calloc(1, LARGE);
    assert_non_null(bytes);
    assert_int_equal(shoal_cache_put(b.me, text("k"), (shoal_slice){bytes, LARGE}, -1), 0);
    uint32_t copies = 0;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(shoal_cache_pin_get(b.me, text("k"), &pins[i]), 0);
        copies += pins[i].copy != NULL;
    }
    assert_int_equal(copies, 200 - 128);
    assert_int_equal(shoal_cache_remove(b.me, text("k")), 0);
    turn(&b, 1);
    for (int i = 0; i < 200; i++) shoal_cache_unpin(b.me, &pins[(i * 77) % 200]);
    free(bytes);
    close_box(&b);
}

/* ---- filters ---- */

static void note_key(void *context, shoal_slice key, const shoal_cache_value *value)
{
    (void)value;
    char *list = context;
    strncat(list, key.data, key.size);
    strcat(list, " ");
}

static void scan_all(box *b, const shoal_cache_filter *filter, char *list)
{
    uint64_t cursor = 0;
    list[0] = '\0';
    do {
        shoal_cache_scan_where(b->me, filter, &cursor, note_key, list);
    } while (cursor != 0);
}

static void a_filter_lets_through_what_it_names(void **state)
{
    (void)state;
    box b;
    open_box(&b, 1);
    char list[200];
    static const char *const names[] = {"user:1", "user:2", "user:31", "use", "other"};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(shoal_cache_put(b.me, text(names[i]), text("v"), -1), 0);
    scan_all(&b, &(shoal_cache_filter){0}, list);
    assert_int_equal(strlen(list), 32);
    scan_all(&b, &(shoal_cache_filter){.prefix = text("user:3")}, list);
    assert_string_equal(list, "user:31 ");
    scan_all(&b, &(shoal_cache_filter){.pattern = text("*s[e]"), .count = 1}, list);
    assert_string_equal(list, "use ");
    scan_all(&b, &(shoal_cache_filter){.prefix = text("user:"), .pattern = text("*?1")}, list);
    assert_int_equal(strlen(list), 15);
    scan_all(&b, &(shoal_cache_filter){.type = SHOAL_CACHE_HASH}, list);
    assert_string_equal(list, "");
    scan_all(&b, &(shoal_cache_filter){.type = SHOAL_CACHE_STRING, .prefix = text("o")}, list);
    assert_string_equal(list, "other ");
    close_box(&b);
}

static void the_library_tells_its_version_and_the_time(void **state)
{
    (void)state;
    assert_int_equal(strspn(shoal_version(), "0123456789."), strlen(shoal_version()));
    shoal_time now = shoal_time_now();
    assert_true(now.wall_us > (int64_t)1700000000 * 1000000);
    assert_true(shoal_time_now().mono_us >= now.mono_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_takes_place_on_its_condition_only),
        cmocka_unit_test(a_put_can_keep_the_time_to_live),
        cmocka_unit_test(take_gives_a_value_to_one_and_removes_it),
        cmocka_unit_test(append_adds_at_the_end_and_keeps_the_time_to_live),
        cmocka_unit_test(many_puts_are_puts),
        cmocka_unit_test(clear_removes_everything_and_says_nothing),
        cmocka_unit_test(a_cache_without_memory_ends_and_gives_all_back),
        cmocka_unit_test(what_expires_is_shown_once_whoever_meets_it),
        cmocka_unit_test(a_put_that_meets_another_writer_is_carried_out_by_it),
        cmocka_unit_test(without_memory_a_put_is_not_handed_over),
        cmocka_unit_test(a_pinned_value_outlives_its_key_and_the_batch),
        cmocka_unit_test(with_all_pins_taken_values_are_copied),
        cmocka_unit_test(a_filter_lets_through_what_it_names),
        cmocka_unit_test(the_library_tells_its_version_and_the_time),
    };
    return cmocka_run_group_tests_name("store_cache_write", tests, NULL, NULL);
}
