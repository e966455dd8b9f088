/* SPDX-License-Identifier: MIT
 *
 * An append-only file of any bytes, in chunks whose size the first byte says: commands come out, or
 * damage is named within the file; what is cut at `whole_at` reads to its end without being torn.
 */
#include "fuzz/driver/fuzz.h"

#include "base/assert.h"
#include "persist/aof_reader.h"

static shoal_aof_found drain(shoal_aof_reader *reader)
{
    shoal_aof_found found;
    do {
        found = shoal_aof_reader_next(reader);
    } while (found == SHOAL_AOF_COMMAND || found == SHOAL_AOF_REMARK);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    shoal_allocator allocator = shoal_allocator_default();
    shoal_aof_reader reader = shoal_aof_reader_make(&allocator, 0);
    size_t step = 1 + data[0] % 64, whole = size - 1;
    const char *text = (const char *)data + 1;
    shoal_aof_found found = SHOAL_AOF_MORE;
    for (size_t at = 0; at < whole && found == SHOAL_AOF_MORE; at += step) {
        size_t part = whole - at < step ? whole - at : step;
        shoal_aof_reader_feed(&reader, (shoal_slice){text + at, part});
        found = drain(&reader);
    }
    SHOAL_ASSERT(reader.whole_at <= whole);
    SHOAL_ASSERT(found == SHOAL_AOF_MORE || (found == SHOAL_AOF_BAD && reader.bad_at < whole));
    size_t cut = (size_t)reader.whole_at;
    shoal_aof_reader_free(&reader);
    reader = shoal_aof_reader_make(&allocator, 0);
    if (cut > 0) shoal_aof_reader_feed(&reader, (shoal_slice){text, cut});
    found = drain(&reader);
    SHOAL_ASSERT(found == SHOAL_AOF_MORE && !shoal_aof_reader_is_torn(&reader));
    shoal_aof_reader_free(&reader);
    return 0;
}
