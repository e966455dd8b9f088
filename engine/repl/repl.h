/* SPDX-License-Identifier: MIT
 *
 * repl/repl.h - copies of a node's data at other nodes. As a master: who gets which bytes of the
 * log (log/log.h), from a snapshot on or from where it stopped. As a replica: a link to the master,
 * its snapshot, its stream, carried out in its order. One node is one of both, and a replica has
 * replicas of its own: the log of a replica is its master's, byte for byte.
 *
 * Offsets count bytes of the stream, as Redis counts them: master_repl_offset is the end of the
 * log. A history has an id; who takes over begins a new one and remembers the one before, up to
 * where it took over.
 *
 * A state machine of the control actor: it is told of links, files and the time. What it needs of
 * rooms beside it (snapshots, loading) core does for it: shoal_repl_face.
 *
 * Facts of protocol: the documentation of PSYNC and REPLCONF, and what redis-server 7.0 says.
 */
#ifndef SHOAL_REPL_REPL_H
#define SHOAL_REPL_REPL_H

#include <shoal/host.h>
#include <shoal/types.h>

#include "command/command.h"
#include "log/log.h"

typedef struct shoal_repl shoal_repl;

/* Characters of the id of a history. */
#define SHOAL_REPL_ID_LEN 40u

/* Settings, from config.def; texts are borrowed for the call that passes them. */
typedef struct shoal_repl_settings {
    uint16_t port;           /* of clients, as told to the master */
    shoal_slice announce_ip; /* empty: as connected */
    shoal_slice master_user, master_auth;
    int64_t ping_period_us, timeout_us;
    int64_t backlog_ttl_us; /* 0: for ever */
    uint64_t backlog_size;
    int64_t full_delay_us;             /* a snapshot waits so long for more replicas */
    uint32_t full_replicas;            /* and no longer once so many ask; 0: no number */
    uint64_t output_hard, output_soft; /* bytes that may wait for a replica; 0: any */
    int64_t output_soft_us;
    uint32_t min_replicas; /* 0: any */
    int64_t min_lag_us;
    int64_t priority;
    bool read_only;
} shoal_repl_settings;

/* Why a replica gets all data anew, or gets them itself. */
typedef enum shoal_repl_why {
    SHOAL_REPL_WHY_NONE,
    SHOAL_REPL_WHY_NO_HISTORY,    /* it has none */
    SHOAL_REPL_WHY_OTHER_HISTORY, /* it has another one */
    SHOAL_REPL_WHY_FORKED,        /* it has gone on with one that ended here before */
    SHOAL_REPL_WHY_NO_BACKLOG,    /* nothing was kept */
    SHOAL_REPL_WHY_BACKLOG_SHORT, /* what it lacks is kept no more */
    SHOAL_REPL_WHY_AHEAD,         /* it has more than there is */
    SHOAL_REPL_WHY_LOST_EFFECTS,  /* the log is torn */
    SHOAL_REPL_WHY_BY_SYNC,       /* it asked for that */
    SHOAL_REPL_WHY_FROM_MASTER    /* this node is the replica */
} shoal_repl_why;

/* What core does for replication. */
typedef struct shoal_repl_face {
    void *context;
    /* Master: write a snapshot to a file of the node's, from a moment between operations on. The
     * moment calls shoal_repl_snapshot_begun. False when that cannot begin now: it is asked
     * again. */
    bool (*snapshot_start)(void *context);
    /* Nobody needs the snapshot any more, finished or not. */
    void (*snapshot_stop)(void *context);
    /* Replica: all data are to be replaced by what is in the file. shoal_repl_loaded follows. */
    void (*load)(void *context, shoal_file file, uint64_t size);
    /* Replica: the master sent these bytes, which are whole commands or parts of them; borrowed for
     * the call. shoal_repl_applied says how far they have been carried out. */
    void (*apply)(void *context, shoal_slice bytes);
    /* Replica: what was given to `apply` and has not begun is forgotten: another stream follows.
     * What has begun is in the log then. False while it is not over: it is asked again, and nothing
     * is given to `apply` before it is true. */
    bool (*apply_reset)(void *context);
    /* This node is a master, or a replica, from now on; or the link to the master is up or down. */
    void (*changed)(void *context);
    /* A synchronisation is a full one: why, and who asked for what, borrowed for the call. It has
     * been logged. */
    void (*full)(void *context, shoal_repl_why why, shoal_slice detail);
} shoal_repl_face;

/* What it is made with. */
typedef struct shoal_repl_options {
    shoal_allocator allocator;
    const shoal_host *host;   /* borrowed */
    shoal_env *env;           /* borrowed; has the log */
    uint32_t writer;          /* of the log: control's */
    uint64_t seed[2];         /* of ids and marks */
    shoal_file snapshot_file; /* where core writes snapshots: bound to a name */
    shoal_file sync_file;     /* where a replica keeps its master's: bound to a name */
    shoal_repl_face face;
    shoal_time now;
} shoal_repl_options;

/* Makes a master with a new history. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_repl_create(const shoal_repl_options *options, shoal_repl **out);
/* Frees it, and what its replicas still have here; no worker runs any more. */
void shoal_repl_destroy(shoal_repl *repl);
/* The node ends: errands that wait are answered. */
void shoal_repl_abandon(shoal_repl *repl);
/* Takes other settings. */
void shoal_repl_set(shoal_repl *repl, const shoal_repl_settings *settings);
/* The data that are being loaded are those of the history `id` at `offset`: goes on from there. A
 * master does so under a new id, and takes replicas that have not gone beyond `offset`; who is to
 * be a replica asks its master to go on from there. Before START's phases are over, once; nobody
 * wants the log yet. Nothing happens when the id or the offset makes no sense. */
void shoal_repl_restore(shoal_repl *repl, shoal_slice id, uint64_t offset, bool as_replica);

/* ---- roles ---- */

/* Follows a master from now on, with the data that it has if the master can go on from there; or
 * (NULL) nobody: then this node goes on as a master, with a new history behind the one it had. */
void shoal_repl_follow(shoal_repl *repl, const shoal_address *master);

/* Replica: another node is at the master's address, and where the master is nobody knows. Who is
 * there is asked for nothing, and what it sends of its data is not taken; a stream that goes on is
 * the master's and stays. Until shoal_repl_follow names an address, be it the same. */
void shoal_repl_lose_master(shoal_repl *repl);

/* Replica: what kept a link from beginning is over (see apply_reset): it is tried at the next
 * tick, not at the next timer. */
void shoal_repl_hurry(shoal_repl *repl);

/* Whom this node follows; NULL: nobody. Good until the next step. */
const shoal_address *shoal_repl_following(const shoal_repl *repl);

/* ---- what happens ---- */

/* LINK_ and FILE_DONE events: true when it was this room's. */
bool shoal_repl_event(shoal_repl *repl, const shoal_event *event);
/* What commands ask for from here on is asked at `now`. */
void shoal_repl_begin_step(shoal_repl *repl, shoal_time now);
/* What is due at `now`, and what workers have said since the last step. */
void shoal_repl_tick(shoal_repl *repl, shoal_time now);
/* Until when a tick does nothing if no worker runs a command, nothing is written and no event of
 * the master's link comes: monotonic microseconds; 0 while something is under way. */
int64_t shoal_repl_calm_until(const shoal_repl *repl);
/* The earliest stored deadline, monotonic microseconds. */
int64_t shoal_repl_deadline(const shoal_repl *repl);

/* Master: the snapshot that was asked for shows the moment at which the log ended at `offset`.
 * Called in that moment. */
void shoal_repl_snapshot_begun(shoal_repl *repl, uint64_t offset);
/* So many bytes of it are in the file, in all. */
void shoal_repl_snapshot_grown(shoal_repl *repl, uint64_t size);
/* It is whole, or has failed. */
void shoal_repl_snapshot_ended(shoal_repl *repl, shoal_err error);

/* No replica of this node's reads the log any more: it may be begun again. */
bool shoal_repl_is_alone(const shoal_repl *repl);
/* Replica: the data are those of the file, or they could not be loaded. */
void shoal_repl_loaded(shoal_repl *repl, shoal_err error);
/* Replica: everything that was given to `apply` has been carried out up to this offset. */
void shoal_repl_applied(shoal_repl *repl, uint64_t offset);
/* Replica: the stream makes no sense, or there is no memory for it: all is copied anew. */
void shoal_repl_spoiled(shoal_repl *repl);
/* Replica: so many bytes of what was given to `apply` wait for something else than more of them.
 * Where they are many the link rests until they are few. */
void shoal_repl_waiting(shoal_repl *repl, size_t bytes);
/* Replica: a command of the stream asks for an acknowledgement (REPLCONF GETACK). */
void shoal_repl_acknowledge(shoal_repl *repl);

/* ---- commands; errands are answered, or kept until they are ---- */

/* PSYNC and SYNC. */
void shoal_repl_psync(shoal_repl *repl, shoal_errand *errand);
/* WAIT. `logged`: the offset behind the asking session's last effect. */
void shoal_repl_wait(shoal_repl *repl, shoal_errand *errand, uint64_t logged);
/* REPLICAOF and SLAVEOF of a node that is not in a cluster. */
void shoal_repl_replicaof(shoal_repl *repl, shoal_errand *errand);
/* FAILOVER: answers. */
void shoal_repl_failover(shoal_repl *repl, const shoal_errand *errand, shoal_reply *reply);
/* ROLE. */
void shoal_repl_role(const shoal_repl *repl, shoal_reply *reply);
/* INFO replication: its lines. */
void shoal_repl_info(const shoal_repl *repl, shoal_buffer *out);

/* ---- while writes of clients wait ---- */

/* Until when a FAILOVER wants them to, monotonic; 0: it does not. */
int64_t shoal_repl_pause(const shoal_repl *repl);
/* They do, and none is under way; or not any more. Masters are silent meanwhile: no PING is added
 * to the stream. */
void shoal_repl_paused(shoal_repl *repl, bool paused);
/* Asks the replicas how far they are. */
void shoal_repl_ask(shoal_repl *repl);
/* How many replicas have not acknowledged everything; `tell` logs who they are. While `listens`
 * the control actor is nudged by acknowledgements. */
uint32_t shoal_repl_lagging(shoal_repl *repl, bool listens, bool tell);

/* ---- a log that has lost effects ---- */

/* Sends all replicas away. True when none is left. */
bool shoal_repl_clear(shoal_repl *repl);
/* In a moment of the store, when none is left: the log begins again, as another history. A replica
 * asks its master for everything. */
void shoal_repl_begin_anew(shoal_repl *repl);

/* ---- facts ---- */

/* What others want to know. */
typedef struct shoal_repl_facts {
    bool is_replica;
    bool link_up;      /* replica: in sync with its master's stream */
    bool syncing;      /* replica: a snapshot is being received or loaded */
    uint64_t offset;   /* the end of the stream as far as this node has it */
    int64_t heard_us;  /* replica: of its master, monotonic; 0 never */
    uint32_t replicas; /* that are online */
    uint32_t timely;   /* of them, heard of within min_lag_us */
    char id[SHOAL_REPL_ID_LEN + 1], id2[SHOAL_REPL_ID_LEN + 1];
    uint64_t second_offset; /* id2 is good for offsets below */
    bool has_second;
    uint64_t backlog_bytes;  /* of the stream, for replicas to come */
    uint64_t buffered_bytes; /* the same with what present replicas have not taken */
    uint64_t waiting_bytes;  /* of these what a backlog of its size would not have */
    uint64_t full_syncs, partial_syncs, partial_refused; /* given to replicas */
    bool kept; /* effects are kept: the data are those of the history `id` at `offset` */
} shoal_repl_facts;
/* CONFIG RESETSTAT. */
void shoal_repl_reset_counts(shoal_repl *repl);
void shoal_repl_facts_get(const shoal_repl *repl, shoal_repl_facts *facts);

#endif
