/* SPDX-License-Identifier: MIT
 *
 * The judges, each shown what it has to object to, and what not: by hand, where only a fault of a
 * node could bring it about.
 */
#include "sim_run.h"

#include <stdio.h>

#include "base/text.h"
#include "sim/internal.h"

#define HEAD                                                                              \
    "schedule v1\ncluster nodes 3 node_timeout 2s meet star\n1s client c1 rate 1/s keys " \
    "uniform(4)\n90s crash n1\n"

/* A world in which three masters have become a cluster. */
static int open_bench(void **state)
{
    return sim_bench_open(state, HEAD, 8000000);
}

static uint64_t violated(const shoal_world *world, shoal_check check)
{
    return world->judge.violated[check];
}

/* Lets the judge look so many seconds later than now, without anything happening. */
static void look_after(shoal_world *world, int64_t seconds)
{
    world->now_us += seconds * 1000000;
    shoal_judge__beat(world);
}

/* ---- epochs and maps ---- */

static void an_epoch_of_two_masters_must_not_stay(void **state)
{
    shoal_world *world = sim_bench_world(state);
    look_after(world, 1);
    assert_true(world->judge.made[SHOAL_CHECK_COLLISIONS] > 0);
    uint64_t before = world->judge.views[1].epoch_config;
    world->judge.views[1].epoch_config = world->judge.views[0].epoch_config;
    look_after(world, 1);
    look_after(world, 10);
    assert_int_equal(violated(world, SHOAL_CHECK_COLLISIONS), 0);
    /* A fault in between gives them time again. */
    world->judge.disturbed_us = world->now_us;
    look_after(world, 10);
    assert_int_equal(violated(world, SHOAL_CHECK_COLLISIONS), 0);
    look_after(world, 9);
    assert_int_equal(violated(world, SHOAL_CHECK_COLLISIONS), 1);
    world->judge.views[1].epoch_config = before;
    look_after(world, 60);
    assert_int_equal(violated(world, SHOAL_CHECK_COLLISIONS), 1);
}

static void nodes_that_nothing_disturbs_must_agree(void **state)
{
    shoal_world *world = sim_bench_world(state);
    world->judge.views[2].map ^= 1;
    look_after(world, 20);
    assert_int_equal(violated(world, SHOAL_CHECK_AGREEMENT), 0);
    /* News may be on their way at one look, not at the next. */
    look_after(world, 40);
    assert_int_equal(violated(world, SHOAL_CHECK_AGREEMENT), 0);
    look_after(world, 1);
    assert_int_equal(violated(world, SHOAL_CHECK_AGREEMENT), 1);
    world->judge.views[2].map ^= 1;
    look_after(world, 1);
    assert_int_equal(violated(world, SHOAL_CHECK_AGREEMENT), 1);
    assert_true(world->judge.made[SHOAL_CHECK_AGREEMENT] >= 6);
    /* While something is in the way nobody expects that they do, nor while none knows where any
     * other is. */
    world->judge.views[2].map ^= 1;
    world->nodes[1].paused = true;
    look_after(world, 1);
    world->nodes[1].paused = false;
    look_after(world, 40);
    assert_int_equal(violated(world, SHOAL_CHECK_AGREEMENT), 1);
    for (uint32_t i = 0; i < 3; i++) shoal_judge__moved(world, i);
    look_after(world, 100);
    look_after(world, 1);
    assert_int_equal(violated(world, SHOAL_CHECK_AGREEMENT), 1);
    /* Two that were introduced do not help the third. */
    shoal_judge__contact(world, 0, 1);
    look_after(world, 100);
    look_after(world, 1);
    assert_int_equal(violated(world, SHOAL_CHECK_AGREEMENT), 1);
    shoal_judge__contact(world, 0, 2);
    look_after(world, 100);
    look_after(world, 1);
    assert_int_equal(violated(world, SHOAL_CHECK_AGREEMENT), 2);
}

/* ---- names ---- */

static void note(shoal_world *world, shoal_trace_kind kind, uint64_t count, const char *words)
{
    shoal_trace_entry entry = {.node = 0,
                               .record = {.kind = kind, .a = count, .text = shoal_text(words)}};
    shoal_judge__hear(world, &entry);
}

#define FRESH_NAME "0123456789012345678901234567890123456789"

static void a_node_that_takes_another_name_keeps_no_slots_under_the_old_one(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_view *view = &world->judge.views[0];
    char words[2 * SHOAL_NODE_NAME_LEN + 32];
    const char *name = world->judge.subjects[view->self].name;
    assert_int_equal(view->slots_seen, SHOAL_SLOTS);
    uint64_t map = view->map;
    snprintf(words, sizeof(words), "%.40s " FRESH_NAME, name);
    note(world, SHOAL_TRACE_NODE_RENAMED, 0, words);
    assert_true(view->slots_seen < SHOAL_SLOTS);
    assert_true(view->map != map);
    /* Who takes them in is not said to have too many; who takes one more is. */
    uint32_t missing = SHOAL_SLOTS - view->slots_seen;
    snprintf(words, sizeof(words), FRESH_NAME " 0-%u", missing - 1);
    note(world, SHOAL_TRACE_SLOTS, missing, words);
    shoal_judge__settle(world);
    assert_int_equal(violated(world, SHOAL_CHECK_SLOTS_TOTAL), 0);
    snprintf(words, sizeof(words), FRESH_NAME " 0-%u", missing);
    note(world, SHOAL_TRACE_SLOTS, missing + 1, words);
    shoal_judge__settle(world);
    assert_int_equal(violated(world, SHOAL_CHECK_SLOTS_TOTAL), 1);
}

/* ---- votes ---- */

static void a_file_from_before_a_reset_holds_no_vote_of_the_node_that_it_is_now(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_trace_record saved = {.kind = SHOAL_TRACE_SAVED, .a = SHOAL_FILE_NODES, .c = 7};
    shoal_promise *promise = &world->judge.promises[0];
    shoal_promise__vote(world, 0, 7);
    shoal_promise__saved(world, 0, &saved);
    assert_int_equal(promise->durable, 7);
    shoal_promise__vote(world, 0, 8);
    shoal_judge__forgot(world, 0);
    saved.c = 8;
    shoal_promise__saved(world, 0, &saved);
    assert_int_equal(promise->durable, 0);
    /* What it votes from then on counts. */
    shoal_promise__vote(world, 0, 3);
    saved.c = 3;
    shoal_promise__saved(world, 0, &saved);
    assert_int_equal(promise->durable, 3);
    assert_int_equal(violated(world, SHOAL_CHECK_ONE_VOTE), 0);
    shoal_promise__vote(world, 0, 3);
    assert_int_equal(violated(world, SHOAL_CHECK_ONE_VOTE), 1);
}

/* A node says that it wins an epoch. */
static void win(shoal_world *world, uint32_t node, uint64_t epoch)
{
    shoal_trace_record won = {.kind = SHOAL_TRACE_ELECTION, .a = 2, .b = epoch, .c = 2};
    shoal_promise__election(world, node, &won);
}

static void two_may_win_an_epoch_only_if_one_who_took_over_has_voted_in_it(void **state)
{
    shoal_world *world = sim_bench_world(state);
    win(world, 0, 50);
    win(world, 1, 50);
    assert_int_equal(violated(world, SHOAL_CHECK_ONE_WINNER), 1);
    shoal_promise__says(world, 2, shoal_text("Taking over the master (user request)."));
    win(world, 0, 51);
    win(world, 1, 51);
    assert_int_equal(violated(world, SHOAL_CHECK_ONE_WINNER), 2);
    shoal_promise__vote(world, 2, 52);
    win(world, 0, 52);
    win(world, 1, 52);
    assert_int_equal(violated(world, SHOAL_CHECK_ONE_WINNER), 2);
}

static void who_was_elected_has_a_slot_from_one_who_took_the_epoch_unasked(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_slotmap all;
    memset(&all, 0xff, sizeof(all));
    shoal_promise__says(world, 0, shoal_text("New configEpoch set to 60"));
    assert_true(shoal_promise__is_unasked(world, 0, 60));
    assert_false(shoal_promise__is_unasked(world, 0, 59));
    shoal_copies__claimed(world, 0, &all, 60);
    shoal_copies__claimed(world, 1, &all, 60);
    assert_true(shoal_copies__deposed(world, 1, 7, world->now_us));
    win(world, 1, 60);
    shoal_copies__claimed(world, 1, &all, 60);
    assert_true(shoal_copies__deposed(world, 0, 7, world->now_us));
    /* Of two who were elected, whoever was there keeps it. */
    win(world, 2, 60);
    shoal_copies__claimed(world, 2, &all, 60);
    assert_false(shoal_copies__deposed(world, 1, 7, world->now_us));
}

/* ---- counters ---- */

#define COUNTERS                                                                           \
    "schedule v1\ncluster nodes 3 node_timeout 2s meet star\n80s client c1 rate 1/s keys " \
    "uniform(4) mix get:50,incr:50\n"

static int open_counters(void **state)
{
    return sim_bench_open(state, COUNTERS, 8000000);
}

/* Adds to a counter at a node, and is told what it is then. */
static void add_at(shoal_world *world, uint32_t node, uint64_t told)
{
    shoal_intent intent = {.key = 3 | SHOAL_KEY_COUNTER,
                           .action = SHOAL_ACTION_INCR,
                           .now_us = world->now_us};
    uint64_t serial = shoal_history__begin(&world->history, &intent);
    shoal_history__sent(world, serial, node, 0);
    world->now_us += 1000;
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, node, world->now_us);
    shoal_history__counted(world, serial, told, world->now_us);
    world->now_us += 1000;
}

static uint64_t stale_by(const shoal_world *world, shoal_cause cause)
{
    return world->judge.totals.reads_stale[cause];
}

static void a_counter_that_falls_is_excused_only_where_a_node_has_lost_its_slot(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_slotmap all;
    memset(&all, 0xff, sizeof(all));
    shoal_copies__claimed(world, 0, &all, 60);
    add_at(world, 0, 1);
    add_at(world, 0, 2);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 0);
    /* The owner itself falls behind what it has told. */
    add_at(world, 0, 2);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 1);
    /* Another is the owner now, and tells of all that there was; the former one does not know. */
    shoal_copies__claimed(world, 1, &all, 61);
    add_at(world, 1, 4);
    add_at(world, 1, 5);
    add_at(world, 0, 4);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_PARTITION), 1);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 1);
    /* Again the owner itself. */
    add_at(world, 1, 7);
    add_at(world, 1, 7);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_PARTITION), 1);
    assert_int_equal(stale_by(world, SHOAL_CAUSE_ALIVE), 2);
}

/* ---- streams ---- */

static const char one[41] = "1111111111111111111111111111111111111111";
static const char two[41] = "2222222222222222222222222222222222222222";

static void tell(shoal_world *world, uint32_t node, const char history[41], uint64_t offset,
                 shoal_slice bytes)
{
    shoal_logbook__bytes(world, node, history, offset, bytes);
}

static void nodes_of_one_history_have_the_same_bytes_at_the_same_places(void **state)
{
    shoal_world *world = sim_bench_world(state);
    uint64_t before = world->judge.made[SHOAL_CHECK_ONE_STREAM];
    char bytes[1024], other[1024];
    memset(bytes, 'a', sizeof(bytes));
    memcpy(other, bytes, sizeof(bytes));
    other[700] = 'b';
    tell(world, 0, one, 1000, (shoal_slice){bytes, 1024});
    tell(world, 1, one, 1000, (shoal_slice){bytes, 300});
    tell(world, 1, one, 1300, (shoal_slice){bytes + 300, 724});
    assert_int_equal(world->judge.made[SHOAL_CHECK_ONE_STREAM], before + 3);
    tell(world, 2, two, 1000, (shoal_slice){other, 1024});
    assert_int_equal(violated(world, SHOAL_CHECK_ONE_STREAM), 0);
    tell(world, 2, one, 1000, (shoal_slice){other, 1024});
    assert_int_equal(violated(world, SHOAL_CHECK_ONE_STREAM), 1);
}

static void another_history_of_the_same_length_is_noticed(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_logbook *logbook = &world->logbooks.of[0];
    shoal_logbook__begin(world, 0);
    logbook->known = true;
    shoal_logbook__follow(world, 0);
    assert_true(logbook->known);
    memcpy(logbook->history, one, sizeof(logbook->history));
    shoal_logbook__follow(world, 0);
    assert_false(logbook->known);
    assert_string_not_equal(logbook->history, one);
}

/* ---- files ---- */

static void a_node_file_is_whole_or_it_is_objected_to(void **state)
{
    (void)state;
#define NAME "0123456789abcdef0123456789abcdef01234567"
    static const char whole[] =
        NAME " 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-16383\n"
             "vars currentEpoch 1 lastVoteEpoch 0\n";
    shoal_slice text = {whole, sizeof(whole) - 1};
    assert_true(shoal_judge__node_file_is_whole(text));
    for (size_t size = 0; size < text.size; size++) {
        assert_false(shoal_judge__node_file_is_whole((shoal_slice){whole, size}));
    }
}

static void a_torn_node_file_is_found_at_the_next_start(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_disk *disk = &world->nodes[1].disk;
    uint64_t before = world->judge.made[SHOAL_CHECK_NODE_FILE];
    shoal_judge__starts(world, 1);
    assert_int_equal(world->judge.made[SHOAL_CHECK_NODE_FILE], before + 1);
    assert_int_equal(violated(world, SHOAL_CHECK_NODE_FILE), 0);
    disk->files[SHOAL_FILE_NODES].size -= 3;
    shoal_judge__starts(world, 1);
    assert_int_equal(violated(world, SHOAL_CHECK_NODE_FILE), 1);
    world->judge.rules[1].lied = true;
    shoal_judge__starts(world, 1);
    assert_int_equal(violated(world, SHOAL_CHECK_NODE_FILE), 1);
    disk->files[SHOAL_FILE_NODES].size += 3;
}

/* ---- what a node comes back with ---- */

static void data_must_be_those_of_one_place_in_the_stream(void **state)
{
    (void)state;
    static shoal_effect effects[] = {{0, 1}, {1, 2}, {0, 3}, {1, 0}, {2, 4}};
    static const bool none[3] = {false, false, false}, third[3] = {false, false, true};
    shoal_logbook logbook = {.effects = effects, .effect_count = 5};
    const uint32_t nothing[3] = {0, 0, 0}, two_[3] = {1, 2, 0}, four[3] = {3, 0, 0};
    const uint32_t all[3] = {3, 0, 4}, never[3] = {0, 2, 0}, foreign[3] = {3, 0, 9};
    assert_int_equal(shoal_logbook__place(&logbook, nothing, 3, none), 0);
    assert_int_equal(shoal_logbook__place(&logbook, two_, 3, none), 2);
    assert_int_equal(shoal_logbook__place(&logbook, four, 3, none), 4);
    assert_int_equal(shoal_logbook__place(&logbook, all, 3, none), 5);
    assert_int_equal(shoal_logbook__place(&logbook, never, 3, none), UINT32_MAX);
    assert_int_equal(shoal_logbook__place(&logbook, foreign, 3, none), UINT32_MAX);
    assert_int_equal(shoal_logbook__place(&logbook, foreign, 3, third), 5);
}

static void hear(void *context, const shoal_effect *effect)
{
    uint32_t *sums = context;
    sums[0]++;
    sums[1] += effect->key;
    sums[2] += effect->serial;
}

static void effects_are_read_from_bytes_that_come_in_any_pieces(void **state)
{
    shoal_world *world = sim_bench_world(state);
    static const char text[] =
        "#TS:17\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
        "*3\r\n$3\r\nSET\r\n$5\r\nkey:3\r\n$4\r\n17.x\r\n"
        "*3\r\n$3\r\nDEL\r\n$5\r\nkey:1\r\n$5\r\nother\r\n"
        "*5\r\n$3\r\nset\r\n$5\r\nkey:2\r\n$2\r\n5.\r\n$4\r\nPXAT\r\n$1\r\n9\r\n";
    for (size_t piece = 1; piece < 40; piece++) {
        shoal_scanner scanner = {.odd = false};
        uint32_t sums[3] = {0, 0, 0};
        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t size = sizeof(text) - 1 - at;
            shoal_slice bytes = {text + at, size < piece ? size : piece};
            shoal_scanner__take(&scanner, world, bytes, hear, sums);
        }
        assert_int_equal(sums[0], 3);
        assert_int_equal(sums[1], 6);
        assert_int_equal(sums[2], 22);
        assert_false(scanner.odd);
        shoal_scanner__take(&scanner, world, shoal_text("*2\r\n$4\r\nINCR\r\n$5\r\nkey:1\r\n"),
                            hear, sums);
        assert_true(scanner.odd);
        shoal_scanner__free(&scanner);
    }
}

/* ---- durable acknowledgements, owners ---- */

/* n1 keeps to appendfsync always. */
static void promise(shoal_world *world)
{
    (void)shoal_judge__rules(world, 0);
    world->judge.rules[0].logs = world->judge.rules[0].always = true;
}

static uint64_t write_to(shoal_world *world, int64_t synced_us)
{
    shoal_intent intent = {.action = SHOAL_ACTION_SET, .now_us = world->now_us};
    uint64_t serial = shoal_history__begin(&world->history, &intent);
    shoal_history__sent(world, serial, 0, 0);
    world->history.writes[serial - 1].synced_us = synced_us;
    return serial;
}

static void an_acknowledged_write_must_be_durable_where_that_is_promised(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_judge__acknowledged(world, write_to(world, 0), world->now_us);
    assert_int_equal(world->judge.made[SHOAL_CHECK_DURABLE_ACK], 0);
    promise(world);
    shoal_judge__acknowledged(world, write_to(world, world->now_us), world->now_us);
    assert_int_equal(world->judge.made[SHOAL_CHECK_DURABLE_ACK], 1);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 0);
    shoal_judge__acknowledged(world, write_to(world, world->now_us + 1), world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 1);
    shoal_judge__acknowledged(world, write_to(world, 0), world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 2);
}

static void a_rewrite_may_keep_syncs_away_where_that_is_asked_for(void **state)
{
    shoal_world *world = sim_bench_world(state);
    promise(world);
    shoal_logbook__says(world, 0,
                        shoal_text("Background append only file rewriting started by pid 1"));
    shoal_judge__acknowledged(world, write_to(world, 0), world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 1);
    world->judge.rules[0].quiet = true;
    shoal_judge__acknowledged(world, write_to(world, 0), world->now_us);
    uint64_t during = write_to(world, 0);
    shoal_logbook__says(world, 0, shoal_text("Background AOF rewrite terminated with success"));
    world->now_us++;
    shoal_judge__acknowledged(world, during, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 1);
    shoal_judge__acknowledged(world, write_to(world, 0), world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 2);
}

static void a_write_may_stand_in_the_first_base_of_replaced_data(void **state)
{
    shoal_world *world = sim_bench_world(state);
    promise(world);
    world->logbooks.of[0].bare = true;
    uint64_t before = write_to(world, 0);
    shoal_judge__acknowledged(world, before, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 1);
    shoal_logbook__says(world, 0,
                        shoal_text("Background append only file rewriting started by pid 1"));
    world->now_us++;
    uint64_t during = write_to(world, 0);
    shoal_logbook__says(world, 0, shoal_text("Background AOF rewrite terminated with success"));
    shoal_judge__acknowledged(world, before, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 1);
    shoal_judge__acknowledged(world, during, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 2);
    /* The next rewrite excuses nothing: who was acknowledged before it had a file. */
    uint64_t later = write_to(world, 0);
    shoal_logbook__says(world, 0,
                        shoal_text("Background append only file rewriting started by pid 1"));
    shoal_logbook__says(world, 0, shoal_text("Background AOF rewrite terminated with success"));
    shoal_judge__acknowledged(world, later, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_DURABLE_ACK), 3);
}

static void serve(shoal_world *world, bool write, bool behind, int64_t began_us)
{
    shoal_judge__served(world, &(shoal_service){.node = 0,
                                                .slot = 16383,
                                                .write = write,
                                                .behind = behind,
                                                .began_us = began_us,
                                                .served_us = world->now_us});
}

static void a_slot_that_was_given_up_may_be_answered_for_only_by_replies_that_waited(void **state)
{
    shoal_world *world = sim_bench_world(state);
    world->judge.views[0].own_changed_us = world->now_us - 100;
    serve(world, true, false, world->now_us - 200);
    assert_int_equal(violated(world, SHOAL_CHECK_OWNER_SERVES), 1);
    promise(world);
    serve(world, true, false, world->now_us - 200);
    serve(world, false, true, world->now_us - 200);
    assert_int_equal(violated(world, SHOAL_CHECK_OWNER_SERVES), 1);
    /* A read waits only behind a write of its own connection. */
    serve(world, false, false, world->now_us - 200);
    assert_int_equal(violated(world, SHOAL_CHECK_OWNER_SERVES), 2);
    serve(world, true, false, world->now_us - 50);
    assert_int_equal(violated(world, SHOAL_CHECK_OWNER_SERVES), 3);
    assert_int_equal(
        world->judge.totals.anomalies[SHOAL_ANOMALY_WRONG_SLOT][SHOAL_CAUSE_ALIVE].count, 3);
}

static void a_minority_may_answer_late_only_for_what_waited_for_its_disk(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const int64_t second = 1000000;
    for (uint32_t i = 1; i < 3; i++) world->judge.apart_since_us[i] = world->now_us - 7 * second;
    serve(world, true, false, world->now_us - 6 * second);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 1);
    promise(world);
    serve(world, true, false, world->now_us - 6 * second);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 1);
    /* What was begun later than a master of the minority may believe in others is none of that. */
    serve(world, true, false, world->now_us - 2 * second);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 2);
}

static void what_was_served_before_a_map_changed_is_judged_by_the_map_before(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const int64_t second = 1000000;
    /* n2 is gone for long, n3 for less; n1 forgets who was left. */
    world->judge.apart_since_us[1] = world->now_us - 7 * second;
    world->judge.any_apart = true;
    serve(world, true, false, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 0);
    shoal_judge__rethinks(world, 0);
    world->judge.apart_since_us[2] = world->now_us - 7 * second;
    serve(world, true, false, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 0);
    /* Nobody believes in a majority because of what was before. */
    shoal_judge__rethinks(world, 0);
    world->now_us++;
    shoal_judge__rethinks(world, 0);
    serve(world, true, false, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 1);
}

static void a_wall_clock_that_is_behind_prolongs_belief_by_as_much_and_no_more(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const int64_t second = 1000000, now_us = world->now_us;
    /* By itself n1 believes in somebody for 3.3 seconds. It had n2 with it for longer than n3. */
    world->judge.apart_since_us[1] = now_us - 38 * second / 10;
    world->judge.apart_since_us[2] = now_us - 4 * second;
    serve(world, true, false, now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 1);
    shoal_judge__clocks(world);
    shoal_clock__step(&world->nodes[0].clock, now_us, -second);
    shoal_judge__clocks(world);
    serve(world, true, false, now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 1);
    world->now_us += second / 2;
    serve(world, true, false, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 2);
    /* A clock that is ahead prolongs nothing, nor does one that only n2 and n3 could hear of. */
    assert_int_equal(shoal_judge__misled(world, 0, now_us - 4 * second, world->now_us), second);
    assert_int_equal(shoal_judge__misled(world, 1, now_us - 4 * second, world->now_us), 0);
    assert_int_equal(shoal_judge__misled(world, 0, now_us - 3 * second, world->now_us), 0);
}

static void a_clock_that_goes_right_again_was_behind_until_then(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const int64_t second = 1000000, from_us = world->now_us;
    assert_int_equal(shoal_judge__misled(world, 0, from_us, world->now_us), 0);
    for (int64_t by_us = -second; by_us <= second; by_us += 2 * second) {
        world->now_us += second;
        shoal_judge__clocks(world);
        shoal_clock__step(&world->nodes[0].clock, world->now_us, by_us);
        shoal_judge__clocks(world);
    }
    assert_int_equal(shoal_judge__misled(world, 0, from_us, world->now_us), second);
    world->now_us += second;
    assert_int_equal(shoal_judge__misled(world, 0, world->now_us, world->now_us), 0);
}

static void a_monotonic_clock_that_stands_prolongs_belief_by_as_long(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const int64_t second = 1000000, from_us = world->now_us;
    shoal_line line = {.clock = SHOAL_CLOCK_MONOTONIC, .choice = SHOAL_CLOCK_FREEZE};
    assert_int_equal(shoal_judge__stood(world, 0, from_us, world->now_us), 0);
    for (int i = 0; i < 2; i++) {
        world->now_us += second;
        shoal_judge__clocks(world);
        shoal_clock__change(&world->nodes[0].clock, world->now_us, &line);
        shoal_judge__clocks(world);
        line.choice = SHOAL_CLOCK_RUN;
    }
    world->now_us += 2 * second;
    assert_int_equal(shoal_judge__stood(world, 0, from_us, world->now_us), second);
    assert_int_equal(shoal_judge__stood(world, 0, from_us + 3 * second / 2, world->now_us),
                     second / 2);
    assert_int_equal(shoal_judge__stood(world, 0, from_us + 2 * second, world->now_us), 0);
    assert_int_equal(shoal_judge__stood(world, 1, from_us, world->now_us), 0);
    /* By its word others take what they have not heard of for heard of later. */
    assert_int_equal(shoal_judge__misled(world, 1, from_us, world->now_us), second);
    assert_int_equal(shoal_judge__misled(world, 0, from_us, world->now_us), 0);
    for (uint32_t i = 1; i < 3; i++) world->judge.apart_since_us[i] = from_us;
    serve(world, true, false, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 0);
    world->now_us += second / 2;
    serve(world, true, false, world->now_us);
    assert_int_equal(violated(world, SHOAL_CHECK_MINORITY), 1);
}

static void what_was_read_at_a_replica_is_no_fault_of_the_master_that_it_is_since(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_view *view = &world->judge.views[0];
    shoal_service service = {.slot = 16383, .readonly = true, .served_us = world->now_us - 50};
    view->replica = true;
    shoal_judge__served(world, &service);
    assert_int_equal(violated(world, SHOAL_CHECK_OWNER_SERVES), 0);
    view->replica = false;
    view->copied_us = world->now_us - 20;
    shoal_judge__served(world, &service);
    assert_int_equal(violated(world, SHOAL_CHECK_OWNER_SERVES), 0);
    service.readonly = false;
    shoal_judge__served(world, &service);
    assert_int_equal(violated(world, SHOAL_CHECK_OWNER_SERVES), 1);
    service.readonly = true;
    service.served_us = world->now_us - 10;
    shoal_judge__served(world, &service);
    assert_int_equal(violated(world, SHOAL_CHECK_OWNER_SERVES), 2);
}

/* ---- memory, data ---- */

static void a_master_that_holds_more_than_its_limit_is_objected_to(void **state)
{
    shoal_world *world = sim_bench_world(state);
    const uint64_t mebibyte = 1 << 20;
    shoal_judge__memory(world, 0, &(shoal_node_memory){100 * mebibyte, 0});
    assert_int_equal(world->judge.made[SHOAL_CHECK_MEMORY], 0);
    shoal_judge__memory(world, 0, &(shoal_node_memory){11 * mebibyte, 10 * mebibyte});
    assert_int_equal(violated(world, SHOAL_CHECK_MEMORY), 0);
    shoal_judge__memory(world, 0, &(shoal_node_memory){13 * mebibyte, 10 * mebibyte});
    assert_int_equal(violated(world, SHOAL_CHECK_MEMORY), 1);
}

static void a_link_that_stays_above_its_limit_is_objected_to(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_queue queue = {.generation = 1};
    assert_true(shoal_judge__queue(world, &queue, 0, 7));
    assert_true(shoal_judge__queue(world, &queue, 0, 0));
    assert_true(shoal_judge__queue(world, &queue, 0, 7));
    assert_int_equal(violated(world, SHOAL_CHECK_MEMORY), 0);
    assert_false(shoal_judge__queue(world, &queue, 0, 8));
    assert_int_equal(violated(world, SHOAL_CHECK_MEMORY), 1);
}

static void a_value_is_its_number_and_what_fills_it(void **state)
{
    (void)state;
    const shoal_write write = {.size = 6}, brief = {.size = 1};
    assert_true(shoal_judge__is_value(&write, 17, shoal_text("17.xxx")));
    assert_true(shoal_judge__is_value(&brief, 17, shoal_text("17.")));
    assert_false(shoal_judge__is_value(&write, 17, shoal_text("17.xx")));
    assert_false(shoal_judge__is_value(&write, 17, shoal_text("17.xxy")));
    assert_false(shoal_judge__is_value(&write, 18, shoal_text("17.xxx")));
}

static void a_key_that_a_master_has_acknowledged_and_lacks_is_missed_at_the_end(void **state)
{
    shoal_world *world = sim_bench_world(state);
    shoal_judge__data(world);
    assert_int_equal(violated(world, SHOAL_CHECK_DATA), 0);
    uint32_t owner = world->copies.slots[shoal_operation__slot(3)].owner - 1;
    shoal_intent intent = {.key = 3, .action = SHOAL_ACTION_SET, .now_us = world->now_us};
    uint64_t serial = shoal_history__begin(&world->history, &intent);
    shoal_judge__data(world);
    assert_int_equal(violated(world, SHOAL_CHECK_DATA), 0);
    shoal_history__end(world, serial, SHOAL_WRITE_ACKNOWLEDGED, owner, world->now_us);
    world->now_us += 10;
    shoal_judge__data(world);
    assert_int_equal(violated(world, SHOAL_CHECK_DATA), 1);
}

/* ---- what is written of it ---- */

#define LOAD "schedule v1\ncluster nodes 3\n1s client c1 rate 1/s "

static void contracts_and_mixes_say_what_would_have_fitted(void **state)
{
    (void)state;
    sim_refused(LOAD "mix add:3\n", 3, 27, "set, get, del, incr and px");
    sim_refused(LOAD "mix px:3 ttl 1500us\n", 3, 36, "whole milliseconds");
    sim_refused(LOAD "\n2s expect anomalies lost <= 0\n", 4, 21, "served-after-ttl");
    sim_refused(LOAD "\n2s expect session_breaks <= 0 of reads\n", 4, 34, "monotonic-reads");
    sim_refused(LOAD "\n2s expect resurrected <= 0 cause none\n", 4, 34, "partition");
    sim_refused(LOAD "\n2s expect unavailable <= 0 by ok\n", 4, 31, "clusterdown");
    sim_refused(LOAD "\n2s expect linearizable on 9..3\n", 4, 27, "0..99");
}

static void contracts_about_histories_are_formatted_as_they_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "schedule v1\ncluster nodes 3 node_timeout 15s meet star\n\n"
        "1s        client c1 rate 1/s keys uniform(9) mix set:1,get:2,del:3,incr:4,px:5 "
        "ttl 250ms size 64 timeout 1s\n"
        "2s        expect linearizable\n"
        "2s        expect linearizable on 3\n"
        "2s        expect linearizable on 3..7\n"
        "2s        expect resurrected <= 0 cause alive\n"
        "2s        expect session_breaks == 0\n"
        "2s        expect session_breaks <= 2 of read-your-writes cause partition\n"
        "2s        expect anomalies double-apply <= 0\n"
        "2s        expect unavailable >= 1 by timeout\n";
    shoal_schedule schedule;
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer out = shoal_buffer_make(&memory);
    sim_parse(text, &schedule);
    shoal_schedule_format(&schedule, true, &out);
    shoal_slice found = shoal_buffer_slice(&out);
    assert_int_equal(found.size, sizeof(text) - 1);
    assert_memory_equal(found.data, text, found.size);
    shoal_buffer_free(&out);
    shoal_schedule_free(&schedule);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_bench, sim_bench_close)
    const struct CMUnitTest tests[] = {
        CASE(an_epoch_of_two_masters_must_not_stay),
        CASE(nodes_that_nothing_disturbs_must_agree),
        CASE(a_node_that_takes_another_name_keeps_no_slots_under_the_old_one),
        CASE(a_file_from_before_a_reset_holds_no_vote_of_the_node_that_it_is_now),
        CASE(two_may_win_an_epoch_only_if_one_who_took_over_has_voted_in_it),
        CASE(who_was_elected_has_a_slot_from_one_who_took_the_epoch_unasked),
        cmocka_unit_test_setup_teardown(
            a_counter_that_falls_is_excused_only_where_a_node_has_lost_its_slot, open_counters,
            sim_bench_close),
        CASE(nodes_of_one_history_have_the_same_bytes_at_the_same_places),
        CASE(another_history_of_the_same_length_is_noticed),
        cmocka_unit_test(a_node_file_is_whole_or_it_is_objected_to),
        CASE(a_torn_node_file_is_found_at_the_next_start),
        cmocka_unit_test(data_must_be_those_of_one_place_in_the_stream),
        CASE(effects_are_read_from_bytes_that_come_in_any_pieces),
        CASE(an_acknowledged_write_must_be_durable_where_that_is_promised),
        CASE(a_rewrite_may_keep_syncs_away_where_that_is_asked_for),
        CASE(a_write_may_stand_in_the_first_base_of_replaced_data),
        CASE(a_slot_that_was_given_up_may_be_answered_for_only_by_replies_that_waited),
        CASE(a_minority_may_answer_late_only_for_what_waited_for_its_disk),
        CASE(what_was_served_before_a_map_changed_is_judged_by_the_map_before),
        CASE(a_wall_clock_that_is_behind_prolongs_belief_by_as_much_and_no_more),
        CASE(a_clock_that_goes_right_again_was_behind_until_then),
        CASE(a_monotonic_clock_that_stands_prolongs_belief_by_as_long),
        CASE(what_was_read_at_a_replica_is_no_fault_of_the_master_that_it_is_since),
        CASE(a_master_that_holds_more_than_its_limit_is_objected_to),
        CASE(a_link_that_stays_above_its_limit_is_objected_to),
        cmocka_unit_test(a_value_is_its_number_and_what_fills_it),
        CASE(a_key_that_a_master_has_acknowledged_and_lacks_is_missed_at_the_end),
        cmocka_unit_test(contracts_and_mixes_say_what_would_have_fitted),
        cmocka_unit_test(contracts_about_histories_are_formatted_as_they_are_read),
    };
    return cmocka_run_group_tests_name("sim_judges", tests, NULL, NULL);
}
