/* SPDX-License-Identifier: MIT
 *
 * base/slab_quick.h - taking and giving a small piece where that is a few instructions, because the
 * bin of its class has one, or has room. Just what base/slab.h does, which is left the rest; for
 * callers to whom a call would cost as much again. The slab's thread.
 */
#ifndef SHOAL_BASE_SLAB_QUICK_H
#define SHOAL_BASE_SLAB_QUICK_H

#include <string.h>

#include "base/memory.h"
#include "base/poison.h"
#include "base/slab_run.h"

/* Takes a piece of at most SHOAL_SLAB_FINE_MAX bytes of the least alignment if its bin has one;
 * else NULL: then shoal_slab_take has one, or there is no memory. */
static inline void *shoal_slab_take_quick(shoal_slab *slab, size_t size)
{
    SHOAL_DEBUG_ASSERT(size > 0 && size <= SHOAL_SLAB_FINE_MAX);
    shoal_slab_bin *bin = &slab->bins[shoal_class__of(size, SHOAL_SLAB_ALIGNMENT_MIN)];
    void *place = bin->first, *next;
    if (place == NULL) return NULL;
    /* There it is told who may touch it: what is written to it is checked then. */
    if (SHOAL_POISONS) return shoal_slab_take(slab, size, SHOAL_SLAB_ALIGNMENT_MIN);
    memcpy(&next, place, sizeof next);
    bin->first = next;
    bin->count--;
    /* What is taken next is written by and by: a store that misses holds up those behind. */
    __builtin_prefetch(next, 1);
    __builtin_prefetch((const void *)((uintptr_t)next + SHOAL_ALIGN_LINE), 1);
    return place;
}

/* As shoal_slab_give of such a piece. */
static inline void shoal_slab_give_quick(shoal_slab *slab, void *memory, size_t size)
{
    SHOAL_DEBUG_ASSERT(size > 0 && size <= SHOAL_SLAB_FINE_MAX);
    shoal_slab_bin *bin = &slab->bins[shoal_class__of(size, SHOAL_SLAB_ALIGNMENT_MIN)];
    if (__builtin_expect(SHOAL_POISONS || slab->draining || bin->count >= bin->limit, 0)) {
        shoal_slab_give(slab, memory, size, SHOAL_SLAB_ALIGNMENT_MIN);
        return;
    }
    memcpy(memory, &bin->first, sizeof bin->first);
    bin->first = memory;
    bin->count++;
}

#endif
