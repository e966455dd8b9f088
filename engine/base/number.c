/* SPDX-License-Identifier: MIT
 *
 * base/number.c - doubles to text, exactly.
 *
 * A finite double is m * 2^e with an integer m below 2^53. Its 17 significant digits are the
 * integer nearest to m * 2^e * 10^(16-k), where 10^k is the largest power of ten that does not
 * exceed the value. Two ways compute it, both without error:
 *   - the quick way, for values of everyday size: 128 bits hold the product, and the division by
 *     a power of two is a shift whose remainder says how to round;
 *   - the long way: numerator and denominator as natural numbers of up to 1216 bits, and long
 *     division, one decimal digit after the other.
 * Ties go to the even digit, as in IEEE 754 and in the C libraries.
 */
#include "base/number.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"

/* ---- natural numbers for the long way ---- */

/* 38 words of 32 bits: of the smallest doubles, m * 10^324 has up to 1130 bits and its denominator
 * 1075; the largest have 1024; and the division multiplies by ten once more. */
#define NATURAL_WORDS 38

_Static_assert(NATURAL_WORDS * 32 >= 1130 + 4, "the long way's largest number and a digit more");

/* words[0] is the lowest; words at and above `count` are not set; the highest is not zero. */
typedef struct natural {
    uint32_t count;
    uint32_t words[NATURAL_WORDS];
} natural;

/* The highest word counts. */
static bool natural_is_trimmed(const natural *n)
{
    return n->count <= NATURAL_WORDS && (n->count == 0 || n->words[n->count - 1] != 0);
}

static natural natural_make(uint64_t value)
{
    natural n = {.count = 2};
    n.words[0] = (uint32_t)value;
    n.words[1] = (uint32_t)(value >> 32);
    while (n.count && n.words[n.count - 1] == 0) n.count--;
    SHOAL_DEBUG_ASSERT(natural_is_trimmed(&n));
    return n;
}

static void natural_multiply(natural *n, uint32_t factor)
{
    SHOAL_DEBUG_ASSERT(factor != 0);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        carry += (uint64_t)n->words[i] * factor;
        n->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) {
        SHOAL_ASSERT(n->count < NATURAL_WORDS);
        n->words[n->count++] = (uint32_t)carry;
    }
    SHOAL_DEBUG_ASSERT(natural_is_trimmed(n));
}

static void natural_multiply_power_of_ten(natural *n, uint32_t exponent)
{
    SHOAL_DEBUG_ASSERT(exponent <= 324);
    for (; exponent >= 9; exponent -= 9) natural_multiply(n, 1000000000u);
    for (; exponent; exponent--) natural_multiply(n, 10);
}

static void natural_shift_left(natural *n, uint32_t bits)
{
    uint32_t words = bits / 32;
    SHOAL_ASSERT(n->count + words <= NATURAL_WORDS);
    memmove(n->words + words, n->words, n->count * sizeof(n->words[0]));
    memset(n->words, 0, words * sizeof(n->words[0]));
    n->count += words;
    natural_multiply(n, 1u << (bits % 32));
}

/* Negative, 0 or positive as a < b, a == b, a > b. */
static int natural_compare(const natural *a, const natural *b)
{
    SHOAL_DEBUG_ASSERT(natural_is_trimmed(a));
    SHOAL_DEBUG_ASSERT(natural_is_trimmed(b));
    if (a->count != b->count) return a->count < b->count ? -1 : 1;
    for (uint32_t i = a->count; i--;) {
        if (a->words[i] != b->words[i]) return a->words[i] < b->words[i] ? -1 : 1;
    }
    return 0;
}

/* a -= b, where b <= a. */
static void natural_subtract(natural *a, const natural *b)
{
    uint64_t borrow = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        uint64_t other = (i < b->count ? b->words[i] : 0) + borrow;
        borrow = a->words[i] < other;
        a->words[i] = (uint32_t)(a->words[i] - other);
    }
    SHOAL_ASSERT(borrow == 0); /* b <= a */
    while (a->count && a->words[a->count - 1] == 0) a->count--;
}

/* ---- doubles ---- */

#define DIGITS 17
#define DIGITS_LOW 10000000000000000u   /* 10^16: the least number of 17 digits */
#define DIGITS_HIGH 100000000000000000u /* 10^17 */

_Static_assert(sizeof(double) == 8, "doubles are binary64");
_Static_assert(DIGITS_LOW * 10 == DIGITS_HIGH, "one digit between them");
_Static_assert(UINT64_MAX / 100 > DIGITS_HIGH, "a guess that is one too small does not overflow");
_Static_assert(SHOAL_NUMBER_DOUBLE_MAX >= 1 + 1 + 1 + 16 + 5, "-d.16 digits e-308");
_Static_assert(SHOAL_NUMBER_DOUBLE_MAX >= 1 + 6 + DIGITS - 1, "-0.000 and 17 digits");

__extension__ typedef unsigned __int128 wide;

/* mantissa * 2^exponent */
typedef struct binary {
    uint64_t mantissa;
    int32_t exponent;
} binary;

/* digits * 10^(exponent - 16), digits in 10^16 .. 10^17 - 1 */
typedef struct decimal {
    uint64_t digits;
    int32_t exponent;
} decimal;

/* A guess of the decimal exponent: right, or one too small. */
static int32_t guess_exponent(binary value)
{
    SHOAL_ASSERT(value.mantissa != 0);
    int64_t top = value.exponent + 63 - __builtin_clzll(value.mantissa);
    /* floor(top * log10(2)), with log10(2) * 2^32 rounded towards a smaller result. */
    if (top >= 0) return (int32_t)(top * 1292913986 >> 32);
    return (int32_t) - ((-top * 1292913987 + UINT32_MAX) >> 32);
}

/* The quotient rounded to the nearest, ties to even, given how twice the remainder compares with
 * the divisor. */
static uint64_t round_quotient(uint64_t quotient, int twice_remainder_compared)
{
    SHOAL_DEBUG_ASSERT(quotient < UINT64_MAX);
    if (twice_remainder_compared > 0) return quotient + 1;
    if (twice_remainder_compared == 0) return quotient + (quotient & 1);
    return quotient;
}

/* 10^0 .. 10^19. */
static const uint64_t powers_of_ten[20] = {1u,
                                           10u,
                                           100u,
                                           1000u,
                                           10000u,
                                           100000u,
                                           1000000u,
                                           10000000u,
                                           100000000u,
                                           1000000000u,
                                           10000000000u,
                                           100000000000u,
                                           1000000000000u,
                                           10000000000000u,
                                           100000000000000u,
                                           1000000000000000u,
                                           10000000000000000u,
                                           100000000000000000u,
                                           1000000000000000000u,
                                           10000000000000000000u};

/* The value times 10^(16-exponent), rounded: quick way. False when 128 bits do not suffice. */
static bool scale_quick(binary value, int32_t exponent, uint64_t *digits)
{
    int32_t power = 16 - exponent;
    if (power < 0 || power > 19 || value.exponent > 10 || value.exponent < -120) return false;
    SHOAL_DEBUG_ASSERT(value.mantissa >> 53 == 0); /* product < 2^117, shifted at most to 2^127 */
    wide product = (wide)value.mantissa * powers_of_ten[power];
    if (value.exponent >= 0) {
        *digits = (uint64_t)(product << value.exponent);
        return true;
    }
    uint32_t shift = (uint32_t)-value.exponent;
    wide one = (wide)1 << shift;
    wide remainder = product & (one - 1);
    wide half = one >> 1;
    int compared = remainder < half ? -1 : remainder > half;
    *digits = round_quotient((uint64_t)(product >> shift), compared);
    return true;
}

/* The same, long way. The quotient must have at most 18 digits. */
static uint64_t scale_long(binary value, int32_t exponent)
{
    natural numerator = natural_make(value.mantissa);
    natural denominator = natural_make(1);
    /* One digit less here, because the division below begins with the first of 17 (or 18). */
    if (exponent < 0)
        natural_multiply_power_of_ten(&numerator, (uint32_t)-exponent);
    else
        natural_multiply_power_of_ten(&denominator, (uint32_t)exponent);
    if (value.exponent > 0)
        natural_shift_left(&numerator, (uint32_t)value.exponent);
    else
        natural_shift_left(&denominator, (uint32_t)-value.exponent);

    uint64_t quotient = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (i) natural_multiply(&numerator, 10);
        quotient *= 10;
        while (natural_compare(&numerator, &denominator) >= 0) {
            natural_subtract(&numerator, &denominator);
            quotient++;
        }
    }
    SHOAL_DEBUG_ASSERT(natural_compare(&numerator, &denominator) < 0);
    natural_multiply(&numerator, 2);
    return round_quotient(quotient, natural_compare(&numerator, &denominator));
}

/* The 17 digits of a positive value. */
static decimal to_decimal(binary value)
{
    int32_t exponent = guess_exponent(value);
    for (;;) {
        uint64_t digits;
        if (!scale_quick(value, exponent, &digits)) digits = scale_long(value, exponent);
        SHOAL_ASSERT(digits >= DIGITS_LOW);
        if (digits < DIGITS_HIGH) return (decimal){digits, exponent};
        /* The guess was one too small, or the digits were rounded up to the next power of ten;
         * the next round gives the right digits in both cases. */
        exponent++;
    }
}

/* Writes digits[0], a point and the rest, and the exponent: "1.5e+17". */
static size_t write_scientific(const char *digits, size_t count, int32_t exponent, char *out)
{
    SHOAL_DEBUG_ASSERT(count >= 1 && count <= DIGITS);
    SHOAL_DEBUG_ASSERT(exponent >= -324 && exponent <= 308);
    size_t at = 0;
    out[at++] = digits[0];
    if (count > 1) {
        out[at++] = '.';
        memcpy(out + at, digits + 1, count - 1);
        at += count - 1;
    }
    out[at++] = 'e';
    out[at++] = exponent < 0 ? '-' : '+';
    uint32_t magnitude = (uint32_t)(exponent < 0 ? -exponent : exponent);
    if (magnitude < 10) out[at++] = '0';
    return at + shoal_text_from_u64(out + at, magnitude);
}

/* Writes the digits with the point where the exponent says: "0.00015", "1.5", "1500". */
static size_t write_positional(const char *digits, size_t count, int32_t exponent, char *out)
{
    SHOAL_DEBUG_ASSERT(count >= 1 && count <= DIGITS);
    SHOAL_DEBUG_ASSERT(exponent >= -4 && exponent < DIGITS);
    size_t at = 0;
    if (exponent < 0) {
        memcpy(out, "0.000", 5);
        at = (size_t)(1 - exponent);
        memcpy(out + at, digits, count);
        return at + count;
    }
    size_t whole = (size_t)exponent + 1;
    if (count <= whole) {
        memcpy(out, digits, count);
        memset(out + count, '0', whole - count);
        return whole;
    }
    memcpy(out, digits, whole);
    out[whole] = '.';
    memcpy(out + whole + 1, digits + whole, count - whole);
    return count + 1;
}

/* Writes a positive value that is neither infinite nor NaN. */
static size_t write_positive(binary value, char *out)
{
    decimal number = to_decimal(value);
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    size_t count = shoal_text_from_u64(digits, number.digits);
    SHOAL_ASSERT(count == DIGITS);
    while (count > 1 && digits[count - 1] == '0') count--;
    if (number.exponent < -4 || number.exponent >= DIGITS)
        return write_scientific(digits, count, number.exponent, out);
    return write_positional(digits, count, number.exponent, out);
}

static size_t write_word(const char *word, char *out)
{
    size_t size = strlen(word);
    SHOAL_DEBUG_ASSERT(size <= 3);
    memcpy(out, word, size);
    return size;
}

size_t shoal_number_from_double(double value, char *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int32_t exponent = (int32_t)(bits >> 52 & 0x7FF);
    if (exponent == 0x7FF && fraction) return write_word("nan", out);

    size_t at = 0;
    if (bits >> 63) out[at++] = '-';
    if (exponent == 0x7FF) return at + write_word("inf", out + at);
    if (exponent == 0 && fraction == 0) return at + write_word("0", out + at);

    binary parts = {fraction, -1074};
    if (exponent) parts = (binary){fraction | UINT64_C(1) << 52, exponent - 1075};
    /* Whole numbers, the usual scores, need no arithmetic. */
    if (parts.exponent <= 0 && parts.exponent > -53) {
        uint64_t whole = parts.mantissa >> -parts.exponent;
        if (whole << -parts.exponent == parts.mantissa)
            return at + shoal_text_from_u64(out + at, whole);
    }
    return at + write_positive(parts, out + at);
}
