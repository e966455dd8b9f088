/* SPDX-License-Identifier: MIT
 *
 * See command_box.h.
 */
#include "support/command_box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "command/effect.h"
#include "command/pubsub.h"
#include "support/test.h"

static void nudge(void *context, shoal_actor actor)
{
    command_box *box = context;
    box->nudged |= 1u << actor;
}

void command_box_open(command_box *box, uint32_t workers, bool cluster)
{
    *box = (command_box){
        .now = {.mono_us = 5000000, .wall_us = COMMAND_BOX_START_MS * 1000},
        .settings = {.bulk_size_max = 512u << 20,
                     .query_size_max = 1u << 30,
                     .hash_entries_max = 512,
                     .hash_value_size_max = 64,
                     .set_entries_max = 512,
                     .integers_shared = true,
                     .zset_entries_max = 128,
                     .zset_member_size_max = 64,
                     .list_node_max = -2,
                     .clients_max = 100,
                     .databases = cluster ? 1 : 4,
                     .cluster = cluster},
    };
    shoal_store_options options = {
        .allocator = test_allocator(&box->heap),
        .threads = workers + 1,
        .databases = box->settings.databases,
        .seed = 42,
        .owned = !cluster,
        .edits = true,
    };
    box->host = (shoal_host){.context = box, .nudge = nudge};
    box->env.allocator = options.allocator;
    box->env.host = &box->host;
    box->env.control = &box->control;
    box->env.workers = box->workers;
    box->env.worker_count = workers;
    box->env.process_id = 1;
    box->env.run_id = "0123456789012345678901234567890123456789";
    shoal_store_relaxed(&box->env.client_id_next, 1);
    shoal_store_relaxed(&box->env.settings, &box->settings);
    assert_int_equal(shoal_store_create(&options, &box->env.store), 0);
    for (uint32_t i = 0; i < workers; i++)
        assert_int_equal(shoal_worker_make(&box->env, i, &box->workers[i]), 0);
}

/* ---- effects ---- */

void command_box_log(command_box *box)
{
    shoal_log_options options = {.allocator = test_allocator(&box->heap),
                                 .writers = box->env.worker_count + 1,
                                 .segment_bits = 12};
    assert_int_equal(shoal_log_create(&options, &box->log), 0);
    shoal_log_want(box->log, 1);
    box->env.log = box->log;
    assert_int_equal(shoal_effects_open(&box->env, options.writers), 0);
    assert_true(shoal_log_reader_open(box->log, &box->reader, 0));
}

shoal_buffer command_box_effects(command_box *box)
{
    shoal_buffer all = shoal_buffer_make(&box->env.allocator);
    assert_int_equal(shoal_log_committed(box->log), shoal_log_end(box->log));
    for (;;) {
        shoal_slice some = shoal_log_peek(box->log, &box->reader, shoal_log_committed(box->log));
        if (some.size == 0) break;
        shoal_buffer_append(&all, some);
        shoal_log_skip(&box->reader, some.size);
    }
    return all;
}

/* Appends one command in RESP as words. Returns what follows it. */
static const char *put_words(const char *at, shoal_buffer *out)
{
    char *next;
    assert_int_equal(*at, '*');
    long argc = strtol(at + 1, &next, 10);
    assert_memory_equal(next, "\r\n", 2);
    at = next + 2;
    for (long i = 0; i < argc; i++) {
        assert_int_equal(*at, '$');
        long size = strtol(at + 1, &next, 10);
        assert_memory_equal(next, "\r\n", 2);
        at = next + 2;
        if (i > 0) shoal_buffer_append(out, (shoal_slice){" ", 1});
        shoal_buffer_append(out, (shoal_slice){at, (size_t)size});
        assert_memory_equal(at + size, "\r\n", 2);
        at += size + 2;
    }
    return at;
}

/* Are these the same words? */
static bool same_words(const char *wanted, const char *got)
{
    while (*wanted != '\0') {
        if (*wanted != '?') {
            if (*wanted++ != *got++) return false;
            continue;
        }
        wanted++;
        while (*got != '\0' && *got != ' ') got++;
    }
    return *got == '\0';
}

void command_box_told(command_box *box, const char *effects)
{
    shoal_buffer bytes = command_box_effects(box);
    shoal_buffer words = shoal_buffer_make(&box->env.allocator);
    shoal_buffer_append(&bytes, (shoal_slice){"", 1});
    const char *at = bytes.data + bytes.start;
    while (*at != '\0') {
        if (words.end != 0) shoal_buffer_append(&words, (shoal_slice){" | ", 3});
        at = put_words(at, &words);
    }
    shoal_buffer_append(&words, (shoal_slice){"", 1});
    if (!same_words(effects, words.data))
        print_error("wanted: %s\ngot:    %s\n", effects, words.data);
    assert_true(same_words(effects, words.data));
    shoal_buffer_free(&words);
    shoal_buffer_free(&bytes);
}

static void drop_message(void *context, const shoal_message *message)
{
    (void)context;
    (void)message;
}

void command_box_close(command_box *box)
{
    command_box_settle(box);
    const shoal_published_taker nobody = {.take = drop_message};
    shoal_published_take(&box->env, &nobody);
    for (uint32_t i = 0; i < box->env.worker_count; i++) shoal_worker_free(box->workers[i]);
    shoal_effects_close(&box->env);
    if (box->log != NULL) {
        shoal_log_reader_close(box->log, &box->reader);
        shoal_log_destroy(box->log);
    }
    shoal_store_destroy(box->env.store);
    assert_int_equal(box->heap.blocks, 0);
    assert_int_equal(box->heap.bytes, 0);
    assert_int_equal(shoal_load_relaxed(&box->env.clients), 0);
}

void command_box_sleep(command_box *box, int64_t milliseconds)
{
    box->now.mono_us += milliseconds * 1000;
    box->now.wall_us += milliseconds * 1000;
}

/* ---- rounds ---- */

static void feed(command_client *client, shoal_slice bytes)
{
    /* A copy of exactly the size, so that a sanitizer sees any read beyond it. */
    char *copy = malloc(bytes.size + (bytes.size == 0));
    if (bytes.size != 0) memcpy(copy, bytes.data, bytes.size);
    client->feed =
        shoal_session_feed(client->session, (shoal_slice){copy, bytes.size}, &client->out);
    free(copy);
    if (client->feed == SHOAL_FEED_CLOSE || client->feed == SHOAL_FEED_DROP) {
        shoal_session_close(client->session);
        client->session = NULL;
    }
}

static void begin(command_box *box, uint32_t worker)
{
    box->nudged &= ~(2u << worker);
    shoal_worker_begin(box->workers[worker], box->now);
    shoal_session *ready;
    while ((ready = shoal_worker_ready(box->workers[worker])) != NULL)
        feed(shoal_session_owner(ready), (shoal_slice){NULL, 0});
}

static void end(command_box *box, uint32_t worker)
{
    /* What was killed in this round is closed in it. */
    shoal_session *ready;
    while ((ready = shoal_worker_ready(box->workers[worker])) != NULL)
        feed(shoal_session_owner(ready), (shoal_slice){NULL, 0});
    box->deadlines[worker] = shoal_worker_end(box->workers[worker]);
}

void command_box_round(command_box *box, uint32_t worker)
{
    begin(box, worker);
    end(box, worker);
}

void command_box_settle(command_box *box)
{
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < box->env.worker_count; i++) {
            if (!(box->nudged >> (1 + i) & 1) && box->deadlines[i] > box->now.mono_us) continue;
            command_box_round(box, i);
            more = true;
        }
    }
}

/* ---- clients ---- */

void client_open(command_client *client, command_box *box, uint32_t worker)
{
    *client = (command_client){.box = box, .worker = worker};
    client->allocator = test_allocator(&box->heap);
    client->out = shoal_buffer_make(&client->allocator);
    shoal_session_options options = {.peer = {"127.0.0.1", 50000},
                                     .local = {"127.0.0.1", 7000},
                                     .descriptor = 9,
                                     .owner = client};
    begin(box, worker);
    assert_int_equal(shoal_session_open(box->workers[worker], &options, &client->out,
                                        &client->session),
                     0);
    end(box, worker);
}

void client_close(command_client *client)
{
    if (client->session != NULL) {
        begin(client->box, client->worker);
        if (client->session != NULL) shoal_session_close(client->session);
        client->session = NULL;
        end(client->box, client->worker);
    }
    shoal_buffer_free(&client->out);
}

void client_send(command_client *client, shoal_slice bytes)
{
    assert_non_null(client->session);
    begin(client->box, client->worker);
    if (client->session != NULL) feed(client, bytes);
    end(client->box, client->worker);
}

/* `text` with CRLF for each '~' and '~' for each '^'; the caller frees it. */
static char *unfold(const char *text)
{
    char *out = malloc(2 * strlen(text) + 1), *at = out;
    for (; *text != '\0'; text++) {
        if (*text == '~') *at++ = '\r';
        *at++ = *text == '~' ? '\n' : *text == '^' ? '~' : *text;
    }
    *at = '\0';
    return out;
}

void client_got(command_client *client, const char *replies)
{
    char *wanted = unfold(replies);
    shoal_slice got = shoal_buffer_slice(&client->out);
    bool same =
        got.size == strlen(wanted) && (got.size == 0 || memcmp(got.data, wanted, got.size) == 0);
    if (!same) print_error("wanted: %s\ngot:    %.*s\n", wanted, (int)got.size, got.data);
    assert_int_equal(got.size, strlen(wanted));
    if (got.size != 0) assert_memory_equal(got.data, wanted, got.size);
    free(wanted);
    shoal_buffer_consume(&client->out, got.size);
}

void client_asks(command_client *client, const char *text, const char *replies)
{
    char *bytes = unfold(text);
    client_send(client, (shoal_slice){bytes, strlen(bytes)});
    free(bytes);
    command_box_settle(client->box);
    client_got(client, replies);
}

/* ---- gates ---- */

typedef struct holder {
    shoal_gate_op gate;
    void (*during)(void *);
    void *context;
} holder;

static void hold(shoal_op *op, void *runner)
{
    (void)runner;
    holder *holding = (holder *)op;
    holding->during(holding->context);
}

void command_box_hold(command_box *box, const char *key, void (*during)(void *), void *context)
{
    shoal_thread *thread = shoal_store_thread(box->env.store, box->env.worker_count);
    uint32_t place = shoal_key_slot((shoal_slice){key, strlen(key)});
    holder holding = {{.op = {.run = hold}, .places = &place, .count = 1}, during, context};
    shoal_thread_enter(thread, box->now);
    assert_true(shoal_gate_try(thread, &holding.gate));
    shoal_thread_leave(thread);
}
