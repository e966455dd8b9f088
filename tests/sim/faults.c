/* SPDX-License-Identifier: MIT
 *
 * The rarer faults: what each does to a cluster, told by the records of runs.
 */
#include "sim_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/clock.h"
#include "wire/bus.h"

/* What a run told, without texts. */
typedef struct story {
    struct told {
        int64_t time_us;
        uint32_t node, kind;
        uint64_t a, b, c;
    } * all;
    uint32_t count, capacity;
    shoal_world_result result;
} story;

static void keep(void *context, const shoal_trace_entry *entry)
{
    story *told = context;
    if (told->count == told->capacity) {
        told->capacity = told->capacity ? told->capacity * 2 : 1024;
        told->all = realloc(told->all, told->capacity * sizeof(*told->all));
    }
    const shoal_trace_record *r = &entry->record;
    told->all[told->count++] =
        (struct told){entry->time_us, entry->node, (uint32_t)r->kind, r->a, r->b, r->c};
}

/* Runs a text and keeps what it told; freed by forget. */
static story run_story(const char *text)
{
    story told = {0};
    shoal_schedule schedule;
    sim_parse(text, &schedule);
    shoal_world *world = sim_world(&schedule, -1);
    shoal_world_set_tracer(world, keep, &told);
    shoal_world_run(world);
    shoal_world_result_get(world, &told.result);
    for (uint32_t i = 0; i < told.result.expect_count; i++) {
        const shoal_expect_result *expect = &told.result.expects[i];
        if (!expect->held) fail_msg("line %u: %s", expect->line, expect->words);
    }
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) {
        const shoal_check_count *check = &told.result.checks[i];
        if (check->violated > 0) fail_msg("%s: %s", check->id, check->first);
    }
    told.result.expects = NULL;
    shoal_world_destroy(world);
    shoal_schedule_free(&schedule);
    return told;
}

static void forget(story *told)
{
    free(told->all);
}

/* What is looked for: a kind, perhaps by one node (-1: any), between two seconds. */
typedef struct wanted {
    uint32_t kind;
    int node;
    int64_t from_us, until_us;
} wanted;

static bool is_wanted(const struct told *one, const wanted *which)
{
    return one->kind == which->kind && (which->node < 0 || one->node == (uint32_t)which->node) &&
           one->time_us >= which->from_us && one->time_us <= which->until_us;
}

static uint32_t count(const story *told, wanted which)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < told->count; i++) found += is_wanted(&told->all[i], &which);
    return found;
}

/* The first of them. */
static const struct told *first(const story *told, wanted which)
{
    for (uint32_t i = 0; i < told->count; i++) {
        if (is_wanted(&told->all[i], &which)) return &told->all[i];
    }
    fail_msg("no record of kind %u", which.kind);
    return NULL;
}

#define S INT64_C(1000000)
#define THREE "schedule v1\nseed 4\ncluster nodes 3 node_timeout 2s meet star\n"
#define SIX                                                                                 \
    "schedule v1\nseed 7\ncluster nodes 6 masters 3 replicas 1 node_timeout 2s meet star\n" \
    "config * repl-diskless-sync-delay 0\n"

/* ---- connects ---- */

static void refused_connects_fail_at_once_and_open_connections_go_on(void **state)
{
    (void)state;
    story told = run_story(THREE "5s refuse n1 | n2\n8s reset n1 | n2\n"
                                 "9s heal *\n9s expect converge within 5s\n15s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_DISCONNECT, -1, 5 * S, 8 * S - 1}), 0);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_CONNECT, -1, 5 * S, 8 * S - 1}), 0);
    const struct told *tried = first(&told, (wanted){SHOAL_TRACE_CONNECT, -1, 8 * S, 9 * S});
    assert_int_equal(tried->b, -SHOAL_ERR_REFUSED);
    assert_int_equal(first(&told, (wanted){SHOAL_TRACE_CONNECT, -1, 9 * S, 15 * S})->b, 0);
    forget(&told);
}

static void refused_one_way_lets_the_other_side_connect(void **state)
{
    (void)state;
    story told = run_story(THREE "5s refuse n1 -> n2\n5s reset n1 | n2\n8s end\n");
    for (uint32_t i = 0; i < told.count; i++) {
        const struct told *one = &told.all[i];
        if (one->kind != SHOAL_TRACE_CONNECT || one->time_us < 5 * S) continue;
        if (one->node == 0 && one->a == 1) assert_int_equal(one->b, -SHOAL_ERR_REFUSED);
        if (one->node == 1 && one->a == 0) assert_int_equal(one->b, 0);
    }
    assert_true(count(&told, (wanted){SHOAL_TRACE_CONNECT, 0, 5 * S, 8 * S}) > 0);
    assert_true(count(&told, (wanted){SHOAL_TRACE_CONNECT, 1, 5 * S, 8 * S}) > 0);
    forget(&told);
}

static void connects_refused_by_timeout_get_no_answer(void **state)
{
    (void)state;
    story told = run_story(THREE "5s refuse n1 | n2 by timeout\n5s reset n1 | n2\n"
                                 "12s heal *\n12s expect converge within 10s\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_CONNECT, -1, 5 * S, 12 * S - 1}), 0);
    assert_true(count(&told, (wanted){SHOAL_TRACE_PFAIL, 0, 5 * S, 12 * S}) > 0);
    forget(&told);
}

/* ---- connections ---- */

static void a_reset_of_one_end_leaves_the_other_half_open(void **state)
{
    (void)state;
    story told = run_story(THREE "5s reset n1 -> n2\n5s expect converge within 5s\n11s end\n");
    assert_true(count(&told, (wanted){SHOAL_TRACE_DISCONNECT, 1, 5 * S, 5 * S}) > 0);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_DISCONNECT, 0, 5 * S, 5 * S}), 0);
    assert_true(count(&told, (wanted){SHOAL_TRACE_DISCONNECT, 0, 5 * S + 1, 8 * S}) > 0);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_FAIL, -1, 5 * S, 11 * S}), 0);
    forget(&told);
}

static void stranded_connections_are_silent_and_new_ones_work(void **state)
{
    (void)state;
    story told = run_story(THREE "5s strand n1 | n2\n11s expect converge within 5s\n17s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_DISCONNECT, -1, 5 * S, 5900000}), 0);
    assert_int_equal(first(&told, (wanted){SHOAL_TRACE_CONNECT, -1, 5 * S, 9 * S})->b, 0);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_FAIL, -1, 5 * S, 17 * S}), 0);
    forget(&told);
}

/* ---- frames ---- */

static void the_nth_frame_of_a_kind_is_dropped(void **state)
{
    (void)state;
    story told = run_story(THREE "5s drop ping * -> * number 2 times 3\n15s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_DROPPED, -1, 0, 15 * S}), 3);
    const struct told *one = first(&told, (wanted){SHOAL_TRACE_DROPPED, -1, 0, 15 * S});
    assert_int_equal(one->b, SHOAL_FRAME_PING);
    uint32_t sent = 0;
    for (uint32_t i = 0; &told.all[i] != one; i++) {
        const struct told *message = &told.all[i];
        sent += message->kind == SHOAL_TRACE_MESSAGE && message->time_us >= 5 * S &&
                message->b == SHOAL_FRAME_PING;
    }
    assert_int_equal(sent, 1);
    forget(&told);
}

static void without_acknowledgements_of_votes_an_election_is_not_won(void **state)
{
    (void)state;
    story free_run = run_story(SIX "10s crash n1 power\n20s end\n");
    story told = run_story(SIX "10s crash n1 power\n10s drop auth_ack * -> n4 times 2\n"
                               "10s expect role master on n4 within 20s\n");
    const struct told *won = first(&free_run, (wanted){SHOAL_TRACE_ELECTION, 3, 10 * S, 20 * S});
    assert_int_equal(won->a, 0);
    assert_int_equal(count(&free_run, (wanted){SHOAL_TRACE_ELECTION, 3, 10 * S, 20 * S}), 3);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_DROPPED, -1, 0, 40 * S}), 2);
    assert_true(count(&told, (wanted){SHOAL_TRACE_ELECTION, 3, 10 * S, 40 * S}) > 3);
    forget(&free_run);
    forget(&told);
}

static void heal_of_everything_ends_drops(void **state)
{
    (void)state;
    story told = run_story(THREE "5s drop ping * -> n2 times 1000\n6s heal *\n9s end\n");
    assert_true(count(&told, (wanted){SHOAL_TRACE_DROPPED, -1, 5 * S, 6 * S}) > 0);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_DROPPED, -1, 6 * S + 1, 9 * S}), 0);
    forget(&told);
}

/* ---- clogging ---- */

static void swizzled_hosts_stop_and_go_on_by_themselves(void **state)
{
    (void)state;
    story told = run_story(SIX "8s swizzle n1..n6 over 5s\n8s expect converge within 30s\n"
                               "20s expect converge within 10s\n");
    story again = run_story(SIX "8s swizzle n1..n6 over 5s\n8s expect converge within 30s\n"
                                "20s expect converge within 10s\n");
    assert_true(count(&told, (wanted){SHOAL_TRACE_PFAIL, -1, 8 * S, 20 * S}) > 0);
    assert_true(told.result.trace_hash == again.result.trace_hash);
    forget(&told);
    forget(&again);
}

/* ---- busy and slow nodes ---- */

static void a_busy_node_does_nothing_and_then_all_of_it(void **state)
{
    (void)state;
    story told = run_story(THREE "5s busy n1 for 5s\n10s expect converge within 5s\n15s end\n");
    uint32_t said = 0;
    for (uint32_t i = 0; i < told.count; i++) {
        const struct told *one = &told.all[i];
        said += one->node == 0 && one->time_us > 5 * S && one->time_us < 10 * S;
    }
    assert_int_equal(said, 0);
    assert_true(count(&told, (wanted){SHOAL_TRACE_PFAIL, 1, 5 * S, 10 * S}) > 0);
    assert_true(count(&told, (wanted){SHOAL_TRACE_MESSAGE, 0, 10 * S, 10 * S + 1000}) > 0);
    forget(&told);
}

static void a_command_that_is_short_of_the_timeout_is_not_noticed(void **state)
{
    (void)state;
    story told = run_story(THREE "5s busy n1 for 800ms\n15s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_PFAIL, -1, 5 * S, 15 * S}), 0);
    forget(&told);
}

/* The mean latency of operations that ended well from `from_us` on. */
static uint64_t latency(const story *told, int64_t from_us)
{
    uint64_t sum = 0, operations = 0;
    for (uint32_t i = 0; i < told->count; i++) {
        const struct told *one = &told->all[i];
        if (one->kind != SHOAL_TRACE_CLIENT_OP || one->time_us < from_us || one->b > 1) continue;
        sum += one->c;
        operations++;
    }
    assert_true(operations > 0);
    return sum / operations;
}

#define LOAD "3s client c1 rate 50/s keys uniform(100) mix set:50,get:50\n"

static void each_thing_takes_a_slow_node_its_time(void **state)
{
    (void)state;
    story usual = run_story(THREE LOAD "9s end\n");
    story slow = run_story(THREE LOAD "4s slow n1..n3 by 200\n9s end\n");
    story off = run_story(THREE LOAD "3500ms slow n1..n3 by 200\n4s slow n1..n3 off\n9s end\n");
    assert_true(latency(&slow, 5 * S) > latency(&usual, 5 * S) + 1000);
    assert_true(latency(&off, 5 * S) < latency(&usual, 5 * S) + 1000);
    forget(&usual);
    forget(&slow);
    forget(&off);
}

static void a_busy_node_that_dies_leaves_nothing_behind(void **state)
{
    (void)state;
    story told = run_story(THREE LOAD "5s busy n1 for 5s\n6s crash n1 power\n7s restart n1\n"
                                      "7s expect converge within 5s\n13s stop *\n");
    assert_true(count(&told, (wanted){SHOAL_TRACE_READY, 0, 7 * S, 8 * S}) > 0);
    forget(&told);
}

/* ---- the operator ---- */

static void a_node_that_is_told_to_end_itself_is_told_once(void **state)
{
    (void)state;
    story told = run_story(THREE "5s operate n2 SHUTDOWN NOSAVE\n5500ms restart n2\n12s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, 1, 5 * S, 12 * S}), 1);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_NODE_STARTED, 1, 5 * S, 12 * S}), 1);
    forget(&told);
}

static void what_is_said_behind_a_reply_that_power_took_away_is_heard(void **state)
{
    (void)state;
    story told =
        run_story(THREE "5s pause n2\n5s operate n2 PING\n6s crash n2 power\n7s restart n2\n"
                        "9s operate n2 SHUTDOWN NOSAVE\n30s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, 1, 5 * S, 7 * S}), 1);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, 1, 9 * S, 30 * S}), 1);
    forget(&told);
}

/* ---- crashes at an event ---- */

static void a_node_dies_behind_its_nth_event(void **state)
{
    (void)state;
    int64_t before = 0;
    for (int n = 1; n <= 100; n += 33) {
        char text[256];
        snprintf(text, sizeof(text), THREE "5s crash n2 at event %d\n19s end\n", n);
        story told = run_story(text);
        wanted dead = {SHOAL_TRACE_NODE_CRASHED, 1, 5 * S, 19 * S};
        assert_int_equal(count(&told, dead), 1);
        assert_true(first(&told, dead)->time_us > before);
        before = first(&told, dead)->time_us;
        forget(&told);
    }
}

static void a_node_dies_with_the_record_that_is_named(void **state)
{
    (void)state;
    story told = run_story(SIX "0s crash n2 power at record vote\n10s crash n1 power\n30s end\n");
    const struct told *vote = first(&told, (wanted){SHOAL_TRACE_VOTE, 1, 10 * S, 30 * S});
    const struct told *dead = first(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, 1, 0, 30 * S});
    assert_int_equal(vote->time_us, dead->time_us);
    assert_true(vote < dead);
    forget(&told);
    told =
        run_story(SIX "0s crash n2 power at record vote number 2\n10s crash n1 power\n30s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, 1, 0, 30 * S}), 0);
    forget(&told);
}

static void healing_everything_calls_crashes_off(void **state)
{
    (void)state;
    story told = run_story(SIX "0s crash n2 power at record vote\n9s heal *\n"
                               "10s crash n1 power\n30s end\n");
    assert_true(count(&told, (wanted){SHOAL_TRACE_VOTE, 1, 10 * S, 30 * S}) > 0);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, 1, 0, 30 * S}), 0);
    forget(&told);
}

/* ---- membership ---- */

static void a_node_that_is_reset_hard_is_judged_as_another(void **state)
{
    (void)state;
    story told = run_story(SIX "6s operate n6 CLUSTER RESET HARD\n"
                               "8s operate n1 CLUSTER MEET ip(n6) 6379\n"
                               "14s operate n6 CLUSTER REPLICATE id(n1)\n"
                               "14s expect converge within 10s\n26s expect role replica on n6\n");
    forget(&told);
}

static void a_slot_goes_to_whoever_gets_the_command(void **state)
{
    (void)state;
    story told = run_story(SIX "6s operate n2 CLUSTER SETSLOT 5 IMPORTING id(n1)\n"
                               "7s operate n2 CLUSTER SETSLOT 5 NODE id(self)\n"
                               "8s expect info cluster_my_epoch == 7 on n2\n"
                               "8s expect converge within 5s\n15s end\n");
    forget(&told);
}

/* ---- addresses ---- */

static void a_node_with_a_new_address_makes_itself_known(void **state)
{
    (void)state;
    story told = run_story(THREE "5s operate n2 PING\n5s readdress n2\n"
                                 "6s operate n2 CLUSTER MEET ip(n1) 6379\n"
                                 "6s expect converge within 20s\n26s expect converge\n");
    assert_true(count(&told, (wanted){SHOAL_TRACE_CONNECT, 1, 5 * S, 26 * S}) > 0);
    forget(&told);
}

static void when_all_addresses_change_at_once_nobody_finds_anybody(void **state)
{
    (void)state;
    story told = run_story(THREE "5s crash *\n5s readdress *\n6s restart *\n"
                                 "20s expect state fail on *\n20s expect pfail n2 by n1\n");
    for (uint32_t i = 0; i < told.count; i++) {
        if (told.all[i].kind != SHOAL_TRACE_CONNECT || told.all[i].time_us < 6 * S) continue;
        assert_int_not_equal(told.all[i].b, 0);
    }
    forget(&told);
}

/* ---- clocks ---- */

static void a_monotonic_clock_that_stands_still_wakes_nobody(void **state)
{
    (void)state;
    story told = run_story(THREE "5s clock n1 monotonic freeze\n15s clock n1 monotonic run\n"
                                 "15s expect converge within 10s\n25s end\n");
    uint32_t pings = 0, pongs = 0;
    for (uint32_t i = 0; i < told.count; i++) {
        const struct told *one = &told.all[i];
        if (one->kind != SHOAL_TRACE_MESSAGE || one->node != 0) continue;
        if (one->time_us < 5 * S + 1000 || one->time_us >= 15 * S) continue;
        pings += one->b == SHOAL_FRAME_PING;
        pongs += one->b == SHOAL_FRAME_PONG;
    }
    assert_int_equal(pings, 0);
    assert_true(pongs > 0);
    forget(&told);
}

static void a_monotonic_clock_that_leaps_makes_its_node_impatient(void **state)
{
    (void)state;
    story usual = run_story(THREE "5s pause n2\n12s end\n");
    story leaps = run_story(THREE "5s pause n2\n6500ms clock n1 monotonic step +2s\n12s end\n");
    story steps = run_story(THREE "5s pause n2\n6500ms clock n1 step +2s\n12s end\n");
    wanted suspects = {SHOAL_TRACE_PFAIL, 0, 5 * S, 12 * S};
    assert_true(first(&usual, suspects)->time_us > 7 * S);
    assert_true(first(&leaps, suspects)->time_us < 7 * S);
    assert_int_equal(first(&steps, suspects)->time_us, first(&usual, suspects)->time_us);
    forget(&usual);
    forget(&leaps);
    forget(&steps);
}

static void the_two_clocks_of_a_node_go_apart(void **state)
{
    (void)state;
    shoal_clock clock;
    shoal_clock__start(&clock, 0, 0);
    int64_t wall = shoal_clock__read(&clock, 0).wall_us;
    shoal_line drift = {.choice = SHOAL_CLOCK_DRIFT, .amount = 500, .clock = SHOAL_CLOCK_WALL};
    shoal_clock__change(&clock, 0, &drift);
    drift =
        (shoal_line){.choice = SHOAL_CLOCK_DRIFT, .amount = -500, .clock = SHOAL_CLOCK_MONOTONIC};
    shoal_clock__change(&clock, 0, &drift);
    shoal_time later = shoal_clock__read(&clock, 100 * S);
    assert_int_equal(later.mono_us, 100 * S - 50000);
    assert_int_equal(later.wall_us, wall + 100 * S + 50000);
    shoal_line freeze = {.choice = SHOAL_CLOCK_FREEZE, .clock = SHOAL_CLOCK_MONOTONIC};
    shoal_clock__change(&clock, 100 * S, &freeze);
    assert_int_equal(shoal_clock__read(&clock, 200 * S).mono_us, later.mono_us);
    assert_true(shoal_clock__read(&clock, 200 * S).wall_us > later.wall_us);
    assert_int_equal(shoal_clock__when(&clock, later.mono_us + 1), INT64_MAX);
    freeze.choice = SHOAL_CLOCK_RUN;
    shoal_clock__change(&clock, 200 * S, &freeze);
    assert_true(shoal_clock__when(&clock, later.mono_us + 1) >= 200 * S);
}

/* ---- disks ---- */

#define DURABLE                                                        \
    "schedule v1\nseed 3\ncluster nodes 3 node_timeout 2s meet star\n" \
    "config * appendonly yes\nconfig * appendfsync always\n"           \
    "3s client c1 rate 200/s keys uniform(1000) mix set:100\n"

static void a_disk_whose_syncs_lie_loses_what_was_promised(void **state)
{
    (void)state;
    story honest = run_story(DURABLE "6s crash n1 power disk lost\n7s restart n1\n"
                                     "9s stop *\n12s expect lost_acks <= 0\n");
    story lying = run_story(DURABLE "4s disk n1 lying\n6s crash n1 power disk lost\n"
                                    "6s disk n1 ok\n7s restart n1\n"
                                    "9s stop *\n12s expect lost_acks >= 1 cause crash\n");
    assert_int_equal(honest.result.totals.lost[SHOAL_CAUSE_CRASH].count, 0);
    assert_true(lying.result.totals.lost[SHOAL_CAUSE_CRASH].count > 20);
    forget(&honest);
    forget(&lying);
}

static void a_node_need_not_start_from_a_disk_that_has_lied(void **state)
{
    (void)state;
    story told = run_story(DURABLE "5s disk n2 lying\n6s operate n2 BGREWRITEAOF\n"
                                   "7s crash n2 power disk torn\n8s disk n2 ok\n"
                                   "8s restart n2\n12s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_READY, 1, 8 * S, 12 * S}), 0);
    forget(&told);
}

static void a_node_does_not_start_from_a_disk_that_cannot_be_read(void **state)
{
    (void)state;
    story told = run_story(DURABLE "5s crash n1\n5s disk n1 unreadable\n6s restart n1\n"
                                   "8s disk n1 ok\n9s restart n1\n9s expect converge within 5s\n"
                                   "14s stop *\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_READY, 0, 6 * S, 9 * S - 1}), 0);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_READY, 0, 9 * S, 14 * S}), 1);
    forget(&told);
}

/* ---- how they are written ---- */

static void lines_of_faults_have_one_canonical_form(void **state)
{
    (void)state;
    static const char lines[] = "1s        reset n1 -> n2 n3\n"
                                "1s        refuse n1 | *\n"
                                "1s        refuse n1 -> n2 by timeout\n"
                                "1s        strand n1 | n2\n"
                                "1s        drop auth_ack * -> n2\n"
                                "1s        drop ping n1 | n2 number 3 times 100\n"
                                "1s        swizzle * over 3s\n"
                                "1s        busy n1 n2 for 1500ms\n"
                                "1s        slow n1 by 100\n"
                                "1s        slow n1 off\n"
                                "1s        readdress *\n"
                                "1s        restart n1 disk empty\n"
                                "1s        crash n1 at event 7\n"
                                "1s        crash n1 power disk torn at record node_known number 2\n"
                                "1s        crash n1 disk scattered at record vote\n"
                                "1s        crash n1 disk reordered\n"
                                "1s        clock n1 wall drift +5ppm\n"
                                "1s        clock n1 monotonic drift -5ppm\n"
                                "1s        clock n1 monotonic step +1s\n"
                                "1s        clock n1 monotonic freeze\n"
                                "1s        clock n1 monotonic run\n"
                                "1s        disk n1 unreadable\n"
                                "1s        disk n1 lying\n"
                                "1s        cut masters | replicas-of(slot 866) owner-of(slot 1)\n"
                                "1s        pause replicas\n";
    char text[2048];
    shoal_schedule schedule;
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer out = shoal_buffer_make(&memory);
    snprintf(text, sizeof(text), "%s%s", THREE, lines);
    sim_parse(text, &schedule);
    shoal_schedule_format(&schedule, true, &out);
    shoal_buffer_append(&out, (shoal_slice){"", 1});
    assert_string_equal(out.data, text);
    shoal_schedule_free(&schedule);
    shoal_buffer_free(&out);
    sim_parse(THREE "1s clock n1 wall step +5s\n", &schedule);
    assert_int_equal(schedule.lines[3].clock, SHOAL_CLOCK_USUAL);
    shoal_schedule_free(&schedule);
}

static void selectors_go_by_the_part_that_nodes_play(void **state)
{
    (void)state;
    story told = run_story(SIX "10s crash owner-of(slot 0) power\n"
                               "16s expect role master on n4\n"
                               "17s crash replicas\n18s crash masters power\n20s end\n");
    for (int node = 0; node < 6; node++) {
        int64_t died = first(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, node, 0, 20 * S})->time_us;
        assert_int_equal(died, node == 0 ? 10 * S : node >= 4 ? 17 * S : 18 * S);
    }
    forget(&told);
    told = run_story(SIX "10s crash replicas-of(slot 16383)\n12s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, -1, 0, 12 * S}), 1);
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_NODE_CRASHED, 5, 0, 12 * S}), 1);
    forget(&told);
    sim_refused(THREE "config masters port 3\n", 4, 8, "not known before the run");
}

static void wrong_lines_of_faults_are_named(void **state)
{
    (void)state;
    sim_refused(THREE "1s drop auth_ak n1 -> n2\n", 4, 9, "did you mean auth_ack?");
    sim_refused(THREE "1s drop ping n1 -> n2 number 0\n", 4, 30, "counting begins with 1");
    sim_refused(THREE "1s drop ping n1\n", 4, 16, "expected | or ->");
    sim_refused(THREE "1s refuse n1 | n2 by time\n", 4, 22, "expected timeout");
    sim_refused(THREE "1s crash n1 at record votes\n", 4, 23, "a kind of trace record");
    sim_refused(THREE "1s crash n1 at 7\n", 4, 16, "expected event or record");
    sim_refused(THREE "1s slow n1 7\n", 4, 12, "expected by or off");
    sim_refused(THREE "1s clock n1 monotonic step -1s\n", 4, 28, "never goes back");
    sim_refused(THREE "1s clock n1 mono step -1s\n", 4, 13, "freeze, run, wall or monotonic");
    sim_refused(THREE "1s swizzle n1\n", 4, 14, "expected over");
    sim_refused(THREE "1s busy n1 for\n", 4, 15, "a duration");
}

static void every_crash_of_a_disk_leaves_something_to_start_from(void **state)
{
    (void)state;
    static const char *const fates[] = {"kept", "torn", "lost", "reordered"};
    for (size_t i = 0; i < 4; i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 DURABLE "6s crash * power disk %s\n7s restart *\n"
                         "7s expect converge within 10s\n12s stop *\n",
                 fates[i]);
        story told = run_story(text);
        assert_int_equal(count(&told, (wanted){SHOAL_TRACE_READY, -1, 7 * S, 12 * S}), 3);
        forget(&told);
    }
}

static void a_node_with_an_empty_disk_is_another_node(void **state)
{
    (void)state;
    story told = run_story(DURABLE "6s crash n3 power\n7s restart n3 disk empty\n"
                                   "8s expect known == 1 on n3\n"
                                   "8s operate n1 CLUSTER MEET ip(n3) 6379\n"
                                   "12s expect known == 4 on n1\n14s stop *\n16s end\n");
    assert_int_equal(count(&told, (wanted){SHOAL_TRACE_READY, 2, 7 * S, 8 * S}), 1);
    forget(&told);
}

#define EVERYSEC                                                       \
    "schedule v1\nseed 3\ncluster nodes 3 node_timeout 2s meet star\n" \
    "config * appendonly yes\n3s client c1 rate 500/s keys uniform(1000) mix set:100 size 200\n"

static void scattered_sectors_may_be_more_than_a_node_can_mend(void **state)
{
    (void)state;
    story told = run_story(EVERYSEC "6900ms crash * power disk scattered\n7s restart *\n"
                                    "12s stop *\n");
    story torn = run_story(EVERYSEC "6900ms crash * power disk torn\n7s restart *\n"
                                    "12s stop *\n");
    assert_int_equal(count(&torn, (wanted){SHOAL_TRACE_READY, -1, 7 * S, 12 * S}), 3);
    assert_true(count(&told, (wanted){SHOAL_TRACE_READY, -1, 7 * S, 12 * S}) < 3);
    forget(&told);
    forget(&torn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_connects_fail_at_once_and_open_connections_go_on),
        cmocka_unit_test(refused_one_way_lets_the_other_side_connect),
        cmocka_unit_test(connects_refused_by_timeout_get_no_answer),
        cmocka_unit_test(a_reset_of_one_end_leaves_the_other_half_open),
        cmocka_unit_test(stranded_connections_are_silent_and_new_ones_work),
        cmocka_unit_test(the_nth_frame_of_a_kind_is_dropped),
        cmocka_unit_test(without_acknowledgements_of_votes_an_election_is_not_won),
        cmocka_unit_test(heal_of_everything_ends_drops),
        cmocka_unit_test(swizzled_hosts_stop_and_go_on_by_themselves),
        cmocka_unit_test(a_busy_node_does_nothing_and_then_all_of_it),
        cmocka_unit_test(a_command_that_is_short_of_the_timeout_is_not_noticed),
        cmocka_unit_test(each_thing_takes_a_slow_node_its_time),
        cmocka_unit_test(a_busy_node_that_dies_leaves_nothing_behind),
        cmocka_unit_test(a_node_that_is_told_to_end_itself_is_told_once),
        cmocka_unit_test(what_is_said_behind_a_reply_that_power_took_away_is_heard),
        cmocka_unit_test(a_node_dies_behind_its_nth_event),
        cmocka_unit_test(a_node_dies_with_the_record_that_is_named),
        cmocka_unit_test(healing_everything_calls_crashes_off),
        cmocka_unit_test(a_node_that_is_reset_hard_is_judged_as_another),
        cmocka_unit_test(a_slot_goes_to_whoever_gets_the_command),
        cmocka_unit_test(a_node_with_a_new_address_makes_itself_known),
        cmocka_unit_test(when_all_addresses_change_at_once_nobody_finds_anybody),
        cmocka_unit_test(a_monotonic_clock_that_stands_still_wakes_nobody),
        cmocka_unit_test(a_monotonic_clock_that_leaps_makes_its_node_impatient),
        cmocka_unit_test(the_two_clocks_of_a_node_go_apart),
        cmocka_unit_test(a_disk_whose_syncs_lie_loses_what_was_promised),
        cmocka_unit_test(a_node_need_not_start_from_a_disk_that_has_lied),
        cmocka_unit_test(a_node_does_not_start_from_a_disk_that_cannot_be_read),
        cmocka_unit_test(every_crash_of_a_disk_leaves_something_to_start_from),
        cmocka_unit_test(a_node_with_an_empty_disk_is_another_node),
        cmocka_unit_test(scattered_sectors_may_be_more_than_a_node_can_mend),
        cmocka_unit_test(lines_of_faults_have_one_canonical_form),
        cmocka_unit_test(selectors_go_by_the_part_that_nodes_play),
        cmocka_unit_test(wrong_lines_of_faults_are_named),
    };
    return cmocka_run_group_tests_name("sim_faults", tests, NULL, NULL);
}
