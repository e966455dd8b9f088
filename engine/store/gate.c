/* SPDX-License-Identifier: MIT
 *
 * store/gate.c - one writer per slot, and nobody waits. Each slot has a gate word in its hot line:
 *
 *   0            idle
 *   1            held
 *   a pointer    held, and operations have been handed over: the newest, linked to the older
 *
 * A thread that finds the gate held pushes its operation and goes on with other work. Whoever
 * lets the gate go gives it to the oldest operation handed over, and carries that on itself.
 * Holding is a property of the operation, not of a thread: an operation on several slots takes
 * their gates in ascending order, and where one is held it is parked there with the earlier
 * ones in its hands, whatever thread brings it further.
 *
 * Claims:
 *   G1  Mutual exclusion. A gate is taken by the step from 0 to 1, or handed from one operation
 *       to the next without ever being 0. So at most one operation holds it.
 *   G2  Order. Operations run under a gate in the order of the steps that took it or pushed to
 *       it: the holder takes the whole stack, turns it, and keeps it in `waiting`; what is
 *       pushed later comes later. The order of a slot's changes is the order of its holders.
 *   G3  Visibility. What one holder wrote, the next sees: letting go is a release, taking an
 *       acquire; a push is a release that the taker of the stack acquires, which also carries
 *       the parked operation with its earlier gates over to the thread that carries it on.
 *   G4  No deadlock. An operation waits only at a gate higher than all it holds, so the
 *       operation with the highest gate always runs.
 *   G5  No waiting. Taking is one compare-and-swap, pushing a loop that repeats only when
 *       another thread's push, or the holder's leaving, succeeded. A stalled thread in the middle
 *       of an operation holds up the writes of the slots that this operation has, and of no
 *       other; reads go on.
 *   G6  Bounded depth. Operations that are given a gate are queued at the thread, and one frame
 *       of drain runs them, one after the other; a drain within it does nothing. It runs a bounded
 *       number a batch; the rest, with the gates it was given, is carried on in the thread's next
 *       batch, and by nobody else: who means to begin no further batch goes on until
 *       shoal_thread_busy is false. Then it has no gate, and is given none, because only who lets
 *       a gate go is given the next operation. So a gate that many threads push to faster than
 *       one can run takes nobody out of his own work for good, nor keeps him from leaving the
 *       epoch. Nor does an operation begin while a moment between operations is wished for
 *       (moment.c): it is parked with all its gates.
 *   G7  Several keys change together. A `multi` operation sets SLOW in the words of all its slots
 *       before it runs and clears it after. A reader that sees one of its writes has acquired
 *       the entry, hence sees SLOW set or already cleared in every slot of the operation: all
 *       later reads of that reader queue, or see the other writes. A reader that saw none of
 *       the writes is ordered before the operation.
 *   G8  The memory of an operation is not touched after it has begun to run: the gates to let go
 *       are linked through the hot lines (held_before).
 */
#include "store/internal.h"

#define GATE_IDLE ((uintptr_t)0)
#define GATE_HELD ((uintptr_t)1)

/* Operations given to a thread that it runs in one batch: a millisecond or so. */
#define BATCH_GRANTS 2048u

/* Takes the gate if it is idle. */
static bool try_take(const shoal_thread *thread, shoal_hot *hot)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT((uintptr_t)hot % sizeof *hot == 0);
    uintptr_t idle = GATE_IDLE;
    if (thread->alone) {
        if (shoal_load_relaxed(&hot->gate) != GATE_IDLE) return false;
        shoal_store_relaxed(&hot->gate, GATE_HELD);
        return true;
    }
    /* pair: slot.gate */
    return shoal_cas_acquire(&hot->gate, &idle, GATE_HELD);
}

/* Takes the gate for `op`, or parks it there: false. */
static bool take_or_park(const shoal_thread *thread, shoal_hot *hot, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->held < op->count);
    SHOAL_DEBUG_ASSERT(op->op.run != NULL);
    for (;;) {
        if (try_take(thread, hot)) return true;
        uintptr_t seen = shoal_load_relaxed(&hot->gate);
        while (seen != GATE_IDLE) {
            op->op.next = seen == GATE_HELD ? NULL : (shoal_op *)seen;
            /* pair: slot.gate */
            if (shoal_cas_release(&hot->gate, &seen, (uintptr_t)op)) return false;
        }
    }
}

/* Turns a stack that was taken off a gate around: the oldest first. */
static shoal_gate_op *oldest_first(uintptr_t newest)
{
    SHOAL_DEBUG_ASSERT(newest > GATE_HELD);
    SHOAL_DEBUG_ASSERT(newest % _Alignof(shoal_gate_op) == 0);
    shoal_op *oldest = NULL;
    shoal_op *op = (shoal_op *)newest;
    while (op != NULL) {
        shoal_op *next = op->next;
        op->next = oldest;
        oldest = op;
        op = next;
    }
    return (shoal_gate_op *)oldest;
}

/* Lets a gate go: to the operation that it returns, or to nobody (NULL). */
static inline shoal_gate_op *let_go(const shoal_thread *thread, shoal_hot *hot)
{
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&hot->gate) != GATE_IDLE);
    SHOAL_DEBUG_ASSERT((uintptr_t)hot % sizeof *hot == 0);
    shoal_gate_op *next = hot->waiting;
    if (UNLIKELY(next != NULL)) {
        hot->waiting = (shoal_gate_op *)next->op.next;
        return next;
    }
    if (thread->alone && shoal_load_relaxed(&hot->gate) == GATE_HELD) {
        shoal_store_relaxed(&hot->gate, GATE_IDLE);
        return NULL;
    }
    uintptr_t held = GATE_HELD;
    /* pair: slot.gate */
    if (LIKELY(shoal_cas_release(&hot->gate, &held, GATE_IDLE))) return NULL;
    /* pair: slot.gate */
    uintptr_t newest = shoal_exchange_acquire(&hot->gate, GATE_HELD);
    SHOAL_ASSERT(newest > GATE_HELD);
    next = oldest_first(newest);
    hot->waiting = (shoal_gate_op *)next->op.next;
    return next;
}

/* Queues an operation that this thread is to carry on. */
static void enqueue(shoal_thread *thread, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->op.run != NULL);
    SHOAL_DEBUG_ASSERT((thread->granted_first == NULL) == (thread->granted_last == NULL));
    op->op.next = NULL;
    if (thread->granted_last != NULL) {
        thread->granted_last->op.next = &op->op;
    } else {
        thread->granted_first = op;
    }
    thread->granted_last = op;
}

/* Queues one that has been given the gate it was parked at. */
static void grant(shoal_thread *thread, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->held < op->count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    enqueue(thread, op);
    shoal_bump_relaxed(&thread->counters.handed_over, 1);
}

/* Notes that `op` has the gate of its next place. */
static void hold(const shoal_thread *thread, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->held < op->count);
    SHOAL_DEBUG_ASSERT(
        shoal_load_relaxed(&shoal_store__hot(thread->store, op->places[op->held])->gate) !=
        GATE_IDLE);
    shoal_hot *hot = shoal_store__hot(thread->store, op->places[op->held]);
    hot->held_before = op->held == 0 ? 0 : op->places[op->held - 1] + 1;
    op->held++;
}

/* Lets all gates of a chain go, the last taken first. */
static void let_all_go(shoal_thread *thread, uint32_t last_place)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(last_place) < thread->store->database_count);
    uint32_t at = last_place + 1;
    while (at != 0) {
        shoal_hot *hot = shoal_store__hot(thread->store, at - 1);
        at = hot->held_before;
        shoal_gate_op *next = let_go(thread, hot);
        if (UNLIKELY(next != NULL)) grant(thread, next);
    }
}

/* Sets or clears SLOW in all places of a chain (claim G7). */
static void mark_slow(shoal_thread *thread, uint32_t last_place, bool slow)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(last_place) < thread->store->database_count);
    for (uint32_t at = last_place + 1; at != 0;) {
        _Atomic uint64_t *word = shoal_store__word(thread->store, at - 1);
        if (slow) {
            (void)shoal_or_acq_rel(word, WORD_SLOW); /* pair: slot.slow */
        } else {
            (void)shoal_and_acq_rel(word, ~WORD_SLOW); /* pair: slot.slow */
        }
        at = shoal_store__hot(thread->store, at - 1)->held_before;
    }
}

/* Runs an operation that holds all its gates and may begin. */
static inline void run_held(shoal_thread *thread, shoal_gate_op *op, uint32_t last_place)
{
    SHOAL_DEBUG_ASSERT(op->op.run != NULL);
    SHOAL_DEBUG_ASSERT(op->held == op->count);
    bool multi = op->multi;
    /* All of an operation is before a cut, or all of it behind (cut.c, claim C1). */
    shoal_cut *outer = thread->cut;
    thread->cut = shoal_load_acquire(&thread->store->cut); /* pair: cut.publish */
    if (UNLIKELY(multi)) mark_slow(thread, last_place, true);
    op->op.run(&op->op, thread);
    if (UNLIKELY(multi)) mark_slow(thread, last_place, false);
    thread->cut = outer;
    shoal_moment__leave(thread);
}

/* Runs an operation that holds all its gates, and lets them go. False when it must not begin. */
static bool run(shoal_thread *thread, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(op->held == op->count);
    if (!shoal_moment__enter(thread)) return false;
    uint32_t last_place = op->places[op->count - 1];
    run_held(thread, op, last_place);
    let_all_go(thread, last_place);
    return true;
}

/* Takes the gates that `op` still lacks, and runs it; or leaves it parked: false. */
static bool carry_on(shoal_thread *thread, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->held <= op->count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    while (op->held < op->count) {
        shoal_hot *hot = shoal_store__hot(thread->store, op->places[op->held]);
        if (!take_or_park(thread, hot, op)) return false;
        hold(thread, op);
    }
    if (run(thread, op)) return true;
    shoal_moment__park(thread, &op->op);
    return false;
}

/* Carries on what was given a gate, unless a frame below does that already (claim G6). */
static void drain(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT((thread->granted_first == NULL) == (thread->granted_last == NULL));
    if (LIKELY(thread->granted_first == NULL) || thread->draining) return;
    thread->draining = true;
    for (; thread->granted_first != NULL && thread->grants_left > 0; thread->grants_left--) {
        shoal_gate_op *op = thread->granted_first;
        thread->granted_first = (shoal_gate_op *)op->op.next;
        if (thread->granted_first == NULL) thread->granted_last = NULL;
        /* What was parked for a moment has all its gates. */
        if (op->held < op->count) hold(thread, op);
        (void)carry_on(thread, op);
    }
    thread->draining = false;
}

static void check(const shoal_thread *thread, const shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->op.run != NULL);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(op->places[op->count - 1]) < thread->store->database_count);
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(op->count > 0 && op->held == 0);
    for (uint32_t i = 1; i < op->count; i++) {
        SHOAL_ASSERT(op->places[i - 1] < op->places[i]);
    }
}

/* As shoal_gate_try of an operation with one gate: that of nearly every write, so its hot line is
 * found once. */
static inline bool try_single(shoal_thread *thread, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->count == 1);
    SHOAL_ASSERT(thread->stamp != 0 && op->held == 0);
    uint32_t place = op->places[0];
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    bool ran = false;
    if (LIKELY(try_take(thread, hot))) {
        hot->held_before = 0;
        ran = shoal_moment__enter(thread);
        if (LIKELY(ran)) {
            op->held = 1;
            run_held(thread, op, place);
        }
        shoal_gate_op *next = let_go(thread, hot);
        if (UNLIKELY(next != NULL)) grant(thread, next);
    }
    if (UNLIKELY(thread->granted_first != NULL)) drain(thread);
    return ran;
}

bool shoal_gate_try(shoal_thread *thread, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->op.run != NULL);
    SHOAL_DEBUG_ASSERT(op->places != NULL);
    if (LIKELY(op->count == 1)) return try_single(thread, op);
    check(thread, op);
    while (op->held < op->count) {
        if (try_take(thread, shoal_store__hot(thread->store, op->places[op->held]))) {
            hold(thread, op);
            continue;
        }
        if (op->held > 0) let_all_go(thread, op->places[op->held - 1]);
        op->held = 0;
        drain(thread);
        return false;
    }
    bool ran = run(thread, op);
    if (!ran) {
        let_all_go(thread, op->places[op->count - 1]);
        op->held = 0;
    }
    drain(thread);
    return ran;
}

bool shoal_gate_push(shoal_thread *thread, shoal_gate_op *op)
{
    SHOAL_DEBUG_ASSERT(op->op.run != NULL);
    SHOAL_DEBUG_ASSERT(op->places != NULL);
    check(thread, op);
    bool ran = carry_on(thread, op);
    drain(thread);
    return ran;
}

bool shoal_gate__take(shoal_thread *thread, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < thread->store->database_count);
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    if (!try_take(thread, hot)) return false;
    hot->held_before = 0;
    if (!shoal_moment__enter(thread)) {
        let_all_go(thread, place);
        drain(thread);
        return false;
    }
    if (thread->taken++ > 0) return true;
    thread->cut_outer = thread->cut;
    thread->cut = shoal_load_acquire(&thread->store->cut); /* pair: cut.publish */
    return true;
}

void shoal_gate__release(shoal_thread *thread, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&shoal_store__hot(thread->store, place)->gate) !=
                       GATE_IDLE);
    SHOAL_ASSERT(thread->taken > 0);
    if (--thread->taken == 0) thread->cut = thread->cut_outer;
    shoal_moment__leave(thread);
    let_all_go(thread, place);
    drain(thread);
}

void shoal_gate__carry_on(shoal_thread *thread, shoal_op *first)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(first == NULL ||
                       ((shoal_gate_op *)first)->held == ((shoal_gate_op *)first)->count);
    while (first != NULL) {
        shoal_gate_op *op = (shoal_gate_op *)first;
        first = first->next;
        enqueue(thread, op);
    }
    drain(thread);
}

void shoal_gate__resume(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    drain(thread);
}

void shoal_gate__begin(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(!thread->draining);
    thread->grants_left = BATCH_GRANTS;
    drain(thread);
}

bool shoal_thread_busy(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT((thread->granted_first == NULL) == (thread->granted_last == NULL));
    return thread->granted_first != NULL;
}
