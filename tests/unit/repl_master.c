/* SPDX-License-Identifier: MIT
 *
 * The master's end of replication links, with real sessions for the replicas and this test for the
 * control actor: who goes on where it was and who needs a snapshot, who is sent away, whom WAIT
 * counts. Where the node is a replica itself, this test is its master, too.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "command/replica.h"
#include "command/worker.h"
#include "repl/repl.h"
#include "support/command_box.h"
#include "support/test.h"

#define ID "0123456789abcdef0123456789abcdef01234567"
#define SYNC_FILE ((shoal_file)20)
#define SEND_FILE ((shoal_file)21)
#define SNAPSHOT "the snapshot"
#define READS 16

static struct world {
    command_box box;
    shoal_repl *repl;
    shoal_repl_settings settings;
    command_client replica, client;
    shoal_event reads[READS]; /* of the snapshot, not answered yet */
    uint32_t read_count;
    uint32_t snapshots, stops; /* asked for; given up */
    uint64_t ahead;            /* added to what WAIT says that its client has written */
    shoal_link link;           /* to this node's own master, or 0 */
    shoal_event jobs[READS];   /* on the file of its snapshot, not answered yet */
    uint32_t job_count;
    uint64_t loaded;    /* size of what replaces the data, or 0 */
    shoal_repl_why why; /* of the last full synchronisation, and in words */
    char detail[256];
} w;

/* ---- the host and the rooms beside it ---- */

static void read_part(void *context, shoal_file file, uint64_t offset, size_t size, uint64_t tag)
{
    (void)context;
    assert_int_equal(file, SEND_FILE);
    assert_true(w.read_count < READS && offset + size <= strlen(SNAPSHOT));
    w.reads[w.read_count++] = (shoal_event){.kind = SHOAL_EVENT_FILE_DONE,
                                            .file = SEND_FILE,
                                            .op = SHOAL_FILE_READ,
                                            .tag = tag,
                                            .data = {SNAPSHOT + offset, size}};
}

static shoal_link open_link(void *context, const shoal_address *peer)
{
    (void)context;
    assert_string_equal(peer->ip, "10.0.0.1");
    return ++w.link;
}

static void send_link(void *context, shoal_link link, shoal_slice bytes)
{
    (void)context;
    assert_int_equal(link, w.link);
    assert_true(bytes.size > 0);
}

static void close_link(void *context, shoal_link link)
{
    (void)context;
    assert_int_equal(link, w.link);
}

static void add_job(shoal_file_op op, uint64_t tag)
{
    assert_true(w.job_count < READS);
    w.jobs[w.job_count++] =
        (shoal_event){.kind = SHOAL_EVENT_FILE_DONE, .file = SYNC_FILE, .op = op, .tag = tag};
}

static void append_file(void *context, shoal_file file, shoal_slice bytes, uint64_t tag)
{
    (void)context;
    (void)bytes;
    assert_int_equal(file, SYNC_FILE);
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
    add_job(SHOAL_FILE_REMOVE, tag);
}

static void trace(void *context, const shoal_trace_record *record)
{
    (void)context;
    (void)record;
}

static bool start_snapshot(void *context)
{
    (void)context;
    w.snapshots++;
    return true;
}

static void stop_snapshot(void *context)
{
    (void)context;
    w.stops++;
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
    (void)bytes;
}

static bool forget(void *context)
{
    (void)context;
    return true;
}

static void nothing(void *context)
{
    (void)context;
}

static void full(void *context, shoal_repl_why why, shoal_slice detail)
{
    (void)context;
    w.why = why;
    snprintf(w.detail, sizeof w.detail, "%.*s", (int)detail.size, detail.data);
}

/* ---- the control actor ---- */

/* Runs what has come for it. */
static bool control(void)
{
    shoal_op *op = shoal_inbox_take(&w.box.control);
    bool any = op != NULL || w.read_count > 0;
    while (op != NULL) {
        shoal_op *first = op;
        op = op->next;
        shoal_errand *errand = (shoal_errand *)first;
        if (first->run != NULL) {
            first->run(first, NULL);
        } else if (errand->command->id == SHOAL_COMMAND_WAIT) {
            shoal_repl_wait(w.repl, errand, errand->after + w.ahead);
        } else {
            shoal_repl_psync(w.repl, errand);
        }
    }
    uint32_t count = w.read_count;
    shoal_event done[READS];
    memcpy(done, w.reads, sizeof done);
    w.read_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        done[i].now = w.box.now;
        assert_true(shoal_repl_event(w.repl, &done[i]));
    }
    return any;
}

/* Everything that follows from what was said. */
static void settle(void)
{
    do {
        command_box_settle(&w.box);
    } while (control());
}

static void wait_ms(int64_t ms)
{
    command_box_sleep(&w.box, ms);
    shoal_repl_tick(w.repl, w.box.now);
    settle();
}

static int begin(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    command_box_open(&w.box, 1, false);
    command_box_log(&w.box);
    w.box.host.file_read_part = read_part;
    w.box.host.link_open = open_link;
    w.box.host.link_send = send_link;
    w.box.host.link_close = close_link;
    w.box.host.file_append = append_file;
    w.box.host.file_sync = sync_file;
    w.box.host.file_remove = remove_file;
    w.box.host.trace = trace;
    shoal_repl_options options = {
        .allocator = w.box.env.allocator,
        .host = &w.box.host,
        .env = &w.box.env,
        .writer = 1,
        .seed = {1, 2},
        .snapshot_file = SEND_FILE,
        .sync_file = SYNC_FILE,
        .face = {NULL, start_snapshot, stop_snapshot, load, apply, forget, nothing, full},
        .now = w.box.now,
    };
    assert_int_equal(shoal_repl_create(&options, &w.repl), SHOAL_ERR_OK);
    w.settings = (shoal_repl_settings){.port = 7001,
                                       .ping_period_us = 100000000,
                                       .timeout_us = 60000000,
                                       .backlog_size = 1 << 20};
    shoal_repl_set(w.repl, &w.settings);
    /* A history that ends at 1000, and one of its own behind it. */
    shoal_repl_restore(w.repl, shoal_text(ID), 1000, false);
    client_open(&w.replica, &w.box, 0);
    client_open(&w.client, &w.box, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    client_close(&w.replica);
    client_close(&w.client);
    settle();
    shoal_repl_abandon(w.repl);
    settle();
    shoal_repl_destroy(w.repl);
    command_box_close(&w.box);
    return 0;
}

static shoal_repl_facts facts(void)
{
    shoal_repl_facts got;
    shoal_repl_facts_get(w.repl, &got);
    return got;
}

/* ---- what is said ---- */

static void append(const char *text)
{
    shoal_log_append_raw(w.box.log, 1, shoal_text(text));
}

static void says(command_client *client, const char *text)
{
    client_send(client, shoal_text(text));
    settle();
}

/* Checks what has come; "<id>" stands for the present id. */
static void got(command_client *client, const char *before, const char *behind)
{
    char text[256];
    snprintf(text, sizeof text, "%s%s%s", before, facts().id, behind);
    client_got(client, text);
}

/* The replica goes on at the end of the log. */
static void attach(void)
{
    char text[96];
    shoal_repl_facts now = facts();
    snprintf(text, sizeof text, "PSYNC %s %llu\r\n", now.id, (unsigned long long)now.offset + 1);
    says(&w.replica, "REPLCONF listening-port 7002 capa eof capa psync2\r\n");
    client_got(&w.replica, "+OK~");
    says(&w.replica, text);
    got(&w.replica, "+CONTINUE ", "~");
    assert_int_equal(facts().replicas, 1);
}

/* ---- this node's own master ---- */

static void hear(shoal_event event)
{
    event.now = w.box.now;
    event.link = w.link;
    assert_true(shoal_repl_event(w.repl, &event));
}

static void hear_text(const char *text)
{
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_DATA, .data = {text, strlen(text)}});
}

static void finish_jobs(void)
{
    for (uint32_t i = 0; i < w.job_count; i++) {
        w.jobs[i].now = w.box.now;
        assert_true(shoal_repl_event(w.repl, &w.jobs[i]));
    }
    w.job_count = 0;
}

/* The link to the master, up to the answer to PSYNC. */
static void join(void)
{
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_UP});
    hear_text("+PONG\r\n");
    hear_text("+OK\r\n");
    hear_text("+OK\r\n");
}

static void a_replica_of_the_former_history_goes_on_where_it_ended(void **state)
{
    (void)state;
    says(&w.replica, "REPLCONF capa psync2\r\n");
    client_got(&w.replica, "+OK~");
    append("behind");
    says(&w.replica, "PSYNC " ID " 1001\r\n");
    got(&w.replica, "+CONTINUE ", "~behind");
    append(" and more");
    settle();
    wait_ms(100);
    command_box_round(&w.box, 0);
    client_got(&w.replica, " and more");
    assert_int_equal(facts().partial_syncs, 1);
    assert_int_equal(facts().full_syncs, 0);
}

static void who_cannot_go_on_gets_a_snapshot_and_what_follows(void **state)
{
    static const char *const asks[] = {
        "PSYNC ? -1\r\n",                       /* nothing is known */
        "PSYNC " ID " 1002\r\n",                /* it went on when that history had ended */
        "PSYNC " ID " 900\r\n",                 /* before the backlog */
        "PSYNC f" ID " 1001\r\n",               /* no id */
        "PSYNC " ID " 9223372036854775807\r\n", /* no place */
    };
    (void)state;
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        end(NULL);
        begin(NULL);
        append("older");
        says(&w.replica, asks[i]);
        client_got(&w.replica, "");
        wait_ms(1);
        assert_int_equal(w.snapshots, 1);
        shoal_repl_snapshot_begun(w.repl, 1005);
        append("newer");
        settle();
        shoal_repl_snapshot_grown(w.repl, strlen(SNAPSHOT));
        shoal_repl_snapshot_ended(w.repl, SHOAL_ERR_OK);
        settle();
        got(&w.replica, "+FULLRESYNC ", " 1005~$12~" SNAPSHOT "newer");
        assert_int_equal(facts().full_syncs, 1);
        assert_int_equal(facts().replicas, 1);
        assert_int_equal(w.stops, 1);
    }
}

static void a_full_synchronisation_says_why_it_is_one_and_what_there_was(void **state)
{
    static const struct {
        const char *ask;
        shoal_repl_why why;
        const char *says;
    } cases[] = {
        {"PSYNC ? -1\r\n", SHOAL_REPL_WHY_NO_HISTORY,
         "asks from -1, here are 1001 to 1005; ?, here "},
        {"PSYNC " ID " 1002\r\n", SHOAL_REPL_WHY_FORKED,
         "asks from 1002, here are 1001 to 1005; " ID},
        {"PSYNC " ID " 900\r\n", SHOAL_REPL_WHY_BACKLOG_SHORT,
         "asks from 900, here are 1001 to 1005"},
        {"PSYNC f" ID " 1001\r\n", SHOAL_REPL_WHY_OTHER_HISTORY, "asks from 1001, "},
        {"SYNC\r\n", SHOAL_REPL_WHY_BY_SYNC, "asks from -1, "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        end(NULL);
        begin(NULL);
        append("older");
        says(&w.replica, cases[i].ask);
        assert_int_equal(w.why, cases[i].why);
        assert_non_null(strstr(w.detail, cases[i].says));
    }
    /* Who is of this history, but knows more of it than there is. */
    char text[96];
    snprintf(text, sizeof text, "PSYNC %s 5000\r\n", facts().id);
    end(NULL);
    begin(NULL);
    says(&w.replica, text);
    assert_int_equal(w.why, SHOAL_REPL_WHY_AHEAD);
    end(NULL);
    begin(NULL);
    attach();
    assert_int_equal(w.why, SHOAL_REPL_WHY_NONE);
}

static void an_offset_that_is_no_number_is_an_error(void **state)
{
    (void)state;
    says(&w.replica, "PSYNC " ID " here\r\n");
    client_got(&w.replica, "-ERR value is not an integer or out of range~");
    says(&w.replica, "PSYNC " ID " 18446744073709551615\r\n");
    client_got(&w.replica, "-ERR value is not an integer or out of range~");
    assert_true(shoal_repl_is_alone(w.repl));
    assert_int_equal(w.snapshots, 0);
}

static void two_that_ask_share_a_snapshot(void **state)
{
    (void)state;
    says(&w.replica, "PSYNC ? -1\r\n");
    says(&w.client, "PSYNC ? -1\r\n");
    wait_ms(1);
    shoal_repl_snapshot_begun(w.repl, 1000);
    shoal_repl_snapshot_grown(w.repl, strlen(SNAPSHOT));
    shoal_repl_snapshot_ended(w.repl, SHOAL_ERR_OK);
    settle();
    assert_int_equal(w.snapshots, 1);
    assert_int_equal(facts().replicas, 2);
    assert_int_equal(facts().full_syncs, 2);
}

static void a_snapshot_waits_for_more_who_ask_but_not_for_more_than_so_many(void **state)
{
    (void)state;
    w.settings.full_delay_us = 5000000;
    w.settings.full_replicas = 2;
    shoal_repl_set(w.repl, &w.settings);
    says(&w.replica, "REPLCONF capa eof\r\nPSYNC ? -1\r\n");
    wait_ms(1000);
    assert_int_equal(w.snapshots, 0);
    says(&w.client, "REPLCONF capa eof\r\nPSYNC ? -1\r\n");
    wait_ms(1);
    assert_int_equal(w.snapshots, 1);
}

static void what_the_slowest_has_not_taken_is_backlog_for_all(void **state)
{
    enum { BYTES = 64 << 10 };
    static char text[BYTES + 1];
    char asks[96];
    (void)state;
    memset(text, 'x', BYTES);
    w.settings.backlog_size = 16 << 10;
    shoal_repl_set(w.repl, &w.settings);
    says(&w.client, "PSYNC ? -1\r\n");
    wait_ms(1);
    /* It loads a snapshot that takes long, and then goes on here. */
    shoal_repl_snapshot_begun(w.repl, 1000);
    append(text);
    assert_int_equal(facts().backlog_bytes, BYTES);
    assert_int_equal(facts().waiting_bytes, BYTES - (16 << 10));
    snprintf(asks, sizeof asks, "PSYNC %s 1001\r\n", facts().id);
    says(&w.replica, asks);
    assert_int_equal(facts().partial_syncs, 1);
    client_close(&w.client);
    settle();
    wait_ms(100);
    command_box_round(&w.box, 0);
    assert_int_equal(facts().backlog_bytes, 16 << 10);
    assert_int_equal(facts().waiting_bytes, 0);
}

static void a_snapshot_that_fails_sends_away_those_it_was_for(void **state)
{
    (void)state;
    says(&w.replica, "PSYNC ? -1\r\n");
    wait_ms(1);
    shoal_repl_snapshot_begun(w.repl, 1000);
    settle();
    shoal_repl_snapshot_ended(w.repl, SHOAL_ERR_IO);
    settle();
    assert_null(w.replica.session);
    assert_true(shoal_repl_is_alone(w.repl));
}

static void a_replica_that_has_just_asked_is_not_silent(void **state)
{
    (void)state;
    command_box_sleep(&w.box, 120000);
    shoal_repl_tick(w.repl, w.box.now);
    says(&w.replica, "REPLCONF capa psync2\r\n");
    client_got(&w.replica, "+OK~");
    client_send(&w.replica, shoal_text("PSYNC " ID " 1001\r\n"));
    /* Its worker has not heard the answer yet when timers run. */
    assert_true(control());
    command_box_sleep(&w.box, 100);
    shoal_repl_tick(w.repl, w.box.now);
    settle();
    got(&w.replica, "+CONTINUE ", "~");
    assert_int_equal(facts().replicas, 1);
}

static void one_whose_words_want_a_reply_is_sent_away_and_gets_none(void **state)
{
    static const char *const words[] = {"PING\r\n", "GET k\r\n", "SET k 1\r\n", "NOTHING\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        end(NULL);
        begin(NULL);
        attach();
        uint64_t offset = facts().offset;
        says(&w.replica, "REPLCONF ACK 1000\r\n");
        assert_non_null(w.replica.session);
        says(&w.replica, words[i]);
        client_got(&w.replica, "");
        assert_null(w.replica.session);
        assert_int_equal(facts().offset, offset);
        assert_int_equal(shoal_store_count(w.box.env.store, 0), 0);
    }
}

static void one_that_says_nothing_for_long_is_sent_away(void **state)
{
    (void)state;
    attach();
    for (int i = 0; i < 59; i++) wait_ms(1000);
    assert_int_equal(facts().replicas, 1);
    wait_ms(2000);
    assert_null(w.replica.session);
    assert_int_equal(facts().replicas, 0);
}

static void a_connection_may_close_before_it_hears_the_answer(void **state)
{
    (void)state;
    client_send(&w.replica, shoal_text("PSYNC " ID " 1001\r\n"));
    assert_true(control());
    client_close(&w.replica);
    settle();
    assert_int_equal(facts().replicas, 0);
    assert_true(shoal_repl_is_alone(w.repl));
}

static void one_that_waits_for_a_snapshot_may_close(void **state)
{
    (void)state;
    says(&w.replica, "PSYNC ? -1\r\n");
    client_close(&w.replica);
    wait_ms(1);
    shoal_repl_snapshot_begun(w.repl, 1000);
    settle();
    assert_int_equal(w.stops, 1);
    assert_int_equal(facts().replicas, 0);
}

static void wait_counts_those_who_have_acknowledged(void **state)
{
    (void)state;
    attach();
    append("0123456789");
    says(&w.client, "WAIT 1 0\r\n");
    client_got(&w.client, ":1~");
    says(&w.client, "WAIT 2 50\r\n");
    client_got(&w.client, "");
    wait_ms(49);
    client_got(&w.client, "");
    wait_ms(2);
    client_got(&w.client, ":1~");
}

static void a_wait_is_as_long_as_it_says_whenever_the_last_step_was(void **state)
{
    (void)state;
    attach();
    append("0123456789");
    command_box_sleep(&w.box, 40);
    shoal_repl_begin_step(w.repl, w.box.now);
    says(&w.client, "WAIT 2 50\r\n");
    wait_ms(49);
    client_got(&w.client, "");
    wait_ms(2);
    client_got(&w.client, ":1~");
}

static void wait_ends_with_the_acknowledgement(void **state)
{
    (void)state;
    attach();
    says(&w.client, "SET a 1\r\n");
    client_got(&w.client, "+OK~");
    says(&w.client, "WAIT 1 0\r\n");
    client_got(&w.client, "");
    char text[96];
    snprintf(text, sizeof text, "REPLCONF ACK %llu\r\n", (unsigned long long)facts().offset);
    says(&w.replica, text);
    wait_ms(1);
    client_got(&w.client, ":1~");
}

static void who_waits_is_answered_when_the_role_is_lost(void **state)
{
    shoal_address master = {.ip = "10.0.0.1", .port = 7000};
    (void)state;
    says(&w.client, "WAIT 1 0\r\n");
    client_got(&w.client, "");
    shoal_repl_follow(w.repl, &master);
    settle();
    client_got(&w.client, "-UNBLOCKED force unblock from blocking operation, instance state "
                          "changed (master -> replica?)~");
    says(&w.client, "WAIT 1 0\r\n");
    client_got(&w.client, "-ERR WAIT cannot be used with replica instances. Please also note that "
                          "since Redis 4.0 if a replica is configured to be writable (which is not "
                          "the default) writes to replicas are just local and are not "
                          "propagated.~");
    shoal_repl_follow(w.repl, NULL);
}

static void what_is_written_beyond_the_end_of_the_log_is_waited_for_up_to_that(void **state)
{
    char text[96];
    (void)state;
    attach();
    append("0123456789");
    snprintf(text, sizeof text, "REPLCONF ACK %llu\r\n", (unsigned long long)facts().offset);
    says(&w.replica, text);
    /* As if the client had written to a longer history, which a master has replaced since. */
    w.ahead = 1000000;
    says(&w.client, "WAIT 1 0\r\n");
    client_got(&w.client, ":1~");
}

static void one_that_takes_too_little_is_sent_away(void **state)
{
    (void)state;
    w.settings.output_hard = 100;
    shoal_repl_set(w.repl, &w.settings);
    attach();
    shoal_replica *replica = w.replica.session->replica;
    shoal_store_relaxed(&replica->unsent, 100);
    shoal_store_relaxed(&replica->sent, replica->from + 200);
    append("0123456789");
    command_box_sleep(&w.box, 100);
    shoal_repl_tick(w.repl, w.box.now);
    assert_false(replica->ordered);
    shoal_store_relaxed(&replica->unsent, 101);
    command_box_sleep(&w.box, 100);
    shoal_repl_tick(w.repl, w.box.now);
    assert_true(replica->ordered);
    settle();
    assert_null(w.replica.session);
    assert_int_equal(facts().replicas, 0);
}

static void one_that_has_more_than_control_knows_of_is_no_slow_one(void **state)
{
    (void)state;
    w.settings.output_hard = 100;
    w.settings.output_soft = 50;
    shoal_repl_set(w.repl, &w.settings);
    attach();
    shoal_replica *replica = w.replica.session->replica;
    /* Its worker has handed out what the log has grown by since control looked at its end. */
    shoal_store_relaxed(&replica->sent, facts().offset + 10);
    for (int i = 0; i < 3; i++) {
        command_box_sleep(&w.box, 100);
        shoal_repl_tick(w.repl, w.box.now);
        assert_false(replica->ordered);
        assert_int_equal(replica->over_us, 0);
    }
    shoal_store_relaxed(&replica->sent, facts().offset);
}

static void who_waits_for_a_snapshot_of_data_that_go_away_is_turned_away(void **state)
{
    shoal_address master = {.ip = "10.0.0.1", .port = 7000};
    (void)state;
    shoal_repl_follow(w.repl, &master);
    wait_ms(100);
    join();
    hear_text("+FULLRESYNC " ID " 1000\r\n$5\r\nHELLO");
    finish_jobs();
    assert_int_equal(w.loaded, 5);
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    assert_true(facts().link_up);
    /* It asks when the data are there; the moment of the snapshot has not come. */
    says(&w.replica, "PSYNC ? -1\r\n");
    wait_ms(1);
    assert_int_equal(w.snapshots, 1);
    hear((shoal_event){.kind = SHOAL_EVENT_LINK_DOWN});
    wait_ms(2000);
    join();
    hear_text("+FULLRESYNC " ID " 2000\r\n$7\r\nGOODBYE");
    settle();
    client_got(&w.replica, "");
    finish_jobs();
    settle();
    assert_int_equal(w.loaded, 7);
    client_got(&w.replica, "-NOMASTERLINK Can't SYNC while not connected with my master~");
    /* And what it was to get comes to nothing. */
    shoal_repl_snapshot_begun(w.repl, 1000);
    assert_int_equal(w.stops, 1);
    shoal_repl_loaded(w.repl, SHOAL_ERR_OK);
    says(&w.replica, "PSYNC ? -1\r\n");
    wait_ms(1);
    assert_int_equal(w.snapshots, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_replica_of_the_former_history_goes_on_where_it_ended,
                                        begin, end),
        cmocka_unit_test_setup_teardown(who_cannot_go_on_gets_a_snapshot_and_what_follows, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            a_full_synchronisation_says_why_it_is_one_and_what_there_was, begin, end),
        cmocka_unit_test_setup_teardown(
            a_full_synchronisation_says_why_it_is_one_and_what_there_was, begin, end),
        cmocka_unit_test_setup_teardown(an_offset_that_is_no_number_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(two_that_ask_share_a_snapshot, begin, end),
        cmocka_unit_test_setup_teardown(
            a_snapshot_waits_for_more_who_ask_but_not_for_more_than_so_many, begin, end),
        cmocka_unit_test_setup_teardown(what_the_slowest_has_not_taken_is_backlog_for_all, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_snapshot_that_fails_sends_away_those_it_was_for, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_replica_that_has_just_asked_is_not_silent, begin, end),
        cmocka_unit_test_setup_teardown(one_whose_words_want_a_reply_is_sent_away_and_gets_none,
                                        begin, end),
        cmocka_unit_test_setup_teardown(one_that_says_nothing_for_long_is_sent_away, begin, end),
        cmocka_unit_test_setup_teardown(a_connection_may_close_before_it_hears_the_answer, begin,
                                        end),
        cmocka_unit_test_setup_teardown(one_that_waits_for_a_snapshot_may_close, begin, end),
        cmocka_unit_test_setup_teardown(wait_counts_those_who_have_acknowledged, begin, end),
        cmocka_unit_test_setup_teardown(a_wait_is_as_long_as_it_says_whenever_the_last_step_was,
                                        begin, end),
        cmocka_unit_test_setup_teardown(wait_ends_with_the_acknowledgement, begin, end),
        cmocka_unit_test_setup_teardown(who_waits_is_answered_when_the_role_is_lost, begin, end),
        cmocka_unit_test_setup_teardown(
            what_is_written_beyond_the_end_of_the_log_is_waited_for_up_to_that, begin, end),
        cmocka_unit_test_setup_teardown(one_that_takes_too_little_is_sent_away, begin, end),
        cmocka_unit_test_setup_teardown(one_that_has_more_than_control_knows_of_is_no_slow_one,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            who_waits_for_a_snapshot_of_data_that_go_away_is_turned_away, begin, end),
    };
    return cmocka_run_group_tests_name("repl_master", tests, NULL, NULL);
}
