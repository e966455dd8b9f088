/* SPDX-License-Identifier: MIT
 *
 * command/tracking_join.c - who tracks, and what: trackers, their prefixes and keys.
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/tracking.h"
#include "command/worker.h"

/* ---- trackers ---- */

void shoal_tracking__release(const shoal_env *env, shoal_tracker *tracker, uint64_t references)
{
    SHOAL_ASSERT(tracker->references >= references);
    tracker->references -= references;
    if (tracker->references > 0 || tracker->session != NULL) return;
    shoal_buffer_free(&tracker->late);
    shoal_memory_give(&env->allocator, tracker, sizeof(*tracker), SHOAL_ALIGN_PLAIN);
}

void shoal_tracking__forget(shoal_worker *worker, shoal_tracked *tracked)
{
    SHOAL_ASSERT(worker->tracking != NULL);
    for (uint32_t i = 0; i < tracked->count; i++)
        shoal_tracking__release(worker->env, tracked->trackers[i], 1);
    shoal_tracked_keep(&worker->tracking->table, tracked, 0);
}

/* Publishes the sums. */
void shoal_tracking__count(shoal_worker *worker)
{
    const shoal_tracking *own = worker->tracking;
    SHOAL_ASSERT(own != NULL);
    uint64_t prefixes = 0;
    for (const shoal_tracking__prefixed *each = own->prefixes; each != NULL; each = each->next)
        prefixes++;
    const shoal_tracked_table *table = &own->table;
    shoal_store_relaxed(&worker->tracked_keys, table->keys - table->stale_keys);
    shoal_store_relaxed(&worker->tracked_items, table->items - table->stale_items);
    shoal_store_relaxed(&worker->tracked_prefixes, prefixes);
}

shoal_tracking_facts shoal_tracking_facts_get(const shoal_env *env)
{
    shoal_tracking_facts sum = {.clients = shoal_load_relaxed(&env->tracking_clients)};
    for (uint32_t i = 0; i < env->worker_count; i++) {
        const shoal_worker *worker = env->workers[i];
        if (worker == NULL) continue;
        sum.keys += shoal_load_relaxed(&worker->tracked_keys);
        sum.items += shoal_load_relaxed(&worker->tracked_items);
        sum.prefixes += shoal_load_relaxed(&worker->tracked_prefixes);
    }
    return sum;
}

bool shoal_tracking__reads(const shoal_session *session)
{
    const shoal_tracker *tracker = session->tracker;
    SHOAL_ASSERT(tracker != NULL);
    if (tracker->options.bcast) return false;
    if (tracker->options.optin) return tracker->caching;
    return !(tracker->options.optout && tracker->caching);
}

void shoal_tracking__read(shoal_session *session, const shoal_key *keys, uint32_t count_keys)
{
    shoal_worker *worker = session->worker;
    shoal_tracker *tracker = session->tracker;
    SHOAL_ASSERT(tracker != NULL && worker->tracking != NULL);
    shoal_tracked_table *table = &worker->tracking->table;
    for (uint32_t i = 0; i < count_keys; i++) {
        bool added;
        shoal_tracked *old = shoal_tracked_find(table, keys[i].name, keys[i].hash);
        if (old != NULL && shoal_tracked_is_stale(table, old)) shoal_tracking__forget(worker, old);
        if (!shoal_tracked_add(table, &keys[i], tracker, &added)) {
            /* It will not hear of changes of this key: so it hears of one of all keys. */
            shoal_store_relaxed(&worker->changes_lost, true);
            worker->env->host->nudge(worker->env->host->context, 1 + worker->index);
            return;
        }
        tracker->references += added;
    }
    shoal_tracking__count(worker);
}

void shoal_tracking__next(shoal_session *session, shoal_command_id id)
{
    const shoal_command *command = shoal_command_row(id);
    SHOAL_ASSERT(session->tracker != NULL);
    bool client = command->parent == SHOAL_COMMAND_CLIENT;
    if (session->multi == NULL && !client) session->tracker->caching = false;
}

/* The knowledge of a worker, made with its first need. */
static bool ready(shoal_worker *worker)
{
    SHOAL_ASSERT(worker->inside);
    if (worker->tracking != NULL) return true;
    worker->tracking = shoal_memory_take_zeroed(&worker->env->allocator, sizeof(*worker->tracking),
                                                SHOAL_ALIGN_PLAIN);
    if (worker->tracking == NULL) return false;
    worker->tracking->table.allocator = &worker->env->allocator;
    SHOAL_ASSERT(worker->tracking->first == NULL);
    return true;
}

/* As memcmp, of a prefix and another. */
static int compare(const shoal_tracking__prefixed *at, shoal_slice bytes)
{
    size_t least = at->size < bytes.size ? at->size : bytes.size;
    int order = least == 0 ? 0 : memcmp(at->bytes, bytes.data, least);
    SHOAL_DEBUG_ASSERT(bytes.data != NULL);
    if (order != 0) return order;
    return at->size < bytes.size ? -1 : at->size > bytes.size;
}

/* Adds a tracker to a prefix of the worker. */
static bool join_prefix(shoal_worker *worker, shoal_tracker *tracker, shoal_slice bytes)
{
    const shoal_allocator *allocator = &worker->env->allocator;
    shoal_tracking__prefixed **link = &worker->tracking->prefixes;
    int order = -1;
    while (*link != NULL && (order = compare((*link), bytes)) < 0) link = &(*link)->next;
    if (*link == NULL || order != 0) {
        shoal_tracking__prefixed *made =
            shoal_memory_take(allocator, sizeof(*made) + bytes.size, SHOAL_ALIGN_PLAIN);
        if (made == NULL) return false;
        *made = (shoal_tracking__prefixed){.next = *link, .size = bytes.size};
        if (bytes.size > 0) memcpy(made->bytes, bytes.data, bytes.size);
        *link = made;
    }
    shoal_tracking__prefixed *at = *link;
    for (uint32_t i = 0; i < at->count; i++) {
        if (at->trackers[i] == tracker) return true;
    }
    if (at->count == at->capacity) {
        uint32_t capacity = at->capacity == 0 ? 4 : 2 * at->capacity;
        shoal_tracker **larger =
            shoal_memory_take(allocator, capacity * sizeof(*larger), SHOAL_ALIGN_PLAIN);
        if (larger == NULL) return false;
        if (at->count > 0) memcpy(larger, at->trackers, at->count * sizeof(*larger));
        shoal_memory_give(allocator, at->trackers, at->capacity * sizeof(*larger),
                          SHOAL_ALIGN_PLAIN);
        at->trackers = larger;
        at->capacity = capacity;
    }
    at->trackers[at->count++] = tracker;
    tracker->prefix_count++;
    tracker->prefix_bytes += sizeof(*at) + sizeof(tracker) + bytes.size;
    return true;
}

/* Takes a tracker out of all prefixes; those that nobody wants any more, or that could not be
 * joined, go. */
static void leave_prefixes(shoal_worker *worker, const shoal_tracker *tracker)
{
    const shoal_allocator *allocator = &worker->env->allocator;
    shoal_tracking__prefixed **link = &worker->tracking->prefixes;
    SHOAL_DEBUG_ASSERT(tracker->session != NULL);
    while (*link != NULL) {
        shoal_tracking__prefixed *at = *link;
        uint32_t kept = 0;
        for (uint32_t i = 0; i < at->count; i++) {
            if (at->trackers[i] != tracker) at->trackers[kept++] = at->trackers[i];
        }
        at->count = kept;
        if (kept > 0) {
            link = &at->next;
            continue;
        }
        *link = at->next;
        shoal_memory_give(allocator, at->trackers, at->capacity * sizeof(*at->trackers),
                          SHOAL_ALIGN_PLAIN);
        shoal_memory_give(allocator, at, sizeof(*at) + at->size, SHOAL_ALIGN_PLAIN);
    }
}

bool shoal_tracking__prefix(const shoal_session *session, uint32_t index, shoal_slice *bytes)
{
    const shoal_tracking *own = session->worker->tracking;
    SHOAL_ASSERT(session->tracker != NULL);
    for (const shoal_tracking__prefixed *at = own->prefixes; at != NULL; at = at->next) {
        for (uint32_t i = 0; i < at->count; i++) {
            if (at->trackers[i] != session->tracker || index-- > 0) continue;
            *bytes = (shoal_slice){at->bytes, at->size};
            return true;
        }
    }
    return false;
}

static bool begin(shoal_session *session)
{
    shoal_worker *worker = session->worker;
    const shoal_allocator *allocator = &worker->env->allocator;
    if (!ready(worker)) return false;
    shoal_tracking *own = worker->tracking;
    SHOAL_ASSERT(session->tracker == NULL);
    shoal_tracker *made = shoal_memory_take(allocator, sizeof(*made), SHOAL_ALIGN_PLAIN);
    if (made == NULL) return false;
    *made = (shoal_tracker){.serial = ++own->serials,
                            .id = session->id,
                            .session = session,
                            .late = shoal_buffer_make(allocator),
                            .next = own->first};
    if (own->first != NULL) own->first->previous = made;
    own->first = made;
    session->tracker = made;
    shoal_add_relaxed(&worker->tracker_count, 1);
    shoal_add_relaxed(&worker->env->trackers, 1);
    shoal_add_relaxed(&worker->env->tracking_clients, 1);
    return true;
}

bool shoal_tracking__join(shoal_session *session, const shoal_tracking_options *options,
                          const shoal_slice *prefixes, uint32_t count_prefixes)
{
    if (session->tracker == NULL && !begin(session)) return false;
    shoal_tracker *tracker = session->tracker;
    SHOAL_ASSERT(options->bcast || count_prefixes == 0);
    tracker->options = *options;
    tracker->broken = false;
    bool joined = true;
    if (options->bcast && count_prefixes == 0)
        joined = join_prefix(session->worker, tracker, shoal_text(""));
    for (uint32_t i = 0; i < count_prefixes && joined; i++)
        joined = join_prefix(session->worker, tracker, prefixes[i]);
    if (!joined) shoal_tracking__leave(session);
    shoal_tracking__count(session->worker);
    return joined;
}

void shoal_tracking__leave(shoal_session *session)
{
    shoal_tracker *tracker = session->tracker;
    if (tracker == NULL) return;
    shoal_worker *worker = session->worker;
    SHOAL_ASSERT(tracker->session == session);
    leave_prefixes(worker, tracker);
    *(tracker->previous != NULL ? &tracker->previous->next : &worker->tracking->first) =
        tracker->next;
    if (tracker->next != NULL) tracker->next->previous = tracker->previous;
    session->tracker = NULL;
    tracker->session = NULL;
    shoal_sub_relaxed(&worker->tracker_count, 1);
    shoal_sub_relaxed(&worker->env->trackers, 1);
    shoal_sub_relaxed(&worker->env->tracking_clients, 1);
    shoal_tracking__release(worker->env, tracker, 0);
    /* Changes are told to this worker no longer. */
    if (worker->tracking->first == NULL) shoal_tracked_flush(&worker->tracking->table);
    shoal_tracking__count(worker);
}

shoal_session *shoal_tracking__find_target(const shoal_worker *worker, uint64_t id)
{
    shoal_session *each = worker->tracking == NULL ? NULL : worker->tracking->targets;
    while (each != NULL && each->id != id) each = each->target_next;
    return each;
}

bool shoal_tracking__target(shoal_worker *worker, uint64_t id)
{
    if (shoal_tracking__find_target(worker, id) != NULL) return true;
    shoal_session *each = worker->sessions.first;
    while (each != NULL && each->id != id) each = each->all.next;
    if (each == NULL || each->closing || !ready(worker)) return false;
    SHOAL_ASSERT(!each->is_target);
    each->is_target = true;
    each->target_next = worker->tracking->targets;
    worker->tracking->targets = each;
    return true;
}

void shoal_tracking__untarget(shoal_session *session)
{
    if (!session->is_target) return;
    SHOAL_ASSERT(session->worker->tracking != NULL);
    shoal_session **link = &session->worker->tracking->targets;
    while (*link != session) {
        SHOAL_ASSERT(*link != NULL);
        link = &(*link)->target_next;
    }
    *link = session->target_next;
    session->is_target = false;
}
