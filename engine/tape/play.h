/* SPDX-License-Identifier: MIT
 *
 * tape/play.h - the inside of a playback, shared by play.c and play_host.c only.
 */
#ifndef SHOAL_TAPE_PLAY_H
#define SHOAL_TAPE_PLAY_H

#include "tape/code.h"

/* Operations on files that the cluster has under way at most. Chosen: it has three. */
#define PLAY_FILES_MAX 16u

/* A link that the cluster knows. */
typedef struct play_link {
    shoal_link id;
    bool up;
} play_link;

/* An operation on a file whose end is to come. */
typedef struct play_file {
    shoal_file file;
    shoal_file_op op;
    uint64_t tag;
} play_file;

/* A playback. */
struct shoal_playback {
    shoal_allocator allocator;
    shoal_playback_options options;
    shoal_playback_state state;
    /* The file. */
    size_t at;              /* of the frame that comes next */
    uint32_t number;        /* of that frame */
    shoal_tape_coder coder; /* what is left of the present one */
    tape_head head;
    /* The node. */
    shoal_host host;
    shoal_cluster *cluster;
    tape_step step;
    shoal_time last;
    shoal_cluster_replication replication;
    bool told;
    uint32_t result;
    bool begun;       /* the first step has been told */
    bool unclaimed;   /* the step's event has not gone to the cluster */
    bool blind;       /* the recording ends inside the present input: nothing is compared */
    uint8_t item;     /* that is being played */
    uint64_t made_up; /* links that were never opened */
    /* What the host's rules allow. */
    play_link *links;
    uint32_t link_count, link_capacity;
    play_file files[PLAY_FILES_MAX];
    uint32_t file_count;
    /* Room. */
    shoal_buffer rooms[2], reply, trouble;
    char why[TAPE_NAME_MAX + 1];
    shoal_playback_facts facts;
};

/* ---- play_host.c ---- */

/* The host that compares. */
shoal_host shoal_tape__play_host(shoal_playback *playback);
/* The cluster knows this link; NULL when it does not. */
play_link *shoal_tape__play_link(shoal_playback *playback, shoal_link id);
/* It gets to know one. False without memory. */
SHOAL_MUST_USE bool shoal_tape__play_link_add(shoal_playback *playback, shoal_link id, bool up);
/* It forgets it; one that it does not know is no error. */
void shoal_tape__play_link_drop(shoal_playback *playback, shoal_link id);
/* Compares the end of an input with what was recorded. */
void shoal_tape__play_finish(shoal_playback *playback, uint64_t extra);

/* ---- play.c ---- */

/* Tells a trace record to who listens. */
void shoal_tape__play_entry(shoal_playback *playback, const shoal_trace_record *record);
/* Nothing of the frame is left, and nothing whole behind it. */
bool shoal_tape__play_is_last(shoal_playback *playback);
/* Ends it, with the place and then these words as the trouble. */
void shoal_tape__play_stop(shoal_playback *playback, shoal_playback_state state, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));

#endif
