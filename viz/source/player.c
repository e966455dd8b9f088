/* SPDX-License-Identifier: MIT
 *
 * viz/source/player.c - moving about in a timeline.
 */
#include "viz/source/player.h"

/* How far ahead a simulation is computed when somebody asks for the next entry. */
#define LOOK_AHEAD_US 100000

shoal_player shoal_player_make(shoal_timeline *timeline, shoal_model *model)
{
    shoal_model_reset(model);
    return (shoal_player){.timeline = timeline, .model = model};
}

static void rewind_to(shoal_player *player, size_t applied)
{
    shoal_model_reset(player->model);
    player->applied = 0;
    while (player->applied < applied) {
        shoal_trace_entry entry = shoal_timeline_get(player->timeline, player->applied++);
        shoal_model_apply(player->model, &entry);
    }
}

void shoal_player_seek(shoal_player *player, int64_t time_us)
{
    if (time_us < 0) time_us = 0;
    shoal_timeline_reach(player->timeline, time_us);
    int64_t end_us = shoal_timeline_end_us(player->timeline);
    if (shoal_timeline_complete(player->timeline) && time_us > end_us) time_us = end_us;
    if (time_us < player->model->now_us) rewind_to(player, 0);
    size_t count = shoal_timeline_count(player->timeline);
    while (player->applied < count) {
        shoal_trace_entry entry = shoal_timeline_get(player->timeline, player->applied);
        if (entry.time_us > time_us) break;
        shoal_model_apply(player->model, &entry);
        player->applied++;
    }
    shoal_model_advance(player->model, time_us);
}

/* Makes entry number `applied` known; false when the run ends before it. */
static bool one_more(shoal_player *player)
{
    int64_t until_us = player->model->now_us;
    while (player->applied == shoal_timeline_count(player->timeline)) {
        if (shoal_timeline_complete(player->timeline)) return false;
        until_us += LOOK_AHEAD_US;
        shoal_timeline_reach(player->timeline, until_us);
    }
    return true;
}

bool shoal_player_next(shoal_player *player)
{
    if (!one_more(player)) return false;
    shoal_trace_entry entry = shoal_timeline_get(player->timeline, player->applied++);
    shoal_model_apply(player->model, &entry);
    return true;
}

bool shoal_player_previous(shoal_player *player)
{
    if (player->applied == 0) return false;
    rewind_to(player, player->applied - 1);
    return true;
}

bool shoal_player_next_news(shoal_player *player)
{
    while (one_more(player)) {
        shoal_trace_entry entry = shoal_timeline_get(player->timeline, player->applied++);
        bool stop = shoal_model_interesting(&entry);
        shoal_model_apply(player->model, &entry);
        if (stop) return true;
    }
    return false;
}

bool shoal_player_previous_news(shoal_player *player)
{
    size_t at = player->applied;
    while (at > 1) {
        at--;
        shoal_trace_entry entry = shoal_timeline_get(player->timeline, at - 1);
        if (!shoal_model_interesting(&entry)) continue;
        rewind_to(player, at);
        return true;
    }
    rewind_to(player, 0);
    return false;
}

bool shoal_player_at_end(const shoal_player *player)
{
    return shoal_timeline_complete(player->timeline) &&
           player->applied == shoal_timeline_count(player->timeline);
}
