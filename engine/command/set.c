/* SPDX-License-Identifier: MIT
 *
 * command/set.c - members of one set: adding and removing them, asking for them, moving one.
 */
#include "base/assert.h"
#include "command/collection.h"

/* ---- reading ---- */

void shoal_command__sismember(shoal_call *call)
{
    SHOAL_DEBUG_ASSERT(call->argc == 3);
    shoal_members set;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_SET, &set)) return;
    shoal_element name = shoal_element_of(call->argv[2]);
    shoal_reply_integer(&call->reply, shoal_members_find(&set, &name, NULL));
}

void shoal_command__smismember(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    shoal_members set;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_SET, &set)) return;
    shoal_reply_array(&call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        shoal_element name = shoal_element_of(call->argv[i]);
        shoal_reply_integer(&call->reply, shoal_members_find(&set, &name, NULL));
    }
}

void shoal_command__scard(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    shoal_members set;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_SET, &set)) return;
    shoal_reply_integer(&call->reply, (int64_t)set.count);
}

void shoal_command__smembers(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 1);
    shoal_members set;
    if (!shoal_call__look_members(call, 0, SHOAL_TYPE_SET, &set)) return;
    shoal_reply_set(&call->reply, set.count);
    shoal_members_place place = {0};
    shoal_table_entry entry;
    while (shoal_members_next(&set, &place, &entry))
        shoal_reply__element(&call->reply, &entry.name);
}

/* ---- writing ---- */

void shoal_command__sadd(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    shoal_edit edit;
    if (!shoal_edit__begin(call, 0, SHOAL_TYPE_SET, &edit)) return;
    shoal_err err = SHOAL_ERR_OK;
    int64_t count = 0;
    for (uint32_t i = 2; i < call->argc && err == SHOAL_ERR_OK; i++) {
        shoal_table_entry entry = shoal_entry_of(call->argv[i]);
        bool added = false;
        err = shoal_draft_put(&edit.draft, &entry, &added);
        if (err == SHOAL_ERR_OK) count += added;
    }
    if (shoal_edit__finish(call, &edit, err)) shoal_reply_integer(&call->reply, count);
}

void shoal_command__srem(shoal_call *call)
{
    SHOAL_ASSERT(call->argc >= 3);
    shoal_edit edit;
    if (!shoal_edit__begin(call, 0, SHOAL_TYPE_SET, &edit)) return;
    int64_t removed = 0;
    for (uint32_t i = 2; i < call->argc && shoal_draft_count(&edit.draft) > 0; i++) {
        shoal_element name = shoal_element_of(call->argv[i]);
        removed += shoal_draft_remove(&edit.draft, &name);
    }
    if (shoal_edit__finish(call, &edit, SHOAL_ERR_OK)) shoal_reply_integer(&call->reply, removed);
}

/* Both sets exist and differ, and the member is in the first: adds it to the second and then takes
 * it from the first, so that without memory nothing has happened. */
static void move_member(shoal_call *call, const shoal_element *name)
{
    shoal_table_entry entry = {.name = *name, .deadline_ms = -1};
    shoal_edit edit;
    bool added, typed = shoal_edit__begin(call, 1, SHOAL_TYPE_SET, &edit);
    SHOAL_ASSERT(typed);
    shoal_err err = shoal_draft_put(&edit.draft, &entry, &added);
    if (!shoal_edit__finish(call, &edit, err)) return;
    typed = shoal_edit__begin(call, 0, SHOAL_TYPE_SET, &edit);
    SHOAL_ASSERT(typed);
    bool removed = shoal_draft_remove(&edit.draft, name);
    SHOAL_ASSERT(removed);
    if (shoal_edit__finish(call, &edit, SHOAL_ERR_OK)) shoal_reply_integer(&call->reply, 1);
}

void shoal_command__smove(shoal_call *call)
{
    SHOAL_ASSERT(call->key_count == 2 && call->argc == 4);
    shoal_members from, to;
    /* Redis does not look at the second key when the first is not there. */
    if (!shoal_call__find_members(call, 0, SHOAL_TYPE_SET, &from)) return;
    if (from.count == 0) {
        shoal_reply_integer(&call->reply, 0);
        return;
    }
    if (!shoal_call__find_members(call, 1, SHOAL_TYPE_SET, &to)) return;
    shoal_element name = shoal_element_of(call->argv[3]);
    bool found = shoal_members_find(&from, &name, NULL);
    bool same = shoal_text_equal(call->keys[0].name, call->keys[1].name);
    if (found && !same) {
        move_member(call, &name);
    } else {
        shoal_reply_integer(&call->reply, found);
    }
}
