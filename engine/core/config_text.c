/* SPDX-License-Identifier: MIT
 *
 * core/config_text.c - reads configuration text: one directive a line, `#` begins a comment. A
 * line that cannot be taken ends the reading with a complaint that names the line, what is wrong
 * and what was expected.
 */
#include "core/config_text.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "wire/resp.h"

/* How much of a faulty line a complaint repeats. */
#define LINE_SHOWN_MAX 256

shoal_slice shoal_config__next_line(shoal_slice *text)
{
    SHOAL_ASSERT(text->size > 0);
    SHOAL_ASSERT(text->data != NULL);
    size_t size = shoal_text_find(*text, shoal_text("\n"));
    shoal_slice line = {text->data, size == SHOAL_TEXT_NONE ? text->size : size};
    size_t taken = size == SHOAL_TEXT_NONE ? text->size : size + 1;

    *text = (shoal_slice){text->data + taken, text->size - taken};
    return line;
}

shoal_slice shoal_config__trim(shoal_slice line)
{
    SHOAL_ASSERT(line.data != NULL || line.size == 0);
    while (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t' || line.data[0] == '\r'))
        line = (shoal_slice){line.data + 1, line.size - 1};
    while (line.size > 0 && (line.data[line.size - 1] == ' ' || line.data[line.size - 1] == '\t' ||
                             line.data[line.size - 1] == '\r'))
        line.size--;
    return line;
}

/* One reading. */
typedef struct config_reader {
    shoal_config *config;
    shoal_buffer words;  /* unquoted bytes of the present line */
    shoal_buffer reason; /* what is wrong with it */
    shoal_slice argv[SHOAL_CONFIG_ARGUMENTS_MAX];
    int argc;
    shoal_directive_id id; /* of the present line, or SHOAL_DIRECTIVE_COUNT */
} config_reader;

/* Save points of several lines add up, those of further texts too; `save ""` begins anew. */
static shoal_err append_save(config_reader *reader, shoal_config_value *value)
{
    SHOAL_ASSERT(reader->id == SHOAL_DIRECTIVE_SAVE);
    shoal_config *config = reader->config;
    shoal_slice both[2] = {shoal_config__text(config, SHOAL_DIRECTIVE_SAVE),
                           {value->text, value->text_size}};
    bool adds = config->saves_read && value->text_size > 0 && both[0].size > 0;
    shoal_config_value sum;

    config->saves_read = true;
    if (!adds) return SHOAL_ERR_OK;
    shoal_err error = shoal_config__parse(config, SHOAL_DIRECTIVE_SAVE,
                                          (shoal_config_words){2, both}, &sum, &reader->reason);
    if (error != SHOAL_ERR_OK) return error;
    shoal_config__drop(config, value);
    *value = sum;
    return SHOAL_ERR_OK;
}

/* Carries out the directive whose words have been split. */
static shoal_err take_directive(config_reader *reader)
{
    SHOAL_ASSERT(reader->argc >= 1);
    SHOAL_ASSERT(shoal_buffer_size(&reader->reason) == 0);
    shoal_config_words words = {reader->argc - 1, reader->argv + 1};
    shoal_config_value value;
    shoal_err error;

    reader->id = shoal_config__find(reader->argv[0]);
    if (reader->id == SHOAL_DIRECTIVE_COUNT) {
        shoal_text_appendf(&reader->reason, "Bad directive or wrong number of arguments");
        return SHOAL_ERR_INVALID;
    }
    error = shoal_config__parse(reader->config, reader->id, words, &value, &reader->reason);
    if (error != SHOAL_ERR_OK) return error;
    if (reader->id == SHOAL_DIRECTIVE_SAVE) error = append_save(reader, &value);
    if (error == SHOAL_ERR_OK) (void)shoal_config__swap(reader->config, reader->id, &value);
    shoal_config__drop(reader->config, &value);
    return error;
}

/* Splits and carries out one line. */
static shoal_err take_line(config_reader *reader, shoal_slice line)
{
    SHOAL_ASSERT(line.data != NULL || line.size == 0);
    reader->argc = 0;
    reader->id = SHOAL_DIRECTIVE_COUNT;
    if (line.size == 0 || line.data[0] == '#') return SHOAL_ERR_OK;
    shoal_buffer_consume(&reader->words, shoal_buffer_size(&reader->words));
    reader->argc = shoal_line_split(line, &reader->words, reader->argv, SHOAL_CONFIG_ARGUMENTS_MAX);
    if (reader->words.failed) return SHOAL_ERR_NO_MEMORY;
    if (reader->argc == -1)
        shoal_text_appendf(&reader->reason, "Unbalanced quotes in configuration line");
    if (reader->argc == -2) shoal_text_appendf(&reader->reason, "too many arguments");
    if (reader->argc < 0) return SHOAL_ERR_INVALID;
    return reader->argc == 0 ? SHOAL_ERR_OK : take_directive(reader);
}

/* What was expected, in our own words, behind the reason in Redis's. */
static void append_expected(const config_reader *reader, const char *origin,
                            shoal_buffer *complaint)
{
    SHOAL_ASSERT(origin != NULL);
    SHOAL_ASSERT(reader->argc != 0);
    shoal_text_appendf(complaint, "(%s) ", origin);
    if (reader->id != SHOAL_DIRECTIVE_COUNT) {
        shoal_text_appendf(complaint, "'%s' takes ", shoal_config__row(reader->id)->name);
        shoal_config__expect(reader->id, complaint);
    } else if (reader->argc < 0) {
        shoal_text_appendf(complaint, "expected a directive and its arguments, quotes in pairs");
    } else if (shoal_text_is(reader->argv[0], "include")) {
        shoal_text_appendf(complaint, "'include' is resolved before the text is read");
    } else {
        shoal_text_appendf(complaint, "expected a known directive; the nearest is '%s'",
                           shoal_config__nearest(reader->argv[0]));
    }
    shoal_text_appendf(complaint, "\n");
}

static void complain(const config_reader *reader, const char *origin, uint64_t number,
                     shoal_slice line, shoal_buffer *complaint)
{
    SHOAL_ASSERT(number > 0);
    SHOAL_ASSERT(shoal_buffer_size(&reader->reason) > 0);
    bool secret = reader->id != SHOAL_DIRECTIVE_COUNT &&
                  (shoal_config__row(reader->id)->flags & SHOAL_CONFIG_SENSITIVE) != 0;
    bool cut = line.size > LINE_SHOWN_MAX;

    if (secret) line = shoal_text(shoal_config__row(reader->id)->name);
    if (line.size > LINE_SHOWN_MAX) line.size = LINE_SHOWN_MAX;
    shoal_text_appendf(complaint, "Reading the configuration file, at line %llu\n",
                       (unsigned long long)number);
    shoal_text_appendf(complaint, ">>> '%.*s%s'\n", (int)line.size, line.data,
                       cut || secret ? " ..." : "");
    shoal_buffer_append(complaint, shoal_buffer_slice(&reader->reason));
    shoal_text_appendf(complaint, "\n");
    append_expected(reader, origin, complaint);
}

shoal_err shoal_config__read(shoal_config *config, shoal_slice text, const char *origin,
                             shoal_buffer *complaint)
{
    SHOAL_ASSERT(text.data != NULL || text.size == 0);
    SHOAL_ASSERT(config->allocator != NULL);
    config_reader *reader =
        shoal_memory_take_zeroed(config->allocator, sizeof(*reader), SHOAL_ALIGN_PLAIN);
    shoal_err error = SHOAL_ERR_OK;
    uint64_t number = 0;

    if (reader == NULL) return SHOAL_ERR_NO_MEMORY;
    reader->config = config;
    reader->words = shoal_buffer_make(config->allocator);
    reader->reason = shoal_buffer_make(config->allocator);
    while (text.size > 0 && error == SHOAL_ERR_OK) {
        shoal_slice line = shoal_config__trim(shoal_config__next_line(&text));
        number++;
        error = take_line(reader, line);
        if (error == SHOAL_ERR_INVALID) complain(reader, origin, number, line, complaint);
    }
    shoal_buffer_free(&reader->words);
    shoal_buffer_free(&reader->reason);
    shoal_memory_give(config->allocator, reader, sizeof(*reader), SHOAL_ALIGN_PLAIN);
    return error;
}
