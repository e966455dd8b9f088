/* SPDX-License-Identifier: MIT
 *
 * Any bytes as an RDB file that goes into a store, in chunks whose size the first byte says: it is
 * loaded to its end, or refused with a reason and a place within it; each loaded key is there, or
 * was replaced by a later one; and the memory of all of it comes back.
 */
#include "fuzz/driver/fuzz.h"

#include "persist/rdb_load.h"
#include "support/store_box.h"

/* Small limits, so that short inputs meet every form. */
static const shoal_rdb_limits limits = {
    .set = {.entries = 6},
    .hash = {.entries = 6, .value_size = 20},
    .zset = {.entries = 6, .member_size = 20},
    .list = {.bytes_max = 256, .count_max = 20},
};

static shoal_rdb_load_state load_all(shoal_rdb_load *load, shoal_slice bytes, size_t chunk)
{
    shoal_rdb_load_state state = SHOAL_RDB_LOAD_MORE;
    while (bytes.size > 0 && state == SHOAL_RDB_LOAD_MORE) {
        char *block;
        size_t size = bytes.size < chunk ? bytes.size : chunk;
        state = shoal_rdb_load_feed(load, fuzz_exactly(bytes, size, &block));
        free(block);
        bytes.data += size;
        bytes.size -= size;
    }
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    store_box box;
    box_open(&box, 1);
    shoal_allocator allocator = test_allocator(&box.heap);
    const shoal_rdb_load_options options = {.allocator = &allocator,
                                            .thread = box.thread,
                                            .limits = limits,
                                            .databases = 2,
                                            .now_ms = box_ms(&box)};
    shoal_rdb_load load;
    shoal_rdb_load_open(&load, &options);
    shoal_slice bytes = {(const char *)data + 1, size - 1};
    shoal_rdb_load_state state = load_all(&load, bytes, 1 + data[0]);
    SHOAL_ASSERT(state != SHOAL_RDB_LOAD_BAD || load.reason != NULL);
    SHOAL_ASSERT(load.offset <= bytes.size);
    uint64_t keys = shoal_store_count(box.store, 0) + shoal_store_count(box.store, 1);
    SHOAL_ASSERT(keys <= load.keys_loaded);
    shoal_rdb_load_close(&load);
    box_close(&box);
    return 0;
}
