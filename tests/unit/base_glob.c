/* SPDX-License-Identifier: MIT
 *
 * Glob patterns: every rule stated in base/text.h, the corners that Redis's users know, and the
 * patterns that make careless matchers take forever.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* One pattern, one text, and what must come out. */
typedef struct glob_case {
    const char *pattern;
    const char *text;
    bool matches;
} glob_case;

static void check(const glob_case *cases, size_t count, bool nocase)
{
    for (size_t i = 0; i < count; i++) {
        const glob_case *c = &cases[i];
        bool got = shoal_text_glob(shoal_text(c->pattern), shoal_text(c->text), nocase);
        if (got != c->matches) fail_msg("%s against %s: %d", c->pattern, c->text, got);
    }
}

#define CHECK(cases, nocase) check(cases, sizeof(cases) / sizeof(cases[0]), nocase)

static void plain_bytes_match_themselves(void **state)
{
    (void)state;
    static const glob_case cases[] = {
        {"", "", true},       {"", "a", false},     {"a", "", false},     {"a", "a", true},
        {"abc", "abc", true}, {"abc", "ab", false}, {"ab", "abc", false}, {"A", "a", false},
    };
    CHECK(cases, false);
    assert_true(shoal_text_glob((shoal_slice){"a\0b", 3}, (shoal_slice){"a\0b", 3}, false));
    assert_false(shoal_text_glob((shoal_slice){"a\0b", 3}, (shoal_slice){"a\0c", 3}, false));
}

static void a_star_takes_any_bytes(void **state)
{
    (void)state;
    static const glob_case cases[] = {
        {"*", "", true},
        {"*", "abc", true},
        {"**", "", true},
        {"***", "a", true},
        {"a*", "a", true},
        {"a*", "ba", false},
        {"*a", "aaa", true},
        {"*a", "aab", false},
        {"a*b*c", "axxbxxc", true},
        {"a*b*c", "axxcxxb", false},
        {"*ab*", "aab", true},
        {"*aab", "aaab", true},
        {"*b*b", "abab", true},
        {"user:*:name", "user:1:2:name", true},
    };
    CHECK(cases, false);
}

static void a_question_mark_takes_one_byte(void **state)
{
    (void)state;
    static const glob_case cases[] = {
        {"?", "", false},  {"?", "a", true},  {"?", "ab", false}, {"a?c", "abc", true},
        {"*?", "", false}, {"*?", "a", true}, {"?*", "ab", true},
    };
    CHECK(cases, false);
}

static void a_class_takes_one_of_its_members(void **state)
{
    (void)state;
    static const glob_case cases[] = {
        {"[abc]", "b", true},         {"[abc]", "d", false},  {"[a-c]", "b", true},
        {"[a-c]", "d", false},        {"[c-a]", "b", true},   {"[^a]", "b", true},
        {"[^a]", "a", false},         {"[^a-c]", "b", false}, {"[^]", "x", true},
        {"[]", "x", false},           {"[]", "", false},      {"h[ae]llo", "hallo", true},
        {"h[ae]llo", "hillo", false}, {"[\\]]", "]", true},   {"[\\-]", "-", true},
        {"[a\\-c]", "b", false},      {"[a-]", "_", true},    {"[ab", "a", true},
        {"[ab", "ab", false},         {"[", "[", false},      {"[^", "x", true},
        {"x[a-c]*", "xbyy", true},    {"*[0-9]", "a5", true}, {"[\\", "\\", true},
    };
    CHECK(cases, false);
}

static void a_backslash_takes_the_next_byte_as_it_is(void **state)
{
    (void)state;
    static const glob_case cases[] = {
        {"\\*", "*", true}, {"\\*", "a", false},  {"\\?", "?", true},   {"\\[a]", "[a]", true},
        {"\\a", "a", true}, {"\\\\", "\\", true}, {"a\\", "a\\", true}, {"a\\", "a", false},
    };
    CHECK(cases, false);
}

static void without_case_letters_match_in_both(void **state)
{
    (void)state;
    static const glob_case cases[] = {
        {"ABC", "abc", true}, {"a*C", "AxC", true}, {"[A-C]", "b", true},
        {"[^a]", "A", false}, {"\\A", "a", true},   {"[\\A]", "a", true},
    };
    CHECK(cases, true);
}

static void many_stars_cost_no_more_than_both_sizes_multiplied(void **state)
{
    (void)state;
    /* a*a*a*...b against a thousand a's: exponential with naive recursion, here 10^5 steps. */
    char pattern[201], text[1001];
    for (size_t i = 0; i < 200; i += 2) memcpy(pattern + i, "a*", 2);
    pattern[199] = 'b';
    pattern[200] = '\0';
    memset(text, 'a', 1000);
    text[1000] = '\0';
    for (int i = 0; i < 100; i++) {
        assert_false(shoal_text_glob(shoal_text(pattern), shoal_text(text), false));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bytes_match_themselves),
        cmocka_unit_test(a_star_takes_any_bytes),
        cmocka_unit_test(a_question_mark_takes_one_byte),
        cmocka_unit_test(a_class_takes_one_of_its_members),
        cmocka_unit_test(a_backslash_takes_the_next_byte_as_it_is),
        cmocka_unit_test(without_case_letters_match_in_both),
        cmocka_unit_test(many_stars_cost_no_more_than_both_sizes_multiplied),
    };
    return cmocka_run_group_tests_name("base_glob", tests, NULL, NULL);
}
