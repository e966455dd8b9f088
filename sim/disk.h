/* SPDX-License-Identifier: MIT
 *
 * sim/disk.h - the virtual disk of a node: a few files whose bytes are written first and durable
 * later. Operations of a file take effect one after the other, each after its latency; files do
 * not wait for each other, so their operations interleave as a seed decides; only a rename keeps
 * its place among the operations of both its files. A crash keeps, tears or loses what was not
 * synced.
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
    shoal_file to;   /* RENAME */
    bool started;    /* its end is arranged */
    uint64_t serial; /* order of submission on this disk */
    uint64_t tag;
    size_t size; /* APPEND */
    char bytes[];
} shoal_disk_op;

/* One file: what it holds, and what of that a loss of power would leave. */
typedef struct shoal_disk_file {
    bool exists;
    bool durable; /* its name and `synced` bytes survive everything */
    char *data;
    size_t size;
    size_t capacity;
    size_t synced;
    shoal_disk_op *head, *tail;
} shoal_disk_file;

/* The disk of one node. */
typedef struct shoal_disk {
    shoal_disk_file files[SHOAL_FILE_COUNT]; /* index: shoal_file */
    uint64_t submitted;                      /* operations so far */
    shoal_prng latency;
    shoal_prng fate;
    shoal_disk_mode mode;
    int64_t slow_us;
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
} shoal_disk_request;
void shoal_disk__submit(shoal_world *world, uint32_t node, const shoal_disk_request *request);

/* The process is gone, perhaps the power too: decides what survives. */
void shoal_disk__crash(shoal_disk *disk, shoal_disk_fate fate);

/* Puts content into a file before its node starts. */
void shoal_disk__write(shoal_disk *disk, shoal_file file, shoal_slice content);

#endif
