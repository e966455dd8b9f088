/* SPDX-License-Identifier: MIT
 *
 * sim/shrink.h - making a schedule small that breaks a promise, so that only what matters is left:
 * lines go, faults first, then clients and nodes; then times come together and values get round.
 * Whether a candidate still breaks the same promise is asked of a function, one run each.
 *
 * What must not happen is that another, trivial reason takes the place of the real one: a cluster
 * that does not converge because the line that heals it was dropped. So what ends a fault stays
 * while the promise is about a state of the cluster, the time before it is judged and the one
 * before the first fault do not shrink, and a candidate without its faults must keep the promise if
 * the original does.
 *
 * Plain functions; one thread at a time, no globals.
 */
#ifndef SHOAL_SIM_SHRINK_H
#define SHOAL_SIM_SHRINK_H

#include "sim/draw.h"

/* Does the run of a candidate break the promise? */
typedef bool (*shoal_shrink_test)(void *context, const shoal_schedule *candidate);

/* How to shrink. */
typedef struct shoal_shrink_options {
    const shoal_schedule *schedule; /* borrowed for the call */
    const char *promise;            /* as shoal_promise__of_line, or the id of a check */
    uint32_t budget;                /* runs at most */
    shoal_shrink_test breaks;
    /* Hears after each run how far it is; may be NULL. */
    void (*progress)(void *context, uint32_t runs, const shoal_draft *best);
    void *context;
} shoal_shrink_options;

/* Shrinks; `out` gets the smallest schedule that was found, the original where nothing could go.
 * Returns how many runs it took, 0 when the original does not break the promise; then `out` is
 * empty. */
uint32_t shoal_shrink__schedule(const shoal_shrink_options *options, shoal_schedule *out);

/* The promise of an expect line: its words without whom it is about and until when. */
void shoal_promise__of_line(const shoal_line *line, char out[160]);

/* ---- between the files of shrink ---- */

/* Shrinking under way. */
typedef struct shoal_shrinking {
    const shoal_shrink_options *options;
    shoal_draft best; /* in canonical order */
    uint32_t runs;
    bool state;   /* the promise is about a state of the cluster at some moment */
    bool guarded; /* without faults it is kept, and must be */
} shoal_shrinking;

/* Tries a candidate and frees it. True when it is the best now. */
bool shoal_shrink__try(shoal_shrinking *shrinking, shoal_draft *candidate);
/* True when no run is left. */
bool shoal_shrink__spent(const shoal_shrinking *shrinking);
/* A copy of the best. */
shoal_draft shoal_shrink__copy(const shoal_shrinking *shrinking);

/* What a line is, for shrinking. */
bool shoal_shrink__is_fault(const shoal_draft *draft, uint32_t index);
bool shoal_shrink__is_repair(const shoal_draft *draft, uint32_t index);
bool shoal_shrink__is_target(const shoal_shrinking *shrinking, const shoal_line *line);
/* May a line that ends a fault go? It may when there is nothing for it to end, or when a later one
 * ends the same. */
bool shoal_shrink__is_idle(const shoal_draft *draft, uint32_t index);
/* Takes away the lines whose flag is set, and what speaks of clients that never start then. */
void shoal_shrink__drop(shoal_draft *draft, const bool *flags);

/* The passes; each is true when it made something smaller. */
bool shoal_shrink__fewer_lines(shoal_shrinking *shrinking);
bool shoal_shrink__fewer_nodes(shoal_shrinking *shrinking);
bool shoal_shrink__shorter_times(shoal_shrinking *shrinking);
bool shoal_shrink__rounder_values(shoal_shrinking *shrinking);

#endif
