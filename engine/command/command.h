/* SPDX-License-Identifier: MIT
 *
 * command/command.h - commands, sessions and workers: what happens between the bytes of a client
 * and the store. The room implements shoal_worker_* and shoal_session_* of shoal/node.h. It
 * knows nothing of the bus, of configuration files or of hosts; what it needs of the node
 * around it stands in `shoal_env`, which core fills.
 *
 * Every command is one row of commands.def. Its executor says where it runs:
 *   LOCAL    at once, on the session's worker: needs no key (PING, HELLO, SELECT, COMMAND ...)
 *   READ     at once when it has one key and the slot is not slow, wait-free; else as GATED
 *   GATED    under the gates of its keys' slots: at once when they are free, otherwise on the
 *            thread that holds them; the session is parked meanwhile
 *   CONTROL  by the control actor (CLUSTER, CONFIG, SHUTDOWN ...); the session is parked
 *   TOUR     by every worker in turn, then answered by the session's own (CLIENT LIST, KILL)
 */
#ifndef SHOAL_COMMAND_COMMAND_H
#define SHOAL_COMMAND_COMMAND_H

#include <shoal/host.h>
#include <shoal/node.h>
#include <shoal/types.h>

#include "base/heap.h"
#include "base/inbox.h"
#include "store/change.h"
#include "store/limits.h"
#include "store/store.h"
#include "wire/resp.h"

/* What clients are told as the version of Redis that is spoken here. */
#define SHOAL_REDIS_VERSION "7.0.15"

/* Where a command runs; see above. */
typedef enum shoal_executor {
    SHOAL_RUN_LOCAL,
    SHOAL_RUN_READ,
    SHOAL_RUN_GATED,
    SHOAL_RUN_CONTROL,
    SHOAL_RUN_TOUR
} shoal_executor;

/* Flags of a command, in the order in which COMMAND INFO lists them. */
typedef enum shoal_flag {
    SHOAL_FLAG_NONE = 0,
    SHOAL_FLAG_WRITE = 1 << 0,
    SHOAL_FLAG_READONLY = 1 << 1,
    SHOAL_FLAG_DENYOOM = 1 << 2,
    SHOAL_FLAG_ADMIN = 1 << 3,
    SHOAL_FLAG_PUBSUB = 1 << 4,
    SHOAL_FLAG_NOSCRIPT = 1 << 5,
    SHOAL_FLAG_BLOCKING = 1 << 6,
    SHOAL_FLAG_LOADING = 1 << 7, /* allowed before the node is ready */
    SHOAL_FLAG_STALE = 1 << 8,
    SHOAL_FLAG_FAST = 1 << 9,
    SHOAL_FLAG_NO_AUTH = 1 << 10, /* allowed before AUTH */
    SHOAL_FLAG_NO_ASYNC_LOADING = 1 << 11,
    SHOAL_FLAG_NO_MULTI = 1 << 12,
    SHOAL_FLAG_ALLOW_BUSY = 1 << 13,
    SHOAL_FLAG_SKIP_SLOWLOG = 1 << 14,
    SHOAL_FLAG_ASKING = 1 << 15 /* as if its session had said ASKING */
} shoal_flag;

/* ACL categories, in the order in which COMMAND INFO lists them. */
typedef enum shoal_category {
    SHOAL_CATEGORY_KEYSPACE = 1 << 0,
    SHOAL_CATEGORY_READ = 1 << 1,
    SHOAL_CATEGORY_WRITE = 1 << 2,
    SHOAL_CATEGORY_SET = 1 << 3,
    SHOAL_CATEGORY_SORTEDSET = 1 << 4,
    SHOAL_CATEGORY_LIST = 1 << 5,
    SHOAL_CATEGORY_HASH = 1 << 6,
    SHOAL_CATEGORY_STRING = 1 << 7,
    SHOAL_CATEGORY_BITMAP = 1 << 8,
    SHOAL_CATEGORY_PUBSUB = 1 << 9,
    SHOAL_CATEGORY_ADMIN = 1 << 10,
    SHOAL_CATEGORY_FAST = 1 << 11,
    SHOAL_CATEGORY_SLOW = 1 << 12,
    SHOAL_CATEGORY_BLOCKING = 1 << 13,
    SHOAL_CATEGORY_DANGEROUS = 1 << 14,
    SHOAL_CATEGORY_CONNECTION = 1 << 15,
    SHOAL_CATEGORY_TRANSACTION = 1 << 16
} shoal_category;

/* SHOAL_FLAGS(WRITE, FAST) is SHOAL_FLAG_WRITE | SHOAL_FLAG_FAST; for commands.def. */
#define SHOAL_FLAGS(...) SHOAL_COMMAND__OR(SHOAL_FLAG_, __VA_ARGS__)
/* The same for categories. */
#define SHOAL_CATEGORIES(...) SHOAL_COMMAND__OR(SHOAL_CATEGORY_, __VA_ARGS__)
#define SHOAL_COMMAND__OR(p, ...)                                                                \
    SHOAL_COMMAND__PICK(__VA_ARGS__, SHOAL_COMMAND__OR8, SHOAL_COMMAND__OR7, SHOAL_COMMAND__OR6, \
                        SHOAL_COMMAND__OR5, SHOAL_COMMAND__OR4, SHOAL_COMMAND__OR3,              \
                        SHOAL_COMMAND__OR2, SHOAL_COMMAND__OR1, 0)                               \
    (p, __VA_ARGS__)
#define SHOAL_COMMAND__PICK(a, b, c, d, e, f, g, h, pick, ...) pick
#define SHOAL_COMMAND__OR1(p, a) p##a
#define SHOAL_COMMAND__OR2(p, a, ...) p##a | SHOAL_COMMAND__OR1(p, __VA_ARGS__)
#define SHOAL_COMMAND__OR3(p, a, ...) p##a | SHOAL_COMMAND__OR2(p, __VA_ARGS__)
#define SHOAL_COMMAND__OR4(p, a, ...) p##a | SHOAL_COMMAND__OR3(p, __VA_ARGS__)
#define SHOAL_COMMAND__OR5(p, a, ...) p##a | SHOAL_COMMAND__OR4(p, __VA_ARGS__)
#define SHOAL_COMMAND__OR6(p, a, ...) p##a | SHOAL_COMMAND__OR5(p, __VA_ARGS__)
#define SHOAL_COMMAND__OR7(p, a, ...) p##a | SHOAL_COMMAND__OR6(p, __VA_ARGS__)
#define SHOAL_COMMAND__OR8(p, a, ...) p##a | SHOAL_COMMAND__OR7(p, __VA_ARGS__)

/* Ids: SHOAL_COMMAND_GET, SHOAL_COMMAND_CLIENT_LIST (a subcommand), ... from commands.def. */
typedef enum shoal_command_id {
    SHOAL_COMMAND_NONE = 0,
#define SHOAL_COMMAND(id, ...) SHOAL_COMMAND_##id,
#include "command/commands.def"
#undef SHOAL_COMMAND
    SHOAL_COMMAND_COUNT
} shoal_command_id;

typedef struct shoal_call shoal_call;
typedef struct shoal_env shoal_env;

/* Why writes are refused: the last snapshot failed; the append-only file cannot be written, for
 * want of space or for another reason. */
enum {
    SHOAL_MISCONF_RDB = 1,
    SHOAL_MISCONF_AOF = 2,
    SHOAL_MISCONF_AOF_SPACE = 4,
    SHOAL_MISCONF_ALL = 7
};
struct shoal_job;
struct shoal_block;
/* Runs one call of a command. */
typedef void (*shoal_handler)(shoal_call *call);

/* One row of the table. */
typedef struct shoal_command {
    shoal_command_id id;
    const char *name;        /* lower case; of a subcommand, its own word */
    shoal_command_id parent; /* of a subcommand, else NONE */
    shoal_executor executor;
    shoal_handler run; /* NULL for CONTROL rows: core has the handler; NULL too for the
                                  containers of subcommands, which never run themselves */
    int32_t arity;     /* as COMMAND INFO: counts the name, negative for "at least" */
    uint32_t flags;    /* SHOAL_FLAG_* */
    int32_t key_first, key_last, key_step; /* 0 0 0: no keys; a negative last is from the end */
    const char *access;  /* what is done to the keys: words of a key specification; `;`
                                  begins the next one, one key further on */
    uint32_t categories; /* SHOAL_CATEGORY_* (ACL) */
    const char *tips;    /* comma separated, or "" */
    const char *since, *group, *complexity, *summary; /* our own words */
} shoal_command;

/* Finds by name, any case: a command, or with `sub` (may be empty) its subcommand. NULL when
 * unknown. Takes a walk over the table; sessions have a faster way. */
const shoal_command *shoal_command_find(shoal_slice name, shoal_slice sub);
/* The row of an id other than NONE. */
const shoal_command *shoal_command_row(shoal_command_id id);

/* What a TOUR gathers on its way from worker to worker. */
typedef struct shoal_tour {
    shoal_buffer gathered; /* the handler's own */
    uint64_t count;        /* the handler's own */
    uint64_t asker;        /* client id of the asking session */
    uint32_t origin;       /* index of its worker */
    bool self;             /* the handler's own: the asking session is meant too */
    bool last;             /* every worker has been visited: write the reply */
} shoal_tour;

/* What a blocking command waits for, see command/block.h. */
typedef struct shoal_wish {
    shoal_value_type type; /* of value that a key must get; NONE: it does not wait */
    uint32_t keys;         /* it waits for the first so many of its keys */
    int64_t deadline_us;   /* monotonic time until which, or SHOAL_NEVER */
} shoal_wish;

/* One execution. Handlers write exactly one reply; those of TOUR rows none until tour->last.
 * GATED and READ handlers must not touch `session` nor `worker`: they may run on any thread. */
struct shoal_call {
    const shoal_command *command;
    uint32_t argc;
    const shoal_slice *argv;
    const char *text;      /* the request in which the arguments lie, as it came; or NULL */
    const shoal_key *keys; /* in the order of the arguments */
    uint32_t key_count;
    uint32_t db;
    shoal_thread *thread; /* the store thread that runs it */
    shoal_store *store;
    shoal_env *env;
    shoal_time now;
    shoal_reply reply;
    bool gated;       /* the gates of all keys are held: objects may be touched */
    bool wants_gates; /* set by a READ handler that met an object without them: nothing is written,
                         and it is called again under the gates */
    bool asking;      /* its session said ASKING / READONLY; see route.c */
    bool reads_replicas;
    bool whole;      /* part of a transaction or script that holds all gates the call can need:
                         it must be over when its handler returns, see job.h */
    bool replicated; /* it is what a master, or this node before, has done (apply.h): nobody's time
                        to live is over, and it leaves no effects */
    uint8_t effect;  /* shoal_effect: what it leaves in the log, see effect.h */
    uint64_t client_id;            /* whose command it is; 0: nobody's */
    uint64_t logged;               /* the log's offset behind what it has left there; 0: nothing */
    struct shoal_job *job;         /* set by a handler whose call goes on, see job.h; else NULL */
    shoal_wish wish;               /* set by a handler that must wait for a key, see block.h */
    struct shoal_block *block;     /* of one that runs again after waiting; else NULL */
    struct shoal_watches *watches; /* WATCH: the session's */
    shoal_session *session;        /* LOCAL; TOUR when tour->last; else NULL */
    struct shoal_worker *worker;   /* LOCAL, TOUR: the worker that runs it; else NULL */
    shoal_tour *tour;              /* TOUR; else NULL */
};

/* What travels when a command cannot run where it was read: a copy of it. Made by dispatch,
 * answered by whoever runs it with shoal_errand_finish. The inbox of the control actor holds
 * nothing but errands, whose op.run is NULL: core looks at `command`. */
typedef struct shoal_errand {
    shoal_gate_op gate; /* first; its op is the inbox link too */
    const shoal_command *command;
    uint32_t argc;
    shoal_slice *argv; /* into the errand's own memory */
    shoal_key *keys;
    uint32_t key_count;
    uint32_t db;
    int protocol;
    bool asking, reads_replicas; /* as in the call */
    shoal_buffer reply;          /* the runner writes the reply here */
    shoal_session *session;      /* whom to wake; touched by its own worker only */
    struct shoal_worker *origin;
    uint32_t stop;                 /* TOUR: next worker to visit */
    shoal_tour tour;               /* TOUR */
    struct shoal_job *job;         /* what is still to be done, see job.h; else NULL */
    uint64_t logged;               /* as in the call */
    uint64_t client_id;            /* of the asking session */
    shoal_address local;           /* the asking connection's own end (CLUSTER MEET needs it) */
    bool close_after;              /* the session is closed behind the reply */
    _Atomic uint32_t waiting;      /* acq_rel, see block.c. pair: errand.waiting */
    struct shoal_block *block;     /* of one that waits for a key; under its gates */
    struct shoal_multi *exec;      /* a piece of this transaction, else NULL */
    struct shoal_watches *watches; /* WATCH: of the session, else NULL */
    shoal_op news;                 /* tells its worker that it waits */
    shoal_heap_node deadline;      /* until when; its worker's */
    /* What the answer waits for: WAIT, the offset of the log behind the session's last effect; a
     * CLUSTER command, the change that it has made (cluster/cluster.h). */
    uint64_t after;
    struct shoal_replica *replica; /* PSYNC: the connection's; else NULL */
    bool attach;                   /* set by control: the connection is fed from now on */
    int64_t took_ns;               /* so far, wherever it ran */
    size_t memory;                 /* bytes of this allocation */
} shoal_errand;

/* Sends a finished errand home: its session gets the reply and goes on. Any thread; the errand
 * is dead afterwards. */
void shoal_errand_finish(shoal_errand *errand);

/* Settings that the data path reads: an immutable snapshot, replaced as a whole. */
typedef struct shoal_settings {
    shoal_slice requirepass;       /* empty: none */
    uint64_t bulk_size_max;        /* proto-max-bulk-len */
    uint64_t query_size_max;       /* client-query-buffer-limit */
    uint64_t hash_entries_max;     /* hash-max-listpack-entries */
    uint64_t hash_value_size_max;  /* hash-max-listpack-value */
    uint64_t set_entries_max;      /* set-max-intset-entries */
    uint64_t zset_entries_max;     /* zset-max-listpack-entries */
    uint64_t zset_member_size_max; /* zset-max-listpack-value */
    int64_t list_node_max;         /* list-max-listpack-size */
    uint32_t clients_max;          /* maxclients */
    uint32_t databases;
    uint32_t timeout_s;     /* 0: never */
    uint32_t output_soft_s; /* client-output-buffer-limit of normal clients: seconds above */
    uint64_t output_soft_max, output_hard_max; /* soft, and hard limit, in bytes; 0: none */
    uint32_t pushes_soft_s; /* the same of clients that have subscribed to something */
    uint64_t pushes_soft_max, pushes_hard_max;
    bool protected_mode;
    bool protected_bound;       /* true when an explicit bind lifts protected mode */
    bool cluster;               /* cluster-enabled */
    uint64_t clients_bytes_max; /* maxmemory-clients; 0: no limit */
    bool integers_shared;       /* to clients, small ones look as if Redis kept them once for all */
    bool debug;                 /* enable-debug-command: for everyone, */
    bool debug_local;           /* or for clients of this machine */
    bool lazy_user_del;         /* lazyfree-lazy-user-del, */
    bool lazy_user_flush;       /* lazyfree-lazy-user-flush: replies do not wait for freed memory */
    bool lazy_expire;           /* lazyfree-lazy-expire, */
    bool lazy_eviction;         /* lazyfree-lazy-eviction: effects say UNLINK instead of DEL */
    bool timed;                 /* somebody wants to know how long commands take */
    bool latency_tracking;      /* latency-tracking: histograms */
    int64_t slow_us;            /* slowlog-log-slower-than; -1: never */
    uint64_t slow_max;          /* slowlog-max-len */
    int64_t late_ms;            /* latency-monitor-threshold; 0: never */
    uint64_t tracked_keys_max;  /* tracking-table-max-keys; 0: no limit */
} shoal_settings;

/* Counters of one worker: rows of stat.def, written by it alone (relaxed), read by any. */
typedef enum shoal_stat {
#define SHOAL_STAT(id, info_name, doc) SHOAL_STAT_##id,
#include "command/stat.def"
#undef SHOAL_STAT
    SHOAL_STAT_COUNT
} shoal_stat;

/* Words of the text "ip:port" with its end: the longest address in brackets, and a port. */
#define SHOAL_MASTER_WORDS 8

/* What the room needs of the node around it. Filled by core before the first worker is made;
 * outlives them all. */
struct shoal_env {
    shoal_allocator allocator;
    shoal_store *store;
    const shoal_host *host;                   /* nudge and trace */
    shoal_inbox *control;                     /* errands for the control actor */
    _Atomic(const shoal_settings *) settings; /* writer: control, release. readers: workers,
                                                     acquire. pair: env.settings */
    struct shoal_worker **workers;
    uint32_t worker_count;
    _Atomic uint64_t client_id_next; /* relaxed: the id of the next session; starts at 1 */
    _Atomic uint32_t clients;        /* relaxed: sessions open now */
    _Atomic uint32_t blocked;        /* relaxed: commands that wait for a key now */
    _Atomic uint32_t monitors;       /* relaxed: sessions that are told of every command */
    /* Sessions that want to hear of changes, or are about to. writers: workers. readers:
     * who changes keys, relaxed, and the control actor, acq_rel. pair: env.trackers */
    _Atomic uint32_t trackers;
    _Atomic uint32_t tracking_clients;     /* relaxed: sessions that have said CLIENT TRACKING ON */
    _Atomic bool paused;                   /* relaxed: one of these times may be still to come, */
    _Atomic int64_t pause_all_until_us;    /* relaxed: monotonic, of all commands, */
    _Atomic int64_t pause_writes_until_us; /* relaxed: of writes; 0: never */
    _Atomic int64_t pause_failover_until_us; /* relaxed: of writes too, for a failover */
    _Atomic uint32_t expiry_off;   /* relaxed: why keys do not expire by themselves, see pause.c */
    _Atomic uint64_t slow_id_next; /* relaxed: of the next entry of the slow log */
    /* Up to which offset of the log replies may leave. writer: who writes to files, release.
     * readers: workers, acquire. pair: env.released */
    _Atomic uint64_t released;
    _Atomic uint32_t voids;   /* relaxed: how often what was on hold has become void, see hold.h.
                               * writer: control, before it changes `released` */
    _Atomic uint64_t holders; /* acq_rel: workers with replies on hold, by bit. pair: env.holders */
    /* Writes what is committed of the log to the append-only file. Any thread; NULL: none. */
    void (*commit)(void *context, shoal_time now);
    void *commit_context;
    _Atomic uint64_t subscriptions; /* relaxed: of all sessions, to anything */
    _Atomic uint32_t events;        /* relaxed: classes of key events that are published, or 0; see
                                       events.h. writer: control */
    shoal_inbox published;          /* messages for other nodes; see pubsub.h */
    uint64_t process_id;
    const char *run_id;         /* 40 hex characters */
    _Atomic bool loading;       /* relaxed: not ready, most commands answer
                                                     -LOADING */
    _Atomic uint32_t flushes;   /* relaxed: FLUSHALLs so far */
    _Atomic uint32_t misconf;   /* relaxed: why writes are refused, of SHOAL_MISCONF_*, or 0 */
    _Atomic bool checksums_off; /* relaxed: RESTORE takes any checksum (DEBUG) */
    struct shoal_log *log;      /* where effects go, with a writer for each thread of the store;
                                   NULL: nowhere */
    struct shoal_desks *desks;  /* effect.c's own; see shoal_effects_open */
    /* What clients may not do now: SHOAL_REFUSES_*. writer: control, relaxed; readers: workers. */
    _Atomic uint32_t refuses;
    _Atomic uint32_t acks_wanted; /* relaxed: control wants to hear of acknowledgements */
    _Atomic uint32_t demotions;   /* relaxed: how often this node has become a replica; sessions
                                   * that wait for a key are answered then. writer: control */
    _Atomic uint32_t reroutes;    /* relaxed: how often slots have left this node; the same sessions
                                   * look again. writer: control */
    _Atomic uint64_t master_link; /* relaxed: shoal_hash of "ip:port" of the link to a master that
                                   * is up; 0: none. writer: control */
    /* The same link for CLIENT LIST, when it is in sync: "ip:port", ended by a zero, in words that
     * are read one by one, and so are held against the hash; its id; since when it is there and
     * when something came, monotonic. Relaxed. writer: control */
    _Atomic uint64_t master_text[SHOAL_MASTER_WORDS];
    _Atomic uint64_t master_id;
    _Atomic int64_t master_since_us, master_heard_us;
    _Atomic bool master_kill;       /* relaxed: a client wants that link to be closed */
    _Atomic int64_t sleep_until_us; /* relaxed: DEBUG SLEEP where a host has no `busy`: until then a
                                     * master's stream and links to it wait. writer: DEBUG */
    _Atomic uint64_t applied[SHOAL_COMMAND_COUNT]; /* commands of a master's stream that have run;
                                                    * relaxed: counts. writer: who runs them */
    void (*carry)(shoal_op *trip, void *node);     /* core's, run by control: see trip.h */
    _Atomic uint32_t strays; /* relaxed: keys that have gone while MIGRATE had them on their way, of
                              * which the other node is to hear */
    _Atomic bool mirrors;    /* relaxed: the log is a copy of a master's, so that what happens
                                   here by itself is not told. writer: control */
};

/* Bits of shoal_env.refuses. */
enum {
    SHOAL_REFUSES_WRITES_HERE = 1, /* a replica that is read only */
    SHOAL_REFUSES_FEW_REPLICAS = 2,
    SHOAL_REFUSES_STALE = 4 /* a replica without its master, which does not serve then */
};
/* Sets or clears such bits. Control. */
void shoal_env_refuse(shoal_env *env, uint32_t bits, bool set);

/* Makes worker `index`, which uses store thread `index`. 0 or SHOAL_ERR_NO_MEMORY. */
SHOAL_MUST_USE shoal_err shoal_worker_make(shoal_env *env, uint32_t index,
                                           struct shoal_worker **out);
/* Ends a worker without sessions. */
void shoal_worker_free(struct shoal_worker *worker);

/* Sum over all workers, relaxed. */
uint64_t shoal_stat_sum(const shoal_env *env, shoal_stat stat);
/* Bytes of all sessions with their buffers. Any thread. */
uint64_t shoal_session_bytes(const shoal_env *env);
/* Lets every worker look at the store's background work again, soon. Any thread. */
void shoal_worker_rouse(const shoal_env *env);
/* Zeroes what CONFIG RESETSTAT zeroes (asks each worker; takes effect at its next round). */
void shoal_stat_reset(shoal_env *env);
/* What is known of the calls of one command over all workers. */
typedef struct shoal_command_count {
    uint64_t calls, rejected, failed;
    uint64_t took_ns; /* of all calls together, as far as it was measured */
} shoal_command_count;
shoal_command_count shoal_command_count_get(const shoal_env *env, shoal_command_id id);

#endif
