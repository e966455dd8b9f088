/* SPDX-License-Identifier: MIT
 *
 * command/dispatch.c - from a parsed request to its reply: may it run, where does it run, what was
 * the outcome. The order of the checks is the order in which Redis answers them.
 */
#include <string.h>

#include "base/assert.h"
#include "base/sort.h"
#include "base/text.h"
#include "command/block.h"
#include "command/effect.h"
#include "command/handlers.h"
#include "command/job.h"
#include "command/lap.h"
#include "command/monitor.h"
#include "command/multi.h"
#include "command/replica.h"
#include "command/pause.h"
#include "command/pubsub.h"
#include "command/tracking.h"

/* Bytes of unknown names and arguments that an error repeats, as Redis. */
#define QUOTED_MAX 128u

/* Places of a command's keys that need no memory of their own. */
#define PLACES_SMALL 16u

/* ---- refusing ---- */

/* Bytes of `text` before the first zero, at most `max`: what a C string would show. */
static int shown(shoal_slice text, size_t max)
{
    SHOAL_DEBUG_ASSERT(max <= INT32_MAX);
    size_t size = 0;
    while (size < text.size && size < max && text.data[size] != '\0') size++;
    return (int)size;
}

static void refuse_unknown(const shoal_request *request, shoal_reply *reply)
{
    SHOAL_ASSERT(request->argc > 0);
    char quoted[QUOTED_MAX + 4];
    shoal_buffer text = shoal_buffer_make(request->allocator);
    for (uint32_t i = 1; i < request->argc && shoal_buffer_size(&text) < QUOTED_MAX; i++) {
        int size = shown(request->argv[i], QUOTED_MAX - shoal_buffer_size(&text));
        quoted[0] = '\'';
        if (size != 0) memcpy(quoted + 1, request->argv[i].data, (size_t)size);
        memcpy(quoted + 1 + size, "' ", 2);
        shoal_buffer_append(&text, (shoal_slice){quoted, (size_t)size + 3});
    }
    shoal_slice arguments = shoal_buffer_slice(&text);
    shoal_slice name = request->argv[0];
    shoal_reply_errorf(reply, "ERR unknown command '%.*s', with args beginning with: %.*s",
                       shown(name, QUOTED_MAX), name.data, (int)arguments.size,
                       arguments.data ? arguments.data : "");
    shoal_buffer_free(&text);
}

static void refuse_subcommand(const shoal_entry *entry, shoal_reply *reply)
{
    SHOAL_ASSERT(entry->command != NULL && entry->request->argc > 1);
    SHOAL_ASSERT(entry->command->parent == SHOAL_COMMAND_NONE);
    char parent[SHOAL_LOOKUP__NAME_MAX + 1] = {0};
    for (size_t i = 0; entry->command->name[i] != '\0'; i++) {
        char c = entry->command->name[i];
        parent[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    shoal_slice sub = entry->request->argv[1];
    shoal_reply_errorf(reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown(sub, QUOTED_MAX),
                       sub.data, parent);
}

static void refuse(const shoal_entry *entry, shoal_reply *reply)
{
    SHOAL_ASSERT(entry->fault != SHOAL_FAULT__NONE);
    switch (entry->fault) {
    case SHOAL_FAULT__COMMAND: refuse_unknown(entry->request, reply); return;
    case SHOAL_FAULT__SUBCOMMAND: refuse_subcommand(entry, reply); return;
    case SHOAL_FAULT__ARITY: shoal_reply__arity(reply, entry->command); return;
    case SHOAL_FAULT__MEMORY: shoal_reply_error(reply, SHOAL_ERROR__MEMORY); return;
    case SHOAL_FAULT__NONE: break;
    }
    SHOAL_UNREACHABLE();
}

/* May the request add data, so that it needs room below maxmemory? What is queued for a transaction
 * takes memory whatever it is. */
static inline bool adds_data(const shoal_session *session, const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    if (__builtin_expect(session->multi == NULL, 1))
        return (command->flags & SHOAL_FLAG_DENYOOM) != 0;
    if (command->id == SHOAL_COMMAND_EXEC) return (session->multi->flags & SHOAL_FLAG_DENYOOM) != 0;
    return !shoal_multi__runs_at_once(command);
}

/* Would the request change data, or is it a PING, which watchdogs send? Those are refused while
 * data cannot be made safe, as in Redis. */
static bool is_at_risk(const shoal_session *session, const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    if (command->id == SHOAL_COMMAND_EXEC && session->multi != NULL)
        return (session->multi->flags & SHOAL_FLAG_WRITE) != 0;
    return (command->flags & SHOAL_FLAG_WRITE) != 0 || command->id == SHOAL_COMMAND_PING;
}

static void refuse_unsafe(uint32_t misconf, shoal_reply *reply)
{
    SHOAL_ASSERT(misconf != 0);
    if ((misconf & SHOAL_MISCONF_RDB) != 0) {
        shoal_reply_error(
            reply, "MISCONF Redis is configured to save RDB snapshots, but it's currently unable "
                   "to persist to disk. Commands that may modify the data set are disabled, "
                   "because this instance is configured to report errors during writes if RDB "
                   "snapshotting fails (stop-writes-on-bgsave-error option). Please check the "
                   "Redis logs for details about the RDB error.");
    } else {
        shoal_reply_errorf(reply, "MISCONF Errors writing to the AOF file: %s",
                           (misconf & SHOAL_MISCONF_AOF_SPACE) != 0 ? "No space left on device"
                                                                    : "Input/output error");
    }
}

static const char read_only[] = "READONLY You can't write against a read only replica.";

bool shoal_role__admit(const shoal_env *env, uint32_t flags, shoal_reply *reply)
{
    SHOAL_DEBUG_ASSERT(reply->out != NULL);
    if (__builtin_expect((flags & SHOAL_FLAG_WRITE) == 0, 0)) return true;
    if ((shoal_load_relaxed(&env->refuses) & SHOAL_REFUSES_WRITES_HERE) == 0) return true;
    shoal_reply_error(reply, read_only);
    return false;
}

/* What the state of the node refuses. False after writing why. */
static bool allowed(const shoal_session *session, const shoal_command *command, shoal_reply *reply)
{
    uint32_t refuses = shoal_load_relaxed(&session->worker->env->refuses);
    SHOAL_DEBUG_ASSERT(command != NULL);
    bool writes = (command->flags & SHOAL_FLAG_WRITE) != 0;
    bool stale = (command->flags & SHOAL_FLAG_STALE) != 0;
    if (command->id == SHOAL_COMMAND_EXEC && session->multi != NULL) {
        writes = (session->multi->flags & SHOAL_FLAG_WRITE) != 0;
        stale = (session->multi->lacks & SHOAL_FLAG_STALE) == 0;
    }
    if (writes && (refuses & SHOAL_REFUSES_FEW_REPLICAS) != 0) {
        shoal_reply_error(reply, "NOREPLICAS Not enough good replicas to write.");
    } else if (writes && (refuses & SHOAL_REFUSES_WRITES_HERE) != 0) {
        shoal_reply_error(reply, read_only);
    } else if (!stale && (refuses & SHOAL_REFUSES_STALE) != 0) {
        shoal_reply_error(reply, "MASTERDOWN Link with MASTER is down and "
                                 "replica-serve-stale-data is set to 'no'.");
    } else {
        return true;
    }
    return false;
}

/* May the command not run while data is loaded? What only the bus knows is told all the same: it
 * does not wait for data, and tools that make a cluster ask each node for it. */
static bool waits_for_data(const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command->id != SHOAL_COMMAND_NONE);
    bool of_bus = command->parent == SHOAL_COMMAND_CLUSTER &&
                  command->executor == SHOAL_RUN_CONTROL &&
                  (command->flags & SHOAL_FLAG_ADMIN) == 0;
    return !of_bus && (command->flags & SHOAL_FLAG_LOADING) == 0;
}

/* May it use slots that come in? */
static inline bool asks(const shoal_session *session, const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    return session->asking || (command->flags & SHOAL_FLAG_ASKING) != 0;
}

/* May the request run? False after writing why not. */
static bool admit(shoal_session *session, const shoal_entry *entry, const shoal_key *keys,
                  shoal_reply *reply)
{
    SHOAL_DEBUG_ASSERT(session->errand == NULL && !session->closing);
    if (__builtin_expect(entry->fault != SHOAL_FAULT__NONE, 0)) {
        refuse(entry, reply);
        return false;
    }
    const shoal_worker *worker = session->worker;
    const shoal_command *command = entry->command;
    if (!session->authenticated && (command->flags & SHOAL_FLAG_NO_AUTH) == 0) {
        shoal_reply_error(reply, "NOAUTH Authentication required.");
        return false;
    }
    if (session->multi != NULL && (command->flags & SHOAL_FLAG_NO_MULTI) != 0) {
        shoal_reply_error(reply, "ERR Command not allowed inside a transaction");
        return false;
    }
    if (worker->settings->cluster && entry->key_count != 0) {
        shoal_access access = {.env = worker->env,
                               .store = worker->env->store,
                               .thread = worker->thread,
                               .command = command,
                               .keys = keys,
                               .key_count = entry->key_count,
                               .asking = asks(session, command),
                               .reads_replicas = session->reads_replicas};
        if (!shoal_route__admit(&access, reply)) return false;
    }
    if (shoal_load_relaxed(&worker->env->loading) && waits_for_data(command)) {
        shoal_reply_error(reply, "LOADING Redis is loading the dataset in memory");
        return false;
    }
    if (__builtin_expect(shoal_load_relaxed(&worker->env->refuses) != 0, 0) &&
        !allowed(session, command, reply))
        return false;
    if (adds_data(session, command) && !shoal_store_admit(worker->thread)) {
        shoal_reply_error(reply, "OOM command not allowed when used memory > 'maxmemory'.");
        return false;
    }
    uint32_t misconf = shoal_load_relaxed(&worker->env->misconf);
    if (__builtin_expect(misconf != 0, 0) && is_at_risk(session, command)) {
        refuse_unsafe(misconf, reply);
        return false;
    }
    if (__builtin_expect(session->subscribed_bytes != 0, 0))
        return shoal_pubsub__admit(session, command, reply);
    if (__builtin_expect(session->replica != NULL, 0))
        return shoal_replica__admit(session, command, reply);
    return true;
}

/* ---- gates ---- */

/* An operation that lives on the stack: the gates were free. */
typedef struct direct {
    shoal_gate_op gate; /* first */
    shoal_session *session;
    shoal_call *call;
} direct;

/* The command has to wait for a key: an errand waits in its stead. Under its gates. */
static void wait_for_key(const direct *now)
{
    shoal_call *call = now->call;
    SHOAL_ASSERT(now->session->errand == NULL);
    shoal_errand *errand = shoal_errand__make(now->session, call);
    if (errand == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    errand->gate.multi = now->gate.multi;
    shoal_errand__take_places(errand, now->gate.places, now->gate.count);
    if (shoal_block__wait(errand, call, true)) return;
    shoal_block__leave(errand, call->thread);
    now->session->errand = NULL;
    shoal_errand__free(errand);
}

static void run_direct(shoal_op *op, void *runner)
{
    shoal_call *call = ((direct *)op)->call;
    SHOAL_DEBUG_ASSERT(runner == call->thread);
    (void)runner;
    /* What was here when it was admitted may have gone since. */
    if (__builtin_expect(shoal_route__moves(call->store, SHOAL_PLACE_SLOT(call->keys->place)), 0)) {
        shoal_access access = shoal_call__access(call);
        if (!shoal_route__admit(&access, &call->reply)) return;
    }
    if (!shoal_call__ready(call)) return;
    shoal_effect__run(call);
    if (__builtin_expect(call->logged != 0, 0)) ((direct *)op)->session->logged = call->logged;
    if (__builtin_expect(call->wish.type != SHOAL_TYPE_NONE, 0)) wait_for_key((const direct *)op);
}

static int compare_places(const void *a, const void *b, void *context)
{
    (void)context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Room for `count` places, on the stack where they are few. NULL without memory. */
static uint32_t *places_room(shoal_worker *worker, uint32_t *small, uint32_t count)
{
    if (count <= PLACES_SMALL) return small;
    if (count <= worker->place_capacity) return worker->places;
    const shoal_allocator *allocator = &worker->env->allocator;
    uint32_t *places = allocator->allocate(allocator->context, count * sizeof(*places),
                                           SHOAL_WORKER__PLACES_ALIGNMENT);
    SHOAL_ASSERT(count > 0);
    if (places == NULL) return NULL;
    if (worker->places != NULL)
        allocator->release(allocator->context, worker->places,
                           worker->place_capacity * sizeof(*places),
                           SHOAL_WORKER__PLACES_ALIGNMENT);
    worker->places = places;
    worker->place_capacity = count;
    return places;
}

/* The distinct places of the keys, ascending. Returns how many. */
static uint32_t sorted_places(const shoal_call *call, uint32_t *places)
{
    SHOAL_ASSERT(call->key_count > 1);
    for (uint32_t i = 0; i < call->key_count; i++) places[i] = call->keys[i].place;
    shoal_sort((shoal_sort_array){places, call->key_count, sizeof(*places)}, compare_places, NULL);
    uint32_t count = 1;
    for (uint32_t i = 1; i < call->key_count; i++) {
        if (places[i] != places[count - 1]) places[count++] = places[i];
    }
    return count;
}

void shoal_session__run_gated(shoal_session *session, shoal_call *call)
{
    SHOAL_ASSERT(call->key_count > 0);
    call->gated = true;
    shoal_worker *worker = session->worker;
    uint32_t small[PLACES_SMALL];
    uint32_t *places = places_room(worker, small, call->key_count);
    if (places == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    uint32_t count = 1;
    places[0] = call->keys[0].place;
    if (call->key_count > 1) count = sorted_places(call, places);

    direct now = {
        .gate = {.op = {.run = run_direct}, .places = places, .count = count},
        .session = session,
        .call = call,
    };
    /* Readers need not wait for a command that changes nothing, or one key only. */
    bool writes = (call->command->flags & SHOAL_FLAG_WRITE) != 0;
    now.gate.multi = writes && call->key_count > 1;
    /* Also for a read: who holds a gate runs the writes that others hand over meanwhile. */
    shoal_worker__dirty(worker);
    if (shoal_gate_try(worker->thread, &now.gate)) return;

    shoal_errand *errand = shoal_errand__make(session, call);
    if (errand == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    errand->gate.multi = now.gate.multi;
    shoal_errand__take_places(errand, places, count);
    shoal_errand__to_gates(errand, worker->thread);
}

/* ---- running ---- */

static void run_elsewhere(shoal_session *session, shoal_call *call)
{
    bool syncs =
        call->command->id == SHOAL_COMMAND_PSYNC || call->command->id == SHOAL_COMMAND_SYNC;
    bool ready = !syncs || shoal_replica__ready(session);
    shoal_errand *errand = ready ? shoal_errand__make(session, call) : NULL;
    SHOAL_ASSERT(call->session == NULL && call->worker == NULL);
    if (errand == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else if (call->command->executor == SHOAL_RUN_TOUR) {
        shoal_errand__to_tour(errand);
    } else {
        shoal_errand__to_control(errand);
    }
}

/* A tour of a node with one worker ends where it begins. */
static void run_tour(shoal_session *session, shoal_call *call)
{
    SHOAL_ASSERT(call->tour == NULL);
    if (call->env->worker_count > 1) {
        run_elsewhere(session, call);
        return;
    }
    shoal_tour tour = {.gathered = shoal_buffer_make(&call->env->allocator),
                       .asker = session->id,
                       .origin = session->worker->index};
    call->tour = &tour;
    call->worker = session->worker;
    call->command->run(call);
    tour.last = true;
    call->session = session;
    call->command->run(call);
    shoal_buffer_free(&tour.gathered);
}

static void run(shoal_session *session, shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->command->executor == SHOAL_RUN_CONTROL || call->command->run != NULL);
    switch (call->command->executor) {
    case SHOAL_RUN_READ:
        if (call->key_count == 0 ||
            (call->key_count == 1 && !shoal_store_place_slow(call->store, call->keys[0].place) &&
             !shoal_route__moves(call->store, SHOAL_PLACE_SLOT(call->keys[0].place)))) {
            call->command->run(call);
            if (__builtin_expect(!call->wants_gates, 1)) return;
        }
        shoal_session__run_gated(session, call);
        return;
    case SHOAL_RUN_GATED:
        /* Without keys its arguments contradict each other, and it says so. */
        if (call->key_count == 0) {
            call->command->run(call);
        } else {
            shoal_session__run_gated(session, call);
        }
        return;
    case SHOAL_RUN_LOCAL:
        call->session = session;
        call->worker = session->worker;
        call->command->run(call);
        return;
    case SHOAL_RUN_TOUR: run_tour(session, call); return;
    case SHOAL_RUN_CONTROL: run_elsewhere(session, call); return;
    }
    SHOAL_UNREACHABLE();
}

void shoal_session__run(shoal_session *session, shoal_call *call, size_t before)
{
    SHOAL_DEBUG_ASSERT(session->errand == NULL);
    bool shared =
        shoal_timing__is_brief(call->command, call->argc) && shoal_timing__shares(session);
    int64_t started_ns = shoal_timing__begin(session, shared);
    run(session, call);
    if (__builtin_expect(call->job != NULL, 0)) shoal_job__park(session, call, before);
    if (started_ns == 0) return;
    if (shared && session->errand == NULL) {
        shoal_timing__note(session, call->command, call->argc, call->argv);
    } else {
        shoal_timing__end(session, call, started_ns);
    }
}

void shoal_session__hush(shoal_session *session, shoal_buffer *out, size_t before)
{
    SHOAL_ASSERT(out->end - out->start >= before);
    if (session->reply_mode == SHOAL_REPLY__ON) return;
    out->end = out->start + before;
    /* The command is not over while a part of its transaction waits. */
    if (session->exec != NULL) return;
    if (session->reply_mode == SHOAL_REPLY__SKIP) {
        session->reply_mode = SHOAL_REPLY__ON;
    } else if (session->reply_mode == SHOAL_REPLY__SKIP_NEXT) {
        session->reply_mode = SHOAL_REPLY__SKIP;
    }
}

void shoal_session__count(shoal_session *session, const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    shoal_worker__count(session->worker, SHOAL_STAT_COMMANDS, 1);
    shoal_bump_relaxed(&session->worker->tallies[command->id].calls, 1);
}

void shoal_session__note(shoal_session *session, const shoal_command *command, shoal_slice said)
{
    SHOAL_DEBUG_ASSERT(said.size > 0);
    if (__builtin_expect(said.data[0] != '-', 1)) return;
    shoal_worker *worker = session->worker;
    shoal_worker__count_error(worker, (shoal_slice){said.data + 1, said.size - 1});
    if (command != NULL) shoal_bump_relaxed(&worker->tallies[command->id].failed, 1);
}

void shoal_session__settle(shoal_session *session, const shoal_command *command, shoal_buffer *out,
                           size_t before)
{
    SHOAL_DEBUG_ASSERT(shoal_buffer_size(out) >= before || out->failed);
    size_t written = shoal_buffer_size(out) - before;
    /* Of a reply that had no memory there may be but the beginning. */
    if (written != 0 && !out->failed) {
        const char *said = out->data + out->start + before;
        shoal_session__note(session, command, (shoal_slice){said, written});
    }
    if (__builtin_expect(session->reply_mode != SHOAL_REPLY__ON, 0))
        shoal_session__hush(session, out, before);
}

/* A request that may not run, for the reason written behind `before` bytes of reply->out. Inside
 * MULTI the transaction is lost; with EXEC it ends, and says so even where there was none. */
static void reject(shoal_session *session, const shoal_entry *entry, shoal_reply *reply,
                   size_t before)
{
    SHOAL_ASSERT(entry->fault != SHOAL_FAULT__NONE || entry->command != NULL);
    if (entry->command != NULL)
        shoal_bump_relaxed(&session->worker->tallies[entry->command->id].rejected, 1);
    if (session->multi != NULL) session->multi->aborted = true;
    if (entry->command != NULL && entry->command->id == SHOAL_COMMAND_EXEC)
        shoal_multi__refuse(session, reply, before);
}

/* The client is to be told when what it reads now changes. */
static void note_reading(shoal_session *session, const shoal_call *call)
{
    SHOAL_ASSERT(session->tracker != NULL);
    if (!shoal_tracking__reads(session)) return;
    if (call->command->id == SHOAL_COMMAND_EXEC) {
        shoal_multi__note_reading(session);
    } else if ((call->command->flags & SHOAL_FLAG_READONLY) != 0) {
        shoal_tracking__read(session, call->keys, call->key_count);
    }
}

shoal_call shoal_session__call(const shoal_session *session, const shoal_entry *entry,
                               shoal_reply reply)
{
    const shoal_worker *worker = session->worker;
    const shoal_command *command = entry->command;
    SHOAL_DEBUG_ASSERT(worker->inside && command != NULL);
    return (shoal_call){
        .command = command,
        .argc = entry->request->argc,
        .argv = entry->request->argv,
        .text = entry->request->text,
        .keys = entry->key_count != 0 ? worker->batch.keys + entry->key_at : NULL,
        .key_count = entry->key_count,
        .db = session->db,
        .thread = worker->thread,
        .store = worker->env->store,
        .env = worker->env,
        .now = worker->now,
        .reply = reply,
        .asking = asks(session, command),
        .reads_replicas = session->reads_replicas,
        .client_id = session->id,
    };
}

static void execute(shoal_session *session, shoal_entry *entry, shoal_buffer *out)
{
    shoal_worker *worker = session->worker;
    SHOAL_DEBUG_ASSERT(worker->inside);
    shoal_batch *batch = &worker->batch;
    size_t before = shoal_buffer_size(out);
    shoal_reply reply = {.out = out, .protocol = session->protocol};
    /* A SELECT of the same batch: the places that were computed ahead are another database's. */
    if (__builtin_expect(batch->db != session->db && entry->key_count != 0, 0))
        shoal_batch__rekey(session, entry, session->db);
    const shoal_key *keys = entry->key_count != 0 ? batch->keys + entry->key_at : NULL;

    if (__builtin_expect(!admit(session, entry, keys, &reply), 0)) {
        reject(session, entry, &reply, before);
        shoal_session__settle(session, NULL, out, before);
        return;
    }
    const shoal_command *command = entry->command;
    session->last = command->id;
    if (__builtin_expect(session->multi != NULL, 0) && !shoal_multi__runs_at_once(command)) {
        shoal_multi__queue(session, entry, &reply);
        shoal_session__settle(session, NULL, out, before);
        return;
    }
    if (__builtin_expect(shoal_pause__holds(session, command), 0)) return;
    shoal_session__count(session, command);
    const shoal_timing_brief what = {command, entry->request->argc, entry->request->argv};
    if (command->id != SHOAL_COMMAND_EXEC) shoal_monitor__feed(session, &what, session->db);
    shoal_call call = shoal_session__call(session, entry, reply);
    bool tracks = session->tracker != NULL;
    if (__builtin_expect(tracks, 0)) note_reading(session, &call);
    shoal_session__run(session, &call, before);
    if (__builtin_expect(tracks, 0) && session->tracker != NULL)
        shoal_tracking__next(session, command->id);
    if (command->id == SHOAL_COMMAND_EXEC && session->exec == NULL)
        shoal_monitor__feed(session, &what, session->db);
    if (session->errand == NULL) {
        shoal_session__settle(session, command, out, before);
        if (__builtin_expect(session->tracker != NULL, 0)) shoal_tracking__deliver(session, out);
    } else if (__builtin_expect(session->exec != NULL, 0)) {
        shoal_session__hush(session, out, before);
    }
}

void shoal_session__execute(shoal_session *session, shoal_entry *entry, shoal_buffer *out)
{
    bool asked = session->asking;
    SHOAL_DEBUG_ASSERT(session->errand == NULL);
    execute(session, entry, out);
    /* ASKING holds for one command, or for one transaction. */
    if (__builtin_expect(asked, 0) && session->multi == NULL && !session->paused &&
        (entry->command == NULL || entry->command->id != SHOAL_COMMAND_ASKING))
        session->asking = false;
}
