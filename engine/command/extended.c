/* SPDX-License-Identifier: MIT
 *
 * command/extended.c - the numbers of command/extended.h.
 *
 * A hexadecimal text is rounded as it stands. A decimal text is digits * 10^n: numerator and
 * denominator as natural numbers, scaled by a power of two so that their quotient has 66 or 67
 * bits. Those and whether anything remains decide how to round. Sums are formed in 128 bits: the
 * greater mantissa has 62 bits below it, and of the lesser one only whether it reaches further
 * down matters. Text has 17 decimals: below 2^63 the mantissa times 10^17 fits in 128 bits; above
 * there is no fraction.
 */
#include "command/extended.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"

/* Twice as wide as a mantissa. */
typedef unsigned __int128 wide;

/* Least and greatest exponent of a mantissa taken as an integer. */
#define EXPONENT_MIN (-16445)
#define EXPONENT_MAX 16320

/* Longest text that is read, as Redis; no number needs more digits. */
#define TEXT_MAX 5119
/* Numbers of 10^4940 and more are infinite, below 10^-5000 they are zero. */
#define DECIMALS_MAX 4940
#define DECIMALS_MIN (-5000)

#define TEN_TO_17 100000000000000000u

/* ---- natural numbers ---- */

/* Room for 10^10200, the largest denominator, and 67 bits. */
#define NATURAL_WORDS 1064

/* words[0] is the lowest; those at and above `count` are not set; the highest is not zero. */
typedef struct natural {
    uint32_t count;
    uint32_t words[NATURAL_WORDS];
} natural;

static uint32_t bits_of(const natural *n)
{
    if (n->count == 0) return 0;
    SHOAL_DEBUG_ASSERT(n->words[n->count - 1] != 0);
    return n->count * 32 - (uint32_t)__builtin_clz(n->words[n->count - 1]);
}

/* n = n * factor + addend */
static void multiply_add(natural *n, uint32_t factor, uint32_t addend)
{
    SHOAL_DEBUG_ASSERT(factor != 0);
    uint64_t carry = addend;
    for (uint32_t i = 0; i < n->count; i++) {
        carry += (uint64_t)n->words[i] * factor;
        n->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry == 0) return;
    SHOAL_ASSERT(n->count < NATURAL_WORDS);
    n->words[n->count++] = (uint32_t)carry;
}

static void multiply_ten_to(natural *n, uint32_t power)
{
    SHOAL_DEBUG_ASSERT(power <= TEXT_MAX - DECIMALS_MIN);
    for (; power >= 9; power -= 9) multiply_add(n, 1000000000u, 0);
    for (; power > 0; power--) multiply_add(n, 10, 0);
}

static void shift_left(natural *n, uint32_t bits)
{
    uint32_t words = bits / 32;
    if (n->count == 0) return;
    SHOAL_ASSERT(n->count + words < NATURAL_WORDS);
    memmove(n->words + words, n->words, n->count * sizeof(n->words[0]));
    memset(n->words, 0, words * sizeof(n->words[0]));
    n->count += words;
    multiply_add(n, 1u << bits % 32, 0);
}

static void halve(natural *n)
{
    SHOAL_DEBUG_ASSERT(n->count > 0);
    for (uint32_t i = 0; i + 1 < n->count; i++)
        n->words[i] = n->words[i] >> 1 | n->words[i + 1] << 31;
    n->words[n->count - 1] >>= 1;
    if (n->words[n->count - 1] == 0) n->count--;
}

/* Takes `b` from `a` when it is not greater: true. */
static bool subtract_if_fits(natural *a, const natural *b)
{
    if (a->count < b->count) return false;
    uint32_t i = a->count;
    if (a->count == b->count) {
        while (i > 0 && a->words[i - 1] == b->words[i - 1]) i--;
        if (i > 0 && a->words[i - 1] < b->words[i - 1]) return false;
    }
    int64_t borrow = 0;
    for (i = 0; i < a->count; i++) {
        borrow += (int64_t)a->words[i] - (i < b->count ? b->words[i] : 0);
        a->words[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    SHOAL_ASSERT(borrow == 0);
    while (a->count > 0 && a->words[a->count - 1] == 0) a->count--;
    return true;
}

/* Divides by 10^9 in place and returns the remainder. */
static uint32_t divide_billion(natural *n)
{
    uint64_t rest = 0;
    for (uint32_t i = n->count; i > 0; i--) {
        rest = rest << 32 | n->words[i - 1];
        n->words[i - 1] = (uint32_t)(rest / 1000000000u);
        rest %= 1000000000u;
    }
    while (n->count > 0 && n->words[n->count - 1] == 0) n->count--;
    SHOAL_DEBUG_ASSERT(rest < 1000000000u);
    return (uint32_t)rest;
}

/* ---- rounding ---- */

static uint32_t wide_bits(wide v)
{
    _Static_assert(sizeof(wide) == 16, "two halves of 64 bits");
    uint64_t high = (uint64_t)(v >> 64), low = (uint64_t)v;
    if (high != 0) return 128 - (uint32_t)__builtin_clzll(high);
    return low != 0 ? 64 - (uint32_t)__builtin_clzll(low) : 0;
}

/* v >> shift to the nearest, ties to even; `more` says that bits below v were cut off. */
static wide shift_rounded(wide v, uint32_t shift, bool more)
{
    if (shift == 0) return v;
    if (shift > 127) return 0;
    wide rest = v & (((wide)1 << shift) - 1), half = (wide)1 << (shift - 1);
    v >>= shift;
    bool up = rest > half || (rest == half && (more || (v & 1) != 0));
    return v + up;
}

/* The number nearest to v * 2^exponent; `more` as above, and then v has more than 64 bits. */
static shoal_extended rounded(wide v, int32_t exponent, bool more)
{
    uint32_t bits = wide_bits(v);
    SHOAL_ASSERT(!more || bits > 64);
    if (bits == 0) return (shoal_extended){.exponent = EXPONENT_MIN};
    int32_t shift = (int32_t)bits - 64;
    if (exponent + shift < EXPONENT_MIN) shift = EXPONENT_MIN - exponent;
    if (shift <= 0) {
        v <<= -shift;
    } else {
        v = shift_rounded(v, (uint32_t)shift, more);
        if (wide_bits(v) > 64) v >>= 1, shift++;
    }
    exponent += shift;
    if (exponent > EXPONENT_MAX) return (shoal_extended){.infinite = true};
    return (shoal_extended){.mantissa = (uint64_t)v, .exponent = exponent};
}

/* ---- text to number ---- */

/* A decimal text taken apart: digits * 10^power. */
typedef struct decimal {
    natural digits;
    int64_t power;
    int64_t count; /* digits without leading zeros */
} decimal;

static bool is_digit(shoal_slice text, size_t at)
{
    SHOAL_DEBUG_ASSERT(text.data != NULL);
    return at < text.size && text.data[at] >= '0' && text.data[at] <= '9';
}

/* Adds the exponent at `at`, which `letter` begins and which may be absent, to `*power`. False when
 * it is not the end of the text. */
static bool take_exponent(shoal_slice text, size_t at, char letter, int64_t *power)
{
    if (at == text.size) return true;
    if (shoal_text_lower(text.data[at++]) != letter) return false;
    SHOAL_DEBUG_ASSERT(at <= text.size);
    bool negative = at < text.size && text.data[at] == '-';
    if (negative || (at < text.size && text.data[at] == '+')) at++;
    if (!is_digit(text, at)) return false;
    int64_t value = 0;
    /* Beyond a million it is far outside the range, whatever follows. */
    for (; is_digit(text, at); at++)
        if (value < 1000000) value = value * 10 + (text.data[at] - '0');
    *power += negative ? -value : value;
    return at == text.size;
}

static bool take_apart(shoal_slice text, decimal *out)
{
    size_t at = 0, seen = 0;
    bool point = false;
    out->digits.count = 0;
    out->power = out->count = 0;
    for (; at < text.size; at++) {
        if (text.data[at] == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(text, at)) break;
        seen++;
        multiply_add(&out->digits, 10, (uint32_t)(text.data[at] - '0'));
        out->count += out->digits.count != 0;
        out->power -= point;
    }
    return seen > 0 && take_exponent(text, at, 'e', &out->power);
}

/* digits * 10^power as the nearest number; digits are not zero. */
static shoal_extended nearest(decimal *from)
{
    SHOAL_ASSERT(from->digits.count > 0);
    natural *above = &from->digits, below = {.count = 1, .words = {1}};
    if (from->power >= 0)
        multiply_ten_to(above, (uint32_t)from->power);
    else
        multiply_ten_to(&below, (uint32_t)-from->power);

    /* above * 2^scale / below has 66 or 67 bits. */
    int32_t scale = 66 + (int32_t)bits_of(&below) - (int32_t)bits_of(above);
    if (scale > 0)
        shift_left(above, (uint32_t)scale);
    else
        shift_left(&below, (uint32_t)-scale);
    shift_left(&below, 66);
    wide quotient = 0;
    for (int i = 0; i <= 66; i++) {
        quotient = quotient << 1 | subtract_if_fits(above, &below);
        halve(&below);
    }
    SHOAL_ASSERT(wide_bits(quotient) == 66 || wide_bits(quotient) == 67);
    return rounded(quotient, -scale, above->count != 0);
}

/* ---- hexadecimal ---- */

/* Bits of hexadecimal digits that are kept; below them only whether anything is there counts. */
#define HEX_BITS 120

/* Digits taken apart: v * 2^exponent, and `more` says that there is something below v. */
typedef struct hexadecimal {
    wide v;
    int64_t exponent;
    bool more;
} hexadecimal;

static void take_hex_digit(hexadecimal *parts, int digit, bool behind_point)
{
    SHOAL_DEBUG_ASSERT(digit >= 0 && digit < 16);
    if (wide_bits(parts->v) + 4 <= HEX_BITS) {
        parts->v = parts->v << 4 | (unsigned)digit;
        if (behind_point) parts->exponent -= 4;
    } else {
        parts->more = parts->more || digit != 0;
        if (!behind_point) parts->exponent += 4;
    }
}

/* Reads what stands behind "0x": digits, a point among them, and an exponent of two if any. */
static bool take_hex_apart(shoal_slice text, hexadecimal *out)
{
    SHOAL_ASSERT(text.size > 0);
    SHOAL_ASSERT(text.data != NULL);
    *out = (hexadecimal){0};
    size_t at = 0, seen = 0;
    bool point = false;
    for (; at < text.size; at++) {
        int digit = shoal_text_hex_digit(text.data[at]);
        if (text.data[at] == '.' && !point) {
            point = true;
            continue;
        }
        if (digit < 0) break;
        seen++;
        take_hex_digit(out, digit, point);
    }
    return seen > 0 && take_exponent(text, at, 'p', &out->exponent);
}

/* Reads what stands behind "0x". False for what is no number, infinite, or lost as zero. */
static bool parse_hex(shoal_slice text, shoal_extended *out)
{
    hexadecimal parts;
    SHOAL_ASSERT(text.size > 0 && text.size < TEXT_MAX);
    if (!take_hex_apart(text, &parts)) return false;
    SHOAL_ASSERT(!parts.more || wide_bits(parts.v) > 64);
    /* Beyond these the number is infinite or zero, whatever its digits. */
    int64_t exponent = parts.exponent;
    if (exponent > 2 * EXPONENT_MAX) exponent = 2 * EXPONENT_MAX;
    if (exponent < 2 * EXPONENT_MIN) exponent = 2 * EXPONENT_MIN;
    *out = rounded(parts.v, (int32_t)exponent, parts.more);
    return !out->infinite && (out->mantissa != 0 || parts.v == 0);
}

/* ---- any text ---- */

bool shoal_extended__parse(shoal_slice text, shoal_extended *out)
{
    decimal parts;
    SHOAL_ASSERT(out != NULL);
    if (text.size == 0 || text.size > TEXT_MAX) return false;
    bool negative = text.data[0] == '-';
    if (negative || text.data[0] == '+') text.data++, text.size--;
    if (shoal_text_is(text, "inf") || shoal_text_is(text, "infinity")) {
        *out = (shoal_extended){.infinite = true, .negative = negative};
        return true;
    }
    if (text.size > 2 && text.data[0] == '0' && shoal_text_lower(text.data[1]) == 'x') {
        bool valid = parse_hex((shoal_slice){text.data + 2, text.size - 2}, out);
        out->negative = negative;
        return valid;
    }
    if (!take_apart(text, &parts)) return false;
    *out = (shoal_extended){.exponent = EXPONENT_MIN, .negative = negative};
    if (parts.digits.count == 0) return true;
    int64_t magnitude = parts.count + parts.power;
    if (magnitude > DECIMALS_MAX || magnitude < DECIMALS_MIN) return false;
    *out = nearest(&parts);
    out->negative = negative;
    return !out->infinite && out->mantissa != 0;
}

/* ---- sum ---- */

bool shoal_extended__add(shoal_extended a, shoal_extended b, shoal_extended *sum)
{
    if (a.infinite || b.infinite) return false;
    if (a.mantissa == 0 || b.mantissa == 0) {
        *sum = a.mantissa == 0 ? b : a;
        return true;
    }
    bool swap = a.exponent < b.exponent || (a.exponent == b.exponent && a.mantissa < b.mantissa);
    shoal_extended great = swap ? b : a, small = swap ? a : b;
    uint32_t distance = (uint32_t)(great.exponent - small.exponent);
    wide v = (wide)great.mantissa << 62, w = (wide)small.mantissa << 62;
    bool more = distance > 127 ? w != 0 : (w & (((wide)1 << distance) - 1)) != 0;
    w = distance > 127 ? 0 : w >> distance;
    if (great.negative == small.negative)
        v += w;
    else
        v -= w + more;
    *sum = rounded(v, great.exponent - 62, more);
    sum->negative = v != 0 && great.negative;
    SHOAL_DEBUG_ASSERT(sum->infinite || sum->exponent >= EXPONENT_MIN);
    return !sum->infinite;
}

/* ---- number to text ---- */

/* Appends a number of at least 2^63, which has no fraction. */
static void append_whole(shoal_extended value, shoal_buffer *out)
{
    SHOAL_ASSERT(value.exponent >= 0 && value.exponent <= EXPONENT_MAX);
    natural n = {.count = 2};
    n.words[0] = (uint32_t)value.mantissa;
    n.words[1] = (uint32_t)(value.mantissa >> 32);
    shift_left(&n, (uint32_t)value.exponent);
    uint32_t groups[NATURAL_WORDS + NATURAL_WORDS / 8];
    uint32_t count = 0;
    while (n.count > 0) {
        SHOAL_ASSERT(count < sizeof(groups) / sizeof(groups[0]));
        groups[count++] = divide_billion(&n);
    }
    shoal_text_append_u64(out, groups[count - 1]);
    for (uint32_t i = count - 1; i > 0; i--) shoal_text_appendf(out, "%09u", groups[i - 1]);
}

void shoal_extended__append(shoal_extended value, shoal_buffer *out)
{
    SHOAL_ASSERT(!value.infinite);
    if (value.exponent >= 0) {
        if (value.negative) shoal_buffer_append(out, (shoal_slice){"-", 1});
        append_whole(value, out);
        return;
    }
    /* Below 2^122, so that the two halves below fit. */
    wide scaled = shift_rounded((wide)value.mantissa * TEN_TO_17, (uint32_t)-value.exponent, false);
    uint64_t whole = (uint64_t)(scaled / TEN_TO_17), fraction = (uint64_t)(scaled % TEN_TO_17);
    if (value.negative && scaled != 0) shoal_buffer_append(out, (shoal_slice){"-", 1});
    shoal_text_append_u64(out, whole);
    if (fraction == 0) return;
    char digits[18];
    size_t size = 17;
    for (size_t i = 17; i > 0; i--, fraction /= 10) digits[i] = (char)('0' + fraction % 10);
    digits[0] = '.';
    while (digits[size] == '0') size--;
    shoal_buffer_append(out, (shoal_slice){digits, size + 1});
}
