/* SPDX-License-Identifier: MIT
 *
 * What lists promise about memory: how much they take, how often they ask for it, and how much of
 * them one edit touches. That they hold the right elements is shown in property/value_list.c.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "support/allocator.h"
#include "value/list.h"

/* A list with its memory. */
typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_account account;
    shoal_list_edit edit;
} world;

static void open_world(world *w, int64_t setting)
{
    memset(w, 0, sizeof(*w));
    w->allocator = test_allocator(&w->heap);
    w->account.allocator = &w->allocator;
    w->edit =
        (shoal_list_edit){shoal_list_make(&w->account), &w->account, shoal_list_limits_of(setting)};
    assert_non_null(w->edit.list);
}

static void close_world(world *w)
{
    shoal_object_free(shoal_list_object(w->edit.list), &w->account);
    assert_int_equal(w->heap.blocks, 0);
    assert_int_equal(w->account.bytes, 0);
}

static void push(world *w, shoal_list_end end, const char *format, uint32_t number)
{
    char text[200];
    int size = snprintf(text, sizeof(text), format, number);
    shoal_element element = shoal_element_of((shoal_slice){text, (size_t)size});
    assert_int_equal(shoal_list_push(&w->edit, end, &element), 0);
}

/* Bytes of a list of so many elements. */
static int64_t bytes_of(const char *format, uint32_t count, shoal_list_end end)
{
    world w;
    open_world(&w, -2);
    for (uint32_t i = 0; i < count; i++) push(&w, end, format, i);
    shoal_list_check(w.edit.list);
    int64_t bytes = w.account.bytes;
    close_world(&w);
    return bytes;
}

static void the_setting_means_what_it_means_to_redis(void **state)
{
    (void)state;
    static const int64_t expected[][3] = {{-1, 4096, UINT32_MAX},
                                          {-2, 8192, UINT32_MAX},
                                          {-3, 16384, UINT32_MAX},
                                          {-4, 32768, UINT32_MAX},
                                          {-5, 65536, UINT32_MAX},
                                          {-9, 65536, UINT32_MAX},
                                          {0, 8192, 1},
                                          {1, 8192, 1},
                                          {128, 8192, 128}};
    for (uint32_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        shoal_list_limits limits = shoal_list_limits_of(expected[i][0]);
        assert_int_equal(limits.bytes_max, expected[i][1]);
        assert_int_equal(limits.count_max, expected[i][2]);
    }
    assert_true(shoal_list_fits_pack(shoal_list_limits_of(-2), SHOAL_LIST_PACK_BYTES, 10));
    assert_false(shoal_list_fits_pack(shoal_list_limits_of(-2), SHOAL_LIST_PACK_BYTES + 1, 10));
    assert_false(shoal_list_fits_pack(shoal_list_limits_of(2), 10, 3));
    assert_false(shoal_list_fits_pack(shoal_list_limits_of(-2), 100, SHOAL_LIST_PACK_COUNT + 1));
}

static void strings_that_begin_alike_take_what_differs(void **state)
{
    (void)state;
    /* "element:0001" takes 12 bytes of text; two to tell, and what the stem lacks, are enough. */
    assert_true(bytes_of("element:%04u", 1000, SHOAL_LIST_TAIL) < 6500);
    assert_true(bytes_of("element:%04u", 1000, SHOAL_LIST_HEAD) < 6500);
    assert_true(bytes_of("element:%08u", 100000, SHOAL_LIST_TAIL) < 700000);
}

static void small_integers_take_little_more_than_their_bytes(void **state)
{
    (void)state;
    /* Two bytes each, an eighth for marks, and room for growth. */
    assert_true(bytes_of("%u", 1000, SHOAL_LIST_TAIL) < 2400);
    assert_true(bytes_of("%u", 1000, SHOAL_LIST_HEAD) < 2400);
}

static void a_long_queue_asks_for_no_memory_at_each_step(void **state)
{
    (void)state;
    world w;
    open_world(&w, -2);
    for (uint32_t i = 0; i < 20000; i++) push(&w, SHOAL_LIST_HEAD, "job %u of some user", i);
    int64_t before = w.heap.calls;
    for (uint32_t i = 0; i < 20000; i++) {
        push(&w, SHOAL_LIST_HEAD, "job %u of some user", i);
        shoal_list_drop(&w.edit, SHOAL_LIST_TAIL, 1);
    }
    assert_true(w.heap.calls - before < 200);
    close_world(&w);
}

static void long_chunks_are_filled(void **state)
{
    (void)state;
    world w;
    open_world(&w, -5);
    for (uint32_t i = 0; i < 200000; i++) push(&w, SHOAL_LIST_TAIL, "%u", i * 40503u);
    /* Half of the numbers take nine bytes, the other half five. */
    assert_true(w.account.bytes < 200000 * 8);
    close_world(&w);
}

static void no_piece_is_longer_than_a_chunk(void **state)
{
    (void)state;
    world w;
    open_world(&w, -1);
    int64_t largest = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        int64_t before = w.account.bytes;
        push(&w, i % 2 == 0 ? SHOAL_LIST_HEAD : SHOAL_LIST_TAIL, "%u is a number", i);
        if (w.account.bytes - before > largest) largest = w.account.bytes - before;
    }
    /* A chunk of 4 KiB, or a node, and what the allocator adds. */
    assert_true(largest < 6000);
    close_world(&w);
}

static void a_list_that_shrinks_gives_memory_back(void **state)
{
    (void)state;
    world w;
    open_world(&w, -2);
    for (uint32_t i = 0; i < 50000; i++) push(&w, SHOAL_LIST_TAIL, "%u is a number", i);
    int64_t full = w.account.bytes;
    shoal_list_drop(&w.edit, SHOAL_LIST_HEAD, 25000);
    assert_true(w.account.bytes < full * 6 / 10);
    shoal_list_drop(&w.edit, SHOAL_LIST_TAIL, 24990);
    assert_true(w.account.bytes < 1500);
    shoal_list_check(w.edit.list);
    close_world(&w);
}

/* Removes nine of ten elements, one of each ten stays. */
static void a_list_with_holes_gives_memory_back(void **state)
{
    (void)state;
    world w;
    open_world(&w, -2);
    for (uint32_t i = 0; i < 20000; i++)
        push(&w, SHOAL_LIST_TAIL, i % 10 == 0 ? "kept %u" : "a longer one that goes away", i);
    int64_t full = w.account.bytes;
    shoal_element probe = shoal_element_of((shoal_slice){"a longer one that goes away", 27});
    assert_int_equal(shoal_list_remove_equal(&w.edit, &probe, UINT64_MAX, false), 18000);
    shoal_list_check(w.edit.list);
    assert_true(w.account.bytes < full);
    close_world(&w);
}

static void an_element_longer_than_a_chunk_stands_alone(void **state)
{
    (void)state;
    static char text[100000];
    world w;
    open_world(&w, -2);
    memset(text, 'x', sizeof(text));
    shoal_element large = shoal_element_of((shoal_slice){text, sizeof(text)});
    push(&w, SHOAL_LIST_TAIL, "%u", 1);
    assert_int_equal(shoal_list_push(&w.edit, SHOAL_LIST_TAIL, &large), 0);
    push(&w, SHOAL_LIST_TAIL, "%u", 2);
    assert_int_equal(shoal_list_set(&w.edit, 0, &large), 0);
    assert_int_equal(shoal_list_insert(&w.edit, 1, &large), 0);
    shoal_list_check(w.edit.list);
    shoal_compound value = {.object = shoal_list_object(w.edit.list)};
    shoal_list_cursor cursor;
    shoal_element element;
    shoal_list_seek(&cursor, &value, 0, false);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(shoal_list_next(&cursor, &element));
        assert_int_equal(element.bytes.size, sizeof(text));
    }
    /* Made small again, it takes no more than that. */
    shoal_element small = shoal_element_of_integer(7);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(shoal_list_set(&w.edit, i, &small), 0);
    assert_true(w.account.bytes < 2000);
    shoal_list_check(w.edit.list);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_setting_means_what_it_means_to_redis),
        cmocka_unit_test(strings_that_begin_alike_take_what_differs),
        cmocka_unit_test(small_integers_take_little_more_than_their_bytes),
        cmocka_unit_test(a_long_queue_asks_for_no_memory_at_each_step),
        cmocka_unit_test(long_chunks_are_filled),
        cmocka_unit_test(no_piece_is_longer_than_a_chunk),
        cmocka_unit_test(a_list_that_shrinks_gives_memory_back),
        cmocka_unit_test(a_list_with_holes_gives_memory_back),
        cmocka_unit_test(an_element_longer_than_a_chunk_stands_alone),
    };
    return cmocka_run_group_tests_name("value_list_memory", tests, NULL, NULL);
}
