/* SPDX-License-Identifier: MIT
 *
 * The replica's end of a replication link, against a master that is this test: what is said, what
 * becomes of a snapshot however it is cut, how a stream goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "repl/repl.h"
#include "support/command_box.h"
#include "support/test.h"

#define ID "0123456789abcdef0123456789abcdef01234567"
#define OTHER_ID "89abcdef0123456789abcdef0123456789abcdef"
#define MARK "MARKmarkMARKmarkMARKmarkMARKmarkMARKmark"
#define SYNC_FILE ((shoal_file)20)
#define SEND_FILE ((shoal_file)21)

/* File operations that have been asked for and not been answered. */
#define JOBS 256

static struct world {
    command_box box;
    shoal_repl *repl;
    shoal_repl_settings settings;
    shoal_link link; /* open, or 0 */
    uint32_t opened;
    bool paused;          /* the link is */
    shoal_buffer said;    /* on the link */
    shoal_buffer file;    /* the snapshot */
    shoal_buffer applied; /* the stream */
    shoal_event jobs[JOBS];
    uint32_t job_count;
    uint64_t loaded; /* size that was to be loaded, or 0 */
    uint32_t changes, fulls;
    uint32_t mastered;              /* of the changes: those that told that this node is a master */
    char id[SHOAL_REPL_ID_LEN + 1]; /* of the history at the last of these */
    bool other;                     /* the master is another */
    bool busy;                      /* a command of the last stream is under way */
} w;

/* ---- the host ---- */

static shoal_link open_link(void *context, const shoal_address *peer)
{
    (void)context;
    assert_string_equal(peer->ip, w.other ? "10.0.0.2" : "10.0.0.1");
    assert_int_equal(w.link, 0);
    w.paused = false;
    return w.link = ++w.opened;
}

static void pause_link(void *context, shoal_link link, bool paused)
{
    (void)context;
    assert_int_equal(link, w.link);
    assert_int_not_equal(paused, w.paused);
    w.paused = paused;
}

static void send_link(void *context, shoal_link link, shoal_slice bytes)
{
    (void)context;
    assert_int_equal(link, w.link);
    shoal_buffer_append(&w.said, bytes);
}

static void close_link(void *context, shoal_link link)
{
    (void)context;
    assert_int_equal(link, w.link);
    w.link = 0;
}

static void add_job(shoal_file_op op, uint64_t tag)
{
    assert_true(w.job_count < JOBS);
    w.jobs[w.job_count++] =
        (shoal_event){.kind = SHOAL_EVENT_FILE_DONE, .file = SYNC_FILE, .op = op, .tag = tag};
}

static void append_file(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    (void)context;
    assert_int_equal(file, SYNC_FILE);
    shoal_buffer_append(&w.file, bytes);
    add_job(SHOAL_FILE_APPEND, tag);
}

static void sync_file(void *context, shoal_file file, uint64_t tag)
{
    (void)context;
    assert_int_equal(file, SYNC_FILE);
    add_job(SHOAL_FILE_SYNC, tag);
}

static void remove_file(void *context, shoal_file file, uint64_t tag)
{
    (void)context;
    assert_int_equal(file, SYNC_FILE);
    shoal_buffer_consume(&w.file, shoal_buffer_size(&w.file));
    add_job(SHOAL_FILE_REMOVE, tag);
}

static void trace(void *context, const shoal_trace_record *record)
{
    (void)context;
    (void)record;
}

/* ---- the rooms beside it ---- */

static bool start_snapshot(void *context)
{
    (void)context;
    return false;
}

static void stop_snapshot(void *context)
{
    (void)context;
}

static void load(void *context, shoal_file file, uint64_t size)
{
    (void)context;
    assert_int_equal(file, SYNC_FILE);
    w.loaded = size;
}

static void apply(void *context, shoal_slice bytes)
{
    (void)context;
    shoal_buffer_append(&w.applied, bytes);
}

static bool reset(void *context)
{
    (void)context;
    return !w.busy;
}

static void changed(void *context)
{
    (void)context;
    w.changes++;
    shoal_repl_facts got;
    shoal_repl_facts_get(w.repl, &got);
    if (got.is_replica) return;
    w.mastered++;
    snprintf(w.id, sizeof w.id, "%s", got.id);
}

static void full(void *context, shoal_repl_why why, shoal_slice detail)
{
    (void)context;
    assert_int_equal(why, SHOAL_REPL_WHY_FROM_MASTER);
    assert_true(detail.size > 0);
    w.fulls++;
}

static int begin(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    command_box_open(&w.box, 1, false);
    command_box_log(&w.box);
    w.box.host.link_open = open_link;
    w.box.host.link_send = send_link;
    w.box.host.link_close = close_link;
    w.box.host.link_pause = pause_link;
    w.box.host.file_append = append_file;
    w.box.host.file_sync = sync_file;
    w.box.host.file_remove = remove_file;
    w.box.host.trace = trace;
    w.said = w.file = w.applied = shoal_buffer_make(&w.box.env.allocator);
    shoal_repl_options options = {
        .allocator = w.box.env.allocator,
        .host = &w.box.host,
        .env = &w.box.env,
        .writer = 1,
        .seed = {1, 2},
        .snapshot_file = SEND_FILE,
        .sync_file = SYNC_FILE,
        .face = {NULL, start_snapshot, stop_snapshot, load, apply, reset, changed, full},
        .now = w.box.now,
    };
    assert_int_equal(shoal_repl_create(&options, &w.repl), SHOAL_ERR_OK);
    w.settings = (shoal_repl_settings){.port = 7001,
                                       .ping_period_us = 10000000,
                                       .timeout_us = 60000000,
                                       .backlog_size = 1 << 20};
    shoal_repl_set(w.repl, &w.settings);
    return 0;
}

static int end(void **state)
{
    (void)state;
    shoal_repl_destroy(w.repl);
    shoal_buffer_free(&w.said);
    shoal_buffer_free(&w.file);
    shoal_buffer_free(&w.applied);
    command_box_close(&w.box);
    return 0;
}

/* ---- the master's words ---- */

static void hear(shoal_event event)
{
    event.now = w.box.now;
    event.link = w.link;
    assert_true(shoal_repl_event(w.repl, &event));
}

static void hear_bytes(const char *bytes, size_t size)
{
    if (w.link == 0) return;
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_DATA, .data = {bytes, size}});
}

static void hear_text(const char *text)
{
    hear_bytes(text, strlen(text));
}

static void finish_jobs(void)
{
    for (uint32_t i = 0; i < w.job_count; i++) {
        w.jobs[i].now = w.box.now;
        assert_true(shoal_repl_event(w.repl, &w.jobs[i]));
    }
    w.job_count = 0;
}

/* Time passes, and timers run. */
static void wait_ms(int64_t ms)
{
    command_box_sleep(&w.box, ms);
    shoal_repl_tick(w.repl, w.box.now);
}

/* What was said since the last time. */
static void said(const char *text)
{
    test_slice_is(shoal_buffer_slice(&w.said), text);
    shoal_buffer_consume(&w.said, shoal_buffer_size(&w.said));
}

static void follow(void)
{
    shoal_address master = {.ip = "10.0.0.1", .port = 7000};
    shoal_repl_follow(w.repl, &master);
    wait_ms(100);
    assert_int_not_equal(w.link, 0);
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_UP});
}

/* Up to the answer to PSYNC. */
static void shake_hands(const char *psync)
{
    said("*1\r\n$4\r\nPING\r\n");
    hear_text("+PONG\r\n");
    said("*3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n7001\r\n");
    hear_text("+OK\r\n");
    said("*5\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n");
    hear_text("+OK\r\n");
    said(psync);
}

#define FRESH "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"

/* A whole synchronisation at offset 1000. */
static void synchronize(void)
{
    follow();
    shake_hands(FRESH);
    hear_text("+FULLRESYNC " ID " 1000\r\n$5\r\nHELLO");
    finish_jobs();
    assert_int_equal(w.loaded, 5);
    assert_int_equal(w.fulls, 1);
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    said("*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$4\r\n1000\r\n");
}

static shoal_repl_facts facts(void)
{
    shoal_repl_facts got;
    shoal_repl_facts_get(w.repl, &got);
    return got;
}

/* ---- */

static void a_snapshot_is_loaded_when_all_of_it_is_kept(void **state)
{
    (void)state;
    synchronize();
    test_slice_is(shoal_buffer_slice(&w.file), "HELLO");
    assert_true(facts().link_up);
    assert_string_equal(facts().id, ID);
    assert_int_equal(facts().offset, 1000);
    hear_text("*1\r\n$4\r\nPING\r\n");
    test_slice_is(shoal_buffer_slice(&w.applied), "*1\r\n$4\r\nPING\r\n");
}

static void a_snapshot_may_be_cut_anywhere(void **state)
{
    (void)state;
    static const char content[] = "some MARKof it\r\n-mark";
    static const char stream[] = "\n+FULLRESYNC " ID " 77\r\n\n\n$EOF:" MARK "\r\n"
                                 "some MARKof it\r\n-mark" MARK;
    for (size_t cut = 1; cut < sizeof stream - 1; cut++) {
        end(NULL);
        begin(NULL);
        follow();
        shake_hands(FRESH);
        hear_bytes(stream, cut);
        finish_jobs();
        hear_bytes(stream + cut, sizeof stream - 1 - cut);
        finish_jobs();
        assert_int_equal(w.loaded, strlen(content));
        test_slice_is(shoal_buffer_slice(&w.file), content);
    }
}

static void a_mark_ends_a_snapshot_whose_size_is_not_known(void **state)
{
    (void)state;
    follow();
    shake_hands(FRESH);
    hear_text("+FULLRESYNC " ID " 5\r\n");
    hear_text("$EOF:" MARK "\r\n");
    for (const char *c = "abc" MARK; *c != '\0'; c++) hear_bytes(c, 1);
    finish_jobs();
    assert_int_equal(w.loaded, 3);
    test_slice_is(shoal_buffer_slice(&w.file), "abc");
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    assert_int_equal(facts().offset, 5);
}

static void the_stream_that_comes_while_it_loads_is_kept(void **state)
{
    (void)state;
    follow();
    shake_hands(FRESH);
    hear_text("+FULLRESYNC " ID " 5\r\n$2\r\nxy");
    finish_jobs();
    hear_text("*1\r\n$4\r\n");
    hear_text("PING\r\n");
    assert_int_equal(shoal_buffer_size(&w.applied), 0);
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    test_slice_is(shoal_buffer_slice(&w.applied), "*1\r\n$4\r\nPING\r\n");
}

/* Bytes of a stream, a piece of 16 KiB after the other, until the link rests. */
static size_t hear_until_paused(void)
{
    static char piece[16 << 10];
    size_t heard = 0;
    memset(piece, 'p', sizeof piece);
    for (; !w.paused && heard < (16 << 20); heard += sizeof piece) hear_bytes(piece, sizeof piece);
    return heard;
}

static void a_link_rests_while_a_snapshot_is_loaded_from_a_megabyte_on(void **state)
{
    (void)state;
    follow();
    shake_hands(FRESH);
    hear_text("+FULLRESYNC " ID " 5\r\n$2\r\nxy");
    finish_jobs();
    assert_int_equal(w.loaded, 2);
    assert_int_equal(hear_until_paused(), 1 << 20);
    /* Its time-out rests too, and the master still hears of this end. */
    for (int i = 0; i < 120; i++) wait_ms(1000);
    assert_int_not_equal(w.link, 0);
    assert_int_equal(shoal_buffer_size(&w.said), 120);
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    assert_int_equal(shoal_buffer_size(&w.applied), 1 << 20);
    assert_false(w.paused);
    assert_true(facts().link_up);
    wait_ms(59000);
    assert_true(facts().link_up);
}

static void a_link_rests_while_the_last_of_a_snapshot_is_not_in_its_file(void **state)
{
    (void)state;
    follow();
    shake_hands(FRESH);
    hear_text("+FULLRESYNC " ID " 5\r\n$2\r\nxy");
    assert_int_equal(w.loaded, 0);
    assert_int_equal(hear_until_paused(), 1 << 20);
    for (int i = 0; i < 120; i++) wait_ms(1000);
    finish_jobs();
    assert_int_equal(w.loaded, 2);
    assert_true(w.paused);
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    assert_false(w.paused);
}

static void a_link_rests_while_a_disk_is_slower_than_it(void **state)
{
    (void)state;
    follow();
    shake_hands(FRESH);
    hear_text("+FULLRESYNC " ID " 5\r\n$1000000000\r\n");
    assert_true(hear_until_paused() <= 64 * (16 << 10));
    for (int i = 0; i < 120; i++) wait_ms(1000);
    assert_int_not_equal(w.link, 0);
    finish_jobs();
    assert_false(w.paused);
    assert_int_equal(w.opened, 1);
    /* A master that is silent then is given up as ever. */
    for (int i = 0; i < 63; i++) wait_ms(1000);
    assert_int_equal(w.opened, 2);
}

static void a_link_that_is_lost_while_it_rests_is_opened_again(void **state)
{
    (void)state;
    follow();
    shake_hands(FRESH);
    hear_text("+FULLRESYNC " ID " 5\r\n$2\r\nxy");
    finish_jobs();
    (void)hear_until_paused();
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_DOWN});
    w.link = 0;
    wait_ms(2000);
    assert_int_equal(w.link, 0);
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    assert_int_equal(shoal_buffer_size(&w.applied), 0);
    wait_ms(1100);
    assert_int_not_equal(w.link, 0);
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_UP});
    shake_hands("*3\r\n$5\r\nPSYNC\r\n$40\r\n" ID "\r\n$1\r\n6\r\n");
}

static void who_becomes_a_master_while_its_link_rests_closes_it(void **state)
{
    (void)state;
    follow();
    shake_hands(FRESH);
    hear_text("+FULLRESYNC " ID " 5\r\n$2\r\nxy");
    finish_jobs();
    (void)hear_until_paused();
    shoal_repl_follow(w.repl, NULL);
    assert_int_equal(w.link, 0);
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    assert_int_equal(shoal_buffer_size(&w.applied), 0);
    assert_false(facts().is_replica);
}

static void a_link_rests_while_much_of_its_stream_waits(void **state)
{
    (void)state;
    synchronize();
    shoal_repl_waiting(w.repl, (1 << 20) - 1);
    assert_false(w.paused);
    shoal_repl_waiting(w.repl, 1 << 20);
    assert_true(w.paused);
    for (int i = 0; i < 120; i++) wait_ms(1000);
    assert_true(facts().link_up);
    shoal_repl_waiting(w.repl, 1 << 19);
    assert_true(w.paused);
    shoal_repl_waiting(w.repl, (1 << 19) - 1);
    assert_false(w.paused);
    assert_int_equal(w.opened, 1);
    for (int i = 0; i < 63; i++) wait_ms(1000);
    assert_int_equal(w.opened, 2);
}

static void a_lost_link_goes_on_where_it_was(void **state)
{
    (void)state;
    synchronize();
    shoal_log_append_raw(w.box.log, 1, (shoal_slice){"0123456789", 10});
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_DOWN});
    w.link = 0;
    assert_false(facts().link_up);
    wait_ms(1100);
    assert_int_not_equal(w.link, 0);
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_UP});
    shake_hands("*3\r\n$5\r\nPSYNC\r\n$40\r\n" ID "\r\n$4\r\n1011\r\n");
    hear_text("+CONTINUE " OTHER_ID "\r\nmore");
    assert_true(facts().link_up);
    assert_string_equal(facts().id, OTHER_ID);
    assert_string_equal(facts().id2, ID);
    assert_int_equal(facts().second_offset, 1011);
    test_slice_is(shoal_buffer_slice(&w.applied), "more");
}

static void who_follows_nobody_goes_on_with_a_new_history(void **state)
{
    (void)state;
    synchronize();
    shoal_repl_follow(w.repl, NULL);
    assert_int_equal(w.link, 0);
    assert_false(facts().is_replica);
    assert_string_equal(facts().id2, ID);
    assert_int_equal(facts().second_offset, 1001);
    assert_string_not_equal(facts().id, ID);
}

static void a_master_that_cannot_yet_is_asked_again(void **state)
{
    (void)state;
    follow();
    shake_hands(FRESH);
    hear_text("-NOMASTERLINK Can't SYNC while not connected with my master\r\n");
    assert_int_equal(w.link, 0);
    wait_ms(500);
    assert_int_equal(w.link, 0);
    wait_ms(600);
    assert_int_not_equal(w.link, 0);
}

static void a_silent_master_is_given_up(void **state)
{
    (void)state;
    synchronize();
    for (int i = 0; i < 59; i++) wait_ms(1000);
    assert_int_not_equal(w.link, 0);
    wait_ms(2000);
    assert_int_equal(w.link, 0);
    assert_false(facts().link_up);
}

static void offsets_are_acknowledged_each_second(void **state)
{
    (void)state;
    synchronize();
    wait_ms(500);
    said("");
    wait_ms(600);
    said("*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$4\r\n1000\r\n");
    shoal_repl_acknowledge(w.repl);
    said("*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$4\r\n1000\r\n");
}

static void a_password_is_sent_where_there_is_one(void **state)
{
    (void)state;
    w.settings.master_user = shoal_text("joe");
    w.settings.master_auth = shoal_text("secret");
    shoal_repl_set(w.repl, &w.settings);
    follow();
    said("*1\r\n$4\r\nPING\r\n");
    hear_text("-NOAUTH Authentication required.\r\n");
    said("*3\r\n$4\r\nAUTH\r\n$3\r\njoe\r\n$6\r\nsecret\r\n");
    hear_text("-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert_int_equal(w.link, 0);
}

static void the_next_link_waits_for_what_is_under_way_of_the_last_stream(void **state)
{
    (void)state;
    synchronize();
    w.busy = true;
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_DOWN});
    w.link = 0;
    uint32_t opened = w.opened;
    for (int i = 0; i < 100; i++) wait_ms(100);
    assert_int_equal(w.opened, opened);
    w.busy = false;
    wait_ms(100);
    assert_int_equal(w.opened, opened + 1);
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_UP});
    shake_hands("*3\r\n$5\r\nPSYNC\r\n$40\r\n" ID "\r\n$4\r\n1001\r\n");
}

static void who_moves_to_another_master_is_no_master_in_between(void **state)
{
    (void)state;
    synchronize();
    w.mastered = 0;
    uint32_t changes = w.changes;
    w.other = true;
    shoal_address other = {.ip = "10.0.0.2", .port = 7000};
    shoal_repl_follow(w.repl, &other);
    wait_ms(100);
    assert_int_not_equal(w.link, 0);
    assert_true(w.changes > changes);
    assert_int_equal(w.mastered, 0);
}

static void who_becomes_a_master_is_told_so_once_it_has_a_history_of_its_own(void **state)
{
    (void)state;
    synchronize();
    w.mastered = 0;
    shoal_repl_follow(w.repl, NULL);
    assert_int_equal(w.mastered, 1);
    assert_string_not_equal(w.id, ID);
    assert_string_equal(w.id, facts().id);
}

static void nonsense_ends_the_link_and_nothing_else(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "+FULLRESYNC short 5\r\n",
        "+FULLRESYNC " ID " -5\r\n",
        "+FULLRESYNC " ID "\r\n",
        "+CONTINUE\r\n",
        "?\r\n",
        "+FULLRESYNC " ID " 5\r\n$-4\r\n",
        "+FULLRESYNC " ID " 5\r\nHU\r\n",
        "+FULLRESYNC " ID " 99999999999999999999\r\n",
        "+FULLRESYNC " ID " 5\r\n$EOF:short\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        end(NULL);
        begin(NULL);
        follow();
        shake_hands(FRESH);
        hear_text(answers[i]);
        assert_int_equal(w.link, 0);
        assert_int_equal(w.loaded, 0);
        finish_jobs();
        wait_ms(1100);
        assert_int_not_equal(w.link, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_snapshot_is_loaded_when_all_of_it_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(a_snapshot_may_be_cut_anywhere, begin, end),
        cmocka_unit_test_setup_teardown(a_mark_ends_a_snapshot_whose_size_is_not_known, begin, end),
        cmocka_unit_test_setup_teardown(the_stream_that_comes_while_it_loads_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(a_link_rests_while_a_snapshot_is_loaded_from_a_megabyte_on,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            a_link_rests_while_the_last_of_a_snapshot_is_not_in_its_file, begin, end),
        cmocka_unit_test_setup_teardown(a_link_rests_while_a_disk_is_slower_than_it, begin, end),
        cmocka_unit_test_setup_teardown(a_link_that_is_lost_while_it_rests_is_opened_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(who_becomes_a_master_while_its_link_rests_closes_it, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_link_rests_while_much_of_its_stream_waits, begin, end),
        cmocka_unit_test_setup_teardown(a_lost_link_goes_on_where_it_was, begin, end),
        cmocka_unit_test_setup_teardown(who_follows_nobody_goes_on_with_a_new_history, begin, end),
        cmocka_unit_test_setup_teardown(a_master_that_cannot_yet_is_asked_again, begin, end),
        cmocka_unit_test_setup_teardown(a_silent_master_is_given_up, begin, end),
        cmocka_unit_test_setup_teardown(offsets_are_acknowledged_each_second, begin, end),
        cmocka_unit_test_setup_teardown(a_password_is_sent_where_there_is_one, begin, end),
        cmocka_unit_test_setup_teardown(
            the_next_link_waits_for_what_is_under_way_of_the_last_stream, begin, end),
        cmocka_unit_test_setup_teardown(who_moves_to_another_master_is_no_master_in_between, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            who_becomes_a_master_is_told_so_once_it_has_a_history_of_its_own, begin, end),
        cmocka_unit_test_setup_teardown(nonsense_ends_the_link_and_nothing_else, begin, end),
    };
    return cmocka_run_group_tests_name("repl_link", tests, NULL, NULL);
}
