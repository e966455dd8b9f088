/* SPDX-License-Identifier: MIT
 *
 * Shrinking as a whole, and its first pass: fewer lines, by delta debugging.
 */
#include "sim/shrink.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/memory.h"

/* Rounds through all passes at most; each round that changes something makes room for another. */
#define ROUNDS_MAX 6

/* ---- promises ---- */

void shoal_promise__of_line(const shoal_line *line, char out[160])
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    shoal_line bare = *line;
    bare.left.count = bare.right.count = 0;
    bare.expect.within_us = bare.expect.window_us = 0;
    bare.expect.has_since = false;
    bare.expect.under = 0;
    shoal_line_format(&bare, &text);
    shoal_slice words = shoal_buffer_slice(&text);
    size_t size = words.size < 159 ? words.size : 159;
    memcpy(out, words.data, size);
    if (size > 4 && memcmp(out + size - 4, " on ", 4) == 0) size -= 4;
    out[size] = 0;
    shoal_buffer_free(&text);
}

bool shoal_shrink__is_target(const shoal_shrinking *shrinking, const shoal_line *line)
{
    char promise[160];
    if (line->kind != SHOAL_LINE_EXPECT) return false;
    shoal_promise__of_line(line, promise);
    return strcmp(promise, shrinking->options->promise) == 0;
}

/* Is it a promise about how the cluster is, so that a fault that is not ended breaks it? An audit
 * reads from the cluster as it is too. */
static bool about_state(const shoal_shrinking *shrinking)
{
    for (uint32_t i = 0; i < shrinking->best.count; i++) {
        const shoal_line *line = &shrinking->best.lines[i];
        shoal_contract contract = line->expect.contract;
        if (!shoal_shrink__is_target(shrinking, line)) continue;
        return contract != SHOAL_CONTRACT_STALE_READS && contract != SHOAL_CONTRACT_FAILOVERS;
    }
    return false;
}

/* ---- candidates ---- */

bool shoal_shrink__spent(const shoal_shrinking *shrinking)
{
    return shrinking->runs >= shrinking->options->budget;
}

shoal_draft shoal_shrink__copy(const shoal_shrinking *shrinking)
{
    shoal_draft copy = {0};
    for (uint32_t i = 0; i < shrinking->best.count; i++) {
        shoal_draft__copy(&copy, &shrinking->best.lines[i]);
    }
    return copy;
}

/* Runs a draft once. False also when its lines do not fit together. `out` keeps the schedule of
 * one that breaks the promise. */
static bool breaks(shoal_shrinking *shrinking, const shoal_draft *draft, shoal_schedule *out)
{
    const shoal_shrink_options *options = shrinking->options;
    shoal_schedule_error error;
    if (shoal_shrink__spent(shrinking)) return false;
    if (shoal_draft__finish(draft, out, &error) != SHOAL_ERR_OK) return false;
    bool broken = options->breaks(options->context, out);
    shrinking->runs++;
    if (options->progress) options->progress(options->context, shrinking->runs, &shrinking->best);
    if (!broken) shoal_schedule_free(out);
    return broken;
}

/* Does a draft keep the promise when nothing goes wrong in it? */
static bool innocent(shoal_shrinking *shrinking, const shoal_draft *draft)
{
    shoal_draft peace = {0};
    shoal_schedule schedule;
    for (uint32_t i = 0; i < draft->count; i++) {
        if (shoal_shrink__is_fault(draft, i) || shoal_shrink__is_repair(draft, i)) continue;
        shoal_draft__copy(&peace, &draft->lines[i]);
    }
    bool broken = breaks(shrinking, &peace, &schedule);
    if (broken) shoal_schedule_free(&schedule);
    shoal_draft__free(&peace);
    return !broken && !shoal_shrink__spent(shrinking);
}

bool shoal_shrink__try(shoal_shrinking *shrinking, shoal_draft *candidate)
{
    shoal_schedule schedule;
    bool better = breaks(shrinking, candidate, &schedule);
    if (better && shrinking->guarded && !innocent(shrinking, candidate)) {
        shoal_schedule_free(&schedule);
        better = false;
    }
    shoal_draft__free(candidate);
    if (!better) return false;
    shoal_draft__free(&shrinking->best);
    for (uint32_t i = 0; i < schedule.count; i++) {
        shoal_draft__copy(&shrinking->best, &schedule.lines[i]);
    }
    shoal_schedule_free(&schedule);
    return true;
}

/* ---- fewer lines ---- */

/* Lines that may go, as places in the best. */
typedef struct places {
    uint32_t *at;
    uint32_t count;
} places;

/* Tries the best without places [from, until); the places that are left afterwards. */
static bool try_without(shoal_shrinking *shrinking, places *some, uint32_t from, uint32_t until)
{
    bool *flags = shoal_sim__allocate(shrinking->best.count * sizeof(*flags));
    uint32_t before = shrinking->best.count;
    shoal_draft candidate = shoal_shrink__copy(shrinking);
    for (uint32_t i = from; i < until; i++) flags[some->at[i]] = true;
    shoal_shrink__drop(&candidate, flags);
    shoal_sim__free(flags);
    shoal_shrink__try(shrinking, &candidate);
    return shrinking->best.count < before;
}

/* Which lines a round of delta debugging is about. */
typedef bool (*choice)(const shoal_shrinking *shrinking, uint32_t index);

static places choose(const shoal_shrinking *shrinking, choice may_go)
{
    places some = {shoal_sim__allocate((shrinking->best.count + 1) * sizeof(uint32_t)), 0};
    for (uint32_t i = 0; i < shrinking->best.count; i++) {
        if (may_go(shrinking, i)) some.at[some.count++] = i;
    }
    return some;
}

/* One sweep over pieces of `size`, from the last to the first. True when a piece went; then the
 * places are of no use any more. */
static bool drop_pieces(shoal_shrinking *shrinking, choice may_go, uint32_t size)
{
    bool any = false;
    places some = choose(shrinking, may_go);
    uint32_t until = some.count;
    while (until > 0 && !shoal_shrink__spent(shrinking)) {
        uint32_t from = until > size ? until - size : 0;
        if (try_without(shrinking, &some, from, until)) {
            any = true;
            shoal_sim__free(some.at);
            some = choose(shrinking, may_go);
            if (from > some.count) from = some.count;
        }
        until = from;
    }
    shoal_sim__free(some.at);
    return any;
}

/* Takes away pieces, at first half of the lines each, at last single lines until none can go. */
static bool minimise(shoal_shrinking *shrinking, choice may_go)
{
    bool any = false;
    places some = choose(shrinking, may_go);
    uint32_t size = some.count;
    shoal_sim__free(some.at);
    for (; size > 1 && !shoal_shrink__spent(shrinking); size = (size + 1) / 2) {
        any = drop_pieces(shrinking, may_go, size) || any;
        if (size == 2) break;
    }
    while (!shoal_shrink__spent(shrinking) && drop_pieces(shrinking, may_go, 1)) any = true;
    return any;
}

static bool fault_may_go(const shoal_shrinking *shrinking, uint32_t index)
{
    return shoal_shrink__is_fault(&shrinking->best, index);
}

static bool repair_may_go(const shoal_shrinking *shrinking, uint32_t index)
{
    return shoal_shrink__is_repair(&shrinking->best, index) &&
           (!shrinking->state || shoal_shrink__is_idle(&shrinking->best, index));
}

static bool client_may_go(const shoal_shrinking *shrinking, uint32_t index)
{
    shoal_line_kind kind = shrinking->best.lines[index].kind;
    return kind == SHOAL_LINE_CLIENT || kind == SHOAL_LINE_STOP;
}

/* Does a line say what a node keeps on its disk? What is promised of data rests on it. */
static bool keeps_data(const shoal_line *line)
{
    return line->kind == SHOAL_LINE_CONFIG && strncmp(line->text, "append", 6) == 0;
}

/* Set-up, captions, other promises; the first lines must stay. */
static bool rest_may_go(const shoal_shrinking *shrinking, uint32_t index)
{
    const shoal_line *line = &shrinking->best.lines[index];
    if (line->kind == SHOAL_LINE_SCHEDULE || line->kind == SHOAL_LINE_CLUSTER ||
        line->kind == SHOAL_LINE_SEED || line->kind == SHOAL_LINE_PROFILES)
        return false;
    if (shrinking->state && keeps_data(line)) return false;
    return !shoal_shrink__is_fault(&shrinking->best, index) &&
           !shoal_shrink__is_repair(&shrinking->best, index) && !client_may_go(shrinking, index);
}

bool shoal_shrink__fewer_lines(shoal_shrinking *shrinking)
{
    bool any = minimise(shrinking, fault_may_go);
    any = minimise(shrinking, repair_may_go) || any;
    any = minimise(shrinking, client_may_go) || any;
    return minimise(shrinking, rest_may_go) || any;
}

/* ---- the whole ---- */

/* The original as it is, in one run; then whether it is innocent without its faults. */
static bool begin(shoal_shrinking *shrinking)
{
    const shoal_schedule *schedule = shrinking->options->schedule;
    shoal_schedule original;
    for (uint32_t i = 0; i < schedule->count; i++) {
        shoal_draft__copy(&shrinking->best, &schedule->lines[i]);
    }
    if (!breaks(shrinking, &shrinking->best, &original)) return false;
    shoal_schedule_free(&original);
    shrinking->state = about_state(shrinking);
    /* A check says what it has found; an expect line is also broken by an audit without a key. */
    bool contract = strncmp(shrinking->options->promise, "expect ", 7) == 0;
    shrinking->guarded = contract && innocent(shrinking, &shrinking->best);
    return true;
}

uint32_t shoal_shrink__schedule(const shoal_shrink_options *options, shoal_schedule *out)
{
    shoal_shrinking shrinking = {.options = options};
    shoal_schedule_error error;
    SHOAL_ASSERT(options->promise != NULL && options->breaks != NULL);
    *out = (shoal_schedule){0};
    bool more = begin(&shrinking);
    uint32_t runs = more ? shrinking.runs : 0;
    for (int round = 0; more && round < ROUNDS_MAX && !shoal_shrink__spent(&shrinking); round++) {
        more = shoal_shrink__fewer_lines(&shrinking);
        more = shoal_shrink__fewer_nodes(&shrinking) || more;
        more = shoal_shrink__shorter_times(&shrinking) || more;
        more = shoal_shrink__rounder_values(&shrinking) || more;
        runs = shrinking.runs;
    }
    if (runs > 0 && shoal_draft__finish(&shrinking.best, out, &error) != SHOAL_ERR_OK) runs = 0;
    shoal_draft__free(&shrinking.best);
    return runs;
}
