/* SPDX-License-Identifier: MIT
 *
 * Small interleavings of the slab's inbox, all of them: pieces of one thread are given back by
 * others while the owner takes in and goes on. Claims S2 and S3 of base/slab.h.
 */
#define SHOAL_INTERLEAVE 1
#include "support/explorer.h"

#include <string.h>

#include "base/slab.c"
#include "base/slab_class.c"
#include "base/slab_run.c"

#include "support/allocator.h"

#define PIECES 6u
#define SIZE 3000u

static struct world {
    test_heap heap;
    shoal_allocator below;
    shoal_slab slabs[SCRIPTS_MAX];
    void *pieces[PIECES];
} world;

static void begin(void)
{
    memset(&world, 0, sizeof world);
    world.below = test_allocator(&world.heap);
    for (uint32_t i = 0; i < SCRIPTS_MAX; i++) shoal_slab_make(&world.slabs[i], &world.below);
    for (uint32_t i = 0; i < PIECES; i++) {
        world.pieces[i] = shoal_slab_take(&world.slabs[0], SIZE, 4);
        assert_non_null(world.pieces[i]);
    }
}

/* Every piece has found its way home. */
static void end(void)
{
    for (uint32_t i = 0; i < 2 * SCRIPTS_MAX; i++) shoal_slab_tidy(&world.slabs[i % SCRIPTS_MAX]);
    for (uint32_t i = 0; i < SCRIPTS_MAX; i++) assert_int_equal(world.slabs[i].pages, 0);
    assert_int_equal(world.heap.bytes, 0);
}

/* Script 0 owns all pieces and takes in twice; the others give some of them back. */
static void give_back_to_the_owner(uint32_t script)
{
    shoal_slab *slab = &world.slabs[script];
    if (script == 0) {
        shoal_slab_tidy(slab);
        void *piece = shoal_slab_take(slab, SIZE, 4);
        memset(piece, 1, SIZE);
        shoal_slab_give(slab, piece, SIZE, 4);
        shoal_slab_tidy(slab);
        return;
    }
    for (uint32_t i = 0; i < PIECES; i++) {
        if (i % 2 + 1 != script) continue;
        memset(world.pieces[i], 2, SIZE);
        shoal_slab_give(slab, world.pieces[i], SIZE, 4);
        if (i < 2) shoal_slab_tidy(slab);
    }
    shoal_slab_tidy(slab);
}

static void no_place_is_lost_on_its_way_home(void **state)
{
    (void)state;
    explore((exploration){3, 2, 500}, give_back_to_the_owner, begin, end);
}

/* Two threads drain what lies in each other's blocks. */
static void give_each_other(uint32_t script)
{
    shoal_slab *slab = &world.slabs[script];
    if (script == 1) {
        void *own = shoal_slab_take(slab, SIZE, 4);
        shoal_slab_drain(slab, true);
        for (uint32_t i = 0; i < PIECES / 2; i++) shoal_slab_give(slab, world.pieces[i], SIZE, 4);
        shoal_slab_give(slab, own, SIZE, 4);
        shoal_slab_drain(slab, false);
        return;
    }
    shoal_slab_drain(slab, true);
    for (uint32_t i = PIECES / 2; i < PIECES; i++) shoal_slab_give(slab, world.pieces[i], SIZE, 4);
    shoal_slab_drain(slab, false);
}

static void draining_while_another_gives_loses_nothing(void **state)
{
    (void)state;
    explore((exploration){2, 4, 1000}, give_each_other, begin, end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_place_is_lost_on_its_way_home),
        cmocka_unit_test(draining_while_another_gives_loses_nothing),
    };
    return cmocka_run_group_tests_name("slab_inbox", tests, NULL, NULL);
}
