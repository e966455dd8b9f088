/* SPDX-License-Identifier: MIT
 *
 * command/flush.c - FLUSHDB and FLUSHALL: every place is emptied under its own gate, one after the
 * other, and the session is answered when the last one is empty.
 *
 * What that promises: every key that was there when the command was read is gone when its reply is
 * sent. It is not one moment: another client may see some slots emptied and others not yet, and a
 * key that it writes meanwhile into a slot that was emptied already stays. For one client at a
 * time, and for each key, that cannot be told from Redis's flush. Memory is freed in the
 * background with ASYNC and with SYNC.
 */
#include "base/assert.h"
#include "command/handlers.h"
#include "command/worker.h"

/* Places that one step empties before the worker turns to its other sessions. Chosen: clearing
 * one hands a table over to be freed later, a microsecond or so. */
#define STEP_PLACES 128u

/* How a step ended. */
typedef enum progress { DONE, MORE_TO_DO, GATE_TAKEN } progress;

static void clear_place(shoal_op *op, void *runner)
{
    const shoal_gate_op *gate = (const shoal_gate_op *)op;
    SHOAL_ASSERT(gate->count == 1);
    (void)shoal_store_clear_locked(runner, gate->places[0]);
}

/* The next place in [place, end) that has keys, or `end`. Databases without keys are skipped
 * whole. A key that comes behind our back came after the flush. */
static uint32_t next_used(const shoal_store *store, uint32_t place, uint32_t end)
{
    SHOAL_DEBUG_ASSERT(place <= end);
    while (place < end) {
        if (SHOAL_PLACE_SLOT(place) == 0 && shoal_store_count(store, SHOAL_PLACE_DB(place)) == 0) {
            place += SHOAL_SLOTS;
        } else if (shoal_store_count_slot(store, place) == 0) {
            place++;
        } else {
            return place;
        }
    }
    return end;
}

/* Empties some places from *place on. After GATE_TAKEN, *place is the one whose gate is held. */
static progress step(shoal_worker *worker, uint32_t *place, uint32_t end)
{
    SHOAL_ASSERT(*place <= end);
    SHOAL_ASSERT(worker->inside);
    shoal_worker__dirty(worker);
    for (uint32_t cleared = 0; cleared < STEP_PLACES; cleared++) {
        *place = next_used(worker->env->store, *place, end);
        if (*place == end) return DONE;
        shoal_gate_op gate = {.op = {.run = clear_place}, .places = place, .count = 1};
        if (!shoal_gate_try(worker->thread, &gate)) return GATE_TAKEN;
        ++*place;
    }
    return MORE_TO_DO;
}

static void resume(shoal_op *op, void *runner);

/* Runs under the gate that was taken, on whatever thread held it; then the worker goes on. */
static void clear_handed_over(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    SHOAL_ASSERT(errand->place_next < errand->place_end);
    (void)shoal_store_clear_locked(runner, errand->place_next);
    errand->place_next++;
    errand->gate.op.run = resume;
    shoal_worker__post(errand->origin, op);
}

/* Sends the errand to where it can go on. */
static void go_on(shoal_errand *errand, shoal_worker *worker, progress how)
{
    if (how == GATE_TAKEN) {
        errand->gate.places = &errand->place_next;
        errand->gate.count = 1;
        errand->gate.held = 0; /* of the gate before, if this is not the first to be taken */
        errand->gate.op.run = clear_handed_over;
        (void)shoal_gate_push(worker->thread, &errand->gate);
    } else {
        SHOAL_ASSERT(how == MORE_TO_DO);
        errand->gate.op.run = resume;
        shoal_worker__post(worker, &errand->gate.op);
    }
}

static void resume(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    shoal_worker *worker = runner;
    progress how = step(worker, &errand->place_next, errand->place_end);
    SHOAL_ASSERT(worker == errand->origin);
    if (how != DONE) {
        go_on(errand, worker, how);
        return;
    }
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    shoal_reply_ok(&reply);
    shoal_errand_finish(errand);
}

void shoal_command__flush(shoal_call *call)
{
    bool known = call->argc == 1 || (call->argc == 2 && (shoal_call__word(call, 1, "async") ||
                                                         shoal_call__word(call, 1, "sync")));
    if (!known) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    bool all = call->command->id == SHOAL_COMMAND_FLUSHALL;
    uint32_t databases = shoal_call__settings(call)->databases;
    uint32_t place = all ? 0 : SHOAL_PLACE(call->db, 0);
    uint32_t end = SHOAL_PLACE(all ? databases : call->db + 1, 0);
    progress how = step(call->worker, &place, end);
    if (how == DONE) {
        shoal_reply_ok(&call->reply);
        return;
    }
    shoal_errand *errand = shoal_errand__make(call->session, call);
    SHOAL_ASSERT(call->session != NULL && call->worker != NULL);
    if (errand == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    errand->place_next = place;
    errand->place_end = end;
    go_on(errand, call->worker, how);
}
