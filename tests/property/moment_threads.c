/* SPDX-License-Identifier: MIT
 *
 * Moments between operations while three real threads write. Each operation changes two plain
 * numbers, one after the other, under the gate of their slot; in a moment the two are equal, and
 * ThreadSanitizer sees that what the moment reads has happened before. In the end every operation
 * has run, also those that were parked.
 */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/prng.h"
#include "store/moment.h"
#include "support/store_box.h"

#define WRITERS 3u
#define SLOTS 8u
#define OPS 512u
#ifdef SHOAL_TSAN
#define ROUNDS 30u
#else
#define ROUNDS 150u
#endif

#define CHECK(condition) SHOAL_ASSERT(condition)

typedef struct pair {
    uint64_t left, right;
} pair;

typedef struct world {
    store_box box;
    pair pairs[SLOTS]; /* each is changed under the gate of its slot */
    _Atomic uint32_t running;
} world;

typedef struct count_op {
    shoal_gate_op gate;
    world *world;
    uint32_t places[2];
} count_op;

typedef struct writer {
    world *world;
    shoal_thread *thread;
    uint32_t index;
    pthread_t id;
    count_op ops[OPS];
} writer;

static void count(shoal_op *op, void *runner)
{
    count_op *me = (count_op *)op;
    (void)runner;
    for (uint32_t i = 0; i < me->gate.count; i++) me->world->pairs[me->places[i]].left++;
    for (uint32_t i = 0; i < me->gate.count; i++) me->world->pairs[me->places[i]].right++;
}

static void *write_much(void *argument)
{
    writer *me = argument;
    world *w = me->world;
    shoal_prng prng = shoal_prng_make((const uint64_t[2]){3, 4}, me->index, 1);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        shoal_thread_enter(me->thread, w->box.now);
        for (uint32_t i = round % 8; i < OPS; i += 8) {
            count_op *op = &me->ops[i];
            if (op->world != NULL) continue;
            *op = (count_op){.world = w};
            op->places[0] = (uint32_t)shoal_prng_below(&prng, SLOTS - 1);
            op->places[1] = op->places[0] + 1;
            op->gate =
                (shoal_gate_op){.op = {.run = count}, .places = op->places, .count = 1 + i % 2};
            if (!shoal_gate_try(me->thread, &op->gate))
                (void)shoal_gate_push(me->thread, &op->gate);
        }
        shoal_thread_leave(me->thread);
        sched_yield();
    }
    (void)shoal_sub_release(&w->running, 1u); /* pair: test.running */
    return NULL;
}

static void check(const world *w)
{
    for (uint32_t i = 0; i < SLOTS; i++) CHECK(w->pairs[i].left == w->pairs[i].right);
}

static uint32_t take_moments(world *w, shoal_thread *thread)
{
    uint32_t moments = 0;
    /* pair: test.running */
    while (shoal_load_acquire(&w->running) != 0 || moments == 0) {
        shoal_thread_enter(thread, w->box.now);
        bool wished = shoal_moment_wish(thread);
        shoal_thread_leave(thread);
        if (!wished) continue;
        while (!shoal_moment_has_come(thread)) sched_yield();
        check(w);
        moments++;
        shoal_thread_enter(thread, w->box.now);
        shoal_moment_end(thread);
        shoal_thread_leave(thread);
        sched_yield();
    }
    return moments;
}

static void nobody_is_in_the_middle_of_a_write_in_a_moment(void **state)
{
    (void)state;
    static world w;
    static writer writers[WRITERS];
    box_open(&w.box, WRITERS + 1);
    shoal_thread_leave(w.box.thread);
    shoal_thread *control = shoal_store_thread(w.box.store, WRITERS);
    shoal_thread_enter(control, w.box.now);
    shoal_moment_prepare(control, 1);
    shoal_thread_leave(control);
    shoal_store_relaxed(&w.running, WRITERS);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i].world = &w;
        writers[i].thread = shoal_store_thread(w.box.store, i);
        writers[i].index = i;
        assert_int_equal(pthread_create(&writers[i].id, NULL, write_much, &writers[i]), 0);
    }
    assert_true(take_moments(&w, control) > 0);
    for (uint32_t i = 0; i < WRITERS; i++) pthread_join(writers[i].id, NULL);
    for (uint32_t i = 0; i < 2 * (WRITERS + 1); i++) {
        shoal_thread *thread = shoal_store_thread(w.box.store, i % (WRITERS + 1));
        shoal_thread_enter(thread, w.box.now);
        shoal_thread_leave(thread);
    }
    uint64_t changed = 0;
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_int_equal(w.pairs[i].left, w.pairs[i].right);
        changed += w.pairs[i].left;
    }
    assert_int_equal(changed, WRITERS * (OPS / 2 + OPS));
    shoal_thread_enter(w.box.thread, w.box.now);
    box_close(&w.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_in_the_middle_of_a_write_in_a_moment),
    };
    return cmocka_run_group_tests_name("moment_threads", tests, NULL, NULL);
}
