/* SPDX-License-Identifier: MIT
 *
 * command/timing.h - how long commands take: what INFO commandstats and latencystats, LATENCY and
 * SLOWLOG show. The engine has no clock; a host may lend one (shoal_host.clock_ns), and without it
 * nothing is measured.
 *
 * Reading a clock costs as much as a tenth of a GET. So commands follow one another on it: the end
 * of one is the start of the next, and brief ones of one pipeline (whose work is bounded, whatever
 * their keys hold) share the time from the reading before the first to that behind the last, unless
 * the slow log asks for so short a time that it must know of each. What runs on another thread, or
 * in several steps, is measured where it runs, and counted by the session's worker when it is home.
 * docs/decisions/clock.md has the reasons.
 *
 * A worker's timing is its own; its histograms and sums are read by any thread, relaxed.
 */
#ifndef SHOAL_COMMAND_TIMING_H
#define SHOAL_COMMAND_TIMING_H

#include "base/atomic.h"
#include "command/command.h"

/* Brief commands that may share a reading. */
#define SHOAL_TIMING__BRIEF_MAX 64u
/* A slow log that wants to know of shorter ones has every command measured alone. Chosen: a brief
 * command takes a microsecond, so a thousand times that is none of its own doing. */
#define SHOAL_TIMING__EACH_US 1000
/* Samples of a latency event that are kept, as Redis keeps them. */
#define SHOAL_TIMING__SAMPLES 160u
/* Counters of a histogram: eight for each doubling, up to a second. */
#define SHOAL_TIMING__BUCKETS 176u

/* Counters of one command at one worker: see worker.h. */
struct shoal_tally;

/* How many calls of a command took how long: bucket i ends at shoal_timing_bucket_end(i). */
typedef struct shoal_timing_histogram {
    _Atomic uint64_t counts[SHOAL_TIMING__BUCKETS]; /* relaxed */
} shoal_timing_histogram;

/* One line of the slow log; its arguments, as they are shown, follow in RESP. */
typedef struct shoal_slow_entry {
    struct shoal_slow_entry *next; /* the next younger one */
    uint64_t id;
    size_t size; /* of the RESP text of the whole entry, which follows */
} shoal_slow_entry;

/* The worst of one second. */
typedef struct shoal_latency_sample {
    int64_t wall_s;
    int64_t ms;
} shoal_latency_sample;

/* The last samples of one event. */
typedef struct shoal_latency_series {
    uint32_t next; /* where the next one goes */
    int64_t ms_max;
    shoal_latency_sample samples[SHOAL_TIMING__SAMPLES]; /* wall_s 0: none yet */
} shoal_latency_series;

/* The events: which commands were late. */
typedef enum shoal_latency_event {
    SHOAL_LATENCY__COMMAND = 0,
    SHOAL_LATENCY__FAST_COMMAND,
    SHOAL_LATENCY__COUNT
} shoal_latency_event;

/* Commands that do about as much whatever their keys hold, and little: how many arguments they may
 * have for that, with their name; 0: the others. */
extern const uint8_t shoal_timing__brief_arguments[SHOAL_COMMAND_COUNT];

/* A brief command that waits for its share. */
typedef struct shoal_timing_brief {
    const shoal_command *command;
    uint32_t argc;
    const shoal_slice *argv; /* of its batch */
} shoal_timing_brief;

/* Of a worker. */
typedef struct shoal_timing {
    int64_t lap_ns; /* the last reading in this batch; 0: none */
    uint32_t brief_count;
    shoal_timing_brief brief[SHOAL_TIMING__BRIEF_MAX]; /* that have run since */
    shoal_slow_entry *slow_oldest, *slow_youngest;
    uint64_t slow_count;
    shoal_latency_series *series[SHOAL_LATENCY__COUNT]; /* NULL: nothing happened */
} shoal_timing;

/* The clock in nanoseconds, or 0 where there is none or nothing is measured. Any thread in a
 * batch. */
int64_t shoal_timing_clock(const shoal_env *env);
/* Nanoseconds since `started_ns`, which that said; 0 when either was not measured. */
int64_t shoal_timing_since(const shoal_env *env, int64_t started_ns);

/* A call is about to run on its session's worker; `shared`: it may share a reading with others.
 * Returns when it began, or 0 where nothing is measured. lap.h has the quick way. */
int64_t shoal_timing__begin(shoal_session *session, bool shared);
/* A call that shares its reading with nobody, and began at `started_ns`, is over, or travels. */
void shoal_timing__end(shoal_session *session, const shoal_call *call, int64_t started_ns);
/* The brief ones so far get their shares. */
void shoal_timing__share(shoal_session *session);
/* A batch of requests is over, or its arguments are about to go: brief ones get their share. */
void shoal_timing__lap(shoal_session *session);

/* What a command of `session` took: counts it. Zero too, unless nothing is measured. */
void shoal_timing__record(shoal_session *session, const shoal_timing_brief *what, int64_t took_ns);

/* Drops the oldest entry of a slow log that has one. */
void shoal_timing__forget_oldest(struct shoal_worker *worker);
/* The slow log and the events are forgotten: the worker ends. */
void shoal_timing__free(struct shoal_worker *worker);
/* Zeroes the sum and the histogram of a command. */
void shoal_timing__reset(struct shoal_tally *tally);

/* Adds up the histograms of a command over all workers to `counts`, of SHOAL_TIMING__BUCKETS.
 * Returns their sum. Any thread. */
uint64_t shoal_timing_counts(const shoal_env *env, shoal_command_id id, uint64_t *counts);
/* The longest time, in nanoseconds, that bucket `index` counts. */
int64_t shoal_timing_bucket_end(uint32_t index);
/* The time in nanoseconds within which `percent` of all calls were over. */
int64_t shoal_timing_percentile(const uint64_t *counts, uint64_t sum, double percent);

#endif
