/* SPDX-License-Identifier: MIT
 *
 * store/store.c - a store's life and its threads' batches. Reads are in read.c, changes in write.c;
 * the concurrency argument is in gate.c (G), table.c (T), walk.c (W) and base/epoch.h (E).
 */
#include "store/store.h"

#include "base/fold.h"
#include "store/internal.h"

/* Retired pieces that one leave frees, besides twice as many as its batch has retired, so that
 * they cannot pile up; a piece is some 50 ns. */
#define LEAVE_PIECES 1024u
/* Retired pieces from which on a refresh is one: what is freed three refreshes later is then still
 * in the caches. Measured: a SET at pipeline 64 takes half the CPU. */
#define REFRESH_PIECES 48u
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
    store->folds = shoal_fold_can();
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
