/* SPDX-License-Identifier: MIT
 *
 * shoal-sim generate, and how the other commands come to the schedule of a generator.
 */
#include "sim/generate.h"

#include <errno.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/program.h"

bool shoal_program__is_generator(const char *path)
{
    return shoal_generator__names(path);
}

static void print(void *context, shoal_slice text)
{
    fwrite(text.data, 1, text.size, context);
}

/* Everything behind the file is a setting. */
static bool check_settings(const shoal_arguments *arguments)
{
    for (uint32_t i = 1; i < arguments->file_count; i++) {
        if (strchr(arguments->files[i], '=') != NULL) continue;
        fprintf(stderr, "found \"%s\", expected NAME=VALUE for a parameter of %s\n",
                arguments->files[i], arguments->files[0]);
        return false;
    }
    return true;
}

static shoal_generator *make_generator(const shoal_arguments *arguments, shoal_slice text)
{
    shoal_generator_options options = {.path = arguments->files[0],
                                       .text = text,
                                       .has_seed = arguments->has_seed,
                                       .seed = arguments->seed,
                                       .profile = arguments->profile,
                                       .settings = arguments->files + 1,
                                       .setting_count = arguments->file_count - 1,
                                       .print = print,
                                       .print_context = stderr};
    return shoal_generator__make(&options);
}

/* Writes the canonical text to a file, or to standard output when `path` is NULL. */
static bool write_schedule(const shoal_schedule *schedule, const char *path)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    shoal_schedule_format(schedule, true, &text);
    shoal_slice bytes = shoal_buffer_slice(&text);
    FILE *out = path ? fopen(path, "w") : stdout;
    bool good = out != NULL && fwrite(bytes.data, 1, bytes.size, out) == bytes.size;
    if (out != NULL && (path ? fclose(out) : fflush(out)) != 0) good = false;
    if (!good) fprintf(stderr, "%s: %s\n", path ? path : "standard output", strerror(errno));
    shoal_buffer_free(&text);
    return good;
}

/* Tells what a generator is for and what it takes. */
static void tell_parameters(const shoal_generator *generator)
{
    const char *about = shoal_generator__about(generator);
    if (about[0]) printf("%s\n", about);
    for (uint32_t i = 0; i < shoal_generator__parameters(generator); i++) {
        shoal_generator_parameter parameter = shoal_generator__parameter(generator, i);
        char setting[128];
        snprintf(setting, sizeof(setting), "%s=%s", parameter.name, parameter.value);
        printf("  %-24s %s\n", setting, parameter.doc);
    }
}

/* Lets the generator of the arguments write; with --params also tells about it. */
static bool generate(const shoal_arguments *arguments, shoal_schedule *out)
{
    size_t size = 0;
    if (!check_settings(arguments)) return false;
    char *text = shoal_program__read(arguments->files[0], &size);
    if (text == NULL) return false;
    shoal_generator *generator = make_generator(arguments, (shoal_slice){text, size});
    bool good = shoal_generator__schedule(generator, out);
    if (arguments->parameters) tell_parameters(generator);
    if (!good) fprintf(stderr, "%s\n", shoal_generator__error(generator));
    shoal_generator__free(generator);
    shoal_sim__free(text);
    return good;
}

bool shoal_program__prepare(const shoal_arguments *arguments, shoal_schedule *out)
{
    bool good = false;
    if (shoal_program__is_generator(arguments->files[0])) {
        good = generate(arguments, out);
    } else if (arguments->file_count > 1) {
        fprintf(stderr, "shoal-sim takes one FILE here; only a generator has parameters\n");
    } else {
        good = shoal_program__load(arguments->files[0], out);
    }
    if (!good || arguments->out == NULL) return good;
    if (write_schedule(out, arguments->out)) return true;
    shoal_schedule_free(out);
    return false;
}

int shoal_program__generate(const shoal_arguments *arguments)
{
    shoal_schedule schedule;
    if (!shoal_program__is_generator(arguments->files[0])) {
        fprintf(stderr, "shoal-sim generate takes a FILE.lua\n");
        return SHOAL_EXIT_UNUSABLE;
    }
    if (!shoal_program__prepare(arguments, &schedule)) return SHOAL_EXIT_UNUSABLE;
    bool shown = arguments->parameters || arguments->out != NULL;
    bool good = shown || write_schedule(&schedule, NULL);
    shoal_schedule_free(&schedule);
    return good ? SHOAL_EXIT_HELD : SHOAL_EXIT_UNUSABLE;
}
