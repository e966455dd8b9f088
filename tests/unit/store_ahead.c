/* SPDX-License-Identifier: MIT
 *
 * Looking ahead for keys is a hint: whatever happens between the look and the read, the read finds
 * what is there, in the first bucket, behind it, or nowhere; and so do the reads of several keys,
 * and writes.
 */
#include <stdio.h>
#include <string.h>

#include "support/store_box.h"
#include "support/test.h"

/* In one slot: enough for leaves that chain and for a directory. */
#define KEYS 3000u
#define NAME_SIZE 24u

static store_box box;
static char names[KEYS][NAME_SIZE];
static shoal_key keys[KEYS];

static int open_box(void **state)
{
    (void)state;
    box_open(&box, 1);
    for (uint32_t i = 0; i < KEYS; i++) {
        int size = snprintf(names[i], NAME_SIZE, "{slot}%u", i);
        keys[i] = shoal_key_make(box.store, 0, (shoal_slice){names[i], (size_t)size});
    }
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    box_close(&box);
    return 0;
}

static void put(uint32_t i, const char *value)
{
    assert_int_equal(box_put(box.thread, &keys[i], text_slice(value), -1), 0);
}

/* Looks ahead for all keys as batches would: stage by stage, or all at once. */
static void look_ahead(void)
{
    for (uint32_t at = 0; at < KEYS; at += SHOAL_KEYS_TOGETHER) {
        uint32_t count = KEYS - at < SHOAL_KEYS_TOGETHER ? KEYS - at : SHOAL_KEYS_TOGETHER;
        if (at / SHOAL_KEYS_TOGETHER % 2 == 1) {
            shoal_store_look_ahead(box.store, 0, &keys[at], count);
            continue;
        }
        shoal_store_prefetch_buckets(box.store, &keys[at], count);
        uint32_t behind = shoal_store_prefetch_items(box.store, &keys[at], count);
        for (; behind != 0; behind &= behind - 1)
            shoal_store_prefetch_behind(box.store, &keys[at + (uint32_t)__builtin_ctz(behind)]);
    }
}

static bool holds(const shoal_item *item, const char *value)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    if (item == NULL) return false;
    shoal_slice text = shoal_item_string(item, scratch);
    return text.size == strlen(value) && memcmp(text.data, value, text.size) == 0;
}

static void a_look_ahead_notes_most_keys_and_some_stand_behind(void **state)
{
    (void)state;
    uint32_t noted = 0;
    for (uint32_t i = 0; i < KEYS; i++) put(i, "before");
    look_ahead();
    for (uint32_t i = 0; i < KEYS; i++) noted += keys[i].seen != 0;
    assert_true(noted > KEYS / 2);
    assert_true(noted < KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_true(holds(shoal_store_get(box.thread, &keys[i]), "before"));
}

static void a_read_finds_what_was_written_since_the_look(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < KEYS; i++) put(i, "before");
    look_ahead();
    for (uint32_t i = 0; i < KEYS; i++) put(i, "behind");
    for (uint32_t i = 0; i < KEYS; i++)
        assert_true(holds(shoal_store_get(box.thread, &keys[i]), "behind"));
}

static void a_read_finds_nothing_of_what_was_removed_since(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < KEYS; i++) put(i, "before");
    look_ahead();
    for (uint32_t i = 0; i < KEYS; i += 2) assert_true(box_remove(box.thread, &keys[i]));
    for (uint32_t i = 0; i < KEYS; i++)
        assert_true((shoal_store_get(box.thread, &keys[i]) == NULL) == (i % 2 == 0));
}

static void a_read_finds_what_has_moved_to_another_table_since(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < KEYS / 8; i++) put(i, "before");
    look_ahead();
    for (uint32_t i = KEYS / 8; i < KEYS; i++) put(i, "new");
    for (uint32_t i = 0; i < KEYS; i++)
        assert_true(holds(shoal_store_get(box.thread, &keys[i]), i < KEYS / 8 ? "before" : "new"));
}

static void a_hint_that_is_wrong_changes_no_read(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < KEYS; i += 2) put(i, "here");
    for (uint8_t seen = 0; seen <= 7; seen++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            keys[i].seen = seen;
            const shoal_item *item = shoal_store_get(box.thread, &keys[i]);
            assert_true(i % 2 == 0 ? holds(item, "here") : item == NULL);
        }
    }
}

static void a_hint_that_is_wrong_changes_no_write(void **state)
{
    (void)state;
    static const char *const values[] = {"zero", "one", "two", "three", "four", "five", "six", "7"};
    for (uint8_t seen = 0; seen <= 7; seen++) {
        for (uint32_t i = 0; i < KEYS; i += 2) {
            keys[i].seen = seen;
            put(i, values[seen]);
        }
        assert_int_equal(shoal_store_count(box.store, 0), KEYS / 2);
        for (uint32_t i = 0; i < KEYS; i += 2)
            assert_true(holds(shoal_store_get(box.thread, &keys[i]), values[seen]));
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[i].seen = (uint8_t)(1 + i % 7);
        assert_true(box_remove(box.thread, &keys[i]) == (i % 2 == 0));
    }
    assert_int_equal(shoal_store_count(box.store, 0), 0);
}

static void a_write_replaces_what_was_seen_and_adds_what_has_gone_since(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < KEYS; i++) put(i, "before");
    look_ahead();
    for (uint32_t i = 0; i < KEYS; i += 3) assert_true(box_remove(box.thread, &keys[i]));
    for (uint32_t i = 0; i < KEYS; i++) put(i, "behind");
    assert_int_equal(shoal_store_count(box.store, 0), KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_true(holds(shoal_store_get(box.thread, &keys[i]), "behind"));
}

static void several_reads_are_as_good_as_each(void **state)
{
    (void)state;
    const shoal_item *items[SHOAL_KEYS_TOGETHER];
    for (uint32_t i = 0; i < KEYS; i++) {
        int64_t expires_ms = i % 3 == 1 ? box_ms(&box) + 10 : -1;
        if (i % 3 == 2) continue;
        assert_int_equal(box_put(box.thread, &keys[i], text_slice("here"), expires_ms), 0);
    }
    box_turn(&box, 20);
    for (uint32_t at = 0, count = 1; at < KEYS; at += count) {
        count = 1 + at % SHOAL_KEYS_TOGETHER;
        if (count > KEYS - at) count = KEYS - at;
        shoal_store_get_many(box.thread, 0, &keys[at], count, items);
        for (uint32_t i = 0; i < count; i++)
            assert_true((at + i) % 3 == 0 ? holds(items[i], "here") : items[i] == NULL);
    }
}

static void of_an_empty_store_several_reads_find_nothing(void **state)
{
    (void)state;
    const shoal_item *items[SHOAL_KEYS_TOGETHER];
    shoal_store_get_many(box.thread, 0, keys, SHOAL_KEYS_TOGETHER, items);
    for (uint32_t i = 0; i < SHOAL_KEYS_TOGETHER; i++) assert_null(items[i]);
}

static void looking_ahead_at_once_makes_the_keys_that_are_made_alone(void **state)
{
    (void)state;
    shoal_key made[SHOAL_KEYS_TOGETHER];
    for (uint32_t i = 0; i < SHOAL_KEYS_TOGETHER; i++) made[i].name = keys[i].name;
    for (uint32_t count = 0; count <= SHOAL_KEYS_TOGETHER; count++) {
        shoal_store_look_ahead(box.store, 1, made, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(made[i].hash == keys[i].hash);
            assert_int_equal(made[i].place, SHOAL_PLACE(1, SHOAL_PLACE_SLOT(keys[i].place)));
            assert_int_equal(made[i].seen, 0);
        }
    }
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(a_look_ahead_notes_most_keys_and_some_stand_behind),
        FACT(a_read_finds_what_was_written_since_the_look),
        FACT(a_read_finds_nothing_of_what_was_removed_since),
        FACT(a_read_finds_what_has_moved_to_another_table_since),
        FACT(a_hint_that_is_wrong_changes_no_read),
        FACT(a_hint_that_is_wrong_changes_no_write),
        FACT(a_write_replaces_what_was_seen_and_adds_what_has_gone_since),
        FACT(several_reads_are_as_good_as_each),
        FACT(of_an_empty_store_several_reads_find_nothing),
        FACT(looking_ahead_at_once_makes_the_keys_that_are_made_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
