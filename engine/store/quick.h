/* SPDX-License-Identifier: MIT
 *
 * store/quick.h - what every write does, where that is a few instructions and a call would cost as
 * much again. Each does just what the function does that it names, and leaves to it what is rare.
 * Under the gate of the key's place; inside the store only.
 */
#ifndef SHOAL_STORE_QUICK_H
#define SHOAL_STORE_QUICK_H

#include "store/internal.h"

/* shoal_limbo__reserve for one change: most often the last block has room. */
static inline bool shoal_quick__reserve(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    const shoal_limbo_block *last = thread->limbo_last;
    if (LIKELY(last != NULL && last->end + RETIRE_MAX <= LIMBO_BLOCK_ENTRIES)) return true;
    return shoal_limbo__reserve(thread, 1);
}

/* shoal_limits__fit for so many bytes and keys more. */
static inline bool shoal_quick__fits(const shoal_thread *thread, int64_t bytes, int64_t keys)
{
    SHOAL_DEBUG_ASSERT(bytes >= 0);
    SHOAL_DEBUG_ASSERT(keys >= 0);
    const shoal_counters *now = &thread->counters;
    bytes += shoal_load_relaxed(&now->bytes) - shoal_load_relaxed(&now->bytes_limbo) +
             shoal_load_relaxed(&now->bytes_charged);
    keys += thread->evictor.keys;
    const shoal_amounts *allowed = &thread->evictor.allowance;
    return bytes <= allowed->of[MEASURE_BYTES] && keys <= allowed->of[MEASURE_KEYS];
}

/* shoal_evict__replace: the byte at `age` of a key whose item `before` was replaced by `after`. */
static inline void shoal_quick__replace(shoal_thread *thread, const shoal_key *key,
                                        _Atomic uint8_t *age, const shoal_item *before,
                                        const shoal_item *after)
{
    SHOAL_DEBUG_ASSERT(before != after);
    shoal_evictor *evictor = &thread->evictor;
    if (UNLIKELY(evictor->policy->expiring || evictor->exempt != 0)) {
        shoal_evict__replace(thread, key, age, before, after);
        return;
    }
    bool counted = evictor->used == key->hash;
    evictor->used = 0;
    if (!counted) shoal_evict__use(evictor, age);
}

/* shoal_limbo__retire_item of a short item, where shoal_quick__reserve has seen to it that there is
 * room. */
static inline void shoal_quick__retire(shoal_thread *thread, const shoal_item *item, size_t size,
                                       uint64_t bytes)
{
    shoal_limbo_block *last = thread->limbo_last;
    SHOAL_DEBUG_ASSERT(size < CORPSE_SIZE_END);
    SHOAL_DEBUG_ASSERT(last->end < LIMBO_BLOCK_ENTRIES);
    uint64_t what = (uint64_t)(uintptr_t)item << CORPSE_ITEM_SHIFT |
                    (uint64_t)size << CORPSE_SIZE_SHIFT | CORPSE_ITEM;
    last->entries[last->end++] = (shoal_limbo_entry){what, thread->stamp};
    thread->retired++;
    shoal_bump_relaxed(&thread->counters.bytes_limbo, (int64_t)bytes);
    shoal_bump_relaxed(&thread->counters.limbo_queued, 1);
}

/* Copies a name: two overlapping words for each half cover most of them. */
static inline char *shoal_quick__name(char *to, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    SHOAL_DEBUG_ASSERT(name.size <= SHOAL_KEY_SIZE_MAX);
    size_t size = name.size;
    if (LIKELY(size - 8 <= 8)) {
        uint64_t first, last;
        memcpy(&first, name.data, sizeof first);
        memcpy(&last, name.data + size - sizeof last, sizeof last);
        memcpy(to, &first, sizeof first);
        memcpy(to + size - sizeof last, &last, sizeof last);
    } else if (size > 0) {
        memcpy(to, name.data, size);
    }
    return to + size;
}

/* shoal_change__note of a key whose hot line is `hot`. */
static inline void shoal_quick__note(shoal_thread *thread, shoal_hot *hot, const shoal_key *key,
                                     shoal_change change)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(hot == shoal_store__hot(thread->store, key->place));
    shoal_bump_relaxed(&thread->counters.changes, 1);
    shoal_bump_relaxed(&hot->changes, 1);
    if (UNLIKELY(thread->observer != NULL || hot->interests != NULL))
        shoal_change__tell(thread, hot, key, change);
}

#endif
