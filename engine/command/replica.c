/* SPDX-License-Identifier: MIT
 *
 * command/replica.c - the worker's side of a replica: REPLCONF, the parts of a snapshot in the
 * order in which control posts them, and the log behind them, straight from where writers put it.
 *
 * A session that has become a replica's sends nothing but that: what it still says (REPLCONF ACK)
 * has no reply.
 */
#include "command/replica.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/client_line.h"
#include "command/handlers.h"
#include "command/worker.h"

/* The level of what should be seen, as traces number them. */
#define LOG_WARNING 3u
/* Bytes that a feed hands out at once: a part of what a socket takes in one go. Chosen. */
#define POUR_STEP ((size_t)512 << 10)
/* Bytes of the log, as a power of two, behind which control is told that they have been taken: so
 * large is what the log gives back at once. */
#define TRIM_BITS 20u

/* ---- making and freeing ---- */

bool shoal_replica__ready(shoal_session *session)
{
    SHOAL_ASSERT(!session->dead);
    if (session->replica != NULL) return true;
    shoal_env *env = session->worker->env;
    shoal_replica *replica =
        shoal_memory_take_zeroed(&env->allocator, sizeof *replica, SHOAL_ALIGN_PLAIN);
    if (replica == NULL) return false;
    replica->session = session;
    replica->client_id = session->id;
    replica->worker = session->worker->index;
    replica->address = session->options.peer;
    session->replica = replica;
    return true;
}

void shoal_replica_free(const shoal_env *env, shoal_replica *replica)
{
    SHOAL_ASSERT(replica->parts == 0 && replica->first == NULL && !replica->order_out);
    SHOAL_ASSERT(replica->session == NULL && !replica->reads);
    shoal_memory_give(&env->allocator, replica, sizeof *replica, SHOAL_ALIGN_PLAIN);
}

/* ---- between control and worker ---- */

static void to_control(const shoal_env *env, shoal_op *op)
{
    SHOAL_ASSERT(op->run != NULL);
    if (shoal_inbox_push(env->control, op))
        env->host->nudge(env->host->context, SHOAL_ACTOR_CONTROL);
}

/* On the control actor. */
static void part_is_back(shoal_op *op, void *runner)
{
    shoal_replica_part *part = (shoal_replica_part *)op;
    SHOAL_ASSERT(part->replica->parts > 0);
    (void)runner;
    part->replica->parts--;
    part->replica->part_back(part->replica, part);
}

static void give_back(const shoal_env *env, shoal_replica_part *part)
{
    SHOAL_DEBUG_ASSERT(part->replica != NULL);
    part->op.run = part_is_back;
    to_control(env, &part->op);
}

/* On the replica's worker. */
static void part_arrives(shoal_op *op, void *runner)
{
    shoal_replica_part *part = (shoal_replica_part *)op;
    shoal_replica *replica = part->replica;
    const shoal_worker *worker = runner;
    SHOAL_ASSERT(worker->index == replica->worker);
    if (replica->session == NULL) {
        give_back(worker->env, part);
        return;
    }
    part->next = NULL;
    if (replica->last != NULL) {
        replica->last->next = part;
    } else {
        replica->first = part;
    }
    replica->last = part;
    shoal_worker__wake(replica->session);
}

void shoal_replica_post(shoal_env *env, shoal_replica_part *part)
{
    shoal_replica *replica = part->replica;
    SHOAL_ASSERT(replica->state == SHOAL_REPLICA_LOADING || replica->state == SHOAL_REPLICA_ONLINE);
    replica->parts++;
    part->op.run = part_arrives;
    shoal_worker__post(env->workers[replica->worker], &part->op);
}

static shoal_replica *replica_of_order(shoal_op *op)
{
    SHOAL_DEBUG_ASSERT(op->run != NULL);
    return (shoal_replica *)(void *)((char *)op - offsetof(shoal_replica, order));
}

/* On the control actor: now the replica may be freed, if its connection is closed. */
static void order_is_back(shoal_op *op, void *runner)
{
    shoal_replica *replica = replica_of_order(op);
    SHOAL_ASSERT(replica->order_out && replica->order_back != NULL);
    (void)runner;
    replica->order_out = false;
    replica->order_back(replica);
}

/* On the replica's worker. */
static void leave(shoal_op *op, void *runner)
{
    const shoal_replica *replica = replica_of_order(op);
    const shoal_worker *worker = runner;
    SHOAL_ASSERT(worker->index == replica->worker);
    if (replica->session != NULL) shoal_session__kill(replica->session);
    op->run = order_is_back;
    to_control(worker->env, op);
}

void shoal_replica_dismiss(shoal_env *env, shoal_replica *replica)
{
    SHOAL_ASSERT(replica->worker < env->worker_count);
    if (replica->ordered) return;
    replica->ordered = replica->order_out = true;
    replica->order.run = leave;
    shoal_worker__post(env->workers[replica->worker], &replica->order);
}

/* On the control actor. */
static void is_gone(shoal_op *op, void *runner)
{
    shoal_replica *replica =
        (shoal_replica *)(void *)((char *)op - offsetof(shoal_replica, farewell));
    SHOAL_ASSERT(replica->gone != NULL);
    (void)runner;
    replica->gone(replica);
}

void shoal_replica__detach(shoal_session *session)
{
    shoal_replica *replica = session->replica;
    if (replica == NULL) return;
    shoal_worker *worker = session->worker;
    SHOAL_ASSERT(replica->session == session);
    session->replica = NULL;
    replica->session = NULL;
    if (!replica->attached) {
        shoal_replica_free(worker->env, replica);
        return;
    }
    *(replica->worker_previous != NULL ? &replica->worker_previous->worker_next
                                       : &worker->replicas) = replica->worker_next;
    if (replica->worker_next != NULL)
        replica->worker_next->worker_previous = replica->worker_previous;
    shoal_bump_relaxed(&worker->replica_count, (uint32_t)-1);
    while (replica->first != NULL) {
        shoal_replica_part *part = replica->first;
        replica->first = part->next;
        give_back(worker->env, part);
    }
    replica->last = NULL;
    replica->farewell.run = is_gone;
    to_control(worker->env, &replica->farewell);
}

void shoal_replica__attach(shoal_session *session)
{
    shoal_replica *replica = session->replica;
    shoal_worker *worker = session->worker;
    SHOAL_ASSERT(replica != NULL && !replica->attached);
    replica->attached = true;
    replica->worker_previous = NULL;
    replica->worker_next = worker->replicas;
    if (worker->replicas != NULL) worker->replicas->worker_previous = replica;
    worker->replicas = replica;
    shoal_bump_relaxed(&worker->replica_count, 1u);
    session->no_evict = true;
    shoal_store_relaxed(&replica->heard_us, worker->now.mono_us);
    /* A connection that was closed meanwhile is detached at once. */
    if (!session->dead) shoal_worker__wake(session);
}

/* ---- what it says ---- */

bool shoal_replica__admit(shoal_session *session, const shoal_command *command, shoal_reply *reply)
{
    SHOAL_ASSERT(session->replica != NULL);
    SHOAL_ASSERT(command->id != SHOAL_COMMAND_NONE);
    if (!session->replica->attached) return true;
    session->last = command->id;
    if ((command->flags & (SHOAL_FLAG_WRITE | SHOAL_FLAG_READONLY)) == 0) return true;
    shoal_reply_error(reply, "ERR Replica can't interact with the keyspace");
    return false;
}

static void warn(const shoal_env *env, const shoal_buffer *text)
{
    const shoal_trace_record record = {.kind = SHOAL_TRACE_LOG,
                                       .a = LOG_WARNING,
                                       .text = shoal_buffer_slice(text)};
    SHOAL_ASSERT(record.text.size > 0 || text->failed);
    if (!text->failed && env->host->trace != NULL) env->host->trace(env->host->context, &record);
}

void shoal_replica__hush(shoal_session *session, shoal_buffer *out, size_t before)
{
    const shoal_env *env = session->worker->env;
    size_t size = shoal_buffer_size(out) - before;
    SHOAL_ASSERT(session->replica != NULL && session->replica->attached);
    if (size == 0 || out->failed) return;
    shoal_slice said = {out->data + out->start + before, size};
    size_t line = shoal_text_find(said, shoal_text("\r\n"));
    SHOAL_ASSERT(line == SHOAL_TEXT_NONE || line < size);
    char name[64] = "<unknown>";
    if (session->last != SHOAL_COMMAND_NONE)
        shoal_command__full_name(shoal_command_row(session->last), name, sizeof(name));
    shoal_buffer text = shoal_buffer_make(&env->allocator);
    if (said.data[0] == '-' && line != SHOAL_TEXT_NONE) {
        shoal_text_appendf(&text,
                           "== CRITICAL == This master is sending an error to its replica: '%.*s' "
                           "after processing the command '%s'",
                           (int)line, said.data, name);
        warn(env, &text);
        shoal_buffer_consume(&text, shoal_buffer_size(&text));
    }
    shoal_text_appendf(&text,
                       "Replica generated a reply to command '%s', disconnecting it: ", name);
    shoal_client__line(NULL, session, &text);
    if (!text.failed) text.end--; /* the line's end */
    warn(env, &text);
    shoal_buffer_free(&text);
    out->end = out->start + before;
    session->closing = true;
}

/* ---- sending ---- */

bool shoal_replica__pour(shoal_session *session, shoal_buffer *out)
{
    shoal_replica *replica = session->replica;
    const shoal_env *env = session->worker->env;
    SHOAL_ASSERT(replica->attached && !session->dead);
    size_t before = shoal_buffer_size(out);
    uint64_t from = replica->streams ? shoal_log_at(&replica->reader) : 0;
    bool more = true;
    while (more && !out->failed && shoal_buffer_size(out) - before < POUR_STEP &&
           session->backlog <= SHOAL_REPLICA_BACKLOG_MAX) {
        shoal_replica_part *part = replica->first;
        if (part != NULL) {
            shoal_buffer_append(out, (shoal_slice){part->bytes, part->size});
            replica->streams = part->last && !part->asks;
            replica->awaits_ack = part->last && part->asks;
            replica->first = part->next;
            if (replica->first == NULL) replica->last = NULL;
            give_back(env, part);
            continue;
        }
        if (!replica->streams || replica->rdb_only) return false;
        shoal_slice bytes =
            shoal_log_peek(env->log, &replica->reader, shoal_log_committed(env->log));
        if (bytes.size > POUR_STEP) bytes.size = POUR_STEP;
        more = bytes.size > 0;
        if (!more) break;
        shoal_buffer_append(out, bytes);
        shoal_log_skip(&replica->reader, bytes.size);
    }
    if (!replica->streams) return more;
    uint64_t at = shoal_log_at(&replica->reader);
    SHOAL_DEBUG_ASSERT(at >= from);
    shoal_store_relaxed(&replica->sent, at);
    /* What nobody needs any more goes soon, where there is much of it. */
    if (from >> TRIM_BITS != at >> TRIM_BITS)
        env->host->nudge(env->host->context, SHOAL_ACTOR_CONTROL);
    return more;
}

void shoal_replica__wake(shoal_worker *worker)
{
    const shoal_log *log = worker->env->log;
    SHOAL_DEBUG_ASSERT(worker->inside);
    if (log == NULL) return;
    uint64_t end = shoal_log_end(log);
    for (shoal_replica *each = worker->replicas; each != NULL; each = each->worker_next) {
        /* One that waits for room is woken when there is some. */
        if (each->streams && !each->session->yielded && end > shoal_log_at(&each->reader))
            shoal_worker__wake(each->session);
    }
    if (end == worker->log_seen) return;
    worker->log_seen = end;
    shoal_replica_rouse(worker->env, worker);
}

void shoal_replica_rouse(const shoal_env *env, const shoal_worker *except)
{
    SHOAL_DEBUG_ASSERT(env->worker_count > 0);
    for (uint32_t i = 0; i < env->worker_count; i++) {
        const shoal_worker *worker = env->workers[i];
        if (worker != except && shoal_load_relaxed(&worker->replica_count) > 0)
            env->host->nudge(env->host->context, 1 + i);
    }
}

/* ---- REPLCONF ---- */

static void acknowledge(shoal_call *call, shoal_slice text)
{
    shoal_replica *replica = call->session->replica;
    SHOAL_DEBUG_ASSERT(call->worker != NULL);
    uint64_t offset;
    if (replica == NULL || !replica->attached || !shoal_text_to_u64(text, &offset)) return;
    if (offset > shoal_load_relaxed(&replica->acknowledged))
        shoal_store_relaxed(&replica->acknowledged, offset);
    shoal_store_relaxed(&replica->heard_us, call->worker->now.mono_us);
    if (replica->awaits_ack) {
        replica->awaits_ack = false;
        replica->streams = true;
        shoal_worker__wake(call->session);
    }
    const shoal_env *env = call->env;
    if (shoal_load_relaxed(&env->acks_wanted) != 0)
        env->host->nudge(env->host->context, SHOAL_ACTOR_CONTROL);
}

/* One pair of words. False after writing an error, or where there is no reply at all. */
static bool configure(shoal_call *call, uint32_t i, bool *silent)
{
    shoal_replica *replica = call->session->replica;
    shoal_slice value = call->argv[i + 1];
    int64_t number;
    if (shoal_call__word(call, i, "listening-port")) {
        if (!shoal_call__integer(call, i + 1, &number)) return false;
        replica->listening_port = (uint16_t)number;
    } else if (shoal_call__word(call, i, "ip-address")) {
        if (value.size >= sizeof replica->address.ip) {
            shoal_reply_errorf(&call->reply,
                               "ERR REPLCONF ip-address provided by replica instance is too long: "
                               "%zu bytes",
                               value.size);
            return false;
        }
        memset(replica->address.ip, 0, sizeof replica->address.ip);
        memcpy(replica->address.ip, value.data, value.size);
    } else if (shoal_call__word(call, i, "capa")) {
        if (shoal_text_is(value, "eof")) replica->capabilities |= SHOAL_CAPA_EOF;
        if (shoal_text_is(value, "psync2")) replica->capabilities |= SHOAL_CAPA_PSYNC2;
    } else if (shoal_call__word(call, i, "ack")) {
        acknowledge(call, value);
        *silent = true;
    } else if (shoal_call__word(call, i, "getack")) {
        *silent = true;
    } else if (shoal_call__word(call, i, "rdb-only")) {
        if (!shoal_call__integer(call, i + 1, &number)) return false;
        replica->rdb_only = number == 1;
    } else {
        shoal_reply_errorf(&call->reply, "ERR Unrecognized REPLCONF option: %.*s",
                           (int)call->argv[i].size, call->argv[i].data);
        return false;
    }
    SHOAL_DEBUG_ASSERT(replica->session == call->session);
    return true;
}

void shoal_command__replconf(shoal_call *call)
{
    SHOAL_ASSERT(call->session != NULL);
    bool silent = false;
    if (call->argc % 2 == 0) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    if (!shoal_replica__ready(call->session)) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    for (uint32_t i = 1; i < call->argc && !silent; i += 2)
        if (!configure(call, i, &silent)) return;
    if (!silent) shoal_reply_ok(&call->reply);
}
