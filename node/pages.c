/* SPDX-License-Identifier: MIT
 *
 * node/pages.h: one reserve of address space, divided into huge pages of 32 blocks. A page has a
 * word that says which of its blocks are out, and one that says which hold memory.
 *
 * What goes back to the system goes by a thread of its own, which sleeps until a page is mostly
 * unused, and waits a little more: a call that gives pages back takes some microseconds for each
 * block and holds up whoever makes it, and a hash of five million fields has thousands of blocks.
 * The thread takes the unused blocks of a page as anybody would, gives their memory away without
 * the lock, and puts them back without memory.
 */
#include "pages.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/assert.h"
#include "base/atomic.h"

#define PAGE_SIZE ((size_t)2 << 20)
#define PAGE_BLOCKS 32u
#define PAGE_FULL UINT32_MAX
/* Address space of the reserve: a tebibyte, an eighth of a percent of what a process has. */
#define RESERVE_PAGES ((size_t)512 << 10)
/* With fewer blocks out, what is unused of a page goes to the system. A huge page that is mostly in
 * use is kept whole instead: the next block comes from it. */
#define KEEP_BLOCKS 16u
/* How long the thread waits before it gives pages back, so that what is taken again at once stays.
 * Chosen. */
#define PAUSE_NS 10000000
/* Between one huge page and the next: so that the thread never has a processor for long, and still
 * gives gigabytes back in a second. */
#define PAGE_PAUSE_NS 200000
/* The end of the list of pages, and what says that a page is in no list; others are indices
 * plus 1. */
#define LIST_END UINT32_MAX

/* One huge page. */
typedef struct page {
    uint32_t out;  /* blocks that were taken */
    uint32_t held; /* blocks with memory behind them; those that are out among them */
    uint32_t next; /* in the list of pages to be looked at: 0 in none, else index + 1 or LIST_END */
} page;

struct shoal_pages {
    pthread_mutex_t lock;
    char *base;           /* of the first page */
    void *reserve;        /* as mapped */
    size_t lowest;        /* no page below has a free block */
    size_t end;           /* no page from here on was ever used */
    _Atomic size_t taken; /* blocks out; relaxed */
    _Atomic size_t held;  /* blocks held; relaxed */
    uint32_t unused;      /* the first page with blocks to give back: index + 1; or LIST_END */
    bool runs, ends;      /* the thread; it is to end */
    pthread_t thread;
    pthread_cond_t wanted;
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
    pthread_cond_init(&made->wanted, NULL);
    made->unused = LIST_END;
    return made;
}

void shoal_pages__close(shoal_pages *pages)
{
    if (pages == NULL) return;
    SHOAL_ASSERT(pages->reserve != NULL);
    pthread_mutex_lock(&pages->lock);
    pages->ends = true;
    bool runs = pages->runs;
    pthread_cond_signal(&pages->wanted);
    pthread_mutex_unlock(&pages->lock);
    if (runs) pthread_join(pages->thread, NULL);
    munmap(pages->reserve, (RESERVE_PAGES + 1) * PAGE_SIZE);
    pthread_cond_destroy(&pages->wanted);
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

/* Gives the memory of these blocks of a page to the system, neighbours together. */
static void release(char *memory, uint32_t blocks)
{
    while (blocks != 0) {
        uint32_t first = (uint32_t)__builtin_ctz(blocks);
        uint32_t above = ~(blocks >> first);
        uint32_t count = above == 0 ? PAGE_BLOCKS : (uint32_t)__builtin_ctz(above);
        if (first + count > PAGE_BLOCKS) count = PAGE_BLOCKS - first;
        (void)madvise(memory + first * SHOAL_PAGES_BLOCK, count * SHOAL_PAGES_BLOCK, MADV_DONTNEED);
        uint32_t done = count == PAGE_BLOCKS ? PAGE_FULL : ((1u << count) - 1) << first;
        blocks &= ~done;
    }
}

/* Gives back what is unused of one page, if it is still little used. Under the lock, which it lets
 * go meanwhile. */
static void release_unused(shoal_pages *pages, size_t index)
{
    page *at = &pages->pages[index];
    uint32_t idle = at->held & ~at->out;
    if (idle == 0 || (uint32_t)__builtin_popcount(at->out) >= KEEP_BLOCKS) return;
    at->out |= idle;
    pthread_mutex_unlock(&pages->lock);
    release(pages->base + index * PAGE_SIZE, idle);
    pthread_mutex_lock(&pages->lock);
    SHOAL_ASSERT((at->out & idle) == idle);
    at->out &= ~idle;
    at->held &= ~idle;
    shoal_sub_relaxed(&pages->held, (size_t)__builtin_popcount(idle));
    if (index < pages->lowest) pages->lowest = index;
}

static void *give_back(void *argument)
{
    shoal_pages *pages = argument;
    const struct timespec pause = {0, PAUSE_NS}, page_pause = {0, PAGE_PAUSE_NS};
    pthread_mutex_lock(&pages->lock);
    while (!pages->ends) {
        if (pages->unused == LIST_END) {
            pthread_cond_wait(&pages->wanted, &pages->lock);
            pthread_mutex_unlock(&pages->lock);
            nanosleep(&pause, NULL);
            pthread_mutex_lock(&pages->lock);
            continue;
        }
        size_t index = pages->unused - 1;
        pages->unused = pages->pages[index].next;
        pages->pages[index].next = 0;
        release_unused(pages, index);
        pthread_mutex_unlock(&pages->lock);
        nanosleep(&page_pause, NULL);
        pthread_mutex_lock(&pages->lock);
    }
    pthread_mutex_unlock(&pages->lock);
    return NULL;
}

/* Lets the thread look at a page. Under the lock. */
static void list(shoal_pages *pages, size_t index)
{
    page *at = &pages->pages[index];
    if (at->next != 0) return;
    if (!pages->runs) pages->runs = pthread_create(&pages->thread, NULL, give_back, pages) == 0;
    /* Without it memory is kept. */
    if (!pages->runs) return;
    at->next = pages->unused;
    if (pages->unused == LIST_END) pthread_cond_signal(&pages->wanted);
    pages->unused = (uint32_t)index + 1;
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
    if ((uint32_t)__builtin_popcount(at->out) < KEEP_BLOCKS) list(pages, index);
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
