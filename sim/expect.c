/* SPDX-License-Identifier: MIT
 *
 * Judging expect lines.
 */
#include "sim/expect.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/internal.h"

/* Is the line an expectation of this run? */
static bool concerns(const shoal_world *world, const shoal_line *line)
{
    if (line->kind != SHOAL_LINE_EXPECT) return false;
    return line->expect.under == 0 || line->expect.under == world->profile;
}

/* How long an answer is waited for that may not be asked for again. Chosen: far above a round trip,
 * below what a story can be about. */
#define PATIENCE_US INT64_C(1000000)

void shoal_expect__make(shoal_world *world)
{
    const shoal_schedule *schedule = world->schedule;
    shoal_expect *expect = &world->expect;
    for (uint32_t i = 0; i < schedule->count; i++) {
        expect->count += concerns(world, &schedule->lines[i]);
    }
    expect->lines = shoal_sim__allocate(expect->count * sizeof(*expect->lines));
    expect->waits = shoal_sim__allocate(expect->count * sizeof(*expect->waits));
    expect->results = shoal_sim__allocate(expect->count * sizeof(*expect->results));
    expect->questions = shoal_sim__allocate(expect->count * sizeof(*expect->questions));
    expect->counts_since = shoal_sim__allocate(expect->count * sizeof(*expect->counts_since));
    expect->unjudged = expect->count;
    expect->seen_version = UINT64_MAX;
    uint32_t at = 0;
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (!concerns(world, line)) continue;
        expect->results[at].line = line->number;
        expect->lines[at++] = line;
        if (!line->expect.has_since) continue;
        shoal_world__arrange(world, line->expect.since_us, SHOAL_OCCURRENCE_EXPECT_DUE, at - 1, 1);
    }
}

/* An array of one element more; the new one is zero. */
static void *longer(void *array, uint32_t count, size_t element)
{
    char *grown = shoal_sim__allocate((count + 1) * element);
    if (count > 0) memcpy(grown, array, count * element);
    shoal_sim__free(array);
    return grown;
}

void shoal_expect__add(shoal_world *world, const shoal_line *line)
{
    shoal_expect *expect = &world->expect;
    uint32_t count = expect->count;
    SHOAL_ASSERT(line->kind == SHOAL_LINE_EXPECT && !line->expect.has_since);
    expect->lines = longer(expect->lines, count, sizeof(*expect->lines));
    expect->waits = longer(expect->waits, count, sizeof(*expect->waits));
    expect->results = longer(expect->results, count, sizeof(*expect->results));
    expect->counts_since = longer(expect->counts_since, count, sizeof(*expect->counts_since));
    expect->lines[count] = line;
    expect->results[count].line = line->number;
    expect->count++;
    expect->unjudged++;
}

void shoal_expect__free(shoal_world *world)
{
    shoal_sim__free(world->expect.lines);
    shoal_sim__free(world->expect.waits);
    shoal_sim__free(world->expect.results);
    shoal_sim__free(world->expect.counts_since);
    shoal_sim__free(world->expect.questions);
}

/* ---- conditions ---- */

/* Why a condition does not hold, or that it does. */
typedef struct finding {
    bool holds;
    char words[160];
} finding;

static finding holds(void)
{
    return (finding){.holds = true};
}

static finding broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
static finding broken(const char *format, ...)
{
    finding found = {.holds = false};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(found.words, sizeof(found.words), format, arguments);
    va_end(arguments);
    return found;
}

static bool active(const shoal_world *world, uint32_t node)
{
    return world->nodes[node].running && world->nodes[node].ready && !world->nodes[node].paused;
}

static const char *label(const shoal_world *world, uint32_t node)
{
    return world->nodes[node].label;
}

/* Do two running nodes that reach each other agree? */
static finding agree(const shoal_world *world, uint32_t a, uint32_t b)
{
    const shoal_view *views = world->judge.views;
    const shoal_opinion *of = shoal_judge__opinion(world, a, views[b].self);
    if (!of->known) return broken("%s does not know %s", label(world, a), label(world, b));
    if (of->pfail || of->fail) {
        return broken("%s holds %s for %s", label(world, a), label(world, b),
                      of->fail ? "failed" : "suspect");
    }
    if (views[a].map != views[b].map) {
        return broken("%s and %s have different slot maps", label(world, a), label(world, b));
    }
    return holds();
}

static finding judge_converge(const shoal_world *world)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (world->nodes[i].running && !world->nodes[i].ready) {
            return broken("%s is still starting", label(world, i));
        }
        seen += active(world, i);
        for (uint32_t j = 0; j < world->node_count; j++) {
            if (i == j || !active(world, i) || !active(world, j)) continue;
            if (!shoal_judge__together(world, i, j)) continue;
            finding found = agree(world, i, j);
            if (!found.holds) return found;
        }
    }
    return seen > 0 ? holds() : broken("no node runs");
}

/* Is every slot in the map of `node` with an owner that runs and is not failed to it? */
static finding covered_on(const shoal_world *world, uint32_t node)
{
    const shoal_judge *judge = &world->judge;
    const shoal_view *view = &judge->views[node];
    if (view->slots_seen != SHOAL_SLOTS) {
        return broken("%s knows owners of %u slots", label(world, node), view->slots_seen);
    }
    for (uint32_t i = 0; i < view->capacity && i < judge->subject_count; i++) {
        const shoal_opinion *of = &view->of[i];
        uint32_t owner = judge->subjects[i].node;
        if (of->slots == 0) continue;
        if (!active(world, owner)) {
            return broken("%s maps %u slots to %s, which does not run", label(world, node),
                          of->slots, label(world, owner));
        }
        if (of->fail)
            return broken("%s holds %s for failed", label(world, node), label(world, owner));
    }
    return holds();
}

static finding judge_slots(const shoal_world *world)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (!active(world, i)) continue;
        finding found = covered_on(world, i);
        if (!found.holds) return found;
        seen++;
    }
    return seen > 0 ? holds() : broken("no node runs");
}

bool shoal_compare__holds(const shoal_expectation *expect, uint64_t value)
{
    int64_t found = value > INT64_MAX ? INT64_MAX : (int64_t)value;
    if (expect->compare == SHOAL_COMPARE_AT_MOST) return found <= expect->limit;
    if (expect->compare == SHOAL_COMPARE_AT_LEAST) return found >= expect->limit;
    return found == expect->limit;
}

static finding judge_copy(const shoal_world *world, uint32_t node)
{
    const char *why = NULL;
    shoal_likeness likeness = shoal_copies__compare(world, node, &why);
    if (likeness == SHOAL_LIKENESS_EQUAL) return holds();
    return broken("%s %s", label(world, node),
                  likeness == SHOAL_LIKENESS_UNKNOWN ? why : "has other data than its master");
}

/* One selected node of a STATE, ROLE, COPIES or KNOWN line. */
static finding judge_node(const shoal_world *world, const shoal_expectation *expect, uint32_t node)
{
    const shoal_view *view = &world->judge.views[node];
    if (!world->nodes[node].running) return broken("%s does not run", label(world, node));
    if (expect->contract == SHOAL_CONTRACT_COPIES) return judge_copy(world, node);
    if (expect->contract == SHOAL_CONTRACT_STATE) {
        if (view->up == expect->up) return holds();
        return broken("%s says %s", label(world, node), view->up ? "ok" : "fail");
    }
    if (expect->contract == SHOAL_CONTRACT_ROLE) {
        if (view->replica == !expect->up) return holds();
        return broken("%s is a %s", label(world, node), view->replica ? "replica" : "master");
    }
    if (shoal_compare__holds(expect, view->known)) return holds();
    return broken("%s knows %u", label(world, node), view->known);
}

/* The opinion of one node about another, for PFAIL, FAIL and CLEAR lines. */
static finding judge_pair(const shoal_world *world, shoal_contract contract, uint32_t about,
                          uint32_t by)
{
    if (about == by) return holds();
    if (!world->nodes[by].running) return broken("%s does not run", label(world, by));
    const shoal_opinion *of =
        shoal_judge__opinion(world, by, shoal_judge__subject_of(world, about));
    const char *found = of->fail ? "fail" : of->pfail ? "pfail" : "no suspicion";
    bool good = contract == SHOAL_CONTRACT_FAIL    ? of->fail
                : contract == SHOAL_CONTRACT_PFAIL ? of->pfail || of->fail
                                                   : of->known && !of->pfail && !of->fail;
    if (good) return holds();
    return broken("%s has of %s: %s", label(world, by), label(world, about),
                  of->known ? found : "never heard");
}

static finding judge_opinions(shoal_world *world, const shoal_line *line)
{
    uint32_t *about = shoal_sim__allocate(world->net.hosts * 2 * sizeof(*about));
    uint32_t *by = about + world->net.hosts;
    uint32_t about_count = shoal_fault__select(world, &line->left, false, about);
    uint32_t by_count = shoal_fault__select(world, &line->right, false, by);
    bool pairs = line->expect.contract != SHOAL_CONTRACT_STATE &&
                 line->expect.contract != SHOAL_CONTRACT_ROLE &&
                 line->expect.contract != SHOAL_CONTRACT_COPIES &&
                 line->expect.contract != SHOAL_CONTRACT_KNOWN;
    finding found = about_count > 0 ? holds() : broken("the selector names nobody");
    for (uint32_t i = 0; i < about_count && found.holds; i++) {
        if (!pairs) found = judge_node(world, &line->expect, about[i]);
        for (uint32_t j = 0; pairs && j < by_count && found.holds; j++) {
            found = judge_pair(world, line->expect.contract, about[i], by[j]);
        }
    }
    shoal_sim__free(about);
    return found;
}

/* ---- counts ---- */

static uint64_t total(const shoal_world *world, shoal_contract contract)
{
    uint64_t sum = 0;
    if (contract == SHOAL_CONTRACT_CONNECTS) return world->judge.connects;
    if (contract == SHOAL_CONTRACT_FAILOVERS) return world->judge.failovers;
    for (uint32_t i = 0; i + 1 < world->client_count; i++) {
        const shoal_client *client = &world->clients[i];
        sum += contract == SHOAL_CONTRACT_OPS ? client->done : client->errors;
    }
    return sum;
}

/* Those that an expectation is about: of its cause, or of any. */
static bool counts(const shoal_expectation *expect, uint32_t cause)
{
    return expect->cause == SHOAL_CAUSE_ANY || (uint32_t)expect->cause == cause;
}

static uint64_t stale_reads(const shoal_world *world, const shoal_expectation *expect)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) {
        if (counts(expect, i)) sum += world->judge.totals.reads_stale[i];
    }
    return sum;
}

static shoal_losses losses(const shoal_world *world, const shoal_expectation *expect)
{
    shoal_losses sum = {0};
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) {
        const shoal_losses *some = &world->judge.totals.lost[i];
        if (!counts(expect, i) || some->count == 0) continue;
        if (sum.count == 0 || some->from_us < sum.from_us) sum.from_us = some->from_us;
        if (sum.count == 0 || some->until_us > sum.until_us) sum.until_us = some->until_us;
        sum.count += some->count;
    }
    return sum;
}

static finding judge_losses(const shoal_world *world, const shoal_expectation *expect)
{
    if (world->judge.totals.audited == 0) return broken("the audit could read no key");
    shoal_losses lost = losses(world, expect);
    long long span_us = (long long)(lost.until_us - lost.from_us);
    if (!shoal_compare__holds(expect, lost.count)) {
        return broken("found %llu, acknowledged within %lld us", (unsigned long long)lost.count,
                      span_us);
    }
    if (expect->window_us == 0 || span_us <= expect->window_us) return holds();
    return broken("they were acknowledged within %lld us", span_us);
}

static finding judge_count(const shoal_world *world, uint32_t index)
{
    const shoal_expectation *expect = &world->expect.lines[index]->expect;
    if (expect->contract == SHOAL_CONTRACT_LOST_ACKS) return judge_losses(world, expect);
    uint64_t value = expect->contract == SHOAL_CONTRACT_STALE_READS
                         ? stale_reads(world, expect)
                         : total(world, expect->contract) - world->expect.counts_since[index];
    return shoal_compare__holds(expect, value) ? holds()
                                               : broken("found %llu", (unsigned long long)value);
}

/* ---- what clients found ---- */

static uint64_t anomalies(const shoal_world *world, const shoal_expectation *expect, uint32_t first,
                          uint32_t last)
{
    uint64_t sum = 0;
    for (uint32_t i = first; i <= last; i++) {
        for (uint32_t j = 0; j < SHOAL_CAUSE_COUNT; j++) {
            if (counts(expect, j)) sum += world->judge.totals.anomalies[i][j].count;
        }
    }
    return sum;
}

static uint64_t hindered(const shoal_world *world, const shoal_expectation *expect)
{
    uint64_t sum = 0;
    for (uint32_t i = SHOAL_OUTCOME_CLUSTERDOWN; i < SHOAL_OUTCOME_COUNT; i++) {
        if (expect->class_ == 0 || expect->class_ == i) sum += world->judge.totals.unavailable[i];
    }
    return sum;
}

static finding judge_found(const shoal_world *world, const shoal_expectation *expect)
{
    uint64_t value = 0;
    uint32_t class = expect->class_;
    if (expect->contract == SHOAL_CONTRACT_UNAVAILABLE) value = hindered(world, expect);
    if (expect->contract == SHOAL_CONTRACT_RESURRECTED) class = SHOAL_ANOMALY_RESURRECTED + 1;
    if (expect->contract == SHOAL_CONTRACT_SESSION_BREAKS && class == 0)
        value = anomalies(world, expect, SHOAL_ANOMALY_READ_YOUR_WRITES,
                          SHOAL_ANOMALY_WRITES_FOLLOW_READS);
    else if (expect->contract != SHOAL_CONTRACT_UNAVAILABLE)
        value = anomalies(world, expect, class - 1, class - 1);
    return shoal_compare__holds(expect, value) ? holds()
                                               : broken("found %llu", (unsigned long long)value);
}

static finding judge_check(const shoal_world *world, const shoal_expectation *expect)
{
    uint64_t times = world->judge.violated[expect->check];
    if (shoal_compare__holds(expect, times)) return holds();
    return broken("it was violated %llu times", (unsigned long long)times);
}

static finding judge_linear(const shoal_world *world, const shoal_expectation *expect)
{
    finding found = {.holds = false};
    shoal_key_range keys = {0, UINT32_MAX};
    if (expect->key_first > 0)
        keys = (shoal_key_range){expect->key_first - 1, expect->key_last - 1};
    found.holds = shoal_linear__holds(world, keys, found.words);
    return found;
}

bool shoal_expect__states(const shoal_world *world, uint32_t check)
{
    SHOAL_ASSERT(check < SHOAL_CHECK_COUNT);
    for (uint32_t i = 0; i < world->expect.count; i++) {
        const shoal_expectation *expect = &world->expect.lines[i]->expect;
        if (expect->contract == SHOAL_CONTRACT_BROKEN && expect->check == check) return true;
    }
    return false;
}

static finding judge_line(shoal_world *world, uint32_t index)
{
    const shoal_line *line = world->expect.lines[index];
    switch (line->expect.contract) {
    case SHOAL_CONTRACT_CONVERGE: return judge_converge(world);
    case SHOAL_CONTRACT_SLOTS: return judge_slots(world);
    case SHOAL_CONTRACT_STATE:
    case SHOAL_CONTRACT_ROLE:
    case SHOAL_CONTRACT_PFAIL:
    case SHOAL_CONTRACT_FAIL:
    case SHOAL_CONTRACT_CLEAR:
    case SHOAL_CONTRACT_COPIES:
    case SHOAL_CONTRACT_KNOWN: return judge_opinions(world, line);
    case SHOAL_CONTRACT_BROKEN: return judge_check(world, &line->expect);
    case SHOAL_CONTRACT_RESURRECTED:
    case SHOAL_CONTRACT_SESSION_BREAKS:
    case SHOAL_CONTRACT_ANOMALIES:
    case SHOAL_CONTRACT_UNAVAILABLE: return judge_found(world, &line->expect);
    case SHOAL_CONTRACT_LINEARIZABLE: return judge_linear(world, &line->expect);
    default: return judge_count(world, index);
    }
}

/* ---- time ---- */

static void settle(shoal_world *world, uint32_t index, const finding *found)
{
    shoal_expect *expect = &world->expect;
    shoal_expect_result *result = &expect->results[index];
    shoal_buffer *text = &world->scratch;
    shoal_buffer_consume(text, shoal_buffer_size(text));
    shoal_line_format(expect->lines[index], text);
    if (!found->holds) shoal_text_appendf(text, ": %s", found->words);
    if (expect->waits[index] == SHOAL_WAIT_OPEN) expect->open--;
    expect->waits[index] = SHOAL_WAIT_JUDGED;
    expect->unjudged--;
    result->judged = true;
    result->held = found->holds;
    result->judged_us = world->now_us;
    shoal_slice words = shoal_buffer_slice(text);
    snprintf(result->words, sizeof(result->words), "%.*s", (int)words.size, words.data);
    shoal_trace_record record = {.kind = SHOAL_TRACE_EXPECT,
                                 .a = result->line,
                                 .b = found->holds,
                                 .text = shoal_text(result->words)};
    shoal_world__trace_text(world, SHOAL_TRACE_WORLD, &record);
}

void shoal_expect__settle(shoal_world *world, uint32_t index, bool holds_, const char *words)
{
    SHOAL_ASSERT(world->expect.waits[index] == SHOAL_WAIT_OPEN);
    finding found = holds_ ? holds() : broken("%s", words);
    settle(world, index, &found);
}

/* Does the line ask nodes, instead of looking at what is known of them? */
static bool asks(const shoal_line *line)
{
    return line->expect.contract == SHOAL_CONTRACT_REPLY ||
           line->expect.contract == SHOAL_CONTRACT_INFO;
}

static uint32_t index_of(const shoal_expect *expect, const shoal_line *line)
{
    uint32_t index = 0;
    while (index < expect->count && expect->lines[index] != line) index++;
    return index;
}

void shoal_expect__begin(shoal_world *world, const shoal_line *line)
{
    shoal_expect *expect = &world->expect;
    uint32_t index = index_of(expect, line);
    if (index == expect->count) return;
    if (line->expect.contract == SHOAL_CONTRACT_LOST_ACKS) {
        expect->waits[index] = SHOAL_WAIT_AUDIT;
        if (!expect->auditing) shoal_client__audit(world);
        expect->auditing = true;
        return;
    }
    if (!asks(line)) {
        finding found = judge_line(world, index);
        if (found.holds || line->expect.within_us == 0) {
            settle(world, index, &found);
            return;
        }
    }
    int64_t patience_us = line->expect.within_us ? line->expect.within_us : PATIENCE_US;
    expect->waits[index] = SHOAL_WAIT_OPEN;
    expect->open++;
    shoal_world__arrange(world, world->now_us + patience_us, SHOAL_OCCURRENCE_EXPECT_DUE, index, 0);
    if (asks(line)) shoal_ask__round(world, index);
}

void shoal_expect__look(shoal_world *world)
{
    shoal_expect *expect = &world->expect;
    if (expect->open == 0 || expect->seen_version == world->judge.version) return;
    expect->seen_version = world->judge.version;
    for (uint32_t i = 0; i < expect->count; i++) {
        if (expect->waits[i] != SHOAL_WAIT_OPEN || asks(expect->lines[i])) continue;
        finding found = judge_line(world, i);
        if (found.holds) settle(world, i, &found);
    }
}

void shoal_expect__occur_due(shoal_world *world, const shoal_occurrence *occurrence)
{
    shoal_expect *expect = &world->expect;
    uint32_t index = occurrence->subject;
    if (occurrence->detail == 1) {
        expect->counts_since[index] = total(world, expect->lines[index]->expect.contract);
        return;
    }
    if (expect->waits[index] != SHOAL_WAIT_OPEN) return;
    if (asks(expect->lines[index])) {
        if (occurrence->detail == 2)
            shoal_ask__round(world, index);
        else
            shoal_ask__due(world, index);
        return;
    }
    finding found = judge_line(world, index);
    settle(world, index, &found);
}

void shoal_expect__audited(shoal_world *world)
{
    shoal_expect *expect = &world->expect;
    expect->auditing = false;
    for (uint32_t i = 0; i < expect->count; i++) {
        if (expect->waits[i] != SHOAL_WAIT_AUDIT) continue;
        finding found = judge_line(world, i);
        settle(world, i, &found);
    }
}

void shoal_expect__end(shoal_world *world)
{
    shoal_expect *expect = &world->expect;
    for (uint32_t i = 0; i < expect->count; i++) {
        if (expect->waits[i] == SHOAL_WAIT_JUDGED) continue;
        finding found = broken("the run ended before it could be judged");
        settle(world, i, &found);
    }
}
