/* SPDX-License-Identifier: MIT
 *
 * store/ghost.c - sets of fingerprints, each in the order of arrival. What arrives pushes the
 * others on, up to the first free lane; what leaves makes one. So a set forgets only when it is
 * full, and then its oldest, as a queue of all evicted keys would.
 */
#include "store/ghost.h"

#include "base/assert.h"

#define SET_LANES (SHOAL_GHOST_WORDS * SHOAL_GHOST_LANES)
#define LANE_BITS 16u
#define LANE_ONES 0x0001000100010001u
#define LANE_TOPS 0x8000800080008000u

_Static_assert(sizeof(shoal_ghost_set) == SHOAL_ALIGN_LINE, "a set is one line");

static uint32_t sets_for(uint32_t keys)
{
    SHOAL_DEBUG_ASSERT(keys > 0);
    return (keys + SET_LANES - 1) / SET_LANES;
}

size_t shoal_ghost__size(uint32_t keys)
{
    SHOAL_ASSERT(keys > 0);
    return sizeof(shoal_ghost) + sets_for(keys) * sizeof(shoal_ghost_set);
}

void shoal_ghost__init(shoal_ghost *ghost, uint32_t keys)
{
    SHOAL_ASSERT(keys > 0);
    SHOAL_ASSERT((uintptr_t)ghost % SHOAL_ALIGN_LINE == 0);
    ghost->keys = keys;
    ghost->set_count = sets_for(keys);
    ghost->lanes = (keys + ghost->set_count - 1) / ghost->set_count;
    SHOAL_ASSERT(ghost->lanes <= SET_LANES);
}

static shoal_ghost_set *set_of(shoal_ghost *ghost, uint64_t hash)
{
    SHOAL_DEBUG_ASSERT(ghost != NULL);
    uint64_t index = (hash >> 32) * ghost->set_count >> 32;
    SHOAL_DEBUG_ASSERT(index < ghost->set_count);
    return &ghost->sets[index];
}

void shoal_ghost__prefetch(shoal_ghost *ghost, uint64_t hash)
{
    SHOAL_DEBUG_ASSERT(ghost->set_count > 0);
    __builtin_prefetch(set_of(ghost, hash), 1);
}

static uint64_t fingerprint(uint64_t hash)
{
    uint64_t low = hash & 0xffff;
    return low != 0 ? low : 1;
}

/* The lowest bit of the tops is that of the first lane of `word` that is zero; 0: none is. */
static uint64_t zero_lanes(uint64_t word)
{
    return (word - LANE_ONES) & ~word & LANE_TOPS;
}

/* The first `lanes` lanes of a word. */
static uint64_t lanes_mask(uint32_t lanes)
{
    return lanes >= SHOAL_GHOST_LANES ? UINT64_MAX : ((uint64_t)1 << (lanes * LANE_BITS)) - 1;
}

/* Lets `*carry` into the first of the `lanes` lanes of a word. True when that is all: one was free.
 * Else the last lane is the carry for the next word. */
static inline bool push(_Atomic uint64_t *place, uint64_t lanes, uint64_t *carry)
{
    uint64_t word = shoal_load_relaxed(place);
    uint64_t moved = word << LANE_BITS | *carry;
    uint64_t zeros = zero_lanes(word) & lanes;
    *carry = word >> (64 - LANE_BITS);
    if (zeros == 0) {
        shoal_store_relaxed(place, moved & lanes);
        return false;
    }
    /* The lanes behind the free one stay. */
    uint64_t stay = ~(uint64_t)0 << (uint32_t)__builtin_ctzll(zeros) << 1;
    shoal_store_relaxed(place, (word & stay) | (moved & ~stay));
    return true;
}

void shoal_ghost__add(shoal_ghost *ghost, uint64_t hash)
{
    SHOAL_DEBUG_ASSERT(ghost != NULL);
    SHOAL_DEBUG_ASSERT(ghost->lanes > 0 && ghost->lanes <= SET_LANES);
    shoal_ghost_set *set = set_of(ghost, hash);
    uint64_t carry = fingerprint(hash);
    uint32_t whole = ghost->lanes / SHOAL_GHOST_LANES;
    for (uint32_t i = 0; i < whole; i++) {
        if (push(&set->words[i], UINT64_MAX, &carry)) return;
    }
    uint32_t rest = ghost->lanes % SHOAL_GHOST_LANES;
    if (rest > 0) (void)push(&set->words[whole], lanes_mask(rest), &carry);
}

bool shoal_ghost__take(shoal_ghost *ghost, uint64_t hash)
{
    SHOAL_DEBUG_ASSERT(ghost != NULL);
    SHOAL_DEBUG_ASSERT(ghost->lanes > 0 && ghost->lanes <= SET_LANES);
    shoal_ghost_set *set = set_of(ghost, hash);
    uint64_t wanted = fingerprint(hash) * LANE_ONES;
    for (uint32_t i = 0; i < SHOAL_GHOST_WORDS; i++) {
        uint64_t word = shoal_load_relaxed(&set->words[i]);
        uint64_t same = zero_lanes(word ^ wanted);
        if (same == 0) continue;
        uint32_t lane = (uint32_t)__builtin_ctzll(same) / LANE_BITS;
        shoal_store_relaxed(&set->words[i], word & ~((uint64_t)0xffff << (lane * LANE_BITS)));
        return true;
    }
    return false;
}
