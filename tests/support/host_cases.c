/* SPDX-License-Identifier: MIT
 *
 * The cases of support/host_cases.h: what each makes the nodes do, and what it waits to see.
 * What must hold of every event in every case is checked by support/host_actor.c.
 */
#include "host_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_actor.h"
#include "host_clients.h"
#include "host_files.h"

static shoal_case_actor *one(shoal_case_trial *trial)
{
    return &trial->actors[0];
}

static shoal_case_actor *other(shoal_case_trial *trial)
{
    return &trial->actors[1];
}

static shoal_address address_of(shoal_case_trial *trial, uint32_t node)
{
    return trial->world.address(trial->world.context, node);
}

static bool one_is_started(shoal_case_trial *trial)
{
    return one(trial)->starts == 1;
}

static bool both_are_started(shoal_case_trial *trial)
{
    return one(trial)->starts == 1 && other(trial)->starts == 1;
}

/* Starts node 1, which is there to be connected to, then node 0, which the case is about. */
static void start_pair(shoal_case_trial *trial, shoal_case_reaction react,
                       shoal_case_reaction react_other)
{
    shoal_case_start_actor(trial, 1, react_other);
    shoal_case_start_actor(trial, 0, react);
    shoal_case_await(trial, both_are_started);
}

/* ---- START, TICK, NUDGED ---- */

static void the_first_event_is_start_and_it_comes_once(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, NULL, NULL);
    assert_int_equal(one(trial)->starts, 1);
}

static void ask_for_a_tick(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) actor->deadline = event->now.mono_us + 30000;
    if (event->kind == SHOAL_EVENT_TICK) actor->deadline = INT64_MAX;
}

static bool one_ticked(shoal_case_trial *trial)
{
    return one(trial)->ticks == 1;
}

static void a_tick_comes_at_the_deadline_and_not_before(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, ask_for_a_tick);
    shoal_case_await(trial, one_ticked);
}

static void ask_for_late_ticks(shoal_case_actor *actor, const shoal_event *event)
{
    actor->deadline = actor->ticks < 3 ? event->now.mono_us - 1 : INT64_MAX;
}

static bool one_ticked_thrice(shoal_case_trial *trial)
{
    return one(trial)->ticks == 3;
}

static void a_deadline_in_the_past_ticks_at_once(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, ask_for_late_ticks);
    shoal_case_await(trial, one_ticked_thrice);
}

/* Ten nudges a step keep a host busy; the tick must come all the same. */
static void nudge_for_ever(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) actor->deadline = event->now.mono_us + 20000;
    if (event->kind == SHOAL_EVENT_TICK) actor->deadline = INT64_MAX;
    for (int i = 0; i < 10 && actor->ticks == 0; i++) shoal_case_nudge(actor);
}

static void nudges_do_not_keep_a_tick_away(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, nudge_for_ever);
    shoal_case_await(trial, one_ticked);
}

static void nudge_at_start(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) shoal_case_nudge(actor);
    if (event->kind == SHOAL_EVENT_NUDGED && actor->nudges == 1) shoal_case_nudge(actor);
}

static bool one_was_nudged_twice(shoal_case_trial *trial)
{
    return one(trial)->nudges == 2;
}

static void a_nudge_while_the_actor_runs_leads_to_one_more_run(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, nudge_at_start);
    shoal_case_await(trial, one_was_nudged_twice);
}

/* ---- R1 ---- */

static void do_everything(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_nudge(actor);
    shoal_link up = shoal_case_open_link(actor, address_of(actor->trial, 1));
    shoal_case_open_link(actor, actor->trial->world.nowhere(actor->trial->world.context));
    shoal_case_send(actor, up, (shoal_slice){"early", 5});
    shoal_case_close_link(actor, up);
    shoal_case_append(actor, SHOAL_FILE_NODES_NEW, "text", 1);
    shoal_case_sync(actor, SHOAL_FILE_NODES_NEW, 2);
    shoal_case_read(actor, SHOAL_FILE_NODES_NEW, 3);
    shoal_case_rename(actor, SHOAL_FILE_NODES, 4);
    shoal_case_remove(actor, SHOAL_FILE_NODES, 5);
}

static bool everything_came_later(shoal_case_trial *trial)
{
    return one(trial)->nudges == 1 && one(trial)->downs == 2 && one(trial)->done_count == 5;
}

static void no_operation_calls_back(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, do_everything, NULL);
    shoal_case_await(trial, everything_came_later);
}

/* ---- R2, R3 ---- */

/* Bytes that a stream is made of: position i holds `i % 251`. */
static void fill_pattern(char *bytes, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (char)((from + i) % 251);
}

static size_t pattern_length(const shoal_case_link *link)
{
    size_t i = 0;
    while (i < link->received_size && (unsigned char)link->received[i] == i % 251) i++;
    return i;
}

/* Sends `count` pieces whose sizes vary up to `size_max`; returns the bytes. */
static size_t send_pattern(shoal_case_actor *actor, shoal_link link, int count, size_t size_max)
{
    char *piece = malloc(size_max);
    size_t total = 0;
    for (int i = 0; i < count && piece; i++) {
        size_t size = 1 + ((size_t)i * 7919) % size_max;
        fill_pattern(piece, total, size);
        shoal_case_send(actor, link, (shoal_slice){piece, size});
        total += size;
    }
    free(piece);
    return total;
}

static void open_to_other(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) shoal_case_open_link(actor, address_of(actor->trial, 1));
}

static bool both_are_up(shoal_case_trial *trial)
{
    return one(trial)->link_count == 1 && other(trial)->link_count == 1 &&
           one(trial)->links[0].life == SHOAL_CASE_UP &&
           other(trial)->links[0].life == SHOAL_CASE_UP;
}

static void a_link_comes_up_at_both_ends_with_both_addresses(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, open_to_other, NULL);
    shoal_case_await(trial, both_are_up);
    const shoal_case_link *opened = &one(trial)->links[0];
    const shoal_case_link *accepted = &other(trial)->links[0];
    shoal_address listening = address_of(trial, 1);
    assert_false(opened->accepted);
    assert_true(accepted->accepted);
    assert_string_equal(opened->peer.ip, listening.ip);
    assert_int_equal(opened->peer.port, listening.port);
    assert_string_equal(accepted->local.ip, listening.ip);
    assert_int_equal(accepted->local.port, listening.port);
    assert_string_equal(accepted->peer.ip, opened->local.ip);
    assert_int_equal(accepted->peer.port, opened->local.port);
}

static void send_pieces_when_up(shoal_case_actor *actor, const shoal_event *event)
{
    open_to_other(actor, event);
    if (event->kind == SHOAL_EVENT_LINK_UP) send_pattern(actor, event->link, 1000, 3000);
}

static bool pieces_arrived(shoal_case_trial *trial)
{
    size_t expected = 0;
    for (size_t i = 0; i < 1000; i++) expected += 1 + (i * 7919) % 3000;
    return other(trial)->link_count == 1 && other(trial)->links[0].received_size >= expected;
}

static void lent_bytes_arrive_as_they_were_and_in_order(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, send_pieces_when_up, NULL);
    shoal_case_await(trial, pieces_arrived);
    const shoal_case_link *link = &other(trial)->links[0];
    assert_int_equal(pattern_length(link), link->received_size);
}

static void answer_with_the_same(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_LINK_DATA) shoal_case_send(actor, event->link, event->data);
}

static bool pieces_came_back(shoal_case_trial *trial)
{
    return pieces_arrived(trial) &&
           one(trial)->links[0].received_size == other(trial)->links[0].received_size;
}

static void bytes_of_an_event_can_be_sent_on(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, send_pieces_when_up, answer_with_the_same);
    shoal_case_await(trial, pieces_came_back);
    const shoal_case_link *link = &one(trial)->links[0];
    assert_int_equal(pattern_length(link), link->received_size);
}

/* 256 pieces of half of 128 KiB on average: 16 MiB at least in one step. */
static void send_a_flood_when_up(shoal_case_actor *actor, const shoal_event *event)
{
    open_to_other(actor, event);
    if (event->kind == SHOAL_EVENT_LINK_UP) send_pattern(actor, event->link, 300, 128 << 10);
}

static bool flood_is_over(shoal_case_trial *trial)
{
    size_t expected = 0;
    for (size_t i = 0; i < 300; i++) expected += 1 + (i * 7919) % (128 << 10);
    return one(trial)->links[0].room_count == 1 && other(trial)->link_count == 1 &&
           other(trial)->links[0].received_size == expected;
}

static void a_link_says_when_it_is_full_and_when_there_is_room(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, send_a_flood_when_up, NULL);
    shoal_case_await(trial, flood_is_over);
    assert_int_equal(one(trial)->links[0].full_count, 1);
    const shoal_case_link *link = &other(trial)->links[0];
    assert_int_equal(pattern_length(link), link->received_size);
}

/* Pauses at its first bytes, and goes on at the third tick, a tenth of a second later each; what it
 * says meanwhile goes out. */
static void pause_at_data(shoal_case_actor *actor, const shoal_event *event)
{
    static const char word[] = "still here";
    if (event->kind == SHOAL_EVENT_LINK_DATA && actor->ticks == 0) {
        shoal_case_pause_link(actor, event->link, true);
        actor->deadline = event->now.mono_us + 100000;
    }
    if (event->kind != SHOAL_EVENT_TICK) return;
    shoal_link link = actor->links[0].link;
    actor->deadline = actor->ticks < 3 ? event->now.mono_us + 100000 : INT64_MAX;
    shoal_case_send(actor, link, (shoal_slice){word, sizeof word - 1});
    if (actor->ticks == 3) shoal_case_pause_link(actor, link, false);
}

static bool flood_was_taken(shoal_case_trial *trial)
{
    return flood_is_over(trial) && one(trial)->links[0].received_size == 30;
}

static void a_paused_link_keeps_its_bytes_until_it_goes_on(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, send_a_flood_when_up, pause_at_data);
    shoal_case_await(trial, flood_was_taken);
    const shoal_case_link *link = &other(trial)->links[0];
    assert_int_equal(pattern_length(link), link->received_size);
    assert_int_equal(other(trial)->ticks, 3);
}

static void pause_at_data_for_good(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_LINK_DATA) shoal_case_pause_link(actor, event->link, true);
}

/* Speaks as long as the link is up: who has gone answers that with a reset. */
static void pause_and_speak(shoal_case_actor *actor, const shoal_event *event)
{
    pause_at_data_for_good(actor, event);
    if (actor->link_count == 0 || actor->links[0].life != SHOAL_CASE_UP) {
        actor->deadline = INT64_MAX;
        return;
    }
    actor->deadline = event->now.mono_us + 10000;
    if (event->kind == SHOAL_EVENT_TICK)
        shoal_case_send(actor, actor->links[0].link, (shoal_slice){"\n", 1});
}

static bool other_pauses(shoal_case_trial *trial)
{
    return other(trial)->link_count == 1 && other(trial)->links[0].paused;
}

static bool other_is_down(shoal_case_trial *trial)
{
    return other(trial)->downs == 1;
}

static void a_paused_link_whose_peer_died_goes_down(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, send_a_flood_when_up, pause_and_speak);
    shoal_case_await(trial, other_pauses);
    trial->world.stop(trial->world.context, 0);
    shoal_case_await(trial, other_is_down);
}

static void pause_and_close(shoal_case_actor *actor, const shoal_event *event)
{
    pause_at_data_for_good(actor, event);
    if (event->kind == SHOAL_EVENT_LINK_DATA) shoal_case_close_link(actor, event->link);
}

static bool both_are_down(shoal_case_trial *trial)
{
    return one(trial)->downs == 1 && other(trial)->downs == 1;
}

static void a_paused_link_can_be_closed(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, send_a_flood_when_up, pause_and_close);
    shoal_case_await(trial, both_are_down);
    assert_int_equal(other(trial)->links[0].down_error, SHOAL_ERR_CLOSED);
}

static void open_to_nowhere(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_open_link(actor, actor->trial->world.nowhere(actor->trial->world.context));
}

static bool one_link_is_down(shoal_case_trial *trial)
{
    return one(trial)->downs == 1;
}

static void a_link_to_nobody_goes_down_as_refused(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, open_to_nowhere);
    shoal_case_await(trial, one_link_is_down);
    assert_int_equal(one(trial)->links[0].down_error, SHOAL_ERR_REFUSED);
}

/* Closes at the first byte, and then does what must have no effect. */
static void close_at_data(shoal_case_actor *actor, const shoal_event *event)
{
    open_to_other(actor, event);
    if (event->kind == SHOAL_EVENT_LINK_UP) {
        shoal_case_send(actor, event->link, (shoal_slice){"a", 1});
    } else if (event->kind == SHOAL_EVENT_LINK_DATA) {
        shoal_case_close_link(actor, event->link);
        shoal_case_send(actor, event->link, (shoal_slice){"b", 1});
    } else if (event->kind == SHOAL_EVENT_LINK_DOWN) {
        shoal_case_send(actor, event->link, (shoal_slice){"c", 1});
        shoal_case_close_link(actor, event->link);
        shoal_case_nudge(actor);
    }
}

/* Answers in many pieces, so that some are on their way when the other end closes. */
static void answer_at_length(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_LINK_DATA) send_pattern(actor, event->link, 100, 3000);
}

static bool both_ends_are_down(shoal_case_trial *trial)
{
    return one(trial)->downs == 1 && other(trial)->downs == 1 && one(trial)->nudges == 1;
}

static void closing_ends_a_link_at_both_ends_and_for_good(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, close_at_data, answer_at_length);
    shoal_case_await(trial, both_ends_are_down);
    assert_int_equal(one(trial)->links[0].down_error, SHOAL_ERR_CLOSED);
    assert_int_equal(other(trial)->links[0].down_error, SHOAL_ERR_RESET);
    assert_int_equal(other(trial)->links[0].received_size, 1);
}

static void open_and_close_often(shoal_case_actor *actor, const shoal_event *event)
{
    bool next = event->kind == SHOAL_EVENT_START || event->kind == SHOAL_EVENT_LINK_DOWN;
    if (event->kind == SHOAL_EVENT_LINK_UP) shoal_case_close_link(actor, event->link);
    if (next && actor->link_count < 100) {
        shoal_link link = shoal_case_open_link(actor, address_of(actor->trial, 1));
        if (actor->link_count % 2) shoal_case_close_link(actor, link);
    }
}

static bool a_hundred_links_are_down(shoal_case_trial *trial)
{
    return one(trial)->downs == 100;
}

static void names_of_links_are_never_used_again(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, open_and_close_often, NULL);
    shoal_case_await(trial, a_hundred_links_are_down);
}

static void a_node_that_dies_takes_its_links_down(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, open_to_other, NULL);
    shoal_case_await(trial, both_are_up);
    trial->world.stop(trial->world.context, 0);
    shoal_case_await(trial, other_is_down);
}

/* ---- R5 ---- */

/* Causes of steps from every side at once: bytes, files, nudges, ticks. */
static void be_busy(shoal_case_actor *actor, const shoal_event *event)
{
    open_to_other(actor, event);
    if (actor->ticks >= 20) {
        actor->deadline = INT64_MAX;
        return;
    }
    if (actor->deadline == INT64_MAX || event->kind == SHOAL_EVENT_TICK) {
        actor->deadline = event->now.mono_us + 1000;
        shoal_case_nudge(actor);
        if (actor->job_count < 10) shoal_case_append(actor, SHOAL_FILE_NODES, "busy", 7);
    }
    if (event->kind == SHOAL_EVENT_LINK_UP) send_pattern(actor, event->link, 100, 1000);
    if (event->kind == SHOAL_EVENT_LINK_DATA) shoal_case_send(actor, event->link, event->data);
}

static bool one_has_been_busy(shoal_case_trial *trial)
{
    return one(trial)->ticks >= 20 && one(trial)->nudges > 0 && one(trial)->done_count > 0;
}

static void steps_of_one_node_never_overlap(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, be_busy, answer_with_the_same);
    shoal_case_await(trial, one_has_been_busy);
}

/* ---- busy ---- */

/* What it was nudged for before comes at once, a tick that is due behind it. */
static void be_busy_for_a_while(shoal_case_actor *actor, const shoal_event *event)
{
    bool early = event->now.mono_us < actor->busy_until;
    if (early != (event->kind == SHOAL_EVENT_NUDGED)) actor->misplaced++;
    if (event->kind == SHOAL_EVENT_TICK) actor->deadline = INT64_MAX;
    if (event->kind != SHOAL_EVENT_START) return;
    actor->busy_until = event->now.mono_us + 80000;
    shoal_case_nudge(actor);
    actor->host.busy(actor->host.context, actor->busy_until);
    actor->host.busy(actor->host.context, event->now.mono_us + 20000);
    actor->deadline = event->now.mono_us + 5000;
}

static bool one_is_busy_no_more(shoal_case_trial *trial)
{
    return one(trial)->ticks == 1 && one(trial)->nudges == 1;
}

static void a_busy_node_takes_no_step_until_it_is_over(void **state)
{
    shoal_case_trial *trial = *state;
    start_pair(trial, be_busy_for_a_while, NULL);
    shoal_case_await(trial, one_is_busy_no_more);
    assert_int_equal(one(trial)->misplaced, 0);
}

static void a_busy_node_can_be_stopped(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, be_busy_for_a_while);
    shoal_case_await(trial, one_is_started);
    trial->world.stop(trial->world.context, 0);
    assert_int_equal(one(trial)->ticks, 0);
}

static void a_node_starts_again_after_it_was_stopped(void **state)
{
    shoal_case_trial *trial = *state;
    for (int i = 0; i < 3; i++) {
        shoal_case_start_actor(trial, 0, nudge_at_start);
        shoal_case_await(trial, one_is_started);
        trial->world.stop(trial->world.context, 0);
    }
}

/* ---- the group ---- */

/* Comes in as the driver's `open`, goes out as a trial on a fresh world. */
typedef struct case_driver {
    shoal_case_world (*open)(void);
} case_driver;

static int open_trial(void **state)
{
    const case_driver *driver = *state;
    shoal_case_trial *made = calloc(1, sizeof *made);
    if (made == NULL) return -1;
    pthread_mutex_init(&made->lock, NULL);
    made->world = driver->open();
    *state = made;
    return 0;
}

static int close_trial(void **state)
{
    shoal_case_trial *trial = *state;
    trial->world.close(trial->world.context);
    for (uint32_t i = 0; i < SHOAL_CASE_NODES; i++) {
        shoal_case_actor *actor = &trial->actors[i];
        for (int k = 0; k < actor->link_count; k++) free(actor->links[k].received);
    }
    pthread_mutex_destroy(&trial->lock);
    free(trial);
    return 0;
}

int shoal_host_cases_run(const char *name, shoal_case_world (*open)(void))
{
    case_driver driver = {.open = open};
#define CASE(function) \
    cmocka_unit_test_prestate_setup_teardown(function, open_trial, close_trial, &driver)
    const struct CMUnitTest tests[] = {
        CASE(the_first_event_is_start_and_it_comes_once),
        CASE(a_tick_comes_at_the_deadline_and_not_before),
        CASE(a_deadline_in_the_past_ticks_at_once),
        CASE(nudges_do_not_keep_a_tick_away),
        CASE(a_nudge_while_the_actor_runs_leads_to_one_more_run),
        CASE(no_operation_calls_back),
        CASE(a_link_comes_up_at_both_ends_with_both_addresses),
        CASE(lent_bytes_arrive_as_they_were_and_in_order),
        CASE(bytes_of_an_event_can_be_sent_on),
        CASE(a_link_says_when_it_is_full_and_when_there_is_room),
        CASE(a_paused_link_keeps_its_bytes_until_it_goes_on),
        CASE(a_paused_link_whose_peer_died_goes_down),
        CASE(a_paused_link_can_be_closed),
        CASE(a_link_to_nobody_goes_down_as_refused),
        CASE(closing_ends_a_link_at_both_ends_and_for_good),
        CASE(names_of_links_are_never_used_again),
        CASE(a_node_that_dies_takes_its_links_down),
        CASE(shoal_case_a_link_to_a_client_port_talks_resp_with_that_node),
        CASE(shoal_case_a_session_that_ends_takes_its_link_down),
        CASE(shoal_case_a_closed_link_ends_its_session),
        CASE(shoal_case_file_operations_end_in_the_order_they_were_asked_for),
        CASE(shoal_case_a_missing_file_is_not_found_and_removing_it_is_no_error),
        CASE(shoal_case_a_rename_replaces_the_other_file),
        CASE(shoal_case_synced_and_renamed_bytes_survive_a_crash),
        CASE(shoal_case_parts_of_a_named_file_are_read_up_to_its_end),
        CASE(shoal_case_a_named_file_is_found_by_its_name_and_not_its_number),
        CASE(shoal_case_a_truncated_file_goes_on_where_it_was_cut),
        CASE(shoal_case_numbers_without_a_good_name_fail),
        CASE(shoal_case_a_named_file_is_renamed_and_removed_like_others),
        CASE(shoal_case_appends_without_a_tag_come_in_order_while_syncs_run),
        CASE(shoal_case_synced_bytes_of_a_named_file_survive_a_crash),
        CASE(steps_of_one_node_never_overlap),
        CASE(a_busy_node_takes_no_step_until_it_is_over),
        CASE(a_busy_node_can_be_stopped),
        CASE(a_node_starts_again_after_it_was_stopped),
    };
#undef CASE
    return _cmocka_run_group_tests(name, tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
