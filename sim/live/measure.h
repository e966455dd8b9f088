/* SPDX-License-Identifier: MIT
 *
 * sim/live/measure.h - what is measured of a run, live and simulated alike. An *incident* is a line
 * that takes a master with slots away: crash, pause, busy, or a cut, stall or strand of both
 * directions. Of each, from the
 * moment at which the line happens:
 *
 *     detection   another node holds the master for failed
 *     election    a node that was its replica says that it is a master
 *     write       a client is told by another node that a write to a slot of that master is done
 *
 * An incident is measured until the next one. And of the whole run: acknowledged writes that an
 * audit does not find, where the schedule has a lost_acks line.
 *
 * Plain data.
 */
#ifndef SHOAL_SIM_LIVE_MEASURE_H
#define SHOAL_SIM_LIVE_MEASURE_H

#include "sim/live/roster.h"

/* So many incidents of a schedule are measured; those behind them are not. */
#define SHOAL_INCIDENTS_MAX 8u

/* What is measured of an incident. */
typedef enum shoal_lapse {
    SHOAL_LAPSE_DETECTION = 0,
    SHOAL_LAPSE_ELECTION,
    SHOAL_LAPSE_WRITE,
    SHOAL_LAPSE_COUNT
} shoal_lapse;
/* "detection" and so on. */
const char *shoal_lapse__name(uint32_t lapse);

/* One incident of a run. */
typedef struct shoal_incident {
    uint32_t line;    /* of the schedule */
    bool happened;    /* and took a master with slots away */
    uint32_t subject; /* that master */
    int64_t at_us;
    int64_t after_us[SHOAL_LAPSE_COUNT]; /* since then; -1: it did not come */
    shoal_slotmap slots;                 /* that it had */
    bool heirs[SHOAL_SCHEDULE_NODES_MAX];
} shoal_incident;

/* All that is measured of a run. */
typedef struct shoal_measure {
    uint32_t count;
    shoal_incident incidents[SHOAL_INCIDENTS_MAX];
    shoal_incident *current; /* the last that happened */
    int64_t lost;            /* -1: there was no audit */
} shoal_measure;

/* An empty one with the incidents of a schedule. */
void shoal_measure__make(shoal_measure *measure, const shoal_schedule *schedule);
/* A line takes effect at this moment. */
void shoal_measure__line(shoal_measure *measure, const shoal_roster *roster, const shoal_line *line,
                         int64_t now_us);
/* `by` holds `about` for failed; a node says that it is a master; `by` has done a write. */
void shoal_measure__failed(shoal_measure *measure, uint32_t by, uint32_t about, int64_t now_us);
void shoal_measure__master(shoal_measure *measure, uint32_t node, int64_t now_us);
void shoal_measure__write(shoal_measure *measure, uint32_t by, uint32_t slot, int64_t now_us);
/* Is nothing of the last incident left to be waited for? */
bool shoal_measure__quiet(const shoal_measure *measure);

#endif
