/* SPDX-License-Identifier: MIT
 *
 * Large lists that are written in pieces while they are edited at both ends and in the middle, with
 * and without memory. What was written, read again, is what the list held at first, in order, and
 * no change writes more than some elements. Random edits with fixed seeds.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "persist/large.h"
#include "support/allocator.h"

#define COUNT_MAX 8000u
#ifdef SHOAL_SANITIZED
#define SEEDS 12u
#else
#define SEEDS 60u
#endif

typedef struct world {
    test_heap heap, objects;
    shoal_allocator allocator, object_allocator;
    shoal_account account;
    shoal_prng prng;
    shoal_list *list;
    shoal_large large;
    int64_t setting;     /* list-max-listpack-size */
    shoal_buffer then;   /* all elements of the first moment, each behind its size */
    shoal_buffer now;    /* of what was read */
    shoal_buffer pieces; /* what was taken */
    uint64_t most;       /* elements that a change brought about */
} world;

static uint32_t below(world *w, uint32_t n)
{
    return (uint32_t)shoal_prng_below(&w->prng, n);
}

static shoal_list_edit edit_of(world *w)
{
    return (shoal_list_edit){w->list, &w->account, shoal_list_limits_of(w->setting)};
}

static shoal_compound value_of(world *w)
{
    return (shoal_compound){.object = shoal_list_object(w->list)};
}

static uint64_t count_of(world *w)
{
    shoal_compound value = value_of(w);
    return shoal_list_count(&value);
}

/* An element of few that there are of its kind, and seldom a long one. */
static shoal_element any_element(world *w, char text[3000])
{
    uint32_t number = below(w, 500);
    size_t size = (size_t)snprintf(text, 3000, number % 3 == 0 ? "%u" : "element:%u", number);
    if (below(w, 60) == 0) {
        size = 1 + below(w, 2999);
        memset(text, 'a' + (int)(size % 20), size);
    }
    return shoal_element_of((shoal_slice){text, size});
}

static void note(void *context, shoal_slice part)
{
    shoal_buffer *all = context;
    shoal_buffer_append(all, (shoal_slice){(const char *)&part.size, sizeof part.size});
    shoal_buffer_append(all, part);
}

static void note_all(shoal_buffer *all, const shoal_compound *value)
{
    shoal_value_ops_of(SHOAL_TYPE_LIST)->visit(value, note, all);
}

static void take_bytes(world *w)
{
    shoal_buffer_append(&w->pieces, shoal_buffer_slice(&w->large.bytes));
    shoal_buffer_consume(&w->large.bytes, shoal_buffer_size(&w->large.bytes));
}

static void grown(void *context, shoal_large *large, uint64_t elements)
{
    world *w = context;
    assert_ptr_equal(large, &w->large);
    if (elements > w->most && !large->over) w->most = elements;
    take_bytes(w);
}

/* ---- a world ---- */

static void open_world(world *w, uint64_t seed, uint32_t count)
{
    memset(w, 0, sizeof *w);
    static const int64_t settings[] = {-2, -1, 3, 1, 128, -4};
    w->setting = settings[seed % 6];
    w->allocator = test_allocator(&w->heap);
    w->object_allocator = test_allocator(&w->objects);
    w->account.allocator = &w->object_allocator;
    w->then = shoal_buffer_make(&w->object_allocator);
    w->now = shoal_buffer_make(&w->object_allocator);
    w->pieces = shoal_buffer_make(&w->object_allocator);
    w->prng = shoal_prng_make((uint64_t[2]){seed, 5}, 0, 0);
    w->list = shoal_list_make(&w->account);
    shoal_list_edit edit = edit_of(w);
    char text[3000];
    for (uint32_t i = 0; i < count; i++) {
        shoal_element element = any_element(w, text);
        assert_int_equal(shoal_list_push(&edit, below(w, 2), &element), 0);
    }
}

/* The moment is now. */
static void begin(world *w)
{
    const shoal_rdb_style style = {.compress = below(w, 2) == 0};
    shoal_object *object = shoal_list_object(w->list);
    object->bytes = w->account.bytes;
    const shoal_rdb_key key = {.name = {"key", 3},
                               .value = {.type = SHOAL_TYPE_LIST, .compound = {.object = object}},
                               .expires_ms = -1};
    shoal_compound value = value_of(w);
    note_all(&w->then, &value);
    shoal_rdb_kind kind;
    assert_true(shoal_large_is(&key, 0, &kind));
    w->large =
        (shoal_large){.bytes = shoal_buffer_make(&w->allocator), .grown = grown, .context = w};
    shoal_large_begin(&w->large, &key, kind, &style);
    object->watch = &w->large.watch;
    take_bytes(w);
}

/* Reads what was written: it is the first moment. */
static void check(world *w)
{
    shoal_buffer file = shoal_buffer_make(&w->object_allocator);
    shoal_rdb_write_header(&file);
    shoal_rdb_write_database(&file, 0);
    shoal_buffer_append(&file, shoal_buffer_slice(&w->pieces));
    shoal_rdb_write_end(&file, NULL);
    shoal_rdb_decoder *decoder = test_malloc(sizeof *decoder);
    memset(decoder, 0, sizeof *decoder);
    shoal_rdb_decoder_open(decoder, &w->object_allocator, &w->object_allocator, &w->prng);
    decoder->loader.limits.list = shoal_list_limits_of(-2);
    shoal_rdb_decoder_feed(decoder, shoal_buffer_slice(&file));
    assert_int_equal(shoal_rdb_decoder_next(decoder), SHOAL_RDB_EVENT_KEY);
    shoal_rdb_value value = shoal_rdb_loader_value(&decoder->loader);
    assert_int_equal(value.type, SHOAL_TYPE_LIST);
    note_all(&w->now, &value.compound);
    assert_int_equal(shoal_buffer_size(&w->now), shoal_buffer_size(&w->then));
    assert_memory_equal(shoal_buffer_slice(&w->now).data, shoal_buffer_slice(&w->then).data,
                        shoal_buffer_size(&w->then));
    assert_int_equal(shoal_rdb_decoder_next(decoder), SHOAL_RDB_EVENT_END);
    shoal_rdb_decoder_close(decoder);
    test_free(decoder);
    shoal_buffer_free(&file);
}

static void close_world(world *w)
{
    shoal_large_end(&w->large);
    shoal_list_check(w->list);
    shoal_object_free(shoal_list_object(w->list), &w->account);
    shoal_buffer_free(&w->then);
    shoal_buffer_free(&w->now);
    shoal_buffer_free(&w->pieces);
    assert_int_equal(w->account.bytes, 0);
    assert_int_equal(w->heap.blocks, 0);
    assert_int_equal(w->objects.blocks, 0);
}

/* ---- edits ---- */

/* An index, often near an end or where the walk is. */
static uint64_t any_index(world *w, uint64_t count)
{
    uint64_t index = below(w, (uint32_t)count);
    if (below(w, 3) == 0) index = w->large.spans.passed + below(w, 8);
    if (below(w, 4) == 0) index = count - 1 - index % 8 % count;
    return index < count ? index : count - 1;
}

static void remove_some(world *w, uint64_t count)
{
    shoal_list_edit edit = edit_of(w);
    uint64_t some = below(w, 30) == 0 ? below(w, (uint32_t)count / 4 + 1) : 1 + below(w, 3);
    if (some > count) some = count;
    switch (below(w, 3)) {
    case 0: shoal_list_drop(&edit, below(w, 2), some); break;
    case 1: {
        uint64_t index = any_index(w, count);
        shoal_list_remove(&edit, index, some < count - index ? some : count - index);
        break;
    }
    default: {
        char text[3000];
        shoal_element probe = any_element(w, text);
        uint64_t limit = below(w, 10) == 0 ? UINT64_MAX : 1 + below(w, 3);
        shoal_list_remove_equal(&edit, &probe, limit, below(w, 2) == 0);
        break;
    }
    }
}

/* One edit; true where it was done. */
static bool change(world *w)
{
    shoal_list_edit edit = edit_of(w);
    char text[3000];
    shoal_element element = any_element(w, text);
    uint64_t count = count_of(w);
    uint32_t dice = below(w, 10);
    if (count == 0 || dice < 3) return shoal_list_push(&edit, below(w, 2), &element) == 0;
    if (dice < 5) return shoal_list_insert(&edit, any_index(w, count), &element) == 0;
    if (dice < 7) return shoal_list_set(&edit, any_index(w, count), &element) == 0;
    remove_some(w, count);
    return true;
}

static void a_list_is_written_as_it_was_while_it_is_edited(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        open_world(&w, seed, 4000 + (uint32_t)seed * 37);
        begin(&w);
        uint32_t edits = (uint32_t)seed % 5 * 8;
        while (!w.large.over) {
            for (uint32_t n = below(&w, edits + 1); n > 0; n--) assert_true(change(&w));
            uint32_t budget = 1 + below(&w, seed % 2 == 0 ? 30 : 200);
            if (!w.large.over) shoal_large_write(&w.large, &budget);
            take_bytes(&w);
        }
        assert_int_equal(w.large.spans.kept_bytes, 0);
        for (uint32_t n = 0; n < 100; n++) assert_true(change(&w));
        shoal_list_object(w.list)->watch = NULL;
        check(&w);
        close_world(&w);
    }
}

static void without_memory_to_keep_elements_all_is_written_at_once(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 100; seed < 100 + SEEDS; seed++) {
        open_world(&w, seed, 5000);
        begin(&w);
        while (!w.large.over) {
            for (uint32_t n = below(&w, 20); n > 0; n--) {
                /* The list's own memory fails often, the snapshot's seldom. */
                if (below(&w, 3) == 0) w.objects.fail_after = w.objects.calls + 1 + below(&w, 3);
                if (below(&w, 200) == 0) w.heap.fail_after = w.heap.calls + 1 + below(&w, 4);
                (void)change(&w);
                w.objects.fail_after = 0;
                w.heap.fail_after = 0;
                take_bytes(&w);
            }
            uint32_t budget = 1 + below(&w, 50);
            if (!w.large.over) shoal_large_write(&w.large, &budget);
            take_bytes(&w);
        }
        shoal_list_object(w.list)->watch = NULL;
        if (!w.large.bytes.failed && !w.pieces.failed) check(&w);
        close_world(&w);
    }
}

static void an_edit_keeps_no_more_than_some_elements(void **state)
{
    (void)state;
    static world w;
    open_world(&w, 6, COUNT_MAX);
    begin(&w);
    shoal_list_edit edit = edit_of(&w);
    char text[3000];
    size_t head = shoal_buffer_size(&w.pieces);
    for (uint32_t n = 0; n < 3000; n++) {
        shoal_element element = any_element(&w, text);
        uint64_t count = count_of(&w);
        switch (n % 5) {
        case 0: assert_int_equal(shoal_list_push(&edit, below(&w, 2), &element), 0); break;
        case 1: shoal_list_drop(&edit, below(&w, 2), 1); break;
        case 2: assert_int_equal(shoal_list_set(&edit, any_index(&w, count), &element), 0); break;
        case 3: shoal_list_remove(&edit, any_index(&w, count), 1); break;
        default: assert_int_equal(shoal_list_insert(&edit, any_index(&w, count), &element), 0);
        }
    }
    assert_true(w.most > 0 && w.most <= 66);
    assert_int_equal(shoal_buffer_size(&w.pieces), head);
    uint32_t all = UINT32_MAX;
    shoal_large_write(&w.large, &all);
    assert_true(w.large.over);
    take_bytes(&w);
    check(&w);
    close_world(&w);
}

static void elements_that_were_all_removed_are_written_all_the_same(void **state)
{
    (void)state;
    static world w;
    for (uint32_t end = 0; end < 2; end++) {
        open_world(&w, 7 + end, COUNT_MAX);
        begin(&w);
        shoal_list_edit edit = edit_of(&w);
        for (uint64_t left = count_of(&w); left > 0; left--) shoal_list_drop(&edit, end, 1);
        shoal_element one = shoal_element_of((shoal_slice){"1", 1});
        assert_int_equal(shoal_list_push(&edit, end, &one), 0);
        while (!w.large.over) {
            uint32_t budget = 100;
            shoal_large_write(&w.large, &budget);
            take_bytes(&w);
        }
        check(&w);
        close_world(&w);
    }
}

static void a_write_that_is_given_up_lets_go_of_what_was_kept(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 200; seed < 206; seed++) {
        open_world(&w, seed, COUNT_MAX);
        begin(&w);
        for (uint32_t n = 0; n < 500; n++) {
            assert_true(change(&w));
            uint32_t budget = 3;
            if (n % 50 == 0) shoal_large_write(&w.large, &budget);
        }
        shoal_list_object(w.list)->watch = NULL;
        assert_true(w.large.spans.kept_bytes > 0);
        close_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_written_as_it_was_while_it_is_edited),
        cmocka_unit_test(without_memory_to_keep_elements_all_is_written_at_once),
        cmocka_unit_test(an_edit_keeps_no_more_than_some_elements),
        cmocka_unit_test(elements_that_were_all_removed_are_written_all_the_same),
        cmocka_unit_test(a_write_that_is_given_up_lets_go_of_what_was_kept),
    };
    return cmocka_run_group_tests_name("persist_list", tests, NULL, NULL);
}
