/* SPDX-License-Identifier: MIT
 *
 * command/debug_populate.c - DEBUG POPULATE: many string keys at once, "key:0" with "value:0" and
 * so on, each put under the gate of its place. Keys that exist stay as they are. In a cluster,
 * slots are not heeded, as with Redis.
 */
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "command/debug.h"
#include "command/places.h"
#include "command/worker.h"

/* The job. Behind it: the name, which changes from stop to stop, and the value. */
typedef struct populate {
    shoal_places places; /* first */
    size_t memory;
    char *name;
    size_t prefix_size, name_size;
    char *value;
    size_t value_size; /* 0: as long as the text is */
    bool failed;
} populate;

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(job->drop == drop);
    shoal_memory_give(allocator, job, ((populate *)job)->memory, SHOAL_ALIGN_PLAIN);
}

/* Stop n is the place of key number n. */
static void find(shoal_places *places, shoal_call *call)
{
    populate *work = (populate *)places;
    SHOAL_ASSERT(places->next < places->end);
    size_t digits = shoal_text_from_u64(work->name + work->prefix_size, places->next);
    work->name_size = work->prefix_size + digits;
    places->place =
        SHOAL_PLACE(call->db, shoal_key_slot((shoal_slice){work->name, work->name_size}));
}

/* The value of key `number`: a text, cut or filled with zeros where a size was given. */
static shoal_slice make_value(populate *work, uint64_t number, char text[32])
{
    memcpy(text, "value:", 6);
    size_t size = 6 + shoal_text_from_u64(text + 6, number);
    SHOAL_ASSERT(size < 32);
    if (work->value_size == 0) return (shoal_slice){text, size};
    memset(work->value, 0, work->value_size < 32 ? work->value_size : 32);
    memcpy(work->value, text, size < work->value_size ? size : work->value_size);
    return (shoal_slice){work->value, work->value_size};
}

static void visit(shoal_places *places, shoal_call *call)
{
    populate *work = (populate *)places;
    shoal_slice name = {work->name, work->name_size};
    shoal_key key = shoal_key_make(call->store, call->db, name);
    SHOAL_ASSERT(key.place == places->place && call->gated);
    if (work->failed || shoal_store_get_locked(call->thread, &key) != NULL) return;
    char text[32];
    shoal_slice value = make_value(work, places->next, text);
    work->failed = shoal_store_put_locked(call->thread, &key, value, -1) != 0;
    if (work->failed) places->next = places->end - 1;
}

static shoal_job_turn finish(shoal_places *places, shoal_call *call)
{
    SHOAL_ASSERT(places->next == places->end);
    if (((populate *)places)->failed) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
    } else {
        shoal_reply_ok(&call->reply);
    }
    return SHOAL_JOB_DONE;
}

static populate *make_job(const shoal_call *call, int64_t count, shoal_slice prefix, int64_t size)
{
    const shoal_allocator *allocator = &call->env->allocator;
    SHOAL_ASSERT(count >= 0 && size >= 0);
    size_t memory = sizeof(populate) + prefix.size + 1 + SHOAL_TEXT_INTEGER_SIZE + (size_t)size;
    populate *work = shoal_memory_take_zeroed(allocator, memory, SHOAL_ALIGN_PLAIN);
    if (work == NULL) return NULL;
    work->places = (shoal_places){.job = {.step = shoal_places__step, .drop = drop},
                                  .end = (uint64_t)count,
                                  .find = find,
                                  .visit = visit,
                                  .finish = finish};
    work->memory = memory;
    work->name = (char *)(work + 1);
    memcpy(work->name, prefix.data, prefix.size);
    work->name[prefix.size] = ':';
    work->prefix_size = prefix.size + 1;
    work->value = work->name + work->prefix_size + SHOAL_TEXT_INTEGER_SIZE;
    work->value_size = (size_t)size;
    return work;
}

/* Argument `index` as a number from 0 to `max`. False after writing an error. */
static bool take_positive(shoal_call *call, uint32_t index, int64_t max, int64_t *value)
{
    SHOAL_ASSERT(index < call->argc);
    if (shoal_text_to_i64(call->argv[index], value) && *value >= 0 && *value <= max) return true;
    shoal_reply_error(&call->reply, "ERR value is out of range, must be positive");
    return false;
}

void shoal_debug__populate(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3 && call->argc <= 5);
    int64_t count, size = 0;
    if (!take_positive(call, 2, INT64_MAX, &count)) return;
    if (call->argc == 5 && !take_positive(call, 4, SHOAL_VALUE_SIZE_MAX, &size)) return;
    shoal_slice prefix = call->argc > 3 ? call->argv[3] : shoal_text("key");
    populate *work = make_job(call, count, prefix, size);
    if (work == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    shoal_worker__dirty(call->worker);
    shoal_job__start(&work->places.job, call);
}
