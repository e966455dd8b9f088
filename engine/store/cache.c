/* SPDX-License-Identifier: MIT
 *
 * store/cache.c - shoal/cache.h on top of store/store.h: life, reads, pins, scan and statistics. It
 * uses nothing of the store but its headers.
 */
#include <shoal/cache.h>

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/cache_face.h"
#include "store/change.h"
#include "store/journal.h"
#include "store/limits.h"
#include "store/pin.h"
#include "store/policy.h"

/* What a cookie is: options that did not come from the default function stop the program. */
#define COOKIE 0x53484f41u
/* Keys that a bucket holds on average. */
#define KEYS_PER_BUCKET 5u
/* Keys that a scan with a filter looks at unless it says otherwise. */
#define SCAN_COUNT 100u
/* Pinned copies are aligned so. */
#define COPY_ALIGNMENT 8u

_Static_assert(sizeof((shoal_cache_value *)0)->digits >= SHOAL_INT_TEXT_SIZE, "room for digits");
_Static_assert((int)SHOAL_CACHE_STRING == (int)SHOAL_TYPE_STRING, "the same numbers");
_Static_assert((int)SHOAL_CACHE_STREAM == (int)SHOAL_TYPE_STREAM, "the same numbers");

struct shoal_cache {
    shoal_store *store;
    shoal_allocator allocator;
    shoal_cache_gone gone;
    void *gone_context;
};

/* ---- life ---- */

shoal_cache_options shoal_cache_options_default(void)
{
    _Static_assert(COOKIE != 0, "zeroed options are refused");
    return (shoal_cache_options){.cookie = COOKIE,
                                 .threads = 1,
                                 .limits = shoal_cache_limits_default()};
}

/* Shows what goes to the embedder. */
static void show_gone(void *context, shoal_thread *thread, const shoal_departure *departure)
{
    shoal_change change = departure->change;
    if (departure->field != NULL) return;
    SHOAL_ASSERT(change == SHOAL_CHANGE_EXPIRED || change == SHOAL_CHANGE_EVICTED);
    SHOAL_DEBUG_ASSERT(thread != NULL);
    (void)thread;
    const shoal_cache *cache = context;
    shoal_cache_value value;
    shoal_cache__describe(departure->item, &value);
    bool expired = change == SHOAL_CHANGE_EXPIRED;
    cache->gone(cache->gone_context, shoal_item_name(departure->item), &value,
                expired ? SHOAL_CACHE_EXPIRED : SHOAL_CACHE_EVICTED);
}

shoal_err shoal_cache_open(const shoal_cache_options *options, shoal_cache **out)
{
    SHOAL_ASSERT(out != NULL);
    SHOAL_ASSERT(options->cookie == COOKIE);
    if (options->allocator.allocate == NULL) return SHOAL_ERR_INVALID;
    shoal_cache *cache =
        shoal_memory_take_zeroed(&options->allocator, sizeof *cache, SHOAL_ALIGN_PLAIN);
    if (cache == NULL) return SHOAL_ERR_NO_MEMORY;
    cache->allocator = options->allocator;
    cache->gone = options->gone;
    cache->gone_context = options->gone_context;
    const shoal_store_options store_options = {
        .allocator = options->allocator,
        .threads = options->threads,
        .databases = 1,
        .seed = options->seed,
        .owned = true,
    };
    shoal_err error = shoal_store_create(&store_options, &cache->store);
    if (error != SHOAL_ERR_OK) {
        shoal_memory_give(&options->allocator, cache, sizeof *cache, SHOAL_ALIGN_PLAIN);
        return error;
    }
    const shoal_departures departures = {show_gone, cache};
    if (cache->gone != NULL) shoal_store_set_departures(cache->store, &departures);
    shoal_cache_set_limits(cache, &options->limits);
    *out = cache;
    return SHOAL_ERR_OK;
}

shoal_cache_limits shoal_cache_limits_default(void)
{
    const shoal_limits limits = shoal_limits_default();
    SHOAL_DEBUG_ASSERT(limits.policy == &shoal_policy_none);
    SHOAL_DEBUG_ASSERT(limits.bytes == 0 && limits.keys == 0);
    return (shoal_cache_limits){.effort = limits.effort,
                                .step_us = limits.step_us,
                                .lfu_log_factor = limits.lfu_log_factor,
                                .lfu_decay_minutes = limits.lfu_decay_minutes};
}

void shoal_cache_set_limits(shoal_cache *cache, const shoal_cache_limits *limits)
{
    SHOAL_ASSERT(cache != NULL);
    SHOAL_ASSERT(limits->effort > 0);
    const shoal_limits set = {.bytes = limits->bytes,
                              .keys = limits->keys,
                              .policy =
                                  limits->policy == NULL ? &shoal_policy_none : limits->policy,
                              .effort = limits->effort,
                              .step_us = limits->step_us,
                              .lfu_log_factor = limits->lfu_log_factor,
                              .lfu_decay_minutes = limits->lfu_decay_minutes};
    shoal_store_set_limits(cache->store, &set);
}

void shoal_cache_close(shoal_cache *cache)
{
    if (cache == NULL) return;
    SHOAL_ASSERT(cache->store != NULL);
    shoal_allocator allocator = cache->allocator;
    shoal_store_destroy(cache->store);
    shoal_memory_give(&allocator, cache, sizeof *cache, SHOAL_ALIGN_PLAIN);
}

shoal_cache_thread *shoal_cache_thread_at(shoal_cache *cache, uint32_t index)
{
    SHOAL_ASSERT(cache != NULL);
    SHOAL_ASSERT(cache->store != NULL);
    return shoal_store_thread(cache->store, index);
}

void shoal_cache_enter(shoal_cache_thread *thread, shoal_time now)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(now.wall_us >= 0);
    shoal_thread_enter(thread, now);
}

void shoal_cache_leave(shoal_cache_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    const shoal_journal *journal = shoal_thread_journal(thread);
    SHOAL_DEBUG_ASSERT(shoal_thread_store(thread) != NULL);
    if (__builtin_expect(journal == NULL, 1)) {
        shoal_thread_leave(thread);
        return;
    }
    shoal_time now = shoal_thread_now(thread);
    shoal_thread_leave(thread);
    journal->left(journal, thread, now);
}

int64_t shoal_cache_maintain(shoal_cache_thread *thread, uint32_t budget_us)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    int64_t wait_us = shoal_store_maintain(thread, budget_us);
    SHOAL_DEBUG_ASSERT(wait_us >= 0);
    return shoal_thread_busy(thread) ? 0 : wait_us;
}

/* ---- reads ---- */

void shoal_cache__describe(const shoal_item *item, shoal_cache_value *out)
{
    SHOAL_DEBUG_ASSERT(out != NULL);
    SHOAL_DEBUG_ASSERT(item == NULL || shoal_item_type(item) != SHOAL_TYPE_NONE);
    if (item == NULL) {
        *out = (shoal_cache_value){.expires_ms = SHOAL_CACHE_FOREVER};
        return;
    }
    out->type = (shoal_cache_type)shoal_item_type(item);
    out->expires_ms = shoal_item_expires_ms(item);
    bool is_string = out->type == SHOAL_CACHE_STRING;
    out->bytes = is_string ? shoal_item_string(item, out->digits) : (shoal_slice){NULL, 0};
}

shoal_err shoal_cache__check_string(const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(item == NULL || shoal_item_type(item) != SHOAL_TYPE_NONE);
    if (item == NULL) return SHOAL_ERR_NOT_FOUND;
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) < SHOAL_TYPE_COUNT);
    return shoal_item_type(item) == SHOAL_TYPE_STRING ? SHOAL_ERR_OK : SHOAL_ERR_WRONG_TYPE;
}

shoal_key shoal_cache__key(const shoal_thread *thread, shoal_slice name)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    SHOAL_DEBUG_ASSERT(thread != NULL);
    return shoal_key_make(shoal_thread_store(thread), 0, name);
}

/* Finds the item of a key, counted as hit or miss. */
static const shoal_item *look(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(thread != NULL);
    const shoal_item *item = shoal_store_get(thread, key);
    shoal_thread_count_lookup(thread, item != NULL);
    return item;
}

shoal_err shoal_cache_get(shoal_cache_thread *thread, shoal_slice key, shoal_cache_value *out)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(out != NULL);
    shoal_key made = shoal_cache__key(thread, key);
    const shoal_item *item = look(thread, &made);
    shoal_cache__describe(item, out);
    return shoal_cache__check_string(item);
}

shoal_err shoal_cache_copy(shoal_cache_thread *thread, shoal_slice key, void *buffer, size_t room,
                           size_t *size)
{
    SHOAL_DEBUG_ASSERT(size != NULL);
    SHOAL_DEBUG_ASSERT(buffer != NULL || room == 0);
    shoal_cache_value value;
    shoal_err error = shoal_cache_get(thread, key, &value);
    *size = value.bytes.size;
    if (error != SHOAL_ERR_OK) return error;
    if (value.bytes.size > room) return SHOAL_ERR_TOO_LARGE;
    if (value.bytes.size > 0) memcpy(buffer, value.bytes.data, value.bytes.size);
    return SHOAL_ERR_OK;
}

/* One batch of at most CACHE_BATCH_KEYS: all buckets, then the look-ups together. */
static size_t get_batch(shoal_cache_thread *thread, const shoal_slice *keys, size_t count,
                        shoal_cache_value *values)
{
    SHOAL_DEBUG_ASSERT(values != NULL);
    shoal_key made[CACHE_BATCH_KEYS];
    const shoal_item *items[CACHE_BATCH_KEYS];
    size_t found = 0;
    SHOAL_ASSERT(count <= CACHE_BATCH_KEYS);
    for (size_t i = 0; i < count; i++) made[i].name = keys[i];
    shoal_store_get_many(thread, 0, made, (uint32_t)count, items);
    for (size_t i = 0; i < count; i++) {
        const shoal_item *item = items[i];
        shoal_thread_count_lookup(thread, item != NULL);
        shoal_cache__describe(item, &values[i]);
        found += shoal_cache__check_string(item) == SHOAL_ERR_OK;
    }
    return found;
}

size_t shoal_cache_get_many(shoal_cache_thread *thread, const shoal_slice *keys, size_t count,
                            shoal_cache_value *values)
{
    SHOAL_DEBUG_ASSERT(keys != NULL || count == 0);
    SHOAL_DEBUG_ASSERT(values != NULL || count == 0);
    size_t found = 0;
    for (size_t done = 0; done < count;) {
        size_t batch = count - done < CACHE_BATCH_KEYS ? count - done : CACHE_BATCH_KEYS;
        found += get_batch(thread, keys + done, batch, values + done);
        done += batch;
    }
    return found;
}

/* ---- pins ---- */

/* Copies what is not pinned where it is. */
static shoal_err copy_pinned(shoal_thread *thread, shoal_slice bytes, shoal_cache_pin *pin)
{
    SHOAL_DEBUG_ASSERT(bytes.data != NULL);
    SHOAL_DEBUG_ASSERT(pin->number == 0);
    const shoal_allocator *allocator = shoal_thread_allocator(thread);
    /* An empty value has an address too: {NULL, 0} is none. */
    size_t size = bytes.size > 0 ? bytes.size : 1;
    pin->copy = shoal_memory_take(allocator, size, COPY_ALIGNMENT);
    if (pin->copy == NULL) return SHOAL_ERR_NO_MEMORY;
    memcpy(pin->copy, bytes.data, bytes.size);
    pin->bytes = (shoal_slice){pin->copy, bytes.size};
    return SHOAL_ERR_OK;
}

shoal_err shoal_cache_pin_get(shoal_cache_thread *thread, shoal_slice key, shoal_cache_pin *pin)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(pin != NULL);
    shoal_key made = shoal_cache__key(thread, key);
    const shoal_item *item = look(thread, &made);
    *pin = (shoal_cache_pin){.expires_ms = SHOAL_CACHE_FOREVER};
    shoal_err error = shoal_cache__check_string(item);
    if (error != SHOAL_ERR_OK) return error;
    char scratch[SHOAL_INT_TEXT_SIZE];
    pin->expires_ms = shoal_item_expires_ms(item);
    pin->bytes = shoal_item_string(item, scratch);
    pin->number = shoal_store_pin(thread, item);
    return pin->number != 0 ? SHOAL_ERR_OK : copy_pinned(thread, pin->bytes, pin);
}

void shoal_cache_unpin(shoal_cache_thread *thread, shoal_cache_pin *pin)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_ASSERT((pin->copy != NULL) != (pin->number != 0));
    size_t size = pin->bytes.size > 0 ? pin->bytes.size : 1;
    if (pin->number != 0) {
        shoal_store_unpin(thread, pin->number);
    } else {
        shoal_memory_give(shoal_thread_allocator(thread), pin->copy, size, COPY_ALIGNMENT);
    }
    *pin = (shoal_cache_pin){.expires_ms = SHOAL_CACHE_FOREVER};
}

/* ---- scan ---- */

/* Passes a scan's items on as keys and values. */
typedef struct scan_pass {
    const shoal_cache_filter *filter; /* NULL: all */
    shoal_cache_visit visit;
    void *context;
} scan_pass;

/* Does the filter let this item through? */
static bool lets_through(const shoal_cache_filter *filter, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(filter != NULL);
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    shoal_slice name = shoal_item_name(item);
    shoal_slice prefix = filter->prefix;
    if (filter->type != SHOAL_CACHE_NONE && (int)filter->type != (int)shoal_item_type(item))
        return false;
    if (prefix.size > name.size) return false;
    if (prefix.size > 0 && memcmp(prefix.data, name.data, prefix.size) != 0) return false;
    return filter->pattern.size == 0 || shoal_text_glob(filter->pattern, name, false);
}

static void pass_on(void *context, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(context != NULL);
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    const scan_pass *pass = context;
    if (pass->filter != NULL && !lets_through(pass->filter, item)) return;
    shoal_cache_value value;
    shoal_cache__describe(item, &value);
    pass->visit(pass->context, shoal_item_name(item), &value);
}

static void scan_with(shoal_thread *thread, scan_pass *pass, uint64_t *cursor, uint32_t count)
{
    SHOAL_ASSERT(cursor != NULL);
    SHOAL_ASSERT(pass->visit != NULL);
    const shoal_scan scan = {
        .slot_last = SHOAL_SLOTS - 1,
        .count = count / KEYS_PER_BUCKET + 1,
    };
    shoal_store_scan(thread, &scan, cursor, pass_on, pass);
}

void shoal_cache_scan(shoal_cache_thread *thread, uint64_t *cursor, uint32_t count,
                      shoal_cache_visit visit, void *context)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(cursor != NULL);
    scan_pass pass = {NULL, visit, context};
    scan_with(thread, &pass, cursor, count);
}

void shoal_cache_scan_where(shoal_cache_thread *thread, const shoal_cache_filter *filter,
                            uint64_t *cursor, shoal_cache_visit visit, void *context)
{
    SHOAL_ASSERT(filter != NULL);
    SHOAL_DEBUG_ASSERT(filter->prefix.data != NULL || filter->prefix.size == 0);
    scan_pass pass = {filter, visit, context};
    scan_with(thread, &pass, cursor, filter->count == 0 ? SCAN_COUNT : filter->count);
}

/* ---- statistics ---- */

void shoal_cache_stats_get(const shoal_cache *cache, shoal_cache_stats *out)
{
    SHOAL_ASSERT(cache != NULL);
    SHOAL_ASSERT(out != NULL);
    shoal_store_stats stats;
    shoal_store_stats_get(cache->store, &stats);
    *out = (shoal_cache_stats){
        .keys = stats.keys,
        .keys_volatile = stats.keys_volatile,
        .bytes = stats.bytes,
        .bytes_tables = stats.bytes_tables,
        .bytes_limbo = stats.bytes_limbo,
        .bytes_held = stats.bytes_slabs_free + stats.bytes_queues,
        .hits = stats.hits,
        .misses = stats.misses,
        .expired = stats.expired,
        .evicted = stats.evicted,
        .handed_over = stats.handed_over,
    };
}
