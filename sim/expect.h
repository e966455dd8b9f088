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
} shoal_expect;

/* Collects the expect lines of the world's schedule; gives back what that took. */
void shoal_expect__make(shoal_world *world);
void shoal_expect__free(shoal_world *world);
/* The time of an expect line has come. */
void shoal_expect__begin(shoal_world *world, const shoal_line *line);
/* Looks at what waits, when an opinion or the set of faults has changed; between occurrences. */
void shoal_expect__look(shoal_world *world);
/* The auditor has read all that it could. */
void shoal_expect__audited(shoal_world *world);
/* The run is over: what still waits is broken. */
void shoal_expect__end(shoal_world *world);

#endif
