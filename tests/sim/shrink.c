/* SPDX-License-Identifier: MIT
 *
 * Making schedules small, with a function in place of runs that says which candidates still break
 * the promise, so that what should be left is known. And drawing them.
 */
#include "sim_run.h"

#include <stdio.h>

#include "sim/shrink.h"

/* What a candidate must have in it, as text, and of nodes, to break the promise. */
typedef struct oracle {
    const char *needs[4];
    uint32_t nodes_min;
    uint32_t asked;
    bool always; /* whatever is in it */
} oracle;

static bool breaks(void *context, const shoal_schedule *candidate)
{
    oracle *of = context;
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    shoal_schedule_format(candidate, false, &text);
    bool all = candidate->nodes >= of->nodes_min;
    shoal_buffer_append(&text, (shoal_slice){"", 1});
    for (size_t i = 0; i < 4 && of->needs[i]; i++) {
        all = all && strstr(shoal_buffer_slice(&text).data, of->needs[i]) != NULL;
    }
    shoal_buffer_free(&text);
    of->asked++;
    return all || of->always;
}

/* Bytes of a schedule at most. */
#define TEXT_MAX 4096

/* The canonical text of what is left of `text`, in `out`, which has room for TEXT_MAX. */
static const char *shrunk_into(char *out, const char *text, const char *promise, oracle *of)
{
    shoal_schedule schedule, small;
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer buffer = shoal_buffer_make(&memory);
    sim_parse(text, &schedule);
    shoal_shrink_options options = {
        .schedule = &schedule, .promise = promise, .budget = 3000, .breaks = breaks, .context = of};
    uint32_t runs = shoal_shrink__schedule(&options, &small);
    if (runs > 0) assert_int_equal(runs, of->asked);
    assert_true(of->asked <= options.budget);
    shoal_schedule_format(&small, true, &buffer);
    shoal_slice bytes = shoal_buffer_slice(&buffer);
    assert_true(bytes.size < TEXT_MAX);
    if (bytes.size > 0) memcpy(out, bytes.data, bytes.size);
    out[bytes.size] = 0;
    shoal_buffer_free(&buffer);
    shoal_schedule_free(&small);
    shoal_schedule_free(&schedule);
    return out;
}

/* The same in a buffer of the caller. */
#define shrunk(text, promise, of) shrunk_into((char[TEXT_MAX]){0}, text, promise, of)

#define HEAD "schedule v1\nseed 77\n"

static void one_fault_of_twenty_is_left(void **state)
{
    (void)state;
    char text[2048] = HEAD "cluster nodes 6 masters 3 replicas 1 node_timeout 3s meet all\n"
                           "config * appendonly yes\n0s net * latency 5ms jitter 1ms\n"
                           "5s client c1 rate 300/s\n5s client c2 rate 20/s\n";
    for (int i = 0; i < 20; i++) {
        char line[64];
        snprintf(line, sizeof(line), "%d%03dms %s n%d%s\n", 10 + i, 137, i == 7 ? "pause" : "crash",
                 1 + i % 6, i == 7 ? "" : " power");
        strcat(text, line);
    }
    strcat(text, "40s stop *\n60s end\n");
    oracle of = {.needs = {"pause n"}};
    assert_string_equal(shrunk(text, "I7", &of), "schedule v1\nseed 1\n"
                                                 "cluster nodes 1 node_timeout 1s meet star\n"
                                                 "0s        pause n1\n");
}

static void two_faults_that_need_each_other_stay_both(void **state)
{
    (void)state;
    oracle of = {.needs = {"crash n", "clock n"}, .nodes_min = 2};
    const char *small = shrunk(HEAD "cluster nodes 3 node_timeout 1s meet star\n"
                                    "3s crash n2\n4s pause n1\n5s reset n1 | n2\n"
                                    "6s clock n2 step +1h\n7s resume n1\n8s restart n2\n9s end\n",
                               "I3", &of);
    assert_non_null(strstr(small, "crash n2"));
    assert_non_null(strstr(small, "clock n2 step +3600s"));
    assert_null(strstr(small, "pause"));
    assert_null(strstr(small, "restart"));
    assert_null(strstr(small, "reset"));
}

static void what_ends_a_fault_stays_while_a_state_is_promised(void **state)
{
    (void)state;
    oracle of = {.needs = {"crash n", "expect converge"}};
    const char *small =
        shrunk(HEAD "cluster nodes 3 node_timeout 1s meet star\n"
                    "3s crash n2\n4s cut n1 | n3\n6s heal n1 | n3\n8s heal *\n8s restart *\n"
                    "8s resume *\n8s disk * ok\n8s expect converge within 9s\n",
               "expect converge", &of);
    assert_non_null(strstr(small, "crash n"));
    assert_non_null(strstr(small, "restart *"));
    assert_non_null(strstr(small, "expect converge within 9s"));
    assert_null(strstr(small, "heal"));
    assert_null(strstr(small, "resume"));
    assert_null(strstr(small, "disk"));
}

static void the_time_that_a_state_is_given_stays(void **state)
{
    (void)state;
    oracle of = {.needs = {"crash n", "expect state ok"}};
    const char *small = shrunk(HEAD "cluster nodes 3 node_timeout 1s meet star\n"
                                    "13700ms crash n2\n14200ms restart n2\n"
                                    "31400ms expect state ok on *\n",
                               "expect state ok", &of);
    shoal_schedule schedule;
    sim_parse(small, &schedule);
    const shoal_line *last = &schedule.lines[schedule.count - 1], *before = last - 1;
    assert_int_equal(last->kind, SHOAL_LINE_EXPECT);
    assert_true(last->at_us - before->at_us >= 17200000);
    assert_true(schedule.lines[3].kind == SHOAL_LINE_CRASH && schedule.lines[3].at_us >= 13700000);
    shoal_schedule_free(&schedule);
}

static void a_candidate_that_is_broken_without_faults_is_not_taken(void **state)
{
    (void)state;
    /* Broken by the fault; but with one node it is broken by itself. */
    oracle of = {.needs = {"crash n", "expect slots covered"}};
    const char *text = HEAD "cluster nodes 2 node_timeout 1s meet star\n"
                            "3s crash n2\n4s restart n2\n5s expect slots covered\n";
    assert_non_null(strstr(shrunk(text, "expect slots covered", &of), "crash n"));
    of = (oracle){.always = true};
    assert_null(strstr(shrunk(text, "expect slots covered", &of), "crash n"));
}

static void nodes_that_are_left_get_new_numbers(void **state)
{
    (void)state;
    oracle of = {.needs = {"CLUSTER REPLICATE id(n", "pause n"}, .nodes_min = 4};
    const char *small =
        shrunk(HEAD "cluster nodes 9 masters 4 replicas 1 node_timeout 1s meet star\n"
                    "3s operate n8 CLUSTER REPLICATE id(n4)\n4s pause n4 n8\n5s end\n",
               "I1", &of);
    shoal_schedule schedule;
    sim_parse(small, &schedule);
    assert_int_equal(schedule.nodes, 4);
    assert_non_null(strstr(small, "REPLICATE id(n"));
    shoal_schedule_free(&schedule);
}

static void a_client_that_is_not_needed_goes_with_what_names_it(void **state)
{
    (void)state;
    oracle of = {.needs = {"client c2"}};
    const char *small = shrunk(HEAD "cluster nodes 1 node_timeout 1s meet star\n"
                                    "1s client c1 rate 300/s keys zipf(5000,1.1) size 900\n"
                                    "1s client c2 rate 300/s keys zipf(5000,1.1) size 900\n"
                                    "2s cut c1 c2 | n1\n3s stop c1 c2\n4s end\n",
                               "I10", &of);
    assert_null(strstr(small, "c1"));
    assert_non_null(strstr(small, "client c2 rate 1/s keys uniform(1) mix set:100 size 16"));
}

static void nothing_is_made_of_what_breaks_no_promise(void **state)
{
    (void)state;
    oracle of = {.needs = {"pause"}};
    assert_string_equal(shrunk(HEAD "cluster nodes 1 node_timeout 1s meet star\n1s crash n1\n",
                               "I1", &of),
                        "");
    assert_int_equal(of.asked, 1);
}

static void a_promise_is_named_without_its_nodes_and_times(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"expect converge within 9s", "expect converge"},
                                           {"expect state fail on n1..n2 within 5s",
                                            "expect state fail"},
                                           {"expect lost_acks <= 0 cause alive",
                                            "expect lost_acks <= 0 cause alive"},
                                           {"expect errors <= 3 since 4s", "expect errors <= 3"}};
    for (size_t i = 0; i < 4; i++) {
        char text[256], promise[160];
        shoal_schedule schedule;
        snprintf(text, sizeof(text), HEAD "cluster nodes 3 meet star\n5s %s\n", pairs[i][0]);
        sim_parse(text, &schedule);
        shoal_promise__of_line(&schedule.lines[schedule.count - 1], promise);
        assert_string_equal(promise, pairs[i][1]);
        shoal_schedule_free(&schedule);
    }
}

/* ---- drawing ---- */

static void a_drawn_schedule_is_what_its_text_is_read_as(void **state)
{
    (void)state;
    shoal_allocator memory = shoal_allocator_default();
    for (uint64_t seed = 0; seed < 200; seed++) {
        shoal_draw_options options = {.seed = seed};
        shoal_schedule drawn, read;
        shoal_schedule_error error;
        shoal_buffer text = shoal_buffer_make(&memory), again = shoal_buffer_make(&memory);
        assert_int_equal(shoal_draw__schedule(&options, &drawn, &error), SHOAL_ERR_OK);
        shoal_schedule_format(&drawn, true, &text);
        assert_int_equal(shoal_schedule_parse(shoal_buffer_slice(&text), &read, &error),
                         SHOAL_ERR_OK);
        shoal_schedule_format(&read, true, &again);
        assert_int_equal(shoal_buffer_size(&text), shoal_buffer_size(&again));
        assert_memory_equal(shoal_buffer_slice(&text).data, shoal_buffer_slice(&again).data,
                            shoal_buffer_size(&text));
        assert_int_equal(drawn.seed, seed);
        assert_int_equal(shoal_schedule_hash(&drawn), shoal_schedule_hash(&read));
        for (uint32_t i = 0; i < drawn.count; i++) {
            assert_int_equal(drawn.lines[i].number, read.lines[i].number);
        }
        shoal_schedule_free(&drawn);
        shoal_schedule_free(&read);
        shoal_buffer_free(&text);
        shoal_buffer_free(&again);
    }
}

/* Nodes of a column that have lost what they had at some moment, by the lines of a schedule. */
static uint32_t gone_at(const shoal_schedule *drawn, uint32_t column, int64_t at_us)
{
    uint32_t gone = 0;
    for (uint32_t node = column; node < drawn->masters * (1 + drawn->replicas);
         node += drawn->masters) {
        bool down = false;
        for (uint32_t i = 0; i < drawn->count && drawn->lines[i].at_us <= at_us; i++) {
            const shoal_line *line = &drawn->lines[i];
            bool named = line->left.count == 1 && (line->left.atoms[0].kind == SHOAL_ATOM_ALL ||
                                                   line->left.atoms[0].first == node + 1);
            if (line->kind == SHOAL_LINE_CRASH && named) down = true;
            if (line->kind == SHOAL_LINE_RESTART && named) down = false;
        }
        gone += down;
    }
    return gone;
}

static void drawn_crashes_leave_a_copy_of_each_slot(void **state)
{
    (void)state;
    uint32_t reckless = 0, crashes = 0;
    for (uint64_t seed = 0; seed < 600; seed++) {
        shoal_draw_options options = {.seed = seed / 2, .reckless = seed % 2 != 0};
        shoal_schedule drawn;
        shoal_schedule_error error;
        assert_int_equal(shoal_draw__schedule(&options, &drawn, &error), SHOAL_ERR_OK);
        bool logs = false;
        for (uint32_t i = 0; i < drawn.count; i++) {
            const shoal_line *line = &drawn.lines[i];
            logs =
                logs || (line->kind == SHOAL_LINE_CONFIG && strstr(line->text, "appendonly yes"));
        }
        for (uint32_t i = 0; i < drawn.count && !logs; i++) {
            for (uint32_t column = 0; column < drawn.masters; column++) {
                if (drawn.lines[i].kind != SHOAL_LINE_CRASH) continue;
                uint32_t gone = gone_at(&drawn, column, drawn.lines[i].at_us);
                if (!options.reckless) assert_true(gone <= drawn.replicas);
                reckless += options.reckless && gone > drawn.replicas;
                crashes++;
            }
        }
        shoal_schedule_free(&drawn);
    }
    assert_true(crashes > 100);
    assert_true(reckless > 0);
}

/* The node, from 1 on, that does not come back with what it had; 0: there is none. */
static uint32_t lost_in(const shoal_schedule *drawn)
{
    for (uint32_t i = 0; i < drawn->count; i++) {
        const shoal_line *line = &drawn->lines[i];
        if (line->kind == SHOAL_LINE_RESTART && line->wiped) return line->left.atoms[0].first;
    }
    return 0;
}

static void no_slot_is_dropped_where_a_node_is_lost(void **state)
{
    (void)state;
    uint32_t both = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        shoal_draw_options options = {.seed = seed};
        shoal_schedule drawn;
        shoal_schedule_error error;
        assert_int_equal(shoal_draw__schedule(&options, &drawn, &error), SHOAL_ERR_OK);
        uint32_t lost = lost_in(&drawn);
        for (uint32_t i = 0; lost != 0 && i < drawn.count; i++) {
            const shoal_line *line = &drawn.lines[i];
            if (line->kind != SHOAL_LINE_OPERATE) continue;
            if (strncmp(line->text, "CLUSTER DELSLOTS ", 17) != 0) continue;
            uint32_t owner = line->left.atoms[0].first - 1;
            bool grouped = lost <= drawn.masters * (1 + drawn.replicas);
            if (grouped && owner == (lost - 1) % drawn.masters)
                fail_msg("seed %llu: n%u is lost", (unsigned long long)seed, lost);
            both++;
        }
        shoal_schedule_free(&drawn);
    }
    assert_true(both > 0);
}

/* How long the client that looks at the end waits for a reply, and how long it asks. */
static void draw_last(const char *net, int64_t *timeout_us, int64_t *lasts_us)
{
    char text[256];
    shoal_schedule given, drawn;
    shoal_schedule_error error;
    snprintf(text, sizeof(text), "schedule v1\ncluster nodes 3 node_timeout 2s meet star\n%s", net);
    sim_parse(text, &given);
    shoal_draw_options options = {.seed = 3, .given = &given};
    assert_int_equal(shoal_draw__schedule(&options, &drawn, &error), SHOAL_ERR_OK);
    for (uint32_t i = 0; i < drawn.count; i++) {
        const shoal_line *line = &drawn.lines[i];
        if (line->kind == SHOAL_LINE_CLIENT) *timeout_us = line->load.timeout_us;
        if (line->kind == SHOAL_LINE_EXPECT && line->expect.contract == SHOAL_CONTRACT_ERRORS)
            *lasts_us = line->at_us - line->expect.since_us;
    }
    shoal_schedule_free(&drawn);
    shoal_schedule_free(&given);
}

static void who_looks_at_the_end_waits_for_as_long_as_its_network_may_take(void **state)
{
    (void)state;
    int64_t timeout_us = 0, lasts_us = 0;
    draw_last("0s net * latency 1ms jitter 1ms dist uniform split 0%\n", &timeout_us, &lasts_us);
    assert_int_equal(timeout_us, 1000000);
    assert_int_equal(lasts_us, 3000000);
    /* The longest of a lognormal distribution is eighteen times its median. */
    draw_last("0s net * latency 30ms jitter 30ms dist lognormal split 0%\n", &timeout_us,
              &lasts_us);
    assert_int_equal(timeout_us, 5000000);
    assert_int_equal(lasts_us, 7000000);
}

/* The node that comes back as another one, from 0; UINT32_MAX: all stay who they are. */
static uint32_t replaced_in(const shoal_schedule *drawn)
{
    for (uint32_t i = 0; i < drawn->count; i++) {
        const shoal_line *line = &drawn->lines[i];
        if (line->kind == SHOAL_LINE_RESTART && line->wiped) return line->left.atoms[0].first - 1;
    }
    return UINT32_MAX;
}

/* How many lines of the operator say this. */
static uint32_t told_in(const shoal_schedule *drawn, const char *words)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < drawn->count; i++) {
        const shoal_line *line = &drawn->lines[i];
        count += line->kind == SHOAL_LINE_OPERATE && strstr(line->text, words) != NULL;
    }
    return count;
}

/* When the last line of an operator says this; -1: none does. */
static int64_t last_told(const shoal_schedule *drawn, const char *words)
{
    int64_t at_us = -1;
    for (uint32_t i = 0; i < drawn->count; i++) {
        const shoal_line *line = &drawn->lines[i];
        if (line->kind == SHOAL_LINE_OPERATE && strstr(line->text, words)) at_us = line->at_us;
    }
    return at_us;
}

/* When everything is healed. */
static int64_t healed_at(const shoal_schedule *drawn)
{
    int64_t at_us = 0;
    for (uint32_t i = 0; i < drawn->count; i++) {
        const shoal_line *line = &drawn->lines[i];
        if (line->kind == SHOAL_LINE_HEAL && line->relation == SHOAL_RELATION_NONE)
            at_us = line->at_us;
    }
    return at_us;
}

/* Seeds 61844, 62716, 67469 and 67784 once left two maps: an operator took an epoch for slots in
 * the moment in which nodes were introduced, or let slots wait with those who were forgotten. */
static void moves_are_ended_in_time_and_behind_introductions(void **state)
{
    (void)state;
    uint32_t both = 0, waited = 0;
    for (uint64_t seed = 0; seed < 600; seed++) {
        shoal_draw_options options = {.seed = seed};
        shoal_schedule drawn;
        shoal_schedule_error error;
        assert_int_equal(shoal_draw__schedule(&options, &drawn, &error), SHOAL_ERR_OK);
        int64_t healed_us = healed_at(&drawn);
        int64_t met_us = last_told(&drawn, "CLUSTER MEET"), first_us = -1, behind_us = -1;
        for (uint32_t i = 0; i < drawn.count; i++) {
            const shoal_line *line = &drawn.lines[i];
            if (line->kind != SHOAL_LINE_OPERATE || !strstr(line->text, "id(self)")) continue;
            if (line->at_us <= healed_us) continue;
            if (first_us < 0) first_us = line->at_us;
            if (behind_us < 0 && line->at_us >= met_us) behind_us = line->at_us;
        }
        if (met_us > healed_us && first_us >= 0) {
            both++;
            if (behind_us < met_us + 5000000)
                fail_msg("seed %llu: slots at %lld us, introductions at %lld us",
                         (unsigned long long)seed, (long long)behind_us, (long long)met_us);
            waited += first_us < met_us;
        }
        if (first_us >= 0) {
            /* Twelve timeouts and 25 s are what a cluster has until it must be whole. */
            assert_true(first_us - healed_us <= 12 * drawn.node_timeout_us + 25000000);
        }
        shoal_schedule_free(&drawn);
    }
    assert_true(both > 0);
    assert_true(waited > 0);
}

static void nobody_is_told_to_forget_a_host_that_is_replaced(void **state)
{
    (void)state;
    uint32_t others = 0, elsewhere = 0;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        shoal_draw_options options = {.seed = seed};
        shoal_schedule drawn;
        shoal_schedule_error error;
        assert_int_equal(shoal_draw__schedule(&options, &drawn, &error), SHOAL_ERR_OK);
        uint32_t replaced = replaced_in(&drawn), forgets = told_in(&drawn, "CLUSTER FORGET ");
        char words[48];
        snprintf(words, sizeof(words), "CLUSTER FORGET id(n%u)", replaced + 1);
        if (replaced != UINT32_MAX) {
            bool eager = drawn.profiles[0] == SHOAL_PROFILE_OF_SHOAL;
            assert_int_equal(told_in(&drawn, words), 0);
            if (!eager) assert_int_equal(forgets, 0);
            others += forgets;
        } else {
            elsewhere += forgets;
        }
        shoal_schedule_free(&drawn);
    }
    /* Others are forgotten in such runs all the same. */
    assert_true(others > 0);
    assert_true(elsewhere > 0);
}

static void what_is_given_stays_and_the_rest_is_drawn(void **state)
{
    (void)state;
    shoal_schedule given, drawn;
    shoal_schedule_error error;
    sim_parse("schedule v1\ncluster nodes 4 masters 2 replicas 1 node_timeout 2s meet star\n"
              "0s net * latency 7ms\n9s pause n3\n11s resume n3\n",
              &given);
    shoal_draw_options options = {.seed = 5, .given = &given};
    assert_int_equal(shoal_draw__schedule(&options, &drawn, &error), SHOAL_ERR_OK);
    uint32_t faults = 0, nets = 0, expects = 0;
    for (uint32_t i = 0; i < drawn.count; i++) {
        shoal_line_kind kind = drawn.lines[i].kind;
        nets += kind == SHOAL_LINE_NET;
        expects += kind == SHOAL_LINE_EXPECT;
        faults += kind == SHOAL_LINE_CRASH || kind == SHOAL_LINE_CUT || kind == SHOAL_LINE_PAUSE;
    }
    assert_int_equal(drawn.nodes, 4);
    assert_int_equal(nets, 1);
    assert_int_equal(faults, 1);
    assert_true(expects >= 3);
    shoal_schedule_free(&drawn);
    shoal_schedule_free(&given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fault_of_twenty_is_left),
        cmocka_unit_test(two_faults_that_need_each_other_stay_both),
        cmocka_unit_test(what_ends_a_fault_stays_while_a_state_is_promised),
        cmocka_unit_test(the_time_that_a_state_is_given_stays),
        cmocka_unit_test(a_candidate_that_is_broken_without_faults_is_not_taken),
        cmocka_unit_test(nodes_that_are_left_get_new_numbers),
        cmocka_unit_test(a_client_that_is_not_needed_goes_with_what_names_it),
        cmocka_unit_test(nothing_is_made_of_what_breaks_no_promise),
        cmocka_unit_test(a_promise_is_named_without_its_nodes_and_times),
        cmocka_unit_test(a_drawn_schedule_is_what_its_text_is_read_as),
        cmocka_unit_test(drawn_crashes_leave_a_copy_of_each_slot),
        cmocka_unit_test(no_slot_is_dropped_where_a_node_is_lost),
        cmocka_unit_test(who_looks_at_the_end_waits_for_as_long_as_its_network_may_take),
        cmocka_unit_test(moves_are_ended_in_time_and_behind_introductions),
        cmocka_unit_test(nobody_is_told_to_forget_a_host_that_is_replaced),
        cmocka_unit_test(what_is_given_stays_and_the_rest_is_drawn),
    };
    return cmocka_run_group_tests_name("sim_shrink", tests, NULL, NULL);
}
