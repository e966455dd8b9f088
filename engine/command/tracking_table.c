/* SPDX-License-Identifier: MIT
 *
 * command/tracking_table.c - see tracking_table.h. Linear hashing: of 2^n + k buckets the first k
 * have been divided once more than the others; with each key more than there are buckets, the next
 * one is.
 */
#include "command/tracking_table.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/tracking.h"

static size_t tracked_size(size_t name_size)
{
    SHOAL_DEBUG_ASSERT(name_size <= SHOAL_KEY_SIZE_MAX);
    return sizeof(shoal_tracked) + name_size;
}

static shoal_tracked **bucket_at(const shoal_tracked_table *table, uint64_t index)
{
    SHOAL_ASSERT(index < table->buckets);
    return &table->segments[index / SHOAL_TRACKED_SEGMENT][index % SHOAL_TRACKED_SEGMENT];
}

/* The largest power of two that is not above the number of buckets. */
static uint64_t half_of(const shoal_tracked_table *table)
{
    SHOAL_ASSERT(table->buckets > 0);
    return (uint64_t)1 << (63 - __builtin_clzll(table->buckets));
}

static shoal_tracked **bucket_of(const shoal_tracked_table *table, uint64_t hash)
{
    uint64_t half = half_of(table);
    SHOAL_DEBUG_ASSERT(half <= table->buckets && table->buckets < 2 * half);
    uint64_t index = hash & (2 * half - 1);
    if (index >= table->buckets) index &= half - 1;
    return bucket_at(table, index);
}

static bool begin(shoal_tracked_table *table)
{
    const shoal_allocator *allocator = table->allocator;
    size_t size = SHOAL_TRACKED_SEGMENTS * sizeof(*table->segments);
    SHOAL_ASSERT(table->segments == NULL);
    table->segments = shoal_memory_take_zeroed(allocator, size, SHOAL_ALIGN_PLAIN);
    if (table->segments == NULL) return false;
    table->segments[0] =
        shoal_memory_take_zeroed(allocator, SHOAL_TRACKED_SEGMENT * sizeof(shoal_tracked *),
                                 SHOAL_ALIGN_PLAIN);
    if (table->segments[0] == NULL) {
        shoal_memory_give(allocator, table->segments, size, SHOAL_ALIGN_PLAIN);
        table->segments = NULL;
        return false;
    }
    table->buckets = SHOAL_TRACKED_SEGMENT;
    return true;
}

/* Divides the next bucket. Without memory for that, chains get longer. */
static void grow(shoal_tracked_table *table)
{
    uint64_t made = table->buckets;
    SHOAL_ASSERT(made >= SHOAL_TRACKED_SEGMENT);
    if (made == (uint64_t)SHOAL_TRACKED_SEGMENT * SHOAL_TRACKED_SEGMENTS) return;
    shoal_tracked ***segment = &table->segments[made / SHOAL_TRACKED_SEGMENT];
    if (*segment == NULL)
        *segment = shoal_memory_take_zeroed(table->allocator,
                                            SHOAL_TRACKED_SEGMENT * sizeof(shoal_tracked *),
                                            SHOAL_ALIGN_PLAIN);
    if (*segment == NULL) return;
    shoal_tracked **from = bucket_at(table, made - half_of(table));
    table->buckets++;
    shoal_tracked *each = *from;
    *from = NULL;
    while (each != NULL) {
        shoal_tracked *next = each->next;
        shoal_tracked **to = bucket_of(table, each->hash);
        SHOAL_DEBUG_ASSERT(to == from || to == bucket_at(table, made));
        each->next = *to;
        *to = each;
        each = next;
    }
}

shoal_tracked *shoal_tracked_find(const shoal_tracked_table *table, shoal_slice name, uint64_t hash)
{
    SHOAL_DEBUG_ASSERT(name.data != NULL || name.size == 0);
    if (table->keys == 0) return NULL;
    shoal_tracked *each = *bucket_of(table, hash);
    for (; each != NULL; each = each->next) {
        if (each->hash == hash &&
            shoal_text_equal((shoal_slice){each->name, each->name_size}, name))
            return each;
    }
    return NULL;
}

/* A key without readers. */
static shoal_tracked *make(shoal_tracked_table *table, const shoal_key *key)
{
    SHOAL_ASSERT(table->segments != NULL || table->keys == 0);
    if (table->segments == NULL && !begin(table)) return NULL;
    shoal_tracked *made =
        shoal_memory_take(table->allocator, tracked_size(key->name.size), SHOAL_ALIGN_PLAIN);
    if (made == NULL) return NULL;
    *made = (shoal_tracked){.hash = key->hash, .flush = table->flush, .name_size = key->name.size};
    if (key->name.size > 0) memcpy(made->name, key->name.data, key->name.size);
    if (table->keys >= table->buckets) grow(table);
    shoal_tracked **at = bucket_of(table, key->hash);
    made->next = *at;
    *at = made;
    table->keys++;
    return made;
}

static void drop(shoal_tracked_table *table, shoal_tracked *gone)
{
    shoal_tracked **link = bucket_of(table, gone->hash);
    SHOAL_ASSERT(gone->count == 0 && table->keys > 0);
    while (*link != gone) link = &(*link)->next;
    *link = gone->next;
    table->keys--;
    shoal_memory_give(table->allocator, gone->trackers, gone->capacity * sizeof(*gone->trackers),
                      SHOAL_ALIGN_PLAIN);
    shoal_memory_give(table->allocator, gone, tracked_size(gone->name_size), SHOAL_ALIGN_PLAIN);
}

/* Where a tracker stands, or belongs. */
static uint32_t place_of(const shoal_tracked *tracked, const shoal_tracker *tracker)
{
    uint32_t low = 0, high = tracked->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tracked->trackers[middle]->serial < tracker->serial) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    SHOAL_DEBUG_ASSERT(low <= tracked->count);
    return low;
}

static bool reserve(shoal_tracked_table *table, shoal_tracked *tracked)
{
    SHOAL_ASSERT(tracked->count <= tracked->capacity);
    if (tracked->count < tracked->capacity) return true;
    uint32_t capacity = tracked->capacity == 0 ? 1 : 2 * tracked->capacity;
    shoal_tracker **larger =
        shoal_memory_take(table->allocator, capacity * sizeof(*larger), SHOAL_ALIGN_PLAIN);
    if (larger == NULL) return false;
    if (tracked->count > 0) memcpy(larger, tracked->trackers, tracked->count * sizeof(*larger));
    shoal_memory_give(table->allocator, tracked->trackers, tracked->capacity * sizeof(*larger),
                      SHOAL_ALIGN_PLAIN);
    tracked->trackers = larger;
    tracked->capacity = capacity;
    return true;
}

bool shoal_tracked_add(shoal_tracked_table *table, const shoal_key *key, shoal_tracker *tracker,
                       bool *added)
{
    SHOAL_ASSERT(table->allocator != NULL);
    *added = false;
    shoal_tracked *tracked = shoal_tracked_find(table, key->name, key->hash);
    if (tracked == NULL) tracked = make(table, key);
    if (tracked == NULL) return false;
    SHOAL_ASSERT(!shoal_tracked_is_stale(table, tracked));
    uint32_t at = place_of(tracked, tracker);
    if (at < tracked->count && tracked->trackers[at] == tracker) return true;
    if (!reserve(table, tracked)) {
        if (tracked->count == 0) drop(table, tracked);
        return false;
    }
    memmove(&tracked->trackers[at + 1], &tracked->trackers[at],
            (tracked->count - at) * sizeof(*tracked->trackers));
    tracked->trackers[at] = tracker;
    tracked->count++;
    table->items++;
    *added = true;
    return true;
}

void shoal_tracked_keep(shoal_tracked_table *table, shoal_tracked *tracked, uint32_t count)
{
    SHOAL_ASSERT(count <= tracked->count);
    uint32_t gone = tracked->count - count;
    bool stale = shoal_tracked_is_stale(table, tracked);
    SHOAL_ASSERT(!stale || count == 0);
    table->items -= gone;
    table->stale_items -= stale ? gone : 0;
    table->stale_keys -= stale;
    tracked->count = count;
    if (count == 0) drop(table, tracked);
}

void shoal_tracked_flush(shoal_tracked_table *table)
{
    SHOAL_DEBUG_ASSERT(table->stale_keys <= table->keys);
    table->flush++;
    table->stale_keys = table->keys;
    table->stale_items = table->items;
}

shoal_tracked *shoal_tracked_next_stale(shoal_tracked_table *table, uint32_t *buckets)
{
    SHOAL_DEBUG_ASSERT(table->stale_keys <= table->keys);
    while (table->stale_keys > 0 && *buckets > 0) {
        if (table->hand >= table->buckets) table->hand = 0;
        shoal_tracked *each = *bucket_at(table, table->hand);
        while (each != NULL && !shoal_tracked_is_stale(table, each)) each = each->next;
        if (each != NULL) return each;
        table->hand++;
        --*buckets;
    }
    return NULL;
}

shoal_tracked *shoal_tracked_any(shoal_tracked_table *table)
{
    if (table->keys == 0) return NULL;
    SHOAL_ASSERT(table->buckets > 0);
    for (;;) {
        if (table->hand >= table->buckets) table->hand = 0;
        shoal_tracked *first = *bucket_at(table, table->hand);
        if (first != NULL) return first;
        table->hand++;
    }
}

void shoal_tracked_free(shoal_tracked_table *table)
{
    SHOAL_ASSERT(table->keys == 0 && table->items == 0);
    if (table->segments == NULL) return;
    for (uint32_t i = 0; i < SHOAL_TRACKED_SEGMENTS; i++)
        shoal_memory_give(table->allocator, table->segments[i],
                          SHOAL_TRACKED_SEGMENT * sizeof(shoal_tracked *), SHOAL_ALIGN_PLAIN);
    shoal_memory_give(table->allocator, table->segments,
                      SHOAL_TRACKED_SEGMENTS * sizeof(*table->segments), SHOAL_ALIGN_PLAIN);
    table->segments = NULL;
    table->buckets = 0;
}
