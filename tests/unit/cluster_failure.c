/* SPDX-License-Identifier: MIT
 *
 * Failure detection: when silence becomes suspicion, suspicion failure, and failure is undone; and
 * when a node takes the cluster for down. The bounds are those that follow from the protocol's
 * constants: with timeout T, suspicion between T and 1.5 T + 0.2 s after the last answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/cluster_world.h"

#define TIMEOUT_MS 2000
#define MS 1000ll
/* The last voter's suspicion, and the ping of each second that carries it. */
#define FAIL_MS_MAX (TIMEOUT_MS + TIMEOUT_MS / 2 + 200 + 1100)

static void open_six(world *w, uint64_t seed)
{
    world_open(w, seed, TIMEOUT_MS);
    world_start_many(w, 6);
    world_form(w, 6, 10000);
    world_run(w, 3000);
}

/* Runs in small steps until node `i` has written more records of the kind; returns when. */
static int64_t wait_for(world *w, int i, shoal_trace_kind kind, int64_t ms)
{
    uint64_t count = w->nodes[i].records[kind];
    int64_t end_us = w->now_us + ms * MS;
    while (w->nodes[i].records[kind] == count && w->now_us < end_us) world_run(w, 1);
    assert_true(w->nodes[i].records[kind] > count);
    return w->nodes[i].last_us[kind];
}

static void a_silent_node_is_suspected_and_failed_within_the_bounds(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 110; seed++) {
        world w;
        open_six(&w, seed);
        int64_t start_us = w.now_us;
        w.nodes[5].frozen = true;
        int64_t fail_us = wait_for(&w, 0, SHOAL_TRACE_FAIL, 3 * TIMEOUT_MS);
        /* A ping may have been on its way when the silence began. */
        assert_true(fail_us - start_us > TIMEOUT_MS / 2 * MS);
        assert_true(fail_us - start_us <= FAIL_MS_MAX * MS);
        world_run(&w, 200);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(world_count_lines(&w, i, "master,fail "), 1);
            int64_t pfail_us = w.nodes[i].last_us[SHOAL_TRACE_PFAIL];
            if (pfail_us == 0) continue; /* it was told before it noticed */
            assert_true(pfail_us - start_us <= (TIMEOUT_MS + TIMEOUT_MS / 2 + 200) * MS);
        }
        world_close(&w);
    }
}

static void a_crashed_node_is_failed_although_connections_are_refused(void **state)
{
    (void)state;
    world w;
    open_six(&w, 120);
    int64_t start_us = w.now_us;
    world_crash(&w, 5);
    int64_t fail_us = wait_for(&w, 0, SHOAL_TRACE_FAIL, 2 * TIMEOUT_MS);
    assert_true(fail_us - start_us <= FAIL_MS_MAX * MS);
    world_close(&w);
}

static void without_its_owner_a_slot_brings_the_cluster_down(void **state)
{
    (void)state;
    world w;
    open_six(&w, 121);
    world_crash(&w, 5);
    world_run(&w, 2 * TIMEOUT_MS);
    for (int i = 0; i < 5; i++) {
        assert_false(shoal_cluster_up(w.nodes[i].cluster));
        assert_int_equal(w.nodes[i].last[SHOAL_TRACE_CLUSTER_STATE][1], 1);
    }
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_slots_fail:2731\r\n"));
    world_close(&w);
}

static void a_master_with_slots_recovers_after_twice_the_timeout(void **state)
{
    (void)state;
    world w;
    open_six(&w, 122);
    w.nodes[5].frozen = true;
    int64_t fail_us = wait_for(&w, 0, SHOAL_TRACE_FAIL, 2 * TIMEOUT_MS);
    world_run(&w, 500);
    w.nodes[5].frozen = false;
    int64_t clear_us = wait_for(&w, 0, SHOAL_TRACE_FAIL_CLEARED, 5 * TIMEOUT_MS);
    assert_true(clear_us - fail_us > 2 * TIMEOUT_MS * MS);
    assert_true(clear_us - fail_us <= (2 * TIMEOUT_MS + TIMEOUT_MS / 2 + 1200) * MS);
    world_run(&w, 3 * TIMEOUT_MS);
    assert_true(world_agree(&w, 6));
    world_close(&w);
}

static void a_master_with_a_new_epoch_recovers_at_once_under_shoal(void **state)
{
    (void)state;
    for (int profile = 0; profile <= SHOAL_PROFILE_SHOAL; profile++) {
        world w;
        world_open(&w, 132, TIMEOUT_MS);
        w.settings.profile = profile;
        world_start_many(&w, 6);
        world_form(&w, 6, 10000);
        world_run(&w, 3000);
        w.nodes[2].frozen = true;
        int64_t fail_us = wait_for(&w, 0, SHOAL_TRACE_FAIL, 2 * TIMEOUT_MS);
        world_run(&w, 500);
        w.nodes[2].frozen = false;
        assert_memory_equal(world_ask(&w, 2, "BUMPEPOCH"), "+BUMPED", 7);
        int64_t clear_us = wait_for(&w, 0, SHOAL_TRACE_FAIL_CLEARED, 5 * TIMEOUT_MS);
        bool soon = clear_us - fail_us <= 2 * TIMEOUT_MS * MS;
        assert_int_equal(soon, profile == SHOAL_PROFILE_SHOAL);
        world_close(&w);
    }
}

static void a_master_without_slots_recovers_at_once(void **state)
{
    (void)state;
    world w;
    world_open(&w, 123, TIMEOUT_MS);
    world_start_many(&w, 4);
    world_form(&w, 3, 10000);
    world_ask(&w, 3, "MEET 10.0.0.1 7000");
    world_run(&w, 3000);
    w.nodes[3].frozen = true;
    wait_for(&w, 0, SHOAL_TRACE_FAIL, 2 * TIMEOUT_MS);
    w.nodes[3].frozen = false;
    world_run(&w, 500);
    assert_int_equal(w.nodes[0].records[SHOAL_TRACE_FAIL_CLEARED], 1);
    assert_true(shoal_cluster_up(w.nodes[0].cluster));
    world_close(&w);
}

static void one_suspicion_is_not_a_failure(void **state)
{
    (void)state;
    world w;
    open_six(&w, 124);
    world_cut(&w, 0, 5, true);
    world_run(&w, 3 * TIMEOUT_MS);
    assert_int_equal(world_count_lines(&w, 0, "fail?"), 1);
    assert_int_equal(world_count_lines(&w, 5, "fail?"), 1);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(w.nodes[i].records[SHOAL_TRACE_FAIL], 0);
        assert_true(shoal_cluster_up(w.nodes[i].cluster));
    }
    char name[SHOAL_NODE_NAME_LEN + 1];
    strcpy(name, shoal_cluster_name(w.nodes[5].cluster));
    assert_string_equal(world_ask(&w, 1, "COUNT-FAILURE-REPORTS %s", name), ":1\r\n");
    world_cut(&w, 0, 5, false);
    world_run(&w, 2 * TIMEOUT_MS);
    assert_int_equal(world_count_lines(&w, 0, "fail?"), 0);
    assert_int_equal(w.nodes[0].records[SHOAL_TRACE_PFAIL_CLEARED], 1);
    assert_string_equal(world_ask(&w, 1, "COUNT-FAILURE-REPORTS %s", name), ":0\r\n");
    world_close(&w);
}

static void failure_reports_expire(void **state)
{
    (void)state;
    world w;
    open_six(&w, 125);
    char name[SHOAL_NODE_NAME_LEN + 1];
    strcpy(name, shoal_cluster_name(w.nodes[5].cluster));
    world_cut(&w, 0, 5, true);
    world_run(&w, 3 * TIMEOUT_MS);
    assert_string_equal(world_ask(&w, 1, "COUNT-FAILURE-REPORTS %s", name), ":1\r\n");
    /* The reporter falls silent, so it cannot take its report back. */
    w.nodes[0].frozen = true;
    world_run(&w, 2 * TIMEOUT_MS + 1);
    assert_string_equal(world_ask(&w, 1, "COUNT-FAILURE-REPORTS %s", name), ":0\r\n");
    world_close(&w);
}

static void cut_off(world *w, int first, int count, bool cut)
{
    for (int a = 0; a < first; a++) {
        for (int b = first; b < count; b++) world_cut(w, a, b, cut);
    }
}

static void a_minority_goes_down_in_time(void **state)
{
    (void)state;
    for (uint64_t seed = 130; seed < 140; seed++) {
        world w;
        open_six(&w, seed);
        int64_t start_us = w.now_us;
        cut_off(&w, 2, 6, true);
        for (int i = 0; i < 2; i++) {
            while (shoal_cluster_up(w.nodes[i].cluster)) world_run(&w, 1);
        }
        assert_true(w.now_us - start_us <= (TIMEOUT_MS + TIMEOUT_MS / 2 + 200) * MS);
        assert_int_equal(w.nodes[0].last[SHOAL_TRACE_CLUSTER_STATE][1], 2);
        world_close(&w);
    }
}

static void a_minority_that_is_healed_waits_before_it_serves(void **state)
{
    (void)state;
    world w;
    open_six(&w, 141);
    cut_off(&w, 1, 6, true);
    world_run(&w, 2 * TIMEOUT_MS);
    assert_false(shoal_cluster_up(w.nodes[0].cluster));
    cut_off(&w, 1, 6, false);
    int64_t up_us = wait_for(&w, 0, SHOAL_TRACE_CLUSTER_STATE, 10 * TIMEOUT_MS);
    assert_true(shoal_cluster_up(w.nodes[0].cluster));
    int64_t reachable_us = w.nodes[0].last_us[SHOAL_TRACE_PFAIL_CLEARED];
    assert_true(up_us - reachable_us <= (TIMEOUT_MS + 200) * MS);
    assert_int_equal(w.nodes[0].last[SHOAL_TRACE_WHY_NOT][0], 21);
    world_close(&w);
}

static void a_master_waits_two_seconds_after_its_start(void **state)
{
    (void)state;
    world w;
    world_open(&w, 142, TIMEOUT_MS);
    world_start_many(&w, 1);
    world_ask(&w, 0, "ADDSLOTSRANGE 0 16383");
    world_run(&w, 1900);
    assert_false(shoal_cluster_up(w.nodes[0].cluster));
    world_run(&w, 300);
    assert_true(shoal_cluster_up(w.nodes[0].cluster));
    assert_string_equal(w.nodes[0].last_text[SHOAL_TRACE_LOG], "Cluster state changed: ok");
    world_close(&w);
}

static void without_full_coverage_a_lost_slot_does_not_matter(void **state)
{
    (void)state;
    world w;
    world_open(&w, 143, TIMEOUT_MS);
    world_start_many(&w, 1);
    world_ask(&w, 0, "ADDSLOTSRANGE 0 100");
    world_run(&w, 3000);
    assert_false(shoal_cluster_up(w.nodes[0].cluster));
    shoal_cluster_settings settings = {.port = 7000,
                                       .bus_port = 17000,
                                       .node_timeout_ms = TIMEOUT_MS};
    shoal_cluster_set(w.nodes[0].cluster, &settings, (shoal_time){w.now_us, w.now_us});
    assert_true(shoal_cluster_up(w.nodes[0].cluster));
    world_close(&w);
}

static void a_step_of_the_wall_clock_fails_nobody(void **state)
{
    (void)state;
    world w;
    open_six(&w, 144);
    w.wall_offset_us += 3600 * 1000 * MS;
    world_run(&w, 3 * TIMEOUT_MS);
    w.wall_offset_us -= 7200 * 1000 * MS;
    world_run(&w, 3 * TIMEOUT_MS);
    for (int i = 0; i < 6; i++) assert_int_equal(w.nodes[i].records[SHOAL_TRACE_PFAIL], 0);
    world_close(&w);
}

/* Nobody answers for it any more, so it is no voter that is reached. */
static void where_all_vote_a_node_that_lost_its_address_is_not_reached(void **state)
{
    (void)state;
    world w;
    world_open(&w, 20, TIMEOUT_MS);
    w.settings.voters_all = true;
    w.settings.require_full_coverage = false;
    world_start_many(&w, 3);
    world_form(&w, 3, 10000);
    world_run(&w, 3000);
    assert_string_equal(world_ask(&w, 2, "RESET HARD"), "+OK\r\n");
    world_run(&w, 200);
    w.nodes[1].frozen = true;
    world_run(&w, FAIL_MS_MAX);
    assert_int_equal(world_count_lines(&w, 0, "noaddr"), 1);
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_state:fail\r\n"));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_node_is_suspected_and_failed_within_the_bounds),
        cmocka_unit_test(a_crashed_node_is_failed_although_connections_are_refused),
        cmocka_unit_test(without_its_owner_a_slot_brings_the_cluster_down),
        cmocka_unit_test(a_master_with_slots_recovers_after_twice_the_timeout),
        cmocka_unit_test(a_master_with_a_new_epoch_recovers_at_once_under_shoal),
        cmocka_unit_test(a_master_without_slots_recovers_at_once),
        cmocka_unit_test(one_suspicion_is_not_a_failure),
        cmocka_unit_test(failure_reports_expire),
        cmocka_unit_test(a_minority_goes_down_in_time),
        cmocka_unit_test(a_minority_that_is_healed_waits_before_it_serves),
        cmocka_unit_test(a_master_waits_two_seconds_after_its_start),
        cmocka_unit_test(without_full_coverage_a_lost_slot_does_not_matter),
        cmocka_unit_test(a_step_of_the_wall_clock_fails_nobody),
        cmocka_unit_test(where_all_vote_a_node_that_lost_its_address_is_not_reached),
    };
    return cmocka_run_group_tests_name("cluster_failure", tests, NULL, NULL);
}
