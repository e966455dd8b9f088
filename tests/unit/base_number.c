/* SPDX-License-Identifier: MIT
 *
 * Doubles as text: the same as the C library's "%.17g", which is correctly rounded in glibc.
 */
#include "support/test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/number.h"

static void is_as_printf(double value)
{
    char want[64];
    int size = snprintf(want, sizeof(want), "%.17g", value);
    char got[SHOAL_NUMBER_DOUBLE_MAX + 1];
    size_t length = shoal_number_from_double(value, got);
    assert_in_range(length, 1, SHOAL_NUMBER_DOUBLE_MAX);
    got[length] = '\0';
    assert_string_equal(got, want);
    assert_int_equal(length, size);
    assert_true(strtod(got, NULL) == value);
}

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void borders_are_as_printf_has_them(void **state)
{
    (void)state;
    const double values[] = {0.0,     -0.0,     1,       -1,      0.1,     0.5,    1.5,   3.141,
                             1e-4,    1e-5,     9.9e-5,  1e16,    1e17,    1e18,   1e22,  1e23,
                             DBL_MAX, -DBL_MAX, DBL_MIN, 5e-324,  -5e-324, 1e-323, 1e308, 1e-308,
                             1e-3,    9.99e-4,  123.456, 1 / 3.0, 1e100,   1e-100, 2e-44, 1e21};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) is_as_printf(values[i]);
}

static void infinities_and_nan_are_words(void **state)
{
    (void)state;
    char text[SHOAL_NUMBER_DOUBLE_MAX];
    assert_int_equal(shoal_number_from_double(INFINITY, text), 3);
    assert_memory_equal(text, "inf", 3);
    assert_int_equal(shoal_number_from_double(-INFINITY, text), 4);
    assert_memory_equal(text, "-inf", 4);
    assert_int_equal(shoal_number_from_double(NAN, text), 3);
    assert_memory_equal(text, "nan", 3);
    assert_int_equal(shoal_number_from_double(-NAN, text), 3);
    assert_memory_equal(text, "nan", 3);
}

static void every_power_of_two_and_its_neighbours_are_as_printf_has_them(void **state)
{
    (void)state;
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        uint64_t bits = exponent << 52;
        is_as_printf(from_bits(bits));
        is_as_printf(from_bits(bits + 1));
        if (bits) is_as_printf(from_bits(bits - 1));
    }
    for (int shift = 0; shift < 52; shift++) is_as_printf(from_bits(UINT64_C(1) << shift));
}

static void every_power_of_ten_and_its_neighbours_are_as_printf_has_them(void **state)
{
    (void)state;
    for (int exponent = -324; exponent <= 308; exponent++) {
        char text[16];
        snprintf(text, sizeof(text), "1e%d", exponent);
        double value = strtod(text, NULL);
        is_as_printf(value);
        is_as_printf(nextafter(value, INFINITY));
        is_as_printf(nextafter(value, 0));
        is_as_printf(-5 * value);
    }
}

static void ties_go_to_the_even_digit(void **state)
{
    (void)state;
    /* Odd multiples of 2^-k with one digit more than 17: their last digit is a 5. */
    for (uint64_t whole = 1; whole < 3000; whole += 2) {
        for (int exponent = -30; exponent < 70; exponent++) {
            is_as_printf(ldexp((double)(whole + (UINT64_C(1) << 52)), exponent));
            is_as_printf(ldexp((double)whole, exponent));
        }
    }
}

static void random_bit_patterns_are_as_printf_has_them(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){17, 17}, 0, 0);
    for (int i = 0; i < 200000; i++) {
        double value = from_bits(shoal_prng_next(&prng));
        if (isfinite(value)) is_as_printf(value);
    }
}

static void random_everyday_values_are_as_printf_has_them(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){17, 18}, 0, 0);
    for (int i = 0; i < 200000; i++) {
        double value = (double)(int64_t)shoal_prng_next(&prng);
        int digits = (int)shoal_prng_below(&prng, 26);
        is_as_printf(value / pow(10, digits));
        is_as_printf((double)(int64_t)(shoal_prng_next(&prng) >> digits));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(borders_are_as_printf_has_them),
        cmocka_unit_test(infinities_and_nan_are_words),
        cmocka_unit_test(every_power_of_two_and_its_neighbours_are_as_printf_has_them),
        cmocka_unit_test(every_power_of_ten_and_its_neighbours_are_as_printf_has_them),
        cmocka_unit_test(ties_go_to_the_even_digit),
        cmocka_unit_test(random_bit_patterns_are_as_printf_has_them),
        cmocka_unit_test(random_everyday_values_are_as_printf_has_them),
    };
    return cmocka_run_group_tests_name("wire_number", tests, NULL, NULL);
}
