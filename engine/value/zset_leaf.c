/* SPDX-License-Identifier: MIT
 *
 * value/zset_leaf.c - elements of a sorted set in one piece of memory. Members are never moved
 * within a leaf: what has gone leaves a hole, and the leaf is built anew when it has no room.
 */
#include "value/zset_leaf.h"

#include "base/memory.h"
#include "base/text.h"

/* What an element takes besides its member. */
#define ELEMENT_SIZE (sizeof(double) + sizeof(uint16_t) + sizeof(uint8_t))
/* The first byte of a member that is elsewhere. */
#define OUTSIDE 255u
/* Such a member with its size. */
#define OUTSIDE_STORED (1u + sizeof(char *))
/* Rooms are multiples of this, so that tags can be read eight at a time. */
#define ROOM_STEP 8u
/* Where memory is aligned to. */
#define ALIGNMENT 8

_Static_assert(sizeof(shoal_zset_leaf) == 16, "the scores behind it are aligned");
_Static_assert(SHOAL_ZSET__LEAF_MAX % ROOM_STEP == 0, "a full leaf has whole steps");
_Static_assert(sizeof(shoal_zset_leaf) +
                       SHOAL_ZSET__LEAF_MAX * (ELEMENT_SIZE + SHOAL_ZSET__STORED_MAX) <
                   UINT16_MAX * 4 / 5,
               "offsets have 16 bits, and allocators round up by a quarter at most");

/* ---- members ---- */

bool shoal_zset__store(shoal_account *account, shoal_slice member, uint64_t hash,
                       shoal_zset_stored *out)
{
    SHOAL_ASSERT(member.size <= UINT32_MAX - 4);
    out->tag = shoal_zset__tag(hash);
    if (member.size <= SHOAL_ZSET__INLINE_MAX) {
        out->bytes[0] = (char)member.size;
        if (member.size != 0) memcpy(out->bytes + 1, member.data, member.size);
        out->size = 1 + (uint32_t)member.size;
        return true;
    }
    char *outside = shoal_account_take(account, 4 + member.size);
    if (outside == NULL) return false;
    shoal_bytes_put_le32(outside, (uint32_t)member.size);
    memcpy(outside + 4, member.data, member.size);
    out->bytes[0] = (char)OUTSIDE;
    memcpy(out->bytes + 1, &outside, sizeof(outside));
    out->size = OUTSIDE_STORED;
    return true;
}

/* Gives back the allocation that a member as it stands in a leaf points to. */
static bool give_outside(shoal_account *account, const char *stored)
{
    SHOAL_DEBUG_ASSERT(stored != NULL);
    if ((uint8_t)stored[0] != OUTSIDE) return false;
    char *outside;
    memcpy(&outside, stored + 1, sizeof(outside));
    shoal_account_give(account, outside, (size_t)4 + shoal_bytes_get_le32(outside));
    return true;
}

void shoal_zset__unstore(shoal_account *account, const shoal_zset_stored *stored)
{
    SHOAL_DEBUG_ASSERT(stored->size > 0);
    give_outside(account, stored->bytes);
}

bool shoal_zset__member_give(shoal_account *account, const shoal_zset_leaf *leaf, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < leaf->count);
    return give_outside(account, (const char *)leaf + shoal_zset__offsets(leaf)[index]);
}

void shoal_zset__members_move(shoal_account *account, shoal_zset_leaf *leaf,
                              const shoal_value_mover *mover)
{
    SHOAL_DEBUG_ASSERT(mover->is_sparse != NULL);
    for (uint32_t i = 0; i < leaf->count; i++) {
        char *stored = (char *)leaf + shoal_zset__offsets(leaf)[i];
        if ((uint8_t)stored[0] != OUTSIDE) continue;
        char *outside;
        memcpy(&outside, stored + 1, sizeof(outside));
        size_t size = (size_t)4 + shoal_bytes_get_le32(outside);
        if (!mover->is_sparse(mover->context, outside, size)) continue;
        char *copy = shoal_account_take(account, size);
        if (copy == NULL) continue;
        memcpy(copy, outside, size);
        memcpy(stored + 1, &copy, sizeof(copy));
        shoal_account_give(account, outside, size);
    }
}

/* Bytes of a member as it stands in a leaf. */
static uint32_t stored_size(const char *stored)
{
    uint8_t first = (uint8_t)stored[0];
    SHOAL_DEBUG_ASSERT(first <= SHOAL_ZSET__INLINE_MAX || first == OUTSIDE);
    return first <= SHOAL_ZSET__INLINE_MAX ? 1u + first : (uint32_t)OUTSIDE_STORED;
}

void shoal_zset__stored(const shoal_zset_leaf *leaf, uint32_t index, shoal_zset_stored *out)
{
    SHOAL_ASSERT(index < leaf->count);
    const char *stored = (const char *)leaf + shoal_zset__offsets(leaf)[index];
    out->size = stored_size(stored);
    memcpy(out->bytes, stored, out->size);
    out->tag = shoal_zset__tags(leaf)[index];
}

/* ---- leaves ---- */

static uint32_t range_bytes(const shoal_zset_range *range)
{
    const uint16_t *offsets = shoal_zset__offsets(range->leaf);
    uint32_t bytes = 0;
    SHOAL_DEBUG_ASSERT(range->from <= range->to && range->to <= range->leaf->count);
    for (uint32_t i = range->from; i < range->to; i++)
        bytes += stored_size((const char *)range->leaf + offsets[i]);
    return bytes;
}

/* An empty leaf for `count` elements whose members take `bytes`, and for what else fits into the
 * memory that the allocator gives for that. */
static shoal_zset_leaf *leaf_make(shoal_account *account, uint32_t count, uint32_t bytes)
{
    SHOAL_ASSERT(count > 0 && count <= SHOAL_ZSET__LEAF_MAX);
    uint32_t room = (count + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    size_t size = sizeof(shoal_zset_leaf) + room * ELEMENT_SIZE + bytes;
    size = shoal_memory_usable(account->allocator, size, ALIGNMENT);
    SHOAL_ASSERT(size <= UINT16_MAX);
    /* What is left over goes to arrays and members as the elements so far share it. */
    size_t fair = (size - sizeof(shoal_zset_leaf)) * count / (count * ELEMENT_SIZE + bytes);
    size_t most = (size - sizeof(shoal_zset_leaf) - bytes) / ELEMENT_SIZE;
    if (fair > most) fair = most;
    fair = fair / ROOM_STEP * ROOM_STEP;
    if (fair > room) room = fair < SHOAL_ZSET__LEAF_MAX ? (uint32_t)fair : SHOAL_ZSET__LEAF_MAX;

    shoal_zset_leaf *leaf = shoal_account_take(account, size);
    if (leaf == NULL) return NULL;
    *leaf = (shoal_zset_leaf){
        .room = (uint16_t)room,
        .size = (uint16_t)size,
        .end = (uint16_t)(sizeof(shoal_zset_leaf) + room * ELEMENT_SIZE),
    };
    memset(shoal_zset__tags(leaf), 0, room);
    return leaf;
}

static void append_range(shoal_zset_leaf *leaf, const shoal_zset_range *range)
{
    uint32_t count = range->to - range->from, at = leaf->count;
    SHOAL_ASSERT(at + count <= leaf->room);
    memcpy(shoal_zset__scores(leaf) + at, shoal_zset__scores(range->leaf) + range->from,
           count * sizeof(double));
    memcpy(shoal_zset__tags(leaf) + at, shoal_zset__tags(range->leaf) + range->from, count);
    const uint16_t *from = shoal_zset__offsets(range->leaf) + range->from;
    uint16_t *to = shoal_zset__offsets(leaf) + at;
    for (uint32_t i = 0; i < count; i++) {
        const char *stored = (const char *)range->leaf + from[i];
        uint32_t size = stored_size(stored);
        memcpy((char *)leaf + leaf->end, stored, size);
        to[i] = leaf->end;
        leaf->end = (uint16_t)(leaf->end + size);
    }
    leaf->count = (uint16_t)(at + count);
    SHOAL_ASSERT(leaf->end <= leaf->size);
}

shoal_zset_leaf *shoal_zset__leaf_build(shoal_account *account, const shoal_zset_range *ranges,
                                        uint32_t count, uint32_t more)
{
    SHOAL_ASSERT(count <= 2);
    uint32_t elements = more != 0, bytes = more;
    for (uint32_t i = 0; i < count; i++) {
        elements += ranges[i].to - ranges[i].from;
        bytes += range_bytes(&ranges[i]);
    }
    shoal_zset_leaf *leaf = leaf_make(account, elements, bytes);
    if (leaf == NULL) return NULL;
    for (uint32_t i = 0; i < count; i++) append_range(leaf, &ranges[i]);
    return leaf;
}

void shoal_zset__leaf_give(shoal_account *account, shoal_zset_leaf *leaf)
{
    if (leaf == NULL) return;
    SHOAL_DEBUG_ASSERT(leaf->count <= leaf->room);
    shoal_account_give(account, leaf, leaf->size);
}

/* Moves the elements from `from` on to `to` in all arrays. */
static void slide(shoal_zset_leaf *leaf, uint32_t to, uint32_t from)
{
    SHOAL_DEBUG_ASSERT(from <= leaf->count);
    size_t count = leaf->count - from;
    double *scores = shoal_zset__scores(leaf);
    uint16_t *offsets = shoal_zset__offsets(leaf);
    uint8_t *tags = shoal_zset__tags(leaf);
    memmove(scores + to, scores + from, count * sizeof(*scores));
    memmove(offsets + to, offsets + from, count * sizeof(*offsets));
    memmove(tags + to, tags + from, count);
}

void shoal_zset__leaf_insert(shoal_zset_leaf *leaf, uint32_t index, double score,
                             const shoal_zset_stored *stored)
{
    SHOAL_ASSERT(index <= leaf->count);
    SHOAL_ASSERT(shoal_zset__leaf_fits(leaf, stored->size));
    if (index != leaf->count) slide(leaf, index + 1, index);
    memcpy((char *)leaf + leaf->end, stored->bytes, stored->size);
    shoal_zset__scores(leaf)[index] = score;
    shoal_zset__offsets(leaf)[index] = leaf->end;
    shoal_zset__tags(leaf)[index] = stored->tag;
    leaf->end = (uint16_t)(leaf->end + stored->size);
    leaf->count++;
}

void shoal_zset__leaf_remove(shoal_zset_leaf *leaf, uint32_t index, uint32_t count)
{
    SHOAL_ASSERT(index + count <= leaf->count);
    const uint16_t *offsets = shoal_zset__offsets(leaf);
    for (uint32_t i = index; i < index + count; i++) {
        uint32_t size = stored_size((const char *)leaf + offsets[i]);
        leaf->dead = (uint16_t)(leaf->dead + size);
    }
    slide(leaf, index, index + count);
    leaf->count = (uint16_t)(leaf->count - count);
}

void shoal_zset__leaf_shift(shoal_zset_leaf *leaf, uint32_t from, uint32_t to, double score)
{
    SHOAL_ASSERT(from < leaf->count && to < leaf->count);
    double *scores = shoal_zset__scores(leaf);
    uint16_t *offsets = shoal_zset__offsets(leaf);
    uint8_t *tags = shoal_zset__tags(leaf);
    uint16_t offset = offsets[from];
    uint8_t tag = tags[from];
    /* What lies between the two places moves by one. */
    size_t count = from < to ? to - from : from - to;
    uint32_t target = from < to ? from : to + 1, source = from < to ? from + 1 : to;
    memmove(scores + target, scores + source, count * sizeof(*scores));
    memmove(offsets + target, offsets + source, count * sizeof(*offsets));
    memmove(tags + target, tags + source, count);
    scores[to] = score;
    offsets[to] = offset;
    tags[to] = tag;
}

/* ---- search ---- */

/* A bit in each byte of `word` that is zero; some of the bytes above a zero one may have it too. */
static uint64_t zero_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u;
    SHOAL_DEBUG_ASSERT(ones * 0x80 == 0x8080808080808080u);
    return (word - ones) & ~word & (ones * 0x80);
}

uint32_t shoal_zset__leaf_find(const shoal_zset_leaf *leaf, shoal_slice member, uint8_t tag)
{
    const uint8_t *tags = shoal_zset__tags(leaf);
    uint64_t wanted = 0x0101010101010101u * tag;
    SHOAL_DEBUG_ASSERT(leaf->room % ROOM_STEP == 0);
    for (uint32_t at = 0; at < leaf->count; at += ROOM_STEP) {
        uint64_t hits = zero_bytes(shoal_bytes_get_le64(tags + at) ^ wanted);
        for (; hits != 0; hits &= hits - 1) {
            uint32_t index = at + (uint32_t)__builtin_ctzll(hits) / 8;
            if (index >= leaf->count) break;
            if (shoal_text_equal(shoal_zset__member(leaf, index), member)) return index;
        }
    }
    return SHOAL_ZSET__NOWHERE;
}

uint32_t shoal_zset__leaf_below(const shoal_zset_leaf *leaf, double score, shoal_slice member)
{
    const double *scores = shoal_zset__scores(leaf);
    uint32_t low = 0, high = leaf->count;
    SHOAL_DEBUG_ASSERT(score == score);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        bool before = scores[middle] < score;
        if (scores[middle] == score)
            before = shoal_text_compare(shoal_zset__member(leaf, middle), member) < 0;
        if (before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
