/* SPDX-License-Identifier: MIT
 *
 * log/log.h - the effects of a node's writes as one stream of bytes: what the append-only file
 * holds and what replicas are sent. An effect is a command (or several, as one piece) in RESP; its
 * place in the stream is its replication offset, so this is the backlog too.
 *
 * Any thread appends, under the gates of the keys that the effect is about: so the order of the
 * stream agrees with the order of every slot. Nobody waits: a place is reserved with one
 * compare-and-swap, then filled. What is filled without a gap, from the start on, is committed, and
 * ends between two pieces. Readers take committed bytes where they lie; the control actor lets go
 * of what no reader needs.
 *
 * Threads: a writer belongs to one thread of the store, a reader to one thread at a time; all else
 * is the control actor's, unless it says otherwise.
 */
#ifndef SHOAL_LOG_LOG_H
#define SHOAL_LOG_LOG_H

#include <shoal/types.h>

/* One log. */
typedef struct shoal_log shoal_log;

/* How to make one. */
typedef struct shoal_log_options {
    shoal_allocator allocator; /* copied */
    uint32_t writers;          /* threads that append, 1..SHOAL_LOG_WRITERS_MAX */
    uint32_t segment_bits;     /* bytes of a piece of memory, as a power of two: 12..24; 0: 20 */
    uint64_t start;            /* offset of the first byte */
} shoal_log_options;

/* Threads that append to one log, at most. */
#define SHOAL_LOG_WRITERS_MAX 1024u
/* Segments that may be kept: the log holds at most so many, and is torn beyond. */
#define SHOAL_LOG_SEGMENTS_MAX 16384u
/* Offsets end here: 9 PB. */
#define SHOAL_LOG_OFFSET_END ((uint64_t)1 << 53)

/* Makes an empty log that nobody wants: it takes no memory for bytes yet. 0 or
 * SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_log_create(const shoal_log_options *options, shoal_log **out);
/* Frees it. No thread is using it. */
void shoal_log_destroy(shoal_log *log);

/* ---- who wants it ---- */

/* Counts those who want effects: +1 when one begins, -1 when it ends. While the count is 0 writers
 * make no effects. An operation that is under way when the count leaves 0 may leave none: who needs
 * a sharp beginning asks for a moment of the store (store/moment.h) after this. */
void shoal_log_want(shoal_log *log, int change);
/* Whether anybody does. Any thread. */
bool shoal_log_wanted(const shoal_log *log);

/* ---- writing ---- */

/* Appends one piece, made of `count` slices, for database `db`: behind a SELECT if what stands
 * before it in the stream was for another one. Under the gates of what it tells of, or in a moment
 * of the store. Returns the offset behind it; 0 when it was lost for want of memory or room: then
 * the log is torn. By the thread of the writer. */
uint64_t shoal_log_append(shoal_log *log, uint32_t writer, uint32_t db, const shoal_slice *slices,
                          uint32_t count);
/* In place of a database: what is told is about none of them (PING), and no SELECT is needed. */
#define SHOAL_LOG_DB_ANY UINT32_MAX
/* Appends bytes as they are, without a SELECT: a replica's copy of its master's stream. Afterwards
 * the stream's database is unknown, and the next append writes a SELECT. */
uint64_t shoal_log_append_raw(shoal_log *log, uint32_t writer, shoal_slice bytes);
/* The next append writes a SELECT whatever stands before: for readers that begin here. Any
 * thread. */
void shoal_log_forget_database(shoal_log *log);

/* ---- how far it is ---- */

/* The offset behind the last reserved byte. Any thread. */
uint64_t shoal_log_end(const shoal_log *log);
/* The offset up to which all bytes are there: between two pieces. Any thread. */
uint64_t shoal_log_committed(const shoal_log *log);
/* The first offset that is still there. Any thread. */
uint64_t shoal_log_first(const shoal_log *log);
/* An effect has been lost: files and replicas that are fed from here lack it, until they begin
 * again from a snapshot. Any thread. */
bool shoal_log_torn(const shoal_log *log);
/* An effect could not be made, for want of memory: the log is torn. Any thread. */
void shoal_log_tear(shoal_log *log);
/* Begins again, empty, at `offset`, and whole. Only in a moment of the store or while nobody wants
 * it; readers stand at `offset` afterwards. The bytes before are gone, unless `keep` and `offset`
 * is where the log ends. */
void shoal_log_restart(shoal_log *log, uint64_t offset, bool keep);

/* ---- reading ---- */

/* One who reads. Its place keeps what follows it. Zero it before the first use. */
typedef struct shoal_log_reader {
    struct shoal_log_reader *next, *previous; /* the log's own */
    _Atomic uint64_t at; /* writer: its thread, release; reader: control, acquire.
                                      pair: log.reader */
} shoal_log_reader;

/* Adds a reader that begins at `from`. False when that is not there any more, or not yet. */
SHOAL_MUST_USE bool shoal_log_reader_open(shoal_log *log, shoal_log_reader *reader, uint64_t from);
/* Takes it back. */
void shoal_log_reader_close(shoal_log *log, shoal_log_reader *reader);
/* The bytes from the reader's place on, up to `until` (at most what is committed): as many as lie
 * together, nothing when there are none. They stay where they are until the reader moves on. By the
 * reader's thread. */
shoal_slice shoal_log_peek(const shoal_log *log, const shoal_log_reader *reader, uint64_t until);
/* Moves on over `size` bytes. By the reader's thread. */
void shoal_log_skip(shoal_log_reader *reader, uint64_t size);
/* The reader's place. Any thread. */
uint64_t shoal_log_at(const shoal_log_reader *reader);

/* Lets go of what no reader needs, but keeps the last `backlog` bytes. Returns the bytes of memory
 * that the log has now. */
uint64_t shoal_log_trim(shoal_log *log, uint64_t backlog);
/* Bytes of memory that it has. Any thread. */
uint64_t shoal_log_memory(const shoal_log *log);

#endif
