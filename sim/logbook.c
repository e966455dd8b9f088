/* SPDX-License-Identifier: MIT
 *
 * Streams of effects: what nodes of one history tell at the same places, and the effects of each
 * node in their order.
 */
#include "sim/logbook.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/prng.h"
#include "base/text.h"
#include "sim/internal.h"

/* Blocks that are remembered, a power of two; a later one of the same place takes it. Chosen:
 * 16 MiB of streams, in one MiB. */
#define TOLD_COUNT (1u << 16)

/* Effects of a node that are kept: 8 MiB. Beyond, what it comes back with is not judged. */
#define EFFECTS_MAX (1u << 20)

static bool ends_processes(const shoal_schedule *schedule)
{
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (line->kind == SHOAL_LINE_CRASH) return true;
        if (line->kind == SHOAL_LINE_OPERATE && strncmp(line->text, "SHUTDOWN", 8) == 0)
            return true;
    }
    return false;
}

void shoal_logbook__make(shoal_world *world)
{
    world->logbooks.of = shoal_sim__allocate(world->node_count * sizeof(*world->logbooks.of));
    world->logbooks.restarts = ends_processes(world->schedule);
    for (uint32_t i = 0; i < world->node_count; i++) world->logbooks.of[i].known = true;
}

void shoal_logbook__free(shoal_world *world)
{
    for (uint32_t i = 0; world->logbooks.of && i < world->node_count; i++) {
        shoal_logbook *logbook = &world->logbooks.of[i];
        shoal_scanner__free(&logbook->scanner);
        for (uint32_t j = 0; j < SHOAL_LOGBOOK_FILES; j++)
            shoal_scanner__free(&logbook->files[j].scanner);
        shoal_sim__free(logbook->base);
        shoal_sim__free(logbook->effects);
    }
    shoal_sim__free(world->logbooks.of);
    shoal_sim__free(world->logbooks.told);
    world->logbooks = (shoal_logbooks){0};
}

/* ---- blocks ---- */

/* A node has told a whole block of a history: as others have? */
static void judge_block(shoal_world *world, uint32_t node, uint64_t number)
{
    const shoal_logbook *logbook = &world->logbooks.of[node];
    if (world->logbooks.told == NULL)
        world->logbooks.told = shoal_sim__allocate(TOLD_COUNT * sizeof(shoal_told));
    uint64_t name = shoal_hash(shoal_text(logbook->history), number) | 1;
    uint64_t hash = shoal_hash((shoal_slice){logbook->block, SHOAL_LOGBOOK_BLOCK}, 0);
    shoal_told *told = &world->logbooks.told[(name >> 32) & (TOLD_COUNT - 1)];
    if (told->name != name) {
        *told = (shoal_told){name, hash};
        return;
    }
    shoal_judge__made(world, SHOAL_CHECK_ONE_STREAM);
    if (told->hash == hash) return;
    shoal_judge__fault_of(world, SHOAL_CHECK_ONE_STREAM, node,
                          "has other effects than another node at a place of one history");
}

static void cut_blocks(shoal_world *world, uint32_t node, shoal_slice bytes)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    while (bytes.size > 0) {
        size_t inside = (size_t)(logbook->at % SHOAL_LOGBOOK_BLOCK);
        size_t size = SHOAL_LOGBOOK_BLOCK - inside;
        if (size > bytes.size) size = bytes.size;
        if (inside == 0) logbook->block_whole = true;
        memcpy(logbook->block + inside, bytes.data, size);
        logbook->at += size;
        bytes = (shoal_slice){bytes.data + size, bytes.size - size};
        if (logbook->at % SHOAL_LOGBOOK_BLOCK == 0 && logbook->block_whole)
            judge_block(world, node, logbook->at / SHOAL_LOGBOOK_BLOCK);
    }
}

/* ---- effects ---- */

static void note_effect(void *context, const shoal_effect *effect)
{
    shoal_logbook *logbook = context;
    if (!logbook->known || logbook->effect_count >= EFFECTS_MAX) {
        logbook->known = false;
        return;
    }
    logbook->effects = shoal_sim__grow(logbook->effects, &logbook->effect_capacity,
                                       logbook->effect_count + 1, sizeof(*logbook->effects));
    logbook->effects[logbook->effect_count++] = *effect;
}

/* Effects matter where a process may come back with them. */
static void note_effects(shoal_world *world, uint32_t node, shoal_slice bytes)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    bool wanted = world->logbooks.restarts && logbook->known && world->nodes[node].node != NULL &&
                  shoal_judge__rules(world, node)->logs;
    if (!wanted) {
        logbook->known = false;
        return;
    }
    shoal_scanner__take(&logbook->scanner, world, bytes, note_effect, logbook);
    if (logbook->scanner.odd) logbook->known = false;
}

/* ---- the stream ---- */

/* It goes on somewhere else. */
static void begin_at(shoal_world *world, uint32_t node, const char history[41], uint64_t offset)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    if (logbook->follows) {
        shoal_logbook__forget(world, node);
        logbook->bare = true;
    }
    logbook->follows = true;
    logbook->at = offset;
    logbook->block_whole = false;
    memcpy(logbook->history, history, sizeof(logbook->history));
}

void shoal_logbook__bytes(shoal_world *world, uint32_t node, const char history[41],
                          uint64_t offset, shoal_slice bytes)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    if (!logbook->follows || offset != logbook->at) begin_at(world, node, history, offset);
    memcpy(logbook->history, history, sizeof(logbook->history));
    note_effects(world, node, bytes);
    cut_blocks(world, node, bytes);
}

static bool begins_with(shoal_slice words, const char *head)
{
    size_t size = strlen(head);
    return words.size >= size && memcmp(words.data, head, size) == 0;
}

void shoal_logbook__says(shoal_world *world, uint32_t node, shoal_slice words)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    SHOAL_ASSERT(node < world->node_count);
    if (begins_with(words, "Background append only file rewriting started")) {
        logbook->rewrites = true;
        if (logbook->bare) {
            logbook->based_us = world->now_us;
            logbook->filed_us = 0;
        }
    }
    if (!begins_with(words, "Background AOF rewrite terminated")) return;
    logbook->rewrites = false;
    logbook->rewrote_us = world->now_us;
    if (!logbook->bare || !begins_with(words, "Background AOF rewrite terminated with success"))
        return;
    logbook->bare = false;
    logbook->filed_us = world->now_us;
}

void shoal_logbook__begin(shoal_world *world, uint32_t node)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    shoal_node_stream stream;
    shoal_node_copy copy;
    shoal_node_stream_get(world->nodes[node].node, &stream);
    shoal_node_copy_get(world->nodes[node].node, &copy);
    logbook->follows = logbook->rewrites = logbook->bare = false;
    logbook->filed_us = 0;
    shoal_logbook__reopen(world, node);
    begin_at(world, node, copy.history, stream.end);
}

/* The node has begun another history, or another place in it, without a way from where it was. Both
 * histories may happen to be as long. */
static bool has_jumped(const shoal_logbook *logbook, const shoal_node_copy *copy,
                       const shoal_node_stream *stream)
{
    bool same = strcmp(logbook->history, copy->history) == 0 ||
                strcmp(logbook->history, copy->history_before) == 0;
    return !logbook->follows || !same || stream->end < logbook->at || stream->first > logbook->at;
}

void shoal_logbook__follow(shoal_world *world, uint32_t node)
{
    shoal_logbook *logbook = &world->logbooks.of[node];
    const shoal_vnode *vnode = &world->nodes[node];
    shoal_node_stream stream;
    shoal_node_copy copy;
    if (vnode->node == NULL || !vnode->ready) return;
    shoal_node_stream_get(vnode->node, &stream);
    shoal_node_copy_get(vnode->node, &copy);
    if (has_jumped(logbook, &copy, &stream)) {
        bool fell = logbook->follows && strcmp(logbook->history, copy.history) == 0 &&
                    stream.end < logbook->at;
        if (fell) {
            shoal_judge__fault_of(world, SHOAL_CHECK_ONE_STREAM, node,
                                  "has gone back in its own history");
        }
        begin_at(world, node, copy.history, stream.end);
        return;
    }
    while (logbook->at < stream.end) {
        shoal_slice bytes = shoal_node_stream_peek(vnode->node, logbook->at);
        SHOAL_ASSERT(bytes.size > 0);
        shoal_logbook__bytes(world, node, copy.history, logbook->at, bytes);
    }
}

/* ---- replicas and masters ---- */

/* A replica of a history has no more of it than who leads it. */
static void judge_ahead(shoal_world *world, uint32_t node)
{
    const shoal_judge *judge = &world->judge;
    const shoal_view *view = &judge->views[node];
    shoal_node_copy copy, origin;
    if (!view->replica || view->master == UINT32_MAX) return;
    uint32_t master = judge->subjects[view->master].node;
    const shoal_vnode *of = &world->nodes[master];
    if (of->node == NULL || !of->ready || judge->views[master].replica) return;
    shoal_node_copy_get(world->nodes[node].node, &copy);
    shoal_node_copy_get(of->node, &origin);
    if (!copy.in_step || strcmp(copy.history, origin.history) != 0) return;
    shoal_judge__made(world, SHOAL_CHECK_ONE_STREAM);
    if (copy.offset <= origin.offset) return;
    shoal_judge__fault_of(world, SHOAL_CHECK_ONE_STREAM, node, "is ahead of its master");
}

void shoal_logbook__beat(shoal_world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        const shoal_vnode *vnode = &world->nodes[i];
        if (vnode->node == NULL || !vnode->ready) continue;
        judge_ahead(world, i);
        if (!world->logbooks.of[i].known && world->logbooks.restarts && !vnode->paused)
            shoal_logbook__look(world, i);
    }
}
