/* SPDX-License-Identifier: MIT
 *
 * Numbers to text and back, comparison and search: base/text.h without formats and patterns.
 */
#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "support/allocator.h"

static void check_i64(int64_t value)
{
    char ours[SHOAL_TEXT_INTEGER_SIZE], theirs[32];
    size_t size = shoal_text_from_i64(ours, value);
    snprintf(theirs, sizeof(theirs), "%" PRId64, value);
    test_slice_is((shoal_slice){ours, size}, theirs);
    int64_t back = 0;
    assert_true(shoal_text_to_i64((shoal_slice){ours, size}, &back));
    assert_true(back == value);
}

static void check_u64(uint64_t value)
{
    char ours[SHOAL_TEXT_INTEGER_SIZE], theirs[32];
    size_t size = shoal_text_from_u64(ours, value);
    snprintf(theirs, sizeof(theirs), "%" PRIu64, value);
    test_slice_is((shoal_slice){ours, size}, theirs);
    uint64_t back = 0;
    assert_true(shoal_text_to_u64((shoal_slice){ours, size}, &back));
    assert_true(back == value);
    size = shoal_text_from_hex(ours, value);
    snprintf(theirs, sizeof(theirs), "%" PRIx64, value);
    test_slice_is((shoal_slice){ours, size}, theirs);
    assert_true(shoal_text_to_hex((shoal_slice){ours, size}, &back));
    assert_true(back == value);
}

static void integers_are_written_as_printf_does_and_read_back(void **state)
{
    (void)state;
    for (int64_t i = -1100; i <= 1100; i++) check_i64(i);
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int64_t near = -2; near <= 2; near++) {
            check_u64(((uint64_t)1 << bit) + (uint64_t)near);
            check_i64((int64_t)(((uint64_t)1 << bit) + (uint64_t)near));
        }
    }
    uint64_t power = 1;
    for (int digits = 1; digits <= 20; digits++, power *= 10) {
        check_u64(power - 1);
        check_u64(power);
    }
    check_i64(INT64_MIN);
    check_i64(INT64_MAX);
    shoal_prng prng = shoal_prng_make((uint64_t[2]){1, 2}, 0, 0);
    for (int i = 0; i < 100000; i++) {
        uint64_t value = shoal_prng_next(&prng);
        check_u64(value >> (value & 63));
    }
}

static void only_canonical_integers_are_read(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "-",
        "+1",
        "01",
        "-0",
        "-01",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x1",
        "a",
        "--1",
        "1-",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
        "184467440737095516160",
        "1\t",
        "\xEF\xBC\x91",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        int64_t value = 77;
        if (shoal_text_to_i64(shoal_text(refused[i]), &value)) fail_msg("read %s", refused[i]);
        assert_true(value == 77);
    }
    int64_t value = 77;
    assert_false(shoal_text_to_i64((shoal_slice){"1\0", 2}, &value));
    assert_false(shoal_text_to_i64((shoal_slice){NULL, 0}, &value));
}

static void unsigned_integers_end_at_two_to_the_64(void **state)
{
    (void)state;
    uint64_t value = 77;
    assert_true(shoal_text_to_u64(shoal_text("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_false(shoal_text_to_u64(shoal_text("18446744073709551616"), &value));
    assert_false(shoal_text_to_u64(shoal_text("-1"), &value));
    assert_false(shoal_text_to_u64(shoal_text(""), &value));
}

static void hexadecimal_digits_of_either_case_are_read(void **state)
{
    (void)state;
    uint64_t value = 0;
    assert_true(shoal_text_to_hex(shoal_text("00fF"), &value));
    assert_int_equal(value, 255);
    assert_true(shoal_text_to_hex(shoal_text("ffffffffffffffff"), &value));
    assert_true(value == UINT64_MAX);
    assert_false(shoal_text_to_hex(shoal_text("0ffffffffffffffff"), &value));
    assert_false(shoal_text_to_hex(shoal_text("fg"), &value));
    assert_false(shoal_text_to_hex(shoal_text(""), &value));
    assert_int_equal(shoal_text_hex_digit('/'), -1);
    assert_int_equal(shoal_text_hex_digit(':'), -1);
    assert_int_equal(shoal_text_hex_digit('@'), -1);
}

static void bytes_become_two_digits_each(void **state)
{
    (void)state;
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_text_append_hex(&out, (shoal_slice){"\x00\xff\x1a", 3});
    shoal_text_append_i64(&out, -5);
    shoal_text_append_u64(&out, 6);
    test_slice_is(shoal_buffer_slice(&out), "00ff1a-56");
    shoal_buffer_free(&out);
}

static void comparison_without_case_folds_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(shoal_text_is(shoal_text("GeT"), "gEt"));
    assert_false(shoal_text_is(shoal_text("get"), "gett"));
    assert_false(shoal_text_is(shoal_text("@["), "`{"));
    assert_true(shoal_text_equal((shoal_slice){NULL, 0}, shoal_text("")));
    assert_false(shoal_text_equal(shoal_text("a"), shoal_text("A")));
}

static void order_is_by_unsigned_bytes_then_by_length(void **state)
{
    (void)state;
    assert_true(shoal_text_compare(shoal_text("a"), shoal_text("b")) < 0);
    assert_true(shoal_text_compare(shoal_text("\xff"), shoal_text("a")) > 0);
    assert_true(shoal_text_compare(shoal_text("a"), shoal_text("ab")) < 0);
    assert_true(shoal_text_compare(shoal_text("ab"), shoal_text("a")) > 0);
    assert_true(shoal_text_compare(shoal_text("ab"), shoal_text("ab")) == 0);
    assert_true(shoal_text_compare((shoal_slice){NULL, 0}, shoal_text("")) == 0);
}

static void search_finds_the_first_place(void **state)
{
    (void)state;
    assert_int_equal(shoal_text_find(shoal_text("aabaab"), shoal_text("aab")), 0);
    assert_int_equal(shoal_text_find(shoal_text("aaaab"), shoal_text("aab")), 2);
    assert_int_equal(shoal_text_find(shoal_text("abc"), shoal_text("c")), 2);
    assert_int_equal(shoal_text_find(shoal_text("abc"), shoal_text("")), 0);
    assert_true(shoal_text_find(shoal_text("abc"), shoal_text("abcd")) == SHOAL_TEXT_NONE);
    assert_true(shoal_text_find(shoal_text("abc"), shoal_text("cb")) == SHOAL_TEXT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_written_as_printf_does_and_read_back),
        cmocka_unit_test(only_canonical_integers_are_read),
        cmocka_unit_test(unsigned_integers_end_at_two_to_the_64),
        cmocka_unit_test(hexadecimal_digits_of_either_case_are_read),
        cmocka_unit_test(bytes_become_two_digits_each),
        cmocka_unit_test(comparison_without_case_folds_ascii_letters_only),
        cmocka_unit_test(order_is_by_unsigned_bytes_then_by_length),
        cmocka_unit_test(search_finds_the_first_place),
    };
    return cmocka_run_group_tests_name("base_text", tests, NULL, NULL);
}
