/* SPDX-License-Identifier: MIT
 *
 * The slab of a thread by itself: sizes, what it takes from below and gives back, what is sparse.
 * The letters are the claims of base/slab.h.
 */
#include "base/slab.h"

#include <string.h>

#include "base/memory.h"
#include "base/poison.h"
#include "support/allocator.h"
#include "support/test.h"

#define KIB ((int64_t)1024)
/* Pieces that one test holds at most. */
#define PIECES 100000u

/* Slabs over one counting allocator. */
typedef struct slab_box {
    test_heap heap;
    shoal_allocator below;
    shoal_slab slabs[2];
    void *pieces[PIECES];
} slab_box;

static slab_box box;

static int open_box(void **state)
{
    (void)state;
    memset(&box, 0, sizeof box);
    box.below = test_allocator(&box.heap);
    for (int i = 0; i < 2; i++) shoal_slab_make(&box.slabs[i], &box.below);
    return 0;
}

/* Everything must have been given. */
static int close_box(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) shoal_slab_tidy(&box.slabs[i % 2]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(box.slabs[i].pages, 0);
        assert_int_equal(shoal_load_relaxed(&box.slabs[i].bytes_blocks), 0);
    }
    assert_int_equal(box.heap.bytes, 0);
    return 0;
}

static void take_all(uint32_t count, size_t size)
{
    for (uint32_t i = 0; i < count; i++) {
        box.pieces[i] = shoal_slab_take(&box.slabs[0], size, 4);
        assert_non_null(box.pieces[i]);
        memset(box.pieces[i], (int)(i & 0xff), size);
    }
}

/* Gives every piece whose number leaves no rest under `step`. */
static void give_each(uint32_t count, uint32_t step, size_t size)
{
    for (uint32_t i = 0; i < count; i += step) {
        shoal_slab_give(&box.slabs[0], box.pieces[i], size, 4);
        box.pieces[i] = NULL;
    }
}

static void give_rest(uint32_t count, size_t size)
{
    for (uint32_t i = 0; i < count; i++)
        if (box.pieces[i] != NULL) shoal_slab_give(&box.slabs[0], box.pieces[i], size, 4);
}

static int64_t blocks(void)
{
    return shoal_load_relaxed(&box.slabs[0].bytes_blocks);
}

/* ---- sizes ---- */

static void a_request_takes_what_its_class_says(void **state)
{
    (void)state;
    for (size_t alignment = 4; alignment <= 64; alignment *= 2) {
        size_t before = 0;
        for (size_t size = 1; size <= SHOAL_SLAB_SIZE_MAX; size++) {
            size_t usable = shoal_slab_usable(&box.below, size, alignment);
            assert_true(usable >= size);
            assert_true(usable >= before);
            assert_int_equal(usable % alignment, 0);
            assert_int_equal(shoal_slab_usable(&box.below, usable, alignment), usable);
            before = usable;
        }
    }
    for (size_t size = 5; size <= 256; size++)
        assert_true(shoal_slab_usable(&box.below, size, 4) - size < 4);
    for (size_t size = 257; size <= 1024; size++)
        assert_true((shoal_slab_usable(&box.below, size, 4) - size) * 16 < size);
    for (size_t size = 1025; size <= SHOAL_SLAB_SIZE_MAX; size++)
        assert_true((shoal_slab_usable(&box.below, size, 4) - size) * 100 < size * 13);
}

static void what_is_larger_or_more_aligned_passes_through(void **state)
{
    (void)state;
    static const size_t sizes[] = {SHOAL_SLAB_SIZE_MAX + 1, 100000, 64};
    static const size_t alignments[] = {4, 16, 128};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(shoal_slab_usable(&box.below, sizes[i], alignments[i]), sizes[i]);
        void *piece = shoal_slab_take(&box.slabs[0], sizes[i], alignments[i]);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % alignments[i], 0);
        assert_int_equal(shoal_load_relaxed(&box.slabs[0].bytes_large), sizes[i]);
        assert_int_equal(box.heap.bytes, sizes[i]);
        assert_false(shoal_slab_is_sparse(&box.below, piece, sizes[i], alignments[i]));
        shoal_slab_give(&box.slabs[0], piece, sizes[i], alignments[i]);
        assert_int_equal(shoal_load_relaxed(&box.slabs[0].bytes_large), 0);
    }
    assert_int_equal(blocks(), 0);
}

static void places_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    enum { EACH = 40 };
    for (size_t alignment = 4; alignment <= 64; alignment *= 2) {
        for (size_t size = 1; size <= SHOAL_SLAB_SIZE_MAX; size += size / 9 + 1) {
            for (int i = 0; i < EACH; i++) {
                box.pieces[i] = shoal_slab_take(&box.slabs[0], size, alignment);
                assert_int_equal((uintptr_t)box.pieces[i] % alignment, 0);
                memset(box.pieces[i], i, size);
            }
            for (int i = 0; i < EACH; i++) {
                const char *bytes = box.pieces[i];
                for (size_t at = 0; at < size; at++) assert_int_equal(bytes[at], i);
                shoal_slab_give(&box.slabs[0], box.pieces[i], size, alignment);
            }
        }
    }
}

/* ---- what is taken from below ---- */

static void a_few_pieces_of_many_sizes_take_kilobytes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 50; i++)
        box.pieces[i] = shoal_slab_take(&box.slabs[0], 20 + 5 * (i % 10), 4);
    assert_true(blocks() <= 16 * KIB);
    for (uint32_t i = 0; i < 50; i++)
        shoal_slab_give(&box.slabs[0], box.pieces[i], 20 + 5 * (i % 10), 4);
}

static void many_pieces_of_a_size_waste_less_than_two_percent(void **state)
{
    (void)state;
    static const size_t sizes[] = {8, 52, 84, 100, 256, 1000};
    for (int i = 0; i < 6; i++) {
        uint32_t count = sizes[i] < 1000 ? PIECES : 20000;
        take_all(count, sizes[i]);
        double live = (double)(shoal_slab_usable(&box.below, sizes[i], 4) * count);
        assert_true((double)blocks() < live * 1.02 + 65536);
        give_rest(count, sizes[i]);
        shoal_slab_tidy(&box.slabs[0]);
        assert_int_equal(blocks(), 0);
    }
}

static void what_was_given_last_is_taken_first(void **state)
{
    (void)state;
    take_all(3, 40);
    shoal_slab_give(&box.slabs[0], box.pieces[0], 40, 4);
    shoal_slab_give(&box.slabs[0], box.pieces[2], 40, 4);
    assert_ptr_equal(shoal_slab_take(&box.slabs[0], 37, 4), box.pieces[2]);
    assert_ptr_equal(shoal_slab_take(&box.slabs[0], 40, 8), box.pieces[0]);
    give_rest(3, 40);
}

/* S3, though nobody tidies: a bin holds a hundred places. */
static void giving_everything_gives_nearly_every_block_back(void **state)
{
    (void)state;
    take_all(PIECES, 52);
    assert_true(blocks() > 5000 * KIB);
    give_rest(PIECES, 52);
    assert_true(blocks() < 200 * KIB);
    shoal_slab_tidy(&box.slabs[0]);
    assert_int_equal(blocks(), 0);
}

static void the_same_requests_are_placed_alike_wherever_blocks_lie(void **state)
{
    (void)state;
    void *others[300];
    for (uint32_t i = 0; i < 300; i++) {
        size_t size = 8 + i * 7919 % 900;
        box.pieces[i] = shoal_slab_take(&box.slabs[0], size, 4);
        others[i] = shoal_slab_take(&box.slabs[1], size, 4);
        assert_int_equal((uintptr_t)box.pieces[i] % 65536, (uintptr_t)others[i] % 65536);
        if (i % 3 != 2) continue;
        size_t back = 8 + (i - 1) * 7919 % 900;
        shoal_slab_give(&box.slabs[0], box.pieces[i - 1], back, 4);
        shoal_slab_give(&box.slabs[1], others[i - 1], back, 4);
        box.pieces[i - 1] = NULL;
    }
    assert_int_equal(blocks(), shoal_load_relaxed(&box.slabs[1].bytes_blocks));
    for (uint32_t i = 0; i < 300; i++) {
        if (box.pieces[i] == NULL) continue;
        shoal_slab_give(&box.slabs[0], box.pieces[i], 8 + i * 7919 % 900, 4);
        shoal_slab_give(&box.slabs[1], others[i], 8 + i * 7919 % 900, 4);
    }
}

static void the_view_of_a_slab_is_an_allocator(void **state)
{
    (void)state;
    shoal_allocator view = shoal_slab_allocator(&box.slabs[0]);
    unsigned char *piece = shoal_memory_take(&view, 100, 8);
    memset(piece, 0xff, 100);
    shoal_memory_give(&view, piece, 100, 8);
    piece = shoal_memory_take_zeroed(&view, 100, 8);
    for (int i = 0; i < 100; i++) assert_int_equal(piece[i], 0);
    assert_int_equal(shoal_memory_usable(&view, 100, 8), 104);
    assert_int_equal(shoal_memory_usable(&view, 100000, 8), 100000);
    shoal_memory_give(&view, piece, 100, 8);
}

/* ---- without memory ---- */

static void without_memory_nothing_is_taken_and_nothing_lost(void **state)
{
    (void)state;
    box.heap.fail_after = 1;
    assert_null(shoal_slab_take(&box.slabs[0], 50, 4));
    assert_null(shoal_slab_take(&box.slabs[0], 50000, 4));
    box.heap.fail_after = 0;
    take_all(10, 50);
    box.heap.fail_after = 1;
    uint32_t taken = 10;
    while ((box.pieces[taken] = shoal_slab_take(&box.slabs[0], 50, 4)) != NULL) taken++;
    /* All of the first block but its heads. */
    assert_in_range(taken, 140, 160);
    shoal_slab_give(&box.slabs[0], box.pieces[--taken], 50, 4);
    assert_non_null(box.pieces[taken] = shoal_slab_take(&box.slabs[0], 50, 4));
    give_rest(taken + 1, 50);
}

static void bins_of_other_sizes_give_way_where_memory_is_out(void **state)
{
    (void)state;
    take_all(10, 50);
    box.heap.fail_after = 1;
    uint32_t taken = 10;
    while ((box.pieces[taken] = shoal_slab_take(&box.slabs[0], 50, 4)) != NULL) taken++;
    assert_null(shoal_slab_take(&box.slabs[0], 200, 4));
    for (uint32_t i = 0; i < taken; i++) shoal_slab_give(&box.slabs[0], box.pieces[i], 50, 4);
    box.heap.fail_after = 0;
    box.heap.fail_after = box.heap.calls + 2;
    void *piece = shoal_slab_take(&box.slabs[0], 200, 4);
    assert_non_null(piece);
    shoal_slab_give(&box.slabs[0], piece, 200, 4);
}

/* ---- other threads' places ---- */

static void a_place_goes_home_from_whoever_gives_it(void **state)
{
    (void)state;
    take_all(5000, 60);
    for (uint32_t i = 0; i < 5000; i++) shoal_slab_give(&box.slabs[1], box.pieces[i], 60, 4);
    assert_true(shoal_slab_is_given(&box.slabs[0]));
    assert_false(shoal_slab_is_given(&box.slabs[1]));
    shoal_slab_tidy(&box.slabs[1]);
    assert_int_equal(shoal_load_relaxed(&box.slabs[1].bytes_blocks), 0);
    assert_true(blocks() > 0);
    shoal_slab_tidy(&box.slabs[0]);
    assert_int_equal(blocks(), 0);
}

static void a_place_of_another_serves_again_where_it_was_given(void **state)
{
    (void)state;
    take_all(1, 60);
    shoal_slab_give(&box.slabs[1], box.pieces[0], 60, 4);
    assert_ptr_equal(shoal_slab_take(&box.slabs[1], 60, 4), box.pieces[0]);
    assert_int_equal(shoal_load_relaxed(&box.slabs[1].bytes_blocks), 0);
    shoal_slab_give(&box.slabs[1], box.pieces[0], 60, 4);
}

/* ---- sparse runs ---- */

/* Moves every piece that is sparse, as a store does. Returns how many. */
static uint32_t move_sparse(uint32_t count, size_t size)
{
    uint32_t moved = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (box.pieces[i] == NULL) continue;
        if (!shoal_slab_is_sparse(&box.below, box.pieces[i], size, 4)) continue;
        void *piece = shoal_slab_take(&box.slabs[0], size, 4);
        memcpy(piece, box.pieces[i], size);
        shoal_slab_give(&box.slabs[0], box.pieces[i], size, 4);
        box.pieces[i] = piece;
        moved++;
    }
    return moved;
}

static void full_runs_are_not_sparse(void **state)
{
    (void)state;
    take_all(20000, 52);
    assert_int_equal(move_sparse(20000, 52), 0);
    give_rest(20000, 52);
}

static void moving_what_is_sparse_gives_nearly_all_that_is_free_back(void **state)
{
    (void)state;
    enum { STEP = 10, SIZE = 52 };
    take_all(PIECES, SIZE);
    for (uint32_t i = 0; i < PIECES; i++) {
        if (i % STEP == 3) continue;
        shoal_slab_give(&box.slabs[0], box.pieces[i], SIZE, 4);
        box.pieces[i] = NULL;
    }
    int64_t live = (int64_t)PIECES / STEP * SIZE;
    assert_true(blocks() > 9 * live);
    shoal_slab_drain(&box.slabs[0], true);
    uint32_t moved = move_sparse(PIECES, SIZE);
    shoal_slab_drain(&box.slabs[0], false);
    shoal_slab_tidy(&box.slabs[0]);
    assert_true(moved <= PIECES / STEP);
    assert_true(blocks() < live * 11 / 10 + 128 * KIB);
    for (uint32_t i = 3; i < PIECES; i += STEP)
        assert_int_equal(*(unsigned char *)box.pieces[i], i & 0xff);
    give_rest(PIECES, SIZE);
}

static void what_is_moved_out_of_a_sparse_run_is_not_taken_again_meanwhile(void **state)
{
    (void)state;
    take_all(PIECES, 52);
    give_each(PIECES, 2, 52);
    shoal_slab_drain(&box.slabs[0], true);
    uint32_t at = 1;
    while (!shoal_slab_is_sparse(&box.below, box.pieces[at], 52, 4)) at += 2;
    void *sparse = box.pieces[at];
    shoal_slab_give(&box.slabs[0], sparse, 52, 4);
    box.pieces[at] = shoal_slab_take(&box.slabs[0], 52, 4);
    assert_ptr_not_equal(box.pieces[at], sparse);
    shoal_slab_drain(&box.slabs[0], false);
    give_rest(PIECES, 52);
}

#ifdef SHOAL_ASAN
static void what_belongs_to_nobody_is_forbidden(void **state)
{
    (void)state;
    take_all(2, 56);
    char *piece = box.pieces[0];
    assert_false(SHOAL_IS_POISONED(piece + 55));
    shoal_slab_give(&box.slabs[0], piece, 56, 8);
    box.pieces[0] = NULL;
    for (int i = 0; i < 56; i++) assert_true(SHOAL_IS_POISONED(piece + i));
    /* What a smaller request leaves of its place is nobody's either. */
    piece = shoal_slab_take(&box.slabs[0], 96, 8);
    shoal_slab_give(&box.slabs[0], piece, 96, 8);
    assert_ptr_equal(shoal_slab_take(&box.slabs[0], 89, 8), piece);
    assert_false(SHOAL_IS_POISONED(piece + 88));
    assert_true(SHOAL_IS_POISONED(piece + 89));
    shoal_slab_give(&box.slabs[0], piece, 89, 8);
    give_rest(2, 56);
}
#endif

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(a_request_takes_what_its_class_says),
        FACT(what_is_larger_or_more_aligned_passes_through),
        FACT(places_are_aligned_and_do_not_overlap),
        FACT(a_few_pieces_of_many_sizes_take_kilobytes),
        FACT(many_pieces_of_a_size_waste_less_than_two_percent),
        FACT(what_was_given_last_is_taken_first),
        FACT(giving_everything_gives_nearly_every_block_back),
        FACT(the_same_requests_are_placed_alike_wherever_blocks_lie),
        FACT(the_view_of_a_slab_is_an_allocator),
        FACT(without_memory_nothing_is_taken_and_nothing_lost),
        FACT(bins_of_other_sizes_give_way_where_memory_is_out),
        FACT(a_place_goes_home_from_whoever_gives_it),
        FACT(a_place_of_another_serves_again_where_it_was_given),
        FACT(full_runs_are_not_sparse),
        FACT(moving_what_is_sparse_gives_nearly_all_that_is_free_back),
        FACT(what_is_moved_out_of_a_sparse_run_is_not_taken_again_meanwhile),
#ifdef SHOAL_ASAN
        FACT(what_belongs_to_nobody_is_forbidden),
#endif
    };
    return cmocka_run_group_tests_name("base_slab", tests, NULL, NULL);
}
