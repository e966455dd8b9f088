/* SPDX-License-Identifier: MIT
 *
 * shoal_text_appendf against the C library's printf, for everything that it promises.
 */
#include "support/test.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "support/allocator.h"

/* The same format through both; the texts must be equal. */
static void same(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void same(const char *format, ...)
{
    char theirs[4096];
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer ours = shoal_buffer_make(&allocator);
    va_list arguments;
    va_start(arguments, format);
    shoal_text_vappendf(&ours, format, arguments);
    vsnprintf(theirs, sizeof(theirs), format, arguments);
    va_end(arguments);
    test_slice_is(shoal_buffer_slice(&ours), theirs);
    shoal_buffer_free(&ours);
}

static void text_is_written_as_printf_does(void **state)
{
    (void)state;
    same("%s", "plain");
    same("%s|%10s|%-10s|", "", "right", "left");
    same("%.*s|%.2s|%.0s|", 3, "abcdef", "abc", "abc");
    same("%c%c|%3c|%-3c|", 'a', 'b', 'c', 'd');
    same("100%% of %s%s", "it", "");
    same("%*s|%-*s|", 6, "x", 6, "y");
}

static void integers_are_written_as_printf_does(void **state)
{
    (void)state;
    const int64_t values[] = {0, 1, -1, 42, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        int64_t v = values[i];
        same("%d %i %u %x %X", (int)v, (int)v, (unsigned)v, (unsigned)v, (unsigned)v);
        same("%ld %lu %lx %lX", v, (uint64_t)v, (uint64_t)v, (uint64_t)v);
        same("%lld %llu %llx", (long long)v, (unsigned long long)v, (unsigned long long)v);
        same("%zu %zx %jd %td", (size_t)v, (size_t)v, (intmax_t)v, (ptrdiff_t)v);
        same("%hd %hu %hhd %hhu %hhx", (short)v, (unsigned short)v, (signed char)v,
             (unsigned char)v, (unsigned char)v);
        same("%5d|%-5d|%05d|%25ld|%025ld|%-25ld|", (int)v, (int)v, (int)v, v, v, v);
        same("%02x|%08x|%16lx|%016lx|", (unsigned)v, (unsigned)v, (uint64_t)v, (uint64_t)v);
    }
}

static void fixed_decimals_are_written_as_printf_does(void **state)
{
    (void)state;
    const double values[] = {0,        1,    -1,        0.25, 0.75, 99.999, 3.14159265358979,
                             -2.71828, 1e-7, 123456.789};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        same("%.3f|%.6f|%f|%.0f|", values[i], values[i], values[i], values[i]);
        same("%8.2f|%-8.2f|%08.2f|%.9f|", values[i], values[i], values[i], values[i]);
    }
    same("%.2f %.2f %.2f", (double)INFINITY, (double)-INFINITY, (double)NAN);
    same("%.1f %.0f", 0.05000001, 1e18);
}

static void what_rounds_to_zero_has_no_sign(void **state)
{
    (void)state;
    shoal_allocator allocator = shoal_allocator_default();
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_text_appendf(&out, "%.2f %.2f %.0f", -0.001, -0.0, 0.5);
    test_slice_is(shoal_buffer_slice(&out), "0.00 0.00 1");
    shoal_buffer_free(&out);
}

static void no_memory_marks_the_buffer_and_nothing_else(void **state)
{
    (void)state;
    test_heap heap = {.fail_after = 1};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_text_appendf(&out, "%5d %s %05x %.3f", 1, "two", 3u, 4.0);
    assert_true(out.failed);
    assert_int_equal(shoal_buffer_size(&out), 0);
    shoal_buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_written_as_printf_does),
        cmocka_unit_test(integers_are_written_as_printf_does),
        cmocka_unit_test(fixed_decimals_are_written_as_printf_does),
        cmocka_unit_test(what_rounds_to_zero_has_no_sign),
        cmocka_unit_test(no_memory_marks_the_buffer_and_nothing_else),
    };
    return cmocka_run_group_tests_name("base_format", tests, NULL, NULL);
}
