/* SPDX-License-Identifier: MIT
 *
 * tests/model/picture.c - the picture's state is a function of the trace: what each kind of entry
 * does to it, and what the panels make of it, without a terminal and without a simulation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "viz/model/model.h"
#include "viz/panels/panels.h"

#define NAME_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NAME_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void tell(shoal_model *model, int64_t time_us, uint32_t node, shoal_trace_record record)
{
    shoal_trace_entry entry = {.time_us = time_us, .node = node, .record = record};
    shoal_model_apply(model, &entry);
}

static shoal_slice text(const char *words)
{
    return (shoal_slice){words, strlen(words)};
}

/* Two nodes that run: A claims the lower half, B the upper, and both know it. */
static shoal_model *two_nodes(void)
{
    shoal_model *model = shoal_model_make();
    assert_non_null(model);
    static const char *const started[] = {"n1 10.0.0.1", "n2 10.0.0.2"};
    static const char *const names[] = {NAME_A, NAME_B};
    for (uint32_t n = 0; n < 2; n++) {
        tell(model, 0, n,
             (shoal_trace_record){.kind = SHOAL_TRACE_NODE_STARTED,
                                  .a = 7000,
                                  .text = text(started[n])});
        tell(model, 10, n, (shoal_trace_record){.kind = SHOAL_TRACE_READY, .text = text(names[n])});
    }
    for (uint32_t n = 0; n < 2; n++) {
        tell(model, 20, n,
             (shoal_trace_record){
                 .kind = SHOAL_TRACE_SLOTS, .a = 8192, .b = 1, .text = text(NAME_A " 0-8191")});
        tell(model, 20, n,
             (shoal_trace_record){
                 .kind = SHOAL_TRACE_SLOTS, .a = 8192, .b = 2, .text = text(NAME_B " 8192-16383")});
        tell(model, 21, n, (shoal_trace_record){.kind = SHOAL_TRACE_EPOCH, .a = 2, .b = n + 1});
        tell(model, 30, n,
             (shoal_trace_record){.kind = SHOAL_TRACE_CLUSTER_STATE, .a = 1, .c = SHOAL_SLOTS});
    }
    return model;
}

static void every_slot_has_the_owner_that_claims_it(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    shoal_slot_view *slots = calloc(SHOAL_SLOTS, sizeof *slots);
    shoal_model_slots(model, SHOAL_VIEW_TRUTH, slots);
    for (uint32_t s = 0; s < SHOAL_SLOTS; s++) {
        const char *name = model->names[slots[s].owner - 1].name;
        assert_string_equal(name, s < 8192 ? NAME_A : NAME_B);
        assert_false(slots[s].failed);
        assert_false(slots[s].disputed);
    }
    free(slots);
    shoal_model_free(model);
}

static void a_slot_two_nodes_disagree_about_is_disputed_in_the_truth_only(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    tell(model, 40, 1,
         (shoal_trace_record){
             .kind = SHOAL_TRACE_SLOTS, .a = 8193, .b = 3, .text = text(NAME_B " 100 8192-16383")});
    shoal_slot_view *slots = calloc(SHOAL_SLOTS, sizeof *slots);
    shoal_model_slots(model, SHOAL_VIEW_TRUTH, slots);
    assert_true(slots[100].disputed);
    assert_false(slots[101].disputed);
    shoal_model_slots(model, 0, slots);
    assert_string_equal(model->names[slots[100].owner - 1].name, NAME_A);
    shoal_model_slots(model, 1, slots);
    assert_string_equal(model->names[slots[100].owner - 1].name, NAME_B);
    assert_false(slots[100].disputed);
    free(slots);
    shoal_model_free(model);
}

static void slots_named_again_replace_the_earlier_ones(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    tell(
        model, 40, 0,
        (shoal_trace_record){.kind = SHOAL_TRACE_SLOTS, .a = 1, .b = 1, .text = text(NAME_A " 5")});
    assert_int_equal(model->nodes[0].owner[4], 0);
    assert_int_not_equal(model->nodes[0].owner[5], 0);
    assert_int_equal(model->nodes[0].owner[6], 0);
    tell(model, 41, 0, (shoal_trace_record){.kind = SHOAL_TRACE_SLOTS, .text = text(NAME_A)});
    assert_int_equal(model->nodes[0].owner[5], 0);
    shoal_model_free(model);
}

static void a_crash_makes_its_slots_failed_and_a_start_mends_them(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    shoal_slot_view *slots = calloc(SHOAL_SLOTS, sizeof *slots);
    tell(model, 50, 1, (shoal_trace_record){.kind = SHOAL_TRACE_NODE_CRASHED, .text = text("n2")});
    shoal_model_slots(model, SHOAL_VIEW_TRUTH, slots);
    assert_true(slots[9000].failed);
    assert_false(slots[0].failed);
    shoal_model_slots(model, 0, slots);
    assert_false(slots[9000].failed); /* n1 has not noticed */
    tell(model, 60, 0, (shoal_trace_record){.kind = SHOAL_TRACE_FAIL, .text = text(NAME_B)});
    shoal_model_slots(model, 0, slots);
    assert_true(slots[9000].failed);
    tell(model, 70, 1,
         (shoal_trace_record){.kind = SHOAL_TRACE_NODE_STARTED,
                              .c = 1,
                              .text = text("n2 10.0.0.2")});
    assert_int_equal(model->nodes[1].starts, 2);
    assert_int_equal(model->nodes[1].owner[9000], 0); /* a new process knows nothing yet */
    free(slots);
    shoal_model_free(model);
}

static void suspicion_counts_running_nodes_only(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    uint32_t pfail, fail;
    tell(model, 50, 0, (shoal_trace_record){.kind = SHOAL_TRACE_PFAIL, .text = text(NAME_B)});
    shoal_model_suspicion(model, 1, &pfail, &fail);
    assert_int_equal(pfail, 1);
    tell(model, 51, 0, (shoal_trace_record){.kind = SHOAL_TRACE_FAIL, .text = text(NAME_B)});
    shoal_model_suspicion(model, 1, &pfail, &fail);
    assert_int_equal(pfail, 0);
    assert_int_equal(fail, 1);
    tell(model, 52, 0, (shoal_trace_record){.kind = SHOAL_TRACE_NODE_CRASHED});
    shoal_model_suspicion(model, 1, &pfail, &fail);
    assert_int_equal(fail, 0);
    shoal_model_free(model);
}

static void a_frame_is_in_flight_until_it_arrives(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    tell(model, 100, 0,
         (shoal_trace_record){.kind = SHOAL_TRACE_MESSAGE, .a = 1, .b = 0, .c = 300});
    tell(model, 110, 1, (shoal_trace_record){.kind = SHOAL_TRACE_MESSAGE, .a = 0, .b = 3, .c = 0});
    shoal_model_advance(model, 299);
    assert_int_equal(model->flight_count, 2);
    shoal_model_advance(model, 300);
    assert_int_equal(model->flight_count, 1); /* the lost one stays for a second */
    shoal_model_advance(model, 1000110);
    assert_int_equal(model->flight_count, 0);
    shoal_model_free(model);
}

static void hostile_records_change_nothing_outside_their_bounds(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    tell(model, 50, 5000000, (shoal_trace_record){.kind = SHOAL_TRACE_READY, .text = text(NAME_A)});
    tell(model, 50, 0,
         (shoal_trace_record){.kind = SHOAL_TRACE_SLOTS,
                              .text = text(NAME_A " 16000-99999999 x -3 7-")});
    tell(model, 50, 0, (shoal_trace_record){.kind = SHOAL_TRACE_SLOTS, .text = text("short 1-2")});
    tell(model, 50, 0, (shoal_trace_record){.kind = SHOAL_TRACE_PFAIL, .text = text("")});
    assert_int_equal(model->node_count, 2);
    assert_int_not_equal(model->nodes[0].owner[16383], 0);
    shoal_model_free(model);
}

/* The frame as text, in memory that the caller frees. */
static char *draw_text(const shoal_model *model, int width, int height)
{
    shoal_grid grid = shoal_grid_make(width, height);
    shoal_panels_state view = {.view = SHOAL_VIEW_TRUTH,
                               .paused = true,
                               .speed = 1,
                               .source = "test"};
    shoal_panels_draw(&grid, model, &view);
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);
    shoal_grid_print(&grid, file);
    fclose(file);
    shoal_grid_free(&grid);
    return out;
}

static void the_smallest_frame_shows_both_owners_and_every_row_of_slots(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    char *frame = draw_text(model, 80, 24);
    char row[65];
    memset(row, 'A', 64);
    row[64] = 0;
    assert_non_null(strstr(frame, row));
    memset(row, 'B', 64);
    assert_non_null(strstr(frame, row));
    assert_non_null(strstr(frame, "served 16384  unassigned 0  disputed 0"));
    assert_non_null(strstr(frame, "n1"));
    int lines = 0;
    for (const char *at = frame; *at; at++) lines += *at == '\n';
    assert_int_equal(lines, 24);
    free(frame);
    shoal_model_free(model);
}

static void frames_of_any_size_stay_inside_their_grid(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    for (int i = 0; i < 200; i++) {
        tell(model, 100 + i, 0,
             (shoal_trace_record){
                 .kind = SHOAL_TRACE_MESSAGE, .a = 1, .b = (uint64_t)i % 13, .c = 5000});
        tell(model, 100 + i, 0,
             (shoal_trace_record){.kind = SHOAL_TRACE_SAY, .text = text("a caption")});
    }
    for (int width = 80; width < 220; width += 7) {
        for (int height = 24; height < 100; height += 5) free(draw_text(model, width, height));
    }
    shoal_model_free(model);
}

static void news_call_nodes_by_their_labels(void **state)
{
    (void)state;
    shoal_model *model = two_nodes();
    tell(model, 40, 0,
         (shoal_trace_record){.kind = SHOAL_TRACE_WHY_NOT, .a = 1, .text = text(NAME_B)});
    const shoal_news *last = &model->news[(model->news_count - 1) % SHOAL_MODEL_NEWS_MAX];
    assert_string_equal(last->text, "not yet: the table of nodes is full (n2)");
    tell(model, 41, 0,
         (shoal_trace_record){.kind = SHOAL_TRACE_SAY, .text = text("x" NAME_B "b abba")});
    last = &model->news[(model->news_count - 1) % SHOAL_MODEL_NEWS_MAX];
    assert_string_equal(last->text, "x" NAME_B "b abba");
    shoal_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slot_has_the_owner_that_claims_it),
        cmocka_unit_test(a_slot_two_nodes_disagree_about_is_disputed_in_the_truth_only),
        cmocka_unit_test(slots_named_again_replace_the_earlier_ones),
        cmocka_unit_test(a_crash_makes_its_slots_failed_and_a_start_mends_them),
        cmocka_unit_test(suspicion_counts_running_nodes_only),
        cmocka_unit_test(a_frame_is_in_flight_until_it_arrives),
        cmocka_unit_test(hostile_records_change_nothing_outside_their_bounds),
        cmocka_unit_test(news_call_nodes_by_their_labels),
        cmocka_unit_test(the_smallest_frame_shows_both_owners_and_every_row_of_slots),
        cmocka_unit_test(frames_of_any_size_stay_inside_their_grid),
    };
    return cmocka_run_group_tests_name("the picture's model and panels", tests, NULL, NULL);
}
