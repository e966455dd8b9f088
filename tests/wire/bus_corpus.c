/* SPDX-License-Identifier: MIT
 *
 * Frames that redis-server 7.0.15 nodes sent to each other (captured by capture.pl): they decode
 * to what those nodes were doing, and encode to the same bytes.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "support/allocator.h"
#include "wire/bus.h"

/* One file of the corpus. */
typedef struct capture {
    char bytes[8192];
    size_t size;
    shoal_frame frame;
} capture;

static void capture_read(capture *c, const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/tests/wire/corpus/%s.bin", SHOAL_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot open %s", path);
    c->size = fread(c->bytes, 1, sizeof(c->bytes), file);
    fclose(file);
    shoal_frame_error error;
    shoal_err failure = shoal_frame_decode((shoal_slice){c->bytes, c->size}, &c->frame, &error);
    if (failure) fail_msg("%s: expected %s at %u", name, error.what, error.offset);
}

static const char *const names[] = {
    "auth-ack-1", "auth-req-1", "fail-1",    "meet-1",         "mfstart-1",
    "ping-1",     "ping-2",     "ping-3",    "pong-1",         "pong-2",
    "pong-3",     "publish-1",  "publish-2", "publishshard-1", "update-1",
};

static void captured_frames_encode_to_the_same_bytes(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        static capture c;
        capture_read(&c, names[i]);
        shoal_gossip gossip[64];
        assert_in_range(c.frame.count, 0, 64);
        for (uint32_t k = 0; k < c.frame.count; k++) shoal_frame_gossip(&c.frame, k, &gossip[k]);
        c.frame.gossip = gossip;
        shoal_buffer out = shoal_buffer_make(&allocator);
        shoal_frame_encode(&c.frame, &out);
        if (!shoal_text_equal(shoal_buffer_slice(&out), (shoal_slice){c.bytes, c.size}))
            fail_msg("%s came back different", names[i]);
        shoal_buffer_free(&out);
    }
    assert_int_equal(heap.blocks, 0);
}

static void the_type_is_in_the_name_of_the_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        static capture c;
        capture_read(&c, names[i]);
        const char *name = shoal_frame_type_name(c.frame.type);
        assert_memory_equal(names[i], name, strlen(name));
        assert_int_equal(names[i][strlen(name)], '-');
    }
}

static void every_sender_lived_on_loopback(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        static capture c;
        capture_read(&c, names[i]);
        assert_string_equal(c.frame.ip, "127.0.0.1");
        assert_in_range(c.frame.port, 28100, 28103);
        assert_int_equal(c.frame.bus_port, c.frame.port + 200);
        assert_int_equal(c.frame.tls_port, 0);
        assert_true(c.frame.flags & SHOAL_NODE_MYSELF);
        assert_in_range(c.frame.current_epoch, 1, 10);
        for (uint32_t k = 0; k < c.frame.count; k++) {
            shoal_gossip gossip;
            shoal_frame_gossip(&c.frame, k, &gossip);
            assert_string_equal(gossip.ip, "127.0.0.1");
            assert_in_range(gossip.port, 28100, 28103);
            assert_int_equal(gossip.bus_port, gossip.port + 200);
            if (gossip.pong_received_s)
                assert_in_range(gossip.pong_received_s, 1600000000, UINT32_MAX);
        }
    }
}

static void the_hostname_travels_as_an_extension(void **state)
{
    (void)state;
    static capture c;
    capture_read(&c, "meet-1");
    assert_int_equal(c.frame.port, 28100);
    assert_int_equal(c.frame.extension_count, 1);
    assert_int_equal(c.frame.extensions[0].type, SHOAL_EXT_HOSTNAME);
    test_slice_is(c.frame.extensions[0].data, "first.example");
    assert_true(c.frame.mflags[0] & SHOAL_MFLAG_EXT_DATA);
    assert_true(shoal_slotmap_has(c.frame.slots, 0));
    assert_true(shoal_slotmap_has(c.frame.slots, 5460));
    assert_false(shoal_slotmap_has(c.frame.slots, 5461));
}

static void a_vote_is_asked_for_by_a_replica_and_given_by_a_master(void **state)
{
    (void)state;
    static capture c;
    capture_read(&c, "auth-req-1");
    assert_true(c.frame.flags & SHOAL_NODE_REPLICA);
    assert_int_equal(c.frame.port, 28103);
    assert_true(c.frame.mflags[0] & SHOAL_MFLAG_FORCEACK);
    assert_true(shoal_slotmap_has(c.frame.slots, 5460)); /* its master's */
    assert_int_not_equal(c.frame.replica_of[0], 0);
    capture_read(&c, "auth-ack-1");
    assert_true(c.frame.flags & SHOAL_NODE_MASTER);
    assert_int_equal(c.frame.replica_of[0], 0);
}

static void published_words_are_channel_and_message(void **state)
{
    (void)state;
    static capture c;
    capture_read(&c, "publish-1");
    test_slice_is(c.frame.channel, "news");
    test_slice_is(c.frame.message, "some words");
    capture_read(&c, "publish-2");
    test_slice_is(c.frame.channel, "");
    test_slice_is(c.frame.message, "");
    capture_read(&c, "publishshard-1");
    test_slice_is(c.frame.channel, "a{06S}");
}

static void an_update_names_the_winner_of_the_election(void **state)
{
    (void)state;
    static capture c, request;
    capture_read(&c, "update-1");
    capture_read(&request, "auth-req-1");
    assert_true(shoal_slotmap_has(c.frame.update_slots, 0));
    assert_true(shoal_slotmap_has(c.frame.update_slots, 5460));
    assert_false(shoal_slotmap_has(c.frame.update_slots, 5461));
    assert_in_range(c.frame.update_epoch, 1, c.frame.current_epoch);
    assert_memory_equal(c.frame.update_name, request.frame.sender, SHOAL_NODE_NAME_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_frames_encode_to_the_same_bytes),
        cmocka_unit_test(the_type_is_in_the_name_of_the_file),
        cmocka_unit_test(every_sender_lived_on_loopback),
        cmocka_unit_test(the_hostname_travels_as_an_extension),
        cmocka_unit_test(a_vote_is_asked_for_by_a_replica_and_given_by_a_master),
        cmocka_unit_test(published_words_are_channel_and_message),
        cmocka_unit_test(an_update_names_the_winner_of_the_election),
    };
    return cmocka_run_group_tests_name("bus_corpus", tests, NULL, NULL);
}
