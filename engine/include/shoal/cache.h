/* SPDX-License-Identifier: MIT
 *
 * shoal/cache.h - the store as a library: a cache of byte strings inside your own program, without
 * a node, sockets or threads of its own. Reads are wait-free, writes exclude each other only
 * within one of 16,384 slots of the key space, and nothing ever blocks.
 *
 *     shoal_cache_options options = shoal_cache_options_default();
 *     options.allocator = shoal_allocator_default();
 *     shoal_cache *cache;
 *     if (shoal_cache_open(&options, &cache) != 0) ...
 *     shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
 *
 *     shoal_cache_enter(me, now);                 a batch of work, some microseconds to
 *     shoal_cache_put(me, key, value, -1);        milliseconds long
 *     if (shoal_cache_get(me, key, &found) == 0) use(found.bytes);
 *     shoal_cache_maintain(me, 50);
 *     shoal_cache_leave(me);                      what was read is gone from here on
 *
 * Threads: each of your threads uses a handle of its own, by its index; one handle is used by one
 * thread at a time. All functions that take a handle are called between enter and leave on that
 * handle, and do not wait for other threads. Do not sleep between enter and leave: memory that
 * others retire meanwhile cannot be freed. Between leave and enter a thread may sleep as long
 * as it likes. Functions that take a shoal_cache say for themselves.
 *
 * Writes return SHOAL_ERR_BUSY when another thread is in the middle of a write to the same slot:
 * nothing has happened; yield or do something else, and try again. With one thread they never do.
 *
 * Time is an argument: the cache reads no clock. Expiry times are wall-clock milliseconds since
 * 1970 on the clock that you pass in; what has expired by the time of the last enter is absent.
 */
#ifndef SHOAL_CACHE_H
#define SHOAL_CACHE_H

#include <shoal/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One cache. */
typedef struct shoal_store shoal_cache;
/* The handle of one of your threads. */
typedef struct shoal_thread shoal_cache_thread;

/* Without a TTL. */
#define SHOAL_CACHE_FOREVER (-1)
/* What shoal_cache_maintain returns when there is nothing to wait for. */
#define SHOAL_CACHE_NEVER INT64_MAX

/* How to make a cache. Take shoal_cache_options_default() and change fields. */
typedef struct shoal_cache_options {
    uint32_t cookie;           /* set by the default function, checked by open */
    uint32_t threads;          /* handles, 1..130; default 1 */
    shoal_allocator allocator; /* for all memory; must be set, shoal_allocator_default() will do */
    uint64_t seed;             /* of the hash: take a random one where keys come from outside */
} shoal_cache_options;

/* The defaults named above, with an empty allocator. Any thread. */
SHOAL_API shoal_cache_options shoal_cache_options_default(void);

/* Makes an empty cache, and its handles. 0, SHOAL_ERR_INVALID or SHOAL_ERR_NO_MEMORY. Any
 * thread. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_open(const shoal_cache_options *options,
                                                    shoal_cache **out);

/* Ends a cache and everything in it. Every handle must be outside its batch. NULL does nothing.
 * No other thread may use the cache any more. */
SHOAL_API void shoal_cache_close(shoal_cache *cache);

/* Handle `index` (< options.threads); owned by the cache. Any thread. */
SHOAL_API shoal_cache_thread *shoal_cache_thread_at(shoal_cache *cache, uint32_t index);

/* Begins a batch at the moment `now`. Batches do not nest. */
SHOAL_API void shoal_cache_enter(shoal_cache_thread *thread, shoal_time now);

/* Ends the batch: what it has read must not be touched any more. Frees some retired memory. */
SHOAL_API void shoal_cache_leave(shoal_cache_thread *thread);

/* A value as found. `bytes` may point into `digits`, so do not copy the struct. */
typedef struct shoal_cache_value {
    shoal_slice bytes;  /* the value, borrowed until the leave */
    int64_t expires_ms; /* when it expires, or SHOAL_CACHE_FOREVER */
    char digits[24];    /* room for values that are kept as integers */
} shoal_cache_value;

/* Finds a value without copying it. 0, or SHOAL_ERR_NOT_FOUND; then `*out` is empty. Wait-free. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_get(shoal_cache_thread *thread, shoal_slice key,
                                                   shoal_cache_value *out);

/* Copies a value to `buffer` of `room` bytes, and its size to `*size`. 0, SHOAL_ERR_NOT_FOUND, or
 * SHOAL_ERR_TOO_LARGE when it does not fit; then `*size` is what it needs. Wait-free. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_copy(shoal_cache_thread *thread, shoal_slice key,
                                                    void *buffer, size_t room, size_t *size);

/* Finds `count` values at once, with the memory accesses of all of them under way together: some
 * times faster than one by one when the cache is larger than the processor's. Sets values[i] to
 * what keys[i] holds; the bytes of one not found are {NULL, 0}, which no found value is. Returns
 * how many were found. Wait-free. */
SHOAL_API size_t shoal_cache_get_many(shoal_cache_thread *thread, const shoal_slice *keys,
                                      size_t count, shoal_cache_value *values);

/* Puts a copy of `value` under `key`, whatever was there. `expires_ms` is wall-clock milliseconds
 * or SHOAL_CACHE_FOREVER. Keys and values of up to 512 MiB. 0, SHOAL_ERR_BUSY,
 * SHOAL_ERR_NO_MEMORY or SHOAL_ERR_TOO_LARGE; on all of these nothing has changed. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_put(shoal_cache_thread *thread, shoal_slice key,
                                                   shoal_slice value, int64_t expires_ms);

/* Removes a key. 0, SHOAL_ERR_NOT_FOUND or SHOAL_ERR_BUSY. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_remove(shoal_cache_thread *thread, shoal_slice key);

/* Gives a key another expiry, or SHOAL_CACHE_FOREVER. 0, SHOAL_ERR_NOT_FOUND, SHOAL_ERR_BUSY or
 * SHOAL_ERR_NO_MEMORY. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_expire(shoal_cache_thread *thread, shoal_slice key,
                                                      int64_t expires_ms);

/* Adds `delta` to a decimal integer and stores the sum, which goes to `*sum`; the TTL stays. A
 * key that is absent counts as 0 without a TTL. 0, SHOAL_ERR_NOT_INTEGER, SHOAL_ERR_OVERFLOW,
 * SHOAL_ERR_BUSY, SHOAL_ERR_NO_MEMORY or SHOAL_ERR_TOO_LARGE; then nothing has changed. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_increment(shoal_cache_thread *thread,
                                                         shoal_slice key, int64_t delta,
                                                         int64_t *sum);

/* Called for one key by a scan. Both are borrowed until the leave, `value` for the call. */
typedef void (*shoal_cache_visit)(void *context, shoal_slice key, const shoal_cache_value *value);

/* Visits about `count` keys, perhaps none, from `*cursor` on; 0 begins, and comes back at the end.
 * Keys that are there all the while are visited exactly once, others at most once, whatever is
 * written meanwhile and by whom. Cursors hold no memory and stay valid for ever. */
SHOAL_API void shoal_cache_scan(shoal_cache_thread *thread, uint64_t *cursor, uint32_t count,
                                shoal_cache_visit visit, void *context);

/* Does background work for about `budget_us` microseconds, by count: expires keys, frees memory.
 * Call it once a batch. Returns in how many microseconds it wants to be called again, or
 * SHOAL_CACHE_NEVER. */
SHOAL_API int64_t shoal_cache_maintain(shoal_cache_thread *thread, uint32_t budget_us);

/* What a cache holds and has seen. Exact when no thread is inside a batch. */
typedef struct shoal_cache_stats {
    uint64_t keys;          /* present, expired ones that nobody has met yet included */
    uint64_t keys_volatile; /* of those, with a TTL */
    uint64_t bytes;         /* of the allocator, in use for keys, values and tables */
    uint64_t bytes_tables;  /* of those, for tables */
    uint64_t bytes_limbo;   /* of those, removed but perhaps still being read */
    uint64_t hits;          /* keys that get, copy and get_many found */
    uint64_t misses;        /* keys that they did not find */
    uint64_t expired;       /* keys removed because their time had come */
} shoal_cache_stats;

/* Fills `*out`. Any thread, inside or outside a batch. */
SHOAL_API void shoal_cache_stats_get(const shoal_cache *cache, shoal_cache_stats *out);

#ifdef __cplusplus
}
#endif

#endif
