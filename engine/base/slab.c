/* SPDX-License-Identifier: MIT
 *
 * base/slab.c - taking and giving through the bins, and what goes back from them: own places to
 * their runs, others' to their owners. The claims are in slab.h.
 */
#include "base/slab.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/poison.h"
#include "base/slab_run.h"

/* A bin holds at most so many bytes, and at least and at most so many places. */
#define BIN_BYTES 16384u
#define BIN_PLACES_MIN 4u
#define BIN_PLACES_MAX 128u
/* Owners for whom chains are collected before the first is sent. */
#define CHAINS 4u
/* A run that is fuller than this many eighths is never sparse. */
#define DENSE_EIGHTHS 7u
/* A run is sparse when it is no fuller than this many eighths of the average: a bit more than all,
 * so that of runs that are all alike not half are left. */
#define AVERAGE_EIGHTHS 9u

/* ---- links ---- */

/* The link of a free place, whose alignment is 4. */
typedef struct __attribute__((packed, aligned(4), may_alias)) place_link {
    void *next;
} place_link;

SHOAL_KNOWS_POISON void *shoal_place__next(const void *place)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)place % SHOAL_SLAB_ALIGNMENT_MIN == 0);
    return ((const place_link *)place)->next;
}

SHOAL_KNOWS_POISON void shoal_place__link(void *place, void *next)
{
    SHOAL_DEBUG_ASSERT((uintptr_t)place % SHOAL_SLAB_ALIGNMENT_MIN == 0);
    ((place_link *)place)->next = next;
}

/* ---- places of others ---- */

/* Places on their way to the thread whose they are. */
typedef struct chain {
    shoal_slab *owner; /* NULL: unused */
    void *first, *last;
} chain;

/* Claim S2. */
static void send(const chain *what)
{
    SHOAL_ASSERT(what->owner != NULL);
    SHOAL_ASSERT(what->first != NULL && what->last != NULL);
    void *head = shoal_load_relaxed(&what->owner->inbox);
    do {
        shoal_place__link(what->last, head);
        /* pair: slab.inbox */
    } while (!shoal_cas_release(&what->owner->inbox, &head, what->first));
}

/* Adds a place to the chain of its owner; the oldest chain goes when there are too many. */
static void collect(chain chains[CHAINS], shoal_slab *owner, void *place)
{
    SHOAL_ASSERT(owner != NULL);
    uint32_t at = 0;
    while (at < CHAINS && chains[at].owner != owner && chains[at].owner != NULL) at++;
    if (at == CHAINS) {
        send(&chains[0]);
        memmove(&chains[0], &chains[1], sizeof(chain) * (CHAINS - 1));
        at = CHAINS - 1;
        chains[at] = (chain){0};
    }
    if (chains[at].owner == NULL) chains[at] = (chain){.owner = owner, .last = place};
    shoal_place__link(place, chains[at].first);
    chains[at].first = place;
}

static void send_all(const chain chains[CHAINS])
{
    for (uint32_t i = 0; i < CHAINS && chains[i].owner != NULL; i++) send(&chains[i]);
}

bool shoal_slab_is_given(const shoal_slab *slab)
{
    SHOAL_DEBUG_ASSERT(slab->below != NULL);
    return shoal_load_relaxed(&slab->inbox) != NULL;
}

/* Takes in what others have given. */
static void empty_inbox(shoal_slab *slab)
{
    if (!shoal_slab_is_given(slab)) return;
    /* pair: slab.inbox */
    void *place = shoal_exchange_acquire(&slab->inbox, (void *)NULL);
    while (place != NULL) {
        void *next = shoal_place__next(place);
        SHOAL_DEBUG_ASSERT(shoal_block__of(place)->owner == slab);
        shoal_run__give(slab, shoal_run__of(place), place);
        place = next;
    }
}

/* ---- bins ---- */

/* Gives the `count` places from `place` on back to their runs. The heads of the runs are cold, and
 * the same lines of the cache compete for all of them, so they are asked for first. */
static void give_back(shoal_slab *slab, void *place, uint32_t count)
{
    void *places[BIN_PLACES_MAX];
    chain chains[CHAINS] = {0};
    SHOAL_ASSERT(count <= BIN_PLACES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const char *block = (const char *)shoal_block__of(place);
        __builtin_prefetch(block);
        __builtin_prefetch(block + sizeof(shoal_block) / 2);
        __builtin_prefetch(block + sizeof(shoal_block));
        places[i] = place;
        place = shoal_place__next(place);
    }
    for (uint32_t i = 0; i < count; i++) {
        shoal_slab *owner = shoal_block__of(places[i])->owner;
        if (owner == slab) {
            shoal_run__give(slab, shoal_run__of(places[i]), places[i]);
        } else {
            collect(chains, owner, places[i]);
        }
    }
    send_all(chains);
}

/* Leaves the `keep` places in a bin that were given last. */
static void thin(shoal_slab *slab, shoal_slab_bin *bin, uint32_t keep)
{
    SHOAL_DEBUG_ASSERT(keep < bin->count);
    SHOAL_DEBUG_ASSERT(bin->limit <= BIN_PLACES_MAX);
    void *last = NULL;
    void *place = bin->first;
    for (uint32_t i = 0; i < keep; i++) {
        last = place;
        place = shoal_place__next(place);
    }
    uint32_t count = bin->count - keep;
    bin->count = keep;
    if (last == NULL) {
        bin->first = NULL;
    } else {
        shoal_place__link(last, NULL);
    }
    give_back(slab, place, count);
}

void shoal_slab_tidy(shoal_slab *slab)
{
    SHOAL_ASSERT(slab->below != NULL);
    for (uint32_t class = 0; class < SHOAL_SLAB_CLASSES; class ++) {
        if (slab->bins[class].count > 0) thin(slab, &slab->bins[class], 0);
    }
    empty_inbox(slab);
}

/* Fills an empty bin by half from the class's runs, and takes one more. NULL without memory. */
static __attribute__((noinline)) void *refill(shoal_slab *slab, uint32_t class)
{
    shoal_slab_bin *bin = &slab->bins[class];
    SHOAL_ASSERT(bin->first == NULL && bin->count == 0);
    empty_inbox(slab);
    shoal_run *run = shoal_run__current(slab, class);
    if (run == NULL) {
        /* What the other bins hold may make up a whole run. */
        shoal_slab_tidy(slab);
        run = shoal_run__current(slab, class);
        if (run == NULL) return NULL;
    }
    void *taken = shoal_run__take(slab, run);
    void *last = NULL;
    while (bin->count < bin->limit / 2 && (run->free != 0 || run->fresh < run->end)) {
        void *place = shoal_run__take(slab, run);
        if (last == NULL) {
            bin->first = place;
        } else {
            shoal_place__link(last, place);
        }
        last = place;
        bin->count++;
    }
    if (last != NULL) shoal_place__link(last, NULL);
    return taken;
}

/* ---- pieces that pass through ---- */

static void *take_large(shoal_slab *slab, size_t size, size_t alignment)
{
    SHOAL_ASSERT(size > 0);
    void *memory = shoal_memory_take(slab->below, size, alignment < 8 ? 8 : alignment);
    if (memory == NULL) return NULL;
    int64_t bytes = (int64_t)shoal_slab_usable(slab->below, size, alignment);
    shoal_bump_relaxed(&slab->bytes_large, bytes);
    return memory;
}

static void give_large(shoal_slab *slab, void *memory, size_t size, size_t alignment)
{
    SHOAL_ASSERT(memory != NULL);
    int64_t bytes = (int64_t)shoal_slab_usable(slab->below, size, alignment);
    shoal_bump_relaxed(&slab->bytes_large, -bytes);
    shoal_memory_give(slab->below, memory, size, alignment < 8 ? 8 : alignment);
}

/* ---- taking and giving ---- */

void *shoal_slab_take(shoal_slab *slab, size_t size, size_t alignment)
{
    SHOAL_DEBUG_ASSERT(size > 0);
    uint32_t class = shoal_class__of(size, alignment);
    if (__builtin_expect(class == CLASS_LARGE, 0)) return take_large(slab, size, alignment);
    shoal_slab_bin *bin = &slab->bins[class];
    void *place = bin->first;
    if (__builtin_expect(place != NULL, 1)) {
        void *next = shoal_place__next(place);
        bin->first = next;
        bin->count--;
        /* What is taken next is written by and by: a store that misses holds up those behind. */
        __builtin_prefetch(next, 1);
        __builtin_prefetch((const void *)((uintptr_t)next + SHOAL_ALIGN_LINE), 1);
    } else {
        place = refill(slab, class);
        if (place == NULL) return NULL;
    }
    SHOAL_UNPOISON(place, size);
    return place;
}

/* While the slab is drained: gives a place of a sparse run back to it at once. */
static bool give_sparse(shoal_slab *slab, void *place, uint32_t class)
{
    SHOAL_DEBUG_ASSERT(slab->draining);
    uint32_t size = shoal_slab_class_size(class);
    if (!shoal_slab_is_sparse(slab->below, place, size, SHOAL_SLAB_ALIGNMENT_MIN)) return false;
    shoal_place__link(place, NULL);
    give_back(slab, place, 1);
    return true;
}

void shoal_slab_give(shoal_slab *slab, void *memory, size_t size, size_t alignment)
{
    SHOAL_DEBUG_ASSERT(memory != NULL);
    uint32_t class = shoal_class__of(size, alignment);
    if (__builtin_expect(class == CLASS_LARGE, 0)) {
        give_large(slab, memory, size, alignment);
        return;
    }
    SHOAL_ASSERT(!SHOAL_IS_POISONED(memory));
    SHOAL_DEBUG_ASSERT(shoal_run__of(memory)->class == class);
    if (SHOAL_POISONS) SHOAL_POISON(memory, shoal_slab_class_size(class));
    if (__builtin_expect(slab->draining, 0) && give_sparse(slab, memory, class)) return;
    shoal_slab_bin *bin = &slab->bins[class];
    shoal_place__link(memory, bin->first);
    bin->first = memory;
    bin->count++;
    if (__builtin_expect(bin->count > bin->limit, 0)) thin(slab, bin, bin->limit / 2);
}

/* ---- sparse runs ---- */

bool shoal_slab_is_sparse(const shoal_allocator *below, const void *memory, size_t size,
                          size_t alignment)
{
    SHOAL_ASSERT(memory != NULL);
    if (shoal_class__of(size, alignment) == CLASS_LARGE)
        return below->is_sparse != NULL && below->is_sparse(below->context, memory, size);
    const shoal_run *run = shoal_run__of(memory);
    if (shoal_load_relaxed(&run->fill) >= SHOAL_SLAB_FILLS) return false;
    const shoal_slab_shelf *shelf = &shoal_block__of(memory)->owner->shelves[run->class];
    uint64_t taken = shoal_load_relaxed(&run->taken);
    uint64_t capacity = run->capacity;
    if (taken * 8 > capacity * DENSE_EIGHTHS) return false;
    uint64_t taken_all = shoal_load_relaxed(&shelf->other_taken);
    uint64_t capacity_all = shoal_load_relaxed(&shelf->other_room);
    return taken * capacity_all * 8 <= taken_all * capacity * AVERAGE_EIGHTHS;
}

void shoal_slab_drain(shoal_slab *slab, bool on)
{
    SHOAL_DEBUG_ASSERT(slab->below != NULL);
    if (on) shoal_slab_tidy(slab);
    slab->draining = on;
}

/* ---- the slab ---- */

void shoal_slab_make(shoal_slab *slab, const shoal_allocator *below)
{
    SHOAL_ASSERT(below->allocate != NULL && below->release != NULL);
    SHOAL_ASSERT(slab->pages == 0);
    slab->below = below;
    for (uint32_t class = 0; class < SHOAL_SLAB_CLASSES; class ++) {
        uint32_t limit = BIN_BYTES / shoal_slab_class_size(class);
        if (limit < BIN_PLACES_MIN) limit = BIN_PLACES_MIN;
        slab->bins[class].limit = limit < BIN_PLACES_MAX ? limit : BIN_PLACES_MAX;
    }
}

static void *view_take(void *context, size_t size, size_t alignment)
{
    SHOAL_DEBUG_ASSERT(context != NULL);
    return shoal_slab_take(context, size, alignment);
}

static void *view_take_zeroed(void *context, size_t size, size_t alignment)
{
    SHOAL_DEBUG_ASSERT(context != NULL);
    void *memory = shoal_slab_take(context, size, alignment);
    if (memory != NULL) memset(memory, 0, size);
    return memory;
}

static void view_give(void *context, void *memory, size_t size, size_t alignment)
{
    SHOAL_DEBUG_ASSERT(context != NULL);
    shoal_slab_give(context, memory, size, alignment);
}

static size_t view_usable(void *context, size_t size, size_t alignment)
{
    SHOAL_DEBUG_ASSERT(context != NULL);
    return shoal_slab_usable(((const shoal_slab *)context)->below, size, alignment);
}

static void *view_resize(void *context, void *memory, size_t size, size_t size_new)
{
    shoal_slab *slab = context;
    SHOAL_DEBUG_ASSERT(size >= SHOAL_RESIZABLE_MIN && size_new >= SHOAL_RESIZABLE_MIN);
    void *moved = shoal_memory_resize(slab->below, memory, size, size_new);
    if (moved == NULL) return NULL;
    size_t before = shoal_memory_usable(slab->below, size, SHOAL_ALIGN_PAGE);
    size_t after = shoal_memory_usable(slab->below, size_new, SHOAL_ALIGN_PAGE);
    shoal_bump_relaxed(&slab->bytes_large, (int64_t)after - (int64_t)before);
    return moved;
}

shoal_allocator shoal_slab_allocator(shoal_slab *slab)
{
    SHOAL_DEBUG_ASSERT(slab->below != NULL);
    return (shoal_allocator){.context = slab,
                             .allocate = view_take,
                             .allocate_zeroed = view_take_zeroed,
                             .release = view_give,
                             .usable_size = view_usable,
                             .resize = slab->below->resize != NULL ? view_resize : NULL};
}
