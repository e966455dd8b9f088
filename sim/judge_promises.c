/* SPDX-License-Identifier: MIT
 *
 * What nodes promise each other: votes, and who has won an epoch.
 */
#include "sim/judge.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
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

/* Somebody who took over at an operator's word has voted in this epoch. Those who do not know of it
 * count the master that it replaced among the voters, and have another majority. */
static bool had_usurper(const shoal_world *world, uint64_t epoch)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        const shoal_promise *promise = &world->judge.promises[i];
        if (promise->usurped && promise->cast == epoch) return true;
    }
    return false;
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
        if (judge->promises[i].won != record->b || had_usurper(world, record->b)) continue;
        shoal_judge__fault_of(world, SHOAL_CHECK_ONE_WINNER, node,
                              "won in an epoch that was won before");
    }
    judge->promises[node].won = record->b;
}

/* A node has met another with its epoch, and goes on to the next that it knows of. It asks nobody,
 * as when an operator tells it to; that counts where the first epoch might be shared. */
static void part(shoal_world *world, uint32_t node, shoal_slice words)
{
    static const char met[] = "configEpoch collision with node ";
    static const char next[] = ": configEpoch set to ";
    const size_t name_at = sizeof(met) - 1, skip = name_at + SHOAL_NODE_NAME_LEN + sizeof(next) - 1;
    const shoal_judge *judge = &world->judge;
    uint64_t epoch = 0;
    if (words.size <= skip || memcmp(words.data, met, name_at) != 0) return;
    bool whole = shoal_text_to_u64((shoal_slice){words.data + skip, words.size - skip}, &epoch);
    SHOAL_ASSERT(whole);
    /* What it says of its epoch comes behind these words. */
    uint64_t from = judge->views[node].epoch_config;
    for (uint32_t i = 0; i < judge->subject_count; i++) {
        const shoal_subject *other = &judge->subjects[i];
        if (memcmp(other->name, words.data + name_at, SHOAL_NODE_NAME_LEN) != 0) continue;
        if (other->node != node && shoal_promise__may_share(world, node, other->node, from))
            world->judge.promises[node].parted = epoch;
    }
}

void shoal_promise__says(shoal_world *world, uint32_t node, shoal_slice words)
{
    static const char epoch[] = "New configEpoch set to ";
    static const char takeover[] = "Taking over the master (user request).";
    shoal_promise *promise = &world->judge.promises[node];
    const size_t skip = sizeof(epoch) - 1;
    SHOAL_ASSERT(node < world->node_count);
    if (words.size > skip && memcmp(words.data, epoch, skip) == 0) {
        bool whole = shoal_text_to_u64((shoal_slice){words.data + skip, words.size - skip},
                                       &promise->unasked);
        SHOAL_ASSERT(whole);
    }
    if (words.size == sizeof(takeover) - 1 && memcmp(words.data, takeover, words.size) == 0)
        promise->usurped = true;
    part(world, node, words);
}

bool shoal_promise__is_unasked(const shoal_world *world, uint32_t node, uint64_t epoch)
{
    const shoal_promise *promise = &world->judge.promises[node];
    SHOAL_ASSERT(node < world->node_count);
    return epoch != 0 && promise->unasked == epoch && promise->won != epoch;
}

/* Has the node an epoch by the votes of others? */
static bool has_won(const shoal_world *world, uint32_t node, uint64_t epoch)
{
    return epoch != 0 && world->judge.promises[node].won == epoch;
}

/* Has the node an epoch that it asked nobody for, at an operator's word or because it left one that
 * somebody had at an operator's word? */
static bool is_alone(const shoal_world *world, uint32_t node, uint64_t epoch)
{
    const shoal_promise *promise = &world->judge.promises[node];
    if (shoal_promise__is_unasked(world, node, epoch)) return true;
    return epoch != 0 && promise->parted == epoch && promise->won != epoch;
}

bool shoal_promise__may_share(const shoal_world *world, uint32_t a, uint32_t b, uint64_t epoch)
{
    SHOAL_ASSERT(a != b);
    bool a_alone = is_alone(world, a, epoch);
    bool b_alone = is_alone(world, b, epoch);
    return (a_alone && (b_alone || has_won(world, b, epoch))) ||
           (b_alone && has_won(world, a, epoch));
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
