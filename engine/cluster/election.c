/* SPDX-License-Identifier: MIT
 *
 * Votes for replicas that want to replace their failed master. The vote is written to disk before
 * it is sent: a node that voted, crashed and forgot could vote twice in one epoch. So the finished
 * frame waits until the save that holds `last_vote_epoch` is durable. It is built when the vote is
 * given, because its header states the epoch that it is a vote in.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/text.h"

/* The first claimed slot whose owner is newer than the request, or SHOAL_SLOTS. */
static uint32_t newer_slot(const shoal_cluster *c, const shoal_frame *request)
{
    SHOAL_ASSERT(request->slots);
    SHOAL_ASSERT(request->type == SHOAL_FRAME_AUTH_REQUEST);
    for (uint32_t slot = shoal_bus__slot_next(request->slots, 0); slot < SHOAL_SLOTS;
         slot = shoal_bus__slot_next(request->slots, slot + 1)) {
        const bus_node *owner = shoal_bus__owner(c, slot);
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
    if (!shoal_bus__votes(c->myself)) return BUS_WHY_VOTE_NOT_VOTER;
    if (request->current_epoch < c->current_epoch) return BUS_WHY_VOTE_OLD_EPOCH;
    if (c->last_vote_epoch == c->current_epoch) return BUS_WHY_VOTE_GIVEN;
    if (shoal_bus__is(sender, SHOAL_NODE_MASTER)) return BUS_WHY_VOTE_IS_MASTER;
    if (sender->replica_of == BUS_NONE) return BUS_WHY_VOTE_NO_MASTER;
    const bus_node *master = c->nodes[sender->replica_of];
    bool forced = request->mflags[0] & SHOAL_MFLAG_FORCEACK;
    if (!shoal_bus__is(master, SHOAL_NODE_FAIL) && !forced) return BUS_WHY_VOTE_MASTER_UP;
    int64_t pause_us = BUS_VOTE_TIMEOUTS * shoal_bus__timeout_us(c);
    if (shoal_bus__since(c, master->voted_us) < pause_us) return BUS_WHY_VOTE_TOO_SOON;
    if (newer_slot(c, request) < SHOAL_SLOTS) return BUS_WHY_VOTE_STALE_SLOTS;
    if (c->held_count == BUS_HELD_MAX) return BUS_WHY_VOTE_QUEUE_FULL;
    return 0;
}

/* Keeps the vote until the present opinion, which includes it, is durable. */
static void hold_vote(shoal_cluster *c, const bus_link *link)
{
    SHOAL_ASSERT(c->held_count < BUS_HELD_MAX);
    SHOAL_ASSERT(!link->dead);
    SHOAL_ASSERT(c->last_vote_epoch == c->current_epoch);
    bus_held *held = &c->held[c->held_count++];
    held->generation = ++c->save.generation;
    held->link = link->id;
    held->frame = shoal_buffer_make(&c->allocator);
    shoal_bus__encode_ack(c, &held->frame);
}

void shoal_bus__vote(shoal_cluster *c, bus_node *sender, const shoal_frame *request)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    SHOAL_ASSERT(sender != c->myself);
    uint32_t why = refusal(c, sender, request);
    if (why) {
        shoal_bus__why_not(c, why, "%s asks in epoch %llu; here it is %llu, last vote %llu",
                           sender->name, (unsigned long long)request->current_epoch,
                           (unsigned long long)c->current_epoch,
                           (unsigned long long)c->last_vote_epoch);
        return;
    }
    SHOAL_ASSERT(c->last_vote_epoch < c->current_epoch);
    c->last_vote_epoch = c->current_epoch;
    c->nodes[sender->replica_of]->voted_us = shoal_bus__stamp(c);
    c->due |= BUS_DUE_SAVE;
    if (sender->link) hold_vote(c, sender->link);
    shoal_bus__log(c, BUS_WARNING, "Failover auth granted to %s for epoch %llu", sender->name,
                   (unsigned long long)c->current_epoch);
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
        bus_link *link = shoal_bus__link_find(c, held.link);
        if (link && !held.frame.failed) {
            shoal_bus__send_bytes(c, link, SHOAL_FRAME_AUTH_ACK, shoal_buffer_slice(&held.frame));
        }
        shoal_buffer_free(&held.frame);
    }
    c->held_count = kept;
}
