/* SPDX-License-Identifier: MIT
 *
 * Reads an RDB file from its input, in chunks of the given size, and writes what it holds as an RDB
 * file to its output. For system tests, which ask Redis what it thinks of both. What is wrong is
 * told on standard error, and the exit status is 1.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "rdb/crc64.h"
#include "rdb/file.h"
#include "support/allocator.h"

#define NOW_MS 1700000000000

/* What is written. */
typedef struct copy {
    shoal_buffer out;
    uint64_t crc;
    uint32_t db;
    bool in_db;
} copy;

static const shoal_rdb_style style = {.compress = true,
                                      .list = {.bytes_max = 8192, .count_max = UINT32_MAX},
                                      .now_ms = NOW_MS};

static void flush(copy *to)
{
    shoal_slice bytes = shoal_buffer_slice(&to->out);
    SHOAL_ASSERT(!to->out.failed);
    to->crc = shoal_crc64(to->crc, bytes);
    SHOAL_ASSERT(fwrite(bytes.data, 1, bytes.size, stdout) == bytes.size);
    shoal_buffer_consume(&to->out, bytes.size);
}

static void write_key(copy *to, shoal_rdb_decoder *decoder)
{
    if (!to->in_db || to->db != decoder->db) shoal_rdb_write_database(&to->out, decoder->db);
    to->in_db = true;
    to->db = decoder->db;
    const shoal_rdb_key key = {.name = decoder->name,
                               .value = shoal_rdb_loader_value(&decoder->loader),
                               .expires_ms = decoder->expires_ms};
    shoal_rdb_write_key(&to->out, &key, &style);
    flush(to);
}

/* Reads on until the next chunk is needed. False at the end, whatever it is. */
static bool read_on(shoal_rdb_decoder *decoder, copy *to)
{
    for (;;) {
        switch (shoal_rdb_decoder_next(decoder)) {
        case SHOAL_RDB_EVENT_MORE: return true;
        case SHOAL_RDB_EVENT_KEY: write_key(to, decoder); break;
        case SHOAL_RDB_EVENT_AUX:
            shoal_rdb_write_aux(&to->out, decoder->name, decoder->text);
            flush(to);
            break;
        case SHOAL_RDB_EVENT_END:
        case SHOAL_RDB_EVENT_FAILED: return false;
        default: break;
        }
    }
}

static int finish(shoal_rdb_decoder *decoder, copy *to)
{
    int status = 0;
    if (shoal_rdb_decoder_next(decoder) == SHOAL_RDB_EVENT_END) {
        shoal_rdb_write_end(&to->out, &to->crc);
        flush(to);
    } else {
        fprintf(stderr, "byte %llu: %s\n", (unsigned long long)decoder->offset,
                decoder->reason != NULL ? decoder->reason : "the file ends too early");
        status = 1;
    }
    shoal_rdb_decoder_close(decoder);
    shoal_buffer_free(&to->out);
    return status;
}

int main(int argc, char **argv)
{
    size_t chunk = argc > 1 ? strtoul(argv[1], NULL, 10) : 65536;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_prng prng = shoal_prng_make((const uint64_t[2]){1, 2}, 0, 0);
    shoal_rdb_decoder decoder;
    shoal_rdb_decoder_open(&decoder, &allocator, &allocator, &prng);
    decoder.loader.limits = (shoal_rdb_limits){
        .set = {.entries = 512},
        .hash = {.entries = 128, .value_size = 64},
        .zset = {.entries = 128, .member_size = 64},
        .list = style.list,
    };
    copy to = {.out = shoal_buffer_make(&allocator)};
    shoal_rdb_write_header(&to.out);
    flush(&to);
    char *bytes = malloc(chunk);
    SHOAL_ASSERT(bytes != NULL);
    size_t size;
    bool more = true;
    while (more && (size = fread(bytes, 1, chunk, stdin)) > 0) {
        shoal_rdb_decoder_feed(&decoder, (shoal_slice){bytes, size});
        more = read_on(&decoder, &to);
    }
    free(bytes);
    int status = finish(&decoder, &to);
    SHOAL_ASSERT(heap.blocks == 0);
    return status;
}
