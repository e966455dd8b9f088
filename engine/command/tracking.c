/* SPDX-License-Identifier: MIT
 *
 * command/tracking.c - see tracking.h: from a change to those who are to hear of it.
 */
#include "command/tracking.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/sort.h"
#include "base/text.h"
#include "command/multi.h"
#include "command/pubsub.h"
#include "command/worker.h"
#include "store/change.h"
#include "store/places.h"

/* Keys that a round lets go while there are more than tracking-table-max-keys. */
#define EVICTED_A_ROUND 100u
/* Forgotten keys that a round frees, and buckets that it looks at for them: some 50 us. */
#define SWEPT_A_ROUND 256u
#define BUCKETS_A_ROUND 4096u
/* The channel in which clients of RESP2 hear of changes that are redirected to them. */
#define CHANNEL "__redis__:invalidate"

/* What is said to a worker. */
typedef enum what { KEY, ALL, SEND, BROKEN, AGAIN } what;

/* On its way; bytes follow: a name, or what is sent. */
typedef struct parcel {
    shoal_op op; /* first */
    what kind;
    uint32_t worker; /* SEND: whose client redirects */
    uint64_t hash;   /* KEY */
    uint64_t writer; /* KEY: client; SEND: that redirects; BROKEN: the same */
    uint64_t target; /* SEND, BROKEN: client that it redirects to */
    size_t size;
} parcel;

/* ---- parcels ---- */

static void arrive(shoal_op *op, void *runner)
{
    (void)op;
    (void)runner;
    SHOAL_UNREACHABLE();
}

/* Sends a parcel; without memory for it false. */
static bool post(shoal_env *env, uint32_t worker, const parcel *head, shoal_slice bytes)
{
    SHOAL_ASSERT(worker < env->worker_count);
    parcel *made =
        shoal_memory_take(&env->allocator, sizeof(*made) + bytes.size, SHOAL_ALIGN_PLAIN);
    if (made == NULL) return false;
    *made = *head;
    made->op.run = arrive;
    made->size = bytes.size;
    if (bytes.size > 0) memcpy(made + 1, bytes.data, bytes.size);
    if (shoal_inbox_push(&env->workers[worker]->changes, &made->op))
        env->host->nudge(env->host->context, 1 + worker);
    return true;
}

static void unpack(const shoal_env *env, parcel *gone)
{
    SHOAL_DEBUG_ASSERT(gone->op.run == arrive);
    shoal_memory_give(&env->allocator, gone, sizeof(*gone) + gone->size, SHOAL_ALIGN_PLAIN);
}

static shoal_slice bytes_of(const parcel *from)
{
    return (shoal_slice){(const char *)(from + 1), from->size};
}

/* To each worker with clients that track. A worker that has no memory for it is told, by a flag,
 * that it has missed something. */
static void tell(shoal_env *env, const parcel *head, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(head->kind == KEY || head->kind == ALL);
    for (uint32_t i = 0; i < env->worker_count; i++) {
        shoal_worker *worker = env->workers[i];
        if (worker == NULL || shoal_load_relaxed(&worker->tracker_count) == 0) continue;
        if (post(env, i, head, bytes)) continue;
        shoal_store_relaxed(&worker->changes_lost, true);
        env->host->nudge(env->host->context, 1 + i);
    }
}

void shoal_tracking__changed(shoal_env *env, const shoal_key *key, uint64_t id)
{
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    const parcel head = {.kind = KEY, .hash = key->hash, .writer = id};
    tell(env, &head, key->name);
}

bool shoal_tracking__asked(shoal_env *env, const shoal_thread *thread)
{
    SHOAL_DEBUG_ASSERT(env->worker_count > 0);
    if (__builtin_expect(shoal_thread_index(thread) < env->worker_count, 1))
        return shoal_tracking__wanted(env);
    /* pair: env.trackers */
    return shoal_add_acq_rel(&env->trackers, 0u) != 0;
}

void shoal_tracking__gone(shoal_env *env, const shoal_thread *thread,
                          const shoal_departure *departure)
{
    if (!shoal_tracking__asked(env, thread)) return;
    shoal_key key = shoal_key_make(env->store, SHOAL_PLACE_DB(departure->place),
                                   shoal_item_name(departure->item));
    shoal_tracking__changed(env, &key, 0);
}

void shoal_tracking_flushed(shoal_env *env)
{
    const parcel head = {.kind = ALL};
    SHOAL_ASSERT(env->worker_count > 0);
    /* pair: env.trackers */
    if (shoal_add_acq_rel(&env->trackers, 0u) != 0) tell(env, &head, (shoal_slice){NULL, 0});
}

/* ---- telling sessions ---- */

/* Has a command of the session begun whose reply is still to come, and does this belong behind it?
 * (Claim K3.) */
static bool comes_late(const shoal_tracker *tracker, uint64_t writer)
{
    const shoal_session *session = tracker->session;
    SHOAL_ASSERT(session != NULL && session->tracker == tracker);
    if (session->is_held || session->exec != NULL) return true;
    if (session->errand == NULL) return false;
    const shoal_command *command = session->errand->command;
    return writer == tracker->id || command->id == SHOAL_COMMAND_EXEC ||
           (command->flags & SHOAL_FLAG_READONLY) != 0;
}

/* The message for a session of this worker. Empty: it cannot be told in its protocol. */
static void write_message(const shoal_session *to, bool redirected, shoal_slice body,
                          shoal_buffer *out)
{
    shoal_reply reply = {.out = out, .protocol = to->protocol};
    if (to->protocol > 2) {
        shoal_reply_push(&reply, 2);
        shoal_reply_text(&reply, "invalidate");
    } else if (redirected && shoal_pubsub__subscriptions(to) > 0) {
        shoal_reply_push(&reply, 3);
        shoal_reply_text(&reply, "message");
        shoal_reply_text(&reply, CHANNEL);
    } else {
        return;
    }
    shoal_buffer_append(out, body);
}

static void tell_session(shoal_session *session, shoal_buffer *late, bool redirected,
                         shoal_slice body)
{
    SHOAL_ASSERT(late == NULL || session->tracker != NULL);
    shoal_buffer message = shoal_buffer_make(&session->worker->env->allocator);
    write_message(session, redirected, body, late != NULL ? late : &message);
    /* Half of a message would be worse than none: then it ends. */
    if (message.failed)
        shoal_pubsub__push(session, (shoal_slice){"", 0});
    else if (shoal_buffer_size(&message) > 0)
        shoal_pubsub__push(session, shoal_buffer_slice(&message));
    shoal_buffer_free(&message);
}

/* The client that it redirected to is gone. */
static void tell_broken(shoal_tracker *tracker)
{
    SHOAL_ASSERT(tracker->session != NULL);
    tracker->broken = true;
    if (tracker->session->protocol < 3) return;
    shoal_buffer message = shoal_buffer_make(&tracker->session->worker->env->allocator);
    shoal_reply reply = {.out = &message, .protocol = 3};
    shoal_reply_push(&reply, 2);
    shoal_reply_text(&reply, "tracking-redir-broken");
    shoal_reply_integer(&reply, (int64_t)tracker->options.redirect);
    shoal_pubsub__push(tracker->session, shoal_buffer_slice(&message));
    shoal_buffer_free(&message);
}

/* Tells one client, or whom it redirects to, of a change that `writer` made. */
static void tell_tracker(shoal_worker *worker, shoal_tracker *tracker, uint64_t writer,
                         shoal_slice body)
{
    const shoal_tracking_options *options = &tracker->options;
    SHOAL_ASSERT(tracker->session != NULL && tracker->session->worker == worker);
    if (body.size == 0) {
        /* There was no memory to tell it: it must not go on with what it keeps. */
        shoal_session__kill(tracker->session);
        return;
    }
    if (options->redirect == 0) {
        bool late = comes_late(tracker, writer);
        tell_session(tracker->session, late ? &tracker->late : NULL, false, body);
        return;
    }
    if (options->redirect_worker != worker->index) {
        const parcel head = {.kind = SEND,
                             .worker = worker->index,
                             .writer = tracker->id,
                             .target = options->redirect};
        if (!post(worker->env, options->redirect_worker, &head, body)) tell_broken(tracker);
        return;
    }
    shoal_session *target = shoal_tracking__find_target(worker, options->redirect);
    if (target != NULL) {
        tell_session(target, NULL, true, body);
    } else {
        tell_broken(tracker);
    }
}

void shoal_tracking__deliver(shoal_session *session, shoal_buffer *out)
{
    shoal_buffer *late = &session->tracker->late;
    SHOAL_ASSERT(session->tracker->session == session);
    if ((shoal_buffer_size(late) == 0 && !late->failed) || session->errand != NULL ||
        session->exec != NULL || session->is_held)
        return;
    if (late->failed) session->closing = true;
    shoal_buffer_append(out, shoal_buffer_slice(late));
    shoal_buffer_free(late);
}

/* ---- what a key is to whom ---- */

/* Tells those who have read the key, and forgets them: but for those to whose present command it
 * may be news once more. */
static void tell_readers(shoal_worker *worker, shoal_tracked *tracked, uint64_t writer)
{
    shoal_tracked_table *table = &worker->tracking->table;
    shoal_buffer body = shoal_buffer_make(&worker->env->allocator);
    shoal_reply reply = {.out = &body, .protocol = 2};
    uint32_t kept = 0, gone = tracked->count;
    SHOAL_ASSERT(gone > 0);
    shoal_reply_array(&reply, 1);
    const shoal_slice name = {tracked->name, tracked->name_size};
    shoal_reply_bulk(&reply, name);
    for (uint32_t i = 0; i < gone; i++) {
        shoal_tracker *tracker = tracked->trackers[i];
        bool live = tracker->session != NULL && !tracker->options.bcast;
        bool own = writer != 0 && writer == tracker->id;
        /* A transaction that has changed the key before it read it. */
        bool known = live && own && tracker->session->exec != NULL &&
                     shoal_multi__reads_last(tracker->session->exec, name);
        bool loops = own && tracker->options.noloop;
        if (live && !known && !loops)
            tell_tracker(worker, tracker, writer, shoal_buffer_slice(&body));
        /* Of a change of its own it may have read what came of it, before this arrived. */
        if (live && (loops || comes_late(tracker, 0))) {
            tracked->trackers[kept++] = tracker;
        } else {
            shoal_tracking__release(worker->env, tracker, 1);
        }
    }
    shoal_buffer_free(&body);
    shoal_tracked_keep(table, tracked, kept);
}

/* Asks for another round. */
static void again(shoal_worker *worker)
{
    const parcel head = {.kind = AGAIN};
    SHOAL_ASSERT(worker->inside);
    (void)post(worker->env, worker->index, &head, (shoal_slice){NULL, 0});
}

/* Keys go while there are more than tracking-table-max-keys at all workers: who has read them is
 * told that they have changed. */
static void hold_limit(shoal_worker *worker)
{
    uint64_t most = worker->settings->tracked_keys_max;
    SHOAL_ASSERT(worker->tracking != NULL);
    shoal_tracking__count(worker);
    if (most == 0) return;
    for (uint32_t i = 0; shoal_tracking_facts_get(worker->env).keys > most; i++) {
        shoal_tracked *victim = shoal_tracked_any(&worker->tracking->table);
        if (victim == NULL) return;
        if (i == EVICTED_A_ROUND) {
            again(worker);
            return;
        }
        bool stale = shoal_tracked_is_stale(&worker->tracking->table, victim);
        for (uint32_t n = 0; n < victim->count; n++) {
            shoal_tracker *tracker = victim->trackers[n];
            shoal_buffer body = shoal_buffer_make(&worker->env->allocator);
            shoal_reply reply = {.out = &body, .protocol = 2};
            shoal_reply_array(&reply, 1);
            shoal_reply_bulk(&reply, (shoal_slice){victim->name, victim->name_size});
            if (tracker->session != NULL && !tracker->options.bcast && !stale)
                tell_tracker(worker, tracker, 0, shoal_buffer_slice(&body));
            shoal_buffer_free(&body);
        }
        shoal_tracking__forget(worker, victim);
        shoal_tracking__count(worker);
    }
}

/* Takes away some of what is of no account any more; the rest in further rounds. */
static void sweep(shoal_worker *worker)
{
    shoal_tracked_table *table = &worker->tracking->table;
    uint32_t buckets = BUCKETS_A_ROUND, left = SWEPT_A_ROUND;
    SHOAL_DEBUG_ASSERT(table->stale_keys <= table->keys);
    shoal_tracked *each;
    while (left > 0 && (each = shoal_tracked_next_stale(table, &buckets)) != NULL) {
        shoal_tracking__forget(worker, each);
        left--;
    }
    if (table->stale_keys > 0) again(worker);
}

/* Everything has changed. */
static void tell_all(shoal_worker *worker)
{
    shoal_tracked_table *table = &worker->tracking->table;
    for (shoal_tracker *each = worker->tracking->first; each != NULL; each = each->next) {
        bool three = each->session->protocol > 2;
        tell_tracker(worker, each, 0, three ? shoal_text("_\r\n") : shoal_text("$-1\r\n"));
    }
    shoal_tracked_flush(table);
}

/* ---- BCAST ---- */

/* Changes of a round that a prefix covers, by name. */
typedef struct round {
    const parcel **changes;
    uint32_t count, capacity;
} round;

static int by_name(const void *a, const void *b, void *context)
{
    const parcel *x = *(const parcel *const *)a, *y = *(const parcel *const *)b;
    size_t least = x->size < y->size ? x->size : y->size;
    int order = least == 0 ? 0 : memcmp(x + 1, y + 1, least);
    (void)context;
    if (order != 0) return order;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    /* Of one name, the last change stands last. */
    return x->worker < y->worker ? -1 : x->worker > y->worker;
}

/* The names that `tracker` is told, the last change of each being somebody else's if it says
 * NOLOOP. */
static void write_names(const round *now, const shoal_tracker *tracker, shoal_buffer *body)
{
    uint32_t told = 0;
    SHOAL_ASSERT(tracker->options.bcast);
    for (int pass = 0; pass < 2; pass++) {
        shoal_reply reply = {.out = body, .protocol = 2};
        if (pass == 1 && told == 0) return;
        if (pass == 1) shoal_reply_array(&reply, told);
        for (uint32_t i = 0; i < now->count; i++) {
            const parcel *each = now->changes[i];
            bool same = i + 1 < now->count &&
                        shoal_text_equal(bytes_of(each), bytes_of(now->changes[i + 1]));
            if (same || (tracker->options.noloop && each->writer == tracker->id)) continue;
            if (pass == 0) told++;
            if (pass == 1) shoal_reply_bulk(&reply, bytes_of(each));
        }
    }
}

static void tell_prefix(shoal_worker *worker, const shoal_tracking__prefixed *at, const round *all)
{
    round now = {.capacity = all->count};
    const shoal_allocator *allocator = &worker->env->allocator;
    SHOAL_ASSERT(all->count > 0);
    now.changes =
        shoal_memory_take(allocator, now.capacity * sizeof(*now.changes), SHOAL_ALIGN_PLAIN);
    if (now.changes == NULL) {
        shoal_store_relaxed(&worker->changes_lost, true);
        return;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        shoal_slice name = bytes_of(all->changes[i]);
        if (name.size >= at->size && memcmp(name.data, at->bytes, at->size) == 0)
            now.changes[now.count++] = all->changes[i];
    }
    if (now.count > 1)
        shoal_sort((shoal_sort_array){now.changes, now.count, sizeof(*now.changes)}, by_name, NULL);
    for (uint32_t i = 0; i < at->count && now.count > 0; i++) {
        shoal_buffer body = shoal_buffer_make(allocator);
        write_names(&now, at->trackers[i], &body);
        uint64_t writer = now.changes[now.count - 1]->writer;
        if (shoal_buffer_size(&body) > 0)
            tell_tracker(worker, at->trackers[i], writer, shoal_buffer_slice(&body));
        shoal_buffer_free(&body);
    }
    shoal_memory_give(allocator, now.changes, now.capacity * sizeof(*now.changes),
                      SHOAL_ALIGN_PLAIN);
}

/* ---- what has been said to a worker ---- */

/* Whose client asked this one to be told for it. */
static void forward(shoal_worker *worker, const parcel *from)
{
    shoal_session *target = shoal_tracking__find_target(worker, from->target);
    SHOAL_ASSERT(from->kind == SEND);
    if (target != NULL) {
        tell_session(target, NULL, true, bytes_of(from));
        return;
    }
    parcel head = *from;
    head.kind = BROKEN;
    (void)post(worker->env, from->worker, &head, (shoal_slice){NULL, 0});
}

static void hear_broken(const shoal_worker *worker, const parcel *from)
{
    SHOAL_ASSERT(from->kind == BROKEN);
    for (shoal_tracker *each = worker->tracking->first; each != NULL; each = each->next) {
        if (each->id == from->writer && each->options.redirect == from->target) tell_broken(each);
    }
}

static void hear(shoal_worker *worker, parcel *from)
{
    shoal_tracked *tracked;
    SHOAL_DEBUG_ASSERT(worker->tracking != NULL);
    switch (from->kind) {
    case KEY:
        tracked = shoal_tracked_find(&worker->tracking->table, bytes_of(from), from->hash);
        if (tracked != NULL && !shoal_tracked_is_stale(&worker->tracking->table, tracked))
            tell_readers(worker, tracked, from->writer);
        return;
    case ALL: tell_all(worker); return;
    case SEND: forward(worker, from); return;
    case BROKEN: hear_broken(worker, from); return;
    case AGAIN: return;
    }
    SHOAL_UNREACHABLE();
}

/* Tells of the changes in `first` those who asked for all of some beginning. */
static void hear_prefixes(shoal_worker *worker, shoal_op *first, uint32_t changes)
{
    SHOAL_DEBUG_ASSERT(changes == 0 || first != NULL);
    round all = {.capacity = changes};
    const shoal_allocator *allocator = &worker->env->allocator;
    if (worker->tracking->prefixes == NULL || changes == 0) return;
    all.changes = shoal_memory_take(allocator, changes * sizeof(*all.changes), SHOAL_ALIGN_PLAIN);
    if (all.changes == NULL) {
        shoal_store_relaxed(&worker->changes_lost, true);
        return;
    }
    for (shoal_op *op = first; op != NULL; op = op->next) {
        parcel *each = (parcel *)(void *)op;
        if (each->kind != KEY) continue;
        each->worker = all.count; /* its place among them; for a change it says nothing else */
        all.changes[all.count++] = each;
    }
    SHOAL_ASSERT(all.count == changes);
    for (const shoal_tracking__prefixed *at = worker->tracking->prefixes; at != NULL; at = at->next)
        tell_prefix(worker, at, &all);
    shoal_memory_give(allocator, all.changes, changes * sizeof(*all.changes), SHOAL_ALIGN_PLAIN);
}

static void free_all(const shoal_worker *worker, shoal_op *first)
{
    while (first != NULL) {
        parcel *gone = (parcel *)(void *)first;
        SHOAL_DEBUG_ASSERT(gone->op.run == arrive);
        first = first->next;
        unpack(worker->env, gone);
    }
}

void shoal_tracking__catch_up(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    uint32_t changes = 0;
    shoal_op *first = shoal_inbox_take(&worker->changes);
    if (__builtin_expect(worker->tracking == NULL, 1)) {
        free_all(worker, first);
        return;
    }
    for (shoal_op *op = first; op != NULL; op = op->next) {
        parcel *each = (parcel *)(void *)op;
        hear(worker, each);
        changes += each->kind == KEY;
    }
    hear_prefixes(worker, first, changes);
    free_all(worker, first);
    if (shoal_load_relaxed(&worker->changes_lost)) {
        shoal_store_relaxed(&worker->changes_lost, false);
        tell_all(worker);
    }
    sweep(worker);
    hold_limit(worker);
}

/* ---- the end ---- */

void shoal_tracking__drop(shoal_worker *worker)
{
    SHOAL_ASSERT(!worker->inside);
    free_all(worker, shoal_inbox_take(&worker->changes));
    shoal_tracking *own = worker->tracking;
    if (own == NULL) return;
    SHOAL_ASSERT(own->first == NULL && own->prefixes == NULL && own->targets == NULL);
    for (shoal_tracked *each; (each = shoal_tracked_any(&own->table)) != NULL;)
        shoal_tracking__forget(worker, each);
    shoal_tracked_free(&own->table);
    shoal_memory_give(&worker->env->allocator, own, sizeof(*own), SHOAL_ALIGN_PLAIN);
    worker->tracking = NULL;
}
