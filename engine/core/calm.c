/* SPDX-License-Identifier: MIT
 *
 * core/calm.c - steps for which nothing is to be done but what the cluster makes of a frame. In a
 * large cluster nearly all events of a node are pings and the answers to them, and what each step
 * looks at besides (errands, replication, saving, the append-only file, the route) lies in a
 * hundred lines of the cache, none of which has changed. When a step that has looked at all that
 * finds nothing under way, it notes until when that holds: the earliest stored deadline, and what
 * must be as it is (commands of workers, the log, what the cluster tells core). Until then a frame
 * goes to the cluster, and nothing else is looked at.
 *
 * Frames as values only: those that come as bytes may carry messages for subscribers, which want
 * the store's thread.
 */
#include "core/node.h"

#include "base/assert.h"

/* Nothing is under way that goes on with steps of any kind. */
static bool is_idle(const shoal_node *node)
{
    const shoal_replication *replication = &node->replication;
    const shoal_saving *saving = &node->saving;
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READY);
    if (shoal_node__is_saving(node) || saving->failed || saving->scheduled || saving->leaving ||
        saving->asked_to_leave || saving->restrains)
        return false;
    if (node->appending.aof != NULL && (shoal_aof_state_get(node->appending.aof) != SHOAL_AOF_OFF ||
                                        shoal_aof_is_rewriting(node->appending.aof)))
        return false;
    if (replication->pause != SHOAL_PAUSE_NONE || replication->turning != SHOAL_TURNING_NONE ||
        replication->sending != SHOAL_SENDING_IDLE || replication->writer != NULL ||
        replication->receiving != SHOAL_RECEIVING_IDLE || replication->mends || replication->rises)
        return false;
    if (!shoal_node__apply_idle(node)) return false;
    return node->keeping == NULL && node->farewell.stage == SHOAL_FAREWELL_NONE &&
           node->reloading.stage == SHOAL_RELOADING_IDLE;
}

static void note(const shoal_node *node, shoal_calm *calm)
{
    SHOAL_ASSERT(node->cluster != NULL);
    calm->news = shoal_cluster_news(node->cluster);
    calm->commands = shoal_stat_sum(&node->env, SHOAL_STAT_COMMANDS);
    calm->written = shoal_log_end(node->log);
    calm->changes = shoal_store_changes(node->store);
}

void shoal_node__calm_note(shoal_node *node, int64_t others_us)
{
    shoal_calm *calm = &node->calm;
    calm->until_us = 0;
    calm->settled++;
    /* Frames come as values through an exchange only. */
    if (node->host.exchange == NULL) return;
    if (node->phase != SHOAL_PHASE_READY || node->cluster == NULL || node->tape != NULL) return;
    if (!is_idle(node)) return;
    note(node, calm);
    /* Save points wait for a second of the wall clock. */
    if (calm->changes != node->saving.changes_saved) return;
    /* Without memory for a route the next step tries again. */
    if (shoal_cluster_version(node->cluster) != node->route_version) return;
    calm->others_us = others_us;
    calm->until_us = shoal_repl_calm_until(node->replication.repl);
    int64_t looks_us = shoal_node__why_deadline(node);
    if (looks_us < calm->until_us) calm->until_us = looks_us;
    if (others_us < calm->until_us) calm->until_us = others_us;
}

bool shoal_node__calm_takes(const shoal_node *node, const shoal_event *event)
{
    const shoal_calm *calm = &node->calm;
    if (event->parcel == NULL || event->now.mono_us >= calm->until_us) return false;
    SHOAL_ASSERT(event->kind == SHOAL_EVENT_LINK_DATA);
    SHOAL_ASSERT(node->phase == SHOAL_PHASE_READY && node->cluster != NULL);
    return shoal_load_relaxed(&node->control.head) == NULL &&
           event->now.mono_us < shoal_cluster_deadline(node->cluster) &&
           calm->commands == shoal_stat_sum(&node->env, SHOAL_STAT_COMMANDS) &&
           calm->written == shoal_log_end(node->log);
}

bool shoal_node__calm_stays(const shoal_node *node)
{
    SHOAL_ASSERT(node->calm.until_us > node->now.mono_us);
    return shoal_cluster_is_calm(node->cluster) &&
           shoal_cluster_news(node->cluster) == node->calm.news;
}

int64_t shoal_node__calm_deadline(const shoal_node *node)
{
    int64_t cluster_us = shoal_cluster_deadline(node->cluster);
    SHOAL_ASSERT(node->calm.until_us > 0);
    return cluster_us < node->calm.others_us ? cluster_us : node->calm.others_us;
}

uint64_t shoal_node_settled(const shoal_node *node)
{
    return node->calm.settled;
}
