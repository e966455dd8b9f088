/* SPDX-License-Identifier: MIT
 *
 * Frames of the cluster bus: what is encoded is decoded, every length is checked, and what is
 * refused says why. Which bytes redis-server refuses, and that it keeps the link for all but a
 * wrong signature or a length below the header's, was seen on redis-server 7.0.15.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "support/allocator.h"
#include "wire/bus.h"

#define NAME_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NAME_B "0123456789abcdef0123456789abcdef01234567"
#define NAME_C "cccccccccccccccccccccccccccccccccccccccc"

/* A buffer to encode into and the allocator below it. */
typedef struct bench {
    test_heap heap;
    shoal_allocator allocator;
    shoal_buffer out;
} bench;

static void bench_open(bench *b)
{
    *b = (bench){0};
    b->allocator = test_allocator(&b->heap);
    b->out = shoal_buffer_make(&b->allocator);
}

static void bench_close(bench *b)
{
    shoal_buffer_free(&b->out);
    assert_int_equal(b->heap.blocks, 0);
}

/* A slot map for frames: some bits at both ends of bytes. */
static shoal_slotmap some_slots(void)
{
    shoal_slotmap map = {0};
    shoal_slotmap_put(&map, 0, true);
    shoal_slotmap_put(&map, 7, true);
    shoal_slotmap_put(&map, 8, true);
    shoal_slotmap_put(&map, 16383, true);
    return map;
}

/* A frame whose every common field differs from every other. */
static shoal_frame frame_make(uint16_t type, const shoal_slotmap *slots)
{
    shoal_frame frame = {.type = type,
                         .port = 7000,
                         .bus_port = 17000,
                         .tls_port = 7443,
                         .flags = SHOAL_NODE_REPLICA | SHOAL_NODE_MYSELF,
                         .state = 1,
                         .mflags = {SHOAL_MFLAG_FORCEACK, 3, 5},
                         .current_epoch = 0x0102030405060708,
                         .config_epoch = 0x1112131415161718,
                         .offset = 0x2122232425262728,
                         .ip = "10.0.0.1",
                         .slots = slots};
    memcpy(frame.sender, NAME_A, SHOAL_NODE_NAME_LEN);
    memcpy(frame.replica_of, NAME_B, SHOAL_NODE_NAME_LEN);
    return frame;
}

/* Checks the fields that every frame has. */
static void same_header(const shoal_frame *a, const shoal_frame *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->port, b->port);
    assert_int_equal(a->bus_port, b->bus_port);
    assert_int_equal(a->tls_port, b->tls_port);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->state, b->state);
    assert_memory_equal(a->mflags + 1, b->mflags + 1, 2);
    assert_true(a->current_epoch == b->current_epoch);
    assert_true(a->config_epoch == b->config_epoch);
    assert_true(a->offset == b->offset);
    assert_memory_equal(a->sender, b->sender, SHOAL_NODE_NAME_LEN);
    assert_memory_equal(a->replica_of, b->replica_of, SHOAL_NODE_NAME_LEN);
    assert_memory_equal(a->ip, b->ip, sizeof(a->ip));
    assert_memory_equal(a->slots, b->slots, sizeof(*a->slots));
    assert_int_equal(a->count, b->count);
}

/* Encodes, checks the size, decodes into *back, encodes that and compares the bytes. */
static void round_trip(bench *b, const shoal_frame *frame, size_t size, shoal_frame *back)
{
    shoal_frame_encode(frame, &b->out);
    shoal_slice bytes = shoal_buffer_slice(&b->out);
    assert_int_equal(bytes.size, size);
    shoal_frame_error error;
    size_t found = 0;
    assert_int_equal(shoal_frame_size((shoal_slice){bytes.data, 8}, &found, &error), 0);
    assert_int_equal(found, size);
    assert_int_equal(shoal_frame_decode(bytes, back, &error), SHOAL_ERR_OK);
    same_header(frame, back);

    shoal_buffer again = shoal_buffer_make(&b->allocator);
    shoal_frame_encode(back, &again);
    assert_true(shoal_text_equal(shoal_buffer_slice(&again), bytes));
    shoal_buffer_free(&again);
}

static void bare_headers_come_back(void **state)
{
    (void)state;
    const uint16_t types[] = {SHOAL_FRAME_PING,         SHOAL_FRAME_PONG,     SHOAL_FRAME_MEET,
                              SHOAL_FRAME_AUTH_REQUEST, SHOAL_FRAME_AUTH_ACK, SHOAL_FRAME_MFSTART};
    shoal_slotmap slots = some_slots();
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        bench b;
        bench_open(&b);
        shoal_frame frame = frame_make(types[i], &slots), back;
        round_trip(&b, &frame, SHOAL_FRAME_HEADER_SIZE, &back);
        assert_int_equal(back.mflags[0], SHOAL_MFLAG_FORCEACK);
        bench_close(&b);
    }
}

static void gossip_comes_back(void **state)
{
    (void)state;
    shoal_gossip gossip[2] = {{.ping_sent_s = 0x31323334,
                               .pong_received_s = 0x41424344,
                               .ip = "2001:db8::1",
                               .port = 1,
                               .bus_port = 2,
                               .flags = SHOAL_NODE_PFAIL,
                               .tls_port = 4},
                              {.ip = ""}};
    memcpy(gossip[0].name, NAME_B, SHOAL_NODE_NAME_LEN);
    memcpy(gossip[1].name, NAME_C, SHOAL_NODE_NAME_LEN);
    shoal_slotmap slots = some_slots();
    shoal_frame frame = frame_make(SHOAL_FRAME_PONG, &slots), back;
    frame.count = 2;
    frame.gossip = gossip;
    bench b;
    bench_open(&b);
    round_trip(&b, &frame, SHOAL_FRAME_HEADER_SIZE + 2 * SHOAL_GOSSIP_SIZE, &back);
    for (uint32_t i = 0; i < 2; i++) {
        shoal_gossip entry;
        memset(&entry, 0xA5, sizeof(entry));
        shoal_frame_gossip(&back, i, &entry);
        assert_memory_equal(&entry, &gossip[i], sizeof(entry));
    }
    bench_close(&b);
}

static void extensions_come_back_padded_to_whole_words(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_frame frame = frame_make(SHOAL_FRAME_PING, &slots), back;
    frame.extension_count = 4;
    frame.extensions[0].type = SHOAL_EXT_HOSTNAME;
    frame.extensions[0].data = shoal_text("seven77");
    frame.extensions[1].type = SHOAL_EXT_HUMAN_NODENAME;
    frame.extensions[1].data = shoal_text("eight888");
    frame.extensions[2].type = SHOAL_EXT_SHARDID;
    frame.extensions[2].data = shoal_text(NAME_C);
    frame.extensions[3].type = SHOAL_EXT_HOSTNAME;
    bench b;
    bench_open(&b);
    round_trip(&b, &frame, SHOAL_FRAME_HEADER_SIZE + 16 + 24 + 48 + 16, &back);
    assert_int_equal(back.mflags[0], SHOAL_MFLAG_FORCEACK | SHOAL_MFLAG_EXT_DATA);
    assert_int_equal(back.extension_count, 4);
    test_slice_is(back.extensions[0].data, "seven77");
    test_slice_is(back.extensions[1].data, "eight888");
    test_slice_is(back.extensions[2].data, NAME_C);
    test_slice_is(back.extensions[3].data, "");
    bench_close(&b);
}

static void fail_update_and_publish_come_back(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots(), other = {0};
    shoal_slotmap_put(&other, 5000, true);
    bench b;
    shoal_frame back, frame = frame_make(SHOAL_FRAME_FAIL, &slots);
    memcpy(frame.failed_name, NAME_C, SHOAL_NODE_NAME_LEN);
    bench_open(&b);
    round_trip(&b, &frame, 2296, &back);
    assert_memory_equal(back.failed_name, NAME_C, SHOAL_NODE_NAME_LEN);
    bench_close(&b);

    frame = frame_make(SHOAL_FRAME_UPDATE, &slots);
    frame.update_epoch = 0x5152535455565758;
    memcpy(frame.update_name, NAME_C, SHOAL_NODE_NAME_LEN);
    frame.update_slots = &other;
    bench_open(&b);
    round_trip(&b, &frame, 4352, &back);
    assert_true(back.update_epoch == frame.update_epoch);
    assert_memory_equal(back.update_name, NAME_C, SHOAL_NODE_NAME_LEN);
    assert_memory_equal(back.update_slots, &other, sizeof(other));
    bench_close(&b);

    frame = frame_make(SHOAL_FRAME_PUBLISHSHARD, &slots);
    frame.channel = shoal_text("channel");
    frame.message = shoal_text("the message");
    bench_open(&b);
    round_trip(&b, &frame, 2264 + 18, &back);
    test_slice_is(back.channel, "channel");
    test_slice_is(back.message, "the message");
    bench_close(&b);
}

static void a_module_frame_is_carried_as_bytes(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_frame back, frame = frame_make(SHOAL_FRAME_MODULE, &slots);
    frame.module_bytes = (shoal_slice){"12345678\0\0\0\3tabc", 16};
    bench b;
    bench_open(&b);
    round_trip(&b, &frame, 2256 + 16, &back);
    bench_close(&b);
}

/* ---- what is refused ---- */

/* A valid frame as bytes to spoil, of exactly its size. */
static char *bytes_of(const shoal_frame *frame, size_t *size)
{
    bench b;
    bench_open(&b);
    shoal_frame_encode(frame, &b.out);
    *size = shoal_buffer_size(&b.out);
    char *bytes = malloc(*size);
    memcpy(bytes, b.out.data, *size);
    bench_close(&b);
    return bytes;
}

/* Decodes and frees; checks the reason and the place. */
static void is_refused(char *bytes, size_t size, const char *what, uint32_t offset)
{
    shoal_frame frame;
    shoal_frame_error error;
    assert_int_equal(shoal_frame_decode((shoal_slice){bytes, size}, &frame, &error),
                     SHOAL_ERR_MALFORMED);
    assert_string_equal(error.what, what);
    assert_int_equal(error.offset, offset);
    free(bytes);
}

static void each_type_has_its_exact_length(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    for (uint16_t type = 0; type < SHOAL_FRAME_TYPE_COUNT; type++) {
        shoal_frame frame = frame_make(type, &slots), back;
        shoal_frame_error error;
        memcpy(frame.failed_name, NAME_A, SHOAL_NODE_NAME_LEN);
        memcpy(frame.update_name, NAME_A, SHOAL_NODE_NAME_LEN);
        frame.update_slots = &slots;
        frame.module_bytes = (shoal_slice){"12345678\0\0\0\0t", 13};
        size_t size;
        char *bytes = bytes_of(&frame, &size);
        assert_int_equal(shoal_frame_decode((shoal_slice){bytes, size}, &back, &error), 0);
        char *longer = calloc(1, size + 1);
        memcpy(longer, bytes, size);
        shoal_bytes_put_be32(longer + 4, (uint32_t)size + 1);
        assert_int_equal(shoal_frame_decode((shoal_slice){longer, size + 1}, &back, &error),
                         SHOAL_ERR_MALFORMED);
        free(longer);
        if (size > SHOAL_FRAME_HEADER_SIZE) {
            shoal_bytes_put_be32(bytes + 4, (uint32_t)size - 1);
            bytes = realloc(bytes, size - 1);
            assert_int_equal(shoal_frame_decode((shoal_slice){bytes, size - 1}, &back, &error),
                             SHOAL_ERR_MALFORMED);
        }
        free(bytes);
    }
}

static void a_wrong_signature_or_length_is_no_frame(void **state)
{
    (void)state;
    char head[8];
    size_t size;
    shoal_frame_error error;
    memcpy(head, "RCmb\0\0\x08\xd0", 8);
    assert_int_equal(shoal_frame_size((shoal_slice){NULL, 0}, &size, &error), SHOAL_ERR_TRUNCATED);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(shoal_frame_size((shoal_slice){head, i}, &size, &error),
                         SHOAL_ERR_TRUNCATED);
    }
    assert_int_equal(shoal_frame_size((shoal_slice){head, 8}, &size, &error), SHOAL_ERR_OK);
    assert_int_equal(shoal_frame_size((shoal_slice){"G", 1}, &size, &error), SHOAL_ERR_MALFORMED);
    assert_int_equal(shoal_frame_size((shoal_slice){"RCmc", 4}, &size, &error),
                     SHOAL_ERR_MALFORMED);
    shoal_bytes_put_be32(head + 4, 2255);
    assert_int_equal(shoal_frame_size((shoal_slice){head, 8}, &size, &error), SHOAL_ERR_MALFORMED);
    assert_int_equal(error.offset, 4);
    assert_int_equal(error.found, 2255);
    shoal_bytes_put_be32(head + 4, SHOAL_FRAME_SIZE_MAX);
    assert_int_equal(shoal_frame_size((shoal_slice){head, 8}, &size, &error), SHOAL_ERR_OK);
    shoal_bytes_put_be32(head + 4, SHOAL_FRAME_SIZE_MAX + 1);
    assert_int_equal(shoal_frame_size((shoal_slice){head, 8}, &size, &error), SHOAL_ERR_MALFORMED);
}

static void other_versions_and_types_are_unsupported(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_frame frame = frame_make(SHOAL_FRAME_PING, &slots), back;
    shoal_frame_error error;
    size_t size;
    char *bytes = bytes_of(&frame, &size);
    shoal_bytes_put_be16(bytes + 8, 2);
    assert_int_equal(shoal_frame_decode((shoal_slice){bytes, size}, &back, &error),
                     SHOAL_ERR_UNSUPPORTED);
    assert_int_equal(error.offset, 8);
    shoal_bytes_put_be16(bytes + 8, 1);
    shoal_bytes_put_be16(bytes + 12, SHOAL_FRAME_TYPE_COUNT);
    assert_int_equal(shoal_frame_decode((shoal_slice){bytes, size}, &back, &error),
                     SHOAL_ERR_UNSUPPORTED);
    assert_int_equal(error.found, SHOAL_FRAME_TYPE_COUNT);
    free(bytes);
    assert_null(shoal_frame_type_name(SHOAL_FRAME_TYPE_COUNT));
    assert_string_equal(shoal_frame_type_name(SHOAL_FRAME_AUTH_REQUEST), "auth-req");
}

static void names_and_addresses_are_checked(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_gossip gossip = {.ip = "127.0.0.1"};
    memcpy(gossip.name, NAME_B, SHOAL_NODE_NAME_LEN);
    shoal_frame frame = frame_make(SHOAL_FRAME_PING, &slots);
    frame.count = 1;
    frame.gossip = &gossip;
    const struct {
        uint32_t at;
        char put;
        const char *what;
        uint32_t offset;
    } spoils[] = {
        {40, 'A', "the sender's name", 40},
        {79, '\0', "the sender's name", 40},
        {2128, ' ', "a master's name or none", 2128},
        {2168, '\n', "an address or none", 2168},
        {2169, ',', "an address or none", 2168},
        {2256, '-', "a node name in a gossip entry", 2256},
        {2304, '\x80', "an address in a gossip entry", 2304},
        {14, 1, "a gossip count that fits in the frame", 14},
        {2251, 3, "master or replica", 2250},
        {2355, 3, "master or replica in a gossip entry", 2354},
    };
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        size_t size;
        char *bytes = bytes_of(&frame, &size);
        bytes[spoils[i].at] = spoils[i].put;
        is_refused(bytes, size, spoils[i].what, spoils[i].offset);
    }
    size_t size;
    char *bytes = bytes_of(&frame, &size);
    memset(bytes + 2168, 'a', 46);
    is_refused(bytes, size, "an address or none", 2168);
}

static void what_stands_behind_the_zero_of_an_address_is_dropped(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_frame frame = frame_make(SHOAL_FRAME_PING, &slots), back;
    shoal_frame_error error;
    size_t size;
    char *bytes = bytes_of(&frame, &size);
    memcpy(bytes + 2168, "1.2.3.4\0left over", 17);
    assert_int_equal(shoal_frame_decode((shoal_slice){bytes, size}, &back, &error), 0);
    char want[46] = "1.2.3.4";
    assert_memory_equal(back.ip, want, 46);
    free(bytes);
}

static void extensions_are_checked(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_frame frame = frame_make(SHOAL_FRAME_PING, &slots);
    frame.extension_count = 1;
    frame.extensions[0].data = shoal_text("abc");
    const struct {
        uint32_t at;
        char put;
        const char *what;
        uint32_t offset;
    } spoils[] = {
        {2215, 2, "one more extension", 2272},
        {2215, 0, "the end of the frame", 2256},
        {2253, 0, "the end of the frame", 2256}, /* the flag is off: they do not count */
        {2259, 0, "an extension length of whole words inside the frame", 2256},
        {2259, 12, "an extension length of whole words inside the frame", 2256},
        {2259, 24, "an extension length of whole words inside the frame", 2256},
        {2259, 8, "a zero behind the text of an extension", 2256},
        {2271, 'x', "a zero behind the text of an extension", 2256},
    };
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        size_t size;
        char *bytes = bytes_of(&frame, &size);
        bytes[spoils[i].at] = spoils[i].put;
        is_refused(bytes, size, spoils[i].what, spoils[i].offset);
    }
}

static void extensions_beyond_the_eighth_are_checked_and_left_out(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_frame frame = frame_make(SHOAL_FRAME_PING, &slots), back;
    frame.extension_count = 8;
    for (int i = 0; i < 8; i++) frame.extensions[i].type = 77;
    size_t size;
    char *bytes = bytes_of(&frame, &size);
    bytes = realloc(bytes, size + 8);
    memcpy(bytes + size, "\0\0\0\x08\0\x03\0\0", 8);
    shoal_bytes_put_be32(bytes + 4, (uint32_t)size + 8);
    shoal_bytes_put_be16(bytes + 2214, 9);
    shoal_frame_error error;
    assert_int_equal(shoal_frame_decode((shoal_slice){bytes, size + 8}, &back, &error), 0);
    assert_int_equal(back.extension_count, 8);
    assert_int_equal(back.extensions[7].type, 77);
    bytes[size + 3] = 7;
    is_refused(bytes, size + 8, "an extension length of whole words inside the frame",
               (uint32_t)size);
}

static void lengths_of_a_publish_cannot_overflow(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_frame frame = frame_make(SHOAL_FRAME_PUBLISH, &slots);
    frame.channel = shoal_text("a");
    size_t size;
    char *bytes = bytes_of(&frame, &size);
    shoal_bytes_put_be32(bytes + 2256, 0xFFFFFFFF);
    shoal_bytes_put_be32(bytes + 2260, 2);
    is_refused(bytes, size, "channel and message to fill the frame", 2256);
}

static void without_memory_nothing_is_appended(void **state)
{
    (void)state;
    shoal_slotmap slots = some_slots();
    shoal_frame frame = frame_make(SHOAL_FRAME_PING, &slots);
    bench b;
    bench_open(&b);
    b.heap.fail_after = 1;
    shoal_frame_encode(&frame, &b.out);
    assert_true(b.out.failed);
    assert_int_equal(shoal_buffer_size(&b.out), 0);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bare_headers_come_back),
        cmocka_unit_test(gossip_comes_back),
        cmocka_unit_test(extensions_come_back_padded_to_whole_words),
        cmocka_unit_test(fail_update_and_publish_come_back),
        cmocka_unit_test(a_module_frame_is_carried_as_bytes),
        cmocka_unit_test(each_type_has_its_exact_length),
        cmocka_unit_test(a_wrong_signature_or_length_is_no_frame),
        cmocka_unit_test(other_versions_and_types_are_unsupported),
        cmocka_unit_test(names_and_addresses_are_checked),
        cmocka_unit_test(what_stands_behind_the_zero_of_an_address_is_dropped),
        cmocka_unit_test(extensions_are_checked),
        cmocka_unit_test(extensions_beyond_the_eighth_are_checked_and_left_out),
        cmocka_unit_test(lengths_of_a_publish_cannot_overflow),
        cmocka_unit_test(without_memory_nothing_is_appended),
    };
    return cmocka_run_group_tests_name("wire_bus", tests, NULL, NULL);
}
