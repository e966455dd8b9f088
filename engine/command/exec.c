/* SPDX-License-Identifier: MIT
 *
 * command/exec.c - EXEC: a queue cut into pieces, each piece run under all its gates, on this
 * thread if they are free and otherwise, as an errand, on the thread that lets go of them.
 *
 *   EXEC -> piece -> single -> piece ... -> over
 *             |         |
 *             +---------+--> parked -> deliver -> on with the next
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/sort.h"
#include "base/text.h"
#include "command/effect.h"
#include "command/handlers.h"
#include "command/job.h"
#include "command/monitor.h"
#include "command/multi.h"
#include "command/tracking.h"
#include "command/watch.h"

/* ---- what a piece is ---- */

static bool is_data(const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    return command->executor == SHOAL_RUN_READ || command->executor == SHOAL_RUN_GATED;
}

/* Commands that concern the connection or the table of commands and nothing else, so that their
 * place among the commands on data makes no difference. HELLO changes how later replies look, AUTH
 * who asks. */
static bool is_private(const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    if (command->executor != SHOAL_RUN_LOCAL) return false;
    if (command->id == SHOAL_COMMAND_HELLO || command->id == SHOAL_COMMAND_AUTH) return false;
    return command->id == SHOAL_COMMAND_UNWATCH || command->id == SHOAL_COMMAND_TIME ||
           command->id == SHOAL_COMMAND_COMMAND || command->parent == SHOAL_COMMAND_COMMAND ||
           shoal_text_equal(shoal_text(command->group), shoal_text("connection"));
}

/* A command whose keys are only known while it runs (SORT BY and GET): it gets every gate of its
 * database. */
static bool roams(const shoal_queued *queued)
{
    const shoal_command *command = queued->command;
    if (shoal_text_find(shoal_text(command->access), shoal_text("unknown")) == SHOAL_TEXT_NONE)
        return false;
    for (uint32_t i = 2; i + 1 < queued->argc; i++) {
        bool names = shoal_text_is(queued->argv[i], "by") || shoal_text_is(queued->argv[i], "get");
        SHOAL_DEBUG_ASSERT(queued->argv[i + 1].data != NULL);
        if (names && shoal_text_find(queued->argv[i + 1], shoal_text("*")) != SHOAL_TEXT_NONE)
            return true;
    }
    return false;
}

/* Most places that the piece from exec->next on may name. Sets exec->piece_end. */
static uint64_t measure(shoal_multi *exec)
{
    uint64_t most = !exec->begun && exec->watches ? shoal_watches__count(exec->watches) : 0;
    shoal_queued *each = exec->next;
    for (; each != NULL && (is_data(each->command) || is_private(each->command));
         each = each->next) {
        SHOAL_DEBUG_ASSERT(each->key_count == 0 || is_data(each->command));
        most += each->key_count;
        if (roams(each)) most += SHOAL_SLOTS;
    }
    exec->piece_end = each;
    return most;
}

static int compare_places(const void *a, const void *b, void *context)
{
    (void)context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool reserve(shoal_multi *exec, const shoal_allocator *allocator, uint64_t most)
{
    if (most <= exec->place_capacity) return true;
    if (most > UINT32_MAX / sizeof(uint32_t)) return false;
    shoal_memory_give(allocator, exec->places, exec->place_capacity * sizeof(uint32_t),
                      SHOAL_ALIGN_PLAIN);
    exec->place_capacity = 0;
    exec->places = shoal_memory_take(allocator, most * sizeof(uint32_t), SHOAL_ALIGN_PLAIN);
    if (exec->places != NULL) exec->place_capacity = (uint32_t)most;
    return exec->places != NULL;
}

/* Gathers the places of the piece from exec->next on. False without memory. */
static bool plan(shoal_multi *exec, const shoal_allocator *allocator)
{
    uint64_t most = measure(exec);
    if (!reserve(exec, allocator, most)) return false;
    uint32_t count = 0, *places = exec->places;
    if (!exec->begun && exec->watches != NULL) {
        shoal_watches__places(exec->watches, places);
        count = shoal_watches__count(exec->watches);
    }
    for (const shoal_queued *each = exec->next; each != exec->piece_end; each = each->next) {
        for (uint32_t i = 0; i < each->key_count; i++) places[count++] = each->keys[i].place;
        for (uint32_t i = 0; i < SHOAL_SLOTS && roams(each); i++)
            places[count++] = SHOAL_PLACE(each->db, i);
    }
    SHOAL_ASSERT(count == most);
    exec->place_count = 0;
    if (count == 0) return true;
    shoal_sort((shoal_sort_array){places, count, sizeof(*places)}, compare_places, NULL);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || places[i] != places[exec->place_count - 1])
            places[exec->place_count++] = places[i];
    }
    return true;
}

/* Readers need not wait for a piece that writes nothing, or that is one command with one key. */
static bool hides(const shoal_multi *exec)
{
    bool writes = false;
    uint64_t keys = 0;
    for (const shoal_queued *each = exec->next; each != exec->piece_end; each = each->next) {
        writes = writes || (each->command->flags & SHOAL_FLAG_WRITE) != 0;
        keys += each->key_count;
    }
    SHOAL_DEBUG_ASSERT(exec->place_count <= exec->place_capacity);
    return writes && keys > 1;
}

/* ---- running a piece, under its gates ---- */

/* What a command of the queue asks for. */
static shoal_access access_of(const shoal_multi *multi, const shoal_queued *queued,
                              const shoal_call *base)
{
    SHOAL_ASSERT(queued->key_count > 0);
    return (shoal_access){.env = base->env,
                          .store = base->store,
                          .thread = base->thread,
                          .command = queued->command,
                          .keys = queued->keys,
                          .key_count = queued->key_count,
                          .asking =
                              multi->asking || (queued->command->flags & SHOAL_FLAG_ASKING) != 0,
                          .reads_replicas = multi->reads_replicas};
}

/* Counts the keys of all commands. */
static void count_all(const shoal_multi *multi, const shoal_call *base, shoal_presence *presence)
{
    SHOAL_ASSERT(presence->first == NULL);
    for (const shoal_queued *each = multi->first; each != NULL; each = each->next) {
        if (each->key_count == 0) continue;
        shoal_access access = access_of(multi, each, base);
        shoal_route__count(&access, presence);
    }
}

/* May all keys be used here? False after writing an error. */
static bool admit_all(const shoal_multi *multi, const shoal_call *base, shoal_reply *reply)
{
    const shoal_key *first = NULL;
    shoal_presence presence = {NULL, false, false, false};
    for (const shoal_queued *each = multi->first; each != NULL; each = each->next) {
        if (each->key_count == 0) continue;
        shoal_access access = access_of(multi, each, base);
        access.presence = &presence;
        if (first == NULL && shoal_route__moves(base->store, SHOAL_PLACE_SLOT(each->keys->place)))
            count_all(multi, base, &presence);
        if (presence.first == NULL) presence.first = each->keys;
        if (!shoal_route__admit(&access, reply)) return false;
        if (first == NULL) first = each->keys;
        if (SHOAL_PLACE_SLOT(first->place) == SHOAL_PLACE_SLOT(each->keys->place)) continue;
        shoal_reply_error(reply, "CROSSSLOT Keys in request don't hash to the same slot");
        return false;
    }
    SHOAL_ASSERT(first == NULL || multi->count > 0);
    return true;
}

/* Looks at the watched keys, and writes what stands before the replies of the commands. False when
 * that is all. */
static bool begin(shoal_multi *exec, shoal_call *base, bool cluster)
{
    SHOAL_ASSERT(!exec->begun);
    exec->begun = true;
    bool intact = exec->watches == NULL || shoal_watches__end_locked(exec->watches, base->thread);
    exec->watches = NULL;
    if (!intact) {
        shoal_reply_null_array(&base->reply);
    } else if (shoal_role__admit(base->env, exec->flags, &base->reply) &&
               (!cluster || admit_all(exec, base, &base->reply))) {
        shoal_reply_array(&base->reply, exec->count);
        return true;
    }
    exec->next = exec->piece_end = NULL;
    return false;
}

/* Runs a call with all that it leaves to be done. */
static void run_to_the_end(void *context, shoal_call *call)
{
    (void)context;
    call->command->run(call);
    SHOAL_ASSERT(call->wish.type == SHOAL_TYPE_NONE && !call->wants_gates);
    if (call->job == NULL) return;
    shoal_job *job = call->job;
    call->job = NULL;
    shoal_job__finish(job, call);
}

static void run_one(shoal_queued *queued, const shoal_call *base, shoal_session *session)
{
    shoal_call call = *base;
    call.command = queued->command;
    call.argc = queued->argc;
    call.argv = queued->argv;
    call.keys = queued->key_count != 0 ? queued->keys : NULL;
    call.key_count = queued->key_count;
    call.db = queued->db;
    if (session != NULL && is_private(queued->command)) {
        call.session = session;
        call.worker = session->worker;
    }
    queued->took_ns = 0;
    if (is_data(call.command) && !shoal_call__ready(&call)) return;
    int64_t started_ns = shoal_timing_clock(call.env);
    shoal_effect__run_part(&call, run_to_the_end, NULL);
    queued->took_ns = shoal_timing_since(call.env, started_ns);
}

/* As run_piece, within an operation that has begun. */
static void run_all(shoal_multi *exec, shoal_call *base, shoal_session *session)
{
    shoal_buffer *out = base->reply.out;
    size_t start = shoal_buffer_size(out);
    /* pair: env.settings */
    bool cluster = session == NULL && shoal_load_acquire(&base->env->settings)->cluster;
    bool whole = !exec->begun;
    if (whole && !begin(exec, base, cluster)) return;
    exec->header_size = shoal_buffer_size(out) - start;
    for (shoal_queued *each = exec->next; each != exec->piece_end; each = each->next) {
        size_t before = shoal_buffer_size(out);
        bool elsewhere = session == NULL && is_private(each->command);
        bool lost = !whole && !shoal_role__admit(base->env, each->command->flags, &base->reply);
        if (!lost && cluster && !whole && each->key_count != 0) {
            shoal_access access = access_of(exec, each, base);
            lost = !shoal_route__admit(&access, &base->reply);
        }
        if (!elsewhere && !lost) run_one(each, base, session);
        SHOAL_ASSERT(shoal_buffer_size(out) >= before || out->failed);
        each->reply_size = shoal_buffer_size(out) - before;
    }
}

/* Runs the piece as one operation; `base` is what all its calls have in common. Without a session
 * it leaves out what concerns the connection. */
static void run_piece(shoal_multi *exec, shoal_call *base, shoal_session *session)
{
    SHOAL_ASSERT(base->logged == 0);
    shoal_effect__begin(base);
    run_all(exec, base, session);
    shoal_effect__end(base);
}

/* What all calls of a piece have in common. */
static shoal_call base_of(shoal_env *env, shoal_thread *thread, shoal_reply reply)
{
    SHOAL_ASSERT(reply.out != NULL);
    return (shoal_call){
        .thread = thread,
        .store = env->store,
        .env = env,
        .now = shoal_thread_now(thread),
        .reply = reply,
        .gated = true,
        .whole = true,
    };
}

/* A piece whose gates were free. */
typedef struct here {
    shoal_gate_op gate; /* first */
    shoal_session *session;
    shoal_buffer *out;
} here;

static void run_here(shoal_op *op, void *runner)
{
    const here *piece = (const here *)op;
    shoal_session *session = piece->session;
    shoal_reply reply = {.out = piece->out, .protocol = session->protocol};
    shoal_call base = base_of(session->worker->env, runner, reply);
    base.client_id = session->id;
    SHOAL_ASSERT(runner == session->worker->thread);
    run_piece(session->exec, &base, session);
    if (base.logged != 0) session->logged = base.logged;
}

/* The gates were not free: runs on whatever thread holds them. */
static void run_elsewhere(shoal_op *op, void *runner)
{
    shoal_errand *errand = (shoal_errand *)op;
    SHOAL_ASSERT(errand->exec != NULL);
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    shoal_call base = base_of(errand->origin->env, runner, reply);
    base.client_id = errand->client_id;
    run_piece(errand->exec, &base, NULL);
    errand->logged = base.logged;
    shoal_errand_finish(errand);
}

/* Hands the piece to its gates. False without memory. */
static bool hand_over(shoal_session *session, bool hides_parts)
{
    shoal_multi *exec = session->exec;
    static const shoal_slice name = {"exec", 4};
    shoal_call call = {.command = shoal_command_row(SHOAL_COMMAND_EXEC),
                       .argc = 1,
                       .argv = &name,
                       .db = session->db,
                       .env = session->worker->env};
    shoal_errand *errand = shoal_errand__make(session, &call);
    if (errand == NULL) return false;
    SHOAL_ASSERT(exec->place_count > 0);
    errand->exec = exec;
    errand->gate = (shoal_gate_op){.op = {.run = run_elsewhere},
                                   .places = exec->places,
                                   .count = exec->place_count,
                                   .multi = hides_parts};
    (void)shoal_gate_push(session->worker->thread, &errand->gate);
    return true;
}

/* ---- at home ---- */

/* Counts what a command of a piece said; it stands in `out` from `at` on. */
static void account(shoal_session *session, const shoal_queued *queued, const shoal_buffer *out,
                    size_t at)
{
    shoal_session__count(session, queued->command);
    const shoal_timing_brief what = {queued->command, queued->argc, queued->argv};
    shoal_timing__record(session, &what, queued->took_ns);
    shoal_monitor__feed(session, &what, queued->db);
    if (out->failed || queued->reply_size == 0) return;
    SHOAL_ASSERT(at < shoal_buffer_size(out));
    shoal_session__note(session, queued->command,
                        (shoal_slice){out->data + out->start + at, queued->reply_size});
}

/* A piece for which there was no memory: each of its commands says so. */
static void refuse_piece(shoal_session *session, shoal_buffer *out)
{
    shoal_multi *exec = session->exec;
    shoal_reply reply = {.out = out, .protocol = session->protocol};
    if (!exec->begun) {
        session->watches = exec->watches;
        exec->watches = NULL;
        shoal_watches__release(session);
        exec->begun = true;
        exec->next = exec->piece_end = NULL;
        shoal_reply_error(&reply, SHOAL_ERROR__MEMORY);
        return;
    }
    for (; exec->next != exec->piece_end; exec->next = exec->next->next)
        shoal_reply_error(&reply, SHOAL_ERROR__MEMORY);
    SHOAL_ASSERT(session->errand == NULL);
}

/* Runs the piece from exec->next on; it may park the session. */
static void start_piece(shoal_session *session, shoal_buffer *out)
{
    shoal_multi *exec = session->exec;
    shoal_worker *worker = session->worker;
    if (!plan(exec, &worker->env->allocator)) {
        refuse_piece(session, out);
        return;
    }
    size_t before = shoal_buffer_size(out);
    here piece = {.gate = {.op = {.run = run_here},
                           .places = exec->places,
                           .count = exec->place_count,
                           .multi = hides(exec)},
                  .session = session,
                  .out = out};
    shoal_worker__dirty(worker);
    if (exec->place_count == 0) {
        run_here(&piece.gate.op, worker->thread);
    } else if (!shoal_gate_try(worker->thread, &piece.gate)) {
        if (!hand_over(session, piece.gate.multi)) refuse_piece(session, out);
        return;
    }
    SHOAL_ASSERT(exec->begun);
    size_t at = before + exec->header_size;
    for (; exec->next != exec->piece_end; exec->next = exec->next->next) {
        account(session, exec->next, out, at);
        at += exec->next->reply_size;
    }
}

/* Runs a command that is no part of a piece; it may park the session. */
static void start_single(shoal_session *session, shoal_buffer *out)
{
    shoal_worker *worker = session->worker;
    const shoal_queued *queued = session->exec->next;
    session->exec->next = queued->next;
    size_t before = shoal_buffer_size(out);
    shoal_call call = {
        .command = queued->command,
        .argc = queued->argc,
        .argv = queued->argv,
        .keys = queued->keys,
        .key_count = queued->key_count,
        .db = session->db,
        .thread = worker->thread,
        .store = worker->env->store,
        .env = worker->env,
        .now = worker->now,
        .reply = {.out = out, .protocol = session->protocol},
        .client_id = session->id,
    };
    shoal_session__count(session, queued->command);
    const shoal_timing_brief what = {queued->command, queued->argc, queued->argv};
    shoal_monitor__feed(session, &what, session->db);
    shoal_session__run(session, &call, before);
    if (session->errand != NULL || out->failed) return;
    SHOAL_ASSERT(shoal_buffer_size(out) >= before);
    if (shoal_buffer_size(out) == before) return;
    shoal_session__note(session, queued->command,
                        (shoal_slice){out->data + out->start + before,
                                      shoal_buffer_size(out) - before});
}

void shoal_exec__go_on(shoal_session *session, shoal_buffer *out)
{
    shoal_multi *exec = session->exec;
    SHOAL_ASSERT(exec != NULL && session->errand == NULL);
    while (!session->closing && (!exec->begun || exec->next != NULL)) {
        bool single =
            exec->begun && !is_data(exec->next->command) && !is_private(exec->next->command);
        if (single) {
            start_single(session, out);
        } else {
            start_piece(session, out);
        }
        if (session->errand != NULL) return;
    }
    /* While it is known what the transaction has read behind which change of its own. */
    if (session->tracker != NULL) shoal_tracking__catch_up(session->worker);
    session->exec = NULL;
    if (exec->parked) {
        static const shoal_slice name = {"exec", 4};
        const shoal_timing_brief what = {shoal_command_row(SHOAL_COMMAND_EXEC), 1, &name};
        shoal_timing__record(session, &what, exec->took_ns);
        shoal_monitor__feed(session, &what, session->db);
    }
    shoal_multi__free(exec, &session->worker->env->allocator);
}

void shoal_exec__deliver(shoal_session *session, shoal_buffer *out)
{
    shoal_multi *exec = session->exec;
    const shoal_errand *errand = session->errand;
    SHOAL_ASSERT(errand->exec == exec && exec->begun);
    shoal_reply reply = {.out = out, .protocol = session->protocol};
    if (errand->reply.failed) {
        if (exec->next == NULL) {
            shoal_reply_error(&reply, SHOAL_ERROR__MEMORY);
        } else if (exec->next == exec->first) {
            shoal_reply_array(&reply, exec->count);
        }
        refuse_piece(session, out);
        return;
    }
    shoal_slice rest = shoal_buffer_slice(&errand->reply);
    size_t size = exec->next != NULL ? exec->header_size : rest.size;
    shoal_buffer_append(out, (shoal_slice){rest.data, size});
    shoal_call base = base_of(session->worker->env, session->worker->thread, reply);
    for (; exec->next != exec->piece_end; exec->next = exec->next->next) {
        rest = (shoal_slice){rest.data + size, rest.size - size};
        size_t before = shoal_buffer_size(out);
        size = exec->next->reply_size;
        SHOAL_ASSERT(size <= rest.size);
        shoal_buffer_append(out, (shoal_slice){rest.data, size});
        if (is_private(exec->next->command)) {
            run_one(exec->next, &base, session);
            exec->next->reply_size = shoal_buffer_size(out) - before;
            size = 0;
        }
        account(session, exec->next, out, before);
    }
}

/* ---- EXEC ---- */

void shoal_command__exec(shoal_call *call)
{
    shoal_session *session = call->session;
    SHOAL_ASSERT(session != NULL && session->exec == NULL);
    const shoal_multi *multi = session->multi;
    if (multi == NULL) {
        shoal_reply_error(&call->reply, "ERR EXEC without MULTI");
    } else if (call->worker->settings->cluster && !admit_all(multi, call, &call->reply)) {
        shoal_multi__discard(session);
    } else if (multi->aborted) {
        shoal_multi__discard(session);
        shoal_reply_error(&call->reply,
                          "EXECABORT Transaction discarded because of previous errors.");
    } else if (session->watches != NULL && shoal_watches__touched(session->watches)) {
        shoal_multi__discard(session);
        shoal_reply_null_array(&call->reply);
    } else {
        session->exec = session->multi;
        session->multi = NULL;
        session->exec->next = session->exec->first;
        session->exec->watches = session->watches;
        session->watches = NULL;
        shoal_exec__go_on(session, call->reply.out);
    }
}
