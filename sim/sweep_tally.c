/* SPDX-License-Identifier: MIT
 *
 * Sums over many runs. Everything that is added up does not care for the order, so the same seeds
 * give the same report on any number of processes and machines.
 */
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "sim/memory.h"
#include "sim/sweep.h"

void shoal_tally__add(shoal_tally *tally, uint64_t seed, const shoal_attempt *attempt)
{
    tally->runs++;
    tally->broken += attempt->breach_count > 0;
    tally->events += attempt->events;
    tally->records += attempt->records;
    tally->operations += attempt->operations;
    tally->errors += attempt->errors;
    tally->time_us += attempt->time_us;
    tally->hash += shoal_prng_mix(seed ^ shoal_prng_mix(attempt->trace_hash));
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) tally->made[i] += attempt->made[i];
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) {
        shoal_mark_tally *mark = &tally->marks[i];
        if (attempt->marks[i] == 0) continue;
        if (mark->seeds == 0 || seed < mark->first) mark->first = seed;
        mark->seeds++;
        mark->times += attempt->marks[i];
    }
    for (uint32_t i = 0; i < attempt->breach_count; i++) {
        tally->findings = shoal_sim__grow(tally->findings, &tally->finding_capacity,
                                          tally->finding_count + 1, sizeof(*tally->findings));
        tally->findings[tally->finding_count++] =
            (shoal_finding_of_seed){seed, attempt->breaches[i]};
    }
}

bool shoal_tally__cover(shoal_tally *tally, shoal_seed_range range)
{
    uint32_t at = 0;
    while (at < tally->range_count && tally->ranges[at].until < range.from) at++;
    if (at < tally->range_count && tally->ranges[at].from <= range.until) return false;
    tally->ranges = shoal_sim__grow(tally->ranges, &tally->range_capacity, tally->range_count + 1,
                                    sizeof(*tally->ranges));
    memmove(tally->ranges + at + 1, tally->ranges + at,
            (tally->range_count - at) * sizeof(*tally->ranges));
    tally->ranges[at] = range;
    tally->range_count++;
    /* Neighbours become one. */
    for (uint32_t i = tally->range_count - 1; i > 0; i--) {
        if (tally->ranges[i].from != tally->ranges[i - 1].until + 1) continue;
        tally->ranges[i - 1].until = tally->ranges[i].until;
        memmove(tally->ranges + i, tally->ranges + i + 1,
                (tally->range_count - i - 1) * sizeof(*tally->ranges));
        tally->range_count--;
    }
    return true;
}

static int by_seed(const void *a, const void *b)
{
    const shoal_finding_of_seed *x = a, *y = b;
    if (x->seed != y->seed) return x->seed < y->seed ? -1 : 1;
    int order = strcmp(x->breach.promise, y->breach.promise);
    return order ? order : strcmp(x->breach.words, y->breach.words);
}

void shoal_tally__sort(shoal_tally *tally)
{
    if (tally->finding_count == 0) return;
    qsort(tally->findings, tally->finding_count, sizeof(*tally->findings), by_seed);
}

static bool same_way(const shoal_tally *a, const shoal_tally *b)
{
    const char *x = a->given ? a->given : "", *y = b->given ? b->given : "";
    return a->profile == b->profile && a->reckless == b->reckless && strcmp(x, y) == 0;
}

static void add_marks(shoal_tally *to, const shoal_tally *from)
{
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) {
        shoal_mark_tally *mark = &to->marks[i];
        const shoal_mark_tally *more = &from->marks[i];
        if (more->seeds == 0) continue;
        if (mark->seeds == 0 || more->first < mark->first) mark->first = more->first;
        mark->seeds += more->seeds;
        mark->times += more->times;
    }
}

bool shoal_tally__merge(shoal_tally *to, const shoal_tally *from)
{
    if (!same_way(to, from)) {
        fputs("shoal-sim: these sweeps were not drawn in the same way\n", stderr);
        return false;
    }
    for (uint32_t i = 0; i < from->range_count; i++) {
        if (shoal_tally__cover(to, from->ranges[i])) continue;
        fputs("shoal-sim: these sweeps have seeds in common\n", stderr);
        return false;
    }
    to->runs += from->runs;
    to->broken += from->broken;
    to->events += from->events;
    to->records += from->records;
    to->operations += from->operations;
    to->errors += from->errors;
    to->time_us += from->time_us;
    to->hash += from->hash;
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) to->made[i] += from->made[i];
    add_marks(to, from);
    for (uint32_t i = 0; i < from->finding_count; i++) {
        to->findings = shoal_sim__grow(to->findings, &to->finding_capacity, to->finding_count + 1,
                                       sizeof(*to->findings));
        to->findings[to->finding_count++] = from->findings[i];
    }
    return true;
}

void shoal_tally__free(shoal_tally *tally)
{
    shoal_sim__free(tally->given);
    shoal_sim__free(tally->ranges);
    shoal_sim__free(tally->findings);
    *tally = (shoal_tally){0};
}
