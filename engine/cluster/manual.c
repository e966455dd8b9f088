/* SPDX-License-Identifier: MIT
 *
 * Failover by hand, and at the end of a master.
 *
 *   replica                                      master
 *     CLUSTER FAILOVER: MFSTART ------------------> pauses the writes of clients
 *     <--------- PING with PAUSED and its offset -- when they have stopped, and each cron
 *     has that offset: asks for votes, takes over
 *     ------------------------------- PONG -------> has lost its slots: a replica; writes go on
 *
 * A master that wants to leave does the same unasked: the PING carries one bit more, which says
 * that this replica shall begin. FORCE leaves the master out, TAKEOVER the voters too. After five
 * seconds everything is as it was.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"

static void begin(shoal_cluster *c)
{
    SHOAL_ASSERT(c->failover.manual.end_us == 0);
    c->failover.manual.end_us = shoal_bus__stamp(c) + BUS_MANUAL_MS * 1000;
    c->failover.manual.replica = BUS_NONE;
}

void shoal_bus__manual_reset(shoal_cluster *c)
{
    bus_manual *m = &c->failover.manual;
    SHOAL_ASSERT(m->handover <= SHOAL_HANDOVER_DONE);
    *m = (bus_manual){.replica = BUS_NONE, .handover = m->handover};
    SHOAL_ASSERT(m->pause_us == 0);
}

int64_t shoal_cluster_pause(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->failover.manual.pause_us >= 0);
    return c->failover.manual.pause_us;
}

bool shoal_bus__manual_paused(const shoal_cluster *c)
{
    const bus_failover *f = &c->failover;
    SHOAL_ASSERT(f->manual.pause_us == 0 || f->manual.end_us > 0);
    if (f->manual.pause_us == 0) return false;
    return f->facts.paused || !f->told;
}

/* ---- the replica ---- */

void shoal_bus__failover_start(shoal_cluster *c, bus_failover_way way)
{
    SHOAL_ASSERT(shoal_bus__is(c->myself, SHOAL_NODE_REPLICA));
    const bus_node *master = shoal_bus__my_master(c);
    SHOAL_ASSERT(master);
    shoal_bus__manual_reset(c);
    begin(c);
    switch (way) {
    case BUS_FAILOVER_TAKEOVER:
        shoal_bus__log(c, BUS_WARNING, "Taking over the master (user request).");
        shoal_bus__epoch_bump(c);
        shoal_bus__take_over(c);
        return;
    case BUS_FAILOVER_FORCE:
        shoal_bus__log(c, BUS_WARNING, "Forced failover user request accepted.");
        c->failover.manual.can_start = true;
        /* A former attempt must not make this one wait. */
        c->failover.candidacy = (bus_candidacy){0};
        return;
    case BUS_FAILOVER_PLAIN:
        shoal_bus__log(c, BUS_WARNING, "Manual failover user request accepted.");
        c->failover.candidacy = (bus_candidacy){0};
        if (master->link) shoal_bus__send_bare(c, master->link, SHOAL_FRAME_MFSTART);
        return;
    }
    SHOAL_UNREACHABLE();
}

void shoal_bus__manual_heard(shoal_cluster *c, const shoal_frame *frame)
{
    SHOAL_ASSERT(shoal_bus__my_master(c));
    bus_manual *m = &c->failover.manual;
    if (!(frame->mflags[0] & SHOAL_MFLAG_PAUSED)) return;
    if (m->end_us == 0) {
        if (!(frame->mflags[1] & BUS_MFLAG1_HANDOVER)) return;
        shoal_bus__log(c, BUS_NOTICE, "The master leaves and hands over to this replica.");
        begin(c);
        c->failover.candidacy = (bus_candidacy){0};
    }
    if (m->offset_known) return;
    m->offset_known = true;
    m->offset = frame->offset;
    shoal_bus__log(c, BUS_NOTICE,
                   "Received replication offset for paused master manual failover: %llu",
                   (unsigned long long)m->offset);
    SHOAL_ASSERT(m->end_us > 0);
}

/* ---- the master ---- */

static void pause_for(shoal_cluster *c, const bus_node *replica)
{
    bus_manual *m = &c->failover.manual;
    SHOAL_ASSERT(shoal_bus__is(c->myself, SHOAL_NODE_MASTER));
    SHOAL_ASSERT(replica->replica_of == c->myself->index);
    begin(c);
    m->replica = replica->index;
    m->pause_us = shoal_bus__stamp(c) + BUS_MANUAL_PAUSE_MULT * BUS_MANUAL_MS * 1000;
}

/* Says that and where writes have stopped, as soon as they have. */
static void tell_replica(shoal_cluster *c)
{
    const bus_manual *m = &c->failover.manual;
    SHOAL_ASSERT(m->replica != BUS_NONE);
    const bus_node *replica = c->nodes[m->replica];
    if (!replica || !replica->link || !shoal_bus__manual_paused(c)) return;
    shoal_bus__send_ping(c, replica->link, SHOAL_FRAME_PING);
}

void shoal_bus__manual_requested(shoal_cluster *c, bus_node *sender)
{
    SHOAL_ASSERT(shoal_bus__knows(c, sender));
    bool mine =
        shoal_bus__is(c->myself, SHOAL_NODE_MASTER) && sender->replica_of == c->myself->index;
    if (!mine) {
        shoal_bus__why_not(c, BUS_WHY_NOT_ITS_MASTER, "%s", sender->name);
        return;
    }
    shoal_bus__manual_reset(c);
    pause_for(c, sender);
    shoal_bus__log(c, BUS_WARNING, "Manual failover requested by replica %s.", sender->name);
    tell_replica(c);
}

/* The replica that loses least. */
static bus_node *best_replica(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    bus_node *best = NULL;
    const uint16_t unfit = SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL | SHOAL_NODE_NOFAILOVER;
    for (uint32_t i = 0; i < c->node_count; i++) {
        bus_node *node = c->live[i];
        if (node->replica_of != c->myself->index || shoal_bus__is(node, unfit)) continue;
        if (!node->link || !node->link->up) continue;
        bool better = !best || node->offset > best->offset ||
                      (node->offset == best->offset &&
                       memcmp(node->name, best->name, SHOAL_NODE_NAME_LEN) < 0);
        if (better) best = node;
    }
    SHOAL_ASSERT(best != c->myself);
    return best;
}

bool shoal_cluster_handover_begin(shoal_cluster *c, shoal_time now)
{
    SHOAL_ASSERT(now.mono_us >= c->now.mono_us);
    c->now = now;
    if (!c->myself || c->myself->slot_count == 0) return false;
    bool by_profile = c->settings.profile == SHOAL_PROFILE_SHOAL;
    int wish = c->settings.shutdown_handover;
    SHOAL_ASSERT(wish >= SHOAL_HANDOVER_BY_PROFILE && wish <= SHOAL_HANDOVER_YES);
    if (wish == SHOAL_HANDOVER_NO || (wish == SHOAL_HANDOVER_BY_PROFILE && !by_profile)) {
        return false;
    }
    bus_node *replica = best_replica(c);
    if (!replica) {
        shoal_bus__why_not(c, BUS_WHY_NO_HEIR, "%u replicas", c->myself->replica_count);
        return false;
    }
    shoal_bus__manual_reset(c);
    pause_for(c, replica);
    c->failover.manual.offered = true;
    c->failover.manual.handover = SHOAL_HANDOVER_RUNNING;
    shoal_bus__log(c, BUS_WARNING, "Handing over to replica %s before the end.", replica->name);
    tell_replica(c);
    shoal_bus__finish(c);
    return true;
}

shoal_cluster_handover shoal_cluster_handover_state(const shoal_cluster *c)
{
    SHOAL_ASSERT(c);
    return c->failover.manual.handover;
}

/* ---- both ---- */

/* Whether a handover that runs has come to its end. */
static void watch_handover(shoal_cluster *c)
{
    bus_manual *m = &c->failover.manual;
    if (m->handover != SHOAL_HANDOVER_RUNNING) return;
    SHOAL_ASSERT(c->myself);
    if (c->myself->slot_count == 0) {
        m->handover = SHOAL_HANDOVER_DONE;
    } else if (m->end_us == 0) {
        m->handover = SHOAL_HANDOVER_NONE;
    }
}

static void expire(shoal_cluster *c)
{
    SHOAL_ASSERT(c->failover.manual.end_us > 0);
    shoal_bus__log(c, BUS_WARNING, "Manual failover timed out.");
    shoal_bus__why_not(c, BUS_WHY_MANUAL_TIMEOUT, "offset of the master %s",
                       c->failover.manual.offset_known ? "known" : "not known");
    shoal_bus__manual_reset(c);
}

void shoal_bus__manual_step(shoal_cluster *c)
{
    bus_manual *m = &c->failover.manual;
    if (m->end_us > 0 && m->end_us <= c->now.mono_us) expire(c);
    bool waits = m->end_us > 0 && m->offset_known && !m->can_start;
    if (waits && (m->offset == shoal_bus__own_offset(c) || SHOAL_MUTANT(MANUAL_EAGER))) {
        m->can_start = true;
        shoal_bus__log(c, BUS_NOTICE,
                       "All master replication stream processed, manual failover can start.");
    }
    watch_handover(c);
    if (m->end_us > 0) shoal_bus__wake(c, m->end_us);
    SHOAL_ASSERT(m->end_us == 0 || m->end_us > c->now.mono_us);
}

void shoal_bus__failover_step(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    c->failover.wake_us = INT64_MAX;
    bool silent = shoal_bus__manual_paused(c) && !c->failover.manual.replica_told;
    if (silent) {
        c->failover.manual.replica_told = true;
        tell_replica(c);
    }
    shoal_bus__claim_release(c);
    shoal_bus__manual_step(c);
    shoal_bus__candidate_step(c);
    SHOAL_ASSERT(c->failover.wake_us > c->now.mono_us);
}
