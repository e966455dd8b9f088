/* SPDX-License-Identifier: MIT
 *
 * Several threads on one cache. Reads never wait for anybody. A write that meets another write to
 * the same slot says SHOAL_ERR_BUSY, and is tried again; one whose outcome nobody waits for is
 * handed over instead. Shows: a handle for each thread, the retry loop, put_later, take.
 */
#include <shoal/cache.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS 20000

/* Ends a batch and begins the next one, and lets others work in between: the gate of the slot is
 * free again within microseconds. */
static void pause_batch(shoal_cache_thread *me)
{
    shoal_cache_leave(me);
    sched_yield();
    shoal_cache_enter(me, shoal_time_now());
}

/* Adds one to a counter that all threads share. */
static void count(shoal_cache_thread *me, const char *name)
{
    int64_t sum;
    shoal_err error;
    while ((error = shoal_cache_increment(me, shoal_slice_of(name), 1, &sum)) == SHOAL_ERR_BUSY)
        pause_batch(me);
    if (error != 0) fprintf(stderr, "not counted: %s\n", shoal_err_text(error));
}

/* Tells when it was here last. It need not know when exactly that is written. */
static void note_presence(shoal_cache_thread *me, const char *name, int64_t round)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRId64, round);
    shoal_slice value = {text, (size_t)size};
    shoal_cache_entry entry = {shoal_slice_of(name), value, SHOAL_CACHE_FOREVER, 0};
    shoal_err error = shoal_cache_put_later(me, &entry, NULL, NULL);
    if (error != 0) fprintf(stderr, "not noted: %s\n", shoal_err_text(error));
}

static void *work(void *argument)
{
    shoal_cache_thread *me = argument;
    for (int64_t round = 1; round <= ROUNDS; round++) {
        shoal_cache_enter(me, shoal_time_now());
        count(me, "visits");
        if (round % 100 == 0) note_presence(me, "last round", round);
        (void)shoal_cache_maintain(me, 20);
        shoal_cache_leave(me);
    }
    /* Others may have handed writes over in the meantime: a thread that goes for good sees to
     * that. */
    int64_t wait_us = 0;
    while (wait_us == 0) {
        shoal_cache_enter(me, shoal_time_now());
        wait_us = shoal_cache_maintain(me, 20);
        shoal_cache_leave(me);
    }
    return NULL;
}

int main(void)
{
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = shoal_allocator_default();
    options.threads = THREADS;
    shoal_cache *cache;
    shoal_err error = shoal_cache_open(&options, &cache);
    if (error != 0) {
        fprintf(stderr, "no cache: %s\n", shoal_err_text(error));
        return EXIT_FAILURE;
    }
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, shoal_cache_thread_at(cache, i)) != 0)
            return EXIT_FAILURE;
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);

    /* The threads are gone, so any of their handles will do. */
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    shoal_cache_value value;
    shoal_cache_enter(me, shoal_time_now());
    if (shoal_cache_get(me, shoal_slice_of("visits"), &value) == 0)
        printf("visits: %.*s\n", (int)value.bytes.size, value.bytes.data);
    /* Of several that try this, one gets the value. */
    if (shoal_cache_take(me, shoal_slice_of("last round"), &value) == 0)
        printf("last round: %.*s\n", (int)value.bytes.size, value.bytes.data);
    shoal_cache_leave(me);
    shoal_cache_close(cache);
    return EXIT_SUCCESS;
}
