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
 * Where somebody wants the effects (effect.h) it is one moment: all gates of the databases that it
 * is about are taken, as for SWAPDB, so that what stands before it in the log is gone here too, and
 * what stands behind it is not. Of FLUSHALL these are the databases that have keys, and it is told
 * as one FLUSHDB for each of them: who writes meanwhile to one that had none comes after it. Where
 * there is one worker nobody does, and it is told as it is.
 *
 * Memory is freed in the background in any case. With SYNC, or without a word where
 * lazyfree-lazy-user-flush is off, the reply waits for that.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/effect.h"
#include "command/freed.h"
#include "command/handlers.h"
#include "command/places.h"
#include "command/tracking.h"
#include "command/worker.h"

/* The job. */
typedef struct flush_job {
    shoal_places places; /* first */
    shoal_freed *freed;  /* NULL: the reply does not wait */
    bool waits;          /* everything is emptied, and the reply waits */
    bool missed;         /* a place was not emptied for want of memory */
    uint64_t begin;      /* the first place */
    /* In one moment: */
    uint32_t *gates; /* places, NULL before they are known */
    uint32_t gate_count, database_count;
    bool emptied;
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
    shoal_tracking_flushed(call->env);
    shoal_reply_ok(&call->reply);
    return SHOAL_JOB_DONE;
}

/* ---- in one moment ---- */

/* Is it about this database, and is there anything to be done? */
static bool concerns(const shoal_call *call, uint32_t db)
{
    SHOAL_DEBUG_ASSERT(call->store != NULL);
    if (db == call->db) return true;
    return call->command->id == SHOAL_COMMAND_FLUSHALL && shoal_store_count(call->store, db) > 0;
}

/* Writes down all places of the databases. False without memory. */
static bool list_gates(flush_job *work, const shoal_call *call)
{
    uint32_t databases = shoal_call__settings(call)->databases, which = 0;
    const shoal_allocator *allocator = &call->env->allocator;
    SHOAL_ASSERT(work->gates == NULL && databases <= 32);
    /* Looked at once: one that gets its first key now stays for itself. */
    for (uint32_t db = 0; db < databases; db++) which |= (uint32_t)concerns(call, db) << db;
    work->database_count = (uint32_t)__builtin_popcount(which);
    work->gate_count = work->database_count * SHOAL_SLOTS;
    work->gates =
        shoal_memory_take(allocator, work->gate_count * sizeof(uint32_t), SHOAL_ALIGN_PLAIN);
    if (work->gates == NULL) return false;
    uint32_t at = 0;
    for (uint32_t db = 0; db < databases; db++) {
        for (uint32_t slot = 0; slot < SHOAL_SLOTS && (which >> db & 1) != 0; slot++)
            work->gates[at++] = SHOAL_PLACE(db, slot);
    }
    SHOAL_ASSERT(at == work->gate_count && at > 0);
    work->places.job.places = work->gates;
    work->places.job.place_count = at;
    return true;
}

/* Tells what has been emptied. */
static void tell(const flush_job *work, shoal_call *call)
{
    uint32_t own = call->db;
    SHOAL_ASSERT(call->gated && work->database_count > 0);
    /* With one worker nobody has written to the databases whose gates were not taken. */
    if (call->command->id == SHOAL_COMMAND_FLUSHDB || call->env->worker_count == 1 ||
        work->database_count == shoal_call__settings(call)->databases) {
        shoal_effect_as_is(call);
        return;
    }
    shoal_slice argv[1] = {shoal_text("FLUSHDB")};
    for (uint32_t i = 0; i < work->database_count; i++) {
        call->db = SHOAL_PLACE_DB(work->gates[i * SHOAL_SLOTS]);
        shoal_effect_tell(call, argv, 1);
    }
    call->db = own;
}

/* Empties everything, under all gates. */
static shoal_job_turn empty(flush_job *work, shoal_call *call)
{
    SHOAL_ASSERT(call->gated && !work->emptied);
    for (uint32_t i = 0; i < work->places.job.place_count; i++) {
        if (shoal_store_count_slot(call->store, work->gates[i]) == 0) continue;
        if (shoal_store_clear_locked(call->thread, work->gates[i]) == 0) work->missed = true;
    }
    if (work->missed) {
        /* It is told when all is empty; who writes meanwhile is before that. */
        work->missed = false;
        work->places.job.at_us = call->now.mono_us + PAUSE_US;
        shoal_effect_none(call);
        return SHOAL_JOB_LATER;
    }
    work->emptied = true;
    work->places.next = work->places.end;
    tell(work, call);
    return SHOAL_JOB_AGAIN;
}

static shoal_job_turn step_at_once(shoal_job *job, shoal_call *call)
{
    flush_job *work = (flush_job *)job;
    SHOAL_ASSERT(!call->whole);
    if (call->gated) return empty(work, call);
    if (work->emptied) return finish(&work->places, call);
    if (work->gates != NULL || list_gates(work, call)) return SHOAL_JOB_GATES;
    shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    return SHOAL_JOB_DONE;
}

/* ---- the job ---- */

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    flush_job *work = (flush_job *)job;
    SHOAL_ASSERT(job->drop == drop);
    if (work->freed != NULL) work->freed->job.drop(&work->freed->job, allocator);
    shoal_memory_give(allocator, work->gates, work->gate_count * sizeof(uint32_t),
                      SHOAL_ALIGN_PLAIN);
    shoal_memory_give(allocator, work, sizeof(*work), SHOAL_ALIGN_PLAIN);
}

static flush_job *make_job(const shoal_call *call, bool waits)
{
    const shoal_allocator *allocator = &call->env->allocator;
    flush_job *work = shoal_memory_take_zeroed(allocator, sizeof(*work), SHOAL_ALIGN_PLAIN);
    if (work == NULL) return NULL;
    bool all = call->command->id == SHOAL_COMMAND_FLUSHALL;
    if (all) (void)shoal_add_relaxed(&call->env->flushes, 1);
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
    if (call->env->log != NULL && shoal_log_wanted(call->env->log)) {
        work->places.job.step = step_at_once;
        work->places.job.multi = true;
    }
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
    /* Nothing is emptied before there is an errand to go on with. */
    call->job = &work->places.job;
}
