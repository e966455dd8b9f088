/* SPDX-License-Identifier: MIT
 *
 * store/write_plain.c - the write that is made most: a short text takes the place of an item that
 * is as plain, where the look ahead has seen it, and nobody looks on. It is what `put` of write.c
 * comes to then, step by step, with all that is asked at its beginning; where one of the answers is
 * another, nothing has been done, and `put` begins. Half of its instructions.
 */
#include "store/quick.h"

#include "base/hash.h"
#include "base/slab_quick.h"

/* The item to be replaced and where it is. */
typedef struct plain_spot {
    shoal_bucket *bucket;
    uint32_t index;
    uint64_t entry;
    const shoal_item *item;
} plain_spot;

/* What the bits of an item must not be that is replaced here: with them it is longer, or needs more
 * than to be retired. */
#define NOT_PLAIN (ITEM_LONG | ITEM_VOLATILE | ITEM_OBJECT)

/* Looks for the key where the look ahead has not seen it, most often behind its first bucket. */
static __attribute__((noinline)) bool find_elsewhere(const shoal_thread *thread,
                                                     const shoal_key *key, plain_spot *spot)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(spot != NULL);
    uint64_t tag = 0;
    _Atomic uint8_t *age = NULL;
    uint64_t word = shoal_load_relaxed(shoal_store__word(thread->store, key->place));
    shoal_bucket *home = shoal_table__home(word, key->hash, &tag);
    spot->item = home == NULL ? NULL : shoal_table__find(home, tag, key->name, &age);
    if (spot->item == NULL) return false;
    spot->bucket = (shoal_bucket *)((uintptr_t)age & ~(uintptr_t)(sizeof *home - 1));
    spot->index = (uint32_t)(age - spot->bucket->ages);
    spot->entry = shoal_load_relaxed(&spot->bucket->entries[spot->index]);
    return true;
}

/* Finds the item of the key where the look ahead has seen it, or elsewhere. */
static inline bool find(const shoal_thread *thread, const shoal_key *key, plain_spot *spot)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(key->seen <= BUCKET_ENTRIES);
    uint64_t tag = 0;
    uint64_t word = shoal_load_relaxed(shoal_store__word(thread->store, key->place));
    spot->bucket = key->seen != 0 ? shoal_table__home(word, key->hash, &tag) : NULL;
    spot->entry = spot->bucket != NULL ? shoal_bucket__recall(spot->bucket, tag, key) : 0;
    if (UNLIKELY(spot->entry == 0)) return find_elsewhere(thread, key, spot);
    spot->index = key->seen - 1u;
    spot->item = shoal_entry__pointer(spot->entry);
    return true;
}

/* True when nobody is to be told of the write or asked before it, and `size` bytes more fit. */
static inline bool may_be_quick(const shoal_thread *thread, const shoal_hot *hot, size_t size)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&hot->gate) != 0);
    bool alone = thread->cut == NULL && thread->observer == NULL && hot->interests == NULL;
    const shoal_limbo_block *last = thread->limbo_last;
    return LIKELY(alone && thread->account.bytes == 0 && last != NULL &&
                  last->end < LIMBO_BLOCK_ENTRIES &&
                  shoal_quick__fits(thread, (int64_t)(size + ITEM_OVERHEAD_MAX), 0));
}

/* Copies a value, sixteen bytes a step and the last ones once more. */
static inline void copy(char *to, shoal_slice value)
{
    SHOAL_DEBUG_ASSERT(value.size <= SHOAL_SLAB_FINE_MAX);
    struct step {
        char bytes[16];
    } step;
    if (UNLIKELY(value.size < sizeof step)) {
        if (value.size > 0) memcpy(to, value.data, value.size);
        return;
    }
    size_t last = value.size - sizeof step;
    for (size_t at = 0; at < last; at += sizeof step) {
        memcpy(&step, value.data + at, sizeof step);
        memcpy(to + at, &step, sizeof step);
    }
    memcpy(&step, value.data + last, sizeof step);
    memcpy(to + last, &step, sizeof step);
}

/* Writes the item. */
static inline void fill(shoal_item *item, shoal_slice name, shoal_slice value)
{
    SHOAL_DEBUG_ASSERT(name.size <= UINT8_MAX);
    SHOAL_DEBUG_ASSERT(value.size <= UINT16_MAX);
    item->head = SHOAL_TYPE_STRING;
    item->key_size = (uint8_t)name.size;
    item->value_size = (uint16_t)value.size;
    copy(shoal_quick__name(item->bytes, name), value);
}

bool shoal_write__plain(shoal_thread *thread, const shoal_key *key, shoal_slice value)
{
    plain_spot spot;
    shoal_hot *hot = shoal_store__hot(thread->store, key->place);
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(shoal_load_relaxed(&hot->gate) != 0);
    size_t size = sizeof *spot.item + key->name.size + value.size;
    if (size > SHOAL_SLAB_FINE_MAX || !may_be_quick(thread, hot, size)) return false;
    if (!find(thread, key, &spot) || (spot.item->head & NOT_PLAIN) != 0) return false;
    size_t size_before = sizeof *spot.item + spot.item->key_size + spot.item->value_size;
    if (UNLIKELY(size_before > SHOAL_SLAB_FINE_MAX)) return false;
    shoal_item *item = shoal_slab_take_quick(&thread->slab, size);
    if (UNLIKELY(item == NULL)) return false;
    fill(item, key->name, value);
    _Atomic uint64_t *at = &spot.bucket->entries[spot.index];
    /* pair: bucket.entry */
    shoal_store_release(at, shoal_entry__make(shoal_entry__tag(spot.entry), item));

    uint64_t bytes = shoal_store__usable(thread->store, size, ITEM_ALIGNMENT);
    uint64_t before = shoal_store__usable(thread->store, size_before, ITEM_ALIGNMENT);
    shoal_bump_relaxed(&thread->counters.bytes, (int64_t)bytes);
    shoal_bump_relaxed(&hot->bytes, bytes - before);
    shoal_quick__retire(thread, spot.item, size_before, before);
    shoal_quick__replace(thread, key, &spot.bucket->ages[spot.index], spot.item, item);
    shoal_quick__note(thread, hot, key, SHOAL_CHANGE_VALUE);
    return true;
}
