/* SPDX-License-Identifier: MIT
 *
 * Replicas that become masters: elections, failover by hand and at the end of a master, replicas
 * that follow and that move. Three masters and their replicas in a world of memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "cluster/failover.h"
#include "support/cluster_world.h"

#define TIMEOUT_MS 1000

static void open_world(world *w, uint64_t seed, int profile, int each)
{
    world_open(w, seed, TIMEOUT_MS);
    w->settings.profile = profile;
    world_form_replicas(w, 3, each);
}

static const char *name_of(world *w, int index)
{
    return shoal_cluster_name(w->nodes[index].cluster);
}

static bool why_has(world *w, int index, const char *words)
{
    shoal_buffer text = shoal_buffer_make(&w->allocator);
    shoal_bus__why_append(w->nodes[index].cluster, 0, &text);
    bool found = shoal_text_find(shoal_buffer_slice(&text), shoal_text(words)) != SHOAL_TEXT_NONE;
    shoal_buffer_free(&text);
    return found;
}

/* How long until one of two nodes is master, in milliseconds; which one. */
static int64_t wait_one(world *w, int a, int b, int *winner)
{
    int64_t start_us = w->now_us;
    for (int i = 0; i < 6000; i++) {
        if (!world_is_replica(w, a) || !world_is_replica(w, b)) break;
        world_run(w, 10);
    }
    *winner = !world_is_replica(w, a) ? a : b;
    assert_false(world_is_replica(w, *winner));
    return (w->now_us - start_us) / 1000;
}

/* ---- elections ---- */

static void take_over(int profile, uint64_t seed)
{
    world w;
    open_world(&w, seed, profile, 1);
    uint64_t saves = w.nodes[3].records[SHOAL_TRACE_SAVED];
    world_crash(&w, 0);
    assert_true(world_wait_master(&w, 3, 10000));
    assert_true(w.nodes[3].records[SHOAL_TRACE_SAVED] > saves);
    world_run(&w, 3000);
    assert_string_equal(world_master_of(&w, 3), "");
    for (int i = 1; i < 6; i++) {
        assert_true(shoal_cluster_up(w.nodes[i].cluster));
        assert_non_null(strstr(world_ask(&w, i, "SLOTS"), name_of(&w, 3)));
    }
    world_close(&w);
}

static void a_replica_takes_over_when_its_master_failed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 6; seed++) take_over(SHOAL_PROFILE_REDIS_7, seed);
}

static void an_eager_replica_does_too(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 6; seed++) take_over(SHOAL_PROFILE_SHOAL, seed);
}

static void the_replica_with_more_data_takes_over(void **state)
{
    (void)state;
    for (int profile = 0; profile <= SHOAL_PROFILE_SHOAL; profile++) {
        for (int more = 0; more < 2; more++) {
            world w;
            int winner;
            open_world(&w, 20, profile, 2);
            world_set_offset(&w, 3, more ? 1000 : 2000);
            world_set_offset(&w, 6, more ? 2000 : 1000);
            world_run(&w, 2000);
            world_crash(&w, 0);
            wait_one(&w, 3, 6, &winner);
            assert_int_equal(winner, more ? 6 : 3);
            world_run(&w, 3000);
            int loser = more ? 3 : 6;
            assert_string_equal(world_master_of(&w, loser), name_of(&w, winner));
            world_close(&w);
        }
    }
}

/* Epochs of all elections that were won anywhere differ. */
static void racing_replicas_never_win_one_epoch_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 50; seed++) {
        world w;
        int winner;
        open_world(&w, seed, (int)(seed & 1), 2);
        /* Equal data: ranks do not tell them apart in the profile redis-7. */
        if (seed & 2) world_cut(&w, 3, 6, true);
        world_crash(&w, 0);
        wait_one(&w, 3, 6, &winner);
        world_run(&w, 4000);
        uint64_t won[2] = {0, 0};
        for (int i = 0; i < 2; i++) {
            const uint64_t *last = w.nodes[3 + 3 * i].last[SHOAL_TRACE_ELECTION];
            if (last[0] == BUS_ELECTION_WON) won[i] = last[1];
        }
        assert_true(won[0] != won[1]);
        assert_true(world_is_replica(&w, 3) != world_is_replica(&w, 6));
        world_close(&w);
    }
}

static void cut_from(world *w, int node, const int *others, int count)
{
    for (int i = 0; i < count; i++) world_cut(w, node, others[i], true);
}

static void a_replica_in_a_minority_never_wins(void **state)
{
    (void)state;
    world w;
    open_world(&w, 60, SHOAL_PROFILE_SHOAL, 1);
    /* Master 1 and the replica of master 0 on one side. */
    const int others[] = {0, 2, 4, 5};
    cut_from(&w, 1, others, 4);
    cut_from(&w, 3, others, 4);
    world_run(&w, 20000);
    assert_true(world_is_replica(&w, 3));
    assert_false(shoal_cluster_up(w.nodes[1].cluster));
    assert_true(why_has(&w, 1, "most voters cannot be reached"));
    world_close(&w);
}

static void votes_are_asked_for_when_the_epoch_is_durable(void **state)
{
    (void)state;
    world w;
    open_world(&w, 61, SHOAL_PROFILE_SHOAL, 1);
    world_run(&w, 2000);
    w.nodes[3].hold_files = true;
    world_crash(&w, 0);
    world_run(&w, 5000);
    assert_int_equal(w.nodes[3].sent[SHOAL_FRAME_AUTH_REQUEST], 0);
    assert_true(world_is_replica(&w, 3));
    w.nodes[3].hold_files = false;
    assert_true(world_wait_master(&w, 3, 20000));
    assert_true(w.nodes[3].sent[SHOAL_FRAME_AUTH_REQUEST] > 0);
    world_close(&w);
}

static void a_takeover_is_not_told_before_it_is_durable(void **state)
{
    (void)state;
    world w;
    open_world(&w, 62, SHOAL_PROFILE_SHOAL, 1);
    world_crash(&w, 0);
    for (int i = 0; i < 20000 && w.nodes[3].sent[SHOAL_FRAME_AUTH_REQUEST] == 0; i++) {
        world_run_until(&w, w.now_us + 500);
    }
    assert_true(world_is_replica(&w, 3));
    w.nodes[3].hold_files = true;
    world_run(&w, 1000);
    assert_false(world_is_replica(&w, 3));
    char line[128];
    snprintf(line, sizeof(line), "%s 10.0.0.4:7003@17003 slave", name_of(&w, 3));
    assert_int_equal(world_count_lines(&w, 1, line), 1);
    /* What dies now was never a master to anybody. */
    world_crash(&w, 3);
    w.nodes[3].hold_files = false;
    world_start(&w, 3);
    assert_true(world_is_replica(&w, 3));
    assert_true(world_wait_master(&w, 3, 20000));
    world_close(&w);
}

static void a_crashed_candidate_asks_in_a_new_epoch(void **state)
{
    (void)state;
    world w;
    open_world(&w, 63, SHOAL_PROFILE_REDIS_7, 1);
    world_crash(&w, 0);
    for (int i = 0; i < 20000 && w.nodes[3].sent[SHOAL_FRAME_AUTH_REQUEST] == 0; i++) {
        world_run_until(&w, w.now_us + 500);
    }
    uint64_t epoch = w.nodes[3].last[SHOAL_TRACE_ELECTION][1];
    assert_true(epoch > 0);
    world_crash(&w, 3);
    world_start(&w, 3);
    assert_true(world_wait_master(&w, 3, 60000));
    assert_true(w.nodes[3].last[SHOAL_TRACE_ELECTION][1] > epoch);
    world_close(&w);
}

static void old_data_do_not_take_over(void **state)
{
    (void)state;
    world w;
    open_world(&w, 64, SHOAL_PROFILE_REDIS_7, 1);
    world_set_offset(&w, 3, 5);
    world_run(&w, 40000);
    world_crash(&w, 0);
    world_run(&w, 10000);
    assert_true(world_is_replica(&w, 3));
    assert_true(why_has(&w, 3, "cluster-replica-validity-factor"));
    /* By hand it goes. */
    assert_string_equal(world_ask(&w, 3, "FAILOVER FORCE"), "+OK\r\n");
    assert_true(world_wait_master(&w, 3, 4000));
    world_close(&w);
}

/* A replica of another master was told to copy this one and has not reached it. */
static void an_offset_of_another_history_does_not_count_under_shoal(void **state)
{
    (void)state;
    for (int profile = 0; profile <= SHOAL_PROFILE_SHOAL; profile++) {
        world w;
        int winner;
        open_world(&w, 66, profile, 2);
        world_set_offset(&w, 3, 1000);
        world_set_offset(&w, 6, 900);
        world_set_offset(&w, 7, 9000);
        assert_string_equal(world_ask(&w, 7, "REPLICATE %s", name_of(&w, 0)), "+OK\r\n");
        shoal_cluster_replication facts = {.offset = 9000, .heard_us = w.now_us};
        shoal_time now = {w.now_us, 1767225600000000 + w.now_us};
        shoal_cluster_set_replication(w.nodes[7].cluster, &facts, now);
        world_run(&w, 2000);
        world_crash(&w, 0);
        wait_one(&w, 3, 7, &winner);
        assert_int_equal(winner, profile == SHOAL_PROFILE_SHOAL ? 3 : 7);
        world_close(&w);
    }
}

static void data_of_another_history_do_not_take_over_under_shoal(void **state)
{
    (void)state;
    world w;
    open_world(&w, 67, SHOAL_PROFILE_SHOAL, 1);
    world_set_offset(&w, 4, 9000);
    assert_string_equal(world_ask(&w, 4, "REPLICATE %s", name_of(&w, 0)), "+OK\r\n");
    shoal_cluster_replication facts = {.offset = 9000, .heard_us = w.now_us};
    shoal_time now = {w.now_us, 1767225600000000 + w.now_us};
    shoal_cluster_set_replication(w.nodes[4].cluster, &facts, now);
    world_run(&w, 2000);
    world_crash(&w, 3);
    world_crash(&w, 0);
    world_run(&w, 10000);
    assert_true(world_is_replica(&w, 4));
    assert_true(why_has(&w, 4, "the data are of a former master"));
    /* In step with it they are its own. */
    world_set_offset(&w, 4, 20);
    assert_true(world_wait_master(&w, 4, 4000));
    world_close(&w);
}

static void a_candidate_with_an_old_epoch_is_told_better_under_shoal(void **state)
{
    (void)state;
    for (int profile = 0; profile <= SHOAL_PROFILE_SHOAL; profile++) {
        world w;
        open_world(&w, 68, profile, 1);
        world_cut(&w, 0, 3, true);
        assert_memory_equal(world_ask(&w, 0, "BUMPEPOCH"), "+BUMPED", 7);
        world_run(&w, 2000);
        world_crash(&w, 0);
        world_run(&w, 20000);
        assert_int_equal(world_is_replica(&w, 3), profile != SHOAL_PROFILE_SHOAL);
        assert_true(why_has(&w, 1, "a claimed slot has a newer owner"));
        world_close(&w);
    }
}

static void a_replica_that_loads_or_may_not_does_not_take_over(void **state)
{
    (void)state;
    world w;
    world_open(&w, 65, TIMEOUT_MS);
    w.settings.replica_no_failover = true;
    world_form_replicas(&w, 3, 1);
    shoal_cluster_replication facts = {.loading = true};
    shoal_time now = {w.now_us, 1767225600000000 + w.now_us};
    shoal_cluster_set_replication(w.nodes[4].cluster, &facts, now);
    world_run(&w, 3000);
    assert_true(world_count_lines(&w, 1, "nofailover") >= 2);
    world_crash(&w, 0);
    world_run(&w, 10000);
    assert_true(world_is_replica(&w, 3));
    assert_true(why_has(&w, 3, "cluster-replica-no-failover"));
    assert_string_equal(world_ask(&w, 4, "FAILOVER FORCE"), "+OK\r\n");
    world_run(&w, 3000);
    assert_true(world_is_replica(&w, 4));
    assert_true(why_has(&w, 4, "still being loaded"));
    world_close(&w);
}

static void a_master_that_comes_back_follows_its_heir(void **state)
{
    (void)state;
    world w;
    open_world(&w, 66, SHOAL_PROFILE_REDIS_7, 2);
    int winner;
    world_crash(&w, 0);
    wait_one(&w, 3, 6, &winner);
    world_start(&w, 0);
    world_run(&w, 6000);
    assert_true(world_is_replica(&w, 0));
    assert_string_equal(world_master_of(&w, 0), name_of(&w, winner));
    assert_string_equal(world_master_of(&w, 9 - winner), name_of(&w, winner));
    assert_true(world_agree(&w, 9));
    world_close(&w);
}

static void every_node_may_vote(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        world w;
        int winner;
        world_open(&w, 67, TIMEOUT_MS);
        w.settings.voters_all = all;
        w.settings.profile = SHOAL_PROFILE_SHOAL;
        world_form_replicas(&w, 1, 2);
        world_crash(&w, 0);
        if (all) {
            wait_one(&w, 1, 2, &winner);
            world_run(&w, 3000);
            assert_true(shoal_cluster_up(w.nodes[1].cluster));
            assert_string_equal(world_master_of(&w, 3 - winner), name_of(&w, winner));
        } else {
            world_run(&w, 20000);
            assert_true(world_is_replica(&w, 1) && world_is_replica(&w, 2));
        }
        world_close(&w);
    }
}

/* ---- how soon ---- */

static void refused_connections_are_as_good_as_silence(void **state)
{
    (void)state;
    int64_t took[2];
    for (int profile = 0; profile < 2; profile++) {
        world w;
        world_open(&w, 68, 5000);
        w.settings.profile = profile;
        world_form_replicas(&w, 3, 1);
        int64_t start_us = w.now_us;
        world_crash(&w, 0);
        assert_true(world_wait_master(&w, 3, 30000));
        took[profile] = w.now_us - start_us;
        world_close(&w);
    }
    assert_true(took[1] * 2 < took[0]);
}

static void a_process_that_starts_again_soon_keeps_its_slots(void **state)
{
    (void)state;
    world w;
    world_open(&w, 69, 5000);
    w.settings.profile = SHOAL_PROFILE_SHOAL;
    world_form_replicas(&w, 3, 1);
    world_crash(&w, 0);
    world_run(&w, 300);
    world_start(&w, 0);
    world_run(&w, 20000);
    assert_false(world_is_replica(&w, 0));
    assert_true(world_is_replica(&w, 3));
    world_close(&w);
}

static void a_frozen_process_keeps_them_for_the_node_timeout(void **state)
{
    (void)state;
    world w;
    world_open(&w, 70, 5000);
    w.settings.profile = SHOAL_PROFILE_SHOAL;
    world_form_replicas(&w, 3, 1);
    for (int i = 0; i < 10; i++) {
        w.nodes[0].frozen = true;
        world_run(&w, 4500);
        w.nodes[0].frozen = false;
        world_run(&w, 1000);
    }
    assert_int_equal(w.nodes[3].records[SHOAL_TRACE_ELECTION], 0);
    w.nodes[0].frozen = true;
    assert_true(world_wait_master(&w, 3, 8000));
    world_close(&w);
}

static void who_was_elected_does_not_wait_for_news_of_its_start_under_shoal(void **state)
{
    (void)state;
    world w;
    open_world(&w, 71, SHOAL_PROFILE_SHOAL, 1);
    world_crash(&w, 3);
    world_run(&w, 100);
    world_start(&w, 3);
    int64_t start_us = w.now_us;
    world_run(&w, 300);
    world_crash(&w, 0);
    assert_true(world_wait_master(&w, 3, 10000));
    world_run(&w, 20);
    assert_true(w.now_us - start_us < 1900 * 1000);
    assert_true(shoal_cluster_up(w.nodes[3].cluster));
    world_close(&w);
}

/* ---- by hand ---- */

static void a_failover_by_hand_swaps_roles_without_loss(void **state)
{
    (void)state;
    for (int profile = 0; profile < 2; profile++) {
        world w;
        open_world(&w, 80, profile, 1);
        world_set_offset(&w, 0, 700);
        world_set_offset(&w, 3, 600);
        assert_string_equal(world_ask(&w, 3, "FAILOVER"), "+OK\r\n");
        world_run(&w, 1000);
        assert_true(shoal_cluster_pause(w.nodes[0].cluster) > w.now_us);
        assert_true(world_is_replica(&w, 3));
        world_set_offset(&w, 3, 700);
        assert_true(world_wait_master(&w, 3, 1000));
        world_run(&w, 2000);
        assert_true(world_is_replica(&w, 0));
        assert_string_equal(world_master_of(&w, 0), name_of(&w, 3));
        assert_int_equal(shoal_cluster_pause(w.nodes[0].cluster), 0);
        assert_true(world_agree(&w, 6));
        world_close(&w);
    }
}

static void a_failover_by_hand_ends_after_five_seconds(void **state)
{
    (void)state;
    world w;
    open_world(&w, 81, SHOAL_PROFILE_REDIS_7, 1);
    world_set_offset(&w, 0, 700);
    world_set_offset(&w, 3, 600);
    assert_string_equal(world_ask(&w, 3, "FAILOVER"), "+OK\r\n");
    world_run(&w, 6000);
    assert_true(world_is_replica(&w, 3));
    assert_true(why_has(&w, 3, "took too long"));
    assert_int_equal(shoal_cluster_pause(w.nodes[0].cluster), 0);
    world_set_offset(&w, 3, 700);
    world_run(&w, 3000);
    assert_true(world_is_replica(&w, 3));
    world_close(&w);
}

static void the_replica_that_a_master_waits_for_is_missed_like_any_voter(void **state)
{
    (void)state;
    for (int profile = 0; profile < 2; profile++) {
        world w;
        world_open(&w, 83, TIMEOUT_MS);
        w.settings.voters_all = true;
        w.settings.profile = profile;
        world_form_replicas(&w, 1, 2);
        world_set_offset(&w, 0, 700);
        assert_string_equal(world_ask(&w, 1, "FAILOVER"), "+OK\r\n");
        world_run(&w, 200);
        assert_true(shoal_cluster_pause(w.nodes[0].cluster) > w.now_us);
        w.nodes[1].frozen = w.nodes[2].frozen = true;
        world_run(&w, 2 * TIMEOUT_MS);
        assert_true(shoal_cluster_pause(w.nodes[0].cluster) > w.now_us);
        assert_false(shoal_cluster_up(w.nodes[0].cluster));
        world_close(&w);
    }
}

static void no_offset_is_told_while_writes_go_on(void **state)
{
    (void)state;
    world w;
    open_world(&w, 82, SHOAL_PROFILE_REDIS_7, 1);
    shoal_cluster_replication facts = {.offset = 0, .link_up = true, .heard_us = 1};
    shoal_time now = {w.now_us, 1767225600000000 + w.now_us};
    shoal_cluster_set_replication(w.nodes[0].cluster, &facts, now);
    assert_string_equal(world_ask(&w, 3, "FAILOVER"), "+OK\r\n");
    world_run(&w, 2000);
    assert_true(shoal_cluster_pause(w.nodes[0].cluster) > 0);
    assert_true(world_is_replica(&w, 3));
    facts.paused = true;
    now = (shoal_time){w.now_us, 1767225600000000 + w.now_us};
    shoal_cluster_set_replication(w.nodes[0].cluster, &facts, now);
    assert_true(world_wait_master(&w, 3, 500));
    world_close(&w);
}

static void a_takeover_needs_nobody(void **state)
{
    (void)state;
    world w;
    open_world(&w, 83, SHOAL_PROFILE_REDIS_7, 1);
    for (int i = 0; i < 3; i++) world_crash(&w, i);
    world_run(&w, 3000);
    assert_string_equal(world_ask(&w, 3, "FAILOVER TAKEOVER"), "+OK\r\n");
    assert_false(world_is_replica(&w, 3));
    world_run(&w, 3000);
    assert_non_null(strstr(world_ask(&w, 4, "SLOTS"), name_of(&w, 3)));
    world_close(&w);
}

static void a_master_hands_over_before_it_ends(void **state)
{
    (void)state;
    world w;
    open_world(&w, 84, SHOAL_PROFILE_SHOAL, 2);
    world_set_offset(&w, 0, 90);
    world_set_offset(&w, 3, 80);
    world_set_offset(&w, 6, 90);
    world_run(&w, 2000);
    shoal_time now = {w.now_us, 1767225600000000 + w.now_us};
    int64_t start_us = w.now_us;
    assert_true(shoal_cluster_handover_begin(w.nodes[0].cluster, now));
    while (shoal_cluster_handover_state(w.nodes[0].cluster) == SHOAL_HANDOVER_RUNNING) {
        world_run(&w, 1);
    }
    assert_int_equal(shoal_cluster_handover_state(w.nodes[0].cluster), SHOAL_HANDOVER_DONE);
    assert_false(world_is_replica(&w, 6));
    assert_true(world_is_replica(&w, 3));
    /* Simulated time, and the world's latencies: three saves and four messages one way. */
    assert_true(w.now_us - start_us <= 50000);
    world_close(&w);
}

static void nobody_is_handed_over_to_without_a_replica_or_the_wish(void **state)
{
    (void)state;
    world w;
    open_world(&w, 85, SHOAL_PROFILE_REDIS_7, 1);
    shoal_time now = {w.now_us, 1767225600000000 + w.now_us};
    assert_false(shoal_cluster_handover_begin(w.nodes[0].cluster, now));
    assert_false(shoal_cluster_handover_begin(w.nodes[3].cluster, now));
    world_close(&w);
    world_open(&w, 86, TIMEOUT_MS);
    w.settings.shutdown_handover = SHOAL_HANDOVER_YES;
    world_form_replicas(&w, 3, 1);
    world_crash(&w, 3);
    world_run(&w, 5000);
    now = (shoal_time){w.now_us, 1767225600000000 + w.now_us};
    assert_false(shoal_cluster_handover_begin(w.nodes[0].cluster, now));
    assert_true(why_has(&w, 0, "no replica that lives"));
    world_close(&w);
}

/* ---- migration ---- */

static int replicas_of(world *w, int master)
{
    int count = 0;
    for (int i = 0; i < WORLD_NODES_MAX; i++) {
        if (!w->nodes[i].cluster) continue;
        count += strcmp(world_master_of(w, i), name_of(w, master)) == 0;
    }
    return count;
}

/* Masters 0, 1, 2 with two replicas each; master 0 loses both of its. */
static void orphan_first(world *w, uint64_t seed, bool allowed, int barrier)
{
    world_open(w, seed, TIMEOUT_MS);
    w->settings.allow_replica_migration = allowed;
    w->settings.migration_barrier = barrier;
    world_form_replicas(w, 3, 2);
    world_crash(w, 3);
    world_crash(w, 6);
    world_run(w, 12000);
}

static void a_replica_moves_to_a_master_that_has_none(void **state)
{
    (void)state;
    world w;
    orphan_first(&w, 90, true, 1);
    assert_int_equal(replicas_of(&w, 0), 1);
    assert_int_equal(replicas_of(&w, 1) + replicas_of(&w, 2), 3);
    world_close(&w);
}

static void no_replica_moves_below_the_barrier_or_without_leave(void **state)
{
    (void)state;
    world w;
    orphan_first(&w, 91, true, 2);
    assert_int_equal(replicas_of(&w, 0), 0);
    bool told = false;
    for (int i = 4; i < 9; i++) {
        if (w.nodes[i].cluster) told = told || why_has(&w, i, "too few replicas");
    }
    assert_true(told);
    world_close(&w);
    orphan_first(&w, 92, false, 1);
    assert_int_equal(replicas_of(&w, 0), 0);
    world_close(&w);
}

/* ---- messages ---- */

typedef struct heard {
    int plain, sharded;
    char last[64];
} heard;

static void hear(void *context, bool sharded, shoal_slice channel, shoal_slice message)
{
    heard *h = context;
    if (sharded)
        h->sharded++;
    else
        h->plain++;
    snprintf(h->last, sizeof(h->last), "%.*s=%.*s", (int)channel.size, channel.data,
             (int)message.size, message.data);
}

static void published_messages_reach_all_and_sharded_ones_kin(void **state)
{
    (void)state;
    world w;
    heard all[6] = {{0}};
    open_world(&w, 95, SHOAL_PROFILE_REDIS_7, 1);
    for (int i = 0; i < 6; i++) {
        shoal_cluster_sink sink = {&all[i], hear};
        shoal_cluster_set_sink(w.nodes[i].cluster, &sink);
    }
    shoal_cluster_publish(w.nodes[0].cluster, false, shoal_text("news"), shoal_text("rain"));
    shoal_cluster_publish(w.nodes[0].cluster, true, shoal_text("kin"), shoal_text(""));
    world_run(&w, 10);
    assert_int_equal(all[0].plain + all[0].sharded, 0);
    for (int i = 1; i < 6; i++) assert_int_equal(all[i].plain, 1);
    for (int i = 1; i < 6; i++) assert_int_equal(all[i].sharded, i == 3);
    assert_string_equal(all[3].last, "kin=");
    assert_string_equal(all[5].last, "news=rain");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_takes_over_when_its_master_failed),
        cmocka_unit_test(an_eager_replica_does_too),
        cmocka_unit_test(the_replica_with_more_data_takes_over),
        cmocka_unit_test(racing_replicas_never_win_one_epoch_twice),
        cmocka_unit_test(a_replica_in_a_minority_never_wins),
        cmocka_unit_test(votes_are_asked_for_when_the_epoch_is_durable),
        cmocka_unit_test(a_takeover_is_not_told_before_it_is_durable),
        cmocka_unit_test(a_crashed_candidate_asks_in_a_new_epoch),
        cmocka_unit_test(old_data_do_not_take_over),
        cmocka_unit_test(an_offset_of_another_history_does_not_count_under_shoal),
        cmocka_unit_test(data_of_another_history_do_not_take_over_under_shoal),
        cmocka_unit_test(a_candidate_with_an_old_epoch_is_told_better_under_shoal),
        cmocka_unit_test(a_replica_that_loads_or_may_not_does_not_take_over),
        cmocka_unit_test(a_master_that_comes_back_follows_its_heir),
        cmocka_unit_test(every_node_may_vote),
        cmocka_unit_test(refused_connections_are_as_good_as_silence),
        cmocka_unit_test(a_process_that_starts_again_soon_keeps_its_slots),
        cmocka_unit_test(a_frozen_process_keeps_them_for_the_node_timeout),
        cmocka_unit_test(who_was_elected_does_not_wait_for_news_of_its_start_under_shoal),
        cmocka_unit_test(a_failover_by_hand_swaps_roles_without_loss),
        cmocka_unit_test(a_failover_by_hand_ends_after_five_seconds),
        cmocka_unit_test(the_replica_that_a_master_waits_for_is_missed_like_any_voter),
        cmocka_unit_test(no_offset_is_told_while_writes_go_on),
        cmocka_unit_test(a_takeover_needs_nobody),
        cmocka_unit_test(a_master_hands_over_before_it_ends),
        cmocka_unit_test(nobody_is_handed_over_to_without_a_replica_or_the_wish),
        cmocka_unit_test(a_replica_moves_to_a_master_that_has_none),
        cmocka_unit_test(no_replica_moves_below_the_barrier_or_without_leave),
        cmocka_unit_test(published_messages_reach_all_and_sharded_ones_kin),
    };
    return cmocka_run_group_tests_name("cluster_failover", tests, NULL, NULL);
}
