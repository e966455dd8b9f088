/* SPDX-License-Identifier: MIT
 *
 * shoal-sim replay: recordings of nodes, real or virtual, run again by this program's own code and
 * compared with what was recorded. Several recordings make one trace: they are of the nodes of one
 * cluster, and their wall clocks say what was when.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <shoal/tape.h>

#include "base/text.h"
#include "sim/memory.h"
#include "sim/program.h"
#include "sim/words.h"

/* One recording. */
typedef struct recording {
    const char *path;
    char *bytes;
    size_t size;
    uint32_t node; /* in the trace */
    int64_t shift_us;
    shoal_playback_state state;
    shoal_playback_facts facts; /* the texts are of the copies below */
    char build[256], place[256], why[256];
    char *trouble;
} recording;

/* An entry that waits until the others of its moment are known. */
typedef struct kept_entry {
    int64_t time_us;
    uint64_t order;
    size_t at, size; /* of its text in `texts` */
    shoal_trace_entry entry;
} kept_entry;

/* All of a replay. */
typedef struct replay {
    const shoal_arguments *arguments;
    recording *recordings;
    uint32_t count;
    int64_t until_us; /* of each recording; INT64_MAX: to its end */
    uint64_t until_step;
    bool heard; /* somebody listens */
    shoal_recorder recorder;
    shoal_narrator *narrator;
    shoal_allocator memory;
    shoal_buffer line, texts;
    kept_entry *entries;
    uint32_t entry_count, entry_capacity;
} replay;

/* ---- who listens ---- */

static void tell(replay *r, const shoal_trace_entry *entry)
{
    if (r->arguments->trace_file) shoal_recorder__take(&r->recorder, entry);
    if (r->narrator) shoal_narrator__take(r->narrator, entry);
    if (!r->arguments->text) return;
    shoal_buffer_consume(&r->line, shoal_buffer_size(&r->line));
    shoal_trace_text(entry, &r->line);
    shoal_slice text = shoal_buffer_slice(&r->line);
    fwrite(text.data, 1, text.size, stdout);
    fputc('\n', stdout);
}

/* With one recording entries are told as they arise, so that a debugger sees them come. */
static void hear(void *context, const shoal_trace_entry *entry)
{
    replay *r = context;
    if (r->count == 1) {
        tell(r, entry);
        return;
    }
    r->entries =
        shoal_sim__grow(r->entries, &r->entry_capacity, r->entry_count + 1, sizeof(*r->entries));
    r->entries[r->entry_count] = (kept_entry){.time_us = entry->time_us,
                                              .order = r->entry_count,
                                              .at = shoal_buffer_size(&r->texts),
                                              .size = entry->record.text.size,
                                              .entry = *entry};
    r->entry_count++;
    shoal_buffer_append(&r->texts, entry->record.text);
}

static int by_time(const void *left, const void *right)
{
    const kept_entry *a = left, *b = right;
    if (a->time_us != b->time_us) return a->time_us < b->time_us ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* Tells everything that several recordings have, in the order of time. */
static void tell_all(replay *r)
{
    if (r->entry_count > 0) qsort(r->entries, r->entry_count, sizeof(*r->entries), by_time);
    shoal_slice texts = shoal_buffer_slice(&r->texts);
    for (uint32_t i = 0; i < r->entry_count; i++) {
        kept_entry *kept = &r->entries[i];
        kept->entry.record.text = (shoal_slice){texts.data + kept->at, kept->size};
        tell(r, &kept->entry);
    }
}

/* ---- one recording ---- */

static void keep_facts(recording *one, const shoal_playback_facts *facts)
{
    one->facts = *facts;
    snprintf(one->build, sizeof(one->build), "%.*s", (int)facts->build.size, facts->build.data);
    snprintf(one->place, sizeof(one->place), "%.*s", (int)facts->place.size, facts->place.data);
    snprintf(one->why, sizeof(one->why), "%.*s", (int)facts->why.size, facts->why.data);
    shoal_sim__free(one->trouble);
    one->trouble = shoal_sim__allocate(facts->trouble.size + 1);
    if (facts->trouble.size > 0) memcpy(one->trouble, facts->trouble.data, facts->trouble.size);
}

/* Is the next step still to be played? */
static bool goes_on(const replay *r, const shoal_playback *playback)
{
    shoal_playback_facts facts;
    shoal_playback_get(playback, &facts);
    return facts.steps < r->until_step && facts.now.mono_us - facts.created.mono_us < r->until_us;
}

/* Plays a recording; an exit code. */
static int play(replay *r, recording *one, bool listen)
{
    shoal_buffer complaint = shoal_buffer_make(&r->memory);
    shoal_playback *playback = NULL;
    shoal_playback_options options = {.allocator = r->memory,
                                      .bytes = {one->bytes, one->size},
                                      .node = one->node,
                                      .shift_us = one->shift_us,
                                      .entry = listen ? hear : NULL,
                                      .context = r};
    shoal_err error = shoal_playback_open(&options, &complaint, &playback);
    shoal_slice text = shoal_buffer_slice(&complaint);
    if (error != SHOAL_ERR_OK)
        fprintf(stderr, "%s: %.*s\n", one->path, (int)text.size, text.data ? text.data : "");
    shoal_buffer_free(&complaint);
    if (error != SHOAL_ERR_OK) return SHOAL_EXIT_UNUSABLE;
    one->state = SHOAL_PLAYBACK_MORE;
    while (one->state == SHOAL_PLAYBACK_MORE && goes_on(r, playback))
        one->state = shoal_playback_next(playback);
    shoal_playback_facts facts;
    shoal_playback_get(playback, &facts);
    keep_facts(one, &facts);
    shoal_playback_close(playback);
    if (one->state == SHOAL_PLAYBACK_DAMAGED) return SHOAL_EXIT_UNUSABLE;
    return one->state == SHOAL_PLAYBACK_DIFFERS ? SHOAL_EXIT_VIOLATED : SHOAL_EXIT_HELD;
}

/* ---- the report ---- */

/* "2026-11-23 05:59:04 UTC" */
static void print_moment(FILE *out, int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm parts;
    char text[64] = "";
    if (gmtime_r(&seconds, &parts)) strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    fputs(text, out);
}

static void report_end(const recording *one)
{
    const shoal_playback_facts *facts = &one->facts;
    if (one->state == SHOAL_PLAYBACK_MORE)
        printf("  stopped as asked\n");
    else if (facts->ended)
        printf("  ended: %s\n", one->why);
    else if (facts->inside)
        printf("  ended: inside a step, in which the process died\n");
    else
        printf("  ended: without a last entry: the process was killed\n");
    if (facts->torn > 0)
        printf("  the %" PRIu64 " bytes behind the last whole frame are not a frame\n",
               facts->torn);
}

static void report(const recording *one)
{
    const shoal_playback_facts *facts = &one->facts;
    double lasted = (double)(facts->now.mono_us - facts->created.mono_us) / 1e6;
    printf("%s: %" PRIu64 " steps, %" PRIu64 " inputs of the cluster run again, %" PRIu64
           " operations and records compared: %s\n",
           one->path, facts->steps, facts->inputs, facts->asked,
           one->state == SHOAL_PLAYBACK_DIFFERS   ? "DIFFERENT"
           : one->state == SHOAL_PLAYBACK_DAMAGED ? "DAMAGED"
                                                  : "all as recorded");
    printf("  n%u: %s %s:%u, by %s, from ", one->node + 1, facts->name[0] ? facts->name : "-",
           one->place, facts->port, one->build);
    print_moment(stdout, facts->created.wall_us);
    printf(", %.3f s\n", lasted);
    printf("  not run again: %" PRIu64 " events of replication and files, and what led to %" PRIu64
           " facts that replication told\n",
           facts->foreign, facts->carried);
    if (one->state != SHOAL_PLAYBACK_DIFFERS && one->state != SHOAL_PLAYBACK_DAMAGED)
        report_end(one);
}

/* Says what is wrong on standard error, whatever else is quiet. */
static void complain(const recording *one)
{
    const char *end = strrchr(one->build, ' ');
    if (end && strcmp(end + 1, shoal_version()) != 0)
        fprintf(stderr, "%s: recorded by %s; this is %s, which may do something else\n", one->path,
                one->build, shoal_version());
    if (one->trouble && one->trouble[0]) fprintf(stderr, "%s: %s\n", one->path, one->trouble);
}

/* ---- the command ---- */

/* Reads --until: a duration, or the number of a step. */
static bool read_until(replay *r, const char *text)
{
    shoal_schedule_error error;
    shoal_words words = {.line = text,
                         .size = text ? strlen(text) : 0,
                         .number = 1,
                         .error = &error};
    r->until_us = INT64_MAX;
    r->until_step = UINT64_MAX;
    if (text == NULL || shoal_text_to_u64(shoal_text(text), &r->until_step)) return true;
    if (shoal_words__duration(&words, &r->until_us) && shoal_words__done(&words)) return true;
    fprintf(stderr, "shoal-sim: --until %s: expected a duration such as 12.5s, or a step\n", text);
    return false;
}

/* Gives nodes their numbers, by their names, and moves every recording to its place in time. */
static void arrange(replay *r)
{
    int64_t first_us = INT64_MAX;
    uint32_t nodes = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        recording *one = &r->recordings[i];
        const char *name = one->facts.name;
        one->node = nodes;
        for (uint32_t j = 0; j < i && name[0]; j++) {
            if (strcmp(r->recordings[j].facts.name, name) == 0) one->node = r->recordings[j].node;
        }
        nodes += one->node == nodes;
        if (one->facts.created.wall_us < first_us) first_us = one->facts.created.wall_us;
    }
    for (uint32_t i = 0; i < r->count; i++)
        r->recordings[i].shift_us = r->recordings[i].facts.created.wall_us - first_us;
}

/* Plays everything once to compare and, where several recordings are to be told as one, once more
 * to tell, when it is known who is who. */
static int play_all(replay *r)
{
    int worst = SHOAL_EXIT_HELD;
    for (uint32_t i = 0; i < r->count; i++) {
        recording *one = &r->recordings[i];
        int code = play(r, one, r->heard && r->count == 1);
        if (code > worst) worst = code;
    }
    if (r->count == 1) return worst;
    arrange(r);
    for (uint32_t i = 0; r->heard && worst != SHOAL_EXIT_UNUSABLE && i < r->count; i++)
        (void)play(r, &r->recordings[i], true);
    tell_all(r);
    return worst;
}

static bool load(replay *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        recording *one = &r->recordings[i];
        one->path = r->arguments->files[i];
        one->bytes = shoal_program__read(one->path, &one->size);
        if (one->bytes == NULL) return false;
    }
    return true;
}

static int run(replay *r)
{
    const shoal_arguments *arguments = r->arguments;
    if (!read_until(r, arguments->until) || !load(r)) return SHOAL_EXIT_UNUSABLE;
    if (arguments->trace_file && !shoal_recorder__open(&r->recorder, arguments->trace_file))
        return SHOAL_EXIT_UNUSABLE;
    if (arguments->narrate) r->narrator = shoal_narrator__make(stdout);
    r->heard = arguments->trace_file || arguments->narrate || arguments->text;
    int code = play_all(r);
    if (r->narrator) shoal_narrator__free(r->narrator);
    if (arguments->trace_file && !shoal_recorder__close(&r->recorder)) {
        fprintf(stderr, "%s: could not be written whole\n", arguments->trace_file);
        code = SHOAL_EXIT_UNUSABLE;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        if (!arguments->quiet && r->recordings[i].trouble) report(&r->recordings[i]);
        complain(&r->recordings[i]);
    }
    return code;
}

int shoal_program__replay(const shoal_arguments *arguments)
{
    replay r = {.arguments = arguments,
                .count = arguments->file_count,
                .memory = shoal_allocator_default()};
    r.line = r.texts = shoal_buffer_make(&r.memory);
    r.recordings = shoal_sim__allocate(r.count * sizeof(*r.recordings));
    int code = run(&r);
    for (uint32_t i = 0; i < r.count; i++) {
        shoal_sim__free(r.recordings[i].bytes);
        shoal_sim__free(r.recordings[i].trouble);
    }
    shoal_sim__free(r.recordings);
    shoal_sim__free(r.entries);
    shoal_buffer_free(&r.line);
    shoal_buffer_free(&r.texts);
    return code;
}
