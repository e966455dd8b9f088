/* SPDX-License-Identifier: MIT
 *
 * A client that keeps what it has read until it is told that it has changed, on its own worker,
 * while clients on two others change it. When the writers have stopped and everything has been
 * told, what it keeps is what there is: nothing was missed, and nothing was told too early. For
 * ThreadSanitizer as well.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/prng.h"
#include "base/text.h"
#include "support/command_box.h"
#include "support/test.h"

#define WORKERS 3u
#define KEYS 6u
#define ROUNDS 3000u

/* One worker's thread with one client: the first reads, the others write. */
typedef struct lane {
    command_box *box;
    shoal_worker *worker;
    shoal_allocator allocator;
    shoal_session *session;
    shoal_buffer out;
    shoal_prng prng;
    bool reads;
    /* Of the reader: what it keeps, -1 for nothing, and keys whose replies are to come in order. */
    int64_t kept[KEYS];
    uint32_t asked[KEYS], asked_count;
    bool is_asked[KEYS];
    uint64_t replies, told;
} lane;

static _Atomic uint32_t writers_done;

static void feed(lane *self, const char *text)
{
    shoal_feed fed = shoal_session_feed(self->session, shoal_text(text), &self->out);
    assert_true(fed != SHOAL_FEED_CLOSE && fed != SHOAL_FEED_DROP);
}

/* Takes one reply or message from the front. False when it is not all there. */
static bool take_one(lane *self)
{
    static const char push[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    shoal_slice rest = shoal_buffer_slice(&self->out);
    if (rest.size == 0) return false;
    if (rest.data[0] == '>') {
        if (rest.size < sizeof push - 1) return false;
        uint32_t key = (uint32_t)(rest.data[sizeof push - 1 - 3] - 'a');
        assert_true(key < KEYS);
        self->kept[key] = -1;
        self->told++;
        shoal_buffer_consume(&self->out, sizeof push - 1);
        return true;
    }
    assert_true(rest.data[0] == '$' && self->asked_count > 0);
    size_t head = shoal_text_find(rest, shoal_text("\r\n"));
    if (head == SHOAL_TEXT_NONE) return false;
    int64_t size, value = 0;
    assert_true(shoal_text_to_i64((shoal_slice){rest.data + 1, head - 1}, &size));
    if (rest.size < head + 4 + (size_t)size) return false;
    assert_true(shoal_text_to_i64((shoal_slice){rest.data + head + 2, (size_t)size}, &value));
    uint32_t key = self->asked[0];
    memmove(self->asked, self->asked + 1, --self->asked_count * sizeof self->asked[0]);
    self->is_asked[key] = false;
    self->kept[key] = value;
    self->replies++;
    shoal_buffer_consume(&self->out, head + 4 + (size_t)size);
    return true;
}

/* Asks for a key that is not kept. */
static void read_some(lane *self)
{
    char line[64];
    while (take_one(self)) continue;
    uint32_t key = (uint32_t)shoal_prng_below(&self->prng, KEYS);
    if (self->kept[key] >= 0 || self->is_asked[key]) return;
    self->asked[self->asked_count++] = key;
    self->is_asked[key] = true;
    /* Now and then by way of the gate, where the reply may come from elsewhere. */
    if (shoal_prng_below(&self->prng, 3) == 0) {
        snprintf(line, sizeof line, "GETRANGE %c 0 -1\r\n", (char)('a' + key));
    } else {
        snprintf(line, sizeof line, "GET %c\r\n", (char)('a' + key));
    }
    feed(self, line);
}

static void write_some(lane *self)
{
    char line[64];
    char key = (char)('a' + shoal_prng_below(&self->prng, KEYS));
    shoal_buffer_consume(&self->out, shoal_buffer_size(&self->out));
    snprintf(line, sizeof line, "INCR %c\r\n", key);
    feed(self, line);
}

static void one_round(lane *self, uint32_t number, bool acts)
{
    shoal_time now = self->box->now;
    now.mono_us += number;
    shoal_worker_begin(self->worker, now);
    while (shoal_worker_ready(self->worker) != NULL) feed(self, "");
    if (acts && self->reads) read_some(self);
    if (acts && !self->reads) write_some(self);
    shoal_worker_end(self->worker);
}

/* Writers go on until both are through; who reads goes on until then. */
static void *drive(void *argument)
{
    lane *self = argument;
    for (uint32_t number = 0; shoal_load_acquire(&writers_done) < WORKERS - 1; number++) {
        one_round(self, number, self->reads || number < ROUNDS);
        if (number == ROUNDS && !self->reads) shoal_add_acq_rel(&writers_done, 1);
        if (number % 8 == 0) sched_yield();
    }
    return NULL;
}

static void open_lane(lane *self, command_box *box, uint32_t index)
{
    *self = (lane){.box = box, .worker = box->workers[index], .reads = index == 0};
    self->allocator = test_allocator(&box->heap);
    self->out = shoal_buffer_make(&self->allocator);
    self->prng = shoal_prng_make((uint64_t[2]){31, 32}, index, 0);
    for (uint32_t i = 0; i < KEYS; i++) self->kept[i] = -1;
    shoal_worker_begin(self->worker, box->now);
    shoal_session_options options = {.peer = {"127.0.0.1", 1}, .owner = self};
    assert_int_equal(shoal_session_open(self->worker, &options, &self->out, &self->session), 0);
    shoal_worker_end(self->worker);
}

/* One thread drives all: nothing is under way any more behind it. */
static void settle(lane *lanes)
{
    for (uint32_t i = 0; i < 40; i++) {
        for (uint32_t k = 0; k < WORKERS; k++) one_round(&lanes[k], ROUNDS + i, false);
    }
    while (take_one(&lanes[0])) continue;
    assert_int_equal(lanes[0].asked_count, 0);
}

static void nudge_nobody(void *context, shoal_actor actor)
{
    (void)context;
    (void)actor;
}

static void what_a_client_keeps_is_what_there_is(void **state)
{
    (void)state;
    static command_box box;
    static lane lanes[WORKERS];
    pthread_t threads[WORKERS];
    command_box_open(&box, WORKERS, false);
    box.host.nudge = nudge_nobody;
    shoal_store_relaxed(&writers_done, 0);
    for (uint32_t i = 0; i < WORKERS; i++) open_lane(&lanes[i], &box, i);
    shoal_worker_begin(lanes[0].worker, box.now);
    feed(&lanes[0], "MSET a 0 b 0 c 0 d 0 e 0 f 0\r\nHELLO 3\r\nCLIENT TRACKING ON\r\n");
    shoal_worker_end(lanes[0].worker);
    for (uint32_t i = 0; i < 20; i++) {
        for (uint32_t k = 0; k < WORKERS; k++) one_round(&lanes[k], i, false);
    }
    shoal_buffer_consume(&lanes[0].out, shoal_buffer_size(&lanes[0].out));
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, drive, &lanes[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    settle(lanes);

    command_client client;
    client_open(&client, &box, 1);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        char ask[16], answer[64], digits[32];
        if (lanes[0].kept[i] < 0) continue;
        snprintf(ask, sizeof ask, "GET %c~", (char)('a' + i));
        snprintf(digits, sizeof digits, "%lld", (long long)lanes[0].kept[i]);
        snprintf(answer, sizeof answer, "$%zu~%s~", strlen(digits), digits);
        client_asks(&client, ask, answer);
        kept++;
    }
    print_message("# %u kept of %u, %llu read, %llu told\n", kept, KEYS,
                  (unsigned long long)lanes[0].replies, (unsigned long long)lanes[0].told);
    assert_true(lanes[0].told > 0 && lanes[0].replies > 0);
    client_close(&client);
    for (uint32_t i = 0; i < WORKERS; i++) {
        shoal_worker_begin(lanes[i].worker, box.now);
        shoal_session_close(lanes[i].session);
        shoal_worker_end(lanes[i].worker);
        shoal_buffer_free(&lanes[i].out);
    }
    command_box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_client_keeps_is_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
