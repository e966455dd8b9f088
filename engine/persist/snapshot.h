/* SPDX-License-Identifier: MIT
 *
 * persist/snapshot.h - the whole data set at one moment as the bytes of an RDB file, produced in
 * bounded steps while it is written to: BGSAVE, the base of an append-only file and a full
 * synchronisation are this, each with a taker of its own for the bytes. Nothing is forked.
 *
 * It is a cut of the store (store/snapshot.h), which hands out each key once, as it was: steps do
 * that, and whoever is about to change a key that the steps have not reached. Each thread writes
 * what it is handed out into a chunk of its own; the steps collect chunks. So the order of keys in
 * the file is nobody's promise, and what waits to be taken is bounded by who takes: see
 * shoal_snapshot_pending.
 *
 * Claims:
 *   S1  A chunk belongs to one at a time: its thread takes it out of its word by an exchange, and
 *       puts it back or pushes it; the steps take it out by an exchange too. Nobody waits.
 *   S2  Nothing is left: when the cut is over no thread hands out any more, so what the words and
 *       the inbox hold behind that is all.
 *   S3  A key's bytes stand together. A large value (persist/large.h) is written in pieces, each
 *       piece a chunk; from its first one on, nothing else is given to the taker until its last.
 *       It begins when the steps have come to it, which then go on with it before anything else,
 *       or when all of it is there.
 *
 * Threads: the functions belong to one thread at a time (the control actor), inside a batch, unless
 * they say otherwise. The cut's sink runs on any thread of the store, under the gate of the place.
 */
#ifndef SHOAL_PERSIST_SNAPSHOT_H
#define SHOAL_PERSIST_SNAPSHOT_H

#include "rdb/rdb.h"
#include "store/store.h"

/* One snapshot that is being written. */
typedef struct shoal_snapshot_writer shoal_snapshot_writer;

/* What a file tells of a key's use, for the policies that look at it. */
typedef enum shoal_snapshot_heat {
    SHOAL_SNAPSHOT_HEAT_NONE,
    SHOAL_SNAPSHOT_HEAT_IDLE,     /* seconds since it was used: LRU */
    SHOAL_SNAPSHOT_HEAT_FREQUENCY /* LFU */
} shoal_snapshot_heat;

/* A fact about the file, in its head. */
typedef struct shoal_snapshot_fact {
    shoal_slice name, value;
} shoal_snapshot_fact;

/* Who takes the bytes. */
typedef struct shoal_snapshot_taker {
    /* Takes bytes, borrowed for the call, in the order of the file. On the thread of the steps. */
    void (*take)(void *context, shoal_slice bytes);
    void *context;
} shoal_snapshot_taker;

/* Most that one string counts for which is held because it is about to go. It takes no more memory
 * than before, and who waits until it is written waits for as long as one step once took. Chosen: a
 * quarter of what may wait without anybody being restrained (core/restraint.c), so that many long
 * ones restrain writers, and one of any length does not. */
#define SHOAL_SNAPSHOT_HELD_MAX ((uint64_t)8 << 20)

/* How to write one. */
typedef struct shoal_snapshot_options {
    shoal_allocator allocator; /* copied; may be used by all threads */
    uint32_t databases;        /* of the store */
    uint32_t threads;          /* of the store */
    shoal_rdb_style style;     /* now_ms: the moment's */
    bool checksum;
    bool plain; /* commands, as in an append-only file, in place of an RDB file */
    shoal_snapshot_heat heat;
    uint64_t held_max;  /* most that a string counts for in shoal_snapshot_pending which is held
                           because it is about to go; 0: SHOAL_SNAPSHOT_HELD_MAX */
    bool keeps_expired; /* keys whose time is over too: for who is told of their end later */
    const shoal_snapshot_fact *facts; /* borrowed for the call */
    uint32_t fact_count;
    shoal_snapshot_taker taker;
} shoal_snapshot_options;

/* Begins one: the moment is now, between two operations; in a moment of the store (store/moment.h)
 * where something else must be of the same. 0, SHOAL_ERR_BUSY while there is another cut, or
 * SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_snapshot_begin(shoal_thread *thread,
                                              const shoal_snapshot_options *options,
                                              shoal_snapshot_writer **out);

/* How a step ended. */
typedef enum shoal_snapshot_state {
    SHOAL_SNAPSHOT_MORE,  /* to be called again */
    SHOAL_SNAPSHOT_DONE,  /* the taker has all bytes: now shoal_snapshot_end */
    SHOAL_SNAPSHOT_FAILED /* for want of memory, or behind shoal_snapshot_abort: what was taken is
                              worth nothing; now shoal_snapshot_end */
} shoal_snapshot_state;

/* Hands out some `budget` keys, and gives the taker what there is. With a budget of 0 nothing is
 * handed out, and only what threads had to hand out is collected. */
shoal_snapshot_state shoal_snapshot_step(shoal_snapshot_writer *writer, shoal_thread *thread,
                                         uint32_t budget);
/* Bytes that have been handed out and not been taken. Any thread. */
uint64_t shoal_snapshot_pending(const shoal_snapshot_writer *writer);
/* Keys handed out so far. Any thread. */
uint64_t shoal_snapshot_keys(const shoal_snapshot_writer *writer);
/* Bytes that the keys took which were handed out because somebody was about to change them: what
 * copies of their pages would be to a process that forks. Any thread. */
uint64_t shoal_snapshot_copied(const shoal_snapshot_writer *writer);
/* The file is not wanted any more: the steps that are left only let memory go. */
void shoal_snapshot_abort(shoal_snapshot_writer *writer);
/* Ends it behind a last step. False without memory: to be called again in another batch. */
SHOAL_MUST_USE bool shoal_snapshot_end(shoal_snapshot_writer *writer, shoal_thread *thread);
/* Frees it in the middle: no thread uses the store any more. */
void shoal_snapshot_drop(shoal_snapshot_writer *writer);

#endif
