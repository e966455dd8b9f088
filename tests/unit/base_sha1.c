/* SPDX-License-Identifier: MIT
 *
 * SHA-1: the vectors of the standard, and lengths around the ends of blocks.
 */
#include "support/test.h"

#include <string.h>

#include "base/sha1.h"
#include "base/text.h"

static void expect(shoal_slice bytes, const char *digits)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char sum[SHOAL_SHA1_SIZE];
    char got[2 * SHOAL_SHA1_SIZE + 1] = {0};
    shoal_sha1(bytes, sum);
    for (size_t i = 0; i < sizeof(sum); i++) {
        got[2 * i] = hex[sum[i] >> 4];
        got[2 * i + 1] = hex[sum[i] & 15];
    }
    assert_string_equal(got, digits);
}

static void the_vectors_of_the_standard_are_right(void **state)
{
    (void)state;
    expect((shoal_slice){NULL, 0}, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect(shoal_text("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect(shoal_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

static void a_million_times_a_is_right(void **state)
{
    static char bytes[1000000];
    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    expect((shoal_slice){bytes, sizeof(bytes)}, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

static void lengths_around_the_end_of_a_block_are_right(void **state)
{
    static const struct {
        size_t size;
        const char *digits;
    } rows[] = {
        {55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
        {56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        {63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
        {64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {65, "11655326c708d70319be2610e8a57d9a5b959d3b"},
    };
    char bytes[65];
    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect((shoal_slice){bytes, rows[i].size}, rows[i].digits);
}

static void the_digest_may_lie_where_the_bytes_were(void **state)
{
    unsigned char bytes[SHOAL_SHA1_SIZE], other[SHOAL_SHA1_SIZE];
    (void)state;
    memset(bytes, 7, sizeof(bytes));
    shoal_sha1((shoal_slice){(const char *)bytes, sizeof(bytes)}, other);
    shoal_sha1((shoal_slice){(const char *)bytes, sizeof(bytes)}, bytes);
    assert_memory_equal(bytes, other, sizeof(bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_standard_are_right),
        cmocka_unit_test(a_million_times_a_is_right),
        cmocka_unit_test(lengths_around_the_end_of_a_block_are_right),
        cmocka_unit_test(the_digest_may_lie_where_the_bytes_were),
    };
    return cmocka_run_group_tests_name("base_sha1", tests, NULL, NULL);
}
