/* SPDX-License-Identifier: MIT
 *
 * viz/source/player.h - a moment in a timeline and the model at that moment. Going forward applies
 * entries; going back starts again from the first one, which is fast enough to feel immediate for
 * the runs that people look at (about a million entries a second).
 */
#ifndef SHOAL_VIZ_PLAYER_H
#define SHOAL_VIZ_PLAYER_H

#include "viz/model/model.h"
#include "viz/source/timeline.h"

/* Takes neither ownership; both outlive the player. `applied` entries are in the model. */
typedef struct shoal_player {
    shoal_timeline *timeline;
    shoal_model *model;
    size_t applied;
} shoal_player;

/* A player at the start of the run. */
shoal_player shoal_player_make(shoal_timeline *timeline, shoal_model *model);

/* Goes to a time, forward or back; never behind the end of a complete run. */
void shoal_player_seek(shoal_player *player, int64_t time_us);

/* Applies the next entry. False at the end. */
bool shoal_player_next(shoal_player *player);

/* Takes the last entry back. False at the start. */
bool shoal_player_previous(shoal_player *player);

/* To the next (or the previous) entry that is news. False when there is none: then the player
 * stands at the end (or the start). */
bool shoal_player_next_news(shoal_player *player);
bool shoal_player_previous_news(shoal_player *player);

/* True when the run is over and every entry applied. */
bool shoal_player_at_end(const shoal_player *player);

#endif
