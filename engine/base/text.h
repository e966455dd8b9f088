/* SPDX-License-Identifier: MIT
 *
 * base/text.h - the few things that the engine does with text: numbers to text and back, formatted
 * append, comparison without case, glob patterns, search. Locale never matters; letters are ASCII.
 *
 * Threads: every function is pure but for the buffer passed in. Slices are borrowed for the call.
 */
#ifndef SHOAL_BASE_TEXT_H
#define SHOAL_BASE_TEXT_H

#include <shoal/types.h>

#include <stdarg.h>
#include <string.h>

/* Room for any 64-bit integer as decimal text with its sign. No terminator is written. */
#define SHOAL_TEXT_INTEGER_SIZE 20

/* Room for a 64-bit integer as hexadecimal digits. No terminator is written. */
#define SHOAL_TEXT_HEX_SIZE 16

/* What shoal_text_find returns when there is nothing to find. */
#define SHOAL_TEXT_NONE SIZE_MAX

/* The characters of `text` up to its terminator, as a slice. */
static inline shoal_slice shoal_text(const char *text)
{
    return (shoal_slice){text, strlen(text)};
}

/* The lower-case form of an ASCII letter; any other byte as it is. */
static inline char shoal_text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* ---- numbers ---- */

/* Writes `value` in decimal to `out` and returns how many characters that took. */
size_t shoal_text_from_i64(char out[SHOAL_TEXT_INTEGER_SIZE], int64_t value);

/* Writes `value` in decimal to `out` and returns how many characters that took. */
size_t shoal_text_from_u64(char out[SHOAL_TEXT_INTEGER_SIZE], uint64_t value);

/* Writes `value` as lower-case hexadecimal digits without leading zeros to `out` and returns how
 * many characters that took. */
size_t shoal_text_from_hex(char out[SHOAL_TEXT_HEX_SIZE], uint64_t value);

/* Reads the whole of `text` as the one canonical way to write a signed integer: digits with no
 * leading zero, "-" before them only for negative values, nothing else ("0", "-1"; not "+1",
 * "01", "-0", " 1", ""). False, and `*out` untouched, for anything else or beyond the range. */
bool shoal_text_to_i64(shoal_slice text, int64_t *out);

/* As shoal_text_to_i64 for 0 .. 2^64-1. */
bool shoal_text_to_u64(shoal_slice text, uint64_t *out);

/* Reads the whole of `text`, 1 to 16 hexadecimal digits of either case. */
bool shoal_text_to_hex(shoal_slice text, uint64_t *out);

/* The value of a hexadecimal digit of either case, or -1. */
int shoal_text_hex_digit(char c);

/* Appends two lower-case hexadecimal digits for each byte. */
void shoal_text_append_hex(shoal_buffer *out, shoal_slice bytes);

/* Appends `value` in decimal. */
void shoal_text_append_i64(shoal_buffer *out, int64_t value);

/* Appends `value` in decimal. */
void shoal_text_append_u64(shoal_buffer *out, uint64_t value);

/* ---- formatted append ---- */

/* Appends formatted text. The subset of printf that the engine needs, the same everywhere:
 *   %s %.*s %.Ns %c %%           text
 *   %d %i %u %x %X               with the lengths hh h l ll z j t
 *   %.Nf                         fixed decimals, N 0..9 (6 when left out), rounded half away
 *                                from zero; nan, inf; magnitudes from 2^63 on are written as inf
 * each with a width (a number or *), `0` to pad with zeros and `-` to pad at the right. Any other
 * directive is a wrong program and fails an assertion. */
void shoal_text_appendf(shoal_buffer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* shoal_text_appendf for a list of arguments that the caller started. */
void shoal_text_vappendf(shoal_buffer *out, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* ---- comparison and search ---- */

/* Same bytes. */
bool shoal_text_equal(shoal_slice a, shoal_slice b);

/* Same bytes when letters are taken in one case. */
bool shoal_text_equal_nocase(shoal_slice a, shoal_slice b);

/* `text` is what stands in `word`, whatever the case. */
static inline bool shoal_text_is(shoal_slice text, const char *word)
{
    return shoal_text_equal_nocase(text, shoal_text(word));
}

/* Negative, zero or positive as `a` sorts before, with or after `b`: by bytes as unsigned
 * numbers, a prefix before what it starts. */
int shoal_text_compare(shoal_slice a, shoal_slice b);

/* Index of the first `needle` in `haystack`, or SHOAL_TEXT_NONE. An empty needle is at 0. Takes
 * at most haystack.size * needle.size steps. */
size_t shoal_text_find(shoal_slice haystack, shoal_slice needle);

/* Does the whole of `text` match the glob `pattern`, as KEYS and SCAN take them?
 *   *        any bytes, also none        ?      one byte
 *   [abc]    one of these                [a-z]  one of the range, either way round
 *   [^abc]   none of these               \x     x itself, inside [] too
 * A `[` that is not closed ends with the pattern. With `nocase`, letters match in either case.
 * Takes at most text.size * pattern.size steps, whatever the pattern. */
bool shoal_text_glob(shoal_slice pattern, shoal_slice text, bool nocase);

#endif
