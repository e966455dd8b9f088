/* SPDX-License-Identifier: MIT
 *
 * sim/live/study.h: gathering.
 */
#include "sim/live/study.h"

#include <string.h>

#include "base/assert.h"

const shoal_group *shoal_study__twin(const shoal_study *study, const shoal_group *group)
{
    for (uint32_t i = 0; i < study->group_count; i++) {
        const shoal_group *other = &study->groups[i];
        if (other->server == NULL && other->profile == group->profile) return other;
    }
    return NULL;
}

const shoal_line *shoal_study__line(const shoal_study *study, uint32_t number)
{
    const shoal_schedule *schedule = study->schedule;
    for (uint32_t i = 0; i < schedule->count; i++) {
        if (schedule->lines[i].number == number) return &schedule->lines[i];
    }
    return NULL;
}

bool shoal_study__held(const shoal_study *study)
{
    for (uint32_t i = 0; i < study->group_count; i++) {
        if (study->groups[i].violated > 0 || study->groups[i].troubled > 0) return false;
    }
    return true;
}

uint32_t shoal_study__rows(const shoal_study *study)
{
    return study->incidents.count * SHOAL_LAPSE_COUNT + 1;
}

const shoal_sample *shoal_study__row(const shoal_study *study, const shoal_group *group,
                                     uint32_t row, uint32_t *incident, const char **name)
{
    SHOAL_ASSERT(row < shoal_study__rows(study));
    uint32_t lapse = row % SHOAL_LAPSE_COUNT;
    *incident = row / SHOAL_LAPSE_COUNT;
    if (*incident == study->incidents.count) {
        *incident = UINT32_MAX;
        *name = "lost writes";
        return &group->lost;
    }
    *name = shoal_lapse__name(lapse);
    return &group->lapses[*incident][lapse];
}

static void take_measure(shoal_group *group, const shoal_measure *measure)
{
    for (uint32_t i = 0; i < measure->count; i++) {
        for (uint32_t j = 0; j < SHOAL_LAPSE_COUNT; j++)
            shoal_sample__add(&group->lapses[i][j], measure->incidents[i].after_us[j]);
    }
    shoal_sample__add(&group->lost, measure->lost);
}

static void take_broken(shoal_group *group, const shoal_verdict *verdict)
{
    uint32_t at = 0;
    while (at < group->broken_count && group->broken[at].line != verdict->line) at++;
    if (at == sizeof(group->broken) / sizeof(group->broken[0])) return;
    if (at == group->broken_count) group->broken[group->broken_count++] = (shoal_broken){0};
    shoal_broken *broken = &group->broken[at];
    broken->line = verdict->line;
    broken->runs++;
    memcpy(broken->words, verdict->words, sizeof(broken->words));
}

void shoal_group__take_live(shoal_group *group, const shoal_live_result *result)
{
    bool violated = false;
    group->runs++;
    if (!result->done) {
        group->troubled++;
        memcpy(group->trouble, result->trouble, sizeof(group->trouble));
        return;
    }
    if (result->late_us > group->late_us) group->late_us = result->late_us;
    group->operations += result->operations;
    group->errors += result->errors;
    for (uint32_t i = 0; i < result->verdict_count; i++) {
        const shoal_verdict *verdict = &result->verdicts[i];
        if (!verdict->judged || verdict->held) continue;
        violated = true;
        take_broken(group, verdict);
    }
    group->violated += violated;
    take_measure(group, &result->measure);
}

void shoal_group__take_twin(shoal_group *group, const shoal_measure *measure, bool violated)
{
    group->runs++;
    group->violated += violated;
    take_measure(group, measure);
}
