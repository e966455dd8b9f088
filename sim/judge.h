/* SPDX-License-Identifier: MIT
 *
 * sim/judge.h - the god's view: what every node thinks, put together from the same trace records
 * that anyone can read, and the checks that are made on it as the run goes. A check counts how
 * often it was made; one that the run had occasions for and that was never made is an error.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_JUDGE_H
#define SHOAL_SIM_JUDGE_H

#include <shoal/trace.h>

#include "sim/world.h"
#include "wire/bus.h"

/* What one node thinks of another. */
typedef struct shoal_opinion {
    bool known;
    bool pfail;
    bool fail;
    uint16_t slots;
    uint64_t ranges; /* hash of exactly which */
} shoal_opinion;

/* What one node thinks. */
typedef struct shoal_view {
    shoal_opinion *of; /* per subject */
    uint32_t capacity;
    uint32_t self; /* its own subject, UINT32_MAX before it has one */
    uint32_t known, suspected, failed;
    uint32_t slots_seen;
    uint64_t map; /* hash of the whole map: equal maps, equal hashes */
    bool up;
    bool replica;
    uint32_t master; /* replica: the subject that it follows, UINT32_MAX: unknown */
    uint64_t epoch_current, epoch_config;
    shoal_slotmap own; /* slots that it claims */
    uint32_t own_count;
    int64_t own_changed_us;
    bool changed; /* since the last shoal_judge__settle */
} shoal_view;

/* Votes that wait for the disk; a node never holds more than sixteen. */
#define SHOAL_VOTES_MAX 32

/* What a node promised; its crashes end only what was not durable. */
typedef struct shoal_promise {
    uint64_t voted[SHOAL_VOTES_MAX]; /* epochs of votes that are not durable */
    uint32_t waiting;                /* how many of them */
    uint32_t may_leave;              /* votes that became durable and were not sent */
    uint64_t durable;                /* the greatest lastVoteEpoch that its disk holds */
    uint64_t won;                    /* the greatest epoch in which it won */
} shoal_promise;

/* A name that some node has, or had in an earlier life. */
typedef struct shoal_subject {
    char name[SHOAL_NODE_NAME_LEN];
    uint32_t node;
} shoal_subject;

/* The god's view: every node's opinion of every other, and the checks made on it. */
typedef struct shoal_judge {
    shoal_view *views; /* per node */
    shoal_subject *subjects;
    uint32_t subject_count, subject_capacity;
    uint32_t *table;     /* hash of names: subject + 1 */
    uint32_t table_size; /* power of two */
    /* [observer * nodes + other]: since when they have had no contact, -1: they reach each other */
    int64_t *apart_since_us;
    uint32_t *island;        /* per node: those with equal numbers reach each other */
    uint32_t *queue;         /* room to find them */
    shoal_promise *promises; /* per node */
    bool all_vote;           /* the schedule says cluster-voters all */
    bool replies_wait;       /* and appendfsync always: answers leave behind a sync */
    uint64_t connects;       /* connections that nodes have tried to open to each other's buses */
    uint64_t failovers;      /* elections that were won */
    uint64_t version;        /* rises when an opinion changes */
    uint64_t settled;        /* version at the last settle */
    bool any_changed;        /* some view, since the last settle */
    bool any_beyond;         /* some view has had more slots than there are */
    shoal_client_totals totals;
    uint64_t made[SHOAL_CHECK_COUNT];
    uint64_t violated[SHOAL_CHECK_COUNT];
    char first[SHOAL_CHECK_COUNT][256];
} shoal_judge;

/* Makes and ends the judge of a world. */
void shoal_judge__make(shoal_world *world);
void shoal_judge__free(shoal_world *world);

/* Takes a record of a node or of the world. */
void shoal_judge__hear(shoal_world *world, const shoal_trace_entry *entry);

/* Makes the checks that concern whole opinions; called between occurrences. */
void shoal_judge__settle(shoal_world *world);

/* Counts one check that held. */
void shoal_judge__made(shoal_world *world, shoal_check check);
/* Counts one that did not, and keeps the words of the first. */
void shoal_judge__fault(shoal_world *world, shoal_check check, shoal_slice words);

/* An operation that a node served. */
typedef struct shoal_service {
    uint32_t node;
    uint32_t slot;
    bool write;
    bool readonly; /* the connection may read at replicas */
    int64_t began_us;
    int64_t served_us;
} shoal_service;
void shoal_judge__served(shoal_world *world, const shoal_service *service);
/* A read came back. */
void shoal_judge__read(shoal_world *world, uint32_t key, bool phantom);

/* Who can reach whom has changed: notes who has lost contact with whom. */
void shoal_judge__reachability(shoal_world *world);
/* A node has heard from another one, if only old bytes; its island will know. */
void shoal_judge__contact(shoal_world *world, uint32_t node, uint32_t other);
/* A process starts or goes on: what it has missed, it can only notice from now on. */
void shoal_judge__woke(shoal_world *world, uint32_t node);
/* Its disk was lost with all that it promised: it will be another node. */
void shoal_judge__forgot(shoal_world *world, uint32_t node);
/* Can the two reach each other, both running? */
bool shoal_judge__together(const shoal_world *world, uint32_t a, uint32_t b);

/* The subject of a node's present name, or UINT32_MAX. */
uint32_t shoal_judge__subject_of(const shoal_world *world, uint32_t node);
/* What `observer` thinks of `subject`; an empty opinion when it never heard of it. */
const shoal_opinion *shoal_judge__opinion(const shoal_world *world, uint32_t observer,
                                          uint32_t subject);

#endif
