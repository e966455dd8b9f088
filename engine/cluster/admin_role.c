/* SPDX-License-Identifier: MIT
 *
 * CLUSTER REPLICATE, FAILOVER and WHY: whose replica this node is, that it takes over, and why it
 * does not do what somebody waits for. The checks and their words are Redis 7.0's; WHY is ours.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

void shoal_bus__command_replicate(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    SHOAL_ASSERT(c->myself);
    shoal_slice name = call->argv[2];
    bus_node *node = shoal_bus__node_find_text(c, name);
    bool master = shoal_bus__is(c->myself, SHOAL_NODE_MASTER);
    if (!node || shoal_bus__is(node, SHOAL_NODE_HANDSHAKE)) {
        shoal_reply_errorf(&call->reply, "ERR Unknown node %.*s", (int)name.size, name.data);
    } else if (node == c->myself) {
        shoal_reply_error(&call->reply, "ERR Can't replicate myself");
    } else if (shoal_bus__is(node, SHOAL_NODE_REPLICA)) {
        shoal_reply_error(&call->reply, "ERR I can only replicate a master, not a replica.");
    } else if (master && (c->myself->slot_count > 0 || call->keys > 0)) {
        shoal_reply_error(&call->reply, "ERR To set a master the node must be empty and without "
                                        "assigned slots.");
    } else {
        shoal_bus__move_to(c, node);
        c->due |= BUS_DUE_STATE | BUS_DUE_SAVE | BUS_DUE_ROUTE;
        shoal_reply_ok(&call->reply);
    }
}

/* FORCE, TAKEOVER or neither; false after writing the error. */
static bool read_way(shoal_cluster_call *call, bus_failover_way *way)
{
    SHOAL_ASSERT(call->argc == 2 || call->argc == 3);
    *way = BUS_FAILOVER_PLAIN;
    if (call->argc == 2) return true;
    if (shoal_text_is(call->argv[2], "force")) {
        *way = BUS_FAILOVER_FORCE;
    } else if (shoal_text_is(call->argv[2], "takeover")) {
        *way = BUS_FAILOVER_TAKEOVER;
    } else {
        shoal_reply_error(&call->reply, "ERR syntax error");
    }
    return *way != BUS_FAILOVER_PLAIN;
}

void shoal_bus__command_failover(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(c->myself);
    bus_failover_way way;
    if (!read_way(call, &way)) return;
    const bus_node *me = c->myself;
    const bus_node *master = me->replica_of == BUS_NONE ? NULL : c->nodes[me->replica_of];
    if (shoal_bus__is(me, SHOAL_NODE_MASTER)) {
        shoal_reply_error(&call->reply, "ERR You should send CLUSTER FAILOVER to a replica");
    } else if (!master) {
        shoal_reply_error(&call->reply, "ERR I'm a replica but my master is unknown to me");
    } else if (way == BUS_FAILOVER_PLAIN &&
               (shoal_bus__is(master, SHOAL_NODE_FAIL) || !master->link)) {
        shoal_reply_error(&call->reply, "ERR Master is down or failed, please use CLUSTER "
                                        "FAILOVER FORCE");
    } else {
        SHOAL_ASSERT(shoal_bus__is(me, SHOAL_NODE_REPLICA));
        shoal_bus__failover_start(c, way);
        shoal_reply_ok(&call->reply);
    }
}

void shoal_bus__command_why(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2 || call->argc == 3);
    SHOAL_ASSERT(c->myself);
    int64_t count = 0;
    if (call->argc == 3 && (!shoal_text_to_i64(call->argv[2], &count) || count < 0)) {
        shoal_reply_error(&call->reply, "ERR value is not an integer or out of range");
        return;
    }
    if (count > UINT32_MAX) count = 0;
    shoal_buffer text = shoal_buffer_make(&c->allocator);
    shoal_bus__why_append(c, (uint32_t)count, &text);
    shoal_bus__reply_text(call, &text);
}
