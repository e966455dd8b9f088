/* SPDX-License-Identifier: MIT
 *
 * Reading the JSON of a sweep again, to add it to another's. A small reader of JSON that hands each
 * value over with the path to it; what it does not know it skips.
 */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "sim/memory.h"
#include "sim/program.h"
#include "sim/sweep.h"

/* Deeper values are refused. */
#define DEPTH_MAX 8

/* A text under way. After an error `failed` is set, and nothing moves any more. */
typedef struct reader {
    const char *at;
    const char *end;
    bool failed;
    int depth;
    char text[512]; /* the string, number or word that was read last */
    shoal_tally *tally;
} reader;

static void blanks(reader *in)
{
    while (in->at < in->end && strchr(" \t\r\n", *in->at)) in->at++;
}

/* Takes this character; otherwise the text is wrong. */
static void demand(reader *in, char c)
{
    blanks(in);
    if (in->at < in->end && *in->at == c)
        in->at++;
    else
        in->failed = true;
}

static bool skip(reader *in, char c)
{
    blanks(in);
    if (in->failed || in->at >= in->end || *in->at != c) return false;
    in->at++;
    return true;
}

/* A character behind a backslash; of \u, only what is one byte. */
static char escaped(reader *in)
{
    static const char from[] = "nrtbf\"\\/", to[] = "\n\r\t\b\f\"\\/";
    char c = *in->at++;
    const char *found = strchr(from, c);
    if (found && c) return to[found - from];
    uint64_t code = 0;
    shoal_slice digits = {in->at, 4};
    if (c != 'u' || in->end - in->at < 4 || !shoal_text_to_hex(digits, &code) || code > 255) {
        in->failed = true;
        return 0;
    }
    in->at += 4;
    return (char)code;
}

static void read_string(reader *in)
{
    size_t size = 0;
    demand(in, '"');
    while (!in->failed && in->at < in->end && *in->at != '"') {
        char c = *in->at++;
        if (c == '\\') c = in->at < in->end ? escaped(in) : 0;
        if (size + 1 < sizeof(in->text)) in->text[size++] = c;
    }
    in->text[size] = 0;
    demand(in, '"');
}

/* A number, true, false or null, as its characters. */
static void read_word(reader *in)
{
    size_t size = 0;
    blanks(in);
    while (in->at < in->end && !strchr(" \t\r\n,]}", *in->at) && size + 1 < sizeof(in->text)) {
        in->text[size++] = *in->at++;
    }
    in->text[size] = 0;
    if (size == 0) in->failed = true;
}

static uint64_t number(reader *in)
{
    uint64_t value = 0;
    read_word(in);
    if (!in->failed && !shoal_text_to_u64(shoal_text(in->text), &value)) in->failed = true;
    return in->failed ? 0 : value;
}

static void skip_value(reader *in);

/* Reads an object; `take` gets each name and reads its value. */
static void read_object(reader *in, void (*take)(reader *in, const char *name, void *context),
                        void *context)
{
    char name[64];
    demand(in, '{');
    if (skip(in, '}')) return;
    do {
        read_string(in);
        memcpy(name, in->text, sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        demand(in, ':');
        if (!in->failed) take(in, name, context);
    } while (skip(in, ','));
    demand(in, '}');
}

/* Reads an array; `take` reads each value. */
static void read_array(reader *in, void (*take)(reader *in, uint32_t index))
{
    uint32_t index = 0;
    demand(in, '[');
    if (skip(in, ']')) return;
    do {
        if (!in->failed) take(in, index++);
    } while (skip(in, ','));
    demand(in, ']');
}

static void skip_named(reader *in, const char *name, void *context)
{
    (void)name;
    (void)context;
    skip_value(in);
}

static void skip_element(reader *in, uint32_t index)
{
    (void)index;
    skip_value(in);
}

static void skip_value(reader *in)
{
    blanks(in);
    if (in->at >= in->end || ++in->depth > DEPTH_MAX) {
        in->failed = true;
        return;
    }
    if (*in->at == '{')
        read_object(in, skip_named, NULL);
    else if (*in->at == '[')
        read_array(in, skip_element);
    else if (*in->at == '"')
        read_string(in);
    else
        read_word(in);
    in->depth--;
}

/* ---- the parts of a sweep ---- */

static void range_field(reader *in, const char *name, void *context)
{
    shoal_seed_range *range = context;
    if (strcmp(name, "from") == 0)
        range->from = number(in);
    else if (strcmp(name, "until") == 0)
        range->until = number(in);
    else
        skip_value(in);
}

static void take_range(reader *in, uint32_t index)
{
    shoal_seed_range range = {1, 0};
    (void)index;
    read_object(in, range_field, &range);
    if (range.from > range.until || !shoal_tally__cover(in->tally, range)) in->failed = true;
}

/* A mark and its name. */
typedef struct named_mark {
    char id[64];
    shoal_mark_tally tally;
} named_mark;

static void mark_field(reader *in, const char *name, void *context)
{
    named_mark *mark = context;
    if (strcmp(name, "id") == 0) {
        read_string(in);
        memcpy(mark->id, in->text, sizeof(mark->id) - 1);
    } else if (strcmp(name, "seeds") == 0) {
        mark->tally.seeds = number(in);
    } else if (strcmp(name, "times") == 0) {
        mark->tally.times = number(in);
    } else if (strcmp(name, "first") == 0) {
        mark->tally.first = number(in);
    } else {
        skip_value(in);
    }
}

static void take_mark(reader *in, uint32_t index)
{
    named_mark mark = {.id = ""};
    (void)index;
    read_object(in, mark_field, &mark);
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) {
        if (strcmp(shoal_mark_id(i), mark.id) == 0) in->tally->marks[i] = mark.tally;
    }
}

static void take_check(reader *in, uint32_t index)
{
    uint64_t made = number(in);
    if (index < SHOAL_CHECK_COUNT) in->tally->made[index] = made;
}

static void finding_field(reader *in, const char *name, void *context)
{
    shoal_finding_of_seed *finding = context;
    if (strcmp(name, "seed") == 0) {
        finding->seed = number(in);
    } else if (strcmp(name, "promise") == 0) {
        read_string(in);
        memcpy(finding->breach.promise, in->text, sizeof(finding->breach.promise) - 1);
    } else if (strcmp(name, "words") == 0) {
        read_string(in);
        memcpy(finding->breach.words, in->text, sizeof(finding->breach.words) - 1);
    } else {
        skip_value(in);
    }
}

static void take_finding(reader *in, uint32_t index)
{
    shoal_tally *tally = in->tally;
    shoal_finding_of_seed finding = {.seed = 0};
    (void)index;
    read_object(in, finding_field, &finding);
    tally->findings = shoal_sim__grow(tally->findings, &tally->finding_capacity,
                                      tally->finding_count + 1, sizeof(*tally->findings));
    tally->findings[tally->finding_count++] = finding;
}

/* The word that says how the seeds were drawn. */
static void take_manner(reader *in, const char *name)
{
    shoal_tally *tally = in->tally;
    if (strcmp(name, "reckless") == 0) {
        read_word(in);
        tally->reckless = strcmp(in->text, "true") == 0;
        return;
    }
    read_string(in);
    if (in->failed || in->text[0] == 0) return;
    if (strcmp(name, "profile") == 0) {
        tally->profile = shoal_profile_named(shoal_text(in->text));
        if (tally->profile >= SHOAL_PROFILES_COUNT) in->failed = true;
        return;
    }
    shoal_sim__free(tally->given);
    tally->given = shoal_sim__allocate(strlen(in->text) + 1);
    memcpy(tally->given, in->text, strlen(in->text) + 1);
}

/* A sum. False when the name is none. */
static bool take_sum(reader *in, const char *name)
{
    shoal_tally *tally = in->tally;
    const struct {
        const char *name;
        uint64_t *sum;
    } sums[] = {{"runs", &tally->runs},     {"broken", &tally->broken},
                {"events", &tally->events}, {"operations", &tally->operations},
                {"errors", &tally->errors}, {"records", &tally->records}};
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        if (strcmp(sums[i].name, name) != 0) continue;
        *sums[i].sum = number(in);
        return true;
    }
    if (strcmp(name, "simulated_us") != 0) return false;
    tally->time_us = (int64_t)number(in);
    return true;
}

static void take_part(reader *in, const char *name, void *context)
{
    bool *whole = context;
    if (strcmp(name, "given") == 0 || strcmp(name, "profile") == 0 ||
        strcmp(name, "reckless") == 0) {
        take_manner(in, name);
    } else if (strcmp(name, "hash") == 0) {
        read_string(in);
        if (!shoal_text_to_hex(shoal_text(in->text), &in->tally->hash)) in->failed = true;
    } else if (strcmp(name, "ranges") == 0) {
        read_array(in, take_range);
    } else if (strcmp(name, "marks") == 0) {
        read_array(in, take_mark);
    } else if (strcmp(name, "checks") == 0) {
        read_array(in, take_check);
    } else if (strcmp(name, "findings") == 0) {
        read_array(in, take_finding);
    } else if (!take_sum(in, name)) {
        *whole = *whole || strcmp(name, "sweep") == 0;
        skip_value(in);
    }
}

bool shoal_tally__read(const char *path, shoal_tally *out)
{
    size_t size = 0;
    bool whole = false;
    *out = (shoal_tally){0};
    char *text = shoal_program__read(path, &size);
    if (text == NULL) return false;
    reader in = {.at = text, .end = text + size, .tally = out};
    read_object(&in, take_part, &whole);
    shoal_sim__free(text);
    if (!in.failed && whole && out->range_count > 0) return true;
    fprintf(stderr, "%s: this is not what `shoal-sim sweep --json` writes\n", path);
    shoal_tally__free(out);
    return false;
}
