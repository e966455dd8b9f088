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
 * handle, unless they say otherwise, and do not wait for other threads. Do not sleep between enter
 * and leave: memory that others retire meanwhile cannot be freed. Between leave and enter a thread
 * may sleep as long as it likes. Functions that take a shoal_cache say for themselves.
 *
 * Writes return SHOAL_ERR_BUSY when another thread is in the middle of a write to the same slot:
 * nothing has happened; leave, yield or do something else, enter, and try again. With one thread
 * they never do. shoal_cache_put_later never does either.
 *
 * Time is an argument: the cache reads no clock (shoal_time_now does, if you like). Expiry times
 * are wall-clock milliseconds since 1970 on the clock that you pass in; what has expired by the
 * time of the last enter is absent.
 *
 * Values are byte strings here. shoal/command.h runs every command of Redis on the same cache, and
 * with them come lists, sets, sorted sets and hashes, which this header sees as keys of another
 * type.
 */
#ifndef SHOAL_CACHE_H
#define SHOAL_CACHE_H

#include <shoal/policy.h>
#include <shoal/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One cache. */
typedef struct shoal_cache shoal_cache;
/* The handle of one of your threads. */
typedef struct shoal_thread shoal_cache_thread;

/* Without a TTL. */
#define SHOAL_CACHE_FOREVER (-1)
/* What shoal_cache_maintain returns when there is nothing to wait for. */
#define SHOAL_CACHE_NEVER INT64_MAX

/* What a key holds. */
typedef enum shoal_cache_type {
    SHOAL_CACHE_NONE = 0,
    SHOAL_CACHE_STRING = 1,
    SHOAL_CACHE_LIST = 2,
    SHOAL_CACHE_SET = 3,
    SHOAL_CACHE_ZSET = 4, /* a sorted set */
    SHOAL_CACHE_HASH = 5,
    SHOAL_CACHE_STREAM = 6
} shoal_cache_type;

/* A value as found. `bytes` may point into `digits`, so do not copy the struct. */
typedef struct shoal_cache_value {
    shoal_slice bytes;     /* the value, borrowed until the leave; {NULL, 0} unless a STRING */
    int64_t expires_ms;    /* when it expires, or SHOAL_CACHE_FOREVER */
    shoal_cache_type type; /* NONE: no such key */
    char digits[24];       /* room for values that are kept as integers */
} shoal_cache_value;

/* ---- life ---- */

/* Why an item goes without being asked to. */
typedef enum shoal_cache_reason {
    SHOAL_CACHE_EXPIRED = 1, /* its time had come */
    SHOAL_CACHE_EVICTED = 2  /* to make room */
} shoal_cache_reason;

/* Sees an item that goes. Called by whatever function of the cache meets it, on that thread, when
 * the key is gone already; both are borrowed for the call. It must not call functions of this
 * cache. Keys that shoal_cache_clear removes are not shown. */
typedef void (*shoal_cache_gone)(void *context, shoal_slice key, const shoal_cache_value *value,
                                 shoal_cache_reason reason);

/* How much a cache may hold, and what goes when it is full. Take shoal_cache_limits_default() and
 * change fields. */
typedef struct shoal_cache_limits {
    uint64_t
        bytes;     /* of keys, values and tables, what is removed and being read not counted; 0, the
                       default: no limit */
    uint64_t keys; /* default 0: no limit */
    /* Which keys go, by name or a table of your own (shoal/policy.h), borrowed for as long as the
     * cache lives. Default NULL: none, and puts that need room return SHOAL_ERR_NO_MEMORY. */
    const shoal_policy *policy;
    uint32_t effort;  /* keys looked at for one that goes, over four; default 5 */
    uint32_t step_us; /* what a put may do at once to make room, roughly; default 50 */
    uint32_t lfu_log_factor, lfu_decay_minutes; /* of the LFU policies; default 10 and 1 */
} shoal_cache_limits;

/* The defaults named above. Any thread. */
SHOAL_API shoal_cache_limits shoal_cache_limits_default(void);

/* How to make a cache. Take shoal_cache_options_default() and change fields. */
typedef struct shoal_cache_options {
    uint32_t cookie;           /* set by the default function, checked by open */
    uint32_t threads;          /* handles, 1..130; default 1 */
    shoal_allocator allocator; /* for all memory; must be set, shoal_allocator_default() will do */
    uint64_t seed;             /* of the hash: take a random one where keys come from outside */
    shoal_cache_gone gone;     /* told of items that expire or are evicted; default NULL: nobody */
    void *gone_context;        /* its first argument */
    shoal_cache_limits limits; /* default: none */
} shoal_cache_options;

/* The defaults named above, with an empty allocator. Any thread. */
SHOAL_API shoal_cache_options shoal_cache_options_default(void);

/* Makes an empty cache, and its handles. 0, SHOAL_ERR_INVALID or SHOAL_ERR_NO_MEMORY. Any
 * thread. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_open(const shoal_cache_options *options,
                                                    shoal_cache **out);

/* Ends a cache and everything in it. Every handle must be outside its batch, and every pin given
 * back. NULL does nothing. No other thread may use the cache any more. */
SHOAL_API void shoal_cache_close(shoal_cache *cache);

/* Handle `index` (< options.threads); owned by the cache. Any thread. */
SHOAL_API shoal_cache_thread *shoal_cache_thread_at(shoal_cache *cache, uint32_t index);

/* Sets limits, at any time, from any thread, one at a time. They hold for each thread from its next
 * batch on; what is above a limit goes by and by, with puts and with shoal_cache_maintain. Which
 * keys were used when is remembered as long as the policy stays. */
SHOAL_API void shoal_cache_set_limits(shoal_cache *cache, const shoal_cache_limits *limits);

/* Begins a batch at the moment `now`. Batches do not nest. */
SHOAL_API void shoal_cache_enter(shoal_cache_thread *thread, shoal_time now);

/* Ends the batch: what it has read must not be touched any more. Frees some retired memory. */
SHOAL_API void shoal_cache_leave(shoal_cache_thread *thread);

/* Does background work for about `budget_us` microseconds, by count: expires keys, frees memory.
 * Call it once a batch. Returns in how many microseconds it wants to be called again, or
 * SHOAL_CACHE_NEVER. 0: writes that others handed over wait for this thread's next batch, which
 * must come at once. */
SHOAL_API int64_t shoal_cache_maintain(shoal_cache_thread *thread, uint32_t budget_us);

/* ---- reading ---- */

/* Finds a value without copying it. 0, SHOAL_ERR_NOT_FOUND, or SHOAL_ERR_WRONG_TYPE for a key that
 * holds something else than a string; then `out->bytes` is empty. Wait-free. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_get(shoal_cache_thread *thread, shoal_slice key,
                                                   shoal_cache_value *out);

/* Copies a value to `buffer` of `room` bytes, and its size to `*size`. 0, SHOAL_ERR_NOT_FOUND,
 * SHOAL_ERR_WRONG_TYPE, or SHOAL_ERR_TOO_LARGE when it does not fit; then `*size` is what it needs.
 * Wait-free. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_copy(shoal_cache_thread *thread, shoal_slice key,
                                                    void *buffer, size_t room, size_t *size);

/* Finds `count` values at once, with the memory accesses of all of them under way together: some
 * times faster than one by one when the cache is larger than the processor's. Sets values[i] to
 * what keys[i] holds; the bytes of one not found are {NULL, 0}, which no found value is. Returns
 * how many were found. Wait-free. */
SHOAL_API size_t shoal_cache_get_many(shoal_cache_thread *thread, const shoal_slice *keys,
                                      size_t count, shoal_cache_value *values);

/* A value that stays readable beyond the batch. */
typedef struct shoal_cache_pin {
    shoal_slice bytes;  /* the value */
    int64_t expires_ms; /* when it expires or has expired, or SHOAL_CACHE_FOREVER */
    void *copy;         /* the cache's own: memory that holds the bytes, or NULL */
    uint32_t number;    /* the cache's own: of the pin, or 0 */
} shoal_cache_pin;

/* Finds a value and keeps it until shoal_cache_unpin, whatever becomes of the key and however long
 * it takes: for a value that is written to a slow file or socket. A value of 16 KiB or more is kept
 * where it is, for up to 128 pins of a cache at a time, without holding up the memory of anything
 * else; others are copied. 0, SHOAL_ERR_NOT_FOUND, SHOAL_ERR_WRONG_TYPE or SHOAL_ERR_NO_MEMORY;
 * then there is nothing to unpin. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_pin_get(shoal_cache_thread *thread, shoal_slice key,
                                                       shoal_cache_pin *pin);

/* Lets go of a pinned value. Inside or outside a batch, with any handle that the caller uses. */
SHOAL_API void shoal_cache_unpin(shoal_cache_thread *thread, shoal_cache_pin *pin);

/* ---- writing ---- */

/* Puts a copy of `value` under `key`, whatever was there. `expires_ms` is wall-clock milliseconds
 * or SHOAL_CACHE_FOREVER. Keys and values of up to 512 MiB. 0, SHOAL_ERR_BUSY,
 * SHOAL_ERR_NO_MEMORY or SHOAL_ERR_TOO_LARGE; on all of these nothing has changed. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_put(shoal_cache_thread *thread, shoal_slice key,
                                                   shoal_slice value, int64_t expires_ms);

/* When a conditional put takes place. */
typedef enum shoal_cache_when {
    SHOAL_CACHE_ALWAYS = 0,
    SHOAL_CACHE_IF_ABSENT,  /* else SHOAL_ERR_EXISTS */
    SHOAL_CACHE_IF_PRESENT, /* else SHOAL_ERR_NOT_FOUND */
    SHOAL_CACHE_IF_EQUAL    /* the value is `expected`: else SHOAL_ERR_EXISTS or _NOT_FOUND */
} shoal_cache_when;

/* How to put. */
typedef struct shoal_cache_put_options {
    int64_t expires_ms;    /* or SHOAL_CACHE_FOREVER; not used with keep_expiry */
    bool keep_expiry;      /* the key keeps the time to live that it has */
    shoal_cache_when when; /* decided and done in one step */
    shoal_slice expected;  /* of IF_EQUAL */
} shoal_cache_put_options;

/* Puts without a TTL, always. */
static inline shoal_cache_put_options shoal_cache_put_options_default(void)
{
    shoal_cache_put_options options = {SHOAL_CACHE_FOREVER, false, SHOAL_CACHE_ALWAYS, {NULL, 0}};
    return options;
}

/* As shoal_cache_put, on conditions. 0, or what the condition says, or an error of shoal_cache_put;
 * then nothing has changed. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_put_with(shoal_cache_thread *thread, shoal_slice key,
                                                        shoal_slice value,
                                                        const shoal_cache_put_options *options);

/* One of many puts. */
typedef struct shoal_cache_entry {
    shoal_slice key, value;
    int64_t expires_ms; /* or SHOAL_CACHE_FOREVER */
    shoal_err error;    /* set by shoal_cache_put_many: what shoal_cache_put would return */
} shoal_cache_entry;

/* Puts `count` entries, with their memory accesses under way together. Each for itself: some may
 * fail, their `error` says so. Returns how many were put. */
SHOAL_API size_t shoal_cache_put_many(shoal_cache_thread *thread, shoal_cache_entry *entries,
                                      size_t count);

/* Told of a put that was handed over: it has been carried out, or failed. Called on whatever thread
 * of the cache did it, perhaps before shoal_cache_put_later returns; it must not call functions of
 * this cache. */
typedef void (*shoal_cache_done)(void *context, shoal_err error);

/* Puts as shoal_cache_put, now or as soon as whoever writes to the slot is done, who then carries
 * it out: never SHOAL_ERR_BUSY. Puts of one thread to one key take place in their order. `done` may
 * be NULL. 0, SHOAL_ERR_NO_MEMORY or SHOAL_ERR_TOO_LARGE; unless 0, `done` is not called. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_put_later(shoal_cache_thread *thread,
                                                         const shoal_cache_entry *entry,
                                                         shoal_cache_done done, void *context);

/* Removes a key, whatever it holds. 0, SHOAL_ERR_NOT_FOUND, SHOAL_ERR_BUSY or
 * SHOAL_ERR_NO_MEMORY. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_remove(shoal_cache_thread *thread, shoal_slice key);

/* Finds a value and removes its key in one step: of several that try, one gets it. The bytes are
 * borrowed until the leave. 0, SHOAL_ERR_NOT_FOUND, SHOAL_ERR_WRONG_TYPE, SHOAL_ERR_BUSY or
 * SHOAL_ERR_NO_MEMORY; then `*out` is empty and nothing has changed. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_take(shoal_cache_thread *thread, shoal_slice key,
                                                    shoal_cache_value *out);

/* Gives a key another expiry, or SHOAL_CACHE_FOREVER. 0, SHOAL_ERR_NOT_FOUND, SHOAL_ERR_BUSY or
 * SHOAL_ERR_NO_MEMORY. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_expire(shoal_cache_thread *thread, shoal_slice key,
                                                      int64_t expires_ms);

/* Takes a key's time to live away; one without keeps none. As shoal_cache_expire. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_persist(shoal_cache_thread *thread, shoal_slice key);

/* Adds `delta` to a decimal integer and stores the sum, which goes to `*sum`; the TTL stays. A
 * key that is absent counts as 0 without a TTL. 0, SHOAL_ERR_NOT_INTEGER, SHOAL_ERR_OVERFLOW,
 * SHOAL_ERR_WRONG_TYPE, SHOAL_ERR_BUSY, SHOAL_ERR_NO_MEMORY or SHOAL_ERR_TOO_LARGE; then nothing
 * has changed. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_increment(shoal_cache_thread *thread,
                                                         shoal_slice key, int64_t delta,
                                                         int64_t *sum);

/* Adds bytes at the end of a value, and tells its new size; the TTL stays. A key that is absent
 * counts as empty, without a TTL. 0, SHOAL_ERR_WRONG_TYPE, SHOAL_ERR_BUSY, SHOAL_ERR_NO_MEMORY or
 * SHOAL_ERR_TOO_LARGE; then nothing has changed. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_append(shoal_cache_thread *thread, shoal_slice key,
                                                      shoal_slice more, size_t *size);

/* Removes all keys; their memory comes back in the background. 0, or SHOAL_ERR_BUSY when a slot is
 * being written to by another thread, or SHOAL_ERR_NO_MEMORY: then some are left. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_cache_clear(shoal_cache_thread *thread);

/* ---- scan ---- */

/* Called for one key by a scan. Both are borrowed until the leave, `value` for the call. It may
 * call any function of the cache. */
typedef void (*shoal_cache_visit)(void *context, shoal_slice key, const shoal_cache_value *value);

/* Visits about `count` keys, perhaps none, from `*cursor` on; 0 begins, and comes back at the end.
 * Keys that are there all the while are visited exactly once, others at most once for each
 * time that they are put, whatever is written meanwhile and by whom. Cursors hold no memory and
 * stay valid for ever. */
SHOAL_API void shoal_cache_scan(shoal_cache_thread *thread, uint64_t *cursor, uint32_t count,
                                shoal_cache_visit visit, void *context);

/* Which keys a scan visits. Zero: all. */
typedef struct shoal_cache_filter {
    shoal_slice prefix;    /* the key begins with it */
    shoal_slice pattern;   /* the key matches: * ? [a-z] [^a-z] \x as in Redis; empty: any key */
    shoal_cache_type type; /* it holds this; NONE: whatever it holds */
    uint32_t count;        /* keys to look at in one call; 0: 100 */
} shoal_cache_filter;

/* As shoal_cache_scan, for the keys that the filter lets through; it looks at filter->count of
 * all. */
SHOAL_API void shoal_cache_scan_where(shoal_cache_thread *thread, const shoal_cache_filter *filter,
                                      uint64_t *cursor, shoal_cache_visit visit, void *context);

/* ---- statistics ---- */

/* What a cache holds and has seen. Exact when no thread is inside a batch. */
typedef struct shoal_cache_stats {
    uint64_t keys;          /* present, expired ones that nobody has met yet included */
    uint64_t keys_volatile; /* of those, with a TTL */
    uint64_t bytes;         /* in use for keys, values and tables */
    uint64_t bytes_tables;  /* of those, for tables */
    uint64_t bytes_limbo;   /* of those, removed but perhaps still being read, or pinned */
    uint64_t bytes_held;    /* of the allocator, at hand for further keys; beside `bytes` */
    uint64_t hits;          /* keys that get, copy, get_many and pin_get found */
    uint64_t misses;        /* keys that they did not find */
    uint64_t expired;       /* keys removed because their time had come */
    uint64_t evicted;       /* keys removed to make room */
    uint64_t handed_over;   /* writes that another thread has carried out */
} shoal_cache_stats;

/* Fills `*out`. Any thread, inside or outside a batch. */
SHOAL_API void shoal_cache_stats_get(const shoal_cache *cache, shoal_cache_stats *out);

#ifdef __cplusplus
}
#endif

#endif
