/* SPDX-License-Identifier: MIT
 *
 * command/multi.h - transactions: what MULTI queues and EXEC runs.
 *
 * What EXEC promises. The commands on data between two others form a piece (PING, SELECT and what
 * else only concerns the connection may stand in between). A piece runs as one operation under the
 * gates of all places of all its keys, and readers queue meanwhile when it writes: everybody sees
 * all of it or nothing. The watched keys are looked at under the gates of the first piece. Commands
 * of other actors (CONFIG, CLUSTER, INFO, CLIENT LIST, FLUSHALL, DEBUG ...) end a piece; they run
 * one by one as they would outside, in their turn, and the next piece begins behind them.
 *
 * What it costs. A piece cannot be cut: its gates are held as long as its commands take, which is
 * bounded only by their number, and that by client-query-buffer-limit. Nobody waits in a thread
 * meanwhile; only operations of the same slots queue.
 *
 * Claims:
 *   M1  A piece is one gate operation (gate.c: G1, G7), with the gates of every key of every
 *       command in it; no other operation of those slots runs in between, and no reader sees a
 *       part.
 *   M2  A piece runs on any thread; what it touches besides the store are its own queue and the
 *       reply of its errand, which its session's worker leaves alone until the errand is home.
 *   M3  Replies come in the order of the commands, those of several pieces one behind the other.
 */
#ifndef SHOAL_COMMAND_MULTI_H
#define SHOAL_COMMAND_MULTI_H

#include "command/worker.h"

/* A command that was read between MULTI and EXEC: a copy. */
typedef struct shoal_queued {
    struct shoal_queued *next;
    const shoal_command *command;
    uint32_t argc, key_count, db;
    shoal_slice *argv; /* into its own memory, as the keys */
    shoal_key *keys;
    size_t reply_size; /* of its reply in that of its piece, once it ran */
    int64_t took_ns;   /* once it ran */
    size_t memory;     /* bytes of this allocation */
} shoal_queued;

/* A transaction, queued or running. */
typedef struct shoal_multi {
    shoal_queued *first, *last;
    uint32_t count;
    uint32_t db;                 /* SELECTed at the end of the queue */
    uint32_t flags;              /* SHOAL_FLAG_ of any command in it */
    uint32_t lacks;              /* those that a command of it does not have */
    bool aborted;                /* a command could not be queued */
    bool asking, reads_replicas; /* as in calls */
    size_t memory;               /* bytes of what is queued */
    /* Running: */
    shoal_queued *next;            /* the first that has not run, of the piece that is under way */
    shoal_queued *piece_end;       /* behind that piece */
    int64_t took_ns;               /* all of it so far, of one that */
    bool parked;                   /* could not be finished at once */
    bool begun;                    /* the watched keys have been looked at */
    bool elsewhere;                /* the piece runs or has run on a thread that has no session */
    size_t header_size;            /* of the reply to EXEC itself in that of the first piece */
    struct shoal_watches *watches; /* until begun */
    uint32_t *places;              /* of the piece */
    uint32_t place_count, place_capacity;
} shoal_multi;

/* ---- multi.c: the queue ---- */

/* True for commands that run at once inside MULTI. */
bool shoal_multi__runs_at_once(const shoal_command *command);
/* Queues an admitted request instead of running it. */
void shoal_multi__queue(shoal_session *session, shoal_entry *entry, shoal_reply *reply);
/* An EXEC that was refused: the error behind `before` bytes of reply->out becomes the reason why
 * the transaction is discarded. */
void shoal_multi__refuse(shoal_session *session, shoal_reply *reply, size_t before);
/* Ends a transaction that does not run: DISCARD, RESET, the end of the session. */
void shoal_multi__discard(shoal_session *session);
/* EXEC is about to read what is queued: see tracking.h. */
void shoal_multi__note_reading(shoal_session *session);
/* Is the last command of a transaction that names the key one that reads it? */
bool shoal_multi__reads_last(const shoal_multi *exec, shoal_slice name);
/* Frees a transaction. */
void shoal_multi__free(shoal_multi *multi, const shoal_allocator *allocator);

/* ---- exec.c: running it ---- */

/* Runs session->exec from where it stands until it waits for something or is over. */
void shoal_exec__go_on(shoal_session *session, shoal_buffer *out);
/* Appends what a piece that ran elsewhere has to say. */
void shoal_exec__deliver(shoal_session *session, shoal_buffer *out);

#endif
