/* SPDX-License-Identifier: MIT
 *
 * The shorter way through the parser, for requests that begin as one before: it finds what the
 * other finds, whatever comes behind the beginning and wherever the input is cut.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "support/allocator.h"
#include "wire/alike.h"

/* Two parsers of the same input: one goes the shorter way where it may. */
typedef struct pair {
    test_heap heap;
    shoal_allocator allocator;
    shoal_request any, alike;
    uint64_t seed; /* of random input; 0: it is not */
} pair;

static void pair_begin(pair *p, bool authenticated)
{
    *p = (pair){.allocator = test_allocator(&p->heap)};
    shoal_request_limits limits = shoal_request_limits_default();
    limits.authenticated = authenticated;
    p->any = (shoal_request){.limits = limits, .allocator = &p->allocator};
    p->alike = (shoal_request){.limits = limits, .allocator = &p->allocator};
}

static void pair_end(pair *p)
{
    shoal_request_free(&p->any);
    shoal_request_free(&p->alike);
    assert_int_equal(p->heap.blocks, 0);
}

/* Both have found the same. */
static void assert_agree(const pair *p, shoal_parse any, shoal_parse alike)
{
    if (p->seed != 0 && (any != alike || p->any.argc != p->alike.argc))
        print_message("seed %d\n", (int)p->seed);
    assert_int_equal(any, alike);
    assert_int_equal(p->any.size, p->alike.size);
    assert_int_equal(p->any.wanted, p->alike.wanted);
    assert_ptr_equal(p->any.complaint, p->alike.complaint);
    assert_int_equal(p->any.complaint_char, p->alike.complaint_char);
    assert_int_equal(p->any.argc, p->alike.argc);
    if (any == SHOAL_PARSE_REQUEST) assert_ptr_equal(p->any.text, p->alike.text);
    for (uint32_t i = 0; i < p->any.argc; i++) {
        assert_true(shoal_text_equal(p->any.argv[i], p->alike.argv[i]));
        /* In place, but for what an inline request unquotes. */
        if (p->any.text != NULL) assert_ptr_equal(p->any.argv[i].data, p->alike.argv[i].data);
    }
}

/* Has both parse `bytes`, which stand where nothing is behind them. */
static shoal_parse parse_both(pair *p, shoal_slice bytes, const shoal_request_head *head)
{
    bool fresh = p->alike.partial.base == 0;
    shoal_parse any = shoal_request_parse(&p->any, bytes);
    shoal_parse alike = fresh && shoal_request_is_alike(bytes, head)
                            ? shoal_request_parse_alike(&p->alike, bytes, head)
                            : shoal_request_parse(&p->alike, bytes);
    assert_agree(p, any, alike);
    return any;
}

/* A copy of the first `size` bytes, so that a sanitizer sees any read beyond; `*block` is freed. */
static shoal_slice exactly(shoal_slice bytes, size_t size, char **block)
{
    *block = malloc(size ? size : 1);
    if (size != 0) memcpy(*block, bytes.data, size);
    return (shoal_slice){*block, size};
}

/* The head of the request at the start of `bytes`. */
static shoal_request_head head_at(shoal_slice bytes)
{
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_request request = {.limits = shoal_request_limits_default(), .allocator = &allocator};
    assert_int_equal(shoal_request_parse(&request, bytes), SHOAL_PARSE_REQUEST);
    shoal_request_head head = shoal_request_head_of(&request);
    shoal_request_free(&request);
    return head;
}

/* Cuts `bytes` everywhere; what is missing comes in a second piece, at another address. */
static void cut_everywhere(shoal_slice bytes, const shoal_request_head *head, bool authenticated)
{
    for (size_t cut = head->size; cut <= bytes.size; cut++) {
        pair p;
        pair_begin(&p, authenticated);
        char *first_block, *all_block;
        shoal_slice first = exactly(bytes, cut, &first_block);
        shoal_slice all = exactly(bytes, bytes.size, &all_block);
        if (parse_both(&p, first, head) == SHOAL_PARSE_MORE) (void)parse_both(&p, all, head);
        free(first_block);
        free(all_block);
        pair_end(&p);
    }
}

#define FIFTY_ONE "012345678901234567890123456789012345678901234567890"

/* What comes behind "*3\r\n$3\r\nSET\r\n". */
static const char *const tails[] = {
    "$3\r\nkey\r\n$5\r\nvalue\r\n",
    "$1\r\na\r\n$0\r\n\r\n",
    "$0\r\n\r\n$1\r\n1\r\n",
    "$10\r\n0123456789\r\n$12\r\n0123456789ab\r\n",
    "$1\r\na\r\n$1\r\nb\r\n*1\r\n$4\r\nPING\r\n",
    "$1\r\na\r\n$102\r\n" FIFTY_ONE FIFTY_ONE "\r\n",
    "$1\rXaXX$1\rXbXX",
    "$01\r\na\r\n$1\r\nb\r\n",
    "$00\r\n\r\n$1\r\nb\r\n",
    "$1:\r\nabcdefghijklmnopqrstuvwxyz\r\n$1\r\nb\r\n",
    "$:1\r\nabcdefghijklmnopqrstuvwxyz\r\n$1\r\nb\r\n",
    "$:\r\nabcdefghijklmnopqrstuvwxyz\r\n$1\r\nb\r\n",
    "$-1\r\n$1\r\nb\r\n",
    "$+1\r\na\r\n$1\r\nb\r\n",
    "$\r\n$1\r\nb\r\n",
    "#3\r\nkey\r\n$5\r\nvalue\r\n",
    "$3\r\nkey\r\n!15\r\nvalue\r\n",
    "$1\r\na\r\n$17000\r\n0123456789",
    "$1\r\na\r\n$999999999\r\n0123456789",
    "$1\r\na\r\n$99999999999999999999\r\n0123456789",
};

static void whatever_is_behind_the_head_is_found_as_ever(void **state)
{
    (void)state;
    const char *known = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";
    shoal_request_head head = head_at(shoal_text(known));
    assert_int_equal(head.size, 13);
    assert_int_equal(head.argc, 3);
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        char text[400];
        int size = snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n%s", tails[i]);
        cut_everywhere((shoal_slice){text, (size_t)size}, &head, true);
        cut_everywhere((shoal_slice){text, (size_t)size}, &head, false);
    }
}

/* A bulk with random bytes. */
static void append_bulk(shoal_buffer *text, shoal_prng *prng, size_t size)
{
    shoal_text_appendf(text, "$%zu\r\n", size);
    for (size_t i = 0; i < size; i++) {
        char byte = (char)shoal_prng_below(prng, 256);
        shoal_buffer_append(text, (shoal_slice){&byte, 1});
    }
    shoal_buffer_append(text, shoal_text("\r\n"));
}

/* Some requests, mostly of few kinds. */
static void append_requests(shoal_buffer *text, shoal_prng *prng)
{
    static const char *const names[] = {"GET", "set", "INCRBY", "x", "ZREVRANGEBYSCORE", ""};
    static const uint64_t sizes[] = {2, 12, 40, 120, 1200};
    for (uint64_t left = 1 + shoal_prng_below(prng, 12); left > 0; left--) {
        uint64_t argc = 1 + shoal_prng_below(prng, shoal_prng_below(prng, 8) ? 3 : 20);
        shoal_text_appendf(text, "*%u\r\n", (unsigned)argc);
        const char *name = names[shoal_prng_below(prng, sizeof(names) / sizeof(names[0]))];
        shoal_text_appendf(text, "$%zu\r\n%s\r\n", strlen(name), name);
        for (uint64_t i = 1; i < argc; i++)
            append_bulk(text, prng, shoal_prng_below(prng, sizes[shoal_prng_below(prng, 5)]));
    }
}

/* Parses all of `bytes` in random pieces, with the head of the request before. */
static void parse_pieces(pair *p, shoal_slice bytes, shoal_prng *prng)
{
    shoal_request_head head = {0};
    uint64_t longest = shoal_prng_below(prng, 2) ? 30 : 3000;
    size_t arrived = 0;
    for (bool going = true; going;) {
        char *block;
        shoal_slice now = exactly(bytes, arrived, &block);
        shoal_parse found = parse_both(p, now, &head);
        if (found == SHOAL_PARSE_MORE) {
            going = arrived < bytes.size;
            arrived += 1 + shoal_prng_below(prng, longest);
            if (arrived > bytes.size) arrived = bytes.size;
        } else if (found == SHOAL_PARSE_REQUEST) {
            head = shoal_request_head_of(&p->any);
            bytes.data += p->any.size;
            bytes.size -= p->any.size;
            arrived -= p->any.size;
        } else {
            going = false;
        }
        free(block);
    }
}

static void random_pipelines_are_found_as_ever(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        shoal_prng prng = shoal_prng_make((uint64_t[2]){seed, 0}, 0, 0);
        pair p;
        pair_begin(&p, shoal_prng_below(&prng, 4) != 0);
        shoal_buffer text = shoal_buffer_make(&p.allocator);
        append_requests(&text, &prng);
        size_t size = shoal_buffer_size(&text);
        if (shoal_prng_below(&prng, 3) == 0)
            text.data[text.start + shoal_prng_below(&prng, size)] = "*$\r\n0:-9"[seed % 8];
        p.seed = seed;
        parse_pieces(&p, shoal_buffer_slice(&text), &prng);
        shoal_buffer_free(&text);
        pair_end(&p);
    }
}

/* What a line with these bytes between '$' and its end says, by the rules; -1: nothing. */
static int line_value(const unsigned char *digits, int count)
{
    for (int i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9') return -1;
    }
    if (count == 1) return digits[0] - '0';
    return digits[0] == '0' ? -1 : (digits[0] - '0') * 10 + digits[1] - '0';
}

static void a_glance_reads_one_or_two_digits_and_nothing_else(void **state)
{
    (void)state;
    char line[] = "$..\r\n...";
    for (unsigned both = 0; both < 1u << 16; both++) {
        unsigned char digits[2] = {(unsigned char)both, (unsigned char)(both >> 8)};
        memcpy(line + 1, digits, 2);
        uint64_t value = 0;
        const char *behind = shoal_request__glance(line, line + 8, '$', &value);
        int wanted = line_value(digits, 2);
        assert_ptr_equal(behind, wanted < 0 ? NULL : line + 5);
        if (wanted >= 0) assert_int_equal(value, wanted);
    }
    for (unsigned one = 0; one < 256; one++) {
        char brief[] = "$.\r\n....";
        unsigned char digit = (unsigned char)one;
        memcpy(brief + 1, &digit, 1);
        uint64_t value = 0;
        const char *behind = shoal_request__glance(brief, brief + 8, '$', &value);
        int wanted = line_value(&digit, 1);
        assert_ptr_equal(behind, wanted < 0 ? NULL : brief + 4);
        if (wanted >= 0) assert_int_equal(value, wanted);
    }
}

static void only_a_short_beginning_is_kept(void **state)
{
    (void)state;
    assert_int_equal(head_at(shoal_text("ping\r\n")).size, 0);
    assert_int_equal(head_at(shoal_text("*0\r\n")).size, 0);
    assert_int_equal(head_at(shoal_text("*1\r\n$4\r\nPING\r\n")).size, 14);
    assert_int_equal(head_at(shoal_text("*1\r\n$0\r\n\r\n")).size, 10);
    assert_int_equal(head_at(shoal_text("*1\r\n$13\r\nZRANGEBYSCORE\r\n")).size, 24);
    assert_int_equal(head_at(shoal_text("*1\r\n$14\r\nZRANGEBYSCORE.\r\n")).size, 0);
    char text[200] = "*10\r\n";
    for (int i = 0; i < 10; i++) strcat(text, "$1\r\na\r\n");
    assert_int_equal(head_at(shoal_text(text)).argc, 10);
    strcat(text, "$1\r\na\r\n");
    memcpy(text, "*11", 3);
    assert_int_equal(head_at(shoal_text(text)).size, 0);
}

static void nothing_begins_as_no_request(void **state)
{
    (void)state;
    shoal_request_head none = {0}, ping = head_at(shoal_text("*1\r\n$4\r\nPING\r\n"));
    assert_false(shoal_request_is_alike((shoal_slice){"\0\0\0\0\0\0\0\0\0\0\0\0", 12}, &none));
    assert_true(shoal_request_is_alike(shoal_text("*1\r\n$4\r\nPING\r\n"), &ping));
    assert_false(shoal_request_is_alike(shoal_text("*1\r\n$4\r\nPING\r"), &ping));
    assert_false(shoal_request_is_alike(shoal_text("*1\r\n$4\r\nPINg\r\n"), &ping));
    assert_false(shoal_request_is_alike(shoal_text("*2\r\n$4\r\nPING\r\n"), &ping));
}

/* More arguments than a parser keeps room for: the shorter way gives it back like the other. */
static void a_request_that_begins_alike_gives_memory_back(void **state)
{
    (void)state;
    shoal_request_head ping = head_at(shoal_text("*1\r\n$4\r\nPING\r\n"));
    pair p;
    pair_begin(&p, true);
    shoal_buffer text = shoal_buffer_make(&p.allocator);
    shoal_text_appendf(&text, "*5000\r\n");
    for (int i = 0; i < 5000; i++) shoal_text_appendf(&text, "$1\r\na\r\n");
    assert_int_equal(parse_both(&p, shoal_buffer_slice(&text), &ping), SHOAL_PARSE_REQUEST);
    assert_int_equal(p.heap.blocks, 3);
    assert_int_equal(parse_both(&p, shoal_text("*1\r\n$4\r\nPING\r\n"), &ping),
                     SHOAL_PARSE_REQUEST);
    assert_int_equal(p.heap.blocks, 1);
    shoal_buffer_free(&text);
    pair_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_behind_the_head_is_found_as_ever),
        cmocka_unit_test(random_pipelines_are_found_as_ever),
        cmocka_unit_test(a_glance_reads_one_or_two_digits_and_nothing_else),
        cmocka_unit_test(only_a_short_beginning_is_kept),
        cmocka_unit_test(nothing_begins_as_no_request),
        cmocka_unit_test(a_request_that_begins_alike_gives_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
