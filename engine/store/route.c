/* SPDX-License-Identifier: MIT
 *
 * store/route.c - which slots this node owns, and the table of who serves what. Both belong to
 * the control actor, who writes them while workers read. The slot's word carries ownership, so
 * that a command learns it from the load that it needs anyway.
 */
#include "store/internal.h"

/* What readers see before the first route: a standalone store. */
static const shoal_route standalone = {.cluster = false};

bool shoal_store_owns(const shoal_store *store, uint32_t slot)
{
    SHOAL_ASSERT(store->database_count > 0);
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    /* pair: slot.owned */
    uint64_t word = shoal_load_acquire(&store->databases[0]->words[slot]);
    return ((word & WORD_FOREIGN) != 0) != store->owned;
}

void shoal_store_set_owned(shoal_thread *thread, uint32_t slot, bool owned)
{
    SHOAL_ASSERT(thread->store != NULL);
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    shoal_store *store = thread->store;
    _Atomic uint64_t *word = &store->databases[0]->words[slot];
    /* A word that is right already is not written: its page may never have been touched. */
    if (shoal_store_owns(store, slot) == owned) return;
    if (owned == store->owned) {
        (void)shoal_and_acq_rel(word, ~WORD_FOREIGN); /* pair: slot.owned */
    } else {
        (void)shoal_or_acq_rel(word, WORD_FOREIGN); /* pair: slot.owned */
    }
    SHOAL_ASSERT(shoal_store_owns(store, slot) == owned);
}

static size_t route_size(uint16_t nodes)
{
    const shoal_route *route = NULL;
    return sizeof *route + sizeof route->nodes[0] * nodes;
}

shoal_route *shoal_route_make(shoal_store *store, uint16_t nodes)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(store->database_count > 0);
    size_t size = route_size(nodes);
    shoal_route *route = shoal_memory_take_zeroed(&store->allocator, size, SHOAL_ALIGN_PLAIN);
    if (route != NULL) route->node_count = nodes;
    return route;
}

void shoal_route_drop(shoal_store *store, shoal_route *route)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(route == NULL || route != shoal_load_relaxed(&store->route));
    if (route == NULL) return;
    shoal_memory_give(&store->allocator, route, route_size(route->node_count), SHOAL_ALIGN_PLAIN);
}

uint64_t shoal_route__bytes(const shoal_store *store, const shoal_route *route)
{
    SHOAL_ASSERT(route != NULL);
    SHOAL_ASSERT(route != &standalone);
    return shoal_memory_usable(&store->allocator, route_size(route->node_count), SHOAL_ALIGN_PLAIN);
}

void shoal_store_publish_route(shoal_thread *thread, shoal_route *route)
{
    SHOAL_ASSERT(route != NULL);
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_store *store = thread->store;
    int64_t bytes = (int64_t)shoal_route__bytes(store, route);
    shoal_bump_relaxed(&thread->counters.bytes, bytes);
    shoal_bump_relaxed(&thread->counters.bytes_beside, bytes);
    /* pair: route.publish */
    const shoal_route *before = shoal_exchange_acq_rel(&store->route, (const shoal_route *)route);
    if (before == &standalone) return;
    shoal_limbo__retire(thread, CORPSE_ROUTE, (uint64_t)(uintptr_t)before,
                        shoal_route__bytes(store, before));
}

const shoal_route *shoal_store_route(const shoal_store *store)
{
    SHOAL_ASSERT(store->thread_count > 0);
    return shoal_load_acquire(&store->route); /* pair: route.publish */
}

void shoal_route__init(shoal_store *store)
{
    SHOAL_ASSERT(shoal_load_relaxed(&store->route) == NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    shoal_store_relaxed(&store->route, &standalone);
}

void shoal_route__free(shoal_thread *thread, const shoal_route *route)
{
    SHOAL_ASSERT(route != NULL);
    SHOAL_ASSERT(route != &standalone);
    shoal_store *store = thread->store;
    int64_t bytes = (int64_t)shoal_route__bytes(store, route);
    shoal_bump_relaxed(&thread->counters.bytes, -bytes);
    shoal_bump_relaxed(&thread->counters.bytes_beside, -bytes);
    shoal_memory_give(&store->allocator, (void *)(uintptr_t)route, route_size(route->node_count),
                      SHOAL_ALIGN_PLAIN);
}

void shoal_route__clear(shoal_store *store)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(shoal_load_relaxed(&store->route) != NULL);
    const shoal_route *route = shoal_load_relaxed(&store->route);
    if (route != &standalone) shoal_route__free(&store->threads[0], route);
}
