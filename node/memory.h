/* SPDX-License-Identifier: MIT
 *
 * node/memory.h - the allocator of a server: jemalloc, whose size classes are known exactly and
 * which frees by size. Builds under a sanitizer use the C library's malloc, which the sanitizer
 * watches.
 */
#ifndef SHOAL_NODE_MEMORY_H
#define SHOAL_NODE_MEMORY_H

#include <shoal/types.h>

#include "pages.h"

/* The allocator. Any thread. */
shoal_allocator shoal_memory_allocator(void);
/* The same, with whole slab blocks out of `pages` (node/pages.h), which outlives it; NULL: without.
 * Builds that look for errors in memory do without. */
shoal_allocator shoal_memory_allocator_with(shoal_pages *pages);

/* Its name and version, for the version line: "jemalloc-5.3.0". Never NULL. */
const char *shoal_memory_name(void);

/* True in builds that look for leaks at exit: then everything is given back. Elsewhere the data of
 * a node is left to the system, which frees gigabytes faster than we do item by item. */
bool shoal_memory_looks_for_leaks(void);

/* What the allocator says of itself, in bytes. */
typedef struct shoal_memory_stats {
    uint64_t allocated; /* handed out, in size classes */
    uint64_t active;    /* pages with something handed out */
    uint64_t resident;  /* pages held from the system */
    uint64_t retained;  /* address space kept without pages */
} shoal_memory_stats;

/* Asks the allocator and `pages` (may be NULL); zeros when it keeps no count. Takes some
 * microseconds. Any thread. */
shoal_memory_stats shoal_memory_stats_read(const shoal_pages *pages);

/* Gives pages back to the system in which nothing is in use. `context` is not looked at. */
void shoal_memory_purge(void *context);
/* Appends what the allocator tells people of itself. */
void shoal_memory_describe(void *context, shoal_buffer *text);

#endif
