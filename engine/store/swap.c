/* SPDX-License-Identifier: MIT
 *
 * store/swap.c - what two places hold, exchanged: SWAPDB, slot by slot, under the gates of both
 * databases. Tables are passed on as they are, since nothing in them says which database they are
 * in; what belongs to the place itself (its gate, its flags, who watches it) stays.
 */
#include "store/internal.h"

/* What moves with the content. */
typedef struct content {
    uint64_t word;
    uint64_t bytes;
    uint32_t keys, keys_volatile, leaf_keys;
    bool dated;
} content;

static content take_content(const shoal_thread *thread, uint32_t place)
{
    const shoal_hot *hot = shoal_store__hot(thread->store, place);
    SHOAL_ASSERT(shoal_load_relaxed(&hot->gate) != 0);
    SHOAL_ASSERT(thread->stamp != 0);
    return (content){
        .word = shoal_load_relaxed(shoal_store__word(thread->store, place)) & ~WORD_FLAGS,
        .bytes = shoal_load_relaxed(&hot->bytes),
        .keys = shoal_load_relaxed(&hot->keys),
        .keys_volatile = shoal_load_relaxed(&hot->keys_volatile),
        .leaf_keys = hot->leaf_keys,
        .dated = shoal_dated__any(thread->store, place),
    };
}

static void set_bit(_Atomic uint64_t *map, uint32_t slot, bool on)
{
    SHOAL_DEBUG_ASSERT(map != NULL);
    SHOAL_DEBUG_ASSERT(slot < SHOAL_SLOTS);
    uint64_t bit = (uint64_t)1 << (slot % 64);
    if (on) {
        (void)shoal_or_relaxed(&map[slot / 64], bit);
    } else {
        (void)shoal_and_relaxed(&map[slot / 64], ~bit);
    }
}

/* Puts what another place had in the place of `before`. */
static void put_content(shoal_thread *thread, uint32_t place, const content *before,
                        const content *now)
{
    SHOAL_DEBUG_ASSERT(thread->account.bytes == 0);
    SHOAL_DEBUG_ASSERT(thread->cut == NULL);
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    shoal_db *db = shoal_store__db(thread->store, place);
    uint32_t number = SHOAL_PLACE_DB(place), slot = SHOAL_PLACE_SLOT(place);
    shoal_store_relaxed(&hot->bytes, now->bytes);
    shoal_store_relaxed(&hot->keys, now->keys);
    shoal_store_relaxed(&hot->keys_volatile, now->keys_volatile);
    hot->leaf_keys = now->leaf_keys;
    shoal_bump_relaxed(&thread->counters.keys[number], (int64_t)now->keys - before->keys);
    shoal_bump_relaxed(&thread->counters.keys_volatile[number],
                       (int64_t)now->keys_volatile - before->keys_volatile);
    set_bit(db->used, slot, now->keys != 0);
    set_bit(db->expiring, slot, now->keys_volatile != 0);
    shoal_table__publish(shoal_store__word(thread->store, place), now->word);
    shoal_dated__mark(thread->store, place, now->dated);
    if (now->keys_volatile != 0 || now->dated) shoal_expire__distrust(thread, place);
}

/* Is there a live item of that name in `place`? */
static bool exists(const shoal_thread *thread, shoal_key key, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_SLOT(key.place) == SHOAL_PLACE_SLOT(place));
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    key.place = place;
    shoal_spot spot;
    shoal_leaf leaf = shoal_table__leaf(thread->store, &key);
    const shoal_item *item = shoal_table__locate(&leaf, &key, &spot);
    return item != NULL && !shoal_item__is_expired(item, thread->judged_ms);
}

/* Tells who watches a key of `place` that is here now and alive, or was and is now in `other`. */
static void tell(shoal_thread *thread, uint32_t place, uint32_t other)
{
    shoal_hot *hot = shoal_store__hot(thread->store, place);
    SHOAL_DEBUG_ASSERT(place != other);
    shoal_bump_relaxed(&hot->changes, 1);
    shoal_interest *next;
    for (shoal_interest *at = hot->interests; at != NULL; at = next) {
        next = at->next;
        SHOAL_ASSERT(at->key.place == place);
        if (shoal_store_get(thread, &at->key) != NULL) {
            at->notify(at, thread, SHOAL_CHANGE_VALUE);
        } else if (exists(thread, at->key, other)) {
            at->notify(at, thread, SHOAL_CHANGE_REMOVED);
        }
    }
}

bool shoal_store_may_swap(const shoal_thread *thread)
{
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    return thread->cut == NULL;
}

void shoal_store_swap_locked(shoal_thread *thread, uint32_t place, uint32_t other)
{
    SHOAL_ASSERT(place != other && SHOAL_PLACE_SLOT(place) == SHOAL_PLACE_SLOT(other));
    SHOAL_ASSERT(shoal_store_may_swap(thread));
    content one = take_content(thread, place), two = take_content(thread, other);
    if (one.keys == 0 && two.keys == 0) return;
    put_content(thread, place, &one, &two);
    put_content(thread, other, &two, &one);
    shoal_bump_relaxed(&thread->counters.changes, 1);
    tell(thread, place, other);
    tell(thread, other, place);
}
