/* SPDX-License-Identifier: MIT
 *
 * CLUSTER SETSLOT: a slot begins to move, stops, or changes hands. The order of the checks and
 * their words are Redis 7.0's.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* The node that the last argument names, a master; or answers with the error. */
static bus_node *read_target(const shoal_cluster *c, shoal_cluster_call *call, const char *unknown)
{
    SHOAL_ASSERT(call->argc == 5);
    SHOAL_ASSERT(unknown);
    shoal_slice name = call->argv[4];
    bus_node *node = shoal_bus__node_find_text(c, name);
    if (!node) {
        shoal_reply_errorf(&call->reply, "ERR %s %.*s", unknown, (int)name.size, name.data);
    } else if (shoal_bus__is(node, SHOAL_NODE_REPLICA)) {
        shoal_reply_error(&call->reply, "ERR Target node is not a master");
        node = NULL;
    }
    return node;
}

/* MIGRATING and IMPORTING. */
static void begin_move(shoal_cluster *c, shoal_cluster_call *call, uint32_t slot, uint32_t way)
{
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    SHOAL_ASSERT(c->myself);
    bool mine = shoal_bus__owner(c, slot) == c->myself;
    if (mine != (way == BUS_MOVE_OUT)) {
        shoal_reply_errorf(&call->reply, "ERR I'm %s the owner of hash slot %u",
                           mine ? "already" : "not", slot);
        return;
    }
    const bus_node *node = read_target(c, call, "I don't know about node");
    if (!node) return;
    if (shoal_bus__move_set(c, slot, way, node)) {
        shoal_reply_ok(&call->reply);
    } else {
        shoal_reply_error(&call->reply, "ERR no memory for the slot map");
    }
}

/* This node has taken the slot in: a new epoch makes its claim the newest, and everybody hears of
 * it now, not by and by. */
static void end_import(shoal_cluster *c, uint32_t slot)
{
    SHOAL_ASSERT(shoal_bus__owner(c, slot) == c->myself);
    SHOAL_ASSERT(shoal_bus__move(c, slot, BUS_MOVE_IN));
    if (shoal_bus__epoch_bump(c)) {
        shoal_bus__log(c, BUS_WARNING, "configEpoch updated after importing slot %u", slot);
    }
    shoal_bus__move_set(c, slot, BUS_MOVE_IN, NULL);
    for (uint32_t i = 0; i < c->node_count; i++) {
        bus_node *node = c->live[i];
        if (!node->link || shoal_bus__is(node, SHOAL_NODE_HANDSHAKE)) continue;
        shoal_bus__send_ping(c, node->link, SHOAL_FRAME_PONG);
    }
}

/* A slot of this node went to `node`: behind the last one this node goes too. */
static void follow_last(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(shoal_bus__is(node, SHOAL_NODE_MASTER));
    if (c->myself->slot_count > 0 || !c->settings.allow_replica_migration) return;
    shoal_bus__log(c, BUS_WARNING,
                   "Configuration change detected. Reconfiguring myself as a replica of %s",
                   node->name);
    shoal_bus__set_master(c, node);
}

/* NODE: the slot is `argv[4]`'s from now on. */
static void assign(shoal_cluster *c, shoal_cluster_call *call, uint32_t slot)
{
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    SHOAL_ASSERT(c->myself);
    bus_node *node = read_target(c, call, "Unknown node");
    if (!node) return;
    const bus_node *owner = shoal_bus__owner(c, slot);
    bool was_mine = owner == c->myself;
    if (was_mine && node != c->myself && call->keys_in_slot > 0) {
        shoal_reply_errorf(&call->reply,
                           "ERR Can't assign hashslot %u to a different node while I still hold "
                           "keys for this hash slot.",
                           slot);
        return;
    }
    if (call->keys_in_slot == 0) shoal_bus__move_set(c, slot, BUS_MOVE_OUT, NULL);
    /* redis-cli tells every master: most know it from the new owner by then, and save nothing. */
    if (owner != node) shoal_bus__slot_set(c, slot, node);
    if (was_mine && node != c->myself) follow_last(c, node);
    if (node == c->myself && shoal_bus__move(c, slot, BUS_MOVE_IN)) end_import(c, slot);
    shoal_reply_ok(&call->reply);
}

void shoal_bus__command_setslot(shoal_cluster *c, shoal_cluster_call *call)
{
    SHOAL_ASSERT(call->argc >= 4);
    SHOAL_ASSERT(c->myself);
    int64_t number;
    if (shoal_bus__is(c->myself, SHOAL_NODE_REPLICA)) {
        shoal_reply_error(&call->reply, "ERR Please use SETSLOT only with masters.");
        return;
    }
    if (!shoal_text_to_i64(call->argv[2], &number) || number < 0 || number >= SHOAL_SLOTS) {
        shoal_reply_error(&call->reply, "ERR Invalid or out of range slot");
        return;
    }
    uint32_t slot = (uint32_t)number;
    shoal_slice action = call->argv[3];
    if (shoal_text_is(action, "migrating") && call->argc == 5) {
        begin_move(c, call, slot, BUS_MOVE_OUT);
    } else if (shoal_text_is(action, "importing") && call->argc == 5) {
        begin_move(c, call, slot, BUS_MOVE_IN);
    } else if (shoal_text_is(action, "stable") && call->argc == 4) {
        shoal_bus__move_set(c, slot, BUS_MOVE_OUT, NULL);
        shoal_bus__move_set(c, slot, BUS_MOVE_IN, NULL);
        shoal_reply_ok(&call->reply);
    } else if (shoal_text_is(action, "node") && call->argc == 5) {
        assign(c, call, slot);
    } else {
        shoal_reply_error(&call->reply, "ERR Invalid CLUSTER SETSLOT action or number of "
                                        "arguments. Try CLUSTER HELP");
    }
    c->due |= BUS_DUE_STATE;
}
