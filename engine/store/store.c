/* SPDX-License-Identifier: MIT
 *
 * store/store.c - a store's life, its threads' batches, and the operations on single keys: reads
 * that need no gate, and changes by the holder of the key's gate. The concurrency argument is
 * in gate.c (G), table.c (T), walk.c (W) and base/epoch.h (E).
 */
#include "store/store.h"

#include "base/crc16.h"
#include "base/hash.h"
#include "base/text.h"
#include "store/internal.h"

/* Retired pieces that one leave frees, besides twice as many as its batch has retired, so that
 * they cannot pile up; a piece is some 50 ns. */
#define LEAVE_PIECES 1024u
/* Retired pieces from which on a refresh is one: what is freed three refreshes later is then still
 * in the caches. Measured: a SET at pipeline 64 takes half the CPU. */
#define REFRESH_PIECES 48u
/* Bytes of a value that are asked for ahead; the processor sees by itself where it goes on. */
#define PREFETCH_VALUE_MAX ((size_t)2048)
/* The random stream of a thread that picks keys. */
#define PURPOSE_RANDOM_KEY 1u

/* ---- life ---- */

/* Databases are aligned by hand: a plain request is what allocators serve from untouched pages. */
#define DB_BLOCK_SIZE (sizeof(shoal_db) + SHOAL_ALIGN_LINE)

static bool make_databases(shoal_store *store)
{
    SHOAL_ASSERT(store->database_count > 0);
    SHOAL_ASSERT(store->database_count <= SHOAL_DATABASES_MAX);
    for (uint32_t i = 0; i < store->database_count; i++) {
        void *block = shoal_memory_take_zeroed(&store->allocator, DB_BLOCK_SIZE, SHOAL_ALIGN_PLAIN);
        if (block == NULL) return false;
        uintptr_t address = ((uintptr_t)block + SHOAL_ALIGN_LINE - 1) & ~(SHOAL_ALIGN_LINE - 1ul);
        store->database_blocks[i] = block;
        store->databases[i] = (shoal_db *)address;
    }
    return true;
}

static bool make_threads(shoal_store *store)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(store->thread_count <= SHOAL_THREADS_MAX);
    size_t size = sizeof(shoal_thread) * store->thread_count;
    store->threads = shoal_memory_take_zeroed(&store->allocator, size, SHOAL_SHARING_SIZE);
    if (store->threads == NULL) return false;
    for (uint32_t i = 0; i < store->thread_count; i++) {
        shoal_thread *thread = &store->threads[i];
        thread->store = store;
        thread->index = i;
        thread->alone = store->thread_count == 1;
        thread->prng = shoal_prng_make((uint64_t[2]){store->seed, 0}, i, PURPOSE_RANDOM_KEY);
    }
    return shoal_epoch_make(&store->epoch, store->thread_count, &store->allocator) == 0;
}

/* Gives back what the two functions above have made of a store. */
static void unmake(shoal_store *store)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(store->database_count <= SHOAL_DATABASES_MAX);
    shoal_allocator allocator = store->allocator;
    if (store->epoch.records != NULL) shoal_epoch_free(&store->epoch, &allocator);
    shoal_memory_give(&allocator, store->threads, sizeof(shoal_thread) * store->thread_count,
                      SHOAL_SHARING_SIZE);
    for (uint32_t i = 0; i < SHOAL_DATABASES_MAX; i++) {
        shoal_memory_give(&allocator, store->database_blocks[i], DB_BLOCK_SIZE, SHOAL_ALIGN_PLAIN);
    }
    shoal_memory_give(&allocator, store, sizeof *store, SHOAL_SHARING_SIZE);
}

shoal_err shoal_store_create(const shoal_store_options *options, shoal_store **out)
{
    SHOAL_ASSERT(options->allocator.allocate != NULL);
    SHOAL_ASSERT(options->allocator.usable_size != NULL);
    SHOAL_ASSERT(out != NULL);
    if (options->threads < 1 || options->threads > SHOAL_THREADS_MAX || options->databases < 1 ||
        options->databases > SHOAL_DATABASES_MAX) {
        return SHOAL_ERR_INVALID;
    }
    shoal_store *store =
        shoal_memory_take_zeroed(&options->allocator, sizeof *store, SHOAL_SHARING_SIZE);
    if (store == NULL) return SHOAL_ERR_NO_MEMORY;
    store->allocator = options->allocator;
    store->seed = options->seed;
    store->thread_count = options->threads;
    store->database_count = options->databases;
    store->owned = options->owned;
    shoal_store_relaxed(&store->active_expire, true);
    shoal_store_relaxed(&store->sweep_due_ms, INT64_MAX);
    shoal_route__init(store);
    if (!make_threads(store) || !make_databases(store)) {
        unmake(store);
        return SHOAL_ERR_NO_MEMORY;
    }
    *out = store;
    return SHOAL_ERR_OK;
}

/* Frees what a database holds through the limbo of one thread, slot by slot. */
static void empty_database(shoal_thread *thread, uint32_t db)
{
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(db < thread->store->database_count);
    _Atomic uint64_t *used = thread->store->databases[db]->used;
    uint32_t slot = shoal_map__next(used, 0, SHOAL_SLOTS - 1);
    while (slot < SHOAL_SLOTS) {
        uint32_t place = SHOAL_PLACE(db, slot);
        bool taken = shoal_gate__take(thread, place);
        SHOAL_ASSERT(taken);
        (void)shoal_store_clear_locked(thread, place);
        shoal_gate__release(thread, place);
        slot = shoal_map__next(used, slot + 1, SHOAL_SLOTS - 1);
    }
}

void shoal_store_destroy(shoal_store *store)
{
    if (store == NULL) return;
    shoal_thread *first = &store->threads[0];
    for (uint32_t i = 0; i < store->thread_count; i++) {
        SHOAL_ASSERT(store->threads[i].stamp == 0);
        shoal_limbo__clear(&store->threads[i]);
    }
    shoal_thread_enter(first, first->now);
    for (uint32_t db = 0; db < store->database_count; db++) {
        empty_database(first, db);
    }
    shoal_thread_leave(first);
    shoal_limbo__clear(first);
    shoal_route__clear(store);
    unmake(store);
}

/* ---- threads ---- */

shoal_thread *shoal_store_thread(shoal_store *store, uint32_t index)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(index < store->thread_count);
    return &store->threads[index];
}

shoal_store *shoal_thread_store(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    return thread->store;
}

void shoal_thread_enter(shoal_thread *thread, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(now.wall_us >= 0);
    SHOAL_DEBUG_ASSERT(now.mono_us >= 0);
    SHOAL_ASSERT(thread->stamp == 0);
    thread->now = now;
    thread->now_ms = shoal_time_wall_ms(now);
    thread->batches++;
    thread->stamp =
        thread->alone ? thread->batches : shoal_epoch_enter(&thread->store->epoch, thread->index);
    shoal_gate__begin(thread);
}

void shoal_thread_leave(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(!thread->draining);
    SHOAL_ASSERT(thread->stamp != 0);
    thread->stamp = 0;
    if (!thread->alone) shoal_epoch_leave(&thread->store->epoch, thread->index);
    uint32_t budget = LEAVE_PIECES + 2 * thread->retired;
    thread->retired = 0;
    if (thread->alone || shoal_limbo__is_long(thread)) shoal_limbo__collect(thread, budget);
}

void shoal_thread_refresh(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(!thread->draining);
    if (LIKELY(thread->retired < REFRESH_PIECES)) return;
    shoal_time now = thread->now;
    shoal_thread_leave(thread);
    shoal_thread_enter(thread, now);
}

shoal_time shoal_thread_now(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    return thread->now;
}

/* ---- keys and reads ---- */

uint32_t shoal_key_slot(shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    return shoal_crc16_slot(name);
}

shoal_key shoal_key_make(const shoal_store *store, uint32_t db, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    return (shoal_key){
        .name = name,
        .hash = shoal_hash(name, store->seed),
        .place = SHOAL_PLACE(db, shoal_crc16_slot(name)),
    };
}

void shoal_store_prefetch_bucket(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    uint64_t tag = 0;
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(store, key->place));
    __builtin_prefetch(shoal_table__home(word, key->hash, &tag));
}

/* The first item under the key's tag, most likely the key's own, or NULL. */
static const shoal_item *glimpse(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    uint64_t tag = 0;
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(store, key->place));
    const shoal_bucket *bucket = shoal_table__home(word, key->hash, &tag);
    if (bucket == NULL) return NULL;
    for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
        /* pair: bucket.entry */
        uint64_t entry = shoal_load_acquire(&bucket->entries[i]);
        if (shoal_entry__matches(entry, tag)) return shoal_entry__pointer(entry);
    }
    return NULL;
}

void shoal_store_prefetch_item(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    const char *item = (const char *)glimpse(store, key);
    if (item == NULL) return;
    __builtin_prefetch(item);
    __builtin_prefetch(item + SHOAL_ALIGN_LINE);
}

void shoal_store_prefetch_value(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    const shoal_item *item = glimpse(store, key);
    if (item == NULL) return;
    size_t size = shoal_item__size(item);
    if (size > PREFETCH_VALUE_MAX) size = PREFETCH_VALUE_MAX;
    for (size_t at = 2 * SHOAL_ALIGN_LINE; at < size; at += SHOAL_ALIGN_LINE)
        __builtin_prefetch((const char *)item + at);
}

void shoal_store_prefetch_gate(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    __builtin_prefetch(shoal_store__hot(store, key->place), 1);
}

bool shoal_store_place_slow(const shoal_store *store, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    /* pair: slot.slow */
    return (shoal_load_acquire(shoal_store__word(store, place)) & WORD_SLOW) != 0;
}

const shoal_item *shoal_store_get(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_ASSERT(thread->stamp != 0);
    uint64_t tag = 0;
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(thread->store, key->place));
    const shoal_bucket *bucket = shoal_table__home(word, key->hash, &tag);
    if (bucket == NULL) return NULL;
    const shoal_item *item = shoal_table__find(bucket, tag, key->name);
    if (item == NULL || shoal_item__is_expired(item, thread->now_ms)) return NULL;
    return item;
}

/* ---- accounts of a slot, kept by its gate's holder ---- */

static void set_bit(_Atomic uint64_t *map, uint32_t place, bool on)
{
    SHOAL_DEBUG_ASSERT(map != NULL);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_SLOT(place) < SHOAL_SLOTS);
    uint32_t slot = SHOAL_PLACE_SLOT(place);
    uint64_t bit = (uint64_t)1 << (slot % 64);
    if (on) {
        (void)shoal_or_relaxed(&map[slot / 64], bit);
    } else {
        (void)shoal_and_relaxed(&map[slot / 64], ~bit);
    }
}

static void count_keys(shoal_thread *thread, uint32_t place, int32_t change)
{
    SHOAL_DEBUG_ASSERT(change != 0);
    SHOAL_DEBUG_ASSERT(change > 0 ||
                       shoal_load_relaxed(&shoal_store__hot(thread->store, place)->keys) >=
                           (uint32_t)-change);
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    uint32_t before = shoal_load_relaxed(&hot->keys);
    uint32_t after = before + (uint32_t)change;
    shoal_store_relaxed(&hot->keys, after);
    shoal_bump_relaxed(&thread->counters.keys[SHOAL_PLACE_DB(place)], change);
    if ((before == 0) == (after == 0)) return;
    set_bit(shoal_store__db(thread->store, place)->used, place, after != 0);
}

static void count_volatile(shoal_thread *thread, uint32_t place, int32_t change)
{
    SHOAL_DEBUG_ASSERT(change >= 0 ||
                       shoal_load_relaxed(&shoal_store__hot(thread->store, place)->keys_volatile) >=
                           (uint32_t)-change);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (change == 0) return;
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    uint32_t before = shoal_load_relaxed(&hot->keys_volatile);
    uint32_t after = before + (uint32_t)change;
    shoal_store_relaxed(&hot->keys_volatile, after);
    shoal_bump_relaxed(&thread->counters.keys_volatile[SHOAL_PLACE_DB(place)], change);
    if ((before == 0) == (after == 0)) return;
    set_bit(shoal_store__db(thread->store, place)->expiring, place, after != 0);
}

static bool is_volatile(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) == SHOAL_TYPE_STRING);
    return (item->head & ITEM_VOLATILE) != 0;
}

/* Hands an item that is no longer in its slot to the limbo. */
static void retire_item(shoal_thread *thread, shoal_hot *hot, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&hot->bytes) >= shoal_item_memory(thread->store, item));
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) == SHOAL_TYPE_STRING);
    uint64_t bytes = shoal_item_memory(thread->store, item);
    shoal_bump_relaxed(&hot->bytes, -bytes);
    uint64_t what = shoal_limbo__item(item, shoal_item__size(item));
    shoal_limbo__retire(thread, CORPSE_ITEM, what, bytes);
}

static void check_gate(const shoal_thread *thread, uint32_t place)
{
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(shoal_load_relaxed(&shoal_store__hot(thread->store, place)->gate) != 0);
}

/* ---- changes under the gate ---- */

void shoal_store__drop(shoal_thread *thread, const shoal_key *key, const shoal_leaf *leaf,
                       const shoal_spot *spot)
{
    SHOAL_DEBUG_ASSERT(spot->index < BUCKET_ENTRIES);
    SHOAL_DEBUG_ASSERT(leaf->word != 0);
    uint64_t entry = shoal_load_relaxed(&spot->bucket->entries[spot->index]);
    const shoal_item *item = shoal_entry__pointer(entry);
    shoal_table__remove(thread, key, leaf, spot);
    retire_item(thread, shoal_store__hot(thread->store, key->place), item);
    count_volatile(thread, key->place, is_volatile(item) ? -1 : 0);
    count_keys(thread, key->place, -1);
}

const shoal_item *shoal_store_get_locked(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(thread->now_ms >= 0);
    check_gate(thread, key->place);
    shoal_spot spot;
    shoal_leaf leaf = shoal_table__leaf(thread->store, key);
    const shoal_item *item = shoal_table__locate(&leaf, key, &spot);
    if (item == NULL || !shoal_item__is_expired(item, thread->now_ms)) return item;
    shoal_store__drop(thread, key, &leaf, &spot);
    shoal_bump_relaxed(&thread->counters.expired, 1);
    return NULL;
}

/* Puts `item` in the place of the one at `spot`. */
static void replace(shoal_thread *thread, const shoal_key *key, const shoal_spot *spot,
                    const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(spot->index < BUCKET_ENTRIES);
    SHOAL_DEBUG_ASSERT(shoal_item__has_name(item, key->name));
    _Atomic uint64_t *at = &spot->bucket->entries[spot->index];
    uint64_t entry = shoal_load_relaxed(at);
    const shoal_item *before = shoal_entry__pointer(entry);
    /* pair: bucket.entry */
    shoal_store_release(at, shoal_entry__make(shoal_entry__tag(entry), item));
    retire_item(thread, shoal_store__hot(thread->store, key->place), before);
    count_volatile(thread, key->place, is_volatile(item) - is_volatile(before));
}

static shoal_err put(shoal_thread *thread, const shoal_key *key, shoal_item_plan *plan)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(plan->name.size == key->name.size);
    check_gate(thread, key->place);
    if (!shoal_limbo__reserve(thread)) return SHOAL_ERR_NO_MEMORY;
    shoal_item *item = shoal_item__make(thread, plan);
    if (item == NULL) return SHOAL_ERR_NO_MEMORY;

    shoal_spot spot;
    shoal_leaf leaf = shoal_table__leaf(thread->store, key);
    bool exists = shoal_table__locate(&leaf, key, &spot) != NULL;
    if (!exists && shoal_table__add(thread, key, item, &spot.home) != SHOAL_ERR_OK) {
        (void)shoal_item__free(thread, item, shoal_item__size(item));
        return SHOAL_ERR_NO_MEMORY;
    }
    if (is_volatile(item)) {
        shoal_expire__note(thread, key->place, spot.home, shoal_item_expires_ms(item));
    }
    shoal_bump_relaxed(&shoal_store__hot(thread->store, key->place)->bytes, plan->bytes);
    if (exists) {
        replace(thread, key, &spot, item);
    } else {
        count_volatile(thread, key->place, is_volatile(item));
        count_keys(thread, key->place, 1);
    }
    return SHOAL_ERR_OK;
}

shoal_err shoal_store_put_locked(shoal_thread *thread, const shoal_key *key, shoal_slice value,
                                 int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(value.data != NULL || value.size == 0);
    SHOAL_DEBUG_ASSERT(value.size <= SHOAL_VALUE_SIZE_MAX);
    shoal_item_plan plan = {.name = key->name, .value = value, .expires_ms = expires_ms};
    plan.is_integer =
        value.size <= SHOAL_TEXT_INTEGER_SIZE && shoal_text_to_i64(value, &plan.integer);
    return put(thread, key, &plan);
}

shoal_err shoal_store_put_integer_locked(shoal_thread *thread, const shoal_key *key, int64_t value,
                                         int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_item_plan plan = {.name = key->name,
                            .is_integer = true,
                            .integer = value,
                            .expires_ms = expires_ms};
    return put(thread, key, &plan);
}

bool shoal_store_remove_locked(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    if (shoal_store_get_locked(thread, key) == NULL) return false;
    shoal_spot spot;
    shoal_leaf leaf = shoal_table__leaf(thread->store, key);
    const shoal_item *item = shoal_table__locate(&leaf, key, &spot);
    SHOAL_ASSERT(item != NULL);
    shoal_store__drop(thread, key, &leaf, &spot);
    return true;
}

shoal_err shoal_store_expire_locked(shoal_thread *thread, const shoal_key *key, int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(thread->now_ms >= 0);
    const shoal_item *item = shoal_store_get_locked(thread, key);
    if (item == NULL) return SHOAL_ERR_NOT_FOUND;
    if (expires_ms < 0 && !is_volatile(item)) return SHOAL_ERR_OK;
    shoal_item_parts parts = shoal_item__parts(item);
    shoal_item_plan plan = {
        .name = key->name,
        .value = {parts.value, parts.value_size},
        .expires_ms = expires_ms,
    };
    plan.is_integer = shoal_item_integer(item, &plan.integer);
    return put(thread, key, &plan);
}

uint64_t shoal_store_clear_locked(shoal_thread *thread, uint32_t place)
{
    SHOAL_ASSERT(SHOAL_PLACE_DB(place) < thread->store->database_count);
    SHOAL_ASSERT(thread->stamp != 0);
    check_gate(thread, place);
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    uint32_t keys = shoal_load_relaxed(&hot->keys);
    if (keys == 0) return 0;
    _Atomic uint64_t *home = shoal_store__word(thread->store, place);
    uint64_t word = shoal_load_relaxed(home) & ~WORD_FLAGS;
    shoal_table__publish(home, 0);
    shoal_limbo__retire(thread, CORPSE_TREE, word, shoal_load_relaxed(&hot->bytes));
    shoal_store_relaxed(&hot->bytes, (uint64_t)0);
    hot->leaf_keys = 0;
    count_volatile(thread, place, -(int32_t)shoal_load_relaxed(&hot->keys_volatile));
    count_keys(thread, place, -(int32_t)keys);
    return keys;
}
