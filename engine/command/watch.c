/* SPDX-License-Identifier: MIT
 *
 * command/watch.c - WATCH and UNWATCH; see watch.h. WATCH is read and checked on the session's own
 * thread, which also makes the memory; then it runs under the gates of its keys, like any command.
 */
#include "command/watch.h"

#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "base/sort.h"
#include "base/text.h"
#include "command/handlers.h"
#include "command/worker.h"

/* One watched key. */
typedef struct watch {
    shoal_interest interest; /* first; the name is below */
    struct watch *next;
    shoal_watches *set;
    bool registered; /* in the store */
    bool existed;    /* the key, when it was registered */
    char name[];
} watch;

struct shoal_watches {
    shoal_gate_op gate;   /* of its release; first */
    _Atomic bool touched; /* writers: whoever changes a key, under its gate; relaxed: who needs it
                             exactly holds the gates */
    watch *first;
    uint32_t count;
    uint32_t *places; /* room for `capacity` of them */
    uint32_t capacity;
    size_t bytes; /* of the watches with their names */
    const shoal_allocator *allocator;
};

bool shoal_watches__touched(const shoal_watches *watches)
{
    SHOAL_DEBUG_ASSERT(watches != NULL);
    return shoal_load_relaxed(&watches->touched);
}

uint32_t shoal_watches__count(const shoal_watches *watches)
{
    SHOAL_DEBUG_ASSERT(watches != NULL);
    return watches->count;
}

size_t shoal_watches__memory(const shoal_watches *watches)
{
    SHOAL_DEBUG_ASSERT(watches->count <= watches->capacity);
    return sizeof(*watches) + watches->capacity * sizeof(*watches->places) + watches->bytes;
}

void shoal_watches__places(const shoal_watches *watches, uint32_t *out)
{
    uint32_t count = 0;
    for (const watch *each = watches->first; each != NULL; each = each->next)
        out[count++] = each->interest.key.place;
    SHOAL_ASSERT(count == watches->count);
}

/* ---- changes, under the gate of the key ---- */

static void changed(shoal_interest *interest, shoal_thread *thread, shoal_change change)
{
    watch *each = (watch *)interest;
    (void)thread;
    SHOAL_ASSERT(each->registered);
    /* What was not there can only be put there: anything else is the end of a value whose time had
     * come before it came here (SWAPDB), or of its place. */
    if (!each->existed && change != SHOAL_CHANGE_VALUE) return;
    shoal_store_relaxed(&each->set->touched, true);
}

static void free_watch(watch *each, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(!each->registered);
    shoal_memory_give(allocator, each, sizeof(*each) + each->interest.key.name.size,
                      _Alignof(max_align_t));
}

static void free_set(shoal_watches *watches)
{
    SHOAL_ASSERT(watches->first == NULL);
    const shoal_allocator *allocator = watches->allocator;
    shoal_memory_give(allocator, watches->places, watches->capacity * sizeof(uint32_t),
                      _Alignof(max_align_t));
    shoal_memory_give(allocator, watches, sizeof(*watches), _Alignof(max_align_t));
}

/* Under the gates of all its places. */
static void drop_all(shoal_watches *watches, shoal_thread *thread)
{
    watch *next;
    for (watch *each = watches->first; each != NULL; each = next) {
        next = each->next;
        if (each->registered) shoal_store_interest_remove_locked(thread, &each->interest);
        each->registered = false;
        free_watch(each, watches->allocator);
    }
    watches->first = NULL;
    free_set(watches);
}

bool shoal_watches__end_locked(shoal_watches *watches, shoal_thread *thread)
{
    SHOAL_ASSERT(watches->count > 0);
    /* A key whose time has come is removed by the look, which tells us. */
    for (const watch *each = watches->first; each != NULL; each = each->next)
        (void)shoal_store_get_locked(thread, &each->interest.key);
    bool intact = !shoal_load_relaxed(&watches->touched);
    drop_all(watches, thread);
    return intact;
}

/* ---- letting go ---- */

static int compare_places(const void *a, const void *b, void *context)
{
    (void)context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void release(shoal_op *op, void *runner)
{
    drop_all((shoal_watches *)op, runner);
}

void shoal_watches__release(shoal_session *session)
{
    shoal_watches *watches = session->watches;
    if (watches == NULL) return;
    SHOAL_ASSERT(session->worker->inside);
    session->watches = NULL;
    if (watches->count == 0) {
        free_set(watches);
        return;
    }
    SHOAL_ASSERT(watches->count <= watches->capacity);
    uint32_t *places = watches->places, count = 1;
    shoal_watches__places(watches, places);
    shoal_sort((shoal_sort_array){places, watches->count, sizeof(*places)}, compare_places, NULL);
    for (uint32_t i = 1; i < watches->count; i++) {
        if (places[i] != places[count - 1]) places[count++] = places[i];
    }
    watches->gate = (shoal_gate_op){.op = {.run = release}, .places = places, .count = count};
    (void)shoal_gate_push(session->worker->thread, &watches->gate);
}

/* ---- WATCH ---- */

static shoal_watches *make_set(const shoal_allocator *allocator)
{
    shoal_watches *made = shoal_memory_take_zeroed(allocator, sizeof(*made), _Alignof(max_align_t));
    if (made != NULL) made->allocator = allocator;
    return made;
}

/* Room for the places of `more` further keys. */
static bool reserve(shoal_watches *watches, uint32_t more)
{
    SHOAL_ASSERT(more > 0);
    uint64_t need = (uint64_t)watches->count + more, capacity = watches->capacity;
    if (need <= capacity) return true;
    if (capacity == 0) capacity = 8;
    while (capacity < need) capacity *= 2;
    if (capacity > UINT32_MAX) return false;
    uint32_t *places =
        shoal_memory_take(watches->allocator, capacity * sizeof(*places), _Alignof(max_align_t));
    if (places == NULL) return false;
    shoal_memory_give(watches->allocator, watches->places, watches->capacity * sizeof(*places),
                      _Alignof(max_align_t));
    watches->places = places;
    watches->capacity = (uint32_t)capacity;
    return true;
}

static bool is_watched(const shoal_watches *watches, const shoal_key *key)
{
    const watch *each = watches->first;
    for (; each != NULL; each = each->next) {
        const shoal_key *known = &each->interest.key;
        if (known->hash == key->hash && known->place == key->place &&
            shoal_text_equal(known->name, key->name))
            return true;
    }
    return false;
}

/* Adds the keys of the call that are not watched yet, to be registered under their gates. False
 * without memory; what has been added then is no harm. */
static bool add_keys(shoal_watches *watches, const shoal_call *call)
{
    if (!reserve(watches, call->key_count)) return false;
    for (uint32_t i = 0; i < call->key_count; i++) {
        const shoal_key *key = &call->keys[i];
        if (is_watched(watches, key)) continue;
        watch *new = shoal_memory_take(watches->allocator, sizeof(*new) + key->name.size,
                                       _Alignof(max_align_t));
        if (new == NULL) return false;
        *new = (watch){.interest = {.key = *key, .notify = changed}, .set = watches};
        if (key->name.size != 0) memcpy(new->name, key->name.data, key->name.size);
        new->interest.key.name.data = new->name;
        new->next = watches->first;
        watches->first = new;
        watches->count++;
        watches->bytes += sizeof(*new) + key->name.size;
    }
    SHOAL_ASSERT(watches->count <= watches->capacity);
    return true;
}

static bool has_gate_of(const shoal_call *call, uint32_t place)
{
    SHOAL_DEBUG_ASSERT(call->gated);
    for (uint32_t i = 0; i < call->key_count; i++) {
        if (call->keys[i].place == place) return true;
    }
    return false;
}

/* Under the gates of the call's keys. What else is not registered is of a WATCH that failed. */
static void register_keys(shoal_call *call)
{
    SHOAL_ASSERT(call->gated && call->watches != NULL);
    for (watch *each = call->watches->first; each != NULL; each = each->next) {
        if (each->registered || !has_gate_of(call, each->interest.key.place)) continue;
        each->registered = true;
        each->existed = shoal_store_get_locked(call->thread, &each->interest.key) != NULL;
        shoal_store_interest_add_locked(call->thread, &each->interest);
    }
    shoal_reply_ok(&call->reply);
}

void shoal_command__watch(shoal_call *call)
{
    if (call->gated) {
        register_keys(call);
        return;
    }
    shoal_session *session = call->session;
    SHOAL_ASSERT(session != NULL && call->key_count > 0);
    if (session->multi != NULL) {
        shoal_reply_error(&call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (session->watches == NULL) session->watches = make_set(&call->env->allocator);
    if (session->watches == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else if (shoal_watches__touched(session->watches)) {
        /* EXEC is lost already. */
        shoal_reply_ok(&call->reply);
    } else if (!add_keys(session->watches, call)) {
        shoal_watches__release(session);
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else {
        call->watches = session->watches;
        shoal_session__run_gated(session, call);
    }
}

void shoal_command__unwatch(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    shoal_watches__release(call->session);
    shoal_reply_ok(&call->reply);
}
