/* SPDX-License-Identifier: MIT
 *
 * core/node.h - the inside of a node, shared by this room's files only. Everything here belongs
 * to the control actor (before START, to the creating thread), but for the words that `env` and
 * `ready` share with workers.
 */
#ifndef SHOAL_CORE_NODE_H
#define SHOAL_CORE_NODE_H

#include <shoal/node.h>

#include "base/atomic.h"
#include "base/inbox.h"
#include "cluster/cluster.h"
#include "command/command.h"
#include "core/appending.h"
#include "core/config.h"
#include "core/farewell.h"
#include "core/reloading.h"
#include "core/replication.h"
#include "core/saving.h"
#include "core/trips.h"
#include "log/log.h"
#include "store/store.h"
#include "tape/tape.h"

/* Where a node is in its life: each phase is followed by the next one, or by FAILED. */
typedef enum shoal_phase {
    SHOAL_PHASE_NEW,     /* being configured; nothing is built */
    SHOAL_PHASE_BUILT,   /* store and workers are there; no START yet */
    SHOAL_PHASE_LOADING, /* the data set is being loaded from files */
    SHOAL_PHASE_READING, /* cluster: nodes.conf is being read */
    SHOAL_PHASE_SAVING,  /* cluster: its first state is not durable yet */
    SHOAL_PHASE_READY,   /* clients are served */
    SHOAL_PHASE_LEAVING, /* SHUTDOWN: waits for the cluster state to be durable */
    SHOAL_PHASE_LEFT,    /* the host has been asked to end the process */
    SHOAL_PHASE_FAILED,  /* the node cannot go on */
    SHOAL_PHASE_COUNT
} shoal_phase;

/* Purposes of random streams of this room; those of other rooms are below 0x100. */
enum { SHOAL_PURPOSE_RUN_ID = 0x100, SHOAL_PURPOSE_REPLICATION_ID, SHOAL_PURPOSE_STORE };

/* A published shoal_settings with what it points to. Workers may hold it for a round, and nobody
 * knows which of them does, so snapshots stay until the node ends. Equal settings share one: only
 * settings that were never there before take memory. */
typedef struct shoal_snapshot {
    struct shoal_snapshot *next;
    size_t memory; /* bytes of this allocation */
    shoal_settings settings;
    char password[];
} shoal_snapshot;

/* How far CONFIG REWRITE is. One runs at a time; its errand waits for the end of it. */
typedef enum shoal_rewrite_stage {
    SHOAL_REWRITE_IDLE,
    SHOAL_REWRITE_READING, /* the present file */
    SHOAL_REWRITE_WRITING, /* its replacement, until it is durable */
    SHOAL_REWRITE_RENAMING
} shoal_rewrite_stage;

/* The errands that wait for a CONFIG REWRITE, oldest first; the first one's is under way. */
typedef struct shoal_rewrite {
    shoal_rewrite_stage stage;
    shoal_err error; /* first failure of the present one */
    shoal_errand *first, *last;
} shoal_rewrite;

/* Rates, from two looks at counters a second apart. */
typedef struct shoal_rates {
    int64_t due_us; /* next look, monotonic; SHOAL_NEVER before START */
    int64_t looked_us;
    uint64_t commands, input, output;       /* as of the last look */
    uint64_t commands_s, input_s, output_s; /* per second between the last two */
    uint64_t memory_peak;
} shoal_rates;

/* What people have been told of, see why.c. */
typedef struct shoal_told {
    uint32_t refuses, misconf; /* of the environment, in the last step */
    int64_t looked_us;         /* at the errors for want of memory; and how many they were */
    uint64_t errors;
    bool short_of_memory; /* there were new ones then */
} shoal_told;

/* What a step that has looked at everything found, see calm.c. */
typedef struct shoal_calm {
    int64_t until_us; /* monotonic; a frame earlier than that is the cluster's only. 0: not known */
    int64_t others_us; /* the earliest stored deadline of all but the cluster's */
    uint64_t news;     /* what the cluster had told core */
    uint64_t commands; /* that workers had run */
    uint64_t written;  /* the end of the log */
    uint64_t changes;  /* of the store */
    uint64_t settled;  /* steps that looked at everything */
} shoal_calm;

/* One node. */
struct shoal_node {
    shoal_allocator allocator;
    shoal_host host;
    uint64_t seed[2];
    uint32_t worker_count;
    shoal_time created;
    shoal_time now; /* of the present step */
    shoal_phase phase;
    _Atomic bool ready; /* writer: control, release. readers: any, acquire.
                                      pair: node.ready */
    shoal_node_wish wish;
    char run_id[SHOAL_NODE_NAME_LEN + 1];
    char replication_id[SHOAL_NODE_NAME_LEN + 1];
    shoal_config config;
    shoal_vitals vitals;
    shoal_store *store;
    shoal_log *log; /* the effects of writes; threads of the store write to it by their number */
    shoal_thread *thread;   /* the control actor's own */
    shoal_cluster *cluster; /* NULL when standalone, and before START */
    shoal_tape *tape;       /* what records it, or NULL */
    struct shoal_worker **workers;
    shoal_env env;
    shoal_inbox control;
    shoal_snapshot *snapshots;
    uint64_t route_version;         /* of the cluster when the last route was made */
    uint8_t owned[SHOAL_SLOTS / 8]; /* slots marked owned in the store */
    uint64_t config_seen;           /* version of the configuration that has been applied */
    shoal_rewrite rewrite;
    shoal_saving saving;
    shoal_appending appending;
    shoal_reloading reloading;
    shoal_replication replication;
    shoal_farewell farewell;
    shoal_trips trips;
    shoal_calm calm;
    shoal_op *keeping, *keeping_last; /* errands whose changes are being saved, see keeping.c */
    shoal_rates rates;
    shoal_told told;
    uint64_t memory_startup; /* bytes of the store when the node became ready */
};

/* ---- life.c: phases ---- */

/* Moves to `next`, which must be allowed from here. */
void shoal_node__enter_phase(shoal_node *node, shoal_phase next);
/* Store, workers and settings from the configuration. SHOAL_ERR_OK when they are there. */
SHOAL_MUST_USE shoal_err shoal_node__build(shoal_node *node);
/* START. */
void shoal_node__start(shoal_node *node);
/* A file operation ended while the data set is being loaded. */
void shoal_node__load_file_done(shoal_node *node, const shoal_event *event);
/* Goes on with the dump; at each step. */
void shoal_node__load_step(shoal_node *node);
/* What became of reading nodes.conf. */
void shoal_node__nodes_read(shoal_node *node, const shoal_event *event);
/* Goes on to the next phase when what this one waits for has come. */
void shoal_node__advance(shoal_node *node);
/* The node cannot go on: says why, and wishes to end. */
void shoal_node__fail(shoal_node *node, const char *why, shoal_slice detail);
/* Writes a LOG record. */
void shoal_node__log(const shoal_node *node, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- why.c: what is refused, for people ---- */

/* Writes a refusal to the trace, and keeps it for CLUSTER WHY. */
void shoal_node__why(shoal_node *node, shoal_cluster_reason reason, shoal_slice detail);
/* shoal_repl_face.full: `context` is the node. */
void shoal_node__full(void *context, shoal_repl_why why, shoal_slice detail);
/* Looks at what workers refuse; at each step. */
void shoal_node__why_step(shoal_node *node);
/* When it looks at errors for want of memory again. */
int64_t shoal_node__why_deadline(const shoal_node *node);

/* ---- calm.c: steps for a frame only ---- */

/* At the end of a step that has looked at everything: notes whether something is under way.
 * `others_us` is the earliest stored deadline of all but the cluster's. */
void shoal_node__calm_note(shoal_node *node, int64_t others_us);
/* The event is the cluster's only, as far as is known before it. */
bool shoal_node__calm_takes(const shoal_node *node, const shoal_event *event);
/* And the cluster has nothing to tell core after it. */
bool shoal_node__calm_stays(const shoal_node *node);
/* The deadline of such a step. */
int64_t shoal_node__calm_deadline(const shoal_node *node);

/* ---- settings.c: the configuration takes effect ---- */

/* Publishes settings to workers and to the cluster if any directive changed. 0 or
 * SHOAL_ERR_NO_MEMORY, then the former settings stay. */
SHOAL_MUST_USE shoal_err shoal_node__apply(shoal_node *node);
/* Tells the store how much it may hold, and what goes then. */
void shoal_node__apply_limits(shoal_node *node);
/* maxmemory-clients in bytes; a percentage is of maxmemory. 0 is no limit. */
uint64_t shoal_node__maxmemory_clients(const shoal_node *node);
/* Whether small integers look shared to clients: not where each must have an age of its own. */
bool shoal_node__shares_integers(const shoal_node *node);
/* What maxmemory-policy names. */
const shoal_policy *shoal_node__policy(const shoal_node *node);
/* maxmemory in bytes; 0 is no limit. */
uint64_t shoal_node__maxmemory(const shoal_node *node);
/* The cluster's part of the configuration. */
shoal_cluster_settings shoal_node__cluster_settings(const shoal_node *node);
/* Frees every snapshot. */
void shoal_node__drop_snapshots(shoal_node *node);

/* ---- route.c ---- */

/* Tells the store who serves what, if the cluster changed its mind. */
void shoal_node__publish_route(shoal_node *node);

/* ---- channels.c ---- */

/* Takes the messages that the cluster's other nodes publish, from now on. */
void shoal_node__listen(shoal_node *node);
/* Hands what clients have published to the bus. */
void shoal_node__spread(shoal_node *node);

/* ---- keeping.c: answers that wait for nodes.conf ---- */

/* The errand has been run, and answers when the change that it has made is durable. */
void shoal_node__keeping_hold(shoal_node *node, shoal_errand *errand, uint64_t change);
/* Answers those whose change is durable, or could not be saved; at each step. */
void shoal_node__keeping_step(shoal_node *node);
/* The node ends: all are answered. */
void shoal_node__keeping_abandon(shoal_node *node);

/* ---- control.c: commands of the control actor ---- */

/* Runs every errand in the inbox. */
void shoal_node__run_errands(shoal_node *node);
/* True when core has a handler for a CONTROL row (containers of subcommands need none). */
bool shoal_node__handles(shoal_command_id id);

/* ---- config_command.c and config_file.c ---- */

/* CONFIG GET: every directive that a pattern asks for. */
void shoal_node__config_get(shoal_node *node, const shoal_errand *errand, shoal_reply *reply);
/* Appends whom the node follows now, "address port", which commands change; nothing where it
 * follows nobody. Not before the phase READY. */
void shoal_node__show_master(const shoal_node *node, shoal_buffer *out);
/* CONFIG SET: all pairs or none. */
void shoal_node__config_set(shoal_node *node, const shoal_errand *errand, shoal_reply *reply);
/* CONFIG RESETSTAT: counters of workers, store and rates. */
void shoal_node__config_resetstat(shoal_node *node, shoal_reply *reply);
/* Takes the errand; it is answered when the file is written. */
void shoal_node__config_rewrite(shoal_node *node, shoal_errand *errand);
/* A file operation of the rewrite ended. */
void shoal_node__config_file_done(shoal_node *node, const shoal_event *event);
/* Answers the errands that wait for a rewrite, when the node ends first. */
void shoal_node__config_abandon(shoal_node *node);

/* ---- info.c ---- */

/* INFO: the sections that were asked for. */
void shoal_node__info(shoal_node *node, const shoal_errand *errand, shoal_reply *reply);
/* Looks at the counters if it is time. */
void shoal_node__look(shoal_node *node);
/* Has the host measure its vitals again. Within a step. */
void shoal_node__measure(shoal_node *node);

#endif
