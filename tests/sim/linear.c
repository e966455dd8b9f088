/* SPDX-License-Identifier: MIT
 *
 * Linearizable histories and others, hand-made and drawn: what the zones of a register, the search
 * and the order of a counter say of them.
 */
#include "sim_run.h"

#include "base/prng.h"
#include "sim/linear.h"

#define NEVER INT64_MAX
#define OPS_MAX 64

/* One key's operations. */
typedef struct history {
    shoal_linear_op ops[OPS_MAX];
    uint32_t count;
} history;

static void add(history *of, uint32_t kind, uint32_t value, int64_t began, int64_t ended)
{
    assert_true(of->count < OPS_MAX);
    of->ops[of->count++] = (shoal_linear_op){began, ended, 0, value, kind};
}

static void put(history *of, uint32_t value, int64_t began, int64_t ended)
{
    add(of, SHOAL_LINEAR_WRITE, value, began, ended);
}

static void get(history *of, uint32_t value, int64_t began, int64_t ended)
{
    add(of, SHOAL_LINEAR_READ, value, began, ended);
}

/* By its zones; the search must say the same. */
static shoal_linear_verdict verdict(history *of)
{
    shoal_linear_verdict searched = shoal_linear__search(of->ops, of->count, 100000);
    assert_int_equal(shoal_linear__judge(of->ops, of->count), searched);
    return searched;
}

static void reads_of_the_newest_value_have_an_order(void **state)
{
    (void)state;
    history of = {.count = 0};
    get(&of, 0, 1, 2);
    put(&of, 1, 3, 4);
    get(&of, 1, 5, 6);
    put(&of, 2, 7, 8);
    get(&of, 2, 9, 10);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_HOLDS);
}

static void a_read_that_misses_a_write_before_it_has_none(void **state)
{
    (void)state;
    history of = {.count = 0}, nothing = {.count = 0};
    put(&of, 1, 1, 2);
    put(&of, 2, 3, 4);
    get(&of, 1, 5, 6);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_BROKEN);
    put(&nothing, 1, 1, 2);
    get(&nothing, 0, 3, 4);
    assert_int_equal(verdict(&nothing), SHOAL_LINEAR_BROKEN);
}

static void a_read_before_its_write_has_none(void **state)
{
    (void)state;
    history of = {.count = 0};
    get(&of, 1, 1, 2);
    put(&of, 1, 3, 4);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_BROKEN);
}

static void overlapping_operations_may_come_in_any_order_but_only_in_one(void **state)
{
    (void)state;
    history of = {.count = 0};
    put(&of, 1, 1, 10);
    put(&of, 2, 2, 9);
    get(&of, 2, 11, 12);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_HOLDS);
    get(&of, 1, 13, 14);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_BROKEN);
}

static void a_value_that_was_read_is_not_overtaken_by_the_older_one(void **state)
{
    (void)state;
    /* The write lasts; one read has its value, a later one the value before. */
    history of = {.count = 0};
    put(&of, 1, 1, 2);
    put(&of, 2, 3, 20);
    get(&of, 2, 4, 5);
    get(&of, 1, 6, 7);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_BROKEN);
}

static void a_write_without_an_answer_may_have_happened_late_or_never(void **state)
{
    (void)state;
    history of = {.count = 0};
    put(&of, 1, 1, NEVER);
    put(&of, 2, 3, 4);
    get(&of, 2, 5, 6);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_HOLDS);
    get(&of, 1, 7, 8);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_HOLDS);
    get(&of, 2, 9, 10);
    assert_int_equal(verdict(&of), SHOAL_LINEAR_BROKEN);
}

static void a_deleted_key_is_empty_until_it_is_written_again(void **state)
{
    (void)state;
    history of = {.count = 0};
    put(&of, 1, 1, 2);
    add(&of, SHOAL_LINEAR_DEL, 0, 3, 4);
    get(&of, 0, 5, 6);
    put(&of, 2, 7, 8);
    add(&of, SHOAL_LINEAR_DEL, 0, 9, NEVER);
    get(&of, 2, 10, 11);
    get(&of, 0, 12, 13);
    assert_int_equal(shoal_linear__judge(of.ops, of.count), SHOAL_LINEAR_HOLDS);
    get(&of, 1, 14, 15);
    assert_int_equal(shoal_linear__judge(of.ops, of.count), SHOAL_LINEAR_BROKEN);
}

static void a_search_gives_up_behind_its_budget(void **state)
{
    (void)state;
    history of = {.count = 0};
    for (uint32_t i = 0; i < 16; i++) put(&of, i + 1, 1, 100);
    get(&of, 0, 101, 102);
    assert_int_equal(shoal_linear__search(of.ops, of.count, 1000), SHOAL_LINEAR_UNKNOWN);
    /* Nothing is said of keys that expire. */
    history fading = {.count = 0};
    add(&fading, SHOAL_LINEAR_FADE, 1, 1, 2);
    assert_int_equal(shoal_linear__judge(fading.ops, fading.count), SHOAL_LINEAR_UNKNOWN);
}

static void a_counter_is_told_each_number_once_and_in_order(void **state)
{
    (void)state;
    history of = {.count = 0};
    add(&of, SHOAL_LINEAR_ADD, 1, 1, 2);
    add(&of, SHOAL_LINEAR_ADD, 3, 3, 9);
    add(&of, SHOAL_LINEAR_ADD, 2, 4, 8);
    assert_int_equal(shoal_linear__judge(of.ops, of.count), SHOAL_LINEAR_HOLDS);
    history twice = of, gap = of, late = of;
    add(&twice, SHOAL_LINEAR_ADD, 3, 10, 11);
    assert_int_equal(shoal_linear__judge(twice.ops, twice.count), SHOAL_LINEAR_BROKEN);
    add(&gap, SHOAL_LINEAR_ADD, 5, 10, 11);
    assert_int_equal(shoal_linear__judge(gap.ops, gap.count), SHOAL_LINEAR_BROKEN);
    add(&gap, SHOAL_LINEAR_ADD, 0, 10, NEVER);
    assert_int_equal(shoal_linear__judge(gap.ops, gap.count), SHOAL_LINEAR_HOLDS);
    add(&late, SHOAL_LINEAR_ADD, 5, 10, 11);
    add(&late, SHOAL_LINEAR_ADD, 4, 12, 13);
    assert_int_equal(shoal_linear__judge(late.ops, late.count), SHOAL_LINEAR_BROKEN);
}

/* Operations that some register has really seen, at moments within them; then perhaps one read is
 * made to find something else. */
static void draw(history *of, shoal_prng *stream, bool spoil)
{
    uint32_t value = 0;
    *of = (history){.count = 0};
    for (uint32_t i = 0; i < 14; i++) {
        int64_t at = 100 + 10 * (int64_t)i;
        int64_t began = at - (int64_t)shoal_prng_below(stream, 30);
        int64_t ended = at + (int64_t)shoal_prng_below(stream, 30);
        if (shoal_prng_below(stream, 100) < 40) {
            value = i + 1;
            put(of, value, began, shoal_prng_below(stream, 8) == 0 ? NEVER : ended);
        } else {
            get(of, value, began, ended);
        }
    }
    if (!spoil) return;
    shoal_linear_op *op = &of->ops[shoal_prng_below(stream, of->count)];
    if (op->kind == SHOAL_LINEAR_READ) op->value = (uint32_t)shoal_prng_below(stream, 8);
}

static void zones_and_the_search_agree_on_drawn_histories(void **state)
{
    (void)state;
    const uint64_t seed[2] = {7, 11};
    shoal_prng stream = shoal_prng_make(seed, 0, 1);
    uint32_t broken = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        history of;
        draw(&of, &stream, i % 2 == 1);
        shoal_linear_verdict found = verdict(&of);
        if (i % 2 == 0) assert_int_equal(found, SHOAL_LINEAR_HOLDS);
        broken += found == SHOAL_LINEAR_BROKEN;
    }
    assert_true(broken > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_of_the_newest_value_have_an_order),
        cmocka_unit_test(a_read_that_misses_a_write_before_it_has_none),
        cmocka_unit_test(a_read_before_its_write_has_none),
        cmocka_unit_test(overlapping_operations_may_come_in_any_order_but_only_in_one),
        cmocka_unit_test(a_value_that_was_read_is_not_overtaken_by_the_older_one),
        cmocka_unit_test(a_write_without_an_answer_may_have_happened_late_or_never),
        cmocka_unit_test(a_deleted_key_is_empty_until_it_is_written_again),
        cmocka_unit_test(a_search_gives_up_behind_its_budget),
        cmocka_unit_test(a_counter_is_told_each_number_once_and_in_order),
        cmocka_unit_test(zones_and_the_search_agree_on_drawn_histories),
    };
    return cmocka_run_group_tests_name("sim_linear", tests, NULL, NULL);
}
