/* SPDX-License-Identifier: MIT
 *
 * base/number_read.c - text to doubles, exactly.
 *
 * The digits, as an integer of up to 64 bits, and a power of ten say what is meant. Two ways lead
 * to the nearest double, both without error:
 *   - the quick way, for up to 19 digits and powers up to 27: 128 bits hold the product, or the
 *     quotient with its remainder;
 *   - the long way, for everything else: natural numbers of some thousand bits, divided bit by bit.
 * Ties go to the even neighbour, as in IEEE 754 and in the C libraries.
 */
#include "base/number.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"

__extension__ typedef unsigned __int128 wide;

/* Digits that matter: of more than 768 significant ones, only whether the rest is zero. */
#define DIGITS_MAX 770
/* Decimal digits that a 64-bit integer holds whatever they are. */
#define DIGITS_SMALL 19
/* 5^27 is the largest power of five below 2^64. */
#define FIVES_MAX 27
/* Beyond these powers of ten of the first digit nothing is left but infinity and zero. */
#define EXPONENT_MAX 310
#define EXPONENT_MIN (-345)
/* Exponents in the text saturate here: more digits than any text has bytes would have to make up
 * for it. */
#define EXPONENT_LIMIT (INT64_C(1) << 40)

/* ---- from a binary fraction to a double ---- */

/* The double nearest to mantissa * 2^exponent, where `more` says that the value is a little larger
 * than that; mantissa is not 0 and has its highest bit set when `more` is. */
static double assemble(uint64_t mantissa, int64_t exponent, bool more)
{
    SHOAL_ASSERT(mantissa != 0);
    int shift = __builtin_clzll(mantissa);
    SHOAL_ASSERT(!more || shift == 0);
    mantissa <<= shift;
    exponent -= shift;
    /* Now the value is 1.xxx * 2^(exponent + 63). */
    int64_t top = exponent + 63;
    uint64_t bits;
    if (top > 1023) {
        bits = UINT64_C(0x7FF) << 52;
    } else {
        /* 11 bits go, more below the normal range. */
        int64_t drop = top >= -1022 ? 11 : 11 + (-1022 - top);
        if (drop > 64) return 0;
        uint64_t kept = drop == 64 ? 0 : mantissa >> drop;
        uint64_t rest = drop == 64 ? mantissa : mantissa & ((UINT64_C(1) << drop) - 1);
        uint64_t half = UINT64_C(1) << (drop - 1);
        bool up = rest > half || (rest == half && (more || (kept & 1)));
        /* The hidden bit, and a carry out of the fraction, add themselves to the exponent. */
        bits = kept + up + (top >= -1022 ? (uint64_t)(top + 1022) << 52 : 0);
    }
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* ---- decimal, the quick way ---- */

static uint64_t power_of_five(uint32_t exponent)
{
    SHOAL_ASSERT(exponent <= FIVES_MAX);
    uint64_t power = 1;
    for (; exponent != 0; exponent--) power *= 5;
    return power;
}

/* digits * 10^exponent for small exponents. */
static double scale_quick(uint64_t digits, int32_t exponent)
{
    SHOAL_ASSERT(digits != 0);
    SHOAL_ASSERT(exponent >= -FIVES_MAX && exponent <= FIVES_MAX);
    if (exponent >= 0) {
        wide product = (wide)digits * power_of_five((uint32_t)exponent);
        uint64_t high = (uint64_t)(product >> 64);
        if (high == 0) return assemble((uint64_t)product, exponent, false);
        int shift = 64 - __builtin_clzll(high);
        bool more = shift < 64 ? (product & (((wide)1 << shift) - 1)) != 0 : (uint64_t)product != 0;
        return assemble((uint64_t)(product >> shift), exponent + shift, more);
    }
    uint64_t divisor = power_of_five((uint32_t)-exponent);
    /* Both with their highest bits set: the quotient has 64 or 65 bits. */
    int up = __builtin_clzll(digits), down = __builtin_clzll(divisor);
    wide numerator = (wide)(digits << up) << 64;
    wide quotient = numerator / (divisor << down);
    bool more = quotient * (divisor << down) != numerator;
    int32_t power = exponent - up + down - 64;
    if (quotient >> 64 != 0) {
        more |= (uint64_t)(quotient & 1);
        quotient >>= 1;
        power++;
    } else if (quotient >> 63 == 0) {
        /* Cannot be: the divisor is below 2^64 and the numerator at least 2^127. */
        SHOAL_UNREACHABLE();
    }
    return assemble((uint64_t)quotient, power, more);
}

/* ---- decimal, the long way ---- */

/* Digits times ten to the power of 310 have 3588 bits; a denominator of 10^(345 + 770) 3704, and
 * either is shifted up to the other's size and by one bit more. */
#define NATURAL_WORDS 120

/* words[0] is the lowest; the highest that counts is not zero. */
typedef struct natural {
    uint32_t count;
    uint32_t words[NATURAL_WORDS];
} natural;

/* n = n * factor + addend */
static void natural_multiply_add(natural *n, uint32_t factor, uint32_t addend)
{
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

static void natural_shift_left(natural *n, uint32_t bits)
{
    uint32_t words = bits / 32;
    SHOAL_ASSERT(n->count + words <= NATURAL_WORDS);
    memmove(n->words + words, n->words, n->count * sizeof(n->words[0]));
    memset(n->words, 0, words * sizeof(n->words[0]));
    n->count += words;
    natural_multiply_add(n, 1u << (bits % 32), 0);
}

static int64_t natural_bits(const natural *n)
{
    SHOAL_ASSERT(n->count > 0);
    return (int64_t)n->count * 32 - __builtin_clz(n->words[n->count - 1]);
}

static bool natural_at_least(const natural *a, const natural *b)
{
    SHOAL_DEBUG_ASSERT(b->count > 0);
    if (a->count != b->count) return a->count > b->count;
    for (uint32_t i = a->count; i-- > 0;) {
        if (a->words[i] != b->words[i]) return a->words[i] > b->words[i];
    }
    return true;
}

static void natural_subtract(natural *a, const natural *b)
{
    uint64_t borrow = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        uint64_t other = (i < b->count ? b->words[i] : 0) + borrow;
        borrow = a->words[i] < other;
        a->words[i] = (uint32_t)(a->words[i] - other);
    }
    SHOAL_ASSERT(borrow == 0);
    while (a->count > 0 && a->words[a->count - 1] == 0) a->count--;
}

/* `digits` (values 0 to 9, the first not 0) * 10^exponent. */
static double scale_long(const char *digits, uint32_t count, int64_t exponent)
{
    SHOAL_ASSERT(count > 0 && digits[0] != 0);
    natural numerator = {.count = 0}, denominator = {.count = 1, .words = {1}};
    for (uint32_t i = 0; i < count; i++)
        natural_multiply_add(&numerator, 10, (uint32_t)(unsigned char)digits[i]);
    natural *scaled = exponent >= 0 ? &numerator : &denominator;
    for (int64_t i = exponent >= 0 ? exponent : -exponent; i > 0; i--)
        natural_multiply_add(scaled, 10, 0);

    /* The quotient is made to lie between 1/2 and 2; then its bits are shifted out. */
    int64_t power = natural_bits(&numerator) - natural_bits(&denominator);
    if (power > 0) {
        natural_shift_left(&denominator, (uint32_t)power);
    } else {
        natural_shift_left(&numerator, (uint32_t)-power);
    }
    uint64_t mantissa = 0;
    power++; /* of the bit that is found next, plus one */
    while (mantissa >> 63 == 0) {
        bool bit = natural_at_least(&numerator, &denominator);
        if (bit) natural_subtract(&numerator, &denominator);
        mantissa = mantissa << 1 | bit;
        natural_multiply_add(&numerator, 2, 0);
        power--;
    }
    return assemble(mantissa, power, numerator.count != 0);
}

/* ---- text ---- */

/* What is left to be read. */
typedef struct reader {
    const char *at, *end;
} reader;

static bool take(reader *r, char lower)
{
    SHOAL_DEBUG_ASSERT(r->at <= r->end);
    if (r->at == r->end || shoal_text_lower(*r->at) != lower) return false;
    r->at++;
    return true;
}

/* Takes a sign; true for a minus. */
static bool take_minus(reader *r)
{
    SHOAL_DEBUG_ASSERT(r->at <= r->end);
    if (take(r, '-')) return true;
    take(r, '+');
    return false;
}

/* The exponent behind 'e' or 'p': false when there is none, and nothing is taken. */
static bool take_exponent(reader *r, char letter, int64_t *exponent)
{
    reader probe = *r;
    SHOAL_DEBUG_ASSERT(*exponent == 0);
    if (!take(&probe, letter)) return false;
    bool minus = take_minus(&probe);
    const char *first = probe.at;
    int64_t value = 0;
    for (; probe.at < probe.end && *probe.at >= '0' && *probe.at <= '9'; probe.at++) {
        if (value < EXPONENT_LIMIT) value = value * 10 + (*probe.at - '0');
    }
    if (probe.at == first) return false;
    *exponent = minus ? -value : value;
    *r = probe;
    return true;
}

static bool is_word(const reader *r, const char *word)
{
    SHOAL_DEBUG_ASSERT(word[0] != '\0');
    return shoal_text_is((shoal_slice){r->at, (size_t)(r->end - r->at)}, word);
}

/* Digits behind 0x, a point among them, and an exponent of two. */
static bool read_hex(reader *r, double *magnitude)
{
    uint64_t mantissa = 0;
    int64_t exponent = 0, written = 0;
    bool more = false, point = false, any = false;
    for (; r->at < r->end; r->at++) {
        if (*r->at == '.' && !point) {
            point = true;
            continue;
        }
        int digit = shoal_text_hex_digit(*r->at);
        if (digit < 0) break;
        any = true;
        if (mantissa >> 60 == 0) {
            mantissa = mantissa << 4 | (uint64_t)digit;
            exponent -= point ? 4 : 0;
        } else {
            more |= digit != 0;
            exponent += point ? 0 : 4;
        }
    }
    SHOAL_ASSERT(any || mantissa == 0);
    if (!any) return false;
    take_exponent(r, 'p', &written);
    *magnitude = 0;
    if (mantissa == 0) return r->at == r->end;
    /* The digits that were dropped are less than one; a bit below the lowest stands for them. */
    int shift = __builtin_clzll(mantissa);
    *magnitude = assemble(mantissa << shift | (more && shift > 0), exponent + written - shift,
                          more && shift == 0);
    return r->at == r->end;
}

/* The digits of a decimal number, leading zeros left out. */
typedef struct decimal {
    uint64_t small; /* the first DIGITS_SMALL */
    uint32_t count; /* in `digits` */
    int64_t exponent;
    bool any, more; /* digits at all; others than 0 behind those kept */
    char digits[DIGITS_MAX + 1];
} decimal;

static void read_digits(reader *r, decimal *out)
{
    bool point = false;
    SHOAL_DEBUG_ASSERT(out->count == 0);
    for (; r->at < r->end; r->at++) {
        char c = *r->at;
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') return;
        out->any = true;
        if (out->count == 0 && c == '0') {
            out->exponent -= point;
        } else if (out->count < DIGITS_MAX) {
            if (out->count < DIGITS_SMALL) out->small = out->small * 10 + (uint64_t)(c - '0');
            out->digits[out->count++] = (char)(c - '0');
            out->exponent -= point;
        } else {
            out->more |= c != '0';
            out->exponent += !point;
        }
    }
}

static bool read_decimal(reader *r, double *magnitude)
{
    decimal d;
    d.small = 0;
    d.count = 0;
    d.exponent = 0;
    d.any = d.more = false;
    int64_t written = 0;
    read_digits(r, &d);
    if (!d.any) return false;
    take_exponent(r, 'e', &written);
    if (r->at != r->end) return false;
    *magnitude = 0;
    if (d.count == 0) return true;
    int64_t exponent = d.exponent + written, top = exponent + d.count;
    if (top > EXPONENT_MAX) {
        *magnitude = assemble(1, 1024, false);
    } else if (top >= EXPONENT_MIN) {
        bool quick = d.count <= DIGITS_SMALL && exponent >= -FIVES_MAX && exponent <= FIVES_MAX;
        if (quick) {
            *magnitude = scale_quick(d.small, (int32_t)exponent);
        } else {
            /* A last digit that is not 0 stands for whatever was left out. */
            if (d.more) d.digits[d.count++] = 1;
            *magnitude = scale_long(d.digits, d.count, exponent - d.more);
        }
    }
    SHOAL_ASSERT(*magnitude >= 0);
    return true;
}

shoal_number_kind shoal_number_to_double(shoal_slice text, double *out)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    reader r = {text.data, text.data + text.size};
    bool minus = r.at < r.end && take_minus(&r);
    double magnitude;
    bool zero = true;
    if (is_word(&r, "inf") || is_word(&r, "infinity")) {
        magnitude = assemble(1, 1024, false);
        *out = minus ? -magnitude : magnitude;
        return SHOAL_NUMBER_READ;
    }
    if (r.end - r.at > 2 && r.at[0] == '0' && shoal_text_lower(r.at[1]) == 'x') {
        r.at += 2;
        for (const char *at = r.at; at < r.end && shoal_text_lower(*at) != 'p'; at++)
            zero &= *at == '0' || *at == '.';
        if (!read_hex(&r, &magnitude)) return SHOAL_NUMBER_NONE;
    } else {
        for (const char *at = r.at; at < r.end && shoal_text_lower(*at) != 'e'; at++)
            zero &= *at == '0' || *at == '.';
        if (!read_decimal(&r, &magnitude)) return SHOAL_NUMBER_NONE;
    }
    *out = minus ? -magnitude : magnitude;
    if (magnitude > 0x1.fffffffffffffp1023) return SHOAL_NUMBER_LARGE;
    return magnitude == 0 && !zero ? SHOAL_NUMBER_SMALL : SHOAL_NUMBER_READ;
}
