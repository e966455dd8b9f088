/* SPDX-License-Identifier: MIT
 *
 * command/hash.c - fields of hashes: reading them, alone or all, setting and removing them.
 */
#include "base/assert.h"
#include "command/collection.h"

/* ---- reading ---- */

/* Looks for field `index` of the arguments; false without an answer yet. */
static bool find_field(const shoal_call *call, const shoal_members *hash, uint32_t index,
                       shoal_table_entry *entry)
{
    SHOAL_DEBUG_ASSERT(index < call->argc);
    shoal_element name = shoal_element_of(call->argv[index]);
    return shoal_members_find(hash, &name, entry);
}

void shoal_command__hget(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->argc == 3);
    shoal_members hash;
    shoal_table_entry entry;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    if (find_field(call, &hash, 2, &entry)) {
        shoal_reply__element(&call->reply, &entry.value);
    } else {
        shoal_reply_null(&call->reply);
    }
}

void shoal_command__hmget(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    shoal_members hash;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    shoal_reply_array(&call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        shoal_table_entry entry;
        if (find_field(call, &hash, i, &entry)) {
            shoal_reply__element(&call->reply, &entry.value);
        } else {
            shoal_reply_null(&call->reply);
        }
    }
}

void shoal_command__hexists(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    shoal_members hash;
    shoal_table_entry entry;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    shoal_reply_integer(&call->reply, find_field(call, &hash, 2, &entry));
}

void shoal_command__hstrlen(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 3);
    shoal_members hash;
    shoal_table_entry entry;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    char scratch[32];
    size_t size = 0;
    if (find_field(call, &hash, 2, &entry)) size = shoal_element_text(&entry.value, scratch).size;
    shoal_reply_integer(&call->reply, (int64_t)size);
}

void shoal_command__hlen(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    shoal_members hash;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    shoal_reply_integer(&call->reply, (int64_t)hash.count);
}

void shoal_command__hgetall(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    shoal_members hash;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_HASH, &hash)) return;
    bool names = call->command->id != SHOAL_COMMAND_HVALS;
    bool values = call->command->id != SHOAL_COMMAND_HKEYS;
    if (names && values) {
        shoal_reply_map(&call->reply, hash.count);
    } else {
        shoal_reply_array(&call->reply, hash.count);
    }
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (shoal_members_next(&hash, &place, &entry)) {
        if (names) shoal_reply__element(&call->reply, &entry.name);
        if (values) shoal_reply__element(&call->reply, &entry.value);
    }
}

/* ---- writing ---- */

/* Sets a field, without a deadline, whatever it had. `*added` says that it was not there. */
static shoal_err set_field(const shoal_call *call, shoal_edit *edit, uint32_t index, bool *added)
{
    SHOAL_DEBUG_ASSERT(index + 1 < call->argc);
    shoal_table_entry entry = shoal_entry_of(call->argv[index]), old;
    entry.value = shoal_element_of(call->argv[index + 1]);
    /* A field whose time has come is not there. */
    if (edit->draft.table != NULL && edit->draft.table->deadlines != NULL)
        (void)shoal_edit__find(call, edit, &entry.name, &old);
    return shoal_draft_put(&edit->draft, &entry, added);
}

/* HSET and HMSET. */
void shoal_command__hset(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 4);
    if (call->argc % 2 != 0) {
        shoal_call__arity(call);
        return;
    }
    shoal_edit edit;
    if (!shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit)) return;
    shoal_err err = SHOAL_ERR_OK;
    int64_t created = 0;
    for (uint32_t i = 2; i < call->argc && err == SHOAL_ERR_OK; i += 2) {
        bool added = false;
        err = set_field(call, &edit, i, &added);
        created += added;
    }
    if (!shoal_edit__finish(call, &edit, err)) return;
    if (call->command->id == SHOAL_COMMAND_HMSET) {
        shoal_reply_ok(&call->reply);
    } else {
        shoal_reply_integer(&call->reply, created);
    }
}

void shoal_command__hsetnx(shoal_call *call)
{
    SHOAL_ASSERT(call->argc == 4);
    shoal_edit edit;
    if (!shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit)) return;
    shoal_element name = shoal_element_of(call->argv[2]);
    shoal_table_entry entry;
    shoal_err err = SHOAL_ERR_OK;
    bool added = false;
    if (!shoal_edit__find(call, &edit, &name, &entry)) err = set_field(call, &edit, 2, &added);
    if (shoal_edit__finish(call, &edit, err)) shoal_reply_integer(&call->reply, added);
}

void shoal_command__hdel(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    shoal_edit edit;
    if (!shoal_edit__begin(call, 0, SHOAL_TYPE_HASH, &edit)) return;
    int64_t removed = 0;
    for (uint32_t i = 2; i < call->argc && shoal_draft_count(&edit.draft) > 0; i++) {
        shoal_element name = shoal_element_of(call->argv[i]);
        shoal_table_entry entry;
        if (!shoal_edit__find(call, &edit, &name, &entry)) continue;
        removed += shoal_draft_remove(&edit.draft, &name);
    }
    if (shoal_edit__finish(call, &edit, SHOAL_ERR_OK)) shoal_reply_integer(&call->reply, removed);
}
