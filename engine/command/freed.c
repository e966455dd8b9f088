/* SPDX-License-Identifier: MIT
 *
 * command/freed.c - see freed.h.
 */
#include "command/freed.h"

#include "base/assert.h"
#include "base/memory.h"

/* What a step may take for freeing. */
#define STEP_BUDGET_US 50u
/* Steps without success until it is left to the others: it takes some batches of this thread until
 * nobody can see what is to be freed. */
#define STALLS_MAX 8u
/* When to look again where other threads have to do something first. Chosen: theirs is every ten
 * milliseconds. */
#define PAUSE_US 1000

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(job->step == shoal_freed__step);
    shoal_memory_give(allocator, job, ((shoal_freed *)job)->memory, SHOAL_ALIGN_PLAIN);
}

shoal_freed *shoal_freed__make(const shoal_env *env)
{
    SHOAL_ASSERT(env->worker_count > 0);
    size_t memory = sizeof(shoal_freed) + env->worker_count * sizeof(uint64_t);
    shoal_freed *freed = shoal_memory_take_zeroed(&env->allocator, memory, SHOAL_ALIGN_PLAIN);
    if (freed == NULL) return NULL;
    freed->job = (shoal_job){.step = shoal_freed__step, .drop = drop};
    freed->memory = memory;
    freed->count = env->worker_count;
    return freed;
}

void shoal_freed__add_own(shoal_freed *freed, const shoal_call *call)
{
    uint32_t index = shoal_thread_index(call->thread);
    SHOAL_ASSERT(freed->rounds == 0);
    /* What the control actor retires is not waited for. */
    if (index < freed->count) freed->goals[index] = shoal_store_limbo(call->store, index).queued;
}

void shoal_freed__add_all(shoal_freed *freed, const shoal_call *call)
{
    SHOAL_ASSERT(freed->count == call->env->worker_count);
    freed->rounds = 1;
    for (uint32_t i = 0; i < freed->count; i++)
        freed->goals[i] = shoal_store_limbo(call->store, i).queued;
}

static bool reached(const shoal_freed *freed, const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(freed->count > 0);
    for (uint32_t i = 0; i < freed->count; i++) {
        if (shoal_store_limbo(store, i).freed < freed->goals[i]) return false;
    }
    return true;
}

shoal_job_turn shoal_freed__step(shoal_job *job, shoal_call *call)
{
    shoal_freed *freed = (shoal_freed *)job;
    SHOAL_ASSERT(!call->gated && !call->whole);
    uint32_t own = shoal_thread_index(call->thread);
    uint64_t before = shoal_store_limbo(call->store, own).freed;
    shoal_store_reclaim(call->thread, STEP_BUDGET_US);
    if (reached(freed, call->store)) {
        if (freed->rounds == 0) return SHOAL_JOB_DONE;
        shoal_freed__add_all(freed, call);
        freed->rounds = 0;
        return SHOAL_JOB_AGAIN;
    }
    /* A large piece is counted at its end. */
    bool moves = shoal_store_limbo(call->store, own).freed != before;
    freed->stalls = moves || shoal_thread_frees(call->thread) ? 0 : freed->stalls + 1;
    if (freed->stalls < STALLS_MAX) return SHOAL_JOB_AGAIN;
    job->at_us = call->now.mono_us + PAUSE_US;
    return SHOAL_JOB_LATER;
}
