/* SPDX-License-Identifier: MIT
 *
 * node/arguments.h. Options become lines of text because the engine reads one syntax only: what
 * can stand in a file can stand on a command line, and is complained about in the same way.
 */
#include "arguments.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Files within files within files: deeper than this is a file that includes itself. */
#define INCLUDE_DEPTH_MAX 16

static void append_text(shoal_buffer *buffer, const char *text)
{
    shoal_buffer_append(buffer, (shoal_slice){text, strlen(text)});
}

/* ---- the command line ---- */

static bool is_option(const char *argument)
{
    return argument[0] == '-' && argument[1] == '-';
}

/* Adds a value in quotes, so that it stays one word whatever is in it. */
static void append_quoted(shoal_buffer *out, const char *value)
{
    append_text(out, " \"");
    for (const unsigned char *byte = (const unsigned char *)value; *byte; byte++) {
        char escaped[8];
        if (*byte == '"' || *byte == '\\') {
            snprintf(escaped, sizeof escaped, "\\%c", *byte);
        } else if (isprint(*byte)) {
            snprintf(escaped, sizeof escaped, "%c", *byte);
        } else {
            snprintf(escaped, sizeof escaped, "\\x%02x", *byte);
        }
        append_text(out, escaped);
    }
    append_text(out, "\"");
}

/* True for "--port 7000" in one argument: the value is there already. */
static bool has_value_inside(const char *option)
{
    const char *rest = option + strcspn(option, " \t");
    return rest[strspn(rest, " \t")] != '\0';
}

/* The options from argv[index] on. An option's first value may begin with dashes too, because
 * some values do; only an empty --save may be left without one. */
static void parse_options(int argc, char **argv, int index, shoal_arguments *out)
{
    bool value_due = false;
    for (; index < argc; index++) {
        const char *argument = argv[index];
        if (strcmp(argument, "-") == 0 && index == argc - 1) {
            out->standard_input = true;
        } else if (is_option(argument) && !value_due) {
            if (shoal_buffer_size(&out->options) > 0) append_text(&out->options, "\n");
            append_text(&out->options, argument + 2);
            value_due = !has_value_inside(argument);
            bool last = index == argc - 1 || is_option(argv[index + 1]);
            if (value_due && last && strcasecmp(argument, "--save") == 0) {
                append_text(&out->options, " \"\"");
                value_due = false;
            }
        } else {
            append_quoted(&out->options, argument);
            value_due = false;
        }
    }
    append_text(&out->options, "\n");
}

static shoal_mode mode_of(int argc, char **argv)
{
    static const struct {
        const char *name;
        shoal_mode mode;
    } modes[] = {{"-v", SHOAL_MODE_VERSION},
                 {"--version", SHOAL_MODE_VERSION},
                 {"-h", SHOAL_MODE_HELP},
                 {"--help", SHOAL_MODE_HELP},
                 {"--directives", SHOAL_MODE_DIRECTIVES}};
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(argv[1], modes[i].name) == 0) return modes[i].mode;
    }
    return SHOAL_MODE_SERVE;
}

void shoal_arguments__parse(int argc, char **argv, const shoal_allocator *allocator,
                            shoal_arguments *arguments)
{
    *arguments =
        (shoal_arguments){.mode = mode_of(argc, argv), .options = shoal_buffer_make(allocator)};
    if (arguments->mode != SHOAL_MODE_SERVE || argc < 2) return;
    int index = 1;
    if (argv[1][0] != '-') arguments->file = argv[index++];
    if (index < argc && strcmp(argv[index], "-") == 0) {
        arguments->standard_input = true;
        index++;
    }
    if (index < argc) parse_options(argc, argv, index, arguments);
}

/* ---- files ---- */

/* One text being cut at its include lines. */
typedef struct reading {
    const shoal_config_reader *reader;
    const char *origin;
    int depth;
} reading;

static shoal_err read_file(const shoal_config_reader *reader, const char *path, int depth);

/* If `line` is an include line, copies the name that it gives into `name`. */
static bool is_include(shoal_slice line, char *name, size_t size)
{
    static const char word[] = "include";
    size_t at = 0;
    while (at < line.size && isspace((unsigned char)line.data[at])) at++;
    if (line.size - at < sizeof word) return false;
    if (strncasecmp(line.data + at, word, sizeof word - 1) != 0) return false;
    at += sizeof word - 1;
    if (!isspace((unsigned char)line.data[at])) return false;
    size_t end = line.size;
    while (at < end && (isspace((unsigned char)line.data[at]) || line.data[at] == '"')) at++;
    while (end > at && (isspace((unsigned char)line.data[end - 1]) || line.data[end - 1] == '"')) {
        end--;
    }
    snprintf(name, size, "%.*s", (int)(end - at), line.data + at);
    return end > at;
}

/* Reads all files that match `pattern`; one without wildcards must exist. */
static shoal_err read_matching(const shoal_config_reader *reader, const char *pattern, int depth)
{
    glob_t found;
    if (glob(pattern, GLOB_NOMAGIC, NULL, &found) != 0) return SHOAL_ERR_OK;
    shoal_err error = SHOAL_ERR_OK;
    for (size_t i = 0; i < found.gl_pathc && error == SHOAL_ERR_OK; i++) {
        error = read_file(reader, found.gl_pathv[i], depth);
    }
    globfree(&found);
    return error;
}

/* Passes the lines collected so far to the sink, and leaves as many empty ones in their place:
 * so the lines behind them keep their numbers. */
static shoal_err pass_on(const reading *source, shoal_buffer *lines)
{
    shoal_slice text = shoal_buffer_slice(lines);
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) count += text.data[i] == '\n';
    shoal_err error = source->reader->sink(source->reader->context, text, source->origin);
    shoal_buffer_consume(lines, text.size);
    for (size_t i = 0; i < count + 1; i++) append_text(lines, "\n");
    return error;
}

static shoal_err read_text(const reading *source, shoal_slice text)
{
    shoal_buffer lines = shoal_buffer_make(source->reader->complaint->allocator);
    shoal_err error = SHOAL_ERR_OK;
    for (size_t at = 0; at < text.size && error == SHOAL_ERR_OK;) {
        const char *start = text.data + at;
        const char *newline = memchr(start, '\n', text.size - at);
        size_t size = newline ? (size_t)(newline - start) + 1 : text.size - at;
        char name[4096];
        if (is_include((shoal_slice){start, size}, name, sizeof name)) {
            error = pass_on(source, &lines);
            if (error == SHOAL_ERR_OK) error = read_matching(source->reader, name, source->depth);
        } else {
            shoal_buffer_append(&lines, (shoal_slice){start, size});
        }
        at += size;
    }
    if (error == SHOAL_ERR_OK) {
        error = source->reader->sink(source->reader->context, shoal_buffer_slice(&lines),
                                     source->origin);
    }
    shoal_buffer_free(&lines);
    return error;
}

/* Reads a stream to its end and passes it on. */
static shoal_err read_stream(const reading *source, FILE *stream)
{
    shoal_buffer text = shoal_buffer_make(source->reader->complaint->allocator);
    for (size_t got = 1; got > 0 && !text.failed;) {
        char *room = shoal_buffer_reserve(&text, 4096);
        got = room ? fread(room, 1, 4096, stream) : 0;
        shoal_buffer_commit(&text, got);
    }
    shoal_err error = text.failed ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_OK;
    if (error == SHOAL_ERR_OK) error = read_text(source, shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
    return error;
}

static shoal_err read_file(const shoal_config_reader *reader, const char *path, int depth)
{
    FILE *stream = depth < INCLUDE_DEPTH_MAX ? fopen(path, "re") : NULL;
    if (stream == NULL) {
        append_text(reader->complaint, "can't open config file '");
        append_text(reader->complaint, path);
        append_text(reader->complaint, "': ");
        bool deep = depth >= INCLUDE_DEPTH_MAX;
        append_text(reader->complaint, deep ? "files include each other" : strerror(errno));
        return SHOAL_ERR_NOT_FOUND;
    }
    reading source = {.reader = reader, .origin = path, .depth = depth + 1};
    shoal_err error = read_stream(&source, stream);
    fclose(stream);
    return error;
}

shoal_err shoal_arguments__read_file(const shoal_config_reader *reader, const char *path)
{
    return read_file(reader, path, 0);
}

shoal_err shoal_arguments__read_stdin(const shoal_config_reader *reader)
{
    reading source = {.reader = reader, .origin = "standard input", .depth = 1};
    return read_stream(&source, stdin);
}
