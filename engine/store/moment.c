/* SPDX-License-Identifier: MIT
 *
 * store/moment.c - moments between operations. Who begins an operation says so in a word of its own
 * and then looks whether a moment is wished for; who wishes says so and then looks at those words.
 *
 * Claims:
 *   M1  One of the two sees the other. The words of the threads are read by adding zero, an acq_rel
 *       exchange like the thread's own: if the exchange of the thread comes first, the moment sees
 *       the operation; otherwise the thread has acquired the wish.
 *   M2  So when all words have been found 0 behind the wish, no operation is under way, and none
 *       begins before the wish is taken back. What earlier ones wrote has been acquired.
 *   M3  Threads that do not tell yet are no exception: a thread that began its batch before the
 *       last preparation has left it (base/epoch.h) when a wish is accepted.
 *   M4  Nobody waits. An operation that must not begin is parked with all its gates, as one that
 *       lacks a gate is; one that a caller has on its stack is refused, as where a gate is held.
 *   M5  No operation is forgotten. Parking exchanges the head of the stack, and looks at the wish
 *       again: who ends the moment takes the wish back and then exchanges the head. Either he finds
 *       the operation, or who parked it finds no wish, and carries on what is there himself.
 *
 * Background work (expiry, eviction, defragmentation) finds all gates taken during a moment.
 */
#include "store/moment.h"

#include "store/internal.h"

void shoal_moment__begin(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->operations == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    /* pair: moment.prepare */
    thread->tells = shoal_load_acquire(&thread->store->moment.preparations) != 0;
}

bool shoal_moment__enter_slow(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->tells);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (thread->operations++ > 0) return true;
    (void)shoal_exchange_acq_rel(&thread->operating, 1u); /* pair: moment.operating */
    /* pair: moment.wish */
    if (LIKELY(!shoal_load_acquire(&thread->store->moment.wished))) return true;
    shoal_moment__leave(thread);
    return false;
}

/* Carries on all operations that are parked. */
static void carry_on_parked(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    /* pair: moment.parked */
    shoal_op *newest = shoal_exchange_acq_rel(&thread->store->moment.parked, NULL);
    shoal_op *oldest = NULL;
    while (newest != NULL) {
        shoal_op *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    shoal_gate__carry_on(thread, oldest);
}

void shoal_moment__park(shoal_thread *thread, shoal_op *op)
{
    SHOAL_DEBUG_ASSERT(thread->tells);
    SHOAL_DEBUG_ASSERT(((shoal_gate_op *)op)->held == ((shoal_gate_op *)op)->count);
    shoal_moment *moment = &thread->store->moment;
    shoal_op *head = shoal_load_relaxed(&moment->parked);
    do {
        op->next = head;
        /* pair: moment.parked */
    } while (!shoal_cas_acq_rel(&moment->parked, &head, op));
    /* pair: moment.wish */
    if (!shoal_load_acquire(&moment->wished)) carry_on_parked(thread);
}

void shoal_moment_prepare(shoal_thread *thread, int change)
{
    shoal_moment *moment = &thread->store->moment;
    uint32_t before = shoal_load_relaxed(&moment->preparations);
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(change == 1 || (change == -1 && before > 0));
    /* Whoever has found no reason to wait in its batch is waited for, though others had prepared
     * before: who wants moments may have said so just now (core/replication.c, a pause). */
    if (change == 1) moment->stamp = thread->stamp;
    /* pair: moment.prepare */
    shoal_store_release(&moment->preparations, before + (uint32_t)change);
}

bool shoal_moment_wish(shoal_thread *thread)
{
    shoal_store *store = thread->store;
    SHOAL_ASSERT(thread->stamp != 0 && thread->operations == 0);
    SHOAL_ASSERT(shoal_load_relaxed(&store->moment.preparations) > 0);
    SHOAL_ASSERT(!shoal_load_relaxed(&store->moment.wished));
    if (!thread->alone && !shoal_epoch_passed(&store->epoch, store->moment.stamp)) {
        shoal_epoch_advance(&store->epoch);
        return false;
    }
    (void)shoal_exchange_acq_rel(&store->moment.wished, true); /* pair: moment.wish */
    return true;
}

bool shoal_moment_has_come(shoal_thread *thread)
{
    shoal_store *store = thread->store;
    SHOAL_ASSERT(shoal_load_relaxed(&store->moment.wished));
    SHOAL_ASSERT(thread->operations == 0);
    for (uint32_t i = 0; i < store->thread_count; i++) {
        /* pair: moment.operating */
        if (shoal_add_acq_rel(&store->threads[i].operating, 0u) != 0) return false;
    }
    return true;
}

void shoal_moment_end(shoal_thread *thread)
{
    SHOAL_ASSERT(thread->stamp != 0 && thread->operations == 0);
    SHOAL_ASSERT(shoal_load_relaxed(&thread->store->moment.wished));
    (void)shoal_exchange_acq_rel(&thread->store->moment.wished, false); /* pair: moment.wish */
    carry_on_parked(thread);
}

bool shoal_moment_wished(const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(store->threads != NULL);
    return shoal_load_relaxed(&store->moment.wished);
}
