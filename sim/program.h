/* SPDX-License-Identifier: MIT
 *
 * sim/program.h - what the files of the program shoal-sim share: one function for each of its
 * commands, and the things that several of them do. Here and in sim/live, and nowhere else in
 * sim/, are files, the clock on the wall, sockets and child processes.
 *
 * One thread.
 */
#ifndef SHOAL_SIM_PROGRAM_H
#define SHOAL_SIM_PROGRAM_H

#include <stdio.h>

#include "sim/schedule.h"
#include "sim/world.h"

/* Exit codes. */
enum { SHOAL_EXIT_HELD = 0, SHOAL_EXIT_VIOLATED = 1, SHOAL_EXIT_UNUSABLE = 2 };

/* What the command line says. */
typedef struct shoal_arguments {
    const char *program; /* how it was called */
    const char **files;  /* what is no option */
    uint32_t file_count;
    bool has_seed;
    uint64_t seed;
    uint32_t profile;       /* --profile, a shoal_profile; 0: the schedule's first */
    const char *trace_file; /* --trace, or NULL */
    const char *record;     /* --record: a folder for recordings of the nodes, or NULL */
    const char *until;      /* --until: where a replay stops, or NULL */
    bool has_seeds;
    uint64_t seeds[2];   /* --seeds A..B, both included */
    uint32_t jobs;       /* --jobs; 0: as many as there are processors */
    uint32_t budget;     /* --budget: runs of `shrink`; 0: its own */
    const char *out;     /* --out: a folder for `sweep`, a file for others; or NULL */
    const char *promise; /* --check: the promise to keep broken, or NULL */
    bool merge;          /* add up what sweeps have written */
    bool keep_going;     /* a sweep runs all its seeds, whatever breaks */
    bool wire;           /* frames of the bus as bytes, not as values */
    bool reckless;       /* faults may take the last good copy of a slot */
    bool json;
    bool narrate;
    bool text;       /* every trace entry as a line */
    bool quiet;      /* no report */
    bool parameters; /* generate: only tell what the file takes */
    bool write;      /* fmt: put the result into the file */
    int32_t poison;  /* of the nodes' memory, -1: none */
    int32_t stream;  /* file descriptor for `verify`'s children, -1: none */
    /* of `live` */
    const char *servers[8]; /* --server */
    uint32_t server_count;
    uint32_t runs;    /* --runs: live ones of each server and profile; 0: its own */
    const char *plot; /* --plot: where the picture goes, or NULL */
    bool strict;      /* everything must be played as it is written */
} shoal_arguments;

/* The commands; each returns an exit code. */
int shoal_program__replay(const shoal_arguments *arguments);
int shoal_program__run(const shoal_arguments *arguments);
int shoal_program__verify(const shoal_arguments *arguments);
int shoal_program__generate(const shoal_arguments *arguments);
int shoal_program__fmt(const shoal_arguments *arguments);
int shoal_program__list(const shoal_arguments *arguments);
int shoal_program__words(const shoal_arguments *arguments);
int shoal_program__bless(const shoal_arguments *arguments);
int shoal_program__golden(const shoal_arguments *arguments);
int shoal_program__sweep(const shoal_arguments *arguments);
int shoal_program__shrink(const shoal_arguments *arguments);
int shoal_program__live(const shoal_arguments *arguments);

/* Reads a schedule from a file, `-` for standard input. On a failure says why on standard error,
 * as FILE:LINE:COLUMN: message, and returns false. */
bool shoal_program__load(const char *path, shoal_schedule *out);
/* Is it a generator, by its name? */
bool shoal_program__is_generator(const char *path);
/* What a run needs: reads a schedule, or lets a generator write it, files[0] either, with
 * `name=value` behind it for a generator's parameters; puts it into --out, if that is said. On a
 * failure says why on standard error and returns false. */
bool shoal_program__prepare(const shoal_arguments *arguments, shoal_schedule *out);
/* Reads a whole file; the text, with a zero behind it, or NULL after a complaint. Owned by the
 * caller (shoal_sim__free). */
char *shoal_program__read(const char *path, size_t *size);
/* A world for a schedule by the arguments. */
shoal_world *shoal_program__world(const shoal_arguments *arguments, const shoal_schedule *schedule);

/* The last lines of a run. */
typedef struct shoal_report {
    const char *file;
    const shoal_arguments *arguments;
    const shoal_world_result *result;
    int64_t wall_us;
    int64_t cpu_us;     /* of the process in user and system mode, for the run alone */
    int64_t memory_kib; /* the most that the process had resident, ever */
} shoal_report;
void shoal_program__report_text(const shoal_report *report, FILE *out);
void shoal_program__report_json(const shoal_report *report, FILE *out);

/* Writes a text with the quotes and escapes of JSON. */
void shoal_program__json_text(FILE *out, const char *text);

/* ---- listeners ---- */

/* Writes a trace file. */
typedef struct shoal_recorder {
    FILE *file;
    shoal_allocator memory;
    shoal_buffer buffer;
    bool failed;
} shoal_recorder;
bool shoal_recorder__open(shoal_recorder *recorder, const char *path);
void shoal_recorder__take(void *context, const shoal_trace_entry *entry);
/* False when something could not be written. */
bool shoal_recorder__close(shoal_recorder *recorder);

/* Writes recordings of nodes into a folder that is there: n1-1.rec, and so on. */
typedef struct shoal_tape_writer shoal_tape_writer;
shoal_tape_writer *shoal_tape_writer__make(const char *folder);
/* A shoal_world_taker. */
void shoal_tape_writer__take(void *context, uint32_t node, uint32_t start, shoal_slice bytes);
/* Closes the files; false when something could not be written. */
bool shoal_tape_writer__close(shoal_tape_writer *writer);

/* Tells the story of a run in plain words. */
typedef struct shoal_narrator shoal_narrator;
shoal_narrator *shoal_narrator__make(FILE *out);
void shoal_narrator__take(void *context, const shoal_trace_entry *entry);
void shoal_narrator__free(shoal_narrator *narrator);

/* Streams every entry to a file descriptor, for `verify`: see sim/verify.c. */
typedef struct shoal_streamer shoal_streamer;
shoal_streamer *shoal_streamer__make(int descriptor);
/* Whose events are counted beside the entries. */
void shoal_streamer__watch(shoal_streamer *streamer, const shoal_world *world);
void shoal_streamer__take(void *context, const shoal_trace_entry *entry);
void shoal_streamer__free(shoal_streamer *streamer);

#endif
