/* SPDX-License-Identifier: MIT
 *
 * Limits of the store, which keys go, and what can be told of their use.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "store/limits.h"
#include "store/policy.h"
#include "support/store_box.h"

static void limit(store_box *box, const char *policy, uint64_t bytes, uint64_t keys)
{
    shoal_limits limits = shoal_limits_default();
    limits.bytes = bytes;
    limits.keys = keys;
    limits.policy = shoal_policy_named(text_slice(policy));
    assert_non_null(limits.policy);
    shoal_store_set_limits(box->store, &limits);
    box_turn(box, 1);
}

static shoal_key numbered(const store_box *box, char name[32], uint32_t number)
{
    int size = snprintf(name, 32, "key:%u", (unsigned)number);
    return shoal_key_make(box->store, 0, (shoal_slice){name, (size_t)size});
}

static shoal_err put(store_box *box, uint32_t number, size_t size, int64_t expires_ms)
{
    static char bytes[20000];
    char name[32];
    shoal_key key = numbered(box, name, number);
    shoal_err error = box_put(box->thread, &key, (shoal_slice){bytes, size}, expires_ms);
    box_turn(box, 0);
    return error;
}

static uint64_t resident(const store_box *box)
{
    shoal_store_stats stats;
    shoal_store_stats_get(box->store, &stats);
    return stats.bytes - stats.bytes_limbo;
}

static void every_policy_holds_the_bound_whatever_is_put(void **state)
{
    (void)state;
    static const char *const names[] = {"allkeys-lru", "allkeys-lfu", "allkeys-random",
                                        "allkeys-s3fifo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        store_box box;
        box_open(&box, 1);
        limit(&box, names[i], 16 << 20, 0);
        for (uint32_t k = 0; k < 20000; k++) {
            assert_int_equal(put(&box, k, k % 977 == 0 ? 20000 : 1 + k * 7 % 3000, -1), 0);
            assert_true(resident(&box) <= (16 << 20) + (1 << 20));
        }
        assert_true(resident(&box) > 15 << 20);
        box_close(&box);
    }
}

static void volatile_policies_take_nothing_without_a_ttl(void **state)
{
    (void)state;
    static const char *const names[] = {"volatile-lru", "volatile-lfu", "volatile-random",
                                        "volatile-ttl", "volatile-s3fifo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        store_box box;
        char name[32];
        box_open(&box, 1);
        limit(&box, names[i], 0, 1000);
        for (uint32_t k = 0; k < 5000; k++) {
            int64_t expires_ms = k >= 500 ? box_ms(&box) + 1000000 + k : -1;
            assert_int_equal(put(&box, k, 10, expires_ms), 0);
        }
        assert_true(shoal_store_count(box.store, 0) <= 1000);
        for (uint32_t k = 0; k < 500; k++) {
            shoal_key key = numbered(&box, name, k);
            assert_non_null(shoal_store_get(box.thread, &key));
        }
        box_close(&box);
    }
}

/* How many of the keys from `first` on are there. */
static uint32_t count_there(store_box *box, uint32_t first, uint32_t count)
{
    char name[32];
    uint32_t there = 0;
    for (uint32_t k = first; k < first + count; k++) {
        shoal_key key = numbered(box, name, k);
        there += shoal_store_get(box->thread, &key) != NULL;
    }
    return there;
}

/* So many keys that what a policy says of a byte is kept. */
static void among_many_keys_volatile_policies_take_nothing_without_a_ttl(void **state)
{
    (void)state;
    static const char *const names[] = {"volatile-lru", "volatile-s3fifo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        store_box box;
        box_open(&box, 1);
        limit(&box, names[i], 0, 8000);
        for (uint32_t k = 0; k < 30000; k++) {
            int64_t expires_ms = k >= 1000 ? box_ms(&box) + 1000000 + k : -1;
            assert_int_equal(put(&box, k, 10, expires_ms), 0);
        }
        assert_true(shoal_store_count(box.store, 0) <= 8000);
        assert_int_equal(count_there(&box, 0, 1000), 1000);
        box_close(&box);
    }
}

/* What went from the small queue not long ago comes to the main one, and outlives what is new. */
static void s3fifo_knows_again_what_has_gone(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    limit(&box, "allkeys-s3fifo", 0, 6000);
    for (uint32_t k = 0; k < 12000; k++) assert_int_equal(put(&box, k, 10, -1), 0);
    assert_true(count_there(&box, 3000, 400) < 40);
    for (uint32_t k = 3000; k < 3400; k++) assert_int_equal(put(&box, k, 10, -1), 0);
    for (uint32_t k = 20000; k < 40000; k++) assert_int_equal(put(&box, k, 10, -1), 0);
    assert_true(count_there(&box, 3000, 400) > 360);
    assert_true(count_there(&box, 20000, 400) < 40);
    box_close(&box);
}

/* Without uses a queue is all there is, and it is kept in order to about a tenth of its length. */
static void s3fifo_takes_the_oldest_of_keys_that_nobody_uses(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    limit(&box, "allkeys-s3fifo", 0, 10000);
    for (uint32_t k = 0; k < 50000; k++) assert_int_equal(put(&box, k, 10, -1), 0);
    assert_true(count_there(&box, 41500, 8500) > 8400);
    assert_true(count_there(&box, 0, 38500) < 100);
    box_close(&box);
}

static void what_expires_soonest_goes_first_under_volatile_ttl(void **state)
{
    (void)state;
    store_box box;
    char name[32];
    box_open(&box, 1);
    limit(&box, "volatile-ttl", 0, 200);
    for (uint32_t k = 0; k < 200; k++)
        assert_int_equal(put(&box, k, 10, box_ms(&box) + (k % 2 == 0 ? 30000 : 3000000)), 0);
    for (uint32_t k = 200; k < 280; k++)
        assert_int_equal(put(&box, k, 10, box_ms(&box) + 3000000), 0);
    uint32_t late = 0;
    for (uint32_t k = 1; k < 200; k += 2) {
        shoal_key key = numbered(&box, name, k);
        late += shoal_store_get(box.thread, &key) != NULL;
    }
    assert_int_equal(late, 100);
    box_close(&box);
}

static void a_lowered_limit_is_reached_in_the_background(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    for (uint32_t k = 0; k < 10000; k++) assert_int_equal(put(&box, k, 1000, -1), 0);
    limit(&box, "allkeys-lru", 2 << 20, 0);
    for (int i = 0; i < 1000; i++) {
        (void)shoal_store_maintain(box.thread, 200);
        box_turn(&box, 1);
    }
    assert_true(resident(&box) <= 2 << 20);
    assert_true(shoal_store_count(box.store, 0) > 1000);
    box_close(&box);
}

/* ---- what can be told of a key's use ---- */

static int64_t idle_ms(store_box *box, const char *name)
{
    shoal_key key = shoal_key_make(box->store, 0, text_slice(name));
    int64_t out = -1;
    assert_true(shoal_store_idle_ms(box->thread, &key, &out));
    return out;
}

static void idle_times_do_not_depend_on_how_long_the_machine_is_up(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    box_turn(&box, (int64_t)1000 * 86400000);
    shoal_thread_leave(box.thread);
    shoal_store_destroy(box.store);
    shoal_store_options options = {.allocator = test_allocator(&box.heap),
                                   .threads = 1,
                                   .databases = 1,
                                   .owned = true};
    assert_int_equal(shoal_store_create(&options, &box.store), 0);
    box.thread = shoal_store_thread(box.store, 0);
    shoal_thread_enter(box.thread, box.now);
    box_set(&box, "key", "value");
    for (int64_t second = 1; second < 60; second++) {
        box_turn(&box, 1000);
        assert_in_range(idle_ms(&box, "key") + 2000, second * 1000, second * 1000 + 2000);
    }
    assert_non_null(box_get(&box, "key"));
    assert_true(idle_ms(&box, "key") < 1000);
    box_close(&box);
}

/* Both keys of a renaming, on its way through their gate. */
typedef struct renaming {
    shoal_gate_op gate; /* first */
    shoal_key from, to;
} renaming;

static void run_rename(shoal_op *op, void *thread)
{
    const renaming *what = (const renaming *)op;
    assert_int_equal(shoal_store_rename_locked(thread, &what->from, &what->to), 0);
}

static void a_key_that_is_renamed_stays_as_much_used_as_it_was(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    limit(&box, "allkeys-lfu", 0, 0);
    box_set(&box, "{a}1", "value");
    for (int i = 0; i < 2000; i++) (void)box_get(&box, "{a}1");
    renaming what = {.from = shoal_key_make(box.store, 0, text_slice("{a}1")),
                     .to = shoal_key_make(box.store, 0, text_slice("{a}2"))};
    uint32_t before, after;
    assert_true(shoal_store_frequency(box.thread, &what.from, &before));
    what.gate = (shoal_gate_op){.op = {.run = run_rename}, .places = &what.to.place, .count = 1};
    assert_true(shoal_gate_try(box.thread, &what.gate));
    assert_true(shoal_store_frequency(box.thread, &what.to, &after));
    assert_true(before > 10);
    assert_true(after >= before);
    box_close(&box);
}

static void the_most_used_key_has_the_highest_frequency_there_is(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    shoal_limits limits = shoal_limits_default();
    limits.policy = shoal_policy_named(text_slice("allkeys-lfu"));
    limits.lfu_log_factor = 0;
    shoal_store_set_limits(box.store, &limits);
    box_turn(&box, 1);
    box_set(&box, "key", "value");
    for (int i = 0; i < 20000; i++) (void)box_get(&box, "key");
    shoal_key key = shoal_key_make(box.store, 0, text_slice("key"));
    uint32_t frequency;
    assert_true(shoal_store_frequency(box.thread, &key, &frequency));
    assert_int_equal(frequency, 255);
    box_close(&box);
}

/* What is told of a key's use, on its way through the key's gate. */
typedef struct telling {
    shoal_gate_op gate; /* first */
    shoal_key key;
    int64_t idle_ms; /* < 0: the frequency */
    uint32_t frequency;
} telling;

static void run_telling(shoal_op *op, void *thread)
{
    const telling *what = (const telling *)op;
    if (what->idle_ms >= 0) {
        shoal_store_set_idle_locked(thread, &what->key, what->idle_ms);
    } else {
        shoal_store_set_frequency_locked(thread, &what->key, what->frequency);
    }
}

static void tell(store_box *box, const char *name, telling what)
{
    what.key = shoal_key_make(box->store, 0, text_slice(name));
    what.gate = (shoal_gate_op){.op = {.run = run_telling}, .places = &what.key.place, .count = 1};
    assert_true(shoal_gate_try(box->thread, &what.gate));
}

static void a_key_may_be_said_to_be_older_than_the_store(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    limit(&box, "allkeys-lru", 0, 0);
    box_set(&box, "a", "value");
    box_set(&box, "b", "value");
    for (int64_t idle_s = 40; idle_s < 200000; idle_s += idle_s / 2) {
        tell(&box, "a", (telling){.idle_ms = idle_s * 1000});
        assert_in_range(idle_ms(&box, "a"), idle_s * 950, idle_s * 1050);
    }
    tell(&box, "a", (telling){.idle_ms = 5000000});
    tell(&box, "b", (telling){.idle_ms = 4000000});
    int64_t before = idle_ms(&box, "a");
    for (int second = 0; second < 100; second++) box_turn(&box, 1000);
    assert_in_range(idle_ms(&box, "a"), before + 90000, before + 110000);
    assert_true(idle_ms(&box, "b") < idle_ms(&box, "a"));
    (void)box_get(&box, "a");
    assert_in_range(idle_ms(&box, "a"), 0, 2000);
    /* What the policy does not keep is not told to it. */
    tell(&box, "b", (telling){.idle_ms = -1, .frequency = 200});
    assert_true(idle_ms(&box, "b") > 3000000);
    box_close(&box);
}

static void a_key_may_be_said_to_be_much_used(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    limit(&box, "allkeys-lfu", 0, 0);
    box_set(&box, "key", "value");
    shoal_key key = shoal_key_make(box.store, 0, text_slice("key"));
    static const uint32_t told[] = {0, 1, 5, 100, 255};
    uint32_t frequency;
    for (uint32_t i = 0; i < 5; i++) {
        tell(&box, "key", (telling){.idle_ms = -1, .frequency = told[i]});
        assert_true(shoal_store_frequency(box.thread, &key, &frequency));
        assert_int_equal(frequency, told[i]);
    }
    tell(&box, "key", (telling){.idle_ms = 60000});
    assert_true(shoal_store_frequency(box.thread, &key, &frequency));
    assert_int_equal(frequency, 255);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_policy_holds_the_bound_whatever_is_put),
        cmocka_unit_test(volatile_policies_take_nothing_without_a_ttl),
        cmocka_unit_test(among_many_keys_volatile_policies_take_nothing_without_a_ttl),
        cmocka_unit_test(s3fifo_knows_again_what_has_gone),
        cmocka_unit_test(s3fifo_takes_the_oldest_of_keys_that_nobody_uses),
        cmocka_unit_test(what_expires_soonest_goes_first_under_volatile_ttl),
        cmocka_unit_test(a_lowered_limit_is_reached_in_the_background),
        cmocka_unit_test(idle_times_do_not_depend_on_how_long_the_machine_is_up),
        cmocka_unit_test(a_key_that_is_renamed_stays_as_much_used_as_it_was),
        cmocka_unit_test(the_most_used_key_has_the_highest_frequency_there_is),
        cmocka_unit_test(a_key_may_be_said_to_be_older_than_the_store),
        cmocka_unit_test(a_key_may_be_said_to_be_much_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
