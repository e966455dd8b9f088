/* SPDX-License-Identifier: MIT
 *
 * backup/shard.h over a file that is mapped into memory. Values are not unpacked: what stands in
 * the file between two keys is what RESTORE takes, but for its last ten bytes. Only very large ones
 * are read and written anew.
 */
#include "shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"
#include "base/sha1.h"
#include "rdb/crc64.h"
#include "rdb/file.h"
#include "wire/resp.h"

/* Bytes that are read at once. */
#define CHUNK ((size_t)1 << 20)

/* A file that is being read. */
typedef struct reading {
    const char *path;
    const shoal_shard_reader *reader;
    shoal_shard *met;
    shoal_crc64_tables tables;
    shoal_rdb_decoder decoder;
    shoal_buffer payload;
} reading;

static _Noreturn void damaged(const reading *of, const char *why, uint64_t offset)
{
    shoal_backup__die(BACKUP_DAMAGED, "%s is damaged at byte %llu: %s", of->path,
                      (unsigned long long)offset, why);
}

/* ---- the snapshot ---- */

static void append_number(shoal_buffer *out, uint64_t number, size_t size)
{
    char bytes[8];
    SHOAL_ASSERT(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(number >> (8 * i));
    shoal_buffer_append(out, (shoal_slice){bytes, size});
}

/* The oldest version of the format that has values of this kind, in files of `version`. */
static uint32_t version_of(uint32_t kind, uint32_t version)
{
    if (kind >= SHOAL_RDB_HASH_FIELDS_EARLY) return SHOAL_RDB_VERSION_FIELDS;
    if (kind == SHOAL_RDB_SET_LISTPACK) return 11;
    return version < SHOAL_RDB_VERSION ? version : SHOAL_RDB_VERSION;
}

/* What RESTORE takes for the key that has been met. */
static shoal_slice payload_of(reading *of, bool read)
{
    shoal_buffer *out = &of->payload;
    shoal_rdb_decoder *decoder = &of->decoder;
    shoal_buffer_consume(out, shoal_buffer_size(out));
    if (read) {
        const shoal_rdb_style style = {.compress = true, .list = shoal_list_limits_of(-2)};
        const shoal_rdb_value value = shoal_rdb_loader_value(&decoder->loader);
        shoal_rdb_write_payload(out, &value, &style);
    } else {
        append_number(out, decoder->kind, 1);
        shoal_buffer_append(out, decoder->text);
        append_number(out, version_of(decoder->kind, decoder->version), 2);
        uint64_t crc = shoal_crc64_by(&of->tables, 0, shoal_buffer_slice(out));
        append_number(out, crc, 8);
    }
    return shoal_buffer_slice(out);
}

static void meet_key(reading *of, bool read)
{
    const shoal_rdb_decoder *decoder = &of->decoder;
    of->met->keys++;
    of->met->keys_volatile += decoder->expires_ms >= 0;
    if (of->reader->key == NULL) return;
    shoal_shard_key key = {.db = decoder->db,
                           .name = decoder->name,
                           .expires_ms = decoder->expires_ms,
                           .idle_s = decoder->idle_s,
                           .frequency = decoder->frequency};
    if (of->reader->payloads) key.payload = payload_of(of, read);
    of->reader->key(of->reader->context, &key);
}

static void progress(const reading *of, uint64_t bytes)
{
    if (of->reader->progress != NULL) of->reader->progress(of->reader->context, bytes);
}

static void open_decoder(reading *of, shoal_prng *prng)
{
    const shoal_allocator *allocator = shoal_backup__allocator();
    shoal_rdb_decoder_open(&of->decoder, allocator, allocator, prng);
    of->decoder.checksum = true;
    of->decoder.records = true;
    of->decoder.loader.limits = (shoal_rdb_limits){.set = {.entries = 512},
                                                   .hash = {.entries = 512, .value_size = 64},
                                                   .zset = {.entries = 128, .member_size = 64},
                                                   .list = shoal_list_limits_of(-2)};
}

static void read_snapshot(reading *of, shoal_slice bytes)
{
    shoal_prng prng = shoal_prng_make((const uint64_t[2]){1, 2}, 0, 1);
    size_t fed = 0;
    open_decoder(of, &prng);
    for (;;) {
        switch (shoal_rdb_decoder_next(&of->decoder)) {
        case SHOAL_RDB_EVENT_MORE: {
            size_t size = bytes.size - fed < CHUNK ? bytes.size - fed : CHUNK;
            if (size == 0) damaged(of, "it ends too early", bytes.size);
            shoal_rdb_decoder_feed(&of->decoder, (shoal_slice){bytes.data + fed, size});
            fed += size;
            progress(of, size);
            continue;
        }
        case SHOAL_RDB_EVENT_KEY: meet_key(of, true); continue;
        case SHOAL_RDB_EVENT_RECORD: meet_key(of, false); continue;
        case SHOAL_RDB_EVENT_FUNCTION:
            if (of->reader->function != NULL)
                of->reader->function(of->reader->context, of->decoder.text);
            continue;
        case SHOAL_RDB_EVENT_FAILED:
            if (of->decoder.status == SHOAL_RDB_UNKNOWN)
                shoal_backup__die(BACKUP_FAILED, "%s holds what cannot be restored: %s", of->path,
                                  of->decoder.reason);
            damaged(of, of->decoder.reason != NULL ? of->decoder.reason : "no memory",
                    of->decoder.offset);
        case SHOAL_RDB_EVENT_END: break;
        default: continue;
        }
        break;
    }
    if (of->decoder.offset != bytes.size)
        damaged(of, "the snapshot ends early", of->decoder.offset);
    shoal_rdb_decoder_close(&of->decoder);
}

/* ---- the commands ---- */

static void read_commands(reading *of, shoal_slice bytes, uint64_t offset)
{
    shoal_request request = {.limits = shoal_request_limits_default(),
                             .allocator = shoal_backup__allocator()};
    while (bytes.size > 0) {
        if (bytes.data[0] != '*') damaged(of, "no command begins here", offset);
        if (shoal_request_parse(&request, bytes) != SHOAL_PARSE_REQUEST)
            damaged(of, "a command that is not whole", offset);
        of->met->commands++;
        if (of->reader->command != NULL && request.argc > 0)
            of->reader->command(of->reader->context, request.argv, request.argc);
        offset += request.size;
        progress(of, request.size);
        bytes.data += request.size;
        bytes.size -= request.size;
    }
    shoal_request_free(&request);
}

/* ---- the file ---- */

static shoal_slice map_file(const reading *of, int *descriptor)
{
    struct stat status;
    *descriptor = open(of->path, O_RDONLY | O_CLOEXEC);
    if (*descriptor < 0 || fstat(*descriptor, &status) != 0)
        shoal_backup__die(BACKUP_DAMAGED, "cannot read %s: %s", of->path, strerror(errno));
    if (status.st_size == 0) damaged(of, "it is empty", 0);
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, *descriptor, 0);
    if (bytes == MAP_FAILED)
        shoal_backup__die(BACKUP_FAILED, "cannot read %s: %s", of->path, strerror(errno));
    return (shoal_slice){bytes, (size_t)status.st_size};
}

static void name_content(shoal_slice bytes, char out[2 * SHOAL_SHA1_SIZE + 1])
{
    unsigned char digest[SHOAL_SHA1_SIZE];
    shoal_sha1(bytes, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void shoal_shard__read(const char *folder, const shoal_shard *shard,
                       const shoal_shard_reader *reader, shoal_shard *met)
{
    char path[4096];
    reading of = {.path = path};
    int descriptor;
    shoal_inventory__path(folder, shard->file, path);
    *met = (shoal_shard){.bytes = 0};

    of.reader = reader;
    of.met = met;
    of.payload = shoal_buffer_make(shoal_backup__allocator());
    shoal_crc64_prepare(&of.tables);
    shoal_slice bytes = map_file(&of, &descriptor);
    met->bytes = bytes.size;
    if (bytes.size != shard->bytes) damaged(&of, "it has another size", bytes.size);
    name_content(bytes, met->sha1);
    if (shard->sha1[0] != '\0' && strcmp(met->sha1, shard->sha1) != 0)
        damaged(&of, "the checksum of the file is wrong", 0);
    read_snapshot(&of, (shoal_slice){bytes.data, shard->rdb_bytes});
    read_commands(&of, (shoal_slice){bytes.data + shard->rdb_bytes, bytes.size - shard->rdb_bytes},
                  shard->rdb_bytes);
    shoal_buffer_free(&of.payload);
    munmap((void *)(uintptr_t)bytes.data, bytes.size);
    close(descriptor);
}
