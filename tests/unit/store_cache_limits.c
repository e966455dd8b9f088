/* SPDX-License-Identifier: MIT
 *
 * Limits of a cache and what goes when they are reached, as an embedding program sees them: given
 * at open, set later, by a named policy or one of the program's own.
 */
#include "support/test.h"

#include <stdio.h>

#include <shoal/cache.h>

#include "support/allocator.h"

/* A cache with one thread, inside a batch. */
typedef struct box {
    test_heap heap;
    shoal_cache *cache;
    shoal_cache_thread *me;
    int64_t now_us;
    uint32_t gone; /* evicted, as told to the callback */
} box;

static void count_gone(void *context, shoal_slice key, const shoal_cache_value *value,
                       shoal_cache_reason reason)
{
    box *b = context;
    assert_true(key.size > 0);
    assert_int_equal(value->type, SHOAL_CACHE_STRING);
    assert_int_equal(reason, SHOAL_CACHE_EVICTED);
    b->gone++;
}

static void turn(box *b)
{
    shoal_cache_leave(b->me);
    b->now_us += 100;
    shoal_cache_enter(b->me, (shoal_time){b->now_us, b->now_us});
}

static void open_box(box *b, const shoal_cache_limits *limits)
{
    *b = (box){.now_us = 1000000};
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = test_allocator(&b->heap);
    options.gone = count_gone;
    options.gone_context = b;
    if (limits != NULL) options.limits = *limits;
    assert_int_equal(shoal_cache_open(&options, &b->cache), 0);
    b->me = shoal_cache_thread_at(b->cache, 0);
    shoal_cache_enter(b->me, (shoal_time){b->now_us, b->now_us});
}

static void close_box(box *b)
{
    shoal_cache_leave(b->me);
    shoal_cache_close(b->cache);
    assert_int_equal(b->heap.bytes, 0);
}

/* Puts keys [first, end); returns the first error. */
static shoal_err fill(box *b, uint32_t first, uint32_t end)
{
    static char bytes[1000];
    for (uint32_t i = first; i < end; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "key %u", i);
        shoal_slice value = {bytes, sizeof bytes};
        shoal_err error = shoal_cache_put(b->me, (shoal_slice){name, (size_t)size}, value, -1);
        if (error != 0) return error;
        turn(b);
    }
    return 0;
}

static shoal_cache_stats stats_of(const box *b)
{
    shoal_cache_stats stats;
    shoal_cache_stats_get(b->cache, &stats);
    return stats;
}

static void a_limit_of_keys_given_at_open_is_held(void **state)
{
    (void)state;
    box b;
    shoal_cache_limits limits = shoal_cache_limits_default();
    limits.keys = 500;
    limits.policy = shoal_policy_named(shoal_slice_of("allkeys-lru"));
    open_box(&b, &limits);
    for (uint32_t i = 0; i < 5000; i += 10) {
        assert_int_equal(fill(&b, i, i + 10), 0);
        assert_true(stats_of(&b).keys <= 500);
    }
    assert_true(stats_of(&b).keys > 450);
    assert_int_equal(stats_of(&b).evicted, 5000 - stats_of(&b).keys);
    assert_int_equal(b.gone, stats_of(&b).evicted);
    close_box(&b);
}

static void a_limit_of_bytes_set_later_is_held_from_then_on(void **state)
{
    (void)state;
    box b;
    open_box(&b, NULL);
    assert_int_equal(fill(&b, 0, 10000), 0);
    assert_int_equal(stats_of(&b).keys, 10000);
    shoal_cache_limits limits = shoal_cache_limits_default();
    limits.bytes = 4 << 20;
    limits.policy = shoal_policy_named(shoal_slice_of("allkeys-s3fifo"));
    shoal_cache_set_limits(b.cache, &limits);
    turn(&b);
    for (int i = 0; i < 1000; i++) {
        (void)shoal_cache_maintain(b.me, 1000);
        turn(&b);
    }
    assert_true(stats_of(&b).bytes - stats_of(&b).bytes_limbo <= 4 << 20);
    assert_int_equal(fill(&b, 10000, 12000), 0);
    assert_true(stats_of(&b).bytes - stats_of(&b).bytes_limbo <= 5 << 20);
    limits.bytes = 0;
    shoal_cache_set_limits(b.cache, &limits);
    turn(&b);
    uint64_t before = stats_of(&b).evicted;
    assert_int_equal(fill(&b, 20000, 30000), 0);
    assert_int_equal(stats_of(&b).evicted, before);
    close_box(&b);
}

static void without_a_policy_a_full_cache_refuses_puts_and_changes_nothing(void **state)
{
    (void)state;
    box b;
    shoal_cache_limits limits = shoal_cache_limits_default();
    limits.bytes = 4 << 20;
    open_box(&b, &limits);
    assert_int_equal(fill(&b, 0, 10000), SHOAL_ERR_NO_MEMORY);
    uint64_t keys = stats_of(&b).keys;
    assert_true(keys > 3000);
    assert_int_equal(fill(&b, 20000, 20001), SHOAL_ERR_NO_MEMORY);
    assert_int_equal(stats_of(&b).keys, keys);
    assert_int_equal(stats_of(&b).evicted, 0);
    assert_int_equal(shoal_cache_remove(b.me, shoal_slice_of("key 0")), 0);
    turn(&b);
    assert_int_equal(shoal_cache_put(b.me, shoal_slice_of("x"), shoal_slice_of("y"), -1), 0);
    close_box(&b);
}

/* ---- a policy of one's own ---- */

/* Keys whose byte is lowest go first: they arrive with 1 and have 200 once they have been used. */
static uint8_t arrive(shoal_policy_view *view, shoal_arrival arrival)
{
    (void)arrival;
    view->events[0]++;
    return 1;
}

static uint8_t use(shoal_policy_view *view, uint8_t byte)
{
    (void)view;
    (void)byte;
    return 200;
}

static shoal_verdict judge(shoal_policy_view *view, uint8_t byte)
{
    (void)view;
    return (shoal_verdict){.rank = (uint8_t)(SHOAL_RANK_MAX - byte), .byte = byte};
}

static shoal_pace pace(const shoal_policy_view *view, uint32_t clock)
{
    (void)clock;
    return (shoal_pace){.events = view->capacity};
}

static void a_policy_of_the_program_decides_which_keys_go(void **state)
{
    (void)state;
    static const shoal_policy own = {
        .name = "own", .evicts = true, .arrive = arrive, .use = use, .judge = judge, .pace = pace};
    box b;
    shoal_cache_limits limits = shoal_cache_limits_default();
    limits.keys = 1000;
    limits.policy = &own;
    open_box(&b, &limits);
    assert_int_equal(fill(&b, 0, 100), 0);
    shoal_cache_value found;
    char name[32];
    for (int i = 0; i < 100; i++) {
        int size = snprintf(name, sizeof name, "key %d", i);
        assert_int_equal(shoal_cache_get(b.me, (shoal_slice){name, (size_t)size}, &found), 0);
    }
    assert_int_equal(fill(&b, 100, 20000), 0);
    for (int i = 0; i < 100; i++) {
        int size = snprintf(name, sizeof name, "key %d", i);
        assert_int_equal(shoal_cache_get(b.me, (shoal_slice){name, (size_t)size}, &found), 0);
    }
    assert_true(stats_of(&b).keys <= 1000);
    close_box(&b);
}

static void policies_have_the_names_of_the_directive(void **state)
{
    (void)state;
    static const char *const names[] = {"noeviction",   "allkeys-lru",    "volatile-lru",
                                        "allkeys-lfu",  "volatile-lfu",   "allkeys-random",
                                        "volatile-ttl", "allkeys-s3fifo", "volatile-s3fifo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const shoal_policy *policy = shoal_policy_named(shoal_slice_of(names[i]));
        assert_non_null(policy);
        assert_string_equal(policy->name, names[i]);
        assert_int_equal(policy->evicts, i != 0);
    }
    assert_null(shoal_policy_named(shoal_slice_of("allkeys-lr")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_of_keys_given_at_open_is_held),
        cmocka_unit_test(a_limit_of_bytes_set_later_is_held_from_then_on),
        cmocka_unit_test(without_a_policy_a_full_cache_refuses_puts_and_changes_nothing),
        cmocka_unit_test(a_policy_of_the_program_decides_which_keys_go),
        cmocka_unit_test(policies_have_the_names_of_the_directive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
