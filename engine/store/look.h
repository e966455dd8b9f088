/* SPDX-License-Identifier: MIT
 *
 * store/look.h - the steps of a look ahead: a key made ready, its home bucket, what stands there,
 * and what is asked for next of it. read.c has them as stages for whoever batches by himself,
 * read_many.c as one read of several keys. Inside the store only, inside enter and leave.
 */
#ifndef SHOAL_STORE_LOOK_H
#define SHOAL_STORE_LOOK_H

#include "base/line.h"
#include "base/name.h"
#include "store/internal.h"

/* Keys whose memory is asked for at once: with more lines than the processor can wait for, it would
 * stand still meanwhile. Measured: eight are better than sixteen and as good as four. */
#define GROUP 8u
/* Asks for a line that is used some tens of nanoseconds from now: as far as the second cache, since
 * the first can wait for few lines at a time, and what asks it for more stands still. Measured: a
 * sixth of a GET in batches. */
#define FETCH(line) __builtin_prefetch((line), 0, 2)

/* How far a look ahead has come with a key. */
typedef struct shoal_look {
    const shoal_item *item; /* with the tag, most likely the key's own; NULL: none was seen */
    shoal_bucket *bucket;   /* where it is; without one, where to look next, or NULL */
    uint32_t tag;
    uint32_t index; /* of its entry */
} shoal_look;

/* ---- keys ---- */

/* Makes a key ready whose name stands in it. */
static inline void shoal_look__ready(shoal_key *key, const shoal_store *store, uint32_t db)
{
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    /* In the way that this processor is best at. */
    shoal_name_sums sums = LIKELY(store->folds) ? shoal_name_sum_folded(key->name, store->seed)
                                                : shoal_name_sum(key->name, store->seed);
    uint32_t place = SHOAL_PLACE(db, (uint32_t)sums.slot);
    /* A batch looks at the slots' words next, and they do not all stay in the nearest caches. */
    __builtin_prefetch(shoal_store__word(store, place));
    key->hash = sums.hash;
    key->place = place;
    key->seen = 0;
}

/* The home bucket of a key, and its tag; NULL where there is no leaf. */
static inline shoal_bucket *shoal_look__home(const shoal_store *store, const shoal_key *key,
                                             uint64_t *tag)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(store, key->place));
    return shoal_table__home(word, key->hash, tag);
}

/* ---- buckets ---- */

/* The entries among the words of a bucket's line. */
#define ENTRIES_MASK ((1u << BUCKET_ENTRIES) - 1)
_Static_assert(ENTRY_TAG_SHIFT - 1 == SHOAL_LINE_SHIFT, "a tag stands where a look compares");

/* A look at a key that is ready begins with its home bucket, if there is one. */
static inline void shoal_look__begin(shoal_look *look, const shoal_store *store,
                                     const shoal_key *key)
{
    uint64_t tag = 0;
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    look->item = NULL;
    look->bucket = shoal_look__home(store, key, &tag);
    look->tag = (uint32_t)tag;
}

/* Looks into the bucket where it has come to. All entries are looked at in one go, and the one with
 * the tag is read after that: an entry of another key that took its place meanwhile is not taken
 * for it. */
static inline void shoal_look__at_bucket(shoal_look *look)
{
    shoal_bucket *bucket = look->bucket;
    SHOAL_DEBUG_ASSERT(look->item == NULL && bucket != NULL);
    SHOAL_DEBUG_ASSERT(look->tag >> TAG_BITS == 0);
    uint32_t matches = shoal_line_match(bucket->entries, look->tag << 1, ENTRIES_MASK);
    if (LIKELY(matches != 0)) {
        look->index = (uint32_t)__builtin_ctz(matches);
        /* pair: bucket.entry */
        uint64_t entry = shoal_load_acquire(&bucket->entries[look->index]);
        if (LIKELY(shoal_entry__matches(entry, look->tag))) {
            look->item = shoal_entry__pointer(entry);
            return;
        }
    }
    /* pair: bucket.entry */
    uint64_t last = shoal_load_acquire(&bucket->entries[BUCKET_ENTRIES - 1]);
    look->bucket = shoal_entry__is_chain(last) ? shoal_entry__pointer(last) : NULL;
}

/* ---- items ---- */

/* Asks for the beginning of an item: of a small one that is all, however it lies in its lines. */
static inline void shoal_look__ask_head(const void *item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    FETCH(item);
    FETCH((const char *)item + SHOAL_ALIGN_LINE);
    FETCH((const char *)item + SHOAL_ALIGN_LINE + SHOAL_ALIGN_LINE / 2);
}

/* Asks for what is needed next of keys whose buckets were looked into: their items, or their next
 * buckets, and a bit for each of those. One behind the other: a prefetch leaves the processor's
 * window only when its address has been translated, so with the looks between them few
 * translations would overlap. */
static inline uint32_t shoal_look__ask(const shoal_look *looks, uint32_t count)
{
    uint32_t behind = 0;
    SHOAL_DEBUG_ASSERT(count <= SHOAL_KEYS_TOGETHER);
    for (uint32_t i = 0; i < count; i++) {
        if (LIKELY(looks[i].item != NULL)) {
            shoal_look__ask_head(looks[i].item);
        } else if (looks[i].bucket != NULL) {
            FETCH(looks[i].bucket);
            behind |= 1u << i;
        }
    }
    return behind;
}

#endif
