/* SPDX-License-Identifier: MIT
 *
 * viz/source/file.c - a trace file as a timeline: read whole, checked entry by entry, so that a
 * damaged file is refused with the place of the damage before anything is drawn. A file that a
 * flight recorder wrote is known by its first bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shoal/tape.h>

#include "viz/source/read_whole.h"
#include "viz/source/recording.h"
#include "viz/source/timeline.h"

static bool nothing_more(void *context, shoal_timeline *timeline, int64_t until_us)
{
    (void)context, (void)timeline, (void)until_us;
    return false;
}

static void nothing_to_close(void *context)
{
    (void)context;
}

static const char *expected(shoal_err error)
{
    switch (error) {
    case SHOAL_ERR_TRUNCATED: return "the file ends inside an entry";
    case SHOAL_ERR_UNSUPPORTED: return "expected trace version 1";
    default: return "expected a trace entry";
    }
}

/* Adds every entry of `rest`; returns the byte where reading failed, or -1. */
static long add_entries(shoal_timeline *timeline, shoal_slice all, shoal_err *error)
{
    size_t at = SHOAL_TRACE_HEADER_SIZE;
    int64_t last_us = 0;
    while (at < all.size) {
        shoal_trace_entry entry;
        size_t used;
        *error = shoal_trace_decode((shoal_slice){all.data + at, all.size - at}, &entry, &used);
        if (*error == SHOAL_ERR_OK && entry.time_us < last_us) *error = SHOAL_ERR_MALFORMED;
        if (*error != SHOAL_ERR_OK) return (long)at;
        last_us = entry.time_us;
        shoal_timeline_add(timeline, &entry);
        at += used;
    }
    return -1;
}

/* The entries of a flight recorder's file. */
static shoal_timeline *play_recording(const char *path, shoal_slice all, char *complaint,
                                      size_t room)
{
    shoal_feeder feeder = {NULL, nothing_more, nothing_to_close};
    shoal_timeline *timeline = shoal_timeline_make(feeder);
    int length = snprintf(complaint, room, "%s: ", path);
    size_t used = length > 0 && (size_t)length < room ? (size_t)length : 0;
    if (timeline && shoal_recording_add(timeline, all, complaint + used, room - used)) {
        shoal_timeline_reach(timeline, 0);
        return timeline;
    }
    shoal_timeline_free(timeline);
    return NULL;
}

shoal_timeline *shoal_timeline_open_file(const char *path, char *complaint, size_t room)
{
    size_t size = 0;
    char *data = shoal_read_whole(path, &size);
    if (!data) {
        snprintf(complaint, room, "%s: %s", path, strerror(errno));
        return NULL;
    }
    shoal_slice all = {data, size};
    if (shoal_tape_is(all)) {
        shoal_timeline *played = play_recording(path, all, complaint, room);
        free(data);
        return played;
    }
    shoal_err error = shoal_trace_decode_header(all);
    if (error != SHOAL_ERR_OK) {
        snprintf(complaint, room, "%s: not a trace file: %s", path,
                 error == SHOAL_ERR_UNSUPPORTED ? expected(error)
                                                : "expected \"SHOALTRC\" at byte 0");
        free(data);
        return NULL;
    }
    shoal_feeder feeder = {NULL, nothing_more, nothing_to_close};
    shoal_timeline *timeline = shoal_timeline_make(feeder);
    long bad_at = timeline ? add_entries(timeline, all, &error) : 0;
    free(data);
    if (bad_at < 0) {
        shoal_timeline_reach(timeline, 0);
        return timeline;
    }
    snprintf(complaint, room, "%s: byte %ld: %s", path, bad_at, expected(error));
    shoal_timeline_free(timeline);
    return NULL;
}
