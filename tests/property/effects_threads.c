/* SPDX-License-Identifier: MIT
 *
 * The log replayed is the store. Three real threads run random writes of all kinds on few keys of
 * several databases: transactions, keys and fields that expire, commands that wait, databases that
 * are flushed and exchanged, in a further run with keys that are evicted. Then the log is applied
 * to an empty store, long after every deadline: both hold the same, to the last deadline. Meant for
 * the thread sanitizer as well.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/prng.h"
#include "base/text.h"
#include "command/apply.h"
#include "store/places.h"
#include "store/policy.h"
#include "support/command_box.h"
#include "support/test.h"
#include "wire/resp.h"

#define WORKERS 3u
#define PARTIES 4u
#define KEYS 24u
#ifdef SHOAL_TSAN
#define REQUESTS 250u
#else
#define REQUESTS 1000u
#endif

/* One command: '%k' stands for a key, '%n' for a small number, '%d' for a database, '%m' for
 * milliseconds that are soon over. */
static const char *const commands[] = {
    "SET s%k %n",
    "SET s%k %n PX %m",
    "SET s%k %n KEEPTTL GET",
    "SET s%k %n XX EX 1000",
    "SET s%k %n NX PX %m",
    "SET s%k %n IFEQ %n",
    "SETEX s%k 1000 %n",
    "GETSET s%k %n",
    "GETDEL s%k",
    "GETEX s%k PX %m",
    "INCRBY s%k %n",
    "INCRBYFLOAT s%k 0.25",
    "APPEND s%k %n",
    "MSET s%k %n s%k %n s%k %n",
    "MSETNX s%k %n s%k %n",
    "MSETEX 2 s%k %n s%k %n PX %m",
    "GET s%k",
    "EXPIRE s%k %n",
    "PEXPIRE l%k %m",
    "PEXPIRE h%k %m GT",
    "PEXPIRE z%k %m",
    "PERSIST s%k",
    "DEL s%k l%k h%k",
    "UNLINK z%k e%k",
    "RENAME s%k s%k",
    "COPY l%k l%k REPLACE",
    "COPY h%k h%k DB %d",
    "MOVE s%k %d",
    "MOVE z%k %d",
    "RPUSH l%k %n %n %n",
    "LPUSH l%k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%n",
    "LPOP l%k %n",
    "BLPOP l%k l%k 0.003",
    "BLMOVE l%k l%k LEFT RIGHT 0.003",
    "BRPOPLPUSH l%k l%k 0.002",
    "BLMPOP 0.002 2 l%k l%k LEFT COUNT %n",
    "LMPOP 2 l%k l%k RIGHT COUNT %n",
    "LTRIM l%k 0 %n",
    "LINSERT l%k BEFORE %n %n",
    "SORT l%k BY s* LIMIT 0 4 STORE l%k",
    "HSET h%k f%n %n f%n %n",
    "HSETNX h%k f%n %n",
    "HINCRBY h%k f%n %n",
    "HINCRBYFLOAT h%k f%n 0.5",
    "HDEL h%k f%n",
    "HPEXPIRE h%k %m FIELDS 2 f%n f%n",
    "HPEXPIRE h%k %m LT FIELDS 1 f%n",
    "HPERSIST h%k FIELDS 1 f%n",
    "HGETEX h%k PX %m FIELDS 1 f%n",
    "HSETEX h%k PX %m FIELDS 2 f%n %n f%n %n",
    "HGETDEL h%k FIELDS 1 f%n",
    "SADD e%k %n %n x%n",
    "SPOP e%k",
    "SPOP e%k %n",
    "SMOVE e%k e%k %n",
    "SUNIONSTORE e%k e%k e%k",
    "SINTERSTORE e%k e%k e%k",
    "ZADD z%k %n a%n %n b%n",
    "ZINCRBY z%k %n a%n",
    "ZPOPMIN z%k",
    "ZMPOP 2 z%k z%k MAX COUNT %n",
    "BZPOPMIN z%k z%k 0.003",
    "ZUNIONSTORE z%k 2 z%k z%k",
    "ZRANGESTORE z%k z%k 0 %n",
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

typedef struct party {
    shoal_session *session;
    shoal_buffer out;
    uint32_t done, replies;
} party;

typedef struct lane {
    command_box *box;
    shoal_worker *worker;
    shoal_allocator allocator;
    shoal_prng prng;
    uint64_t number; /* of the round */
    party parties[PARTIES];
} lane;

static _Atomic uint32_t lanes_done;

/* ---- requests ---- */

static void put_command(shoal_prng *prng, shoal_buffer *out)
{
    const char *at = commands[shoal_prng_below(prng, COMMANDS)];
    for (; *at != '\0'; at++) {
        if (*at != '%') {
            shoal_buffer_append(out, (shoal_slice){at, 1});
            continue;
        }
        uint64_t most = *++at == 'k' ? KEYS : *at == 'd' ? 4 : *at == 'm' ? 40 : 9;
        uint64_t number = shoal_prng_below(prng, most) + (*at == 'n' || *at == 'm');
        shoal_text_appendf(out, "%u", (unsigned)number);
    }
    shoal_buffer_append(out, (shoal_slice){"\r\n", 2});
}

/* Appends a request; returns how many replies it gets. */
static uint32_t put_request(shoal_prng *prng, shoal_buffer *out)
{
    switch (shoal_prng_below(prng, 400)) {
    case 0: shoal_text_appendf(out, "FLUSHDB\r\n"); return 1;
    case 1: shoal_text_appendf(out, "FLUSHALL ASYNC\r\n"); return 1;
    case 2:
        shoal_text_appendf(out, "SWAPDB 0 %u\r\n", (unsigned)shoal_prng_below(prng, 4));
        return 1;
    default: break;
    }
    if (shoal_prng_below(prng, 10) == 0) {
        shoal_text_appendf(out, "SELECT %u\r\n", (unsigned)shoal_prng_below(prng, 4));
        return 1;
    }
    if (shoal_prng_below(prng, 8) != 0) {
        put_command(prng, out);
        return 1;
    }
    uint32_t count = 1 + (uint32_t)shoal_prng_below(prng, 5);
    shoal_text_appendf(out, "MULTI\r\n");
    for (uint32_t i = 0; i < count; i++) put_command(prng, out);
    shoal_text_appendf(out, "EXEC\r\n");
    return count + 2;
}

/* True when nothing is owed to the party. */
static bool take_replies(party *who)
{
    size_t used = 0, size;
    while (who->replies > 0) {
        shoal_slice got = shoal_buffer_slice(&who->out);
        if (shoal_answer_size((shoal_slice){got.data + used, got.size - used}, &size) != 0) break;
        used += size;
        who->replies--;
    }
    if (used > 0) shoal_buffer_consume(&who->out, used);
    return who->replies == 0;
}

/* ---- rounds ---- */

static void feed(party *who, shoal_slice bytes)
{
    SHOAL_ASSERT(shoal_session_feed(who->session, bytes, &who->out) != SHOAL_FEED_CLOSE);
}

static void one_turn(lane *on, party *who)
{
    if (!take_replies(who) || who->done == REQUESTS) return;
    shoal_buffer text = shoal_buffer_make(&on->allocator);
    uint32_t some = 1 + (uint32_t)shoal_prng_below(&on->prng, 4);
    for (uint32_t i = 0; i < some && who->done < REQUESTS; i++) {
        who->replies += put_request(&on->prng, &text);
        who->done++;
    }
    feed(who, shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
}

static void one_round(lane *on, bool asks)
{
    shoal_time now = on->box->now;
    int64_t passed_us = (int64_t)++on->number * 200;
    now.mono_us += passed_us;
    now.wall_us += passed_us;
    shoal_worker_begin(on->worker, now);
    shoal_session *ready;
    while ((ready = shoal_worker_ready(on->worker)) != NULL)
        feed(shoal_session_owner(ready), (shoal_slice){NULL, 0});
    for (uint32_t i = 0; asks && i < PARTIES; i++) one_turn(on, &on->parties[i]);
    shoal_worker_end(on->worker);
}

static bool over(lane *on)
{
    for (uint32_t i = 0; i < PARTIES; i++) {
        if (on->parties[i].done < REQUESTS || !take_replies(&on->parties[i])) return false;
    }
    return true;
}

static void *drive(void *argument)
{
    lane *on = argument;
    bool counted = false;
    while (shoal_load_relaxed(&lanes_done) < WORKERS) {
        one_round(on, true);
        if (!counted && over(on)) {
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

static void open_lane(command_box *box, lane *on, uint32_t index, uint64_t seed)
{
    *on = (lane){.box = box, .worker = box->workers[index]};
    on->allocator = test_allocator(&box->heap);
    on->prng = shoal_prng_make((const uint64_t[2]){seed, index}, 0, 1);
    shoal_worker_begin(on->worker, box->now);
    for (uint32_t i = 0; i < PARTIES; i++) {
        party *who = &on->parties[i];
        shoal_session_options options = {.peer = {"127.0.0.1", 1}, .owner = who};
        who->out = shoal_buffer_make(&on->allocator);
        assert_int_equal(shoal_session_open(on->worker, &options, &who->out, &who->session), 0);
    }
    shoal_worker_end(on->worker);
}

static void close_lanes(lane *lanes)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        shoal_worker_begin(lanes[i].worker, lanes[i].box->now);
        for (uint32_t j = 0; j < PARTIES; j++) {
            shoal_session_close(lanes[i].parties[j].session);
            shoal_buffer_free(&lanes[i].parties[j].out);
        }
        shoal_worker_end(lanes[i].worker);
    }
    for (uint32_t i = 0; i < 4 * WORKERS; i++) one_round(&lanes[i % WORKERS], false);
}

/* ---- replay ---- */

/* Cuts a command in RESP off the front of `at`. Returns what follows it. */
static const char *cut(const char *at, shoal_slice *argv, uint32_t *argc)
{
    char *next;
    *argc = (uint32_t)strtoul(at + 1, &next, 10);
    at = next + 2;
    for (uint32_t i = 0; i < *argc; i++) {
        size_t size = strtoul(at + 1, &next, 10);
        argv[i] = (shoal_slice){next + 2, size};
        at = next + 2 + size + 2;
    }
    return at;
}

/* Applies `told` to an empty store, when every deadline is over. Returns its digest. */
static uint64_t replay(shoal_slice told)
{
    enum { MOST = 64, BATCH = 40 };
    static command_box box;
    static shoal_slice argv[BATCH][MOST];
    command_box_open(&box, 1, false);
    shoal_thread *thread = shoal_store_thread(box.env.store, 1);
    shoal_applier_options options = {.env = &box.env, .thread = thread};
    shoal_applier *applier;
    assert_int_equal(shoal_applier_open(&options, &applier), 0);
    box.now.wall_us += 100000000000;
    const char *at = told.data, *end = told.data + told.size;
    while (at < end) {
        shoal_apply_command batch[BATCH];
        uint32_t count = 0, used = 0;
        for (; at < end && count < BATCH; count++) {
            at = cut(at, argv[count], &batch[count].argc);
            batch[count].argv = argv[count];
        }
        shoal_thread_enter(thread, box.now);
        shoal_applied how = shoal_apply_batch(applier, batch, count, &used);
        shoal_slice error = shoal_applier_error(applier);
        if (how != SHOAL_APPLY_DONE) {
            for (uint32_t i = 0; i < batch[used - 1].argc; i++)
                print_error("%.*s ", (int)argv[used - 1][i].size, argv[used - 1][i].data);
            print_error("-> %.*s\n", (int)error.size, error.data);
        }
        assert_int_equal(how, SHOAL_APPLY_DONE);
        assert_int_equal(used, count);
        shoal_thread_leave(thread);
    }
    assert_false(shoal_applier_in_transaction(applier));
    uint64_t digest = shoal_store_digest(box.env.store);
    shoal_applier_close(applier);
    command_box_close(&box);
    return digest;
}

/* ---- the test ---- */

static void run(uint64_t seed, uint64_t keys_max)
{
    static command_box box;
    static lane lanes[WORKERS];
    pthread_t threads[WORKERS];
    print_message("seed %llu\n", (unsigned long long)seed);
    command_box_open(&box, WORKERS, false);
    command_box_log(&box);
    box.host.nudge = nudge_nobody;
    /* Small ones, so that packs and objects both come and go. */
    box.settings.list_node_max = 4;
    box.settings.set_entries_max = 5;
    box.settings.hash_entries_max = 5;
    box.settings.zset_entries_max = 5;
    if (keys_max != 0) {
        shoal_limits limits = shoal_limits_default();
        limits.keys = keys_max;
        limits.policy = shoal_policy_named(shoal_text("allkeys-lru"));
        assert_non_null(limits.policy);
        shoal_store_set_limits(box.env.store, &limits);
    }
    shoal_store_relaxed(&lanes_done, 0);
    for (uint32_t i = 0; i < WORKERS; i++) open_lane(&box, &lanes[i], i, seed);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, drive, &lanes[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    close_lanes(lanes);
    assert_int_equal(shoal_load_relaxed(&box.env.blocked), 0);
    assert_false(shoal_log_torn(box.log));
    shoal_store_stats stats;
    shoal_store_stats_get(box.env.store, &stats);
    assert_true(stats.expired > 0);
    assert_int_equal(stats.evicted > 0, keys_max != 0);

    shoal_buffer told = command_box_effects(&box);
    shoal_buffer_append(&told, (shoal_slice){"", 1});
    shoal_slice bytes = shoal_buffer_slice(&told);
    bytes.size--;
    assert_int_equal(replay(bytes), shoal_store_digest(box.env.store));
    shoal_buffer_free(&told);
    command_box_close(&box);
}

static void a_replayed_log_is_the_store_that_threads_have_written(void **state)
{
    (void)state;
    run(1, 0);
    run(2, 0);
}

static void keys_that_are_evicted_go_where_the_log_says(void **state)
{
    (void)state;
    run(3, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replayed_log_is_the_store_that_threads_have_written),
        cmocka_unit_test(keys_that_are_evicted_go_where_the_log_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
