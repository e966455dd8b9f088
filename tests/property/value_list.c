/* SPDX-License-Identifier: MIT
 *
 * Lists that are objects against a slow, obvious model: an array of numbers, each of which stands
 * for a text. Random edits with fixed seeds, under every limit of a chunk, with and without memory;
 * the whole list is compared again and again, in both directions and from any place.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "support/allocator.h"
#include "value/list.h"

#define COUNT_MAX 6000
#define TEXT_MAX 20000

/* A list and what it should be. */
typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_account account;
    shoal_prng prng;
    shoal_list *list;
    int64_t setting; /* list-max-listpack-size */
    uint32_t kinds;  /* kinds of text that occur, a bit each */
    uint32_t model[COUNT_MAX];
    uint32_t count;
    char text[TEXT_MAX];
} world;

static uint32_t below(world *w, uint32_t n)
{
    return (uint32_t)shoal_prng_below(&w->prng, n);
}

/* The text that `number` stands for; its kind is the number modulo 8. */
static shoal_slice text_of(uint32_t number, char out[TEXT_MAX])
{
    uint32_t rest = number / 8;
    int size = 0;
    switch (number % 8) {
    case 0: size = snprintf(out, TEXT_MAX, "%u", rest % 200); break;
    case 1: size = snprintf(out, TEXT_MAX, "%d", (int)(rest * 2654435761u)); break;
    case 2: size = snprintf(out, TEXT_MAX, "element:%04u", rest % 2000); break;
    case 3: size = snprintf(out, TEXT_MAX, "%c%x", 'g' + (int)(rest % 19), rest * 40503u); break;
    case 4: size = snprintf(out, TEXT_MAX, "user:%u:name and more of it", rest % 3000); break;
    case 5:
        size = (int)(rest % 130);
        memset(out, 'a' + (int)(rest % 3), (size_t)size);
        break;
    case 6:
        size = (int)(rest % 900);
        memset(out, 'x', (size_t)size);
        break;
    default:
        size = (int)(rest % TEXT_MAX);
        memset(out, 'y', (size_t)size);
        break;
    }
    return (shoal_slice){out, (size_t)size};
}

/* A number of one of the kinds that occur; the long kinds seldom. */
static uint32_t any_number(world *w)
{
    uint32_t kind = below(w, 8);
    if (kind == 7 && below(w, 20) != 0) kind = 2;
    while ((w->kinds >> kind & 1) == 0) kind = (kind + 1) % 8;
    return below(w, 60000) * 8 + kind;
}

static shoal_element element_of(world *w, uint32_t number)
{
    return shoal_element_of(text_of(number, w->text));
}

static shoal_list_edit edit_of(world *w)
{
    return (shoal_list_edit){w->list, &w->account, shoal_list_limits_of(w->setting)};
}

static shoal_compound value_of(world *w)
{
    return (shoal_compound){.object = shoal_list_object(w->list)};
}

static void open_world(world *w, uint64_t seed, int64_t setting, uint32_t kinds)
{
    memset(w, 0, sizeof(*w));
    w->allocator = test_allocator(&w->heap);
    w->account.allocator = &w->allocator;
    w->prng = shoal_prng_make((uint64_t[2]){seed, 0}, 0, 0);
    w->setting = setting;
    w->kinds = kinds;
    w->list = shoal_list_make(&w->account);
    assert_non_null(w->list);
}

static void close_world(world *w)
{
    shoal_object_free(shoal_list_object(w->list), &w->account);
    assert_int_equal(w->account.bytes, 0);
    assert_int_equal(w->heap.blocks, 0);
}

/* ---- comparing ---- */

static void check_element(world *w, const shoal_element *element, uint32_t index)
{
    char scratch[32];
    shoal_slice got = shoal_element_text(element, scratch);
    shoal_slice want = text_of(w->model[index], w->text);
    if (got.size == want.size && (got.size == 0 || memcmp(got.data, want.data, got.size) == 0))
        return;
    fail_msg("element %u of %u is %.*s, not %.*s", index, w->count, (int)got.size, got.data,
             (int)want.size, want.data);
}

/* Reads so many elements from `index` on. */
static void check_from(world *w, uint32_t index, bool backward, uint32_t most)
{
    shoal_list_cursor cursor;
    shoal_compound value = value_of(w);
    shoal_list_seek(&cursor, &value, index, backward);
    shoal_element element;
    uint32_t all = backward ? index + 1 : w->count - index;
    for (uint32_t i = 0; i < all && i < most; i++) {
        assert_true(shoal_list_next(&cursor, &element));
        check_element(w, &element, backward ? index - i : index + i);
    }
    if (all <= most) assert_false(shoal_list_next(&cursor, &element));
}

static void check_all(world *w)
{
    shoal_list_check(w->list);
    shoal_compound value = value_of(w);
    assert_int_equal(shoal_list_count(&value), w->count);
    if (w->count == 0) return;
    check_from(w, 0, false, UINT32_MAX);
    check_from(w, w->count - 1, true, UINT32_MAX);
    check_from(w, below(w, w->count), false, 100);
    check_from(w, below(w, w->count), true, 100);
}

/* ---- edits ---- */

static void model_insert(world *w, uint32_t index, uint32_t number)
{
    memmove(&w->model[index + 1], &w->model[index], (w->count - index) * sizeof(w->model[0]));
    w->model[index] = number;
    w->count++;
}

static void model_remove(world *w, uint32_t index, uint32_t count)
{
    w->count -= count;
    memmove(&w->model[index], &w->model[index + count], (w->count - index) * sizeof(w->model[0]));
}

static void push(world *w, shoal_list_end end)
{
    uint32_t number = any_number(w);
    if (w->count + 1 >= COUNT_MAX) return;
    shoal_element element = element_of(w, number);
    shoal_list_edit edit = edit_of(w);
    if (shoal_list_push(&edit, end, &element) != 0) return;
    model_insert(w, end == SHOAL_LIST_HEAD ? 0 : w->count, number);
}

static void insert(world *w)
{
    uint32_t number = any_number(w), index = below(w, w->count + 1);
    if (w->count + 1 >= COUNT_MAX) return;
    shoal_element element = element_of(w, number);
    shoal_list_edit edit = edit_of(w);
    if (shoal_list_insert(&edit, index, &element) == 0) model_insert(w, index, number);
}

static void set(world *w)
{
    uint32_t number = any_number(w);
    if (w->count == 0) return;
    uint32_t index = below(w, w->count);
    shoal_element element = element_of(w, number);
    shoal_list_edit edit = edit_of(w);
    if (shoal_list_set(&edit, index, &element) == 0) w->model[index] = number;
}

static void drop(world *w, shoal_list_end end)
{
    if (w->count == 0) return;
    uint32_t count = below(w, 10) == 0 ? below(w, w->count / 16 + 1) : 1;
    shoal_list_edit edit = edit_of(w);
    shoal_list_drop(&edit, end, count);
    model_remove(w, end == SHOAL_LIST_HEAD ? 0 : w->count - count, count);
}

static void remove_range(world *w)
{
    uint32_t index = below(w, w->count + 1);
    uint32_t count = below(w, w->count - index + 1);
    if (below(w, 40) != 0 && count > 3) count = below(w, 4);
    shoal_list_edit edit = edit_of(w);
    shoal_list_remove(&edit, index, count);
    model_remove(w, index, count);
}

/* Two numbers may stand for one text. */
static bool same_text(uint32_t a, uint32_t b)
{
    char one[TEXT_MAX], other[TEXT_MAX];
    shoal_slice x = text_of(a, one), y = text_of(b, other);
    return x.size == y.size && (x.size == 0 || memcmp(x.data, y.data, x.size) == 0);
}

static void remove_equal(world *w)
{
    if (w->count == 0) return;
    uint32_t number = below(w, 4) == 0 ? any_number(w) : w->model[below(w, w->count)];
    uint64_t limit = below(w, 2) == 0 ? UINT64_MAX : 1 + below(w, 3);
    bool backward = below(w, 2) == 0;
    shoal_element probe = element_of(w, number);
    shoal_list_edit edit = edit_of(w);
    uint64_t removed = shoal_list_remove_equal(&edit, &probe, limit, backward), want = 0;
    for (uint32_t i = 0, all = w->count, gone = 0; i < all && want < limit; i++) {
        uint32_t at = backward ? all - 1 - i : i - gone;
        if (!same_text(w->model[at], number)) continue;
        model_remove(w, at, 1);
        gone++;
        want++;
    }
    assert_int_equal(removed, want);
}

static void find(world *w)
{
    if (w->count == 0) return;
    uint32_t from = below(w, w->count), number = w->model[below(w, w->count)];
    bool backward = below(w, 2) == 0;
    uint32_t limit = below(w, 2) == 0 ? COUNT_MAX : below(w, 300);
    shoal_list_cursor cursor;
    shoal_compound value = value_of(w);
    shoal_list_seek(&cursor, &value, from, backward);
    shoal_element probe = element_of(w, number);
    uint32_t left = limit, all = backward ? from + 1 : w->count - from;
    for (uint32_t i = 0; i < all && i < limit; i++) {
        uint32_t at = backward ? from - i : from + i;
        if (!same_text(w->model[at], number)) continue;
        uint64_t index, before = cursor.left;
        assert_true(shoal_list_find(&cursor, &probe, left, &index));
        assert_int_equal(index, at);
        left -= (uint32_t)(before - cursor.left);
    }
    uint64_t index;
    assert_false(shoal_list_find(&cursor, &probe, left, &index));
}

/* Copies a part, looks at it, and goes on with the copy now and then. */
static void copy(world *w)
{
    uint32_t index = below(w, w->count + 1);
    uint32_t count = below(w, w->count - index + 1);
    if (below(w, 2) == 0) index = 0, count = w->count;
    shoal_list *part = shoal_list_copy(w->list, &w->account, index, count);
    if (part == NULL) return;
    shoal_list_check(part);
    shoal_list *whole = w->list;
    if (count == w->count && below(w, 2) == 0) {
        w->list = part;
        part = whole;
    }
    shoal_object_free(shoal_list_object(part), &w->account);
}

static bool one_in_three(void *context, const void *memory, size_t size)
{
    world *w = context;
    assert_non_null(memory);
    assert_true(size > 0);
    return below(w, 3) == 0;
}

static void move(world *w)
{
    uint64_t cursor = 0;
    uint32_t rounds = 0;
    if (w->count == 0) return;
    do {
        uint32_t budget = 3;
        const shoal_value_mover mover = {one_in_three, w};
        shoal_value_ops_of(SHOAL_TYPE_LIST)
            ->move(shoal_list_object(w->list), &w->account, &cursor, &budget, &mover);
        assert_true(budget < 3 && ++rounds < 2 * COUNT_MAX);
    } while (cursor != 0);
}

static void step(world *w, uint32_t growing)
{
    uint32_t dice = below(w, 100);
    if (dice < growing) {
        push(w, below(w, 2) == 0 ? SHOAL_LIST_HEAD : SHOAL_LIST_TAIL);
    } else if (dice < 55) {
        drop(w, below(w, 2) == 0 ? SHOAL_LIST_HEAD : SHOAL_LIST_TAIL);
    } else if (dice < 75) {
        insert(w);
    } else if (dice < 85) {
        set(w);
    } else if (dice < 92) {
        remove_range(w);
    } else if (dice < 94) {
        remove_equal(w);
    } else if (dice < 96) {
        find(w);
    } else if (dice < 97) {
        copy(w);
    } else if (dice < 98) {
        move(w);
    }
}

/* Lets the list grow and shrink by random edits. */
static void run(uint64_t seed, int64_t setting, uint32_t kinds, uint32_t steps)
{
    static world w;
    open_world(&w, seed, setting, kinds);
    /* Some begin with more than one chunk. */
    for (uint64_t i = 0; i < seed % 4 * 1000; i++) push(&w, below(&w, 2));
    for (uint32_t i = 0; i < steps; i++) {
        step(&w, i / 500 % 3 == 2 ? 15 : 50);
        if (i % 50 == 0) check_all(&w);
    }
    check_all(&w);
    close_world(&w);
}

static void every_edit_agrees_with_the_model(void **state)
{
    (void)state;
    static const int64_t settings[] = {-2, -1, -3, -5, 1, 2, 4, 16, 128, 1000};
    for (uint64_t seed = 1; seed <= 20; seed++)
        run(seed, settings[seed % 10], seed % 3 == 0 ? 0x7f : 0xff, 2000);
}

static void lists_of_like_strings_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 110; seed++) run(seed, -1, 1 << 2 | 1 << 4, 4000);
}

static void lists_of_integers_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 206; seed++) run(seed, -1, 1 << 0 | 1 << 1, 4000);
}

static void edits_without_memory_change_nothing(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 300; seed < 310; seed++) {
        open_world(&w, seed, seed % 2 == 0 ? 4 : -1, 0xff);
        for (uint32_t i = 0; i < 3000; i++) {
            if (i % 7 == 0) w.heap.fail_after = w.heap.calls + 1 + below(&w, 3);
            step(&w, 50);
            w.heap.fail_after = 0;
            if (i % 40 == 0) check_all(&w);
        }
        check_all(&w);
        close_world(&w);
    }
}

/* What goes in at one end comes out at the other. */
static void queue(world *w, shoal_list_end in, uint32_t length, uint32_t rounds)
{
    shoal_list_end out = in == SHOAL_LIST_HEAD ? SHOAL_LIST_TAIL : SHOAL_LIST_HEAD;
    shoal_list_edit edit = edit_of(w);
    for (uint32_t i = 0; i < rounds; i++) {
        shoal_element element = element_of(w, i * 8 + 2);
        assert_int_equal(shoal_list_push(&edit, in, &element), 0);
        if (i < length) continue;
        shoal_list_cursor cursor;
        shoal_compound value = value_of(w);
        uint64_t count = shoal_list_count(&value);
        shoal_list_seek(&cursor, &value, out == SHOAL_LIST_HEAD ? 0 : count - 1,
                        out == SHOAL_LIST_TAIL);
        assert_true(shoal_list_next(&cursor, &element));
        char scratch[32], text[TEXT_MAX];
        shoal_slice got = shoal_element_text(&element, scratch);
        shoal_slice want = text_of((i - length) * 8 + 2, text);
        assert_int_equal(got.size, want.size);
        assert_memory_equal(got.data, want.data, got.size);
        shoal_list_drop(&edit, out, 1);
        if (i % 1000 == 0) shoal_list_check(w->list);
    }
    while (w->list != NULL) {
        shoal_compound value = value_of(w);
        if (shoal_list_count(&value) == 0) break;
        shoal_list_drop(&edit, out, 1);
    }
}

static void queues_keep_their_order(void **state)
{
    (void)state;
    static world w;
    static const uint32_t lengths[] = {1, 5, 100, 3000, 40000};
    for (uint32_t i = 0; i < 5; i++) {
        open_world(&w, i, -2, 0xff);
        queue(&w, SHOAL_LIST_HEAD, lengths[i], lengths[i] + 10000);
        queue(&w, SHOAL_LIST_TAIL, lengths[i], lengths[i] + 10000);
        close_world(&w);
    }
}

/* Hundreds of thousands of chunks: the tree is several levels deep. */
static void deep_trees_agree_with_their_counts(void **state)
{
    (void)state;
    static world w;
    open_world(&w, 7, 1, 0xff);
    shoal_list_edit edit = edit_of(&w);
    uint64_t count = 0;
    for (uint32_t i = 0; i < 60000; i++, count++) {
        shoal_element element = shoal_element_of_integer(i);
        assert_int_equal(shoal_list_insert(&edit, below(&w, i + 1), &element), 0);
    }
    shoal_list_check(w.list);
    while (count > 100) {
        uint64_t here = 1 + below(&w, 2);
        shoal_list_remove(&edit, below(&w, (uint32_t)(count - here)), here);
        count -= here;
    }
    shoal_list_check(w.list);
    shoal_compound value = value_of(&w);
    assert_int_equal(shoal_list_count(&value), count);
    close_world(&w);
}

static void freeing_goes_in_bounded_steps(void **state)
{
    (void)state;
    static world w;
    open_world(&w, 8, 2, 0xff);
    shoal_list_edit edit = edit_of(&w);
    shoal_element element = shoal_element_of_integer(1);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(shoal_list_push(&edit, SHOAL_LIST_TAIL, &element), 0);
    uint32_t rounds = 0;
    bool done = false;
    while (!done) {
        uint32_t budget = 10;
        int64_t before = w.heap.blocks;
        done = shoal_value_ops_of(SHOAL_TYPE_LIST)
                   ->free_some(shoal_list_object(w.list), &w.account, &budget);
        assert_true(before - w.heap.blocks <= 10);
        rounds++;
    }
    assert_true(rounds > 1000);
    assert_int_equal(w.heap.blocks, 0);
    assert_int_equal(w.account.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_edit_agrees_with_the_model),
        cmocka_unit_test(lists_of_like_strings_agree_with_the_model),
        cmocka_unit_test(lists_of_integers_agree_with_the_model),
        cmocka_unit_test(edits_without_memory_change_nothing),
        cmocka_unit_test(queues_keep_their_order),
        cmocka_unit_test(deep_trees_agree_with_their_counts),
        cmocka_unit_test(freeing_goes_in_bounded_steps),
    };
    return cmocka_run_group_tests_name("value_list", tests, NULL, NULL);
}
