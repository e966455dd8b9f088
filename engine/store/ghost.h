/* SPDX-License-Identifier: MIT
 *
 * store/ghost.h - which keys were evicted not long ago: 16-bit fingerprints of their hashes, in
 * sets of a cache line that each forget their oldest. About two bytes a key, and wrong once in two
 * thousand questions, which costs nothing but a little of the hit ratio. Inside the store only.
 *
 * Threads: any, at any time. Words are read and written without order; when two threads change a
 * set at once, one of the changes may be lost.
 */
#ifndef SHOAL_STORE_GHOST_H
#define SHOAL_STORE_GHOST_H

#include "base/atomic.h"
#include "base/memory.h"

/* Fingerprints of a word and of a set. */
#define SHOAL_GHOST_LANES 4u
#define SHOAL_GHOST_WORDS 8u

/* One line of fingerprints, the newest in the low bits of the first word; 0 is a free lane. */
typedef struct shoal_ghost_set {
    _Alignas(SHOAL_ALIGN_LINE) _Atomic uint64_t words[SHOAL_GHOST_WORDS]; /* any thread, relaxed */
} shoal_ghost_set;

/* A table. */
typedef struct shoal_ghost {
    _Alignas(SHOAL_ALIGN_LINE) uint32_t keys; /* that it was made for */
    uint32_t set_count;
    uint32_t lanes; /* of a set that are in use, 1 .. 32 */
    shoal_ghost_set sets[];
} shoal_ghost;

/* Bytes of a table that remembers `keys` keys. */
size_t shoal_ghost__size(uint32_t keys);
/* Makes a table for `keys` keys of zeroed memory of that size. */
void shoal_ghost__init(shoal_ghost *ghost, uint32_t keys);
/* Fetches what the other two need of a hash. */
void shoal_ghost__prefetch(shoal_ghost *ghost, uint64_t hash);
/* Remembers a hash. */
void shoal_ghost__add(shoal_ghost *ghost, uint64_t hash);
/* True when the hash is remembered; then it is forgotten. */
bool shoal_ghost__take(shoal_ghost *ghost, uint64_t hash);

#endif
