/* SPDX-License-Identifier: MIT
 *
 * node/pages.h: one reserve of address space, divided into pages of 2 MiB with 32 blocks each. A
 * page has a word that says which of its blocks are out, and which hold memory. The lower half of
 * the reserve are huge pages; the upper half are plain ones, which the system fills by 4 KiB as
 * they are touched.
 *
 * The system clears a huge page when it is touched first, as a whole. Here that takes 0.2 ms, and 4
 * to 8 ms in a virtual machine whose host has to find each 4 KiB behind it: no thread that serves
 * may do that. A thread of its own touches huge pages before they are needed, which also lets one
 * thread fill a store while another clears memory for it. Who needs a block when none is ready
 * takes one of a plain page. And the thread stands back for others (node/turns.h): it lets go of
 * its processor in the middle of a page.
 *
 * What goes back to the system goes by the same thread, which sleeps until a page is mostly unused,
 * and waits a little more: a call that gives pages back takes some microseconds for each block and
 * holds up whoever makes it, and a hash of five million fields has thousands of blocks. The thread
 * takes the unused blocks of a page as anybody would, gives their memory away, and puts them back
 * without memory.
 *
 * Claims:
 *   N1  A block is out of at most one hand: it is taken and given by a change of its page's word.
 *       What the last owner did to it is visible to the next.
 *   N2  Nobody waits for another. A change of a word is repeated only when another succeeded.
 *   N3  No page with a block to take is below `lowest` for good: who gives a block or makes a page
 *       ready makes the hint fall, and who makes it rise had seen nothing to take in any page below
 *       since it last fell.
 *   N4  A page of which little is out gets to the thread: who gives a block changes the word and
 *       then looks at `next`; the thread empties `next` and then changes the word. One of them
 *       comes first in the order of the word's changes, and the other sees what it did before.
 *   N5  A mapping that nobody needs is pushed to `remains`, and the thread takes all of them:
 *       whoever pushes the first one wakes it. What the last owner wrote there is of no interest.
 *   N6  The first touch of a huge page is the thread's: nobody else takes a block of a page that
 *       holds nothing, and the thread puts such a page into its hand as a whole until its memory is
 *       there. What others touch first are 4 KiB: of a plain page, or of a huge one of which a part
 *       went back to the system.
 *   N7  A wish for pages gets to the thread: who takes a block counts it and then makes `asked`
 *       true; the thread makes `asked` false and then counts. Who finds it true already came first,
 *       and the thread sees what it counted; who finds it false wakes the thread.
 */
#include "pages.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "clock.h"
#include "mapping.h"
#include "turns.h"

#define PAGE_SIZE ((size_t)2 << 20)
#define PAGE_BLOCKS 32u
#define PAGE_FULL UINT32_MAX
/* Address space of the reserve: a tebibyte, an eighth of a percent of what a process has. Half of
 * it are huge pages. */
#define RESERVE_PAGES ((uint32_t)512 << 10)
/* Where so much is not to be had in one piece (`ulimit -v`, a sanitizer that has most of it), half
 * of it is asked for, and so on, down to 64 GiB. */
#define RESERVE_PAGES_LEAST ((uint32_t)32 << 10)
/* With fewer blocks out, what is unused of a huge page goes to the system. One that is mostly in
 * use is kept whole instead: the next block comes from it. */
#define KEEP_BLOCKS 16u
/* How long the thread waits before it gives pages back, so that what is taken again at once stays.
 * Chosen. */
#define PAUSE_US 10000
/* Between one huge page and the next: so that the thread never has a processor for long, and still
 * gives gigabytes back in a second. */
#define PAGE_PAUSE_US 200
/* Blocks of huge pages that are kept ready: at most so many, and never more than a part of those
 * that are in use (and what a page has beyond), so that what a small node holds stays small. At a
 * hundred megabytes a second 6 MiB last for 60 ms, in which the thread gets a processor. Chosen. */
#define READY_MAX (3 * PAGE_BLOCKS)
#define READY_PART 16u
/* The end of the list of pages, and what says that a page is in no list; others are indices
 * plus 1. */
#define LIST_END UINT32_MAX

/* One page of 2 MiB, huge or plain. */
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

/* One half of the reserve. */
typedef struct half {
    uint32_t first, limit; /* its pages: from, and up to here, not included */
    _Atomic uint64_t hint; /* pair: pages.hint */
    _Atomic uint32_t end;  /* pages from here on hold nothing; relaxed */
    _Atomic size_t taken;  /* blocks out; relaxed */
    _Atomic size_t held;   /* blocks held; relaxed */
} half;

/* The thread. */
enum { THREAD_NONE, THREAD_STARTS, THREAD_RUNS };

struct shoal_pages {
    char *base;     /* of the first page */
    void *reserve;  /* as mapped */
    uint32_t limit; /* pages from `base` on; one more is mapped, so that `base` is aligned */
    half huge, plain;
    _Atomic bool asked;    /* the thread is to look whether enough is ready; pair: pages.asked */
    _Atomic size_t mapped; /* bytes of mappings; relaxed */
    _Atomic(remains *) remains;    /* mappings to be returned; pair: pages.remains */
    _Atomic uint32_t unused;       /* the first page with blocks to give back; pair: pages.unused */
    _Atomic uint32_t thread_state; /* pair: pages.thread */
    _Atomic bool ends;             /* the thread is to end; relaxed, the wake behind it orders it */
    pthread_t thread;
    uint32_t kept_first;   /* the thread's: below, no page was made ready or kept that nobody has
                            * looked at since, though little may be out of it */
    uint32_t vacant_first; /* the thread's: no huge page below holds nothing */
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

/* True when the thread is to give what a page holds for nobody back to the system: of a plain page
 * always, since the next block comes from a huge one. */
static bool is_little_used(const shoal_pages *pages, uint32_t index, blocks are)
{
    SHOAL_ASSERT((are.out & ~are.held) == 0);
    if ((are.held & ~are.out) == 0) return false;
    return index >= pages->huge.limit || (uint32_t)__builtin_popcount(are.out) < KEEP_BLOCKS;
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

static size_t offset_of(uint32_t index)
{
    return index * PAGE_SIZE;
}

/* Divides the reserve into its halves. */
static void lay_out(shoal_pages *pages)
{
    half *huge = &pages->huge, *plain = &pages->plain;
    huge->limit = plain->first = pages->limit / 2;
    plain->limit = pages->limit;
    shoal_store_relaxed(&plain->end, plain->first);
    shoal_store_relaxed(&plain->hint, word_of_hint((hint){.lowest = plain->first}));
    SHOAL_ASSERT(huge->first < huge->limit && plain->first < plain->limit);
    /* Advice: without huge pages the blocks are as good as any. */
    char *middle = pages->base + offset_of(plain->first);
    (void)madvise(pages->base, offset_of(huge->limit), MADV_HUGEPAGE);
    (void)madvise(middle, offset_of(plain->limit - plain->first), MADV_NOHUGEPAGE);
}

static half *half_of(shoal_pages *pages, uint32_t index)
{
    SHOAL_ASSERT(index < pages->limit);
    return index < pages->huge.limit ? &pages->huge : &pages->plain;
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
    lay_out(made);
    made->wanted = eventfd(0, EFD_CLOEXEC);
    made->kept_first = UINT32_MAX;
    shoal_store_relaxed(&made->unused, LIST_END);
    return made;
}

static void wake(shoal_pages *pages)
{
    const uint64_t one = 1;
    ssize_t written = write(pages->wanted, &one, sizeof one);
    SHOAL_ASSERT(written == (ssize_t)sizeof one);
}

bool shoal_pages__owns(const shoal_pages *pages, const void *memory)
{
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)pages->base;
    return offset < pages->limit * PAGE_SIZE;
}

/* Takes a block of a page; NULL when all are out, or it is a huge page that holds nothing. */
static char *take_of(shoal_pages *pages, half *of, uint32_t index)
{
    page *at = &pages->pages[index];
    char *memory = pages->base + offset_of(index);
    uint64_t word = shoal_load_relaxed(&at->word);
    for (;;) {
        blocks are = blocks_of(word);
        SHOAL_ASSERT((are.out & ~are.held) == 0);
        if (are.out == PAGE_FULL) return NULL;
        /* Claim N6. */
        if (are.held == 0 && of == &pages->huge) return NULL;
        /* Blocks with memory come first. */
        uint32_t ready = are.held & ~are.out;
        uint32_t bit = (uint32_t)__builtin_ctz(ready != 0 ? ready : ~are.out);
        blocks then = {.out = are.out | 1u << bit, .held = are.held | 1u << bit};
        /* Claim N1. pair: pages.block */
        if (!shoal_cas_acquire(&at->word, &word, word_of(then))) continue;
        if (ready == 0) shoal_add_relaxed(&of->held, 1);
        shoal_add_relaxed(&of->taken, 1);
        return memory + bit * SHOAL_PAGES_BLOCK;
    }
}

/* Pages below `end` hold something, or did. */
static void move_end(half *of, uint32_t end)
{
    uint32_t before = shoal_load_relaxed(&of->end);
    SHOAL_ASSERT(end > of->first && end <= of->limit);
    while (before < end && !shoal_cas_relaxed(&of->end, &before, end)) continue;
}

/* Takes a block of one half; NULL when all are out that may be taken. */
static char *take_from(shoal_pages *pages, half *of)
{
    /* pair: pages.hint */
    uint64_t seen = shoal_load_acquire(&of->hint);
    hint from = hint_of(seen);
    char *block = NULL;
    uint32_t index = from.lowest;
    uint32_t bound = of == &pages->huge ? shoal_load_relaxed(&of->end) : of->limit;
    while (index < bound && (block = take_of(pages, of, index)) == NULL) index++;
    /* Claim N3. When it does not succeed, others look at these pages once more. */
    hint raised = {.lowest = index, .given = from.given};
    if (index > from.lowest) (void)shoal_cas_acq_rel(&of->hint, &seen, word_of_hint(raised));
    if (block != NULL && index >= shoal_load_relaxed(&of->end)) move_end(of, index + 1);
    return block;
}

/* Blocks of huge pages that hold memory and are not out, and how many of them there should be. The
 * counts move one after the other. */
static size_t ready_of(const half *of)
{
    size_t taken = shoal_load_relaxed(&of->taken), held = shoal_load_relaxed(&of->held);
    return held > taken ? held - taken : 0;
}

static size_t ready_wanted(const shoal_pages *pages)
{
    size_t taken = shoal_load_relaxed(&pages->huge.taken) + shoal_load_relaxed(&pages->plain.taken);
    return taken / READY_PART < READY_MAX ? taken / READY_PART : READY_MAX;
}

/* True when huge pages are to be made ready. */
static bool is_short(const shoal_pages *pages)
{
    return ready_of(&pages->huge) < ready_wanted(pages);
}

static bool has_thread(shoal_pages *pages);

void *shoal_pages__take(shoal_pages *pages)
{
    SHOAL_ASSERT(pages->base != NULL);
    char *block = take_from(pages, &pages->huge);
    if (block == NULL) block = take_from(pages, &pages->plain);
    /* Claim N7. pair: pages.asked */
    if (is_short(pages) && has_thread(pages) && !shoal_exchange_acq_rel(&pages->asked, true))
        wake(pages);
    return block;
}

/* Says that a page has a free block. Claim N3. */
static void lower(shoal_pages *pages, uint32_t index)
{
    half *of = half_of(pages, index);
    uint64_t word = shoal_load_relaxed(&of->hint);
    uint64_t wanted;
    do {
        hint now = hint_of(word);
        wanted = word_of_hint(
            (hint){.lowest = index < now.lowest ? index : now.lowest, .given = now.given + 1});
        /* pair: pages.hint */
    } while (!shoal_cas_acq_rel(&of->hint, &word, wanted));
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

/* True when so much less of huge pages that is ready would be too little. */
static bool is_needed(const shoal_pages *pages, uint32_t index, uint32_t count)
{
    if (index >= pages->huge.limit) return false;
    return ready_of(&pages->huge) < ready_wanted(pages) + count;
}

/* Gives back what is unused of one page, if it is still little used. Of a page of which nothing is
 * out all blocks come into our hand, so that it goes as a whole. */
static void release_unused(shoal_pages *pages, uint32_t index)
{
    page *at = &pages->pages[index];
    half *of = half_of(pages, index);
    /* A change, even though of nothing: claim N4. pair: pages.block */
    uint64_t word = shoal_or_acq_rel(&at->word, (uint64_t)0);
    uint32_t idle, mine;
    do {
        blocks are = blocks_of(word);
        idle = are.held & ~are.out;
        mine = are.out == 0 ? PAGE_FULL : idle;
        if (!is_little_used(pages, index, are)) return;
        if (is_needed(pages, index, (uint32_t)__builtin_popcount(idle))) {
            if (index < pages->kept_first) pages->kept_first = index;
            return;
        }
    } while (!shoal_cas_acq_rel(&at->word, &word, word | (uint64_t)mine << 32 | mine));
    release(pages->base + offset_of(index), mine);
    /* They are in our hand: neither out nor held now. pair: pages.block */
    uint64_t before = shoal_and_acq_rel(&at->word, ~((uint64_t)mine << 32 | mine));
    SHOAL_ASSERT((blocks_of(before).out & mine) == mine);
    SHOAL_ASSERT((blocks_of(before).held & mine) == mine);
    shoal_sub_relaxed(&of->held, (size_t)__builtin_popcount(idle));
    lower(pages, index);
    /* Who gave a block meanwhile took those in our hand for used ones. */
    blocks left = blocks_of(before & ~((uint64_t)mine << 32 | mine));
    if (is_little_used(pages, index, left)) list(pages, index);
    if (left.held == 0 && index < pages->vacant_first) pages->vacant_first = index;
}

/* Takes a huge page that holds nothing, and puts it back with memory. False when it holds
 * something. Claim N6. */
static bool make_ready(shoal_pages *pages, uint32_t index)
{
    const blocks all = {.out = PAGE_FULL, .held = PAGE_FULL};
    page *at = &pages->pages[index];
    char *memory = pages->base + offset_of(index);
    uint64_t word = 0;
    /* pair: pages.block */
    if (!shoal_cas_acquire(&at->word, &word, word_of(all))) return false;
    /* Where the system gives small pages, each of them. */
    for (size_t i = 0; i < PAGE_SIZE; i += SHOAL_MAPPING_PAGE) memory[i] = 0;
    shoal_add_relaxed(&pages->huge.held, PAGE_BLOCKS);
    /* pair: pages.block */
    uint64_t before = shoal_and_acq_rel(&at->word, ~(uint64_t)PAGE_FULL);
    SHOAL_ASSERT(before == word_of(all));
    move_end(&pages->huge, index + 1);
    lower(pages, index);
    if (index < pages->kept_first) pages->kept_first = index;
    return true;
}

/* Makes as many pages ready as are wanted, and the wish may grow meanwhile. */
static void make_all_ready(shoal_pages *pages)
{
    /* Claim N7. pair: pages.asked */
    (void)shoal_exchange_acq_rel(&pages->asked, false);
    while (!shoal_load_relaxed(&pages->ends) && is_short(pages)) {
        uint32_t at = pages->vacant_first;
        while (at < pages->huge.limit && !make_ready(pages, at)) at++;
        pages->vacant_first = at;
        if (at == pages->huge.limit) return;
    }
}

/* Lets so long pass, or less at the end; makes pages ready meanwhile when it is asked for them. */
static void rest(shoal_pages *pages, int64_t us)
{
    struct pollfd woken = {.fd = pages->wanted, .events = POLLIN};
    int64_t until_us = shoal_clock_read(CLOCK_MONOTONIC) + us;
    while (us > 0 && !shoal_load_relaxed(&pages->ends)) {
        const struct timespec left = {0, us * 1000};
        uint64_t wakes;
        SHOAL_ASSERT(us < 1000000);
        if (ppoll(&woken, 1, &left, NULL) > 0)
            if (read(pages->wanted, &wakes, sizeof wakes) < 0) SHOAL_ASSERT(errno == EINTR);
        make_all_ready(pages);
        us = until_us - shoal_clock_read(CLOCK_MONOTONIC);
    }
}

/* Returns the mappings that are to go, from their ends on, a huge page at a time: the system is
 * busy for some 40 us a MiB, and holds up who wants memory meanwhile. */
static void return_mappings(shoal_pages *pages)
{
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
            rest(pages, PAGE_PAUSE_US);
        }
        shoal_mapping__give(last, size);
        shoal_sub_relaxed(&pages->mapped, size);
    }
}

/* Is there anything to give back? A hint: who makes it true wakes the thread. */
static bool has_unused(const shoal_pages *pages)
{
    return shoal_load_relaxed(&pages->unused) != LIST_END ||
           shoal_load_relaxed(&pages->remains) != NULL;
}

/* Looks at the pages that are listed, and at those that were kept: of them fewer may be needed
 * now. */
static void release_listed(shoal_pages *pages)
{
    /* pair: pages.unused */
    uint32_t next = shoal_exchange_acquire(&pages->unused, LIST_END);
    while (next != LIST_END && !shoal_load_relaxed(&pages->ends)) {
        uint32_t index = next - 1;
        SHOAL_ASSERT(index < RESERVE_PAGES);
        /* Claim N4. pair: pages.next */
        next = shoal_exchange_acq_rel(&pages->pages[index].next, 0u);
        release_unused(pages, index);
        rest(pages, PAGE_PAUSE_US);
    }
    uint32_t at = pages->kept_first;
    pages->kept_first = UINT32_MAX;
    for (; at < shoal_load_relaxed(&pages->huge.end); at++)
        if (is_little_used(pages, at, blocks_of(shoal_load_relaxed(&pages->pages[at].word))))
            release_unused(pages, at);
}

/* The thread: makes pages ready, and sleeps until a page is listed, and looks at all that are. */
static void *run(void *argument)
{
    shoal_pages *pages = argument;
    pthread_setname_np(pthread_self(), "shoal-pages");
    shoal_turns__stand_back();
    while (!shoal_load_relaxed(&pages->ends)) {
        uint64_t wakes;
        make_all_ready(pages);
        if (has_unused(pages)) {
            rest(pages, PAUSE_US);
            release_listed(pages);
            return_mappings(pages);
        } else if (read(pages->wanted, &wakes, sizeof wakes) < 0) {
            SHOAL_ASSERT(errno == EINTR);
        }
    }
    return NULL;
}

/* True when the thread runs, or starts now. Without it memory is kept. */
static bool has_thread(shoal_pages *pages)
{
    uint32_t state = shoal_load_relaxed(&pages->thread_state);
    if (state != THREAD_NONE || pages->wanted < 0) return state != THREAD_NONE;
    if (!shoal_cas_relaxed(&pages->thread_state, &state, THREAD_STARTS)) return true;
    bool runs = pthread_create(&pages->thread, NULL, run, pages) == 0;
    /* pair: pages.thread */
    shoal_store_release(&pages->thread_state, runs ? THREAD_RUNS : THREAD_NONE);
    return runs;
}

void shoal_pages__close(shoal_pages *pages)
{
    if (pages == NULL) return;
    SHOAL_ASSERT(pages->reserve != NULL);
    shoal_store_relaxed(&pages->ends, true);
    /* pair: pages.thread */
    if (shoal_load_acquire(&pages->thread_state) == THREAD_RUNS) {
        wake(pages);
        pthread_join(pages->thread, NULL);
    }
    return_mappings(pages);
    munmap(pages->reserve, (pages->limit + 1) * PAGE_SIZE);
    if (pages->wanted >= 0) close(pages->wanted);
    munmap(pages, sizeof *pages);
}

void shoal_pages__give(shoal_pages *pages, void *block)
{
    SHOAL_ASSERT(shoal_pages__owns(pages, block));
    size_t offset = (size_t)((char *)block - pages->base);
    SHOAL_ASSERT(offset % SHOAL_PAGES_BLOCK == 0);
    uint32_t index = (uint32_t)(offset / PAGE_SIZE);
    uint32_t bit = (uint32_t)(offset % PAGE_SIZE / SHOAL_PAGES_BLOCK);
    shoal_sub_relaxed(&half_of(pages, index)->taken, 1);
    /* Claim N1. pair: pages.block */
    uint64_t before = shoal_and_acq_rel(&pages->pages[index].word, ~((uint64_t)1 << bit));
    SHOAL_ASSERT(blocks_of(before).out & 1u << bit);
    lower(pages, index);
    blocks left = blocks_of(before & ~((uint64_t)1 << bit));
    if (is_little_used(pages, index, left) && has_thread(pages)) list(pages, index);
}

size_t shoal_pages__taken(const shoal_pages *pages)
{
    size_t taken = shoal_load_relaxed(&pages->huge.taken) + shoal_load_relaxed(&pages->plain.taken);
    return taken * SHOAL_PAGES_BLOCK;
}

size_t shoal_pages__held(const shoal_pages *pages)
{
    size_t held = shoal_load_relaxed(&pages->huge.held) + shoal_load_relaxed(&pages->plain.held);
    return held * SHOAL_PAGES_BLOCK;
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
