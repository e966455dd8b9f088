/* SPDX-License-Identifier: MIT
 *
 * command/purge.h: an operation that goes to and fro between the inbox of a worker, where it looks
 * for the next slot that holds keys, and the gate of that slot. It frees itself behind the last.
 */
#include "command/purge.h"

#include "base/assert.h"
#include "base/memory.h"
#include "command/worker.h"

/* What travels. */
typedef struct purge {
    shoal_gate_op gate; /* first */
    uint32_t place;     /* the gate that it asks for */
    uint32_t next;      /* slots below have been looked at */
    shoal_slotmap slots;
    struct shoal_worker *worker;
} purge;

static void go_on(shoal_op *op, void *runner);

/* Under the gate of the slot, on any thread. */
static void clear(shoal_op *op, void *runner)
{
    purge *work = (purge *)op;
    shoal_thread *thread = runner;
    shoal_store *store = work->worker->env->store;
    SHOAL_ASSERT(work->gate.held == work->gate.count);
    bool mine = shoal_store_owns(store, SHOAL_PLACE_SLOT(work->place));
    if (!mine && shoal_store_route(store)->master == 0) {
        /* Without memory for that its keys stay, where nobody can reach them. */
        (void)shoal_store_clear_locked(thread, work->place);
    }
    work->gate.op.run = go_on;
    shoal_worker__post(work->worker, op);
}

/* The next slot that is to be emptied and holds something, or SHOAL_SLOTS. */
static uint32_t next_slot(purge *work)
{
    const shoal_store *store = work->worker->env->store;
    SHOAL_ASSERT(work->next <= SHOAL_SLOTS);
    while (work->next < SHOAL_SLOTS) {
        uint32_t slot = work->next++;
        if (!shoal_slotmap_has(&work->slots, slot)) continue;
        if (shoal_store_count_slot(store, SHOAL_PLACE(0, slot)) > 0) return slot;
    }
    return SHOAL_SLOTS;
}

/* On the worker. */
static void go_on(shoal_op *op, void *runner)
{
    purge *work = (purge *)op;
    struct shoal_worker *worker = work->worker;
    SHOAL_ASSERT(runner == worker);
    (void)runner;
    uint32_t slot = next_slot(work);
    if (slot == SHOAL_SLOTS) {
        shoal_memory_give(&worker->env->allocator, work, sizeof(*work), SHOAL_ALIGN_PLAIN);
        return;
    }
    work->place = SHOAL_PLACE(0, slot);
    work->gate = (shoal_gate_op){.op = {.run = clear}, .places = &work->place, .count = 1};
    shoal_worker__dirty(worker);
    (void)shoal_gate_push(worker->thread, &work->gate);
}

bool shoal_slots_purge(shoal_env *env, const shoal_slotmap *slots)
{
    SHOAL_ASSERT(env->worker_count > 0);
    SHOAL_ASSERT(slots != NULL);
    purge *work = shoal_memory_take_zeroed(&env->allocator, sizeof(*work), SHOAL_ALIGN_PLAIN);
    if (work == NULL) return false;
    work->slots = *slots;
    work->worker = env->workers[0];
    work->gate.op.run = go_on;
    shoal_worker__post(work->worker, &work->gate.op);
    return true;
}
