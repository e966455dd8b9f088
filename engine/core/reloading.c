/* SPDX-License-Identifier: MIT
 *
 * core/reloading.c - see core/reloading.h.
 *
 *   IDLE -> MOMENT -> SETTLING -> CLEARING -> READING -> IDLE
 *
 * Redis does all of it in one piece, in which nobody is served. Here clients whose operations have
 * not begun hear that the node is loading, as Redis says where loading takes long.
 */
#include "core/node.h"

#include "base/assert.h"

/* How soon it looks again at what says nothing when it is over. */
#define POLL_US 1000

static void finish(shoal_node *node, bool good)
{
    shoal_reloading *reloading = &node->reloading;
    shoal_errand *errand = reloading->errand;
    SHOAL_ASSERT(reloading->stage != SHOAL_RELOADING_IDLE && errand != NULL);
    shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
    *reloading = (shoal_reloading){0};
    if (good) {
        shoal_reply_ok(&reply);
    } else {
        shoal_reply_error(&reply, "ERR Error trying to load the AOF files, check server logs.");
    }
    shoal_errand_finish(errand);
}

bool shoal_node__reload(shoal_node *node, shoal_errand *errand, shoal_reply *reply)
{
    shoal_reloading *reloading = &node->reloading;
    SHOAL_ASSERT(errand != NULL && reply != NULL);
    bool busy = node->phase != SHOAL_PHASE_READY || node->saving.leaving ||
                reloading->stage != SHOAL_RELOADING_IDLE || errand->exec != NULL ||
                node->replication.receiving != SHOAL_RECEIVING_IDLE ||
                shoal_aof_trouble(node->appending.aof) != SHOAL_ERR_OK;
    if (busy) {
        shoal_reply_error(reply, "ERR Error trying to load the AOF files, check server logs.");
        return false;
    }
    *reloading = (shoal_reloading){.stage = SHOAL_RELOADING_MOMENT, .errand = errand};
    shoal_store_relaxed(&node->env.loading, true);
    return true;
}

/* Nobody is in the middle of a write, and whoever begins one now is told to come again. */
static bool take_moment(shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    SHOAL_ASSERT(node->reloading.stage == SHOAL_RELOADING_MOMENT);
    bool taken = replication->sending == SHOAL_SENDING_MOMENT ||
                 replication->pause == SHOAL_PAUSE_MOMENT ||
                 replication->receiving == SHOAL_RECEIVING_MOMENT;
    /* A base that is being written is of data that go. */
    shoal_aof_give_up(node->appending.aof);
    if (taken || shoal_node__appending_rewrites(node) || !shoal_node__moment_wish(node))
        return false;
    shoal_node__moment_end(node);
    return true;
}

static void read_again(shoal_node *node)
{
    SHOAL_ASSERT(node->reloading.stage == SHOAL_RELOADING_CLEARING);
    node->reloading.stage = SHOAL_RELOADING_READING;
    shoal_node__appending_reload(node);
}

/* The data are there, or the node cannot go on. */
static void look_at_file(shoal_node *node)
{
    SHOAL_ASSERT(node->reloading.stage == SHOAL_RELOADING_READING);
    int open = shoal_node__appending_is_open(node);
    if (open == 0) return;
    shoal_store_relaxed(&node->env.loading, false);
    if (open > 0) {
        shoal_store_stats stats;
        shoal_store_stats_get(node->store, &stats);
        node->saving.changes_saved = stats.changes;
        shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Append Only File loaded by DEBUG LOADAOF");
    } else {
        shoal_node__enter_phase(node, SHOAL_PHASE_FAILED);
    }
    finish(node, open > 0);
}

void shoal_node__reload_step(shoal_node *node)
{
    shoal_reloading *reloading = &node->reloading;
    if (reloading->stage == SHOAL_RELOADING_IDLE) return;
    SHOAL_ASSERT(shoal_load_relaxed(&node->env.loading));
    if (reloading->stage == SHOAL_RELOADING_MOMENT && take_moment(node))
        reloading->stage = SHOAL_RELOADING_SETTLING;
    if (reloading->stage == SHOAL_RELOADING_SETTLING &&
        shoal_aof_suspend(node->appending.aof, node->now))
        reloading->stage = SHOAL_RELOADING_CLEARING;
    if (reloading->stage == SHOAL_RELOADING_CLEARING &&
        shoal_node__clear_some(node, &reloading->place))
        read_again(node);
    if (reloading->stage == SHOAL_RELOADING_READING) look_at_file(node);
}

int64_t shoal_node__reload_deadline(const shoal_node *node)
{
    SHOAL_ASSERT(node->reloading.stage <= SHOAL_RELOADING_READING);
    switch (node->reloading.stage) {
    case SHOAL_RELOADING_MOMENT:
    case SHOAL_RELOADING_SETTLING: return node->now.mono_us + POLL_US;
    case SHOAL_RELOADING_CLEARING: return node->now.mono_us;
    default: return SHOAL_NEVER;
    }
}

void shoal_node__reload_abandon(shoal_node *node)
{
    if (node->reloading.stage == SHOAL_RELOADING_IDLE) return;
    SHOAL_ASSERT(node->reloading.errand != NULL);
    finish(node, false);
}
