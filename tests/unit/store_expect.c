/* SPDX-License-Identifier: MIT
 *
 * shoal_store_expect: a table that is told how much comes grows to that at once, and neither
 * too much nor too little of it does harm.
 */
#include <stdio.h>
#include <string.h>

#include "store/route.h"
#include "support/store_box.h"
#include "support/test.h"

#define KEYS 200u

static store_box box;

static uint64_t table_bytes(void)
{
    shoal_store_stats stats;
    shoal_store_stats_get(box.store, &stats);
    return stats.bytes_tables;
}

/* Puts keys of one slot; returns how often the size of the tables changed meanwhile, once what was
 * retired has gone. */
static uint32_t fill(uint32_t keys)
{
    uint32_t changes = 0;
    char name[32];
    for (uint32_t i = 0; i < keys; i++) {
        uint64_t before = table_bytes();
        snprintf(name, sizeof name, "{slot}%u", i);
        box_set(&box, name, "value");
        box_settle(&box);
        changes += table_bytes() > before;
    }
    return changes;
}

static void check_keys(uint32_t keys)
{
    char name[32];
    for (uint32_t i = 0; i < keys; i++) {
        snprintf(name, sizeof name, "{slot}%u", i);
        assert_true(box_holds(&box, name, "value"));
    }
    box_check_bytes(&box);
}

static void what_is_expected_is_made_at_once(void **state)
{
    (void)state;
    box_open(&box, 1);
    uint32_t step_by_step = fill(KEYS);
    uint64_t bytes = table_bytes();
    check_keys(KEYS);
    box_close(&box);

    box_open(&box, 1);
    shoal_store_expect(box.store, (uint64_t)KEYS * SHOAL_SLOTS);
    uint32_t at_once = fill(KEYS);
    /* A first bucket, what is expected, and overflow buckets of uneven chains. */
    assert_true(step_by_step >= 10);
    assert_true(at_once <= 2 + KEYS / 20);
    assert_true(table_bytes() < bytes + bytes / 4);
    check_keys(KEYS);
    box_close(&box);
}

static void few_keys_do_not_get_what_was_expected(void **state)
{
    (void)state;
    box_open(&box, 1);
    shoal_store_expect(box.store, UINT64_MAX);
    (void)fill(7);
    uint64_t bucket = table_bytes();
    assert_true(bucket <= 128);
    (void)fill(8);
    /* 256 buckets, whatever was said. */
    assert_true(table_bytes() <= 256 * 64 + 512);
    shoal_store_expect(box.store, 0);
    check_keys(8);
    box_close(&box);
}

static void more_keys_than_expected_find_room(void **state)
{
    (void)state;
    box_open(&box, 1);
    shoal_store_expect(box.store, (uint64_t)20 * SHOAL_SLOTS);
    (void)fill(KEYS);
    shoal_store_expect(box.store, 0);
    check_keys(KEYS);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_expected_is_made_at_once),
        cmocka_unit_test(few_keys_do_not_get_what_was_expected),
        cmocka_unit_test(more_keys_than_expected_find_room),
    };
    return cmocka_run_group_tests_name("store_expect", tests, NULL, NULL);
}
