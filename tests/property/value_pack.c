/* SPDX-License-Identifier: MIT
 *
 * Packs of random texts against an array of those texts.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "value/pack.h"

#define COUNT_MAX 40
#define TEXT_MAX 5000

/* Texts, and the pack that was made of them. */
typedef struct world {
    shoal_prng prng;
    uint32_t count;
    size_t sizes[COUNT_MAX];
    char texts[COUNT_MAX][TEXT_MAX];
    char bytes[COUNT_MAX * (TEXT_MAX + SHOAL_PACK_OVERHEAD_MAX)];
    shoal_slice pack;
} world;

static void make_text(world *w, uint32_t i)
{
    char *out = w->texts[i];
    uint64_t bits = shoal_prng_next(&w->prng);
    if (bits % 2 == 0) {
        int64_t number = (int64_t)shoal_prng_next(&w->prng) >> (bits >> 8) % 64;
        w->sizes[i] = (size_t)snprintf(out, TEXT_MAX, "%lld", (long long)number);
        return;
    }
    size_t size = shoal_prng_below(&w->prng, bits % 8 == 1 ? TEXT_MAX : 70);
    memset(out, 'a' + (int)(bits >> 16 & 1), size);
    if (size > 0) out[size - 1] = (char)(bits >> 24);
    w->sizes[i] = size;
}

static shoal_slice text(const world *w, uint32_t i)
{
    return (shoal_slice){w->texts[i], w->sizes[i]};
}

static void make_pack(world *w)
{
    w->count = (uint32_t)shoal_prng_below(&w->prng, COUNT_MAX + 1);
    char *at = w->bytes + SHOAL_PACK_HEAD;
    for (uint32_t i = 0; i < w->count; i++) {
        make_text(w, i);
        shoal_element element = shoal_element_of(text(w, i));
        char *next = shoal_pack_write(at, &element);
        assert_int_equal(next - at, shoal_pack_size_of(&element));
        at = next;
    }
    shoal_pack_write_head(w->bytes, w->count);
    w->pack = (shoal_slice){w->bytes, (size_t)(at - w->bytes)};
}

static bool same(shoal_slice a, shoal_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Where the model finds text `i` from element `from` on, of every (skip + 1)-th. */
static const char *model_find(const world *w, uint32_t from, uint32_t i, uint32_t skip)
{
    for (uint32_t j = from; j < w->count; j += skip + 1) {
        if (same(text(w, j), text(w, i))) return shoal_pack_at(w->pack, j);
    }
    return NULL;
}

static void what_was_packed_is_read_skipped_and_found(void **state)
{
    (void)state;
    static world w;
    w.prng = shoal_prng_make((uint64_t[2]){1, 2}, 0, 0);
    for (uint32_t round = 0; round < 3000; round++) {
        make_pack(&w);
        assert_int_equal(shoal_pack_count(w.pack), w.count);
        assert_true(shoal_pack_check(w.pack));
        const char *at = shoal_pack_first(w.pack), *end = shoal_pack_end(w.pack);
        for (uint32_t i = 0; i < w.count; i++) {
            shoal_element element, probe = shoal_element_of(text(&w, i));
            char scratch[32];
            assert_ptr_equal(shoal_pack_at(w.pack, i), at);
            const char *next = shoal_pack_read(at, end, &element);
            assert_ptr_equal(shoal_pack_skip(at, end), next);
            assert_true(same(shoal_element_text(&element, scratch), text(&w, i)));
            assert_true(shoal_element_equals(&element, &probe));
            uint32_t from = (uint32_t)shoal_prng_below(&w.prng, w.count + 1);
            uint32_t skip = (uint32_t)shoal_prng_below(&w.prng, 3);
            assert_ptr_equal(shoal_pack_find(w.pack, shoal_pack_at(w.pack, from), &probe, skip),
                             model_find(&w, from, i, skip));
            at = next;
        }
        assert_ptr_equal(at, end);
    }
}

static void a_pack_that_is_cut_is_refused(void **state)
{
    (void)state;
    static world w;
    w.prng = shoal_prng_make((uint64_t[2]){3, 4}, 0, 0);
    for (uint32_t round = 0; round < 200; round++) {
        make_pack(&w);
        for (uint32_t i = 0; i < 20 && w.pack.size > 0; i++) {
            shoal_slice cut = {w.pack.data, shoal_prng_below(&w.prng, w.pack.size)};
            assert_false(shoal_pack_check(cut));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_is_read_skipped_and_found),
        cmocka_unit_test(a_pack_that_is_cut_is_refused),
    };
    return cmocka_run_group_tests_name("value_pack_model", tests, NULL, NULL);
}
