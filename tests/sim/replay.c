/* SPDX-License-Identifier: MIT
 *
 * The flight recorder, with virtual nodes: what they record through an election is run again and
 * is the same to the last bit; what is changed in a recording is found; what is damaged is refused
 * with its place; and recording changes nothing.
 */
#include "sim_run.h"

#include <shoal/tape.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/text.h"

/* Lives of nodes in a run. */
#define LIVES_MAX 16u

/* A master dies and comes back; a replica is elected, a command moves a master by hand. */
static const char SCHEDULE[] = "schedule v1\n"
                               "seed 7\n"
                               "cluster nodes 6 masters 3 replicas 1 node_timeout 1s meet star\n"
                               "5s client c1 rate 50/s keys uniform(50) mix set:50,get:50\n"
                               "7s crash n1\n"
                               "11s restart n1\n"
                               "15s operate n1 CLUSTER FAILOVER\n"
                               "19s end\n";

/* A life of a node: what it recorded, and what it said of the cluster. */
typedef struct life {
    uint32_t node, start;
    shoal_buffer bytes;
    uint64_t said; /* a hash of its records */
    uint64_t count;
} life;

/* One run with everything recorded. */
typedef struct run {
    shoal_allocator memory;
    life lives[LIVES_MAX];
    uint32_t life_count;
    shoal_world_result result;
} run;

/* ---- recording ---- */

static life *life_of(run *r, uint32_t node, uint32_t start)
{
    for (uint32_t i = r->life_count; i-- > 0;) {
        if (r->lives[i].node == node && (start == 0 || r->lives[i].start == start))
            return &r->lives[i];
    }
    if (start == 0) return NULL;
    assert_true(r->life_count < LIVES_MAX);
    life *fresh = &r->lives[r->life_count++];
    *fresh = (life){.node = node, .start = start, .bytes = shoal_buffer_make(&r->memory)};
    return fresh;
}

static void take(void *context, uint32_t node, uint32_t start, shoal_slice bytes)
{
    shoal_buffer_append(&life_of(context, node, start)->bytes, bytes);
}

/* Records that the cluster of a node writes, but for log lines: other rooms write these too. */
static bool of_cluster(const shoal_trace_record *record)
{
    return record->kind > SHOAL_TRACE_LOG && record->kind < SHOAL_TRACE_RUN_START;
}

static void add_said(life *one, const shoal_trace_record *record)
{
    const shoal_trace_entry entry = {.record = *record};
    shoal_trace_hash(&one->said, &entry);
    one->count++;
}

static void hear_world(void *context, const shoal_trace_entry *entry)
{
    life *one = of_cluster(&entry->record) ? life_of(context, entry->node, 0) : NULL;
    if (one != NULL) add_said(one, &entry->record);
}

static void open_run(run *r, bool recorded)
{
    shoal_schedule schedule;
    memset(r, 0, sizeof *r);
    r->memory = shoal_allocator_default();
    sim_parse(SCHEDULE, &schedule);
    shoal_world *world = sim_world(&schedule, -1);
    shoal_world_set_tracer(world, hear_world, r);
    if (recorded) shoal_world_record(world, take, r);
    shoal_world_run(world);
    shoal_world_result_get(world, &r->result);
    r->result.expects = NULL;
    shoal_world_destroy(world);
    shoal_schedule_free(&schedule);
}

static void close_run(run *r)
{
    for (uint32_t i = 0; i < r->life_count; i++) shoal_buffer_free(&r->lives[i].bytes);
}

/* ---- playing ---- */

/* What a playback came to. */
typedef struct played {
    shoal_err error;
    shoal_playback_state state;
    shoal_playback_facts facts;
    char trouble[512];
    life said;
    uint64_t elections, votes;
} played;

static void hear_playback(void *context, const shoal_trace_entry *entry)
{
    played *p = context;
    p->elections += entry->record.kind == SHOAL_TRACE_ELECTION && entry->record.a == 2;
    p->votes += entry->record.kind == SHOAL_TRACE_VOTE;
    if (of_cluster(&entry->record)) add_said(&p->said, &entry->record);
}

static void keep_trouble(played *p, shoal_slice text)
{
    size_t size = text.size < sizeof p->trouble ? text.size : sizeof p->trouble - 1;
    if (size > 0) memcpy(p->trouble, text.data, size);
    p->trouble[size] = '\0';
}

static played play(shoal_slice bytes)
{
    played p = {0};
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer complaint = shoal_buffer_make(&memory);
    shoal_playback *playback = NULL;
    shoal_playback_options options = {.allocator = memory,
                                      .bytes = bytes,
                                      .entry = hear_playback,
                                      .context = &p};
    p.error = shoal_playback_open(&options, &complaint, &playback);
    keep_trouble(&p, shoal_buffer_slice(&complaint));
    shoal_buffer_free(&complaint);
    if (p.error != SHOAL_ERR_OK) return p;
    do {
        p.state = shoal_playback_next(playback);
    } while (p.state == SHOAL_PLAYBACK_MORE);
    assert_int_equal(shoal_playback_next(playback), p.state);
    shoal_playback_get(playback, &p.facts);
    keep_trouble(&p, p.facts.trouble);
    shoal_playback_close(playback);
    return p;
}

/* ---- a recording taken apart and put together again ---- */

/* The frame that begins at `at`: its size with its head. */
static size_t frame_size(shoal_slice bytes, size_t at)
{
    assert_true(bytes.size - at >= 8);
    return 8 + shoal_bytes_get_le32(bytes.data + at);
}

/* Puts the right check on the frame at `at`, which has this number. */
static void check_frame(char *bytes, size_t at, uint32_t number)
{
    shoal_slice body = {bytes + at + 8, shoal_bytes_get_le32(bytes + at)};
    shoal_bytes_put_le32(bytes + at + 4, (uint32_t)shoal_hash(body, number));
}

static char *copy_of(shoal_slice bytes)
{
    char *copy = malloc(bytes.size);
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.size);
    return copy;
}

/* ---- facts ---- */

static void every_life_of_every_node_replays_as_it_was_recorded(void **state)
{
    uint64_t elections = 0, votes = 0;
    run *r = *state;
    assert_int_equal(r->life_count, 7);
    for (uint32_t i = 0; i < r->life_count; i++) {
        life *one = &r->lives[i];
        played p = play(shoal_buffer_slice(&one->bytes));
        if (p.state != SHOAL_PLAYBACK_END)
            fail_msg("n%u life %u: %s", one->node + 1, one->start, p.trouble);
        assert_true(p.facts.inputs > 100 && p.facts.asked > 50);
        assert_int_equal(p.facts.torn, 0);
        assert_false(p.facts.inside);
        assert_int_equal(strlen(p.facts.name), SHOAL_NODE_NAME_LEN);
        /* What it says now is what the world heard it say, record by record. */
        assert_int_equal(p.said.count, one->count);
        assert_int_equal(p.said.said, one->said);
        elections += p.elections;
        votes += p.votes;
    }
    assert_true(elections >= 2);
    assert_true(votes >= 2);
}

static void recording_changes_nothing(void **state)
{
    (void)state;
    run with, without;
    open_run(&with, true);
    open_run(&without, false);
    assert_int_equal(with.result.trace_hash, without.result.trace_hash);
    assert_int_equal(with.result.event_hash, without.result.event_hash);
    assert_int_equal(without.life_count, 0);
    close_run(&with);
    close_run(&without);
}

static void a_cut_recording_is_good_up_to_its_last_whole_frame(void **state)
{
    uint64_t steps = 0;
    run *r = *state;
    shoal_slice whole = shoal_buffer_slice(&r->lives[0].bytes);
    if (whole.size > 12000) whole.size = 12000;
    for (size_t size = 0; size < whole.size; size += 173) {
        char *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, whole.data, size);
        played p = play((shoal_slice){copy, size});
        if (p.error != SHOAL_ERR_OK) {
            assert_true(size < 200);
            assert_true(p.error == SHOAL_ERR_TRUNCATED || size < 8);
        } else {
            assert_int_equal(p.state, SHOAL_PLAYBACK_END);
            assert_true(p.facts.steps >= steps);
            steps = p.facts.steps;
        }
        free(copy);
    }
    assert_true(steps > 50);
}

static void zeros_behind_the_last_frame_are_what_a_file_system_left(void **state)
{
    run *r = *state;
    shoal_buffer bytes = shoal_buffer_make(&r->memory);
    char zeros[4096] = {0};
    shoal_buffer_append(&bytes, shoal_buffer_slice(&r->lives[0].bytes));
    shoal_buffer_append(&bytes, (shoal_slice){zeros, sizeof zeros});
    played p = play(shoal_buffer_slice(&bytes));
    shoal_buffer_free(&bytes);
    assert_int_equal(p.state, SHOAL_PLAYBACK_END);
    assert_int_equal(p.facts.torn, sizeof zeros);
}

static void a_damaged_byte_is_refused_with_the_place_of_its_frame(void **state)
{
    run *r = *state;
    shoal_slice whole = shoal_buffer_slice(&r->lives[0].bytes);
    char *copy = copy_of(whole);
    char words[64];
    size_t at = 16 + frame_size(whole, 16);
    for (uint32_t i = 0; i < 20; i++) {
        size_t size = frame_size(whole, at);
        copy[at + 8 + i % (size - 8)] ^= 0x10;
        played p = play((shoal_slice){copy, whole.size});
        assert_int_equal(p.state, SHOAL_PLAYBACK_DAMAGED);
        snprintf(words, sizeof words, "frame at byte %zu of the file", at);
        assert_non_null(strstr(p.trouble, words));
        copy[at + 8 + i % (size - 8)] ^= 0x10;
        at += size;
    }
    free(copy);
}

/* Byte by byte: whatever is different, somebody notices, unless it is a text for people. */
static void what_is_changed_in_a_recording_is_found(void **state)
{
    uint32_t differs = 0, damaged = 0, same = 0;
    run *r = *state;
    shoal_slice whole = shoal_buffer_slice(&r->lives[1].bytes);
    if (whole.size > 10000) whole.size = 10000;
    char *copy = copy_of(whole);
    size_t at = 16;
    for (uint32_t number = 0; at + 8 < whole.size; number++) {
        size_t size = frame_size(whole, at);
        if (at + size > whole.size) break;
        for (size_t i = 8 + number % 7; number > 0 && i < size; i += 47) {
            copy[at + i] ^= 1;
            check_frame(copy, at, number);
            played p = play((shoal_slice){copy, whole.size});
            assert_int_equal(p.error, SHOAL_ERR_OK);
            differs += p.state == SHOAL_PLAYBACK_DIFFERS;
            damaged += p.state == SHOAL_PLAYBACK_DAMAGED;
            same += p.state == SHOAL_PLAYBACK_END;
            copy[at + i] ^= 1;
            check_frame(copy, at, number);
        }
        at += size;
    }
    print_message("%u different, %u damaged, %u the same\n", differs, damaged, same);
    assert_true(differs > 50);
    assert_true(same < (differs + damaged) / 2);
    free(copy);
}

static void another_seed_is_another_node(void **state)
{
    run *r = *state;
    shoal_slice whole = shoal_buffer_slice(&r->lives[0].bytes);
    char *copy = copy_of(whole);
    shoal_slice body = {copy + 24, frame_size(whole, 16) - 8};
    /* Behind two texts with their sizes. */
    size_t seed = 1 + 1 + (uint8_t)body.data[1];
    seed += 1 + (uint8_t)body.data[seed];
    copy[24 + seed] ^= 1;
    check_frame(copy, 16, 0);
    played p = play((shoal_slice){copy, whole.size});
    assert_int_equal(p.state, SHOAL_PLAYBACK_DIFFERS);
    assert_non_null(strstr(p.trouble, "step "));
    assert_non_null(strstr(p.trouble, "creation"));
    assert_non_null(strstr(p.trouble, "deadline"));
    free(copy);
}

static void a_recording_may_end_inside_a_step(void **state)
{
    uint32_t inside = 0;
    run *r = *state;
    shoal_slice whole = shoal_buffer_slice(&r->lives[0].bytes);
    size_t at = 16;
    for (uint32_t number = 0; number < 6; number++) {
        size_t size = frame_size(whole, at);
        for (size_t kept = 9; number > 0 && kept < size; kept += 11) {
            char *copy = copy_of((shoal_slice){whole.data, at + kept});
            shoal_bytes_put_le32(copy + at, (uint32_t)(kept - 8));
            check_frame(copy, at, number);
            played p = play((shoal_slice){copy, at + kept});
            assert_int_not_equal(p.state, SHOAL_PLAYBACK_DIFFERS);
            inside += p.state == SHOAL_PLAYBACK_END && p.facts.inside;
            free(copy);
        }
        at += size;
    }
    assert_true(inside > 3);
}

static void another_version_of_the_format_is_refused(void **state)
{
    run *r = *state;
    shoal_slice whole = shoal_buffer_slice(&r->lives[0].bytes);
    char *copy = copy_of(whole);
    copy[8] = 2;
    played p = play((shoal_slice){copy, whole.size});
    assert_int_equal(p.error, SHOAL_ERR_UNSUPPORTED);
    assert_non_null(strstr(p.trouble, "version 2"));
    p = play(shoal_text("SHOALTRC\1\0\0\0\0\0\0\0"));
    assert_int_equal(p.error, SHOAL_ERR_MALFORMED);
    free(copy);
}

static int set_up(void **state)
{
    run *r = malloc(sizeof *r);
    if (r == NULL) return -1;
    open_run(r, true);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    close_run(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_life_of_every_node_replays_as_it_was_recorded),
        cmocka_unit_test(recording_changes_nothing),
        cmocka_unit_test(a_cut_recording_is_good_up_to_its_last_whole_frame),
        cmocka_unit_test(zeros_behind_the_last_frame_are_what_a_file_system_left),
        cmocka_unit_test(a_damaged_byte_is_refused_with_the_place_of_its_frame),
        cmocka_unit_test(what_is_changed_in_a_recording_is_found),
        cmocka_unit_test(another_seed_is_another_node),
        cmocka_unit_test(a_recording_may_end_inside_a_step),
        cmocka_unit_test(another_version_of_the_format_is_refused),
    };
    return cmocka_run_group_tests_name("sim_replay", tests, set_up, tear_down);
}
