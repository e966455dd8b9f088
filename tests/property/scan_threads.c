/* SPDX-License-Identifier: MIT
 *
 * What SCAN promises, while two threads make one slot grow from a thousand keys to tens of
 * thousands and shrink again, over and over: leaves are rebuilt, split and merged under the walks
 * of two others. A walk visits each key that stays exactly once (claims W1 and W2 of walk.c, T2 and
 * T3 of table.c), and none that was never there. Cursors are held in numbers only.
 */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/prng.h"
#include "support/store_box.h"

#define STABLE 1000u
#define CHURN 24000u
#define WRITERS 2u
#define WALKERS 2u
#define THREADS (WRITERS + WALKERS)
#ifdef SHOAL_TSAN
#define TIDES 2u
#else
#define TIDES 6u
#endif

/* cmocka's checks jump out of a test and do not work beside threads: these stop the process. */
#define CHECK(condition) SHOAL_ASSERT(condition)

typedef struct shared {
    store_box box;
    _Atomic uint32_t writing; /* threads that still do */
} shared;

typedef struct actor {
    shared *world;
    shoal_thread *thread;
    pthread_t id;
    uint32_t index;
    shoal_prng prng;
    uint32_t walks;
    uint8_t stable[STABLE]; /* visits in this walk */
} actor;

typedef struct name {
    char text[24];
} name;

static shoal_key make_key(const shared *world, name *out, char kind, uint32_t i)
{
    int size = snprintf(out->text, sizeof out->text, "{s}%c%u", kind, i);
    return shoal_key_make(world->box.store, 0, (shoal_slice){out->text, (size_t)size});
}

/* One put or removal. */
typedef struct change {
    shoal_gate_op gate;
    shoal_key key;
    bool removes;
} change;

static void run_change(shoal_op *op, void *runner)
{
    change *now = (change *)op;
    if (now->removes) {
        (void)shoal_store_remove_locked(runner, &now->key);
        return;
    }
    CHECK(shoal_store_put_integer_locked(runner, &now->key, 1, -1) == SHOAL_ERR_OK);
}

/* Does it, however long the gate is held by the other writer. */
static void perform(shoal_thread *thread, change *now)
{
    for (;;) {
        now->gate =
            (shoal_gate_op){.op = {.run = run_change}, .places = &now->key.place, .count = 1};
        if (shoal_gate_try(thread, &now->gate)) return;
        shoal_time moment = shoal_thread_now(thread);
        shoal_thread_leave(thread);
        sched_yield();
        shoal_thread_enter(thread, moment);
    }
}

/* Its half of the keys comes, and goes, in an order of its own each time. */
static void *write_tides(void *argument)
{
    actor *me = argument;
    for (uint32_t tide = 0; tide < 2 * TIDES; tide++) {
        uint32_t step = 2 * (uint32_t)shoal_prng_below(&me->prng, CHURN / 2) + 1;
        /* Without a divisor of CHURN, so that every key has its turn. */
        while (step % 3 == 0 || step % 5 == 0) step += 2;
        for (uint32_t n = 0; n < CHURN; n++) {
            name text;
            uint32_t i = (uint32_t)((uint64_t)n * step % CHURN);
            if (i % WRITERS != me->index) continue;
            change now = {.key = make_key(me->world, &text, 'c', i), .removes = tide % 2 == 1};
            shoal_thread_enter(me->thread, me->world->box.now);
            perform(me->thread, &now);
            shoal_thread_leave(me->thread);
        }
    }
    (void)shoal_sub_relaxed(&me->world->writing, 1u);
    return NULL;
}

static void visit(void *context, const shoal_item *item)
{
    actor *me = context;
    shoal_slice key = shoal_item_name(item);
    uint32_t i = 0;
    CHECK(key.size > 4 && memcmp(key.data, "{s}", 3) == 0);
    for (size_t n = 4; n < key.size; n++) i = i * 10 + (uint32_t)(key.data[n] - '0');
    CHECK(key.data[3] == 'k' ? i < STABLE : key.data[3] == 'c' && i < CHURN);
    if (key.data[3] == 'k') me->stable[i]++;
}

static void *walk(void *argument)
{
    actor *me = argument;
    while (shoal_load_relaxed(&me->world->writing) > 0 || me->walks == 0) {
        uint64_t cursor = 0;
        memset(me->stable, 0, sizeof me->stable);
        do {
            const shoal_scan scan = {.slot_last = SHOAL_SLOTS - 1,
                                     .count = 1 + (uint32_t)shoal_prng_below(&me->prng, 60)};
            shoal_thread_enter(me->thread, me->world->box.now);
            shoal_store_scan(me->thread, &scan, &cursor, visit, me);
            shoal_thread_leave(me->thread);
        } while (cursor != 0);
        for (uint32_t i = 0; i < STABLE; i++) CHECK(me->stable[i] == 1);
        me->walks++;
    }
    return NULL;
}

static void each_walk_visits_once_what_stays_whatever_grows_and_shrinks(void **state)
{
    (void)state;
    static shared world;
    static actor actors[THREADS];
    box_open(&world.box, THREADS);
    for (uint32_t i = 0; i < STABLE; i++) {
        name text;
        change now = {.key = make_key(&world, &text, 'k', i)};
        perform(world.box.thread, &now);
    }
    shoal_thread_leave(world.box.thread);
    shoal_store_relaxed(&world.writing, WRITERS);
    for (uint32_t i = 0; i < THREADS; i++) {
        actor *me = &actors[i];
        *me =
            (actor){.world = &world, .thread = shoal_store_thread(world.box.store, i), .index = i};
        me->prng = shoal_prng_make((uint64_t[2]){5, 5}, i, 0);
        void *(*role)(void *) = i < WRITERS ? write_tides : walk;
        assert_int_equal(pthread_create(&me->id, NULL, role, me), 0);
    }
    uint32_t walks = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(actors[i].id, NULL);
        walks += actors[i].walks;
    }
    print_message("# %u walks\n", walks);
    assert_true(walks >= WALKERS);
    shoal_thread_enter(world.box.thread, world.box.now);
    assert_int_equal(shoal_store_count(world.box.store, 0), STABLE);
    box_close(&world.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_walk_visits_once_what_stays_whatever_grows_and_shrinks),
    };
    return cmocka_run_group_tests_name("scan_threads", tests, NULL, NULL);
}
