/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a trace file: decoding says what is wrong or gives records that encode to the same
 * bytes again and have a text line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <shoal/trace.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops the program unless encoding gives back what was decoded, and the text has no newline. */
static void check(const shoal_trace_entry *entry, shoal_slice bytes)
{
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_trace_encode(entry, &out);
    shoal_slice again = shoal_buffer_slice(&out);
    if (again.size != bytes.size || memcmp(again.data, bytes.data, bytes.size) != 0) abort();
    shoal_buffer_consume(&out, again.size);
    shoal_trace_text(entry, &out);
    shoal_slice line = shoal_buffer_slice(&out);
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == '\n') abort();
    }
    shoal_buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_slice bytes = {(const char *)data, size};
    if (shoal_trace_decode_header(bytes) != SHOAL_ERR_OK) return 0;
    size_t at = SHOAL_TRACE_HEADER_SIZE;
    shoal_trace_entry entry;
    size_t used;
    for (;;) {
        shoal_slice rest = {bytes.data + at, size - at};
        if (shoal_trace_decode(rest, &entry, &used) != SHOAL_ERR_OK) return 0;
        if (used == 0 || used > rest.size) abort();
        check(&entry, (shoal_slice){rest.data, used});
        at += used;
    }
}
