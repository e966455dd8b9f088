/* SPDX-License-Identifier: MIT
 *
 * Hashes with deadlines of fields against a slow, obvious model: an array that says for each field
 * of each hash whether it is there and until when. Nobody reads the hashes through anything that
 * would drop a field: what has expired must go by the hand alone, what has not must stay, and a
 * hash without fields is no key. Plain keys come and go between them, so that tables grow, split
 * and shrink.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "support/store_box.h"
#include "value/members.h"

#define HASHES 40u
#define FIELDS 60u
#define FILLERS 4000u
/* By how much the hand may come late: a unit of the finest hint, twice, and a pause. */
#define LATE_MS 4000

/* What the model knows. */
typedef struct model {
    store_box box;
    shoal_prng prng;
    bool one_slot;
    bool there[HASHES][FIELDS];
    int64_t deadline_ms[HASHES][FIELDS]; /* -1: none */
} model;

/* A change of one field on its way through the gate of its hash. */
typedef struct change {
    shoal_gate_op gate; /* first */
    const shoal_key *key;
    shoal_table_entry entry;
    bool removes;
} change;

static shoal_key name_of(const model *m, const char *kind, uint32_t i, char out[32])
{
    int size = snprintf(out, 32, m->one_slot ? "{slot}:%s:%u" : "%s:%u", kind, i);
    return shoal_key_make(m->box.store, 0, (shoal_slice){out, (size_t)size});
}

static void change_table(shoal_table *table, shoal_account *account, const change *what)
{
    bool added;
    if (what->removes) {
        (void)shoal_table_remove(table, account, &what->entry.name);
    } else {
        assert_int_equal(shoal_table_put(table, account, &what->entry, &added), 0);
    }
}

static void run_change(shoal_op *op, void *thread)
{
    const change *what = (const change *)op;
    const shoal_item *item = shoal_store_get_locked(thread, what->key);
    shoal_account *account = shoal_thread_account(thread);
    if (item == NULL && what->removes) return;
    if (item == NULL) {
        shoal_table *made = shoal_table_make(account, SHOAL_TYPE_HASH, 7);
        change_table(made, account, what);
        assert_int_equal(shoal_store_put_object_locked(thread, what->key, &made->object, -1), 0);
        return;
    }
    shoal_table *table = (shoal_table *)shoal_item_compound(item).object;
    change_table(table, account, what);
    shoal_store_changed_locked(thread, what->key, &table->object);
    if (table->count == 0) assert_true(shoal_store_remove_locked(thread, what->key));
}

static int64_t draw_deadline(model *m)
{
    static const uint32_t reach_ms[] = {1000, 10000, 100000, 5000000};
    if (shoal_prng_below(&m->prng, 3) == 0) return -1;
    return box_ms(&m->box) + 1 +
           (int64_t)shoal_prng_below(&m->prng, reach_ms[shoal_prng_below(&m->prng, 4)]);
}

/* Sets or removes a field drawn at random. */
static void change_field(model *m)
{
    char name[32];
    uint32_t h = (uint32_t)shoal_prng_below(&m->prng, HASHES);
    uint32_t f = (uint32_t)shoal_prng_below(&m->prng, FIELDS);
    shoal_key key = name_of(m, "hash", h, name);
    change what = {.key = &key, .removes = shoal_prng_below(&m->prng, 4) == 0};
    what.entry = (shoal_table_entry){.name = shoal_element_of_integer(f),
                                     .value = shoal_element_of_integer(h),
                                     .deadline_ms = draw_deadline(m)};
    what.gate = (shoal_gate_op){.op = {.run = run_change}, .places = &key.place, .count = 1};
    assert_true(shoal_gate_try(m->box.thread, &what.gate));
    m->there[h][f] = !what.removes;
    m->deadline_ms[h][f] = what.entry.deadline_ms;
}

/* Puts or removes a plain key. */
static void change_filler(model *m)
{
    char name[32];
    shoal_key key = name_of(m, "filler", (uint32_t)shoal_prng_below(&m->prng, FILLERS), name);
    if (shoal_prng_below(&m->prng, 3) == 0) {
        (void)box_remove(m->box.thread, &key);
    } else {
        int64_t at_ms = shoal_prng_below(&m->prng, 4) == 0 ? box_ms(&m->box) + 20000 : -1;
        assert_int_equal(box_put(m->box.thread, &key, text_slice("value"), at_ms), 0);
    }
}

static void check_hash(model *m, uint32_t h)
{
    char name[32];
    shoal_key key = name_of(m, "hash", h, name);
    const shoal_item *item = shoal_store_get(m->box.thread, &key);
    const shoal_table *table =
        item == NULL ? NULL : (const shoal_table *)shoal_item_compound(item).object;
    bool any = false;
    for (uint32_t f = 0; f < FIELDS; f++) {
        shoal_element field = shoal_element_of_integer(f);
        int64_t deadline_ms = m->deadline_ms[h][f];
        bool there = table != NULL && shoal_table_find(table, &field, NULL);
        bool alive = m->there[h][f] && (deadline_ms < 0 || deadline_ms > box_ms(&m->box));
        bool late = m->there[h][f] && !alive && deadline_ms > box_ms(&m->box) - LATE_MS;
        any = any || there;
        if (!late) assert_int_equal(there, alive);
    }
    assert_int_equal(any, item != NULL);
}

/* Lets a while go by, in which the hand comes by now and then. */
static void wait(model *m, int64_t ms)
{
    box_turn(&m->box, ms);
    for (int i = 0; i < 30; i++) {
        (void)shoal_store_maintain(m->box.thread, 1 + (uint32_t)shoal_prng_below(&m->prng, 2000));
        box_turn(&m->box, 150);
    }
}

static void run_model(uint64_t seed, bool one_slot)
{
    static model m;
    m = (model){.one_slot = one_slot, .prng = shoal_prng_make((const uint64_t[2]){seed, 0}, 0, 1)};
    box_open(&m.box, 1);
    for (int round = 0; round < 60; round++) {
        uint32_t changes = (uint32_t)shoal_prng_below(&m.prng, 400);
        for (uint32_t i = 0; i < changes; i++) change_field(&m);
        for (uint32_t i = 0; i < changes; i++) change_filler(&m);
        wait(&m, (int64_t)shoal_prng_below(&m.prng, round % 10 == 9 ? 4000000 : 20000));
        for (uint32_t h = 0; h < HASHES; h++) check_hash(&m, h);
        box_check_bytes(&m.box);
    }
    box_close(&m.box);
}

static void what_has_expired_goes_by_the_hand_alone(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) run_model(seed, false);
}

static void the_same_holds_in_one_slot(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) run_model(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_expired_goes_by_the_hand_alone),
        cmocka_unit_test(the_same_holds_in_one_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
