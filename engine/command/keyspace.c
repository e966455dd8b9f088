/* SPDX-License-Identifier: MIT
 *
 * command/keyspace.c - the names of a database as a whole: KEYS, SCAN, RANDOMKEY, DBSIZE. They read
 * without gates. What takes longer than a step goes on as a job, so that a database of millions of
 * keys keeps nobody else from being served.
 *
 * What KEYS promises, in a database that others write to meanwhile, is what a whole SCAN promises:
 * every key that was there all the time, exactly once.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/collection.h"
#include "command/handlers.h"
#include "command/job.h"

/* Keys that a bucket of a full table holds. */
#define KEYS_PER_BUCKET 5u
/* Buckets that a step visits: some hundred microseconds where their items are in no cache. */
#define STEP_BUCKETS 256u
/* What one SCAN visits by default, as Redis. */
#define SCAN_COUNT_DEFAULT 10

/* A walk: what it looks for, how far it has come and what it has found. */
typedef struct walk {
    shoal_job job; /* first */
    size_t memory; /* of the job, when it is one */
    uint64_t cursor;
    uint64_t count;         /* of keys to be visited, and of buckets; UINT64_MAX: all */
    uint64_t visited, seen; /* keys, buckets */
    shoal_slice pattern;    /* with `matching` */
    shoal_slice type;       /* with `typed` */
    bool matching, typed;
    bool tells_cursor; /* SCAN */
    shoal_reply reply; /* for `names` */
    shoal_buffer names;
    size_t found;
} walk;

static void visit(void *context, const shoal_item *item)
{
    SHOAL_DEBUG_ASSERT(item != NULL);
    walk *wanted = context;
    shoal_slice name = shoal_item_name(item);
    wanted->visited++;
    if (wanted->matching && !shoal_text_glob(wanted->pattern, name, false)) return;
    if (wanted->typed && !shoal_text_is(wanted->type, shoal_value_type_name(shoal_item_type(item))))
        return;
    shoal_reply_bulk(&wanted->reply, name);
    wanted->found++;
}

static bool matches_all(shoal_slice pattern)
{
    return pattern.size == 1 && pattern.data[0] == '*';
}

/* Visits some more buckets. True when the walk is over. Buckets may hold one key or several, so a
 * SCAN goes on until there are as many keys as it was asked for, but never for more buckets. */
static bool walk_on(walk *wanted, shoal_call *call)
{
    SHOAL_ASSERT(wanted->visited < wanted->count && wanted->seen < wanted->count);
    wanted->reply = (shoal_reply){.out = &wanted->names, .protocol = call->reply.protocol};
    uint32_t left = STEP_BUCKETS;
    do {
        uint64_t missing = (wanted->count - wanted->visited) / KEYS_PER_BUCKET + 1;
        shoal_scan scan = {call->db, 0, SHOAL_SLOTS - 1, missing < left ? (uint32_t)missing : left};
        shoal_store_scan(call->thread, &scan, &wanted->cursor, visit, wanted);
        wanted->seen += scan.count;
        left -= scan.count;
        if (wanted->cursor == 0) return true;
        if (wanted->visited >= wanted->count || wanted->seen >= wanted->count) return true;
    } while (left > 0);
    return false;
}

static void reply_walk(walk *wanted, shoal_call *call)
{
    SHOAL_ASSERT(wanted->found <= wanted->visited);
    if (wanted->tells_cursor) {
        char digits[SHOAL_TEXT_INTEGER_SIZE];
        size_t size = shoal_text_from_u64(digits, wanted->cursor);
        shoal_reply_array(&call->reply, 2);
        shoal_reply_bulk(&call->reply, (shoal_slice){digits, size});
    }
    shoal_reply_array(&call->reply, wanted->found);
    shoal_buffer_append(call->reply.out, shoal_buffer_slice(&wanted->names));
    if (wanted->names.failed) call->reply.out->failed = true;
    shoal_buffer_free(&wanted->names);
}

static shoal_job_turn step(shoal_job *job, shoal_call *call)
{
    walk *wanted = (walk *)job;
    SHOAL_ASSERT(call->argc >= 2);
    if (!walk_on(wanted, call)) return SHOAL_JOB_AGAIN;
    reply_walk(wanted, call);
    return SHOAL_JOB_DONE;
}

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    walk *wanted = (walk *)job;
    SHOAL_ASSERT(job->step == step);
    shoal_buffer_free(&wanted->names);
    shoal_memory_give(allocator, wanted, wanted->memory, SHOAL_ALIGN_PLAIN);
}

/* A job that carries on what `begun` has begun, with copies of what that borrows. NULL without
 * memory. */
static walk *make_job(const walk *begun, const shoal_allocator *allocator)
{
    size_t memory = sizeof(walk) + begun->pattern.size + begun->type.size;
    walk *wanted = shoal_memory_take(allocator, memory, SHOAL_ALIGN_PLAIN);
    SHOAL_ASSERT(begun->cursor != 0);
    if (wanted == NULL) return NULL;
    *wanted = *begun;
    wanted->job = (shoal_job){.step = step, .drop = drop};
    wanted->memory = memory;
    char *bytes = (char *)(wanted + 1);
    if (begun->pattern.size > 0) memcpy(bytes, begun->pattern.data, begun->pattern.size);
    wanted->pattern.data = bytes;
    bytes += begun->pattern.size;
    if (begun->type.size > 0) memcpy(bytes, begun->type.data, begun->type.size);
    wanted->type.data = bytes;
    return wanted;
}

/* Takes the first step, and leaves the others to a job. */
static void run_walk(walk *begun, shoal_call *call)
{
    SHOAL_ASSERT(begun->count > 0);
    const shoal_allocator *allocator = &call->env->allocator;
    begun->names = shoal_buffer_make(allocator);
    bool over = walk_on(begun, call);
    while (!over && call->whole) over = walk_on(begun, call);
    if (over) {
        reply_walk(begun, call);
        return;
    }
    walk *job = make_job(begun, allocator);
    if (job != NULL) {
        call->job = &job->job;
        return;
    }
    shoal_buffer_free(&begun->names);
    shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
}

void shoal_command__keys(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    SHOAL_ASSERT(call->key_count == 0);
    shoal_slice pattern = call->argv[1];
    walk wanted = {.count = UINT64_MAX, .pattern = pattern, .matching = !matches_all(pattern)};
    run_walk(&wanted, call);
}

/* ---- SCAN ---- */

/* Takes option `index` with its argument. False after writing an error. */
static bool take_scan_option(shoal_call *call, uint32_t index, walk *wanted)
{
    SHOAL_ASSERT(index < call->argc);
    if (index + 1 == call->argc) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    if (shoal_call__word(call, index, "count")) {
        int64_t count;
        if (!shoal_call__integer(call, index + 1, &count)) return false;
        wanted->count = (uint64_t)count;
        if (count >= 1) return true;
    } else if (shoal_call__word(call, index, "match")) {
        wanted->pattern = call->argv[index + 1];
        wanted->matching = !matches_all(wanted->pattern);
        return true;
    } else if (shoal_call__word(call, index, "type")) {
        wanted->type = call->argv[index + 1];
        wanted->typed = true;
        return true;
    }
    shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
    return false;
}

void shoal_command__scan(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    walk wanted = {.count = SCAN_COUNT_DEFAULT, .tells_cursor = true};
    if (!shoal_scan__cursor(call, 1, &wanted.cursor)) return;
    for (uint32_t i = 2; i < call->argc; i += 2) {
        if (!take_scan_option(call, i, &wanted)) return;
    }
    run_walk(&wanted, call);
}

/* ---- single answers ---- */

void shoal_command__randomkey(shoal_call *call)
{
    const shoal_item *item = shoal_store_random(call->thread, call->db);
    SHOAL_ASSERT(call->argc == 1);
    if (item == NULL) {
        shoal_reply_null(&call->reply);
    } else {
        shoal_reply_bulk(&call->reply, shoal_item_name(item));
    }
}

void shoal_command__dbsize(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 1);
    shoal_reply_integer(&call->reply, (int64_t)shoal_store_count(call->store, call->db));
}
