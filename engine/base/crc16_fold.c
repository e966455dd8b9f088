/* SPDX-License-Identifier: MIT
 *
 * base/crc16_fold.c - the slot of a key by multiplication without carries, sixteen bytes a step: a
 * third of the instructions that tables take for a name of sixteen bytes. crc16_piece.h says how.
 */
#include "base/crc16.h"
#include "base/crc16_piece.h"

#include "base/assert.h"

#if defined(__x86_64__)

/* Eight bytes as the number that they are. */
static inline uint64_t number_at(const char *at)
{
    return __builtin_bswap64(shoal_piece__load(at));
}

/* The first piece of a name of at least sixteen bytes: what is behind it is a multiple of that.
 * `*taken` are the bytes of the name that it has. */
static inline __m128i first_of_many(shoal_slice name, size_t *taken)
{
    SHOAL_DEBUG_ASSERT(name.size >= PIECE);
    size_t spare = (0 - name.size) % PIECE;
    unsigned __int128 number =
        (unsigned __int128)number_at(name.data) << 64 | number_at(name.data + HALF);
    number >>= 8 * spare;
    *taken = PIECE - spare;
    return shoal_piece__make((uint64_t)(number >> 64), (uint64_t)number);
}

/* The slot of a name of more than sixteen bytes. */
FOLDS static __attribute__((noinline)) uint32_t slot_of_many(shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.size > PIECE);
    size_t at;
    __m128i number = first_of_many(name, &at);
    if (shoal_piece__has_brace(number)) return shoal_crc16_slot(name);
    for (; at < name.size; at += PIECE) {
        __m128i piece =
            shoal_piece__make(number_at(name.data + at), number_at(name.data + at + HALF));
        if (shoal_piece__has_brace(piece)) return shoal_crc16_slot(name);
        __m128i powers = shoal_piece__make(POWER_192, POWER_128);
        number = _mm_xor_si128(shoal_piece__multiply(number, powers), piece);
    }
    return shoal_piece__reduce(number) & (SHOAL_SLOTS - 1u);
}

FOLDS uint32_t shoal_crc16_slot_folded(shoal_slice name)
{
    SHOAL_ASSERT(name.data != NULL || name.size == 0);
    if (name.size < HALF) return shoal_crc16_slot(name);
    if (name.size > PIECE) return slot_of_many(name);
    uint64_t first = shoal_piece__load(name.data);
    uint64_t last = shoal_piece__load(name.data + name.size - HALF);
    __m128i number = shoal_piece__only(first, last, name.size);
    if (shoal_piece__has_brace(number)) return shoal_crc16_slot(name);
    return shoal_piece__reduce(number) & (SHOAL_SLOTS - 1u);
}

#else

uint32_t shoal_crc16_slot_folded(shoal_slice name)
{
    (void)name;
    SHOAL_UNREACHABLE();
}

#endif
