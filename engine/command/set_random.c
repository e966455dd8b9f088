/* SPDX-License-Identifier: MIT
 *
 * command/set_random.c - members at random: SRANDMEMBER leaves them, SPOP takes them out.
 */
#include "base/assert.h"
#include "command/collection.h"
#include "command/effect.h"

static void write_member(void *context, const shoal_table_entry *entry)
{
    SHOAL_DEBUG_ASSERT(entry->deadline_ms < 0);
    shoal_reply__element(context, &entry->name);
}

/* `count` draws, the same member perhaps several times. */
static void draw(shoal_call *call, const shoal_members *set, uint64_t count)
{
    SHOAL_ASSERT(set->count > 0);
    shoal_prng *prng = shoal_thread_prng(call->thread);
    shoal_reply_array(&call->reply, count);
    for (uint64_t i = 0; i < count && !call->reply.out->failed; i++) {
        shoal_table_entry entry;
        (void)shoal_members_random(set, prng, &entry);
        shoal_reply__element(&call->reply, &entry.name);
    }
}

/* `count` distinct members, or all. */
static void choose(shoal_call *call, const shoal_members *set, uint64_t count)
{
    if (count > set->count) count = set->count;
    SHOAL_ASSERT(count <= set->count);
    shoal_reply_array(&call->reply, count);
    shoal_members_choice wanted = {.count = count,
                                   .prng = shoal_thread_prng(call->thread),
                                   .scratch = &call->env->allocator,
                                   .visit = write_member,
                                   .context = &call->reply};
    if (!shoal_members_choose(set, &wanted)) call->reply.out->failed = true;
}

void shoal_command__srandmember(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 2);
    int64_t count = 0;
    if (call->argc > 3) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return;
    }
    if (call->argc == 3 && !shoal_call__choice(call, 2, false, &count)) return;
    shoal_members set;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_SET, &set)) return;
    if (call->argc == 3) {
        if (count >= 0 || set.count == 0) {
            choose(call, &set, set.count == 0 ? 0 : (uint64_t)count);
        } else {
            draw(call, &set, -(uint64_t)count);
        }
    } else if (set.count == 0) {
        shoal_reply_null(&call->reply);
    } else {
        shoal_table_entry entry;
        (void)shoal_members_random(&set, shoal_thread_prng(call->thread), &entry);
        shoal_reply__element(&call->reply, &entry.name);
    }
}

/* ---- SPOP ---- */

/* Takes out one member and writes it. */
static void pop(shoal_call *call, shoal_draft *draft)
{
    SHOAL_ASSERT(shoal_draft_count(draft) > 0);
    shoal_compound value = shoal_draft_value(draft);
    shoal_members set = shoal_members_of(&value, SHOAL_TYPE_SET, 0);
    shoal_table_entry entry;
    (void)shoal_members_random(&set, shoal_thread_prng(call->thread), &entry);
    shoal_reply__element(&call->reply, &entry.name);
    /* The name may stand in the draft's own pack, or go with its page. */
    char bytes[SHOAL_PACK_INLINE_MAX];
    if (entry.name.kind == SHOAL_ELEMENT_BYTES && draft->table == NULL) {
        memcpy(bytes, entry.name.bytes.data, entry.name.bytes.size);
        entry.name.bytes.data = bytes;
    }
    char text[32];
    shoal_slice argv[3] = {shoal_text("SREM"), call->keys[0].name,
                           shoal_element_text(&entry.name, text)};
    shoal_effect_tell(call, argv, 3);
    bool removed = shoal_draft_remove(draft, &entry.name);
    SHOAL_ASSERT(removed);
}

/* Writes all members; the key goes. */
static void pop_all(shoal_call *call, const shoal_members *set)
{
    shoal_members_place place = {0};
    shoal_table_entry entry;
    shoal_reply_set(&call->reply, set->count);
    while (shoal_members_next(set, &place, &entry)) shoal_reply__element(&call->reply, &entry.name);
    bool removed = shoal_store_remove_locked(call->thread, &call->keys[0]);
    SHOAL_ASSERT(removed);
    shoal_effect__del(call, 0, false);
}

static bool parse_pop(shoal_call *call, uint64_t *count)
{
    SHOAL_ASSERT(call->argc >= 2);
    if (call->argc == 2) return true;
    if (call->argc > 3) {
        shoal_reply_error(&call->reply, SHOAL_ERROR__SYNTAX);
        return false;
    }
    int64_t wanted;
    if (!shoal_text_to_i64(call->argv[2], &wanted) || wanted < 0) {
        shoal_reply_error(&call->reply, "ERR value is out of range, must be positive");
        return false;
    }
    *count = (uint64_t)wanted;
    return true;
}

void shoal_command__spop(shoal_call *call)
{
    uint64_t count = 1;
    SHOAL_ASSERT(call->key_count == 1);
    if (!parse_pop(call, &count)) return;
    bool one = call->argc == 2;
    shoal_members set;
    if (!shoal_call__find_members(call, 0, SHOAL_TYPE_SET, &set)) return;
    if (set.count == 0 || count == 0) {
        if (one) {
            shoal_reply_null(&call->reply);
        } else {
            shoal_reply_set(&call->reply, 0);
        }
        return;
    }
    if (!one && count >= set.count) {
        pop_all(call, &set);
        return;
    }
    shoal_edit edit;
    bool typed = shoal_edit__begin(call, 0, SHOAL_TYPE_SET, &edit);
    SHOAL_ASSERT(typed);
    size_t before = call->reply.out->end;
    if (!one) shoal_reply_set(&call->reply, count);
    for (uint64_t i = 0; i < count; i++) pop(call, &edit.draft);
    shoal_err err = shoal_edit__end(call, &edit);
    if (err == SHOAL_ERR_OK) return;
    /* Nothing was taken out after all. */
    shoal_effect_none(call);
    call->reply.out->end = before;
    (void)shoal_call__stored(call, err);
}
