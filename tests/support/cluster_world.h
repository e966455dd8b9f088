/* SPDX-License-Identifier: MIT
 *
 * A tiny world for tests of the bus: a few clusters in one process, with links made of memory,
 * files made of strings and a clock that jumps from event to event. Links have one latency and are
 * never congested; nodes can crash, freeze, and be cut from each other.
 *
 * Threads: none; the tests are single-threaded.
 */
#ifndef SHOAL_TEST_CLUSTER_WORLD_H
#define SHOAL_TEST_CLUSTER_WORLD_H

#include "cluster/cluster.h"
#include "support/allocator.h"

#define WORLD_NODES_MAX 64
#define WORLD_LINK_US 1000 /* one way */
#define WORLD_FILE_US 2000 /* each file operation */
#define WORLD_PORT 7000    /* of node 0; the others follow */

/* One node and what the host keeps for it. */
typedef struct world_node {
    struct world *world;
    int index;
    shoal_host host;
    shoal_cluster *cluster;               /* NULL: not running */
    bool frozen;                          /* gets no event; nothing comes from it */
    shoal_buffer files[SHOAL_FILE_COUNT]; /* durable or not, what a read would see */
    bool exists[SHOAL_FILE_COUNT];
    shoal_err fail_file_op[SHOAL_FILE_REMOVE + 1]; /* error of each kind of operation */
    bool hold_files;          /* operations are not carried out until this is false again */
    uint64_t file_ops;        /* operations submitted */
    uint64_t records[256];    /* trace records by kind */
    uint64_t last[256][3];    /* the numbers of the last record of each kind */
    int64_t last_us[256];     /* when it was written */
    char last_text[256][128]; /* the start of its text */
    uint64_t sent[SHOAL_FRAME_TYPE_COUNT];
} world_node;

/* The world. */
typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    int64_t now_us;
    int64_t wall_offset_us;
    int64_t node_timeout_ms;         /* for nodes started later */
    shoal_cluster_settings settings; /* theirs too, but for ports and the timeout */
    world_node nodes[WORLD_NODES_MAX];
    bool cut[WORLD_NODES_MAX][WORLD_NODES_MAX]; /* bytes between the two vanish */
    struct world_pipe *pipes;                   /* every connection ever made */
    uint32_t pipe_count;
    uint32_t pipe_capacity;
    struct world_event **heap_of_events;
    uint32_t event_count;
    uint32_t event_capacity;
    uint64_t event_next; /* number of the next event */
    uint64_t events_done;
    uint64_t seed;
    shoal_buffer reply;      /* of the last world_ask */
    shoal_cluster_role role; /* of the last world_master_of */
} world;

/* A world without nodes; node timeout in milliseconds. */
void world_open(world *w, uint64_t seed, int64_t node_timeout_ms);

/* Ends it, and fails the test if memory is left over. */
void world_close(world *w);

/* Starts node `index` with the files it has (none at first): loads nodes.conf or begins anew. */
void world_start(world *w, int index);

/* Starts nodes 0 .. count - 1. */
void world_start_many(world *w, int count);

/* The process ends: links are reset. `lose` also throws away files that were not renamed. */
void world_crash(world *w, int index);

/* Runs until the clock shows `until_us`, or for `ms` more milliseconds. */
void world_run_until(world *w, int64_t until_us);
void world_run(world *w, int64_t ms);

/* Cuts or heals both directions between two nodes; cut connections stay up in silence. */
void world_cut(world *w, int a, int b, bool cut);

/* Sends CLUSTER and the words of `format` (separated by blanks) to a node; the reply as it stands
 * on the wire, terminated. Valid until the next call. */
const char *world_ask(world *w, int index, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same in RESP3. */
const char *world_ask3(world *w, int index, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sends the bytes as a stranger on a new link to `index` (a node that is no node of the world's):
 * returns the link's number for world_push. */
uint32_t world_dial(world *w, int index);

/* Sends more bytes on a link of world_dial. */
void world_push(world *w, uint32_t pipe, shoal_slice bytes);

/* What the node sent on a link of world_dial so far; consumed by the caller. */
shoal_buffer *world_heard(world *w, uint32_t pipe);

/* Whether the node has closed a link of world_dial. */
bool world_hung_up(world *w, uint32_t pipe);

/* Number of lines of CLUSTER NODES that hold `text`. */
int world_count_lines(world *w, int index, const char *text);

/* Meets all started nodes with node 0 and spreads the slots evenly; runs until all agree, and
 * fails the test when they do not within `ms`. */
void world_form(world *w, int count, int64_t ms);

/* world_form for `masters` nodes, then `each` replicas for every one of them: node masters + i is a
 * replica of node i % masters. Runs until everybody knows everybody's role. */
void world_form_replicas(world *w, int masters, int each);

/* Tells a node how many bytes of data it has; they are fresh, and writes stop when asked to. */
void world_set_offset(world *w, int index, uint64_t offset);

/* Whether the node holds itself for a replica, and of which name ("" for a master). */
bool world_is_replica(world *w, int index);
const char *world_master_of(world *w, int index);

/* Runs until node `index` is a master with slots, at most `ms`; whether it became one. */
bool world_wait_master(world *w, int index, int64_t ms);

/* True when all of 0 .. count - 1 are up and have the same slot map. */
bool world_agree(world *w, int count);

#endif
