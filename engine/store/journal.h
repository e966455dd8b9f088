/* SPDX-License-Identifier: MIT
 *
 * store/journal.h - who writes down what is done through shoal/cache.h, where a cache is kept on
 * disk. The face of the store tells of each write, under its gate, so that the order of what is
 * told agrees with the order of every slot; what a command does its own room tells. Part of the
 * store's face.
 *
 * Threads: a journal is set before any thread uses the store, and never changes.
 */
#ifndef SHOAL_STORE_JOURNAL_H
#define SHOAL_STORE_JOURNAL_H

#include "store/store.h"

/* What a write did. */
typedef enum shoal_told_kind {
    SHOAL_TOLD_PUT,       /* `value` is what the key holds now, until `expires_ms` */
    SHOAL_TOLD_REMOVE,    /* the key is gone */
    SHOAL_TOLD_EXPIRE,    /* it lives until `expires_ms` now */
    SHOAL_TOLD_INCREMENT, /* `delta` was added to the integer that it holds */
    SHOAL_TOLD_APPEND,    /* `value` was added at its end */
    SHOAL_TOLD_CLEAR,     /* all keys are gone: under all gates */
    SHOAL_TOLD_LOST       /* something that cannot be told any better */
} shoal_told_kind;

/* One write. The slices are borrowed for the call. */
typedef struct shoal_told {
    shoal_told_kind kind;
    shoal_slice key, value;
    int64_t expires_ms; /* < 0: for ever */
    int64_t delta;
} shoal_told;

/* Who writes it down. */
typedef struct shoal_journal {
    /* 0, or why nothing may be written now: asked before each write. Any thread. */
    shoal_err (*refuses)(const struct shoal_journal *journal);
    /* A write has been made. On the thread that made it, under its gate. */
    void (*told)(const struct shoal_journal *journal, shoal_thread *thread, const shoal_told *told);
    /* A batch of the thread has ended, at its time `now`; there may have been writes. */
    void (*left)(const struct shoal_journal *journal, const shoal_thread *thread, shoal_time now);
} shoal_journal;

/* Sets who writes down what is done; borrowed for as long as the store lives. */
void shoal_store_set_journal(shoal_store *store, const shoal_journal *journal);
/* Who that is, or NULL: nobody. Any thread. */
const shoal_journal *shoal_thread_journal(const shoal_thread *thread);

#endif
