/* SPDX-License-Identifier: MIT
 *
 * shoal-sim: the simulator's program. This file reads the command line.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sim/memory.h"
#include "sim/mutants.h"
#include "sim/program.h"

static const char USAGE[] =
    "shoal-sim: run a cluster of virtual nodes through a schedule of faults\n"
    "\n"
    "  shoal-sim run FILE [--seed N] [--profile redis-7|shoal] [--trace FILE] [--narrate] "
    "[--text]\n"
    "                [--json] [--quiet] [--record FOLDER] [--wire]\n"
    "  shoal-sim replay FILE... [--until TIME|STEP] [--trace FILE] [--narrate] [--text] [--quiet]\n"
    "                                          run what nodes have recorded again, and compare\n"
    "  shoal-sim verify FILE... [--seed N] [--profile P]\n"
    "                                          run twice under perturbation and compare\n"
    "  shoal-sim generate FILE.lua [NAME=VALUE...] [--seed N] [--out FILE] [--params]\n"
    "                                          the schedule that a generator writes\n"
    "  shoal-sim fmt FILE [--write]            print in canonical form, or put it into FILE\n"
    "  shoal-sim list [FOLDER]                 schedules with their first comment\n"
    "  shoal-sim words                         the grammar of schedules\n"
    "  shoal-sim bless TABLE FILE...           write the hashes of these runs to TABLE\n"
    "  shoal-sim golden TABLE                  run what TABLE names and compare (TAP)\n"
    "  shoal-sim sweep [FILE] --seeds A..B [--keep-going] [--profile P] [--reckless] [--jobs N]\n"
    "                [--out FOLDER] [--json]   draw a schedule for each seed, run and judge it, "
    "until\n"
    "                                          one breaks a promise; what FILE says stays, what "
    "it\n"
    "                                          says nothing of is drawn\n"
    "  shoal-sim sweep --merge FILE... [--json]  add up what sweeps have written as JSON\n"
    "  shoal-sim shrink FILE [--check PROMISE] [--budget RUNS] [--out FILE] [--seed N] [--profile "
    "P]\n"
    "                                          the few lines of FILE that break the same promise\n"
    "  shoal-sim live FILE --server PATH... [--runs N] [--seeds A..B] [--profile P] [--jobs N]\n"
    "                [--strict] [--json] [--plot FILE.svg]\n"
    "                                          play FILE on real servers and compare with the\n"
    "                                          simulated runs\n"
    "\n"
    "FILE may be - for standard input. Exit codes: 0 what was expected held, 1 it did not,\n"
    "2 the arguments or the schedule cannot be used. docs/SIMULATOR.md explains schedules.\n";

typedef int (*command_function)(const shoal_arguments *arguments);
static const struct {
    const char *name;
    command_function function;
    uint32_t files_min;
} commands[] = {{"run", shoal_program__run, 1},           {"verify", shoal_program__verify, 1},
                {"fmt", shoal_program__fmt, 1},           {"list", shoal_program__list, 0},
                {"words", shoal_program__words, 0},       {"bless", shoal_program__bless, 2},
                {"golden", shoal_program__golden, 1},     {"sweep", shoal_program__sweep, 0},
                {"generate", shoal_program__generate, 1}, {"replay", shoal_program__replay, 1},
                {"shrink", shoal_program__shrink, 1},     {"live", shoal_program__live, 1}};

static int unusable(const char *what, const char *which)
{
    fprintf(stderr, "shoal-sim: %s%s%s\n\n%s", what, which ? ": " : "", which ? which : "", USAGE);
    return SHOAL_EXIT_UNUSABLE;
}

/* Options without a value. */
static bool take_flag(shoal_arguments *arguments, const char *option)
{
    if (strcmp(option, "--json") == 0)
        arguments->json = true;
    else if (strcmp(option, "--narrate") == 0)
        arguments->narrate = true;
    else if (strcmp(option, "--text") == 0)
        arguments->text = true;
    else if (strcmp(option, "--quiet") == 0)
        arguments->quiet = true;
    else if (strcmp(option, "--merge") == 0)
        arguments->merge = true;
    else if (strcmp(option, "--reckless") == 0)
        arguments->reckless = true;
    else if (strcmp(option, "--keep-going") == 0)
        arguments->keep_going = true;
    else if (strcmp(option, "--wire") == 0)
        arguments->wire = true;
    else if (strcmp(option, "--write") == 0)
        arguments->write = true;
    else if (strcmp(option, "--params") == 0)
        arguments->parameters = true;
    else if (strcmp(option, "--strict") == 0)
        arguments->strict = true;
    else
        return false;
    return true;
}

/* `A..B` */
static bool take_seeds(shoal_arguments *arguments, const char *value)
{
    const char *dots = strstr(value, "..");
    arguments->has_seeds =
        dots &&
        shoal_text_to_u64((shoal_slice){value, (size_t)(dots - value)}, &arguments->seeds[0]) &&
        shoal_text_to_u64(shoal_text(dots + 2), &arguments->seeds[1]) &&
        arguments->seeds[0] <= arguments->seeds[1] && arguments->seeds[1] < UINT64_MAX - 10;
    return arguments->has_seeds;
}

/* Options with one. False when the option is unknown or the value is wrong. */
static bool take_option(shoal_arguments *arguments, const char *option, const char *value)
{
    uint64_t number = 0;
    if (strcmp(option, "--trace") == 0) {
        arguments->trace_file = value;
        return true;
    }
    if (strcmp(option, "--record") == 0) {
        arguments->record = value;
        return true;
    }
    if (strcmp(option, "--until") == 0) {
        arguments->until = value;
        return true;
    }
    if (strcmp(option, "--out") == 0) {
        arguments->out = value;
        return true;
    }
    if (strcmp(option, "--check") == 0) {
        arguments->promise = value;
        return true;
    }
    if (strcmp(option, "--plot") == 0) {
        arguments->plot = value;
        return true;
    }
    if (strcmp(option, "--server") == 0) {
        if (arguments->server_count == 8) return false;
        arguments->servers[arguments->server_count++] = value;
        return true;
    }
    if (strcmp(option, "--mutant") == 0) return shoal_mutants_choose(value);
    if (strcmp(option, "--seeds") == 0) return take_seeds(arguments, value);
    if (strcmp(option, "--profile") == 0) {
        arguments->profile = shoal_profile_named(shoal_text(value));
        return arguments->profile < SHOAL_PROFILES_COUNT;
    }
    if (!shoal_text_to_u64(shoal_text(value), &number)) return false;
    if (strcmp(option, "--seed") == 0) {
        arguments->seed = number;
        arguments->has_seed = true;
    } else if (strcmp(option, "--jobs") == 0 && number > 0 && number < 1000) {
        arguments->jobs = (uint32_t)number;
    } else if (strcmp(option, "--runs") == 0 && number > 0 && number <= 1000) {
        arguments->runs = (uint32_t)number;
    } else if (strcmp(option, "--budget") == 0 && number > 0 && number <= UINT32_MAX) {
        arguments->budget = (uint32_t)number;
    } else if (strcmp(option, "--poison") == 0 && number < 256) {
        arguments->poison = (int32_t)number;
    } else if (strcmp(option, "--stream") == 0 && number < 1024) {
        arguments->stream = (int32_t)number;
    } else {
        return false;
    }
    return true;
}

/* Reads everything behind the command's name. 0 or an exit code. */
static int read_arguments(shoal_arguments *arguments, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == 0) {
            arguments->files[arguments->file_count++] = argv[i];
        } else if (!take_flag(arguments, argv[i])) {
            if (i + 1 == argc) return unusable("unknown option, or its value is missing", argv[i]);
            if (!take_option(arguments, argv[i], argv[i + 1])) {
                return unusable("unknown option, or a value that it cannot take", argv[i]);
            }
            i++;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    shoal_arguments arguments = {.program = argv[0], .poison = -1, .stream = -1};
    if (argc < 2) return unusable("a command is missing", NULL);
    if (strcmp(argv[1], "mutants") == 0 && shoal_mutants_list(stdout)) return 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        fputs(USAGE, stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        arguments.files = shoal_sim__allocate((size_t)argc * sizeof(*arguments.files));
        int code = read_arguments(&arguments, argc, argv);
        if (code == 0 && arguments.file_count < commands[i].files_min) {
            code = unusable("a file is missing", NULL);
        }
        if (code == 0) code = commands[i].function(&arguments);
        shoal_sim__free(arguments.files);
        return code;
    }
    return unusable("unknown command", argv[1]);
}
