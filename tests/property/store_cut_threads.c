/* SPDX-License-Identifier: MIT
 *
 * Cuts while three real threads write. Each writer changes keys of different slots in an order that
 * it knows: first the left one of a pair, then the right one; two twins in one operation; and keys
 * that come and go, so that tables are rebuilt. A cut is one moment (claim C1 of cut.c): a right
 * one is never newer than its left one, and never more than one step behind; twins are equal. It
 * misses nothing and shows nothing twice (C2, C3). Meanwhile the threads pin large values and let
 * them go again.
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
#include "store/pin.h"
#include "store/snapshot.h"
#include "support/store_box.h"

#define WRITERS 3u
#define THREADS (WRITERS + 1u)
#define PAIRS 40u /* of each writer */
#define CHURN 2000u
#define LARGE_SIZE 20000u
#ifdef SHOAL_TSAN
#define CUTS 12u
#else
#define CUTS 40u
#endif

/* cmocka's checks jump out of a test and do not work beside threads: these stop the process. */
#define CHECK(condition) SHOAL_ASSERT(condition)

/* What a cut has shown of a pair or twins: 0 for nothing. */
typedef struct seen_pair {
    _Atomic uint64_t left, right;
} seen_pair;

typedef struct shared {
    store_box box;
    seen_pair pairs[WRITERS][PAIRS];
    seen_pair twins[WRITERS];
    _Atomic bool over;
} shared;

typedef struct writer {
    shared *world;
    shoal_thread *thread;
    pthread_t id;
    uint32_t index;
    shoal_prng prng;
    uint64_t counts[PAIRS];
    uint64_t twin;
    uint32_t pin;
    const shoal_item *pinned;
    char pinned_byte;
    uint64_t writes;
} writer;

typedef struct name {
    char text[40];
} name;

static shoal_key make_key(const shared *world, name *out, const char *format, uint32_t writer_index,
                          uint32_t i)
{
    int size = snprintf(out->text, sizeof out->text, format, writer_index, i);
    return shoal_key_make(world->box.store, 0, (shoal_slice){out->text, (size_t)size});
}

/* One or two puts as one operation. */
typedef struct put_op {
    shoal_gate_op gate;
    shoal_key keys[2];
    uint32_t places[2];
    uint32_t count;
    uint64_t value;
    bool removes;
} put_op;

static void run_put(shoal_op *op, void *runner)
{
    put_op *put = (put_op *)op;
    for (uint32_t i = 0; i < put->count; i++) {
        if (put->removes) {
            (void)shoal_store_remove_locked(runner, &put->keys[i]);
            continue;
        }
        shoal_err error =
            shoal_store_put_integer_locked(runner, &put->keys[i], (int64_t)put->value, -1);
        CHECK(error == SHOAL_ERR_OK);
    }
}

/* Does it, however long the gates are held by others. */
static void perform(shoal_thread *thread, put_op *put)
{
    put->places[0] = put->keys[0].place;
    uint32_t places = 1;
    if (put->count == 2 && put->keys[1].place != put->keys[0].place) {
        bool first = put->keys[0].place < put->keys[1].place;
        put->places[0] = put->keys[first ? 0 : 1].place;
        put->places[1] = put->keys[first ? 1 : 0].place;
        places = 2;
    }
    for (;;) {
        put->gate = (shoal_gate_op){.op = {.run = run_put},
                                    .places = put->places,
                                    .count = places,
                                    .multi = put->count > 1};
        if (shoal_gate_try(thread, &put->gate)) return;
        shoal_time now = shoal_thread_now(thread);
        shoal_thread_leave(thread);
        sched_yield();
        shoal_thread_enter(thread, now);
    }
}

static void write_pair(writer *me)
{
    name names[2];
    uint32_t i = (uint32_t)shoal_prng_below(&me->prng, PAIRS);
    me->counts[i]++;
    put_op left = {.count = 1, .value = me->counts[i]};
    left.keys[0] = make_key(me->world, &names[0], "left:%u:%u", me->index, i);
    perform(me->thread, &left);
    put_op right = {.count = 1, .value = me->counts[i]};
    right.keys[0] = make_key(me->world, &names[1], "right:%u:%u", me->index, i);
    perform(me->thread, &right);
}

static void write_twins(writer *me)
{
    name names[2];
    put_op put = {.count = 2, .value = ++me->twin};
    put.keys[0] = make_key(me->world, &names[0], "twin:%u:%u", me->index, 0);
    put.keys[1] = make_key(me->world, &names[1], "twin:%u:%u", me->index, 1);
    perform(me->thread, &put);
}

/* Keys that come and go, in few slots. */
static void churn(writer *me)
{
    name text;
    uint32_t i = (uint32_t)shoal_prng_below(&me->prng, CHURN);
    put_op put = {.count = 1, .value = 1, .removes = me->writes / 4096 % 2 == 1};
    put.keys[0] = make_key(me->world, &text, "{c%2$u}:%1$u", i, i % 3);
    perform(me->thread, &put);
}

/* One operation that replaces a large value. */
typedef struct large_op {
    shoal_gate_op gate;
    shoal_key key;
    char bytes[LARGE_SIZE];
} large_op;

static void run_large(shoal_op *op, void *runner)
{
    large_op *put = (large_op *)op;
    shoal_slice value = {put->bytes, sizeof put->bytes};
    CHECK(shoal_store_put_locked(runner, &put->key, value, -1) == SHOAL_ERR_OK);
}

/* Pins what others replace, and looks at it later: it is whole and as it was (P1 to P3). */
static void replace_and_pin(writer *me)
{
    name text;
    large_op put;
    put.key =
        make_key(me->world, &text, "large:%u:%u", 0, (uint32_t)shoal_prng_below(&me->prng, 2));
    memset(put.bytes, 'a' + (int)shoal_prng_below(&me->prng, 26), sizeof put.bytes);
    put.gate = (shoal_gate_op){.op = {.run = run_large}, .places = &put.key.place, .count = 1};
    (void)shoal_gate_try(me->thread, &put.gate);
    if (me->pin != 0) {
        char scratch[SHOAL_INT_TEXT_SIZE];
        shoal_slice value = shoal_item_string(me->pinned, scratch);
        CHECK(value.size == LARGE_SIZE);
        CHECK(value.data[0] == me->pinned_byte && value.data[LARGE_SIZE - 1] == me->pinned_byte);
        shoal_store_unpin(me->thread, me->pin);
        me->pin = 0;
        return;
    }
    me->pinned = shoal_store_get(me->thread, &put.key);
    if (me->pinned == NULL) return;
    char scratch[SHOAL_INT_TEXT_SIZE];
    me->pinned_byte = shoal_item_string(me->pinned, scratch).data[0];
    me->pin = shoal_store_pin(me->thread, me->pinned);
    CHECK(me->pin != 0);
}

static void *work(void *argument)
{
    writer *me = argument;
    shared *world = me->world;
    while (!shoal_load_relaxed(&world->over)) {
        shoal_thread_enter(me->thread, world->box.now);
        for (uint32_t n = 0; n < 16; n++, me->writes++) {
            write_pair(me);
            churn(me);
            if (n % 4 == 0) write_twins(me);
        }
        replace_and_pin(me);
        (void)shoal_store_maintain(me->thread, 20);
        shoal_thread_leave(me->thread);
    }
    if (me->pin != 0) shoal_store_unpin(me->thread, me->pin);
    return NULL;
}

/* Notes what is handed out; any thread. */
static void take(void *context, shoal_thread *thread, shoal_snapshot_part *part)
{
    shared *world = context;
    (void)thread;
    char scratch[SHOAL_INT_TEXT_SIZE], text[40];
    shoal_slice key = shoal_item_name(part->item);
    CHECK(key.size < sizeof text);
    memcpy(text, key.data, key.size);
    text[key.size] = '\0';
    unsigned w, i;
    uint64_t value = 0;
    int64_t integer;
    if (shoal_item_integer(part->item, &integer)) value = (uint64_t)integer;
    (void)scratch;
    _Atomic uint64_t *to = NULL;
    if (sscanf(text, "left:%u:%u", &w, &i) == 2) to = &world->pairs[w][i].left;
    if (sscanf(text, "right:%u:%u", &w, &i) == 2) to = &world->pairs[w][i].right;
    if (sscanf(text, "twin:%u:%u", &w, &i) == 2)
        to = i == 0 ? &world->twins[w].left : &world->twins[w].right;
    if (to == NULL) return;
    CHECK(value != 0);
    CHECK(shoal_exchange_acq_rel(to, value) == 0);
}

/* Checks what the cut has shown, and forgets it. */
static void check_cut(shared *world)
{
    for (uint32_t w = 0; w < WRITERS; w++) {
        for (uint32_t i = 0; i < PAIRS; i++) {
            uint64_t left = shoal_exchange_acq_rel(&world->pairs[w][i].left, (uint64_t)0);
            uint64_t right = shoal_exchange_acq_rel(&world->pairs[w][i].right, (uint64_t)0);
            CHECK(left == right || left == right + 1);
        }
        uint64_t left = shoal_exchange_acq_rel(&world->twins[w].left, (uint64_t)0);
        CHECK(left == shoal_exchange_acq_rel(&world->twins[w].right, (uint64_t)0));
    }
}

/* Takes one cut after the other with its own thread of the store. */
static void take_cuts(shared *world, shoal_thread *thread)
{
    const shoal_cut_options options = {.sink = {take, world}};
    for (uint32_t n = 0; n < CUTS; n++) {
        shoal_cut *cut = NULL;
        shoal_thread_enter(thread, world->box.now);
        CHECK(shoal_cut_begin(thread, &options, &cut) == SHOAL_ERR_OK);
        for (bool over = false; !over;) {
            over = shoal_cut_step(cut, thread, n % 2 == 0 ? 60 : 600);
            shoal_thread_leave(thread);
            if (n % 3 == 0) sched_yield();
            shoal_thread_enter(thread, world->box.now);
        }
        CHECK(shoal_cut_end(cut, thread));
        shoal_thread_leave(thread);
        check_cut(world);
    }
}

static void a_cut_shows_one_moment_of_what_three_threads_write(void **state)
{
    (void)state;
    static shared world;
    static writer writers[WRITERS];
    box_open(&world.box, THREADS);
    shoal_thread *last = shoal_store_thread(world.box.store, WRITERS);
    shoal_thread_leave(world.box.thread);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writer *me = &writers[i];
        *me =
            (writer){.world = &world, .thread = shoal_store_thread(world.box.store, i), .index = i};
        me->prng = shoal_prng_make((uint64_t[2]){7, 7}, i, 0);
        assert_int_equal(pthread_create(&me->id, NULL, work, me), 0);
    }
    take_cuts(&world, last);
    shoal_store_relaxed(&world.over, true);
    uint64_t writes = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].id, NULL);
        writes += writers[i].writes;
    }
    print_message("# %llu rounds of writes\n", (unsigned long long)writes);
    assert_true(writes > 0);
    shoal_thread_enter(world.box.thread, world.box.now);
    box_close(&world.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_shows_one_moment_of_what_three_threads_write),
    };
    return cmocka_run_group_tests_name("store_cut_threads", tests, NULL, NULL);
}
