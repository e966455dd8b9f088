/* SPDX-License-Identifier: MIT
 *
 * base/slab.h - the allocator of a thread of a store, for pieces from 8 bytes to 8 KiB; larger ones
 * pass through to the allocator below. Memory comes from below in blocks, which are cut into runs
 * of places of one size:
 *
 *   block   8 to 64 pages of 1 KiB, at a multiple of 64 KiB, so that the block of a piece is found
 *           by masking its address. Its first 128 bytes say whose it is, and in which run each page
 *   is run     some pages for one class of sizes, behind a head of 64 bytes. A class begins with a
 *           page or two and doubles, so a store of fifty keys takes kilobytes, and in a large one
 *           nearly all runs are whole blocks
 *   bin     places that a thread has at hand, one list for each class: what it gives comes first
 *           there, and what it takes next comes from there, whoever's block it is
 *
 * Sizes go in steps of 4 bytes to 256, of 16 to 512, of 32 to 1 KiB, and then by how many a block
 * holds (6 to 12 percent apart). A size says its class, so places carry no header.
 *
 * Claims:
 *   S1  Blocks, runs and bins are touched by the slab's own thread alone. What others read of them
 *       (shoal_slab_is_sparse) does not change while a piece of the run is live, or is a relaxed
 *       counter.
 *   S2  A place that lies in another thread's block goes back, when the bin is too full, as part of
 *       a chain through that thread's inbox: a compare-and-swap, release, by whoever gives; an
 *       exchange of the whole, acquire, by the owner. Chains are never taken apart in the inbox, so
 *       there is no ABA. The giver never waits, and the owner never misses what it was given.
 *   S3  A run without a place out goes back to its block, and a block without a run to the
 *       allocator below, at once. Places in a bin or an inbox are out. So when all bins have
 *       been tidied, what is taken from below is proportional to the runs in use.
 *   S4  Nothing here is decided by an address: the same requests give the same answers about
 *       sizes, counts and sparseness in every run.
 *   S5  Taking and giving is O(1), but for a batch of at most 128 places each 64 or more times.
 */
#ifndef SHOAL_BASE_SLAB_H
#define SHOAL_BASE_SLAB_H

#include <shoal/types.h>

#include "base/assert.h"
#include "base/atomic.h"

/* Largest piece of a slab: eight of them make a block. */
#define SHOAL_SLAB_SIZE_MAX 8128u
/* The largest alignment of such a piece, and the least. */
#define SHOAL_SLAB_ALIGNMENT_MAX 64u
#define SHOAL_SLAB_ALIGNMENT_MIN 4u
/* Up to here, sizes go in the finest steps. */
#define SHOAL_SLAB_FINE_MAX 256u
/* Classes of sizes. */
#define SHOAL_SLAB_CLASSES 121u
/* Lists of runs with free places, by how full they are. */
#define SHOAL_SLAB_FILLS 3u

/* Places of one class at hand. */
typedef struct shoal_slab_bin {
    void *first;    /* linked through their first bytes; given last, taken first */
    uint32_t count; /* of them */
    uint32_t limit; /* with more, half of them go back to their runs */
} shoal_slab_bin;

/* The runs of one class. */
typedef struct shoal_slab_shelf {
    struct shoal_run *current;                   /* places are taken from it; NULL: none */
    struct shoal_run *partial[SHOAL_SLAB_FILLS]; /* have free places; the fullest last */
    /* writer: the thread. readers: any, relaxed. */
    _Atomic uint32_t room;  /* places of all runs */
    _Atomic uint32_t taken; /* of them, those that are out */
    /* The same of all runs but the current one, which says nothing about how full runs are. */
    _Atomic uint32_t other_room, other_taken;
} shoal_slab_shelf;

/* The memory of one thread. Made where it lies, and does not move. */
typedef struct shoal_slab {
    const shoal_allocator *below; /* borrowed */
    struct shoal_block *blocks;   /* with free pages */
    uint32_t pages;               /* of all blocks */
    bool draining;                /* sparse places go back at once; see shoal_slab_drain */
    /* writer: the thread. readers: any, relaxed. */
    _Atomic int64_t bytes_blocks; /* that blocks take from the allocator below */
    _Atomic int64_t bytes_large;  /* of pieces that passed through: taken less given here */
    shoal_slab_bin bins[SHOAL_SLAB_CLASSES];
    shoal_slab_shelf shelves[SHOAL_SLAB_CLASSES];
    /* Chains of places that other threads give back. writers: any, release. taker: the thread,
     * acquire. pair: slab.inbox */
    _Alignas(SHOAL_SHARING_SIZE) _Atomic(void *) inbox;
} shoal_slab;

/* Makes an empty slab in zeroed memory. Allocates nothing. */
void shoal_slab_make(shoal_slab *slab, const shoal_allocator *below);
/* The same as an allocator: its functions are for the slab's thread only, but usable_size. */
shoal_allocator shoal_slab_allocator(shoal_slab *slab);

/* Takes `size` > 0 bytes aligned to `alignment` (a power of two, at least 4; larger pieces: as the
 * allocator below demands) with unknown content, or NULL. The slab's thread. */
void *shoal_slab_take(shoal_slab *slab, size_t size, size_t alignment);
/* Gives back what was taken, from the slab of whatever thread over the same allocator, with the
 * same size and alignment. The slab's thread. */
void shoal_slab_give(shoal_slab *slab, void *memory, size_t size, size_t alignment);
/* The size of the places of a class. */
uint32_t shoal_slab_class_size(uint32_t class);
/* What a request of more than SHOAL_SLAB_FINE_MAX bytes takes; see shoal_slab_usable. */
size_t shoal_slab_usable_larger(const shoal_allocator *below, size_t size, size_t alignment);
/* What a request takes: its class, or what the allocator below says. Pure. */
static inline size_t shoal_slab_usable(const shoal_allocator *below, size_t size, size_t alignment)
{
    size_t bytes = (size + alignment - 1) & ~(alignment - 1);
    if (size > SHOAL_SLAB_FINE_MAX || bytes > SHOAL_SLAB_FINE_MAX ||
        alignment > SHOAL_SLAB_ALIGNMENT_MAX)
        return shoal_slab_usable_larger(below, size, alignment);
    return bytes <= 8 ? 8 : bytes;
}

/* Gives everything at hand back to runs, and empty blocks to the allocator below; takes in what
 * other threads have given. The slab's thread, when there is nothing better to do. */
void shoal_slab_tidy(shoal_slab *slab);
/* True when other threads have given something back. The slab's thread. */
bool shoal_slab_is_given(const shoal_slab *slab);

/* True when moving a live piece elsewhere helps to give memory back: its run is emptier than the
 * class is on average, or the allocator below says so. Any thread that may read the piece. */
bool shoal_slab_is_sparse(const shoal_allocator *below, const void *memory, size_t size,
                          size_t alignment);
/* While on, places of sparse runs are not handed out again but go back at once, so that what is
 * moved out of them stays out. Slower. The slab's thread. */
void shoal_slab_drain(shoal_slab *slab, bool on);

#endif
