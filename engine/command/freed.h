/* SPDX-License-Identifier: MIT
 *
 * command/freed.h - replies that wait until memory is really free. Freeing is always work of the
 * background, piece by piece; what the lazyfree directives decide is whether DEL and FLUSHALL
 * answer before it is done. The thread of nobody waits: the session is parked, see job.h.
 */
#ifndef SHOAL_COMMAND_FREED_H
#define SHOAL_COMMAND_FREED_H

#include "command/job.h"
#include "store/places.h"

/* What is waited for. Made by shoal_freed__make. */
typedef struct shoal_freed {
    shoal_job job; /* first: ready to be a call's job */
    size_t memory;
    uint32_t count;   /* threads, those of the workers */
    uint32_t rounds;  /* left: objects of a cleared place are queued once more in the first */
    uint32_t stalls;  /* steps since something was freed */
    uint64_t goals[]; /* what shoal_store_limbo must have counted as freed, of each */
} shoal_freed;

/* Waits for nothing yet. NULL without memory. */
shoal_freed *shoal_freed__make(const shoal_env *env);
/* Waits for what the thread of `call` has retired so far. */
void shoal_freed__add_own(shoal_freed *freed, const shoal_call *call);
/* Waits for what any worker has retired so far, cleared places included. */
void shoal_freed__add_all(shoal_freed *freed, const shoal_call *call);
/* Frees a bounded amount, and says how it goes on; DONE when everything is free. Writes nothing. */
shoal_job_turn shoal_freed__step(shoal_job *job, shoal_call *call);

#endif
