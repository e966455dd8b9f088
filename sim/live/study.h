/* SPDX-License-Identifier: MIT
 *
 * sim/live/study.h - what `shoal-sim live` compares: groups of runs of one schedule, some on real
 * servers and some simulated, each with a sample of every measure.
 *
 * One thread.
 */
#ifndef SHOAL_SIM_LIVE_STUDY_H
#define SHOAL_SIM_LIVE_STUDY_H

#include <stdio.h>

#include "sim/live/live.h"
#include "sim/live/sample.h"

/* Servers of one study, and groups: each server and the simulator with each profile. */
#define SHOAL_STUDY_SERVERS_MAX 8u
#define SHOAL_STUDY_GROUPS_MAX 20u

/* An expect line, and in how many runs of a group it did not hold. */
typedef struct shoal_broken {
    uint32_t line, runs;
    char words[160]; /* of the last of them */
} shoal_broken;

/* Runs that differ in nothing but chance. */
typedef struct shoal_group {
    const shoal_server *server; /* NULL: simulated */
    uint32_t profile;
    char label[96];
    shoal_planned *plan;     /* live: what becomes of each line */
    uint32_t runs, troubled; /* made; of them, not played to their end */
    uint32_t violated;       /* in which an expectation, or a check, did not hold */
    char trouble[240];       /* of the last that was not */
    uint64_t operations, errors;
    int64_t late_us; /* live: the player itself was late by so much at most */
    shoal_broken broken[16];
    uint32_t broken_count;
    shoal_sample lapses[SHOAL_INCIDENTS_MAX][SHOAL_LAPSE_COUNT]; /* microseconds */
    shoal_sample lost;                                           /* writes */
} shoal_group;

/* One comparison. */
typedef struct shoal_study {
    const char *file, *again; /* the schedule, and the command that does the same */
    const shoal_schedule *schedule;
    shoal_server servers[SHOAL_STUDY_SERVERS_MAX];
    uint32_t server_count;
    shoal_group groups[SHOAL_STUDY_GROUPS_MAX];
    uint32_t group_count;
    shoal_measure incidents; /* empty: which there are */
} shoal_study;

/* The simulated group that a live one is compared with. */
const shoal_group *shoal_study__twin(const shoal_study *study, const shoal_group *group);
/* The line of a schedule with a number. */
const shoal_line *shoal_study__line(const shoal_study *study, uint32_t number);
/* Did everything hold, in all runs of all groups? */
bool shoal_study__held(const shoal_study *study);
/* A row of measures: incidents' lapses, then lost writes. How many rows there are, what a group has
 * of one, and what it is called, such as "detection". `incident` is UINT32_MAX for lost writes. */
uint32_t shoal_study__rows(const shoal_study *study);
const shoal_sample *shoal_study__row(const shoal_study *study, const shoal_group *group,
                                     uint32_t row, uint32_t *incident, const char **name);

/* Adds what came of a live run, or of a simulated one. */
void shoal_group__take_live(shoal_group *group, const shoal_live_result *result);
void shoal_group__take_twin(shoal_group *group, const shoal_measure *measure, bool violated);

/* Writes it for people, for programs, and as a picture (SVG). */
void shoal_study__text(const shoal_study *study, FILE *out);
void shoal_study__json(const shoal_study *study, FILE *out);
void shoal_study__plot(const shoal_study *study, FILE *out);

#endif
