/* SPDX-License-Identifier: MIT
 *
 * Trace files: the stream of entries in the format of shoal/trace.h.
 */
#include <errno.h>
#include <string.h>

#include "sim/program.h"

/* Bytes that are gathered before a write. */
#define GATHER_BYTES (256u << 10)

static void write_out(shoal_recorder *recorder)
{
    shoal_slice bytes = shoal_buffer_slice(&recorder->buffer);
    if (bytes.size > 0 && fwrite(bytes.data, 1, bytes.size, recorder->file) != bytes.size) {
        recorder->failed = true;
    }
    shoal_buffer_consume(&recorder->buffer, bytes.size);
}

bool shoal_recorder__open(shoal_recorder *recorder, const char *path)
{
    recorder->failed = false;
    recorder->file = fopen(path, "wb");
    if (recorder->file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    recorder->memory = shoal_allocator_default();
    recorder->buffer = shoal_buffer_make(&recorder->memory);
    shoal_trace_encode_header(&recorder->buffer);
    return true;
}

void shoal_recorder__take(void *context, const shoal_trace_entry *entry)
{
    shoal_recorder *recorder = context;
    shoal_trace_encode(entry, &recorder->buffer);
    if (shoal_buffer_size(&recorder->buffer) > GATHER_BYTES) write_out(recorder);
}

bool shoal_recorder__close(shoal_recorder *recorder)
{
    if (recorder->buffer.failed) recorder->failed = true;
    write_out(recorder);
    shoal_buffer_free(&recorder->buffer);
    if (fclose(recorder->file) != 0) recorder->failed = true;
    return !recorder->failed;
}
