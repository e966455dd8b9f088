/* SPDX-License-Identifier: MIT
 *
 * Is the cluster up, as far as this node can tell? Down when a slot is not covered (if coverage is
 * asked for) or when most masters with slots cannot be reached, suspected ones included. Going up
 * is slower than going down: a master waits after its start, so that news can reach it before it
 * accepts writes (unless it was elected since), and it waits after it was in a minority.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"

static bool all_slots_covered(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->slots_assigned <= SHOAL_SLOTS);
    if (c->slots_assigned < SHOAL_SLOTS) return false;
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (c->glances[i].plain) continue;
        const bus_node *node = c->live[i];
        if (node->slot_count > 0 && shoal_bus__is(node, SHOAL_NODE_FAIL)) return false;
    }
    return true;
}

static bool majority_reachable(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->voters <= c->node_count);
    SHOAL_ASSERT(c->myself);
    uint32_t reachable = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_glance *glance = &c->glances[i];
        if (glance->plain && !c->settings.voters_all) {
            reachable += glance->owns;
            continue;
        }
        const bus_node *node = c->live[i];
        if (shoal_bus__votes(c, node) && !shoal_bus__is(node, SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL)) {
            reachable++;
        }
    }
    return reachable >= shoal_bus__quorum(c) || SHOAL_MUTANT(MINORITY_SERVES);
}

static int64_t rejoin_delay_us(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->settings.node_timeout_ms >= 0);
    int64_t delay_ms = c->settings.node_timeout_ms;
    if (delay_ms > BUS_REJOIN_MS_MAX) delay_ms = BUS_REJOIN_MS_MAX;
    if (delay_ms < BUS_REJOIN_MS_MIN) delay_ms = BUS_REJOIN_MS_MIN;
    return delay_ms * 1000;
}

/* Says why the node does not go up, once per reason and state. */
static void stay_down(shoal_cluster *c, uint32_t why)
{
    SHOAL_ASSERT(why != 0);
    SHOAL_ASSERT(!c->up);
    if (c->state_why == why) return;
    c->state_why = why;
    shoal_bus__why_not(c, why, "%u of %u slots assigned", c->slots_assigned, SHOAL_SLOTS);
}

static void change_state(shoal_cluster *c, uint32_t reason)
{
    SHOAL_ASSERT(c->up == (reason != BUS_STATE_UP));
    c->up = reason == BUS_STATE_UP;
    c->state_why = 0;
    c->due |= BUS_DUE_ROUTE;
    shoal_bus__log(c, BUS_WARNING, "Cluster state changed: %s", c->up ? "ok" : "fail");
    if (!c->up) {
        bool minority = reason == BUS_STATE_MINORITY;
        shoal_bus__why_not(c, minority ? BUS_WHY_DOWN_MINORITY : BUS_WHY_DOWN_UNCOVERED,
                           "%u of %u slots assigned, %u voters", c->slots_assigned, SHOAL_SLOTS,
                           shoal_bus__voter_count(c));
    }
    shoal_bus__note(c, SHOAL_TRACE_CLUSTER_STATE, (uint64_t[3]){c->up, reason, c->slots_assigned},
                    (shoal_slice){0});
}

/* May news of what happened while it was down still be on their way to this master? Under the
 * profile shoal not when it was elected since: the voters knew of no newer owner of its slots. */
static bool too_early(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->first_state_us > 0);
    if (c->elected && c->failover.timing.eager) return false;
    return shoal_bus__since(c, c->first_state_us) < BUS_WRITABLE_DELAY_MS * 1000;
}

void shoal_bus__state_update(shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->voters <= c->node_count);
    bool master = shoal_bus__is(c->myself, SHOAL_NODE_MASTER);
    c->due &= ~(uint32_t)BUS_DUE_STATE;
    if (c->first_state_us == 0) c->first_state_us = shoal_bus__stamp(c);
    if (master && !c->up && too_early(c)) {
        stay_down(c, BUS_WHY_UP_TOO_EARLY);
        return;
    }
    uint32_t reason = BUS_STATE_UP;
    if (c->settings.require_full_coverage && !all_slots_covered(c)) reason = BUS_STATE_UNCOVERED;
    if (!majority_reachable(c)) {
        reason = BUS_STATE_MINORITY;
        c->minority_us = shoal_bus__stamp(c);
    }
    bool up = reason == BUS_STATE_UP;
    c->state_reason = reason;
    if (up == c->up) return;
    if (up && master && shoal_bus__since(c, c->minority_us) < rejoin_delay_us(c)) {
        stay_down(c, BUS_WHY_UP_AFTER_SPLIT);
        return;
    }
    change_state(c, reason);
}
