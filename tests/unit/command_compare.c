/* SPDX-License-Identifier: MIT
 *
 * Strings compared before they are changed, many strings at once, and what two strings have in
 * common, as a client sees them. LCS is held against the table that the textbook fills.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/text.h"
#include "support/command_box.h"
#include "support/test.h"

static command_box box;
static command_client c;

static int open_box(void **state)
{
    (void)state;
    command_box_open(&box, 1, false);
    client_open(&c, &box, 0);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    client_close(&c);
    command_box_close(&box);
    return 0;
}

static void set_compares_first(void **state)
{
    (void)state;
    client_asks(&c, "SET k 1 IFEQ 2~SET k 1 IFNE 2~SET k 2 IFEQ 1~SET k 3 IFEQ 1~GET k~",
                "$-1~+OK~+OK~$-1~$1~2~");
    client_asks(&c, "SET k 3 IFNE 2~SET k 3 IFNE 9 GET~GET k~SET k 4 IFEQ 0 GET~GET k~",
                "$-1~$1~2~$1~3~$1~3~$1~3~");
    client_asks(&c, "SET k 5 IFEQ 3 EX 100~TTL k~SET k 5 IFEQ 5 KEEPTTL~TTL k~",
                "+OK~:100~+OK~:100~");
    client_asks(&c, "SET k 1 IFEQ 5 NX~SET k 1 XX IFEQ 5~SET k 1 IFEQ~SET k 1 IFEQ 1 IFNE 2~",
                "-ERR syntax error~-ERR syntax error~-ERR syntax error~-ERR syntax error~");
    client_asks(&c, "RPUSH l a~SET l 1 IFEQ a~SET l 1 IFNE a~",
                ":1~-WRONGTYPE Operation against a key holding the wrong kind of value~"
                "-WRONGTYPE Operation against a key holding the wrong kind of value~");
}

static void digests_are_those_of_xxh3(void **state)
{
    (void)state;
    client_asks(&c, "SET k \"\"~DIGEST k~SET k hello~DIGEST k~DIGEST none~",
                "+OK~$16~2d06800538d394c2~+OK~$16~9555e8555c62dcfd~$-1~");
    client_asks(&c, "SET k x IFDEQ 9555E8555C62DCFD~SET k y IFDEQ 9555e8555c62dcfd~GET k~",
                "+OK~$-1~$1~x~");
    client_asks(&c,
                "SET k z IFDNE zzzzzzzzzzzzzzzz~SET k z IFDEQ 12~SET n 1 IFDEQ 12~SET n 1 IFDNE 1~",
                "+OK~-ERR must be exactly 16 hexadecimal characters~$-1~+OK~");
    client_asks(&c, "RPUSH l a~DIGEST l~",
                ":1~-WRONGTYPE Operation against a key holding the wrong kind of value~");
}

static void removal_compares_first(void **state)
{
    (void)state;
    client_asks(&c, "SET k a~DELIFEQ k b~DELIFEQ k a~DELIFEQ k a~EXISTS k~", "+OK~:0~:1~:0~:0~");
    client_asks(&c, "SET k a~DELEX k IFEQ b~DELEX k IFNE a~DELEX k IFNE b~DELEX k~",
                "+OK~:0~:0~:1~:0~");
    client_asks(&c, "SET k hello~DELEX k IFDNE 9555e8555c62dcfd~DELEX k IFDEQ 9555e8555c62dcfd~",
                "+OK~:0~:1~");
    client_asks(&c,
                "RPUSH l a~DELEX l IFEQ a~DELEX l FOO a~DELEX l~SET k 1~DELEX k FOO 1~DELEX k x~",
                ":1~-ERR Key should be of string type if conditions are specified~"
                "-ERR Key should be of string type if conditions are specified~:1~+OK~"
                "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE~"
                "-ERR wrong number of arguments for 'delex' command~");
}

static void many_keys_are_set_for_a_time(void **state)
{
    (void)state;
    client_asks(&c, "MSETEX 2 a 1 b 2 EX 100~TTL a~TTL b~MSETEX 2 a 3 c 4 NX~EXISTS c~",
                ":1~:100~:100~:0~:0~");
    client_asks(&c, "MSETEX 2 a 3 c 4 XX~MSETEX 2 a 3 b 4 XX KEEPTTL~TTL a~MGET a b~",
                ":0~:1~:100~*2~$1~3~$1~4~");
    client_asks(&c, "MSETEX 2 a 5 b 6~TTL a~MSETEX 1 a 1 PXAT 1~EXISTS a~", ":1~:-1~:1~:0~");
    client_asks(&c,
                "MSETEX x a 1~MSETEX 0 a 1~MSETEX 3 a 1 b 2~MSETEX 1 a 1 foo~MSETEX 1 a 1 EX 0~",
                "-ERR invalid numkeys value~-ERR invalid numkeys value~"
                "-ERR wrong number of key-value pairs~-ERR syntax error~"
                "-ERR invalid expire time in 'msetex' command~");
}

/* ---- LCS ---- */

static void lcs_tells_what_was_asked(void **state)
{
    (void)state;
    client_asks(&c, "MSET a ohmytext b mynewtext~LCS a b~LCS a b LEN~", "+OK~$6~mytext~:6~");
    client_asks(&c, "LCS a b IDX~",
                "*4~$7~matches~*2~*2~*2~:4~:7~*2~:5~:8~*2~*2~:2~:3~*2~:0~:1~$3~len~:6~");
    client_asks(&c, "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN~",
                "*4~$7~matches~*1~*3~*2~:4~:7~*2~:5~:8~:4~$3~len~:6~");
    client_asks(&c, "LCS a none~LCS a none LEN~LCS none a IDX~",
                "$0~~:0~*4~$7~matches~*0~$3~len~:0~");
    client_asks(&c, "LCS a b LEN IDX~LCS a b foo~LCS a b MINMATCHLEN~RPUSH l 1~LCS a l~",
                "-ERR If you want both the length and indexes, please just use IDX.~"
                "-ERR syntax error~-ERR syntax error~:1~"
                "-ERR The specified keys must contain string values~");
}

/* The subsequence that the full table gives, going back as Redis does. */
static char *slow_lcs(const char *a, size_t n, const char *b, size_t m)
{
    uint32_t *table = calloc((n + 1) * (m + 1), sizeof(*table));
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            uint32_t up = table[(i - 1) * (m + 1) + j], left = table[i * (m + 1) + j - 1];
            uint32_t diagonal = table[(i - 1) * (m + 1) + j - 1];
            table[i * (m + 1) + j] = a[i - 1] == b[j - 1] ? diagonal + 1 : up > left ? up : left;
        }
    }
    uint32_t size = table[n * (m + 1) + m];
    char *common = malloc(size + 1);
    common[size] = '\0';
    for (size_t i = n, j = m; i > 0 && j > 0;) {
        if (a[i - 1] == b[j - 1]) {
            common[--size] = a[i - 1];
            i--, j--;
        } else if (table[(i - 1) * (m + 1) + j] > table[i * (m + 1) + j - 1]) {
            i--;
        } else {
            j--;
        }
    }
    free(table);
    return common;
}

static void compare_with_slow_lcs(shoal_prng *prng, size_t n, size_t m, char letters)
{
    char *a = malloc(n + 1), *b = malloc(m + 1), *text = malloc(n + m + 64);
    for (size_t i = 0; i < n; i++) a[i] = (char)('a' + shoal_prng_below(prng, (uint64_t)letters));
    for (size_t i = 0; i < m; i++) b[i] = (char)('a' + shoal_prng_below(prng, (uint64_t)letters));
    a[n] = b[m] = '\0';
    char *common = slow_lcs(a, n, b, m);
    sprintf(text, "MSET a %s b %s~", a, b);
    client_asks(&c, text, "+OK~");
    sprintf(text, "$%zu~%s~:%zu~", strlen(common), common, strlen(common));
    client_asks(&c, "LCS a b~LCS a b LEN~", text);
    free(a), free(b), free(text), free(common);
}

static void lcs_is_that_of_the_textbook(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){7, 0}, 0, 0);
    for (int i = 0; i < 200; i++) {
        size_t n = 1 + shoal_prng_below(&prng, 60), m = 1 + shoal_prng_below(&prng, 60);
        compare_with_slow_lcs(&prng, n, m, (char)(1 + shoal_prng_below(&prng, 6)));
    }
}

static void a_long_lcs_takes_steps_and_comes_out_the_same(void **state)
{
    (void)state;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){8, 0}, 0, 0);
    compare_with_slow_lcs(&prng, 700, 900, 4);
    compare_with_slow_lcs(&prng, 3, 40000, 2);
    compare_with_slow_lcs(&prng, 1500, 60, 20);
}

static void a_session_may_close_while_its_lcs_goes_on(void **state)
{
    (void)state;
    char text[2 * 900 + 32];
    memset(text, 'x', sizeof(text));
    memcpy(text, "MSET a ", 7);
    memcpy(text + 800, " b ", 3);
    memcpy(text + 1700, "~", 2);
    client_asks(&c, text, "+OK~");
    client_send(&c, shoal_text("LCS a b\r\n"));
    client_got(&c, "");
    assert_int_equal(c.feed, SHOAL_FEED_PARKED);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
    const struct CMUnitTest tests[] = {
        FACT(set_compares_first),
        FACT(digests_are_those_of_xxh3),
        FACT(removal_compares_first),
        FACT(many_keys_are_set_for_a_time),
        FACT(lcs_tells_what_was_asked),
        FACT(lcs_is_that_of_the_textbook),
        FACT(a_long_lcs_takes_steps_and_comes_out_the_same),
        FACT(a_session_may_close_while_its_lcs_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
