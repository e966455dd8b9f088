/* SPDX-License-Identifier: MIT
 *
 * The store against a slow, obvious model: an array that says for each of the keys whether it is
 * there, with which value and until when. Random operations with fixed seeds; all keys of a run
 * share a slot or are spread. Walks run in the middle of it all and must be exact.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "support/store_box.h"

/* What the model knows of one key. */
typedef struct model_key {
    bool there;
    uint32_t value;     /* seed of the value */
    int64_t expires_ms; /* -1: never */
    int64_t changed;    /* number of the last operation on it */
    uint32_t visits;    /* by the walk that is under way */
} model_key;

typedef struct model {
    store_box box;
    shoal_prng prng;
    model_key *keys;
    uint32_t key_count;
    bool one_slot;
    int64_t operations;
    uint64_t cursor;    /* of the walk */
    int64_t walk_begun; /* operation at which it began */
    int64_t walk_began_ms;
    bool walking;
} model;

#define NAME_MAX_BYTES 400
#define VALUE_MAX_BYTES 2000

/* The name of key `i`: short for most, long for some. */
static shoal_slice key_name(const model *m, uint32_t i, char out[NAME_MAX_BYTES])
{
    int size = snprintf(out, NAME_MAX_BYTES, m->one_slot ? "{slot}:%u" : "key:%u", i);
    if (i % 17 == 0) {
        memset(out + size, 'x', 300);
        size += 300;
    }
    return (shoal_slice){out, (size_t)size};
}

/* The value with seed `seed`: an integer, nothing, or bytes of some length. */
static shoal_slice value_of(uint32_t seed, char out[VALUE_MAX_BYTES])
{
    int size = 0;
    switch (seed % 4) {
    case 0: size = snprintf(out, VALUE_MAX_BYTES, "%d", (int)(seed * 2654435761u)); break;
    case 1: break;
    case 2: size = snprintf(out, VALUE_MAX_BYTES, "value %u", seed); break;
    default:
        size = (int)(seed / 4 % VALUE_MAX_BYTES);
        memset(out, 'a' + (int)(seed % 26), (size_t)size);
    }
    return (shoal_slice){out, (size_t)size};
}

static bool model_alive(const model *m, uint32_t i)
{
    const model_key *key = &m->keys[i];
    return key->there && (key->expires_ms < 0 || key->expires_ms > box_ms(&m->box));
}

static void check_key(model *m, uint32_t i)
{
    char name[NAME_MAX_BYTES], value[VALUE_MAX_BYTES], scratch[SHOAL_INT_TEXT_SIZE];
    shoal_key key = shoal_key_make(m->box.store, 0, key_name(m, i, name));
    const shoal_item *item = shoal_store_get(m->box.thread, &key);
    if (!model_alive(m, i)) {
        assert_null(item);
        return;
    }
    assert_non_null(item);
    shoal_slice want = value_of(m->keys[i].value, value);
    shoal_slice held = shoal_item_string(item, scratch);
    assert_int_equal(held.size, want.size);
    assert_int_equal(shoal_item_string_size(item), want.size);
    if (want.size > 0) assert_memory_equal(held.data, want.data, want.size);
    assert_int_equal(shoal_item_expires_ms(item), m->keys[i].expires_ms);
    shoal_slice held_name = shoal_item_name(item);
    assert_int_equal(held_name.size, key.name.size);
    assert_memory_equal(held_name.data, name, held_name.size);
}

static int64_t random_expiry(model *m)
{
    if (shoal_prng_below(&m->prng, 3) > 0) return -1;
    static const int64_t spans[] = {50, 1000, 60000, 1000000, 100000000};
    int64_t span = spans[shoal_prng_below(&m->prng, 5)];
    return box_ms(&m->box) + (int64_t)shoal_prng_below(&m->prng, (uint64_t)span);
}

static void do_put(model *m, uint32_t i, const shoal_key *key)
{
    char value[VALUE_MAX_BYTES];
    model_key *known = &m->keys[i];
    uint32_t seed = (uint32_t)shoal_prng_next(&m->prng);
    int64_t expires_ms = random_expiry(m);
    shoal_err error = box_put(m->box.thread, key, value_of(seed, value), expires_ms);
    if (error == SHOAL_ERR_NO_MEMORY && m->box.heap.fail_after > 0) {
        check_key(m, i);
        return;
    }
    assert_int_equal(error, 0);
    known->there = true;
    known->value = seed;
    known->expires_ms = expires_ms;
    known->changed = m->operations;
}

static void do_expire(model *m, uint32_t i, const shoal_key *key)
{
    model_key *known = &m->keys[i];
    int64_t expires_ms = random_expiry(m);
    bool alive = model_alive(m, i);
    shoal_err error = box_expire(m->box.thread, key, expires_ms);
    if (error == SHOAL_ERR_NO_MEMORY && m->box.heap.fail_after > 0) {
        check_key(m, i);
        return;
    }
    assert_int_equal(error, alive ? 0 : SHOAL_ERR_NOT_FOUND);
    if (!alive) return;
    known->expires_ms = expires_ms;
    known->changed = m->operations;
}

/* One random operation on one key; `puts` in ten are puts. */
static void step(model *m, uint32_t puts)
{
    char name[NAME_MAX_BYTES];
    m->operations++;
    uint32_t i = (uint32_t)shoal_prng_below(&m->prng, m->key_count);
    shoal_key key = shoal_key_make(m->box.store, 0, key_name(m, i, name));
    uint64_t what = shoal_prng_below(&m->prng, 12);
    if (what < puts) {
        do_put(m, i, &key);
    } else if (what < 10) {
        bool alive = model_alive(m, i);
        assert_int_equal(box_remove(m->box.thread, &key), alive);
        m->keys[i].there = false;
        m->keys[i].changed = m->operations;
    } else if (what == 10) {
        do_expire(m, i, &key);
    } else {
        assert_int_equal(box_has_locked(m->box.thread, &key), model_alive(m, i));
    }
    check_key(m, (uint32_t)shoal_prng_below(&m->prng, m->key_count));
}

/* ---- walks ---- */

static void visit(void *context, const shoal_item *item)
{
    model *m = context;
    shoal_slice name = shoal_item_name(item);
    const char *number = memchr(name.data, ':', name.size);
    char digits[16] = {0};
    assert_non_null(number);
    number++;
    for (size_t d = 0; number + d < name.data + name.size && number[d] != 'x'; d++) {
        digits[d] = number[d];
    }
    uint32_t i = (uint32_t)strtoul(digits, NULL, 10);
    assert_true(i < m->key_count);
    assert_true(model_alive(m, i));
    m->keys[i].visits++;
}

/* At the end of a walk: what stayed was visited once, nothing twice. */
static void check_walk(const model *m)
{
    for (uint32_t i = 0; i < m->key_count; i++) {
        const model_key *key = &m->keys[i];
        assert_true(key->visits <= 1);
        if (model_alive(m, i) && key->changed < m->walk_begun) assert_int_equal(key->visits, 1);
    }
}

/* One step of a walk through the database; begins a new one behind the last. */
static void walk(model *m)
{
    if (!m->walking) {
        m->walking = true;
        m->cursor = 0;
        m->walk_begun = m->operations;
        for (uint32_t i = 0; i < m->key_count; i++) m->keys[i].visits = 0;
    }
    shoal_scan scan = {.slot_last = SHOAL_SLOTS - 1};
    scan.count = 1 + (uint32_t)shoal_prng_below(&m->prng, 20);
    shoal_store_scan(m->box.thread, &scan, &m->cursor, visit, m);
    assert_true(m->cursor < (uint64_t)1 << 53);
    if (m->cursor != 0) return;
    m->walking = false;
    check_walk(m);
}

/* ---- runs ---- */

static void model_open(model *m, uint64_t seed, uint32_t keys, bool one_slot)
{
    *m = (model){.key_count = keys, .one_slot = one_slot};
    print_message("# seed %llu\n", (unsigned long long)seed);
    m->prng = shoal_prng_make((uint64_t[2]){seed, 7}, 0, 0);
    m->keys = calloc(keys, sizeof *m->keys);
    assert_non_null(m->keys);
    box_open(&m->box, 1);
}

/* How late the hand may be, in milliseconds: a hint can be a second off. */
#define LATE_MS 2000

static void check_all(model *m)
{
    uint64_t alive = 0, mortal = 0, late = 0;
    box_settle(&m->box);
    for (uint32_t i = 0; i < m->key_count; i++) {
        check_key(m, i);
        bool is_alive = model_alive(m, i);
        alive += is_alive;
        mortal += is_alive && m->keys[i].expires_ms >= 0;
        late += m->keys[i].there && !is_alive && m->keys[i].expires_ms > box_ms(&m->box) - LATE_MS;
    }
    uint64_t count = shoal_store_count(m->box.store, 0);
    uint64_t count_volatile = shoal_store_count_volatile(m->box.store, 0);
    assert_in_range(count, alive, alive + late);
    assert_int_equal(count - count_volatile, alive - mortal);
    box_check_bytes(&m->box);
}

static void model_close(model *m)
{
    box_close(&m->box);
    free(m->keys);
}

/* `steps` operations with time passing, walks, and background work between them. */
static void run(model *m, int64_t steps, uint32_t puts)
{
    for (int64_t n = 0; n < steps; n++) {
        step(m, puts);
        if (n % 8 == 0) walk(m);
        if (n % 64 == 0) box_turn(&m->box, (int64_t)shoal_prng_below(&m->prng, 20));
        if (n % 256 == 0) (void)shoal_store_maintain(m->box.thread, 5);
        if (n % 4096 == 0) box_check_bytes(&m->box);
    }
    check_all(m);
}

static void one_slot_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        model m;
        model_open(&m, seed, 3000, true);
        run(&m, 30000, 7);
        run(&m, 30000, 3);
        run(&m, 20000, 9);
        run(&m, 30000, 1);
        model_close(&m);
    }
}

static void few_keys_in_one_slot_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 30; seed++) {
        model m;
        model_open(&m, seed, 5 + (uint32_t)seed % 40, true);
        run(&m, 3000, 5);
        model_close(&m);
    }
}

static void spread_keys_agree_with_the_model(void **state)
{
    (void)state;
    model m;
    model_open(&m, 100, 50000, false);
    run(&m, 200000, 7);
    run(&m, 200000, 2);
    model_close(&m);
}

static void two_hundred_thousand_keys_in_one_slot_come_and_go(void **state)
{
    (void)state;
    char name[NAME_MAX_BYTES];
    model m;
    model_open(&m, 200, 200000, true);
    for (uint32_t i = 0; i < m.key_count; i++) {
        shoal_key key = shoal_key_make(m.box.store, 0, key_name(&m, i, name));
        do_put(&m, i, &key);
        m.operations++;
        if (i % 16 == 0) walk(&m);
        if (i % 64 == 0) box_turn(&m.box, 0);
    }
    shoal_store_stats full;
    shoal_store_stats_get(m.box.store, &full);
    print_message("# %.2f table bytes a key\n", (double)full.bytes_tables / (double)full.keys);
    assert_true(full.bytes_tables < full.keys * 16);
    check_all(&m);
    for (uint32_t i = 0; i < m.key_count; i++) {
        shoal_key key = shoal_key_make(m.box.store, 0, key_name(&m, i, name));
        (void)box_remove(m.box.thread, &key);
        m.keys[i].there = false;
        m.keys[i].changed = ++m.operations;
        if (i % 16 == 0) walk(&m);
        if (i % 64 == 0) box_turn(&m.box, 0);
    }
    box_turn(&m.box, 0);
    shoal_store_stats empty;
    shoal_store_stats_get(m.box.store, &empty);
    assert_int_equal(empty.keys, 0);
    assert_int_equal(empty.bytes, 0);
    model_close(&m);
}

static void without_memory_a_put_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 300; seed < 340; seed++) {
        model m;
        model_open(&m, seed, 2500, true);
        for (int round = 0; round < 60; round++) {
            int64_t allowed = 1 + (int64_t)shoal_prng_below(&m.prng, 40);
            m.box.heap.fail_after = m.box.heap.calls + allowed;
            for (int n = 0; n < 100; n++) step(&m, 8);
            m.box.heap.fail_after = 0;
            for (int n = 0; n < 40; n++) step(&m, 9);
            walk(&m);
            box_turn(&m.box, 1);
            box_check_bytes(&m.box);
        }
        check_all(&m);
        model_close(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_keys_in_one_slot_agree_with_the_model),
        cmocka_unit_test(one_slot_agrees_with_the_model),
        cmocka_unit_test(spread_keys_agree_with_the_model),
        cmocka_unit_test(two_hundred_thousand_keys_in_one_slot_come_and_go),
        cmocka_unit_test(without_memory_a_put_changes_nothing),
    };
    return cmocka_run_group_tests_name("store_model", tests, NULL, NULL);
}
