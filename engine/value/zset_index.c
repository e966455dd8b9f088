/* SPDX-License-Identifier: MIT
 *
 * value/zset_index.c - the hash index of a large sorted set. Within a segment words stand at their
 * home or behind it without a gap; homes grow with the hash, so a stretch of hashes is a stretch of
 * words, and a walk in the order of hashes keeps its place whatever the segments do.
 */
#include "value/zset_index.h"

/* Slots of the smallest segment, and of the largest: rebuilding it takes some ten microseconds. */
#define SLOTS_MIN 16u
#define SLOTS_MAX 1024u
/* A segment is never fuller than this: with 0.85 a search that finds nothing looks at some 20
 * words, three lines that stand side by side. */
#define FULL(slots) ((slots)*85u / 100u)
/* What a new segment is made for: the same after a quarter more. */
#define SLOTS_FOR(count) ((count)*150u / 100u)
/* Depths beyond would use up the bits that say where in a segment a word is. */
#define DEPTH_MAX 22u
/* Leaves in one block of the table of leaves, and blocks at first. */
#define BLOCK_LEAVES 64u
#define BLOCKS_MIN 4u

/* A table of words: hash in the upper half, number of the leaf in the lower; 0 is empty. */
struct shoal_zset_segment {
    uint32_t slots, count;
    uint32_t depth; /* bits of the hash that all its words share */
    uint32_t spare;
    uint64_t words[];
};

/* Leaves by number: an address, or twice the next free number and one. */
struct shoal_zset_block {
    uintptr_t leaves[BLOCK_LEAVES];
};

static size_t segment_size(uint32_t slots)
{
    SHOAL_DEBUG_ASSERT(slots >= SLOTS_MIN);
    return sizeof(shoal_zset_segment) + slots * sizeof(uint64_t);
}

static shoal_zset_segment *segment_make(shoal_account *account, uint32_t slots, uint32_t depth)
{
    SHOAL_ASSERT(depth <= DEPTH_MAX);
    if (slots < SLOTS_MIN) slots = SLOTS_MIN;
    shoal_zset_segment *segment = shoal_account_take(account, segment_size(slots));
    if (segment == NULL) return NULL;
    memset(segment, 0, segment_size(slots));
    segment->slots = slots;
    segment->depth = depth;
    return segment;
}

static void segment_give(shoal_account *account, shoal_zset_segment *segment)
{
    SHOAL_DEBUG_ASSERT(segment->slots >= SLOTS_MIN);
    shoal_account_give(account, segment, segment_size(segment->slots));
}

/* Where in a segment a word with this upper half of a hash belongs. */
static inline uint32_t home_of(const shoal_zset_segment *segment, uint32_t high)
{
    return (uint32_t)((uint64_t)(high << segment->depth) * segment->slots >> 32);
}

static inline uint32_t after(const shoal_zset_segment *segment, uint32_t at)
{
    return at + 1 == segment->slots ? 0 : at + 1;
}

static void segment_add(shoal_zset_segment *segment, uint64_t word)
{
    SHOAL_ASSERT(segment->count + 1 < segment->slots);
    uint32_t at = home_of(segment, (uint32_t)(word >> 32));
    while (segment->words[at] != 0) at = after(segment, at);
    segment->words[at] = word;
    segment->count++;
}

/* The place of a word that is there. */
static uint32_t segment_find(const shoal_zset_segment *segment, uint64_t word)
{
    uint32_t at = home_of(segment, (uint32_t)(word >> 32));
    while (segment->words[at] != word) {
        SHOAL_ASSERT(segment->words[at] != 0);
        at = after(segment, at);
    }
    return at;
}

/* Empties a place and closes the gap. */
static void segment_remove(shoal_zset_segment *segment, uint32_t hole)
{
    SHOAL_ASSERT(segment->words[hole] != 0);
    uint32_t slots = segment->slots;
    for (uint32_t at = after(segment, hole); segment->words[at] != 0; at = after(segment, at)) {
        uint32_t home = home_of(segment, (uint32_t)(segment->words[at] >> 32));
        /* It may go back to the hole if that lies between its home and its place. */
        uint32_t from_home = at >= home ? at - home : at + slots - home;
        uint32_t from_hole = at >= hole ? at - hole : at + slots - hole;
        if (from_home < from_hole) continue;
        segment->words[hole] = segment->words[at];
        hole = at;
    }
    segment->words[hole] = 0;
    segment->count--;
}

/* ---- the directory ---- */

static inline uint32_t directory_at(const shoal_zset_index *index, uint32_t high)
{
    return index->depth == 0 ? 0 : high >> (32 - index->depth);
}

static inline shoal_zset_segment *segment_of(const shoal_zset_index *index, uint64_t hash)
{
    SHOAL_DEBUG_ASSERT(index->directory != NULL);
    return index->directory[directory_at(index, (uint32_t)(hash >> 32))];
}

/* Puts `segment` wherever the directory has hashes that begin like `high`, as many bits as the
 * segment's depth says. */
static void directory_put(shoal_zset_index *index, shoal_zset_segment *segment, uint32_t high)
{
    SHOAL_ASSERT(segment->depth <= index->depth);
    uint32_t width = 1u << (index->depth - segment->depth);
    uint32_t first = directory_at(index, high) & ~(width - 1);
    for (uint32_t i = first; i < first + width; i++) index->directory[i] = segment;
}

static bool directory_double(shoal_zset_index *index, shoal_account *account)
{
    SHOAL_ASSERT(index->depth < DEPTH_MAX);
    size_t count = (size_t)1 << index->depth;
    shoal_zset_segment **larger =
        shoal_account_take(account, 2 * count * sizeof(shoal_zset_segment *));
    if (larger == NULL) return false;
    for (size_t i = 0; i < count; i++) larger[2 * i] = larger[2 * i + 1] = index->directory[i];
    shoal_account_give(account, index->directory, count * sizeof(shoal_zset_segment *));
    index->directory = larger;
    index->depth++;
    return true;
}

/* Makes a segment anew with so many slots. */
static bool rebuild(shoal_zset_index *index, shoal_account *account, uint32_t high, uint32_t slots)
{
    shoal_zset_segment *old = index->directory[directory_at(index, high)];
    shoal_zset_segment *new = segment_make(account, slots, old->depth);
    SHOAL_ASSERT(old->count < slots || slots < SLOTS_MIN);
    if (new == NULL) return false;
    for (uint32_t i = 0; i < old->slots; i++) {
        if (old->words[i] != 0) segment_add(new, old->words[i]);
    }
    directory_put(index, new, high);
    segment_give(account, old);
    return true;
}

/* Replaces a segment by two, by the next bit of the hash. */
static bool split(shoal_zset_index *index, shoal_account *account, uint32_t high)
{
    shoal_zset_segment *old = index->directory[directory_at(index, high)];
    SHOAL_ASSERT(old->depth < DEPTH_MAX);
    if (old->depth == index->depth && !directory_double(index, account)) return false;
    uint32_t bit = UINT32_C(1) << (31 - old->depth);
    uint32_t counts[2] = {0, 0};
    for (uint32_t i = 0; i < old->slots; i++) {
        if (old->words[i] != 0) counts[(old->words[i] >> 32 & bit) != 0]++;
    }
    shoal_zset_segment *low = segment_make(account, SLOTS_FOR(counts[0] + 1), old->depth + 1);
    if (low == NULL) return false;
    shoal_zset_segment *top = segment_make(account, SLOTS_FOR(counts[1] + 1), old->depth + 1);
    if (top == NULL) {
        segment_give(account, low);
        return false;
    }
    for (uint32_t i = 0; i < old->slots; i++) {
        if (old->words[i] == 0) continue;
        segment_add((old->words[i] >> 32 & bit) != 0 ? top : low, old->words[i]);
    }
    directory_put(index, low, high & ~bit);
    directory_put(index, top, high | bit);
    segment_give(account, old);
    return true;
}

/* Replaces a segment and the other half of what it was split from by one, when both have few
 * words. */
static void unite(shoal_zset_index *index, shoal_account *account, uint32_t high)
{
    shoal_zset_segment *one = index->directory[directory_at(index, high)];
    SHOAL_ASSERT(one->depth <= index->depth);
    if (one->depth == 0) return;
    uint32_t bit = UINT32_C(1) << (32 - one->depth);
    shoal_zset_segment *other = index->directory[directory_at(index, high ^ bit)];
    if (other->depth != one->depth || one->count + other->count > SLOTS_MAX / 4) return;
    shoal_zset_segment *both =
        segment_make(account, SLOTS_FOR(one->count + other->count + 1), one->depth - 1);
    if (both == NULL) return;
    const shoal_zset_segment *halves[2] = {one, other};
    for (int half = 0; half < 2; half++) {
        for (uint32_t i = 0; i < halves[half]->slots; i++) {
            if (halves[half]->words[i] != 0) segment_add(both, halves[half]->words[i]);
        }
    }
    directory_put(index, both, high);
    segment_give(account, one);
    segment_give(account, other);
}

bool shoal_zset__index_make(shoal_zset_index *index, shoal_account *account)
{
    SHOAL_ASSERT(index->directory == NULL);
    shoal_zset_segment *first = segment_make(account, SLOTS_MIN, 0);
    if (first == NULL) return false;
    index->directory = shoal_account_take(account, sizeof(shoal_zset_segment *));
    if (index->directory == NULL) {
        segment_give(account, first);
        return false;
    }
    index->directory[0] = first;
    index->depth = 0;
    index->next_id = 1;
    return true;
}

bool shoal_zset__index_free_some(shoal_zset_index *index, shoal_account *account, uint32_t *budget)
{
    while (index->directory != NULL && *budget > 0) {
        /* From the end: where equal neighbours share a segment, the first of them frees it. */
        uint32_t last = index->next_id == 0 ? index->free_id : (1u << index->depth) - 1;
        index->next_id = 0; /* freeing has begun: free_id counts down */
        shoal_zset_segment *segment = index->directory[last];
        if (last == 0 || index->directory[last - 1] != segment) segment_give(account, segment);
        index->free_id = last - 1;
        --*budget;
        if (last != 0) continue;
        shoal_account_give(account, index->directory,
                           ((size_t)1 << index->depth) * sizeof(shoal_zset_segment *));
        index->directory = NULL;
    }
    while (index->directory == NULL && index->block_count > 0 && *budget > 0) {
        shoal_account_give(account, index->blocks[--index->block_count], sizeof(shoal_zset_block));
        --*budget;
    }
    if (index->directory != NULL || index->block_count > 0) return false;
    if (index->block_room > 0)
        shoal_account_give(account, index->blocks, index->block_room * sizeof(shoal_zset_block *));
    index->block_room = 0;
    SHOAL_ASSERT(index->block_count == 0);
    return true;
}

/* ---- numbers of leaves ---- */

static uintptr_t *leaf_slot(const shoal_zset_index *index, uint32_t id)
{
    SHOAL_DEBUG_ASSERT(id > 0 && id < index->next_id);
    return &index->blocks[id / BLOCK_LEAVES]->leaves[id % BLOCK_LEAVES];
}

bool shoal_zset__id_reserve(shoal_zset_index *index, shoal_account *account)
{
    SHOAL_ASSERT(index->next_id > 0);
    if (index->free_id != 0 || index->next_id < index->block_count * BLOCK_LEAVES) return true;
    if (index->block_count == index->block_room) {
        uint32_t room = index->block_room == 0 ? BLOCKS_MIN : 2 * index->block_room;
        shoal_zset_block **blocks =
            shoal_account_resize(account, index->blocks,
                                 index->block_room * sizeof(shoal_zset_block *),
                                 room * sizeof(shoal_zset_block *));
        if (blocks == NULL) return false;
        index->blocks = blocks;
        index->block_room = room;
    }
    shoal_zset_block *block = shoal_account_take(account, sizeof(*block));
    if (block == NULL) return false;
    index->blocks[index->block_count++] = block;
    return true;
}

void shoal_zset__id_take(shoal_zset_index *index, shoal_zset_leaf *leaf)
{
    uint32_t id = index->free_id;
    if (id != 0) {
        index->free_id = (uint32_t)(*leaf_slot(index, id) >> 1);
    } else {
        SHOAL_ASSERT(index->next_id < index->block_count * BLOCK_LEAVES);
        id = index->next_id++;
    }
    leaf->id = id;
    *leaf_slot(index, id) = (uintptr_t)leaf;
}

void shoal_zset__id_give(shoal_zset_index *index, uint32_t id)
{
    SHOAL_ASSERT(id > 0 && id < index->next_id);
    *leaf_slot(index, id) = (uintptr_t)index->free_id << 1 | 1;
    index->free_id = id;
}

void shoal_zset__id_set(shoal_zset_index *index, shoal_zset_leaf *leaf)
{
    SHOAL_ASSERT(leaf->id > 0);
    *leaf_slot(index, leaf->id) = (uintptr_t)leaf;
}

shoal_zset_leaf *shoal_zset__id_leaf(const shoal_zset_index *index, uint32_t id)
{
    uintptr_t leaf = *leaf_slot(index, id);
    SHOAL_ASSERT((leaf & 1) == 0);
    return (shoal_zset_leaf *)leaf;
}

/* ---- members ---- */

uint32_t shoal_zset__index_next(const shoal_zset_index *index, uint64_t hash,
                                shoal_zset_probe *probe)
{
    uint32_t high = (uint32_t)(hash >> 32);
    if (probe->segment == NULL) {
        probe->segment = segment_of(index, hash);
        probe->at = home_of(probe->segment, high);
    }
    SHOAL_DEBUG_ASSERT(probe->at < probe->segment->slots);
    for (;;) {
        uint64_t word = probe->segment->words[probe->at];
        if (word == 0) return 0;
        probe->at = after(probe->segment, probe->at);
        if (word >> 32 == high) return (uint32_t)word;
    }
}

bool shoal_zset__index_reserve(shoal_zset_index *index, shoal_account *account, uint64_t hash)
{
    uint32_t high = (uint32_t)(hash >> 32);
    SHOAL_DEBUG_ASSERT(index->directory != NULL);
    for (;;) {
        const shoal_zset_segment *segment = segment_of(index, hash);
        if (segment->count < FULL(segment->slots)) return true;
        uint32_t slots = segment->slots + segment->slots / 4;
        bool made;
        if (slots <= SLOTS_MAX || segment->depth == DEPTH_MAX) {
            made = rebuild(index, account, high, slots);
        } else if (segment->slots < SLOTS_MAX) {
            made = rebuild(index, account, high, SLOTS_MAX);
        } else {
            made = split(index, account, high);
        }
        if (!made) return false;
    }
}

void shoal_zset__index_add(shoal_zset_index *index, uint64_t hash, uint32_t id)
{
    SHOAL_ASSERT(id > 0);
    segment_add(segment_of(index, hash), (hash >> 32) << 32 | id);
}

void shoal_zset__index_remove(shoal_zset_index *index, shoal_account *account, uint64_t hash,
                              uint32_t id)
{
    shoal_zset_segment *segment = segment_of(index, hash);
    SHOAL_DEBUG_ASSERT(segment->count > 0);
    segment_remove(segment, segment_find(segment, (hash >> 32) << 32 | id));
    if (segment->slots == SLOTS_MIN || segment->count > segment->slots / 4) return;
    /* What cannot be had now is tried again at the next removal. */
    if (rebuild(index, account, (uint32_t)(hash >> 32), SLOTS_FOR(segment->count + 1)))
        unite(index, account, (uint32_t)(hash >> 32));
}

void shoal_zset__index_change(shoal_zset_index *index, uint64_t hash, uint32_t from, uint32_t to)
{
    SHOAL_ASSERT(to > 0);
    shoal_zset_segment *segment = segment_of(index, hash);
    uint64_t high = (hash >> 32) << 32;
    segment->words[segment_find(segment, high | from)] = high | to;
}

void shoal_zset__index_prefetch(const shoal_zset_index *index, uint64_t hash)
{
    const shoal_zset_segment *segment = segment_of(index, hash);
    SHOAL_DEBUG_ASSERT(segment != NULL);
    __builtin_prefetch(&segment->words[home_of(segment, (uint32_t)(hash >> 32))], 1);
}

/* ---- walking ---- */

uint64_t shoal_zset__index_walk(const shoal_zset_index *index, uint64_t from, uint32_t count,
                                shoal_zset_index_visit visit, void *context)
{
    SHOAL_ASSERT(from >> 32 == 0);
    const shoal_zset_segment *segment = index->directory[directory_at(index, (uint32_t)from)];
    uint64_t width = UINT64_C(1) << (32 - segment->depth);
    uint64_t end = (from & ~(width - 1)) + width;
    if (segment->count > count) {
        uint64_t stretch = from + width * count / segment->count + 1;
        if (stretch < end) end = stretch;
    }
    uint32_t at = home_of(segment, (uint32_t)from), last = home_of(segment, (uint32_t)(end - 1));
    /* All that belong to the stretch stand before the first gap behind it. */
    bool passed = at == last;
    for (uint32_t i = 0; i < segment->slots; i++) {
        uint64_t word = segment->words[at];
        if (word == 0 && passed) break;
        if (word != 0 && word >> 32 >= from && word >> 32 < end)
            visit(context, (uint32_t)(word >> 32), shoal_zset__id_leaf(index, (uint32_t)word));
        at = after(segment, at);
        passed |= at == last;
    }
    return end;
}

/* ---- moving ---- */

/* A copy of `size` bytes in place of `*piece` when that is sparse. */
static void move_piece(shoal_account *account, void **piece, size_t size,
                       const shoal_value_mover *mover)
{
    SHOAL_DEBUG_ASSERT(size > 0);
    if (!mover->is_sparse(mover->context, *piece, size)) return;
    void *copy = shoal_account_take(account, size);
    if (copy == NULL) return;
    memcpy(copy, *piece, size);
    shoal_account_give(account, *piece, size);
    *piece = copy;
}

void shoal_zset__index_move(shoal_zset_index *index, shoal_account *account, uint64_t *cursor,
                            uint32_t *budget, const shoal_value_mover *mover)
{
    uint64_t segments = index->directory == NULL ? 0 : UINT64_C(1) << index->depth;
    for (; *budget > 0 && *cursor < segments; ++*cursor, --*budget) {
        shoal_zset_segment *segment = index->directory[*cursor];
        if (*cursor > 0 && index->directory[*cursor - 1] == segment) continue;
        void *piece = segment;
        move_piece(account, &piece, segment_size(segment->slots), mover);
        segment = piece;
        for (uint64_t i = 0; i < UINT64_C(1) << (index->depth - segment->depth); i++)
            index->directory[*cursor + i] = segment;
    }
    for (; *budget > 0 && *cursor < segments + index->block_count; ++*cursor, --*budget) {
        void *piece = index->blocks[*cursor - segments];
        move_piece(account, &piece, sizeof(shoal_zset_block), mover);
        index->blocks[*cursor - segments] = piece;
    }
    if (*cursor >= segments + index->block_count) *cursor = 0;
    SHOAL_ASSERT(*budget == 0 || *cursor == 0);
}
