/* SPDX-License-Identifier: MIT
 *
 * value/pack.c - elements to bytes and back. The forms are told apart by the first byte; the code
 * asks for the frequent ones first, and touches the bytes of a string only where it must.
 */
#include "value/pack.h"

#include <string.h>

#include "base/bytes.h"
#include "base/number.h"
#include "base/text.h"

/* First bytes of the forms. */
enum {
    FORM_TINY_STRING = 0x80,
    FORM_SHORT_INTEGER = 0xc0,
    FORM_SHORT_STRING = 0xe0,
    FORM_STRING = 0xf0,
    FORM_INTEGER_16 = 0xf1,
    FORM_INTEGER_24 = 0xf2,
    FORM_INTEGER_32 = 0xf3,
    FORM_INTEGER_64 = 0xf4,
    FORM_DOUBLE = 0xf5
};

/* Longest strings of the first two forms, and the integers that take two bytes. */
#define TINY_STRING_MAX 63u
#define SHORT_STRING_MAX 4095u
#define SHORT_INTEGER_MIN (-4096)
#define SHORT_INTEGER_MAX 4095

/* The longest text of an int64 has 20 characters. */
#define INTEGER_TEXT_MAX 20u

_Static_assert(SHOAL_NUMBER_DOUBLE_MAX <= 32, "the scratch of shoal_element_text");

/* ---- elements ---- */

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

shoal_element shoal_element_of(shoal_slice bytes)
{
    SHOAL_ASSERT(bytes.size <= SHOAL_PACK_STRING_MAX);
    shoal_element element = {.kind = SHOAL_ELEMENT_BYTES, .bytes = bytes};
    /* Most strings end here: the last character says that they are no number. */
    if (bytes.size == 0 || bytes.size > INTEGER_TEXT_MAX || !is_digit(bytes.data[bytes.size - 1]))
        return element;
    if (!is_digit(bytes.data[0]) && bytes.data[0] != '-') return element;
    if (shoal_text_to_i64(bytes, &element.integer)) element.kind = SHOAL_ELEMENT_INTEGER;
    return element;
}

static uint64_t double_bits(double number)
{
    uint64_t bits;
    _Static_assert(sizeof(bits) == sizeof(number), "IEEE 754 doubles");
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

shoal_element shoal_element_of_double(double number)
{
    /* 2^63 itself is no int64; not-a-number fails every comparison. */
    if (number >= -0x1p63 && number < 0x1p63) {
        int64_t integer = (int64_t)number;
        if (double_bits((double)integer) == double_bits(number))
            return shoal_element_of_integer(integer);
    }
    shoal_element element = {.kind = SHOAL_ELEMENT_DOUBLE, .number = number};
    SHOAL_DEBUG_ASSERT(element.bytes.data == NULL);
    return element;
}

shoal_slice shoal_element_text(const shoal_element *element, char scratch[32])
{
    SHOAL_DEBUG_ASSERT(scratch != NULL);
    switch (element->kind) {
    case SHOAL_ELEMENT_BYTES: return element->bytes;
    case SHOAL_ELEMENT_INTEGER:
        return (shoal_slice){scratch, shoal_text_from_i64(scratch, element->integer)};
    case SHOAL_ELEMENT_DOUBLE:
        return (shoal_slice){scratch, shoal_number_from_double(element->number, scratch)};
    }
    SHOAL_UNREACHABLE();
    return (shoal_slice){0};
}

double shoal_element_double(const shoal_element *element)
{
    if (element->kind == SHOAL_ELEMENT_INTEGER) return (double)element->integer;
    SHOAL_ASSERT(element->kind == SHOAL_ELEMENT_DOUBLE);
    return element->number;
}

bool shoal_element_equals(const shoal_element *element, const shoal_element *probe)
{
    SHOAL_DEBUG_ASSERT(element != NULL && probe != NULL);
    if (element->kind != probe->kind) return false;
    switch (element->kind) {
    case SHOAL_ELEMENT_BYTES: return shoal_text_equal(element->bytes, probe->bytes);
    case SHOAL_ELEMENT_INTEGER: return element->integer == probe->integer;
    case SHOAL_ELEMENT_DOUBLE: return double_bits(element->number) == double_bits(probe->number);
    }
    SHOAL_UNREACHABLE();
    return false;
}

/* ---- writing ---- */

/* Bytes of an integer, the first byte included. */
static size_t integer_size(int64_t integer)
{
    SHOAL_DEBUG_ASSERT(SHORT_INTEGER_MIN < 0);
    if (integer >= 0 && integer < FORM_TINY_STRING) return 1;
    if (integer >= SHORT_INTEGER_MIN && integer <= SHORT_INTEGER_MAX) return 2;
    if (integer >= INT16_MIN && integer <= INT16_MAX) return 3;
    if (integer >= -(1 << 23) && integer < 1 << 23) return 4;
    if (integer >= INT32_MIN && integer <= INT32_MAX) return 5;
    return 9;
}

/* Bytes in front of a string. */
static size_t string_head_size(size_t size)
{
    SHOAL_DEBUG_ASSERT(size <= SHOAL_PACK_STRING_MAX);
    if (size <= TINY_STRING_MAX) return 1;
    return size <= SHORT_STRING_MAX ? 2 : 5;
}

size_t shoal_pack_size_of(const shoal_element *element)
{
    if (element->kind == SHOAL_ELEMENT_BYTES)
        return string_head_size(element->bytes.size) + element->bytes.size;
    if (element->kind == SHOAL_ELEMENT_INTEGER) return integer_size(element->integer);
    SHOAL_ASSERT(element->kind == SHOAL_ELEMENT_DOUBLE);
    return 9;
}

static char *write_integer(char *at, int64_t integer)
{
    size_t size = integer_size(integer);
    uint64_t bits = (uint64_t)integer;
    switch (size) {
    case 1: *at = (char)bits; break;
    case 2: shoal_bytes_put_be16(at, (uint16_t)(FORM_SHORT_INTEGER << 8 | (bits & 0x1fff))); break;
    case 3:
        *at = (char)FORM_INTEGER_16;
        shoal_bytes_put_le16(at + 1, (uint16_t)bits);
        break;
    case 4:
        *at = (char)FORM_INTEGER_24;
        shoal_bytes_put_le16(at + 1, (uint16_t)bits);
        at[3] = (char)(bits >> 16);
        break;
    case 5:
        *at = (char)FORM_INTEGER_32;
        shoal_bytes_put_le32(at + 1, (uint32_t)bits);
        break;
    default:
        SHOAL_DEBUG_ASSERT(size == 9);
        *at = (char)FORM_INTEGER_64;
        shoal_bytes_put_le64(at + 1, bits);
    }
    return at + size;
}

static char *write_string_head(char *at, size_t size)
{
    SHOAL_DEBUG_ASSERT(size <= SHOAL_PACK_STRING_MAX);
    if (size <= TINY_STRING_MAX) {
        *at = (char)(FORM_TINY_STRING | size);
        return at + 1;
    }
    if (size <= SHORT_STRING_MAX) {
        shoal_bytes_put_be16(at, (uint16_t)(FORM_SHORT_STRING << 8 | size));
        return at + 2;
    }
    *at = (char)FORM_STRING;
    shoal_bytes_put_le32(at + 1, (uint32_t)size);
    return at + 5;
}

char *shoal_pack_write_front(char *at, const shoal_element *element)
{
    if (element->kind == SHOAL_ELEMENT_BYTES) return write_string_head(at, element->bytes.size);
    if (element->kind == SHOAL_ELEMENT_INTEGER) return write_integer(at, element->integer);
    SHOAL_ASSERT(element->kind == SHOAL_ELEMENT_DOUBLE);
    *at = (char)FORM_DOUBLE;
    shoal_bytes_put_le64(at + 1, double_bits(element->number));
    return at + 9;
}

char *shoal_pack_write(char *at, const shoal_element *element)
{
    SHOAL_DEBUG_ASSERT(at != NULL);
    at = shoal_pack_write_front(at, element);
    if (element->kind != SHOAL_ELEMENT_BYTES || element->bytes.size == 0) return at;
    memcpy(at, element->bytes.data, element->bytes.size);
    return at + element->bytes.size;
}

/* ---- reading ---- */

static const char *read_string(const char *at, const char *end, size_t size, shoal_element *out)
{
    SHOAL_ASSERT(size <= (size_t)(end - at));
    out->kind = SHOAL_ELEMENT_BYTES;
    out->bytes = (shoal_slice){at, size};
    return at + size;
}

/* The signed value of the lowest `width` bits. */
static int64_t sign_extend(uint64_t bits, unsigned width)
{
    SHOAL_DEBUG_ASSERT(width > 0 && width <= 64);
    return (int64_t)(bits << (64 - width)) >> (64 - width);
}

static const char *read_wide(const char *at, const char *end, shoal_element *out)
{
    const char *next = shoal_pack__skip_wide(at, end);
    unsigned form = (unsigned char)*at++;
    out->kind = SHOAL_ELEMENT_INTEGER;
    switch (form) {
    case FORM_STRING: return read_string(at + 4, end, shoal_bytes_get_le32(at), out);
    case FORM_INTEGER_16: out->integer = (int16_t)shoal_bytes_get_le16(at); break;
    case FORM_INTEGER_24:
        out->integer =
            sign_extend(shoal_bytes_get_le16(at) | (uint64_t)(unsigned char)at[2] << 16, 24);
        break;
    case FORM_INTEGER_32: out->integer = (int32_t)shoal_bytes_get_le32(at); break;
    case FORM_INTEGER_64: out->integer = (int64_t)shoal_bytes_get_le64(at); break;
    default: {
        SHOAL_DEBUG_ASSERT(form == FORM_DOUBLE);
        uint64_t bits = shoal_bytes_get_le64(at);
        out->kind = SHOAL_ELEMENT_DOUBLE;
        memcpy(&out->number, &bits, sizeof(bits));
    }
    }
    return next;
}

const char *shoal_pack_read(const char *at, const char *end, shoal_element *out)
{
    SHOAL_ASSERT(at < end);
    uint32_t first = (unsigned char)*at;
    if (first >= FORM_TINY_STRING && first < FORM_SHORT_INTEGER)
        return read_string(at + 1, end, first & TINY_STRING_MAX, out);
    if (first < FORM_TINY_STRING) {
        out->kind = SHOAL_ELEMENT_INTEGER;
        out->integer = first;
        return at + 1;
    }
    if (first >= FORM_STRING) return read_wide(at, end, out);
    SHOAL_ASSERT(end - at >= 2);
    uint32_t two = shoal_bytes_get_be16(at);
    if (first >= FORM_SHORT_STRING) return read_string(at + 2, end, two & SHORT_STRING_MAX, out);
    out->kind = SHOAL_ELEMENT_INTEGER;
    out->integer = sign_extend(two, 13);
    return at + 2;
}

/* Bytes of a wide form, or 0 when they are not all there. */
static size_t wide_size(const char *at, const char *end)
{
    SHOAL_DEBUG_ASSERT(at < end && (unsigned char)*at >= FORM_STRING);
    static const uint8_t sizes[16] = {5, 3, 4, 5, 9, 9};
    size_t room = (size_t)(end - at);
    size_t size = sizes[*at & 0x0f];
    if (size == 0 || size > room) return 0;
    if ((unsigned char)*at == FORM_STRING) size += shoal_bytes_get_le32(at + 1);
    return size <= room ? size : 0;
}

const char *shoal_pack__skip_wide(const char *at, const char *end)
{
    size_t size = wide_size(at, end);
    SHOAL_ASSERT(size != 0);
    return at + size;
}

/* ---- packs ---- */

uint32_t shoal_pack_count(shoal_slice pack)
{
    SHOAL_ASSERT(pack.size >= SHOAL_PACK_HEAD);
    uint32_t count = shoal_bytes_get_le16(pack.data);
    if (count < UINT16_MAX) return count;
    const char *end = shoal_pack_end(pack);
    count = 0;
    for (const char *at = shoal_pack_first(pack); at < end; at = shoal_pack_skip(at, end)) count++;
    return count;
}

const char *shoal_pack_at(shoal_slice pack, uint32_t index)
{
    SHOAL_ASSERT(pack.size >= SHOAL_PACK_HEAD);
    const char *at = shoal_pack_first(pack);
    const char *end = shoal_pack_end(pack);
    for (; index > 0; index--) at = shoal_pack_skip(at, end);
    return at;
}

const char *shoal_pack_find(shoal_slice pack, const char *from, const shoal_element *probe,
                            uint32_t skip)
{
    const char *end = shoal_pack_end(pack);
    SHOAL_ASSERT(from >= shoal_pack_first(pack) && from <= end);
    char head[SHOAL_PACK_OVERHEAD_MAX] = {0};
    size_t head_size = (size_t)(shoal_pack_write_front(head, probe) - head);
    shoal_slice tail = {.data = NULL};
    if (probe->kind == SHOAL_ELEMENT_BYTES) tail = probe->bytes;
    for (const char *at = from; at < end;) {
        if (*at == head[0] && (size_t)(end - at) >= head_size + tail.size &&
            memcmp(at, head, head_size) == 0 &&
            (tail.size == 0 || memcmp(at + head_size, tail.data, tail.size) == 0))
            return at;
        at = shoal_pack_skip(at, end);
        for (uint32_t i = skip; i > 0 && at < end; i--) at = shoal_pack_skip(at, end);
    }
    return NULL;
}

/* ---- bytes from outside ---- */

/* Bytes of the element at `at`, or 0 when they are not all there. */
static size_t checked_size(const char *at, const char *end)
{
    SHOAL_DEBUG_ASSERT(at < end);
    uint32_t first = (unsigned char)*at;
    size_t room = (size_t)(end - at);
    if (first >= FORM_STRING) return wide_size(at, end);
    size_t size = first < FORM_SHORT_INTEGER ? 1 : 2;
    if (size > room) return 0;
    if (first >= FORM_SHORT_STRING) {
        size += shoal_bytes_get_be16(at) & SHORT_STRING_MAX;
    } else if (first >= FORM_TINY_STRING && first < FORM_SHORT_INTEGER) {
        size += first & TINY_STRING_MAX;
    }
    return size <= room ? size : 0;
}

/* True when the element, which is all there, is written as shoal_pack_write would. */
static bool is_canonical(const shoal_element *element, size_t size)
{
    SHOAL_DEBUG_ASSERT(size > 0);
    if (shoal_pack_size_of(element) != size) return false;
    if (element->kind == SHOAL_ELEMENT_BYTES)
        return shoal_element_of(element->bytes).kind == SHOAL_ELEMENT_BYTES;
    if (element->kind == SHOAL_ELEMENT_INTEGER) return true;
    return !__builtin_isnan(element->number) && /* a score is a number */
           shoal_element_of_double(element->number).kind == SHOAL_ELEMENT_DOUBLE;
}

bool shoal_pack_check(shoal_slice pack)
{
    if (pack.size < SHOAL_PACK_HEAD) return false;
    SHOAL_ASSERT(pack.data != NULL);
    const char *end = shoal_pack_end(pack);
    uint64_t count = 0;
    for (const char *at = shoal_pack_first(pack); at < end; count++) {
        size_t size = checked_size(at, end);
        if (size == 0) return false;
        shoal_element element;
        shoal_pack_read(at, end, &element);
        if (!is_canonical(&element, size)) return false;
        at += size;
    }
    uint32_t said = shoal_bytes_get_le16(pack.data);
    return said == (count < UINT16_MAX ? count : UINT16_MAX);
}
