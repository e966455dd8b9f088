/* SPDX-License-Identifier: MIT
 *
 * What nodes promise each other: votes, and who has won an epoch.
 */
#include "sim/judge.h"

#include "base/assert.h"
#include "sim/internal.h"

void shoal_promise__vote(shoal_world *world, uint32_t node, uint64_t epoch)
{
    shoal_promise *promise = &world->judge.promises[node];
    shoal_judge__made(world, SHOAL_CHECK_ONE_VOTE);
    bool twice = epoch <= promise->durable;
    for (uint32_t i = 0; i < promise->waiting; i++) twice = twice || promise->voted[i] == epoch;
    if (epoch > promise->cast) promise->cast = epoch;
    if (twice) shoal_judge__fault_of(world, SHOAL_CHECK_ONE_VOTE, node, "voted twice in an epoch");
    if (promise->waiting < SHOAL_VOTES_MAX) promise->voted[promise->waiting++] = epoch;
}

void shoal_promise__sent(shoal_world *world, uint32_t node, uint64_t type)
{
    shoal_promise *promise = &world->judge.promises[node];
    if (type != SHOAL_FRAME_AUTH_ACK) return;
    shoal_judge__made(world, SHOAL_CHECK_ONE_VOTE);
    if (promise->may_leave == 0) {
        shoal_judge__fault_of(world, SHOAL_CHECK_ONE_VOTE, node, "sent a vote that is not durable");
        return;
    }
    promise->may_leave--;
}

void shoal_promise__election(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    enum { WON = 2 };
    shoal_judge *judge = &world->judge;
    if (record->a != WON) return;
    judge->failovers++;
    judge->version++;
    for (uint32_t i = 0; i < world->node_count; i++) {
        shoal_judge__made(world, SHOAL_CHECK_ONE_WINNER);
        if (judge->promises[i].won != record->b) continue;
        shoal_judge__fault_of(world, SHOAL_CHECK_ONE_WINNER, node,
                              "won in an epoch that was won before");
    }
    judge->promises[node].won = record->b;
}

void shoal_promise__saved(shoal_world *world, uint32_t node, const shoal_trace_record *record)
{
    shoal_promise *promise = &world->judge.promises[node];
    if (record->a != SHOAL_FILE_NODES || record->c <= promise->durable) return;
    /* A vote that it has not cast is of who it was before a reset: the file was on its way. */
    if (record->c > promise->cast) return;
    uint32_t kept = 0;
    promise->durable = record->c;
    for (uint32_t i = 0; i < promise->waiting; i++) {
        if (promise->voted[i] > promise->durable)
            promise->voted[kept++] = promise->voted[i];
        else
            promise->may_leave++;
    }
    promise->waiting = kept;
}

/* What was not durable was not promised. */
void shoal_promise__break(shoal_world *world, uint32_t node)
{
    world->judge.promises[node].waiting = 0;
    world->judge.promises[node].may_leave = 0;
}
