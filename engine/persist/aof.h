/* SPDX-License-Identifier: MIT
 *
 * persist/aof.h - a node's append-only file: read at the start, appended to while it lives,
 * rewritten as it grows. What stands on disk is Redis 7's: a folder with a manifest, a base, and
 * increments (persist/aof_manifest.h).
 *
 *   OFF ------> REWRITING_ON ---> ON      appendonly set to yes while the node runs, or all data
 *                                         have been replaced by a master's
 *   STARTING -> ON                        at the start: read, then opened
 *   STARTING -> FAILED                    what is there cannot be used: the node must not start
 *   ON -------> OFF                       appendonly set to no
 *
 * It is made of an appender (persist/aof_append.h), of syncs and what follows when they or the
 * appends fail (aof_sync.c, docs/decisions/fsync.md), of the rewrite (aof_rewrite.c), and of the
 * start (aof_load.c, aof_open.c).
 *
 * Threads: the control actor's, in steps, inside a batch; but for shoal_aof_commit.
 */
#ifndef SHOAL_PERSIST_AOF_H
#define SHOAL_PERSIST_AOF_H

#include <shoal/host.h>

#include "command/command.h"
#include "persist/aof_append.h"
#include "rdb/rdb.h"

/* An append-only file. */
typedef struct shoal_aof shoal_aof;

/* Where it is; see above. */
typedef enum shoal_aof_state {
    SHOAL_AOF_OFF,
    SHOAL_AOF_STARTING,
    SHOAL_AOF_REWRITING_ON,
    SHOAL_AOF_ON,
    SHOAL_AOF_FAILED
} shoal_aof_state;

/* Its part of the configuration. */
typedef struct shoal_aof_settings {
    bool on;                 /* appendonly; not while `replacing` */
    bool replacing;          /* it is yes, but all data are about to be replaced */
    shoal_aof_policy policy; /* appendfsync */
    bool rdb_base;           /* aof-use-rdb-preamble */
    bool timestamps;         /* aof-timestamp-enabled */
    bool quiet_rewrite;      /* no-appendfsync-on-rewrite */
    bool load_truncated;     /* aof-load-truncated */
    bool keeps_history;      /* aof-disable-auto-gc */
    bool compress;           /* rdbcompression */
    bool checksum;           /* rdbchecksum */
    uint32_t growth_percent; /* auto-aof-rewrite-percentage; 0: never */
    uint64_t size_min;       /* auto-aof-rewrite-min-size */
    int64_t delay_us;        /* rdb-key-save-delay: between two keys of a base */
    uint64_t backlog;        /* bytes of the log that are kept for others */
    shoal_rdb_limits limits; /* of values that are read */
} shoal_aof_settings;

/* How to make one. */
typedef struct shoal_aof_options {
    shoal_env *env;       /* borrowed: store, host, workers; its log is set */
    shoal_thread *thread; /* of the control actor */
    uint32_t threads;     /* of the store */
    uint32_t databases;
    shoal_slice file_name, dir_name; /* appendfilename, appenddirname; copied */
    /* Runs a command of a file. NULL, or in static text what is wrong. */
    const char *(*apply)(void *context, const shoal_slice *argv, uint32_t argc);
    /* A new file begins: the database is 0 again. */
    void (*apply_begin)(void *context);
    /* The files end with the signature of a clean end (shoal_aof_sign): what has been loaded is the
     * history `id` at `offset`. Before anything is appended; `id` is borrowed. May be NULL. */
    void (*history)(void *context, shoal_slice id, uint64_t offset, uint32_t db);
    /* Whether the log has all that was done, but for operations that are under way: before that no
     * moment is wished for, in which a base would begin. NULL: always. */
    bool (*may_begin)(void *context);
    /* The log has lost an effect. False: others still need it as it is. */
    bool (*may_mend)(void *context);
    /* In a moment of the store, when all that the log has is safe: begins it again where it
     * ends. */
    void (*mend)(void *context);
    /* In a moment: the database that what comes next in the log is about, as long as it names none
     * itself; SHOAL_LOG_DB_ANY when it does at once. NULL: it does. */
    uint32_t (*database)(void *context);
    void *context;
} shoal_aof_options;

/* For INFO. */
typedef struct shoal_aof_stats {
    shoal_aof_state state;
    bool rewriting, scheduled; /* a rewrite is under way; will begin when it can */
    bool rewrite_ok, write_ok; /* the last rewrite, the last write */
    int64_t rewrite_time_s;    /* of the last one, -1: none */
    int64_t rewrite_now_s;     /* of the present one, -1 */
    uint64_t rewrites;
    uint64_t failures;        /* of rewrites, one after the other */
    uint64_t size, base_size; /* of all files now; behind the last rewrite */
    bool rewrite_pending;
    uint64_t buffered; /* bytes of the log that no file has yet */
    bool sync_pending;
    uint64_t delayed_syncs;
    uint64_t load_total, load_done; /* bytes, while STARTING */
    int64_t load_began_s;           /* wall clock */
    uint64_t load_keys, load_expired;
} shoal_aof_stats;

/* How BGREWRITEAOF ends. */
typedef enum shoal_aof_answer {
    SHOAL_AOF_STARTED,
    SHOAL_AOF_SCHEDULED, /* as soon as what is in the way is over */
    SHOAL_AOF_BUSY       /* one is under way */
} shoal_aof_answer;

/* Makes one that is OFF. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_aof_create(const shoal_aof_options *options,
                                          const shoal_aof_settings *settings, shoal_aof **out);
/* Frees it; no thread uses the store any more. What is committed and not written is not written. */
void shoal_aof_destroy(shoal_aof *aof);

/* OFF -> STARTING: reads the files and opens them; behind shoal_aof_suspend it goes back to what
 * it was. */
void shoal_aof_start(shoal_aof *aof, shoal_time now);
/* Gives up the rewrite that is under way, if there is one: its data will not be there any more. */
void shoal_aof_give_up(shoal_aof *aof);
/* Writes and syncs what is committed, then goes OFF, to be started again: nobody writes to the
 * store meanwhile. False: not yet, to be called again. */
bool shoal_aof_suspend(shoal_aof *aof, shoal_time now);
/* The configuration has changed. */
void shoal_aof_set(shoal_aof *aof, const shoal_aof_settings *settings, shoal_time now);
/* Whether `file` is one of its numbers. */
bool shoal_aof_owns(shoal_file file);
/* An operation of one of its files has ended. */
void shoal_aof_file_done(shoal_aof *aof, const shoal_event *event);
/* Does what is due. */
void shoal_aof_step(shoal_aof *aof, shoal_time now);
/* When it wants its next step at the latest; monotonic. */
int64_t shoal_aof_deadline(const shoal_aof *aof);
/* Appends what is committed of the log. Any thread. */
void shoal_aof_commit(shoal_aof *aof, shoal_time now);

/* Has what stands before `offset` in the log been appended, or can nothing be now? Any thread. */
bool shoal_aof_has(const shoal_aof *aof, uint64_t offset);

/* BGREWRITEAOF. `blocked`: a snapshot is being written; it begins behind that. */
shoal_aof_answer shoal_aof_rewrite(shoal_aof *aof, bool blocked, shoal_time now);
/* Whether one is under way: no other snapshot may begin. */
bool shoal_aof_is_rewriting(const shoal_aof *aof);
/* Bytes that it has been handed and that the host has not written yet. */
uint64_t shoal_aof_rewrite_waiting(const shoal_aof *aof);
/* One will begin; tell it when nothing is in the way. */
void shoal_aof_unblock(shoal_aof *aof, bool blocked);

/* Before the node ends: writes and syncs everything. True when that has been done, or cannot be. */
bool shoal_aof_finish(shoal_aof *aof, shoal_time now);

/* Behind shoal_aof_finish: appends nothing more but a remark, which says that what stands in the
 * files is the history `id` of replication, at the offset of the log, whose stream is about
 * database `db` there. True when that is durable, or cannot be. */
bool shoal_aof_sign(shoal_aof *aof, shoal_slice id, uint32_t db, shoal_time now);

/* Whatever the settings say, what is appended is synced as soon as can be, while `force`. */
void shoal_aof_force(shoal_aof *aof, bool force, shoal_time now);
/* The offset of the log up to which the files hold it durably: by a sync that was asked for. */
uint64_t shoal_aof_synced(const shoal_aof *aof);

/* 0, or why the file cannot be written now: writes are to be refused. */
shoal_err shoal_aof_trouble(const shoal_aof *aof);
/* For INFO. */
shoal_aof_stats shoal_aof_stats_get(const shoal_aof *aof, shoal_time now);
/* Where it is. */
shoal_aof_state shoal_aof_state_get(const shoal_aof *aof);

#endif
