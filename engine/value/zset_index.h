/* SPDX-License-Identifier: MIT
 *
 * value/zset_index.h - from the hash of a member to the leaf that holds it, and from the number of
 * a leaf to the leaf. For the files of sorted sets only.
 *
 * The hash table is extendible: a directory of segments by the highest bits of the hash; a segment
 * is an open-addressing table of up to some thousand words that grows by a quarter and splits in
 * two when it is full. So nothing ever takes longer than rebuilding one segment (some
 * microseconds), but for the directory, which is doubled by copying eight bytes for each segment:
 * twenty microseconds for ten million elements.
 * A word has the upper 32 bits of the hash and the number of the leaf: a leaf that splits changes
 * words, and no element has an address.
 *
 * Threads: as the object that it belongs to.
 */
#ifndef SHOAL_VALUE_ZSET_INDEX_H
#define SHOAL_VALUE_ZSET_INDEX_H

#include "value/zset_leaf.h"

typedef struct shoal_zset_segment shoal_zset_segment;
typedef struct shoal_zset_block shoal_zset_block;

/* The index. Zero is a set without one. */
typedef struct shoal_zset_index {
    shoal_zset_segment **directory; /* 1 << depth; equal neighbours share a segment; or NULL */
    uint64_t seed;                  /* of the hash; set also without an index */
    uint32_t depth;
    uint32_t block_count; /* of `blocks` */
    uint32_t block_room;
    uint32_t free_id;          /* the first of a chain of numbers that are free again; 0: none */
    uint32_t next_id;          /* the first number that was never used */
    shoal_zset_block **blocks; /* leaves by number */
} shoal_zset_index;

/* A search for words of one hash. */
typedef struct shoal_zset_probe {
    const shoal_zset_segment *segment;
    uint32_t at;
} shoal_zset_probe;

/* An index without elements in place of none. False without memory. */
bool shoal_zset__index_make(shoal_zset_index *index, shoal_account *account);
/* Frees at most `*budget` pieces of the index and takes what it used from `*budget`. True when all
 * is freed. */
bool shoal_zset__index_free_some(shoal_zset_index *index, shoal_account *account, uint32_t *budget);

/* ---- numbers of leaves ---- */

/* Room for one more leaf. False without memory. */
bool shoal_zset__id_reserve(shoal_zset_index *index, shoal_account *account);
/* Gives `leaf` a number, for which there is room. */
void shoal_zset__id_take(shoal_zset_index *index, shoal_zset_leaf *leaf);
/* The number of a leaf is free again. */
void shoal_zset__id_give(shoal_zset_index *index, uint32_t id);
/* The leaf has moved. */
void shoal_zset__id_set(shoal_zset_index *index, shoal_zset_leaf *leaf);
/* The leaf of a number. */
shoal_zset_leaf *shoal_zset__id_leaf(const shoal_zset_index *index, uint32_t id);

/* ---- members ---- */

/* The next leaf that may hold a member of this hash, by its number; 0: no more. `probe` is zero at
 * first. */
uint32_t shoal_zset__index_next(const shoal_zset_index *index, uint64_t hash,
                                shoal_zset_probe *probe);
/* Room for one more member of this hash. False without memory. */
bool shoal_zset__index_reserve(shoal_zset_index *index, shoal_account *account, uint64_t hash);
/* Adds a member, for which there is room. */
void shoal_zset__index_add(shoal_zset_index *index, uint64_t hash, uint32_t id);
/* Removes a member; may shrink. */
void shoal_zset__index_remove(shoal_zset_index *index, shoal_account *account, uint64_t hash,
                              uint32_t id);
/* A member has gone from one leaf to another. */
void shoal_zset__index_change(shoal_zset_index *index, uint64_t hash, uint32_t from, uint32_t to);
/* Asks for the cache line where a hash is. */
void shoal_zset__index_prefetch(const shoal_zset_index *index, uint64_t hash);

/* ---- walking ---- */

/* Called with the upper 32 bits of the hash of a member and its leaf. */
typedef void (*shoal_zset_index_visit)(void *context, uint32_t hash, shoal_zset_leaf *leaf);
/* Visits the members whose hash is at least `from` in one stretch of some `count` of them. Returns
 * the first hash behind the stretch, 2^32 at the end. */
uint64_t shoal_zset__index_walk(const shoal_zset_index *index, uint64_t from, uint32_t count,
                                shoal_zset_index_visit visit, void *context);

/* ---- moving ---- */

/* As the move of shoal_value_ops for the pieces of the index. */
void shoal_zset__index_move(shoal_zset_index *index, shoal_account *account, uint64_t *cursor,
                            uint32_t *budget, const shoal_value_mover *mover);

#endif
