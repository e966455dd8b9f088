/* SPDX-License-Identifier: MIT
 *
 * sim/sweep.h - many runs: each in a process of its own, so that a crash, an assertion or a run
 * without end is something found out and not the end of the whole; what came of one run, and the
 * sums over many. Of the program shoal-sim only.
 *
 * One thread; the caller's processes.
 */
#ifndef SHOAL_SIM_SWEEP_H
#define SHOAL_SIM_SWEEP_H

#include <stdio.h>
#include <sys/types.h>

#include "sim/schedule.h"
#include "sim/world.h"

/* ---- one run ---- */

/* A promise that a run broke. */
typedef struct shoal_breach {
    char promise[160]; /* "I7", "expect converge", "crash: ..." */
    char words[256];   /* what was found */
} shoal_breach;

/* More than so many of one run are not told. */
#define SHOAL_BREACHES_MAX 8u

/* What came of a run. */
typedef struct shoal_attempt {
    bool started;  /* there was a schedule to run */
    bool finished; /* it came to its end */
    uint64_t events, records, trace_hash;
    int64_t time_us;
    uint64_t operations, errors;
    uint64_t marks[SHOAL_MARK_COUNT];
    uint64_t made[SHOAL_CHECK_COUNT];
    uint32_t breach_count;
    shoal_breach breaches[SHOAL_BREACHES_MAX];
} shoal_attempt;

/* Makes the schedule to run, in the process of the run. */
typedef bool (*shoal_attempt_maker)(void *context, shoal_schedule *out);

/* A process that runs a schedule. */
typedef struct shoal_trial {
    pid_t process;
    int result;    /* where it will write its attempt; readable when it is done or dead */
    int complaint; /* what it says on standard error */
} shoal_trial;

/* Starts a process that makes a schedule and runs it, under a profile (0: the schedule's own).
 * False when there can be no more. */
bool shoal_attempt__start(shoal_trial *job, shoal_attempt_maker make, void *context,
                          uint32_t profile);
/* Waits for its end and takes what it found. */
void shoal_attempt__finish(shoal_trial *job, shoal_attempt *out);

/* ---- many ---- */

/* Seeds that were run, both ends included. */
typedef struct shoal_seed_range {
    uint64_t from, until;
} shoal_seed_range;

/* A promise that the run of a seed broke. */
typedef struct shoal_finding_of_seed {
    uint64_t seed;
    shoal_breach breach;
} shoal_finding_of_seed;

/* How often something was reached, over all runs. */
typedef struct shoal_mark_tally {
    uint64_t seeds, times;
    uint64_t first; /* the smallest seed, where there is one */
} shoal_mark_tally;

/* Sums over the runs of many seeds; the same whatever their order. Zero is empty. */
typedef struct shoal_tally {
    char *given;      /* the file that was drawn upon, or NULL; owned */
    uint32_t profile; /* that was asked for; 0: drawn */
    bool reckless;
    shoal_seed_range *ranges; /* ascending, apart from each other */
    uint32_t range_count, range_capacity;
    uint64_t runs, broken; /* broken: runs that broke a promise */
    uint64_t events, records, operations, errors;
    int64_t time_us;
    uint64_t hash; /* of all trace hashes */
    shoal_mark_tally marks[SHOAL_MARK_COUNT];
    uint64_t made[SHOAL_CHECK_COUNT];
    shoal_finding_of_seed *findings; /* ascending by seed once sorted */
    uint32_t finding_count, finding_capacity;
} shoal_tally;

/* Adds the run of a seed; ranges are the caller's. */
void shoal_tally__add(shoal_tally *tally, uint64_t seed, const shoal_attempt *attempt);
/* Notes that these seeds were run. False when some were noted before. */
bool shoal_tally__cover(shoal_tally *tally, shoal_seed_range range);
/* Adds the sums of `from`. False, with nothing usable in `to`, when they were drawn in another way
 * or have seeds in common; says so on standard error. */
bool shoal_tally__merge(shoal_tally *to, const shoal_tally *from);
/* Puts the findings in order. */
void shoal_tally__sort(shoal_tally *tally);
void shoal_tally__free(shoal_tally *tally);

/* Writes the sums for people, and for programs. `out_folder` is where the schedules of findings
 * are, or NULL. */
void shoal_tally__text(const shoal_tally *tally, const char *program, const char *out_folder,
                       FILE *out);
void shoal_tally__json(const shoal_tally *tally, FILE *out);
/* Reads what shoal_tally__json wrote; false after a complaint with the name of the file. */
bool shoal_tally__read(const char *path, shoal_tally *out);

#endif
