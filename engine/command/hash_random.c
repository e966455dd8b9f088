/* SPDX-License-Identifier: MIT
 *
 * command/hash_random.c - HRANDFIELD: one field, several distinct ones, or as many draws as asked.
 */
#include "base/assert.h"
#include "command/collection.h"

/* Where chosen fields are written. */
typedef struct choice {
    shoal_reply *reply;
    bool values; /* with their values, */
    bool nested; /* each pair an array of its own */
} choice;

static void write_field(void *context, const shoal_table_entry *entry)
{
    const choice *how = context;
    SHOAL_DEBUG_ASSERT(how->values || !how->nested);
    if (how->nested) shoal_reply_array(how->reply, 2);
    shoal_reply__element(how->reply, &entry->name);
    if (how->values) shoal_reply__element(how->reply, &entry->value);
}

/* `count` draws, the same field perhaps several times. */
static void draw(shoal_call *call, const shoal_members *hash, uint64_t count, choice *how)
{
    SHOAL_ASSERT(hash->count > 0);
    shoal_prng *prng = shoal_thread_prng(call->thread);
    shoal_reply_array(&call->reply, how->values && !how->nested ? count * 2 : count);
    for (uint64_t i = 0; i < count && !call->reply.out->failed; i++) {
        shoal_table_entry entry;
        (void)shoal_members_random(hash, prng, &entry);
        write_field(how, &entry);
    }
}

static void choose(shoal_call *call, const shoal_members *hash, uint64_t count, choice *how)
{
    if (count > hash->count) count = hash->count;
    SHOAL_ASSERT(count <= hash->count);
    shoal_reply_array(&call->reply, how->values && !how->nested ? count * 2 : count);
    shoal_members_choice wanted = {.count = count,
                                   .prng = shoal_thread_prng(call->thread),
                                   .scratch = &call->env->allocator,
                                   .visit = write_field,
                                   .context = how};
    if (!shoal_members_choose(hash, &wanted)) call->reply.out->failed = true;
}

void shoal_command__hrandfield(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    int64_t count = 0;
    choice how = {.reply = &call->reply, .values = call->argc > 3};
    how.nested = how.values && call->reply.protocol == 3;
    if (call->argc > 2) {
        if (!shoal_call__choice(call, 2, false, &count)) return;
        if (call->argc > 4 || (how.values && !shoal_call__word(call, 3, "withvalues"))) {
            shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
            return;
        }
        if (how.values && !shoal_call__choice(call, 2, true, &count)) return;
    }
    shoal_members hash;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    if (call->argc == 2) {
        shoal_table_entry entry;
        if (hash.count == 0) {
            shoal_reply_null(&call->reply);
            return;
        }
        (void)shoal_members_random(&hash, shoal_thread_prng(call->thread), &entry);
        shoal_reply__element(&call->reply, &entry.name);
    } else if (hash.count == 0) {
        shoal_reply_array(&call->reply, 0);
    } else if (count >= 0) {
        choose(call, &hash, (uint64_t)count, &how);
    } else {
        draw(call, &hash, -(uint64_t)count, &how);
    }
}
