/* SPDX-License-Identifier: MIT
 *
 * The store's background work where it meets the foreground: slots that change under the sweeping
 * hand, and retired memory that comes faster than a fixed budget would free it.
 */
#include "support/test.h"

#include <stdio.h>

#include "store/moment.h"
#include "support/store_box.h"

/* Key number `number` of the one slot that the tag "a" leads to. */
static shoal_key tagged(const store_box *box, char name[32], uint32_t number)
{
    int size = snprintf(name, 32, "{a}%u", (unsigned)number);
    return shoal_key_make(box->store, 0, (shoal_slice){name, (size_t)size});
}

/* Puts keys [first, end) into that slot. */
static void put_tagged(store_box *box, uint32_t first, uint32_t end, int64_t expires_ms)
{
    char name[32];
    for (uint32_t i = first; i < end; i++) {
        shoal_key key = tagged(box, name, i);
        assert_int_equal(box_put(box->thread, &key, text_slice("value"), expires_ms), 0);
    }
}

/* ---- the hand ---- */

/* Runs the hand for a second in steps of `budget_us`. Returns what it said last. */
static int64_t sweep_a_second(store_box *box, uint32_t budget_us)
{
    int64_t wait_us = 0;
    for (int i = 0; i < 1000; i++) {
        wait_us = shoal_store_maintain(box->thread, budget_us);
        box_turn(box, 1);
    }
    return wait_us;
}

static void the_hand_leaves_a_slot_that_was_emptied_under_it(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    put_tagged(&box, 0, 3000, box_ms(&box) + 10);
    box_turn(&box, 20);
    while (shoal_store_count(box.store, 0) == 3000) (void)shoal_store_maintain(box.thread, 1);
    assert_true(shoal_store_count(box.store, 0) > 0);
    char name[32];
    (void)box_clear(box.thread, tagged(&box, name, 0).place);
    shoal_key other = shoal_key_make(box.store, 0, text_slice("other"));
    assert_int_equal(box_put(box.thread, &other, text_slice("1"), box_ms(&box) + 10), 0);
    assert_true(sweep_a_second(&box, 100) > 1000000);
    assert_int_equal(shoal_store_count(box.store, 0), 0);
    box_close(&box);
}

static void the_hand_leaves_a_slot_whose_last_ttl_it_has_reaped(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    put_tagged(&box, 0, 3, box_ms(&box) + 10);
    put_tagged(&box, 3, 3000, -1);
    box_turn(&box, 20);
    assert_true(sweep_a_second(&box, 1) > 1000000);
    assert_int_equal(shoal_store_count(box.store, 0), 2997);
    box_close(&box);
}

/* ---- retired memory ---- */

/* Overwrites many keys a turn, and checks that what waits to be freed does not pile up. */
static void overwrite_turn_by_turn(uint32_t threads)
{
    enum { KEYS = 5000, TURNS = 40 };
    store_box box;
    box_open(&box, threads);
    put_tagged(&box, 0, KEYS, -1);
    uint64_t live = shoal_store_bytes_slot(box.store, shoal_key_slot(text_slice("{a}")));
    for (int turn = 0; turn < TURNS; turn++) {
        box_turn(&box, 1);
        put_tagged(&box, 0, KEYS, -1);
    }
    shoal_store_stats stats;
    shoal_store_stats_get(box.store, &stats);
    assert_true(stats.bytes_limbo < 8 * live);
    box_close(&box);
}

static void limbo_is_bounded_however_much_a_batch_retires(void **state)
{
    (void)state;
    overwrite_turn_by_turn(1);
    overwrite_turn_by_turn(2);
}

/* Many sessions of one round overwrite; between them nothing is needed that was read before. */
static void a_refresh_gives_memory_back_within_a_batch(void **state)
{
    (void)state;
    enum { KEYS = 500, SESSIONS = 100 };
    store_box box;
    box_open(&box, 2);
    put_tagged(&box, 0, KEYS, -1);
    uint64_t live = shoal_store_bytes_slot(box.store, shoal_key_slot(text_slice("{a}")));
    for (int session = 0; session < SESSIONS; session++) {
        put_tagged(&box, 0, KEYS, -1);
        shoal_thread_refresh(box.thread);
    }
    shoal_store_stats stats;
    shoal_store_stats_get(box.store, &stats);
    assert_true(stats.bytes_limbo < 8 * live);
    box_close(&box);
}

/* ---- gates ---- */

/* An operation that another thread pushes again whenever it has run, as a crowd of clients would
 * do. */
typedef struct tireless {
    shoal_gate_op gate;
    uint32_t place;
    shoal_thread *pusher;
    uint32_t runs, runs_max;
} tireless;

static void run_tireless(shoal_op *op, void *runner)
{
    tireless *again = (tireless *)op;
    assert_ptr_not_equal(runner, again->pusher);
    if (++again->runs == again->runs_max) return;
    again->gate = (shoal_gate_op){{.run = run_tireless}, &again->place, 1, 0, false};
    assert_false(shoal_gate_push(again->pusher, &again->gate));
}

/* Holds the gate while the other thread pushes for the first time. */
typedef struct first_push {
    shoal_gate_op gate;
    tireless *pushed;
} first_push;

static void run_first_push(shoal_op *op, void *runner)
{
    (void)runner;
    tireless *pushed = ((first_push *)op)->pushed;
    assert_false(shoal_gate_push(pushed->pusher, &pushed->gate));
}

static void a_thread_gets_out_of_a_gate_that_others_keep_busy(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 2);
    shoal_thread *pusher = shoal_store_thread(box.store, 1);
    shoal_thread_enter(pusher, box.now);
    tireless crowd = {.pusher = pusher, .runs_max = 100000};
    crowd.gate = (shoal_gate_op){{.run = run_tireless}, &crowd.place, 1, 0, false};
    first_push first = {{{.run = run_first_push}, &crowd.place, 1, 0, false}, &crowd};
    assert_true(shoal_gate_try(box.thread, &first.gate));
    assert_true(crowd.runs < 10000);
    uint32_t batches = 0;
    for (; shoal_thread_busy(box.thread); batches++) box_turn(&box, 1);
    assert_int_equal(crowd.runs, crowd.runs_max);
    assert_true(batches > 10);
    shoal_thread_leave(pusher);
    box_close(&box);
}

/* Whether a moment may be wished for within some turns of both threads; `other` may stay inside. */
static bool is_accepted(store_box *box, shoal_thread *other)
{
    for (int i = 0; i < 10; i++) {
        if (shoal_moment_wish(box->thread)) {
            shoal_moment_end(box->thread);
            return true;
        }
        box_turn(box, 1);
        if (other == NULL) continue;
        shoal_thread_enter(other, box->now);
        shoal_thread_leave(other);
    }
    return false;
}

static void a_moment_waits_for_batches_that_began_before_it_was_last_prepared_for(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 2);
    shoal_thread *other = shoal_store_thread(box.store, 1);
    shoal_moment_prepare(box.thread, 1);
    assert_true(is_accepted(&box, other));
    /* It may have looked for a reason to wait before there was one. */
    shoal_thread_enter(other, box.now);
    box_turn(&box, 1);
    shoal_moment_prepare(box.thread, 1);
    assert_false(is_accepted(&box, NULL));
    shoal_thread_leave(other);
    assert_true(is_accepted(&box, other));
    shoal_moment_prepare(box.thread, -1);
    shoal_moment_prepare(box.thread, -1);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hand_leaves_a_slot_that_was_emptied_under_it),
        cmocka_unit_test(the_hand_leaves_a_slot_whose_last_ttl_it_has_reaped),
        cmocka_unit_test(limbo_is_bounded_however_much_a_batch_retires),
        cmocka_unit_test(a_refresh_gives_memory_back_within_a_batch),
        cmocka_unit_test(a_thread_gets_out_of_a_gate_that_others_keep_busy),
        cmocka_unit_test(a_moment_waits_for_batches_that_began_before_it_was_last_prepared_for),
    };
    return cmocka_run_group_tests_name("store_background", tests, NULL, NULL);
}
