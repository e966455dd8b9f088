/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a DUMP payload, and as an RDB file that arrives in chunks: nothing is read beyond
 * them, nothing stays allocated, and a value that was read is written and read again to the same
 * bytes.
 */
#include "fuzz/driver/fuzz.h"

#include "rdb/file.h"

#define NOW_MS 1000

static const shoal_rdb_style style = {.compress = true,
                                      .list = {.bytes_max = 256, .count_max = 20},
                                      .now_ms = NOW_MS};

/* Small limits, so that short inputs meet every form. */
static const shoal_rdb_limits limits = {
    .set = {.entries = 6},
    .hash = {.entries = 6, .value_size = 20},
    .zset = {.entries = 6, .member_size = 20},
    .list = {.bytes_max = 256, .count_max = 20},
};

/* What a test of one input uses. */
typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_prng prng;
} world;

static shoal_buffer written(world *w, shoal_rdb_loader *loader)
{
    shoal_rdb_value value = shoal_rdb_loader_value(loader);
    shoal_buffer out = shoal_buffer_make(&w->allocator);
    shoal_rdb_write_payload(&out, &value, &style);
    SHOAL_ASSERT(!out.failed);
    return out;
}

/* What was read is written, read, and written again. (Deadlines that pass are left out.) */
static void round_trip(world *w, shoal_rdb_loader *loader)
{
    shoal_rdb_value value = shoal_rdb_loader_value(loader);
    if (shoal_rdb_is_empty(&value, NOW_MS)) return;
    shoal_buffer first = written(w, loader);
    SHOAL_ASSERT(shoal_rdb_check_payload(shoal_buffer_slice(&first), true));
    shoal_rdb_status status = shoal_rdb_read_payload(loader, shoal_buffer_slice(&first));
    SHOAL_ASSERT(status == SHOAL_RDB_OK);
    shoal_buffer second = written(w, loader);
    status = shoal_rdb_read_payload(loader, shoal_buffer_slice(&second));
    SHOAL_ASSERT(status == SHOAL_RDB_OK);
    SHOAL_ASSERT(shoal_rdb_check_payload(shoal_buffer_slice(&second), true));
    shoal_buffer_free(&first);
    shoal_buffer_free(&second);
}

static void as_payload(world *w, shoal_slice bytes)
{
    char foot[10] = {10};
    char *block = malloc(bytes.size + sizeof(foot));
    SHOAL_ASSERT(block != NULL);
    if (bytes.size > 0) memcpy(block, bytes.data, bytes.size);
    memcpy(block + bytes.size, foot, sizeof(foot));
    shoal_slice payload = {block, bytes.size + sizeof(foot)};
    SHOAL_ASSERT(shoal_rdb_check_payload(payload, false));
    shoal_rdb_loader loader;
    shoal_rdb_loader_open(&loader, &w->allocator, &w->allocator, &w->prng);
    loader.limits = limits;
    if (shoal_rdb_read_payload(&loader, payload) == SHOAL_RDB_OK) round_trip(w, &loader);
    shoal_rdb_loader_close(&loader);
    free(block);
}

/* Reads all of a file; returns where it stopped and why. */
static uint64_t as_file(world *w, shoal_slice bytes, size_t chunk)
{
    shoal_rdb_decoder decoder;
    shoal_rdb_decoder_open(&decoder, &w->allocator, &w->allocator, &w->prng);
    decoder.loader.limits = limits;
    decoder.checksum = false;
    shoal_rdb_event event = SHOAL_RDB_EVENT_MORE;
    uint64_t keys = 0;
    while (bytes.size > 0 && event < SHOAL_RDB_EVENT_END) {
        char *block;
        size_t size = bytes.size < chunk ? bytes.size : chunk;
        shoal_rdb_decoder_feed(&decoder, fuzz_exactly(bytes, size, &block));
        do {
            event = shoal_rdb_decoder_next(&decoder);
            keys += event == SHOAL_RDB_EVENT_KEY;
        } while (event != SHOAL_RDB_EVENT_MORE && event < SHOAL_RDB_EVENT_END);
        free(block);
        bytes.data += size;
        bytes.size -= size;
    }
    uint64_t outcome = (keys << 40) + (decoder.offset << 4) + decoder.status;
    shoal_rdb_decoder_close(&decoder);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shoal_slice bytes = {(const char *)data, size};
    world w = {.prng = shoal_prng_make((const uint64_t[2]){1, 2}, 0, 0)};
    w.allocator = test_allocator(&w.heap);
    if (size > 5 && memcmp(data, "REDIS", 5) == 0) {
        uint64_t whole = as_file(&w, bytes, size);
        SHOAL_ASSERT(as_file(&w, bytes, 1) == whole);
        SHOAL_ASSERT(as_file(&w, bytes, 13) == whole);
    } else {
        as_payload(&w, bytes);
    }
    SHOAL_ASSERT(w.heap.blocks == 0);
    return 0;
}
