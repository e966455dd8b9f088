/* SPDX-License-Identifier: MIT
 *
 * viz/source/recording.c - a recording as entries: a playback of all of it.
 */
#include "viz/source/recording.h"

#include <stdio.h>

#include <shoal/tape.h>

static void keep_entry(void *context, const shoal_trace_entry *entry)
{
    shoal_timeline_add(context, entry);
}

/* Says in the picture that the rest cannot be known. */
static void say_difference(shoal_timeline *timeline)
{
    shoal_trace_entry entry = {
        .time_us = shoal_timeline_end_us(timeline),
        .node = SHOAL_TRACE_WORLD,
        .record = {.kind = SHOAL_TRACE_SAY,
                   .text = shoal_slice_of("The recorded node did something else from here on than "
                                          "this version does: see shoal-sim replay.")}};
    shoal_timeline_add(timeline, &entry);
}

bool shoal_recording_add(shoal_timeline *timeline, shoal_slice bytes, char *complaint, size_t room)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer why = shoal_buffer_make(&memory);
    shoal_playback *playback = NULL;
    shoal_playback_options options = {.allocator = memory,
                                      .bytes = bytes,
                                      .entry = keep_entry,
                                      .context = timeline};
    shoal_err error = shoal_playback_open(&options, &why, &playback);
    shoal_slice words = shoal_buffer_slice(&why);
    if (error != SHOAL_ERR_OK)
        snprintf(complaint, room, "%.*s", (int)words.size, words.data ? words.data : "");
    shoal_buffer_free(&why);
    if (error != SHOAL_ERR_OK) return false;
    shoal_playback_state state;
    do {
        state = shoal_playback_next(playback);
    } while (state == SHOAL_PLAYBACK_MORE);
    shoal_playback_facts facts;
    shoal_playback_get(playback, &facts);
    if (state == SHOAL_PLAYBACK_DIFFERS) say_difference(timeline);
    if (state == SHOAL_PLAYBACK_DAMAGED)
        snprintf(complaint, room, "%.*s", (int)facts.trouble.size, facts.trouble.data);
    shoal_playback_close(playback);
    return state != SHOAL_PLAYBACK_DAMAGED;
}
