/* SPDX-License-Identifier: MIT
 *
 * The blocks of node/pages.h in the hands of several threads, while the thread of its own gives
 * memory back and makes it ready: what an owner writes stays until it gives the block, no block is
 * in two hands, the sums are right, what nobody needs goes back to the system, and nobody but the
 * thread waits for a huge page (claims N1 to N7 of pages.c).
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/prng.h"
#include "node/pages.h"
#include "support/test.h"

#define THREADS 3u
#define HELD 200u
#define STEPS 500000u
#define SMALL_PAGE ((size_t)4096)

typedef struct member {
    shoal_pages *pages;
    uint64_t *blocks[HELD];
    uint64_t stamp; /* differs for all members */
    const char *complaint;
    pthread_t id;
} member;

/* The words of a block that are written: its ends and some between. */
static void stamp(uint64_t *block, uint64_t value)
{
    for (size_t i = 0; i < SHOAL_PAGES_BLOCK / sizeof *block; i += 509) block[i] = value + i;
}

static bool is_stamped(const uint64_t *block, uint64_t value)
{
    for (size_t i = 0; i < SHOAL_PAGES_BLOCK / sizeof *block; i += 509)
        if (block[i] != value + i) return false;
    return true;
}

static bool give(const member *self, uint64_t *block)
{
    bool right = is_stamped(block, self->stamp + (uintptr_t)block);
    shoal_pages__give(self->pages, block);
    return right;
}

/* Swings between few blocks and many, so that whole pages become unused and are taken again. */
static void *run_member(void *argument)
{
    member *self = argument;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){5, self->stamp}, 0, 0);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t **at = &self->blocks[shoal_prng_below(&prng, HELD)];
        bool takes = shoal_prng_below(&prng, 8) < (i / 3000 % 2 == 0 ? 7 : 1);
        if (*at != NULL && !takes) {
            if (!give(self, *at)) self->complaint = "another wrote to a block";
            *at = NULL;
        } else if (*at == NULL && takes) {
            *at = shoal_pages__take(self->pages);
            if (*at == NULL) self->complaint = "no block";
            if (*at != NULL) stamp(*at, self->stamp + (uintptr_t)*at);
        }
    }
    return NULL;
}

static void sleep_a_millisecond(void)
{
    nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void a_block_is_in_one_hand_and_unused_memory_goes_back(void **state)
{
    (void)state;
    static member members[THREADS];
    shoal_pages *pages = shoal_pages__open();
    assert_non_null(pages);
    for (uint32_t i = 0; i < THREADS; i++) {
        members[i] = (member){.pages = pages, .stamp = (uint64_t)(i + 1) << 56};
        assert_int_equal(pthread_create(&members[i].id, NULL, run_member, &members[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(members[i].id, NULL);
        if (members[i].complaint != NULL) fail_msg("%s", members[i].complaint);
    }
    size_t out = 0;
    for (uint32_t i = 0; i < THREADS * HELD; i++) out += members[i / HELD].blocks[i % HELD] != NULL;
    assert_int_equal(shoal_pages__taken(pages), out * SHOAL_PAGES_BLOCK);
    for (uint32_t i = 0; i < THREADS * HELD; i++) {
        uint64_t *block = members[i / HELD].blocks[i % HELD];
        if (block != NULL) assert_true(give(&members[i / HELD], block));
    }
    assert_int_equal(shoal_pages__taken(pages), 0);
    while (shoal_pages__held(pages) > 0) sleep_a_millisecond();
    shoal_pages__close(pages);
}

/* Takes a block, and waits until others are ready. */
static char *take_and_wait(shoal_pages *pages)
{
    char *block = shoal_pages__take(pages);
    assert_non_null(block);
    while (shoal_pages__held(pages) <= shoal_pages__taken(pages)) sleep_a_millisecond();
    return block;
}

static void the_lowest_free_block_is_taken_first(void **state)
{
    (void)state;
    enum { PLAIN = 16, COUNT = 100 };
    char *plain[PLAIN], *blocks[COUNT];
    shoal_pages *pages = shoal_pages__open();
    /* With the last of these the thread begins to make huge pages ready. */
    for (size_t i = 0; i < PLAIN - 1; i++) plain[i] = shoal_pages__take(pages);
    plain[PLAIN - 1] = take_and_wait(pages);
    for (size_t i = 0; i < PLAIN; i++) assert_ptr_equal(plain[i], plain[0] + i * SHOAL_PAGES_BLOCK);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = take_and_wait(pages);
        assert_ptr_equal(blocks[i], blocks[0] + i * SHOAL_PAGES_BLOCK);
    }
    const size_t holes[] = {70, 3, 33, 4};
    for (size_t i = 0; i < 4; i++) shoal_pages__give(pages, blocks[holes[i]]);
    const size_t filled[] = {3, 4, 33, 70};
    for (size_t i = 0; i < 4; i++) assert_ptr_equal(shoal_pages__take(pages), blocks[filled[i]]);
    for (size_t i = 0; i < COUNT; i++) shoal_pages__give(pages, blocks[i]);
    for (size_t i = 0; i < PLAIN; i++) shoal_pages__give(pages, plain[i]);
    shoal_pages__close(pages);
}

static void the_next_pages_are_made_ready_and_go_back_when_nobody_needs_them(void **state)
{
    (void)state;
    enum { COUNT = 40 * 32, MORE = 6 * 32 };
    static char *blocks[COUNT + MORE];
    shoal_pages *pages = shoal_pages__open();
    for (size_t i = 0; i < COUNT; i++) blocks[i] = shoal_pages__take(pages);
    /* A sixteenth of what is out is to be ready, and no more than a page beyond. Of plain pages
     * nothing is held that is not out. */
    size_t least = (COUNT + COUNT / 16) * SHOAL_PAGES_BLOCK;
    while (shoal_pages__held(pages) < least) sleep_a_millisecond();
    assert_true(shoal_pages__held(pages) < least + 32 * SHOAL_PAGES_BLOCK);
    assert_int_equal(shoal_pages__taken(pages), COUNT * SHOAL_PAGES_BLOCK);
    for (size_t i = COUNT; i < COUNT + MORE; i++) {
        blocks[i] = shoal_pages__take(pages);
        assert_non_null(blocks[i]);
        stamp((uint64_t *)(void *)blocks[i], i);
    }
    for (size_t i = COUNT; i < COUNT + MORE; i++)
        assert_true(is_stamped((uint64_t *)(void *)blocks[i], i));
    for (size_t i = 0; i < COUNT + MORE; i++) shoal_pages__give(pages, blocks[i]);
    while (shoal_pages__held(pages) > 0) sleep_a_millisecond();
    shoal_pages__close(pages);
}

/* Of plain pages nothing stays that is not out, however much of a page is: the next block comes
 * from a huge one, so that nobody would take it again. */
static void of_plain_pages_all_that_is_unused_goes_back(void **state)
{
    (void)state;
    enum { COUNT = 3 * 32, MOST = 4000, GIVEN = 10 };
    static char *blocks[MOST], *plain[COUNT];
    size_t taken = 0, found = 0;
    shoal_pages *pages = shoal_pages__open();
    /* The first block is of the plain half, which lies above the other. */
    while (found < COUNT && taken < MOST) {
        char *block = blocks[taken++] = shoal_pages__take(pages);
        assert_non_null(block);
        if (block >= blocks[0]) plain[found++] = block;
    }
    assert_int_equal(found, COUNT);
    for (size_t i = 0; i < COUNT; i++) memset(plain[i], 1, SHOAL_PAGES_BLOCK);
    for (size_t i = 0; i < COUNT; i++)
        if (i % 32 < GIVEN) shoal_pages__give(pages, plain[i]);
    for (size_t i = 0; i < COUNT; i++) {
        unsigned char there = 1;
        for (uint32_t ms = 0; i % 32 < GIVEN && there != 0 && ms < 10000; ms++) {
            sleep_a_millisecond();
            assert_int_equal(mincore(plain[i], SMALL_PAGE, &there), 0);
            there &= 1;
        }
        assert_int_equal(there, i % 32 < GIVEN ? 0 : 1);
        assert_true(i % 32 < GIVEN || plain[i][SHOAL_PAGES_BLOCK - 1] == 1);
    }
    shoal_pages__close(pages);
}

/* Touches the first page of a block: does the system then give more than that page? */
static bool is_small_where_touched(char *block)
{
    unsigned char before[2] = {0}, after[2] = {0};
    assert_int_equal(mincore(block, sizeof before * SMALL_PAGE, before), 0);
    block[0] = 1;
    assert_int_equal(mincore(block, sizeof after * SMALL_PAGE, after), 0);
    assert_true(after[0] & 1);
    return (before[0] & 1) != 0 || (before[1] & 1) != 0 || (after[1] & 1) == 0;
}

/* Claim N6: of a huge page a block is out only with its memory, also when the thread cannot keep up
 * and when pages have gone back to the system; others come by 4 KiB. */
static void who_takes_a_block_never_touches_a_huge_page_first(void **state)
{
    (void)state;
    enum { COUNT = 20 * 32, ROUNDS = 6 };
    static char *blocks[COUNT];
    shoal_pages *pages = shoal_pages__open();
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            if (blocks[i] != NULL) continue;
            blocks[i] = shoal_pages__take(pages);
            assert_non_null(blocks[i]);
            assert_true(is_small_where_touched(blocks[i]));
        }
        /* All of them, or all but one in 40, so that pages go back in part. */
        for (size_t i = 0; i < COUNT; i++) {
            if (round % 2 == 1 && i % 40 == 0) continue;
            shoal_pages__give(pages, blocks[i]);
            blocks[i] = NULL;
        }
        if (round % 3 != 2) nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    shoal_pages__close(pages);
}

/* The policy of the thread of this process that has a name, -1 without one. */
static int policy_of(const char *name)
{
    DIR *threads = opendir("/proc/self/task");
    int policy = -1;
    assert_non_null(threads);
    for (struct dirent *at; (at = readdir(threads)) != NULL && policy < 0;) {
        char path[300], found[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", at->d_name);
        FILE *file = at->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (file == NULL) continue;
        if (fgets(found, sizeof found, file) != NULL && strncmp(found, name, strlen(name)) == 0)
            policy = sched_getscheduler((pid_t)strtol(at->d_name, NULL, 10));
        fclose(file);
    }
    closedir(threads);
    return policy;
}

/* Where we may be, as a thread with real-time priority, which threads inherit. */
static void the_thread_stands_back_for_those_that_serve(void **state)
{
    (void)state;
    const struct sched_param urgent = {.sched_priority = 1}, ordinary = {0};
    (void)sched_setscheduler(0, SCHED_FIFO, &urgent);
    shoal_pages *pages = shoal_pages__open();
    for (size_t i = 0; i < 64; i++) assert_non_null(shoal_pages__take(pages));
    /* It names itself, then stands back, then makes pages ready. */
    while (shoal_pages__held(pages) <= shoal_pages__taken(pages)) sleep_a_millisecond();
    int policy = policy_of("shoal-pages");
    (void)sched_setscheduler(0, SCHED_OTHER, &ordinary);
    assert_int_equal(policy, SCHED_BATCH);
    shoal_pages__close(pages);
}

/* Grows and shrinks a mapping, whose first and last bytes are looked at, and gives it back. */
static void *run_mapper(void *argument)
{
    member *self = argument;
    const size_t sizes[] = {300 << 10, 5 << 20, 3 << 20, (9 << 20) + 1, 256 << 10, 4 << 20};
    for (uint32_t round = 0; round < 50 && self->complaint == NULL; round++) {
        size_t size = sizes[0];
        char *memory = shoal_pages__map(self->pages, size);
        if (memory == NULL || memory[0] != 0) self->complaint = "no mapping of zeros";
        for (size_t i = 1; i < sizeof sizes / sizeof *sizes && self->complaint == NULL; i++) {
            memory[0] = memory[size - 1] = (char)i;
            memory = shoal_pages__remap(self->pages, memory, size, sizes[i]);
            if (memory == NULL) {
                self->complaint = "a mapping was refused another size";
                return NULL;
            }
            size_t kept = size < sizes[i] ? size : sizes[i];
            if (memory[0] != (char)i) self->complaint = "a mapping has lost its beginning";
            if (sizes[i] > size && (memory[kept - 1] != (char)i || memory[sizes[i] - 1] != 0))
                self->complaint = "a mapping has lost its end, or what came is not zero";
            size = sizes[i];
        }
        shoal_pages__unmap(self->pages, memory, size);
    }
    return NULL;
}

static void mappings_keep_what_they_hold_and_go_back(void **state)
{
    (void)state;
    static member members[THREADS];
    shoal_pages *pages = shoal_pages__open();
    for (uint32_t i = 0; i < THREADS; i++) {
        members[i] = (member){.pages = pages};
        assert_int_equal(pthread_create(&members[i].id, NULL, run_mapper, &members[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(members[i].id, NULL);
        if (members[i].complaint != NULL) fail_msg("%s", members[i].complaint);
    }
    while (shoal_pages__mapped(pages) > 0) sleep_a_millisecond();
    /* What waits at the end goes with it. */
    for (uint32_t i = 0; i < 3; i++) {
        void *memory = shoal_pages__map(pages, 32 << 20);
        assert_non_null(memory);
        memset(memory, 1, 32 << 20);
        shoal_pages__unmap(pages, memory, 32 << 20);
    }
    shoal_pages__close(pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_in_one_hand_and_unused_memory_goes_back),
        cmocka_unit_test(the_lowest_free_block_is_taken_first),
        cmocka_unit_test(the_next_pages_are_made_ready_and_go_back_when_nobody_needs_them),
        cmocka_unit_test(of_plain_pages_all_that_is_unused_goes_back),
        cmocka_unit_test(who_takes_a_block_never_touches_a_huge_page_first),
        cmocka_unit_test(the_thread_stands_back_for_those_that_serve),
        cmocka_unit_test(mappings_keep_what_they_hold_and_go_back),
    };
    return cmocka_run_group_tests_name("pages_threads", tests, NULL, NULL);
}
