/* SPDX-License-Identifier: MIT
 *
 * Numbers to text and back, comparison and search. Formatting stands in format.c, glob patterns
 * in glob.c.
 */
#include "base/text.h"

#include "base/assert.h"

static const char HEX_DIGITS[] = "0123456789abcdef";

/* "00" to "99": two digits for one division. */
static const char DIGIT_PAIRS[] = "0001020304050607080910111213141516171819"
                                  "2021222324252627282930313233343536373839"
                                  "4041424344454647484950515253545556575859"
                                  "6061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

/* ---- numbers ---- */

static size_t decimal_digits(uint64_t value)
{
    size_t digits = 1;
    for (;;) {
        if (value < 10) return digits;
        if (value < 100) return digits + 1;
        if (value < 1000) return digits + 2;
        if (value < 10000) return digits + 3;
        value /= 10000;
        digits += 4;
    }
}

static size_t put_decimal(char *out, uint64_t value)
{
    SHOAL_ASSERT(out != NULL);
    size_t digits = decimal_digits(value);
    size_t at = digits;
    while (value >= 100) {
        at -= 2;
        memcpy(out + at, DIGIT_PAIRS + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        memcpy(out, DIGIT_PAIRS + 2 * value, 2);
    } else {
        out[0] = (char)('0' + value);
    }
    SHOAL_ASSERT(digits <= SHOAL_TEXT_INTEGER_SIZE);
    return digits;
}

size_t shoal_text_from_u64(char out[SHOAL_TEXT_INTEGER_SIZE], uint64_t value)
{
    return put_decimal(out, value);
}

size_t shoal_text_from_i64(char out[SHOAL_TEXT_INTEGER_SIZE], int64_t value)
{
    if (value >= 0) return put_decimal(out, (uint64_t)value);
    out[0] = '-';
    /* Negated as unsigned, so that INT64_MIN has a magnitude too; it has 19 digits at most. */
    return 1 + put_decimal(out + 1, 0 - (uint64_t)value);
}

size_t shoal_text_from_hex(char out[SHOAL_TEXT_HEX_SIZE], uint64_t value)
{
    size_t digits = 1;
    while (digits < SHOAL_TEXT_HEX_SIZE && value >> (4 * digits) != 0) digits++;
    SHOAL_ASSERT(digits >= 1 && digits <= SHOAL_TEXT_HEX_SIZE);
    for (size_t i = 0; i < digits; i++) out[i] = HEX_DIGITS[value >> (4 * (digits - 1 - i)) & 15];
    return digits;
}

bool shoal_text_to_u64(shoal_slice text, uint64_t *out)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    SHOAL_ASSERT(out != NULL);
    if (text.size == 0 || text.size > SHOAL_TEXT_INTEGER_SIZE) return false;
    if (text.data[0] == '0' && text.size > 1) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)((unsigned char)text.data[i] - '0');
        if (digit > 9) return false;
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool shoal_text_to_i64(shoal_slice text, int64_t *out)
{
    SHOAL_ASSERT(out != NULL);
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t magnitude;
    if (negative) text = (shoal_slice){text.data + 1, text.size - 1};
    if (!shoal_text_to_u64(text, &magnitude)) return false;
    if (negative) {
        if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1) return false;
        *out = (int64_t)(0 - magnitude);
    } else {
        if (magnitude > INT64_MAX) return false;
        *out = (int64_t)magnitude;
    }
    return true;
}

int shoal_text_hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = shoal_text_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool shoal_text_to_hex(shoal_slice text, uint64_t *out)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    SHOAL_ASSERT(out != NULL);
    if (text.size == 0 || text.size > SHOAL_TEXT_HEX_SIZE) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = shoal_text_hex_digit(text.data[i]);
        if (digit < 0) return false;
        value = value << 4 | (uint64_t)digit;
    }
    *out = value;
    return true;
}

void shoal_text_append_hex(shoal_buffer *out, shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.size <= PTRDIFF_MAX / 4);
    char *room = shoal_buffer_reserve(out, 2 * bytes.size);
    if (room == NULL) return;
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char byte = (unsigned char)bytes.data[i];
        room[2 * i] = HEX_DIGITS[byte >> 4];
        room[2 * i + 1] = HEX_DIGITS[byte & 15];
    }
    shoal_buffer_commit(out, 2 * bytes.size);
}

void shoal_text_append_i64(shoal_buffer *out, int64_t value)
{
    char *room = shoal_buffer_reserve(out, SHOAL_TEXT_INTEGER_SIZE);
    if (room) shoal_buffer_commit(out, shoal_text_from_i64(room, value));
}

void shoal_text_append_u64(shoal_buffer *out, uint64_t value)
{
    char *room = shoal_buffer_reserve(out, SHOAL_TEXT_INTEGER_SIZE);
    if (room) shoal_buffer_commit(out, shoal_text_from_u64(room, value));
}

/* ---- comparison and search ---- */

bool shoal_text_equal(shoal_slice a, shoal_slice b)
{
    SHOAL_DEBUG_ASSERT(a.data != NULL || a.size == 0);
    SHOAL_DEBUG_ASSERT(b.data != NULL || b.size == 0);
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool shoal_text_equal_nocase(shoal_slice a, shoal_slice b)
{
    SHOAL_DEBUG_ASSERT(a.data != NULL || a.size == 0);
    SHOAL_DEBUG_ASSERT(b.data != NULL || b.size == 0);
    if (a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++) {
        if (shoal_text_lower(a.data[i]) != shoal_text_lower(b.data[i])) return false;
    }
    return true;
}

int shoal_text_compare(shoal_slice a, shoal_slice b)
{
    SHOAL_DEBUG_ASSERT(a.data != NULL || a.size == 0);
    SHOAL_DEBUG_ASSERT(b.data != NULL || b.size == 0);
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) return order;
    return (a.size > b.size) - (a.size < b.size);
}

size_t shoal_text_find(shoal_slice haystack, shoal_slice needle)
{
    SHOAL_ASSERT(haystack.data != NULL || haystack.size == 0);
    SHOAL_ASSERT(needle.data != NULL || needle.size == 0);
    if (needle.size == 0) return 0;
    if (needle.size > haystack.size) return SHOAL_TEXT_NONE;
    for (size_t at = 0; at <= haystack.size - needle.size; at++) {
        if (haystack.data[at] != needle.data[0]) continue;
        if (memcmp(haystack.data + at, needle.data, needle.size) == 0) return at;
    }
    return SHOAL_TEXT_NONE;
}
