/* SPDX-License-Identifier: MIT
 *
 * command/database.c - SWAPDB. It is atomic: the gates of all slots of both databases are taken
 * first, some milliseconds in which nobody writes there, and readers queue until everything is
 * exchanged. While a cut hands out what the store holds (store/snapshot.h), it waits for the end of
 * that.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/effect.h"
#include "command/handlers.h"
#include "command/job.h"
#include "store/places.h"
#include "store/snapshot.h"

/* When to try again while a cut is being taken. */
#define PAUSE_US 10000

/* The job. */
typedef struct swap_job {
    shoal_job job; /* first */
    uint32_t places[2 * SHOAL_SLOTS];
} swap_job;

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(job->drop == drop);
    shoal_memory_give(allocator, job, sizeof(swap_job), SHOAL_ALIGN_PLAIN);
}

static shoal_job_turn step(shoal_job *job, shoal_call *call)
{
    swap_job *work = (swap_job *)job;
    /* A look without gates first: all of them, again and again, keep a cut from getting on, whose
     * end is what is waited for. */
    bool waits = call->gated ? !shoal_store_may_swap(call->thread) : shoal_cut_taken(call->store);
    if (!waits && !call->gated) return SHOAL_JOB_GATES;
    if (waits) {
        job->at_us = call->now.mono_us + PAUSE_US;
        return SHOAL_JOB_LATER;
    }
    SHOAL_ASSERT(job->place_count == 2 * SHOAL_SLOTS);
    for (uint32_t i = 0; i < SHOAL_SLOTS; i++)
        shoal_store_swap_locked(call->thread, work->places[i], work->places[SHOAL_SLOTS + i]);
    shoal_effect_as_is(call);
    shoal_reply_ok(&call->reply);
    return SHOAL_JOB_DONE;
}

/* Argument `index` as the number of a database. False after writing an error. */
static bool take_database(shoal_call *call, uint32_t index, const char *complaint, int64_t *db)
{
    SHOAL_ASSERT(index < call->argc);
    if (shoal_text_to_i64(call->argv[index], db) && *db >= INT32_MIN && *db <= INT32_MAX)
        return true;
    shoal_reply_error(&call->reply, complaint);
    return false;
}

void shoal_command__swapdb(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3 && call->worker != NULL);
    int64_t one, two, databases = shoal_call__settings(call)->databases;
    if (shoal_call__settings(call)->cluster) {
        shoal_reply_error(&call->reply, "ERR SWAPDB is not allowed in cluster mode");
        return;
    }
    if (!take_database(call, 1, "ERR invalid first DB index", &one)) return;
    if (!take_database(call, 2, "ERR invalid second DB index", &two)) return;
    if (one < 0 || two < 0 || one >= databases || two >= databases) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__NO_DATABASE);
        return;
    }
    if (one == two) {
        shoal_reply_ok(&call->reply);
        return;
    }
    swap_job *work = shoal_memory_take(&call->env->allocator, sizeof(*work), SHOAL_ALIGN_PLAIN);
    if (work == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    uint32_t lower = (uint32_t)(one < two ? one : two), upper = (uint32_t)(one < two ? two : one);
    for (uint32_t i = 0; i < SHOAL_SLOTS; i++) {
        work->places[i] = SHOAL_PLACE(lower, i);
        work->places[SHOAL_SLOTS + i] = SHOAL_PLACE(upper, i);
    }
    work->job = (shoal_job){.step = step,
                            .drop = drop,
                            .places = work->places,
                            .place_count = 2 * SHOAL_SLOTS,
                            .multi = true};
    shoal_job__start(&work->job, call);
}
