/* SPDX-License-Identifier: MIT
 *
 * store/limbo.c - retired memory: unlinked, but perhaps still read by someone. Each thread keeps
 * its own queue, oldest first, and frees from it what base/epoch.h says is out of reach. A store
 * with one thread needs no epochs: its own leave is enough.
 *
 * A cleared slot is one piece however large it was. It is taken apart in steps, leaf by leaf, so
 * that FLUSHALL of a million keys stops nobody. An object is one piece as well, which its type
 * frees by and by.
 *
 * The queue cannot fail: whoever is about to retire something asks shoal_limbo__reserve first, and
 * leaves the key as it is when that says no. A block for a hundred pieces is part of the thread,
 * and every leave makes it free again, so that even where the allocator refuses everything keys can
 * be removed, some at a time, and what they held comes back.
 */
#include "base/slab_quick.h"
#include "store/internal.h"

/* Buckets taken apart for one piece of budget: their items cost about as much. */
#define DISSOLVE_COST 8u
/* What one piece of a large object costs in pieces of budget: they lie cold, each in lines of its
 * own, where retired items were used a moment ago. Measured: 0.4 us a page of a hash. */
#define CRUMBLE_COST 4u

/* Fewer than this are left for later where freeing takes other threads' lines away from them. */
#define LONG_PIECES 64u

_Static_assert(CORPSE_MASK >> CORPSE_ITEM_SHIFT < ITEM_ALIGNMENT, "an item's address is clear");

/* Objects are aligned to 8, so their addresses stand above the kind, with room for a flag. */
#define CORPSE_OBJECT_SHIFT 4
#define CORPSE_OBJECT_LARGE ((uint64_t)1 << CORPSE_OBJECT_SHIFT)
#define CORPSE_OBJECT_MASK (~(uint64_t)7)

/* Pieces of an object that a tree's dissolution frees on its way. */
#define SMALL_OBJECT_PIECES 16u

/* Stamps of pieces that nobody reads any more, with epochs and for a single thread. */
#define STAMP_PASSED ((uint64_t)0)
#define STAMP_PASSED_ALONE UINT64_MAX

/* Pieces that fit into the queue before it needs memory. */
static uint64_t room(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT((thread->limbo_first == NULL) == (thread->limbo_last == NULL));
    SHOAL_DEBUG_ASSERT((thread->limbo_spare == NULL) == (thread->limbo_spares == 0));
    const shoal_limbo_block *last = thread->limbo_last;
    uint64_t entries = (uint64_t)thread->limbo_spares * LIMBO_BLOCK_ENTRIES;
    return last == NULL ? entries : entries + LIMBO_BLOCK_ENTRIES - last->end;
}

/* Keeps a block for later. */
static void spare(shoal_thread *thread, shoal_limbo_block *block)
{
    SHOAL_DEBUG_ASSERT(block != NULL && block != thread->limbo_spare);
    SHOAL_DEBUG_ASSERT(block != thread->limbo_last);
    block->next = thread->limbo_spare;
    thread->limbo_spare = block;
    thread->limbo_spares++;
}

void shoal_limbo__init(shoal_thread *thread)
{
    SHOAL_ASSERT(thread->limbo_first == NULL);
    SHOAL_ASSERT(thread->limbo_spares == 0);
    spare(thread, &thread->limbo_own);
}

bool shoal_limbo__reserve(shoal_thread *thread, uint32_t changes)
{
    SHOAL_DEBUG_ASSERT(changes > 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    uint64_t pieces = (uint64_t)changes * RETIRE_MAX;
    while (UNLIKELY(room(thread) < pieces)) {
        size_t size = sizeof(shoal_limbo_block);
        shoal_limbo_block *block = shoal_slab_take(&thread->slab, size, SHOAL_ALIGN_PLAIN);
        if (block == NULL) return false;
        int64_t bytes = (int64_t)shoal_store__usable(thread->store, size, SHOAL_ALIGN_PLAIN);
        shoal_bump_relaxed(&thread->counters.bytes_queues, bytes);
        spare(thread, block);
    }
    return true;
}

/* Gives the memory of a block back. */
static void give_block(shoal_thread *thread, shoal_limbo_block *block)
{
    SHOAL_DEBUG_ASSERT(block->first == block->end);
    SHOAL_ASSERT(block != &thread->limbo_own);
    size_t size = sizeof *block;
    int64_t bytes = (int64_t)shoal_store__usable(thread->store, size, SHOAL_ALIGN_PLAIN);
    shoal_bump_relaxed(&thread->counters.bytes_queues, -bytes);
    shoal_slab_give(&thread->slab, block, size, SHOAL_ALIGN_PLAIN);
}

/* Does with a block that the queue no longer needs what is best. */
static void drop_block(shoal_thread *thread, shoal_limbo_block *block)
{
    SHOAL_DEBUG_ASSERT(block->first == block->end);
    SHOAL_DEBUG_ASSERT(block != thread->limbo_last);
    if (block == &thread->limbo_own || thread->limbo_spares == 0) {
        spare(thread, block);
    } else {
        give_block(thread, block);
    }
}

/* Puts a spare block at the end of the queue. */
static void append_block(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT((thread->limbo_first == NULL) == (thread->limbo_last == NULL));
    SHOAL_DEBUG_ASSERT(thread->limbo_last == NULL ||
                       thread->limbo_last->end == LIMBO_BLOCK_ENTRIES);
    shoal_limbo_block *block = thread->limbo_spare;
    SHOAL_ASSERT(block != NULL);
    thread->limbo_spare = block->next;
    thread->limbo_spares--;
    block->next = NULL;
    block->first = block->end = 0;
    if (thread->limbo_last != NULL) thread->limbo_last->next = block;
    if (thread->limbo_first == NULL) thread->limbo_first = block;
    thread->limbo_last = block;
}

/* Puts a piece, with its kind, at the end of the queue. */
static inline void queue(shoal_thread *thread, uint64_t what, uint64_t bytes)
{
    SHOAL_DEBUG_ASSERT((what & CORPSE_MASK) != 0);
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_bump_relaxed(&thread->counters.bytes_limbo, (int64_t)bytes);
    thread->retired++;
    shoal_limbo_block *last = thread->limbo_last;
    if (UNLIKELY(last == NULL || last->end == LIMBO_BLOCK_ENTRIES)) {
        append_block(thread);
        last = thread->limbo_last;
    }
    last->entries[last->end++] = (shoal_limbo_entry){what, thread->stamp};
    shoal_bump_relaxed(&thread->counters.limbo_queued, 1);
}

/* What freeing a piece takes of a budget at once, beside one: the word as it is queued. A bucket of
 * a leaf costs as much as a piece, with what is chained to it, and gone cold: if a leaf were one
 * piece, a leave that took many of them would be far longer than its budget says. A branch that was
 * merged counts as a large leaf. */
static inline uint32_t cost_beside(uint64_t what)
{
    SHOAL_DEBUG_ASSERT((what & CORPSE_MASK) >= CORPSE_ITEM);
    SHOAL_DEBUG_ASSERT((what & CORPSE_MASK) <= CORPSE_GHOST);
    shoal_corpse kind = (shoal_corpse)(what & CORPSE_MASK);
    if (kind == CORPSE_LEAF) return shoal_word__buckets(what);
    return kind == CORPSE_BRANCH ? LEAF_BUCKETS_MAX : 0;
}

void shoal_limbo__retire(shoal_thread *thread, shoal_corpse kind, uint64_t what, uint64_t bytes)
{
    SHOAL_ASSERT((what & CORPSE_MASK) == 0 && what != 0);
    SHOAL_DEBUG_ASSERT(kind >= CORPSE_ITEM && kind <= CORPSE_GHOST);
    queue(thread, what | (uint64_t)kind, bytes);
    thread->retired += cost_beside(what | (uint64_t)kind);
}

void shoal_limbo__retire_item(shoal_thread *thread, const shoal_item *item, size_t size,
                              uint64_t bytes)
{
    uint64_t what = (uint64_t)(uintptr_t)item << CORPSE_ITEM_SHIFT;
    SHOAL_ASSERT(what >> CORPSE_SIZE_SHIFT == 0);
    SHOAL_DEBUG_ASSERT(size > 0);
    if (LIKELY(size < CORPSE_SIZE_END)) what |= (uint64_t)size << CORPSE_SIZE_SHIFT;
    queue(thread, what | CORPSE_ITEM, bytes);
}

bool shoal_limbo__waits(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT((thread->limbo_first == NULL) == (thread->limbo_last == NULL));
    SHOAL_DEBUG_ASSERT(thread->dissolving == 0 || thread->dissolved <= POSITION_END);
    const shoal_limbo_block *first = thread->limbo_first;
    return thread->dissolving != 0 || thread->crumbling != NULL ||
           (first != NULL && first->first != first->end);
}

bool shoal_limbo__is_long(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT((thread->limbo_first == NULL) == (thread->limbo_last == NULL));
    SHOAL_DEBUG_ASSERT(thread->limbo_first == NULL ||
                       thread->limbo_first->first <= thread->limbo_first->end);
    const shoal_limbo_block *first = thread->limbo_first;
    if (first == NULL) return false;
    return first->next != NULL || first->end - first->first >= LONG_PIECES;
}

/* ---- for memory of others ---- */

uint64_t shoal_thread_stamp(const shoal_thread *thread)
{
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    return thread->stamp;
}

bool shoal_thread_passed(shoal_thread *thread, uint64_t stamp)
{
    SHOAL_ASSERT(stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    /* A thread that is alone stands in no epoch: its batches are its stamps. */
    if (thread->alone) return thread->batches > stamp;
    shoal_epoch_advance(&thread->store->epoch);
    return shoal_epoch_passed(&thread->store->epoch, stamp);
}

/* ---- freeing ---- */

uint64_t shoal_limbo__object(const shoal_object *object, bool large)
{
    SHOAL_ASSERT((uint64_t)(uintptr_t)object >> 48 == 0);
    SHOAL_ASSERT(object != NULL);
    SHOAL_ASSERT(((uintptr_t)object & 7) == 0);
    return (uint64_t)(uintptr_t)object << CORPSE_OBJECT_SHIFT | (large ? CORPSE_OBJECT_LARGE : 0);
}

shoal_limbo_count shoal_store_limbo(const shoal_store *store, uint32_t thread)
{
    SHOAL_ASSERT(thread < store->thread_count);
    SHOAL_ASSERT(store->threads != NULL);
    const shoal_counters *from = &store->threads[thread].counters;
    uint64_t freed = (uint64_t)shoal_load_relaxed(&from->limbo_freed);
    return (shoal_limbo_count){(uint64_t)shoal_load_relaxed(&from->limbo_queued), freed};
}

bool shoal_thread_frees(const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->dissolving == 0 || thread->dissolved <= POSITION_END);
    return thread->dissolving != 0 || thread->crumbling != NULL;
}

/* One of the values that shoal_store_stats calls lazy is freed. */
static void count_lazy(shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    shoal_bump_relaxed(&thread->counters.lazy_pending, -1);
    shoal_bump_relaxed(&thread->counters.lazy_freed, 1);
}

/* Frees pieces of an object that nobody can reach, and takes them from `*budget`. True when it is
 * gone. */
static bool crumble(shoal_thread *thread, shoal_object *object, uint32_t *budget)
{
    const shoal_value_ops *ops = shoal_value_ops_of((shoal_value_type)object->type);
    SHOAL_ASSERT(ops != NULL);
    SHOAL_ASSERT(*budget > 0);
    shoal_account account = {.allocator = &thread->heap};
    bool gone = ops->free_some(object, &account, budget);
    shoal_bump_relaxed(&thread->counters.bytes, account.bytes);
    shoal_bump_relaxed(&thread->counters.bytes_limbo, account.bytes);
    return gone;
}

/* Frees the object of an item whose tree is taken apart: at once where it is small, else it waits
 * for its turn at the end of the queue, which nobody's reading holds up any more. */
static void free_object(shoal_thread *thread, shoal_object *object)
{
    SHOAL_DEBUG_ASSERT(object->type < SHOAL_TYPE_COUNT);
    uint32_t budget = SMALL_OBJECT_PIECES;
    if (crumble(thread, object, &budget)) return;
    if (room(thread) == 0) {
        do {
            budget = UINT32_MAX;
        } while (!crumble(thread, object, &budget));
        return;
    }
    if (thread->limbo_last == NULL || thread->limbo_last->end == LIMBO_BLOCK_ENTRIES)
        append_block(thread);
    shoal_limbo_block *last = thread->limbo_last;
    uint64_t what = shoal_limbo__object(object, false) | (uint64_t)CORPSE_OBJECT;
    last->entries[last->end++] =
        (shoal_limbo_entry){what, thread->alone ? STAMP_PASSED_ALONE : STAMP_PASSED};
    shoal_bump_relaxed(&thread->counters.limbo_queued, 1);
}

static void free_item(shoal_thread *thread, shoal_item *item, size_t size)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    SHOAL_DEBUG_ASSERT(shoal_item__size(item) == size);
    if (UNLIKELY(size >= SHOAL_PIN_SIZE_MIN) && shoal_pin__owes(thread, item)) return;
    size_t bytes = shoal_item__free(thread, item, size);
    shoal_bump_relaxed(&thread->counters.bytes_limbo, -(int64_t)bytes);
}

/* Frees a single item: its size stands in the word, or was too large for it. */
static void free_lone_item(shoal_thread *thread, uint64_t word)
{
    uint64_t address = (word & (((uint64_t)1 << CORPSE_SIZE_SHIFT) - 1)) >> CORPSE_ITEM_SHIFT;
    shoal_item *item = (shoal_item *)(uintptr_t)address;
    size_t size = (size_t)(word >> CORPSE_SIZE_SHIFT);
    free_item(thread, item, size != 0 ? size : shoal_item__size(item));
}

static void free_table(shoal_thread *thread, void *memory, size_t size)
{
    SHOAL_DEBUG_ASSERT(size % sizeof(shoal_bucket) == 0);
    SHOAL_DEBUG_ASSERT((uintptr_t)memory % SHOAL_ALIGN_LINE == 0);
    size_t bytes = shoal_store__usable(thread->store, size, SHOAL_ALIGN_LINE);
    shoal_bump_relaxed(&thread->counters.bytes_limbo, -(int64_t)bytes);
    shoal_table__give(thread, memory, size);
}

/* Frees the items of a chain, if asked to, and its overflow buckets. */
static void free_chain(shoal_thread *thread, shoal_bucket *home, bool items)
{
    SHOAL_DEBUG_ASSERT(home != NULL);
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    shoal_bucket *bucket = home;
    while (bucket != NULL) {
        uint64_t entry = 0;
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            entry = shoal_load_relaxed(&bucket->entries[i]);
            if (items && shoal_entry__is_item(entry)) {
                shoal_item *item = shoal_entry__pointer(entry);
                shoal_object *object = shoal_item__object(item);
                if (object != NULL) free_object(thread, object);
                count_lazy(thread);
                free_item(thread, item, shoal_item__size(item));
            }
        }
        if (bucket != home) free_table(thread, bucket, sizeof *bucket);
        bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
    }
}

static void free_leaf(shoal_thread *thread, uint64_t word, bool items)
{
    SHOAL_ASSERT((word & WORD_DIRECTORY) == 0);
    SHOAL_ASSERT(shoal_word__pointer(word) != NULL);
    shoal_bucket *leaf = shoal_word__pointer(word);
    uint32_t buckets = shoal_word__buckets(word);
    for (uint32_t i = 0; i < buckets; i++) free_chain(thread, &leaf[i], items);
    free_table(thread, leaf, sizeof *leaf * buckets);
}

/* Frees a directory above leaves, and the leaves. */
static void free_branch(shoal_thread *thread, shoal_directory *directory)
{
    SHOAL_ASSERT(directory != NULL);
    for (uint32_t i = 0; i < DIRECTORY_SIZE; i++) {
        uint64_t word = shoal_load_relaxed(&directory->words[i]);
        SHOAL_ASSERT(!(word & WORD_DIRECTORY));
        if (word != 0) free_leaf(thread, word, false);
    }
    free_table(thread, directory, sizeof *directory);
}

/* Frees the directories of a tree whose leaves are gone. Recursion ends at DEPTH_MAX. */
static void free_directories(shoal_thread *thread, uint64_t word)
{
    SHOAL_DEBUG_ASSERT((word & WORD_FLAGS) == 0);
    SHOAL_DEBUG_ASSERT((word & WORD_DIRECTORY) == 0 || shoal_word__pointer(word) != NULL);
    if (!(word & WORD_DIRECTORY)) return;
    shoal_directory *directory = shoal_word__pointer(word);
    for (uint32_t i = 0; i < DIRECTORY_SIZE; i++) {
        free_directories(thread, shoal_load_relaxed(&directory->words[i]));
    }
    free_table(thread, directory, sizeof *directory);
}

/* Finds the first leaf at or behind `*position` in a tree that belongs to nobody else, and moves
 * `*position` behind it. NULL when there is none. */
static _Atomic uint64_t *next_leaf(uint64_t word, uint64_t *position)
{
    SHOAL_DEBUG_ASSERT((word & WORD_DIRECTORY) != 0);
    SHOAL_DEBUG_ASSERT(*position <= POSITION_END);
    while (*position < POSITION_END) {
        _Atomic uint64_t *home = NULL;
        uint64_t at = word;
        uint32_t bits = POSITION_BITS;
        while (at & WORD_DIRECTORY) {
            shoal_directory *directory = shoal_word__pointer(at);
            bits -= DIRECTORY_BITS;
            home = &directory->words[*position >> bits & (DIRECTORY_SIZE - 1)];
            at = shoal_load_relaxed(home);
        }
        *position = ((*position >> bits) + 1) << bits;
        if (at != 0) return home;
    }
    return NULL;
}

/* Takes the thread's tree apart for up to `budget`; returns what is left of the budget. */
static uint32_t dissolve(shoal_thread *thread, uint32_t budget)
{
    SHOAL_ASSERT(thread->dissolving != 0);
    SHOAL_ASSERT(budget > 0);
    uint64_t word = thread->dissolving;
    if (!(word & WORD_DIRECTORY)) {
        free_leaf(thread, word, true);
        thread->dissolving = 0;
        return budget > 1 ? budget - 1 : 0;
    }
    while (budget > 0) {
        _Atomic uint64_t *home = next_leaf(word, &thread->dissolved);
        if (home == NULL) {
            free_directories(thread, word);
            thread->dissolving = 0;
            break;
        }
        uint64_t leaf = shoal_load_relaxed(home);
        uint32_t cost = shoal_word__buckets(leaf) * DISSOLVE_COST;
        free_leaf(thread, leaf, true);
        shoal_store_relaxed(home, (uint64_t)0);
        budget = budget > cost ? budget - cost : 0;
    }
    return budget;
}

static void free_route(shoal_thread *thread, const shoal_route *route)
{
    SHOAL_DEBUG_ASSERT(route != NULL);
    SHOAL_DEBUG_ASSERT(!shoal_load_relaxed(&thread->store->route) ||
                       route != shoal_load_relaxed(&thread->store->route));
    uint64_t bytes = shoal_route__bytes(thread->store, route);
    shoal_bump_relaxed(&thread->counters.bytes_limbo, -(int64_t)bytes);
    shoal_route__free(thread, route);
}

static void free_ghost(shoal_thread *thread, shoal_ghost *ghost)
{
    SHOAL_DEBUG_ASSERT(ghost != NULL);
    SHOAL_DEBUG_ASSERT(ghost->keys > 0);
    free_table(thread, ghost, shoal_ghost__size(ghost->keys));
}

/* Frees one piece. A tree or an object is only begun. */
static void free_corpse(shoal_thread *thread, uint64_t what)
{
    SHOAL_ASSERT((what & ~CORPSE_MASK) != 0);
    SHOAL_ASSERT(thread->dissolving == 0 && thread->crumbling == NULL);
    shoal_corpse kind = (shoal_corpse)(what & CORPSE_MASK);
    uint64_t word = what & ~CORPSE_MASK;
    switch (kind) {
    case CORPSE_ITEM: free_lone_item(thread, word); break;
    case CORPSE_BUCKET: free_table(thread, shoal_word__pointer(word), sizeof(shoal_bucket)); break;
    case CORPSE_LEAF: free_leaf(thread, word, false); break;
    case CORPSE_BRANCH: free_branch(thread, shoal_word__pointer(word)); break;
    case CORPSE_TREE:
        thread->dissolving = word;
        thread->dissolved = 0;
        break;
    case CORPSE_ROUTE: free_route(thread, shoal_word__pointer(word)); break;
    case CORPSE_GHOST: free_ghost(thread, shoal_word__pointer(word)); break;
    case CORPSE_OBJECT:
        thread->crumbling =
            (shoal_object *)(uintptr_t)(word >> CORPSE_OBJECT_SHIFT & CORPSE_OBJECT_MASK);
        thread->crumbling_large = (word & CORPSE_OBJECT_LARGE) != 0;
        break;
    case CORPSE_CUT: shoal_cut__free(thread, (shoal_cut *)shoal_word__pointer(word)); break;
    }
}

/* Nobody can see a piece any more, or nobody is there. */
static inline bool may_free(shoal_thread *thread, const shoal_limbo_entry *entry, bool all)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT((entry->what & ~CORPSE_MASK) != 0);
    if (all) return true;
    return thread->alone ? entry->stamp != thread->stamp
                         : shoal_epoch_passed(&thread->store->epoch, entry->stamp);
}

/* Takes the oldest piece off the queue, if it may be freed; 0 when there is none. */
static uint64_t take_oldest(shoal_thread *thread, bool all)
{
    SHOAL_DEBUG_ASSERT(thread->dissolving == 0);
    SHOAL_DEBUG_ASSERT(thread->limbo_first == NULL ||
                       thread->limbo_first->first <= thread->limbo_first->end);
    shoal_limbo_block *block = thread->limbo_first;
    if (block == NULL || block->first == block->end) return 0;
    const shoal_limbo_entry *entry = &block->entries[block->first];
    if (!may_free(thread, entry, all)) return 0;
    uint64_t what = entry->what;
    block->first++;
    if (block->first < block->end) return what;
    if (block->next == NULL) {
        block->first = block->end = 0;
        return what;
    }
    thread->limbo_first = block->next;
    drop_block(thread, block);
    return what;
}

/* Frees items at the beginning of the queue's first block, most often a batch of them, as long as
 * one follows the other; returns what is left of the budget. The last entry of the block is left
 * to take_oldest. */
static uint32_t collect_items(shoal_thread *thread, uint32_t budget, bool all)
{
    SHOAL_DEBUG_ASSERT(thread->dissolving == 0);
    SHOAL_DEBUG_ASSERT(thread->crumbling == NULL);
    shoal_limbo_block *block = thread->limbo_first;
    if (block == NULL) return budget;
    uint32_t first = block->first;
    int64_t bytes = 0;
    while (budget > 0 && block->first + 1 < block->end) {
        const shoal_limbo_entry *entry = &block->entries[block->first];
        size_t size = (size_t)(entry->what >> CORPSE_SIZE_SHIFT);
        if ((entry->what & CORPSE_MASK) != CORPSE_ITEM || size - 1 >= SHOAL_PIN_SIZE_MIN - 1) break;
        if (!may_free(thread, entry, all)) break;
        uint64_t address = entry->what & (((uint64_t)1 << CORPSE_SIZE_SHIFT) - 1) & ~CORPSE_MASK;
        void *item = (void *)(uintptr_t)(address >> CORPSE_ITEM_SHIFT);
        bytes += (int64_t)shoal_store__usable(thread->store, size, ITEM_ALIGNMENT);
        if (LIKELY(size <= SHOAL_SLAB_FINE_MAX)) {
            shoal_slab_give_quick(&thread->slab, item, size);
        } else {
            shoal_slab_give(&thread->slab, item, size, ITEM_ALIGNMENT);
        }
        block->first++;
        budget--;
    }
    shoal_bump_relaxed(&thread->counters.bytes, -bytes);
    shoal_bump_relaxed(&thread->counters.bytes_limbo, -bytes);
    shoal_bump_relaxed(&thread->counters.limbo_freed, (int64_t)(block->first - first));
    return budget;
}

/* The pieces of the queue, up to `budget`. */
static void collect(shoal_thread *thread, uint32_t budget, bool all)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(all || thread->stamp != 0 || thread->batches > 0);
    while (budget > 0) {
        if (thread->dissolving != 0) {
            budget = dissolve(thread, budget);
            if (thread->dissolving == 0) shoal_bump_relaxed(&thread->counters.limbo_freed, 1);
            continue;
        }
        if (thread->crumbling != NULL) {
            uint32_t pieces = budget / CRUMBLE_COST + (budget % CRUMBLE_COST != 0);
            bool gone = crumble(thread, thread->crumbling, &pieces);
            budget = pieces * CRUMBLE_COST < budget ? pieces * CRUMBLE_COST : 0;
            if (!gone) continue;
            thread->crumbling = NULL;
            shoal_bump_relaxed(&thread->counters.limbo_freed, 1);
            if (thread->crumbling_large) count_lazy(thread);
            continue;
        }
        budget = collect_items(thread, budget, all);
        if (budget == 0) break;
        uint64_t what = take_oldest(thread, all);
        if (what == 0) break;
        uint32_t beside = cost_beside(what);
        free_corpse(thread, what);
        if (thread->dissolving == 0 && thread->crumbling == NULL)
            shoal_bump_relaxed(&thread->counters.limbo_freed, 1);
        budget = budget > beside ? budget - beside - 1 : 0;
    }
}

void shoal_limbo__collect(shoal_thread *thread, uint32_t budget)
{
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->dissolved <= POSITION_END);
    if (!shoal_limbo__waits(thread)) return;
    if (!thread->alone) shoal_epoch_advance(&thread->store->epoch);
    collect(thread, budget, false);
}

void shoal_limbo__clear(shoal_thread *thread)
{
    SHOAL_ASSERT(thread->stamp == 0);
    SHOAL_ASSERT(!thread->draining);
    while (shoal_limbo__waits(thread)) collect(thread, UINT32_MAX, true);
    shoal_limbo__rest(thread);
}

void shoal_limbo__rest(shoal_thread *thread)
{
    SHOAL_ASSERT(!shoal_limbo__waits(thread));
    shoal_limbo_block *block = thread->limbo_first;
    SHOAL_ASSERT(block == thread->limbo_last);
    thread->limbo_first = thread->limbo_last = NULL;
    if (block != NULL) spare(thread, block);
    block = thread->limbo_spare;
    thread->limbo_spare = NULL;
    thread->limbo_spares = 0;
    while (block != NULL) {
        shoal_limbo_block *next = block->next;
        block->first = block->end = 0;
        if (block != &thread->limbo_own) give_block(thread, block);
        block = next;
    }
    spare(thread, &thread->limbo_own);
}
