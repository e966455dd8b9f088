/* SPDX-License-Identifier: MIT
 *
 * A schedule as a whole: its lines cut from the text, comments kept beside them, put into
 * canonical order, checked against each other.
 */
#include "sim/schedule.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "sim/lines.h"
#include "sim/memory.h"

static const char *const line_words[SHOAL_LINE_COUNT] = {
#define SHOAL_LINE(NAME, name, timed, syntax, doc) [SHOAL_LINE_##NAME] = #name,
#include "sim/lines.def"
#undef SHOAL_LINE
};

/* The words of set-up lines come first in the table, up to this one. */
#define FIRST_TIMED SHOAL_LINE_NET

typedef bool (*parse_function)(shoal_parser *parser, shoal_line *line);
static const parse_function line_parses[SHOAL_LINE_COUNT] = {
#define SHOAL_LINE(NAME, name, timed, syntax, doc) [SHOAL_LINE_##NAME] = shoal_line__parse_##name,
#include "sim/lines.def"
#undef SHOAL_LINE
};

/* ---- one line ---- */

/* Where the comment of a line begins, or its size: a `#` at the start or behind a blank, outside
 * quotes. */
static size_t comment_start(shoal_slice line)
{
    bool quoted = false;
    for (size_t i = 0; i < line.size; i++) {
        char c = line.data[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == '#' && !quoted &&
                 (i == 0 || line.data[i - 1] == ' ' || line.data[i - 1] == '\t'))
            return i;
    }
    return line.size;
}

static size_t trimmed(const char *text, size_t size)
{
    while (size > 0 &&
           (text[size - 1] == ' ' || text[size - 1] == '\t' || text[size - 1] == '\r')) {
        size--;
    }
    return size;
}

/* Reads the word that begins a line, behind its time if it has one. */
static bool parse_head(shoal_parser *parser, bool timed, shoal_line *line)
{
    shoal_fitting fitting =
        timed ? (shoal_fitting){line_words + FIRST_TIMED, SHOAL_LINE_COUNT - FIRST_TIMED, NULL}
              : (shoal_fitting){line_words, FIRST_TIMED, "a time such as 2.5s"};
    int which = shoal_words__choose(&parser->words, fitting);
    if (which < 0) return false;
    line->kind = (shoal_line_kind)(which + (timed ? (int)FIRST_TIMED : 0));
    return true;
}

/* May a line of this kind stand here? */
static bool check_order(shoal_parser *parser, const shoal_line *line)
{
    const shoal_schedule *schedule = parser->schedule;
    shoal_word word = {shoal_text(line_words[line->kind]), 1, false};
    if ((schedule->count == 0) != (line->kind == SHOAL_LINE_SCHEDULE)) {
        return shoal_words__complain(&parser->words, &word,
                                     schedule->count == 0
                                         ? "but the first line must be: schedule v1"
                                         : "but the line is there already");
    }
    bool setup = line->kind == SHOAL_LINE_SCHEDULE || line->kind == SHOAL_LINE_SEED;
    if (line->kind == SHOAL_LINE_CLUSTER ? schedule->nodes != 0 : schedule->nodes == 0 && !setup) {
        return shoal_words__complain(&parser->words, &word,
                                     schedule->nodes != 0
                                         ? "but a schedule has one cluster line"
                                         : "but the cluster line must come before");
    }
    return true;
}

/* Reads one line without its comment. */
static bool parse_line(shoal_parser *parser, shoal_line *line)
{
    shoal_word word;
    line->number = parser->words.number;
    bool timed = shoal_words__peek(&parser->words, &word) && word.text.size > 0 &&
                 word.text.data[0] >= '0' && word.text.data[0] <= '9';
    if (timed && !shoal_words__duration(&parser->words, &line->at_us)) return false;
    return parse_head(parser, timed, line) && check_order(parser, line) &&
           line_parses[line->kind](parser, line);
}

void shoal_line_free(shoal_line *line)
{
    shoal_sim__free(line->text);
    shoal_sim__free(line->answer);
    shoal_sim__free(line->comment_before);
    shoal_sim__free(line->comment_behind);
    line->text = line->answer = line->comment_before = line->comment_behind = NULL;
}

/* ---- the whole ---- */

void shoal_schedule_free(shoal_schedule *schedule)
{
    for (uint32_t i = 0; i < schedule->count; i++) shoal_line_free(&schedule->lines[i]);
    shoal_sim__free(schedule->lines);
    shoal_sim__free(schedule->comment_end);
    *schedule = (shoal_schedule){0};
}

/* Comment lines and single blank lines that wait for the line that they belong to. */
typedef struct comment_lines {
    shoal_buffer text;
    bool blank;
} comment_lines;

static void keep_comment(comment_lines *comments, shoal_slice comment)
{
    if (comments->blank) shoal_text_appendf(&comments->text, "\n");
    comments->blank = false;
    shoal_buffer_append(&comments->text, comment);
    shoal_text_appendf(&comments->text, "\n");
}

static char *take_comments(comment_lines *comments)
{
    char *text = NULL;
    if (comments->blank) shoal_text_appendf(&comments->text, "\n");
    comments->blank = false;
    if (shoal_buffer_size(&comments->text) > 0) {
        text = shoal_line__copy(shoal_buffer_slice(&comments->text));
    }
    shoal_buffer_consume(&comments->text, shoal_buffer_size(&comments->text));
    return text;
}

/* What a line tells about the whole. */
static void absorb(shoal_schedule *schedule, const shoal_line *line)
{
    if (line->kind == SHOAL_LINE_SEED) schedule->seed = (uint64_t)line->amount;
    if (line->kind == SHOAL_LINE_PROFILES) {
        uint32_t first = (uint32_t)line->choice;
        uint32_t other = SHOAL_PROFILE_OF_REDIS + SHOAL_PROFILE_OF_SHOAL - first;
        schedule->profiles[0] = first;
        schedule->profiles[1] = line->both ? other : 0;
    }
    if (line->kind == SHOAL_LINE_CLUSTER) {
        schedule->nodes = line->nodes;
        schedule->masters = line->masters;
        schedule->replicas = line->replicas;
        schedule->meet = (shoal_meet)line->choice;
        schedule->node_timeout_us = line->node_timeout_us;
    }
    if (line->kind == SHOAL_LINE_CLIENT && line->left.atoms[0].first > schedule->clients) {
        schedule->clients = line->left.atoms[0].first;
    }
}

/* Reads one line of the text and adds it. `columns` of the words count in the raw line. */
static bool add_line(shoal_parser *parser, shoal_schedule *schedule, comment_lines *comments,
                     shoal_slice raw)
{
    size_t comment = comment_start(raw);
    size_t size = trimmed(raw.data, comment);
    size_t lead = 0;
    while (lead < size && (raw.data[lead] == ' ' || raw.data[lead] == '\t')) lead++;
    shoal_slice remark = {raw.data + comment, trimmed(raw.data + comment, raw.size - comment)};
    if (lead == size) {
        if (remark.size > 0)
            keep_comment(comments, remark);
        else
            comments->blank = schedule->count > 0 || shoal_buffer_size(&comments->text) > 0;
        return true;
    }
    parser->words.line = raw.data;
    parser->words.size = size;
    parser->words.at = 0;
    shoal_line line = {0};
    bool good = parse_line(parser, &line);
    if (good && schedule->count == SHOAL_SCHEDULE_LINES_MAX) {
        shoal_word word = {{raw.data + lead, size - lead}, (uint32_t)lead + 1, false};
        good =
            shoal_words__complain(&parser->words, &word, "but a schedule has at most 100000 lines");
    }
    if (!good) {
        shoal_line_free(&line);
        return false;
    }
    line.comment_before = take_comments(comments);
    if (remark.size > 0) line.comment_behind = shoal_line__copy(remark);
    schedule->lines = shoal_sim__grow(schedule->lines, &schedule->capacity, schedule->count + 1,
                                      sizeof(*schedule->lines));
    schedule->lines[schedule->count++] = line;
    absorb(schedule, &line);
    return true;
}

/* Set-up lines first, then by time; equal ones keep their order: a merge sort, for that reason. */
static void sort_lines(shoal_line *lines, shoal_line *spare, uint32_t count)
{
    if (count < 2) return;
    uint32_t half = count / 2, i = 0, j = half, k = 0;
    sort_lines(lines, spare, half);
    sort_lines(lines + half, spare, count - half);
    memcpy(spare, lines, count * sizeof(*lines));
    while (i < half || j < count) {
        bool right = i == half;
        if (i < half && j < count) {
            const shoal_line *a = &spare[i], *b = &spare[j];
            bool timed_a = a->kind >= FIRST_TIMED, timed_b = b->kind >= FIRST_TIMED;
            right = timed_a != timed_b ? timed_a : b->at_us < a->at_us;
        }
        lines[k++] = spare[right ? j++ : i++];
    }
}

/* Every client that is spoken of must start somewhere. */
static bool check_clients(shoal_parser *parser, const shoal_schedule *schedule)
{
    for (uint32_t i = 0; i < schedule->count; i++) {
        const shoal_line *line = &schedule->lines[i];
        if (line->kind == SHOAL_LINE_CLIENT) parser->mentions[line->left.atoms[0].first].line = 0;
    }
    for (uint32_t i = 1; i <= SHOAL_SCHEDULE_CLIENTS_MAX; i++) {
        if (parser->mentions[i].line == 0) continue;
        char name[16];
        snprintf(name, sizeof(name), "c%u", i);
        shoal_word word = {shoal_text(name), parser->mentions[i].column, false};
        parser->words.number = parser->mentions[i].line;
        return shoal_words__complain(&parser->words, &word, "but no client line starts it");
    }
    return true;
}

/* ---- making one line by line ---- */

struct shoal_schedule_builder {
    shoal_schedule schedule;
    shoal_parser parser;
    comment_lines comments;
    shoal_allocator memory;
};

shoal_schedule_builder *shoal_schedule_build(void)
{
    shoal_schedule_builder *builder = shoal_sim__allocate(sizeof(*builder));
    builder->schedule.seed = 1;
    builder->memory = shoal_allocator_default();
    builder->comments.text = shoal_buffer_make(&builder->memory);
    builder->parser.schedule = &builder->schedule;
    builder->parser.mentions =
        shoal_sim__allocate((SHOAL_SCHEDULE_CLIENTS_MAX + 1) * sizeof(shoal_mention));
    return builder;
}

void shoal_schedule_build_drop(shoal_schedule_builder *builder)
{
    shoal_buffer_free(&builder->comments.text);
    shoal_sim__free(builder->parser.mentions);
    shoal_schedule_free(&builder->schedule);
    shoal_sim__free(builder);
}

shoal_err shoal_schedule_build_line(shoal_schedule_builder *builder, shoal_slice line,
                                    shoal_schedule_error *error)
{
    *error = (shoal_schedule_error){0};
    builder->parser.words.error = error;
    builder->parser.words.failed = false;
    builder->parser.words.number++;
    return add_line(&builder->parser, &builder->schedule, &builder->comments, line)
               ? SHOAL_ERR_OK
               : SHOAL_ERR_MALFORMED;
}

const shoal_schedule *shoal_schedule_built(const shoal_schedule_builder *builder)
{
    return &builder->schedule;
}

/* What only the whole can tell: nothing is missing, every client starts. */
static bool check_whole(shoal_schedule_builder *builder, shoal_schedule_error *error)
{
    shoal_parser *parser = &builder->parser;
    *error = (shoal_schedule_error){0};
    parser->words.error = error;
    parser->words.failed = false;
    builder->comments.blank = false;
    builder->schedule.comment_end = take_comments(&builder->comments);
    if (builder->schedule.nodes > 0) return check_clients(parser, &builder->schedule);
    shoal_word word = {{"", 0}, 1, false};
    parser->words.number++;
    return shoal_words__complain(&parser->words, &word,
                                 "but a schedule needs: schedule v1, and a "
                                 "cluster line");
}

shoal_err shoal_schedule_build_end(shoal_schedule_builder *builder, shoal_schedule *out,
                                   shoal_schedule_error *error)
{
    bool good = check_whole(builder, error);
    *out = (shoal_schedule){0};
    if (good) {
        *out = builder->schedule;
        builder->schedule = (shoal_schedule){0};
        shoal_line *spare = shoal_sim__allocate(out->count * sizeof(*spare));
        sort_lines(out->lines, spare, out->count);
        shoal_sim__free(spare);
    }
    shoal_schedule_build_drop(builder);
    return good ? SHOAL_ERR_OK : SHOAL_ERR_MALFORMED;
}

shoal_err shoal_schedule_parse(shoal_slice text, shoal_schedule *out, shoal_schedule_error *error)
{
    *out = (shoal_schedule){0};
    if (text.size > 0 && memchr(text.data, 0, text.size) != NULL) {
        *error = (shoal_schedule_error){1, 1, "a schedule is text; this has bytes that are zero"};
        return SHOAL_ERR_MALFORMED;
    }
    shoal_schedule_builder *builder = shoal_schedule_build();
    size_t at = 0;
    while (at < text.size) {
        const char *newline = memchr(text.data + at, '\n', text.size - at);
        size_t end = newline ? (size_t)(newline - text.data) : text.size;
        shoal_slice line = {text.data + at, end - at};
        if (shoal_schedule_build_line(builder, line, error) != SHOAL_ERR_OK) {
            shoal_schedule_build_drop(builder);
            return SHOAL_ERR_MALFORMED;
        }
        at = end + 1;
    }
    return shoal_schedule_build_end(builder, out, error);
}

shoal_err shoal_schedule_parse_action(shoal_slice text, int64_t at_us, const shoal_schedule *whole,
                                      shoal_line *out, shoal_schedule_error *error)
{
    *out = (shoal_line){.number = 1};
    *error = (shoal_schedule_error){0};
    shoal_parser parser = {
        .words = {.line = text.data, .size = text.size, .number = 1, .error = error},
        .schedule = whole};
    shoal_word word;
    int64_t ignored = 0;
    if (shoal_words__peek(&parser.words, &word) && word.text.size > 0 && !word.quoted &&
        word.text.data[0] >= '0' && word.text.data[0] <= '9') {
        shoal_words__duration(&parser.words, &ignored);
    }
    bool good = parse_head(&parser, true, out) && line_parses[out->kind](&parser, out);
    if (!good) {
        shoal_line_free(out);
        return SHOAL_ERR_MALFORMED;
    }
    out->at_us = at_us;
    return SHOAL_ERR_OK;
}

uint64_t shoal_schedule_hash(const shoal_schedule *schedule)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    uint64_t hash = 0;
    for (uint32_t i = 0; i < schedule->count; i++) {
        shoal_line line = schedule->lines[i];
        if (line.kind == SHOAL_LINE_SEED) continue;
        shoal_text_appendf(&text, "%ld ", (long)line.at_us);
        shoal_line_format(&line, &text);
        shoal_text_appendf(&text, "\n");
    }
    shoal_slice bytes = shoal_buffer_slice(&text);
    for (size_t i = 0; i < bytes.size; i++) {
        hash = shoal_prng_mix((hash ^ (unsigned char)bytes.data[i]) + 0x9E3779B97F4A7C15ull);
    }
    shoal_buffer_free(&text);
    return hash;
}
