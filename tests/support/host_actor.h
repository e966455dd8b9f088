/* SPDX-License-Identifier: MIT
 *
 * support/host_actor.h - what the cases of support/host_cases.h are made of: an actor stands in
 * for a node. Its step first checks what must hold of every event whatever the case, then
 * records it, then lets the case react. Nothing is asserted inside a step, because on a real host
 * that is another thread: a violation is noted, and the case's own thread fails on it in await.
 *
 * Threads: reactions and conditions run under the trial's lock, on whatever thread.
 */
#ifndef SHOAL_TESTS_HOST_ACTOR_H
#define SHOAL_TESTS_HOST_ACTOR_H

#include <pthread.h>

#include "base/atomic.h"
#include "host_cases.h"

/* Links that a case may have at one node, and file operations outstanding or done. */
#define SHOAL_CASE_LINKS 256
#define SHOAL_CASE_JOBS 256

/* Where a link is in its life. */
typedef enum shoal_case_life {
    SHOAL_CASE_OPENING,
    SHOAL_CASE_UP,
    SHOAL_CASE_CLOSING, /* the actor has closed it */
    SHOAL_CASE_DOWN
} shoal_case_life;

/* What an actor knows of one link. */
typedef struct shoal_case_link {
    shoal_link link;
    shoal_case_life life;
    bool accepted;
    bool full;
    bool paused;
    int full_count;
    int room_count;
    shoal_err down_error;
    shoal_address peer;
    shoal_address local;
    char *received;
    size_t received_size;
} shoal_case_link;

/* A file operation that has not come back yet. */
typedef struct shoal_case_job {
    shoal_file file;
    shoal_file_op op;
    uint64_t tag;
} shoal_case_job;

typedef struct shoal_case_trial shoal_case_trial;
typedef struct shoal_case_actor shoal_case_actor;

/* What a case does at an event, after the checks. */
typedef void (*shoal_case_reaction)(shoal_case_actor *actor, const shoal_event *event);

/* One node of a trial. */
struct shoal_case_actor {
    shoal_case_trial *trial;
    uint32_t index;
    shoal_host host;
    shoal_case_reaction react; /* may be NULL */
    _Atomic bool inside;       /* a step is running: rule R5. pair: case.inside */
    bool in_operation;         /* the step is inside an operation: rule R1 */
    bool started;
    int64_t mono_last;
    int64_t deadline;   /* what the step returns */
    int64_t tick_at;    /* clock of the last TICK */
    int64_t busy_until; /* of the cases that ask for it */
    int misplaced;      /* events on the wrong side of it */
    int starts, ticks, nudges, downs;
    shoal_case_link links[SHOAL_CASE_LINKS];
    int link_count;
    shoal_case_job jobs[SHOAL_CASE_JOBS]; /* outstanding, in the order of submission */
    int job_count;
    uint64_t done_tags[SHOAL_CASE_JOBS];
    shoal_err done_errors[SHOAL_CASE_JOBS];
    int done_count;
    char content[256]; /* of the last read that went well */
    size_t content_size;
    uint64_t file_size;  /* told with it */
    char complaint[256]; /* the first violation, "" while there is none */
};

/* One case on one world. */
struct shoal_case_trial {
    shoal_case_world world;
    pthread_mutex_t lock; /* guards the actors */
    shoal_case_actor actors[SHOAL_CASE_NODES];
};

/* Starts actor `index` on its node, forgetting what it knew. */
void shoal_case_start_actor(shoal_case_trial *trial, uint32_t index, shoal_case_reaction react);

/* Runs the world until `holds`; fails the test on a violation, or when it never does. */
void shoal_case_await(shoal_case_trial *trial, bool (*holds)(shoal_case_trial *trial));

/* The operations of the door, from a reaction. What is lent is overwritten when the operation
 * has returned (rule R2). */
shoal_link shoal_case_open_link(shoal_case_actor *actor, shoal_address peer);
void shoal_case_send(shoal_case_actor *actor, shoal_link link, shoal_slice bytes);
void shoal_case_pause_link(shoal_case_actor *actor, shoal_link link, bool paused);
void shoal_case_close_link(shoal_case_actor *actor, shoal_link link);
void shoal_case_nudge(shoal_case_actor *actor);
void shoal_case_append(shoal_case_actor *actor, shoal_file file, const char *text, uint64_t tag);
void shoal_case_sync(shoal_case_actor *actor, shoal_file file, uint64_t tag);
void shoal_case_read(shoal_case_actor *actor, shoal_file file, uint64_t tag);
void shoal_case_name(shoal_case_actor *actor, shoal_file file, const char *path);
/* Which bytes of a file are read. */
typedef struct shoal_case_part {
    uint64_t offset;
    size_t size;
} shoal_case_part;
void shoal_case_read_part(shoal_case_actor *actor, shoal_file file, shoal_case_part part,
                          uint64_t tag);
void shoal_case_truncate(shoal_case_actor *actor, shoal_file file, uint64_t size, uint64_t tag);
void shoal_case_rename_named(shoal_case_actor *actor, shoal_file from, shoal_file to, uint64_t tag);
void shoal_case_rename(shoal_case_actor *actor, shoal_file to, uint64_t tag);
void shoal_case_remove(shoal_case_actor *actor, shoal_file file, uint64_t tag);

#endif
