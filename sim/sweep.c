/* SPDX-License-Identifier: MIT
 *
 * shoal-sim sweep: draws a schedule for each seed, runs it in a process of its own, and adds up
 * what came of it; or adds up what other sweeps found.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "sim/draw.h"
#include "sim/lines.h"
#include "sim/memory.h"
#include "sim/program.h"
#include "sim/sweep.h"

/* More processes at once than anybody has processors. */
#define JOBS_MAX 512u

/* Time between two progress lines. */
#define PROGRESS_US INT64_C(250000)

/* A run that is over. */
typedef struct finished {
    uint64_t seed;
    shoal_attempt *attempt;
} finished;

/* A sweep under way. */
typedef struct sweep {
    const shoal_arguments *arguments;
    shoal_schedule given;
    bool has_given;
    shoal_seed_range range;
    uint64_t next; /* seed */
    uint64_t left; /* seeds that are not begun */
    uint32_t jobs_count;
    shoal_trial *jobs;
    uint64_t *seeds; /* of jobs */
    bool *busy;
    /* Runs that are over, but not one with a smaller seed: in what order they end is not told. */
    finished *waiting;
    uint32_t waiting_count, waiting_capacity;
    uint64_t told;    /* seeds below are in the tally */
    uint64_t stop_at; /* the smallest seed that broke a promise, where that ends the sweep */
    shoal_tally tally;
    int64_t began_us, told_us;
    bool failed;
} sweep;

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- one seed ---- */

/* A seed to draw. */
typedef struct drawing_of_seed {
    const sweep *all;
    uint64_t seed;
} drawing_of_seed;

static bool draw(void *context, shoal_schedule *out)
{
    const drawing_of_seed *of = context;
    const shoal_arguments *arguments = of->all->arguments;
    shoal_schedule_error error;
    shoal_draw_options options = {.seed = of->seed,
                                  .given = of->all->has_given ? &of->all->given : NULL,
                                  .profile = arguments->profile,
                                  .reckless = arguments->reckless};
    if (shoal_draw__schedule(&options, out, &error) == SHOAL_ERR_OK) return true;
    fprintf(stderr, "seed %" PRIu64 ": the drawn schedule is wrong, line %u: %s\n", of->seed,
            error.line, error.message);
    return false;
}

/* Writes the schedule of a seed that broke a promise into the folder. */
static void keep_schedule(sweep *all, uint64_t seed, const shoal_attempt *attempt)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    drawing_of_seed of = {all, seed};
    shoal_schedule schedule;
    char path[4096];
    if (!draw(&of, &schedule)) return;
    shoal_text_appendf(&text, "# Drawn for seed %lu by shoal-sim sweep. It breaks:\n",
                       (unsigned long)seed);
    for (uint32_t i = 0; i < attempt->breach_count; i++) {
        shoal_text_appendf(&text, "# %s\n", attempt->breaches[i].promise);
    }
    schedule.lines[1].comment_before = shoal_line__copy(shoal_buffer_slice(&text));
    shoal_buffer_consume(&text, shoal_buffer_size(&text));
    shoal_schedule_format(&schedule, true, &text);
    shoal_schedule_free(&schedule);
    snprintf(path, sizeof(path), "%s/seed-%" PRIu64 ".schedule", all->arguments->out, seed);
    FILE *file = fopen(path, "wb");
    shoal_slice bytes = shoal_buffer_slice(&text);
    bool good = file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
    if (file) good = fclose(file) == 0 && good;
    if (!good) fprintf(stderr, "%s: %s\n", path, strerror(errno));
    all->failed = all->failed || !good;
    shoal_buffer_free(&text);
}

/* ---- progress ---- */

static void tell(sweep *all, bool last)
{
    int64_t now = wall_us(), took = now - all->began_us;
    const shoal_tally *tally = &all->tally;
    if (!isatty(STDERR_FILENO) && !last) return;
    if (all->arguments->quiet || (!last && now - all->told_us < PROGRESS_US)) return;
    uint32_t reached = 0;
    for (uint32_t i = 0; i < SHOAL_MARK_COUNT; i++) reached += tally->marks[i].seeds > 0;
    if (took < 1) took = 1;
    uint64_t tenths = tally->runs * 10000000 / (uint64_t)took;
    uint64_t thousands = tally->events * 1000 / (uint64_t)took;
    fprintf(stderr,
            "%s%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 ".%" PRIu64 " runs/s, %" PRIu64
            " thousand events/s, %" PRIu64 " broken, %u of %u marks%s",
            isatty(STDERR_FILENO) ? "\r\033[K" : "", tally->runs,
            all->range.until - all->range.from + 1, tenths / 10, tenths % 10, thousands,
            tally->broken, reached, (uint32_t)SHOAL_MARK_COUNT, last ? "\n" : "");
    fflush(stderr);
    all->told_us = now;
}

/* ---- all seeds ---- */

static bool begin_one(sweep *all, uint32_t job)
{
    drawing_of_seed of = {all, all->next};
    if (!shoal_attempt__start(&all->jobs[job], draw, &of, 0)) return false;
    all->busy[job] = true;
    all->seeds[job] = all->next++;
    all->left--;
    return true;
}

/* Takes what came of a seed into the sums. */
static void count_in(sweep *all, uint64_t seed, const shoal_attempt *attempt)
{
    if (!attempt->started) {
        drawing_of_seed of = {all, seed};
        shoal_schedule schedule;
        if (draw(&of, &schedule)) shoal_schedule_free(&schedule);
        all->failed = true;
    }
    shoal_tally__add(&all->tally, seed, attempt);
    if (attempt->breach_count > 0 && all->arguments->out) keep_schedule(all, seed, attempt);
}

/* Counts in what is next, as far as it is there; nothing behind the seed that ends the sweep. */
static void count_in_order(sweep *all)
{
    for (uint32_t i = 0; i < all->waiting_count;) {
        finished one = all->waiting[i];
        if (one.seed != all->told || one.seed > all->stop_at) {
            i++;
            continue;
        }
        count_in(all, one.seed, one.attempt);
        shoal_sim__free(one.attempt);
        all->waiting[i] = all->waiting[--all->waiting_count];
        all->told++;
        i = 0;
    }
}

/* A seed broke a promise: none is begun any more, and larger ones are of no use. */
static void stop(sweep *all, uint64_t seed)
{
    if (seed < all->stop_at) all->stop_at = seed;
    all->left = 0;
    for (uint32_t i = 0; i < all->jobs_count; i++) {
        if (all->busy[i] && all->seeds[i] > all->stop_at) kill(all->jobs[i].process, SIGKILL);
    }
}

static void end_one(sweep *all, uint32_t job)
{
    shoal_attempt *attempt = shoal_sim__allocate(sizeof(*attempt));
    uint64_t seed = all->seeds[job];
    shoal_attempt__finish(&all->jobs[job], attempt);
    all->busy[job] = false;
    all->waiting = shoal_sim__grow(all->waiting, &all->waiting_capacity, all->waiting_count + 1,
                                   sizeof(*all->waiting));
    all->waiting[all->waiting_count++] = (finished){seed, attempt};
    bool broken = attempt->breach_count > 0 || !attempt->started;
    if (broken && !all->arguments->keep_going && seed < all->stop_at) stop(all, seed);
    count_in_order(all);
    tell(all, false);
}

/* Gives every free process a seed; how many work then. */
static uint32_t begin_some(sweep *all)
{
    uint32_t working = 0;
    for (uint32_t i = 0; i < all->jobs_count; i++) {
        if (!all->busy[i] && all->left > 0 && !all->failed && !begin_one(all, i)) {
            fprintf(stderr, "shoal-sim: cannot start a run: %s\n", strerror(errno));
            all->failed = true;
        }
        working += all->busy[i];
    }
    return working;
}

static void run_all(sweep *all)
{
    struct pollfd *polls = shoal_sim__allocate(all->jobs_count * sizeof(*polls));
    while (begin_some(all) > 0) {
        for (uint32_t i = 0; i < all->jobs_count; i++) {
            polls[i] =
                (struct pollfd){.fd = all->busy[i] ? all->jobs[i].result : -1, .events = POLLIN};
        }
        if (poll(polls, all->jobs_count, -1) < 0 && errno != EINTR) break;
        for (uint32_t i = 0; i < all->jobs_count; i++) {
            if (all->busy[i] && polls[i].revents != 0) end_one(all, i);
        }
    }
    for (uint32_t i = 0; i < all->waiting_count; i++) shoal_sim__free(all->waiting[i].attempt);
    shoal_sim__free(polls);
    tell(all, true);
}

/* ---- the command ---- */

/* Says that a sweep ended before its last seed, and how its schedule is to be had. */
static void tell_stop(const sweep *all)
{
    const shoal_arguments *arguments = all->arguments;
    bool none = arguments->out == NULL;
    printf("stopped       at the first seed that broke a promise; %" PRIu64 "..%" PRIu64
           " were not run (--keep-going)\n",
           all->stop_at + 1, all->range.until);
    if (none) printf("              --out FOLDER keeps its schedule\n");
}

static int report(const sweep *all)
{
    const shoal_arguments *arguments = all->arguments;
    if (arguments->json)
        shoal_tally__json(&all->tally, stdout);
    else if (!arguments->quiet)
        shoal_tally__text(&all->tally, arguments->program, arguments->out, stdout);
    bool stopped = !arguments->merge && all->stop_at < all->range.until;
    if (stopped && !arguments->json && !arguments->quiet) tell_stop(all);
    if (all->failed) return SHOAL_EXIT_UNUSABLE;
    return all->tally.broken > 0 ? SHOAL_EXIT_VIOLATED : SHOAL_EXIT_HELD;
}

static int merge(sweep *all)
{
    const shoal_arguments *arguments = all->arguments;
    for (uint32_t i = 0; i < arguments->file_count; i++) {
        shoal_tally more;
        if (!shoal_tally__read(arguments->files[i], i ? &more : &all->tally))
            return SHOAL_EXIT_UNUSABLE;
        if (i == 0) continue;
        bool good = shoal_tally__merge(&all->tally, &more);
        shoal_tally__free(&more);
        if (!good) return SHOAL_EXIT_UNUSABLE;
    }
    shoal_tally__sort(&all->tally);
    return report(all);
}

static bool prepare(sweep *all)
{
    const shoal_arguments *arguments = all->arguments;
    if (arguments->out && mkdir(arguments->out, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "%s: %s\n", arguments->out, strerror(errno));
        return false;
    }
    if (arguments->file_count > 0) {
        if (!shoal_program__load(arguments->files[0], &all->given)) return false;
        all->has_given = true;
        all->tally.given = shoal_line__copy(shoal_text(arguments->files[0]));
    }
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    all->jobs_count = arguments->jobs ? arguments->jobs : processors > 0 ? (uint32_t)processors : 1;
    if (all->jobs_count > JOBS_MAX) all->jobs_count = JOBS_MAX;
    all->range = (shoal_seed_range){arguments->seeds[0], arguments->seeds[1]};
    all->next = all->told = all->range.from;
    all->stop_at = UINT64_MAX;
    all->left = all->range.until - all->range.from + 1;
    all->jobs = shoal_sim__allocate(all->jobs_count * sizeof(*all->jobs));
    all->seeds = shoal_sim__allocate(all->jobs_count * sizeof(*all->seeds));
    all->busy = shoal_sim__allocate(all->jobs_count * sizeof(*all->busy));
    all->tally.profile = arguments->profile;
    all->tally.reckless = arguments->reckless;
    return true;
}

int shoal_program__sweep(const shoal_arguments *arguments)
{
    sweep all = {.arguments = arguments};
    int code = SHOAL_EXIT_UNUSABLE;
    if (arguments->merge && arguments->file_count > 0) {
        code = merge(&all);
    } else if (!arguments->has_seeds || arguments->merge || arguments->file_count > 1) {
        fputs("shoal-sim sweep takes --seeds A..B and perhaps one FILE, or --merge FILE...\n",
              stderr);
    } else if (prepare(&all)) {
        all.began_us = wall_us();
        run_all(&all);
        shoal_seed_range run = all.range;
        if (all.stop_at < run.until) run.until = all.stop_at;
        shoal_tally__cover(&all.tally, run);
        shoal_tally__sort(&all.tally);
        code = report(&all);
    }
    shoal_tally__free(&all.tally);
    shoal_schedule_free(&all.given);
    shoal_sim__free(all.jobs);
    shoal_sim__free(all.seeds);
    shoal_sim__free(all.busy);
    shoal_sim__free(all.waiting);
    return code;
}
