/* SPDX-License-Identifier: MIT
 *
 * store/cache_write.c - the writes of shoal/cache.h: each is an operation under the gate of its
 * key, which is tried and not waited for; a put can also be handed over. It uses nothing of the
 * store but its headers.
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "store/cache_face.h"
#include "store/journal.h"

/* One write on its way through the gate of its key. */
typedef struct cache_write {
    shoal_gate_op gate; /* first */
    shoal_key key;
    shoal_slice value;
    const shoal_cache_put_options *options; /* of a put */
    shoal_cache_value *found;               /* of a take */
    int64_t number;                         /* increment: the delta, then the sum */
    size_t size;                            /* append: the new size */
    const shoal_journal *journal;           /* who writes it down, or NULL */
    shoal_err error;
} cache_write;

/* Has a write that has been made written down. */
static void tell(const shoal_journal *journal, shoal_thread *thread, const shoal_told *told)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(told->kind <= SHOAL_TOLD_LOST);
    if (__builtin_expect(journal != NULL, 0)) journal->told(journal, thread, told);
}

/* Tells of a put. */
static void tell_put(const cache_write *write, shoal_thread *thread, int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(write->key.name.data != NULL || write->key.name.size == 0);
    SHOAL_DEBUG_ASSERT(write->value.data != NULL || write->value.size == 0);
    const shoal_told told = {SHOAL_TOLD_PUT, write->key.name, write->value, expires_ms, 0};
    if (write->error == SHOAL_ERR_OK) tell(write->journal, thread, &told);
}

/* 0, or why nothing may be written now. */
static shoal_err refusal(const shoal_journal *journal)
{
    if (__builtin_expect(journal == NULL, 1)) return SHOAL_ERR_OK;
    shoal_err why = journal->refuses(journal);
    SHOAL_DEBUG_ASSERT(why <= 0);
    SHOAL_DEBUG_ASSERT(why != SHOAL_ERR_BUSY);
    return why;
}

/* Runs `what` under the gate of the write's key, if that is free. */
static shoal_err run_made(shoal_cache_thread *thread, cache_write *write,
                          void (*what)(shoal_op *op, void *runner))
{
    SHOAL_DEBUG_ASSERT(what != NULL);
    SHOAL_DEBUG_ASSERT(write->key.name.size <= SHOAL_KEY_SIZE_MAX);
    write->journal = shoal_thread_journal(thread);
    shoal_err refused = refusal(write->journal);
    if (refused != SHOAL_ERR_OK) return refused;
    write->gate = (shoal_gate_op){.op = {.run = what}, .places = &write->key.place, .count = 1};
    if (!shoal_gate_try(thread, &write->gate)) return SHOAL_ERR_BUSY;
    return write->error;
}

/* The same where the key is not made ready yet. */
static shoal_err run_write(shoal_cache_thread *thread, shoal_slice key, cache_write *write,
                           void (*what)(shoal_op *op, void *runner))
{
    SHOAL_DEBUG_ASSERT(what != NULL);
    SHOAL_DEBUG_ASSERT(key.data != NULL || key.size == 0);
    if (key.size > SHOAL_KEY_SIZE_MAX) return SHOAL_ERR_TOO_LARGE;
    write->key = shoal_cache__key(thread, key);
    return run_made(thread, write, what);
}

/* A key that is too large is nowhere. */
static shoal_err or_not_found(shoal_err error)
{
    SHOAL_DEBUG_ASSERT(error <= 0);
    return error == SHOAL_ERR_TOO_LARGE ? SHOAL_ERR_NOT_FOUND : error;
}

/* ---- put ---- */

/* 0 when the condition of a put holds, else what it says. */
static shoal_err check_condition(const shoal_cache_put_options *options, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(options->when <= SHOAL_CACHE_IF_EQUAL);
    SHOAL_DEBUG_ASSERT(options->expected.data != NULL || options->expected.size == 0);
    char scratch[SHOAL_INT_TEXT_SIZE];
    switch (options->when) {
    case SHOAL_CACHE_ALWAYS: return SHOAL_ERR_OK;
    case SHOAL_CACHE_IF_ABSENT: return item == NULL ? SHOAL_ERR_OK : SHOAL_ERR_EXISTS;
    case SHOAL_CACHE_IF_PRESENT: return item == NULL ? SHOAL_ERR_NOT_FOUND : SHOAL_ERR_OK;
    case SHOAL_CACHE_IF_EQUAL: break;
    }
    if (item == NULL) return SHOAL_ERR_NOT_FOUND;
    if (shoal_item_type(item) != SHOAL_TYPE_STRING) return SHOAL_ERR_EXISTS;
    shoal_slice held = shoal_item_string(item, scratch);
    bool same = held.size == options->expected.size &&
                (held.size == 0 || memcmp(held.data, options->expected.data, held.size) == 0);
    return same ? SHOAL_ERR_OK : SHOAL_ERR_EXISTS;
}

static void run_put(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_put);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    const shoal_cache_put_options *options = write->options;
    int64_t expires_ms = options->expires_ms;
    if (options->when != SHOAL_CACHE_ALWAYS || options->keep_expiry) {
        const shoal_item *item = shoal_store_get_locked(runner, &write->key);
        write->error = check_condition(options, item);
        if (write->error != SHOAL_ERR_OK) return;
        if (options->keep_expiry)
            expires_ms = item == NULL ? SHOAL_CACHE_FOREVER : shoal_item_expires_ms(item);
    }
    write->error = shoal_store_put_locked(runner, &write->key, write->value, expires_ms);
    tell_put(write, runner, expires_ms);
}

shoal_err shoal_cache_put_with(shoal_cache_thread *thread, shoal_slice key, shoal_slice value,
                               const shoal_cache_put_options *options)
{
    SHOAL_ASSERT(options != NULL);
    SHOAL_DEBUG_ASSERT(value.data != NULL || value.size == 0);
    if (value.size > SHOAL_VALUE_SIZE_MAX) return SHOAL_ERR_TOO_LARGE;
    cache_write write = {.value = value, .options = options};
    return run_write(thread, key, &write, run_put);
}

shoal_err shoal_cache_put(shoal_cache_thread *thread, shoal_slice key, shoal_slice value,
                          int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(value.data != NULL || value.size == 0);
    const shoal_cache_put_options options = {.expires_ms = expires_ms};
    return shoal_cache_put_with(thread, key, value, &options);
}

/* One of the puts of a batch. */
static shoal_err put_made(shoal_cache_thread *thread, const shoal_cache_entry *entry,
                          const shoal_key *made)
{
    SHOAL_DEBUG_ASSERT(made->name.data == entry->key.data);
    SHOAL_DEBUG_ASSERT(entry->value.data != NULL || entry->value.size == 0);
    if (entry->value.size > SHOAL_VALUE_SIZE_MAX) return SHOAL_ERR_TOO_LARGE;
    if (entry->key.size > SHOAL_KEY_SIZE_MAX) return SHOAL_ERR_TOO_LARGE;
    const shoal_cache_put_options options = {.expires_ms = entry->expires_ms};
    cache_write write = {.key = *made, .value = entry->value, .options = &options};
    return run_made(thread, &write, run_put);
}

/* At most CACHE_BATCH_KEYS puts: all buckets and gates, then all items, then the puts. */
static size_t put_batch(shoal_cache_thread *thread, shoal_cache_entry *entries, uint32_t count)
{
    shoal_key made[CACHE_BATCH_KEYS];
    size_t put = 0;
    SHOAL_ASSERT(count <= CACHE_BATCH_KEYS);
    SHOAL_DEBUG_ASSERT(entries != NULL);
    for (uint32_t i = 0; i < count; i++) made[i].name = entries[i].key;
    shoal_store_look_ahead(shoal_thread_store(thread), 0, made, count);
    for (uint32_t i = 0; i < count; i++) {
        entries[i].error = put_made(thread, &entries[i], &made[i]);
        put += entries[i].error == SHOAL_ERR_OK;
    }
    return put;
}

size_t shoal_cache_put_many(shoal_cache_thread *thread, shoal_cache_entry *entries, size_t count)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(entries != NULL || count == 0);
    size_t put = 0;
    for (size_t done = 0; done < count;) {
        size_t batch = count - done < CACHE_BATCH_KEYS ? count - done : CACHE_BATCH_KEYS;
        put += put_batch(thread, entries + done, (uint32_t)batch);
        done += batch;
    }
    return put;
}

/* ---- handing over ---- */

/* A put that outlives the call. The key and the value follow it. */
typedef struct late_put {
    shoal_gate_op gate; /* first */
    shoal_key key;
    shoal_slice value;
    int64_t expires_ms;
    shoal_cache_done done;
    void *context;
    size_t memory; /* bytes of this allocation */
    char bytes[];
} late_put;

static void run_late(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_late);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    late_put *late = (late_put *)op;
    shoal_cache_done done = late->done;
    void *context = late->context;
    shoal_err error = shoal_store_put_locked(runner, &late->key, late->value, late->expires_ms);
    const shoal_told told = {SHOAL_TOLD_PUT, late->key.name, late->value, late->expires_ms, 0};
    if (error == SHOAL_ERR_OK) tell(shoal_thread_journal(runner), runner, &told);
    shoal_memory_give(shoal_thread_allocator(runner), late, late->memory, SHOAL_ALIGN_PLAIN);
    if (done != NULL) done(context, error);
}

shoal_err shoal_cache_put_later(shoal_cache_thread *thread, const shoal_cache_entry *entry,
                                shoal_cache_done done, void *context)
{
    SHOAL_DEBUG_ASSERT(entry->key.data != NULL || entry->key.size == 0);
    SHOAL_DEBUG_ASSERT(entry->value.data != NULL || entry->value.size == 0);
    shoal_slice key = entry->key, value = entry->value;
    if (key.size > SHOAL_KEY_SIZE_MAX || value.size > SHOAL_VALUE_SIZE_MAX)
        return SHOAL_ERR_TOO_LARGE;
    shoal_err refused = refusal(shoal_thread_journal(thread));
    if (refused != SHOAL_ERR_OK) return refused;
    size_t memory = sizeof(late_put) + key.size + value.size;
    late_put *late = shoal_memory_take(shoal_thread_allocator(thread), memory, SHOAL_ALIGN_PLAIN);
    if (late == NULL) return SHOAL_ERR_NO_MEMORY;
    if (key.size > 0) memcpy(late->bytes, key.data, key.size);
    if (value.size > 0) memcpy(late->bytes + key.size, value.data, value.size);
    *late = (late_put){
        .key = shoal_cache__key(thread, (shoal_slice){late->bytes, key.size}),
        .value = {late->bytes + key.size, value.size},
        .expires_ms = entry->expires_ms,
        .done = done,
        .context = context,
        .memory = memory,
    };
    late->gate = (shoal_gate_op){.op = {.run = run_late}, .places = &late->key.place, .count = 1};
    (void)shoal_gate_push(thread, &late->gate);
    return SHOAL_ERR_OK;
}

/* ---- remove ---- */

/* Removes the live item of the key, if there is one. */
static shoal_err remove_live(shoal_thread *thread, const shoal_key *key)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(key->name.data != NULL || key->name.size == 0);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) == 0);
    if (shoal_store_remove_locked(thread, key)) {
        const shoal_told told = {.kind = SHOAL_TOLD_REMOVE, .key = key->name};
        tell(shoal_thread_journal(thread), thread, &told);
        return SHOAL_ERR_OK;
    }
    /* Still there: what goes could not even be noted for being freed later. */
    return shoal_store_get(thread, key) != NULL ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_NOT_FOUND;
}

static void run_remove(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_remove);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    write->error = remove_live(runner, &write->key);
}

shoal_err shoal_cache_remove(shoal_cache_thread *thread, shoal_slice key)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(key.data != NULL || key.size == 0);
    cache_write write = {.error = SHOAL_ERR_OK};
    return or_not_found(run_write(thread, key, &write, run_remove));
}

static void run_take(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_take);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    const shoal_item *item = shoal_store_get(runner, &write->key);
    write->error = shoal_cache__check_string(item);
    if (write->error == SHOAL_ERR_OK) write->error = remove_live(runner, &write->key);
    /* Retired, and readable until the leave. */
    if (write->error == SHOAL_ERR_OK) shoal_cache__describe(item, write->found);
}

shoal_err shoal_cache_take(shoal_cache_thread *thread, shoal_slice key, shoal_cache_value *out)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(out != NULL);
    shoal_cache__describe(NULL, out);
    cache_write write = {.found = out};
    return or_not_found(run_write(thread, key, &write, run_take));
}

/* What one operation under the gate of a place leaves. */
typedef struct clearing {
    shoal_gate_op gate; /* first */
    uint32_t place;
    shoal_err error;
} clearing;

static void run_clear(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_clear);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    clearing *now = (clearing *)op;
    if (shoal_store_clear_locked(runner, now->place) > 0) return;
    bool left = shoal_store_count_slot(shoal_thread_store(runner), now->place) > 0;
    if (left) now->error = SHOAL_ERR_NO_MEMORY;
}

/* Empties all places, whose gates are held. */
static void run_clear_all(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_clear_all);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    clearing *now = (clearing *)op;
    const shoal_store *store = shoal_thread_store(runner);
    for (uint32_t i = 0; i < SHOAL_SLOTS; i++) {
        uint32_t place = SHOAL_PLACE(0, i);
        if (shoal_store_count_slot(store, place) == 0) continue;
        if (shoal_store_clear_locked(runner, place) > 0) continue;
        if (shoal_store_count_slot(store, place) > 0) now->error = SHOAL_ERR_NO_MEMORY;
    }
    bool whole = now->error == SHOAL_ERR_OK;
    const shoal_told told = {.kind = whole ? SHOAL_TOLD_CLEAR : SHOAL_TOLD_LOST};
    tell(shoal_thread_journal(runner), runner, &told);
}

/* Where it is written down it is one moment: what stands before it in the journal is gone, and what
 * stands behind it is not. */
static shoal_err clear_at_once(shoal_cache_thread *thread)
{
    const shoal_allocator *allocator = shoal_thread_allocator(thread);
    const size_t size = SHOAL_SLOTS * sizeof(uint32_t);
    shoal_err refused = refusal(shoal_thread_journal(thread));
    SHOAL_DEBUG_ASSERT(allocator != NULL);
    if (refused != SHOAL_ERR_OK) return refused;
    uint32_t *places = shoal_memory_take(allocator, size, SHOAL_ALIGN_PLAIN);
    if (places == NULL) return SHOAL_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < SHOAL_SLOTS; i++) places[i] = SHOAL_PLACE(0, i);
    clearing now = {.gate = {.op = {.run = run_clear_all},
                             .places = places,
                             .count = SHOAL_SLOTS,
                             .multi = true}};
    if (!shoal_gate_try(thread, &now.gate)) now.error = SHOAL_ERR_BUSY;
    SHOAL_DEBUG_ASSERT(now.error <= 0);
    shoal_memory_give(allocator, places, size, SHOAL_ALIGN_PLAIN);
    return now.error;
}

shoal_err shoal_cache_clear(shoal_cache_thread *thread)
{
    const shoal_store *store = shoal_thread_store(thread);
    SHOAL_DEBUG_ASSERT(store != NULL);
    if (shoal_thread_journal(thread) != NULL) return clear_at_once(thread);
    shoal_err error = SHOAL_ERR_OK;
    for (uint32_t slot = 0; slot < SHOAL_SLOTS; slot++) {
        clearing now = {.place = SHOAL_PLACE(0, slot)};
        SHOAL_DEBUG_ASSERT(now.error == SHOAL_ERR_OK);
        if (shoal_store_count_slot(store, now.place) == 0) continue;
        now.gate = (shoal_gate_op){.op = {.run = run_clear}, .places = &now.place, .count = 1};
        if (!shoal_gate_try(thread, &now.gate)) now.error = SHOAL_ERR_BUSY;
        if (now.error != SHOAL_ERR_OK) error = now.error;
    }
    return error;
}

/* ---- expire ---- */

static void run_expire(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_expire);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    write->error = shoal_store_expire_locked(runner, &write->key, write->number);
    const shoal_told told = {.kind = SHOAL_TOLD_EXPIRE,
                             .key = write->key.name,
                             .expires_ms = write->number};
    if (write->error == SHOAL_ERR_OK) tell(write->journal, runner, &told);
}

shoal_err shoal_cache_expire(shoal_cache_thread *thread, shoal_slice key, int64_t expires_ms)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(key.data != NULL || key.size == 0);
    cache_write write = {.number = expires_ms};
    return or_not_found(run_write(thread, key, &write, run_expire));
}

shoal_err shoal_cache_persist(shoal_cache_thread *thread, shoal_slice key)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(key.data != NULL || key.size == 0);
    return shoal_cache_expire(thread, key, SHOAL_CACHE_FOREVER);
}

/* ---- increment and append ---- */

/* The item that is to be edited: false when it is no string. */
static bool find_edited(cache_write *write, shoal_thread *thread, const shoal_item **item)
{
    *item = shoal_store_get_locked(thread, &write->key);
    SHOAL_DEBUG_ASSERT(write->error == SHOAL_ERR_OK);
    if (*item != NULL) write->error = shoal_cache__check_string(*item);
    SHOAL_DEBUG_ASSERT(write->error != SHOAL_ERR_NOT_FOUND);
    return write->error == SHOAL_ERR_OK;
}

static void run_increment(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_increment);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    int64_t before = 0;
    const shoal_item *item;
    if (!find_edited(write, runner, &item)) return;
    /* What reads as an integer is kept as one: the store sees to that. */
    if (item != NULL && !shoal_item_integer(item, &before)) {
        write->error = SHOAL_ERR_NOT_INTEGER;
        return;
    }
    int64_t delta = write->number;
    if (__builtin_add_overflow(before, delta, &write->number)) {
        write->error = SHOAL_ERR_OVERFLOW;
        return;
    }
    int64_t expires_ms = item == NULL ? SHOAL_CACHE_FOREVER : shoal_item_expires_ms(item);
    write->error = shoal_store_put_integer_locked(runner, &write->key, write->number, expires_ms);
    const shoal_told told = {.kind = SHOAL_TOLD_INCREMENT, .key = write->key.name, .delta = delta};
    if (write->error == SHOAL_ERR_OK) tell(write->journal, runner, &told);
}

shoal_err shoal_cache_increment(shoal_cache_thread *thread, shoal_slice key, int64_t delta,
                                int64_t *sum)
{
    SHOAL_DEBUG_ASSERT(thread != NULL);
    SHOAL_DEBUG_ASSERT(sum != NULL);
    cache_write write = {.number = delta};
    shoal_err error = run_write(thread, key, &write, run_increment);
    if (error == SHOAL_ERR_OK) *sum = write.number;
    return error;
}

static void run_append(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(op->run == run_append);
    SHOAL_DEBUG_ASSERT(runner != NULL);
    cache_write *write = (cache_write *)op;
    char scratch[SHOAL_INT_TEXT_SIZE];
    const shoal_item *item;
    if (!find_edited(write, runner, &item)) return;
    shoal_slice parts[2] = {{NULL, 0}, write->value};
    if (item != NULL) parts[0] = shoal_item_string(item, scratch);
    write->size = parts[0].size + parts[1].size;
    if (write->size > SHOAL_VALUE_SIZE_MAX) {
        write->error = SHOAL_ERR_TOO_LARGE;
        return;
    }
    int64_t expires_ms = item == NULL ? SHOAL_CACHE_FOREVER : shoal_item_expires_ms(item);
    const shoal_gather whole = {parts, 2};
    /* Small ones may read as an integer: then increments find one. */
    if (write->size < SHOAL_INT_TEXT_SIZE) {
        char text[SHOAL_INT_TEXT_SIZE];
        for (size_t i = 0, at = 0; i < 2; at += parts[i++].size) {
            if (parts[i].size > 0) memcpy(text + at, parts[i].data, parts[i].size);
        }
        shoal_slice small = {text, write->size};
        write->error = shoal_store_put_locked(runner, &write->key, small, expires_ms);
    } else {
        write->error = shoal_store_put_raw_parts_locked(runner, &write->key, whole, expires_ms);
    }
    const shoal_told told = {SHOAL_TOLD_APPEND, write->key.name, write->value, 0, 0};
    if (write->error == SHOAL_ERR_OK) tell(write->journal, runner, &told);
}

shoal_err shoal_cache_append(shoal_cache_thread *thread, shoal_slice key, shoal_slice more,
                             size_t *size)
{
    SHOAL_DEBUG_ASSERT(more.data != NULL || more.size == 0);
    SHOAL_DEBUG_ASSERT(size != NULL);
    if (more.size > SHOAL_VALUE_SIZE_MAX) return SHOAL_ERR_TOO_LARGE;
    cache_write write = {.value = more};
    shoal_err error = run_write(thread, key, &write, run_append);
    if (error == SHOAL_ERR_OK) *size = write.size;
    return error;
}
