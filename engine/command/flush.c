/* SPDX-License-Identifier: MIT
 *
 * command/flush.c - FLUSHDB and FLUSHALL: every place is emptied under its own gate, one after the
 * other, and the session is answered when the last one is empty.
 *
 * What that promises: every key that was there when the command was read is gone when its reply is
 * sent. It is not one moment: another client may see some slots emptied and others not yet, and a
 * key that it writes meanwhile into a slot that was emptied already stays. For one client at a
 * time, and for each key, that cannot be told from Redis's flush.
 *
 * Memory is freed in the background in any case. With SYNC, or without a word where
 * lazyfree-lazy-user-flush is off, the reply waits for that.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/freed.h"
#include "command/handlers.h"
#include "command/places.h"
#include "command/worker.h"

/* The job. */
typedef struct flush_job {
    shoal_places places; /* first */
    shoal_freed *freed;  /* NULL: the reply does not wait */
    bool waits;          /* everything is emptied, and the reply waits */
    bool missed;         /* a place was not emptied for want of memory */
    uint64_t begin;      /* the first place */
} flush_job;

/* When to try again what there was no memory for: once something has been freed. */
#define PAUSE_US 1000

static void clear(shoal_places *places, shoal_call *call)
{
    SHOAL_ASSERT(call->gated);
    if (shoal_store_clear_locked(call->thread, places->place) > 0) return;
    if (shoal_store_count_slot(call->store, places->place) > 0)
        ((flush_job *)places)->missed = true;
}

static shoal_job_turn finish(shoal_places *places, shoal_call *call)
{
    flush_job *work = (flush_job *)places;
    SHOAL_ASSERT(places->next == places->end);
    if (work->missed) {
        work->missed = false;
        places->next = work->begin;
        places->job.at_us = call->now.mono_us + PAUSE_US;
        return SHOAL_JOB_LATER;
    }
    if (work->freed != NULL && !work->waits) {
        work->waits = true;
        shoal_freed__add_all(work->freed, call);
    }
    if (work->waits) {
        shoal_job_turn turn = shoal_freed__step(&work->freed->job, call);
        places->job.at_us = work->freed->job.at_us;
        if (turn != SHOAL_JOB_DONE) return turn;
    }
    shoal_reply_ok(&call->reply);
    return SHOAL_JOB_DONE;
}

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    flush_job *work = (flush_job *)job;
    SHOAL_ASSERT(job->drop == drop);
    if (work->freed != NULL) work->freed->job.drop(&work->freed->job, allocator);
    shoal_memory_give(allocator, work, sizeof(*work), SHOAL_ALIGN_PLAIN);
}

static flush_job *make_job(const shoal_call *call, bool waits)
{
    const shoal_allocator *allocator = &call->env->allocator;
    flush_job *work = shoal_memory_take_zeroed(allocator, sizeof(*work), SHOAL_ALIGN_PLAIN);
    if (work == NULL) return NULL;
    bool all = call->command->id == SHOAL_COMMAND_FLUSHALL;
    uint64_t databases = shoal_call__settings(call)->databases;
    SHOAL_ASSERT(call->db < databases);
    work->places = (shoal_places){
        .job = {.step = shoal_places__step, .drop = drop},
        .next = all ? 0 : SHOAL_PLACE(call->db, 0),
        .end = all ? databases * SHOAL_SLOTS : ((uint64_t)call->db + 1) * SHOAL_SLOTS,
        .visit = clear,
        .finish = finish,
    };
    work->begin = work->places.next;
    if (!waits) return work;
    work->freed = shoal_freed__make(call->env);
    if (work->freed != NULL) return work;
    drop(&work->places.job, allocator);
    return NULL;
}

void shoal_command__flush(shoal_call *call)
{
    bool lazy = shoal_call__settings(call)->lazy_user_flush;
    bool known = call->argc == 1;
    SHOAL_ASSERT(!call->whole);
    if (call->argc == 2) {
        lazy = shoal_call__word(call, 1, "async");
        known = lazy || shoal_call__word(call, 1, "sync");
    }
    if (!known) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    flush_job *work = make_job(call, !lazy);
    if (work == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    shoal_worker__dirty(call->worker);
    shoal_job__start(&work->places.job, call);
}
