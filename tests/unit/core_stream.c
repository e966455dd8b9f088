/* SPDX-License-Identifier: MIT
 *
 * The stream of a master in a whole node: what waits at a gate that another thread holds, what
 * stands in the log of it when the link goes or this node becomes a master itself.
 */
#include "support/test.h"

#include "support/core_world.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/node.h"

#define ID "0123456789abcdef0123456789abcdef01234567"
/* Where the stream begins. */
#define OFFSET 1000u

/* A replica in sync, and three keys in the order of their slots. */
typedef struct replica {
    core_world world;
    char keys[3][8];
    uint32_t places[3];
    size_t told; /* bytes of a batch that are carried out */
} replica;

static void contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) fail_msg("'%s' is not in: %s", part, text);
}

/* ---- events ---- */

static void step(core_world *world, shoal_event event)
{
    event.now = world->now;
    world->deadline_us = shoal_node_step(world->node, &event);
}

static void hear_bytes(core_world *world, const char *bytes, size_t size)
{
    step(world, (shoal_event){.kind = SHOAL_EVENT_LINK_DATA, .link = 1, .data = {bytes, size}});
}

static void hear(core_world *world, const char *text)
{
    hear_bytes(world, text, strlen(text));
}

static void lose_link(core_world *world)
{
    step(world, (shoal_event){.kind = SHOAL_EVENT_LINK_DOWN, .link = 1, .error = SHOAL_ERR_RESET});
}

/* Control goes on, and no worker but the second: the first may be under a gate. */
static void go_on(core_world *world)
{
    shoal_worker *worker = shoal_node_worker(world->node, 1);
    for (int i = 0; i < 8; i++) {
        step(world, (shoal_event){.kind = SHOAL_EVENT_NUDGED});
        shoal_worker_begin(worker, world->now);
        while (shoal_worker_ready(worker) != NULL)
            (void)shoal_session_feed(world->sessions[1], (shoal_slice){"", 0}, &world->replies[1]);
        (void)shoal_worker_end(worker);
    }
}

/* What the client of the second worker is answered. */
static const char *ask(core_world *world, const char *line)
{
    core_world_send(world, 1, line);
    go_on(world);
    return core_world_reply(world, 1);
}

/* ---- a replica ---- */

static uint64_t offset(const replica *at)
{
    return shoal_log_end(at->world.node->log);
}

static void choose_keys(replica *at)
{
    uint32_t count = 0, last = 0;
    for (uint32_t i = 0; count < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "key:%u", (unsigned)i);
        uint32_t slot = shoal_key_slot(shoal_text(name));
        if (slot <= last) continue;
        memcpy(at->keys[count], name, sizeof name);
        last = at->places[count++] = slot;
    }
}

static void open_replica(replica *at, const char *conf)
{
    static const char snapshot[] = "REDIS0009\xff\0\0\0\0\0\0\0";
    core_world *world = &at->world;
    choose_keys(at);
    core_world_open(world, 2, conf);
    core_world_start(world);
    (void)core_world_ask(world, 1, "REPLICAOF 10.0.0.1 7000");
    core_world_sleep(world, 200000);
    contains(core_world_log(world), "Connecting to MASTER 10.0.0.1:7000");
    step(world, (shoal_event){.kind = SHOAL_EVENT_LINK_UP, .link = 1});
    hear(world, "+PONG\r\n+OK\r\n+OK\r\n");
    hear(world, "+FULLRESYNC " ID " 1000\r\n$18\r\n");
    _Static_assert(sizeof snapshot == 18, "with the zero at its end");
    hear_bytes(world, snapshot, sizeof snapshot);
    core_world_settle(world);
    core_world_sleep(world, 200000);
    contains(core_world_log(world), "MASTER <-> REPLICA sync: Finished with success");
    hear(world, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
    core_world_settle(world);
    assert_int_equal(offset(at), OFFSET + 23);
    (void)core_world_reply(world, 1);
}

/* Puts a command into `text`, which has room, behind `size` bytes; returns how many it has then. */
static int put(char *text, int size, const char *const *words, uint32_t count)
{
    size += sprintf(text + size, "*%u\r\n", (unsigned)count);
    for (uint32_t i = 0; i < count; i++)
        size += sprintf(text + size, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    return size;
}

/* All three keys, at once. Returns the bytes of the command. */
static size_t tell_all(replica *at, const char *value)
{
    const char *words[] = {"MSET", at->keys[0], value, at->keys[1], value, at->keys[2], value};
    char text[256];
    int size = put(text, 0, words, 7);
    hear_bytes(&at->world, text, (size_t)size);
    return (size_t)size;
}

/* ---- under a gate ---- */

typedef struct held {
    shoal_gate_op gate;
    replica *at;
    void (*then)(replica *at);
} held;

static void run_held(shoal_op *op, void *runner)
{
    held *holding = (held *)op;
    (void)runner;
    holding->then(holding->at);
}

/* Runs `then` while the first worker holds the gate of the middle key; all settles then. */
static void while_held(replica *at, void (*then)(replica *at))
{
    core_world *world = &at->world;
    shoal_thread *thread = shoal_store_thread(world->node->store, 0);
    held holding = {{.op = {.run = run_held}, .places = &at->places[1], .count = 1}, at, then};
    shoal_thread_enter(thread, world->now);
    assert_true(shoal_gate_try(thread, &holding.gate));
    shoal_thread_leave(thread);
    core_world_settle(world);
}

static const char *get(replica *at, uint32_t key)
{
    static const char format[] = "GET %s";
    char line[32];
    snprintf(line, sizeof line, format, at->keys[key]);
    return core_world_ask(&at->world, 1, line);
}

static const char *set(replica *at, uint32_t key, const char *value)
{
    char line[64];
    snprintf(line, sizeof line, "SET %s %s", at->keys[key], value);
    return ask(&at->world, line);
}

/* ---- promotion ---- */

static void promote_and_write(replica *at)
{
    core_world *world = &at->world;
    uint64_t before = offset(at);
    size_t size = tell_all(at, "1");
    assert_true(shoal_node__apply_pending(world->node));
    assert_int_equal(offset(at), before);
    assert_string_equal(ask(world, "REPLICAOF NO ONE"), "+OK\r\n");
    /* It is part of what this node has. */
    assert_int_equal(offset(at), before + size);
    assert_true(shoal_node__apply_pending(world->node));
    assert_string_equal(set(at, 2, "2"),
                        "-READONLY You can't write against a read only replica.\r\n");
    assert_int_equal(offset(at), before + size);
    contains(ask(world, "ROLE"), "master");
}

static void no_write_overtakes_what_waits_of_the_stream_of_a_former_master(void **state)
{
    replica at;
    (void)state;
    open_replica(&at, "save \"\"\n");
    while_held(&at, promote_and_write);
    assert_false(shoal_node__apply_pending(at.world.node));
    uint64_t before = offset(&at);
    assert_string_equal(get(&at, 2), "$1\r\n1\r\n");
    assert_string_equal(set(&at, 2, "2"), "+OK\r\n");
    assert_string_equal(get(&at, 2), "$1\r\n2\r\n");
    assert_string_equal(get(&at, 0), "$1\r\n1\r\n");
    /* And is told from now on. */
    assert_true(offset(&at) > before);
    core_world_close(&at.world);
}

/* ---- a link that goes in the middle of a batch ---- */

/* A batch of three: one that is carried out, one that waits, one that has not begun. Returns the
 * bytes of the first two. */
static size_t tell_batch(replica *at)
{
    const char *first[] = {"SET", at->keys[0], "0"}, *last[] = {"SET", at->keys[2], "9"};
    char text[512];
    int size = put(text, 0, first, 3);
    const char *all[] = {"MSET", at->keys[0], "1", at->keys[1], "1", at->keys[2], "1"};
    size = put(text, size, all, 7);
    int whole = put(text, size, last, 3);
    hear_bytes(&at->world, text, (size_t)whole);
    assert_true(shoal_node__apply_pending(at->world.node));
    return (size_t)size;
}

static void lose_the_link_while_a_command_waits(replica *at)
{
    uint64_t before = offset(at);
    size_t size = tell_batch(at);
    assert_int_equal(offset(at), before);
    lose_link(&at->world);
    /* The next link asks for what follows: the old stream is given up before. */
    core_world *world = &at->world;
    for (int i = 0; i < 30; i++) {
        world->now.mono_us += 100000;
        world->now.wall_us += 100000;
        step(world, (shoal_event){.kind = SHOAL_EVENT_TICK});
    }
    assert_int_equal(offset(at), before + size);
    assert_true(shoal_node__apply_pending(world->node));
}

static void what_waits_of_a_stream_whose_link_goes_is_part_of_the_data_and_of_the_log(void **state)
{
    replica at;
    (void)state;
    open_replica(&at, "save \"\"\n");
    uint64_t before = offset(&at);
    while_held(&at, lose_the_link_while_a_command_waits);
    core_world_sleep(&at.world, 2000000);
    assert_true(offset(&at) > before);
    for (uint32_t i = 0; i < 3; i++) assert_string_equal(get(&at, i), "$1\r\n1\r\n");
    core_world_close(&at.world);
}

/* Nothing of a stream is carried out for a second; the command that waits is over meanwhile. */
static void sleep_while_a_command_waits(replica *at)
{
    core_world *world = &at->world;
    uint64_t before = offset(at);
    at->told = tell_batch(at);
    assert_int_equal(offset(at), before);
    shoal_store_relaxed(&world->node->env.sleep_until_us, world->now.mono_us + 1000000);
}

static void what_was_carried_out_of_a_batch_is_in_the_log_when_its_link_goes(void **state)
{
    replica at;
    (void)state;
    open_replica(&at, "save \"\"\n");
    uint64_t before = offset(&at);
    while_held(&at, sleep_while_a_command_waits);
    assert_string_equal(get(&at, 1), "$1\r\n1\r\n");
    assert_int_equal(offset(&at), before);
    lose_link(&at.world);
    core_world_sleep(&at.world, 3000000);
    /* Not the third: nobody has carried it out, and the next link brings it again. */
    assert_int_equal(offset(&at), before + at.told);
    for (uint32_t i = 0; i < 3; i++) assert_string_equal(get(&at, i), "$1\r\n1\r\n");
    core_world_close(&at.world);
}

/* ---- a base of the append-only file ---- */

/* A transaction that must not happen twice. */
static void tell_pushes(replica *at)
{
    const char *multi[] = {"MULTI"}, *exec[] = {"EXEC"};
    char text[512];
    int size = put(text, 0, multi, 1);
    for (uint32_t i = 0; i < 3; i++) {
        const char *push[] = {"RPUSH", at->keys[i], "x"};
        size = put(text, size, push, 3);
    }
    size = put(text, size, exec, 1);
    hear_bytes(&at->world, text, (size_t)size);
    assert_true(shoal_node__apply_pending(at->world.node));
}

/* It is carried out when the gate is let go, and control does not see to that for a second. */
static void push_and_sleep(replica *at)
{
    core_world *world = &at->world;
    tell_pushes(at);
    shoal_store_relaxed(&world->node->env.sleep_until_us, world->now.mono_us + 1000000);
}

static void what_was_carried_out_of_a_stream_is_in_the_base_of_a_rewrite_or_behind_it(void **state)
{
    replica at;
    (void)state;
    open_replica(&at, "save \"\"\nappendonly yes\nenable-debug-command yes\n");
    core_world *world = &at.world;
    core_world_sleep(world, 2000000);
    while_held(&at, push_and_sleep);
    contains(core_world_ask(world, 1, "BGREWRITEAOF"), "rewriting started");
    core_world_sleep(world, 2000000);
    contains(core_world_log(world), "rewrite finished successfully");
    core_world_send(world, 1, "DEBUG LOADAOF");
    core_world_sleep(world, 1000000);
    contains(core_world_log(world), "Append Only File loaded by DEBUG LOADAOF");
    contains(core_world_reply(world, 1), "+OK\r\n");
    for (uint32_t i = 0; i < 3; i++) {
        char line[32];
        snprintf(line, sizeof line, "LLEN %s", at.keys[i]);
        assert_string_equal(core_world_ask(world, 1, line), ":1\r\n");
    }
    core_world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_write_overtakes_what_waits_of_the_stream_of_a_former_master),
        cmocka_unit_test(what_waits_of_a_stream_whose_link_goes_is_part_of_the_data_and_of_the_log),
        cmocka_unit_test(what_was_carried_out_of_a_stream_is_in_the_base_of_a_rewrite_or_behind_it),
        cmocka_unit_test(what_was_carried_out_of_a_batch_is_in_the_log_when_its_link_goes),
    };
    return cmocka_run_group_tests_name("core_stream", tests, NULL, NULL);
}
