/* SPDX-License-Identifier: MIT
 *
 * What happens ten times a second: missing links are opened, handshakes that came to nothing are
 * ended, nodes not heard of for half the node timeout are pinged, silent ones become suspects.
 *
 * Of most nodes it is known beforehand that nothing is due: they answered not long ago, or were
 * asked not long ago. The moment until then is kept apart from the nodes, side by side, and the
 * least of each few neighbours again, so that a round of a large cluster touches the few nodes only
 * for which there may be something to do.
 */
#include "cluster/internal.h"

#include "base/assert.h"

/* So many nodes are asked for ahead of a round. Chosen: more are rarely due at once. */
#define EXPECTED 16u

static int64_t handshake_timeout_us(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->settings.node_timeout_ms >= 0);
    int64_t timeout_ms = c->settings.node_timeout_ms;
    if (timeout_ms < BUS_HANDSHAKE_MS_MIN) timeout_ms = BUS_HANDSHAKE_MS_MIN;
    return timeout_ms * 1000;
}

/* A failed node that does not speak to us is tried every fourth of the node timeout, at least twice
 * a second: a storm of attempts helps nobody. When it is back, it opens a connection itself. Redis
 * 7.0 tries ten times a second. */
static bool can_wait(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(!node->link);
    if (!c->failover.timing.eager || !shoal_bus__is(node, SHOAL_NODE_FAIL)) return false;
    int64_t pause_us = c->failover.timing.ping_us;
    if (pause_us < BUS_RETRY_US_MIN) pause_us = BUS_RETRY_US_MIN;
    return !node->inbound && shoal_bus__since(c, node->opened_us) < pause_us;
}

int64_t shoal_bus__quiet_until(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(c->settings.node_timeout_ms >= 0);
    SHOAL_ASSERT(c->live[node->live_at] == node);
    uint16_t special =
        SHOAL_NODE_NOADDR | SHOAL_NODE_HANDSHAKE | SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL;
    if (shoal_bus__is(node, SHOAL_NODE_MYSELF)) return INT64_MAX;
    if (!node->link || node->refused_us || shoal_bus__is(node, special)) return 0;
    /* A ping that waits makes the link stuck first, then the node silent. */
    if (node->ping_sent_us) return node->ping_sent_us + shoal_bus__timeout_us(c) / 2;
    int64_t pong_us = shoal_bus__glance(c, node)->pong_received_us;
    return pong_us ? pong_us + c->failover.timing.ping_us : 0;
}

/* Nothing is due for the node at this place. */
static bool is_quiet(const shoal_cluster *c, uint32_t at)
{
    SHOAL_ASSERT(at < c->node_count);
    return c->quiet_us[at] >= c->now.mono_us;
}

uint16_t shoal_bus__not_watched(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    SHOAL_ASSERT(c->settings.profile <= SHOAL_PROFILE_SHOAL);
    uint16_t never = SHOAL_NODE_MYSELF | SHOAL_NODE_HANDSHAKE;
    /* Where every node votes, one that has lost its address must not count as reached. */
    bool all = c->failover.timing.eager || c->settings.voters_all;
    return all ? never : never | SHOAL_NODE_NOADDR;
}

bool shoal_bus__always_told(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    if (shoal_bus__is(node, shoal_bus__not_watched(c))) return false;
    if (shoal_bus__is(node, SHOAL_NODE_PFAIL)) return true;
    bool lost = shoal_bus__is(node, SHOAL_NODE_NOADDR) && shoal_bus__is(node, SHOAL_NODE_FAIL);
    SHOAL_ASSERT(!lost || c->failover.timing.eager || c->settings.voters_all);
    return lost && node->slot_count > 0;
}

/* Nothing is due for any node of the group, as far as that is known. */
static bool is_group_quiet(const shoal_cluster *c, uint32_t group)
{
    SHOAL_ASSERT(group * BUS_QUIET_GROUP < c->node_count);
    return c->quiet_least_us[group] >= c->now.mono_us;
}

/* The link or the handshake of one node, which may be removed. */
static void reconnect_node(shoal_cluster *c, bus_node *node, int64_t handshake_us)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    if (shoal_bus__always_told(c, node)) c->suspects++;
    if (shoal_bus__is(node, SHOAL_NODE_MYSELF | SHOAL_NODE_NOADDR)) return;
    if (shoal_bus__is(node, SHOAL_NODE_HANDSHAKE) &&
        shoal_bus__since(c, node->created_us) > handshake_us) {
        shoal_bus__node_remove(c, node, BUS_FORGOTTEN_HANDSHAKE_TIMEOUT);
        return;
    }
    if (node->link || !node->ip[0] || can_wait(c, node)) return;
    shoal_bus__link_open(c, node);
}

/* Links and handshakes. Walks backwards because a node may be removed. */
static void reconnect(shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count >= 1);
    SHOAL_ASSERT(c->myself);
    int64_t handshake_us = handshake_timeout_us(c);
    c->suspects = 0;
    for (uint32_t end = c->node_count; end > 0;) {
        uint32_t group = (end - 1) / BUS_QUIET_GROUP, start = group * BUS_QUIET_GROUP;
        for (uint32_t i = end; i-- > start && !is_group_quiet(c, group);) {
            if (!is_quiet(c, i)) reconnect_node(c, c->live[i], handshake_us);
        }
        end = start;
    }
}

/* Once a second, of a few nodes drawn at random, the one that has been silent longest. */
static void ping_sampled(shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count >= 1);
    SHOAL_ASSERT(c->cron_count > 0);
    bus_node *oldest = NULL;
    int64_t oldest_us = INT64_MAX;
    for (int i = 0; i < BUS_CRON_SAMPLE; i++) {
        uint32_t at = (uint32_t)shoal_prng_below(&c->random_sample, c->node_count);
        bus_node *node = c->live[at];
        if (!node->link || node->ping_sent_us) continue;
        if (shoal_bus__is(node, SHOAL_NODE_MYSELF | SHOAL_NODE_HANDSHAKE)) continue;
        if (oldest && c->glances[at].pong_received_us >= oldest_us) continue;
        oldest = node;
        oldest_us = c->glances[at].pong_received_us;
    }
    if (oldest) shoal_bus__send_ping(c, oldest->link, SHOAL_FRAME_PING);
}

/* A link that was there for long enough, with a ping that waits and nothing else coming: a new
 * connection may get through where this one does not. Under shoal also when something else comes:
 * from a suspect after twice the time, because no other ping is sent while one waits, and only a
 * PONG ends a suspicion; from others after several timeouts, because votes go this way. */
static bool link_is_stuck(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(!node->link || !node->link->inbound);
    int64_t timeout_us = shoal_bus__timeout_us(c);
    if (!node->link || !node->ping_sent_us) return false;
    if (shoal_bus__since(c, node->link->created_us) <= timeout_us) return false;
    int64_t waits_us = shoal_bus__since(c, node->ping_sent_us);
    bool in_trouble = shoal_bus__is(node, SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL);
    int64_t patience_us = in_trouble ? timeout_us : BUS_DEAF_TIMEOUTS * timeout_us;
    if (c->failover.timing.eager && waits_us > patience_us) return true;
    return waits_us > timeout_us / 2 &&
           shoal_bus__since(c, node->data_received_us) > timeout_us / 2;
}

/* Nobody has listened at its address for long enough, and nothing came from it meanwhile. */
static bool is_refused(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(node != c->myself);
    int64_t patience_us = c->failover.timing.refused_us;
    SHOAL_ASSERT(patience_us > 0 || node->refused_us == 0 || !c->failover.timing.eager);
    return patience_us > 0 && node->refused_us > 0 && !node->inbound &&
           node->data_received_us < node->refused_us &&
           shoal_bus__since(c, node->refused_us) > patience_us;
}

/* It was silent for the node timeout, although it was asked. */
static bool is_silent(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(node != c->myself);
    int64_t timeout_us = shoal_bus__timeout_us(c);
    SHOAL_ASSERT(timeout_us >= 0);
    return node->ping_sent_us && shoal_bus__since(c, node->ping_sent_us) > timeout_us &&
           shoal_bus__since(c, node->data_received_us) > timeout_us;
}

/* Pings the replica that a manual failover waits for, however long another ping has waited. A voter
 * counts for the majority until it is suspected: its silence lasts since the first of them. */
static void ping_again(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(node->link);
    SHOAL_ASSERT(node->index == c->failover.manual.replica);
    int64_t first_us = node->ping_sent_us;
    shoal_bus__send_ping(c, node->link, SHOAL_FRAME_PING);
    if (!first_us || !shoal_bus__votes(c, node)) return;
    node->ping_sent_us = first_us;
    shoal_bus__unsettle(c, node);
}

static void watch(shoal_cluster *c, bus_node *node)
{
    SHOAL_ASSERT(shoal_bus__knows(c, node));
    SHOAL_ASSERT(node != c->myself);
    SHOAL_ASSERT(!shoal_bus__is(node, SHOAL_NODE_HANDSHAKE));
    bool in_trouble = shoal_bus__is(node, SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL);
    if (link_is_stuck(c, node)) shoal_bus__link_drop(c, node->link);
    if (!in_trouble && is_refused(c, node)) {
        shoal_bus__set_suspect(c, node);
        return;
    }
    if (node->link && !node->ping_sent_us &&
        shoal_bus__since(c, shoal_bus__glance(c, node)->pong_received_us) >
            c->failover.timing.ping_us) {
        shoal_bus__send_ping(c, node->link, SHOAL_FRAME_PING);
        return;
    }
    bool waited_for = node->index == c->failover.manual.replica;
    if (waited_for && shoal_bus__manual_paused(c) && node->link) {
        if (!in_trouble && shoal_bus__votes(c, node) && is_silent(c, node))
            shoal_bus__set_suspect(c, node);
        ping_again(c, node);
        return;
    }
    if (!in_trouble && is_silent(c, node)) shoal_bus__set_suspect(c, node);
}

static void watch_all(shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count >= 1);
    uint16_t not_watched = shoal_bus__not_watched(c);
    uint16_t waited_for = c->failover.manual.replica;
    SHOAL_ASSERT(waited_for == BUS_NONE || waited_for < c->node_capacity);
    if (waited_for != BUS_NONE && shoal_bus__manual_paused(c) && c->nodes[waited_for]) {
        shoal_bus__unsettle(c, c->nodes[waited_for]);
    }
    for (uint32_t start = 0; start < c->node_count; start += BUS_QUIET_GROUP) {
        uint32_t end = start + BUS_QUIET_GROUP;
        if (end > c->node_count) end = c->node_count;
        if (is_group_quiet(c, start / BUS_QUIET_GROUP)) continue;
        for (uint32_t i = start; i < end; i++) {
            if (is_quiet(c, i)) continue;
            if (!shoal_bus__is(c->live[i], not_watched)) watch(c, c->live[i]);
            c->quiet_us[i] = shoal_bus__quiet_until(c, c->live[i]);
        }
        int64_t least_us = INT64_MAX;
        for (uint32_t i = start; i < end; i++) {
            if (c->quiet_us[i] < least_us) least_us = c->quiet_us[i];
        }
        c->quiet_least_us[start / BUS_QUIET_GROUP] = least_us;
    }
}

/* Asks for the lines of those for whom something may be due, and of their links: a round waits for
 * the misses of the cache together and not for one after the other. */
static void expect_due(const shoal_cluster *c)
{
    const bus_node *due[EXPECTED];
    uint32_t count = 0;
    SHOAL_ASSERT(c->node_count >= 1);
    for (uint32_t start = 0; start < c->node_count; start += BUS_QUIET_GROUP) {
        uint32_t end = start + BUS_QUIET_GROUP;
        if (end > c->node_count) end = c->node_count;
        if (is_group_quiet(c, start / BUS_QUIET_GROUP)) continue;
        for (uint32_t i = start; i < end && count < EXPECTED; i++) {
            if (is_quiet(c, i)) continue;
            due[count++] = c->live[i];
            __builtin_prefetch(c->live[i], 1);
            __builtin_prefetch((const char *)c->live[i] + BUS_NODE_ALIGNMENT);
        }
    }
    SHOAL_ASSERT(count <= EXPECTED);
    for (uint32_t i = 0; i < count; i++) {
        if (due[i]->link) __builtin_prefetch(due[i]->link);
    }
}

void shoal_bus__cron(shoal_cluster *c)
{
    SHOAL_ASSERT(c->now.mono_us >= c->cron_us);
    SHOAL_ASSERT(c->myself);
    expect_due(c);
    shoal_bus__links_limit(c);
    reconnect(c);
    if (c->cron_count++ % BUS_CRON_SAMPLE_EVERY == 0) ping_sampled(c);
    watch_all(c);
    if (c->failover.spread_due) shoal_bus__spread(c);
    shoal_bus__migrate(c);
    shoal_bus__seeds_cron(c);
    if (!c->up) c->due |= BUS_DUE_STATE;
}
