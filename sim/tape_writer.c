/* SPDX-License-Identifier: MIT
 *
 * Recordings of virtual nodes as files of a folder, one for each life of a node.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "sim/memory.h"
#include "sim/program.h"

struct shoal_tape_writer {
    const char *folder;
    FILE **files; /* by node, of its present life */
    uint32_t *starts;
    uint32_t capacity, starts_capacity;
    bool failed;
};

shoal_tape_writer *shoal_tape_writer__make(const char *folder)
{
    shoal_tape_writer *writer = shoal_sim__allocate(sizeof(*writer));
    writer->folder = folder;
    return writer;
}

/* The file of a node's life, opened when that begins; NULL where it cannot be. */
static FILE *file_of(shoal_tape_writer *writer, uint32_t node, uint32_t start)
{
    char path[4096];
    SHOAL_ASSERT(start > 0);
    writer->files =
        shoal_sim__grow(writer->files, &writer->capacity, node + 1, sizeof(*writer->files));
    writer->starts = shoal_sim__grow(writer->starts, &writer->starts_capacity, node + 1,
                                     sizeof(*writer->starts));
    if (writer->starts[node] == start) return writer->files[node];
    if (writer->files[node] && fclose(writer->files[node]) != 0) writer->failed = true;
    writer->starts[node] = start;
    snprintf(path, sizeof(path), "%s/n%u-%u.rec", writer->folder, node + 1, start);
    writer->files[node] = fopen(path, "wb");
    if (writer->files[node] == NULL) {
        if (!writer->failed) fprintf(stderr, "%s: %s\n", path, strerror(errno));
        writer->failed = true;
    }
    return writer->files[node];
}

void shoal_tape_writer__take(void *context, uint32_t node, uint32_t start, shoal_slice bytes)
{
    shoal_tape_writer *writer = context;
    FILE *file = file_of(writer, node, start);
    if (file == NULL) return;
    if (fwrite(bytes.data, 1, bytes.size, file) != bytes.size) writer->failed = true;
}

bool shoal_tape_writer__close(shoal_tape_writer *writer)
{
    for (uint32_t i = 0; i < writer->capacity; i++) {
        if (writer->files[i] && fclose(writer->files[i]) != 0) writer->failed = true;
    }
    bool good = !writer->failed;
    shoal_sim__free(writer->files);
    shoal_sim__free(writer->starts);
    shoal_sim__free(writer);
    return good;
}
