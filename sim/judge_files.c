/* SPDX-License-Identifier: MIT
 *
 * Checks on what stands on disks: that a node file is whole whenever a process comes to read it.
 * The judge reads it itself, by the format that Redis 7.0 has: nothing is asked of the node.
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"

/* The line that begins at `*at`, which moves behind it; false when no newline ends it. */
static bool next_line(shoal_slice text, size_t *at, shoal_slice *line)
{
    const char *start = text.data + *at;
    const char *end = memchr(start, '\n', text.size - *at);
    if (end == NULL) return false;
    *line = (shoal_slice){start, (size_t)(end - start)};
    *at += line->size + 1;
    return true;
}

static bool has(shoal_slice line, const char *words)
{
    return shoal_text_find(line, shoal_text(words)) != SHOAL_TEXT_NONE;
}

bool shoal_judge__node_file_is_whole(shoal_slice text)
{
    size_t at = 0;
    uint32_t myself = 0;
    bool variables = false;
    shoal_slice line;
    while (at < text.size) {
        if (variables || !next_line(text, &at, &line)) return false;
        variables = line.size > 5 && memcmp(line.data, "vars ", 5) == 0;
        if (variables) {
            if (!has(line, "currentEpoch ") || !has(line, " lastVoteEpoch ")) return false;
            continue;
        }
        if (line.size <= SHOAL_NODE_NAME_LEN || line.data[SHOAL_NODE_NAME_LEN] != ' ') return false;
        myself += has(line, "myself");
    }
    return variables && myself == 1;
}

void shoal_judge__starts(shoal_world *world, uint32_t node)
{
    const shoal_vnode *vnode = &world->nodes[node];
    const shoal_disk_file *file = &vnode->disk.files[SHOAL_FILE_NODES];
    if (vnode->starts == 0 || vnode->stepper != NULL || !file->exists) return;
    if (vnode->disk.damaged || world->judge.rules[node].lied) return;
    shoal_judge__made(world, SHOAL_CHECK_NODE_FILE);
    if (shoal_judge__node_file_is_whole((shoal_slice){file->data, file->size})) return;
    shoal_judge__fault_of(world, SHOAL_CHECK_NODE_FILE, node, "finds a torn nodes.conf");
}
