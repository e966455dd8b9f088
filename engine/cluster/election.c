/* SPDX-License-Identifier: MIT
 *
 * Votes for replicas that want to replace their failed master. The vote is written to disk before
 * it is sent: a node that voted, crashed and forgot could vote twice in one epoch. So the finished
 * frame waits until the save that holds `last_vote_epoch` is durable. It is built when the vote is
 * given, because its header states the epoch that it is a vote in.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/text.h"

/* The first claimed slot whose owner is newer than the request, or SHOAL_SLOTS. */
static uint32_t newer_slot(const shoal_cluster *c, const shoal_frame *request)
{
    SHOAL_ASSERT(request->slots);
    SHOAL_ASSERT(request->type == SHOAL_FRAME_AUTH_REQUEST);
    for (uint32_t slot = shoal_bus__slot_next(request->slots, 0); slot < SHOAL_SLOTS;
         slot = shoal_bus__slot_next(request->slots, slot + 1)) {
        const bus_node *owner = shoal_bus__owner(c, slot);
        if (shoal_bus__slot_unclaimed(c, slot)) continue;
        if (owner && owner->config_epoch > request->config_epoch) return slot;
    }
    return SHOAL_SLOTS;
}

/* 0 when the request deserves a vote, else why not: BUS_WHY_VOTE_*. The order is the protocol's. */
static uint32_t refusal(const shoal_cluster *c, const bus_node *sender, const shoal_frame *request)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(sender != c->myself);
    SHOAL_ASSERT(request->type == SHOAL_FRAME_AUTH_REQUEST);
    if (!shoal_bus__votes(c, c->myself)) return BUS_WHY_VOTE_NOT_VOTER;
    if (request->current_epoch < c->current_epoch) return BUS_WHY_VOTE_OLD_EPOCH;
    if (c->last_vote_epoch == c->current_epoch && !SHOAL_MUTANT(VOTE_TWICE))
        return BUS_WHY_VOTE_GIVEN;
    if (shoal_bus__is(sender, SHOAL_NODE_MASTER)) return BUS_WHY_VOTE_IS_MASTER;
    if (sender->replica_of == BUS_NONE) return BUS_WHY_VOTE_NO_MASTER;
    const bus_node *master = c->nodes[sender->replica_of];
    bool forced = request->mflags[0] & SHOAL_MFLAG_FORCEACK;
    if (!shoal_bus__is(master, SHOAL_NODE_FAIL) && !forced) return BUS_WHY_VOTE_MASTER_UP;
    int64_t pause_us = c->failover.timing.vote_us;
    if (shoal_bus__since(c, master->voted_us) < pause_us) return BUS_WHY_VOTE_TOO_SOON;
    if (newer_slot(c, request) < SHOAL_SLOTS && !SHOAL_MUTANT(VOTE_STALE_SLOTS))
        return BUS_WHY_VOTE_STALE_SLOTS;
    if (c->held_count == BUS_HELD_MAX) return BUS_WHY_VOTE_QUEUE_FULL;
    return 0;
}

/* Keeps a frame until the present opinion is durable. `link` 0: to every node. */
static void hold(shoal_cluster *c, shoal_link link, uint16_t type)
{
    SHOAL_ASSERT(c->held_count < BUS_HELD_MAX);
    SHOAL_ASSERT(type < SHOAL_FRAME_TYPE_COUNT);
    bus_held *held = &c->held[c->held_count++];
    held->generation = ++c->save.generation;
    held->link = link;
    held->type = type;
    held->frame = shoal_buffer_make(&c->allocator);
    shoal_bus__encode_bare(c, type, &held->frame);
}

void shoal_bus__hold_request(shoal_cluster *c)
{
    SHOAL_ASSERT(c->failover.candidacy.epoch == c->current_epoch);
    SHOAL_ASSERT(shoal_bus__my_master(c));
    /* Full of votes that the disk does not take: nobody is asked then, and the attempt expires. */
    if (c->held_count == BUS_HELD_MAX) return;
    hold(c, 0, SHOAL_FRAME_AUTH_REQUEST);
}

void shoal_bus__vote(shoal_cluster *c, bus_node *sender, const shoal_frame *request)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(sender != c->myself);
    uint32_t why = refusal(c, sender, request);
    if (why == BUS_WHY_VOTE_STALE_SLOTS && sender->link && c->failover.timing.eager) {
        /* Who asks with old news may be refused for ever if nobody tells it better: gossip does
         * not, where only the epoch of its dead master is news. Redis 7.0 says nothing. */
        shoal_bus__send_update(c, sender->link, shoal_bus__owner(c, newer_slot(c, request)));
    }
    if (why) {
        shoal_bus__why_not(c, why, "%s asks in epoch %llu; here it is %llu, last vote %llu",
                           sender->name, (unsigned long long)request->current_epoch,
                           (unsigned long long)c->current_epoch,
                           (unsigned long long)c->last_vote_epoch);
        return;
    }
    SHOAL_ASSERT(c->last_vote_epoch < c->current_epoch || SHOAL_MUTANT(VOTE_TWICE));
    c->last_vote_epoch = c->current_epoch;
    c->nodes[sender->replica_of]->voted_us = shoal_bus__stamp(c);
    c->due |= BUS_DUE_SAVE;
    shoal_bus__note(c, SHOAL_TRACE_VOTE, (uint64_t[3]){c->current_epoch}, shoal_text(sender->name));
    if (sender->link && SHOAL_MUTANT(VOTE_UNDURABLE)) {
        shoal_bus__send_bare(c, sender->link, SHOAL_FRAME_AUTH_ACK);
    } else if (sender->link) {
        hold(c, sender->link->id, SHOAL_FRAME_AUTH_ACK);
    }
    shoal_bus__log(c, BUS_WARNING, "Failover auth granted to %s for epoch %llu", sender->name,
                   (unsigned long long)c->current_epoch);
}

/* Sends a held frame, to its link or to all. */
static void release(shoal_cluster *c, const bus_held *held)
{
    SHOAL_ASSERT(held->generation <= c->save.durable);
    if (held->frame.failed) return;
    shoal_slice bytes = shoal_buffer_slice(&held->frame);
    if (held->link) {
        bus_link *link = shoal_bus__link_find(c, held->link);
        if (link) shoal_bus__send_bytes(c, link, held->type, bytes);
        return;
    }
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (!node->link || shoal_bus__is(node, SHOAL_NODE_HANDSHAKE)) continue;
        shoal_bus__send_bytes(c, node->link, held->type, bytes);
    }
}

void shoal_bus__held_release(shoal_cluster *c)
{
    SHOAL_ASSERT(c->held_count <= BUS_HELD_MAX);
    SHOAL_ASSERT(c->save.phase == BUS_SAVE_IDLE);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->held_count; i++) {
        bus_held held = c->held[i];
        if (held.generation > c->save.durable) {
            c->held[kept++] = held;
            continue;
        }
        release(c, &held);
        shoal_buffer_free(&held.frame);
    }
    c->held_count = kept;
}
