/* SPDX-License-Identifier: MIT
 *
 * sim/logbook.h - what each node has done, in the order in which it did it: the stream of its
 * effects as the node tells it, and what of that its disk has. The judge reads both by itself, as
 * the bytes pass: nodes of one history must tell the same bytes at the same places; a write that
 * was acknowledged as durable must stand in a file that was synced; a node that starts from its
 * disk must have the data of one place in its own stream, not before what was durable.
 *
 * Inside the world only; its thread.
 */
#ifndef SHOAL_SIM_LOGBOOK_H
#define SHOAL_SIM_LOGBOOK_H

#include <shoal/node.h>

#include "wire/resp.h"

typedef struct shoal_world shoal_world;

/* Bytes of a stream that are compared as one. Chosen: a few effects. */
#define SHOAL_LOGBOOK_BLOCK 256u
/* Files of effects that are followed at once: two, while one is rewritten. */
#define SHOAL_LOGBOOK_FILES 4u

/* What an effect did to a key that clients write: `serial` is there then, 0: nothing is. */
typedef struct shoal_effect {
    uint32_t key;
    uint32_t serial;
} shoal_effect;

/* Reads effects from bytes that come in pieces. Zero is a start. */
typedef struct shoal_scanner {
    shoal_buffer rest;     /* the beginning of a command */
    shoal_request request; /* the parser over it */
    bool made;
    bool odd; /* something was changed in a way that it cannot follow */
} shoal_scanner;

/* Is told of each effect; borrowed for the call. */
typedef void (*shoal_effect_sink)(void *context, const shoal_effect *effect);
/* Reads on. Keys are those of `world` with numbers below its limit. */
void shoal_scanner__take(shoal_scanner *scanner, shoal_world *world, shoal_slice bytes,
                         shoal_effect_sink sink, void *context);
/* Forgets what it has begun to read, and gives back what that took. */
void shoal_scanner__free(shoal_scanner *scanner);

/* A file of effects, as far as it was synced and read. */
typedef struct shoal_logbook_file {
    uint64_t name; /* hash; 0: none */
    size_t read;
    size_t whole; /* read, when the disk was last well: what comes behind may be cut off */
    uint32_t whole_durable; /* effects that were durable then */
    shoal_scanner scanner;
} shoal_logbook_file;

/* What is known of one node. */
typedef struct shoal_logbook {
    /* The stream. */
    bool follows; /* from `at` on, in `history` */
    char history[41];
    uint64_t at;
    char block[SHOAL_LOGBOOK_BLOCK]; /* the beginning of the present block */
    bool block_whole;                /* from its first byte on */
    /* The effects since the data were `base`. */
    bool known;
    bool rewrites;      /* its append-only file, now */
    int64_t rewrote_us; /* and when it has last ended that */
    bool bare;          /* its data were replaced, and no file of them is there yet */
    int64_t based_us;   /* the last rewrite that ended that began then */
    int64_t filed_us;   /* and ended then; 0: none has */
    uint32_t *base;     /* per key, the serial; NULL: nothing */
    shoal_effect *effects;
    uint32_t effect_count, effect_capacity;
    uint32_t durable; /* so many of them stand in synced files */
    shoal_scanner scanner;
    shoal_logbook_file files[SHOAL_LOGBOOK_FILES];
} shoal_logbook;

/* A block of a history that some node has told. */
typedef struct shoal_told {
    uint64_t name; /* of the history and the block; 0: none */
    uint64_t hash;
} shoal_told;

/* All nodes. */
typedef struct shoal_logbooks {
    shoal_logbook *of; /* per node */
    shoal_told *told;  /* blocks; the newest of those that share a place */
    bool restarts;     /* the schedule ends processes: what they come back with is judged */
} shoal_logbooks;

/* Makes what a world needs, and gives it back. */
void shoal_logbook__make(shoal_world *world);
void shoal_logbook__free(shoal_world *world);

/* A process is ready: its stream is followed from where it is. */
void shoal_logbook__begin(shoal_world *world, uint32_t node);
/* A step or a round of a node is over: reads what it has added to its stream. */
void shoal_logbook__follow(shoal_world *world, uint32_t node);
/* Bytes of `history` at `offset`, which must be where the last ones ended, or a new place. */
void shoal_logbook__bytes(shoal_world *world, uint32_t node, const char history[41],
                          uint64_t offset, shoal_slice bytes);
/* Checks that replicas are not ahead of their masters. */
void shoal_logbook__beat(shoal_world *world);

/* A sync of a node's disk is over: reads what files of effects have durably now. */
void shoal_logbook__synced(shoal_world *world, uint32_t node);
/* A process goes on with the files of its disk, of which the load may have cut a torn end. */
void shoal_logbook__reopen(shoal_world *world, uint32_t node);
/* A process has its data: those of its disk, where it has started before. */
void shoal_logbook__loaded(shoal_world *world, uint32_t node);
/* A line of a node's log: a rewrite of its append-only file begins, or ends. */
void shoal_logbook__says(shoal_world *world, uint32_t node, shoal_slice words);
/* Looks at all data of a node that was lost sight of, if they are in order now. */
void shoal_logbook__look(shoal_world *world, uint32_t node);
/* Its data were replaced, its disk was lost: nothing is known of it until it is looked at again. */
void shoal_logbook__forget(shoal_world *world, uint32_t node);
/* Which places in the effects of a node have led to these data, per key: the last of them, or
 * UINT32_MAX when there is none. `expires` says of which keys nothing can be known. */
uint32_t shoal_logbook__place(const shoal_logbook *logbook, const uint32_t *data, uint32_t keys,
                              const bool *expires);

/* The number behind a point of a value that a client wrote, and of a name `key:N`; false when it is
 * none. */
bool shoal_logbook__serial(shoal_slice value, uint32_t *serial);
bool shoal_logbook__key(shoal_slice name, uint32_t limit, uint32_t *key);

#endif
