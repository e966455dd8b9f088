/* SPDX-License-Identifier: MIT
 *
 * Streams of effects: what nodes of one history tell at the same places, and the effects of each
 * node in their order.
 */
#include "sim/ledger.h"

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

void shoal_ledger__make(shoal_world *world)
{
    world->ledgers.of = shoal_sim__allocate(world->node_count * sizeof(*world->ledgers.of));
    world->ledgers.restarts = ends_processes(world->schedule);
    for (uint32_t i = 0; i < world->node_count; i++) world->ledgers.of[i].known = true;
}

void shoal_ledger__free(shoal_world *world)
{
    for (uint32_t i = 0; world->ledgers.of && i < world->node_count; i++) {
        shoal_ledger *ledger = &world->ledgers.of[i];
        shoal_scanner__free(&ledger->scanner);
        for (uint32_t j = 0; j < SHOAL_LEDGER_FILES; j++)
            shoal_scanner__free(&ledger->files[j].scanner);
        shoal_sim__free(ledger->base);
        shoal_sim__free(ledger->effects);
    }
    shoal_sim__free(world->ledgers.of);
    shoal_sim__free(world->ledgers.told);
    world->ledgers = (shoal_ledgers){0};
}

/* ---- blocks ---- */

/* A node has told a whole block of a history: as others have? */
static void judge_block(shoal_world *world, uint32_t node, uint64_t number)
{
    const shoal_ledger *ledger = &world->ledgers.of[node];
    if (world->ledgers.told == NULL)
        world->ledgers.told = shoal_sim__allocate(TOLD_COUNT * sizeof(shoal_told));
    uint64_t name = shoal_hash(shoal_text(ledger->history), number) | 1;
    uint64_t hash = shoal_hash((shoal_slice){ledger->block, SHOAL_LEDGER_BLOCK}, 0);
    shoal_told *told = &world->ledgers.told[(name >> 32) & (TOLD_COUNT - 1)];
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
    shoal_ledger *ledger = &world->ledgers.of[node];
    while (bytes.size > 0) {
        size_t inside = (size_t)(ledger->at % SHOAL_LEDGER_BLOCK);
        size_t size = SHOAL_LEDGER_BLOCK - inside;
        if (size > bytes.size) size = bytes.size;
        if (inside == 0) ledger->block_whole = true;
        memcpy(ledger->block + inside, bytes.data, size);
        ledger->at += size;
        bytes = (shoal_slice){bytes.data + size, bytes.size - size};
        if (ledger->at % SHOAL_LEDGER_BLOCK == 0 && ledger->block_whole)
            judge_block(world, node, ledger->at / SHOAL_LEDGER_BLOCK);
    }
}

/* ---- effects ---- */

static void note_effect(void *context, const shoal_effect *effect)
{
    shoal_ledger *ledger = context;
    if (!ledger->known || ledger->effect_count >= EFFECTS_MAX) {
        ledger->known = false;
        return;
    }
    ledger->effects = shoal_sim__grow(ledger->effects, &ledger->effect_capacity,
                                      ledger->effect_count + 1, sizeof(*ledger->effects));
    ledger->effects[ledger->effect_count++] = *effect;
}

/* Effects matter where a process may come back with them. */
static void note_effects(shoal_world *world, uint32_t node, shoal_slice bytes)
{
    shoal_ledger *ledger = &world->ledgers.of[node];
    bool wanted = world->ledgers.restarts && ledger->known && world->nodes[node].node != NULL &&
                  shoal_judge__rules(world, node)->logs;
    if (!wanted) {
        ledger->known = false;
        return;
    }
    shoal_scanner__take(&ledger->scanner, world, bytes, note_effect, ledger);
    if (ledger->scanner.odd) ledger->known = false;
}

/* ---- the stream ---- */

/* It goes on somewhere else. */
static void begin_at(shoal_world *world, uint32_t node, const char history[41], uint64_t offset)
{
    shoal_ledger *ledger = &world->ledgers.of[node];
    if (ledger->follows) {
        shoal_ledger__forget(world, node);
        ledger->unfiled = true;
    }
    ledger->follows = true;
    ledger->at = offset;
    ledger->block_whole = false;
    memcpy(ledger->history, history, sizeof(ledger->history));
}

void shoal_ledger__bytes(shoal_world *world, uint32_t node, const char history[41], uint64_t offset,
                         shoal_slice bytes)
{
    shoal_ledger *ledger = &world->ledgers.of[node];
    if (!ledger->follows || offset != ledger->at) begin_at(world, node, history, offset);
    memcpy(ledger->history, history, sizeof(ledger->history));
    note_effects(world, node, bytes);
    cut_blocks(world, node, bytes);
}

void shoal_ledger__begin(shoal_world *world, uint32_t node)
{
    shoal_ledger *ledger = &world->ledgers.of[node];
    shoal_node_stream stream;
    shoal_node_copy copy;
    shoal_node_stream_get(world->nodes[node].node, &stream);
    shoal_node_copy_get(world->nodes[node].node, &copy);
    ledger->follows = ledger->unfiled = false;
    begin_at(world, node, copy.history, stream.end);
}

/* The node has begun another history, or another place in it, without a way from where it was. */
static bool has_jumped(const shoal_ledger *ledger, const shoal_node_copy *copy,
                       const shoal_node_stream *stream)
{
    bool same = strcmp(ledger->history, copy->history) == 0 ||
                strcmp(ledger->history, copy->history_before) == 0;
    return !ledger->follows || !same || stream->end < ledger->at || stream->first > ledger->at;
}

void shoal_ledger__follow(shoal_world *world, uint32_t node)
{
    shoal_ledger *ledger = &world->ledgers.of[node];
    const shoal_vnode *vnode = &world->nodes[node];
    shoal_node_stream stream;
    shoal_node_copy copy;
    if (vnode->node == NULL || !vnode->ready) return;
    shoal_node_stream_get(vnode->node, &stream);
    if (ledger->follows && stream.end == ledger->at) return;
    shoal_node_copy_get(vnode->node, &copy);
    if (has_jumped(ledger, &copy, &stream)) {
        bool fell = ledger->follows && strcmp(ledger->history, copy.history) == 0 &&
                    stream.end < ledger->at;
        if (fell) {
            shoal_judge__fault_of(world, SHOAL_CHECK_ONE_STREAM, node,
                                  "has gone back in its own history");
        }
        begin_at(world, node, copy.history, stream.end);
        return;
    }
    while (ledger->at < stream.end) {
        shoal_slice bytes = shoal_node_stream_peek(vnode->node, ledger->at);
        SHOAL_ASSERT(bytes.size > 0);
        shoal_ledger__bytes(world, node, copy.history, ledger->at, bytes);
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

void shoal_ledger__beat(shoal_world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        const shoal_vnode *vnode = &world->nodes[i];
        if (vnode->node == NULL || !vnode->ready) continue;
        judge_ahead(world, i);
        if (!world->ledgers.of[i].known && world->ledgers.restarts && !vnode->paused)
            shoal_ledger__look(world, i);
    }
}
