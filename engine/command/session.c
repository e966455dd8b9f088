/* SPDX-License-Identifier: MIT
 *
 * command/session.c - one client connection: who may open it, how its bytes become requests, and
 * how it ends. Requests are parsed where the bytes arrived; only what is left over is kept.
 *
 *          feed                errand made                errand home, worker_ready, feed
 *   open -------> running ---------------------> parked -------------------------------> running
 *                    | QUIT, error, kill           | close
 *                    |   much output: parked without an errand until the client has read
 *                    v                             v
 *                 closing -> closed              dead until the errand comes home
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "command/block.h"
#include "command/client_line.h"
#include "command/hold.h"
#include "command/monitor.h"
#include "command/multi.h"
#include "command/replica.h"
#include "command/pause.h"
#include "command/plain.h"
#include "command/pubsub.h"
#include "command/tracking.h"
#include "command/watch.h"

/* An empty stash that is larger than this gives its memory back. Chosen: a few requests. */
#define STASH_KEPT_MAX 4096u
/* An incomplete request that is larger than this gets a parser of its own, which goes on where it
 * stopped; smaller ones are parsed from their start again. Chosen: one read of a host. */
#define PARSER_STASH_MIN (16u << 10)
/* Reply bytes that a client may leave unread before it has said who it is. As Redis: nobody gets
 * memory of the server with error messages alone. */
#define STRANGER_BACKLOG_MAX 1024u
/* Reply bytes after which a feed stops: what is left of the input waits in the stash, so that a
 * few bytes of input cannot make gigabytes of output. Chosen: many rounds of small replies. */
#define OUTPUT_STEP ((size_t)1 << 20)
/* Unsent reply bytes from which on the rest of the input waits until the client has read. */
#define OUTPUT_BACKLOG_MAX ((size_t)8 << 20)

/* ---- opening ---- */

static bool is_loopback(const shoal_address *address)
{
    SHOAL_ASSERT(address->ip[sizeof(address->ip) - 1] == '\0');
    return memcmp(address->ip, "127.", 4) == 0 || memcmp(address->ip, "::1", 4) == 0 ||
           memcmp(address->ip, "::ffff:127.", 11) == 0;
}

/* Why the connection may not be, or NULL. */
static const char *refusal(const shoal_worker *worker, const shoal_session_options *options)
{
    const shoal_settings *settings = worker->settings;
    SHOAL_ASSERT(settings->clients_max > 0);
    bool open_door =
        settings->protected_mode && !settings->protected_bound && settings->requirepass.size == 0;
    if (open_door && !options->unix_socket && !is_loopback(&options->peer)) {
        return "DENIED protected mode is on, no password is set and no address is bound, so only "
               "connections from this machine are accepted. Set requirepass, or bind, or "
               "protected-mode no, and connect again.";
    }
    if (shoal_load_relaxed(&worker->env->clients) >= settings->clients_max)
        return "ERR max number of clients reached";
    return NULL;
}

static shoal_session *make_session(shoal_worker *worker, const shoal_session_options *options)
{
    SHOAL_ASSERT(worker->settings != NULL);
    SHOAL_ASSERT(options->owner != NULL || options->descriptor >= -1);
    shoal_env *env = worker->env;
    const shoal_allocator *allocator = &env->allocator;
    shoal_session *session =
        allocator->allocate_zeroed(allocator->context, sizeof(*session), _Alignof(shoal_session));
    if (session == NULL) return NULL;
    session->worker = worker;
    session->protocol = 2;
    session->authenticated = worker->settings->requirepass.size == 0;
    session->stash = shoal_buffer_make(allocator);
    session->kept = shoal_buffer_make(allocator);
    session->name = shoal_buffer_make(allocator);
    session->pushed = shoal_buffer_make(allocator);
    session->library_name = shoal_buffer_make(allocator);
    session->library_version = shoal_buffer_make(allocator);
    session->id = shoal_add_relaxed(&env->client_id_next, 1);
    session->opened_us = session->active_us = worker->now.mono_us;
    session->options = *options;
    return session;
}

shoal_err shoal_session_open(shoal_worker *worker, const shoal_session_options *options,
                             shoal_buffer *out, shoal_session **opened)
{
    SHOAL_ASSERT(worker->inside);
    const char *why_not = refusal(worker, options);
    if (why_not != NULL) {
        shoal_reply reply = {.out = out, .protocol = 2};
        shoal_reply_error(&reply, why_not);
        shoal_worker__count(worker, SHOAL_STAT_CONNECTIONS_REJECTED, 1);
        return SHOAL_ERR_REFUSED;
    }
    shoal_session *session = make_session(worker, options);
    if (session == NULL) return SHOAL_ERR_NO_MEMORY;
    session->all.previous = worker->sessions.last;
    if (worker->sessions.last != NULL) {
        worker->sessions.last->all.next = session;
    } else {
        worker->sessions.first = session;
    }
    worker->sessions.last = session;
    worker->session_count++;
    shoal_add_relaxed(&worker->env->clients, 1);
    shoal_worker__count(worker, SHOAL_STAT_CONNECTIONS_RECEIVED, 1);
    *opened = session;
    return 0;
}

bool shoal_session__is_local(const shoal_session *session)
{
    SHOAL_ASSERT(!session->dead);
    return session->options.unix_socket || is_loopback(&session->options.peer);
}

/* ---- feeding ---- */

/* How a batch ended. */
typedef enum batch_end {
    BATCH_DONE,
    BATCH_STOPPED, /* the session parked or closes */
    BATCH_FULL,    /* enough output for one feed */
    BATCH_OUTDATED /* who the client is has changed, and with it what its next request may be */
} batch_end;

/* Runs request `at` of the batch, or as many as go in one go from there on. Returns how many. */
static uint32_t run_some(shoal_session *session, uint32_t at, shoal_buffer *out)
{
    shoal_entry *entry = shoal_batch__entry(&session->worker->batch, at);
    SHOAL_DEBUG_ASSERT(at < session->worker->batch.count);
    uint32_t served = shoal_plain__is(entry) ? shoal_plain__serve(session, at, out) : 0;
    if (served != 0) return served;
    shoal_batch__look_ahead(session->worker, entry);
    shoal_session__execute(session, entry, out);
    return 1;
}

/* Runs the batch in order; `*used` grows by how far it came. */
static batch_end run_batch(shoal_session *session, shoal_buffer *out, size_t *used)
{
    SHOAL_DEBUG_ASSERT(session->errand == NULL && !session->closing);
    shoal_batch *batch = &session->worker->batch;
    bool authenticated = session->authenticated;
    for (uint32_t i = 0; i < batch->count;) {
        uint32_t first = i;
        i += run_some(session, i, out);
        bool stopped = session->errand != NULL || session->closing;
        if (__builtin_expect(session->paused, 0)) {
            if (first > 0) *used += shoal_batch__entry(batch, first - 1)->end;
            return BATCH_STOPPED;
        }
        bool full = shoal_buffer_size(out) >= session->output_end;
        if (!stopped && !full && session->authenticated == authenticated) continue;
        *used += shoal_batch__entry(batch, i - 1)->end;
        return stopped ? BATCH_STOPPED : full ? BATCH_FULL : BATCH_OUTDATED;
    }
    *used += batch->end;
    return BATCH_DONE;
}

/* Says what is wrong with the protocol; the connection ends behind it. */
static void complain(shoal_session *session, shoal_buffer *out)
{
    SHOAL_ASSERT(!session->closing);
    const shoal_request *bad = session->worker->batch.bad;
    session->closing = true;
    if (bad == NULL || bad->complaint == NULL) return;
    shoal_buffer text = shoal_buffer_make(&session->worker->env->allocator);
    for (const char *c = bad->complaint; *c != '\0'; c++) {
        bool replaced = c[0] == '%' && c[1] == 'c';
        shoal_buffer_append(&text, (shoal_slice){replaced ? &bad->complaint_char : c, 1});
        if (replaced) c++;
    }
    shoal_reply reply = {.out = out, .protocol = session->protocol};
    shoal_slice said = shoal_buffer_slice(&text);
    shoal_reply_errorf(&reply, "ERR %.*s", (int)said.size, said.data);
    shoal_worker__count(session->worker, SHOAL_STAT_ERRORS, 1);
    shoal_worker__count(session->worker, SHOAL_STAT_ERROR_ERR, 1);
    shoal_buffer_free(&text);
}

/* Runs what is complete in `bytes`. Returns how many bytes are done with. */
static size_t consume(shoal_session *session, shoal_slice bytes, shoal_buffer *out)
{
    SHOAL_DEBUG_ASSERT(bytes.size > 0);
    shoal_batch *batch = &session->worker->batch;
    size_t used = 0;
    session->wanted = 0;
    for (;;) {
        shoal_slice rest = {bytes.data + used, bytes.size - used};
        shoal_parse found = shoal_batch__collect(session, rest);
        shoal_worker__count(session->worker, SHOAL_STAT_BATCHES, batch->count != 0);
        batch_end ended = run_batch(session, out, &used);
        shoal_timing__lap(session);
        if (ended == BATCH_STOPPED) return used;
        if (ended == BATCH_FULL) {
            session->yielded = used < bytes.size;
            session->yielded_round = session->worker->rounds;
            return used;
        }
        if (ended == BATCH_OUTDATED) continue;
        if (found == SHOAL_PARSE_ERROR) {
            complain(session, out);
            return used;
        }
        if (found == SHOAL_PARSE_MORE) break;
    }
    session->wanted = batch->wanted;
    return used;
}

/* A large incomplete request at the start of the stash goes on being parsed where it stopped. */
static void keep_parser(shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(!session->dead);
    size_t left = shoal_buffer_size(&session->stash);
    if (session->parser != NULL || left < PARSER_STASH_MIN) return;
    if (session->errand != NULL || session->yielded || session->paused) return;
    const shoal_allocator *allocator = &session->worker->env->allocator;
    session->parser = allocator->allocate_zeroed(allocator->context, sizeof(shoal_request),
                                                 _Alignof(shoal_request));
    /* Without memory for it the parse merely starts over. */
    if (session->parser != NULL) session->parser->allocator = allocator;
}

static void drop_parser(shoal_session *session)
{
    if (session->parser == NULL) return;
    const shoal_allocator *allocator = &session->worker->env->allocator;
    shoal_request_free(session->parser);
    allocator->release(allocator->context, session->parser, sizeof(shoal_request),
                       _Alignof(shoal_request));
    session->parser = NULL;
}

/* Keeps `in` behind what is stashed already. False when that is too much. */
static bool stash(shoal_session *session, shoal_slice in)
{
    SHOAL_DEBUG_ASSERT(session->stash.allocator != NULL);
    shoal_buffer *kept = &session->stash;
    shoal_worker *worker = session->worker;
    if (shoal_buffer_size(kept) + in.size > worker->settings->query_size_max) {
        shoal_worker__count(worker, SHOAL_STAT_QUERY_LIMIT, 1);
        return false;
    }
    /* Room for the whole request at once, when its size is known and half of it is there. */
    size_t size = shoal_buffer_size(kept) + in.size;
    if (session->wanted > size && session->wanted / 2 <= size)
        (void)shoal_buffer_reserve(kept, session->wanted - shoal_buffer_size(kept));
    shoal_buffer_append(kept, in);
    return !kept->failed;
}

/* Runs what can run of the stash with `in` behind it. */
static void run_input(shoal_session *session, shoal_slice in, shoal_buffer *out)
{
    SHOAL_DEBUG_ASSERT(session->errand == NULL && !session->closing);
    shoal_buffer *kept = &session->stash;
    size_t before = shoal_buffer_size(kept);
    if (before == 0) {
        if (in.size == 0) return;
        size_t used = consume(session, in, out);
        if (session->closing || used == in.size) return;
        if (!stash(session, (shoal_slice){in.data + used, in.size - used})) session->closing = true;
    } else {
        if (!stash(session, in)) {
            session->closing = true;
            return;
        }
        if (shoal_buffer_size(kept) < session->wanted) return;
        size_t used = consume(session, shoal_buffer_slice(kept), out);
        if (used != 0) drop_parser(session);
        shoal_buffer_consume(kept, used);
        if (shoal_buffer_size(kept) == 0 && kept->capacity > STASH_KEPT_MAX)
            shoal_buffer_free(kept);
    }
    keep_parser(session);
}

/* The state in which the feed leaves the session, as the host must know it. */
static shoal_feed outcome(const shoal_session *session, const shoal_buffer *out)
{
    SHOAL_DEBUG_ASSERT(!session->dead);
    if (session->overflowed) return SHOAL_FEED_DROP;
    if (session->closing || out->failed) return SHOAL_FEED_CLOSE;
    if (session->paused) return SHOAL_FEED_BLOCKED;
    if (session->errand != NULL && shoal_block__waits(session->errand)) return SHOAL_FEED_BLOCKED;
    /* WAIT may take as long as a blocking command. */
    if (session->errand != NULL && session->errand->command->id == SHOAL_COMMAND_WAIT)
        return SHOAL_FEED_BLOCKED;
    return session->errand != NULL || session->yielded ? SHOAL_FEED_PARKED : SHOAL_FEED_MORE;
}

/* A session that stopped for its output goes on in the next round, or when the client has read. */
static void resume_later(shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(!session->dead);
    size_t most = session->replica != NULL ? SHOAL_REPLICA_BACKLOG_MAX + 1 : OUTPUT_BACKLOG_MAX;
    if (session->yielded && session->backlog < most) shoal_worker__wake(session);
}

/* Bytes by which a session grows at once that are worth a look at maxmemory. Chosen. */
#define NOTICEABLE_WEIGHT 4096u

/* Counts what the session takes now, or with 0 that it is gone. What a replica has not read yet
 * makes no room for itself: what is evicted is told to it, and would be more to be read. */
static void weigh(shoal_session *session, size_t weight)
{
    shoal_worker *worker = session->worker;
    bool feeds = session->replica != NULL && session->replica->attached;
    if (session->evicted || feeds) weight = 0;
    SHOAL_DEBUG_ASSERT(shoal_load_relaxed(&worker->session_bytes) >= session->weight);
    shoal_bump_relaxed(&worker->session_bytes, weight - session->weight);
    shoal_thread_charge(worker->thread, (int64_t)weight - (int64_t)session->weight);
    /* More may be above maxmemory than anybody's write would find out soon. */
    bool noticeable = weight > session->weight + NOTICEABLE_WEIGHT;
    session->weight = weight;
    if (!noticeable) return;
    shoal_worker__dirty(worker);
    shoal_worker__evict_clients(worker);
}

shoal_feed shoal_session_feed(shoal_session *session, shoal_slice in, shoal_buffer *out)
{
    shoal_worker *worker = session->worker;
    SHOAL_ASSERT(worker->inside && !session->dead);
    size_t before = shoal_buffer_size(out);
    size_t room = shoal_session__output_room(session);
    bool fed = session->replica != NULL && session->replica->attached;
    session->output_end = before + (room < OUTPUT_STEP ? room : OUTPUT_STEP);
    session->yielded = false;
    session->active_us = worker->now.mono_us;
    shoal_pause__leave(session);
    if (in.size != 0) {
        shoal_worker__count(worker, SHOAL_STAT_NET_INPUT, in.size);
        shoal_worker__count(worker, SHOAL_STAT_READS, 1);
    }
    shoal_hold__deliver(session, out);
    /* Not into the reply of an EXEC that is under way. */
    if (session->exec == NULL) shoal_monitor__deliver(session, out);
    if (session->answered && !session->closing) {
        shoal_errand__deliver(session, out);
        shoal_timing__lap(session);
    }
    if (__builtin_expect(session->tracker != NULL, 0)) shoal_tracking__deliver(session, out);
    if (!session->closing) {
        if (session->errand != NULL) {
            if (!stash(session, in)) session->closing = true;
        } else {
            run_input(session, in, out);
        }
    }
    if (__builtin_expect(fed, 0)) shoal_replica__hush(session, out, before);
    bool feeds = session->replica != NULL && session->replica->attached && !session->closing;
    if (__builtin_expect(feeds, 0) && shoal_replica__pour(session, out)) {
        session->yielded = true;
        session->yielded_round = worker->rounds;
    }
    size_t written = shoal_buffer_size(out) - before;
    if (written >= room && !shoal_session__output_fits(session, written)) {
        out->end = out->start + before;
        written = 0;
    }
    shoal_batch *batch = &worker->batch;
    if (batch->key_count != 0) batch->output_a_key = written / batch->key_count;
    if (written != 0) {
        shoal_worker__count(worker, SHOAL_STAT_NET_OUTPUT, written);
        shoal_worker__count(worker, SHOAL_STAT_WRITES, 1);
    }
    resume_later(session);
    weigh(session, shoal_client__memory(session));
    /* What this session read it has copied; the next one may see newer things. */
    shoal_thread_refresh(worker->thread);
    return outcome(session, out);
}

bool shoal_session_backlog(shoal_session *session, size_t bytes)
{
    SHOAL_ASSERT(!session->dead);
    session->backlog = bytes;
    if (session->replica != NULL) shoal_store_relaxed(&session->replica->unsent, bytes);
    weigh(session, shoal_client__memory(session));
    if (!shoal_session__output_fits(session, 0)) return false;
    resume_later(session);
    return session->authenticated || bytes <= STRANGER_BACKLOG_MAX;
}

void *shoal_session_owner(const shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(!session->dead);
    return session->options.owner;
}

/* ---- ending ---- */

void shoal_session__evict(shoal_session *session)
{
    SHOAL_ASSERT(!session->evicted && !session->no_evict);
    session->evicted = true;
    weigh(session, 0);
    shoal_session__kill(session);
}

void shoal_session__kill(shoal_session *session)
{
    SHOAL_ASSERT(!session->dead);
    session->closing = true;
    shoal_worker__wake(session);
}

void shoal_session__reset(shoal_session *session)
{
    SHOAL_ASSERT(!session->dead);
    shoal_multi__discard(session);
    shoal_pubsub__leave(session);
    shoal_monitor__leave(session);
    shoal_tracking__leave(session);
    session->protocol = 2;
    session->db = 0;
    session->reads_replicas = false;
    session->asking = false;
    session->no_evict = false;
    session->reply_mode = SHOAL_REPLY__ON;
    session->authenticated = session->worker->settings->requirepass.size == 0;
    shoal_buffer_consume(&session->name, shoal_buffer_size(&session->name));
}

static void unlink_ready(shoal_session *session)
{
    if (!session->is_ready) return;
    shoal_session_list *list = &session->worker->ready;
    shoal_session_link link = session->waiting;
    *(link.previous != NULL ? &link.previous->waiting.next : &list->first) = link.next;
    *(link.next != NULL ? &link.next->waiting.previous : &list->last) = link.previous;
    session->is_ready = false;
}

static void unlink_all(shoal_session *session)
{
    shoal_worker *worker = session->worker;
    shoal_session_link link = session->all;
    if (worker->sweep_next == session) worker->sweep_next = link.next;
    *(link.previous != NULL ? &link.previous->all.next : &worker->sessions.first) = link.next;
    *(link.next != NULL ? &link.next->all.previous : &worker->sessions.last) = link.previous;
    SHOAL_ASSERT(worker->session_count > 0);
    worker->session_count--;
}

void shoal_session__free(shoal_session *session)
{
    SHOAL_ASSERT(!session->is_ready);
    SHOAL_ASSERT(session->watches == NULL);
    const shoal_allocator *allocator = &session->worker->env->allocator;
    drop_parser(session);
    shoal_replica__detach(session);
    if (session->multi != NULL) shoal_multi__free(session->multi, allocator);
    if (session->exec != NULL) shoal_multi__free(session->exec, allocator);
    shoal_buffer_free(&session->stash);
    shoal_buffer_free(&session->kept);
    shoal_buffer_free(&session->name);
    shoal_buffer_free(&session->pushed);
    shoal_buffer_free(&session->library_name);
    shoal_buffer_free(&session->library_version);
    allocator->release(allocator->context, session, sizeof(*session), _Alignof(shoal_session));
}

void shoal_session_close(shoal_session *session)
{
    SHOAL_ASSERT(session->worker->inside && !session->dead);
    unlink_ready(session);
    shoal_hold__forget(session);
    unlink_all(session);
    weigh(session, 0);
    shoal_pause__leave(session);
    shoal_pubsub__leave(session);
    shoal_monitor__leave(session);
    shoal_tracking__leave(session);
    shoal_tracking__untarget(session);
    shoal_sub_relaxed(&session->worker->env->clients, 1);
    /* A WATCH that is on its way uses the set; it goes when that is home. */
    if (session->errand == NULL || session->answered || session->errand->watches == NULL)
        shoal_watches__release(session);
    if (session->errand == NULL) {
        shoal_session__free(session);
    } else if (session->answered) {
        /* Control counts on a replica whose PSYNC it has answered, delivered or not. */
        session->dead = true;
        if (session->errand->attach) shoal_replica__attach(session);
        shoal_errand__free(session->errand);
        shoal_session__free(session);
    } else {
        /* The errand is on its way and knows this address; its return frees both. */
        session->dead = true;
        (void)shoal_block__cancel(session->errand, SHOAL_UNBLOCK__GONE);
    }
}
