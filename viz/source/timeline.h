/* SPDX-License-Identifier: MIT
 *
 * viz/source/timeline.h - every trace entry of a run in order, whether it comes from a file or
 * from a simulation that is still being computed. A timeline only grows at its end; pictures
 * move about in it freely.
 *
 * Threads: a timeline belongs to one thread.
 */
#ifndef SHOAL_VIZ_TIMELINE_H
#define SHOAL_VIZ_TIMELINE_H

#include <shoal/trace.h>

typedef struct shoal_timeline shoal_timeline;

/* Where entries come from. `context` is passed back. */
typedef struct shoal_feeder {
    void *context;
    /* Adds every entry up to and including `until_us`; more may be added. False when the run is
     * over: there is nothing behind what has been added. */
    bool (*advance)(void *context, shoal_timeline *timeline, int64_t until_us);
    /* Ends the feeder. */
    void (*close)(void *context);
} shoal_feeder;

/* A timeline fed by `feeder`, which it takes over; NULL without memory (the feeder is closed). */
shoal_timeline *shoal_timeline_make(shoal_feeder feeder);

/* Frees the timeline and closes its feeder. */
void shoal_timeline_free(shoal_timeline *timeline);

/* Adds one entry at the end; called by the feeder. Its time is not before the last one's. */
void shoal_timeline_add(shoal_timeline *timeline, const shoal_trace_entry *entry);

/* Makes everything up to `until_us` known. */
void shoal_timeline_reach(shoal_timeline *timeline, int64_t until_us);

/* Number of entries known now. */
size_t shoal_timeline_count(const shoal_timeline *timeline);

/* Entry `index` (< count). Its text borrows from the timeline until the next add. */
shoal_trace_entry shoal_timeline_get(const shoal_timeline *timeline, size_t index);

/* True when no more entries will come. */
bool shoal_timeline_complete(const shoal_timeline *timeline);

/* Time of the last entry known, 0 when there is none. */
int64_t shoal_timeline_end_us(const shoal_timeline *timeline);

/* Opens a trace file, or the recording of a node (shoal/tape.h), which is run again. On failure
 * returns NULL and writes why into `complaint` (at most `room` bytes, terminated): which file, at
 * which byte, what was expected. */
shoal_timeline *shoal_timeline_open_file(const char *path, char *complaint, size_t room);

/* What to simulate: a schedule, or a generator (FILE.lua) and `name=value` for its parameters. */
typedef struct shoal_sim_file {
    const char *path;
    const char *const *settings;
    uint32_t setting_count;
} shoal_sim_file;

/* Starts the simulation of a file, computed as far as the picture needs it. As above. */
shoal_timeline *shoal_timeline_open_sim(const shoal_sim_file *from, char *complaint, size_t room);

#endif
