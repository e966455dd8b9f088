/* SPDX-License-Identifier: MIT
 *
 * command/extended.h - floating-point numbers with 64 bits of mantissa and 15 of exponent, the
 * "long double" in which Redis on x86 adds for INCRBYFLOAT: read, added and written exactly as
 * there, with integers only, so that every machine gives the same text.
 */
#ifndef SHOAL_COMMAND_EXTENDED_H
#define SHOAL_COMMAND_EXTENDED_H

#include <shoal/types.h>

/* mantissa * 2^exponent, negated or not; or infinite. The highest bit of the mantissa is set unless
 * the number is zero or the exponent the least there is. */
typedef struct shoal_extended {
    uint64_t mantissa;
    int32_t exponent;
    bool negative;
    bool infinite;
} shoal_extended;

/* Reads the whole of `text`: decimal digits with an optional sign, point and exponent, the same in
 * hexadecimal behind 0x with an exponent of two (0x1.8p3), or an infinity; rounded to nearest, ties
 * to even. False for anything else and for what is too large or too small to be told from infinity
 * or zero. */
bool shoal_extended__parse(shoal_slice text, shoal_extended *out);

/* The sum, rounded to nearest, ties to even. False when it is not finite. */
bool shoal_extended__add(shoal_extended a, shoal_extended b, shoal_extended *sum);

/* Appends a finite number with at most 17 digits behind the point, without zeros at their end. */
void shoal_extended__append(shoal_extended value, shoal_buffer *out);

#endif
