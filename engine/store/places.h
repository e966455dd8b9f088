/* SPDX-License-Identifier: MIT
 *
 * store/places.h - what few callers need of whole places and threads: digests, the exchange of two
 * databases, several keys at once, and how far the freeing of retired memory has come.
 *
 * Functions named _locked demand the gates of the places that they touch.
 */
#ifndef SHOAL_STORE_PLACES_H
#define SHOAL_STORE_PLACES_H

#include "store/store.h"

/* ---- several keys ---- */

/* Strings for several keys. */
typedef struct shoal_put_many {
    const shoal_key *keys;     /* their gates are held */
    const shoal_slice *values; /* of key i: values[i * value_step] */
    uint32_t count, value_step;
    int64_t expires_ms; /* of all; < 0: none */
    bool keep_ttl;      /* each key that is replaced keeps its own instead */
} shoal_put_many;

/* As shoal_store_put_locked for every key, all or none; a name that stands twice gets the later
 * value. 0 or SHOAL_ERR_NO_MEMORY; then nothing has changed. (A read of one key that began before
 * the gates were taken may in that case have seen a new value of a key that was absent.) */
SHOAL_MUST_USE shoal_err shoal_store_put_many_locked(shoal_thread *thread,
                                                     const shoal_put_many *what);

/* ---- whole places ---- */

/* False while shoal_store_swap_locked must not be called: what the store holds is being handed out
 * (store/snapshot.h). Under gates. */
bool shoal_store_may_swap(const shoal_thread *thread);
/* Exchanges what two places hold, one slot in two databases. */
void shoal_store_swap_locked(shoal_thread *thread, uint32_t place, uint32_t other);

/* Digest of what a key holds, type and content: that of an object under its gate only. */
uint64_t shoal_item_digest(const shoal_item *item);

/* ---- the freeing of memory ---- */

/* Pieces of retired memory that one thread of a store has queued, and of these freed, in the same
 * order: what was queued when `queued` was n is free when `freed` has reached n. Large objects of
 * a cleared place are queued once more when their turn comes. */
typedef struct shoal_limbo_count {
    uint64_t queued, freed;
} shoal_limbo_count;
/* The counts of thread `thread` (its index). Any thread. */
shoal_limbo_count shoal_store_limbo(const shoal_store *store, uint32_t thread);
/* Which thread of its store this is. */
uint32_t shoal_thread_index(const shoal_thread *thread);
/* True when the thread is in the middle of freeing one piece that takes more than one call. */
bool shoal_thread_frees(const shoal_thread *thread);

#endif
