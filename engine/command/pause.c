/* SPDX-License-Identifier: MIT
 *
 * command/pause.c - CLIENT PAUSE and UNPAUSE, and the sessions that wait.
 */
#include "command/pause.h"

#include "base/assert.h"
#include "base/text.h"
#include "command/handlers.h"
#include "command/multi.h"

/* Why keys do not expire by themselves: bits of env->expiry_off. */
#define OFF_BY_DEBUG 1u
#define OFF_BY_PAUSE 2u
#define OFF_BY_ROLE 4u

static void set_expiry(shoal_env *env, uint32_t why, bool on)
{
    SHOAL_ASSERT(why == OFF_BY_DEBUG || why == OFF_BY_PAUSE || why == OFF_BY_ROLE);
    if (on) {
        (void)shoal_and_relaxed(&env->expiry_off, ~why);
    } else {
        (void)shoal_or_relaxed(&env->expiry_off, why);
    }
    bool off = shoal_load_relaxed(&env->expiry_off) != 0;
    shoal_store_set_active_expire(env->store, !off);
    if (on && !off) shoal_worker_rouse(env);
}

void shoal_pause__set_expiry(shoal_env *env, bool on)
{
    SHOAL_ASSERT(env->store != NULL);
    set_expiry(env, OFF_BY_DEBUG, on);
}

void shoal_pause_role_expiry(shoal_env *env, bool on)
{
    SHOAL_ASSERT(env->store != NULL);
    set_expiry(env, OFF_BY_ROLE, on);
}

/* Until when writes wait, whoever wants it. */
static int64_t writes_until(const shoal_env *env)
{
    int64_t client = shoal_load_relaxed(&env->pause_writes_until_us);
    int64_t failover = shoal_load_relaxed(&env->pause_failover_until_us);
    SHOAL_DEBUG_ASSERT(client >= 0 && failover >= 0);
    return client > failover ? client : failover;
}

/* Until when a pause lasts that ends first; SHOAL_NEVER without one. */
static int64_t ends_at(const shoal_env *env)
{
    int64_t all = shoal_load_relaxed(&env->pause_all_until_us);
    int64_t writes = writes_until(env);
    SHOAL_DEBUG_ASSERT(all >= 0 && writes >= 0);
    if (all == 0 || (writes != 0 && writes < all)) all = writes;
    return all == 0 ? SHOAL_NEVER : all;
}

static bool writes(const shoal_session *session, const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    if (command->id == SHOAL_COMMAND_EXEC)
        return session->multi != NULL && (session->multi->flags & SHOAL_FLAG_WRITE) != 0;
    return (command->flags & SHOAL_FLAG_WRITE) != 0;
}

bool shoal_pause__holds(shoal_session *session, const shoal_command *command)
{
    shoal_worker *worker = session->worker;
    const shoal_env *env = worker->env;
    if (__builtin_expect(!shoal_load_relaxed(&env->paused), 1)) return false;
    int64_t now = worker->now.mono_us;
    bool all = now < shoal_load_relaxed(&env->pause_all_until_us);
    bool some = now < writes_until(env);
    if (!all && !(some && writes(session, command))) return false;
    SHOAL_ASSERT(!session->paused && session->errand == NULL);
    session->paused = true;
    worker->paused_count++;
    shoal_add_relaxed(&worker->env->blocked, 1);
    return true;
}

bool shoal_pause__stops(const shoal_env *env, int64_t now_us)
{
    SHOAL_DEBUG_ASSERT(now_us >= 0);
    if (__builtin_expect(!shoal_load_relaxed(&env->paused), 1)) return false;
    return now_us < shoal_load_relaxed(&env->pause_all_until_us) || now_us < writes_until(env);
}

void shoal_pause__leave(shoal_session *session)
{
    if (__builtin_expect(!session->paused, 1)) return;
    SHOAL_ASSERT(session->worker->paused_count > 0);
    session->paused = false;
    session->worker->paused_count--;
    shoal_sub_relaxed(&session->worker->env->blocked, 1);
}

/* Forgets pauses that are over. */
static void expire(shoal_env *env, int64_t now)
{
    int64_t all = shoal_load_relaxed(&env->pause_all_until_us);
    int64_t some = writes_until(env);
    SHOAL_DEBUG_ASSERT(now >= 0);
    if (all != 0 && now >= all) shoal_store_relaxed(&env->pause_all_until_us, 0);
    if (some != 0 && now >= some) {
        shoal_store_relaxed(&env->pause_writes_until_us, 0);
        shoal_store_relaxed(&env->pause_failover_until_us, 0);
    }
    if (now < all || now < some) return;
    shoal_store_relaxed(&env->paused, false);
    set_expiry(env, OFF_BY_PAUSE, true);
}

void shoal_pause__tick(shoal_worker *worker)
{
    shoal_env *env = worker->env;
    bool any = shoal_load_relaxed(&env->paused);
    if (__builtin_expect(!any && worker->paused_count == 0, 1)) return;
    int64_t at = ends_at(env);
    SHOAL_ASSERT(worker->inside);
    if (any && worker->now.mono_us < at) return;
    if (any) expire(env, worker->now.mono_us);
    shoal_session *session = worker->sessions.first;
    for (; session != NULL && worker->paused_count != 0; session = session->all.next) {
        if (session->paused) shoal_worker__wake(session);
    }
}

int64_t shoal_pause__deadline(const shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->env != NULL);
    return shoal_load_relaxed(&worker->env->paused) ? ends_at(worker->env) : SHOAL_NEVER;
}

/* ---- commands ---- */

static void nudge_all(const shoal_env *env)
{
    SHOAL_ASSERT(env->worker_count > 0);
    for (uint32_t i = 0; i < env->worker_count; i++) env->host->nudge(env->host->context, 1 + i);
}

void shoal_command__client_pause(shoal_call *call)
{
    SHOAL_ASSERT(call->worker != NULL);
    bool all = call->argc == 3 || shoal_call__word(call, 3, "all");
    if (call->argc > 4) {
        shoal_reply_error(&call->reply, "ERR unknown subcommand or wrong number of arguments for "
                                        "'pause'. Try CLIENT HELP.");
        return;
    }
    if (!all && !shoal_call__word(call, 3, "write")) {
        shoal_reply_error(&call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return;
    }
    int64_t ms, until;
    bool valid = shoal_text_to_i64(call->argv[2], &ms);
    if (!valid || __builtin_mul_overflow(ms, 1000, &until) ||
        __builtin_add_overflow(until, call->now.mono_us, &until)) {
        shoal_reply_error(&call->reply, "ERR timeout is not an integer or out of range");
        return;
    }
    if (ms < 0) {
        shoal_reply_error(&call->reply, "ERR timeout is negative");
        return;
    }
    shoal_env *env = call->env;
    _Atomic int64_t *place = all ? &env->pause_all_until_us : &env->pause_writes_until_us;
    if (shoal_load_relaxed(place) < until) shoal_store_relaxed(place, until);
    set_expiry(env, OFF_BY_PAUSE, false);
    shoal_store_relaxed(&env->paused, true);
    nudge_all(env);
    shoal_reply_ok(&call->reply);
}

void shoal_pause_failover(shoal_env *env, int64_t until_us)
{
    SHOAL_ASSERT(until_us >= 0);
    if (shoal_load_relaxed(&env->pause_failover_until_us) == until_us) return;
    shoal_store_relaxed(&env->pause_failover_until_us, until_us);
    if (until_us != 0) {
        set_expiry(env, OFF_BY_PAUSE, false);
        shoal_store_relaxed(&env->paused, true);
    } else if (ends_at(env) == SHOAL_NEVER) {
        shoal_store_relaxed(&env->paused, false);
        set_expiry(env, OFF_BY_PAUSE, true);
    }
    nudge_all(env);
}

void shoal_command__client_unpause(shoal_call *call)
{
    shoal_env *env = call->env;
    SHOAL_ASSERT(call->argc == 2);
    shoal_store_relaxed(&env->pause_all_until_us, 0);
    shoal_store_relaxed(&env->pause_writes_until_us, 0);
    if (ends_at(env) == SHOAL_NEVER) {
        shoal_store_relaxed(&env->paused, false);
        set_expiry(env, OFF_BY_PAUSE, true);
    }
    nudge_all(env);
    shoal_reply_ok(&call->reply);
}
