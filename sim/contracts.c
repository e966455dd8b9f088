/* SPDX-License-Identifier: MIT
 *
 * Expect lines, in and out: one small grammar for each row of sim/contracts.def.
 */
#include "sim/lines.h"

#include "base/text.h"
#include "sim/world.h"

static const char *const contract_words[SHOAL_CONTRACT_COUNT] = {
#define SHOAL_CONTRACT_ROW(NAME, word, syntax, doc) [SHOAL_CONTRACT_##NAME] = word,
#include "sim/contracts.def"
#undef SHOAL_CONTRACT_ROW
};
static const char *const compare_words[] = {"<=", ">=", "=="};
static const char *const cause_words[SHOAL_CAUSE_COUNT] = {"any",       "crash",   "failover",
                                                           "partition", "replica", "alive"};
static const char *const equal_words[] = {"equal"};
static const char *const anomaly_words[SHOAL_ANOMALY_COUNT] = {
#define SHOAL_ANOMALY_ROW(NAME, word, doc) [SHOAL_ANOMALY_##NAME] = word,
#include "sim/anomalies.def"
#undef SHOAL_ANOMALY_ROW
};
/* Guarantees of a session are rows that stand together. */
#define GUARANTEES (SHOAL_ANOMALY_WRITES_FOLLOW_READS - SHOAL_ANOMALY_READ_YOUR_WRITES + 1)
/* Outcomes that are not well, from SHOAL_OUTCOME_CLUSTERDOWN on. */
static const char *const hindrance_words[] = {"clusterdown", "tryagain", "redirected",
                                              "unreachable", "broken",   "timeout",
                                              "error"};

const char *shoal_anomaly_name(uint32_t anomaly)
{
    return anomaly < SHOAL_ANOMALY_COUNT ? anomaly_words[anomaly] : "?";
}

const char *shoal_cause_name(uint32_t cause)
{
    return cause < SHOAL_CAUSE_COUNT ? cause_words[cause] : "?";
}
static const char *const check_words[] = {
#define SHOAL_CHECK(NAME, id, doc) id,
#include "sim/checks.def"
#undef SHOAL_CHECK
};
static const char *const reply_words[] = {"has", "is"};
static const char *const state_words[] = {"fail", "ok"};
static const char *const role_words[] = {"replica", "master"};

static bool parse_limit(shoal_words *words, shoal_expectation *expect)
{
    uint64_t limit = 0;
    int compare = shoal_words__choose(words, SHOAL_FITTING(compare_words));
    if (compare < 0 || !shoal_words__number(words, INT64_MAX, &limit)) return false;
    expect->compare = (shoal_compare)compare;
    expect->limit = (int64_t)limit;
    return true;
}

/* `SEL by SEL` */
static bool parse_by(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__selector(parser, &line->left) && shoal_words__demand(&parser->words, "by") &&
           shoal_line__selector(parser, &line->right);
}

static bool parse_on(shoal_parser *parser, shoal_line *line)
{
    return shoal_words__demand(&parser->words, "on") && shoal_line__selector(parser, &line->left);
}

static bool parse_state(shoal_parser *parser, shoal_line *line)
{
    int state = shoal_words__choose(&parser->words, SHOAL_FITTING(state_words));
    if (state < 0) return false;
    line->expect.up = state == 1;
    return parse_on(parser, line);
}

static bool parse_role(shoal_parser *parser, shoal_line *line)
{
    int role = shoal_words__choose(&parser->words, SHOAL_FITTING(role_words));
    if (role < 0) return false;
    line->expect.up = role == 1;
    return parse_on(parser, line);
}

/* Perhaps `cause C`. */
static bool parse_cause(shoal_words *words, shoal_expectation *expect)
{
    if (!shoal_words__skip(words, "cause")) return !words->failed;
    int cause = shoal_words__choose(words, SHOAL_FITTING(cause_words));
    if (cause < 0) return false;
    expect->cause = (shoal_cause)cause;
    return true;
}

/* A limit and that. */
static bool parse_caused(shoal_words *words, shoal_expectation *expect)
{
    return parse_limit(words, expect) && parse_cause(words, expect);
}

/* Perhaps `window D` behind that. */
static bool parse_lost(shoal_words *words, shoal_expectation *expect)
{
    if (!parse_caused(words, expect)) return false;
    if (!shoal_words__skip(words, "window")) return !words->failed;
    return shoal_words__duration(words, &expect->window_us);
}

/* Perhaps `of GUARANTEE`, perhaps `cause C`. */
static bool parse_session(shoal_words *words, shoal_expectation *expect)
{
    if (!parse_limit(words, expect)) return false;
    if (shoal_words__skip(words, "of")) {
        shoal_fitting fitting = {anomaly_words + SHOAL_ANOMALY_READ_YOUR_WRITES, GUARANTEES, NULL};
        int which = shoal_words__choose(words, fitting);
        if (which < 0) return false;
        expect->class_ = (uint32_t)which + SHOAL_ANOMALY_READ_YOUR_WRITES + 1;
    }
    return parse_cause(words, expect);
}

/* `CLASS`, a limit, perhaps `cause C`. */
static bool parse_anomalies(shoal_words *words, shoal_expectation *expect)
{
    int which = shoal_words__choose(words, SHOAL_FITTING(anomaly_words));
    if (which < 0) return false;
    expect->class_ = (uint32_t)which + 1;
    return parse_caused(words, expect);
}

/* A limit and perhaps `by OUTCOME`. */
static bool parse_unavailable(shoal_words *words, shoal_expectation *expect)
{
    if (!parse_limit(words, expect)) return false;
    if (!shoal_words__skip(words, "by")) return !words->failed;
    int which = shoal_words__choose(words, SHOAL_FITTING(hindrance_words));
    if (which < 0) return false;
    expect->class_ = (uint32_t)which + SHOAL_OUTCOME_CLUSTERDOWN;
    return true;
}

/* Perhaps `on N` or `on N..M`: numbers of keys. */
static bool parse_keys(shoal_words *words, shoal_expectation *expect)
{
    static const char phrase[] = "numbers of keys such as 0 or 0..99";
    uint64_t first = 0, last = 0;
    shoal_word word;
    if (!shoal_words__skip(words, "on")) return !words->failed;
    if (!shoal_words__take(words, phrase, &word)) return false;
    size_t dots = shoal_text_find(word.text, shoal_text(".."));
    shoal_slice head = word.text, tail = word.text;
    if (dots != SHOAL_TEXT_NONE) {
        head.size = dots;
        tail = (shoal_slice){word.text.data + dots + 2, word.text.size - dots - 2};
    }
    bool right = shoal_text_to_u64(head, &first) && shoal_text_to_u64(tail, &last) &&
                 first <= last && last < 1000000;
    if (!right) return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
    expect->key_first = (uint32_t)first + 1;
    expect->key_last = (uint32_t)last + 1;
    return true;
}

/* A limit and perhaps `since T`. */
static bool parse_since(shoal_words *words, shoal_expectation *expect)
{
    if (!parse_limit(words, expect)) return false;
    if (!shoal_words__skip(words, "since")) return !words->failed;
    expect->has_since = true;
    return shoal_words__duration(words, &expect->since_us);
}

/* Takes a word, quoted where `quoted` says so, and keeps a copy of it. */
static bool parse_text(shoal_words *words, bool quoted, const char *phrase, char **out)
{
    shoal_word word;
    if (!shoal_words__take(words, phrase, &word)) return false;
    if (word.quoted != quoted || word.text.size == 0) {
        return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
    }
    *out = shoal_line__copy(word.text);
    return true;
}

/* `"COMMAND" is "TEXT" on SEL` */
static bool parse_reply(shoal_parser *parser, shoal_line *line)
{
    shoal_words *words = &parser->words;
    if (!parse_text(words, true, "a command in quotes", &line->text)) return false;
    int is = shoal_words__choose(words, SHOAL_FITTING(reply_words));
    if (is < 0) return false;
    line->expect.up = is == 1;
    return parse_text(words, true, "a text in quotes", &line->answer) && parse_on(parser, line);
}

static bool parse_info(shoal_parser *parser, shoal_line *line)
{
    return parse_text(&parser->words, false, "a field such as sync_full", &line->text) &&
           parse_limit(&parser->words, &line->expect) && parse_on(parser, line);
}

static bool parse_broken(shoal_parser *parser, shoal_line *line)
{
    int check = shoal_words__choose(&parser->words, SHOAL_FITTING(check_words));
    if (check < 0) return false;
    line->expect.check = (uint32_t)check;
    return parse_limit(&parser->words, &line->expect);
}

static bool parse_body(shoal_parser *parser, shoal_line *line)
{
    shoal_words *words = &parser->words;
    switch (line->expect.contract) {
    case SHOAL_CONTRACT_CONVERGE: return true;
    case SHOAL_CONTRACT_SLOTS: return shoal_words__demand(words, "covered");
    case SHOAL_CONTRACT_STATE: return parse_state(parser, line);
    case SHOAL_CONTRACT_ROLE: return parse_role(parser, line);
    case SHOAL_CONTRACT_PFAIL:
    case SHOAL_CONTRACT_FAIL:
    case SHOAL_CONTRACT_CLEAR: return parse_by(parser, line);
    case SHOAL_CONTRACT_KNOWN: return parse_limit(words, &line->expect) && parse_on(parser, line);
    case SHOAL_CONTRACT_REPLY: return parse_reply(parser, line);
    case SHOAL_CONTRACT_BROKEN: return parse_broken(parser, line);
    case SHOAL_CONTRACT_INFO: return parse_info(parser, line);
    case SHOAL_CONTRACT_COPIES:
        return shoal_words__choose(words, SHOAL_FITTING(equal_words)) == 0 &&
               parse_on(parser, line);
    case SHOAL_CONTRACT_LOST_ACKS: return parse_lost(words, &line->expect);
    case SHOAL_CONTRACT_STALE_READS:
    case SHOAL_CONTRACT_RESURRECTED: return parse_caused(words, &line->expect);
    case SHOAL_CONTRACT_SESSION_BREAKS: return parse_session(words, &line->expect);
    case SHOAL_CONTRACT_ANOMALIES: return parse_anomalies(words, &line->expect);
    case SHOAL_CONTRACT_UNAVAILABLE: return parse_unavailable(words, &line->expect);
    case SHOAL_CONTRACT_LINEARIZABLE: return parse_keys(words, &line->expect);
    default: return parse_since(words, &line->expect);
    }
}

bool shoal_line__parse_contract(shoal_parser *parser, shoal_line *line)
{
    shoal_words *words = &parser->words;
    int contract = shoal_words__choose(words, SHOAL_FITTING(contract_words));
    if (contract < 0) return false;
    line->expect.contract = (shoal_contract)contract;
    if (!parse_body(parser, line)) return false;
    bool waits = contract < SHOAL_CONTRACT_LOST_ACKS;
    if (waits && shoal_words__skip(words, "within") &&
        !shoal_words__duration(words, &line->expect.within_us)) {
        return false;
    }
    return shoal_profile__parse_under(parser, line) && shoal_words__done(words);
}

/* ---- out ---- */

static void format_by(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, " ");
    shoal_line__format_selector(&line->left, out);
    shoal_text_appendf(out, " by ");
    shoal_line__format_selector(&line->right, out);
}

static void format_limit(const shoal_expectation *expect, shoal_buffer *out)
{
    shoal_text_appendf(out, " %s %ld", compare_words[expect->compare], (long)expect->limit);
}

/* Contracts about what clients found. False for all others. */
static bool format_found(const shoal_expectation *expect, shoal_buffer *out)
{
    switch (expect->contract) {
    case SHOAL_CONTRACT_SESSION_BREAKS:
        format_limit(expect, out);
        if (expect->class_) shoal_text_appendf(out, " of %s", anomaly_words[expect->class_ - 1]);
        break;
    case SHOAL_CONTRACT_ANOMALIES:
        shoal_text_appendf(out, " %s", anomaly_words[expect->class_ - 1]);
        format_limit(expect, out);
        break;
    case SHOAL_CONTRACT_UNAVAILABLE:
        format_limit(expect, out);
        if (expect->class_)
            shoal_text_appendf(out, " by %s",
                               hindrance_words[expect->class_ - SHOAL_OUTCOME_CLUSTERDOWN]);
        break;
    case SHOAL_CONTRACT_LINEARIZABLE:
        if (expect->key_first) shoal_text_appendf(out, " on %u", expect->key_first - 1);
        if (expect->key_last > expect->key_first)
            shoal_text_appendf(out, "..%u", expect->key_last - 1);
        break;
    default: return false;
    }
    if (expect->cause) shoal_text_appendf(out, " cause %s", cause_words[expect->cause]);
    return true;
}

static void format_body(const shoal_line *line, shoal_buffer *out)
{
    const shoal_expectation *expect = &line->expect;
    if (format_found(expect, out)) return;
    switch (expect->contract) {
    case SHOAL_CONTRACT_CONVERGE: return;
    case SHOAL_CONTRACT_SLOTS: shoal_text_appendf(out, " covered"); return;
    case SHOAL_CONTRACT_COPIES: shoal_text_appendf(out, " equal on "); break;
    case SHOAL_CONTRACT_STATE: shoal_text_appendf(out, " %s on ", state_words[expect->up]); break;
    case SHOAL_CONTRACT_ROLE: shoal_text_appendf(out, " %s on ", role_words[expect->up]); break;
    case SHOAL_CONTRACT_PFAIL:
    case SHOAL_CONTRACT_FAIL:
    case SHOAL_CONTRACT_CLEAR: format_by(line, out); return;
    case SHOAL_CONTRACT_REPLY:
        shoal_text_appendf(out, " \"%s\" %s \"%s\" on ", line->text, reply_words[expect->up],
                           line->answer);
        break;
    case SHOAL_CONTRACT_INFO:
        shoal_text_appendf(out, " %s", line->text);
        format_limit(expect, out);
        shoal_text_appendf(out, " on ");
        break;
    case SHOAL_CONTRACT_BROKEN:
        shoal_text_appendf(out, " %s", check_words[expect->check]);
        format_limit(expect, out);
        return;
    case SHOAL_CONTRACT_KNOWN:
        format_limit(expect, out);
        shoal_text_appendf(out, " on ");
        break;
    default:
        format_limit(expect, out);
        if (expect->cause) shoal_text_appendf(out, " cause %s", cause_words[expect->cause]);
        if (expect->window_us > 0) {
            shoal_text_appendf(out, " window ");
            shoal_line__format_duration(expect->window_us, out);
        }
        if (expect->has_since) {
            shoal_text_appendf(out, " since ");
            shoal_line__format_duration(expect->since_us, out);
        }
        return;
    }
    shoal_line__format_selector(&line->left, out);
}

void shoal_line__format_contract(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, " %s", contract_words[line->expect.contract]);
    format_body(line, out);
    if (line->expect.within_us > 0) {
        shoal_text_appendf(out, " within ");
        shoal_line__format_duration(line->expect.within_us, out);
    }
    if (line->expect.under) {
        shoal_text_appendf(out, " under %s", shoal_profile_name(line->expect.under));
    }
}
