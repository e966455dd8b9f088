/* SPDX-License-Identifier: MIT
 *
 * Epochs, slot claims and votes, seen through the frames of a peer that the test plays itself: a
 * stranger's link that sends whatever it likes under whatever name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "support/cluster_world.h"

#define TIMEOUT_MS 2000

/* ---- a peer played by the test ---- */

/* The name of node 5 of the world, which is known to the others, or a made-up one. */
typedef struct actor {
    char name[SHOAL_NODE_NAME_LEN];
    char master[SHOAL_NODE_NAME_LEN]; /* zeros: it is a master */
    shoal_slotmap slots;
    uint64_t current_epoch, config_epoch, offset;
} actor;

static shoal_frame frame_of(const actor *a, uint16_t type)
{
    shoal_frame frame = {.type = type,
                         .port = WORLD_PORT + 40,
                         .bus_port = WORLD_PORT + 10040,
                         .flags = a->master[0] ? SHOAL_NODE_REPLICA : SHOAL_NODE_MASTER,
                         .current_epoch = a->current_epoch,
                         .config_epoch = a->config_epoch,
                         .offset = a->offset,
                         .slots = &a->slots};
    memcpy(frame.sender, a->name, SHOAL_NODE_NAME_LEN);
    memcpy(frame.replica_of, a->master, SHOAL_NODE_NAME_LEN);
    return frame;
}

static void send_frame(world *w, uint32_t pipe, const shoal_frame *frame)
{
    shoal_buffer bytes = shoal_buffer_make(&w->allocator);
    shoal_frame_encode(frame, &bytes);
    world_push(w, pipe, shoal_buffer_slice(&bytes));
    shoal_buffer_free(&bytes);
    world_run(w, 5);
}

static void say(world *w, uint32_t pipe, const actor *a, uint16_t type)
{
    shoal_frame frame = frame_of(a, type);
    send_frame(w, pipe, &frame);
}

/* An actor that node 0 comes to know by gossip of node 1, at the address of world node 40. */
static actor introduce(world *w, char letter, const char *master)
{
    actor a = {.current_epoch = 0};
    memset(a.name, letter, sizeof(a.name));
    if (master) memcpy(a.master, master, SHOAL_NODE_NAME_LEN);
    shoal_gossip entry = {.port = WORLD_PORT + 40,
                          .bus_port = WORLD_PORT + 10040,
                          .flags = master ? SHOAL_NODE_REPLICA : SHOAL_NODE_MASTER,
                          .ip = "10.0.0.250"};
    memcpy(entry.name, a.name, SHOAL_NODE_NAME_LEN);
    actor friend = {.current_epoch = 3, .config_epoch = 2};
    memcpy(friend.name, shoal_cluster_name(w->nodes[1].cluster), SHOAL_NODE_NAME_LEN);
    for (uint32_t slot = SHOAL_SLOTS / 3; slot < 2 * SHOAL_SLOTS / 3; slot++) {
        shoal_slotmap_put(&friend.slots, slot, true);
    }
    shoal_frame frame = frame_of(&friend, SHOAL_FRAME_PONG);
    frame.count = 1;
    frame.gossip = &entry;
    uint32_t pipe = world_dial(w, 0);
    send_frame(w, pipe, &frame);
    return a;
}

static void open_three(world *w, uint64_t seed)
{
    world_open(w, seed, TIMEOUT_MS);
    world_start_many(w, 3);
    world_form(w, 3, 10000);
    world_run(w, 1000);
}

static const char *name_of(world *w, int index)
{
    return shoal_cluster_name(w->nodes[index].cluster);
}

/* ---- epochs ---- */

static void equal_epochs_are_resolved_for_the_smaller_name(void **state)
{
    (void)state;
    world w;
    world_open(&w, 200, TIMEOUT_MS);
    world_start_many(&w, 2);
    for (int i = 0; i < 2; i++) {
        world_ask(&w, i, "SET-CONFIG-EPOCH 5");
        world_ask(&w, i, "ADDSLOTS %d", i);
    }
    bool first_is_smaller = strcmp(name_of(&w, 0), name_of(&w, 1)) < 0;
    world_ask(&w, 0, "MEET 10.0.0.2 7001");
    world_run(&w, 5000);
    const char *changed = "cluster_my_epoch:6\r\n", *kept = "cluster_my_epoch:5\r\n";
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), first_is_smaller ? changed : kept));
    assert_non_null(strstr(world_ask(&w, 1, "INFO"), first_is_smaller ? kept : changed));
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_current_epoch:6\r\n"));
    assert_non_null(strstr(world_ask(&w, 1, "INFO"), "cluster_current_epoch:6\r\n"));
    world_close(&w);
}

static void many_equal_epochs_are_resolved_too(void **state)
{
    (void)state;
    world w;
    bool seen[20] = {false};
    world_open(&w, 201, TIMEOUT_MS);
    world_start_many(&w, 6);
    for (int i = 1; i < 6; i++) world_ask(&w, i, "MEET 10.0.0.1 7000");
    world_run(&w, 30000);
    for (int i = 0; i < 6; i++) {
        const char *epoch = strstr(world_ask(&w, i, "INFO"), "cluster_my_epoch:");
        int value = atoi(epoch + strlen("cluster_my_epoch:"));
        assert_true(value >= 0 && value < 20);
        assert_false(seen[value]);
        seen[value] = true;
    }
    world_close(&w);
}

static int my_epoch(world *w, int index)
{
    const char *epoch = strstr(world_ask(w, index, "INFO"), "cluster_my_epoch:");
    assert_non_null(epoch);
    return atoi(epoch + strlen("cluster_my_epoch:"));
}

/* A replica that starts again has its master's epoch, and keeps it when it is reset. */
static void who_falls_back_to_an_equal_epoch_collides_too(void **state)
{
    (void)state;
    world w;
    open_three(&w, 216);
    int mine = my_epoch(&w, 0);
    actor a = introduce(&w, 'f', NULL);
    uint32_t pipe = world_dial(&w, 0);
    a.current_epoch = 20;
    a.config_epoch = 9;
    assert_int_not_equal(mine, 9);
    say(&w, pipe, &a, SHOAL_FRAME_PING);
    assert_int_equal(my_epoch(&w, 0), mine);
    a.config_epoch = (uint64_t)mine;
    say(&w, pipe, &a, SHOAL_FRAME_PING);
    assert_int_equal(my_epoch(&w, 0), 21);
    /* A frame from before the last one does not count. */
    a.current_epoch = 19;
    a.config_epoch = 21;
    say(&w, pipe, &a, SHOAL_FRAME_PING);
    assert_int_equal(my_epoch(&w, 0), 21);
    world_close(&w);
}

static void bumpepoch_makes_the_greatest_epoch(void **state)
{
    (void)state;
    world w;
    open_three(&w, 202);
    assert_string_equal(world_ask(&w, 0, "BUMPEPOCH"), "+BUMPED 4\r\n");
    assert_string_equal(world_ask(&w, 0, "BUMPEPOCH"), "+STILL 4\r\n");
    assert_string_equal(world_ask(&w, 0, "SET-CONFIG-EPOCH 9"),
                        "-ERR The user can assign a config epoch only when the node does not "
                        "know any other node.\r\n");
    world_close(&w);
}

/* ---- claims ---- */

static void a_greater_epoch_takes_a_slot_and_a_smaller_one_does_not(void **state)
{
    (void)state;
    world w;
    open_three(&w, 203);
    actor a = introduce(&w, 'e', NULL);
    assert_int_equal(world_count_lines(&w, 0, "eeee"), 1);
    uint32_t pipe = world_dial(&w, 0);
    a.config_epoch = 1;
    shoal_slotmap_put(&a.slots, 16383, true);
    say(&w, pipe, &a, SHOAL_FRAME_PING);
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), "10922-16383\n"));
    assert_int_equal(w.nodes[0].last[SHOAL_TRACE_WHY_NOT][0], 6);
    a.config_epoch = a.current_epoch = 9;
    say(&w, pipe, &a, SHOAL_FRAME_PING);
    assert_int_equal(world_count_lines(&w, 0, " 9 "), 1);
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 16383\n"));
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_current_epoch:9\r\n"));
    world_close(&w);
}

static void what_its_owner_does_not_claim_any_more_goes_to_a_smaller_epoch(void **state)
{
    (void)state;
    world w;
    open_three(&w, 208);
    actor from = introduce(&w, 'e', NULL), to = introduce(&w, 'f', NULL);
    uint32_t first = world_dial(&w, 0), second = world_dial(&w, 0);
    from.config_epoch = from.current_epoch = to.current_epoch = 9;
    to.config_epoch = 5;
    shoal_slotmap_put(&from.slots, 16382, true);
    shoal_slotmap_put(&from.slots, 16383, true);
    say(&w, first, &from, SHOAL_FRAME_PING);
    shoal_slotmap_put(&to.slots, 16383, true);
    say(&w, second, &to, SHOAL_FRAME_PING);
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 16382-16383\n"));
    shoal_slotmap_put(&from.slots, 16383, false);
    say(&w, first, &from, SHOAL_FRAME_PING);
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 16382-16383\n"));
    say(&w, second, &to, SHOAL_FRAME_PING);
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 16383\n"));
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 16382\n"));
    world_close(&w);
}

static void what_its_owner_claims_again_does_not_go_to_a_smaller_epoch(void **state)
{
    (void)state;
    world w;
    open_three(&w, 209);
    actor from = introduce(&w, 'e', NULL), to = introduce(&w, 'f', NULL);
    uint32_t first = world_dial(&w, 0), second = world_dial(&w, 0);
    from.config_epoch = from.current_epoch = to.current_epoch = 9;
    to.config_epoch = 5;
    for (int turn = 0; turn < 3; turn++) {
        shoal_slotmap_put(&from.slots, 16383, turn != 1);
        say(&w, first, &from, SHOAL_FRAME_PING);
    }
    shoal_slotmap_put(&to.slots, 16383, true);
    say(&w, second, &to, SHOAL_FRAME_PING);
    assert_int_equal(w.nodes[0].last[SHOAL_TRACE_WHY_NOT][0], 6);
    assert_int_equal(world_count_lines(&w, 0, " 9 connected 16383") +
                         world_count_lines(&w, 0, " 9 disconnected 16383"),
                     1);
    world_close(&w);
}

static void a_claim_of_our_own_slot_is_taken_over(void **state)
{
    (void)state;
    world w;
    open_three(&w, 204);
    uint64_t version = shoal_cluster_version(w.nodes[0].cluster);
    actor a = introduce(&w, 'e', NULL);
    uint32_t pipe = world_dial(&w, 0);
    a.config_epoch = a.current_epoch = 9;
    shoal_slotmap_put(&a.slots, 0, true);
    say(&w, pipe, &a, SHOAL_FRAME_PING);
    assert_int_equal(world_count_lines(&w, 0, "myself,master - 0 0 1 connected 1-5460"), 1);
    assert_true(shoal_cluster_version(w.nodes[0].cluster) > version);
    world_close(&w);
}

static void an_update_configures_a_node_that_is_not_its_sender(void **state)
{
    (void)state;
    world w;
    open_three(&w, 205);
    actor a = introduce(&w, 'e', NULL);
    uint32_t pipe = world_dial(&w, 0);
    shoal_slotmap slots = {{0}};
    shoal_slotmap_put(&slots, 7, true);
    shoal_frame frame = frame_of(&a, SHOAL_FRAME_UPDATE);
    memcpy(frame.update_name, name_of(&w, 2), SHOAL_NODE_NAME_LEN);
    frame.update_epoch = 3; /* what it has already */
    frame.update_slots = &slots;
    send_frame(&w, pipe, &frame);
    assert_int_equal(w.nodes[0].last[SHOAL_TRACE_FRAME_REFUSED][0], 7);
    frame.update_epoch = 8;
    send_frame(&w, pipe, &frame);
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 8 connected 7 "));
    world_close(&w);
}

/* Seed 70084 of a sweep: what a master had said while it was a replica came a minute late. */
static void who_others_say_became_a_master_is_not_what_it_was_before(void **state)
{
    (void)state;
    world w;
    open_three(&w, 210);
    actor a = introduce(&w, 'e', NULL), late = introduce(&w, 'f', NULL);
    uint32_t first = world_dial(&w, 0), second = world_dial(&w, 0);
    shoal_slotmap slots = {{0}};
    shoal_slotmap_put(&slots, 16383, true);
    shoal_frame frame = frame_of(&a, SHOAL_FRAME_UPDATE);
    memcpy(frame.update_name, late.name, SHOAL_NODE_NAME_LEN);
    frame.current_epoch = frame.update_epoch = 9;
    frame.update_slots = &slots;
    send_frame(&w, first, &frame);
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 9 disconnected 16383\n"));
    memcpy(late.master, name_of(&w, 2), SHOAL_NODE_NAME_LEN);
    late.current_epoch = 8;
    say(&w, second, &late, SHOAL_FRAME_PING);
    assert_int_equal(w.nodes[0].last[SHOAL_TRACE_FRAME_REFUSED][0], 7);
    assert_non_null(strstr(world_ask(&w, 0, "NODES"), " 9 disconnected 16383\n"));
    late.current_epoch = 9;
    say(&w, second, &late, SHOAL_FRAME_PING);
    assert_null(strstr(world_ask(&w, 0, "NODES"), " 16383\n"));
    world_close(&w);
}

static void a_stale_claim_is_answered_with_an_update(void **state)
{
    (void)state;
    world w;
    open_three(&w, 206);
    /* Node 2 sleeps while node 1 takes a slot of it. */
    w.nodes[2].frozen = true;
    world_run(&w, 50);
    world_ask(&w, 1, "BUMPEPOCH");
    assert_string_equal(world_ask(&w, 1, "DELSLOTS 16383"), "+OK\r\n");
    assert_string_equal(world_ask(&w, 1, "ADDSLOTS 16383"), "+OK\r\n");
    world_run(&w, 1500);
    w.nodes[2].frozen = false;
    world_run(&w, 5000);
    uint64_t updates = w.nodes[0].sent[SHOAL_FRAME_UPDATE] + w.nodes[1].sent[SHOAL_FRAME_UPDATE];
    assert_true(updates > 0);
    assert_true(world_agree(&w, 3));
    assert_null(strstr(world_ask(&w, 2, "NODES"), "-16383\n"));
    world_close(&w);
}

/* ---- replicas ---- */

static void a_replica_is_shown_under_its_master_and_does_not_vote(void **state)
{
    (void)state;
    world w;
    open_three(&w, 207);
    actor r = introduce(&w, 'f', NULL);
    uint32_t pipe = world_dial(&w, 0);
    memcpy(r.master, name_of(&w, 2), SHOAL_NODE_NAME_LEN);
    r.config_epoch = 3;
    r.offset = 100;
    for (uint32_t slot = 2 * SHOAL_SLOTS / 3; slot < SHOAL_SLOTS; slot++) {
        shoal_slotmap_put(&r.slots, slot, true);
    }
    say(&w, pipe, &r, SHOAL_FRAME_PING);
    char line[64];
    snprintf(line, sizeof(line), " slave %s ", name_of(&w, 2));
    assert_int_equal(world_count_lines(&w, 0, line), 1);
    assert_non_null(strstr(world_ask(&w, 0, "INFO"), "cluster_size:3\r\n"));
    assert_non_null(strstr(world_ask(&w, 0, "SLOTS"), "ffffffff"));
    assert_non_null(strstr(world_ask(&w, 0, "SHARDS"), "replica"));
    assert_non_null(strstr(world_ask(&w, 0, "REPLICAS %s", name_of(&w, 2)), "*1\r\n$"));
    assert_string_equal(world_ask(&w, 0, "REPLICAS %.40s", r.name),
                        "-ERR The specified node is not a master\r\n");
    /* Its suspicions are not reports. */
    shoal_gossip entry = {.flags = SHOAL_NODE_MASTER | SHOAL_NODE_PFAIL,
                          .ip = "10.0.0.2",
                          .port = 7001,
                          .bus_port = 17001};
    memcpy(entry.name, name_of(&w, 1), SHOAL_NODE_NAME_LEN);
    shoal_frame frame = frame_of(&r, SHOAL_FRAME_PING);
    frame.count = 1;
    frame.gossip = &entry;
    send_frame(&w, pipe, &frame);
    assert_string_equal(world_ask(&w, 0, "COUNT-FAILURE-REPORTS %s", name_of(&w, 1)), ":0\r\n");
    /* And it may become a master again. */
    memset(r.master, 0, sizeof(r.master));
    memset(&r.slots, 0, sizeof(r.slots));
    say(&w, pipe, &r, SHOAL_FRAME_PING);
    assert_int_equal(world_count_lines(&w, 0, "slave"), 0);
    world_close(&w);
}

/* ---- votes ---- */

/* A replica of node 2, which has crashed and is FAIL for node 0. */
static actor open_election(world *w, uint64_t seed)
{
    open_three(w, seed);
    actor r = introduce(w, 'f', NULL);
    memcpy(r.master, name_of(w, 2), SHOAL_NODE_NAME_LEN);
    r.config_epoch = 3;
    r.current_epoch = 3;
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        char text[32];
        snprintf(text, sizeof(text), "%u", slot);
        shoal_slotmap_put(&r.slots, slot, slot >= 2 * SHOAL_SLOTS / 3 + 1);
    }
    return r;
}

static void fail_master(world *w)
{
    world_crash(w, 2);
    int64_t end_us = w->now_us + 8000000;
    while (w->now_us < end_us && world_count_lines(w, 0, "master,fail ") == 0) world_run(w, 10);
    assert_int_equal(world_count_lines(w, 0, "master,fail "), 1);
}

/* Lets the actor ask; returns the reason of the refusal, or 0. */
static uint64_t ask_vote(world *w, uint32_t pipe, actor *r, uint64_t epoch)
{
    uint64_t refusals = w->nodes[0].records[SHOAL_TRACE_WHY_NOT];
    w->nodes[0].last[SHOAL_TRACE_WHY_NOT][0] = 0;
    r->current_epoch = epoch;
    say(w, pipe, r, SHOAL_FRAME_AUTH_REQUEST);
    bool refused = w->nodes[0].records[SHOAL_TRACE_WHY_NOT] > refusals;
    return refused ? w->nodes[0].last[SHOAL_TRACE_WHY_NOT][0] : 0;
}

static void a_vote_follows_every_rule(void **state)
{
    (void)state;
    world w;
    actor r = open_election(&w, 210);
    uint32_t pipe = world_dial(&w, 0);
    assert_int_equal(ask_vote(&w, pipe, &r, 4), 13); /* not yet known as a replica */
    say(&w, pipe, &r, SHOAL_FRAME_PING);
    assert_int_equal(ask_vote(&w, pipe, &r, 4), 15); /* its master is up */
    fail_master(&w);
    assert_int_equal(ask_vote(&w, pipe, &r, 3), 11); /* epoch 4 is known */
    shoal_slotmap_put(&r.slots, 5461, true);
    r.config_epoch = 1;
    assert_int_equal(ask_vote(&w, pipe, &r, 4), 17); /* node 1 has 5461 with epoch 2 */
    shoal_slotmap_put(&r.slots, 5461, false);
    r.config_epoch = 3;
    assert_int_equal(ask_vote(&w, pipe, &r, 4), 0);
    assert_non_null(strstr(w.nodes[0].last_text[SHOAL_TRACE_LOG], "Failover auth granted to ff"));
    assert_int_equal(ask_vote(&w, pipe, &r, 4), 12); /* given in this epoch */
    assert_int_equal(ask_vote(&w, pipe, &r, 5), 16); /* too soon for this master */
    world_run(&w, 2 * TIMEOUT_MS);
    assert_int_equal(ask_vote(&w, pipe, &r, 6), 0);
    world_close(&w);
}

static void a_node_without_slots_does_not_vote(void **state)
{
    (void)state;
    world w;
    actor r = open_election(&w, 211);
    uint32_t pipe = world_dial(&w, 0);
    say(&w, pipe, &r, SHOAL_FRAME_PING);
    fail_master(&w);
    assert_string_equal(world_ask(&w, 0, "FLUSHSLOTS"), "+OK\r\n");
    assert_int_equal(ask_vote(&w, pipe, &r, 4), 10);
    world_close(&w);
}

static void a_forced_request_needs_no_failed_master(void **state)
{
    (void)state;
    world w;
    actor r = open_election(&w, 212);
    uint32_t pipe = world_dial(&w, 0);
    say(&w, pipe, &r, SHOAL_FRAME_PING);
    r.current_epoch = 4;
    shoal_frame frame = frame_of(&r, SHOAL_FRAME_AUTH_REQUEST);
    frame.mflags[0] = SHOAL_MFLAG_FORCEACK;
    send_frame(&w, pipe, &frame);
    assert_non_null(strstr(w.nodes[0].last_text[SHOAL_TRACE_LOG], "Failover auth granted to ff"));
    world_close(&w);
}

/* The candidate must be at an address where the node's link to it comes up: node 3 of the world
 * plays it, having taken the replica's name from a file. */
static void a_vote_is_sent_only_when_it_is_durable(void **state)
{
    (void)state;
    world w;
    actor r;
    open_three(&w, 213);
    world_start(&w, 3);
    world_ask(&w, 3, "MEET 10.0.0.1 7000");
    world_run(&w, 3000);
    r = (actor){.current_epoch = 5, .config_epoch = 3};
    memcpy(r.name, name_of(&w, 3), SHOAL_NODE_NAME_LEN);
    memcpy(r.master, name_of(&w, 2), SHOAL_NODE_NAME_LEN);
    fail_master(&w);
    w.nodes[3].frozen = true; /* silent from now on; its links stay */
    uint32_t pipe = world_dial(&w, 0);
    shoal_frame ping = frame_of(&r, SHOAL_FRAME_PONG);
    ping.port = 7003;
    ping.bus_port = 17003;
    send_frame(&w, pipe, &ping);
    world_run(&w, 50);
    w.nodes[0].hold_files = true;
    assert_int_equal(ask_vote(&w, pipe, &r, 6), 0);
    world_run(&w, 500);
    assert_int_equal(w.nodes[0].sent[SHOAL_FRAME_AUTH_ACK], 0);
    assert_true(shoal_cluster_saving(w.nodes[0].cluster));
    w.nodes[0].hold_files = false;
    world_run(&w, 100);
    assert_int_equal(w.nodes[0].sent[SHOAL_FRAME_AUTH_ACK], 1);
    assert_false(shoal_cluster_saving(w.nodes[0].cluster));
    shoal_slice file = shoal_buffer_slice(&w.nodes[0].files[SHOAL_FILE_NODES]);
    assert_true(shoal_text_find(file, shoal_text("currentEpoch 6 lastVoteEpoch 6")) !=
                SHOAL_TEXT_NONE);
    world_close(&w);
}

static void a_node_that_lost_its_disk_sends_no_vote(void **state)
{
    (void)state;
    world w;
    open_three(&w, 214);
    world_start(&w, 3);
    world_ask(&w, 3, "MEET 10.0.0.1 7000");
    world_run(&w, 3000);
    actor r = {.config_epoch = 3};
    memcpy(r.name, name_of(&w, 3), SHOAL_NODE_NAME_LEN);
    memcpy(r.master, name_of(&w, 2), SHOAL_NODE_NAME_LEN);
    fail_master(&w);
    w.nodes[3].frozen = true;
    uint32_t pipe = world_dial(&w, 0);
    shoal_frame ping = frame_of(&r, SHOAL_FRAME_PONG);
    ping.port = 7003;
    ping.bus_port = 17003;
    send_frame(&w, pipe, &ping);
    world_run(&w, 50);
    w.nodes[0].fail_file_op[SHOAL_FILE_SYNC] = SHOAL_ERR_IO;
    assert_int_equal(ask_vote(&w, pipe, &r, 6), 40); /* not saved */
    world_run(&w, 3000);
    assert_int_equal(w.nodes[0].sent[SHOAL_FRAME_AUTH_ACK], 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_epochs_are_resolved_for_the_smaller_name),
        cmocka_unit_test(many_equal_epochs_are_resolved_too),
        cmocka_unit_test(who_falls_back_to_an_equal_epoch_collides_too),
        cmocka_unit_test(bumpepoch_makes_the_greatest_epoch),
        cmocka_unit_test(a_greater_epoch_takes_a_slot_and_a_smaller_one_does_not),
        cmocka_unit_test(what_its_owner_does_not_claim_any_more_goes_to_a_smaller_epoch),
        cmocka_unit_test(what_its_owner_claims_again_does_not_go_to_a_smaller_epoch),
        cmocka_unit_test(a_claim_of_our_own_slot_is_taken_over),
        cmocka_unit_test(an_update_configures_a_node_that_is_not_its_sender),
        cmocka_unit_test(who_others_say_became_a_master_is_not_what_it_was_before),
        cmocka_unit_test(a_stale_claim_is_answered_with_an_update),
        cmocka_unit_test(a_replica_is_shown_under_its_master_and_does_not_vote),
        cmocka_unit_test(a_vote_follows_every_rule),
        cmocka_unit_test(a_node_without_slots_does_not_vote),
        cmocka_unit_test(a_forced_request_needs_no_failed_master),
        cmocka_unit_test(a_vote_is_sent_only_when_it_is_durable),
        cmocka_unit_test(a_node_that_lost_its_disk_sends_no_vote),
    };
    return cmocka_run_group_tests_name("cluster_epoch", tests, NULL, NULL);
}
