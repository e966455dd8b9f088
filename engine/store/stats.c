/* SPDX-License-Identifier: MIT
 *
 * store/stats.c - counts and bytes, folded from the threads' counters when somebody asks. Each
 * sum is exact when the threads are still, and never off by more than what they do meanwhile.
 */
#include "store/internal.h"

/* A sum that other threads' half-seen changes may have made negative. */
static uint64_t at_least_zero(int64_t sum)
{
    return sum > 0 ? (uint64_t)sum : 0;
}

uint64_t shoal_store_count(const shoal_store *store, uint32_t db)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(db < store->database_count);
    int64_t sum = 0;
    for (uint32_t i = 0; i < store->thread_count; i++) {
        sum += shoal_load_relaxed(&store->threads[i].counters.keys[db]);
    }
    return at_least_zero(sum);
}

uint64_t shoal_store_count_volatile(const shoal_store *store, uint32_t db)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(db < store->database_count);
    int64_t sum = 0;
    for (uint32_t i = 0; i < store->thread_count; i++) {
        sum += shoal_load_relaxed(&store->threads[i].counters.keys_volatile[db]);
    }
    return at_least_zero(sum);
}

uint64_t shoal_store_count_slot(const shoal_store *store, uint32_t place)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    return shoal_load_relaxed(&shoal_store__hot(store, place)->keys);
}

uint64_t shoal_store_bytes_slot(const shoal_store *store, uint32_t place)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    return shoal_load_relaxed(&shoal_store__hot(store, place)->bytes);
}

uint64_t shoal_store_changes(const shoal_store *store)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    int64_t sum = 0;
    for (uint32_t i = 0; i < store->thread_count; i++) {
        sum += shoal_load_relaxed(&store->threads[i].counters.changes);
    }
    return at_least_zero(sum);
}

/* The sums over all threads of what is counted once a store. */
typedef struct sums {
    int64_t bytes, tables, limbo, queues, slabs, beside;
    int64_t defrag_hits, defrag_misses, defrag_key_hits, defrag_key_misses, defrag_scanned;
    int64_t charged, hits, misses, expired, evicted, handed_over, changes, lazy_pending, lazy_freed;
} sums;

static sums fold(const shoal_store *store)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    sums out = {0};
    for (uint32_t i = 0; i < store->thread_count; i++) {
        const shoal_counters *from = &store->threads[i].counters;
        out.bytes += shoal_load_relaxed(&from->bytes);
        out.tables += shoal_load_relaxed(&from->bytes_tables);
        out.limbo += shoal_load_relaxed(&from->bytes_limbo);
        out.queues += shoal_load_relaxed(&from->bytes_queues);
        out.slabs += shoal_load_relaxed(&store->threads[i].slab.bytes_blocks);
        out.beside += shoal_load_relaxed(&from->bytes_beside) +
                      shoal_load_relaxed(&store->threads[i].slab.bytes_large);
        out.defrag_hits += shoal_load_relaxed(&from->defrag_hits);
        out.defrag_misses += shoal_load_relaxed(&from->defrag_misses);
        out.defrag_key_hits += shoal_load_relaxed(&from->defrag_key_hits);
        out.defrag_key_misses += shoal_load_relaxed(&from->defrag_key_misses);
        out.defrag_scanned += shoal_load_relaxed(&from->defrag_scanned);
        out.hits += shoal_load_relaxed(&from->hits);
        out.misses += shoal_load_relaxed(&from->misses);
        out.expired += shoal_load_relaxed(&from->expired);
        out.evicted += shoal_load_relaxed(&from->evicted);
        out.charged += shoal_load_relaxed(&from->bytes_charged);
        out.handed_over += shoal_load_relaxed(&from->handed_over);
        out.changes += shoal_load_relaxed(&from->changes);
        out.lazy_pending += shoal_load_relaxed(&from->lazy_pending);
        out.lazy_freed += shoal_load_relaxed(&from->lazy_freed);
    }
    return out;
}

void shoal_store_stats_get(const shoal_store *store, shoal_store_stats *out)
{
    SHOAL_ASSERT(out != NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    sums now = fold(store);
    *out = (shoal_store_stats){
        .bytes = at_least_zero(now.bytes),
        .bytes_limbo = at_least_zero(now.limbo),
        .bytes_tables = at_least_zero(now.tables),
        .bytes_queues = at_least_zero(now.queues),
        .bytes_arrays = store->database_count * shoal_store__array_bytes(store),
        .bytes_slabs = at_least_zero(now.slabs),
        .bytes_slabs_free = at_least_zero(now.slabs - (now.bytes + now.queues - now.beside)),
        .defrag_running = shoal_load_relaxed(&store->defrag.tables)
                              ? 0
                              : shoal_load_relaxed(&store->defrag.running),
        .defrag_us = shoal_load_relaxed(&store->defrag.total_us),
        .defrag_hits = at_least_zero(now.defrag_hits),
        .defrag_misses = at_least_zero(now.defrag_misses),
        .defrag_key_hits = at_least_zero(now.defrag_key_hits),
        .defrag_key_misses = at_least_zero(now.defrag_key_misses),
        .defrag_scanned = at_least_zero(now.defrag_scanned),
        .hits = at_least_zero(now.hits - shoal_load_relaxed(&store->hits_before)),
        .misses = at_least_zero(now.misses - shoal_load_relaxed(&store->misses_before)),
        .bytes_charged = at_least_zero(now.charged),
        .expired = at_least_zero(now.expired - shoal_load_relaxed(&store->expired_before)),
        .evicted = at_least_zero(now.evicted - shoal_load_relaxed(&store->evicted_before)),
        .exceeded_us = shoal_load_relaxed(&store->evict.exceeded_us),
        .exceeded_since_us = shoal_load_relaxed(&store->evict.exceeded_since_us),
        .handed_over =
            at_least_zero(now.handed_over - shoal_load_relaxed(&store->handed_over_before)),
        .changes = at_least_zero(now.changes),
        .lazy_pending = at_least_zero(now.lazy_pending),
        .lazy_freed = at_least_zero(now.lazy_freed - shoal_load_relaxed(&store->lazy_freed_before)),
    };
    /* Parts of a sum, however little of it has been seen. */
    if (out->bytes_limbo > out->bytes) out->bytes_limbo = out->bytes;
    if (out->bytes_tables > out->bytes) out->bytes_tables = out->bytes;
    if (out->defrag_running != 0)
        out->defrag_since_us = shoal_load_relaxed(&store->defrag.began_us);
    for (uint32_t db = 0; db < store->database_count; db++) {
        out->keys += shoal_store_count(store, db);
        out->keys_volatile += shoal_store_count_volatile(store, db);
    }
}

shoal_slab_class shoal_store_slab_class(const shoal_store *store, uint32_t class)
{
    SHOAL_ASSERT(class < SHOAL_SLAB_CLASSES);
    SHOAL_ASSERT(store->thread_count > 0);
    shoal_slab_class out = {.size = shoal_slab_class_size(class)};
    for (uint32_t i = 0; i < store->thread_count; i++) {
        const shoal_slab_shelf *shelf = &store->threads[i].slab.shelves[class];
        out.places += shoal_load_relaxed(&shelf->room);
        out.taken += shoal_load_relaxed(&shelf->taken);
    }
    if (out.taken > out.places) out.taken = out.places;
    return out;
}

shoal_store_bytes shoal_stats__bytes(const shoal_store *store)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    int64_t used = 0, beside = 0, slabs = 0;
    for (uint32_t i = 0; i < store->thread_count; i++) {
        const shoal_thread *thread = &store->threads[i];
        used += shoal_load_relaxed(&thread->counters.bytes) +
                shoal_load_relaxed(&thread->counters.bytes_queues);
        beside += shoal_load_relaxed(&thread->counters.bytes_beside) +
                  shoal_load_relaxed(&thread->slab.bytes_large);
        slabs += shoal_load_relaxed(&thread->slab.bytes_blocks);
    }
    return (shoal_store_bytes){at_least_zero(used), at_least_zero(slabs - (used - beside))};
}

void shoal_store_stats_reset(shoal_store *store)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    sums now = fold(store);
    shoal_store_relaxed(&store->hits_before, now.hits);
    shoal_store_relaxed(&store->misses_before, now.misses);
    shoal_store_relaxed(&store->expired_before, now.expired);
    shoal_store_relaxed(&store->evicted_before, now.evicted);
    shoal_store_relaxed(&store->evict.exceeded_us, 0);
    shoal_store_relaxed(&store->handed_over_before, now.handed_over);
    shoal_store_relaxed(&store->lazy_freed_before, now.lazy_freed);
}

void shoal_thread_count_lookup(shoal_thread *thread, bool hit)
{
    SHOAL_ASSERT(thread->store != NULL);
    SHOAL_ASSERT(thread->stamp != 0);
    if (hit) {
        shoal_bump_relaxed(&thread->counters.hits, 1);
    } else {
        shoal_bump_relaxed(&thread->counters.misses, 1);
    }
}

void shoal_thread_count_hits(shoal_thread *thread, uint32_t count)
{
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    shoal_bump_relaxed(&thread->counters.hits, count);
}
