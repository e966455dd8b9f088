/* SPDX-License-Identifier: MIT
 *
 * shoal/node.h - one cache node as a value: no globals, no clock, no sockets. A host drives it.
 *
 * Two kinds of threads of control:
 *   - the control actor: shoal_node_step, one call at a time (rule R5 of shoal/host.h). Bus,
 *     membership, configuration, timers.
 *   - the workers: worker i is driven by one thread at a time. Client bytes take the short way:
 *     the thread that read them executes the commands and gets the replies.
 * In a simulation all of them run on one thread.
 *
 * A worker's round:
 *     shoal_worker_begin(worker, now);
 *     while ((session = shoal_worker_ready(worker)))  feed it nothing, commit, send its output
 *     for each connection with bytes:                 shoal_session_foresee (may be left out)
 *     for each connection with bytes:                 shoal_session_feed
 *     shoal_worker_commit(worker);
 *     for each connection with output:                shoal_session_hold, or send it
 *     deadline = shoal_worker_end(worker);
 * No worker may sleep between begin and end: memory that readers could still see is reclaimed
 * only when every worker has passed an end.
 */
#ifndef SHOAL_NODE_H
#define SHOAL_NODE_H

#include <shoal/host.h>
#include <shoal/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One node. */
typedef struct shoal_node shoal_node;
/* One lane of the data path of a node. */
typedef struct shoal_worker shoal_worker;
/* One client connection, as the engine sees it. */
typedef struct shoal_session shoal_session;

/* No deadline: wait for an event. */
#define SHOAL_NEVER INT64_MAX

/* How to make a node. Take shoal_node_options_default() and change fields. */
typedef struct shoal_node_options {
    uint32_t cookie;           /* set by the default function, checked by create */
    shoal_allocator allocator; /* for all memory of the node */
    shoal_host host;           /* the world; copied */
    uint64_t seed[2];          /* entropy for node name, run id and every random stream */
    uint32_t workers;          /* number of workers, 1..128; default 1 */
    uint64_t process_id;       /* shown as such by INFO; default 1 */
    shoal_time now;            /* the clocks at creation; uptime counts from here */
} shoal_node_options;

/* Defaults as named above; `host` is empty and must be filled. */
SHOAL_API shoal_node_options shoal_node_options_default(void);

/* Makes a node with the default configuration. 0, SHOAL_ERR_INVALID, SHOAL_ERR_NO_MEMORY. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_node_create(const shoal_node_options *options,
                                                     shoal_node **out);

/* Ends a node. Every session must be closed; no worker may be inside a round. */
SHOAL_API void shoal_node_destroy(shoal_node *node);

/* Reads configuration text in the syntax of redis.conf, before START. On an error, appends to
 * `complaint` what is wrong, in which line, and what was expected. `origin` is the file's name
 * or "arguments", for messages. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_node_configure(shoal_node *node, shoal_slice text,
                                                        const char *origin,
                                                        shoal_buffer *complaint);

/* Appends the current value of one directive as text. 0 or SHOAL_ERR_NOT_FOUND. Before START
 * from the creating thread, afterwards from the control actor's thread. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_node_config_get(const shoal_node *node,
                                                         const char *directive, shoal_buffer *out);

/* Appends one line for every directive: name, alias or `-`, `active` or `recorded` (accepted and
 * shown, but without effect in this version), default value in quotes, what it means; separated
 * by tabs. Any thread. */
SHOAL_API void shoal_node_directives(shoal_buffer *out);

/* Rises whenever a directive gets another value, so that a host knows when to look again.
 * Control actor's thread. */
SHOAL_API uint64_t shoal_node_config_version(const shoal_node *node);

/* What only the host can know of the process that a node lives in; shown by INFO. Zero is
 * unknown: INFO then leaves the lines out that need it. Texts are borrowed as long as the node
 * lives, NULL is unknown. */
typedef struct shoal_vitals {
    uint64_t rss_bytes;           /* resident set of the process */
    uint64_t allocator_allocated; /* bytes handed out by the allocator */
    uint64_t allocator_active;    /* bytes of its pages in use */
    uint64_t allocator_resident;  /* bytes of its pages in memory */
    uint64_t memory_total;        /* bytes of the machine */
    uint64_t memory_limit;        /* bytes that the process may take, where that is less; else 0 */
    uint64_t cpu_user_us;         /* processor time of the process */
    uint64_t cpu_system_us;
    uint64_t cpu_user_main_us; /* of the control actor's thread */
    uint64_t cpu_system_main_us;
    const char *allocator_name; /* "jemalloc-5.3.0" */
    const char *clock;          /* what tells it the monotonic time */
    const char *multiplexing;   /* "epoll" */
    const char *compiler;       /* version of the gcc that it was built with, or stands for */
    const char *system;         /* "Linux 6.1.0 x86_64" */
    const char *executable;     /* absolute path */
    const char *config_file;    /* absolute path, or "" */
    /* What the host can do, called from the control actor's thread; each may be NULL. The context
     * is the first argument of all. */
    void *context;
    /* Measures again: called in a step before somebody looks, who comes seldom. */
    void (*measure)(void *context, struct shoal_vitals *vitals, int64_t mono_us);
    void (*purge)(void *context);                        /* gives unused pages back */
    void (*describe)(void *context, shoal_buffer *text); /* appends a report for people */
} shoal_vitals;

/* Takes a copy of `vitals`. Optional; between steps, from the control actor's thread. */
SHOAL_API void shoal_node_set_vitals(shoal_node *node, const shoal_vitals *vitals);

/* Runs the control actor for one event. Returns the earliest stored deadline on the monotonic
 * clock in microseconds (deliver TICK then), or SHOAL_NEVER. */
SHOAL_API int64_t shoal_node_step(shoal_node *node, const shoal_event *event);

/* What a node wants of its host beyond the door; looked at after each step. */
typedef enum shoal_node_wish {
    SHOAL_WISH_NONE = 0,
    SHOAL_WISH_EXIT = 1, /* SHUTDOWN was accepted: close listeners, end the process */
    SHOAL_WISH_FATAL = 2 /* the node cannot go on; the last LOG record says why */
} shoal_node_wish;

/* Asks a node that serves clients to end as SHUTDOWN does: with a last snapshot where there are
 * save points, and everything durable that shall be. The wish to exit follows; where the snapshot
 * fails the node stays. False when it does not serve clients (yet): the host may end it at once. By
 * the thread of the steps, between two of them. */
SHOAL_API bool shoal_node_leave(shoal_node *node);

/* How many of its steps have looked at everything. The others gave a frame of the bus to the
 * cluster and changed nothing else: neither data nor replication. Control actor's thread. */
SHOAL_API uint64_t shoal_node_settled(const shoal_node *node);

/* The present wish. Control actor's thread. */
SHOAL_API shoal_node_wish shoal_node_wanted(const shoal_node *node);

/* True from READY on: START's work is done and clients may be served. Any thread. */
SHOAL_API bool shoal_node_ready(const shoal_node *node);

/* The node's 40-character name, terminated by zero; empty before READY. Control thread. */
SHOAL_API const char *shoal_node_name(const shoal_node *node);

/* A digest of the node's data and cluster state, equal for equal states whatever the addresses
 * in memory. Slow; only while no worker is inside a round. */
SHOAL_API uint64_t shoal_node_digest(const shoal_node *node);

/* What a node says of its copy of the data: whose history it is, and how far. */
typedef struct shoal_node_copy {
    bool replica;            /* it follows a master */
    bool in_step;            /* replica: it has all that its master's stream has brought so far */
    uint64_t offset;         /* the end of its history, in bytes of the stream */
    char history[41];        /* the name of that history */
    char history_before[41]; /* the one that it goes on from, or "" */
} shoal_node_copy;

/* Fills `*out`. Control thread, once the node is ready. */
SHOAL_API void shoal_node_copy_get(const shoal_node *node, shoal_node_copy *out);

/* A digest of the data alone: equal where the same keys have the same values. Slow; only while no
 * worker is inside a round. */
SHOAL_API uint64_t shoal_node_data_digest(const shoal_node *node);

/* ---- for hosts that judge their nodes; between steps and rounds, all in the thread of the steps.
 * core/judged.c ---- */

/* A key as it stands in a node. */
typedef struct shoal_node_datum {
    uint32_t db, slot;
    shoal_slice name;
    bool string;        /* its value is a string */
    shoal_slice value;  /* of a string */
    int64_t expires_ms; /* on the wall clock; -1: never */
} shoal_node_datum;
/* Shown one of them, borrowed for the call. */
typedef void (*shoal_node_visitor)(void *context, const shoal_node_datum *datum);
/* Shows all keys of a node, slot by slot. Slow. */
SHOAL_API void shoal_node_data_visit(const shoal_node *node, shoal_node_visitor visit,
                                     void *context);

/* What stands against the limit of a node's memory. Bytes. */
typedef struct shoal_node_memory {
    uint64_t resident; /* what maxmemory is about: allocated, and not on its way out */
    uint64_t limit;    /* maxmemory; 0: none */
} shoal_node_memory;
/* Fills `*out`. */
SHOAL_API void shoal_node_memory_get(const shoal_node *node, shoal_node_memory *out);

/* The stream of a node's effects, which its replicas and its append-only file get: it has the bytes
 * from `first` to `end`. Places in it are replication offsets. */
typedef struct shoal_node_stream {
    uint64_t first, end;
} shoal_node_stream;
/* Fills `*out`. */
SHOAL_API void shoal_node_stream_get(const shoal_node *node, shoal_node_stream *out);
/* The bytes from `offset` on, at least `first`, as many as lie together; nothing at the end. Valid
 * until the node goes on. */
SHOAL_API shoal_slice shoal_node_stream_peek(const shoal_node *node, uint64_t offset);

/* Worker `index` (< options.workers). Owned by the node. */
SHOAL_API shoal_worker *shoal_node_worker(shoal_node *node, uint32_t index);

/* Opens a round: takes the time for all commands in it. */
SHOAL_API void shoal_worker_begin(shoal_worker *worker, shoal_time now);

/* The next session of this worker that something happened to while it was parked (a reply has
 * come, or it must be closed), or NULL. Feed it (with an empty slice too). Inside a round. */
SHOAL_API shoal_session *shoal_worker_ready(shoal_worker *worker);

/* Puts what the commands of this round did where a crash of the process does not lose it, as far as
 * the configuration asks for that. Between feeding sessions and sending what they said; one call
 * for many sessions. Inside a round. */
SHOAL_API void shoal_worker_commit(shoal_worker *worker);

/* Closes the round: does a bounded piece of background work, then lets memory go. Returns when
 * the worker wants its next round at the latest (monotonic, microseconds) or SHOAL_NEVER. */
SHOAL_API int64_t shoal_worker_end(shoal_worker *worker);

/* What a new connection is. Zero the rest. */
typedef struct shoal_session_options {
    shoal_address peer;  /* the client's end */
    shoal_address local; /* our end */
    int32_t descriptor;  /* shown as fd= by CLIENT LIST; -1 when there is none */
    bool unix_socket;    /* connected through a UNIX socket */
    void *owner;         /* the host's own, returned by shoal_session_owner */
} shoal_session_options;

/* Opens a session on `worker`, inside a round. 0, SHOAL_ERR_NO_MEMORY, or SHOAL_ERR_REFUSED
 * when maxclients or protected mode forbid it: then the refusal has been appended to `out`
 * and the host sends it and closes. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_session_open(shoal_worker *worker,
                                                      const shoal_session_options *options,
                                                      shoal_buffer *out, shoal_session **session);

/* What the host does after a feed. */
typedef enum shoal_feed {
    SHOAL_FEED_MORE = 0,    /* send the output, read on */
    SHOAL_FEED_PARKED = 1,  /* send the output, do not read until shoal_worker_ready returns it */
    SHOAL_FEED_CLOSE = 2,   /* send the output, then close the connection and the session */
    SHOAL_FEED_BLOCKED = 3, /* send the output; as PARKED, but for so long that the host reads on:
                               bytes are kept inside, the end of the connection is heard */
    SHOAL_FEED_DROP = 4     /* close the connection and the session, without sending anything more:
                               too much waits for a client that does not read */
} shoal_feed;

/* Gives the bytes that arrived to the session, which executes every complete command in them
 * and appends the replies to `out`. Bytes of an incomplete command, and those behind a command
 * that parks the session, are kept inside. Inside a round of the session's worker. */
SHOAL_API shoal_feed shoal_session_feed(shoal_session *session, shoal_slice in, shoal_buffer *out);

/* Behind shoal_worker_commit, before bytes that the session said are sent: true when they must wait
 * for a disk. Then they have been copied, and come again, before all later ones, from the next
 * feed; shoal_worker_ready returns the session when it is time for that. Until then the host does
 * as for SHOAL_FEED_PARKED, whatever the feed said. Inside a round. */
SHOAL_API SHOAL_MUST_USE bool shoal_session_hold(shoal_session *session, shoal_slice said);

/* What a session will look for first; see shoal_session_foresee. */
typedef struct shoal_foresight {
    uint64_t words[4]; /* the node's own */
} shoal_foresight;

/* A hint, worth giving where several connections have bytes in one round: these bytes will be fed
 * to the session next. Looks for the first key in them and asks the processor for the memory where
 * it stands, so that the sessions' cache misses overlap. False when there is nothing to foresee.
 * `in` must stay where it is until the feed. Inside a round. */
SHOAL_API bool shoal_session_foresee(const shoal_session *session, shoal_slice in,
                                     shoal_foresight *out);

/* Steps of shoal_session_foresee_more. */
#define SHOAL_FORESEE_STEPS 2u

/* Goes on where a session has foreseen something: steps 0 .. SHOAL_FORESEE_STEPS - 1, each taken
 * for all connections of the round before the next. Inside the same round. */
SHOAL_API void shoal_session_foresee_more(const shoal_session *session,
                                          const shoal_foresight *foresight, uint32_t step);

/* Tells how many reply bytes the host still holds for this connection, for the limits and
 * CLIENT LIST. False when that is more than this client may leave unread: the connection is to be
 * ended at once, without those bytes. Inside a round. */
SHOAL_API bool shoal_session_backlog(shoal_session *session, size_t bytes);

/* Ends a session: the connection is gone, or goes. A command of it that is still on its way is
 * carried out, its reply dropped. The pointer is dead afterwards. Inside a round. */
SHOAL_API void shoal_session_close(shoal_session *session);

/* The host's own pointer, from the options. */
SHOAL_API void *shoal_session_owner(const shoal_session *session);

#ifdef __cplusplus
}
#endif

#endif
