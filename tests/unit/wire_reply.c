/* SPDX-License-Identifier: MIT
 *
 * Replies, written and read: each kind in both protocols, as redis-server 7.0.15 answers DEBUG
 * PROTOCOL; and the cursor that clients read them with.
 */
#include "support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "support/allocator.h"
#include "wire/resp.h"

/* A writer on a fresh buffer. */
typedef struct paper {
    test_heap heap;
    shoal_allocator allocator;
    shoal_buffer out;
    shoal_reply reply;
} paper;

static shoal_reply *paper_open(paper *p, int protocol)
{
    *p = (paper){0};
    p->allocator = test_allocator(&p->heap);
    p->out = shoal_buffer_make(&p->allocator);
    p->reply = (shoal_reply){&p->out, protocol};
    return &p->reply;
}

static void paper_says(paper *p, const char *text)
{
    test_slice_is(shoal_buffer_slice(&p->out), text);
    shoal_buffer_free(&p->out);
    assert_int_equal(p->heap.blocks, 0);
}

/* Writes one reply in each protocol and compares. */
static void writes(void (*write)(shoal_reply *reply), const char *resp2, const char *resp3)
{
    paper p;
    write(paper_open(&p, 2));
    paper_says(&p, resp2);
    write(paper_open(&p, 3));
    paper_says(&p, resp3);
}

static void write_scalars(shoal_reply *reply)
{
    shoal_reply_ok(reply);
    shoal_reply_status(reply, "PONG");
    shoal_reply_integer(reply, 0);
    shoal_reply_integer(reply, 42);
    shoal_reply_integer(reply, -7);
    shoal_reply_integer(reply, INT64_MAX);
    shoal_reply_integer(reply, INT64_MIN);
    shoal_reply_bulk_integer(reply, -12);
}

static void statuses_and_integers_are_the_same_in_both_protocols(void **state)
{
    (void)state;
    const char *text = "+OK\r\n+PONG\r\n:0\r\n:42\r\n:-7\r\n:9223372036854775807\r\n"
                       ":-9223372036854775808\r\n$3\r\n-12\r\n";
    writes(write_scalars, text, text);
}

static void write_bulks(shoal_reply *reply)
{
    shoal_reply_bulk(reply, (shoal_slice){NULL, 0});
    shoal_reply_bulk(reply, (shoal_slice){"a\r\nb", 4});
    shoal_reply_text(reply, "0123456789");
}

static void bulks_carry_any_bytes(void **state)
{
    (void)state;
    const char *text = "$0\r\n\r\n$4\r\na\r\nb\r\n$10\r\n0123456789\r\n";
    writes(write_bulks, text, text);
}

static void write_kinds_of_resp3(shoal_reply *reply)
{
    shoal_reply_null(reply);
    shoal_reply_null_array(reply);
    shoal_reply_boolean(reply, true);
    shoal_reply_boolean(reply, false);
    shoal_reply_double(reply, 3.141);
    shoal_reply_double(reply, 0.1);
    shoal_reply_double(reply, -INFINITY);
    shoal_reply_verbatim(reply, "txt", shoal_text("This is a verbatim\nstring"));
}

static void kinds_that_resp2_lacks_are_written_as_redis_does(void **state)
{
    (void)state;
    writes(write_kinds_of_resp3,
           "$-1\r\n*-1\r\n:1\r\n:0\r\n$5\r\n3.141\r\n$19\r\n0.10000000000000001\r\n$4\r\n-inf\r\n"
           "$25\r\nThis is a verbatim\nstring\r\n",
           "_\r\n_\r\n#t\r\n#f\r\n,3.141\r\n,0.10000000000000001\r\n,-inf\r\n"
           "=29\r\ntxt:This is a verbatim\nstring\r\n");
}

static void write_aggregates(shoal_reply *reply)
{
    shoal_reply_array(reply, 0);
    shoal_reply_array(reply, 12345);
    shoal_reply_map(reply, 3);
    shoal_reply_set(reply, 3);
    shoal_reply_push(reply, 2);
}

static void aggregates_have_their_own_types_in_resp3(void **state)
{
    (void)state;
    writes(write_aggregates, "*0\r\n*12345\r\n*6\r\n*3\r\n*2\r\n",
           "*0\r\n*12345\r\n%3\r\n~3\r\n>2\r\n");
}

static void errors_stay_on_one_line(void **state)
{
    (void)state;
    paper p;
    shoal_reply *reply = paper_open(&p, 2);
    shoal_reply_error(reply, "ERR one\r\ntwo\n");
    shoal_reply_errorf(reply, "ERR unknown command '%.*s', %d%%", 3, "ab\rcd", 5);
    paper_says(&p, "-ERR one  two\r\n-ERR unknown command 'ab ', 5%\r\n");
}

static void an_error_is_blanked_where_it_stands_only(void **state)
{
    (void)state;
    paper p;
    shoal_reply *reply = paper_open(&p, 2);
    shoal_reply_ok(reply);
    shoal_buffer_consume(&p.out, 2);
    shoal_reply_error(reply, "ERR a\nb");
    paper_says(&p, "K\r\n-ERR a b\r\n");
}

static void lengths_of_every_width_are_written(void **state)
{
    (void)state;
    char *bytes = calloc(1, 20000);
    for (size_t size = 0; size <= 20000; size += size < 1100 ? 1 : 977) {
        paper p;
        shoal_reply_bulk(paper_open(&p, 2), (shoal_slice){bytes, size});
        char want[SHOAL_TEXT_INTEGER_SIZE + 1] = {0};
        size_t digits = shoal_text_from_u64(want, size);
        shoal_slice got = shoal_buffer_slice(&p.out);
        assert_int_equal(got.size, digits + size + 5);
        assert_memory_equal(got.data + 1, want, digits);
        shoal_buffer_free(&p.out);
    }
    free(bytes);
}

/* ---- deferred lengths ---- */

static void a_deferred_length_moves_what_follows_when_it_must(void **state)
{
    (void)state;
    const size_t counts[] = {0, 1, 9, 10, 99, 100, 1000, 12345};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        paper late, early;
        shoal_reply *reply = paper_open(&late, 2);
        shoal_reply_ok(reply);
        shoal_reply_mark mark = shoal_reply_begin(reply);
        for (size_t k = 0; k < counts[i]; k++) shoal_reply_integer(reply, (int64_t)k);
        shoal_reply_end_array(reply, mark, counts[i]);
        shoal_reply_ok(reply);

        reply = paper_open(&early, 2);
        shoal_reply_ok(reply);
        shoal_reply_array(reply, counts[i]);
        for (size_t k = 0; k < counts[i]; k++) shoal_reply_integer(reply, (int64_t)k);
        shoal_reply_ok(reply);
        assert_true(
            shoal_text_equal(shoal_buffer_slice(&late.out), shoal_buffer_slice(&early.out)));
        shoal_buffer_free(&late.out);
        shoal_buffer_free(&early.out);
    }
}

static void write_nested(shoal_reply *reply)
{
    shoal_reply_mark outer = shoal_reply_begin(reply);
    shoal_reply_mark set = shoal_reply_begin(reply);
    for (int i = 0; i < 10; i++) shoal_reply_integer(reply, i);
    shoal_reply_end_set(reply, set, 10);
    shoal_reply_mark map = shoal_reply_begin(reply);
    for (int i = 0; i < 12; i++) shoal_reply_integer(reply, i % 10);
    shoal_reply_end_map(reply, map, 6);
    shoal_reply_end_array(reply, outer, 2);
}

static void deferred_lengths_nest(void **state)
{
    (void)state;
    writes(write_nested,
           "*2\r\n*10\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n"
           "*12\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:0\r\n:1\r\n",
           "*2\r\n~10\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n"
           "%6\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:0\r\n:1\r\n");
}

static void writing_without_memory_sets_failed_and_nothing_else(void **state)
{
    (void)state;
    paper p;
    shoal_reply *reply = paper_open(&p, 3);
    p.heap.fail_after = 1;
    write_scalars(reply);
    write_bulks(reply);
    write_kinds_of_resp3(reply);
    write_aggregates(reply);
    write_nested(reply);
    shoal_reply_error(reply, "ERR");
    assert_true(p.out.failed);
    assert_int_equal(p.heap.blocks, 0);
}

/* ---- reading ---- */

static shoal_answer answer_of(const char *text)
{
    shoal_answer answer;
    assert_int_equal(shoal_answer_next(shoal_text(text), &answer), SHOAL_ERR_OK);
    assert_int_equal(answer.type, text[0]);
    return answer;
}

static void the_cursor_reads_each_kind(void **state)
{
    (void)state;
    test_slice_is(answer_of("+OK\r\nrest").text, "OK");
    assert_int_equal(answer_of("+OK\r\nrest").size, 5);
    test_slice_is(answer_of("-ERR no\r\n").text, "ERR no");
    assert_int_equal(answer_of(":-12\r\n").integer, -12);
    test_slice_is(answer_of("$4\r\na\r\nb\r\n").text, "a\r\nb");
    assert_int_equal(answer_of("$4\r\na\r\nb\r\n").size, 10);
    assert_int_equal(answer_of("$0\r\n\r\n").integer, 0);
    assert_int_equal(answer_of("$-1\r\n").integer, -1);
    assert_int_equal(answer_of("*-1\r\n").integer, -1);
    assert_int_equal(answer_of("_\r\n").integer, -1);
    assert_int_equal(answer_of("*3\r\n").integer, 3);
    assert_int_equal(answer_of("~3\r\n").integer, 3);
    assert_int_equal(answer_of(">3\r\n").integer, 3);
    assert_int_equal(answer_of("%3\r\n").integer, 6);
    assert_int_equal(answer_of("|1\r\n").integer, 2);
    assert_int_equal(answer_of("#t\r\n").integer, 1);
    assert_int_equal(answer_of("#f\r\n").integer, 0);
    test_slice_is(answer_of(",1.5\r\n").text, "1.5");
    test_slice_is(answer_of("(12345678901234567890\r\n").text, "12345678901234567890");
    test_slice_is(answer_of("=7\r\ntxt:abc\r\n").text, "txt:abc");
    test_slice_is(answer_of("!5\r\nERR x\r\n").text, "ERR x");
}

static void the_cursor_refuses_what_is_no_reply(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "x\r\n",
        "+a\nb\r\n",
        "+a\rb",
        ":\r\n",
        ":1x\r\n",
        ":01\r\n",
        "$-2\r\n",
        "$1\r\nabc",
        "$x\r\n",
        "*-2\r\n",
        "%-1\r\n",
        "=-1\r\n",
        "#x\r\n",
        "#\r\n",
        "#tt\r\n",
        "_x\r\n",
        "$\n",
        "$9999999999999\r\n",
        "|-1\r\n",
        "~-1\r\n",
        "!-1\r\n",
        "*9999999999\r\n",
        ":1111111111111111111111111111111111111111111111",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        shoal_answer answer;
        assert_int_equal(shoal_answer_next(shoal_text(wrong[i]), &answer), SHOAL_ERR_MALFORMED);
    }
}

static const char *const whole_replies[] = {
    "+OK\r\n",
    "$5\r\nhello\r\n",
    "*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n*2\r\n$-1\r\n_\r\n",
    "*0\r\n",
    "|1\r\n+key\r\n*2\r\n+a\r\n,0.5\r\n$2\r\nok\r\n",
    "*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n",
    ">2\r\n=5\r\ntxt:a\r\n~1\r\n#t\r\n",
};

static void the_size_of_a_reply_covers_what_is_nested_in_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(whole_replies) / sizeof(whole_replies[0]); i++) {
        char text[100];
        size_t size = 0, length = strlen(whole_replies[i]);
        strcat(strcpy(text, whole_replies[i]), "+more\r\n");
        assert_int_equal(shoal_answer_size(shoal_text(text), &size), SHOAL_ERR_OK);
        assert_int_equal(size, length);
        for (size_t cut = 0; cut < length; cut++) {
            char *exact = malloc(cut + 1);
            memcpy(exact, text, cut);
            exact = realloc(exact, cut ? cut : 1);
            assert_int_equal(shoal_answer_size((shoal_slice){exact, cut}, &size),
                             SHOAL_ERR_TRUNCATED);
            free(exact);
        }
    }
}

static void deep_nesting_costs_no_stack(void **state)
{
    (void)state;
    size_t depth = 1000000;
    char *text = malloc(depth * 4 + 5);
    for (size_t i = 0; i < depth; i++) memcpy(text + 4 * i, "*1\r\n", 4);
    size_t size = 0;
    assert_int_equal(shoal_answer_size((shoal_slice){text, depth * 4}, &size), SHOAL_ERR_TRUNCATED);
    memcpy(text + 4 * depth, "+a\r\n", 4);
    assert_int_equal(shoal_answer_size((shoal_slice){text, depth * 4 + 4}, &size), SHOAL_ERR_OK);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_and_integers_are_the_same_in_both_protocols),
        cmocka_unit_test(bulks_carry_any_bytes),
        cmocka_unit_test(kinds_that_resp2_lacks_are_written_as_redis_does),
        cmocka_unit_test(aggregates_have_their_own_types_in_resp3),
        cmocka_unit_test(errors_stay_on_one_line),
        cmocka_unit_test(an_error_is_blanked_where_it_stands_only),
        cmocka_unit_test(lengths_of_every_width_are_written),
        cmocka_unit_test(a_deferred_length_moves_what_follows_when_it_must),
        cmocka_unit_test(deferred_lengths_nest),
        cmocka_unit_test(writing_without_memory_sets_failed_and_nothing_else),
        cmocka_unit_test(the_cursor_reads_each_kind),
        cmocka_unit_test(the_cursor_refuses_what_is_no_reply),
        cmocka_unit_test(the_size_of_a_reply_covers_what_is_nested_in_it),
        cmocka_unit_test(deep_nesting_costs_no_stack),
    };
    return cmocka_run_group_tests_name("wire_reply", tests, NULL, NULL);
}
