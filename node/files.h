/* SPDX-License-Identifier: MIT
 *
 * node/files.h - the file operations of the door, done one after the other by a thread of their
 * own, so that neither the control actor nor a worker ever waits for a disk. Order of execution
 * and of results is the order of submission, over all files: that is more than rule R4 asks.
 *
 * A sync covers the appends before it and, when the file is new, its name in the directory. A
 * rename makes the names durable before it is reported.
 *
 * Threads: submit and take by the control actor; the `done` callback runs on the file thread.
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
    char *bytes;     /* APPEND: what to write. READ: what was read. malloc'ed, or NULL */
    size_t size;     /* of `bytes` */
    shoal_err error; /* the result */
} shoal_file_job;

typedef struct shoal_files shoal_files;

/* How to make one. `names[role]` are paths, NULL for roles that this node has not (operations
 * on them fail with SHOAL_ERR_IO); the strings are copied. */
typedef struct shoal_files_options {
    const char *names[SHOAL_FILE_COUNT];
    void (*done)(void *context); /* results can be taken; called on the file thread */
    void *context;
} shoal_files_options;

/* Starts the thread. 0, SHOAL_ERR_NO_MEMORY or SHOAL_ERR_IO. */
SHOAL_MUST_USE shoal_err shoal_files__start(const shoal_files_options *options, shoal_files **out);

/* Queues an operation; `bytes` are copied. Without memory the process stops: an operation that
 * is neither done nor reported would break rule R4. */
void shoal_files__submit(shoal_files *files, const shoal_file_job *job, shoal_slice bytes);

/* Takes all results, oldest first, NULL when there are none. The caller frees each with
 * shoal_files__free. */
shoal_file_job *shoal_files__take(shoal_files *files);

/* Gives a result back. */
void shoal_files__free(shoal_file_job *job);

/* Ends the thread: after the queued operations when `drain`, else after the present one. Results
 * that were not taken are dropped. */
void shoal_files__stop(shoal_files *files, bool drain);

#endif
