/* SPDX-License-Identifier: MIT
 *
 * base/slab_run.c - blocks from below, cut into runs; and the places of a run. A class takes from
 * its current run until that is full, and then from the fullest of those that have free places, so
 * that the emptiest ones may become empty.
 */
#include "base/slab_run.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/poison.h"

/* Pages of the smallest block. */
#define BLOCK_PAGES_MIN 8u
/* Blocks that are searched for room for a run: those with free pages are few, because large runs
 * are whole blocks. */
#define SEARCH_MAX 16u
/* Most pages of a class's first run; and what of it may be left over behind the last place. */
#define FIRST_PAGES_MAX 16u
#define FIRST_WASTE_SHARE 8u
/* Places larger than this do not lie in a run that shares its page with the block's head, where one
 * less may fit. */
#define SHARED_PAGE_SIZE_MAX 256u

/* ---- blocks ---- */

/* The bits of `count` pages from `first` on. */
static uint64_t page_bits(uint32_t first, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(count > 0);
    SHOAL_DEBUG_ASSERT(first + count <= BLOCK_PAGES);
    return (~(uint64_t)0 >> (BLOCK_PAGES - count)) << first;
}

static void link_block(shoal_slab *slab, shoal_block *block)
{
    SHOAL_DEBUG_ASSERT(block->owner == slab);
    block->next = slab->blocks;
    block->previous = NULL;
    if (block->next != NULL) block->next->previous = block;
    slab->blocks = block;
}

static void unlink_block(shoal_slab *slab, shoal_block *block)
{
    SHOAL_DEBUG_ASSERT(block->owner == slab);
    if (block->next != NULL) block->next->previous = block->previous;
    if (block->previous != NULL) {
        block->previous->next = block->next;
    } else {
        slab->blocks = block->next;
    }
}

/* Counts a block that comes (or, with -1, goes). */
static void count_block(shoal_slab *slab, uint32_t pages, int sign)
{
    SHOAL_DEBUG_ASSERT(pages <= BLOCK_PAGES);
    size_t size = pages * BLOCK_PAGE_SIZE;
    int64_t bytes = (int64_t)shoal_memory_usable(slab->below, size, BLOCK_SIZE);
    shoal_bump_relaxed(&slab->bytes_blocks, sign * bytes);
    slab->pages += (uint32_t)(sign * (int)pages);
}

/* Takes a block of `pages` from below, and lists it. NULL without memory. */
static shoal_block *make_block(shoal_slab *slab, uint32_t pages)
{
    SHOAL_ASSERT(pages >= BLOCK_PAGES_MIN && pages <= BLOCK_PAGES);
    size_t size = pages * BLOCK_PAGE_SIZE;
    shoal_block *block = shoal_memory_take(slab->below, size, BLOCK_SIZE);
    if (block == NULL) return NULL;
    SHOAL_ASSERT((uintptr_t)block % BLOCK_SIZE == 0);
    *block = (shoal_block){.owner = slab, .free_pages = page_bits(0, pages), .pages = pages};
    SHOAL_POISON(block + 1, size - sizeof *block);
    count_block(slab, pages, 1);
    link_block(slab, block);
    return block;
}

/* Gives a block back that has no run. */
static void drop_block(shoal_slab *slab, shoal_block *block)
{
    SHOAL_ASSERT(block->free_pages == page_bits(0, block->pages));
    size_t size = block->pages * BLOCK_PAGE_SIZE;
    unlink_block(slab, block);
    count_block(slab, block->pages, -1);
    SHOAL_UNPOISON(block, size);
    shoal_memory_give(slab->below, block, size, BLOCK_SIZE);
}

/* The first page of a block from which on `pages` are free; BLOCK_PAGES when there are none. */
static uint32_t find_pages(uint64_t free_pages, uint32_t pages, bool shared)
{
    SHOAL_DEBUG_ASSERT(pages > 0);
    uint64_t starts = free_pages;
    for (uint32_t left = pages; left > 1;) {
        uint32_t shift = left / 2;
        starts &= starts >> shift;
        left -= shift;
    }
    if (!shared) starts &= ~(uint64_t)1;
    return starts == 0 ? BLOCK_PAGES : (uint32_t)__builtin_ctzll(starts);
}

/* Finds room for a run, or makes it: the block and, in `*page`, where. NULL without memory. */
static shoal_block *find_room(shoal_slab *slab, uint32_t pages, bool shared, uint32_t *page)
{
    SHOAL_DEBUG_ASSERT(pages > 0 && pages <= BLOCK_PAGES);
    shoal_block *block = pages < BLOCK_PAGES ? slab->blocks : NULL;
    for (uint32_t i = 0; block != NULL && i < SEARCH_MAX; i++, block = block->next) {
        *page = find_pages(block->free_pages, pages, shared);
        if (*page < BLOCK_PAGES) return block;
    }
    uint32_t wanted = BLOCK_PAGES_MIN;
    while (wanted < BLOCK_PAGES && (wanted < slab->pages || wanted < pages + !shared)) wanted *= 2;
    block = make_block(slab, wanted);
    if (block == NULL) return NULL;
    *page = find_pages(block->free_pages, pages, shared);
    SHOAL_ASSERT(*page < BLOCK_PAGES);
    return block;
}

/* ---- lists of runs ---- */

static shoal_run **list_of(shoal_slab *slab, const shoal_run *run, uint32_t fill)
{
    SHOAL_DEBUG_ASSERT(fill < SHOAL_SLAB_FILLS);
    return &slab->shelves[run->class].partial[fill];
}

/* How full a run is, in parts of its capacity. */
static uint32_t fill_of(const shoal_run *run, uint32_t taken)
{
    SHOAL_DEBUG_ASSERT(taken <= run->capacity);
    uint32_t fill = taken * SHOAL_SLAB_FILLS / run->capacity;
    return fill < SHOAL_SLAB_FILLS ? fill : SHOAL_SLAB_FILLS - 1;
}

/* Counts a run that is not the current one any more, or (with -1) that becomes it. */
static void count_other(shoal_slab_shelf *shelf, const shoal_run *run, int sign)
{
    SHOAL_DEBUG_ASSERT(sign == 1 || sign == -1);
    uint32_t taken = shoal_load_relaxed(&run->taken);
    shoal_bump_relaxed(&shelf->other_room, (uint32_t)sign * run->capacity);
    shoal_bump_relaxed(&shelf->other_taken, (uint32_t)sign * taken);
}

/* The current run is that no longer: it is on no list then, as a full one is. */
static void retire_current(shoal_slab *slab, shoal_run *run)
{
    shoal_slab_shelf *shelf = &slab->shelves[run->class];
    SHOAL_DEBUG_ASSERT(shelf->current == run);
    shoal_store_relaxed(&run->fill, (uint8_t)FILL_FULL);
    shelf->current = NULL;
    count_other(shelf, run, 1);
}

static void unlist(shoal_slab *slab, shoal_run *run)
{
    uint32_t fill = shoal_load_relaxed(&run->fill);
    SHOAL_DEBUG_ASSERT(fill <= FILL_FULL);
    if (fill == FILL_CURRENT) retire_current(slab, run);
    if (fill >= SHOAL_SLAB_FILLS) return;
    if (run->next != NULL) run->next->previous = run->previous;
    if (run->previous != NULL) {
        run->previous->next = run->next;
    } else {
        *list_of(slab, run, fill) = run->next;
    }
}

/* Puts a run that is on no list where it belongs by its `taken` places. */
static void list(shoal_slab *slab, shoal_run *run, uint32_t taken)
{
    uint32_t fill = fill_of(run, taken);
    SHOAL_DEBUG_ASSERT(taken > 0);
    shoal_run **first = list_of(slab, run, fill);
    run->next = *first;
    run->previous = NULL;
    if (run->next != NULL) run->next->previous = run;
    *first = run;
    run->floor = (fill * run->capacity + SHOAL_SLAB_FILLS - 1) / SHOAL_SLAB_FILLS;
    shoal_store_relaxed(&run->fill, (uint8_t)fill);
}

/* ---- runs ---- */

static uint32_t capacity_of(uint32_t size, uint32_t pages, bool shared)
{
    size_t heads = sizeof(shoal_run) + (shared ? sizeof(shoal_block) : 0);
    SHOAL_DEBUG_ASSERT(pages * BLOCK_PAGE_SIZE > heads);
    return (uint32_t)((pages * BLOCK_PAGE_SIZE - heads) / size);
}

/* The fewest pages of which places of a size use nearly all. */
static uint32_t first_pages(uint32_t size)
{
    SHOAL_DEBUG_ASSERT(size <= SHOAL_SLAB_SIZE_MAX);
    for (uint32_t pages = 1; pages < FIRST_PAGES_MAX; pages++) {
        size_t bytes = pages * BLOCK_PAGE_SIZE;
        size_t used = (size_t)capacity_of(size, pages, false) * size;
        if (used > 0 && (bytes - used) * FIRST_WASTE_SHARE <= bytes) return pages;
    }
    return FIRST_PAGES_MAX;
}

/* Pages of a class's next run: as many as its runs have together, rounded down to a power of two.
 * */
static uint32_t next_pages(const shoal_slab *slab, uint32_t class, uint32_t first)
{
    SHOAL_DEBUG_ASSERT(first <= FIRST_PAGES_MAX);
    size_t room = shoal_load_relaxed(&slab->shelves[class].room);
    size_t held = room * shoal_slab_class_size(class) / BLOCK_PAGE_SIZE;
    uint32_t pages = 1;
    while (pages < BLOCK_PAGES && pages * 2 <= held + 1) pages *= 2;
    return pages > first ? pages : first;
}

/* Makes a run of the class in `pages` pages. NULL without memory. */
static shoal_run *make_run(shoal_slab *slab, uint32_t class, uint32_t pages)
{
    SHOAL_DEBUG_ASSERT(class < SHOAL_SLAB_CLASSES);
    uint32_t size = shoal_slab_class_size(class);
    uint32_t page = 0;
    bool shared = size <= SHARED_PAGE_SIZE_MAX || pages == BLOCK_PAGES;
    shoal_block *block = find_room(slab, pages, shared, &page);
    if (block == NULL) return NULL;
    block->free_pages &= ~page_bits(page, pages);
    if (block->free_pages == 0) unlink_block(slab, block);
    for (uint32_t i = page; i < page + pages; i++) block->run_pages[i] = (uint8_t)page;

    shoal_run *run = shoal_run__at(block, page);
    uint32_t fresh = (uint32_t)((uintptr_t)(run + 1) - (uintptr_t)block);
    uint32_t capacity = capacity_of(size, pages, page == 0);
    SHOAL_ASSERT(capacity > 0);
    /* What two places share of a unit of the sanitizer is open from now on, and stays so. */
    SHOAL_UNPOISON(run, sizeof *run + (size_t)capacity * size);
    for (uint32_t i = 0; i < capacity * SHOAL_POISONS; i++)
        SHOAL_POISON((char *)(run + 1) + (size_t)i * size, size);
    *run = (shoal_run){.fresh = fresh,
                       .end = fresh + capacity * size,
                       .capacity = capacity,
                       .size = size,
                       .class = (uint8_t) class,
                       .pages = (uint8_t)pages,
                       .first_page = (uint8_t)page,
                       .fill = FILL_FULL};
    shoal_bump_relaxed(&slab->shelves[class].room, capacity);
    count_other(&slab->shelves[class], run, 1);
    return run;
}

/* Gives the pages of an empty run back to its block. */
static void drop_run(shoal_slab *slab, shoal_run *run)
{
    SHOAL_ASSERT(shoal_load_relaxed(&run->taken) == 0);
    shoal_block *block = shoal_block__of(run);
    unlist(slab, run);
    shoal_bump_relaxed(&slab->shelves[run->class].room, -run->capacity);
    count_other(&slab->shelves[run->class], run, -1);
    uint64_t pages = page_bits(run->first_page, run->pages);
    SHOAL_ASSERT((block->free_pages & pages) == 0);
    SHOAL_POISON(run, sizeof *run);
    if (block->free_pages == 0) link_block(slab, block);
    block->free_pages |= pages;
    if (block->free_pages == page_bits(0, block->pages)) drop_block(slab, block);
}

static bool has_place(const shoal_run *run)
{
    SHOAL_DEBUG_ASSERT(run->fresh <= run->end);
    return run->free != 0 || run->fresh < run->end;
}

/* The fullest run that has a free place, or a new one. NULL without memory. */
static shoal_run *next_run(shoal_slab *slab, uint32_t class)
{
    SHOAL_DEBUG_ASSERT(class < SHOAL_SLAB_CLASSES);
    shoal_slab_shelf *shelf = &slab->shelves[class];
    for (uint32_t fill = SHOAL_SLAB_FILLS; fill-- > 0;) {
        shoal_run *run = shelf->partial[fill];
        if (run == NULL) continue;
        unlist(slab, run);
        return run;
    }
    uint32_t first = first_pages(shoal_slab_class_size(class));
    uint32_t pages = next_pages(slab, class, first);
    shoal_run *run = make_run(slab, class, pages);
    /* Where a large block is refused, a small one may do. */
    return run == NULL && pages > first ? make_run(slab, class, first) : run;
}

shoal_run *shoal_run__current(shoal_slab *slab, uint32_t class)
{
    shoal_slab_shelf *shelf = &slab->shelves[class];
    SHOAL_DEBUG_ASSERT(shelf->current == NULL || shelf->current->class == class);
    if (shelf->current != NULL) {
        if (has_place(shelf->current)) return shelf->current;
        retire_current(slab, shelf->current);
    }
    shoal_run *run = next_run(slab, class);
    if (run == NULL) return NULL;
    SHOAL_ASSERT(has_place(run));
    run->floor = 0;
    shoal_store_relaxed(&run->fill, (uint8_t)FILL_CURRENT);
    shelf->current = run;
    count_other(shelf, run, -1);
    return run;
}

/* ---- places ---- */

void *shoal_run__take(shoal_slab *slab, shoal_run *run)
{
    SHOAL_DEBUG_ASSERT(has_place(run));
    char *block = (char *)shoal_block__of(run);
    char *place;
    if (run->free != 0) {
        place = block + run->free;
        char *next = shoal_place__next(place);
        run->free = next == NULL ? 0 : (uint32_t)(next - block);
    } else {
        place = block + run->fresh;
        run->fresh += run->size;
    }
    shoal_bump_relaxed(&run->taken, 1u);
    shoal_bump_relaxed(&slab->shelves[run->class].taken, 1u);
    return place;
}

void shoal_run__give(shoal_slab *slab, shoal_run *run, void *place)
{
    char *block = (char *)shoal_block__of(run);
    uint32_t taken = shoal_load_relaxed(&run->taken);
    SHOAL_ASSERT(taken > 0);
    SHOAL_DEBUG_ASSERT(((uintptr_t)place - (uintptr_t)(run + 1)) % run->size == 0);
    shoal_place__link(place, run->free == 0 ? NULL : block + run->free);
    run->free = (uint32_t)((char *)place - block);
    taken--;
    shoal_store_relaxed(&run->taken, taken);
    shoal_slab_shelf *shelf = &slab->shelves[run->class];
    shoal_bump_relaxed(&shelf->taken, -1u);
    if (run != shelf->current) shoal_bump_relaxed(&shelf->other_taken, -1u);
    if (taken == 0) {
        drop_run(slab, run);
        return;
    }
    uint32_t fill = shoal_load_relaxed(&run->fill);
    if (fill == FILL_CURRENT || (fill < SHOAL_SLAB_FILLS && taken >= run->floor)) return;
    unlist(slab, run);
    list(slab, run, taken);
}
