/* SPDX-License-Identifier: MIT
 *
 * The rules of timing, worked out from the node timeout. The profile redis-7 waits as Redis 7.0
 * does. The profile shoal acts on news when they come: what it gains and why it does not fail over
 * sooner than it may stands in docs/decisions/timing-profiles.md. Also who votes, because that
 * rule is chosen the same way.
 */
#include "cluster/internal.h"

#include "base/assert.h"

/* Redis counts its 100 ms from the end of a round and sleeps in whole milliseconds, so that its
 * rounds are longer by half a millisecond (measured: fifty of redis-server 7.0.15 take 5.008 s to
 * 5.031 s). It decides when silence is noticed: ten are more than a node timeout of a second. */
#define REDIS_ROUND_US 100500
#define ELECTION_US_MIN 2000000
#define DELAY_US 500000
#define RANK_US 1000000

/* Chosen: a process that starts again within this time keeps its slots. */
#define REFUSED_US_MIN 100000
#define REFUSED_US_MAX 1000000
/* Chosen: a few round trips, so that siblings hear each other's offsets. */
#define UNIT_US_MIN 50000
#define UNIT_US_MAX 500000
#define EAGER_ELECTION_US_MIN 500000
#define EAGER_ELECTION_US_MAX 5000000

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    SHOAL_ASSERT(low < high);
    if (value < low) return low;
    return value > high ? high : value;
}

static bus_timing redis_timing(int64_t timeout_us)
{
    SHOAL_ASSERT(timeout_us >= 0);
    bus_timing timing = {.round_us = REDIS_ROUND_US,
                         .ping_us = timeout_us / 2,
                         .delay_us = DELAY_US,
                         .jitter_us = DELAY_US,
                         .rank_us = RANK_US,
                         .vote_us = BUS_VOTE_TIMEOUTS * timeout_us};
    timing.election_us = 2 * timeout_us > ELECTION_US_MIN ? 2 * timeout_us : ELECTION_US_MIN;
    timing.retry_us = 2 * timing.election_us;
    return timing;
}

static bus_timing shoal_timing(int64_t timeout_us)
{
    SHOAL_ASSERT(timeout_us >= 0);
    int64_t unit_us = clamp(timeout_us / 30, UNIT_US_MIN, UNIT_US_MAX);
    bus_timing timing = {.round_us = BUS_CRON_US,
                         .eager = true,
                         .ping_us = timeout_us / 4,
                         .refused_us = clamp(timeout_us / 10, REFUSED_US_MIN, REFUSED_US_MAX),
                         .delay_us = unit_us,
                         .jitter_us = unit_us,
                         .rank_us = unit_us};
    timing.election_us = clamp(timeout_us / 2, EAGER_ELECTION_US_MIN, EAGER_ELECTION_US_MAX);
    timing.retry_us = timing.election_us + unit_us;
    timing.vote_us = timing.election_us;
    return timing;
}

void shoal_bus__timing_update(shoal_cluster *c)
{
    SHOAL_ASSERT(c->settings.node_timeout_ms >= 0);
    SHOAL_ASSERT(c->settings.profile <= SHOAL_PROFILE_SHOAL);
    int64_t timeout_us = shoal_bus__timeout_us(c);
    bool eager = c->settings.profile == SHOAL_PROFILE_SHOAL;
    c->failover.timing = eager ? shoal_timing(timeout_us) : redis_timing(timeout_us);
    for (uint32_t i = 0; i < c->node_count; i++) shoal_bus__unsettle(c, c->live[i]);
    SHOAL_ASSERT(c->failover.timing.retry_us > c->failover.timing.election_us);
}

uint32_t shoal_bus__voter_count(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->voters <= c->node_count);
    /* Slots of a master that became a replica belong to nobody until their new owner is heard of.
     * It votes all the same: without it two halves of the masters would each be a majority, and two
     * candidates win in one epoch. Redis 7.0 counts what its map has. */
    bool torn = c->slots_assigned < SHOAL_SLOTS && c->voters_whole > c->voters;
    if (!c->settings.voters_all) return torn ? c->voters_whole : c->voters;
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->node_count; i++) count += shoal_bus__votes(c, c->live[i]);
    SHOAL_ASSERT(count <= c->node_count);
    return count;
}

void shoal_bus__spread(shoal_cluster *c)
{
    SHOAL_ASSERT(c->failover.spread_due);
    SHOAL_ASSERT(c->node_count > 0);
    c->failover.spread_due = false;
    if (!shoal_bus__votes(c, c->myself)) return;
    uint32_t told = 0, start = c->failover.spread_next;
    for (uint32_t i = 0; i < c->node_count && told < BUS_SPREAD_MAX; i++) {
        bus_node *node = c->live[(start + i) % c->node_count];
        bool in_trouble = shoal_bus__is(node, SHOAL_NODE_PFAIL | SHOAL_NODE_FAIL);
        if (node == c->myself || !node->link || in_trouble) continue;
        if (!shoal_bus__votes(c, node)) continue;
        shoal_bus__send_ping(c, node->link, SHOAL_FRAME_PONG);
        told++;
    }
    c->failover.spread_next = start + told;
}
