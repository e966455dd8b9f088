/* SPDX-License-Identifier: MIT
 *
 * command/job.c - the errands of jobs: how a step gets to its worker or to its gates, and from
 * there to the next. A job belongs to its errand; claims 1 to 3 of errand.c hold for it.
 */
#include "command/job.h"

#include "base/assert.h"
#include "command/effect.h"
#include "command/worker.h"

static void go_on(shoal_errand *errand, shoal_thread *thread, shoal_job_turn turn);

static void drop(shoal_errand *errand)
{
    SHOAL_ASSERT(errand->job != NULL);
    shoal_job *job = errand->job;
    errand->job = NULL;
    job->drop(job, &errand->origin->env->allocator);
}

/* A step, and how it ended. */
typedef struct taken {
    shoal_job *job;
    shoal_job_turn turn;
} taken;

static void take(void *context, shoal_call *call)
{
    taken *now = context;
    SHOAL_DEBUG_ASSERT(call->gated);
    now->turn = now->job->step(now->job, call);
}

static void step(shoal_errand *errand, shoal_thread *thread, bool gated)
{
    SHOAL_ASSERT(errand->job != NULL);
    shoal_call call = shoal_errand__call(errand, thread, &errand->reply);
    call.gated = gated;
    int64_t started_ns = shoal_timing_clock(call.env);
    taken now = {.job = errand->job};
    if (gated && !now.job->stays &&
        !shoal_role__admit(call.env, call.command->flags, &call.reply)) {
        now.turn = SHOAL_JOB_DONE;
    } else if (gated) {
        shoal_effect__run_step(&call, take, &now);
    } else {
        now.turn = now.job->step(now.job, &call);
    }
    errand->took_ns += shoal_timing_since(call.env, started_ns);
    /* Who waits for it waits for what it waits for. */
    if (now.turn == SHOAL_JOB_LATER && now.job->at_us > call.now.mono_us)
        errand->took_ns += (now.job->at_us - call.now.mono_us) * 1000;
    if (call.logged != 0) errand->logged = call.logged;
    SHOAL_ASSERT(call.job == NULL);
    go_on(errand, thread, now.turn);
}

static void step_here(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    shoal_worker *worker = runner;
    SHOAL_ASSERT(worker == errand->origin);
    if ((errand->command->flags & SHOAL_FLAG_WRITE) != 0) shoal_worker__dirty(worker);
    step(errand, worker->thread, false);
}

static void step_under_gates(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    SHOAL_ASSERT(errand->gate.held == errand->gate.count);
    step(errand, runner, true);
}

static void sleep_until(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    shoal_worker *worker = runner;
    SHOAL_ASSERT(worker == errand->origin);
    errand->gate.op.next = worker->sleepers;
    worker->sleepers = &errand->gate.op;
}

/* Sends the errand to where its job goes on. */
static void go_on(shoal_errand *errand, shoal_thread *thread, shoal_job_turn turn)
{
    SHOAL_ASSERT(turn >= SHOAL_JOB_DONE && turn <= SHOAL_JOB_AWAY);
    shoal_job *job = errand->job;
    switch (turn) {
    case SHOAL_JOB_DONE:
        drop(errand);
        shoal_errand_finish(errand);
        return;
    case SHOAL_JOB_AGAIN:
    case SHOAL_JOB_LATER:
        errand->gate.op.run = turn == SHOAL_JOB_AGAIN ? step_here : sleep_until;
        shoal_worker__post(errand->origin, &errand->gate.op);
        return;
    case SHOAL_JOB_GATES:
        errand->gate.places = job->places;
        errand->gate.count = job->place_count;
        errand->gate.held = 0;
        errand->gate.multi = job->multi;
        errand->gate.op.run = step_under_gates;
        (void)shoal_gate_push(thread, &errand->gate);
        return;
    case SHOAL_JOB_AWAY:
        errand->gate.op.run = step_here;
        job->depart(job, errand);
        return;
    }
    SHOAL_UNREACHABLE();
}

void shoal_job_resume(shoal_errand *errand)
{
    SHOAL_ASSERT(errand->job != NULL && errand->gate.op.run == step_here);
    shoal_worker__post(errand->origin, &errand->gate.op);
}

static void park(shoal_errand *errand, shoal_thread *thread, shoal_job *job)
{
    SHOAL_ASSERT(errand->job == NULL && job != NULL);
    SHOAL_ASSERT(job->step != NULL && job->drop != NULL);
    errand->job = job;
    go_on(errand, thread, job->turn == SHOAL_JOB_DONE ? SHOAL_JOB_AGAIN : job->turn);
}

void shoal_job__park_errand(shoal_errand *errand, shoal_job *job)
{
    SHOAL_ASSERT(job->turn == SHOAL_JOB_DONE);
    park(errand, NULL, job);
}

void shoal_job__start(shoal_job *job, shoal_call *call)
{
    SHOAL_ASSERT(call->job == NULL && call->worker != NULL);
    job->turn = job->step(job, call);
    if (job->turn == SHOAL_JOB_DONE) {
        job->drop(job, &call->env->allocator);
    } else {
        call->job = job;
    }
}

void shoal_job__park(shoal_session *session, shoal_call *call, size_t before)
{
    SHOAL_ASSERT(call->job != NULL && session->errand == NULL);
    shoal_job *job = call->job;
    shoal_buffer *out = call->reply.out;
    call->job = NULL;
    shoal_errand *errand = shoal_errand__make(session, call);
    SHOAL_ASSERT(shoal_buffer_size(out) >= before);
    shoal_slice written = {out->data == NULL ? NULL : out->data + out->start + before,
                           shoal_buffer_size(out) - before};
    if (errand != NULL) shoal_buffer_append(&errand->reply, written);
    if (errand != NULL && job->turn == SHOAL_JOB_LATER)
        errand->took_ns = (job->at_us - call->now.mono_us) * 1000;
    if (errand != NULL) {
        out->end = out->start + before;
        park(errand, call->thread, job);
        return;
    }
    bool answered = job->answered;
    job->drop(job, &call->env->allocator);
    if (answered) return;
    out->end = out->start + before;
    shoal_reply_error(&call->reply, "OOM no memory left for this command");
}

void shoal_job__finish(shoal_job *job, shoal_call *call)
{
    SHOAL_ASSERT(job != NULL && call->job == NULL);
    bool gated = call->gated;
    shoal_job_turn turn = SHOAL_JOB_AGAIN;
    while (turn != SHOAL_JOB_DONE) {
        /* Who waits here would wait forever: time stands still within a call. */
        SHOAL_ASSERT(turn != SHOAL_JOB_LATER && turn != SHOAL_JOB_AWAY);
        call->gated = gated && turn == SHOAL_JOB_GATES;
        turn = job->step(job, call);
    }
    call->gated = gated;
    job->drop(job, &call->env->allocator);
}

/* ---- sleepers ---- */

int64_t shoal_job__wake(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    int64_t next = SHOAL_NEVER;
    shoal_op **link = &worker->sleepers;
    while (*link != NULL) {
        shoal_errand *errand = (shoal_errand *)*link;
        int64_t at = errand->job->at_us;
        if (at > worker->now.mono_us) {
            if (at < next) next = at;
            link = &errand->gate.op.next;
            continue;
        }
        *link = errand->gate.op.next;
        errand->gate.op.run = step_here;
        shoal_worker__post(worker, &errand->gate.op);
    }
    return next;
}

void shoal_job__drop_all(shoal_worker *worker)
{
    SHOAL_ASSERT(!worker->inside);
    while (worker->sleepers != NULL) {
        shoal_errand *errand = (shoal_errand *)worker->sleepers;
        worker->sleepers = errand->gate.op.next;
        shoal_session *session = errand->session;
        SHOAL_ASSERT(session->dead);
        drop(errand);
        shoal_errand__free(errand);
        shoal_session__free(session);
    }
}
