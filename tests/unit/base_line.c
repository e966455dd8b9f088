/* SPDX-License-Identifier: MIT
 *
 * A look at the words of a line at once: it finds those with the upper bits that are asked for, and
 * no others.
 */
#include "support/test.h"

#include "base/line.h"
#include "base/prng.h"

typedef struct line {
    _Alignas(64) _Atomic uint64_t words[SHOAL_LINE_WORDS];
} line;

#define UPPER_BITS (64u - SHOAL_LINE_SHIFT)

/* Word by word. */
static uint32_t slow_match(const line *of, uint32_t upper)
{
    uint32_t matches = 0;
    for (uint32_t i = 0; i < SHOAL_LINE_WORDS; i++) {
        uint64_t word = shoal_load_relaxed(&of->words[i]);
        if (word >> SHOAL_LINE_SHIFT == upper) matches |= 1u << i;
    }
    return matches;
}

static void a_look_finds_each_word_with_the_upper_bits_and_no_other(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){1, 2}, 0, 0);
    for (uint32_t round = 0; round < 20000; round++) {
        line all;
        uint32_t upper = (uint32_t)shoal_prng_below(&prng, 1u << UPPER_BITS);
        for (uint32_t i = 0; i < SHOAL_LINE_WORDS; i++) {
            uint64_t word = shoal_prng_next(&prng);
            uint64_t own = shoal_prng_below(&prng, 3);
            /* As wanted, or one bit beside it, or anything. */
            uint64_t bits = own == 0 ? upper : upper ^ 1u << shoal_prng_below(&prng, UPPER_BITS);
            if (own < 2)
                word = (word & (((uint64_t)1 << SHOAL_LINE_SHIFT) - 1)) | bits << SHOAL_LINE_SHIFT;
            shoal_store_relaxed(&all.words[i], word);
        }
        assert_int_equal(shoal_line_match(all.words, upper, 0xff), slow_match(&all, upper));
        assert_int_equal(shoal_line_match(all.words, upper, 0x7f), slow_match(&all, upper) & 0x7f);
    }
}

static void an_empty_line_has_eight_words_with_upper_bits_of_zero(void **state)
{
    (void)state;
    line all;
    for (uint32_t i = 0; i < SHOAL_LINE_WORDS; i++) shoal_store_relaxed(&all.words[i], 0);
    assert_int_equal(shoal_line_match(all.words, 0, 0xff), 0xff);
    assert_int_equal(shoal_line_match(all.words, 1, 0xff), 0);
    for (uint32_t i = 0; i < SHOAL_LINE_WORDS; i++) shoal_store_relaxed(&all.words[i], UINT64_MAX);
    assert_int_equal(shoal_line_match(all.words, (1u << UPPER_BITS) - 1, 0xff), 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_finds_each_word_with_the_upper_bits_and_no_other),
        cmocka_unit_test(an_empty_line_has_eight_words_with_upper_bits_of_zero),
    };
    return cmocka_run_group_tests_name("base_line", tests, NULL, NULL);
}
