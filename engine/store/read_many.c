/* SPDX-License-Identifier: MIT
 *
 * store/read_many.c - the reads of several keys at once, each stage for all of them before the
 * next, so that their memory is waited for together. A read finds what it would find alone at some
 * moment while all of them are under way: tables as they are when its key's bucket is asked for
 * stay as they were when they are replaced (table.c, claim T3), and an item with the name in a
 * bucket of them is the key's (claims T1 and T2).
 */
#include "base/hash.h"
#include "store/look.h"

/* Asks for the buckets of keys that are ready. */
static inline void ask_buckets(const shoal_store *store, const shoal_key *keys, shoal_look *looks,
                               uint32_t count)
{
    SHOAL_DEBUG_ASSERT(count <= GROUP);
    for (uint32_t i = 0; i < count; i++) {
        shoal_look__begin(&looks[i], store, &keys[i]);
        FETCH(looks[i].bucket);
    }
}

/* Looks at their buckets, and asks for what is next: a bit for each that may stand behind. */
static inline uint32_t ask_items(shoal_look *looks, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(count <= GROUP);
    for (uint32_t i = 0; i < count; i++) {
        if (LIKELY(looks[i].bucket != NULL)) shoal_look__at_bucket(&looks[i]);
    }
    return shoal_look__ask(looks, count);
}

/* Looks at buckets behind the first ones, and asks for what is there. */
static inline void ask_behind(shoal_look *looks, uint32_t behind)
{
    SHOAL_DEBUG_ASSERT(looks != NULL);
    for (; behind != 0; behind &= behind - 1) {
        shoal_look *look = &looks[__builtin_ctz(behind)];
        shoal_look__at_bucket(look);
        if (LIKELY(look->item != NULL)) shoal_look__ask_head(look->item);
    }
}

static inline uint32_t group_at(uint32_t at, uint32_t count)
{
    return count - at < GROUP ? count - at : GROUP;
}

/* True when the item is called `name`, and is of the short form and without expiry, as most are. */
static inline bool is_plainly(const shoal_item *item, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    return (item->head & (ITEM_LONG | ITEM_VOLATILE)) == 0 && item->key_size == name.size &&
           shoal_name__equal(item->bytes, name.data, name.size);
}

/* An item of whatever form has the name, and its time has not come. */
static __attribute__((noinline)) bool is_live(const shoal_thread *thread, const shoal_item *item,
                                              shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    return shoal_item__has_name(item, name) && !shoal_item__is_expired(item, thread->judged_ms);
}

/* What has been seen of a key is its live item, or a search finds out. */
static inline const shoal_item *settle(shoal_thread *thread, const shoal_key *key,
                                       const shoal_look *look)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(look->item == NULL || look->index < BUCKET_ENTRIES);
    const shoal_item *item = look->item;
    if (UNLIKELY(item == NULL ||
                 (!is_plainly(item, key->name) && !is_live(thread, item, key->name))))
        return shoal_store_get(thread, key);
    shoal_evict__use(&thread->evictor, &look->bucket->ages[look->index]);
    return item;
}

void shoal_store_get_many(shoal_thread *thread, uint32_t db, shoal_key *keys, uint32_t count,
                          const shoal_item **items)
{
    shoal_look looks[SHOAL_KEYS_TOGETHER];
    const shoal_store *store = thread->store;
    uint32_t behind = 0;
    SHOAL_ASSERT(count <= SHOAL_KEYS_TOGETHER);
    SHOAL_ASSERT(thread->stamp != 0);
    for (uint32_t at = 0; at < count; at += GROUP) {
        uint32_t end = at + group_at(at, count);
        for (uint32_t i = at; i < end; i++) shoal_look__ready(&keys[i], store, db);
        ask_buckets(store, keys + at, looks + at, end - at);
    }
    for (uint32_t at = 0; at < count; at += GROUP)
        behind |= ask_items(looks + at, group_at(at, count)) << at;
    ask_behind(looks, behind);
    for (uint32_t i = 0; i < count; i++) {
        if (UNLIKELY(behind >> i & 1)) continue;
        items[i] = settle(thread, &keys[i], &looks[i]);
    }
    for (; behind != 0; behind &= behind - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(behind);
        items[i] = settle(thread, &keys[i], &looks[i]);
    }
}

void shoal_store_look_ahead(const shoal_store *store, uint32_t db, shoal_key *keys, uint32_t count)
{
    shoal_look looks[SHOAL_KEYS_TOGETHER];
    uint32_t behind = 0;
    SHOAL_ASSERT(count <= SHOAL_KEYS_TOGETHER);
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    for (uint32_t at = 0; at < count; at += GROUP) {
        uint32_t end = at + group_at(at, count);
        for (uint32_t i = at; i < end; i++) {
            shoal_look__ready(&keys[i], store, db);
            __builtin_prefetch(shoal_store__hot(store, keys[i].place), 1);
        }
        ask_buckets(store, keys + at, looks + at, end - at);
    }
    for (uint32_t at = 0; at < count; at += GROUP)
        behind |= ask_items(looks + at, group_at(at, count)) << at;
    for (uint32_t i = 0; i < count; i++)
        keys[i].seen = (uint8_t)(looks[i].item != NULL ? looks[i].index + 1 : 0);
    ask_behind(looks, behind);
}
