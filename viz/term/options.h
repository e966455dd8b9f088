/* SPDX-License-Identifier: MIT
 *
 * viz/term/options.h - what shoal-top was asked for on its command line.
 */
#ifndef SHOAL_VIZ_OPTIONS_H
#define SHOAL_VIZ_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Most times that --at takes. */
#define SHOAL_TOP_TIMES_MAX 64

/* Most parameters that a generator is given. */
#define SHOAL_TOP_SETTINGS_MAX 64u

/* Parsed arguments. Text points into argv. */
typedef struct shoal_top_options {
    const char *trace;                            /* --trace FILE */
    const char *schedule;                         /* --sim FILE, a schedule or a generator */
    const char *settings[SHOAL_TOP_SETTINGS_MAX]; /* NAME=VALUE for a generator's parameters */
    uint32_t setting_count;
    bool headless;                      /* text frames on standard output, no terminal */
    bool once;                          /* --once: leave at the end of the run */
    int width, height;                  /* --size, of headless frames */
    int64_t at_us[SHOAL_TOP_TIMES_MAX]; /* --at: moments to print */
    int at_count;
    const char *view; /* --view LABEL: whose opinion, NULL for the truth */
    double speed;     /* --speed: simulated seconds a second */
} shoal_top_options;

/* Reads the arguments. 0 to go on, 1 when help or version was printed and the program is done, 2
 * after printing to standard error which argument is unusable and what was expected. */
int shoal_top_options_parse(int argc, char **argv, shoal_top_options *options);

/* Reads a time such as 12.5s, 300ms, 40us or 12.5 (seconds). False when it is none. */
bool shoal_top_time_parse(const char *text, int64_t *time_us);

#endif
