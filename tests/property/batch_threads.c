/* SPDX-License-Identifier: MIT
 *
 * Real threads that read and write in batches (shoal_cache_get_many, shoal_cache_put_many) while
 * tables under their keys grow, shrink and are rebuilt. Each key has one writer, who numbers what
 * he does to it and says so before and behind it; whoever reads must find what the key held at some
 * moment between the beginning and the end of his call. What threads have to take turns in is
 * claimed in table.c (T1 to T3), and told by ThreadSanitizer.
 */
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <shoal/cache.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/prng.h"
#include "support/store_box.h"

#define THREADS 4u
#define KEYS 2000u
#define TOGETHER 24u
#define NAME_SIZE 48u
#define VALUE_SIZE 120u
#ifdef SHOAL_TSAN
#define ROUNDS 6000u
#else
#define ROUNDS 40000u
#endif

/* cmocka's checks do not work beside threads: these stop the process. */
#define CHECK(condition) SHOAL_ASSERT(condition)

/* What is known of a key. Odd numbers are puts, even ones removals; some are never made. */
typedef struct record {
    /* writer: the key's, release. readers: any, acquire. */
    _Atomic uint64_t begun, made;
} record;

typedef struct shared {
    store_box box;
    char names[KEYS][NAME_SIZE];
    record records[KEYS];
} shared;

typedef struct worker {
    shared *world;
    shoal_thread *thread;
    pthread_t id;
    uint32_t index;
    shoal_prng prng;
} worker;

static uint32_t draw(worker *self, uint32_t n)
{
    return (uint32_t)shoal_prng_below(&self->prng, n);
}

/* ---- writing ---- */

/* The next number of a put or a removal. */
static uint64_t begin(record *at, bool put)
{
    uint64_t number = shoal_load_relaxed(&at->begun) + 1;
    if ((number % 2 == 1) != put) number++;
    shoal_store_release(&at->begun, number);
    return number;
}

/* Text with the number in front, or at times the number alone. */
static shoal_slice value_of(uint64_t number, char out[VALUE_SIZE])
{
    size_t more = number / 2 % 7 * 11;
    int size = snprintf(out, VALUE_SIZE, more == 0 ? "%llu" : "%llu ", (unsigned long long)number);
    if (more == 0) return (shoal_slice){out, (size_t)size};
    memset(out + size, (int)('a' + number % 26), more);
    return (shoal_slice){out, (size_t)size + more};
}

static void put_some(worker *self)
{
    shoal_cache_entry entries[TOGETHER];
    uint64_t numbers[TOGETHER];
    record *records[TOGETHER];
    char values[TOGETHER][VALUE_SIZE];
    uint32_t count = 1 + draw(self, TOGETHER);
    uint32_t near = draw(self, KEYS / THREADS);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (near + draw(self, TOGETHER)) % (KEYS / THREADS) * THREADS + self->index;
        shoal_slice name = text_slice(self->world->names[at]);
        records[i] = &self->world->records[at];
        numbers[i] = begin(records[i], true);
        bool dated = draw(self, 8) == 0;
        entries[i] = (shoal_cache_entry){.key = name,
                                         .value = value_of(numbers[i], values[i]),
                                         .expires_ms = dated ? BOX_START_MS * 2 : -1};
    }
    (void)shoal_cache_put_many(self->thread, entries, count);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(entries[i].error == 0 || entries[i].error == SHOAL_ERR_BUSY);
        if (entries[i].error == 0) shoal_store_release(&records[i]->made, numbers[i]);
    }
}

static void remove_some(worker *self)
{
    uint32_t count = 1 + draw(self, TOGETHER);
    uint32_t near = draw(self, KEYS / THREADS);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (near + i) % (KEYS / THREADS) * THREADS + self->index;
        record *of = &self->world->records[at];
        uint64_t number = begin(of, false);
        shoal_err error = shoal_cache_remove(self->thread, text_slice(self->world->names[at]));
        CHECK(error == 0 || error == SHOAL_ERR_BUSY || error == SHOAL_ERR_NOT_FOUND);
        if (error != SHOAL_ERR_BUSY) shoal_store_release(&of->made, number);
    }
}

/* ---- reading ---- */

/* The number that a value begins with; all of it is as it was put. */
static uint64_t number_in(shoal_slice bytes)
{
    char want[VALUE_SIZE];
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.size && bytes.data[i] != ' '; i++)
        number = number * 10 + (uint64_t)(bytes.data[i] - '0');
    shoal_slice whole = value_of(number, want);
    CHECK(whole.size == bytes.size && memcmp(whole.data, bytes.data, bytes.size) == 0);
    return number;
}

static void read_some(worker *self)
{
    shoal_slice names[TOGETHER];
    shoal_cache_value values[TOGETHER];
    uint32_t which[TOGETHER];
    uint64_t least[TOGETHER];
    uint32_t count = 1 + draw(self, TOGETHER);
    uint32_t near = draw(self, KEYS);
    for (uint32_t i = 0; i < count; i++) {
        which[i] = (near + draw(self, 2 * TOGETHER)) % KEYS;
        names[i] = text_slice(self->world->names[which[i]]);
        least[i] = shoal_load_acquire(&self->world->records[which[i]].made);
    }
    (void)shoal_cache_get_many(self->thread, names, count, values);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t most = shoal_load_acquire(&self->world->records[which[i]].begun);
        if (values[i].bytes.data == NULL) {
            /* It was never put, or a removal is among what may have been made. */
            CHECK(least[i] % 2 == 0 || most > least[i]);
            continue;
        }
        uint64_t number = number_in(values[i].bytes);
        CHECK(number % 2 == 1 && number >= least[i] && number <= most);
    }
}

static void *work_through(void *argument)
{
    worker *self = argument;
    shoal_time now = self->world->box.now;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        now.mono_us += 100;
        now.wall_us += 100;
        shoal_thread_enter(self->thread, now);
        /* Tables grow and shrink in turn. */
        uint32_t removals = round / 300 % 2 == 0 ? 1 : 5;
        uint32_t what = draw(self, 12);
        if (what < removals) {
            remove_some(self);
        } else if (what < 6) {
            put_some(self);
        } else {
            read_some(self);
        }
        if (round % 16 == 0) (void)shoal_store_maintain(self->thread, 10);
        shoal_thread_leave(self->thread);
    }
    while (shoal_thread_busy(self->thread)) {
        shoal_thread_enter(self->thread, now);
        shoal_thread_leave(self->thread);
    }
    return NULL;
}

/* Names of all lengths up to some, a few of them with a tag that has many keys. */
static void make_names(shared *world)
{
    static const char *const tags[] = {"{one}", "{two}", "", "{}"};
    for (uint32_t i = 0; i < KEYS; i++) {
        int size = snprintf(world->names[i], NAME_SIZE, "%s%u", tags[i / 7 % 4], i);
        size_t more = i % 13 * 2;
        memset(world->names[i] + size, '.', more);
        world->names[i][(size_t)size + more] = '\0';
    }
}

static void batches_find_what_was_there_meanwhile(void **state)
{
    (void)state;
    static shared world;
    static worker workers[THREADS];
    box_open(&world.box, THREADS);
    make_names(&world);
    shoal_thread_leave(world.box.thread);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.world = &world, .index = i};
        workers[i].thread = shoal_store_thread(world.box.store, i);
        workers[i].prng = shoal_prng_make((uint64_t[2]){77, i}, i, 0);
        assert_int_equal(pthread_create(&workers[i].id, NULL, work_through, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(workers[i].id, NULL);
    world.box.now.mono_us += 100 * ROUNDS;
    world.box.now.wall_us += 100 * ROUNDS;
    shoal_thread_enter(world.box.thread, world.box.now);
    box_check_bytes(&world.box);
    box_close(&world.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_find_what_was_there_meanwhile),
    };
    return cmocka_run_group_tests_name("batch_threads", tests, NULL, NULL);
}
