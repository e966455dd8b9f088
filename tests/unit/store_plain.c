/* SPDX-License-Identifier: MIT
 *
 * The short way of writing plain text (store/write_plain.c) and the long one leave the same store:
 * two of them get the same writes, one through the call that may take the short way, the other
 * through one that never does.
 */
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "store/places.h"
#include "support/store_box.h"
#include "support/test.h"

#define KEYS 200u
#define NAME_SIZE 24u
#define ROUNDS 20000u
#define VALUE_MAX 300u

static store_box quick, slow;
static char names[KEYS][NAME_SIZE];
static char value[VALUE_MAX];

/* Text that stays text is put without a look for the short way. */
typedef struct text_op {
    shoal_gate_op gate;
    const shoal_key *key;
    shoal_slice value;
    int64_t expires_ms;
} text_op;

static void run_text(shoal_op *op, void *thread)
{
    const text_op *put = (const text_op *)op;
    shoal_err error = shoal_store_put_text_locked(thread, put->key, put->value, put->expires_ms);
    assert_int_equal(error, 0);
}

static void put_slowly(const shoal_key *key, shoal_slice text, int64_t expires_ms)
{
    text_op op = {.key = key, .value = text, .expires_ms = expires_ms};
    op.gate = (shoal_gate_op){.op = {.run = run_text}, .places = &key->place, .count = 1};
    assert_true(shoal_gate_try(slow.thread, &op.gate));
}

static void assert_alike(void)
{
    shoal_store_stats a, b;
    shoal_store_stats_get(quick.store, &a);
    shoal_store_stats_get(slow.store, &b);
    assert_int_equal(a.bytes, b.bytes);
    assert_int_equal(a.bytes_limbo, b.bytes_limbo);
    assert_int_equal(a.bytes_queues, b.bytes_queues);
    assert_int_equal(a.bytes_slabs_free, b.bytes_slabs_free);
    assert_int_equal(a.keys, b.keys);
    assert_int_equal(a.keys_volatile, b.keys_volatile);
    assert_int_equal(a.changes, b.changes);
    shoal_limbo_count waits_a = shoal_store_limbo(quick.store, 0);
    shoal_limbo_count waits_b = shoal_store_limbo(slow.store, 0);
    assert_memory_equal(&waits_a, &waits_b, sizeof waits_a);
    box_check_bytes(&quick);
}

static void assert_same_item(const shoal_key *of_quick, const shoal_key *of_slow)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    const shoal_item *a = shoal_store_peek(quick.thread, of_quick);
    const shoal_item *b = shoal_store_peek(slow.thread, of_slow);
    int64_t idle_a = -1, idle_b = -1;
    assert_true((a == NULL) == (b == NULL));
    if (a == NULL) return;
    shoal_slice text_a = shoal_item_string(a, scratch), text_b = shoal_item_string(b, scratch);
    assert_int_equal(text_a.size, text_b.size);
    assert_memory_equal(text_a.data, text_b.data, text_a.size);
    assert_int_equal(shoal_item_expires_ms(a), shoal_item_expires_ms(b));
    assert_true(shoal_store_idle_ms(quick.thread, of_quick, &idle_a));
    assert_true(shoal_store_idle_ms(slow.thread, of_slow, &idle_b));
    assert_int_equal(idle_a, idle_b);
    assert_int_equal(shoal_store_bytes_slot(quick.store, of_quick->place),
                     shoal_store_bytes_slot(slow.store, of_slow->place));
}

/* One write or removal, in both. */
static void change(shoal_prng *prng, const shoal_key *of_quick, const shoal_key *of_slow)
{
    uint64_t what = shoal_prng_below(prng, 20);
    if (what == 0) {
        assert_true(box_remove(quick.thread, of_quick) == box_remove(slow.thread, of_slow));
        return;
    }
    int64_t expires_ms = what == 1 ? box_ms(&quick) + 50 : -1;
    size_t size = (size_t)shoal_prng_below(prng, what == 2 ? VALUE_MAX : 80);
    value[0] = (char)('a' + shoal_prng_below(prng, 26));
    assert_int_equal(box_put(quick.thread, of_quick, (shoal_slice){value, size}, expires_ms), 0);
    put_slowly(of_slow, (shoal_slice){value, size}, expires_ms);
}

static void a_short_write_leaves_what_a_long_one_leaves(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){5, 6}, 0, 0);
    memset(value, 'v', sizeof value);
    box_open(&quick, 1);
    box_open(&slow, 1);
    for (uint32_t i = 0; i < KEYS; i++)
        (void)snprintf(names[i], NAME_SIZE, i % 2 ? "{one}%u" : "another %u", i);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const char *name = names[shoal_prng_below(&prng, KEYS)];
        shoal_key of_quick = {.name = text_slice(name)}, of_slow = of_quick;
        shoal_store_look_ahead(quick.store, 0, &of_quick, 1);
        shoal_store_look_ahead(slow.store, 0, &of_slow, 1);
        change(&prng, &of_quick, &of_slow);
        assert_same_item(&of_quick, &of_slow);
        if (i % 16 != 0) continue;
        assert_alike();
        box_turn(&quick, 3);
        box_turn(&slow, 3);
    }
    box_close(&quick);
    box_close(&slow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_write_leaves_what_a_long_one_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
