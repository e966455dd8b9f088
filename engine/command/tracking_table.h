/* SPDX-License-Identifier: MIT
 *
 * command/tracking_table.h - which clients of one worker have read which keys, for CLIENT TRACKING.
 * A table of names, each with those who are to be told when the key changes. It grows by one bucket
 * at a time.
 *
 * Threads: the worker's own.
 */
#ifndef SHOAL_COMMAND_TRACKING_TABLE_H
#define SHOAL_COMMAND_TRACKING_TABLE_H

#include "command/command.h"

/* See tracking.h. */
typedef struct shoal_tracker shoal_tracker;

/* A key, and who has read it, in the order in which they began to track. */
typedef struct shoal_tracked {
    struct shoal_tracked *next;
    uint64_t hash;
    uint64_t flush; /* of the table, when it was made */
    shoal_tracker **trackers;
    uint32_t count, capacity;
    size_t name_size;
    char name[];
} shoal_tracked;

/* Pointers in a piece of the table, and most of these pieces: beyond four million buckets chains
 * get longer. */
#define SHOAL_TRACKED_SEGMENT 512u
#define SHOAL_TRACKED_SEGMENTS 8192u

/* The table. Zero with an allocator is an empty one. */
typedef struct shoal_tracked_table {
    const shoal_allocator *allocator; /* borrowed */
    shoal_tracked ***segments;
    uint64_t buckets;
    uint64_t keys, items;             /* names, and readers of each summed up */
    uint64_t stale_keys, stale_items; /* of these, those that are of no account any more */
    uint64_t flush;                   /* how often all was forgotten */
    uint64_t hand;                    /* bucket that is looked at next for one that has to go */
} shoal_tracked_table;

/* Notes that `tracker` has read the key, which is not a stale one. False without memory; `*added`
 * when it had not before. */
SHOAL_MUST_USE bool shoal_tracked_add(shoal_tracked_table *table, const shoal_key *key,
                                      shoal_tracker *tracker, bool *added);
/* Forgets all at once: they are stale from now on, and wait for shoal_tracked_keep. */
void shoal_tracked_flush(shoal_tracked_table *table);
/* Was it noted before that? */
static inline bool shoal_tracked_is_stale(const shoal_tracked_table *table,
                                          const shoal_tracked *tracked)
{
    return tracked->flush != table->flush;
}
/* A stale one among the next `*buckets`, from which it takes those that it has looked at; NULL
 * when there is none. */
shoal_tracked *shoal_tracked_next_stale(shoal_tracked_table *table, uint32_t *buckets);
/* The key of a name, stale or not, or NULL. */
shoal_tracked *shoal_tracked_find(const shoal_tracked_table *table, shoal_slice name,
                                  uint64_t hash);
/* Leaves only the first `count` of its trackers; with none the key goes. */
void shoal_tracked_keep(shoal_tracked_table *table, shoal_tracked *tracked, uint32_t count);
/* Some key, another one each time; NULL when there is none. */
shoal_tracked *shoal_tracked_any(shoal_tracked_table *table);
/* Frees the table itself, which is empty. */
void shoal_tracked_free(shoal_tracked_table *table);

#endif
