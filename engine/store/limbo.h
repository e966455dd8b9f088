/* SPDX-License-Identifier: MIT
 *
 * store/limbo.h - memory that waits: unlinked, and freed when base/epoch.h says that nobody can see
 * it any more (limbo.c). Inside the store only; part of internal.h, which has the threads whose
 * queues these are.
 */
#ifndef SHOAL_STORE_LIMBO_H
#define SHOAL_STORE_LIMBO_H

#include "store/layout.h"

/* What a piece of retired memory is: how it is freed. */
typedef enum shoal_corpse {
    CORPSE_ITEM = 1, /* one item */
    CORPSE_BUCKET,   /* one overflow bucket */
    CORPSE_LEAF,     /* a leaf's buckets with their chains; not the items */
    CORPSE_BRANCH,   /* a directory and the leaves below it; not the items */
    CORPSE_TREE,     /* all that a slot's word leads to, items too; freed in steps */
    CORPSE_ROUTE,    /* a route table */
    CORPSE_OBJECT,   /* an object, without an item; freed in steps */
    CORPSE_CUT,      /* a cut that is over */
    CORPSE_GHOST     /* a table of keys that have gone */
} shoal_corpse;

/* The bits of the kind. */
#define CORPSE_MASK ((uint64_t)15)
/* The word of a retired item has the item's size in its upper bits, so that freeing it does not
 * fetch the item, cold by then, only to learn how large it is (a sixth of a SET's time). Items are
 * aligned to 4, so their addresses are shifted by what the kind needs more. */
#define CORPSE_ITEM_SHIFT 2
#define CORPSE_SIZE_SHIFT 49
#define CORPSE_SIZE_END ((size_t)1 << 15)

/* One piece: kind in bits 0..3 of the word that led to it (a word as in layout.h, or a plain
 * pointer), and the stamp of base/epoch.h. */
typedef struct shoal_limbo_entry {
    uint64_t what;
    uint64_t stamp;
} shoal_limbo_entry;

/* With its header, a block of 2 KiB. */
#define LIMBO_BLOCK_ENTRIES 127u

/* A link of a thread's queue of retired memory. */
typedef struct shoal_limbo_block {
    struct shoal_limbo_block *next;
    uint32_t first, end; /* entries [first, end) wait */
    shoal_limbo_entry entries[LIMBO_BLOCK_ENTRIES];
} shoal_limbo_block;

_Static_assert(sizeof(shoal_limbo_block) == 2048, "a limbo block is half a page");

/* Pieces that a change of one key retires at most: an item, its object, a bucket, a leaf, and the
 * directories that it leaves too small. */
#define RETIRE_MAX 12u
/* Starts with an empty queue. */
void shoal_limbo__init(shoal_thread *thread);
/* Makes sure that so many changes of keys can retire what they replace. False without memory: then
 * they must not be made, because what cannot be retired can never be freed. */
bool shoal_limbo__reserve(shoal_thread *thread, uint32_t changes);
/* Retires what `what` (a word or a pointer) leads to, `bytes` of the allocator in all. */
void shoal_limbo__retire(shoal_thread *thread, shoal_corpse kind, uint64_t what, uint64_t bytes);
/* The same of an item of `size` bytes. */
void shoal_limbo__retire_item(shoal_thread *thread, const shoal_item *item, size_t size,
                              uint64_t bytes);
/* The word under which an object is retired; `large` ones are counted as lazily freed. */
uint64_t shoal_limbo__object(const shoal_object *object, bool large);
/* Frees what nobody can see any more, at most some `budget` pieces. */
void shoal_limbo__collect(shoal_thread *thread, uint32_t budget);
/* Gives back the blocks of a queue in which nothing waits. */
void shoal_limbo__rest(shoal_thread *thread);
/* Frees everything; all threads are outside. */
void shoal_limbo__clear(shoal_thread *thread);
/* True when so much waits that freeing is worth a look at the other threads. */
bool shoal_limbo__is_long(const shoal_thread *thread);
/* True when the thread has retired memory that is not yet free. */
bool shoal_limbo__waits(const shoal_thread *thread);

#endif
