/* SPDX-License-Identifier: MIT
 *
 * Words of a schedule line, and the errors about them. Every error names line, column, what was
 * found, what would have fitted, and the nearest of it. All reading is in integers.
 */
#include "sim/words.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Longest word that an error repeats. */
#define SHOWN_MAX 40

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(shoal_words *words)
{
    while (words->at < words->size && is_blank(words->line[words->at])) words->at++;
}

/* Where the word that starts at `at` ends. Parentheses keep their content together. */
static size_t word_end(const shoal_words *words, size_t at)
{
    int depth = 0;
    while (at < words->size) {
        char c = words->line[at];
        if (c == '(') depth++;
        if (c == ')' && depth > 0) depth--;
        if (is_blank(c) && depth == 0) break;
        at++;
    }
    return at;
}

/* Where the quoted word whose opening quote is at `at` ends: behind its closing quote, or 0. */
static size_t quote_end(const shoal_words *words, size_t at)
{
    for (at++; at < words->size; at++) {
        if (words->line[at] == '\\') {
            at++;
        } else if (words->line[at] == '"') {
            return at + 1;
        }
    }
    return 0;
}

static void set_error(shoal_words *words, uint32_t column, const char *message)
{
    if (words->failed) return;
    words->failed = true;
    words->error->line = words->number;
    words->error->column = column;
    snprintf(words->error->message, sizeof(words->error->message), "%s", message);
}

/* Reads the word at the present place; returns where the next one starts, 0 at the end. */
static size_t read_word(shoal_words *words, shoal_word *word)
{
    skip_blanks(words);
    if (words->failed || words->at >= words->size) return 0;
    word->column = (uint32_t)words->at + 1;
    word->quoted = words->line[words->at] == '"';
    if (!word->quoted) {
        size_t end = word_end(words, words->at);
        word->text = (shoal_slice){words->line + words->at, end - words->at};
        return end;
    }
    size_t end = quote_end(words, words->at);
    if (end == 0) {
        set_error(words, word->column, "a quoted text has no closing \"");
        return 0;
    }
    word->text = (shoal_slice){words->line + words->at + 1, end - words->at - 2};
    return end;
}

bool shoal_words__peek(shoal_words *words, shoal_word *word)
{
    return read_word(words, word) != 0;
}

bool shoal_words__take(shoal_words *words, const char *phrase, shoal_word *word)
{
    size_t end = read_word(words, word);
    if (end != 0) {
        words->at = end;
        return true;
    }
    if (words->failed) return false;
    char message[128];
    snprintf(message, sizeof(message), "the line ends here, expected %s", phrase);
    set_error(words, (uint32_t)words->size + 1, message);
    return false;
}

bool shoal_words__skip(shoal_words *words, const char *text)
{
    shoal_word word;
    size_t end = read_word(words, &word);
    if (end == 0 || word.quoted || !shoal_text_equal(word.text, shoal_text(text))) return false;
    words->at = end;
    return true;
}

/* ---- errors ---- */

/* Edit distance between two short words, or a large number for long ones. */
static uint32_t distance(shoal_slice a, const char *b)
{
    uint32_t row[SHOWN_MAX + 1];
    size_t columns = strlen(b);
    if (a.size > SHOWN_MAX || columns > SHOWN_MAX) return UINT32_MAX;
    for (uint32_t j = 0; j <= columns; j++) row[j] = j;
    for (size_t i = 0; i < a.size; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i + 1;
        for (size_t j = 0; j < columns; j++) {
            uint32_t changed = diagonal + (shoal_text_lower(a.data[i]) != b[j]);
            diagonal = row[j + 1];
            uint32_t shorter = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            row[j + 1] = changed < shorter ? changed : shorter;
        }
    }
    return row[columns];
}

/* The word nearest to `text`, or NULL when none is near. */
static const char *nearest(shoal_slice text, shoal_fitting fitting)
{
    const char *best = NULL;
    uint32_t best_distance = 3;
    for (uint32_t i = 0; i < fitting.count; i++) {
        uint32_t d = distance(text, fitting.words[i]);
        if (d < best_distance && d < strlen(fitting.words[i])) {
            best_distance = d;
            best = fitting.words[i];
        }
    }
    return best;
}

/* Appends to a text of fixed size, cutting what does not fit. */
static void add(char *to, size_t size, const char *text)
{
    size_t used = strlen(to);
    snprintf(to + used, size - used, "%s", text);
}

/* `found "word"`, cut to what a person wants to see; control bytes become a dot. */
static void add_found(char *to, size_t size, const shoal_word *word)
{
    char shown[SHOWN_MAX + 1];
    size_t n = word->text.size < SHOWN_MAX ? word->text.size : SHOWN_MAX;
    for (size_t i = 0; i < n; i++) {
        char c = word->text.data[i];
        shown[i] = (unsigned char)c < 0x20 || c == 0x7F ? '.' : c;
    }
    shown[n] = 0;
    add(to, size, "found \"");
    add(to, size, shown);
    add(to, size, word->text.size > SHOWN_MAX ? "...\"" : "\"");
}

bool shoal_words__wrong(shoal_words *words, const shoal_word *word, shoal_fitting fitting)
{
    char message[sizeof(words->error->message)] = "";
    add_found(message, sizeof(message), word);
    add(message, sizeof(message), ", expected ");
    if (fitting.phrase) add(message, sizeof(message), fitting.phrase);
    for (uint32_t i = 0; i < fitting.count; i++) {
        if (i > 0 || fitting.phrase)
            add(message, sizeof(message), i + 1 < fitting.count ? ", " : " or ");
        add(message, sizeof(message), fitting.words[i]);
    }
    const char *best = nearest(word->text, fitting);
    if (best) {
        add(message, sizeof(message), "; did you mean ");
        add(message, sizeof(message), best);
        add(message, sizeof(message), "?");
    }
    set_error(words, word->column, message);
    return false;
}

bool shoal_words__complain(shoal_words *words, const shoal_word *word, const char *sentence)
{
    char message[sizeof(words->error->message)] = "";
    add_found(message, sizeof(message), word);
    add(message, sizeof(message), ", ");
    add(message, sizeof(message), sentence);
    set_error(words, word->column, message);
    return false;
}

/* ---- fixed words ---- */

int shoal_words__choose(shoal_words *words, shoal_fitting fitting)
{
    shoal_word word;
    char phrase[400] = "";
    if (fitting.phrase) add(phrase, sizeof(phrase), fitting.phrase);
    for (uint32_t i = 0; i < fitting.count; i++) {
        if (phrase[0]) add(phrase, sizeof(phrase), i + 1 < fitting.count ? ", " : " or ");
        add(phrase, sizeof(phrase), fitting.words[i]);
    }
    if (!shoal_words__take(words, phrase, &word)) return -1;
    for (uint32_t i = 0; i < fitting.count && !word.quoted; i++) {
        if (shoal_text_equal(word.text, shoal_text(fitting.words[i]))) return (int)i;
    }
    shoal_words__wrong(words, &word, fitting);
    return -1;
}

bool shoal_words__demand(shoal_words *words, const char *text)
{
    return shoal_words__choose(words, (shoal_fitting){&text, 1, NULL}) == 0;
}

bool shoal_words__rest(shoal_words *words, const char *phrase, shoal_slice *rest)
{
    shoal_word first;
    if (!shoal_words__take(words, phrase, &first)) return false;
    size_t from = first.column - 1u;
    size_t to = words->size;
    while (to > from && is_blank(words->line[to - 1])) to--;
    *rest = (shoal_slice){words->line + from, to - from};
    words->at = words->size;
    return true;
}

bool shoal_words__done(shoal_words *words)
{
    shoal_word word;
    if (words->failed) return false;
    if (!shoal_words__peek(words, &word)) return !words->failed;
    return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, "the end of the line"});
}

/* ---- values ---- */

bool shoal_words__decimal(shoal_slice text, uint32_t places, uint64_t *out)
{
    uint64_t value = 0;
    uint32_t decimals = 0;
    bool point = false, digit = false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '.' && !point && digit) {
            point = true;
            digit = false;
            continue;
        }
        if (c < '0' || c > '9' || value > (UINT64_MAX - 9) / 10) return false;
        if (point && ++decimals > places) return false;
        value = value * 10 + (uint64_t)(c - '0');
        digit = true;
    }
    if (!digit) return false;
    for (; decimals < places; decimals++) {
        if (value > UINT64_MAX / 10) return false;
        value *= 10;
    }
    *out = value;
    return true;
}

/* Units of duration: name and how many decimals of the unit reach a microsecond. */
static const struct {
    const char *name;
    uint32_t places;
    int64_t factor;
} duration_units[] = {{"us", 0, 1}, {"ms", 3, 1}, {"s", 6, 1}, {"m", 6, 60}, {"h", 6, 3600}};

static bool read_duration(shoal_slice text, int64_t *out_us)
{
    size_t digits = 0;
    while (digits < text.size &&
           (text.data[digits] == '.' || (text.data[digits] >= '0' && text.data[digits] <= '9'))) {
        digits++;
    }
    shoal_slice unit = {text.data + digits, text.size - digits};
    for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]); i++) {
        if (!shoal_text_equal(unit, shoal_text(duration_units[i].name))) continue;
        uint64_t value = 0;
        if (!shoal_words__decimal((shoal_slice){text.data, digits}, duration_units[i].places,
                                  &value)) {
            return false;
        }
        uint64_t limit = (uint64_t)(SHOAL_SCHEDULE_TIME_MAX_US / duration_units[i].factor);
        if (value > limit) return false;
        *out_us = (int64_t)value * duration_units[i].factor;
        return true;
    }
    return false;
}

static const char DURATION[] = "a duration such as 1.5s, 200ms or 50us";

bool shoal_words__duration(shoal_words *words, int64_t *out_us)
{
    shoal_word word;
    if (!shoal_words__take(words, DURATION, &word)) return false;
    if (!word.quoted && read_duration(word.text, out_us)) return true;
    return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, DURATION});
}

bool shoal_words__signed_duration(shoal_words *words, int64_t *out_us)
{
    static const char phrase[] = "a signed duration such as +3600s or -200ms";
    shoal_word word;
    if (!shoal_words__take(words, phrase, &word)) return false;
    char sign = word.text.size > 0 ? word.text.data[0] : 0;
    shoal_slice rest = {word.text.data + 1, word.text.size - (word.text.size > 0)};
    if (!word.quoted && (sign == '+' || sign == '-') && read_duration(rest, out_us)) {
        if (sign == '-') *out_us = -*out_us;
        return true;
    }
    return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
}

bool shoal_words__number(shoal_words *words, uint64_t max, uint64_t *out)
{
    char phrase[64];
    snprintf(phrase, sizeof(phrase), "a whole number up to %llu", (unsigned long long)max);
    shoal_word word;
    if (!shoal_words__take(words, phrase, &word)) return false;
    if (!word.quoted && shoal_words__decimal(word.text, 0, out) && *out <= max) return true;
    return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
}

/* Takes a word that is a decimal number with `suffix` behind it. */
static bool take_suffixed(shoal_words *words, const char *suffix, uint32_t places,
                          const char *phrase, uint64_t *out)
{
    shoal_word word;
    if (!shoal_words__take(words, phrase, &word)) return false;
    size_t tail = strlen(suffix);
    if (!word.quoted && word.text.size > tail &&
        memcmp(word.text.data + word.text.size - tail, suffix, tail) == 0 &&
        shoal_words__decimal((shoal_slice){word.text.data, word.text.size - tail}, places, out)) {
        return true;
    }
    return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
}

bool shoal_words__percent(shoal_words *words, int32_t *out_ppm)
{
    static const char phrase[] = "a percentage from 0% to 100% such as 2% or 0.5%";
    uint64_t value = 0;
    size_t before = words->at;
    if (!take_suffixed(words, "%", 4, phrase, &value)) return false;
    if (value <= 1000000) {
        *out_ppm = (int32_t)value;
        return true;
    }
    words->at = before;
    shoal_word word;
    return shoal_words__peek(words, &word) &&
           shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
}

bool shoal_words__rate(shoal_words *words, uint64_t *out_milli)
{
    static const char phrase[] = "a rate above zero and up to 1000000/s such as 200/s";
    size_t before = words->at;
    if (!take_suffixed(words, "/s", 3, phrase, out_milli)) return false;
    if (*out_milli >= 1 && *out_milli <= UINT64_C(1000000000)) return true;
    words->at = before;
    shoal_word word;
    return shoal_words__peek(words, &word) &&
           shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
}

bool shoal_words__bandwidth(shoal_words *words, int64_t *out)
{
    static const char phrase[] = "a bandwidth such as 64kbit, 100mbit, 1gbit or unlimited";
    static const struct {
        const char *suffix;
        int64_t bytes;
    } units[] = {{"kbit", 125}, {"mbit", 125000}, {"gbit", 125000000}};
    shoal_word word;
    if (shoal_words__skip(words, "unlimited")) {
        *out = 0;
        return true;
    }
    if (!shoal_words__take(words, phrase, &word)) return false;
    for (size_t i = 0; i < 3 && word.text.size > 4; i++) {
        shoal_slice digits = {word.text.data, word.text.size - 4};
        uint64_t value = 0;
        if (memcmp(digits.data + digits.size, units[i].suffix, 4) != 0) continue;
        if (!shoal_words__decimal(digits, 0, &value) || value == 0 || value > 1000000) break;
        *out = (int64_t)value * units[i].bytes;
        return true;
    }
    return shoal_words__wrong(words, &word, (shoal_fitting){NULL, 0, phrase});
}
