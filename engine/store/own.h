/* SPDX-License-Identifier: MIT
 *
 * store/own.h - keys with a time to live that a writable copy has of its own. Inside the store
 * only; part of internal.h.
 */
#ifndef SHOAL_STORE_OWN_H
#define SHOAL_STORE_OWN_H

#include "base/heap.h"
#include "base/inbox.h"
#include "store/store.h"

/* What is known of them. Zero knows of none. */
typedef struct shoal_own {
    _Atomic bool notes;     /* any thread, relaxed: see shoal_store_note_own */
    _Atomic uint32_t era;   /* any thread, relaxed: notes of another one are void */
    _Atomic uint32_t count; /* any thread, relaxed: of all notes there are */
    shoal_inbox inbox;      /* notes from any thread, for thread 0 */
    shoal_heap heap;        /* thread 0: by when they are due */
} shoal_own;

/* An item with a TTL has come under this name. Under the gate. Without memory, or with too many of
 * them, it is not noted: it is hidden in time, but stays until the master names it. */
void shoal_own__note(shoal_thread *thread, const shoal_key *key, int64_t expires_ms);
/* Removes what is due; for thread 0, the others do nothing. Returns how long it can wait then, in
 * microseconds, or SHOAL_NEVER. */
int64_t shoal_own__step(shoal_thread *thread);
/* Forgets all notes. No other thread uses the store. */
void shoal_own__clear(shoal_store *store);

#endif
