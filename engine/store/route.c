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

/* The nodes stand behind the struct, the moves behind the nodes. */
static size_t route_size(uint32_t nodes, uint32_t moves)
{
    SHOAL_ASSERT(nodes <= UINT16_MAX);
    SHOAL_ASSERT(moves <= UINT16_MAX);
    const shoal_route *route = NULL;
    return sizeof *route + sizeof route->nodes[0] * nodes + sizeof route->moves[0] * moves;
}

static size_t size_of(const shoal_route *route)
{
    SHOAL_ASSERT((route->moves == NULL) == (route->move_count == 0));
    return route_size(route->node_count, route->move_count);
}

_Static_assert(_Alignof(shoal_route_move) <= _Alignof(struct shoal_route_node),
               "moves may stand right behind the nodes");

shoal_route *shoal_route_make_moving(shoal_store *store, uint16_t nodes, uint16_t moves,
                                     shoal_route_move **out)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(store->database_count > 0);
    size_t size = route_size(nodes, moves);
    shoal_route *route = shoal_memory_take_zeroed(&store->allocator, size, SHOAL_ALIGN_PLAIN);
    if (route == NULL) return NULL;
    route->node_count = nodes;
    route->move_count = moves;
    *out = moves > 0 ? (shoal_route_move *)(void *)&route->nodes[nodes] : NULL;
    route->moves = *out;
    return route;
}

shoal_route *shoal_route_make(shoal_store *store, uint16_t nodes)
{
    shoal_route_move *none;
    return shoal_route_make_moving(store, nodes, 0, &none);
}

const shoal_route_move *shoal_route_find_move(const shoal_route *route, uint32_t slot, bool comes)
{
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    SHOAL_ASSERT((route->moves == NULL) == (route->move_count == 0));
    uint32_t low = 0, high = route->move_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (route->moves[middle].slot < slot) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < route->move_count && route->moves[low].slot == slot; low++) {
        if ((route->moves[low].target == 0) == comes) return &route->moves[low];
    }
    return NULL;
}

void shoal_route_drop(shoal_store *store, shoal_route *route)
{
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(route == NULL || route != shoal_load_relaxed(&store->route));
    if (route == NULL) return;
    shoal_memory_give(&store->allocator, route, size_of(route), SHOAL_ALIGN_PLAIN);
}

uint64_t shoal_route__bytes(const shoal_store *store, const shoal_route *route)
{
    SHOAL_ASSERT(route != NULL);
    SHOAL_ASSERT(route != &standalone);
    return shoal_memory_usable(&store->allocator, size_of(route), SHOAL_ALIGN_PLAIN);
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
    shoal_memory_give(&store->allocator, (void *)(uintptr_t)route, size_of(route),
                      SHOAL_ALIGN_PLAIN);
}

void shoal_route__clear(shoal_store *store)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(shoal_load_relaxed(&store->route) != NULL);
    const shoal_route *route = shoal_load_relaxed(&store->route);
    if (route != &standalone) shoal_route__free(&store->threads[0], route);
}

/* How many slots this node keeps, as a master or as a replica; all when nothing is known. */
static uint32_t slots_here(const shoal_route *route)
{
    SHOAL_ASSERT(route->master <= route->node_count);
    if (!route->cluster) return SHOAL_SLOTS;
    uint32_t whose = route->master;
    for (uint32_t i = 0; i < route->node_count && whose == 0; i++) {
        if (route->nodes[i].myself) whose = i + 1;
    }
    uint32_t slots = 0;
    for (uint32_t i = 0; i < SHOAL_SLOTS; i++) slots += whose != 0 && route->owner[i] == whose;
    SHOAL_ASSERT(slots <= SHOAL_SLOTS);
    return slots > 0 ? slots : SHOAL_SLOTS;
}

void shoal_store_expect(shoal_store *store, uint64_t keys)
{
    const uint64_t most = LEAF_BUCKETS_MAX * BUCKET_ENTRIES;
    uint64_t each = keys / slots_here(shoal_store_route(store));
    SHOAL_ASSERT(store->thread_count > 0);
    SHOAL_ASSERT(most <= UINT32_MAX);
    shoal_store_relaxed(&store->expected, (uint32_t)(each < most ? each : most));
}
