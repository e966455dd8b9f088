/* SPDX-License-Identifier: MIT
 *
 * command/route.c - whether a node of a cluster may run a command on its keys, and where the client
 * is sent otherwise. The way of a command that may run is one acquire load of the slot's word
 * and one look whether the cluster is up.
 */
#include "base/assert.h"
#include "command/worker.h"

/* The error for a slot of another node. */
static void redirect(const shoal_route *route, uint32_t slot, shoal_reply *reply)
{
    uint32_t owner = route->owner[slot];
    SHOAL_ASSERT(owner >= 1 && owner <= route->node_count);
    const struct shoal_route_node *node = &route->nodes[owner - 1];
    shoal_reply_errorf(reply, "MOVED %u %s:%u", slot, node->endpoint, (unsigned)node->port);
}

bool shoal_route__admit(const shoal_store *store, const shoal_command *command,
                        const shoal_key *keys, uint32_t key_count, shoal_reply *reply)
{
    SHOAL_ASSERT(key_count > 0);
    /* The slot's word first: a slot that was lost before it was read has another owner in the route
     * that is read then. One that was gained in between is this node's in that route already. */
    uint32_t slot = SHOAL_PLACE_SLOT(keys[0].place);
    bool owned = shoal_store_owns(store, slot);
    const shoal_route *route = shoal_store_route(store);
    uint32_t owner = route->owner[slot];
    if (!owned && owner != 0) owned = route->nodes[owner - 1].myself;
    if (!owned && owner == 0) {
        shoal_reply_error(reply, "CLUSTERDOWN Hash slot not served");
        return false;
    }
    for (uint32_t i = 1; i < key_count; i++) {
        if (SHOAL_PLACE_SLOT(keys[i].place) == slot) continue;
        shoal_reply_error(reply, "CROSSSLOT Keys in request don't hash to the same slot");
        return false;
    }
    bool reads_only = !route->up && route->reads_when_down;
    if (!route->up && !reads_only) {
        shoal_reply_error(reply, "CLUSTERDOWN The cluster is down");
        return false;
    }
    if (reads_only && (command->flags & SHOAL_FLAG_READONLY) == 0) {
        shoal_reply_error(reply, "CLUSTERDOWN The cluster is down and only accepts read commands");
        return false;
    }
    if (!owned) redirect(route, slot, reply);
    return owned;
}
