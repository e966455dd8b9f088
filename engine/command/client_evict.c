/* SPDX-License-Identifier: MIT
 *
 * command/client_evict.c - maxmemory-clients: when the sessions of all workers together take more
 * than that, the largest go. Each worker looks when a session of its own has grown, and at the end
 * of each round, and ends sessions of its own as long as it has its share of all or more.
 */
#include "base/assert.h"
#include "command/worker.h"

/* Sessions that a worker ends in one round at most; the next one comes at once. Chosen. */
#define EVICTIONS_A_ROUND 16u

/* The largest session that may go, or NULL. */
static shoal_session *largest(const shoal_worker *worker)
{
    shoal_session *found = NULL;
    for (shoal_session *at = worker->sessions.first; at != NULL; at = at->all.next) {
        if (at->evicted || at->no_evict) continue;
        if (found == NULL || at->weight > found->weight) found = at;
    }
    SHOAL_ASSERT(found == NULL || !found->dead);
    return found;
}

void shoal_worker__evict_clients(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    uint64_t limit = worker->settings->clients_bytes_max;
    for (uint32_t i = 0; i < EVICTIONS_A_ROUND && limit > 0; i++) {
        uint64_t all = shoal_session_bytes(worker->env);
        uint64_t own = shoal_load_relaxed(&worker->session_bytes);
        if (all <= limit || own < all / worker->env->worker_count) return;
        shoal_session *session = largest(worker);
        if (session == NULL) return;
        shoal_session__evict(session);
        shoal_worker__count(worker, SHOAL_STAT_CLIENTS_EVICTED, 1);
    }
}
