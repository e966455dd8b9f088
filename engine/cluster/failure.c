/* SPDX-License-Identifier: MIT
 *
 * Who is alive. PFAIL is this node's own suspicion, from silence. Voters report their suspicions
 * in gossip; when the reports that are still fresh, with our own, make a majority, PFAIL becomes
 * FAIL and everybody is told. FAIL ends when the node answers again, for a master with slots only
 * after a while, because a replica may be taking over.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/text.h"

/* ---- reports ---- */

static bool room_for(shoal_cluster *c, bus_reports *reports, uint16_t index)
{
    SHOAL_ASSERT((reports->moments == NULL) == (reports->capacity == 0));
    if (index < reports->capacity) return true;
    const shoal_allocator *a = &c->allocator;
    uint32_t capacity = c->node_capacity;
    SHOAL_ASSERT(index < capacity);
    int64_t *moments = a->allocate_zeroed(a->context, capacity * sizeof(int64_t), 8);
    if (!moments) return false;
    if (reports->moments) {
        memcpy(moments, reports->moments, reports->capacity * sizeof(int64_t));
        a->release(a->context, reports->moments, reports->capacity * sizeof(int64_t), 8);
    }
    reports->moments = moments;
    reports->capacity = capacity;
    return true;
}

bool shoal_bus__report_add(shoal_cluster *c, bus_node *node, const bus_node *reporter)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(shoal_bus__knows(c, reporter));
    SHOAL_ASSERT(shoal_bus__reports(c, reporter));
    SHOAL_ASSERT(node != c->myself);
    bus_reports *reports = &node->reports;
    if (!room_for(c, reports, reporter->index)) return false;
    int64_t *moment = &reports->moments[reporter->index];
    bool news = *moment == 0;
    *moment = shoal_bus__stamp(c);
    if (news && node->report_count++ == 0) reports->oldest_us = *moment;
    shoal_bus__blur(c, node);
    return news;
}

bool shoal_bus__report_remove(bus_node *node, const bus_node *reporter)
{
    SHOAL_ASSERT(node);
    SHOAL_ASSERT(reporter);
    SHOAL_ASSERT(node != reporter);
    if (node->report_count == 0) return false;
    bus_reports *reports = &node->reports;
    SHOAL_ASSERT(node->report_count <= reports->capacity);
    if (reporter->index >= reports->capacity || reports->moments[reporter->index] == 0) {
        return false;
    }
    reports->moments[reporter->index] = 0;
    node->report_count--;
    return true;
}

uint32_t shoal_bus__report_count(const shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node->report_count <= c->node_count);
    if (node->report_count == 0) return 0;
    bus_reports *reports = &node->reports;
    int64_t validity_us = BUS_REPORT_TIMEOUTS * shoal_bus__timeout_us(c);
    if (shoal_bus__since(c, reports->oldest_us) <= validity_us) return node->report_count;
    int64_t oldest_us = INT64_MAX;
    for (uint32_t i = 0; i < reports->capacity; i++) {
        int64_t *moment = &reports->moments[i];
        if (*moment == 0) continue;
        if (shoal_bus__since(c, *moment) > validity_us) {
            *moment = 0;
            node->report_count--;
        } else if (*moment < oldest_us) {
            oldest_us = *moment;
        }
    }
    reports->oldest_us = oldest_us;
    return node->report_count;
}

void shoal_bus__reports_free(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(node);
    SHOAL_ASSERT((node->reports.moments == NULL) == (node->reports.capacity == 0));
    bus_reports *reports = &node->reports;
    if (reports->moments) {
        c->allocator.release(c->allocator.context, reports->moments,
                             reports->capacity * sizeof(int64_t), 8);
    }
    *reports = (bus_reports){0};
    node->report_count = 0;
}

/* ---- PFAIL and FAIL ---- */

void shoal_bus__set_suspect(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL));
    SHOAL_ASSERT(node != c->myself);
    node->flags |= SHOAL_NODE_PFAIL;
    shoal_bus__blur(c, node);
    shoal_bus__unsettle(c, node);
    shoal_bus__note_node(c, SHOAL_TRACE_PFAIL, node);
    c->due |= BUS_DUE_STATE;
    if (!c->failover.timing.eager) return;
    c->suspects++;
    c->failover.spread_due = true;
    shoal_bus__fail_if_agreed(c, node);
}

void shoal_bus__set_failed(shoal_cluster *c, bus_node *node, uint32_t reports)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_FAIL));
    SHOAL_ASSERT(node != c->myself);
    node->flags &= (uint16_t)~SHOAL_NODE_PFAIL;
    node->flags |= SHOAL_NODE_FAIL;
    shoal_bus__blur(c, node);
    shoal_bus__unsettle(c, node);
    node->fail_us = shoal_bus__stamp(c);
    node->fail_epoch = node->config_epoch;
    c->no_orphans = false;
    shoal_bus__note(c, SHOAL_TRACE_FAIL, (uint64_t[3]){reports, shoal_bus__quorum(c)},
                    shoal_text(node->name));
    c->due |= BUS_DUE_STATE | BUS_DUE_LATER;
}

void shoal_bus__fail_if_agreed(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    if (!shoal_bus__is(node, SHOAL_NODE_PFAIL) || shoal_bus__is(node, SHOAL_NODE_FAIL)) return;
    uint32_t reports = shoal_bus__report_count(c, node);
    uint32_t needed = SHOAL_MUTANT(FAIL_ALONE) ? 1 : shoal_bus__quorum(c);
    if (shoal_bus__reports(c, c->myself)) reports++;
    if (reports < needed) return;
    shoal_bus__log(c, BUS_NOTICE, "Marking node %s as failing (quorum reached).", node->name);
    shoal_bus__set_failed(c, node, reports);
    shoal_bus__send_fail(c, node);
}

static void clear_failed(shoal_cluster *c, bus_node *node, const char *because)
{
    SHOAL_ASSERT(shoal_bus__is(node, SHOAL_NODE_FAIL));
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(because);
    shoal_bus__log(c, BUS_NOTICE, "Clear FAIL state for node %s: %s", node->name, because);
    node->flags &= (uint16_t)~SHOAL_NODE_FAIL;
    c->no_orphans = false;
    shoal_bus__note_node(c, SHOAL_TRACE_FAIL_CLEARED, node);
    c->due |= BUS_DUE_STATE | BUS_DUE_LATER;
}

void shoal_bus__answered(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(node->ping_sent_us == 0);
    if (SHOAL_MUTANT(PFAIL_STAYS)) return;
    if (shoal_bus__is(node, SHOAL_NODE_PFAIL)) {
        node->flags &= (uint16_t)~SHOAL_NODE_PFAIL;
        shoal_bus__note_node(c, SHOAL_TRACE_PFAIL_CLEARED, node);
        c->due |= BUS_DUE_STATE | BUS_DUE_LATER;
        return;
    }
    if (!shoal_bus__is(node, SHOAL_NODE_FAIL)) return;
    int64_t undo_us = BUS_FAIL_UNDO_TIMEOUTS * shoal_bus__timeout_us(c);
    if (!shoal_bus__is(node, SHOAL_NODE_MASTER)) {
        clear_failed(c, node, "the replica is reachable again");
    } else if (node->slot_count == 0) {
        clear_failed(c, node, "the master without slots is reachable again");
    } else if (c->failover.timing.eager && node->config_epoch > node->fail_epoch) {
        /* What it failed as is over: who took its slots took them before, or will be told. */
        clear_failed(c, node, "it is reachable again with an epoch that it has taken since");
    } else if (shoal_bus__since(c, node->fail_us) > undo_us) {
        clear_failed(c, node, "it is reachable again and nobody took its slots");
    } else {
        shoal_bus__why_not(c, BUS_WHY_FAIL_TOO_FRESH, "%s", node->name);
    }
}
