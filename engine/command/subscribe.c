/* SPDX-License-Identifier: MIT
 *
 * command/subscribe.c - SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and how one leaves: what a session hears.
 * Its worker alone changes that.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/handlers.h"
#include "command/monitor.h"
#include "command/pubsub.h"
#include "command/worker.h"

static shoal_topic_kind kind_of(shoal_command_id id)
{
    SHOAL_DEBUG_ASSERT(id != SHOAL_COMMAND_NONE);
    switch (id) {
    case SHOAL_COMMAND_PSUBSCRIBE:
    case SHOAL_COMMAND_PUNSUBSCRIBE: return SHOAL_TOPIC_PATTERN;
    case SHOAL_COMMAND_SSUBSCRIBE:
    case SHOAL_COMMAND_SUNSUBSCRIBE: return SHOAL_TOPIC_SHARD;
    default: return SHOAL_TOPIC_CHANNEL;
    }
}

uint32_t shoal_pubsub__subscriptions(const shoal_session *session)
{
    uint32_t sum = 0;
    SHOAL_DEBUG_ASSERT(session->worker != NULL);
    for (int kind = 0; kind < SHOAL_TOPIC_KINDS; kind++) sum += session->subscribed[kind].count;
    return sum;
}

/* What confirmations count: channels and patterns together, shard channels by themselves. */
static int64_t counted(const shoal_session *session, shoal_topic_kind kind)
{
    SHOAL_DEBUG_ASSERT(kind < SHOAL_TOPIC_KINDS);
    if (kind == SHOAL_TOPIC_SHARD) return session->subscribed[SHOAL_TOPIC_SHARD].count;
    return (int64_t)session->subscribed[SHOAL_TOPIC_CHANNEL].count +
           session->subscribed[SHOAL_TOPIC_PATTERN].count;
}

bool shoal_pubsub__admit(const shoal_session *session, const shoal_command *command,
                         shoal_reply *reply)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    switch (command->id) {
    case SHOAL_COMMAND_SUBSCRIBE:
    case SHOAL_COMMAND_UNSUBSCRIBE:
    case SHOAL_COMMAND_PSUBSCRIBE:
    case SHOAL_COMMAND_PUNSUBSCRIBE:
    case SHOAL_COMMAND_SSUBSCRIBE:
    case SHOAL_COMMAND_SUNSUBSCRIBE:
    case SHOAL_COMMAND_PING:
    case SHOAL_COMMAND_QUIT:
    case SHOAL_COMMAND_RESET: return true;
    default: break;
    }
    if (session->protocol != 2 || shoal_pubsub__subscriptions(session) == 0) return true;
    char name[64];
    shoal_command__full_name(command, name, sizeof(name));
    shoal_reply_errorf(reply,
                       "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                       "QUIT / RESET are allowed in this context",
                       name);
    return false;
}

/* ---- confirmations ---- */

/* Where confirmations go: they are pushed, so CLIENT REPLY does not silence them. */
static shoal_reply pushes_of(shoal_call *call)
{
    shoal_session *session = call->session;
    SHOAL_ASSERT(session != NULL);
    if (session->reply_mode == SHOAL_REPLY__ON) {
        /* What was said before stands before it; not within the reply to EXEC. */
        if (session->exec == NULL) shoal_monitor__deliver(session, call->reply.out);
        return call->reply;
    }
    shoal_worker__wake(session);
    return (shoal_reply){.out = &session->pushed, .protocol = session->protocol};
}

/* `name` without data: none. */
static void confirm(shoal_reply *reply, const shoal_session *session, shoal_topic_kind kind,
                    bool joined, shoal_slice name)
{
    static const char *const words[SHOAL_TOPIC_KINDS][2] = {{"unsubscribe", "subscribe"},
                                                            {"punsubscribe", "psubscribe"},
                                                            {"sunsubscribe", "ssubscribe"}};
    SHOAL_DEBUG_ASSERT(kind < SHOAL_TOPIC_KINDS);
    shoal_reply_push(reply, 3);
    shoal_reply_text(reply, words[kind][joined]);
    if (name.data != NULL) {
        shoal_reply_bulk(reply, name);
    } else {
        shoal_reply_null(reply);
    }
    shoal_reply_integer(reply, counted(session, kind));
}

/* ---- commands ---- */

/* SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE. */
void shoal_command__subscribe(shoal_call *call)
{
    shoal_session *session = call->session;
    shoal_worker *worker = call->worker;
    shoal_topic_kind kind = kind_of(call->command->id);
    SHOAL_ASSERT(worker == session->worker);
    shoal_pubsub__catch_up(worker);
    shoal_reply reply = pushes_of(call);
    shoal_subscriptions *own = &session->subscribed[kind];
    for (uint32_t i = 1; i < call->argc; i++) {
        shoal_topic_name name = shoal_topic__name(call->store, kind, call->argv[i]);
        if (shoal_topics__subscribed(&worker->topics, own, &name) == NULL) {
            const shoal_subscriber who = {session, own};
            if (!shoal_topics__add(&worker->topics, &name, &who)) {
                shoal_reply_error(&reply, SHOAL_ERROR__MEMORY);
                return;
            }
            session->subscribed_bytes += sizeof(shoal_subscription) + name.name.size;
            shoal_add_relaxed(&worker->env->subscriptions, 1);
        }
        confirm(&reply, session, kind, true, call->argv[i]);
    }
}

/* Takes back one subscription. */
static void quit(shoal_session *session, shoal_topic_kind kind, shoal_subscription *from)
{
    shoal_worker *worker = session->worker;
    SHOAL_ASSERT(from->session == session);
    session->subscribed_bytes -= sizeof(shoal_subscription) + from->topic->name.size;
    shoal_topics__remove(&worker->topics, from, &session->subscribed[kind],
                         shoal_thread_stamp(worker->thread));
    shoal_sub_relaxed(&worker->env->subscriptions, 1);
}

/* Takes back one and confirms that. The topic's name lives as long as the batch. */
static void quit_aloud(shoal_session *session, shoal_reply *reply, shoal_subscription *from)
{
    const shoal_topic *topic = from->topic;
    SHOAL_ASSERT(topic->kind < SHOAL_TOPIC_KINDS);
    quit(session, topic->kind, from);
    confirm(reply, session, topic->kind, false, topic->name);
}

/* UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE. */
void shoal_command__unsubscribe(shoal_call *call)
{
    shoal_session *session = call->session;
    shoal_worker *worker = call->worker;
    shoal_topic_kind kind = kind_of(call->command->id);
    SHOAL_ASSERT(worker == session->worker);
    shoal_pubsub__catch_up(worker);
    shoal_reply reply = pushes_of(call);
    shoal_subscriptions *own = &session->subscribed[kind];
    if (call->argc == 1 && own->first == NULL)
        confirm(&reply, session, kind, false, (shoal_slice){NULL, 0});
    while (call->argc == 1 && own->first != NULL) quit_aloud(session, &reply, own->first);
    for (uint32_t i = 1; i < call->argc; i++) {
        shoal_topic_name name = shoal_topic__name(call->store, kind, call->argv[i]);
        shoal_subscription *from = shoal_topics__subscribed(&worker->topics, own, &name);
        if (from != NULL) quit(session, kind, from);
        confirm(&reply, session, kind, false, call->argv[i]);
    }
}

void shoal_pubsub__leave(shoal_session *session)
{
    SHOAL_ASSERT(session->worker->inside);
    for (shoal_topic_kind kind = 0; kind < SHOAL_TOPIC_KINDS; kind++) {
        while (session->subscribed[kind].first != NULL)
            quit(session, kind, session->subscribed[kind].first);
    }
}

/* ---- slots that leave ---- */

/* A look that a worker shall take at its shard channels. */
typedef struct look {
    shoal_op op;
    shoal_env *env;
} look;

/* Does this node, or its master, serve the slot? */
static bool is_served(const shoal_route *route, uint32_t slot)
{
    SHOAL_DEBUG_ASSERT(slot < SHOAL_SLOTS);
    uint16_t owner = route->owner[slot];
    if (!route->cluster) return true;
    return owner != 0 && (route->nodes[owner - 1].myself || owner == route->master);
}

/* Tells a session which of its shard channels have gone. */
static void look_at(shoal_session *session, const shoal_route *route)
{
    shoal_subscription *next;
    SHOAL_DEBUG_ASSERT(!session->dead);
    shoal_reply reply = {.out = &session->pushed, .protocol = session->protocol};
    for (shoal_subscription *each = session->subscribed[SHOAL_TOPIC_SHARD].first; each != NULL;
         each = next) {
        next = each->own_next;
        if (is_served(route, SHOAL_PLACE_SLOT(each->topic->place))) continue;
        quit_aloud(session, &reply, each);
        shoal_worker__wake(session);
    }
}

static void look_around(shoal_op *op, void *runner)
{
    look *asked = (look *)(void *)op;
    shoal_worker *worker = runner;
    SHOAL_ASSERT(worker->inside);
    const shoal_route *route = shoal_store_route(worker->env->store);
    shoal_session *session = worker->sessions.first;
    for (; session != NULL; session = session->all.next) look_at(session, route);
    shoal_memory_give(&asked->env->allocator, asked, sizeof(*asked), SHOAL_ALIGN_PLAIN);
}

void shoal_pubsub_route_changed(shoal_env *env)
{
    SHOAL_ASSERT(env->worker_count > 0);
    for (uint32_t i = 0; i < env->worker_count; i++) {
        shoal_worker *worker = env->workers[i];
        if (shoal_load_relaxed(&worker->topics.counts[SHOAL_TOPIC_SHARD]) == 0) continue;
        look *made = shoal_memory_take(&env->allocator, sizeof(*made), SHOAL_ALIGN_PLAIN);
        /* Without memory they hear of it with the next change. */
        if (made == NULL) return;
        *made = (look){.op = {.run = look_around}, .env = env};
        shoal_worker__post(worker, &made->op);
    }
}
