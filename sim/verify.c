/* SPDX-License-Identifier: MIT
 *
 * shoal-sim verify: runs a schedule twice in child processes that differ in everything that must
 * not matter - address space layout, bytes in fresh memory, environment size, locale, time zone -
 * and compares what they do, event by event, as they do it. The first difference is shown with
 * what came before it in both.
 *
 * A child streams for every trace entry: u32 size, u64 number of occurrences so far, u64 hash of
 * them, and the entry as in a trace file. So a difference is found at the first entry behind it
 * even when the entries themselves are still the same.
 */
#define _GNU_SOURCE /* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "sim/memory.h"
#include "sim/program.h"

#define FRAME_HEAD 20u
#define FRAME_MAX (1u << 25)

/* Entries shown before the first difference. */
#define CONTEXT 4u

/* ---- the child's side ---- */

struct shoal_streamer {
    FILE *file;
    const shoal_world *world;
    shoal_allocator memory;
    shoal_buffer buffer;
};

shoal_streamer *shoal_streamer__make(int descriptor)
{
    shoal_streamer *streamer = shoal_sim__allocate(sizeof(*streamer));
    streamer->file = fdopen(descriptor, "wb");
    streamer->memory = shoal_allocator_default();
    streamer->buffer = shoal_buffer_make(&streamer->memory);
    return streamer;
}

void shoal_streamer__watch(shoal_streamer *streamer, const shoal_world *world)
{
    streamer->world = world;
}

void shoal_streamer__take(void *context, const shoal_trace_entry *entry)
{
    shoal_streamer *streamer = context;
    char head[FRAME_HEAD];
    uint64_t events = 0;
    uint64_t hash = shoal_world_event_hash(streamer->world, &events);
    if (streamer->file == NULL) return;
    shoal_buffer_consume(&streamer->buffer, shoal_buffer_size(&streamer->buffer));
    shoal_trace_encode(entry, &streamer->buffer);
    shoal_slice bytes = shoal_buffer_slice(&streamer->buffer);
    shoal_bytes_put_le32(head, (uint32_t)bytes.size);
    shoal_bytes_put_le64(head + 4, events);
    shoal_bytes_put_le64(head + 12, hash);
    fwrite(head, 1, sizeof(head), streamer->file);
    fwrite(bytes.data, 1, bytes.size, streamer->file);
}

void shoal_streamer__free(shoal_streamer *streamer)
{
    if (streamer->file) fclose(streamer->file);
    shoal_buffer_free(&streamer->buffer);
    shoal_sim__free(streamer);
}

/* What makes the two children different. */
typedef struct perturbation {
    const char *words;
    const char *poison;
    const char *locale;
    const char *zone;
    bool fixed_addresses;
    uint32_t padding; /* bytes of extra environment */
} perturbation;

static const perturbation perturbations[2] = {
    {"addresses fixed, fresh memory 0xAA, locale C, time zone UTC", "170", "C", "UTC", true, 16},
    {"addresses random, fresh memory 0x55, locale tr_TR.UTF-8, time zone Pacific/Chatham", "85",
     "tr_TR.UTF-8", "Pacific/Chatham", false, 30011}};

/* Becomes the child's program. Does not return. */
static void become_child(const shoal_arguments *arguments, const perturbation *how,
                         const char *file, int descriptor)
{
    char stream[16], seed[24];
    char *padding = shoal_sim__allocate(how->padding + 1);
    memset(padding, 'p', how->padding);
    setenv("SHOAL_SIM_PADDING", padding, 1);
    setenv("LC_ALL", how->locale, 1);
    setenv("TZ", how->zone, 1);
    int persona = personality(0xFFFFFFFF);
    if (how->fixed_addresses && persona >= 0)
        personality((unsigned long)persona | ADDR_NO_RANDOMIZE);
    snprintf(stream, sizeof(stream), "%d", descriptor);
    snprintf(seed, sizeof(seed), "%" PRIu64, arguments->seed);
    const char *command[] = {"shoal-sim", "run",       file,
                             "--quiet",   "--stream",  stream,
                             "--poison",  how->poison, arguments->has_seed ? "--seed" : NULL,
                             seed,        NULL,        NULL,
                             NULL};
    const char **end = command + 8 + (arguments->has_seed ? 2 : 0);
    end[0] = arguments->profile ? "--profile" : NULL;
    end[1] = shoal_profile_name(arguments->profile);
    execv("/proc/self/exe", (char *const *)(uintptr_t)command);
    fprintf(stderr, "shoal-sim: cannot start itself: %s\n", strerror(errno));
    _exit(SHOAL_EXIT_UNUSABLE);
}

/* ---- the parent's side ---- */

/* One child and what it has streamed last. */
typedef struct runner {
    pid_t process;
    FILE *file;
    char head[FRAME_HEAD];
    char *bytes;
    uint32_t size, capacity;
    bool over;
    char *recent[CONTEXT]; /* lines of the latest entries */
    uint32_t recent_count;
} runner;

static bool start_runner(runner *child, const shoal_arguments *arguments, const char *file,
                         int which)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    fflush(NULL);
    child->process = fork();
    if (child->process == 0) {
        fcntl(ends[1], F_SETFD, 0);
        become_child(arguments, &perturbations[which], file, ends[1]);
    }
    close(ends[1]);
    child->file = child->process > 0 ? fdopen(ends[0], "rb") : NULL;
    if (child->file == NULL) close(ends[0]);
    return child->file != NULL;
}

static void next_entry(runner *child)
{
    child->over = fread(child->head, 1, FRAME_HEAD, child->file) != FRAME_HEAD;
    child->size = child->over ? 0 : shoal_bytes_get_le32(child->head);
    if (child->over || child->size > FRAME_MAX) {
        child->over = true;
        return;
    }
    child->bytes = shoal_sim__grow(child->bytes, &child->capacity, child->size, 1);
    child->over = fread(child->bytes, 1, child->size, child->file) != child->size;
}

/* The present entry as a line; owned by the caller. */
static char *entry_line(const runner *child)
{
    shoal_trace_entry entry;
    size_t used = 0;
    char *line = shoal_sim__allocate(400);
    if (child->over) {
        snprintf(line, 400, "(the run has ended)");
        return line;
    }
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    if (shoal_trace_decode((shoal_slice){child->bytes, child->size}, &entry, &used) ==
        SHOAL_ERR_OK) {
        shoal_trace_text(&entry, &text);
    }
    snprintf(line, 400, "event %" PRIu64 " [%016" PRIx64 "] %.*s",
             shoal_bytes_get_le64(child->head + 4), shoal_bytes_get_le64(child->head + 12),
             text.end < 300 ? (int)text.end : 300, text.data ? text.data : "");
    shoal_buffer_free(&text);
    return line;
}

static void remember(runner *child)
{
    uint32_t at = child->recent_count++ % CONTEXT;
    shoal_sim__free(child->recent[at]);
    child->recent[at] = entry_line(child);
}

static bool same(const runner *a, const runner *b)
{
    if (a->over || b->over) return a->over && b->over;
    return a->size == b->size && memcmp(a->head, b->head, FRAME_HEAD) == 0 &&
           memcmp(a->bytes, b->bytes, a->size) == 0;
}

static void show(const runner *child, int which)
{
    printf("  run %d (%s)\n", which + 1, perturbations[which].words);
    uint32_t count = child->recent_count < CONTEXT ? child->recent_count : CONTEXT;
    for (uint32_t i = child->recent_count - count; i < child->recent_count; i++) {
        printf("      %s\n", child->recent[i % CONTEXT]);
    }
    char *line = entry_line(child);
    printf("   -> %s\n", line);
    shoal_sim__free(line);
}

/* Stops listening, so that a child that still writes ends too. */
static void hang_up(runner *child)
{
    if (child->file) fclose(child->file);
    child->file = NULL;
}

/* True when the child came to the end of its run, whatever the verdict. */
static bool end_runner(runner *child)
{
    int status = 0;
    if (child->process > 0) waitpid(child->process, &status, 0);
    for (uint32_t i = 0; i < CONTEXT; i++) shoal_sim__free(child->recent[i]);
    shoal_sim__free(child->bytes);
    return WIFEXITED(status) && WEXITSTATUS(status) != SHOAL_EXIT_UNUSABLE;
}

/* Compares two runs entry by entry; the exit code. */
static int compare(runner *children, const char *file)
{
    uint64_t entries = 0;
    for (;; entries++) {
        next_entry(&children[0]);
        next_entry(&children[1]);
        if (!same(&children[0], &children[1])) break;
        if (children[0].over) {
            printf("%s: %" PRIu64 " entries the same in both runs: %s\n", file, entries,
                   entries > 0 ? "deterministic" : "but a run without entries proves nothing");
            return entries > 0 ? SHOAL_EXIT_HELD : SHOAL_EXIT_UNUSABLE;
        }
        remember(&children[0]);
        remember(&children[1]);
    }
    printf("%s: NOT DETERMINISTIC: entry %" PRIu64 " is the first that differs\n", file,
           entries + 1);
    show(&children[0], 0);
    show(&children[1], 1);
    return SHOAL_EXIT_VIOLATED;
}

static int verify_file(const shoal_arguments *arguments, const char *file)
{
    runner children[2] = {{0}, {0}};
    int code = SHOAL_EXIT_UNUSABLE;
    bool started = start_runner(&children[0], arguments, file, 0) &&
                   start_runner(&children[1], arguments, file, 1);
    if (started)
        code = compare(children, file);
    else
        fprintf(stderr, "shoal-sim: cannot start a run: %s\n", strerror(errno));
    hang_up(&children[0]);
    hang_up(&children[1]);
    bool whole = end_runner(&children[0]);
    whole = end_runner(&children[1]) && whole;
    if (whole || code != SHOAL_EXIT_HELD) return code;
    printf("%s: but the runs did not come to their end\n", file);
    return SHOAL_EXIT_UNUSABLE;
}

int shoal_program__verify(const shoal_arguments *arguments)
{
    int worst = SHOAL_EXIT_HELD;
    for (uint32_t i = 0; i < arguments->file_count; i++) {
        int code = verify_file(arguments, arguments->files[i]);
        if (code > worst) worst = code;
    }
    return worst;
}
