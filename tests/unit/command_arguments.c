/* SPDX-License-Identifier: MIT
 *
 * Which arguments are keys: rows whose keys stand at fixed places, behind their number, or behind
 * a word.
 */
#include "base/text.h"
#include "command/keys.h"
#include "support/test.h"

/* The arguments of `line`, which has blanks between them. */
static uint32_t split(const char *line, shoal_slice *argv)
{
    uint32_t argc = 0;
    while (*line != '\0') {
        size_t size = 0;
        while (line[size] != ' ' && line[size] != '\0') size++;
        argv[argc++] = (shoal_slice){line, size};
        line += size + (line[size] == ' ');
    }
    return argc;
}

/* Checks that the keys of `line` are those of `keys`, in this order. */
static void check(const shoal_command *row, const char *line, const char *keys)
{
    shoal_slice argv[16], wanted[16];
    uint32_t argc = split(line, argv), count = split(keys, wanted);
    uint8_t rule = shoal_keys__rule(row);
    assert_int_equal(shoal_keys__count(row, rule, argc, argv), count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = shoal_keys__argument(row, rule, argc, argv, i);
        assert_true(at < argc);
        assert_true(shoal_text_equal(argv[at], wanted[i]));
    }
}

static void keys_at_fixed_places_are_found(void **state)
{
    (void)state;
    shoal_command all = {
        .name = "x", .key_first = 1, .key_last = -1, .key_step = 1, .access = "RO"};
    check(&all, "x a b c", "a b c");
    shoal_command pairs = {
        .name = "x", .key_first = 1, .key_last = -1, .key_step = 2, .access = "RO"};
    check(&pairs, "x a 1 b 2", "a b");
    shoal_command butlast = {
        .name = "x", .key_first = 1, .key_last = -2, .key_step = 1, .access = "RO"};
    check(&butlast, "x a b 0", "a b");
    shoal_command none = {.name = "x", .access = ""};
    check(&none, "x a b", "");
}

static void counted_keys_are_found(void **state)
{
    (void)state;
    shoal_command card = {.name = "x", .access = "at=1 keynum RO access"};
    check(&card, "x 2 a b", "a b");
    check(&card, "x 2 a b limit 1", "a b");
    shoal_command store = {.name = "x",
                           .key_first = 1,
                           .key_last = 1,
                           .key_step = 1,
                           .access = "OW update;at=2 keynum RO access"};
    check(&store, "x d 2 a b weights 1 2", "d a b");
}

static void a_number_of_keys_that_cannot_be_leaves_none(void **state)
{
    (void)state;
    shoal_command card = {.name = "x", .access = "at=1 keynum RO access"};
    check(&card, "x 0 a", "");
    check(&card, "x -1 a", "");
    check(&card, "x 3 a b", "");
    check(&card, "x two a b", "");
    check(&card, "x 99999999999999999999 a", "");
    check(&card, "x", "");
    shoal_command store = {.name = "x",
                           .key_first = 1,
                           .key_last = 1,
                           .key_step = 1,
                           .access = "OW update;at=2 keynum RO access"};
    check(&store, "x d 9 a b", "");
}

static void what_sort_stores_into_is_a_key(void **state)
{
    (void)state;
    shoal_command sort = {.name = "sort",
                          .key_first = 1,
                          .key_last = 1,
                          .key_step = 1,
                          .access = "RO access;unknown RO access;unknown OW update"};
    check(&sort, "sort a", "a");
    check(&sort, "sort a by nosort get # store d", "a d");
    check(&sort, "sort a store d limit 0 1 STORE e", "a e");
    check(&sort, "sort a get store", "a");
    check(&sort, "sort a by store desc", "a");
    check(&sort, "sort a store", "a");
}

static void specifications_say_where_they_begin(void **state)
{
    (void)state;
    shoal_command row = {.name = "x",
                         .key_first = 1,
                         .key_last = -1,
                         .key_step = 1,
                         .access = "OW update; RO access"};
    shoal_key_specs specs = shoal_keys__specs(&row);
    shoal_key_spec spec;
    assert_true(shoal_keys__next_spec(&specs, &spec));
    assert_int_equal(spec.at, 1);
    assert_int_equal(spec.last, 0);
    assert_true(shoal_text_equal(spec.flags, shoal_text("OW update")));
    assert_true(shoal_keys__next_spec(&specs, &spec));
    assert_int_equal(spec.at, 2);
    assert_int_equal(spec.last, -1);
    assert_true(shoal_text_equal(spec.flags, shoal_text("RO access")));
    assert_false(shoal_keys__next_spec(&specs, &spec));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_at_fixed_places_are_found),
        cmocka_unit_test(counted_keys_are_found),
        cmocka_unit_test(a_number_of_keys_that_cannot_be_leaves_none),
        cmocka_unit_test(what_sort_stores_into_is_a_key),
        cmocka_unit_test(specifications_say_where_they_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
