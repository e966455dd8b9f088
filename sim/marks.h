/* SPDX-License-Identifier: MIT
 *
 * sim/marks.h - rare paths and how often a run reached them. Most are recognised in the trace
 * records that nodes write, as sim/marks.def says; the rest is told by the parts of the world that
 * see it happen.
 *
 * Inside the world only; its thread. The words of marks are constant.
 */
#ifndef SHOAL_SIM_MARKS_H
#define SHOAL_SIM_MARKS_H

#include <shoal/trace.h>

#include "sim/world.h"

/* An epoch and who got votes in it: enough of them to see a split. */
#define SHOAL_MARKS_EPOCHS 16u

/* Kinds of trace records have smaller numbers. */
#define SHOAL_MARKS_KINDS 200u

/* What is remembered of a node to recognise its marks. */
typedef struct shoal_marks_node {
    bool asked; /* for votes, and has not won since */
    bool torn;  /* it died while its node file was written */
} shoal_marks_node;

/* The marks of a run. */
typedef struct shoal_marks {
    uint64_t times[SHOAL_MARK_COUNT];
    /* Rows by kind of record: the first and the one behind it, plus 1; 0: none. */
    uint8_t first[SHOAL_MARKS_KINDS], behind[SHOAL_MARK_COUNT];
    shoal_marks_node *nodes; /* per node */
    struct {
        uint64_t epoch;
        uint64_t candidate; /* hash of its name */
        bool split;         /* counted */
    } votes[SHOAL_MARKS_EPOCHS];
} shoal_marks;

/* Makes the marks of a world, and gives back what they took. */
void shoal_marks__make(shoal_world *world);
void shoal_marks__free(shoal_world *world);
/* Takes a record of a node or of the world. */
void shoal_marks__hear(shoal_world *world, const shoal_trace_entry *entry);
/* Something was reached. */
void shoal_marks__reach(shoal_world *world, shoal_mark mark);
/* A node is about to die; its disk is as the process leaves it. */
void shoal_marks__dying(shoal_world *world, uint32_t node);
/* How often everything was reached up to now; what judges count is taken from them. */
void shoal_marks__get(const shoal_world *world, uint64_t out[SHOAL_MARK_COUNT]);

#endif
