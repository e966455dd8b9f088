/* SPDX-License-Identifier: MIT
 *
 * bench/hits/exact.c - the textbook caches of exact.h. Queues are lists through arrays that have a
 * place for every id.
 */
#include "exact.h"

#include <stdbool.h>
#include <stdlib.h>

#define NOBODY UINT32_MAX

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL) abort();
    return memory;
}

/* ---- queues ---- */

/* Ids in order, the newest first. An id is in one queue at a time. */
typedef struct queue {
    uint32_t newest, oldest;
    uint64_t used;
} queue;

/* The links and costs of all ids. */
typedef struct links {
    uint32_t *newer, *older;
    uint64_t *cost;
} links;

static links make_links(uint32_t keys)
{
    return (links){zeroed(keys, sizeof(uint32_t)), zeroed(keys, sizeof(uint32_t)),
                   zeroed(keys, sizeof(uint64_t))};
}

static void free_links(links *all)
{
    free(all->newer);
    free(all->older);
    free(all->cost);
}

static void push(queue *to, links *all, uint32_t id, uint64_t cost)
{
    all->cost[id] = cost;
    all->newer[id] = NOBODY;
    all->older[id] = to->newest;
    if (to->newest != NOBODY) {
        all->newer[to->newest] = id;
    } else {
        to->oldest = id;
    }
    to->newest = id;
    to->used += cost;
}

static void take_out(queue *from, links *all, uint32_t id)
{
    uint32_t newer = all->newer[id];
    uint32_t older = all->older[id];
    if (newer != NOBODY) {
        all->older[newer] = older;
    } else {
        from->newest = older;
    }
    if (older != NOBODY) {
        all->newer[older] = newer;
    } else {
        from->oldest = newer;
    }
    from->used -= all->cost[id];
}

static uint64_t cost_of(const hits_trace *trace, size_t at, hits_capacity capacity)
{
    return capacity.each + capacity.by_size * trace->sizes[at];
}

static const queue empty = {NOBODY, NOBODY, 0};

/* ---- LRU ---- */

uint64_t exact_lru(const hits_trace *trace, hits_capacity capacity)
{
    links all = make_links(trace->keys);
    bool *here = zeroed(trace->keys, sizeof(bool));
    queue cache = empty;
    uint64_t misses = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t id = trace->ids[i];
        uint64_t cost = cost_of(trace, i, capacity);
        if (here[id]) {
            cost = all.cost[id];
            take_out(&cache, &all, id);
        } else {
            misses++;
            if (cost > capacity.total) continue;
            while (cache.used + cost > capacity.total) {
                uint32_t oldest = cache.oldest;
                take_out(&cache, &all, oldest);
                here[oldest] = false;
            }
            here[id] = true;
        }
        push(&cache, &all, id, cost);
    }
    free(here);
    free_links(&all);
    return misses;
}

/* ---- S3-FIFO ---- */

/* Where an id is. */
enum { AWAY, SMALL, MAIN, GHOST };

#define PROMOTED_FROM 2u
#define FREQUENCY_MAX 3u

typedef struct s3 {
    links all;
    queue queues[GHOST + 1];
    uint64_t sizes[GHOST + 1];
    uint8_t *where, *frequency;
} s3;

static void move(s3 *cache, uint32_t id, uint32_t to)
{
    uint32_t from = cache->where[id];
    if (from != AWAY) take_out(&cache->queues[from], &cache->all, id);
    cache->where[id] = (uint8_t)to;
    if (to != AWAY) push(&cache->queues[to], &cache->all, id, cache->all.cost[id]);
}

static void remember(s3 *cache, uint32_t id)
{
    queue *ghosts = &cache->queues[GHOST];
    move(cache, id, AWAY);
    if (cache->all.cost[id] > cache->sizes[GHOST]) return;
    while (ghosts->used + cache->all.cost[id] > cache->sizes[GHOST]) {
        move(cache, ghosts->oldest, AWAY);
    }
    move(cache, id, GHOST);
}

static void evict_small(s3 *cache)
{
    while (cache->queues[SMALL].oldest != NOBODY) {
        uint32_t id = cache->queues[SMALL].oldest;
        if (cache->frequency[id] < PROMOTED_FROM) {
            remember(cache, id);
            return;
        }
        cache->frequency[id] = 0;
        move(cache, id, MAIN);
    }
}

static void evict_main(s3 *cache)
{
    while (cache->queues[MAIN].oldest != NOBODY) {
        uint32_t id = cache->queues[MAIN].oldest;
        if (cache->frequency[id] == 0) {
            move(cache, id, AWAY);
            return;
        }
        cache->frequency[id]--;
        move(cache, id, MAIN);
    }
}

static void s3_insert(s3 *cache, uint32_t id, uint64_t cost, uint64_t total)
{
    bool known = cache->where[id] == GHOST;
    if (known) move(cache, id, AWAY);
    if (cost > total || (!known && cost >= cache->sizes[SMALL])) return;
    while (cache->queues[SMALL].used + cache->queues[MAIN].used + cost > total) {
        bool main_first = cache->queues[MAIN].used > cache->sizes[MAIN];
        if (main_first || cache->queues[SMALL].used == 0) {
            evict_main(cache);
        } else {
            evict_small(cache);
        }
    }
    cache->all.cost[id] = cost;
    cache->frequency[id] = 0;
    move(cache, id, known ? MAIN : SMALL);
}

uint64_t exact_s3fifo(const hits_trace *trace, hits_capacity capacity)
{
    uint64_t small = capacity.total / 10;
    s3 cache = {.all = make_links(trace->keys),
                .queues = {empty, empty, empty, empty},
                .sizes = {0, small, capacity.total - small, capacity.total * 9 / 10},
                .where = zeroed(trace->keys, 1),
                .frequency = zeroed(trace->keys, 1)};
    uint64_t misses = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t id = trace->ids[i];
        if (cache.where[id] == SMALL || cache.where[id] == MAIN) {
            if (cache.frequency[id] < FREQUENCY_MAX) cache.frequency[id]++;
            continue;
        }
        misses++;
        s3_insert(&cache, id, cost_of(trace, i, capacity), capacity.total);
    }
    free(cache.where);
    free(cache.frequency);
    free_links(&cache.all);
    return misses;
}

/* ---- Belady ---- */

/* A request to come; the heap has the furthest on top. */
typedef struct future {
    size_t next;
    uint32_t id;
} future;

typedef struct heap {
    future *items;
    size_t count;
} heap;

static void heap_push(heap *to, future item)
{
    size_t at = to->count++;
    while (at > 0 && to->items[(at - 1) / 2].next < item.next) {
        to->items[at] = to->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    to->items[at] = item;
}

static future heap_pop(heap *from)
{
    future top = from->items[0];
    future last = from->items[--from->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= from->count) break;
        if (child + 1 < from->count && from->items[child + 1].next > from->items[child].next)
            child++;
        if (from->items[child].next <= last.next) break;
        from->items[at] = from->items[child];
        at = child;
    }
    from->items[at] = last;
    return top;
}

/* For each request, that of the same id that comes next; the count where none does. */
static size_t *next_uses(const hits_trace *trace)
{
    size_t *next = zeroed(trace->count, sizeof(size_t));
    size_t *seen = zeroed(trace->keys, sizeof(size_t));
    for (uint32_t i = 0; i < trace->keys; i++) seen[i] = trace->count;
    for (size_t i = trace->count; i-- > 0;) {
        next[i] = seen[trace->ids[i]];
        seen[trace->ids[i]] = i;
    }
    free(seen);
    return next;
}

uint64_t exact_belady(const hits_trace *trace, hits_capacity capacity)
{
    size_t *next = next_uses(trace);
    size_t *due = zeroed(trace->keys, sizeof(size_t)); /* of cached ids; 0: not cached */
    uint64_t *cost = zeroed(trace->keys, sizeof(uint64_t));
    heap futures = {zeroed(trace->count + 1, sizeof(future)), 0};
    uint64_t used = 0;
    uint64_t misses = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t id = trace->ids[i];
        if (due[id] == 0) {
            misses++;
            cost[id] = cost_of(trace, i, capacity);
            if (cost[id] > capacity.total) continue;
            while (used + cost[id] > capacity.total) {
                future top = heap_pop(&futures);
                if (due[top.id] != top.next) continue; /* it has been used since */
                due[top.id] = 0;
                used -= cost[top.id];
            }
            used += cost[id];
        }
        due[id] = next[i];
        heap_push(&futures, (future){next[i], id});
    }
    free(next);
    free(due);
    free(cost);
    free(futures.items);
    return misses;
}
