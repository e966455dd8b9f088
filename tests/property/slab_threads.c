/* SPDX-License-Identifier: MIT
 *
 * Slabs under random use: one thread against the obvious model (every piece keeps what was written
 * to it, and bytes add up), and several threads that give each other's pieces back through a shelf
 * that all take from. ThreadSanitizer and AddressSanitizer watch the same programs.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/slab.h"
#include "support/allocator.h"
#include "support/test.h"

#define THREADS 3u
#define SHELF 512u
#define STEPS 200000u

/* What stands at the start of every piece; the rest is filled with its fourth byte. */
typedef struct piece_head {
    uint32_t size;
    uint32_t alignment;
} piece_head;

static size_t random_size(shoal_prng *prng)
{
    switch (shoal_prng_below(prng, 8)) {
    case 0: return sizeof(piece_head) + shoal_prng_below(prng, 20000);
    case 1: return sizeof(piece_head) + shoal_prng_below(prng, 3000);
    default: return sizeof(piece_head) + shoal_prng_below(prng, 120);
    }
}

/* Small pieces whose neighbours begin in the same 8 bytes: what the sanitizer knows as one unit. */
static size_t narrow_size(shoal_prng *prng)
{
    return 12 + 8 * shoal_prng_below(prng, 2);
}

static char *take(shoal_slab *slab, shoal_prng *prng, bool narrow)
{
    piece_head head = {.size = (uint32_t)(narrow ? narrow_size(prng) : random_size(prng))};
    head.alignment = 4u << (narrow ? 0 : shoal_prng_below(prng, 5));
    char *piece = shoal_slab_take(slab, head.size, head.alignment);
    if (piece == NULL) return NULL;
    assert_int_equal((uintptr_t)piece % head.alignment, 0);
    memset(piece, (int)(head.size & 0xff), head.size);
    memcpy(piece, &head, sizeof head);
    return piece;
}

static piece_head check(const char *piece)
{
    piece_head head;
    memcpy(&head, piece, sizeof head);
    for (size_t i = sizeof head; i < head.size; i++)
        if (piece[i] != (char)head.size) fail_msg("byte %zu of %u is another", i, head.size);
    return head;
}

static void give(shoal_slab *slab, char *piece)
{
    piece_head head = check(piece);
    shoal_slab_give(slab, piece, head.size, head.alignment);
}

/* ---- one thread ---- */

typedef struct lone {
    test_heap heap;
    shoal_allocator below;
    shoal_slab slab;
    char *pieces[SHELF];
    uint64_t live; /* in classes */
} lone;

static void lone_step(lone *self, shoal_prng *prng)
{
    uint32_t at = (uint32_t)shoal_prng_below(prng, SHELF);
    if (self->pieces[at] != NULL) {
        piece_head head = check(self->pieces[at]);
        self->live -= shoal_slab_usable(&self->below, head.size, head.alignment);
        give(&self->slab, self->pieces[at]);
        self->pieces[at] = NULL;
    } else {
        self->pieces[at] = take(&self->slab, prng, false);
        if (self->pieces[at] == NULL) return;
        piece_head head = check(self->pieces[at]);
        self->live += shoal_slab_usable(&self->below, head.size, head.alignment);
    }
    int64_t taken =
        shoal_load_relaxed(&self->slab.bytes_blocks) + shoal_load_relaxed(&self->slab.bytes_large);
    assert_int_equal(self->heap.bytes, taken);
    assert_true((uint64_t)taken >= self->live);
}

static void pieces_keep_what_was_written_and_bytes_add_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        static lone self;
        memset(&self, 0, sizeof self);
        self.below = test_allocator(&self.heap);
        shoal_slab_make(&self.slab, &self.below);
        shoal_prng prng = shoal_prng_make((uint64_t[2]){seed, 7}, 0, 0);
        for (uint32_t i = 0; i < STEPS / 2; i++) {
            lone_step(&self, &prng);
            /* Now and then there is no memory, and now and then a pause. */
            uint64_t event = shoal_prng_below(&prng, 2000);
            if (event < 4) self.heap.fail_after = event < 2 ? 1 : 0;
            if (event == 4) shoal_slab_tidy(&self.slab);
            if (event == 5 || event == 6) shoal_slab_drain(&self.slab, event == 5);
        }
        for (uint32_t i = 0; i < SHELF; i++)
            if (self.pieces[i] != NULL) give(&self.slab, self.pieces[i]);
        shoal_slab_tidy(&self.slab);
        assert_int_equal(self.slab.pages, 0);
        assert_int_equal(self.heap.bytes, 0);
    }
}

/* ---- several ---- */

typedef struct crowd {
    test_heap heap;
    shoal_allocator below;
    shoal_slab slabs[THREADS];
    bool narrow;    /* the pieces */
    uint32_t shelf; /* places of it in use */
    _Atomic(char *) pieces[SHELF];
} crowd;

typedef struct member {
    crowd *all;
    uint32_t index;
    pthread_t id;
} member;

/* Puts pieces on the shelf and gives back what stood there, whoever took it. */
static void *run_member(void *argument)
{
    const member *self = argument;
    shoal_slab *slab = &self->all->slabs[self->index];
    shoal_prng prng = shoal_prng_make((uint64_t[2]){99, 1}, self->index, 0);
    for (uint32_t i = 0; i < STEPS; i++) {
        _Atomic(char *) *at = &self->all->pieces[shoal_prng_below(&prng, self->all->shelf)];
        bool takes = shoal_prng_below(&prng, 3) != 0;
        char *piece = takes ? take(slab, &prng, self->all->narrow) : NULL;
        char *before = atomic_exchange_explicit(at, piece, memory_order_acq_rel);
        if (before != NULL) give(slab, before);
        uint64_t event = shoal_prng_below(&prng, 5000);
        if (event < 3) shoal_slab_tidy(slab);
        if (event == 3 || event == 4) shoal_slab_drain(slab, event == 3);
    }
    return NULL;
}

static void run_crowd(bool narrow, uint32_t shelf)
{
    static crowd all;
    member members[THREADS];
    memset(&all, 0, sizeof all);
    all.narrow = narrow;
    all.shelf = shelf;
    all.below = test_allocator(&all.heap);
    for (uint32_t i = 0; i < THREADS; i++) shoal_slab_make(&all.slabs[i], &all.below);
    for (uint32_t i = 0; i < THREADS; i++) {
        members[i] = (member){.all = &all, .index = i};
        assert_int_equal(pthread_create(&members[i].id, NULL, run_member, &members[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(members[i].id, NULL);
    for (uint32_t i = 0; i < SHELF; i++)
        if (all.pieces[i] != NULL) give(&all.slabs[0], all.pieces[i]);
    for (uint32_t i = 0; i < 2 * THREADS; i++) shoal_slab_tidy(&all.slabs[i % THREADS]);
    for (uint32_t i = 0; i < THREADS; i++) assert_int_equal(all.slabs[i].pages, 0);
    assert_int_equal(all.heap.bytes, 0);
}

static void threads_may_give_each_others_pieces(void **state)
{
    (void)state;
    run_crowd(false, SHELF);
}

/* So few pieces that neighbours of one unit are always in the hands of different threads. */
static void neighbours_in_one_unit_do_not_forbid_each_other(void **state)
{
    (void)state;
    run_crowd(true, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_keep_what_was_written_and_bytes_add_up),
        cmocka_unit_test(threads_may_give_each_others_pieces),
        cmocka_unit_test(neighbours_in_one_unit_do_not_forbid_each_other),
    };
    return cmocka_run_group_tests_name("slab_threads", tests, NULL, NULL);
}
