/* SPDX-License-Identifier: MIT
 *
 * shoal/host.h - the door between a node and its world. The engine does no I/O: it asks for it
 * through the operations of a `shoal_host`, and learns what came of it from events passed to
 * shoal_node_step. Two worlds implement the door: node/ (epoll, threads, files) and sim/
 * (virtual clock, network and disk). Neither the engine nor its users can tell them apart.
 *
 * Rules that every host keeps, and that tests/host checks on both:
 *   R1  An operation never calls back into the node; what follows from it is a later event.
 *   R2  Bytes given to an operation are borrowed for the call; bytes in an event, for the step.
 *   R3  Events of a link come in order and LINK_DOWN is the last one; sent bytes arrive in the
 *       order sent, or the link goes down.
 *   R4  FILE_DONE events of one file come in the order of submission; a sync covers every
 *       append submitted before it; nothing else is durable. Only the failure of an append with
 *       tag 0 may be told before older operations that are still under way.
 *   R5  The step of one node never runs on two threads at once.
 *
 * A host that runs nodes of one process on one thread may pass frames of their bus on as values,
 * parcels, instead of bytes: see link_hand and the end of this file. What happens is the same.
 *
 * Not here, on purpose: a clock that logic could ask (time is an argument; clock_ns only measures),
 * timers (a step returns the earliest stored deadline), random numbers (a seed at creation),
 * threads, paths, file descriptors, and return codes of sends (a failure is an event).
 */
#ifndef SHOAL_HOST_H
#define SHOAL_HOST_H

#include <shoal/trace.h>
#include <shoal/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A bus connection. Chosen by the host, never 0, never reused in the life of a node. */
typedef uint64_t shoal_link;

/* Numeric address (IPv4 or IPv6 text, terminated by zero) and TCP port. An empty `ip` means
 * unknown. All bytes after the terminator are zero. */
typedef struct shoal_address {
    char ip[46];
    uint16_t port;
} shoal_address;

/* A frame of the bus as a value, and what the nodes of one process share so that they can hand
 * such values to each other. */
typedef struct shoal_parcel shoal_parcel;
typedef struct shoal_exchange shoal_exchange;

/* Who can be nudged: SHOAL_ACTOR_CONTROL, or 1 + i for worker i. */
typedef uint32_t shoal_actor;
/* The control actor of a node. */
#define SHOAL_ACTOR_CONTROL 0u

/* A file of the node: a role, not a path. The host maps roles to names below its directory:
 * NODES is `cluster-config-file`, NODES_NEW the same with ".tmp" added, CONFIG the file that the
 * node was started from, CONFIG_NEW its replacement during CONFIG REWRITE. Numbers from NAMED on,
 * below LIMIT, are the node's to bind to names: file_name. */
typedef enum shoal_file {
    SHOAL_FILE_NODES = 1,
    SHOAL_FILE_NODES_NEW = 2,
    SHOAL_FILE_CONFIG = 3,
    SHOAL_FILE_CONFIG_NEW = 4,
    SHOAL_FILE_COUNT = 5,
    SHOAL_FILE_NAMED = 16,
    SHOAL_FILE_LIMIT = 64
} shoal_file;

/* The longest path of a named file, in bytes. */
#define SHOAL_FILE_PATH_MAX 255u

/* What a FILE_DONE event is the end of. */
typedef enum shoal_file_op {
    SHOAL_FILE_APPEND = 1,
    SHOAL_FILE_SYNC = 2,
    SHOAL_FILE_READ = 3,
    SHOAL_FILE_RENAME = 4,
    SHOAL_FILE_REMOVE = 5,
    SHOAL_FILE_TRUNCATE = 6
} shoal_file_op;

/* The operations. `context` is passed back as the first argument. All but nudge, trace, busy, and
 * file_append and file_sync of a named file are called only from inside shoal_node_step, on its
 * thread; those five from any thread that runs the node or one of its workers. `tag` comes back in
 * the FILE_DONE event. An operation of a number that was never bound fails with
 * SHOAL_ERR_INVALID. */
typedef struct shoal_host {
    void *context;
    /* Makes the actor run soon: NUDGED for control, a begin/end round for a worker. Nudges may
     * be merged; one sent while the actor runs leads to one more run. */
    void (*nudge)(void *context, shoal_actor actor);
    /* Starts to connect to a peer's bus port. LINK_UP or LINK_DOWN follows. */
    shoal_link (*link_open)(void *context, const shoal_address *peer);
    /* Queues bytes behind those sent before. Sends to a link that is not up, or has gone down,
     * are dropped silently: the event is on its way. */
    void (*link_send)(void *context, shoal_link link, shoal_slice bytes);
    /* Optional, with `exchange`: queues a frame behind what was sent before, as link_send queues
     * its bytes, of which there are shoal_parcel_size. Takes one reference over. */
    void (*link_hand)(void *context, shoal_link link, shoal_parcel *take);
    shoal_exchange *exchange;
    /* Optional: bytes given to link_send that the link still holds; 0 for one that is not there. */
    size_t (*link_queued)(void *context, shoal_link link);
    /* Optional: while a link is paused its bytes stay where they are, with the transport, which
     * holds the sender up: no LINK_DATA of it comes until the pause is ended. LINK_DOWN may come,
     * and then bytes that were not delivered are lost; an end that the peer sent behind such bytes
     * may be noticed only when these have been taken. What is sent goes out as ever. Of a link that
     * is not up it does nothing. */
    void (*link_pause)(void *context, shoal_link link, bool paused);
    /* Ends a link. LINK_DOWN with SHOAL_ERR_CLOSED follows; no other event of it does. */
    void (*link_close)(void *context, shoal_link link);
    /* Binds a number from SHOAL_FILE_NAMED on to a path relative to the node's directory, until
     * it is bound anew; only while no operation of that number is under way. Two numbers must
     * not be bound to one path while both are used. Folders on the way are made by the first
     * append. A path that is empty, absolute, too long, or has ".." or an empty part in it binds
     * the number to nothing: its operations fail with SHOAL_ERR_INVALID. */
    void (*file_name)(void *context, shoal_file file, shoal_slice path);
    /* Adds bytes at the end of the file, creating it. One that fails may leave some of the bytes
     * at the end; the node truncates them. Of a named file by any thread, one at a time for each
     * file: the node sees to that. An append to it with tag 0 tells of failures only, and its
     * bytes may be written before the call returns: for who would rather wait for the system
     * than queue. With another tag the caller never waits. Behind an append that failed, those
     * with tag 0 fail too and leave nothing, until the file is truncated, removed or replaced, or
     * the number bound anew: so the file has a beginning of what was appended, and no gap. */
    void (*file_append)(void *context, shoal_file file, shoal_slice bytes, uint64_t tag);
    /* Makes every append submitted before durable. Of a named file by any thread, as file_append:
     * who asks has submitted, or has seen submitted, what is to become durable. */
    void (*file_sync)(void *context, shoal_file file, uint64_t tag);
    /* Reads the whole file; FILE_DONE carries the bytes, or SHOAL_ERR_NOT_FOUND. */
    void (*file_read)(void *context, shoal_file file, uint64_t tag);
    /* Reads up to `size` bytes from `offset` on, at least 1; FILE_DONE (of op READ) carries what
     * is there, fewer or none at the end of the file, and how large the whole is; or
     * SHOAL_ERR_NOT_FOUND. */
    void (*file_read_part)(void *context, shoal_file file, uint64_t offset, size_t size,
                           uint64_t tag);
    /* Cuts the file at `size` bytes; SHOAL_ERR_NOT_FOUND without it, SHOAL_ERR_INVALID where it
     * is shorter. Durable with the next sync. */
    void (*file_truncate)(void *context, shoal_file file, uint64_t size, uint64_t tag);
    /* Replaces `to` by `from` in one step and makes the names durable. Ordered as an operation
     * of both files. */
    void (*file_rename)(void *context, shoal_file from, shoal_file to, uint64_t tag);
    /* Removes the file; one that is not there is no error. */
    void (*file_remove)(void *context, shoal_file file, uint64_t tag);
    /* Takes one trace record, borrowed for the call. The host adds time and node. */
    void (*trace)(void *context, const shoal_trace_record *record);
    /* Optional: the monotonic clock of this moment in nanoseconds, positive. It decides nothing; it
     * only tells how long commands took (SLOWLOG, LATENCY, INFO). Without it nothing is measured.
     * From any thread that runs the node or one of its workers. */
    int64_t (*clock_ns)(void *context);
    /* Optional: the node does nothing until then (monotonic, microseconds), as if one command took
     * so long: no step and no round of a worker begins, and what comes waits. It begins behind what
     * is under way, and behind nudges sent before it. From any thread that runs the node or one of
     * its workers. */
    void (*busy)(void *context, int64_t until_us);
} shoal_host;

/* Event kinds. START is the first, once. TICK means that a deadline returned by the last step
 * has come. LINK_FULL: more is queued on a link than the host likes; LINK_ROOM ends that. */
typedef enum shoal_event_kind {
    SHOAL_EVENT_START = 1,
    SHOAL_EVENT_TICK,
    SHOAL_EVENT_NUDGED,
    SHOAL_EVENT_LINK_UP,
    SHOAL_EVENT_LINK_DATA,
    SHOAL_EVENT_LINK_FULL,
    SHOAL_EVENT_LINK_ROOM,
    SHOAL_EVENT_LINK_DOWN,
    SHOAL_EVENT_FILE_DONE
} shoal_event_kind;

/* One event. Fields not named for its kind are zero. */
typedef struct shoal_event {
    shoal_event_kind kind;
    shoal_time now;             /* all kinds: the node's clocks at this moment */
    shoal_link link;            /* LINK_*: which */
    bool accepted;              /* LINK_UP: the peer opened it (first event of that link) */
    shoal_address peer;         /* LINK_UP: the other end, as the transport sees it */
    shoal_address local;        /* LINK_UP: this end, as the transport sees it */
    shoal_slice data;           /* LINK_DATA: the bytes. FILE_DONE of a read: the content */
    const shoal_parcel *parcel; /* LINK_DATA: a whole frame instead of bytes; NULL: bytes */
    uint64_t file_size;         /* FILE_DONE of file_read_part: bytes of the whole file */
    shoal_err error;            /* LINK_DOWN, FILE_DONE: why, 0 for success */
    shoal_file file;            /* FILE_DONE: which (`from` of a rename) */
    shoal_file_op op;           /* FILE_DONE: what ended */
    uint64_t tag;               /* FILE_DONE: as submitted */
} shoal_event;

/* ---- parcels; all on the one thread of their nodes ---- */

/* Makes what nodes of one process share, NULL without memory. The allocator is copied. */
shoal_exchange *shoal_exchange_make(const shoal_allocator *allocator);
/* Ends it, when the nodes and all parcels are gone. NULL does nothing. */
void shoal_exchange_free(shoal_exchange *exchange);
/* How many bytes the frame has on a wire. */
uint32_t shoal_parcel_size(const shoal_parcel *parcel);
/* Its type there: 0 PING, 1 PONG, 2 MEET. */
uint32_t shoal_parcel_type(const shoal_parcel *parcel);
/* Appends these bytes, for a host that needs them after all. False without memory. */
bool shoal_parcel_bytes(const shoal_parcel *parcel, shoal_buffer *out);
/* Gives a reference back. */
void shoal_parcel_release(shoal_parcel *parcel);

#ifdef __cplusplus
}
#endif

#endif
