/* SPDX-License-Identifier: MIT
 *
 * persist/keeper.h - a cache (shoal/cache.h) that is kept in an append-only file, without a node:
 * what is in the files is loaded, what is written through the cache and its commands is appended,
 * and the files are rewritten as they grow. It is the part of a node that persist/aof.h asks for:
 * store, log, effects, and the workers that load.
 *
 *   LOADING -> OPEN       the cache may be used
 *   LOADING -> FAILED     the files cannot be used; lines of the log say why
 *
 * Threads: create, start, step, finish and destroy by one thread at a time, the control actor, who
 * has a thread of the store of its own; shoal_keeper_work by one thread for each worker while it is
 * LOADING; the rest says for itself.
 */
#ifndef SHOAL_PERSIST_KEEPER_H
#define SHOAL_PERSIST_KEEPER_H

#include <shoal/cache.h>
#include <shoal/host.h>

#include "persist/aof.h"

/* One kept cache. */
typedef struct shoal_keeper shoal_keeper;

/* How to keep one. */
typedef struct shoal_keeper_options {
    const shoal_cache_options *cache; /* borrowed for the call; a thread more is made */
    const shoal_host *host;           /* copied: file operations, nudge, trace */
    shoal_aof_settings aof;           /* its limits and `on` are filled in */
    shoal_slice file_name, dir_name;  /* appendfilename, appenddirname; borrowed for the call */
    uint32_t workers;                 /* that load, 1..cache->threads */
    uint64_t process_id;
    /* Lets other threads run: whoever leaves a batch with writes calls it while another thread is
     * about to append them. */
    void (*yield)(void *context);
    void *context;
} shoal_keeper_options;

/* How far it is. */
typedef enum shoal_keeper_state {
    SHOAL_KEEPER_LOADING,
    SHOAL_KEEPER_OPEN,
    SHOAL_KEEPER_FAILED
} shoal_keeper_state;

/* Makes an empty cache that is about to be loaded. 0, SHOAL_ERR_INVALID or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_keeper_create(const shoal_keeper_options *options,
                                             shoal_keeper **out);
/* Frees it and the cache; no thread uses either any more. What is not written is not written. */
void shoal_keeper_destroy(shoal_keeper *keeper);

/* Begins to load, once. */
void shoal_keeper_start(shoal_keeper *keeper, shoal_time now);
/* Goes on: with what has happened (a FILE_DONE), or NULL where it was nudged or its time has come.
 * Returns when it wants the next step at the latest, monotonic. */
int64_t shoal_keeper_step(shoal_keeper *keeper, const shoal_event *event, shoal_time now);
/* A round of worker `index`, after it was nudged. */
void shoal_keeper_work(shoal_keeper *keeper, uint32_t index, shoal_time now);
/* Where it is. Control. */
shoal_keeper_state shoal_keeper_state_get(const shoal_keeper *keeper);
/* The cache: from OPEN on for everybody. Any thread. */
shoal_cache *shoal_keeper_cache(const shoal_keeper *keeper);

/* ---- what is durable ---- */

/* A place behind everything that has been written so far, by whichever thread. Any thread. */
uint64_t shoal_keeper_place(const shoal_keeper *keeper);
/* Everything before this place is durable. Any thread. */
uint64_t shoal_keeper_durable(const shoal_keeper *keeper);
/* 0, or why nothing can be made durable now, so that writes are refused: it is tried again. Any
 * thread. */
shoal_err shoal_keeper_trouble(const shoal_keeper *keeper);
/* Somebody waits for what has been written to be durable, or nobody does any more. Control. */
void shoal_keeper_hurry(shoal_keeper *keeper, bool hurry, shoal_time now);
/* A rewrite of the files is to begin. Control. */
void shoal_keeper_rewrite(shoal_keeper *keeper, shoal_time now);
/* Figures of the files. Control. */
shoal_aof_stats shoal_keeper_stats(const shoal_keeper *keeper, shoal_time now);

/* Before the end: writes and syncs everything, while nobody writes to the cache any more. False:
 * not yet, more steps are needed. Behind it shoal_keeper_trouble says whether it is so. */
bool shoal_keeper_finish(shoal_keeper *keeper, shoal_time now);

#endif
