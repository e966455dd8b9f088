/* SPDX-License-Identifier: MIT
 *
 * store/defrag.c - the hand that moves what lies in sparse memory, so that memory can be given
 * back. It works as expire.c's does: threads take chunks of 64 slots one after the other, go
 * through the slots bucket by bucket under their gates, and cut the work into steps that are
 * counted, not timed. Moving an item is a replacement like any other: a copy, one store to its
 * entry, and the one before is retired; readers see either. Pieces of objects are moved by their
 * types, under the gate that protects them anyway. A leaf is moved by rebuilding it as it is.
 *
 * Leaves are moved together without being asked for. As a store fills, its leaves leave one size
 * after the other, and stragglers would hold the memory of thousands (a ninth of all, measured at a
 * million keys); there are few enough of them to make a difference and no work.
 *
 * A pass goes over everything once. One begins when more is free inside of slabs than the settings
 * allow, as bytes and as a share of what is used. What is sparse is decided by the slab at the
 * moment of the look (base/slab.h): as moved pieces fill the denser runs, the emptier ones are
 * given up. While a pass is under way, no thread hands places of sparse runs out again.
 */
#include "store/internal.h"

/* Work units, about 15 ns each, as in expire.c. */
#define UNITS_PER_US 64
#define COST_CHUNK 1
#define COST_SLOT 4
#define COST_BUCKET 1
#define COST_ITEM 2
#define COST_MOVE 16
#define COST_PIECE 4
/* A leaf's entries are put in again one by one. */
#define COST_REBUILT_BUCKET 8

/* A pass that is under way wants a step so often; its share of a processor is a share of that. */
#define STEP_US 1000
/* From the beginning of a pass to the next one, and where a pass has moved little. */
#define PASS_PAUSE_US 100000
#define IDLE_PAUSE_US 10000000
/* Leaves are looked at where so much is free in slabs, and more than 1/32 of what is used;
 * with this share of a processor. */
#define TABLES_BYTES 262144
#define TABLES_SHARE 32
#define TABLES_PERCENT 1
/* So much waste more is worth another pass, besides a quarter. */
#define MORE_BYTES 65536
/* Little is less than one piece in so many. */
#define LITTLE_SHARE 256

shoal_defrag_settings shoal_defrag_settings_default(void)
{
    return (shoal_defrag_settings){
        .ignore_bytes = 100u << 20,
        .lower_percent = 10,
        .upper_percent = 100,
        .cycle_min_percent = 1,
        .cycle_max_percent = 25,
        .scan_max = 1000,
    };
}

void shoal_store_set_defrag(shoal_store *store, const shoal_defrag_settings *settings)
{
    SHOAL_ASSERT(settings->cycle_min_percent <= 100 && settings->cycle_max_percent <= 100);
    SHOAL_ASSERT(settings->scan_max > 0);
    shoal_defrag *defrag = &store->defrag;
    shoal_store_relaxed(&defrag->ignore_bytes, settings->ignore_bytes);
    shoal_store_relaxed(&defrag->lower_percent, settings->lower_percent);
    shoal_store_relaxed(&defrag->upper_percent, settings->upper_percent);
    shoal_store_relaxed(&defrag->cycle_min_percent, settings->cycle_min_percent);
    shoal_store_relaxed(&defrag->cycle_max_percent, settings->cycle_max_percent);
    shoal_store_relaxed(&defrag->scan_max, settings->scan_max);
    shoal_store_relaxed(&defrag->pause_us, (int64_t)0);
    shoal_store_relaxed(&defrag->waste_left, (uint64_t)0);
    shoal_store_relaxed(&defrag->on, settings->on);
}

void shoal_store_set_outer_waste(shoal_store *store, uint64_t bytes)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_ASSERT(store->thread_count > 0);
    shoal_store_relaxed(&store->defrag.outer_bytes, bytes);
}

/* ---- how much is to be done ---- */

/* The bytes that are free where nobody can have them. */
static uint64_t waste_of(const shoal_store *store, shoal_store_bytes bytes)
{
    SHOAL_DEBUG_ASSERT(store->threads != NULL);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    return bytes.slabs_free + shoal_load_relaxed(&store->defrag.outer_bytes);
}

/* What the memory's state asks for. */
typedef struct wanted {
    uint32_t percent; /* of a processor, 0: nothing */
    bool tables;      /* leaves only */
} wanted;

/* The share of a processor that a waste of so many percent deserves. */
static uint32_t effort(const shoal_defrag *defrag, uint64_t percent)
{
    uint64_t lower = shoal_load_relaxed(&defrag->lower_percent);
    uint64_t upper = shoal_load_relaxed(&defrag->upper_percent);
    uint64_t least = shoal_load_relaxed(&defrag->cycle_min_percent);
    uint64_t most = shoal_load_relaxed(&defrag->cycle_max_percent);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&defrag->cycle_min_percent) <= 100);
    SHOAL_DEBUG_ASSERT(percent > lower);
    if (most < least) most = least;
    if (percent >= upper || upper <= lower) return (uint32_t)most;
    return (uint32_t)(least + (most - least) * (percent - lower) / (upper - lower));
}

static wanted demand(const shoal_store *store)
{
    const shoal_defrag *defrag = &store->defrag;
    SHOAL_DEBUG_ASSERT(store->threads != NULL);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    shoal_store_bytes bytes = shoal_stats__bytes(store);
    if (shoal_load_relaxed(&defrag->on)) {
        uint64_t waste = waste_of(store, bytes);
        uint64_t percent = bytes.used > 0 ? waste * 100 / bytes.used : waste > 0 ? 10000 : 0;
        bool much = waste > shoal_load_relaxed(&defrag->ignore_bytes) &&
                    percent > shoal_load_relaxed(&defrag->lower_percent);
        if (much) return (wanted){effort(defrag, percent), false};
    }
    bool tables = bytes.slabs_free > TABLES_BYTES && bytes.slabs_free > bytes.used / TABLES_SHARE;
    return (wanted){tables ? TABLES_PERCENT : 0, true};
}

/* When the next pass may begin: soon behind one that was worth it, late behind one that was not,
 * unless there is much more to be done since. */
static int64_t pause_end(const shoal_store *store)
{
    const shoal_defrag *defrag = &store->defrag;
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&defrag->pause_us) >= 0);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    uint64_t left = shoal_load_relaxed(&defrag->waste_left);
    int64_t end = shoal_load_relaxed(&defrag->pause_us);
    if (left == 0) return end;
    bool more = waste_of(store, shoal_stats__bytes(store)) > left + left / 4 + MORE_BYTES;
    return more ? end : end + IDLE_PAUSE_US;
}

/* ---- one item ---- */

/* Who asks, while pieces of an object are looked at. */
typedef struct asker {
    const shoal_allocator *below;
    int64_t hits, misses;
} asker;

/* Objects take their pieces aligned to 8. */
static bool is_sparse_piece(void *context, const void *memory, size_t size)
{
    asker *who = context;
    SHOAL_DEBUG_ASSERT(size > 0);
    SHOAL_DEBUG_ASSERT(memory != NULL);
    bool sparse = shoal_slab_is_sparse(who->below, memory, size, SHOAL_OBJECT_ALIGNMENT);
    who->hits += sparse;
    who->misses += !sparse;
    return sparse;
}

static void count_pieces(shoal_thread *thread, int64_t hits, int64_t misses)
{
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(hits >= 0 && misses >= 0);
    shoal_counters *counters = &thread->counters;
    shoal_bump_relaxed(&counters->defrag_hits, hits);
    shoal_bump_relaxed(&counters->defrag_misses, misses);
}

/* Puts a copy of the item at `at` in its place, if that helps: true. */
static bool move_item(shoal_thread *thread, _Atomic uint64_t *at, const shoal_item *item,
                      size_t size)
{
    const shoal_allocator *below = &thread->store->allocator;
    SHOAL_DEBUG_ASSERT(shoal_item__size(item) == size);
    SHOAL_DEBUG_ASSERT(shoal_entry__pointer(shoal_load_relaxed(at)) == item);
    if (!shoal_slab_is_sparse(below, item, size, ITEM_ALIGNMENT)) return false;
    if (!shoal_limbo__reserve(thread, 1)) return false;
    shoal_item *copy = shoal_slab_take(&thread->slab, size, ITEM_ALIGNMENT);
    if (copy == NULL) return false;
    if (shoal_slab_is_sparse(below, copy, size, ITEM_ALIGNMENT)) {
        shoal_slab_give(&thread->slab, copy, size, ITEM_ALIGNMENT);
        return false;
    }
    memcpy(copy, item, size);
    uint64_t bytes = shoal_store__usable(thread->store, size, ITEM_ALIGNMENT);
    shoal_bump_relaxed(&thread->counters.bytes, (int64_t)bytes);
    uint64_t tag = shoal_entry__tag(shoal_load_relaxed(at));
    shoal_store_release(at, shoal_entry__make(tag, copy)); /* pair: bucket.entry */
    shoal_limbo__retire_item(thread, item, size, bytes);
    return true;
}

/* Moves pieces of an object for at most `*units`. True when all have been looked at; otherwise the
 * thread remembers where it is. */
static bool move_object(shoal_thread *thread, shoal_object *object, int64_t *units)
{
    shoal_defrag_hand *hand = &thread->hand;
    const shoal_value_ops *ops = shoal_value_ops_of((shoal_value_type)object->type);
    SHOAL_ASSERT(ops != NULL);
    SHOAL_ASSERT(thread->account.bytes == 0);
    if (ops->move == NULL) return true;
    asker who = {.below = &thread->store->allocator};
    uint32_t most = shoal_load_relaxed(&thread->store->defrag.scan_max);
    uint32_t budget = most;
    if (*units / COST_PIECE < most)
        budget = *units < COST_PIECE ? 1 : (uint32_t)*units / COST_PIECE;
    uint32_t before = budget;
    const shoal_value_mover mover = {is_sparse_piece, &who};
    ops->move(object, &thread->account, &hand->object_cursor, &budget, &mover);
    SHOAL_ASSERT(thread->account.bytes == 0);
    *units -= (int64_t)(before - budget + 1) * COST_PIECE + who.hits * COST_MOVE;
    count_pieces(thread, who.hits, who.misses);
    hand->object_hits += who.hits;
    hand->object = hand->object_cursor == 0 ? NULL : object;
    return hand->object == NULL;
}

static void count_key(shoal_thread *thread, bool moved)
{
    SHOAL_DEBUG_ASSERT(thread->hand.object == NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    shoal_counters *counters = &thread->counters;
    shoal_bump_relaxed(&counters->defrag_scanned, 1);
    if (moved) {
        shoal_bump_relaxed(&counters->defrag_key_hits, 1);
    } else {
        shoal_bump_relaxed(&counters->defrag_key_misses, 1);
    }
}

/* Looks at the item of an entry. False when its object needs further steps. */
static bool visit_item(shoal_thread *thread, _Atomic uint64_t *at, int64_t *units)
{
    const shoal_item *item = shoal_entry__pointer(shoal_load_relaxed(at));
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(item != NULL);
    shoal_object *object = shoal_item__object(item);
    shoal_defrag_hand *hand = &thread->hand;
    *units -= COST_ITEM;
    if (object != NULL && !move_object(thread, object, units)) return false;
    bool moved = move_item(thread, at, item, shoal_item__size(item));
    count_pieces(thread, moved, !moved);
    if (moved) *units -= COST_MOVE;
    count_key(thread, moved || hand->object_hits > 0);
    hand->object_hits = 0;
    return true;
}

/* ---- one bucket ---- */

static void prefetch_items(const shoal_bucket *bucket)
{
    SHOAL_DEBUG_ASSERT(bucket != NULL);
    SHOAL_DEBUG_ASSERT((uintptr_t)bucket % sizeof *bucket == 0);
    for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
        uint64_t entry = shoal_load_relaxed(&bucket->entries[i]);
        if (shoal_entry__is_item(entry)) __builtin_prefetch(shoal_entry__pointer(entry));
    }
}

/* Where the hand has stopped in an object, everything before that object has been looked at. True
 * when the entry is to be passed over for that. */
static bool is_before_object(const shoal_thread *thread, const shoal_item *item, bool *found)
{
    SHOAL_DEBUG_ASSERT(found != NULL);
    SHOAL_DEBUG_ASSERT(item != NULL);
    if (*found) return false;
    *found = shoal_item__object(item) == thread->hand.object;
    return !*found;
}

/* Looks at the items of a chain. False when an object needs further steps. */
static bool visit_chain(shoal_thread *thread, shoal_bucket *bucket, int64_t *units)
{
    bool found = thread->hand.object == NULL;
    SHOAL_DEBUG_ASSERT((uintptr_t)bucket % sizeof *bucket == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    while (bucket != NULL) {
        uint64_t entry = 0;
        prefetch_items(bucket);
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            entry = shoal_load_relaxed(&bucket->entries[i]);
            if (!shoal_entry__is_item(entry)) continue;
            if (is_before_object(thread, shoal_entry__pointer(entry), &found)) continue;
            if (!visit_item(thread, &bucket->entries[i], units)) return false;
        }
        *units -= COST_BUCKET;
        bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
    }
    /* The object may have gone while the gate was free. */
    thread->hand.object = NULL;
    thread->hand.object_cursor = 0;
    thread->hand.object_hits = 0;
    return true;
}

/* True when the bucket, or one that overflows from it, lies in sparse memory. */
static bool is_chain_sparse(const shoal_store *store, const shoal_bucket *home)
{
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    SHOAL_DEBUG_ASSERT((uintptr_t)home % sizeof *home == 0);
    uint64_t last = shoal_load_relaxed(&home->entries[BUCKET_ENTRIES - 1]);
    while (shoal_entry__is_chain(last)) {
        const shoal_bucket *bucket = shoal_entry__pointer(last);
        if (shoal_slab_is_sparse(&store->allocator, bucket, sizeof *bucket, SHOAL_ALIGN_LINE))
            return true;
        last = shoal_load_relaxed(&bucket->entries[BUCKET_ENTRIES - 1]);
    }
    return false;
}

/* Rebuilds the leaf at a position, if its memory or that of the position's chain is sparse. */
static void move_leaf(shoal_thread *thread, uint32_t place, uint64_t position, int64_t *units)
{
    const shoal_store *store = thread->store;
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(position < POSITION_END);
    const shoal_key key = {.hash = position << (64 - POSITION_BITS), .place = place};
    shoal_leaf leaf = shoal_table__leaf(store, &key);
    SHOAL_ASSERT(leaf.word != 0);
    const shoal_bucket *buckets = shoal_word__pointer(leaf.word);
    uint32_t count = shoal_word__buckets(leaf.word);
    shoal_stretch stretch = shoal_walk__stretch(leaf.word, leaf.hash >> (64 - POSITION_BITS));
    bool sparse = is_chain_sparse(store, stretch.bucket);
    /* The leaf itself is looked at once, with its first bucket. */
    if (stretch.bucket == buckets)
        sparse |= shoal_slab_is_sparse(&store->allocator, buckets, sizeof *buckets * count,
                                       SHOAL_ALIGN_LINE);
    *units -= COST_BUCKET;
    if (!sparse || !shoal_limbo__reserve(thread, 1)) return;
    *units -= (int64_t)count * COST_REBUILT_BUCKET;
    bool moved = shoal_leaf__rebuild(thread, place, &leaf);
    if (shoal_load_relaxed(&store->defrag.tables)) {
        thread->hand.leaves += moved;
    } else {
        count_pieces(thread, moved, !moved);
    }
}

/* ---- one slot ---- */

/* Looks at the leaf at the hand's position only. Returns what is behind it. */
static uint64_t visit_leaf(shoal_thread *thread, uint32_t place, int64_t *units)
{
    uint64_t position = thread->hand.position;
    const shoal_key key = {.hash = position << (64 - POSITION_BITS), .place = place};
    shoal_leaf leaf = shoal_table__leaf(thread->store, &key);
    uint32_t bits = POSITION_BITS - leaf.depth * DIRECTORY_BITS;
    SHOAL_DEBUG_ASSERT(thread->hand.object == NULL);
    SHOAL_DEBUG_ASSERT(position < POSITION_END);
    if (leaf.word != 0) move_leaf(thread, place, position, units);
    *units -= COST_BUCKET;
    return ((position >> bits) + 1) << bits;
}

/* Looks at all that is in the bucket at the hand's position. Returns what is behind it, or the
 * position itself when an object needs further steps. */
static uint64_t visit_bucket(shoal_thread *thread, uint32_t place, int64_t *units)
{
    const _Atomic uint64_t *home = shoal_store__word(thread->store, place);
    uint64_t position = thread->hand.position;
    shoal_stretch stretch = shoal_walk__stretch(shoal_load_relaxed(home), position);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(position < POSITION_END);
    *units -= COST_BUCKET;
    if (stretch.bucket == NULL) return stretch.end;
    if (thread->hand.object == NULL) move_leaf(thread, place, position, units);
    stretch = shoal_walk__stretch(shoal_load_relaxed(home), position);
    return visit_chain(thread, stretch.bucket, units) ? stretch.end : position;
}

/* Goes on in the slot, under its gate, for at most `units`; returns what is left of them. At the
 * end of the slot the position is 0. */
static int64_t visit_slot(shoal_thread *thread, uint32_t place, int64_t units)
{
    shoal_defrag_hand *hand = &thread->hand;
    SHOAL_DEBUG_ASSERT(hand->position < POSITION_END);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < thread->store->database_count);
    bool tables = shoal_load_relaxed(&thread->store->defrag.tables);
    do {
        uint64_t behind =
            tables ? visit_leaf(thread, place, &units) : visit_bucket(thread, place, &units);
        if (behind == hand->position) return units < 0 ? units : 0;
        hand->position = behind;
    } while (units > 0 && hand->position < POSITION_END);
    if (hand->position == POSITION_END) hand->position = 0;
    return units;
}

/* ---- chunks and passes ---- */

/* All that has been moved so far. */
static int64_t sum_hits(const shoal_store *store)
{
    int64_t hits = 0;
    SHOAL_DEBUG_ASSERT(store->threads != NULL);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    for (uint32_t i = 0; i < store->thread_count; i++)
        hits += shoal_load_relaxed(&store->threads[i].counters.defrag_hits);
    return hits + shoal_load_relaxed(&store->defrag.leaves);
}

/* True when a pass may begin now: then it has begun. */
static bool begin_pass(shoal_thread *thread)
{
    shoal_defrag *defrag = &thread->store->defrag;
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->hand.pending == 0);
    if (pause_end(thread->store) > thread->now.mono_us) return false;
    wanted now = demand(thread->store);
    uint32_t none = 0;
    if (now.percent == 0 || !shoal_cas_relaxed(&defrag->next, &none, 1u)) return false;
    shoal_store_relaxed(&defrag->began_us, thread->now.mono_us);
    shoal_store_relaxed(&defrag->tables, now.tables);
    shoal_store_relaxed(&defrag->running, now.percent);
    shoal_store_relaxed(&defrag->pause_us, thread->now.mono_us + PASS_PAUSE_US);
    shoal_store_relaxed(&defrag->hits_before, sum_hits(thread->store));
    return true;
}

/* Takes the next chunk of the pass. False when there is none to take. */
static bool take_chunk(shoal_thread *thread)
{
    shoal_store *store = thread->store;
    SHOAL_DEBUG_ASSERT(thread->hand.pending == 0);
    SHOAL_DEBUG_ASSERT(thread->hand.position == 0);
    uint32_t chunks = store->database_count * MAP_WORDS;
    uint32_t next = shoal_load_relaxed(&store->defrag.next);
    if (next == 0) {
        if (!begin_pass(thread)) return false;
    } else {
        uint32_t after = next + 1 == chunks ? 0 : next + 1;
        if (!shoal_cas_relaxed(&store->defrag.next, &next, after)) return true;
    }
    thread->hand.chunk = next;
    thread->hand.last = next + 1 == chunks;
    thread->hand.pending =
        shoal_load_relaxed(&store->databases[next / MAP_WORDS]->used[next % MAP_WORDS]);
    return true;
}

/* Counts a pass that is over, or given up. */
static void close_pass(shoal_thread *thread)
{
    shoal_defrag *defrag = &thread->store->defrag;
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->now.mono_us >= 0);
    shoal_store_relaxed(&defrag->running, 0u);
    int64_t lasted = thread->now.mono_us - shoal_load_relaxed(&defrag->began_us);
    if (lasted > 0) shoal_add_relaxed(&defrag->total_us, lasted);
}

/* The thread with the last chunk is through: the pass is over. */
static void end_pass(shoal_thread *thread)
{
    shoal_defrag *defrag = &thread->store->defrag;
    SHOAL_ASSERT(thread->hand.pending == 0);
    SHOAL_ASSERT(thread->hand.last);
    thread->hand.last = false;
    close_pass(thread);
    int64_t moved = sum_hits(thread->store) - shoal_load_relaxed(&defrag->hits_before);
    uint64_t keys = 0;
    for (uint32_t db = 0; db < thread->store->database_count; db++)
        keys += shoal_store_count(thread->store, db);
    if (shoal_load_relaxed(&defrag->tables)) keys /= BUCKET_ENTRIES * 16;
    bool little = (uint64_t)moved * LITTLE_SHARE <= keys;
    uint64_t left = waste_of(thread->store, shoal_stats__bytes(thread->store));
    shoal_store_relaxed(&defrag->waste_left, little ? left : 0);
}

/* Looks at the lowest pending slot of the chunk. Returns what is left of `units`. */
static int64_t visit_pending(shoal_thread *thread, int64_t units)
{
    shoal_defrag_hand *hand = &thread->hand;
    SHOAL_DEBUG_ASSERT(hand->position < POSITION_END);
    SHOAL_DEBUG_ASSERT(hand->pending != 0);
    uint32_t slot = hand->chunk % MAP_WORDS * 64 + (uint32_t)__builtin_ctzll(hand->pending);
    uint32_t place = SHOAL_PLACE(hand->chunk / MAP_WORDS, slot);
    units -= COST_SLOT;
    /* A gate that is held, or keys that are gone: the rest of the slot is left to the next pass. */
    if (shoal_gate__take(thread, place)) {
        if (shoal_load_relaxed(&shoal_store__hot(thread->store, place)->keys) > 0) {
            units = visit_slot(thread, place, units);
        } else {
            hand->position = 0;
        }
        shoal_gate__release(thread, place);
        if (hand->position != 0 || hand->object != NULL) return units;
    }
    hand->position = 0;
    hand->object = NULL;
    hand->object_cursor = 0;
    hand->pending &= hand->pending - 1;
    return units;
}

/* Nothing is to be done any more: what was begun is forgotten. */
static void stop(shoal_thread *thread)
{
    shoal_defrag *defrag = &thread->store->defrag;
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    thread->hand = (shoal_defrag_hand){0};
    if (shoal_load_relaxed(&defrag->running) == 0) return;
    close_pass(thread);
    shoal_store_relaxed(&defrag->pause_us, (int64_t)0);
    shoal_store_relaxed(&defrag->next, 0u);
}

/* How long until the hand has something to do. */
static int64_t wait(const shoal_thread *thread)
{
    const shoal_defrag *defrag = &thread->store->defrag;
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->now.mono_us >= 0);
    if (thread->hand.pending != 0 || shoal_load_relaxed(&defrag->running) != 0) return STEP_US;
    if (demand(thread->store).percent == 0) return INT64_MAX;
    int64_t pause_us = pause_end(thread->store) - thread->now.mono_us;
    return pause_us > STEP_US ? pause_us : STEP_US;
}

/* Goes on with the pass for `units` of work. */
static void work(shoal_thread *thread, int64_t units)
{
    shoal_defrag_hand *hand = &thread->hand;
    SHOAL_DEBUG_ASSERT(hand->leaves == 0);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    while (units > 0) {
        if (hand->pending != 0) {
            units = visit_pending(thread, units);
            continue;
        }
        if (hand->last) {
            end_pass(thread);
            break;
        }
        units -= COST_CHUNK;
        if (!take_chunk(thread)) break;
    }
    if (hand->leaves == 0) return;
    shoal_add_relaxed(&thread->store->defrag.leaves, hand->leaves);
    hand->leaves = 0;
}

/* True when what is under way is not what the settings ask for: a pass over everything, though that
 * has been turned off, or one over leaves, though everything is to be looked at. */
static bool is_outdated(const shoal_thread *thread)
{
    const shoal_defrag *defrag = &thread->store->defrag;
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    if (shoal_load_relaxed(&defrag->running) == 0 && thread->hand.pending == 0) return false;
    bool on = shoal_load_relaxed(&defrag->on);
    bool tables = shoal_load_relaxed(&defrag->tables);
    if (on != tables) return false;
    return !on || !demand(thread->store).tables;
}

/* Whether places of sparse runs are held back: by every thread, while things are moved out of them.
 * */
static void drain(shoal_thread *thread)
{
    const shoal_defrag *defrag = &thread->store->defrag;
    SHOAL_DEBUG_ASSERT(thread->slab.below != NULL);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    bool on = shoal_load_relaxed(&defrag->running) != 0 && !shoal_load_relaxed(&defrag->tables);
    if (thread->slab.draining != on) shoal_slab_drain(&thread->slab, on);
}

int64_t shoal_defrag__step(shoal_thread *thread)
{
    const shoal_defrag *defrag = &thread->store->defrag;
    SHOAL_DEBUG_ASSERT(thread->now.mono_us >= 0);
    SHOAL_ASSERT(thread->stamp != 0);
    if (is_outdated(thread)) stop(thread);
    uint32_t percent = shoal_load_relaxed(&defrag->running);
    if (percent == 0) percent = demand(thread->store).percent;
    if (percent != 0) {
        /* What is at hand may be of sparse runs; what is taken from now on comes from the fullest.
         * */
        shoal_slab_tidy(&thread->slab);
        work(thread, (int64_t)percent * STEP_US / 100 * UNITS_PER_US);
    }
    drain(thread);
    return wait(thread);
}
