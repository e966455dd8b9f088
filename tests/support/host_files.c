/* SPDX-License-Identifier: MIT
 *
 * The cases of support/host_files.h: what is asked of files at START, and what must have come of
 * it.
 */
#include "host_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_actor.h"

/* Numbers of named files. */
#define FIRST SHOAL_FILE_NAMED
#define SECOND ((shoal_file)(SHOAL_FILE_NAMED + 1))
#define LAST ((shoal_file)(SHOAL_FILE_LIMIT - 1))

static shoal_case_actor *one(shoal_case_trial *trial)
{
    return &trial->actors[0];
}

/* ---- files of fixed roles ---- */

static void work_on_files(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind != SHOAL_EVENT_START) return;
    for (uint64_t i = 0; i < 40; i++) {
        shoal_case_append(actor, SHOAL_FILE_NODES_NEW, "0123456789", 4 * i);
        shoal_case_sync(actor, SHOAL_FILE_NODES_NEW, 4 * i + 1);
        shoal_case_append(actor, SHOAL_FILE_NODES, "x", 4 * i + 2);
        shoal_case_read(actor, SHOAL_FILE_NODES_NEW, 4 * i + 3);
    }
}

static bool work_is_done(shoal_case_trial *trial)
{
    return one(trial)->done_count == 160;
}

void shoal_case_file_operations_end_in_the_order_they_were_asked_for(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, work_on_files);
    shoal_case_await(trial, work_is_done);
    for (int i = 0; i < 160; i++) assert_int_equal(one(trial)->done_errors[i], SHOAL_ERR_OK);
}

static void look_for_nothing(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_read(actor, SHOAL_FILE_NODES, 1);
    shoal_case_remove(actor, SHOAL_FILE_NODES, 2);
    shoal_case_append(actor, SHOAL_FILE_NODES, "now", 3);
    shoal_case_read(actor, SHOAL_FILE_NODES, 4);
    shoal_case_remove(actor, SHOAL_FILE_NODES, 5);
    shoal_case_read(actor, SHOAL_FILE_NODES, 6);
}

static bool six_are_done(shoal_case_trial *trial)
{
    return one(trial)->done_count == 6;
}

void shoal_case_a_missing_file_is_not_found_and_removing_it_is_no_error(void **state)
{
    static const shoal_err expected[] = {SHOAL_ERR_NOT_FOUND, SHOAL_ERR_OK, SHOAL_ERR_OK,
                                         SHOAL_ERR_OK,        SHOAL_ERR_OK, SHOAL_ERR_NOT_FOUND};
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, look_for_nothing);
    shoal_case_await(trial, six_are_done);
    for (int i = 0; i < 6; i++) assert_int_equal(one(trial)->done_errors[i], expected[i]);
    assert_int_equal(one(trial)->content_size, 3);
    assert_memory_equal(one(trial)->content, "now", 3);
}

/* Replaces the file the safe way: new content in a new file, synced, renamed over the old. A
 * rename is ordered as an operation of its source, so the target is read when it is done. */
static void replace_file(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->op == SHOAL_FILE_RENAME) shoal_case_read(actor, SHOAL_FILE_NODES, 6);
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_append(actor, SHOAL_FILE_NODES, "old", 1);
    shoal_case_append(actor, SHOAL_FILE_NODES_NEW, "new ", 2);
    shoal_case_append(actor, SHOAL_FILE_NODES_NEW, "content", 3);
    shoal_case_sync(actor, SHOAL_FILE_NODES_NEW, 4);
    shoal_case_rename(actor, SHOAL_FILE_NODES, 5);
}

static void check_new_content(shoal_case_trial *trial)
{
    assert_int_equal(one(trial)->content_size, 11);
    assert_memory_equal(one(trial)->content, "new content", 11);
}

void shoal_case_a_rename_replaces_the_other_file(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, replace_file);
    shoal_case_await(trial, six_are_done);
    check_new_content(trial);
}

static void read_at_start(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_read(actor, SHOAL_FILE_NODES, 1);
    shoal_case_read(actor, SHOAL_FILE_NODES_NEW, 2);
}

static bool two_are_done(shoal_case_trial *trial)
{
    return one(trial)->done_count == 2;
}

void shoal_case_synced_and_renamed_bytes_survive_a_crash(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, replace_file);
    shoal_case_await(trial, six_are_done);
    trial->world.stop(trial->world.context, 0);
    shoal_case_start_actor(trial, 0, read_at_start);
    shoal_case_await(trial, two_are_done);
    check_new_content(trial);
    /* The operations of two files may end in either order. */
    int second = one(trial)->done_tags[0] == 2 ? 0 : 1;
    assert_int_equal(one(trial)->done_errors[second], SHOAL_ERR_NOT_FOUND);
}

/* ---- named files ---- */

static bool four_are_done(shoal_case_trial *trial)
{
    return one(trial)->done_count == 4;
}

static void check_errors(shoal_case_trial *trial, const shoal_err *expected, int count)
{
    assert_int_equal(one(trial)->done_count, count);
    for (int i = 0; i < count; i++) assert_int_equal(one(trial)->done_errors[i], expected[i]);
}

static void check_content(shoal_case_trial *trial, const char *expected)
{
    assert_int_equal(one(trial)->content_size, strlen(expected));
    assert_memory_equal(one(trial)->content, expected, strlen(expected));
}

/* The next part is read when the former is there, so that the case sees each. */
static void read_parts(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) {
        shoal_case_name(actor, FIRST, "folder/inner/file");
        shoal_case_append(actor, FIRST, "0123456789", 1);
        shoal_case_read_part(actor, FIRST, (shoal_case_part){2, 5}, 2);
    } else if (event->tag == 2 && actor->content_size == 5 &&
               memcmp(actor->content, "23456", 5) == 0) {
        shoal_case_read_part(actor, FIRST, (shoal_case_part){8, 5}, 3);
    } else if (event->tag == 3 && actor->content_size == 2 &&
               memcmp(actor->content, "89", 2) == 0) {
        shoal_case_read_part(actor, FIRST, (shoal_case_part){10, 5}, 4);
    }
}

void shoal_case_parts_of_a_named_file_are_read_up_to_its_end(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, read_parts);
    shoal_case_await(trial, four_are_done);
    check_errors(trial, (shoal_err[4]){0}, 4);
    check_content(trial, "");
    assert_int_equal(one(trial)->file_size, 10);
}

static void rebind(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) {
        shoal_case_name(actor, FIRST, "one");
        shoal_case_append(actor, FIRST, "of one", 1);
    } else if (event->tag == 1) {
        shoal_case_name(actor, FIRST, "two");
        shoal_case_append(actor, FIRST, "of two", 2);
    } else if (event->tag == 2) {
        shoal_case_name(actor, LAST, "one");
        shoal_case_append(actor, LAST, ", again", 3);
        shoal_case_read(actor, LAST, 4);
    }
}

void shoal_case_a_named_file_is_found_by_its_name_and_not_its_number(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, rebind);
    shoal_case_await(trial, four_are_done);
    check_errors(trial, (shoal_err[4]){0}, 4);
    check_content(trial, "of one, again");
}

static void truncate_often(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_name(actor, FIRST, "file");
    shoal_case_truncate(actor, FIRST, 0, 1);
    shoal_case_append(actor, FIRST, "0123456789", 2);
    shoal_case_truncate(actor, FIRST, 11, 3);
    shoal_case_truncate(actor, FIRST, 4, 4);
    shoal_case_append(actor, FIRST, "x", 5);
    shoal_case_read(actor, FIRST, 6);
}

void shoal_case_a_truncated_file_goes_on_where_it_was_cut(void **state)
{
    static const shoal_err expected[] = {SHOAL_ERR_NOT_FOUND, SHOAL_ERR_OK, SHOAL_ERR_INVALID,
                                         SHOAL_ERR_OK,        SHOAL_ERR_OK, SHOAL_ERR_OK};
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, truncate_often);
    shoal_case_await(trial, six_are_done);
    check_errors(trial, expected, 6);
    check_content(trial, "0123x");
}

static void use_bad_names(shoal_case_actor *actor, const shoal_event *event)
{
    static const char *const bad[] = {"", "/absolute", "../up", "a/../../b", "a//b", "a/"};
    if (event->kind != SHOAL_EVENT_START) return;
    for (int i = 0; i < 6; i++) {
        shoal_file file = (shoal_file)(FIRST + i);
        if (i > 0) shoal_case_name(actor, file, bad[i]);
        shoal_case_append(actor, file, "text", 7);
    }
}

void shoal_case_numbers_without_a_good_name_fail(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, use_bad_names);
    shoal_case_await(trial, six_are_done);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(one(trial)->done_errors[i], SHOAL_ERR_INVALID);
    }
}

static void rename_named(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->tag == 3) shoal_case_read(actor, SECOND, 4);
    if (event->tag == 4) shoal_case_remove(actor, SECOND, 5);
    if (event->tag == 5) shoal_case_read(actor, SECOND, 6);
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_name(actor, FIRST, "folder/temporary");
    shoal_case_name(actor, SECOND, "folder/name");
    shoal_case_append(actor, FIRST, "content", 1);
    shoal_case_sync(actor, FIRST, 2);
    shoal_case_rename_named(actor, FIRST, SECOND, 3);
}

void shoal_case_a_named_file_is_renamed_and_removed_like_others(void **state)
{
    static const shoal_err expected[] = {SHOAL_ERR_OK, SHOAL_ERR_OK, SHOAL_ERR_OK,
                                         SHOAL_ERR_OK, SHOAL_ERR_OK, SHOAL_ERR_NOT_FOUND};
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, rename_named);
    shoal_case_await(trial, six_are_done);
    check_errors(trial, expected, 6);
    check_content(trial, "content");
}

/* A sync is always under way, until the case has its twenty pieces in the file. */
static void sync_for_ever(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind == SHOAL_EVENT_START) shoal_case_name(actor, FIRST, "folder/log");
    if (event->op == SHOAL_FILE_READ) return;
    if (actor->ticks == 20) {
        shoal_case_read(actor, FIRST, 2);
    } else {
        shoal_case_sync(actor, FIRST, 1);
    }
}

/* Appends a piece each time that it is asked; on the real host the caller is not the thread of
 * the control actor. */
static bool twenty_are_there(shoal_case_trial *trial)
{
    shoal_case_actor *actor = one(trial);
    char piece[32];
    if (actor->starts == 0) return false;
    if (actor->ticks < 20) {
        snprintf(piece, sizeof piece, "piece %03d;", actor->ticks++);
        actor->host.file_append(actor->host.context, FIRST, (shoal_slice){piece, 10}, 0);
        memset(piece, 'x', sizeof piece);
    }
    return actor->content_size > 0;
}

void shoal_case_appends_without_a_tag_come_in_order_while_syncs_run(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, sync_for_ever);
    shoal_case_await(trial, twenty_are_there);
    assert_int_equal(one(trial)->content_size, 200);
    for (int i = 0; i < 20; i++) {
        char piece[32];
        snprintf(piece, sizeof piece, "piece %03d;", i);
        assert_memory_equal(one(trial)->content + 10 * i, piece, 10);
    }
}

static void append_and_sync(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_name(actor, FIRST, "folder/log");
    shoal_case_append(actor, FIRST, "this ", 1);
    actor->host.file_append(actor->host.context, FIRST, (shoal_slice){"stays", 5}, 0);
    shoal_case_sync(actor, FIRST, 2);
}

static void read_again(shoal_case_actor *actor, const shoal_event *event)
{
    if (event->kind != SHOAL_EVENT_START) return;
    shoal_case_name(actor, LAST, "folder/log");
    shoal_case_name(actor, SECOND, "folder/other");
    shoal_case_read(actor, LAST, 1);
    shoal_case_read(actor, SECOND, 2);
}

void shoal_case_synced_bytes_of_a_named_file_survive_a_crash(void **state)
{
    shoal_case_trial *trial = *state;
    shoal_case_start_actor(trial, 0, append_and_sync);
    shoal_case_await(trial, two_are_done);
    trial->world.stop(trial->world.context, 0);
    shoal_case_start_actor(trial, 0, read_again);
    shoal_case_await(trial, two_are_done);
    check_content(trial, "this stays");
}
