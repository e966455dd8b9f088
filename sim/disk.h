/* SPDX-License-Identifier: MIT
 *
 * sim/disk.h - the virtual disk of a node: a few files whose bytes are written first and durable
 * later. Operations of a file take effect one after the other, each after its latency; files do
 * not wait for each other, so their operations interleave as a seed decides; only a rename keeps
 * its place among the operations of both its files. What is appended to a named file without a tag
 * is there at once when nothing but syncs is waiting. A crash keeps, tears or loses what was not
 * synced; what a sync failed to make durable stays so even if a later one succeeds. For tests that
 * crash at every point of a run it counts these, and stops at the one that they want.
 *
 * Files have positions: those of fixed roles their number, named ones follow as names are first
 * bound, and stay over crashes, which numbers do not. Position 0 is no file: operations of it fail.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_DISK_H
#define SHOAL_SIM_DISK_H

#include <shoal/host.h>

#include "base/prng.h"
#include "sim/heap.h"
#include "sim/schedule.h"

typedef struct shoal_world shoal_world;

/* One operation that waits. */
typedef struct shoal_disk_op {
    struct shoal_disk_op *next;
    shoal_file_op op;
    shoal_file file;  /* as the node calls it */
    uint32_t to;      /* RENAME: position */
    bool started;     /* its end is arranged */
    bool part;        /* READ: `wanted` bytes from `offset` on */
    shoal_err failed; /* it went wrong when it was submitted; only to be told */
    uint64_t serial;  /* order of submission on this disk */
    uint64_t tag;
    uint64_t offset; /* TRUNCATE: the new size. SYNC: bytes that it covers, once started */
    size_t wanted;
    size_t size; /* APPEND */
    char bytes[];
} shoal_disk_op;

/* One file: what it holds, and what of that a loss of power would leave. */
typedef struct shoal_disk_file {
    char *name; /* of a named file; NULL: fixed, or nobody's */
    bool exists;
    bool durable;               /* its name and `synced` bytes survive everything */
    shoal_err torn;             /* an append has failed: none without a tag follows its bytes */
    size_t hole_from, hole_end; /* bytes that a failed sync has given up: zeros after a crash */
    char *data;
    size_t size;
    size_t capacity;
    size_t synced;
    shoal_disk_op *head, *tail;
} shoal_disk_file;

/* The disk of one node. */
typedef struct shoal_disk {
    shoal_disk_file files[SHOAL_FILE_COUNT]; /* index: shoal_file; 0: no file */
    shoal_disk_file *named;                  /* position SHOAL_FILE_COUNT + index */
    uint32_t named_count, named_capacity;
    uint16_t bound[SHOAL_FILE_LIMIT - SHOAL_FILE_NAMED]; /* positions; 0: not bound */
    uint64_t submitted;                                  /* operations so far */
    shoal_prng latency;
    shoal_prng fate;
    shoal_disk_mode mode;
    int64_t slow_us;
    bool damaged; /* a crash has left zeros where data were, or taken what was said to be durable */
    bool lied;    /* a sync said that it was done and was not */
    /* Moments at which its content may be found by who looks at it after a crash: before and behind
     * each operation that changes something, and in the middle of an append. At number `stop_at`
     * (0: never) it stops: nothing is done or told any more until a crash. */
    uint64_t points, stop_at;
    bool stopped;
} shoal_disk;

/* Makes an empty disk with the random streams of `node`; frees what one holds. */
void shoal_disk__make(shoal_disk *disk, const uint64_t seed[2], uint32_t node);
void shoal_disk__free(shoal_disk *disk);

/* An operation that a node asks for; `op` as in shoal/host.h. Bytes are copied. */
typedef struct shoal_disk_request {
    shoal_file file;
    shoal_file_op op;
    shoal_file to;
    shoal_slice bytes;
    uint64_t tag;
    bool part;       /* READ: only `size` bytes from `offset` on */
    uint64_t offset; /* TRUNCATE: the new size */
    size_t size;
} shoal_disk_request;
void shoal_disk__submit(shoal_world *world, uint32_t node, const shoal_disk_request *request);

/* Binds a number to a path, as file_name of shoal/host.h does. */
void shoal_disk__name(shoal_disk *disk, shoal_file file, shoal_slice path);

/* The named file at `path`, or NULL: for judges and tests. Valid until a name is bound. */
const shoal_disk_file *shoal_disk__look(const shoal_disk *disk, const char *path);

/* The process is gone, perhaps the power too: decides what survives. */
void shoal_disk__crash(shoal_disk *disk, shoal_disk_fate fate);

/* A new disk with the old configuration, under a process that does not run. */
void shoal_disk__wipe(shoal_disk *disk);

/* Puts content into a file before its node starts. */
void shoal_disk__write(shoal_disk *disk, shoal_file file, shoal_slice content);

#endif
