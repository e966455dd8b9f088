/* SPDX-License-Identifier: MIT
 *
 * core/farewell.c - see core/farewell.h.
 *
 *   NONE -> HANDOVER -> REPLICAS -> leaves
 *   NONE -> REPLICAS             -> leaves
 *   any  -> NONE                    SHUTDOWN ABORT
 */
#include "core/node.h"

#include "base/assert.h"
#include "command/handlers.h"

#define US_PER_S INT64_C(1000000)

/* Answers the errands that wait: they close with the server, or are told that it stays. */
static void answer_all(shoal_node *node, bool leaves)
{
    shoal_op *op = node->farewell.errands;
    node->farewell.errands = NULL;
    while (op != NULL) {
        shoal_errand *errand = (shoal_errand *)op;
        shoal_reply reply = {.out = &errand->reply, .protocol = errand->protocol};
        op = op->next;
        SHOAL_ASSERT(!errand->close_after);
        errand->close_after = leaves;
        if (!leaves) shoal_reply_error(&reply, "ERR Errors trying to SHUTDOWN. Check logs.");
        shoal_errand_finish(errand);
    }
}

/* Nothing is waited for any more. */
static void depart(shoal_node *node)
{
    shoal_farewell *farewell = &node->farewell;
    bool save = farewell->save && node->phase == SHOAL_PHASE_READY;
    shoal_op *op = farewell->errands;
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READY || node->phase == SHOAL_PHASE_SAVING);
    farewell->stage = SHOAL_FAREWELL_NONE;
    (void)shoal_repl_lagging(node->replication.repl, false, true);
    if (!save) {
        answer_all(node, true);
        shoal_node__enter_phase(node, SHOAL_PHASE_LEAVING);
        return;
    }
    farewell->errands = NULL;
    if (op == NULL) shoal_node__save_and_leave(node, NULL);
    while (op != NULL) {
        shoal_op *next = op->next;
        shoal_node__save_and_leave(node, (shoal_errand *)op);
        op = next;
    }
}

/* Whether replicas are waited for; a replica's own replicas too. */
static void wait_for_replicas(shoal_node *node)
{
    shoal_farewell *farewell = &node->farewell;
    int64_t timeout_s = shoal_config__number(&node->config, SHOAL_DIRECTIVE_SHUTDOWN_TIMEOUT);
    SHOAL_ASSERT(timeout_s >= 0);
    if (timeout_s == 0 || shoal_repl_lagging(node->replication.repl, true, false) == 0) {
        depart(node);
        return;
    }
    shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Waiting for replicas before shutting down.");
    farewell->stage = SHOAL_FAREWELL_REPLICAS;
    farewell->asked = false;
    farewell->until_us = node->now.mono_us + timeout_s * US_PER_S;
}

bool shoal_node__farewell(shoal_node *node, shoal_errand *errand, bool save, bool at_once)
{
    shoal_farewell *farewell = &node->farewell;
    bool fresh = farewell->stage == SHOAL_FAREWELL_NONE;
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READY || node->phase == SHOAL_PHASE_SAVING);
    farewell->save = save;
    if (errand != NULL) {
        errand->gate.op.next = farewell->errands;
        farewell->errands = &errand->gate.op;
    }
    if (at_once || node->phase != SHOAL_PHASE_READY) {
        depart(node);
    } else if (fresh && node->cluster != NULL &&
               shoal_tape_handover_begin(node->tape, node->cluster, node->now)) {
        shoal_node__log(node, SHOAL_LEVEL_NOTICE, "Handing over to a replica before the end.");
        farewell->stage = SHOAL_FAREWELL_HANDOVER;
    } else if (fresh) {
        wait_for_replicas(node);
    }
    /* A signal comes between steps: what follows from it does not wait for the next timer. */
    node->host.nudge(node->host.context, SHOAL_ACTOR_CONTROL);
    return true;
}

bool shoal_node__farewell_abort(shoal_node *node)
{
    if (node->farewell.stage == SHOAL_FAREWELL_NONE) return false;
    node->farewell.stage = SHOAL_FAREWELL_NONE;
    (void)shoal_repl_lagging(node->replication.repl, false, false);
    answer_all(node, false);
    SHOAL_ASSERT(node->farewell.errands == NULL);
    return true;
}

void shoal_node__farewell_step(shoal_node *node)
{
    shoal_farewell *farewell = &node->farewell;
    SHOAL_DEBUG_ASSERT(farewell->stage <= SHOAL_FAREWELL_REPLICAS);
    if (farewell->stage == SHOAL_FAREWELL_NONE || node->phase != SHOAL_PHASE_READY) return;
    if (farewell->stage == SHOAL_FAREWELL_HANDOVER) {
        if (shoal_cluster_handover_state(node->cluster) != SHOAL_HANDOVER_RUNNING)
            wait_for_replicas(node);
        return;
    }
    /* Behind the last write they are asked how far they are. */
    bool paused = node->replication.pause == SHOAL_PAUSE_WHOLE;
    if (paused && !farewell->asked) {
        farewell->asked = true;
        shoal_repl_ask(node->replication.repl);
    }
    bool ready = paused && shoal_repl_lagging(node->replication.repl, true, false) == 0;
    if (ready || node->now.mono_us >= farewell->until_us) depart(node);
}

int64_t shoal_node__farewell_deadline(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->farewell.until_us >= 0);
    return node->farewell.stage == SHOAL_FAREWELL_REPLICAS ? node->farewell.until_us : SHOAL_NEVER;
}

int64_t shoal_node__farewell_ms(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->now.mono_us >= 0);
    if (node->farewell.stage != SHOAL_FAREWELL_REPLICAS) return -1;
    int64_t left_us = node->farewell.until_us - node->now.mono_us;
    return left_us > 0 ? left_us / 1000 : 0;
}

int64_t shoal_node__farewell_pause(const shoal_node *node)
{
    SHOAL_DEBUG_ASSERT(node->now.mono_us >= 0);
    bool waits = node->farewell.stage == SHOAL_FAREWELL_REPLICAS || node->saving.leaving;
    /* Behind a handover the new master takes the writes: clients are sent there. */
    return waits ? SHOAL_NEVER - 1 : 0;
}

void shoal_node__farewell_abandon(shoal_node *node)
{
    SHOAL_ASSERT(node->phase != SHOAL_PHASE_NEW);
    node->farewell.stage = SHOAL_FAREWELL_NONE;
    answer_all(node, true);
}
