/* SPDX-License-Identifier: MIT
 *
 * What the store costs by itself: nanoseconds for a GET alone and in batches of 16, for a SET, and
 * for a mix of nine to one, with one thread and with two; and the bytes that a key takes beyond
 * its own and its value's. Keys of 16 bytes, values of 64, drawn uniformly.
 *
 *     store [KEYS]         a million keys without an argument
 *
 * Numbers of a shared machine say little: compare runs taken in turn, and report the median.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef SHOAL_BENCH_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

#include "base/prng.h"
#include "store/store.h"

#define KEY_BYTES 16
#define VALUE_BYTES 64
#define BATCH 16u
#define OPERATIONS 4000000u
#define THREADS_MAX 2u

/* ---- memory ---- */

#ifdef SHOAL_BENCH_JEMALLOC
static void *take(void *context, size_t size, size_t alignment)
{
    (void)context;
    return mallocx(size, MALLOCX_ALIGN(alignment));
}

static void *take_zeroed(void *context, size_t size, size_t alignment)
{
    (void)context;
    return mallocx(size, MALLOCX_ALIGN(alignment) | MALLOCX_ZERO);
}

static void give(void *context, void *memory, size_t size, size_t alignment)
{
    (void)context;
    sdallocx(memory, size, MALLOCX_ALIGN(alignment));
}

static size_t usable(void *context, size_t size, size_t alignment)
{
    (void)context;
    return nallocx(size, MALLOCX_ALIGN(alignment));
}

static shoal_allocator bench_allocator(void)
{
    return (shoal_allocator){.allocate = take,
                             .allocate_zeroed = take_zeroed,
                             .release = give,
                             .usable_size = usable};
}
#else
static shoal_allocator bench_allocator(void)
{
    return shoal_allocator_default();
}
#endif

/* ---- what is measured ---- */

typedef enum { GET, GET_BATCH, SET, MIX, KINDS } kind;

static const char *const kind_names[KINDS] = {"GET", "GET, batches of 16", "SET", "GET:SET 9:1"};

/* One thread's part of a run. */
typedef struct lane {
    shoal_store *store;
    shoal_thread *thread;
    pthread_t id;
    kind what;
    uint32_t keys;
    shoal_prng prng;
    uint64_t seen; /* so that nothing is optimised away */
    double taken;  /* processor seconds */
} lane;

static shoal_time fixed_time(void)
{
    return (shoal_time){.mono_us = 1, .wall_us = 1700000000000000};
}

/* Processor time of this thread: what others run on the machine does not count. */
static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Writes key `i` and makes it ready. */
static shoal_key key_at(const shoal_store *store, uint32_t i, char room[KEY_BYTES + 1])
{
    memcpy(room, "key:000000000000", KEY_BYTES);
    for (int at = KEY_BYTES - 1; i > 0; at--, i /= 10) room[at] = (char)('0' + i % 10);
    return shoal_key_make(store, 0, (shoal_slice){room, KEY_BYTES});
}

typedef struct set_op {
    shoal_gate_op gate;
    const shoal_key *key;
    char value[VALUE_BYTES];
} set_op;

static void run_set(shoal_op *op, void *thread)
{
    set_op *set = (set_op *)op;
    shoal_slice value = {set->value, VALUE_BYTES};
    if (shoal_store_put_locked(thread, set->key, value, -1) != 0) abort();
}

/* Sets one key; a gate that is taken is tried again. */
static void set_key(shoal_thread *thread, const shoal_key *key)
{
    set_op set = {.key = key};
    memset(set.value, 'v', VALUE_BYTES);
    do {
        set.gate = (shoal_gate_op){.op = {.run = run_set}, .places = &key->place, .count = 1};
    } while (!shoal_gate_try(thread, &set.gate));
}

static void get_key(lane *self, const shoal_key *key)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    const shoal_item *item = shoal_store_get(self->thread, key);
    if (item == NULL) abort();
    self->seen += (uint64_t)shoal_item_string(item, scratch).data[0];
}

static void run_batch(lane *self)
{
    char rooms[BATCH][KEY_BYTES + 1];
    shoal_key keys[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        uint32_t key = (uint32_t)shoal_prng_below(&self->prng, self->keys);
        keys[i] = key_at(self->store, key, rooms[i]);
        if (self->what == GET) get_key(self, &keys[i]);
    }
    if (self->what == GET) return;
    uint32_t behind = 0;
    for (uint32_t i = 0; i < BATCH; i++) shoal_store_prefetch_bucket(self->store, &keys[i]);
    for (uint32_t i = 0; i < BATCH; i++) {
        if (shoal_store_prefetch_item(self->store, &keys[i])) behind |= 1u << i;
    }
    for (; behind != 0; behind &= behind - 1)
        shoal_store_prefetch_behind(self->store, &keys[__builtin_ctz(behind)]);
    for (uint32_t i = 0; i < BATCH; i++) {
        bool set =
            self->what == SET || (self->what == MIX && shoal_prng_below(&self->prng, 10) == 0);
        if (set) {
            set_key(self->thread, &keys[i]);
        } else {
            get_key(self, &keys[i]);
        }
    }
}

static void *run_lane(void *argument)
{
    lane *self = argument;
    double begun = seconds();
    for (uint32_t done = 0; done < OPERATIONS; done += BATCH) {
        shoal_thread_enter(self->thread, fixed_time());
        run_batch(self);
        shoal_thread_leave(self->thread);
    }
    self->taken = seconds() - begun;
    return NULL;
}

/* Fills a store. */
static void fill(shoal_store *store, uint32_t keys)
{
    char room[KEY_BYTES + 1];
    shoal_thread *thread = shoal_store_thread(store, 0);
    for (uint32_t i = 0; i < keys;) {
        shoal_thread_enter(thread, fixed_time());
        for (uint32_t n = 0; n < BATCH && i < keys; n++, i++) {
            shoal_key key = key_at(store, i, room);
            set_key(thread, &key);
        }
        shoal_thread_leave(thread);
    }
}

/* Runs one kind on `threads` threads, and prints the processor time of an operation. */
static void measure(shoal_store *store, kind what, uint32_t threads, uint32_t keys)
{
    lane lanes[THREADS_MAX];
    double taken = 0;
    for (uint32_t i = 0; i < threads; i++) {
        lanes[i] = (lane){.store = store, .what = what, .keys = keys};
        lanes[i].thread = shoal_store_thread(store, i);
        lanes[i].prng = shoal_prng_make((uint64_t[2]){1, 2}, i, (uint32_t)what);
        if (pthread_create(&lanes[i].id, NULL, run_lane, &lanes[i]) != 0) abort();
    }
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(lanes[i].id, NULL);
        taken += lanes[i].taken;
    }
    printf("%u thread%s  %-20s %7.1f ns of processor time an operation\n", threads,
           threads > 1 ? "s" : " ", kind_names[what], taken * 1e9 / threads / OPERATIONS);
}

int main(int argc, char **argv)
{
    uint32_t keys = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    for (uint32_t threads = 1; threads <= THREADS_MAX; threads++) {
        shoal_store_options options = {
            .allocator = bench_allocator(),
            .threads = threads,
            .databases = 1,
            .seed = 99,
            .owned = true,
        };
        shoal_store *store = NULL;
        if (shoal_store_create(&options, &store) != 0) return 1;
        double begun = seconds();
        fill(store, keys);
        printf("%u thread%s  %-20s %7.1f ns of processor time an operation\n", threads,
               threads > 1 ? "s" : " ", "fill", (seconds() - begun) * 1e9 / keys);
        for (kind what = GET; what < KINDS; what++) measure(store, what, threads, keys);
        shoal_store_stats stats;
        shoal_store_stats_get(store, &stats);
        double bytes = (double)(stats.bytes - stats.bytes_limbo) / keys;
        printf("%.1f bytes a key beyond key and value, %.1f of them tables\n",
               bytes - KEY_BYTES - VALUE_BYTES, (double)stats.bytes_tables / keys);
        shoal_store_destroy(store);
    }
    return 0;
}
