/* SPDX-License-Identifier: MIT
 *
 * backup/inventory.h: text out and in, line by line.
 */
#include "inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"
#include "rdb/crc64.h"

#define NAME "INVENTORY"
/* One line: 8,192 ranges at most. */
#define LINE_SIZE ((size_t)128 << 10)

void shoal_inventory__path(const char *folder, const char *file, char out[4096])
{
    int size = snprintf(out, 4096, "%s/%s", folder, file);
    if (size >= 4096) shoal_backup__die(BACKUP_USAGE, "the name of the folder is too long");
}

/* ---- writing ---- */

static void write_slots(const shoal_inventory *inventory, uint32_t index, shoal_buffer *out)
{
    const char *before = "slots ";
    SHOAL_ASSERT(index < inventory->count);
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        if (inventory->owner[slot] != index) continue;
        uint32_t first = slot;
        while (slot + 1 < SHOAL_SLOTS && inventory->owner[slot + 1] == index) slot++;
        shoal_text_appendf(out, "%s%u", before, first);
        if (slot > first) shoal_text_appendf(out, "-%u", slot);
        before = ",";
    }
    shoal_text_appendf(out, "\n");
}

static void write_shard(const shoal_shard *shard, shoal_buffer *out)
{
    SHOAL_ASSERT(shard->file[0] != '\0');
    shoal_text_appendf(out, "shard %s bytes %" PRIu64 " sha1 %s rdb %" PRIu64, shard->file,
                       shard->bytes, shard->sha1, shard->rdb_bytes);
    shoal_text_appendf(out, " keys %" PRIu64 " volatile %" PRIu64 " commands %" PRIu64 "\n",
                       shard->keys, shard->keys_volatile, shard->commands);
    shoal_text_appendf(out,
                       "from %s %s history %s at %" PRIu64 " to %" PRIu64 " begun %" PRId64 "\n",
                       shard->node[0] != '\0' ? shard->node : "-", shard->address, shard->history,
                       shard->from, shard->to, shard->begun_us);
}

static void sync_path(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || fsync(descriptor) != 0)
        shoal_backup__die(BACKUP_FAILED, "cannot sync %s: %s", path, strerror(errno));
    close(descriptor);
}

void shoal_inventory__sync_folder(const char *folder)
{
    char above[4096];
    shoal_inventory__path(folder, "..", above);
    sync_path(folder);
    sync_path(above);
}

void shoal_inventory__write(const shoal_inventory *inventory, const char *folder)
{
    char path[4096], temporary[4096];
    shoal_buffer out = shoal_buffer_make(shoal_backup__allocator());
    shoal_text_appendf(&out, "shoal-backup 1\nsource %s %s\n", inventory->source,
                       inventory->cluster ? "cluster" : "server");
    shoal_text_appendf(&out, "cut %" PRId64 " %" PRId64 "\n", inventory->cut_began_us,
                       inventory->cut_ended_us);
    for (uint32_t i = 0; i < inventory->count; i++) {
        write_shard(&inventory->shards[i], &out);
        write_slots(inventory, i, &out);
    }
    uint64_t crc = shoal_crc64(0, shoal_buffer_slice(&out));
    shoal_text_appendf(&out, "end %016" PRIx64 "\n", crc);
    shoal_inventory__path(folder, NAME, path);
    shoal_inventory__path(folder, NAME ".new", temporary);
    FILE *file = fopen(temporary, "w");
    shoal_slice text = shoal_buffer_slice(&out);
    bool written = file != NULL && fwrite(text.data, 1, text.size, file) == text.size;
    if (file != NULL && fclose(file) != 0) written = false;
    if (!written) shoal_backup__die(BACKUP_FAILED, "cannot write %s: %s", path, strerror(errno));
    sync_path(temporary);
    if (rename(temporary, path) != 0)
        shoal_backup__die(BACKUP_FAILED, "cannot write %s: %s", path, strerror(errno));
    shoal_inventory__sync_folder(folder);
    shoal_buffer_free(&out);
}

/* ---- reading ---- */

static _Noreturn void damaged(const char *path, const char *why)
{
    shoal_backup__die(BACKUP_DAMAGED, "%s is damaged: %s", path, why);
}

/* Gives slots to a shard. */
static bool read_slots(shoal_inventory *inventory, uint32_t index, const char *text)
{
    while (*text != '\0' && *text != '\n') {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (end == text) return false;
        if (*end == '-') last = strtoul(end + 1, &end, 10);
        if (last >= SHOAL_SLOTS || first > last) return false;
        for (unsigned long slot = first; slot <= last; slot++)
            inventory->owner[slot] = (uint16_t)index;
        text = end + (*end == ',');
    }
    return true;
}

static shoal_shard *add_shard(shoal_inventory *inventory, const char *path)
{
    size_t size = (inventory->count + 1) * sizeof(shoal_shard);
    shoal_shard *shards = realloc(inventory->shards, size);
    if (shards == NULL) damaged(path, "no memory");
    inventory->shards = shards;
    shards[inventory->count] = (shoal_shard){.bytes = 0};
    return &shards[inventory->count++];
}

/* One line. False when it is none. */
static bool read_line(shoal_inventory *inventory, const char *line, const char *path)
{
    shoal_shard *last = inventory->count > 0 ? &inventory->shards[inventory->count - 1] : NULL;
    char kind[16];
    if (strncmp(line, "source ", 7) == 0) {
        bool read = sscanf(line, "source %299s %15s", inventory->source, kind) == 2;
        inventory->cluster = strcmp(kind, "cluster") == 0;
        return read;
    }
    if (strncmp(line, "cut ", 4) == 0)
        return sscanf(line, "cut %" SCNd64 " %" SCNd64, &inventory->cut_began_us,
                      &inventory->cut_ended_us) == 2;
    if (strncmp(line, "shard ", 6) == 0) {
        shoal_shard *shard = add_shard(inventory, path);
        return sscanf(line,
                      "shard %31[a-z0-9.-] bytes %" SCNu64 " sha1 %40[0-9a-f] rdb %" SCNu64
                      " keys %" SCNu64 " volatile %" SCNu64 " commands %" SCNu64,
                      shard->file, &shard->bytes, shard->sha1, &shard->rdb_bytes, &shard->keys,
                      &shard->keys_volatile, &shard->commands) == 7 &&
               shard->rdb_bytes <= shard->bytes;
    }
    if (last == NULL) return false;
    if (strncmp(line, "from ", 5) == 0)
        return sscanf(line,
                      "from %40s %299s history %40s at %" SCNu64 " to %" SCNu64 " begun %" SCNd64,
                      last->node, last->address, last->history, &last->from, &last->to,
                      &last->begun_us) == 6;
    if (strncmp(line, "slots ", 6) == 0)
        return read_slots(inventory, inventory->count - 1, line + 6);
    return false;
}

void shoal_inventory__read(shoal_inventory *inventory, const char *folder)
{
    char path[4096];
    uint64_t crc = 0, wanted = 0;
    bool ended = false;
    shoal_inventory__path(folder, NAME, path);
    FILE *file = fopen(path, "r");
    if (file == NULL && errno == ENOENT)
        shoal_backup__die(BACKUP_DAMAGED,
                          "%s is no backup, or one that was not finished: %s is "
                          "missing",
                          folder, path);
    if (file == NULL) shoal_backup__die(BACKUP_FAILED, "cannot read %s: %s", path, strerror(errno));
    char *line = malloc(LINE_SIZE);
    if (line == NULL) damaged(path, "no memory");
    *inventory = (shoal_inventory){.count = 0};
    for (uint32_t number = 0; fgets(line, (int)LINE_SIZE, file) != NULL; number++) {
        ended = sscanf(line, "end %" SCNx64, &wanted) == 1;
        if (ended) break;
        crc = shoal_crc64(crc, shoal_text(line));
        if (number == 0 && strcmp(line, "shoal-backup 1\n") != 0)
            damaged(path, "it is of no version that is known");
        if (number > 0 && !read_line(inventory, line, path)) damaged(path, line);
    }
    fclose(file);
    free(line);
    if (!ended) damaged(path, "its end is missing");
    if (crc != wanted) damaged(path, "the checksum is wrong");
    if (inventory->count == 0) damaged(path, "it names no files");
}
