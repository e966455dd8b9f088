/* SPDX-License-Identifier: MIT
 *
 * Small interleavings of the store, all of them: the store is compiled into this program with the
 * hook of support/explorer.h. Orders of memory are what ThreadSanitizer checks in
 * tests/property/store_threads.c.
 *
 * The letters in comments are the claims at the top of gate.c, table.c and base/epoch.h.
 */
#define SHOAL_INTERLEAVE 1
#include "support/explorer.h"

#include <string.h>

#include "base/epoch.c"
#include "store/expire.c"
#include "store/gate.c"
#include "store/grow.c"
#include "store/item.c"
#include "store/limbo.c"
#include "store/route.c"
#include "store/stats.c"
#include "store/store.c"
#include "store/table.c"
#include "store/walk.c"

#include "support/store_box.h"

/* ---- what the scripts share ---- */

#define FIRST_PLACE 5u
#define SECOND_PLACE 9u
static const uint32_t both_places[] = {FIRST_PLACE, SECOND_PLACE};

/* The world of one test: what its scripts do things to. */
static struct world {
    store_box box;
    shoal_thread *threads[SCRIPTS_MAX];
    int inside[2]; /* operations inside each of the two places */
    int ran;
    uint32_t order[8];     /* who ran, in order */
    uint64_t word_at_read; /* scratch */
} world;

static void open_world(uint32_t threads)
{
    memset(&world, 0, sizeof world);
    box_open(&world.box, threads);
    shoal_thread_leave(world.box.thread);
    for (uint32_t i = 0; i < threads; i++) {
        world.threads[i] = shoal_store_thread(world.box.store, i);
    }
}

static void close_world(void)
{
    shoal_thread_enter(world.box.thread, world.box.now);
    box_close(&world.box);
}

static void nothing(void)
{
}

/* ---- gates ---- */

/* An operation that notes its run; it may outlive the script that pushed it. */
typedef struct noted_op {
    shoal_gate_op gate;
    uint32_t who;
} noted_op;

static noted_op noted_ops[8];

/* G1: while it is inside, it is alone in each of its places. */
static void run_noted(shoal_op *op, void *thread)
{
    noted_op *noted = (noted_op *)op;
    (void)thread;
    for (uint32_t i = 0; i < noted->gate.count; i++) {
        int *inside = &world.inside[noted->gate.places[i] == SECOND_PLACE];
        assert_int_equal(*inside, 0);
        (*inside)++;
    }
    shoal_interleave_point();
    for (uint32_t i = 0; i < noted->gate.count; i++) {
        world.inside[noted->gate.places[i] == SECOND_PLACE]--;
    }
    world.order[world.ran++] = noted->who;
}

/* Pushes operation number `who`, on one place or on both. */
static void push_noted(uint32_t script, uint32_t who, const uint32_t *places, uint32_t count)
{
    noted_ops[who] =
        (noted_op){.gate = {.op = {.run = run_noted}, .places = places, .count = count},
                   .who = who};
    (void)shoal_gate_push(world.threads[script], &noted_ops[who].gate);
}

static void check_idle(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        const shoal_hot *hot = shoal_store__hot(world.box.store, both_places[i]);
        assert_true(shoal_load_relaxed(&hot->gate) == GATE_IDLE);
        assert_null(hot->waiting);
    }
}

static void begin_noting(void)
{
    world.ran = 0;
}

static void end_noting_two(void)
{
    assert_int_equal(world.ran, 2);
    check_idle();
}

static void push_one(uint32_t script)
{
    shoal_thread_enter(world.threads[script], world.box.now);
    push_noted(script, script, both_places, 1);
    shoal_thread_leave(world.threads[script]);
}

static void two_operations_on_one_slot_exclude_each_other(void **state)
{
    (void)state;
    open_world(2);
    explore((exploration){2, 6, 50}, push_one, begin_noting, end_noting_two);
    close_world();
}

static void end_noting_three(void)
{
    assert_int_equal(world.ran, 3);
    check_idle();
}

static void three_operations_on_one_slot_exclude_each_other(void **state)
{
    (void)state;
    open_world(3);
    explore((exploration){3, 4, 500}, push_one, begin_noting, end_noting_three);
    close_world();
}

/* Script 0 pushes operations 0 and 1, script 1 pushes 2 and 3, all on one place. */
static void push_two(uint32_t script)
{
    shoal_thread_enter(world.threads[script], world.box.now);
    push_noted(script, script * 2, both_places, 1);
    push_noted(script, script * 2 + 1, both_places, 1);
    shoal_thread_leave(world.threads[script]);
}

/* G2: the operations of one thread run in the order in which it pushed them. */
static void check_order(void)
{
    uint32_t at[4] = {9, 9, 9, 9};
    assert_int_equal(world.ran, 4);
    for (uint32_t i = 0; i < 4; i++) at[world.order[i]] = i;
    assert_true(at[0] < at[1]);
    assert_true(at[2] < at[3]);
    check_idle();
}

static void operations_of_one_thread_keep_their_order(void **state)
{
    (void)state;
    open_world(2);
    explore((exploration){2, 4, 1000}, push_two, begin_noting, check_order);
    close_world();
}

/* Script 0: both places. Script 1: the second, then the first. Script 2: the first. */
static void push_mixed(uint32_t script)
{
    shoal_thread_enter(world.threads[script], world.box.now);
    if (script == 0) push_noted(script, 0, both_places, 2);
    if (script == 1) {
        push_noted(script, 1, &both_places[1], 1);
        push_noted(script, 2, &both_places[0], 1);
    }
    if (script == 2) push_noted(script, 3, both_places, 1);
    shoal_thread_leave(world.threads[script]);
}

static void end_mixed_two(void)
{
    assert_int_equal(world.ran, 3);
    check_idle();
}

static void end_mixed_three(void)
{
    assert_int_equal(world.ran, 4);
    check_idle();
}

/* G4: parked half way with a gate in its hands, it still runs, and so does what waits for it. */
static void operations_on_several_slots_park_and_go_on(void **state)
{
    (void)state;
    open_world(3);
    explore((exploration){2, 6, 1000}, push_mixed, begin_noting, end_mixed_two);
    explore((exploration){3, 3, 1000}, push_mixed, begin_noting, end_mixed_three);
    close_world();
}

static void try_or_push(uint32_t script)
{
    shoal_thread_enter(world.threads[script], world.box.now);
    noted_ops[script] =
        (noted_op){.gate = {.op = {.run = run_noted}, .places = both_places, .count = 2},
                   .who = script};
    if (script == 0) {
        if (!shoal_gate_try(world.threads[0], &noted_ops[0].gate)) {
            assert_int_equal(noted_ops[0].gate.held, 0);
            (void)shoal_gate_push(world.threads[0], &noted_ops[0].gate);
        }
    } else {
        push_noted(script, script, &both_places[1], 1);
    }
    shoal_thread_leave(world.threads[script]);
}

static void a_try_that_fails_leaves_nothing_held(void **state)
{
    (void)state;
    open_world(2);
    explore((exploration){2, 5, 200}, try_or_push, begin_noting, end_noting_two);
    close_world();
}

/* ---- several keys at once ---- */

static shoal_key pair_keys[2];
static int64_t pair_value;
static bool pair_in_one_look; /* read by shoal_store_get_plain */

static void run_pair(shoal_op *op, void *thread)
{
    (void)op;
    pair_value++;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(shoal_store_put_integer_locked(thread, &pair_keys[i], pair_value, -1), 0);
    }
}

static int64_t read_pair(shoal_thread *thread, uint32_t i)
{
    int64_t value = 0;
    const shoal_item *item;
    if (pair_in_one_look) {
        item = shoal_store_get_plain(thread, &pair_keys[i]);
        if (item == NULL) return -1;
    } else {
        if (shoal_store_place_slow(world.box.store, pair_keys[i].place)) return -1;
        item = shoal_store_get(thread, &pair_keys[i]);
        assert_non_null(item);
    }
    assert_true(shoal_item_integer(item, &value));
    return value;
}

static void write_or_read_pair(uint32_t script)
{
    shoal_thread *thread = world.threads[script];
    shoal_thread_enter(thread, world.box.now);
    if (script == 0) {
        uint32_t places[2] = {pair_keys[0].place, pair_keys[1].place};
        shoal_gate_op op = {.op = {.run = run_pair}, .places = places, .count = 2, .multi = true};
        assert_true(shoal_gate_try(thread, &op));
    } else {
        /* G7: who has seen one of the new values reads no old one after it. */
        int64_t first = read_pair(thread, script - 1);
        int64_t second = read_pair(thread, 2 - script);
        if (first >= 0 && second >= 0) assert_true(second >= first);
    }
    shoal_thread_leave(thread);
}

static void explore_pairs(bool in_one_look)
{
    open_world(3);
    pair_in_one_look = in_one_look;
    shoal_key a = shoal_key_make(world.box.store, 0, text_slice("a"));
    shoal_key b = shoal_key_make(world.box.store, 0, text_slice("b"));
    pair_keys[0] = a.place < b.place ? a : b;
    pair_keys[1] = a.place < b.place ? b : a;
    pair_value = 0;
    shoal_thread_enter(world.threads[0], world.box.now);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(box_put(world.threads[0], &pair_keys[i], text_slice("0"), -1), 0);
    }
    shoal_thread_leave(world.threads[0]);
    explore((exploration){2, 4, 1000}, write_or_read_pair, nothing, nothing);
    explore((exploration){3, 2, 1000}, write_or_read_pair, nothing, nothing);
    close_world();
}

static void readers_never_see_half_of_a_multi_operation(void **state)
{
    (void)state;
    explore_pairs(false);
    explore_pairs(true);
}

/* ---- reads during changes of the tables ---- */

#define CHURN_KEYS 40

static shoal_key churn_key(uint32_t i, char out[16])
{
    int size = snprintf(out, 16, "{t}%u", i);
    return shoal_key_make(world.box.store, 0, (shoal_slice){out, (size_t)size});
}

/* Script 0 fills a slot or empties it; script 1 reads the key that stays, and one that is not
 * there. T2, T3. */
static void churn_or_read(uint32_t script, bool fill)
{
    char name[16];
    shoal_thread *thread = world.threads[script];
    shoal_thread_enter(thread, world.box.now);
    for (uint32_t i = 1; script == 0 && i < CHURN_KEYS; i++) {
        shoal_key key = churn_key(i, name);
        if (fill) {
            assert_int_equal(box_put(thread, &key, text_slice("v"), -1), 0);
        } else {
            assert_true(box_remove(thread, &key));
        }
    }
    for (uint32_t i = 0; script == 1 && i < 2; i++) {
        shoal_key stays = churn_key(0, name);
        assert_non_null(shoal_store_get(thread, &stays));
        shoal_key absent = churn_key(1000, name);
        assert_null(shoal_store_get(thread, &absent));
    }
    shoal_thread_leave(thread);
}

static void fill_or_read(uint32_t script)
{
    churn_or_read(script, true);
}

static void drain_or_read(uint32_t script)
{
    churn_or_read(script, false);
}

/* Makes the slot as it is before a script: only the key that stays, or all. */
static void prepare(bool full)
{
    char name[16];
    shoal_thread *thread = world.threads[0];
    shoal_thread_enter(thread, world.box.now);
    for (uint32_t i = 0; i < CHURN_KEYS; i++) {
        shoal_key key = churn_key(i, name);
        if (full || i == 0) {
            assert_int_equal(box_put(thread, &key, text_slice("v"), -1), 0);
        } else {
            (void)box_remove(thread, &key);
        }
    }
    shoal_thread_leave(thread);
}

static void prepare_empty(void)
{
    prepare(false);
}

static void prepare_full(void)
{
    prepare(true);
}

static void a_key_that_stays_is_found_while_its_slot_grows(void **state)
{
    (void)state;
    open_world(2);
    explore((exploration){2, 2, 1000}, fill_or_read, prepare_empty, nothing);
    close_world();
}

static void a_key_that_stays_is_found_while_its_slot_shrinks(void **state)
{
    (void)state;
    open_world(2);
    explore((exploration){2, 2, 1000}, drain_or_read, prepare_full, nothing);
    close_world();
}

/* Keys that share an overflow bucket: the first stays, the others go. */
static uint32_t sharing[BUCKET_ENTRIES];
static uint32_t sharing_count;

/* Fills the slot until some bucket has a chain, and notes who is at its end. */
static void prepare_chain(void)
{
    char name[16];
    shoal_thread *thread = world.threads[0];
    shoal_thread_enter(thread, world.box.now);
    shoal_bucket *last = NULL;
    for (uint32_t n = 0; last == NULL; n++) {
        shoal_spot spot;
        shoal_key key = churn_key(n, name);
        assert_int_equal(box_put(thread, &key, text_slice("v"), -1), 0);
        shoal_leaf leaf = shoal_table__leaf(world.box.store, &key);
        assert_non_null(shoal_table__locate(&leaf, &key, &spot));
        if (spot.before != NULL) last = spot.bucket;
    }
    sharing_count = 0;
    for (uint32_t i = 0; i < 100; i++) {
        shoal_spot spot;
        shoal_key key = churn_key(i, name);
        shoal_leaf leaf = shoal_table__leaf(world.box.store, &key);
        if (shoal_table__locate(&leaf, &key, &spot) == NULL || spot.bucket != last) continue;
        sharing[sharing_count++] = i;
    }
    assert_true(sharing_count >= 2);
    shoal_thread_leave(thread);
}

static void collapse_or_read(uint32_t script)
{
    char name[16];
    shoal_thread *thread = world.threads[script];
    shoal_thread_enter(thread, world.box.now);
    shoal_key stays = churn_key(sharing[0], name);
    for (uint32_t i = 0; script == 1 && i < 2; i++) {
        assert_non_null(shoal_store_get(thread, &stays));
    }
    for (uint32_t i = 1; script == 0 && i < sharing_count; i++) {
        shoal_key goes = churn_key(sharing[i], name);
        assert_true(box_remove(thread, &goes));
    }
    shoal_thread_leave(thread);
}

/* T2, in particular that the last entry of a bucket is looked at once. */
static void a_key_that_stays_is_found_while_its_chain_collapses(void **state)
{
    (void)state;
    open_world(2);
    explore((exploration){2, 3, 500}, collapse_or_read, prepare_chain, nothing);
    close_world();
}

static void note_visit(void *context, const shoal_item *item)
{
    shoal_slice name = shoal_item_name(item);
    if (name.size == 4 && name.data[3] == '0') ++*(uint32_t *)context;
}

static void drain_or_walk(uint32_t script)
{
    if (script == 0) {
        churn_or_read(0, false);
        return;
    }
    uint32_t visits = 0;
    uint64_t cursor = 0;
    shoal_scan scan = {.slot_last = SHOAL_SLOTS - 1, .count = 1};
    shoal_thread_enter(world.threads[1], world.box.now);
    do {
        shoal_store_scan(world.threads[1], &scan, &cursor, note_visit, &visits);
    } while (cursor != 0);
    shoal_thread_leave(world.threads[1]);
    assert_int_equal(visits, 1);
}

static void a_walk_meets_a_key_that_stays_exactly_once(void **state)
{
    (void)state;
    open_world(2);
    explore((exploration){2, 1, 500}, drain_or_walk, prepare_full, nothing);
    close_world();
}

/* ---- memory ---- */

/* Script 0 replaces an item; script 2 reads it and looks at it until the end of its batch;
 * script 1 replaces another again and again, which takes the epoch on. All free what they may:
 * freed memory has another content. E4. */
static void replace_or_hold(uint32_t script)
{
    char name[16];
    shoal_thread *thread = world.threads[script];
    shoal_key key = churn_key(0, name);
    if (script == 1) key = shoal_key_make(world.box.store, 0, text_slice("in another slot"));
    for (uint32_t round = 0; script < 2 && round < 2; round++) {
        shoal_thread_enter(thread, world.box.now);
        assert_int_equal(box_put(thread, &key, text_slice("v"), -1), 0);
        shoal_thread_leave(thread);
        shoal_limbo__collect(thread, 10);
    }
    if (script < 2) return;
    shoal_thread_enter(thread, world.box.now);
    const shoal_item *item = shoal_store_get(thread, &key);
    for (uint32_t i = 0; i < 3; i++) {
        shoal_interleave_point();
        assert_non_null(item);
        assert_true(shoal_item__has_name(item, key.name));
    }
    shoal_thread_leave(thread);
}

static void what_a_batch_has_read_stays_readable_until_its_end(void **state)
{
    (void)state;
    open_world(3);
    prepare(false);
    explore((exploration){3, 3, 1000}, replace_or_hold, nothing, nothing);
    shoal_thread_enter(world.threads[0], world.box.now);
    box_check_bytes(&world.box);
    shoal_thread_leave(world.threads[0]);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_operations_on_one_slot_exclude_each_other),
        cmocka_unit_test(three_operations_on_one_slot_exclude_each_other),
        cmocka_unit_test(operations_of_one_thread_keep_their_order),
        cmocka_unit_test(operations_on_several_slots_park_and_go_on),
        cmocka_unit_test(a_try_that_fails_leaves_nothing_held),
        cmocka_unit_test(readers_never_see_half_of_a_multi_operation),
        cmocka_unit_test(a_key_that_stays_is_found_while_its_slot_grows),
        cmocka_unit_test(a_key_that_stays_is_found_while_its_slot_shrinks),
        cmocka_unit_test(a_key_that_stays_is_found_while_its_chain_collapses),
        cmocka_unit_test(a_walk_meets_a_key_that_stays_exactly_once),
        cmocka_unit_test(what_a_batch_has_read_stays_readable_until_its_end),
    };
    return cmocka_run_group_tests_name("store_gate", tests, NULL, NULL);
}
