/* SPDX-License-Identifier: MIT
 *
 * node/pages.h: one reserve of address space, divided into huge pages of 32 blocks. A page has a
 * word that says which of its blocks are out, and which hold memory.
 *
 * What goes back to the system goes by a thread of its own, which sleeps until a page is mostly
 * unused, and waits a little more: a call that gives pages back takes some microseconds for each
 * block and holds up whoever makes it, and a hash of five million fields has thousands of blocks.
 * The thread takes the unused blocks of a page as anybody would, gives their memory away, and puts
 * them back without memory.
 *
 * The same thread asks the system for the next pages before they are needed: memory that was never
 * used has to be cleared, which costs who touches it first as much as it takes to fill it. A store
 * that is being loaded is filled by one thread, and another clears meanwhile.
 *
 * Claims:
 *   N1  A block is out of at most one hand: it is taken and given by a change of its page's word.
 *       What the last owner did to it is visible to the next.
 *   N2  Nobody waits for another. A change of a word is repeated only when another succeeded.
 *   N3  No page with a free block is below `lowest` for good: who gives a block makes the hint
 *       fall, and who makes it rise had seen every page below full since the last that was given.
 *   N4  A page of which little is out gets to the thread: who gives a block changes the word and
 *       then looks at `next`; the thread empties `next` and then changes the word. One of them
 *       comes first in the order of the word's changes, and the other sees what it did before.
 *   N5  A mapping that nobody needs is pushed to `remains`, and the thread takes all of them:
 *       whoever pushes the first one wakes it. What the last owner wrote there is of no interest.
 *   N6  A page that is made ready is in the thread's hand as a whole until its memory is there, so
 *       nobody touches it for the first time beside the thread; who needs a block meanwhile takes
 *       one of the next page.
 */
#include "pages.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "mapping.h"

#define PAGE_SIZE ((size_t)2 << 20)
#define PAGE_BLOCKS 32u
#define PAGE_FULL UINT32_MAX
/* Address space of the reserve: a tebibyte, an eighth of a percent of what a process has. */
#define RESERVE_PAGES ((uint32_t)512 << 10)
/* Where so much is not to be had in one piece (`ulimit -v`, a sanitizer that has most of it), half
 * of it is asked for, and so on, down to 64 GiB. */
#define RESERVE_PAGES_LEAST ((uint32_t)32 << 10)
/* With fewer blocks out, what is unused of a page goes to the system. A huge page that is mostly in
 * use is kept whole instead: the next block comes from it. */
#define KEEP_BLOCKS 16u
/* How long the thread waits before it gives pages back, so that what is taken again at once stays.
 * Chosen. */
#define PAUSE_NS 10000000
/* Between one huge page and the next: so that the thread never has a processor for long, and still
 * gives gigabytes back in a second. */
#define PAGE_PAUSE_NS 200000
/* Pages that are made ready ahead: at most so many, and never more than a part of those that are in
 * use, so that what a small node holds stays small. Chosen. */
#define AHEAD_MAX 3u
#define AHEAD_PART 16u
/* The end of the list of pages, and what says that a page is in no list; others are indices
 * plus 1. */
#define LIST_END UINT32_MAX

/* One huge page. */
typedef struct page {
    _Atomic uint64_t word; /* see blocks; pair: pages.block */
    _Atomic uint32_t next; /* in the list of pages to be looked at: 0 in none, else LIST_END or
                            * index + 1; pair: pages.next */
} page;

/* A mapping that is to go, in its own first bytes. */
typedef struct remains {
    struct remains *next;
    size_t size;
} remains;

/* What a word says: a bit for each block. */
typedef struct blocks {
    uint32_t out;  /* were taken */
    uint32_t held; /* have memory behind them; those that are out among them */
} blocks;

/* The hint where to look first. */
typedef struct hint {
    uint32_t lowest; /* no page below has a free block */
    uint32_t given;  /* counts blocks that were given, so that a raise from an old look fails */
} hint;

/* The thread. */
enum { THREAD_NONE, THREAD_STARTS, THREAD_RUNS };

struct shoal_pages {
    char *base;            /* of the first page */
    void *reserve;         /* as mapped */
    uint32_t limit;        /* pages from `base` on; one more is mapped, so that `base` is aligned */
    _Atomic uint64_t hint; /* pair: pages.hint */
    _Atomic uint32_t end;  /* pages from here on were never used; relaxed */
    _Atomic uint32_t ahead;        /* pages below are to be made ready; relaxed: a wish */
    _Atomic size_t taken;          /* blocks out; relaxed */
    _Atomic size_t held;           /* blocks held; relaxed */
    _Atomic size_t mapped;         /* bytes of mappings; relaxed */
    _Atomic(remains *) remains;    /* mappings to be returned; pair: pages.remains */
    _Atomic uint32_t unused;       /* the first page with blocks to give back; pair: pages.unused */
    _Atomic uint32_t thread_state; /* pair: pages.thread */
    _Atomic bool ends;             /* the thread is to end; relaxed, the wake behind it orders it */
    pthread_t thread;
    uint32_t ready_first; /* the thread's: no page below that it made ready is unlooked at */
    int wanted; /* an eventfd that the thread reads: who gives a block never waits for it */
    page pages[RESERVE_PAGES];
};

static uint64_t word_of(blocks are)
{
    return (uint64_t)are.held << 32 | are.out;
}

static blocks blocks_of(uint64_t word)
{
    return (blocks){.out = (uint32_t)word, .held = (uint32_t)(word >> 32)};
}

/* True when the thread is to give what a page holds for nobody back to the system. */
static bool is_little_used(blocks are)
{
    SHOAL_ASSERT((are.out & ~are.held) == 0);
    return (are.held & ~are.out) != 0 && (uint32_t)__builtin_popcount(are.out) < KEEP_BLOCKS;
}

static uint64_t word_of_hint(hint at)
{
    return (uint64_t)at.given << 32 | at.lowest;
}

static hint hint_of(uint64_t word)
{
    return (hint){.lowest = (uint32_t)word, .given = (uint32_t)(word >> 32)};
}

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
    made->limit = RESERVE_PAGES;
    while ((made->reserve = map((made->limit + 1) * PAGE_SIZE)) == NULL &&
           made->limit > RESERVE_PAGES_LEAST)
        made->limit /= 2;
    if (made->reserve == NULL) {
        munmap(made, sizeof *made);
        return NULL;
    }
    uintptr_t base = ((uintptr_t)made->reserve + PAGE_SIZE - 1) & ~(uintptr_t)(PAGE_SIZE - 1);
    made->base = (char *)base;
    /* Advice: without huge pages the blocks are as good as any. */
    (void)madvise(made->base, made->limit * PAGE_SIZE, MADV_HUGEPAGE);
    made->wanted = eventfd(0, EFD_CLOEXEC);
    made->ready_first = UINT32_MAX;
    shoal_store_relaxed(&made->unused, LIST_END);
    return made;
}

static void wake(shoal_pages *pages)
{
    const uint64_t one = 1;
    ssize_t written = write(pages->wanted, &one, sizeof one);
    SHOAL_ASSERT(written == (ssize_t)sizeof one);
}

/* Returns the mappings that are to go, from their ends on, a huge page at a time: the system is
 * busy for some 40 us a MiB, and holds up who wants memory meanwhile. */
static void return_mappings(shoal_pages *pages)
{
    const struct timespec pause = {0, PAGE_PAUSE_NS};
    /* Claim N5. pair: pages.remains */
    remains *next = shoal_exchange_acquire(&pages->remains, (remains *)NULL);
    while (next != NULL) {
        remains *last = next;
        size_t size = last->size;
        next = last->next;
        SHOAL_ASSERT(size > 0);
        while (size > PAGE_SIZE) {
            size -= PAGE_SIZE;
            shoal_mapping__give((char *)last + size, PAGE_SIZE);
            shoal_sub_relaxed(&pages->mapped, PAGE_SIZE);
            if (!shoal_load_relaxed(&pages->ends)) nanosleep(&pause, NULL);
        }
        shoal_mapping__give(last, size);
        shoal_sub_relaxed(&pages->mapped, size);
    }
}

void shoal_pages__close(shoal_pages *pages)
{
    if (pages == NULL) return;
    SHOAL_ASSERT(pages->reserve != NULL);
    /* pair: pages.thread */
    if (shoal_load_acquire(&pages->thread_state) == THREAD_RUNS) {
        shoal_store_relaxed(&pages->ends, true);
        wake(pages);
        pthread_join(pages->thread, NULL);
    }
    return_mappings(pages);
    munmap(pages->reserve, (pages->limit + 1) * PAGE_SIZE);
    if (pages->wanted >= 0) close(pages->wanted);
    munmap(pages, sizeof *pages);
}

bool shoal_pages__owns(const shoal_pages *pages, const void *memory)
{
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)pages->base;
    return offset < pages->limit * PAGE_SIZE;
}

/* Takes a block of a page; NULL when all are out. */
static char *take_of(shoal_pages *pages, uint32_t index)
{
    page *at = &pages->pages[index];
    char *memory = pages->base + index * PAGE_SIZE;
    uint64_t word = shoal_load_relaxed(&at->word);
    for (;;) {
        blocks are = blocks_of(word);
        SHOAL_ASSERT((are.out & ~are.held) == 0);
        if (are.out == PAGE_FULL) return NULL;
        /* Blocks with memory come first. */
        uint32_t ready = are.held & ~are.out;
        uint32_t bit = (uint32_t)__builtin_ctz(ready != 0 ? ready : ~are.out);
        blocks then = {.out = are.out | 1u << bit, .held = are.held | 1u << bit};
        /* Claim N1. pair: pages.block */
        if (!shoal_cas_acquire(&at->word, &word, word_of(then))) continue;
        if (ready == 0) shoal_add_relaxed(&pages->held, 1);
        shoal_add_relaxed(&pages->taken, 1);
        return memory + bit * SHOAL_PAGES_BLOCK;
    }
}

static bool has_thread(shoal_pages *pages);

/* Pages below `end` are in use: those behind will soon be. */
static void move_end(shoal_pages *pages, uint32_t end)
{
    uint32_t before = shoal_load_relaxed(&pages->end);
    while (before < end && !shoal_cas_relaxed(&pages->end, &before, end)) continue;
    uint32_t count = end / AHEAD_PART < AHEAD_MAX ? end / AHEAD_PART : AHEAD_MAX;
    SHOAL_ASSERT(end <= pages->limit);
    if (before >= end || count == 0 || !has_thread(pages)) return;
    shoal_store_relaxed(&pages->ahead, count < pages->limit - end ? end + count : pages->limit);
    wake(pages);
}

void *shoal_pages__take(shoal_pages *pages)
{
    SHOAL_ASSERT(pages->base != NULL);
    /* pair: pages.hint */
    uint64_t seen = shoal_load_acquire(&pages->hint);
    hint from = hint_of(seen);
    char *block = NULL;
    uint32_t index = from.lowest;
    while (index < pages->limit && (block = take_of(pages, index)) == NULL) index++;
    /* Claim N3. When it does not succeed, others look at these pages once more. */
    hint raised = {.lowest = index, .given = from.given};
    if (index > from.lowest) (void)shoal_cas_acq_rel(&pages->hint, &seen, word_of_hint(raised));
    if (block != NULL && index >= shoal_load_relaxed(&pages->end)) move_end(pages, index + 1);
    return block;
}

/* Says that a page has a free block. Claim N3. */
static void lower(shoal_pages *pages, uint32_t index)
{
    SHOAL_ASSERT(index < RESERVE_PAGES);
    uint64_t word = shoal_load_relaxed(&pages->hint);
    uint64_t wanted;
    do {
        hint now = hint_of(word);
        wanted = word_of_hint(
            (hint){.lowest = index < now.lowest ? index : now.lowest, .given = now.given + 1});
        /* pair: pages.hint */
    } while (!shoal_cas_acq_rel(&pages->hint, &word, wanted));
}

/* Gives the memory of these blocks of a page to the system, neighbours together. */
static void release(char *memory, uint32_t which)
{
    while (which != 0) {
        uint32_t first = (uint32_t)__builtin_ctz(which);
        uint32_t above = ~(which >> first);
        uint32_t count = above == 0 ? PAGE_BLOCKS : (uint32_t)__builtin_ctz(above);
        if (first + count > PAGE_BLOCKS) count = PAGE_BLOCKS - first;
        (void)madvise(memory + first * SHOAL_PAGES_BLOCK, count * SHOAL_PAGES_BLOCK, MADV_DONTNEED);
        uint32_t done = count == PAGE_BLOCKS ? PAGE_FULL : ((1u << count) - 1) << first;
        which &= ~done;
    }
}

/* Lets the thread look at a page of which little is out. Claim N4. */
static void list(shoal_pages *pages, uint32_t index)
{
    uint32_t next = 0;
    /* Who makes it something else than 0 puts the page into the list. pair: pages.next */
    if (!shoal_cas_acq_rel(&pages->pages[index].next, &next, LIST_END)) return;
    uint32_t first = shoal_load_relaxed(&pages->unused);
    do {
        SHOAL_ASSERT(first != index + 1);
        shoal_store_relaxed(&pages->pages[index].next, first);
        /* pair: pages.unused */
    } while (!shoal_cas_release(&pages->unused, &first, index + 1));
    if (first == LIST_END) wake(pages);
}

/* Gives back what is unused of one page, if it is still little used. */
static void release_unused(shoal_pages *pages, uint32_t index)
{
    page *at = &pages->pages[index];
    /* A change, even though of nothing: claim N4. pair: pages.block */
    uint64_t word = shoal_or_acq_rel(&at->word, (uint64_t)0);
    uint32_t idle;
    do {
        blocks are = blocks_of(word);
        idle = are.held & ~are.out;
        if (!is_little_used(are)) return;
    } while (!shoal_cas_acq_rel(&at->word, &word, word | idle));
    release(pages->base + index * PAGE_SIZE, idle);
    /* They are in our hand: neither out nor held now. pair: pages.block */
    uint64_t before = shoal_and_acq_rel(&at->word, ~((uint64_t)idle << 32 | idle));
    SHOAL_ASSERT((blocks_of(before).out & idle) == idle);
    SHOAL_ASSERT((blocks_of(before).held & idle) == idle);
    shoal_sub_relaxed(&pages->held, (size_t)__builtin_popcount(idle));
    lower(pages, index);
    /* Who gave a block meanwhile took those in our hand for used ones. */
    blocks left = blocks_of(before & ~((uint64_t)idle << 32 | idle));
    if (is_little_used(left)) list(pages, index);
}

/* Takes a page that nobody has used, and puts it back with memory. Claim N6. */
static void make_ready(shoal_pages *pages, uint32_t index)
{
    const blocks all = {.out = PAGE_FULL, .held = PAGE_FULL};
    page *at = &pages->pages[index];
    char *memory = pages->base + index * PAGE_SIZE;
    uint64_t word = 0;
    /* pair: pages.block */
    if (!shoal_cas_acquire(&at->word, &word, word_of(all))) return;
    shoal_add_relaxed(&pages->held, PAGE_BLOCKS);
    /* Where the system gives small pages, each of them. */
    for (size_t i = 0; i < PAGE_SIZE; i += SHOAL_MAPPING_PAGE) memory[i] = 0;
    /* pair: pages.block */
    uint64_t before = shoal_and_acq_rel(&at->word, ~(uint64_t)PAGE_FULL);
    SHOAL_ASSERT(before == word_of(all));
    lower(pages, index);
}

/* Makes those pages ready that are wanted ahead. The wish grows while it is at work. */
static void make_all_ready(shoal_pages *pages)
{
    for (uint32_t at = 0; !shoal_load_relaxed(&pages->ends); at++) {
        uint32_t end = shoal_load_relaxed(&pages->end);
        if (at < end) at = end;
        if (at >= shoal_load_relaxed(&pages->ahead)) return;
        make_ready(pages, at);
        if (at < pages->ready_first) pages->ready_first = at;
    }
}

/* What was made ready and not used goes when other blocks come back: fewer are needed now. */
static void release_ready(shoal_pages *pages)
{
    uint32_t ahead = shoal_exchange_acq_rel(&pages->ahead, 0u);
    uint32_t end = shoal_load_relaxed(&pages->end);
    SHOAL_ASSERT(ahead <= pages->limit && end <= pages->limit);
    for (uint32_t at = pages->ready_first; at < ahead || at < end; at++) release_unused(pages, at);
    pages->ready_first = UINT32_MAX;
}

/* Is there anything to give back? A hint: who makes it true wakes the thread. */
static bool has_unused(const shoal_pages *pages)
{
    return shoal_load_relaxed(&pages->unused) != LIST_END ||
           shoal_load_relaxed(&pages->remains) != NULL;
}

/* The thread: makes pages ready, and sleeps until a page is listed, and looks at all that are. */
static void *give_back(void *argument)
{
    shoal_pages *pages = argument;
    pthread_setname_np(pthread_self(), "shoal-pages");
    const struct timespec pause = {0, PAUSE_NS}, page_pause = {0, PAGE_PAUSE_NS};
    while (!shoal_load_relaxed(&pages->ends)) {
        uint64_t wakes;
        if (read(pages->wanted, &wakes, sizeof wakes) < 0) SHOAL_ASSERT(errno == EINTR);
        make_all_ready(pages);
        if (!has_unused(pages)) continue;
        nanosleep(&pause, NULL);
        /* pair: pages.unused */
        uint32_t next = shoal_exchange_acquire(&pages->unused, LIST_END);
        while (next != LIST_END && !shoal_load_relaxed(&pages->ends)) {
            uint32_t index = next - 1;
            SHOAL_ASSERT(index < RESERVE_PAGES);
            /* Claim N4. pair: pages.next */
            next = shoal_exchange_acq_rel(&pages->pages[index].next, 0u);
            release_unused(pages, index);
            nanosleep(&page_pause, NULL);
        }
        release_ready(pages);
        return_mappings(pages);
    }
    return NULL;
}

/* True when the thread runs, or starts now. Without it memory is kept. */
static bool has_thread(shoal_pages *pages)
{
    uint32_t state = shoal_load_relaxed(&pages->thread_state);
    if (state != THREAD_NONE || pages->wanted < 0) return state != THREAD_NONE;
    if (!shoal_cas_relaxed(&pages->thread_state, &state, THREAD_STARTS)) return true;
    bool runs = pthread_create(&pages->thread, NULL, give_back, pages) == 0;
    /* pair: pages.thread */
    shoal_store_release(&pages->thread_state, runs ? THREAD_RUNS : THREAD_NONE);
    return runs;
}

void shoal_pages__give(shoal_pages *pages, void *block)
{
    SHOAL_ASSERT(shoal_pages__owns(pages, block));
    size_t offset = (size_t)((char *)block - pages->base);
    SHOAL_ASSERT(offset % SHOAL_PAGES_BLOCK == 0);
    uint32_t index = (uint32_t)(offset / PAGE_SIZE);
    uint32_t bit = (uint32_t)(offset % PAGE_SIZE / SHOAL_PAGES_BLOCK);
    shoal_sub_relaxed(&pages->taken, 1);
    /* Claim N1. pair: pages.block */
    uint64_t before = shoal_and_acq_rel(&pages->pages[index].word, ~((uint64_t)1 << bit));
    SHOAL_ASSERT(blocks_of(before).out & 1u << bit);
    lower(pages, index);
    blocks left = blocks_of(before & ~((uint64_t)1 << bit));
    if (is_little_used(left) && has_thread(pages)) list(pages, index);
}

size_t shoal_pages__taken(const shoal_pages *pages)
{
    return shoal_load_relaxed(&pages->taken) * SHOAL_PAGES_BLOCK;
}

size_t shoal_pages__held(const shoal_pages *pages)
{
    return shoal_load_relaxed(&pages->held) * SHOAL_PAGES_BLOCK;
}

/* ---- mappings ---- */

void *shoal_pages__map(shoal_pages *pages, size_t size)
{
    void *memory = shoal_mapping__take(size);
    if (memory != NULL) shoal_add_relaxed(&pages->mapped, shoal_mapping__size(size));
    return memory;
}

void *shoal_pages__remap(shoal_pages *pages, void *memory, size_t size, size_t size_new)
{
    void *moved = shoal_mapping__resize(memory, size, size_new);
    size_t grown = shoal_mapping__size(size_new) - shoal_mapping__size(size);
    if (moved != NULL) shoal_add_relaxed(&pages->mapped, grown);
    return moved;
}

void shoal_pages__unmap(shoal_pages *pages, void *memory, size_t size)
{
    size = shoal_mapping__size(size);
    SHOAL_ASSERT(size <= shoal_load_relaxed(&pages->mapped));
    if (size <= PAGE_SIZE || !has_thread(pages)) {
        shoal_mapping__give(memory, size);
        shoal_sub_relaxed(&pages->mapped, size);
        return;
    }
    remains *left = memory;
    remains *first = shoal_load_relaxed(&pages->remains);
    left->size = size;
    do {
        left->next = first;
        /* Claim N5. pair: pages.remains */
    } while (!shoal_cas_release(&pages->remains, &first, left));
    if (first == NULL) wake(pages);
}

size_t shoal_pages__mapped(const shoal_pages *pages)
{
    return shoal_load_relaxed(&pages->mapped);
}
