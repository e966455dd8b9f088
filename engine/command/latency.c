/* SPDX-License-Identifier: MIT
 *
 * command/latency.c - LATENCY: what was late. Every worker keeps the worst of each second for each
 * event; a tour gathers them, and what happened in one second is one sample, whoever saw it.
 * The histograms of commands need no tour: anybody may read them.
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/sort.h"
#include "command/handlers.h"
#include "command/latency_picture.h"
#include "command/worker.h"

/* The first bound of the histograms that LATENCY HISTOGRAM shows; each next one is the double. */
#define BOUND_FIRST_NS 1024
#define BOUNDS 21u

static const char *event_name(shoal_latency_event event)
{
    SHOAL_ASSERT(event < SHOAL_LATENCY__COUNT);
    return event == SHOAL_LATENCY__COMMAND ? "command" : "fast-command";
}

/* ---- gathering ---- */

/* What a tour carries: one sample of one event. */
typedef struct sighting {
    shoal_latency_event event;
    shoal_latency_sample sample;
    int64_t ms_max; /* of the event at that worker */
} sighting;

static void gather(shoal_call *call)
{
    SHOAL_ASSERT(!call->tour->last);
    for (uint32_t event = 0; event < SHOAL_LATENCY__COUNT; event++) {
        const shoal_latency_series *series = call->worker->timing.series[event];
        for (uint32_t i = 0; series != NULL && i < SHOAL_TIMING__SAMPLES; i++) {
            if (series->samples[i].wall_s == 0) continue;
            sighting seen;
            memset(&seen, 0, sizeof(seen));
            seen.event = event;
            seen.sample = series->samples[i];
            seen.ms_max = series->ms_max;
            shoal_buffer_append(&call->tour->gathered,
                                (shoal_slice){(const char *)&seen, sizeof(seen)});
        }
    }
}

static int compare_sightings(const void *a, const void *b, void *context)
{
    (void)context;
    const sighting *x = a, *y = b;
    if (x->event != y->event) return x->event < y->event ? -1 : 1;
    if (x->sample.wall_s != y->sample.wall_s) return x->sample.wall_s < y->sample.wall_s ? -1 : 1;
    return x->sample.ms < y->sample.ms ? -1 : x->sample.ms > y->sample.ms;
}

/* One event as all workers saw it, from the oldest second on. */
typedef struct history {
    shoal_latency_picture picture;
    shoal_latency_sample samples[SHOAL_TIMING__SAMPLES];
} history;

/* Puts the samples of one event together: `seen` is sorted, and all of that event. */
static void merge(const sighting *seen, uint64_t count, history *out)
{
    SHOAL_ASSERT(count > 0);
    *out = (history){.picture = {.name = event_name(seen->event), .samples = out->samples}};
    uint64_t seconds = 0;
    for (uint64_t i = 0; i < count; i++)
        seconds += i == 0 || seen[i].sample.wall_s != seen[i - 1].sample.wall_s;
    uint64_t skipped = seconds > SHOAL_TIMING__SAMPLES ? seconds - SHOAL_TIMING__SAMPLES : 0;
    for (uint64_t i = 0; i < count; i++) {
        if (seen[i].ms_max > out->picture.ms_max) out->picture.ms_max = seen[i].ms_max;
        /* The last of a second is its worst. */
        if (i + 1 < count && seen[i + 1].sample.wall_s == seen[i].sample.wall_s) continue;
        if (skipped > 0) {
            skipped--;
        } else {
            out->samples[out->picture.count++] = seen[i].sample;
        }
    }
}

/* The histories that were gathered, `*count` of at most SHOAL_LATENCY__COUNT; NULL without memory,
 * after writing an error, and none where nothing was late. To be given back. */
static history *histories(shoal_call *call, uint32_t *count)
{
    const shoal_allocator *allocator = &call->env->allocator;
    shoal_slice bytes = shoal_buffer_slice(&call->tour->gathered);
    SHOAL_ASSERT(call->tour->last && bytes.size % sizeof(sighting) == 0);
    sighting *seen = shoal_memory_take(allocator, bytes.size + 1, SHOAL_ALIGN_PLAIN);
    history *found =
        shoal_memory_take(allocator, SHOAL_LATENCY__COUNT * sizeof(*found), SHOAL_ALIGN_PLAIN);
    *count = 0;
    if (seen == NULL || found == NULL || call->tour->gathered.failed) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        shoal_memory_give(allocator, found, SHOAL_LATENCY__COUNT * sizeof(*found),
                          SHOAL_ALIGN_PLAIN);
        found = NULL;
    } else {
        uint64_t all = bytes.size / sizeof(sighting);
        if (all != 0) memcpy(seen, bytes.data, bytes.size);
        shoal_sort((shoal_sort_array){seen, all, sizeof(*seen)}, compare_sightings, NULL);
        for (uint64_t i = 0, end; i < all; i = end) {
            for (end = i; end < all && seen[end].event == seen[i].event;) end++;
            merge(seen + i, end - i, &found[(*count)++]);
        }
    }
    shoal_memory_give(allocator, seen, bytes.size + 1, SHOAL_ALIGN_PLAIN);
    return found;
}

static void give_back(shoal_call *call, history *found)
{
    SHOAL_ASSERT(found != NULL);
    shoal_memory_give(&call->env->allocator, found, SHOAL_LATENCY__COUNT * sizeof(*found),
                      SHOAL_ALIGN_PLAIN);
}

/* The history that argument 2 names, or NULL. */
static const shoal_latency_picture *named(const shoal_call *call, const history *found,
                                          uint32_t count)
{
    SHOAL_ASSERT(call->argc > 2);
    for (uint32_t i = 0; i < count; i++) {
        if (shoal_text_equal(call->argv[2], shoal_text(found[i].picture.name)))
            return &found[i].picture;
    }
    return NULL;
}

/* ---- events ---- */

/* At the last worker of the tour, what all of them have, `*count` histories. NULL before, and
 * without memory, when the call has been answered. */
static history *gathered(shoal_call *call, uint32_t *count)
{
    SHOAL_ASSERT(call->tour != NULL);
    if (call->tour->last) return histories(call, count);
    gather(call);
    return NULL;
}

void shoal_command__latency_latest(shoal_call *call)
{
    SHOAL_ASSERT(call->tour != NULL);
    uint32_t count;
    history *found = gathered(call, &count);
    if (found == NULL) return;
    shoal_reply_array(&call->reply, count);
    for (uint32_t i = 0; i < count; i++) {
        const shoal_latency_picture *each = &found[i].picture;
        const shoal_latency_sample *last = &each->samples[each->count - 1];
        shoal_reply_array(&call->reply, 4);
        shoal_reply_text(&call->reply, each->name);
        shoal_reply_integer(&call->reply, last->wall_s);
        shoal_reply_integer(&call->reply, last->ms);
        shoal_reply_integer(&call->reply, each->ms_max);
    }
    give_back(call, found);
}

void shoal_command__latency_history(shoal_call *call)
{
    SHOAL_ASSERT(call->tour != NULL && call->argc == 3);
    uint32_t count;
    history *found = gathered(call, &count);
    if (found == NULL) return;
    const shoal_latency_picture *picture = named(call, found, count);
    shoal_reply_array(&call->reply, picture != NULL ? picture->count : 0);
    for (uint32_t i = 0; picture != NULL && i < picture->count; i++) {
        shoal_reply_array(&call->reply, 2);
        shoal_reply_integer(&call->reply, picture->samples[i].wall_s);
        shoal_reply_integer(&call->reply, picture->samples[i].ms);
    }
    give_back(call, found);
}

void shoal_command__latency_graph(shoal_call *call)
{
    SHOAL_ASSERT(call->tour != NULL && call->argc == 3);
    uint32_t count;
    history *found = gathered(call, &count);
    if (found == NULL) return;
    const shoal_latency_picture *picture = named(call, found, count);
    if (picture == NULL) {
        shoal_slice name = call->argv[2];
        shoal_reply_errorf(&call->reply, "ERR No samples available for event '%.*s'",
                           (int)name.size, name.data);
    } else {
        shoal_buffer text = shoal_buffer_make(&call->env->allocator);
        shoal_latency_picture__graph(picture, call->now.wall_us / 1000000, &text);
        shoal_reply_verbatim(&call->reply, "txt", shoal_buffer_slice(&text));
        shoal_buffer_free(&text);
    }
    give_back(call, found);
}

void shoal_command__latency_doctor(shoal_call *call)
{
    SHOAL_ASSERT(call->tour != NULL);
    uint32_t count;
    history *found = gathered(call, &count);
    if (found == NULL) return;
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    const shoal_settings *settings = call->worker->settings;
    shoal_latency_picture__advise_on_settings(settings->late_ms, settings->slow_us, count, &text);
    for (uint32_t i = 0; i < count; i++)
        shoal_latency_picture__describe(&found[i].picture, i + 1, &text);
    shoal_reply_verbatim(&call->reply, "txt", shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
    give_back(call, found);
}

/* The tour's count holds a bit for each event that somebody forgot. */
void shoal_command__latency_reset(shoal_call *call)
{
    SHOAL_ASSERT(call->tour != NULL);
    shoal_tour *tour = call->tour;
    if (tour->last) {
        shoal_reply_integer(&call->reply, __builtin_popcountll(tour->count));
        return;
    }
    for (uint32_t event = 0; event < SHOAL_LATENCY__COUNT; event++) {
        shoal_latency_series **series = &call->worker->timing.series[event];
        bool meant = call->argc == 2;
        for (uint32_t i = 2; i < call->argc && !meant; i++)
            meant = shoal_text_equal(call->argv[i], shoal_text(event_name(event)));
        if (!meant || *series == NULL) continue;
        shoal_memory_give(&call->env->allocator, *series, sizeof(**series), SHOAL_ALIGN_PLAIN);
        *series = NULL;
        tour->count |= UINT64_C(1) << event;
    }
}

/* ---- histograms ---- */

/* How many calls were over within each bound; only bounds that add some are shown. */
static void reply_bounds(shoal_call *call, const uint64_t *counts, uint64_t sum)
{
    SHOAL_ASSERT(sum > 0);
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    uint64_t seen = 0, shown = 0, pairs = 0;
    uint32_t bucket = 0;
    for (uint32_t i = 0; i < BOUNDS && shown < sum; i++) {
        int64_t bound = (int64_t)BOUND_FIRST_NS << i;
        bool last = i + 1 == BOUNDS;
        for (; bucket < SHOAL_TIMING__BUCKETS; bucket++) {
            if (!last && shoal_timing_bucket_end(bucket) >= bound) break;
            seen += counts[bucket];
        }
        if (seen == shown) continue;
        shown = seen;
        pairs++;
        /* The end of the step of a 128th in which Redis's histogram counts the bound. */
        shoal_reply_integer(&call->reply, (bound + bound / 128 - 1) / 1000);
        shoal_reply_integer(&call->reply, (int64_t)seen);
    }
    shoal_reply_end_map(&call->reply, mark, pairs);
}

/* Appends what is known of a command, if it was called. Returns how many pairs that are. */
static size_t reply_histogram(shoal_call *call, const shoal_command *command)
{
    uint64_t counts[SHOAL_TIMING__BUCKETS];
    uint64_t sum = shoal_timing_counts(call->env, command->id, counts);
    SHOAL_DEBUG_ASSERT(command->id != SHOAL_COMMAND_NONE);
    if (sum == 0) return 0;
    char name[64];
    shoal_command__full_name(command, name, sizeof(name));
    shoal_reply_text(&call->reply, name);
    shoal_reply_map(&call->reply, 2);
    shoal_reply_text(&call->reply, "calls");
    shoal_reply_integer(&call->reply, (int64_t)sum);
    shoal_reply_text(&call->reply, "histogram_usec");
    reply_bounds(call, counts, sum);
    return 1;
}

/* The row that a word such as "get" or "client|id" names, or NULL. */
static const shoal_command *row_of(shoal_slice word)
{
    size_t bar = shoal_text_find(word, shoal_text("|"));
    SHOAL_DEBUG_ASSERT(bar == SHOAL_TEXT_NONE || bar < word.size);
    if (bar == SHOAL_TEXT_NONE) return shoal_command_find(word, (shoal_slice){NULL, 0});
    shoal_slice sub = {word.data + bar + 1, word.size - bar - 1};
    const shoal_command *row = shoal_command_find((shoal_slice){word.data, bar}, sub);
    return row != NULL && row->parent != SHOAL_COMMAND_NONE ? row : NULL;
}

void shoal_command__latency_histogram(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    shoal_reply_mark mark = shoal_reply_begin(&call->reply);
    size_t pairs = 0;
    for (uint32_t i = 2; i < call->argc; i++) {
        const shoal_command *row = row_of(call->argv[i]);
        if (row == NULL) continue;
        pairs += reply_histogram(call, row);
        for (uint32_t id = SHOAL_COMMAND_NONE + 1; id < SHOAL_COMMAND_COUNT; id++) {
            if (shoal_command_row(id)->parent == row->id)
                pairs += reply_histogram(call, shoal_command_row(id));
        }
    }
    for (uint32_t id = SHOAL_COMMAND_NONE + 1; call->argc == 2 && id < SHOAL_COMMAND_COUNT; id++)
        pairs += reply_histogram(call, shoal_command_row(id));
    shoal_reply_end_map(&call->reply, mark, pairs);
}
