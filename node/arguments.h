/* SPDX-License-Identifier: MIT
 *
 * node/arguments.h - from a command line to configuration text: which file, whether standard
 * input, and what the options say, in the form that redis-server gives them. Also the reading
 * of configuration files with their `include` lines.
 *
 *     shoal-server [FILE] [--directive value ...] [-]
 *
 * The main thread, before any other.
 */
#ifndef SHOAL_NODE_ARGUMENTS_H
#define SHOAL_NODE_ARGUMENTS_H

#include <shoal/types.h>

/* What a command line asks for. */
typedef enum shoal_mode {
    SHOAL_MODE_SERVE,
    SHOAL_MODE_VERSION,
    SHOAL_MODE_HELP,
    SHOAL_MODE_DIRECTIVES
} shoal_mode;

/* A command line, taken apart. */
typedef struct shoal_arguments {
    shoal_mode mode;
    const char *file;     /* configuration file, NULL without one; borrowed from argv */
    bool standard_input;  /* read more configuration from there */
    shoal_buffer options; /* the options as configuration text, a line each */
} shoal_arguments;

/* Takes `argv` apart. `arguments->options` must be freed. Never fails: what makes no sense as an
 * option makes no sense as a directive either, and is named when the text is read. */
void shoal_arguments__parse(int argc, char **argv, const shoal_allocator *allocator,
                            shoal_arguments *arguments);

/* Takes configuration text with the name it is to be called by in messages. Returns what
 * shoal_node_configure returns. */
typedef shoal_err (*shoal_config_sink)(void *context, shoal_slice text, const char *origin);

/* Where configuration goes, and where complaints of the reader itself go. */
typedef struct shoal_config_reader {
    shoal_config_sink sink;
    void *context;
    shoal_buffer *complaint;
} shoal_config_reader;

/* Passes the file at `path` to the sink, with every `include` replaced by the files that it names
 * (a pattern names all that match). Lines keep the numbers that they have in their file. What
 * the sink returned first that was not 0; SHOAL_ERR_NOT_FOUND when a file cannot be read. */
SHOAL_MUST_USE shoal_err shoal_arguments__read_file(const shoal_config_reader *reader,
                                                    const char *path);

/* The same for standard input, called "standard input". */
SHOAL_MUST_USE shoal_err shoal_arguments__read_stdin(const shoal_config_reader *reader);

#endif
