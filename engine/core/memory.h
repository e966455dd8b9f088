/* SPDX-License-Identifier: MIT
 *
 * core/memory.h - what a node takes, in the words of INFO and MEMORY STATS. Everything is what the
 * store counts itself, unless it says "host": that is left at 0 where the host does not tell.
 *
 *   used      keys, values, tables, queues, sessions, the log of effects: every piece as large as
 *             its size class, nothing around it. It is what maxmemory is about, less what waits in
 *             limbo or in queues, and less the log
 *   waste     room inside of slabs that no piece has. A part of what the allocator has handed out
 *   arrays    the fixed arrays of the store, which cost memory only where they have been touched:
 *             so neither part of `used` nor of the allocator's figures as shown here
 */
#ifndef SHOAL_CORE_MEMORY_H
#define SHOAL_CORE_MEMORY_H

#include "core/node.h"

/* One look. Bytes. */
typedef struct shoal_memory_figures {
    shoal_store_stats store;
    uint64_t used, peak, startup;
    uint64_t overhead;  /* of used: tables, queues, what waits, what was there at the start */
    uint64_t dataset;   /* used less overhead */
    uint64_t clients;   /* sessions with their buffers; part of used */
    uint64_t log;       /* effects for replicas, the backlog and the AOF; part of used */
    uint64_t backlog;   /* of the log: for replicas to come */
    uint64_t replicas;  /* of the log: beyond the backlog's size, for replicas that are behind */
    uint64_t aof;       /* of the log: not in the file yet */
    uint64_t allocated; /* host: in use by whomever, slabs' free room left out */
    uint64_t active;    /* host: pages with something in use, slabs' free room included */
    uint64_t resident;  /* host: pages of the allocator that are in memory, arrays left out */
    uint64_t rss;       /* host: of the process */
} shoal_memory_figures;

/* All that counts as used. */
uint64_t shoal_memory__used(const shoal_node *node, const shoal_store_stats *stats);
/* What maxmemory leaves out of it. */
static inline uint64_t shoal_memory__not_counted(const shoal_memory_figures *figures)
{
    return figures->store.bytes_limbo + figures->store.bytes_queues + figures->log;
}
/* Looks. Control actor's thread. */
shoal_memory_figures shoal_memory__look(const shoal_node *node);

/* The quotient, 0 where `b` is. */
static inline double shoal_memory__ratio(uint64_t a, uint64_t b)
{
    return b > 0 ? (double)a / (double)b : 0;
}

/* What the tables of one database take: its share by keys. */
uint64_t shoal_memory__tables(const shoal_node *node, const shoal_memory_figures *figures,
                              uint32_t db);

/* MEMORY STATS, DOCTOR, PURGE, MALLOC-STATS. */
void shoal_node__memory_stats(shoal_node *node, shoal_reply *reply);
void shoal_node__memory_doctor(shoal_node *node, shoal_reply *reply);
void shoal_node__memory_purge(shoal_node *node, shoal_reply *reply);
void shoal_node__memory_malloc_stats(shoal_node *node, shoal_reply *reply);

#endif
