/* SPDX-License-Identifier: MIT
 *
 * See store_box.h.
 */
#include "support/store_box.h"

#include <string.h>

#include "support/test.h"

void box_open(store_box *box, uint32_t threads)
{
    *box = (store_box){.now = {.mono_us = 1000000, .wall_us = BOX_START_MS * 1000}};
    shoal_store_options options = {
        .allocator = test_allocator(&box->heap),
        .threads = threads,
        .databases = 2,
        .seed = 42,
        .owned = true,
        .edits = true,
    };
    assert_int_equal(shoal_store_create(&options, &box->store), 0);
    box->bytes_fixed = box->heap.bytes;
    box->thread = shoal_store_thread(box->store, 0);
    shoal_thread_enter(box->thread, box->now);
}

void box_close(store_box *box)
{
    shoal_thread_leave(box->thread);
    shoal_store_destroy(box->store);
    assert_int_equal(box->heap.bytes, 0);
    assert_int_equal(box->heap.blocks, 0);
}

void box_turn(store_box *box, int64_t milliseconds)
{
    shoal_thread_leave(box->thread);
    box->now.mono_us += milliseconds * 1000;
    box->now.wall_us += milliseconds * 1000;
    shoal_thread_enter(box->thread, box->now);
}

void box_settle(store_box *box)
{
    for (;;) {
        int64_t wait_us = shoal_store_maintain(box->thread, 1000);
        box_turn(box, 1);
        if (wait_us > 1000000) return;
    }
}

void box_check_bytes(store_box *box)
{
    shoal_store_stats stats;
    shoal_store_stats_get(box->store, &stats);
    uint64_t given = stats.bytes + stats.bytes_queues + stats.bytes_slabs_free;
    assert_int_equal(box->heap.bytes - box->bytes_fixed, given);
    assert_true(stats.bytes >= stats.bytes_limbo);
    assert_true(stats.bytes >= stats.bytes_tables);
}

int64_t box_ms(const store_box *box)
{
    return box->now.wall_us / 1000;
}

shoal_slice text_slice(const char *text)
{
    return (shoal_slice){text, strlen(text)};
}

/* One operation on one place, and what came of it. */
typedef struct box_op {
    shoal_gate_op gate;
    const shoal_key *key;
    shoal_slice value;
    int64_t expires_ms;
    shoal_err error;
    uint64_t count;
} box_op;

static void run(shoal_thread *thread, uint32_t place, void (*what)(shoal_op *, void *), box_op *op)
{
    op->gate = (shoal_gate_op){.op = {.run = what}, .places = &place, .count = 1};
    assert_true(shoal_gate_try(thread, &op->gate));
}

static void run_put(shoal_op *op, void *thread)
{
    box_op *put = (box_op *)op;
    put->error = shoal_store_put_locked(thread, put->key, put->value, put->expires_ms);
}

static void run_remove(shoal_op *op, void *thread)
{
    box_op *removal = (box_op *)op;
    removal->count = shoal_store_remove_locked(thread, removal->key);
}

static void run_expire(shoal_op *op, void *thread)
{
    box_op *expire = (box_op *)op;
    expire->error = shoal_store_expire_locked(thread, expire->key, expire->expires_ms);
}

static void run_get(shoal_op *op, void *thread)
{
    box_op *get = (box_op *)op;
    get->count = shoal_store_get_locked(thread, get->key) != NULL;
}

static void run_clear(shoal_op *op, void *thread)
{
    box_op *clear = (box_op *)op;
    clear->count = shoal_store_clear_locked(thread, (uint32_t)clear->count);
}

shoal_err box_put(shoal_thread *thread, const shoal_key *key, shoal_slice value, int64_t expires_ms)
{
    box_op op = {.key = key, .value = value, .expires_ms = expires_ms};
    run(thread, key->place, run_put, &op);
    return op.error;
}

bool box_remove(shoal_thread *thread, const shoal_key *key)
{
    box_op op = {.key = key};
    run(thread, key->place, run_remove, &op);
    return op.count == 1;
}

shoal_err box_expire(shoal_thread *thread, const shoal_key *key, int64_t expires_ms)
{
    box_op op = {.key = key, .expires_ms = expires_ms};
    run(thread, key->place, run_expire, &op);
    return op.error;
}

uint64_t box_clear(shoal_thread *thread, uint32_t place)
{
    box_op op = {.count = place};
    run(thread, place, run_clear, &op);
    return op.count;
}

bool box_has_locked(shoal_thread *thread, const shoal_key *key)
{
    box_op op = {.key = key};
    run(thread, key->place, run_get, &op);
    return op.count == 1;
}

void box_set(store_box *box, const char *name, const char *value)
{
    shoal_key key = shoal_key_make(box->store, 0, text_slice(name));
    assert_int_equal(box_put(box->thread, &key, text_slice(value), -1), 0);
}

const shoal_item *box_get(store_box *box, const char *name)
{
    shoal_key key = shoal_key_make(box->store, 0, text_slice(name));
    return shoal_store_get(box->thread, &key);
}

bool box_holds(store_box *box, const char *name, const char *value)
{
    char scratch[SHOAL_INT_TEXT_SIZE];
    const shoal_item *item = box_get(box, name);
    if (item == NULL) return false;
    shoal_slice held = shoal_item_string(item, scratch);
    return held.size == strlen(value) && memcmp(held.data, value, held.size) == 0;
}
