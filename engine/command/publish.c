/* SPDX-License-Identifier: MIT
 *
 * command/publish.c - PUBLISH and SPUBLISH, and the way of a message from its publisher to the
 * sessions of each worker and to the bus.
 */
#include "command/pubsub.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "command/effect.h"
#include "command/handlers.h"
#include "command/worker.h"

/* A message on its way to one worker, or to the bus; channel and text follow. */
typedef struct parcel {
    shoal_op op;
    size_t channel_size, text_size;
    bool sharded;
} parcel;

/* ---- sending ---- */

/* A copy of a message, or NULL. */
static parcel *pack(const shoal_env *env, const shoal_message *message)
{
    size_t size = sizeof(parcel) + message->channel.size + message->text.size;
    parcel *made = shoal_memory_take(&env->allocator, size, SHOAL_ALIGN_PLAIN);
    SHOAL_DEBUG_ASSERT(message->channel.data != NULL || message->channel.size == 0);
    if (made == NULL) return NULL;
    *made = (parcel){.channel_size = message->channel.size,
                     .text_size = message->text.size,
                     .sharded = message->sharded};
    char *bytes = (char *)(made + 1);
    if (message->channel.size != 0) memcpy(bytes, message->channel.data, message->channel.size);
    bytes += message->channel.size;
    if (message->text.size != 0) memcpy(bytes, message->text.data, message->text.size);
    return made;
}

static shoal_message content(const parcel *from)
{
    const char *bytes = (const char *)(from + 1);
    SHOAL_DEBUG_ASSERT(from->channel_size <= SIZE_MAX - from->text_size);
    return (shoal_message){from->sharded,
                           {bytes, from->channel_size},
                           {bytes + from->channel_size, from->text_size}};
}

static void unpack(const shoal_env *env, parcel *from)
{
    size_t size = sizeof(*from) + from->channel_size + from->text_size;
    SHOAL_DEBUG_ASSERT(env->allocator.release != NULL);
    shoal_memory_give(&env->allocator, from, size, SHOAL_ALIGN_PLAIN);
}

/* How many sessions of a worker hear the message. */
static uint64_t receivers(const shoal_worker *worker, const shoal_message *message,
                          const shoal_topic_name *name)
{
    const shoal_topics *topics = &worker->topics;
    if (shoal_load_relaxed(&topics->subscriptions) == 0) return 0;
    const shoal_topic *topic = shoal_topics__find(topics, name);
    uint64_t count = topic != NULL ? shoal_load_relaxed(&topic->receivers) : 0;
    if (message->sharded) return count;
    SHOAL_DEBUG_ASSERT(name->kind == SHOAL_TOPIC_CHANNEL);
    for (topic = shoal_topics__patterns(topics); topic != NULL;
         topic = shoal_topic__next_pattern(topic)) {
        if (shoal_text_glob(topic->name, message->channel, false))
            count += shoal_load_relaxed(&topic->receivers);
    }
    return count;
}

static void arrive(shoal_op *op, void *runner);

uint64_t shoal_publish(shoal_env *env, const shoal_message *message)
{
    if (__builtin_expect(shoal_load_relaxed(&env->subscriptions) == 0, 1)) return 0;
    shoal_topic_kind kind = message->sharded ? SHOAL_TOPIC_SHARD : SHOAL_TOPIC_CHANNEL;
    shoal_topic_name name = shoal_topic__name(env->store, kind, message->channel);
    uint64_t sum = 0;
    SHOAL_DEBUG_ASSERT(env->worker_count > 0);
    for (uint32_t i = 0; i < env->worker_count; i++) {
        shoal_worker *worker = env->workers[i];
        uint64_t count = worker != NULL ? receivers(worker, message, &name) : 0;
        if (count == 0) continue;
        /* Without memory for it nobody there hears it, and nobody is counted. */
        parcel *made = pack(env, message);
        if (made == NULL) continue;
        sum += count;
        made->op.run = arrive;
        if (shoal_inbox_push(&worker->messages, &made->op))
            env->host->nudge(env->host->context, 1 + i);
    }
    return sum;
}

/* ---- arriving ---- */

/* One message as clients of each protocol read it, written when the first of them needs it. */
typedef struct frames {
    const shoal_message *message;
    const shoal_topic *pattern; /* that it matched, or NULL */
    shoal_buffer text[2];
} frames;

static shoal_slice frame_for(frames *from, int protocol)
{
    SHOAL_DEBUG_ASSERT(protocol == 2 || protocol == 3);
    shoal_buffer *text = &from->text[protocol - 2];
    if (shoal_buffer_size(text) == 0) {
        shoal_reply reply = {.out = text, .protocol = protocol};
        shoal_reply_push(&reply, from->pattern != NULL ? 4 : 3);
        shoal_reply_text(&reply, from->message->sharded  ? "smessage"
                                 : from->pattern != NULL ? "pmessage"
                                                         : "message");
        if (from->pattern != NULL) shoal_reply_bulk(&reply, from->pattern->name);
        shoal_reply_bulk(&reply, from->message->channel);
        shoal_reply_bulk(&reply, from->message->text);
    }
    return shoal_buffer_slice(text);
}

void shoal_pubsub__push(shoal_session *session, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(!session->dead);
    if (session->closing) return;
    shoal_buffer_append(&session->pushed, bytes);
    bool lost = bytes.size == 0 || session->pushed.failed;
    if (lost) session->closing = session->overflowed = true;
    if (lost || !shoal_session__output_fits(session, shoal_buffer_size(&session->pushed)))
        shoal_buffer_free(&session->pushed);
    shoal_worker__wake(session);
}

/* Everybody who has subscribed to a topic gets the message. */
static void tell(const shoal_worker *worker, const shoal_topic *topic, const shoal_message *message)
{
    const shoal_allocator *allocator = &worker->env->allocator;
    frames written = {message,
                      topic->kind == SHOAL_TOPIC_PATTERN ? topic : NULL,
                      {shoal_buffer_make(allocator), shoal_buffer_make(allocator)}};
    SHOAL_DEBUG_ASSERT(worker->inside);
    const shoal_subscription *each = topic->first;
    for (; each != NULL; each = each->next)
        shoal_pubsub__push(each->session, frame_for(&written, each->session->protocol));
    shoal_buffer_free(&written.text[0]);
    shoal_buffer_free(&written.text[1]);
}

/* On a worker that has, or had, subscribers. */
static void arrive(shoal_op *op, void *runner)
{
    parcel *arrived = (parcel *)(void *)op;
    shoal_worker *worker = runner;
    SHOAL_ASSERT(worker->inside);
    shoal_message message = content(arrived);
    shoal_topic_kind kind = message.sharded ? SHOAL_TOPIC_SHARD : SHOAL_TOPIC_CHANNEL;
    shoal_topic_name name = shoal_topic__name(worker->env->store, kind, message.channel);
    const shoal_topic *topic = shoal_topics__find(&worker->topics, &name);
    if (topic != NULL) tell(worker, topic, &message);
    if (!message.sharded) topic = shoal_topics__patterns(&worker->topics);
    for (; topic != NULL && !message.sharded; topic = shoal_topic__next_pattern(topic)) {
        if (shoal_text_glob(topic->name, message.channel, false)) tell(worker, topic, &message);
    }
    unpack(worker->env, arrived);
}

void shoal_pubsub__catch_up(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    shoal_op *op = shoal_inbox_take(&worker->messages);
    while (op != NULL) {
        shoal_op *next = op->next;
        op->run(op, worker);
        op = next;
    }
}

void shoal_pubsub__drop(shoal_worker *worker)
{
    SHOAL_ASSERT(!worker->inside);
    shoal_op *op = shoal_inbox_take(&worker->messages);
    while (op != NULL) {
        shoal_op *next = op->next;
        if (op->run == arrive) unpack(worker->env, (parcel *)(void *)op);
        op = next;
    }
}

/* ---- the bus ---- */

/* Hands a message to the control actor. */
static void to_bus(shoal_env *env, const shoal_message *message)
{
    parcel *made = pack(env, message);
    SHOAL_DEBUG_ASSERT(env->host != NULL);
    if (made == NULL) return;
    if (shoal_inbox_push(&env->published, &made->op))
        env->host->nudge(env->host->context, SHOAL_ACTOR_CONTROL);
}

void shoal_published_take(shoal_env *env, const shoal_published_taker *taker)
{
    shoal_op *op = shoal_inbox_take(&env->published);
    SHOAL_DEBUG_ASSERT(taker->take != NULL);
    while (op != NULL) {
        parcel *each = (parcel *)(void *)op;
        op = op->next;
        shoal_message message = content(each);
        taker->take(taker->context, &message);
        unpack(env, each);
    }
}

/* ---- commands ---- */

/* PUBLISH and SPUBLISH, on any thread. In a cluster the bus carries them to replicas too; elsewhere
 * the stream of effects does. */
void shoal_command__publish(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    shoal_message message = {.sharded = call->command->id == SHOAL_COMMAND_SPUBLISH,
                             .channel = call->argv[1],
                             .text = call->argv[2]};
    uint64_t count = shoal_publish(call->env, &message);
    shoal_reply_integer(&call->reply, (int64_t)count);
    if (call->replicated) return;
    if (shoal_call__settings(call)->cluster) {
        to_bus(call->env, &message);
    } else if (shoal_effect_wanted(call)) {
        shoal_effect_as_is(call);
    } else if (!call->gated) {
        call->logged =
            shoal_effects_tell(call->env, call->thread, call->db, call->argv, call->argc);
    }
}
