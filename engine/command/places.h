/* SPDX-License-Identifier: MIT
 *
 * command/places.h - jobs that go from place to place: FLUSHALL, DEBUG DIGEST, DEBUG POPULATE. Each
 * place is visited under its own gate, which is let go before the next one is taken; where a gate
 * is taken the visit is handed over to its holder, and the job goes on from there.
 */
#ifndef SHOAL_COMMAND_PLACES_H
#define SHOAL_COMMAND_PLACES_H

#include "command/job.h"

/* A walk. What a job makes of it begins with this. */
typedef struct shoal_places {
    shoal_job job;  /* first; shoal_places__step is its step, `drop` the maker's */
    uint64_t next;  /* the stop to come */
    uint64_t end;   /* behind the last stop */
    uint32_t place; /* whose gate is wanted */
    /* Where stop `places->next`, or a later one, is to be made: sets places->place and moves
     * places->next on to it, or to places->end when there is none. NULL: stop n is place n, and
     * those without keys are left out. */
    void (*find)(struct shoal_places *places, shoal_call *call);
    /* Called under the gate of places->place. */
    void (*visit)(struct shoal_places *places, shoal_call *call);
    /* All is visited: writes the reply. DONE, or AGAIN or LATER to be called again then. */
    shoal_job_turn (*finish)(struct shoal_places *places, shoal_call *call);
} shoal_places;

/* A step: some stops. */
shoal_job_turn shoal_places__step(shoal_job *job, shoal_call *call);

#endif
