/* SPDX-License-Identifier: MIT
 *
 * command/places.c - see places.h.
 */
#include "command/places.h"

#include "base/assert.h"

/* Stops of a step. Chosen: clearing a place hands a table over to be freed later, a microsecond
 * or so. */
#define STEP_STOPS 64u

/* A visit under a gate that was free. */
typedef struct free_visit {
    shoal_gate_op gate; /* first */
    shoal_places *places;
    shoal_call *call;
} free_visit;

static void run_visit(shoal_op *op, void *runner)
{
    free_visit *now = (free_visit *)op;
    SHOAL_ASSERT(runner == now->call->thread);
    (void)runner;
    now->places->visit(now->places, now->call);
}

/* The next place that has keys. Databases without keys are skipped whole. A key that comes behind
 * our back came after us. */
static void find_used(shoal_places *places, const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(places->next <= places->end);
    uint64_t at = places->next;
    while (at < places->end) {
        uint32_t place = (uint32_t)at;
        if (SHOAL_PLACE_SLOT(place) == 0 && shoal_store_count(store, SHOAL_PLACE_DB(place)) == 0) {
            at += SHOAL_SLOTS;
        } else if (shoal_store_count_slot(store, place) == 0) {
            at++;
        } else {
            break;
        }
    }
    places->next = at < places->end ? at : places->end;
    places->place = (uint32_t)places->next;
}

/* Visits the place that was found. False when somebody else has its gate. */
static bool try_visit(shoal_places *places, shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(places->next < places->end);
    bool gated = call->gated;
    call->gated = true;
    free_visit now = {.gate = {.op = {.run = run_visit}, .places = &places->place, .count = 1},
                      .places = places,
                      .call = call};
    bool visited = shoal_gate_try(call->thread, &now.gate);
    call->gated = gated;
    return visited;
}

shoal_job_turn shoal_places__step(shoal_job *job, shoal_call *call)
{
    shoal_places *places = (shoal_places *)job;
    SHOAL_ASSERT(!call->whole);
    if (call->gated) {
        /* On the thread of whoever held this gate, which it must not keep any longer. */
        places->visit(places, call);
        places->next++;
        return SHOAL_JOB_AGAIN;
    }
    for (uint32_t stops = 0; stops < STEP_STOPS; stops++) {
        if (places->next < places->end) {
            if (places->find != NULL) {
                places->find(places, call);
            } else {
                find_used(places, call->store);
            }
        }
        if (places->next == places->end) return places->finish(places, call);
        if (!try_visit(places, call)) {
            job->places = &places->place;
            job->place_count = 1;
            return SHOAL_JOB_GATES;
        }
        places->next++;
    }
    return SHOAL_JOB_AGAIN;
}
