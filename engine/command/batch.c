/* SPDX-License-Identifier: MIT
 *
 * command/batch.c - the requests of a pipeline, found together: each is parsed in place, its
 * command and its keys are looked up once, and the memory of each key is asked for some keys before
 * its command runs, so that the misses of a batch overlap with its work. A request that begins as
 * one before it, up to its first argument, has the same command and as many arguments: neither is
 * looked up again. Nothing here runs a command, and what is computed here is a hint only where a
 * command of the batch can change it (the database).
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
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

/* Makes a block of entries. NULL without memory. */
static __attribute__((noinline)) shoal_entry *make_block(shoal_worker *worker)
{
    const shoal_allocator *allocator = &worker->env->allocator;
    shoal_entry *block =
        allocator->allocate_zeroed(allocator->context, sizeof(shoal_entry) * SHOAL_BATCH__BLOCK,
                                   _Alignof(shoal_entry));
    SHOAL_DEBUG_ASSERT(worker->inside);
    if (block == NULL) return NULL;
    for (uint32_t i = 0; i < SHOAL_BATCH__BLOCK; i++) {
        block[i].own.allocator = allocator;
        block[i].own.limits = worker->batch.limits;
    }
    return block;
}

/* Entry `index`, its block made if it must be. NULL without memory. */
static inline shoal_entry *entry_at(shoal_worker *worker, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < SHOAL_BATCH__REQUESTS);
    shoal_entry **block = &worker->batch.blocks[index / SHOAL_BATCH__BLOCK];
    if (__builtin_expect(*block == NULL, 0)) *block = make_block(worker);
    return *block != NULL ? &(*block)[index % SHOAL_BATCH__BLOCK] : NULL;
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
    SHOAL_DEBUG_ASSERT(until <= batch->ready);
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

/* The next key of which more is to be asked for than its bucket and its item. When none is known,
 * one whose item is not asked for. */
static uint32_t next_rest(const shoal_batch *batch)
{
    SHOAL_DEBUG_ASSERT(batch->values_asked <= batch->key_count);
    if (batch->output_a_key >= LARGE_VALUE) return batch->values_asked;
    if (batch->behind == 0) return batch->items_asked;
    uint32_t from = batch->values_asked % 64;
    uint64_t turned = batch->behind >> from | batch->behind << (64 - from) % 64;
    return batch->values_asked + (uint32_t)__builtin_ctzll(turned);
}

/* What stands behind the first bucket of a key, and the rest of a large value. */
static void ask_rest(const shoal_worker *worker, shoal_batch *batch, uint32_t index)
{
    SHOAL_DEBUG_ASSERT(index < batch->key_count);
    const shoal_key *key = &batch->keys[index];
    uint64_t bit = (uint64_t)1 << index % 64;
    if ((batch->behind & bit) != 0) {
        batch->behind &= ~bit;
        shoal_store_prefetch_behind(worker->env->store, key);
    }
    if (batch->output_a_key >= LARGE_VALUE) shoal_store_prefetch_value(worker->env->store, key);
}

/* Of how many keys, with those of the command that is about to run, there is more to be done. */
static uint32_t next_look(const shoal_batch *batch)
{
    uint32_t look_at = UINT32_MAX, rest = next_rest(batch);
    if (batch->items_asked < batch->key_count) look_at = batch->items_asked - ITEMS_AHEAD + 1;
    if (rest < batch->key_count) look_at = less(look_at, rest - VALUES_AHEAD + 1);
    SHOAL_DEBUG_ASSERT(look_at > 0);
    return look_at;
}

void shoal_batch__ask(shoal_worker *worker, const shoal_entry *next)
{
    shoal_batch *batch = &worker->batch;
    SHOAL_DEBUG_ASSERT(next->key_at + next->key_count <= batch->key_count);
    uint32_t done = next->key_at + less(next->key_count, SHOAL_BATCH__PREFETCH);
    if (batch->items_asked < less(batch->key_count, done + ITEMS_AHEAD))
        ask_items(worker, batch, less(batch->key_count, done + ITEMS_AHEAD + GROUP));
    uint32_t until = less(batch->key_count, done + VALUES_AHEAD);
    for (uint32_t rest; (rest = next_rest(batch)) < until; batch->values_asked = rest + 1)
        ask_rest(worker, batch, rest);
    if (batch->values_asked < until) batch->values_asked = until;
    batch->look_at = next_look(batch);
}

/* ---- keys ---- */

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

/* May a key of the command be in another database than the session? */
static inline bool reaches_elsewhere(const shoal_command *command)
{
    SHOAL_DEBUG_ASSERT(command != NULL);
    return command->id == SHOAL_COMMAND_COPY || command->id == SHOAL_COMMAND_MOVE;
}

/* Names the keys of an entry that its arguments count, or that stand where no row can say. */
static __attribute__((noinline)) void name_counted(const shoal_entry *entry, uint8_t rule,
                                                   shoal_key *keys)
{
    const shoal_request *request = entry->request;
    SHOAL_DEBUG_ASSERT(rule != 0);
    for (uint32_t i = 0; i < entry->key_count; i++) {
        uint32_t at = shoal_keys__argument(entry->command, rule, request->argc, request->argv, i);
        keys[i].name = request->argv[at];
    }
}

/* Gives the keys of an entry, which stand from `keys` on, their names. */
static inline void name_keys(const shoal_worker *worker, const shoal_entry *entry, shoal_key *keys)
{
    const shoal_command *command = entry->command;
    const shoal_slice *argument = entry->request->argv + command->key_first;
    uint8_t rule = worker->lookup.key_rules[command->id];
    SHOAL_DEBUG_ASSERT(entry->key_count > 0);
    if (__builtin_expect(rule != 0, 0)) {
        name_counted(entry, rule, keys);
        return;
    }
    for (uint32_t left = entry->key_count;; argument += command->key_step, keys++) {
        SHOAL_DEBUG_ASSERT(argument < entry->request->argv + entry->request->argc);
        keys->name.data = argument->data;
        keys->name.size = argument->size;
        if (--left == 0) return;
    }
}

void shoal_batch__rekey(shoal_session *session, shoal_entry *entry, uint32_t db)
{
    SHOAL_DEBUG_ASSERT(entry->key_at + entry->key_count <= session->worker->batch.ready);
    shoal_key *keys = session->worker->batch.keys + entry->key_at;
    name_keys(session->worker, entry, keys);
    shoal_keys_ready(session->worker->env->store, db, keys, entry->key_count);
    if (reaches_elsewhere(entry->command)) rekey_elsewhere(session, entry, keys);
}

/* Makes the keys ready that have their names only. Many of them together: the sums of one do not
 * wait for those of another. */
static void make_ready(const shoal_worker *worker, shoal_batch *batch)
{
    const shoal_store *store = worker->env->store;
    SHOAL_DEBUG_ASSERT(batch->ready <= batch->key_count);
    shoal_keys_ready(store, batch->db, &batch->keys[batch->ready], batch->key_count - batch->ready);
    batch->ready = batch->key_count;
    for (; batch->gates != 0; batch->gates &= batch->gates - 1)
        shoal_store_prefetch_gate(store, &batch->keys[__builtin_ctzll(batch->gates)]);
}

/* The same for a full group, and asks for its buckets. */
static __attribute__((noinline)) void make_group_ready(const shoal_worker *worker,
                                                       shoal_batch *batch)
{
    SHOAL_DEBUG_ASSERT(batch->buckets_asked <= batch->ready);
    make_ready(worker, batch);
    if (batch->key_count <= SHOAL_BATCH__PREFETCH) ask_buckets(worker, batch, batch->key_count);
}

/* Takes `count` keys of an entry into the batch, or finds no memory for them. */
static inline void take_keys(shoal_worker *worker, shoal_entry *entry, uint32_t count)
{
    shoal_batch *batch = &worker->batch;
    SHOAL_DEBUG_ASSERT(entry->key_at == batch->key_count && entry->key_count == 0);
    if (__builtin_expect(batch->key_capacity - batch->key_count < count, 0) &&
        !reserve_keys(worker, count)) {
        entry->fault = SHOAL_FAULT__MEMORY;
        return;
    }
    entry->key_count = count;
    batch->key_count += count;
    name_keys(worker, entry, batch->keys + entry->key_at);
    if (entry->command->executor == SHOAL_RUN_GATED && entry->key_at < SHOAL_BATCH__PREFETCH)
        batch->gates |= (uint64_t)1 << entry->key_at;
    if (batch->key_count - batch->ready >= GROUP) make_group_ready(worker, batch);
}

/* ---- looking up ---- */

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

/* Where a request that begins with `bytes` would be remembered: by what most names begin with, and
 * by how many arguments there are. The multiplier is one of a few that were tried: of the usual
 * nineteen commands on strings and small collections, PING and EXISTS share a place. */
static inline shoal_batch_like *like_of(shoal_batch *batch, shoal_slice bytes)
{
    SHOAL_DEBUG_ASSERT(bytes.data != NULL || bytes.size == 0);
    if (bytes.size < 12) return &batch->likes[0];
    uint32_t name = shoal_bytes_get_le32(bytes.data + 8);
    _Static_assert(SHOAL_BATCH__LIKES == 1u << 5, "five bits of the product");
    return &batch->likes[(name + (uint8_t)bytes.data[1]) * 0x9E3779B1u >> 27];
}

/* Remembers what the next request need not be asked if it begins as this one, whose number of
 * arguments fits its command: that too is in the head. */
static void remember(shoal_worker *worker, const shoal_entry *entry, uint32_t key_count)
{
    const shoal_command *command = entry->command;
    const shoal_request *request = entry->request;
    SHOAL_DEBUG_ASSERT(entry->fault == SHOAL_FAULT__NONE && command != NULL);
    /* What else its arguments say would not be in it. */
    if (request->text == NULL || command->parent != SHOAL_COMMAND_NONE ||
        worker->lookup.key_rules[command->id] != 0 || reaches_elsewhere(command))
        return;
    *like_of(&worker->batch, (shoal_slice){request->text, request->size}) =
        (shoal_batch_like){.head = shoal_request_head_of(request),
                           .command = command,
                           .key_count = key_count};
}

/* Finds out what a request asks for. */
static __attribute__((noinline)) void look_up(shoal_session *session, shoal_entry *entry)
{
    shoal_worker *worker = session->worker;
    SHOAL_DEBUG_ASSERT(worker->inside);
    entry->fault = find_command(worker, entry);
    if (entry->fault != SHOAL_FAULT__NONE) return;
    uint32_t key_count = count_keys(worker, entry);
    remember(worker, entry, key_count);
    if (key_count == 0) return;
    take_keys(worker, entry, key_count);
    if (!reaches_elsewhere(entry->command) || entry->key_count == 0) return;
    make_ready(worker, &worker->batch);
    rekey_elsewhere(session, entry, worker->batch.keys + entry->key_at);
}

/* ---- collecting ---- */

/* Nothing more is found behind the requests before `entry`. */
static void stop(shoal_batch *batch, shoal_parse found, shoal_entry *entry)
{
    SHOAL_DEBUG_ASSERT(found != SHOAL_PARSE_REQUEST);
    batch->bad = found == SHOAL_PARSE_ERROR ? entry->request : NULL;
    if (found == SHOAL_PARSE_MORE) batch->wanted = entry->request->wanted;
    if (entry->request == &entry->own) shoal_request_reset(&entry->own);
}

/* Gives the parsers of the batch the limits of a session, if they have others. What was remembered
 * need not be allowed any more. */
static void put_limits(shoal_batch *batch, const shoal_request_limits *limits)
{
    SHOAL_DEBUG_ASSERT(limits->arguments_max > 0);
    if (batch->limits.bulk_size_max == limits->bulk_size_max &&
        batch->limits.authenticated == limits->authenticated)
        return;
    batch->limits = *limits;
    memset(batch->likes, 0, sizeof(batch->likes));
    for (uint32_t i = 0; i < SHOAL_BATCH__REQUESTS / SHOAL_BATCH__BLOCK; i++) {
        if (batch->blocks[i] == NULL) continue;
        for (uint32_t j = 0; j < SHOAL_BATCH__BLOCK; j++) batch->blocks[i][j].own.limits = *limits;
    }
}

/* An empty batch for the requests of a session. */
static void begin(shoal_session *session, shoal_batch *batch)
{
    SHOAL_DEBUG_ASSERT(session->errand == NULL && !session->closing);
    batch->count = batch->key_count = 0;
    batch->ready = batch->buckets_asked = batch->items_asked = batch->values_asked = 0;
    batch->gates = batch->behind = 0;
    batch->end = 0;
    batch->wanted = 0;
    batch->bad = NULL;
    batch->db = session->db;
    shoal_request_limits limits = shoal_request_limits_default();
    limits.bulk_size_max = session->worker->settings->bulk_size_max;
    limits.authenticated = session->authenticated;
    put_limits(batch, &limits);
    if (session->parser != NULL) session->parser->limits = limits;
}

/* Finds the request at the start of `rest` without knowing of one that begins as it. */
static __attribute__((noinline)) shoal_parse find_other(shoal_session *session, shoal_entry *entry,
                                                        shoal_slice rest)
{
    SHOAL_DEBUG_ASSERT(entry->key_at == session->worker->batch.key_count);
    shoal_parse found = shoal_request_parse(entry->request, rest);
    if (found == SHOAL_PARSE_REQUEST && entry->request->argc != 0) look_up(session, entry);
    return found;
}

/* The same for the first request where a parser of the session's has seen a part of it. */
static shoal_parse find_begun(shoal_session *session, shoal_entry *entry, shoal_slice rest)
{
    SHOAL_DEBUG_ASSERT(session->parser != NULL && session->worker->batch.end == 0);
    entry->request = session->parser;
    entry->key_at = session->worker->batch.key_count;
    entry->key_count = 0;
    return find_other(session, entry, rest);
}

/* Finds the request at the start of `rest`, and what it asks for. */
static inline shoal_parse find_request(shoal_session *session, shoal_entry *entry, shoal_slice rest)
{
    shoal_worker *worker = session->worker;
    const shoal_batch_like *like = like_of(&worker->batch, rest);
    SHOAL_DEBUG_ASSERT(worker->inside);
    entry->request = &entry->own;
    entry->key_at = worker->batch.key_count;
    entry->key_count = 0;
    if (!shoal_request_is_alike(rest, &like->head)) return find_other(session, entry, rest);
    shoal_parse found = shoal_request_parse_alike(&entry->own, rest, &like->head);
    if (__builtin_expect(found != SHOAL_PARSE_REQUEST, 0)) return found;
    entry->command = like->command;
    entry->fault = SHOAL_FAULT__NONE;
    if (like->key_count != 0) take_keys(worker, entry, like->key_count);
    return SHOAL_PARSE_REQUEST;
}

/* All requests that will be found have been: their keys are made ready. */
static void end(const shoal_worker *worker, shoal_batch *batch)
{
    SHOAL_DEBUG_ASSERT(batch->count <= SHOAL_BATCH__REQUESTS);
    if (batch->ready != batch->key_count) make_ready(worker, batch);
    /* A single key gains nothing from a look ahead: its command runs at once. */
    batch->look_at = batch->key_count < 2 ? UINT32_MAX : 0;
}

shoal_parse shoal_batch__collect(shoal_session *session, shoal_slice bytes)
{
    shoal_worker *worker = session->worker;
    shoal_batch *batch = &worker->batch;
    begin(session, batch);
    /* AUTH changes what the next request may be, so until then they are taken one by one. */
    uint32_t most = session->authenticated ? SHOAL_BATCH__REQUESTS : 1;
    shoal_parse found = SHOAL_PARSE_REQUEST;
    bool begun = session->parser != NULL;
    uint32_t count = 0;
    size_t used = 0;
    while (count < most) {
        shoal_entry *entry = entry_at(worker, count);
        if (entry == NULL) {
            found = SHOAL_PARSE_ERROR;
            break;
        }
        shoal_slice rest = {bytes.data + used, bytes.size - used};
        found = begun ? find_begun(session, entry, rest) : find_request(session, entry, rest);
        if (__builtin_expect(found != SHOAL_PARSE_REQUEST, 0)) {
            stop(batch, found, entry);
            break;
        }
        begun = false;
        used += entry->request->size;
        entry->end = used;
        count += entry->request->argc != 0;
    }
    batch->count = count;
    batch->end = used;
    end(worker, batch);
    return found;
}
