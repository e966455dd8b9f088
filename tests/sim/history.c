/* SPDX-License-Identifier: MIT
 *
 * The judge of data: good and bad histories of one key, judged as the rule of a register says.
 */
#include "sim_run.h"

#include "sim/clock.h"
#include "sim/internal.h"
#include "sim/memory.h"

#define HEAD                                                                              \
    "schedule v1\ncluster nodes 2 node_timeout 2s meet none\n1s client c1 rate 1/s keys " \
    "uniform(4)\n"

static int open_bench(void **state)
{
    return sim_bench_open(state, HEAD, 0);
}

/* A SET of c1 begins. */
static uint64_t begin(shoal_world *world, uint32_t key, int64_t began)
{
    shoal_intent intent = {.key = key, .action = SHOAL_ACTION_SET, .now_us = began};
    return shoal_history__begin(&world->history, &intent);
}

/* A write from `began` to `ended` that n1 acknowledged. */
static uint64_t put(shoal_world *world, uint32_t key, int64_t began, int64_t ended)
{
    uint64_t serial = begin(world, key, began);
    world->now_us = ended;
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, 0, world->now_us);
    return serial;
}

static shoal_read_verdict verdict_of(const shoal_world *world, uint32_t key, uint64_t serial,
                                     int64_t began)
{
    shoal_cause cause;
    shoal_reading reading = {.key = key, .serial = serial, .began_us = began, .served_us = began};
    return shoal_history__read(world, &reading, &cause);
}

static void audit(shoal_world *world, uint32_t key, uint64_t serial, int64_t began)
{
    shoal_reading reading = {.key = key, .serial = serial, .began_us = began, .served_us = began};
    shoal_history__audit(world, &reading);
}

/* Why a stale read missed what it missed. */
static shoal_cause missed_by(const shoal_world *world, uint32_t key, uint64_t serial, int64_t began)
{
    shoal_cause cause = SHOAL_CAUSE_ANY;
    shoal_reading reading = {.key = key, .serial = serial, .began_us = began, .served_us = began};
    assert_int_equal(shoal_history__read(world, &reading, &cause), SHOAL_READ_STALE);
    return cause;
}

static void a_read_of_the_newest_write_is_fresh(void **state)
{
    shoal_world *world = sim_bench_world(state);
    put(world, 0, 10, 20);
    uint64_t second = put(world, 0, 30, 40);
    assert_int_equal(verdict_of(world, 0, second, 50), SHOAL_READ_FRESH);
    assert_int_equal(verdict_of(world, 1, 0, 50), SHOAL_READ_FRESH);
}

static void a_read_that_misses_an_acknowledged_write_is_stale(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t first = put(world, 0, 10, 20);
    put(world, 0, 30, 40);
    assert_int_equal(missed_by(world, 0, first, 41), SHOAL_CAUSE_ALIVE);
    assert_int_equal(missed_by(world, 0, 0, 41), SHOAL_CAUSE_ALIVE);
    assert_int_equal(verdict_of(world, 0, first, 40), SHOAL_READ_FRESH);
    world->nodes[0].incarnation++;
    assert_int_equal(missed_by(world, 0, first, 41), SHOAL_CAUSE_CRASH);
}

static void an_answer_that_outlives_its_process_is_lost_by_the_crash(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t serial = begin(world, 0, 10);
    world->nodes[0].incarnation++;
    world->nodes[0].died_us = 20;
    world->now_us = 25;
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, 0, 15);
    assert_int_equal(missed_by(world, 0, 0, 30), SHOAL_CAUSE_CRASH);
}

static void concurrent_writes_may_be_found_in_either_order(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t a = begin(world, 0, 10);
    uint64_t b = begin(world, 0, 11);
    world->now_us = 20;
    shoal_history__end(world, b, SHOAL_WRITE_ACKNOWLEDGED, 0, world->now_us);
    world->now_us = 30;
    shoal_history__end(world, a, SHOAL_WRITE_ACKNOWLEDGED, 0, world->now_us);
    assert_int_equal(verdict_of(world, 0, a, 40), SHOAL_READ_FRESH);
    assert_int_equal(verdict_of(world, 0, b, 40), SHOAL_READ_FRESH);
    assert_int_equal(missed_by(world, 0, 0, 40), SHOAL_CAUSE_ALIVE);
}

static void an_unanswered_write_may_be_found_at_any_time(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t open = begin(world, 0, 10);
    uint64_t later = put(world, 0, 20, 30);
    assert_int_equal(verdict_of(world, 0, open, 1000), SHOAL_READ_FRESH);
    assert_int_equal(verdict_of(world, 0, later, 1000), SHOAL_READ_FRESH);
}

static void a_refused_or_foreign_value_is_a_phantom(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t refused = begin(world, 0, 10);
    shoal_history__end(world, refused, SHOAL_WRITE_REFUSED, 0, 0);
    uint64_t other = put(world, 1, 20, 30);
    assert_int_equal(verdict_of(world, 0, refused, 40), SHOAL_READ_PHANTOM);
    assert_int_equal(verdict_of(world, 0, other, 40), SHOAL_READ_PHANTOM);
    assert_int_equal(verdict_of(world, 0, 99, 40), SHOAL_READ_PHANTOM);
}

static void an_audit_counts_each_lost_write_once(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t first = put(world, 0, 10, 20);
    put(world, 0, 30, 40);
    put(world, 0, 50, 60);
    audit(world, 0, first, 100);
    audit(world, 0, first, 110);
    assert_int_equal(world->judge.totals.lost[SHOAL_CAUSE_ALIVE].count, 2);
    assert_int_equal(world->judge.totals.lost[SHOAL_CAUSE_CRASH].count, 0);
    audit(world, 0, 0, 120);
    assert_int_equal(world->judge.totals.lost[SHOAL_CAUSE_ALIVE].count, 3);
}

/* Node `node` claims every slot. */
static void claim(shoal_world *world, uint32_t node, uint64_t epoch, int64_t at)
{
    shoal_slotmap all;
    memset(&all, 0xFF, sizeof(all));
    world->now_us = at;
    shoal_copies__claimed(world, node, &all, epoch);
}

static void a_write_that_the_next_owner_lacks_is_lost_by_the_failover_or_the_partition(void **state)
{
    shoal_world *world = sim_bench_world(state);
    claim(world, 0, 1, 5);
    put(world, 0, 10, 20);
    assert_int_equal(missed_by(world, 0, 0, 41), SHOAL_CAUSE_ALIVE);
    claim(world, 1, 2, 30);
    assert_int_equal(missed_by(world, 0, 0, 41), SHOAL_CAUSE_PARTITION);
    world->nodes[0].incarnation++;
    assert_int_equal(missed_by(world, 0, 0, 41), SHOAL_CAUSE_FAILOVER);
    /* It comes back with what it knew, which nobody heeds. */
    claim(world, 0, 1, 50);
    assert_int_equal(missed_by(world, 0, 0, 60), SHOAL_CAUSE_FAILOVER);
    claim(world, 0, 3, 70);
    assert_int_equal(missed_by(world, 0, 0, 80), SHOAL_CAUSE_FAILOVER);
    put(world, 0, 90, 91);
    assert_int_equal(missed_by(world, 0, 0, 95), SHOAL_CAUSE_ALIVE);
}

static void an_audit_says_when_lost_writes_were_acknowledged(void **state)
{
    shoal_world *world = sim_bench_world(state);
    put(world, 0, 10, 20);
    put(world, 0, 30, 40);
    audit(world, 0, 0, 100);
    const shoal_losses *lost = &world->judge.totals.lost[SHOAL_CAUSE_ALIVE];
    assert_int_equal(lost->from_us, 20);
    assert_int_equal(lost->until_us, 40);
}

/* A reader of n1 finds a write; the read lasts one microsecond. */
static void see(shoal_world *world, uint64_t serial, int64_t began)
{
    world->now_us = began + 2;
    shoal_reading finding = {.serial = serial, .began_us = began, .served_us = began + 1};
    shoal_copies__found(world, &finding);
}

static void a_node_that_shows_an_older_value_again_is_at_fault_unless_its_data_were_replaced(
    void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t first = put(world, 0, 10, 20), second = put(world, 0, 30, 40);
    see(world, first, 50);
    see(world, second, 60);
    assert_int_equal(world->judge.made[SHOAL_CHECK_NO_RETURN], 1);
    world->copies.replaced_us[0] = 65;
    see(world, first, 70);
    assert_int_equal(world->judge.made[SHOAL_CHECK_NO_RETURN], 1);
    see(world, second, 80);
    assert_int_equal(world->judge.violated[SHOAL_CHECK_NO_RETURN], 0);
    see(world, first, 90);
    assert_int_equal(world->judge.violated[SHOAL_CHECK_NO_RETURN], 1);
}

/* ---- what clients find ---- */

/* A read of client `who` that lasts from `began` to two microseconds later. */
static void find(shoal_world *world, uint32_t who, uint64_t serial, int64_t began)
{
    shoal_client client = {.index = who};
    shoal_reading reading = {.serial = serial, .began_us = began, .served_us = began + 1};
    world->now_us = began + 2;
    shoal_reading__judge(world, &client, &reading);
}

static uint64_t found(const shoal_world *world, shoal_anomaly anomaly)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++)
        sum += world->judge.totals.anomalies[anomaly][i].count;
    return sum;
}

static void a_value_that_was_found_overwritten_or_gone_comes_back_resurrected(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t first = put(world, 0, 10, 20);
    uint64_t open = begin(world, 0, 30);
    find(world, 0, first, 40);
    find(world, 0, open, 50);
    assert_int_equal(found(world, SHOAL_ANOMALY_RESURRECTED), 0);
    find(world, 1, first, 60);
    assert_int_equal(found(world, SHOAL_ANOMALY_RESURRECTED), 1);
    assert_int_equal(
        world->judge.totals.anomalies[SHOAL_ANOMALY_RESURRECTED][SHOAL_CAUSE_ALIVE].first_us, 62);
    /* One client wrote both, in this order. */
    assert_int_equal(found(world, SHOAL_ANOMALY_MONOTONIC_WRITES), 1);
    assert_int_equal(found(world, SHOAL_ANOMALY_MONOTONIC_READS), 0);
    find(world, 0, first, 70);
    assert_int_equal(found(world, SHOAL_ANOMALY_MONOTONIC_READS), 1);
}

static void a_deleted_value_comes_back_resurrected(void **state)
{
    shoal_world *world = sim_bench_world(state);
    world->history.vanishes = true;
    uint64_t first = put(world, 0, 10, 20);
    shoal_intent intent = {.action = SHOAL_ACTION_DEL, .now_us = 30};
    uint64_t gone = shoal_history__begin(&world->history, &intent);
    world->now_us = 40;
    shoal_history__end(world, gone, SHOAL_WRITE_ACKNOWLEDGED, 0, 40);
    assert_int_equal(verdict_of(world, 0, 0, 50), SHOAL_READ_FRESH);
    assert_int_equal(verdict_of(world, 0, first, 50), SHOAL_READ_STALE);
    find(world, 0, 0, 60);
    assert_int_equal(found(world, SHOAL_ANOMALY_RESURRECTED), 0);
    find(world, 0, first, 70);
    assert_int_equal(found(world, SHOAL_ANOMALY_RESURRECTED), 1);
}

/* The removal never came to an end: it need not have happened. */
static void that_a_replica_finds_nothing_does_not_say_that_a_value_is_gone(void **state)
{
    shoal_world *world = sim_bench_world(state);
    world->history.vanishes = true;
    uint64_t first = put(world, 0, 10, 20);
    shoal_intent intent = {.action = SHOAL_ACTION_DEL, .now_us = 30};
    (void)shoal_history__begin(&world->history, &intent);
    world->judge.views[0].replica = true;
    find(world, 0, 0, 60);
    world->judge.views[0].replica = false;
    find(world, 0, first, 70);
    assert_int_equal(found(world, SHOAL_ANOMALY_RESURRECTED), 0);
    find(world, 0, 0, 80);
    find(world, 0, first, 90);
    assert_int_equal(found(world, SHOAL_ANOMALY_RESURRECTED), 1);
}

static void a_client_finds_its_own_writes_and_nothing_older_than_it_found(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t first = put(world, 0, 10, 20), second = put(world, 0, 30, 40);
    shoal_sessions__wrote(world, 0, first);
    shoal_sessions__wrote(world, 0, second);
    find(world, 1, first, 50);
    assert_int_equal(found(world, SHOAL_ANOMALY_READ_YOUR_WRITES), 0);
    find(world, 0, first, 60);
    assert_int_equal(found(world, SHOAL_ANOMALY_READ_YOUR_WRITES), 1);
    find(world, 1, second, 70);
    find(world, 1, first, 80);
    assert_int_equal(found(world, SHOAL_ANOMALY_MONOTONIC_READS), 1);
    assert_int_equal(found(world, SHOAL_ANOMALY_STALE), 3);
}

static void what_was_read_before_a_write_is_not_found_behind_it(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t first = put(world, 0, 10, 20);
    find(world, 1, first, 30);
    shoal_intent intent = {.client = 1,
                           .action = SHOAL_ACTION_SET,
                           .after = shoal_sessions__found(world, 1, 0),
                           .now_us = 40};
    uint64_t second = shoal_history__begin(&world->history, &intent);
    find(world, 2, second, 50);
    find(world, 2, first, 60);
    assert_int_equal(found(world, SHOAL_ANOMALY_WRITES_FOLLOW_READS), 1);
    assert_int_equal(found(world, SHOAL_ANOMALY_MONOTONIC_WRITES), 0);
}

static void a_value_of_another_key_is_a_phantom_and_a_reply_to_somebody_else(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t other = put(world, 1, 10, 20);
    find(world, 0, other, 30);
    assert_int_equal(found(world, SHOAL_ANOMALY_CROSS_REPLY), 1);
    find(world, 0, 99, 40);
    assert_int_equal(found(world, SHOAL_ANOMALY_CROSS_REPLY), 1);
    assert_int_equal(found(world, SHOAL_ANOMALY_PHANTOM), 2);
}

static void a_value_with_a_time_to_live_is_there_until_then_and_not_behind_it(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const int64_t second = 1000000;
    world->history.vanishes = true;
    shoal_intent intent = {.action = SHOAL_ACTION_PX, .now_us = 10};
    uint64_t serial = shoal_history__begin(&world->history, &intent);
    world->now_us = 10;
    shoal_history__sent(world, serial, 0, second);
    world->now_us = 20;
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, 0, 20);
    find(world, 0, serial, second / 2);
    assert_int_equal(found(world, SHOAL_ANOMALY_SERVED_AFTER_TTL), 0);
    find(world, 0, 0, second / 2 + 10);
    assert_int_equal(found(world, SHOAL_ANOMALY_EARLY_EXPIRY), 1);
    find(world, 0, 0, second + 10000);
    assert_int_equal(found(world, SHOAL_ANOMALY_EARLY_EXPIRY), 1);
    assert_int_equal(world->judge.violated[SHOAL_CHECK_NOT_EXPIRED], 0);
    find(world, 0, serial, second + 20000);
    assert_int_equal(found(world, SHOAL_ANOMALY_SERVED_AFTER_TTL), 1);
    assert_int_equal(world->judge.violated[SHOAL_CHECK_NOT_EXPIRED], 1);
}

static void a_value_may_have_expired_before_a_clock_went_back(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const int64_t second = 1000000;
    world->history.vanishes = true;
    shoal_intent intent = {.action = SHOAL_ACTION_PX, .now_us = 10};
    uint64_t serial = shoal_history__begin(&world->history, &intent);
    world->now_us = 10;
    shoal_history__sent(world, serial, 0, second);
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, 0, 20);
    shoal_clock__step(&world->nodes[0].clock, 3 * second, -60 * second);
    find(world, 0, 0, 4 * second);
    assert_int_equal(found(world, SHOAL_ANOMALY_EARLY_EXPIRY), 0);
    assert_int_equal(found(world, SHOAL_ANOMALY_STALE), 0);
}

static void a_fast_clock_has_not_come_to_a_deadline_before_it_was_set(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const int64_t second = 1000000;
    world->history.vanishes = true;
    shoal_clock__drift(&world->nodes[0].clock, 0, 500);
    shoal_intent intent = {.action = SHOAL_ACTION_PX, .now_us = second};
    uint64_t serial = shoal_history__begin(&world->history, &intent);
    world->now_us = second;
    shoal_history__sent(world, serial, 0, second / 50);
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, 0, second);
    /* In ten minutes that clock has gone 300 ms too far. */
    find(world, 0, 0, 600 * second);
    assert_int_equal(found(world, SHOAL_ANOMALY_EARLY_EXPIRY), 0);
    assert_int_equal(found(world, SHOAL_ANOMALY_STALE), 0);
    uint64_t later = put(world, 0, 601 * second, 602 * second);
    assert_true(later > serial);
    find(world, 0, 0, 603 * second);
    assert_int_equal(found(world, SHOAL_ANOMALY_STALE), 1);
}

/* An INCR of ctr:0 that is told `value`. */
static void count(shoal_world *world, uint64_t value, int64_t began)
{
    shoal_intent intent = {.key = SHOAL_KEY_COUNTER, .action = SHOAL_ACTION_INCR, .now_us = began};
    uint64_t serial = shoal_history__begin(&world->history, &intent);
    world->now_us = began + 5;
    shoal_history__counted(world, serial, value, began + 4);
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, 0, began + 4);
}

/* Lets the history have counters. */
static void count_counters(shoal_world *world)
{
    world->history.counts = true;
    world->history.counters = shoal_sim__allocate(4 * sizeof(shoal_counter));
    shoal_sim__free(world->history.heads);
    world->history.heads = shoal_sim__allocate(8 * sizeof(uint32_t));
}

static void a_counter_that_has_more_than_was_added_was_added_to_twice(void **state)
{
    shoal_world *world = sim_bench_world(state);
    count_counters(world);
    count(world, 1, 10);
    count(world, 2, 20);
    assert_int_equal(found(world, SHOAL_ANOMALY_DOUBLE_APPLY), 0);
    count(world, 4, 30);
    assert_int_equal(found(world, SHOAL_ANOMALY_DOUBLE_APPLY), 1);
    /* It falls: three of the four are gone, and an audit finds one more missing. */
    count(world, 2, 40);
    assert_int_equal(found(world, SHOAL_ANOMALY_STALE), 1);
    audit(world, SHOAL_KEY_COUNTER, 1, 50);
    assert_int_equal(world->judge.totals.lost[SHOAL_CAUSE_ALIVE].count, 3);
}

static void what_a_counter_lacks_is_put_down_to_the_node_that_died(void **state)
{
    shoal_world *world = sim_bench_world(state);
    count_counters(world);
    count(world, 1, 10);
    count(world, 2, 20);
    world->nodes[0].incarnation++;
    /* The second was lost; who adds next is told the same, and an audit finds two of three. */
    count(world, 2, 30);
    audit(world, SHOAL_KEY_COUNTER, 2, 50);
    assert_int_equal(world->judge.totals.lost[SHOAL_CAUSE_CRASH].count, 1);
    assert_int_equal(world->judge.totals.lost[SHOAL_CAUSE_ALIVE].count, 0);
}

static void what_a_counter_lacks_is_put_down_to_a_lost_slot_before_it_is_to_a_crash(void **state)
{
    shoal_world *world = sim_bench_world(state);
    count_counters(world);
    claim(world, 0, 1, 5);
    count(world, 1, 10);
    /* Another owner, and back again: what was added before may not be there. */
    claim(world, 1, 2, 20);
    claim(world, 0, 3, 25);
    count(world, 1, 30);
    world->history.writes[1].incarnation--; /* of a process that has died since */
    audit(world, SHOAL_KEY_COUNTER, 1, 50);
    assert_int_equal(world->judge.totals.lost[SHOAL_CAUSE_PARTITION].count, 1);
    assert_int_equal(world->judge.totals.lost[SHOAL_CAUSE_CRASH].count, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_bench, sim_bench_close)
    const struct CMUnitTest tests[] = {
        CASE(a_read_of_the_newest_write_is_fresh),
        CASE(a_read_that_misses_an_acknowledged_write_is_stale),
        CASE(an_answer_that_outlives_its_process_is_lost_by_the_crash),
        CASE(concurrent_writes_may_be_found_in_either_order),
        CASE(an_unanswered_write_may_be_found_at_any_time),
        CASE(a_refused_or_foreign_value_is_a_phantom),
        CASE(an_audit_counts_each_lost_write_once),
        CASE(a_write_that_the_next_owner_lacks_is_lost_by_the_failover_or_the_partition),
        CASE(an_audit_says_when_lost_writes_were_acknowledged),
        CASE(a_node_that_shows_an_older_value_again_is_at_fault_unless_its_data_were_replaced),
        CASE(a_value_that_was_found_overwritten_or_gone_comes_back_resurrected),
        CASE(a_deleted_value_comes_back_resurrected),
        CASE(that_a_replica_finds_nothing_does_not_say_that_a_value_is_gone),
        CASE(a_client_finds_its_own_writes_and_nothing_older_than_it_found),
        CASE(what_was_read_before_a_write_is_not_found_behind_it),
        CASE(a_value_of_another_key_is_a_phantom_and_a_reply_to_somebody_else),
        CASE(a_value_with_a_time_to_live_is_there_until_then_and_not_behind_it),
        CASE(a_value_may_have_expired_before_a_clock_went_back),
        CASE(a_fast_clock_has_not_come_to_a_deadline_before_it_was_set),
        CASE(a_counter_that_has_more_than_was_added_was_added_to_twice),
        CASE(what_a_counter_lacks_is_put_down_to_the_node_that_died),
        CASE(what_a_counter_lacks_is_put_down_to_a_lost_slot_before_it_is_to_a_crash),
    };
    return cmocka_run_group_tests_name("sim_history", tests, NULL, NULL);
}
