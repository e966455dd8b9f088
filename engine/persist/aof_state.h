/* SPDX-License-Identifier: MIT
 *
 * persist/aof_state.h - the inside of an append-only file, shared by the aof_*.c of this room only.
 * The control actor's, but for the appender.
 *
 * File operations end as events; what goes on then is a function that was named when they were
 * asked for. There is one *sequence* at a time (opening, rewriting, removing), and beside it syncs.
 */
#ifndef SHOAL_PERSIST_AOF_STATE_H
#define SHOAL_PERSIST_AOF_STATE_H

#include "persist/aof.h"
#include "persist/aof_manifest.h"
#include "persist/aof_reader.h"
#include "persist/rdb_load.h"
#include "persist/snapshot.h"

/* Numbers of files. */
#define SHOAL_AOF__FILE(n) ((shoal_file)(SHOAL_FILE_NAMED + (n)))
#define SHOAL_AOF__MANIFEST SHOAL_AOF__FILE(0)
#define SHOAL_AOF__MANIFEST_NEW SHOAL_AOF__FILE(1)
#define SHOAL_AOF__INCR SHOAL_AOF__FILE(2) /* two that take turns */
#define SHOAL_AOF__INCR_2 SHOAL_AOF__FILE(3)
#define SHOAL_AOF__BASE_NEW SHOAL_AOF__FILE(4) /* while it is written */
#define SHOAL_AOF__BASE SHOAL_AOF__FILE(5)     /* where it goes */
#define SHOAL_AOF__INPUT SHOAL_AOF__FILE(6)    /* what is read */
#define SHOAL_AOF__OLD SHOAL_AOF__FILE(7)      /* of versions before the folder */
#define SHOAL_AOF__GONE SHOAL_AOF__FILE(8)     /* what is removed */
#define SHOAL_AOF__FILES_END SHOAL_AOF__FILE(9)

/* What an operation was for: the upper half of its tag. */
enum {
    SHOAL_AOF__FOR_SEQUENCE = 1,
    SHOAL_AOF__FOR_SYNC,
    SHOAL_AOF__FOR_MARK, /* tells that what was appended before has arrived */
    SHOAL_AOF__FOR_REPAIR,
    SHOAL_AOF__FOR_BASE,
    SHOAL_AOF__FOR_READ
};

/* Levels of log lines. */
enum { SHOAL_AOF__DEBUG, SHOAL_AOF__VERBOSE, SHOAL_AOF__NOTICE, SHOAL_AOF__WARNING };

/* What follows a sequence; `error` is its first one. */
typedef void (*shoal_aof__then)(shoal_aof *aof, shoal_err error);

/* Operations that are waited for together. */
typedef struct shoal_aof__sequence {
    uint32_t waiting;
    shoal_err error;
    shoal_aof__then then;
} shoal_aof__sequence;

/* How far the rewrite is. */
typedef enum shoal_rewrite_phase {
    SHOAL_REWRITE__NONE,
    SHOAL_REWRITE__INCR,   /* the next increment is made and named */
    SHOAL_REWRITE__MOMENT, /* waits for a moment of the store */
    SHOAL_REWRITE__BASE,   /* writes the base */
    SHOAL_REWRITE__PLACING /* gives it its name, and names it */
} shoal_rewrite_phase;

/* The rewrite. */
typedef struct shoal_aof__rewrite {
    shoal_rewrite_phase phase;
    bool enables;  /* it is the first one behind appendonly yes */
    bool wished;   /* a moment */
    bool prepared; /* for moments */
    bool switches; /* there is another increment from the moment on */
    bool rdb;      /* the base is an RDB file, not commands */
    bool mends;    /* the log has lost something: it begins again in the moment */
    shoal_err error;
    shoal_snapshot_writer *writer;
    uint64_t base_bytes;
    uint32_t in_flight; /* appends to the base, */
    uint64_t in_flight_bytes;
    bool over; /* the writer is done */
    int64_t began_us;
    shoal_manifest next; /* as it will be */
} shoal_aof__rewrite;

/* How far the start is. */
typedef struct shoal_aof__load {
    bool manifest_there, upgrades;
    uint32_t index, count;                 /* of the files that are read: base, then increments */
    uint64_t file_size, submitted, offset; /* bytes: of the file; asked for; read */
    uint64_t done, total;
    uint64_t base_size, last_size;
    uint32_t reads; /* under way */
    shoal_crew *crew;
    bool held;          /* the crew is waited for: */
    bool met;           /* with a command that the reader has met, or else behind a part */
    bool last;          /* the part that is being run is the last one of its file */
    shoal_buffer early; /* a part that came meanwhile */
    bool rdb, rdb_over, begun, loading, failed;
    uint64_t before_size; /* whole bytes of the file before this one */
    bool before_torn;     /* it has more, but they are not whole */
    bool checked;         /* this one's first record has been seen */
    bool tail_lost;       /* this one does not count: see lose_tail */
    int64_t began_us, file_began_us;
    int64_t began_wall_s;
    uint64_t keys, expired;
    char history[41]; /* of the last remark of a clean end; "" when something stands behind it */
    uint64_t history_offset;
    uint32_t history_db;
    shoal_rdb_load decoder;
    shoal_aof_reader reader;
} shoal_aof__load;

/* Syncs, and what follows failures. */
typedef struct shoal_aof__sync {
    uint32_t waiting; /* syncs under way */
    shoal_err error;
    shoal_appender_note target; /* what they cover */
    int64_t began_us;
    shoal_file left_file;     /* the file before the present one: not yet synced; or 0 */
    uint64_t left_size;       /* its bytes */
    bool delayed;             /* counted as such */
    bool switched;            /* the appender was asked to go over to another file */
    bool noting;              /* the appender was asked how far it is */
    bool marking;             /* a mark is under way */
    bool armed;               /* the appender asks for the next sync itself, or has done so */
    shoal_appender_note safe; /* up to here nothing can be lost but by its disk */
    uint64_t synced;          /* of the log: up to here syncs have gone */
    uint64_t incr_at;         /* of the log: where the present file begins, */
    bool incr_selects;        /* with a SELECT, */
    uint32_t incr_db;         /* of this database */
    uint64_t delayed_count;
    uint64_t gather_bytes;   /* always: so much is waited for before the next sync, */
    int64_t gather_until_us; /* but only until then */
    /* Trouble. */
    bool broken;
    bool stopped; /* the appender has been */
    bool repairing;
    bool emptying;    /* the first part of it: the present file */
    uint32_t repairs; /* operations of it, or of one that was given up, under way */
    int64_t retry_us;
    shoal_err why;
} shoal_aof__sync;

/* The whole. */
struct shoal_aof {
    shoal_aof_options options;
    shoal_aof_settings settings;
    shoal_allocator allocator;
    shoal_env *env;
    const shoal_host *host;
    shoal_log *log;
    shoal_time now;
    shoal_aof_state state;
    shoal_buffer file_name, dir_name;
    shoal_manifest manifest;
    shoal_appender appender;
    shoal_log_reader reader; /* the appender's place */
    shoal_log_reader keeper; /* what may have to be written again */
    bool wants;              /* the log */
    shoal_file incr;         /* which of the two is appended to */
    shoal_aof__sequence sequence;
    shoal_aof__then manifest_then;
    shoal_aof__sync sync;
    shoal_aof__rewrite rewrite;
    shoal_aof__load load;
    /* Figures. */
    bool left_seen;       /* of the increment before the present one, the size is counted */
    bool left_skipped;    /* and must not be, for it is history */
    uint64_t size_before; /* of the files that are not appended to any more */
    uint64_t base_size;   /* of all, behind the last rewrite */
    bool rewrite_ok, scheduled, blocked;
    int64_t rewrite_time_s;
    uint64_t rewrites, failures;
    int64_t retry_rewrite_us;
    bool torn_told; /* that the log has lost something */
    /* It was ON when all data were replaced: with appendfsync always replies to what was written
     * behind `promised_from` wait for the new files to be named (docs/decisions/fsync.md). */
    bool promised;
    uint64_t promised_from;
    bool expects; /* the log is wanted meanwhile, though not read yet: else nothing would wait */
    shoal_err promised_why; /* why the last attempt to make these files failed, or 0 */
    bool finishing, signing;
    bool forced;             /* somebody waits for a sync */
    bool suspended;          /* by shoal_aof_suspend, and not yet read again */
    shoal_aof_state resumes; /* what it was then */
};

/* ---- aof.c ---- */

/* Writes a line of the log. */
void shoal_aof__log(const shoal_aof *aof, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The node must not start. */
void shoal_aof__fail(shoal_aof *aof);
/* Binds a number to a name in the folder. */
void shoal_aof__bind(shoal_aof *aof, shoal_file file, shoal_slice name);
/* Binds a number to a name in the node's directory. */
void shoal_aof__bind_above(shoal_aof *aof, shoal_file file, shoal_slice name);
/* Begins a sequence; the operations that belong to it follow, at least one. */
void shoal_aof__begin(shoal_aof *aof, shoal_aof__then then);
/* Operations of the sequence. */
void shoal_aof__append(shoal_aof *aof, shoal_file file, shoal_slice bytes);
void shoal_aof__sync_file(shoal_aof *aof, shoal_file file);
void shoal_aof__rename(shoal_aof *aof, shoal_file from, shoal_file to);
void shoal_aof__remove(shoal_aof *aof, shoal_file file);
void shoal_aof__truncate(shoal_aof *aof, shoal_file file, uint64_t size);
/* Is a sequence under way? */
bool shoal_aof__is_busy(const shoal_aof *aof);
/* Makes `next` the manifest, on disk and here, then goes on with `then`. */
void shoal_aof__write_manifest(shoal_aof *aof, shoal_manifest *next, shoal_aof__then then);
/* The name of the manifest's newest increment. */
shoal_slice shoal_aof__incr_name(const shoal_manifest *manifest);

/* ---- aof_sync.c ---- */

/* Appending has begun, with `size` bytes in the file. False: it could not. */
SHOAL_MUST_USE bool shoal_aof__go_on(shoal_aof *aof, uint64_t from, uint64_t size);
/* Appending ends, for good. */
void shoal_aof__stop(shoal_aof *aof);
/* In a moment of the store: the appender goes over to `file`. False: not yet; call it again. */
bool shoal_aof__switch(shoal_aof *aof, shoal_file file);
/* As far as syncs are concerned replies may go up to `at`. */
void shoal_aof__release(shoal_aof *aof, uint64_t at);
/* Effects are wanted from now on, to be read; or not any more. */
void shoal_aof__want(shoal_aof *aof);
void shoal_aof__unwant(shoal_aof *aof);
/* Files that were promised are there, or shall not be any more. */
void shoal_aof__end_promise(shoal_aof *aof);
/* Whether replies wait for such files. */
bool shoal_aof__withholds(const shoal_aof *aof);
/* The appender asks for no sync any more; one that it has asked for counts as under way. */
void shoal_aof__disarm(shoal_aof *aof);
/* Whether the file before the present one may still lack something on disk. */
bool shoal_aof__has_left(const shoal_aof *aof);
/* Does what is due. */
void shoal_aof__sync_step(shoal_aof *aof);
/* When. */
int64_t shoal_aof__sync_deadline(const shoal_aof *aof);
/* An operation of this part has ended. */
void shoal_aof__sync_done(shoal_aof *aof, const shoal_event *event);
/* The settings have changed. */
void shoal_aof__apply_policy(shoal_aof *aof);
/* An append of the appender has failed. */
void shoal_aof__break(shoal_aof *aof, shoal_err why, bool lost_sync);

/* ---- aof_rewrite.c ---- */

/* Begins one, if it may. */
bool shoal_aof__rewrite_begin(shoal_aof *aof, bool enables);
/* Goes on with it. */
void shoal_aof__rewrite_step(shoal_aof *aof);
/* When it wants to. */
int64_t shoal_aof__rewrite_deadline(const shoal_aof *aof);
/* A part of the base has been written. */
void shoal_aof__base_done(shoal_aof *aof, const shoal_event *event);
/* Frees what it has, in the middle. */
void shoal_aof__rewrite_drop(shoal_aof *aof);
/* Removes the files of history, if they are to go. */
void shoal_aof__collect(shoal_aof *aof);

/* ---- aof_load.c, aof_open.c ---- */

/* Reads the manifest and what follows. */
void shoal_aof__load_begin(shoal_aof *aof);
/* A part has been read. */
void shoal_aof__load_read(shoal_aof *aof, const shoal_event *event);
/* Frees what it has. */
void shoal_aof__load_drop(shoal_aof *aof);
/* Goes on where the crew was waited for; at each step. */
void shoal_aof__load_step(shoal_aof *aof);
/* Frees the crew: it is idle, or no worker runs any more. */
void shoal_aof__load_close(shoal_aof *aof);
/* All is read: opens the files. `size`: of the last increment, as it was read. */
void shoal_aof__open(shoal_aof *aof);

#endif
