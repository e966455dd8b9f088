/* SPDX-License-Identifier: MIT
 *
 * Memory that comes back: after most keys have gone at random, the hand moves what is left together
 * until hardly more is taken than used; keys, values and accounts stay as they were.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/slab.h"
#include "support/store_box.h"
#include "value/list.h"

#define KEYS 60000u
#define VALUE "a value of some twenty bytes"

static store_box box;

static int open_box(void **state)
{
    (void)state;
    box_open(&box, 1);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    box_close(&box);
    return 0;
}

static shoal_key key_of(uint32_t number, char name[32])
{
    int size = snprintf(name, 32, "key:%u", (unsigned)number);
    return shoal_key_make(box.store, 0, (shoal_slice){name, (size_t)size});
}

static void fill(uint32_t count)
{
    char name[32];
    for (uint32_t i = 0; i < count; i++) {
        shoal_key key = key_of(i, name);
        assert_int_equal(box_put(box.thread, &key, text_slice(VALUE), -1), 0);
        if (i % 100 == 0) box_turn(&box, 0);
    }
    box_settle(&box);
}

/* Removes all keys but about one in `keep`, at random but always the same. */
static void thin_out(uint32_t count, uint32_t keep)
{
    char name[32];
    shoal_prng prng = shoal_prng_make((uint64_t[2]){1, 2}, 3, 4);
    for (uint32_t i = 0; i < count; i++) {
        if (shoal_prng_below(&prng, keep) == 0) continue;
        shoal_key key = key_of(i, name);
        assert_true(box_remove(box.thread, &key));
        if (i % 100 == 0) box_turn(&box, 0);
    }
    box_settle(&box);
}

/* Lets the hand work on any waste, with all effort. */
static void let_it_move(void)
{
    shoal_defrag_settings settings = shoal_defrag_settings_default();
    settings.on = true;
    settings.ignore_bytes = 0;
    settings.lower_percent = 5;
    settings.upper_percent = 10;
    shoal_store_set_defrag(box.store, &settings);
}

/* Background work for so many milliseconds. */
static void work(uint32_t milliseconds)
{
    for (uint32_t i = 0; i < milliseconds; i++) {
        (void)shoal_store_maintain(box.thread, 100);
        box_turn(&box, 1);
    }
}

static shoal_store_stats stats_now(void)
{
    shoal_store_stats stats;
    shoal_store_stats_get(box.store, &stats);
    return stats;
}

/* ---- items ---- */

static void memory_comes_back_after_most_keys_have_gone(void **state)
{
    (void)state;
    fill(KEYS);
    thin_out(KEYS, 10);
    shoal_store_stats before = stats_now();
    uint64_t digest = shoal_store_digest(box.store);
    assert_true(before.bytes_slabs > 5 * before.bytes);
    let_it_move();
    work(2000);
    shoal_store_stats after = stats_now();
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(after.keys, before.keys);
    assert_true(after.bytes_slabs < after.bytes * 5 / 4 + 131072);
    assert_true(after.defrag_hits >= after.defrag_key_hits);
    assert_true(after.defrag_key_hits + after.defrag_key_misses == after.defrag_scanned);
    assert_true(after.defrag_key_hits < 2 * after.keys);
    assert_true(shoal_store_digest(box.store) == digest);
    box_check_bytes(&box);
    print_message("# %llu of %llu bytes; %llu before; %llu keys moved of %llu\n",
                  (unsigned long long)after.bytes, (unsigned long long)after.bytes_slabs,
                  (unsigned long long)before.bytes_slabs, (unsigned long long)after.defrag_key_hits,
                  (unsigned long long)after.keys);
}

static void the_hand_rests_where_little_can_be_won(void **state)
{
    (void)state;
    fill(KEYS);
    thin_out(KEYS, 10);
    let_it_move();
    work(2000);
    uint64_t scanned = stats_now().defrag_scanned;
    assert_int_equal(stats_now().defrag_running, 0);
    assert_true(shoal_store_maintain(box.thread, 100) > 100000);
    work(100);
    assert_int_equal(stats_now().defrag_scanned, scanned);
}

static void nothing_moves_unless_it_is_asked_for(void **state)
{
    (void)state;
    fill(KEYS);
    thin_out(KEYS, 10);
    work(200);
    shoal_defrag_settings settings = shoal_defrag_settings_default();
    settings.on = true;
    settings.ignore_bytes = 1u << 30;
    shoal_store_set_defrag(box.store, &settings);
    work(200);
    settings.ignore_bytes = 0;
    settings.lower_percent = 1000;
    shoal_store_set_defrag(box.store, &settings);
    work(200);
    assert_int_equal(stats_now().defrag_scanned, 0);
    assert_int_equal(stats_now().defrag_running, 0);
}

static void effort_grows_with_waste_between_its_bounds(void **state)
{
    (void)state;
    fill(KEYS);
    thin_out(KEYS, 2);
    shoal_defrag_settings settings = shoal_defrag_settings_default();
    settings.on = true;
    settings.ignore_bytes = 0;
    settings.lower_percent = 1;
    settings.upper_percent = 100000;
    settings.cycle_min_percent = 1;
    settings.cycle_max_percent = 50;
    shoal_store_set_defrag(box.store, &settings);
    work(1);
    assert_int_equal(stats_now().defrag_running, 1);
    uint64_t gently = stats_now().defrag_scanned;
    assert_in_range(gently, 1, 400);
    settings.on = false;
    shoal_store_set_defrag(box.store, &settings);
    work(1);
    assert_int_equal(stats_now().defrag_running, 0);
    settings.on = true;
    settings.upper_percent = 2;
    shoal_store_set_defrag(box.store, &settings);
    work(1);
    assert_int_equal(stats_now().defrag_running, 50);
    assert_true(stats_now().defrag_scanned - gently > 10 * gently);
}

static void without_memory_everything_stays_where_it_is(void **state)
{
    (void)state;
    fill(KEYS);
    thin_out(KEYS, 4);
    uint64_t digest = shoal_store_digest(box.store);
    let_it_move();
    box.heap.fail_after = 1;
    work(500);
    box.heap.fail_after = 0;
    assert_true(shoal_store_digest(box.store) == digest);
    box_check_bytes(&box);
}

static void waste_below_the_slabs_counts_where_the_host_tells(void **state)
{
    (void)state;
    fill(100);
    shoal_defrag_settings settings = shoal_defrag_settings_default();
    settings.on = true;
    shoal_store_set_defrag(box.store, &settings);
    work(10);
    assert_int_equal(stats_now().defrag_scanned, 0);
    shoal_store_set_outer_waste(box.store, 200u << 20);
    work(10);
    assert_int_equal(stats_now().defrag_scanned, 100);
}

/* ---- objects ---- */

#define LISTS 300u
#define ELEMENTS 400u

typedef struct object_op {
    shoal_gate_op gate;
    const shoal_key *key;
} object_op;

static void put_list(shoal_op *op, void *thread)
{
    object_op *put = (object_op *)op;
    shoal_account *account = shoal_thread_account(thread);
    shoal_list *list = shoal_list_make(account);
    assert_non_null(list);
    const shoal_list_edit edit = {list, account, shoal_list_limits_of(-1)};
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        char text[64];
        int size = snprintf(text, sizeof text, "element %u of this list, which is long", i);
        shoal_element element = shoal_element_of((shoal_slice){text, (size_t)size});
        assert_int_equal(shoal_list_push(&edit, SHOAL_LIST_TAIL, &element), 0);
    }
    shoal_object *object = shoal_list_object(list);
    assert_int_equal(shoal_store_put_object_locked(thread, put->key, object, -1), 0);
}

static void put_lists(void)
{
    char name[32];
    for (uint32_t i = 0; i < LISTS; i++) {
        shoal_key key = key_of(i, name);
        object_op put = {.gate = {.op = {.run = put_list}, .places = &key.place, .count = 1},
                         .key = &key};
        assert_true(shoal_gate_try(box.thread, &put.gate));
        box_turn(&box, 0);
    }
}

/* In steps of few pieces, so that the hand stops inside of every list. */
static void pieces_of_objects_move_too(void **state)
{
    (void)state;
    put_lists();
    thin_out(LISTS, 5);
    shoal_store_stats before = stats_now();
    uint64_t digest = shoal_store_digest(box.store);
    assert_true(before.bytes_slabs > 3 * before.bytes);
    shoal_defrag_settings settings = shoal_defrag_settings_default();
    settings.on = true;
    settings.ignore_bytes = 0;
    settings.scan_max = 1;
    settings.cycle_min_percent = 1;
    settings.cycle_max_percent = 1;
    shoal_store_set_defrag(box.store, &settings);
    work(3000);
    shoal_store_stats after = stats_now();
    assert_int_equal(after.bytes, before.bytes);
    assert_true(after.bytes_slabs < after.bytes * 3 / 2 + 65536);
    assert_true(after.defrag_hits > 2 * after.defrag_key_hits);
    assert_true(shoal_store_digest(box.store) == digest);
    box_check_bytes(&box);
}

/* ---- what comes back by itself ---- */

static void with_the_last_key_all_memory_comes_back(void **state)
{
    (void)state;
    fill(KEYS);
    put_lists();
    char name[32];
    for (uint32_t i = 0; i < KEYS; i++) {
        shoal_key key = key_of(i, name);
        assert_true(box_remove(box.thread, &key));
        if (i % 100 == 0) box_turn(&box, 0);
    }
    box_settle(&box);
    shoal_store_stats stats = stats_now();
    assert_int_equal(stats.bytes, 0);
    assert_true(stats.bytes_slabs <= 8192);
    assert_true(box.heap.bytes - box.bytes_fixed <= 8192);
}

static void where_the_allocator_refuses_everything_keys_can_be_removed(void **state)
{
    (void)state;
    char name[32];
    fill(KEYS);
    box.heap.fail_after = 1;
    uint32_t removed = 0;
    for (uint32_t turn = 0; turn < 20 && removed < KEYS; turn++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            shoal_key key = key_of(i, name);
            removed += box_remove(box.thread, &key);
            if (i % 100 == 0) box_turn(&box, 0);
        }
    }
    assert_int_equal(removed, KEYS);
    box_settle(&box);
    box.heap.fail_after = 0;
    assert_int_equal(stats_now().bytes, 0);
    assert_int_equal(stats_now().bytes_limbo, 0);
    assert_true(box.heap.bytes - box.bytes_fixed <= 8192);
}

static void a_small_store_is_small(void **state)
{
    (void)state;
    fill(50);
    assert_true(stats_now().bytes_slabs <= 16384);
    box_check_bytes(&box);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(memory_comes_back_after_most_keys_have_gone),
        FACT(the_hand_rests_where_little_can_be_won),
        FACT(nothing_moves_unless_it_is_asked_for),
        FACT(effort_grows_with_waste_between_its_bounds),
        FACT(without_memory_everything_stays_where_it_is),
        FACT(waste_below_the_slabs_counts_where_the_host_tells),
        FACT(pieces_of_objects_move_too),
        FACT(with_the_last_key_all_memory_comes_back),
        FACT(where_the_allocator_refuses_everything_keys_can_be_removed),
        FACT(a_small_store_is_small),
    };
    return cmocka_run_group_tests_name("store_defrag", tests, NULL, NULL);
}
