/* SPDX-License-Identifier: MIT
 *
 * node/file_ops.h - what is done to one file: system calls and their errors in the door's terms.
 * Knows no queue and no thread; node/files.h sees to it that one thread at a time works on a
 * file, but for one that writes while another syncs.
 */
#ifndef SHOAL_NODE_FILE_OPS_H
#define SHOAL_NODE_FILE_OPS_H

#include <shoal/host.h>

/* One file, by its name. */
typedef struct shoal_file_role {
    char *name;       /* malloc'ed; NULL: it is bound to nothing */
    int descriptor;   /* open for appending, or -1 */
    bool fresh;       /* created since the directory was last synced */
    bool fresh_above; /* its directory too, since the one above was last synced */
    shoal_err torn;   /* an append has failed: none without a tag follows its bytes */
    uint64_t synced;  /* its size at the last sync */
    uint64_t room;    /* the disk has set aside what it needs up to here; 0: not asked */
    uint64_t pushed;  /* the system has been asked to write the bytes up to here to the disk */
    uint64_t waiting; /* bytes that jobs have appended since it was last asked */
} shoal_file_role;

/* Opens `role` for appending where it is not open yet, makes folders and notes what is new. The
 * descriptor, or a negative error; role->descriptor is the caller's to set. */
int shoal_file_op__open(shoal_file_role *role);
/* Writes all of `bytes`; where that fails, some may have been written. */
shoal_err shoal_file_op__write(int descriptor, shoal_slice bytes);
/* Says that a job has appended `size` bytes. Where they have become many, asks the system to begin
 * writing them to the disk, and waits for none of it. */
void shoal_file_op__push(shoal_file_role *role, int descriptor, size_t size);
/* Makes the bytes behind `descriptor`, which is of `role`, durable, and its name; and where the
 * file is large, asks the disk for room for what comes next. Many bytes go to the disk in pieces,
 * one after the other. */
shoal_err shoal_file_op__sync(shoal_file_role *role, int descriptor);
/* Gives the room back that no byte has come to. It may be asked for again. */
void shoal_file_op__trim(shoal_file_role *role, int descriptor);

/* A reading: what is wanted, and what it came to. */
typedef struct shoal_file_reading {
    bool whole;         /* all of the file, whatever `offset` and `size` say */
    uint64_t offset;    /* where from */
    size_t size;        /* at most; later: bytes read */
    char *bytes;        /* malloc'ed, the caller's to free */
    uint64_t file_size; /* of the whole file */
} shoal_file_reading;
/* Reads; SHOAL_ERR_IO when a file that is read as a whole grows meanwhile. */
shoal_err shoal_file_op__read(const shoal_file_role *role, shoal_file_reading *reading);

/* Closes `descriptor`. A file that has no name any more goes with it, a piece at a time. */
void shoal_file_op__close(int descriptor);
/* Renames, removes, truncates as shoal/host.h says. The descriptors of roles that lose their file
 * have been closed by the caller. Cutting a file takes its room, too. */
shoal_err shoal_file_op__rename(const shoal_file_role *from, const shoal_file_role *to);
shoal_err shoal_file_op__remove(const shoal_file_role *role);
shoal_err shoal_file_op__truncate(shoal_file_role *role, uint64_t size);

/* Whether `path` is one that a number may be bound to: relative, no "..", no empty part. */
bool shoal_file_op__may_name(shoal_slice path);

#endif
