/* SPDX-License-Identifier: MIT
 *
 * base/slab_run.h - blocks and runs, as slab.h draws them; inside of the slab only.
 */
#ifndef SHOAL_BASE_SLAB_RUN_H
#define SHOAL_BASE_SLAB_RUN_H

#include "base/slab.h"

/* A block at most, and what it is aligned to. */
#define BLOCK_SIZE ((size_t)65536)
#define BLOCK_PAGE_SIZE ((size_t)1024)
#define BLOCK_PAGES 64u

/* At the start of a block's first page. */
typedef struct shoal_block {
    shoal_slab *owner;
    uint64_t free_pages; /* a bit for each page of no run */
    struct shoal_block *next, *previous;
    uint32_t pages; /* of the block */
    /* Of each page, the page in which its run begins. */
    _Alignas(64) uint8_t run_pages[BLOCK_PAGES];
} shoal_block;

_Static_assert(sizeof(shoal_block) == 128, "a block's head is two lines");

/* Where a run may be listed: by how full it is, or the states below. */
enum { FILL_CURRENT = SHOAL_SLAB_FILLS, FILL_FULL };

/* At the start of a run's first page, behind the block's head where that is in the same page. */
typedef struct shoal_run {
    _Alignas(64) struct shoal_run *next; /* of those about as full */
    struct shoal_run *previous;
    uint32_t free;  /* offset in the block of the first free place, 0: none; they are linked */
    uint32_t fresh; /* offset of the first place that was never taken */
    uint32_t end;   /* offset behind the last place */
    uint32_t floor; /* with fewer places out than this the run is listed elsewhere */
    uint32_t capacity;
    uint32_t size; /* of a place */
    uint8_t class;
    uint8_t pages;
    uint8_t first_page;
    /* writer: the thread. readers: any, relaxed. */
    _Atomic uint8_t fill;
    _Atomic uint32_t taken; /* places out */
} shoal_run;

_Static_assert(sizeof(shoal_run) == 64, "a run's head is one line");

/* The block of a piece. */
static inline shoal_block *shoal_block__of(const void *memory)
{
    return (shoal_block *)((uintptr_t)memory & ~(uintptr_t)(BLOCK_SIZE - 1));
}

/* The run that begins in a page of a block. */
static inline shoal_run *shoal_run__at(const shoal_block *block, uint32_t page)
{
    uintptr_t at = (uintptr_t)block + page * BLOCK_PAGE_SIZE;
    return (shoal_run *)(page == 0 ? at + sizeof *block : at);
}

/* The run of a piece. */
static inline shoal_run *shoal_run__of(const void *memory)
{
    const shoal_block *block = shoal_block__of(memory);
    size_t page = ((uintptr_t)memory & (BLOCK_SIZE - 1)) / BLOCK_PAGE_SIZE;
    return shoal_run__at(block, block->run_pages[page]);
}

/* What is linked behind a free place. Places are aligned to 4, and forbidden to others. */
void *shoal_place__next(const void *place);
void shoal_place__link(void *place, void *next);

/* ---- slab_class.c ---- */

/* What a request that is none of the slab's is told. */
#define CLASS_LARGE UINT32_MAX
/* The class of a request of more than SHOAL_SLAB_FINE_MAX bytes, or CLASS_LARGE. */
uint32_t shoal_class__of_larger(size_t size, size_t alignment);
/* The class of a request, or CLASS_LARGE. */
static inline uint32_t shoal_class__of(size_t size, size_t alignment)
{
    /* A step of sizes is what the least alignment rounds to. */
    if (__builtin_expect(size <= SHOAL_SLAB_FINE_MAX && alignment <= SHOAL_SLAB_ALIGNMENT_MIN, 1))
        return size <= 8 ? 0 : (uint32_t)(size - 5) / 4u;
    size_t bytes = (size + alignment - 1) & ~(alignment - 1);
    if (size > SHOAL_SLAB_FINE_MAX || bytes > SHOAL_SLAB_FINE_MAX ||
        alignment > SHOAL_SLAB_ALIGNMENT_MAX)
        return shoal_class__of_larger(size, alignment);
    return bytes <= 8 ? 0 : (uint32_t)(bytes - 5) / 4u;
}

/* ---- slab_run.c: the slab's thread ---- */

/* The run that places of a class are to be taken from now: it has a free one. NULL without memory.
 * */
shoal_run *shoal_run__current(shoal_slab *slab, uint32_t class);
/* Takes a place of the current run, which has one. */
void *shoal_run__take(shoal_slab *slab, shoal_run *run);
/* Gives a place of an own run back to it; the run may go. */
void shoal_run__give(shoal_slab *slab, shoal_run *run, void *place);

#endif
