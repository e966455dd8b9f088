/* SPDX-License-Identifier: MIT
 *
 * A hash index from 64-bit hashes to pointers: open addressing with linear probing, at most half
 * full, removal by shifting back, so that there are no tombstones and the order of removals and
 * additions leaves no trace. Knows nothing of what it points to.
 */
#include "cluster/internal.h"

#include "base/assert.h"

#define CELLS_MIN 16u

void *shoal_bus__index_find(const bus_index *index, uint64_t hash, bus_index_match match,
                            const void *key)
{
    SHOAL_ASSERT(match);
    SHOAL_ASSERT(index->count * 2 <= index->capacity);
    if (index->count == 0) return NULL;
    uint32_t mask = index->capacity - 1;
    for (uint32_t at = (uint32_t)hash & mask;; at = (at + 1) & mask) {
        const bus_index_cell *cell = &index->cells[at];
        if (!cell->value) return NULL;
        if (cell->hash == hash && match(cell->value, key)) return cell->value;
    }
}

/* Puts a value into the first free cell from its place on. */
static void place(bus_index_cell *cells, uint32_t capacity, uint64_t hash, void *value)
{
    SHOAL_ASSERT(value);
    SHOAL_ASSERT((capacity & (capacity - 1)) == 0);
    uint32_t mask = capacity - 1;
    uint32_t at = (uint32_t)hash & mask;
    while (cells[at].value) at = (at + 1) & mask;
    cells[at] = (bus_index_cell){hash, value};
}

static bool grow(bus_index *index, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(index->count <= index->capacity);
    SHOAL_ASSERT((index->capacity == 0) == (index->cells == NULL));
    uint32_t capacity = index->capacity ? index->capacity * 2 : CELLS_MIN;
    size_t size = capacity * sizeof(bus_index_cell);
    bus_index_cell *cells = allocator->allocate_zeroed(allocator->context, size, 8);
    if (!cells) return false;
    for (uint32_t i = 0; i < index->capacity; i++) {
        bus_index_cell *cell = &index->cells[i];
        if (cell->value) place(cells, capacity, cell->hash, cell->value);
    }
    uint32_t count = index->count;
    shoal_bus__index_free(index, allocator);
    *index = (bus_index){cells, capacity, count};
    return true;
}

bool shoal_bus__index_add(bus_index *index, const shoal_allocator *allocator, uint64_t hash,
                          void *value)
{
    SHOAL_ASSERT(index->count * 2 <= index->capacity);
    SHOAL_ASSERT(value);
    if (index->count * 2 >= index->capacity && !grow(index, allocator)) return false;
    place(index->cells, index->capacity, hash, value);
    index->count++;
    return true;
}

void shoal_bus__index_remove(bus_index *index, uint64_t hash, const void *value)
{
    SHOAL_ASSERT(value);
    SHOAL_ASSERT(index->cells);
    SHOAL_ASSERT(index->count > 0);
    uint32_t mask = index->capacity - 1;
    uint32_t hole = (uint32_t)hash & mask;
    while (index->cells[hole].value != value) {
        SHOAL_ASSERT(index->cells[hole].value);
        hole = (hole + 1) & mask;
    }
    /* Whoever would be found sooner in the hole than where it is moves there. */
    for (uint32_t at = (hole + 1) & mask; index->cells[at].value; at = (at + 1) & mask) {
        uint32_t home = (uint32_t)index->cells[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        index->cells[hole] = index->cells[at];
        hole = at;
    }
    index->cells[hole] = (bus_index_cell){0};
    index->count--;
}

void shoal_bus__index_free(bus_index *index, const shoal_allocator *allocator)
{
    SHOAL_ASSERT((index->capacity == 0) == (index->cells == NULL));
    if (index->cells) {
        allocator->release(allocator->context, index->cells,
                           index->capacity * sizeof(bus_index_cell), 8);
    }
    *index = (bus_index){0};
}
