/* SPDX-License-Identifier: MIT
 *
 * The request parser: what it accepts, every limit and every word of its complaints, and that the
 * way in which bytes arrive does not matter. The words were read off redis-server 7.0.15.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "support/allocator.h"
#include "wire/resp.h"

static shoal_request request_make(const shoal_allocator *allocator)
{
    return (shoal_request){.limits = shoal_request_limits_default(), .allocator = allocator};
}

/* One parse of a copy of exactly `size` bytes, so that a sanitizer sees any read beyond. */
typedef struct attempt {
    test_heap heap;
    shoal_allocator allocator;
    shoal_request request;
    char *bytes;
} attempt;

static shoal_parse attempt_parse(attempt *a, shoal_slice bytes)
{
    a->allocator = test_allocator(&a->heap);
    shoal_request_limits limits = a->request.limits;
    a->request = request_make(&a->allocator);
    if (limits.bulk_size_max) a->request.limits = limits;
    a->bytes = malloc(bytes.size + 1);
    memcpy(a->bytes, bytes.data, bytes.size);
    a->bytes = realloc(a->bytes, bytes.size ? bytes.size : 1);
    return shoal_request_parse(&a->request, (shoal_slice){a->bytes, bytes.size});
}

static void attempt_end(attempt *a)
{
    shoal_request_free(&a->request);
    assert_int_equal(a->heap.blocks, 0);
    free(a->bytes);
}

/* Checks that the whole of `bytes` is one request with the arguments `want`, up to a NULL. */
static void is_request_of(shoal_slice bytes, const char *const *want)
{
    attempt a = {0};
    assert_int_equal(attempt_parse(&a, bytes), SHOAL_PARSE_REQUEST);
    assert_int_equal(a.request.size, bytes.size);
    uint32_t argc = 0;
    for (; want[argc]; argc++) {
        assert_in_range(argc, 0, a.request.argc - 1);
        test_slice_is(a.request.argv[argc], want[argc]);
    }
    assert_int_equal(a.request.argc, argc);
    attempt_end(&a);
}

#define IS_REQUEST(text, ...) \
    is_request_of((shoal_slice){text, sizeof(text) - 1}, (const char *const[]){__VA_ARGS__, NULL})

/* Checks that `bytes` are refused, and with which reply. */
static void is_refused(shoal_slice bytes, shoal_request_limits limits, const char *reply_text)
{
    attempt a = {.request.limits = limits};
    assert_int_equal(attempt_parse(&a, bytes), SHOAL_PARSE_ERROR);
    assert_int_equal(a.request.argc, 0);
    shoal_buffer out = shoal_buffer_make(&a.allocator);
    shoal_reply reply = {&out, 2};
    shoal_reply_complaint(&reply, &a.request);
    test_slice_is(shoal_buffer_slice(&out), reply_text);
    shoal_buffer_free(&out);
    attempt_end(&a);
}

#define IS_REFUSED(text, why)                                                         \
    is_refused((shoal_slice){text, sizeof(text) - 1}, shoal_request_limits_default(), \
               "-ERR Protocol error: " why "\r\n")

#define IS_REFUSED_BEFORE_AUTH(text, why)                                \
    is_refused((shoal_slice){text, sizeof(text) - 1}, unauthenticated(), \
               "-ERR Protocol error: " why "\r\n")

static shoal_request_limits unauthenticated(void)
{
    shoal_request_limits limits = shoal_request_limits_default();
    limits.authenticated = false;
    return limits;
}

/* Checks that `bytes` are not enough, and what is wanted. */
static void needs_more(shoal_slice bytes, uint64_t wanted)
{
    attempt a = {0};
    assert_int_equal(attempt_parse(&a, bytes), SHOAL_PARSE_MORE);
    assert_int_equal(a.request.size, 0);
    assert_int_equal(a.request.wanted, wanted);
    attempt_end(&a);
}

#define NEEDS_MORE(text, wanted) needs_more((shoal_slice){text, sizeof(text) - 1}, wanted)

static void a_multibulk_request_is_found(void **state)
{
    (void)state;
    IS_REQUEST("*1\r\n$4\r\nPING\r\n", "PING");
    IS_REQUEST("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n", "SET", "key", "value");
    IS_REQUEST("*2\r\n$3\r\nGET\r\n$12\r\nkey:00000001\r\n", "GET", "key:00000001");
    IS_REQUEST("*2\r\n$0\r\n\r\n$2\r\n\r\n\r\n", "", "\r\n");
}

static void only_the_first_request_is_taken(void **state)
{
    (void)state;
    attempt a = {0};
    assert_int_equal(attempt_parse(&a, shoal_text("*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n")),
                     SHOAL_PARSE_REQUEST);
    assert_int_equal(a.request.size, 11);
    test_slice_is(a.request.argv[0], "a");
    attempt_end(&a);
}

static void counts_below_one_are_empty_requests(void **state)
{
    (void)state;
    is_request_of(shoal_text("*0\r\n"), (const char *const[]){NULL});
    is_request_of(shoal_text("*-1\r\n"), (const char *const[]){NULL});
    is_request_of(shoal_text("*-9223372036854775808\r\n"), (const char *const[]){NULL});
    is_request_of(shoal_text("\r\n"), (const char *const[]){NULL});
    is_request_of(shoal_text("\n"), (const char *const[]){NULL});
    is_request_of(shoal_text(" \t\v\f\r\r\n"), (const char *const[]){NULL});
}

static void what_ends_lines_and_bulks_is_not_looked_at(void **state)
{
    (void)state;
    IS_REQUEST("*1\rX$4\rXPINGXX", "PING");
}

static void counts_that_are_not_numbers_are_refused(void **state)
{
    (void)state;
    IS_REFUSED("*\r\n", "invalid multibulk length");
    IS_REFUSED("*x\r\n", "invalid multibulk length");
    IS_REFUSED("*01\r\n", "invalid multibulk length");
    IS_REFUSED("*+1\r\n", "invalid multibulk length");
    IS_REFUSED("*1 \r\n", "invalid multibulk length");
    IS_REFUSED("*-0\r\n", "invalid multibulk length");
    IS_REFUSED("*-\r\n", "invalid multibulk length");
    IS_REFUSED("*1\n\r\n", "invalid multibulk length");
    IS_REFUSED("*2147483648\r\n", "invalid multibulk length");
    IS_REFUSED("*9223372036854775808\r\n", "invalid multibulk length");
    IS_REFUSED("*-9223372036854775809\r\n", "invalid multibulk length");
    IS_REFUSED("*99999999999999999999999999\r\n", "invalid multibulk length");
    NEEDS_MORE("*2147483647\r\n", 0);
}

static void a_count_above_the_configured_limit_is_refused(void **state)
{
    (void)state;
    shoal_request_limits limits = shoal_request_limits_default();
    limits.arguments_max = 3;
    is_refused(shoal_text("*4\r\n"), limits, "-ERR Protocol error: invalid multibulk length\r\n");
    attempt a = {.request.limits = limits};
    assert_int_equal(attempt_parse(&a, shoal_text("*3\r\n")), SHOAL_PARSE_MORE);
    attempt_end(&a);
}

static void a_bulk_must_begin_with_a_dollar(void **state)
{
    (void)state;
    IS_REFUSED("*1\r\nxPING\r\n", "expected '$', got 'x'");
    IS_REFUSED("*1\r\n*1\r\n", "expected '$', got '*'");
    IS_REFUSED("*1\r\n\r\n", "expected '$', got ' '");
    IS_REFUSED("*1\r\n\n\r\n", "expected '$', got ' '");
    IS_REFUSED("*1\r\n\0\r\n", "expected '$', got ' '");
    IS_REFUSED("*1\r\n\xff\r\n", "expected '$', got '\xff'");
    /* As in Redis, nothing is said before the line is whole. */
    NEEDS_MORE("*1\r\nx", 0);
    NEEDS_MORE("*1\r\nx\r", 0);
}

static void bulk_lengths_that_are_not_allowed_are_refused(void **state)
{
    (void)state;
    IS_REFUSED("*1\r\n$\r\n", "invalid bulk length");
    IS_REFUSED("*1\r\n$-1\r\n", "invalid bulk length");
    IS_REFUSED("*1\r\n$-0\r\n", "invalid bulk length");
    IS_REFUSED("*1\r\n$04\r\nPING\r\n", "invalid bulk length");
    IS_REFUSED("*1\r\n$4 \r\nPING\r\n", "invalid bulk length");
    IS_REFUSED("*1\r\n$+4\r\nPING\r\n", "invalid bulk length");
    IS_REFUSED("*1\r\n$536870913\r\n", "invalid bulk length");
    IS_REFUSED("*1\r\n$1000000000\r\n", "invalid bulk length");
    IS_REFUSED("*1\r\n$99999999999999999999\r\n", "invalid bulk length");
    IS_REFUSED("*2\r\n$1\r\na\r\n$x\r\n", "invalid bulk length");
    NEEDS_MORE("*1\r\n$536870912\r\n", 16 + 536870912 + 2);
}

static void a_larger_bulk_limit_may_be_configured(void **state)
{
    (void)state;
    shoal_request_limits limits = shoal_request_limits_default();
    limits.bulk_size_max = 5000000000u;
    attempt a = {.request.limits = limits};
    assert_int_equal(attempt_parse(&a, shoal_text("*1\r\n$5000000000\r\n")), SHOAL_PARSE_MORE);
    assert_int_equal(a.request.wanted, 17 + 5000000000u + 2);
    attempt_end(&a);
    is_refused(shoal_text("*1\r\n$5000000001\r\n"), limits,
               "-ERR Protocol error: invalid bulk length\r\n");
}

static void before_auth_limits_are_small_and_say_so(void **state)
{
    (void)state;
    IS_REFUSED_BEFORE_AUTH("*11\r\n", "unauthenticated multibulk length");
    IS_REFUSED_BEFORE_AUTH("*2147483648\r\n", "invalid multibulk length");
    IS_REFUSED_BEFORE_AUTH("*1\r\n$16385\r\n", "unauthenticated bulk length");
    IS_REFUSED_BEFORE_AUTH("*1\r\n$536870913\r\n", "invalid bulk length");
    attempt a = {.request.limits = unauthenticated()};
    assert_int_equal(attempt_parse(&a, shoal_text("*10\r\n$16384\r\n")), SHOAL_PARSE_MORE);
    assert_int_equal(a.request.wanted, 5 + 8 + 16384 + 2);
    attempt_end(&a);
    attempt b = {.request.limits = unauthenticated()};
    assert_int_equal(attempt_parse(&b, shoal_text("a 2 3 4 5 6 7 8 9 10 11 12\n")),
                     SHOAL_PARSE_REQUEST);
    assert_int_equal(b.request.argc, 12);
    attempt_end(&b);
}

/* `count` times `fill` between `head` and `tail`; the caller frees. */
static shoal_slice long_line(const char *head, char fill, size_t count, const char *tail)
{
    size_t size = strlen(head) + count + strlen(tail);
    char *bytes = malloc(size);
    memcpy(bytes, head, strlen(head));
    memset(bytes + strlen(head), fill, count);
    memcpy(bytes + strlen(head) + count, tail, strlen(tail));
    return (shoal_slice){bytes, size};
}

static void is_refused_line(shoal_slice line, const char *reply)
{
    is_refused(line, shoal_request_limits_default(), reply);
    free((void *)(uintptr_t)line.data);
}

static void needs_more_line(shoal_slice line)
{
    needs_more(line, 0);
    free((void *)(uintptr_t)line.data);
}

static void lines_longer_than_64_kib_are_refused(void **state)
{
    (void)state;
    needs_more_line(long_line("*", '1', 65535, ""));
    is_refused_line(long_line("*", '1', 65536, ""),
                    "-ERR Protocol error: too big mbulk count string\r\n");
    is_refused_line(long_line("*", '1', 65535, "\r\n"),
                    "-ERR Protocol error: invalid multibulk length\r\n");
    needs_more_line(long_line("*1\r\n$", '1', 65535, ""));
    is_refused_line(long_line("*1\r\n$", '1', 65536, ""),
                    "-ERR Protocol error: too big bulk count string\r\n");
    needs_more_line(long_line("", 'a', 65536, ""));
    is_refused_line(long_line("", 'a', 65537, ""),
                    "-ERR Protocol error: too big inline request\r\n");
    is_refused_line(long_line("", 'a', 65537, "\n"),
                    "-ERR Protocol error: too big inline request\r\n");
}

static void an_inline_request_of_64_kib_is_taken(void **state)
{
    (void)state;
    shoal_slice line = long_line("", 'a', 65536, "\n");
    attempt a = {0};
    assert_int_equal(attempt_parse(&a, line), SHOAL_PARSE_REQUEST);
    assert_int_equal(a.request.argc, 1);
    assert_int_equal(a.request.argv[0].size, 65536);
    attempt_end(&a);
    free((void *)(uintptr_t)line.data);
}

static void inline_requests_are_split_and_unquoted(void **state)
{
    (void)state;
    IS_REQUEST("ping\n", "ping");
    IS_REQUEST("ping\r\n", "ping");
    IS_REQUEST("ping\r\r\n", "ping");
    IS_REQUEST("ping a\r b\r\n", "ping", "a", "b");
    IS_REQUEST(" \t ping \v a \r\n", "ping", "a");
    IS_REQUEST("ping a\vb\r\n", "ping", "a\vb");
    IS_REQUEST("ping \"a b\"\v\r\n", "ping", "a b");
    IS_REQUEST("ping a\"b c\"\r\n", "ping", "ab c");
    IS_REQUEST("ping a'b c'\r\n", "ping", "ab c");
    IS_REQUEST("ping \"\"\r\n", "ping", "");
    IS_REQUEST("'' a\r\n", "", "a");
    IS_REQUEST("ping \"\\x41\\x4g\\n\\q\\\\\\\"\"\r\n", "ping", "Ax4g\nq\\\"");
    IS_REQUEST("ping \"\\x4\"\r\n", "ping", "x4");
    IS_REQUEST("ping \"\\a\\b\\t\\r\"\r\n", "ping", "\a\b\t\r");
    IS_REQUEST("ping 'it\\'s \\n'\r\n", "ping", "it's \\n");
    IS_REQUEST("ping \\x41 a\\ b\r\n", "ping", "\\x41", "a\\", "b");
    IS_REQUEST("ping \xa0\xff\r\n", "ping", "\xa0\xff");
    IS_REQUEST("$4\r\n", "$4");
}

static void unbalanced_quotes_are_refused(void **state)
{
    (void)state;
    IS_REFUSED("PING \"a\r\n", "unbalanced quotes in request");
    IS_REFUSED("PING 'a\r\n", "unbalanced quotes in request");
    IS_REFUSED("PING \"a\"b\r\n", "unbalanced quotes in request");
    IS_REFUSED("PING 'a'b\r\n", "unbalanced quotes in request");
    IS_REFUSED("PING \"a\\\"\r\n", "unbalanced quotes in request");
    IS_REFUSED("PING \"a\\\r\n", "unbalanced quotes in request");
    IS_REFUSED("PING 'a\\'\r\n", "unbalanced quotes in request");
}

static void what_is_wanted_reaches_to_the_end_of_the_bulk(void **state)
{
    (void)state;
    NEEDS_MORE("", 0);
    NEEDS_MORE("*", 0);
    NEEDS_MORE("*2\r\n", 0);
    NEEDS_MORE("*2\r\n$100\r", 0);
    NEEDS_MORE("*2\r\n$100\r\n", 10 + 100 + 2);
    NEEDS_MORE("*2\r\n$100\r\nabc", 10 + 100 + 2);
    NEEDS_MORE("*2\r\n$3\r\nabc\r", 13);
    NEEDS_MORE("*2\r\n$0\r\n\r", 10);
    NEEDS_MORE("*2\r\n$3\r\nabc\r\n$7\r\n", 17 + 7 + 2);
}

/* Requests that cover each path; the last byte completes each. */
static const char *const samples[] = {
    "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n",
    "*1\r\n$10\r\n0123456789\r\n",
    "*20\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$"
    "1\r\nh\r\n"
    "$1\r\ni\r\n$1\r\nj\r\n$1\r\nk\r\n$1\r\nl\r\n$1\r\nm\r\n$1\r\nn\r\n$1\r\no\r\n$1\r\np\r\n"
    "$1\r\nq\r\n$0\r\n\r\n$1\r\ns\r\n$2\r\n\r\n\r\n",
    "set key \"a b\" 'c' d\r\n",
    "*0\r\n",
    "\r\n",
};

/* Feeds `text` byte by byte, each time at another address, and compares with the whole. */
static void pieces_equal_whole(const char *text)
{
    attempt whole = {0};
    assert_int_equal(attempt_parse(&whole, shoal_text(text)), SHOAL_PARSE_REQUEST);

    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_request request = request_make(&allocator);
    char *at = NULL;
    for (size_t size = 0; size <= strlen(text); size++) {
        char *moved = malloc(size + 1);
        memcpy(moved, text, size);
        free(at);
        at = moved;
        shoal_parse found = shoal_request_parse(&request, (shoal_slice){at, size});
        assert_int_equal(found, size < strlen(text) ? SHOAL_PARSE_MORE : SHOAL_PARSE_REQUEST);
    }
    assert_int_equal(request.argc, whole.request.argc);
    assert_int_equal(request.size, whole.request.size);
    for (uint32_t i = 0; i < request.argc; i++)
        assert_true(shoal_text_equal(request.argv[i], whole.request.argv[i]));
    shoal_request_free(&request);
    free(at);
    assert_int_equal(heap.blocks, 0);
    attempt_end(&whole);
}

static void byte_at_a_time_equals_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        pieces_equal_whole(samples[i]);
}

static void a_pipeline_is_taken_request_by_request(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_request request = request_make(&allocator);
    char text[2000] = "";
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) strcat(text, samples[i]);
    shoal_slice rest = shoal_text(text);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        assert_int_equal(shoal_request_parse(&request, rest), SHOAL_PARSE_REQUEST);
        assert_int_equal(request.size, strlen(samples[i]));
        rest.data += request.size;
        rest.size -= request.size;
    }
    assert_int_equal(rest.size, 0);
    shoal_request_free(&request);
    assert_int_equal(heap.blocks, 0);
}

static void sixteen_arguments_need_no_memory(void **state)
{
    (void)state;
    char text[400] = "*16\r\n";
    for (int i = 0; i < 16; i++) strcat(text, "$2\r\nab\r\n");
    attempt a = {0};
    assert_int_equal(attempt_parse(&a, shoal_text(text)), SHOAL_PARSE_REQUEST);
    assert_int_equal(a.request.argc, 16);
    assert_int_equal(a.heap.calls, 0);
    attempt_end(&a);
}

static void memory_follows_arrived_arguments_not_announced_ones(void **state)
{
    (void)state;
    char text[400] = "*2000000000\r\n";
    for (int i = 0; i < 17; i++) strcat(text, "$1\r\na\r\n");
    attempt a = {0};
    assert_int_equal(attempt_parse(&a, shoal_text(text)), SHOAL_PARSE_MORE);
    assert_int_equal(a.heap.calls, 1);
    assert_in_range(a.heap.bytes, 17 * sizeof(shoal_slice), 64 * sizeof(shoal_slice));
    attempt_end(&a);
}

static void a_large_argv_is_given_back_for_the_next_request(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_request request = request_make(&allocator);
    char *text = malloc(40000);
    int size = sprintf(text, "*5000\r\n");
    for (int i = 0; i < 5000; i++) size += sprintf(text + size, "$1\r\na\r\n");
    assert_int_equal(shoal_request_parse(&request, (shoal_slice){text, (size_t)size}),
                     SHOAL_PARSE_REQUEST);
    assert_int_equal(request.argc, 5000);
    test_slice_is(request.argv[4999], "a");
    assert_int_equal(heap.blocks, 1);
    assert_int_equal(shoal_request_parse(&request, shoal_text("*0\r\n")), SHOAL_PARSE_REQUEST);
    assert_int_equal(heap.blocks, 0);
    shoal_request_free(&request);
    free(text);
}

static void without_memory_the_request_is_refused(void **state)
{
    (void)state;
    test_heap heap = {.fail_after = 1};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_request request = request_make(&allocator);
    assert_int_equal(shoal_request_parse(&request, shoal_text(samples[2])), SHOAL_PARSE_ERROR);
    assert_string_equal(request.complaint, "out of memory");
    assert_int_equal(shoal_request_parse(&request, shoal_text("ping\n")), SHOAL_PARSE_ERROR);
    assert_string_equal(request.complaint, "out of memory");
    shoal_request_free(&request);
}

static void reset_forgets_an_incomplete_request(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_request request = request_make(&allocator);
    assert_int_equal(shoal_request_parse(&request, shoal_text("*2\r\n$1\r\na\r\n")),
                     SHOAL_PARSE_MORE);
    shoal_request_reset(&request);
    assert_int_equal(shoal_request_parse(&request, shoal_text("ping\n")), SHOAL_PARSE_REQUEST);
    assert_int_equal(request.argc, 1);
    shoal_request_free(&request);
    assert_int_equal(heap.blocks, 0);
}

static void a_line_is_split_into_a_fixed_array(void **state)
{
    (void)state;
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer store = shoal_buffer_make(&allocator);
    shoal_slice argv[3];
    assert_int_equal(shoal_line_split(shoal_text("save 900 \"1 2\""), &store, argv, 3), 3);
    test_slice_is(argv[0], "save");
    test_slice_is(argv[2], "1 2");
    assert_int_equal(shoal_line_split(shoal_text("a b c d"), &store, argv, 3), -2);
    assert_int_equal(shoal_line_split(shoal_text("a \"b"), &store, argv, 3), -1);
    assert_int_equal(shoal_line_split(shoal_text(""), &store, argv, 3), 0);
    assert_int_equal(shoal_line_split(shoal_text("  "), &store, argv, 0), 0);
    shoal_buffer_free(&store);
    heap.fail_after = 1;
    assert_int_equal(shoal_line_split(shoal_text("a"), &store, argv, 3), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_multibulk_request_is_found),
        cmocka_unit_test(only_the_first_request_is_taken),
        cmocka_unit_test(counts_below_one_are_empty_requests),
        cmocka_unit_test(what_ends_lines_and_bulks_is_not_looked_at),
        cmocka_unit_test(counts_that_are_not_numbers_are_refused),
        cmocka_unit_test(a_count_above_the_configured_limit_is_refused),
        cmocka_unit_test(a_bulk_must_begin_with_a_dollar),
        cmocka_unit_test(bulk_lengths_that_are_not_allowed_are_refused),
        cmocka_unit_test(a_larger_bulk_limit_may_be_configured),
        cmocka_unit_test(before_auth_limits_are_small_and_say_so),
        cmocka_unit_test(lines_longer_than_64_kib_are_refused),
        cmocka_unit_test(an_inline_request_of_64_kib_is_taken),
        cmocka_unit_test(inline_requests_are_split_and_unquoted),
        cmocka_unit_test(unbalanced_quotes_are_refused),
        cmocka_unit_test(what_is_wanted_reaches_to_the_end_of_the_bulk),
        cmocka_unit_test(byte_at_a_time_equals_the_whole),
        cmocka_unit_test(a_pipeline_is_taken_request_by_request),
        cmocka_unit_test(sixteen_arguments_need_no_memory),
        cmocka_unit_test(memory_follows_arrived_arguments_not_announced_ones),
        cmocka_unit_test(a_large_argv_is_given_back_for_the_next_request),
        cmocka_unit_test(without_memory_the_request_is_refused),
        cmocka_unit_test(reset_forgets_an_incomplete_request),
        cmocka_unit_test(a_line_is_split_into_a_fixed_array),
    };
    return cmocka_run_group_tests_name("wire_request", tests, NULL, NULL);
}
