/* SPDX-License-Identifier: MIT
 *
 * Strings that are edited in place, over an allocator whose large blocks can be given another size,
 * and over one without that: the same bytes, and no copy where none is needed.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support/allocator.h"
#include "value/edited.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static test_heap heap;
static shoal_allocator allocator, plain;
static shoal_account account;
static uint32_t resizes, takes; /* of large blocks */
static bool refuses;            /* to resize */

/* Large blocks are zero, as promised; the others are the test heap's. */
static void *take(void *context, size_t size, size_t alignment)
{
    if (alignment != SHOAL_ALIGN_PAGE) return plain.allocate(context, size, alignment);
    assert_true(size >= SHOAL_RESIZABLE_MIN);
    takes++;
    return plain.allocate_zeroed(context, size, alignment);
}

static void *resize(void *context, void *memory, size_t size, size_t size_new)
{
    assert_true(size >= SHOAL_RESIZABLE_MIN && size_new >= SHOAL_RESIZABLE_MIN);
    if (refuses) return NULL;
    char *moved = plain.allocate_zeroed(context, size_new, SHOAL_ALIGN_PAGE);
    if (moved == NULL) return NULL;
    memcpy(moved, memory, size < size_new ? size : size_new);
    plain.release(context, memory, size, SHOAL_ALIGN_PAGE);
    resizes++;
    return moved;
}

static int open_heap(void **state)
{
    (void)state;
    heap = (test_heap){0};
    plain = allocator = test_allocator(&heap);
    allocator.allocate = take;
    allocator.resize = resize;
    account = (shoal_account){.allocator = &allocator};
    resizes = takes = 0;
    refuses = false;
    return 0;
}

static int close_heap(void **state)
{
    (void)state;
    assert_int_equal(account.bytes, 0);
    assert_int_equal(heap.blocks, 0);
    return 0;
}

static char pattern(size_t at)
{
    return (char)('a' + at % 23);
}

static void append(shoal_edited *edited, size_t size)
{
    char *part = malloc(size);
    for (size_t i = 0; i < size; i++) part[i] = pattern(edited->size + i);
    assert_true(shoal_edited_reserve(edited, &account, edited->size + size));
    shoal_edited_write(edited, edited->size, (shoal_slice){part, size});
    free(part);
}

static void check_pattern(const shoal_edited *edited)
{
    for (size_t i = 0; i < edited->size; i++) assert_int_equal(edited->bytes[i], pattern(i));
}

/* Grows a string to a megabyte and more. */
static shoal_edited *grow(void)
{
    shoal_edited *edited = shoal_edited_make(&account, 20 * KIB);
    while (edited->size < MIB + MIB / 2) append(edited, 7777);
    check_pattern(edited);
    assert_true(edited->room <= edited->size + edited->size / 4 + 4096);
    return edited;
}

static void a_large_piece_grows_without_a_copy(void **state)
{
    (void)state;
    shoal_edited *edited = grow();
    assert_int_equal(takes, 1);
    assert_true(resizes > 3);
    shoal_object_free(&edited->object, &account);
}

static void where_nothing_can_be_resized_it_is_copied(void **state)
{
    (void)state;
    allocator.resize = NULL;
    shoal_edited *edited = grow();
    assert_int_equal(takes, 0);
    shoal_object_free(&edited->object, &account);
    allocator.resize = resize;
    refuses = true;
    edited = grow();
    assert_int_equal(resizes, 0);
    assert_true(takes > 3);
    shoal_object_free(&edited->object, &account);
}

static void without_memory_a_string_stays_as_it_was(void **state)
{
    (void)state;
    shoal_edited *edited = grow();
    size_t room = edited->room;
    int64_t bytes = account.bytes;
    heap.fail_after = heap.calls + 1;
    assert_false(shoal_edited_reserve(edited, &account, 2 * room));
    heap.fail_after = 0;
    assert_int_equal(edited->room, room);
    assert_int_equal(account.bytes, bytes);
    check_pattern(edited);
    shoal_object_free(&edited->object, &account);
}

static void what_is_passed_over_is_zero(void **state)
{
    (void)state;
    shoal_edited *edited = shoal_edited_make(&account, 30 * KIB);
    append(edited, 20 * KIB);
    const size_t offsets[] = {25 * KIB, 100 * KIB, 400 * KIB, 3 * MIB, 7 * MIB};
    size_t before = edited->size;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        assert_true(shoal_edited_reserve(edited, &account, offsets[i] + 1));
        shoal_edited_write(edited, offsets[i], (shoal_slice){"!", 1});
        for (size_t at = before; at < offsets[i]; at++) assert_int_equal(edited->bytes[at], 0);
        assert_int_equal(edited->bytes[offsets[i]], '!');
        before = edited->size;
    }
    shoal_object *copy = shoal_edited__ops.copy(&edited->object, &account);
    assert_memory_equal(shoal_edited_bytes(copy).data, edited->bytes, edited->size);
    shoal_object_free(copy, &account);
    shoal_object_free(&edited->object, &account);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
    const struct CMUnitTest tests[] = {
        FACT(a_large_piece_grows_without_a_copy),
        FACT(where_nothing_can_be_resized_it_is_copied),
        FACT(without_memory_a_string_stays_as_it_was),
        FACT(what_is_passed_over_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
