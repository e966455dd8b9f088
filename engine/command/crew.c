/* SPDX-License-Identifier: MIT
 *
 * command/crew.h: a batch is a buffer of records for one worker, which goes to and fro between the
 * inbox of that and of the control actor. Its keys are looked up some at a time, so that what they
 * need from memory comes at the same time.
 */
#include "command/crew.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "command/apply.h"
#include "command/dump.h"
#include "command/keys.h"
#include "command/worker.h"

/* Bytes of a batch. Chosen: some thousand small keys, a fraction of a millisecond. Each that comes
 * home wakes the control actor, so they are not smaller. */
#define BATCH_BYTES ((size_t)256 << 10)
/* Records that are looked up together: what a core can have under way, a few times over. */
#define TOGETHER 32u
/* Commands that follow one that must be alone are run by the control actor too, so many: going to
 * and fro costs more than a crew gains. Chosen. */
#define COMMANDS_ALONE 256u

/* In front of each record. */
typedef struct record {
    uint32_t size;  /* of all, this included */
    uint32_t place; /* of the key */
    uint64_t hash;
    uint64_t offset;
    int64_t expires_ms;
    uint32_t name_size; /* of a value */
    uint32_t argc;      /* of a command; 0: it is a value */
    uint32_t kind;      /* of a value; the row of a command */
    uint32_t db;        /* of a command */
    int32_t idle_s;     /* of a value, < 0: not known */
    int32_t frequency;  /* the same */
} record;
_Static_assert(sizeof(record) == 56, "no holes");

/* Records for one worker. */
typedef struct batch {
    shoal_op op;        /* first */
    struct batch *next; /* of all */
    struct batch *spare;
    shoal_crew *crew;
    uint32_t worker;
    shoal_buffer bytes;
    const char *reason; /* of the first value that is damaged */
    uint64_t offset;
} batch;

/* What a worker has for it. */
typedef struct member {
    shoal_thread *thread;
    shoal_applier *applier;
    shoal_rdb_loader loader;
    batch *filling;
} member;

struct shoal_crew {
    shoal_crew_options options;
    shoal_allocator allocator;
    member *members;
    uint32_t count, opened;
    batch *all, *spare;
    uint32_t under_way; /* batches */
    uint64_t bytes;     /* of them */
    uint32_t db;
    uint64_t keys, last_hash; /* see shoal_crew_keys */
    uint32_t alone;           /* commands that the caller runs before the crew takes any again */
    const char *reason;
    uint64_t offset;
    shoal_lookup lookup;
};

/* ---- on the worker ---- */

/* A value on its way under its gate. */
typedef struct put_op {
    shoal_gate_op gate; /* first */
    const shoal_crew *crew;
    shoal_rdb_loader *loader;
    const record *head;
    shoal_key key;
    shoal_err error;
} put_op;

static void run_put(shoal_op *op, void *runner)
{
    put_op *put = (put_op *)op;
    SHOAL_DEBUG_ASSERT(put->gate.held == 1);
    put->error = shoal_dump_store(runner, &put->key, put->loader, put->head->expires_ms);
    if (put->error != SHOAL_ERR_OK) return;
    shoal_dump_set_heat(runner, &put->key, put->head->idle_s, put->head->frequency);
}

/* A string that needs no reading on its way under its gate. */
typedef struct put_string_op {
    shoal_gate_op gate; /* first */
    const record *head;
    shoal_key key;
    shoal_slice value;
    shoal_err error;
} put_string_op;

static void run_put_string(shoal_op *op, void *runner)
{
    put_string_op *put = (put_string_op *)op;
    const record *head = put->head;
    SHOAL_DEBUG_ASSERT(put->gate.held == 1);
    put->error = shoal_store_put_locked(runner, &put->key, put->value, head->expires_ms);
    if (put->error != SHOAL_ERR_OK || (head->idle_s < 0 && head->frequency < 0)) return;
    shoal_dump_set_heat(runner, &put->key, head->idle_s, head->frequency);
}

static void complain(batch *of, uint64_t offset, const char *reason)
{
    SHOAL_ASSERT(reason != NULL);
    if (of->reason != NULL) return;
    of->reason = reason;
    of->offset = offset;
}

/* The key that a record of a value is about. */
static shoal_key key_of(const record *head, const char *bytes)
{
    SHOAL_DEBUG_ASSERT(head->argc == 0);
    return (shoal_key){{bytes + sizeof(*head), head->name_size}, head->hash, head->place};
}

/* Most values are strings that stand there as they are. */
static void put_string(batch *from, const record *head, const char *bytes, shoal_slice value)
{
    shoal_thread *thread = from->crew->members[from->worker].thread;
    put_string_op put = {.gate = {.op = {.run = run_put_string}, .count = 1},
                         .head = head,
                         .key = key_of(head, bytes),
                         .value = value};
    SHOAL_DEBUG_ASSERT(head->kind == SHOAL_RDB_STRING);
    put.gate.places = &put.key.place;
    /* Only background work competes, which lets a gate go soon. */
    while (!shoal_gate_try(thread, &put.gate)) continue;
    if (put.error != SHOAL_ERR_OK) complain(from, head->offset, "no memory");
}

static void put_value(batch *from, const record *head, const char *bytes)
{
    member *with = &from->crew->members[from->worker];
    size_t at = sizeof(*head) + head->name_size;
    SHOAL_DEBUG_ASSERT(head->argc == 0 && at <= head->size);
    const shoal_slice value = {bytes + at, head->size - at};
    shoal_slice plain;
    if (head->kind == SHOAL_RDB_STRING && shoal_rdb_is_plain(value, &plain)) {
        put_string(from, head, bytes, plain);
        return;
    }
    shoal_rdb_status status = shoal_rdb_read_value(&with->loader, head->kind, value);
    /* Some versions of Redis wrote empty ones, and pass over them. */
    if (status == SHOAL_RDB_EMPTY) return;
    if (status != SHOAL_RDB_OK) {
        const char *reason = status == SHOAL_RDB_NO_MEMORY ? "no memory" : with->loader.reason;
        complain(from, head->offset, reason != NULL ? reason : "damaged");
        return;
    }
    put_op put = {.gate = {.op = {.run = run_put}, .count = 1},
                  .crew = from->crew,
                  .loader = &with->loader,
                  .head = head,
                  .key = key_of(head, bytes)};
    put.gate.places = &put.key.place;
    /* Only background work competes, which lets a gate go soon. */
    while (!shoal_gate_try(with->thread, &put.gate)) continue;
    if (put.error != SHOAL_ERR_OK) complain(from, head->offset, "no memory");
}

static void apply(batch *from, const record *head, const char *bytes)
{
    shoal_applier *applier = from->crew->members[from->worker].applier;
    const shoal_command *row = shoal_command_row((shoal_command_id)head->kind);
    shoal_slice argv[SHOAL_CREW__ARGUMENTS];
    const char *sizes = bytes + sizeof(*head), *at = sizes + head->argc * sizeof(uint32_t);
    SHOAL_ASSERT(head->argc > 0 && head->argc <= SHOAL_CREW__ARGUMENTS);
    for (uint32_t i = 0; i < head->argc; i++) {
        uint32_t size;
        memcpy(&size, sizes + i * sizeof(size), sizeof(size));
        argv[i] = (shoal_slice){at, size};
        at += size;
    }
    shoal_applier_select(applier, head->db);
    const shoal_apply_command command = {.argv = argv, .argc = head->argc};
    const shoal_key key = {argv[row->key_first], head->hash, head->place};
    shoal_applied how = shoal_apply_keyed(applier, &command, row, &key);
    /* What failed when it was written fails again, and is no damage. */
    while (how == SHOAL_APPLY_PENDING) how = shoal_apply_poll(applier);
}

/* Does the `count` records that begin at `bytes`. */
static void do_some(batch *from, const char *bytes, uint32_t count)
{
    record head;
    SHOAL_ASSERT(count <= TOGETHER);
    for (uint32_t i = 0; i < count; i++, bytes += head.size) {
        memcpy(&head, bytes, sizeof(head));
        if (head.argc == 0) {
            put_value(from, &head, bytes);
        } else {
            apply(from, &head, bytes);
        }
    }
}

/* Asks for the memory of the keys of the next records. Returns their number, and their bytes. */
static uint32_t foresee(const batch *from, shoal_slice bytes, size_t *size)
{
    const shoal_store *store = from->crew->options.env->store;
    shoal_key keys[TOGETHER];
    uint32_t count = 0;
    record head;
    SHOAL_DEBUG_ASSERT(bytes.size >= sizeof(head));
    for (*size = 0; *size < bytes.size && count < TOGETHER; *size += head.size) {
        memcpy(&head, bytes.data + *size, sizeof(head));
        keys[count] = (shoal_key){.hash = head.hash, .place = head.place};
        shoal_store_prefetch_gate(store, &keys[count++]);
    }
    shoal_store_prefetch_buckets(store, keys, count);
    (void)shoal_store_prefetch_items(store, keys, count);
    return count;
}

/* A batch is home: on the control actor. */
static void come_home(shoal_op *op, void *runner)
{
    batch *home = (batch *)op;
    shoal_crew *crew = home->crew;
    SHOAL_ASSERT(crew->under_way > 0);
    (void)runner;
    crew->under_way--;
    crew->bytes -= shoal_buffer_size(&home->bytes);
    if (home->reason != NULL && crew->reason == NULL) {
        crew->reason = home->reason;
        crew->offset = home->offset;
    }
    home->bytes.start = home->bytes.end = 0;
    home->spare = crew->spare;
    crew->spare = home;
}

static void run_batch(shoal_op *op, void *runner)
{
    batch *now = (batch *)op;
    shoal_env *env = now->crew->options.env;
    shoal_slice left = shoal_buffer_slice(&now->bytes);
    SHOAL_ASSERT(((shoal_worker *)runner)->index == now->worker);
    member *with = &now->crew->members[now->worker];
    with->loader.prng = shoal_thread_prng(with->thread);
    while (left.size > 0) {
        size_t size;
        uint32_t count = foresee(now, left, &size);
        do_some(now, left.data, count);
        left.data += size;
        left.size -= size;
    }
    now->op.run = come_home;
    if (shoal_inbox_push(env->control, &now->op))
        env->host->nudge(env->host->context, SHOAL_ACTOR_CONTROL);
}

/* ---- opening and closing ---- */

static shoal_err open_member(shoal_crew *crew, uint32_t index)
{
    shoal_env *env = crew->options.env;
    member *with = &crew->members[index];
    SHOAL_ASSERT(index < env->worker_count);
    with->thread = shoal_store_thread(env->store, index);
    const shoal_applier_options options = {.env = env, .thread = with->thread};
    shoal_err error = shoal_applier_open(&options, &with->applier);
    if (error != SHOAL_ERR_OK) return error;
    /* The worker brings its random stream with it. */
    shoal_rdb_loader_open(&with->loader, &crew->allocator, shoal_thread_allocator(with->thread),
                          NULL);
    with->loader.limits = crew->options.limits;
    crew->opened++;
    return SHOAL_ERR_OK;
}

shoal_err shoal_crew_open(const shoal_crew_options *options, shoal_crew **out)
{
    const shoal_allocator *allocator = &options->env->allocator;
    uint32_t count = options->env->worker_count;
    SHOAL_ASSERT(count > 0);
    shoal_crew *crew = shoal_memory_take_zeroed(allocator, sizeof(*crew), SHOAL_ALIGN_PLAIN);
    if (crew == NULL) return SHOAL_ERR_NO_MEMORY;
    crew->options = *options;
    crew->allocator = *allocator;
    crew->count = count;
    crew->members = shoal_memory_take_zeroed(allocator, count * sizeof(member), SHOAL_ALIGN_PLAIN);
    shoal_lookup__make(&crew->lookup);
    shoal_err error = crew->members == NULL ? SHOAL_ERR_NO_MEMORY : SHOAL_ERR_OK;
    for (uint32_t i = 0; i < count && error == SHOAL_ERR_OK; i++) error = open_member(crew, i);
    if (error != SHOAL_ERR_OK) {
        shoal_crew_close(crew);
        return error;
    }
    *out = crew;
    return SHOAL_ERR_OK;
}

void shoal_crew_close(shoal_crew *crew)
{
    if (crew == NULL) return;
    const shoal_allocator allocator = crew->allocator;
    for (uint32_t i = 0; i < crew->opened; i++) {
        shoal_applier_close(crew->members[i].applier);
        shoal_rdb_loader_close(&crew->members[i].loader);
    }
    while (crew->all != NULL) {
        batch *each = crew->all;
        SHOAL_ASSERT(each->crew == crew);
        crew->all = each->next;
        shoal_buffer_free(&each->bytes);
        shoal_memory_give(&allocator, each, sizeof(*each), SHOAL_ALIGN_PLAIN);
    }
    shoal_memory_give(&allocator, crew->members, crew->count * sizeof(member), SHOAL_ALIGN_PLAIN);
    shoal_memory_give(&allocator, crew, sizeof(*crew), SHOAL_ALIGN_PLAIN);
}

/* ---- on the control actor ---- */

static void send(shoal_crew *crew, uint32_t worker)
{
    member *to = &crew->members[worker];
    batch *full = to->filling;
    SHOAL_ASSERT(full != NULL && full->worker == worker);
    to->filling = NULL;
    crew->under_way++;
    crew->bytes += shoal_buffer_size(&full->bytes);
    full->op.run = run_batch;
    shoal_worker__post(crew->options.env->workers[worker], &full->op);
}

void shoal_crew_send(shoal_crew *crew)
{
    SHOAL_ASSERT(crew->opened == crew->count);
    for (uint32_t i = 0; i < crew->count; i++) {
        if (crew->members[i].filling != NULL) send(crew, i);
    }
}

/* An empty batch. NULL without memory. */
static batch *empty_batch(shoal_crew *crew, uint32_t worker)
{
    batch *made = crew->spare;
    if (made != NULL) {
        crew->spare = made->spare;
    } else {
        made = shoal_memory_take_zeroed(&crew->allocator, sizeof(*made), SHOAL_ALIGN_PLAIN);
        if (made == NULL) return NULL;
        made->crew = crew;
        made->bytes = shoal_buffer_make(&crew->allocator);
        made->next = crew->all;
        crew->all = made;
    }
    SHOAL_ASSERT(shoal_buffer_size(&made->bytes) == 0);
    made->worker = worker;
    made->reason = NULL;
    return made;
}

/* Room for a record of a key, whose head is written. NULL without memory. */
static char *add_record(shoal_crew *crew, const shoal_key *key, record *head)
{
    uint32_t worker = SHOAL_PLACE_SLOT(key->place) % crew->count;
    member *to = &crew->members[worker];
    SHOAL_DEBUG_ASSERT(head->size >= sizeof(*head));
    if (to->filling != NULL && shoal_buffer_size(&to->filling->bytes) + head->size > BATCH_BYTES)
        send(crew, worker);
    if (to->filling == NULL) to->filling = empty_batch(crew, worker);
    if (to->filling == NULL) return NULL;
    shoal_buffer *bytes = &to->filling->bytes;
    size_t room =
        shoal_buffer_size(bytes) == 0 && head->size < BATCH_BYTES ? BATCH_BYTES : head->size;
    char *at = shoal_buffer_reserve(bytes, room);
    if (at == NULL) return NULL;
    head->hash = key->hash;
    head->place = key->place;
    memcpy(at, head, sizeof(*head));
    bytes->end += head->size;
    return at + sizeof(*head);
}

bool shoal_crew_take_value(shoal_crew *crew, const shoal_crew_value *value)
{
    shoal_key key = shoal_key_make(crew->options.env->store, value->db, value->name);
    record head = {.size = (uint32_t)(sizeof(head) + value->name.size + value->value.size),
                   .offset = value->offset,
                   .expires_ms = value->expires_ms,
                   .name_size = (uint32_t)value->name.size,
                   .kind = value->kind,
                   .idle_s = value->idle_s < INT32_MAX ? (int32_t)value->idle_s : INT32_MAX,
                   .frequency = value->frequency};
    SHOAL_ASSERT(value->frequency <= UINT8_MAX);
    SHOAL_ASSERT(value->name.size <= SHOAL_KEY_SIZE_MAX);
    SHOAL_ASSERT(value->value.size <= SHOAL_KEY_SIZE_MAX);
    char *at = add_record(crew, &key, &head);
    if (at == NULL) return false;
    if (value->name.size > 0) memcpy(at, value->name.data, value->name.size);
    if (value->value.size > 0) memcpy(at + value->name.size, value->value.data, value->value.size);
    return true;
}

/* Which argument of a command is the one key that it is about; 0: it must be alone. */
static uint32_t find_key(const shoal_crew *crew, const shoal_command *row, uint32_t argc)
{
    SHOAL_DEBUG_ASSERT(argc > 0);
    if (row == NULL || row->executor != SHOAL_RUN_GATED) return 0;
    if (row->arity > 0 ? (int64_t)argc != row->arity : (int64_t)argc < -row->arity) return 0;
    if (argc > SHOAL_CREW__ARGUMENTS || crew->lookup.key_rules[row->id] != 0) return 0;
    /* MOVE and SORT are about more than their rows tell. */
    if (row->id == SHOAL_COMMAND_MOVE || row->id == SHOAL_COMMAND_SORT) return 0;
    if (row->key_last != row->key_first) {
        /* DEL key, say: many could be named, one is. */
        if (row->key_last >= 0 || row->key_first <= 0 || argc != (uint32_t)row->key_first + 1)
            return 0;
    }
    return row->key_first > 0 ? (uint32_t)row->key_first : 0;
}

/* SELECT goes by without waiting: each record says its database. */
static bool follow_select(shoal_crew *crew, const shoal_slice *argv, uint32_t argc)
{
    int64_t db;
    if (argc != 2 || !shoal_text_is(argv[0], "select")) return false;
    /* pair: env.settings */
    const shoal_settings *settings = shoal_load_acquire(&crew->options.env->settings);
    SHOAL_DEBUG_ASSERT(settings->databases > 0);
    if (shoal_text_to_i64(argv[1], &db) && db >= 0 && db < settings->databases)
        crew->db = (uint32_t)db;
    return true;
}

shoal_crew_taken shoal_crew_take_command(shoal_crew *crew, const shoal_slice *argv, uint32_t argc)
{
    SHOAL_ASSERT(argc > 0);
    const shoal_command *row = shoal_lookup__find(&crew->lookup, argv[0]);
    uint32_t at = find_key(crew, row, argc);
    uint64_t size = sizeof(record) + argc * sizeof(uint32_t);
    if (at == 0 && follow_select(crew, argv, argc)) return SHOAL_CREW_BESIDE;
    for (uint32_t i = 0; at != 0 && i < argc; i++) size += argv[i].size;
    if (at == 0 || size > UINT32_MAX / 2) {
        crew->alone = COMMANDS_ALONE;
        return SHOAL_CREW_ALONE;
    }
    if (crew->alone > 0) {
        crew->alone--;
        return SHOAL_CREW_ALONE;
    }
    shoal_key key = shoal_key_make(crew->options.env->store, crew->db, argv[at]);
    record head = {.size = (uint32_t)size, .argc = argc, .kind = row->id, .db = crew->db};
    if (key.hash != crew->last_hash) crew->keys++;
    crew->last_hash = key.hash;
    char *to = add_record(crew, &key, &head);
    if (to == NULL) return SHOAL_CREW_NO_MEMORY;
    char *bytes = to + argc * sizeof(uint32_t);
    for (uint32_t i = 0; i < argc; i++) {
        uint32_t length = (uint32_t)argv[i].size;
        memcpy(to + i * sizeof(length), &length, sizeof(length));
        if (length > 0) memcpy(bytes, argv[i].data, length);
        bytes += length;
    }
    return SHOAL_CREW_TAKEN;
}

void shoal_crew_begin(shoal_crew *crew)
{
    SHOAL_ASSERT(crew->opened == crew->count);
    crew->db = 0;
    crew->keys = 0;
}

uint64_t shoal_crew_keys(const shoal_crew *crew)
{
    SHOAL_ASSERT(crew->opened == crew->count);
    return crew->keys;
}

bool shoal_crew_is_idle(const shoal_crew *crew)
{
    SHOAL_ASSERT(crew->opened == crew->count);
    for (uint32_t i = 0; i < crew->count; i++) {
        if (crew->members[i].filling != NULL) return false;
    }
    return crew->under_way == 0;
}

bool shoal_crew_is_full(const shoal_crew *crew)
{
    SHOAL_ASSERT((crew->under_way == 0) == (crew->bytes == 0));
    return crew->bytes >= SHOAL_CREW_BYTES_MAX;
}

const char *shoal_crew_trouble(const shoal_crew *crew, uint64_t *offset)
{
    SHOAL_ASSERT(offset != NULL);
    if (crew->reason != NULL) *offset = crew->offset;
    return crew->reason;
}
