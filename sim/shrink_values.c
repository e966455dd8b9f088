/* SPDX-License-Identifier: MIT
 *
 * Shrinking what is left of a schedule: times that come together and get round, plainer values,
 * smaller sides.
 */
#include <string.h>

#include "base/assert.h"
#include "sim/memory.h"
#include "sim/shrink.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

/* ---- times ---- */

/* Moves what is at `from_us` or later by so much. */
static void shift(shoal_draft *draft, int64_t from_us, int64_t by_us)
{
    for (uint32_t i = 0; i < draft->count; i++) {
        shoal_line *line = &draft->lines[i];
        if (line->at_us >= from_us) line->at_us += by_us;
        if (line->expect.has_since && line->expect.since_us >= from_us)
            line->expect.since_us += by_us;
    }
}

/* The latest time before `at_us` that a line has, or 0. */
static int64_t time_before(const shoal_draft *draft, int64_t at_us)
{
    int64_t latest_us = 0;
    for (uint32_t i = 0; i < draft->count; i++) {
        int64_t other_us = draft->lines[i].at_us;
        if (other_us < at_us && other_us > latest_us) latest_us = other_us;
    }
    return latest_us;
}

/* Must what comes before this time keep its length? A state is given so long to come about until it
 * is judged; and a cluster so long to be made until something happens to it. */
static bool needs_time(const shoal_shrinking *shrinking, int64_t at_us)
{
    const shoal_draft *best = &shrinking->best;
    int64_t first_us = INT64_MAX;
    for (uint32_t i = 0; shrinking->state && i < best->count; i++) {
        const shoal_line *line = &best->lines[i];
        if (line->at_us == at_us && shoal_shrink__is_target(shrinking, line)) return true;
        if (shoal_shrink__is_fault(best, i) && line->at_us < first_us) first_us = line->at_us;
    }
    return at_us == first_us;
}

/* Tries the times from `at_us` on so much earlier or later. */
static bool try_shift(shoal_shrinking *shrinking, int64_t at_us, int64_t to_us)
{
    if (to_us == at_us || shoal_shrink__spent(shrinking)) return false;
    shoal_draft candidate = shoal_shrink__copy(shrinking);
    shift(&candidate, at_us, to_us - at_us);
    return shoal_shrink__try(shrinking, &candidate);
}

/* Times that are worth a try for what is at `at_us`: from the shortest pause before it to its own
 * length, as round as they can be. `out` has room for 17. */
static uint32_t better_times(int64_t before_us, int64_t at_us, bool fixed, int64_t *out)
{
    static const int64_t grains_us[] = {SECOND, 100 * MS, 10 * MS, MS};
    const int64_t gap_us = at_us - before_us;
    const int64_t gaps_us[] = {0, gap_us / 4, gap_us / 2, gap_us};
    uint32_t count = 0;
    for (uint32_t i = fixed ? 3 : 0; i < 4; i++) {
        for (uint32_t j = 0; j < 4; j++) {
            int64_t grain_us = grains_us[j];
            int64_t to_us = (before_us + gaps_us[i] + grain_us - 1) / grain_us * grain_us;
            bool known = to_us == at_us || (i < 3 && to_us > at_us);
            if (i == 0 && j == 0 && !known) out[count++] = before_us;
            if (i == 3 && to_us == at_us) break; /* it is as round as that */
            for (uint32_t k = 0; k < count; k++) known = known || out[k] == to_us;
            if (!known) out[count++] = to_us;
        }
    }
    return count;
}

/* Makes the pause before `at_us` as short and round as it can be; the time that it is then. */
static int64_t shorten(shoal_shrinking *shrinking, int64_t at_us, bool *any)
{
    int64_t times_us[17];
    int64_t before_us = time_before(&shrinking->best, at_us);
    bool fixed = needs_time(shrinking, at_us);
    uint32_t count = better_times(before_us, at_us, fixed, times_us);
    SHOAL_ASSERT(count <= 17);
    for (uint32_t i = 0; i < count; i++) {
        if (!try_shift(shrinking, at_us, times_us[i])) continue;
        *any = true;
        return times_us[i];
    }
    return at_us;
}

bool shoal_shrink__shorter_times(shoal_shrinking *shrinking)
{
    bool any = false;
    int64_t done_us = 0;
    for (;;) {
        int64_t next_us = INT64_MAX;
        for (uint32_t i = 0; i < shrinking->best.count; i++) {
            int64_t at_us = shrinking->best.lines[i].at_us;
            if (at_us > done_us && at_us < next_us) next_us = at_us;
        }
        if (next_us == INT64_MAX || shoal_shrink__spent(shrinking)) return any;
        done_us = shorten(shrinking, next_us, &any);
    }
}

/* ---- values ---- */

/* A change to a line; false when it would change nothing. */
typedef bool (*change)(shoal_line *line, uint32_t step);

static bool set_i64(int64_t *field, int64_t value)
{
    if (*field == value) return false;
    *field = value;
    return true;
}

static bool set_u32(uint32_t *field, uint32_t value)
{
    if (*field == value) return false;
    *field = value;
    return true;
}

/* Leaves out one part of a net line, unless it is the only one. */
static bool plainer_net(shoal_line *line, uint32_t step)
{
    shoal_quality *quality = &line->quality, before = *quality;
    if (step > 4) return false;
    if (step == 0) quality->rate_bytes_per_s = -1;
    if (step == 1) quality->split_ppm = -1;
    if (step == 2) quality->shape = -1;
    if (step == 3) quality->jitter_us = -1;
    if (step == 4 && quality->latency_us > SECOND / 2) quality->latency_us = SECOND / 2;
    bool some = quality->latency_us >= 0 || quality->jitter_us >= 0 || quality->shape >= 0 ||
                quality->split_ppm >= 0 || quality->rate_bytes_per_s >= 0;
    if (!some) *quality = before;
    return memcmp(&before, quality, sizeof(before)) != 0;
}

static bool plainer_client(shoal_line *line, uint32_t step)
{
    shoal_load *load = &line->load;
    switch (step) {
    case 0: return set_u32(&load->zipf_milli, 0);
    case 1: return set_u32(&load->keys, 1);
    case 2: return load->keys > 10 && set_u32(&load->keys, 10);
    case 3: return load->keys > 100 && set_u32(&load->keys, 100);
    case 4: return set_u32(&load->value_size, 16);
    case 5: return set_i64(&load->timeout_us, SECOND);
    case 6:
        if (load->get_weight == 0 || load->set_weight == 0) return false;
        load->set_weight = 100;
        load->get_weight = 0;
        return true;
    case 7:
        if (load->set_weight == 100 || load->get_weight == load->set_weight) return false;
        load->set_weight = load->get_weight = 50;
        return true;
    case 8:
        if (!load->reads_replicas) return false;
        load->reads_replicas = false;
        return true;
    case 9:
    case 10:
    case 11:
    case 12:
        if (load->rate_milli <= 1000) return false;
        load->rate_milli = (load->rate_milli / 2 + 999) / 1000 * 1000;
        return true;
    default: return false;
    }
}

static bool plainer_cluster(shoal_line *line, uint32_t step)
{
    switch (step) {
    case 0: return set_i64(&line->node_timeout_us, SECOND);
    case 1:
        return line->node_timeout_us > 2 * SECOND && set_i64(&line->node_timeout_us, 2 * SECOND);
    case 2:
        if (line->choice == SHOAL_MEET_STAR) return false;
        line->choice = SHOAL_MEET_STAR;
        return true;
    default: return false;
    }
}

/* Rounds a number of microseconds up to so many digits as `step` leaves. */
static bool rounder(int64_t *value_us, uint32_t step)
{
    static const int64_t grains_us[] = {SECOND, 100 * MS, 10 * MS, MS};
    if (step > 3 || *value_us <= 0) return false;
    int64_t round_us = (*value_us + grains_us[step] - 1) / grains_us[step] * grains_us[step];
    return set_i64(value_us, round_us);
}

static bool plainer_crash(shoal_line *line, uint32_t step)
{
    if (step == 0 && line->power) {
        line->power = false;
        line->fate = SHOAL_DISK_KEPT;
        return true;
    }
    if (step != 1 || line->fate == SHOAL_DISK_KEPT) return false;
    line->fate = SHOAL_DISK_KEPT;
    return true;
}

static bool plainer(shoal_line *line, uint32_t step)
{
    switch (line->kind) {
    case SHOAL_LINE_NET: return plainer_net(line, step);
    case SHOAL_LINE_CLIENT: return plainer_client(line, step);
    case SHOAL_LINE_CLUSTER: return plainer_cluster(line, step);
    case SHOAL_LINE_STALL: return rounder(&line->amount, step);
    case SHOAL_LINE_CRASH: return plainer_crash(line, step);
    case SHOAL_LINE_SEED: return step == 0 && set_i64(&line->amount, 1);
    default: return false;
    }
}

/* Takes part number `step` out of a side: a whole atom, or the end of a range. */
static bool smaller_side(shoal_selector *selector, uint32_t step)
{
    if (step >= selector->count) return false;
    shoal_atom *atom = &selector->atoms[step];
    if (atom->kind == SHOAL_ATOM_NODES && atom->last > atom->first) {
        atom->last = atom->first + (atom->last - atom->first) / 2;
        return true;
    }
    if (selector->count < 2) return false;
    memmove(atom, atom + 1, (selector->count - step - 1) * sizeof(*atom));
    selector->count--;
    return true;
}

static bool smaller_left(shoal_line *line, uint32_t step)
{
    return smaller_side(&line->left, step);
}

static bool smaller_right(shoal_line *line, uint32_t step)
{
    return smaller_side(&line->right, step);
}

/* `*` becomes one node. */
static bool one_node(shoal_line *line, uint32_t step)
{
    bool fault = line->kind == SHOAL_LINE_CUT || line->kind == SHOAL_LINE_CONFIG ||
                 line->kind == SHOAL_LINE_STALL || line->kind == SHOAL_LINE_RESET;
    shoal_selector *side = step == 0 ? &line->left : &line->right;
    if (!fault || step > 1 || side->count != 1 || side->atoms[0].kind != SHOAL_ATOM_ALL)
        return false;
    if (line->kind == SHOAL_LINE_CONFIG) return false;
    side->atoms[0] = (shoal_atom){SHOAL_ATOM_NODES, 1, 1};
    return true;
}

/* Tries one kind of change on each line, step by step. */
static bool change_lines(shoal_shrinking *shrinking, change apply, uint32_t steps)
{
    bool any = false;
    for (uint32_t i = 0; i < shrinking->best.count; i++) {
        bool fixed = shoal_shrink__is_target(shrinking, &shrinking->best.lines[i]);
        for (uint32_t step = 0; step < steps && !fixed && i < shrinking->best.count;) {
            shoal_draft candidate = shoal_shrink__copy(shrinking);
            bool changed = apply(&candidate.lines[i], step);
            if (changed && !shoal_shrink__spent(shrinking)) {
                changed = shoal_shrink__try(shrinking, &candidate);
                any = any || changed;
            } else {
                shoal_draft__free(&candidate);
                changed = false;
            }
            step += !changed || apply == plainer;
        }
    }
    return any;
}

bool shoal_shrink__rounder_values(shoal_shrinking *shrinking)
{
    bool any = change_lines(shrinking, plainer, 13);
    any = change_lines(shrinking, one_node, 2) || any;
    any = change_lines(shrinking, smaller_left, SHOAL_SELECTOR_ATOMS_MAX) || any;
    return change_lines(shrinking, smaller_right, SHOAL_SELECTOR_ATOMS_MAX) || any;
}
