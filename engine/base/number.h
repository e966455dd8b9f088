/* SPDX-License-Identifier: MIT
 *
 * base/number.h - doubles as the client protocol spells them, with 17 significant digits, and back.
 * Exact whatever the compiler, the C library or the locale: no floating-point operation is used,
 * only the bits of the value. (Integers are in base/text.h.)
 */
#ifndef SHOAL_BASE_NUMBER_H
#define SHOAL_BASE_NUMBER_H

#include <shoal/types.h>

/* Room for any double: sign, 17 digits, point, "e-308"; or "-0.000" and 17 digits. */
#define SHOAL_NUMBER_DOUBLE_MAX 24u

/* Writes `value` as C's "%.17g" spells it in the C locale, correctly rounded, to `out`,
 * SHOAL_NUMBER_DOUBLE_MAX bytes, without a terminating zero; infinities are "inf" and "-inf", any
 * NaN is "nan". Returns how many bytes. Every double survives the way to text and back. */
size_t shoal_number_from_double(double value, char *out);

/* What a text is. */
typedef enum shoal_number_kind {
    SHOAL_NUMBER_NONE = 0, /* no number */
    SHOAL_NUMBER_READ,     /* a number */
    SHOAL_NUMBER_LARGE,    /* a number too large for a double: read as an infinity */
    SHOAL_NUMBER_SMALL     /* a number other than 0 that is nearer to 0 than to any other double */
} shoal_number_kind;

/* Reads the whole of `text`: decimal digits with an optional sign, point and exponent, the same in
 * hexadecimal behind 0x with an exponent of two (0x1.8p3), "inf" or "infinity" in any case; rounded
 * to nearest, ties to even. Blanks and not-a-number are NONE. `*out` is set unless NONE. */
shoal_number_kind shoal_number_to_double(shoal_slice text, double *out);

#endif
