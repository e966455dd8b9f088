/* SPDX-License-Identifier: MIT
 *
 * store/write.c - changes of single keys by the holder of their gate: an item is made complete, put
 * in the place of the one before with a single store, and that one retired. Objects are passed on
 * from item to item, or retired with the last one.
 */
#include "store/quick.h"

#include "base/hash.h"
#include "base/text.h"

/* Changes that a command may have to make once it has begun: of two keys, each put, or found
 * expired, and then removed. */
#define RESERVED_CHANGES 4u

/* ---- accounts of a slot, kept by its gate's holder ---- */

static void set_bit(_Atomic uint64_t *map, uint32_t place, bool on)
{
    SHOAL_DEBUG_ASSERT(map != NULL);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_SLOT(place) < SHOAL_SLOTS);
    uint32_t slot = SHOAL_PLACE_SLOT(place);
    uint64_t bit = (uint64_t)1 << (slot % 64);
    if (on) {
        (void)shoal_or_relaxed(&map[slot / 64], bit);
    } else {
        (void)shoal_and_relaxed(&map[slot / 64], ~bit);
    }
}

static void count_keys(shoal_thread *thread, shoal_hot *hot, uint32_t place, int32_t change)
{
    SHOAL_DEBUG_ASSERT(change != 0);
    SHOAL_DEBUG_ASSERT(change > 0 || shoal_load_relaxed(&hot->keys) >= (uint32_t)-change);
    uint32_t before = shoal_load_relaxed(&hot->keys);
    uint32_t after = before + (uint32_t)change;
    /* Behind what a cut has noted of the place. pair: cut.emptied */
    shoal_store_release(&hot->keys, after);
    thread->evictor.keys += change;
    shoal_bump_relaxed(&thread->counters.keys[SHOAL_PLACE_DB(place)], change);
    if ((before == 0) == (after == 0)) return;
    set_bit(shoal_store__db(thread->store, place)->used, place, after != 0);
}

static void count_volatile(shoal_thread *thread, shoal_hot *hot, uint32_t place, int32_t change)
{
    SHOAL_DEBUG_ASSERT(change >= 0 || shoal_load_relaxed(&hot->keys_volatile) >= (uint32_t)-change);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (LIKELY(change == 0)) return;
    uint32_t before = shoal_load_relaxed(&hot->keys_volatile);
    uint32_t after = before + (uint32_t)change;
    shoal_store_relaxed(&hot->keys_volatile, after);
    shoal_bump_relaxed(&thread->counters.keys_volatile[SHOAL_PLACE_DB(place)], change);
    if ((before == 0) == (after == 0)) return;
    set_bit(shoal_store__db(thread->store, place)->expiring, place, after != 0);
}

static bool is_volatile(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    return (item->head & ITEM_VOLATILE) != 0;
}

/* Is freeing the object worth being told? */
static bool is_large(shoal_object *object)
{
    SHOAL_DEBUG_ASSERT(object != NULL);
    const shoal_value_ops *ops = shoal_value_ops_of((shoal_value_type)object->type);
    SHOAL_ASSERT(ops != NULL);
    return ops->count(&(shoal_compound){.object = object}) > SHOAL_LAZY_ELEMENTS;
}

static void retire_object(shoal_thread *thread, shoal_object *object)
{
    SHOAL_ASSERT(object->bytes > 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    bool large = is_large(object);
    shoal_bump_relaxed(&thread->counters.lazy_pending, large);
    shoal_limbo__retire(thread, CORPSE_OBJECT, shoal_limbo__object(object, large),
                        (uint64_t)object->bytes);
}

/* Hands an item that is no longer in its slot to the limbo, and its object unless that is
 * `kept`. */
static inline void retire_item(shoal_thread *thread, shoal_hot *hot, uint32_t place,
                               const shoal_item *item, const shoal_object *kept)
{
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&hot->bytes) >= shoal_item_memory(thread->store, item));
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    size_t size = shoal_item__size(item);
    uint64_t bytes = shoal_store__usable(thread->store, size, ITEM_ALIGNMENT);
    shoal_object *object = shoal_item__object(item);
    if (UNLIKELY(object != NULL) && object != kept) {
        SHOAL_ASSERT(object->bytes > 0);
        shoal_bump_relaxed(&hot->bytes, -(uint64_t)object->bytes);
        if (LIKELY(thread->cut == NULL) || !shoal_cut__keeps(thread, place, object))
            retire_object(thread, object);
    }
    shoal_bump_relaxed(&hot->bytes, -bytes);
    shoal_limbo__retire_item(thread, item, size, bytes);
}

/* The hot line of a place whose gate is held. */
static inline shoal_hot *check_gate(const shoal_thread *thread, uint32_t place)
{
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(shoal_load_relaxed(&hot->gate) != 0);
    return hot;
}

/* ---- changes under the gate ---- */

/* Finds the item of `key`, expired or not: NULL when there is none. */
static const shoal_item *locate(const shoal_thread *thread, const shoal_key *key,
                                shoal_found *found)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(found != NULL);
    shoal_table__descend_to(thread->store, key, &found->leaf);
    return shoal_table__locate(&found->leaf, key, &found->spot);
}

/* As locate, where only what is put there is to be replaced: what the look ahead has seen needs no
 * leaf. */
static inline const shoal_item *locate_spot(const shoal_thread *thread, const shoal_key *key,
                                            shoal_found *found)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(key->seen <= BUCKET_ENTRIES);
    uint64_t tag = 0;
    uint64_t word = shoal_load_relaxed(shoal_store__word(thread->store, key->place));
    shoal_bucket *home = shoal_table__home(word, key->hash, &tag);
    uint64_t entry = home != NULL ? shoal_bucket__recall(home, tag, key) : 0;
    if (UNLIKELY(entry == 0)) return locate(thread, key, found);
    found->spot = (shoal_spot){.home = home, .bucket = home, .index = key->seen - 1u};
    return shoal_entry__pointer(entry);
}

/* As shoal_store__drop, without the object if that is `kept`. */
static void drop(shoal_thread *thread, const shoal_key *key, const shoal_found *found,
                 shoal_change change, const shoal_object *kept)
{
    SHOAL_DEBUG_ASSERT(found->spot.index < BUCKET_ENTRIES);
    SHOAL_DEBUG_ASSERT(found->leaf.word != 0);
    SHOAL_ASSERT(thread->account.bytes == 0);
    uint64_t entry = shoal_load_relaxed(&found->spot.bucket->entries[found->spot.index]);
    const shoal_item *item = shoal_entry__pointer(entry);
    if (UNLIKELY(thread->cut != NULL)) shoal_cut__before(thread, key);
    const _Atomic uint8_t *age = &found->spot.bucket->ages[found->spot.index];
    shoal_evict__count(thread, shoal_load_relaxed(age), -1);
    shoal_table__remove(thread, key, &found->leaf, &found->spot);
    if (change == SHOAL_CHANGE_EXPIRED || change == SHOAL_CHANGE_EVICTED)
        shoal_change__gone(thread,
                           (shoal_departure){.item = item, .place = key->place, .change = change});
    shoal_hot *hot = shoal_store__hot(thread->store, key->place);
    retire_item(thread, hot, key->place, item, kept);
    count_volatile(thread, hot, key->place, is_volatile(item) ? -1 : 0);
    count_keys(thread, hot, key->place, -1);
    if (change == SHOAL_CHANGE_EXPIRED) shoal_bump_relaxed(&thread->counters.expired, 1);
    if (change == SHOAL_CHANGE_EVICTED) shoal_bump_relaxed(&thread->counters.evicted, 1);
    shoal_change__note(thread, key, change);
}

void shoal_store__drop(shoal_thread *thread, const shoal_key *key, const shoal_found *found,
                       shoal_change change)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(change != SHOAL_CHANGE_VALUE);
    drop(thread, key, found, change, NULL);
}

/* As shoal_store_get_locked, and where it is. */
static const shoal_item *locate_live(shoal_thread *thread, const shoal_key *key, shoal_found *found)
{
    SHOAL_DEBUG_ASSERT(thread->now_ms >= 0);
    (void)check_gate(thread, key->place);
    const shoal_item *item = locate(thread, key, found);
    if (item == NULL || !shoal_item__is_expired(item, thread->judged_ms)) return item;
    if (!shoal_load_relaxed(&thread->store->keeps_expired) && shoal_limbo__reserve(thread, 1))
        shoal_store__drop(thread, key, found, SHOAL_CHANGE_EXPIRED);
    return NULL;
}

int64_t shoal_write__expire(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(thread->now_ms >= 0);
    (void)check_gate(thread, key->place);
    shoal_found found;
    const shoal_item *item = locate(thread, key, &found);
    if (item == NULL || !is_volatile(item)) return -1;
    int64_t expires_ms = shoal_item_expires_ms(item);
    if (!shoal_item__is_expired(item, thread->now_ms)) return expires_ms;
    if (!shoal_limbo__reserve(thread, 1)) return thread->now_ms + 1;
    shoal_store__drop(thread, key, &found, SHOAL_CHANGE_EXPIRED);
    return -1;
}

const shoal_item *shoal_store_get_locked(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_found found;
    const shoal_item *item = locate_live(thread, key, &found);
    if (item == NULL) return NULL;
    shoal_evict__use(&thread->evictor, &found.spot.bucket->ages[found.spot.index]);
    thread->evictor.used = key->hash;
    if (LIKELY(thread->cut == NULL)) return item;
    /* Who asks for an object under the gate may be about to change it. */
    shoal_object *object = shoal_item__object(item);
    if (object == NULL) return item;
    shoal_cut__before(thread, key);
    shoal_cut__before_object(thread, key->place, object);
    return item;
}

/* Puts `item` in the place of the one at `spot`. */
static inline void replace(shoal_thread *thread, shoal_hot *hot, const shoal_key *key,
                           const shoal_spot *spot, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(spot->index < BUCKET_ENTRIES);
    SHOAL_DEBUG_ASSERT(shoal_item__has_name(item, key->name));
    _Atomic uint64_t *at = &spot->bucket->entries[spot->index];
    uint64_t entry = shoal_load_relaxed(at);
    const shoal_item *before = shoal_entry__pointer(entry);
    if (UNLIKELY(thread->cut != NULL)) shoal_cut__before(thread, key);
    /* pair: bucket.entry */
    shoal_store_release(at, shoal_entry__make(shoal_entry__tag(entry), item));
    /* Nobody has met it since its time came. */
    if (UNLIKELY(shoal_item__is_expired(before, thread->judged_ms)))
        shoal_change__gone(thread, (shoal_departure){.item = before,
                                                     .place = key->place,
                                                     .change = SHOAL_CHANGE_EXPIRED,
                                                     .replaced = true});
    retire_item(thread, hot, key->place, before, shoal_item__object(item));
    shoal_quick__replace(thread, key, &spot->bucket->ages[spot->index], before, item);
    count_volatile(thread, hot, key->place, is_volatile(item) - is_volatile(before));
}

/* Sees to it that there is room for what a plan adds to what stands under its name now. What grows
 * later (an object) or takes the place of as much that goes is not asked for. */
static bool room_for(shoal_thread *thread, const shoal_item_plan *plan, const shoal_item *before)
{
    SHOAL_DEBUG_ASSERT(plan->value.count > 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (plan->moves || thread->account.bytes != 0 || thread->follows) return true;
    int64_t bytes = (int64_t)(plan->name.size + ITEM_OVERHEAD_MAX + plan->value.parts[0].size);
    for (uint32_t i = 1; UNLIKELY(i < plan->value.count); i++)
        bytes += (int64_t)plan->value.parts[i].size;
    /* It fits beside what it replaces: no need to know how large that is. */
    if (LIKELY(shoal_quick__fits(thread, bytes, before == NULL))) return true;
    if (before != NULL) bytes -= (int64_t)shoal_item_memory(thread->store, before);
    shoal_amounts need = {{bytes > 0 ? bytes : 0, before == NULL}};
    return shoal_limits__fit(thread, &need) || shoal_limits__room(thread, need);
}

/* As shoal_write__enter, where the hot line is known. */
static inline void enter(shoal_thread *thread, shoal_hot *hot, const shoal_key *key,
                         const shoal_spot *spot, const shoal_newcomer *newcomer)
{
    const shoal_item *item = newcomer->item;
    SHOAL_DEBUG_ASSERT(shoal_item__has_name(item, key->name));
    SHOAL_DEBUG_ASSERT(newcomer->bytes == shoal_item_memory(thread->store, item));
    if (is_volatile(item)) {
        int64_t expires_ms = shoal_item_expires_ms(item);
        shoal_expire__note(thread, key->place, spot->home, expires_ms);
        if (UNLIKELY(shoal_load_relaxed(&thread->store->own.notes)) && !thread->follows)
            shoal_own__note(thread, key, expires_ms);
    }
    if (item->head & ITEM_OBJECT) shoal_dated__note(thread, key->place, spot->home, item);
    shoal_bump_relaxed(&hot->bytes, newcomer->bytes);
    if (newcomer->replaces) {
        replace(thread, hot, key, spot, item);
    } else {
        count_volatile(thread, hot, key->place, is_volatile(item));
        count_keys(thread, hot, key->place, 1);
        if (shoal_clock__is_due(&thread->evictor)) shoal_clock__flush(thread);
    }
}

void shoal_write__enter(shoal_thread *thread, const shoal_key *key, const shoal_spot *spot,
                        const shoal_newcomer *newcomer)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(spot->home != NULL);
    enter(thread, shoal_store__hot(thread->store, key->place), key, spot, newcomer);
}

static shoal_err put(shoal_thread *thread, const shoal_key *key, shoal_item_plan *plan)
{
    SHOAL_DEBUG_ASSERT(plan->name.size == key->name.size);
    shoal_hot *hot = check_gate(thread, key->place);
    /* Making room takes nothing from slots whose gates are held: what is found stays. */
    shoal_found found;
    const shoal_item *before = locate_spot(thread, key, &found);
    bool exists = before != NULL;
    if (!exists && thread->evictor.policy->remembers) shoal_evict__foresee(thread->store, key);
    if (!room_for(thread, plan, before)) return SHOAL_ERR_NO_MEMORY;
    if (!shoal_quick__reserve(thread)) return SHOAL_ERR_NO_MEMORY;
    shoal_item *item = shoal_item__make(thread, plan);
    if (item == NULL) return SHOAL_ERR_NO_MEMORY;
    if (!exists && shoal_table__add(thread, key, item, &found.spot.home) != SHOAL_ERR_OK) {
        (void)shoal_item__free(thread, item, shoal_item__size(item));
        return SHOAL_ERR_NO_MEMORY;
    }
    const shoal_newcomer newcomer = {item, plan->bytes, exists};
    if (UNLIKELY(thread->observer != NULL)) thread->creates = !exists;
    enter(thread, hot, key, &found.spot, &newcomer);
    shoal_quick__note(thread, hot, key, plan->change);
    return SHOAL_ERR_OK;
}

/* ---- strings ---- */

bool shoal_write__is_integer(shoal_slice value, int64_t *integer)
{
    SHOAL_DEBUG_ASSERT(value.data != NULL || value.size == 0);
    SHOAL_DEBUG_ASSERT(integer != NULL);
    return value.size <= SHOAL_TEXT_INTEGER_SIZE && shoal_text_to_i64(value, integer);
}

shoal_err shoal_store_put_locked(shoal_thread *thread, const shoal_key *key, shoal_slice value,
                                 int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(value.data != NULL || value.size == 0);
    SHOAL_DEBUG_ASSERT(value.size <= SHOAL_VALUE_SIZE_MAX);
    int64_t integer;
    if (shoal_write__is_integer(value, &integer))
        return shoal_store_put_integer_locked(thread, key, integer, expires_ms);
    if (expires_ms < 0 && shoal_write__plain(thread, key, value)) return SHOAL_ERR_OK;
    return shoal_store_put_text_locked(thread, key, value, expires_ms);
}

shoal_err shoal_store_put_text_locked(shoal_thread *thread, const shoal_key *key, shoal_slice value,
                                      int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(value.data != NULL || value.size == 0);
    SHOAL_DEBUG_ASSERT(value.size <= SHOAL_VALUE_SIZE_MAX);
    shoal_item_plan plan = {.name = key->name,
                            .type = SHOAL_TYPE_STRING,
                            .value = {&value, 1},
                            .expires_ms = expires_ms,
                            .change = SHOAL_CHANGE_VALUE};
    return put(thread, key, &plan);
}

shoal_err shoal_store_put_raw_locked(shoal_thread *thread, const shoal_key *key, shoal_slice value,
                                     int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(value.data != NULL || value.size == 0);
    SHOAL_DEBUG_ASSERT(value.size <= SHOAL_VALUE_SIZE_MAX);
    return shoal_store_put_raw_parts_locked(thread, key, (shoal_gather){&value, 1}, expires_ms);
}

shoal_err shoal_store_put_raw_parts_locked(shoal_thread *thread, const shoal_key *key,
                                           shoal_gather parts, int64_t expires_ms)
{
    SHOAL_ASSERT(parts.count > 0 && parts.count <= 16);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_item_plan plan = {.name = key->name,
                            .type = SHOAL_TYPE_STRING,
                            .kept = ITEM_RAW,
                            .value = parts,
                            .expires_ms = expires_ms,
                            .change = SHOAL_CHANGE_VALUE};
    return put(thread, key, &plan);
}

shoal_err shoal_store_put_integer_locked(shoal_thread *thread, const shoal_key *key, int64_t value,
                                         int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_slice bytes = {(const char *)&value, sizeof value};
    shoal_item_plan plan = {.name = key->name,
                            .type = SHOAL_TYPE_STRING,
                            .kept = ITEM_INTEGER,
                            .value = {&bytes, 1},
                            .expires_ms = expires_ms,
                            .change = SHOAL_CHANGE_VALUE};
    return put(thread, key, &plan);
}

/* ---- compound values ---- */

shoal_err shoal_store_put_pack_locked(shoal_thread *thread, const shoal_key *key,
                                      shoal_value_type type, shoal_gather parts, int64_t expires_ms)
{
    SHOAL_ASSERT(type > SHOAL_TYPE_STRING);
    SHOAL_ASSERT(parts.count > 0 && parts.count <= 16);
    SHOAL_ASSERT(thread->account.bytes == 0);
    shoal_item_plan plan = {.name = key->name,
                            .type = type,
                            .value = parts,
                            .expires_ms = expires_ms,
                            .change = SHOAL_CHANGE_VALUE};
    return put(thread, key, &plan);
}

shoal_account *shoal_thread_account(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->account.allocator != NULL);
    return &thread->account;
}

bool shoal_thread_reserve(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->account.bytes == 0);
    return shoal_limbo__reserve(thread, RESERVED_CHANGES);
}

/* What was taken and given since the account was settled is the object's. */
static void settle(shoal_thread *thread, uint32_t place, shoal_object *object)
{
    SHOAL_ASSERT(object->bytes + thread->account.bytes > 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    int64_t bytes = thread->account.bytes;
    thread->account.bytes = 0;
    object->bytes += bytes;
    shoal_bump_relaxed(&shoal_store__hot(thread->store, place)->bytes, (uint64_t)bytes);
    shoal_bump_relaxed(&thread->counters.bytes, bytes);
}

shoal_err shoal_store_put_object_locked(shoal_thread *thread, const shoal_key *key,
                                        shoal_object *object, int64_t expires_ms)
{
    SHOAL_ASSERT(object->type >= SHOAL_TYPE_STRING && object->type < SHOAL_TYPE_COUNT);
    SHOAL_ASSERT(object->bytes == 0);
    shoal_slice bytes = {(const char *)&object, sizeof(void *)};
    shoal_item_plan plan = {.name = key->name,
                            .type = (shoal_value_type)object->type,
                            .kept = ITEM_OBJECT,
                            .value = {&bytes, 1},
                            .expires_ms = expires_ms,
                            .change = SHOAL_CHANGE_VALUE};
    shoal_err error = put(thread, key, &plan);
    if (error == SHOAL_ERR_OK) settle(thread, key->place, object);
    return error;
}

void shoal_store_changed_locked(shoal_thread *thread, const shoal_key *key, shoal_object *object)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(object->type >= SHOAL_TYPE_STRING);
    (void)check_gate(thread, key->place);
    settle(thread, key->place, object);
    shoal_dated__changed(thread, key, object);
    shoal_change__note(thread, key, SHOAL_CHANGE_VALUE);
}

void shoal_store_touched_locked(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, thread->store->seed));
    SHOAL_DEBUG_ASSERT(shoal_store_get_locked(thread, key) != NULL);
    (void)check_gate(thread, key->place);
    shoal_change__note(thread, key, SHOAL_CHANGE_VALUE);
}

/* ---- any value ---- */

/* What a copy of `item` under another name and time to live is made of. */
static shoal_item_plan plan_like(const shoal_item *item, shoal_slice *value, const shoal_key *to,
                                 int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    SHOAL_DEBUG_ASSERT(to->name.data != NULL || to->name.size == 0);
    shoal_item_parts parts = shoal_item__parts(item);
    *value = (shoal_slice){parts.value, parts.value_size};
    return (shoal_item_plan){.name = to->name,
                             .type = shoal_item_type(item),
                             .kept = item->head & ITEM_KEPT_MASK,
                             .value = {value, 1},
                             .expires_ms = expires_ms,
                             .change = SHOAL_CHANGE_VALUE};
}

bool shoal_store_remove_locked(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_found found;
    if (locate_live(thread, key, &found) == NULL) return false;
    if (!shoal_limbo__reserve(thread, 1)) return false;
    shoal_store__drop(thread, key, &found, SHOAL_CHANGE_REMOVED);
    return true;
}

shoal_err shoal_store_expire_locked(shoal_thread *thread, const shoal_key *key, int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(thread->now_ms >= 0);
    shoal_found found;
    const shoal_item *item = locate_live(thread, key, &found);
    if (item == NULL) return SHOAL_ERR_NOT_FOUND;
    thread->evictor.used = key->hash;
    if (expires_ms < 0 && !is_volatile(item)) return SHOAL_ERR_OK;
    shoal_slice value;
    shoal_item_plan plan = plan_like(item, &value, key, expires_ms);
    plan.change = SHOAL_CHANGE_TTL;
    plan.moves = true;
    return put(thread, key, &plan);
}

shoal_err shoal_store_copy_locked(shoal_thread *thread, const shoal_item *item, const shoal_key *to,
                                  int64_t expires_ms)
{
    SHOAL_ASSERT(thread->account.bytes == 0);
    SHOAL_DEBUG_ASSERT(to->hash == shoal_hash(to->name, thread->store->seed));
    const shoal_object *object = shoal_item__object(item);
    if (object == NULL) {
        shoal_slice value;
        shoal_item_plan plan = plan_like(item, &value, to, expires_ms);
        return put(thread, to, &plan);
    }
    const shoal_value_ops *ops = shoal_value_ops_of((shoal_value_type)object->type);
    shoal_object *copy = ops->copy(object, &thread->account);
    if (copy == NULL) return SHOAL_ERR_NO_MEMORY;
    copy->bytes = 0;
    shoal_err error = shoal_store_put_object_locked(thread, to, copy, expires_ms);
    if (error != SHOAL_ERR_OK) shoal_object_free(copy, &thread->account);
    return error;
}

/* The key `to` is as old as the one at `from` that it was. */
static void inherit(shoal_thread *thread, const shoal_spot *from, const shoal_key *to)
{
    SHOAL_DEBUG_ASSERT(from->index < BUCKET_ENTRIES);
    shoal_found found;
    const shoal_item *item = locate(thread, to, &found);
    SHOAL_ASSERT(item != NULL);
    _Atomic uint8_t *age = &found.spot.bucket->ages[found.spot.index];
    uint8_t byte = shoal_load_relaxed(&from->bucket->ages[from->index]);
    shoal_evict__count(thread, shoal_load_relaxed(age), -1);
    shoal_store_relaxed(age, byte);
    shoal_evict__count(thread, byte, 1);
}

shoal_err shoal_store_rename_locked(shoal_thread *thread, const shoal_key *from,
                                    const shoal_key *to)
{
    SHOAL_DEBUG_ASSERT(to->hash == shoal_hash(to->name, thread->store->seed));
    SHOAL_ASSERT(from->place != to->place || !shoal_text_equal(from->name, to->name));
    const shoal_item *item = shoal_store_get_locked(thread, from);
    if (item == NULL) return SHOAL_ERR_NOT_FOUND;
    if (!shoal_limbo__reserve(thread, 2)) return SHOAL_ERR_NO_MEMORY;
    shoal_object *object = shoal_item__object(item);
    if (UNLIKELY(thread->cut != NULL) && object != NULL)
        shoal_cut__before_move(thread, from->place, object);
    shoal_slice value;
    shoal_item_plan plan = plan_like(item, &value, to, shoal_item_expires_ms(item));
    plan.moves = true;
    shoal_err error = put(thread, to, &plan);
    if (error != SHOAL_ERR_OK) return error;
    if (object != NULL) {
        uint64_t bytes = (uint64_t)object->bytes;
        shoal_bump_relaxed(&shoal_store__hot(thread->store, to->place)->bytes, bytes);
        shoal_bump_relaxed(&shoal_store__hot(thread->store, from->place)->bytes, -bytes);
    }
    shoal_found found;
    item = locate(thread, from, &found);
    SHOAL_ASSERT(item != NULL);
    inherit(thread, &found.spot, to);
    drop(thread, from, &found, SHOAL_CHANGE_REMOVED, object);
    if (UNLIKELY(thread->cut != NULL) && object != NULL)
        shoal_cut__moved(thread, from->place, to->place, object);
    return SHOAL_ERR_OK;
}

uint64_t shoal_store_clear_locked(shoal_thread *thread, uint32_t place)
{
    SHOAL_ASSERT(SHOAL_PLACE_DB(place) < thread->store->database_count);
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_hot *hot = check_gate(thread, place);
    uint32_t keys = shoal_load_relaxed(&hot->keys);
    if (keys == 0 || !shoal_limbo__reserve(thread, 1)) return 0;
    _Atomic uint64_t *home = shoal_store__word(thread->store, place);
    uint64_t word = shoal_load_relaxed(home) & ~WORD_FLAGS;
    shoal_table__publish(home, 0);
    if (LIKELY(thread->cut == NULL) || !shoal_cut__keeps_tree(thread, place, word))
        shoal_limbo__retire(thread, CORPSE_TREE, word, shoal_load_relaxed(&hot->bytes));
    shoal_bump_relaxed(&thread->counters.lazy_pending, keys);
    shoal_store_relaxed(&hot->bytes, (uint64_t)0);
    hot->leaf_keys = 0;
    count_volatile(thread, hot, place, -(int32_t)shoal_load_relaxed(&hot->keys_volatile));
    count_keys(thread, hot, place, -(int32_t)keys);
    shoal_change__note_all(thread, place);
    return keys;
}
