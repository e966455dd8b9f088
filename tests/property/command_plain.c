/* SPDX-License-Identifier: MIT
 *
 * The short way of plain GETs and SETs (command/plain.h) against the usual one. Two boxes get the
 * same pipelines, in the same pieces; in one of them a monitor listens, so that every command takes
 * the usual way. Replies, effects, counts of commands and lookups, the slow log and what is left in
 * the end must be the same. Keys hold strings short and long, numbers, lists and objects, expire,
 * and are changed by transactions; sessions change their database, their protocol and what they
 * want to hear; now and then writes are refused.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/prng.h"
#include "command/worker.h"
#include "store/route.h"
#include "support/command_box.h"

#define SEEDS 60u
#define PIPELINES 120u
#define KEYS 24u

/* Two boxes with the same clients, of which the second box has one more, that monitors. */
typedef struct pair {
    command_box boxes[2];
    command_client clients[2], monitor;
    int64_t clocks[2];
    shoal_prng prng;
    char text[1u << 16];
    size_t size;
} pair;

static pair both;

static int64_t clock_ns(void *context)
{
    /* Each box has a clock of its own, which moves when it is read. */
    return both.clocks[context == &both.boxes[1]] += 1000;
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)shoal_prng_below(&both.prng, limit);
}

/* In a cluster every other slot is this node's. */
static void publish_route(command_box *box)
{
    shoal_thread *control = shoal_store_thread(box->env.store, box->env.worker_count);
    shoal_route *route = shoal_route_make(box->env.store, 2);
    assert_non_null(route);
    route->cluster = route->up = true;
    route->nodes[0].myself = true;
    for (uint32_t i = 0; i < 2; i++) {
        strcpy(route->nodes[i].endpoint, "127.0.0.1");
        route->nodes[i].port = (uint16_t)(7000 + i);
    }
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++)
        route->owner[slot] = (uint16_t)(1 + slot % 2);
    shoal_thread_enter(control, box->now);
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot += 2)
        shoal_store_set_owned(control, slot, true);
    shoal_store_publish_route(control, route);
    shoal_thread_leave(control);
}

static void open_pair(uint32_t seed)
{
    memset(&both, 0, sizeof both);
    both.prng = shoal_prng_make((uint64_t[2]){seed, 11}, 0, 0);
    bool cluster = seed % 4 == 3;
    for (uint32_t i = 0; i < 2; i++) {
        command_box *box = &both.boxes[i];
        command_box_open(box, 1, cluster);
        if (seed % 2 == 1) command_box_log(box);
        box->host.clock_ns = seed % 3 != 0 ? clock_ns : NULL;
        box->settings.timed = box->settings.latency_tracking = true;
        box->settings.slow_us = seed % 5 == 0 ? 0 : 1000;
        box->settings.slow_max = 64;
        if (cluster) publish_route(box);
        client_open(&both.clients[i], box, 0);
    }
    /* In the first box it goes at once. */
    for (uint32_t i = 0; i < 2; i++) {
        client_open(&both.monitor, &both.boxes[i], 0);
        client_asks(&both.monitor, "MONITOR~", "+OK~");
        if (i == 0) client_close(&both.monitor);
        assert_int_equal(shoal_load_relaxed(&both.boxes[i].env.monitors), i);
    }
}

static void close_pair(void)
{
    for (uint32_t i = 0; i < 2; i++) client_close(&both.clients[i]);
    client_close(&both.monitor);
    for (uint32_t i = 0; i < 2; i++) {
        command_box_settle(&both.boxes[i]);
        command_box_close(&both.boxes[i]);
    }
}

/* ---- what is asked ---- */

/* Adds a command of words with a blank between them. */
static void add(const char *words)
{
    uint32_t argc = 1;
    size_t room = sizeof both.text - both.size;
    for (const char *at = words; *at != '\0'; at++) argc += *at == ' ';
    int put = snprintf(both.text + both.size, room, "*%u\r\n", argc);
    both.size += (size_t)put;
    for (const char *at = words; argc > 0; argc--) {
        size_t size = strcspn(at, " ");
        room = sizeof both.text - both.size;
        put = snprintf(both.text + both.size, room, "$%zu\r\n%.*s\r\n", size, (int)size, at);
        assert_true((size_t)put < room);
        both.size += (size_t)put;
        at += size + (at[size] == ' ');
    }
}

static void add_value(char *words, size_t room)
{
    size_t at = strlen(words);
    size_t size = below(8) == 0 ? 200 + below(300) : 1 + below(70);
    assert_true(at + size < room);
    if (below(4) == 0) {
        snprintf(words + at, room - at, "%u", below(100000));
        return;
    }
    for (size_t i = 0; i < size; i++) words[at + i] = (char)('a' + below(26));
    words[at + size] = '\0';
}

/* One of those that the short way is for. */
static void add_plain(void)
{
    char words[1024];
    uint32_t key = below(KEYS);
    if (below(2) == 0) {
        snprintf(words, sizeof words, "%s key:%u", below(9) == 0 ? "gEt" : "GET", key);
    } else {
        snprintf(words, sizeof words, "SET key:%u ", key);
        add_value(words, sizeof words);
    }
    add(words);
}

/* One of those that it is not for, or that change what it depends on. */
static void add_other(void)
{
    static const char *const forms[] = {
        "GET",
        "GET key:%u more",
        "SET key:%u",
        "SET key:%u v NX",
        "SET key:%u v XX GET",
        "SET key:%u v PX 40",
        "PEXPIRE key:%u 30",
        "PERSIST key:%u",
        "DEL key:%u",
        "DEL list:%u",
        "RPUSH key:%u a b",
        "GET list:%u",
        "RPUSH list:%u a",
        "SET list:%u v",
        "SETRANGE key:%u 20000 x",
        "APPEND key:%u y",
        "INCR key:%u",
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH key:%u",
        "SELECT 1",
        "SELECT 0",
        "HELLO 3",
        "HELLO 2",
        "CLIENT REPLY SKIP",
        "CLIENT TRACKING ON",
        "CLIENT TRACKING OFF",
        "SUBSCRIBE news",
        "UNSUBSCRIBE news",
        "READONLY",
        "ASKING",
        "PING",
        "NOSUCH key:%u",
        "SLOWLOG LEN",
        "RESET",
    };
    char words[64];
    const char *form = forms[below(sizeof forms / sizeof forms[0])];
    const char *at = strstr(form, "%u");
    if (at == NULL) {
        add(form);
        return;
    }
    snprintf(words, sizeof words, "%.*s%u%s", (int)(at - form), form, below(KEYS), at + 2);
    add(words);
}

/* ---- the same? ---- */

static void check_replies(void)
{
    shoal_slice one = shoal_buffer_slice(&both.clients[0].out);
    shoal_slice other = shoal_buffer_slice(&both.clients[1].out);
    assert_int_equal(one.size, other.size);
    if (one.size != 0) assert_memory_equal(one.data, other.data, one.size);
    for (uint32_t i = 0; i < 2; i++) {
        shoal_buffer *out = &both.clients[i].out;
        shoal_buffer_consume(out, shoal_buffer_size(out));
    }
    shoal_buffer *heard = &both.monitor.out;
    shoal_buffer_consume(heard, shoal_buffer_size(heard));
}

static void check_effects(void)
{
    if (both.boxes[0].log == NULL) return;
    shoal_buffer told[2];
    for (uint32_t i = 0; i < 2; i++) told[i] = command_box_effects(&both.boxes[i]);
    shoal_slice one = shoal_buffer_slice(&told[0]), other = shoal_buffer_slice(&told[1]);
    assert_int_equal(one.size, other.size);
    if (one.size != 0) assert_memory_equal(one.data, other.data, one.size);
    for (uint32_t i = 0; i < 2; i++) shoal_buffer_free(&told[i]);
}

static void check_counts(void)
{
    shoal_store_stats stats[2];
    for (uint32_t i = 0; i < 2; i++) shoal_store_stats_get(both.boxes[i].env.store, &stats[i]);
    assert_int_equal(stats[0].hits, stats[1].hits);
    assert_int_equal(stats[0].misses, stats[1].misses);
    assert_int_equal(stats[0].keys, stats[1].keys);
    assert_int_equal(stats[0].expired, stats[1].expired);
    for (uint32_t id = 1; id < SHOAL_COMMAND_COUNT; id++) {
        shoal_command_count one = shoal_command_count_get(&both.boxes[0].env, id);
        shoal_command_count other = shoal_command_count_get(&both.boxes[1].env, id);
        assert_int_equal(one.calls, other.calls);
        assert_int_equal(one.rejected, other.rejected);
        assert_int_equal(one.failed, other.failed);
        assert_int_equal(one.took_ns, other.took_ns);
    }
}

/* ---- the runs ---- */

/* Sends what was gathered to both boxes, whole or in two pieces. */
static void send_to_both(void)
{
    size_t first = below(3) == 0 && both.size > 0 ? below((uint32_t)both.size) : both.size;
    for (uint32_t i = 0; i < 2; i++) {
        command_client *client = &both.clients[i];
        client_send(client, (shoal_slice){both.text, first});
        if (first < both.size)
            client_send(client, (shoal_slice){both.text + first, both.size - first});
        command_box_settle(client->box);
        assert_non_null(client->session);
    }
    both.size = 0;
}

/* Changes what a run depends on. */
static void change_world(void)
{
    int64_t ms = below(3) == 0 ? below(60) : 0;
    uint32_t refuses = below(12) == 0 ? SHOAL_REFUSES_WRITES_HERE : 0;
    uint32_t misconf = below(12) == 0 ? SHOAL_MISCONF_AOF : 0;
    bool loading = below(20) == 0;
    for (uint32_t i = 0; i < 2; i++) {
        if (ms != 0) command_box_sleep(&both.boxes[i], ms);
        shoal_store_relaxed(&both.boxes[i].env.refuses, refuses);
        shoal_store_relaxed(&both.boxes[i].env.misconf, misconf);
        shoal_store_relaxed(&both.boxes[i].env.loading, loading);
    }
}

static void the_short_way_does_what_the_usual_one_does(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        open_pair(seed);
        for (uint32_t i = 0; i < PIPELINES; i++) {
            change_world();
            uint32_t count = 1 + below(below(3) == 0 ? 90 : 12);
            for (uint32_t n = 0; n < count; n++) {
                if (below(12) == 0) {
                    add_other();
                } else {
                    add_plain();
                }
            }
            send_to_both();
            check_replies();
            check_effects();
            check_counts();
        }
        close_pair();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_short_way_does_what_the_usual_one_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
