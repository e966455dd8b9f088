/* SPDX-License-Identifier: MIT
 *
 * core/restraint.c - what writers hand out to a snapshot waits in memory for the disk. Where
 * clients overwrite faster than the disk takes it, writes wait too: as in CLIENT PAUSE, nothing of
 * them has happened, no thread sleeps, and reads go on. docs/decisions/snapshot.md says why.
 */
#include "core/node.h"

#include "base/assert.h"
#include "command/pause.h"

/* Bytes that may wait: a part of the data, but so many in any case. Chosen: with what else a
 * snapshot takes it stays below a tenth of the data; and a disk has some hundred milliseconds of
 * work. A snapshot for replicas is read while it is written, and what has been read waits for their
 * connections: less is left for what waits for the disk. */
#define PART_OF_DATA 20u
#define BYTES_MIN ((uint64_t)32 << 20)
#define PART_OF_DATA_REPLICAS 32u
#define BYTES_MIN_REPLICAS ((uint64_t)4 << 20)
/* How often it is looked at: the host need not have anything to tell meanwhile. Chosen. */
#define INTERVAL_US 10000
/* A restraint that is not renewed ends by itself: so no fault of ours stops a node for good. */
#define LASTS_US 2000000

static bool is_writing(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->store != NULL);
    return shoal_node__is_saving(node) || shoal_node__appending_rewrites(node) ||
           shoal_node__replication_sends(node);
}

/* What may wait, of so much data. */
static uint64_t limit_of(const shoal_node *node, uint64_t data)
{
    bool sends = shoal_node__replication_sends(node);
    uint64_t least = sends ? BYTES_MIN_REPLICAS : BYTES_MIN;
    uint64_t part = data / (sends ? PART_OF_DATA_REPLICAS : PART_OF_DATA);
    SHOAL_DEBUG_ASSERT(node->phase != SHOAL_PHASE_NEW);
    return part > least ? part : least;
}

/* Whether too much waits; who is restrained already goes on when half of it is gone. */
static bool is_too_much(const shoal_node *node)
{
    uint64_t waits = shoal_rdb_save_waiting(&node->saving.save) + shoal_node__send_waiting(node);
    uint32_t part = node->saving.restrains ? 2 : 1;
    shoal_store_stats stats;
    if (node->appending.aof != NULL) waits += shoal_aof_rewrite_waiting(node->appending.aof);
    if (waits <= limit_of(node, 0) / part) return false;
    shoal_store_stats_get(node->store, &stats);
    uint64_t limit = limit_of(node, stats.bytes) / part;
    SHOAL_ASSERT(limit > 0);
    return waits > limit;
}

void shoal_node__restrain(shoal_node *node)
{
    shoal_saving *saving = &node->saving;
    /* A failover holds writes itself, and says how long. */
    bool free = node->replication.pause == SHOAL_PAUSE_NONE;
    bool wanted = is_writing(node) && is_too_much(node);
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    if (!wanted && !saving->restrains) return;
    if (wanted && !saving->restrains)
        shoal_node__log(node, SHOAL_LEVEL_NOTICE,
                        "Writes wait for the disk: it takes a snapshot more slowly than keys are "
                        "overwritten");
    saving->restrains = wanted;
    if (!free) return;
    int64_t until = node->now.mono_us + LASTS_US;
    /* A failover that has ended since has let all go. */
    int64_t stands = shoal_load_relaxed(&node->env.pause_failover_until_us);
    if (!wanted)
        shoal_pause_failover(&node->env, 0);
    else if (until - stands > LASTS_US / 2)
        shoal_pause_failover(&node->env, until);
}

int64_t shoal_node__restraint_deadline(const shoal_node *node)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    if (node->saving.restrains) return node->now.mono_us + INTERVAL_US;
    if (!is_writing(node)) return SHOAL_NEVER;
    shoal_store_stats stats;
    shoal_store_stats_get(node->store, &stats);
    /* What little there is can all wait. */
    return stats.bytes > limit_of(node, 0) ? node->now.mono_us + INTERVAL_US : SHOAL_NEVER;
}
