/* SPDX-License-Identifier: MIT
 *
 * shoal-sim shrink: makes a schedule small that breaks a promise. Every candidate runs in a process
 * of its own, so that what crashes can be made small too.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "sim/lines.h"
#include "sim/memory.h"
#include "sim/program.h"
#include "sim/shrink.h"
#include "sim/sweep.h"

/* Runs without --budget. */
#define BUDGET 2000u

/* What candidates are asked. */
typedef struct questioner {
    const shoal_arguments *arguments;
    const char *promise;
    shoal_attempt *attempt; /* the last one */
    bool failed;            /* no process could be started */
} questioner;

static bool make(void *context, shoal_schedule *out)
{
    *out = *(const shoal_schedule *)context;
    return true;
}

/* Runs a schedule in a child. */
static bool run(questioner *who, const shoal_schedule *schedule)
{
    shoal_trial trial;
    shoal_schedule borrowed = *schedule;
    if (!shoal_attempt__start(&trial, make, &borrowed, who->arguments->profile)) {
        if (!who->failed) fprintf(stderr, "shoal-sim: cannot start a run: %s\n", strerror(errno));
        who->failed = true;
        return false;
    }
    shoal_attempt__finish(&trial, who->attempt);
    return true;
}

static bool breaks(void *context, const shoal_schedule *candidate)
{
    questioner *who = context;
    if (who->failed || !run(who, candidate)) return false;
    for (uint32_t i = 0; i < who->attempt->breach_count; i++) {
        if (strcmp(who->attempt->breaches[i].promise, who->promise) == 0) return true;
    }
    return false;
}

static void progress(void *context, uint32_t runs, const shoal_draft *best)
{
    const questioner *who = context;
    uint32_t nodes = 0;
    if (who->arguments->quiet || !isatty(STDERR_FILENO)) return;
    for (uint32_t i = 0; i < best->count; i++) {
        if (best->lines[i].kind == SHOAL_LINE_CLUSTER) nodes = best->lines[i].nodes;
    }
    fprintf(stderr, "\r\033[K%u runs, %u lines, %u nodes", runs, best->count, nodes);
    fflush(stderr);
}

/* ---- the command ---- */

/* The schedule with the seed of the command line. */
static void set_seed(shoal_schedule *schedule, const shoal_arguments *arguments)
{
    for (uint32_t i = 0; arguments->has_seed && i < schedule->count; i++) {
        if (schedule->lines[i].kind == SHOAL_LINE_SEED)
            schedule->lines[i].amount = (int64_t)arguments->seed;
    }
    if (arguments->has_seed) schedule->seed = arguments->seed;
}

/* Runs the original, and chooses what to keep broken: what was asked for, or the first. */
static bool choose_promise(questioner *who, const shoal_schedule *schedule, char out[160])
{
    const char *wanted = who->arguments->promise;
    if (!run(who, schedule)) return false;
    const shoal_attempt *attempt = who->attempt;
    for (uint32_t i = 0; i < attempt->breach_count; i++) {
        const char *promise = attempt->breaches[i].promise;
        bool fits = wanted == NULL || strcmp(promise, wanted) == 0 ||
                    (strncmp(promise, "expect ", 7) == 0 &&
                     strncmp(promise + 7, wanted, strlen(wanted)) == 0);
        if (!fits) continue;
        memcpy(out, promise, 160);
        return true;
    }
    if (attempt->breach_count == 0) {
        fputs("shoal-sim: this run breaks no promise\n", stderr);
        return false;
    }
    fprintf(stderr, "shoal-sim: this run does not break %s; it breaks:\n", wanted);
    for (uint32_t i = 0; i < attempt->breach_count; i++) {
        fprintf(stderr, "  %s\n", attempt->breaches[i].promise);
    }
    return false;
}

/* Writes the result with what it breaks as a comment. */
static bool write_result(questioner *who, shoal_schedule *small)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    const char *path = who->arguments->out;
    shoal_text_appendf(&text, "# Made small by shoal-sim shrink. It breaks: %s\n", who->promise);
    small->lines[1].comment_before = shoal_line__copy(shoal_buffer_slice(&text));
    shoal_buffer_consume(&text, shoal_buffer_size(&text));
    shoal_schedule_format(small, true, &text);
    shoal_slice bytes = shoal_buffer_slice(&text);
    FILE *file = path ? fopen(path, "wb") : stdout;
    bool good = file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
    if (file && path) good = fclose(file) == 0 && good;
    if (!good) fprintf(stderr, "%s: %s\n", path ? path : "standard output", strerror(errno));
    shoal_buffer_free(&text);
    return good;
}

static int shrink(questioner *who, const shoal_schedule *schedule)
{
    shoal_schedule small;
    const shoal_arguments *arguments = who->arguments;
    shoal_shrink_options options = {.schedule = schedule,
                                    .promise = who->promise,
                                    .budget = arguments->budget ? arguments->budget : BUDGET,
                                    .breaks = breaks,
                                    .progress = progress,
                                    .context = who};
    uint32_t runs = shoal_shrink__schedule(&options, &small);
    if (!arguments->quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    if (runs == 0 || who->failed) {
        fprintf(stderr, "shoal-sim: once more, and it did not break %s\n", who->promise);
        shoal_schedule_free(&small);
        return SHOAL_EXIT_UNUSABLE;
    }
    bool written = write_result(who, &small);
    if (!arguments->quiet) {
        fprintf(stderr,
                "promise       %s\nlines         %u, before %u\nnodes         %u, before %u\n",
                who->promise, small.count, schedule->count, small.nodes, schedule->nodes);
        fprintf(stderr, "runs          %u%s\n", runs,
                runs >= options.budget ? ", all that were allowed" : "");
    }
    shoal_schedule_free(&small);
    return written ? SHOAL_EXIT_HELD : SHOAL_EXIT_UNUSABLE;
}

int shoal_program__shrink(const shoal_arguments *arguments)
{
    shoal_schedule schedule;
    char promise[160] = "";
    if (arguments->file_count != 1) {
        fputs("shoal-sim shrink takes one FILE\n", stderr);
        return SHOAL_EXIT_UNUSABLE;
    }
    if (!shoal_program__load(arguments->files[0], &schedule)) return SHOAL_EXIT_UNUSABLE;
    set_seed(&schedule, arguments);
    questioner who = {.arguments = arguments,
                      .promise = promise,
                      .attempt = shoal_sim__allocate(sizeof(shoal_attempt))};
    int code = SHOAL_EXIT_UNUSABLE;
    if (choose_promise(&who, &schedule, promise)) code = shrink(&who, &schedule);
    shoal_sim__free(who.attempt);
    shoal_schedule_free(&schedule);
    return code;
}
