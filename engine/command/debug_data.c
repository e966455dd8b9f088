/* SPDX-License-Identifier: MIT
 *
 * command/debug_data.c - subcommands of DEBUG that look at data: OBJECT, DIGEST, DIGEST-VALUE and
 * HTSTATS-KEY. Each goes from place to place under their gates, one at a time (places.h); what
 * digests are made of stands in debug_digest.c.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "command/debug.h"
#include "command/places.h"
#include "command/worker.h"

/* A job that visits all places of the store, or those of the keys among the arguments. */
typedef struct look {
    shoal_places places; /* first */
    void (*visit)(struct look *look, shoal_call *call, const shoal_item *item);
    bool expired_too;       /* keys whose time has come, but which are still there */
    shoal_debug__data data; /* DIGEST */
} look;

/* ---- jobs ---- */

static void drop(shoal_job *job, const shoal_allocator *allocator)
{
    SHOAL_ASSERT(job->drop == drop);
    shoal_memory_give(allocator, job, sizeof(look), SHOAL_ALIGN_PLAIN);
}

static shoal_job_turn done(shoal_places *places, shoal_call *call)
{
    SHOAL_ASSERT(places->next == places->end);
    (void)call;
    return SHOAL_JOB_DONE;
}

/* Stop n is the place of the key that is argument n. */
static void find_argument(shoal_places *places, shoal_call *call)
{
    SHOAL_ASSERT(places->next < call->argc);
    places->place = SHOAL_PLACE(call->db, shoal_key_slot(call->argv[places->next]));
}

static void visit_argument(shoal_places *places, shoal_call *call)
{
    look *work = (look *)places;
    shoal_key key = shoal_key_make(call->store, call->db, call->argv[places->next]);
    SHOAL_ASSERT(key.place == places->place && call->gated);
    if (work->expired_too) shoal_thread_follow(call->thread, true);
    const shoal_item *item = shoal_store_get_locked(call->thread, &key);
    if (work->expired_too) shoal_thread_follow(call->thread, false);
    work->visit(work, call, item);
}

static void start(shoal_call *call, const look *what)
{
    look *work = shoal_memory_take(&call->env->allocator, sizeof(*work), SHOAL_ALIGN_PLAIN);
    SHOAL_ASSERT(what->places.visit != NULL);
    if (work == NULL) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__MEMORY);
        return;
    }
    *work = *what;
    work->places.job = (shoal_job){.step = shoal_places__step, .drop = drop};
    shoal_worker__dirty(call->worker);
    shoal_job__start(&work->places.job, call);
}

/* Calls what->visit for the keys from argument 2 on, each under its gate. */
static void start_keys(shoal_call *call, const look *what)
{
    SHOAL_ASSERT(call->argc >= 2);
    SHOAL_ASSERT(what->visit != NULL);
    look work = *what;
    work.places.next = 2;
    work.places.end = call->argc;
    work.places.find = find_argument;
    work.places.visit = visit_argument;
    work.places.finish = done;
    start(call, &work);
}

/* ---- DIGEST ---- */

static void add_place(shoal_places *places, shoal_call *call)
{
    SHOAL_ASSERT(call->gated);
    shoal_debug__digest_add(&((look *)places)->data, call, places->place);
}

static shoal_job_turn tell_digest(shoal_places *places, shoal_call *call)
{
    SHOAL_ASSERT(places->next == places->end);
    shoal_debug__digest_tell(&((look *)places)->data, call);
    return SHOAL_JOB_DONE;
}

/* Each slot as it is when its turn comes: the digest of one moment where nobody writes
 * meanwhile. */
void shoal_debug__digest(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 2);
    look work = {.visit = NULL};
    work.places.end = (uint64_t)shoal_call__settings(call)->databases * SHOAL_SLOTS;
    work.places.visit = add_place;
    work.places.finish = tell_digest;
    start(call, &work);
}

static void tell_value_digest(look *work, shoal_call *call, const shoal_item *item)
{
    SHOAL_ASSERT(work->visit == tell_value_digest);
    shoal_debug__digest_tell_value(call, item);
}

void shoal_debug__digest_value(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    shoal_reply_array(&call->reply, call->argc - 2);
    start_keys(call, &(look){.visit = tell_value_digest});
}

/* ---- OBJECT ---- */

/* The word for how a value is kept, and some size of it: bytes of a string, of a pack, elements of
 * an object. */
static const char *describe(const shoal_item *item, uint64_t *size)
{
    shoal_value_type type = shoal_item_type(item);
    SHOAL_ASSERT(type != SHOAL_TYPE_NONE);
    if (type == SHOAL_TYPE_STRING) {
        *size = shoal_item_string_size(item);
        return shoal_item_encoding(item);
    }
    shoal_compound value = shoal_item_compound(item);
    const shoal_value_ops *ops = shoal_value_ops_of(type);
    *size = value.object == NULL ? value.pack.size : (uint64_t)value.object->bytes;
    return ops->encoding(&value);
}

/* Values have no lasting address, so what stands behind "at" is a number made from the name. */
static void tell_object(look *work, shoal_call *call, const shoal_item *item)
{
    SHOAL_ASSERT(work->places.next == 2);
    if (item == NULL) {
        shoal_reply_error(&call->reply, "ERR no such key");
        return;
    }
    uint64_t size;
    const char *encoding = describe(item, &size);
    shoal_key key = shoal_key_make(call->store, call->db, call->argv[2]);
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    shoal_text_appendf(&text,
                       "Value at:0x%llx refcount:1 encoding:%s serializedlength:%llu lru:0 "
                       "lru_seconds_idle:0",
                       (unsigned long long)(key.hash >> 16), encoding, (unsigned long long)size);
    shoal_buffer_append(&text, (shoal_slice){"", 1});
    shoal_reply_status(&call->reply, text.failed ? "" : text.data);
    shoal_buffer_free(&text);
}

void shoal_debug__object(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    start_keys(call, &(look){.visit = tell_object, .expired_too = true});
}

/* ---- HTSTATS-KEY ---- */

static void tell_table(look *work, shoal_call *call, const shoal_item *item)
{
    SHOAL_ASSERT(work->places.next == 2);
    shoal_value_type type = item == NULL ? SHOAL_TYPE_NONE : shoal_item_type(item);
    if (type == SHOAL_TYPE_NONE) {
        shoal_reply_error(&call->reply, "ERR no such key");
        return;
    }
    uint64_t size;
    const char *encoding = describe(item, &size);
    bool has_table = shoal_text_is(shoal_text(encoding), "hashtable") ||
                     shoal_text_is(shoal_text(encoding), "skiplist");
    if (!has_table) {
        shoal_reply_error(&call->reply, "ERR The value stored at the specified key is not "
                                        "represented using an hash table");
        return;
    }
    shoal_compound value = shoal_item_compound(item);
    uint64_t count = shoal_value_ops_of(type)->count(&value);
    shoal_buffer text = shoal_buffer_make(&call->env->allocator);
    shoal_text_appendf(&text, "[Table]\n number of elements: %llu\n bytes: %llu\n",
                       (unsigned long long)count, (unsigned long long)size);
    shoal_reply_verbatim(&call->reply, "txt", shoal_buffer_slice(&text));
    if (text.failed) call->reply.out->failed = true;
    shoal_buffer_free(&text);
}

void shoal_debug__table_of_key(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    start_keys(call, &(look){.visit = tell_table});
}
