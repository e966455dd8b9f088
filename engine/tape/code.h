/* SPDX-License-Identifier: MIT
 *
 * tape/code.h - what stands in the frames of a recording, shared by this room's files. Every
 * structure has one function for both directions, so that what is written is what is read.
 *
 * A recording is a stream of items, cut into frames between items. An item is a byte that says
 * which and its fields. Items that are inputs of the cluster's state machine are followed by what
 * it asked for meanwhile: operations, each a byte and its fields, then END_OPS with a hash of what
 * can be seen of the state, or END_OPS_SAME where that hash is as before.
 */
#ifndef SHOAL_TAPE_CODE_H
#define SHOAL_TAPE_CODE_H

#include <shoal/tape.h>

#include "cluster/cluster.h"

/* The file's header, and that of a frame. */
#define TAPE_VERSION 1u
#define TAPE_HEADER_SIZE 16u
#define TAPE_FRAME_HEAD 8u
/* The largest frame, and the longest bytes in one. Chosen: above any nodes.conf. */
#define TAPE_FRAME_MAX (1u << 27)
#define TAPE_BYTES_MAX (1u << 26)
/* Words of a command at most; chosen as far above any. */
#define TAPE_WORDS_MAX (1u << 20)
/* Bytes of the texts in a head. */
#define TAPE_NAME_MAX 255u

/* Items. */
typedef enum tape_item {
    TAPE_HEAD = 1, /* the first, once */
    TAPE_STEP,     /* a step of the control actor begins, with its event */
    TAPE_NOTE,     /* a trace record of another room */
    TAPE_DIGEST,   /* of the cluster's whole state */
    TAPE_ENDED,    /* the last */
    /* Inputs, each followed by operations. */
    TAPE_CREATE = 16,
    TAPE_INIT,
    TAPE_LOAD,
    TAPE_SET,
    TAPE_EVENT, /* the event of the step */
    TAPE_TICK,
    TAPE_COMMAND,
    TAPE_FACTS,
    TAPE_FACTS_SAME, /* as those before */
    TAPE_PUBLISH,
    TAPE_LOST,
    TAPE_HANDOVER,
    TAPE_TELL,
    TAPE_ITEM_COUNT
} tape_item;

/* What is asked for. */
typedef enum tape_op_kind {
    TAPE_END_OPS = 0,
    TAPE_END_OPS_SAME,
    TAPE_OP_NUDGE,
    TAPE_OP_LINK_OPEN,
    TAPE_OP_LINK_SEND,
    TAPE_OP_LINK_QUEUED,
    TAPE_OP_LINK_CLOSE,
    TAPE_OP_FILE_NAME,
    TAPE_OP_FILE_APPEND,
    TAPE_OP_FILE_SYNC,
    TAPE_OP_FILE_READ,
    TAPE_OP_FILE_READ_PART,
    TAPE_OP_FILE_TRUNCATE,
    TAPE_OP_FILE_RENAME,
    TAPE_OP_FILE_REMOVE,
    TAPE_OP_TRACE,
    TAPE_OP_COUNT
} tape_op_kind;

/* One operation: two numbers that people can read, and a hash of everything about it. */
typedef struct tape_op {
    uint8_t kind;    /* tape_op_kind */
    uint64_t a, b;   /* link and size; file and tag; kind of record and size of its text */
    uint32_t hash;   /* of the bytes or the text; 0 where there are none */
    uint64_t answer; /* of LINK_OPEN and LINK_QUEUED: what the host returned */
} tape_op;

/* The head. */
typedef struct tape_head {
    shoal_slice build, place;
    uint64_t seed[2];
    shoal_time created;
    uint64_t workers;
    uint16_t port, bus_port; /* as configured; bus_port 0: by its port */
    bool queued;             /* the host answers link_queued */
} tape_head;

/* A step. Of the event's data only the size is kept. */
typedef struct tape_step {
    shoal_event event;
    uint64_t data_size;
} tape_step;

/* A call of a CLUSTER subcommand without its words. */
typedef struct tape_call {
    uint64_t argc;
    shoal_address local;
    uint64_t keys, keys_in_slot;
    uint8_t protocol;
} tape_call;

/* ---- the coder ---- */

/* Writes to `out`, or reads from `in` where that is NULL. What was read badly is zero, and so is
 * all that is read behind it. */
typedef struct shoal_tape_coder {
    shoal_buffer *out;
    shoal_slice in;
    bool bad;
} shoal_tape_coder;

/* Plain values: a byte; any number, in 1 to 10 bytes; the same with a sign; four bytes; eight. */
void shoal_tape__byte(shoal_tape_coder *coder, uint8_t *value);
void shoal_tape__number(shoal_tape_coder *coder, uint64_t *value);
void shoal_tape__signed(shoal_tape_coder *coder, int64_t *value);
void shoal_tape__word(shoal_tape_coder *coder, uint32_t *value);
void shoal_tape__long(shoal_tape_coder *coder, uint64_t *value);
/* True and false in a byte. */
void shoal_tape__flag(shoal_tape_coder *coder, bool *value);
/* Numbers that have less room: what does not fit is bad. */
void shoal_tape__short(shoal_tape_coder *coder, uint16_t *value);
void shoal_tape__int(shoal_tape_coder *coder, int *value);
/* Bytes with their size, at most `most`; read ones borrow from the input. */
void shoal_tape__bytes(shoal_tape_coder *coder, shoal_slice *bytes, size_t most);
/* A text in an array of `room` bytes, ended by a zero; the rest of the array is zero. */
void shoal_tape__chars(shoal_tape_coder *coder, char *text, size_t room);
/* Bytes in which runs of one byte are put together; read ones are in `room`, which is emptied
 * first. Bad when there is no memory. */
void shoal_tape__packed(shoal_tape_coder *coder, shoal_slice *bytes, shoal_buffer *room);

/* The structures. Times are differences to `last`, which is moved. */
void shoal_tape__head(shoal_tape_coder *coder, tape_head *head);
void shoal_tape__step_fields(shoal_tape_coder *coder, tape_step *step, shoal_time *last);
void shoal_tape__settings(shoal_tape_coder *coder, shoal_cluster_settings *settings);
void shoal_tape__facts(shoal_tape_coder *coder, shoal_cluster_replication *facts,
                       const shoal_cluster_replication *before);
void shoal_tape__call(shoal_tape_coder *coder, tape_call *call);
void shoal_tape__record(shoal_tape_coder *coder, shoal_trace_record *record);
/* All of an operation but its kind, which is known. */
void shoal_tape__op_fields(shoal_tape_coder *coder, tape_op *op);

/* ---- hashes: cover.c ---- */

/* The operations as both sides make them from their arguments. */
tape_op shoal_tape__op_bytes(tape_op_kind kind, uint64_t a, uint64_t b, shoal_slice bytes);
tape_op shoal_tape__op_address(const shoal_address *peer);
tape_op shoal_tape__op_trace(const shoal_trace_record *record);
/* Appends the operation in words. */
void shoal_tape__op_text(const tape_op *op, shoal_buffer *out);

/* What others can see of the state behind an input; `extra` is what the input itself came to. */
uint32_t shoal_tape__result(const shoal_cluster *cluster, uint64_t extra);
/* Such an extra: a number, and bytes. */
uint64_t shoal_tape__extra(uint64_t number, shoal_slice bytes);
/* The check of a frame. */
uint32_t shoal_tape__check(shoal_slice body, uint32_t number);

#endif
