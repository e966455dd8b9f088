/* SPDX-License-Identifier: MIT
 *
 * shoal_text_appendf: the printf of an engine that may not call one. The same text everywhere:
 * no locale, no floating-point library.
 */
#include "base/text.h"

#include "base/assert.h"

/* Most digits after the point of a %f: their power of ten times a digit still fits 64 bits. */
#define PRECISION_MAX 9

/* Widths beyond this are a mistake. Chosen. */
#define WIDTH_MAX 1024

/* Room for the longest number: sign, 20 digits, point, PRECISION_MAX digits. */
#define NUMBER_SIZE 32

/* One directive, parsed. */
typedef struct directive {
    char type;     /* the letter */
    char length;   /* 0, 'H' for hh, 'h', 'l' (also ll, z, j, t: all 64 bits) */
    bool left;     /* `-` */
    bool zeros;    /* `0` */
    int width;     /* least characters */
    int precision; /* -1 when left out */
} directive;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void append_fill(shoal_buffer *out, char c, size_t count)
{
    char *room = shoal_buffer_reserve(out, count);
    if (room == NULL) return;
    memset(room, c, count);
    shoal_buffer_commit(out, count);
}

/* Appends `text` padded with blanks to the width of `d`. */
static void append_padded(shoal_buffer *out, const directive *d, shoal_slice text)
{
    size_t width = (size_t)d->width;
    size_t fill = text.size < width ? width - text.size : 0;
    SHOAL_ASSERT(d->width >= 0 && d->width <= WIDTH_MAX);
    if (fill > 0 && !d->left) append_fill(out, ' ', fill);
    shoal_buffer_append(out, text);
    if (fill > 0 && d->left) append_fill(out, ' ', fill);
}

/* Appends a number whose first `sign` characters are its sign: zeros go behind it. */
static void append_number(shoal_buffer *out, const directive *d, shoal_slice text, size_t sign)
{
    SHOAL_ASSERT(sign <= 1 && sign <= text.size);
    size_t width = (size_t)d->width;
    if (!d->zeros || d->left || text.size >= width) {
        append_padded(out, d, text);
        return;
    }
    shoal_buffer_append(out, (shoal_slice){text.data, sign});
    append_fill(out, '0', width - text.size);
    shoal_buffer_append(out, (shoal_slice){text.data + sign, text.size - sign});
}

static void append_hexadecimal(shoal_buffer *out, const directive *d, uint64_t value)
{
    char text[NUMBER_SIZE];
    size_t size = shoal_text_from_hex(text, value);
    SHOAL_ASSERT(size <= NUMBER_SIZE);
    for (size_t i = 0; d->type == 'X' && i < size; i++) {
        if (text[i] >= 'a') text[i] = (char)(text[i] - ('a' - 'A'));
    }
    append_number(out, d, (shoal_slice){text, size}, 0);
}

/* Appends magnitude.decimals, both already rounded. */
static void append_fixed_digits(shoal_buffer *out, const directive *d, bool negative,
                                const uint64_t parts[2])
{
    char text[NUMBER_SIZE];
    size_t size = 0;
    if (negative) text[size++] = '-';
    size += shoal_text_from_u64(text + size, parts[0]);
    if (d->precision > 0) {
        char digits[SHOAL_TEXT_INTEGER_SIZE];
        size_t count = shoal_text_from_u64(digits, parts[1]);
        size_t precision = (size_t)d->precision;
        SHOAL_ASSERT(count <= precision);
        text[size++] = '.';
        memset(text + size, '0', precision - count);
        memcpy(text + size + precision - count, digits, count);
        size += precision;
    }
    SHOAL_ASSERT(size <= NUMBER_SIZE);
    append_number(out, d, (shoal_slice){text, size}, negative);
}

static void append_fixed(shoal_buffer *out, directive d, double value)
{
    if (d.precision < 0) d.precision = 6;
    SHOAL_ASSERT(d.precision <= PRECISION_MAX);
    bool negative = value < 0;
    double magnitude = negative ? -value : value;
    if (value != value || magnitude >= 9223372036854775808.0) {
        const char *word = value != value ? "nan" : negative ? "-inf" : "inf";
        append_padded(out, &d, shoal_text(word));
        return;
    }
    uint64_t scale = 1;
    for (int i = 0; i < d.precision; i++) scale *= 10;
    SHOAL_ASSERT(magnitude >= 0);
    uint64_t whole = (uint64_t)magnitude;
    uint64_t decimals = (uint64_t)((magnitude - (double)whole) * (double)scale + 0.5);
    if (decimals >= scale) {
        whole++;
        decimals -= scale;
    }
    SHOAL_ASSERT(decimals < scale);
    append_fixed_digits(out, &d, negative && (whole | decimals) != 0,
                        (const uint64_t[2]){whole, decimals});
}

/* Reads a number or `*` of a directive. */
static int parse_count(const char **format, va_list *arguments)
{
    int count = 0;
    if (**format == '*') {
        (*format)++;
        return va_arg(*arguments, int);
    }
    for (; is_digit(**format); (*format)++) {
        count = count * 10 + (**format - '0');
        SHOAL_ASSERT(count <= WIDTH_MAX);
    }
    return count;
}

static char parse_length(const char **format)
{
    char length = 0;
    for (;; (*format)++) {
        switch (**format) {
        case 'h': length = length == 'h' ? 'H' : 'h'; break;
        case 'l':
        case 'z':
        case 'j':
        case 't': length = 'l'; break;
        default: return length;
        }
    }
}

/* Reads the directive behind a `%`; `*format` ends behind its letter. */
static directive parse_directive(const char **format, va_list *arguments)
{
    SHOAL_ASSERT((*format)[-1] == '%');
    directive d = {.precision = -1};
    for (;; (*format)++) {
        if (**format == '-') {
            d.left = true;
        } else if (**format == '0') {
            d.zeros = true;
        } else {
            break;
        }
    }
    d.width = parse_count(format, arguments);
    SHOAL_ASSERT(d.width >= 0 && d.width <= WIDTH_MAX);
    if (**format == '.') {
        (*format)++;
        d.precision = parse_count(format, arguments);
    }
    d.length = parse_length(format);
    SHOAL_ASSERT(**format != '\0');
    d.type = *(*format)++;
    return d;
}

_Static_assert(sizeof(long) == 8 && sizeof(size_t) == 8 && sizeof(ptrdiff_t) == 8,
               "the lengths l, z, j and t all mean 64 bits");

static int64_t take_signed(const directive *d, va_list *arguments)
{
    switch (d->length) {
    case 'l': return va_arg(*arguments, int64_t);
    case 'h': return (short)va_arg(*arguments, int);
    case 'H': return (signed char)va_arg(*arguments, int);
    default: return va_arg(*arguments, int);
    }
}

static uint64_t take_unsigned(const directive *d, va_list *arguments)
{
    switch (d->length) {
    case 'l': return va_arg(*arguments, uint64_t);
    case 'h': return (unsigned short)va_arg(*arguments, unsigned);
    case 'H': return (unsigned char)va_arg(*arguments, unsigned);
    default: return va_arg(*arguments, unsigned);
    }
}

static void append_integer(shoal_buffer *out, const directive *d, va_list *arguments)
{
    SHOAL_ASSERT(d->precision < 0);
    char text[SHOAL_TEXT_INTEGER_SIZE];
    if (d->type == 'x' || d->type == 'X') {
        append_hexadecimal(out, d, take_unsigned(d, arguments));
    } else if (d->type == 'u') {
        size_t size = shoal_text_from_u64(text, take_unsigned(d, arguments));
        append_number(out, d, (shoal_slice){text, size}, 0);
    } else {
        int64_t value = take_signed(d, arguments);
        size_t size = shoal_text_from_i64(text, value);
        append_number(out, d, (shoal_slice){text, size}, value < 0);
    }
}

static void append_string(shoal_buffer *out, const directive *d, const char *text)
{
    SHOAL_ASSERT(text != NULL || d->precision == 0);
    size_t size = 0;
    size_t most = d->precision < 0 ? SIZE_MAX : (size_t)d->precision;
    while (size < most && text[size] != '\0') size++;
    SHOAL_ASSERT(size <= most);
    append_padded(out, d, (shoal_slice){text, size});
}

static void append_directive(shoal_buffer *out, const directive *d, va_list *arguments)
{
    char c;
    switch (d->type) {
    case 's': append_string(out, d, va_arg(*arguments, const char *)); break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X': append_integer(out, d, arguments); break;
    case 'f': append_fixed(out, *d, va_arg(*arguments, double)); break;
    case 'c':
        c = (char)va_arg(*arguments, int);
        append_padded(out, d, (shoal_slice){&c, 1});
        break;
    case '%': shoal_buffer_append(out, (shoal_slice){"%", 1}); break;
    default: SHOAL_UNREACHABLE();
    }
}

void shoal_text_vappendf(shoal_buffer *out, const char *format, va_list arguments)
{
    SHOAL_ASSERT(out != NULL && format != NULL);
    va_list list;
    va_copy(list, arguments);
    while (*format != '\0') {
        size_t plain = 0;
        while (format[plain] != '\0' && format[plain] != '%') plain++;
        shoal_buffer_append(out, (shoal_slice){format, plain});
        format += plain;
        if (*format == '\0') break;
        format++;
        directive d = parse_directive(&format, &list);
        append_directive(out, &d, &list);
    }
    va_end(list);
}

void shoal_text_appendf(shoal_buffer *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    shoal_text_vappendf(out, format, arguments);
    va_end(arguments);
}
