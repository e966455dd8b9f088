/* SPDX-License-Identifier: MIT
 *
 * command/replica.h - a connection at whose other end a replica is: what it has said of itself, and
 * what it is sent. The control actor (engine/repl) decides; the connection's worker sends: first
 * the parts of a snapshot that control posts to it, then the log from where the snapshot was taken,
 * by the short way.
 *
 *   NEW -> ASKING -> ONLINE              partial: the log has what it lacks
 *          ASKING -> LOADING -> ONLINE   full: a snapshot first
 *   any -> GONE
 *
 * Ownership: made by the worker at the first REPLCONF or PSYNC. From the errand of PSYNC on it
 * belongs to control, which frees it after the worker has said that the connection is gone. The
 * fields say who touches them.
 */
#ifndef SHOAL_COMMAND_REPLICA_H
#define SHOAL_COMMAND_REPLICA_H

#include "base/atomic.h"
#include "command/command.h"
#include "log/log.h"

/* Where it stands; control's view. */
typedef enum shoal_replica_state {
    SHOAL_REPLICA_NEW = 0,
    SHOAL_REPLICA_ASKING,  /* PSYNC has come; waits for a snapshot to begin */
    SHOAL_REPLICA_LOADING, /* the snapshot is being sent */
    SHOAL_REPLICA_ONLINE,  /* it has, or is being sent, the log only */
    SHOAL_REPLICA_GONE     /* the connection is closed */
} shoal_replica_state;

/* What it can (REPLCONF capa). */
enum { SHOAL_CAPA_EOF = 1, SHOAL_CAPA_PSYNC2 = 2 };

/* A piece of a snapshot on its way. Control makes it, the worker sends it and posts it back. */
typedef struct shoal_replica_part {
    shoal_op op; /* first: the inbox link of both ways */
    struct shoal_replica *replica;
    struct shoal_replica_part *next; /* the worker's queue */
    size_t size;
    bool last;     /* the log follows */
    bool asks;     /* but not before an acknowledgement: what comes behind a mark would hide it */
    size_t memory; /* bytes of this allocation */
    char bytes[];
} shoal_replica_part;

/* One replica. */
typedef struct shoal_replica {
    /* What the connection said: written by its worker before PSYNC, constant afterwards. */
    uint64_t client_id;
    uint32_t worker;         /* index */
    shoal_address address;   /* its end; ip as it announces it, or as connected */
    uint16_t listening_port; /* where it takes clients */
    uint32_t capabilities;   /* SHOAL_CAPA_* */
    bool rdb_only;           /* it wants a snapshot and nothing more */
    /* Of both. */
    _Atomic uint64_t acknowledged; /* writer: worker; readers: any; relaxed */
    _Atomic int64_t heard_us;      /* last ACK or PSYNC, monotonic; control writes too */
    _Atomic uint64_t sent;         /* offset up to which the log has been handed out; the same */
    _Atomic uint64_t unsent;       /* bytes that the host still holds; the same */
    /* The worker's. */
    shoal_session *session; /* NULL when it is closed */
    shoal_log_reader reader;
    bool attached;   /* PSYNC has been answered: the connection is fed */
    bool streams;    /* the log follows at once: no part of a snapshot is to come */
    bool awaits_ack; /* the log follows when it has acknowledged the snapshot */
    shoal_replica_part *first, *last; /* to be sent */
    struct shoal_replica *worker_next, *worker_previous;
    /* Control's. */
    shoal_replica_state state;
    struct shoal_replica *next, *previous;
    uint64_t serial;          /* of this replica, among all */
    uint32_t parts;           /* under way */
    uint32_t reads_under_way; /* of the snapshot's file */
    uint64_t read_at;         /* how far that has been asked for */
    uint64_t sync;            /* number of the snapshot */
    bool headed, tailed;      /* what stands before and behind it has been posted */
    bool plain;               /* it said SYNC: no offsets */
    bool reads;               /* its reader is open */
    uint64_t from;            /* where its stream began; what was sent before is a snapshot */
    int64_t since_us;         /* in this state */
    int64_t over_us;          /* over its soft limit since; 0: it is not */
    void *owner;              /* who takes parts back, and hears of its end */
    shoal_errand *errand;     /* of its PSYNC, while that waits */
    /* The worker's word that it is gone, and control's that it must go. */
    shoal_op farewell, order;
    bool ordered;   /* control has sent the order, once */
    bool order_out; /* and it has not come back */
    /* Called on the control actor: a part has come back, the connection is closed, the order to
     * leave has been heard. */
    void (*part_back)(struct shoal_replica *replica, shoal_replica_part *part);
    void (*gone)(struct shoal_replica *replica);
    void (*order_back)(struct shoal_replica *replica);
} shoal_replica;

/* ---- for control ---- */

/* Posts a part to the replica's worker. Control. */
void shoal_replica_post(shoal_env *env, shoal_replica_part *part);
/* Has its connection closed, once. Control. */
void shoal_replica_dismiss(shoal_env *env, shoal_replica *replica);
/* Frees one that control has given up: no part is under way, its reader is closed. */
void shoal_replica_free(const shoal_env *env, shoal_replica *replica);
/* Tells every worker with replicas that the log has grown, as seen by a thread that is not theirs.
 * Any thread. */
void shoal_replica_rouse(const shoal_env *env, const struct shoal_worker *except);

/* ---- for the worker ---- */

/* A replica's connection gets no more while more than this is unsent: the log has it, without a
 * copy that grows and moves. Chosen: two feeds; and no less than the level above which the virtual
 * host tells of room. */
#define SHOAL_REPLICA_BACKLOG_MAX ((size_t)1 << 20)

/* Sees to it that session->replica is there. False without memory. */
SHOAL_MUST_USE bool shoal_replica__ready(shoal_session *session);
/* The errand of PSYNC has come home with the answer: what follows is fed. */
void shoal_replica__attach(shoal_session *session);
/* Appends what may be sent now. True when more waits for room. Inside a round. */
bool shoal_replica__pour(shoal_session *session, shoal_buffer *out);
/* Wakes the worker's replicas if there is something for them. Inside a round. */
void shoal_replica__wake(struct shoal_worker *worker);
/* May a session that is, or may become, a replica's run this? False after writing why not. */
bool shoal_replica__admit(shoal_session *session, const shoal_command *command, shoal_reply *reply);
/* Nothing but the stream may be sent to a replica: takes replies that have come since `before`
 * away, and has the session closed for them. */
void shoal_replica__hush(shoal_session *session, shoal_buffer *out, size_t before);
/* The session ends. */
void shoal_replica__detach(shoal_session *session);

#endif
