/* SPDX-License-Identifier: MIT
 *
 * command/plain.c - see plain.h. What may be asked once for all requests of a run: of a session
 * only its own commands change anything, and these change nothing of it; of the node others do, and
 * a run comes before whatever they change while it is under way, as each command comes before what
 * changes behind its admission (dispatch.c). A pause is looked for at each request: whoever asked
 * for it sees at most one more of each worker's, as in the usual way. Of a slot its word is read
 * for each key, because a reader that begins behind a SLOW mark must see it; that it does not move
 * a write asks again under its gate.
 */
#include "command/plain.h"

#include "base/assert.h"
#include "command/effect.h"
#include "command/lap.h"

/* What a run has served so far. */
typedef struct plain_run {
    shoal_session *session;
    shoal_reply reply;
    bool writes; /* SETs too */
    uint32_t gets, sets;
} plain_run;

/* A SET under its gate. */
typedef struct plain_set {
    shoal_gate_op gate; /* first */
    plain_run *run;
    const shoal_entry *entry;
    const shoal_key *key;
    bool done;
} plain_set;

/* ---- may it be asked once? ---- */

/* Are all questions about the node answered as nearly always? */
static bool is_node_plain(const shoal_worker *worker)
{
    const shoal_env *env = worker->env;
    SHOAL_DEBUG_ASSERT(worker->inside);
    if (shoal_load_relaxed(&env->loading)) return false;
    if ((shoal_load_relaxed(&env->refuses) & SHOAL_REFUSES_STALE) != 0) return false;
    if (shoal_load_relaxed(&env->paused) || shoal_load_relaxed(&env->monitors) != 0) return false;
    const shoal_route *route = shoal_store_route(env->store);
    return route->move_count == 0 && (route->up || !worker->settings->cluster);
}

/* The same for what there is about a session. */
static bool is_session_plain(const shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(session->errand == NULL && !session->closing);
    if (!session->authenticated || session->db != session->worker->batch.db) return false;
    if (session->asking || session->reply_mode != SHOAL_REPLY__ON) return false;
    if (session->multi != NULL || session->exec != NULL || session->tracker != NULL) return false;
    return session->replica == NULL && session->subscribed_bytes == 0;
}

/* Does nothing refuse writes? */
static bool may_write(const shoal_env *env)
{
    SHOAL_DEBUG_ASSERT(env->store != NULL);
    return shoal_load_relaxed(&env->refuses) == 0 && shoal_load_relaxed(&env->misconf) == 0;
}

/* ---- one request ---- */

/* Answers a GET. False: nothing has happened. */
static inline bool get(plain_run *run, const shoal_key *key)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    const shoal_item *item = shoal_store_get_plain(run->session->worker->thread, key);
    SHOAL_DEBUG_ASSERT(item == NULL || !shoal_item_is_object(item));
    if (__builtin_expect(item == NULL, 0)) return false;
    shoal_reply_bulk(&run->reply, shoal_item_string(item, scratch));
    run->gets++;
    return true;
}

/* The change is somebody's to know: it takes the usual way from here on. */
static void set_told(plain_set *set)
{
    plain_run *run = set->run;
    shoal_session *session = run->session;
    size_t before = shoal_buffer_size(run->reply.out);
    shoal_call call = shoal_session__call(session, set->entry, run->reply);
    SHOAL_DEBUG_ASSERT(call.key_count == 1);
    call.gated = true;
    shoal_effect__run(&call);
    if (call.logged != 0) session->logged = call.logged;
    shoal_session__settle(session, call.command, run->reply.out, before);
    set->done = true;
}

/* The SET without its command, which has nothing to add. False: nothing has happened. */
static inline bool put(plain_set *set, shoal_thread *thread, bool told)
{
    shoal_session *session = set->run->session;
    const shoal_request *request = set->entry->request;
    SHOAL_DEBUG_ASSERT(request->argc == 3);
    if (!told) return shoal_store_put_locked(thread, set->key, request->argv[2], -1) == 0;
    const shoal_effect__words words = {request->text, request->argv, 3, session->db};
    const shoal_env *env = session->worker->env;
    return shoal_effect__put(env, thread, set->key, &words, &session->logged) == 0;
}

static void run_set(shoal_op *op, void *runner)
{
    plain_set *set = (plain_set *)op;
    const shoal_env *env = set->run->session->worker->env;
    SHOAL_DEBUG_ASSERT(!set->done);
    /* What was here before the gate was taken may have gone since. */
    if (shoal_route__moves(env->store, SHOAL_PLACE_SLOT(set->key->place))) return;
    if (!shoal_thread_reserve(runner)) return;
    shoal_effect__wants wants = shoal_effect__wanted_by(env);
    if (__builtin_expect(wants == SHOAL_EFFECT__BY_OTHERS, 0)) {
        set_told(set);
    } else if (__builtin_expect(put(set, runner, wants == SHOAL_EFFECT__BY_LOG), 1)) {
        shoal_reply_ok(&set->run->reply);
        set->done = true;
    }
}

/* Carries out a SET. False: nothing has happened. */
static inline bool set(plain_run *run, const shoal_entry *entry, const shoal_key *key)
{
    shoal_worker *worker = run->session->worker;
    SHOAL_DEBUG_ASSERT(entry->request->argc == 3);
    if (!run->writes || !shoal_store_owns(worker->env->store, SHOAL_PLACE_SLOT(key->place)))
        return false;
    if (!shoal_store_admit(worker->thread)) return false;
    plain_set one = {.gate = {.op = {.run = run_set}, .places = &key->place, .count = 1},
                     .run = run,
                     .entry = entry,
                     .key = key};
    shoal_worker__dirty(worker);
    if (!shoal_gate_try(worker->thread, &one.gate) || !one.done) return false;
    run->sets++;
    return true;
}

/* ---- all of them ---- */

static void count(const plain_run *run)
{
    shoal_worker *worker = run->session->worker;
    shoal_tally *tallies = worker->tallies;
    SHOAL_DEBUG_ASSERT(run->gets + run->sets > 0);
    shoal_worker__count(worker, SHOAL_STAT_COMMANDS, run->gets + run->sets);
    if (run->gets != 0) {
        shoal_bump_relaxed(&tallies[SHOAL_COMMAND_GET].calls, run->gets);
        shoal_thread_count_hits(worker->thread, run->gets);
    }
    if (run->sets != 0) shoal_bump_relaxed(&tallies[SHOAL_COMMAND_SET].calls, run->sets);
}

uint32_t shoal_plain__serve(shoal_session *session, uint32_t from, shoal_buffer *out)
{
    shoal_worker *worker = session->worker;
    const shoal_batch *batch = &worker->batch;
    SHOAL_DEBUG_ASSERT(from < batch->count);
    if (!is_session_plain(session) || !is_node_plain(worker)) return 0;
    bool measured = shoal_timing__measures(worker);
    if (measured && !shoal_timing__shares(session)) return 0;
    if (measured) (void)shoal_timing__begin(session, true);
    plain_run run = {.session = session,
                     .reply = {.out = out, .protocol = session->protocol},
                     .writes = may_write(worker->env)};
    uint32_t at = from;
    for (; at < batch->count && shoal_buffer_size(out) < session->output_end; at++) {
        const shoal_entry *entry = shoal_batch__entry(batch, at);
        if (!shoal_plain__is(entry)) break;
        if (__builtin_expect(shoal_load_relaxed(&worker->env->paused), 0)) break;
        shoal_command_id id = entry->command->id;
        shoal_batch__look_ahead(worker, entry);
        const shoal_key *key = &batch->keys[entry->key_at];
        if (!(id == SHOAL_COMMAND_GET ? get(&run, key) : set(&run, entry, key))) break;
        session->last = id;
        if (measured)
            shoal_timing__note(session, entry->command, entry->request->argc, entry->request->argv);
    }
    if (at > from) count(&run);
    return at - from;
}
