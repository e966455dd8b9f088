/* SPDX-License-Identifier: MIT
 *
 * An RDB file read into a store in a box: what a snapshot shows is what a store has that loads it.
 */
#ifndef SHOAL_TEST_RDB_BOX_H
#define SHOAL_TEST_RDB_BOX_H

#include "base/assert.h"
#include "persist/rdb_load.h"
#include "support/store_box.h"

/* Opens a box for one thread and reads all of `file` into it, in parts of `part` bytes, with the
 * limits that Redis's configuration begins with. The file is whole and right, or the program ends.
 * The caller closes the box. */
static inline void rdb_box_open(store_box *box, shoal_slice file, size_t part, int64_t now_ms)
{
    box_open(box, 1);
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    const shoal_rdb_load_options options = {.allocator = &allocator,
                                            .thread = box->thread,
                                            .limits = {.set = {.entries = 512},
                                                       .hash = {.entries = 128, .value_size = 64},
                                                       .zset = {.entries = 128, .member_size = 64},
                                                       .list = shoal_list_limits_of(-2)},
                                            .databases = 2,
                                            .checksum = true,
                                            .now_ms = now_ms};
    shoal_rdb_load load;
    shoal_rdb_load_open(&load, &options);
    shoal_rdb_load_state state = SHOAL_RDB_LOAD_MORE;
    while (state == SHOAL_RDB_LOAD_MORE && file.size > 0) {
        size_t size = part < file.size ? part : file.size;
        state = shoal_rdb_load_feed(&load, (shoal_slice){file.data, size});
        file.data += size;
        file.size -= size;
    }
    SHOAL_ASSERT(state == SHOAL_RDB_LOAD_DONE);
    shoal_rdb_load_close(&load);
}

/* The digest of what a file shows. */
static inline uint64_t rdb_box_digest(shoal_slice file, size_t part, int64_t now_ms)
{
    store_box box;
    rdb_box_open(&box, file, part, now_ms);
    uint64_t digest = shoal_store_digest(box.store);
    box_close(&box);
    return digest;
}

#endif
