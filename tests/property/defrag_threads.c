/* SPDX-License-Identifier: MIT
 *
 * Threads that write and read while the hand of store/defrag.c moves everything that it may. Each
 * thread writes keys of its own and remembers what they hold; each reads all keys, and what it
 * finds under a key was written there. For ThreadSanitizer and AddressSanitizer as well.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "support/store_box.h"
#include "support/test.h"

#define THREADS 3u
#define KEYS 12000u
#define ROUNDS 3000u
#define BATCH 24u
#define VALUE_MAX 200u

typedef struct player {
    store_box *box;
    shoal_thread *thread;
    uint32_t index;
    pthread_t id;
    uint32_t held[KEYS]; /* 1 + length of the value of own keys, 0: none */
    uint64_t found;
} player;

static shoal_key key_of(const store_box *box, uint32_t number, char name[32])
{
    int size = snprintf(name, 32, "key:%u", (unsigned)number);
    return shoal_key_make(box->store, 0, (shoal_slice){name, (size_t)size});
}

/* A value tells its key in every byte. */
static char byte_of(uint32_t key)
{
    return (char)('A' + key % 50);
}

typedef struct write_op {
    shoal_gate_op gate;
    const shoal_key *key;
    shoal_slice value; /* data NULL: remove */
    bool done;
} write_op;

static void run_write(shoal_op *op, void *thread)
{
    write_op *write = (write_op *)op;
    if (write->value.data == NULL) {
        (void)shoal_store_remove_locked(thread, write->key);
    } else {
        assert_int_equal(shoal_store_put_locked(thread, write->key, write->value, -1), 0);
    }
}

/* Writes an own key, unless its gate is held just now. */
static void write_key(player *self, shoal_prng *prng)
{
    char name[32], value[VALUE_MAX];
    uint32_t number = (uint32_t)shoal_prng_below(prng, KEYS / THREADS) * THREADS + self->index;
    shoal_key key = key_of(self->box, number, name);
    write_op write = {.key = &key};
    /* Waves of growth and of thinning out. */
    bool remove = shoal_prng_below(prng, 10) < (self->found / 8000 % 2 == 0 ? 2 : 9);
    uint32_t length = 1 + 60 * (uint32_t)shoal_prng_below(prng, 3);
    memset(value, byte_of(number), length);
    if (!remove) write.value = (shoal_slice){value, length};
    write.gate = (shoal_gate_op){.op = {.run = run_write}, .places = &key.place, .count = 1};
    if (shoal_gate_try(self->thread, &write.gate)) self->held[number] = remove ? 0 : 1 + length;
}

static void read_key(player *self, uint32_t number, bool own)
{
    char name[32], scratch[SHOAL_INT_TEXT_SIZE];
    shoal_key key = key_of(self->box, number, name);
    const shoal_item *item = shoal_store_get(self->thread, &key);
    if (own) assert_int_equal(item != NULL, self->held[number] != 0);
    if (item == NULL) return;
    shoal_slice value = shoal_item_string(item, scratch);
    if (own) assert_int_equal(value.size, self->held[number] - 1);
    for (size_t i = 0; i < value.size; i++) assert_true(value.data[i] == byte_of(number));
    self->found++;
}

static void *play(void *argument)
{
    player *self = argument;
    shoal_prng prng = shoal_prng_make((uint64_t[2]){5, 6}, self->index, 0);
    shoal_time now = self->box->now;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        now.mono_us += 1000;
        now.wall_us += 1000;
        shoal_thread_enter(self->thread, now);
        for (uint32_t i = 0; i < BATCH; i++) {
            write_key(self, &prng);
            uint32_t number = (uint32_t)shoal_prng_below(&prng, KEYS);
            read_key(self, number, number % THREADS == self->index);
        }
        (void)shoal_store_maintain(self->thread, 50);
        shoal_thread_leave(self->thread);
    }
    return NULL;
}

static void what_moves_is_read_and_written_as_if_it_stood_still(void **state)
{
    (void)state;
    static player players[THREADS];
    store_box box;
    box_open(&box, THREADS);
    shoal_thread_leave(box.thread);
    shoal_defrag_settings settings = shoal_defrag_settings_default();
    settings.on = true;
    settings.ignore_bytes = 0;
    settings.lower_percent = 0;
    settings.upper_percent = 1;
    settings.cycle_max_percent = 100;
    shoal_store_set_defrag(box.store, &settings);
    memset(players, 0, sizeof players);
    for (uint32_t i = 0; i < THREADS; i++) {
        players[i].box = &box;
        players[i].index = i;
        players[i].thread = shoal_store_thread(box.store, i);
        assert_int_equal(pthread_create(&players[i].id, NULL, play, &players[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(players[i].id, NULL);
    shoal_thread_enter(box.thread, box.now);
    for (uint32_t i = 0; i < KEYS; i++) {
        players[i % THREADS].thread = box.thread;
        read_key(&players[i % THREADS], i, true);
    }
    shoal_store_stats stats;
    shoal_store_stats_get(box.store, &stats);
    print_message("# %llu keys, %llu moves\n", (unsigned long long)stats.keys,
                  (unsigned long long)stats.defrag_hits);
    assert_true(stats.defrag_hits > 0);
    box_check_bytes(&box);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_moves_is_read_and_written_as_if_it_stood_still),
    };
    return cmocka_run_group_tests_name("defrag_threads", tests, NULL, NULL);
}
