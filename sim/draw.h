/* SPDX-License-Identifier: MIT
 *
 * sim/draw.h - schedules drawn by chance. Everything is drawn for each seed: the cluster, its
 * configuration, the network, the clients, which kinds of faults there are at all, how many of
 * each, when, and whom they hit; some seeds get much of one thing and nothing of another, which
 * finds more than a little of everything does. The result is a schedule like any other: its text
 * alone replays the run. Each thing is drawn from a stream of its own, so that one kind of fault
 * more shifts no other.
 *
 * Plain functions; one thread at a time, no globals.
 */
#ifndef SHOAL_SIM_DRAW_H
#define SHOAL_SIM_DRAW_H

#include "base/prng.h"
#include "sim/schedule.h"

/* ---- drafts ---- */

/* Lines in any order, to become a schedule. Zero is empty. */
typedef struct shoal_draft {
    shoal_line *lines;
    uint32_t count, capacity;
} shoal_draft;

/* Adds an empty line of this kind; valid until the next is added. Its text, where it needs one,
 * is taken from shoal_sim__allocate and then owned by the draft. */
shoal_line *shoal_draft__add(shoal_draft *draft, shoal_line_kind kind, int64_t at_us);
/* Adds a line with a formatted text (CONFIG, OPERATE, SAY). */
shoal_line *shoal_draft__say(shoal_draft *draft, shoal_line_kind kind, int64_t at_us,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Adds a copy of a line without its comments. */
shoal_line *shoal_draft__copy(shoal_draft *draft, const shoal_line *line);
/* Makes the canonical schedule of the lines: what a file with its text would be read as. The draft
 * stays. SHOAL_ERR_MALFORMED when the lines do not fit together; `error` says why. */
SHOAL_MUST_USE shoal_err shoal_draft__finish(const shoal_draft *draft, shoal_schedule *out,
                                             shoal_schedule_error *error);
/* Frees the lines; the draft is empty then. */
void shoal_draft__free(shoal_draft *draft);

/* One node, from 0, as a selector; all nodes; one client, from 0. */
shoal_selector shoal_draft__node(uint32_t node);
shoal_selector shoal_draft__all(void);
shoal_selector shoal_draft__client(uint32_t client);

/* ---- drawing ---- */

/* What is given and not drawn. Zero: nothing. */
typedef struct shoal_draw_options {
    uint64_t seed;
    const shoal_schedule *given; /* what it says stays; what it says nothing about is drawn */
    uint32_t profile;            /* shoal_profile; 0: drawn, or as given */
    bool reckless;               /* faults may take the last good copy of a slot */
} shoal_draw_options;

/* Draws the schedule of a seed; shoal_schedule_free ends it. SHOAL_ERR_MALFORMED when what is given
 * leaves no room for the rest. */
SHOAL_MUST_USE shoal_err shoal_draw__schedule(const shoal_draw_options *options,
                                              shoal_schedule *out, shoal_schedule_error *error);

/* ---- between the files of draw ---- */

/* A drawing under way. */
typedef struct shoal_drawing {
    shoal_draw_options options;
    uint64_t key[2]; /* of all streams */
    shoal_draft draft;
    uint32_t nodes, masters, replicas, clients;
    int64_t timeout_us; /* of nodes */
    uint32_t profile;   /* shoal_profile; 0: of config lines */
    bool migrates;      /* replicas may change their masters */
    bool *logs;         /* per node: it has an append-only file */
    bool *syncs;        /* per node: nothing is answered before it is durable */
    int64_t from_us;    /* faults begin here */
    int64_t until_us;   /* all have ended by then */
    shoal_draft mends;  /* who an operator introduces then; times from the beginning of that */
    int64_t mend_us;    /* which is not before this */
    shoal_draft slots;  /* how an operator ends what moves of slots have left; times as above */
    uint32_t slots_moved;
    bool dangling; /* connections may be left that pass nothing and that nobody ends */
    bool deceived; /* a disk says of syncs that they are done */
    uint32_t gone; /* n<gone> does not come back with what it had; 0: all do */
} shoal_drawing;

/* The stream for a purpose. */
shoal_prng shoal_draw__stream(const shoal_drawing *drawing, uint32_t purpose);
/* Picks an index by weights that end with 0. */
uint32_t shoal_draw__weighted(shoal_prng *stream, const uint32_t *weights);
/* True in `percent` of a hundred draws. */
bool shoal_draw__percent(shoal_prng *stream, uint32_t percent);

/* Adds an expectation; valid until the next line is added. */
shoal_line *shoal_draw__expect(shoal_drawing *drawing, int64_t at_us, shoal_contract contract);

/* Draws clients that begin a little before the faults. In sim/draw_clients.c. */
void shoal_draw__clients(shoal_drawing *drawing);
/* From `at_us` on, when everything is healed, a further client is served without errors; and what
 * all clients found holds what the cluster promises. Returns when that is stated. */
int64_t shoal_draw__promises(shoal_drawing *drawing, int64_t at_us);

/* Draws the faults between `from_us` and `until_us`, and what ends each. In sim/draw_faults.c. */
void shoal_draw__faults(shoal_drawing *drawing);

#endif
