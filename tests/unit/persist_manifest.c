/* SPDX-License-Identifier: MIT
 *
 * The manifest of an append-only file: what Redis writes is read and written the same; what it
 * refuses is refused in its words; and how files take each other's places.
 */
#include "support/test.h"

#include <string.h>

#include "persist/aof_manifest.h"
#include "support/allocator.h"

static test_heap heap;
static shoal_allocator allocator;
static shoal_manifest manifest;
static shoal_manifest_complaint complaint;

static int begin(void **state)
{
    (void)state;
    heap = (test_heap){0};
    allocator = test_allocator(&heap);
    manifest = shoal_manifest_make(&allocator);
    return 0;
}

static int end(void **state)
{
    (void)state;
    shoal_manifest_free(&manifest);
    assert_int_equal(heap.blocks, 0);
    return 0;
}

static shoal_err read_text(const char *text)
{
    shoal_manifest_free(&manifest);
    return shoal_manifest_read(&manifest, shoal_slice_of(text), &complaint);
}

static void writes(const char *text)
{
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_manifest_write(&manifest, &out);
    test_slice_is(shoal_buffer_slice(&out), text);
    shoal_buffer_free(&out);
}

static void refuses(const char *text, const char *reason)
{
    assert_int_equal(read_text(text), SHOAL_ERR_MALFORMED);
    assert_string_equal(complaint.reason, reason);
}

static void what_redis_writes_is_read_and_written_the_same(void **state)
{
    (void)state;
    const char *text = "file appendonly.aof.2.base.rdb seq 2 type b\n"
                       "file appendonly.aof.1.base.rdb seq 1 type h\n"
                       "file \"a b.3.incr.aof\" seq 3 type i\n"
                       "file appendonly.aof.4.incr.aof seq 4 type i\n";
    assert_int_equal(read_text(text), SHOAL_ERR_OK);
    assert_int_equal(shoal_manifest_count(&manifest), 4);
    test_slice_is(shoal_manifest_name(&manifest, shoal_manifest_find(&manifest, SHOAL_AOF_INCR, 0)),
                  "a b.3.incr.aof");
    writes(text);
}

static void comments_and_unknown_words_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(read_text("# a comment\nseq 1 file x type b new value\n"), SHOAL_ERR_OK);
    writes("file x seq 1 type b\n");
}

static void a_name_that_needs_quotes_gets_them(void **state)
{
    (void)state;
    assert_true(shoal_manifest_add(&manifest, SHOAL_AOF_BASE, shoal_slice_of("a\"\\ \x01z"), 7));
    const char *text = "file \"a\\\"\\\\ \\x01z\" seq 7 type b\n";
    writes(text);
    assert_int_equal(read_text(text), SHOAL_ERR_OK);
    writes(text);
}

static void what_redis_refuses_is_refused_in_its_words(void **state)
{
    (void)state;
    const char *format = "Invalid AOF manifest file format";
    char line[1200];
    refuses("", "Found an empty AOF manifest");
    refuses("\n", format);
    refuses("file a seq 1 type b\n\n", format);
    assert_int_equal(complaint.line, 2);
    refuses("file a seq 1\n", format);
    refuses("file a seq 1 type b odd\n", format);
    refuses("file a seq x type b\n", format);
    refuses("file a seq 0 type b\n", format);
    refuses("file \"a seq 1 type b\n", format);
    refuses("type b seq 1 name a\n", format);
    refuses("file a seq 1 type x\n", "Unknown AOF file type");
    refuses("file a/b seq 1 type b\n", "File can't be a path, just a filename");
    refuses("file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information");
    refuses("file a seq 2 type i\nfile b seq 2 type i\n", "Found a non-monotonic sequence number");
    memset(line, 'a', sizeof line);
    line[sizeof line - 2] = '\n';
    line[sizeof line - 1] = '\0';
    refuses(line, "The AOF manifest file contains too long line");
}

static void a_rewrite_makes_history_of_what_was_before(void **state)
{
    (void)state;
    shoal_slice prefix = shoal_slice_of("appendonly.aof");
    assert_true(shoal_manifest_add_base(&manifest, prefix, true));
    assert_true(shoal_manifest_add_incr(&manifest, prefix));
    assert_true(shoal_manifest_add_incr(&manifest, prefix));
    assert_true(shoal_manifest_add_base(&manifest, prefix, false));
    shoal_manifest_retire_incrs(&manifest, 1);
    writes("file appendonly.aof.2.base.aof seq 2 type b\n"
           "file appendonly.aof.1.base.rdb seq 1 type h\n"
           "file appendonly.aof.1.incr.aof seq 1 type h\n"
           "file appendonly.aof.2.incr.aof seq 2 type i\n");
    while (shoal_manifest_count_of(&manifest, SHOAL_AOF_HISTORY) > 0) {
        uint32_t at = 0;
        while (shoal_manifest_at(&manifest, at)->kind != SHOAL_AOF_HISTORY) at++;
        shoal_manifest_forget(&manifest, at);
    }
    assert_true(shoal_manifest_add_incr(&manifest, prefix));
    writes("file appendonly.aof.2.base.aof seq 2 type b\n"
           "file appendonly.aof.2.incr.aof seq 2 type i\n"
           "file appendonly.aof.3.incr.aof seq 3 type i\n");
    shoal_manifest_drop_incr(&manifest);
    assert_int_equal(manifest.incr_sequence, 2);
}

static void a_copy_is_its_own(void **state)
{
    (void)state;
    shoal_manifest copy = shoal_manifest_make(&allocator);
    assert_true(shoal_manifest_add_incr(&manifest, shoal_slice_of("x")));
    assert_true(shoal_manifest_copy(&manifest, &copy));
    assert_true(shoal_manifest_add_incr(&copy, shoal_slice_of("x")));
    assert_int_equal(shoal_manifest_count(&manifest), 1);
    assert_int_equal(shoal_manifest_count(&copy), 2);
    shoal_manifest_free(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_redis_writes_is_read_and_written_the_same, begin, end),
        cmocka_unit_test_setup_teardown(comments_and_unknown_words_are_passed_over, begin, end),
        cmocka_unit_test_setup_teardown(a_name_that_needs_quotes_gets_them, begin, end),
        cmocka_unit_test_setup_teardown(what_redis_refuses_is_refused_in_its_words, begin, end),
        cmocka_unit_test_setup_teardown(a_rewrite_makes_history_of_what_was_before, begin, end),
        cmocka_unit_test_setup_teardown(a_copy_is_its_own, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
