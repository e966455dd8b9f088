/* SPDX-License-Identifier: MIT
 *
 * Threads that edit long strings in place while others read them, with the gate and without. Every
 * edit writes all of a string in one letter, or makes it longer with that letter, and puts it as a
 * whole now and then: whoever reads finds one letter only, whatever happens meanwhile. For
 * ThreadSanitizer and AddressSanitizer as well.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "support/store_box.h"
#include "support/test.h"

#define THREADS 3u
#define KEYS 3u
#define ROUNDS 4000u
#define SIZE_MIN (20u << 10)
#define SIZE_MAX_HERE (26u << 10)

typedef struct player {
    store_box *box;
    shoal_thread *thread;
    uint32_t index;
    pthread_t id;
    uint64_t edited, put, read_gated, read_free;
} player;

typedef struct string_op {
    shoal_gate_op gate;
    player *self;
    const shoal_key *key;
    uint32_t what; /* 0 write all, 1 write all and more, 2 put, 3 read, 4 remove */
    char letter;
} string_op;

static shoal_key key_of(const store_box *box, uint32_t number, char name[16])
{
    int size = snprintf(name, 16, "s%u", (unsigned)number);
    return shoal_key_make(box->store, 0, (shoal_slice){name, (size_t)size});
}

static void check_one_letter(shoal_slice bytes)
{
    assert_true(bytes.size >= SIZE_MIN && bytes.size <= SIZE_MAX_HERE);
    for (size_t i = 1; i < bytes.size; i++) assert_true(bytes.data[i] == bytes.data[0]);
}

static void run_string(shoal_op *operation, void *runner)
{
    string_op *op = (string_op *)operation;
    char scratch[SHOAL_INT_TEXT_SIZE], letters[SIZE_MAX_HERE];
    const shoal_item *item = shoal_store_get_locked(runner, op->key);
    size_t size = item == NULL ? SIZE_MIN : shoal_item_string_size(item);
    if (op->what == 1 && size + 100 <= SIZE_MAX_HERE) size += 100;
    memset(letters, op->letter, size);
    const shoal_patch patch = {0, {letters, size}};
    switch (op->what) {
    case 0:
    case 1:
        assert_int_equal(shoal_store_patch_locked(runner, op->key, item, &patch), 0);
        op->self->edited++;
        return;
    case 2:
        assert_int_equal(shoal_store_put_locked(runner, op->key, patch.part, -1), 0);
        op->self->put++;
        return;
    case 3:
        if (item != NULL) check_one_letter(shoal_item_string(item, scratch));
        op->self->read_gated++;
        return;
    default: (void)shoal_store_remove_locked(runner, op->key);
    }
}

/* As a command reads: without the gate where it can. */
static void read_free(player *self, const shoal_key *key)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    const shoal_item *item = shoal_store_get(self->thread, key);
    if (item == NULL || shoal_item_is_object(item)) return;
    check_one_letter(shoal_item_string(item, scratch));
    self->read_free++;
}

static void *play(void *argument)
{
    player *self = argument;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){21, 22}, self->index, 0);
    shoal_time now = self->box->now;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        char name[16];
        now.mono_us += 1000;
        now.wall_us += 1000;
        shoal_thread_enter(self->thread, now);
        shoal_key key = key_of(self->box, (uint32_t)shoal_prng_below(&prng, KEYS), name);
        string_op op = {.self = self, .key = &key, .letter = (char)('a' + round % 26)};
        uint32_t draw = (uint32_t)shoal_prng_below(&prng, 100);
        op.what = draw < 30 ? 0 : draw < 50 ? 1 : draw < 60 ? 2 : draw < 98 ? 3 : 4;
        op.gate = (shoal_gate_op){.op = {.run = run_string}, .places = &key.place, .count = 1};
        (void)shoal_gate_try(self->thread, &op.gate);
        read_free(self, &key);
        (void)shoal_store_maintain(self->thread, 50);
        shoal_thread_leave(self->thread);
    }
    return NULL;
}

static void whoever_reads_an_edited_string_sees_whole_edits(void **state)
{
    (void)state;
    static player players[THREADS];
    store_box box;
    box_open(&box, THREADS);
    shoal_thread_leave(box.thread);
    memset(players, 0, sizeof players);
    for (uint32_t i = 0; i < THREADS; i++) {
        players[i].box = &box;
        players[i].index = i;
        players[i].thread = shoal_store_thread(box.store, i);
        assert_int_equal(pthread_create(&players[i].id, NULL, play, &players[i]), 0);
    }
    player sum = {0};
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(players[i].id, NULL);
        sum.edited += players[i].edited;
        sum.put += players[i].put;
        sum.read_gated += players[i].read_gated;
        sum.read_free += players[i].read_free;
    }
    print_message("# %llu edits, %llu puts, %llu reads with the gate, %llu without\n",
                  (unsigned long long)sum.edited, (unsigned long long)sum.put,
                  (unsigned long long)sum.read_gated, (unsigned long long)sum.read_free);
    assert_true(sum.edited > 0 && sum.put > 0 && sum.read_gated > 0 && sum.read_free > 0);
    shoal_thread_enter(box.thread, box.now);
    box_settle(&box);
    box_check_bytes(&box);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_reads_an_edited_string_sees_whole_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
