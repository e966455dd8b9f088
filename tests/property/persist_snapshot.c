/* SPDX-License-Identifier: MIT
 *
 * A snapshot shows one moment: whatever is written while it is handed out, the file that comes of
 * it, read into another store, has the digest that the store had when it began. Strings, small and
 * large values, deadlines, two databases; removals, replacements and places that are cleared
 * between its steps.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "persist/snapshot.h"
#include "support/rdb_box.h"

#define KEYS 3000u
#define ROUNDS 12u

/* Bytes of a file. */
static void take(void *context, shoal_slice bytes)
{
    shoal_buffer_append(context, bytes);
}

/* A value as a client would have made it: through RESTORE's way, so that all types come about. */
static void put_random(store_box *box, shoal_prng *prng)
{
    char name[32];
    static char value[4000];
    uint32_t i = (uint32_t)shoal_prng_below(prng, KEYS);
    int size = snprintf(name, sizeof name, "{%u}key:%u", i % 97, i);
    shoal_key key = shoal_key_make(box->store, i % 5 == 0, (shoal_slice){name, (size_t)size});
    uint32_t what = (uint32_t)shoal_prng_below(prng, 10);
    if (what == 0) {
        (void)box_remove(box->thread, &key);
        return;
    }
    if (what == 1 && shoal_prng_below(prng, 40) == 0) {
        (void)box_clear(box->thread, key.place);
        return;
    }
    size_t length = (size_t)shoal_prng_below(prng, what == 2 ? sizeof value : 30);
    for (size_t k = 0; k < length; k++) value[k] = (char)('0' + shoal_prng_below(prng, 10));
    int64_t expires = what == 3 ? box_ms(box) + 1000000 + i : -1;
    assert_int_equal(box_put(box->thread, &key, (shoal_slice){value, length}, expires),
                     SHOAL_ERR_OK);
}

static shoal_snapshot_writer *begin(store_box *box, shoal_buffer *file)
{
    const shoal_snapshot_fact fact = {{"ctime", 5}, {"1", 1}};
    const shoal_snapshot_options options = {.allocator = *file->allocator,
                                            .databases = 2,
                                            .threads = 1,
                                            .style = {.compress = true,
                                                      .list = shoal_list_limits_of(-2),
                                                      .now_ms = box_ms(box)},
                                            .checksum = true,
                                            .facts = &fact,
                                            .fact_count = 1,
                                            .taker = {take, file}};
    shoal_snapshot_writer *writer = NULL;
    assert_int_equal(shoal_snapshot_begin(box->thread, &options, &writer), SHOAL_ERR_OK);
    return writer;
}

static void a_file_shows_the_moment_of_its_beginning(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    store_box box;
    box_open(&box, 1);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        shoal_prng prng = shoal_prng_make((uint64_t[2]){round, 7}, 0, 1);
        shoal_buffer file = shoal_buffer_make(&allocator);
        for (uint32_t i = 0; i < KEYS; i++) put_random(&box, &prng);
        uint64_t digest = shoal_store_digest(box.store);
        shoal_snapshot_writer *writer = begin(&box, &file);
        shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
        while (now == SHOAL_SNAPSHOT_MORE) {
            for (uint64_t i = shoal_prng_below(&prng, 40); i > 0; i--) put_random(&box, &prng);
            now = shoal_snapshot_step(writer, box.thread, (uint32_t)shoal_prng_below(&prng, 30));
            box_turn(&box, 0);
        }
        assert_int_equal(now, SHOAL_SNAPSHOT_DONE);
        assert_true(shoal_snapshot_end(writer, box.thread));
        assert_false(file.failed);
        size_t part = 1 + (size_t)shoal_prng_below(&prng, 5000);
        assert_int_equal(rdb_box_digest(shoal_buffer_slice(&file), part, box_ms(&box)), digest);
        shoal_buffer_free(&file);
    }
    box_close(&box);
    assert_int_equal(heap.bytes, 0);
}

static void an_aborted_snapshot_lets_go_of_everything(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    store_box box;
    box_open(&box, 1);
    shoal_prng prng = shoal_prng_make((uint64_t[2]){3, 7}, 0, 1);
    shoal_buffer file = shoal_buffer_make(&allocator);
    for (uint32_t i = 0; i < KEYS; i++) put_random(&box, &prng);
    shoal_snapshot_writer *writer = begin(&box, &file);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(shoal_snapshot_step(writer, box.thread, 20), SHOAL_SNAPSHOT_MORE);
        put_random(&box, &prng);
    }
    shoal_snapshot_abort(writer);
    shoal_snapshot_state now = SHOAL_SNAPSHOT_MORE;
    while (now == SHOAL_SNAPSHOT_MORE) now = shoal_snapshot_step(writer, box.thread, 1000);
    assert_int_equal(now, SHOAL_SNAPSHOT_FAILED);
    assert_true(shoal_snapshot_end(writer, box.thread));
    shoal_buffer_free(&file);
    box_close(&box);
    assert_int_equal(heap.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_shows_the_moment_of_its_beginning),
        cmocka_unit_test(an_aborted_snapshot_lets_go_of_everything),
    };
    return cmocka_run_group_tests_name("persist_snapshot", tests, NULL, NULL);
}
