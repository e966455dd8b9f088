/* SPDX-License-Identifier: MIT
 *
 * Trace files of any bytes: what is decoded is encoded to the same bytes, a beginning of an entry
 * is never taken for an entry, and every entry has a line of text without control bytes.
 */
#include "fuzz/driver/fuzz.h"

#include <shoal/trace.h>

/* Checks one decoded entry against the bytes that it was decoded from. */
static void check_entry(const shoal_trace_entry *entry, shoal_slice own,
                        const shoal_allocator *allocator)
{
    shoal_buffer out = shoal_buffer_make(allocator);
    shoal_trace_encode(entry, &out);
    SHOAL_ASSERT(shoal_text_equal(shoal_buffer_slice(&out), own));
    shoal_buffer_free(&out);

    shoal_trace_text(entry, &out);
    shoal_slice line = shoal_buffer_slice(&out);
    for (size_t i = 0; i < line.size; i++)
        SHOAL_ASSERT((uint8_t)line.data[i] >= ' ' && line.data[i] != 0x7F);
    shoal_buffer_free(&out);

    char *block;
    size_t used;
    shoal_trace_entry shorter;
    shoal_slice cut = fuzz_exactly(own, own.size - 1, &block);
    SHOAL_ASSERT(shoal_trace_decode(cut, &shorter, &used) == SHOAL_ERR_TRUNCATED);
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_slice rest = {(const char *)data, size};
    shoal_err error = shoal_trace_decode_header(rest);
    if (size < SHOAL_TRACE_HEADER_SIZE) SHOAL_ASSERT(error != SHOAL_ERR_OK);
    if (error) return 0;
    rest.data += SHOAL_TRACE_HEADER_SIZE;
    rest.size -= SHOAL_TRACE_HEADER_SIZE;

    uint64_t hash = 0;
    shoal_trace_entry entry;
    size_t used = 0;
    while (shoal_trace_decode(rest, &entry, &used) == SHOAL_ERR_OK) {
        SHOAL_ASSERT(used >= SHOAL_TRACE_RECORD_SIZE && used <= rest.size);
        check_entry(&entry, (shoal_slice){rest.data, used}, &allocator);
        uint64_t before = hash;
        shoal_trace_hash(&hash, &entry);
        SHOAL_ASSERT(hash != before);
        rest.data += used;
        rest.size -= used;
    }
    SHOAL_ASSERT(heap.blocks == 0);
    return 0;
}
