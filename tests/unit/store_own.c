/* SPDX-License-Identifier: MIT
 *
 * Keys with a TTL of a writable copy's own: they go by themselves, its master's stay.
 */
#include "store/change.h"
#include "support/store_box.h"
#include "support/test.h"

static store_box box;

static int open_box(void **state)
{
    (void)state;
    box_open(&box, 2);
    /* As on a replica: nothing is swept. */
    shoal_store_keep_expired(box.store, true);
    shoal_store_set_active_expire(box.store, false);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    box_close(&box);
    return 0;
}

static shoal_key key_of(const char *name)
{
    return shoal_key_make(box.store, 0, text_slice(name));
}

/* Puts a key that lives for so many milliseconds. */
static void put(const char *name, int64_t lives_ms)
{
    shoal_key key = key_of(name);
    shoal_thread *thread = shoal_store_thread(box.store, 0);
    assert_int_equal(box_put(thread, &key, text_slice("v"), box_ms(&box) + lives_ms), 0);
}

static uint64_t kept(void)
{
    return shoal_store_count(box.store, 0);
}

static int64_t maintain(void)
{
    return shoal_store_maintain(shoal_store_thread(box.store, 0), 1000);
}

static void what_was_written_here_goes_when_its_time_has_come(void **state)
{
    (void)state;
    put("theirs", 50);
    shoal_store_note_own(box.store, true);
    put("mine", 50);
    put("mine too", 500);
    assert_true(maintain() <= 50000);
    box_turn(&box, 60);
    maintain();
    assert_null(box_get(&box, "mine"));
    assert_null(box_get(&box, "theirs"));
    assert_int_equal(kept(), 2);
    box_turn(&box, 500);
    maintain();
    assert_int_equal(kept(), 1);
}

static void what_comes_from_the_master_is_its_own(void **state)
{
    (void)state;
    shoal_thread *thread = shoal_store_thread(box.store, 0);
    shoal_store_note_own(box.store, true);
    shoal_thread_follow(thread, true);
    put("theirs", 10);
    shoal_thread_follow(thread, false);
    box_turn(&box, 20);
    maintain();
    assert_int_equal(kept(), 1);
}

static void the_last_word_on_a_key_counts(void **state)
{
    (void)state;
    shoal_thread *thread = shoal_store_thread(box.store, 0);
    shoal_key longer = key_of("longer"), ever = key_of("ever"), gone = key_of("gone");
    shoal_store_note_own(box.store, true);
    put("longer", 10);
    put("ever", 10);
    put("gone", 10);
    assert_int_equal(box_expire(thread, &longer, box_ms(&box) + 100), 0);
    assert_int_equal(box_expire(thread, &ever, -1), 0);
    assert_true(box_remove(thread, &gone));
    box_turn(&box, 20);
    maintain();
    assert_int_equal(kept(), 2);
    box_turn(&box, 100);
    maintain();
    assert_int_equal(kept(), 1);
    assert_non_null(box_get(&box, "ever"));
}

static void another_copy_or_another_role_makes_an_end_of_it(void **state)
{
    (void)state;
    shoal_store_note_own(box.store, true);
    put("a", 10);
    shoal_store_forget_own(box.store);
    box_turn(&box, 20);
    maintain();
    assert_int_equal(kept(), 1);
    put("b", 10);
    shoal_store_keep_expired(box.store, false);
    shoal_store_set_active_expire(box.store, true);
    shoal_store_note_own(box.store, false);
    box_turn(&box, 20);
    box_settle(&box);
    assert_int_equal(kept(), 0);
}

static void notes_of_another_thread_are_found(void **state)
{
    (void)state;
    shoal_thread *other = shoal_store_thread(box.store, 1);
    shoal_key key = key_of("a");
    shoal_store_note_own(box.store, true);
    shoal_thread_enter(other, box.now);
    assert_int_equal(box_put(other, &key, text_slice("v"), box_ms(&box) + 10), 0);
    assert_true(shoal_store_maintain(other, 1000) > 10000);
    shoal_thread_leave(other);
    box_turn(&box, 20);
    maintain();
    assert_int_equal(kept(), 0);
    /* What nobody looked at goes with the store. */
    put("b", 10);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(what_was_written_here_goes_when_its_time_has_come),
        FACT(what_comes_from_the_master_is_its_own),
        FACT(the_last_word_on_a_key_counts),
        FACT(another_copy_or_another_role_makes_an_end_of_it),
        FACT(notes_of_another_thread_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
