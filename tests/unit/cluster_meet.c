/* SPDX-License-Identifier: MIT
 *
 * Membership: how nodes come to know each other, and how they are made to forget.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/cluster_world.h"

#define TIMEOUT_MS 2000

static void two_nodes_that_meet_know_each_other_by_name(void **state)
{
    (void)state;
    world w;
    world_open(&w, 1, TIMEOUT_MS);
    world_start_many(&w, 2);
    assert_string_equal(world_ask(&w, 0, "MEET 10.0.0.2 7001"), "+OK\r\n");
    world_run(&w, 1000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(world_count_lines(&w, i, "master"), 2);
        assert_int_equal(world_count_lines(&w, i, "handshake"), 0);
        assert_int_equal(world_count_lines(&w, i, shoal_cluster_name(w.nodes[!i].cluster)), 1);
    }
    world_close(&w);
}

static void a_node_learns_its_address_from_the_one_that_meets_it(void **state)
{
    (void)state;
    world w;
    world_open(&w, 2, TIMEOUT_MS);
    world_start_many(&w, 2);
    assert_int_equal(world_count_lines(&w, 1, " :7001@17001 myself,master"), 1);
    world_ask(&w, 0, "MEET 10.0.0.2 7001");
    world_run(&w, 1000);
    assert_int_equal(world_count_lines(&w, 1, " 10.0.0.2:7001@17001 myself,master"), 1);
    assert_int_equal(world_count_lines(&w, 0, " 10.0.0.1:7000@17000 myself,master"), 1);
    world_close(&w);
}

static void six_nodes_converge_on_one_slot_map(void **state)
{
    (void)state;
    world w;
    world_open(&w, 3, TIMEOUT_MS);
    world_start_many(&w, 6);
    world_form(&w, 6, 10000);
    for (int i = 0; i < 6; i++) {
        assert_non_null(strstr(world_ask(&w, i, "INFO"), "cluster_known_nodes:6\r\n"));
        assert_non_null(strstr(world_ask(&w, i, "INFO"), "cluster_size:6\r\n"));
    }
    world_close(&w);
}

static void two_nodes_may_meet_each_other_at_once(void **state)
{
    (void)state;
    world w;
    world_open(&w, 4, TIMEOUT_MS);
    world_start_many(&w, 2);
    world_ask(&w, 0, "MEET 10.0.0.2 7001");
    world_ask(&w, 1, "MEET 10.0.0.1 7000");
    world_run(&w, 2 * TIMEOUT_MS);
    assert_int_equal(world_count_lines(&w, 0, "master"), 2);
    assert_int_equal(world_count_lines(&w, 1, "master"), 2);
    assert_int_equal(world_count_lines(&w, 0, "@"), 2);
    assert_int_equal(world_count_lines(&w, 1, "@"), 2);
    world_close(&w);
}

static void a_node_that_meets_itself_stays_alone(void **state)
{
    (void)state;
    world w;
    world_open(&w, 5, TIMEOUT_MS);
    world_start_many(&w, 1);
    world_ask(&w, 0, "MEET 10.0.0.1 7000");
    world_run(&w, 2 * TIMEOUT_MS);
    assert_int_equal(world_count_lines(&w, 0, "@"), 1);
    assert_int_equal(world_count_lines(&w, 0, "10.0.0.1:7000@17000 myself,master"), 1);
    world_close(&w);
}

static void a_handshake_without_an_answer_ends_in_time(void **state)
{
    (void)state;
    world w;
    world_open(&w, 6, TIMEOUT_MS);
    world_start_many(&w, 1);
    world_ask(&w, 0, "MEET 10.0.0.9 7008");
    world_run(&w, 300);
    assert_int_equal(world_count_lines(&w, 0, "10.0.0.9:7008@17008 handshake - 0 0 0"), 1);
    world_run(&w, TIMEOUT_MS - 400);
    assert_int_equal(world_count_lines(&w, 0, "handshake"), 1);
    world_run(&w, 300);
    assert_int_equal(world_count_lines(&w, 0, "@"), 1);
    assert_int_equal(w.nodes[0].last[SHOAL_TRACE_NODE_FORGOTTEN][0], 2);
    world_close(&w);
}

static void the_same_handshake_is_not_begun_twice(void **state)
{
    (void)state;
    world w;
    world_open(&w, 7, TIMEOUT_MS);
    world_start_many(&w, 1);
    world_ask(&w, 0, "MEET 10.0.0.9 7008");
    assert_string_equal(world_ask(&w, 0, "MEET 10.0.0.9 7008"), "+OK\r\n");
    assert_int_equal(world_count_lines(&w, 0, "handshake"), 1);
    world_close(&w);
}

static void a_forgotten_node_stays_away_for_a_minute(void **state)
{
    (void)state;
    world w;
    char name[SHOAL_NODE_NAME_LEN + 1];
    world_open(&w, 8, TIMEOUT_MS);
    world_start_many(&w, 3);
    world_form(&w, 3, 10000);
    snprintf(name, sizeof(name), "%s", shoal_cluster_name(w.nodes[2].cluster));
    assert_string_equal(world_ask(&w, 0, "FORGET %s", name), "+OK\r\n");
    world_run(&w, 59000);
    assert_int_equal(world_count_lines(&w, 0, name), 0);
    assert_int_equal(world_count_lines(&w, 1, name), 1);
    world_run(&w, 3000);
    assert_int_equal(world_count_lines(&w, 0, name), 1);
    world_close(&w);
}

static void one_forget_is_enough_under_shoal(void **state)
{
    (void)state;
    world w;
    char name[SHOAL_NODE_NAME_LEN + 1];
    world_open(&w, 18, TIMEOUT_MS);
    w.settings.profile = SHOAL_PROFILE_SHOAL;
    world_start_many(&w, 3);
    world_form(&w, 3, 10000);
    snprintf(name, sizeof(name), "%s", shoal_cluster_name(w.nodes[2].cluster));
    assert_string_equal(world_ask(&w, 0, "FORGET %s", name), "+OK\r\n");
    world_run(&w, 100);
    assert_int_equal(world_count_lines(&w, 1, name), 0);
    world_run(&w, 70000);
    assert_int_equal(world_count_lines(&w, 0, name), 0);
    assert_int_equal(world_count_lines(&w, 1, name), 0);
    world_close(&w);
}

static void forget_refuses_strangers_and_oneself(void **state)
{
    (void)state;
    world w;
    world_open(&w, 9, TIMEOUT_MS);
    world_start_many(&w, 1);
    assert_string_equal(world_ask(&w, 0, "FORGET abc"), "-ERR Unknown node abc\r\n");
    assert_string_equal(world_ask(&w, 0, "FORGET %s", shoal_cluster_name(w.nodes[0].cluster)),
                        "-ERR I tried hard but I can't forget myself...\r\n");
    world_close(&w);
}

static void a_hard_reset_takes_the_name_and_everybody(void **state)
{
    (void)state;
    world w;
    char name[SHOAL_NODE_NAME_LEN + 1];
    world_open(&w, 10, TIMEOUT_MS);
    world_start_many(&w, 2);
    world_form(&w, 2, 10000);
    snprintf(name, sizeof(name), "%s", shoal_cluster_name(w.nodes[1].cluster));
    assert_string_equal(world_ask(&w, 1, "RESET HARD"), "+OK\r\n");
    assert_int_equal(world_count_lines(&w, 1, "@"), 1);
    assert_int_equal(world_count_lines(&w, 1, name), 0);
    assert_non_null(strstr(world_ask(&w, 1, "INFO"), "cluster_current_epoch:0\r\n"));
    /* The other finds somebody else at the address. */
    world_run(&w, 2 * TIMEOUT_MS);
    assert_int_equal(world_count_lines(&w, 0, "noaddr"), 1);
    world_close(&w);
}

static void a_soft_reset_keeps_the_name_and_the_epoch(void **state)
{
    (void)state;
    world w;
    char name[SHOAL_NODE_NAME_LEN + 1];
    world_open(&w, 11, TIMEOUT_MS);
    world_start_many(&w, 1);
    world_ask(&w, 0, "SET-CONFIG-EPOCH 7");
    world_ask(&w, 0, "ADDSLOTS 1 2 3");
    snprintf(name, sizeof(name), "%s", shoal_cluster_name(w.nodes[0].cluster));
    assert_string_equal(world_ask(&w, 0, "RESET"), "+OK\r\n");
    assert_string_equal(shoal_cluster_name(w.nodes[0].cluster), name);
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_my_epoch:7\r\n"));
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_slots_assigned:0\r\n"));
    world_close(&w);
}

static void a_node_that_moved_is_found_at_its_new_address(void **state)
{
    (void)state;
    world w;
    char name[SHOAL_NODE_NAME_LEN + 1];
    world_open(&w, 12, TIMEOUT_MS);
    world_start_many(&w, 3);
    world_form(&w, 3, 10000);
    snprintf(name, sizeof(name), "%s", shoal_cluster_name(w.nodes[2].cluster));
    world_run(&w, 1000);
    world_crash(&w, 2);
    /* The same nodes.conf, started elsewhere. */
    shoal_buffer_append(&w.nodes[5].files[SHOAL_FILE_NODES],
                        shoal_buffer_slice(&w.nodes[2].files[SHOAL_FILE_NODES]));
    w.nodes[5].exists[SHOAL_FILE_NODES] = true;
    world_start(&w, 5);
    assert_string_equal(shoal_cluster_name(w.nodes[5].cluster), name);
    world_run(&w, 4000);
    assert_int_equal(world_count_lines(&w, 0, "10.0.0.6:7005@17005 master"), 1);
    assert_int_equal(world_count_lines(&w, 1, "10.0.0.6:7005@17005 master"), 1);
    assert_true(shoal_cluster_up(w.nodes[0].cluster));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_that_meet_know_each_other_by_name),
        cmocka_unit_test(a_node_learns_its_address_from_the_one_that_meets_it),
        cmocka_unit_test(six_nodes_converge_on_one_slot_map),
        cmocka_unit_test(two_nodes_may_meet_each_other_at_once),
        cmocka_unit_test(a_node_that_meets_itself_stays_alone),
        cmocka_unit_test(a_handshake_without_an_answer_ends_in_time),
        cmocka_unit_test(the_same_handshake_is_not_begun_twice),
        cmocka_unit_test(a_forgotten_node_stays_away_for_a_minute),
        cmocka_unit_test(one_forget_is_enough_under_shoal),
        cmocka_unit_test(forget_refuses_strangers_and_oneself),
        cmocka_unit_test(a_hard_reset_takes_the_name_and_everybody),
        cmocka_unit_test(a_soft_reset_keeps_the_name_and_the_epoch),
        cmocka_unit_test(a_node_that_moved_is_found_at_its_new_address),
    };
    return cmocka_run_group_tests_name("cluster_meet", tests, NULL, NULL);
}
