/* SPDX-License-Identifier: MIT
 *
 * core/config_value.c - values of directives: from text, to text, and the present ones of a node.
 * Types kept as text are checked and brought into canonical form by config_special.c.
 */
#include "core/config.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/config_special.h"

/* True for the types that are kept as text. */
static bool kept_as_text(shoal_config_type type)
{
    return type >= SHOAL_CONFIG_TEXT;
}

/* ---- numbers ---- */

bool shoal_config__memory(shoal_slice text, uint64_t *out)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    static const struct {
        char name[4];
        uint64_t factor;
    } units[] = {{"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1024},
                 {"m", 1000000}, {"mb", 1048576}, {"g", 1000000000}, {"gb", 1073741824}};
    size_t digits = 0;
    uint64_t value = 0;

    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') {
        uint64_t digit = (uint64_t)(text.data[digits++] - '0');
        bool fits = value <= (UINT64_MAX - digit) / 10;
        value = fits ? value * 10 + digit : UINT64_MAX;
    }
    if (digits == 0) return false;
    shoal_slice unit = {text.data + digits, text.size - digits};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!shoal_text_is(unit, units[i].name)) continue;
        *out = value <= UINT64_MAX / units[i].factor ? value * units[i].factor : UINT64_MAX;
        return true;
    }
    return false;
}

static shoal_err out_of_range(const shoal_directive *row, shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type < SHOAL_CONFIG_TEXT);
    if (row->type == SHOAL_CONFIG_OCTAL)
        shoal_text_appendf(complaint, "argument must be between 0 and 777 inclusive");
    else
        shoal_text_appendf(complaint, "argument must be between %lld and %llu inclusive",
                           (long long)row->min, (unsigned long long)row->max);
    return SHOAL_ERR_INVALID;
}

static shoal_err refuse(shoal_buffer *complaint, const char *why)
{
    SHOAL_ASSERT(why[0] != '\0');
    shoal_buffer_append(complaint, shoal_text(why));
    return SHOAL_ERR_INVALID;
}

static shoal_err read_int(const shoal_directive *row, shoal_slice text, int64_t *out,
                          shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type == SHOAL_CONFIG_INT || row->type == SHOAL_CONFIG_HZ);
    if (!shoal_text_to_i64(text, out))
        return refuse(complaint, "argument couldn't be parsed into an integer");
    if (*out < row->min || (*out > 0 && (uint64_t)*out > row->max))
        return out_of_range(row, complaint);
    if (row->type == SHOAL_CONFIG_HZ) *out = *out < 1 ? 1 : *out > 500 ? 500 : *out;
    return SHOAL_ERR_OK;
}

static shoal_err read_octal(const shoal_directive *row, shoal_slice text, int64_t *out,
                            shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type == SHOAL_CONFIG_OCTAL);
    uint64_t value = 0;

    if (text.size == 0 || text.size > 8)
        return refuse(complaint, "argument couldn't be parsed as an octal number");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '7')
            return refuse(complaint, "argument couldn't be parsed as an octal number");
        value = value * 8 + (uint64_t)(text.data[i] - '0');
    }
    if (value > row->max) return out_of_range(row, complaint);
    *out = (int64_t)value;
    return SHOAL_ERR_OK;
}

static shoal_err read_memory(const shoal_directive *row, shoal_slice text, int64_t *out,
                             shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type == SHOAL_CONFIG_MEMORY || row->type == SHOAL_CONFIG_MEMORY_PERCENT);
    SHOAL_ASSERT(row->min >= 0);
    bool percent = row->type == SHOAL_CONFIG_MEMORY_PERCENT;
    uint64_t value;

    if (percent && text.size > 1 && text.data[text.size - 1] == '%') {
        shoal_slice digits = {text.data, text.size - 1};
        if (!shoal_text_to_u64(digits, &value))
            return refuse(complaint, "argument must be a memory or percent value");
        if (value > 100)
            return refuse(complaint, "percentage argument must be less or equal to 100");
        *out = -(int64_t)value;
        return SHOAL_ERR_OK;
    }
    if (!shoal_config__memory(text, &value))
        return refuse(complaint, percent ? "argument must be a memory or percent value"
                                         : "argument must be a memory value");
    if (value < (uint64_t)row->min || value > row->max) return out_of_range(row, complaint);
    *out = (int64_t)value;
    return SHOAL_ERR_OK;
}

/* ---- words ---- */

/* The word at `*at` of a list separated by commas; moves on. Empty at the end. */
static shoal_slice next_word(const char **at)
{
    SHOAL_ASSERT(**at != '\0');
    const char *first = *at;
    size_t size = 0;

    while (first[size] != '\0' && first[size] != ',') size++;
    *at = first + size + (first[size] == ',' ? 1 : 0);
    return (shoal_slice){first, size};
}

/* Index of `text` among the words, or -1. */
static int word_index(const char *words, shoal_slice text)
{
    for (int i = 0; *words != '\0'; i++) {
        if (shoal_text_equal_nocase(next_word(&words), text)) return i;
    }
    return -1;
}

/* Word `index` of the list. */
static shoal_slice word_at(const char *words, int64_t index)
{
    SHOAL_ASSERT(index >= 0);
    shoal_slice word = next_word(&words);

    while (index-- > 0) word = next_word(&words);
    SHOAL_ASSERT(word.size > 0);
    return word;
}

static void append_words(const char *words, shoal_buffer *out)
{
    SHOAL_ASSERT(words[0] != '\0');
    for (bool first = true; *words != '\0'; first = false) {
        if (!first) shoal_buffer_append(out, shoal_text(", "));
        shoal_buffer_append(out, next_word(&words));
    }
}

static shoal_err not_a_word(const shoal_directive *row, shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->words[0] != '\0');
    shoal_text_appendf(complaint, "argument(s) must be one of the following: ");
    append_words(row->words, complaint);
    return SHOAL_ERR_INVALID;
}

static shoal_err read_enum(const shoal_directive *row, shoal_slice text, int64_t *out,
                           shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type == SHOAL_CONFIG_ENUM);
    int index = word_index(row->words, text);

    if (index < 0) return not_a_word(row, complaint);
    *out = index;
    return SHOAL_ERR_OK;
}

static shoal_err read_enum_set(const shoal_directive *row, shoal_slice text, int64_t *out,
                               shoal_buffer *complaint)
{
    SHOAL_ASSERT(row->type == SHOAL_CONFIG_ENUM_SET);
    shoal_slice word;
    bool any = false;

    *out = 0;
    while (shoal_config__next_word(&text, &word)) {
        int index = word_index(row->words, word);
        if (index < 0) return not_a_word(row, complaint);
        if (index > 0) *out |= (int64_t)1 << (index - 1);
        any = true;
    }
    return any ? SHOAL_ERR_OK : not_a_word(row, complaint);
}

static void show_enum_set(const shoal_directive *row, int64_t set, shoal_buffer *out)
{
    SHOAL_ASSERT(row->type == SHOAL_CONFIG_ENUM_SET);
    SHOAL_ASSERT(set >= 0);
    const char *separator = "";

    if (set == 0) shoal_buffer_append(out, word_at(row->words, 0));
    for (int bit = 0; set >> bit != 0; bit++) {
        if (((set >> bit) & 1) == 0) continue;
        shoal_slice word = word_at(row->words, bit + 1);
        shoal_text_appendf(out, "%s%.*s", separator, (int)word.size, word.data);
        separator = " ";
    }
}

/* ---- any value ---- */

static shoal_err read_number(const shoal_directive *row, shoal_slice text, int64_t *out,
                             shoal_buffer *complaint)
{
    SHOAL_ASSERT(!kept_as_text(row->type));
    switch (row->type) {
    case SHOAL_CONFIG_BOOL:
        *out = shoal_text_is(text, "yes");
        if (*out || shoal_text_is(text, "no")) return SHOAL_ERR_OK;
        return refuse(complaint, "argument must be 'yes' or 'no'");
    case SHOAL_CONFIG_INT:
    case SHOAL_CONFIG_HZ: return read_int(row, text, out, complaint);
    case SHOAL_CONFIG_OCTAL: return read_octal(row, text, out, complaint);
    case SHOAL_CONFIG_MEMORY:
    case SHOAL_CONFIG_MEMORY_PERCENT: return read_memory(row, text, out, complaint);
    case SHOAL_CONFIG_ENUM: return read_enum(row, text, out, complaint);
    case SHOAL_CONFIG_ENUM_SET: return read_enum_set(row, text, out, complaint);
    default: SHOAL_UNREACHABLE();
    }
}

/* Copies the content of `canonical` into a value of its own. */
static shoal_err keep_text(const shoal_config *config, const shoal_buffer *canonical,
                           shoal_config_value *out)
{
    SHOAL_ASSERT(out->text == NULL);
    shoal_slice text = shoal_buffer_slice(canonical);

    if (canonical->failed) return SHOAL_ERR_NO_MEMORY;
    if (text.size == 0) return SHOAL_ERR_OK;
    out->text = shoal_memory_take(config->allocator, text.size, SHOAL_ALIGN_PLAIN);
    if (out->text == NULL) return SHOAL_ERR_NO_MEMORY;
    memcpy(out->text, text.data, text.size);
    out->text_size = text.size;
    return SHOAL_ERR_OK;
}

/* Reads a value of `id` from one piece of text. */
static shoal_err read_value(const shoal_config *config, shoal_directive_id id, shoal_slice text,
                            shoal_config_value *out, shoal_buffer *complaint)
{
    const shoal_directive *row = shoal_config__row(id);
    shoal_buffer canonical;
    shoal_err error;

    *out = (shoal_config_value){0};
    if (!kept_as_text(row->type)) return read_number(row, text, &out->number, complaint);
    canonical = shoal_buffer_make(config->allocator);
    error =
        shoal_config__canonical(row, text, shoal_config__text(config, id), &canonical, complaint);
    if (error == SHOAL_ERR_OK) error = keep_text(config, &canonical, out);
    shoal_buffer_free(&canonical);
    return error;
}

static bool same_value(const shoal_config_value *a, const shoal_config_value *b)
{
    return a->number == b->number && shoal_text_equal((shoal_slice){a->text, a->text_size},
                                                      (shoal_slice){b->text, b->text_size});
}

/* Is `value` what the table gives as the default of `id`? */
static bool is_fallback(const shoal_config *config, shoal_directive_id id,
                        const shoal_config_value *value)
{
    shoal_slice fallback = shoal_text(shoal_config__row(id)->fallback);
    shoal_buffer unused = shoal_buffer_make(config->allocator);
    shoal_config_value expected = {0};
    bool same = read_value(config, id, fallback, &expected, &unused) == SHOAL_ERR_OK &&
                same_value(value, &expected);

    shoal_config__drop(config, &expected);
    shoal_buffer_free(&unused);
    return same;
}

shoal_err shoal_config__parse(const shoal_config *config, shoal_directive_id id,
                              shoal_config_words words, shoal_config_value *out,
                              shoal_buffer *complaint)
{
    SHOAL_ASSERT(words.argc <= 0 || words.argv != NULL);
    const shoal_directive *row = shoal_config__row(id);
    shoal_buffer joined = shoal_buffer_make(config->allocator);
    shoal_err error;

    *out = (shoal_config_value){0};
    if (words.argc != 1 && (row->flags & SHOAL_CONFIG_MULTI) == 0)
        return refuse(complaint, "wrong number of arguments");
    for (int i = 0; i < words.argc; i++) {
        if (i > 0) shoal_buffer_append(&joined, shoal_text(" "));
        shoal_buffer_append(&joined, words.argv[i]);
    }
    error = joined.failed ? SHOAL_ERR_NO_MEMORY
                          : read_value(config, id, shoal_buffer_slice(&joined), out, complaint);
    shoal_buffer_free(&joined);
    if (error == SHOAL_ERR_OK && (row->flags & SHOAL_CONFIG_KEPT) != 0 &&
        !is_fallback(config, id, out)) {
        shoal_text_appendf(complaint, "this version supports nothing but '%s' here", row->fallback);
        error = SHOAL_ERR_INVALID;
    }
    if (error != SHOAL_ERR_OK) shoal_config__drop(config, out);
    return error;
}

void shoal_config__drop(const shoal_config *config, shoal_config_value *value)
{
    SHOAL_ASSERT((value->text == NULL) == (value->text_size == 0));
    shoal_memory_give(config->allocator, value->text, value->text_size, SHOAL_ALIGN_PLAIN);
    *value = (shoal_config_value){0};
}

bool shoal_config__swap(shoal_config *config, shoal_directive_id id, shoal_config_value *value)
{
    shoal_config_value former = config->values[id];

    SHOAL_ASSERT(id < SHOAL_DIRECTIVE_COUNT);
    config->values[id] = *value;
    *value = former;
    if (same_value(&former, &config->values[id])) return false;
    config->version++;
    return true;
}

bool shoal_config__is_value(const shoal_config *config, shoal_directive_id id,
                            const shoal_config_value *value)
{
    SHOAL_ASSERT(id < SHOAL_DIRECTIVE_COUNT);
    return same_value(value, &config->values[id]);
}

bool shoal_config__is_default(const shoal_config *config, shoal_directive_id id)
{
    return is_fallback(config, id, &config->values[id]);
}

shoal_err shoal_config__init(shoal_config *config, const shoal_allocator *allocator)
{
    shoal_buffer complaint = shoal_buffer_make(allocator);
    shoal_err error = SHOAL_ERR_OK;

    *config = (shoal_config){.allocator = allocator};
    for (uint32_t i = 0; i < SHOAL_DIRECTIVE_COUNT && error == SHOAL_ERR_OK; i++) {
        shoal_slice fallback = shoal_text(shoal_config__row(i)->fallback);
        error = read_value(config, i, fallback, &config->values[i], &complaint);
        SHOAL_ASSERT(error != SHOAL_ERR_INVALID);
    }
    shoal_buffer_free(&complaint);
    if (error != SHOAL_ERR_OK) shoal_config__free(config);
    return error;
}

void shoal_config__free(shoal_config *config)
{
    SHOAL_ASSERT(config->allocator != NULL);
    for (uint32_t i = 0; i < SHOAL_DIRECTIVE_COUNT; i++)
        shoal_config__drop(config, &config->values[i]);
}

/* ---- to people ---- */

static void show_octal(int64_t value, shoal_buffer *out)
{
    SHOAL_ASSERT(value >= 0);
    char digits[22];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + (value & 7));
        value >>= 3;
    } while (value != 0);
    shoal_buffer_append(out, (shoal_slice){digits + at, sizeof(digits) - at});
}

void shoal_config__show(shoal_directive_id id, const shoal_config_value *value, shoal_buffer *out)
{
    SHOAL_ASSERT(!kept_as_text(shoal_config__row(id)->type) || value->number == 0);
    SHOAL_ASSERT(kept_as_text(shoal_config__row(id)->type) || value->text == NULL);
    const shoal_directive *row = shoal_config__row(id);

    switch (row->type) {
    case SHOAL_CONFIG_BOOL:
        shoal_buffer_append(out, shoal_text(value->number ? "yes" : "no"));
        break;
    case SHOAL_CONFIG_INT:
    case SHOAL_CONFIG_HZ: shoal_text_append_i64(out, value->number); break;
    case SHOAL_CONFIG_OCTAL: show_octal(value->number, out); break;
    case SHOAL_CONFIG_MEMORY: shoal_text_append_u64(out, (uint64_t)value->number); break;
    case SHOAL_CONFIG_MEMORY_PERCENT:
        shoal_text_append_i64(out, value->number < 0 ? -value->number : value->number);
        if (value->number < 0) shoal_buffer_append(out, shoal_text("%"));
        break;
    case SHOAL_CONFIG_ENUM: shoal_buffer_append(out, word_at(row->words, value->number)); break;
    case SHOAL_CONFIG_ENUM_SET: show_enum_set(row, value->number, out); break;
    default: shoal_buffer_append(out, (shoal_slice){value->text, value->text_size}); break;
    }
}

void shoal_config__expect(shoal_directive_id id, shoal_buffer *out)
{
    const shoal_directive *row = shoal_config__row(id);

    switch (row->type) {
    case SHOAL_CONFIG_BOOL: shoal_text_appendf(out, "yes or no"); break;
    case SHOAL_CONFIG_INT:
    case SHOAL_CONFIG_HZ:
        shoal_text_appendf(out, "a whole number from %lld to %llu", (long long)row->min,
                           (unsigned long long)row->max);
        break;
    case SHOAL_CONFIG_OCTAL: shoal_text_appendf(out, "permission bits from 0 to 777"); break;
    case SHOAL_CONFIG_MEMORY:
        shoal_text_appendf(out, "a size such as 100, 100k, 100kb, 5mb or 2gb, from %lld to %llu",
                           (long long)row->min, (unsigned long long)row->max);
        break;
    case SHOAL_CONFIG_MEMORY_PERCENT:
        shoal_text_appendf(out, "a size such as 100mb, or a percentage such as 5%%");
        break;
    case SHOAL_CONFIG_ENUM:
        shoal_text_appendf(out, "one of ");
        append_words(row->words, out);
        break;
    case SHOAL_CONFIG_ENUM_SET:
        shoal_text_appendf(out, "some of ");
        append_words(row->words, out);
        break;
    default: shoal_config__expect_special(row, out); break;
    }
}
