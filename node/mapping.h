/* SPDX-License-Identifier: MIT
 *
 * node/mapping.h - large blocks that grow: each is a mapping of its own, which the system makes
 * larger or smaller by its tables of pages. Nothing is copied, and what is not used yet takes no
 * memory; so a string that is appended to never waits for a copy of itself.
 *
 * Threads: any; a block belongs to one at a time.
 */
#ifndef SHOAL_NODE_MAPPING_H
#define SHOAL_NODE_MAPPING_H

#include <stddef.h>

/* Sizes are rounded up to this. */
#define SHOAL_MAPPING_PAGE ((size_t)4096)

/* The size that a block of `size` bytes has. */
static inline size_t shoal_mapping__size(size_t size)
{
    return (size + SHOAL_MAPPING_PAGE - 1) & ~(SHOAL_MAPPING_PAGE - 1);
}

/* A block of zeros, or NULL. */
void *shoal_mapping__take(size_t size);
/* The same block with another size > 0, perhaps elsewhere; what comes to it is zero. NULL where the
 * system refuses: then it is as it was. */
void *shoal_mapping__resize(void *memory, size_t size, size_t size_new);
/* Gives it back. */
void shoal_mapping__give(void *memory, size_t size);

#endif
