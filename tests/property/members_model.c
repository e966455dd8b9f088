/* SPDX-License-Identifier: MIT
 *
 * Sets and hashes against a slow obvious model: an array that says for each of a few thousand names
 * whether it is there, with what value and until when. Random puts, removals, deadlines and the
 * passing of time, in values of all forms, stored and begun anew after each change as the commands
 * do; after each round everything that can be asked is asked. A failing run prints its seed;
 * SHOAL_TEST_SEED replays it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/prng.h"
#include "base/text.h"
#include "support/allocator.h"
#include "support/test.h"
#include "value/draft.h"

#define NAMES_MAX 4000
#define NAME_SIZE_MAX 400
#define START_MS 1000000

/* What the model knows of one name. */
typedef struct model_entry {
    bool present;
    uint32_t value;
    int64_t deadline_ms;
    uint32_t seen; /* by a walk */
} model_entry;

/* A value and its model. */
typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_account account;
    shoal_prng prng, seeds;
    shoal_value_type type;
    shoal_members_limits limits;
    uint32_t names;
    bool long_names;
    int64_t now_ms;
    /* The value as a store would keep it. */
    char pack[SHOAL_PACK_INLINE_MAX];
    shoal_compound value;
    bool wide;
    model_entry model[NAMES_MAX];
} world;

static uint64_t seed_of_run(void)
{
    const char *text = getenv("SHOAL_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 20261122;
}

static world *open_world(shoal_value_type type, uint64_t purpose, uint32_t names)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->allocator = test_allocator(&w->heap);
    w->account.allocator = &w->allocator;
    uint64_t key[2] = {seed_of_run(), purpose};
    w->prng = shoal_prng_make(key, 0, 1);
    w->seeds = shoal_prng_make(key, 0, 2);
    w->type = type;
    w->limits = (shoal_members_limits){512, 64};
    w->names = names;
    w->now_ms = START_MS;
    return w;
}

static void close_world(world *w)
{
    shoal_object_free(w->value.object, &w->account);
    assert_int_equal(w->account.bytes, 0);
    assert_int_equal(w->heap.blocks, 0);
    free(w);
}

/* ---- names and values ---- */

/* Name `id` of the world: integers, short strings, and strings too long for a page. */
static shoal_slice name_of(const world *w, uint32_t id, char *room)
{
    int size;
    if (id % 3 == 0) {
        size = snprintf(room, NAME_SIZE_MAX, "%lld", (long long)id * (id % 2 ? -77777 : 1));
    } else if (w->long_names && id % 5 == 0) {
        size = snprintf(room, NAME_SIZE_MAX, "%0*u.", 100 + (int)(id % 200), id);
    } else {
        size = snprintf(room, NAME_SIZE_MAX, "name:%u", id);
    }
    return (shoal_slice){room, (size_t)size};
}

static shoal_slice value_of(const world *w, uint32_t value, char *room)
{
    int size = value % 2 ? snprintf(room, NAME_SIZE_MAX, "%u", value)
                         : snprintf(room, NAME_SIZE_MAX, "v%u", value);
    if (w->long_names && value % 7 == 0)
        size = snprintf(room, NAME_SIZE_MAX, "%0*u", 60 + (int)(value % 300), value);
    return (shoal_slice){room, (size_t)size};
}

static uint32_t id_of(const world *w, const shoal_element *name)
{
    char scratch[32], room[NAME_SIZE_MAX];
    shoal_slice text = shoal_element_text(name, scratch);
    for (uint32_t id = 0; id < w->names; id++) {
        /* Most names tell their number. */
        if (name->kind == SHOAL_ELEMENT_INTEGER &&
            name->integer != (int64_t)id * (id % 2 ? -77777 : 1))
            continue;
        if (shoal_text_equal(name_of(w, id, room), text)) return id;
    }
    fail_msg("a name that nobody put");
    return 0;
}

static shoal_members view_of(const world *w)
{
    return shoal_members_of(&w->value, w->type, w->now_ms);
}

static bool is_live(const world *w, const model_entry *entry)
{
    return entry->present && (entry->deadline_ms < 0 || entry->deadline_ms > w->now_ms);
}

/* ---- changes ---- */

static void begin(world *w, shoal_draft *draft)
{
    shoal_draft_options options = {w->type, w->limits, &w->account, &w->seeds};
    shoal_draft_begin(draft, &options, &w->value);
}

/* Keeps what the draft has become. */
static void end(world *w, shoal_draft *draft)
{
    shoal_compound value = shoal_draft_value(draft);
    w->wide = draft->wide;
    if (value.pack.data != NULL) {
        assert_true(shoal_pack_check(value.pack));
        memcpy(w->pack, value.pack.data, value.pack.size);
        value.pack.data = w->pack;
    }
    draft->made = false;
    if (shoal_draft_count(draft) == 0) {
        shoal_object_free(value.object, &w->account);
        value.object = NULL;
        w->wide = false;
    }
    w->value = value;
}

static void put(world *w, uint32_t id, uint32_t value, int64_t deadline_ms)
{
    char name[NAME_SIZE_MAX], text[NAME_SIZE_MAX];
    shoal_table_entry entry = {.name = shoal_element_of(name_of(w, id, name)),
                               .value = shoal_element_of(value_of(w, value, text)),
                               .deadline_ms = deadline_ms};
    shoal_draft draft;
    bool added;
    begin(w, &draft);
    assert_int_equal(shoal_draft_put(&draft, &entry, &added), 0);
    assert_int_equal(added, !w->model[id].present);
    end(w, &draft);
    w->model[id] = (model_entry){true, value, deadline_ms, 0};
}

static void remove_name(world *w, uint32_t id)
{
    char name[NAME_SIZE_MAX];
    shoal_element element = shoal_element_of(name_of(w, id, name));
    shoal_draft draft;
    begin(w, &draft);
    assert_int_equal(shoal_draft_remove(&draft, &element), w->model[id].present);
    end(w, &draft);
    w->model[id].present = false;
}

static void date(world *w, uint32_t id, int64_t deadline_ms)
{
    if (!w->model[id].present) return;
    char name[NAME_SIZE_MAX];
    shoal_element element = shoal_element_of(name_of(w, id, name));
    shoal_draft draft;
    begin(w, &draft);
    assert_int_equal(shoal_draft_date(&draft, &element, deadline_ms), 0);
    end(w, &draft);
    w->model[id].deadline_ms = deadline_ms;
}

static void expire(world *w, uint32_t budget)
{
    if (w->value.object == NULL || w->type != SHOAL_TYPE_HASH) return;
    uint64_t before = shoal_table_expired((shoal_table *)w->value.object, w->now_ms);
    uint32_t left = budget;
    bool any = shoal_hash_expire_some(w->value.object, &w->account, w->now_ms, &left);
    uint64_t dropped = before < budget ? before : budget;
    assert_int_equal(budget - left, dropped);
    /* The earliest went first. */
    for (uint64_t i = 0; i < dropped; i++) {
        uint32_t first = NAMES_MAX;
        for (uint32_t id = 0; id < w->names; id++) {
            const model_entry *entry = &w->model[id];
            if (!entry->present || entry->deadline_ms < 0 || entry->deadline_ms > w->now_ms)
                continue;
            if (first == NAMES_MAX || entry->deadline_ms < w->model[first].deadline_ms) first = id;
        }
        assert_true(first < NAMES_MAX);
        /* Of several with the same deadline, the one that is gone. */
        for (uint32_t id = 0; id < w->names; id++) {
            char name[NAME_SIZE_MAX];
            shoal_element element = shoal_element_of(name_of(w, id, name));
            if (w->model[id].present && w->model[id].deadline_ms == w->model[first].deadline_ms &&
                !shoal_table_find((shoal_table *)w->value.object, &element, NULL)) {
                first = id;
                break;
            }
        }
        w->model[first].present = false;
    }
    if (any) return;
    shoal_object_free(w->value.object, &w->account);
    w->value = (shoal_compound){.object = NULL};
    w->wide = false;
}

/* ---- checks ---- */

static void check_names(const world *w)
{
    shoal_members members = view_of(w);
    uint64_t live = 0;
    for (uint32_t id = 0; id < w->names; id++) {
        const model_entry *wanted = &w->model[id];
        char name[NAME_SIZE_MAX], text[NAME_SIZE_MAX], scratch[32];
        shoal_element element = shoal_element_of(name_of(w, id, name));
        shoal_table_entry entry;
        assert_int_equal(shoal_members_find(&members, &element, &entry), is_live(w, wanted));
        if (!is_live(w, wanted)) continue;
        live++;
        assert_int_equal(entry.deadline_ms, wanted->deadline_ms);
        assert_true(shoal_element_equals(&entry.name, &element));
        if (w->type == SHOAL_TYPE_HASH)
            assert_true(shoal_text_equal(shoal_element_text(&entry.value, scratch),
                                         value_of(w, wanted->value, text)));
    }
    assert_int_equal(members.count, live);
    assert_int_equal(members.wide, w->wide);
}

static void note(void *context, const shoal_table_entry *entry)
{
    world *w = context;
    w->model[id_of(w, &entry->name)].seen++;
}

/* Every live name was seen so often, no other at all. */
static void check_seen(world *w, uint32_t times)
{
    for (uint32_t id = 0; id < w->names; id++) {
        assert_int_equal(w->model[id].seen, is_live(w, &w->model[id]) ? times : 0);
        w->model[id].seen = 0;
    }
}

static void check_walks(world *w)
{
    shoal_members members = view_of(w);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (shoal_members_next(&members, &place, &entry)) note(w, &entry);
    check_seen(w, 1);
    uint64_t cursor = 0;
    do {
        shoal_members_scan(&members, 7, &cursor, note, w);
    } while (cursor != 0);
    check_seen(w, 1);
    shoal_members_choice all = {members.count, &w->prng, &w->allocator, note, w};
    assert_true(shoal_members_choose(&members, &all));
    check_seen(w, 1);
    if (members.count > 0) {
        (void)shoal_members_random(&members, &w->prng, &entry);
        assert_true(is_live(w, &w->model[id_of(w, &entry.name)]));
    }
}

static void sum(void *context, shoal_slice part)
{
    uint64_t *total = context;
    *total += shoal_hash(part, 7);
}

static void check_copy(const world *w)
{
    if (w->value.object == NULL) return;
    const shoal_value_ops *ops = shoal_value_ops_of(w->type);
    shoal_account account = {.allocator = &w->allocator};
    shoal_object *copy = ops->copy(w->value.object, &account);
    assert_non_null(copy);
    uint64_t here = 0, there = 0;
    ops->visit(&w->value, sum, &here);
    ops->visit(&(shoal_compound){.object = copy}, sum, &there);
    assert_int_equal(here, there);
    assert_int_equal(ops->count(&w->value), ops->count(&(shoal_compound){.object = copy}));
    bool done = false;
    while (!done) {
        uint32_t budget = 3;
        done = ops->free_some(copy, &account, &budget);
        assert_true(done || budget == 0);
    }
    assert_int_equal(account.bytes, 0);
}

/* One change, the more puts the higher `growth` of 16. */
static void step(world *w, uint32_t growth)
{
    uint32_t id = (uint32_t)shoal_prng_below(&w->prng, w->names);
    uint32_t value = (uint32_t)shoal_prng_below(&w->prng, 1000);
    uint64_t kind = shoal_prng_below(&w->prng, 16);
    if (kind >= growth) {
        remove_name(w, id);
    } else if (w->type == SHOAL_TYPE_HASH && kind == 0 && w->limits.value_size == 64) {
        date(w, id, w->now_ms + 1 + (int64_t)shoal_prng_below(&w->prng, 400));
    } else if (w->type == SHOAL_TYPE_HASH && kind == 1) {
        date(w, id, -1);
    } else {
        put(w, id, value, -1);
    }
    w->now_ms += (int64_t)shoal_prng_below(&w->prng, 3);
    if (shoal_prng_below(&w->prng, 64) == 0) expire(w, (uint32_t)shoal_prng_below(&w->prng, 50));
}

static void run(world *w, uint32_t steps)
{
    printf("# seed %llu\n", (unsigned long long)seed_of_run());
    for (uint32_t round = 0; round < 12; round++) {
        uint32_t growth = round % 3 == 2 ? 4 : 12;
        for (uint32_t i = 0; i < steps; i++) step(w, growth);
        check_names(w);
        check_walks(w);
        check_copy(w);
    }
    close_world(w);
}

static void a_small_set_agrees_with_the_model(void **state)
{
    (void)state;
    run(open_world(SHOAL_TYPE_SET, 1, 60), 300);
}

static void a_large_set_agrees_with_the_model(void **state)
{
    (void)state;
    run(open_world(SHOAL_TYPE_SET, 2, 2000), 4000);
}

static void a_small_hash_agrees_with_the_model(void **state)
{
    (void)state;
    world *w = open_world(SHOAL_TYPE_HASH, 3, 40);
    w->limits.value_size = 63; /* no deadlines: it may stay a pack */
    run(w, 300);
}

static void a_large_hash_with_deadlines_agrees_with_the_model(void **state)
{
    (void)state;
    world *w = open_world(SHOAL_TYPE_HASH, 4, 1200);
    w->long_names = true;
    run(w, 2500);
}

static void low_limits_change_only_what_clients_see(void **state)
{
    (void)state;
    world *w = open_world(SHOAL_TYPE_HASH, 5, 50);
    w->limits = (shoal_members_limits){3, 4};
    run(w, 200);
    w = open_world(SHOAL_TYPE_SET, 6, 50);
    w->limits.entries = 0;
    run(w, 200);
}

/* ---- scanning what changes ---- */

/* Changes only names that are not multiples of four, so that those stay. */
static void churn(world *w, uint32_t count, bool grow)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = (uint32_t)shoal_prng_below(&w->prng, w->names);
        if (id % 4 == 0) continue;
        if (grow) {
            put(w, id, 1, -1);
        } else {
            remove_name(w, id);
        }
    }
}

static void a_scan_sees_once_what_stays_however_the_table_changes(void **state)
{
    (void)state;
    world *w = open_world(SHOAL_TYPE_SET, 7, NAMES_MAX);
    printf("# seed %llu\n", (unsigned long long)seed_of_run());
    for (uint32_t id = 0; id < w->names; id += 4) put(w, id, 1, -1);
    for (uint32_t round = 0; round < 8; round++) {
        uint64_t cursor = 0;
        uint32_t calls = 0;
        do {
            shoal_members members = view_of(w);
            shoal_members_scan(&members, 10, &cursor, note, w);
            churn(w, 150, (calls++ / 10 + round) % 2 == 0);
        } while (cursor != 0);
        for (uint32_t id = 0; id < w->names; id++) {
            if (id % 4 == 0) assert_int_equal(w->model[id].seen, 1);
            assert_true(w->model[id].seen <= 1);
            w->model[id].seen = 0;
        }
    }
    close_world(w);
}

static void any_number_is_a_harmless_cursor(void **state)
{
    (void)state;
    world *w = open_world(SHOAL_TYPE_SET, 8, 1000);
    for (uint32_t id = 0; id < w->names; id++) put(w, id, 1, -1);
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t cursor = shoal_prng_next(&w->prng);
        shoal_members members = view_of(w);
        shoal_members_scan(&members, 1, &cursor, note, w);
    }
    close_world(w);
}

/* ---- without memory ---- */

static uint64_t digest(const world *w)
{
    uint64_t total = 0;
    if (w->value.object != NULL || w->value.pack.data != NULL)
        shoal_value_ops_of(w->type)->visit(&w->value, sum, &total);
    return total;
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    world *w = open_world(SHOAL_TYPE_HASH, 9, 900);
    w->long_names = true;
    uint32_t failures = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t id = (uint32_t)shoal_prng_below(&w->prng, w->names);
        char name[NAME_SIZE_MAX], text[NAME_SIZE_MAX];
        shoal_table_entry entry = {.name = shoal_element_of(name_of(w, id, name)),
                                   .value = shoal_element_of(value_of(w, i % 900, text)),
                                   .deadline_ms = i % 5 == 0 ? w->now_ms + i : -1};
        uint64_t before = digest(w);
        shoal_draft draft;
        bool added;
        begin(w, &draft);
        w->heap.fail_after = w->heap.calls + 1 + (int64_t)(i % 3 == 0 ? i % 60 : 0);
        shoal_err err = shoal_draft_put(&draft, &entry, &added);
        w->heap.fail_after = 0;
        if (err == SHOAL_ERR_OK) {
            end(w, &draft);
            w->model[id] = (model_entry){true, i % 900, entry.deadline_ms, 0};
        } else {
            failures++;
            bool wide = draft.wide;
            shoal_draft_drop(&draft);
            assert_int_equal(digest(w), before);
            if (w->value.object != NULL) w->wide = wide;
        }
    }
    assert_true(failures > 100);
    assert_non_null(w->value.object);
    check_names(w);
    check_walks(w);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_set_agrees_with_the_model),
        cmocka_unit_test(a_large_set_agrees_with_the_model),
        cmocka_unit_test(a_small_hash_agrees_with_the_model),
        cmocka_unit_test(a_large_hash_with_deadlines_agrees_with_the_model),
        cmocka_unit_test(low_limits_change_only_what_clients_see),
        cmocka_unit_test(a_scan_sees_once_what_stays_however_the_table_changes),
        cmocka_unit_test(any_number_is_a_harmless_cursor),
        cmocka_unit_test(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
