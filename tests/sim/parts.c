/* SPDX-License-Identifier: MIT
 *
 * The simulator's small parts: the heap of occurrences, clocks, distributions.
 */
#include "sim_run.h"

#include <stdlib.h>

#include "sim/clock.h"
#include "sim/heap.h"
#include "sim/random.h"

static void occurrences_come_by_time_and_then_as_arranged(void **state)
{
    (void)state;
    shoal_heap heap = {0};
    shoal_prng prng = shoal_prng_make((uint64_t[2]){1, 2}, 0, 0);
    for (uint32_t i = 0; i < 5000; i++) {
        shoal_heap__push(&heap, (shoal_occurrence){.time_us = (int64_t)shoal_prng_below(&prng, 300),
                                                   .subject = i});
        if (i % 3 == 0) shoal_heap__pop(&heap);
    }
    int64_t time = -1;
    uint64_t sequence = 0;
    while (heap.count > 0) {
        shoal_occurrence next = shoal_heap__pop(&heap);
        assert_true(next.time_us > time || (next.time_us == time && next.sequence > sequence));
        time = next.time_us;
        sequence = next.sequence;
    }
    shoal_heap__free(&heap);
}

static void a_deadline_is_met_at_the_first_moment_that_reads_it(void **state)
{
    (void)state;
    shoal_clock clock;
    shoal_clock__start(&clock, 1000, 5000);
    static const int32_t drifts[] = {0, 1000, -1000, 37, -1};
    for (int i = 0; i < 5; i++) {
        shoal_clock__drift(&clock, 1000 + i * 1000000, drifts[i]);
        int64_t base = shoal_clock__read(&clock, 1000 + i * 1000000).mono_us;
        for (int64_t wait = 1; wait < 100000; wait += 997) {
            int64_t at = shoal_clock__when(&clock, base + wait);
            assert_true(shoal_clock__read(&clock, at).mono_us >= base + wait);
            assert_true(shoal_clock__read(&clock, at - 1).mono_us < base + wait);
        }
    }
}

static void a_deadline_that_never_comes_is_beyond_every_moment(void **state)
{
    (void)state;
    shoal_clock clock;
    static const int32_t drifts[] = {0, 1000, -1000, -1};
    for (int i = 0; i < 4; i++) {
        shoal_clock__start(&clock, 1000, 5000);
        shoal_clock__drift(&clock, 1000, drifts[i]);
        assert_true(shoal_clock__when(&clock, INT64_MAX - 1) > INT64_MAX / 2);
        assert_int_equal(shoal_clock__when(&clock, INT64_MAX), INT64_MAX);
    }
}

static void what_a_wall_clock_has_gone_took_as_long_as_its_drift_says(void **state)
{
    (void)state;
    shoal_clock clock;
    static const int32_t drifts[] = {0, 1000, -1000, 288};
    for (int i = 0; i < 4; i++) {
        shoal_clock__start(&clock, 1000, 5000);
        shoal_clock__drift(&clock, 1000, drifts[i]);
        int64_t wall = shoal_clock__read(&clock, 600001000).wall_us - clock.wall_base_us;
        int64_t took = shoal_clock__took(&clock, wall);
        assert_true(took >= 599999998 && took <= 600000000);
    }
    shoal_clock__freeze(&clock, 700000000, true);
    assert_int_equal(shoal_clock__took(&clock, 5000), 0);
}

static void steps_and_freezes_touch_the_wall_clock_only(void **state)
{
    (void)state;
    shoal_clock clock;
    shoal_clock__start(&clock, 0, 0);
    shoal_clock__step(&clock, 1000000, 3600000000);
    shoal_time now = shoal_clock__read(&clock, 1000000);
    assert_int_equal(now.mono_us, 1000000);
    assert_int_equal(now.wall_us, SHOAL_CLOCK_EPOCH_US + 3601000000);
    shoal_clock__freeze(&clock, 2000000, true);
    int64_t still = shoal_clock__read(&clock, 2000000).wall_us;
    assert_int_equal(shoal_clock__read(&clock, 9000000).wall_us, still);
    assert_int_equal(shoal_clock__read(&clock, 9000000).mono_us, 9000000);
    shoal_clock__freeze(&clock, 9000000, false);
    assert_int_equal(shoal_clock__read(&clock, 9000001).wall_us, still + 1);
}

static int64_t mean_jitter(shoal_shape shape)
{
    shoal_prng prng = shoal_prng_make((uint64_t[2]){3, 4}, 0, 0);
    int64_t sum = 0;
    for (int i = 0; i < 100000; i++)
        sum += shoal_random__jitter(shape, 1000, shoal_prng_next(&prng));
    return sum / 100000;
}

static void jitter_has_the_means_of_its_shapes(void **state)
{
    (void)state;
    assert_in_range(mean_jitter(SHOAL_SHAPE_UNIFORM) + 10, 0, 20);
    assert_in_range(mean_jitter(SHOAL_SHAPE_NORMAL) + 10, 0, 20);
    assert_in_range(mean_jitter(SHOAL_SHAPE_EXPONENTIAL), 950, 1050);
    /* exp(1/2) = 1.649 without its cut tail. */
    assert_in_range(mean_jitter(SHOAL_SHAPE_LOGNORMAL), 1550, 1700);
    assert_int_equal(shoal_random__jitter(SHOAL_SHAPE_UNIFORM, 0, 12345), 0);
}

static void zipf_has_the_weights_of_its_exponent(void **state)
{
    (void)state;
    shoal_zipf zipf;
    uint32_t counts[1000] = {0};
    shoal_prng prng = shoal_prng_make((uint64_t[2]){5, 6}, 0, 0);
    shoal_zipf__make(&zipf, 1000, 1000);
    for (int i = 0; i < 1000000; i++) counts[shoal_zipf__pick(&zipf, &prng)]++;
    /* The sum of 1/i up to 1000 is 7.4855. */
    assert_in_range(counts[0], 131000, 136200);
    assert_in_range(counts[1], 65000, 68600);
    assert_in_range(counts[9], 12900, 13900);
    shoal_zipf__free(&zipf);
}

static void weights_of_zipf_are_exact_powers(void **state)
{
    (void)state;
    shoal_zipf zipf;
    shoal_zipf__make(&zipf, 8, 2000);
    uint64_t one = UINT64_C(1) << 40;
    static const uint64_t squares[] = {1, 4, 9, 16, 25, 36, 49, 64};
    uint64_t before = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t weight = zipf.sums[i] - before;
        uint64_t exact = one / squares[i];
        assert_in_range(weight, exact - exact / 1000000 - 1, exact + exact / 1000000 + 1);
        before = zipf.sums[i];
    }
    shoal_zipf__free(&zipf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(occurrences_come_by_time_and_then_as_arranged),
        cmocka_unit_test(a_deadline_is_met_at_the_first_moment_that_reads_it),
        cmocka_unit_test(a_deadline_that_never_comes_is_beyond_every_moment),
        cmocka_unit_test(what_a_wall_clock_has_gone_took_as_long_as_its_drift_says),
        cmocka_unit_test(steps_and_freezes_touch_the_wall_clock_only),
        cmocka_unit_test(jitter_has_the_means_of_its_shapes),
        cmocka_unit_test(zipf_has_the_weights_of_its_exponent),
        cmocka_unit_test(weights_of_zipf_are_exact_powers),
    };
    return cmocka_run_group_tests_name("sim_parts", tests, NULL, NULL);
}
