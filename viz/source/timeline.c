/* SPDX-License-Identifier: MIT
 *
 * viz/source/timeline.c - entries kept encoded, one behind the other, with an index of offsets.
 */
#include "viz/source/timeline.h"

#include <stdlib.h>

struct shoal_timeline {
    shoal_feeder feeder;
    shoal_allocator allocator;
    shoal_buffer bytes; /* encoded entries */
    size_t *offsets;    /* of each entry in bytes */
    size_t count, capacity;
    int64_t end_us;
    bool complete;
};

shoal_timeline *shoal_timeline_make(shoal_feeder feeder)
{
    shoal_timeline *timeline = calloc(1, sizeof *timeline);
    if (!timeline) {
        feeder.close(feeder.context);
        return NULL;
    }
    timeline->feeder = feeder;
    timeline->allocator = shoal_allocator_default();
    timeline->bytes = shoal_buffer_make(&timeline->allocator);
    return timeline;
}

void shoal_timeline_free(shoal_timeline *timeline)
{
    if (!timeline) return;
    timeline->feeder.close(timeline->feeder.context);
    shoal_buffer_free(&timeline->bytes);
    free(timeline->offsets);
    free(timeline);
}

void shoal_timeline_add(shoal_timeline *timeline, const shoal_trace_entry *entry)
{
    if (timeline->count == timeline->capacity) {
        size_t capacity = timeline->capacity ? timeline->capacity * 2 : 1024;
        size_t *offsets = realloc(timeline->offsets, capacity * sizeof *offsets);
        if (!offsets) {
            timeline->complete = true;
            return;
        }
        timeline->offsets = offsets;
        timeline->capacity = capacity;
    }
    size_t offset = timeline->bytes.end;
    shoal_trace_encode(entry, &timeline->bytes);
    if (timeline->bytes.failed) {
        timeline->complete = true;
        return;
    }
    timeline->offsets[timeline->count++] = offset;
    timeline->end_us = entry->time_us;
}

void shoal_timeline_reach(shoal_timeline *timeline, int64_t until_us)
{
    if (timeline->complete) return;
    if (!timeline->feeder.advance(timeline->feeder.context, timeline, until_us)) {
        timeline->complete = true;
    }
}

size_t shoal_timeline_count(const shoal_timeline *timeline)
{
    return timeline->count;
}

shoal_trace_entry shoal_timeline_get(const shoal_timeline *timeline, size_t index)
{
    shoal_trace_entry entry = {0};
    size_t used;
    size_t offset = timeline->offsets[index];
    shoal_slice bytes = {timeline->bytes.data + offset, timeline->bytes.end - offset};
    if (shoal_trace_decode(bytes, &entry, &used) != SHOAL_ERR_OK) abort();
    return entry;
}

bool shoal_timeline_complete(const shoal_timeline *timeline)
{
    return timeline->complete;
}

int64_t shoal_timeline_end_us(const shoal_timeline *timeline)
{
    return timeline->end_us;
}
