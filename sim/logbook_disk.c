/* SPDX-License-Identifier: MIT
 *
 * What of a node's effects its disk has, and what a process comes back with.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/text.h"
#include "sim/internal.h"

/* Effects are found in files in the order of the stream; one that is so far ahead is none of it. */
#define AHEAD_MAX 4096u

/* ---- synced files ---- */

static bool ends_with(const char *name, const char *tail)
{
    size_t size = strlen(name), end = strlen(tail);
    return size > end && strcmp(name + size - end, tail) == 0;
}

/* The manifest names it, by the last part of its path. */
static bool is_listed(const shoal_disk *disk, const char *path)
{
    const char *slash = strrchr(path, '/');
    shoal_slice name = shoal_text(slash ? slash + 1 : path);
    for (uint32_t i = 0; i < disk->named_count; i++) {
        const shoal_disk_file *file = &disk->named[i];
        if (file->name == NULL || !file->exists || !ends_with(file->name, ".manifest")) continue;
        return shoal_text_find((shoal_slice){file->data, file->size}, name) != SHOAL_TEXT_NONE;
    }
    return false;
}

/* What is known of a file, which may be a new one. */
static shoal_logbook_file *file_of(shoal_logbook *logbook, const shoal_disk_file *file)
{
    uint64_t name = shoal_hash(shoal_text(file->name), 0) | 1;
    shoal_logbook_file *oldest = &logbook->files[0];
    for (uint32_t i = 0; i < SHOAL_LOGBOOK_FILES; i++) {
        if (logbook->files[i].name == name) return &logbook->files[i];
    }
    shoal_scanner__free(&oldest->scanner);
    memmove(&logbook->files[0], &logbook->files[1], sizeof(logbook->files) - sizeof(*oldest));
    oldest = &logbook->files[SHOAL_LOGBOOK_FILES - 1];
    *oldest = (shoal_logbook_file){.name = name};
    return oldest;
}

/* Who is told of durable effects. */
typedef struct reader {
    shoal_world *world;
    uint32_t node;
} reader;

/* An effect is durable: so is the write of a client that it came from, if this node was asked. */
static void note_durable(void *context, const shoal_effect *effect)
{
    const reader *of = context;
    shoal_history *history = &of->world->history;
    shoal_logbook *logbook = &of->world->logbooks.of[of->node];
    if (effect->serial == 0 || effect->serial > history->write_count) return;
    shoal_write *write = &history->writes[effect->serial - 1];
    if (write->node == of->node && write->synced_us == 0) write->synced_us = of->world->now_us;
    for (uint32_t i = 0; i < AHEAD_MAX && logbook->durable + i < logbook->effect_count; i++) {
        if (logbook->effects[logbook->durable + i].serial != effect->serial) continue;
        logbook->durable += i + 1;
        return;
    }
}

/* A file of effects, listed or not. */
static bool has_effects(const shoal_disk_file *file)
{
    return file->name != NULL && file->exists && ends_with(file->name, ".incr.aof");
}

void shoal_logbook__reopen(shoal_world *world, uint32_t node)
{
    const shoal_disk *disk = &world->nodes[node].disk;
    SHOAL_ASSERT(node < world->node_count);
    for (uint32_t i = 0; i < disk->named_count; i++) {
        if (!has_effects(&disk->named[i])) continue;
        shoal_logbook_file *known = file_of(&world->logbooks.of[node], &disk->named[i]);
        shoal_scanner__free(&known->scanner);
        known->read = known->whole = disk->named[i].size;
        known->whole_durable = 0;
    }
}

/* Has a file more that is durable than was read? An append that failed, on a disk that is full, may
 * leave its beginning; the node cuts that off and tries again: what stood there is not durable. */
static bool follow_length(shoal_logbook *logbook, shoal_logbook_file *known, const shoal_disk *disk,
                          const shoal_disk_file *file)
{
    if (file->synced < known->read) {
        shoal_scanner__free(&known->scanner);
        known->read = known->whole < file->synced ? known->whole : file->synced;
        if (logbook->durable > known->whole_durable) logbook->durable = known->whole_durable;
    } else if (disk->mode == SHOAL_DISK_OK) {
        known->whole = known->read;
        known->whole_durable = logbook->durable;
    }
    return file->synced > known->read;
}

void shoal_logbook__synced(shoal_world *world, uint32_t node)
{
    const shoal_disk *disk = &world->nodes[node].disk;
    shoal_logbook *logbook = &world->logbooks.of[node];
    reader who = {world, node};
    if (world->history.write_count == 0) return;
    for (uint32_t i = 0; i < disk->named_count; i++) {
        const shoal_disk_file *file = &disk->named[i];
        if (!has_effects(file) || !is_listed(disk, file->name)) continue;
        shoal_logbook_file *known = file_of(logbook, file);
        if (!follow_length(logbook, known, disk, file)) continue;
        shoal_slice bytes = {file->data + known->read, file->synced - known->read};
        known->read = file->synced;
        shoal_scanner__take(&known->scanner, world, bytes, note_durable, &who);
    }
}

/* ---- what is there ---- */

/* A node's keys, as clients know them. */
typedef struct inventory {
    const shoal_world *world;
    uint32_t *serials; /* per key */
    bool odd;          /* a value is none that a client wrote */
} inventory;

static void list(void *context, const shoal_node_datum *datum)
{
    inventory *all = context;
    uint32_t key = 0, serial = 0;
    if (datum->db != 0) return;
    if (!shoal_logbook__key(datum->name, all->world->history.key_count, &key)) return;
    if (!datum->string || !shoal_logbook__serial(datum->value, &serial)) {
        all->odd = true;
        return;
    }
    all->serials[key] = serial;
}

static uint32_t *take_inventory(const shoal_world *world, uint32_t node, bool *odd)
{
    inventory all = {.world = world};
    all.serials = shoal_sim__allocate(world->history.key_count * sizeof(*all.serials));
    shoal_node_data_visit(world->nodes[node].node, list, &all);
    *odd = all.odd;
    return all.serials;
}

void shoal_logbook__forget(shoal_world *world, uint32_t node)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    logbook->known = false;
    logbook->effect_count = logbook->durable = 0;
    shoal_scanner__free(&logbook->scanner);
}

/* Makes what a node has now the beginning of what is known. */
static void begin_with(shoal_world *world, uint32_t node, uint32_t *serials)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    shoal_sim__free(logbook->base);
    shoal_logbook__forget(world, node);
    logbook->base = serials;
    logbook->known = true;
}

void shoal_logbook__look(shoal_world *world, uint32_t node)
{
    shoal_node_copy copy;
    bool odd = false;
    if (!shoal_judge__rules(world, node)->logs) return;
    shoal_node_copy_get(world->nodes[node].node, &copy);
    if (copy.replica && !copy.in_step) return;
    uint32_t *serials = take_inventory(world, node, &odd);
    if (odd)
        shoal_sim__free(serials);
    else
        begin_with(world, node, serials);
}

/* ---- what a process comes back with ---- */

uint32_t shoal_logbook__place(const shoal_logbook *logbook, const uint32_t *data, uint32_t keys,
                              const bool *expires)
{
    uint32_t *now = shoal_sim__allocate(keys * sizeof(*now));
    uint32_t wrong = 0, place = UINT32_MAX;
    if (logbook->base) memcpy(now, logbook->base, keys * sizeof(*now));
    for (uint32_t i = 0; i < keys; i++) wrong += !expires[i] && now[i] != data[i];
    if (wrong == 0) place = 0;
    for (uint32_t i = 0; i < logbook->effect_count; i++) {
        const shoal_effect *effect = &logbook->effects[i];
        if (!expires[effect->key]) {
            wrong -= now[effect->key] != data[effect->key];
            wrong += effect->serial != data[effect->key];
        }
        now[effect->key] = effect->serial;
        if (wrong == 0) place = i + 1;
    }
    shoal_sim__free(now);
    return place;
}

/* Keys that ever had a time to live. */
static bool *expiring_keys(const shoal_history *history)
{
    bool *flags = shoal_sim__allocate(history->key_count * sizeof(*flags));
    for (uint32_t i = 0; history->vanishes && i < history->write_count; i++) {
        if (history->writes[i].deadline != 0) flags[history->writes[i].key] = true;
    }
    return flags;
}

static void judge_return(shoal_world *world, uint32_t node, const uint32_t *serials)
{
    const shoal_logbook *logbook = &world->logbooks.of[node];
    const shoal_history *history = &world->history;
    /* Until some effect of what is known is durable, older files may be what counts. */
    if (!logbook->known || logbook->durable == 0) return;
    bool *expires = expiring_keys(history);
    uint32_t place = shoal_logbook__place(logbook, serials, history->key_count, expires);
    shoal_sim__free(expires);
    shoal_judge__made(world, SHOAL_CHECK_PREFIX);
    if (place != UINT32_MAX && place >= logbook->durable) return;
    char words[120];
    if (place == UINT32_MAX)
        snprintf(words, sizeof(words), "comes back with data that it never had");
    else
        snprintf(words, sizeof(words), "comes back with %u effects of %u durable ones", place,
                 logbook->durable);
    shoal_judge__fault_of(world, SHOAL_CHECK_PREFIX, node, words);
}

void shoal_logbook__loaded(shoal_world *world, uint32_t node)
{
    const shoal_vnode *vnode = &world->nodes[node];
    bool odd = false;
    if (vnode->node == NULL) return;
    shoal_logbook__begin(world, node);
    if (!world->logbooks.restarts) return;
    if (!shoal_judge__rules(world, node)->logs) {
        shoal_logbook__forget(world, node);
        return;
    }
    uint32_t *serials = take_inventory(world, node, &odd);
    bool sound = !odd && !vnode->disk.damaged && !world->judge.rules[node].lied;
    if (vnode->starts > 1 && sound) judge_return(world, node, serials);
    if (sound)
        begin_with(world, node, serials);
    else
        shoal_sim__free(serials);
    if (!sound) shoal_logbook__forget(world, node);
}
