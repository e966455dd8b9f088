/* SPDX-License-Identifier: MIT
 *
 * cluster/glance.h - what is kept of nodes by their place in `live`, side by side (bus_glance in
 * model.h): how it is read, spoilt and brought up to date. Nothing but memory and speed depends on
 * it: what it says is what the node says, which check.c looks after.
 */
#ifndef SHOAL_CLUSTER_GLANCE_H
#define SHOAL_CLUSTER_GLANCE_H

#include "cluster/model.h"

/* The node has one of the flags. */
static inline bool shoal_bus__is(const bus_node *node, uint16_t flag)
{
    return (node->flags & flag) != 0;
}

/* What is kept of a node by its place. */
static inline bus_glance *shoal_bus__glance(const shoal_cluster *c, const bus_node *node)
{
    return &c->glances[node->live_at];
}

/* Something that bus_glance tells of changed. */
static inline void shoal_bus__blur(const shoal_cluster *c, const bus_node *node)
{
    bus_glance *glance = shoal_bus__glance(c, node);
    glance->plain = glance->unfit = false;
}

/* A node without address or name, or that nobody is connected to and that owns nothing, is not
 * worth telling of. */
static inline bool shoal_bus__worth_telling(const bus_node *node)
{
    if (shoal_bus__is(node, SHOAL_NODE_HANDSHAKE | SHOAL_NODE_NOADDR)) return false;
    return node->link || node->slot_count > 0;
}

/* Does every section of gossip tell of the node, whatever is drawn? A suspect; and under the
 * profile shoal a node that has failed, has slots and has lost its address: what is drawn never
 * tells of that, and who did not know those who agreed would suspect it alone. In cron.c. */
bool shoal_bus__always_told(const shoal_cluster *c, const bus_node *node);

/* Nothing is to be said of the node but that it is there: it is worth telling of, no ping to it
 * waits, and neither this node nor anybody who reports to it doubts that it works. */
static inline bool shoal_bus__is_plain(const bus_node *node)
{
    uint16_t special = SHOAL_NODE_MYSELF | SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL;
    return !shoal_bus__is(node, special) && shoal_bus__worth_telling(node) &&
           node->ping_sent_us == 0 && node->report_count == 0;
}

/* Brings what is kept by place up to date. */
static inline void shoal_bus__sharpen(const shoal_cluster *c, const bus_node *node)
{
    bus_glance *glance = shoal_bus__glance(c, node);
    glance->plain = shoal_bus__is_plain(node);
    glance->unfit = !shoal_bus__is(node, SHOAL_NODE_MYSELF | SHOAL_NODE_PFAIL) &&
                    !shoal_bus__worth_telling(node);
    glance->who = node->who;
    glance->where = node->where;
    glance->flags = node->flags;
    glance->owns = node->slot_count > 0;
}

#endif
