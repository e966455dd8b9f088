/* SPDX-License-Identifier: MIT
 *
 * command/apply.c - see apply.h. A command is looked up, its gates are taken, and its handler
 * runs with call->replicated. What cannot run at once is copied: for EXEC, or for the thread that
 * holds a gate.
 *
 *   given -> run under its gates                        DONE, FAILED
 *         -> a copy waits for its gates, runs elsewhere PENDING -> over -> DONE, FAILED
 *         -> a copy waits for EXEC                      DONE
 */
#include "command/apply.h"

#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "base/sort.h"
#include "base/text.h"
#include "command/events.h"
#include "command/handlers.h"
#include "command/job.h"
#include "command/keys.h"
#include "command/lookup.h"
#include "command/monitor.h"
#include "command/worker.h"
#include "store/places.h"

/* Keys and places of a command that need no memory of their own. */
#define SMALL 16u
/* Commands whose memory is asked for together: what the core can have under way, a few times
 * over. */
#define TOGETHER 32u

/* A command with its keys; one that waits is a copy. */
typedef struct applied {
    struct applied *next;
    const shoal_command *command;
    uint32_t argc, key_count, db;
    const shoal_slice *argv;
    const shoal_key *keys;
    size_t memory; /* of a copy */
} applied;

/* Some commands that run together. */
typedef struct work {
    shoal_gate_op gate; /* first */
    shoal_applier *applier;
    const applied *first;
} work;

struct shoal_applier {
    work pending;
    /* What was handed over has run. writer: the thread that ran it, release; reader: the applier's,
     * acquire. pair: apply.over */
    _Atomic bool over;
    bool waits, queues; /* something is PENDING; between MULTI and EXEC */
    shoal_applier_options options;
    shoal_address origin; /* of the commands, for MONITOR; ip "": nobody is told */
    uint32_t db;
    applied *first, *last; /* copies: queued, or pending */
    uint32_t *places;      /* of what is pending, or of many */
    uint32_t place_capacity;
    shoal_buffer reply; /* of the command that ran last */
    shoal_buffer error; /* of the first that failed */
    shoal_lookup lookup;
};

static const shoal_allocator *allocator_of(const shoal_applier *applier)
{
    return &applier->options.env->allocator;
}

/* ---- opening and closing ---- */

shoal_err shoal_applier_open(const shoal_applier_options *options, shoal_applier **out)
{
    const shoal_allocator *allocator = &options->env->allocator;
    SHOAL_ASSERT(options->thread != NULL);
    shoal_applier *made = shoal_memory_take_zeroed(allocator, sizeof *made, SHOAL_ALIGN_LINE);
    if (made == NULL) return SHOAL_ERR_NO_MEMORY;
    made->options = *options;
    made->reply = shoal_buffer_make(allocator);
    made->error = shoal_buffer_make(allocator);
    shoal_lookup__make(&made->lookup);
    *out = made;
    return SHOAL_ERR_OK;
}

/* Drops all copies. */
static void drop_copies(shoal_applier *applier)
{
    SHOAL_ASSERT((applier->first == NULL) == (applier->last == NULL));
    while (applier->first != NULL) {
        applied *each = applier->first;
        applier->first = each->next;
        shoal_memory_give(allocator_of(applier), each, each->memory, SHOAL_ALIGN_PLAIN);
    }
    applier->last = NULL;
}

void shoal_applier_close(shoal_applier *applier)
{
    SHOAL_ASSERT(!applier->waits);
    const shoal_allocator allocator = *allocator_of(applier);
    drop_copies(applier);
    shoal_buffer_free(&applier->reply);
    shoal_buffer_free(&applier->error);
    shoal_memory_give(&allocator, applier->places, applier->place_capacity * sizeof(uint32_t),
                      SHOAL_ALIGN_PLAIN);
    shoal_memory_give(&allocator, applier, sizeof *applier, SHOAL_ALIGN_LINE);
}

shoal_slice shoal_applier_error(const shoal_applier *applier)
{
    SHOAL_DEBUG_ASSERT(!applier->waits);
    return shoal_buffer_slice(&applier->error);
}

uint32_t shoal_applier_db(const shoal_applier *applier)
{
    return applier->db;
}

void shoal_applier_select(shoal_applier *applier, uint32_t db)
{
    SHOAL_ASSERT(!applier->waits);
    applier->db = db;
}

bool shoal_applier_in_transaction(const shoal_applier *applier)
{
    return applier->queues;
}

/* ---- failing ---- */

/* Remembers the first error of what runs together. */
static void fail(shoal_applier *applier, shoal_slice text)
{
    SHOAL_ASSERT(text.data != NULL);
    if (shoal_buffer_size(&applier->error) == 0) shoal_buffer_append(&applier->error, text);
}

static void fail_name(shoal_applier *applier, const char *what, shoal_slice name)
{
    shoal_buffer text = shoal_buffer_make(allocator_of(applier));
    SHOAL_ASSERT(what != NULL);
    shoal_text_appendf(&text, "ERR %s '%.*s'", what, name.size < 64 ? (int)name.size : 64,
                       name.data);
    if (!text.failed) fail(applier, shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
}

/* ---- running, under the gates ---- */

/* Keeps what a command answered if that is an error. */
static void take_reply(shoal_applier *applier)
{
    shoal_slice said = shoal_buffer_slice(&applier->reply);
    SHOAL_DEBUG_ASSERT(said.data != NULL || said.size == 0);
    if (said.size > 3 && said.data[0] == '-')
        fail(applier, (shoal_slice){said.data + 1, said.size - 3});
    applier->reply.start = applier->reply.end = 0;
    applier->reply.failed = false;
}

/* Is the place in the databases that a command on whole databases is about? */
static bool is_cleared(const applied *each, uint32_t place)
{
    return each->command->id == SHOAL_COMMAND_FLUSHALL || SHOAL_PLACE_DB(place) == each->db;
}

/* Empties places whose gates are held. */
static void clear(shoal_applier *applier, shoal_thread *thread, const applied *each)
{
    const shoal_store *store = applier->options.env->store;
    SHOAL_ASSERT(each->key_count == 0);
    for (uint32_t i = 0; i < applier->pending.gate.count; i++) {
        uint32_t place = applier->places[i];
        if (!is_cleared(each, place)) continue;
        (void)shoal_store_clear_locked(thread, place);
        if (shoal_store_count_slot(store, place) > 0)
            fail(applier, shoal_text(SHOAL_ERROR__MEMORY));
    }
}

static void swap(shoal_applier *applier, shoal_thread *thread, const applied *each)
{
    int64_t one = 0, two = 0;
    bool numbers = shoal_text_to_i64(each->argv[1], &one) && shoal_text_to_i64(each->argv[2], &two);
    SHOAL_ASSERT(numbers);
    if (one == two) return;
    if (!shoal_store_may_swap(thread)) {
        fail(applier, shoal_text("BUSY what the databases hold is being handed out"));
        return;
    }
    for (uint32_t i = 0; i < SHOAL_SLOTS; i++)
        shoal_store_swap_locked(thread, SHOAL_PLACE(one, i), SHOAL_PLACE(two, i));
}

static void run_handler(void *context, shoal_call *call)
{
    (void)context;
    call->command->run(call);
    SHOAL_ASSERT(call->wish.type == SHOAL_TYPE_NONE);
    if (call->job == NULL) return;
    shoal_job *job = call->job;
    call->job = NULL;
    shoal_job__finish(job, call);
}

void shoal_applier_set_origin(shoal_applier *applier, const shoal_address *origin)
{
    SHOAL_ASSERT(!applier->waits);
    SHOAL_ASSERT(origin->ip[sizeof(origin->ip) - 1] == '\0');
    applier->origin = *origin;
}

static void tell_monitors(const shoal_applier *applier, shoal_thread *thread, const applied *each)
{
    SHOAL_DEBUG_ASSERT(each->argc > 0);
    if (applier->origin.ip[0] == '\0') return;
    const shoal_monitor_origin origin = {.address = &applier->origin,
                                         .wall_us = shoal_thread_now(thread).wall_us,
                                         .db = each->db};
    const shoal_timing_brief what = {each->command, each->argc, each->argv};
    shoal_monitor_tell(applier->options.env, &origin, &what);
}

static void run_one(shoal_applier *applier, shoal_thread *thread, const applied *each)
{
    tell_monitors(applier, thread, each);
    switch (each->command->id) {
    case SHOAL_COMMAND_FLUSHALL:
    case SHOAL_COMMAND_FLUSHDB: clear(applier, thread, each); return;
    case SHOAL_COMMAND_SWAPDB: swap(applier, thread, each); return;
    default: break;
    }
    shoal_env *env = applier->options.env;
    shoal_call call = {.command = each->command,
                       .argc = each->argc,
                       .argv = each->argv,
                       .keys = each->keys,
                       .key_count = each->key_count,
                       .db = each->db,
                       .thread = thread,
                       .store = env->store,
                       .env = env,
                       .now = shoal_thread_now(thread),
                       .reply = {.out = &applier->reply, .protocol = 2},
                       .gated = true,
                       .whole = true,
                       .replicated = true};
    if (shoal_call__ready(&call)) shoal_events__run(&call, run_handler, NULL);
    if (applier->options.counts) shoal_add_relaxed(&env->applied[each->command->id], 1u);
    take_reply(applier);
}

static void run_all(work *now, shoal_thread *thread)
{
    SHOAL_ASSERT(now->first != NULL);
    shoal_thread_follow(thread, true);
    for (const applied *each = now->first; each != NULL; each = each->next)
        run_one(now->applier, thread, each);
    shoal_thread_follow(thread, false);
}

static void run_here(shoal_op *op, void *runner)
{
    SHOAL_DEBUG_ASSERT(runner == ((work *)op)->applier->options.thread);
    run_all((work *)op, runner);
}

static void run_elsewhere(shoal_op *op, void *runner)
{
    work *now = (work *)op;
    shoal_applier *applier = now->applier;
    run_all(now, runner);
    void (*over)(void *) = applier->options.over;
    void *context = applier->options.context;
    SHOAL_ASSERT(applier->waits);
    shoal_store_release(&applier->over, true); /* pair: apply.over */
    if (over != NULL) over(context);
}

/* ---- places ---- */

static int compare_places(const void *a, const void *b, void *context)
{
    (void)context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* SORT reads keys that its arguments name in part. */
static bool roams(const applied *each)
{
    if (each->command->id != SHOAL_COMMAND_SORT) return false;
    for (uint32_t i = 2; i + 1 < each->argc; i++) {
        if (shoal_text_is(each->argv[i], "by") || shoal_text_is(each->argv[i], "get")) return true;
    }
    SHOAL_DEBUG_ASSERT(each->key_count > 0);
    return false;
}

/* The databases of which a command needs all places: returns how many; `databases` may be NULL. */
static uint32_t whole_databases(const shoal_applier *applier, const applied *each,
                                uint32_t *databases)
{
    const shoal_env *env = applier->options.env;
    /* pair: env.settings */
    uint32_t most = shoal_load_acquire(&env->settings)->databases, count = 0;
    if ((each->command->flags & SHOAL_FLAG_PUBSUB) != 0) return 0;
    int64_t one = each->db, two = each->db;
    if (each->command->id == SHOAL_COMMAND_SWAPDB) {
        (void)shoal_text_to_i64(each->argv[1], &one);
        (void)shoal_text_to_i64(each->argv[2], &two);
    }
    bool any = each->key_count == 0 || roams(each);
    for (uint32_t db = 0; db < most && any; db++) {
        bool named = db == one || db == two;
        if (each->command->id == SHOAL_COMMAND_FLUSHALL) named = shoal_store_count(env->store, db);
        if (!named) continue;
        if (databases != NULL) databases[count] = db;
        count++;
    }
    return count;
}

/* Room for `most` places. NULL without memory. */
static uint32_t *place_room(shoal_applier *applier, uint64_t most)
{
    if (most <= applier->place_capacity) return applier->places;
    if (most > UINT32_MAX / sizeof(uint32_t)) return NULL;
    shoal_memory_give(allocator_of(applier), applier->places,
                      applier->place_capacity * sizeof(uint32_t), SHOAL_ALIGN_PLAIN);
    applier->place_capacity = 0;
    applier->places =
        shoal_memory_take(allocator_of(applier), most * sizeof(uint32_t), SHOAL_ALIGN_PLAIN);
    SHOAL_ASSERT(most > 0);
    if (applier->places != NULL) applier->place_capacity = (uint32_t)most;
    return applier->places;
}

/* Writes down the distinct places of all commands, ascending, in applier->places. False without
 * memory. */
static bool plan(shoal_applier *applier, work *now)
{
    uint64_t most = 1;
    for (const applied *each = now->first; each != NULL; each = each->next)
        most += each->key_count + (uint64_t)whole_databases(applier, each, NULL) * SHOAL_SLOTS;
    uint32_t *places = place_room(applier, most), count = 0, databases[16];
    if (places == NULL) return false;
    for (const applied *each = now->first; each != NULL; each = each->next) {
        for (uint32_t i = 0; i < each->key_count; i++) places[count++] = each->keys[i].place;
        uint32_t wholes = whole_databases(applier, each, databases);
        for (uint32_t i = 0; i < wholes; i++) {
            for (uint32_t slot = 0; slot < SHOAL_SLOTS && count < most; slot++)
                places[count++] = SHOAL_PLACE(databases[i], slot);
        }
    }
    shoal_sort((shoal_sort_array){places, count, sizeof(*places)}, compare_places, NULL);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || places[i] != places[distinct - 1]) places[distinct++] = places[i];
    }
    SHOAL_ASSERT(distinct <= applier->place_capacity);
    now->gate = (shoal_gate_op){.op = {.run = run_here}, .places = places, .count = distinct};
    return true;
}

/* ---- copies ---- */

/* Adds a copy of a command. False without memory. */
static bool add_copy(shoal_applier *applier, const applied *from)
{
    size_t keys = sizeof(applied) + from->argc * sizeof(shoal_slice);
    size_t bytes = keys + from->key_count * sizeof(shoal_key), size = bytes;
    for (uint32_t i = 0; i < from->argc; i++) size += from->argv[i].size;
    char *memory = shoal_memory_take(allocator_of(applier), size, SHOAL_ALIGN_PLAIN);
    if (memory == NULL) return false;
    applied *made = (applied *)(void *)memory;
    shoal_slice *argv = (shoal_slice *)(void *)(memory + sizeof(applied));
    shoal_key *copies = (shoal_key *)(void *)(memory + keys);
    shoal_call call = {.argc = from->argc,
                       .argv = from->argv,
                       .keys = from->keys,
                       .key_count = from->key_count};
    shoal_errand__copy_arguments(&call, argv, copies, memory + bytes);
    *made = *from;
    made->next = NULL;
    made->argv = argv;
    made->keys = copies;
    made->memory = size;
    *(applier->last != NULL ? &applier->last->next : &applier->first) = made;
    SHOAL_ASSERT(applier->first != NULL);
    applier->last = made;
    return true;
}

/* ---- taking the gates ---- */

static shoal_applied outcome(const shoal_applier *applier)
{
    SHOAL_DEBUG_ASSERT(!applier->waits);
    return shoal_buffer_size(&applier->error) == 0 && !applier->error.failed ? SHOAL_APPLY_DONE
                                                                             : SHOAL_APPLY_FAILED;
}

static shoal_applied no_memory(shoal_applier *applier)
{
    drop_copies(applier);
    fail(applier, shoal_text(SHOAL_ERROR__MEMORY));
    SHOAL_ASSERT(applier->first == NULL);
    return SHOAL_APPLY_FAILED;
}

/* Runs the copies, here or on whatever thread holds their gates. */
static shoal_applied run_copies(shoal_applier *applier)
{
    work *now = &applier->pending;
    *now = (work){.applier = applier, .first = applier->first};
    if (applier->first == NULL) return SHOAL_APPLY_DONE;
    if (!plan(applier, now)) return no_memory(applier);
    uint64_t keys = 0;
    for (const applied *each = now->first; each != NULL; each = each->next)
        keys += each->key_count == 0 ? 2 : each->key_count;
    now->gate.multi = keys > 1;
    if (now->gate.count == 0) {
        /* Databases without keys are flushed, or something is published. */
        run_all(now, applier->options.thread);
        drop_copies(applier);
        return outcome(applier);
    }
    now->gate.op.run = run_elsewhere;
    applier->waits = true;
    shoal_store_relaxed(&applier->over, false);
    (void)shoal_gate_push(applier->options.thread, &now->gate);
    return shoal_apply_poll(applier);
}

shoal_applied shoal_apply_poll(shoal_applier *applier)
{
    if (!applier->waits) return outcome(applier);
    /* pair: apply.over */
    if (!shoal_load_acquire(&applier->over)) return SHOAL_APPLY_PENDING;
    applier->waits = false;
    drop_copies(applier);
    SHOAL_ASSERT(!applier->queues);
    return outcome(applier);
}

/* Runs a command on data whose arguments are borrowed. */
static shoal_applied run_borrowed(shoal_applier *applier, const applied *one)
{
    uint32_t place = one->key_count > 0 ? one->keys[0].place : 0;
    SHOAL_ASSERT(!applier->waits && applier->first == NULL);
    if (one->key_count == 1 && !roams(one)) {
        work now = {.gate = {.op = {.run = run_here}, .places = &place, .count = 1},
                    .applier = applier,
                    .first = one};
        if (shoal_gate_try(applier->options.thread, &now.gate)) return outcome(applier);
    }
    if (!add_copy(applier, one)) return no_memory(applier);
    return run_copies(applier);
}

/* ---- from arguments to commands ---- */

/* Finds the row of a command. NULL after an error. */
static const shoal_command *find(shoal_applier *applier, const shoal_apply_command *given)
{
    SHOAL_ASSERT(given->argc > 0);
    const shoal_command *row = shoal_lookup__find(&applier->lookup, given->argv[0]);
    if (row == NULL) {
        fail_name(applier, "unknown command", given->argv[0]);
        return NULL;
    }
    int64_t argc = given->argc;
    if (row->arity > 0 ? argc == row->arity : argc >= -row->arity) return row;
    fail_name(applier, "wrong number of arguments for", given->argv[0]);
    return NULL;
}

static uint32_t count_keys(const shoal_applier *applier, const shoal_command *row,
                           const shoal_apply_command *given)
{
    uint8_t rule = applier->lookup.key_rules[row->id];
    if (row->key_first == 0 && rule == 0) return 0;
    SHOAL_DEBUG_ASSERT(rule != 0 || row->key_step > 0);
    if (row->id == SHOAL_COMMAND_MOVE) return 2;
    return shoal_keys__count(row, rule, given->argc, given->argv);
}

/* Puts a key into the database that an argument names, if there is such a one. */
static void put_elsewhere(const shoal_applier *applier, shoal_slice number, shoal_key *key)
{
    int64_t db;
    const shoal_env *env = applier->options.env;
    /* pair: env.settings */
    uint32_t databases = shoal_load_acquire(&env->settings)->databases;
    SHOAL_DEBUG_ASSERT(databases > 0);
    if (!shoal_text_to_i64(number, &db) || db < 0 || db >= databases) return;
    *key = shoal_key_make(env->store, (uint32_t)db, key->name);
}

static void make_keys(const shoal_applier *applier, const applied *one, shoal_key *keys)
{
    const shoal_store *store = applier->options.env->store;
    uint8_t rule = applier->lookup.key_rules[one->command->id];
    bool moves = one->command->id == SHOAL_COMMAND_MOVE;
    SHOAL_ASSERT(one->key_count > 0);
    for (uint32_t i = 0; i < one->key_count; i++) {
        uint32_t at = moves ? 1 : shoal_keys__argument(one->command, rule, one->argc, one->argv, i);
        keys[i] = shoal_key_make(store, one->db, one->argv[at]);
    }
    if (moves) put_elsewhere(applier, one->argv[2], &keys[1]);
    for (uint32_t i = 3; one->command->id == SHOAL_COMMAND_COPY && i + 1 < one->argc; i++) {
        if (!shoal_text_is(one->argv[i], "db")) continue;
        put_elsewhere(applier, one->argv[i + 1], &keys[1]);
        return;
    }
}

/* Runs a command on data or databases, or queues it. */
static shoal_applied run_or_queue(shoal_applier *applier, const applied *one)
{
    SHOAL_ASSERT(one->command != NULL);
    if (!applier->queues) return run_borrowed(applier, one);
    return add_copy(applier, one) ? SHOAL_APPLY_DONE : no_memory(applier);
}

/* A command on data, whose row is found. */
static shoal_applied take_data(shoal_applier *applier, const shoal_command *row,
                               const shoal_apply_command *given)
{
    shoal_key small[SMALL], *keys = small;
    applied one = {.command = row, .argc = given->argc, .argv = given->argv, .db = applier->db};
    one.key_count = count_keys(applier, row, given);
    if (one.key_count == 0) {
        fail_name(applier, "no keys for", given->argv[0]);
        return SHOAL_APPLY_FAILED;
    }
    size_t size = one.key_count * sizeof(shoal_key);
    if (one.key_count > SMALL)
        keys = shoal_memory_take(allocator_of(applier), size, SHOAL_ALIGN_PLAIN);
    if (keys == NULL) return no_memory(applier);
    make_keys(applier, &one, keys);
    one.keys = keys;
    shoal_applied how = run_or_queue(applier, &one);
    if (keys != small) shoal_memory_give(allocator_of(applier), keys, size, SHOAL_ALIGN_PLAIN);
    SHOAL_ASSERT(how != SHOAL_APPLY_PENDING || applier->waits);
    return how;
}

/* ---- what is not data ---- */

static shoal_applied take_select(shoal_applier *applier, shoal_slice number)
{
    int64_t db;
    /* pair: env.settings */
    uint32_t databases = shoal_load_acquire(&applier->options.env->settings)->databases;
    SHOAL_DEBUG_ASSERT(databases > 0);
    if (shoal_text_to_i64(number, &db) && db >= 0 && db < databases) {
        applier->db = (uint32_t)db;
        return SHOAL_APPLY_DONE;
    }
    fail(applier, shoal_text(SHOAL_ERROR__NO_DATABASE));
    return SHOAL_APPLY_FAILED;
}

static shoal_applied take_multi(shoal_applier *applier, shoal_command_id id)
{
    SHOAL_ASSERT(!applier->waits);
    if ((id == SHOAL_COMMAND_MULTI) == applier->queues) {
        fail(applier, shoal_text(applier->queues ? "ERR MULTI calls can not be nested"
                                                 : "ERR EXEC without MULTI"));
        return SHOAL_APPLY_FAILED;
    }
    applier->queues = id == SHOAL_COMMAND_MULTI;
    if (id == SHOAL_COMMAND_EXEC) return run_copies(applier);
    if (id == SHOAL_COMMAND_DISCARD) drop_copies(applier);
    return SHOAL_APPLY_DONE;
}

/* Are the arguments of a command on databases what they must be? */
static bool are_databases(const shoal_applier *applier, const shoal_apply_command *given)
{
    int64_t db;
    /* pair: env.settings */
    uint32_t databases = shoal_load_acquire(&applier->options.env->settings)->databases;
    SHOAL_ASSERT(given->argc == 3);
    for (uint32_t i = 1; i < 3; i++) {
        if (!shoal_text_to_i64(given->argv[i], &db) || db < 0 || db >= databases) return false;
    }
    return true;
}

static shoal_applied take_other(shoal_applier *applier, const shoal_command *row,
                                const shoal_apply_command *given)
{
    applied one = {.command = row, .argc = given->argc, .argv = given->argv, .db = applier->db};
    SHOAL_DEBUG_ASSERT(row->id != SHOAL_COMMAND_NONE);
    switch (row->id) {
    case SHOAL_COMMAND_SELECT: return take_select(applier, given->argv[1]);
    case SHOAL_COMMAND_MULTI:
    case SHOAL_COMMAND_EXEC:
    case SHOAL_COMMAND_DISCARD: return take_multi(applier, row->id);
    case SHOAL_COMMAND_PING:
    case SHOAL_COMMAND_REPLCONF: return SHOAL_APPLY_DONE;
    case SHOAL_COMMAND_SWAPDB:
        if (are_databases(applier, given)) return run_or_queue(applier, &one);
        fail(applier, shoal_text(SHOAL_ERROR__NO_DATABASE));
        return SHOAL_APPLY_FAILED;
    case SHOAL_COMMAND_FLUSHALL:
    case SHOAL_COMMAND_FLUSHDB: return run_or_queue(applier, &one);
    default: break;
    }
    fail_name(applier, "this is no effect of a write:", given->argv[0]);
    return SHOAL_APPLY_FAILED;
}

/* PUBLISH and SPUBLISH: in their turn, but they touch no key. */
static shoal_applied take_message(shoal_applier *applier, const shoal_command *row,
                                  const shoal_apply_command *given)
{
    applied one = {.command = row, .argc = given->argc, .argv = given->argv, .db = applier->db};
    SHOAL_DEBUG_ASSERT(given->argc == 3);
    return run_or_queue(applier, &one);
}

/* Words of a replication stream that mean nothing here. */
static bool is_idle(const shoal_apply_command *given)
{
    SHOAL_DEBUG_ASSERT(given->argc > 0);
    return shoal_text_is(given->argv[0], "replconf");
}

/* Applies a command whose row may have been found already. */
static shoal_applied take(shoal_applier *applier, const shoal_command *row,
                          const shoal_apply_command *given)
{
    SHOAL_ASSERT(!applier->waits);
    applier->error.start = applier->error.end = 0;
    if (row == NULL && is_idle(given)) return SHOAL_APPLY_DONE;
    if (row == NULL) row = find(applier, given);
    if (row == NULL) return SHOAL_APPLY_FAILED;
    if (row->executor == SHOAL_RUN_GATED) return take_data(applier, row, given);
    if (row->id == SHOAL_COMMAND_PUBLISH || row->id == SHOAL_COMMAND_SPUBLISH)
        return take_message(applier, row, given);
    /* What reads changes nothing. */
    if (row->executor == SHOAL_RUN_READ) return SHOAL_APPLY_DONE;
    return take_other(applier, row, given);
}

shoal_applied shoal_apply(shoal_applier *applier, const shoal_apply_command *command)
{
    SHOAL_ASSERT(command->argc > 0);
    return take(applier, NULL, command);
}

shoal_applied shoal_apply_keyed(shoal_applier *applier, const shoal_apply_command *command,
                                const shoal_command *row, const shoal_key *key)
{
    const applied one = {.command = row,
                         .argc = command->argc,
                         .argv = command->argv,
                         .keys = key,
                         .key_count = 1,
                         .db = applier->db};
    SHOAL_ASSERT(!applier->waits);
    SHOAL_ASSERT(row->executor == SHOAL_RUN_GATED);
    SHOAL_DEBUG_ASSERT(SHOAL_PLACE_DB(key->place) == applier->db);
    applier->error.start = applier->error.end = 0;
    return run_or_queue(applier, &one);
}

/* ---- many ---- */

/* Finds the rows of some commands, and asks for the memory of the keys of those that have one. */
static void foresee(shoal_applier *applier, const shoal_apply_command *commands, uint32_t count,
                    const shoal_command **rows)
{
    shoal_key keys[TOGETHER];
    const shoal_store *store = applier->options.env->store;
    uint32_t found = 0;
    SHOAL_ASSERT(count <= TOGETHER);
    for (uint32_t i = 0; i < count; i++) {
        const shoal_apply_command *given = &commands[i];
        const shoal_command *row = shoal_lookup__find(&applier->lookup, given->argv[0]);
        int64_t argc = given->argc;
        bool fits = row != NULL && (row->arity > 0 ? argc == row->arity : argc >= -row->arity);
        rows[i] = fits ? row : NULL;
        if (!fits || row->executor != SHOAL_RUN_GATED || row->key_first == 0) continue;
        keys[found] = shoal_key_make(store, applier->db, given->argv[row->key_first]);
        shoal_store_prefetch_gate(store, &keys[found++]);
    }
    shoal_store_prefetch_buckets(store, keys, found);
    (void)shoal_store_prefetch_items(store, keys, found);
}

shoal_applied shoal_apply_batch(shoal_applier *applier, const shoal_apply_command *commands,
                                uint32_t count, uint32_t *used)
{
    const shoal_command *rows[TOGETHER];
    SHOAL_ASSERT(!applier->waits);
    *used = 0;
    while (*used < count) {
        uint32_t some = count - *used < TOGETHER ? count - *used : TOGETHER;
        const shoal_apply_command *first = commands + *used;
        foresee(applier, first, some, rows);
        for (uint32_t i = 0; i < some; i++) {
            ++*used;
            shoal_applied how = take(applier, rows[i], &first[i]);
            if (how != SHOAL_APPLY_DONE) return how;
        }
    }
    return SHOAL_APPLY_DONE;
}
