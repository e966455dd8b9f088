/* SPDX-License-Identifier: MIT
 *
 * Writes the pages of docs/ that are made from the .def tables, so that they cannot drift from the
 * code: `shoal-tables FOLDER`. Each table is included here like anywhere else; a page is a title, a
 * paragraph and one row for each row.
 */
#include <shoal/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest path of a page. */
#define PATH_SIZE 4096

/* ---- pages ---- */

/* Opens FOLDER/NAME and writes what every page starts with. Ends the program on failure. */
static FILE *page_open(const char *folder, const char *name, const char *source)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *page = fopen(path, "w");
    if (page == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    fprintf(page, "<!-- Made from %s by ./dev docs. Edit the table, not this page. -->\n\n",
            source);
    return page;
}

/* Ends a page; a page that could not be written whole ends the program. */
static void page_close(FILE *page)
{
    bool failed = ferror(page);
    if (fclose(page) != 0 || failed) {
        perror("shoal-tables");
        exit(1);
    }
}

/* Writes one cell of a table row; a bar would end the cell. */
static void cell(FILE *page, const char *text)
{
    fputs("| ", page);
    for (; *text != '\0'; text++) {
        if (*text == '|') fputc('\\', page);
        fputc(*text, page);
    }
    fputc(' ', page);
}

/* As cell, but as code; nothing when the text is empty. */
static void code_cell(FILE *page, const char *text)
{
    char marked[PATH_SIZE];
    const char *mark = *text ? "`" : "";
    snprintf(marked, sizeof(marked), "%s%s%s", mark, text, mark);
    cell(page, marked);
}

static void row_end(FILE *page)
{
    fputs("|\n", page);
}

/* ---- errors ---- */

static void write_errors(const char *folder)
{
    FILE *page = page_open(folder, "errors.md", "engine/include/shoal/error.def");
    fputs("# Errors\n\nWhat functions of the library return (`shoal_err`), with the text of "
          "`shoal_err_text`.\n\n| name | value | meaning |\n|---|---:|---|\n",
          page);
#define SHOAL_ERROR(name, value, text)   \
    code_cell(page, "SHOAL_ERR_" #name); \
    fprintf(page, "| %d ", value);       \
    cell(page, text);                    \
    row_end(page);
#include <shoal/error.def>
#undef SHOAL_ERROR
    page_close(page);
}

/* ---- trace records ---- */

/* One row of trace.def. */
typedef struct trace_row {
    const char *name;
    int value;
    const char *fields[4]; /* the three numbers and the text; "none" when unused */
    const char *doc;
} trace_row;

static const trace_row TRACE[] = {
#define SHOAL_TRACE(name, value, a, b, c, text, doc) {#name, value, {#a, #b, #c, #text}, doc},
#include <shoal/trace.def>
#undef SHOAL_TRACE
};

static void write_trace_row(FILE *page, const trace_row *row)
{
    code_cell(page, row->name);
    fprintf(page, "| %d ", row->value);
    for (int i = 0; i < 4; i++) {
        code_cell(page, strcmp(row->fields[i], "none") == 0 ? "" : row->fields[i]);
    }
    cell(page, row->doc);
    row_end(page);
}

/* What the field `reason` of some records says. */
static void write_reasons(FILE *page)
{
    fputs("\n## Reasons\n\n| record | reason | meaning |\n|---|---:|---|\n", page);
#define REASON_ROW(kind, value, text) \
    code_cell(page, kind);            \
    fprintf(page, "| %d ", value);    \
    cell(page, text);                 \
    row_end(page);
#define SHOAL_REFUSED(name, value, text) REASON_ROW("FRAME_REFUSED", value, text)
#define SHOAL_WHY_NOT(name, value, text) REASON_ROW("WHY_NOT", value, text)
#define SHOAL_FORGOTTEN(name, value, text) REASON_ROW("NODE_FORGOTTEN", value, text)
#define SHOAL_STATE(name, value, text) REASON_ROW("CLUSTER_STATE", value, text)
#include "cluster/reasons.def"
#undef REASON_ROW
}

static void write_trace(const char *folder)
{
    FILE *page = page_open(folder, "trace.md", "engine/include/shoal/trace.def");
    fputs("# Trace records\n\nThe one stream of facts that visualisers, golden tests, judges and "
          "replays read; `shoal/trace.h` has the file format. Values below 100 are written by "
          "nodes, the others by the world around them.\n\n"
          "| kind | value | a | b | c | text | what happened |\n|---|---:|---|---|---|---|---|\n",
          page);
    for (size_t i = 0; i < sizeof(TRACE) / sizeof(TRACE[0]); i++) write_trace_row(page, &TRACE[i]);
    write_reasons(page);
    page_close(page);
}

/* ---- commands ---- */

enum {
#define SHOAL_COMMAND(id, name, parent, executor, handler, arity, flags, first, last, step, \
                      access, categories, tips, since, group, complexity, summary)          \
    COMMAND_##id,
#include "command/commands.def"
#undef SHOAL_COMMAND
    COMMAND_NONE
};

/* The columns of commands.def that the page shows. */
typedef struct command_row {
    const char *name;
    int parent; /* row of the container, or COMMAND_NONE */
    int arity;
    const char *group;
    const char *complexity;
    const char *summary;
} command_row;

static const command_row COMMANDS[] = {
#define SHOAL_COMMAND(id, name, parent, executor, handler, arity, flags, first, last, step, \
                      access, categories, tips, since, group, complexity, summary)          \
    {name, COMMAND_##parent, arity, group, complexity, summary},
#include "command/commands.def"
#undef SHOAL_COMMAND
};

static void write_command_row(FILE *page, const command_row *row)
{
    char name[256];
    bool sub = row->parent != COMMAND_NONE;
    snprintf(name, sizeof(name), "%s%s%s", sub ? COMMANDS[row->parent].name : "", sub ? " " : "",
             row->name);
    code_cell(page, name);
    fprintf(page, "| %s%d ", row->arity < 0 ? "at least " : "", abs(row->arity));
    cell(page, row->complexity);
    cell(page, row->summary);
    row_end(page);
}

/* The first row of each group writes the whole group, in the order of the table. */
static void write_command_group(FILE *page, size_t first)
{
    const char *group = COMMANDS[first].group;
    for (size_t i = 0; i < first; i++) {
        if (strcmp(COMMANDS[i].group, group) == 0) return;
    }
    fprintf(page, "\n## %s\n\n| command | words | cost | what it does |\n|---|---|---|---|\n",
            group);
    for (size_t i = first; i < COMMAND_NONE; i++) {
        if (strcmp(COMMANDS[i].group, group) == 0) write_command_row(page, &COMMANDS[i]);
    }
}

static void write_commands(const char *folder)
{
    FILE *page = page_open(folder, "commands.md", "engine/command/commands.def");
    fprintf(page,
            "# Commands\n\nThe %d commands and subcommands that a node answers; any other is "
            "answered as unknown. *Words* counts the command's own name too.\n",
            (int)COMMAND_NONE);
    for (size_t i = 0; i < COMMAND_NONE; i++) write_command_group(page, i);
    page_close(page);
}

/* ---- directives ---- */

/* The columns of config.def that the page shows. */
typedef struct directive_row {
    const char *name;
    const char *alias;
    const char *type;
    const char *preset;
    const char *words;
    const char *flags;
    const char *effect;
    const char *doc;
} directive_row;

static const directive_row DIRECTIVES[] = {
#define SHOAL_DIRECTIVE(id, name, alias, type, preset, min, max, words, flags, effect, doc) \
    {name, alias, #type, preset, words, #flags, #effect, doc},
#include "core/config.def"
#undef SHOAL_DIRECTIVE
};

/* The type in words that a person configuring a node knows. */
static const char *type_text(const directive_row *row)
{
    return *row->words ? row->words : row->type;
}

static void write_directive_row(FILE *page, const directive_row *row)
{
    code_cell(page, row->name);
    cell(page, type_text(row));
    code_cell(page, row->preset);
    cell(page, strstr(row->flags, "IMMUTABLE") || strstr(row->flags, "FIXED") ? "start only" : "");
    cell(page, strstr(row->flags, "KEPT")           ? "none; refuses other values"
               : strcmp(row->effect, "ACTIVE") == 0 ? ""
                                                    : "none yet");
    cell(page, row->doc);
    row_end(page);
}

static void write_directives(const char *folder)
{
    FILE *page = page_open(folder, "config.md", "engine/core/config.def");
    fputs("# Directives\n\nWhat a configuration file, the command line and CONFIG SET take. "
          "*Effect* is empty where the directive does what it says; `none yet` marks those that "
          "are accepted, kept and shown only.\n\n"
          "| directive | takes | default | when | effect | meaning |\n|---|---|---|---|---|---|\n",
          page);
    for (size_t i = 0; i < sizeof(DIRECTIVES) / sizeof(DIRECTIVES[0]); i++) {
        write_directive_row(page, &DIRECTIVES[i]);
    }
    page_close(page);
}

/* ---- statistics ---- */

static void write_statistics(const char *folder)
{
    FILE *page = page_open(folder, "statistics.md", "engine/command/stat.def");
    fputs("# Statistics\n\nCounters of a node, under the names that INFO gives them.\n\n"
          "| field | what it counts |\n|---|---|\n",
          page);
#define SHOAL_STAT(id, field, doc) \
    code_cell(page, field);        \
    cell(page, doc);               \
    row_end(page);
#include "command/stat.def"
#undef SHOAL_STAT
    page_close(page);
}

/* ---- the schedule file ---- */

static void write_schedule(const char *folder)
{
    FILE *page = page_open(folder, "schedule.md", "sim/lines.def and sim/contracts.def");
    fputs("# The schedule file\n\nOne line is one event of a simulated run, at an absolute time T. "
          "SEL selects nodes: `n1`, `n2..n5`, clients `c1`, all `*`, `masters`, "
          "`replicas`, `owner-of(slot 866)`, `replicas-of(slot 866)`. D is a "
          "duration: `1.5s` `200ms` `50us` `2m`. What stands in brackets may be left out.\n\n"
          "| line | syntax | what it does |\n|---|---|---|\n",
          page);
#define SHOAL_LINE(id, name, timed, syntax, doc) \
    code_cell(page, #name);                      \
    code_cell(page, syntax);                     \
    cell(page, doc);                             \
    row_end(page);
#include "sim/lines.def"
#undef SHOAL_LINE
    fputs("\n## What can be expected\n\n| contract | syntax | holds when |\n|---|---|---|\n", page);
#define SHOAL_CONTRACT_ROW(id, word, syntax, doc) \
    code_cell(page, word);                        \
    code_cell(page, syntax);                      \
    cell(page, doc);                              \
    row_end(page);
#include "sim/contracts.def"
#undef SHOAL_CONTRACT_ROW
    page_close(page);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: shoal-tables FOLDER\n", stderr);
        return 2;
    }
    write_errors(argv[1]);
    write_trace(argv[1]);
    write_commands(argv[1]);
    write_directives(argv[1]);
    write_statistics(argv[1]);
    write_schedule(argv[1]);
    return 0;
}
