/* SPDX-License-Identifier: MIT
 *
 * command/worker.c - a worker's round: what its inbox brought, which sessions to look at, idle
 * connections, background work of the store, and the counters.
 */
#include "command/worker.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "command/block.h"
#include "command/hold.h"
#include "command/job.h"
#include "command/pause.h"
#include "command/pubsub.h"
#include "command/purge.h"
#include "command/replica.h"
#include "command/tracking.h"
#include "store/change.h"

/* How soon after a write the store is asked for background work. Chosen: long enough that a busy
 * worker asks a hundred times a second, short enough that retired memory does not pile up. */
#define MAINTAIN_DELAY_US 10000
/* A worker with nothing to do looks so often whether others have given its memory back. Chosen. */
#define LENT_INTERVAL_US 2000000
/* What the store may take for it. Chosen: 1 % of the delay. */
#define MAINTAIN_BUDGET_US 100u

/* Idle sessions are looked for this often, so many at a time: 100,000 sessions are seen within
 * twenty seconds, and no round takes longer than a few tens of microseconds for it. Chosen. */
#define SWEEP_INTERVAL_US 100000
#define SWEEP_SESSIONS 512u

/* ---- making ---- */

shoal_err shoal_worker_make(shoal_env *env, uint32_t index, shoal_worker **out)
{
    SHOAL_ASSERT(env != NULL && env->store != NULL && env->host != NULL);
    SHOAL_ASSERT(index < env->worker_count);
    shoal_worker *worker = env->allocator.allocate_zeroed(env->allocator.context, sizeof(*worker),
                                                          _Alignof(shoal_worker));
    if (worker == NULL) return SHOAL_ERR_NO_MEMORY;
    worker->env = env;
    worker->index = index;
    worker->thread = shoal_store_thread(env->store, index);
    worker->maintain_at = SHOAL_NEVER;
    worker->topics.allocator = env->allocator;
    worker->rests = true;
    shoal_store_relaxed(&worker->resting, true);
    shoal_lookup__make(&worker->lookup);
    *out = worker;
    return 0;
}

void shoal_worker_free(shoal_worker *worker)
{
    SHOAL_ASSERT(!worker->inside);
    SHOAL_ASSERT(worker->sessions.first == NULL);
    const shoal_allocator *allocator = &worker->env->allocator;
    shoal_job__drop_all(worker);
    shoal_slots_purge_drop(worker);
    shoal_pubsub__drop(worker);
    shoal_tracking__drop(worker);
    shoal_topics__end(&worker->topics);
    shoal_batch__free(worker);
    shoal_timing__free(worker);
    allocator->release(allocator->context, worker, sizeof(*worker), _Alignof(shoal_worker));
}

/* ---- the round ---- */

/* Zeroes the counters when CONFIG RESETSTAT asked for it. */
static void obey_reset(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    uint64_t wanted = shoal_load_relaxed(&worker->resets_wanted);
    if (wanted == shoal_load_relaxed(&worker->resets_done)) return;
    for (uint32_t i = 0; i < SHOAL_STAT_COUNT; i++) shoal_store_relaxed(&worker->stats[i], 0);
    for (uint32_t i = 0; i < SHOAL_COMMAND_COUNT; i++) {
        shoal_store_relaxed(&worker->tallies[i].calls, 0);
        shoal_store_relaxed(&worker->tallies[i].rejected, 0);
        shoal_store_relaxed(&worker->tallies[i].failed, 0);
        shoal_timing__reset(&worker->tallies[i]);
    }
    shoal_store_relaxed(&worker->resets_done, wanted);
}

static void drain(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    shoal_op *op = shoal_inbox_take(&worker->inbox);
    while (op != NULL) {
        shoal_op *next = op->next;
        op->run(op, worker);
        op = next;
    }
}

void shoal_worker_begin(shoal_worker *worker, shoal_time now)
{
    SHOAL_ASSERT(!worker->inside);
    shoal_thread_enter(worker->thread, now);
    worker->inside = true;
    worker->rounds++;
    worker->now = now;
    /* pair: env.settings */
    worker->settings = shoal_load_acquire(&worker->env->settings);
    SHOAL_ASSERT(worker->settings != NULL);
    if (worker->rests && !shoal_load_relaxed(&worker->resting)) worker->maintain_at = now.mono_us;
    uint32_t looks = shoal_load_relaxed(&worker->looks_wanted);
    if (worker->looks != looks) worker->maintain_at = now.mono_us;
    worker->looks = looks;
    obey_reset(worker);
    drain(worker);
    shoal_pubsub__catch_up(worker);
    shoal_tracking__catch_up(worker);
    if (worker->topics.dead != NULL) shoal_topics__collect(&worker->topics, worker->thread);
    shoal_hold__look(worker);
    shoal_pause__tick(worker);
    shoal_block__tick(worker);
    /* What others have appended since the last round is sent in this one. */
    if (worker->replicas != NULL) shoal_replica__wake(worker);
}

shoal_session *shoal_worker_ready(shoal_worker *worker)
{
    SHOAL_ASSERT(worker->inside);
    shoal_session *session = worker->ready.first;
    if (session == NULL) return NULL;
    /* What stopped in this round to let others have their turn stands behind all who had been woken
     * before. */
    if (session->yielded && session->yielded_round == worker->rounds) return NULL;
    worker->ready.first = session->waiting.next;
    if (worker->ready.first != NULL) {
        worker->ready.first->waiting.previous = NULL;
    } else {
        worker->ready.last = NULL;
    }
    session->waiting = (shoal_session_link){0};
    session->is_ready = false;
    return session;
}

/* Kills sessions that have been idle for too long, also those that only wait for their client to
 * read its last replies; parked ones are not idle. And those above the soft limit of output.
 * Returns when it wants to look again. */
static int64_t sweep_idle(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    bool idle = worker->settings->timeout_s != 0, soft = worker->settings->output_soft_max != 0;
    if (worker->settings->pushes_soft_max != 0)
        soft = soft || shoal_load_relaxed(&worker->topics.subscriptions) != 0;
    if ((!idle && !soft) || worker->session_count == 0) return SHOAL_NEVER;
    int64_t now = worker->now.mono_us;
    if (now < worker->sweep_at) return worker->sweep_at;

    int64_t oldest = now - (int64_t)worker->settings->timeout_s * 1000000;
    shoal_session *session = worker->sweep_next;
    for (uint32_t seen = 0; seen < SWEEP_SESSIONS && seen < worker->session_count; seen++) {
        if (session == NULL) session = worker->sessions.first;
        if (idle && session->active_us < oldest && session->errand == NULL && !session->paused &&
            session->replica == NULL && shoal_pubsub__subscriptions(session) == 0)
            shoal_session__kill(session);
        if (session->output_soft_us != 0 && !shoal_session__output_fits(session, 0))
            shoal_session__kill(session);
        session = session->all.next;
    }
    worker->sweep_next = session;
    worker->sweep_at = now + SWEEP_INTERVAL_US;
    return worker->sweep_at;
}

static bool any_volatile(const shoal_worker *worker)
{
    SHOAL_ASSERT(worker->settings->databases > 0);
    for (uint32_t db = 0; db < worker->settings->databases; db++) {
        if (shoal_store_count_volatile(worker->env->store, db) != 0) return true;
    }
    return false;
}

/* Keys of a writable replica's own are looked after by the first worker. */
static void rouse_first(shoal_worker *worker)
{
    const shoal_env *env = worker->env;
    SHOAL_ASSERT(env->worker_count > 0);
    shoal_worker *first = env->workers[0];
    /* pair: worker.resting */
    if (first != worker && shoal_exchange_acq_rel(&first->resting, false))
        env->host->nudge(env->host->context, 1);
}

/* Keys with a TTL may lie in the share of a worker that found nothing to do and sleeps. */
static void rouse_others(shoal_worker *worker)
{
    const shoal_env *env = worker->env;
    SHOAL_ASSERT(env->worker_count > 0);
    if (env->worker_count == 1 || !any_volatile(worker)) return;
    if (shoal_store_own_waits(env->store)) rouse_first(worker);
    /* Where nothing is swept they would find nothing to do, and rouse this one. */
    if (!shoal_store_active_expire(env->store)) return;
    for (uint32_t i = 0; i < env->worker_count; i++) {
        shoal_worker *other = env->workers[i];
        /* pair: worker.resting */
        if (other != worker && shoal_exchange_acq_rel(&other->resting, false))
            env->host->nudge(env->host->context, 1 + i);
    }
}

/* The store's background work of this thread. The worker says that it rests before it looks: one
 * that writes afterwards sees that and nudges, one that wrote before is seen by the look. */
static void maintain(shoal_worker *worker)
{
    SHOAL_ASSERT(worker->inside);
    /* pair: worker.resting */
    (void)shoal_exchange_acq_rel(&worker->resting, true);
    int64_t wish = shoal_store_maintain(worker->thread, MAINTAIN_BUDGET_US);
    worker->rests = wish == SHOAL_NEVER;
    if (!worker->rests) {
        shoal_store_relaxed(&worker->resting, false);
        worker->maintain_at = worker->now.mono_us + wish;
    } else {
        bool lends = shoal_thread_lends(worker->thread);
        worker->maintain_at = lends ? worker->now.mono_us + LENT_INTERVAL_US : SHOAL_NEVER;
    }
    rouse_others(worker);
}

int64_t shoal_worker_end(shoal_worker *worker)
{
    SHOAL_ASSERT(worker->inside);
    shoal_worker__evict_clients(worker);
    if (worker->now.mono_us >= worker->maintain_at) maintain(worker);
    int64_t idle_at = sweep_idle(worker);
    int64_t wake_at = shoal_job__wake(worker);
    if (wake_at < idle_at) idle_at = wake_at;
    int64_t pause_at = shoal_pause__deadline(worker);
    if (pause_at < idle_at) idle_at = pause_at;
    shoal_batch__trim(worker);
    shoal_thread_leave(worker->thread);
    worker->inside = false;
    /* Sessions that were killed or yielded behind the host's look for such; or others' work. */
    if (worker->ready.first != NULL || shoal_thread_busy(worker->thread))
        return worker->now.mono_us;
    int64_t deadline = idle_at < worker->maintain_at ? idle_at : worker->maintain_at;
    const shoal_heap_node *wait = worker->deadlines.first;
    return wait != NULL && wait->key < deadline ? wait->key : deadline;
}

void shoal_worker__wake(shoal_session *session)
{
    SHOAL_ASSERT(!session->dead);
    if (session->is_ready) return;
    shoal_worker *worker = session->worker;
    session->is_ready = true;
    session->waiting = (shoal_session_link){.previous = worker->ready.last};
    if (worker->ready.last != NULL) {
        worker->ready.last->waiting.next = session;
    } else {
        worker->ready.first = session;
    }
    worker->ready.last = session;
}

void shoal_worker__post(shoal_worker *worker, shoal_op *op)
{
    SHOAL_DEBUG_ASSERT(op->run != NULL);
    /* The operation may be gone as soon as it is pushed; the worker outlives its operations. */
    const shoal_host *host = worker->env->host;
    uint32_t actor = 1 + worker->index;
    if (shoal_inbox_push(&worker->inbox, op)) host->nudge(host->context, actor);
}

void shoal_env_refuse(shoal_env *env, uint32_t bits, bool set)
{
    uint32_t before = shoal_load_relaxed(&env->refuses);
    uint32_t after = set ? before | bits : before & ~bits;
    SHOAL_ASSERT(bits != 0);
    if (before != after) shoal_store_relaxed(&env->refuses, after);
}

void shoal_worker__dirty(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    int64_t soon = worker->now.mono_us + MAINTAIN_DELAY_US;
    if (soon >= worker->maintain_at) return;
    worker->maintain_at = soon;
    worker->rests = false;
    shoal_store_relaxed(&worker->resting, false);
}

/* ---- counters ---- */

void shoal_worker__count_error(shoal_worker *worker, shoal_slice text)
{
    static const struct {
        shoal_stat stat;
        const char *code;
    } codes[] = {
        {SHOAL_STAT_ERROR_MOVED, "MOVED"},         {SHOAL_STAT_ERROR_ERR, "ERR"},
        {SHOAL_STAT_ERROR_WRONGTYPE, "WRONGTYPE"}, {SHOAL_STAT_ERROR_NOAUTH, "NOAUTH"},
        {SHOAL_STAT_ERROR_WRONGPASS, "WRONGPASS"}, {SHOAL_STAT_ERROR_NOPROTO, "NOPROTO"},
        {SHOAL_STAT_ERROR_LOADING, "LOADING"},     {SHOAL_STAT_ERROR_OOM, "OOM"},
        {SHOAL_STAT_ERROR_CROSSSLOT, "CROSSSLOT"}, {SHOAL_STAT_ERROR_CLUSTERDOWN, "CLUSTERDOWN"},
        {SHOAL_STAT_ERROR_EXECABORT, "EXECABORT"}, {SHOAL_STAT_ERROR_UNBLOCKED, "UNBLOCKED"},
        {SHOAL_STAT_ERROR_BUSYKEY, "BUSYKEY"},
    };
    SHOAL_ASSERT(text.size > 0);
    size_t size = 0;
    while (size < text.size && text.data[size] != ' ' && text.data[size] != '\r') size++;
    shoal_slice code = {text.data, size};
    shoal_stat stat = SHOAL_STAT_ERROR_OTHER;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (!shoal_text_equal(code, shoal_text(codes[i].code))) continue;
        stat = codes[i].stat;
        break;
    }
    shoal_worker__count(worker, stat, 1);
    shoal_worker__count(worker, SHOAL_STAT_ERRORS, 1);
}

bool shoal_worker__counts(const shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->env != NULL);
    return shoal_load_relaxed(&worker->resets_wanted) == shoal_load_relaxed(&worker->resets_done);
}

uint64_t shoal_stat_sum(const shoal_env *env, shoal_stat stat)
{
    SHOAL_ASSERT(stat < SHOAL_STAT_COUNT);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < env->worker_count; i++) {
        const shoal_worker *worker = env->workers[i];
        if (shoal_worker__counts(worker)) sum += shoal_load_relaxed(&worker->stats[stat]);
    }
    return sum;
}

uint64_t shoal_session_bytes(const shoal_env *env)
{
    SHOAL_ASSERT(env != NULL);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < env->worker_count; i++) {
        const shoal_worker *worker = env->workers[i];
        if (worker != NULL) sum += shoal_load_relaxed(&worker->session_bytes);
    }
    return sum;
}

void shoal_worker_rouse(const shoal_env *env)
{
    SHOAL_ASSERT(env->host != NULL);
    for (uint32_t i = 0; i < env->worker_count; i++) {
        struct shoal_worker *worker = env->workers[i];
        if (worker == NULL) continue;
        shoal_add_relaxed(&worker->looks_wanted, 1u);
        env->host->nudge(env->host->context, 1 + i);
    }
}

void shoal_stat_reset(shoal_env *env)
{
    SHOAL_ASSERT(env != NULL);
    for (uint32_t i = 0; i < env->worker_count; i++)
        shoal_bump_relaxed(&env->workers[i]->resets_wanted, 1);
    for (uint32_t id = 0; id < SHOAL_COMMAND_COUNT; id++) shoal_store_relaxed(&env->applied[id], 0);
}

shoal_command_count shoal_command_count_get(const shoal_env *env, shoal_command_id id)
{
    SHOAL_ASSERT(id > SHOAL_COMMAND_NONE && id < SHOAL_COMMAND_COUNT);
    shoal_command_count sum = {0};
    for (uint32_t i = 0; i < env->worker_count; i++) {
        const shoal_worker *worker = env->workers[i];
        if (!shoal_worker__counts(worker)) continue;
        sum.calls += shoal_load_relaxed(&worker->tallies[id].calls);
        sum.rejected += shoal_load_relaxed(&worker->tallies[id].rejected);
        sum.failed += shoal_load_relaxed(&worker->tallies[id].failed);
        sum.took_ns += shoal_load_relaxed(&worker->tallies[id].took_ns);
    }
    sum.calls += shoal_load_relaxed(&env->applied[id]);
    return sum;
}
