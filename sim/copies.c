/* SPDX-License-Identifier: MIT
 *
 * Copies of data, as judges see them.
 */
#include "sim/copies.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"

/* Above so many keys nobody looks whether nodes take back what they showed: it would cost more
 * memory than the nodes themselves. Chosen. */
#define SIGHT_KEYS_MAX 65536u

void shoal_copies__make(shoal_world *world)
{
    shoal_copies *copies = &world->copies;
    copies->slots = shoal_sim__allocate(SHOAL_SLOTS * sizeof(*copies->slots));
    copies->sights = shoal_sim__allocate(world->node_count * sizeof(*copies->sights));
    copies->replaced_us = shoal_sim__allocate(world->node_count * sizeof(*copies->replaced_us));
    copies->offsets = shoal_sim__allocate(world->node_count * sizeof(*copies->offsets));
    copies->histories = shoal_sim__allocate(world->node_count * sizeof(*copies->histories));
    for (uint32_t i = 0; i < world->node_count; i++) copies->replaced_us[i] = -1;
}

void shoal_copies__free(shoal_world *world)
{
    shoal_copies *copies = &world->copies;
    for (uint32_t i = 0; copies->sights && i < world->node_count; i++) {
        shoal_sim__free(copies->sights[i]);
    }
    shoal_sim__free(copies->slots);
    shoal_sim__free(copies->passes);
    shoal_sim__free(copies->sights);
    shoal_sim__free(copies->replaced_us);
    shoal_sim__free(copies->offsets);
    shoal_sim__free(copies->histories);
    *copies = (shoal_copies){0};
}

/* ---- why writes are gone ---- */

/* Was the node elected in the epoch that the owner of the slot took without asking anybody? */
static bool is_elected_against(const shoal_world *world, uint32_t node,
                               const shoal_tenancy *tenancy)
{
    SHOAL_ASSERT(tenancy->owner != 0 && tenancy->owner != node + 1);
    return world->judge.promises[node].won == tenancy->epoch &&
           shoal_promise__is_unasked(world, tenancy->owner - 1, tenancy->epoch);
}

/* The slot passes from its owner to another one now. */
static void pass(shoal_world *world, shoal_tenancy *tenancy)
{
    shoal_copies *copies = &world->copies;
    SHOAL_ASSERT(tenancy->owner != 0);
    copies->passes = shoal_sim__grow(copies->passes, &copies->pass_capacity, copies->pass_count + 1,
                                     sizeof(*copies->passes));
    copies->passes[copies->pass_count++] =
        (shoal_pass){world->now_us, tenancy->owner, tenancy->pass};
    tenancy->pass = copies->pass_count;
}

void shoal_copies__claimed(shoal_world *world, uint32_t node, const shoal_slotmap *claims,
                           uint64_t epoch)
{
    SHOAL_ASSERT(node < world->node_count);
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        shoal_tenancy *tenancy = &world->copies.slots[slot];
        if (!shoal_slotmap_has(claims, slot) || epoch < tenancy->epoch) continue;
        bool passes = tenancy->owner != 0 && tenancy->owner != node + 1;
        /* Equal epochs collide: whoever was there keeps it until one has a higher one, but not who
         * took the epoch at an operator's word from one whom a majority has elected in it. */
        if (passes && epoch == tenancy->epoch && !is_elected_against(world, node, tenancy))
            continue;
        if (passes) pass(world, tenancy);
        tenancy->owner = node + 1;
        tenancy->epoch = epoch;
    }
}

/* Who had a slot at a moment: node + 1, 0: nobody yet. `*passed_us` is when it had last passed
 * from one to another then, -1: never. */
static uint32_t owner_at(const shoal_world *world, uint32_t slot, int64_t at_us, int64_t *passed_us)
{
    const shoal_copies *copies = &world->copies;
    SHOAL_ASSERT(slot < SHOAL_SLOTS);
    uint32_t owner = copies->slots[slot].owner, came = copies->slots[slot].pass;
    while (came != 0 && copies->passes[came - 1].at_us > at_us) {
        owner = copies->passes[came - 1].former;
        came = copies->passes[came - 1].before;
    }
    *passed_us = came == 0 ? -1 : copies->passes[came - 1].at_us;
    return owner;
}

/* Had the process that took a write died by then? Of several deaths since, only the last is known
 * by its time. */
static bool had_died(const shoal_world *world, const shoal_write *write, int64_t at_us)
{
    const shoal_vnode *vnode = &world->nodes[write->node];
    if (vnode->incarnation == write->incarnation) return false;
    return vnode->incarnation != write->incarnation + 1 || vnode->died_us <= at_us;
}

shoal_cause shoal_copies__cause(const shoal_world *world, uint64_t serial, int64_t at_us)
{
    const shoal_write *write = &world->history.writes[serial - 1];
    int64_t passed_us = -1;
    uint32_t owner = owner_at(world, shoal_operation__slot(write->key), at_us, &passed_us);
    bool passed =
        passed_us >= write->began_us || (owner != 0 && owner != (uint32_t)write->node + 1);
    if (had_died(world, write, at_us)) return passed ? SHOAL_CAUSE_FAILOVER : SHOAL_CAUSE_CRASH;
    return passed ? SHOAL_CAUSE_PARTITION : SHOAL_CAUSE_ALIVE;
}

bool shoal_copies__deposed(const shoal_world *world, uint32_t node, uint32_t slot, int64_t at_us)
{
    int64_t passed_us = -1;
    uint32_t owner = owner_at(world, slot, at_us, &passed_us);
    SHOAL_ASSERT(passed_us <= at_us);
    return owner != 0 && owner != node + 1;
}

/* ---- what a node showed ---- */

void shoal_copies__loaded(shoal_world *world, uint32_t node)
{
    const shoal_vnode *vnode = &world->nodes[node];
    shoal_copies *copies = &world->copies;
    if (vnode->node == NULL || !vnode->ready) return;
    shoal_node_copy copy;
    char *known = copies->histories[node];
    shoal_node_copy_get(vnode->node, &copy);
    /* A history that goes on from the one before has its data, if it has not been cut: a master
     * that comes back from a snapshot goes on from an earlier place. */
    bool same = strcmp(known, copy.history) == 0 || strcmp(known, copy.history_before) == 0;
    if (!same || copy.offset < copies->offsets[node]) copies->replaced_us[node] = world->now_us;
    copies->offsets[node] = copy.offset;
    memcpy(known, copy.history, sizeof(copy.history));
}

void shoal_copies__found(shoal_world *world, const shoal_reading *finding)
{
    shoal_copies *copies = &world->copies;
    const shoal_history *history = &world->history;
    if (finding->serial == 0 || history->key_count > SIGHT_KEYS_MAX) return;
    shoal_copies__loaded(world, finding->node);
    shoal_sight **all = &copies->sights[finding->node];
    if (*all == NULL) *all = shoal_sim__allocate(history->key_count * sizeof(**all));
    shoal_sight *sight = &(*all)[finding->key];
    /* Neither did its process die nor were its data replaced since that was seen. */
    bool same = sight->serial != 0 && finding->began_us > sight->ended_us &&
                world->nodes[finding->node].died_us < sight->served_us &&
                copies->replaced_us[finding->node] < sight->served_us;
    if (same) {
        const shoal_write *now = &history->writes[finding->serial - 1];
        const shoal_write *before = &history->writes[sight->serial - 1];
        shoal_judge__made(world, SHOAL_CHECK_NO_RETURN);
        if (now->ended_us < before->began_us) {
            char text[96];
            int size = snprintf(text, sizeof(text), "%s shows an older value of key:%u again",
                                world->nodes[finding->node].label, finding->key);
            shoal_judge__fault(world, SHOAL_CHECK_NO_RETURN, (shoal_slice){text, (size_t)size});
        }
    }
    *sight = (shoal_sight){finding->serial, finding->served_us, world->now_us};
}

/* ---- equal copies ---- */

static bool runs(const shoal_world *world, uint32_t node)
{
    const shoal_vnode *vnode = &world->nodes[node];
    return vnode->node != NULL && vnode->ready && !vnode->paused;
}

/* Whom a node copies from: its master by its cluster's word. Where there is no cluster, the node of
 * its history that copies from nobody. UINT32_MAX: nobody. */
static uint32_t origin_of(const shoal_world *world, uint32_t node, const shoal_node_copy *copy)
{
    const shoal_view *view = &world->judge.views[node];
    if (!copy->replica) return UINT32_MAX;
    if (view->replica && view->master != UINT32_MAX)
        return world->judge.subjects[view->master].node;
    for (uint32_t i = 0; i < world->node_count; i++) {
        shoal_node_copy other;
        if (i == node || !runs(world, i)) continue;
        shoal_node_copy_get(world->nodes[i].node, &other);
        if (!other.replica && strcmp(other.history, copy->history) == 0) return i;
    }
    return UINT32_MAX;
}

shoal_likeness shoal_copies__compare(const shoal_world *world, uint32_t node, const char **why)
{
    shoal_node_copy copy, origin;
    *why = "does not run";
    if (!runs(world, node)) return SHOAL_LIKENESS_UNKNOWN;
    *why = "is no replica of a node that runs";
    shoal_node_copy_get(world->nodes[node].node, &copy);
    uint32_t master = origin_of(world, node, &copy);
    if (master == UINT32_MAX || !runs(world, master)) return SHOAL_LIKENESS_UNKNOWN;
    shoal_node_copy_get(world->nodes[master].node, &origin);
    *why = "is not in step with its master";
    if (!copy.in_step || strcmp(copy.history, origin.history) != 0) return SHOAL_LIKENESS_UNKNOWN;
    *why = "has not got all of its master's stream";
    if (copy.offset != origin.offset) return SHOAL_LIKENESS_UNKNOWN;
    bool equal = shoal_node_data_digest(world->nodes[node].node) ==
                 shoal_node_data_digest(world->nodes[master].node);
    return equal ? SHOAL_LIKENESS_EQUAL : SHOAL_LIKENESS_DIFFERENT;
}

void shoal_copies__end(shoal_world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        const char *why = NULL;
        shoal_likeness likeness = shoal_copies__compare(world, i, &why);
        if (likeness == SHOAL_LIKENESS_UNKNOWN) continue;
        shoal_judge__made(world, SHOAL_CHECK_COPIES);
        if (likeness == SHOAL_LIKENESS_EQUAL) continue;
        char text[96];
        int size = snprintf(text, sizeof(text), "%s has other data than its master",
                            world->nodes[i].label);
        shoal_judge__fault(world, SHOAL_CHECK_COPIES, (shoal_slice){text, (size_t)size});
    }
}
