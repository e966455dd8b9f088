/* SPDX-License-Identifier: MIT
 *
 * Packs: which bytes an element takes, and that each is found and read again.
 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "value/pack.h"

/* A pack of the texts. */
static shoal_slice pack_of(char *out, const char *const *texts, uint32_t count)
{
    char *at = out + SHOAL_PACK_HEAD;
    shoal_pack_write_head(out, count);
    for (uint32_t i = 0; i < count; i++) {
        shoal_element element = shoal_element_of((shoal_slice){texts[i], strlen(texts[i])});
        at = shoal_pack_write(at, &element);
    }
    return (shoal_slice){out, (size_t)(at - out)};
}

static void check_integer(int64_t integer, size_t size)
{
    char bytes[SHOAL_PACK_OVERHEAD_MAX], scratch[32], text[32];
    int length = snprintf(text, sizeof(text), "%lld", (long long)integer);
    shoal_element element = shoal_element_of((shoal_slice){text, (size_t)length});
    assert_int_equal(element.kind, SHOAL_ELEMENT_INTEGER);
    assert_int_equal(element.integer, integer);
    assert_int_equal(shoal_pack_size_of(&element), size);
    char *end = shoal_pack_write(bytes, &element);
    assert_int_equal(end - bytes, size);
    shoal_element read;
    assert_ptr_equal(shoal_pack_read(bytes, end, &read), end);
    assert_ptr_equal(shoal_pack_skip(bytes, end), end);
    assert_true(shoal_element_equals(&read, &element));
    test_slice_is(shoal_element_text(&read, scratch), text);
}

static void integers_take_as_few_bytes_as_they_need(void **state)
{
    (void)state;
    check_integer(0, 1);
    check_integer(127, 1);
    check_integer(128, 2);
    check_integer(-1, 2);
    check_integer(4095, 2);
    check_integer(-4096, 2);
    check_integer(4096, 3);
    check_integer(-4097, 3);
    check_integer(INT16_MAX, 3);
    check_integer(INT16_MIN, 3);
    check_integer(INT16_MAX + 1, 4);
    check_integer(INT16_MIN - 1, 4);
    check_integer((1 << 23) - 1, 4);
    check_integer(-(1 << 23), 4);
    check_integer(1 << 23, 5);
    check_integer(-(1 << 23) - 1, 5);
    check_integer(INT32_MAX, 5);
    check_integer(INT32_MIN, 5);
    check_integer((int64_t)INT32_MAX + 1, 9);
    check_integer((int64_t)INT32_MIN - 1, 9);
    check_integer(INT64_MAX, 9);
    check_integer(INT64_MIN, 9);
}

static void text_that_is_no_shortest_integer_stays_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "-",  "+1", "01",  "-0",
                                        "1 ",  " 1", "1a", "0x1", "9223372036854775808",
                                        "1.0", "--1"};
    for (uint32_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        shoal_element element = shoal_element_of((shoal_slice){texts[i], strlen(texts[i])});
        assert_int_equal(element.kind, SHOAL_ELEMENT_BYTES);
        test_slice_is(element.bytes, texts[i]);
    }
}

static void strings_take_one_two_or_five_bytes_more(void **state)
{
    (void)state;
    static char text[70000], bytes[70010];
    static const size_t sizes[][2] = {{0, 1}, {63, 1}, {64, 2}, {4095, 2}, {4096, 5}, {70000, 5}};
    memset(text, 'x', sizeof(text));
    for (uint32_t i = 0; i < 6; i++) {
        shoal_element element = shoal_element_of((shoal_slice){text, sizes[i][0]}), read;
        assert_int_equal(shoal_pack_size_of(&element), sizes[i][0] + sizes[i][1]);
        char *end = shoal_pack_write(bytes, &element);
        assert_int_equal(end - bytes, sizes[i][0] + sizes[i][1]);
        assert_ptr_equal(shoal_pack_read(bytes, end, &read), end);
        assert_ptr_equal(shoal_pack_skip(bytes, end), end);
        assert_true(shoal_element_equals(&read, &element));
    }
}

static void a_score_that_is_an_integer_is_written_as_one(void **state)
{
    (void)state;
    assert_int_equal(shoal_element_of_double(3).kind, SHOAL_ELEMENT_INTEGER);
    assert_int_equal(shoal_element_of_double(-0x1p63).kind, SHOAL_ELEMENT_INTEGER);
    assert_int_equal(shoal_element_of_double(0x1p63).kind, SHOAL_ELEMENT_DOUBLE);
    assert_int_equal(shoal_element_of_double(-0.0).kind, SHOAL_ELEMENT_DOUBLE);
    assert_int_equal(shoal_element_of_double(0.5).kind, SHOAL_ELEMENT_DOUBLE);
    assert_int_equal(shoal_element_of_double((double)INFINITY).kind, SHOAL_ELEMENT_DOUBLE);
    static const double numbers[] = {0, -0.0, 1.5, -3, 1e300, 4.9e-324, 0x1p62};
    for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char bytes[SHOAL_PACK_OVERHEAD_MAX];
        shoal_element element = shoal_element_of_double(numbers[i]), read;
        char *end = shoal_pack_write(bytes, &element);
        shoal_pack_read(bytes, end, &read);
        double back = shoal_element_double(&read);
        assert_memory_equal(&back, &numbers[i], sizeof(back));
    }
}

static void elements_are_found_by_their_place(void **state)
{
    (void)state;
    char bytes[256];
    static const char *const texts[] = {"a", "1", "bc", "", "500", "-70000", "a"};
    shoal_slice pack = pack_of(bytes, texts, 7);
    assert_int_equal(shoal_pack_count(pack), 7);
    for (uint32_t i = 0; i < 7; i++) {
        shoal_element element;
        char scratch[32];
        shoal_pack_read(shoal_pack_at(pack, i), shoal_pack_end(pack), &element);
        test_slice_is(shoal_element_text(&element, scratch), texts[i]);
    }
    assert_ptr_equal(shoal_pack_at(pack, 7), shoal_pack_end(pack));
}

static const char *find(shoal_slice pack, uint32_t from, const char *text, uint32_t skip)
{
    shoal_element probe = shoal_element_of((shoal_slice){text, strlen(text)});
    return shoal_pack_find(pack, shoal_pack_at(pack, from), &probe, skip);
}

static void elements_are_found_by_their_text(void **state)
{
    (void)state;
    char bytes[256];
    static const char *const texts[] = {"f", "v", "v", "7", "ab", "f", "abc", "300"};
    shoal_slice pack = pack_of(bytes, texts, 8);
    assert_ptr_equal(find(pack, 0, "f", 0), shoal_pack_at(pack, 0));
    assert_ptr_equal(find(pack, 1, "f", 0), shoal_pack_at(pack, 5));
    assert_ptr_equal(find(pack, 0, "300", 0), shoal_pack_at(pack, 7));
    assert_ptr_equal(find(pack, 0, "7", 0), shoal_pack_at(pack, 3));
    assert_ptr_equal(find(pack, 0, "abc", 0), shoal_pack_at(pack, 6));
    assert_null(find(pack, 0, "abcd", 0));
    assert_null(find(pack, 8, "f", 0));
    /* Every second one: the fields of a hash, not the values. */
    assert_ptr_equal(find(pack, 0, "v", 1), shoal_pack_at(pack, 2));
    assert_null(find(pack, 0, "7", 1));
    assert_ptr_equal(find(pack, 1, "7", 1), shoal_pack_at(pack, 3));
}

static void more_elements_than_the_head_can_tell_are_counted(void **state)
{
    (void)state;
    static char bytes[SHOAL_PACK_HEAD + 70000];
    for (uint32_t count = 65533; count <= 65537; count++) {
        shoal_pack_write_head(bytes, count);
        shoal_slice pack = {bytes, SHOAL_PACK_HEAD + count};
        assert_int_equal(shoal_pack_count(pack), count);
        assert_true(shoal_pack_check(pack));
    }
}

static void damaged_packs_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        char bytes[12];
    } damaged[] = {
        {0, ""},
        {1, "\1"},
        {2, "\1"},                            /* one element, but none */
        {3, "\0\0\5"},                        /* an element too many */
        {3, "\1\0\x81"},                      /* a string cut short */
        {3, "\1\0\xc0"},                      /* an integer cut short */
        {4, "\1\0\xc0\5"},                    /* 5 takes one byte */
        {4, "\1\0\x81\x37"},                  /* "7" is an integer */
        {4, "\1\0\xe0\0"},                    /* "" takes one byte */
        {5, "\1\0\xf1\1\0"},                  /* 1 takes one byte */
        {4, "\1\0\xf0\1"},                    /* a size cut short */
        {11, "\1\0\xf5\0\0\0\0\0\0\0"},       /* 0.0 is an integer */
        {11, "\1\0\xf5\0\0\0\0\0\0\xf8\x7f"}, /* no number */
        {3, "\1\0\xf6"},                      /* no form */
        {3, "\1\0\xff"},
    };
    for (uint32_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        if (shoal_pack_check((shoal_slice){damaged[i].bytes, damaged[i].size}))
            fail_msg("pack %u was not refused", i);
    }
    assert_true(shoal_pack_check((shoal_slice){"\0\0", 2}));
    assert_true(shoal_pack_check((shoal_slice){"\2\0\x81z\7", 5}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_as_few_bytes_as_they_need),
        cmocka_unit_test(text_that_is_no_shortest_integer_stays_text),
        cmocka_unit_test(strings_take_one_two_or_five_bytes_more),
        cmocka_unit_test(a_score_that_is_an_integer_is_written_as_one),
        cmocka_unit_test(elements_are_found_by_their_place),
        cmocka_unit_test(elements_are_found_by_their_text),
        cmocka_unit_test(more_elements_than_the_head_can_tell_are_counted),
        cmocka_unit_test(damaged_packs_are_refused),
    };
    return cmocka_run_group_tests_name("value_pack", tests, NULL, NULL);
}
