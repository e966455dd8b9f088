/* SPDX-License-Identifier: MIT
 *
 * command/collection.c - sets and hashes between the store and their commands. A change is made to
 * a draft, and what the draft has become is put back: a pack, a new table, the same table, or
 * nothing.
 */
#include "command/collection.h"

#include "base/assert.h"
#include "command/deadline.h"
#include "command/effect.h"

/* Expired fields that a write drops on its way; the rest is left to background work. */
#define EXPIRE_BUDGET 64u

/* The time by which fields are judged; 0: none has expired. */
static int64_t field_time(const shoal_call *call)
{
    int64_t now_ms = shoal_deadline__now_ms(call);
    SHOAL_DEBUG_ASSERT(now_ms >= 0 || call->replicated);
    return now_ms < 0 ? 0 : now_ms;
}

bool shoal_call__look_members(shoal_call *call, uint32_t index, shoal_value_type type,
                              shoal_members *members)
{
    SHOAL_DEBUG_ASSERT(index < call->key_count);
    shoal_compound value;
    if (!shoal_call__look_compound(call, index, type, &value)) return false;
    *members = shoal_members_of(&value, type, field_time(call));
    return true;
}

bool shoal_call__find_members(shoal_call *call, uint32_t index, shoal_value_type type,
                              shoal_members *members)
{
    SHOAL_DEBUG_ASSERT(call->gated);
    const shoal_item *item;
    shoal_compound value;
    if (!shoal_call__find_compound(call, index, type, &item, &value)) return false;
    *members = shoal_members_of(&value, type, field_time(call));
    return true;
}

/* ---- changes ---- */

static shoal_draft_options options_of(shoal_call *call, shoal_value_type type)
{
    SHOAL_DEBUG_ASSERT(type == SHOAL_TYPE_SET || type == SHOAL_TYPE_HASH);
    const shoal_settings *settings = shoal_call__settings(call);
    shoal_draft_options options = {
        .type = type,
        .limits = {.entries = settings->set_entries_max},
        .account = shoal_thread_account(call->thread),
        .prng = shoal_thread_prng(call->thread),
    };
    if (type == SHOAL_TYPE_HASH) {
        options.limits.entries = settings->hash_entries_max;
        options.limits.value_size = settings->hash_value_size_max;
    }
    return options;
}

/* Tells that a field has gone whose time has come. */
static void tell_expired(const shoal_call *call, uint32_t index, const shoal_element *name)
{
    char text[32];
    SHOAL_ASSERT(index < call->key_count);
    shoal_slice argv[3] = {shoal_text("HDEL"), call->keys[index].name,
                           shoal_element_text(name, text)};
    shoal_effect_aside(call, argv, 3);
}

/* Drops fields of a hash whose time has come. False when none is left, and the key is gone. */
static bool drop_expired(shoal_call *call, uint32_t index, shoal_object *hash)
{
    int64_t now_ms = field_time(call), deadline = shoal_hash_deadline(hash);
    SHOAL_DEBUG_ASSERT(call->gated);
    if (deadline < 0 || deadline > now_ms) return true;
    uint64_t before = shoal_thread_changes(call->thread);
    bool told = shoal_effect_wanted(call), left = true;
    for (uint32_t budget = EXPIRE_BUDGET; budget > 0 && left;) {
        uint32_t some = told ? 1 : budget;
        shoal_table_entry entry;
        if (told && !shoal_hash_due(hash, now_ms, &entry)) break;
        if (told) tell_expired(call, index, &entry.name);
        budget -= some;
        left = shoal_hash_expire_some(hash, shoal_thread_account(call->thread), now_ms, &some);
        if (!told) break;
    }
    shoal_store_changed_locked(call->thread, &call->keys[index], hash);
    if (!left) (void)shoal_store_remove_locked(call->thread, &call->keys[index]);
    shoal_effect_discount(call, shoal_thread_changes(call->thread) - before);
    return left;
}

bool shoal_edit__begin(shoal_call *call, uint32_t index, shoal_value_type type, shoal_edit *edit)
{
    SHOAL_ASSERT(call->gated);
    const shoal_item *item;
    shoal_compound value;
    if (!shoal_call__find_compound(call, index, type, &item, &value)) return false;
    edit->key = index;
    edit->existed = item != NULL;
    edit->expires_ms = item == NULL ? -1 : shoal_item_expires_ms(item);
    if (type == SHOAL_TYPE_HASH && value.object != NULL &&
        !drop_expired(call, index, value.object)) {
        edit->existed = false;
        edit->expires_ms = -1;
        value.object = NULL;
    }
    shoal_draft_options options = options_of(call, type);
    shoal_draft_begin(&edit->draft, &options, &value);
    return true;
}

void shoal_edit__begin_empty(shoal_call *call, uint32_t index, shoal_value_type type,
                             shoal_edit *edit)
{
    SHOAL_ASSERT(call->gated && index < call->key_count);
    edit->key = index;
    edit->existed = true;
    edit->expires_ms = -1;
    shoal_draft_options options = options_of(call, type);
    shoal_draft_begin(&edit->draft, &options, &(shoal_compound){.object = NULL});
    /* Even nothing replaces what was there. */
    edit->draft.changed = true;
}

bool shoal_edit__find(const shoal_call *call, shoal_edit *edit, const shoal_element *name,
                      shoal_table_entry *entry)
{
    SHOAL_DEBUG_ASSERT(call->gated);
    shoal_compound value = shoal_draft_value(&edit->draft);
    shoal_members all = shoal_members_of(&value, edit->draft.type, 0);
    if (!shoal_members_find(&all, name, entry)) return false;
    if (entry->deadline_ms < 0 || entry->deadline_ms > field_time(call)) return true;
    tell_expired(call, edit->key, name);
    (void)shoal_draft_remove(&edit->draft, name);
    return false;
}

/* Stores a value that has entries, and is not the store's yet. */
static shoal_err store(shoal_call *call, shoal_edit *edit)
{
    const shoal_key *key = &call->keys[edit->key];
    shoal_draft *draft = &edit->draft;
    SHOAL_ASSERT(shoal_draft_count(draft) > 0);
    shoal_compound value = shoal_draft_value(draft);
    if (value.object == NULL) {
        shoal_gather parts = {&value.pack, 1};
        return shoal_store_put_pack_locked(call->thread, key, draft->type, parts, edit->expires_ms);
    }
    SHOAL_ASSERT(draft->made);
    shoal_err err =
        shoal_store_put_object_locked(call->thread, key, value.object, edit->expires_ms);
    if (err == SHOAL_ERR_OK) draft->made = false;
    return err;
}

shoal_err shoal_edit__end(shoal_call *call, shoal_edit *edit)
{
    shoal_draft *draft = &edit->draft;
    SHOAL_ASSERT(edit->key < call->key_count);
    const shoal_key *key = &call->keys[edit->key];
    shoal_err err = SHOAL_ERR_OK;
    bool in_place = draft->table != NULL && !draft->made;
    if (in_place && (draft->changed || draft->options.account->bytes != 0)) {
        shoal_store_changed_locked(call->thread, key, &draft->table->object);
    } else if (draft->changed && shoal_draft_count(draft) > 0) {
        err = store(call, edit);
    }
    if (draft->changed && shoal_draft_count(draft) == 0 && edit->existed)
        (void)shoal_store_remove_locked(call->thread, key);
    shoal_draft_drop(draft);
    return err;
}

bool shoal_edit__finish(shoal_call *call, shoal_edit *edit, shoal_err err)
{
    bool in_place = edit->draft.table != NULL && !edit->draft.made;
    if (err != SHOAL_ERR_OK && !in_place) {
        /* What has been made so far is nobody's yet. */
        shoal_draft_drop(&edit->draft);
        return shoal_call__stored(call, err);
    }
    shoal_err end = shoal_edit__end(call, edit);
    SHOAL_DEBUG_ASSERT(shoal_thread_account(call->thread)->bytes == 0);
    return shoal_call__stored(call, err == SHOAL_ERR_OK ? end : err);
}

/* ---- arguments and replies ---- */

void shoal_reply__element(shoal_reply *reply, const shoal_element *element)
{
    SHOAL_DEBUG_ASSERT(element->kind != SHOAL_ELEMENT_DOUBLE);
    if (element->kind == SHOAL_ELEMENT_INTEGER) {
        shoal_reply_bulk_integer(reply, element->integer);
    } else {
        shoal_reply_bulk(reply, element->bytes);
    }
}

bool shoal_call__choice(shoal_call *call, uint32_t index, bool doubled, int64_t *count)
{
    int64_t limit = doubled ? INT64_MAX / 2 : INT64_MAX;
    SHOAL_ASSERT(index < call->argc);
    if (!shoal_call__integer(call, index, count)) return false;
    if (*count >= -limit && *count <= limit) return true;
    shoal_reply_error(&call->reply, doubled ? "ERR value is out of range"
                                            : "ERR value is out of range, value must between "
                                              "-9223372036854775807 and 9223372036854775807");
    return false;
}
