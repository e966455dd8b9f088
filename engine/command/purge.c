/* SPDX-License-Identifier: MIT
 *
 * command/purge.h: an operation that goes to and fro between the inbox of a worker, where it looks
 * for the next slot that holds keys, and the gate of that slot. It frees itself behind the last.
 * Where somebody keeps a copy of the data (replicas, files), each key is told as a DEL, some at a
 * time; else a slot is emptied at once.
 */
#include "command/purge.h"

#include "base/assert.h"
#include "base/memory.h"
#include "command/effect.h"
#include "command/tracking.h"
#include "command/worker.h"
#include "log/log.h"

/* Keys that are deleted and told under a gate at once. Chosen: some ten microseconds. */
#define KEYS_A_STEP 64u
/* Buckets that are looked at for them; each holds some five keys, with its chain. */
#define BUCKETS_A_STEP 8u

/* What travels. */
typedef struct purge {
    shoal_gate_op gate; /* first */
    uint32_t place;     /* the gate that it asks for */
    uint32_t next;      /* slots below have been looked at */
    shoal_slotmap slots;
    struct shoal_worker *worker;
} purge;

static void go_on(shoal_op *op, void *runner);

/* Names of keys that are there, up to a number. */
typedef struct names {
    shoal_slice names[KEYS_A_STEP];
    uint32_t count;
} names;

static void gather(void *context, const shoal_item *item)
{
    names *found = context;
    SHOAL_DEBUG_ASSERT(found->count <= KEYS_A_STEP);
    if (found->count < KEYS_A_STEP) found->names[found->count++] = shoal_item_name(item);
}

/* Deletes some keys of the place and tells of each; what is beyond the room of a step is found by
 * the next. */
static void delete_some(purge *work, shoal_thread *thread)
{
    shoal_env *env = work->worker->env;
    uint32_t slot = SHOAL_PLACE_SLOT(work->place);
    names found = {.count = 0};
    shoal_scan scan = {0, slot, slot, BUCKETS_A_STEP};
    uint64_t cursor = 0;
    SHOAL_ASSERT(work->gate.held == work->gate.count);
    do {
        shoal_store_scan(thread, &scan, &cursor, gather, &found);
    } while (cursor != 0 && found.count == 0);
    uint32_t gone = 0;
    for (uint32_t i = 0; i < found.count; i++) {
        const shoal_slice argv[] = {{"DEL", 3}, found.names[i]};
        shoal_key key = shoal_key_make(env->store, 0, found.names[i]);
        SHOAL_ASSERT(key.place == work->place);
        if (!shoal_store_remove_locked(thread, &key)) continue;
        (void)shoal_effects_tell(env, thread, 0, argv, 2);
        gone++;
    }
    /* What is left then has no life in it any more, and is told by nobody. */
    if (gone == 0) (void)shoal_store_clear_locked(thread, work->place);
    if (gone > 0 && shoal_store_count_slot(env->store, work->place) > 0) work->next = slot;
}

/* Under the gate of the slot, on any thread. */
static void clear(shoal_op *op, void *runner)
{
    purge *work = (purge *)op;
    shoal_thread *thread = runner;
    shoal_store *store = work->worker->env->store;
    SHOAL_ASSERT(work->gate.held == work->gate.count);
    bool mine = shoal_store_owns(store, SHOAL_PLACE_SLOT(work->place));
    if (!mine && shoal_store_route(store)->master == 0) {
        const shoal_log *log = work->worker->env->log;
        if (log != NULL && shoal_log_wanted(log)) {
            delete_some(work, thread);
        } else {
            /* Without memory for that its keys stay, where nobody can reach them. */
            (void)shoal_store_clear_locked(thread, work->place);
        }
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
        shoal_tracking_flushed(worker->env);
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

void shoal_slots_purge_drop(struct shoal_worker *worker)
{
    SHOAL_ASSERT(!worker->inside);
    shoal_op *op = shoal_inbox_take(&worker->inbox);
    while (op != NULL) {
        shoal_op *next = op->next;
        if (op->run == go_on) {
            purge *work = (purge *)op;
            SHOAL_ASSERT(work->worker == worker);
            shoal_memory_give(&worker->env->allocator, work, sizeof(*work), SHOAL_ALIGN_PLAIN);
        }
        op = next;
    }
}
