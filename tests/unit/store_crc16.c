/* SPDX-License-Identifier: MIT
 *
 * CRC-16/XMODEM and the hash-tag rule: published vectors, and the sliced form against the one of
 * the textbook.
 */
#include "support/test.h"

#include <string.h>

#include "base/crc16.h"
#include "base/fold.h"
#include "base/hash.h"
#include "base/name.h"

static shoal_slice text(const char *string)
{
    return (shoal_slice){string, strlen(string)};
}

static void the_check_value_is_the_published_one(void **state)
{
    (void)state;
    assert_int_equal(shoal_crc16(text("123456789")), 0x31C3);
    assert_int_equal(shoal_crc16(text("")), 0);
    assert_int_equal(shoal_crc16((shoal_slice){NULL, 0}), 0);
}

/* Bit by bit. */
static uint16_t slow_crc16(const unsigned char *bytes, size_t size)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint16_t)(bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
        }
    }
    return crc;
}

static void any_length_and_alignment_agrees_with_the_textbook(void **state)
{
    (void)state;
    unsigned char bytes[128];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 151 + 77);
    for (size_t start = 0; start < 8; start++) {
        for (size_t size = 0; start + size <= sizeof bytes; size++) {
            shoal_slice slice = {(const char *)bytes + start, size};
            assert_int_equal(shoal_crc16(slice), slow_crc16(bytes + start, size));
        }
    }
}

/* The slot of a name in both ways, where the processor has both. */
static unsigned slot_of(shoal_slice name)
{
    unsigned slot = shoal_crc16_slot(name);
    if (shoal_fold_can()) assert_int_equal(shoal_crc16_slot_folded(name), slot);
    for (uint64_t seed = 0; seed <= 99; seed += 99) {
        shoal_name_sums sums = shoal_name_sum(name, seed);
        assert_int_equal(sums.slot, slot);
        assert_true(sums.hash == shoal_hash(name, seed));
        if (!shoal_fold_can()) continue;
        sums = shoal_name_sum_folded(name, seed);
        assert_int_equal(sums.slot, slot);
        assert_true(sums.hash == shoal_hash(name, seed));
    }
    return slot;
}

static void both_numbers_of_a_name_are_those_that_it_has_alone(void **state)
{
    (void)state;
    char bytes[40];
    for (size_t size = 0; size <= sizeof bytes; size++) {
        for (size_t i = 0; i < size; i++) bytes[i] = (char)('!' + (i * 37 + size) % 90);
        (void)slot_of((shoal_slice){bytes, size});
        for (size_t open = 0; open < size; open++) {
            char before = bytes[open];
            bytes[open] = '{';
            (void)slot_of((shoal_slice){bytes, size});
            bytes[size - 1] = '}';
            (void)slot_of((shoal_slice){bytes, size});
            bytes[open] = before;
        }
    }
}

static void tags_decide_the_slot(void **state)
{
    (void)state;
    assert_int_equal(slot_of(text("foo")), 12182);
    assert_int_equal(slot_of(text("session:{user:12345}:data")), 1800);
    assert_int_equal(slot_of(text("user:12345")), 1800);
    assert_int_equal(slot_of(text("foo{bar}{zap}")), 5061);
    assert_int_equal(slot_of(text("bar")), 5061);
}

static void an_empty_tag_is_no_tag(void **state)
{
    (void)state;
    assert_int_equal(slot_of(text("foo{}{bar}")), 8363);
    assert_int_equal(slot_of(text("{}x")), 10595);
    assert_int_equal(slot_of(text("")), 0);
}

static void a_tag_ends_at_the_first_closing_brace(void **state)
{
    (void)state;
    assert_int_equal(slot_of(text("foo{{bar}}")), 4015);
    assert_int_equal(slot_of(text("foo{{bar}}zap")), 4015);
    assert_int_equal(slot_of(text("{bar")), shoal_crc16(text("{bar")) & 16383);
    assert_int_equal(slot_of(text("bar}")), shoal_crc16(text("bar}")) & 16383);
    assert_int_equal(slot_of(text("}{bar}")), 5061);
}

static void a_slot_is_the_textbooks_remainder_at_any_length_and_alignment(void **state)
{
    (void)state;
    unsigned char bytes[160];
    uint32_t draw = 1;
    for (size_t round = 0; round < 8; round++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            draw = draw * 1664525u + 1013904223u;
            bytes[i] = (unsigned char)(draw >> 24);
            if (bytes[i] == '{') bytes[i] = 0;
        }
        for (size_t start = 0; start < 17; start++) {
            for (size_t size = 0; start + size <= sizeof bytes; size++) {
                shoal_slice name = {(const char *)bytes + start, size};
                assert_int_equal(slot_of(name), slow_crc16(bytes + start, size) & 16383);
            }
        }
    }
}

/* Every bit of a name has its own share: with the sum of two, all names are right. */
static void each_bit_of_a_name_counts_as_in_the_textbook(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 64; size++) {
        unsigned char bytes[64] = {0};
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] = (unsigned char)(1u << bit % 8);
            shoal_slice name = {(const char *)bytes, size};
            assert_int_equal(slot_of(name), slow_crc16(bytes, size) & 16383);
            bytes[bit / 8] = 0;
        }
    }
}

/* Beside bytes that differ from a brace by a bit. */
static void a_tag_is_found_wherever_it_begins(void **state)
{
    (void)state;
    static const unsigned char others[] = {'z', '|', 0xfb, 0, '[', 0xff};
    char name[48];
    for (size_t size = 3; size <= sizeof name; size++) {
        for (size_t i = 0; i < size; i++) name[i] = (char)others[i % sizeof others];
        shoal_slice whole = {name, size};
        unsigned slot = slow_crc16((const unsigned char *)name, size) & 16383;
        assert_int_equal(slot_of(whole), slot);
        for (size_t open = 0; open + 3 <= size; open++) {
            memcpy(name + open, "{k}", 3);
            assert_int_equal(slot_of(whole), shoal_crc16(text("k")) & 16383);
            for (size_t i = open; i < open + 3; i++) name[i] = (char)others[i % sizeof others];
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_value_is_the_published_one),
        cmocka_unit_test(any_length_and_alignment_agrees_with_the_textbook),
        cmocka_unit_test(a_slot_is_the_textbooks_remainder_at_any_length_and_alignment),
        cmocka_unit_test(each_bit_of_a_name_counts_as_in_the_textbook),
        cmocka_unit_test(tags_decide_the_slot),
        cmocka_unit_test(both_numbers_of_a_name_are_those_that_it_has_alone),
        cmocka_unit_test(an_empty_tag_is_no_tag),
        cmocka_unit_test(a_tag_ends_at_the_first_closing_brace),
        cmocka_unit_test(a_tag_is_found_wherever_it_begins),
    };
    return cmocka_run_group_tests_name("store_crc16", tests, NULL, NULL);
}
