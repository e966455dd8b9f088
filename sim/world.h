/* SPDX-License-Identifier: MIT
 *
 * sim/world.h - a deterministic world of virtual nodes: clocks, network, disks, clients and the
 * faults of a schedule, all in one process and one thread. The nodes are the real ones
 * (shoal/node.h); the world implements the door (shoal/host.h) for them.
 *
 * A run is a function of (schedule, seed): it does not read the clock, the environment or
 * addresses. Whoever watches gets the stream of trace entries as they happen, the same that a
 * trace file holds.
 *
 * A world belongs to one thread at a time; any number of worlds may live in a process.
 */
#ifndef SHOAL_SIM_WORLD_H
#define SHOAL_SIM_WORLD_H

#include <shoal/host.h>
#include <shoal/node.h>
#include <shoal/trace.h>

#include "sim/schedule.h"

typedef struct shoal_world shoal_world;

/* Client port of every virtual node; its bus listens 10000 above. */
#define SHOAL_WORLD_PORT 6379u

/* Receives each entry as it happens; it borrows for the call and must not touch the world. */
typedef void (*shoal_tracer)(void *context, const shoal_trace_entry *entry);

/* How to make a world. Take shoal_world_options_default() and change fields. */
typedef struct shoal_world_options {
    uint32_t cookie;                /* set by the default function */
    const shoal_schedule *schedule; /* borrowed; outlives the world */
    uint64_t seed;                  /* of every random stream; 0: the schedule's own */
    bool has_seed;                  /* use `seed`, also when it is 0 */
    uint32_t profile;               /* shoal_profile; 0: the first that the schedule names */
    bool wire;                      /* frames of the bus travel as bytes, not as values: a run is
                                       the same either way, and slower with this */
    int poison;                     /* byte that fills the nodes' fresh memory, -1 for none */
    bool vacant;                    /* no process starts by itself, and the run does not end by
                                       itself: for shoal_world_mount */
    shoal_tracer tracer;            /* NULL: nobody listens */
    void *tracer_context;
} shoal_world_options;

/* No schedule, the seed of the schedule, nobody listening. */
shoal_world_options shoal_world_options_default(void);

/* Makes a world at time 0; its first occurrences wait. 0 or SHOAL_ERR_INVALID. */
SHOAL_MUST_USE shoal_err shoal_world_create(const shoal_world_options *options, shoal_world **out);
void shoal_world_destroy(shoal_world *world);

/* Replaces who listens from now on; NULL for nobody. What happened before is not repeated. */
void shoal_world_set_tracer(shoal_world *world, shoal_tracer tracer, void *context);

/* Receives what the flight recorder of a node writes (shoal/tape.h): of node `node` in its life
 * number `start`, from 1. The bytes are borrowed for the call; the world must not be touched. */
typedef void (*shoal_world_taker)(void *context, uint32_t node, uint32_t start, shoal_slice bytes);

/* Records every node of a world in which nothing has happened yet. What happens stays the same. */
void shoal_world_record(shoal_world *world, shoal_world_taker take, void *context);

/* Lets everything happen up to and including `until_us`, or until the run ends. True while the
 * run goes on. */
bool shoal_world_advance(shoal_world *world, int64_t until_us);
/* Lets exactly one thing happen. False when the run has ended, or, in a vacant world, when
 * nothing is left to happen. */
bool shoal_world_step(shoal_world *world);
/* Lets everything happen until the run ends. */
void shoal_world_run(shoal_world *world);

/* The world's time: microseconds since the start of the run. */
int64_t shoal_world_now(const shoal_world *world);
bool shoal_world_ended(const shoal_world *world);

/* Does one action now, as if the schedule had this timed line ("cut n1 | n2"; a time in front is
 * ignored). The run goes on from there as a function of (schedule, seed, actions so far). */
SHOAL_MUST_USE shoal_err shoal_world_act(shoal_world *world, shoal_slice line,
                                         shoal_schedule_error *error);

/* Lets a timed line happen at its moment, which lies in the future, as if the schedule had it
 * behind its other lines. It is borrowed and lives as long as the world. For what listens to a
 * run and reacts to it; call it between steps. */
void shoal_world_arrange_line(shoal_world *world, const shoal_line *line);

/* ---- looking at it ---- */

/* A node as its host sees it, and what it thinks of the cluster as its trace records say. */
typedef struct shoal_world_node {
    char label[12]; /* "n3" */
    char ip[46];
    uint16_t port, bus_port;
    char name[SHOAL_NODE_NAME_LEN + 1]; /* "" before it is ready */
    bool running, ready, paused, powered;
    bool cluster_up;            /* its opinion */
    uint32_t slots_own;         /* slots that it claims */
    uint32_t slots_seen;        /* slots that have an owner in its map */
    uint32_t known;             /* nodes that it knows, itself included */
    uint32_t suspected, failed; /* of them, in its opinion */
    uint64_t epoch_current, epoch_config;
} shoal_world_node;

/* How many nodes the world has, running or not. */
uint32_t shoal_world_node_count(const shoal_world *world);
/* Node `index`, from 0 (label n1). */
void shoal_world_node_get(const shoal_world *world, uint32_t index, shoal_world_node *out);
/* The engine's own value of a running node, or NULL: for tests. */
shoal_node *shoal_world_node_value(shoal_world *world, uint32_t index);

/* Bytes on their way. */
typedef struct shoal_world_message {
    uint32_t from, to; /* node indices, or SHOAL_TRACE_WORLD for clients */
    int64_t sent_us;
    int64_t arrives_us; /* -1: held by a cut, a stall or a dark host */
    uint32_t size;
    int32_t type; /* shoal_frame_type of the first bus frame in it, -1 for client bytes */
} shoal_world_message;

/* Calls `visit` for everything in flight, in a fixed order. */
void shoal_world_messages(const shoal_world *world,
                          void (*visit)(void *context, const shoal_world_message *message),
                          void *context);

/* ---- what came of it ---- */

/* Ids of checks, from sim/checks.def. */
typedef enum shoal_check {
#define SHOAL_CHECK(NAME, id, doc) SHOAL_CHECK_##NAME,
#include "sim/checks.def"
#undef SHOAL_CHECK
    SHOAL_CHECK_COUNT
} shoal_check;

/* One check over the whole run. One that was never made is an error of the run. */
typedef struct shoal_check_count {
    const char *id;
    const char *doc;
    uint64_t made;
    uint64_t violated;
    bool stated;     /* an expect line says how often: violations are no fault of the run */
    bool expected;   /* the run had occasions for it: made 0 is then an error */
    char first[256]; /* the first violation in words, or "" */
} shoal_check_count;

/* Rare paths, from sim/marks.def. */
typedef enum shoal_mark {
#define SHOAL_MARK(NAME, id, KIND, condition, number, text, doc) SHOAL_MARK_##NAME,
#include "sim/marks.def"
#undef SHOAL_MARK
    SHOAL_MARK_COUNT
} shoal_mark;
/* "vote-split" and what it means. */
const char *shoal_mark_id(uint32_t mark);
const char *shoal_mark_doc(uint32_t mark);

/* One expect line. */
typedef struct shoal_expect_result {
    uint32_t line; /* in the schedule's text */
    bool judged;
    bool held;
    int64_t judged_us; /* when it was decided */
    char words[256];   /* the contract, and what was found where it did not hold */
} shoal_expect_result;

/* Acknowledged writes that are gone for one cause, and when the first and the last of them were
 * acknowledged. */
typedef struct shoal_losses {
    uint64_t count;
    int64_t from_us, until_us;
} shoal_losses;

/* What operation outcomes in CLIENT_OP records mean. */
typedef enum shoal_outcome {
    SHOAL_OUTCOME_OK = 0,
    SHOAL_OUTCOME_MISS = 1,
    SHOAL_OUTCOME_CLUSTERDOWN = 2,
    SHOAL_OUTCOME_TRYAGAIN = 3,
    SHOAL_OUTCOME_REDIRECTED = 4 /* too often */,
    SHOAL_OUTCOME_UNREACHABLE = 5,
    SHOAL_OUTCOME_BROKEN = 6 /* connection lost, unknown */,
    SHOAL_OUTCOME_TIMEOUT = 7 /* unknown */,
    SHOAL_OUTCOME_ERROR = 8 /* another error reply */,
    SHOAL_OUTCOME_COUNT
} shoal_outcome;
/* "ok", "miss", ... */
const char *shoal_outcome_name(uint32_t outcome);

/* How often something was found that should not be, and when first and last. */
typedef struct shoal_anomaly_count {
    uint64_t count;
    int64_t first_us, last_us;
} shoal_anomaly_count;

/* Counts of all clients together; arrays by shoal_cause. */
typedef struct shoal_client_totals {
    uint64_t operations, errors, redirections;
    uint64_t writes_acknowledged;
    uint64_t audited, unread;
    uint64_t reads_stale[SHOAL_CAUSE_COUNT];
    shoal_losses lost[SHOAL_CAUSE_COUNT];
    shoal_anomaly_count anomalies[SHOAL_ANOMALY_COUNT][SHOAL_CAUSE_COUNT];
    uint64_t unavailable[SHOAL_OUTCOME_COUNT]; /* operations that ended so, but for well */
} shoal_client_totals;

/* What came out of a run so far. */
typedef struct shoal_world_result {
    uint64_t seed;
    uint32_t profile; /* shoal_profile */
    uint64_t schedule_hash;
    uint64_t events; /* occurrences handled */
    int64_t time_us; /* simulated */
    uint64_t trace_records;
    uint64_t trace_hash;
    uint64_t event_hash; /* of every occurrence, traced or not */
    uint32_t nodes, clients;
    uint64_t allocations; /* of the nodes: how often they asked for memory */
    uint64_t bytes;       /* that the nodes have now */
    uint64_t bytes_most;  /* and had at once */
    shoal_client_totals totals;
    shoal_check_count checks[SHOAL_CHECK_COUNT];
    uint64_t marks[SHOAL_MARK_COUNT]; /* how often each was reached */
    uint32_t expect_count;
    const shoal_expect_result *expects; /* borrowed from the world */
    uint32_t expects_broken;
    bool violated; /* an expectation or a check did not hold, or judged nothing */
} shoal_world_result;

/* Fills `*out` with the result up to this moment. */
void shoal_world_result_get(const shoal_world *world, shoal_world_result *out);

/* The hash of all trace entries so far. */
uint64_t shoal_world_hash(const shoal_world *world);
/* The hash of all occurrences so far and how many they are. */
uint64_t shoal_world_event_hash(const shoal_world *world, uint64_t *events);

/* ---- for tests of the door ---- */

/* What stands in for a node: the contract of shoal_node_step. */
typedef int64_t (*shoal_world_stepper)(void *context, const shoal_event *event);

/* Starts node `index` (not running) of a vacant world with `step` in place of a real node. Its
 * disk is the one of its earlier life. Returns its host, which lives as long as the world. START
 * is delivered as the next thing at the present time. */
shoal_host *shoal_world_mount(shoal_world *world, uint32_t index, shoal_world_stepper step,
                              void *context);
/* Ends a running node as a crash of its process does; un-synced bytes are torn. */
void shoal_world_kill(shoal_world *world, uint32_t index);
/* Where the bus of a node listens. */
shoal_address shoal_world_address(const shoal_world *world, uint32_t index);

#endif
