/* SPDX-License-Identifier: MIT
 *
 * node/pages.h - the blocks that the engine's slabs are made of, cut out of huge pages. With a
 * hundred megabytes of keys nearly every look-up misses the processor's table of small pages;
 * blocks that lie together in pages of 2 MiB take a sixth of a pipelined GET's time away. Only
 * whole blocks come from here, so what is held without need is at most the free part of the
 * last pages and a sixteenth of what is in use, at most 6 MiB, that is made ready ahead, and
 * never grows with fragmentation: the lowest free block is taken first.
 *
 * Beside them it counts mappings for large blocks, and returns those to the system.
 *
 * Threads: any, and none waits for another, nor for the system to clear a huge page: a thread of
 * its own, which the sixteenth block starts or the first that comes back, clears the next pages,
 * and gives memory that is not needed back to the system. A block that is taken when no huge page
 * is ready, such as those of the first megabyte, lies in pages of 4 KiB.
 */
#ifndef SHOAL_NODE_PAGES_H
#define SHOAL_NODE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block, and what it is aligned to. */
#define SHOAL_PAGES_BLOCK ((size_t)64 << 10)

typedef struct shoal_pages shoal_pages;

/* Reserves address space, which costs no memory. NULL where the system refuses: then there are
 * no huge pages, and all else works without. */
shoal_pages *shoal_pages__open(void);
/* Ends it; all blocks have been given back or are forgotten. NULL does nothing. */
void shoal_pages__close(shoal_pages *pages);

/* A block with unknown content, or NULL when the reserve is used up. */
void *shoal_pages__take(shoal_pages *pages);
/* Gives back what take returned. */
void shoal_pages__give(shoal_pages *pages, void *block);
/* True for memory that came from take. */
bool shoal_pages__owns(const shoal_pages *pages, const void *memory);

/* Bytes of blocks that are out, and bytes held from the system (those and what is kept for the
 * next). */
size_t shoal_pages__taken(const shoal_pages *pages);
size_t shoal_pages__held(const shoal_pages *pages);

/* A mapping of `size` bytes (node/mapping.h), counted; NULL without memory. */
void *shoal_pages__map(shoal_pages *pages, size_t size);
/* The same with another size. NULL where that cannot be done. */
void *shoal_pages__remap(shoal_pages *pages, void *memory, size_t size, size_t size_new);
/* Gives it back. Takes no longer for a large one: the thread returns it, some at a time. */
void shoal_pages__unmap(shoal_pages *pages, void *memory, size_t size);
/* Bytes of mappings. */
size_t shoal_pages__mapped(const shoal_pages *pages);

#endif
