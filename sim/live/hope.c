/* SPDX-License-Identifier: MIT
 *
 * Expect lines of a live run. A real cluster is asked from outside, a few times a second, and
 * machines have other things to do: so a line has a grace behind its time, in which it may still
 * come true.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/live/live_room.h"
#include "sim/memory.h"
#include "wire/resp.h"

/* The grace: so much, and half of `within` besides. Operations may be a tenth fewer than
 * expected. Chosen, and told in docs/SIMULATOR.md. */
#define GRACE_US INT64_C(1000000)
#define LOOK_US INT64_C(20000)
#define ASK_AGAIN_US INT64_C(50000)

/* ---- verdicts ---- */

static void settle(shoal_hope *hope, bool held)
{
    SHOAL_ASSERT(!hope->over);
    hope->over = true;
    hope->verdict->judged = true;
    hope->verdict->held = held;
    if (held) hope->verdict->words[0] = 0;
    shoal_loop__disarm(&hope->live->loop, &hope->look);
}

static bool broken(shoal_hope *hope, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool broken(shoal_hope *hope, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(hope->verdict->words, sizeof(hope->verdict->words), format, arguments);
    va_end(arguments);
    return false;
}

static bool compares(const shoal_expectation *expect, int64_t value)
{
    if (expect->compare == SHOAL_COMPARE_AT_MOST) return value <= expect->limit;
    if (expect->compare == SHOAL_COMPARE_AT_LEAST) return value >= expect->limit;
    return value == expect->limit;
}

/* ---- what nodes say ---- */

static bool active(const shoal_live *live, uint32_t node)
{
    return live->processes[node].pid != 0 && !live->processes[node].stopped;
}

static bool agree(shoal_hope *hope, uint32_t a, uint32_t b)
{
    const shoal_live *live = hope->live;
    const shoal_outlook *one = &live->outlooks[a], *other = &live->outlooks[b];
    if (!one->heard) return broken(hope, "n%u does not answer", a + 1);
    if (!one->of[b].known) return broken(hope, "n%u does not know n%u", a + 1, b + 1);
    if (one->of[b].suspect || one->of[b].failed)
        return broken(hope, "n%u holds n%u for %s", a + 1, b + 1,
                      one->of[b].failed ? "failed" : "suspect");
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        if (one->of[i].ranges != other->of[i].ranges)
            return broken(hope, "n%u and n%u have different slot maps", a + 1, b + 1);
    }
    return true;
}

static bool look_converge(shoal_hope *hope)
{
    const shoal_live *live = hope->live;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        seen += active(live, i);
        for (uint32_t j = 0; j < live->schedule->nodes; j++) {
            if (i == j || !active(live, i) || !active(live, j)) continue;
            if (!shoal_proxy__passes(live->proxy, i, j) || !shoal_proxy__passes(live->proxy, j, i))
                continue;
            if (!agree(hope, i, j)) return false;
        }
    }
    return seen > 0 || broken(hope, "no node runs");
}

static bool look_slots(shoal_hope *hope)
{
    const shoal_live *live = hope->live;
    for (uint32_t i = 0; i < live->schedule->nodes; i++) {
        const shoal_outlook *outlook = &live->outlooks[i];
        uint32_t slots = 0;
        if (!active(live, i)) continue;
        for (uint32_t j = 0; j < live->schedule->nodes; j++) {
            slots += outlook->of[j].slot_count;
            if (outlook->of[j].slot_count == 0) continue;
            if (!active(live, j) || outlook->of[j].failed)
                return broken(hope, "n%u maps slots to n%u", i + 1, j + 1);
        }
        if (slots != SHOAL_SLOTS) return broken(hope, "n%u knows owners of %u slots", i + 1, slots);
    }
    return true;
}

/* One selected node of a STATE, ROLE or KNOWN line. */
static bool look_node(shoal_hope *hope, uint32_t node)
{
    const shoal_live *live = hope->live;
    const shoal_expectation *expect = &hope->line->expect;
    const shoal_outlook *outlook = &live->outlooks[node];
    if (!outlook->heard) return broken(hope, "n%u does not answer", node + 1);
    if (expect->contract == SHOAL_CONTRACT_STATE)
        return outlook->up == expect->up ||
               broken(hope, "n%u says %s", node + 1, outlook->up ? "ok" : "fail");
    if (expect->contract == SHOAL_CONTRACT_KNOWN)
        return compares(expect, outlook->known) ||
               broken(hope, "n%u knows %u", node + 1, outlook->known);
    bool replica = live->roster.members[node].replica;
    return replica == !expect->up ||
           broken(hope, "n%u is a %s", node + 1, replica ? "replica" : "master");
}

static bool look_pair(shoal_hope *hope, uint32_t about, uint32_t by)
{
    const shoal_outlook *outlook = &hope->live->outlooks[by];
    const shoal_regard *of = &outlook->of[about];
    shoal_contract contract = hope->line->expect.contract;
    if (about == by) return true;
    if (!outlook->heard) return broken(hope, "n%u does not answer", by + 1);
    bool good = contract == SHOAL_CONTRACT_FAIL    ? of->failed
                : contract == SHOAL_CONTRACT_PFAIL ? of->suspect || of->failed
                                                   : of->known && !of->suspect && !of->failed;
    return good || broken(hope, "n%u has of n%u: %s", by + 1, about + 1,
                          !of->known    ? "never heard"
                          : of->failed  ? "fail"
                          : of->suspect ? "pfail"
                                        : "no suspicion");
}

static bool look_opinions(shoal_hope *hope)
{
    const shoal_live *live = hope->live;
    shoal_contract contract = hope->line->expect.contract;
    uint32_t *about = shoal_sim__allocate(live->schedule->nodes * 2 * sizeof(*about));
    uint32_t *by = about + live->schedule->nodes;
    uint32_t count = shoal_roster__select(&live->roster, &hope->line->left, false, about);
    uint32_t by_count = shoal_roster__select(&live->roster, &hope->line->right, false, by);
    bool pairs = contract == SHOAL_CONTRACT_PFAIL || contract == SHOAL_CONTRACT_FAIL ||
                 contract == SHOAL_CONTRACT_CLEAR;
    bool good = count > 0 || broken(hope, "the selector names nobody");
    for (uint32_t i = 0; i < count && good; i++) {
        if (!pairs) good = look_node(hope, about[i]);
        for (uint32_t j = 0; pairs && j < by_count && good; j++)
            good = look_pair(hope, about[i], by[j]);
    }
    shoal_sim__free(about);
    return good;
}

/* ---- counts ---- */

static int64_t count_of(const shoal_live *live, const shoal_expectation *expect)
{
    switch (expect->contract) {
    case SHOAL_CONTRACT_OPS: return (int64_t)live->result->operations;
    case SHOAL_CONTRACT_ERRORS: return (int64_t)live->result->errors;
    default: return (int64_t)live->failovers;
    }
}

static bool look_count(shoal_hope *hope)
{
    shoal_expectation expect = hope->line->expect;
    int64_t value = count_of(hope->live, &expect) - hope->since_value;
    if (expect.contract == SHOAL_CONTRACT_OPS && expect.compare == SHOAL_COMPARE_AT_LEAST)
        expect.limit -= expect.limit / 10;
    return compares(&expect, value) || broken(hope, "found %lld", (long long)value);
}

static bool look_lost(shoal_hope *hope)
{
    const shoal_live *live = hope->live;
    const shoal_expectation *expect = &hope->line->expect;
    int64_t from = INT64_MAX, until = 0, count = 0;
    if (live->result->audited == 0) return broken(hope, "the audit could read no key");
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++) {
        if (expect->cause != SHOAL_CAUSE_ANY && (uint32_t)expect->cause != i) continue;
        if (live->ledger.lost[i] == 0) continue;
        count += (int64_t)live->ledger.lost[i];
        if (live->ledger.lost_from_us[i] < from) from = live->ledger.lost_from_us[i];
        if (live->ledger.lost_until_us[i] > until) until = live->ledger.lost_until_us[i];
    }
    if (!compares(expect, count)) return broken(hope, "found %lld", (long long)count);
    if (count == 0 || expect->window_us == 0 || until - from <= expect->window_us) return true;
    return broken(hope, "they were acknowledged within %lld us", (long long)(until - from));
}

/* What the audit has found, over all causes, is what is measured. */
static void sum_lost(shoal_live *live)
{
    live->result->measure.lost = 0;
    for (uint32_t i = 0; i < SHOAL_CAUSE_COUNT; i++)
        live->result->measure.lost += (int64_t)live->ledger.lost[i];
}

/* ---- asking ---- */

static bool is_asking(const shoal_line *line)
{
    return line->expect.contract == SHOAL_CONTRACT_REPLY ||
           line->expect.contract == SHOAL_CONTRACT_INFO;
}

/* The parts of a reply with blanks between them, as a person would read them. */
static void append_reply(shoal_slice reply, shoal_buffer *out)
{
    shoal_answer part;
    bool first = true;
    while (reply.size > 0 && shoal_answer_next(reply, &part) == SHOAL_ERR_OK) {
        reply = (shoal_slice){reply.data + part.size, reply.size - part.size};
        if (part.type == '*' && part.integer >= 0) continue;
        if (!first) shoal_text_appendf(out, " ");
        first = false;
        if (part.type == ':')
            shoal_text_append_i64(out, part.integer);
        else if (part.integer < 0 && (part.type == '$' || part.type == '*'))
            shoal_text_appendf(out, "(nil)");
        else
            shoal_buffer_append(out, part.text);
    }
}

/* The number behind `FIELD:` or `FIELD=` at the start of a line. */
static bool read_field(shoal_slice text, shoal_slice field, int64_t *out)
{
    for (size_t at = 0; at + field.size + 1 < text.size; at++) {
        if (at > 0 && text.data[at - 1] != '\n') continue;
        const char *line = text.data + at;
        if (memcmp(line, field.data, field.size) != 0) continue;
        if (line[field.size] != ':' && line[field.size] != '=') continue;
        size_t from = field.size + 1, end = from;
        while (at + end < text.size && line[end] >= '0' && line[end] <= '9') end++;
        return shoal_text_to_i64((shoal_slice){line + from, end - from}, out);
    }
    return false;
}

static bool right_answer(shoal_hope *hope, uint32_t node, shoal_slice text)
{
    const shoal_line *line = hope->line;
    int64_t value = 0;
    size_t shown = text.size < 80 ? text.size : 80;
    if (line->expect.contract == SHOAL_CONTRACT_INFO) {
        if (!read_field(text, shoal_text(line->text), &value))
            return broken(hope, "n%u tells no number %.60s", node + 1, line->text);
        return compares(&line->expect, value) ||
               broken(hope, "n%u says %lld", node + 1, (long long)value);
    }
    shoal_slice answer = shoal_text(line->answer);
    bool good = line->expect.up ? shoal_text_equal(text, answer)
                                : shoal_text_find(text, answer) != SHOAL_TEXT_NONE;
    return good || broken(hope, "n%u says %.*s", node + 1, (int)shown, text.data);
}

static void round_over(shoal_hope *hope)
{
    shoal_live *live = hope->live;
    if (!hope->wrong)
        settle(hope, true);
    else if (shoal_live__now(live) >= hope->due_us)
        settle(hope, false);
    else
        shoal_loop__arm(&live->loop, &hope->look, shoal_loop__now(&live->loop) + ASK_AGAIN_US);
}

static void take_answer(void *context, uint32_t node, shoal_slice reply)
{
    shoal_hope *hope = context;
    if (hope->over) return;
    shoal_buffer text = shoal_buffer_make(&hope->live->loop.memory);
    append_reply(reply, &text);
    if (reply.size == 0)
        hope->wrong = !broken(hope, "n%u does not answer", node + 1);
    else if (!right_answer(hope, node, shoal_buffer_slice(&text)))
        hope->wrong = true;
    shoal_buffer_free(&text);
    SHOAL_ASSERT(hope->waiting > 0);
    if (--hope->waiting == 0) round_over(hope);
}

static void ask_round(shoal_hope *hope)
{
    shoal_live *live = hope->live;
    const shoal_line *line = hope->line;
    uint32_t *nodes = shoal_sim__allocate(live->schedule->nodes * sizeof(*nodes));
    uint32_t count = shoal_roster__select(&live->roster, &line->left, false, nodes);
    bool cluster = line->text && (strncmp(line->text, "cluster_", 8) == 0 ||
                                  strncmp(line->text, "total_cluster_", 14) == 0);
    const char *question = line->expect.contract == SHOAL_CONTRACT_REPLY ? line->text
                           : cluster                                     ? "CLUSTER INFO"
                                                                         : "INFO everything";
    hope->wrong = false;
    hope->waiting = count;
    for (uint32_t i = 0; i < count; i++)
        shoal_counter__order(live, nodes[i], question, take_answer, hope);
    shoal_sim__free(nodes);
    if (count > 0) return;
    hope->wrong = !broken(hope, "the selector names nobody");
    round_over(hope);
}

/* ---- looking ---- */

static bool holds_now(shoal_hope *hope)
{
    switch (hope->line->expect.contract) {
    case SHOAL_CONTRACT_CONVERGE: return look_converge(hope);
    case SHOAL_CONTRACT_SLOTS: return look_slots(hope);
    case SHOAL_CONTRACT_LOST_ACKS: return look_lost(hope);
    case SHOAL_CONTRACT_OPS:
    case SHOAL_CONTRACT_ERRORS:
    case SHOAL_CONTRACT_FAILOVERS: return look_count(hope);
    default: return look_opinions(hope);
    }
}

static void look(void *context)
{
    shoal_hope *hope = context;
    shoal_live *live = hope->live;
    if (hope->over) return;
    bool audit = hope->line->expect.contract == SHOAL_CONTRACT_LOST_ACKS;
    if (is_asking(hope->line)) {
        if (hope->waiting == 0) ask_round(hope);
        return;
    }
    bool ready = !audit || shoal_load__audited(live);
    if (audit && ready) sum_lost(live);
    if (ready && holds_now(hope))
        settle(hope, true);
    else if (ready && (audit || shoal_live__now(live) >= hope->due_us))
        settle(hope, false);
    else
        shoal_loop__arm(&live->loop, &hope->look, shoal_loop__now(&live->loop) + LOOK_US);
}

static void take_since(void *context)
{
    shoal_hope *hope = context;
    hope->since_value = count_of(hope->live, &hope->line->expect);
}

static bool concerns(const shoal_live *live, const shoal_line *line)
{
    if (line->kind != SHOAL_LINE_EXPECT || !shoal_live__plays(live, line)) return false;
    return line->expect.under == 0 || line->expect.under == live->options->profile;
}

void shoal_hope__make(shoal_live *live)
{
    const shoal_schedule *schedule = live->schedule;
    live->hopes = shoal_sim__allocate(SHOAL_VERDICTS_MAX * sizeof(*live->hopes));
    for (uint32_t i = 0; i < schedule->count && live->hope_count < SHOAL_VERDICTS_MAX; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (!concerns(live, line)) continue;
        shoal_hope *hope = &live->hopes[live->hope_count];
        hope->verdict = &live->result->verdicts[live->hope_count++];
        hope->verdict->line = line->number;
        hope->live = live;
        hope->line = line;
        hope->look = (shoal_timer){.fire = look, .context = hope};
        hope->since = (shoal_timer){.fire = take_since, .context = hope};
        if (line->expect.has_since)
            shoal_loop__arm(&live->loop, &hope->since, live->zero_us + line->expect.since_us);
    }
    live->result->verdict_count = live->hope_count;
}

void shoal_hope__free(shoal_live *live)
{
    for (uint32_t i = 0; i < live->hope_count; i++) {
        live->hopes[i].over = true;
        shoal_loop__disarm(&live->loop, &live->hopes[i].look);
        shoal_loop__disarm(&live->loop, &live->hopes[i].since);
    }
}

void shoal_hope__begin(shoal_live *live, const shoal_line *line)
{
    for (uint32_t i = 0; i < live->hope_count; i++) {
        shoal_hope *hope = &live->hopes[i];
        if (hope->line != line) continue;
        hope->begun = true;
        hope->due_us = line->at_us + line->expect.within_us + line->expect.within_us / 2 + GRACE_US;
        if (line->expect.contract == SHOAL_CONTRACT_LOST_ACKS && shoal_load__audited(live))
            shoal_load__audit(live);
        look(hope);
        return;
    }
}

bool shoal_hope__settled(const shoal_live *live)
{
    for (uint32_t i = 0; i < live->hope_count; i++) {
        if (live->hopes[i].begun && !live->hopes[i].over) return false;
    }
    return true;
}
