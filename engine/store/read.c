/* SPDX-License-Identifier: MIT
 *
 * store/read.c - keys made ready, the look ahead that asks for their memory, and reads that need no
 * gate. A read of a key that was looked ahead for begins where the look has seen it, and is as good
 * as one that searches: an item with the name in a bucket that the key's slot leads to now is the
 * key's (table.c, claims T1 and T2).
 */
#include "base/crc16.h"
#include "base/hash.h"
#include "store/look.h"

/* Bytes of a value that are asked for ahead; the processor sees by itself where it goes on. */
#define PREFETCH_VALUE_MAX ((size_t)2048)

/* ---- keys ---- */

uint32_t shoal_key_slot(shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    return shoal_crc16_slot(name);
}

void shoal_key_init(shoal_key *key, const shoal_store *store, uint32_t db, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    key->name.data = name.data;
    key->name.size = name.size;
    shoal_look__ready(key, store, db);
}

void shoal_keys_ready(const shoal_store *store, uint32_t db, shoal_key *keys, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    SHOAL_DEBUG_ASSERT(count == 0 || keys != NULL);
    for (uint32_t i = 0; i < count; i++) shoal_look__ready(&keys[i], store, db);
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

void shoal_store_prefetch_buckets(const shoal_store *store, const shoal_key *keys, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(count == 0 || keys != NULL);
    uint64_t tag = 0;
    for (uint32_t i = 0; i < count; i++) FETCH(shoal_look__home(store, &keys[i], &tag));
}

uint32_t shoal_store_prefetch_items(const shoal_store *store, shoal_key *keys, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(count == 0 || keys != NULL);
    shoal_look looks[SHOAL_KEYS_TOGETHER];
    SHOAL_ASSERT(count <= SHOAL_KEYS_TOGETHER);
    for (uint32_t i = 0; i < count; i++) {
        shoal_look__begin(&looks[i], store, &keys[i]);
        if (LIKELY(looks[i].bucket != NULL)) shoal_look__at_bucket(&looks[i]);
        keys[i].seen = (uint8_t)(looks[i].item != NULL ? looks[i].index + 1 : 0);
        if (looks[i].item == NULL) shoal_evict__foresee(store, &keys[i]);
    }
    return shoal_look__ask(looks, count);
}

/* What stands under the key in its first two buckets. */
static const shoal_item *look_twice(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    shoal_look look;
    shoal_look__begin(&look, store, key);
    for (int i = 0; i < 2 && look.item == NULL && look.bucket != NULL; i++)
        shoal_look__at_bucket(&look);
    return look.item;
}

void shoal_store_prefetch_behind(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    const shoal_item *item = look_twice(store, key);
    if (item != NULL) shoal_look__ask_head(item);
}

void shoal_store_prefetch_value(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    const shoal_item *item = look_twice(store, key);
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
    shoal_bucket *bucket = shoal_look__home(thread->store, key, &tag);
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

const shoal_item *shoal_store_get_plain(shoal_thread *thread, const shoal_key *key)
{
    const shoal_store *store = thread->store;
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, store->seed));
    SHOAL_ASSERT(thread->stamp != 0);
    /* pair: slot.slow, slot.owned, leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(store, key->place)), tag = 0;
    bool foreign = (word & WORD_FOREIGN) != 0;
    if (UNLIKELY((word & WORD_SLOW) != 0 || foreign == store->owned)) return NULL;
    shoal_bucket *bucket = shoal_table__home(word, key->hash, &tag);
    if (UNLIKELY(bucket == NULL)) return NULL;
    uint64_t entry = shoal_bucket__recall(bucket, tag, key);
    const shoal_item *item = shoal_entry__pointer(entry);
    _Atomic uint8_t *age = &bucket->ages[(key->seen - 1u) & 7];
    if (entry == 0) item = shoal_table__find(bucket, tag, key->name, &age);
    if (item == NULL || (item->head & (ITEM_TYPE_MASK | ITEM_OBJECT)) != SHOAL_TYPE_STRING ||
        shoal_item__is_expired(item, thread->judged_ms))
        return NULL;
    shoal_evict__use(&thread->evictor, age);
    return item;
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
