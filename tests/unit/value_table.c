/* SPDX-License-Identifier: MIT
 *
 * Tables of names: what one change may cost, chance, deadlines in order, freeing and moving piece
 * by piece. That they hold what was put is tests/property/members_model.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "support/allocator.h"
#include "support/test.h"
#include "value/members.h"

static test_heap heap;
static shoal_allocator allocator;
static shoal_account account;
static shoal_prng prng;

static int setup(void **state)
{
    (void)state;
    heap = (test_heap){0};
    allocator = test_allocator(&heap);
    account = (shoal_account){.allocator = &allocator};
    prng = shoal_prng_make((uint64_t[2]){20261122, 1}, 0, 1);
    return 0;
}

static int check_heap(void **state)
{
    (void)state;
    assert_int_equal(account.bytes, 0);
    assert_int_equal(heap.blocks, 0);
    return 0;
}

static shoal_table *make(shoal_value_type type)
{
    shoal_table *table = shoal_table_make(&account, type, 99);
    assert_non_null(table);
    return table;
}

static void put_until(shoal_table *table, int64_t id, int64_t deadline_ms)
{
    char value[300];
    memset(value, 'x', sizeof(value));
    shoal_table_entry entry = {.name = shoal_element_of_integer(id), .deadline_ms = deadline_ms};
    entry.value = shoal_element_of((shoal_slice){value, id % 10 == 0 ? sizeof(value) : 5});
    bool added;
    assert_int_equal(shoal_table_put(table, &account, &entry, &added), 0);
}

static void put(shoal_table *table, int64_t id)
{
    put_until(table, id, -1);
}

static void drop(shoal_table *table)
{
    shoal_object_free(&table->object, &account);
}

static void no_change_of_a_large_table_costs_more_than_a_few_pages(void **state)
{
    (void)state;
    shoal_table *table = make(SHOAL_TYPE_SET);
    int64_t calls_max = 0, bytes_max = 0;
    for (int64_t id = 0; id < 400000; id++) {
        int64_t calls = heap.calls, bytes = heap.bytes;
        put(table, id * 7919);
        if (heap.calls - calls > calls_max) calls_max = heap.calls - calls;
        if (heap.bytes - bytes > bytes_max) bytes_max = heap.bytes - bytes;
    }
    assert_int_equal(table->count, 400000);
    assert_true(calls_max <= 6);
    /* A segment of the directory is the largest piece. */
    assert_true(bytes_max <= 8192);
    assert_true(table->crowd < 120);
    /* Names of four bytes: the page's part of each is no more than that again and a bit. */
    assert_true(account.bytes < 400000 * 11);
    drop(table);
}

static void a_table_that_shrinks_gives_its_memory_back(void **state)
{
    (void)state;
    shoal_table *table = make(SHOAL_TYPE_HASH);
    for (int64_t id = 0; id < 50000; id++) put(table, id);
    int64_t full = account.bytes;
    for (int64_t id = 0; id < 49900; id++) {
        shoal_element name = shoal_element_of_integer(id);
        assert_true(shoal_table_remove(table, &account, &name));
    }
    assert_int_equal(table->count, 100);
    assert_true(account.bytes < full / 100);
    for (int64_t id = 49900; id < 50000; id++) {
        shoal_element name = shoal_element_of_integer(id);
        assert_true(shoal_table_remove(table, &account, &name));
    }
    assert_int_equal(table->pages, 1);
    drop(table);
}

/* ---- chance ---- */

/* The sum of squares that says how uneven `count` draws fell on `n` entries. */
static double chi_square(const uint32_t *hits, uint32_t n, uint32_t count)
{
    double expected = (double)count / n, sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (hits[i] - expected) * (hits[i] - expected) / expected;
    return sum;
}

static void every_entry_is_as_likely_as_any_other(void **state)
{
    (void)state;
    static const struct {
        uint32_t put, left;
    } cases[] = {{100, 100}, {130, 100}, {3000, 100}, {5000, 1000}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        shoal_table *table = make(SHOAL_TYPE_SET);
        for (int64_t id = 0; id < cases[c].put; id++) put(table, id);
        for (int64_t id = cases[c].left; id < cases[c].put; id++) {
            shoal_element name = shoal_element_of_integer(id);
            assert_true(shoal_table_remove(table, &account, &name));
        }
        uint32_t left = cases[c].left, count = left * 200;
        uint32_t *hits = calloc(left, sizeof(*hits));
        for (uint32_t i = 0; i < count; i++) {
            shoal_table_entry entry;
            (void)shoal_table_random(table, &prng, &entry);
            hits[entry.name.integer]++;
        }
        /* Mean n - 1, deviation sqrt(2 n): five of them. */
        assert_true(chi_square(hits, left, count) < left + 5 * (left == 100 ? 14.2 : 44.8));
        free(hits);
        drop(table);
    }
}

static void hit(void *context, const shoal_table_entry *entry)
{
    ((uint32_t *)context)[entry->name.integer]++;
}

static void every_choice_is_as_likely_as_any_other(void **state)
{
    (void)state;
    static const uint32_t counts[] = {3, 90, 110, 400};
    shoal_table *table = make(SHOAL_TYPE_SET);
    for (int64_t id = 0; id < 500; id++) put(table, id);
    shoal_members members =
        shoal_members_of(&(shoal_compound){.object = &table->object}, SHOAL_TYPE_SET, 0);
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        uint32_t hits[500] = {0}, rounds = 100000 / counts[c];
        shoal_members_choice choice = {counts[c], &prng, &allocator, hit, hits};
        for (uint32_t i = 0; i < rounds; i++) assert_true(shoal_members_choose(&members, &choice));
        /* Distinct draws are more even than independent ones. */
        assert_true(chi_square(hits, 500, rounds * counts[c]) < 500 + 5 * 31.7);
        for (uint32_t i = 0; i < 500; i++) assert_true(hits[i] <= rounds);
    }
    shoal_members_choice choice = {3, &prng, &allocator, hit, NULL};
    heap.fail_after = heap.calls + 1;
    assert_false(shoal_members_choose(&members, &choice));
    heap.fail_after = 0;
    drop(table);
}

/* ---- deadlines ---- */

static void what_expires_goes_in_its_order_within_the_budget(void **state)
{
    (void)state;
    shoal_table *table = make(SHOAL_TYPE_HASH);
    assert_int_equal(shoal_table_deadline(table), -1);
    for (int64_t id = 0; id < 3000; id++) put_until(table, id, id % 3 == 0 ? 10000 - id : -1);
    assert_int_equal(shoal_table_deadline(table), 10000 - 2997);
    assert_int_equal(shoal_table_expired(table, 10000 - 2998), 0);
    assert_int_equal(shoal_table_expired(table, 10000 - 2000), 333);
    assert_int_equal(shoal_table_expired(table, INT64_MAX - 1), 1000);
    uint32_t budget = 10;
    assert_int_equal(shoal_table_expire_some(table, &account, 20000, &budget), 10);
    assert_int_equal(budget, 0);
    assert_int_equal(shoal_table_deadline(table), 10000 - 2967);
    shoal_element gone = shoal_element_of_integer(2970), here = shoal_element_of_integer(2967);
    assert_false(shoal_table_find(table, &gone, NULL));
    assert_true(shoal_table_find(table, &here, NULL));
    budget = 5000;
    assert_int_equal(shoal_table_expire_some(table, &account, 20000, &budget), 990);
    assert_int_equal(budget, 4010);
    assert_int_equal(table->count, 2000);
    assert_int_equal(shoal_table_deadline(table), -1);
    drop(table);
}

static void a_deadline_goes_with_its_entry_and_changes_with_it(void **state)
{
    (void)state;
    shoal_table *table = make(SHOAL_TYPE_HASH);
    for (int64_t id = 0; id < 1000; id++) put_until(table, id, 5000);
    for (int64_t id = 0; id < 1000; id += 2) put_until(table, id, id % 4 == 0 ? -1 : 9000);
    assert_int_equal(shoal_table_expired(table, 5000), 500);
    assert_int_equal(shoal_table_expired(table, 9000), 750);
    for (int64_t id = 1; id < 1000; id += 2) {
        shoal_element name = shoal_element_of_integer(id);
        assert_true(shoal_table_remove(table, &account, &name));
    }
    assert_int_equal(shoal_table_expired(table, 8999), 0);
    assert_int_equal(shoal_table_deadline(table), 9000);
    drop(table);
}

static void the_latest_deadline_survives_the_way_into_a_page(void **state)
{
    (void)state;
    shoal_table *table = make(SHOAL_TYPE_HASH);
    put_until(table, 1, SHOAL_TABLE_DEADLINE_MAX);
    put_until(table, 2, 0);
    shoal_element name = shoal_element_of_integer(1);
    shoal_table_entry entry;
    assert_true(shoal_table_find(table, &name, &entry));
    assert_true(entry.deadline_ms == SHOAL_TABLE_DEADLINE_MAX);
    assert_int_equal(shoal_table_deadline(table), 0);
    drop(table);
}

/* ---- pieces ---- */

static void a_large_table_is_freed_in_pieces(void **state)
{
    (void)state;
    shoal_table *table = make(SHOAL_TYPE_HASH);
    for (int64_t id = 0; id < 20000; id++) put_until(table, id, id % 2 ? id : -1);
    uint32_t steps = 0;
    bool done = false;
    while (!done) {
        int64_t blocks = heap.blocks;
        uint32_t budget = 16;
        done = shoal_table_free_some(&table->object, &account, &budget);
        /* The directory, its segments and the object itself come on top. */
        assert_true(blocks - heap.blocks <= 16 + 6);
        assert_true(done || budget == 0);
        steps++;
    }
    assert_true(steps > 100);
}

static bool every_second(void *context, const void *memory, size_t size)
{
    (void)size;
    assert_non_null(memory);
    return ++*(uint32_t *)context % 2 == 0;
}

static void a_table_is_moved_in_pieces_and_keeps_its_content(void **state)
{
    (void)state;
    shoal_table *table = make(SHOAL_TYPE_HASH);
    for (int64_t id = 0; id < 30000; id++) put(table, id);
    int64_t bytes = account.bytes, blocks = heap.blocks;
    uint64_t cursor = 0;
    uint32_t asked = 0, steps = 0;
    const shoal_value_mover mover = {every_second, &asked};
    do {
        uint32_t budget = 64;
        shoal_table_move(&table->object, &account, &cursor, &budget, &mover);
        steps++;
    } while (cursor != 0);
    assert_true(steps > 10);
    assert_true(asked >= (uint32_t)blocks - 2);
    assert_int_equal(account.bytes, bytes);
    assert_int_equal(heap.blocks, blocks);
    for (int64_t id = 0; id < 30000; id++) {
        shoal_element name = shoal_element_of_integer(id);
        shoal_table_entry entry;
        assert_true(shoal_table_find(table, &name, &entry));
        assert_int_equal(entry.value.bytes.size, id % 10 == 0 ? 300 : 5);
    }
    drop(table);
}

static void a_copy_that_finds_no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    shoal_table *table = make(SHOAL_TYPE_HASH);
    for (int64_t id = 0; id < 300; id++) put_until(table, id, id % 3 ? -1 : id);
    int64_t blocks = heap.blocks, failures = 0;
    for (int64_t after = 1;; after++) {
        heap.fail_after = heap.calls + after;
        shoal_object *copy = shoal_table_copy(&table->object, &account);
        heap.fail_after = 0;
        if (copy != NULL) {
            shoal_object_free(copy, &account);
            break;
        }
        failures++;
        assert_int_equal(heap.blocks, blocks);
    }
    assert_true(failures > 40);
    drop(table);
}

int main(void)
{
#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, check_heap)
    const struct CMUnitTest tests[] = {
        TABLE_TEST(no_change_of_a_large_table_costs_more_than_a_few_pages),
        TABLE_TEST(a_table_that_shrinks_gives_its_memory_back),
        TABLE_TEST(every_entry_is_as_likely_as_any_other),
        TABLE_TEST(every_choice_is_as_likely_as_any_other),
        TABLE_TEST(what_expires_goes_in_its_order_within_the_budget),
        TABLE_TEST(a_deadline_goes_with_its_entry_and_changes_with_it),
        TABLE_TEST(the_latest_deadline_survives_the_way_into_a_page),
        TABLE_TEST(a_large_table_is_freed_in_pieces),
        TABLE_TEST(a_table_is_moved_in_pieces_and_keeps_its_content),
        TABLE_TEST(a_copy_that_finds_no_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
