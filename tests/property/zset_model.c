/* SPDX-License-Identifier: MIT
 *
 * Sorted sets against a slow obvious model: a sorted array. Random puts and removals by member, by
 * rank and by range, in sets of all forms; after each round everything that can be asked is asked.
 * A failing run prints its seed; SHOAL_TEST_SEED replays it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "support/allocator.h"
#include "support/test.h"
#include "value/zset_tree.h"

#define MEMBER_MAX 200
#define MODEL_MAX 6000

/* One element of the model. */
typedef struct model_entry {
    char member[MEMBER_MAX];
    uint32_t size;
    double score;
} model_entry;

/* A set and its model. */
typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_account account;
    shoal_zset_edit edit;
    shoal_prng prng, seeds;
    model_entry *model; /* in order */
    uint32_t count;
    uint32_t names;      /* members are drawn from so many */
    uint32_t score_kind; /* how scores are drawn */
    bool long_names;
} world;

static uint64_t seed_of_run(void)
{
    const char *text = getenv("SHOAL_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 20261122;
}

static void open_world(world *w, uint64_t purpose, uint64_t entries)
{
    memset(w, 0, sizeof(*w));
    w->allocator = test_allocator(&w->heap);
    w->account.allocator = &w->allocator;
    uint64_t key[2] = {seed_of_run(), purpose};
    w->prng = shoal_prng_make(key, 0, 1);
    w->seeds = shoal_prng_make(key, 0, 2);
    w->model = malloc(MODEL_MAX * sizeof(*w->model));
    assert_non_null(w->model);
    w->edit.account = &w->account;
    w->edit.limits = (shoal_zset_limits){entries, 64};
    w->edit.prng = &w->seeds;
    shoal_zset_edit_begin(&w->edit, &(shoal_compound){.object = NULL});
    w->names = 300;
}

static void close_world(world *w)
{
    shoal_zset_edit_drop(&w->edit);
    assert_int_equal(w->account.bytes, 0);
    assert_int_equal(w->heap.blocks, 0);
    free(w->model);
}

/* ---- the model ---- */

static int compare_entries(const model_entry *a, const model_entry *b)
{
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    return shoal_text_compare((shoal_slice){a->member, a->size}, (shoal_slice){b->member, b->size});
}

static uint32_t model_find(const world *w, const model_entry *wanted)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->model[i].size == wanted->size &&
            memcmp(w->model[i].member, wanted->member, wanted->size) == 0)
            return i;
    }
    return w->count;
}

static void model_remove(world *w, uint32_t from, uint32_t to)
{
    memmove(w->model + from, w->model + to, (w->count - to) * sizeof(*w->model));
    w->count -= to - from;
}

static void model_put(world *w, const model_entry *entry)
{
    uint32_t old = model_find(w, entry), at = 0;
    if (old < w->count) model_remove(w, old, old + 1);
    while (at < w->count && compare_entries(&w->model[at], entry) < 0) at++;
    memmove(w->model + at + 1, w->model + at, (w->count - at) * sizeof(*w->model));
    w->model[at] = *entry;
    w->count++;
    assert_true(w->count < MODEL_MAX);
}

/* ---- draws ---- */

static uint32_t draw(world *w, uint32_t below)
{
    return (uint32_t)shoal_prng_below(&w->prng, below);
}

static model_entry draw_entry(world *w)
{
    model_entry entry;
    memset(&entry, 0, sizeof(entry));
    uint32_t name = draw(w, w->names);
    entry.size = (uint32_t)snprintf(entry.member, MEMBER_MAX, name % 3 == 0 ? "%u" : "m%u", name);
    if (name % 7 == 1) entry.size = 0; /* all of these are one */
    if (w->long_names && name % 5 == 2) {
        memset(entry.member + entry.size, 'x', MEMBER_MAX - entry.size);
        entry.size = 60 + name % 140;
    }
    switch (w->score_kind) {
    case 0: entry.score = (double)draw(w, 20) - 10; break;
    case 1: entry.score = 0; break;
    case 2: entry.score = (double)(int64_t)shoal_prng_next(&w->prng) / 3e5; break;
    default: entry.score = draw(w, 50) == 0 ? __builtin_inf() : (double)draw(w, 1000) / 8; break;
    }
    return entry;
}

/* ---- what must hold inside ---- */

static uint64_t check_node(const shoal_zset *set, const void *node, uint32_t height)
{
    if (height == 0) {
        const shoal_zset_leaf *leaf = node;
        assert_true(leaf->count > 0 && leaf->count <= leaf->room);
        assert_true(leaf->end <= leaf->size);
        assert_int_equal(leaf->id != 0, set->index.directory != NULL);
        if (leaf->id != 0) assert_ptr_equal(shoal_zset__id_leaf(&set->index, leaf->id), leaf);
        return leaf->count;
    }
    const shoal_zset_inner *inner = node;
    uint64_t sum = 0;
    assert_true(inner->count > 0 && inner->count <= inner->room);
    for (uint32_t i = 0; i < inner->count; i++) {
        const shoal_zset_child *child = &inner->children[i];
        assert_int_equal(check_node(set, child->node, height - 1), child->count);
        sum += child->count;
        if (i == 0) continue;
        const void *first = child->node;
        for (uint32_t h = height - 1; h > 0; h--)
            first = ((const shoal_zset_inner *)first)->children[0].node;
        double score = shoal_zset__scores(first)[0];
        assert_true(child->score <= score);
        if (child->score == score)
            assert_true(child->prefix <= shoal_zset__prefix(shoal_zset__member(first, 0)));
    }
    return sum;
}

static void check_shape(const world *w)
{
    const shoal_zset *set = w->edit.object;
    if (set == NULL) {
        assert_true(shoal_pack_check((shoal_slice){w->edit.pack, w->edit.size}));
        return;
    }
    assert_int_equal(set->root == NULL, set->count == 0);
    if (set->root != NULL) assert_int_equal(check_node(set, set->root, set->height), set->count);
}

/* ---- what can be asked ---- */

static void check_walk(world *w, shoal_compound set, uint32_t from, uint32_t to, bool reverse)
{
    shoal_zset_cursor cursor;
    shoal_zset_entry entry;
    shoal_zset_seek(&cursor, &set, (shoal_zset_ranks){from, to}, reverse);
    for (uint32_t i = 0; i < to - from; i++) {
        const model_entry *wanted = &w->model[reverse ? to - 1 - i : from + i];
        assert_true(shoal_zset_next(&cursor, &entry));
        assert_int_equal(entry.member.size, wanted->size);
        assert_memory_equal(entry.member.data, wanted->member, wanted->size);
        assert_true(entry.score == wanted->score);
    }
    assert_false(shoal_zset_next(&cursor, &entry));
}

static void check_bounds(world *w, shoal_compound set)
{
    model_entry probe = draw_entry(w);
    shoal_zset_bound bound = {.kind = SHOAL_ZSET_BY_SCORE, .score = probe.score};
    uint32_t less = 0, equal = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        less += w->model[i].score < probe.score;
        equal += w->model[i].score == probe.score;
    }
    assert_int_equal(shoal_zset_below(&set, &bound, false), less);
    assert_int_equal(shoal_zset_below(&set, &bound, true), less + equal);
    if (w->score_kind != 1) return;
    bound.kind = SHOAL_ZSET_BY_MEMBER;
    bound.member = (shoal_slice){probe.member, probe.size};
    less = equal = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        shoal_slice member = {w->model[i].member, w->model[i].size};
        less += shoal_text_compare(member, bound.member) < 0;
        equal += shoal_text_compare(member, bound.member) == 0;
    }
    assert_int_equal(shoal_zset_below(&set, &bound, false), less);
    assert_int_equal(shoal_zset_below(&set, &bound, true), less + equal);
}

static void mark_visited(void *context, const shoal_zset_entry *entry)
{
    world *w = context;
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->model[i].size != entry->member.size) continue;
        if (memcmp(w->model[i].member, entry->member.data, entry->member.size) != 0) continue;
        w->model[i].member[MEMBER_MAX - 1] = 1;
        assert_true(w->model[i].score == entry->score);
        return;
    }
    fail_msg("a scan visits what is not there");
}

static void check_scan(world *w, shoal_compound set)
{
    uint64_t cursor = 0;
    do {
        shoal_zset_scan(&set, &cursor, 1 + draw(w, 30), mark_visited, w);
    } while (cursor != 0);
    for (uint32_t i = 0; i < w->count; i++) {
        assert_int_equal(w->model[i].member[MEMBER_MAX - 1], 1);
        w->model[i].member[MEMBER_MAX - 1] = 0;
    }
}

static void check_members(world *w, shoal_compound set)
{
    double score;
    uint64_t rank;
    for (uint32_t i = 0; i < w->count; i++) {
        shoal_slice member = {w->model[i].member, w->model[i].size};
        assert_true(shoal_zset_score(&set, member, &score));
        assert_true(score == w->model[i].score);
        assert_true(shoal_zset_rank(&set, member, &rank));
        assert_int_equal(rank, i);
    }
    assert_false(shoal_zset_score(&set, (shoal_slice){"absent", 6}, &score));
    assert_false(shoal_zset_rank(&set, (shoal_slice){"absent", 6}, &rank));
}

static void check_all(world *w)
{
    shoal_compound set = shoal_zset_edit_view(&w->edit);
    assert_int_equal(shoal_zset_count(&set), w->count);
    check_shape(w);
    check_members(w, set);
    check_walk(w, set, 0, w->count, false);
    check_walk(w, set, 0, w->count, true);
    for (int i = 0; i < 5 && w->count > 0; i++) {
        uint32_t from = draw(w, w->count), to = from + draw(w, w->count - from + 1);
        check_walk(w, set, from, to, i % 2 == 0);
        check_bounds(w, set);
    }
    check_scan(w, set);
}

/* ---- the runs ---- */

static void put_one(world *w)
{
    model_entry entry = draw_entry(w);
    shoal_slice member = {entry.member, entry.size};
    shoal_err err = shoal_zset_edit_set(&w->edit, member, entry.score);
    if (err == 0) {
        model_put(w, &entry);
    } else {
        assert_int_equal(err, SHOAL_ERR_NO_MEMORY);
        assert_true(w->heap.fail_after != 0);
    }
}

static void take_one(world *w)
{
    model_entry entry = draw_entry(w);
    shoal_zset_spot spot;
    shoal_zset_edit_find(&w->edit, (shoal_slice){entry.member, entry.size}, &spot);
    uint32_t at = model_find(w, &entry);
    assert_int_equal(spot.found, at < w->count);
    if (!spot.found) return;
    shoal_zset_edit_take(&w->edit, &spot);
    model_remove(w, at, at + 1);
}

static void take_range(world *w)
{
    if (w->count == 0) return;
    uint32_t from = draw(w, w->count);
    uint32_t size = draw(w, 1 + (w->count - from) / 4);
    shoal_zset_edit_take_ranks(&w->edit, (shoal_zset_ranks){from, from + size});
    model_remove(w, from, from + size);
}

/* Phases in which a set grows and shrinks; `most` names at the height. */
static void run_phases(world *w, uint32_t steps, uint32_t rounds)
{
    for (uint32_t round = 0; round < rounds; round++) {
        uint32_t puts = round % 3 == 2 ? 20 : 80;
        for (uint32_t i = 0; i < steps; i++) {
            uint32_t what = draw(w, 100);
            if (what < puts) {
                put_one(w);
            } else if (what < 99) {
                take_one(w);
            } else {
                take_range(w);
            }
        }
        check_all(w);
    }
}

static void a_pack_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < 4; kind++) {
        world w;
        open_world(&w, kind, 128);
        w.names = 60;
        w.score_kind = kind;
        run_phases(&w, 100, 30);
        assert_null(w.edit.object);
        close_world(&w);
    }
}

static void a_tree_without_an_index_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < 4; kind++) {
        world w;
        open_world(&w, 10 + kind, 0);
        w.names = 150;
        w.score_kind = kind;
        w.long_names = kind % 2 == 0;
        run_phases(&w, 300, 15);
        assert_non_null(w.edit.object);
        assert_null(w.edit.object->index.directory);
        close_world(&w);
    }
}

static void a_tree_with_an_index_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < 4; kind++) {
        world w;
        open_world(&w, 20 + kind, 128);
        w.names = 4000;
        w.score_kind = kind;
        w.long_names = kind == 3;
        run_phases(&w, 2500, 3);
        assert_non_null(w.edit.object->index.directory);
        close_world(&w);
    }
}

static void a_change_without_memory_changes_nothing(void **state)
{
    (void)state;
    world w;
    open_world(&w, 30, 16);
    w.names = 900;
    w.score_kind = 3;
    w.long_names = true;
    for (uint32_t round = 0; round < 300; round++) {
        w.heap.fail_after = w.heap.calls + 1 + draw(&w, 4);
        for (uint32_t i = 0; i < 10; i++) put_one(&w);
        for (uint32_t i = 0; i < 3; i++) take_one(&w);
        if (round % 30 == 29) check_all(&w);
        w.heap.fail_after = 0;
        for (uint32_t i = 0; i < 3; i++) put_one(&w);
    }
    check_all(&w);
    close_world(&w);
}

static bool everything_is_sparse(void *context, const void *memory, size_t size)
{
    (void)context;
    (void)memory;
    (void)size;
    return true;
}

static void a_set_moves_piece_by_piece(void **state)
{
    (void)state;
    world w;
    open_world(&w, 40, 16);
    w.names = 2000;
    w.score_kind = 2;
    w.long_names = true;
    for (uint32_t i = 0; i < 2500; i++) put_one(&w);
    uint64_t cursor = 0, calls = 0;
    do {
        uint32_t budget = 3;
        shoal_zset_ops.move(&w.edit.object->object, &w.account, &cursor, &budget,
                            &(shoal_value_mover){everything_is_sparse, NULL});
        calls++;
    } while (cursor != 0);
    assert_true(calls > 5);
    check_all(&w);
    close_world(&w);
}

static void a_copy_is_equal_and_independent(void **state)
{
    (void)state;
    world w;
    open_world(&w, 50, 16);
    w.names = 3000;
    w.long_names = true;
    for (uint32_t i = 0; i < 2000; i++) put_one(&w);
    shoal_zset *original = w.edit.object;
    shoal_object *copy = shoal_zset_ops.copy(&original->object, &w.account);
    assert_non_null(copy);
    shoal_compound both[2] = {{.object = &original->object}, {.object = copy}};
    assert_string_equal(shoal_zset_ops.encoding(&both[1]), "skiplist");
    shoal_object_free(&original->object, &w.account);
    w.edit.object = (shoal_zset *)copy;
    check_all(&w);
    close_world(&w);
}

static void a_set_is_freed_in_bounded_pieces(void **state)
{
    (void)state;
    world w;
    open_world(&w, 60, 16);
    w.names = 5000;
    w.score_kind = 2;
    w.long_names = true;
    for (uint32_t i = 0; i < 3000; i++) put_one(&w);
    int64_t blocks = w.heap.blocks;
    bool done = false;
    while (!done) {
        uint32_t budget = 7;
        done = shoal_zset_ops.free_some(&w.edit.object->object, &w.account, &budget);
        assert_true(blocks - w.heap.blocks <= 7 + (int64_t)SHOAL_ZSET__HEIGHT_MAX);
        assert_true(done || budget == 0);
        blocks = w.heap.blocks;
    }
    assert_int_equal(w.heap.blocks, 0);
    w.edit.object = NULL;
    w.edit.made = false;
    close_world(&w);
}

static void elements_in_order_fill_their_leaves(void **state)
{
    (void)state;
    world w;
    open_world(&w, 70, 16);
    char name[16];
    for (uint32_t i = 0; i < 20000; i++) {
        size_t size = (size_t)snprintf(name, sizeof(name), "member:%05u", i);
        assert_int_equal(shoal_zset_edit_set(&w.edit, (shoal_slice){name, size}, i), 0);
    }
    check_shape(&w);
    /* 12 bytes of member, 8 of score; a size, an offset, a tag, and some 10 of the index. */
    assert_true(w.account.bytes / 20000 < 40);
    for (uint32_t i = 20000; i > 0; i--) {
        size_t size = (size_t)snprintf(name, sizeof(name), "member:%05u", i - 1);
        assert_int_equal(shoal_zset_edit_set(&w.edit, (shoal_slice){name, size}, -(double)i), 0);
    }
    check_shape(&w);
    shoal_zset_edit_take_ranks(&w.edit, (shoal_zset_ranks){10, 20000});
    assert_true(w.account.bytes < 8192);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pack_agrees_with_the_model),
        cmocka_unit_test(a_tree_without_an_index_agrees_with_the_model),
        cmocka_unit_test(a_tree_with_an_index_agrees_with_the_model),
        cmocka_unit_test(a_change_without_memory_changes_nothing),
        cmocka_unit_test(a_set_moves_piece_by_piece),
        cmocka_unit_test(a_copy_is_equal_and_independent),
        cmocka_unit_test(a_set_is_freed_in_bounded_pieces),
        cmocka_unit_test(elements_in_order_fill_their_leaves),
    };
    print_message("# seed %llu\n", (unsigned long long)seed_of_run());
    return cmocka_run_group_tests_name("zset_model", tests, NULL, NULL);
}
