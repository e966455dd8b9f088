/* SPDX-License-Identifier: MIT
 *
 * command/worker.h - the inside of workers and sessions, shared by this room's files only.
 *
 * A worker and its sessions are touched by the thread that drives the worker. What comes from
 * elsewhere comes through `inbox`: errands that were answered, tours that pass by.
 */
#ifndef SHOAL_COMMAND_WORKER_H
#define SHOAL_COMMAND_WORKER_H

#include "base/atomic.h"
#include "command/command.h"
#include "command/lookup.h"
#include "store/route.h"
#include "command/timing.h"
#include "command/topics.h"
#include "wire/alike.h"

/* Requests that are parsed, looked up and prefetched together. */
#define SHOAL_BATCH__REQUESTS 64u
/* Requests whose parsers are allocated together: a worker that never sees a pipeline has one. */
#define SHOAL_BATCH__BLOCK 8u
/* Keys of a batch that are prefetched: what the core can have under way, a few times over. */
#define SHOAL_BATCH__PREFETCH 64u

/* What `places` of a worker is allocated with. */
#define SHOAL_WORKER__PLACES_ALIGNMENT 8u

/* Why a request of a batch cannot run, found while its command was looked up. */
typedef enum shoal_fault {
    SHOAL_FAULT__NONE = 0,
    SHOAL_FAULT__COMMAND,
    SHOAL_FAULT__SUBCOMMAND,
    SHOAL_FAULT__ARITY,
    SHOAL_FAULT__MEMORY
} shoal_fault;

/* One request of a batch. */
typedef struct shoal_entry {
    const shoal_command *command; /* NULL: unknown */
    shoal_request *request;       /* `own`, or the session's parser */
    size_t end;                   /* bytes of the input up to and with this request */
    uint32_t key_at, key_count;   /* into the batch's keys */
    shoal_fault fault;
    shoal_request own;
} shoal_entry;

/* Heads of requests that a worker remembers: chosen, more than most clients use, so that few that
 * are used share a place. */
#define SHOAL_BATCH__LIKES 32u

/* What all requests that begin alike have in common. */
typedef struct shoal_batch_like {
    shoal_request_head head; /* none: nothing is known */
    const shoal_command *command;
    uint32_t key_count; /* where the command's row says */
} shoal_batch_like;

/* The requests that were found together, with everything that was computed ahead. Memory is asked
 * for some keys before it is needed: see shoal_batch__look_ahead. */
typedef struct shoal_batch {
    shoal_entry *blocks[SHOAL_BATCH__REQUESTS / SHOAL_BATCH__BLOCK];
    uint32_t count;
    uint32_t db; /* of the keys' places */
    shoal_key *keys;
    uint32_t key_count, key_capacity;
    uint32_t ready;                                    /* keys that are more than a name so far */
    uint32_t buckets_asked, items_asked, values_asked; /* keys whose memory is on its way so far */
    uint32_t look_at;         /* keys after which the next look ahead has something to do */
    uint64_t gates;           /* a bit for each key whose gate is not asked for yet */
    uint64_t behind;          /* a bit for each key, modulo 64, whose item is in a second bucket */
    uint64_t output_a_key;    /* reply bytes for each key, in the feed before */
    size_t end;               /* bytes of the input that are done when all requests are */
    uint64_t wanted;          /* bytes of input without which another look finds nothing */
    const shoal_request *bad; /* the parser that found an error */
    shoal_request_limits limits;                /* that the parsers of all blocks have */
    shoal_batch_like likes[SHOAL_BATCH__LIKES]; /* each by some of its bytes */
} shoal_batch;

/* Calls of one command at one worker: written by it, read by any. */
typedef struct shoal_tally {
    _Atomic uint64_t calls, rejected, failed; /* relaxed */
    _Atomic uint64_t took_ns;                 /* relaxed */
    /* Made by the worker. release. readers: any, acquire. pair: tally.histogram */
    _Atomic(struct shoal_timing_histogram *) histogram;
} shoal_tally;

/* A list of sessions, linked through one of their link members. */
typedef struct shoal_session_link {
    shoal_session *next, *previous;
} shoal_session_link;
typedef struct shoal_session_list {
    shoal_session *first, *last;
} shoal_session_list;

/* One lane of the data path. */
struct shoal_worker {
    /* Answered errands and passing tours. writer: any, reader: the worker. pair: inbox.push */
    _Alignas(SHOAL_SHARING_SIZE) shoal_inbox inbox;
    shoal_inbox messages;           /* what was published for its sessions; the same */
    shoal_inbox changes;            /* of keys, where sessions track them; the same */
    _Atomic uint32_t tracker_count; /* relaxed: see env->trackers; those of this worker */
    _Atomic bool changes_lost;      /* relaxed: there was no memory for one of them */
    _Atomic uint64_t resets_wanted; /* CONFIG RESETSTAT: writer control, relaxed; reader: worker */
    _Atomic uint32_t looks_wanted;  /* at the store: writer control, relaxed; reader: worker */
    /* Nothing to maintain was found. writer: the worker sets, any that wrote clears and nudges;
     * acq_rel. pair: worker.resting */
    _Atomic bool resting;
    _Alignas(SHOAL_SHARING_SIZE) shoal_env *env;
    uint32_t index;
    shoal_thread *thread;
    shoal_time now;
    const shoal_settings *settings; /* of this round */
    bool inside;                    /* between begin and end */
    uint64_t rounds;                /* begun so far */
    uint32_t demotions, reroutes;   /* obeyed, of the same in env */
    uint32_t voids;                 /* likewise: see hold.h */
    uint32_t looks;                 /* done, of looks_wanted */
    bool rests;                     /* as of its last look: see resting; maintain_at is an alarm */
    int64_t maintain_at;            /* when the store wants its background work, mono us */
    int64_t sweep_at;               /* when idle sessions are looked for, mono us */
    shoal_session *sweep_next;
    shoal_session_list sessions;
    uint32_t session_count;
    shoal_session *monitors;         /* that are told of every command */
    uint32_t paused_count;           /* sessions that CLIENT PAUSE holds */
    shoal_session_list ready;        /* something happened while they were parked or idle */
    shoal_session_list held;         /* their replies wait for the log to be safe, see hold.h */
    struct shoal_replica *replicas;  /* that are fed; see replica.h */
    _Atomic uint32_t replica_count;  /* relaxed: of them */
    uint64_t log_seen;               /* the log's end when others' replicas were told last */
    shoal_topics topics;             /* what its sessions have subscribed to */
    struct shoal_tracking *tracking; /* what they have read, and track; NULL before the first */
    shoal_heap deadlines;            /* of commands that wait for a key */
    shoal_op *sleepers;              /* errands of jobs that wait for a time, see job.h */
    uint32_t *places;                /* scratch for the gates of several keys */
    uint32_t place_capacity;
    shoal_batch batch;
    shoal_timing timing;
    _Atomic uint32_t monitor_count;                                 /* relaxed */
    _Atomic uint64_t tracked_keys, tracked_items, tracked_prefixes; /* relaxed */
    _Atomic uint64_t resets_done;                                   /* relaxed */
    _Atomic uint64_t session_bytes;           /* of all sessions with their buffers; relaxed */
    _Atomic uint64_t stats[SHOAL_STAT_COUNT]; /* relaxed */
    shoal_tally tallies[SHOAL_COMMAND_COUNT];
    shoal_lookup lookup;
};

/* What CLIENT REPLY asked for. SKIP_NEXT becomes SKIP when its own command is over. */
typedef enum shoal_reply_mode {
    SHOAL_REPLY__ON = 0,
    SHOAL_REPLY__OFF,
    SHOAL_REPLY__SKIP_NEXT,
    SHOAL_REPLY__SKIP
} shoal_reply_mode;

/* One connection. */
struct shoal_session {
    shoal_worker *worker;
    int protocol;
    uint32_t db;
    bool authenticated;
    bool closing;        /* no further command runs; the host is told to close */
    bool dead;           /* closed while parked: the errand's return frees it */
    bool is_ready;       /* in worker->ready */
    bool reads_replicas; /* READONLY */
    bool asking;         /* ASKING: the next command, or transaction, may use slots that come in */
    bool no_evict;
    bool paused;     /* its next command waits for the end of a pause */
    bool monitors;   /* it is told of every command */
    bool evicted;    /* it counts no longer, and is about to go */
    bool overflowed; /* more replies wait than may: it goes at once, without them */
    shoal_reply_mode reply_mode;
    shoal_errand *errand;          /* parked: what it waits for */
    struct shoal_multi *multi;     /* between MULTI and EXEC, else NULL */
    struct shoal_multi *exec;      /* EXEC has begun and is not over, else NULL */
    struct shoal_watches *watches; /* what WATCH has named, or NULL */
    struct shoal_replica *replica; /* of a connection that said REPLCONF or PSYNC, else NULL */
    bool answered;                 /* the errand has come home */
    shoal_buffer stash;            /* bytes of an incomplete request, or behind one that parked */
    uint64_t wanted;               /* bytes of stash without which another look finds nothing */
    shoal_request *parser;         /* of a large incomplete request, else NULL */
    shoal_command_id last;         /* of the command that ran last */
    uint64_t id;
    int64_t opened_us, active_us; /* monotonic */
    size_t backlog;               /* reply bytes that the host still holds */
    int64_t output_soft_us;       /* since when they are above the soft limit; 0: they are not */
    size_t weight;                /* its part of worker->session_bytes */
    size_t output_end;            /* of the host's buffer, where this feed stops */
    bool yielded;                 /* it stopped there; the rest of the input is in the stash */
    uint64_t yielded_round;       /* of the worker; it goes on in a later one */
    shoal_buffer name, library_name, library_version;
    shoal_session_options options;
    uint64_t logged;     /* offset of the log behind the last effect that it caused; 0: none */
    bool is_held;        /* in worker->held */
    shoal_buffer kept;   /* replies that are on hold */
    shoal_buffer pushed; /* what it is told without having asked: MONITOR, messages */
    shoal_subscriptions subscribed[SHOAL_TOPIC_KINDS];
    size_t subscribed_bytes;       /* that these take, roughly */
    shoal_session *monitor_next;   /* in worker->monitors */
    struct shoal_tracker *tracker; /* CLIENT TRACKING, or NULL */
    bool is_target;                /* others redirect to it: in tracking->targets */
    shoal_session *target_next;
    shoal_session_link all, waiting, holding; /* worker->sessions, ->ready, ->held */
};

/* ---- worker.c ---- */

/* Adds to a counter of the worker. */
static inline void shoal_worker__count(shoal_worker *worker, shoal_stat stat, uint64_t count)
{
    shoal_bump_relaxed(&worker->stats[stat], count);
}
/* Makes the host come for the session in shoal_worker_ready. */
void shoal_worker__wake(shoal_session *session);
/* Posts an operation to a worker and nudges it when its inbox was empty. Any thread. */
void shoal_worker__post(shoal_worker *worker, shoal_op *op);
/* Ends sessions while all together take more than maxmemory-clients. Inside a round. */
void shoal_worker__evict_clients(shoal_worker *worker);
/* Something was written: the store is asked for background work soon. */
void shoal_worker__dirty(shoal_worker *worker);
/* False while a reset that was asked for has not happened: the counters then read as zero. */
bool shoal_worker__counts(const shoal_worker *worker);
/* Counts the error whose text, from behind the '-', is `text`. */
void shoal_worker__count_error(shoal_worker *worker, shoal_slice text);

/* ---- session.c ---- */

/* Does its client run on this machine? */
bool shoal_session__is_local(const shoal_session *session);
/* Puts back what RESET puts back. */
void shoal_session__reset(shoal_session *session);
/* Ends a session for maxmemory-clients: from now on it takes nothing as far as limits go. */
void shoal_session__evict(shoal_session *session);
/* Asks that the session be closed and wakes it. */
void shoal_session__kill(shoal_session *session);
/* Frees a session that is in no list any more. */
void shoal_session__free(shoal_session *session);

/* ---- client_output.c ---- */

/* Reply bytes that may be added to those that wait before client-output-buffer-limit is reached. */
size_t shoal_session__output_room(const shoal_session *session);
/* False when the replies that wait, with `said` further bytes, are more than this client may have:
 * then it has been logged and counted, and the session closes. */
bool shoal_session__output_fits(shoal_session *session, size_t said);

/* ---- batch.c ---- */

/* Entry `index`, which must exist. */
static inline shoal_entry *shoal_batch__entry(const shoal_batch *batch, uint32_t index)
{
    return &batch->blocks[index / SHOAL_BATCH__BLOCK][index % SHOAL_BATCH__BLOCK];
}
/* Asks for memory that is due when `next` is about to run. */
void shoal_batch__ask(shoal_worker *worker, const shoal_entry *next);
/* Asks for the memory of the keys of `next` and of those behind it, each part some keys before it
 * is needed, so that the misses of a batch overlap with its work. */
static inline void shoal_batch__look_ahead(shoal_worker *worker, const shoal_entry *next)
{
    if (next->key_at + next->key_count >= worker->batch.look_at) shoal_batch__ask(worker, next);
}
/* Finds the requests at the start of `bytes` and makes them ready to run. REQUEST: the batch is
 * full and there may be more behind it. */
shoal_parse shoal_batch__collect(shoal_session *session, shoal_slice bytes);
/* Computes the keys of an entry anew, for a database. */
void shoal_batch__rekey(shoal_session *session, shoal_entry *entry, uint32_t db);
/* Gives unusual amounts of memory back. */
void shoal_batch__trim(shoal_worker *worker);
/* Frees everything. */
void shoal_batch__free(shoal_worker *worker);

/* ---- dispatch.c ---- */

/* The call that a request of the batch asks for; its command is known. */
shoal_call shoal_session__call(const shoal_session *session, const shoal_entry *entry,
                               shoal_reply reply);
/* Admits and runs one request. When it could not run here, session->errand is set. */
void shoal_session__execute(shoal_session *session, shoal_entry *entry, shoal_buffer *out);
/* Runs an admitted call by its executor; what is written of its reply stands behind `before` bytes.
 * When it could not be finished here, session->errand is set. */
void shoal_session__run(shoal_session *session, shoal_call *call, size_t before);
/* Runs a call with keys under their gates, here or as an errand. */
void shoal_session__run_gated(shoal_session *session, shoal_call *call);
/* Counts a call that runs. */
void shoal_session__count(shoal_session *session, const shoal_command *command);
/* Counts what a command, or with NULL a refusal, `said`, if that is an error. */
void shoal_session__note(shoal_session *session, const shoal_command *command, shoal_slice said);
/* Takes away what stands behind `before` bytes of `out` if CLIENT REPLY asked for silence. */
void shoal_session__hush(shoal_session *session, shoal_buffer *out, size_t before);
/* Notes what the reply behind `before` bytes of `out` was, and silences it if it must be. */
void shoal_session__settle(shoal_session *session, const shoal_command *command, shoal_buffer *out,
                           size_t before);

/* ---- errand.c ---- */

/* Copies a call of `session` so that it can run later or elsewhere, and parks the session. NULL
 * without memory. */
shoal_errand *shoal_errand__make(shoal_session *session, const shoal_call *call);
/* The call that an errand carries, as it runs on `thread` and writes to `out`. */
shoal_call shoal_errand__call(shoal_errand *errand, shoal_thread *thread, shoal_buffer *out);
/* Copies the arguments of a call, and its keys so that they point to the copies: to `argv`, `keys`
 * and, one argument behind the other, to `bytes`. */
void shoal_errand__copy_arguments(const shoal_call *call, shoal_slice *argv, shoal_key *keys,
                                  char *bytes);
/* Frees an errand that has come home. */
void shoal_errand__free(shoal_errand *errand);
/* Gives an errand its gates: `places` are ascending and distinct; they are copied. */
void shoal_errand__take_places(shoal_errand *errand, const uint32_t *places, uint32_t count);
/* Hands an errand, whose gate.multi is set, to its gates. */
void shoal_errand__to_gates(shoal_errand *errand, shoal_thread *thread);
/* The same for one that has run there and waits. */
void shoal_errand__again(shoal_errand *errand, shoal_thread *thread);
/* Hands an errand to the control actor. */
void shoal_errand__to_control(shoal_errand *errand);
/* Sends an errand from worker to worker. */
void shoal_errand__to_tour(shoal_errand *errand);
/* Appends the answer of the errand that the session waits for, and ends its parking. */
void shoal_errand__deliver(shoal_session *session, shoal_buffer *out);

/* ---- route.c ---- */

/* Which of the keys of a command or transaction are here; zero before the first is counted. */
typedef struct shoal_presence {
    const shoal_key *first;
    bool multiple; /* they have more than one name */
    bool missing, existing;
} shoal_presence;

/* A command with keys, and whose wish it is. */
typedef struct shoal_access {
    const shoal_env *env;
    const shoal_store *store;
    shoal_thread *thread;
    const shoal_command *command;
    const shoal_key *keys;
    uint32_t key_count;
    bool asking, reads_replicas; /* said the session */
    shoal_presence *presence;    /* of all keys of its transaction; NULL: of its own */
} shoal_access;

/* May a command with these flags change keys here? What was admitted on a master may have waited
 * for a gate until the node followed another. False after writing an error. */
bool shoal_role__admit(const shoal_env *env, uint32_t flags, shoal_reply *reply);
/* In a cluster: may these keys be used here? False after writing a redirection or refusal. */
bool shoal_route__admit(const shoal_access *access, shoal_reply *reply);
/* Counts which keys are here. */
void shoal_route__count(const shoal_access *access, shoal_presence *presence);
/* Is the slot on its way to or from this node? Its commands run under gates then. */
bool shoal_route__moves(const shoal_store *store, uint32_t slot);
/* What a call asks for. */
static inline shoal_access shoal_call__access(const shoal_call *call)
{
    return (shoal_access){.env = call->env,
                          .store = call->store,
                          .thread = call->thread,
                          .command = call->command,
                          .keys = call->keys,
                          .key_count = call->key_count,
                          .asking = call->asking,
                          .reads_replicas = call->reads_replicas};
}

#endif
