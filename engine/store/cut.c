/* SPDX-License-Identifier: MIT
 *
 * store/cut.c - what all places hold at one moment, handed out while they are written. A place's
 * positions (walk.c) are divided into cells of a few keys each, as many as suit the number of keys
 * at the moment of the cut. A bit says of each cell whether it has been handed out. Steps go
 * through the cells one after the other; who is about to change something in a cell that has not
 * been handed out does that first. So a key is handed out once, as it was, and what is kept besides
 * the data is a bit for some four keys.
 *
 * Claims:
 *   C1  One moment. An operation reads the word `cut` once, when it begins to run with all its
 *       gates: all it does is before the cut or behind it. What follows from it, follows by a gate,
 *       or by something that the program does, both of which order the reads of the word: a place
 *       never holds something behind the cut below something before it.
 *   C2  Nothing is missed. No cell is handed out before every thread has ended the batch in which
 *       it may have read an older word (base/epoch.h: who enters later has acquired the cut). So an
 *       operation before the cut is over when the first cell of its places is handed out.
 *       Where a place without keys is passed by, nobody has emptied it behind the cut: who did had
 *       touched it before, and who sees no keys sees that too.
 *   C3  Nothing is changed. Behind the cut the cell of a key is handed out before anything in the
 *       place changes for the key, by put, removal, expiry, eviction and the loss of a whole place.
 *       Cells are cut by the first bits of the hash, which tags have in full: growth, splits and
 *       merges move items between buckets, never between cells.
 *   C4  Bounded steps. A cell has some four keys, whatever the place grows to, since no key joins
 *       it before it has been handed out. Of an object a writer hands out what it is about to
 *       change, up to SHOAL_CUT_OBJECT_MAX bytes; larger ones that tell what changes in them are
 *       handed out by pieces that are about to change, and options.late is about the rest.
 *       One that is removed is kept until the steps have handed it out, and so is a place that is
 *       cleared. One that tells and goes to another key takes its record with it, and the steps
 *       are told of the place, which they may have passed: they go there before they go on, and
 *       no cut is over while they have not.
 *
 * Threads: what stands in a cut_place belongs to the holder of the gate of its place.
 */
#include "store/internal.h"

/* Keys of a cell on average: few, for the writer who hands them out. */
#define CELL_KEYS 4u
/* Most cells of a place, as bits: a tag tells the cell of its entry. With more keys than a million
 * the cells of a place have more than CELL_KEYS. */
#define CELL_BITS_MAX TAG_BITS
/* So many cells have their bits in one word. */
#define CELL_BITS_WORD 6u
/* Elements of an object that are handed out with its cell by a writer. */
#define WRITER_ELEMENTS 16u
/* Places without anything to hand out that a step goes over for one of its budget. */
#define PLACES_A_UNIT 16u

/* An object that has begun to be handed out, or is to be. */
typedef struct cut_object {
    struct cut_object *next;
    shoal_object *object;
    uint64_t number;
    uint64_t cursor;
    bool late;    /* it has been changed since the cut */
    bool watched; /* the sink is told what changes */
    bool kept;    /* it is reachable here only: retired when it is done */
} cut_object;

/* An object that is being handed out has come to a place. */
typedef struct cut_notice {
    shoal_op op; /* first: it travels by inbox */
    uint32_t place;
} cut_notice;

/* What few places need. */
typedef struct cut_more {
    cut_object *objects;
    uint64_t tree; /* the word of what the place held before it was cleared, or 0 */
} cut_more;

/* One place. */
typedef struct cut_place {
    uint64_t cells; /* the bits, or with more than 64 cells the address of their words */
    cut_more *more; /* or NULL */
    uint32_t next;  /* cells before this one have been handed out */
    uint8_t bits;   /* 1 << bits cells */
    bool done;      /* nothing is left */
    /* It has been looked at behind the cut. writer: the gate's holder, readers: steps, relaxed:
     * ordered by the number of keys (claim C2) */
    _Atomic bool touched;
} cut_place;

_Static_assert(sizeof(cut_place) == 24, "small beside what a place holds");

struct shoal_cut {
    _Alignas(16) shoal_store *store;
    shoal_cut_options options;
    uint64_t stamp;   /* of the batch in which it was published */
    int64_t now_ms;   /* what had expired by then is not part of it */
    bool alone;       /* one thread: no operation can be under way */
    uint32_t place;   /* where the steps are */
    bool left_behind; /* in this round a gate was held */
    bool within;      /* the steps are in the middle of an object of the place */
    bool over;
    shoal_inbox moves;        /* notices, pushed under the gate of their place */
    cut_notice *notices;      /* the steps': those that have been taken, oldest first */
    _Atomic bool aborted;     /* writer: any, readers: any, relaxed: nothing depends on when */
    _Atomic uint64_t numbers; /* relaxed: numbers of objects given so far */
    cut_place *places[SHOAL_DATABASES_MAX];
};

/* ---- memory ---- */

#define PLACES_SIZE (sizeof(cut_place) * SHOAL_SLOTS)

/* Takes zeroed memory that is counted as the store's. What is large comes from below the slabs,
 * where pages that are never touched cost nothing. */
static void *take(shoal_thread *thread, size_t size)
{
    SHOAL_ASSERT(size > 0);
    SHOAL_ASSERT(thread->stamp != 0);
    bool large = size > SHOAL_SLAB_SIZE_MAX;
    void *memory =
        large ? shoal_memory_take_zeroed(&thread->store->allocator, size, SHOAL_ALIGN_PLAIN)
              : shoal_slab_take(&thread->slab, size, SHOAL_ALIGN_PLAIN);
    if (memory == NULL) return NULL;
    if (!large) memset(memory, 0, size);
    int64_t bytes = (int64_t)shoal_store__usable(thread->store, size, SHOAL_ALIGN_PLAIN);
    shoal_bump_relaxed(&thread->counters.bytes, bytes);
    if (large) shoal_bump_relaxed(&thread->counters.bytes_beside, bytes);
    return memory;
}

static void give(shoal_thread *thread, void *memory, size_t size)
{
    SHOAL_ASSERT(size > 0);
    SHOAL_DEBUG_ASSERT(thread->store != NULL);
    if (memory == NULL) return;
    int64_t bytes = (int64_t)shoal_store__usable(thread->store, size, SHOAL_ALIGN_PLAIN);
    shoal_bump_relaxed(&thread->counters.bytes, -bytes);
    if (size <= SHOAL_SLAB_SIZE_MAX) {
        shoal_slab_give(&thread->slab, memory, size, SHOAL_ALIGN_PLAIN);
        return;
    }
    shoal_bump_relaxed(&thread->counters.bytes_beside, -bytes);
    shoal_memory_give(&thread->store->allocator, memory, size, SHOAL_ALIGN_PLAIN);
}

static size_t map_size(uint32_t bits)
{
    SHOAL_ASSERT(bits > CELL_BITS_WORD);
    SHOAL_ASSERT(bits <= CELL_BITS_MAX);
    return ((size_t)1 << bits) / 8;
}

/* What a cut takes of the allocator, but for what single places need. */
static uint64_t cut_bytes(const shoal_cut *cut)
{
    SHOAL_DEBUG_ASSERT(cut->store != NULL);
    SHOAL_DEBUG_ASSERT(cut->store->database_count > 0);
    uint64_t places = shoal_store__usable(cut->store, PLACES_SIZE, SHOAL_ALIGN_PLAIN);
    return shoal_store__usable(cut->store, sizeof *cut, SHOAL_ALIGN_PLAIN) +
           places * cut->store->database_count;
}

void shoal_cut__free(shoal_thread *thread, shoal_cut *cut)
{
    SHOAL_ASSERT(cut->over);
    SHOAL_ASSERT(cut->store == thread->store);
    uint64_t bytes = cut_bytes(cut);
    for (uint32_t db = 0; db < cut->store->database_count; db++)
        give(thread, cut->places[db], PLACES_SIZE);
    give(thread, cut, sizeof *cut);
    shoal_bump_relaxed(&thread->counters.bytes_limbo, -bytes);
}

/* ---- cells ---- */

static cut_place *place_of(const shoal_cut *cut, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < cut->store->database_count);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&shoal_store__hot(cut->store, place)->gate) != 0);
    return &cut->places[SHOAL_PLACE_DB(place)][SHOAL_PLACE_SLOT(place)];
}

/* The word with the bit of a cell. */
static uint64_t *cell_word(cut_place *at, uint32_t cell)
{
    SHOAL_DEBUG_ASSERT(!at->done);
    SHOAL_DEBUG_ASSERT(cell >> at->bits == 0);
    if (at->bits <= CELL_BITS_WORD) return &at->cells;
    return (uint64_t *)(uintptr_t)at->cells + cell / 64;
}

/* Divides a place into cells, when it is looked at for the first time. */
static void touch(shoal_thread *thread, uint32_t place, cut_place *at)
{
    SHOAL_ASSERT(!shoal_load_relaxed(&at->touched));
    SHOAL_ASSERT(at->more == NULL && at->cells == 0);
    uint32_t keys = shoal_load_relaxed(&shoal_store__hot(thread->store, place)->keys);
    shoal_store_relaxed(&at->touched, true);
    at->done = keys == 0;
    while (at->bits < CELL_BITS_MAX && keys >> at->bits > CELL_KEYS) at->bits++;
    if (at->bits <= CELL_BITS_WORD) return;
    uint64_t *words = take(thread, map_size(at->bits));
    /* Without memory for more bits, the cells are larger. */
    if (words == NULL) at->bits = CELL_BITS_WORD;
    at->cells = (uint64_t)(uintptr_t)words;
}

static cut_more *more_of(shoal_thread *thread, cut_place *at)
{
    SHOAL_DEBUG_ASSERT(!at->done);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&at->touched));
    if (at->more == NULL) at->more = take(thread, sizeof *at->more);
    return at->more;
}

/* ---- handing out ---- */

/* What is being handed out of a place, and how much may be. */
typedef struct delivery {
    shoal_thread *thread;
    shoal_cut *cut;
    cut_place *at;
    uint32_t place;
    uint32_t budget;
    uint64_t tree; /* what the place held before it was cleared, or 0 */
} delivery;

static void spend(delivery *now, uint32_t units)
{
    SHOAL_DEBUG_ASSERT(units > 0);
    SHOAL_DEBUG_ASSERT(now->thread->stamp != 0);
    now->budget = now->budget > units ? now->budget - units : 0;
}

static void call_sink(const delivery *now, shoal_snapshot_part *part)
{
    const shoal_snapshot_sink *sink = &now->cut->options.sink;
    SHOAL_DEBUG_ASSERT(part->place == now->place);
    SHOAL_DEBUG_ASSERT(!part->done);
    if (shoal_load_relaxed(&now->cut->aborted)) {
        part->done = true;
        return;
    }
    sink->take(sink->context, now->thread, part);
}

/* Hands out what is left of an object at once. */
static void finish(const delivery *now, shoal_snapshot_part *part)
{
    SHOAL_ASSERT(part->object != NULL);
    SHOAL_ASSERT(!part->done);
    part->budget = UINT32_MAX;
    part->item = NULL;
    call_sink(now, part);
    SHOAL_ASSERT(part->done);
}

/* Begins to hand an object out, with at most `elements`. */
static void begin_object(delivery *now, const shoal_item *item, uint32_t elements)
{
    shoal_snapshot_part part = {.place = now->place,
                                .item = item,
                                .object = shoal_item__object(item),
                                .number = shoal_add_relaxed(&now->cut->numbers, 1u) + 1,
                                .budget = elements};
    SHOAL_DEBUG_ASSERT(part.object != NULL);
    SHOAL_DEBUG_ASSERT(elements > 0);
    call_sink(now, &part);
    if (part.budget < elements) spend(now, elements - part.budget);
    if (part.done) return;
    cut_more *more = more_of(now->thread, now->at);
    cut_object *rest = more == NULL ? NULL : take(now->thread, sizeof *rest);
    if (rest == NULL) {
        finish(now, &part);
        return;
    }
    *rest = (cut_object){.next = more->objects,
                         .object = shoal_item__object(item),
                         .number = part.number,
                         .cursor = part.cursor,
                         .watched = part.watch != NULL};
    SHOAL_ASSERT(rest->object->watch == NULL);
    rest->object->watch = part.watch;
    more->objects = rest;
}

static void hand_out(delivery *now, const shoal_item *item, uint32_t elements)
{
    SHOAL_DEBUG_ASSERT(shoal_item_type(item) != SHOAL_TYPE_NONE);
    SHOAL_DEBUG_ASSERT(elements > 0);
    spend(now, 1);
    const shoal_cut *cut = now->cut;
    if (!cut->options.keeps_expired && shoal_item__is_expired(item, cut->now_ms)) return;
    if (shoal_item__object(item) != NULL) {
        begin_object(now, item, elements);
    } else {
        shoal_snapshot_part part = {.place = now->place, .item = item, .budget = elements};
        call_sink(now, &part);
        if (part.budget < elements) spend(now, elements - part.budget);
    }
}

/* Asks for the items of a bucket, and their values' first bytes, together. */
static void foresee_bucket(const shoal_bucket *bucket)
{
    SHOAL_DEBUG_ASSERT(bucket != NULL);
    for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
        uint64_t entry = shoal_load_relaxed(&bucket->entries[i]);
        if (!shoal_entry__is_item(entry)) continue;
        __builtin_prefetch(shoal_entry__pointer(entry));
        __builtin_prefetch((const char *)shoal_entry__pointer(entry) + 64);
    }
}

/* Hands out the items of a chain whose positions lie in [from, to). */
static void hand_out_chain(delivery *now, const shoal_stretch *stretch, uint64_t from, uint64_t to)
{
    SHOAL_DEBUG_ASSERT(from < to);
    SHOAL_DEBUG_ASSERT(stretch->base < stretch->end);
    uint32_t elements = now->budget < WRITER_ELEMENTS ? WRITER_ELEMENTS : now->budget;
    const shoal_bucket *bucket = stretch->bucket;
    while (bucket != NULL) {
        uint64_t entry = 0;
        foresee_bucket(bucket);
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            entry = shoal_load_relaxed(&bucket->entries[i]);
            if (!shoal_entry__is_item(entry)) continue;
            uint64_t at = stretch->base + (shoal_entry__tag(entry) << stretch->tag_shift);
            if (at >= from && at < to) hand_out(now, shoal_entry__pointer(entry), elements);
        }
        bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
    }
}

static void hand_out_cell(delivery *now, uint32_t cell)
{
    uint64_t *bits = cell_word(now->at, cell);
    uint64_t bit = (uint64_t)1 << cell % 64;
    SHOAL_ASSERT((*bits & bit) == 0);
    SHOAL_ASSERT(now->at->next <= cell);
    *bits |= bit;
    uint64_t word = now->tree;
    if (word == 0) word = shoal_load_relaxed(shoal_store__word(now->cut->store, now->place));
    uint32_t shift = POSITION_BITS - now->at->bits;
    uint64_t from = (uint64_t)cell << shift, to = (uint64_t)(cell + 1) << shift;
    for (uint64_t position = from; position < to;) {
        shoal_stretch stretch = shoal_walk__stretch(word, position);
        hand_out_chain(now, &stretch, from, to);
        position = stretch.end;
        spend(now, 1);
    }
}

/* ---- before a change ---- */

void shoal_cut__before(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_ASSERT(thread->cut != NULL);
    cut_place *at = place_of(thread->cut, key->place);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    if (!shoal_load_relaxed(&at->touched)) touch(thread, key->place, at);
    if (at->done || (at->more != NULL && at->more->tree != 0)) return;
    uint32_t cell = at->bits == 0 ? 0 : (uint32_t)(key->hash >> (64 - at->bits));
    if (*cell_word(at, cell) >> cell % 64 & 1) return;
    delivery now = {thread, thread->cut, at, key->place, WRITER_ELEMENTS, 0};
    hand_out_cell(&now, cell);
}

/* The record of an object, and what leads to it; NULL when there is none. */
static cut_object **find_object(const cut_place *at, const shoal_object *object)
{
    SHOAL_DEBUG_ASSERT(object != NULL);
    SHOAL_DEBUG_ASSERT(!at->done || at->more == NULL);
    if (at->more == NULL) return NULL;
    for (cut_object **to = &at->more->objects; *to != NULL; to = &(*to)->next) {
        if ((*to)->object == object) return to;
    }
    return NULL;
}

/* Takes a record off its list; what it kept goes to the limbo, where it is counted already. */
static void drop_object(shoal_thread *thread, cut_object **from)
{
    cut_object *gone = *from;
    SHOAL_ASSERT(gone != NULL);
    SHOAL_ASSERT(thread->stamp != 0);
    *from = gone->next;
    if (gone->watched) gone->object->watch = NULL;
    if (gone->kept)
        shoal_limbo__retire(thread, CORPSE_OBJECT, shoal_limbo__object(gone->object, false), 0);
    give(thread, gone, sizeof *gone);
}

/* Hands out what is left of an object, whose record `*from` is, at once. */
static void finish_object(shoal_thread *thread, uint32_t place, cut_object **from)
{
    const cut_object *rest = *from;
    SHOAL_ASSERT(rest != NULL);
    SHOAL_ASSERT(thread->cut != NULL);
    const delivery now = {.thread = thread,
                          .cut = thread->cut,
                          .at = place_of(thread->cut, place),
                          .place = place};
    shoal_snapshot_part part = {.place = place,
                                .object = rest->object,
                                .number = rest->number,
                                .cursor = rest->cursor,
                                .late = rest->late};
    finish(&now, &part);
    drop_object(thread, from);
}

void shoal_cut__before_object(shoal_thread *thread, uint32_t place, shoal_object *object)
{
    SHOAL_ASSERT(thread->cut != NULL);
    SHOAL_ASSERT(object != NULL);
    cut_object **from = find_object(place_of(thread->cut, place), object);
    if (from == NULL || (*from)->watched) return;
    if (thread->cut->options.late && object->bytes > SHOAL_CUT_OBJECT_MAX) {
        (*from)->late = true;
    } else {
        finish_object(thread, place, from);
    }
}

void shoal_cut__before_move(shoal_thread *thread, uint32_t place, shoal_object *object)
{
    SHOAL_ASSERT(thread->cut != NULL);
    SHOAL_ASSERT(object != NULL);
    cut_object **from = find_object(place_of(thread->cut, place), object);
    if (from != NULL && !(*from)->watched) finish_object(thread, place, from);
}

/* Makes a place, which may be done, ready for an object more. NULL without memory. */
static cut_more *reopen(shoal_thread *thread, uint32_t place)
{
    cut_place *at = place_of(thread->cut, place);
    if (!shoal_load_relaxed(&at->touched)) touch(thread, place, at);
    if (!at->done) return more_of(thread, at);
    SHOAL_ASSERT(at->more == NULL && at->cells == 0);
    at->more = take(thread, sizeof *at->more);
    if (at->more == NULL) return NULL;
    /* One cell, which has been handed out. */
    at->done = false;
    at->bits = 0;
    at->cells = 1;
    at->next = 1;
    return at->more;
}

void shoal_cut__moved(shoal_thread *thread, uint32_t from, uint32_t to, shoal_object *object)
{
    SHOAL_ASSERT(thread->cut != NULL);
    if (from == to) return;
    cut_object **found = find_object(place_of(thread->cut, from), object);
    if (found == NULL) return;
    SHOAL_ASSERT((*found)->watched && !(*found)->kept);
    cut_notice *notice = take(thread, sizeof *notice);
    cut_more *more = notice != NULL ? reopen(thread, to) : NULL;
    if (more == NULL) {
        give(thread, notice, sizeof *notice);
        finish_object(thread, from, found);
        return;
    }
    cut_object *rest = *found;
    *found = rest->next;
    rest->next = more->objects;
    more->objects = rest;
    notice->place = to;
    (void)shoal_inbox_push(&thread->cut->moves, &notice->op);
}

bool shoal_cut__keeps(shoal_thread *thread, uint32_t place, shoal_object *object)
{
    SHOAL_ASSERT(thread->cut != NULL);
    SHOAL_ASSERT(object->bytes > 0);
    cut_object **from = find_object(place_of(thread->cut, place), object);
    if (from == NULL) return false;
    (*from)->kept = true;
    shoal_bump_relaxed(&thread->counters.bytes_limbo, object->bytes);
    const shoal_cut_options *options = &thread->cut->options;
    if (options->kept != NULL)
        options->kept(options->sink.context, (*from)->cursor, (uint64_t)object->bytes);
    return true;
}

bool shoal_cut__keeps_tree(shoal_thread *thread, uint32_t place, uint64_t word)
{
    SHOAL_ASSERT(thread->cut != NULL);
    SHOAL_ASSERT((word & WORD_FLAGS) == 0 && word != 0);
    cut_place *at = place_of(thread->cut, place);
    if (!shoal_load_relaxed(&at->touched)) touch(thread, place, at);
    if (at->done || (at->more != NULL && at->more->tree != 0)) return false;
    cut_more *more = more_of(thread, at);
    if (more == NULL) {
        /* Without memory even for this, all of the place is handed out now. */
        delivery now = {thread, thread->cut, at, place, UINT32_MAX, word};
        for (uint32_t cell = 0; cell >> at->bits == 0; cell++) {
            if (!(*cell_word(at, cell) >> cell % 64 & 1)) hand_out_cell(&now, cell);
        }
        return false;
    }
    more->tree = word;
    uint64_t bytes = shoal_load_relaxed(&shoal_store__hot(thread->store, place)->bytes);
    shoal_bump_relaxed(&thread->counters.bytes_limbo, (int64_t)bytes);
    return true;
}

/* ---- steps ---- */

/* Takes the first object of the place a piece further. */
static void step_object(delivery *now)
{
    cut_object *first = now->at->more->objects;
    SHOAL_ASSERT(first != NULL);
    SHOAL_ASSERT(now->budget > 0);
    shoal_snapshot_part part = {.place = now->place,
                                .object = first->object,
                                .number = first->number,
                                .cursor = first->cursor,
                                .budget = now->budget,
                                .late = first->late};
    call_sink(now, &part);
    first->cursor = part.cursor;
    if (part.budget < now->budget) now->budget = part.budget;
    spend(now, 1);
    if (part.done) drop_object(now->thread, &now->at->more->objects);
}

/* The next cell that has not been handed out; behind the last one when there is none. */
static uint32_t next_cell(cut_place *at)
{
    uint32_t end = (uint32_t)1 << at->bits;
    SHOAL_DEBUG_ASSERT(at->next <= end);
    SHOAL_DEBUG_ASSERT(!at->done);
    while (at->next < end && (*cell_word(at, at->next) >> at->next % 64 & 1)) {
        bool full = at->next % 64 == 0 && *cell_word(at, at->next) == UINT64_MAX;
        at->next += full ? 64 : 1;
    }
    return at->next < end ? at->next : end;
}

/* Nothing is left of the place: what was kept for it goes. */
static void end_place(const delivery *now)
{
    cut_place *at = now->at;
    SHOAL_ASSERT(!at->done);
    SHOAL_ASSERT(at->more == NULL || at->more->objects == NULL);
    if (at->more != NULL) {
        if (at->more->tree != 0) shoal_limbo__retire(now->thread, CORPSE_TREE, at->more->tree, 0);
        give(now->thread, at->more, sizeof *at->more);
        at->more = NULL;
    }
    if (at->bits > CELL_BITS_WORD)
        give(now->thread, (void *)(uintptr_t)at->cells, map_size(at->bits));
    at->cells = 0;
    at->done = true;
}

/* Goes through the place while the budget lasts: true when nothing of it is left. */
static bool step_place(delivery *now)
{
    cut_place *at = now->at;
    SHOAL_DEBUG_ASSERT(now->budget > 0);
    if (!shoal_load_relaxed(&at->touched)) touch(now->thread, now->place, at);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&at->touched));
    while (!at->done && now->budget > 0) {
        if (!shoal_limbo__reserve(now->thread, 1)) return false;
        if (at->more != NULL && at->more->objects != NULL) {
            step_object(now);
            continue;
        }
        uint32_t cell = next_cell(at);
        if (cell >> at->bits == 0) {
            hand_out_cell(now, cell);
        } else {
            end_place(now);
        }
    }
    return at->done;
}

/* True when the place has nothing to hand out. Without its gate: what it had at the cut, somebody
 * would have touched before it went (claim C2). */
static bool is_empty(const shoal_cut *cut, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < cut->store->database_count);
    SHOAL_DEBUG_ASSERT(!cut->over);
    const cut_place *at = &cut->places[SHOAL_PLACE_DB(place)][SHOAL_PLACE_SLOT(place)];
    /* The keys first: who empties the place has touched it before. pair: cut.emptied */
    return shoal_load_acquire(&shoal_store__hot(cut->store, place)->keys) == 0 &&
           !shoal_load_relaxed(&at->touched);
}

/* Goes through a place, whose gate is held, while the budget lasts: true when nothing is left. */
static bool go_through(shoal_cut *cut, shoal_thread *thread, uint32_t place, uint32_t *budget)
{
    cut_place *at = place_of(cut, place);
    uint64_t tree = at->more == NULL ? 0 : at->more->tree;
    delivery now = {thread, cut, at, place, *budget, tree};
    SHOAL_ASSERT(*budget > 0);
    bool over = step_place(&now);
    *budget = now.budget;
    return over;
}

/* Goes through the places that objects have come to, which the steps may have passed: true when
 * there are no more of them for now. */
static bool step_moved(shoal_cut *cut, shoal_thread *thread, uint32_t *budget)
{
    SHOAL_ASSERT(*budget > 0);
    _Static_assert(offsetof(cut_notice, op) == 0, "a notice begins with its operation");
    cut_notice **end = &cut->notices;
    while (*end != NULL) end = (cut_notice **)(void *)&(*end)->op.next;
    *end = (cut_notice *)shoal_inbox_take(&cut->moves);
    while (cut->notices != NULL && *budget > 0) {
        cut_notice *first = cut->notices;
        uint32_t place = first->place;
        if (!shoal_gate__take(thread, place)) return false;
        bool over = go_through(cut, thread, place, budget);
        shoal_gate__release(thread, place);
        if (!over) return false;
        cut->notices = (cut_notice *)first->op.next;
        give(thread, first, sizeof *first);
    }
    return cut->notices == NULL;
}

/* Does what there is to do in the place where the steps are, and goes on to the next if that can
 * be: false when the budget is over. */
static bool step_on(shoal_cut *cut, shoal_thread *thread, uint32_t *budget)
{
    uint32_t place = cut->place;
    SHOAL_ASSERT(place < SHOAL_PLACE(cut->store->database_count, 0));
    SHOAL_ASSERT(*budget > 0);
    if (is_empty(cut, place)) {
        if (place % PLACES_A_UNIT == 0) --*budget;
    } else if (!shoal_gate__take(thread, place)) {
        /* A sink may hold back what comes behind an object until that is done. */
        if (cut->within) return false;
        cut->left_behind = true;
        --*budget;
    } else {
        bool over = go_through(cut, thread, place, budget);
        const cut_more *more = place_of(cut, place)->more;
        cut->within = more != NULL && more->objects != NULL;
        shoal_gate__release(thread, place);
        if (!over) return false;
    }
    cut->place++;
    return true;
}

bool shoal_cut_step(shoal_cut *cut, shoal_thread *thread, uint32_t budget)
{
    SHOAL_ASSERT(thread->stamp != 0 && thread->store == cut->store);
    SHOAL_ASSERT(budget > 0);
    if (cut->over) return true;
    if (!cut->alone && !shoal_epoch_passed(&cut->store->epoch, cut->stamp)) {
        shoal_epoch_advance(&cut->store->epoch);
        return false;
    }
    uint32_t end = SHOAL_PLACE(cut->store->database_count, 0);
    while (cut->place < end && budget > 0) {
        if (!cut->within && !step_moved(cut, thread, &budget)) return false;
        if (budget == 0 || !step_on(cut, thread, &budget)) break;
    }
    if (cut->place < end) return false;
    uint32_t rest = budget > 0 ? budget : 1;
    if (!step_moved(cut, thread, &rest)) return false;
    cut->over = !cut->left_behind;
    cut->place = 0;
    cut->left_behind = false;
    return cut->over;
}

/* ---- life ---- */

shoal_err shoal_cut_begin(shoal_thread *thread, const shoal_cut_options *options, shoal_cut **out)
{
    SHOAL_ASSERT(thread->stamp != 0 && options->sink.take != NULL);
    SHOAL_ASSERT(thread->taken == 0);
    shoal_store *store = thread->store;
    if (shoal_load_relaxed(&store->cut) != NULL) return SHOAL_ERR_BUSY;
    shoal_cut *cut = take(thread, sizeof *cut);
    if (cut == NULL) return SHOAL_ERR_NO_MEMORY;
    cut->store = store;
    cut->options = *options;
    cut->stamp = thread->stamp;
    cut->now_ms = thread->now_ms;
    cut->alone = thread->alone;
    bool made = true;
    for (uint32_t db = 0; db < store->database_count && made; db++) {
        cut->places[db] = take(thread, PLACES_SIZE);
        made = cut->places[db] != NULL;
    }
    shoal_cut *none = NULL;
    /* pair: cut.publish */
    if (made && shoal_cas_acq_rel(&store->cut, &none, cut)) {
        *out = cut;
        return SHOAL_ERR_OK;
    }
    cut->over = true;
    for (uint32_t db = 0; db < store->database_count; db++)
        give(thread, cut->places[db], PLACES_SIZE);
    give(thread, cut, sizeof *cut);
    return made ? SHOAL_ERR_BUSY : SHOAL_ERR_NO_MEMORY;
}

bool shoal_cut_taken(const shoal_store *store)
{
    SHOAL_DEBUG_ASSERT(store->database_count > 0);
    return shoal_load_relaxed(&store->cut) != NULL;
}

void shoal_cut_abort(shoal_cut *cut)
{
    SHOAL_ASSERT(cut->store != NULL);
    SHOAL_DEBUG_ASSERT(cut->options.sink.take != NULL);
    shoal_store_relaxed(&cut->aborted, true);
}

bool shoal_cut_end(shoal_cut *cut, shoal_thread *thread)
{
    SHOAL_ASSERT(cut->over);
    SHOAL_ASSERT(thread->stamp != 0);
    if (!shoal_limbo__reserve(thread, 1)) return false;
    /* pair: cut.publish */
    shoal_cut *was = shoal_exchange_acq_rel(&thread->store->cut, (shoal_cut *)NULL);
    SHOAL_ASSERT(was == cut);
    shoal_limbo__retire(thread, CORPSE_CUT, (uint64_t)(uintptr_t)cut, cut_bytes(cut));
    return true;
}
