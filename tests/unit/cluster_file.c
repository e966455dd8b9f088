/* SPDX-License-Identifier: MIT
 *
 * nodes.conf: what is written can be read again, what cannot be read is complained about with its
 * line, and no crash or failing disk leaves a node without a whole file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "support/cluster_world.h"

#define TIMEOUT_MS 2000
#define NAME_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NAME_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NAME_C "cccccccccccccccccccccccccccccccccccccccc"
#define ME NAME_A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected"
#define VARS "vars currentEpoch 6 lastVoteEpoch 2\n"

/* ---- reading ---- */

/* Loads the text into a fresh cluster; the complaint, or the text saved again, in `out`. */
static shoal_err load(world *w, const char *text, shoal_buffer *out)
{
    world_node *node = &w->nodes[0];
    shoal_cluster_options options = {.allocator = w->allocator,
                                     .host = &node->host,
                                     .seed = {1, 2},
                                     .settings = {.port = 7000,
                                                  .bus_port = 17000,
                                                  .node_timeout_ms = TIMEOUT_MS}};
    shoal_cluster *cluster;
    assert_int_equal(shoal_cluster_create(&options, &cluster), 0);
    shoal_err error = shoal_cluster_load(cluster, shoal_text(text), out);
    if (error) {
        /* Nothing was taken over: it can begin anew. */
        assert_string_equal(shoal_cluster_name(cluster), "");
        shoal_cluster_init_new(cluster, (shoal_time){0});
        assert_int_equal(strlen(shoal_cluster_name(cluster)), SHOAL_NODE_NAME_LEN);
    } else {
        shoal_cluster_save_text(cluster, out);
    }
    shoal_buffer_append(out, (shoal_slice){"", 1});
    shoal_cluster_destroy(cluster);
    return error;
}

static void what_is_written_can_be_read_again(void **state)
{
    (void)state;
    static const char text[] = NAME_B
        " 127.0.0.2:7001@17001,b.example master - 0 0 3 disconnected 5461-10922\n" NAME_A
        " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5459 5460 10924-16383\n" NAME_C
        " ::1:7002@17002 slave,fail " NAME_B " 0 0 3 disconnected\n" VARS;
    /* Adjacent ranges are joined; nothing else changes. */
    static const char again[] =
        NAME_B " 127.0.0.2:7001@17001,b.example master - 0 0 3 disconnected 5461-10922\n" NAME_A
               " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 10924-16383\n" NAME_C
               " ::1:7002@17002 slave,fail " NAME_B " 0 0 3 disconnected\n" VARS;
    world w;
    world_open(&w, 400, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, text, &out), 0);
    assert_string_equal(out.data + out.start, again);
    shoal_buffer_free(&out);
    world_close(&w);
}

static void the_file_of_redis_70_can_be_read(void **state)
{
    (void)state;
    /* As redis-server 7.0.15 wrote it: before its first MEET it has neither address nor port. */
    static const char text[] = NAME_A " :0@0 myself,master - 0 0 0 connected\n"
                                      "vars currentEpoch 0 lastVoteEpoch 0\n";
    world w;
    world_open(&w, 401, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, text, &out), 0);
    assert_non_null(strstr(out.data, NAME_A " :7000@17000 myself,master - 0 0 0 connected\n"));
    shoal_buffer_free(&out);
    world_close(&w);
}

static void fields_of_newer_versions_are_passed_over(void **state)
{
    (void)state;
    static const char text[] = NAME_A " 127.0.0.1:7000@17000,,shard-id=" NAME_C
                                      ",tls-port=0 myself,master - 0 0 1 connected"
                                      " 1-2 [3->-" NAME_B "] [4-<-" NAME_B "]\r\n"
                                      "vars currentEpoch 6 somethingNew 9 lastVoteEpoch 2\r\n";
    world w;
    world_open(&w, 402, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, text, &out), 0);
    assert_string_equal(out.data, ME " 1-2\n" VARS);
    shoal_buffer_free(&out);
    world_close(&w);
}

static void slots_on_their_way_stay_so(void **state)
{
    (void)state;
    static const char text[] = NAME_A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected"
                                      " 1-2 [2->-" NAME_B "] [4-<-" NAME_B "]\n" NAME_B
                                      " 127.0.0.1:7001@17001 master - 0 0 2 connected 3-4\n" VARS;
    world w;
    world_open(&w, 404, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, text, &out), 0);
    assert_non_null(strstr(out.data, " 1-2 [2->-" NAME_B "] [4-<-" NAME_B "]\n"));
    shoal_buffer_free(&out);
    world_close(&w);
}

static void moves_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const char *const words[] = {
        "[2->-x]",          "[2->-" NAME_B,         "[a->-" NAME_B "]",
        "[2-=-" NAME_B "]", "[16384->-" NAME_B "]", "["};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        world w;
        world_open(&w, 405, TIMEOUT_MS);
        char text[512];
        snprintf(text, sizeof text,
                 NAME_A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected"
                        " 1-2 %s\n" VARS,
                 words[i]);
        shoal_buffer out = shoal_buffer_make(&w.allocator);
        assert_int_equal(load(&w, text, &out), SHOAL_ERR_MALFORMED);
        shoal_buffer_free(&out);
        world_close(&w);
    }
}

static void an_empty_file_is_as_good_as_none(void **state)
{
    (void)state;
    world w;
    world_open(&w, 403, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, "", &out), SHOAL_ERR_NOT_FOUND);
    shoal_buffer_free(&out);
    world_close(&w);
}

static void epochs_are_never_smaller_than_what_was_voted_or_owned(void **state)
{
    (void)state;
    world w;
    world_open(&w, 404, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, ME "\nvars currentEpoch 0 lastVoteEpoch 9\n", &out), 0);
    assert_non_null(strstr(out.data, "vars currentEpoch 9 lastVoteEpoch 9\n"));
    shoal_buffer_free(&out);
    assert_int_equal(load(&w, ME "\n", &out), 0);
    assert_non_null(strstr(out.data, "vars currentEpoch 1 lastVoteEpoch 0\n"));
    shoal_buffer_free(&out);
    world_close(&w);
}

static void a_bad_line_is_named_with_what_was_expected(void **state)
{
    (void)state;
#define LINE(address, flags, rest) NAME_B " " address " " flags " " rest "\n"
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"\n", "line 1: expected a node with the flag myself, found 'none'"},
        {"garbage\n", "line 1: expected a node with at least eight fields, found 'garbage'"},
        {VARS, "line 1: expected a node with the flag myself, found 'none'"},
        {ME "\n" LINE("127.0.0.1", "master", "- 0 0 1 connected"),
         "line 2: expected ip:port@bus-port, found '127.0.0.1'"},
        {ME "\n" LINE("127.0.0.1:70000@1", "master", "- 0 0 1 connected"),
         "line 2: expected a port number, found '70000'"},
        {ME "\n" LINE("127.0.0.1:7000@x", "master", "- 0 0 1 connected"),
         "line 2: expected a port number, found 'x'"},
        {ME "\n" LINE("host:7000@17000", "master", "- 0 0 1 connected"),
         "line 2: expected an IP address, found 'host'"},
        {ME "\n" LINE("127.0.0.1:7000@17000,a_b", "master", "- 0 0 1 connected"),
         "line 2: expected a host name, found 'a_b'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "king", "- 0 0 1 connected"),
         "line 2: expected flags out of myself master slave fail? fail noaddr "
         "nofailover noflags, found 'king'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "master,slave", "- 0 0 1 connected"),
         "line 2: expected master or slave, found 'master,slave'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "myself,master", "- 0 0 1 connected"),
         "line 2: expected one node with the flag myself, found 'myself,master'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "master", NAME_A " 0 0 1 connected"),
         "line 2: expected - for a master, found '" NAME_A "'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "slave", "xyz 0 0 1 connected"),
         "line 2: expected a node name of 40 characters 0-9 a-z, found 'xyz'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "slave", NAME_B " 0 0 1 connected"),
         "line 2: expected another node's name, found '" NAME_B "'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "slave", NAME_C " 0 0 1 connected"),
         "line 2: expected a line for the master, found '" NAME_C "'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "master", "- x 0 1 connected"),
         "line 2: expected milliseconds, found 'x'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "master", "- 0 0 -1 connected"),
         "line 2: expected a configuration epoch, found '-1'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "master", "- 0 0 1 connected 16384"),
         "line 2: expected slots of 0 to 16383, found '16384'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "master", "- 0 0 1 connected 9-8"),
         "line 2: expected slots of 0 to 16383, found '9-8'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "master", "- 0 0 1 connected 9-"),
         "line 2: expected slots, found '9-'"},
        {ME "\n" LINE("127.0.0.1:7000@17000", "slave", NAME_A " 0 0 1 connected 9-8"),
         "line 2: expected slots of 0 to 16383, found '9-8'"},
        {ME " 5\n" LINE("127.0.0.1:7000@17000", "master", "- 0 0 1 connected 4-6"),
         "line 2: expected slots that no other node has, found '4-6'"},
        {ME "\n" ME "\n", "line 2: expected one line for each node, found '" NAME_A "'"},
        {ME "\nvars currentEpoch\n",
         "line 2: expected a value behind a variable, found 'currentEpoch'"},
        {ME "\nvars currentEpoch x lastVoteEpoch 0\n", "line 2: expected an epoch, found 'x'"},
    };
    world w;
    world_open(&w, 405, TIMEOUT_MS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shoal_buffer out = shoal_buffer_make(&w.allocator);
        assert_int_equal(load(&w, cases[i].text, &out), SHOAL_ERR_MALFORMED);
        assert_string_equal(out.data, cases[i].complaint);
        shoal_buffer_free(&out);
    }
    world_close(&w);
}

static void a_replica_is_one_again(void **state)
{
    (void)state;
    static const char text[] =
        NAME_A " 127.0.0.1:7000@17000 myself,slave " NAME_B " 0 0 1 connected\n" NAME_B
               " 127.0.0.1:7001@17001 master - 0 0 3 connected 5-6\n" VARS;
    world w;
    world_open(&w, 406, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, text, &out), 0);
    assert_non_null(strstr(out.data, " myself,slave " NAME_B " 0 0 3 connected\n"));
    shoal_buffer_free(&out);
    world_close(&w);
}

static void slots_that_redis_has_let_a_replica_take_are_nobodys(void **state)
{
    (void)state;
    static const char text[] =
        NAME_B " 127.0.0.1:7001@17001 master - 0 0 3 connected 5-6\n" NAME_A
               " 127.0.0.1:7000@17000 myself,slave " NAME_B " 0 0 1 connected 7 9-11\n" VARS;
    world w;
    world_open(&w, 408, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, text, &out), 0);
    assert_non_null(strstr(out.data, " myself,slave " NAME_B " 0 0 3 connected\n"));
    assert_non_null(strstr(out.data, " master - 0 0 3 disconnected 5-6\n"));
    shoal_buffer_free(&out);
    world_close(&w);
}

static void a_replica_without_its_master_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        NAME_A " 127.0.0.1:7000@17000 myself,slave " NAME_B " 0 0 1 connected\n";
    world w;
    world_open(&w, 407, TIMEOUT_MS);
    shoal_buffer out = shoal_buffer_make(&w.allocator);
    assert_int_equal(load(&w, text, &out), SHOAL_ERR_MALFORMED);
    assert_non_null(strstr(out.data, "a line for the master"));
    shoal_buffer_free(&out);
    world_close(&w);
}

static void every_prefix_of_a_file_is_read_or_refused(void **state)
{
    (void)state;
    static const char text[] = NAME_A
        " 127.0.0.1:7000@17000,h.example myself,master - 0 0 1 connected 0-5459 5460\n" NAME_C
        " ::1:7002@17002 slave,fail? " NAME_A " 0 0 3 disconnected\n" VARS;
    world w;
    world_open(&w, 407, TIMEOUT_MS);
    for (size_t size = 1; size < sizeof(text); size++) {
        char *prefix = malloc(size + 1); /* so that a read beyond it is seen */
        memcpy(prefix, text, size);
        prefix[size] = 0;
        shoal_buffer out = shoal_buffer_make(&w.allocator);
        shoal_err error = load(&w, prefix, &out);
        assert_true(error == 0 || error == SHOAL_ERR_MALFORMED);
        shoal_buffer_free(&out);
        free(prefix);
    }
    world_close(&w);
}

/* ---- writing ---- */

static void check_saved(world *w, int index)
{
    shoal_buffer text = shoal_buffer_make(&w->allocator);
    shoal_cluster_save_text(w->nodes[index].cluster, &text);
    shoal_slice file = shoal_buffer_slice(&w->nodes[index].files[SHOAL_FILE_NODES]);
    assert_true(shoal_text_equal(file, shoal_buffer_slice(&text)));
    shoal_buffer_free(&text);
}

static void a_burst_of_changes_costs_two_saves(void **state)
{
    (void)state;
    world w;
    world_open(&w, 410, TIMEOUT_MS);
    world_start(&w, 0);
    assert_true(shoal_cluster_saving(w.nodes[0].cluster));
    world_run(&w, 50);
    assert_false(shoal_cluster_saving(w.nodes[0].cluster));
    uint64_t saves = w.nodes[0].records[SHOAL_TRACE_SAVED];
    uint64_t ops = w.nodes[0].file_ops;
    assert_int_equal(saves, 1);
    assert_int_equal(ops, 4);
    for (int i = 0; i < 100; i++) world_ask(&w, 0, "ADDSLOTS %d", i);
    world_run(&w, 50);
    assert_int_equal(w.nodes[0].records[SHOAL_TRACE_SAVED], saves + 2);
    assert_int_equal(w.nodes[0].file_ops, ops + 8);
    check_saved(&w, 0);
    world_close(&w);
}

static void an_idle_cluster_does_not_write(void **state)
{
    (void)state;
    world w;
    world_open(&w, 411, TIMEOUT_MS);
    world_start_many(&w, 3);
    world_form(&w, 3, 10000);
    world_run(&w, 1000);
    uint64_t ops = w.nodes[0].file_ops;
    world_run(&w, 60000);
    assert_int_equal(w.nodes[0].file_ops, ops);
    world_close(&w);
}

static void a_crash_between_any_two_steps_leaves_a_whole_file(void **state)
{
    (void)state;
    /* A save takes three operations at once and then the rename, WORLD_FILE_US each. */
    for (int64_t at_us = 0; at_us <= 4 * WORLD_FILE_US; at_us += WORLD_FILE_US / 4) {
        world w;
        world_open(&w, 412, TIMEOUT_MS);
        world_start(&w, 0);
        world_run(&w, 50);
        world_ask(&w, 0, "ADDSLOTSRANGE 0 99");
        world_run_until(&w, w.now_us + at_us);
        world_crash(&w, 0);
        world_run(&w, 50);
        world_start(&w, 0);
        const char *info = world_ask(&w, 0, "INFO");
        bool old = strstr(info, "cluster_slots_assigned:0\r\n") != NULL;
        bool new = strstr(info, "cluster_slots_assigned:100\r\n") != NULL;
        assert_true(old != new);
        if (at_us > 2 * WORLD_FILE_US) assert_true(new);
        world_run(&w, 50);
        check_saved(&w, 0);
        world_close(&w);
    }
}

static void a_failing_step_is_tried_again_and_harms_nothing(void **state)
{
    (void)state;
    static const shoal_file_op ops[] = {SHOAL_FILE_APPEND, SHOAL_FILE_SYNC, SHOAL_FILE_RENAME,
                                        SHOAL_FILE_REMOVE};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        world w;
        world_open(&w, 413, TIMEOUT_MS);
        world_start(&w, 0);
        world_run(&w, 50);
        w.nodes[0].fail_file_op[ops[i]] = SHOAL_ERR_NO_SPACE;
        world_ask(&w, 0, "ADDSLOTSRANGE 0 99");
        world_run(&w, 3000);
        assert_true(shoal_cluster_saving(w.nodes[0].cluster));
        assert_int_equal(w.nodes[0].records[SHOAL_TRACE_SAVED], 1);
        assert_int_equal(w.nodes[0].last[SHOAL_TRACE_WHY_NOT][0], 40);
        shoal_slice file = shoal_buffer_slice(&w.nodes[0].files[SHOAL_FILE_NODES]);
        assert_true(shoal_text_find(file, shoal_text("connected\nvars")) != SHOAL_TEXT_NONE);
        w.nodes[0].fail_file_op[ops[i]] = 0;
        world_run(&w, 1500);
        assert_false(shoal_cluster_saving(w.nodes[0].cluster));
        check_saved(&w, 0);
        world_close(&w);
    }
}

static void a_cluster_survives_the_restart_of_all_its_nodes(void **state)
{
    (void)state;
    world w;
    world_open(&w, 414, TIMEOUT_MS);
    world_start_many(&w, 4);
    world_form(&w, 4, 10000);
    world_run(&w, 1000);
    for (int i = 0; i < 4; i++) world_crash(&w, i);
    world_run(&w, 10000);
    world_start_many(&w, 4);
    world_run(&w, 5000);
    assert_true(world_agree(&w, 4));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_can_be_read_again),
        cmocka_unit_test(the_file_of_redis_70_can_be_read),
        cmocka_unit_test(fields_of_newer_versions_are_passed_over),
        cmocka_unit_test(slots_on_their_way_stay_so),
        cmocka_unit_test(moves_that_cannot_be_are_refused),
        cmocka_unit_test(an_empty_file_is_as_good_as_none),
        cmocka_unit_test(epochs_are_never_smaller_than_what_was_voted_or_owned),
        cmocka_unit_test(a_bad_line_is_named_with_what_was_expected),
        cmocka_unit_test(a_replica_is_one_again),
        cmocka_unit_test(slots_that_redis_has_let_a_replica_take_are_nobodys),
        cmocka_unit_test(a_replica_without_its_master_is_refused),
        cmocka_unit_test(every_prefix_of_a_file_is_read_or_refused),
        cmocka_unit_test(a_burst_of_changes_costs_two_saves),
        cmocka_unit_test(an_idle_cluster_does_not_write),
        cmocka_unit_test(a_crash_between_any_two_steps_leaves_a_whole_file),
        cmocka_unit_test(a_failing_step_is_tried_again_and_harms_nothing),
        cmocka_unit_test(a_cluster_survives_the_restart_of_all_its_nodes),
    };
    return cmocka_run_group_tests_name("cluster_file", tests, NULL, NULL);
}
