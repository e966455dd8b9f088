/* SPDX-License-Identifier: MIT
 *
 * persist/aof_append.h - what is committed of the log goes to the end of a file, by whoever comes
 * by with something to acknowledge: a worker at the end of its round, or the control actor. One at
 * a time has the *turn*; who comes meanwhile goes on, and the one who has the turn looks again
 * before it gives it back. So no thread waits, nothing stays unwritten, and order cannot be lost.
 *
 * What the control actor wants of the appender (another file, a note of how far it is) is a request
 * that whoever has the turn carries out.
 *
 * It also says from where on a group of commands is worth a sync: who has the turn when that is
 * written asks the host for it, once, and the control actor hears of its end. So with appendfsync
 * always nothing that a client waits for passes through the control actor on its way to the disk.
 *
 * Threads: shoal_appender_turn by any thread of the node; all else by the control actor.
 */
#ifndef SHOAL_PERSIST_AOF_APPEND_H
#define SHOAL_PERSIST_AOF_APPEND_H

#include <shoal/host.h>

#include "base/atomic.h"
#include "command/command.h"
#include "log/log.h"

/* Values of appendfsync, in the order of config.def. */
typedef enum shoal_aof_policy {
    SHOAL_AOF_EVERYSEC,
    SHOAL_AOF_ALWAYS,
    SHOAL_AOF_NO
} shoal_aof_policy;

/* What the control actor asks for. */
typedef enum shoal_appender_wish {
    SHOAL_APPENDER_START, /* append to `file`, which has `size` bytes, from the reader's place on */
    SHOAL_APPENDER_STOP,  /* append nothing more */
    SHOAL_APPENDER_SWITCH, /* append to `file`, which is empty, what follows; in a moment of the
                              store, so that nothing is being written */
    SHOAL_APPENDER_NOTE    /* only say how far it is */
} shoal_appender_wish;

/* A place in the log, and what the files have of it. */
typedef struct shoal_appender_note {
    uint64_t at;         /* offset of the log */
    shoal_file file;     /* that was appended to last */
    uint64_t size;       /* of that file */
    shoal_file old_file; /* the one before, if it has been left since START; else 0 */
    uint64_t old_size;
} shoal_appender_note;

/* A request, and when it is done, its answer. */
typedef struct shoal_appender_request {
    shoal_appender_wish wish;
    shoal_file file;
    uint64_t size;
    shoal_file first;    /* START: not 0: this file takes what comes before the offset `until` of */
    uint64_t first_size; /* the log, behind so many bytes; then it goes over to `file`, which is */
    uint64_t until;      /* empty, as SWITCH does */
    bool selects;        /* START, SWITCH: `file`, which is empty, begins with a SELECT, */
    uint32_t db;         /* of this database */
    shoal_appender_note note;
} shoal_appender_request;

/* An appender. */
typedef struct shoal_appender {
    /* How many have come for the turn; who finds 0 has it. acq_rel. pair: appender.turn */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic uint32_t comers;
    /* 0: none; 1: to be done; 2: done. writers: control, who has the turn; release. readers: the
     * same, acquire. pair: appender.request */
    _Atomic uint32_t asked;
    _Atomic bool running;     /* writer: who has the turn, relaxed: a hint for passers-by */
    _Atomic uint64_t written; /* writer: who has the turn, release; any. pair: appender.written */
    _Atomic bool always;      /* writer: control, relaxed; who has the turn */
    _Atomic bool timestamps;  /* the same */
    _Atomic bool lenient;     /* the same: replies go although nothing is written */
    /* Once so much is written a sync is to be asked for; or SHOAL_APPENDER__UNGROUPED, or
     * SHOAL_APPENDER__GROUPED: that has been done. writers: control, who has the turn; acq_rel.
     * pair: appender.group */
    _Atomic uint64_t group;
    _Atomic int64_t group_until_us; /* behind this time anything is worth it. writer: control,
                                       relaxed: a hint; who has the turn */
    /* Of whoever has the turn until `group` is GROUPED, then of the control actor until it is
     * not. */
    shoal_appender_note grouped; /* where it was asked for */
    int64_t grouped_us;          /* and when */
    /* Of whoever has the turn. */
    shoal_appender_request request;
    shoal_appender_note place;
    bool on;
    int64_t stamped_s; /* second of the last timestamp in the file */
    shoal_buffer stamp;
    /* Constant. */
    const shoal_host *host;
    shoal_env *env;
    shoal_log *log;
    uint64_t sync_tag;        /* of the syncs that it asks for */
    shoal_log_reader *reader; /* moved on by who has the turn */
} shoal_appender;

/* Values of `group`. */
#define SHOAL_APPENDER__UNGROUPED UINT64_MAX
#define SHOAL_APPENDER__GROUPED (UINT64_MAX - 1)

/* Makes one that does nothing; `reader` is opened and closed by the control actor, while it is
 * stopped. `sync_tag` is the caller's to set. */
void shoal_appender_make(shoal_appender *appender, shoal_env *env, shoal_log *log,
                         shoal_log_reader *reader);
/* Gives its memory back. */
void shoal_appender_free(shoal_appender *appender);

/* Appends what is committed, if nobody is doing so. Any thread. */
void shoal_appender_turn(shoal_appender *appender, shoal_time now);
/* The offset up to which the files have the log. Any thread. */
uint64_t shoal_appender_written(const shoal_appender *appender);

/* Asks; only when nothing else is asked for. The answer may be there at once. */
void shoal_appender_ask(shoal_appender *appender, const shoal_appender_request *request,
                        shoal_time now);
/* The answer, once; NULL while it is not there. The control actor is nudged when it comes. */
const shoal_appender_request *shoal_appender_answer(shoal_appender *appender);
/* Whoever has the turn shall ask for a sync when `at` is written, or anything behind `until_us`:
 * not before what is appended follows this; who has armed looks at what is written afterwards. Only
 * while it does not, and no sync that it has asked for is under way. */
void shoal_appender_arm(shoal_appender *appender, uint64_t at, int64_t until_us);
/* It shall not any more. False when it has done so, and is not armed any more either: what was
 * written by then is in `*note`, the time in `*began_us`. */
bool shoal_appender_disarm(shoal_appender *appender, shoal_appender_note *note, int64_t *began_us);
/* Whether it has. */
bool shoal_appender_has_grouped(const shoal_appender *appender);
/* Nothing is asked for. */
bool shoal_appender_idle(const shoal_appender *appender);

#endif
