/* SPDX-License-Identifier: MIT
 *
 * store/store.c - a store's life, its threads' batches, and reads that need no gate. Changes are in
 * write.c; the concurrency argument is in gate.c (G), table.c (T), walk.c (W) and base/epoch.h
 * (E).
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
/* And of one that evicts. */
#define PURPOSE_EVICTION 2u

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

uint64_t shoal_store__array_bytes(const shoal_store *store)
{
    SHOAL_ASSERT(store->database_count > 0);
    return shoal_memory_usable(&store->allocator, DB_BLOCK_SIZE, SHOAL_ALIGN_PLAIN);
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
        shoal_slab_make(&thread->slab, &store->allocator);
        shoal_limbo__init(thread);
        thread->heap = shoal_slab_allocator(&thread->slab);
        thread->account.allocator = &thread->heap;
        thread->prng_evict = shoal_prng_make((uint64_t[2]){store->seed, 0}, i, PURPOSE_EVICTION);
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
    store->edits = options->edits;
    shoal_store_relaxed(&store->active_expire, true);
    shoal_store_relaxed(&store->sweep_due_ms, INT64_MAX);
    shoal_route__init(store);
    if (!make_threads(store) || !make_databases(store)) {
        unmake(store);
        return SHOAL_ERR_NO_MEMORY;
    }
    shoal_limits__init(store);
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
        bool cleared = shoal_store_clear_locked(thread, place) > 0;
        shoal_gate__release(thread, place);
        slot = shoal_map__next(used, cleared ? slot + 1 : slot, SHOAL_SLOTS - 1);
        if (cleared) continue;
        /* Without memory for noting more of them: what has been noted goes first. */
        shoal_thread_leave(thread);
        shoal_limbo__clear(thread);
        shoal_thread_enter(thread, thread->now);
    }
}

/* Ends a cut that somebody has left in the middle; nothing more is handed out. */
static void end_cut(shoal_thread *first)
{
    shoal_cut *cut = shoal_load_relaxed(&first->store->cut);
    SHOAL_ASSERT(first->stamp == 0);
    if (cut == NULL) return;
    shoal_cut_abort(cut);
    for (bool ended = false; !ended;) {
        shoal_thread_enter(first, first->now);
        ended = shoal_cut_step(cut, first, UINT32_MAX) && shoal_cut_end(cut, first);
        shoal_thread_leave(first);
    }
    SHOAL_ASSERT(shoal_load_relaxed(&first->store->cut) == NULL);
}

void shoal_store_destroy(shoal_store *store)
{
    if (store == NULL) return;
    shoal_thread *first = &store->threads[0];
    end_cut(first);
    shoal_own__clear(store);
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
    shoal_evict__clear(store);
    shoal_route__clear(store);
    /* What lies in one thread's bins may be another's: first all send, then all take in. */
    for (uint32_t i = 0; i < 2 * store->thread_count; i++) {
        shoal_slab_tidy(&store->threads[i % store->thread_count].slab);
    }
    unmake(store);
}

/* ---- threads ---- */

shoal_thread *shoal_store_thread(shoal_store *store, uint32_t index)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(index < store->thread_count);
    return &store->threads[index];
}

const shoal_allocator *shoal_thread_allocator(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->heap.allocate != NULL);
    return &thread->heap;
}

shoal_store *shoal_thread_store(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    return thread->store;
}

uint32_t shoal_thread_index(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    return thread->index;
}

void shoal_thread_enter(shoal_thread *thread, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(now.wall_us >= 0);
    SHOAL_DEBUG_ASSERT(now.mono_us >= 0);
    SHOAL_ASSERT(thread->stamp == 0);
    shoal_time before = thread->now;
    thread->now = now;
    thread->now_ms = shoal_time_wall_ms(now);
    thread->judged_ms = thread->follows ? INT64_MIN : thread->now_ms;
    thread->batches++;
    thread->stamp =
        thread->alone ? thread->batches : shoal_epoch_enter(&thread->store->epoch, thread->index);
    shoal_clock__enter(thread, before);
    shoal_moment__begin(thread);
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
    if (thread->alone || shoal_limbo__is_long(thread) || shoal_limits__is_tight(thread))
        shoal_limbo__collect(thread, budget);
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

void shoal_thread_tidy(shoal_thread *thread)
{
    SHOAL_ASSERT(thread->store != NULL);
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_slab_tidy(&thread->slab);
}

shoal_time shoal_thread_now(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    return thread->now;
}

shoal_prng *shoal_thread_prng(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    return &thread->prng;
}

/* ---- keys and reads ---- */

uint32_t shoal_key_slot(shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    return shoal_crc16_slot(name);
}

void shoal_key_init(shoal_key *key, const shoal_store *store, uint32_t db, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    uint32_t place = SHOAL_PLACE(db, shoal_crc16_slot(name));
    /* A batch looks at the slots' words next, and they do not all stay in the nearest caches. */
    __builtin_prefetch(shoal_store__word(store, place));
    key->name.data = name.data;
    key->name.size = name.size;
    key->hash = shoal_hash(name, store->seed);
    key->place = place;
}

shoal_key shoal_key_make(const shoal_store *store, uint32_t db, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(db < store->database_count);
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    shoal_key key = {.place = 0};
    shoal_key_init(&key, store, db, name);
    return key;
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

/* What stands in one bucket under a tag. */
typedef struct glimpse {
    const shoal_item *item;     /* the first with the tag, most likely the key's own, or NULL */
    const shoal_bucket *behind; /* where no item was found, the next of the chain, or NULL */
} glimpse;

static inline glimpse glimpse_bucket(const shoal_bucket *bucket, uint64_t tag)
{
    SHOAL_DEBUG_ASSERT(tag >> TAG_BITS == 0);
    shoal_bucket_view view;
    for (uint32_t at = shoal_bucket__scan(bucket, tag, &view); LIKELY(at != 0); at &= at - 1) {
        const shoal_item *item = shoal_entry__pointer(view.entries[__builtin_ctz(at)]);
        if (LIKELY(item != NULL)) return (glimpse){.item = item};
    }
    uint64_t last = view.entries[BUCKET_ENTRIES - 1];
    if (!shoal_entry__is_chain(last)) return (glimpse){.item = NULL};
    return (glimpse){.behind = shoal_entry__pointer(last)};
}

/* The same for the key's bucket, or with `further` the one behind it. */
static inline glimpse glimpse_key(const shoal_store *store, const shoal_key *key, bool further)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    uint64_t tag = 0;
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(store, key->place));
    const shoal_bucket *bucket = shoal_table__home(word, key->hash, &tag);
    if (bucket == NULL) return (glimpse){.item = NULL};
    glimpse seen = glimpse_bucket(bucket, tag);
    return further && seen.behind != NULL ? glimpse_bucket(seen.behind, tag) : seen;
}

/* Asks for the beginning of an item: of a small one that is all, however it lies in its lines. */
static inline void prefetch_head(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    __builtin_prefetch(item);
    __builtin_prefetch((const char *)item + SHOAL_ALIGN_LINE);
    __builtin_prefetch((const char *)item + SHOAL_ALIGN_LINE + SHOAL_ALIGN_LINE / 2);
}

bool shoal_store_prefetch_item(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    glimpse seen = glimpse_key(store, key, false);
    if (LIKELY(seen.item != NULL)) prefetch_head(seen.item);
    if (seen.behind != NULL) __builtin_prefetch(seen.behind);
    return seen.behind != NULL;
}

void shoal_store_prefetch_behind(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    glimpse seen = glimpse_key(store, key, true);
    if (seen.item != NULL) prefetch_head(seen.item);
}

void shoal_store_prefetch_value(const shoal_store *store, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < store->database_count);
    const shoal_item *item = glimpse_key(store, key, true).item;
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

/* The live item of a key and its byte, or NULL. */
static inline const shoal_item *look(shoal_thread *thread, const shoal_key *key,
                                     _Atomic uint8_t **age)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_ASSERT(thread->stamp != 0);
    uint64_t tag = 0;
    /* pair: leaf.publish */
    uint64_t word = shoal_load_acquire(shoal_store__word(thread->store, key->place));
    shoal_bucket *bucket = shoal_table__home(word, key->hash, &tag);
    if (bucket == NULL) return NULL;
    const shoal_item *item = shoal_table__find(bucket, tag, key->name, age);
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
