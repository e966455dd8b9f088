/* SPDX-License-Identifier: MIT
 *
 * Cuts and passages against a slow, obvious model: what is handed out while everything is written
 * is what was there at the cut; what a passage hands out together with what was told behind it is
 * what is there at the end. Random operations with fixed seeds. The sums say that a writer's step
 * is bounded by a few keys, and that the memory of it all is.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "store/snapshot.h"
#include "support/store_box.h"

/* What the model knows of one key. Values are numbers, written with some bytes around them. */
typedef struct model_key {
    uint64_t value; /* 0: not there */
    int64_t expires_ms;
} model_key;

typedef struct model {
    store_box box;
    shoal_prng prng;
    uint32_t key_count;
    uint32_t slots;
    model_key *now;   /* what is there */
    model_key *then;  /* what should be handed out */
    model_key *taken; /* what has been */
    uint64_t handed_out, handed_out_most;
    int64_t then_ms;
    size_t value_size;
} model;

#define NAME_SIZE 40
#define VALUE_SIZE_MAX 600

static shoal_slice name_of(const model *m, uint32_t i, char out[NAME_SIZE])
{
    int size = snprintf(out, NAME_SIZE, "{%u}:%u", i % m->slots, i);
    return (shoal_slice){out, (size_t)size};
}

static shoal_slice value_of(const model *m, uint64_t value, char out[VALUE_SIZE_MAX])
{
    memset(out, '.', m->value_size);
    int size = snprintf(out, VALUE_SIZE_MAX, "v%llu", (unsigned long long)value);
    if (m->value_size > (size_t)size) out[size] = '.';
    return (shoal_slice){out, m->value_size > (size_t)size ? m->value_size : (size_t)size};
}

static void model_open(model *m, uint32_t key_count, uint32_t slots)
{
    *m = (model){.key_count = key_count, .slots = slots, .value_size = 20};
    box_open(&m->box, 1);
    m->prng = shoal_prng_make((uint64_t[2]){key_count, slots}, 0, 0);
    m->now = calloc(key_count, sizeof *m->now);
    m->then = calloc(key_count, sizeof *m->then);
    m->taken = calloc(key_count, sizeof *m->taken);
    assert_true(m->now != NULL && m->then != NULL && m->taken != NULL);
}

static void model_close(model *m)
{
    free(m->now);
    free(m->then);
    free(m->taken);
    box_close(&m->box);
}

static void put(model *m, uint32_t i, int64_t expires_ms)
{
    char name[NAME_SIZE], value[VALUE_SIZE_MAX];
    shoal_key key = shoal_key_make(m->box.store, 0, name_of(m, i, name));
    uint64_t number = 1 + (shoal_prng_next(&m->prng) >> 20);
    assert_int_equal(box_put(m->box.thread, &key, value_of(m, number, value), expires_ms), 0);
    m->now[i] = (model_key){number, expires_ms};
}

static void take_away(model *m, uint32_t i)
{
    char name[NAME_SIZE];
    shoal_key key = shoal_key_make(m->box.store, 0, name_of(m, i, name));
    (void)box_remove(m->box.thread, &key);
    m->now[i] = (model_key){0};
}

/* Empties the slot of key `i`. */
static void clear(model *m, uint32_t i)
{
    char name[NAME_SIZE];
    shoal_key key = shoal_key_make(m->box.store, 0, name_of(m, i, name));
    (void)box_clear(m->box.thread, key.place);
    for (uint32_t k = i % m->slots; k < m->key_count; k += m->slots) m->now[k] = (model_key){0};
}

/* One random change. */
static void change(model *m)
{
    uint32_t i = (uint32_t)shoal_prng_below(&m->prng, m->key_count);
    uint64_t what = shoal_prng_below(&m->prng, 1000);
    int64_t expires_ms = -1;
    if (what % 10 == 7) expires_ms = box_ms(&m->box) + 1 + (int64_t)(what * 3);
    if (what == 0 && m->slots > 1) {
        clear(m, i);
    } else if (what < 300) {
        take_away(m, i);
    } else {
        put(m, i, expires_ms);
    }
}

static void fill(model *m)
{
    for (uint32_t i = 0; i < m->key_count; i++) {
        if (shoal_prng_below(&m->prng, 10) > 0) put(m, i, -1);
        if (i % 64 == 0) box_turn(&m->box, 0);
    }
}

/* ---- the sink ---- */

static void take(void *context, shoal_thread *thread, shoal_snapshot_part *part)
{
    model *m = context;
    char scratch[SHOAL_INT_TEXT_SIZE], text[NAME_SIZE];
    assert_ptr_equal(thread, m->box.thread);
    assert_null(part->object);
    assert_non_null(part->item);
    shoal_slice name = shoal_item_name(part->item);
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    uint32_t i = (uint32_t)strtoul(strchr(text, ':') + 1, NULL, 10);
    assert_true(i < m->key_count);
    assert_int_equal(m->taken[i].value, 0);
    shoal_slice value = shoal_item_string(part->item, scratch);
    m->taken[i].value = strtoull(value.data + 1, NULL, 10);
    m->taken[i].expires_ms = shoal_item_expires_ms(part->item);
    m->handed_out++;
}

static void check_taken(const model *m, const model_key *want)
{
    for (uint32_t i = 0; i < m->key_count; i++) {
        bool there =
            want[i].value != 0 && (want[i].expires_ms < 0 || want[i].expires_ms > m->then_ms);
        assert_int_equal(m->taken[i].value, there ? want[i].value : 0);
        if (there) assert_int_equal(m->taken[i].expires_ms, want[i].expires_ms);
    }
}

/* ---- cuts ---- */

static shoal_cut *begin_cut(model *m)
{
    shoal_cut *cut = NULL;
    const shoal_cut_options options = {.sink = {take, m}};
    assert_int_equal(shoal_cut_begin(m->box.thread, &options, &cut), 0);
    memcpy(m->then, m->now, m->key_count * sizeof *m->then);
    memset(m->taken, 0, m->key_count * sizeof *m->taken);
    m->then_ms = box_ms(&m->box);
    m->handed_out = m->handed_out_most = 0;
    return cut;
}

/* Changes and steps in turn until the cut is over: `changes` for each step of `budget`. */
static void run_cut(model *m, shoal_cut *cut, uint32_t changes, uint32_t budget)
{
    for (;;) {
        for (uint32_t n = 0; n < changes; n++) {
            uint64_t before = m->handed_out;
            change(m);
            if (m->handed_out - before > m->handed_out_most)
                m->handed_out_most = m->handed_out - before;
        }
        uint64_t before = m->handed_out;
        bool over = shoal_cut_step(cut, m->box.thread, budget);
        /* A cell more than asked for, at most. */
        assert_true(m->handed_out - before <= budget + 40);
        box_turn(&m->box, 1);
        (void)shoal_store_maintain(m->box.thread, 20);
        if (over) break;
    }
    assert_true(shoal_cut_end(cut, m->box.thread));
    box_turn(&m->box, 0);
}

static void try_cut(uint32_t keys, uint32_t slots, uint32_t changes, uint32_t budget)
{
    model m;
    model_open(&m, keys, slots);
    fill(&m);
    for (uint32_t round = 0; round < 3; round++) {
        shoal_cut *cut = begin_cut(&m);
        run_cut(&m, cut, changes, budget);
        check_taken(&m, m.then);
        assert_true(m.handed_out_most <= 40);
    }
    box_settle(&m.box);
    box_check_bytes(&m.box);
    model_close(&m);
}

static void a_cut_of_one_slot_is_its_state_at_that_moment(void **state)
{
    (void)state;
    try_cut(30000, 1, 20, 100);
    try_cut(30, 1, 1, 1);
    try_cut(3, 1, 3, 1);
}

static void a_cut_of_many_slots_is_their_state_at_that_moment(void **state)
{
    (void)state;
    try_cut(30000, 900, 10, 50);
    try_cut(20000, 16, 100, 10);
    try_cut(500, 500, 0, 7);
}

static void a_slot_that_is_cleared_is_handed_out_all_the_same(void **state)
{
    (void)state;
    model m;
    model_open(&m, 5000, 1);
    fill(&m);
    shoal_cut *cut = begin_cut(&m);
    (void)shoal_cut_step(cut, m.box.thread, 700);
    uint64_t before = m.handed_out;
    clear(&m, 0);
    assert_int_equal(m.handed_out, before);
    for (uint32_t i = 0; i < 100; i++) put(&m, i, -1);
    clear(&m, 0);
    for (uint32_t i = 0; i < 200; i++) put(&m, i, -1);
    run_cut(&m, cut, 0, 300);
    check_taken(&m, m.then);
    box_settle(&m.box);
    box_check_bytes(&m.box);
    model_close(&m);
}

static void what_expires_behind_the_cut_is_part_of_it(void **state)
{
    (void)state;
    model m;
    model_open(&m, 400, 3);
    for (uint32_t i = 0; i < m.key_count; i++) put(&m, i, box_ms(&m.box) + 10 + i);
    box_turn(&m.box, 100);
    shoal_cut *cut = begin_cut(&m);
    for (uint32_t i = 0; i < 100; i++) {
        box_turn(&m.box, 100);
        (void)shoal_store_maintain(m.box.thread, 1000);
    }
    assert_int_equal(shoal_store_count(m.box.store, 0), 0);
    run_cut(&m, cut, 0, 50);
    check_taken(&m, m.then);
    assert_int_equal(m.handed_out, 400 - 91);
    model_close(&m);
}

static void an_aborted_cut_hands_nothing_more_out_and_gives_all_back(void **state)
{
    (void)state;
    model m;
    model_open(&m, 3000, 7);
    fill(&m);
    shoal_cut *cut = begin_cut(&m);
    shoal_cut *second = NULL;
    const shoal_cut_options options = {.sink = {take, &m}};
    assert_int_equal(shoal_cut_begin(m.box.thread, &options, &second), SHOAL_ERR_BUSY);
    for (uint32_t n = 0; n < 100; n++) change(&m);
    clear(&m, 1);
    (void)shoal_cut_step(cut, m.box.thread, 100);
    shoal_cut_abort(cut);
    uint64_t before = m.handed_out;
    run_cut(&m, cut, 10, 100);
    assert_int_equal(m.handed_out, before);
    cut = begin_cut(&m);
    run_cut(&m, cut, 10, 100);
    check_taken(&m, m.then);
    box_settle(&m.box);
    box_check_bytes(&m.box);
    model_close(&m);
}

static void without_memory_a_cut_is_refused_or_exact(void **state)
{
    (void)state;
    model m;
    model_open(&m, 3000, 2);
    fill(&m);
    shoal_cut *cut = NULL;
    const shoal_cut_options options = {.sink = {take, &m}};
    m.box.heap.fail_after = 1;
    assert_int_equal(shoal_cut_begin(m.box.thread, &options, &cut), SHOAL_ERR_NO_MEMORY);
    m.box.heap.fail_after = 0;
    cut = begin_cut(&m);
    m.box.heap.fail_after = 1;
    for (uint32_t i = 0; i < 100; i++) take_away(&m, i * 7 + 1);
    clear(&m, 0);
    m.box.heap.fail_after = 0;
    run_cut(&m, cut, 5, 100);
    check_taken(&m, m.then);
    model_close(&m);
}

/* A full overwrite: every key is written once while the cut is taken. */
static void a_cut_under_a_full_overwrite_takes_a_tenth_more_memory_at_most(void **state)
{
    (void)state;
    model m;
    model_open(&m, 60000, 997);
    m.value_size = 200;
    for (uint32_t i = 0; i < m.key_count; i++) {
        put(&m, i, -1);
        if (i % 16 == 0) box_turn(&m.box, 0);
    }
    box_settle(&m.box);
    int64_t before = m.box.heap.bytes, most = 0;
    shoal_cut *cut = begin_cut(&m);
    bool over = false;
    for (uint32_t i = 0; i < m.key_count || !over; i++) {
        /* Backwards, so that the writer is ahead of the steps in most places. */
        if (i < m.key_count) put(&m, m.key_count - 1 - i, -1);
        if (i % 16 != 0) continue;
        if (!over) over = shoal_cut_step(cut, m.box.thread, 16);
        if (m.box.heap.bytes > most) most = m.box.heap.bytes;
        box_turn(&m.box, 0);
    }
    assert_true(shoal_cut_end(cut, m.box.thread));
    check_taken(&m, m.then);
    print_message("# %lld bytes before, at most %.2f %% more\n", (long long)before,
                  (double)(most - before) * 100 / (double)before);
    assert_true(most - before <= before / 10);
    model_close(&m);
}

/* ---- passages ---- */

/* Takes what a passage hands out, and, as a stream would, what is told behind it: the later
 * counts. */
static void take_again(void *context, shoal_thread *thread, shoal_snapshot_part *part)
{
    model *m = context;
    char text[NAME_SIZE];
    shoal_slice name = shoal_item_name(part->item);
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    uint32_t i = (uint32_t)strtoul(strchr(text, ':') + 1, NULL, 10);
    m->taken[i].value = 0;
    take(context, thread, part);
}

static void try_passage(uint32_t keys, uint32_t slots, uint32_t changes)
{
    model m;
    model_open(&m, keys, slots);
    fill(&m);
    shoal_passage *passage = NULL;
    const shoal_snapshot_sink sink = {take_again, &m};
    assert_int_equal(shoal_passage_open(m.box.thread, &sink, 0, SHOAL_SLOTS - 1, &passage), 0);
    for (bool over = false; !over;) {
        for (uint32_t n = 0; n < changes; n++) {
            uint32_t i = (uint32_t)shoal_prng_below(&m.prng, m.key_count);
            char name[NAME_SIZE];
            shoal_key key = shoal_key_make(m.box.store, 0, name_of(&m, i, name));
            bool told = shoal_passage_is_behind(passage, &key);
            assert_false(shoal_passage_is_within(passage, &key));
            if (shoal_prng_below(&m.prng, 3) == 0) {
                take_away(&m, i);
            } else {
                put(&m, i, -1);
            }
            if (told) m.taken[i] = m.now[i];
        }
        over = shoal_passage_step(passage, m.box.thread, 40);
        box_turn(&m.box, 1);
    }
    shoal_passage_close(passage, m.box.thread);
    check_taken(&m, m.now);
    model_close(&m);
}

static void a_passage_and_what_is_told_behind_it_are_the_state_at_its_end(void **state)
{
    (void)state;
    try_passage(20000, 1, 30);
    try_passage(20000, 300, 20);
    try_passage(10, 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_of_one_slot_is_its_state_at_that_moment),
        cmocka_unit_test(a_cut_of_many_slots_is_their_state_at_that_moment),
        cmocka_unit_test(a_slot_that_is_cleared_is_handed_out_all_the_same),
        cmocka_unit_test(what_expires_behind_the_cut_is_part_of_it),
        cmocka_unit_test(an_aborted_cut_hands_nothing_more_out_and_gives_all_back),
        cmocka_unit_test(without_memory_a_cut_is_refused_or_exact),
        cmocka_unit_test(a_cut_under_a_full_overwrite_takes_a_tenth_more_memory_at_most),
        cmocka_unit_test(a_passage_and_what_is_told_behind_it_are_the_state_at_its_end),
    };
    return cmocka_run_group_tests_name("store_cut", tests, NULL, NULL);
}
