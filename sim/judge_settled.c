/* SPDX-License-Identifier: MIT
 *
 * Checks on whole opinions, between occurrences.
 */
#include "sim/judge.h"

#include <string.h>

#include "base/assert.h"
#include "sim/internal.h"

static bool overlap(const shoal_slotmap *a, const shoal_slotmap *b)
{
    for (size_t i = 0; i < sizeof(a->bits); i++) {
        if (a->bits[i] & b->bits[i]) return true;
    }
    return false;
}

/* Is it no fault of the run that two nodes claim a slot in this epoch? A schedule that states how
 * often that happens wants to hear of all. */
static bool is_excused(const shoal_world *world, uint32_t a, uint32_t b, uint64_t epoch)
{
    if (!shoal_promise__may_share(world, a, b, epoch)) return false;
    return !shoal_expect__states(world, SHOAL_CHECK_ONE_CLAIM);
}

static void check_claims(shoal_world *world, uint32_t node)
{
    const shoal_view *view = &world->judge.views[node];
    if (view->own_count == 0) return;
    for (uint32_t i = 0; i < world->node_count; i++) {
        const shoal_claim *claim = &world->judge.claims[i];
        if (i == node || claim->slots == 0) continue;
        shoal_judge__made(world, SHOAL_CHECK_ONE_CLAIM);
        if (claim->epoch != view->epoch_config) continue;
        const shoal_view *other = &world->judge.views[i];
        SHOAL_ASSERT(other->epoch_config == claim->epoch && other->own_count == claim->slots);
        if (!overlap(&view->own, &other->own)) continue;
        if (is_excused(world, node, i, claim->epoch)) continue;
        shoal_judge__fault_of(world, SHOAL_CHECK_ONE_CLAIM, node,
                              "claims a slot that another claims with the same configEpoch");
    }
}

void shoal_judge__settle(shoal_world *world)
{
    shoal_judge *judge = &world->judge;
    if (world->now_us >= judge->beat_us) shoal_judge__beat(world);
    if (judge->settled == judge->version) return;
    judge->settled = judge->version;
    judge->made[SHOAL_CHECK_SLOTS_TOTAL] += world->node_count;
    uint32_t from = judge->any_beyond ? 0 : judge->changed_from;
    uint32_t end = judge->any_beyond ? world->node_count : judge->changed_end;
    judge->changed_from = judge->changed_end = 0;
    for (uint32_t i = from; i < end; i++) {
        shoal_view *view = &judge->views[i];
        if (view->slots_seen > SHOAL_SLOTS) {
            shoal_judge__fault_of(world, SHOAL_CHECK_SLOTS_TOTAL, i,
                                  "maps more slots to owners than there are");
        }
        if (!view->changed) continue;
        view->changed = false;
        check_claims(world, i);
    }
}
