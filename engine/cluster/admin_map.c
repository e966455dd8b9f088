/* SPDX-License-Identifier: MIT
 *
 * The slot map and the links as nested replies: CLUSTER SLOTS, SHARDS and LINKS, in the shapes of
 * Redis 7.0.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* ---- SLOTS ---- */

/* Of a node's addresses, those that clients were not told as the endpoint. */
static void reply_metadata(const shoal_cluster *c, const bus_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(reply->out);
    int preferred = c->settings.preferred_endpoint;
    bool ip = preferred != 0 && node->ip[0];
    bool hostname = preferred != 1 && shoal_bus__hostname(node).size > 0;
    shoal_reply_map(reply, (size_t)ip + (size_t)hostname);
    if (ip) {
        shoal_reply_text(reply, "ip");
        shoal_reply_text(reply, node->ip);
    }
    if (hostname) {
        shoal_reply_text(reply, "hostname");
        shoal_reply_text(reply, node->hostname);
    }
}

static void reply_node(const shoal_cluster *c, const bus_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node->name[0]);
    shoal_reply_array(reply, 4);
    if (c->settings.preferred_endpoint == 2) {
        shoal_reply_null(reply);
    } else {
        shoal_reply_text(reply, shoal_bus__endpoint(c, node));
    }
    shoal_reply_integer(reply, node->port);
    shoal_reply_text(reply, node->name);
    reply_metadata(c, node, reply);
}

/* A replica that clients may be told of: it is not FAIL and has synchronised. */
static bool is_available_replica(const bus_node *node, const bus_node *master)
{
    SHOAL_ASSERT(node);
    SHOAL_ASSERT(shoal_bus__is(master, SHOAL_NODE_MASTER));
    return node->replica_of == master->index && !shoal_bus__is(node, SHOAL_NODE_FAIL) &&
           node->offset > 0;
}

static void reply_range(const shoal_cluster *c, uint32_t first, uint32_t last, shoal_reply *reply)
{
    SHOAL_ASSERT(first <= last);
    SHOAL_ASSERT(last < SHOAL_SLOTS);
    SHOAL_ASSERT(c->owners[first] != BUS_NONE);
    SHOAL_ASSERT(c->owners[first] == c->owners[last]);
    const bus_node *owner = shoal_bus__owner(c, first);
    shoal_reply_mark mark = shoal_reply_begin(reply);
    size_t count = 3;
    shoal_reply_integer(reply, first);
    shoal_reply_integer(reply, last);
    reply_node(c, owner, reply);
    for (uint32_t i = 0; i < c->node_count && owner->replica_count > 0; i++) {
        if (!is_available_replica(c->live[i], owner)) continue;
        reply_node(c, c->live[i], reply);
        count++;
    }
    shoal_reply_end_array(reply, mark, count);
}

void shoal_bus__command_slots(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(c->myself);
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    size_t count = 0;
    for (uint32_t first = 0; first < SHOAL_SLOTS;) {
        uint32_t last = first;
        while (last + 1 < SHOAL_SLOTS && c->owners[last + 1] == c->owners[first]) last++;
        if (c->owners[first] != BUS_NONE) {
            reply_range(c, first, last, &call->reply);
            count++;
        }
        first = last + 1;
    }
    shoal_reply_end_array(&call->reply, mark, count);
}

/* ---- SHARDS ---- */

static void reply_pair(shoal_reply *reply, const char *key, const char *value)
{
    SHOAL_ASSERT(key);
    SHOAL_ASSERT(value);
    shoal_reply_text(reply, key);
    shoal_reply_text(reply, value);
}

static const char *health(const bus_node *node)
{
    SHOAL_ASSERT(node);
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_HANDSHAKE));
    if (shoal_bus__is(node, SHOAL_NODE_FAIL)) return "fail";
    if (shoal_bus__is(node, SHOAL_NODE_REPLICA) && node->offset == 0) return "loading";
    return "online";
}

static void reply_shard_node(const shoal_cluster *c, const bus_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(reply->out);
    bool hostname = shoal_bus__hostname(node).size > 0;
    shoal_reply_map(reply, hostname ? 8 : 7);
    reply_pair(reply, "id", node->name);
    shoal_reply_text(reply, "port");
    shoal_reply_integer(reply, node->port);
    reply_pair(reply, "ip", node->ip);
    reply_pair(reply, "endpoint", shoal_bus__endpoint(c, node));
    if (hostname) reply_pair(reply, "hostname", node->hostname);
    reply_pair(reply, "role", shoal_bus__is(node, SHOAL_NODE_MASTER) ? "master" : "replica");
    shoal_reply_text(reply, "replication-offset");
    shoal_reply_integer(reply, (int64_t)node->offset);
    reply_pair(reply, "health", health(node));
}

/* First and last of each range, flat. */
static void reply_shard_slots(const shoal_cluster *c, const bus_node *node, shoal_reply *reply)
{
    SHOAL_ASSERT(shoal_bus__is(node, SHOAL_NODE_MASTER));
    SHOAL_ASSERT(reply->out);
    shoal_reply_mark mark = shoal_reply_begin(reply);
    size_t count = 0;
    uint32_t left = node->slot_count, last;
    for (uint32_t from = 0; left > 0; from = last + 1) {
        uint32_t first = shoal_bus__slot_run(c, node, from, &last);
        shoal_reply_integer(reply, first);
        shoal_reply_integer(reply, last);
        count += 2;
        left -= last + 1 - first;
    }
    shoal_reply_end_array(reply, mark, count);
}

static void reply_shard(const shoal_cluster *c, const bus_node *master, shoal_reply *reply)
{
    SHOAL_ASSERT(shoal_bus__knows(c, master));
    SHOAL_ASSERT(shoal_bus__is(master, SHOAL_NODE_MASTER));
    shoal_reply_map(reply, 2);
    shoal_reply_text(reply, "slots");
    reply_shard_slots(c, master, reply);
    shoal_reply_text(reply, "nodes");
    shoal_reply_array(reply, 1 + (size_t)master->replica_count);
    reply_shard_node(c, master, reply);
    for (uint32_t i = 0; i < c->node_count && master->replica_count > 0; i++) {
        if (c->live[i]->replica_of == master->index) reply_shard_node(c, c->live[i], reply);
    }
}

void shoal_bus__command_shards(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(c->myself);
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    size_t count = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (!shoal_bus__is(c->live[i], SHOAL_NODE_MASTER)) continue;
        reply_shard(c, c->live[i], &call->reply);
        count++;
    }
    shoal_reply_end_array(&call->reply, mark, count);
}

/* ---- LINKS ---- */

static void reply_link(const shoal_cluster *c, const bus_link *link, shoal_reply *reply)
{
    SHOAL_ASSERT(link->node);
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(shoal_bus__knows(c, link->node));
    shoal_reply_map(reply, 6);
    reply_pair(reply, "direction", link->inbound ? "from" : "to");
    reply_pair(reply, "node", link->node->name);
    shoal_reply_text(reply, "create-time");
    shoal_reply_integer(reply, shoal_bus__wall_ms(c, link->created_us));
    reply_pair(reply, "events", link->full ? "rw" : "r");
    int64_t queued = (int64_t)shoal_bus__link_queued(c, link);
    shoal_reply_text(reply, "send-buffer-allocated");
    shoal_reply_integer(reply, queued);
    shoal_reply_text(reply, "send-buffer-used");
    shoal_reply_integer(reply, queued);
}

/* DEBUG CLUSTERLINK KILL: argv[2] is which, argv[3] whose. */
void shoal_bus__command_links_kill(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    SHOAL_ASSERT(c->myself);
    shoal_slice way = call->argv[2], name = call->argv[3];
    bool all = shoal_text_is(way, "all"), to = all || shoal_text_is(way, "to");
    bool from = all || shoal_text_is(way, "from");
    const bus_node *node = shoal_bus__node_find_text(c, name);
    if (!node) {
        shoal_reply_errorf(&call->reply, "ERR Unknown node %.*s", (int)name.size, name.data);
        return;
    }
    if (!to && !from) {
        shoal_reply_error(&call->reply, "ERR syntax error");
        return;
    }
    if (to && node->link) shoal_bus__link_drop(c, node->link);
    if (from && node->inbound) shoal_bus__link_drop(c, node->inbound);
    shoal_reply_ok(&call->reply);
}

/* DEBUG DROP-CLUSTER-PACKET-FILTER: argv[2] is a number of a type; any other means none. */
void shoal_bus__command_links_drop(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    SHOAL_ASSERT(c->myself);
    int64_t type = -1;
    bool known =
        shoal_text_to_i64(call->argv[2], &type) && type >= 0 && type < SHOAL_FRAME_TYPE_COUNT;
    c->ignored_type = known ? (uint32_t)type + 1 : 0;
    shoal_reply_ok(&call->reply);
}

void shoal_bus__command_links(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(c->myself);
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    size_t count = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (node->link) reply_link(c, node->link, &call->reply);
        if (node->inbound) reply_link(c, node->inbound, &call->reply);
        count += (node->link ? 1 : 0) + (node->inbound ? 1 : 0);
    }
    shoal_reply_end_array(&call->reply, mark, count);
}
