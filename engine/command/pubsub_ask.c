/* SPDX-License-Identifier: MIT
 *
 * command/pubsub_ask.c - PUBSUB: what sessions of this node have subscribed to, read from the
 * tables of all workers. A topic of several workers is shown, and counted, at the first that has
 * it.
 */
#include "base/assert.h"
#include "command/handlers.h"
#include "command/pubsub.h"
#include "command/worker.h"

/* Up to so many topics are counted exactly; of more, a part, chosen by the hash. Chosen: some
 * milliseconds, and an error of a hundredth. */
#define COUNTED_MAX 16384u

/* Is the topic of worker `index` also one of a worker before it? */
static bool seen_before(const shoal_env *env, uint32_t index, const shoal_topic *topic)
{
    const shoal_topic_name name = {topic->kind, topic->name, topic->hash, topic->place};
    SHOAL_DEBUG_ASSERT(index < env->worker_count);
    for (uint32_t i = 0; i < index; i++) {
        if (shoal_topics__find(&env->workers[i]->topics, &name) != NULL) return true;
    }
    return false;
}

/* ---- counting ---- */

typedef struct census {
    const shoal_env *env;
    uint32_t worker;
    uint64_t count;
} census;

static bool count_one(void *context, const shoal_topic *topic)
{
    census *at = context;
    SHOAL_DEBUG_ASSERT(topic->kind < SHOAL_TOPIC_KINDS);
    if (!seen_before(at->env, at->worker, topic)) at->count++;
    return true;
}

uint64_t shoal_pubsub_count(const shoal_env *env, int kind)
{
    uint64_t sum = 0;
    uint32_t workers = 0;
    SHOAL_ASSERT(kind >= 0 && kind < SHOAL_TOPIC_KINDS);
    for (uint32_t i = 0; i < env->worker_count; i++) {
        uint32_t count = shoal_load_relaxed(&env->workers[i]->topics.counts[kind]);
        sum += count;
        workers += count != 0;
    }
    if (workers <= 1) return sum;
    shoal_topic_walk walk = {.visit = count_one};
    while (sum >> walk.prefix_bits > COUNTED_MAX && walk.prefix_bits < 16) walk.prefix_bits += 4;
    census at = {.env = env};
    walk.context = &at;
    for (at.worker = 0; at.worker < env->worker_count; at.worker++)
        shoal_topics__walk(&env->workers[at.worker]->topics, (shoal_topic_kind)kind, &walk);
    return at.count << walk.prefix_bits;
}

/* ---- PUBSUB ---- */

typedef struct listing {
    shoal_call *call;
    uint32_t worker;
    size_t count;
} listing;

static bool list_one(void *context, const shoal_topic *topic)
{
    listing *at = context;
    shoal_call *call = at->call;
    SHOAL_DEBUG_ASSERT(topic->kind < SHOAL_TOPIC_KINDS);
    if (shoal_load_relaxed(&topic->receivers) == 0) return true;
    if (call->argc == 3 && !shoal_text_glob(call->argv[2], topic->name, false)) return true;
    if (seen_before(call->env, at->worker, topic)) return true;
    shoal_reply_bulk(&call->reply, topic->name);
    at->count++;
    return true;
}

/* PUBSUB CHANNELS and SHARDCHANNELS. */
void shoal_command__pubsub_channels(shoal_call *call)
{
    bool sharded = call->command->id == SHOAL_COMMAND_PUBSUB_SHARDCHANNELS;
    SHOAL_ASSERT(call->argc >= 2);
    if (call->argc > 3) {
        shoal_reply_errorf(&call->reply,
                           "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try "
                           "PUBSUB HELP.",
                           call->argv[1].size < 128 ? (int)call->argv[1].size : 128,
                           call->argv[1].data);
        return;
    }
    listing at = {.call = call};
    shoal_topic_walk walk = {.visit = list_one, .context = &at};
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    for (; at.worker < call->env->worker_count; at.worker++)
        shoal_topics__walk(&call->env->workers[at.worker]->topics,
                           sharded ? SHOAL_TOPIC_SHARD : SHOAL_TOPIC_CHANNEL, &walk);
    shoal_reply_end_array(&call->reply, mark, at.count);
}

/* PUBSUB NUMSUB and SHARDNUMSUB. */
void shoal_command__pubsub_numsub(shoal_call *call)
{
    bool sharded = call->command->id == SHOAL_COMMAND_PUBSUB_SHARDNUMSUB;
    SHOAL_ASSERT(call->argc >= 2);
    shoal_topic_kind kind = sharded ? SHOAL_TOPIC_SHARD : SHOAL_TOPIC_CHANNEL;
    shoal_reply_array(&call->reply, 2 * (size_t)(call->argc - 2));
    for (uint32_t i = 2; i < call->argc; i++) {
        shoal_topic_name name = shoal_topic__name(call->store, kind, call->argv[i]);
        int64_t count = 0;
        for (uint32_t w = 0; w < call->env->worker_count; w++) {
            const shoal_topic *topic = shoal_topics__find(&call->env->workers[w]->topics, &name);
            if (topic != NULL) count += shoal_load_relaxed(&topic->receivers);
        }
        shoal_reply_bulk(&call->reply, call->argv[i]);
        shoal_reply_integer(&call->reply, count);
    }
}

void shoal_command__pubsub_numpat(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    shoal_reply_integer(&call->reply, (int64_t)shoal_pubsub_count(call->env, SHOAL_TOPIC_PATTERN));
}
