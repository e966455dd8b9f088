/* SPDX-License-Identifier: MIT
 *
 * store/walk.c - going through a database without a gate. An item's position in its slot is the
 * first 46 bits of its hash. Leaves and buckets cut this space into stretches, in order and
 * without gaps, whatever their number: so a position is a cursor that growth cannot confuse.
 *
 * Claims:
 *   W1  A call visits, of the stretch at the cursor, the items at or behind the cursor, and moves
 *       the cursor to the end of the stretch. An item that stays is visited by the one call whose
 *       cursor passes its position, in whatever table it then is (claims T2 and T3 of table.c).
 *   W2  Where a merge has made the tags too short to tell on which side of the cursor an item
 *       is, its name is hashed again.
 *
 * The cursor of a client is the slot in the low 14 bits, and above it the position with its bits
 * reversed: its low bits are zero as long as leaves are few, so cursors stay small numbers.
 */
#include "store/internal.h"
#include "store/snapshot.h"

#include "base/hash.h"

#define SLOT_BITS 14u
/* Attempts at a slot, and in it, before any item will do. */
#define RANDOM_ATTEMPTS 8u
#define RANDOM_ATTEMPTS_SLOT 16u
/* Slots sampled, of which the fuller are preferred in proportion; and how many may be used for
 * all to be looked at instead. */
#define RANDOM_SLOTS 5u
#define RANDOM_SLOTS_ALL 128u
/* Stretches looked at for any item at all. */
#define RANDOM_STRETCHES 1024u

shoal_stretch shoal_walk__stretch(uint64_t word, uint64_t position)
{
    SHOAL_DEBUG_ASSERT((word & WORD_DIRECTORY) == 0 || shoal_word__pointer(word) != NULL);
    SHOAL_ASSERT(position < POSITION_END);
    uint32_t bits = POSITION_BITS;
    word &= ~WORD_FLAGS;
    while (word & WORD_DIRECTORY) {
        const shoal_directory *directory = shoal_word__pointer(word);
        bits -= DIRECTORY_BITS;
        /* pair: leaf.publish */
        word = shoal_load_acquire(&directory->words[position >> bits & (DIRECTORY_SIZE - 1)]);
    }
    shoal_stretch stretch = {.base = position >> bits << bits, .tag_shift = bits - TAG_BITS};
    stretch.end = stretch.base + ((uint64_t)1 << bits);
    if (word == 0) return stretch;

    uint32_t buckets = shoal_word__buckets(word);
    uint32_t index = shoal_tag__bucket((position - stretch.base) >> stretch.tag_shift, buckets);
    stretch.bucket = (shoal_bucket *)shoal_word__pointer(word) + index;
    stretch.end = stretch.base + (shoal_tag__first(index + 1, buckets) << stretch.tag_shift);
    stretch.index = index;
    stretch.buckets = buckets;
    return stretch;
}

uint32_t shoal_map__next(_Atomic uint64_t *map, uint32_t slot, uint32_t last)
{
    SHOAL_DEBUG_ASSERT(map != NULL);
    SHOAL_DEBUG_ASSERT(last < SHOAL_SLOTS);
    while (slot <= last) {
        uint64_t bits = shoal_load_relaxed(&map[slot / 64]) >> (slot % 64);
        if (bits != 0) {
            slot += (uint32_t)__builtin_ctzll(bits);
            break;
        }
        slot = (slot / 64 + 1) * 64;
    }
    return slot <= last ? slot : last + 1;
}

/* True when an entry of the stretch stands at or behind `position`. */
static bool is_behind(const shoal_store *store, const shoal_stretch *stretch, uint64_t position,
                      uint64_t entry)
{
    SHOAL_DEBUG_ASSERT(position < POSITION_END);
    SHOAL_DEBUG_ASSERT(shoal_entry__is_item(entry));
    uint64_t first = stretch->base + (shoal_entry__tag(entry) << stretch->tag_shift);
    if (first >= position) return true;
    if (first + ((uint64_t)1 << stretch->tag_shift) <= position) return false;
    shoal_slice name = shoal_item_name(shoal_entry__pointer(entry));
    return shoal_hash(name, store->seed) >> (64 - POSITION_BITS) >= position;
}

void shoal_walk__visit(const shoal_thread *thread, const shoal_stretch *stretch, uint64_t position,
                       shoal_visit visit, void *context)
{
    SHOAL_DEBUG_ASSERT(position < POSITION_END);
    SHOAL_DEBUG_ASSERT(stretch->base < stretch->end);
    const shoal_bucket *bucket = stretch->bucket;
    while (bucket != NULL) {
        uint64_t entry = 0;
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            entry = shoal_load_acquire(&bucket->entries[i]); /* pair: bucket.entry */
            if (!shoal_entry__is_item(entry)) continue;
            const shoal_item *item = shoal_entry__pointer(entry);
            if (shoal_item__is_expired(item, thread->judged_ms)) continue;
            if (is_behind(thread->store, stretch, position, entry)) visit(context, item);
        }
        bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
    }
}

/* The 46 bits of a position in reverse order. Its own inverse. */
static uint64_t reverse(uint64_t position)
{
    SHOAL_DEBUG_ASSERT(position < POSITION_END);
    uint64_t out = 0;
    for (uint32_t i = 0; i < POSITION_BITS; i++) {
        out = out << 1 | (position >> i & 1);
    }
    return out;
}

void shoal_store_scan(shoal_thread *thread, const shoal_scan *scan, uint64_t *cursor,
                      shoal_visit visit, void *context)
{
    SHOAL_ASSERT(scan->slot_first <= scan->slot_last);
    SHOAL_ASSERT(scan->count > 0);
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_ASSERT(scan->slot_last < SHOAL_SLOTS);
    shoal_db *db = shoal_store__db(thread->store, SHOAL_PLACE(scan->db, 0));
    uint32_t slot = (uint32_t)(*cursor & (SHOAL_SLOTS - 1));
    uint64_t position = reverse(*cursor >> SLOT_BITS & (POSITION_END - 1));
    if (slot < scan->slot_first) {
        slot = scan->slot_first;
        position = 0;
    }
    for (uint32_t seen = 0;; seen++) {
        uint32_t used = shoal_map__next(db->used, slot, scan->slot_last);
        if (used != slot) position = 0;
        slot = used;
        if (slot > scan->slot_last || seen == scan->count) break;
        /* pair: leaf.publish */
        uint64_t word = shoal_load_acquire(&db->words[slot]);
        shoal_stretch stretch = shoal_walk__stretch(word, position);
        shoal_walk__visit(thread, &stretch, position, visit, context);
        position = stretch.end;
        if (position < POSITION_END) continue;
        position = 0;
        slot++;
    }
    *cursor = slot > scan->slot_last ? 0 : reverse(position) << SLOT_BITS | slot;
}

/* ---- one at random ---- */

/* The used slot number `rank` of a database. */
static uint32_t nth_used(shoal_db *db, uint32_t rank)
{
    SHOAL_DEBUG_ASSERT(db != NULL);
    SHOAL_DEBUG_ASSERT(rank < SHOAL_SLOTS);
    for (uint32_t i = 0; i < MAP_WORDS; i++) {
        uint64_t bits = shoal_load_relaxed(&db->used[i]);
        uint32_t count = (uint32_t)__builtin_popcountll(bits);
        if (rank >= count) {
            rank -= count;
            continue;
        }
        while (rank-- > 0) bits &= bits - 1;
        return i * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return 0;
}

/* Of `count` slots one, each as likely as it has keys. */
static uint32_t by_keys(shoal_thread *thread, shoal_db *db, const uint32_t *slots, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(count > 0);
    SHOAL_DEBUG_ASSERT(slots[0] < SHOAL_SLOTS);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += shoal_load_relaxed(&db->hots[slots[i]].keys);
    if (sum == 0) return slots[0];
    uint64_t draw = shoal_prng_below(&thread->prng, sum);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t keys = shoal_load_relaxed(&db->hots[slots[i]].keys);
        if (draw < keys) return slots[i];
        draw -= keys;
    }
    return slots[0];
}

/* A used slot, the fuller the likelier: exactly so among few, by a sample among many, which a
 * hash has made alike. */
static uint32_t random_slot(shoal_thread *thread, shoal_db *db, uint32_t used)
{
    SHOAL_DEBUG_ASSERT(used > 0);
    SHOAL_DEBUG_ASSERT(used <= SHOAL_SLOTS);
    uint32_t slots[RANDOM_SLOTS_ALL];
    uint32_t count = 0;
    if (used > RANDOM_SLOTS_ALL) {
        for (; count < RANDOM_SLOTS; count++) {
            slots[count] = nth_used(db, (uint32_t)shoal_prng_below(&thread->prng, used));
        }
        return by_keys(thread, db, slots, count);
    }
    uint32_t slot = shoal_map__next(db->used, 0, SHOAL_SLOTS - 1);
    while (slot < SHOAL_SLOTS && count < used) {
        slots[count++] = slot;
        slot = shoal_map__next(db->used, slot + 1, SHOAL_SLOTS - 1);
    }
    return count == 0 ? 0 : by_keys(thread, db, slots, count);
}

/* What a reservoir of one item has seen. */
typedef struct choice {
    shoal_thread *thread;
    const shoal_item *item;
    uint32_t seen;
} choice;

static void choose(void *context, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    SHOAL_DEBUG_ASSERT(context != NULL);
    choice *chosen = context;
    chosen->seen++;
    if (shoal_prng_below(&chosen->thread->prng, chosen->seen) == 0) chosen->item = item;
}

/* An item of one stretch of a slot, so that all items of the slot are about equally likely: a
 * stretch that is not full may give none. */
static const shoal_item *random_item(shoal_thread *thread, shoal_db *db, uint32_t slot)
{
    SHOAL_DEBUG_ASSERT(slot < SHOAL_SLOTS);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    uint64_t word = shoal_load_acquire(&db->words[slot]); /* pair: leaf.publish */
    uint64_t position = shoal_prng_next(&thread->prng) >> (64 - POSITION_BITS);
    shoal_stretch stretch = shoal_walk__stretch(word, position);
    choice chosen = {.thread = thread};
    shoal_walk__visit(thread, &stretch, 0, choose, &chosen);
    bool only = stretch.end - stretch.base == POSITION_END;
    if (only || shoal_prng_below(&thread->prng, BUCKET_ENTRIES) < chosen.seen) return chosen.item;
    return NULL;
}

/* The first live item that a walk meets, within bounds. */
static const shoal_item *any_item(shoal_thread *thread, uint32_t db)
{
    SHOAL_DEBUG_ASSERT(db < thread->store->database_count);
    SHOAL_DEBUG_ASSERT(thread->stamp != 0);
    choice chosen = {.thread = thread};
    uint64_t cursor = 0;
    const shoal_scan scan = {.db = db, .slot_last = SHOAL_SLOTS - 1, .count = 1};
    for (uint32_t i = 0; i < RANDOM_STRETCHES && chosen.item == NULL; i++) {
        shoal_store_scan(thread, &scan, &cursor, choose, &chosen);
        if (cursor == 0) break;
    }
    return chosen.item;
}

const shoal_item *shoal_store_random(shoal_thread *thread, uint32_t db_index)
{
    SHOAL_ASSERT(db_index < thread->store->database_count);
    SHOAL_ASSERT(thread->stamp != 0);
    shoal_db *db = shoal_store__db(thread->store, SHOAL_PLACE(db_index, 0));
    uint32_t used = 0;
    for (uint32_t i = 0; i < MAP_WORDS; i++) {
        used += (uint32_t)__builtin_popcountll(shoal_load_relaxed(&db->used[i]));
    }
    if (used == 0) return NULL;
    for (uint32_t i = 0; i < RANDOM_ATTEMPTS; i++) {
        uint32_t slot = random_slot(thread, db, used);
        for (uint32_t n = 0; n < RANDOM_ATTEMPTS_SLOT; n++) {
            const shoal_item *item = random_item(thread, db, slot);
            if (item != NULL) return item;
        }
    }
    return any_item(thread, db_index);
}

/* ---- digest ---- */

/* The digest of a compound value as it grows. */
typedef struct value_sum {
    uint64_t sum;
    uint64_t place; /* of the next part; 0 where the parts have no order */
    bool ordered;
} value_sum;

static void add_part(void *context, shoal_slice part)
{
    value_sum *value = context;
    SHOAL_DEBUG_ASSERT(part.data != NULL || part.size == 0);
    SHOAL_DEBUG_ASSERT(value->ordered || value->place == 0);
    value->sum += shoal_prng_mix(shoal_hash(part, value->place));
    if (value->ordered) value->place++;
}

uint64_t shoal_item_digest(const shoal_item *item)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    shoal_value_type type = shoal_item_type(item);
    SHOAL_ASSERT(type != SHOAL_TYPE_NONE);
    if (type == SHOAL_TYPE_STRING) return shoal_hash(shoal_item_string(item, scratch), 0);
    const shoal_value_ops *ops = shoal_value_ops_of(type);
    SHOAL_ASSERT(ops != NULL);
    shoal_compound compound = shoal_item_compound(item);
    value_sum value = {.ordered = type == SHOAL_TYPE_LIST || type == SHOAL_TYPE_STREAM};
    ops->visit(&compound, add_part, &value);
    return value.sum + (uint64_t)type;
}

static uint64_t item_digest(const shoal_item *item, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < SHOAL_DATABASES_MAX);
    uint64_t hash = shoal_hash(shoal_item_name(item), (uint64_t)place + 1);
    hash = shoal_prng_mix(hash ^ shoal_item_digest(item));
    return shoal_prng_mix(hash ^ (uint64_t)shoal_item_expires_ms(item));
}

/* Who is shown every item, and what he keeps. */
typedef struct visitor {
    shoal_store_visitor visit;
    void *context;
} visitor;

/* Shows the items of one chain: entries have no order. */
static void visit_chain(const shoal_bucket *bucket, uint32_t place, const visitor *who)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < SHOAL_DATABASES_MAX);
    SHOAL_DEBUG_ASSERT((uintptr_t)bucket % sizeof *bucket == 0);
    while (bucket != NULL) {
        uint64_t entry = 0;
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            entry = shoal_load_acquire(&bucket->entries[i]); /* pair: bucket.entry */
            if (shoal_entry__is_item(entry))
                who->visit(who->context, shoal_entry__pointer(entry), place);
        }
        bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
    }
}

static void visit_place(const shoal_store *store, uint32_t place, const visitor *who)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < store->database_count);
    SHOAL_DEBUG_ASSERT(store->threads != NULL);
    for (uint64_t position = 0; position < POSITION_END;) {
        /* pair: leaf.publish */
        uint64_t word = shoal_load_acquire(shoal_store__word(store, place));
        shoal_stretch stretch = shoal_walk__stretch(word, position);
        visit_chain(stretch.bucket, place, who);
        position = stretch.end;
    }
}

void shoal_store_visit(const shoal_store *store, shoal_store_visitor visit, void *context)
{
    SHOAL_ASSERT(store->database_count > 0);
    SHOAL_ASSERT(store->threads != NULL);
    visitor who = {visit, context};
    for (uint32_t db = 0; db < store->database_count; db++) {
        _Atomic uint64_t *used = store->databases[db]->used;
        uint32_t slot = shoal_map__next(used, 0, SHOAL_SLOTS - 1);
        while (slot < SHOAL_SLOTS) {
            visit_place(store, SHOAL_PLACE(db, slot), &who);
            slot = shoal_map__next(used, slot + 1, SHOAL_SLOTS - 1);
        }
    }
}

static void add_item(void *context, const shoal_item *item, uint32_t place)
{
    uint64_t *sum = context;
    SHOAL_DEBUG_ASSERT(sum != NULL);
    *sum += item_digest(item, place);
}

uint64_t shoal_store_digest(const shoal_store *store)
{
    uint64_t sum = 0;
    SHOAL_ASSERT(store != NULL);
    shoal_store_visit(store, add_item, &sum);
    return sum;
}
