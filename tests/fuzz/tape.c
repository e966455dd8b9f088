/* SPDX-License-Identifier: MIT
 *
 * Recordings of any bytes: a playback ends, by itself and with a reason, and owns nothing then; it
 * never asks the cluster for what no host would. Every input is played as it is, and once more with
 * right checks on whatever its frames are, so that chance gets behind them.
 */
#include <shoal/tape.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "fuzz/driver/fuzz.h"

/* Bytes of the file's header, and of a frame's. */
#define HEADER 16u
#define FRAME_HEAD 8u

static void hear(void *context, const shoal_trace_entry *entry)
{
    uint64_t *count = context;
    SHOAL_ASSERT(shoal_trace_name(entry->record.kind) != NULL);
    SHOAL_ASSERT(entry->node == 3);
    (*count)++;
}

static void play(shoal_slice bytes)
{
    test_heap heap = {0};
    uint64_t entries = 0;
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer complaint = shoal_buffer_make(&allocator);
    shoal_playback *playback = NULL;
    shoal_playback_options options = {
        .allocator = allocator, .bytes = bytes, .node = 3, .entry = hear, .context = &entries};
    shoal_err error = shoal_playback_open(&options, &complaint, &playback);
    SHOAL_ASSERT((error == SHOAL_ERR_OK) == (playback != NULL));
    SHOAL_ASSERT((error == SHOAL_ERR_OK) == (shoal_buffer_size(&complaint) == 0));
    shoal_buffer_free(&complaint);
    if (playback != NULL) {
        shoal_playback_facts facts;
        shoal_playback_state state;
        do {
            state = shoal_playback_next(playback);
            shoal_playback_get(playback, &facts);
            SHOAL_ASSERT(facts.offset <= bytes.size && facts.torn <= bytes.size);
        } while (state == SHOAL_PLAYBACK_MORE);
        bool trouble = state == SHOAL_PLAYBACK_DIFFERS || state == SHOAL_PLAYBACK_DAMAGED;
        SHOAL_ASSERT(trouble == (facts.trouble.size > 0));
        shoal_playback_close(playback);
    }
    SHOAL_ASSERT(heap.blocks == 0);
}

/* Puts right checks on all frames; the last one ends with the file. */
static void mend(char *bytes, size_t size)
{
    uint32_t number = 0;
    for (size_t at = HEADER; at + FRAME_HEAD < size; number++) {
        size_t room = size - at - FRAME_HEAD;
        uint32_t body = shoal_bytes_get_le32(bytes + at);
        if (body == 0 || body > room) body = (uint32_t)room;
        shoal_bytes_put_le32(bytes + at, body);
        shoal_slice content = {bytes + at + FRAME_HEAD, body};
        shoal_bytes_put_le32(bytes + at + 4, (uint32_t)shoal_hash(content, number));
        at += FRAME_HEAD + body;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_slice bytes = {(const char *)data, size};
    play(bytes);
    char *block;
    shoal_slice copy = fuzz_exactly(bytes, size, &block);
    if (size > HEADER) mend(block, size);
    if (size >= HEADER) memcpy(block, "SHOALREC\1\0\0\0\0\0\0\0", HEADER);
    play(copy);
    free(block);
    return 0;
}
