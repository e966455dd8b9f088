/* SPDX-License-Identifier: MIT
 *
 * store/table.h - what table.c, grow.c and walk.c do for the other files: leaves, spots in them,
 * and stretches of positions. Inside the store only.
 */
#ifndef SHOAL_STORE_TABLE_H
#define SHOAL_STORE_TABLE_H

#include "store/layout.h"

/* ---- table.c and grow.c: under the gate of the place ---- */

/* The leaf of a key, and what hangs above it. */
typedef struct shoal_leaf {
    _Atomic uint64_t *home;  /* the word that leads to it */
    uint32_t *keys;          /* how many entries it has */
    uint64_t word;           /* the home word without its flags; 0: no leaf */
    uint64_t hash;           /* of the key, consumed bits shifted out */
    uint32_t depth;          /* directories above */
    _Atomic uint64_t *above; /* the word that leads to the directory above, NULL at depth 0 */
    uint32_t *above_keys;    /* the count that goes with that word */
} shoal_leaf;

/* Where in a leaf an entry is. */
typedef struct shoal_spot {
    shoal_bucket *home;   /* of the chain */
    shoal_bucket *before; /* the bucket before `bucket`, NULL when it is the home */
    shoal_bucket *bucket;
    uint32_t index;
} shoal_spot;

/* Finds the leaf of `key`. Written where it is wanted: a copy would wait for its own stores. */
void shoal_table__descend_to(const shoal_store *store, const shoal_key *key, shoal_leaf *leaf);
/* The same where that does not matter. */
static inline shoal_leaf shoal_table__leaf(const shoal_store *store, const shoal_key *key)
{
    shoal_leaf leaf;
    shoal_table__descend_to(store, key, &leaf);
    return leaf;
}
/* The entry of `key` where the look ahead has seen it in its first bucket, or 0: then it may be
 * anywhere. What is seen now counts, so nothing depends on when that look was. */
static inline uint64_t shoal_bucket__recall(const shoal_bucket *home, uint64_t tag,
                                            const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(tag >> TAG_BITS == 0);
    SHOAL_DEBUG_ASSERT(key->seen <= BUCKET_ENTRIES);
    if (key->seen == 0) return 0;
    /* pair: bucket.entry */
    uint64_t entry = shoal_load_acquire(&home->entries[key->seen - 1]);
    if (UNLIKELY(!shoal_entry__matches(entry, tag))) return 0;
    return LIKELY(shoal_item__has_name(shoal_entry__pointer(entry), key->name)) ? entry : 0;
}
/* Finds the entry of `key` in its leaf: its item, or NULL. */
shoal_item *shoal_table__locate(const shoal_leaf *leaf, const shoal_key *key, shoal_spot *spot);
/* Adds an entry for `item` under `key`, which has none. 0 or SHOAL_ERR_NO_MEMORY; then nothing
 * has changed. `*home` is its home bucket. */
SHOAL_MUST_USE shoal_err shoal_table__add(shoal_thread *thread, const shoal_key *key,
                                          const shoal_item *item, shoal_bucket **home);
/* Takes the entry at `spot` out of its leaf; the item is the caller's. */
void shoal_table__remove(shoal_thread *thread, const shoal_key *key, const shoal_leaf *leaf,
                         const shoal_spot *spot);

/* An entry on its way into a bucket. */
typedef struct shoal_fresh_entry {
    uint64_t word;
    uint8_t age; /* its byte */
} shoal_fresh_entry;

/* Puts an entry into the chain of `home`, which is part of a leaf with an account of `*bytes`.
 * 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_bucket__put(shoal_thread *thread, shoal_bucket *home,
                                           shoal_fresh_entry entry, uint64_t *bytes);
/* Makes `word` what `*home` leads to; flags stay. */
void shoal_table__publish(_Atomic uint64_t *home, uint64_t word);

/* Makes room in the leaf for one more entry where its load asks for it: a first bucket, a rebuild
 * with an eighth more, a split. Without memory the leaf stays as it is. */
void shoal_leaf__grow(shoal_thread *thread, uint32_t place, const shoal_leaf *leaf);
/* Puts a leaf of the same size in the place of one whose memory is sparse. False without memory. */
bool shoal_leaf__rebuild(shoal_thread *thread, uint32_t place, const shoal_leaf *leaf);
/* Makes a leaf smaller, or merges it with its neighbours, where it has become too empty. */
void shoal_leaf__shrink(shoal_thread *thread, const shoal_key *key, const shoal_leaf *leaf);

/* ---- walk.c ---- */

/* The first position behind a slot. */
#define POSITION_END ((uint64_t)1 << POSITION_BITS)

/* A piece of a slot's positions: one home bucket, or a gap without buckets. */
typedef struct shoal_stretch {
    shoal_bucket *bucket; /* NULL: a gap */
    uint64_t base;        /* the leaf's first position */
    uint64_t end;         /* the position behind the stretch */
    uint32_t index;       /* of the bucket */
    uint32_t buckets;     /* of the leaf */
    uint32_t tag_shift;   /* an entry's position is base + (tag << tag_shift), or a bit more */
} shoal_stretch;

/* The first tag of a bucket in a leaf of so many; of the one behind the last, the end of tags. */
static inline uint64_t shoal_tag__first(uint32_t index, uint32_t buckets)
{
    return (((uint64_t)index << TAG_BITS) + buckets - 1) / buckets;
}

/* The stretch that holds `position` (< POSITION_END) below a slot's word. */
shoal_stretch shoal_walk__stretch(uint64_t word, uint64_t position);
/* Visits the live items of a stretch from `position` on. */
void shoal_walk__visit(const shoal_thread *thread, const shoal_stretch *stretch, uint64_t position,
                       shoal_visit visit, void *context);
/* The first slot from `slot` to `last` whose bit is set; `last` + 1 when there is none. */
uint32_t shoal_map__next(_Atomic uint64_t *map, uint32_t slot, uint32_t last);

#endif
