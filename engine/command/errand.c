/* SPDX-License-Identifier: MIT
 *
 * command/errand.c - commands that travel: to the thread that holds a gate, to the control actor,
 * or from worker to worker. An errand is a copy of the command with its keys and a reply of its
 * own; its session is parked until it comes home.
 *
 *   1  An errand belongs to whoever holds it: dispatch, a gate, the control actor, a worker it
 *      visits. Its session is touched by the session's own worker only, after it came home.
 *   2  A session has at most one errand, so replies keep the order of the requests.
 *   3  A session that is closed while its errand is away is freed when the errand comes home.
 */
#include <string.h>

#include "base/assert.h"
#include "command/block.h"
#include "command/effect.h"
#include "command/handlers.h"
#include "command/job.h"
#include "command/multi.h"
#include "command/replica.h"
#include "command/tracking.h"
#include "command/watch.h"

/* ---- making ---- */

/* Offsets of the parts of an errand's memory. */
typedef struct layout {
    size_t argv, keys, places, bytes, total;
} layout;

static layout plan_layout(const shoal_call *call)
{
    SHOAL_ASSERT(call->argc > 0);
    layout plan;
    plan.argv = (sizeof(shoal_errand) + 15) & ~(size_t)15;
    plan.keys = plan.argv + call->argc * sizeof(shoal_slice);
    plan.places = plan.keys + call->key_count * sizeof(shoal_key);
    plan.bytes = plan.places + call->key_count * sizeof(uint32_t);
    plan.total = plan.bytes;
    for (uint32_t i = 0; i < call->argc; i++) plan.total += call->argv[i].size;
    return plan;
}

void shoal_errand__copy_arguments(const shoal_call *call, shoal_slice *argv, shoal_key *keys,
                                  char *bytes)
{
    uint32_t key = 0;
    for (uint32_t i = 0; i < call->argc; i++) {
        shoal_slice from = call->argv[i];
        if (from.size != 0) memcpy(bytes, from.data, from.size);
        argv[i] = (shoal_slice){bytes, from.size};
        /* Keys stand in the order of the arguments, and borrow from them: one each, but for MOVE,
         * whose two are one name in two databases. */
        while (key < call->key_count && call->keys[key].name.data == from.data &&
               call->keys[key].name.size == from.size) {
            keys[key] = call->keys[key];
            keys[key++].name.data = bytes;
        }
        bytes += from.size;
    }
    SHOAL_ASSERT(key == call->key_count);
}

shoal_errand *shoal_errand__make(shoal_session *session, const shoal_call *call)
{
    SHOAL_ASSERT(session->errand == NULL && !session->dead);
    const shoal_allocator *allocator = &call->env->allocator;
    layout parts = plan_layout(call);
    char *memory = allocator->allocate(allocator->context, parts.total, 16);
    if (memory == NULL) return NULL;
    shoal_errand *errand = (shoal_errand *)(void *)memory;
    *errand = (shoal_errand){
        .command = call->command,
        .argc = call->argc,
        .argv = (shoal_slice *)(void *)(memory + parts.argv),
        .keys = (shoal_key *)(void *)(memory + parts.keys),
        .key_count = call->key_count,
        .db = call->db,
        .protocol = session->protocol,
        .asking = call->asking,
        .reads_replicas = call->reads_replicas,
        .reply = shoal_buffer_make(allocator),
        .session = session,
        .origin = session->worker,
        .tour = {.gathered = shoal_buffer_make(allocator),
                 .asker = session->id,
                 .origin = session->worker->index},
        .client_id = session->id,
        .replica = session->replica,
        .after = session->logged,
        .watches = call->watches,
        .local = session->options.local,
        .memory = parts.total,
    };
    shoal_errand__copy_arguments(call, errand->argv, errand->keys, memory + parts.bytes);
    errand->gate.places = (const uint32_t *)(const void *)(memory + parts.places);
    session->errand = errand;
    session->answered = false;
    shoal_worker__count(session->worker, SHOAL_STAT_PARKED, 1);
    return errand;
}

void shoal_errand__free(shoal_errand *errand)
{
    SHOAL_ASSERT(errand->memory >= sizeof(*errand));
    shoal_block__end(errand);
    /* It may have come home to nobody. */
    if (errand->command->id == SHOAL_COMMAND_CLIENT_TRACKING)
        shoal_tracking__unannounce(errand->origin->env, &errand->tour);
    shoal_buffer_free(&errand->reply);
    shoal_buffer_free(&errand->tour.gathered);
    const shoal_allocator *allocator = &errand->origin->env->allocator;
    allocator->release(allocator->context, errand, errand->memory, 16);
}

/* ---- coming home ---- */

static void come_home(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    SHOAL_ASSERT(runner == errand->origin);
    shoal_session *session = errand->session;
    SHOAL_ASSERT(session->errand == errand && !session->answered);
    /* It may have written later than the background work that was asked for when it left. */
    if ((errand->command->flags & SHOAL_FLAG_WRITE) != 0 || errand->exec != NULL)
        shoal_worker__dirty(errand->origin);
    if (session->dead) {
        if (errand->attach) shoal_replica__attach(session);
        shoal_errand__free(errand);
        shoal_watches__release(session);
        shoal_session__free(session);
        return;
    }
    session->answered = true;
    shoal_worker__wake(session);
}

void shoal_errand_finish(shoal_errand *errand)
{
    SHOAL_ASSERT(errand->session != NULL && errand->origin != NULL);
    SHOAL_ASSERT(errand->gate.op.run != come_home);
    errand->gate.op.run = come_home;
    shoal_worker__post(errand->origin, &errand->gate.op);
}

shoal_call shoal_errand__call(shoal_errand *errand, shoal_thread *thread, shoal_buffer *out)
{
    SHOAL_ASSERT(errand->origin != NULL);
    shoal_env *env = errand->origin->env;
    return (shoal_call){
        .command = errand->command,
        .argc = errand->argc,
        .argv = errand->argv,
        .keys = errand->keys,
        .key_count = errand->key_count,
        .db = errand->db,
        .thread = thread,
        .store = env->store,
        .env = env,
        .now = shoal_thread_now(thread),
        .reply = {.out = out, .protocol = errand->protocol},
        .asking = errand->asking,
        .reads_replicas = errand->reads_replicas,
        .watches = errand->watches,
        .client_id = errand->client_id,
    };
}

/* Appends what an errand that has come home has to say. */
static void append_answer(shoal_session *session, shoal_errand *errand, shoal_buffer *out)
{
    SHOAL_ASSERT(session->errand == errand);
    if (errand->reply.failed || errand->tour.gathered.failed) {
        shoal_reply reply = {.out = out, .protocol = session->protocol};
        shoal_reply_error(&reply, "OOM no memory left for this reply");
    } else if (errand->command->executor == SHOAL_RUN_TOUR) {
        shoal_call call = shoal_errand__call(errand, session->worker->thread, out);
        errand->tour.last = true;
        call.session = session;
        call.worker = session->worker;
        call.tour = &errand->tour;
        errand->command->run(&call);
    } else {
        shoal_buffer_append(out, shoal_buffer_slice(&errand->reply));
    }
    if (errand->close_after) session->closing = true;
}

/* Counts how long an errand took that has come home. */
static void record(shoal_session *session, const shoal_errand *errand)
{
    const shoal_timing_brief what = {errand->command, errand->argc, errand->argv};
    SHOAL_ASSERT(session->errand == errand);
    shoal_timing__record(session, &what, errand->took_ns);
}

/* As deliver, of an errand that is a part of a transaction, which then goes on. */
static void deliver_part(shoal_session *session, shoal_buffer *out)
{
    shoal_errand *errand = session->errand;
    SHOAL_ASSERT(session->exec != NULL && session->answered);
    size_t before = shoal_buffer_size(out);
    if (errand->logged != 0) session->logged = errand->logged;
    if (errand->exec != NULL) {
        shoal_exec__deliver(session, out);
    } else {
        append_answer(session, errand, out);
        record(session, errand);
        session->exec->took_ns += errand->took_ns;
        size_t size = shoal_buffer_size(out) - before;
        if (size != 0 && !out->failed)
            shoal_session__note(session, errand->command,
                                (shoal_slice){out->data + out->start + before, size});
    }
    session->errand = NULL;
    session->answered = false;
    shoal_errand__free(errand);
    shoal_exec__go_on(session, out);
    shoal_session__hush(session, out, before);
}

void shoal_errand__deliver(shoal_session *session, shoal_buffer *out)
{
    SHOAL_ASSERT(session->answered);
    if (session->exec != NULL) {
        deliver_part(session, out);
        return;
    }
    shoal_errand *errand = session->errand;
    size_t before = shoal_buffer_size(out);
    if (errand->logged != 0) session->logged = errand->logged;
    append_answer(session, errand, out);
    shoal_session__settle(session, errand->command, out, before);
    record(session, errand);
    session->errand = NULL;
    session->answered = false;
    if (errand->attach) shoal_replica__attach(session);
    shoal_errand__free(errand);
}

/* ---- ways to go ---- */

/* Runs on whatever thread holds the gates. */
static void run_under_gates(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    SHOAL_ASSERT(errand->key_count > 0 && errand->gate.held == errand->gate.count);
    shoal_thread *thread = runner;
    shoal_call call = shoal_errand__call(errand, thread, &errand->reply);
    call.gated = true;
    /* The slot may have gone to another node while the errand waited, or the node's role. */
    /* pair: env.settings */
    bool cluster = shoal_load_acquire(&call.env->settings)->cluster;
    shoal_access access = shoal_call__access(&call);
    int64_t started_ns = shoal_timing_clock(call.env);
    if (shoal_block__resume(errand, &call) &&
        shoal_role__admit(call.env, call.command->flags, &call.reply) &&
        (!cluster || shoal_route__admit(&access, &call.reply)) && shoal_call__ready(&call))
        shoal_effect__run(&call);
    errand->took_ns += shoal_timing_since(call.env, started_ns);
    if (call.logged != 0) errand->logged = call.logged;
    if (call.wish.type != SHOAL_TYPE_NONE && shoal_block__wait(errand, &call, false)) return;
    shoal_block__leave(errand, thread);
    if (call.job != NULL) {
        shoal_job__park_errand(errand, call.job);
    } else {
        shoal_errand_finish(errand);
    }
}

void shoal_errand__take_places(shoal_errand *errand, const uint32_t *places, uint32_t count)
{
    SHOAL_ASSERT(count >= 1 && count <= errand->key_count);
    /* The errand owns the room that its `places` point to. */
    memcpy((char *)errand + ((const char *)errand->gate.places - (const char *)errand), places,
           count * sizeof(*places));
    errand->gate.count = count;
    errand->gate.op.run = run_under_gates;
}

void shoal_errand__to_gates(shoal_errand *errand, shoal_thread *thread)
{
    SHOAL_ASSERT(errand->gate.op.run == run_under_gates && errand->gate.held == 0);
    (void)shoal_gate_push(thread, &errand->gate);
}

void shoal_errand__again(shoal_errand *errand, shoal_thread *thread)
{
    SHOAL_ASSERT(errand->gate.op.run == run_under_gates);
    errand->gate.held = 0;
    (void)shoal_gate_push(thread, &errand->gate);
}

void shoal_errand__to_control(shoal_errand *errand)
{
    SHOAL_ASSERT(errand->command->executor == SHOAL_RUN_CONTROL);
    const shoal_env *env = errand->origin->env;
    const shoal_host *host = env->host;
    errand->gate.op.run = NULL;
    if (shoal_inbox_push(env->control, &errand->gate.op))
        host->nudge(host->context, SHOAL_ACTOR_CONTROL);
}

/* One worker on the way of a tour. */
static void visit(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    shoal_worker *worker = runner;
    shoal_call call = shoal_errand__call(errand, worker->thread, &errand->reply);
    call.worker = worker;
    call.tour = &errand->tour;
    int64_t started_ns = shoal_timing_clock(call.env);
    errand->command->run(&call);
    errand->took_ns += shoal_timing_since(call.env, started_ns);
    SHOAL_ASSERT(shoal_buffer_size(&errand->reply) == 0);
    shoal_errand__to_tour(errand);
}

void shoal_errand__to_tour(shoal_errand *errand)
{
    shoal_env *env = errand->origin->env;
    SHOAL_ASSERT(errand->stop <= env->worker_count);
    if (errand->stop == env->worker_count) {
        shoal_errand_finish(errand);
        return;
    }
    shoal_worker *next = env->workers[errand->stop++];
    errand->gate.op.run = visit;
    shoal_worker__post(next, &errand->gate.op);
}
