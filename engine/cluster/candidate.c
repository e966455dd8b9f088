/* SPDX-License-Identifier: MIT
 *
 * A replica whose master failed, on its way to take over.
 *
 *   planned (start_us) --its time came--> asked (epoch) --a majority--> master
 *      ^                                     |
 *      +------------- no majority in time ---+
 *
 * The epoch of the votes is durable before anybody is asked, so that no epoch is asked for twice,
 * by nobody, whatever crashes. A vote counts once for each voter, and only in the epoch asked for.
 */
#include "cluster/internal.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "base/text.h"

void shoal_bus__wake(shoal_cluster *c, int64_t moment_us)
{
    SHOAL_ASSERT(moment_us > 0);
    /* Never in the past: a step that found nothing to do must not be called again at once. */
    if (moment_us <= c->now.mono_us) moment_us = c->now.mono_us + 1;
    if (moment_us < c->failover.wake_us) c->failover.wake_us = moment_us;
}

/* ---- whether, and why not ---- */

/* A manual failover is under way and the data are there. */
static bool manual(const shoal_cluster *c)
{
    const bus_manual *m = &c->failover.manual;
    SHOAL_ASSERT(!m->can_start || m->end_us > 0);
    return m->can_start;
}

/* There is somebody to replace. */
static bool is_called(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->myself);
    const bus_node *master = shoal_bus__my_master(c);
    if (!master || master->slot_count == 0) return false;
    return shoal_bus__is(master, SHOAL_NODE_FAIL) || manual(c);
}

static bool data_too_old(const shoal_cluster *c)
{
    const bus_failover *f = &c->failover;
    int64_t factor = c->settings.replica_validity_factor;
    SHOAL_ASSERT(factor >= 0);
    if (factor == 0 || !f->told) return false;
    if (f->facts.heard_us == 0) return true;
    int64_t age_us = shoal_bus__since(c, f->facts.heard_us);
    int64_t timeout_us = shoal_bus__timeout_us(c);
    if (age_us > timeout_us) age_us -= timeout_us;
    /* The product may be beyond 64 bits: what is older than that is not old enough. */
    int64_t limit_us;
    if (__builtin_mul_overflow(timeout_us, factor, &limit_us)) return false;
    return age_us > limit_us && age_us - limit_us > c->settings.repl_ping_period_ms * 1000;
}

/* Why this replica must not ask for votes, or 0. */
static uint32_t hindrance(const shoal_cluster *c)
{
    SHOAL_ASSERT(is_called(c));
    if (c->failover.facts.loading) return BUS_WHY_CANDIDATE_LOADING;
    if (manual(c)) return 0;
    if (c->settings.replica_no_failover) return BUS_WHY_CANDIDATE_FORBIDDEN;
    if (shoal_bus__is_foreign(c)) return BUS_WHY_CANDIDATE_FOREIGN;
    return data_too_old(c) ? BUS_WHY_CANDIDATE_OLD_DATA : 0;
}

/* Says what is in the way: at once when it is new, else now and then. */
static void tell(shoal_cluster *c, uint32_t why)
{
    SHOAL_ASSERT(why != 0);
    bus_candidacy *k = &c->failover.candidacy;
    if (k->why == why && shoal_bus__since(c, k->why_us) < BUS_WHY_AGAIN_US) return;
    k->why = why;
    k->why_us = shoal_bus__stamp(c);
    const bus_node *master = shoal_bus__my_master(c);
    shoal_bus__why_not(c, why, "for %s: rank %u, attempt %u, epoch %llu, %u of %u votes",
                       master ? master->name : "-", k->rank, k->attempts,
                       (unsigned long long)k->epoch, k->votes, shoal_bus__quorum(c));
    shoal_bus__log(c, BUS_NOTICE, "Currently unable to failover: %s", shoal_bus__why_words(why));
}

/* ---- ranks ---- */

/* Another replica of the same master that can take over. */
static bool is_rival(const shoal_cluster *c, const bus_node *node)
{
    SHOAL_ASSERT(node);
    const bus_node *me = c->myself;
    SHOAL_ASSERT(me->replica_of != BUS_NONE);
    if (node == me || node->replica_of != me->replica_of) return false;
    return !shoal_bus__is(node, SHOAL_NODE_NOFAILOVER);
}

/* The rival goes first: it has more data. Names break ties where both know that rule. */
static bool goes_first(const shoal_cluster *c, const bus_node *rival)
{
    SHOAL_ASSERT(rival != c->myself);
    uint64_t own = shoal_bus__own_offset(c);
    if (rival->offset != own) return rival->offset > own;
    return c->failover.timing.eager &&
           memcmp(rival->name, c->myself->name, SHOAL_NODE_NAME_LEN) < 0;
}

static uint32_t rank_now(const shoal_cluster *c)
{
    SHOAL_ASSERT(c->node_count > 0);
    bool eager = c->failover.timing.eager;
    uint32_t rank = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (!is_rival(c, node)) continue;
        if (eager && shoal_bus__is(node, SHOAL_NODE_FAIL)) continue;
        rank += goes_first(c, node);
    }
    SHOAL_ASSERT(rank < c->node_count);
    return rank;
}

/* Every rival that lives has said how much data it has since the master failed. */
static bool ranks_are_known(const shoal_cluster *c)
{
    const bus_node *master = shoal_bus__my_master(c);
    SHOAL_ASSERT(master);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (!is_rival(c, node) || shoal_bus__is(node, SHOAL_NODE_FAIL)) continue;
        if (node->data_received_us < master->fail_us) return false;
    }
    return true;
}

/* ---- planning ---- */

static void trace_step(shoal_cluster *c, uint32_t step)
{
    const bus_candidacy *k = &c->failover.candidacy;
    SHOAL_ASSERT(step <= BUS_ELECTION_LOST);
    const bus_node *master = shoal_bus__my_master(c);
    shoal_bus__note(c, SHOAL_TRACE_ELECTION,
                    (uint64_t[3]){step, k->epoch,
                                  step == BUS_ELECTION_PLANNED ? k->rank : k->votes},
                    master ? shoal_text(master->name) : (shoal_slice){0});
}

/* Siblings learn this node's offset, and that it knows of the failure. */
static void greet_siblings(shoal_cluster *c)
{
    SHOAL_ASSERT(shoal_bus__my_master(c));
    for (uint32_t i = 0; i < c->node_count; i++) {
        const bus_node *node = c->live[i];
        if (node == c->myself || !node->link) continue;
        if (node->replica_of != c->myself->replica_of) continue;
        shoal_bus__send_ping(c, node->link, SHOAL_FRAME_PONG);
    }
}

static int64_t draw_delay(shoal_cluster *c)
{
    const bus_timing *t = &c->failover.timing;
    const bus_candidacy *k = &c->failover.candidacy;
    SHOAL_ASSERT(t->jitter_us > 0);
    int64_t jitter_us = (int64_t)shoal_prng_below(&c->random_election, (uint64_t)t->jitter_us);
    /* Eager candidates differ in rank; chance is for those whose votes were split before. */
    if (t->eager && k->attempts == 0) jitter_us = 0;
    return t->delay_us + jitter_us + (int64_t)k->rank * t->rank_us;
}

static void plan(shoal_cluster *c)
{
    bus_candidacy *k = &c->failover.candidacy;
    bool by_hand = manual(c);
    SHOAL_ASSERT(is_called(c));
    k->epoch = 0;
    k->votes = 0;
    k->rank = by_hand ? 0 : rank_now(c);
    int64_t delay_us = by_hand ? 0 : draw_delay(c);
    k->start_us = shoal_bus__stamp(c) + delay_us;
    shoal_bus__log(c, BUS_NOTICE,
                   "Start of election delayed for %lld milliseconds (rank #%u, offset %llu).",
                   (long long)(delay_us / 1000), k->rank,
                   (unsigned long long)shoal_bus__own_offset(c));
    trace_step(c, BUS_ELECTION_PLANNED);
    greet_siblings(c);
}

/* While it waits, what siblings say of their data can change this node's turn. */
static void replan(shoal_cluster *c)
{
    bus_candidacy *k = &c->failover.candidacy;
    const bus_timing *t = &c->failover.timing;
    SHOAL_ASSERT(k->epoch == 0);
    SHOAL_ASSERT(k->start_us > 0);
    if (manual(c)) {
        if (k->start_us > shoal_bus__stamp(c)) k->start_us = shoal_bus__stamp(c);
        return;
    }
    uint32_t rank = rank_now(c);
    if (rank > k->rank || (rank < k->rank && t->eager)) {
        int64_t added_us = ((int64_t)rank - (int64_t)k->rank) * t->rank_us;
        k->start_us += added_us;
        k->rank = rank;
        shoal_bus__log(c, BUS_NOTICE,
                       "Replica rank updated to #%u, added %lld milliseconds of delay.", rank,
                       (long long)(added_us / 1000));
    }
    if (t->eager && rank == 0 && k->attempts == 0 && ranks_are_known(c)) {
        k->start_us = shoal_bus__stamp(c);
    }
}

/* ---- asking ---- */

static void ask(shoal_cluster *c)
{
    bus_candidacy *k = &c->failover.candidacy;
    SHOAL_ASSERT(k->epoch == 0);
    SHOAL_ASSERT(is_called(c));
    bus_node *master = shoal_bus__my_master(c);
    if (!shoal_bus__epoch_next(c)) return;
    k->epoch = c->current_epoch;
    k->attempts++;
    shoal_bus__log(c, BUS_NOTICE, "Starting a failover election for epoch %llu.",
                   (unsigned long long)k->epoch);
    /* Voters refuse while they do not know of the failure: this frame comes before the request. */
    bool failed = shoal_bus__is(master, SHOAL_NODE_FAIL);
    if (c->failover.timing.eager && failed) shoal_bus__send_fail(c, master);
    if (shoal_bus__votes(c, c->myself)) {
        c->last_vote_epoch = k->epoch;
        shoal_bus__note(c, SHOAL_TRACE_VOTE, (uint64_t[3]){k->epoch}, shoal_text(c->myself->name));
        c->myself->acked_epoch = k->epoch;
        k->votes = 1;
    }
    shoal_bus__hold_request(c);
    k->generation = c->save.generation;
    c->due |= BUS_DUE_SAVE;
    trace_step(c, BUS_ELECTION_ASKED);
}

/* Votes that win. */
static uint32_t needed(const shoal_cluster *c)
{
    SHOAL_ASSERT(shoal_bus__quorum(c) > 0);
    return SHOAL_MUTANT(WIN_EARLY) ? 1 : shoal_bus__quorum(c);
}

static void win(shoal_cluster *c)
{
    bus_candidacy *k = &c->failover.candidacy;
    SHOAL_ASSERT(k->epoch > 0 && k->epoch <= c->current_epoch);
    SHOAL_ASSERT(k->votes >= needed(c));
    SHOAL_ASSERT(k->generation <= c->save.durable);
    shoal_bus__log(c, BUS_NOTICE, "Failover election won: I'm the new master.");
    trace_step(c, BUS_ELECTION_WON);
    c->elected = true;
    if (c->myself->config_epoch < k->epoch && !SHOAL_MUTANT(WIN_OLD_EPOCH)) {
        c->myself->config_epoch = k->epoch;
        shoal_bus__log(c, BUS_NOTICE, "configEpoch set to %llu after successful failover",
                       (unsigned long long)k->epoch);
    }
    shoal_bus__take_over(c);
}

void shoal_bus__vote_received(shoal_cluster *c, bus_node *sender, const shoal_frame *frame)
{
    SHOAL_ASSERT(frame->type == SHOAL_FRAME_AUTH_ACK);
    SHOAL_ASSERT(sender != c->myself);
    bus_candidacy *k = &c->failover.candidacy;
    bool counts = k->epoch > 0 && shoal_bus__votes(c, sender) && frame->current_epoch >= k->epoch;
    if (!counts || sender->acked_epoch == k->epoch) {
        shoal_bus__why_not(c, BUS_WHY_VOTE_NOT_COUNTED, "%s in epoch %llu; asked for %llu",
                           sender->name, (unsigned long long)frame->current_epoch,
                           (unsigned long long)k->epoch);
        return;
    }
    sender->acked_epoch = k->epoch;
    k->votes++;
    SHOAL_ASSERT(k->votes <= c->node_count);
}

/* ---- the step ---- */

/* The election was not won in time. */
static void give_up(shoal_cluster *c)
{
    bus_candidacy *k = &c->failover.candidacy;
    SHOAL_ASSERT(k->start_us > 0);
    if (k->why != BUS_WHY_CANDIDATE_EXPIRED && k->epoch > 0) trace_step(c, BUS_ELECTION_LOST);
    tell(c, BUS_WHY_CANDIDATE_EXPIRED);
}

void shoal_bus__candidate_step(shoal_cluster *c)
{
    bus_candidacy *k = &c->failover.candidacy;
    const bus_timing *t = &c->failover.timing;
    SHOAL_ASSERT(t->retry_us > t->election_us);
    if (!is_called(c)) {
        /* Redis lets the time of a former election count; eager candidates forget it. */
        if (t->eager) *k = (bus_candidacy){.epoch = k->epoch, .generation = k->generation};
        return;
    }
    uint32_t why = hindrance(c);
    if (why) {
        tell(c, why);
        return;
    }
    if (k->start_us == 0 || shoal_bus__since(c, k->start_us) > t->retry_us) plan(c);
    if (k->epoch == 0) replan(c);
    int64_t age_us = shoal_bus__since(c, k->start_us);
    if (age_us < 0) {
        shoal_bus__wake(c, k->start_us);
        tell(c, BUS_WHY_CANDIDATE_WAITS);
        return;
    }
    if (age_us > t->election_us) {
        shoal_bus__wake(c, k->start_us + t->retry_us + 1);
        give_up(c);
        return;
    }
    if (k->epoch == 0) ask(c);
    if (k->votes >= needed(c) && k->generation <= c->save.durable) {
        win(c);
        return;
    }
    shoal_bus__wake(c, k->start_us + t->election_us + 1);
    tell(c, BUS_WHY_CANDIDATE_VOTES);
}
