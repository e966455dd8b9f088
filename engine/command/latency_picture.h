/* SPDX-License-Identifier: MIT
 *
 * command/latency_picture.h - the samples of a latency event as people like to see them.
 */
#ifndef SHOAL_COMMAND_LATENCY_PICTURE_H
#define SHOAL_COMMAND_LATENCY_PICTURE_H

#include "command/timing.h"

/* One event: `count` samples, at least one, from the oldest second on; borrowed. */
typedef struct shoal_latency_picture {
    const char *name;
    const shoal_latency_sample *samples;
    uint32_t count;
    int64_t ms_max; /* ever */
} shoal_latency_picture;

/* Appends the samples as columns, with how long ago each was at `wall_s` below it. */
void shoal_latency_picture__graph(const shoal_latency_picture *picture, int64_t wall_s,
                                  shoal_buffer *out);
/* Appends a sentence about how often and how bad it was, as paragraph `number`. */
void shoal_latency_picture__describe(const shoal_latency_picture *picture, uint32_t number,
                                     shoal_buffer *out);
/* Appends what stands before those, for `events` events and these settings. */
void shoal_latency_picture__advise_on_settings(int64_t late_ms, int64_t slow_us, uint32_t events,
                                               shoal_buffer *out);

#endif
