/* SPDX-License-Identifier: MIT
 *
 * node/files.h - the file operations of the door, done by threads of their own, so that neither the
 * control actor nor a worker ever waits for a disk; only what is appended to a named file may be
 * written by whoever appends. Operations of one file are done and told in the order of submission
 * (rule R4); those of different files need not be.
 *
 * A sync covers the appends before it and, when the file is new, its name in the directory. A
 * rename makes the names durable before it is reported.
 *
 * Threads: append by any thread, one at a time for each file; the rest by the control actor; the
 * `done` callback runs on a file thread or one that appends.
 */
#ifndef SHOAL_NODE_FILES_H
#define SHOAL_NODE_FILES_H

#include <shoal/host.h>

/* One operation, and later its result. */
typedef struct shoal_file_job {
    struct shoal_file_job *next;
    shoal_file_op op;
    shoal_file file;
    shoal_file to; /* RENAME: the new name */
    uint64_t tag;
    bool part;          /* READ: only `size` bytes from `offset` on */
    uint64_t offset;    /* READ of a part: where from. TRUNCATE: the new size */
    char *bytes;        /* APPEND: what to write. READ: what was read. malloc'ed, or NULL */
    size_t size;        /* of `bytes`; submitted with a READ of a part: how much */
    uint64_t file_size; /* READ: of the whole file */
    shoal_err error;    /* the result */
    bool closes;        /* no operation: `bytes` are the role of a file that the number has left */
} shoal_file_job;

typedef struct shoal_files shoal_files;

/* How to make one. `names[role]` are paths, NULL for roles that this node has not (operations
 * on them fail with SHOAL_ERR_IO); the strings are copied. */
typedef struct shoal_files_options {
    const char *names[SHOAL_FILE_COUNT];
    const char *directory;       /* where named files are, copied; NULL: where the process is */
    void (*done)(void *context); /* results can be taken; called on another thread */
    void *context;
} shoal_files_options;

/* Starts the threads. 0, SHOAL_ERR_NO_MEMORY or SHOAL_ERR_IO. */
SHOAL_MUST_USE shoal_err shoal_files__start(const shoal_files_options *options, shoal_files **out);

/* Binds a number from SHOAL_FILE_NAMED on to a path, copied, as shoal/host.h says. */
void shoal_files__name(shoal_files *files, shoal_file file, shoal_slice path);

/* Appends to a named file, as shoal/host.h says of any thread: at once where nothing but syncs of
 * the file is queued, else as shoal_files__submit does. */
void shoal_files__append(shoal_files *files, const shoal_file_job *job, shoal_slice bytes);

/* Waits until nothing but syncs of a file is queued or under way: what was appended has gone to the
 * system, or has failed. Not by the file threads. */
void shoal_files__settle(shoal_files *files, shoal_file file);

/* Queues an operation; `bytes` are copied. Without memory the process stops: an operation that
 * is neither done nor reported would break rule R4. */
void shoal_files__submit(shoal_files *files, const shoal_file_job *job, shoal_slice bytes);

/* Takes all results, oldest first, NULL when there are none. The caller frees each with
 * shoal_files__free. */
shoal_file_job *shoal_files__take(shoal_files *files);

/* Gives a result back. */
void shoal_files__free(shoal_file_job *job);

/* Ends the threads: after the queued operations when `drain`, else after the present ones. Results
 * that were not taken are dropped. */
void shoal_files__stop(shoal_files *files, bool drain);

#endif
