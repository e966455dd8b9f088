/* SPDX-License-Identifier: MIT
 *
 * base/bytes.h - integers as bytes of a fixed order, from and to any address.
 *
 * Threads: pure.
 */
#ifndef SHOAL_BASE_BYTES_H
#define SHOAL_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SHOAL_BYTES__LITTLE(bits, x) (x)
#define SHOAL_BYTES__BIG(bits, x) __builtin_bswap##bits(x)
#else
#define SHOAL_BYTES__LITTLE(bits, x) __builtin_bswap##bits(x)
#define SHOAL_BYTES__BIG(bits, x) (x)
#endif

/* Defines shoal_bytes_get_<name> and shoal_bytes_put_<name> for one width and order. */
#define SHOAL_BYTES__PAIR(name, bits, ordered)                                \
    static inline uint##bits##_t shoal_bytes_get_##name(const void *from)     \
    {                                                                         \
        uint##bits##_t value;                                                 \
        memcpy(&value, from, sizeof(value));                                  \
        return ordered(bits, value);                                          \
    }                                                                         \
    static inline void shoal_bytes_put_##name(void *to, uint##bits##_t value) \
    {                                                                         \
        value = ordered(bits, value);                                         \
        memcpy(to, &value, sizeof(value));                                    \
    }

/* shoal_bytes_get_le64(from) reads, shoal_bytes_put_le64(to, value) writes; le is little-endian,
 * be is big-endian (network order). */
SHOAL_BYTES__PAIR(le16, 16, SHOAL_BYTES__LITTLE)
SHOAL_BYTES__PAIR(le32, 32, SHOAL_BYTES__LITTLE)
SHOAL_BYTES__PAIR(le64, 64, SHOAL_BYTES__LITTLE)
SHOAL_BYTES__PAIR(be16, 16, SHOAL_BYTES__BIG)
SHOAL_BYTES__PAIR(be32, 32, SHOAL_BYTES__BIG)
SHOAL_BYTES__PAIR(be64, 64, SHOAL_BYTES__BIG)

#undef SHOAL_BYTES__PAIR

#endif
