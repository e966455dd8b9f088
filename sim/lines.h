/* SPDX-License-Identifier: MIT
 *
 * sim/lines.h - what the parser and the formatter of schedules share: one pair of functions for
 * each row of sim/lines.def, and the words that they choose from. Inside the schedule only.
 */
#ifndef SHOAL_SIM_LINES_H
#define SHOAL_SIM_LINES_H

#include "sim/schedule.h"
#include "sim/words.h"

/* Where a client was first spoken of, to complain about those that never start. */
typedef struct shoal_mention {
    uint32_t line;
    uint32_t column;
} shoal_mention;

/* State while a text is read. */
typedef struct shoal_parser {
    shoal_words words;
    const shoal_schedule *schedule; /* what the lines so far have set up; nodes 0: nothing yet */
    shoal_mention *mentions;        /* per client number, or NULL */
} shoal_parser;

/* Reads what follows the line's word, up to the end of the line; false after an error. */
#define SHOAL_LINE(NAME, name, timed, syntax, doc)                         \
    bool shoal_line__parse_##name(shoal_parser *parser, shoal_line *line); \
    void shoal_line__format_##name(const shoal_line *line, shoal_buffer *out);
#include "sim/lines.def"
#undef SHOAL_LINE

/* The contracts of expect lines; in sim/contracts.c. */
bool shoal_line__parse_contract(shoal_parser *parser, shoal_line *line);
void shoal_line__format_contract(const shoal_line *line, shoal_buffer *out);

/* Perhaps `under PROFILE`, one of those of the profiles line; in sim/profiles.c. */
bool shoal_profile__parse_under(shoal_parser *parser, shoal_line *line);

/* Selectors, for the functions of several rows: any; nodes only; `left | right` or `left -> right`,
 * with `alone` also `left` by itself. */
bool shoal_line__selector(shoal_parser *parser, shoal_selector *out);
bool shoal_line__nodes(shoal_parser *parser, shoal_selector *out);
bool shoal_line__sides(shoal_parser *parser, bool alone, shoal_line *line);
void shoal_line__format_selector(const shoal_selector *selector, shoal_buffer *out);
/* ` left`, ` left | right` or ` left -> right`. */
void shoal_line__format_sides(const shoal_line *line, shoal_buffer *out);
/* A duration in its canonical form: the largest unit without a fraction. */
void shoal_line__format_duration(int64_t us, shoal_buffer *out);
/* What `at` begins in a crash line, behind that word; in sim/lines_fault.c. */
bool shoal_line__parse_trigger(shoal_parser *parser, shoal_line *line);
void shoal_line__format_trigger(const shoal_line *line, shoal_buffer *out);

/* An owned copy of a slice, terminated by zero. */
char *shoal_line__copy(shoal_slice text);

/* Word tables that have enums: shoal_shape, shoal_meet, fates, disk modes, clock changes. */
extern const char *const shoal_line__shapes[SHOAL_SHAPE_COUNT];
extern const char *const shoal_line__meets[SHOAL_MEET_COUNT];
extern const char *const shoal_line__fates[SHOAL_DISK_FATES];
extern const char *const shoal_line__disk_modes[SHOAL_DISK_MODES];
extern const char *const shoal_line__clock_changes[4];

/* A table of words as what fits at a place. */
#define SHOAL_FITTING(table) ((shoal_fitting){(table), sizeof(table) / sizeof((table)[0]), NULL})

#endif
