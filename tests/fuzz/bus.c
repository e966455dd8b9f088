/* SPDX-License-Identifier: MIT
 *
 * Bus frames from any bytes: what is accepted is well-formed in every part, and encoding it and
 * decoding that changes nothing. So that chance gets further than the signature, the first byte
 * of the input may ask for a right signature, length and version.
 */
#include "fuzz/driver/fuzz.h"

#include "base/bytes.h"
#include "wire/bus.h"

/* Reads every part that the frame announces. */
static void touch(const shoal_frame *frame, size_t size)
{
    SHOAL_ASSERT(frame->type < SHOAL_FRAME_TYPE_COUNT);
    SHOAL_ASSERT(memchr(frame->ip, '\0', sizeof(frame->ip)) != NULL);
    for (uint32_t i = 0; frame->gossip_bytes.size && i < frame->count; i++) {
        shoal_gossip gossip;
        shoal_frame_gossip(frame, i, &gossip);
        SHOAL_ASSERT(memchr(gossip.ip, '\0', sizeof(gossip.ip)) != NULL);
        for (size_t k = 0; k < SHOAL_NODE_NAME_LEN; k++) SHOAL_ASSERT(gossip.name[k] > ' ');
    }
    SHOAL_ASSERT(frame->extension_count <= 8);
    for (uint32_t i = 0; i < frame->extension_count; i++) {
        shoal_slice data = frame->extensions[i].data;
        SHOAL_ASSERT(data.size <= size);
        if (frame->extensions[i].type == SHOAL_EXT_HOSTNAME && data.size)
            SHOAL_ASSERT(memchr(data.data, '\0', data.size) == NULL);
    }
    SHOAL_ASSERT(frame->channel.size + frame->message.size <= size);
}

/* Copies the gossip entries out, as a node that forwards them does. */
static shoal_gossip *copy_gossip(const shoal_frame *frame)
{
    if (frame->gossip_bytes.size == 0) return NULL;
    shoal_gossip *gossip = calloc(frame->count, sizeof(*gossip));
    SHOAL_ASSERT(gossip != NULL);
    for (uint32_t i = 0; i < frame->count; i++) shoal_frame_gossip(frame, i, &gossip[i]);
    return gossip;
}

static void check_frame(shoal_slice bytes)
{
    shoal_frame frame, again;
    shoal_frame_error error;
    shoal_err failure = shoal_frame_decode(bytes, &frame, &error);
    if (failure) {
        SHOAL_ASSERT(failure == SHOAL_ERR_MALFORMED || failure == SHOAL_ERR_UNSUPPORTED ||
                     (failure == SHOAL_ERR_TRUNCATED && bytes.size < 8));
        if (failure != SHOAL_ERR_TRUNCATED) SHOAL_ASSERT(error.what != NULL);
        SHOAL_ASSERT(error.offset <= bytes.size);
        return;
    }
    touch(&frame, bytes.size);

    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer first = shoal_buffer_make(&allocator), second = shoal_buffer_make(&allocator);
    shoal_gossip *gossip = copy_gossip(&frame);
    frame.gossip = gossip;
    shoal_frame_encode(&frame, &first);
    SHOAL_ASSERT(shoal_buffer_size(&first) <= bytes.size);
    SHOAL_ASSERT(shoal_frame_decode(shoal_buffer_slice(&first), &again, &error) == SHOAL_ERR_OK);
    touch(&again, shoal_buffer_size(&first));
    shoal_frame_encode(&again, &second);
    SHOAL_ASSERT(shoal_text_equal(shoal_buffer_slice(&first), shoal_buffer_slice(&second)));
    free(gossip);
    shoal_buffer_free(&first);
    shoal_buffer_free(&second);
    SHOAL_ASSERT(heap.blocks == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_slice bytes = {(const char *)data, size};
    uint8_t choice = fuzz_choice(&bytes);
    char *block;
    bytes = fuzz_exactly(bytes, bytes.size, &block);
    if (choice & 1 && bytes.size >= 10) {
        memcpy(block, "RCmb", 4);
        shoal_bytes_put_be32(block + 4, (uint32_t)bytes.size);
        shoal_bytes_put_be16(block + 8, 1);
    }
    size_t frame_size = 0;
    shoal_frame_error error;
    shoal_err failure = shoal_frame_size(bytes, &frame_size, &error);
    if (failure == SHOAL_ERR_OK) {
        SHOAL_ASSERT(frame_size >= SHOAL_FRAME_HEADER_SIZE && frame_size <= SHOAL_FRAME_SIZE_MAX);
        if (frame_size < bytes.size) {
            char *exact;
            check_frame(fuzz_exactly(bytes, frame_size, &exact));
            free(exact);
        }
    }
    check_frame(bytes);
    free(block);
    return 0;
}
