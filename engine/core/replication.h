/* SPDX-License-Identifier: MIT
 *
 * core/replication.h - what core carries between replication (repl/repl.h) and the rooms beside it:
 * snapshots for replicas and data from a master (persist/), roles that the cluster gives
 * (cluster/), and commands of a master's stream (command/apply.h).
 *
 * Threads: the control actor.
 */
#ifndef SHOAL_CORE_REPLICATION_H
#define SHOAL_CORE_REPLICATION_H

#include "persist/rdb_load.h"
#include "persist/snapshot.h"
#include "repl/repl.h"

/* The numbers of its files: others must not bind them. */
#define SHOAL_REPL_FILE_SEND ((shoal_file)(SHOAL_FILE_LIMIT - 3))
#define SHOAL_REPL_FILE_SYNC ((shoal_file)(SHOAL_FILE_LIMIT - 4))

/* A snapshot for replicas. */
typedef enum shoal_sending_stage {
    SHOAL_SENDING_IDLE,
    SHOAL_SENDING_MOMENT,  /* waits for a moment of the store */
    SHOAL_SENDING_WRITING, /* the file grows */
    SHOAL_SENDING_KEPT,    /* whole, and read by replicas */
    SHOAL_SENDING_CLEARING /* nobody needs it: what is under way is waited for, the file removed */
} shoal_sending_stage;

/* Data from a master. */
typedef enum shoal_receiving_stage {
    SHOAL_RECEIVING_IDLE,
    SHOAL_RECEIVING_MOMENT,   /* operations of clients that are under way end */
    SHOAL_RECEIVING_CLEARING, /* what this node had goes */
    SHOAL_RECEIVING_LOADING
} shoal_receiving_stage;

/* Writes that wait for a failover. */
typedef enum shoal_pause_stage {
    SHOAL_PAUSE_NONE,
    SHOAL_PAUSE_MOMENT, /* none begins; those under way end */
    SHOAL_PAUSE_WHOLE   /* none is under way */
} shoal_pause_stage;

/* A master that follows another one from now on. */
typedef enum shoal_turning_stage {
    SHOAL_TURNING_NONE,
    SHOAL_TURNING_DUE, /* clients' writes are refused; those that were admitted before still run */
    SHOAL_TURNING_MOMENT /* none begins; those under way end, and are in the log */
} shoal_turning_stage;

/* All that core keeps of it. Zero is a start. */
typedef struct shoal_replication {
    shoal_repl *repl;
    uint64_t role_version; /* of the cluster's word, as far as it was obeyed */
    bool prepared, wished; /* a moment */
    bool mends;            /* the log has lost effects */
    shoal_pause_stage pause;
    shoal_turning_stage turning;
    bool rises; /* a master that behaves as a replica until nothing of the last stream is pending */
    /* Sending. */
    shoal_sending_stage sending;
    shoal_snapshot_writer *writer;
    bool writer_done;    /* the writer has no more to give */
    int64_t began_us;    /* when it began */
    uint64_t submitted;  /* bytes given to the host */
    uint64_t written;    /* of them, known to be in the file */
    uint32_t operations; /* of the host, under way */
    shoal_err error;
    /* Receiving. */
    shoal_receiving_stage receiving;
    uint32_t place;      /* to be cleared next */
    uint64_t size, at;   /* of the file; bytes asked for */
    uint32_t reads;      /* parts on their way */
    uint32_t removing;   /* of its file, under way */
    int64_t load_due_us; /* not before this is more of it read */
    shoal_rdb_load *load;
    shoal_crew *crew;            /* that puts what is loaded */
    bool parsed;                 /* nothing more is fed: the crew is waited for */
    shoal_err load_error;        /* of parsed */
    uint32_t stream_db;          /* of a stream that goes on from a file */
    struct shoal_stream *stream; /* what comes behind it; replication_apply.c's own */
} shoal_replication;

/* Makes it, before START. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_node__replication_open(shoal_node *node);
/* The data set is there: the role of the configuration is taken. */
void shoal_node__replication_start(shoal_node *node);
/* Frees it; nothing runs any more. */
void shoal_node__replication_close(shoal_node *node);
/* The configuration has changed. */
void shoal_node__replication_set(shoal_node *node);
/* An event: true when it was replication's. */
bool shoal_node__replication_event(shoal_node *node, const shoal_event *event);
/* What is due. At each step of a node that is ready. */
void shoal_node__replication_step(shoal_node *node);
/* The earliest stored deadline. */
int64_t shoal_node__replication_deadline(const shoal_node *node);
/* A snapshot for replicas is being written, or data are loaded: no other snapshot may begin. */
bool shoal_node__replication_busy(const shoal_node *node);
/* A snapshot for replicas is being written. */
bool shoal_node__replication_sends(const shoal_node *node);
/* Bytes of it that wait in memory for the disk. */
uint64_t shoal_node__send_waiting(const shoal_node *node);
/* Runs a command of this room's: true when it was one. With a NULL node it only says so. */
bool shoal_node__replication_command(shoal_node *node, shoal_errand *errand);

/* ---- between this room's files of replication ---- */

/* Nobody of replication wants the next moment: others may wish for it. */
bool shoal_node__moment_is_free(const shoal_node *node);
/* Wishes for a moment of the store: true when it is there. Never while apply_pending: what a
 * command of a master's stream did may not be in the log yet. */
bool shoal_node__moment_wish(shoal_node *node);
/* Ends it, or gives it up. */
void shoal_node__moment_end(shoal_node *node);
/* shoal_repl_face: `context` is the node. */
bool shoal_node__send_start(void *context);
void shoal_node__send_stop(void *context);
void shoal_node__receive_start(void *context, shoal_file file, uint64_t size);
void shoal_node__apply_bytes(void *context, shoal_slice bytes);
bool shoal_node__apply_reset(void *context);
/* What is due of each. */
void shoal_node__send_step(shoal_node *node);
void shoal_node__receive_step(shoal_node *node);
/* When a snapshot for replicas goes on that rdb-key-save-delay slows down. */
int64_t shoal_node__send_deadline(const shoal_node *node);
/* When loading one goes on that key-load-delay slows down. */
int64_t shoal_node__receive_deadline(const shoal_node *node);
/* Frees what loads a snapshot; its crew is idle, or no worker runs any more. */
void shoal_node__receive_drop(shoal_node *node);
void shoal_node__apply_step(shoal_node *node);
/* A command of the stream has been handed over, or carried out, and is not in the log yet. */
bool shoal_node__apply_pending(const shoal_node *node);
/* Nothing of the stream waits to be carried out. */
bool shoal_node__apply_idle(const shoal_node *node);
/* The database that what comes next in the log is about, unless it names one. */
uint32_t shoal_node__apply_db(const shoal_node *node);
/* A stream begins, behind a copy, in database `db`; nothing of it has come yet. */
void shoal_node__apply_select(shoal_node *node, uint32_t db);
/* Frees the stream; nothing of it is pending. */
void shoal_node__apply_close(shoal_node *node);
/* FILE_DONE of SHOAL_REPL_FILE_SEND, of anything but a read; of SHOAL_REPL_FILE_SYNC. */
void shoal_node__send_file_done(shoal_node *node, const shoal_event *event);
void shoal_node__receive_file_done(shoal_node *node, const shoal_event *event);

#endif
