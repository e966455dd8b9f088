/* SPDX-License-Identifier: MIT
 *
 * store/snapshot.c - the passage: through the buckets of one place after the other, under its gate,
 * a few at a time. An item's position never changes (walk.c), so "behind the cursor" is a
 * comparison, whatever has been rebuilt meanwhile.
 *
 * Claims:
 *   S1  Under the gate of its place a key is behind the cursor, or before it, and stays so until a
 *       step with that gate. A step hands out what it passes, so a change is told by whoever makes
 *       it (behind) or found by the step (before), never neither.
 *   S2  An object that is too large for a step is put on a list with its name when its bucket is
 *       passed; it is behind the cursor from then on, and found again by name. What is at the name
 *       when the next piece is due may be another value: then the change has been told, and the
 *       rest is dropped.
 */
#include "base/hash.h"
#include "base/text.h"
#include "store/internal.h"

/* An object in the middle of being handed out. */
typedef struct unfinished {
    struct unfinished *next;
    const shoal_object *object; /* compared only, until it is found at the name */
    uint64_t hash;
    uint64_t number;
    uint64_t cursor;
    size_t name_size;
    char name[];
} unfinished;

struct shoal_passage {
    shoal_store *store;
    shoal_snapshot_sink sink;
    /* The place that the passage is at; behind `last` at the end. writer: a step, under the gate of
     * the place that it leaves, release. readers: holders of any gate, acquire.
     * pair: passage.place */
    _Atomic uint32_t place;
    uint32_t last;
    uint64_t position; /* in `place`, under its gate: what is before it has been passed */
    uint64_t numbers;  /* of objects, given so far */
    unfinished *first; /* all of `place`, under its gate */
};

shoal_err shoal_passage_open(shoal_thread *thread, const shoal_snapshot_sink *sink, uint32_t first,
                             uint32_t last, shoal_passage **out)
{
    SHOAL_ASSERT(sink->take != NULL);
    SHOAL_ASSERT(first <= last && SHOAL_PLACE_DB(last) < thread->store->database_count);
    shoal_passage *passage =
        shoal_memory_take_zeroed(&thread->store->allocator, sizeof *passage, SHOAL_ALIGN_PLAIN);
    if (passage == NULL) return SHOAL_ERR_NO_MEMORY;
    passage->store = thread->store;
    passage->sink = *sink;
    shoal_store_relaxed(&passage->place, first);
    passage->last = last;
    *out = passage;
    return SHOAL_ERR_OK;
}

/* The place that the passage is at, for the steps, which alone write it. */
static uint32_t here(const shoal_passage *passage)
{
    SHOAL_DEBUG_ASSERT(passage->store != NULL);
    SHOAL_DEBUG_ASSERT(passage->position <= POSITION_END);
    return shoal_load_relaxed(&passage->place);
}

static size_t unfinished_size(size_t name_size)
{
    SHOAL_DEBUG_ASSERT(name_size <= SHOAL_KEY_SIZE_MAX);
    return sizeof(unfinished) + name_size;
}

/* Takes the first off the list. */
static void drop_first(shoal_passage *passage)
{
    unfinished *first = passage->first;
    SHOAL_ASSERT(first != NULL);
    SHOAL_DEBUG_ASSERT(here(passage) <= passage->last);
    passage->first = first->next;
    shoal_memory_give(&passage->store->allocator, first, unfinished_size(first->name_size),
                      SHOAL_ALIGN_PLAIN);
}

void shoal_passage_close(shoal_passage *passage, shoal_thread *thread)
{
    SHOAL_ASSERT(thread->store == passage->store);
    SHOAL_DEBUG_ASSERT(passage->position <= POSITION_END);
    while (passage->first != NULL) drop_first(passage);
    shoal_memory_give(&thread->store->allocator, passage, sizeof *passage, SHOAL_ALIGN_PLAIN);
}

bool shoal_passage_is_behind(const shoal_passage *passage, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, passage->store->seed));
    SHOAL_DEBUG_ASSERT(key->place <= passage->last);
    /* Where it is the key's own place, what the gate guards follows. pair: passage.place */
    uint32_t place = shoal_load_acquire(&passage->place);
    if (key->place != place) return key->place < place;
    return key->hash >> (64 - POSITION_BITS) < passage->position;
}

bool shoal_passage_is_within(const shoal_passage *passage, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(key->hash == shoal_hash(key->name, passage->store->seed));
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) < passage->store->database_count);
    if (key->place != shoal_load_acquire(&passage->place)) return false; /* pair: passage.place */
    for (const unfinished *at = passage->first; at != NULL; at = at->next) {
        shoal_slice name = {at->name, at->name_size};
        if (at->hash == key->hash && shoal_text_equal(name, key->name)) return true;
    }
    return false;
}

/* ---- handing out ---- */

void shoal_snapshot__item(shoal_thread *thread, const shoal_snapshot_sink *sink, uint32_t place,
                          const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(shoal_item__object(item) == NULL);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(place) < thread->store->database_count);
    shoal_snapshot_part part = {.place = place, .item = item};
    sink->take(sink->context, thread, &part);
}

/* What one step has to do with. */
typedef struct step {
    shoal_passage *passage;
    shoal_thread *thread;
    uint32_t budget;
} step;

static void spend(step *now, uint32_t units)
{
    SHOAL_DEBUG_ASSERT(units > 0);
    SHOAL_DEBUG_ASSERT(now->thread->stamp != 0);
    now->budget = now->budget > units ? now->budget - units : 0;
}

/* Notes an object whose rest comes later. Without memory the rest comes at once. */
static void put_off(step *now, const shoal_item *item, shoal_snapshot_part *part)
{
    shoal_passage *passage = now->passage;
    shoal_slice name = shoal_item_name(item);
    SHOAL_ASSERT(!part->done);
    SHOAL_ASSERT(part->object != NULL);
    unfinished *more = shoal_memory_take(&passage->store->allocator, unfinished_size(name.size),
                                         SHOAL_ALIGN_PLAIN);
    if (more == NULL) {
        part->budget = UINT32_MAX;
        part->item = NULL;
        passage->sink.take(passage->sink.context, now->thread, part);
        SHOAL_ASSERT(part->done);
        return;
    }
    *more = (unfinished){.next = passage->first,
                         .object = part->object,
                         .hash = shoal_hash(name, passage->store->seed),
                         .number = part->number,
                         .cursor = part->cursor,
                         .name_size = name.size};
    if (name.size > 0) memcpy(more->name, name.data, name.size);
    passage->first = more;
}

static void hand_out(void *context, const shoal_item *item)
{
    step *now = context;
    shoal_passage *passage = now->passage;
    shoal_object *object = shoal_item__object(item);
    SHOAL_DEBUG_ASSERT(!shoal_item__is_expired(item, now->thread->now_ms));
    SHOAL_DEBUG_ASSERT(here(passage) <= passage->last);
    spend(now, 1);
    if (object == NULL) {
        shoal_snapshot__item(now->thread, &passage->sink, here(passage), item);
        return;
    }
    shoal_snapshot_part part = {.place = here(passage),
                                .item = item,
                                .object = object,
                                .number = ++passage->numbers,
                                .budget = now->budget};
    passage->sink.take(passage->sink.context, now->thread, &part);
    now->budget = part.budget < now->budget ? part.budget : now->budget;
    if (!part.done) put_off(now, item, &part);
}

/* Takes the first unfinished object a piece further. */
static void go_on(step *now)
{
    shoal_passage *passage = now->passage;
    unfinished *first = passage->first;
    shoal_key key = {{first->name, first->name_size}, first->hash, here(passage)};
    shoal_leaf leaf = shoal_table__leaf(passage->store, &key);
    shoal_spot spot;
    const shoal_item *item = shoal_table__locate(&leaf, &key, &spot);
    SHOAL_DEBUG_ASSERT(first->number > 0);
    SHOAL_DEBUG_ASSERT(now->budget > 0);
    shoal_snapshot_part part = {.place = here(passage),
                                .number = first->number,
                                .cursor = first->cursor,
                                .budget = now->budget};
    if (item != NULL && shoal_item__object(item) == first->object) part.object = first->object;
    part.gone = part.object == NULL;
    passage->sink.take(passage->sink.context, now->thread, &part);
    first->cursor = part.cursor;
    now->budget = part.budget < now->budget ? part.budget : now->budget;
    spend(now, 1);
    if (part.done || part.gone) drop_first(passage);
}

/* Goes through the place while the budget lasts: true when nothing of it is left. */
static bool step_place(step *now)
{
    shoal_passage *passage = now->passage;
    SHOAL_DEBUG_ASSERT(passage->position <= POSITION_END);
    SHOAL_DEBUG_ASSERT(now->budget > 0);
    while (now->budget > 0) {
        if (passage->first != NULL) {
            go_on(now);
            continue;
        }
        if (passage->position == POSITION_END) return true;
        uint64_t word = shoal_load_relaxed(shoal_store__word(passage->store, here(passage)));
        shoal_stretch stretch = shoal_walk__stretch(word, passage->position);
        shoal_walk__visit(now->thread, &stretch, passage->position, hand_out, now);
        passage->position = stretch.end;
        spend(now, 1);
    }
    return false;
}

bool shoal_passage_step(shoal_passage *passage, shoal_thread *thread, uint32_t budget)
{
    SHOAL_ASSERT(thread->stamp != 0 && thread->store == passage->store);
    SHOAL_ASSERT(budget > 0);
    step now = {passage, thread, budget};
    while (here(passage) <= passage->last && now.budget > 0) {
        uint32_t place = here(passage);
        if (!shoal_gate__take(thread, place)) break;
        if (step_place(&now)) {
            passage->position = 0;
            shoal_store_release(&passage->place, place + 1); /* pair: passage.place */
        }
        shoal_gate__release(thread, place);
    }
    return here(passage) > passage->last;
}
