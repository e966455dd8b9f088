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

#include <shoal/node.h>
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
    int64_t copied_us;   /* when it last was a replica; it may not be one any more */
    int64_t believed_us; /* when it last could reach a majority, before its map was changed */
    bool changed;        /* since the last shoal_judge__settle */
} shoal_view;

/* What is held against the claims of others, of all nodes side by side. */
typedef struct shoal_claim {
    uint64_t epoch; /* its configEpoch */
    uint32_t slots; /* how many it claims */
} shoal_claim;

/* Votes that wait for the disk; a node never holds more than sixteen. */
#define SHOAL_VOTES_MAX 32

/* What a node promised; its crashes end only what was not durable. */
typedef struct shoal_promise {
    uint64_t voted[SHOAL_VOTES_MAX]; /* epochs of votes that are not durable */
    uint32_t waiting;                /* how many of them */
    uint32_t may_leave;              /* votes that became durable and were not sent */
    uint64_t cast;                   /* the greatest epoch that it voted in */
    uint64_t durable;                /* the greatest lastVoteEpoch that its disk holds */
    uint64_t won;                    /* the greatest epoch in which it won */
    uint64_t unasked; /* the last epoch that it took at an operator's word, with nobody's vote */
    uint64_t parted;  /* the last epoch that it went on to from one that it might share */
    bool usurped;     /* it is a master by a TAKEOVER: others may count its master among voters */
} shoal_promise;

/* A name that some node has, or had in an earlier life. */
typedef struct shoal_subject {
    char name[SHOAL_NODE_NAME_LEN];
    uint32_t node;
} shoal_subject;

/* What a judge remembers of a collision of configEpochs that it has seen. */
typedef struct shoal_collision {
    uint32_t with; /* node + 1; 0: none */
    uint64_t epoch;
    int64_t since_us; /* that nothing has disturbed it for */
    bool differed;    /* at the last look the node did not agree: news may be on their way */
} shoal_collision;

/* What a node was told to keep to, as far as judges need it; looked up when it may have changed. */
typedef struct shoal_rules {
    bool known;
    bool logs, always;    /* it has an append-only file since its start; replies wait for it */
    bool quiet;           /* while it rewrites that file, they do not: no-appendfsync-on-rewrite */
    bool lied;            /* its disk has said of syncs that they were done */
    uint32_t incarnation; /* that this was looked up for */
    uint64_t version;     /* of its configuration then */
    uint64_t link_max;    /* bytes that may wait on a link of its bus; 0: no limit */
    uint64_t replica_max; /* and for a replica */
} shoal_rules;

/* What waits at an end of a connection, as a look has found it. */
typedef struct shoal_queue {
    uint32_t generation; /* of the connection */
    uint32_t node;
    uint64_t above; /* bytes above the limit */
} shoal_queue;

/* What the clocks of all nodes were when one of them was changed. */
typedef struct shoal_glimpse {
    int64_t at_us;
    shoal_time *clocks; /* per node */
} shoal_glimpse;

/* The god's view: every node's opinion of every other, and the checks made on it. */
typedef struct shoal_judge {
    shoal_view *views; /* per node */
    shoal_subject *subjects;
    uint32_t subject_count, subject_capacity;
    uint32_t *table;     /* hash of names: subject + 1 */
    uint32_t table_size; /* power of two */
    /* [observer * nodes + other]: since when they have had no contact, -1: they reach each other */
    int64_t *apart_since_us;
    bool any_apart;              /* two nodes were apart at some time of the run */
    uint32_t *island;            /* per node: those with equal numbers reach each other */
    uint32_t *queue;             /* room to find them */
    shoal_promise *promises;     /* per node */
    bool all_vote;               /* the schedule says cluster-voters all */
    shoal_rules *rules;          /* per node */
    shoal_collision *collisions; /* per node */
    int64_t beat_us;             /* when what takes time is looked at next */
    int64_t disturbed_us;        /* when something last kept the cluster from agreeing */
    bool ways_open;              /* running nodes all reach each other */
    int64_t *moved_us;           /* per node: when it got its address; NULL: nobody got another */
    int64_t *met_us; /* [node * nodes + other]: when they were last in contact, since then */
    uint32_t *found; /* per node: those with equal numbers can find each other */
    shoal_glimpse *glimpses; /* of clocks, around every change, in the order of time */
    uint32_t glimpse_count, glimpse_capacity;
    bool unmapped; /* somebody at a shell has taken slots off a node: maps may differ for good */
    uint64_t connects;  /* connections that nodes have tried to open to each other's buses */
    uint64_t failovers; /* elections that were won */
    uint64_t version;   /* rises when an opinion changes */
    uint64_t settled;   /* version at the last settle */
    uint32_t changed_from, changed_end; /* views between these, since the last settle */
    shoal_claim *claims;                /* by node */
    bool any_beyond;                    /* some view has had more slots than there are */
    shoal_queue *queues;                /* per end of a connection */
    uint32_t queue_capacity;
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

/* Makes those that are about what must come true in time; called once a second of the world. */
void shoal_judge__beat(shoal_world *world);
/* A line of the schedule takes effect: it may keep the cluster from agreeing. */
void shoal_judge__disturbed(shoal_world *world, const shoal_line *line);
/* What a node keeps to; the node runs. */
const shoal_rules *shoal_judge__rules(shoal_world *world, uint32_t node);

/* Counts one check that held. */
void shoal_judge__made(shoal_world *world, shoal_check check);
/* Counts one that did not, and keeps the words of the first. */
void shoal_judge__fault(shoal_world *world, shoal_check check, shoal_slice words);

/* The same, with the words about a node. */
void shoal_judge__fault_of(shoal_world *world, shoal_check check, uint32_t node, const char *words);

/* ---- records about promises; sim/judge_promises.c ---- */

/* A node votes, sends a frame, goes through an election, has a file durable. */
void shoal_promise__vote(shoal_world *world, uint32_t node, uint64_t epoch);
void shoal_promise__sent(shoal_world *world, uint32_t node, uint64_t type);
void shoal_promise__election(shoal_world *world, uint32_t node, const shoal_trace_record *record);
void shoal_promise__saved(shoal_world *world, uint32_t node, const shoal_trace_record *record);
/* A node logs something: that an operator has it take an epoch, perhaps. */
void shoal_promise__says(shoal_world *world, uint32_t node, shoal_slice words);
/* Is this an epoch that the node took at an operator's word and did not win? */
bool shoal_promise__is_unasked(const shoal_world *world, uint32_t node, uint64_t epoch);
/* May two nodes have one epoch? Where one took it at an operator's word and the other did so too,
 * or was elected in it: nobody could tell them of each other. Who goes on to the next epoch from
 * one that it might share asks nobody either. */
bool shoal_promise__may_share(const shoal_world *world, uint32_t a, uint32_t b, uint64_t epoch);
/* Its process ends: what was not durable was not promised. */
void shoal_promise__break(shoal_world *world, uint32_t node);

/* ---- files; sim/judge_files.c ---- */

/* Is this all that a nodes.conf has to have: whole lines, one of them about the node itself, the
 * variables in the last? */
bool shoal_judge__node_file_is_whole(shoal_slice text);
/* A process of a node starts, and will read what its disk has. */
void shoal_judge__starts(shoal_world *world, uint32_t node);

/* ---- service; sim/judge_service.c ---- */

/* An operation that a node served. */
typedef struct shoal_service {
    uint32_t node;
    uint32_t slot;
    bool write;
    bool readonly; /* the connection may read at replicas */
    bool behind;   /* a read that was answered together with a write before it */
    int64_t began_us;
    int64_t served_us;
} shoal_service;
void shoal_judge__served(shoal_world *world, const shoal_service *service);
/* A write was acknowledged: where that promises that the disk has it, it has. */
void shoal_judge__acknowledged(shoal_world *world, uint64_t serial, int64_t served_us);
/* A read came back. */
void shoal_judge__read(shoal_world *world, uint32_t key, bool phantom);

/* What a node thinks of others is about to change: what it served before is judged by what it
 * thought then. */
void shoal_judge__rethinks(shoal_world *world, uint32_t node);

/* ---- clocks; sim/judge_clocks.c ---- */

/* A clock was changed, or is about to be. */
void shoal_judge__clocks(shoal_world *world);
/* How much less than the world's time the monotonic clock of a node has gone between two moments,
 * the second not later than now: 0 when it has not gone less. */
int64_t shoal_judge__stood(const shoal_world *world, uint32_t node, int64_t from_us,
                           int64_t until_us);
/* By how much, at most, a node may at `until_us` take somebody for heard of later than `from_us`,
 * whom nobody has heard since: others tell in seconds of their wall clocks when that was, and count
 * from then by their monotonic clocks. What clocks do after `until_us` misleads nobody before. */
int64_t shoal_judge__misled(const shoal_world *world, uint32_t node, int64_t from_us,
                            int64_t until_us);

/* ---- memory and data; sim/judge_memory.c, sim/judge_data.c ---- */

typedef struct shoal_write shoal_write;

/* Looks at all limits. */
void shoal_judge__limits(shoal_world *world);
/* A master's memory, at a moment. */
void shoal_judge__memory(shoal_world *world, uint32_t node, const shoal_node_memory *memory);
/* At an end of a connection of a node so many bytes are above their limit, 0: none; false when that
 * was so at the look before. */
bool shoal_judge__queue(shoal_world *world, shoal_queue *queue, uint32_t node, uint64_t above);
/* The run is over: looks at what masters hold. */
void shoal_judge__data(shoal_world *world);
/* Are these the bytes that a client wrote with this serial number? */
bool shoal_judge__is_value(const shoal_write *write, uint32_t serial, shoal_slice value);

/* ---- who reaches whom; sim/judge_reach.c ---- */

/* A node has another address. */
void shoal_judge__moved(shoal_world *world, uint32_t node);
/* Some nodes that run know no address of others, nor do those know theirs: they do not find each
 * other until somebody introduces them. */
bool shoal_judge__lost(const shoal_world *world);

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
