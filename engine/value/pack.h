/* SPDX-License-Identifier: MIT
 *
 * value/pack.h - packs: a sequence of elements in one piece of bytes, as small as they get. An
 * element is a string of bytes or an integer; a string that is the shortest decimal form of an
 * int64 is written as an integer. A pack begins with the number of its elements (two bytes,
 * little-endian; 65,535 means "count them"), so that an edit is a new head and a few slices.
 *
 *   | count: 2 | element | element | ...
 *
 *   0xxxxxxx                      integer 0..127
 *   10xxxxxx bytes                string of 0..63 bytes
 *   110xxxxx xxxxxxxx             integer -4096..4095, big end first, two's complement
 *   1110xxxx xxxxxxxx bytes       string of 0..4095 bytes
 *   11110000 4 bytes, bytes       string with its size, little-endian
 *   11110001..11110100            integers of 2, 3, 4 and 8 bytes, little-endian
 *   11110101 8 bytes              a double as it is (scores that are no integers)
 *
 * An element has one form only, the shortest: equal elements are equal bytes.
 *
 * Threads: plain functions on bytes.
 */
#ifndef SHOAL_VALUE_PACK_H
#define SHOAL_VALUE_PACK_H

#include <shoal/types.h>

#include "base/assert.h"
#include "base/bytes.h"

/* Bytes of a pack's head. */
#define SHOAL_PACK_HEAD 2u
/* Most bytes that an element takes besides those of its string. */
#define SHOAL_PACK_OVERHEAD_MAX 9u
/* Longest string of an element. */
#define SHOAL_PACK_STRING_MAX UINT32_MAX

/* One element. */
typedef struct shoal_element {
    enum { SHOAL_ELEMENT_BYTES, SHOAL_ELEMENT_INTEGER, SHOAL_ELEMENT_DOUBLE } kind;
    shoal_slice bytes; /* BYTES: borrowed */
    int64_t integer;   /* INTEGER */
    double number;     /* DOUBLE */
} shoal_element;

/* The element for a string of at most SHOAL_PACK_STRING_MAX bytes: an integer where the bytes are
 * the shortest form of one. */
shoal_element shoal_element_of(shoal_slice bytes);
/* The element for an integer: the same as for its text. */
static inline shoal_element shoal_element_of_integer(int64_t integer)
{
    return (shoal_element){.kind = SHOAL_ELEMENT_INTEGER, .integer = integer};
}
/* The element for a score: an integer where that loses nothing (-0.0 stays a double). */
shoal_element shoal_element_of_double(double number);
/* The bytes of an element as a string: borrowed, or written to `scratch` (of a double: as
 * shoal_number_from_double spells it, which reads back the same). */
shoal_slice shoal_element_text(const shoal_element *element, char scratch[32]);
/* The number of an element that is INTEGER or DOUBLE. */
double shoal_element_double(const shoal_element *element);
/* True when an element equals the string `bytes`. `probe` is shoal_element_of(bytes), made once.
 * (Doubles are compared by their bits.) */
bool shoal_element_equals(const shoal_element *element, const shoal_element *probe);

/* What the element takes in a pack. */
size_t shoal_pack_size_of(const shoal_element *element);
/* Writes all of a number, or what stands in front of the bytes of a string, at most
 * SHOAL_PACK_OVERHEAD_MAX bytes; returns what follows. */
char *shoal_pack_write_front(char *at, const shoal_element *element);
/* Writes the element at `at`, which has room; returns what follows. */
char *shoal_pack_write(char *at, const shoal_element *element);
/* Reads the element at `at` (not `end`); returns what follows, at most `end`. Packs are our own
 * making: damage is an assertion. */
const char *shoal_pack_read(const char *at, const char *end, shoal_element *out);

/* What follows a first byte of 0xf0 or more. */
const char *shoal_pack__skip_wide(const char *at, const char *end);
/* What follows the element at `at`: a read that looks at nothing else. */
static inline const char *shoal_pack_skip(const char *at, const char *end)
{
    SHOAL_DEBUG_ASSERT(at < end);
    uint32_t first = (unsigned char)*at;
    const char *next;
    if (first < 0x80) {
        next = at + 1;
    } else if (first < 0xc0) {
        next = at + 1 + (first & 0x3f);
    } else if (first < 0xe0) {
        next = at + 2;
    } else if (first < 0xf0) {
        next = at + 2 + ((first & 0x0f) << 8 | (unsigned char)at[1]);
    } else {
        return shoal_pack__skip_wide(at, end);
    }
    SHOAL_ASSERT(next <= end);
    return next;
}

/* The number of elements. */
uint32_t shoal_pack_count(shoal_slice pack);
/* Writes a head for `count` elements. */
static inline void shoal_pack_write_head(char head[SHOAL_PACK_HEAD], uint32_t count)
{
    shoal_bytes_put_le16(head, count < UINT16_MAX ? (uint16_t)count : UINT16_MAX);
}
/* The first element, and the end. */
static inline const char *shoal_pack_first(shoal_slice pack)
{
    return pack.data + SHOAL_PACK_HEAD;
}
static inline const char *shoal_pack_end(shoal_slice pack)
{
    return pack.data + pack.size;
}
/* Where element `index` is; at `index` == count, the end. */
const char *shoal_pack_at(shoal_slice pack, uint32_t index);
/* Finds `probe` among the elements from `from` (may be the end) on, looking at that one and every
 * (skip + 1)-th behind it: where it is, or NULL. */
const char *shoal_pack_find(shoal_slice pack, const char *from, const shoal_element *probe,
                            uint32_t skip);
/* True when `pack` is well-formed (for bytes from outside): a head that tells the count, elements
 * in their one form, no byte too many. */
bool shoal_pack_check(shoal_slice pack);

#endif
