/* SPDX-License-Identifier: MIT
 *
 * node/pages.h: one reserve of address space, divided into huge pages of 32 blocks. A page has a
 * word that says which of its blocks are out, and one that says which hold memory.
 */
#include "pages.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/atomic.h"

#define PAGE_SIZE ((size_t)2 << 20)
#define PAGE_BLOCKS 32u
#define PAGE_FULL UINT32_MAX
/* Address space of the reserve: a tebibyte, an eighth of a percent of what a process has. */
#define RESERVE_PAGES ((size_t)512 << 10)
/* With fewer blocks out, what is given back of a page goes to the system at once. A huge page that
 * is mostly in use is kept whole instead: the next block comes from it. */
#define KEEP_BLOCKS 16u

/* One huge page. */
typedef struct page {
    uint32_t out;  /* blocks that were taken */
    uint32_t held; /* blocks with memory behind them; those that are out among them */
} page;

struct shoal_pages {
    pthread_mutex_t lock;
    char *base;           /* of the first page */
    void *reserve;        /* as mapped */
    size_t lowest;        /* no page below has a free block */
    size_t end;           /* no page from here on was ever used */
    _Atomic size_t taken; /* blocks out; relaxed */
    _Atomic size_t held;  /* blocks held; relaxed */
    page pages[RESERVE_PAGES];
};

static void *map(size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

shoal_pages *shoal_pages__open(void)
{
    shoal_pages *made = map(sizeof *made);
    if (made == NULL) return NULL;
    made->reserve = map((RESERVE_PAGES + 1) * PAGE_SIZE);
    if (made->reserve == NULL) {
        munmap(made, sizeof *made);
        return NULL;
    }
    uintptr_t base = ((uintptr_t)made->reserve + PAGE_SIZE - 1) & ~(uintptr_t)(PAGE_SIZE - 1);
    made->base = (char *)base;
    pthread_mutex_init(&made->lock, NULL);
    return made;
}

void shoal_pages__close(shoal_pages *pages)
{
    if (pages == NULL) return;
    SHOAL_ASSERT(pages->reserve != NULL);
    munmap(pages->reserve, (RESERVE_PAGES + 1) * PAGE_SIZE);
    pthread_mutex_destroy(&pages->lock);
    munmap(pages, sizeof *pages);
}

bool shoal_pages__owns(const shoal_pages *pages, const void *memory)
{
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)pages->base;
    return offset < RESERVE_PAGES * PAGE_SIZE;
}

/* The lowest page with a free block, which `lowest` is afterwards; RESERVE_PAGES when all are out.
 * Under the lock. */
static size_t find_page(shoal_pages *pages)
{
    while (pages->lowest < RESERVE_PAGES && pages->pages[pages->lowest].out == PAGE_FULL) {
        pages->lowest++;
    }
    return pages->lowest;
}

void *shoal_pages__take(shoal_pages *pages)
{
    char *block = NULL;
    pthread_mutex_lock(&pages->lock);
    size_t index = find_page(pages);
    if (index < RESERVE_PAGES) {
        page *at = &pages->pages[index];
        char *memory = pages->base + index * PAGE_SIZE;
        if (index == pages->end) {
            /* Advice: without huge pages the blocks are as good as any. */
            (void)madvise(memory, PAGE_SIZE, MADV_HUGEPAGE);
            pages->end++;
        }
        /* Blocks with memory come first. */
        uint32_t ready = at->held & ~at->out;
        uint32_t bit = (uint32_t)__builtin_ctz(ready != 0 ? ready : ~at->out);
        if (ready == 0) shoal_add_relaxed(&pages->held, 1);
        at->out |= 1u << bit;
        at->held |= 1u << bit;
        shoal_add_relaxed(&pages->taken, 1);
        block = memory + bit * SHOAL_PAGES_BLOCK;
    }
    pthread_mutex_unlock(&pages->lock);
    return block;
}

/* Gives the blocks of a page that are not out to the system. Under the lock. */
static void release_free(shoal_pages *pages, size_t index)
{
    page *at = &pages->pages[index];
    uint32_t idle = at->held & ~at->out;
    for (; idle != 0; idle &= idle - 1) {
        uint32_t bit = (uint32_t)__builtin_ctz(idle);
        char *block = pages->base + index * PAGE_SIZE + bit * SHOAL_PAGES_BLOCK;
        (void)madvise(block, SHOAL_PAGES_BLOCK, MADV_DONTNEED);
        at->held &= ~(1u << bit);
        shoal_sub_relaxed(&pages->held, 1);
    }
}

void shoal_pages__give(shoal_pages *pages, void *block)
{
    SHOAL_ASSERT(shoal_pages__owns(pages, block));
    size_t offset = (size_t)((char *)block - pages->base);
    SHOAL_ASSERT(offset % SHOAL_PAGES_BLOCK == 0);
    size_t index = offset / PAGE_SIZE;
    uint32_t bit = (uint32_t)(offset % PAGE_SIZE / SHOAL_PAGES_BLOCK);
    pthread_mutex_lock(&pages->lock);
    page *at = &pages->pages[index];
    SHOAL_ASSERT(at->out & 1u << bit);
    at->out &= ~(1u << bit);
    shoal_sub_relaxed(&pages->taken, 1);
    if (index < pages->lowest) pages->lowest = index;
    if ((uint32_t)__builtin_popcount(at->out) < KEEP_BLOCKS) release_free(pages, index);
    pthread_mutex_unlock(&pages->lock);
}

size_t shoal_pages__taken(const shoal_pages *pages)
{
    return shoal_load_relaxed(&pages->taken) * SHOAL_PAGES_BLOCK;
}

size_t shoal_pages__held(const shoal_pages *pages)
{
    return shoal_load_relaxed(&pages->held) * SHOAL_PAGES_BLOCK;
}
