/* SPDX-License-Identifier: MIT
 *
 * Reading and writing the lines about rarer faults: refused connects, dead connections, frames of
 * one kind, clogged and slow hosts, new addresses, and crashes at an event.
 */
#include <string.h>

#include <shoal/trace.h>

#include "base/text.h"
#include "sim/lines.h"
#include "wire/bus.h"

static const char *const frames[SHOAL_FRAME_TYPE_COUNT] = {
    "ping",     "pong",   "meet",    "fail",   "publish",     "auth_request",
    "auth_ack", "update", "mfstart", "module", "publishshard"};

#define COUNT_MAX UINT64_C(1000000000)

/* A number of at least 1. */
static bool count(shoal_words *words, uint64_t *out)
{
    shoal_word word;
    bool more = shoal_words__peek(words, &word);
    if (!shoal_words__number(words, COUNT_MAX, out)) return false;
    if (*out > 0 || !more) return true;
    return shoal_words__complain(words, &word, "but counting begins with 1");
}

/* ---- the network ---- */

bool shoal_line__parse_refuse(shoal_parser *parser, shoal_line *line)
{
    if (!shoal_line__sides(parser, false, line)) return false;
    if (shoal_words__skip(&parser->words, "by")) {
        if (!shoal_words__demand(&parser->words, "timeout")) return false;
        line->by_timeout = true;
    }
    return shoal_words__done(&parser->words);
}

void shoal_line__format_refuse(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    if (line->by_timeout) shoal_text_appendf(out, " by timeout");
}

bool shoal_line__parse_strand(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__sides(parser, false, line) && shoal_words__done(&parser->words);
}

void shoal_line__format_strand(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
}

bool shoal_line__parse_drop(shoal_parser *parser, shoal_line *line)
{
    static const char *const options[] = {"number", "times"};
    shoal_words *words = &parser->words;
    shoal_word word;
    int frame = shoal_words__choose(words, SHOAL_FITTING(frames));
    if (frame < 0) return false;
    line->kind_wanted = (uint32_t)frame;
    line->which = line->times = 1;
    if (!shoal_line__sides(parser, false, line)) return false;
    while (!words->failed && shoal_words__peek(words, &word)) {
        int option = shoal_words__choose(words, SHOAL_FITTING(options));
        if (option < 0 || !count(words, option == 0 ? &line->which : &line->times)) return false;
    }
    return !words->failed;
}

void shoal_line__format_drop(const shoal_line *line, shoal_buffer *out)
{
    shoal_text_appendf(out, " %s", frames[line->kind_wanted]);
    shoal_line__format_sides(line, out);
    if (line->which != 1) shoal_text_appendf(out, " number %lu", (unsigned long)line->which);
    if (line->times != 1) shoal_text_appendf(out, " times %lu", (unsigned long)line->times);
}

/* `WORD D` behind a selector. */
static bool word_and_duration(shoal_parser *parser, const char *word, shoal_line *line)
{
    return shoal_words__demand(&parser->words, word) &&
           shoal_words__duration(&parser->words, &line->amount) &&
           shoal_words__done(&parser->words);
}

bool shoal_line__parse_swizzle(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__selector(parser, &line->left) && word_and_duration(parser, "over", line);
}

void shoal_line__format_swizzle(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    shoal_text_appendf(out, " over ");
    shoal_line__format_duration(line->amount, out);
}

bool shoal_line__parse_readdress(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__nodes(parser, &line->left) && shoal_words__done(&parser->words);
}

void shoal_line__format_readdress(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
}

/* ---- processes ---- */

bool shoal_line__parse_busy(shoal_parser *parser, shoal_line *line)
{
    return shoal_line__nodes(parser, &line->left) && word_and_duration(parser, "for", line);
}

void shoal_line__format_busy(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    shoal_text_appendf(out, " for ");
    shoal_line__format_duration(line->amount, out);
}

bool shoal_line__parse_slow(shoal_parser *parser, shoal_line *line)
{
    static const char *const options[] = {"by", "off"};
    uint64_t factor = 0;
    if (!shoal_line__nodes(parser, &line->left)) return false;
    int option = shoal_words__choose(&parser->words, SHOAL_FITTING(options));
    if (option < 0 || (option == 0 && !count(&parser->words, &factor))) return false;
    line->amount = (int64_t)factor;
    return shoal_words__done(&parser->words);
}

void shoal_line__format_slow(const shoal_line *line, shoal_buffer *out)
{
    shoal_line__format_sides(line, out);
    if (line->amount == 0)
        shoal_text_appendf(out, " off");
    else
        shoal_text_appendf(out, " by %ld", (long)line->amount);
}

/* ---- crashes at an event ---- */

/* Kinds of trace records: their values, and what words say for them. */
typedef struct record_row {
    uint32_t kind;
    const char *name;
} record_row;

static const record_row records[] = {
#define SHOAL_TRACE(name, value, a, b, c, text, doc) {value, #name},
#include <shoal/trace.def>
#undef SHOAL_TRACE
};
#define RECORDS (sizeof(records) / sizeof(records[0]))

/* Is `text` the name in small letters? */
static bool is_lower(shoal_slice text, const char *name)
{
    if (text.size != strlen(name)) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != shoal_text_lower(name[i])) return false;
    }
    return true;
}

static bool record_kind(shoal_words *words, uint32_t *out)
{
    static const char phrase[] = "a kind of trace record in small letters such as fail or vote";
    shoal_word word;
    if (!shoal_words__take(words, phrase, &word)) return false;
    for (size_t i = 0; i < RECORDS; i++) {
        if (word.quoted || !is_lower(word.text, records[i].name)) continue;
        *out = records[i].kind;
        return true;
    }
    return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
}

bool shoal_line__parse_trigger(shoal_parser *parser, shoal_line *line)
{
    static const char *const options[] = {"event", "record"};
    shoal_words *words = &parser->words;
    int option = shoal_words__choose(words, SHOAL_FITTING(options));
    if (option < 0) return false;
    line->trigger = option == 0 ? SHOAL_TRIGGER_EVENT : SHOAL_TRIGGER_RECORD;
    line->which = 1;
    if (option == 0) return count(words, &line->which);
    if (!record_kind(words, &line->kind_wanted)) return false;
    return !shoal_words__skip(words, "number") || count(words, &line->which);
}

void shoal_line__format_trigger(const shoal_line *line, shoal_buffer *out)
{
    if (line->trigger == SHOAL_TRIGGER_EVENT) {
        shoal_text_appendf(out, " at event %lu", (unsigned long)line->which);
    }
    if (line->trigger != SHOAL_TRIGGER_RECORD) return;
    shoal_text_appendf(out, " at record ");
    for (size_t i = 0; i < RECORDS; i++) {
        if (records[i].kind != line->kind_wanted) continue;
        for (const char *c = records[i].name; *c; c++) {
            shoal_text_appendf(out, "%c", shoal_text_lower(*c));
        }
    }
    if (line->which != 1) shoal_text_appendf(out, " number %lu", (unsigned long)line->which);
}
