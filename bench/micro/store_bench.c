/* SPDX-License-Identifier: MIT
 *
 * What the store costs by itself, beside what the memory under it costs: nanoseconds of processor
 * time for a GET and a SET alone and in batches of 16, and for a mix of nine to one,
 * each with one thread and with two; and the bytes that a key takes beyond its own and its
 * value's. Keys of 16 bytes, values of 64.
 *
 *     store [KEYS [uniform|zipf [FIGURE]]]
 *
 * Without arguments a million keys, drawn uniformly; with a FIGURE only those whose names begin so.
 *
 * The limits are measured in the same run on memory of the same size: a line of as many as the
 * tables have, and the item to which that leads, as large as the store's and as theirs across two
 * or three lines, alone and in batches; and taking and giving a piece of an item's size. Both ends
 * of an item are looked at there, and both ends of the value in a GET; where they are written, the
 * line is as well: a SET changes the table and leaves the item before for another, and what is
 * written goes back to memory. Names and their order are made before the clock starts. One line a
 * figure: threads, name, nanoseconds, million operations a second of all threads together.
 * bench/engine runs it in rounds and compares.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
/* Draws that are made ahead, and then taken in a circle: a multiple of BATCH. */
#define DRAWS (1u << 18)
/* What a key takes of tables and of items: of the limits' memory. */
#define TABLE_BYTES 14u
#define ITEM_BYTES 84u
/* YCSB's. */
#define ZIPF_THETA 0.99

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

typedef enum {
    CHASE,
    CHASE_BATCH,
    CHASE_WRITE,
    CHASE_WRITE_BATCH,
    ALLOCATE,
    GET,
    GET_BATCH,
    SET,
    SET_BATCH,
    MIX,
    KINDS
} kind;

static const char *const kind_names[KINDS] = {
    "limit: line, item",
    "limit: line, item, batches",
    "limit: line and item written",
    "limit: line and item written, batches",
    "limit: take and give",
    "GET",
    "GET, batches",
    "SET",
    "SET, batches",
    "GET:SET 9:1, batches",
};

/* What all threads share. */
typedef struct bench {
    shoal_store *store;
    shoal_allocator allocator;
    uint32_t keys;
    uint32_t *draws; /* DRAWS numbers of keys */
    char *names;     /* KEY_BYTES each */
    uint64_t *lines; /* memory of the limits: tables, then items */
    uint64_t table_lines, item_lines;
} bench;

/* One thread's part of a run. */
typedef struct lane {
    const bench *bench;
    shoal_thread *thread;
    pthread_t id;
    kind what;
    uint32_t next; /* draw */
    shoal_prng prng;
    uint64_t seen; /* so that nothing is optimised away */
    double taken;  /* processor seconds */
} lane;

static shoal_time fixed_time(void)
{
    return (shoal_time){.mono_us = 1, .wall_us = 1700000000000000};
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void write_name(uint32_t i, char *room)
{
    memcpy(room, "key:000000000000", KEY_BYTES);
    for (int at = KEY_BYTES - 1; i > 0; at--, i /= 10) room[at] = (char)('0' + i % 10);
}

/* ---- draws ---- */

/* Gray et al., "Quickly generating billion-record synthetic databases", as YCSB draws. */
static uint32_t draw_zipf(shoal_prng *prng, uint32_t keys, double zeta)
{
    double alpha = 1 / (1 - ZIPF_THETA), zeta2 = 1 + pow(0.5, ZIPF_THETA);
    double eta = (1 - pow(2.0 / keys, 1 - ZIPF_THETA)) / (1 - zeta2 / zeta);
    double u = (double)(shoal_prng_next(prng) >> 11) * 0x1p-53, uz = u * zeta;
    if (uz < 1) return 0;
    if (uz < zeta2) return 1;
    return (uint32_t)(keys * pow(eta * u - eta + 1, alpha)) % keys;
}

static void make_draws(bench *all, bool zipf)
{
    shoal_prng prng = shoal_prng_make((uint64_t[2]){7, 9}, 0, 0);
    double zeta = 0;
    for (uint32_t i = 1; zipf && i <= all->keys; i++) zeta += pow(1.0 / i, ZIPF_THETA);
    all->draws = malloc(DRAWS * sizeof *all->draws);
    all->names = malloc(DRAWS * KEY_BYTES);
    if (all->draws == NULL || all->names == NULL) abort();
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t key =
            zipf ? draw_zipf(&prng, all->keys, zeta) : (uint32_t)shoal_prng_below(&prng, all->keys);
        /* Popular keys are not neighbours. */
        if (zipf) key = (uint32_t)((key * 0x9E3779B97F4A7C15u) % all->keys);
        all->draws[i] = key;
        write_name(key, all->names + (size_t)i * KEY_BYTES);
    }
}

/* ---- the limits ---- */

static void make_lines(bench *all)
{
    all->table_lines = (uint64_t)all->keys * TABLE_BYTES / 64 + 1;
    all->item_lines = (uint64_t)all->keys * ITEM_BYTES / 64 + 2;
    size_t size = (all->table_lines + all->item_lines) * 64;
    all->lines = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all->lines == MAP_FAILED) abort();
    shoal_prng prng = shoal_prng_make((uint64_t[2]){3, 4}, 0, 0);
    memset(all->lines, 1, size);
    for (uint64_t i = 0; i < all->table_lines; i++) all->lines[i * 8] = shoal_prng_next(&prng);
}

/* The line of the tables that a draw leads to first, and the item to which that leads. */
static uint64_t *first_line(const bench *all, uint32_t draw)
{
    uint64_t hash = all->draws[draw] * 0x9E3779B97F4A7C15u;
    return all->lines + (uint64_t)((__uint128_t)hash * all->table_lines >> 64) * 8;
}

static char *item_of(const bench *all, uint32_t draw)
{
    uint64_t hash = (*first_line(all, draw) + all->draws[draw]) * 0xD1342543DE82EF95u;
    uint64_t item = (uint64_t)((__uint128_t)hash * all->keys >> 64);
    return (char *)(all->lines + all->table_lines * 8) + item * ITEM_BYTES;
}

static void chase(lane *self)
{
    const bench *all = self->bench;
    bool ahead = self->what == CHASE_BATCH || self->what == CHASE_WRITE_BATCH;
    bool writes = self->what == CHASE_WRITE || self->what == CHASE_WRITE_BATCH;
    for (uint32_t i = 0; ahead && i < BATCH; i++)
        __builtin_prefetch(first_line(all, self->next + i), 0, 2);
    for (uint32_t i = 0; ahead && i < BATCH; i++) {
        const char *item = item_of(all, self->next + i);
        for (uint32_t at = 0; at < ITEM_BYTES; at += 64) __builtin_prefetch(item + at, 0, 2);
        __builtin_prefetch(item + ITEM_BYTES - 1, 0, 2);
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        /* Alone, each look-up begins when the one before has ended, as a caller's would. */
        uint32_t draw = ahead ? self->next + i : self->next + i + (uint32_t)(self->seen >> 63);
        char *item = item_of(all, draw);
        self->seen = (self->seen + (uint8_t)item[0] + (uint8_t)item[ITEM_BYTES - 1]) & INT64_MAX;
        if (!writes) continue;
        first_line(all, draw)[1] = self->seen;
        item[0] = item[ITEM_BYTES - 1] = (char)i;
    }
}

static void allocate(const bench *all)
{
    void *pieces[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        pieces[i] = all->allocator.allocate(all->allocator.context, ITEM_BYTES, 8);
        if (pieces[i] == NULL) abort();
        memset(pieces[i], 'v', ITEM_BYTES);
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        all->allocator.release(all->allocator.context, pieces[i], ITEM_BYTES, 8);
    }
}

/* ---- the store ---- */

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

/* Looks at both ends of a value, as who copies it would. */
static void see(lane *self, const shoal_item *item)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    if (item == NULL) abort();
    shoal_slice value = shoal_item_string(item, scratch);
    self->seen += (uint64_t)(value.data[0] + value.data[VALUE_BYTES - 1]);
}

static void draw_key(const lane *self, uint32_t i, shoal_key *key)
{
    const char *name = self->bench->names + (size_t)(self->next + i) * KEY_BYTES;
    shoal_key_init(key, self->bench->store, 0, (shoal_slice){name, KEY_BYTES});
}

/* A GET or a SET, as the kind says. */
static void use_key(lane *self, const shoal_key *key)
{
    bool set = self->what == SET || self->what == SET_BATCH ||
               (self->what == MIX && shoal_prng_below(&self->prng, 10) == 0);
    if (set) {
        set_key(self->thread, key);
    } else {
        see(self, shoal_store_get(self->thread, key));
    }
}

/* The names of a batch. */
static void draw_names(const lane *self, shoal_key *keys)
{
    const char *names = self->bench->names + (size_t)self->next * KEY_BYTES;
    for (uint32_t i = 0; i < BATCH; i++)
        keys[i].name = (shoal_slice){names + (size_t)i * KEY_BYTES, KEY_BYTES};
}

static void get_batch(lane *self)
{
    shoal_key keys[BATCH];
    const shoal_item *items[BATCH];
    draw_names(self, keys);
    shoal_store_get_many(self->thread, 0, keys, BATCH, items);
    for (uint32_t i = 0; i < BATCH; i++) see(self, items[i]);
}

/* A batch with writes, one behind the other once all their memory was asked for. */
static void use_batch(lane *self)
{
    shoal_key keys[BATCH];
    draw_names(self, keys);
    shoal_store_look_ahead(self->bench->store, 0, keys, BATCH);
    for (uint32_t i = 0; i < BATCH; i++) use_key(self, &keys[i]);
}

static void use_store(lane *self)
{
    shoal_thread_enter(self->thread, fixed_time());
    if (self->what == GET_BATCH) {
        get_batch(self);
    } else if (self->what != GET && self->what != SET) {
        use_batch(self);
    } else {
        for (uint32_t i = 0; i < BATCH; i++) {
            shoal_key key;
            draw_key(self, i, &key);
            use_key(self, &key);
        }
    }
    shoal_thread_leave(self->thread);
}

static void *run_lane(void *argument)
{
    lane *self = argument;
    double begun = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t done = 0; done < OPERATIONS; done += BATCH) {
        if (self->what == ALLOCATE) {
            allocate(self->bench);
        } else if (self->what < ALLOCATE) {
            chase(self);
        } else {
            use_store(self);
        }
        self->next = (self->next + BATCH) % (DRAWS - BATCH);
    }
    self->taken = seconds(CLOCK_THREAD_CPUTIME_ID) - begun;
    return NULL;
}

/* Fills the store with one thread. */
static void fill(const bench *all)
{
    char room[KEY_BYTES];
    shoal_thread *thread = shoal_store_thread(all->store, 0);
    for (uint32_t i = 0; i < all->keys;) {
        shoal_thread_enter(thread, fixed_time());
        for (uint32_t n = 0; n < BATCH && i < all->keys; n++, i++) {
            write_name(i, room);
            shoal_key key = shoal_key_make(all->store, 0, (shoal_slice){room, KEY_BYTES});
            set_key(thread, &key);
        }
        shoal_thread_leave(thread);
    }
}

static void measure(const bench *all, kind what, uint32_t threads)
{
    lane lanes[THREADS_MAX];
    double taken = 0, begun = seconds(CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < threads; i++) {
        lanes[i] = (lane){.bench = all, .what = what, .next = i * (DRAWS / THREADS_MAX)};
        lanes[i].thread = shoal_store_thread(all->store, i);
        lanes[i].prng = shoal_prng_make((uint64_t[2]){1, 2}, i, (uint32_t)what);
        if (pthread_create(&lanes[i].id, NULL, run_lane, &lanes[i]) != 0) abort();
    }
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(lanes[i].id, NULL);
        taken += lanes[i].taken;
    }
    double elapsed = seconds(CLOCK_MONOTONIC) - begun;
    printf("%u\t%s\t%.1f\t%.2f\n", threads, kind_names[what], taken * 1e9 / threads / OPERATIONS,
           (double)threads * OPERATIONS / elapsed * 1e-6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    bench all = {.keys = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000};
    all.allocator = bench_allocator();
    shoal_store_options options = {.allocator = all.allocator,
                                   .threads = THREADS_MAX,
                                   .databases = 1,
                                   .seed = 99,
                                   .owned = true};
    if (all.keys < BATCH || shoal_store_create(&options, &all.store) != 0) abort();
    make_draws(&all, argc > 2 && strcmp(argv[2], "zipf") == 0);
    make_lines(&all);
    fill(&all);
    for (uint32_t threads = 1; threads <= THREADS_MAX; threads++) {
        for (int what = 0; what < KINDS; what++) {
            if (argc > 3 && strncmp(kind_names[what], argv[3], strlen(argv[3])) != 0) continue;
            measure(&all, (kind)what, threads);
        }
    }
    shoal_store_stats stats;
    shoal_store_stats_get(all.store, &stats);
    double plain = (double)all.keys * (KEY_BYTES + VALUE_BYTES);
    printf("0\tbytes a key beyond key and value\t%.1f\t0\n",
           ((double)(stats.bytes - stats.bytes_limbo) - plain) / all.keys);
    shoal_store_destroy(all.store);
    return 0;
}
