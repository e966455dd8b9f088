/* SPDX-License-Identifier: MIT
 *
 * core/config_special.c - the types of directives that are kept as text: each is checked and
 * written in one canonical way, so that equal values are equal bytes.
 */
#include "core/config_special.h"

#include "base/assert.h"
#include "base/text.h"

/* Longest numeric address and host name, as the bus can carry them. */
#define ADDRESS_LEN_MAX 45
#define HOSTNAME_LEN_MAX 255
/* Decimals kept of a percentile. */
#define PERCENTILE_DECIMALS_MAX 9

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    char lower = shoal_text_lower(c);
    return lower >= 'a' && lower <= 'z';
}

bool shoal_config__next_word(shoal_slice *text, shoal_slice *word)
{
    SHOAL_ASSERT(text->data != NULL || text->size == 0);
    while (text->size > 0 && is_blank(text->data[0]))
        *text = (shoal_slice){text->data + 1, text->size - 1};
    if (text->size == 0) return false;
    *word = (shoal_slice){text->data, 0};
    while (word->size < text->size && !is_blank(text->data[word->size])) word->size++;
    *text = (shoal_slice){text->data + word->size, text->size - word->size};
    return true;
}

static shoal_err refuse(shoal_buffer *complaint, const char *why)
{
    SHOAL_ASSERT(why[0] != '\0');
    shoal_buffer_append(complaint, shoal_text(why));
    return SHOAL_ERR_INVALID;
}

/* Puts a blank between words. */
static void separate(shoal_buffer *out, size_t before)
{
    SHOAL_ASSERT(shoal_buffer_size(out) >= before);
    if (shoal_buffer_size(out) > before) shoal_buffer_append(out, shoal_text(" "));
}

/* ---- words and names ---- */

static shoal_err canonical_words(shoal_slice text, shoal_buffer *out)
{
    size_t before = shoal_buffer_size(out);
    shoal_slice word;

    while (shoal_config__next_word(&text, &word)) {
        separate(out, before);
        shoal_buffer_append(out, word);
    }
    return SHOAL_ERR_OK;
}

static shoal_err canonical_name(const shoal_directive *row, shoal_slice text, shoal_buffer *out,
                                shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type == SHOAL_CONFIG_FILE_NAME || row->type == SHOAL_CONFIG_DIR_NAME);
    if (shoal_text_find(text, shoal_text("/")) != SHOAL_TEXT_NONE) {
        shoal_text_appendf(complaint, "%s can't be a path, just a %s", row->name,
                           row->type == SHOAL_CONFIG_FILE_NAME ? "filename" : "dirname");
        return SHOAL_ERR_INVALID;
    }
    shoal_buffer_append(out, text);
    return SHOAL_ERR_OK;
}

static shoal_err canonical_address(shoal_slice text, shoal_buffer *out, shoal_buffer *complaint)
{
    bool good = text.size <= ADDRESS_LEN_MAX;

    for (size_t i = 0; i < text.size && good; i++) {
        char c = text.data[i];
        good = c == '.' || c == ':' || shoal_text_hex_digit(c) >= 0;
    }
    if (!good) return refuse(complaint, "argument must be a numeric IPv4 or IPv6 address");
    shoal_buffer_append(out, text);
    return SHOAL_ERR_OK;
}

static shoal_err canonical_hostname(shoal_slice text, shoal_buffer *out, shoal_buffer *complaint)
{
    if (text.size > HOSTNAME_LEN_MAX)
        return refuse(complaint, "Hostnames must be less than 256 characters");
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (is_letter(c) || is_digit(c) || c == '-' || c == '.') continue;
        return refuse(complaint,
                      "Hostnames may only contain alphanumeric characters, hyphens or dots");
    }
    shoal_buffer_append(out, text);
    return SHOAL_ERR_OK;
}

/* Is `name` one of the names that a title may have in braces? */
static bool is_title_name(shoal_slice name)
{
    static const char names[][12] = {"title",    "listen-addr", "server-mode", "port",
                                     "tls-port", "unixsocket",  "config-file"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (shoal_text_equal(name, shoal_text(names[i]))) return true;
    }
    return false;
}

static shoal_err canonical_title(shoal_slice text, shoal_buffer *out, shoal_buffer *complaint)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '{') continue;
        shoal_slice rest = {text.data + i + 1, text.size - i - 1};
        size_t size = shoal_text_find(rest, shoal_text("}"));
        if (size == SHOAL_TEXT_NONE || !is_title_name((shoal_slice){rest.data, size}))
            return refuse(complaint, "template format is invalid or contains unknown variables");
        i += size + 1;
    }
    shoal_buffer_append(out, text);
    return SHOAL_ERR_OK;
}

/* ---- numbers in rows ---- */

static shoal_err canonical_save(shoal_slice text, shoal_buffer *out, shoal_buffer *complaint)
{
    size_t before = shoal_buffer_size(out);
    shoal_slice word;
    int64_t seconds, changes;

    while (shoal_config__next_word(&text, &word)) {
        bool good = shoal_text_to_i64(word, &seconds) && seconds >= 1 && seconds <= INT32_MAX &&
                    shoal_config__next_word(&text, &word) && shoal_text_to_i64(word, &changes) &&
                    changes >= 0 && changes <= INT32_MAX;
        if (!good) return refuse(complaint, "Invalid save parameters");
        separate(out, before);
        shoal_text_appendf(out, "%lld %lld", (long long)seconds, (long long)changes);
    }
    return SHOAL_ERR_OK;
}

static shoal_err canonical_oom(const shoal_directive *row, shoal_slice text, shoal_buffer *out,
                               shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type == SHOAL_CONFIG_OOM_VALUES);
    SHOAL_ASSERT(row->min < (int64_t)row->max);
    size_t before = shoal_buffer_size(out);
    shoal_slice word;
    int64_t value;
    int count = 0;

    for (shoal_slice rest = text; shoal_config__next_word(&rest, &word);) count++;
    if (count != 3) return refuse(complaint, "wrong number of arguments");
    while (shoal_config__next_word(&text, &word)) {
        if (!shoal_text_to_i64(word, &value) || value < row->min || value > (int64_t)row->max)
            return refuse(complaint, "Invalid oom-score-adj-values, elements must be between "
                                     "-2000 and 2000.");
        separate(out, before);
        shoal_text_append_i64(out, value);
    }
    return SHOAL_ERR_OK;
}

/* True when there is nothing but digits. */
static bool all_digits(shoal_slice text)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i])) return false;
    }
    return true;
}

/* Splits "80.50" into the whole part and the decimals without zeros at the end. A whole part
 * beyond 64 bits becomes the greatest number. */
static bool split_decimal(shoal_slice word, uint64_t *whole, shoal_slice *decimals)
{
    SHOAL_ASSERT(word.size == 0 || word.data != NULL);
    size_t point = shoal_text_find(word, shoal_text("."));
    shoal_slice digits = {word.data, point == SHOAL_TEXT_NONE ? word.size : point};

    *decimals = (shoal_slice){word.data + digits.size, 0};
    if (point != SHOAL_TEXT_NONE)
        *decimals = (shoal_slice){word.data + point + 1, word.size - point - 1};
    if (digits.size == 0 || !all_digits(digits) || !all_digits(*decimals)) return false;
    while (decimals->size > 0 && decimals->data[decimals->size - 1] == '0') decimals->size--;
    if (!shoal_config__memory(digits, whole)) return false;
    return decimals->size <= PERCENTILE_DECIMALS_MAX;
}

static shoal_err canonical_percentiles(shoal_slice text, shoal_buffer *out, shoal_buffer *complaint)
{
    size_t before = shoal_buffer_size(out);
    shoal_slice word, decimals;
    uint64_t whole;

    while (shoal_config__next_word(&text, &word)) {
        bool negative = word.size > 1 && word.data[0] == '-';
        shoal_slice digits = {word.data + negative, word.size - negative};
        if (!split_decimal(digits, &whole, &decimals))
            return refuse(complaint, "Invalid latency-tracking-info-percentiles parameters");
        if (negative || whole > 100 || (whole == 100 && decimals.size > 0))
            return refuse(complaint, "latency-tracking-info-percentiles parameters should sit "
                                     "between [0.0,100.0]");
        separate(out, before);
        shoal_text_append_u64(out, whole);
        if (decimals.size > 0) shoal_text_appendf(out, ".%.*s", (int)decimals.size, decimals.data);
    }
    return SHOAL_ERR_OK;
}

/* ---- event classes ---- */

static shoal_err canonical_events(shoal_slice text, shoal_buffer *out, shoal_buffer *complaint)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    /* The classes that A stands for come first, then the others, as Redis prints them. */
    static const char letters[] = "g$lshzxetdKEmn";
    enum { CLASSES = sizeof(letters) - 1, IN_ALL = 10 };
    uint32_t set = 0, all = (1u << IN_ALL) - 1;

    for (size_t i = 0; i < text.size; i++) {
        size_t index = shoal_text_find(shoal_text(letters), (shoal_slice){text.data + i, 1});
        if (text.data[i] == 'A')
            set |= all;
        else if (index != SHOAL_TEXT_NONE)
            set |= 1u << index;
        else
            return refuse(complaint, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    }
    if ((set & all) == all) {
        shoal_buffer_append(out, shoal_text("A"));
        set &= ~all;
    }
    for (uint32_t i = 0; i < CLASSES; i++) {
        if ((set >> i) & 1) shoal_buffer_append(out, (shoal_slice){letters + i, 1});
    }
    return SHOAL_ERR_OK;
}

/* ---- output limits ---- */

enum { OUTPUT_CLASSES = 3 };

typedef struct output_limits {
    uint64_t hard[OUTPUT_CLASSES], soft[OUTPUT_CLASSES], seconds[OUTPUT_CLASSES];
} output_limits;

/* Index of a class of clients, or OUTPUT_CLASSES. */
static int output_class(shoal_slice word)
{
    SHOAL_ASSERT(word.size > 0);
    if (shoal_text_is(word, "normal")) return 0;
    if (shoal_text_is(word, "slave") || shoal_text_is(word, "replica")) return 1;
    if (shoal_text_is(word, "pubsub")) return 2;
    return OUTPUT_CLASSES;
}

/* Reads groups of class, hard, soft and seconds into `limits`. NULL, or what is wrong. */
static const char *read_limits(shoal_slice text, output_limits *limits)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    shoal_slice word[4];
    size_t count = 0;

    for (shoal_slice rest = text; shoal_config__next_word(&rest, &word[0]);) count++;
    if (count % 4 != 0) return "Wrong number of arguments in buffer limit configuration.";
    for (; count > 0; count -= 4) {
        for (int i = 0; i < 4; i++) (void)shoal_config__next_word(&text, &word[i]);
        int class = output_class(word[0]);
        if (class == OUTPUT_CLASSES)
            return "Invalid client class specified in buffer limit configuration.";
        bool good = shoal_config__memory(word[1], &limits->hard[class]) &&
                    shoal_config__memory(word[2], &limits->soft[class]) &&
                    shoal_text_to_u64(word[3], &limits->seconds[class]);
        if (!good)
            return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    }
    return NULL;
}

shoal_config__limits shoal_config__limits_of(shoal_slice text, const char *name)
{
    output_limits limits = {0};
    const char *wrong = read_limits(text, &limits);
    SHOAL_ASSERT(wrong == NULL);
    int class = output_class(shoal_text(name));
    return (shoal_config__limits){limits.hard[class], limits.soft[class], limits.seconds[class]};
}

static shoal_err canonical_limits(shoal_slice text, shoal_slice present, shoal_buffer *out,
                                  shoal_buffer *complaint)
{
    static const char names[OUTPUT_CLASSES][8] = {"normal", "slave", "pubsub"};
    output_limits limits = {0};
    const char *wrong = read_limits(present, &limits);

    SHOAL_ASSERT(wrong == NULL);
    wrong = read_limits(text, &limits);
    if (wrong != NULL) return refuse(complaint, wrong);
    for (int i = 0; i < OUTPUT_CLASSES; i++) {
        shoal_text_appendf(out, "%s%s %llu %llu %llu", i > 0 ? " " : "", names[i],
                           (unsigned long long)limits.hard[i], (unsigned long long)limits.soft[i],
                           (unsigned long long)limits.seconds[i]);
    }
    return SHOAL_ERR_OK;
}

/* ---- all of them ---- */

shoal_err shoal_config__canonical(const shoal_directive *row, shoal_slice text, shoal_slice present,
                                  shoal_buffer *out, shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type >= SHOAL_CONFIG_TEXT);
    switch (row->type) {
    case SHOAL_CONFIG_TEXT: shoal_buffer_append(out, text); return SHOAL_ERR_OK;
    case SHOAL_CONFIG_WORDS: return canonical_words(text, out);
    case SHOAL_CONFIG_TITLE: return canonical_title(text, out, complaint);
    case SHOAL_CONFIG_FILE_NAME:
    case SHOAL_CONFIG_DIR_NAME: return canonical_name(row, text, out, complaint);
    case SHOAL_CONFIG_ADDRESS: return canonical_address(text, out, complaint);
    case SHOAL_CONFIG_HOSTNAME: return canonical_hostname(text, out, complaint);
    case SHOAL_CONFIG_SAVE_POINTS: return canonical_save(text, out, complaint);
    case SHOAL_CONFIG_OUTPUT_LIMITS: return canonical_limits(text, present, out, complaint);
    case SHOAL_CONFIG_EVENTS: return canonical_events(text, out, complaint);
    case SHOAL_CONFIG_PERCENTILES: return canonical_percentiles(text, out, complaint);
    case SHOAL_CONFIG_OOM_VALUES: return canonical_oom(row, text, out, complaint);
    default: SHOAL_UNREACHABLE();
    }
}

/* The phrase for a type. */
static const char *expected(shoal_config_type type)
{
    switch (type) {
    case SHOAL_CONFIG_WORDS: return "one or more words";
    case SHOAL_CONFIG_TITLE: return "text with names such as {title} in braces";
    case SHOAL_CONFIG_FILE_NAME: return "the name of a file, without a path";
    case SHOAL_CONFIG_DIR_NAME: return "the name of a folder, without a path";
    case SHOAL_CONFIG_ADDRESS: return "a numeric IPv4 or IPv6 address";
    case SHOAL_CONFIG_HOSTNAME: return "a host name of letters, digits, hyphens and dots";
    case SHOAL_CONFIG_SAVE_POINTS: return "pairs of seconds and changes, or \"\"";
    case SHOAL_CONFIG_OUTPUT_LIMITS:
        return "normal, replica or pubsub, then hard limit, soft limit and seconds";
    case SHOAL_CONFIG_EVENTS: return "letters of event classes out of Ag$lshzxeKEtmdn";
    case SHOAL_CONFIG_PERCENTILES: return "decimal numbers from 0 to 100";
    case SHOAL_CONFIG_OOM_VALUES: return "three whole numbers from -2000 to 2000";
    default: return "one piece of text";
    }
}

void shoal_config__expect_special(const shoal_directive *row, shoal_buffer *out)
{
    SHOAL_ASSERT(row->type >= SHOAL_CONFIG_TEXT);
    shoal_buffer_append(out, shoal_text(expected(row->type)));
}
