/* SPDX-License-Identifier: MIT
 *
 * The growable buffer of shoal/types.h, the default allocator, error texts and assertions.
 */
#include "support/test.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "base/text.h"
#include "support/allocator.h"

static void an_empty_buffer_owns_no_memory(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer buffer = shoal_buffer_make(&allocator);
    assert_int_equal(shoal_buffer_size(&buffer), 0);
    assert_int_equal(shoal_buffer_slice(&buffer).size, 0);
    shoal_buffer_append(&buffer, (shoal_slice){NULL, 0});
    assert_int_equal(heap.calls, 0);
    shoal_buffer_free(&buffer);
    assert_int_equal(heap.blocks, 0);
}

static void bytes_come_out_in_the_order_they_went_in(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer buffer = shoal_buffer_make(&allocator);
    shoal_prng prng = shoal_prng_make((uint64_t[2]){7, 7}, 0, 0);
    uint8_t written = 0, read = 0;
    for (int round = 0; round < 20000; round++) {
        size_t in = shoal_prng_below(&prng, 300);
        char *room = shoal_buffer_reserve(&buffer, in);
        assert_non_null(room);
        for (size_t i = 0; i < in; i++) room[i] = (char)written++;
        shoal_buffer_commit(&buffer, in);
        size_t out = shoal_prng_below(&prng, shoal_buffer_size(&buffer) + 1);
        shoal_slice content = shoal_buffer_slice(&buffer);
        for (size_t i = 0; i < out; i++) assert_int_equal((uint8_t)content.data[i], read++);
        shoal_buffer_consume(&buffer, out);
    }
    assert_false(buffer.failed);
    assert_int_equal(heap.blocks, 1);
    shoal_buffer_free(&buffer);
    assert_int_equal(heap.blocks, 0);
    assert_int_equal(heap.bytes, 0);
}

static void growing_copies_a_constant_number_of_times_a_byte(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer buffer = shoal_buffer_make(&allocator);
    for (int i = 0; i < 1000000; i++) shoal_buffer_append(&buffer, (shoal_slice){"x", 1});
    assert_int_equal(shoal_buffer_size(&buffer), 1000000);
    assert_in_range(heap.calls, 1, 30);
    shoal_buffer_free(&buffer);
}

static void without_memory_the_content_stays_and_failed_is_set(void **state)
{
    (void)state;
    test_heap heap = {.fail_after = 2};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer buffer = shoal_buffer_make(&allocator);
    shoal_buffer_append(&buffer, shoal_text("kept"));
    assert_null(shoal_buffer_reserve(&buffer, 100000));
    assert_true(buffer.failed);
    test_slice_is(shoal_buffer_slice(&buffer), "kept");
    assert_null(shoal_buffer_reserve(&buffer, SIZE_MAX));
    assert_null(shoal_buffer_reserve(&buffer, SIZE_MAX - 2));
    shoal_buffer_free(&buffer);
    assert_int_equal(heap.blocks, 0);
}

static void consumed_room_is_used_again(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer buffer = shoal_buffer_make(&allocator);
    char chunk[200];
    memset(chunk, 'c', sizeof(chunk));
    for (int i = 0; i < 1000; i++) {
        shoal_buffer_append(&buffer, (shoal_slice){chunk, sizeof(chunk)});
        shoal_buffer_consume(&buffer, i == 0 ? 100 : 200);
    }
    assert_in_range(heap.calls, 1, 3);
    shoal_buffer_free(&buffer);
}

static void the_default_allocator_aligns_and_zeroes(void **state)
{
    (void)state;
    shoal_allocator a = shoal_allocator_default();
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        char *memory = a.allocate_zeroed(a.context, 3000, alignment);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignment, 0);
        for (size_t i = 0; i < 3000; i++) assert_int_equal(memory[i], 0);
        memset(memory, 0xFF, 3000);
        a.release(a.context, memory, 3000, alignment);
    }
}

static void usable_size_is_at_least_what_was_asked(void **state)
{
    (void)state;
    shoal_allocator a = shoal_allocator_default();
    for (size_t size = 1; size < 5000; size++) {
        assert_true(a.usable_size(a.context, size, 8) >= size);
#if defined(__GLIBC__) && !defined(SHOAL_SANITIZED)
        void *memory = malloc(size);
        /* A block may be a little larger when the rest was too small to stand alone. */
        assert_true(malloc_usable_size(memory) >= a.usable_size(a.context, size, 8));
        free(memory);
#endif
    }
    assert_true(a.usable_size(a.context, SIZE_MAX, 8) == SIZE_MAX);
}

static void every_error_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(shoal_err_text(SHOAL_ERR_OK), "no error");
    assert_string_equal(shoal_err_text(SHOAL_ERR_NO_SPACE), "the device is full");
    assert_string_equal(shoal_err_text(-9999), "unknown error");
    assert_string_equal(shoal_err_text(1), "unknown error");
}

static void fail_an_assertion(void *argument)
{
    SHOAL_ASSERT(argument != NULL);
}

static void fail_to_count_the_content(void *argument)
{
    shoal_buffer *buffer = argument;
    buffer->end = buffer->capacity + 1;
    (void)shoal_buffer_reserve(buffer, 1);
}

static void a_failed_assertion_stops_the_process(void **state)
{
    (void)state;
    test_aborts(fail_an_assertion, NULL);
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer buffer = shoal_buffer_make(&allocator);
    test_aborts(fail_to_count_the_content, &buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_owns_no_memory),
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(growing_copies_a_constant_number_of_times_a_byte),
        cmocka_unit_test(without_memory_the_content_stays_and_failed_is_set),
        cmocka_unit_test(consumed_room_is_used_again),
        cmocka_unit_test(the_default_allocator_aligns_and_zeroes),
        cmocka_unit_test(usable_size_is_at_least_what_was_asked),
        cmocka_unit_test(every_error_has_a_text),
        cmocka_unit_test(a_failed_assertion_stops_the_process),
    };
    return cmocka_run_group_tests_name("base_buffer", tests, NULL, NULL);
}
