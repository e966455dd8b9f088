/* SPDX-License-Identifier: MIT
 *
 * base/number.h - doubles as the client protocol spells them, with 17 significant digits. Exact
 * whatever the compiler, the C library or the locale: no floating-point operation is used, only
 * the bits of the value. (Integers are in base/text.h.)
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

#endif
