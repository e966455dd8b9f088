/* SPDX-License-Identifier: MIT
 *
 * Cuts of values that are changed in place: lists, hashes and sorted sets of all sizes are edited,
 * replaced, renamed, removed and cleared while a cut hands them out in pieces. What is handed out
 * must be what there was at the cut, by a digest of the content; or, where the sink accepts it, be
 * marked as late. Random operations with fixed seeds.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shoal/command.h>

#include "base/hash.h"
#include "base/prng.h"
#include "store/snapshot.h"
#include "support/allocator.h"

#define KEYS 60u
/* Calls of the sink that one object takes. */
#define PIECES 4u
/* Runs of each kind. */
#ifdef SHOAL_SANITIZED
#define SEEDS 3u
#else
#define SEEDS 12u
#endif

typedef struct world {
    test_heap heap;
    shoal_allocator allocator;
    shoal_cache *cache;
    shoal_cache_thread *me;
    shoal_commands *commands;
    shoal_buffer reply;
    shoal_prng prng;
    int64_t ms;
    bool late_is_fine;
    uint64_t then[KEYS];     /* digests at the cut, 0: not there */
    uint64_t taken[KEYS];    /* digests as handed out */
    bool late[KEYS];         /* or as late */
    uint32_t key_of[10000];  /* by number of the object */
    uint32_t objects, lates; /* handed out */
    int64_t bytes_at_once;   /* largest object that was handed out to its end in one call */
} world;

static shoal_time at(int64_t ms)
{
    return (shoal_time){.mono_us = ms * 1000, .wall_us = (1700000000000 + ms) * 1000};
}

static void turn(world *w)
{
    shoal_cache_leave(w->me);
    w->ms++;
    shoal_cache_enter(w->me, at(w->ms));
    (void)shoal_cache_maintain(w->me, 50);
}

static void world_open(world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->allocator = test_allocator(&w->heap);
    shoal_cache_options options = shoal_cache_options_default();
    options.allocator = w->allocator;
    assert_int_equal(shoal_cache_open(&options, &w->cache), 0);
    shoal_commands_options more = shoal_commands_options_default();
    more.allocator = w->allocator;
    assert_int_equal(shoal_commands_open(w->cache, &more, &w->commands), 0);
    w->reply = shoal_buffer_make(&w->allocator);
    w->prng = shoal_prng_make((uint64_t[2]){seed, 0}, 0, 0);
    w->me = shoal_cache_thread_at(w->cache, 0);
    shoal_cache_enter(w->me, at(0));
}

static void world_close(world *w)
{
    shoal_cache_leave(w->me);
    shoal_buffer_free(&w->reply);
    shoal_commands_close(w->commands);
    shoal_cache_close(w->cache);
    assert_int_equal(w->heap.blocks, 0);
}

static void run(world *w, const char *line)
{
    shoal_buffer_consume(&w->reply, shoal_buffer_size(&w->reply));
    assert_int_equal(shoal_command_line(w->commands, w->me, line, &w->reply), 0);
}

/* Fills key `i` with about `count` elements of one of the types. */
static void fill(world *w, uint32_t i, uint32_t count)
{
    char line[16000];
    static const char *const begins[] = {"HSET k%u", "RPUSH k%u", "ZADD k%u", "SADD k%u"};
    snprintf(line, sizeof line, "DEL k%u", i);
    run(w, line);
    uint32_t type = (uint32_t)shoal_prng_below(&w->prng, 4);
    while (count > 0) {
        int size = snprintf(line, sizeof line, begins[type], i);
        for (; count > 0 && size < 12000; count--) {
            unsigned number = (unsigned)shoal_prng_below(&w->prng, 1000000);
            bool pair = type == 0 || type == 2;
            size += snprintf(line + size, sizeof line - (size_t)size,
                             pair ? " %u m%u-and-some" : " m%u-and-some", number,
                             (unsigned)shoal_prng_below(&w->prng, 1000000));
        }
        run(w, line);
    }
}

/* One random change of a key, in place or not. */
static void change(world *w)
{
    char line[200];
    uint32_t i = (uint32_t)shoal_prng_below(&w->prng, KEYS);
    uint32_t other = (uint32_t)shoal_prng_below(&w->prng, KEYS);
    unsigned number = (unsigned)shoal_prng_below(&w->prng, 1000000);
    switch (shoal_prng_below(&w->prng, 19)) {
    case 0: snprintf(line, sizeof line, "DEL k%u", i); break;
    case 1: snprintf(line, sizeof line, "RENAME k%u k%u", i, other); break;
    case 2: snprintf(line, sizeof line, "COPY k%u k%u REPLACE", i, other); break;
    case 3: snprintf(line, sizeof line, "PEXPIRE k%u %u", i, 1 + number % 30); break;
    case 4: snprintf(line, sizeof line, "SET k%u %u", i, number); break;
    case 5: fill(w, i, (uint32_t)shoal_prng_below(&w->prng, 2000)); return;
    case 6: fill(w, i, (uint32_t)shoal_prng_below(&w->prng, 10)); return;
    case 7: snprintf(line, sizeof line, "LPOP k%u", i); break;
    case 8: snprintf(line, sizeof line, "SPOP k%u 3", i); break;
    case 9: snprintf(line, sizeof line, "ZPOPMIN k%u 2", i); break;
    case 10: snprintf(line, sizeof line, "RPUSH k%u x%u", i, number); break;
    case 11: snprintf(line, sizeof line, "SADD k%u x%u", i, number); break;
    case 12: snprintf(line, sizeof line, "ZADD k%u %u x%u", i, number, number); break;
    case 13: snprintf(line, sizeof line, "HSET k%u x%u %u", i, number, number); break;
    case 14: snprintf(line, sizeof line, "HINCRBY k%u n 1", i); break;
    case 15: snprintf(line, sizeof line, "LSET k%u 0 y%u", i, number); break;
    /* Strings that are edited in place. */
    case 16: snprintf(line, sizeof line, "SETRANGE k%u %u z%u", i, 20000 + i, number); break;
    case 17: snprintf(line, sizeof line, "SETRANGE k%u %u z%u", i, number % 20000, number); break;
    default: snprintf(line, sizeof line, "APPEND k%u %u", i, number); break;
    }
    run(w, line);
}

/* ---- digests ---- */

typedef struct sum {
    uint64_t sum, place;
    bool ordered;
} sum;

static void add_part(void *context, shoal_slice part)
{
    sum *now = context;
    now->sum += shoal_hash(part, now->ordered ? now->place++ : 0);
}

static uint64_t digest_object(const shoal_object *object)
{
    shoal_compound value = {.object = (shoal_object *)(uintptr_t)object};
    sum now = {.sum = object->type, .ordered = object->type == SHOAL_TYPE_LIST};
    shoal_value_ops_of((shoal_value_type)object->type)->visit(&value, add_part, &now);
    return now.sum | 1;
}

static uint64_t digest_item(const shoal_item *item)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    if (shoal_item_type(item) == SHOAL_TYPE_STRING && !shoal_item_is_object(item))
        return shoal_hash(shoal_item_string(item, scratch), 99) | 1;
    shoal_compound value = shoal_item_compound(item);
    if (value.object != NULL) return digest_object(value.object);
    sum now = {.sum = shoal_item_type(item), .ordered = shoal_item_type(item) == SHOAL_TYPE_LIST};
    shoal_value_ops_of(shoal_item_type(item))->visit(&value, add_part, &now);
    return now.sum | 1;
}

static uint32_t index_of(const shoal_item *item)
{
    shoal_slice name = shoal_item_name(item);
    uint32_t i = 0;
    for (size_t n = 1; n < name.size; n++) i = i * 10 + (uint32_t)(name.data[n] - '0');
    assert_true(i < KEYS);
    return i;
}

static void note_then(world *w)
{
    memset(w->then, 0, sizeof w->then);
    memset(w->taken, 0, sizeof w->taken);
    memset(w->late, 0, sizeof w->late);
    for (uint32_t i = 0; i < KEYS; i++) {
        char name[16];
        int size = snprintf(name, sizeof name, "k%u", i);
        shoal_key key =
            shoal_key_make(shoal_thread_store(w->me), 0, (shoal_slice){name, (size_t)size});
        const shoal_item *item = shoal_store_get(w->me, &key);
        if (item != NULL) w->then[i] = digest_item(item);
    }
}

/* ---- the sink ---- */

static void take(void *context, shoal_thread *thread, shoal_snapshot_part *part)
{
    world *w = context;
    assert_ptr_equal(thread, w->me);
    assert_false(part->gone);
    if (part->object == NULL) {
        uint32_t i = index_of(part->item);
        assert_int_equal(w->taken[i], 0);
        w->taken[i] = digest_item(part->item);
        return;
    }
    assert_true(part->number > 0 && part->number < 10000);
    assert_int_equal(part->item != NULL, part->cursor == 0 && part->budget != UINT32_MAX);
    if (part->item != NULL) w->key_of[part->number] = index_of(part->item);
    uint32_t i = w->key_of[part->number];
    if (++part->cursor < PIECES && part->budget != UINT32_MAX) {
        part->budget--;
        return;
    }
    if (part->budget == UINT32_MAX && part->object->bytes > w->bytes_at_once)
        w->bytes_at_once = part->object->bytes;
    assert_int_equal(w->taken[i], 0);
    assert_true(w->late_is_fine || !part->late);
    w->taken[i] = digest_object(part->object);
    w->late[i] = part->late;
    w->lates += part->late;
    w->objects++;
    part->done = true;
}

static void check_taken(const world *w)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        if (w->late[i]) {
            assert_true(w->then[i] != 0 && w->taken[i] != 0);
        } else {
            assert_int_equal(w->taken[i], w->then[i]);
        }
    }
}

/* Takes a cut while things change: `changes` for each step. */
static void try_cut(world *w, uint32_t changes, uint32_t budget)
{
    shoal_cut *cut = NULL;
    const shoal_cut_options options = {.sink = {take, w}, .late = w->late_is_fine};
    assert_int_equal(shoal_cut_begin(w->me, &options, &cut), 0);
    note_then(w);
    bool over = false;
    while (!over) {
        for (uint32_t n = 0; n < changes; n++) change(w);
        if (shoal_prng_below(&w->prng, 200) == 0) run(w, "FLUSHALL");
        over = shoal_cut_step(cut, w->me, budget);
        turn(w);
    }
    assert_true(shoal_cut_end(cut, w->me));
    turn(w);
    check_taken(w);
}

static void cuts_hand_objects_out_as_they_were(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        world_open(&w, seed);
        for (uint32_t round = 0; round < 5; round++) {
            for (uint32_t i = 0; i < KEYS; i++)
                fill(&w, i, (uint32_t)shoal_prng_below(&w.prng, i % 4 == 0 ? 3000 : 60));
            try_cut(&w, (uint32_t)(seed % 4), seed % 3 == 0 ? 3000 : 300);
        }
        assert_true(w.objects > 20);
        assert_int_equal(w.lates, 0);
        world_close(&w);
    }
}

static void a_sink_that_accepts_late_objects_delays_nobody(void **state)
{
    (void)state;
    static world w;
    uint32_t lates = 0;
    for (uint64_t seed = 101; seed <= 100 + SEEDS; seed++) {
        world_open(&w, seed);
        w.late_is_fine = true;
        for (uint32_t round = 0; round < 5; round++) {
            for (uint32_t i = 0; i < KEYS; i++)
                fill(&w, i, (uint32_t)shoal_prng_below(&w.prng, i % 4 == 0 ? 6000 : 60));
            try_cut(&w, 5, 300);
        }
        lates += w.lates;
        world_close(&w);
    }
    assert_true(lates > 0);
}

/* ---- passages ---- */

/* As take, for what a passage hands out: an object may go in the middle of it. */
static void take_passing(void *context, shoal_thread *thread, shoal_snapshot_part *part)
{
    world *w = context;
    if (!part->gone) {
        take(context, thread, part);
        return;
    }
    assert_null(part->object);
    assert_null(part->item);
    assert_true(part->number > 0 && part->cursor > 0);
    w->lates++;
}

static void a_passage_hands_objects_out_piece_by_piece_while_they_stay(void **state)
{
    (void)state;
    static world w;
    world_open(&w, 5);
    for (uint32_t i = 0; i < KEYS; i++) fill(&w, i, 500);
    shoal_passage *passage = NULL;
    const shoal_snapshot_sink sink = {take_passing, &w};
    assert_int_equal(shoal_passage_open(w.me, &sink, 0, SHOAL_SLOTS - 1, &passage), 0);
    uint32_t within = 0;
    bool told[KEYS] = {0};
    while (!shoal_passage_step(passage, w.me, 1)) {
        char name[16], line[32];
        uint32_t i = (uint32_t)shoal_prng_below(&w.prng, KEYS);
        int size = snprintf(name, sizeof name, "k%u", i);
        shoal_key key =
            shoal_key_make(shoal_thread_store(w.me), 0, (shoal_slice){name, (size_t)size});
        bool middle = shoal_passage_is_within(passage, &key);
        within += middle;
        if (middle) assert_true(shoal_passage_is_behind(passage, &key));
        if (!middle && shoal_prng_below(&w.prng, 2000) > 0) continue;
        told[i] |= shoal_passage_is_behind(passage, &key);
        snprintf(line, sizeof line, "DEL k%u", i);
        run(&w, line);
        turn(&w);
    }
    shoal_passage_close(passage, w.me);
    assert_true(within > 0 && w.lates > 0 && w.objects > KEYS / 2);
    uint64_t taken[KEYS];
    memcpy(taken, w.taken, sizeof taken);
    note_then(&w);
    for (uint32_t i = 0; i < KEYS; i++) {
        if (!told[i]) assert_int_equal(taken[i], w.then[i]);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_hand_objects_out_as_they_were),
        cmocka_unit_test(a_sink_that_accepts_late_objects_delays_nobody),
        cmocka_unit_test(a_passage_hands_objects_out_piece_by_piece_while_they_stay),
    };
    return cmocka_run_group_tests_name("store_cut_objects", tests, NULL, NULL);
}
