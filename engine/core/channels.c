/* SPDX-License-Identifier: MIT
 *
 * core/channels.c - messages between the bus and the clients of this node: what clients publish
 * goes to other nodes, what other nodes publish goes to clients.
 */
#include "core/node.h"

#include "base/assert.h"
#include "command/pubsub.h"

static void hear(void *context, bool sharded, shoal_slice channel, shoal_slice text)
{
    shoal_node *node = context;
    SHOAL_ASSERT(node->cluster != NULL);
    const shoal_message message = {sharded, channel, text};
    (void)shoal_publish(&node->env, &message);
}

void shoal_node__listen(shoal_node *node)
{
    SHOAL_ASSERT(node->cluster != NULL);
    const shoal_cluster_sink sink = {node, hear};
    shoal_cluster_set_sink(node->cluster, &sink);
}

static void pass_on(void *context, const shoal_message *message)
{
    shoal_node *node = context;
    SHOAL_ASSERT(message->channel.data != NULL || message->channel.size == 0);
    if (node->cluster == NULL || node->phase < SHOAL_PHASE_SAVING) return;
    const shoal_tape_message said = {message->sharded, message->channel, message->text};
    shoal_tape_publish(node->tape, node->cluster, &said);
}

void shoal_node__spread(shoal_node *node)
{
    const shoal_published_taker taker = {pass_on, node};
    SHOAL_ASSERT(node->workers != NULL);
    shoal_published_take(&node->env, &taker);
}
