/* SPDX-License-Identifier: MIT
 *
 * store/table.c - the entries of a slot, changed by the holder of its gate while others read.
 *
 * Claims:
 *   T1  A reader loads each word of a chain once. An entry is one word: tag and pointer are never
 *       seen apart, and the item behind it was complete before the release that published it.
 *   T2  An entry stays in its place until it is removed, with two exceptions, each one store:
 *       the last entry of a full bucket becomes a chain to a bucket that already holds it, and
 *       a chain to a bucket with a single item becomes that item; the bucket left behind keeps
 *       its content until nobody can see it. So a reader that finds nothing is right, and a walk
 *       of a chain sees an item that stays exactly once.
 *   T3  Tables are rebuilt aside and published by one store to the word that leads to them. The
 *       old ones stay as they were at that moment. A read of one is ordered before it.
 *   T4  What is unlinked is retired, never freed here.
 */
#include "store/internal.h"

void *shoal_table__take(shoal_thread *thread, size_t size)
{
    SHOAL_ASSERT(size > 0);
    SHOAL_ASSERT(size % sizeof(shoal_bucket) == 0);
    shoal_store *store = thread->store;
    void *memory = shoal_slab_take(&thread->slab, size, SHOAL_ALIGN_LINE);
    if (memory == NULL) return NULL;
    memset(memory, 0, size);
    int64_t bytes = (int64_t)shoal_store__usable(store, size, SHOAL_ALIGN_LINE);
    shoal_bump_relaxed(&thread->counters.bytes, bytes);
    shoal_bump_relaxed(&thread->counters.bytes_tables, bytes);
    return memory;
}

void shoal_table__give(shoal_thread *thread, void *memory, size_t size)
{
    SHOAL_ASSERT(memory != NULL);
    SHOAL_ASSERT(size % sizeof(shoal_bucket) == 0);
    shoal_store *store = thread->store;
    int64_t bytes = (int64_t)shoal_store__usable(store, size, SHOAL_ALIGN_LINE);
    shoal_bump_relaxed(&thread->counters.bytes, -bytes);
    shoal_bump_relaxed(&thread->counters.bytes_tables, -bytes);
    shoal_slab_give(&thread->slab, memory, size, SHOAL_ALIGN_LINE);
}

void shoal_table__publish(_Atomic uint64_t *home, uint64_t word)
{
    SHOAL_DEBUG_ASSERT(home != NULL);
    SHOAL_ASSERT((word & WORD_FLAGS) == 0);
    uint64_t before = shoal_load_relaxed(home);
    /* Only the FOREIGN bit changes without the gate. pair: leaf.publish */
    while (!shoal_cas_release(home, &before, word | (before & WORD_FLAGS))) continue;
}

void shoal_table__descend_to(const shoal_store *store, const shoal_key *key, shoal_leaf *leaf)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    leaf->home = shoal_store__word(store, key->place);
    leaf->keys = &shoal_store__hot(store, key->place)->leaf_keys;
    leaf->hash = key->hash;
    leaf->depth = 0;
    leaf->above = NULL;
    leaf->above_keys = NULL;
    leaf->word = shoal_load_relaxed(leaf->home) & ~WORD_FLAGS;
    while (UNLIKELY(leaf->word & WORD_DIRECTORY)) {
        shoal_directory *directory = shoal_word__pointer(leaf->word);
        uint32_t child = (uint32_t)(leaf->hash >> (64 - DIRECTORY_BITS));
        leaf->above = leaf->home;
        leaf->above_keys = leaf->keys;
        leaf->home = &directory->words[child];
        leaf->keys = &directory->keys[child];
        leaf->hash <<= DIRECTORY_BITS;
        leaf->word = shoal_load_relaxed(leaf->home);
        leaf->depth++;
    }
    SHOAL_ASSERT(leaf->depth <= DEPTH_MAX);
}

static shoal_bucket *home_bucket(const shoal_leaf *leaf)
{
    SHOAL_DEBUG_ASSERT(leaf->word != 0);
    SHOAL_DEBUG_ASSERT((leaf->word & (WORD_FLAGS | WORD_DIRECTORY)) == 0);
    shoal_bucket *buckets = shoal_word__pointer(leaf->word);
    uint64_t tag = leaf->hash >> (64 - TAG_BITS);
    return buckets + shoal_tag__bucket(tag, shoal_word__buckets(leaf->word));
}

/* Looks for the entry of `key` from `spot->home` on. */
static shoal_item *search(uint64_t tag, const shoal_key *key, shoal_spot *spot)
{
    SHOAL_DEBUG_ASSERT(tag >> TAG_BITS == 0);
    SHOAL_DEBUG_ASSERT(spot->before == NULL);
    for (shoal_bucket *bucket = spot->home;;) {
        shoal_bucket_view view;
        uint32_t matches = shoal_bucket__scan(bucket, tag, &view);
        spot->bucket = bucket;
        for (; LIKELY(matches != 0); matches &= matches - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(matches);
            shoal_item *item = shoal_entry__pointer(view.entries[i]);
            if (UNLIKELY(item == NULL || !shoal_item__has_name(item, key->name))) continue;
            spot->index = i;
            return item;
        }
        uint64_t last = view.entries[BUCKET_ENTRIES - 1];
        if (!shoal_entry__is_chain(last)) return NULL;
        spot->before = bucket;
        bucket = shoal_entry__pointer(last);
    }
}

shoal_item *shoal_table__locate(const shoal_leaf *leaf, const shoal_key *key, shoal_spot *spot)
{
    SHOAL_DEBUG_ASSERT((leaf->word & (WORD_FLAGS | WORD_DIRECTORY)) == 0);
    SHOAL_DEBUG_ASSERT(leaf->depth <= DEPTH_MAX);
    if (leaf->word == 0) return NULL;
    uint64_t tag = leaf->hash >> (64 - TAG_BITS);
    shoal_bucket *home = home_bucket(leaf);
    spot->home = spot->bucket = home;
    spot->before = NULL;
    spot->index = key->seen - 1u;
    uint64_t entry = shoal_bucket__recall(home, tag, key);
    if (LIKELY(entry != 0)) return shoal_entry__pointer(entry);
    spot->index = BUCKET_ENTRIES;
    return search(tag, key, spot);
}

shoal_err shoal_bucket__put(shoal_thread *thread, shoal_bucket *home, shoal_fresh_entry entry,
                            uint64_t *bytes)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    SHOAL_ASSERT(shoal_entry__is_item(entry.word));
    shoal_bucket *bucket = home;
    uint64_t last = 0;
    for (;;) {
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            last = shoal_load_relaxed(&bucket->entries[i]);
            if (last != 0) continue;
            shoal_store_relaxed(&bucket->ages[i], entry.age);
            shoal_store_release(&bucket->entries[i], entry.word); /* pair: bucket.entry */
            return SHOAL_ERR_OK;
        }
        if (!shoal_entry__is_chain(last)) break;
        bucket = shoal_entry__pointer(last);
    }
    shoal_bucket *overflow = shoal_table__take(thread, sizeof *overflow);
    if (overflow == NULL) return SHOAL_ERR_NO_MEMORY;
    *bytes += shoal_store__usable(thread->store, sizeof *overflow, SHOAL_ALIGN_LINE);
    uint8_t last_age = shoal_load_relaxed(&bucket->ages[BUCKET_ENTRIES - 1]);
    shoal_store_relaxed(&overflow->entries[0], last);
    shoal_store_relaxed(&overflow->ages[0], last_age);
    shoal_store_relaxed(&overflow->entries[1], entry.word);
    shoal_store_relaxed(&overflow->ages[1], entry.age);
    uint64_t chain = shoal_entry__make(0, overflow) | ENTRY_CHAIN;
    /* pair: bucket.entry (claim T2) */
    shoal_store_release(&bucket->entries[BUCKET_ENTRIES - 1], chain);
    return SHOAL_ERR_OK;
}

shoal_err shoal_table__add(shoal_thread *thread, const shoal_key *key, const shoal_item *item,
                           shoal_bucket **home)
{
    SHOAL_DEBUG_ASSERT(shoal_item__has_name(item, key->name));
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (UNLIKELY(thread->cut != NULL)) shoal_cut__before(thread, key);
    shoal_leaf leaf = shoal_table__leaf(thread->store, key);
    shoal_leaf__grow(thread, key->place, &leaf);
    leaf = shoal_table__leaf(thread->store, key);
    if (leaf.word == 0) return SHOAL_ERR_NO_MEMORY;

    shoal_hot *hot = shoal_store__hot(thread->store, key->place);
    uint64_t bytes = 0;
    uint64_t entry = shoal_entry__make(leaf.hash >> (64 - TAG_BITS), item);
    *home = home_bucket(&leaf);
    int64_t expires_ms = shoal_item__parts(item).expires_ms;
    shoal_fresh_entry fresh = {entry, shoal_evict__arrive(thread, key, expires_ms)};
    shoal_err error = shoal_bucket__put(thread, *home, fresh, &bytes);
    if (error != SHOAL_ERR_OK) return error;
    shoal_bump_relaxed(&hot->bytes, bytes);
    ++*leaf.keys;
    return SHOAL_ERR_OK;
}

/* After a removal from the overflow bucket `spot->bucket`: when it is the last of its chain and
 * holds at most one item, that item takes the place of the chain (claim T2). */
static void collapse(shoal_thread *thread, shoal_hot *hot, const shoal_spot *spot)
{
    SHOAL_ASSERT(spot->before != NULL);
    SHOAL_ASSERT(spot->index < BUCKET_ENTRIES);
    SHOAL_ASSERT((uintptr_t)hot % sizeof *hot == 0);
    uint64_t only = 0;
    uint8_t age = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
        uint64_t entry = shoal_load_relaxed(&spot->bucket->entries[i]);
        if (entry == 0) continue;
        if (shoal_entry__is_chain(entry) || ++count > 1) return;
        only = entry;
        age = shoal_load_relaxed(&spot->bucket->ages[i]);
    }
    shoal_store_relaxed(&spot->before->ages[BUCKET_ENTRIES - 1], age);
    /* pair: bucket.entry */
    shoal_store_release(&spot->before->entries[BUCKET_ENTRIES - 1], only);
    uint64_t bytes = shoal_store__usable(thread->store, sizeof(shoal_bucket), SHOAL_ALIGN_LINE);
    shoal_bump_relaxed(&hot->bytes, -bytes);
    shoal_limbo__retire(thread, CORPSE_BUCKET, (uint64_t)(uintptr_t)spot->bucket, bytes);
}

void shoal_table__remove(shoal_thread *thread, const shoal_key *key, const shoal_leaf *leaf,
                         const shoal_spot *spot)
{
    SHOAL_DEBUG_ASSERT(spot->index < BUCKET_ENTRIES);
    SHOAL_ASSERT(*leaf->keys > 0);
    shoal_hot *hot = shoal_store__hot(thread->store, key->place);
    /* pair: bucket.entry */
    shoal_store_release(&spot->bucket->entries[spot->index], (uint64_t)0);
    --*leaf->keys;
    if (spot->before != NULL) collapse(thread, hot, spot);
    shoal_leaf__shrink(thread, key, leaf);
}
