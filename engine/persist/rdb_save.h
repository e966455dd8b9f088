/* SPDX-License-Identifier: MIT
 *
 * persist/rdb_save.h - a snapshot as a file: written under a name of its own, made durable, and
 * only then put in the place of the one before. Whatever goes wrong before that, and wherever the
 * power fails, the former file is whole.
 *
 *   IDLE -> WRITING -> SYNCING -> RENAMING -> IDLE
 *   WRITING, SYNCING or RENAMING -> CLEANING -> IDLE       when something went wrong
 *
 * What has been handed out of the store and is not yet written is bounded: steps hand out nothing
 * while the host has a window of bytes to write.
 *
 * Threads: the control actor, inside its steps.
 */
#ifndef SHOAL_PERSIST_RDB_SAVE_H
#define SHOAL_PERSIST_RDB_SAVE_H

#include <shoal/host.h>
#include <shoal/node.h>

#include "persist/snapshot.h"

/* The numbers of the files: others must not bind them. */
#define SHOAL_RDB_FILE ((shoal_file)(SHOAL_FILE_LIMIT - 1))
#define SHOAL_RDB_FILE_NEW ((shoal_file)(SHOAL_FILE_LIMIT - 2))

/* Where a save is. */
typedef enum shoal_rdb_save_stage {
    SHOAL_RDB_SAVE_IDLE,
    SHOAL_RDB_SAVE_WRITING,
    SHOAL_RDB_SAVE_SYNCING,
    SHOAL_RDB_SAVE_RENAMING,
    SHOAL_RDB_SAVE_CLEANING
} shoal_rdb_save_stage;

/* How to save. The snapshot's taker is filled in by the save. */
typedef struct shoal_rdb_save_options {
    const shoal_host *host; /* borrowed and outlives it */
    shoal_snapshot_options snapshot;
    shoal_slice path, path_new; /* borrowed for the call */
    bool sync_often;            /* a sync for every few MB, so that the last one has little to do */
    int64_t delay_us; /* of every key, for tests that want to see a save under way; 0: none */
} shoal_rdb_save_options;

/* One save at a time. Zero is idle. Its fields are to be read. */
typedef struct shoal_rdb_save {
    shoal_rdb_save_stage stage;
    shoal_err error; /* of the present save, or the last one */
    uint64_t bytes;  /* of the file so far */
    uint64_t keys;   /* handed out so far */
    uint64_t copied; /* bytes handed out for the sake of writers */
    /* Its own. */
    const shoal_host *host;
    shoal_snapshot_writer *writer;
    uint64_t in_flight; /* bytes that the host has not written yet */
    uint64_t unsynced;  /* bytes since the last sync was asked for */
    uint32_t syncs;     /* asked for and not done */
    bool sync_often;
    int64_t delay_us;
    int64_t began_us;
} shoal_rdb_save;

/* Begins: the moment is now. Where that cannot be (another cut of the store, no memory) it ends
 * soon, as any save that fails. */
void shoal_rdb_save_begin(shoal_rdb_save *save, shoal_thread *thread,
                          const shoal_rdb_save_options *options);
/* Goes on for a bounded time, inside a batch. Nudges the control actor when there is more to do at
 * once. True at the call in which the save has ended: `error` says how. */
bool shoal_rdb_save_step(shoal_rdb_save *save, shoal_thread *thread);
/* Bytes that have been handed out and that the host has not written yet. */
uint64_t shoal_rdb_save_waiting(const shoal_rdb_save *save);
/* When it wants its next step at the latest, monotonic, without an event or a nudge. */
int64_t shoal_rdb_save_deadline(const shoal_rdb_save *save);
/* A FILE_DONE of one of the two numbers. The step that follows deals with it. */
void shoal_rdb_save_file_done(shoal_rdb_save *save, const shoal_event *event);
/* Gives it up: it ends with SHOAL_ERR_CLOSED as soon as that can be. */
void shoal_rdb_save_abort(shoal_rdb_save *save);
/* Frees what it has in the middle: the node ends. */
void shoal_rdb_save_drop(shoal_rdb_save *save);

#endif
