/* SPDX-License-Identifier: MIT
 *
 * One run in a process of its own. The child makes its schedule, runs it, and writes what it found
 * into a pipe; the parent reads that, or what the child said when it died.
 */
#define _GNU_SOURCE /* pipe2, memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "sim/memory.h"
#include "sim/shrink.h"
#include "sim/sweep.h"

/* Seconds of processor time for a run; chosen: a thousand times what a usual one takes. */
#define CPU_SECONDS 120

/* ---- promises ---- */

static void put(char *out, size_t size, shoal_slice text)
{
    size_t fits = text.size < size ? text.size : size - 1;
    memcpy(out, text.data, fits);
    out[fits] = 0;
}

static void add_breach(shoal_attempt *attempt, const char *promise, const char *words)
{
    if (attempt->breach_count == SHOAL_BREACHES_MAX) return;
    shoal_breach *breach = &attempt->breaches[attempt->breach_count++];
    put(breach->promise, sizeof(breach->promise), shoal_text(promise));
    put(breach->words, sizeof(breach->words), shoal_text(words));
}

static const shoal_line *line_numbered(const shoal_schedule *schedule, uint32_t number)
{
    for (uint32_t i = 0; i < schedule->count; i++) {
        if (schedule->lines[i].number == number) return &schedule->lines[i];
    }
    return NULL;
}

static void add_breaches(const shoal_schedule *schedule, const shoal_world_result *result,
                         shoal_attempt *attempt)
{
    for (uint32_t i = 0; i < SHOAL_CHECK_COUNT; i++) {
        const shoal_check_count *check = &result->checks[i];
        char never[32] = "never judged ";
        attempt->made[i] = check->made;
        if (check->violated > 0 && !check->stated) add_breach(attempt, check->id, check->first);
        if (!check->expected || check->made > 0) continue;
        put(never + strlen(never), sizeof(never) - strlen(never), shoal_text(check->id));
        add_breach(attempt, never, check->doc);
    }
    for (uint32_t i = 0; i < result->expect_count; i++) {
        const shoal_expect_result *expect = &result->expects[i];
        const shoal_line *line = line_numbered(schedule, expect->line);
        char promise[160] = "expect";
        if (expect->held || !expect->judged) continue;
        if (line) shoal_promise__of_line(line, promise);
        add_breach(attempt, promise, expect->words);
    }
}

/* ---- the child ---- */

static void run(const shoal_schedule *schedule, uint32_t profile, shoal_attempt *attempt)
{
    shoal_world_options options = shoal_world_options_default();
    shoal_world_result result;
    shoal_world *world = NULL;
    options.schedule = schedule;
    options.profile = profile;
    if (shoal_world_create(&options, &world) != SHOAL_ERR_OK) return;
    attempt->started = true;
    shoal_world_run(world);
    shoal_world_result_get(world, &result);
    attempt->events = result.events;
    attempt->records = result.trace_records;
    attempt->trace_hash = result.trace_hash;
    attempt->time_us = result.time_us;
    attempt->operations = result.totals.operations;
    attempt->errors = result.totals.errors;
    memcpy(attempt->marks, result.marks, sizeof(attempt->marks));
    add_breaches(schedule, &result, attempt);
    shoal_world_destroy(world);
    attempt->finished = true;
}

static void write_all(int descriptor, const void *bytes, size_t size)
{
    for (const char *at = bytes; size > 0;) {
        ssize_t written = write(descriptor, at, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        at += written;
        size -= (size_t)written;
    }
}

static void be_child(const shoal_trial *job, int pipe_end, shoal_attempt_maker make, void *context,
                     uint32_t profile)
{
    const struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS + 1}, core = {0, 0};
    shoal_schedule schedule;
    shoal_attempt *attempt = shoal_sim__allocate(sizeof(*attempt));
    setrlimit(RLIMIT_CPU, &cpu);
    setrlimit(RLIMIT_CORE, &core);
    dup2(job->complaint, STDERR_FILENO);
    if (make(context, &schedule)) {
        run(&schedule, profile, attempt);
        shoal_schedule_free(&schedule);
    }
    write_all(pipe_end, attempt, sizeof(*attempt));
    _exit(0);
}

bool shoal_attempt__start(shoal_trial *job, shoal_attempt_maker make, void *context,
                          uint32_t profile)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    job->result = ends[0];
    job->complaint = memfd_create("shoal-sim", MFD_CLOEXEC);
    fflush(NULL);
    job->process = job->complaint < 0 ? -1 : fork();
    if (job->process == 0) be_child(job, ends[1], make, context, profile);
    close(ends[1]);
    if (job->process > 0) return true;
    close(ends[0]);
    if (job->complaint >= 0) close(job->complaint);
    return false;
}

/* ---- the parent ---- */

static bool read_all(int descriptor, void *bytes, size_t size)
{
    for (char *at = bytes; size > 0;) {
        ssize_t taken = read(descriptor, at, size);
        if (taken < 0 && errno == EINTR) continue;
        if (taken <= 0) return false;
        at += taken;
        size -= (size_t)taken;
    }
    return true;
}

/* The part of a line that is the same in every such death. */
static shoal_slice kernel_of(shoal_slice line)
{
    static const char *const heads[] = {"shoal-sim: ", "ERROR: "};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        size_t at = shoal_text_find(line, shoal_text(heads[i]));
        if (at == SHOAL_TEXT_NONE) continue;
        at += strlen(heads[i]);
        line = (shoal_slice){line.data + at, line.size - at};
    }
    size_t address = shoal_text_find(line, shoal_text(" on "));
    if (shoal_text_find(line, shoal_text("Sanitizer")) == 0 && address != SHOAL_TEXT_NONE) {
        line.size = address;
    }
    return line;
}

/* The line of what a dead child said that tells why: one with an assertion, or a sanitizer's, else
 * the last. */
static shoal_slice telling_line(shoal_slice said)
{
    static const char *const signs[] = {"Assertion", "ERROR: ", "runtime error"};
    shoal_slice best = {"", 0};
    size_t at = 0;
    while (at < said.size) {
        const char *newline = memchr(said.data + at, '\n', said.size - at);
        size_t end = newline ? (size_t)(newline - said.data) : said.size;
        shoal_slice line = {said.data + at, end - at};
        at = end + 1;
        if (line.size > 0) best = line;
        for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
            if (shoal_text_find(line, shoal_text(signs[i])) != SHOAL_TEXT_NONE) return line;
        }
    }
    return best;
}

/* How a child died, as a promise that it broke. */
static void add_death(const shoal_trial *job, int status, shoal_attempt *attempt)
{
    char said[8192], promise[160], words[256];
    ssize_t size = pread(job->complaint, said, sizeof(said), 0);
    shoal_slice line = telling_line((shoal_slice){said, size > 0 ? (size_t)size : 0});
    shoal_slice why = kernel_of(line);
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (signal == SIGXCPU || signal == SIGKILL) why = shoal_text("a run without end");
    snprintf(promise, sizeof(promise), "crash: %.*s", (int)why.size, why.data);
    snprintf(words, sizeof(words), "the process died, signal %d: %.*s", signal, (int)line.size,
             line.data);
    add_breach(attempt, promise, words);
}

void shoal_attempt__finish(shoal_trial *job, shoal_attempt *out)
{
    int status = 0;
    *out = (shoal_attempt){.started = false};
    bool whole = read_all(job->result, out, sizeof(*out));
    while (waitpid(job->process, &status, 0) < 0 && errno == EINTR) {
    }
    if (!whole) {
        *out = (shoal_attempt){.started = true};
        add_death(job, status, out);
    }
    close(job->result);
    close(job->complaint);
}
