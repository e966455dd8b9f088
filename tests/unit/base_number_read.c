/* SPDX-License-Identifier: MIT
 *
 * Text to doubles: against exact values, against the C library, and what is no number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/prng.h"
#include "support/test.h"

static shoal_number_kind read_text(const char *text, double *out)
{
    return shoal_number_to_double((shoal_slice){text, strlen(text)}, out);
}

/* The text reads as exactly this double, sign of zero included. */
static void reads_as(const char *text, double wanted)
{
    double value;
    assert_int_equal(read_text(text, &value), SHOAL_NUMBER_READ);
    if (memcmp(&value, &wanted, sizeof(value)) != 0)
        fail_msg("%s reads as %a, not %a", text, value, wanted);
}

static void everyday_numbers_are_read(void **state)
{
    (void)state;
    reads_as("0", 0.0);
    reads_as("-0", -0.0);
    reads_as("+17", 17.0);
    reads_as("1.", 1.0);
    reads_as(".5", 0.5);
    reads_as("-1.25e2", -125.0);
    reads_as("1E-3", 0.001);
    reads_as("3.0000000000000000000000000", 3.0);
    reads_as("0.1", 0.1);
    reads_as("00012", 12.0);
}

static void words_and_hexadecimals_are_read(void **state)
{
    (void)state;
    double inf = __builtin_inf();
    reads_as("inf", inf);
    reads_as("+Inf", inf);
    reads_as("-INFINITY", -inf);
    reads_as("0x10", 16.0);
    reads_as("-0X1.8p3", -12.0);
    reads_as("0x1p-1074", 0x1p-1074);
    reads_as("0x.8", 0.5);
    reads_as("0x1.00000000000008p0", 1.0);
    reads_as("0x1.000000000000080000000000000001p0", 0x1.0000000000001p0);
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    const char *const wrong[] = {"",    " ",   " 1",  "1 ",   "nan", "-nan",  "e5",   ".",
                                 "-",   "+",   "1e",  "1e+",  "1x",  "0x",    "0xp1", "0x1p",
                                 "1,5", "--1", "+-1", "infi", "in",  "1.2.3", "abc",  "0x1.8p3z"};
    double value = 42;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (read_text(wrong[i], &value) != SHOAL_NUMBER_NONE) fail_msg("'%s' is read", wrong[i]);
    }
    assert_true(value == 42);
    assert_int_equal(shoal_number_to_double((shoal_slice){NULL, 0}, &value), SHOAL_NUMBER_NONE);
    assert_int_equal(shoal_number_to_double((shoal_slice){"1\0", 2}, &value), SHOAL_NUMBER_NONE);
}

static void numbers_beyond_the_range_are_told_apart(void **state)
{
    (void)state;
    double value;
    assert_int_equal(read_text("1e400", &value), SHOAL_NUMBER_LARGE);
    assert_true(value == __builtin_inf());
    assert_int_equal(read_text("-1.7976931348623159e308", &value), SHOAL_NUMBER_LARGE);
    assert_true(value == -__builtin_inf());
    assert_int_equal(read_text("0x1p1024", &value), SHOAL_NUMBER_LARGE);
    assert_int_equal(read_text("1e-400", &value), SHOAL_NUMBER_SMALL);
    assert_true(value == 0);
    assert_int_equal(read_text("2.4703282292062327e-324", &value), SHOAL_NUMBER_SMALL);
    assert_int_equal(read_text("1e99999999999999999999", &value), SHOAL_NUMBER_LARGE);
    reads_as("0e99999999999999999999", 0.0);
    reads_as("0x0p-99999", 0.0);
    reads_as("1.7976931348623157e308", 0x1.fffffffffffffp1023);
    reads_as("5e-324", 0x1p-1074);
    reads_as("2.4703282292062328e-324", 0x1p-1074);
}

static void ties_go_to_the_even_neighbour(void **state)
{
    (void)state;
    reads_as("9007199254740993", 9007199254740992.0);
    reads_as("9007199254740993.00000000000000000000000000000000000000000000001",
             9007199254740994.0);
    reads_as("9007199254740995", 9007199254740996.0);
    reads_as("1.00000000000000011102230246251565404236316680908203125", 1.0);
    reads_as("1.00000000000000011102230246251565404236316680908203126", 0x1.0000000000001p0);
    reads_as("1.00000000000000011102230246251565404236316680908203124", 1.0);
}

static void agrees_with_the_library(const char *text)
{
    char *end;
    errno = 0;
    double wanted = strtod(text, &end), value = 0;
    assert_int_equal(*end, 0);
    shoal_number_kind kind = SHOAL_NUMBER_READ;
    if (errno == ERANGE && wanted != 0 && wanted - wanted != 0) kind = SHOAL_NUMBER_LARGE;
    if (errno == ERANGE && wanted == 0) kind = SHOAL_NUMBER_SMALL;
    if (read_text(text, &value) != kind || memcmp(&value, &wanted, sizeof(value)) != 0)
        fail_msg("%s reads as %a, not %a", text, value, wanted);
}

static void any_double_survives_the_way_to_text_and_back(void **state)
{
    (void)state;
    const uint64_t seed[2] = {7, 11};
    shoal_prng prng = shoal_prng_make(seed, 0, 1);
    for (int i = 0; i < 40000; i++) {
        uint64_t bits = shoal_prng_next(&prng);
        double wanted, value;
        memcpy(&wanted, &bits, sizeof(wanted));
        if (wanted != wanted) continue;
        char text[SHOAL_NUMBER_DOUBLE_MAX];
        size_t size = shoal_number_from_double(wanted, text);
        assert_int_equal(shoal_number_to_double((shoal_slice){text, size}, &value),
                         SHOAL_NUMBER_READ);
        assert_memory_equal(&value, &wanted, sizeof(value));
    }
}

static void random_digits_agree_with_the_library(void **state)
{
    (void)state;
    const uint64_t seed[2] = {3, 5};
    shoal_prng prng = shoal_prng_make(seed, 0, 1);
    char text[1400];
    for (int i = 0; i < 20000; i++) {
        uint64_t whole = shoal_prng_next(&prng) >> shoal_prng_below(&prng, 64);
        uint64_t part = shoal_prng_below(&prng, 1000000);
        int exponent = (int)shoal_prng_below(&prng, i % 2 ? 60 : 700) - (i % 2 ? 30 : 350);
        snprintf(text, sizeof(text), "%llu.%llue%d", (unsigned long long)whole,
                 (unsigned long long)part, exponent);
        agrees_with_the_library(text);
        snprintf(text, sizeof(text), "0x%llx.%llxp%d", (unsigned long long)whole,
                 (unsigned long long)part, 4 * exponent);
        agrees_with_the_library(text);
    }
    for (int i = 0; i < 300; i++) {
        size_t size = 1 + shoal_prng_below(&prng, 1200);
        for (size_t k = 0; k < size; k++) text[k] = (char)('0' + shoal_prng_below(&prng, 10));
        text[shoal_prng_below(&prng, size)] = '.';
        if (size == 1) continue;
        snprintf(text + size, sizeof(text) - size, "e%d",
                 (int)shoal_prng_below(&prng, 1500) - 1100);
        agrees_with_the_library(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyday_numbers_are_read),
        cmocka_unit_test(words_and_hexadecimals_are_read),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(numbers_beyond_the_range_are_told_apart),
        cmocka_unit_test(ties_go_to_the_even_neighbour),
        cmocka_unit_test(any_double_survives_the_way_to_text_and_back),
        cmocka_unit_test(random_digits_agree_with_the_library),
    };
    return cmocka_run_group_tests_name("base_number_read", tests, NULL, NULL);
}
