/* SPDX-License-Identifier: MIT
 *
 * sim/live/live.h - one live run: a schedule played on real server processes on loopback, as far as
 * they can play it, and what was measured. docs/SIMULATOR.md says what is played and how.
 *
 * A run belongs to one process, which does nothing else meanwhile: it waits for signals, starts
 * processes, and ends them all.
 */
#ifndef SHOAL_SIM_LIVE_LIVE_H
#define SHOAL_SIM_LIVE_LIVE_H

#include "sim/live/measure.h"

/* A server program and what it understands. */
typedef struct shoal_server {
    const char *path;
    char name[32];  /* "redis-server" */
    char label[64]; /* "redis-server 7.0.15" */
    bool profiles;  /* it knows cluster-timing-profile */
} shoal_server;

/* Looks at a program. False after a complaint on standard error: it is no server. */
bool shoal_server__look(const char *path, shoal_server *out);

/* What becomes of a line in a live run. */
typedef enum shoal_fit {
    SHOAL_FIT_PLAYED = 0,
    SHOAL_FIT_CHANGED, /* played, but not as written */
    SHOAL_FIT_LEFT_OUT
} shoal_fit;

/* One line and what becomes of it. */
typedef struct shoal_planned {
    const shoal_line *line;
    shoal_fit fit;
    const char *why; /* static; NULL: it is played */
} shoal_planned;

/* What becomes of the lines of a schedule with a server and a profile; `out` has an element for
 * each line. Configuration that the server does not know is found by asking it. False after a
 * complaint on standard error: the server cannot be started, or the schedule is too large. */
bool shoal_plan__make(const shoal_schedule *schedule, const shoal_server *server, uint32_t profile,
                      shoal_planned *out);

/* What has become of an expect line. */
typedef struct shoal_verdict {
    uint32_t line;
    bool judged, held;
    char words[160]; /* why it did not hold */
} shoal_verdict;

/* Expect lines that are judged; those behind them are not. */
#define SHOAL_VERDICTS_MAX 256u

/* What came of a run. Plain data, which may lie in memory that processes share. */
typedef struct shoal_live_result {
    bool done;         /* it was played to its end */
    char trouble[240]; /* why not */
    int64_t took_us;
    int64_t late_us; /* by how much the player itself was late at most */
    uint64_t operations, errors, redirections, writes, audited, unread;
    uint32_t verdict_count;
    shoal_verdict verdicts[SHOAL_VERDICTS_MAX];
    shoal_measure measure;
} shoal_live_result;

/* What a run is made of. */
typedef struct shoal_live_options {
    const shoal_schedule *schedule;
    const shoal_planned *plan;
    const shoal_server *server;
    uint32_t profile; /* shoal_profile */
    uint64_t seed;    /* of clients and latencies */
} shoal_live_options;

/* Plays it. All processes and files are gone when it returns. */
void shoal_live__play(const shoal_live_options *options, shoal_live_result *result);

#endif
