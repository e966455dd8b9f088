/* SPDX-License-Identifier: MIT
 *
 * store/read.c - keys made ready, the look ahead that asks for their memory, and reads that need no
 * gate. A read of a key that was looked ahead for begins where the look has seen it, and is as good
 * as one that searches: an item with the name in a bucket that the key's slot leads to now is the
 * key's (table.c, claims T1 and T2).
 */
#include "base/crc16.h"
#include "base/hash.h"
#include "base/line.h"
#include "store/internal.h"

/* Bytes of a value that are asked for ahead; the processor sees by itself where it goes on. */
#define PREFETCH_VALUE_MAX ((size_t)2048)
/* Keys whose items are asked for at once: with more lines than the processor can wait for, it would
 * stand still meanwhile. Measured: eight are better than sixteen and as good as four. */
#define GROUP 8u
/* Asks for a line that is used some tens of nanoseconds from now: as far as the second cache, since
 * the first can wait for few lines at a time, and what asks it for more stands still. Measured: a
 * sixth of a GET in batches. */
#define FETCH(line) __builtin_prefetch((line), 0, 2)

/* ---- keys ---- */

uint32_t shoal_key_slot(shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    return shoal_crc16_slot(name);
}

/* The same, in the way that this processor is best at. */
static inline uint32_t slot_of(const shoal_store *store, shoal_slice name)
{
    return LIKELY(store->folds) ? shoal_crc16_slot_folded(name) : shoal_crc16_slot(name);
}

void shoal_key_init(shoal_key *key, const shoal_store *store, uint32_t db, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    uint32_t place = SHOAL_PLACE(db, slot_of(store, name));
    /* A batch looks at the slots' words next, and they do not all stay in the nearest caches. */
    __builtin_prefetch(shoal_store__word(store, place));
    key->name.data = name.data;
    key->name.size = name.size;
    key->hash = shoal_hash(name, store->seed);
    key->place = place;
    key->seen = 0;
}

shoal_key shoal_key_make(const shoal_store *store, uint32_t db, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    shoal_key key = {.place = 0};
    shoal_key_init(&key, store, db, name);
    return key;
}

/* ---- looking ahead ---- */

/* The home bucket of a key, and its tag; NULL where there is no leaf. */
static inline shoal_bucket *home_of(const shoal_store *store, const shoal_key *key, uint64_t *tag)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(store, key->place));
    return shoal_table__home(word, key->hash, tag);
}

void shoal_store_prefetch_buckets(const shoal_store *store, const shoal_key *keys, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(count == 0 || keys != NULL);
    uint64_t tag = 0;
    for (uint32_t i = 0; i < count; i++) FETCH(home_of(store, &keys[i], &tag));
}

/* The entries among the words of a bucket's line. */
#define ENTRIES_MASK ((1u << BUCKET_ENTRIES) - 1)
_Static_assert(ENTRY_TAG_SHIFT - 1 == SHOAL_LINE_SHIFT, "a tag stands where a look compares");

/* What stands in one bucket under a tag. */
typedef struct glimpse {
    const shoal_item *item; /* with the tag, most likely the key's own, or NULL */
    shoal_bucket *bucket;   /* where it is; without one, the next of the chain, or NULL */
    uint32_t index;         /* of its entry */
} glimpse;

/* All entries are looked at in one go, and the one with the tag is read after that: an entry of
 * another key that took its place meanwhile is not taken for it. */
static inline glimpse glimpse_bucket(shoal_bucket *bucket, uint64_t tag)
{
    SHOAL_DEBUG_ASSERT(tag >> TAG_BITS == 0);
    SHOAL_DEBUG_ASSERT((uintptr_t)bucket % sizeof *bucket == 0);
    uint32_t matches = shoal_line_match(bucket->entries, (uint32_t)tag << 1, ENTRIES_MASK);
    if (LIKELY(matches != 0)) {
        uint32_t index = (uint32_t)__builtin_ctz(matches);
        /* pair: bucket.entry */
        uint64_t entry = shoal_load_acquire(&bucket->entries[index]);
        if (LIKELY(shoal_entry__matches(entry, tag)))
            return (glimpse){shoal_entry__pointer(entry), bucket, index};
    }
    /* pair: bucket.entry */
    uint64_t last = shoal_load_acquire(&bucket->entries[BUCKET_ENTRIES - 1]);
    return (glimpse){NULL, shoal_entry__is_chain(last) ? shoal_entry__pointer(last) : NULL, 0};
}

/* Asks for the beginning of an item: of a small one that is all, however it lies in its lines. */
static inline void prefetch_head(const void *item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    FETCH(item);
    FETCH((const char *)item + SHOAL_ALIGN_LINE);
    FETCH((const char *)item + SHOAL_ALIGN_LINE + SHOAL_ALIGN_LINE / 2);
}

/* What stands under some keys in their first buckets, and a bit for each key that may stand behind
 * that. Asks for what is needed next of each. */
static inline uint32_t glimpse_keys(const shoal_store *store, const shoal_key *keys, uint32_t count,
                                    glimpse *seen)
{
    uint32_t behind = 0;
    SHOAL_ASSERT(count <= SHOAL_KEYS_TOGETHER);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t tag = 0;
        shoal_bucket *bucket = home_of(store, &keys[i], &tag);
        seen[i] = (glimpse){.item = NULL};
        if (LIKELY(bucket != NULL)) seen[i] = glimpse_bucket(bucket, tag);
    }
    /* One behind the other: a prefetch leaves the processor's window only when its address has been
     * translated, so with the scans between them few translations would overlap. */
    for (uint32_t i = 0; i < count; i++) {
        if (LIKELY(seen[i].item != NULL)) {
            prefetch_head(seen[i].item);
        } else if (seen[i].bucket != NULL) {
            FETCH(seen[i].bucket);
            behind |= 1u << i;
        }
    }
    return behind;
}

/* The same for one key of those behind its first bucket, in the second. */
static inline void glimpse_behind(const shoal_store *store, const shoal_key *key, glimpse *seen)
{
    SHOAL_DEBUG_ASSERT(seen->item == NULL);
    SHOAL_DEBUG_ASSERT(seen->bucket != NULL);
    uint64_t tag = 0;
    if (home_of(store, key, &tag) == NULL) return;
    *seen = glimpse_bucket(seen->bucket, tag);
    if (LIKELY(seen->item != NULL)) prefetch_head(seen->item);
}

uint32_t shoal_store_prefetch_items(const shoal_store *store, shoal_key *keys, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(count == 0 || keys != NULL);
    glimpse seen[SHOAL_KEYS_TOGETHER];
    uint32_t behind = glimpse_keys(store, keys, count, seen);
    for (uint32_t i = 0; i < count; i++)
        keys[i].seen = (uint8_t)(seen[i].item != NULL ? seen[i].index + 1 : 0);
    return behind;
}

/* What stands under the key in its first two buckets. */
static const shoal_item *glimpse_key(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    uint64_t tag = 0;
    shoal_bucket *bucket = home_of(store, key, &tag);
    if (bucket == NULL) return NULL;
    glimpse seen = glimpse_bucket(bucket, tag);
    if (UNLIKELY(seen.item == NULL && seen.bucket != NULL)) seen = glimpse_bucket(seen.bucket, tag);
    return seen.item;
}

void shoal_store_prefetch_behind(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    const shoal_item *item = glimpse_key(store, key);
    if (item != NULL) prefetch_head(item);
}

void shoal_store_prefetch_value(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    const shoal_item *item = glimpse_key(store, key);
    if (item == NULL) return;
    size_t size = shoal_item__size(item);
    if (size > PREFETCH_VALUE_MAX) size = PREFETCH_VALUE_MAX;
    for (size_t at = 2 * SHOAL_ALIGN_LINE; at < size; at += SHOAL_ALIGN_LINE)
        FETCH((const char *)item + at);
}

void shoal_store_prefetch_gate(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    __builtin_prefetch(shoal_store__hot(store, key->place), 1);
}

/* ---- reads ---- */

bool shoal_store_place_slow(const shoal_store *store, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    /* pair: slot.slow */
    return (shoal_load_acquire(shoal_store__word(store, place)) & WORD_SLOW) != 0;
}

/* The live item of a key and its byte, or NULL. */
static inline const shoal_item *look(shoal_thread *thread, const shoal_key *key,
                                     _Atomic uint8_t **age)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_ASSERT(thread->stamp != 0);
    uint64_t tag = 0;
    shoal_bucket *bucket = home_of(thread->store, key, &tag);
    if (bucket == NULL) return NULL;
    uint64_t entry = shoal_bucket__recall(bucket, tag, key);
    const shoal_item *item = shoal_entry__pointer(entry);
    *age = &bucket->ages[(key->seen - 1u) & 7];
    if (entry == 0) item = shoal_table__find(bucket, tag, key->name, age);
    if (item == NULL) return NULL;
    if (LIKELY(!shoal_item__is_expired(item, thread->judged_ms))) return item;
    thread->met_expired = true;
    return NULL;
}

const shoal_item *shoal_store_get(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    _Atomic uint8_t *age;
    const shoal_item *item = look(thread, key, &age);
    if (LIKELY(item != NULL)) shoal_evict__use(&thread->evictor, age);
    return item;
}

/* What has been seen of a key is its live item, or a search finds out. */
static inline const shoal_item *settle(shoal_thread *thread, const shoal_key *key,
                                       const glimpse *seen)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(seen->index < BUCKET_ENTRIES);
    const shoal_item *item = seen->item;
    if (UNLIKELY(item == NULL || !shoal_item__has_name(item, key->name) ||
                 shoal_item__is_expired(item, thread->judged_ms)))
        return shoal_store_get(thread, key);
    shoal_evict__use(&thread->evictor, &seen->bucket->ages[seen->index]);
    return item;
}

void shoal_store_get_many(shoal_thread *thread, const shoal_key *keys, uint32_t count,
                          const shoal_item **items)
{
    glimpse seen[SHOAL_KEYS_TOGETHER];
    uint32_t behind = 0;
    SHOAL_ASSERT(count <= SHOAL_KEYS_TOGETHER);
    SHOAL_ASSERT(thread->stamp != 0);
    for (uint32_t at = 0; at < count; at += GROUP) {
        uint32_t some = count - at < GROUP ? count - at : GROUP;
        behind |= glimpse_keys(thread->store, keys + at, some, seen + at) << at;
    }
    for (uint32_t left = behind; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        glimpse_behind(thread->store, &keys[i], &seen[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (UNLIKELY(behind >> i & 1)) continue;
        items[i] = settle(thread, &keys[i], &seen[i]);
    }
    for (; behind != 0; behind &= behind - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(behind);
        items[i] = settle(thread, &keys[i], &seen[i]);
    }
}

const shoal_item *shoal_store_peek(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    _Atomic uint8_t *age;
    return look(thread, key, &age);
}

bool shoal_store_idle_ms(shoal_thread *thread, const shoal_key *key, int64_t *idle_ms)
{
    SHOAL_DEBUG_ASSERT(idle_ms != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    _Atomic uint8_t *age;
    const shoal_policy *policy = thread->evictor.policy;
    const shoal_item *item = look(thread, key, &age);
    if (item == NULL || policy->age == NULL) return false;
    uint8_t byte = shoal_load_relaxed(age);
    *idle_ms = 0;
    if ((byte & thread->evictor.exempt) == 0)
        *idle_ms = shoal_clock__since_ms(thread, policy->age(&thread->evictor.view, byte));
    return true;
}

bool shoal_store_frequency(shoal_thread *thread, const shoal_key *key, uint32_t *frequency)
{
    SHOAL_DEBUG_ASSERT(frequency != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    _Atomic uint8_t *age;
    const shoal_policy *policy = thread->evictor.policy;
    const shoal_item *item = look(thread, key, &age);
    if (item == NULL || policy->frequency == NULL) return false;
    uint8_t byte = shoal_load_relaxed(age);
    *frequency = 0;
    if ((byte & thread->evictor.exempt) == 0)
        *frequency = policy->frequency(&thread->evictor.view, byte);
    return true;
}
