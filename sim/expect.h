/* SPDX-License-Identifier: MIT
 *
 * sim/expect.h - the expect lines of a schedule: when they are judged, and the words that say what
 * was found.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_EXPECT_H
#define SHOAL_SIM_EXPECT_H

#include "sim/schedule.h"
#include "sim/world.h"

/* How far the judgement of an expect line is. */
typedef enum shoal_wait {
    SHOAL_WAIT_NOT_YET = 0, /* its time has not come */
    SHOAL_WAIT_OPEN,        /* must come true before its deadline */
    SHOAL_WAIT_AUDIT,       /* the auditor is under way for it */
    SHOAL_WAIT_JUDGED
} shoal_wait;

/* A round of questions to the nodes of a REPLY or INFO line. */
typedef struct shoal_question {
    uint32_t waiting; /* nodes that have not answered in this round */
    bool wrong;       /* one has, and not as expected */
    char words[160];  /* what it said */
} shoal_question;

/* The expect lines of a schedule and what has become of them. */
typedef struct shoal_expect {
    uint32_t count;
    const shoal_line **lines;
    shoal_wait *waits;
    shoal_expect_result *results;
    uint64_t *counts_since; /* errors or operations at the line's `since` */
    uint32_t open;          /* lines that wait */
    uint32_t unjudged;      /* lines that are not judged yet */
    uint64_t seen_version;  /* of opinions, at the last look */
    int64_t seen_us;
    bool auditing;
    shoal_question *questions; /* of lines that ask nodes */
} shoal_expect;

/* Collects the expect lines of the world's schedule; gives back what that took. */
void shoal_expect__make(shoal_world *world);
void shoal_expect__free(shoal_world *world);
/* Adds an expect line that was not in the schedule at the start; it does not count since a time. */
void shoal_expect__add(shoal_world *world, const shoal_line *line);
/* The time of an expect line has come. */
void shoal_expect__begin(shoal_world *world, const shoal_line *line);
/* Looks at what waits, when an opinion or the set of faults has changed; between occurrences. */
void shoal_expect__look(shoal_world *world);
/* The auditor has read all that it could. */
void shoal_expect__audited(shoal_world *world);
/* Does a line of this run state how often a check is violated? */
bool shoal_expect__states(const shoal_world *world, uint32_t check);
/* Does a number hold against the limit of a line? */
bool shoal_compare__holds(const shoal_expectation *expect, uint64_t value);
/* Ends an open line: it holds, or `words` say what was found. */
void shoal_expect__settle(shoal_world *world, uint32_t index, bool holds, const char *words);

/* ---- lines that ask nodes; sim/ask.c ---- */

/* Asks every selected node. The line is open. */
void shoal_ask__round(shoal_world *world, uint32_t index);
/* A node has answered with these bytes, a whole reply. */
void shoal_ask__answered(shoal_world *world, uint32_t index, uint32_t node, shoal_slice reply);
/* Its time is over. */
void shoal_ask__due(shoal_world *world, uint32_t index);

/* The run is over: what still waits is broken. */
void shoal_expect__end(shoal_world *world);

#endif
