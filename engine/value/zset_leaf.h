/* SPDX-License-Identifier: MIT
 *
 * value/zset_leaf.h - a leaf of a large sorted set: up to 64 elements in order, in one allocation
 * that is about as large as they need. For the files of sorted sets only.
 *
 *   | head | scores: 8 each | offsets: 2 each | tags: 1 each | members, in order of arrival |
 *            <---- room for so many elements, a multiple of 8 ---->
 *
 * A member is a byte with its size and its bytes; one longer than SHOAL_ZSET__INLINE_MAX is 255 and
 * the address of an allocation of its own. A tag is eight bits of the member's hash: they say where
 * in the leaf it may be without a look at the members.
 *
 * Threads: as the object that it belongs to.
 */
#ifndef SHOAL_VALUE_ZSET_LEAF_H
#define SHOAL_VALUE_ZSET_LEAF_H

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "value/value.h"

/* Most elements of a leaf: moving half of their arrays costs what a cache miss or two do. */
#define SHOAL_ZSET__LEAF_MAX 64u
/* Longest member inside a leaf; longer ones would make rebuilding a leaf slow. */
#define SHOAL_ZSET__INLINE_MAX 128u
/* What a member takes in the leaf at most: its size, and its bytes or an address. */
#define SHOAL_ZSET__STORED_MAX (1u + SHOAL_ZSET__INLINE_MAX)
/* No such element. */
#define SHOAL_ZSET__NOWHERE UINT32_MAX

/* The head of a leaf. Offsets count from its start. */
typedef struct shoal_zset_leaf {
    uint32_t id;    /* in the index; 0: the set has none */
    uint16_t count; /* elements */
    uint16_t room;  /* elements that the arrays have room for */
    uint16_t size;  /* bytes of the whole allocation, as taken */
    uint16_t end;   /* where the next member goes */
    uint16_t dead;  /* bytes of members that have gone */
    uint16_t spare;
} shoal_zset_leaf;

/* A member as it stands in a leaf. */
typedef struct shoal_zset_stored {
    char bytes[SHOAL_ZSET__STORED_MAX];
    uint32_t size;
    uint8_t tag;
} shoal_zset_stored;

/* Elements `from` .. `to` - 1 of a leaf. */
typedef struct shoal_zset_range {
    const shoal_zset_leaf *leaf;
    uint32_t from, to;
} shoal_zset_range;

/* The arrays of a leaf. */
static inline double *shoal_zset__scores(const shoal_zset_leaf *leaf)
{
    return (double *)(uintptr_t)(leaf + 1);
}
static inline uint16_t *shoal_zset__offsets(const shoal_zset_leaf *leaf)
{
    return (uint16_t *)(uintptr_t)(shoal_zset__scores(leaf) + leaf->room);
}
static inline uint8_t *shoal_zset__tags(const shoal_zset_leaf *leaf)
{
    return (uint8_t *)(uintptr_t)(shoal_zset__offsets(leaf) + leaf->room);
}
/* A member as it stands in a leaf, as bytes. */
static inline shoal_slice shoal_zset__stored_member(const char *stored)
{
    uint8_t size = (uint8_t)stored[0];
    if (__builtin_expect(size <= SHOAL_ZSET__INLINE_MAX, 1)) return (shoal_slice){stored + 1, size};
    const char *outside;
    memcpy(&outside, stored + 1, sizeof(outside));
    return (shoal_slice){outside + 4, shoal_bytes_get_le32(outside)};
}
/* Member `index`, borrowed until the leaf changes. */
static inline shoal_slice shoal_zset__member(const shoal_zset_leaf *leaf, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < leaf->count);
    return shoal_zset__stored_member((const char *)leaf + shoal_zset__offsets(leaf)[index]);
}

/* The tag of a member: of the upper half of its hash the last bits, because that half is what the
 * index keeps, and its first bits say where. */
static inline uint8_t shoal_zset__tag(uint64_t hash)
{
    return (uint8_t)(hash >> 32);
}
/* A member made ready to be put in a leaf. A long one is copied to an allocation of its own, which
 * goes with it. False without memory. */
bool shoal_zset__store(shoal_account *account, shoal_slice member, uint64_t hash,
                       shoal_zset_stored *out);
/* Gives back what shoal_zset__store took for a member that went nowhere. */
void shoal_zset__unstore(shoal_account *account, const shoal_zset_stored *stored);
/* Element `index` as it stands there. */
void shoal_zset__stored(const shoal_zset_leaf *leaf, uint32_t index, shoal_zset_stored *out);

/* A new leaf with the elements of `count` <= 2 ranges and room for one more of `more` bytes (0: for
 * none). Long members are then in both. NULL without memory. */
shoal_zset_leaf *shoal_zset__leaf_build(shoal_account *account, const shoal_zset_range *ranges,
                                        uint32_t count, uint32_t more);
/* Gives a leaf back, but not the long members. NULL does nothing. */
void shoal_zset__leaf_give(shoal_account *account, shoal_zset_leaf *leaf);
/* Gives back the allocation of a long member; of a short one, nothing. True when there was one. */
bool shoal_zset__member_give(shoal_account *account, const shoal_zset_leaf *leaf, uint32_t index);

/* Moves the long members that are sparse. */
void shoal_zset__members_move(shoal_account *account, shoal_zset_leaf *leaf,
                              const shoal_value_mover *mover);

/* Is there room for one more element that takes so many bytes? */
static inline bool shoal_zset__leaf_fits(const shoal_zset_leaf *leaf, uint32_t bytes)
{
    return leaf->count < leaf->room && leaf->end + bytes <= leaf->size;
}
/* Puts an element before `index`. It fits. */
void shoal_zset__leaf_insert(shoal_zset_leaf *leaf, uint32_t index, double score,
                             const shoal_zset_stored *stored);
/* Removes `count` elements from `index` on; long members stay where they are. */
void shoal_zset__leaf_remove(shoal_zset_leaf *leaf, uint32_t index, uint32_t count);
/* Gives element `from` another score, which brings it to place `to`. */
void shoal_zset__leaf_shift(shoal_zset_leaf *leaf, uint32_t from, uint32_t to, double score);

/* Where `member` is, given its tag; or SHOAL_ZSET__NOWHERE. */
uint32_t shoal_zset__leaf_find(const shoal_zset_leaf *leaf, shoal_slice member, uint8_t tag);
/* The number of elements before (score, member). */
uint32_t shoal_zset__leaf_below(const shoal_zset_leaf *leaf, double score, shoal_slice member);

#endif
