/* SPDX-License-Identifier: MIT
 *
 * persist/batch.h - the elements of a large value as the commands that make it anew: RPUSH, SADD,
 * ZADD or HSET, each with as many elements as Redis puts into one, and HPEXPIREAT for fields that
 * have deadlines. Commands have their number of arguments in front, so arguments are gathered until
 * there are enough.
 *
 * Threads: as shoal_large.
 */
#ifndef SHOAL_PERSIST_BATCH_H
#define SHOAL_PERSIST_BATCH_H

#include "value/table.h"
#include "value/zset.h"

/* Elements of one value. */
typedef struct shoal_batch {
    const char *word;       /* of the command, or NULL: there is no batch */
    shoal_slice name;       /* of the key, borrowed */
    shoal_buffer arguments; /* those that have been gathered */
    uint32_t elements;      /* how many elements they are, and */
    uint32_t count;         /* how many arguments */
    shoal_buffer behind;    /* commands that follow them */
} shoal_batch;

/* One for a key of that type, without elements. */
shoal_batch shoal_batch_make(shoal_value_type type, shoal_slice name,
                             const shoal_allocator *allocator);
/* Adds an element of a list; what is enough for a command is appended to `out`. A failed append
 * shows in `out`. */
void shoal_batch_add(shoal_batch *batch, shoal_buffer *out, const shoal_element *element);
/* The same for an entry of a set or hash, */
void shoal_batch_add_entry(shoal_batch *batch, shoal_buffer *out, const shoal_table_entry *entry);
/* and for an element of a sorted set. */
void shoal_batch_add_scored(shoal_batch *batch, shoal_buffer *out, const shoal_zset_entry *entry);
/* Appends what has been gathered. */
void shoal_batch_flush(shoal_batch *batch, shoal_buffer *out);
/* Frees what it has; none may be given. */
void shoal_batch_free(shoal_batch *batch);

#endif
