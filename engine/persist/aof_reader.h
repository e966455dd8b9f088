/* SPDX-License-Identifier: MIT
 *
 * persist/aof_reader.h - the commands of an append-only file, one after the other, from bytes that
 * arrive in chunks of any size. A transaction is handed out when its EXEC has been read, so that a
 * file that ends in the middle of one has changed nothing by it. Pure: it knows neither files nor
 * what commands mean, but for MULTI and EXEC.
 *
 * It takes what Redis takes: arrays of bulk strings, and lines that begin with `#` between them.
 *
 * Threads: a reader belongs to one thread at a time.
 */
#ifndef SHOAL_PERSIST_AOF_READER_H
#define SHOAL_PERSIST_AOF_READER_H

#include <shoal/types.h>

/* Arguments of a command, as Redis takes them from clients. */
#define SHOAL_AOF_ARGUMENTS_MAX 1048576u
/* Bytes of an argument. */
#define SHOAL_AOF_ARGUMENT_MAX ((uint64_t)512 << 20)
/* Characters of a line of lengths, or of one that begins with `#`. */
#define SHOAL_AOF_NUMBER_MAX 128u
#define SHOAL_AOF_REMARK_MAX 1024u

/* What the reader has met. */
typedef enum shoal_aof_found {
    SHOAL_AOF_MORE = 0, /* it needs the next chunk; at the end of a file: is it torn? */
    SHOAL_AOF_COMMAND,  /* argc and argv; neither MULTI nor EXEC */
    SHOAL_AOF_REMARK,   /* a line that begins with `#`: argv[0], without it and the end */
    SHOAL_AOF_BAD,      /* not such a file: `reason`, at byte `bad_at` */
    SHOAL_AOF_NO_MEMORY
} shoal_aof_found;

/* A reader. What it hands out is borrowed from it until the next call. */
typedef struct shoal_aof_reader {
    uint32_t argc;
    shoal_slice *argv;
    uint64_t whole_at; /* offset behind the last command that was handed out and is complete, with
                          the EXEC of its transaction */
    uint64_t bad_at;
    const char *reason;
    uint64_t commands;   /* handed out so far */
    bool in_transaction; /* what is handed out belongs to one that goes on */
    /* Its own. */
    shoal_buffer input;
    uint64_t offset;    /* of the file: where `input` begins */
    size_t at;          /* of input: what has been handed out */
    size_t scanned;     /* of input: looked at for the EXEC that is being waited for, or 0 */
    size_t wanted;      /* of input: no record is whole with fewer bytes */
    size_t exec_at;     /* of input: where the present transaction's EXEC begins, or 0 */
    shoal_buffer slots; /* of shoal_slice */
} shoal_aof_reader;

/* A reader of a file that begins at byte `offset` (behind an RDB part, say). The allocator is
 * borrowed and outlives it. */
shoal_aof_reader shoal_aof_reader_make(const shoal_allocator *allocator, uint64_t offset);
/* Gives its memory back. */
void shoal_aof_reader_free(shoal_aof_reader *reader);
/* Adds the next bytes, which are copied. */
void shoal_aof_reader_feed(shoal_aof_reader *reader, shoal_slice bytes);
/* Reads on. */
shoal_aof_found shoal_aof_reader_next(shoal_aof_reader *reader);
/* Behind MORE, at the end of the file: true when something has begun that is not whole; then
 * `whole_at` is where to cut. */
bool shoal_aof_reader_is_torn(const shoal_aof_reader *reader);
/* Behind MORE: what is torn is a transaction, all of whose commands may be whole. */
bool shoal_aof_reader_lacks_exec(const shoal_aof_reader *reader);

/* Appends a command in parts: how many arguments it has, and then each of them. */
void shoal_aof_write_begin(shoal_buffer *out, uint32_t argc);
void shoal_aof_write_argument(shoal_buffer *out, shoal_slice argument);
/* Appends a command. */
void shoal_aof_write_command(shoal_buffer *out, const shoal_slice *argv, uint32_t argc);
/* Appends the line that says which history of replication what stands before it is, up to which
 * offset, and what database its stream is about there. */
void shoal_aof_write_history(shoal_buffer *out, shoal_slice id, uint64_t offset, uint32_t db);
/* Reads it from a remark. False when it is another one. */
bool shoal_aof_read_history(shoal_slice remark, shoal_slice *id, uint64_t *offset, uint32_t *db);
/* Appends the line that says when what follows was written: seconds of the wall clock. */
void shoal_aof_write_timestamp(shoal_buffer *out, int64_t seconds);
/* Appends the line that says that what follows stands behind another file of `size` bytes: where
 * that has fewer, power was lost before its end was durable, and nothing that follows counts. */
void shoal_aof_write_behind(shoal_buffer *out, uint64_t size);
/* Whether a REMARK is that line. */
bool shoal_aof_read_behind(shoal_slice remark, uint64_t *size);

#endif
