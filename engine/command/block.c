/* SPDX-License-Identifier: MIT
 *
 * command/block.c - waiting for a key. A command that waits is an errand (errand.c) that stays at
 * its keys: each key with waiters has a queue, which the store tells of every change (an interest);
 * the queue wakes the one in front, which is pushed to the gates of its keys again and runs there
 * behind the present holder. It takes what there is and goes home, or waits on, in its old place.
 *
 *      errand.waiting      NONE ---> WAITING <---> WOKEN ---> DONE
 *                            |  first run  wake, cancel        |
 *                            +---------------------------------+  never waited, or told at once
 *
 * Claims:
 *   B1  Queues and waiters are touched under the gate of their key only; an errand enters and
 *       leaves all its queues under all its gates.
 *   B2  One run at a time. Who takes `waiting` from WAITING to WOKEN, by one compare-and-swap, owns
 *       the operation and pushes it; nobody else does until it has run and is WAITING again, which
 *       is the last touch of that run. So no operation is in two queues of gates.
 *   B3  Nothing is lost. A key that changes while the errand is WOKEN changes before that run, or
 *       after the run let its gates go, and then it is WAITING: either the run or a wake sees it.
 *   B4  One answer. Timeouts, CLIENT UNBLOCK and disconnects only leave a reason in `waiting`; what
 *       takes an element and what gives up is decided by the one run, under the gates. A run that
 *       finds a reason takes nothing.
 *   B5  Order. In a queue, waiters are served in the order in which they began to wait, among those
 *       that want the type that is there: only the first of these is woken, and a run takes only
 *       from keys where it is the first. (A command that never waited and stands at the gate before
 *       the woken one runs before it, as it came before.)
 *   B6  No herd. A change wakes one waiter. A run that ends, served or not, passes on: it wakes the
 *       next in each of its queues if there is still a value of the type. So a thousand waiters
 *       cost one handler for each element.
 *   B7  An errand is freed by its own worker when it has come home; DONE, and out of all queues, it
 *       was before.
 */
#include "command/block.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/extended.h"
#include "command/handlers.h"
#include "command/worker.h"

/* States of errand.waiting, in its low byte; a shoal_unblock stands above. */
enum { NONE = 0, WAITING = 1, WOKEN = 2, DONE = 3 };
#define STATE(word) ((word)&0xFFu)
#define REASON(word) ((word) >> 8)

typedef struct waiter waiter;

/* Who waits for one key, oldest first. It lives as long as somebody does. */
typedef struct queue {
    shoal_interest interest; /* first; the name is below */
    waiter *first, *last;
    char name[];
} queue;

/* An errand in the queue of one of its keys. */
struct waiter {
    waiter *next, *previous;
    queue *at;
    shoal_errand *errand;
    uint32_t key; /* index in the errand's keys */
};

struct shoal_block {
    shoal_value_type type; /* that it waits for */
    uint32_t count;        /* waiters: distinct keys */
    uint32_t capacity;     /* of waiters */
    uint32_t woken_by;     /* index of the waiter whose key woke it: writer, who made it WOKEN */
    waiter waiters[];
};

/* ---- queues, under the gate of their key ---- */

static shoal_value_type type_at(shoal_thread *thread, const queue *at)
{
    const shoal_item *item = shoal_store_get(thread, &at->interest.key);
    SHOAL_DEBUG_ASSERT(at->first != NULL);
    return item != NULL ? shoal_item_type(item) : SHOAL_TYPE_NONE;
}

/* The oldest waiter from `from` on that wants this type. */
static waiter *first_for(waiter *from, shoal_value_type type)
{
    SHOAL_DEBUG_ASSERT(type < SHOAL_TYPE_COUNT);
    while (from != NULL && from->errand->block->type != type) from = from->next;
    return from;
}

/* Claim B2. Under the gate of the waiter's key. */
static void wake(waiter *chosen, shoal_thread *thread)
{
    shoal_errand *errand = chosen->errand;
    uint32_t seen = WAITING;
    /* pair: errand.waiting */
    if (!shoal_cas_acq_rel(&errand->waiting, &seen, WOKEN)) return;
    errand->block->woken_by = (uint32_t)(chosen - errand->block->waiters);
    SHOAL_ASSERT(errand->block->woken_by < errand->block->count);
    shoal_errand__again(errand, thread);
}

/* Wakes the first from `from` on who can use what the key holds. */
static void wake_from(queue *at, waiter *from, shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(from == NULL || from->at == at);
    if (from == NULL) return;
    shoal_value_type type = type_at(thread, at);
    waiter *chosen = type != SHOAL_TYPE_NONE ? first_for(from, type) : NULL;
    if (chosen != NULL) wake(chosen, thread);
}

static void changed(shoal_interest *interest, shoal_thread *thread, shoal_change change)
{
    queue *at = (queue *)interest;
    SHOAL_ASSERT(at->first != NULL);
    if (change == SHOAL_CHANGE_VALUE) wake_from(at, at->first, thread);
}

/* The queue of a key, made if there is none. NULL without memory. */
static queue *queue_of(shoal_thread *thread, const shoal_key *key, const shoal_allocator *allocator)
{
    shoal_interest *other = shoal_store_interests_locked(thread, key->place);
    for (; other != NULL; other = other->next) {
        if (other->notify == changed && other->key.hash == key->hash &&
            other->key.place == key->place && shoal_text_equal(other->key.name, key->name))
            return (queue *)other;
    }
    queue *made =
        shoal_memory_take(allocator, sizeof(*made) + key->name.size, _Alignof(max_align_t));
    if (made == NULL) return NULL;
    *made = (queue){.interest = {.key = *key, .notify = changed}};
    if (key->name.size != 0) memcpy(made->name, key->name.data, key->name.size);
    made->interest.key.name.data = made->name;
    shoal_store_interest_add_locked(thread, &made->interest);
    SHOAL_ASSERT(made->first == NULL);
    return made;
}

static void enter_queue(queue *at, waiter *new)
{
    SHOAL_ASSERT((at->first == NULL) == (at->last == NULL));
    new->at = at;
    new->next = NULL;
    new->previous = at->last;
    *(at->last != NULL ? &at->last->next : &at->first) = new;
    at->last = new;
}

/* Takes a waiter out, wakes the next, and frees the queue behind the last. */
static void leave_queue(waiter *old, shoal_thread *thread, const shoal_allocator *allocator)
{
    queue *at = old->at;
    SHOAL_ASSERT(at->first != NULL && at->last != NULL);
    *(old->previous != NULL ? &old->previous->next : &at->first) = old->next;
    *(old->next != NULL ? &old->next->previous : &at->last) = old->previous;
    if (at->first != NULL) {
        wake_from(at, at->first, thread);
        return;
    }
    shoal_store_interest_remove_locked(thread, &at->interest);
    shoal_memory_give(allocator, at, sizeof(*at) + at->interest.key.name.size,
                      _Alignof(max_align_t));
}

/* ---- blocks ---- */

static size_t block_size(uint32_t capacity)
{
    return sizeof(shoal_block) + capacity * sizeof(waiter);
}

static void leave_queues(shoal_errand *errand, shoal_thread *thread)
{
    shoal_block *block = errand->block;
    SHOAL_ASSERT(block->count <= block->capacity);
    for (uint32_t i = 0; i < block->count; i++)
        leave_queue(&block->waiters[i], thread, &errand->origin->env->allocator);
    block->count = 0;
}

/* Enters the queues of all keys, each once. False without memory; then it is in none. */
static bool enter_queues(shoal_errand *errand, const shoal_call *call)
{
    shoal_block *block = errand->block;
    const shoal_allocator *allocator = &call->env->allocator;
    SHOAL_ASSERT(block->capacity <= errand->key_count);
    for (uint32_t i = 0; i < block->capacity; i++) {
        queue *at = queue_of(call->thread, &errand->keys[i], allocator);
        if (at == NULL) {
            leave_queues(errand, call->thread);
            return false;
        }
        /* A key that is named twice: nobody can have come in between. */
        if (at->last != NULL && at->last->errand == errand) continue;
        waiter *new = &block->waiters[block->count++];
        *new = (waiter){.errand = errand, .key = i};
        enter_queue(at, new);
    }
    return true;
}

/* The first time. False without memory. */
static bool begin(shoal_errand *errand, const shoal_call *call)
{
    const shoal_allocator *allocator = &call->env->allocator;
    uint32_t capacity = call->wish.keys;
    SHOAL_ASSERT(capacity > 0);
    shoal_block *block = shoal_memory_take(allocator, block_size(capacity), _Alignof(max_align_t));
    if (block == NULL) return false;
    *block = (shoal_block){.type = call->wish.type, .capacity = capacity};
    errand->block = block;
    if (!enter_queues(errand, call)) {
        shoal_memory_give(allocator, block, block_size(capacity), _Alignof(max_align_t));
        errand->block = NULL;
        return false;
    }
    shoal_add_relaxed(&call->env->blocked, 1);
    return true;
}

/* At the errand's worker: it waits. */
static void take_news(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)((char *)op - offsetof(shoal_errand, news));
    shoal_worker *worker = runner;
    SHOAL_ASSERT(worker == errand->origin);
    if (errand->deadline.key != SHOAL_NEVER) shoal_heap_push(&worker->deadlines, &errand->deadline);
    /* The host must know that it may last. */
    if (!errand->session->dead) shoal_worker__wake(errand->session);
}

/* Tells the worker that the errand is going to wait. */
static void tell(shoal_errand *errand, const shoal_call *call, bool here)
{
    SHOAL_ASSERT(call->wish.deadline_us > 0);
    errand->deadline.key = call->wish.deadline_us;
    if (!here) {
        errand->news.run = take_news;
        shoal_worker__post(errand->origin, &errand->news);
    } else if (errand->deadline.key != SHOAL_NEVER) {
        shoal_heap_push(&errand->origin->deadlines, &errand->deadline);
    }
}

static void answer(shoal_unblock why, shoal_reply *reply)
{
    SHOAL_ASSERT(why != SHOAL_UNBLOCK__NONE);
    if (why == SHOAL_UNBLOCK__TIMEOUT) {
        shoal_reply_null_array(reply);
    } else if (why == SHOAL_UNBLOCK__ERROR) {
        shoal_reply_error(reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    } else if (why == SHOAL_UNBLOCK__ROLE) {
        shoal_reply_error(reply, "UNBLOCKED force unblock from blocking operation, instance state "
                                 "changed (master -> replica?)");
    }
}

bool shoal_block__resume(shoal_errand *errand, shoal_call *call)
{
    call->block = errand->block;
    if (errand->block == NULL) return true;
    /* pair: errand.waiting */
    uint32_t word = shoal_load_acquire(&errand->waiting);
    SHOAL_ASSERT(STATE(word) == WOKEN);
    if (REASON(word) == SHOAL_UNBLOCK__NONE) return true;
    answer((shoal_unblock)REASON(word), &call->reply);
    return false;
}

bool shoal_block__wait(shoal_errand *errand, shoal_call *call, bool here)
{
    SHOAL_ASSERT(call->gated && call->wish.type != SHOAL_TYPE_NONE);
    uint32_t seen = WOKEN;
    if (errand->block == NULL) {
        if (!begin(errand, call)) {
            shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
            return false;
        }
        tell(errand, call, here);
        seen = NONE;
    } else {
        shoal_block *block = errand->block;
        for (uint32_t i = 0; i < block->count; i++)
            wake_from(block->waiters[i].at, block->waiters[i].next, call->thread);
    }
    /* pair: errand.waiting */
    if (shoal_cas_acq_rel(&errand->waiting, &seen, WAITING)) return true;
    answer((shoal_unblock)REASON(seen), &call->reply);
    return false;
}

void shoal_block__leave(shoal_errand *errand, shoal_thread *thread)
{
    if (errand->block == NULL) return;
    SHOAL_ASSERT(errand->block->count > 0);
    leave_queues(errand, thread);
    shoal_sub_relaxed(&errand->origin->env->blocked, 1);
    /* pair: errand.waiting */
    shoal_store_release(&errand->waiting, DONE);
}

void shoal_block__end(shoal_errand *errand)
{
    if (errand->deadline.inside) shoal_heap_remove(&errand->origin->deadlines, &errand->deadline);
    if (errand->block == NULL) return;
    SHOAL_ASSERT(errand->block->count == 0);
    shoal_memory_give(&errand->origin->env->allocator, errand->block,
                      block_size(errand->block->capacity), _Alignof(max_align_t));
    errand->block = NULL;
}

bool shoal_block__cancel(shoal_errand *errand, shoal_unblock why)
{
    shoal_worker *worker = errand->origin;
    SHOAL_ASSERT(worker->inside && why != SHOAL_UNBLOCK__NONE);
    /* pair: errand.waiting */
    uint32_t seen = shoal_load_acquire(&errand->waiting), next;
    do {
        if (REASON(seen) != SHOAL_UNBLOCK__NONE || STATE(seen) == DONE) return false;
        /* Before its first run only the end of its session can be foreseen. Its time can be over in
         * that run: where it runs the clock may be behind, and it has told before it waits. */
        if (STATE(seen) == NONE && why != SHOAL_UNBLOCK__GONE && why != SHOAL_UNBLOCK__TIMEOUT)
            return false;
        next = (uint32_t)why << 8 | (STATE(seen) == WAITING ? WOKEN : STATE(seen));
        /* pair: errand.waiting */
    } while (!shoal_cas_acq_rel(&errand->waiting, &seen, next));
    if (STATE(seen) == WAITING) shoal_errand__again(errand, worker->thread);
    return true;
}

bool shoal_block__waits(const shoal_errand *errand)
{
    uint32_t word = shoal_load_relaxed(&errand->waiting);
    SHOAL_DEBUG_ASSERT(STATE(word) <= DONE);
    return (STATE(word) == WAITING || STATE(word) == WOKEN) && REASON(word) == SHOAL_UNBLOCK__NONE;
}

/* Lets an errand that waits run again, as if one of its keys had changed. */
static void look_again(shoal_errand *errand, shoal_thread *thread)
{
    uint32_t seen = WAITING;
    /* pair: errand.waiting */
    if (!shoal_cas_acq_rel(&errand->waiting, &seen, WOKEN)) return;
    SHOAL_ASSERT(errand->block->woken_by < errand->block->count);
    shoal_errand__again(errand, thread);
}

/* Slots have gone, or the cluster is down: who waits there is told when it runs. */
static void send_away(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    for (shoal_session *each = worker->sessions.first; each != NULL; each = each->all.next) {
        if (each->errand == NULL || !shoal_block__waits(each->errand)) continue;
        look_again(each->errand, worker->thread);
    }
}

/* This node follows another one from now on: who waits for a key must not change anything. */
static void end_for_role(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    for (shoal_session *each = worker->sessions.first; each != NULL; each = each->all.next) {
        if (each->errand == NULL || !shoal_block__waits(each->errand)) continue;
        if (shoal_block__cancel(each->errand, SHOAL_UNBLOCK__ROLE)) each->closing = true;
    }
}

void shoal_block__tick(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    uint32_t demotions = shoal_load_relaxed(&worker->env->demotions);
    if (worker->demotions != demotions) end_for_role(worker);
    worker->demotions = demotions;
    uint32_t reroutes = shoal_load_relaxed(&worker->env->reroutes);
    if (worker->reroutes != reroutes) send_away(worker);
    worker->reroutes = reroutes;
    for (;;) {
        shoal_heap_node *first = worker->deadlines.first;
        if (first == NULL || first->key > worker->now.mono_us) return;
        shoal_heap_remove(&worker->deadlines, first);
        (void)shoal_block__cancel((shoal_errand *)((char *)first -
                                                   offsetof(shoal_errand, deadline)),
                                  SHOAL_UNBLOCK__TIMEOUT);
    }
}

void shoal_block_look_again(shoal_env *env)
{
    SHOAL_ASSERT(env->worker_count > 0);
    shoal_add_relaxed(&env->reroutes, 1u);
    if (shoal_load_relaxed(&env->blocked) != 0) shoal_worker_rouse(env);
}

/* ---- for handlers ---- */

/* Whole milliseconds, rounded up, of a number of seconds that is not negative; INT64_MAX when there
 * are more. */
static int64_t milliseconds(shoal_extended seconds)
{
    SHOAL_ASSERT(!seconds.negative || seconds.mantissa == 0);
    if (seconds.infinite) return INT64_MAX;
    unsigned __int128 thousands = (unsigned __int128)seconds.mantissa * 1000;
    if (thousands == 0) return 0;
    if (seconds.exponent >= 64) return INT64_MAX;
    if (seconds.exponent < 0) {
        int32_t shift = -seconds.exponent;
        if (shift > 80) return 1;
        unsigned __int128 whole = thousands >> shift;
        thousands = whole + (whole << shift != thousands);
    } else {
        if (thousands >> (126 - seconds.exponent) != 0) return INT64_MAX;
        thousands <<= seconds.exponent;
    }
    return thousands < INT64_MAX ? (int64_t)thousands : INT64_MAX;
}

bool shoal_call__timeout(shoal_call *call, uint32_t index, int64_t *deadline_us)
{
    SHOAL_ASSERT(index < call->argc);
    shoal_extended seconds;
    if (!shoal_extended__parse(call->argv[index], &seconds)) {
        shoal_reply_error(&call->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    if (seconds.negative && seconds.mantissa != 0) {
        shoal_reply_error(&call->reply, "ERR timeout is negative");
        return false;
    }
    int64_t ms = milliseconds(seconds);
    if (ms > INT64_MAX - call->now.wall_us / 1000) {
        shoal_reply_error(&call->reply, "ERR timeout is out of range");
        return false;
    }
    /* What is beyond the clock's range is as good as never. */
    *deadline_us = SHOAL_NEVER;
    if (ms != 0 && ms <= (INT64_MAX - 1 - call->now.mono_us) / 1000)
        *deadline_us = call->now.mono_us + ms * 1000;
    return true;
}

bool shoal_call__next_key(const shoal_call *call, uint32_t *turn, uint32_t *key)
{
    const shoal_block *block = call->block;
    SHOAL_DEBUG_ASSERT(call->gated);
    if (block == NULL) {
        *key = *turn;
        return (*turn)++ < call->key_count;
    }
    while (*turn < block->count) {
        uint32_t at = (*turn)++;
        /* The one that woke it stands in front, the others behind it in their order. */
        if (at == 0) {
            at = block->woken_by;
        } else if (at <= block->woken_by) {
            at--;
        }
        const waiter *own = &block->waiters[at];
        if (type_at(call->thread, own->at) != block->type) continue;
        if (first_for(own->at->first, block->type) != own) continue;
        *key = own->key;
        return true;
    }
    return false;
}

void shoal_call__block(shoal_call *call, shoal_wish wish)
{
    SHOAL_ASSERT(wish.type != SHOAL_TYPE_NONE && wish.keys > 0 && wish.keys <= call->key_count);
    SHOAL_ASSERT(call->gated && (call->command->flags & SHOAL_FLAG_BLOCKING) != 0);
    if (shoal_call__may_block(call)) {
        call->wish = wish;
    } else {
        shoal_reply_null_array(&call->reply);
    }
}
