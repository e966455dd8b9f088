/* SPDX-License-Identifier: MIT
 *
 * Several strings at once: shoal_store_put_many_locked sets all of them or none, at whichever
 * allocation memory ends.
 */
#include <stdio.h>
#include <string.h>

#include "store/places.h"
#include "support/allocator.h"
#include "support/test.h"

#define KEYS 40u

static test_heap heap;
static shoal_store *store;
static shoal_thread *thread;

static int open_store(void **state)
{
    (void)state;
    heap = (test_heap){0};
    shoal_store_options options = {
        .allocator = test_allocator(&heap), .threads = 1, .databases = 1, .seed = 7, .owned = true};
    assert_int_equal(shoal_store_create(&options, &store), 0);
    thread = shoal_store_thread(store, 0);
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    shoal_store_destroy(store);
    assert_int_equal(heap.blocks, 0);
    return 0;
}

/* One call under all gates of the database. */
typedef struct put_call {
    shoal_gate_op gate; /* first */
    const shoal_put_many *what;
    shoal_err error;
} put_call;

static void run_put(shoal_op *op, void *runner)
{
    put_call *call = (put_call *)op;
    call->error = shoal_store_put_many_locked(runner, call->what);
}

static shoal_err put(const shoal_put_many *what)
{
    static uint32_t places[SHOAL_SLOTS];
    for (uint32_t i = 0; i < SHOAL_SLOTS; i++) places[i] = i;
    put_call call = {.gate = {.op = {.run = run_put}, .places = places, .count = SHOAL_SLOTS},
                     .what = what};
    assert_true(shoal_gate_try(thread, &call.gate));
    return call.error;
}

static void enter(void)
{
    shoal_thread_enter(thread, (shoal_time){.mono_us = 1, .wall_us = 1000});
}

static void make_keys(shoal_key *keys, char names[KEYS][8])
{
    for (uint32_t i = 0; i < KEYS; i++) {
        int size = sprintf(names[i], "k%u", i);
        keys[i] = shoal_key_make(store, 0, (shoal_slice){names[i], (size_t)size});
    }
}

/* The value of a key, or "" when there is none. */
static shoal_slice value_of(const shoal_key *key, char scratch[SHOAL_INT_TEXT_SIZE])
{
    const shoal_item *item = shoal_store_get(thread, key);
    return item == NULL ? (shoal_slice){"", 0} : shoal_item_string(item, scratch);
}

static void all_are_set_or_none_wherever_memory_ends(void **state)
{
    (void)state;
    char names[KEYS][8], scratch[SHOAL_INT_TEXT_SIZE];
    static char large[4096];
    memset(large, 'x', sizeof(large));
    shoal_key keys[KEYS];
    shoal_slice values[KEYS];
    make_keys(keys, names);
    for (uint32_t i = 0; i < KEYS; i++) values[i] = (shoal_slice){"before", 6};
    shoal_put_many old = {keys, values, KEYS / 2, 1, -1, false};
    enter();
    assert_int_equal(put(&old), 0);
    for (uint32_t i = 0; i < KEYS; i++) values[i] = (shoal_slice){large, sizeof(large)};
    shoal_put_many new = {keys, values, KEYS, 1, -1, false};
    int failures = 0;
    for (int64_t n = 0;; n++) {
        heap.fail_after = heap.calls + n;
        shoal_err error = put(&new);
        heap.fail_after = 0;
        if (error == 0) break;
        failures++;
        assert_int_equal(error, SHOAL_ERR_NO_MEMORY);
        for (uint32_t i = 0; i < KEYS; i++)
            test_slice_is(value_of(&keys[i], scratch), i < KEYS / 2 ? "before" : "");
        assert_int_equal(shoal_store_count(store, 0), KEYS / 2);
    }
    assert_true(failures > 0);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(value_of(&keys[i], scratch).size, sizeof(large));
    assert_int_equal(shoal_store_count(store, 0), KEYS);
    shoal_thread_leave(thread);
}

static void of_a_name_that_stands_twice_the_later_value_counts(void **state)
{
    (void)state;
    char names[KEYS][8], scratch[SHOAL_INT_TEXT_SIZE];
    shoal_key keys[KEYS];
    make_keys(keys, names);
    shoal_key twice[3] = {keys[0], keys[1], keys[0]};
    shoal_slice values[3] = {{"a", 1}, {"b", 1}, {"12", 2}};
    shoal_put_many what = {twice, values, 3, 1, -1, false};
    enter();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(put(&what), 0);
        test_slice_is(value_of(&keys[0], scratch), "12");
        test_slice_is(value_of(&keys[1], scratch), "b");
        assert_int_equal(shoal_store_count(store, 0), 2);
    }
    shoal_thread_leave(thread);
}

static void times_to_live_are_given_or_kept(void **state)
{
    (void)state;
    char names[KEYS][8];
    shoal_key keys[KEYS];
    make_keys(keys, names);
    shoal_slice values[2] = {{"a", 1}, {"b", 1}};
    shoal_put_many what = {keys, values, 1, 1, 5000, false};
    enter();
    assert_int_equal(put(&what), 0);
    what = (shoal_put_many){keys, values, 2, 1, -1, true};
    assert_int_equal(put(&what), 0);
    assert_int_equal(shoal_item_expires_ms(shoal_store_get(thread, &keys[0])), 5000);
    assert_int_equal(shoal_item_expires_ms(shoal_store_get(thread, &keys[1])), -1);
    what.keep_ttl = false;
    assert_int_equal(put(&what), 0);
    assert_int_equal(shoal_item_expires_ms(shoal_store_get(thread, &keys[0])), -1);
    assert_int_equal(shoal_store_count_volatile(store, 0), 0);
    shoal_thread_leave(thread);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)
    const struct CMUnitTest tests[] = {
        FACT(all_are_set_or_none_wherever_memory_ends),
        FACT(of_a_name_that_stands_twice_the_later_value_counts),
        FACT(times_to_live_are_given_or_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
