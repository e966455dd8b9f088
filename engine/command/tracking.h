/* SPDX-License-Identifier: MIT
 *
 * command/tracking.h - CLIENT TRACKING: clients that keep copies of what they read are told when it
 * changes. What a client has read is known to its own worker only (tracking_table.h). Who changes a
 * key says so to each worker that has such clients, by inbox, and the worker tells those whom it
 * concerns.
 *
 * Claims:
 *   K1  Nothing is missed. A client's keys are noted by its worker before the command that reads
 *       them runs. A change that this reading does not see is made behind it, and is told to the
 *       worker behind that: so it finds the note.
 *   K2  From the reply to CLIENT TRACKING ON on. The command visits every worker once the worker of
 *       the client counts as one that has such clients: what a worker has changed before the visit
 *       is seen by reads behind the reply, and for what it changes later it reads that count.
 *       The control actor, which no tour visits, adds nothing to it and so reads it as it is.
 *   K3  In order. A change is not told to a client between the moment at which a command of its own
 *       begins to read and the reply to that, if they are apart: it is told behind the reply, or
 *       the client would keep what it is told of too early. Until the reply the note stays.
 *   K4  Where nobody tracks, a write costs one more load.
 *
 * Redis's differences: names are tracked whatever their database, as there; with BCAST the changes
 * that a worker hears of in one round are told together.
 */
#ifndef SHOAL_COMMAND_TRACKING_H
#define SHOAL_COMMAND_TRACKING_H

#include "base/atomic.h"
#include "command/command.h"
#include "command/tracking_table.h"
#include "store/change.h"

/* See worker.h. */
struct shoal_worker;

/* What CLIENT TRACKING has been asked for. */
typedef struct shoal_tracking_options {
    uint64_t redirect; /* client id, or 0 */
    uint32_t redirect_worker;
    bool bcast, optin, optout, noloop;
} shoal_tracking_options;

/* One client that tracks: session->tracker. Keys may point to it for longer than that. */
struct shoal_tracker {
    uint64_t serial;        /* of its worker: later ones have more */
    uint64_t id;            /* of the client */
    shoal_session *session; /* NULL: it tracks no longer */
    shoal_tracking_options options;
    uint64_t references;   /* keys that point to it */
    bool caching;          /* CLIENT CACHING, for the next command */
    bool broken;           /* whom it redirects to has gone */
    uint32_t prefix_count; /* BCAST */
    size_t prefix_bytes;   /* that these take, roughly */
    shoal_buffer late;     /* what it is told behind the reply that it waits for */
    shoal_tracker *next, *previous;
};

/* A prefix, and who wants to hear of keys that begin so, in the order of their serials. */
typedef struct shoal_tracking__prefixed {
    struct shoal_tracking__prefixed *next;
    shoal_tracker **trackers;
    uint32_t count, capacity;
    size_t size;
    char bytes[];
} shoal_tracking__prefixed;

/* What a worker knows: worker->tracking. */
typedef struct shoal_tracking {
    shoal_tracked_table table;
    shoal_tracking__prefixed *prefixes; /* in the order of their bytes */
    shoal_tracker *first;               /* who tracks, the newest first */
    shoal_session *targets;             /* that others redirect to */
    uint64_t serials;                   /* given so far */
} shoal_tracking;

/* ---- who changes keys; any thread of the store, inside a batch ---- */

/* Does anybody want to know? */
static inline bool shoal_tracking__wanted(const shoal_env *env)
{
    return __builtin_expect(shoal_load_relaxed(&env->trackers) != 0, 0);
}
/* A key has changed, by a command of client `id`, or by itself (0). Under its gate. */
void shoal_tracking__changed(shoal_env *env, const shoal_key *key, uint64_t id);
/* The same question behind a change, exact on threads that no tour visits (claim K2). */
bool shoal_tracking__asked(shoal_env *env, const shoal_thread *thread);
/* A key went by itself, or a field of a hash. */
void shoal_tracking__gone(shoal_env *env, const shoal_thread *thread,
                          const shoal_departure *departure);
/* All keys have changed: FLUSHALL, other data. */
void shoal_tracking_flushed(shoal_env *env);

/* ---- for sessions and workers, inside a round ---- */

/* The session is about to read these keys with one command or transaction. */
void shoal_tracking__read(shoal_session *session, const shoal_key *keys, uint32_t count);
/* Will the session be told of what it reads now? */
bool shoal_tracking__reads(const shoal_session *session);
/* A command of the session is over: what CLIENT CACHING said was about it. */
void shoal_tracking__next(shoal_session *session, shoal_command_id id);
/* Appends what was to be told behind the reply that has just been appended. */
void shoal_tracking__deliver(shoal_session *session, shoal_buffer *out);
/* Tells the worker's sessions what has been said to it. */
void shoal_tracking__catch_up(struct shoal_worker *worker);
/* The session tracks from now on, or in another way. `prefixes`, of BCAST, are added; none: all
 * keys. False without memory; then it does not track. */
SHOAL_MUST_USE bool shoal_tracking__join(shoal_session *session,
                                         const shoal_tracking_options *options,
                                         const shoal_slice *prefixes, uint32_t count);
/* It tracks no longer. */
void shoal_tracking__leave(shoal_session *session);
/* Marks a session of this worker as one that others redirect to; true when there is such a one. */
bool shoal_tracking__target(struct shoal_worker *worker, uint64_t id);
/* A prefix of a session's, by index; false behind the last. */
bool shoal_tracking__prefix(const shoal_session *session, uint32_t index, shoal_slice *prefix);
/* The session of this worker that is marked so, or NULL. */
shoal_session *shoal_tracking__find_target(const struct shoal_worker *worker, uint64_t id);
/* The session ends, and others may redirect to it. */
void shoal_tracking__untarget(shoal_session *session);
/* Takes back what a tour of CLIENT TRACKING has announced, also one that comes home to nobody. */
void shoal_tracking__unannounce(shoal_env *env, shoal_tour *tour);
/* So many keys point no longer to a tracker; with the last it is freed, if it tracks no longer. */
void shoal_tracking__release(const shoal_env *env, shoal_tracker *tracker, uint64_t references);
/* Forgets a key with all who have read it. */
void shoal_tracking__forget(struct shoal_worker *worker, shoal_tracked *tracked);
/* Publishes the worker's sums. */
void shoal_tracking__count(struct shoal_worker *worker);
/* The worker ends: frees what it has, and what lies in its inbox. */
void shoal_tracking__drop(struct shoal_worker *worker);

/* ---- for INFO ---- */

/* Sums over the workers, relaxed. */
typedef struct shoal_tracking_facts {
    uint64_t keys, items, prefixes, clients;
} shoal_tracking_facts;
shoal_tracking_facts shoal_tracking_facts_get(const shoal_env *env);

#endif
