/* SPDX-License-Identifier: MIT
 *
 * Four real threads on one store: counters, pairs of keys that change together, keys of all sizes
 * that come and go, walks, and background work. What each thread may conclude from what it sees
 * is checked on the spot; sums are checked at the end. Run under ThreadSanitizer and
 * AddressSanitizer it also says that the orders suffice and that nothing is freed too early.
 *
 * The letters in comments are the claims at the top of gate.c, table.c, walk.c and base/epoch.h.
 */
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/prng.h"
#include "support/store_box.h"

#define THREADS 4u
#define SLOTS 4u /* of the counters: few, so that gates are taken */
#define CHURN_KEYS 3000u
#define STABLE_KEYS 500u
#define BATCH 16u
#define VALUE_MAX_BYTES 300u
#ifdef SHOAL_TSAN
#define ROUNDS 8000u
#else
#define ROUNDS 40000u
#endif

/* What the holders of the gates write: plain memory, one writer at a time (G1, G3). */
typedef struct slot_log {
    uint64_t last[THREADS]; /* newest operation of each thread that ran */
    uint64_t count;
} slot_log;

typedef struct shared {
    store_box box;
    slot_log logs[SLOTS];
    uint64_t pair;           /* value of the pair, under both gates */
    _Atomic int64_t pending; /* operations pushed, less run */
} shared;

typedef struct worker {
    shared *world;
    shoal_thread *thread;
    pthread_t id;
    uint32_t index;
    shoal_prng prng;
    uint64_t pushed[SLOTS];
    uint64_t counted[SLOTS]; /* increments by this worker */
    uint64_t pairs_seen;
    uint32_t visits[STABLE_KEYS];
    uint64_t cursor;
} worker;

/* cmocka's checks jump out of a test and do not work beside threads: these stop the process. */
#define CHECK(condition) SHOAL_ASSERT(condition)

/* ---- keys ---- */

typedef struct name {
    char text[32];
} name;

static shoal_key make_key(const shared *world, name *out, const char *format, uint32_t i)
{
    int size = snprintf(out->text, sizeof out->text, format, i);
    return shoal_key_make(world->box.store, 0, (shoal_slice){out->text, (size_t)size});
}

static shoal_key counter_key(const shared *world, name *out, uint32_t slot)
{
    return make_key(world, out, "{%u}counter", slot);
}

static shoal_key pair_key(const shared *world, name *out, uint32_t half)
{
    return make_key(world, out, "{%u}pair", half);
}

/* Stable keys share slots with the churn. */
static shoal_key stable_key(const shared *world, name *out, uint32_t i)
{
    return make_key(world, out, i % 2 ? "{0}stable:%u" : "{1}stable:%u", i);
}

static shoal_key churn_key(const shared *world, name *out, uint32_t i)
{
    return make_key(world, out, i % 2 ? "{0}churn:%u" : "{1}churn:%u", i);
}

/* ---- operations ---- */

typedef enum { ADD, PAIR, PUT, REMOVE } op_kind;

/* One operation on the heap: it runs on some thread. */
typedef struct work {
    shoal_gate_op gate;
    op_kind kind;
    shared *world;
    uint32_t places[2];
    name names[2];
    shoal_key keys[2];
    uint32_t slot, origin; /* ADD */
    uint64_t number;       /* ADD: of the origin in this slot, from 1 */
    uint32_t size;         /* PUT */
    int64_t expires_ms;    /* PUT */
} work;

static void run_add(work *w, shoal_thread *thread)
{
    slot_log *log = &w->world->logs[w->slot];
    CHECK(log->last[w->origin] + 1 == w->number); /* G2 */
    log->last[w->origin] = w->number;
    log->count++;
    int64_t value = 0;
    const shoal_item *item = shoal_store_get_locked(thread, &w->keys[0]);
    if (item != NULL) CHECK(shoal_item_integer(item, &value));
    CHECK(value + 1 == (int64_t)log->count);
    CHECK(shoal_store_put_integer_locked(thread, &w->keys[0], value + 1, -1) == 0);
}

static void run_pair(work *w, shoal_thread *thread)
{
    int64_t value = (int64_t)++w->world->pair;
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(shoal_store_put_integer_locked(thread, &w->keys[i], value, -1) == 0);
    }
}

/* A value whose every byte follows from its key and size: nothing torn goes unseen. */
static char fill_byte(shoal_slice key, uint32_t size)
{
    return (char)('a' + (key.data[key.size - 1] + size) % 26);
}

static void run_put(work *w, shoal_thread *thread)
{
    char value[VALUE_MAX_BYTES];
    memset(value, fill_byte(w->keys[0].name, w->size), w->size);
    CHECK(shoal_store_put_locked(thread, &w->keys[0], (shoal_slice){value, w->size},
                                 w->expires_ms) == 0);
}

static void run_work(shoal_op *op, void *thread)
{
    work *w = (work *)op;
    switch (w->kind) {
    case ADD: run_add(w, thread); break;
    case PAIR: run_pair(w, thread); break;
    case PUT: run_put(w, thread); break;
    case REMOVE: (void)shoal_store_remove_locked(thread, &w->keys[0]); break;
    }
    (void)shoal_sub_relaxed(&w->world->pending, 1);
    free(w);
}

static work *make_work(worker *self, op_kind kind)
{
    work *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->kind = kind;
    w->world = self->world;
    w->origin = self->index;
    return w;
}

/* Hands an operation over whose keys are set; G8: it may be freed before this returns. */
static void push(worker *self, work *w, uint32_t count, bool multi)
{
    for (uint32_t i = 0; i < count; i++) w->places[i] = w->keys[i].place;
    w->gate = (shoal_gate_op){.op = {.run = run_work},
                              .places = w->places,
                              .count = count,
                              .multi = multi};
    (void)shoal_add_relaxed(&self->world->pending, 1);
    (void)shoal_gate_push(self->thread, &w->gate);
}

static void push_add(worker *self)
{
    work *w = make_work(self, ADD);
    w->slot = (uint32_t)shoal_prng_below(&self->prng, SLOTS);
    w->keys[0] = counter_key(self->world, &w->names[0], w->slot);
    w->number = ++self->pushed[w->slot];
    self->counted[w->slot]++;
    push(self, w, 1, false);
}

static void push_pair(worker *self)
{
    work *w = make_work(self, PAIR);
    shoal_key a = pair_key(self->world, &w->names[0], 0);
    shoal_key b = pair_key(self->world, &w->names[1], 1);
    w->keys[0] = a.place < b.place ? a : b;
    w->keys[1] = a.place < b.place ? b : a;
    push(self, w, 2, true);
}

static void push_churn(worker *self, uint32_t puts)
{
    work *w = make_work(self, shoal_prng_below(&self->prng, 10) < puts ? PUT : REMOVE);
    uint32_t i = (uint32_t)shoal_prng_below(&self->prng, CHURN_KEYS);
    w->keys[0] = churn_key(self->world, &w->names[0], i);
    w->size = 1 + (uint32_t)shoal_prng_below(&self->prng, VALUE_MAX_BYTES - 1);
    w->expires_ms = -1;
    if (i % 7 == 0) {
        w->expires_ms = shoal_time_wall_ms(shoal_thread_now(self->thread)) +
                        (int64_t)shoal_prng_below(&self->prng, 200);
    }
    push(self, w, 1, false);
}

/* ---- reads ---- */

static int64_t read_pair(worker *self, uint32_t half)
{
    name text;
    int64_t value = 0;
    shoal_key key = pair_key(self->world, &text, half);
    const shoal_item *item = NULL;
    /* In one look, or in two. */
    if (shoal_prng_below(&self->prng, 2) == 0) item = shoal_store_get_plain(self->thread, &key);
    if (item == NULL) {
        if (shoal_store_place_slow(self->world->box.store, key.place)) return -1;
        item = shoal_store_get(self->thread, &key);
    }
    if (item == NULL) return 0;
    CHECK(shoal_item_integer(item, &value));
    return value;
}

/* G7, in either order of the halves; and a reader never goes back in time. */
static void check_pair(worker *self)
{
    uint32_t half = (uint32_t)shoal_prng_below(&self->prng, 2);
    int64_t first = read_pair(self, half);
    int64_t second = read_pair(self, 1 - half);
    if (first < 0 || second < 0) return;
    CHECK(second >= first);
    CHECK((uint64_t)first >= self->pairs_seen);
    self->pairs_seen = (uint64_t)second;
}

/* T1: what is read is whole. E4: and stays so while the batch goes on. */
static void check_churn(worker *self)
{
    name text;
    char scratch[SHOAL_INT_TEXT_SIZE];
    uint32_t i = (uint32_t)shoal_prng_below(&self->prng, CHURN_KEYS);
    shoal_key key = churn_key(self->world, &text, i);
    const shoal_item *item = shoal_store_get(self->thread, &key);
    if (item == NULL) return;
    shoal_slice value = shoal_item_string(item, scratch);
    char want = fill_byte(key.name, (uint32_t)value.size);
    for (size_t b = 0; b < value.size; b++) CHECK(value.data[b] == want);
}

/* T2, T3: a key that stays is found whatever happens to its slot's tables. */
static void check_stable(worker *self)
{
    name text;
    uint32_t i = (uint32_t)shoal_prng_below(&self->prng, STABLE_KEYS);
    shoal_key key = stable_key(self->world, &text, i);
    CHECK(shoal_store_get(self->thread, &key) != NULL);
}

static void note_visit(void *context, const shoal_item *item)
{
    worker *self = context;
    char text[40] = {0};
    shoal_slice item_name = shoal_item_name(item);
    CHECK(item_name.size < sizeof text);
    memcpy(text, item_name.data, item_name.size);
    const char *number = strstr(text, "stable:");
    if (number != NULL) self->visits[strtoul(number + 7, NULL, 10)]++;
}

/* W1: a walk under way meets each stable key exactly once. */
static void walk(worker *self)
{
    shoal_scan scan = {.slot_last = SHOAL_SLOTS - 1, .count = 8};
    shoal_store_scan(self->thread, &scan, &self->cursor, note_visit, self);
    if (self->cursor != 0) return;
    for (uint32_t i = 0; i < STABLE_KEYS; i++) CHECK(self->visits[i] == 1);
    memset(self->visits, 0, sizeof self->visits);
}

/* ---- the run ---- */

static void one_thing(worker *self, uint32_t puts)
{
    switch (shoal_prng_below(&self->prng, 10)) {
    case 0: push_add(self); break;
    case 1: push_pair(self); break;
    case 2:
    case 3: push_churn(self, puts); break;
    case 4:
    case 5: check_pair(self); break;
    case 6:
    case 7: check_churn(self); break;
    case 8: check_stable(self); break;
    default: walk(self);
    }
}

static void *work_through(void *argument)
{
    worker *self = argument;
    shoal_time now = self->world->box.now;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        /* Each thread's clock goes on by itself: they need not agree. */
        now.mono_us += 1000;
        now.wall_us += 1000;
        shoal_thread_enter(self->thread, now);
        /* Slots grow and shrink in turn. */
        uint32_t puts = round / 500 % 2 == 0 ? 8 : 2;
        for (uint32_t i = 0; i < BATCH; i++) one_thing(self, puts);
        (void)shoal_store_maintain(self->thread, 10);
        shoal_thread_leave(self->thread);
    }
    /* What others have handed over meanwhile nobody else runs (G6). */
    while (shoal_thread_busy(self->thread)) {
        shoal_thread_enter(self->thread, now);
        shoal_thread_leave(self->thread);
    }
    return NULL;
}

static void prepare(shared *world)
{
    name text;
    box_open(&world->box, THREADS);
    for (uint32_t i = 0; i < STABLE_KEYS; i++) {
        shoal_key key = stable_key(world, &text, i);
        assert_int_equal(box_put(world->box.thread, &key, text_slice("stays"), -1), 0);
    }
    shoal_thread_leave(world->box.thread);
}

/* Sums over the workers against what the store holds. */
static void check_sums(shared *world, const worker *workers)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    name text;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < THREADS; i++) sum += workers[i].counted[slot];
        assert_int_equal(world->logs[slot].count, sum);
        shoal_key key = counter_key(world, &text, slot);
        const shoal_item *item = shoal_store_get(world->box.thread, &key);
        assert_non_null(item);
        shoal_slice value = shoal_item_string(item, scratch);
        assert_int_equal(strtoull(value.data, NULL, 10), sum);
    }
}

static void four_threads_keep_every_promise(void **state)
{
    (void)state;
    static shared world;
    static worker workers[THREADS];
    prepare(&world);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.world = &world, .index = i};
        workers[i].thread = shoal_store_thread(world.box.store, i);
        workers[i].prng = shoal_prng_make((uint64_t[2]){2024, i}, i, 0);
        assert_int_equal(pthread_create(&workers[i].id, NULL, work_through, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(workers[i].id, NULL);

    assert_int_equal(world.pending, 0);
    world.box.now.mono_us += 1000 * ROUNDS;
    world.box.now.wall_us += 1000 * ROUNDS;
    shoal_thread_enter(world.box.thread, world.box.now);
    check_sums(&world, workers);
    shoal_store_stats stats;
    shoal_store_stats_get(world.box.store, &stats);
    print_message("# %llu operations handed over, %llu expired, %llu bytes in limbo\n",
                  (unsigned long long)stats.handed_over, (unsigned long long)stats.expired,
                  (unsigned long long)stats.bytes_limbo);
    assert_true(stats.expired > 0);
    box_close(&world.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_threads_keep_every_promise),
    };
    return cmocka_run_group_tests_name("store_threads", tests, NULL, NULL);
}
