/* SPDX-License-Identifier: MIT
 *
 * Memoisation: the results of an expensive function are kept, asked for many at a time, and only
 * those that are missing are computed. Shows: get_many and put_many, which let the memory accesses
 * of a batch overlap, and what the statistics say.
 */
#include <shoal/cache.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 16

/* Stands for something slow: how many steps a number takes to reach 1. */
static uint64_t collatz_steps(uint64_t n)
{
    uint64_t steps = 0;
    for (; n != 1; steps++) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
}

/* Keys and values as text, with the room that they stand in. Any bytes would do. */
typedef struct batch {
    char key_room[BATCH][24], value_room[BATCH][24];
    shoal_slice keys[BATCH];
    shoal_cache_value values[BATCH];
    shoal_cache_entry missing[BATCH];
    size_t missing_count;
} batch;

static shoal_slice print_number(char room[24], uint64_t number)
{
    int size = snprintf(room, 24, "%" PRIu64, number);
    return (shoal_slice){room, (size_t)size};
}

/* The sum of the steps of BATCH numbers from `first` on. */
static uint64_t sum_steps(shoal_cache_thread *me, uint64_t first)
{
    static batch b;
    uint64_t sum = 0;
    b.missing_count = 0;
    for (uint64_t i = 0; i < BATCH; i++) b.keys[i] = print_number(b.key_room[i], first + i);

    (void)shoal_cache_get_many(me, b.keys, BATCH, b.values);
    for (uint64_t i = 0; i < BATCH; i++) {
        uint64_t steps;
        if (b.values[i].type != SHOAL_CACHE_NONE) {
            shoal_slice found = b.values[i].bytes;
            steps = 0;
            for (size_t n = 0; n < found.size; n++)
                steps = steps * 10 + (uint64_t)(found.data[n] - '0');
        } else {
            steps = collatz_steps(first + i);
            shoal_slice value = print_number(b.value_room[i], steps);
            b.missing[b.missing_count++] =
                (shoal_cache_entry){b.keys[i], value, SHOAL_CACHE_FOREVER, 0};
        }
        sum += steps;
    }
    /* A cache may forget: what could not be put is computed again another time. */
    (void)shoal_cache_put_many(me, b.missing, b.missing_count);
    return sum;
}

int main(void)
{
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = shoal_allocator_default();
    shoal_cache *cache;
    shoal_err error = shoal_cache_open(&options, &cache);
    if (error != 0) {
        fprintf(stderr, "no cache: %s\n", shoal_err_text(error));
        return EXIT_FAILURE;
    }
    shoal_cache_thread *me = shoal_cache_thread_at(cache, 0);
    for (int round = 1; round <= 3; round++) {
        uint64_t sum = 0;
        for (uint64_t first = 1; first < 10000; first += BATCH) {
            shoal_cache_enter(me, shoal_time_now());
            sum += sum_steps(me, first);
            shoal_cache_leave(me);
        }
        shoal_cache_stats stats;
        shoal_cache_stats_get(cache, &stats);
        printf("round %d: sum %" PRIu64 ", so far %" PRIu64 " hits and %" PRIu64 " misses\n", round,
               sum, stats.hits, stats.misses);
    }
    shoal_cache_close(cache);
    return EXIT_SUCCESS;
}
