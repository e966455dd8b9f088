/* SPDX-License-Identifier: MIT
 *
 * The store's operations one by one: how values are kept, expiry, gates within one thread, walks,
 * random keys, clearing, ownership, routes, statistics, digests.
 */
#include "store/route.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slab.h"
#include "support/store_box.h"

/* ---- values ---- */

static void shortest_decimals_are_kept_as_integers(void **state)
{
    (void)state;
    static const char *const integers[] = {"0", "-1", "42", "9223372036854775807",
                                           "-9223372036854775808"};
    static const char *const texts[] = {"",
                                        "-",
                                        "-0",
                                        "00",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "0x1",
                                        "9223372036854775808",
                                        "-9223372036854775809"};
    store_box box;
    box_open(&box, 1);
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        box_set(&box, "k", integers[i]);
        assert_true(box_holds(&box, "k", integers[i]));
        assert_string_equal(shoal_item_encoding(box_get(&box, "k")), "int");
        assert_int_equal(shoal_item_string_size(box_get(&box, "k")), strlen(integers[i]));
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t value;
        box_set(&box, "k", texts[i]);
        assert_true(box_holds(&box, "k", texts[i]));
        assert_false(shoal_item_integer(box_get(&box, "k"), &value));
    }
    box_close(&box);
}

static void strings_over_44_bytes_are_raw(void **state)
{
    (void)state;
    char text[46] = {0};
    store_box box;
    box_open(&box, 1);
    memset(text, 'x', 44);
    box_set(&box, "k", text);
    assert_string_equal(shoal_item_encoding(box_get(&box, "k")), "embstr");
    text[44] = 'x';
    box_set(&box, "k", text);
    assert_string_equal(shoal_item_encoding(box_get(&box, "k")), "raw");
    box_close(&box);
}

static void sizes_around_the_header_forms_survive(void **state)
{
    (void)state;
    static const size_t key_sizes[] = {0, 1, 255, 256, 70000};
    static const size_t value_sizes[] = {0, 65535, 65536, 3000000};
    store_box box;
    char scratch[SHOAL_INT_TEXT_SIZE];
    char *bytes = malloc(3000000);
    assert_non_null(bytes);
    memset(bytes, 'b', 3000000);
    box_open(&box, 1);
    for (size_t k = 0; k < 5; k++) {
        for (size_t v = 0; v < 4; v++) {
            for (int64_t expires = -1; expires < 2; expires += 2) {
                shoal_key key = shoal_key_make(box.store, 0, (shoal_slice){bytes, key_sizes[k]});
                int64_t expires_ms = expires < 0 ? -1 : box_ms(&box) + 77;
                shoal_slice value = {bytes, value_sizes[v]};
                assert_int_equal(box_put(box.thread, &key, value, expires_ms), 0);
                const shoal_item *item = shoal_store_get(box.thread, &key);
                assert_non_null(item);
                assert_int_equal(shoal_item_string(item, scratch).size, value_sizes[v]);
                assert_int_equal(shoal_item_name(item).size, key_sizes[k]);
                assert_int_equal(shoal_item_expires_ms(item), expires_ms);
                size_t header = key_sizes[k] > 255 || value_sizes[v] > 65535 ? 12 : 4;
                size_t size = header + (expires < 0 ? 0 : 6) + key_sizes[k] + value_sizes[v];
                const shoal_allocator below = test_allocator(&box.heap);
                assert_int_equal(shoal_item_memory(box.store, item),
                                 shoal_slab_usable(&below, size, 4));
            }
        }
    }
    box_turn(&box, 0);
    box_check_bytes(&box);
    free(bytes);
    box_close(&box);
}

static void databases_are_apart(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    shoal_key other = shoal_key_make(box.store, 1, text_slice("k"));
    box_set(&box, "k", "zero");
    assert_null(shoal_store_get(box.thread, &other));
    assert_int_equal(box_put(box.thread, &other, text_slice("one"), -1), 0);
    assert_true(box_holds(&box, "k", "zero"));
    assert_int_equal(shoal_store_count(box.store, 0), 1);
    assert_int_equal(shoal_store_count(box.store, 1), 1);
    box_close(&box);
}

/* ---- expiry ---- */

static void a_read_ignores_what_has_expired_and_a_locked_one_removes_it(void **state)
{
    (void)state;
    store_box box;
    shoal_store_stats stats;
    box_open(&box, 1);
    shoal_key key = shoal_key_make(box.store, 0, text_slice("k"));
    assert_int_equal(box_put(box.thread, &key, text_slice("v"), box_ms(&box) + 10), 0);
    box_turn(&box, 9);
    assert_non_null(shoal_store_get(box.thread, &key));
    box_turn(&box, 1);
    assert_null(shoal_store_get(box.thread, &key));
    assert_int_equal(shoal_store_count(box.store, 0), 1);
    assert_false(box_has_locked(box.thread, &key));
    assert_int_equal(shoal_store_count(box.store, 0), 0);
    assert_int_equal(shoal_store_count_volatile(box.store, 0), 0);
    shoal_store_stats_get(box.store, &stats);
    assert_int_equal(stats.expired, 1);
    box_close(&box);
}

static void expired_keys_cannot_be_removed_or_given_a_ttl(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    shoal_key key = shoal_key_make(box.store, 0, text_slice("k"));
    assert_int_equal(box_put(box.thread, &key, text_slice("v"), box_ms(&box)), 0);
    assert_int_equal(box_expire(box.thread, &key, -1), SHOAL_ERR_NOT_FOUND);
    assert_int_equal(box_put(box.thread, &key, text_slice("v"), box_ms(&box) - 5), 0);
    assert_false(box_remove(box.thread, &key));
    assert_int_equal(shoal_store_count(box.store, 0), 0);
    box_close(&box);
}

/* Puts `count` keys that expire between `first` and `last` milliseconds from now. */
static void put_mortals(store_box *box, uint32_t count, int64_t first, int64_t last)
{
    char name[24];
    for (uint32_t i = 0; i < count; i++) {
        int size = snprintf(name, sizeof name, "mortal:%u", i);
        shoal_key key = shoal_key_make(box->store, i % 2, (shoal_slice){name, (size_t)size});
        int64_t expires_ms = box_ms(box) + first + (last - first) * i / count;
        assert_int_equal(box_put(box->thread, &key, text_slice("v"), expires_ms), 0);
    }
}

static void the_hand_removes_everything_in_time_and_then_rests(void **state)
{
    (void)state;
    static const int64_t spans_ms[] = {100, 5000, 100000, 5000000, 500000000};
    for (size_t s = 0; s < 5; s++) {
        store_box box;
        shoal_store_stats stats;
        box_open(&box, 1);
        put_mortals(&box, 2000, spans_ms[s] / 2, spans_ms[s]);
        int64_t waited_ms = 0;
        uint32_t calls = 0;
        for (;;) {
            int64_t wait_us = shoal_store_maintain(box.thread, 50);
            if (wait_us == INT64_MAX) break;
            int64_t wait_ms = wait_us / 1000 + 1;
            box_turn(&box, wait_ms);
            waited_ms += wait_ms;
            assert_true(++calls < 20000);
        }
        shoal_store_stats_get(box.store, &stats);
        assert_int_equal(stats.expired, 2000);
        assert_int_equal(stats.keys, 0);
        assert_int_equal(stats.bytes, 0);
        print_message("# %lld ms: %u calls, %lld ms\n", (long long)spans_ms[s], calls,
                      (long long)waited_ms);
        assert_true(waited_ms < spans_ms[s] + 2000);
        box_close(&box);
    }
}

static void with_active_expiry_off_the_hand_stays_away(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    shoal_store_set_active_expire(box.store, false);
    put_mortals(&box, 10, 1, 2);
    box_turn(&box, 1000);
    assert_true(shoal_store_maintain(box.thread, 1000) == INT64_MAX);
    assert_int_equal(shoal_store_count(box.store, 0), 5);
    shoal_store_set_active_expire(box.store, true);
    box_settle(&box);
    assert_int_equal(shoal_store_count(box.store, 0), 0);
    box_close(&box);
}

static void expiry_far_in_the_future_is_kept_as_the_latest(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    shoal_key key = shoal_key_make(box.store, 0, text_slice("k"));
    assert_int_equal(box_put(box.thread, &key, text_slice("v"), INT64_MAX), 0);
    assert_true(shoal_item_expires_ms(box_get(&box, "k")) == SHOAL_EXPIRES_MS_MAX);
    (void)shoal_store_maintain(box.thread, 1000);
    assert_true(box_holds(&box, "k", "v"));
    box_close(&box);
}

/* ---- gates ---- */

/* An operation that pushes others while it holds its gate. */
typedef struct chain_op {
    shoal_gate_op gate;
    struct chain_op *inner;
    uint32_t *order;
    uint32_t *ran;
    uint32_t who;
} chain_op;

static void run_chain(shoal_op *op, void *thread)
{
    chain_op *chain = (chain_op *)op;
    if (chain->inner != NULL) {
        assert_false(shoal_gate_try(thread, &chain->inner->gate));
        assert_false(shoal_gate_push(thread, &chain->inner->gate));
    }
    chain->order[(*chain->ran)++] = chain->who;
}

static void an_operation_pushed_from_within_runs_behind_its_pusher(void **state)
{
    (void)state;
    enum { DEPTH = 10000 };
    static chain_op ops[DEPTH];
    static uint32_t order[DEPTH];
    static const uint32_t place = 7;
    uint32_t ran = 0;
    store_box box;
    box_open(&box, 1);
    for (uint32_t i = 0; i < DEPTH; i++) {
        ops[i] = (chain_op){
            .gate = {.op = {.run = run_chain}, .places = &place, .count = 1},
            .inner = i + 1 < DEPTH ? &ops[i + 1] : NULL,
            .order = order,
            .ran = &ran,
            .who = i,
        };
    }
    /* G6: ten thousand of them need no deeper a stack than two. */
    assert_true(shoal_gate_push(box.thread, &ops[0].gate));
    while (shoal_thread_busy(box.thread)) box_turn(&box, 1);
    assert_int_equal(ran, DEPTH);
    for (uint32_t i = 0; i < DEPTH; i++) assert_int_equal(order[i], i);
    box_close(&box);
}

static void run_look_slow(shoal_op *op, void *thread)
{
    const shoal_gate_op *gate = (const shoal_gate_op *)op;
    for (uint32_t i = 0; i < gate->count; i++) {
        bool slow = shoal_store_place_slow(shoal_thread_store(thread), gate->places[i]);
        assert_int_equal(slow, gate->multi);
    }
}

static void places_are_slow_while_a_multi_operation_runs(void **state)
{
    (void)state;
    static const uint32_t places[] = {3, 4, SHOAL_PLACE(1, 3)};
    store_box box;
    box_open(&box, 1);
    for (int multi = 0; multi < 2; multi++) {
        shoal_gate_op op = {.op = {.run = run_look_slow}, .places = places, .count = 3};
        op.multi = multi;
        assert_true(shoal_gate_try(box.thread, &op));
        for (uint32_t i = 0; i < 3; i++) {
            assert_false(shoal_store_place_slow(box.store, places[i]));
        }
    }
    box_close(&box);
}

static void put_without_gate(void *argument)
{
    store_box *box = argument;
    shoal_key key = shoal_key_make(box->store, 0, text_slice("k"));
    assert_int_equal(shoal_store_put_locked(box->thread, &key, text_slice("v"), -1), 0);
}

static void a_locked_call_without_the_gate_stops_the_program(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    test_aborts(put_without_gate, &box);
    box_close(&box);
}

/* ---- walks, random, clearing ---- */

static void count_visit(void *context, const shoal_item *item)
{
    assert_non_null(item);
    ++*(uint32_t *)context;
}

static void any_number_is_a_harmless_cursor(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    put_mortals(&box, 3000, 100000, 200000);
    uint64_t garbage = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        garbage ^= garbage << 13, garbage ^= garbage >> 7, garbage ^= garbage << 17;
        uint64_t cursor = garbage;
        uint32_t visits = 0;
        shoal_scan scan = {.slot_last = SHOAL_SLOTS - 1, .count = 3};
        shoal_store_scan(box.thread, &scan, &cursor, count_visit, &visits);
        assert_true(visits <= 3 * 30);
    }
    box_close(&box);
}

static void a_walk_keeps_to_its_slots(void **state)
{
    (void)state;
    store_box box;
    char name[24];
    box_open(&box, 1);
    for (uint32_t i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof name, "key:%u", i);
        box_set(&box, name, "v");
    }
    uint64_t want = 0;
    for (uint32_t slot = 1000; slot <= 3000; slot++) {
        want += shoal_store_count_slot(box.store, slot);
    }
    uint32_t visits = 0;
    uint64_t cursor = 0;
    shoal_scan scan = {.slot_first = 1000, .slot_last = 3000, .count = 100};
    do {
        shoal_store_scan(box.thread, &scan, &cursor, count_visit, &visits);
    } while (cursor != 0);
    assert_int_equal(visits, want);
    box_close(&box);
}

static void random_keys_come_about_equally_often(void **state)
{
    (void)state;
    enum { KEYS = 60, DRAWS = 60000 };
    uint32_t counts[KEYS] = {0};
    char name[24];
    store_box box;
    box_open(&box, 1);
    assert_null(shoal_store_random(box.thread, 0));
    for (uint32_t i = 0; i < KEYS; i++) {
        (void)snprintf(name, sizeof name, i < 40 ? "{same}:%u" : "other:%u", i);
        box_set(&box, name, "v");
    }
    for (uint32_t i = 0; i < DRAWS; i++) {
        const shoal_item *item = shoal_store_random(box.thread, 0);
        assert_non_null(item);
        char text[24] = {0};
        memcpy(text, shoal_item_name(item).data, shoal_item_name(item).size);
        counts[strtoul(strchr(text, ':') + 1, NULL, 10)]++;
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_true(counts[i] > DRAWS / KEYS / 4);
        assert_true(counts[i] < DRAWS / KEYS * 4);
    }
    box_close(&box);
}

static void clearing_a_slot_frees_it_in_steps(void **state)
{
    (void)state;
    char name[32];
    store_box box;
    shoal_store_stats stats;
    box_open(&box, 1);
    uint32_t place = shoal_key_slot(text_slice("t"));
    for (uint32_t i = 0; i < 50000; i++) {
        (void)snprintf(name, sizeof name, "{t}:%u", i);
        box_set(&box, name, "some value");
        if (i % 100 == 0) box_turn(&box, 0);
    }
    box_turn(&box, 0);
    uint64_t bytes = shoal_store_bytes_slot(box.store, place);
    assert_int_equal(box_clear(box.thread, place), 50000);
    assert_int_equal(shoal_store_count(box.store, 0), 0);
    assert_int_equal(shoal_store_bytes_slot(box.store, place), 0);
    shoal_store_stats_get(box.store, &stats);
    assert_int_equal(stats.bytes, bytes);
    assert_int_equal(stats.bytes_limbo, bytes);
    box_set(&box, "{t}:1", "new");
    uint32_t turns = 0;
    do {
        box_turn(&box, 0);
        shoal_store_stats_get(box.store, &stats);
        turns++;
    } while (stats.bytes_limbo > 0);
    assert_true(turns > 5);
    assert_true(box_holds(&box, "{t}:1", "new"));
    box_check_bytes(&box);
    box_close(&box);
}

static const shoal_item *get_plain(store_box *box, const char *name)
{
    shoal_key key = shoal_key_make(box->store, 0, text_slice(name));
    return shoal_store_get_plain(box->thread, &key);
}

static void run_get_plain(shoal_op *op, void *thread)
{
    (void)op;
    shoal_key key = shoal_key_make(shoal_thread_store(thread), 0, text_slice("k"));
    assert_null(shoal_store_get_plain(thread, &key));
    assert_non_null(shoal_store_get(thread, &key));
}

static void a_plain_get_leaves_to_others_what_is_not_plain(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    box_set(&box, "k", "v");
    box_set(&box, "number", "17");
    assert_ptr_equal(get_plain(&box, "k"), box_get(&box, "k"));
    assert_ptr_equal(get_plain(&box, "number"), box_get(&box, "number"));
    assert_null(get_plain(&box, "absent"));
    shoal_key key = shoal_key_make(box.store, 0, text_slice("k"));
    uint32_t slot = shoal_key_slot(text_slice("k"));
    shoal_store_set_owned(box.thread, slot, false);
    assert_null(get_plain(&box, "k"));
    shoal_store_set_owned(box.thread, slot, true);
    shoal_gate_op op = {.op = {.run = run_get_plain}, .places = &key.place, .count = 1};
    op.multi = true;
    assert_true(shoal_gate_try(box.thread, &op));
    assert_int_equal(box_expire(box.thread, &key, box_ms(&box) + 5), 0);
    assert_non_null(get_plain(&box, "k"));
    box_turn(&box, 6);
    assert_null(get_plain(&box, "k"));
    box_close(&box);
}

/* ---- ownership, routes, statistics, digest ---- */

static void ownership_starts_as_the_options_say_and_keeps_keys(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    uint32_t slot = shoal_key_slot(text_slice("k"));
    box_set(&box, "k", "v");
    assert_true(shoal_store_owns(box.store, slot));
    shoal_store_set_owned(box.thread, slot, false);
    assert_false(shoal_store_owns(box.store, slot));
    box_set(&box, "k2", "grows while foreign");
    assert_true(box_holds(&box, "k", "v"));
    shoal_store_set_owned(box.thread, slot, true);
    shoal_store_set_owned(box.thread, slot, true);
    assert_true(shoal_store_owns(box.store, slot));
    box_close(&box);
}

static void a_route_is_seen_from_its_publishing_on(void **state)
{
    (void)state;
    store_box box;
    box_open(&box, 1);
    const shoal_route *none = shoal_store_route(box.store);
    assert_false(none->cluster);
    assert_int_equal(none->owner[0], 0);
    for (uint16_t nodes = 0; nodes < 3; nodes++) {
        shoal_route *route = shoal_route_make(box.store, nodes);
        assert_non_null(route);
        route->cluster = true;
        const shoal_route *before = shoal_store_route(box.store);
        shoal_store_publish_route(box.thread, route);
        assert_ptr_equal(shoal_store_route(box.store), route);
        assert_int_equal(before->cluster, nodes > 0);
        box_turn(&box, 0);
    }
    shoal_route_drop(box.store, shoal_route_make(box.store, 5));
    box_close(&box);
}

static void a_digest_depends_on_content_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "{a}c", "d"};
    uint64_t digests[2];
    for (int backwards = 0; backwards < 2; backwards++) {
        store_box box;
        box_open(&box, 1);
        uint64_t empty = shoal_store_digest(box.store);
        for (int i = 0; i < 4; i++) box_set(&box, names[backwards ? 3 - i : i], names[i]);
        for (int i = 0; i < 4; i++) box_set(&box, names[i], i < 2 ? "12" : names[i]);
        digests[backwards] = shoal_store_digest(box.store);
        box_set(&box, "a", "13");
        assert_true(shoal_store_digest(box.store) != digests[backwards]);
        for (int i = 0; i < 4; i++) {
            shoal_key key = shoal_key_make(box.store, 0, text_slice(names[i]));
            assert_true(box_remove(box.thread, &key));
        }
        assert_true(shoal_store_digest(box.store) == empty);
        box_close(&box);
    }
    assert_true(digests[0] == digests[1]);
}

static void statistics_count_and_reset(void **state)
{
    (void)state;
    store_box box;
    shoal_store_stats stats;
    box_open(&box, 1);
    shoal_thread_count_lookup(box.thread, true);
    shoal_thread_count_lookup(box.thread, true);
    shoal_thread_count_lookup(box.thread, false);
    shoal_store_stats_get(box.store, &stats);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 1);
    shoal_store_stats_reset(box.store);
    shoal_thread_count_lookup(box.thread, false);
    shoal_store_stats_get(box.store, &stats);
    assert_int_equal(stats.hits, 0);
    assert_int_equal(stats.misses, 1);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shortest_decimals_are_kept_as_integers),
        cmocka_unit_test(strings_over_44_bytes_are_raw),
        cmocka_unit_test(sizes_around_the_header_forms_survive),
        cmocka_unit_test(databases_are_apart),
        cmocka_unit_test(a_read_ignores_what_has_expired_and_a_locked_one_removes_it),
        cmocka_unit_test(expired_keys_cannot_be_removed_or_given_a_ttl),
        cmocka_unit_test(the_hand_removes_everything_in_time_and_then_rests),
        cmocka_unit_test(with_active_expiry_off_the_hand_stays_away),
        cmocka_unit_test(expiry_far_in_the_future_is_kept_as_the_latest),
        cmocka_unit_test(an_operation_pushed_from_within_runs_behind_its_pusher),
        cmocka_unit_test(places_are_slow_while_a_multi_operation_runs),
        cmocka_unit_test(a_locked_call_without_the_gate_stops_the_program),
        cmocka_unit_test(any_number_is_a_harmless_cursor),
        cmocka_unit_test(a_walk_keeps_to_its_slots),
        cmocka_unit_test(random_keys_come_about_equally_often),
        cmocka_unit_test(clearing_a_slot_frees_it_in_steps),
        cmocka_unit_test(a_plain_get_leaves_to_others_what_is_not_plain),
        cmocka_unit_test(ownership_starts_as_the_options_say_and_keeps_keys),
        cmocka_unit_test(a_route_is_seen_from_its_publishing_on),
        cmocka_unit_test(a_digest_depends_on_content_alone),
        cmocka_unit_test(statistics_count_and_reset),
    };
    return cmocka_run_group_tests_name("store_operations", tests, NULL, NULL);
}
