/* SPDX-License-Identifier: MIT
 *
 * shoal-sim run, and what the other commands share with it: reading schedules, making worlds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "sim/memory.h"
#include "sim/program.h"

char *shoal_program__read(const char *path, size_t *size)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    char *text = NULL;
    uint32_t capacity = 0;
    *size = 0;
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    do {
        if (*size > (64u << 20)) break;
        text = shoal_sim__grow(text, &capacity, (uint32_t)*size + 65536, 1);
        *size += fread(text + *size, 1, capacity - *size - 1, file);
    } while (!feof(file) && !ferror(file));
    bool failed = ferror(file) || !feof(file);
    if (!standard) fclose(file);
    if (failed) {
        fprintf(stderr, "%s: cannot be read\n", path);
        shoal_sim__free(text);
        return NULL;
    }
    text[*size] = 0;
    return text;
}

bool shoal_program__load(const char *path, shoal_schedule *out)
{
    shoal_schedule_error error;
    size_t size = 0;
    char *text = shoal_program__read(path, &size);
    if (text == NULL) return false;
    shoal_err result = shoal_schedule_parse((shoal_slice){text, size}, out, &error);
    shoal_sim__free(text);
    if (result == SHOAL_ERR_OK) return true;
    fprintf(stderr, "%s:%u:%u: %s\n", path, error.line, error.column, error.message);
    return false;
}

shoal_world *shoal_program__world(const shoal_arguments *arguments, const shoal_schedule *schedule)
{
    shoal_world_options options = shoal_world_options_default();
    shoal_world *world = NULL;
    options.schedule = schedule;
    options.seed = arguments->seed;
    options.has_seed = arguments->has_seed;
    options.wire = arguments->wire;
    options.profile = arguments->profile;
    options.poison = arguments->poison;
    shoal_err error = shoal_world_create(&options, &world);
    if (error == SHOAL_ERR_OK) return world;
    fprintf(stderr, "shoal-sim: %s\n", shoal_err_text(error));
    return NULL;
}

/* ---- listeners of one run ---- */

/* Who listens; each may be absent. */
typedef struct listeners {
    shoal_recorder recorder;
    bool recording;
    shoal_narrator *narrator;
    shoal_streamer *streamer;
    bool text;
    shoal_allocator memory;
    shoal_buffer line;
} listeners;

static void print_entry(listeners *all, const shoal_trace_entry *entry)
{
    shoal_buffer_consume(&all->line, shoal_buffer_size(&all->line));
    shoal_trace_text(entry, &all->line);
    shoal_slice text = shoal_buffer_slice(&all->line);
    fwrite(text.data, 1, text.size, stdout);
    fputc('\n', stdout);
}

static void hear(void *context, const shoal_trace_entry *entry)
{
    listeners *all = context;
    if (all->recording) shoal_recorder__take(&all->recorder, entry);
    if (all->narrator) shoal_narrator__take(all->narrator, entry);
    if (all->streamer) shoal_streamer__take(all->streamer, entry);
    if (all->text) print_entry(all, entry);
}

static bool open_listeners(listeners *all, const shoal_arguments *arguments, shoal_world *world)
{
    *all = (listeners){.text = arguments->text, .memory = shoal_allocator_default()};
    all->line = shoal_buffer_make(&all->memory);
    if (arguments->trace_file) {
        all->recording = shoal_recorder__open(&all->recorder, arguments->trace_file);
        if (!all->recording) return false;
    }
    if (arguments->narrate) all->narrator = shoal_narrator__make(stdout);
    if (arguments->stream >= 0) {
        all->streamer = shoal_streamer__make(arguments->stream);
        shoal_streamer__watch(all->streamer, world);
    }
    bool any = all->recording || all->narrator || all->streamer || all->text;
    if (any) shoal_world_set_tracer(world, hear, all);
    return true;
}

static bool close_listeners(listeners *all)
{
    bool good = !all->recording || shoal_recorder__close(&all->recorder);
    if (all->narrator) shoal_narrator__free(all->narrator);
    if (all->streamer) shoal_streamer__free(all->streamer);
    shoal_buffer_free(&all->line);
    return good;
}

/* ---- the command ---- */

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t resident_kib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

/* Runs a world with whoever listens, and reports. */
static int run_world(const shoal_arguments *arguments, shoal_world *world)
{
    listeners all;
    if (!open_listeners(&all, arguments, world)) return SHOAL_EXIT_UNUSABLE;
    int64_t began = clock_us(CLOCK_MONOTONIC), used = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    shoal_world_run(world);
    int64_t took = clock_us(CLOCK_MONOTONIC) - began;
    used = clock_us(CLOCK_PROCESS_CPUTIME_ID) - used;
    shoal_world_set_tracer(world, NULL, NULL);
    bool recorded = close_listeners(&all);
    shoal_world_result result;
    shoal_world_result_get(world, &result);
    shoal_report report = {arguments->files[0], arguments, &result, took, used, resident_kib()};
    if (arguments->json)
        shoal_program__report_json(&report, stdout);
    else if (!arguments->quiet)
        shoal_program__report_text(&report, stdout);
    if (!recorded) {
        fprintf(stderr, "%s: could not be written whole\n", arguments->trace_file);
        return SHOAL_EXIT_UNUSABLE;
    }
    return result.violated ? SHOAL_EXIT_VIOLATED : SHOAL_EXIT_HELD;
}

int shoal_program__run(const shoal_arguments *arguments)
{
    shoal_schedule schedule;
    if (!shoal_program__prepare(arguments, &schedule)) return SHOAL_EXIT_UNUSABLE;
    shoal_world *world = shoal_program__world(arguments, &schedule);
    shoal_tape_writer *tapes = NULL;
    if (world && arguments->record) {
        tapes = shoal_tape_writer__make(arguments->record);
        shoal_world_record(world, shoal_tape_writer__take, tapes);
    }
    int code = world ? run_world(arguments, world) : SHOAL_EXIT_UNUSABLE;
    shoal_world_destroy(world);
    if (tapes && !shoal_tape_writer__close(tapes)) {
        fprintf(stderr, "%s: could not be written whole\n", arguments->record);
        code = SHOAL_EXIT_UNUSABLE;
    }
    shoal_schedule_free(&schedule);
    return code;
}
