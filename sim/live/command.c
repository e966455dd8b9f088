/* SPDX-License-Identifier: MIT
 *
 * shoal-sim live: the same schedule on real servers and in the simulator. Each live run is a
 * process of its own, which ends its servers with itself; what it found lies in shared memory.
 */
#define _GNU_SOURCE /* prctl */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/live/signals.h"
#include "sim/live/study.h"
#include "sim/live/twin.h"
#include "sim/memory.h"
#include "sim/program.h"

/* Live runs and simulated ones of each group, unless the command line says otherwise. Chosen: what
 * a person waits for; and so many that the simulated sample is known far better than the live. */
#define RUNS 9u
#define SEEDS 200u

/* One live run to be made. */
typedef struct live_job {
    shoal_group *group;
    uint32_t number;
    shoal_live_result *result; /* in memory that is shared */
    pid_t pid;
} live_job;

/* ---- groups ---- */

static shoal_group *add_group(shoal_study *study, const shoal_server *server, uint32_t profile)
{
    SHOAL_ASSERT(study->group_count < SHOAL_STUDY_GROUPS_MAX);
    shoal_group *group = &study->groups[study->group_count++];
    group->server = server;
    group->profile = profile;
    snprintf(group->label, sizeof(group->label), "%s%s%s", server ? server->label : "simulated",
             profile ? ", " : "", profile ? shoal_profile_name(profile) : "");
    if (server && !server->profiles)
        snprintf(group->label, sizeof(group->label), "%s", server->label);
    return group;
}

/* Live groups of a profile, and the simulated one. False after a complaint. */
static bool add_profile(shoal_study *study, uint32_t profile)
{
    for (uint32_t i = 0; i < study->server_count; i++) {
        const shoal_server *server = &study->servers[i];
        if (profile == SHOAL_PROFILE_OF_SHOAL && !server->profiles && study->server_count > 1)
            continue; /* the others follow it */
        shoal_group *group = add_group(study, server, profile);
        group->plan = shoal_sim__allocate(study->schedule->count * sizeof(*group->plan));
        if (!shoal_plan__make(study->schedule, server, profile, group->plan)) return false;
    }
    add_group(study, NULL, profile);
    return true;
}

/* The profiles of the command line, or all that the schedule names. */
static bool add_groups(shoal_study *study, const shoal_arguments *arguments)
{
    const uint32_t *profiles = study->schedule->profiles;
    if (arguments->profile) return add_profile(study, arguments->profile);
    for (uint32_t i = 0; i < SHOAL_PROFILES_COUNT - 1; i++) {
        bool followed = profiles[i] != SHOAL_PROFILE_OF_SHOAL;
        for (uint32_t j = 0; j < study->server_count; j++) followed |= study->servers[j].profiles;
        if (profiles[i] == 0 && i > 0) break;
        if (followed && !add_profile(study, profiles[i])) return false;
    }
    return true;
}

static bool look_at_servers(shoal_study *study, const shoal_arguments *arguments)
{
    for (uint32_t i = 0; i < arguments->server_count; i++) {
        if (!shoal_server__look(arguments->servers[i], &study->servers[i])) return false;
        study->server_count++;
    }
    return true;
}

/* With --strict, everything must be played as it is written. */
static bool is_strict_enough(const shoal_study *study)
{
    bool good = true;
    for (uint32_t i = 0; i < study->group_count; i++) {
        const shoal_group *group = &study->groups[i];
        for (uint32_t j = 0; group->plan && j < study->schedule->count; j++) {
            const shoal_planned *planned = &group->plan[j];
            if (planned->fit == SHOAL_FIT_PLAYED) continue;
            fprintf(stderr, "%s:%u: %s cannot play this as it is written: %s\n", study->file,
                    planned->line->number, group->label, planned->why);
            good = false;
        }
    }
    return good;
}

/* ---- live runs ---- */

/* In the child: plays, and ends. */
_Noreturn static void play(const shoal_study *study, const live_job *job, uint64_t seed)
{
    shoal_live_options options = {.schedule = study->schedule,
                                  .plan = job->group->plan,
                                  .server = job->group->server,
                                  .profile = job->group->profile,
                                  .seed = seed};
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    shoal_live__play(&options, job->result);
    _exit(0);
}

static bool start_job(const shoal_study *study, live_job *job)
{
    fflush(NULL);
    job->pid = fork();
    if (job->pid == 0) play(study, job, job->number + 1);
    return job->pid > 0;
}

static void tell_job(const shoal_study *study, const live_job *job, uint32_t of)
{
    const shoal_live_result *result = job->result;
    const shoal_measure *measure = &result->measure;
    fprintf(stderr, "%s: run %u of %u:", job->group->label, job->number + 1, of);
    if (!result->done) fprintf(stderr, " not played: %s", result->trouble);
    for (uint32_t i = 0; result->done && i < study->incidents.count; i++) {
        for (uint32_t j = 0; j < SHOAL_LAPSE_COUNT; j++) {
            int64_t after_us = measure->incidents[i].after_us[j];
            if (after_us < 0) continue;
            fprintf(stderr, " %s %" PRId64 " ms", shoal_lapse__name(j), after_us / 1000);
        }
    }
    if (result->done && measure->lost >= 0) fprintf(stderr, " lost %" PRId64, measure->lost);
    if (result->done) fprintf(stderr, " (late by %" PRId64 " ms)", result->late_us / 1000);
    fputc('\n', stderr);
}

/* Waits for the end of one of the running jobs; NULL when a signal asks for the end of all. */
static live_job *wait_for_job(live_job *jobs, uint32_t count)
{
    struct timespec pause = {.tv_nsec = 20000000};
    for (;;) {
        if (shoal_signals__pending()) return NULL;
        for (uint32_t i = 0; i < count; i++) {
            live_job *job = &jobs[i];
            int status = 0;
            if (job->pid <= 0 || waitpid(job->pid, &status, WNOHANG) != job->pid) continue;
            job->pid = 0;
            if (!job->result->done && job->result->trouble[0] == 0)
                snprintf(job->result->trouble, sizeof(job->result->trouble),
                         "the process that played it ended, with status %d", status);
            return job;
        }
        nanosleep(&pause, NULL);
    }
}

/* Ends all that runs, by its id, and waits: each ends its servers and removes its files. */
static void end_jobs(live_job *jobs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (jobs[i].pid > 0) kill(jobs[i].pid, SIGTERM);
    }
    for (uint32_t i = 0; i < count; i++) {
        while (jobs[i].pid > 0 && waitpid(jobs[i].pid, NULL, 0) < 0 && errno == EINTR) continue;
        jobs[i].pid = 0;
    }
}

/* Makes all of them, so many at once. False when a signal has ended that. */
static bool run_jobs(shoal_study *study, live_job *jobs, uint32_t count,
                     const shoal_arguments *arguments)
{
    uint32_t most = arguments->jobs ? arguments->jobs : 1, running = 0, next = 0;
    while (next < count || running > 0) {
        while (next < count && running < most) {
            if (!start_job(study, &jobs[next])) break;
            next++;
            running++;
        }
        live_job *over = running > 0 ? wait_for_job(jobs, next) : NULL;
        if (over == NULL) {
            end_jobs(jobs, next);
            return false;
        }
        running--;
        if (!arguments->quiet) tell_job(study, over, arguments->runs ? arguments->runs : RUNS);
        shoal_group__take_live(over->group, over->result);
    }
    return true;
}

static bool run_live(shoal_study *study, const shoal_arguments *arguments)
{
    uint32_t runs = arguments->runs ? arguments->runs : RUNS, count = 0;
    size_t most = (size_t)runs * study->group_count;
    size_t size = most * sizeof(shoal_live_result);
    shoal_live_result *results =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED) {
        fprintf(stderr, "shoal-sim: no memory for %u runs\n", runs);
        return false;
    }
    live_job *jobs = shoal_sim__allocate(most * sizeof(*jobs));
    for (uint32_t number = 0; number < runs; number++) {
        for (uint32_t i = 0; i < study->group_count; i++) {
            if (study->groups[i].server == NULL) continue;
            jobs[count] =
                (live_job){.group = &study->groups[i], .number = number, .result = &results[count]};
            count++;
        }
    }
    bool good = run_jobs(study, jobs, count, arguments);
    if (!good) fprintf(stderr, "shoal-sim: ended before all runs were made\n");
    shoal_sim__free(jobs);
    munmap(results, size);
    return good;
}

/* ---- simulated runs ---- */

static bool run_simulated(shoal_study *study, const shoal_arguments *arguments)
{
    uint64_t first = arguments->has_seeds ? arguments->seeds[0] : 1;
    uint64_t last = arguments->has_seeds ? arguments->seeds[1] : SEEDS;
    shoal_measure *measure = shoal_sim__allocate(sizeof(*measure));
    bool good = true;
    for (uint32_t i = 0; i < study->group_count; i++) {
        shoal_group *group = &study->groups[i];
        if (group->server) continue;
        for (uint64_t seed = first; seed <= last && good; seed++) {
            shoal_twin twin = {study->schedule, seed, group->profile};
            bool violated = false;
            shoal_twin__run(&twin, measure, &violated);
            shoal_group__take_twin(group, measure, violated);
            good = !shoal_signals__pending();
        }
    }
    shoal_sim__free(measure);
    return good;
}

/* ---- the command ---- */

static void close_samples(shoal_study *study)
{
    for (uint32_t i = 0; i < study->group_count; i++) {
        shoal_group *group = &study->groups[i];
        for (uint32_t j = 0; j < SHOAL_INCIDENTS_MAX * SHOAL_LAPSE_COUNT; j++)
            shoal_sample__close(&group->lapses[j / SHOAL_LAPSE_COUNT][j % SHOAL_LAPSE_COUNT]);
        shoal_sample__close(&group->lost);
    }
}

static void free_study(shoal_study *study)
{
    for (uint32_t i = 0; i < study->group_count; i++) {
        shoal_group *group = &study->groups[i];
        for (uint32_t j = 0; j < SHOAL_INCIDENTS_MAX * SHOAL_LAPSE_COUNT; j++)
            shoal_sample__free(&group->lapses[j / SHOAL_LAPSE_COUNT][j % SHOAL_LAPSE_COUNT]);
        shoal_sample__free(&group->lost);
        shoal_sim__free(group->plan);
    }
    shoal_sim__free(study);
}

static int report(const shoal_study *study, const shoal_arguments *arguments)
{
    if (arguments->json)
        shoal_study__json(study, stdout);
    else
        shoal_study__text(study, stdout);
    if (arguments->plot) {
        FILE *file = fopen(arguments->plot, "wb");
        if (file == NULL) {
            fprintf(stderr, "%s: %s\n", arguments->plot, strerror(errno));
            return SHOAL_EXIT_UNUSABLE;
        }
        shoal_study__plot(study, file);
        if (fclose(file) != 0) return SHOAL_EXIT_UNUSABLE;
    }
    return shoal_study__held(study) ? SHOAL_EXIT_HELD : SHOAL_EXIT_VIOLATED;
}

/* The command that does the same again. */
static void write_again(const shoal_arguments *arguments, char *out, size_t size)
{
    size_t at = (size_t)snprintf(out, size, "%s live %s", arguments->program, arguments->files[0]);
    for (uint32_t i = 1; i < arguments->file_count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, " %s", arguments->files[i]);
    for (uint32_t i = 0; i < arguments->server_count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, " --server %s", arguments->servers[i]);
    if (at < size)
        at += (size_t)snprintf(out + at, size - at, " --runs %u",
                               arguments->runs ? arguments->runs : RUNS);
    if (at < size && arguments->has_seeds)
        at += (size_t)snprintf(out + at, size - at, " --seeds %" PRIu64 "..%" PRIu64,
                               arguments->seeds[0], arguments->seeds[1]);
    if (at < size && arguments->profile)
        snprintf(out + at, size - at, " --profile %s", shoal_profile_name(arguments->profile));
}

int shoal_program__live(const shoal_arguments *arguments)
{
    shoal_schedule schedule;
    char again[1024];
    int code = SHOAL_EXIT_UNUSABLE;
    if (arguments->server_count == 0) {
        fprintf(stderr, "shoal-sim: live wants a server: --server PATH, such as redis-server\n");
        return code;
    }
    if (!shoal_program__prepare(arguments, &schedule)) return code;
    shoal_study *study = shoal_sim__allocate(sizeof(*study));
    write_again(arguments, again, sizeof(again));
    study->file = arguments->files[0];
    study->again = again;
    study->schedule = &schedule;
    shoal_measure__make(&study->incidents, &schedule);
    shoal_signals__block();
    bool good = look_at_servers(study, arguments) && add_groups(study, arguments) &&
                (!arguments->strict || is_strict_enough(study));
    if (good && run_live(study, arguments) && run_simulated(study, arguments)) {
        close_samples(study);
        code = report(study, arguments);
    }
    free_study(study);
    shoal_schedule_free(&schedule);
    return code;
}
