/* SPDX-License-Identifier: MIT
 *
 * sim/live/measure.h.
 */
#include "sim/live/measure.h"

#include <string.h>

#include "base/assert.h"
#include "sim/memory.h"

const char *shoal_lapse__name(uint32_t lapse)
{
    static const char *const names[SHOAL_LAPSE_COUNT] = {"detection", "election", "write"};
    SHOAL_ASSERT(lapse < SHOAL_LAPSE_COUNT);
    return names[lapse];
}

/* One-way cuts and stalls leave the master where it is. */
static bool takes_away(const shoal_line *line)
{
    if (line->relation == SHOAL_RELATION_FORWARD) return false;
    return line->kind == SHOAL_LINE_CRASH || line->kind == SHOAL_LINE_PAUSE ||
           line->kind == SHOAL_LINE_BUSY || line->kind == SHOAL_LINE_CUT ||
           line->kind == SHOAL_LINE_STALL || line->kind == SHOAL_LINE_STRAND;
}

void shoal_measure__make(shoal_measure *measure, const shoal_schedule *schedule)
{
    *measure = (shoal_measure){.lost = -1};
    for (uint32_t i = 0; i < schedule->count && measure->count < SHOAL_INCIDENTS_MAX; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (!takes_away(line) || line->trigger != SHOAL_TRIGGER_NONE) continue;
        shoal_incident *incident = &measure->incidents[measure->count++];
        incident->line = line->number;
        for (uint32_t j = 0; j < SHOAL_LAPSE_COUNT; j++) incident->after_us[j] = -1;
    }
}

/* The first master with slots on a side, or UINT32_MAX; and how many nodes the side has. */
static uint32_t first_master(const shoal_roster *roster, const shoal_selector *side,
                             uint32_t *count)
{
    uint32_t *nodes = shoal_sim__allocate(roster->nodes * sizeof(*nodes)), found = UINT32_MAX;
    *count = shoal_roster__select(roster, side, false, nodes);
    for (uint32_t i = *count; i > 0; i--) {
        const shoal_member *member = &roster->members[nodes[i - 1]];
        if (member->running && !member->replica && member->slot_count > 0) found = nodes[i - 1];
    }
    shoal_sim__free(nodes);
    return found;
}

/* The master that a line takes away: of two sides, on the one with fewer nodes. */
static uint32_t subject_of(const shoal_roster *roster, const shoal_line *line)
{
    uint32_t left_count = 0, right_count = 0;
    uint32_t left = first_master(roster, &line->left, &left_count);
    if (line->relation == SHOAL_RELATION_NONE) return left;
    uint32_t right = first_master(roster, &line->right, &right_count);
    return left_count <= right_count ? left : right;
}

void shoal_measure__line(shoal_measure *measure, const shoal_roster *roster, const shoal_line *line,
                         int64_t now_us)
{
    shoal_incident *incident = NULL;
    for (uint32_t i = 0; i < measure->count; i++) {
        if (measure->incidents[i].line == line->number) incident = &measure->incidents[i];
    }
    if (incident == NULL) return;
    uint32_t subject = subject_of(roster, line);
    if (subject == UINT32_MAX) return;
    incident->happened = true;
    incident->subject = subject;
    incident->at_us = now_us;
    incident->slots = roster->members[subject].own;
    for (uint32_t i = 0; i < roster->nodes; i++) {
        const shoal_member *member = &roster->members[i];
        incident->heirs[i] =
            member->replica && strcmp(member->master, roster->members[subject].name) == 0;
    }
    measure->current = incident;
}

static void reach(shoal_measure *measure, shoal_lapse lapse, int64_t now_us)
{
    int64_t *after = &measure->current->after_us[lapse];
    if (*after < 0) *after = now_us - measure->current->at_us;
}

void shoal_measure__failed(shoal_measure *measure, uint32_t by, uint32_t about, int64_t now_us)
{
    const shoal_incident *incident = measure->current;
    if (incident && about == incident->subject && by != about)
        reach(measure, SHOAL_LAPSE_DETECTION, now_us);
}

void shoal_measure__master(shoal_measure *measure, uint32_t node, int64_t now_us)
{
    const shoal_incident *incident = measure->current;
    if (incident && incident->heirs[node]) reach(measure, SHOAL_LAPSE_ELECTION, now_us);
}

void shoal_measure__write(shoal_measure *measure, uint32_t by, uint32_t slot, int64_t now_us)
{
    const shoal_incident *incident = measure->current;
    if (incident && by != incident->subject && shoal_slotmap_has(&incident->slots, slot))
        reach(measure, SHOAL_LAPSE_WRITE, now_us);
}

bool shoal_measure__quiet(const shoal_measure *measure)
{
    if (measure->current == NULL) return true;
    return measure->current->after_us[SHOAL_LAPSE_DETECTION] >= 0 &&
           measure->current->after_us[SHOAL_LAPSE_ELECTION] >= 0;
}
