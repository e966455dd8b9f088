/* SPDX-License-Identifier: MIT
 *
 * sim/generate.h - generators: Lua files that write schedules. A generator is a function of its
 * text, its seed and its parameters: it cannot read clocks, files or addresses, and its budget of
 * instructions and memory is bounded. What it writes goes through the parser of schedules line by
 * line. Its reactions (`when`) take part in a run of the schedule, and what they did is written
 * into the schedule with its moments, so that nobody needs the Lua file any more.
 *
 * One thread at a time; no globals. Only sim/lua*.c know Lua.
 */
#ifndef SHOAL_SIM_GENERATE_H
#define SHOAL_SIM_GENERATE_H

#include <shoal/trace.h>

#include "sim/schedule.h"

/* What a file may use. Chosen: a hundred times what the largest schedule needs. */
#define SHOAL_GENERATOR_INSTRUCTIONS_MAX UINT64_C(50000000)
#define SHOAL_GENERATOR_MEMORY_MAX ((size_t)64 << 20)
#define SHOAL_GENERATOR_PARAMETERS_MAX 64u

/* One generator: a Lua file and all that belongs to it while it works. */
typedef struct shoal_generator shoal_generator;

/* What makes a generator; zero is a valid start for all but the first two. */
typedef struct shoal_generator_options {
    const char *path; /* its name in errors; borrowed */
    shoal_slice text; /* the Lua file; borrowed */
    bool has_seed;
    uint64_t seed;    /* instead of what the file says */
    uint32_t profile; /* shoal_profile of the run with reactions; 0: the first of the file */
    const char *const *settings; /* `name=value` for its parameters; borrowed */
    uint32_t setting_count;
    uint64_t instructions_max;                      /* 0: SHOAL_GENERATOR_INSTRUCTIONS_MAX */
    size_t memory_max;                              /* bytes; 0: SHOAL_GENERATOR_MEMORY_MAX */
    void (*print)(void *context, shoal_slice text); /* what the file prints; NULL: nobody listens */
    void *print_context;
} shoal_generator_options;

/* A parameter that the file has declared. Borrowed from the generator. */
typedef struct shoal_generator_parameter {
    const char *name;
    const char *value; /* in this run, as text */
    const char *doc;
    bool given; /* by a setting */
} shoal_generator_parameter;

/* Is the file at this path a generator, by its name? */
bool shoal_generator__names(const char *path);

/* A generator that has not run. Never NULL. */
shoal_generator *shoal_generator__make(const shoal_generator_options *options);
void shoal_generator__free(shoal_generator *generator);

/* Runs the file, once, and if it reacts, a world with the schedule: `out` has all that was written.
 * False when something was wrong: then shoal_generator__error says what, and `out` is empty. */
bool shoal_generator__schedule(shoal_generator *generator, shoal_schedule *out);
/* `FILE:LINE: what`, perhaps with the line in question below; "" when nothing was wrong. */
const char *shoal_generator__error(const shoal_generator *generator);

/* What it says about itself, or "", and its parameters; both also after a failure. */
const char *shoal_generator__about(const shoal_generator *generator);
uint32_t shoal_generator__parameters(const shoal_generator *generator);
shoal_generator_parameter shoal_generator__parameter(const shoal_generator *generator,
                                                     uint32_t index);

#endif
