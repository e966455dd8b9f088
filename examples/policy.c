/* SPDX-License-Identifier: MIT
 *
 * A policy of one's own: the same keys are put into a cache of a thousand, first with the LRU that
 * comes with the library, then with a first in, first out of forty lines. One key is read all the
 * time. Shows: limits, policies by name, and the table of functions that makes another one.
 */
#include <shoal/cache.h>

#include <stdio.h>
#include <stdlib.h>

#define ROOM 1000
#define KEYS 20000

/* ---- first in, first out ---- */

/* The byte of a key is the tick at which it came. A tick is a hundredth of what fits. */
static uint8_t fifo_arrive(shoal_policy_view *view, shoal_arrival arrival)
{
    (void)arrival;
    view->events[0]++;
    return (uint8_t)(view->ticks[0] % view->codes);
}

/* A use changes nothing: that is what makes it no LRU. */
static uint8_t fifo_use(shoal_policy_view *view, uint8_t byte)
{
    (void)view;
    return byte;
}

/* The older, the riper. */
static shoal_verdict fifo_judge(shoal_policy_view *view, uint8_t byte)
{
    uint32_t age = (view->ticks[0] - byte) % view->codes;
    uint32_t rank = age < SHOAL_RANK_MAX ? age + 1 : SHOAL_RANK_MAX;
    return (shoal_verdict){.rank = (uint8_t)rank, .byte = byte};
}

/* Keys go when they are some hundred ticks old. Of the 256 ticks that a byte can tell apart that
 * leaves enough for the hand to come by before one comes round. */
static shoal_pace fifo_pace(const shoal_policy_view *view, uint32_t clock)
{
    (void)clock;
    return (shoal_pace){.events = view->capacity / 100 + 1, .pass = 50};
}

static const shoal_policy fifo = {.name = "fifo",
                                  .evicts = true,
                                  .arrive = fifo_arrive,
                                  .use = fifo_use,
                                  .judge = fifo_judge,
                                  .pace = fifo_pace};

/* ---- the cache ---- */

static void put(shoal_cache_thread *me, shoal_slice key)
{
    shoal_err error = shoal_cache_put(me, key, shoal_slice_of("value"), SHOAL_CACHE_FOREVER);
    if (error != 0) {
        (void)fprintf(stderr, "not put: %s\n", shoal_err_text(error));
        exit(EXIT_FAILURE);
    }
}

/* Puts keys, and reads the first of them after each. Says what became of it. */
static void try_policy(const shoal_policy *policy)
{
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = shoal_allocator_default();
    options.limits.keys = ROOM;
    options.limits.policy = policy;
    shoal_cache *cache;
    if (shoal_cache_open(&options, &cache) != 0) exit(EXIT_FAILURE);
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_value found;
    bool kept = true;
    for (int i = 0; i < KEYS; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "key %d", i);
        shoal_cache_enter(me, shoal_time_now());
        put(me, (shoal_slice){name, (size_t)size});
        kept = kept && shoal_cache_get(me, shoal_slice_of("key 0"), &found) == 0;
        shoal_cache_leave(me);
    }
    shoal_cache_stats stats;
    shoal_cache_stats_get(cache, &stats);
    printf("%s: at most %d keys: %s; the key that is in use: %s\n", policy->name, ROOM,
           stats.keys <= ROOM && stats.keys + stats.evicted == KEYS ? "yes" : "no",
           kept ? "is still there" : "had to go");
    shoal_cache_close(cache);
}

int main(void)
{
    try_policy(shoal_policy_named(shoal_slice_of("allkeys-lru")));
    try_policy(&fifo);
    return EXIT_SUCCESS;
}
