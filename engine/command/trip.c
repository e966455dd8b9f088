/* SPDX-License-Identifier: MIT
 *
 * command/trip.c - see trip.h: how trips get to the control actor, and home.
 */
#include "command/trip.h"

#include "base/assert.h"
#include "command/job.h"
#include "command/worker.h"

void shoal_trip_send(shoal_trip *trip, shoal_errand *errand)
{
    SHOAL_ASSERT(trip->expected > 0 && trip->timeout_us > 0);
    const shoal_env *env = errand->origin->env;
    SHOAL_ASSERT(env->carry != NULL);
    trip->errand = errand;
    trip->op.run = env->carry;
    if (shoal_inbox_push(env->control, &trip->op))
        env->host->nudge(env->host->context, SHOAL_ACTOR_CONTROL);
}

void shoal_trip_over(shoal_trip *trip)
{
    SHOAL_ASSERT(trip->errand != NULL);
    shoal_job_resume(trip->errand);
}
