/* SPDX-License-Identifier: MIT
 *
 * What judges excuse, they excuse by what was so when a node answered: nothing that happens while
 * the reply travels is a reason for what it says.
 */
#include "sim_run.h"

#include <stdio.h>

#include "base/text.h"
#include "sim/internal.h"

#define SECOND INT64_C(1000000)
#define KEY (3 | SHOAL_KEY_COUNTER)

#define BENCH                                                                              \
    "schedule v1\ncluster nodes 3 node_timeout 2s meet star\n80s client c1 rate 1/s keys " \
    "uniform(4) mix set:50,get:50,incr:50\n"

/* A world in which three masters have become a cluster. */
static int open_bench(void **state)
{
    return sim_bench_open(state, BENCH, 8000000);
}

/* ---- clocks ---- */

/* n1 has had no contact with the others since so long ago, and has served a write now. */
static shoal_service write_after(shoal_world *world, int64_t apart_us)
{
    for (uint32_t i = 1; i < 3; i++) world->judge.apart_since_us[i] = world->now_us - apart_us;
    return (shoal_service){.slot = 16383,
                           .write = true,
                           .began_us = world->now_us,
                           .served_us = world->now_us};
}

/* Has the judge objected to that, which it learns of now? */
static bool is_objected_to(shoal_world *world, const shoal_service *service)
{
    uint64_t before = world->judge.violated[SHOAL_CHECK_MINORITY];
    shoal_judge__served(world, service);
    return world->judge.violated[SHOAL_CHECK_MINORITY] > before;
}

/* A clock of a node changes now. */
static void change(shoal_world *world, uint32_t node, const shoal_line *line)
{
    shoal_judge__clocks(world);
    shoal_clock__change(&world->nodes[node].clock, world->now_us, line);
    shoal_judge__clocks(world);
}

static const shoal_line stand = {.clock = SHOAL_CLOCK_MONOTONIC, .choice = SHOAL_CLOCK_FREEZE};
static const shoal_line run = {.clock = SHOAL_CLOCK_MONOTONIC, .choice = SHOAL_CLOCK_RUN};
static const shoal_line wall_stands = {.clock = SHOAL_CLOCK_WALL, .choice = SHOAL_CLOCK_FREEZE};
static const shoal_line wall_back = {.clock = SHOAL_CLOCK_WALL,
                                     .choice = SHOAL_CLOCK_STEP,
                                     .amount = -5 * SECOND};

static void a_monotonic_clock_that_stands_after_a_write_does_not_excuse_it(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_service late = write_after(world, 4 * SECOND);
    assert_true(is_objected_to(world, &late));
    change(world, 0, &stand);
    world->now_us += 2 * SECOND;
    assert_true(is_objected_to(world, &late));
    change(world, 0, &run);
    assert_true(is_objected_to(world, &late));
    /* That of another, by whose word it takes a third for heard of later. */
    world->judge.apart_since_us[1] = -1;
    assert_int_equal(shoal_judge__misled(world, 2, late.served_us - SECOND, late.served_us), 0);
    assert_true(shoal_judge__misled(world, 2, late.served_us - SECOND, world->now_us) > 0);
}

static void a_monotonic_clock_that_stood_before_a_write_excuses_it_later_too(void **state)
{
    shoal_world *world = sim_bench_world(state);
    int64_t from_us = world->now_us;
    change(world, 0, &stand);
    world->now_us += SECOND;
    change(world, 0, &run);
    world->now_us += 3 * SECOND;
    shoal_service late = write_after(world, 4 * SECOND);
    assert_false(is_objected_to(world, &late));
    assert_int_equal(shoal_judge__stood(world, 0, from_us, from_us + SECOND / 2), SECOND / 2);
    /* Neither what goes right nor what goes too far while the reply travels takes that back. */
    shoal_line step = {.clock = SHOAL_CLOCK_MONOTONIC, .amount = 9 * SECOND};
    world->now_us += SECOND;
    change(world, 0, &step);
    world->now_us += SECOND;
    assert_false(is_objected_to(world, &late));
}

static void wall_clocks_that_part_after_a_write_do_not_excuse_it(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_service late = write_after(world, 4 * SECOND);
    world->judge.apart_since_us[1] = world->now_us - 38 * SECOND / 10;
    assert_true(is_objected_to(world, &late));
    /* By a step, and little by little. */
    world->now_us += SECOND;
    change(world, 0, &wall_back);
    assert_true(is_objected_to(world, &late));
    change(world, 0, &wall_stands);
    world->now_us += 5 * SECOND;
    assert_true(is_objected_to(world, &late));
    assert_int_equal(shoal_judge__misled(world, 0, late.served_us - 4 * SECOND, late.served_us), 0);
}

static void wall_clocks_part_as_far_as_they_were_apart_at_the_end(void **state)
{
    shoal_world *world = sim_bench_world(state);
    int64_t from_us = world->now_us;
    change(world, 0, &wall_stands);
    world->now_us += 4 * SECOND;
    change(world, 1, &wall_back);
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(shoal_judge__misled(world, 0, from_us, from_us + i * SECOND), i * SECOND);
    assert_int_equal(shoal_judge__misled(world, 0, from_us, world->now_us), 4 * SECOND);
}

/* ---- slots ---- */

/* A node claims all slots from now on. */
static void claim(shoal_world *world, uint32_t node, uint64_t epoch)
{
    shoal_slotmap all;
    memset(&all, 0xff, sizeof(all));
    world->now_us += 1000;
    shoal_copies__claimed(world, node, &all, epoch);
    world->now_us += 1000;
}

static uint64_t begin(shoal_world *world, uint32_t key, uint32_t action, uint32_t node)
{
    shoal_intent intent = {.key = key, .action = action, .now_us = world->now_us};
    uint64_t serial = shoal_history__begin(&world->history, &intent);
    shoal_history__sent(world, serial, node, 0);
    world->now_us += 1000;
    return serial;
}

static void end(shoal_world *world, uint64_t serial, uint32_t node, int64_t served_us)
{
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, node, served_us);
    world->now_us += 1000;
}

/* Adds to a counter at a node, which tells what it is then; later the reply arrives. */
static void add_at(shoal_world *world, uint32_t node, uint64_t told)
{
    uint64_t serial = begin(world, KEY, SHOAL_ACTION_INCR, node);
    shoal_history__counted(world, serial, told, world->now_us);
    end(world, serial, node, world->now_us);
}

static uint64_t stale_by(const shoal_world *world, shoal_cause cause)
{
    return world->judge.totals.reads_stale[cause];
}

static void a_slot_is_that_of_who_had_it_then(void **state)
{
    shoal_world *world = sim_bench_world(state);
    int64_t at[4];
    for (uint32_t i = 0; i < 4; i++) {
        claim(world, i % 3, 60 + i);
        at[i] = world->now_us;
    }
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t node = 0; node < 3; node++)
            assert_int_equal(shoal_copies__deposed(world, node, 7, at[i]), node != i % 3);
    }
    /* At the moment at which it passes the former owner has lost it. */
    assert_true(shoal_copies__deposed(world, 2, 7, at[3] - 1000));
    assert_false(shoal_copies__deposed(world, 2, 7, at[3] - 1001));
}

static void a_counter_that_fell_before_its_node_lost_the_slot_is_not_excused(void **state)
{
    shoal_world *world = sim_bench_world(state);
    claim(world, 0, 60);
    add_at(world, 0, 1);
    add_at(world, 0, 2);
    uint64_t serial = begin(world, KEY, SHOAL_ACTION_INCR, 0);
    int64_t served_us = world->now_us;
    claim(world, 1, 61);
    shoal_history__counted(world, serial, 2, served_us);
    end(world, serial, 0, served_us);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 1);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_PARTITION), 0);
    /* One that was served after that is. */
    add_at(world, 1, 5);
    add_at(world, 0, 4);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 1);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_PARTITION), 1);
    /* So it is where the node has got the slot again before the reply arrives. */
    add_at(world, 1, 6);
    serial = begin(world, KEY, SHOAL_ACTION_INCR, 0);
    served_us = world->now_us;
    claim(world, 0, 62);
    shoal_history__counted(world, serial, 5, served_us);
    end(world, serial, 0, served_us);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 1);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_PARTITION), 2);
}

/* A write and, behind it, a read at its node that misses it; the reply to that is judged later. */
static shoal_reading miss(shoal_world *world)
{
    uint64_t first = begin(world, 2, SHOAL_ACTION_SET, 0);
    end(world, first, 0, world->now_us);
    end(world, begin(world, 2, SHOAL_ACTION_SET, 0), 0, world->now_us);
    shoal_reading reading = {.key = 2, .serial = first, .began_us = world->now_us};
    world->now_us += 1000;
    reading.served_us = world->now_us;
    return reading;
}

static void a_read_that_missed_before_its_node_lost_the_slot_is_not_excused(void **state)
{
    shoal_world *world = sim_bench_world(state);
    claim(world, 0, 60);
    shoal_reading reading = miss(world);
    claim(world, 1, 61);
    shoal_reading__judge(world, &world->clients[0], &reading);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 1);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_PARTITION), 0);
    reading.served_us = world->now_us;
    shoal_reading__judge(world, &world->clients[0], &reading);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 1);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_PARTITION), 1);
}

static uint64_t lost_by(const shoal_world *world, shoal_cause cause)
{
    return world->judge.totals.lost[cause].count;
}

static void what_an_audit_missed_before_a_slot_passed_is_not_excused(void **state)
{
    shoal_world *world = sim_bench_world(state);
    claim(world, 0, 60);
    add_at(world, 0, 1);
    shoal_reading reading = miss(world), counter = reading;
    counter.key = KEY;
    counter.serial = 0;
    claim(world, 1, 61);
    shoal_history__audit(world, &reading);
    shoal_history__audit(world, &counter);
    assert_int_equal(lost_by(world, SHOAL_CAUSE_ALIVE), 2);
    assert_int_equal(lost_by(world, SHOAL_CAUSE_PARTITION), 0);
    counter.served_us = world->now_us;
    shoal_history__audit(world, &counter);
    assert_int_equal(lost_by(world, SHOAL_CAUSE_PARTITION), 1);
}

static void a_session_that_misses_its_write_before_a_slot_passed_is_not_excused(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const shoal_anomaly_count *own = world->judge.totals.anomalies[SHOAL_ANOMALY_READ_YOUR_WRITES];
    claim(world, 0, 60);
    shoal_reading reading = miss(world);
    shoal_sessions__wrote(world, 0, world->history.write_count);
    claim(world, 1, 61);
    shoal_sessions__read(world, 0, &reading, SHOAL_CAUSE_ALIVE);
    assert_int_equal(own[SHOAL_CAUSE_ALIVE].count, 1);
    reading.served_us = world->now_us;
    shoal_sessions__read(world, 0, &reading, SHOAL_CAUSE_ALIVE);
    assert_int_equal(own[SHOAL_CAUSE_ALIVE].count, 1);
    assert_int_equal(own[SHOAL_CAUSE_PARTITION].count, 1);
}

static void a_read_that_missed_before_a_process_died_is_not_excused(void **state)
{
    shoal_world *world = sim_bench_world(state);
    claim(world, 0, 60);
    shoal_reading reading = miss(world);
    uint64_t serial = world->history.write_count;
    world->now_us += 1000;
    world->nodes[0].incarnation++;
    world->nodes[0].died_us = world->now_us;
    assert_int_equal(shoal_copies__cause(world, serial, reading.served_us), SHOAL_CAUSE_ALIVE);
    assert_int_equal(shoal_copies__cause(world, serial, world->now_us), SHOAL_CAUSE_CRASH);
    world->nodes[0].incarnation--;
}

/* ---- one epoch of two ---- */

static uint64_t violated(const shoal_world *world, shoal_check check)
{
    return world->judge.violated[check];
}

/* A node says that it wins an epoch. */
static void win(shoal_world *world, uint32_t node, uint64_t epoch)
{
    shoal_trace_record won = {.kind = SHOAL_TRACE_ELECTION, .a = 2, .b = epoch, .c = 2};
    shoal_promise__election(world, node, &won);
}

/* Two nodes claim a slot in one epoch from now on; what the judge says of it. */
static uint64_t share(shoal_world *world, uint32_t a, uint32_t b, uint64_t epoch)
{
    shoal_judge *judge = &world->judge;
    uint64_t before = violated(world, SHOAL_CHECK_ONE_CLAIM);
    const uint32_t both[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        shoal_view *view = &judge->views[both[i]];
        shoal_slotmap_put(&view->own, 7, true);
        view->epoch_config = judge->claims[both[i]].epoch = epoch;
        view->own_count = judge->claims[both[i]].slots = 1;
    }
    judge->views[a].changed = true;
    judge->changed_from = 0;
    judge->changed_end = world->node_count;
    judge->version++;
    shoal_judge__settle(world);
    return violated(world, SHOAL_CHECK_ONE_CLAIM) - before;
}

static void one_epoch_of_two_is_no_fault_only_if_one_took_it_at_an_operators_word(void **state)
{
    shoal_world *world = sim_bench_world(state);
    win(world, 0, 60);
    assert_int_equal(share(world, 0, 1, 60), 1);
    shoal_promise__says(world, 1, shoal_text("New configEpoch set to 60"));
    assert_int_equal(share(world, 0, 1, 60), 0);
    assert_int_equal(share(world, 1, 0, 60), 0);
    /* That is of this epoch, and of these two: a third has it neither way. */
    assert_int_equal(share(world, 1, 2, 60), 1);
    assert_int_equal(share(world, 0, 1, 61), 1);
    shoal_promise__says(world, 2, shoal_text("New configEpoch set to 60"));
    world->judge.claims[0].slots = 0;
    assert_int_equal(share(world, 1, 2, 60), 0);
    /* Who is elected in an epoch that it has taken before has it by votes. */
    win(world, 1, 60);
    assert_int_equal(share(world, 1, 2, 60), 0);
    win(world, 2, 60);
    assert_int_equal(share(world, 1, 2, 60), 1);
}

/* A node finds another with its epoch, and goes on to the next. */
static void collide(shoal_world *world, uint32_t node, uint32_t other, uint64_t next)
{
    const shoal_judge *judge = &world->judge;
    char words[128];
    int size =
        snprintf(words, sizeof(words),
                 "configEpoch collision with node %.*s: configEpoch set to %llu",
                 SHOAL_NODE_NAME_LEN, judge->subjects[shoal_judge__subject_of(world, other)].name,
                 (unsigned long long)next);
    shoal_promise__says(world, node, (shoal_slice){words, (size_t)size});
}

static void two_that_leave_an_epoch_of_an_operators_word_at_once_may_meet_again(void **state)
{
    shoal_world *world = sim_bench_world(state);
    for (uint32_t i = 0; i < 3; i++) world->judge.views[i].epoch_config = 60;
    /* Who leaves an epoch that nobody was told to take has no excuse. */
    collide(world, 0, 2, 61);
    collide(world, 1, 2, 61);
    assert_int_equal(share(world, 0, 1, 61), 1);
    for (uint32_t i = 0; i < 3; i++) {
        world->judge.views[i].epoch_config = 62;
        shoal_promise__says(world, i, shoal_text("New configEpoch set to 62"));
    }
    collide(world, 0, 2, 63);
    assert_int_equal(share(world, 0, 1, 63), 1);
    world->judge.views[1].epoch_config = 62;
    collide(world, 1, 2, 63);
    assert_int_equal(share(world, 0, 1, 63), 0);
    assert_int_equal(share(world, 0, 1, 64), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_bench, sim_bench_close)
    const struct CMUnitTest tests[] = {
        CASE(a_monotonic_clock_that_stands_after_a_write_does_not_excuse_it),
        CASE(a_monotonic_clock_that_stood_before_a_write_excuses_it_later_too),
        CASE(wall_clocks_that_part_after_a_write_do_not_excuse_it),
        CASE(wall_clocks_part_as_far_as_they_were_apart_at_the_end),
        CASE(a_slot_is_that_of_who_had_it_then),
        CASE(a_counter_that_fell_before_its_node_lost_the_slot_is_not_excused),
        CASE(a_read_that_missed_before_its_node_lost_the_slot_is_not_excused),
        CASE(what_an_audit_missed_before_a_slot_passed_is_not_excused),
        CASE(a_session_that_misses_its_write_before_a_slot_passed_is_not_excused),
        CASE(a_read_that_missed_before_a_process_died_is_not_excused),
        CASE(one_epoch_of_two_is_no_fault_only_if_one_took_it_at_an_operators_word),
        CASE(two_that_leave_an_epoch_of_an_operators_word_at_once_may_meet_again),
    };
    return cmocka_run_group_tests_name("sim_judge_excuses", tests, NULL, NULL);
}
