/* SPDX-License-Identifier: MIT
 *
 * viz/source/sim.c - a simulation as a timeline: the world is advanced as far as the picture wants
 * to see, and every entry that it traces is kept.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/generate.h"
#include "sim/schedule.h"
#include "sim/world.h"
#include "viz/source/read_whole.h"
#include "viz/source/timeline.h"

/* A world, its schedule, and where its entries go. */
typedef struct live {
    shoal_schedule schedule;
    shoal_world *world;
    shoal_timeline *timeline; /* set while the world is advanced */
} live;

static void keep_entry(void *context, const shoal_trace_entry *entry)
{
    live *source = context;
    if (source->timeline) shoal_timeline_add(source->timeline, entry);
}

static bool advance(void *context, shoal_timeline *timeline, int64_t until_us)
{
    live *source = context;
    source->timeline = timeline;
    bool goes_on = shoal_world_advance(source->world, until_us);
    source->timeline = NULL;
    return goes_on;
}

static void end(void *context)
{
    live *source = context;
    if (source->world) shoal_world_destroy(source->world);
    shoal_schedule_free(&source->schedule);
    free(source);
}

/* Lets a generator write the schedule. False with a complaint. */
static bool generate(live *source, const shoal_generator_options *options, char *complaint,
                     size_t room)
{
    shoal_generator *generator = shoal_generator__make(options);
    bool good = shoal_generator__schedule(generator, &source->schedule);
    if (!good) snprintf(complaint, room, "%s", shoal_generator__error(generator));
    shoal_generator__free(generator);
    return good;
}

/* Reads and checks the schedule, or has it written. False with a complaint. */
static bool load(live *source, const shoal_sim_file *from, char *complaint, size_t room)
{
    const char *path = from->path;
    size_t size = 0;
    char *data = shoal_read_whole(path, &size);
    if (!data) {
        snprintf(complaint, room, "%s: %s", path, strerror(errno));
        return false;
    }
    if (shoal_generator__names(path)) {
        shoal_generator_options options = {.path = path,
                                           .text = {data, size},
                                           .settings = from->settings,
                                           .setting_count = from->setting_count};
        bool good = generate(source, &options, complaint, room);
        free(data);
        return good;
    }
    shoal_schedule_error error;
    shoal_err bad = shoal_schedule_parse((shoal_slice){data, size}, &source->schedule, &error);
    free(data);
    if (bad == SHOAL_ERR_OK) return true;
    snprintf(complaint, room, "%s:%u:%u: %s", path, error.line, error.column, error.message);
    return false;
}

shoal_timeline *shoal_timeline_open_sim(const shoal_sim_file *from, char *complaint, size_t room)
{
    live *source = calloc(1, sizeof *source);
    if (!source || !load(source, from, complaint, room)) {
        if (!source) snprintf(complaint, room, "out of memory");
        free(source);
        return NULL;
    }
    shoal_world_options options = shoal_world_options_default();
    options.schedule = &source->schedule;
    options.tracer = keep_entry;
    options.tracer_context = source;
    shoal_feeder feeder = {source, advance, end};
    shoal_timeline *timeline = shoal_timeline_make(feeder);
    if (!timeline) {
        snprintf(complaint, room, "out of memory");
        return NULL;
    }
    source->timeline = timeline;
    shoal_err bad = shoal_world_create(&options, &source->world);
    source->timeline = NULL;
    if (bad == SHOAL_ERR_OK) return timeline;
    snprintf(complaint, room, "%s: %s", from->path, shoal_err_text(bad));
    shoal_timeline_free(timeline);
    return NULL;
}
