/* SPDX-License-Identifier: MIT
 *
 * Workers on real threads: writes to the same slots are handed over, tours and control errands pass
 * between threads, and every client gets its replies, in order. Meant for the thread sanitizer
 * as well.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/text.h"
#include "support/command_box.h"
#include "support/test.h"

#define WORKERS 3
#define CLIENTS 4 /* a worker */
#define ROUNDS 1000

/* Few keys, so that gates collide. */
#define INCREMENTS                                                                           \
    "INCR a\r\nINCR b\r\nMSET c 1 d 1\r\nMGET c d\r\nINCRBY a 2\r\nGET a\r\nCLIENT KILL ID " \
    "999999\r\n"
#define REPLIES 7

/* One client: sends the batch again when all replies to the last one have come. */
typedef struct test_party {
    shoal_session *session;
    shoal_buffer out;
    uint32_t sent, bad;
    int64_t last; /* the last answer to GET a */
} test_party;

/* One worker thread. */
typedef struct test_lane {
    command_box *box;
    shoal_worker *worker;
    shoal_allocator allocator;
    test_party parties[CLIENTS];
    bool torn; /* MGET saw half of an MSET */
} test_lane;

static _Atomic uint32_t lanes_done;

/* Checks the replies of one batch if they are complete. True when they were. */
static bool check_batch(test_lane *lane, test_party *party)
{
    shoal_slice rest = shoal_buffer_slice(&party->out);
    size_t used = 0, size;
    for (int i = 0; i < REPLIES; i++) {
        shoal_slice at = {rest.data + used, rest.size - used};
        if (shoal_answer_size(at, &size) != 0) return false;
        shoal_answer answer;
        if (shoal_answer_next(at, &answer) != 0) return false;
        static const char types[] = "::+*:$:";
        if (answer.type != types[i]) party->bad++;
        if (i == 3 && memcmp(at.data, "*2\r\n$1\r\n1\r\n$1\r\n1\r\n", size) != 0) lane->torn = true;
        if (i == 5) {
            int64_t value = 0;
            if (!shoal_text_to_i64(answer.text, &value) || value < party->last) party->bad++;
            party->last = value;
        }
        used += size;
    }
    shoal_buffer_consume(&party->out, used);
    return true;
}

static void feed(test_lane *lane, test_party *party, shoal_slice bytes)
{
    (void)lane;
    if (shoal_session_feed(party->session, bytes, &party->out) == SHOAL_FEED_CLOSE) party->bad++;
}

static void one_round(test_lane *lane, int number)
{
    shoal_time now = lane->box->now;
    now.mono_us += number;
    shoal_worker_begin(lane->worker, now);
    shoal_session *ready;
    while ((ready = shoal_worker_ready(lane->worker)) != NULL)
        feed(lane, shoal_session_owner(ready), (shoal_slice){NULL, 0});
    for (int i = 0; i < CLIENTS; i++) {
        test_party *party = &lane->parties[i];
        if (party->sent != 0 && !check_batch(lane, party)) continue;
        if (party->sent++ < ROUNDS) feed(lane, party, shoal_text(INCREMENTS));
    }
    shoal_worker_end(lane->worker);
}

static bool all_sent(const test_lane *lane)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (lane->parties[i].sent <= ROUNDS) return false;
    }
    return true;
}

/* Goes on until every lane is done: others may still need this one to run what they handed over. */
static void *drive(void *argument)
{
    test_lane *lane = argument;
    bool counted = false;
    for (int number = 0; shoal_load_relaxed(&lanes_done) < WORKERS; number++) {
        one_round(lane, number);
        if (!counted && all_sent(lane)) {
            counted = true;
            shoal_add_relaxed(&lanes_done, 1);
        }
        sched_yield();
    }
    return NULL;
}

static void nudge_nobody(void *context, shoal_actor actor)
{
    (void)context;
    (void)actor;
}

static void clients_on_three_threads_share_keys(void **state)
{
    (void)state;
    static command_box box;
    static test_lane lanes[WORKERS];
    pthread_t threads[WORKERS];
    command_box_open(&box, WORKERS, false);
    box.host.nudge = nudge_nobody;
    shoal_store_relaxed(&lanes_done, 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        test_lane *lane = &lanes[i];
        *lane = (test_lane){.box = &box, .worker = box.workers[i]};
        lane->allocator = test_allocator(&box.heap);
        shoal_worker_begin(lane->worker, box.now);
        for (int j = 0; j < CLIENTS; j++) {
            test_party *party = &lane->parties[j];
            party->out = shoal_buffer_make(&lane->allocator);
            shoal_session_options options = {.peer = {"127.0.0.1", 1}, .owner = party};
            assert_int_equal(shoal_session_open(lane->worker, &options, &party->out,
                                                &party->session),
                             0);
        }
        shoal_worker_end(lane->worker);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, drive, &lanes[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);

    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_false(lanes[i].torn);
        shoal_worker_begin(lanes[i].worker, box.now);
        for (int j = 0; j < CLIENTS; j++) {
            assert_int_equal(lanes[i].parties[j].bad, 0);
            shoal_session_close(lanes[i].parties[j].session);
            shoal_buffer_free(&lanes[i].parties[j].out);
        }
        shoal_worker_end(lanes[i].worker);
    }
    command_client client;
    char wanted[64];
    int total = WORKERS * CLIENTS * ROUNDS;
    snprintf(wanted, sizeof(wanted), ":%d~:%d~", 3 * total + 1, total + 1);
    client_open(&client, &box, 0);
    client_asks(&client, "INCR a~INCR b~", wanted);
    client_close(&client);
    command_box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_on_three_threads_share_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
