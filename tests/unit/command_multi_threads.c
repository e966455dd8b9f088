/* SPDX-License-Identifier: MIT
 *
 * Transactions and waiting on real threads: sums that transfers keep are seen whole, optimistic
 * increments are neither lost nor doubled, what is pushed is popped once and in order, and sessions
 * go away in the middle of it. Meant for the thread sanitizer as well.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/text.h"
#include "support/command_box.h"
#include "support/test.h"
#include "wire/resp.h"

#define WORKERS 3
#define ROUNDS 1500
#define ACCOUNTS 4
#define BALANCE 1000
#define QUEUES 2
#define LINES 24

/* What a client does, again and again; one of each on every worker. */
typedef enum test_role {
    TRANSFERS, /* between accounts in several slots, as transactions */
    AUDITS,    /* the sum of all accounts, in a transaction */
    READS,     /* the same with MGET */
    COUNTS,    /* adds one with WATCH, GET, SET */
    PUSHES,    /* numbers to queues */
    POPS,      /* waits for one of the queues, for a short time */
    LEAVES,    /* waits and watches, and closes its connection */
    ROLES
} test_role;

typedef struct test_party {
    test_role role;
    uint32_t lane;
    shoal_session *session;
    shoal_buffer out;
    uint32_t done, bad, replies;   /* replies: that the last request is owed */
    int64_t seen;                  /* COUNTS: the value read, -1 between */
    uint32_t count;                /* increments, pushes or pops that were made */
    int64_t last[QUEUES][WORKERS]; /* POPS: the last number of each pusher */
} test_party;

typedef struct test_lane {
    command_box *box;
    shoal_worker *worker;
    shoal_allocator allocator;
    uint64_t number; /* of the round */
    test_party parties[ROLES];
} test_lane;

static _Atomic uint32_t lanes_done;

/* ---- requests ---- */

/* Writes the next request of a party; returns how many replies it gets. */
static uint32_t request(test_party *party, char *out, size_t size)
{
    uint32_t n = party->done;
    switch (party->role) {
    case TRANSFERS:
        snprintf(out, size, "MULTI\r\nDECRBY acc%u %u\r\nINCRBY acc%u %u\r\nEXEC\r\n", n % ACCOUNTS,
                 n % 7, (n + 1 + n / ACCOUNTS % 3) % ACCOUNTS, n % 7);
        return 4;
    case AUDITS: snprintf(out, size, "MULTI\r\nMGET acc0 acc1 acc2 acc3\r\nEXEC\r\n"); return 3;
    case READS: snprintf(out, size, "MGET acc0 acc1 acc2 acc3\r\n"); return 1;
    case COUNTS:
        if (party->seen < 0) {
            snprintf(out, size, "WATCH counter\r\nGET counter\r\n");
            return 2;
        }
        snprintf(out, size, "MULTI\r\nSET counter %lld\r\nEXEC\r\n", (long long)party->seen + 1);
        return 3;
    case PUSHES: snprintf(out, size, "RPUSH q%u %u:%u\r\n", n % QUEUES, party->lane, n); return 1;
    case POPS: snprintf(out, size, "BLPOP q%u q%u 0.005\r\n", n % 2, (n + 1) % 2); return 1;
    default: snprintf(out, size, "WATCH acc0 counter\r\nBLPOP none q0x 0\r\n"); return 2;
    }
}

/* ---- replies ---- */

/* Cuts `bytes` into lines without their ends. */
static uint32_t cut(char *bytes, size_t size, char *lines[LINES])
{
    uint32_t count = 0;
    char *at = bytes, *end = bytes + size;
    while (at < end && count < LINES) {
        lines[count++] = at;
        char *mark = memchr(at, '\r', (size_t)(end - at));
        assert_non_null(mark);
        *mark = '\0';
        at = mark + 2;
    }
    return count;
}

static int64_t sum_of(char **lines)
{
    int64_t sum = 0;
    for (int i = 0; i < ACCOUNTS; i++) sum += atoll(lines[2 * i + 1]);
    return sum;
}

static bool check_pop(test_party *party, char **lines)
{
    if (strcmp(lines[0], "*-1") == 0) return true;
    uint32_t queue = (uint32_t)(lines[2][1] - '0');
    char *rest;
    unsigned long lane = strtoul(lines[4], &rest, 10);
    int64_t number = atoll(rest + 1);
    if (queue >= QUEUES || lane >= WORKERS || number < party->last[queue][lane]) return false;
    party->last[queue][lane] = number + 1;
    party->count++;
    return true;
}

static bool check_count(test_party *party, char **lines)
{
    if (party->seen < 0) {
        party->seen = strcmp(lines[1], "$-1") == 0 ? 0 : atoll(lines[2]);
        return strcmp(lines[0], "+OK") == 0;
    }
    party->seen = -1;
    if (strcmp(lines[2], "*-1") == 0) return true;
    party->count++;
    return strcmp(lines[2], "*1") == 0 && strcmp(lines[3], "+OK") == 0;
}

static bool check(test_party *party, char **lines, uint32_t count)
{
    switch (party->role) {
    case TRANSFERS: return count == 6 && strcmp(lines[3], "*2") == 0;
    case AUDITS: return count == 12 && sum_of(lines + 4) == ACCOUNTS * BALANCE;
    case READS: return count == 9 && sum_of(lines + 1) == ACCOUNTS * BALANCE;
    case COUNTS: return check_count(party, lines);
    case PUSHES: party->count++; return count == 1 && lines[0][0] == ':';
    case POPS: return check_pop(party, lines);
    default: return false;
    }
}

/* True when all replies to the last request have come; they are checked and dropped. */
static bool take_replies(test_party *party)
{
    shoal_slice got = shoal_buffer_slice(&party->out);
    size_t used = 0, size;
    for (uint32_t i = 0; i < party->replies; i++) {
        shoal_slice rest = {got.data + used, got.size - used};
        if (shoal_answer_size(rest, &size) != 0) return false;
        used += size;
    }
    if (party->replies == 0) return true;
    char bytes[1024], *lines[LINES];
    assert_true(used < sizeof(bytes));
    memcpy(bytes, got.data, used);
    if (!check(party, lines, cut(bytes, used, lines))) party->bad++;
    shoal_buffer_consume(&party->out, used);
    party->replies = 0;
    return true;
}

/* ---- rounds ---- */

static void open_party(test_lane *lane, test_party *party)
{
    shoal_session_options options = {.peer = {"127.0.0.1", 1}, .owner = party};
    assert_int_equal(shoal_session_open(lane->worker, &options, &party->out, &party->session), 0);
}

static void feed(test_party *party, shoal_slice bytes)
{
    if (shoal_session_feed(party->session, bytes, &party->out) == SHOAL_FEED_CLOSE) party->bad++;
}

/* Closes the connection wherever its commands are, and opens another. */
static void leave(test_lane *lane, test_party *party)
{
    shoal_session_close(party->session);
    shoal_buffer_consume(&party->out, shoal_buffer_size(&party->out));
    open_party(lane, party);
}

static void one_turn(test_lane *lane, test_party *party)
{
    char text[256];
    if (party->done == ROUNDS) return;
    if (party->role == LEAVES) {
        if (party->replies != 0) leave(lane, party);
    } else if (!take_replies(party)) {
        return;
    }
    party->replies = request(party, text, sizeof(text));
    party->done++;
    feed(party, shoal_text(text));
}

static void one_round(test_lane *lane)
{
    shoal_time now = lane->box->now;
    now.mono_us += (int64_t)++lane->number * 200;
    shoal_worker_begin(lane->worker, now);
    shoal_session *ready;
    while ((ready = shoal_worker_ready(lane->worker)) != NULL)
        feed(shoal_session_owner(ready), (shoal_slice){NULL, 0});
    for (int i = 0; i < ROLES; i++) one_turn(lane, &lane->parties[i]);
    shoal_worker_end(lane->worker);
}

static bool over(test_lane *lane)
{
    for (int i = 0; i < ROLES; i++) {
        test_party *party = &lane->parties[i];
        if (party->done < ROUNDS) return false;
        if (party->role != LEAVES && party->replies != 0 && !take_replies(party)) return false;
    }
    return true;
}

/* Goes on until every lane is done: others may still need this one. */
static void *drive(void *argument)
{
    test_lane *lane = argument;
    bool counted = false;
    while (shoal_load_relaxed(&lanes_done) < WORKERS) {
        one_round(lane);
        if (!counted && over(lane)) {
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

static void open_lane(command_box *box, test_lane *lane, uint32_t index)
{
    *lane = (test_lane){.box = box, .worker = box->workers[index]};
    lane->allocator = test_allocator(&box->heap);
    shoal_worker_begin(lane->worker, box->now);
    for (uint32_t i = 0; i < ROLES; i++) {
        test_party *party = &lane->parties[i];
        *party = (test_party){.role = (test_role)i, .lane = index, .seen = -1};
        party->out = shoal_buffer_make(&lane->allocator);
        open_party(lane, party);
    }
    shoal_worker_end(lane->worker);
}

/* Closes all sessions, and runs rounds until what they left behind has come home. */
static void close_lanes(command_box *box, test_lane *lanes)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        shoal_worker_begin(lanes[i].worker, box->now);
        for (int j = 0; j < ROLES; j++) {
            assert_int_equal(lanes[i].parties[j].bad, 0);
            shoal_session_close(lanes[i].parties[j].session);
            shoal_buffer_free(&lanes[i].parties[j].out);
        }
        shoal_worker_end(lanes[i].worker);
    }
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < WORKERS; i++) {
            shoal_worker_begin(lanes[i].worker, box->now);
            while (shoal_worker_ready(lanes[i].worker) != NULL) {
            }
            shoal_worker_end(lanes[i].worker);
        }
    }
    assert_int_equal(shoal_load_relaxed(&box->env.blocked), 0);
}

static uint32_t total(const test_lane *lanes, test_role role)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < WORKERS; i++) sum += lanes[i].parties[role].count;
    return sum;
}

static void sums_counts_and_queues_hold_on_three_threads(void **state)
{
    (void)state;
    static command_box box;
    static test_lane lanes[WORKERS];
    pthread_t threads[WORKERS];
    command_client client;
    char text[128];
    command_box_open(&box, WORKERS, false);
    client_open(&client, &box, 0);
    client_asks(&client, "MSET acc0 1000 acc1 1000 acc2 1000 acc3 1000~", "+OK~");
    client_close(&client);
    box.host.nudge = nudge_nobody;
    shoal_store_relaxed(&lanes_done, 0);
    for (uint32_t i = 0; i < WORKERS; i++) open_lane(&box, &lanes[i], i);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, drive, &lanes[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    box.now.mono_us += 1000000000;
    close_lanes(&box, lanes);

    assert_int_equal(total(lanes, PUSHES), WORKERS * ROUNDS);
    assert_true(total(lanes, POPS) > 0);
    assert_true(total(lanes, COUNTS) > 0);
    client_open(&client, &box, 0);
    char digits[16];
    int size = snprintf(digits, sizeof(digits), "%u", total(lanes, COUNTS));
    snprintf(text, sizeof(text), "$%d~%s~", size, digits);
    client_asks(&client, "GET counter~", text);
    /* What was pushed and not popped is still there. */
    client_send(&client, shoal_text("LLEN q0\r\nLLEN q1\r\n"));
    shoal_slice got = shoal_buffer_slice(&client.out);
    assert_true(got.size < sizeof(text));
    memcpy(text, got.data, got.size);
    char *lines[LINES];
    assert_int_equal(cut(text, got.size, lines), 2);
    assert_int_equal(atoi(lines[0] + 1) + atoi(lines[1] + 1),
                     total(lanes, PUSHES) - total(lanes, POPS));
    client_close(&client);
    command_box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_counts_and_queues_hold_on_three_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
