/* SPDX-License-Identifier: MIT
 *
 * store/change.c - counting changes of keys, and telling those who watch one. Interests hang in the
 * hot line of their slot, in the order in which they came; few slots ever have one.
 */
#include "base/text.h"
#include "store/quick.h"

static void notify(shoal_thread *thread, shoal_hot *hot, const shoal_key *key, shoal_change change)
{
    SHOAL_ASSERT(hot->interests != NULL);
    SHOAL_ASSERT(change >= SHOAL_CHANGE_VALUE && change <= SHOAL_CHANGE_CLEARED);
    shoal_interest *next;
    for (shoal_interest *at = hot->interests; at != NULL; at = next) {
        next = at->next;
        if (key == NULL || (at->key.hash == key->hash && at->key.place == key->place &&
                            shoal_text_equal(at->key.name, key->name)))
            at->notify(at, thread, change);
    }
}

void shoal_change__tell(shoal_thread *thread, shoal_hot *hot, const shoal_key *key,
                        shoal_change change)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < thread->store->database_count);
    if (UNLIKELY(thread->observer != NULL)) {
        bool created = thread->creates;
        thread->creates = false;
        thread->observer->changed(thread->observer, key, change, created);
    }
    if (UNLIKELY(hot->interests != NULL)) notify(thread, hot, key, change);
}

void shoal_change__note(shoal_thread *thread, const shoal_key *key, shoal_change change)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < thread->store->database_count);
    shoal_quick__note(thread, shoal_store__hot(thread->store, key->place), key, change);
}

shoal_observer *shoal_thread_observe(shoal_thread *thread, shoal_observer *observer)
{
    shoal_observer *before = thread->observer;
    SHOAL_ASSERT(observer == NULL || observer->changed != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    thread->observer = observer;
    thread->creates = false;
    return before;
}

void shoal_change__note_all(shoal_thread *thread, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < thread->store->database_count);
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    shoal_bump_relaxed(&thread->counters.changes, 1);
    shoal_bump_relaxed(&hot->changes, 1);
    if (UNLIKELY(hot->interests != NULL)) notify(thread, hot, NULL, SHOAL_CHANGE_CLEARED);
}

void shoal_store_set_departures(shoal_store *store, const shoal_departures *departures)
{
    SHOAL_ASSERT(departures != NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    store->departures = *departures;
}

shoal_departures shoal_store_departures(const shoal_store *store)
{
    SHOAL_ASSERT(store != NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    return store->departures;
}

void shoal_change__gone(shoal_thread *thread, shoal_departure departure)
{
    SHOAL_DEBUG_ASSERT(departure.change == SHOAL_CHANGE_EXPIRED ||
                       departure.change == SHOAL_CHANGE_EVICTED);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    const shoal_departures *departures = &thread->store->departures;
    departure.alone = thread->taken > 0;
    /* Another has come in its stead: as if there had been none. */
    if (departure.replaced) thread->creates = true;
    if (departures->gone != NULL) departures->gone(departures->context, thread, &departure);
}

void shoal_store_keep_expired(shoal_store *store, bool keep)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    shoal_store_relaxed(&store->keeps_expired, keep);
}

void shoal_thread_follow(shoal_thread *thread, bool follow)
{
    SHOAL_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    thread->follows = follow;
    thread->judged_ms = follow ? INT64_MIN : thread->now_ms;
}

void shoal_store_interest_add_locked(shoal_thread *thread, shoal_interest *interest)
{
    SHOAL_ASSERT(interest->notify != NULL);
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_hot *hot = shoal_store__hot(thread->store, interest->key.place);
    SHOAL_ASSERT(shoal_load_relaxed(&hot->gate) != 0);
    shoal_interest *last = hot->interests;
    while (last != NULL && last->next != NULL) last = last->next;
    interest->next = NULL;
    interest->previous = last;
    if (last != NULL) {
        last->next = interest;
    } else {
        hot->interests = interest;
    }
}

shoal_interest *shoal_store_interests_locked(shoal_thread *thread, uint32_t place)
{
    SHOAL_ASSERT(thread->stamp != 0);
    const shoal_hot *hot = shoal_store__hot(thread->store, place);
    SHOAL_ASSERT(shoal_load_relaxed(&hot->gate) != 0);
    return hot->interests;
}

static void unlink_interest(shoal_hot *hot, shoal_interest *interest)
{
    SHOAL_ASSERT(interest->previous != NULL || hot->interests == interest);
    if (interest->next != NULL) interest->next->previous = interest->previous;
    if (interest->previous != NULL) {
        interest->previous->next = interest->next;
    } else {
        hot->interests = interest->next;
    }
    interest->next = interest->previous = NULL;
}

void shoal_store_interest_remove_locked(shoal_thread *thread, shoal_interest *interest)
{
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_hot *hot = shoal_store__hot(thread->store, interest->key.place);
    SHOAL_ASSERT(shoal_load_relaxed(&hot->gate) != 0);
    unlink_interest(hot, interest);
}

void shoal_store_interest_drop(shoal_store *store, shoal_interest *interest)
{
    shoal_hot *hot = shoal_store__hot(store, interest->key.place);
    SHOAL_ASSERT(shoal_load_relaxed(&hot->gate) == 0);
    unlink_interest(hot, interest);
}

uint64_t shoal_thread_changes(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->index < thread->store->thread_count);
    return (uint64_t)shoal_load_relaxed(&thread->counters.changes);
}

uint64_t shoal_store_changes_slot(const shoal_store *store, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    return shoal_load_relaxed(&shoal_store__hot(store, place)->changes);
}
