/* SPDX-License-Identifier: MIT
 *
 * Random streams: pinned values (a run is a file: they must never change), independence of the
 * keys, bounds, and rough statistics.
 */
#include "support/test.h"

#include <string.h>

#include "base/prng.h"

static const uint64_t SEED[2] = {0x0123456789ABCDEF, 0xFEDCBA9876543210};

static void a_draw_is_a_function_of_seed_node_purpose_and_counter(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make(SEED, 3, 9);
    shoal_prng again = shoal_prng_make(SEED, 3, 9);
    uint64_t third = shoal_prng_at(&again, 2);
    (void)shoal_prng_next(&prng);
    (void)shoal_prng_next(&prng);
    assert_true(shoal_prng_next(&prng) == third);
    assert_int_equal(prng.counter, 3);
    assert_int_equal(again.counter, 0);
}

static void streams_never_change(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make(SEED, 1, 2);
    assert_true(shoal_prng_next(&prng) == 0x9A5310617484AD0D);
    assert_true(shoal_prng_next(&prng) == 0xD9DB52F87BD5E8C3);
    assert_true(shoal_prng_below(&prng, 1000000) == 423660);
}

static void any_change_of_the_key_changes_about_half_of_the_bits(void **state)
{
    (void)state;
    shoal_prng base = shoal_prng_make(SEED, 5, 6);
    for (unsigned bit = 0; bit < 192; bit++) {
        uint64_t seed[2] = {SEED[0], SEED[1]};
        uint32_t who[2] = {5, 6};
        if (bit < 128) {
            seed[bit / 64] ^= (uint64_t)1 << bit % 64;
        } else {
            who[(bit - 128) / 32] ^= (uint32_t)1 << bit % 32;
        }
        shoal_prng other = shoal_prng_make(seed, who[0], who[1]);
        uint64_t flipped = 0;
        for (uint64_t i = 0; i < 100; i++) {
            flipped +=
                (uint64_t)__builtin_popcountll(shoal_prng_at(&base, i) ^ shoal_prng_at(&other, i));
        }
        assert_in_range(flipped, 2900, 3500);
    }
}

static void below_is_uniform_and_always_one_draw(void **state)
{
    (void)state;
    enum { SIDES = 7, ROLLS = 70000 };
    shoal_prng prng = shoal_prng_make(SEED, 0, 1);
    uint64_t counts[SIDES] = {0};
    for (int i = 0; i < ROLLS; i++) counts[shoal_prng_below(&prng, SIDES)]++;
    for (int i = 0; i < SIDES; i++) assert_in_range(counts[i], 9600, 10400);
    assert_int_equal(prng.counter, ROLLS);
    for (int i = 0; i < 1000; i++) {
        assert_true(shoal_prng_below(&prng, 1) == 0);
        assert_true(shoal_prng_below(&prng, UINT64_MAX) < UINT64_MAX);
        assert_true(shoal_prng_below(&prng, ((uint64_t)1 << 63) + 1) <= (uint64_t)1 << 63);
    }
    assert_int_equal(prng.counter, ROLLS + 3000);
}

static void between_reaches_both_ends(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make(SEED, 0, 2);
    bool low = false, high = false;
    for (int i = 0; i < 200; i++) {
        int64_t value = shoal_prng_between(&prng, -2, 2);
        assert_true(value >= -2 && value <= 2);
        low |= value == -2;
        high |= value == 2;
    }
    assert_true(low && high);
    assert_true(shoal_prng_between(&prng, 5, 5) == 5);
    (void)shoal_prng_between(&prng, INT64_MIN, INT64_MAX);
}

static void chances_come_as_often_as_stated(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make(SEED, 0, 3);
    uint64_t hits = 0;
    for (int i = 0; i < 100000; i++) hits += shoal_prng_chance_ppm(&prng, 250000);
    assert_in_range(hits, 24400, 25600);
    for (int i = 0; i < 1000; i++) {
        assert_false(shoal_prng_chance_ppm(&prng, 0));
        assert_true(shoal_prng_chance_ppm(&prng, 1000000));
    }
}

static void a_fill_is_the_draws_in_little_endian(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make(SEED, 0, 4);
    unsigned char bytes[11];
    shoal_prng_fill(&prng, bytes, sizeof(bytes));
    assert_int_equal(prng.counter, 2);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        uint64_t draw = shoal_prng_at(&prng, i / 8);
        assert_int_equal(bytes[i], draw >> (8 * (i % 8)) & 255);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draw_is_a_function_of_seed_node_purpose_and_counter),
        cmocka_unit_test(streams_never_change),
        cmocka_unit_test(any_change_of_the_key_changes_about_half_of_the_bits),
        cmocka_unit_test(below_is_uniform_and_always_one_draw),
        cmocka_unit_test(between_reaches_both_ends),
        cmocka_unit_test(chances_come_as_often_as_stated),
        cmocka_unit_test(a_fill_is_the_draws_in_little_endian),
    };
    return cmocka_run_group_tests_name("base_prng", tests, NULL, NULL);
}
