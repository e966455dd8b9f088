/* SPDX-License-Identifier: MIT
 *
 * Limits on memory: what a master holds against its maxmemory, what waits on the links of a node
 * against the limits of its buffers. Looked at once a second of the world; who is above a limit of
 * a buffer has until the next look to end the link.
 */
#include "base/assert.h"
#include "sim/internal.h"

/* What a store may have above its limit: its own spare room, a hundredth or a MiB, and what one
 * command has brought. */
#define SPARE_SHARE 100
#define MEBIBYTE (UINT64_C(1) << 20)

/* Worlds with more connections are not looked at link by link: it would cost more than they do. */
#define CONNECTIONS_MAX 4096u

void shoal_judge__memory(shoal_world *world, uint32_t node, const shoal_node_memory *memory)
{
    uint64_t spare = memory->limit / SPARE_SHARE;
    if (memory->limit == 0) return;
    if (spare < MEBIBYTE) spare = MEBIBYTE;
    shoal_judge__made(world, SHOAL_CHECK_MEMORY);
    if (memory->resident <= memory->limit + spare + MEBIBYTE) return;
    shoal_judge__fault_of(world, SHOAL_CHECK_MEMORY, node, "holds more than maxmemory");
}

/* What may wait at an end of a connection, and the node that it is of. 0: no limit. */
static uint64_t limit_of(shoal_world *world, const shoal_connection *connection, uint32_t side)
{
    const shoal_end *end = &connection->ends[side], *peer = &connection->ends[1 - side];
    if (end->state != SHOAL_END_OPEN || end->host >= world->node_count) return 0;
    const shoal_vnode *vnode = &world->nodes[end->host];
    bool still = vnode->paused || vnode->burden.busy_until_us > world->now_us;
    if (vnode->node == NULL || !vnode->ready || still || vnode->burden.factor > 0) return 0;
    const shoal_rules *rules = shoal_judge__rules(world, end->host);
    if (shoal_net__is_bus(connection)) return rules->link_max;
    bool replica = end->kind == SHOAL_END_SESSION && peer->host < world->node_count;
    return replica ? rules->replica_max : 0;
}

bool shoal_judge__queue(shoal_world *world, shoal_queue *queue, uint32_t node, uint64_t above)
{
    bool stayed = above > 0 && queue->above > 0 && queue->node == node;
    shoal_judge__made(world, SHOAL_CHECK_MEMORY);
    queue->above = above;
    queue->node = node;
    if (!stayed) return true;
    shoal_judge__fault_of(world, SHOAL_CHECK_MEMORY, node,
                          "keeps a link on which more waits than its limit");
    return false;
}

static void judge_end(shoal_world *world, uint32_t index, uint32_t side)
{
    shoal_judge *judge = &world->judge;
    shoal_port port = {shoal_net__connection(&world->net, index), side};
    shoal_queue *queue = &judge->queues[index * 2 + side];
    uint64_t limit = limit_of(world, port.connection, side);
    if (queue->generation != port.connection->generation || limit == 0)
        *queue = (shoal_queue){.generation = port.connection->generation};
    if (limit == 0) return;
    uint64_t waits = shoal_net__backlog(port);
    (void)shoal_judge__queue(world, queue, port.connection->ends[side].host,
                             waits > limit ? waits - limit : 0);
}

void shoal_judge__limits(shoal_world *world)
{
    shoal_judge *judge = &world->judge;
    shoal_node_memory memory;
    for (uint32_t i = 0; i < world->node_count; i++) {
        const shoal_vnode *vnode = &world->nodes[i];
        if (vnode->node == NULL || !vnode->ready || judge->views[i].replica) continue;
        shoal_node_memory_get(vnode->node, &memory);
        shoal_judge__memory(world, i, &memory);
    }
    uint32_t count = world->net.connection_count;
    if (count > CONNECTIONS_MAX) return;
    judge->queues =
        shoal_sim__grow(judge->queues, &judge->queue_capacity, count * 2, sizeof(*judge->queues));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t side = 0; side < 2; side++) judge_end(world, i, side);
    }
}
