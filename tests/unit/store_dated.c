/* SPDX-License-Identifier: MIT
 *
 * Hashes whose fields have deadlines, and that nobody touches: the hand finds them.
 */
#include "support/test.h"

#include <stdio.h>

#include "support/store_box.h"
#include "value/members.h"

/* A change of a hash on its way through its gate: fields from `first` up to `end` come to have a
 * deadline. */
typedef struct dating {
    shoal_gate_op gate;        /* first */
    const shoal_key *key, *to; /* to: of a renaming, in the same slot */
    uint32_t first, end;
    int64_t at_ms; /* of the first; each next one a millisecond later */
} dating;

static void put_field(shoal_table *table, shoal_account *account, uint32_t number, int64_t at_ms)
{
    bool added;
    shoal_table_entry entry = {.name = shoal_element_of_integer(number),
                               .value = shoal_element_of_integer(number),
                               .deadline_ms = at_ms};
    assert_int_equal(shoal_table_put(table, account, &entry, &added), 0);
}

static void run_date(shoal_op *op, void *thread)
{
    const dating *what = (const dating *)op;
    const shoal_item *item = shoal_store_get_locked(thread, what->key);
    shoal_account *account = shoal_thread_account(thread);
    shoal_table *table = item == NULL ? shoal_table_make(account, SHOAL_TYPE_HASH, 7)
                                      : (shoal_table *)shoal_item_compound(item).object;
    for (uint32_t i = what->first; i < what->end; i++)
        put_field(table, account, i, what->at_ms < 0 ? -1 : what->at_ms + (i - what->first));
    if (item == NULL) {
        assert_int_equal(shoal_store_put_object_locked(thread, what->key, &table->object, -1), 0);
    } else {
        shoal_store_changed_locked(thread, what->key, &table->object);
    }
}

/* Gives the hash under `name` the fields [first, end). */
static void date(store_box *box, const char *name, uint32_t first, uint32_t end, int64_t at_ms)
{
    shoal_key key = shoal_key_make(box->store, 0, text_slice(name));
    dating what = {.key = &key, .first = first, .end = end, .at_ms = at_ms};
    what.gate = (shoal_gate_op){.op = {.run = run_date}, .places = &key.place, .count = 1};
    assert_true(shoal_gate_try(box->thread, &what.gate));
}

static void run_rename(shoal_op *op, void *thread)
{
    const dating *what = (const dating *)op;
    assert_int_equal(shoal_store_rename_locked(thread, what->key, what->to), 0);
}

static uint64_t fields(store_box *box, const char *name)
{
    const shoal_item *item = box_get(box, name);
    if (item == NULL) return 0;
    return ((const shoal_table *)shoal_item_compound(item).object)->count;
}

static void fields_of_a_hash_that_nobody_touches_are_freed(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    date(&box, "h", 0, 1000, -1);
    date(&box, "h", 1000, 3000, box_ms(&box) + 5000);
    box_turn(&box, 1000);
    (void)shoal_store_maintain(box.thread, 1000);
    assert_int_equal(fields(&box, "h"), 3000);
    box_turn(&box, 9000);
    box_settle(&box);
    assert_int_equal(fields(&box, "h"), 1000);
    box_check_bytes(&box);
    box_close(&box);
}

static void a_hash_that_loses_its_last_field_is_removed(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    date(&box, "h", 0, 100, box_ms(&box) + 5000);
    box_set(&box, "other", "value");
    box_turn(&box, 9000);
    box_settle(&box);
    assert_null(box_get(&box, "h"));
    assert_int_equal(shoal_store_count(box.store, 0), 1);
    box_close(&box);
}

static void a_step_of_the_hand_drops_a_bounded_number_of_fields(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    date(&box, "h", 0, 50000, box_ms(&box));
    box_turn(&box, 100000);
    uint64_t left = fields(&box, "h");
    uint32_t steps = 0;
    while (left > 0) {
        int64_t wait_us = shoal_store_maintain(box.thread, 10);
        uint64_t now_left = fields(&box, "h");
        assert_true(left - now_left <= 64);
        assert_true(now_left == 0 || wait_us <= 200000);
        left = now_left;
        box_turn(&box, 1);
        steps++;
    }
    assert_true(steps > 50000 / 64);
    box_close(&box);
}

static void a_slot_without_deadlines_is_left_alone_in_the_end(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    date(&box, "h", 0, 10, box_ms(&box) + 2000);
    date(&box, "h", 10, 20, -1);
    box_turn(&box, 5000);
    box_settle(&box);
    assert_int_equal(fields(&box, "h"), 10);
    assert_int_equal(shoal_store_maintain(box.thread, 1000), INT64_MAX);
    box_close(&box);
}

static void a_hash_that_is_renamed_is_still_found(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    date(&box, "{h}", 0, 200, box_ms(&box) + 5000);
    shoal_key from = shoal_key_make(box.store, 0, text_slice("{h}"));
    shoal_key to = shoal_key_make(box.store, 0, text_slice("{h}:2"));
    dating what = {.key = &from, .to = &to};
    what.gate = (shoal_gate_op){.op = {.run = run_rename}, .places = &from.place, .count = 1};
    assert_true(shoal_gate_try(box.thread, &what.gate));
    assert_int_equal(fields(&box, "{h}:2"), 200);
    box_turn(&box, 9000);
    box_settle(&box);
    assert_int_equal(shoal_store_count(box.store, 0), 0);
    box_close(&box);
}

static void a_ttl_and_deadlines_of_fields_go_together(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    date(&box, "h", 0, 100, box_ms(&box) + 5000);
    date(&box, "h", 100, 200, -1);
    shoal_key key = shoal_key_make(box.store, 0, text_slice("h"));
    assert_int_equal(box_expire(box.thread, &key, box_ms(&box) + 60000), 0);
    box_turn(&box, 9000);
    for (int i = 0; i < 100; i++) {
        (void)shoal_store_maintain(box.thread, 1000);
        box_turn(&box, 10);
    }
    assert_int_equal(fields(&box, "h"), 100);
    box_turn(&box, 60000);
    box_settle(&box);
    assert_int_equal(shoal_store_count(box.store, 0), 0);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_a_hash_that_nobody_touches_are_freed),
        cmocka_unit_test(a_hash_that_loses_its_last_field_is_removed),
        cmocka_unit_test(a_step_of_the_hand_drops_a_bounded_number_of_fields),
        cmocka_unit_test(a_slot_without_deadlines_is_left_alone_in_the_end),
        cmocka_unit_test(a_hash_that_is_renamed_is_still_found),
        cmocka_unit_test(a_ttl_and_deadlines_of_fields_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
