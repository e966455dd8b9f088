/* SPDX-License-Identifier: MIT
 *
 * Schedules as texts: the grammar, the canonical form, and what is said about wrong ones.
 */
#include "sim_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#define HEAD "schedule v1\ncluster nodes 6 node_timeout 2s meet star\n"

/* Fails unless the canonical form of `text` is `canonical`, and that is its own. */
static void formats_to(const char *text, const char *canonical)
{
    shoal_schedule schedule;
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer out = shoal_buffer_make(&memory);
    for (int round = 0; round < 2; round++) {
        sim_parse(round == 0 ? text : canonical, &schedule);
        shoal_schedule_format(&schedule, true, &out);
        test_slice_is(shoal_buffer_slice(&out), canonical);
        shoal_buffer_consume(&out, shoal_buffer_size(&out));
        shoal_schedule_free(&schedule);
    }
    shoal_buffer_free(&out);
}

static void every_kind_of_line_has_one_canonical_form(void **state)
{
    (void)state;
    formats_to(
        HEAD "config  n1..n3   maxmemory 10mb\n"
             "profiles shoal   redis-7\n"
             "0s net * latency 1ms jitter 0.2ms dist lognormal split 2.50% rate 1000mbit\n"
             "0.5s net n1 -> n2 n3 rate 64kbit\n"
             "1000ms client c1 rate 200/s keys zipf(1000,1.10) mix set:50,get:50\n"
             "2s cut n1 | n2 n3 # both ways\n"
             "2s cut n4   ->   n2\n"
             "3s stall n3 -> n5 for 0.8s\n"
             "4s crash n2 power disk torn\n"
             "4s crash owner-of(slot 866) disk kept\n"
             "5s clock n3 step +1h\n"
             "5s clock n3 drift -50ppm\n"
             "5s disk n1 slow 5000us\n"
             "6s operate n1 CLUSTER  FORGET id(n2)\n"
             "6s expect fail n2 by n1 n3 within 5000ms\n"
             "6s expect errors <= 3 since 2s\n"
             "6s expect lost_acks == 0 cause alive\n"
             "6s expect lost_acks <= 9 cause failover window 0.05s\n"
             "6s expect copies equal on n4..n6 within 2s\n"
             "6s expect  reply \"GET {06S} x\" is \"(nil)\" on n1 within 2000ms under shoal\n"
             "6s expect reply \"PING\" has \"PO\" on *\n"
             "6s expect info sync_full >= 1 on n1..n3 under redis-7\n"
             "6s expect broken I1 >= 1\n"
             "6s expect connects <= 9 since 1s\n"
             "6s client c2 rate 5/s reads replica\n"
             "6s client c3 rate 5/s reads master\n"
             "6s heal *\n"
             "7s end\n",
        "schedule v1\n"
        "cluster nodes 6 node_timeout 2s meet star\n"
        "config n1..n3 maxmemory 10mb\n"
        "profiles shoal redis-7\n"
        "0s        net * latency 1ms jitter 200us dist lognormal split 2.5% rate 1gbit\n"
        "500ms     net n1 -> n2 n3 rate 64kbit\n"
        "1s        client c1 rate 200/s keys zipf(1000,1.1) mix set:50,get:50 size 64 timeout 1s\n"
        "2s        cut n1 | n2 n3  # both ways\n"
        "2s        cut n4 -> n2\n"
        "3s        stall n3 -> n5 for 800ms\n"
        "4s        crash n2 power disk torn\n"
        "4s        crash owner-of(slot 866)\n"
        "5s        clock n3 step +3600s\n"
        "5s        clock n3 drift -50ppm\n"
        "5s        disk n1 slow 5ms\n"
        "6s        operate n1 CLUSTER  FORGET id(n2)\n"
        "6s        expect fail n2 by n1 n3 within 5s\n"
        "6s        expect errors <= 3 since 2s\n"
        "6s        expect lost_acks == 0 cause alive\n"
        "6s        expect lost_acks <= 9 cause failover window 50ms\n"
        "6s        expect copies equal on n4..n6 within 2s\n"
        "6s        expect reply \"GET {06S} x\" is \"(nil)\" on n1 within 2s under shoal\n"
        "6s        expect reply \"PING\" has \"PO\" on *\n"
        "6s        expect info sync_full >= 1 on n1..n3 under redis-7\n"
        "6s        expect broken I1 >= 1\n"
        "6s        expect connects <= 9 since 1s\n"
        "6s        client c2 rate 5/s keys uniform(1000) mix set:50,get:50 size 64 timeout 1s "
        "reads replica\n"
        "6s        client c3 rate 5/s keys uniform(1000) mix set:50,get:50 size 64 timeout 1s\n"
        "6s        heal *\n"
        "7s        end\n");
}

static void lines_are_put_in_order_of_time_and_equal_ones_stay(void **state)
{
    (void)state;
    formats_to(HEAD "3s say \"c\"\n1s say \"a\"\n3s say \"b\"\n1s heal *\nseed 9\n",
               HEAD "seed 9\n1s        say \"a\"\n1s        heal *\n3s        say \"c\"\n"
                    "3s        say \"b\"\n");
}

static void comments_stay_with_their_lines(void **state)
{
    (void)state;
    formats_to(
        "# first\nschedule v1\ncluster nodes 2 node_timeout 1s meet star\n\n\n# late\n9s heal * # "
        "x\n"
        "# early\n1s say \"not # a comment\"\n# end\n",
        "# first\nschedule v1\ncluster nodes 2 node_timeout 1s meet star\n"
        "# early\n1s        say \"not # a comment\"\n\n# late\n9s        heal *  # x\n# end\n");
}

static void the_hash_does_not_see_comments_spaces_and_seed(void **state)
{
    (void)state;
    static const char *const texts[] = {HEAD "2s cut n1 | n2\n3s heal *\n",
                                        HEAD
                                        "seed 77\n# why\n3s   heal *\n2000ms cut n1 | n2 # so\n",
                                        HEAD "2s cut n1 | n3\n3s heal *\n"};
    uint64_t hashes[3];
    for (int i = 0; i < 3; i++) {
        shoal_schedule schedule;
        sim_parse(texts[i], &schedule);
        hashes[i] = shoal_schedule_hash(&schedule);
        shoal_schedule_free(&schedule);
    }
    assert_true(hashes[0] == hashes[1]);
    assert_true(hashes[0] != hashes[2]);
}

static void a_wrong_word_is_named_with_place_and_neighbours(void **state)
{
    (void)state;
    sim_refused(HEAD "2s crahs n1\n", 3, 4, "found \"crahs\", expected net, client, stop, cut");
    sim_refused(HEAD "2s crahs n1\n", 3, 4, "did you mean crash?");
    sim_refused(HEAD "0s net * latencey 1ms\n", 3, 10,
                "latency, jitter, dist, split or rate; did you mean latency?");
    sim_refused(HEAD "2s cut n1 n2\n", 3, 13, "the line ends here, expected | or ->");
    sim_refused(HEAD "2s crash n1 disk tron\n", 3, 18,
                "kept, torn, lost, scattered or reordered; did you mean torn?");
    sim_refused(HEAD "2s expect convrege\n", 3, 11, "did you mean converge?");
    sim_refused(HEAD "2s expect state up on n1\n", 3, 17, "expected fail or ok");
    sim_refused(HEAD "2s heal * now\n", 3, 11, "found \"now\", expected the end of the line");
    sim_refused(HEAD "2s end now\n", 3, 8, "expected the end of the line");
}

static void only_named_profiles_can_be_stated(void **state)
{
    (void)state;
    sim_refused(HEAD "profiles redis-8\n", 3, 10, "expected redis-7 or shoal");
    sim_refused(HEAD "profiles shoal shoal\n", 3, 16, "it is named already");
    sim_refused(HEAD "profiles shoal\n2s expect converge under redis-7\n", 4, 26,
                "no profiles line above names it");
    sim_refused(HEAD "2s expect converge under shoal\n", 3, 26, "no profiles line");
    sim_refused(HEAD "2s expect reply PING is \"PONG\" on n1\n", 3, 17, "a command in quotes");
    sim_refused(HEAD "2s expect reply \"PING\" was \"PONG\" on n1\n", 3, 24, "has or is");
    sim_refused(HEAD "2s expect info on n1\n", 3, 19, "expected <=, >= or ==");
}

static void a_wrong_value_is_named_with_what_fits(void **state)
{
    (void)state;
    sim_refused(HEAD "0s net * latency 5\n", 3, 18, "expected a duration such as");
    sim_refused(HEAD "0s net * latency 1.0000001s\n", 3, 18, "a duration");
    sim_refused(HEAD "0s net * split 200%\n", 3, 16, "a percentage from 0% to 100%");
    sim_refused(HEAD "1s client c1 rate 5\n", 3, 19, "such as 200/s");
    sim_refused(HEAD "1s client c1 keys zipf(10)\n", 3, 19, "uniform(N) or zipf(N,S)");
    sim_refused(HEAD "1s client c1 rate 1/s mix set:0,get:0\n", 3, 27, "weights");
    sim_refused(HEAD "1s client n1 rate 1/s\n", 3, 11, "one client such as c1");
    sim_refused(HEAD "1s clock n1 drift 50\n", 3, 19, "a drift up to 1000ppm");
    sim_refused(HEAD "1s say hello\n", 3, 8, "a caption in quotes");
    sim_refused(HEAD "1s say \"hello\n", 3, 8, "no closing");
    sim_refused(HEAD "seed minus\n", 3, 6, "a whole number");
    sim_refused(HEAD "1s crash owner-of(slot 16384)\n", 3, 10, "nodes or clients such as n1");
}

static void names_of_nobody_are_refused(void **state)
{
    (void)state;
    sim_refused(HEAD "1s crash n7\n", 3, 10, "nodes n1 to n6 only");
    sim_refused(HEAD "1s crash n3..n2\n", 3, 10, "nodes or clients such as");
    sim_refused(HEAD "1s cut c4 | n1\n", 3, 8, "no client line starts it");
    sim_refused(HEAD "1s pause c1\n1s client c1 rate 1/s\n", 3, 10, "for nodes, not clients");
    sim_refused(HEAD "1s stop n1\n", 3, 9, "only clients can stop");
}

static void a_schedule_needs_its_head(void **state)
{
    (void)state;
    sim_refused("", 1, 1, "schedule v1");
    sim_refused("schedule v2\n", 1, 10, "expected v1");
    sim_refused("cluster nodes 3\n", 1, 1, "the first line must be");
    sim_refused("schedule v1\n1s heal *\n", 2, 1, "cluster line must come before");
    sim_refused("schedule v1\nschedule v1\n", 2, 1, "there already");
    sim_refused(HEAD "cluster nodes 3\n", 3, 1, "one cluster line");
    sim_refused("schedule v1\ncluster nodes 0\n", 2, 1, "at least 1 node");
    sim_refused("schedule v1\ncluster nodes 2 masters 3\n", 2, 1, "more masters than nodes");
}

static void an_action_is_a_line_without_a_time(void **state)
{
    (void)state;
    shoal_schedule schedule;
    shoal_schedule_error error;
    shoal_line line;
    sim_parse(HEAD, &schedule);
    assert_int_equal(shoal_schedule_parse_action(shoal_text("cut n1 | n2"), 77, &schedule, &line,
                                                 &error),
                     0);
    assert_int_equal(line.kind, SHOAL_LINE_CUT);
    assert_int_equal(line.at_us, 77);
    shoal_line_free(&line);
    assert_int_equal(shoal_schedule_parse_action(shoal_text("crash n9"), 77, &schedule, &line,
                                                 &error),
                     SHOAL_ERR_MALFORMED);
    assert_int_equal(error.column, 7);
    shoal_schedule_free(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_line_has_one_canonical_form),
        cmocka_unit_test(lines_are_put_in_order_of_time_and_equal_ones_stay),
        cmocka_unit_test(comments_stay_with_their_lines),
        cmocka_unit_test(the_hash_does_not_see_comments_spaces_and_seed),
        cmocka_unit_test(a_wrong_word_is_named_with_place_and_neighbours),
        cmocka_unit_test(only_named_profiles_can_be_stated),
        cmocka_unit_test(a_wrong_value_is_named_with_what_fits),
        cmocka_unit_test(names_of_nobody_are_refused),
        cmocka_unit_test(a_schedule_needs_its_head),
        cmocka_unit_test(an_action_is_a_line_without_a_time),
    };
    return cmocka_run_group_tests_name("sim_schedule", tests, NULL, NULL);
}
