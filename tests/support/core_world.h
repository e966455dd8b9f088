/* SPDX-License-Identifier: MIT
 *
 * support/core_world.h - the smallest world that a node can live in: files in memory, no links, a
 * clock that the test moves, every operation answered at the next settling. For tests of the
 * node itself; tests of hosts and of clusters use the real ones.
 */
#ifndef SHOAL_TESTS_CORE_WORLD_H
#define SHOAL_TESTS_CORE_WORLD_H

#include "support/allocator.h"

#include <shoal/node.h>

/* Most workers, and file operations that wait, of a world. */
#define CORE_WORKERS_MAX 4
#define CORE_PENDING_MAX 256
/* Files of a world: the fixed roles, then named ones. */
#define CORE_FILES_MAX 24

/* One file in memory. */
typedef struct core_file {
    bool exists;
    shoal_buffer content;
} core_file;

/* A file operation whose FILE_DONE is still to come. */
typedef struct core_pending {
    shoal_event event;
} core_pending;

/* One node with its world. */
typedef struct core_world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_node *node;
    shoal_time now;
    int64_t deadline_us;
    uint32_t workers;
    bool nudged[1 + CORE_WORKERS_MAX];
    core_file files[CORE_FILES_MAX];                     /* fixed roles, then named ones */
    char names[CORE_FILES_MAX][SHOAL_FILE_PATH_MAX + 1]; /* "": no file yet */
    int bound[SHOAL_FILE_LIMIT - SHOAL_FILE_NAMED];      /* index into files; 0: not bound */
    core_pending pending[CORE_PENDING_MAX];
    uint32_t pending_count;
    bool hold_files;        /* FILE_DONE events wait until this is false */
    shoal_file_op fail_op;  /* operations of this kind fail with SHOAL_ERR_IO; 0: none */
    shoal_buffer log;       /* texts of LOG records, a line each */
    uint32_t ready_records; /* READY records seen */
    shoal_session *sessions[CORE_WORKERS_MAX]; /* one for each worker, made when needed */
    shoal_buffer replies[CORE_WORKERS_MAX];
    bool closed[CORE_WORKERS_MAX]; /* the node asked for the end of the session */
} core_world;

/* Makes a world with a node of `workers` workers that has read `conf`. Fails the test when the
 * text is not taken. */
void core_world_open(core_world *world, uint32_t workers, const char *conf);
/* As core_world_open without a configuration: the test calls shoal_node_configure. */
void core_world_make(core_world *world, uint32_t workers);
/* START, and everything that follows from it. */
void core_world_start(core_world *world);
/* Runs the node until nothing is left to do at this moment. */
void core_world_settle(core_world *world);
/* Delivers one TICK, and everything that follows from it. */
void core_world_tick(core_world *world);
/* Moves both clocks, delivering TICKs when they are due. */
void core_world_sleep(core_world *world, int64_t us);
/* Closes sessions, destroys the node, checks that all memory came back. */
void core_world_close(core_world *world);

/* Puts `text` into a file, as if it had been there before. */
void core_world_put_file(core_world *world, shoal_file file, const char *text);
/* The content of a file, terminated by zero; "" when it does not exist. Valid until it changes. */
const char *core_world_file(core_world *world, shoal_file file);
/* The log so far, terminated by zero. */
const char *core_world_log(core_world *world);

/* Sends a request line to worker `worker` without waiting. */
void core_world_send(core_world *world, uint32_t worker, const char *line);
/* What worker `worker` has answered since the last call, terminated by zero. */
const char *core_world_reply(core_world *world, uint32_t worker);
/* Sends a request line and returns the answer. */
const char *core_world_ask(core_world *world, uint32_t worker, const char *line);

#endif
