/* SPDX-License-Identifier: MIT
 *
 * store/dated.c - hashes whose fields have deadlines of their own. Who reads such a hash leaves
 * out what has expired, and who writes to it drops that; hashes that nobody touches are found by
 * the hand of expire.c. To it, the earliest deadline of a hash is as good as a TTL: it lowers the
 * hint of the bucket and what the slot says about when something expires. Only, a slot does not
 * count such hashes, for deadlines come and go in place: a bit of the map `dated` is set where one
 * may be, and the hand takes it away when it has been through the slot and nothing is to come.
 */
#include "store/internal.h"

#include "base/hash.h"
#include "value/members.h"

int64_t shoal_dated__deadline(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    if (shoal_item_type(item) != SHOAL_TYPE_HASH) return -1;
    const shoal_object *object = shoal_item__object(item);
    return object == NULL ? -1 : shoal_hash_deadline(object);
}

bool shoal_dated__any(const shoal_store *store, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_SLOT(place) < SHOAL_SLOTS);
    uint32_t slot = SHOAL_PLACE_SLOT(place);
    uint64_t word = shoal_load_relaxed(&shoal_store__db(store, place)->dated[slot / 64]);
    return (word >> (slot % 64) & 1) != 0;
}

void shoal_dated__mark(shoal_store *store, uint32_t place, bool any)
{
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&shoal_store__hot(store, place)->gate) != 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_SLOT(place) < SHOAL_SLOTS);
    if (shoal_dated__any(store, place) == any) return;
    uint32_t slot = SHOAL_PLACE_SLOT(place);
    _Atomic uint64_t *word = &shoal_store__db(store, place)->dated[slot / 64];
    uint64_t bit = (uint64_t)1 << (slot % 64);
    if (any) {
        (void)shoal_or_relaxed(word, bit);
    } else {
        (void)shoal_and_relaxed(word, ~bit);
    }
}

void shoal_dated__note(shoal_thread *thread, uint32_t place, shoal_bucket *home,
                       const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    int64_t deadline_ms = shoal_dated__deadline(item);
    if (LIKELY(deadline_ms < 0)) return;
    shoal_expire__note(thread, place, home, deadline_ms);
    shoal_dated__mark(thread->store, place, true);
}

void shoal_dated__changed(shoal_thread *thread, const shoal_key *key, const shoal_object *object)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(object->type < SHOAL_TYPE_COUNT);
    if (object->type != SHOAL_TYPE_HASH || shoal_hash_deadline(object) < 0) return;
    shoal_spot spot;
    shoal_leaf leaf = shoal_table__leaf(thread->store, key);
    const shoal_item *item = shoal_table__locate(&leaf, key, &spot);
    SHOAL_ASSERT(item != NULL);
    SHOAL_ASSERT(shoal_item__object(item) == object);
    shoal_dated__note(thread, key->place, spot.home, item);
}

/* Drops fields whose time has come one by one, and shows each to who sees keys go. False when none
 * is left. */
static bool show_each(shoal_thread *thread, uint32_t place, const shoal_item *item,
                      uint32_t *budget)
{
    shoal_object *object = shoal_item__object(item);
    shoal_table_entry entry;
    bool left = true;
    SHOAL_ASSERT(thread->taken > 0);
    SHOAL_DEBUG_ASSERT(*budget > 0);
    while (*budget > 0 && left && shoal_hash_due(object, thread->now_ms, &entry)) {
        uint32_t one = 1;
        shoal_change__gone(thread, (shoal_departure){.item = item,
                                                     .field = &entry.name,
                                                     .place = place,
                                                     .change = SHOAL_CHANGE_EXPIRED});
        left = shoal_hash_expire_some(object, &thread->account, thread->now_ms, &one);
        --*budget;
    }
    return left;
}

bool shoal_dated__expire(shoal_thread *thread, uint32_t place, const shoal_item *item,
                         uint32_t *budget)
{
    SHOAL_ASSERT(thread->account.bytes == 0);
    shoal_object *object = shoal_item__object(item);
    SHOAL_ASSERT(object != NULL);
    SHOAL_DEBUG_ASSERT(*budget > 0);
    shoal_slice name = shoal_item_name(item);
    const shoal_key key = {name, shoal_hash(name, thread->store->seed), place};
    if (UNLIKELY(thread->cut != NULL)) {
        shoal_cut__before(thread, &key);
        shoal_cut__before_object(thread, place, object);
    }
    bool left;
    if (thread->store->departures.gone != NULL) {
        left = show_each(thread, place, item, budget);
    } else {
        left = shoal_hash_expire_some(object, &thread->account, thread->now_ms, budget);
    }
    shoal_store_changed_locked(thread, &key, object);
    return left;
}
