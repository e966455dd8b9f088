/* SPDX-License-Identifier: MIT
 *
 * Long strings that snapshots write in pieces: edited ones, while they are edited all over and made
 * longer, with and without memory, compressed and not; and in a whole snapshot those that are put
 * as a whole, removed and put anew meanwhile. What was written, read again, is what there was at
 * first. No step hands out more than its budget, and no edit keeps more than the pages that it
 * meets. Random edits with fixed seeds.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "persist/aof_reader.h"
#include "persist/large.h"
#include "persist/snapshot.h"
#include "support/rdb_box.h"
#include "value/edited.h"

#ifdef SHOAL_SANITIZED
#define SEEDS 12u
#else
#define SEEDS 60u
#endif
#define PAGE 4096u
#define LONGEST ((size_t)600000)

typedef struct world {
    test_heap heap, objects;
    shoal_allocator allocator, object_allocator;
    shoal_account account;
    shoal_prng prng;
    shoal_edited *string;
    shoal_large large;
    shoal_buffer then;   /* the bytes of the first moment */
    shoal_buffer pieces; /* what was taken */
    uint64_t most;       /* bytes that an edit had kept */
} world;

static uint32_t below(shoal_prng *prng, uint32_t n)
{
    return (uint32_t)shoal_prng_below(prng, n);
}

/* Bytes that repeat themselves, or hardly; or both, one behind the other. */
static void fill(shoal_prng *prng, char *bytes, size_t size)
{
    uint32_t kind = below(prng, 4);
    uint32_t letters = kind == 0 ? 256 : 2 + below(prng, 20);
    for (size_t i = 0; i < size; i++) {
        if (kind == 3 && i == size / 2) letters = 256;
        bytes[i] = (char)below(prng, letters);
    }
}

static void take_bytes(world *w)
{
    shoal_buffer_append(&w->pieces, shoal_buffer_slice(&w->large.bytes));
    shoal_buffer_consume(&w->large.bytes, shoal_buffer_size(&w->large.bytes));
}

static void grown(void *context, shoal_large *large, uint64_t bytes)
{
    world *w = context;
    assert_ptr_equal(large, &w->large);
    if (bytes > w->most) w->most = bytes;
    take_bytes(w);
}

/* ---- a string that is edited ---- */

static void open_world(world *w, uint64_t seed)
{
    static char bytes[LONGEST];
    memset(w, 0, sizeof *w);
    w->allocator = test_allocator(&w->heap);
    w->object_allocator = test_allocator(&w->objects);
    w->account.allocator = &w->object_allocator;
    w->then = shoal_buffer_make(&w->object_allocator);
    w->pieces = shoal_buffer_make(&w->object_allocator);
    w->prng = shoal_prng_make((uint64_t[2]){seed, 11}, 0, 0);
    size_t size = 40000 + below(&w->prng, LONGEST - 40000);
    if (seed % 7 == 0) size = size / PAGE * PAGE;
    fill(&w->prng, bytes, size);
    w->string = shoal_edited_make(&w->account, size);
    assert_non_null(w->string);
    shoal_edited_write(w->string, 0, (shoal_slice){bytes, size});
}

/* The moment is now. */
static void begin(world *w, bool compress)
{
    const shoal_rdb_style style = {.compress = compress};
    shoal_object *object = &w->string->object;
    object->bytes = w->account.bytes;
    const shoal_rdb_key key = {.name = {"key", 3},
                               .value = {.type = SHOAL_TYPE_STRING,
                                         .string = shoal_edited_bytes(object),
                                         .compound = {.object = object}},
                               .expires_ms = -1};
    shoal_buffer_append(&w->then, key.value.string);
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
    shoal_rdb_decoder_feed(decoder, shoal_buffer_slice(&file));
    assert_int_equal(shoal_rdb_decoder_next(decoder), SHOAL_RDB_EVENT_KEY);
    shoal_rdb_value value = shoal_rdb_loader_value(&decoder->loader);
    assert_int_equal(value.type, SHOAL_TYPE_STRING);
    assert_int_equal(value.string.size, shoal_buffer_size(&w->then));
    assert_memory_equal(value.string.data, shoal_buffer_slice(&w->then).data, value.string.size);
    assert_int_equal(shoal_rdb_decoder_next(decoder), SHOAL_RDB_EVENT_END);
    shoal_rdb_decoder_close(decoder);
    test_free(decoder);
    shoal_buffer_free(&file);
}

static void close_world(world *w)
{
    w->string->object.watch = NULL;
    shoal_large_end(&w->large);
    shoal_object_free(&w->string->object, &w->account);
    shoal_buffer_free(&w->then);
    shoal_buffer_free(&w->pieces);
    assert_int_equal(w->account.bytes, 0);
    assert_int_equal(w->heap.blocks, 0);
    assert_int_equal(w->objects.blocks, 0);
}

/* One edit; true where it was done. */
static bool edit(world *w)
{
    static char bytes[100000];
    uint32_t dice = below(&w->prng, 20);
    size_t size = dice == 0 ? below(&w->prng, sizeof bytes) : 1 + below(&w->prng, 9);
    size_t offset = below(&w->prng, (uint32_t)w->string->size);
    if (dice < 4) offset = w->large.text.passed + below(&w->prng, 20) - 10;
    if (dice == 5) offset = w->string->size;
    if (dice == 6) offset = w->string->size + below(&w->prng, 10000);
    if (offset > 2 * LONGEST) offset = 0;
    memset(bytes, (int)below(&w->prng, 256), size);
    if (!shoal_edited_reserve(w->string, &w->account, offset + size)) return false;
    shoal_edited_write(w->string, offset, (shoal_slice){bytes, size});
    return true;
}

/* Writes on, and sees to it that neither what is compressed nor what is written is too much. */
static void write_on(world *w, uint32_t budget)
{
    size_t most = (size_t)budget * SHOAL_LONG_UNIT_BYTES, passed = w->large.text.passed;
    if (w->large.over) return;
    size_t cost = w->large.text.squeezing ? SHOAL_LONG_SQUEEZE_COST : 1;
    shoal_large_write(&w->large, &budget);
    if (!w->large.over && w->large.text.passed > passed)
        assert_true((w->large.text.passed - passed) * cost <= most);
    assert_true(shoal_buffer_size(&w->large.bytes) <= most + 32);
    take_bytes(w);
}

static void a_string_is_written_as_it_was_while_it_is_edited(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        open_world(&w, seed);
        begin(&w, seed % 3 != 0);
        uint32_t edits = (uint32_t)seed % 5 * 8;
        while (!w.large.over) {
            for (uint32_t n = below(&w.prng, edits + 1); n > 0; n--) assert_true(edit(&w));
            uint32_t budget = 1 + below(&w.prng, seed % 2 == 0 ? 20 : 300);
            write_on(&w, budget);
        }
        assert_int_equal(shoal_large_kept(&w.large), 0);
        for (uint32_t n = 0; n < 20; n++) assert_true(edit(&w));
        check(&w);
        close_world(&w);
    }
}

static void without_memory_to_keep_pages_all_is_written_at_once(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 100; seed < 100 + SEEDS; seed++) {
        open_world(&w, seed);
        begin(&w, seed % 2 == 0);
        while (!w.large.over) {
            for (uint32_t n = below(&w.prng, 20); n > 0; n--) {
                if (below(&w.prng, 3) == 0)
                    w.objects.fail_after = w.objects.calls + 1 + below(&w.prng, 3);
                if (below(&w.prng, 60) == 0)
                    w.heap.fail_after = w.heap.calls + 1 + below(&w.prng, 4);
                (void)edit(&w);
                w.objects.fail_after = 0;
                w.heap.fail_after = 0;
                take_bytes(&w);
            }
            uint32_t budget = 1 + below(&w.prng, 50);
            if (below(&w.prng, 60) == 0) w.heap.fail_after = w.heap.calls + 1;
            if (!w.large.over) shoal_large_write(&w.large, &budget);
            w.heap.fail_after = 0;
            take_bytes(&w);
        }
        if (!w.large.bytes.failed && !w.pieces.failed) check(&w);
        close_world(&w);
    }
}

static void an_edit_keeps_the_pages_that_it_meets(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        open_world(&w, seed);
        begin(&w, seed % 2 == 0);
        size_t head = shoal_buffer_size(&w.pieces), size = w.string->size;
        for (uint32_t n = 0; n < 3000; n++)
            shoal_edited_write(w.string, below(&w.prng, (uint32_t)size - 9),
                               text_slice("nine byte"));
        assert_true(w.most > 0 && w.most <= 2 * PAGE);
        assert_true(shoal_large_kept(&w.large) <= size);
        assert_int_equal(shoal_buffer_size(&w.pieces), head);
        uint32_t all = UINT32_MAX;
        shoal_large_write(&w.large, &all);
        assert_true(w.large.over);
        take_bytes(&w);
        check(&w);
        close_world(&w);
    }
}

static void a_write_that_is_given_up_lets_go_of_pages(void **state)
{
    (void)state;
    static world w;
    for (uint64_t seed = 200; seed < 206; seed++) {
        open_world(&w, seed);
        begin(&w, seed % 2 == 0);
        for (uint32_t n = 0; n < 50; n++) {
            assert_true(edit(&w));
            uint32_t budget = 3;
            if (n % 10 == 0) shoal_large_write(&w.large, &budget);
        }
        assert_true(shoal_large_kept(&w.large) > 0);
        close_world(&w);
    }
}

/* ---- a snapshot ---- */

#define STEP_UNITS 100u
/* What a step with that budget may come to: the rest of a cell, a chunk, and heads besides. */
#define STEP_BYTES_MAX ((size_t)(STEP_UNITS + 5 * 64) * 1024)
#define KEYS 60u

typedef struct file {
    shoal_buffer bytes;
    size_t step; /* bytes of this step */
} file;

static void take(void *context, shoal_slice bytes)
{
    file *to = context;
    to->step += bytes.size;
    shoal_buffer_append(&to->bytes, bytes);
}

typedef struct patch_op {
    shoal_gate_op gate;
    const shoal_key *key;
    shoal_patch patch;
} patch_op;

static void run_patch(shoal_op *operation, void *runner)
{
    patch_op *op = (patch_op *)operation;
    const shoal_item *item = shoal_store_get_locked(runner, op->key);
    assert_int_equal(shoal_store_patch_locked(runner, op->key, item, &op->patch), SHOAL_ERR_OK);
}

/* Puts, edits or removes one of the keys. */
static void change(store_box *box, shoal_prng *prng)
{
    static char bytes[LONGEST];
    char name[16];
    int length = snprintf(name, sizeof name, "key:%u", below(prng, KEYS));
    shoal_key key = shoal_key_make(box->store, 0, (shoal_slice){name, (size_t)length});
    uint32_t dice = below(prng, 10);
    if (dice == 0) {
        (void)box_remove(box->thread, &key);
    } else if (dice == 1 && below(prng, 5) == 0) {
        (void)box_clear(box->thread, key.place);
    } else if (dice < 5) {
        size_t size = below(prng, 4) == 0 ? below(prng, LONGEST) : below(prng, 100000);
        fill(prng, bytes, size);
        int64_t expires_ms = dice == 4 ? box_ms(box) + 1000000 : -1;
        assert_int_equal(box_put(box->thread, &key, (shoal_slice){bytes, size}, expires_ms), 0);
    } else {
        patch_op op = {.gate = {.op = {.run = run_patch}, .places = &key.place, .count = 1},
                       .key = &key,
                       .patch = {below(prng, 200000), text_slice("an edit")}};
        assert_true(shoal_gate_try(box->thread, &op.gate));
    }
}

static void take_snapshot(store_box *box, uint64_t seed, file *to, bool plain)
{
    shoal_prng prng = shoal_prng_make((uint64_t[2]){seed, 13}, 0, 0);
    const shoal_snapshot_options options = {.allocator = *to->bytes.allocator,
                                            .databases = 2,
                                            .threads = 1,
                                            .style = {.compress = seed % 2 == 0,
                                                      .list = shoal_list_limits_of(-2),
                                                      .now_ms = box_ms(box)},
                                            .checksum = true,
                                            .plain = plain,
                                            .taker = {take, to}};
    shoal_snapshot_writer *writer = NULL;
    assert_int_equal(shoal_snapshot_begin(box->thread, &options, &writer), SHOAL_ERR_OK);
    shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
    while (now == SHOAL_SNAPSHOT_MORE) {
        for (uint32_t n = below(&prng, 4); n > 0; n--) change(box, &prng);
        to->step = 0;
        now = shoal_snapshot_step(writer, box->thread, 1 + below(&prng, STEP_UNITS));
        assert_true(to->step <= STEP_BYTES_MAX);
        box_turn(box, 0);
    }
    assert_int_equal(now, SHOAL_SNAPSHOT_DONE);
    assert_int_equal(shoal_snapshot_pending(writer), 0);
    assert_true(shoal_snapshot_end(writer, box->thread));
}

/* The digest of a store that all commands of the file have made. */
static uint64_t replayed(shoal_slice bytes, const shoal_allocator *allocator)
{
    store_box box;
    box_open(&box, 1);
    shoal_aof_reader reader = shoal_aof_reader_make(allocator, 0);
    shoal_aof_reader_feed(&reader, bytes);
    while (shoal_aof_reader_next(&reader) == SHOAL_AOF_COMMAND) {
        int64_t expires_ms = -1;
        if (shoal_text_is(reader.argv[0], "select")) continue;
        assert_true(shoal_text_is(reader.argv[0], "set"));
        assert_true(reader.argc == 3 || shoal_text_is(reader.argv[3], "pxat"));
        if (reader.argc == 5) assert_true(shoal_text_to_i64(reader.argv[4], &expires_ms));
        shoal_key key = shoal_key_make(box.store, 0, reader.argv[1]);
        assert_int_equal(box_put(box.thread, &key, reader.argv[2], expires_ms), 0);
    }
    assert_int_equal(reader.whole_at, bytes.size);
    shoal_aof_reader_free(&reader);
    uint64_t digest = shoal_store_digest(box.store);
    box_close(&box);
    return digest;
}

static void no_step_of_a_snapshot_writes_a_long_string_as_a_whole(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    store_box box;
    box_open(&box, 1);
    for (uint64_t seed = 0; seed < SEEDS / 4; seed++) {
        file to = {.bytes = shoal_buffer_make(&allocator)};
        shoal_prng prng = shoal_prng_make((uint64_t[2]){seed, 17}, 0, 0);
        for (uint32_t n = 0; n < 3 * KEYS; n++) change(&box, &prng);
        uint64_t digest = shoal_store_digest(box.store);
        bool plain = seed % 3 == 2;
        take_snapshot(&box, seed, &to, plain);
        shoal_slice bytes = shoal_buffer_slice(&to.bytes);
        assert_int_equal(plain ? replayed(bytes, &allocator)
                               : rdb_box_digest(bytes, 1 << 20, box_ms(&box)),
                         digest);
        shoal_buffer_free(&to.bytes);
        box_settle(&box);
        box_check_bytes(&box);
    }
    box_close(&box);
    assert_int_equal(heap.bytes, 0);
}

/* The most that waits of a snapshot of one string, which nobody changes. */
static uint64_t most_pending(size_t size)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    store_box box;
    box_open(&box, 1);
    file to = {.bytes = shoal_buffer_make(&allocator)};
    shoal_prng prng = shoal_prng_make((uint64_t[2]){size, 23}, 0, 0);
    char *bytes = test_calloc(1, size);
    /* Half of it repeats itself. */
    for (size_t i = 0; i < size; i++)
        if (i % 200 < 100) bytes[i] = (char)below(&prng, 256);
    shoal_key key = shoal_key_make(box.store, 0, text_slice("squeezed"));
    assert_int_equal(box_put(box.thread, &key, (shoal_slice){bytes, size}, -1), 0);
    const shoal_snapshot_options options = {.allocator = allocator,
                                            .databases = 2,
                                            .threads = 1,
                                            .style = {.compress = true, .now_ms = box_ms(&box)},
                                            .taker = {take, &to}};
    shoal_snapshot_writer *writer = NULL;
    assert_int_equal(shoal_snapshot_begin(box.thread, &options, &writer), SHOAL_ERR_OK);
    box_turn(&box, 0);
    uint64_t most = 0;
    while (shoal_snapshot_step(writer, box.thread, 1000) == SHOAL_SNAPSHOT_MORE)
        if (shoal_snapshot_pending(writer) > most) most = shoal_snapshot_pending(writer);
    assert_in_range(shoal_buffer_size(&to.bytes), size / 3, size * 3 / 4);
    assert_true(shoal_snapshot_end(writer, box.thread));
    test_free(bytes);
    shoal_buffer_free(&to.bytes);
    box_close(&box);
    assert_int_equal(heap.bytes, 0);
    return most;
}

/* Who waited for it to be written would make it no less: it restrains nobody. */
static void what_compressing_makes_does_not_count_as_what_waits(void **state)
{
    (void)state;
    assert_true(most_pending(SHOAL_LONG_SQUEEZE_MAX) < 1 << 20);
}

static void a_huge_string_that_is_overwritten_counts_for_little(void **state)
{
    (void)state;
    static const size_t sizes[] = {1 << 20, 40 << 20};
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    for (uint32_t i = 0; i < 4; i++) {
        store_box box;
        size_t size = sizes[i % 2], most = i < 2 ? SHOAL_SNAPSHOT_HELD_MAX : 1 << 18;
        box_open(&box, 1);
        file to = {.bytes = shoal_buffer_make(&allocator)};
        char *bytes = test_calloc(1, size);
        shoal_key key = shoal_key_make(box.store, 0, text_slice("huge"));
        assert_int_equal(box_put(box.thread, &key, (shoal_slice){bytes, size}, -1), 0);
        const shoal_snapshot_options options = {.allocator = allocator,
                                                .databases = 2,
                                                .threads = 1,
                                                .style = {.now_ms = box_ms(&box)},
                                                .held_max = i < 2 ? 0 : most,
                                                .taker = {take, &to}};
        shoal_snapshot_writer *writer = NULL;
        assert_int_equal(shoal_snapshot_begin(box.thread, &options, &writer), SHOAL_ERR_OK);
        box_turn(&box, 0);
        assert_int_equal(box_put(box.thread, &key, text_slice("small"), -1), 0);
        /* Whoever overwrote it has copied nothing, and it does not restrain others. */
        size_t least = size < most ? size : most;
        assert_in_range(shoal_snapshot_pending(writer), least, least + (1 << 17));
        assert_in_range(shoal_snapshot_copied(writer), size, 2 * size);
        shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
        while (now == SHOAL_SNAPSHOT_MORE) now = shoal_snapshot_step(writer, box.thread, 1000);
        assert_int_equal(now, SHOAL_SNAPSHOT_DONE);
        assert_int_equal(shoal_snapshot_pending(writer), 0);
        assert_true(shoal_snapshot_end(writer, box.thread));
        assert_true(shoal_buffer_size(&to.bytes) > size);
        test_free(bytes);
        shoal_buffer_free(&to.bytes);
        box_close(&box);
    }
    assert_int_equal(heap.bytes, 0);
}

static void a_snapshot_that_is_dropped_lets_go_of_strings(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    for (uint64_t seed = 0; seed < 8; seed++) {
        store_box box;
        box_open(&box, 1);
        file to = {.bytes = shoal_buffer_make(&allocator)};
        shoal_prng prng = shoal_prng_make((uint64_t[2]){seed, 19}, 0, 0);
        for (uint32_t n = 0; n < 3 * KEYS; n++) change(&box, &prng);
        const shoal_snapshot_options options = {.allocator = allocator,
                                                .databases = 2,
                                                .threads = 1,
                                                .style = {.now_ms = box_ms(&box)},
                                                .taker = {take, &to}};
        shoal_snapshot_writer *writer = NULL;
        assert_int_equal(shoal_snapshot_begin(box.thread, &options, &writer), SHOAL_ERR_OK);
        for (uint32_t n = 0; n < 40; n++) {
            if (n % 4 == 0)
                assert_int_equal(shoal_snapshot_step(writer, box.thread, 20), SHOAL_SNAPSHOT_MORE);
            change(&box, &prng);
        }
        shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
        if (seed % 2 == 0) {
            shoal_snapshot_abort(writer);
            while (now == SHOAL_SNAPSHOT_MORE) now = shoal_snapshot_step(writer, box.thread, 1000);
            assert_int_equal(now, SHOAL_SNAPSHOT_FAILED);
            assert_true(shoal_snapshot_end(writer, box.thread));
            box_settle(&box);
            box_check_bytes(&box);
        } else {
            shoal_snapshot_drop(writer);
        }
        shoal_buffer_free(&to.bytes);
        box_close(&box);
    }
    assert_int_equal(heap.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_is_written_as_it_was_while_it_is_edited),
        cmocka_unit_test(without_memory_to_keep_pages_all_is_written_at_once),
        cmocka_unit_test(an_edit_keeps_the_pages_that_it_meets),
        cmocka_unit_test(a_write_that_is_given_up_lets_go_of_pages),
        cmocka_unit_test(no_step_of_a_snapshot_writes_a_long_string_as_a_whole),
        cmocka_unit_test(what_compressing_makes_does_not_count_as_what_waits),
        cmocka_unit_test(a_huge_string_that_is_overwritten_counts_for_little),
        cmocka_unit_test(a_snapshot_that_is_dropped_lets_go_of_strings),
    };
    return cmocka_run_group_tests_name("persist_long", tests, NULL, NULL);
}
