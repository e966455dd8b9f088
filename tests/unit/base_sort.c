/* SPDX-License-Identifier: MIT
 *
 * Sorting: the result is ordered and a permutation, for friendly and hostile inputs, within the
 * promised number of comparisons.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/sort.h"

static int by_value(const void *a, const void *b, void *context)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    (*(uint64_t *)context)++;
    return (x > y) - (x < y);
}

static int by_value_for_qsort(const void *a, const void *b)
{
    uint64_t count = 0;
    return by_value(a, b, &count);
}

/* Sorts a copy with both and compares; checks the bound on comparisons. */
static void check(uint64_t *values, size_t count)
{
    uint64_t *expected = malloc((count + 1) * sizeof(*expected));
    memcpy(expected, values, count * sizeof(*values));
    qsort(expected, count, sizeof(*expected), by_value_for_qsort);
    uint64_t comparisons = 0;
    shoal_sort((shoal_sort_array){values, count, sizeof(*values)}, by_value, &comparisons);
    assert_memory_equal(values, expected, count * sizeof(*values));
    uint64_t log = 1;
    while ((size_t)1 << log < count) log++;
    assert_true(comparisons <= 6 * count * log + 64);
    free(expected);
}

static void random_arrays_of_every_small_size_get_sorted(void **state)
{
    (void)state;
    uint64_t values[300];
    shoal_prng prng = shoal_prng_make((uint64_t[2]){3, 4}, 0, 0);
    for (size_t count = 0; count <= 300; count++) {
        for (uint64_t range = 1; range < 1000000; range *= 10) {
            for (size_t i = 0; i < count; i++) values[i] = shoal_prng_below(&prng, range);
            check(values, count);
        }
    }
}

static void ordered_reversed_and_sawtooth_arrays_get_sorted_in_time(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static const int patterns = 6;
    uint64_t *values = malloc(COUNT * sizeof(*values));
    for (int pattern = 0; pattern < patterns; pattern++) {
        for (uint64_t i = 0; i < COUNT; i++) {
            const uint64_t choices[] = {i,     COUNT - i,       i % 7,
                                        i ^ 1, i * (COUNT - i), i < COUNT / 2 ? i : COUNT - i};
            values[i] = choices[pattern];
        }
        check(values, COUNT);
    }
    free(values);
}

/* McIlroy's adversary: decides the order while it is asked, so as to make quicksort quadratic. */
typedef struct adversary {
    uint64_t value[4096];
    uint64_t gas, solid, candidate, comparisons;
} adversary;

static int adversarial(const void *a, const void *b, void *context)
{
    adversary *foe = context;
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    foe->comparisons++;
    if (foe->value[x] == foe->gas && foe->value[y] == foe->gas) {
        foe->value[x == foe->candidate ? x : y] = foe->solid++;
    }
    if (foe->value[x] == foe->gas) {
        foe->candidate = x;
    } else if (foe->value[y] == foe->gas) {
        foe->candidate = y;
    }
    return (foe->value[x] > foe->value[y]) - (foe->value[x] < foe->value[y]);
}

static void an_adversary_cannot_make_it_quadratic(void **state)
{
    (void)state;
    enum { COUNT = 4096 };
    adversary *foe = calloc(1, sizeof(*foe));
    uint64_t *values = malloc(COUNT * sizeof(*values));
    foe->gas = COUNT;
    for (uint64_t i = 0; i < COUNT; i++) {
        values[i] = i;
        foe->value[i] = foe->gas;
    }
    shoal_sort((shoal_sort_array){values, COUNT, sizeof(*values)}, adversarial, foe);
    assert_in_range(foe->comparisons, COUNT, 8 * COUNT * 12);
    for (size_t i = 1; i < COUNT; i++) {
        assert_true(foe->value[values[i - 1]] <= foe->value[values[i]]);
    }
    free(values);
    free(foe);
}

static int by_first_byte(const void *a, const void *b, void *context)
{
    (void)context;
    return *(const unsigned char *)a - *(const unsigned char *)b;
}

static void elements_of_odd_sizes_move_as_a_whole(void **state)
{
    (void)state;
    enum { SIZE = 37, COUNT = 256 };
    unsigned char *bytes = malloc(SIZE * COUNT);
    for (size_t i = 0; i < COUNT; i++) memset(bytes + i * SIZE, (int)(i * 89 % 256), SIZE);
    shoal_sort((shoal_sort_array){bytes, COUNT, SIZE}, by_first_byte, NULL);
    for (size_t i = 0; i < SIZE * COUNT; i++) assert_int_equal(bytes[i], i / SIZE);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_arrays_of_every_small_size_get_sorted),
        cmocka_unit_test(ordered_reversed_and_sawtooth_arrays_get_sorted_in_time),
        cmocka_unit_test(an_adversary_cannot_make_it_quadratic),
        cmocka_unit_test(elements_of_odd_sizes_move_as_a_whole),
    };
    return cmocka_run_group_tests_name("base_sort", tests, NULL, NULL);
}
