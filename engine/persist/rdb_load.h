/* SPDX-License-Identifier: MIT
 *
 * persist/rdb_load.h - an RDB file back into the store, from parts of its bytes in their order: the
 * dump of a start, the base of an append-only file, a full synchronisation. Nobody else writes to
 * the store meanwhile; readers do no harm. What cannot be kept here (streams, values of modules,
 * libraries of functions) ends the loading with its name: a file is never read by halves.
 *
 * Threads: one at a time, inside a batch for feed.
 */
#ifndef SHOAL_PERSIST_RDB_LOAD_H
#define SHOAL_PERSIST_RDB_LOAD_H

#include "command/crew.h"
#include "rdb/file.h"
#include "store/store.h"

/* How to load. */
typedef struct shoal_rdb_load_options {
    const shoal_allocator *allocator; /* borrowed and outlives it */
    shoal_thread *thread;             /* that feeds */
    shoal_rdb_limits limits;
    uint32_t databases; /* of the store: keys of others are an error */
    bool checksum;
    bool keeps_expired; /* a replica waits for its master's word */
    int64_t now_ms;     /* what has expired by then is left out otherwise */
    shoal_crew *crew;   /* that reads and puts the values; NULL: the thread does it all. It is sent
                           what it has taken at the end of each feed; where it is full the next one
                           should wait, and behind DONE it is to be waited for */
    /* A fact from the file's head; may be NULL. Both slices are borrowed for the call. */
    void (*fact)(void *context, shoal_slice name, shoal_slice value);
    /* A key that is left out because it has expired; may be NULL. Borrowed for the call. */
    void (*expired)(void *context, uint32_t db, shoal_slice name);
    /* A key that is left out because it holds nothing; may be NULL. Borrowed for the call. */
    void (*empty)(void *context, uint32_t db, shoal_slice name);
    void *context;
} shoal_rdb_load_options;

/* How it stands. */
typedef enum shoal_rdb_load_state {
    SHOAL_RDB_LOAD_MORE, /* it needs the next part */
    SHOAL_RDB_LOAD_DONE, /* all is read; what lies behind: shoal_rdb_load_rest */
    SHOAL_RDB_LOAD_BAD,  /* damaged, or holds what cannot be kept: reason, offset */
    SHOAL_RDB_LOAD_NO_MEMORY
} shoal_rdb_load_state;

/* A file that is being loaded. Its fields are to be read. */
typedef struct shoal_rdb_load {
    uint64_t keys_loaded, keys_expired, keys_empty;
    const char *reason; /* of BAD; static */
    uint64_t offset;    /* bytes read: of BAD, where it is bad, or a little before */
    /* Its own. */
    shoal_rdb_load_options options;
    shoal_rdb_load_state state;
    shoal_rdb_decoder decoder;
} shoal_rdb_load;

/* Makes one ready. */
void shoal_rdb_load_open(shoal_rdb_load *load, const shoal_rdb_load_options *options);
/* Takes the next part, all of it. Behind the last part of a file that is not DONE the file ends too
 * early. */
shoal_rdb_load_state shoal_rdb_load_feed(shoal_rdb_load *load, shoal_slice bytes);
/* Behind DONE: bytes that were fed and lie behind the end, borrowed until close. */
shoal_slice shoal_rdb_load_rest(const shoal_rdb_load *load);
/* Ends it at any time. */
void shoal_rdb_load_close(shoal_rdb_load *load);

#endif
