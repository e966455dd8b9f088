/* SPDX-License-Identifier: MIT
 *
 * command/hold.h: the sessions of a worker whose replies wait for the log to be safe. They are few
 * or they are all that wait for one sync, so the list is looked through as a whole.
 */
#include "command/hold.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "command/replica.h"
#include "command/worker.h"

/* Workers share the bits of the set. */
#define HOLDER_BITS 64u

void shoal_hold_release(shoal_env *env, uint64_t offset)
{
    SHOAL_ASSERT(env->worker_count > 0);
    shoal_store_release(&env->released, offset); /* pair: env.released */
    if (shoal_load_relaxed(&env->holders) == 0 && env->worker_count == 1) return;
    uint64_t holders = shoal_exchange_acq_rel(&env->holders, 0); /* pair: env.holders */
    for (uint32_t i = 0; holders != 0 && i < env->worker_count; i++) {
        if ((holders >> i % HOLDER_BITS & 1) != 0) env->host->nudge(env->host->context, 1 + i);
    }
}

uint64_t shoal_hold_released(const shoal_env *env)
{
    SHOAL_DEBUG_ASSERT(env->worker_count > 0);
    return shoal_load_acquire(&env->released); /* pair: env.released */
}

void shoal_hold_void(shoal_env *env)
{
    SHOAL_ASSERT(env->worker_count > 0);
    /* Who sees what is released next sees this too: pair env.released. */
    shoal_add_relaxed(&env->voids, 1u);
}

/* What has been on hold since the worker's round began, and before, is void. */
static bool is_void(const shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    return worker->voids != shoal_load_relaxed(&worker->env->voids);
}

/* The worker has sessions on hold, and whoever releases more shall say so. */
static void join_holders(const shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    uint64_t bit = (uint64_t)1 << worker->index % HOLDER_BITS;
    (void)shoal_or_acq_rel(&worker->env->holders, bit); /* pair: env.holders */
}

static void link_held(shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(!session->is_held);
    shoal_session_list *list = &session->worker->held;
    session->is_held = true;
    session->holding = (shoal_session_link){.previous = list->last};
    *(list->last != NULL ? &list->last->holding.next : &list->first) = session;
    list->last = session;
}

void shoal_hold__forget(shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(session->worker != NULL);
    if (!session->is_held) return;
    shoal_session_list *list = &session->worker->held;
    shoal_session_link link = session->holding;
    *(link.previous != NULL ? &link.previous->holding.next : &list->first) = link.next;
    *(link.next != NULL ? &link.next->holding.previous : &list->last) = link.previous;
    session->is_held = false;
}

/* Whether what the session has written is as safe as the policy says. A place behind the log's end
 * is one in a log that has begun again at an earlier one, as a replica's does with the data of its
 * master: what stood there has gone with the data, and nothing will ever be written of it. */
static bool is_safe(const shoal_session *session, uint64_t released)
{
    SHOAL_DEBUG_ASSERT(session->worker != NULL);
    const shoal_log *log = session->worker->env->log;
    return session->logged <= released || (log != NULL && session->logged > shoal_log_end(log));
}

/* Ends a session whose replies acknowledge what is void. */
static void disown(shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(!session->is_held);
    shoal_buffer_free(&session->kept);
    shoal_session__kill(session);
}

void shoal_hold__look(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    if (worker->held.first != NULL) join_holders(worker);
    uint64_t released = shoal_hold_released(worker->env);
    bool voided = is_void(worker);
    worker->voids = shoal_load_relaxed(&worker->env->voids);
    for (shoal_session *session = worker->held.first, *next; session != NULL; session = next) {
        next = session->holding.next;
        if (!voided && !is_safe(session, released)) continue;
        shoal_hold__forget(session);
        if (voided)
            disown(session);
        else
            shoal_worker__wake(session);
    }
}

void shoal_hold__deliver(shoal_session *session, shoal_buffer *out)
{
    SHOAL_DEBUG_ASSERT(!session->dead);
    shoal_hold__forget(session);
    if (shoal_buffer_size(&session->kept) == 0) return;
    shoal_buffer_append(out, shoal_buffer_slice(&session->kept));
    if (session->kept.failed) out->failed = true;
    shoal_buffer_free(&session->kept);
    session->kept.failed = false;
}

void shoal_worker_commit(shoal_worker *worker)
{
    SHOAL_ASSERT(worker->inside);
    const shoal_env *env = worker->env;
    if (env->commit != NULL) env->commit(env->commit_context, worker->now);
    shoal_replica__wake(worker);
}

bool shoal_session_hold(shoal_session *session, shoal_slice said)
{
    SHOAL_DEBUG_ASSERT(session->worker->inside && !session->dead);
    SHOAL_DEBUG_ASSERT(!session->is_held);
    const shoal_env *env = session->worker->env;
    if (env->commit == NULL || session->logged == 0) return false;
    if (is_safe(session, shoal_hold_released(env)) && !is_void(session->worker)) return false;
    if (SHOAL_MUTANT(REPLY_UNSYNCED)) return false;
    link_held(session);
    join_holders(session->worker);
    if (is_safe(session, shoal_hold_released(env)) && !is_void(session->worker)) {
        shoal_hold__forget(session);
        return false;
    }
    shoal_buffer_append(&session->kept, said);
    return true;
}
