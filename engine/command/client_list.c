/* SPDX-License-Identifier: MIT
 *
 * command/client_list.c - CLIENT LIST and CLIENT KILL: tours, which ask every worker about its own
 * sessions. Arguments are parsed anew at each worker, which does nothing when they are wrong;
 * the last call says so.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "command/block.h"
#include "command/client_line.h"
#include "command/handlers.h"
#include "command/multi.h"
#include "command/pubsub.h"
#include "command/replica.h"
#include "command/tracking.h"
#include "command/watch.h"

/* ---- lines ---- */

void shoal_client__address(const shoal_address *address, shoal_buffer *out)
{
    SHOAL_ASSERT(address->ip[sizeof(address->ip) - 1] == '\0');
    bool v6 = shoal_text_find(shoal_text(address->ip), shoal_text(":")) != SHOAL_TEXT_NONE;
    shoal_text_appendf(out, v6 ? "[%s]:%u" : "%s:%u", address->ip, (unsigned)address->port);
}

static void append_flags(const shoal_session *session, shoal_buffer *out)
{
    char flags[16];
    size_t count = 0;
    const shoal_tracker *tracker = session->tracker;
    if (session->monitors) flags[count++] = 'O';
    if (shoal_pubsub__subscriptions(session) != 0) flags[count++] = 'P';
    if (session->multi != NULL) flags[count++] = 'x';
    bool waits = session->errand != NULL && shoal_block__waits(session->errand);
    if (waits || session->paused) flags[count++] = 'b';
    if (session->watches != NULL && shoal_watches__touched(session->watches)) flags[count++] = 'd';
    if (session->closing) flags[count++] = 'c';
    if (tracker != NULL) flags[count++] = 't';
    if (tracker != NULL && tracker->broken) flags[count++] = 'R';
    if (tracker != NULL && tracker->options.bcast) flags[count++] = 'B';
    if (session->options.unix_socket) flags[count++] = 'U';
    bool feeds = session->replica != NULL && session->replica->attached;
    if (feeds) flags[count++] = 'S';
    if (session->reads_replicas) flags[count++] = 'r';
    /* A replica's is never evicted, unasked. */
    if (session->no_evict && !feeds) flags[count++] = 'e';
    if (count == 0) flags[count++] = 'N';
    shoal_text_appendf(out, " flags=%.*s", (int)count, flags);
}

static void append_field(const char *name, const shoal_buffer *value, shoal_buffer *out)
{
    SHOAL_ASSERT(value->allocator != NULL);
    shoal_text_appendf(out, " %s=", name);
    shoal_buffer_append(out, shoal_buffer_slice(value));
}

/* Bytes of the call's request, which lay in its client's input when it was read. */
static size_t request_size(const shoal_call *call)
{
    SHOAL_ASSERT(call->argc > 0);
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    size_t size = 3 + shoal_text_from_u64(digits, call->argc);
    for (uint32_t i = 0; i < call->argc; i++)
        size += 5 + shoal_text_from_u64(digits, call->argv[i].size) + call->argv[i].size;
    return size;
}

static uint64_t asker(const shoal_call *call)
{
    SHOAL_ASSERT(call->tour != NULL || call->session != NULL);
    return call->tour != NULL ? call->tour->asker : call->session->id;
}

size_t shoal_client__memory(const shoal_session *session)
{
    const shoal_multi *multi = session->multi;
    SHOAL_DEBUG_ASSERT(session->worker != NULL);
    size_t queued = multi != NULL ? sizeof(*multi) + multi->memory : 0;
    size_t watched = session->watches != NULL ? shoal_watches__memory(session->watches) : 0;
    if (session->tracker != NULL) watched += session->tracker->prefix_bytes;
    return sizeof(*session) + session->stash.capacity + session->backlog + queued + watched +
           session->pushed.capacity + session->subscribed_bytes;
}

void shoal_client__line(const shoal_call *call, const shoal_session *session, shoal_buffer *out)
{
    SHOAL_ASSERT(!session->dead);
    SHOAL_ASSERT(session->worker->inside);
    const shoal_session_options *options = &session->options;
    int64_t now = session->worker->now.mono_us;
    shoal_text_appendf(out, "id=%llu addr=", (unsigned long long)session->id);
    shoal_client__address(&options->peer, out);
    shoal_text_appendf(out, " laddr=");
    shoal_client__address(&options->local, out);
    shoal_text_appendf(out, " fd=%d", options->descriptor);
    append_field("name", &session->name, out);
    shoal_text_appendf(out, " age=%lld idle=%lld",
                       (long long)((now - session->opened_us) / 1000000),
                       (long long)((now - session->active_us) / 1000000));
    append_flags(session, out);
    size_t stash = shoal_buffer_size(&session->stash);
    size_t input = stash + (call != NULL && session->id == asker(call) ? request_size(call) : 0);
    const shoal_multi *multi = session->multi;
    shoal_text_appendf(out, " db=%u sub=%u psub=%u ssub=%u multi=%lld qbuf=%zu qbuf-free=%zu",
                       session->db, session->subscribed[SHOAL_TOPIC_CHANNEL].count,
                       session->subscribed[SHOAL_TOPIC_PATTERN].count,
                       session->subscribed[SHOAL_TOPIC_SHARD].count,
                       multi != NULL ? (long long)multi->count : -1, input,
                       session->stash.capacity - stash);
    size_t queued = multi != NULL ? sizeof(*multi) + multi->memory : 0;
    shoal_text_appendf(out, " argv-mem=0 multi-mem=%zu rbs=0 rbp=0 obl=0 oll=%d omem=%zu", queued,
                       session->backlog != 0, session->backlog);
    shoal_text_appendf(out, " tot-mem=%zu events=%s cmd=", shoal_client__memory(session),
                       session->backlog != 0 ? "rw" : "r");
    char name[64] = "NULL";
    if (session->last != SHOAL_COMMAND_NONE)
        shoal_command__full_name(shoal_command_row(session->last), name, sizeof(name));
    const shoal_tracker *tracker = session->tracker;
    shoal_text_appendf(out, "%s user=%s redir=%lld resp=%d", name, "default",
                       tracker != NULL ? (long long)tracker->options.redirect : -1,
                       session->protocol);
    append_field("lib-name", &session->library_name, out);
    append_field("lib-ver", &session->library_version, out);
    shoal_text_appendf(out, "\n");
}

/* ---- which sessions ---- */

/* The kinds of clients that filters name. */
typedef enum client_kind {
    KIND_ANY = 0,
    KIND_NORMAL,
    KIND_PUBSUB,
    KIND_REPLICA,
    KIND_MASTER /* none is a session */
} client_kind;

static client_kind kind_of(const shoal_session *session)
{
    SHOAL_DEBUG_ASSERT(!session->dead);
    if (session->replica != NULL && session->replica->attached) return KIND_REPLICA;
    return shoal_pubsub__subscriptions(session) != 0 ? KIND_PUBSUB : KIND_NORMAL;
}

/* False after writing that there is no such kind. */
static bool parse_type(shoal_call *call, uint32_t index, client_kind *kind)
{
    SHOAL_ASSERT(index < call->argc);
    shoal_slice type = call->argv[index];
    if (shoal_text_is(type, "normal")) {
        *kind = KIND_NORMAL;
    } else if (shoal_text_is(type, "pubsub")) {
        *kind = KIND_PUBSUB;
    } else if (shoal_text_is(type, "replica") || shoal_text_is(type, "slave")) {
        *kind = KIND_REPLICA;
    } else if (shoal_text_is(type, "master")) {
        *kind = KIND_MASTER;
    } else {
        shoal_reply_errorf(&call->reply, "ERR Unknown client type '%.*s'", (int)type.size,
                           type.data);
        return false;
    }
    return true;
}

/* What CLIENT LIST shows. Zero: everything. */
typedef struct list_filter {
    client_kind kind;
    uint32_t id_first; /* index of the first id argument, 0: any */
} list_filter;

/* False after writing an error. */
static bool parse_list(shoal_call *call, list_filter *filter)
{
    SHOAL_ASSERT(call->argc >= 2);
    if (call->argc == 2) return true;
    if (call->argc == 4 && shoal_call__word(call, 2, "type"))
        return parse_type(call, 3, &filter->kind);
    if (call->argc < 4 || !shoal_call__word(call, 2, "id")) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    filter->id_first = 3;
    for (uint32_t i = 3; i < call->argc; i++) {
        int64_t id;
        if (shoal_text_to_i64(call->argv[i], &id) && id > 0) continue;
        shoal_reply_error(&call->reply, "ERR Invalid client ID");
        return false;
    }
    return true;
}

static bool listed(const shoal_call *call, const list_filter *filter, client_kind kind, uint64_t id)
{
    SHOAL_ASSERT(filter->id_first == 0 || filter->id_first < call->argc);
    if (filter->kind != KIND_ANY && filter->kind != kind) return false;
    if (filter->id_first == 0) return true;
    for (uint32_t i = filter->id_first; i < call->argc; i++) {
        int64_t wanted;
        if (shoal_text_to_i64(call->argv[i], &wanted) && (uint64_t)wanted == id) return true;
    }
    return false;
}

/* Adds the link to this node's master, which is no session, when it is in sync. What the host knows
 * of it (its own end, the descriptor) is not shown. */
static void list_master(const shoal_call *call, const list_filter *filter, shoal_buffer *out)
{
    const shoal_env *env = call->env;
    uint64_t words[SHOAL_MASTER_WORDS + 1] = {0};
    for (uint32_t i = 0; i < SHOAL_MASTER_WORDS; i++)
        words[i] = shoal_load_relaxed(&env->master_text[i]);
    shoal_slice name = shoal_text((const char *)words);
    uint64_t link = shoal_load_relaxed(&env->master_link), id = shoal_load_relaxed(&env->master_id);
    if (link == 0 || (shoal_hash(name, 0) | 1) != link) return;
    SHOAL_DEBUG_ASSERT(name.size > 0);
    if (!listed(call, filter, KIND_MASTER, id)) return;
    int64_t now = call->worker->now.mono_us;
    int64_t age_us = now - shoal_load_relaxed(&env->master_since_us);
    int64_t idle_us = now - shoal_load_relaxed(&env->master_heard_us);
    shoal_text_appendf(out,
                       "id=%llu addr=%.*s laddr=?:0 fd=-1 name= age=%lld idle=%lld flags=M db=0 "
                       "sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 "
                       "rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=NULL "
                       "user=(superuser) redir=-1 resp=2 lib-name= lib-ver=\n",
                       (unsigned long long)id, (int)name.size, name.data,
                       (long long)(age_us > 0 ? age_us / 1000000 : 0),
                       (long long)(idle_us > 0 ? idle_us / 1000000 : 0));
}

/* Parsing writes errors; at every stop but the last they are not wanted. */
static shoal_reply quiet(shoal_call *call, shoal_buffer *sink)
{
    SHOAL_ASSERT(call->tour != NULL);
    shoal_reply kept = call->reply;
    *sink = shoal_buffer_make(&call->env->allocator);
    if (!call->tour->last) call->reply.out = sink;
    return kept;
}

void shoal_command__client_list(shoal_call *call)
{
    SHOAL_ASSERT(call->worker != NULL);
    shoal_tour *tour = call->tour;
    SHOAL_ASSERT(!tour->last == (call->session == NULL));
    list_filter filter = {0};
    shoal_buffer sink;
    shoal_reply kept = quiet(call, &sink);
    bool valid = parse_list(call, &filter);
    call->reply = kept;
    shoal_buffer_free(&sink);
    if (!valid) return;
    if (tour->last) {
        list_master(call, &filter, &tour->gathered);
        shoal_reply_verbatim(&call->reply, "txt", shoal_buffer_slice(&tour->gathered));
        return;
    }
    const shoal_session *session = call->worker->sessions.first;
    for (; session != NULL; session = session->all.next) {
        if (listed(call, &filter, kind_of(session), session->id))
            shoal_client__line(call, session, &tour->gathered);
    }
}

/* ---- CLIENT KILL ---- */

/* Whom CLIENT KILL means. Empty slices and zero: any. */
typedef struct kill_filter {
    bool old_form; /* CLIENT KILL ip:port */
    client_kind kind;
    bool skip_me;
    int64_t id;
    shoal_slice address, local;
} kill_filter;

/* Takes the pair at `index`. False after writing an error. */
static bool take_kill_pair(shoal_call *call, uint32_t index, kill_filter *filter)
{
    SHOAL_ASSERT(index + 1 < call->argc);
    shoal_slice value = call->argv[index + 1];
    if (shoal_call__word(call, index, "id")) {
        if (shoal_text_to_i64(value, &filter->id) && filter->id > 0) return true;
        shoal_reply_error(&call->reply, "ERR client-id should be greater than 0");
        return false;
    }
    if (shoal_call__word(call, index, "type")) return parse_type(call, index + 1, &filter->kind);
    if (shoal_call__word(call, index, "addr")) {
        filter->address = value;
        return true;
    }
    if (shoal_call__word(call, index, "laddr")) {
        filter->local = value;
        return true;
    }
    if (shoal_call__word(call, index, "user")) {
        if (shoal_text_equal(value, shoal_text("default"))) return true;
        shoal_reply_errorf(&call->reply, "ERR No such user '%.*s'", (int)value.size, value.data);
        return false;
    }
    bool yes = shoal_text_is(value, "yes");
    if (shoal_call__word(call, index, "skipme") && (yes || shoal_text_is(value, "no"))) {
        filter->skip_me = yes;
        return true;
    }
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

/* False after writing an error. */
static bool parse_kill(shoal_call *call, kill_filter *filter)
{
    SHOAL_ASSERT(call->argc >= 3);
    if (call->argc == 3) {
        *filter = (kill_filter){.old_form = true, .address = call->argv[2]};
        return true;
    }
    *filter = (kill_filter){.skip_me = true};
    for (uint32_t i = 2; i < call->argc; i += 2) {
        if (i + 1 < call->argc) {
            if (!take_kill_pair(call, i, filter)) return false;
            continue;
        }
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    return true;
}

static bool has_address(const shoal_call *call, const shoal_address *address, shoal_slice wanted)
{
    if (wanted.data == NULL) return true;
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    shoal_client__address(address, &text);
    bool same = shoal_text_equal(shoal_buffer_slice(&text), wanted);
    shoal_buffer_free(&text);
    return same;
}

static bool meant(const shoal_call *call, const kill_filter *filter, const shoal_session *session)
{
    SHOAL_ASSERT(!session->dead);
    if (session->closing) return false;
    if (filter->kind != KIND_ANY && filter->kind != kind_of(session)) return false;
    if (filter->id != 0 && (uint64_t)filter->id != session->id) return false;
    if (filter->skip_me && session->id == call->tour->asker) return false;
    return has_address(call, &session->options.peer, filter->address) &&
           has_address(call, &session->options.local, filter->local);
}

/* Whether the link to this node's master is meant, which is no session. */
static bool means_master(const shoal_call *call, const kill_filter *filter)
{
    uint64_t link = shoal_load_relaxed(&call->env->master_link);
    SHOAL_DEBUG_ASSERT(call->tour->last);
    uint64_t id = shoal_load_relaxed(&call->env->master_id);
    if (link == 0 || filter->local.data != NULL) return false;
    if (filter->id != 0 && (uint64_t)filter->id != id) return false;
    if (filter->kind != KIND_ANY && filter->kind != KIND_MASTER) return false;
    return filter->address.data == NULL || (shoal_hash(filter->address, 0) | 1) == link;
}

static void kill_master(shoal_env *env)
{
    SHOAL_ASSERT(env->host != NULL);
    shoal_store_relaxed(&env->master_link, 0);
    shoal_store_relaxed(&env->master_kill, true);
    env->host->nudge(env->host->context, SHOAL_ACTOR_CONTROL);
}

static void reply_killed(shoal_call *call, const kill_filter *filter)
{
    const shoal_tour *tour = call->tour;
    SHOAL_ASSERT(tour->last && call->session != NULL);
    SHOAL_ASSERT(!tour->self || tour->count > 0);
    if (means_master(call, filter)) {
        kill_master(call->env);
        call->tour->count++;
    }
    /* The asker gets its reply first. */
    if (tour->self) call->session->closing = true;
    if (!filter->old_form) {
        shoal_reply_integer(&call->reply, (int64_t)tour->count);
    } else if (tour->count != 0) {
        shoal_reply_ok(&call->reply);
    } else {
        shoal_reply_error(&call->reply, "ERR No such client");
    }
}

void shoal_command__client_kill(shoal_call *call)
{
    SHOAL_ASSERT(call->worker != NULL);
    shoal_tour *tour = call->tour;
    SHOAL_ASSERT(!tour->last == (call->session == NULL));
    kill_filter filter;
    shoal_buffer sink;
    shoal_reply kept = quiet(call, &sink);
    bool valid = parse_kill(call, &filter);
    call->reply = kept;
    shoal_buffer_free(&sink);
    if (!valid) return;
    if (tour->last) {
        reply_killed(call, &filter);
        return;
    }
    shoal_session *session = call->worker->sessions.first;
    for (; session != NULL; session = session->all.next) {
        if (!meant(call, &filter, session)) continue;
        tour->count++;
        if (session->id == tour->asker) {
            tour->self = true;
        } else {
            shoal_session__kill(session);
        }
    }
}
