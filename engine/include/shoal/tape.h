/* SPDX-License-Identifier: MIT
 *
 * shoal/tape.h - the flight recorder: what enters a node's control actor, as a file, and that file
 * run through the same code again. While a node is recorded it gives every event of its steps, and
 * everything that enters the state machine of the cluster (bus, failure detection, elections,
 * nodes.conf, timers), to a sink; with it goes what that state machine asked for, as hashes. A
 * playback makes the same state machine again, gives it the same, and compares what it asks for
 * now. docs/decisions/flight-recorder.md says what is exact, what is not, and why.
 *
 * File format, integers little-endian: 16 bytes "SHOALREC", u32 version (1), u32 zero; then frames:
 * u32 size | u32 check | that many bytes. The check is the low half of XXH3-64 of the bytes under
 * the frame's number (0, 1, ...). A file that is cut anywhere is good up to its last whole frame.
 *
 * Threads: recording belongs to the thread that steps the node; a playback to one thread.
 */
#ifndef SHOAL_TAPE_H
#define SHOAL_TAPE_H

#include <shoal/host.h>
#include <shoal/trace.h>
#include <shoal/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The node that is recorded: shoal/node.h. */
struct shoal_node;

/* ---- recording ---- */

/* Where a recording goes, and what stands at its beginning. */
typedef struct shoal_tape_options {
    void *context;
    /* Takes the next bytes of the file, borrowed for the call. Called inside steps; it must not
     * call the node. */
    void (*take)(void *context, shoal_slice bytes);
    shoal_slice build; /* which program and version it is; at most 255 bytes */
    shoal_slice place; /* where it runs, for people, "10.0.0.1"; at most 255 bytes */
} shoal_tape_options;

/* Records `node` from now on. It must have been created and not used but for its configuration.
 * 0, SHOAL_ERR_INVALID when it is too late, or SHOAL_ERR_NO_MEMORY. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_node_record(struct shoal_node *node,
                                                     const shoal_tape_options *options);

/* Ends the recording with a last entry that says why, in at most 255 bytes, and whether the node is
 * `gone` too; `take` is not called afterwards. Nothing happens to a node that is not recorded.
 * Between steps. */
SHOAL_API void shoal_node_record_end(struct shoal_node *node, bool gone, shoal_slice why);

/* Gives to `take` what has not gone there yet, also from inside a step that will not end: for a
 * process that is about to die. The recording ends there. */
SHOAL_API void shoal_node_record_flush(struct shoal_node *node);

/* ---- playback ---- */

/* A recording being run again. */
typedef struct shoal_playback shoal_playback;

/* What to play and who listens. */
typedef struct shoal_playback_options {
    shoal_allocator allocator; /* for all memory of it; copied */
    shoal_slice bytes;         /* the whole file; borrowed as long as the playback lives */
    uint32_t node;    /* index of the node in trace entries, from 0; its label is n<1 + node> */
    int64_t shift_us; /* added to the times of entries, which count from its creation */
    /* Takes each trace entry: those of the cluster as they arise now, the others as recorded. May
     * be NULL. */
    void (*entry)(void *context, const shoal_trace_entry *entry);
    void *context;
} shoal_playback_options;

/* How a playback goes on. */
typedef enum shoal_playback_state {
    SHOAL_PLAYBACK_MORE = 0,
    SHOAL_PLAYBACK_END,     /* all has been played, and nothing was different */
    SHOAL_PLAYBACK_DIFFERS, /* something else was asked for than was recorded; it stops there */
    SHOAL_PLAYBACK_DAMAGED  /* the file cannot be read from here on, or there is no memory */
} shoal_playback_state;

/* What is known of a recording, up to where the playback is. Texts are borrowed as long as the
 * playback lives. */
typedef struct shoal_playback_facts {
    shoal_slice build, place;           /* as recorded */
    shoal_time created;                 /* the node's clocks at its creation */
    shoal_time now;                     /* of the last step */
    uint16_t port, bus_port;            /* 0 before the cluster begins, and without one */
    char name[SHOAL_NODE_NAME_LEN + 1]; /* of the node, "" before it has one */
    uint64_t offset;                    /* of the frame that is being played, in the file */
    uint64_t steps;                     /* of the control actor; the next one has this number */
    uint64_t inputs;                    /* of the cluster's state machine, run again */
    uint64_t asked;                     /* operations and trace records that were compared */
    uint64_t carried;    /* of the inputs, facts that replication told; recorded, not computed */
    uint64_t foreign;    /* steps whose event was not the cluster's: seen, not run again */
    uint64_t notes;      /* trace records of other rooms, as recorded */
    uint64_t digests;    /* of the whole state that were compared */
    uint64_t torn;       /* bytes behind the last whole frame; 0 before the end */
    bool ended;          /* the recording has a last entry */
    bool inside;         /* it ends inside a step: the process died there */
    shoal_slice why;     /* what the last entry says, or empty */
    shoal_slice trouble; /* DIFFERS and DAMAGED: what, and where; else empty */
} shoal_playback_facts;

/* True when a file with these first bytes is a recording of any version. */
SHOAL_API bool shoal_tape_is(shoal_slice bytes);

/* Opens a recording: its head is read. On a failure `complaint` says why and where:
 * SHOAL_ERR_MALFORMED, SHOAL_ERR_TRUNCATED (not even the head is whole), SHOAL_ERR_UNSUPPORTED
 * (another version of the format), SHOAL_ERR_NO_MEMORY. */
SHOAL_API SHOAL_MUST_USE shoal_err shoal_playback_open(const shoal_playback_options *options,
                                                       shoal_buffer *complaint,
                                                       shoal_playback **out);

/* Plays one step of the recorded node. After anything but MORE it changes nothing any more. */
SHOAL_API shoal_playback_state shoal_playback_next(shoal_playback *playback);

/* Fills `*facts`. */
SHOAL_API void shoal_playback_get(const shoal_playback *playback, shoal_playback_facts *facts);

/* Frees it. */
SHOAL_API void shoal_playback_close(shoal_playback *playback);

#ifdef __cplusplus
}
#endif

#endif
