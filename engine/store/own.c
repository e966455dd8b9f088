/* SPDX-License-Identifier: MIT
 *
 * store/own.c - keys with a time to live that were written here, on a node that keeps a copy of
 * another one (a writable replica). Nobody else knows of them, so nobody will say that they are
 * gone; what came from the master stays until it says so. The sweep cannot tell one from the other:
 * each such write leaves a note with the name, which thread 0 looks at when it is due.
 *
 * A note is a hint. When it is due, what stands under the name now decides: nothing, something with
 * a later time, or with none. So a name may have several notes, and none is ever taken back.
 */
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "store/internal.h"
#include "store/limits.h"

/* Notes there may be: some hundred megabytes at most. Chosen. */
#define NOTES_MAX (1u << 20)
/* Those that are looked at in one go. Chosen: some tens of microseconds. */
#define STEP_NOTES 64u
/* Soonest wish to go on, and when a place is looked at again whose gate was held. */
#define SOON_US 1000
#define RETRY_MS 1
/* How often notes are taken in from other threads while there may be some. Chosen. */
#define POLL_US 100000

/* One write. */
typedef struct note {
    shoal_op op; /* first: on the way to thread 0 */
    shoal_heap_node due;
    uint64_t hash;
    uint32_t place, era;
    size_t size; /* of the name */
    char name[];
} note;

static size_t memory_of(size_t name)
{
    SHOAL_DEBUG_ASSERT(name <= SIZE_MAX - sizeof(note));
    SHOAL_DEBUG_ASSERT(offsetof(note, op) == 0);
    return sizeof(note) + name;
}

static note *note_at(shoal_heap_node *due)
{
    SHOAL_ASSERT(due != NULL);
    note *of = (note *)(void *)((char *)due - offsetof(note, due));
    SHOAL_DEBUG_ASSERT(!of->due.inside || of->due.key >= 0);
    return of;
}

void shoal_own__note(shoal_thread *thread, const shoal_key *key, int64_t expires_ms)
{
    shoal_store *store = thread->store;
    size_t size = memory_of(key->name.size);
    SHOAL_ASSERT(expires_ms >= 0);
    SHOAL_ASSERT(thread->stamp != 0);
    if (shoal_load_relaxed(&store->own.count) >= NOTES_MAX) return;
    note *made = shoal_memory_take(&store->allocator, size, SHOAL_ALIGN_PLAIN);
    if (made == NULL) return;
    *made = (note){.due = {.key = expires_ms},
                   .hash = key->hash,
                   .place = key->place,
                   .era = shoal_load_relaxed(&store->own.era),
                   .size = key->name.size};
    if (key->name.size > 0) memcpy(made->name, key->name.data, key->name.size);
    shoal_add_relaxed(&store->own.count, 1u);
    shoal_thread_charge(thread, (int64_t)size);
    (void)shoal_inbox_push(&store->own.inbox, &made->op);
}

static void forget(shoal_store *store, note *of)
{
    SHOAL_ASSERT(!of->due.inside);
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&store->own.count) > 0);
    shoal_add_relaxed(&store->own.count, (uint32_t)-1);
    shoal_thread_charge(&store->threads[0], -(int64_t)memory_of(of->size));
    shoal_memory_give(&store->allocator, of, memory_of(of->size), SHOAL_ALIGN_PLAIN);
}

static void take_in(shoal_store *store)
{
    shoal_op *op = shoal_inbox_take(&store->own.inbox);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    while (op != NULL) {
        note *of = (note *)op;
        op = op->next;
        SHOAL_ASSERT(!of->due.inside);
        shoal_heap_push(&store->own.heap, &of->due);
    }
}

/* Looks at the key of a note that is due; the note waits again, or is gone. */
static void settle(shoal_thread *thread, note *of)
{
    shoal_store *store = thread->store;
    const shoal_key key = {{of->name, of->size}, of->hash, of->place};
    int64_t next_ms = -1;
    SHOAL_ASSERT(of->due.key <= thread->now_ms);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(of->place) < store->database_count);
    if (of->era == shoal_load_relaxed(&store->own.era)) {
        next_ms = thread->now_ms + RETRY_MS;
        if (shoal_gate__take(thread, key.place)) {
            next_ms = shoal_write__expire(thread, &key);
            shoal_gate__release(thread, key.place);
        }
    }
    if (next_ms < 0) {
        forget(store, of);
        return;
    }
    of->due.key = next_ms;
    shoal_heap_push(&store->own.heap, &of->due);
}

int64_t shoal_own__step(shoal_thread *thread)
{
    shoal_store *store = thread->store;
    SHOAL_ASSERT(thread->stamp != 0);
    SHOAL_DEBUG_ASSERT(thread->index < store->thread_count);
    bool notes = shoal_load_relaxed(&store->own.notes);
    if (thread->index != 0) return INT64_MAX;
    if (LIKELY(!notes && shoal_load_relaxed(&store->own.count) == 0)) return INT64_MAX;
    take_in(store);
    /* A master's keys are the sweep's. */
    if (!shoal_load_relaxed(&store->keeps_expired)) shoal_own__clear(store);
    for (uint32_t i = 0; i < STEP_NOTES && store->own.heap.first != NULL; i++) {
        note *of = note_at(store->own.heap.first);
        if (of->due.key > thread->now_ms) break;
        shoal_heap_remove(&store->own.heap, &of->due);
        settle(thread, of);
    }
    int64_t most_us = notes ? POLL_US : INT64_MAX;
    if (store->own.heap.first == NULL) return most_us;
    int64_t wait_us = (store->own.heap.first->key - thread->now_ms) * 1000;
    if (wait_us > most_us) return most_us;
    return wait_us > SOON_US ? wait_us : SOON_US;
}

void shoal_own__clear(shoal_store *store)
{
    take_in(store);
    while (store->own.heap.first != NULL) {
        note *of = note_at(store->own.heap.first);
        shoal_heap_remove(&store->own.heap, &of->due);
        forget(store, of);
    }
    SHOAL_ASSERT(store->own.heap.first == NULL);
}

void shoal_store_note_own(shoal_store *store, bool on)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    shoal_store_relaxed(&store->own.notes, on);
}

bool shoal_store_own_waits(const shoal_store *store)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    return shoal_load_relaxed(&store->own.inbox.head) != NULL;
}

void shoal_store_forget_own(shoal_store *store)
{
    SHOAL_ASSERT(store->threads != NULL);
    SHOAL_DEBUG_ASSERT(store->thread_count > 0);
    shoal_add_relaxed(&store->own.era, 1u);
}
