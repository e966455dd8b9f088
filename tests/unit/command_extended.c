/* SPDX-License-Identifier: MIT
 *
 * The numbers of INCRBYFLOAT against the long double of the C library, where that is the same
 * format; elsewhere the fixed cases alone.
 */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "command/extended.h"
#include "support/allocator.h"
#include "support/test.h"

#define SEED 20240817u
#define CASES 3000

/* Checks that a + b is written as `want`. */
static void sum_is(const char *a, const char *b, const char *want)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_extended x, y, sum;
    assert_true(shoal_extended__parse(shoal_text(a), &x));
    assert_true(shoal_extended__parse(shoal_text(b), &y));
    assert_true(shoal_extended__add(x, y, &sum));
    shoal_extended__append(sum, &out);
    test_slice_is(shoal_buffer_slice(&out), want);
    shoal_buffer_free(&out);
}

static void sums_are_rounded_to_64_bits(void **state)
{
    (void)state;
    sum_is("10.50", "0.1", "10.6");
    sum_is("5.6", "5000", "5005.60000000000000009");
    sum_is("0", "0", "0");
    sum_is("-0", "0", "0");
    sum_is("1", "-1", "0");
    sum_is("0", "-1e-30", "0");
    sum_is("18446744073709551615", "0.5", "18446744073709551616");
    sum_is("18446744073709551615", "0.25", "18446744073709551615");
    sum_is("1e20", "1", "100000000000000000000");
    sum_is(".5", "+1.", "1.5");
}

static void hexadecimal_numbers_are_read(void **state)
{
    (void)state;
    sum_is("0x1p3", "0x.8", "8.5");
    sum_is("-0X1P4", "0x1.8p+1", "-13");
    sum_is("0x0p99999999", "0x00.00p-5", "0");
    sum_is("0xffffffffffffffff", "0", "18446744073709551615");
    sum_is("0x1.fffffffffffffffep63", "0", "18446744073709551615");
    sum_is("0x1.ffffffffffffffffp63", "0", "18446744073709551616");
    /* 37 digits: a tie, but for the last one. */
    sum_is("0x8000000000000000800000000000000000000p-84", "0", "9223372036854775808");
    sum_is("0x8000000000000000800000000000000000001p-84", "0", "9223372036854775809");
    sum_is("0x0.000000000000000000000000000000000000000001p168", "1", "2");
    sum_is("0x1p-16445", "0", "0");
    sum_is("0x1p16383", "-0x1p16383", "0");
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",          " 1",         "1 ",      ".",       "-",
                                        "e5",        "1e",         "1e+",     "1.2.3",   "abc",
                                        "nan",       "1e5000",     "1e-5000", "--1",     "0x",
                                        "0x.",       "0x1p",       "0xg",     "0x1.2.3", "0x1e+1",
                                        "0x1p16384", "0x1p-16446", "1p3",     "00x1"};
    shoal_extended value;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(shoal_extended__parse(shoal_text(wrong[i]), &value));
    char nines[6000];
    memset(nines, '9', sizeof(nines));
    assert_false(shoal_extended__parse((shoal_slice){nines, sizeof(nines)}, &value));
    memset(nines, '0', sizeof(nines));
    assert_true(shoal_extended__parse((shoal_slice){nines, 5119}, &value));
    assert_false(shoal_extended__parse((shoal_slice){nines, 5120}, &value));
}

static void sums_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    shoal_extended most, infinite, sum;
    assert_true(shoal_extended__parse(shoal_text("1.1e4932"), &most));
    assert_false(shoal_extended__add(most, most, &sum));
    assert_true(shoal_extended__parse(shoal_text("-Infinity"), &infinite));
    assert_false(shoal_extended__add(infinite, most, &sum));
}

/* A number in one of several spellings. */
static void make_number(shoal_prng *prng, char *out, size_t size)
{
    unsigned long long a = shoal_prng_next(prng), b = shoal_prng_next(prng);
    const char *sign = shoal_prng_below(prng, 2) ? "-" : "";
    switch (shoal_prng_below(prng, 7)) {
    case 0: snprintf(out, size, "%s%llu.%08llu", sign, a >> (b % 64), b % 100000000); return;
    case 1: snprintf(out, size, "%s%llu", sign, a); return;
    case 2: snprintf(out, size, "%s%llu.%llue%d", sign, a % 1000, b, (int)(a % 60) - 30); return;
    case 4:
        snprintf(out, size, "%s0x%llx.%llxp%d", sign, a >> (b % 64), b, (int)(a % 200) - 100);
        return;
    case 5: snprintf(out, size, "%s0x%llx%llx.%llx", sign, a, b, a ^ b); return;
    case 3: snprintf(out, size, "%s%llu%llu%llu.%llu", sign, a, b, a, b); return;
    default: snprintf(out, size, "%s0.%llu%llue%d", sign, b, a, (int)(b % 400) - 200); return;
    }
}

/* What Redis makes of a long double. */
static void write_expected(long double value, char *out, size_t size)
{
    int length = snprintf(out, size, "%.17Lf", value);
    while (out[length - 1] == '0') length--;
    if (out[length - 1] == '.') length--;
    out[length] = '\0';
    if (strcmp(out, "-0") == 0) strcpy(out, "0");
}

static void sums_are_those_of_the_c_library(void **state)
{
    (void)state;
    if (LDBL_MANT_DIG != 64) return;
    print_message("# seed %u\n", SEED);
    shoal_prng prng = shoal_prng_make((uint64_t[2]){SEED, 0}, 0, 0);
    for (int i = 0; i < CASES; i++) {
        char a[128], b[128], want[6000];
        make_number(&prng, a, sizeof(a));
        make_number(&prng, b, sizeof(b));
        long double sum = strtold(a, NULL) + strtold(b, NULL);
        write_expected(sum, want, sizeof(want));
        sum_is(a, b, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_rounded_to_64_bits),
        cmocka_unit_test(hexadecimal_numbers_are_read),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(sums_that_are_not_finite_are_refused),
        cmocka_unit_test(sums_are_those_of_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
