/* SPDX-License-Identifier: MIT
 *
 * The trace stream: encoding to the byte, what decoders refuse, the text line, the rolling hash.
 */
#include "support/test.h"

#include <string.h>

#include <shoal/trace.h>

#include "base/text.h"
#include "support/allocator.h"

static shoal_trace_entry sample(void)
{
    return (shoal_trace_entry){
        .time_us = 12345678,
        .node = 3,
        .record = {.kind = SHOAL_TRACE_FAIL, .a = 2, .b = 4, .text = {"abc\n\\", 5}},
    };
}

static shoal_buffer encoded(const shoal_allocator *allocator)
{
    shoal_trace_entry entry = sample();
    shoal_buffer out = shoal_buffer_make(allocator);
    shoal_trace_encode_header(&out);
    shoal_trace_encode(&entry, &out);
    return out;
}

static void the_format_is_as_documented_to_the_byte(void **state)
{
    (void)state;
    static const unsigned char expected[] = {
        'S',  'H', 'O', 'A', 'L', 'T', 'R', 'C', 1, 0, 0,   0,   0,   0,    0,    0, 0x4E, 0x61,
        0xBC, 0,   0,   0,   0,   0,   3,   0,   0, 0, 10,  0,   0,   0,    2,    0, 0,    0,
        0,    0,   0,   0,   4,   0,   0,   0,   0, 0, 0,   0,   0,   0,    0,    0, 0,    0,
        0,    0,   5,   0,   0,   0,   0,   0,   0, 0, 'a', 'b', 'c', '\n', '\\',
    };
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer out = encoded(&allocator);
    shoal_slice bytes = shoal_buffer_slice(&out);
    assert_int_equal(bytes.size, sizeof(expected));
    assert_memory_equal(bytes.data, expected, sizeof(expected));
    shoal_buffer_free(&out);
}

static void what_was_encoded_decodes_to_the_same(void **state)
{
    (void)state;
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer out = encoded(&allocator);
    assert_int_equal(shoal_trace_decode_header(shoal_buffer_slice(&out)), SHOAL_ERR_OK);
    shoal_buffer_consume(&out, SHOAL_TRACE_HEADER_SIZE);
    shoal_trace_entry entry;
    size_t used = 0;
    assert_int_equal(shoal_trace_decode(shoal_buffer_slice(&out), &entry, &used), SHOAL_ERR_OK);
    assert_int_equal(used, SHOAL_TRACE_RECORD_SIZE + 5);
    assert_int_equal(entry.time_us, 12345678);
    assert_int_equal(entry.node, 3);
    assert_int_equal(entry.record.kind, SHOAL_TRACE_FAIL);
    assert_int_equal(entry.record.a, 2);
    assert_int_equal(entry.record.b, 4);
    assert_int_equal(entry.record.c, 0);
    test_slice_is(entry.record.text, "abc\n\\");
    shoal_buffer_free(&out);
}

static void every_proper_prefix_is_truncated(void **state)
{
    (void)state;
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer out = encoded(&allocator);
    shoal_slice bytes = shoal_buffer_slice(&out);
    for (size_t size = 0; size < SHOAL_TRACE_HEADER_SIZE; size++) {
        shoal_slice part = {bytes.data, size};
        assert_int_equal(shoal_trace_decode_header(part), SHOAL_ERR_TRUNCATED);
    }
    shoal_trace_entry entry;
    size_t used;
    for (size_t size = 0; size < bytes.size - SHOAL_TRACE_HEADER_SIZE; size++) {
        shoal_slice part = {bytes.data + SHOAL_TRACE_HEADER_SIZE, size};
        assert_int_equal(shoal_trace_decode(part, &entry, &used), SHOAL_ERR_TRUNCATED);
    }
    shoal_buffer_free(&out);
}

/* Decodes the sample with one byte changed. */
static shoal_err with_byte(size_t at, unsigned char byte)
{
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer out = encoded(&allocator);
    out.data[at] = (char)byte;
    shoal_slice bytes = shoal_buffer_slice(&out);
    shoal_err error = shoal_trace_decode_header(bytes);
    if (error == SHOAL_ERR_OK) {
        shoal_trace_entry entry;
        size_t used;
        shoal_slice records = {bytes.data + SHOAL_TRACE_HEADER_SIZE,
                               bytes.size - SHOAL_TRACE_HEADER_SIZE};
        error = shoal_trace_decode(records, &entry, &used);
    }
    shoal_buffer_free(&out);
    return error;
}

static void wrong_bytes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(with_byte(0, 'X'), SHOAL_ERR_MALFORMED);
    assert_int_equal(with_byte(8, 2), SHOAL_ERR_UNSUPPORTED);
    assert_int_equal(with_byte(12, 1), SHOAL_ERR_MALFORMED);
    assert_int_equal(with_byte(16 + 12, 99), SHOAL_ERR_MALFORMED);
    assert_int_equal(with_byte(16 + 14, 1), SHOAL_ERR_MALFORMED);
    assert_int_equal(with_byte(16 + 43, 0xFF), SHOAL_ERR_MALFORMED);
    assert_int_equal(with_byte(16 + 44, 1), SHOAL_ERR_MALFORMED);
    assert_int_equal(with_byte(16 + 40, 6), SHOAL_ERR_TRUNCATED);
    assert_int_equal(with_byte(16 + 48, 'x'), SHOAL_ERR_OK);
}

static void the_text_line_names_the_numbers_and_escapes_the_text(void **state)
{
    (void)state;
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_trace_entry entry = sample();
    shoal_trace_text(&entry, &out);
    test_slice_is(shoal_buffer_slice(&out),
                  "12.345678 n4 FAIL reports=2 needed=4 name=abc\\x0a\\\\");
    shoal_buffer_consume(&out, shoal_buffer_size(&out));
    entry = (shoal_trace_entry){.time_us = -1,
                                .node = SHOAL_TRACE_WORLD,
                                .record = {.kind = SHOAL_TRACE_DIGEST, .a = UINT64_MAX}};
    shoal_trace_text(&entry, &out);
    test_slice_is(shoal_buffer_slice(&out), "-0.000001 world DIGEST digest=18446744073709551615");
    shoal_buffer_free(&out);
}

static uint64_t hash_of(const shoal_trace_entry *entry)
{
    uint64_t hash = 0;
    shoal_trace_hash(&hash, entry);
    return hash;
}

static void every_field_counts_for_the_hash(void **state)
{
    (void)state;
    shoal_trace_entry base = sample();
    shoal_trace_entry changed[8];
    for (int i = 0; i < 8; i++) changed[i] = base;
    changed[0].time_us++;
    changed[1].node++;
    changed[2].record.kind = SHOAL_TRACE_PFAIL;
    changed[3].record.a++;
    changed[4].record.b++;
    changed[5].record.c++;
    changed[6].record.text = (shoal_slice){"abc\n\\\0", 6};
    changed[7].record.text = (shoal_slice){"abd\n\\", 5};
    for (int i = 0; i < 8; i++) assert_true(hash_of(&changed[i]) != hash_of(&base));
}

static void the_hash_depends_on_the_order_and_never_changes(void **state)
{
    (void)state;
    shoal_trace_entry one = sample(), two = sample();
    two.time_us++;
    uint64_t forth = 0, back = 0;
    shoal_trace_hash(&forth, &one);
    shoal_trace_hash(&forth, &two);
    shoal_trace_hash(&back, &two);
    shoal_trace_hash(&back, &one);
    assert_true(forth != back);
    assert_true(hash_of(&one) == 0xF54A6CEBFCB7EC2B);
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(shoal_trace_name(SHOAL_TRACE_FAIL), "FAIL");
    assert_null(shoal_trace_name(0));
    assert_null(shoal_trace_name(99));
    assert_null(shoal_trace_name(70000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_format_is_as_documented_to_the_byte),
        cmocka_unit_test(what_was_encoded_decodes_to_the_same),
        cmocka_unit_test(every_proper_prefix_is_truncated),
        cmocka_unit_test(wrong_bytes_are_refused),
        cmocka_unit_test(the_text_line_names_the_numbers_and_escapes_the_text),
        cmocka_unit_test(every_field_counts_for_the_hash),
        cmocka_unit_test(the_hash_depends_on_the_order_and_never_changes),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests_name("base_trace", tests, NULL, NULL);
}
