/* SPDX-License-Identifier: MIT
 *
 * store/write_many.c - several strings at once, all or none. Whatever can fail comes first and can
 * be taken back: the items are made, then room is found for keys that are new. Only then are the
 * others replaced, which takes no memory.
 */
#include "store/internal.h"

/* So many items need no memory of their own for a list of them. Chosen. */
#define FEW 16u

/* The items to be put; NULL for those that have their place already. */
typedef struct shoal_item *newcomer_item;

static int64_t expiry_of(shoal_thread *thread, const shoal_put_many *what, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < what->count);
    SHOAL_DEBUG_ASSERT(what->expires_ms < 0 || !what->keep_ttl);
    if (!what->keep_ttl) return what->expires_ms;
    const shoal_item *before = shoal_store_get_locked(thread, &what->keys[index]);
    return before == NULL ? -1 : shoal_item_expires_ms(before);
}

static shoal_item *make_item(shoal_thread *thread, const shoal_put_many *what, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < what->count);
    shoal_slice value = what->values[(size_t)index * what->value_step];
    SHOAL_DEBUG_ASSERT(value.size <= SHOAL_VALUE_SIZE_MAX);
    int64_t integer;
    shoal_slice bytes = {(const char *)&integer, sizeof integer};
    bool is_integer = shoal_write__is_integer(value, &integer);
    shoal_item_plan plan = {.name = what->keys[index].name,
                            .type = SHOAL_TYPE_STRING,
                            .kept = is_integer ? ITEM_INTEGER : 0,
                            .value = {is_integer ? &bytes : &value, 1},
                            .expires_ms = expiry_of(thread, what, index),
                            .change = SHOAL_CHANGE_VALUE};
    return shoal_item__make(thread, &plan);
}

static void free_items(shoal_thread *thread, newcomer_item *items, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(items != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    for (uint32_t i = 0; i < count; i++) {
        if (items[i] != NULL) (void)shoal_item__free(thread, items[i], shoal_item__size(items[i]));
    }
}

/* Finds the place of a key: true when it exists, expired or not. */
static bool locate(const shoal_thread *thread, const shoal_key *key, shoal_found *found)
{
    SHOAL_DEBUG_ASSERT(found != NULL);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&shoal_store__hot(thread->store, key->place)->gate) != 0);
    shoal_table__descend_to(thread->store, key, &found->leaf);
    return shoal_table__locate(&found->leaf, key, &found->spot) != NULL;
}

static void enter(shoal_thread *thread, const shoal_key *key, shoal_found *found,
                  newcomer_item *item, bool replaces)
{
    SHOAL_DEBUG_ASSERT(*item != NULL);
    SHOAL_DEBUG_ASSERT(found->spot.home != NULL);
    size_t bytes = shoal_item_memory(thread->store, *item);
    const shoal_newcomer newcomer = {*item, bytes, replaces};
    shoal_write__enter(thread, key, &found->spot, &newcomer);
    *item = NULL;
}

/* Takes back what add_new has added: the keys below `count` whose items have their place. */
static void undo(shoal_thread *thread, const shoal_put_many *what, newcomer_item *items,
                 uint32_t count)
{
    SHOAL_DEBUG_ASSERT(count < what->count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    for (uint32_t i = 0; i < count; i++) {
        shoal_found found;
        if (items[i] != NULL) continue;
        bool exists = locate(thread, &what->keys[i], &found);
        SHOAL_ASSERT(exists);
        shoal_store__drop(thread, &what->keys[i], &found, SHOAL_CHANGE_REMOVED);
    }
}

/* Adds the keys that do not exist. Without memory, none. */
static bool add_new(shoal_thread *thread, const shoal_put_many *what, newcomer_item *items)
{
    SHOAL_DEBUG_ASSERT(what->count > 0);
    SHOAL_DEBUG_ASSERT(items != NULL);
    for (uint32_t i = 0; i < what->count; i++) {
        const shoal_key *key = &what->keys[i];
        shoal_found found;
        if (locate(thread, key, &found)) continue;
        if (shoal_table__add(thread, key, items[i], &found.spot.home) != SHOAL_ERR_OK) {
            undo(thread, what, items, i);
            return false;
        }
        enter(thread, key, &found, &items[i], false);
    }
    return true;
}

/* Replaces those that did exist, and tells of all of them, in their order. */
static void replace_old(shoal_thread *thread, const shoal_put_many *what, newcomer_item *items)
{
    SHOAL_DEBUG_ASSERT(what->count > 0);
    SHOAL_DEBUG_ASSERT(items != NULL);
    for (uint32_t i = 0; i < what->count; i++) {
        shoal_found found;
        bool created = items[i] == NULL;
        if (!created) {
            bool exists = locate(thread, &what->keys[i], &found);
            SHOAL_ASSERT(exists);
            enter(thread, &what->keys[i], &found, &items[i], true);
        } else if (UNLIKELY(thread->observer != NULL)) {
            thread->creates = true;
        }
        shoal_change__note(thread, &what->keys[i], SHOAL_CHANGE_VALUE);
    }
}

static shoal_err put_all(shoal_thread *thread, const shoal_put_many *what, newcomer_item *items)
{
    SHOAL_DEBUG_ASSERT(what->count > 0);
    SHOAL_DEBUG_ASSERT(items != NULL);
    uint32_t made = 0;
    while (made < what->count && (items[made] = make_item(thread, what, made)) != NULL) made++;
    if (made < what->count || !add_new(thread, what, items)) {
        free_items(thread, items, made);
        return SHOAL_ERR_NO_MEMORY;
    }
    replace_old(thread, what, items);
    return SHOAL_ERR_OK;
}

/* Sees to it that there is room for all of them, as if none replaced another. */
static bool room_for(shoal_thread *thread, const shoal_put_many *what)
{
    SHOAL_DEBUG_ASSERT(what->count > 0);
    SHOAL_DEBUG_ASSERT(what->value_step > 0 || what->count == 1);
    if (thread->follows) return true;
    shoal_amounts need = {{0, what->count}};
    for (uint32_t i = 0; i < what->count; i++) {
        size_t size = what->keys[i].name.size + what->values[(size_t)i * what->value_step].size;
        need.of[MEASURE_BYTES] += (int64_t)(size + ITEM_OVERHEAD_MAX);
    }
    return shoal_limits__fit(thread, &need) || shoal_limits__room(thread, need);
}

shoal_err shoal_store_put_many_locked(shoal_thread *thread, const shoal_put_many *what)
{
    SHOAL_ASSERT(what->count > 0);
    SHOAL_ASSERT(thread->stamp != 0);
    if (!room_for(thread, what)) return SHOAL_ERR_NO_MEMORY;
    if (!shoal_limbo__reserve(thread, what->count)) return SHOAL_ERR_NO_MEMORY;
    newcomer_item few[FEW];
    if (what->count <= FEW) return put_all(thread, what, few);
    const shoal_allocator *allocator = &thread->store->allocator;
    size_t size = what->count * sizeof(newcomer_item);
    newcomer_item *items = shoal_memory_take(allocator, size, SHOAL_ALIGN_PLAIN);
    if (items == NULL) return SHOAL_ERR_NO_MEMORY;
    shoal_err error = put_all(thread, what, items);
    shoal_memory_give(allocator, items, size, SHOAL_ALIGN_PLAIN);
    return error;
}
