/* SPDX-License-Identifier: MIT
 *
 * How full the tables of slots are (store/grow.c): few keys stand behind their first bucket, since
 * each of them is one more wait of a batch that has it, and tables do not take many bytes for it;
 * and a leaf that has just grown or shrunk is not rebuilt by the next change of the other kind.
 */
#include <stdio.h>

#include "store/internal.h"
#include "support/store_box.h"
#include "support/test.h"

#define SLOTS 24u
/* Keys of a slot: from a few buckets to almost a leaf's most. */
#define KEYS_FIRST 40u
#define KEYS_LAST 1100u
#define NAME_SIZE 24u

static store_box box;

static int open_box(void **state)
{
    (void)state;
    box_open(&box, 1);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    box_close(&box);
    return 0;
}

static shoal_key key_of(uint32_t slot, uint32_t number, char name[NAME_SIZE])
{
    int size = snprintf(name, NAME_SIZE, "{%u}:%u", slot, number);
    return shoal_key_make(box.store, 0, (shoal_slice){name, (size_t)size});
}

static void add(uint32_t slot, uint32_t number)
{
    char name[NAME_SIZE];
    shoal_key key = key_of(slot, number, name);
    assert_int_equal(box_put(box.thread, &key, (shoal_slice){"v", 1}, -1), 0);
}

static void take_away(uint32_t slot, uint32_t number)
{
    char name[NAME_SIZE];
    shoal_key key = key_of(slot, number, name);
    assert_true(box_remove(box.thread, &key));
}

/* The word of a slot's leaf. */
static uint64_t word_of(uint32_t slot)
{
    char name[NAME_SIZE];
    shoal_key key = key_of(slot, 0, name);
    uint64_t word = shoal_load_relaxed(shoal_store__word(box.store, key.place));
    assert_int_equal(word & (WORD_FLAGS | WORD_DIRECTORY), 0);
    return word;
}

/* What was seen of leaves. */
typedef struct sums {
    uint64_t keys, behind; /* those not in their first buckets */
    uint64_t buckets;      /* chained ones as well */
} sums;

static void look_at_leaf(uint64_t word, sums *seen)
{
    const shoal_bucket *leaf = shoal_word__pointer(word);
    for (uint32_t i = 0; i < shoal_word__buckets(word); i++) {
        for (const shoal_bucket *bucket = &leaf[i]; bucket != NULL;) {
            uint64_t entry = 0;
            for (uint32_t e = 0; e < BUCKET_ENTRIES; e++) {
                entry = shoal_load_relaxed(&bucket->entries[e]);
                if (!shoal_entry__is_item(entry)) continue;
                seen->keys++;
                seen->behind += bucket != &leaf[i];
            }
            seen->buckets++;
            bucket = shoal_entry__is_chain(entry) ? shoal_entry__pointer(entry) : NULL;
        }
    }
}

static void few_keys_stand_behind_their_first_bucket(void **state)
{
    (void)state;
    sums seen = {0};
    for (uint32_t number = 0; number < KEYS_LAST; number++) {
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            add(slot, number);
            if (number >= KEYS_FIRST && (number + slot) % 16 == 0)
                look_at_leaf(word_of(slot), &seen);
        }
        box_turn(&box, 1);
    }
    double behind = 100.0 * (double)seen.behind / (double)seen.keys;
    double bytes = (double)(seen.buckets * sizeof(shoal_bucket)) / (double)seen.keys;
    print_message("behind the first bucket: %.1f of 100 keys; %.1f bytes a key\n", behind, bytes);
    assert_true(behind < 8.5);
    assert_true(bytes < 15.0);
}

/* Sets or removes a key more, and back, and again: no rebuilding after the first. */
static void change_to_and_fro(uint32_t slot, uint32_t number, bool adds)
{
    if (adds) {
        add(slot, number);
    } else {
        take_away(slot, number);
    }
    uint64_t word = word_of(slot);
    for (uint32_t i = 0; i < 2; i++) {
        if ((i == 0) == adds) {
            take_away(slot, number);
        } else {
            add(slot, number);
        }
        assert_true(word_of(slot) == word);
    }
}

static void one_change_to_and_fro_rebuilds_nothing(void **state)
{
    (void)state;
    const uint32_t slots = 6, most = 700;
    for (uint32_t slot = 0; slot < slots; slot++) {
        add(slot, 0);
        for (uint32_t number = 1; number < most; number++) {
            change_to_and_fro(slot, number, true);
            box_turn(&box, 1);
        }
        for (uint32_t number = most - 1; number > 0; number--) {
            change_to_and_fro(slot, number, false);
            box_turn(&box, 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(few_keys_stand_behind_their_first_bucket, open_box,
                                        close_box),
        cmocka_unit_test_setup_teardown(one_change_to_and_fro_rebuilds_nothing, open_box,
                                        close_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
