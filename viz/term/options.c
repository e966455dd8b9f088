/* SPDX-License-Identifier: MIT
 *
 * viz/term/options.c - the command line of shoal-top.
 */
#include "viz/term/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viz/panels/panels.h"

#define SIZE_MAX_CELLS 1000

static const char usage[] =
    "usage: shoal-top (--sim FILE [NAME=VALUE...] | [--trace] FILE) [options]\n"
    "\n"
    "Shows a cluster: all 16,384 slots, the nodes and their opinions, the frames in flight.\n"
    "\n"
    "  --sim FILE       simulate this schedule and show it as it happens; what a generator\n"
    "                   (FILE.lua) writes, with these values for its parameters\n"
    "  --trace FILE     show a trace that `shoal-sim run --trace FILE` wrote, or what a\n"
    "                   node wrote that ran with --record FILE\n"
    "  --speed X        simulated seconds a second (default 1)\n"
    "  --view LABEL     the cluster as this node sees it (default: the truth from outside)\n"
    "  --once           leave when the run is over\n"
    "  --headless       print text frames instead of using the terminal\n"
    "  --at TIME[,..]   headless: the moments to print, such as 12.5s,20s (default: the end)\n"
    "  --size WxH       headless: size of a frame (default 110x36, at least 80x24)\n"
    "  --help, --version\n";

static int refuse(const char *argument, const char *expected)
{
    fprintf(stderr, "shoal-top: %s: expected %s\n", argument, expected);
    return 2;
}

bool shoal_top_time_parse(const char *text, int64_t *time_us)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value >= 0 && value < 1e9)) return false;
    double scale = 1e6;
    if (strcmp(end, "ms") == 0) {
        scale = 1e3;
    } else if (strcmp(end, "us") == 0) {
        scale = 1;
    } else if (*end && strcmp(end, "s") != 0) {
        return false;
    }
    *time_us = (int64_t)(value * scale + 0.5);
    return true;
}

static bool parse_times(char *text, shoal_top_options *options)
{
    char *rest = NULL;
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (options->at_count == SHOAL_TOP_TIMES_MAX) return false;
        if (!shoal_top_time_parse(word, &options->at_us[options->at_count++])) return false;
    }
    return options->at_count > 0;
}

static bool parse_size(const char *text, shoal_top_options *options)
{
    char behind;
    if (sscanf(text, "%dx%d%c", &options->width, &options->height, &behind) != 2) return false;
    return options->width >= SHOAL_PANELS_WIDTH_MIN && options->width <= SIZE_MAX_CELLS &&
           options->height >= SHOAL_PANELS_HEIGHT_MIN && options->height <= SIZE_MAX_CELLS;
}

static bool parse_speed(const char *text, shoal_top_options *options)
{
    char *end;
    options->speed = strtod(text, &end);
    return end != text && !*end && options->speed >= 0.001 && options->speed <= 1e6;
}

/* An option with a value. 0, or 2 after a complaint. */
static int take_value(const char *name, char *value, shoal_top_options *options)
{
    if (strcmp(name, "--trace") == 0) {
        options->trace = value;
    } else if (strcmp(name, "--sim") == 0) {
        options->schedule = value;
    } else if (strcmp(name, "--view") == 0) {
        options->view = value;
    } else if (strcmp(name, "--at") == 0) {
        if (!parse_times(value, options)) return refuse(name, "times such as 12.5s,20s");
    } else if (strcmp(name, "--size") == 0) {
        if (!parse_size(value, options)) return refuse(name, "WIDTHxHEIGHT, 80x24 to 1000x1000");
    } else if (strcmp(name, "--speed") == 0) {
        if (!parse_speed(value, options)) return refuse(name, "a number from 0.001 to 1000000");
    } else {
        return refuse(name, "an option that --help lists");
    }
    return 0;
}

/* An option without a value: true when `name` is one. */
static bool take_flag(const char *name, shoal_top_options *options)
{
    if (strcmp(name, "--headless") == 0) {
        options->headless = true;
    } else if (strcmp(name, "--once") == 0) {
        options->once = true;
    } else {
        return false;
    }
    return true;
}

int shoal_top_options_parse(int argc, char **argv, shoal_top_options *options)
{
    *options = (shoal_top_options){.width = 110, .height = 36, .speed = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return 1;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("shoal-top " SHOAL_VERSION);
            return 1;
        }
        if (take_flag(argv[i], options)) continue;
        if (argv[i][0] != '-' && strchr(argv[i], '=')) {
            if (options->setting_count == SHOAL_TOP_SETTINGS_MAX)
                return refuse(argv[i], "fewer parameters");
            options->settings[options->setting_count++] = argv[i];
            continue;
        }
        if (argv[i][0] != '-' && !options->trace) {
            options->trace = argv[i];
            continue;
        }
        if (i + 1 == argc) return refuse(argv[i], "a known option with its value; see --help");
        int bad = take_value(argv[i], argv[i + 1], options);
        if (bad) return bad;
        i++;
    }
    if (!options->trace == !options->schedule) {
        return refuse("arguments", "either --sim FILE or --trace FILE; see --help");
    }
    size_t size = options->schedule ? strlen(options->schedule) : 0;
    bool generator = size > 4 && strcmp(options->schedule + size - 4, ".lua") == 0;
    if (options->setting_count > 0 && !generator) {
        return refuse(options->settings[0], "--sim FILE.lua: only a generator has parameters");
    }
    return 0;
}
