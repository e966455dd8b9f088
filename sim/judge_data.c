/* SPDX-License-Identifier: MIT
 *
 * The end of a run: what the masters hold is what clients wrote, byte for byte, and nothing is
 * missing that a process which still lives and still has the slot had acknowledged.
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"

/* One master's keys. */
typedef struct survey {
    shoal_world *world;
    uint32_t node;
    bool *seen; /* per key */
} survey;

/* Somebody at a shell changes keys of clients. */
static bool is_meddled_with(const shoal_schedule *schedule)
{
    static const char *const words[] = {"key:", "ctr:", "FLUSH", "SWAPDB", "RESET", "DEBUG"};
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (line->kind != SHOAL_LINE_OPERATE) continue;
        for (size_t j = 0; j < sizeof(words) / sizeof(words[0]); j++) {
            if (strstr(line->text, words[j]) != NULL) return true;
        }
    }
    return false;
}

/* Does the node have the slot, in its own opinion and by the highest epoch? */
static bool has_slot(const shoal_world *world, uint32_t node, uint32_t slot)
{
    return world->copies.slots[slot].owner == node + 1 &&
           shoal_slotmap_has(&world->judge.views[node].own, slot);
}

bool shoal_judge__is_value(const shoal_write *write, uint32_t serial, shoal_slice value)
{
    char digits[24];
    size_t size = shoal_text_from_u64(digits, serial);
    digits[size++] = '.';
    size_t whole = size > write->size ? size : write->size;
    if (value.size != whole || memcmp(value.data, digits, size) != 0) return false;
    for (size_t i = size; i < whole; i++) {
        if (value.data[i] != 'x') return false;
    }
    return true;
}

/* A key must have this, or may be without anything (0), by what its clients were told. */
static void judge_key(shoal_world *world, uint32_t node, uint32_t key, uint32_t serial)
{
    shoal_cause cause = SHOAL_CAUSE_ALIVE;
    shoal_reading reading = {node, key, serial, world->now_us, world->now_us};
    shoal_judge__made(world, SHOAL_CHECK_DATA);
    shoal_read_verdict verdict = shoal_history__read(world, &reading, &cause);
    if (verdict == SHOAL_READ_FRESH) return;
    if (verdict == SHOAL_READ_STALE && cause != SHOAL_CAUSE_ALIVE) return;
    shoal_judge__fault_of(world, SHOAL_CHECK_DATA, node,
                          serial ? "holds a value that is not the last one of its key"
                                 : "lacks a key that it has acknowledged");
}

static void look_at(void *context, const shoal_node_datum *datum)
{
    const survey *of = context;
    const shoal_history *history = &of->world->history;
    uint32_t key = 0, serial = 0;
    if (datum->db != 0 || !has_slot(of->world, of->node, datum->slot)) return;
    if (!shoal_logbook__key(datum->name, history->key_count, &key)) return;
    of->seen[key] = true;
    bool known = datum->string && shoal_logbook__serial(datum->value, &serial) &&
                 serial <= history->write_count;
    if (!known || !shoal_judge__is_value(&history->writes[serial - 1], serial, datum->value)) {
        shoal_judge__fault_of(of->world, SHOAL_CHECK_DATA, of->node,
                              "holds a value that no client has written");
        return;
    }
    judge_key(of->world, of->node, key, serial);
}

/* What is evicted is gone, and nobody promised otherwise. */
static bool may_evict(const shoal_world *world, uint32_t node)
{
    shoal_node_memory memory;
    shoal_node_memory_get(world->nodes[node].node, &memory);
    return memory.limit > 0;
}

static void judge_master(shoal_world *world, uint32_t node)
{
    const shoal_history *history = &world->history;
    survey of = {world, node, shoal_sim__allocate(history->key_count * sizeof(bool))};
    shoal_node_data_visit(world->nodes[node].node, look_at, &of);
    for (uint32_t i = 0; i < history->key_count && !may_evict(world, node); i++) {
        if (of.seen[i] || shoal_history__newest(history, i) == 0) continue;
        if (has_slot(world, node, shoal_operation__slot(i))) judge_key(world, node, i, 0);
    }
    shoal_sim__free(of.seen);
}

void shoal_judge__data(shoal_world *world)
{
    if (world->history.write_count == 0 || is_meddled_with(world->schedule)) return;
    for (uint32_t i = 0; i < world->node_count; i++) {
        const shoal_vnode *vnode = &world->nodes[i];
        if (vnode->node == NULL || !vnode->ready || vnode->paused) continue;
        if (!world->judge.views[i].replica && world->judge.views[i].own_count > 0)
            judge_master(world, i);
    }
}
