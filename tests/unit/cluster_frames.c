/* SPDX-License-Identifier: MIT
 *
 * Frames from strangers, frames that make no sense, and streams cut anywhere: what is answered,
 * what is refused with which reason, and that the node is none the worse for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "base/text.h"
#include "support/cluster_world.h"

#define TIMEOUT_MS 2000

static const char stranger[] = "ssssssssssssssssssssssssssssssssssssssss";
static const char nobody[] = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";

static void open_two(world *w, uint64_t seed)
{
    world_open(w, seed, TIMEOUT_MS);
    world_start_many(w, 2);
    world_form(w, 2, 10000);
}

static shoal_frame frame_of(const char *name, uint16_t type)
{
    static const shoal_slotmap none;
    shoal_frame frame = {.type = type,
                         .port = WORLD_PORT + 30,
                         .bus_port = WORLD_PORT + 10030,
                         .flags = SHOAL_NODE_MASTER,
                         .slots = &none,
                         .update_slots = &none};
    memcpy(frame.sender, name, SHOAL_NODE_NAME_LEN);
    memcpy(frame.failed_name, nobody, SHOAL_NODE_NAME_LEN);
    memcpy(frame.update_name, nobody, SHOAL_NODE_NAME_LEN);
    return frame;
}

static shoal_buffer encode(world *w, const shoal_frame *frame)
{
    shoal_buffer bytes = shoal_buffer_make(&w->allocator);
    shoal_frame_encode(frame, &bytes);
    return bytes;
}

static void send_frame(world *w, uint32_t pipe, const shoal_frame *frame)
{
    shoal_buffer bytes = encode(w, frame);
    world_push(w, pipe, shoal_buffer_slice(&bytes));
    shoal_buffer_free(&bytes);
    world_run(w, 5);
}

/* Reason of the last refusal, which is then forgotten. */
static uint64_t refusal(world *w)
{
    uint64_t reason = w->nodes[0].last[SHOAL_TRACE_FRAME_REFUSED][0];
    w->nodes[0].last[SHOAL_TRACE_FRAME_REFUSED][0] = 0;
    return reason;
}

/* Takes the next frame that the node sent on the link. */
static bool hear(world *w, uint32_t pipe, shoal_frame *frame)
{
    shoal_buffer *heard = world_heard(w, pipe);
    shoal_slice bytes = shoal_buffer_slice(heard);
    shoal_frame_error error;
    size_t size;
    if (bytes.size == 0) return false;
    assert_int_equal(shoal_frame_size(bytes, &size, &error), 0);
    assert_int_equal(shoal_frame_decode((shoal_slice){bytes.data, size}, frame, &error), 0);
    shoal_buffer_consume(heard, size);
    return true;
}

static void a_strangers_ping_is_answered_but_adds_nobody(void **state)
{
    (void)state;
    world w;
    shoal_frame answer;
    open_two(&w, 300);
    uint32_t pipe = world_dial(&w, 0);
    shoal_frame ping = frame_of(stranger, SHOAL_FRAME_PING);
    send_frame(&w, pipe, &ping);
    assert_true(hear(&w, pipe, &answer));
    assert_int_equal(answer.type, SHOAL_FRAME_PONG);
    assert_memory_equal(answer.sender, shoal_cluster_name(w.nodes[0].cluster), 40);
    assert_int_equal(answer.flags, SHOAL_NODE_MYSELF | SHOAL_NODE_MASTER);
    assert_int_equal(answer.port, 7000);
    assert_int_equal(answer.bus_port, 17000);
    assert_int_equal(world_count_lines(&w, 0, "@"), 2);
    world_close(&w);
}

/* When node 0 says that another has answered last, in seconds; it tells of one at a time. */
static uint32_t pong_told_of(world *w, uint32_t pipe, int other)
{
    const char *name = shoal_cluster_name(w->nodes[other].cluster);
    for (int tries = 0; tries < 200; tries++) {
        shoal_frame ping = frame_of(stranger, SHOAL_FRAME_PING), answer;
        shoal_gossip entry = {0};
        send_frame(w, pipe, &ping);
        assert_true(hear(w, pipe, &answer));
        if (answer.count > 0) shoal_frame_gossip(&answer, 0, &entry);
        if (memcmp(entry.name, name, SHOAL_NODE_NAME_LEN) == 0) return entry.pong_received_s;
    }
    fail_msg("node 0 tells nothing of node %d", other);
    return 0;
}

static void what_a_node_takes_for_a_pong_at_its_start_it_does_not_tell(void **state)
{
    (void)state;
    world w;
    world_open(&w, 303, TIMEOUT_MS);
    world_start_many(&w, 3);
    world_form(&w, 3, 10000);
    world_run(&w, 2000);
    uint32_t pipe = world_dial(&w, 0);
    assert_true(pong_told_of(&w, pipe, 2) > 0);
    w.nodes[2].frozen = true;
    world_crash(&w, 0);
    world_start(&w, 0);
    world_run(&w, 1500);
    pipe = world_dial(&w, 0);
    assert_true(pong_told_of(&w, pipe, 1) > 0);
    assert_int_equal(pong_told_of(&w, pipe, 2), 0);
    w.nodes[2].frozen = false;
    world_run(&w, 2000);
    assert_true(pong_told_of(&w, pipe, 2) > 0);
    world_close(&w);
}

static void a_strangers_meet_begins_a_handshake_under_another_name(void **state)
{
    (void)state;
    world w;
    open_two(&w, 301);
    uint32_t pipe = world_dial(&w, 0);
    shoal_frame meet = frame_of(stranger, SHOAL_FRAME_MEET);
    send_frame(&w, pipe, &meet);
    assert_int_equal(world_count_lines(&w, 0, stranger), 0);
    assert_int_equal(world_count_lines(&w, 0, "10.0.0.250:7030@17030 handshake"), 1);
    world_close(&w);
}

static void strangers_may_not_say_anything_else(void **state)
{
    (void)state;
    static const uint16_t types[] = {SHOAL_FRAME_FAIL,        SHOAL_FRAME_PUBLISH,
                                     SHOAL_FRAME_UPDATE,      SHOAL_FRAME_AUTH_REQUEST,
                                     SHOAL_FRAME_AUTH_ACK,    SHOAL_FRAME_MFSTART,
                                     SHOAL_FRAME_PUBLISHSHARD};
    world w;
    open_two(&w, 302);
    uint32_t pipe = world_dial(&w, 0);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        shoal_frame frame = frame_of(stranger, types[i]);
        frame.current_epoch = 99;
        send_frame(&w, pipe, &frame);
        assert_int_equal(refusal(&w), 5);
    }
    assert_false(world_hung_up(&w, pipe));
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_current_epoch:2\r\n"));
    world_close(&w);
}

static void what_nodes_say_of_unknown_nodes_is_refused(void **state)
{
    (void)state;
    world w;
    open_two(&w, 303);
    uint32_t pipe = world_dial(&w, 0);
    const char *friend = shoal_cluster_name(w.nodes[1].cluster);
    shoal_frame frame = frame_of(friend, SHOAL_FRAME_FAIL);
    send_frame(&w, pipe, &frame);
    assert_int_equal(refusal(&w), 6);
    frame = frame_of(friend, SHOAL_FRAME_UPDATE);
    frame.update_epoch = 99;
    send_frame(&w, pipe, &frame);
    assert_int_equal(refusal(&w), 6);
    world_close(&w);
}

static void nobody_can_fail_or_configure_us(void **state)
{
    (void)state;
    world w;
    open_two(&w, 304);
    uint32_t pipe = world_dial(&w, 0);
    const char *friend = shoal_cluster_name(w.nodes[1].cluster);
    const char *me = shoal_cluster_name(w.nodes[0].cluster);
    shoal_frame frame = frame_of(friend, SHOAL_FRAME_FAIL);
    memcpy(frame.failed_name, me, SHOAL_NODE_NAME_LEN);
    send_frame(&w, pipe, &frame);
    frame = frame_of(friend, SHOAL_FRAME_UPDATE);
    memcpy(frame.update_name, me, SHOAL_NODE_NAME_LEN);
    frame.update_epoch = 99;
    send_frame(&w, pipe, &frame);
    assert_int_equal(world_count_lines(&w, 0, "myself,master - 0 0 1 connected 0-8191"), 1);
    /* A frame that claims to be from ourselves changes nothing either. */
    frame = frame_of(me, SHOAL_FRAME_PING);
    frame.config_epoch = 99;
    send_frame(&w, pipe, &frame);
    assert_int_equal(world_count_lines(&w, 0, "myself,master - 0 0 1 connected 0-8191"), 1);
    world_close(&w);
}

static void published_messages_are_counted_and_ignored(void **state)
{
    (void)state;
    world w;
    open_two(&w, 305);
    uint32_t pipe = world_dial(&w, 0);
    shoal_frame frame = frame_of(shoal_cluster_name(w.nodes[1].cluster), SHOAL_FRAME_PUBLISH);
    frame.channel = shoal_text("news");
    frame.message = shoal_text("hello");
    send_frame(&w, pipe, &frame);
    assert_int_equal(refusal(&w), 9);
    assert_non_null(
        strstr(world_ask(&w, 0, "INFO"), "cluster_stats_messages_publish_received:1\r\n"));
    world_close(&w);
}

static void garbage_ends_the_link_and_nothing_else(void **state)
{
    (void)state;
    world w;
    open_two(&w, 306);
    uint32_t pipe = world_dial(&w, 0);
    world_push(&w, pipe, shoal_text("GET / HTTP/1.1\r\nHost: shoal\r\n\r\n"));
    world_run(&w, 5);
    assert_true(world_hung_up(&w, pipe));
    assert_int_equal(refusal(&w), 1);
    world_run(&w, 3000);
    assert_true(world_agree(&w, 2));
    world_close(&w);
}

static void a_strangers_huge_frame_ends_the_link(void **state)
{
    (void)state;
    world w;
    open_two(&w, 307);
    uint32_t pipe = world_dial(&w, 0);
    world_push(&w, pipe, (shoal_slice){"RCmb\x02\x00\x00\x00", 8}); /* 32 MiB */
    world_run(&w, 5);
    assert_true(world_hung_up(&w, pipe));
    assert_int_equal(refusal(&w), 2);
    world_close(&w);
}

static void a_frame_of_another_version_or_type_is_passed_over(void **state)
{
    (void)state;
    world w;
    open_two(&w, 308);
    uint32_t pipe = world_dial(&w, 0);
    shoal_frame ping = frame_of(stranger, SHOAL_FRAME_PING), answer;
    shoal_buffer bytes = encode(&w, &ping);
    bytes.data[9] = 2;
    world_push(&w, pipe, shoal_buffer_slice(&bytes));
    world_run(&w, 5);
    assert_int_equal(refusal(&w), 4);
    bytes.data[9] = 1;
    bytes.data[13] = 77;
    world_push(&w, pipe, shoal_buffer_slice(&bytes));
    world_run(&w, 5);
    assert_int_equal(refusal(&w), 4);
    bytes.data[13] = SHOAL_FRAME_PING;
    bytes.data[15] = 9; /* nine gossip entries that are not there */
    world_push(&w, pipe, shoal_buffer_slice(&bytes));
    world_run(&w, 5);
    assert_int_equal(refusal(&w), 3);
    assert_false(hear(&w, pipe, &answer));
    /* The link goes on behind them. */
    send_frame(&w, pipe, &ping);
    assert_true(hear(&w, pipe, &answer));
    shoal_buffer_free(&bytes);
    world_close(&w);
}

static void a_stream_may_be_cut_anywhere(void **state)
{
    (void)state;
    world w;
    shoal_frame answer;
    open_two(&w, 309);
    shoal_frame ping = frame_of(stranger, SHOAL_FRAME_PING);
    shoal_buffer bytes = encode(&w, &ping);
    shoal_slice one = shoal_buffer_slice(&bytes);
    shoal_buffer three = shoal_buffer_make(&w.allocator);
    for (int i = 0; i < 3; i++) shoal_buffer_append(&three, one);
    for (size_t piece = 1; piece < 3 * one.size; piece = piece * 3 + 1) {
        uint32_t pipe = world_dial(&w, 0);
        shoal_slice rest = shoal_buffer_slice(&three);
        while (rest.size > 0) {
            size_t size = piece < rest.size ? piece : rest.size;
            world_push(&w, pipe, (shoal_slice){rest.data, size});
            rest.data += size;
            rest.size -= size;
        }
        world_run(&w, 10);
        for (int i = 0; i < 3; i++) assert_true(hear(&w, pipe, &answer));
        assert_false(hear(&w, pipe, &answer));
    }
    shoal_buffer_free(&three);
    shoal_buffer_free(&bytes);
    world_close(&w);
}

/* One of the names that mean something, or one of a few that nobody has. */
static void any_name(world *w, shoal_prng *random, char name[SHOAL_NODE_NAME_LEN])
{
    uint64_t choice = shoal_prng_below(random, 12);
    if (choice < 2) {
        memcpy(name, shoal_cluster_name(w->nodes[choice].cluster), SHOAL_NODE_NAME_LEN);
    } else {
        memset(name, (int)('a' + choice), SHOAL_NODE_NAME_LEN);
    }
}

static void any_slots(shoal_prng *random, shoal_slotmap *slots)
{
    memset(slots, 0, sizeof(*slots));
    for (uint64_t n = shoal_prng_below(random, 5); n > 0; n--) {
        shoal_slotmap_put(slots, (uint32_t)shoal_prng_below(random, SHOAL_SLOTS), true);
    }
}

static void any_gossip(world *w, shoal_prng *random, shoal_gossip *gossip)
{
    static const char *const ips[] = {"10.0.0.99", "10.0.0.2", "::1", "", "nonsense"};
    shoal_prng_fill(random, gossip, sizeof(*gossip));
    any_name(w, random, gossip->name);
    memset(gossip->ip, 0, sizeof(gossip->ip));
    strcpy(gossip->ip, ips[shoal_prng_below(random, 5)]);
}

/* A well-formed frame of random content from a random sender; some have a few bytes changed. */
static void say_anything(world *w, uint32_t pipe, shoal_prng *random)
{
    shoal_frame frame = frame_of(stranger, (uint16_t)shoal_prng_below(random, 11));
    shoal_gossip gossip[3];
    shoal_slotmap slots, update_slots;
    any_name(w, random, frame.sender);
    any_name(w, random, frame.failed_name);
    any_name(w, random, frame.update_name);
    if (shoal_prng_below(random, 3) == 0) any_name(w, random, frame.replica_of);
    any_slots(random, &slots);
    any_slots(random, &update_slots);
    frame.slots = &slots;
    frame.update_slots = &update_slots;
    frame.flags = (uint16_t)shoal_prng_next(random);
    frame.config_epoch = shoal_prng_below(random, 9);
    frame.current_epoch = shoal_prng_below(random, 9);
    frame.update_epoch = shoal_prng_below(random, 9);
    if (frame.type <= SHOAL_FRAME_MEET) {
        frame.count = (uint16_t)shoal_prng_below(random, 4);
        frame.gossip = gossip;
        for (int g = 0; g < frame.count; g++) any_gossip(w, random, &gossip[g]);
    }
    frame.module_bytes = (shoal_slice){"\0\0\0\0\0\0\0\0\0\0\0\0\0", 13};
    shoal_buffer bytes = encode(w, &frame);
    if (shoal_prng_below(random, 4) == 0) {
        size_t at = shoal_prng_below(random, shoal_buffer_size(&bytes));
        bytes.data[at] = (char)shoal_prng_next(random);
    }
    world_push(w, pipe, shoal_buffer_slice(&bytes));
    shoal_buffer_free(&bytes);
}

static void random_frames_do_no_harm(void **state)
{
    (void)state;
    for (uint64_t run = 0; run < 8; run++) {
        world w;
        const uint64_t seed[2] = {310, run};
        shoal_prng random = shoal_prng_make(seed, 0, 1);
        open_two(&w, 310 + run);
        uint32_t pipe = world_dial(&w, 0);
        for (int i = 0; i < 1500; i++) {
            if (world_hung_up(&w, pipe) || shoal_prng_below(&random, 50) == 0) {
                pipe = world_dial(&w, 0);
            }
            say_anything(&w, pipe, &random);
            world_run(&w, (int64_t)shoal_prng_below(&random, 6));
        }
        world_run(&w, 1000);
        /* What it saved can be loaded. */
        world_crash(&w, 0);
        world_start(&w, 0);
        world_run(&w, 1000);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_strangers_ping_is_answered_but_adds_nobody),
        cmocka_unit_test(what_a_node_takes_for_a_pong_at_its_start_it_does_not_tell),
        cmocka_unit_test(a_strangers_meet_begins_a_handshake_under_another_name),
        cmocka_unit_test(strangers_may_not_say_anything_else),
        cmocka_unit_test(what_nodes_say_of_unknown_nodes_is_refused),
        cmocka_unit_test(nobody_can_fail_or_configure_us),
        cmocka_unit_test(published_messages_are_counted_and_ignored),
        cmocka_unit_test(garbage_ends_the_link_and_nothing_else),
        cmocka_unit_test(a_strangers_huge_frame_ends_the_link),
        cmocka_unit_test(a_frame_of_another_version_or_type_is_passed_over),
        cmocka_unit_test(a_stream_may_be_cut_anywhere),
        cmocka_unit_test(random_frames_do_no_harm),
    };
    return cmocka_run_group_tests_name("cluster_frames", tests, NULL, NULL);
}
