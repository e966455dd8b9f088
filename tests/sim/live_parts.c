/* SPDX-License-Identifier: MIT
 *
 * The parts of live runs that need no server: samples and what they say about each other, whom
 * selectors name, what is measured, which writes are lost, and the simulated twin.
 */
#include "sim_run.h"

#include <string.h>

#include "base/text.h"
#include "sim/live/ledger.h"
#include "sim/live/sample.h"
#include "sim/live/twin.h"

/* ---- samples ---- */

static shoal_sample sample_of(const int64_t *values, uint32_t count)
{
    shoal_sample sample = {0};
    for (uint32_t i = 0; i < count; i++) shoal_sample__add(&sample, values[i]);
    shoal_sample__close(&sample);
    return sample;
}

static void quartiles_are_interpolated_between_sorted_values(void **state)
{
    (void)state;
    shoal_sample sample = sample_of((const int64_t[]){40, -1, 10, 30, 20, -1}, 6);
    assert_int_equal(sample.count, 4);
    assert_int_equal(sample.missing, 2);
    assert_int_equal(shoal_sample__at(&sample, 0), 10);
    assert_int_equal(shoal_sample__at(&sample, 250), 17);
    assert_int_equal(shoal_sample__at(&sample, 500), 25);
    assert_int_equal(shoal_sample__at(&sample, 1000), 40);
    shoal_sample__free(&sample);
}

static void equal_samples_have_no_distance(void **state)
{
    (void)state;
    shoal_sample a = sample_of((const int64_t[]){1, 2, 2, 3}, 4);
    shoal_sample b = sample_of((const int64_t[]){1, 1, 2, 2, 2, 2, 3, 3}, 8);
    shoal_contrast contrast = shoal_sample__contrast(&a, &b);
    assert_true(contrast.possible && contrast.overlap && !contrast.differs);
    assert_int_equal(contrast.distance, 0);
    shoal_sample__free(&a);
    shoal_sample__free(&b);
}

/* Twenty values below all of twenty others; then half of them. */
static void the_distance_is_the_greatest_between_the_two_stairs(void **state)
{
    (void)state;
    int64_t low[20], high[20], mixed[20];
    for (int i = 0; i < 20; i++) {
        low[i] = i;
        high[i] = 100 + i;
        mixed[i] = i < 10 ? 100 + i : i;
    }
    shoal_sample a = sample_of(low, 20), b = sample_of(high, 20), c = sample_of(mixed, 20);
    shoal_contrast apart = shoal_sample__contrast(&a, &b), half = shoal_sample__contrast(&b, &c);
    assert_int_equal(apart.distance, 1000);
    assert_int_equal(apart.critical, 429); /* 1.358 * sqrt(40 / 400) */
    assert_true(apart.differs && !apart.overlap);
    assert_int_equal(half.distance, 500);
    assert_true(half.differs && half.overlap);
    shoal_sample__free(&a);
    shoal_sample__free(&b);
    shoal_sample__free(&c);
}

static void few_values_say_nothing(void **state)
{
    (void)state;
    shoal_sample a = sample_of((const int64_t[]){1}, 1), b = sample_of((const int64_t[]){9}, 1);
    shoal_sample none = {0};
    shoal_contrast contrast = shoal_sample__contrast(&a, &b);
    assert_int_equal(contrast.distance, 1000);
    assert_true(contrast.critical > 1000 && !contrast.differs);
    assert_false(shoal_sample__contrast(&a, &none).possible);
    shoal_sample__free(&a);
    shoal_sample__free(&b);
}

/* ---- who is meant, and what is measured ---- */

static const char FOUR[] = "schedule v1\n"
                           "cluster nodes 4 masters 2 replicas 1 node_timeout 1s meet star\n"
                           "config * repl-diskless-sync-delay 0\n"
                           "config * cluster-voters all\n"
                           "6s client c1 rate 200/s keys uniform(100000) mix set:100 timeout 1s\n"
                           "8s stall n1 -> n2 for 1ms\n"
                           "8s crash n1\n"
                           "20s stop c1\n"
                           "21s expect lost_acks <= 100\n";

/* Two masters with half of the slots each, and two replicas of the first. */
static shoal_roster roster_of(const shoal_schedule *schedule)
{
    shoal_roster roster;
    shoal_roster__make(&roster, schedule);
    for (uint32_t i = 0; i < roster.nodes; i++) {
        shoal_member *member = &roster.members[i];
        member->running = true;
        memset(member->name, 'a' + (int)i, SHOAL_NODE_NAME_LEN);
        member->replica = i >= 2;
        if (i >= 2) memset(member->master, 'a', SHOAL_NODE_NAME_LEN);
    }
    shoal_member__claim(&roster.members[0], shoal_text("0-8191"));
    shoal_member__claim(&roster.members[1], shoal_text("8192-16000 16001-16383 [5->-x]"));
    return roster;
}

static shoal_schedule four(void)
{
    shoal_schedule schedule;
    shoal_schedule_error error;
    shoal_err result = shoal_schedule_parse(shoal_text(FOUR), &schedule, &error);
    assert_int_equal(result, SHOAL_ERR_OK);
    return schedule;
}

static void selectors_name_nodes_by_the_parts_that_they_play(void **state)
{
    (void)state;
    shoal_schedule schedule = four();
    shoal_roster roster = roster_of(&schedule);
    uint32_t hosts[8];
    shoal_selector owner = {.count = 1, .atoms = {{SHOAL_ATOM_OWNER, 9000, 0}}};
    shoal_selector heirs = {.count = 1, .atoms = {{SHOAL_ATOM_FOLLOWERS, 5, 0}}};
    shoal_selector all = {.count = 1, .atoms = {{SHOAL_ATOM_ALL, 0, 0}}};
    assert_int_equal(roster.members[1].slot_count, 8192);
    assert_int_equal(shoal_roster__select(&roster, &owner, false, hosts), 1);
    assert_int_equal(hosts[0], 1);
    assert_int_equal(shoal_roster__select(&roster, &heirs, false, hosts), 2);
    assert_int_equal(hosts[1], 3);
    assert_int_equal(shoal_roster__select(&roster, &all, false, hosts), 4);
    assert_int_equal(shoal_roster__select(&roster, &all, true, hosts), 5);
    shoal_roster__free(&roster);
    shoal_schedule_free(&schedule);
}

static const shoal_line *line_of(const shoal_schedule *schedule, shoal_line_kind kind)
{
    for (uint32_t i = 0; i < schedule->count; i++) {
        if (schedule->lines[i].kind == kind) return &schedule->lines[i];
    }
    fail();
    return NULL;
}

static void an_incident_counts_others_and_its_own_heirs_only(void **state)
{
    (void)state;
    shoal_schedule schedule = four();
    shoal_roster roster = roster_of(&schedule);
    static shoal_measure measure;
    shoal_measure__make(&measure, &schedule);
    assert_int_equal(measure.count, 1); /* a one-way stall is none */
    shoal_measure__write(&measure, 1, 5, 50);
    shoal_measure__line(&measure, &roster, line_of(&schedule, SHOAL_LINE_CRASH), 100);
    shoal_measure__failed(&measure, 0, 0, 110);
    shoal_measure__failed(&measure, 2, 1, 110);
    shoal_measure__master(&measure, 1, 120);
    shoal_measure__write(&measure, 0, 5, 130);
    shoal_measure__write(&measure, 1, 9000, 130);
    for (uint32_t i = 0; i < SHOAL_LAPSE_COUNT; i++)
        assert_int_equal(measure.incidents[0].after_us[i], -1);
    assert_false(shoal_measure__quiet(&measure));
    shoal_measure__failed(&measure, 1, 0, 140);
    shoal_measure__failed(&measure, 2, 0, 150);
    shoal_measure__master(&measure, 3, 160);
    shoal_measure__write(&measure, 3, 5, 170);
    assert_int_equal(measure.incidents[0].after_us[SHOAL_LAPSE_DETECTION], 40);
    assert_int_equal(measure.incidents[0].after_us[SHOAL_LAPSE_ELECTION], 60);
    assert_int_equal(measure.incidents[0].after_us[SHOAL_LAPSE_WRITE], 70);
    assert_true(shoal_measure__quiet(&measure));
    shoal_roster__free(&roster);
    shoal_schedule_free(&schedule);
}

/* ---- writes ---- */

static shoal_cause by_failover(void *context, const shoal_entry *entry)
{
    (void)context;
    (void)entry;
    return SHOAL_CAUSE_FAILOVER;
}

static void only_acknowledged_writes_that_nothing_came_over_are_lost(void **state)
{
    (void)state;
    shoal_ledger ledger;
    shoal_ledger__make(&ledger, 2);
    ledger.why = by_failover;
    uint64_t first = shoal_ledger__begin(&ledger, 1, 10);
    shoal_ledger__acknowledge(&ledger, first, 12, 0, 1);
    uint64_t second = shoal_ledger__begin(&ledger, 1, 20);
    shoal_ledger__acknowledge(&ledger, second, 25, 0, 1);
    (void)shoal_ledger__begin(&ledger, 1, 30); /* nobody knows what became of it */
    uint64_t other = shoal_ledger__begin(&ledger, 0, 21);
    shoal_ledger__acknowledge(&ledger, other, 90, 0, 1);
    shoal_ledger__audit(&ledger, 1, second, 80);
    shoal_ledger__audit(&ledger, 0, 0, 80); /* acknowledged after the audit began */
    assert_int_equal(ledger.lost[SHOAL_CAUSE_FAILOVER], 0);
    shoal_ledger__audit(&ledger, 1, first, 80);
    shoal_ledger__audit(&ledger, 1, first, 81);
    assert_int_equal(ledger.lost[SHOAL_CAUSE_FAILOVER], 1);
    assert_int_equal(ledger.lost_from_us[SHOAL_CAUSE_FAILOVER], 25);
    shoal_ledger__audit(&ledger, 1, 0, 82);
    assert_int_equal(ledger.lost[SHOAL_CAUSE_FAILOVER], 2);
    assert_int_equal(ledger.lost_from_us[SHOAL_CAUSE_FAILOVER], 12);
    assert_int_equal(ledger.lost_until_us[SHOAL_CAUSE_FAILOVER], 25);
    shoal_ledger__free(&ledger);
}

/* ---- the twin ---- */

static void a_simulated_run_is_measured_from_its_trace(void **state)
{
    (void)state;
    shoal_schedule schedule = four();
    shoal_twin twin = {&schedule, 3, SHOAL_PROFILE_OF_SHOAL};
    static shoal_measure measure;
    bool violated = true;
    shoal_twin__run(&twin, &measure, &violated);
    const shoal_incident *incident = &measure.incidents[0];
    assert_false(violated);
    assert_true(incident->happened);
    assert_int_equal(incident->subject, 0);
    assert_true(incident->at_us >= 8000000 && incident->at_us < 9000000);
    assert_true(measure.lost >= 0);
    for (uint32_t i = 0; i < SHOAL_LAPSE_COUNT; i++) assert_true(incident->after_us[i] > 0);
    assert_true(incident->after_us[SHOAL_LAPSE_DETECTION] <
                incident->after_us[SHOAL_LAPSE_ELECTION]);
    assert_true(incident->after_us[SHOAL_LAPSE_ELECTION] < incident->after_us[SHOAL_LAPSE_WRITE]);
    shoal_schedule_free(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quartiles_are_interpolated_between_sorted_values),
        cmocka_unit_test(equal_samples_have_no_distance),
        cmocka_unit_test(the_distance_is_the_greatest_between_the_two_stairs),
        cmocka_unit_test(few_values_say_nothing),
        cmocka_unit_test(selectors_name_nodes_by_the_parts_that_they_play),
        cmocka_unit_test(an_incident_counts_others_and_its_own_heirs_only),
        cmocka_unit_test(only_acknowledged_writes_that_nothing_came_over_are_lost),
        cmocka_unit_test(a_simulated_run_is_measured_from_its_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
