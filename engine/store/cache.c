/* SPDX-License-Identifier: MIT
 *
 * store/cache.c - shoal/cache.h on top of store/store.h: keys are made from bytes, gates are tried
 * and never waited for. It uses nothing of the store but its header.
 */
#include <shoal/cache.h>

#include <string.h>

#include "base/assert.h"
#include "store/store.h"

/* What a cookie is: options that did not come from the default function stop the program. */
#define COOKIE 0x53484f41u
/* Keys whose memory accesses overlap: as many as a core has misses under way. */
#define BATCH_KEYS 16u
/* Keys that a bucket holds on average. */
#define KEYS_PER_BUCKET 5u

_Static_assert(sizeof((shoal_cache_value *)0)->digits >= SHOAL_INT_TEXT_SIZE, "room for digits");

/* ---- life ---- */

shoal_cache_options shoal_cache_options_default(void)
{
    return (shoal_cache_options){.cookie = COOKIE, .threads = 1};
}

shoal_err shoal_cache_open(const shoal_cache_options *options, shoal_cache **out)
{
    SHOAL_ASSERT(out != NULL);
    SHOAL_ASSERT(options->cookie == COOKIE);
    if (options->allocator.allocate == NULL) return SHOAL_ERR_INVALID;
    const shoal_store_options store_options = {
        .allocator = options->allocator,
        .threads = options->threads,
        .databases = 1,
        .seed = options->seed,
        .owned = true,
    };
    return shoal_store_create(&store_options, out);
}

void shoal_cache_close(shoal_cache *cache)
{
    shoal_store_destroy(cache);
}

shoal_cache_thread *shoal_cache_thread_at(shoal_cache *cache, uint32_t index)
{
    SHOAL_ASSERT(cache != NULL);
    return shoal_store_thread(cache, index);
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
    shoal_thread_leave(thread);
}

int64_t shoal_cache_maintain(shoal_cache_thread *thread, uint32_t budget_us)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    return shoal_store_maintain(thread, budget_us);
}

/* ---- reads ---- */

/* Describes an item, or none. */
static void describe(const shoal_item *item, shoal_cache_value *out)
{
    SHOAL_DEBUG_ASSERT(out != NULL);
    SHOAL_DEBUG_ASSERT(item == NULL || shoal_item_type(item) == SHOAL_TYPE_STRING);
    if (item == NULL) {
        *out = (shoal_cache_value){.expires_ms = SHOAL_CACHE_FOREVER};
        return;
    }
    out->bytes = shoal_item_string(item, out->digits);
    out->expires_ms = shoal_item_expires_ms(item);
}

static shoal_key make_key(const shoal_cache_thread *thread, shoal_slice key)
{
    SHOAL_DEBUG_ASSERT(key.data != NULL || key.size == 0);
    SHOAL_DEBUG_ASSERT(thread != NULL);
    return shoal_key_make(shoal_thread_store(thread), 0, key);
}

static shoal_err find(shoal_cache_thread *thread, const shoal_key *key, shoal_cache_value *out)
{
    SHOAL_DEBUG_ASSERT(out != NULL);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    const shoal_item *item = shoal_store_get(thread, key);
    shoal_thread_count_lookup(thread, item != NULL);
    describe(item, out);
    return item == NULL ? SHOAL_ERR_NOT_FOUND : SHOAL_ERR_OK;
}

shoal_err shoal_cache_get(shoal_cache_thread *thread, shoal_slice key, shoal_cache_value *out)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(out != NULL);
    shoal_key made = make_key(thread, key);
    return find(thread, &made, out);
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

/* One batch of at most BATCH_KEYS: all buckets, then all items, then the look-ups. */
static size_t get_batch(shoal_cache_thread *thread, const shoal_slice *keys, size_t count,
                        shoal_cache_value *values)
{
    SHOAL_DEBUG_ASSERT(values != NULL);
    shoal_key made[BATCH_KEYS];
    const shoal_store *store = shoal_thread_store(thread);
    size_t found = 0;
    SHOAL_ASSERT(count <= BATCH_KEYS);
    for (size_t i = 0; i < count; i++) {
        made[i] = make_key(thread, keys[i]);
        shoal_store_prefetch_bucket(store, &made[i]);
    }
    for (size_t i = 0; i < count; i++) shoal_store_prefetch_item(store, &made[i]);
    for (size_t i = 0; i < count; i++) {
        found += find(thread, &made[i], &values[i]) == SHOAL_ERR_OK;
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
        size_t batch = count - done < BATCH_KEYS ? count - done : BATCH_KEYS;
        found += get_batch(thread, keys + done, batch, values + done);
        done += batch;
    }
    return found;
}

/* ---- writes ---- */

/* One write on its way through the gate of its key. */
typedef struct cache_write {
    shoal_gate_op gate; /* first */
    shoal_key key;
    shoal_slice value;
    int64_t expires_ms;
    int64_t number; /* increment: the delta, then the sum */
    shoal_err error;
} cache_write;

/* Runs `what` under the gate of the key, if that is free. */
static shoal_err run_write(shoal_cache_thread *thread, shoal_slice key, cache_write *write,
                           void (*what)(shoal_op *op, void *runner))
{
    SHOAL_DEBUG_ASSERT(what != NULL);
    SHOAL_DEBUG_ASSERT(key.data != NULL || key.size == 0);
    if (key.size > SHOAL_KEY_SIZE_MAX) return SHOAL_ERR_TOO_LARGE;
    write->key = make_key(thread, key);
    write->gate = (shoal_gate_op){.op = {.run = what}, .places = &write->key.place, .count = 1};
    if (!shoal_gate_try(thread, &write->gate)) return SHOAL_ERR_BUSY;
    return write->error;
}

static void run_put(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_put);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    write->error = shoal_store_put_locked(runner, &write->key, write->value, write->expires_ms);
}

shoal_err shoal_cache_put(shoal_cache_thread *thread, shoal_slice key, shoal_slice value,
                          int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(value.data != NULL || value.size == 0);
    if (value.size > SHOAL_VALUE_SIZE_MAX) return SHOAL_ERR_TOO_LARGE;
    cache_write write = {.value = value, .expires_ms = expires_ms};
    return run_write(thread, key, &write, run_put);
}

static void run_remove(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_remove);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    bool removed = shoal_store_remove_locked(runner, &write->key);
    write->error = removed ? SHOAL_ERR_OK : SHOAL_ERR_NOT_FOUND;
}

shoal_err shoal_cache_remove(shoal_cache_thread *thread, shoal_slice key)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(key.data != NULL || key.size == 0);
    cache_write write = {.error = SHOAL_ERR_OK};
    shoal_err error = run_write(thread, key, &write, run_remove);
    return error == SHOAL_ERR_TOO_LARGE ? SHOAL_ERR_NOT_FOUND : error;
}

static void run_expire(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_expire);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    write->error = shoal_store_expire_locked(runner, &write->key, write->expires_ms);
}

shoal_err shoal_cache_expire(shoal_cache_thread *thread, shoal_slice key, int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(key.data != NULL || key.size == 0);
    cache_write write = {.expires_ms = expires_ms};
    shoal_err error = run_write(thread, key, &write, run_expire);
    return error == SHOAL_ERR_TOO_LARGE ? SHOAL_ERR_NOT_FOUND : error;
}

static void run_increment(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_increment);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    int64_t before = 0;
    const shoal_item *item = shoal_store_get_locked(runner, &write->key);
    /* What reads as an integer is kept as one: the store sees to that. */
    if (item != NULL && !shoal_item_integer(item, &before)) {
        write->error = SHOAL_ERR_NOT_INTEGER;
        return;
    }
    if (__builtin_add_overflow(before, write->number, &write->number)) {
        write->error = SHOAL_ERR_OVERFLOW;
        return;
    }
    int64_t expires_ms = item == NULL ? SHOAL_CACHE_FOREVER : shoal_item_expires_ms(item);
    write->error = shoal_store_put_integer_locked(runner, &write->key, write->number, expires_ms);
}

shoal_err shoal_cache_increment(shoal_cache_thread *thread, shoal_slice key, int64_t delta,
                                int64_t *sum)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(sum != NULL);
    cache_write write = {.number = delta};
    shoal_err error = run_write(thread, key, &write, run_increment);
    if (error == SHOAL_ERR_OK) *sum = write.number;
    return error;
}

/* ---- scan and statistics ---- */

/* Passes a scan's items on as keys and values. */
typedef struct scan_pass {
    shoal_cache_visit visit;
    void *context;
} scan_pass;

static void pass_on(void *context, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(context != NULL);
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) == SHOAL_TYPE_STRING);
    const scan_pass *pass = context;
    shoal_cache_value value;
    describe(item, &value);
    pass->visit(pass->context, shoal_item_name(item), &value);
}

void shoal_cache_scan(shoal_cache_thread *thread, uint64_t *cursor, uint32_t count,
                      shoal_cache_visit visit, void *context)
{
    SHOAL_ASSERT(cursor != NULL);
    SHOAL_ASSERT(visit != NULL);
    scan_pass pass = {visit, context};
    const shoal_scan scan = {
        .slot_last = SHOAL_SLOTS - 1,
        .count = count / KEYS_PER_BUCKET + 1,
    };
    shoal_store_scan(thread, &scan, cursor, pass_on, &pass);
}

void shoal_cache_stats_get(const shoal_cache *cache, shoal_cache_stats *out)
{
    SHOAL_ASSERT(cache != NULL);
    SHOAL_ASSERT(out != NULL);
    shoal_store_stats stats;
    shoal_store_stats_get(cache, &stats);
    *out = (shoal_cache_stats){
        .keys = stats.keys,
        .keys_volatile = stats.keys_volatile,
        .bytes = stats.bytes,
        .bytes_tables = stats.bytes_tables,
        .bytes_limbo = stats.bytes_limbo,
        .hits = stats.hits,
        .misses = stats.misses,
        .expired = stats.expired,
    };
}
