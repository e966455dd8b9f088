/* SPDX-License-Identifier: MIT
 *
 * command/batch.c - the requests of a pipeline, found together: each is parsed in place, its
 * command and its keys are looked up once, and the memory of each key is asked for some keys before
 * its command runs, so that the misses of a batch overlap with its work. Nothing here runs a
 * command, and what is computed here is a hint only where a command of the batch can change it (the
 * database).
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "command/keys.h"
#include "command/worker.h"

/* Reply bytes a key of the last feed from which on whole values are asked for ahead. Chosen: two
 * lines come with the item anyway, a third look at every key costs more than a few more. */
#define LARGE_VALUE 256u
/* Memory is asked for in groups of so many keys, one look after the other, and each group some keys
 * before it is needed. Chosen: groups took less than asking key by key in the one comparison that
 * was made (on a busy machine); perhaps address translations overlap better. Other sizes and
 * distances have not been tried. */
#define GROUP 16u
#define ITEMS_AHEAD 8u
#define VALUES_AHEAD 4u
_Static_assert(GROUP + ITEMS_AHEAD <= 64, "a bit for each key between them");
/* Keys that a worker keeps room for; more is given back after the round. Chosen. */
#define KEYS_KEPT_MAX 4096u

/* ---- memory ---- */

/* Entry `index`, its block made if it must be. NULL without memory. */
static shoal_entry *entry_at(shoal_worker *worker, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < SHOAL_BATCH__REQUESTS);
    shoal_batch *batch = &worker->batch;
    shoal_entry **block = &batch->blocks[index / SHOAL_BATCH__BLOCK];
    if (*block == NULL) {
        const shoal_allocator *allocator = &worker->env->allocator;
        *block =
            allocator->allocate_zeroed(allocator->context, sizeof(shoal_entry) * SHOAL_BATCH__BLOCK,
                                       _Alignof(shoal_entry));
        if (*block == NULL) return NULL;
        for (uint32_t i = 0; i < SHOAL_BATCH__BLOCK; i++) (*block)[i].own.allocator = allocator;
    }
    return &(*block)[index % SHOAL_BATCH__BLOCK];
}

static void release_keys(shoal_worker *worker)
{
    SHOAL_ASSERT((worker->batch.keys == NULL) == (worker->batch.key_capacity == 0));
    shoal_batch *batch = &worker->batch;
    if (batch->keys == NULL) return;
    const shoal_allocator *allocator = &worker->env->allocator;
    allocator->release(allocator->context, batch->keys, batch->key_capacity * sizeof(shoal_key),
                       _Alignof(shoal_key));
    batch->keys = NULL;
    batch->key_capacity = 0;
}

/* Room for `count` more keys. */
static bool reserve_keys(shoal_worker *worker, uint32_t count)
{
    SHOAL_DEBUG_ASSERT(count > 0);
    shoal_batch *batch = &worker->batch;
    uint64_t need = (uint64_t)batch->key_count + count;
    if (need <= batch->key_capacity) return true;
    uint64_t capacity = batch->key_capacity ? batch->key_capacity : 16;
    while (capacity < need) capacity *= 2;
    if (capacity > UINT32_MAX) return false;
    const shoal_allocator *allocator = &worker->env->allocator;
    shoal_key *keys =
        allocator->allocate(allocator->context, capacity * sizeof(shoal_key), _Alignof(shoal_key));
    if (keys == NULL) return false;
    if (batch->key_count != 0) memcpy(keys, batch->keys, batch->key_count * sizeof(shoal_key));
    release_keys(worker);
    batch->keys = keys;
    batch->key_capacity = (uint32_t)capacity;
    return true;
}

static void release_places(shoal_worker *worker)
{
    if (worker->places == NULL) return;
    const shoal_allocator *allocator = &worker->env->allocator;
    allocator->release(allocator->context, worker->places,
                       worker->place_capacity * sizeof(uint32_t), SHOAL_WORKER__PLACES_ALIGNMENT);
    worker->places = NULL;
    worker->place_capacity = 0;
}

void shoal_batch__trim(shoal_worker *worker)
{
    SHOAL_DEBUG_ASSERT(worker->inside);
    if (worker->batch.key_capacity > KEYS_KEPT_MAX) release_keys(worker);
    if (worker->place_capacity > KEYS_KEPT_MAX) release_places(worker);
}

void shoal_batch__free(shoal_worker *worker)
{
    SHOAL_ASSERT(!worker->inside);
    shoal_batch *batch = &worker->batch;
    release_keys(worker);
    release_places(worker);
    const shoal_allocator *allocator = &worker->env->allocator;
    for (uint32_t i = 0; i < SHOAL_BATCH__REQUESTS / SHOAL_BATCH__BLOCK; i++) {
        shoal_entry *block = batch->blocks[i];
        if (block == NULL) continue;
        for (uint32_t j = 0; j < SHOAL_BATCH__BLOCK; j++) shoal_request_free(&block[j].own);
        allocator->release(allocator->context, block, sizeof(shoal_entry) * SHOAL_BATCH__BLOCK,
                           _Alignof(shoal_entry));
        batch->blocks[i] = NULL;
    }
}

/* ---- asking for memory ---- */

static inline uint32_t less(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Asks for the buckets of the first `until` keys. */
static inline void ask_buckets(const shoal_worker *worker, shoal_batch *batch, uint32_t until)
{
    SHOAL_DEBUG_ASSERT(until <= batch->key_count);
    if (batch->buckets_asked >= until) return;
    shoal_store_prefetch_buckets(worker->env->store, &batch->keys[batch->buckets_asked],
                                 until - batch->buckets_asked);
    batch->buckets_asked = until;
}

/* Asks for the items of the first `until` keys. */
static void ask_items(const shoal_worker *worker, shoal_batch *batch, uint32_t until)
{
    SHOAL_DEBUG_ASSERT(until <= batch->key_count);
    ask_buckets(worker, batch, less(batch->key_count, until + GROUP));
    while (batch->items_asked < until) {
        uint32_t from = batch->items_asked, count = less(until - from, SHOAL_KEYS_TOGETHER);
        uint64_t seen = shoal_store_prefetch_items(worker->env->store, &batch->keys[from], count);
        /* Turned, because the bits go round. */
        batch->behind |= seen << from % 64 | (from % 64 > 32 ? seen >> (64 - from % 64) : 0);
        batch->items_asked += count;
    }
}

/* What stands behind the first bucket of a key, and the rest of a large value. */
static void ask_rest(const shoal_worker *worker, shoal_batch *batch, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < batch->key_count);
    const shoal_key *key = &batch->keys[index];
    uint64_t bit = (uint64_t)1 << index % 64;
    if (__builtin_expect((batch->behind & bit) != 0, 0)) {
        batch->behind &= ~bit;
        shoal_store_prefetch_behind(worker->env->store, key);
    }
    if (batch->output_a_key >= LARGE_VALUE) shoal_store_prefetch_value(worker->env->store, key);
}

void shoal_batch__look_ahead(shoal_worker *worker, const shoal_entry *next)
{
    shoal_batch *batch = &worker->batch;
    SHOAL_DEBUG_ASSERT(next->key_at + next->key_count <= batch->key_count);
    /* A single key gains nothing from it: its command runs at once. */
    if (batch->key_count < 2) return;
    uint32_t done = next->key_at + less(next->key_count, SHOAL_BATCH__PREFETCH);
    if (batch->items_asked < less(batch->key_count, done + ITEMS_AHEAD))
        ask_items(worker, batch, less(batch->key_count, done + ITEMS_AHEAD + GROUP));
    uint32_t until = less(batch->key_count, done + VALUES_AHEAD);
    for (; batch->values_asked < until; batch->values_asked++)
        ask_rest(worker, batch, batch->values_asked);
}

/* ---- looking up ---- */

/* Puts `key` into the database that `number` names. Whether it exists is the handler's to say. */
static void put_elsewhere(shoal_session *session, shoal_slice number, shoal_key *key)
{
    int64_t db;
    if (!shoal_text_to_i64(number, &db)) return;
    SHOAL_DEBUG_ASSERT(session->worker->settings->databases > 0);
    if (db < 0 || db >= session->worker->settings->databases) return;
    *key = shoal_key_make(session->worker->env->store, (uint32_t)db, key->name);
}

/* COPY ... DB n puts its second key elsewhere, MOVE has a second one only in this way. */
static void rekey_elsewhere(shoal_session *session, const shoal_entry *entry, shoal_key *keys)
{
    const shoal_request *request = entry->request;
    SHOAL_DEBUG_ASSERT(entry->key_count == 2);
    if (entry->command->id == SHOAL_COMMAND_MOVE) {
        keys[1] = keys[0];
        put_elsewhere(session, request->argv[2], &keys[1]);
        return;
    }
    for (uint32_t i = 3; i + 1 < request->argc; i++) {
        if (!shoal_text_is(request->argv[i], "db")) continue;
        put_elsewhere(session, request->argv[i + 1], &keys[1]);
        return;
    }
}

void shoal_batch__rekey(shoal_session *session, shoal_entry *entry, uint32_t db)
{
    SHOAL_DEBUG_ASSERT(entry->key_at + entry->key_count <= session->worker->batch.key_count);
    const shoal_command *command = entry->command;
    const shoal_store *store = session->worker->env->store;
    const shoal_request *request = entry->request;
    shoal_key *keys = session->worker->batch.keys + entry->key_at;
    uint8_t rule = session->worker->lookup.key_rules[command->id];
    uint32_t at = (uint32_t)command->key_first;
    for (uint32_t i = 0; i < entry->key_count; i++) {
        if (rule != 0) at = shoal_keys__argument(command, rule, request->argc, request->argv, i);
        shoal_key_init(&keys[i], store, db, request->argv[at]);
        at += (uint32_t)command->key_step;
    }
    if (command->id == SHOAL_COMMAND_COPY || command->id == SHOAL_COMMAND_MOVE)
        rekey_elsewhere(session, entry, keys);
}

/* How many keys a request of the right arity has. */
static uint32_t count_keys(const shoal_worker *worker, const shoal_entry *entry)
{
    const shoal_command *command = entry->command;
    uint8_t rule = worker->lookup.key_rules[command->id];
    if (command->key_first == 0 && rule == 0) return 0;
    SHOAL_DEBUG_ASSERT(rule != 0 || command->key_step > 0);
    if (command->id == SHOAL_COMMAND_MOVE) return 2;
    return shoal_keys__count(command, rule, entry->request->argc, entry->request->argv);
}

static shoal_fault find_command(shoal_worker *worker, shoal_entry *entry)
{
    SHOAL_DEBUG_ASSERT(entry->request->argc > 0);
    const shoal_request *request = entry->request;
    const shoal_command *command = shoal_lookup__find(&worker->lookup, request->argv[0]);
    entry->command = command;
    if (command == NULL) return SHOAL_FAULT__COMMAND;
    /* No container has keys: asked first because the answer is at hand. */
    if (request->argc > 1 && command->key_first == 0 && shoal_lookup__is_container(command->id)) {
        command = shoal_lookup__sub(command->id, request->argv[1]);
        if (command == NULL) return SHOAL_FAULT__SUBCOMMAND;
        entry->command = command;
    }
    int64_t argc = request->argc;
    bool fits = command->arity > 0 ? argc == command->arity : argc >= -command->arity;
    return fits ? SHOAL_FAULT__NONE : SHOAL_FAULT__ARITY;
}

static void look_up(shoal_session *session, shoal_entry *entry)
{
    shoal_worker *worker = session->worker;
    SHOAL_DEBUG_ASSERT(worker->inside);
    shoal_batch *batch = &worker->batch;
    entry->key_at = batch->key_count;
    entry->key_count = 0;
    entry->fault = find_command(worker, entry);
    if (entry->fault != SHOAL_FAULT__NONE) return;

    uint32_t count = count_keys(worker, entry);
    if (count == 0) return;
    if (!reserve_keys(worker, count)) {
        entry->fault = SHOAL_FAULT__MEMORY;
        return;
    }
    entry->key_count = count;
    batch->key_count += count;
    shoal_batch__rekey(session, entry, session->db);
    if (batch->key_count > SHOAL_BATCH__PREFETCH) return;
    if (entry->command->executor == SHOAL_RUN_GATED)
        shoal_store_prefetch_gate(worker->env->store, &batch->keys[entry->key_at]);
    if (batch->key_count - batch->buckets_asked >= GROUP)
        ask_buckets(worker, batch, batch->key_count);
}

/* ---- collecting ---- */

static shoal_parse stop(shoal_batch *batch, shoal_parse found, shoal_request *request)
{
    SHOAL_DEBUG_ASSERT(found != SHOAL_PARSE_REQUEST);
    batch->bad = found == SHOAL_PARSE_ERROR ? request : NULL;
    if (found == SHOAL_PARSE_MORE) batch->wanted = request->wanted;
    return found;
}

/* Word by word: a copy of what has just been written in smaller parts would wait for them. */
static inline void put_limits(shoal_request_limits *to, const shoal_request_limits *limits)
{
    to->bulk_size_max = limits->bulk_size_max;
    to->arguments_max = limits->arguments_max;
    to->inline_size_max = limits->inline_size_max;
    to->authenticated = limits->authenticated;
}

shoal_parse shoal_batch__collect(shoal_session *session, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(session->errand == NULL && !session->closing);
    shoal_worker *worker = session->worker;
    shoal_batch *batch = &worker->batch;
    batch->count = batch->key_count = 0;
    batch->buckets_asked = batch->items_asked = batch->values_asked = 0;
    batch->behind = 0;
    batch->end = 0;
    batch->wanted = 0;
    batch->bad = NULL;
    batch->db = session->db;
    shoal_request_limits limits = shoal_request_limits_default();
    limits.bulk_size_max = worker->settings->bulk_size_max;
    limits.authenticated = session->authenticated;
    /* AUTH changes what the next request may be, so until then they are taken one by one. */
    uint32_t most = session->authenticated ? SHOAL_BATCH__REQUESTS : 1;

    shoal_parse found = SHOAL_PARSE_REQUEST;
    while (batch->count < most) {
        shoal_entry *entry = entry_at(worker, batch->count);
        if (entry == NULL) return SHOAL_PARSE_ERROR;
        bool own = batch->count != 0 || batch->end != 0 || session->parser == NULL;
        entry->request = own ? &entry->own : session->parser;
        put_limits(&entry->request->limits, &limits);
        shoal_slice rest = {bytes.data + batch->end, bytes.size - batch->end};
        found = shoal_request_parse(entry->request, rest);
        if (found != SHOAL_PARSE_REQUEST) {
            if (own) shoal_request_reset(&entry->own);
            found = stop(batch, found, entry->request);
            break;
        }
        batch->end += entry->request->size;
        if (entry->request->argc == 0) continue;
        entry->end = batch->end;
        batch->count++;
        look_up(session, entry);
    }
    return found;
}
